/*
 * Which flags an SSE instruction raises that ends in an unmasked exception. One found before
 * computing leaves no others but of its kind (SDM vol. 1, 11.5.3). With overflow or underflow
 * the precision flag speaks of the result rounded with an unbounded exponent (vol. 1, 4.9.1.4,
 * 4.9.1.5), not of the infinity or denormal that the masked run delivered.
 *
 * Each element is done by itself, by the scalar form of the instruction (same opcode, prefix F3
 * or F2). Where it over- or underflows unmasked, the x87 does it again: with its precision
 * control at 24 or 53 bits it rounds as SSE does, and its exponent has bits to spare. FMA3's
 * are all done as VFMADD231, signs turned, and by fused_post.c.
 */
#include "cpu/sse_post.h"
#include "cpu/cpuid.h"
#include "cpu/hostexec.h"

#include <string.h>

enum { OP_ADD = 0x58, OP_MUL = 0x59, OP_CVT = 0x5a, OP_SUB = 0x5c, OP_DIV = 0x5e };
enum { MAP1_HADD = 0x7c, MAP1_HSUB = 0x7d, MAP1_ADDSUB = 0xd0, MAP3_DP = 0x40 };
enum { MAP2_FMADD231 = 0xb9 };
enum { PC24 = 0x000, PC53 = 0x200, RC_SHIFT_DOWN = 3 /* from MXCSR's place to FCW's */ };

struct element {
    u64 a, b;        /* destination and source, as bits; 32-bit ones zero-extended */
    bool wide;       /* 64-bit operands */
    u8 opcode;
    u32 mxcsr;       /* the guest's */
    u64 c;           /* what is added, of MAP2_FMADD231 alone */
};

/* ---- On the x87 ---- */

#define X87(instruction)                                                                       \
    __asm__ volatile("fnstcw %[host]\n fldcw %[cw]\n fnclex\n fldl %[a]\n fldl %[b]\n"         \
                     instruction "\n fnstsw %[sw]\n fstp %%st(0)\n fldcw %[host]\n fnclex"     \
                     : [host] "=m"(host), [sw] "=m"(sw)                                        \
                     : [a] "m"(a), [b] "m"(b), [cw] "m"(cw)                                    \
                     : "st", "st(1)", "memory")

/* Is a OP b inexact, the exponent unbounded? */
static bool x87_inexact(u8 opcode, double a, double b, u16 cw)
{
    u16 host, sw = 0;

    switch (opcode) {
    case OP_ADD:
        X87("faddp");
        break;
    case OP_MUL:
        X87("fmulp");
        break;
    case OP_SUB:
        X87("fsubrp"); /* AT&T's name for st(1) := st(1) - st(0) */
        break;
    case OP_DIV:
        X87("fdivrp"); /* st(1) / st(0) */
        break;
    }
    return sw & FPU_PE;
}

static double as_double(const struct element *e, u64 bits)
{
    bool daz = e->mxcsr & MXCSR_DAZ;
    u32 narrow = (u32)bits;
    double d;
    float f;

    if (e->wide) {
        if (daz && !(bits >> 52 & 0x7ff))
            bits &= 1ull << 63;
        memcpy(&d, &bits, 8);
        return d;
    }
    if (daz && !(narrow >> 23 & 0xff))
        narrow &= 1u << 31;
    memcpy(&f, &narrow, 4);
    return f; /* exact */
}

static bool inexact(const struct element *e)
{
    bool narrow_result = !e->wide || e->opcode == OP_CVT;
    u16 cw = (u16)(FPU_EXCEPTIONS | FCW_ONE | (narrow_result ? PC24 : PC53) |
                   (e->mxcsr >> RC_SHIFT_DOWN & 0xc00));

    if (e->opcode == MAP2_FMADD231)
        return fused_inexact(e->a, e->b, e->c, e->wide, e->mxcsr & MXCSR_DAZ);
    if (e->opcode == OP_CVT) /* times one: rounds to 24 bits */
        return x87_inexact(OP_MUL, as_double(e, e->b), 1.0, cw);
    return x87_inexact(e->opcode, as_double(e, e->a), as_double(e, e->b), cw);
}

/* ---- Element by element ---- */

static u64 element_of(const u8 *vector, u32 i, bool wide)
{
    u64 bits = 0;

    memcpy(&bits, vector + i * (wide ? 8 : 4), wide ? 8 : 4);
    return bits;
}

/* XMM0 and memory; XMM0 += XMM1 * memory */
static struct insn scalar_form(const struct element *e)
{
    if (e->opcode == MAP2_FMADD231)
        return (struct insn){ .map = 2, .opcode = e->opcode, .vex = 1, .has_modrm = 1, .len = 5,
                              .raw = { 0xc4, 0xe2, e->wide ? 0xf1 : 0x71, e->opcode } };
    return (struct insn){ .map = 1, .opcode = e->opcode, .has_modrm = 1, .nops = 2, .len = 3,
                          .raw = { e->wide ? 0xf2 : 0xf3, 0x0f, e->opcode } };
}

/* All exceptions masked; its result. */
static u64 scalar_run(struct vcpu *cpu, const struct element *e, u32 mxcsr, u32 *flags)
{
    struct insn in = scalar_form(e);
    struct hostexec_frame *f = hostexec_load(cpu);

    f->fx.fcw = FCW_INIT;
    f->fx.fsw = 0;
    memset(f->fx.xmm[0], 0, 2 * 16);
    memset(f->mem, 0, 16);
    memcpy(f->fx.xmm[0], in.vex ? &e->c : &e->a, 8);
    memcpy(f->fx.xmm[1], &e->a, 8);
    memcpy(f->mem, &e->b, 8);
    f->fx.mxcsr = mxcsr & ~FPU_EXCEPTIONS;
    hostexec_run(cpu, &in);
    *flags = f->fx.mxcsr & FPU_EXCEPTIONS;
    return element_of(f->fx.xmm[0], 0, e->wide);
}

static u32 scalar_flags(struct vcpu *cpu, const struct element *e, u32 mxcsr)
{
    u32 flags;

    scalar_run(cpu, e, mxcsr, &flags);
    return flags;
}

static u32 element_flags(struct vcpu *cpu, const struct element *e)
{
    u32 unmasked = ~(e->mxcsr >> MXCSR_MASK_SHIFT) & (FPU_OE | FPU_UE), flags;

    if (unmasked & FPU_UE && scalar_flags(cpu, e, e->mxcsr | MXCSR_FTZ) & FPU_UE) {
        flags = scalar_flags(cpu, e, e->mxcsr & ~MXCSR_FTZ) | FPU_UE;
    } else {
        flags = scalar_flags(cpu, e, e->mxcsr & ~(unmasked & FPU_UE ? MXCSR_FTZ : 0));
        if (!(flags & unmasked))
            return flags;
    }
    return (flags & ~FPU_PE) | (inexact(e) ? FPU_PE : 0);
}

/* ---- Instructions ---- */

/* Element i of the result: of the same ones of a and b, or of neighbours. */
static struct element operands(const struct insn *in, u32 i, u32 count, bool wide, const u8 *a,
                               const u8 *b)
{
    struct element e = { .wide = wide, .opcode = in->opcode };

    if (in->map == 1 && (in->opcode == MAP1_HADD || in->opcode == MAP1_HSUB)) {
        const u8 *from = i < count / 2 ? a : b;

        e.a = element_of(from, i * 2 % count, wide);
        e.b = element_of(from, i * 2 % count + 1, wide);
        e.opcode = in->opcode == MAP1_HADD ? OP_ADD : OP_SUB;
        return e;
    }
    if (in->map == 1 && in->opcode == MAP1_ADDSUB)
        e.opcode = i & 1 ? OP_ADD : OP_SUB;
    e.a = element_of(a, i, wide);
    e.b = element_of(b, i, wide);
    return e;
}

/* SSE3's have F2 for PS. */
static bool of_pairs(const struct insn *in)
{
    return in->map == 1 && (in->opcode == MAP1_HADD || in->opcode == MAP1_HSUB ||
                            in->opcode == MAP1_ADDSUB);
}

static bool is_256(const struct insn *in)
{
    return in->vex && insn_vex_256(in);
}

static u32 element_count(const struct insn *in, u8 prefix)
{
    if (of_pairs(in))
        return prefix == 0x66 ? 2 : 4;
    return prefix == 0 ? 4 : prefix == 0x66 ? 2 : 1;
}

static u32 range_flags(struct vcpu *cpu, const struct insn *in, const u8 *a, const u8 *b)
{
    u8 prefix = hostexec_prefix(in);
    bool wide = prefix == 0x66 || (prefix == 0xf2 && !of_pairs(in));
    u32 count = element_count(in, prefix), flags = 0; /* of 16 bytes */
    u32 lanes = count > 1 && is_256(in) ? 2 : 1;

    for (u32 i = 0; i < count * lanes; i++) {
        u32 at = i / count * 16;
        struct element e = operands(in, i % count, count, wide, a + at, b + at);

        e.mxcsr = cpu->fpu.mxcsr;
        flags |= element_flags(cpu, &e);
    }
    return flags;
}

/*
 * DPPS and DPPD multiply, then add, perhaps once more: the first of these steps that has an
 * unmasked exception is the last one.
 */
struct dot {
    u64 t[8]; /* of YMM both halves', which do each step together */
    u32 flags; /* of the steps so far */
    bool ended;
};

/* One step's flags, of all its elements. */
static void dot_step(struct vcpu *cpu, struct dot *d, u32 flags)
{
    u32 unmasked = flags & ~(cpu->fpu.mxcsr >> MXCSR_MASK_SHIFT);

    d->flags |= unmasked & PRE_COMPUTATION ? flags & PRE_COMPUTATION : flags;
    d->ended = unmasked;
}

/* t[i] := t[2i] + t[2i + 1], `count` of them */
static void dot_add(struct vcpu *cpu, struct dot *d, u32 count, bool wide)
{
    u32 flags = 0, ignored;

    for (u32 i = 0; i < count; i++) {
        struct element e = { d->t[2 * i], d->t[2 * i + 1], wide, OP_ADD, cpu->fpu.mxcsr };

        flags |= element_flags(cpu, &e);
        d->t[i] = scalar_run(cpu, &e, e.mxcsr, &ignored);
    }
    dot_step(cpu, d, flags);
}

static u32 dot_flags(struct vcpu *cpu, const struct insn *in, const u8 *a, const u8 *b)
{
    bool wide = in->mnem == ZYDIS_MNEMONIC_DPPD || in->mnem == ZYDIS_MNEMONIC_VDPPD;
    u32 count = wide ? 2 : 4, flags = 0, lanes = is_256(in) ? 2 : 1, ignored;
    u8 imm = in->raw[in->len - 1];
    struct dot d = { 0 };

    for (u32 i = 0; i < count * lanes; i++) {
        struct element e = { element_of(a, i, wide), element_of(b, i, wide), wide, OP_MUL,
                             cpu->fpu.mxcsr };

        if (!(imm >> (4 + i % count) & 1))
            continue;
        flags |= element_flags(cpu, &e);
        d.t[i] = scalar_run(cpu, &e, e.mxcsr, &ignored);
    }
    dot_step(cpu, &d, flags);
    while ((count /= 2) && !d.ended)
        dot_add(cpu, &d, count * lanes, wide);
    return d.flags;
}

bool simd_is_fused(const struct insn *in)
{
    return cpu_ops[in->mnem].feature == FEAT_FMA;
}

/*
 * FMA3's opcodes: from the high digit, which two operands are multiplied, 9: the first and the
 * third, A: the second and the first, B: the second and the third. From the low one, what is
 * done: 6 and 7 add and subtract by turns, 8 on: bit 0 the scalar form, bit 1 subtracts, bit 2
 * turns the product's sign.
 */
enum { FUSED_SCALAR = 1, FUSED_SUB = 2, FUSED_NEG = 4 };

static struct element fused_element(const struct insn *in, u32 i, const u8 op[3][32],
                                    u32 mxcsr)
{
    static const u8 factors[4][3] = { [1] = { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 } };
    const u8 *from = factors[in->opcode >> 4 & 3];
    bool wide = insn_vex_w(in), turns = (in->opcode & 15) < 8;
    u64 sign = wide ? 1ull << 63 : 1u << 31;
    struct element e = { .a = element_of(op[from[0]], i, wide),
                         .b = element_of(op[from[1]], i, wide),
                         .c = element_of(op[from[2]], i, wide),
                         .wide = wide, .opcode = MAP2_FMADD231, .mxcsr = mxcsr };

    if (turns ? (i & 1) == (in->opcode & 1) : in->opcode & FUSED_SUB)
        e.c ^= sign;
    if (!turns && in->opcode & FUSED_NEG)
        e.a ^= sign;
    return e;
}

static u32 fused_flags(struct vcpu *cpu, const struct insn *in, const u8 op[3][32])
{
    bool scalar = (in->opcode & 15) >= 8 && in->opcode & FUSED_SCALAR;
    u32 count = scalar ? 1 : (insn_vex_256(in) ? 32 : 16) / (insn_vex_w(in) ? 8 : 4), flags = 0;

    for (u32 i = 0; i < count; i++) {
        struct element e = fused_element(in, i, op, cpu->fpu.mxcsr);

        flags |= element_flags(cpu, &e);
    }
    return flags;
}

u32 simd_post_flags(struct vcpu *cpu, const struct insn *in, u32 flags, const u8 op[3][32])
{
    u32 unmasked = flags & ~(cpu->fpu.mxcsr >> MXCSR_MASK_SHIFT);

    if (in->map == 3 && (in->opcode & 0xfe) == MAP3_DP)
        return dot_flags(cpu, in, op[0], op[1]);
    if (unmasked & PRE_COMPUTATION)
        return flags & PRE_COMPUTATION;
    if (in->mnem == ZYDIS_MNEMONIC_VCVTPS2PH)
        return half_post_flags(cpu, in, flags, op[1]);
    if (!(unmasked & (FPU_OE | FPU_UE)))
        return flags;
    return simd_is_fused(in) ? fused_flags(cpu, in, op) : range_flags(cpu, in, op[0], op[1]);
}
