/*
 * The processor's state on its way to a cage and back, and what a stop there means for the
 * guest.
 *
 * Whatever stopped it, the state that comes back is that before an instruction, which is then
 * run by the translator or by the interpreter: they say what it does in the guest. Only where
 * the host's trap comes behind an instruction, EIP goes back over it.
 */
#include "bt/cage_private.h"
#include "cpu/debug.h"
#include "cpu/deliver.h"
#include "cpu/fpu.h"
#include "cpu/interp.h"

#include <signal.h>
#include <string.h>

/* ---- There and back ---- */

struct fxsave64 {
    u16 fcw, fsw, ftw, fop;
    u64 rip, rdp;
    u32 mxcsr, mxcsr_mask;
    u8 st[8][16], xmm[16][16], unused[96];
};
enum { GUEST_XMM = 8 * 16 }; /* bytes: the guest has eight */
enum { FLAGS_OURS = FLAGS_ARITH | FLAG_DF | FLAG_AC | FLAG_ID | FLAG_NT };

static u32 segment_base(const struct segment *s, u16 selector)
{
    return selector ? s->base : 0;
}

/* FXSAVE64 and FXSAVE differ in how they store the pointers (SDM vol. 1, 10.5). */
static void fpu_there(const struct vcpu *cpu, struct cage_state *s, enum cage_fpu fpu)
{
    struct fxsave64 *to = (struct fxsave64 *)s->xsave;
    const struct fxsave *fx = &cpu->fpu;
    u64 components = XCR0_X87 | XCR0_SSE | XCR0_AVX;

    memcpy(to, fx, offsetof(struct fxsave, fip));
    to->rip = fx->fip;
    to->rdp = fx->fdp;
    to->mxcsr = fx->mxcsr;
    memcpy(to->st, fx->st, sizeof(fx->st));
    memcpy(to->xmm, fx->xmm, GUEST_XMM);
    if (fpu != CAGE_FPU_AVX)
        return;
    memcpy(s->xsave + sizeof(*fx), &components, sizeof(components));
    memcpy(s->xsave + XSAVE_YMM_AT, cpu->ymm_high, sizeof(cpu->ymm_high));
}

static void fpu_back(struct vcpu *cpu, const struct cage_state *s, enum cage_fpu fpu)
{
    const struct fxsave64 *from = (const struct fxsave64 *)s->xsave;
    struct fxsave *fx = &cpu->fpu;

    memcpy(fx, from, offsetof(struct fxsave, fip));
    if (fx->fip != (u32)from->rip)
        fx->fcs = cpu->seg[CS].selector;
    fx->fip = (u32)from->rip;
    fx->fdp = (u32)from->rdp;
    fx->mxcsr = from->mxcsr & fpu_mxcsr_mask(cpu);
    memcpy(fx->st, from->st, sizeof(fx->st));
    memcpy(fx->xmm, from->xmm, GUEST_XMM);
    if (fpu == CAGE_FPU_AVX)
        memcpy(cpu->ymm_high, s->xsave + XSAVE_YMM_AT, sizeof(cpu->ymm_high));
}

static void registers_back(struct vcpu *cpu, struct cage_state *s, enum cage_fpu fpu)
{
    for (u32 i = 0; i < 8; i++)
        cpu->gpr[i] = (u32)s->gpr[i];
    cpu->eip = (u32)s->ip;
    cpu->eflags = (cpu->eflags & ~(u32)(FLAGS_OURS | FLAG_RF)) | ((u32)s->flags & FLAGS_OURS);
    if (s->flags & FLAG_TF) /* it has just set it */
        cpu_set_eflags(cpu, FLAG_TF, FLAG_TF);
    if (fpu != CAGE_FPU_NONE)
        fpu_back(cpu, s, fpu);
}

void cage_state_there(struct cages *cs, struct cage *c)
{
    struct vcpu *cpu = cs->bt->cpu;
    struct cage_state *s = &cs->state;

    for (u32 i = 0; i < 8; i++)
        s->gpr[i] = cpu->gpr[i];
    s->ip = cpu->eip;
    s->flags = (cpu->eflags & FLAGS_OURS) | FLAG_1 | FLAG_IF;
    for (u32 i = ES; i <= GS; i++)
        s->seg[i] = cage_process_selector(&c->process, &cpu->seg[i]);
    c->cs = s->seg[CS];
    s->fs_base = segment_base(&cpu->seg[FS], s->seg[FS]);
    s->gs_base = segment_base(&cpu->seg[GS], s->seg[GS]);
    if (cage_fpu_of(c) != CAGE_FPU_NONE)
        fpu_there(cpu, s, cage_fpu_of(c));
}

/* ---- Coming back ---- */

/* Do two bytes of an instruction end before EIP? */
static bool behind(const struct vcpu *cpu, u8 first, u8 second)
{
    gla_t gla = cpu->eip;
    const u8 *one = cage_byte(cpu, gla - 2), *two = cage_byte(cpu, gla - 1);

    return one && two && *one == first && *two == second;
}

static void raise_gp(struct vcpu *cpu, u32 error)
{
    cpu_fault(cpu, EXC_GP, error);
    cpu_deliver_pending(cpu);
}

/* It has left 32- or 16-bit code for the host's 64-bit code, or called the host in a way that
 * loses its place: in the guest no such selector leads anywhere. */
static void escaped(struct vcpu *cpu, const struct cage_state *s)
{
    raise_gp(cpu, s->seg[CS] & 0xfffcu);
}

static bool in_guest_code(const struct cage *c, const struct cage_state *s)
{
    return s->seg[CS] == c->cs && !(s->ip >> 32);
}

static enum cage_exit system_call(struct vcpu *cpu, const struct cage_state *s)
{
    if (!behind(cpu, 0xcd, 0x80)) {
        escaped(cpu, s);
        return EXIT_ESCAPE;
    }
    cpu->eip -= 2;
    cpu->gpr[EAX] = (u32)s->called;
    return EXIT_SYSCALL;
}

/* A trap: EIP is behind the instruction. */
static enum cage_exit trapped(struct vcpu *cpu, const struct cage_state *s)
{
    const u8 *before = cage_byte(cpu, cpu->eip - 1);

    if (s->code == TRAP_TRACE) { /* and not INT3 with TF set */
        cpu_set_eflags(cpu, FLAG_TF, FLAG_TF);
        cpu_debug_step(cpu);
        return EXIT_TRAP;
    }
    cpu->eip -= before && *before == 0xcc ? 1 : behind(cpu, 0xcd, 3) ? 2 : 0;
    return EXIT_TRAP;
}

/* Is the fault one of fetching code at EIP, or behind it? The page where it was, plus 1. */
static u32 fetch_fault(const struct vcpu *cpu, const struct cage *c, const struct cage_state *s)
{
    gla_t gla = cpu->eip;
    u32 page = gla >> PAGE_SHIFT, at = (u32)(s->address >> PAGE_SHIFT);

    if (s->signal != SIGSEGV || s->address >> 32 || cage_is_exec(c, at))
        return 0;
    return at == page || (at == page + 1 && (gla & PAGE_MASK) > PAGE_SIZE - 15) ? at + 1 : 0;
}

/* True: it may go on there. */
static bool after_signal(struct cages *cs, struct cage *c, enum cage_exit *exit)
{
    struct vcpu *cpu = cs->bt->cpu;
    struct cage_state *s = &cs->state;
    u32 page = fetch_fault(cpu, c, s);
    gla_t gla = cpu->eip;
    bool paged = s->signal == SIGSEGV && s->code != SI_KERNEL;

    if (s->signal == SIGTRAP) {
        *exit = trapped(cpu, s);
        return false;
    }
    if (page && cage_make_executable(
                    cs, c, page - 1 == gla >> PAGE_SHIFT ? gla : (page - 1) << PAGE_SHIFT,
                    page - 1 == gla >> PAGE_SHIFT)) {
        *exit = EXIT_FETCH;
        return true;
    }
    if (page && page - 1 == gla >> PAGE_SHIFT) {
        *exit = EXIT_FETCH;
        return false;
    }
    *exit = paged ? EXIT_MEMORY : EXIT_FAULT;
    cpu_run_one(cpu);
    return paged;
}

bool cage_state_back(struct cages *cs, struct cage *c, enum cage_stop stop,
                     enum cage_exit *exit)
{
    struct vcpu *cpu = cs->bt->cpu;

    *exit = EXIT_GONE;
    if (stop == CAGE_GONE)
        return false;
    if (stop == CAGE_KILLED) { /* to run again what has run would be worse */
        warn("the host has killed the process that ran user code; that program gets a #GP");
        raise_gp(cs->bt->cpu, 0);
        return false;
    }
    registers_back(cpu, &cs->state, cage_fpu_of(c));
    *exit = EXIT_ESCAPE;
    if (!in_guest_code(c, &cs->state)) {
        escaped(cpu, &cs->state);
        return false;
    }
    *exit = EXIT_TIME;
    if (stop == CAGE_SIGNAL)
        return after_signal(cs, c, exit);
    if (stop == CAGE_SYSCALL)
        *exit = system_call(cpu, &cs->state);
    return false;
}
