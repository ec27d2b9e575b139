/*
 * The flags of VCVTPS2PH with overflow or underflow unmasked (SDM vol. 1, 4.9.1.4, 4.9.1.5). It
 * minds no flush-to-zero, so the host cannot be asked that way what is tiny. Instead each
 * element is converted once more with its exponent taken away: whether that was inexact, and
 * whether it was rounded up to the next power of two, is all that is missing.
 *
 * NOTE: for a denormal source Intel's manual has the precision flag always ("VCVTPS2PH"); AMD's
 * processors, measured, only if it is inexact. So it is here.
 */
#include "cpu/sse_post.h"

#include <string.h>

enum { F32_FRACTION = 23, F32_BIAS = 127, F32_INFINITE = 0xff };
enum { F16_TWO = 0x4000, F16_LOWEST = -14, F16_HIGHEST = 15 /* exponents of normal numbers */ };

/* VCVTPS2PH XMM0, XMM1, with this rounding, all exceptions masked. */
static u16 convert(struct vcpu *cpu, u8 rounding, u32 number, u32 *flags)
{
    struct insn in = { .map = 3, .opcode = 0x1d, .vex = 1, .has_modrm = 1, .modrm = 0xc8,
                       .imm_size = 1, .len = 6,
                       .raw = { 0xc4, 0xe3, 0x79, 0x1d, 0xc8, rounding } };
    struct hostexec_frame *f = hostexec_load(cpu);
    u16 half;

    f->fx.fcw = FCW_INIT;
    f->fx.fsw = 0;
    memset(f->fx.xmm[1], 0, 16);
    memcpy(f->fx.xmm[1], &number, sizeof(number));
    f->fx.mxcsr = cpu->fpu.mxcsr & ~FPU_EXCEPTIONS;
    hostexec_run(cpu, &in);
    *flags = f->fx.mxcsr & FPU_EXCEPTIONS;
    memcpy(&half, f->fx.xmm[0], sizeof(half));
    return half;
}

/* The same number between 1 and 2; *exponent: what it had. */
static u32 without_exponent(u32 number, i32 *exponent)
{
    u32 m = number & ((1u << F32_FRACTION) - 1), e = number >> F32_FRACTION & 0xff;

    *exponent = (i32)(e ? e : 1) - F32_BIAS;
    if (e)
        m |= 1u << F32_FRACTION;
    for (; !(m >> F32_FRACTION); m <<= 1)
        --*exponent;
    return (number & 1u << 31) | F32_BIAS << F32_FRACTION | (m & ((1u << F32_FRACTION) - 1));
}

static bool is_number(const struct vcpu *cpu, u32 val)
{
    u32 e = val >> F32_FRACTION & 0xff;

    if (!e)
        return val << 1 && !(cpu->fpu.mxcsr & MXCSR_DAZ);
    return e != F32_INFINITE;
}

static u32 element_flags(struct vcpu *cpu, u8 rounding, u32 number)
{
    u32 unmasked = ~(cpu->fpu.mxcsr >> MXCSR_MASK_SHIFT), flags, inexact, range;
    i32 exponent;

    convert(cpu, rounding, number, &flags);
    if (!is_number(cpu, number))
        return flags;
    number = without_exponent(number, &exponent);
    if ((convert(cpu, rounding, number, &inexact) & 0x7fff) == F16_TWO)
        exponent++;
    range = exponent < F16_LOWEST ? FPU_UE : exponent > F16_HIGHEST ? FPU_OE : 0;
    if (!(range & unmasked))
        return flags;
    return (flags & ~FPU_PE) | range | (inexact & FPU_PE);
}

u32 half_post_flags(struct vcpu *cpu, const struct insn *in, u32 flags, const u8 from[32])
{
    u32 unmasked = ~(cpu->fpu.mxcsr >> MXCSR_MASK_SHIFT) & (FPU_OE | FPU_UE), number;
    u8 rounding = in->raw[in->len - 1];

    for (u32 i = 0; i < (insn_vex_256(in) ? 8 : 4) && unmasked; i++) {
        memcpy(&number, from + 4 * i, sizeof(number));
        flags = (i ? flags : 0) | element_flags(cpu, rounding, number);
    }
    return flags;
}
