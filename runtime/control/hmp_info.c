/*
 * The monitor's looks at page tables, interrupts and the map, in QEMU's formats.
 *
 * The guest's tables are read where they lie in RAM, and nowhere else: reading a device may
 * change it. A guest can map all of 4 GiB by one table: what is printed has an end
 * (MOST_LINES). SDM vol. 3, 4.3 and 4.4.
 */
#include "runtime/control/hmp_info.h"
#include "devices/bus.h"
#include "devices/i8259.h"
#include "devices/ioapic.h"
#include "devices/pci.h"
#include "mmu/mmu.h"
#include "runtime/machine/machine.h"

#include <string.h>

enum {
    MOST_LINES = 1 << 17,
    GLOBAL = 0x100,
    LARGE = 0x80,
    DIRTY = 0x40,
    ACCESSED = 0x20,
    NO_CACHE = 0x10,
    WRITE_THROUGH = 0x08,
    USER = 0x04,
    WRITABLE = 0x02,
    PRESENT = 0x01
};
#define NO_EXECUTE (1ull << 63)

/* What a walk finds, in order of addresses. */
struct pages {
    struct machine *m;
    FILE *out;
    bool pae;
    void (*page)(struct pages *p, u64 gla, u64 size, u64 entry, u32 rights);
    u32 lines;
    u64 start; /* info mem: of the run */
    u32 run;   /* its rights; 0: none */
};

/* 0 where there is no RAM. */
static u64 entry_at(const struct pages *p, u64 gpa)
{
    u32 size = p->pae ? 8 : 4;
    u64 entry = 0;

    if (gpa + size <= phys_ram_size(p->m))
        memcpy(&entry, phys_ram(p->m) + gpa, size);
    return entry;
}

static u64 table_of(const struct pages *p, u64 entry)
{
    return entry & (p->pae ? 0xffffffffff000ull : 0xfffff000ull);
}

static void walk_table(struct pages *p, u64 gla, u64 entry, u32 rights)
{
    u32 size = p->pae ? 8 : 4;

    for (u32 i = 0; i < PAGE_SIZE / size && p->lines < MOST_LINES; i++) {
        u64 e = entry_at(p, table_of(p, entry) + i * size);

        p->page(p, gla + (u64)i * PAGE_SIZE, PAGE_SIZE, e, e & PRESENT ? (u32)e & rights : 0);
    }
}

static void walk_directory(struct pages *p, u64 gla, u64 directory)
{
    u32 size = p->pae ? 8 : 4;
    u64 reach = p->pae ? MIB(2) : MIB(4);
    bool large = p->pae || p->m->cpu->cr4 & CR4_PSE;

    for (u32 i = 0; i < PAGE_SIZE / size && p->lines < MOST_LINES; i++, gla += reach) {
        u64 e = entry_at(p, directory + i * size);
        u32 rights = (u32)e & (USER | WRITABLE | PRESENT);

        if (!(e & PRESENT))
            p->page(p, gla, reach, e, 0);
        else if (large && e & LARGE)
            p->page(p, gla, reach, e, rights);
        else
            walk_table(p, gla, e, rights);
    }
}

/* False, and said so: there is no paging. */
static bool walk(struct pages *p)
{
    const struct vcpu *cpu = p->m->cpu;

    if (!(cpu->cr0 & CR0_PG)) {
        fprintf(p->out, "PG disabled\n");
        return false;
    }
    p->pae = cpu->cr4 & CR4_PAE;
    if (!p->pae) {
        walk_directory(p, 0, cpu->cr3 & 0xfffff000);
        return true;
    }
    for (u32 i = 0; i < 4; i++) {
        u64 e = entry_at(p, (cpu->cr3 & 0xffffffe0) + i * 8);

        if (e & PRESENT)
            walk_directory(p, GIB((u64)i), table_of(p, e));
        else
            p->page(p, GIB((u64)i), GIB(1), e, 0);
    }
    return true;
}

static void say_cut(const struct pages *p)
{
    if (p->lines >= MOST_LINES)
        fprintf(p->out, "... and more\n");
}

/* ---- info mem ---- */

static void end_run(struct pages *p, u64 gla)
{
    if (p->run && p->lines++ < MOST_LINES)
        fprintf(p->out, "%016llx-%016llx %016llx %c%c%c\n", (unsigned long long)p->start,
                (unsigned long long)gla, (unsigned long long)(gla - p->start),
                p->run & USER ? 'u' : '-', 'r', p->run & WRITABLE ? 'w' : '-');
}

static void mem_page(struct pages *p, u64 gla, u64 size, u64 entry, u32 rights)
{
    rights &= USER | WRITABLE | PRESENT;
    if (rights == p->run)
        return;
    end_run(p, gla);
    p->run = rights;
    p->start = gla;
}

void hmp_info_mem(struct machine *m, FILE *out)
{
    struct pages p = {.m = m, .out = out, .page = mem_page};

    if (!walk(&p))
        return;
    end_run(&p, GIB(4));
    say_cut(&p);
}

/* ---- info tlb ---- */

static void tlb_page(struct pages *p, u64 gla, u64 size, u64 entry, u32 rights)
{
    static const struct {
        u64 bit;
        char letter;
    } flags[] = {{NO_EXECUTE, 'X'},    {GLOBAL, 'G'},   {LARGE, 'P'},
                 {DIRTY, 'D'},         {ACCESSED, 'A'}, {NO_CACHE, 'C'},
                 {WRITE_THROUGH, 'T'}, {USER, 'U'},     {WRITABLE, 'W'}};
    char text[ARRAY_SIZE(flags) + 1] = "";

    if (!rights)
        return;
    p->lines++;
    for (u32 i = 0; i < ARRAY_SIZE(flags); i++)
        text[i] = entry & flags[i].bit ? flags[i].letter : '-';
    fprintf(p->out, "%016llx: %016llx %s\n", (unsigned long long)gla,
            (unsigned long long)(table_of(p, entry) & ~(size - 1)), text);
}

void hmp_info_tlb(struct machine *m, FILE *out)
{
    struct pages p = {.m = m, .out = out, .page = tlb_page};

    if (walk(&p))
        say_cut(&p);
}

/* ---- Interrupts, the map ---- */

void hmp_info_pic(struct machine *m, FILE *out)
{
    if (m->ioapic)
        ioapic_tell(m->ioapic, out);
    i8259_tell(m->i8259, out);
}

void hmp_info_irq(struct machine *m, FILE *out)
{
    static const char *const chips[] = {"ioapic", "isa-i8259"};

    for (u32 chip = m->ioapic ? 0 : 1; chip < ARRAY_SIZE(chips); chip++) {
        fprintf(out, "IRQ statistics for %s:\n", chips[chip]);
        for (u32 i = 0; i < ARRAY_SIZE(m->isa_raised); i++)
            if (m->isa_raised[i])
                fprintf(out, "%2u: %llu\n", i, (unsigned long long)m->isa_raised[i]);
    }
}

void hmp_info_mtree(struct machine *m, FILE *out)
{
    bus_tell(m->bus, phys_ram_size(m), out);
}

/* ---- PCI ---- */

static u32 config(const struct pci_function *f, u32 offset, u32 size)
{
    u32 val = 0;

    for (u32 i = 0; i < size; i++)
        val |= (u32)f->config[offset + i] << 8 * i;
    return val;
}

/* Of all ones, what does not stick says the size. */
static void say_bar(const struct pci_function *f, u32 n, FILE *out)
{
    u32 at = 0x10 + 4 * n, low = config(f, at, 4), mask = 0, base;

    for (u32 i = 0; i < 4; i++)
        mask |= (u32)f->writable[at + i] << 8 * i;
    if (!mask)
        return;
    base = low & mask;
    if (low & 1)
        fprintf(out, "      BAR%u: I/O at 0x%04x [0x%04x].\n", n, base,
                base + (mask & -mask) - 1);
    else
        fprintf(out, "      BAR%u: 32 bit %smemory at 0x%08x [0x%08x].\n", n,
                low & 8 ? "prefetchable " : "", base, base + (mask & -mask) - 1);
}

static void say_function(const struct pci_function *f, u32 devfn, FILE *out)
{
    u32 pin = config(f, 0x3d, 1);

    fprintf(out, "  Bus  0, device %3u, function %u:\n", devfn >> 3, devfn & 7);
    fprintf(out, "    %s: PCI device %04x:%04x\n", pci_class_name((u16)config(f, 0x0a, 2)),
            config(f, 0, 2), config(f, 2, 2));
    if (config(f, 0x2c, 4))
        fprintf(out, "      PCI subsystem %04x:%04x\n", config(f, 0x2c, 2), config(f, 0x2e, 2));
    if (pin)
        fprintf(out, "      IRQ %u, pin %c\n", config(f, 0x3c, 1), (char)('A' + pin - 1));
    for (u32 n = 0; n < 6; n++)
        say_bar(f, n, out);
}

void hmp_info_pci(struct machine *m, FILE *out)
{
    const struct device *bus = device_find(m, &pci_class, 0);

    for (u32 devfn = 0; bus && devfn < 256; devfn++) {
        const struct pci_function *f = pci_function_at(bus, (u8)devfn);

        if (f)
            say_function(f, devfn, out);
    }
    if (!bus)
        fprintf(out, "no PCI bus on this board\n");
}
