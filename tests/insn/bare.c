/*
 * The bare machine's kernel, in supervisor pages of the second megabyte:
 *
 *      110000  page directory      114000  IDT: gate n leads to 118000 + 16 n
 *      112000  GDT; 113000  LDT    118000  handlers (256 × 16 bytes of HLT)
 *      120000  TSS, I/O bitmap     12F000  top of the kernel stack
 *      130000  page tables
 *
 * A run ends when EIP is in the table of handlers: the vector is its index.
 */
#include "tests/insn/bare.h"
#include "cpu/deliver.h"
#include "cpu/far.h"
#include "cpu/fpu.h"
#include "cpu/interp.h"
#include "cpu/reset.h"
#include "mmu/pte.h"
#include "runtime/parts.h"
#include "tests/insn/case.h"

#include <stdlib.h>
#include <string.h>

enum {
    KERNEL = 0x110000, PAGE_DIRECTORY = 0x110000, GDT = 0x112000, LDT = 0x113000, IDT = 0x114000,
    HANDLERS = 0x118000, HANDLER_SIZE = 16, TSS = 0x120000, KERNEL_STACK = 0x12f000,
    PAGE_TABLES = 0x130000, KERNEL_END = 0x200000,
    KERNEL_CS = 0x08, KERNEL_DS = 0x10, TSS_SELECTOR = 0x38,
};

static void put32(struct bare *b, u32 at, u32 val)
{
    phys_write(b->m, at, &val, 4);
}

static u32 get32(const struct bare *b, u32 at)
{
    u32 val;

    memcpy(&val, b->ram + at, 4);
    return val;
}

static void put_descriptor(struct bare *b, u32 selector, u32 base, u32 limit, u32 access)
{
    put32(b, GDT + (selector & ~7u), (base << 16) | (limit & 0xffff));
    put32(b, GDT + (selector & ~7u) + 4,
          (base & 0xff000000) | (limit & 0xf0000) | access << 8 | (base >> 16 & 0xff));
}

/* As Linux makes them of modify_ldt(2)'s description: DPL 3, accessed. */
static void make_ldt(struct bare *b)
{
    for (u32 i = 0; i < CASE_LDT_SIZE; i++) {
        const struct case_segment *s = &case_ldt[i];
        u32 type = (s->contents << 2) | (s->read_only ? 0 : 2) | 1;
        u32 access = SEG_S | ATTR_DPL | (s->absent ? 0 : ATTR_P) | type |
                     (s->big ? ATTR_DB : 0) | (s->pages ? ATTR_G : 0);

        if (s->base)
            put_descriptor(b, LDT - GDT + i * 8, s->base, s->limit, access);
    }
    b->cpu->seg[LDTR] = (struct segment){ .base = LDT, .limit = CASE_LDT_SIZE * 8 - 1,
                                          .selector = 0x40, .attr = TYPE_LDT | ATTR_P };
}

static void make_tables(struct bare *b)
{
    put_descriptor(b, KERNEL_CS, 0, 0xfffff, 0xc09b);
    put_descriptor(b, KERNEL_DS, 0, 0xfffff, 0xc093);
    put_descriptor(b, CASE_USER_CS, 0, 0xfffff, 0xc0fb);
    put_descriptor(b, CASE_USER_DS, 0, 0xfffff, 0xc0f3);
    put_descriptor(b, TSS_SELECTOR, TSS, 0x67, 0x008b);
    put32(b, TSS + 4, KERNEL_STACK);
    put32(b, TSS + 8, KERNEL_DS);
    put32(b, TSS + 100, 0x68 << 16); /* no I/O bitmap */
    for (u32 i = 0; i < 256; i++) {
        bool open = i == EXC_BP || i == EXC_OF || i == 0x80; /* as Linux: for INT from user code */

        u32 at = HANDLERS + i * HANDLER_SIZE;

        put32(b, IDT + i * 8, KERNEL_CS << 16 | (at & 0xffff));
        put32(b, IDT + i * 8 + 4, (at & 0xffff0000) | (open ? 0xee00 : 0x8e00));
        memset(b->ram + HANDLERS + i * HANDLER_SIZE, 0xf4, HANDLER_SIZE);
    }
}

/* The page table of gla's 4 MiB, made at need. */
static u32 page_table(struct bare *b, gla_t gla)
{
    u32 pde = PAGE_DIRECTORY + (gla >> 22) * 4;

    if (!(get32(b, pde) & PTE_P)) {
        check(b->next_table < KERNEL_END, "no room for page tables");
        put32(b, pde, b->next_table | PTE_P | PTE_W | PTE_U);
        b->next_table += PAGE_SIZE;
    }
    return get32(b, pde) & ~PAGE_MASK;
}

static void map_page(struct bare *b, gla_t gla, gpa_t gpa, u32 flags)
{
    u32 pte = page_table(b, gla) + (gla >> 12 & 1023) * 4;

    put32(b, pte, ((u32)gpa & ~PAGE_MASK) | flags);
    mmu_flush(&b->cpu->paging);
}

void bare_map_page(struct bare *b, gla_t gla, gpa_t gpa, enum bare_access access)
{
    static const u8 flags[] = { 0, PTE_P | PTE_U, PTE_P | PTE_U | PTE_W };

    map_page(b, gla, gpa, flags[access]);
}

void bare_map(struct bare *b, gla_t gla, u32 size)
{
    for (u32 i = 0; i < size; i += PAGE_SIZE)
        bare_map_page(b, gla + i, gla + i, BARE_ALL);
}

bool bare_engine_option(struct bare_engine *e, const char *option, const char *value)
{
    if (!strcmp(option, "--engine") && !strcmp(value, "interp"))
        e->engine = &interp_engine;
    else if (!strcmp(option, "--engine") && !strcmp(value, "bt"))
        e->engine = &bt_engine;
    else if (!strcmp(option, "--tu"))
        e->config.max_insns = (u32)strtoul(value, NULL, 0);
    else if (!strcmp(option, "--chaining"))
        e->config.no_chaining = !strcmp(value, "off");
    else if (!strcmp(option, "--form"))
        e->config.force_form = (u8)strtoul(value, NULL, 0);
    else if (!strcmp(option, "--cache"))
        e->config.cache_size = strtoul(value, NULL, 0);
    else
        return false;
    return true;
}

void bare_use(struct bare *b, const struct bare_engine *e)
{
    const char *why;

    if (e->engine == &bt_engine && !bt_new(b->cpu, &e->config, &why))
        die("no translator: %s", why);
}

static void set_segment(struct bare *b, enum seg seg, u16 selector)
{
    u32 at = (selector & 4 ? LDT : GDT) + (selector & ~7u), desc[2] = { get32(b, at), get32(b, at + 4) };

    cpu_unpack_descriptor(&b->cpu->seg[seg], selector, desc);
}

struct bare *bare_new(u64 ram)
{
    static struct options options = { .cpu = "max" };
    struct bare *b = calloc(1, sizeof(*b));

    options.ram = ram;
    check(b && ram >= KERNEL_END && ram <= GIB(1), "bare machine of %llu bytes", (unsigned long long)ram);
    b->m = machine_bare(&options);
    b->m->clock_manual = true;
    b->cpu = b->m->cpu;
    b->ram = mmu_ram(b->m->mmu);
    b->next_table = PAGE_TABLES;
    cpu_reset(b->cpu);
    make_tables(b);
    for (u32 i = KERNEL; i < KERNEL_END; i += PAGE_SIZE)
        map_page(b, i, i, PTE_P | PTE_W);
    b->cpu->gdtr = (struct table_register){ GDT, 0xff };
    b->cpu->idtr = (struct table_register){ IDT, 0x7ff };
    b->cpu->cr3 = PAGE_DIRECTORY;
    b->cpu->cr0 = CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_PE | CR0_MP | CR0_AM;
    b->cpu->cr4 = CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    b->cpu->xcr0 = cpu_xcr0_supported(b->cpu);
    set_segment(b, TR, TSS_SELECTOR);
    make_ldt(b);
    cpu_set_cpl(b->cpu, 0);
    mmu_mode_changed(&b->cpu->paging, false);
    return b;
}

void bare_free(struct bare *b)
{
    machine_free(b->m);
    free(b);
}

void bare_enter_segments(struct bare *b, const u16 selector[6], u32 eip, u32 eflags)
{
    struct vcpu *cpu = b->cpu;

    for (u32 i = 0; i < 6; i++)
        if (selector[i] & ~3)
            set_segment(b, i, selector[i]);
        else
            segment_make_null(&cpu->seg[i], selector[i]);
    __atomic_fetch_and(&cpu->requests, ~(u32)REQ_HALT, __ATOMIC_RELAXED);
    cpu_set_cpl(cpu, 3);
    cpu_set_eflags(cpu, eflags, ~0u);
    cpu->eip = eip;
}

void bare_enter_user(struct bare *b, u32 eip, u32 eflags)
{
    static const u16 flat[6] = { [CS] = CASE_USER_CS, [SS] = CASE_USER_DS, [DS] = CASE_USER_DS,
                                 [ES] = CASE_USER_DS };

    bare_enter_segments(b, flat, eip, eflags);
}

void bare_open_gates(struct bare *b)
{
    static const u8 zero[8193]; /* and a byte behind the bitmap, for words at port FFFF */

    for (u32 i = 0; i < 256; i++)
        put32(b, IDT + i * 8 + 4, ((HANDLERS + i * HANDLER_SIZE) & 0xffff0000) | 0xee00);
    phys_write(b->m, TSS + 0x68, zero, sizeof(zero));
    b->cpu->seg[TR].limit = 0x68 + 8192;
}

void bare_enter_v86(struct bare *b, const u16 selector[6], u32 eip, u32 eflags)
{
    struct vcpu *cpu = b->cpu;

    __atomic_fetch_and(&cpu->requests, ~(u32)REQ_HALT, __ATOMIC_RELAXED);
    for (u32 i = 0; i < 6; i++)
        segment_make_v86(&cpu->seg[i], selector[i]);
    cpu_set_cpl(cpu, 3);
    cpu_set_eflags(cpu, eflags | FLAG_VM | FLAG_IOPL, ~0u);
    cpu->eip = eip;
}

static bool in_handler(const struct vcpu *cpu)
{
    return cpu->cpl == 0 && cpu->eip - HANDLERS < 256 * HANDLER_SIZE;
}

/*
 * The frame on the kernel's stack: [error] EIP CS EFLAGS ESP SS, and in virtual-8086 mode ES DS FS GS.
 * Its depth tells whether there is an error code.
 */
static void read_frame(const struct bare *b, struct bare_event *e)
{
    u32 esp = b->cpu->gpr[ESP], slots = (KERNEL_STACK - esp) / 4;

    e->has_error = slots == 6 || slots == 10;
    e->error = e->has_error ? get32(b, esp) : 0;
    esp += e->has_error ? 4 : 0;
    e->eip = get32(b, esp);
    e->eflags = get32(b, esp + 8);
    e->esp = get32(b, esp + 12);
    e->selector[CS] = (u16)get32(b, esp + 4);
    e->selector[SS] = (u16)get32(b, esp + 16);
    if (!(e->eflags & FLAG_VM))
        return;
    e->selector[ES] = (u16)get32(b, esp + 20);
    e->selector[DS] = (u16)get32(b, esp + 24);
    e->selector[FS] = (u16)get32(b, esp + 28);
    e->selector[GS] = (u16)get32(b, esp + 32);
}

bool bare_run(struct bare *b, const struct engine *engine, u64 limit, struct bare_event *event)
{
    struct vcpu *cpu = b->cpu;

    while (!in_handler(cpu)) {
        if (!limit-- || cpu->requests & REQ_HALT)
            return false;
        if (engine == &bt_engine)
            bt_run(cpu); /* until the handler's HLT */
        else
            cpu_step(cpu);
    }
    event->vector = (cpu->eip - HANDLERS) / HANDLER_SIZE;
    read_frame(b, event);
    return true;
}
