/*
 * Sequences that bring a chip into the states where something is at stake: a command accepted,
 * a transfer under way, a mode set. Their numbers are random; the order of accesses is a
 * driver's.
 */
#include "cpu/deliver.h"
#include "cpu/interp.h"
#include "devices/i8042.h"
#include "devices/i8259.h"
#include "devices/lapic.h"
#include "devices/msmouse.h"
#include "devices/ns16550.h"
#include "devices/pci.h"
#include "devices/piix4.h"
#include "devices/vga.h"
#include "runtime/machine/clock.h"
#include "runtime/machine/input.h"
#include "tests/fuzz/fuzz.h"

void fuzz_out16(struct fuzz *f, u16 port, u32 val)
{
    bus_out(f->m, port, IO_16, val & 0xffff);
}

void fuzz_out32(struct fuzz *f, u16 port, u32 val)
{
    bus_out(f->m, port, IO_32, val);
}

u32 fuzz_address(struct fuzz *f)
{
    switch (fuzz_below(f, 8)) {
    case 0:
        return fuzz_u32(f);
    case 1:
        return 0xa0000 + fuzz_below(f, 0x60000);
    case 2:
        return (u32)mmu_ram_size(f->m->mmu) - fuzz_below(f, 0x1000);
    case 3:
        return 0xfee00000 + fuzz_below(f, 0x1000);
    default:
        return fuzz_below(f, (u32)mmu_ram_size(f->m->mmu));
    }
}

static u8 pick(struct fuzz *f, const u8 *list, u32 n)
{
    return fuzz_chance(f, 5) ? (u8)fuzz_u32(f) : list[fuzz_below(f, n)];
}
#define PICK(f, list) pick(f, list, sizeof(list))

/* ---- Timers, keyboard, serial ---- */

void scene_i8254(struct fuzz *f)
{
    u32 channel = fuzz_below(f, 3);

    fuzz_out8(f, 0x43, channel << 6 | 0x30 | fuzz_below(f, 16));
    fuzz_out8(f, 0x40 + channel, fuzz_value(f));
    fuzz_out8(f, 0x40 + channel, fuzz_chance(f, 50) ? 0 : fuzz_value(f));
    fuzz_wait(f);
    fuzz_out8(f, 0x61, fuzz_value(f));
    if (fuzz_chance(f, 30)) { /* pulse width: counts without pause */
        for (u32 i = 0; i < 200; i++)
            fuzz_out8(f, 0x42, fuzz_u32(f));
    }
    if (fuzz_chance(f, 30) && f->m->i8259 && i8259_intr(f->m->i8259))
        i8259_ack(f->m->i8259);
    fuzz_out8(f, 0x20, 0x20);
}

/* A transfer on one of its channels, mostly set up as a driver would. */
void scene_sb16(struct fuzz *f)
{
    static const u8 starts[] = {0x10, 0x14, 0x16, 0x17, 0x1c, 0x1f, 0x24, 0x2c,
                                0x74, 0x75, 0x76, 0x77, 0x7d, 0x7f, 0x80, 0x90,
                                0x91, 0x98, 0xb0, 0xb6, 0xbe, 0xc0, 0xc6, 0xce};
    static const u8 others[] = {0x40, 0x41, 0x42, 0x45, 0x47, 0x48, 0xd0, 0xd4,
                                0xd5, 0xd6, 0xd9, 0xda, 0xe1, 0xe3, 0xf2, 0xf3};
    u32 chip = fuzz_below(f, 2), base = chip ? 0xc0 : 0, step = chip ? 2 : 1;

    if (fuzz_chance(f, 70)) {
        fuzz_out8(f, base + 11 * step, (fuzz_chance(f, 80) ? 0x58 : fuzz_u32(f)) | 1);
        for (u32 i = 0; i < 4; i++)
            fuzz_out8(f, base + (2 + i / 2) * step, fuzz_value(f));
        fuzz_out8(f, base + 10 * step, 1);
    }
    fuzz_out8(f, 0x22c, fuzz_chance(f, 60) ? PICK(f, starts) : PICK(f, others));
    for (u32 i = fuzz_below(f, 4); i; i--)
        fuzz_out8(f, 0x22c, fuzz_value(f));
    fuzz_wait(f);
    if (fuzz_chance(f, 60))
        fuzz_in8(f, 0x22e + fuzz_below(f, 2));
    if (fuzz_chance(f, 5)) {
        fuzz_out8(f, 0x226, 1);
        fuzz_out8(f, 0x226, 0);
    }
}

/* A ring of short and long buffers for one of its bus masters, which is started and
 * acknowledged. */
void scene_ac97(struct fuzz *f)
{
    u32 ring = fuzz_chance(f, 90) ? 0x4000 : fuzz_u32(f),
        master = 0xc400 + 16 * fuzz_below(f, 3);

    fuzz_pci_write(f, 8 << 3, 0x10, 0xc000);
    fuzz_pci_write(f, 8 << 3, 0x14, 0xc400);
    fuzz_pci_write(f, 8 << 3, 4, fuzz_chance(f, 95) ? 5 : 1);
    for (u32 i = 0; i < 32; i++) {
        u32 words[2] = { fuzz_chance(f, 80) ? fuzz_below(f, 0x100000) : fuzz_u32(f),
                         fuzz_chance(f, 50) ? 1u << 31 | fuzz_below(f, 600) : fuzz_value(f) };

        phys_write(f->m, ring + i * 8ull, words, 8);
    }
    bus_out(f->m, master, IO_32, ring);
    fuzz_out8(f, master + 5, fuzz_u32(f));
    bus_out(f->m, 0xc000 + 0x2c, IO_16, fuzz_u32(f) & 0xffff);
    fuzz_out8(f, master + 11, fuzz_chance(f, 70) ? 0x1d : fuzz_u32(f));
    for (u32 i = fuzz_below(f, 6); i; i--) {
        fuzz_wait(f);
        bus_out(f->m, master + 6, IO_16, fuzz_chance(f, 70) ? 0x1c : 0);
    }
}

/* Buffers and blocks, short and long, for its channels, which are started, acknowledged, and
 * turned from mode to mode. */
void scene_es1370(struct fuzz *f)
{
    static const u8 counts[] = { 0x24, 0x28, 0x2c };

    fuzz_pci_write(f, 10 << 3, 0x10, 0xcc00);
    fuzz_pci_write(f, 10 << 3, 4, fuzz_chance(f, 95) ? 5 : 1);
    for (u32 i = 0; i < 6; i++) {
        fuzz_out8(f, 0xcc0c, fuzz_chance(f, 90) ? 0xc + i / 4 : fuzz_u32(f));
        bus_out(f->m, 0xcc30 + i % 4 * 4, IO_32,
                i % 2 ? fuzz_below(f, 4000) : fuzz_chance(f, 90) ? fuzz_below(f, 0x100000) : fuzz_u32(f));
    }
    bus_out(f->m, 0xcc00 + PICK(f, counts), IO_32, fuzz_chance(f, 70) ? fuzz_below(f, 600) : fuzz_u32(f));
    bus_out(f->m, 0xcc20, IO_32, fuzz_chance(f, 70) ? 0x700 | (fuzz_u32(f) & 0x3f) : fuzz_u32(f));
    bus_out(f->m, 0xcc00, IO_32, fuzz_chance(f, 70) ? 0x3070 | (fuzz_u32(f) & 0x7f0000) : fuzz_u32(f));
    bus_out(f->m, 0xcc10, IO_16, fuzz_below(f, 0x20) << 8 | (fuzz_u32(f) & 0x9f));
    if (fuzz_chance(f, 30)) { /* its UART: a byte now and then, interrupts on or off, resets */
        fuzz_out8(f, 0xcc00, fuzz_u32(f) | 8);
        bus_out(f->m, 0xcc08, IO_16, (fuzz_chance(f, 80) ? 0x20 : fuzz_u32(f) & 0xff) << 8);
        fuzz_wait(f);
        fuzz_out8(f, 0xcc08, fuzz_u32(f));
    }
    for (u32 i = fuzz_below(f, 6); i; i--) {
        fuzz_wait(f);
        bus_in(f->m, 0xcc04, IO_32);
        bus_out(f->m, 0xcc20, IO_32, fuzz_u32(f) & 0x3f);
        bus_out(f->m, 0xcc20, IO_32, 0x700 | (fuzz_u32(f) & 0x3f));
    }
}

/* A command, mostly whole, at one place or at several. */
void scene_flash(struct fuzz *f)
{
    static const u8 commands[] = { 0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98, 0xe8, 0xff };
    gpa_t gpa = 0xffff0000 + fuzz_below(f, 0xfff0);
    u8 command = PICK(f, commands), bytes[64];

    phys_write(f->m, gpa, &command, 1);
    if (command == 0xe8) {
        bytes[0] = (u8)fuzz_below(f, sizeof(bytes));
        phys_write(f->m, gpa, bytes, 1);
    }
    fuzz_bytes(f, bytes, sizeof(bytes));
    for (u32 i = fuzz_below(f, sizeof(bytes)); i; i--)
        phys_write(f->m, fuzz_chance(f, 90) ? gpa + i % 16 : 0xffff0000 + fuzz_below(f, 0xffff), bytes + i, 1);
    command = fuzz_chance(f, 80) ? 0xd0 : (u8)fuzz_u32(f);
    phys_write(f->m, gpa, &command, 1);
    phys_read(f->m, gpa, bytes, sizeof(bytes) / 4);
}

void scene_i8042(struct fuzz *f)
{
    static const u8 controller[] = { 0x20, 0x60, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xad, 0xae, 0xc0,
                                     0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xdd, 0xdf, 0xfe };
    static const u8 device[] = {0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed,
                                0xee, 0xf0, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7,
                                0xfb, 0xfe, 0xff, 1,    2,    3,    80,   200};

    switch (fuzz_below(f, 6)) {
    case 0:
        fuzz_out8(f, 0x64, PICK(f, controller));
        break;
    case 1:
        fuzz_out8(f, 0x64, 0xd4);
        fuzz_out8(f, 0x60, PICK(f, device));
        break;
    case 2:
        fuzz_out8(f, 0x60, PICK(f, device));
        break;
    case 3:
        i8042_key(f->m->i8042, (u16)(fuzz_chance(f, 20)   ? 0xe11d
                                     : fuzz_chance(f, 50) ? 0xe000 | fuzz_below(f, 128)
                                                          : fuzz_u32(f)),
                  fuzz_chance(f, 50));
        break;
    case 4:
        i8042_mouse(f->m->i8042, (int)fuzz_value(f), (int)fuzz_value(f), (int)fuzz_value(f),
                    (u8)fuzz_u32(f));
        break;
    default:
        fuzz_wait(f);
        fuzz_in8(f, 0x60);
    }
}

/* A guest that uses the backdoor, and a user who moves the pointer meanwhile. */
void scene_vmport(struct fuzz *f)
{
    static const u32 commands[] = { 10, 20, 39, 39, 40, 41, 41 };
    static const u32 arguments[] = {0, 1, 2, 3, 4, 5, 0xf5, 0x45414552, 0x4c455252, 0x53424152};
    struct input_event e = { INPUT_POINTER, .placed = fuzz_chance(f, 70), .x = (u16)fuzz_u32(f),
                             .y = (u16)fuzz_u32(f) };
    u32 *r = f->m->cpu->gpr;

    e.dx = (int)fuzz_value(f);
    e.dy = (int)fuzz_value(f);
    e.wheel = (int)fuzz_value(f);
    e.buttons = (u8)fuzz_u32(f);
    machine_input(f->m, &e);
    r[EAX] = fuzz_chance(f, 95) ? 0x564d5868 : fuzz_value(f);
    r[ECX] = fuzz_chance(f, 95) ? commands[fuzz_below(f, ARRAY_SIZE(commands))] : fuzz_value(f);
    r[EBX] =
        fuzz_chance(f, 90) ? arguments[fuzz_below(f, ARRAY_SIZE(arguments))] : fuzz_value(f);
    r[EAX] = f->last = bus_in(f->m, 0x5658, IO_32);
}

void scene_serial(struct fuzz *f)
{
    u8 data[32];

    fuzz_bytes(f, data, sizeof(data));
    for (struct device *d = f->m->devices; d; d = d->next) {
        const struct ns16550_config *config = d->config;
        u32 room;
        if (d->class != &ns16550_class || !config->chardev)
            continue;
        room = config->chardev->can_receive(d);
        check(room <= 16, "a serial port with room for %u", room);
        config->chardev->receive(d, data, fuzz_below(f, room + 1));
    }
}

/* A driver switches the mouse on or off, the user moves it, and time goes on: whatever the
 * mouse has to say fits the line. */
void scene_msmouse(struct fuzz *f)
{
    struct device *mouse = device_find(f->m, &msmouse_class, 0);
    u32 heard = 0, periods = fuzz_below(f, 40), port = 16;

    if (fuzz_chance(f, 30))
        fuzz_out8(f, 0x2fc, fuzz_chance(f, 70) ? 0x0b : (u8)fuzz_u32(f));
    for (u32 i = fuzz_below(f, 20); mouse && i; i--)
        msmouse_move(mouse, (int)fuzz_value(f), (int)fuzz_value(f), (u8)fuzz_u32(f));
    fuzz_out8(f, 0x2fb, 0x03);               /* not DLAB */
    while (port-- && fuzz_in8(f, 0x2fd) & 1) /* what its FIFO holds */
        fuzz_in8(f, 0x2f8);
    for (u32 i = 0; i < periods; i++) {
        clock_advance(f->m, USEC(7500));
        for (port = 16; port && fuzz_in8(f, 0x2fd) & 1; port--, heard++)
            fuzz_in8(f, 0x2f8);
    }
    check(heard <= periods + 1, "%u bytes in the time of %u", heard, periods);
}

/* A driver that prints a line: the printer is ready, whatever has been written before. */
void scene_lpt(struct fuzz *f)
{
    enum { READY = 0xd8, STROBE = 1, INPUT = 0x20 };
    u32 control = fuzz_chance(f, 80) ? 0x0c | (fuzz_u32(f) & 0x10) : fuzz_u32(f) & 0x3e;

    for (u32 i = fuzz_below(f, 81); i; i--) {
        u8 byte = (u8)fuzz_u32(f);

        check((fuzz_in8(f, 0x379) & 0xf8) == READY, "the printer is not ready");
        fuzz_out8(f, 0x37a, control);
        fuzz_out8(f, 0x378, byte);
        fuzz_out8(f, 0x37a, control | STROBE);
        check(fuzz_in8(f, 0x378) == (control & INPUT ? 0xff : byte), "data has changed");
        check((fuzz_in8(f, 0x37a) & 0x3f) == (control | STROBE), "control has changed");
        if (fuzz_chance(f, 5))
            fuzz_wait(f);
        if (fuzz_chance(f, 30) && f->m->i8259 && i8259_intr(f->m->i8259))
            i8259_ack(f->m->i8259);
    }
    fuzz_out8(f, 0x20, 0x20);
}

/* ---- Floppy ---- */

static void program_dma(struct fuzz *f, u32 channel)
{
    u32 base = channel < 4 ? 0 : 0xc0, step = channel < 4 ? 1 : 2, c = channel & 3,
        at = fuzz_address(f);

    fuzz_out8(f, base + 0xa * step, 4 | c);
    fuzz_out8(f, base + 0xc * step, 0);
    fuzz_out8(f, base + 0xb * step, fuzz_chance(f, 80) ? 0x44 + (fuzz_below(f, 2) << 2) + c
                                                       : fuzz_u32(f));
    fuzz_out8(f, base + 2 * c * step, at);
    fuzz_out8(f, base + 2 * c * step, at >> 8);
    fuzz_out8(f, 0x81, at >> 16);
    fuzz_out8(f, base + (2 * c + 1) * step, fuzz_value(f));
    fuzz_out8(f, base + (2 * c + 1) * step, fuzz_value(f));
    fuzz_out8(f, base + 0xa * step, c);
}

void scene_floppy(struct fuzz *f)
{
    static const u8 commands[] = {0xe6, 0x46, 0xc5, 0x45, 0x42, 0x4a, 0x4d, 0x56,
                                  0x4c, 0x49, 0x51, 0x07, 0x08, 0x0f, 0x03, 0x04,
                                  0x13, 0x8f, 0xcf, 0x0e, 0x10, 0x94};
    u8 command = PICK(f, commands);
    u32 drive = fuzz_below(f, 8), head = drive >> 2;

    if (fuzz_chance(f, 10))
        fuzz_out8(f, 0x3f2, 0);
    fuzz_out8(f, 0x3f2, 0x3c | (drive & 3));
    if (fuzz_chance(f, 20))
        fuzz_wait(f);
    fuzz_out8(f, 0x3f7, fuzz_below(f, 4));
    program_dma(f, 2);
    for (u32 i = 0; i < 16 && (fuzz_in8(f, 0x3f4) & 0xc0) == 0xc0; i++)
        fuzz_in8(f, 0x3f5); /* the last result */
    fuzz_out8(f, 0x3f5, command);
    fuzz_out8(f, 0x3f5, drive);
    fuzz_out8(f, 0x3f5, command == 0x4d ? 2 : fuzz_below(f, 82));
    fuzz_out8(f, 0x3f5, command == 0x4d ? 18 : head);
    fuzz_out8(f, 0x3f5, 1 + fuzz_below(f, 20));
    fuzz_out8(f, 0x3f5, fuzz_chance(f, 90) ? 2 : fuzz_u32(f));
    fuzz_out8(f, 0x3f5, 1 + fuzz_below(f, 40));
    fuzz_out8(f, 0x3f5, 0x1b);
    fuzz_out8(f, 0x3f5, 0xff);
    for (u32 i = 0; i < 3; i++)
        fuzz_wait(f);
    for (u32 i = fuzz_below(f, 600); i && (fuzz_in8(f, 0x3f4) & 0x80); i--) {
        fuzz_in8(f, 0x3f5);
        fuzz_out8(f, 0x3f5, i);
    }
}

/* ---- IDE ---- */

static u16 channel(struct fuzz *f)
{
    return fuzz_chance(f, 50) ? 0x1f0 : 0x170;
}

static void drain(struct fuzz *f, u16 base)
{
    u32 n = fuzz_below(f, 5000);
    bool write = fuzz_chance(f, 50);
    u8 buf[1024] = { 0 };

    for (u32 i = fuzz_below(f, 8); i; i--, fuzz_wait(f)) { /* as INS and OUTS do */
        enum io_size size = 1u << fuzz_below(f, 3);

        if (write)
            bus_out_string(f->m, base, size, buf, fuzz_below(f, 1 + sizeof(buf) / size));
        else
            bus_in_string(f->m, base, size, buf, fuzz_below(f, 1 + sizeof(buf) / size));
    }
    for (u32 i = 0; i < n; i++) {
        if (i % 256 == 0) {
            fuzz_wait(f);
            if (!(fuzz_in8(f, base + 7) & 8))
                return;
        }
        if (write)
            fuzz_out16(f, base, fuzz_u32(f));
        else
            bus_in(f->m, base, fuzz_chance(f, 90) ? IO_16 : IO_32);
    }
}

void scene_ata(struct fuzz *f)
{
    static const u8 commands[] = {0x10, 0x20, 0x21, 0x24, 0x25, 0x29, 0x30, 0x34,
                                  0x35, 0x39, 0x40, 0x42, 0x70, 0x90, 0x91, 0xa0,
                                  0xa1, 0xc4, 0xc5, 0xc6, 0xc8, 0xca, 0xe0, 0xe1,
                                  0xe5, 0xe7, 0xea, 0xec, 0xef, 0xf8, 0x27, 0x08};
    u16 base = channel(f);

    fuzz_out8(f, base + 6, 0xa0 | (fuzz_u32(f) & 0x5f));
    for (u32 i = 1; i < 6; i++) {
        if (fuzz_chance(f, 30))
            fuzz_out8(f, base + i, fuzz_value(f)); /* the high bytes of 48-bit commands */
        fuzz_out8(f, base + i, fuzz_chance(f, 40) ? fuzz_below(f, 3) : fuzz_value(f));
    }
    fuzz_out8(f, base + 7, PICK(f, commands));
    drain(f, base);
    if (fuzz_chance(f, 3))
        fuzz_out8(f, base + 0x206, fuzz_value(f));
}

void scene_atapi(struct fuzz *f)
{
    static const u8 commands[] = {0x00, 0x03, 0x12, 0x15, 0x1a, 0x1b, 0x1e, 0x25, 0x28, 0x2b,
                                  0x35, 0x3c, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x4a, 0x51,
                                  0x52, 0x55, 0x5a, 0xa8, 0xad, 0xb9, 0xbb, 0xbd, 0xbe};
    u8 packet[12];
    u16 base = channel(f);

    for (u32 i = 0; i < 12; i++)
        packet[i] = fuzz_chance(f, 50) ? 0 : (u8)fuzz_value(f);
    packet[0] = PICK(f, commands);
    fuzz_out8(f, base + 6, 0xa0 | fuzz_below(f, 2) << 4);
    fuzz_out8(f, base + 1, fuzz_chance(f, 30) ? 1 : 0);
    fuzz_out8(f, base + 4, fuzz_value(f));
    fuzz_out8(f, base + 5, fuzz_value(f));
    fuzz_out8(f, base + 7, 0xa0);
    fuzz_wait(f);
    for (u32 i = 0; i < 12; i += 2)
        fuzz_out16(f, base, packet[i] | packet[i + 1] << 8);
    drain(f, base);
}

void fuzz_pci_write(struct fuzz *f, u32 devfn, u32 reg, u32 val)
{
    fuzz_out32(f, 0xcf8, 0x80000000u | devfn << 8 | (reg & 0xfc));
    fuzz_out32(f, 0xcfc, val);
}

void scene_busmaster(struct fuzz *f)
{
    static const u8 commands[] = { 0xc8, 0xca, 0x25, 0x35, 0xc9, 0xcb, 0xa0 };
    u32 second = fuzz_below(f, 2), prd = fuzz_chance(f, 80) ? 0x1000 : fuzz_address(f),
        at = prd;
    u16 base = second ? 0x170 : 0x1f0, bm = 0xc000 + 8 * second;

    fuzz_pci_write(f, 9, 0x20, 0xc001);
    fuzz_pci_write(f, 9, 0x04, fuzz_chance(f, 90) ? 5 : fuzz_u32(f));
    for (u32 i = 0; i < 1 + fuzz_below(f, 12); i++, at += 8) {
        u32 entry[2] = { fuzz_address(f), fuzz_value(f) & 0xffff };
        if (fuzz_chance(f, 25))
            entry[1] |= 0x80000000u;
        phys_write(f->m, at, entry, 8);
    }
    fuzz_out32(f, bm + 4, prd);
    fuzz_out8(f, base + 6, 0xe0 | fuzz_below(f, 2) << 4);
    for (u32 i = 2; i < 6; i++)
        fuzz_out8(f, base + i, fuzz_chance(f, 60) ? fuzz_below(f, 3) : fuzz_value(f));
    fuzz_out8(f, base + 7, PICK(f, commands));
    fuzz_out8(f, bm, 1 | (fuzz_chance(f, 50) ? 8 : 0));
    for (u32 i = fuzz_below(f, 6); i; i--)
        fuzz_wait(f);
    fuzz_out8(f, bm + 2, fuzz_value(f));
    fuzz_out8(f, bm, 0);
}

/* ---- Video ---- */

static void look(struct fuzz *f)
{
    struct text_screen text;
    struct frame frame;
    volatile u32 sum = 0;

    fuzz_wait(f);
    if (vga_text(f->m->vga, &text))
        for (u32 i = 0; i < text.columns * text.rows; i++)
            sum += text.cells[i];
    vga_draw(f->m->vga, &frame);
    for (u64 i = 0; i < (u64)frame.width * frame.height; i += 97)
        sum += frame.pixels[i];
}

void scene_vga(struct fuzz *f)
{
    static const struct {
        u16 port;
        u8 registers;
    } files[] = { { 0x3c4, 5 }, { 0x3d4, 25 }, { 0x3ce, 9 }, { 0x3b4, 25 } };
    u32 file = fuzz_below(f, 5);

    if (file == 4) {
        for (u32 i = 0; i < 21; i++) {
            fuzz_in8(f, 0x3da);
            fuzz_out8(f, 0x3c0, i | (fuzz_chance(f, 80) ? 0x20 : 0));
            fuzz_out8(f, 0x3c0, fuzz_value(f));
        }
    } else {
        if (file == 1)
            fuzz_out16(f, 0x3d4, 0x0011);
        for (u32 i = 0; i < files[file].registers; i++)
            if (fuzz_chance(f, 60))
                fuzz_out16(f, files[file].port, i | fuzz_value(f) << 8);
    }
    fuzz_out8(f, 0x3c2, fuzz_value(f));
    if (fuzz_chance(f, 40))
        look(f);
}

/* A mode, a blit with its source from anywhere, and a cursor. */
void scene_gd5446(struct fuzz *f)
{
    static const u8 rops[] = { 0x00, 0x05, 0x06, 0x0d, 0x0e, 0x59, 0x6d, 0xda };
    static const u8 modes[] = { 0x00, 0x01, 0x04, 0x08, 0x40, 0x44, 0x80, 0x84, 0xc0, 0xc4 };
    static const u8 banks[] = { 0x00, 0x01, 0x02, 0x04, 0x14, 0x20, 0x21 };

    fuzz_pci_write(f, 0x10, 0x10, 0xe0000008);
    fuzz_pci_write(f, 0x10, 0x14, 0xe8000000);
    fuzz_pci_write(f, 0x10, 0x04, fuzz_chance(f, 95) ? 3 : fuzz_u32(f));
    fuzz_out16(f, 0x3c4, fuzz_chance(f, 95) ? 0x1206 : 0x0006);
    fuzz_out16(f, 0x3c4, 0x07 | (fuzz_chance(f, 80) ? fuzz_below(f, 5) * 2 + 1 : fuzz_u32(f)) << 8);
    fuzz_out16(f, 0x3c4, 0x17 | (fuzz_u32(f) & 0x44) << 8);
    fuzz_out16(f, 0x3c4, 0x12 | (fuzz_u32(f) & 0x07) << 8);
    for (u32 i = 0x10; i < 0x14; i++)
        fuzz_out16(f, 0x3c4, i | (fuzz_u32(f) & 0xffe0));
    fuzz_out16(f, 0x3ce, 0x05 | (fuzz_u32(f) & 0x07) << 8);
    fuzz_out16(f, 0x3ce, 0x0b | PICK(f, banks) << 8);
    for (u32 i = 0x1a; i < 0x1e; i++)
        fuzz_out16(f, 0x3d4, i | fuzz_value(f) << 8);
    for (u32 i = 0x20; i < 0x30; i++)
        if (fuzz_chance(f, 80))
            fuzz_out16(f, 0x3ce, i | fuzz_value(f) << 8);
    fuzz_out16(f, 0x3ce, 0x30 | (u32)(PICK(f, modes) | (fuzz_u32(f) & 0x38)) << 8);
    fuzz_out16(f, 0x3ce, 0x32 | (u32)PICK(f, rops) << 8);
    fuzz_out16(f, 0x3ce, 0x33 | (fuzz_u32(f) & 7) << 8);
    fuzz_out16(f, 0x3ce, 0x31 | (fuzz_chance(f, 95) ? 0x02 : 0x04) << 8);
    for (u32 n = fuzz_below(f, 40); n; n--)
        bus_mmio_write(f->m, (fuzz_chance(f, 50) ? 0xe1000000 : 0xa0000) + 4 * n, 4, fuzz_u32(f));
    if (fuzz_chance(f, 30))
        fuzz_out16(f, 0x3ce, 0x31);
    look(f);
}

void scene_vbe(struct fuzz *f)
{
    static const u16 sizes[] = { 0, 1, 320, 640, 800, 1024, 1920, 1200, 4096, 0xffff };
    static const u8 depths[] = { 0, 4, 8, 15, 16, 24, 32 };

    fuzz_pci_write(f, 0x10, 0x10, fuzz_chance(f, 80) ? 0xe0000008 : fuzz_address(f));
    fuzz_pci_write(f, 0x10, 0x04, fuzz_chance(f, 90) ? 3 : fuzz_u32(f));
    for (u32 i = 1; i < 11; i++) {
        u32 val = fuzz_chance(f, 80) ? sizes[fuzz_below(f, ARRAY_SIZE(sizes))] : fuzz_value(f);
        if (i == 3)
            val = PICK(f, depths);
        if (i == 4)
            val = fuzz_chance(f, 80) ? 0x41 : fuzz_u32(f);
        if (fuzz_chance(f, 20))
            continue;
        fuzz_out16(f, 0x1ce, i);
        fuzz_out16(f, 0x1cf, val);
    }
    look(f);
}

/* ---- PCI, firmware configuration, APICs ---- */

static struct device *pci_bus(struct machine *m)
{
    struct device *dev = m->devices;

    while (dev->class != &pci_class)
        dev = dev->next;
    return dev;
}

void scene_pci(struct fuzz *f)
{
    static const u8 functions[] = { 0x00, 0x08, 0x09, 0x0b, 0x10 };
    u32 devfn = PICK(f, functions), reg = fuzz_below(f, 64) * 4;

    if (fuzz_chance(f, 40))
        reg = 0x10 + 4 * fuzz_below(f, 6);
    fuzz_pci_write(f, devfn, reg, fuzz_chance(f, 30) ? fuzz_address(f) : fuzz_value(f));
    if (fuzz_chance(f, 30))
        fuzz_pci_write(f, devfn, 0x04, fuzz_value(f));
    if (fuzz_chance(f, 20)) { /* power management where a BIOS puts it */
        fuzz_pci_write(f, 0x0b, 0x40, 0x601);
        fuzz_pci_write(f, 0x0b, 0x80, 1);
    }
    if (fuzz_chance(f, 10))
        piix4_power_button(f->m->piix4);
    devfn = functions[fuzz_below(f, sizeof(functions))];
    pci_set_irq(pci_bus(f->m), devfn, fuzz_below(f, 4), fuzz_chance(f, 50));
}

static u32 swap(u32 val)
{
    return __builtin_bswap32(val);
}

void scene_fw_cfg(struct fuzz *f)
{
    u32 at = fuzz_chance(f, 80) ? fuzz_below(f, 0x8000) : fuzz_address(f);
    u32 key = fuzz_chance(f, 50) ? fuzz_below(f, 0x20) : 0x20 + fuzz_below(f, 0x20);
    u32 request[4] = { swap(key << 16 | fuzz_below(f, 32)), swap(fuzz_value(f)), 0,
                       swap(fuzz_address(f)) };

    fuzz_out16(f, 0x510, fuzz_chance(f, 90) ? key : fuzz_u32(f));
    for (u32 i = fuzz_below(f, 300); i; i--)
        fuzz_in8(f, 0x511);
    phys_write(f->m, at, request, sizeof(request));
    fuzz_out32(f, 0x514, fuzz_chance(f, 95) ? 0 : fuzz_u32(f));
    fuzz_out32(f, 0x518, swap(at));
}

void scene_apic(struct fuzz *f)
{
    static const u16 registers[] = {0x20,  0x80,  0xb0,  0xd0,  0xe0,  0xf0,  0x280, 0x300,
                                    0x310, 0x320, 0x350, 0x360, 0x370, 0x380, 0x3e0};

    for (u32 i = 0; i < 4; i++)
        bus_mmio_write(f->m, 0xfee00000 + registers[fuzz_below(f, ARRAY_SIZE(registers))], 4,
                       fuzz_chance(f, 50) ? fuzz_value(f) : 0x100 | fuzz_below(f, 0xff));
    bus_mmio_write(f->m, 0xfec00000, 4, 0x10 + fuzz_below(f, 48));
    bus_mmio_write(f->m, 0xfec00010, 4, fuzz_chance(f, 50) ? fuzz_below(f, 256) : fuzz_u32(f));
    irq_set(irq_isa(f->m, fuzz_below(f, 16)), fuzz_chance(f, 50));
    fuzz_wait(f);
    while (fuzz_chance(f, 60) && lapic_intr(f->m->lapic)) {
        lapic_ack(f->m->lapic);
        if (fuzz_chance(f, 80))
            bus_mmio_write(f->m, 0xfee000b0, 4, 0);
    }
}

/* ---- Code ---- */

/* What an ISA board's chips do together: who answers is chosen each time. */
void scene_isapc(struct fuzz *f)
{
    static void (*const scenes[])(struct fuzz *) = {
        scene_i8254,  scene_sb16,   scene_i8042, scene_vmport, scene_floppy,
        scene_ata,    scene_atapi,  scene_vga,   scene_vbe,    scene_fw_cfg,
        scene_ne2000, scene_serial, scene_lpt,
    };

    scenes[fuzz_below(f, ARRAY_SIZE(scenes))](f);
}

void scene_cpu(struct fuzz *f)
{
    struct vcpu *cpu = f->m->cpu;
    u32 n = fuzz_below(f, 3000);

    for (u32 i = 0; i < n && !f->m->events; i++) {
        if (cpu->requests & REQ_HALT && !cpu_can_wake(cpu))
            return;
        if (cpu->requests && !cpu_serve_requests(cpu))
            clock_advance(f->m, USEC(10));
        else
            cpu_step(cpu);
    }
    if (fuzz_chance(f, 30)) /* elsewhere, in real mode or whatever mode it is in */
        cpu->eip = fuzz_below(f, 0x10000);
}

/* Time goes on with the code, about as fast as on a 486, and jumps while the CPU is halted. */
void scene_boot(struct fuzz *f)
{
    struct vcpu *cpu = f->m->cpu;

    for (u32 i = 0; i < 50000 && !f->m->events; i++) {
        if (i % 32 == 0)
            clock_advance(f->m, USEC(1));
        if (cpu->requests & REQ_HALT && !cpu_can_wake(cpu))
            clock_advance(f->m, USEC(200));
        else if (!cpu->requests || cpu_serve_requests(cpu))
            cpu_step(cpu);
    }
    if (fuzz_chance(f, 10))
        media_change(f);
    if (fuzz_chance(f, 10))
        scene_i8042(f);
}

/* The PCI one's BARs, and a test of each. */
void scene_testdev(struct fuzz *f)
{
    enum { DEVFN = 9 << 3, PORTS = 0xc800, MEMORY = 0xe2000000 };

    fuzz_pci_write(f, DEVFN, 0x10, MEMORY);
    fuzz_pci_write(f, DEVFN, 0x14, PORTS | 1);
    fuzz_pci_write(f, DEVFN, 0x04, 3);
    fuzz_out8(f, PORTS, fuzz_below(f, 5));
    bus_mmio_write(f->m, MEMORY, 1, fuzz_below(f, 5));
    for (u32 i = fuzz_below(f, 20); i; i--) {
        fuzz_out8(f, (u16)(PORTS + 128 + fuzz_below(f, 4)),
                  fuzz_chance(f, 50) ? 0xfa : fuzz_value(f));
        bus_mmio_write(f->m, MEMORY + 2048 + fuzz_below(f, 4), 1, fuzz_u32(f) & 0xff);
        f->last = bus_mmio_read(f->m, MEMORY + fuzz_below(f, 64), 1);
    }
}
