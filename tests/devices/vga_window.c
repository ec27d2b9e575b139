/*
 * Packed windows and runs: they are to be seen in nothing but time. Two cards get the same
 * accesses, of which one never packs; a run of bytes does what single accesses do.
 */
#include "cpu/engine.h"
#include "cpu/interp.h"
#include "cpu/reset.h"
#include "cpu/segment.h"
#include "devices/vga_private.h"
#include "runtime/machine/clock.h"
#include "tests/devices/vga_rig.h"

#include <string.h>

enum { NEVER = 1 << 30 };

static struct vga *card(struct rig *r)
{
    return (struct vga *)r->dev;
}

static u32 noise(u32 *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* As many accesses as are needed to be packed. */
static void read_much(struct rig *r, gpa_t gpa)
{
    u8 byte;

    for (u32 i = 0; i < 300; i++)
        phys_read(r->m, gpa, &byte, 1);
}

/* And the moment after them. */
static void use(struct rig *r, gpa_t gpa)
{
    read_much(r, gpa);
    rig_advance(r, 1);
}

TEST(vga_window, text_and_cga_are_packed_when_they_are_used)
{
    static const struct {
        const struct vga_mode *mode;
        u8 kind;
    } modes[] = { { &vga_mode_03, PACKED_ODD_EVEN }, { &vga_mode_04, PACKED_ODD_EVEN },
                  { &vga_mode_06, PACKED_PLANE_0 }, { &vga_mode_12, PACKED_NOT },
                  { &vga_mode_13, PACKED_NOT }, { &vga_mode_x, PACKED_NOT } };

    for (u32 i = 0; i < ARRAY_SIZE(modes); i++) {
        struct rig *r = vga_rig(modes[i].mode);

        rig_advance(r, 1);
        CHECK_EQ(card(r)->packed.kind, PACKED_NOT);
        use(r, modes[i].kind ? 0xb8000 : 0xa0000);
        CHECK_EQ(card(r)->packed.kind, modes[i].kind);
        read_much(r, 0xa0000); /* the rest of the window needs no more packing */
        CHECK(!card(r)->packed.timer.armed);
        vga_gc(r, 5, 2); /* write mode 2 wants the controller */
        CHECK_EQ(card(r)->packed.kind, PACKED_NOT);
    }
}

TEST(vga_window, packed_text_is_drawn_and_goes_back)
{
    struct rig *r = vga_rig(&vga_mode_03);
    struct text_screen text;
    u16 cell = 0x1f41;

    use(r, 0xb8000);
    phys_write(r->m, 0xb8002, &cell, 2);
    CHECK(vga_text(r->dev, &text));
    CHECK_EQ(text.cells[1], cell);
    cell = 0x2e42;
    phys_write(r->m, 0xb8004, &cell, 2);
    vga_seq(r, 2, 4); /* plane 2, as for a font */
    CHECK_EQ(card(r)->packed.kind, PACKED_NOT);
    CHECK_EQ(card(r)->vram[4 * 4], 0x42);
    CHECK_EQ(card(r)->vram[4 * 4 + 1], 0x2e);
    CHECK(vga_text(r->dev, &text));
    CHECK_EQ(text.cells[2], cell);
}

TEST(vga_window, packed_text_does_not_come_back_over_a_cleared_screen)
{
    struct rig *r = vga_rig(&vga_mode_03);
    u16 cell = 0x1f41;

    use(r, 0xb8000);
    phys_write(r->m, 0xb8002, &cell, 2);
    vga_set_linear(r, 640, 480, 8);
    CHECK_EQ(card(r)->packed.kind, PACKED_NOT);
    for (u32 i = 0; i < 640 * 480; i++)
        CHECK_EQ(card(r)->vram[i], 0);
}

TEST(vga_window, a_restored_card_shows_the_memory_restored)
{
    struct rig *r = vga_rig(&vga_mode_03);
    u16 cell = 0x1f41, got = 0;

    use(r, 0xb8000);
    phys_write(r->m, 0xb8000, &cell, 2);
    memset(card(r)->vram, 0x33, 4 * VGA_PLANE);
    memset(card(r)->gr, 0xff, sizeof(card(r)->gr)); /* nor does it trust the file */
    memset(card(r)->sr, 0xff, sizeof(card(r)->sr));
    r->dev->class->loaded(r->dev);
    vga_set_mode(r, &vga_mode_03);
    phys_read(r->m, 0xb8000, &got, 2);
    CHECK_EQ(got, 0x3333);
}

TEST(vga_window, packs_later_where_it_did_not_last)
{
    struct rig *r = vga_rig(&vga_mode_03);
    i32 first = card(r)->packed.patience;

    for (u32 i = 0; i < 3; i++) {
        card(r)->packed.left = 1;
        use(r, 0xb8000);
        CHECK_EQ(card(r)->packed.kind, PACKED_ODD_EVEN);
        vga_seq(r, 2, 4);
        vga_seq(r, 2, 3);
    }
    CHECK_EQ(card(r)->packed.patience, first * 8);
    card(r)->packed.left = 1;
    use(r, 0xb8000);
    rig_advance(r, MSEC(10));
    vga_seq(r, 2, 4);
    CHECK_EQ(card(r)->packed.patience, first);
}

/* What programs do in text and CGA's modes, fonts and all; none of it needs what the latches hold. */
static void random_step(struct rig *r[2], u32 *state)
{
    static const struct vga_mode *modes[] = { &vga_mode_03, &vga_mode_04, &vga_mode_06 };
    u32 what = noise(state) % 200, at = 0xa0000 + noise(state) % 0x20000, val = noise(state);
    u32 size = 1 + noise(state) % 4, got[2] = { 0, 0 };

    for (u32 i = 0; i < 2; i++)
        if (what < 2)
            vga_set_mode(r[i], modes[val % ARRAY_SIZE(modes)]);
        else if (what < 4)
            vga_seq(r[i], 2, val & 15);
        else if (what < 6)
            vga_seq(r[i], 4, val & 6);
        else if (what < 8)
            vga_gc(r[i], 4, val & 3);
        else if (what < 10)
            vga_gc(r[i], 5, val & 0x30);
        else if (what < 11)
            vga_gc(r[i], 6, val & 15);
        else if (what < 12)
            rig_advance(r[i], 1 + val % MSEC(20));
        else if (what < 100)
            phys_write(r[i]->m, at, &val, size);
        else
            phys_read(r[i]->m, at, &got[i], size);
    CHECK_EQ(got[0], got[1]);
}

TEST(vga_window, packing_is_not_to_be_seen)
{
    struct rig *r[2] = { vga_rig(&vga_mode_03), vga_rig(&vga_mode_03) };
    u32 state = 7, packed = 0;

    for (u32 i = 0; i < 200000; i++) {
        card(r[0])->packed.left = 1;
        card(r[1])->packed.left = NEVER;
        random_step(r, &state);
        packed += card(r[0])->packed.kind != PACKED_NOT;
        CHECK_EQ(card(r[1])->packed.kind, PACKED_NOT);
        if (i % 10000 == 0)
            CHECK_EQ(vga_hash(r[0]), vga_hash(r[1]));
    }
    CHECK(packed > 1000);
    vga_window_sync(card(r[0]));
    CHECK(!memcmp(card(r[0])->vram, card(r[1])->vram, 4 * VGA_PLANE));
}

/* ---- Runs ---- */

static void random_registers(struct rig *r[2], u32 *state)
{
    u32 seq = noise(state), gc = noise(state), index = noise(state) % 9;

    for (u32 i = 0; i < 2; i++) {
        vga_seq(r[i], 2, seq & 15);
        vga_seq(r[i], 4, seq >> 4 & 0x0e);
        vga_gc(r[i], (u8)index, (u8)gc);
        card(r[i])->packed.left = NEVER;
    }
}

TEST(vga_window, runs_do_what_single_accesses_do)
{
    struct rig *r[2] = { vga_rig(&vga_mode_12), vga_rig(&vga_mode_12) };
    u32 state = 99, runs = 0;
    u8 buf[2][256];

    for (u32 i = 0; i < 20000; i++) {
        u32 what = noise(&state) % 4, size = 1u << noise(&state) % 3, n = 1 + noise(&state) % 60;
        gpa_t at = 0xa0000 + (noise(&state) % 0x20000 & ~0xfffu), from = at ^ 0x1000, val = 0;
        bool done = true;

        random_registers(r, &state);
        if (what == 0)
            done = bus_mmio_read_run(r[0]->m, at, size, buf[0], n);
        else if (what == 1)
            done = bus_mmio_write_run(r[0]->m, at, size, buf[0], n);
        else if (what == 2)
            done = bus_mmio_fill(r[0]->m, at, size, (u32)state, n);
        else
            done = bus_mmio_copy(r[0]->m, at, from, size, n);
        for (u32 k = 0; k < n * size && done; k += size) {
            val = what == 2 ? (u32)state : 0;
            if (what == 0 || what == 3)
                val = bus_mmio_read(r[1]->m, (what ? from : at) + k, size);
            else if (what == 1)
                memcpy(&val, buf[0] + k, size);
            if (what == 0)
                CHECK(!memcmp(buf[0] + k, &val, size));
            else
                bus_mmio_write(r[1]->m, at + k, size, (u32)val);
        }
        runs += done;
        CHECK_EQ(card(r[0])->latch, card(r[1])->latch);
    }
    CHECK(runs > 10000); /* mapped, else */
    CHECK(!memcmp(card(r[0])->vram, card(r[1])->vram, 4 * VGA_PLANE));
}

TEST(vga_window, repeated_strings_reach_the_planes)
{
    static const u8 program[] = { 0xb9, 0x28, 0x00, 0xf3, 0xab,         /* mov cx, 40; rep stosw */
                                  0x31, 0xf6, 0xb9, 0x50, 0x00, 0xf3, 0x26, 0xa4, 0xf4 };
    struct rig *r = vga_rig(&vga_mode_12); /* xor si, si; mov cx, 80; rep movsb from ES; hlt */
    struct vcpu *cpu = r->m->cpu;

    cpu_reset(cpu);
    memcpy(mmu_ram(cpu->mmu) + 0x10000, program, sizeof(program));
    cpu_load_segment_real(cpu, CS, 0x1000);
    cpu_load_segment_real(cpu, ES, 0xa000);
    cpu->eip = 0;
    cpu->gpr[EDI] = 0;
    cpu->gpr[EAX] = 0x5aa5;
    vga_gc(r, 5, 0);
    while (!(cpu->requests & REQ_HALT))
        cpu_step(cpu);
    for (u32 i = 0; i < 160; i++)
        CHECK_EQ(((u32 *)card(r)->vram)[i], i & 1 ? 0x5a5a5a5au : 0xa5a5a5a5u);
    CHECK_EQ(cpu->gpr[EDI], 160);
    CHECK_EQ(cpu->gpr[ESI], 80);
    CHECK_EQ(cpu->gpr[ECX], 0);
}

/* Over each other, as a screen that scrolls down: from RAM, inside the planes, and to RAM. */
TEST(vga_window, repeated_strings_reach_the_planes_downwards)
{
    static const u8 program[] = {
        0xfd, 0x0e, 0x1f, 0xbe, 0x5e, 0x80, 0xbf, 0x5e, 0x00, /* std; DS = CS; SI, DI */
        0xb9, 0x30, 0x00, 0xf3, 0xa5, 0x06, 0x1f,             /* 48 words; DS = ES */
        0xbe, 0x5f, 0x00, 0xbf, 0x6f, 0x00, 0xb9, 0x60, 0x00, 0xf3, 0xa4, /* 96 bytes */
        0x0e, 0x07, 0xbe, 0x6f, 0x00, 0xbf, 0x5f, 0x90, 0xb9, 0x60, 0x00, /* ES = CS */
        0xf3, 0xa4, 0x1e, 0x07,                               /* 96 bytes; ES = DS */
        0xbf, 0xfe, 0x01, 0xb9, 0x10, 0x00, 0xf3, 0xab, 0xf4, /* rep stosw of 16; hlt */
    };
    struct rig *r = vga_rig(&vga_mode_12);
    struct vcpu *cpu = r->m->cpu;
    u8 *code = mmu_ram(cpu->mmu) + 0x10000;

    cpu_reset(cpu);
    memcpy(code, program, sizeof(program));
    for (u32 i = 0; i < 96; i++)
        code[0x8000 + i] = (u8)(i * 7 + 1);
    cpu_load_segment_real(cpu, CS, 0x1000);
    cpu_load_segment_real(cpu, ES, 0xa000);
    cpu->eip = 0;
    cpu->gpr[EAX] = 0x5aa5;
    vga_gc(r, 5, 0);
    while (!(cpu->requests & REQ_HALT))
        cpu_step(cpu);
    for (u32 i = 0; i < 96; i++) {
        CHECK_EQ(vga_peek(r, 0xa0010 + i), (u8)(i * 7 + 1));
        CHECK_EQ(code[0x9000 + i], (u8)(i * 7 + 1));
    }
    for (u32 i = 0; i < 32; i++)
        CHECK_EQ(vga_peek(r, 0xa01e0 + i), i & 1 ? 0x5a : 0xa5);
    CHECK_EQ(vga_peek(r, 0xa01df), 0);
    CHECK_EQ(cpu->gpr[EDI], 0x1de);
    CHECK_EQ(cpu->gpr[ECX], 0);
}
