/*
 * The table of instructions: one row per mnemonic, gathered from three lists. OP(mnemonic, handler,
 * attributes, feature). A mnemonic without a row is #UD. Two rows for one mnemonic do not compile
 * (-Winitializer-overrides), so a mnemonic with two sides (MOVSD: string and SSE2) has one handler
 * that looks at the opcode map.
 */
#include "cpu/insn.h"

#define OP(mnemonic, handler, attributes, feature) insn_handler handler;
#include "cpu/ops_int.def"
#include "cpu/ops_sys.def"
#include "cpu/ops_fpu.def"
#undef OP

#define OP(mnemonic, handler, attributes, feature)                                             \
    [ZYDIS_MNEMONIC_##mnemonic] = { handler, attributes, feature },
const struct op_row cpu_ops[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
#include "cpu/ops_int.def"
#include "cpu/ops_sys.def"
#include "cpu/ops_fpu.def"
};
