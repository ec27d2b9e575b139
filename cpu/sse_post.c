/*
 * Which flags an SSE instruction raises that ends in an unmasked exception. One found before
 * computing leaves no others but of its kind (SDM vol. 1, 11.5.3). With overflow or underflow the
 * precision flag speaks of the result rounded with an unbounded exponent (vol. 1, 4.9.1.4,
 * 4.9.1.5), not of the infinity or denormal that the masked run delivered.
 *
 * Each element is done by itself, by the scalar form of the instruction (same opcode, prefix F3 or
 * F2). Where it over- or underflows unmasked, the x87 does it again: with its precision control
 * at 24 or 53 bits it rounds as SSE does, and its exponent has bits to spare.
 */
#include "cpu/sse_post.h"
#include "cpu/hostexec.h"

#include <string.h>

enum { OP_ADD = 0x58, OP_MUL = 0x59, OP_CVT = 0x5a, OP_SUB = 0x5c, OP_DIV = 0x5e };
enum { MAP1_HADD = 0x7c, MAP1_HSUB = 0x7d, MAP1_ADDSUB = 0xd0, MAP3_DP = 0x40 };
enum { PC24 = 0x000, PC53 = 0x200, RC_SHIFT_DOWN = 3 /* from MXCSR's place to FCW's */ };

struct element {
    u64 a, b;        /* destination and source, as bits; 32-bit ones zero-extended */
    bool wide;       /* 64-bit operands */
    u8 opcode;
    u32 mxcsr;       /* the guest's */
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

/* The scalar form on XMM0 and memory, all exceptions masked; its result. */
static u64 scalar_run(struct vcpu *cpu, const struct element *e, u32 mxcsr, u32 *flags)
{
    struct insn in = { .map = 1, .opcode = e->opcode, .has_modrm = 1, .nops = 2, .len = 3,
                       .raw = { e->wide ? 0xf2 : 0xf3, 0x0f, e->opcode } };
    struct hostexec_frame *f = hostexec_load(cpu);

    f->fx.fcw = FCW_INIT;
    f->fx.fsw = 0;
    memset(f->fx.xmm[0], 0, 16);
    memset(f->mem, 0, 16);
    memcpy(f->fx.xmm[0], &e->a, 8);
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

u32 simd_post_flags(struct vcpu *cpu, const struct insn *in, u32 flags, const u8 a[32],
                    const u8 b[32])
{
    u32 unmasked = flags & ~(cpu->fpu.mxcsr >> MXCSR_MASK_SHIFT);

    if (in->map == 3 && (in->opcode & 0xfe) == MAP3_DP)
        return dot_flags(cpu, in, a, b);
    if (unmasked & PRE_COMPUTATION)
        return flags & PRE_COMPUTATION;
    return unmasked & (FPU_OE | FPU_UE) ? range_flags(cpu, in, a, b) : flags;
}
