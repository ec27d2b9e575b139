/*
 * Sensitive instructions that are simple enough for the cache: updates of vcpu state.
 */
#include "bt/emit.h"
#include "runtime/machine.h"

/* CLI: IF := 0, or #GP(0) when CPL > IOPL, which C raises (SDM vol. 2, "CLI").
 * A plain MOV, since the guest's arithmetic flags are live. */
bool xl_cli(struct xl *x, const struct insn *in)
{
    if (!(x->context->key & KEY_IOPL_OK))
        return false;
    EMIT(x, 0x41, 0xc6, 0x47, VCPU_INT_FLAG, 0); /* mov byte [r15+int_flag], 0 */
    return true;
}

/* DF is part of the context: setting it to what it is takes nothing; else C changes it and the TU
 * ends there. */
bool xl_cld(struct xl *x, const struct insn *in)
{
    return !(x->context->key & KEY_DF);
}

bool xl_std(struct xl *x, const struct insn *in)
{
    return x->context->key & KEY_DF;
}

/* STI: IF := 1, in code when no interrupt waits; the next instruction follows without a poll, which
 * is the shadow (SDM vol. 2, "STI"). So it is C's as the last of a TU. */
bool xl_sti(struct xl *x, const struct insn *in)
{
    if (!(x->context->key & KEY_IOPL_OK) || x->last)
        return false;
    EMIT(x, 0x45, 0x0f, 0xb6, 0x4f, VCPU_INTR); /* movzx r9d, byte [r15+intr] */
    xl_slow_unless_zero(x, R9, R10);
    EMIT(x, 0x41, 0xc6, 0x47, VCPU_INT_FLAG, 1); /* mov byte [r15+int_flag], 1 */
    return true;
}

/* In V86, and with the alignment of 16-bit stacks, it is C's. */
static bool plain_flags(struct xl *x)
{
    return !(x->context->key & KEY_V86) && x->site->form == FORM_FLAT &&
           context_seg(x->context->key, SS) != SEG_LIMIT;
}

/*
 * PUSHF: the host's arithmetic flags, and the vcpu's other ones, whose arithmetic bits are 0 while
 * translated code runs.
 *      pushfq;  pop r11;  mov r9d, mask;  pext r11d, r11d, r9d;  pdep r11d, r11d, r9d
 *      movzx r9d, byte [int_flag];  rorx r9d, r9d, 23;  lea r11d, [r11+r9]
 *      mov r9d, [eflags];  lea r11d, [r11+r9];  push r11
 */
bool xl_pushf(struct xl *x, const struct insn *in)
{
    if (!plain_flags(x))
        return false;
    EMIT(x, 0x9c, 0x41, 0x5b);
    emit_mov_ri(x, R9, FLAGS_ARITH);
    EMIT(x, 0xc4, 0x42, 0x22, 0xf5, 0xd9);       /* pext r11d, r11d, r9d */
    EMIT(x, 0xc4, 0x42, 0x23, 0xf5, 0xd9);       /* pdep r11d, r11d, r9d */
    EMIT(x, 0x45, 0x0f, 0xb6, 0x4f, VCPU_INT_FLAG);
    EMIT(x, 0xc4, 0x43, 0x7b, 0xf0, 0xc9, 23);   /* rorx r9d, r9d, 23 */
    emit_lea_sib(x, R11, R11, R9, 1, 0, false);
    emit_op_rm(x, 0x8b, R9, R15, VCPU_EFLAGS, false);
    emit_lea_sib(x, R11, R11, R9, 1, 0, false);
    return xl_push_reg(x, R11, in->opsize);
}

/*
 * POPF: arithmetic flags to the host's, IF to the vcpu. C does it when another flag changes, or an
 * interrupt waits for IF. The old flags are dead once the load has succeeded.
 */
bool xl_popf(struct xl *x, const struct insn *in)
{
    const u32 others = FLAG_TF | FLAG_DF | FLAG_IOPL | FLAG_NT |
                       (in->opsize == 4 ? FLAG_AC | FLAG_ID : 0);

    if (!plain_flags(x) || !(x->context->key & KEY_IOPL_OK) || !xl_pop_reg(x, R13, in->opsize))
        return false;
    emit_mov_rr(x, R11, R13);
    emit_op_rm(x, 0x33, R11, R15, VCPU_EFLAGS, false); /* xor r11d, [eflags] */
    EMIT(x, 0x41, 0xf7, 0xc3);                         /* test r11d, others */
    emit32(x, others);
    xl_slow_jcc(x, 0x85);
    emit_mov_rr(x, R11, R13);
    EMIT(x, 0x41, 0xc1, 0xeb, 9, 0x41, 0x83, 0xe3, 1); /* shr r11d, 9;  and r11d, 1 */
    EMIT(x, 0x45, 0x84, 0x5f, VCPU_INTR);              /* test [intr], r11b */
    xl_slow_jcc(x, 0x85);
    EMIT(x, 0x45, 0x88, 0x5f, VCPU_INT_FLAG);          /* mov [int_flag], r11b */
    xl_stack_move(x, (i32)in->opsize);
    EMIT(x, 0x41, 0x81, 0xe5);                         /* and r13d, arithmetic */
    emit32(x, FLAGS_ARITH);
    EMIT(x, 0x41, 0x81, 0xcd);                         /* or r13d, what the host's hold */
    emit32(x, FLAG_1 | FLAG_IF | HOST_FLAG_AC);
    EMIT(x, 0x41, 0x55, 0x9d);                         /* push r13;  popfq */
    return true;
}

/* RDTSC: the host's plus the offset. C where the clock is turned by hand, and above CPL 0, where
 * CR4.TSD may forbid it.
 *      rdtsc;  mov r9d, eax;  rorx rdx, rdx, 32;  lea r9, [r9+rdx];  mov r10, [tsc_offset]
 *      lea r9, [r9+r10];  mov eax, r9d;  rorx rdx, r9, 32;  mov edx, edx */
bool xl_rdtsc(struct xl *x, const struct insn *in)
{
    if (x->context->key >> KEY_CPL_SHIFT & 3 || x->bt->cpu->machine->clock_manual)
        return false;
    EMIT(x, 0x0f, 0x31);
    emit_mov_rr(x, R9, RAX);
    EMIT(x, 0xc4, 0xe3, 0xfb, 0xf0, 0xd2, 32);
    emit_lea_sib(x, R9, R9, RDX, 1, 0, true);
    emit_op_rm(x, 0x8b, R10, R15, offsetof(struct vcpu, tsc_offset), true);
    emit_lea_sib(x, R9, R9, R10, 1, 0, true);
    emit_mov_rr(x, RAX, R9);
    EMIT(x, 0xc4, 0xc3, 0xfb, 0xf0, 0xd1, 32);
    emit_mov_rr(x, RDX, RDX);
    return true;
}
