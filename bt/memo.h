/*
 * Memoised transfers: segment loads, system calls, interrupts, far transfers, changes of PE and
 * CPUID, which C did once and memo.S and memo_far.S do again while what they relied on is the
 * same. Private to bt/.
 */
#ifndef RING3_BT_MEMO_H
#define RING3_BT_MEMO_H

#include "bt/translator.h"

/* JMP, CALL or RET: EA, 9A, FF /3 and /5, CA and CB */
static inline bool insn_far(const struct insn *in)
{
    if (in->mnem != ZYDIS_MNEMONIC_JMP && in->mnem != ZYDIS_MNEMONIC_CALL &&
        in->mnem != ZYDIS_MNEMONIC_RET)
        return false;
    if (in->mnem == ZYDIS_MNEMONIC_RET)
        return in->opcode >= 0xca;
    return in->op[0].kind == OP_FAR || (in->op[0].kind == OP_MEM && in->modrm >> 3 & 1);
}
static inline bool insn_writes_cr0(const struct insn *in)
{
    return in->mnem == ZYDIS_MNEMONIC_MOV && in->op[0].kind == OP_CR && !in->op[0].reg;
}
/* What a load of `selector` into `seg` depends on besides the descriptor: the key of
 * seg_cache. */
u32 memo_segment_key(u16 selector, enum seg seg, u32 cpl, enum seg_class class, bool stack32);
/* LOOK_* of VERW, VERR, LAR and LSL; 0: another instruction. */
u32 memo_look(const struct insn *in);
static inline bool memo_key_looks(u32 key)
{
    return (key & SEG_KEY_LOOK) == SEG_KEY_LOOK;
}
/* Where in seg_cache: one selector's places differ, in SS, in the others, and for each look. */
static inline u32 memo_segment_place(u32 key)
{
    u32 apart = memo_key_looks(key) ? 8 ^ key >> LOOK_SHIFT : key & SEG_KEY_SS ? 8 : 0;

    static_assert(SEG_CACHE == 16 && SEG_KEY_SS >> 17 == 0x40, "find_segment, bt_look");
    return (key >> 3 ^ apart) & (SEG_CACHE - 1);
}
/* After C ran an IRET in the context `from`: next time the code does it. */
void memo_learn_iret(struct bt *bt, u32 from);
void memo_learn_int(struct bt *bt, u32 from, u8 vector); /* INT n likewise */
void memo_learn_far(struct bt *bt, u32 from); /* and a far transfer; */
void memo_learn_pe(struct bt *bt, u32 from);  /* a MOV to CR0; */
void memo_learn_cpuid(struct bt *bt, u32 leaf); /* and a CPUID */
void memo_forget_transfers(struct vcpu *cpu);
/* After C ran a segment load: next time the code does it. */
void memo_learn_segment(struct bt *bt, const struct insn *in);
/* Before a context is found: the reach of FS and GS; forgets loads after LGDT or LLDT. */
void memo_revalidate(struct bt *bt);

#endif
