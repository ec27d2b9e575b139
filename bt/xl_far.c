/*
 * Far transfers: their operands to the vcpu, and on to memo_far.S, which knows where the
 * selector led the last time. INT n of real mode and its IRET go the same way.
 */
#include "bt/memo.h"
#include "bt/emit.h"
#include "cpu/deliver.h"

static bool may_transfer(const struct xl *x)
{
    return !x->bt->config.no_chaining && context_seg(x->context->key, SS) != SEG_OTHER &&
           !x->callout;
}

/* mov dword [r15+at], imm */
static void set_vcpu(struct xl *x, i32 at, u32 imm)
{
    emit_mov_mi32_disp32(x, R15, at, imm);
}

/* To the routine, which has the callout in r9 and the stack's mask in r11d. */
static bool jump_to_routine(struct xl *x, u32 routine)
{
    emit_mov_ri(x, R11, x->stack32 ? ~0u : 0xffff);
    xl_callout_record(x, x->site, false);
    emit_jmp_vcpu(x, TC_FAR + 8 * (i32)routine);
    x->ended = true;
    return true;
}

static u32 far_prot(const struct xl *x)
{
    return x->context->key & KEY_PROT ? FAR_PROT : 0;
}

static u32 far_width(const struct insn *in)
{
    return in->opsize == 4 ? FAR_WIDE : 0;
}

/* The offset, then the selector. */
static bool target_from_memory(struct xl *x, const struct insn *in)
{
    struct insn second = *in;

    second.disp += in->opsize;
    if (!xl_operand(x, in, in->opsize, XL_READ))
        return false;
    emit_load(x, R11, in->opsize);
    if (in->opsize == 2)
        emit_movzx_rr16(x, R11, R11);
    emit_mov_mr(x, R15, TC_FAR_EIP, R11);
    if (!xl_operand(x, &second, 2, XL_READ))
        return false;
    emit_load_word(x);
    emit_mov_mr(x, R15, TC_FAR_SELECTOR, R9);
    return true;
}

bool xl_far(struct xl *x, const struct insn *in)
{
    bool call = in->mnem == ZYDIS_MNEMONIC_CALL;

    if (!may_transfer(x))
        return false;
    if (in->op[0].kind == OP_FAR) {
        set_vcpu(x, TC_FAR_EIP, in->opsize == 2 ? in->imm & 0xffff : in->imm);
        set_vcpu(x, TC_FAR_SELECTOR, in->imm2);
    } else if (in->op[0].kind != OP_MEM || !target_from_memory(x, in)) {
        return false;
    }
    if (!call)
        return jump_to_routine(x, FAR_JMP + far_prot(x));
    emit_set_eip(x, x->next_eip);
    return jump_to_routine(x, FAR_CALL + far_prot(x) + far_width(in));
}

bool xl_far_ret(struct xl *x, const struct insn *in)
{
    if (!may_transfer(x))
        return false;
    set_vcpu(x, TC_FAR_DROP,
             2 * in->opsize + (in->op[0].kind == OP_IMM ? in->imm & 0xffff : 0));
    return jump_to_routine(x, FAR_RET + far_prot(x) + far_width(in));
}

/* DOS signals that it is idle by INT 28h: a callout, which looks at the vector
 * (cpu_int_n()). */
bool xl_int_real(struct xl *x, const struct insn *in)
{
    u32 vector = in->imm & 0xff;

    if (!may_transfer(x) || x->context->key & (KEY_PROT | KEY_V86) || x->stack32 ||
        vector == INT_DOS_IDLE)
        return false;
    set_vcpu(x, VCPU_EIP, x->next_eip);
    xl_callout_record(x, x->site, false);
    emit_mov_ri(x, R11, vector);
    emit_jmp_vcpu(x, TC_FAR + 8 * FAR_INT);
    x->ended = true;
    return true;
}

bool xl_iret_same(struct xl *x, const struct insn *in)
{
    u32 key = x->context->key;
    bool wide = in->opsize == 4;

    if (!may_transfer(x) || (!(key & KEY_PROT) && !(key & KEY_IOPL_OK)) ||
        (key & KEY_V86 && wide))
        return false;
    return jump_to_routine(x, FAR_IRETS + (key & KEY_PROT ? 2 : 0) + wide);
}
