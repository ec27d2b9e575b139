/*
 * Sensitive instructions that are simple enough for the cache: updates of vcpu state.
 */
#include "bt/emit.h"

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
