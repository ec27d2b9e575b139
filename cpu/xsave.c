/*
 * XCR0, XSAVE and XRSTOR (SDM vol. 1, chapter 13): x87, SSE and, with AVX, the upper halves of
 * YMM. Only the standard form: no XSAVEOPT, XSAVEC or XSAVES.
 *
 *      0    legacy region: as FXSAVE has it        512  XSTATE_BV, XCOMP_BV, zeros
 *      576  YMM_Hi128: YMM0 to YMM15, of which the guest has eight
 */
#include "cpu/access.h"
#include "cpu/cpuid.h"
#include "cpu/deliver.h"
#include "cpu/fpu.h"

#include <string.h>

enum { HEADER = 512, HEADER_SIZE = 64, ALIGNMENT = 64 };
enum { MXCSR_AT = 24, ST_AT = 32, XMM_AT = 160, XMM_END = 288, POINTERS_END = 24 };

u32 cpu_xcr0_supported(const struct vcpu *cpu)
{
    return XCR0_X87 | XCR0_SSE | (cpu_has(cpu, FEAT_AVX) ? XCR0_AVX : 0);
}

u32 cpu_xsave_size(u32 xcr0)
{
    return xcr0 & XCR0_AVX ? XSAVE_YMM_AT + XSAVE_YMM_SIZE : HEADER + HEADER_SIZE;
}

/* ---- XCR0 ---- */

static bool osxsave(struct vcpu *cpu)
{
    return cpu->cr4 & CR4_OSXSAVE ? true : cpu_fault(cpu, EXC_UD, 0);
}

bool ex_xgetbv(struct vcpu *cpu, const struct insn *in)
{
    if (!osxsave(cpu))
        return false;
    if (cpu->gpr[ECX])
        return cpu_fault(cpu, EXC_GP, 0);
    cpu->gpr[EAX] = cpu->xcr0;
    cpu->gpr[EDX] = 0;
    return true;
}

bool ex_xsetbv(struct vcpu *cpu, const struct insn *in)
{
    u32 val = cpu->gpr[EAX];

    if (!osxsave(cpu))
        return false;
    if (cpu->cpl || cpu->gpr[ECX] || cpu->gpr[EDX] || !(val & XCR0_X87) ||
        val & ~cpu_xcr0_supported(cpu) || (val & XCR0_AVX && !(val & XCR0_SSE)))
        return cpu_fault(cpu, EXC_GP, 0);
    cpu->xcr0 = val;
    cpu->cpuid_version++; /* leaf D has its size */
    return true;
}

/* ---- The area ---- */

/* Of both instructions: the checks, and the components asked for. */
static bool xsave_begin(struct vcpu *cpu, const struct insn *in, bool write, u32 *rfbm)
{
    gla_t gla;

    if (!osxsave(cpu))
        return false;
    if (cpu->cr0 & CR0_TS)
        return cpu_fault(cpu, EXC_NM, 0);
    if (!cpu_linear(cpu, in->seg, insn_offset(cpu, in), HEADER + HEADER_SIZE, write, &gla))
        return false;
    if (gla % ALIGNMENT)
        return cpu_fault(cpu, EXC_GP, 0);
    *rfbm = cpu->xcr0 & cpu->gpr[EAX];
    return true;
}

static bool is_zero(const void *p, u32 n)
{
    const u8 *b = p;

    while (n && !*b)
        b++, n--;
    return !n;
}

/* Which components are not as they are after initialization. */
static u32 in_use(const struct vcpu *cpu)
{
    const struct fxsave *fx = &cpu->fpu;
    u32 used = 0;

    if (fx->fcw != FCW_INIT || fx->fsw || fx->ftw || fx->fop || fx->fip || fx->fcs || fx->fdp ||
        fx->fds || !is_zero(fx->st, sizeof(fx->st)))
        used |= XCR0_X87;
    if (!is_zero(fx->xmm, 8 * 16))
        used |= XCR0_SSE;
    if (!is_zero(cpu->ymm_high, sizeof(cpu->ymm_high)))
        used |= XCR0_AVX;
    return used;
}

static bool put(struct vcpu *cpu, const struct insn *in, u32 at, const void *from, u32 n)
{
    return cpu_write_bytes(cpu, in->seg, insn_offset(cpu, in) + at, from, n);
}

/* All that will be written can be. */
static bool area_writable(struct vcpu *cpu, const struct insn *in, u32 rfbm)
{
    u32 off = insn_offset(cpu, in);

    return cpu_check_write(cpu, in->seg, off, HEADER) &&
           cpu_check_write(cpu, in->seg, off + HEADER, HEADER_SIZE) &&
           (!(rfbm & XCR0_AVX) ||
            cpu_check_write(cpu, in->seg, off + XSAVE_YMM_AT, sizeof(cpu->ymm_high)));
}

bool ex_xsave(struct vcpu *cpu, const struct insn *in)
{
    u32 rfbm, mxcsr[2] = { cpu->fpu.mxcsr, fpu_mxcsr_mask(cpu) };
    struct fxsave image = cpu->fpu;
    u64 bv;

    if (!xsave_begin(cpu, in, true, &rfbm) || !area_writable(cpu, in, rfbm) ||
        !cpu_read_bytes(cpu, in->seg, insn_offset(cpu, in) + HEADER, &bv, sizeof(bv)))
        return false;
    image.reserved = 0;
    image.fop &= 0x7ff;
    image.reserved2 = image.reserved3 = 0;
    bv = (bv & ~(u64)rfbm) | (in_use(cpu) & rfbm);
    return (!(rfbm & XCR0_X87) ||
            (put(cpu, in, 0, &image, POINTERS_END) &&
             put(cpu, in, ST_AT, image.st, sizeof(image.st)))) &&
           (!(rfbm & (XCR0_SSE | XCR0_AVX)) || put(cpu, in, MXCSR_AT, mxcsr, sizeof(mxcsr))) &&
           (!(rfbm & XCR0_SSE) || put(cpu, in, XMM_AT, image.xmm, XMM_END - XMM_AT)) &&
           (!(rfbm & XCR0_AVX) ||
            put(cpu, in, XSAVE_YMM_AT, cpu->ymm_high, sizeof(cpu->ymm_high))) &&
           put(cpu, in, HEADER, &bv, sizeof(bv));
}

static void restore_x87(struct vcpu *cpu, const struct fxsave *image)
{
    static const struct fxsave initial = { .fcw = FCW_INIT };
    const struct fxsave *from = image ? image : &initial;

    memcpy(&cpu->fpu, from, POINTERS_END);
    memcpy(cpu->fpu.st, from->st, sizeof(cpu->fpu.st));
    for (u32 i = 0; i < 8; i++)
        memset(cpu->fpu.st[i] + 10, 0, 6);
    cpu->fpu.fop &= 0x7ff;
    cpu->fpu.fcw = fpu_fcw(from->fcw);
    fpu_summarize(cpu);
}

/* XCOMP_BV, and what is reserved behind it. */
static bool header_valid(const struct vcpu *cpu, const u64 header[HEADER_SIZE / 8])
{
    return !(header[0] & ~(u64)cpu->xcr0) && !header[1] && !header[2];
}

bool ex_xrstor(struct vcpu *cpu, const struct insn *in)
{
    u64 header[HEADER_SIZE / 8];
    u8 ymm_high[sizeof(cpu->ymm_high)] = { 0 };
    struct fxsave image;
    u32 rfbm, off, bv;

    if (!xsave_begin(cpu, in, false, &rfbm))
        return false;
    off = insn_offset(cpu, in);
    if (!cpu_read_bytes(cpu, in->seg, off, &image, sizeof(image)) ||
        !cpu_read_bytes(cpu, in->seg, off + HEADER, header, sizeof(header)))
        return false;
    bv = (u32)header[0];
    if (!header_valid(cpu, header) ||
        (rfbm & (XCR0_SSE | XCR0_AVX) && image.mxcsr & ~fpu_mxcsr_mask(cpu)))
        return cpu_fault(cpu, EXC_GP, 0);
    if (rfbm & bv & XCR0_AVX &&
        !cpu_read_bytes(cpu, in->seg, off + XSAVE_YMM_AT, ymm_high, sizeof(ymm_high)))
        return false;
    if (rfbm & XCR0_X87)
        restore_x87(cpu, bv & XCR0_X87 ? &image : NULL);
    if (rfbm & (XCR0_SSE | XCR0_AVX))
        cpu->fpu.mxcsr = image.mxcsr;
    if (rfbm & XCR0_SSE && bv & XCR0_SSE)
        memcpy(cpu->fpu.xmm, image.xmm, XMM_END - XMM_AT);
    else if (rfbm & XCR0_SSE)
        memset(cpu->fpu.xmm, 0, XMM_END - XMM_AT);
    if (rfbm & XCR0_AVX)
        memcpy(cpu->ymm_high, ymm_high, sizeof(cpu->ymm_high));
    return true;
}
