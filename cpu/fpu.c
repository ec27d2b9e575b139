/*
 * The x87: its checks and exceptions, arithmetic on the host's unit, and the control instructions.
 * SDM vol. 1, chapter 8.
 *
 * Arithmetic runs under the guest's own control word. An x87 instruction never traps for what it
 * did itself: an unmasked exception is recorded in FSW and reported by the next waiting
 * instruction (vol. 1, 8.7). cpu_fpu_check() is that report, so the host never makes it.
 *
 * FIP, FDP, FCS, FDS and FOP are kept here, not by the host: they hold the guest's addresses.
 */
#include "cpu/fpu.h"
#include "cpu/access.h"
#include "cpu/cpuid.h"
#include "cpu/deliver.h"
#include "cpu/hostexec.h"

#include <string.h>

/* ---- Checks and errors ---- */

void fpu_summarize(struct vcpu *cpu)
{
    struct fxsave *fx = &cpu->fpu;

    fx->fsw &= ~(FSW_ES | FSW_B);
    if (fx->fsw & ~fx->fcw & FPU_EXCEPTIONS) {
        fx->fsw |= FSW_ES | FSW_B;
    } else if (cpu->ferr) {
        cpu->ferr = false;
        if (cpu->pins.ferr)
            cpu->pins.ferr(cpu, false);
    }
}

/*
 * An error is pending and a waiting instruction came. CR0.NE: exception 16. Else the PC/AT's way
 * (vol. 1, 8.7.2): FERR# asks for IRQ 13 and the CPU stands still until an interrupt comes, unless
 * the handler has asserted IGNNE# by writing port F0.
 */
static bool fpu_report(struct vcpu *cpu)
{
    if (cpu->cr0 & CR0_NE)
        return cpu_fault(cpu, EXC_MF, 0);
    if (cpu->ignne)
        return true;
    if (!cpu->ferr) {
        cpu->ferr = true;
        if (cpu->pins.ferr)
            cpu->pins.ferr(cpu, true);
    }
    cpu->exc_vector = EXC_NONE;
    return false;
}

bool cpu_fpu_check(struct vcpu *cpu, u32 attr)
{
    u32 cr0 = cpu->cr0;

    if ((attr & OP_SSE) && ((cr0 & CR0_EM) || !(cpu->cr4 & CR4_OSFXSR)))
        return cpu_fault(cpu, EXC_UD, 0);
    if ((attr & OP_MMXREG) && (cr0 & CR0_EM))
        return cpu_fault(cpu, EXC_UD, 0);
    if ((attr & OP_FPU) && (cr0 & CR0_EM))
        return cpu_fault(cpu, EXC_NM, 0);
    if ((attr & (OP_FPU | OP_MMXREG | OP_SSE)) && (cr0 & CR0_TS))
        return cpu_fault(cpu, EXC_NM, 0);
    if ((attr & (OP_FPU | OP_MMXREG)) && !(attr & OP_NOWAIT) && (cpu->fpu.fsw & FSW_ES))
        return fpu_report(cpu);
    return true;
}

/* ---- State ---- */

u32 fpu_mxcsr_mask(const struct vcpu *cpu)
{
    u32 mask = hostexec_mxcsr_mask();

    return cpu_has(cpu, FEAT_SSE2) ? mask : mask & ~MXCSR_DAZ; /* DAZ came with SSE2 */
}

void fpu_set_top(struct fxsave *fx, u32 top)
{
    u32 turn = (top - fpu_top(fx)) & 7;
    u8 old[8][16];

    memcpy(old, fx->st, sizeof(old));
    for (u32 i = 0; i < 8; i++)
        memcpy(fx->st[i], old[(i + turn) & 7], 16);
    fx->fsw = (fx->fsw & ~FSW_TOP) | top << FSW_TOP_SHIFT;
}

void fpu_init(struct vcpu *cpu)
{
    struct fxsave *fx = &cpu->fpu;

    fpu_set_top(fx, 0);
    fx->fcw = FCW_INIT;
    fx->fsw = 0;
    fx->ftw = 0;
    fx->fop = 0;
    fx->fip = fx->fdp = 0;
    fx->fcs = fx->fds = 0;
    fpu_summarize(cpu);
}

void cpu_fpu_reset(struct vcpu *cpu)
{
    memset(&cpu->fpu, 0, sizeof(cpu->fpu));
    cpu->fpu.fcw = FCW_ONE;
    cpu->fpu.ftw = 0xff; /* full tags 5555: all zero, none empty */
    cpu->fpu.mxcsr = MXCSR_INIT;
    memset(cpu->ymm_high, 0, sizeof(cpu->ymm_high));
    cpu->xcr0 = XCR0_X87;
    fpu_summarize(cpu);
}

/* ---- Operands ---- */

static bool is_number(u32 size)
{
    return size == 2 || size == 4 || size == 8;
}

bool fpu_read_operand(struct vcpu *cpu, const struct insn *in, void *buf, u32 size)
{
    u32 off = insn_offset(cpu, in);
    u64 val;

    if (!is_number(size))
        return cpu_read_bytes(cpu, in->seg, off, buf, size);
    if (!cpu_read(cpu, in->seg, off, size, &val))
        return false;
    memcpy(buf, &val, size);
    return true;
}

bool fpu_write_operand(struct vcpu *cpu, const struct insn *in, const void *buf, u32 size)
{
    u32 off = insn_offset(cpu, in);
    u64 val = 0;

    if (!is_number(size))
        return cpu_write_bytes(cpu, in->seg, off, buf, size);
    memcpy(&val, buf, size);
    return cpu_write(cpu, in->seg, off, size, val);
}

/* ---- Arithmetic ---- */

static void x87_commit(struct vcpu *cpu, const struct insn *in, const struct hostexec_frame *f)
{
    struct fxsave *fx = &cpu->fpu;

    fx->fsw = f->fx.fsw;
    fx->ftw = f->fx.ftw;
    memcpy(fx->st, f->fx.st, sizeof(fx->st));
    fx->fop = (in->opcode & 7) << 8 | in->modrm;
    fx->fip = cpu->eip;
    fx->fcs = cpu->seg[CS].selector;
    if (insn_memory(in)) {
        fx->fdp = insn_offset(cpu, in);
        fx->fds = cpu->seg[in->seg].selector;
    }
    cpu->eflags = (cpu->eflags & ~FLAGS_ARITH) | (u32)f->flags; /* FCOMI and its kin */
    fpu_summarize(cpu);
}

/* Everything that computes, loads or moves on the stack. */
bool ex_x87(struct vcpu *cpu, const struct insn *in)
{
    struct hostexec_frame *f = hostexec_load(cpu);

    if (insn_memory(in) && !fpu_read_operand(cpu, in, f->mem, in->op[0].size))
        return false;
    f->flags = cpu->eflags & FLAGS_ARITH;
    hostexec_run(cpu, in);
    x87_commit(cpu, in, f);
    return true;
}

/*
 * An unmasked exception keeps a store from storing (but a precision exception does not). Whether
 * it did shows when the same instruction runs again on memory that differs in every bit.
 */
static bool x87_stored(struct vcpu *cpu, const struct insn *in)
{
    struct hostexec_frame *f = hostexec_load(cpu);
    u8 first[sizeof(f->mem)];

    memset(f->mem, 0x00, sizeof(f->mem));
    hostexec_run(cpu, in);
    memcpy(first, f->mem, sizeof(first));
    f = hostexec_load(cpu);
    memset(f->mem, 0xff, sizeof(f->mem));
    hostexec_run(cpu, in);
    return memcmp(first, f->mem, in->op[0].size) == 0;
}

/* FST, FSTP, FIST, FISTP, FBSTP to memory: registers change only if the memory could be written. */
bool ex_x87_store(struct vcpu *cpu, const struct insn *in)
{
    struct hostexec_frame *f;
    bool stored = true;

    if (in->op[0].kind != OP_MEM)
        return ex_x87(cpu, in);
    f = hostexec_load(cpu);
    f->flags = cpu->eflags & FLAGS_ARITH;
    hostexec_run(cpu, in);
    if (f->fx.fsw & FSW_ES)
        stored = x87_stored(cpu, in);
    if (!stored && !cpu_check_write(cpu, in->seg, insn_offset(cpu, in), in->op[0].size))
        return false; /* hosts look at the operand all the same */
    if (stored && !fpu_write_operand(cpu, in, f->mem, in->op[0].size))
        return false;
    x87_commit(cpu, in, f);
    return true;
}

/* ---- Control ---- */

bool ex_fninit(struct vcpu *cpu, const struct insn *in)
{
    fpu_init(cpu);
    return true;
}

bool ex_fnclex(struct vcpu *cpu, const struct insn *in)
{
    cpu->fpu.fsw &= ~(FPU_EXCEPTIONS | FSW_SF | FSW_ES | FSW_B);
    fpu_summarize(cpu);
    return true;
}

bool ex_fldcw(struct vcpu *cpu, const struct insn *in)
{
    u64 val;

    if (!cpu_read(cpu, in->seg, insn_offset(cpu, in), 2, &val))
        return false;
    cpu->fpu.fcw = fpu_fcw((u32)val);
    fpu_summarize(cpu);
    return true;
}

bool ex_fnstcw(struct vcpu *cpu, const struct insn *in)
{
    return cpu_write(cpu, in->seg, insn_offset(cpu, in), 2, cpu->fpu.fcw);
}

bool ex_fnstsw(struct vcpu *cpu, const struct insn *in)
{
    if (in->op[0].kind == OP_MEM)
        return cpu_write(cpu, in->seg, insn_offset(cpu, in), 2, cpu->fpu.fsw);
    cpu->gpr[EAX] = (cpu->gpr[EAX] & 0xffff0000) | cpu->fpu.fsw;
    return true;
}

/* WAIT minds CR0.MP where others mind EM (vol. 3, table 2-2). */
bool ex_fwait(struct vcpu *cpu, const struct insn *in)
{
    if ((cpu->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))
        return cpu_fault(cpu, EXC_NM, 0);
    return cpu->fpu.fsw & FSW_ES ? fpu_report(cpu) : true;
}

/* FENI, FDISI, FSETPM: meant something to an 8087 or 80287. */
bool ex_x87_nop(struct vcpu *cpu, const struct insn *in)
{
    return true;
}
