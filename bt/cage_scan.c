/*
 * A page of code is looked through before it runs directly: is there an instruction that would
 * give another result than in the guest, and not trap?
 *
 * Where instructions begin is not written anywhere. One is known, the one that is about to run;
 * from there on, one follows the other. What lies before it is read from the page's beginning:
 * from whichever byte one begins to read, after a few instructions most agree, and where they
 * do, the page is read from. Code that jumps into the middle of an instruction so finds others
 * than were looked at: bt/README.md says what it may see.
 */
#include "bt/cage_scan.h"
#include "cpu/cpuid.h"

#include <string.h>

enum {
    LONGEST = 15,
    STARTS = 15,  /* tried at a page's beginning; */
    AGREE = 8,    /* so many of them have to meet, */
    MEET_BY = 64, /* within so many bytes */
    INT_OVERFLOW = 4,
};

/* PUSH, POP, MOV from and to segment registers, and loads of far pointers. */
static bool uses_selector(const struct insn *in)
{
    for (u32 i = 0; i < in->nops; i++)
        if (in->op[i].kind == OP_SEG)
            return true;
    switch (in->mnem) {
    case ZYDIS_MNEMONIC_LDS:
    case ZYDIS_MNEMONIC_LES:
    case ZYDIS_MNEMONIC_LSS:
    case ZYDIS_MNEMONIC_LFS:
    case ZYDIS_MNEMONIC_LGS:
        return true;
    default:
        return false;
    }
}

static bool is_far(const struct insn *in)
{
    u32 reg = in->modrm >> 3 & 7;

    if (in->map)
        return false;
    switch (in->opcode) {
    case 0x9a: /* CALL ptr16:32, JMP, RET, IRET */
    case 0xea:
    case 0xca:
    case 0xcb:
    case 0xcf:
        return true;
    case 0xff:
        return reg == 3 || reg == 5;
    default:
        return false;
    }
}

/* Of the features that programs of the guest's age try instead of asking CPUID. */
static bool absent(const struct vcpu *cpu, const struct insn *in)
{
    u8 feature = cpu_ops[in->mnem].feature;

    return feature < FEAT_SSE3 && feature != FEAT_ALWAYS && !cpu_has(cpu, feature);
}

bool cage_refuses(const struct vcpu *cpu, const struct insn *in)
{
    if (uses_selector(in) || is_far(in) || absent(cpu, in))
        return true;
    switch (in->mnem) {
    case ZYDIS_MNEMONIC_CPUID:
    case ZYDIS_MNEMONIC_SGDT:
    case ZYDIS_MNEMONIC_SIDT:
    case ZYDIS_MNEMONIC_SLDT:
    case ZYDIS_MNEMONIC_STR:
    case ZYDIS_MNEMONIC_SMSW:
    case ZYDIS_MNEMONIC_LAR:
    case ZYDIS_MNEMONIC_LSL:
    case ZYDIS_MNEMONIC_VERR:
    case ZYDIS_MNEMONIC_VERW:
    case ZYDIS_MNEMONIC_SYSCALL:
    case ZYDIS_MNEMONIC_SYSENTER: /* the host forgets where it was */
    case ZYDIS_MNEMONIC_INTO:     /* traps behind itself; */
    case ZYDIS_MNEMONIC_INT1:     /* INT3 does, too, and is known by its stop */
    case ZYDIS_MNEMONIC_XGETBV:
    case ZYDIS_MNEMONIC_XSAVE:
    case ZYDIS_MNEMONIC_XRSTOR:
        return true;
    case ZYDIS_MNEMONIC_INT:
        return in->imm == INT_OVERFLOW;
    default:
        return false;
    }
}

static u8 needs_of(const struct insn *in)
{
    const struct op_row *row = &cpu_ops[in->mnem];
    u8 needs = 0;

    if (row->attr & OP_FPU || in->mnem == ZYDIS_MNEMONIC_FWAIT)
        needs = NEEDS_FPU;
    else if (FEATURES_OF_FPU >> row->feature & 1)
        needs = row->feature == FEAT_MMX || row->feature == FEAT_FXSR ? NEEDS_FPU : NEEDS_SSE;
    for (u32 i = 0; i < in->nops; i++)
        if (in->op[i].kind == OP_XMM)
            needs |= NEEDS_SSE;
    return in->vex ? needs | NEEDS_AVX : needs;
}

/* Instructions from `at` on, to the end of the page or to where it has been before. */
static void sweep(const struct vcpu *cpu, const u8 *page, u32 at, u8 *seen, struct cage_scan *s)
{
    u8 bytes[LONGEST + 1] = {0};
    struct insn in;

    while (at < PAGE_SIZE && !(seen[at / 8] >> (at & 7) & 1)) {
        u32 n = PAGE_SIZE - at < LONGEST ? PAGE_SIZE - at : LONGEST;
        enum decode_result r;

        seen[at / 8] |= (u8)(1u << (at & 7));
        memcpy(bytes, page + at, n);
        r = insn_decode(bytes, n, true, &in);
        if (r == DECODE_SHORT) {
            s->tail = (u8)n;
            return;
        }
        if (r != DECODE_OK) {
            at++;
            continue;
        }
        s->needs |= needs_of(&in);
        if (!s->refused && cage_refuses(cpu, &in))
            s->refused = in.mnem;
        at += in.len;
    }
}

/* Where most agree on an instruction's beginning; PAGE_SIZE: nowhere early. */
static u32 agreed_start(const u8 *page)
{
    u8 votes[MEET_BY + LONGEST] = {0};
    struct insn in;

    for (u32 start = 0; start < STARTS; start++)
        for (u32 at = start; at < MEET_BY; at += in.len) {
            votes[at]++;
            if (insn_decode(page + at, LONGEST, true, &in) != DECODE_OK)
                in.len = 1;
        }
    for (u32 at = 0; at < MEET_BY; at++)
        if (votes[at] >= AGREE)
            return at;
    return PAGE_SIZE;
}

struct cage_scan cage_scan_page(const struct vcpu *cpu, const u8 *page, u32 entry)
{
    u8 seen[PAGE_SIZE / 8] = {0};
    struct cage_scan s = {0};

    if (entry < PAGE_SIZE)
        sweep(cpu, page, entry, seen, &s);
    if (!s.refused)
        sweep(cpu, page, agreed_start(page), seen, &s);
    return s;
}

u16 cage_scan_crossing(const struct vcpu *cpu, const u8 *page, u32 tail, const u8 *next)
{
    u8 bytes[2 * LONGEST];
    struct insn in;

    memcpy(bytes, page + PAGE_SIZE - tail, tail);
    memcpy(bytes + tail, next, LONGEST);
    if (insn_decode(bytes, LONGEST, true, &in) != DECODE_OK)
        return 0;
    return cage_refuses(cpu, &in) ? in.mnem : 0;
}
