/*
 * fuzz-system: random system state (modes, descriptors, gates, task segments, page tables) and
 * random code that is heavy on system instructions. Whatever it does, each step must return, and
 * leave a processor that can exist: the invariants below.
 *
 *   fuzz-system [--episodes N] [--seed S]        ends with "N passed, N failed"
 *
 * An episode is a few hundred steps from one seed; `--seed S --episodes 1` repeats it.
 */
#include "cpu/control.h"
#include "cpu/deliver.h"
#include "cpu/far.h"
#include "cpu/interp.h"
#include "cpu/reset.h"
#include "runtime/parts.h"

#include <stdlib.h>
#include <string.h>

enum { STEPS = 300, GDT_AT = 0x1000, IDT_AT = 0x2000, LDT_AT = 0x3000, TSS_AT = 0x4000,
       CODE_AT = 0x10000, CODE_BYTES = 0x4000, PD_AT = 0x20000, PT_AT = 0x21000, RAM = 1 << 20,
       GDT_ENTRIES = 64 };

static u64 state, steps;

static u32 rnd(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (u32)(state * 0x2545f4914f6cdd1dull >> 32);
}

static u32 below(u32 n)
{
    return rnd() % n;
}

static bool chance(u32 percent)
{
    return below(100) < percent;
}

/* The episode's memory, made here and written as DMA would, so that the MMU hears of it. */
static u8 memory[RAM];

static void store(u32 at, const void *data, u32 n)
{
    memcpy(memory + at, data, n);
}

/* ---- Tables ---- */

/* Mostly plausible: present, base low, some limit; sometimes any bits at all. */
static u64 random_descriptor(void)
{
    static const u8 types[] = { 0x92, 0x9a, 0x9e, 0xf2, 0xfa, 0x96, 0x90, 0x89, 0x81, 0x82, 0x8c,
                                0xec, 0xe4, 0xe5, 0xb2, 0xba, 0xd2, 0xda, 0x1a, 0x12, 0x98, 0xfe };
    u32 type = types[below(ARRAY_SIZE(types))];
    u32 base = chance(50) ? 0 : below(RAM);
    u32 limit = chance(50) ? 0xfffff : below(0x10000);
    u32 low = base << 16 | (limit & 0xffff);
    u32 high = base >> 16 | type << 8 | (limit & 0xf0000) | (chance(50) ? 0xc00000 : below(16) << 20);

    if (chance(5))
        return (u64)rnd() << 32 | rnd();
    if ((type & 0x1f) == 9 || (type & 0x1f) == 1) { /* a TSS: one of ours */
        u32 at = TSS_AT + below(8) * 0x100;

        low = at << 16 | (chance(90) ? 0xff : below(0x100));
        high = at >> 16 | type << 8;
    } else if (!(type & 0x10) && (type & 0xf) != 2) { /* a gate */
        low = below(GDT_ENTRIES) * 8 << 16 | (CODE_AT & 0) | below(CODE_BYTES);
        high = (CODE_AT & 0xffff0000) | type << 8 | below(32);
    }
    return (u64)high << 32 | low;
}

static u64 random_gate(void)
{
    static const u8 types[] = { 0x8e, 0x8f, 0xee, 0xef, 0x86, 0xe7, 0x85, 0xe5, 0x0e };
    u32 off = CODE_AT + below(CODE_BYTES);

    if (chance(3))
        return (u64)rnd() << 32 | rnd();
    return (u64)((off & 0xffff0000) | types[below(ARRAY_SIZE(types))] << 8) << 32 |
           (below(GDT_ENTRIES) * 8 | below(4)) << 16 | (off & 0xffff);
}

static void make_tables(void)
{
    for (u32 i = 1; i < GDT_ENTRIES; i++)
        store(GDT_AT + 8 * i, &(u64){ random_descriptor() }, 8);
    store(GDT_AT + 8, &(u64){ 0x00cf9b000000ffff }, 8);
    store(GDT_AT + 16, &(u64){ 0x00cf93000000ffff }, 8);
    store(GDT_AT + 24, &(u64){ 0x00cffb000000ffff }, 8);
    store(GDT_AT + 32, &(u64){ 0x00cff3000000ffff }, 8);
    for (u32 i = 0; i < 32; i++)
        store(LDT_AT + 8 * i, &(u64){ random_descriptor() }, 8);
    for (u32 i = 0; i < 256; i++)
        store(IDT_AT + 8 * i, &(u64){ random_gate() }, 8);
}

static u32 random_selector(void)
{
    return chance(50) ? (below(4) + 1) * 8 | below(4) : below(GDT_ENTRIES) * 8 | below(8);
}

static void make_tasks(void)
{
    for (u32 i = 0; i < 8; i++) {
        u32 tss[64];

        for (u32 n = 0; n < 64; n++)
            tss[n] = chance(50) ? below(RAM) : random_selector();
        tss[7] = PD_AT;
        tss[8] = CODE_AT + below(CODE_BYTES);
        tss[9] = chance(80) ? 2 | below(0x8000) : rnd();
        store(TSS_AT + 0x100 * i, tss, sizeof(tss));
    }
}

static u32 random_entry(u32 frame)
{
    u32 flags = chance(80) ? 7 : below(8);

    if (chance(3))
        return rnd();
    return frame << 12 | flags | (chance(20) ? below(0x200) & ~7u : 0);
}

static void make_pages(void)
{
    for (u32 i = 0; i < 1024; i++) {
        store(PD_AT + 4 * i, &(u32){ i == 0 || chance(10) ? PT_AT | 7 : random_entry(i & 0xff) },
              4);
        store(PT_AT + 4 * i, &(u32){ random_entry(i & 0xff) }, 4);
    }
}

/* ---- Code ---- */

static u32 put_one(u8 *p)
{
    static const char *const system[] = {
        "\x0f\x00", "\x0f\x01", "\x0f\x02", "\x0f\x03", "\x0f\x06", "\x0f\x20", "\x0f\x22",
        "\x0f\x21", "\x0f\x23", "\x0f\x30", "\x0f\x32", "\x0f\x34", "\x0f\x35", "\x0f\xa2",
        "\x0f\xa0", "\x0f\xa1", "\x0f\xb2", "\x0f\xb4", "\x0f\xb5", "\x8e", "\x8c", "\x9a", "\xea",
        "\xcb", "\xca", "\xcf", "\xcd", "\xcc", "\xce", "\xf1", "\x9c", "\x9d", "\xfa", "\xfb",
        "\xff", "\xe4", "\xe6", "\xec", "\xee", "\x6c", "\x6e", "\xf3\x6d", "\xf3\x6f", "\x63",
        "\x1f", "\x07", "\x17", "\x06", "\x0e", "\xc4", "\xc5", "\x60", "\x61", "\xc8", "\xf3\xa5",
    };
    const char *text = system[below(ARRAY_SIZE(system))];
    u32 n = 0;

    if (chance(15))
        p[n++] = 0x66;
    if (chance(5))
        p[n++] = 0x67;
    memcpy(p + n, text, strlen(text));
    n += (u32)strlen(text);
    if (chance(70)) { /* a selector and small numbers where an operand may be */
        p[n++] = (u8)rnd();
        p[n++] = (u8)rnd();
        if (chance(50))
            p[n++] = (u8)(random_selector() & 0xff);
    }
    return n;
}

static void make_code(void)
{
    u8 *p = memory + CODE_AT, *end = p + CODE_BYTES;

    while (p < end - 16) {
        if (chance(60)) {
            p += put_one(p);
        } else if (chance(50)) { /* mov reg, imm: selectors, addresses, control bits */
            u32 imm = chance(40) ? random_selector() : chance(50) ? below(RAM) : rnd();

            *p++ = (u8)(0xb8 + below(8));
            memcpy(p, &imm, 4);
            p += 4;
        } else {
            *p++ = (u8)rnd();
        }
    }
}

/* ---- The processor's start ---- */

static void load_flat(struct vcpu *cpu, u32 ring)
{
    for (u32 i = ES; i <= GS; i++) {
        u32 desc[2] = { 0xffff, i == CS ? 0x00cf9b00 : 0x00cf9300 };

        desc[1] |= ring << 13;
        cpu_unpack_descriptor(&cpu->seg[i], (u16)((ring ? 16 : 0) + (i == CS ? 8 : 16) + ring),
                              desc);
    }
}

static void start(struct vcpu *cpu)
{
    u32 mode = below(4); /* real, ring 0, ring 3, V86 */

    cpu_reset(cpu);
    cpu->exc_vector = EXC_NONE;
    for (u32 i = 0; i < 8; i++)
        cpu->gpr[i] = chance(50) ? below(RAM) : rnd();
    cpu->gpr[ESP] = 0x80000 + below(0x100);
    cpu->gdtr = (struct table_register){ GDT_AT, GDT_ENTRIES * 8 - 1 };
    cpu->idtr = (struct table_register){ mode ? IDT_AT : 0, 0x7ff };
    cpu->seg[LDTR] = (struct segment){ LDT_AT, 0xff, 0x48, TYPE_LDT | ATTR_P };
    cpu->seg[TR] = (struct segment){ TSS_AT, 0xff, 0x50, TYPE_TSS32_BUSY | ATTR_P };
    cpu->sysenter_cs = 8;
    cpu->sysenter_eip = CODE_AT;
    cpu->sysenter_esp = 0x90000;
    cpu->eip = CODE_AT + below(CODE_BYTES);
    if (mode == 0) {
        cpu_load_segment_real(cpu, CS, CODE_AT >> 4);
        cpu->eip -= CODE_AT;
        cpu->gpr[ESP] &= 0xffff;
        return;
    }
    cpu_set_cr0(cpu, CR0_PE | CR0_ET | (chance(50) ? CR0_WP : 0));
    cpu_set_cr4(cpu, chance(50) ? CR4_PSE | CR4_VME | CR4_PVI | CR4_DE : 0);
    load_flat(cpu, mode == 1 ? 0 : 3);
    cpu_set_cpl(cpu, mode == 1 ? 0 : 3);
    cpu_set_eflags(cpu, rnd(),
                   FLAGS_ARITH | FLAG_IF | FLAG_IOPL | FLAG_NT | (chance(10) ? FLAG_TF : 0));
    if (mode == 3) {
        cpu_set_eflags(cpu, FLAG_VM, FLAG_VM);
        for (u32 i = ES; i <= GS; i++)
            segment_make_v86(&cpu->seg[i], (u16)(i == CS ? CODE_AT >> 4 : below(0x10000)));
        cpu->eip -= CODE_AT;
        cpu->gpr[ESP] &= 0xffff;
    }
    if (chance(50)) {
        cpu_set_cr3(cpu, PD_AT);
        cpu_set_cr0(cpu, cpu->cr0 | CR0_PG);
    }
    if (chance(10))
        cpu->dr[7] = rnd() & 0xffff23ff;
}

/* ---- Invariants ---- */

static const char *broken(const struct vcpu *cpu)
{
    if (!(cpu->eflags & FLAG_1) || cpu->eflags & FLAG_IF || cpu->int_flag > 1)
        return "EFLAGS' fixed bits";
    if (cpu->eflags & ~0x3f7fd7u)
        return "reserved bits of EFLAGS";
    if (cpu->cpl > 3 || (cpu_v86(cpu) && cpu->cpl != 3))
        return "CPL in V86 mode";
    if (!(cpu->cr0 & CR0_PE) && (cpu->cpl != 0 || cpu_v86(cpu)))
        return "CPL in real mode";
    if ((cpu->cr0 & (CR0_PG | CR0_PE)) == CR0_PG)
        return "paging without protection";
    if (cpu->exc_vector != EXC_NONE)
        return "an exception left behind";
    if (cpu->ext)
        return "EXT left behind";
    for (u32 i = 0; cpu_v86(cpu) && i <= GS; i++)
        if (cpu->seg[i].base != (u32)cpu->seg[i].selector << 4 || cpu->seg[i].limit != 0xffff)
            return "a segment in V86 mode";
    return NULL;
}

static int no_interrupt(struct vcpu *cpu)
{
    return (int)below(256);
}

/* NULL, or what went wrong. */
static const char *episode(struct machine *m, u64 seed)
{
    struct vcpu *cpu = m->cpu;
    const char *what = NULL;

    state = seed * 0x9e3779b97f4a7c15ull | 1;
    memset(memory, 0, RAM);
    make_tables();
    make_tasks();
    make_pages();
    make_code();
    phys_write(m, 0, memory, RAM);
    cpu_reset(cpu);
    start(cpu);
    for (u32 i = 0; i < STEPS && !what && !m->events; i++) {
        if (cpu->requests & REQ_HALT && !cpu_can_wake(cpu))
            cpu_raise_nmi(cpu);
        if (chance(3))
            cpu_set_intr(cpu, chance(50));
        cpu->gpr[ECX] &= 0xfff; /* repetitions end: nothing interrupts them here */
        cpu_step(cpu);
        what = broken(cpu);
        steps++;
    }
    m->events = 0;
    cpu->requests = 0;
    return what;
}

int main(int argc, char **argv)
{
    static struct options options = { .ram = RAM };
    u64 seed = 1, episodes = 20000;
    u32 failed = 0;
    struct machine *m;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--episodes"))
            episodes = strtoull(argv[i + 1], NULL, 0);
        else if (!strcmp(argv[i], "--seed"))
            seed = strtoull(argv[i + 1], NULL, 0);
        else if (!strcmp(argv[i], "--trace"))
            trace_enable(argv[i + 1]);
        else
            die("fuzz-system: %s?", argv[i]);
    }
    m = machine_bare(&options);
    m->clock_manual = true;
    m->cpu->pins.intr_ack = no_interrupt;
    for (u64 n = 0; n < episodes; n++) {
        const char *what = episode(m, seed + n);

        if (what) {
            printf("FAIL seed %llu: %s\n", (unsigned long long)(seed + n), what);
            failed++;
        }
    }
    printf("%llu steps, %llu exceptions\n", (unsigned long long)steps,
           (unsigned long long)m->cpu->stats.exceptions);
    printf("%llu passed, %u failed\n", (unsigned long long)(episodes - failed), failed);
    machine_free(m);
    return failed != 0;
}
