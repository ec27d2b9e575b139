/*
 * The FPU's state in memory: environments and images of FSTENV, FSAVE, FXSAVE and their kin.
 * SDM vol. 1, figures 8-9 to 8-12, and vol. 2, "FXSAVE". MXCSR's own load and store too.
 *
 * The live form is cpu->fpu, an FXSAVE image with one tag bit a register; the older formats have
 * two, computed from the contents. Registers are stored in ST order, so a new TOP turns them.
 */
#include "cpu/access.h"
#include "cpu/deliver.h"
#include "cpu/fpu.h"
#include "cpu/hostexec.h"

#include <string.h>

enum {
    ENV16 = 14, ENV32 = 28, ST_BYTES = 80, /* environment; eight registers of ten bytes */
    FXSAVE_USED = 288,                     /* up to XMM7: what 32-bit code has of the 512 */
    TAG_VALID = 0, TAG_ZERO = 1, TAG_SPECIAL = 2, TAG_EMPTY = 3,
};

/* ---- Tags ---- */

static u32 tag_of(const u8 st[16])
{
    u16 exponent;
    u64 mantissa;

    memcpy(&mantissa, st, 8);
    memcpy(&exponent, st + 8, 2);
    exponent &= 0x7fff;
    if (exponent == 0)
        return mantissa ? TAG_SPECIAL : TAG_ZERO;
    return exponent != 0x7fff && mantissa >> 63 ? TAG_VALID : TAG_SPECIAL;
}

u16 fpu_full_tags(const struct fxsave *fx)
{
    u32 top = fpu_top(fx), tags = 0;

    for (u32 r = 0; r < 8; r++)
        tags |= (fx->ftw >> r & 1 ? tag_of(fx->st[(r - top) & 7]) : TAG_EMPTY) << 2 * r;
    return (u16)tags;
}

u8 fpu_short_tags(u16 tags)
{
    u32 ftw = 0;

    for (u32 r = 0; r < 8; r++)
        if ((tags >> 2 * r & 3) != TAG_EMPTY)
            ftw |= 1u << r;
    return (u8)ftw;
}

/* ---- Environments ---- */

static u32 env_size(const struct insn *in)
{
    return in->opsize == 4 ? ENV32 : ENV16;
}

/* Real mode and V86 store linear addresses and the opcode, protected mode selectors. */
static void env_pointers_real(const struct fxsave *fx, u32 word[7])
{
    u32 ip = ((u32)fx->fcs << 4) + fx->fip, dp = ((u32)fx->fds << 4) + fx->fdp;

    word[3] = ip & 0xffff;
    word[4] = (ip >> 16) << 12 | (fx->fop & 0x7ff);
    word[5] = dp & 0xffff;
    word[6] = (dp >> 16) << 12;
}

static void env_build(struct vcpu *cpu, const struct insn *in, u8 env[ENV32])
{
    const struct fxsave *fx = &cpu->fpu;
    bool wide = in->opsize == 4, protected = cpu_protected(cpu);
    u32 word[7] = { fx->fcw, fx->fsw, fpu_full_tags(fx), fx->fip, fx->fcs, fx->fdp, fx->fds };

    if (!protected)
        env_pointers_real(fx, word);
    else if (wide)
        word[4] |= (u32)(fx->fop & 0x7ff) << 16;
    for (u32 i = 0; i < 7; i++) {
        if (wide) {
            bool half = i < 3 || (!protected && (i == 3 || i == 5)) || (protected && i == 6);
            u32 val = half ? word[i] | 0xffff0000 : word[i]; /* reserved halves read as ones */

            memcpy(env + 4 * i, &val, 4);
        } else {
            memcpy(env + 2 * i, &word[i], 2);
        }
    }
}

static void env_load_pointers(struct fxsave *fx, const u32 word[7], bool wide, bool protected)
{
    fx->fcs = fx->fds = 0;
    fx->fop = 0;
    if (protected) {
        fx->fip = word[3];
        fx->fcs = (u16)word[4];
        fx->fdp = word[5];
        fx->fds = (u16)word[6];
        if (wide)
            fx->fop = word[4] >> 16 & 0x7ff;
        return;
    }
    fx->fip = (word[3] & 0xffff) | (word[4] & 0x0ffff000) << 4;
    fx->fop = word[4] & 0x7ff;
    fx->fdp = (word[5] & 0xffff) | (word[6] & 0x0ffff000) << 4;
}

static void env_apply(struct vcpu *cpu, const struct insn *in, const u8 env[ENV32])
{
    struct fxsave *fx = &cpu->fpu;
    bool wide = in->opsize == 4;
    u32 word[7] = { 0 };

    for (u32 i = 0; i < 7; i++)
        memcpy(&word[i], env + (wide ? 4 : 2) * i, wide ? 4 : 2);
    fpu_set_top(fx, (word[1] & FSW_TOP) >> FSW_TOP_SHIFT);
    fx->fcw = fpu_fcw(word[0]);
    fx->fsw = (u16)word[1];
    fx->ftw = fpu_short_tags((u16)word[2]);
    env_load_pointers(fx, word, wide, cpu_protected(cpu));
    fpu_summarize(cpu);
}

bool ex_fnstenv(struct vcpu *cpu, const struct insn *in)
{
    u8 env[ENV32];

    env_build(cpu, in, env);
    if (!cpu_write_bytes(cpu, in->seg, insn_offset(cpu, in), env, env_size(in)))
        return false;
    cpu->fpu.fcw |= FPU_EXCEPTIONS; /* masks all, after storing */
    fpu_summarize(cpu);
    return true;
}

bool ex_fldenv(struct vcpu *cpu, const struct insn *in)
{
    u8 env[ENV32];

    if (!cpu_read_bytes(cpu, in->seg, insn_offset(cpu, in), env, env_size(in)))
        return false;
    env_apply(cpu, in, env);
    return true;
}

/* ---- Whole images ---- */

bool ex_fnsave(struct vcpu *cpu, const struct insn *in)
{
    u8 image[ENV32 + ST_BYTES];
    u32 env = env_size(in);

    env_build(cpu, in, image);
    for (u32 i = 0; i < 8; i++)
        memcpy(image + env + 10 * i, cpu->fpu.st[i], 10);
    if (!cpu_write_bytes(cpu, in->seg, insn_offset(cpu, in), image, env + ST_BYTES))
        return false;
    fpu_init(cpu);
    return true;
}

bool ex_frstor(struct vcpu *cpu, const struct insn *in)
{
    u8 image[ENV32 + ST_BYTES];
    u32 env = env_size(in);

    if (!cpu_read_bytes(cpu, in->seg, insn_offset(cpu, in), image, env + ST_BYTES))
        return false;
    env_apply(cpu, in, image);
    for (u32 i = 0; i < 8; i++) {
        memcpy(cpu->fpu.st[i], image + env + 10 * i, 10);
        memset(cpu->fpu.st[i] + 10, 0, 6);
    }
    return true;
}

/* Segment checks, #GP(0) off a 16-byte boundary, and both pages of all 512 bytes, used or not. */
static bool fx_aligned(struct vcpu *cpu, const struct insn *in, bool write)
{
    bool (*check_access)(struct vcpu *, enum seg, u32, u32) =
        write ? cpu_check_write : cpu_check_read;
    u32 off = insn_offset(cpu, in), last = sizeof(struct fxsave) - 16;
    gla_t gla;

    if (!cpu_linear(cpu, in->seg, off, sizeof(struct fxsave), write, &gla))
        return false;
    if (gla & 15)
        return cpu_fault(cpu, EXC_GP, 0);
    return check_access(cpu, in->seg, off, 16) && check_access(cpu, in->seg, off + last, 16);
}

bool ex_fxsave(struct vcpu *cpu, const struct insn *in)
{
    struct fxsave image = cpu->fpu;

    if (!fx_aligned(cpu, in, true))
        return false;
    image.reserved = 0;
    image.fop &= 0x7ff;
    image.reserved2 = image.reserved3 = 0;
    image.mxcsr_mask = fpu_mxcsr_mask(cpu);
    return cpu_write_bytes(cpu, in->seg, insn_offset(cpu, in), &image, FXSAVE_USED);
}

bool ex_fxrstor(struct vcpu *cpu, const struct insn *in)
{
    struct fxsave image;

    if (!fx_aligned(cpu, in, false) ||
        !cpu_read_bytes(cpu, in->seg, insn_offset(cpu, in), &image, FXSAVE_USED))
        return false;
    if (image.mxcsr & ~fpu_mxcsr_mask(cpu))
        return cpu_fault(cpu, EXC_GP, 0);
    for (u32 i = 0; i < 8; i++)
        memset(image.st[i] + 10, 0, 6);
    image.fop &= 0x7ff;
    memcpy(&cpu->fpu, &image, FXSAVE_USED);
    cpu->fpu.fcw = fpu_fcw(image.fcw);
    fpu_summarize(cpu);
    return true;
}

bool ex_ldmxcsr(struct vcpu *cpu, const struct insn *in)
{
    u64 val;

    if (!cpu_read(cpu, in->seg, insn_offset(cpu, in), 4, &val))
        return false;
    if (val & ~(u64)fpu_mxcsr_mask(cpu))
        return cpu_fault(cpu, EXC_GP, 0);
    cpu->fpu.mxcsr = (u32)val;
    return true;
}

bool ex_stmxcsr(struct vcpu *cpu, const struct insn *in)
{
    return cpu_write(cpu, in->seg, insn_offset(cpu, in), 4, cpu->fpu.mxcsr);
}
