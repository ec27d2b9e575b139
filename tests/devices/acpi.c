/*
 * The ACPI tables as a firmware that runs the loader's script would leave them: signatures,
 * lengths, pointers and checksums, and an encoder of AML that agrees with the specification.
 */
#include "devices/acpi.h"
#include "devices/fw_cfg.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"
#include <stdlib.h>
#include <string.h>

enum { TABLES_AT = 0x100000, RSDP_AT = 0xf0000, MAX = 0x10000 };

struct placed {
    u8 rsdp[64], tables[MAX], script[MAX];
    u32 rsdp_size, tables_size, script_size;
};

static u32 be32(const u8 *p)
{
    return (u32)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static u32 le32(const u8 *p)
{
    u32 v;

    memcpy(&v, p, 4);
    return v;
}

/* Reads a file by the directory, as firmware does. */
static u32 read_file(struct rig *r, const char *name, u8 *to, u32 room)
{
    u8 entry[64], count[4];

    rig_out16(r, 0x510, FW_CFG_FILE_DIR);
    for (u32 i = 0; i < 4; i++)
        count[i] = rig_in8(r, 0x511);
    for (u32 n = be32(count); n--;) {
        for (u32 i = 0; i < sizeof(entry); i++)
            entry[i] = rig_in8(r, 0x511);
        if (strcmp((char *)entry + 8, name))
            continue;
        u32 size = be32(entry);
        rig_out16(r, 0x510, entry[4] << 8 | entry[5]);
        CHECK(size <= room);
        for (u32 i = 0; i < size && i < room; i++)
            to[i] = rig_in8(r, 0x511);
        return size;
    }
    CHECK(!"the file is in the directory");
    return 0;
}

static u8 *file_of(struct placed *p, const u8 *name, u32 *base)
{
    bool rsdp = !strcmp((const char *)name, "etc/acpi/rsdp");

    *base = rsdp ? RSDP_AT : TABLES_AT;
    return rsdp ? p->rsdp : p->tables;
}

static void run_script(struct placed *p)
{
    for (u32 at = 0; at < p->script_size; at += 128) {
        const u8 *e = p->script + at;
        u32 base, source;
        u8 *file = file_of(p, e + 4, &base);

        if (le32(e) == 2) { /* add pointer */
            file_of(p, e + 60, &source);
            u32 off = le32(e + 116), v = le32(file + off) + source;
            memcpy(file + off, &v, 4);
        } else if (le32(e) == 3) { /* add checksum */
            u8 sum = 0;
            for (u32 i = 0; i < le32(e + 68); i++)
                sum += file[le32(e + 64) + i];
            file[le32(e + 60)] -= sum;
        } else {
            CHECK_EQ(le32(e), 1);
        }
    }
}

static struct placed *place(bool apic)
{
    static struct placed p;
    struct rig *r = rig_new(&fw_cfg_class, NULL);
    const struct acpi_config config = {.ram = MIB(64), .apic = apic, .hpet = apic};

    memset(&p, 0, sizeof(p));
    acpi_build(r->dev, &config);
    p.rsdp_size = read_file(r, "etc/acpi/rsdp", p.rsdp, sizeof(p.rsdp));
    p.tables_size = read_file(r, "etc/acpi/tables", p.tables, MAX);
    p.script_size = read_file(r, "etc/table-loader", p.script, MAX);
    run_script(&p);
    return &p;
}

static u8 sum(const u8 *p, u32 n)
{
    u8 s = 0;

    while (n--)
        s += *p++;
    return s;
}

static const u8 *table(struct placed *p, u32 address, const char *signature)
{
    const u8 *t = p->tables + (address - TABLES_AT);

    CHECK(address >= TABLES_AT && address < TABLES_AT + p->tables_size);
    CHECK(!memcmp(t, signature, 4));
    CHECK(le32(t + 4) <= p->tables_size - (address - TABLES_AT));
    if (memcmp(signature, "FACS", 4))
        CHECK_EQ(sum(t, le32(t + 4)), 0);
    return t;
}

TEST(acpi, tables_lead_from_one_to_the_next)
{
    struct placed *p = place(true);

    CHECK_EQ(p->rsdp_size, 20);
    CHECK(!memcmp(p->rsdp, "RSD PTR ", 8));
    CHECK_EQ(sum(p->rsdp, 20), 0);
    const u8 *rsdt = table(p, le32(p->rsdp + 16), "RSDT");
    CHECK_EQ(le32(rsdt + 4), 36 + 3 * 4);
    const u8 *fadt = table(p, le32(rsdt + 36), "FACP");
    CHECK_EQ(le32(fadt + 4), 116);
    table(p, le32(fadt + 36), "FACS");
    CHECK_EQ(le32(fadt + 36) % 64, 0);
    table(p, le32(fadt + 40), "DSDT");
    CHECK_EQ(le32(fadt + 76), ACPI_PM_BASE + 8); /* PM timer */
    const u8 *madt = table(p, le32(rsdt + 40), "APIC");
    CHECK_EQ(le32(madt + 36), 0xfee00000);
    const u8 *hpet = table(p, le32(rsdt + 44), "HPET");
    CHECK_EQ(le32(hpet + 4), 56);
    CHECK_EQ(le32(hpet + 44), 0xfed00000);
}

TEST(acpi, no_madt_without_an_apic)
{
    struct placed *p = place(false);
    const u8 *rsdt = table(p, le32(p->rsdp + 16), "RSDT");

    CHECK_EQ(le32(rsdt + 4), 36 + 4);
}

static void expect(struct aml *a, const void *bytes, u32 n)
{
    CHECK_EQ(a->size, n);
    CHECK(a->size == n && !memcmp(a->data, bytes, n));
    free(a->data);
}

TEST(aml, constants_and_names)
{
    struct aml a = {0};

    aml_int(&a, 0);
    aml_int(&a, 1);
    aml_int(&a, 2);
    aml_int(&a, 0x100);
    aml_int(&a, 0x10000);
    aml_path(&a, "\\_SB");
    aml_path(&a, "A.BC");
    aml_path(&a, "A.B.C");
    expect(&a, "\0\1\x0a\2\x0b\0\1\x0c\0\0\1\0\\_SB_\x2e" "A___BC__\x2f\3A___B___C___", 40);
}

TEST(aml, eisaid)
{
    struct aml a = {0};

    aml_name_eisaid(&a, "_HID", "PNP0A03");
    expect(&a, "\x08_HID\x0c\x41\xd0\x0a\x03", 10);
}

/* PkgLength counts itself: one byte to 63, two to 4095, three above. */
TEST(aml, package_lengths)
{
    static const struct {
        u32 body, bytes;
        u8 first, second;
    } rows[] = {{0, 1, 1, 0}, {62, 1, 63, 0}, {63, 2, 0x41, 4}, {4093, 2, 0x4f, 0xff},
                {4094, 3, 0x81, 0x00}};

    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        struct aml a = {0};
        u32 at = aml_open(&a, AML_SCOPE);

        for (u32 n = 0; n < rows[i].body; n++)
            aml_u8(&a, 0xaa);
        aml_close(&a, at);
        CHECK_EQ(a.size, 1 + rows[i].bytes + rows[i].body);
        CHECK_EQ(a.data[1], rows[i].first);
        CHECK(rows[i].bytes == 1 || a.data[2] == rows[i].second);
        CHECK(!rows[i].body || a.data[1 + rows[i].bytes] == 0xaa);
        free(a.data);
    }
}
