/*
 * The table of instructions: one row per mnemonic, gathered from four lists.
 *
 *   OP(mnemonic, handler[, attributes[, feature]])   a row; without: no attribute, every model
 *   STRING(name, handler[, attributes])              those of a string instruction: B, W and D
 *
 * A mnemonic without a row is #UD. Two rows for one mnemonic do not compile
 * (-Winitializer-overrides).
 */
#include "cpu/cpuid.h"
#include "cpu/insn.h"

#define STRING(name, handler, ...)                                                             \
    OP(name##B, handler, OP_STRING __VA_OPT__(|) __VA_ARGS__)                                  \
    OP(name##W, handler, OP_STRING __VA_OPT__(|) __VA_ARGS__)                                  \
    OP(name##D, handler, OP_STRING __VA_OPT__(|) __VA_ARGS__)

#define OP(mnemonic, handler, ...) insn_handler handler;
#include "cpu/ops_int.def"
#include "cpu/ops_sys.def"
#include "cpu/ops_fpu.def"
#include "cpu/ops_avx.def"
#undef OP

#define OP(mnemonic, handler, ...)                                                             \
    [ZYDIS_MNEMONIC_##mnemonic] = { .exec = handler, __VA_ARGS__ },
const struct op_row cpu_ops[INSN_MNEMONICS] = {
#include "cpu/ops_int.def"
#include "cpu/ops_sys.def"
#include "cpu/ops_fpu.def"
#include "cpu/ops_avx.def"
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
