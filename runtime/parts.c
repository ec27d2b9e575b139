/*
 * The board's parts list: what is on it, and which wire goes where.
 */
#include "runtime/parts.h"
#include "cpu/cpuid.h"
#include "cpu/deliver.h"
#include "cpu/reset.h"
#include "devices/a20.h"
#include "devices/ata.h"
#include "devices/cfi_flash.h"
#include "devices/disk.h"
#include "devices/ferr.h"
#include "devices/fw_cfg.h"
#include "devices/gd5446.h"
#include "devices/hpet.h"
#include "devices/i440fx.h"
#include "devices/i8042.h"
#include "devices/i82077.h"
#include "devices/i8237.h"
#include "devices/i8254.h"
#include "devices/i8259.h"
#include "devices/ioapic.h"
#include "devices/isa_bios.h"
#include "devices/lapic.h"
#include "devices/lpt.h"
#include "devices/mc146818.h"
#include "devices/ns16550.h"
#include "devices/pci.h"
#include "devices/pcspk.h"
#include "devices/piix3.h"
#include "devices/piix4.h"
#include "devices/port92.h"
#include "devices/post.h"
#include "devices/vga.h"
#include "devices/vmport.h"
#include "runtime/boot/boot.h"
#include "runtime/control/chardev.h"
#include "runtime/machine/engines.h"
#include "runtime/machine/loop.h"
#include "runtime/machine/pins.h"
#include "runtime/machine/run.h"
#include "runtime/machine/sampler.h"
#include "runtime/machine/services.h"
#include "runtime/options/option_devices.h"
#include "runtime/network/network.h"
#include "runtime/sound/sound.h"
#include "runtime/storage/disk.h"
#include "runtime/user_devices.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct device *part(struct machine *m, const struct device_class *class,
                           const void *config)
{
    struct device *dev = device_new(m, class, config);

    if (!dev)
        die("the board's %s could not be set up", class->name);
    return dev;
}

/* ---- Wires ---- */

/* An ISA interrupt reaches the 8259s, and the I/O APIC at the same pin (0 at pin 2: the MADT
 * and the MP table say so). */
static void isa_line(struct machine *m, u32 line, bool level)
{
    trace(TRACE_IRQ, "isa %u %s", line, level ? "high" : "low");
    m->isa_raised[line] += level;
    i8259_set(m->i8259, line, level);
    if (m->ioapic)
        ioapic_set(m->ioapic, line == 0 ? 2 : line, level);
}

static void rtc_alarm(struct machine *m)
{
    if (m->piix4)
        piix4_rtc_alarm(m->piix4);
}

/* Those of the 8254 and the MC146818 lead through the HPET, which may take their place. */
static void isa_wire(void *owner, u32 pin, bool level)
{
    struct machine *m = owner;

    if (m->hpet && (pin == 0 || pin == 8))
        hpet_isa_input(m->hpet, pin, level);
    else
        isa_line(m, pin, level);
}

static bool isa_busy(struct machine *m, u32 line)
{
    if (!m->ioapic || !i8259_masked(m->i8259, line))
        return i8259_busy(m->i8259, line);
    return ioapic_busy(m->ioapic, line == 0 ? 2 : line);
}

static void ioapic_pin(struct machine *m, u32 pin, bool level)
{
    ioapic_set(m->ioapic, pin, level);
}

static bool ioapic_pin_busy(struct machine *m, u32 pin)
{
    return ioapic_busy(m->ioapic, pin);
}

/* The 8259s' INTR goes to LINT0 of the local APIC, which passes it on ("virtual wire"), and to
 * pin 0 of the I/O APIC. */
static void intr_wire(void *owner, u32 pin, bool level)
{
    struct machine *m = owner;

    lapic_set_lint(m->lapic, 0, level);
    ioapic_set(m->ioapic, 0, level);
}

/* Without an APIC, INTR is the processor's pin. */
static void plain_intr_wire(void *owner, u32 pin, bool level)
{
    cpu_set_intr(((struct machine *)owner)->cpu, level);
}

static int plain_intr_ack(struct vcpu *cpu)
{
    return i8259_ack(machine_of(cpu)->i8259);
}

static void core_intr(struct machine *m, bool level)
{
    cpu_set_intr(m->cpu, level);
}

/* INIT of the only processor leaves nobody who remembers: it restarts the machine as RESET
 * does. There is no SMM, so nobody answers an SMI. */
static void core_event(struct machine *m, u32 delivery)
{
    if (delivery == 4)
        cpu_raise_nmi(m->cpu);
    else if (delivery == 5)
        machine_request(m, MACHINE_RESET);
}

static u8 core_inta(struct machine *m)
{
    return i8259_ack(m->i8259);
}

static void apic_eoi(struct machine *m, u8 vector)
{
    ioapic_eoi(m->ioapic, vector);
}

static bool apic_send(struct machine *m, u8 vector, u32 delivery, u8 destination, bool logical,
                      bool level)
{
    return lapic_message(m->lapic, vector, delivery, destination, logical, level);
}

static bool apic_busy(struct machine *m, u8 vector)
{
    return lapic_busy(m->lapic, vector);
}

static int intr_ack(struct vcpu *cpu)
{
    return lapic_ack(machine_of(cpu)->lapic);
}

static void ferr_wire(struct vcpu *cpu, bool level)
{
    ferr_set(machine_of(cpu)->ferr, level);
}

static u64 apic_base_read(const struct vcpu *cpu)
{
    return lapic_base_msr_read(machine_of(cpu)->lapic);
}

static bool apic_base_write(struct vcpu *cpu, u64 val)
{
    return lapic_base_msr_write(machine_of(cpu)->lapic, val);
}

static void core_ignne(struct machine *m, bool level)
{
    m->cpu->ignne = level;
}

/* ---- Parts ---- */

static void make_apics(struct machine *m)
{
    static const struct lapic_config lapic = { core_intr, core_event, core_inta, apic_eoi };
    static const struct ioapic_config ioapic = { apic_send, apic_busy };

    m->lapic = part(m, &lapic_class, &lapic);
    m->ioapic = part(m, &ioapic_class, &ioapic);
    irq_init(i8259_output(m->i8259), intr_wire, m, 0);
    m->cpu->pins.intr_ack = intr_ack;
    m->cpu->pins.apic_base_read = apic_base_read;
    m->cpu->pins.apic_base_write = apic_base_write;
}

static void make_interrupts(struct machine *m)
{
    static const struct ferr_config ferr = { core_ignne };

    for (u32 i = 0; i < 16; i++)
        irq_init(&m->isa[i], isa_wire, m, i);
    m->i8259 = part(m, &i8259_class, NULL);
    irq_init(i8259_output(m->i8259), plain_intr_wire, m, 0);
    m->cpu->pins.intr_ack = plain_intr_ack;
    if (!m->options->isapc)
        make_apics(m);
    m->ferr = part(m, &ferr_class, &ferr);
    m->cpu->pins.ferr = ferr_wire;
}

static struct disk *open_drive(struct options *o, const struct drive_options *drive,
                               enum disk_kind kind)
{
    struct drive_options d = *drive;
    const char *error;
    struct disk *disk;

    d.snapshot |= o->snapshot;
    disk = disk_open(&d, kind, &error);
    if (!disk)
        die("%s", error);
    return disk;
}

static void open_drives(struct machine *m)
{
    struct options *o = m->options;

    for (u32 i = 0; i < 2; i++)
        if (o->floppy[i].present || i == 0) /* a PC has one floppy drive, empty or not */
            m->floppy[i] = open_drive(o, &o->floppy[i], DISK_FLOPPY);
    for (u32 i = 0; i < 4; i++) {
        struct drive_options *d = &o->ide[i / 2][i % 2];

        if (d->present)
            m->ide[i / 2][i % 2] = open_drive(o, d, d->cdrom ? DISK_CD : DISK_HARD);
    }
}

/* The PCI bus and what is on it without a wire to elsewhere. The bridge's wire to the disks
 * comes later. */
static struct piix3_config *make_pci(struct machine *m, struct pci_slot *slot,
                                     struct boot_chips *boot)
{
    struct pci_config *pci = machine_alloc(m, sizeof(*pci));
    struct piix3_config *piix3 = machine_alloc(m, sizeof(*piix3));

    slot->bus = part(m, &pci_class, pci);
    piix3->slot = *slot;
    boot->i440fx = part(m, &i440fx_class, slot);
    *pci = (struct pci_config){ piix3_set_pirq, piix3_rcr_read, piix3_rcr_write,
                                part(m, &piix3_class, piix3) };
    if (!m->options->no_acpi) /* SeaBIOS makes tables of its own where the chip is */
        m->piix4 = part(m, &piix4_class, slot);
    return piix3;
}

static void make_timer(struct machine *m, struct boot_chips *boot)
{
    static const struct mc146818_config rtc = { rtc_alarm };
    static const struct hpet_config hpet = { isa_line, ioapic_pin, isa_busy, ioapic_pin_busy };
    struct i8254_config *timer = machine_alloc(m, sizeof(*timer));
    struct pcspk_config *speaker = machine_alloc(m, sizeof(*speaker));

    *timer = (struct i8254_config){ .i8259 = m->i8259, .ioapic = m->ioapic };
    *speaker = (struct pcspk_config){part(m, &i8254_class, timer),
                                     sound_audio(m, m->options->pcspk_audiodev)};
    if (!m->options->no_hpet)
        m->hpet = part(m, &hpet_class, &hpet);
    boot->mc146818 = part(m, &mc146818_class, &rtc);
    timer->speaker = part(m, &pcspk_class, speaker);
    timer->changing = pcspk_changing;
}

static_assert(EAX == 0 && ECX == 1 && EDX == 2 && EBX == 3,
              "as struct vmport_config wants them");
static u32 *core_registers(struct machine *m)
{
    return m->cpu->gpr;
}

static void make_backdoor(struct machine *m)
{
    struct vmport_config *c = machine_alloc(m, sizeof(*c));

    *c = (struct vmport_config){ core_registers, m->i8042 };
    m->vmport = part(m, &vmport_class, c);
}

/* The A20 gate's two switches know each other. */
static void make_keyboard(struct machine *m)
{
    struct a20_config *to_port92 = machine_alloc(m, sizeof(*to_port92));
    struct a20_config *to_i8042 = machine_alloc(m, sizeof(*to_i8042));

    m->i8042 = part(m, &i8042_class, to_port92);
    *to_i8042 = (struct a20_config){ i8042_a20_follow, m->i8042 };
    *to_port92 = (struct a20_config){ port92_a20_follow, part(m, &port92_class, to_i8042) };
}

static struct device *make_disks(struct machine *m)
{
    struct ide_config *ide = machine_alloc(m, sizeof(*ide));
    struct floppy_config *floppy = machine_alloc(m, sizeof(*floppy));

    open_drives(m);
    memcpy(ide->drive, m->ide, sizeof(m->ide));
    memcpy(floppy->drive, m->floppy, sizeof(m->floppy));
    floppy->dma = m->i8237 = part(m, &i8237_class, NULL);
    part(m, &i82077_class, floppy);
    return part(m, &ata_class, ide);
}

/* The firmware's chip ends at 4 GiB, that of its variables where it begins. */
static void make_flash(struct machine *m, struct boot_chips *boot)
{
    gpa_t end = GIB(4);

    for (u32 i = 0; i < 2 && m->options->flash[i].present; i++) {
        struct flash_config *c = machine_alloc(m, sizeof(*c));
        struct disk *d = open_drive(m->options, &m->options->flash[i], DISK_HARD);
        struct device *dev;

        m->flash[i] = d;
        if (!d->size || d->size % FLASH_BLOCK || d->size > FLASH_MAX - (GIB(4) - end))
            die("-drive if=pflash: %s: flash is a multiple of 4 KiB, and both have at most 8 MiB",
                m->options->flash[i].file);
        end -= d->size;
        *c = (struct flash_config){ d, end };
        dev = part(m, &cfi_flash_class, c);
        boot->flash = boot->flash ? boot->flash : dev;
    }
}

/* COM1 is there unless a -device is, and is nobody's unless -serial says whose. */
static void make_serial(struct machine *m)
{
    struct options *o = m->options;

    for (u32 i = 0; i < MAX_SERIAL; i++) {
        struct ns16550_config *c = machine_alloc(m, sizeof(*c));

        if (!o->serial[i] && (i || wants_device(o, &ns16550_class)))
            continue;
        ns16550_place(c, i);
        if (o->serial[i])
            c->chardev = chardev_new(m, o->serial[i]);
        part(m, &ns16550_class, c);
    }
}

/* LPT1, where -parallel says whose it is. */
static void make_parallel(struct machine *m)
{
    struct lpt_config *c = machine_alloc(m, sizeof(*c));

    if (!m->options->parallel)
        return;
    c->chardev = chardev_new(m, m->options->parallel);
    part(m, &lpt_class, c);
}

/* The one of -vga, unless a -device is there instead. */
static void make_screen(struct machine *m, struct device *pci)
{
    const struct options *o = m->options;
    bool cirrus = o->vga && !strcmp(o->vga, "cirrus");
    const struct user_device *row = cirrus     ? &gd5446_user_device
                                    : o->isapc ? &isa_vga_user_device
                                               : &vga_user_device;
    struct vga_config *c = machine_alloc(m, sizeof(*c));

    if (wants_device(o, &vga_class) || wants_device(o, &gd5446_class) ||
        (o->vga && !strcmp(o->vga, "none")))
        return;
    *c = *(const struct vga_config *)row->defaults;
    c->slot.bus = pci;
    part(m, row->class, c);
}

/* The first one is the screen. */
static void find_screen(struct machine *m)
{
    m->vga = device_find(m, &vga_class, 0);
    if (!m->vga)
        m->vga = device_find(m, &gd5446_class, 0);
}

static void make_board(struct machine *m, struct boot_chips *boot)
{
    struct pci_slot *slot = machine_alloc(m, sizeof(*slot));
    struct piix3_config *piix3 = NULL;
    struct device *ata;

    make_interrupts(m);
    if (m->options->isapc)
        boot->isa_bios = part(m, &isa_bios_class, NULL);
    else
        piix3 = make_pci(m, slot, boot);
    make_timer(m, boot);
    make_keyboard(m);
    make_backdoor(m);
    make_screen(m, slot->bus);
    make_serial(m);
    make_parallel(m);
    part(m, &post_class, NULL);
    ata = make_disks(m);
    make_flash(m, boot);
    if (piix3)
        piix3->ata = ata;
    network_make_all(m, chardev_new);
    user_devices_make(m, slot->bus);
    find_screen(m);
    m->fw_cfg = part(m, &fw_cfg_class, NULL);
}

/* ---- The machine ---- */

static const struct cpu_model *find_model(const char *name)
{
    const struct cpu_model *model = cpu_models;

    while (name && model->name && strcmp(model->name, name))
        model++;
    if (!model->name)
        die("-cpu %s: no such CPU; try -cpu help", name);
    return model;
}

/* What runs the same each time has no random numbers of the host's; isapc has no APIC. */
static u64 features_off(const struct options *o)
{
    return o->cpu_off | (o->deterministic ? FEATURE_BIT(FEAT_RDRAND) : 0) |
           (o->isapc ? FEATURE_BIT(FEAT_APIC) : 0);
}

#define DETERMINISTIC_BASE "2026-01-01" /* where the user names none */

/* -rtc base: what the guest's clock says at power-on. */
static i64 rtc_base(const char *base)
{
    struct tm tm = { 0 };
    time_t now = time(NULL);

    if (!base || !strcmp(base, "utc"))
        return now;
    if (!strcmp(base, "localtime")) {
        localtime_r(&now, &tm);
        return timegm(&tm);
    }
    if (!strptime(base, "%Y-%m-%dT%H:%M:%S", &tm)) {
        memset(&tm, 0, sizeof(tm));
        if (!strptime(base, "%Y-%m-%d", &tm))
            die("-rtc base=%s: want utc, localtime, 2006-06-17 or 2006-06-17T16:01:21", base);
    }
    return timegm(&tm);
}

struct machine *machine_bare(struct options *o)
{
    struct machine *m = calloc(1, sizeof(*m));
    struct mmu_bus bus;
    struct cpu_pins pins = machine_pins(m);
    const struct cpu_model *model;

    m->options = o;
    m->bus = bus_new(&m->activity);
    bus = machine_memory_bus(m);
    m->mmu = mmu_new(o->ram, &bus);
    if (!m->mmu)
        die("-m %lluM: the host has not that much memory to give",
            (unsigned long long)(o->ram >> 20));
    if (o->plain_host)
        mmu_plain_host(m->mmu);
    model = find_model(o->cpu);
    m->cpu = cpu_new(m->mmu, model, cpu_features_of(model, o->cpu_on, features_off(o)), &pins);
    return m;
}

struct machine *machine_new(struct options *o)
{
    struct machine *m = machine_bare(o);
    struct boot_chips boot = { 0 };

    host_clock_begin(&m->host_clock);
    m->clock_manual = o->deterministic;
    m->speed.permille = o->speed_permille;
    m->speed.rate = o->speed_rate;
    if (o->deterministic && !strcmp(o->rtc_base, "utc"))
        o->rtc_base = DETERMINISTIC_BASE;
    m->wall_base = rtc_base(o->rtc_base);
    engine_attach(m, o->engine);
    make_board(m, &boot);
    boot_setup(m, &boot);
    machine_reset(m);
    m->state = o->paused ? RUN_PAUSED : RUN_RUNNING;
    return m;
}

void machine_free(struct machine *m)
{
    struct device *next;

    if (!m)
        return;
    sampler_stop(m);
    sound_free_all(m);
    network_free_all(m);
    for (struct device *d = m->devices; d; d = next) {
        next = d->next;
        free(d);
    }
    for (u32 i = 0; i < 2; i++)
        disk_close(m->floppy[i]);
    for (u32 i = 0; i < 2; i++)
        disk_close(m->flash[i]);
    for (u32 i = 0; i < 4; i++)
        disk_close(m->ide[i / 2][i % 2]);
    chardev_free_all(m);
    m->cpu->engine->detach(m->cpu);
    cpu_free(m->cpu);
    mmu_free(m->mmu);
    bus_free(m->bus);
    machine_free_allocations(m);
    free(m->keyqueue);
    loop_free(m);
    free(m);
}
