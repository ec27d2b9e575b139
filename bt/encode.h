/*
 * Bytes of host code, and how x86 encodes operands: REX, ModRM, SIB and displacement (SDM vol.
 * 2, 2.1 and 2.2.1). For the emitters only: who translates an instruction calls them by name
 * (emit.h).
 */
#ifndef RING3_BT_ENCODE_H
#define RING3_BT_ENCODE_H

#include "bt/emit.h"
#include <string.h>

static inline void emit8(struct xl *x, u8 b)
{
    *x->p++ = b;
}
static inline void emit32(struct xl *x, u32 v)
{
    memcpy(x->p, &v, 4);
    x->p += 4;
}
static inline void emit64(struct xl *x, u64 v)
{
    memcpy(x->p, &v, 8);
    x->p += 8;
}
static inline void emit_bytes(struct xl *x, const u8 *b, u32 n)
{
    memcpy(x->p, b, n);
    x->p += n;
}
#define EMIT(x, ...) \
    emit_bytes(x, (const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

static inline u8 rex_byte(bool w, u8 reg, u8 index, u8 base)
{
    return (u8)(0x40 | w << 3 | (reg >> 3 & 1) << 2 | (index >> 3 & 1) << 1 | (base >> 3 & 1));
}

/* ModRM of two registers; reg may be an opcode's extension. */
static inline u8 modrm_rr(u8 reg, u8 rm)
{
    return (u8)(0xc0 | (reg & 7) << 3 | (rm & 7));
}

/* ModRM.mod by the displacement: none, of 8 or of 32 bits. */
static inline u8 mod_of(u8 base, i32 disp)
{
    return !disp && (base & 7) != RBP ? 0 : disp == (i8)disp ? 0x40 : 0x80;
}

static inline void emit_disp(struct xl *x, u8 mod, i32 disp)
{
    if (mod == 0x40)
        emit8(x, (u8)disp);
    else if (mod)
        emit32(x, (u32)disp);
}

static inline u8 sib_byte(u8 base, u8 index, u8 scale)
{
    u8 shift = scale == 8 ? 3 : scale == 4 ? 2 : scale == 2 ? 1 : 0;

    return (u8)(shift << 6 | (index & 7) << 3 | (base & 7));
}

/* ModRM with a SIB: base or NO_REG, index (RSP: none) times scale, displacement. */
static inline void modrm_sib(struct xl *x, u8 reg, u8 base, u8 index, u8 scale, i32 disp)
{
    u8 mod;

    if (base == NO_REG) { /* mod 00, base 101: disp32 */
        EMIT(x, (u8)((reg & 7) << 3 | RSP), sib_byte(RBP, index, scale));
        emit32(x, (u32)disp);
        return;
    }
    mod = mod_of(base, disp);
    EMIT(x, (u8)(mod | (reg & 7) << 3 | RSP), sib_byte(base, index, scale));
    emit_disp(x, mod, disp);
}

static inline void modrm_mod(struct xl *x, u8 mod, u8 reg, u8 base, i32 disp)
{
    emit8(x, (u8)(mod | (reg & 7) << 3 | (base & 7)));
    if ((base & 7) == RSP)
        emit8(x, 0x24); /* SIB: the base alone */
    emit_disp(x, mod, disp);
}

/* ModRM with a base register and a displacement; RSP and R12 as base need a SIB. */
static inline void modrm_disp(struct xl *x, u8 reg, u8 base, i32 disp)
{
    modrm_mod(x, mod_of(base, disp), reg, base, disp);
}

static inline void modrm_disp32(struct xl *x, u8 reg, u8 base, i32 disp)
{
    modrm_mod(x, 0x80, reg, base, disp);
}

#endif
