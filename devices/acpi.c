/*
 * The ACPI tables RSDP, RSDT, FADT, FACS, MADT and DSDT (ACPI 1.0b, 5.2), the HPET's (IA-PC HPET
 * 1.0a, 3.2.4), and the script by which SeaBIOS places them (QEMU's table loader: allocate files, add addresses, compute
 * checksums).
 *
 * All tables but the RSDP are one file. Pointers hold offsets in it, and the script says which
 * words are pointers; whatever checksum covers one is computed by the script, after them.
 */
#include "devices/acpi.h"
#include "devices/fw_cfg.h"
#include "devices/hpet.h"

#include <stdlib.h>
#include <string.h>

#define RSDP_FILE "etc/acpi/rsdp"
#define TABLES_FILE "etc/acpi/tables"

enum { /* table loader */
    LOAD_ALLOCATE = 1, LOAD_ADD_POINTER = 2, LOAD_ADD_CHECKSUM = 3,
    ZONE_HIGH = 1, ZONE_FSEG = 2, FILE_NAME = 56, ENTRY_SIZE = 128,
};
enum { /* offsets: header 5.2.3, RSDP 5.2.4.1, RSDT 5.2.5 */
    HEADER_LENGTH = 4, HEADER_CHECKSUM = 9, HEADER_SIZE = 36,
    RSDP_CHECKSUM = 8, RSDP_RSDT = 16, RSDP_SIZE = 20,
    FADT_FACS = 36, FADT_DSDT = 40,
};
enum { SCI_IRQ = 9, SMI_COMMAND = 0xb2, ACPI_ENABLE = 0xf1, ACPI_DISABLE = 0xf0, CENTURY = 0x32 };
enum { /* 5.2.5, table 5-5: FADT flags */
    FADT_WBINVD = 1, FADT_PROC_C1 = 4, FADT_SLP_BUTTON = 0x20, FADT_FIX_RTC = 0x40,
};
#define LAPIC_BASE 0xfee00000u
#define IOAPIC_BASE 0xfec00000u

struct acpi {
    struct aml tables; /* the file etc/acpi/tables */
    struct aml rsdp, loader;
};

/* ---- The loader's script ---- */

static void loader_name(struct aml *l, const char *name)
{
    char padded[FILE_NAME] = {0};

    snprintf(padded, sizeof(padded), "%s", name);
    aml_bytes(l, padded, sizeof(padded));
}

static void loader_pad(struct aml *l)
{
    while (l->size % ENTRY_SIZE)
        aml_u8(l, 0);
}

static void loader_allocate(struct aml *l, const char *file, u32 align, u32 zone)
{
    aml_u32(l, LOAD_ALLOCATE);
    loader_name(l, file);
    aml_u32(l, align);
    aml_u8(l, zone);
    loader_pad(l);
}

/* The 4-byte word at `offset` of `file` holds an offset in TABLES_FILE: make it an address. */
static void loader_add_pointer(struct aml *l, const char *file, u32 offset)
{
    aml_u32(l, LOAD_ADD_POINTER);
    loader_name(l, file);
    loader_name(l, TABLES_FILE);
    aml_u32(l, offset);
    aml_u8(l, 4);
    loader_pad(l);
}

static void loader_add_checksum(struct aml *l, const char *file, u32 at, u32 start, u32 length)
{
    aml_u32(l, LOAD_ADD_CHECKSUM);
    loader_name(l, file);
    aml_u32(l, at);
    aml_u32(l, start);
    aml_u32(l, length);
    loader_pad(l);
}

/* ---- Tables ---- */

static u32 table_open(struct aml *t, const char *signature, u32 revision)
{
    u32 at = t->size;

    aml_bytes(t, signature, 4);
    aml_u32(t, 0); /* length */
    aml_u8(t, revision);
    aml_u8(t, 0); /* checksum */
    aml_bytes(t, "RING3 ", 6);
    aml_bytes(t, "RING3PC ", 8);
    aml_u32(t, 1);
    aml_bytes(t, "RNG3", 4);
    aml_u32(t, 1);
    return at;
}

static void table_close(struct acpi *a, u32 at)
{
    u32 length = a->tables.size - at;

    memcpy(a->tables.data + at + HEADER_LENGTH, &length, 4);
    loader_add_checksum(&a->loader, TABLES_FILE, at + HEADER_CHECKSUM, at, length);
}

static u32 acpi_facs(struct acpi *a)
{
    u32 at = a->tables.size;

    aml_bytes(&a->tables, "FACS", 4);
    aml_u32(&a->tables, 64);
    for (u32 i = 8; i < 64; i++)
        aml_u8(&a->tables, 0);
    return at;
}

static u32 acpi_dsdt(struct acpi *a, const struct acpi_config *config)
{
    u32 at = table_open(&a->tables, "DSDT", 1);
    u64 ram = config->ram;
    u32 window = ram <= GIB(2) ? 0x80000000 : ram <= GIB(3) ? 0xc0000000 : 0xe0000000;

    dsdt_build(&a->tables, window, config);
    table_close(a, at);
    return at;
}

/* 5.2.5, from offset 36 on. */
static u32 acpi_fadt(struct acpi *a, u32 facs, u32 dsdt)
{
    const struct {
        u8 size;
        u32 value;
    } fields[] = {
        {4, facs}, {4, dsdt}, {1, 1 /* multiple PIC */}, {1, 0}, {2, SCI_IRQ}, {4, SMI_COMMAND},
        {1, ACPI_ENABLE}, {1, ACPI_DISABLE}, {1, 0}, {1, 0}, /* no S4BIOS */
        {4, ACPI_PM_BASE}, {4, 0}, {4, ACPI_PM_BASE + 4}, {4, 0}, {4, 0}, /* PM1a, PM1b, PM2 */
        {4, ACPI_PM_BASE + 8}, {4, ACPI_PM_BASE + 12}, {4, 0}, /* timer, GPE0, GPE1 */
        {1, 4}, {1, 2}, {1, 0}, {1, 4}, {1, 4}, {1, 0}, {1, 0}, {1, 0}, /* lengths, GPE1 base */
        {2, 0xfff}, {2, 0xfff}, {2, 0}, {2, 0}, {1, 0}, {1, 0}, /* no C2, C3, throttling */
        {1, 0}, {1, 0}, {1, CENTURY}, {1, 0}, {1, 0}, {1, 0},
        {4, FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_FIX_RTC},
    };
    u32 at = table_open(&a->tables, "FACP", 1);

    for (u32 i = 0; i < ARRAY_SIZE(fields); i++)
        aml_bytes(&a->tables, &fields[i].value, fields[i].size);
    loader_add_pointer(&a->loader, TABLES_FILE, at + FADT_FACS);
    loader_add_pointer(&a->loader, TABLES_FILE, at + FADT_DSDT);
    table_close(a, at);
    return at;
}

static void madt_override(struct aml *t, u32 irq, u32 pin, u32 flags)
{
    aml_bytes(t, (u8[]){2, 10, 0 /* ISA */, irq}, 4);
    aml_u32(t, pin);
    aml_u16(t, flags);
}

/* 5.2.8: one local APIC, one I/O APIC; the timer is at its pin 2, PCI and SCI are level. */
static u32 acpi_madt(struct acpi *a)
{
    static const u8 level[] = {5, 9, 10, 11};
    struct aml *t = &a->tables;
    u32 at = table_open(t, "APIC", 1);

    aml_u32(t, LAPIC_BASE);
    aml_u32(t, 1); /* PCAT_COMPAT: 8259s too */
    aml_bytes(t, (u8[]){0, 8, 0, 0, 1, 0, 0, 0}, 8); /* CPU 0, APIC ID 0, enabled */
    aml_bytes(t, (u8[]){1, 12, 0, 0}, 4); /* I/O APIC, ID 0 */
    aml_u32(t, IOAPIC_BASE);
    aml_u32(t, 0); /* its first interrupt */
    madt_override(t, 0, 2, 0);
    for (u32 i = 0; i < ARRAY_SIZE(level); i++)
        madt_override(t, level[i], level[i], 0xd); /* active high, level */
    aml_bytes(t, (u8[]){4, 6, 0xff, 0, 0, 1}, 6); /* NMI at LINT1 */
    table_close(a, at);
    return at;
}

static u32 acpi_hpet(struct acpi *a)
{
    struct aml *t = &a->tables;
    u32 at = table_open(t, "HPET", 1);

    aml_u32(t, HPET_ID);
    aml_bytes(t, (u8[]){0 /* memory */, 64, 0, 0}, 4);
    aml_u32(t, HPET_BASE);
    aml_u32(t, 0);
    aml_u8(t, 0);      /* the first one */
    aml_u16(t, 0x80);  /* shortest period that loses nothing, ticks */
    aml_u8(t, 0);      /* its page is not guaranteed to hold nothing else */
    table_close(a, at);
    return at;
}

static u32 acpi_rsdt(struct acpi *a, const u32 *table, u32 n)
{
    u32 at = table_open(&a->tables, "RSDT", 1);

    for (u32 i = 0; i < n; i++) {
        loader_add_pointer(&a->loader, TABLES_FILE, a->tables.size);
        aml_u32(&a->tables, table[i]);
    }
    table_close(a, at);
    return at;
}

static void acpi_rsdp(struct acpi *a, u32 rsdt)
{
    aml_bytes(&a->rsdp, "RSD PTR ", 8);
    aml_u8(&a->rsdp, 0); /* checksum */
    aml_bytes(&a->rsdp, "RING3 ", 6);
    aml_u8(&a->rsdp, 0);
    aml_u32(&a->rsdp, rsdt);
    loader_add_pointer(&a->loader, RSDP_FILE, RSDP_RSDT);
    loader_add_checksum(&a->loader, RSDP_FILE, RSDP_CHECKSUM, 0, RSDP_SIZE);
}

/* ---- To the firmware ---- */

static void acpi_publish(struct device *fw_cfg, const char *name, struct aml *file)
{
    u8 *data = machine_alloc(fw_cfg->machine, file->size);

    memcpy(data, file->data, file->size);
    fw_cfg_add_file(fw_cfg, name, data, file->size);
    free(file->data);
}

/* For firmware that makes tables of its own: S0 to S5, bit 7: it exists; bits 0 to 2: its SLP_TYP. */
static const u8 sleep_states[6] = {0x80, 0, 0, 0x81, 0x82, 0x80};

void acpi_build(struct device *fw_cfg, const struct acpi_config *config)
{
    struct acpi a = {0};
    u32 table[3], n = 0;

    loader_allocate(&a.loader, RSDP_FILE, 16, ZONE_FSEG);
    loader_allocate(&a.loader, TABLES_FILE, 64, ZONE_HIGH); /* the FACS wants 64 */
    u32 facs = acpi_facs(&a);
    u32 dsdt = acpi_dsdt(&a, config);
    table[n++] = acpi_fadt(&a, facs, dsdt);
    if (config->apic)
        table[n++] = acpi_madt(&a);
    if (config->hpet)
        table[n++] = acpi_hpet(&a);
    acpi_rsdp(&a, acpi_rsdt(&a, table, n));
    acpi_publish(fw_cfg, RSDP_FILE, &a.rsdp);
    acpi_publish(fw_cfg, TABLES_FILE, &a.tables);
    acpi_publish(fw_cfg, "etc/table-loader", &a.loader);
    fw_cfg_add_file(fw_cfg, "etc/system-states", sleep_states, sizeof(sleep_states));
}
