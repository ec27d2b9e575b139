/*
 * The table of instructions: one row per mnemonic, gathered from three lists. OP(mnemonic, handler,
 * attributes, feature). A mnemonic without a row is #UD. Two rows for one mnemonic do not compile
 * (-Winitializer-overrides).
 */
#include "cpu/insn.h"

#define OP(mnemonic, handler, attributes, feature) insn_handler handler;
#include "cpu/ops_int.def"
#include "cpu/ops_sys.def"
#include "cpu/ops_fpu.def"
#undef OP

#define OP(mnemonic, handler, attributes, feature)                                             \
    [ZYDIS_MNEMONIC_##mnemonic] = { handler, attributes, feature },
const struct op_row cpu_ops[INSN_MNEMONICS] = {
#include "cpu/ops_int.def"
#include "cpu/ops_sys.def"
#include "cpu/ops_fpu.def"
};

const char *insn_name(u32 mnem)
{
    switch (mnem) {
    case ZYDIS_MNEMONIC_SSE_MOVSD:
        return "movsd (sse2)";
    case ZYDIS_MNEMONIC_SSE_CMPSD:
        return "cmpsd (sse2)";
    default:
        return ZydisMnemonicGetString((ZydisMnemonic)mnem);
    }
}
