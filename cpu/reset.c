/*
 * The processor's life: made, reset to the state of SDM vol. 3, table 9-1, printed in the layout
 * of QEMU's `info registers`, which scripts read.
 */
#include "cpu/reset.h"
#include "cpu/cpuid.h"
#include "cpu/deliver.h"
#include "cpu/fetch.h"
#include "cpu/fpu.h"
#include "cpu/hostexec.h"
#include "cpu/interp.h"
#include "cpu/msr.h"
#include "runtime/base/debuglog.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static bool raise_page_fault(struct paging *pg, u32 error)
{
    return cpu_fault(container_of(pg, struct vcpu, paging), EXC_PF, error);
}

static gla_t running_at(const struct paging *pg)
{
    const struct vcpu *cpu = container_of(pg, struct vcpu, paging);

    return cpu->seg[CS].base + cpu->eip;
}

struct vcpu *cpu_new(struct mmu *mmu, const struct cpu_model *model, u64 features,
                     const struct cpu_pins *pins)
{
    struct vcpu *cpu = aligned_alloc(64, sizeof(*cpu) + CPU_ENGINE_ROOM);

    check(cpu, "no memory for the processor's state");
    memset(cpu, 0, sizeof(*cpu) + CPU_ENGINE_ROOM);
    cpu->tsc_noted = &cpu->tsc_unseen;
    cpu->pins = *pins;
    cpu->mmu = mmu;
    cpu->page_fault = raise_page_fault;
    cpu->running_at = running_at;
    cpu->model = model;
    cpu->features = features;
    cpu->engine = &interp_engine;
    cpu->deadline = ~0ull;
    return cpu;
}

void cpu_free(struct vcpu *cpu)
{
    if (!cpu)
        return;
    cpu_fetch_free(cpu);
    cpu_hostexec_free(cpu);
    free(cpu->debugger);
    free(cpu);
}

static void reset_segments(struct vcpu *cpu)
{
    for (u32 i = 0; i < SEGS; i++)
        cpu->seg[i] = (struct segment){ .limit = 0xffff, .attr = SEG_S | SEG_W | SEG_A | ATTR_P };
    cpu->seg[CS].selector = 0xf000;
    cpu->seg[CS].base = 0xffff0000;
    cpu->seg[LDTR].attr = TYPE_LDT | ATTR_P;
    cpu->seg[TR].attr = TYPE_TSS32_BUSY | ATTR_P;
    cpu->gdtr = cpu->idtr = (struct table_register){ .limit = 0xffff };
}

static void reset_msrs(struct vcpu *cpu)
{
    cpu->efer = 0;
    cpu->sysenter_cs = cpu->sysenter_esp = cpu->sysenter_eip = 0;
    cpu->pat = 0x0007040600070406;
    cpu->mtrr_def_type = cpu->mcg_status = 0;
    memset(cpu->mtrr_fix, 0, sizeof(cpu->mtrr_fix));
    memset(cpu->mtrr_var, 0, sizeof(cpu->mtrr_var));
    memset(cpu->mc_ctl, 0, sizeof(cpu->mc_ctl));
    memset(cpu->mc_status, 0, sizeof(cpu->mc_status));
    memset(cpu->mc_addr, 0, sizeof(cpu->mc_addr));
    memset(cpu->perf_select, 0, sizeof(cpu->perf_select));
    memset(cpu->perf_base, 0, sizeof(cpu->perf_base));
    cpu->debugctl = 0;
    memset(cpu->last_branch, 0, sizeof(cpu->last_branch));
    memset(cpu->last_int, 0, sizeof(cpu->last_int));
    cpu->misc_enable = 1; /* fast strings */
    cpu->tsc_offset = 0;
    cpu->tsc_offset = -cpu_tsc(cpu);
}

static void log_reset(const struct vcpu *cpu)
{
    char text[8192];

    cpu_print(cpu, text, sizeof(text));
    debuglog_print("CPU Reset (CPU 0)\n%s", text);
}

void cpu_reset(struct vcpu *cpu)
{
    if (debuglog_on(DEBUGLOG_CPU_RESET))
        log_reset(cpu);
    memset(cpu->gpr, 0, sizeof(cpu->gpr));
    cpu->gpr[EDX] = cpu->model->signature;
    cpu->eip = 0xfff0;
    cpu->eflags = FLAG_1;
    cpu->int_flag = cpu->cpl = cpu->nmi_blocked = 0;
    cpu->ext = cpu->ss_shadow = cpu->mid_rep = 0;
    cpu->cpuid_version++;
    cpu->db_pending = 0;
    cpu->exc_vector = EXC_NONE;
    cpu->cr0 = CR0_CD | CR0_NW | CR0_ET;
    cpu->cr2 = cpu->cr3 = cpu->cr4 = 0;
    memset(cpu->dr, 0, sizeof(cpu->dr));
    cpu->dr[6] = 0xffff0ff0;
    cpu->dr[7] = 0x400;
    cpu->insns = 0;
    reset_segments(cpu);
    cpu_fpu_reset(cpu);
    reset_msrs(cpu);
    request_clear(cpu, REQ_NMI | REQ_SHADOW | REQ_TRAP | REQ_HALT | REQ_INTR);
    mmu_mode_changed(&cpu->paging, false);
    mmu_cpl_changed(&cpu->paging, false);
    mmu_flush(&cpu->paging);
}

/* ---- info registers ---- */

struct text {
    char *buf;
    size_t size, used;
};

PRINTF(2, 3) static void put(struct text *t, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(t->buf + t->used, t->size - t->used, fmt, args);
    va_end(args);
    if (n > 0)
        t->used = t->used + (size_t)n < t->size ? t->used + (size_t)n : t->size - 1;
}

static void put_general(struct text *t, const struct vcpu *cpu)
{
    static const char names[] = "EAXEBXECXEDXESIEDIEBPESP";
    static const u8 order[8] = { EAX, EBX, ECX, EDX, ESI, EDI, EBP, ESP };
    static const struct {
        u32 flag;
        char letter;
    } letters[] = { { FLAG_DF, 'D' }, { FLAG_OF, 'O' }, { FLAG_SF, 'S' }, { FLAG_ZF, 'Z' },
                    { FLAG_AF, 'A' }, { FLAG_PF, 'P' }, { FLAG_CF, 'C' } };

    for (u32 i = 0; i < 8; i++)
        put(t, "%.3s=%08x%c", names + 3 * i, cpu->gpr[order[i]], i % 4 == 3 ? '\n' : ' ');
    put(t, "EIP=%08x EFL=%08x [", cpu->eip, cpu_eflags(cpu));
    for (u32 i = 0; i < ARRAY_SIZE(letters); i++)
        put(t, "%c", cpu->eflags & letters[i].flag ? letters[i].letter : '-');
    put(t, "] CPL=%u II=%u A20=%u SMM=0 HLT=%u\n", cpu->cpl, !!(cpu->requests & REQ_SHADOW),
        mmu_a20(cpu->mmu), !!(cpu->requests & REQ_HALT));
}

/* The hidden part's attributes where a descriptor's second dword has them, limit 19:16 included. */
static u32 segment_flags(const struct segment *s)
{
    u32 raw = s->attr & ATTR_G ? s->limit >> 12 : s->limit;

    return (u32)s->attr << 8 | (raw & 0xf0000);
}

static void put_segment_kind(struct text *t, const struct segment *s)
{
    static const char system_types[16][12] = {
        "Reserved", "TSS16-avl", "LDT", "TSS16-busy", "CallGate16", "TaskGate", "IntGate16",
        "TrapGate16", "Reserved", "TSS32-avl", "Reserved", "TSS32-busy", "CallGate32", "Reserved",
        "IntGate32", "TrapGate32",
    };
    u32 a = s->attr;

    put(t, " DPL=%u ", a >> ATTR_DPL_SHIFT & 3);
    if (!(a & ATTR_S))
        put(t, "%s", system_types[a & ATTR_TYPE]);
    else if (a & SEG_CODE)
        put(t, "CS%s [%c%c%c]", a & ATTR_DB ? "32" : "16", a & SEG_C ? 'C' : '-',
            a & SEG_R ? 'R' : '-', a & SEG_A ? 'A' : '-');
    else
        put(t, "DS%s [%c%c%c]", a & ATTR_DB ? "  " : "16", a & SEG_E ? 'E' : '-',
            a & SEG_W ? 'W' : '-', a & SEG_A ? 'A' : '-');
}

static void put_segments(struct text *t, const struct vcpu *cpu)
{
    static const char names[SEGS][4] = { "ES ", "CS ", "SS ", "DS ", "FS ", "GS ", "LDT", "TR " };

    for (u32 i = 0; i < SEGS; i++) {
        const struct segment *s = &cpu->seg[i];

        put(t, "%.3s=%04x %08x %08x %08x", names[i], s->selector, s->base, s->limit,
            segment_flags(s));
        if ((cpu->cr0 & CR0_PE) && (s->attr & ATTR_P))
            put_segment_kind(t, s);
        put(t, "\n");
    }
    put(t, "GDT=     %08x %08x\n", cpu->gdtr.base, cpu->gdtr.limit);
    put(t, "IDT=     %08x %08x\n", cpu->idtr.base, cpu->idtr.limit);
}

static void put_fpu(struct text *t, const struct fxsave *f)
{
    put(t, "FCW=%04x FSW=%04x [ST=%u] FTW=%02x MXCSR=%08x\n", f->fcw, f->fsw, f->fsw >> 11 & 7,
        f->ftw, f->mxcsr);
    for (u32 i = 0; i < 8; i++) {
        u64 mantissa;
        u16 exponent;

        memcpy(&mantissa, f->st[i], 8);
        memcpy(&exponent, f->st[i] + 8, 2);
        put(t, "FPR%u=%016llx %04x%c", i, (unsigned long long)mantissa, exponent,
            i & 1 ? '\n' : ' ');
    }
    for (u32 i = 0; i < 8; i++) {
        u64 half[2];

        memcpy(half, f->xmm[i], 16);
        put(t, "XMM%02u=%016llx %016llx%c", i, (unsigned long long)half[1],
            (unsigned long long)half[0], i & 1 ? '\n' : ' ');
    }
}

static void put_integer(struct text *t, const struct vcpu *cpu)
{
    put_general(t, cpu);
    put_segments(t, cpu);
    put(t, "CR0=%08x CR2=%08x CR3=%08x CR4=%08x\n", cpu->cr0, cpu->cr2, cpu->cr3, cpu->cr4);
    put(t, "DR0=%08x DR1=%08x DR2=%08x DR3=%08x \n", cpu->dr[0], cpu->dr[1], cpu->dr[2],
        cpu->dr[3]);
    put(t, "DR6=%08x DR7=%08x\n", cpu->dr[6], cpu->dr[7]);
    put(t, "EFER=%016x\n", cpu->efer);
}

static size_t print(const struct vcpu *cpu, char *buf, size_t size, bool fpu)
{
    struct text t = { buf, size, 0 };

    if (!size)
        return 0;
    buf[0] = 0;
    put_integer(&t, cpu);
    if (fpu)
        put_fpu(&t, &cpu->fpu);
    return t.used;
}

size_t cpu_print(const struct vcpu *cpu, char *buf, size_t size)
{
    return print(cpu, buf, size, true);
}

size_t cpu_print_integer(const struct vcpu *cpu, char *buf, size_t size)
{
    return print(cpu, buf, size, false);
}
