/*
 * The DSDT: what the board has, in ACPI's terms. Each function writes the ASL of its comment.
 *
 * Interrupts: a PCI pin leads to one of four links, which _SRS routes by the PIIX3's PIRQRC
 * registers to ISA interrupt 5, 10 or 11 (with the I/O APIC: its pin of that number), as the
 * firmware does. Slot 1's pin A is the PIIX4's SCI, fixed at 9.
 */
#include "devices/acpi.h"
#include "devices/hpet.h"

#include <stdlib.h>

static const u8 pci_irqs[] = {5, 10, 11};
static const u8 sci_irq[] = {9};

/* ---- ISA devices ---- */

struct isa_device {
    const char *name, *id;
    u32 uid;
    struct {
        u16 base, count;
    } io[4];
    i8 irq, dma; /* -1: none */
};

/* clang-format off */
static const struct isa_device isa_devices[] = {
    {"PIC",  "PNP0000", 0, {{0x20, 2}, {0xa0, 2}, {0x4d0, 2}},                  2, -1},
    {"TMR",  "PNP0100", 0, {{0x40, 4}},                                         0, -1},
    {"DMAC", "PNP0200", 0, {{0x00, 16}, {0x81, 15}, {0xc0, 32}},               -1,  4},
    {"SPKR", "PNP0800", 0, {{0x61, 1}},                                        -1, -1},
    {"MATH", "PNP0C04", 0, {{0xf0, 1}},                                        13, -1},
    {"RTC",  "PNP0B00", 0, {{0x70, 2}},                                         8, -1},
    {"KBD",  "PNP0303", 0, {{0x60, 1}, {0x64, 1}},                              1, -1},
    {"MOU",  "PNP0F13", 0, {{0}},                                              12, -1},
    {"FDC0", "PNP0700", 0, {{0x3f2, 4}, {0x3f7, 1}},                            6,  2},
    {"COM1", "PNP0501", 1, {{0x3f8, 8}},                                        4, -1},
    {"COM2", "PNP0501", 2, {{0x2f8, 8}},                                        3, -1},
};
/* clang-format on */

/* Device (COM1) { Name (_HID, EisaId ("PNP0501")) Name (_UID, 1) Name (_CRS, …) } */
static void dsdt_isa_device(struct aml *a, const struct isa_device *d)
{
    u32 device = aml_open_named(a, AML_DEVICE, d->name);
    struct aml r = {0};

    aml_name_eisaid(a, "_HID", d->id);
    if (d->uid)
        aml_name_int(a, "_UID", d->uid);
    for (u32 i = 0; i < ARRAY_SIZE(d->io) && d->io[i].count; i++)
        aml_res_io(&r, d->io[i].base, d->io[i].count);
    if (d->irq >= 0)
        aml_res_irq(&r, d->irq);
    if (d->dma >= 0)
        aml_res_dma(&r, d->dma);
    aml_resources(a, "_CRS", &r);
    aml_close(a, device);
}

/* OperationRegion (PIRQ, PCI_Config, 0x60, 4) */
static void dsdt_pirq_region(struct aml *a)
{
    aml_op(a, AML_OP_REGION);
    aml_path(a, "PIRQ");
    aml_u8(a, 2); /* PCI_Config */
    aml_int(a, 0x60);
    aml_int(a, 4);
}

/* Device (ISA) { Name (_ADR, 0x00010000) … } */
static void dsdt_isa(struct aml *a, bool com2)
{
    u32 devices = ARRAY_SIZE(isa_devices) - (com2 ? 0 : 1); /* COM2 is the last */
    u32 isa = aml_open_named(a, AML_DEVICE, "ISA");

    aml_name_int(a, "_ADR", 0x00010000);
    dsdt_pirq_region(a);
    for (u32 i = 0; i < devices; i++)
        dsdt_isa_device(a, &isa_devices[i]);
    aml_close(a, isa);
}

/* ---- Interrupt links ---- */

/* Field (PCI0.ISA.PIRQ, ByteAcc, NoLock, Preserve) { PRQ0, 8, PRQ1, 8, PRQ2, 8, PRQ3, 8 } */
static void dsdt_pirq_registers(struct aml *a)
{
    u32 field = aml_open_named(a, AML_FIELD, "PCI0.ISA.PIRQ");

    aml_u8(a, 1); /* ByteAcc */
    for (u32 i = 0; i < 4; i++) {
        aml_path(a, (char[]){'P', 'R', 'Q', '0' + i, 0});
        aml_u8(a, 8); /* bits, as a PkgLength */
    }
    aml_close(a, field);
}

/* Method (IQST, 1) { If (And (Arg0, 0x80)) { Return (9) } Return (11) }: disabled or not */
static void dsdt_link_status(struct aml *a)
{
    u32 method = aml_open_method(a, "IQST", 1, false);
    u32 branch = aml_open(a, AML_IF);

    aml_op(a, AML_AND);
    aml_op(a, AML_ARG0);
    aml_int(a, 0x80);
    aml_op(a, AML_ZERO);
    aml_op(a, AML_RETURN);
    aml_int(a, 9);
    aml_close(a, branch);
    aml_op(a, AML_RETURN);
    aml_int(a, 11);
    aml_close(a, method);
}

/* Method (IQCR, 1, Serialized) {
 *     Name (PRR0, ResourceTemplate () { Interrupt (, Level, ActiveHigh, Shared) { 0 } })
 *     CreateDWordField (PRR0, 5, PRRI)
 *     If (LLess (Arg0, 0x80)) { Store (Arg0, PRRI) }
 *     Return (PRR0) } */
static void dsdt_link_current(struct aml *a)
{
    static const u8 none[] = {0};
    u32 method = aml_open_method(a, "IQCR", 1, true);
    struct aml r = {0};

    aml_res_interrupts(&r, none, 1);
    aml_resources(a, "PRR0", &r);
    aml_op(a, AML_CREATE_DWORD_FIELD);
    aml_path(a, "PRR0");
    aml_int(a, 5);
    aml_path(a, "PRRI");
    u32 branch = aml_open(a, AML_IF);
    aml_op(a, AML_LLESS);
    aml_op(a, AML_ARG0);
    aml_int(a, 0x80);
    aml_op(a, AML_STORE);
    aml_op(a, AML_ARG0);
    aml_path(a, "PRRI");
    aml_close(a, branch);
    aml_op(a, AML_RETURN);
    aml_path(a, "PRR0");
    aml_close(a, method);
}

/* Method (name) { Return (helper (PRQn)) } */
static void dsdt_link_ask(struct aml *a, const char *name, const char *helper, const char *reg)
{
    u32 method = aml_open_method(a, name, 0, false);

    aml_op(a, AML_RETURN);
    aml_path(a, helper);
    aml_path(a, reg);
    aml_close(a, method);
}

/* Method (_DIS) { Or (PRQn, 0x80, PRQn) }
 * Method (_SRS, 1) { CreateDWordField (Arg0, 5, PRRI) Store (PRRI, PRQn) } */
static void dsdt_link_set(struct aml *a, const char *reg)
{
    u32 method = aml_open_method(a, "_DIS", 0, false);

    aml_op(a, AML_OR);
    aml_path(a, reg);
    aml_int(a, 0x80);
    aml_path(a, reg);
    aml_close(a, method);
    method = aml_open_method(a, "_SRS", 1, false);
    aml_op(a, AML_CREATE_DWORD_FIELD);
    aml_op(a, AML_ARG0);
    aml_int(a, 5);
    aml_path(a, "PRRI");
    aml_op(a, AML_STORE);
    aml_path(a, "PRRI");
    aml_path(a, reg);
    aml_close(a, method);
}

/* Device (LNKA) { Name (_HID, EisaId ("PNP0C0F")) … }, n: 0 to 3 */
static void dsdt_link(struct aml *a, u32 n)
{
    char name[] = {'L', 'N', 'K', 'A' + n, 0}, reg[] = {'P', 'R', 'Q', '0' + n, 0};
    u32 device = aml_open_named(a, AML_DEVICE, name);
    struct aml r = {0};

    aml_name_eisaid(a, "_HID", "PNP0C0F");
    aml_name_int(a, "_UID", n);
    aml_res_interrupts(&r, pci_irqs, ARRAY_SIZE(pci_irqs));
    aml_resources(a, "_PRS", &r);
    dsdt_link_ask(a, "_STA", "IQST", reg);
    dsdt_link_ask(a, "_CRS", "IQCR", reg);
    dsdt_link_set(a, reg);
    aml_close(a, device);
}

/* Device (LNKS): the SCI, which nobody can move */
static void dsdt_link_sci(struct aml *a)
{
    u32 device = aml_open_named(a, AML_DEVICE, "LNKS");
    struct aml r = {0};

    aml_name_eisaid(a, "_HID", "PNP0C0F");
    aml_name_int(a, "_UID", 4);
    aml_res_interrupts(&r, sci_irq, 1);
    aml_resources(a, "_PRS", &r);
    aml_res_interrupts(&r, sci_irq, 1);
    aml_resources(a, "_CRS", &r);
    aml_name_int(a, "_STA", 11);
    aml_close(a, aml_open_method(a, "_DIS", 0, false));
    aml_close(a, device);
}

/* ---- The host bridge ---- */

/* Name (_PRT, Package { Package { 0x0001ffff, 0, LNKS, 0 }, … }): as pci.c wires the slots */
static void dsdt_routing(struct aml *a)
{
    enum { SLOTS = 31 };

    aml_op(a, AML_NAME);
    aml_path(a, "_PRT");
    u32 table = aml_open_package(a, SLOTS * 4);
    for (u32 slot = 1; slot <= SLOTS; slot++) {
        for (u32 pin = 0; pin < 4; pin++) {
            char link[] = {'L', 'N', 'K', 'A' + (slot - 1 + pin) % 4, 0};
            u32 entry = aml_open_package(a, 4);

            aml_int(a, slot << 16 | 0xffff);
            aml_int(a, pin);
            aml_path(a, slot == 1 && pin == 0 ? "LNKS" : link);
            aml_int(a, 0);
            aml_close(a, entry);
        }
    }
    aml_close(a, table);
}

/* Device (PCI0) { Name (_HID, EisaId ("PNP0A03")) Name (_CRS, …) Name (_PRT, …) Device (ISA) …
 * } */
static void dsdt_pci(struct aml *a, u32 window, bool com2)
{
    u32 pci = aml_open_named(a, AML_DEVICE, "PCI0");
    struct aml r = {0};

    aml_name_eisaid(a, "_HID", "PNP0A03");
    aml_name_int(a, "_ADR", 0);
    aml_name_int(a, "_UID", 0);
    aml_res_word(&r, 2, 0, 0, 0xff); /* buses */
    aml_res_io(&r, 0xcf8, 8);
    aml_res_word(&r, 1, 3, 0x0000, 0x0cf7); /* I/O, the entire range */
    aml_res_word(&r, 1, 3, 0x0d00, 0xffff);
    aml_res_dword(&r, 3, 0xa0000, 0xbffff); /* cacheable, read and write */
    aml_res_dword(&r, 1, window, 0xfebfffff);
    aml_resources(a, "_CRS", &r);
    dsdt_routing(a);
    dsdt_isa(a, com2);
    aml_close(a, pci);
}

/* Scope (_PR) { Processor (CPU0, 0, 0, 0) {} } */
static void dsdt_processor(struct aml *a)
{
    u32 scope = aml_open_named(a, AML_SCOPE, "\\_PR");
    u32 processor = aml_open_named(a, AML_PROCESSOR, "CPU0");

    aml_u8(a, 0);  /* id, as in the MADT */
    aml_u32(a, 0); /* no P_BLK */
    aml_u8(a, 0);
    aml_close(a, processor);
    aml_close(a, scope);
}

/* Name (_S3, Package { 1, 1, 0, 0 }): to write to SLP_TYP of PM1a and PM1b */
static void dsdt_sleep_state(struct aml *a, const char *name, u32 type)
{
    aml_op(a, AML_NAME);
    aml_path(a, name);
    u32 package = aml_open_package(a, 4);
    for (u32 i = 0; i < 4; i++)
        aml_int(a, i < 2 ? type : 0);
    aml_close(a, package);
}

/* The types are QEMU's, and piix4.c's. */
static void dsdt_sleep(struct aml *a)
{
    dsdt_sleep_state(a, "\\_S3", 1);
    dsdt_sleep_state(a, "\\_S4", 2);
    dsdt_sleep_state(a, "\\_S5", 0);
}

/* Device (HPET) { Name (_HID, EisaId ("PNP0103")) Name (_CRS, … Memory32Fixed …) } */
static void dsdt_hpet(struct aml *a)
{
    u32 device = aml_open_named(a, AML_DEVICE, "HPET");
    struct aml r = {0};

    aml_name_eisaid(a, "_HID", "PNP0103");
    aml_res_memory(&r, HPET_BASE, 0x400);
    aml_resources(a, "_CRS", &r);
    aml_close(a, device);
}

void dsdt_build(struct aml *a, u32 pci_window, const struct acpi_config *config)
{
    dsdt_processor(a);
    dsdt_sleep(a);
    u32 scope = aml_open_named(a, AML_SCOPE, "\\_SB");
    dsdt_pci(a, pci_window, config->com2);
    if (config->hpet)
        dsdt_hpet(a);
    dsdt_pirq_registers(a);
    dsdt_link_status(a);
    dsdt_link_current(a);
    for (u32 n = 0; n < 4; n++)
        dsdt_link(a, n);
    dsdt_link_sci(a);
    aml_close(a, scope);
}
