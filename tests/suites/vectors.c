/*
 * Instructions recorded on a real 80286 (../shared/vectors), run on ours in real mode and in
 * virtual-8086 mode with IOPL 3. Registers, flags and every recorded byte of memory must agree, but
 * for what a 386 does differently or the manual leaves undefined; the rules are below, the reasons
 * for what remains in vectors-differences.txt.
 *
 *      vectors [--mode real|v86] [--show N] [DIRECTORY [OPCODE…]]
 *
 * In virtual-8086 mode the exceptions and interrupts that reach the bare machine's kernel are sent
 * on through the table at 0, as a V86 monitor does; HLT ends a test by its #GP.
 */
#include "cpu/deliver.h"
#include "cpu/insn.h"
#include "cpu/interp.h"
#include "cpu/reset.h"
#include "cpu/segment.h"
#include "runtime/machine/machine.h"
#include "tests/insn/bare.h"
#include "tests/suites/moo.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum mode { MODE_REAL, MODE_V86, MODES };
static const char *const mode_names[MODES] = { "real", "v86" };

enum { MEMORY_END = 0x110000, STEPS = 200000, MAX_REVOKED = 64 };

struct suite {
    struct bare *b;
    struct bare_engine engine;
    const char *directory;
    u32 show;
    u8 revoked[MAX_REVOKED][MOO_HASH];
    u32 revoked_count;
    u32 passed, failed, skipped;
};

/* ---- What differs on a 386: rules ---- */

/* Flags the manual leaves undefined, where that is more than the recording's mask says. */
static const struct {
    const char *opcode;
    u16 compared;
} undefined_flags[] = {
    { "69", 0x0801 },   { "6B", 0x0801 },   { "F6.4", 0x0801 }, { "F6.5", 0x0801 },
    { "F7.4", 0x0801 }, { "F7.5", 0x0801 }, { "F6.6", 0 },      { "F6.7", 0 },
    { "F7.6", 0 },      { "F7.7", 0 },      { "37", 0x0011 },   { "3F", 0x0011 },
    { "27", 0x00d5 },   { "2F", 0x00d5 },   { "D4", 0x00c4 },   { "D5", 0x00c4 },
};

static u16 flags_compared(const char *opcode, u16 recorded)
{
    u32 reg = strlen(opcode) == 4 ? (u32)(opcode[3] - '0') : 0;
    u16 mask = 0xffff;

    for (u32 i = 0; i < ARRAY_SIZE(undefined_flags); i++)
        if (!strcmp(opcode, undefined_flags[i].opcode))
            mask = (u16)(undefined_flags[i].compared | ~FLAGS_ARITH);
    if (!strncmp(opcode, "D0.", 3) || !strncmp(opcode, "D1.", 3))
        mask = reg >= 4 ? (u16)(0x08c5 | ~FLAGS_ARITH) : 0xffff;
    if (!strncmp(opcode, "C0.", 3) || !strncmp(opcode, "C1.", 3) ||
        !strncmp(opcode, "D2.", 3) || !strncmp(opcode, "D3.", 3))
        mask = (u16)((reg < 4 ? 0x00d5 : 0x00c4) | ~FLAGS_ARITH);
    return mask & recorded & 0x0fff; /* IOPL and NT do not exist in an 80286's real mode */
}

/* Does the instruction reach its operand through SS? */
static bool uses_stack(const struct insn *in)
{
    static const u16 stack[] = {
        ZYDIS_MNEMONIC_PUSH, ZYDIS_MNEMONIC_POP,   ZYDIS_MNEMONIC_PUSHA, ZYDIS_MNEMONIC_POPA,
        ZYDIS_MNEMONIC_CALL, ZYDIS_MNEMONIC_RET,   ZYDIS_MNEMONIC_LEAVE, ZYDIS_MNEMONIC_POPF,
        ZYDIS_MNEMONIC_IRET, ZYDIS_MNEMONIC_PUSHF, ZYDIS_MNEMONIC_INT,
    };

    for (u32 i = 0; i < ARRAY_SIZE(stack); i++)
        if (in->mnem == stack[i])
            return true;
    return in->seg == SS;
}

/* Exceptions that a 386 raises otherwise. NULL: none of them. */
static const char *exception_differs(const struct moo_test *t)
{
    struct insn in;

    if (t->length - 1 > 10)
        return "longer than the 80286's limit of 10 bytes";
    if (t->exception != EXC_GP || insn_decode(t->bytes, t->length, false, &in) != DECODE_OK)
        return NULL;
    if (cpu_ops[in.mnem].attr & OP_STRING)
        return "the 80286 has moved SI, DI and CX on when it faults";
    return uses_stack(&in) ? "a fault of the stack segment is 12, not 13" : NULL;
}

/* NULL, or why a 386 cannot be asked. */
static const char *left_out(const struct suite *s, const char *opcode, const struct moo_test *t)
{
    for (u32 i = 0; i < s->revoked_count; i++)
        if (!memcmp(s->revoked[i], t->hash, MOO_HASH))
            return "revoked by its author";
    if (strstr(t->name, "lock"))
        return "LOCK is forbidden with more instructions";
    if ((!strcmp(opcode, "8C") || !strcmp(opcode, "8E")) &&
        (strstr(t->name, "fs") || strstr(t->name, "gs")))
        return "FS and GS exist";
    if (!strcmp(opcode, "9C"))
        return "pushes IOPL and NT";
    return t->has_exception ? exception_differs(t) : NULL;
}

/* ---- Running one ---- */

static void load_memory(struct suite *s, const struct moo_test *t)
{
    for (u32 i = 0; i < t->init.ram_count; i++)
        if (t->init.ram[i].gpa < MEMORY_END) /* tells the translator */
            phys_write(s->b->m, t->init.ram[i].gpa, &t->init.ram[i].val, 1);
}

static void load_general(struct vcpu *cpu, const u16 reg[MOO_REGS])
{
    static const u8 order[8] = { MOO_AX, MOO_CX, MOO_DX, MOO_BX, MOO_SP, MOO_BP, MOO_SI, MOO_DI };

    for (u32 i = 0; i < 8; i++)
        cpu->gpr[i] = reg[order[i]];
}

static void selectors_of(const u16 reg[MOO_REGS], u16 selector[6])
{
    selector[ES] = reg[MOO_ES];
    selector[CS] = reg[MOO_CS];
    selector[SS] = reg[MOO_SS];
    selector[DS] = reg[MOO_DS];
    selector[FS] = selector[GS] = 0;
}

/* Where a test ended. */
struct outcome {
    u16 reg[MOO_REGS];
};

static void collect(const struct vcpu *cpu, const u16 selector[6], u32 esp, u32 eip, u32 eflags,
                    struct outcome *o)
{
    const u32 *g = cpu->gpr;
    u16 reg[MOO_REGS] = {
        (u16)g[EAX],  (u16)g[EBX],  (u16)g[ECX],  (u16)g[EDX],  selector[CS],
        selector[SS], selector[DS], selector[ES], (u16)esp,     (u16)g[EBP],
        (u16)g[ESI],  (u16)g[EDI],  (u16)eip,     (u16)eflags,
    };

    memcpy(o->reg, reg, sizeof(reg));
}

static bool run_real(struct suite *s, const struct moo_test *t, struct outcome *o)
{
    struct vcpu *cpu = s->b->cpu;
    u16 selector[6];

    selectors_of(t->init.reg, selector);
    for (u32 i = 0; i < 6; i++)
        cpu_load_segment_real(cpu, i, selector[i]);
    cpu_set_eflags(cpu, t->init.reg[MOO_FLAGS] & 0x0fff, ~0u);
    cpu->eip = t->init.reg[MOO_IP];
    __atomic_store_n(&cpu->requests, 0, __ATOMIC_RELAXED);
    cpu->db_pending = 0;
    for (u32 i = 0; i < STEPS; i++) {
        if (s->engine.engine == &bt_engine)
            bt_run(cpu);
        else
            cpu_step(cpu);
        if (cpu->requests & REQ_HALT)
            break;
    }
    for (u32 i = 0; i < 6; i++)
        selector[i] = cpu->seg[i].selector;
    collect(cpu, selector, cpu->gpr[ESP], cpu->eip, cpu_eflags(cpu), o);
    return cpu->requests & REQ_HALT;
}

static u16 get_word(const struct suite *s, u32 gpa)
{
    return (u16)(s->b->ram[gpa] | s->b->ram[gpa + 1] << 8);
}

static void push_word(struct suite *s, struct bare_event *e, u32 val)
{
    e->esp = (e->esp & 0xffff0000) | ((e->esp - 2) & 0xffff);
    phys_write(s->b->m, e->selector[SS] * 16 + (e->esp & 0xffff), &val, 2);
}

/* Sends an exception or interrupt on to the program, as real mode delivers it. */
static void reflect(struct suite *s, struct bare_event *e)
{
    push_word(s, e, e->eflags & 0x0fff);
    push_word(s, e, e->selector[CS]);
    push_word(s, e, e->eip);
    e->eip = get_word(s, e->vector * 4);
    e->selector[CS] = get_word(s, e->vector * 4 + 2);
    e->eflags &= ~(u32)(FLAG_IF | FLAG_TF);
}

static bool run_v86(struct suite *s, const struct moo_test *t, struct outcome *o)
{
    struct bare *b = s->b;
    struct bare_event e = { .eip = t->init.reg[MOO_IP], .esp = t->init.reg[MOO_SP],
                            .eflags = t->init.reg[MOO_FLAGS] & 0x0fff };

    selectors_of(t->init.reg, e.selector);
    for (u32 i = 0; i < 16; i++) {
        b->cpu->gpr[ESP] = e.esp;
        bare_enter_v86(b, e.selector, e.eip, e.eflags);
        if (!bare_run(b, s->engine.engine, STEPS, &e))
            return false;
        if (e.vector == EXC_GP && e.has_error &&
            b->ram[e.selector[CS] * 16 + (e.eip & 0xffff)] == 0xf4) {
            collect(b->cpu, e.selector, e.esp, e.eip + 1, e.eflags, o);
            return true;
        }
        reflect(s, &e);
    }
    return false;
}

/* ---- Judging ---- */

static bool compare_registers(const struct moo_test *t, const struct outcome *o, u16 flags_mask,
                              char *why, size_t size)
{
    static const char names[MOO_REGS][6] = { "ax", "bx", "cx", "dx", "cs", "ss",    "ds",
                                             "es", "sp", "bp", "si", "di", "ip", "flags" };

    for (u32 i = 0; i < MOO_REGS; i++) {
        u16 want = t->final.set >> i & 1 ? t->final.reg[i] : t->init.reg[i];
        u16 mask = i == MOO_FLAGS ? flags_mask : 0xffff;

        if ((o->reg[i] ^ want) & mask) {
            snprintf(why, size, "%s is %04x, recorded %04x", names[i], o->reg[i], want);
            return false;
        }
    }
    return true;
}

/* Which bits of the byte at gpa count: of the flags an exception pushed, those that are defined. */
static u8 memory_mask(const struct moo_test *t, u32 gpa, u16 flags_mask)
{
    u32 flags_gpa = t->init.reg[MOO_SS] * 16 + (u16)(t->final.reg[MOO_SP] + 4);

    if (t->has_exception && gpa == flags_gpa)
        return (u8)flags_mask;
    if (t->has_exception && gpa == flags_gpa + 1)
        return (u8)(flags_mask >> 8);
    return 0xff;
}

static bool compare_memory(const struct suite *s, const struct moo_test *t, u16 flags_mask,
                           char *why, size_t size)
{
    for (u32 i = 0; i < t->final.ram_count; i++) {
        u32 gpa = t->final.ram[i].gpa;
        u8 got = gpa < MEMORY_END ? s->b->ram[gpa] : 0xff, want = t->final.ram[i].val;

        if ((got ^ want) & memory_mask(t, gpa, flags_mask)) {
            snprintf(why, size, "byte at %05x is %02x, recorded %02x", gpa, got, want);
            return false;
        }
    }
    return true;
}

static bool run_test(struct suite *s, enum mode mode, const struct moo_test *t, u16 flags_mask,
                     char *why, size_t size)
{
    struct outcome o;

    load_memory(s, t);
    load_general(s->b->cpu, t->init.reg);
    if (!(mode == MODE_REAL ? run_real : run_v86)(s, t, &o)) {
        snprintf(why, size, "did not reach HLT");
        return false;
    }
    return compare_registers(t, &o, flags_mask, why, size) &&
           compare_memory(s, t, flags_mask, why, size);
}

/* ---- Files ---- */

static void run_file(struct suite *s, enum mode mode, const char *opcode)
{
    char path[4096], why[128];
    const char *problem;
    const struct moo_test *t;
    struct moo_file *f;
    u32 passed = 0, failed = 0;

    snprintf(path, sizeof(path), "%s/80286/%s.MOO.gz", s->directory, opcode);
    f = moo_open(path, &problem);
    if (!f) {
        printf("FAIL %s: %s\n", path, problem);
        s->failed++;
        return;
    }
    while ((t = moo_next(f))) {
        if (left_out(s, opcode, t)) {
            s->skipped++;
            continue;
        }
        if (run_test(s, mode, t, flags_compared(opcode, moo_flags_mask(f)), why, sizeof(why))) {
            passed++;
            continue;
        }
        if (failed++ < s->show)
            printf("  %s %s test %u: %s%s: %s\n", mode_names[mode], opcode, t->index, t->name,
                   t->has_exception ? " (exception)" : "", why);
    }
    if (failed)
        printf("FAIL %s %s: %u of %u differ\n", mode_names[mode], opcode, failed, passed + failed);
    s->passed += passed;
    s->failed += failed;
    moo_close(f);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All opcodes of the directory, sorted. */
static u32 list_opcodes(const char *directory, char *list[], u32 max)
{
    char path[4096];
    struct dirent *e;
    u32 n = 0;
    DIR *d;

    snprintf(path, sizeof(path), "%s/80286", directory);
    d = opendir(path);
    while (d && (e = readdir(d)) && n < max) {
        char *end = strstr(e->d_name, ".MOO.gz");

        if (end)
            list[n++] = strndup(e->d_name, (size_t)(end - e->d_name));
    }
    if (d)
        closedir(d);
    qsort(list, n, sizeof(*list), by_name);
    return n;
}

static void read_revoked(struct suite *s)
{
    char path[4096], line[256];
    FILE *in;

    snprintf(path, sizeof(path), "%s/80286-revoked.txt", s->directory);
    in = fopen(path, "r");
    while (in && fgets(line, sizeof(line), in) && s->revoked_count < MAX_REVOKED) {
        u32 i = 0, byte;

        while (i < MOO_HASH && sscanf(line + 2 * i, "%2x", &byte) == 1)
            s->revoked[s->revoked_count][i++] = (u8)byte;
        s->revoked_count += i == MOO_HASH;
    }
    if (in)
        fclose(in);
}

static struct bare *make_machine(enum mode mode)
{
    struct bare *b = bare_new(MIB(4));

    b->cpu->fpu.fcw = 0x37f;
    if (mode == MODE_REAL) {
        cpu_reset(b->cpu);
        b->cpu->fpu.fcw = 0x37f;
        mmu_set_a20(b->m->mmu, true);
    } else {
        mmu_set_a20(b->m->mmu, true);
        bare_map(b, 0, MEMORY_END);
        bare_open_gates(b);
    }
    return b;
}

static void run_mode(struct suite *s, enum mode mode, char *opcodes[], u32 count)
{
    u32 passed = s->passed, failed = s->failed, skipped = s->skipped;

    s->b = make_machine(mode);
    bare_use(s->b, &s->engine);
    for (u32 i = 0; i < count; i++)
        run_file(s, mode, opcodes[i]);
    passed = s->passed - passed;
    failed = s->failed - failed;
    printf("%s mode: %u of %u agree (%.3f %%), %u left out by rule\n", mode_names[mode], passed,
           passed + failed, 100.0 * passed / (passed + failed ? passed + failed : 1),
           s->skipped - skipped);
    bare_free(s->b);
}

int main(int argc, char **argv)
{
    static struct suite s = { .directory = "../shared/vectors", .engine = { .engine = &interp_engine }, .show = 3 };
    char *opcodes[512];
    u32 count = 0;
    int only = -1, i;

    for (i = 1; i + 1 < argc && argv[i][0] == '-'; i += 2)
        if (!strcmp(argv[i], "--mode"))
            only = !strcmp(argv[i + 1], "v86") ? MODE_V86 : MODE_REAL;
        else if (!strcmp(argv[i], "--show"))
            s.show = (u32)strtoul(argv[i + 1], NULL, 0);
        else if (!bare_engine_option(&s.engine, argv[i], argv[i + 1]))
            die("vectors [--mode real|v86] [--show N] " BARE_ENGINE_OPTIONS
                " [DIRECTORY [OPCODE...]]");
    if (i < argc)
        s.directory = argv[i++];
    for (; i < argc && count < ARRAY_SIZE(opcodes); i++)
        opcodes[count++] = strdup(argv[i]);
    if (!count)
        count = list_opcodes(s.directory, opcodes, ARRAY_SIZE(opcodes));
    if (!count) {
        printf("SKIP vectors: %s/80286 is not there\n0 passed, 0 failed, 1 skipped\n", s.directory);
        return 0;
    }
    read_revoked(&s);
    for (u32 m = 0; m < MODES; m++)
        if (only < 0 || only == (int)m)
            run_mode(&s, m, opcodes, count);
    while (count)
        free(opcodes[--count]);
    printf("%u passed, %u failed, %u skipped\n", s.passed, s.failed, s.skipped);
    return s.failed != 0;
}
