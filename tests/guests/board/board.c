/*
 * What a kernel finds on the board once SeaBIOS has set it up and the loader has entered it:
 * the multiboot information, ACPI and MP tables, PCI, fw_cfg, CMOS, QEMU's test devices. Then
 * the ways to restart a PC, each of which must bring us back here (a stage number in CMOS
 * tells), and power-off by S5.
 *
 * Prints to port E9: "ok NAME" or "FAIL NAME: got, want", and "N passed, N failed" at the end.
 * Runs under any PC emulator: -kernel board.elf -initrd "FILE one,FILE two" -append "alpha
 * beta=2" -device pc-testdev -device pci-testdev.
 */
#include "tests/guests/board/board.h"

enum { STAGE = 0x70, PASSED = 0x72, FAILED = 0x73 }; /* unused bytes of CMOS */

static void put(char c)
{
    outb(0xe9, (u8)c);
}
#include "tests/guests/say.h"

static u8 cmos_read(u8 index)
{
    outb(0x70, index);
    return inb(0x71);
}

static void cmos_write(u8 index, u8 v)
{
    outb(0x70, index);
    outb(0x71, v);
}

/* ---- Saying what happened ---- */

void expect(const char *name, u32 got, u32 want)
{
    u8 counter = got == want ? PASSED : FAILED;

    cmos_write(counter, cmos_read(counter) + 1);
    say_result(name, got, want);
}

static int same(const void *a, const char *b, u32 n)
{
    const u8 *p = a;

    while (n--)
        if (*p++ != (u8)*b++)
            return 0;
    return 1;
}

static u32 length(const char *s)
{
    u32 n = 0;

    while (s[n])
        n++;
    return n;
}

static int ends_with(const char *s, const char *end)
{
    u32 n = length(s), m = length(end);

    return n >= m && same(s + n - m, end, m + 1);
}

static u8 sum(const void *p, u32 n)
{
    const u8 *b = p;
    u8 s = 0;

    while (n--)
        s += *b++;
    return s;
}

static u32 word(const void *p, u32 off)
{
    const u8 *b = (const u8 *)p + off;

    return b[0] | b[1] << 8 | b[2] << 16 | (u32)b[3] << 24;
}

/* ---- Multiboot ---- */

static void test_memory_map(const u32 *info)
{
    const u8 *entry = (const u8 *)info[12], *end = entry + info[11];
    u32 lower = 0, upper = 0, entries = 0;

    for (; entry < end && entries < 64; entry += word(entry, 0) + 4, entries++) {
        if (word(entry, 20) != 1)
            continue;
        if (word(entry, 4) == 0)
            lower = word(entry, 12) >> 10;
        if (word(entry, 4) == 0x100000)
            upper = word(entry, 12) >> 10;
    }
    expect("the memory map ends with an entry", entry == end && entries > 3, 1);
    expect("mem_lower is the map's", info[1], lower);
    expect("mem_upper is near the map's", info[2] - upper + 1024 < 2048, 1);
    u32 cmos = (cmos_read(0x34) | cmos_read(0x35) << 8) * 64 + 15 * 1024;
    expect("CMOS tells the same memory", cmos - upper < 1024, 1);
}

static void test_multiboot(u32 magic, const u32 *info)
{
    const u32 *mod = (const u32 *)info[6];

    expect("multiboot magic", magic, 0x2badb002);
    expect("multiboot flags", info[0] & 0x24d, 0x24d);
    expect("command line", ends_with((const char *)info[4], " alpha beta=2"), 1);
    expect("two modules", info[5], 2);
    expect("module 1 contents", same((const void *)mod[0], "module contents", 15), 1);
    expect("module 1 size", mod[1] - mod[0], 16);
    expect("module 1 string", ends_with((const char *)mod[2], " one"), 1);
    expect("module 2 string", ends_with((const char *)mod[6], " two"), 1);
    expect("modules at pages", (mod[0] | mod[4]) & 0xfff, 0);
    test_memory_map(info);
}

/* ---- Tables ---- */

static const u8 *find(const char *signature, u32 n, u32 from, u32 to)
{
    for (u32 at = from; at < to; at += 16)
        if (same((const void *)at, signature, n))
            return (const u8 *)at;
    return 0;
}

static const u8 *rsdt_table(const u8 *rsdt, const char *signature)
{
    for (u32 at = 36; at < word(rsdt, 4); at += 4)
        if (same((const void *)word(rsdt, at), signature, 4))
            return (const u8 *)word(rsdt, at);
    return 0;
}

static void expect_table(const char *name, const u8 *table)
{
    expect(name, table && sum(table, word(table, 4)) == 0, 1);
}

static const u8 *test_acpi(void)
{
    const u8 *rsdp = find("RSD PTR ", 8, 0xe0000, 0x100000);

    expect("RSDP", rsdp && sum(rsdp, 20) == 0, 1);
    if (!rsdp)
        return 0;
    const u8 *rsdt = (const u8 *)word(rsdp, 16), *fadt;
    expect_table("RSDT", rsdt);
    expect_table("MADT", rsdt_table(rsdt, "APIC"));
    expect_table("FADT", fadt = rsdt_table(rsdt, "FACP"));
    if (!fadt)
        return 0;
    expect_table("DSDT", (const u8 *)word(fadt, 40));
    expect("FACS", same((const void *)word(fadt, 36), "FACS", 4) && word(fadt, 36) % 64 == 0,
           1);
    return fadt;
}

static void test_power_management(const u8 *fadt)
{
    u16 timer = word(fadt, 76), control = word(fadt, 64), command = word(fadt, 48);
    u32 first = inl(timer), turns = 0;

    outb(command, fadt[52]);
    while (!(inw(control) & 1) && turns++ < 1000)
        ;
    expect("ACPI enable sets SCI_EN", inw(control) & 1, 1);
    turns = 0;
    while (inl(timer) == first && turns++ < 1000000)
        ;
    expect("the PM timer runs", inl(timer) != first, 1);
    expect("the PM timer has 24 bits", inl(timer) >> 24, 0);
    expect("SCI is 9", fadt[46], 9);
}

static void test_mp(void)
{
    const u8 *mp = find("_MP_", 4, 0xf0000, 0x100000);

    expect("MP floating pointer", mp && sum(mp, 16) == 0, 1);
    if (!mp)
        return;
    const u8 *table = (const u8 *)word(mp, 4);
    expect("MP table", same(table, "PCMP", 4) && sum(table, table[4] | table[5] << 8) == 0, 1);
    expect("MP table's local APIC", word(table, 36), 0xfee00000);
}

/* ---- PCI, fw_cfg ---- */

u32 pci(u32 devfn, u32 reg)
{
    outl(0xcf8, 0x80000000 | devfn << 8 | reg);
    return inl(0xcfc);
}

static void test_pci(void)
{
    expect("host bridge", pci(0x00, 0), 0x12378086);
    expect("ISA bridge", pci(0x08, 0), 0x70008086);
    expect("IDE", pci(0x09, 0), 0x70108086);
    expect("bus master is placed", (pci(0x09, 0x20) & 0xfffc) != 0, 1);
    expect("power management", pci(0x0b, 0), 0x71138086);
    expect("video", pci(0x10, 0), 0x11111234);
    expect("frame buffer is placed", pci(0x10, 0x10) >> 24 != 0, 1);
    expect("nobody", pci(0xf8, 0), 0xffffffff);
    expect("PIRQs are routed", pci(0x08, 0x60) & 0x80808080, 0);
}

static u32 swap(u32 v)
{
    return __builtin_bswap32(v);
}

static void test_fw_cfg(void)
{
    static volatile struct {
        u32 control, length, address_high, address_low;
    } request;
    static volatile u32 data;

    expect("fw_cfg DMA signature", inl(0x514), 0x554d4551);
    request.control = swap(0 << 16 | 8 | 2); /* select key 0, read */
    request.length = swap(4);
    request.address_low = swap((u32)&data);
    outl(0x514, 0);
    outl(0x518, swap((u32)&request));
    while (request.control & ~swap(1))
        ;
    expect("fw_cfg by DMA", data, 0x554d4551);
    outw(0x510, 5);
    expect("one CPU", inb(0x511), 1);
}

/* ---- Restarts ---- */

static void by_cf9(void)
{
    outb(0xcf9, 2);
    outb(0xcf9, 6);
}

static void by_port92(void)
{
    outb(0x92, inb(0x92) & ~1);
    outb(0x92, inb(0x92) | 1);
}

static void by_keyboard(void)
{
    while (inb(0x64) & 2)
        ;
    outb(0x64, 0xfe);
}

static void by_triple_fault(void)
{
    static const struct {
        u16 limit;
        u32 base;
    } __attribute__((packed)) none = {0, 0};

    __asm__ volatile("lidt %0; int3" : : "m"(none));
}

static const struct {
    const char *name;
    void (*restart)(void);
} restarts[] = {
    {"CF9", by_cf9}, {"port 92", by_port92}, {"keyboard controller", by_keyboard},
    {"triple fault", by_triple_fault},
};
enum { RESTARTS = sizeof(restarts) / sizeof(restarts[0]) };

static void wait_long(void)
{
    for (u32 i = 0; i < 1000000; i++)
        inb(0x80);
}

void board_main(u32 magic, const u32 *info)
{
    u32 stage = cmos_read(STAGE);
    const u8 *fadt;

    if (stage == 0) { /* CMOS comes up as zeros */
        test_multiboot(magic, info);
        fadt = test_acpi();
        if (fadt)
            test_power_management(fadt);
        test_mp();
        test_pci();
        test_fw_cfg();
        test_pc_testdev();
        test_pci_testdev();
    } else {
        expect(restarts[stage - 1].name, magic, 0x2badb002);
    }
    if (stage < RESTARTS) {
        cmos_write(STAGE, stage + 1);
        restarts[stage].restart();
        wait_long();
        cmos_write(FAILED, cmos_read(FAILED) + 1);
        say("FAIL no restart by ");
        say(restarts[stage].name);
        say("\n");
    }
    fadt = test_acpi();
    say_number(cmos_read(PASSED));
    say(" passed, ");
    say_number(cmos_read(FAILED));
    say(" failed\n");
    outw(word(fadt, 64), 1 << 13); /* SLP_EN, type 0: S5 */
    wait_long();
    say("FAIL power-off by S5\n");
    outb(0xf4, 1);
}
