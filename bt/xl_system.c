/*
 * Sensitive instructions that are simple enough for the cache: updates of vcpu state.
 */
#include "bt/memo.h"
#include "bt/emit.h"
#include "cpu/control.h"
#include "cpu/debug.h"
#include "cpu/msr.h"

/* CLI: IF := 0, or #GP(0) when CPL > IOPL, which C raises (SDM vol. 2, "CLI").
 * A plain MOV, since the guest's arithmetic flags are live. */
bool xl_cli(struct xl *x, const struct insn *in)
{
    if (!(x->context->key & KEY_IOPL_OK))
        return false;
    emit_mov_mi8(x, R15, VCPU_INT_FLAG, 0);
    return true;
}

/* DF is part of the context: setting it to what it is takes nothing; else on in another TU. The
 * return addresses on the stack are this context's.
 * mov r9d, [r15+eflags];  lea r9d, [r9+by];  mov [r15+eflags], r9d;  the context;  its stack */
static bool turn_direction(struct xl *x)
{
    struct context to = *x->context;
    u32 n;

    to.key ^= KEY_DF;
    n = context_number(x->bt, &to);
    if (!n)
        return false;
    emit_mov_rm(x, R9, R15, VCPU_EFLAGS);
    emit_lea_rm(x, R9, R9, to.key & KEY_DF ? FLAG_DF : -FLAG_DF);
    emit_mov_mr(x, R15, VCPU_EFLAGS, R9);
    emit_mov_mi32(x, R15, TC_CONTEXT, n);
    emit_mov_mi32(x, R15, TC_STACK_CONTEXT, n);
    emit_mov_rm64(x, RSP, R15, TC_STACK_TOP);
    xl_exit(x, 0, JMP, x->next_eip);
    x->exits[0].context = (u16)n;
    x->ended = true;
    return true;
}

bool xl_cld(struct xl *x, const struct insn *in)
{
    return !(x->context->key & KEY_DF) || turn_direction(x);
}

bool xl_std(struct xl *x, const struct insn *in)
{
    return x->context->key & KEY_DF || turn_direction(x);
}

/* STI: IF := 1, in code when no interrupt waits; the next instruction follows without a poll,
 * which is the shadow (SDM vol. 2, "STI"). As the last of a TU it is a callout. */
bool xl_sti(struct xl *x, const struct insn *in)
{
    if (!(x->context->key & KEY_IOPL_OK) || x->last)
        return false;
    emit_movzx_rm8(x, R9, R15, VCPU_INTR);
    xl_slow_unless_zero(x, R9, R10);
    emit_mov_mi8(x, R15, VCPU_INT_FLAG, 1);
    return true;
}

/* reg32 &= mask, by r10. mov r10d, mask;  pext reg, reg, r10d;  pdep reg, reg, r10d */
static void emit_and(struct xl *x, enum hreg reg, u32 mask)
{
    emit_mov_ri(x, R10, mask);
    emit_pext(x, reg, reg, R10);
    emit_pdep(x, reg, reg, R10);
}

/* Not in V86 if it has 32 bits, which would show VM, or IOPL is below 3. */
static bool plain_flags(const struct xl *x, const struct insn *in)
{
    return !(x->context->key & KEY_V86) || (in->opsize == 2 && x->context->key & KEY_IOPL_OK);
}

/*
 * PUSHF: the host's arithmetic flags, and the vcpu's other ones, whose arithmetic bits are 0
 * while translated code runs. By LAHF, since PUSHFQ takes 9 cycles; its bit 1 is set, and that
 * of [eflags], too.
 *      movzx r9d, byte [int_flag];  rorx r9d, r9d, 23;  mov r11d, [eflags];
 *      lea r9d, [r9+r11-2]
 *      mov r10d, eax;  mov r11d, 0;  seto r11b;  rorx r11d, r11d, 21;  lea r9d, [r9+r11]
 *      lahf;  movzx eax, ah;  lea r11d, [r9+rax];  mov eax, r10d;  push r11
 */
bool xl_pushf(struct xl *x, const struct insn *in)
{
    if (!plain_flags(x, in))
        return false;
    emit_movzx_rm8(x, R9, R15, VCPU_INT_FLAG);
    emit_rorx(x, R9, R9, 23);
    emit_mov_rm(x, R11, R15, VCPU_EFLAGS);
    emit_lea_sib(x, R9, R9, R11, 1, -2, false);
    emit_mov_rr(x, R10, RAX);
    emit_mov_ri(x, R11, 0);
    emit_seto_r8(x, R11);
    emit_rorx(x, R11, R11, 21);
    emit_lea_sib(x, R9, R9, R11, 1, 0, false);
    emit_lahf(x);
    emit_movzx_eax_ah(x);
    emit_lea_sib(x, R11, R9, RAX, 1, 0, false);
    emit_mov_rr(x, RAX, R10);
    return xl_push_reg(x, R11, in->opsize);
}

/*
 * The arithmetic flags from an image in r13d, by SAHF, since POPFQ takes 20 cycles:
 *      mov r11d, eax;  mov r10d, 7f;  rorx eax, r13d, 24;  bt r13d, 11;  adc r10b, 0 (OF)
 *      sahf (the others);  mov eax, r11d
 */
static void flags_from_r13(struct xl *x)
{
    emit_mov_rr(x, R11, RAX);
    emit_mov_ri(x, R10, 0x7f);
    emit_rorx(x, RAX, R13, 24);
    emit_bt_ri(x, R13, 11);
    emit_adc_ri8(x, R10, 0);
    emit_sahf(x);
    emit_mov_rr(x, RAX, R11);
}

/* IF from r13d to the vcpu; out of line if it lets an interrupt in that waits. */
static void if_from_r13(struct xl *x)
{
    emit_mov_rr(x, R11, R13);
    emit_shr_ri(x, R11, 9);
    emit_and_ri(x, R11, 1);
    emit_test_mr8(x, R15, VCPU_INTR, R11);
    xl_slow_jcc(x, CC_NE);
    emit_mov_mr8(x, R15, VCPU_INT_FLAG, R11);
}

/*
 * POPF: arithmetic flags to the host's, IF to the vcpu. C does it when another flag changes. In
 * protected mode with CPL > IOPL neither IF nor IOPL does (SDM vol. 2, "POPF"). The old flags
 * are dead once the load has succeeded.
 */
bool xl_popf(struct xl *x, const struct insn *in)
{
    bool privileged = x->context->key & KEY_IOPL_OK;
    const u32 others = FLAG_TF | FLAG_DF | FLAG_NT | (privileged ? FLAG_IOPL : 0) |
                       (in->opsize == 4 ? FLAG_AC | FLAG_ID : 0);

    if (!plain_flags(x, in) || !(privileged || x->context->key & KEY_PROT) ||
        !xl_pop_reg(x, R13, in->opsize))
        return false;
    emit_mov_rr(x, R11, R13);
    emit_xor_rm(x, R11, R15, VCPU_EFLAGS);
    emit_test_ri(x, R11, others);
    xl_slow_jcc(x, CC_NE);
    if (privileged)
        if_from_r13(x);
    xl_stack_move(x, (i32)in->opsize);
    flags_from_r13(x);
    return true;
}

/* RDTSC: the host's plus the offset. C where the clock is turned by hand, and above CPL 0 if
 * CR4.TSD forbids it; and where 65536 ticks or more have passed since the guest saw the time,
 * which the host may have taken (runtime/machine/stolen.c).
 *
 *      mov r10, rax;  mov r11, rdx;  rdtsc;  rorx rdx, rdx, 32;  lea r9, [rax+rdx]
 *      mov rax, r10;  mov rdx, r11;  mov r10, [tsc_unseen];  lea r10, [r9+r10+1]
 *      rorx r10d, r10d, 16;  movzx r10d, r10w;  out of line if not zero
 *      mov r10, r9;  not r10;  mov r11, [tsc_noted];  mov [r11], r10
 *      mov r10, [tsc_offset];  lea r9, [r9+r10];  mov eax, r9d;  rorx rdx, r9, 32;  mov edx, edx
 */
bool xl_rdtsc(struct xl *x, const struct insn *in)
{
    if (cpu_clock_by_hand(x->bt->cpu))
        return false;
    if (context_cpl(x->context->key)) {
        emit_mov_rm(x, R9, R15, VCPU_CR4);
        emit_and(x, R9, CR4_TSD);
        xl_slow_unless_zero(x, R9, R10);
    }
    emit_mov_rr64(x, R10, RAX);
    emit_mov_rr64(x, R11, RDX);
    emit_rdtsc(x);
    emit_rorx64(x, RDX, RDX, 32);
    emit_lea_sib(x, R9, RAX, RDX, 1, 0, true);
    emit_mov_rr64(x, RAX, R10);
    emit_mov_rr64(x, RDX, R11);
    emit_mov_rm64(x, R10, R15, VCPU_TSC_UNSEEN);
    emit_lea_sib(x, R10, R9, R10, 1, 1, true);
    emit_rorx(x, R10, R10, 16);
    emit_movzx_rr16(x, R10, R10);
    xl_slow_unless_zero(x, R10, R11);
    emit_mov_rr64(x, R10, R9);
    emit_not64(x, R10);
    emit_mov_rm64(x, R11, R15, VCPU_TSC_NOTED);
    emit_mov_mr64(x, R11, 0, R10);
    emit_mov_rm64(x, R10, R15, VCPU_TSC_OFFSET);
    emit_lea_sib(x, R9, R9, R10, 1, 0, true);
    emit_mov_rr(x, RAX, R9);
    emit_rorx64(x, RDX, R9, 32);
    emit_mov_rr(x, RDX, RDX);
    return true;
}

/* PAUSE: counts down; at the end C looks whether the guest does nothing else
 * (runtime/machine/spin.c).
 *      mov r9d, [pauses];  lea r9, [r9-1];  mov r11d, r9d;  out of line if negative;
 *      mov [pauses], r11d */
bool xl_pause(struct xl *x, const struct insn *in)
{
    emit_mov_rm(x, R9, R15, VCPU_PAUSES);
    emit_lea_sib(x, R9, R9, NO_REG, 1, -1, true);
    emit_mov_rr(x, R11, R9);
    emit_top16(x, R9);
    xl_slow_unless_zero(x, R9, R10);
    emit_mov_mr(x, R15, VCPU_PAUSES, R11);
    return true;
}

/* ---- Looks at what is the system's, which any level may take ---- */

/* Memory and a register of 16 bits get the lower half. */
bool xl_smsw(struct xl *x, const struct insn *in)
{
    bool memory = in->op[0].kind == OP_MEM;

    if (memory && !xl_operand(x, in, 2, XL_WRITE))
        return false;
    emit_mov_rm(x, R11, R15, VCPU_CR0);
    if (memory)
        emit_store(x, R11, 2);
    else
        emit_mov_part(x, hreg_of(in->op[0].reg), R11, in->opsize);
    return true;
}

/* SLDT, STR */
bool xl_selector(struct xl *x, const struct insn *in)
{
    return x->context->key & KEY_PROT &&
           xl_store_selector(x, in, in->mnem == ZYDIS_MNEMONIC_SLDT ? LDTR : TR);
}

/* SGDT, SIDT: limit and base, in one look at both ends. */
bool xl_store_table(struct xl *x, const struct insn *in)
{
    i32 base = in->mnem == ZYDIS_MNEMONIC_SGDT ? VCPU_GDTR_BASE : VCPU_IDTR_BASE,
        limit = in->mnem == ZYDIS_MNEMONIC_SGDT ? VCPU_GDTR_LIMIT : VCPU_IDTR_LIMIT;

    if (!xl_region(x, in, 6, XL_WRITE))
        return false;
    emit_mov_rm(x, R11, R15, limit);
    emit_store(x, R11, 2);
    x->m.disp += 2;
    emit_mov_rm(x, R11, R15, base);
    emit_store(x, R11, 4);
    return true;
}

static bool cpl0(const struct xl *x)
{
    return !context_cpl(x->context->key);
}

/* Out of line unless reg is r10d. not reg;  lea reg, [reg+r10+1] */
static void slow_unless_r10(struct xl *x, enum hreg reg)
{
    emit_not(x, reg);
    emit_lea_sib(x, reg, reg, R10, 1, 1, false);
    xl_slow_unless_zero(x, reg, R11);
}

/* LGDT, LIDT of the table that is there already, by which one comes back to a mode; others are
 * C's. */
bool xl_load_table(struct xl *x, const struct insn *in)
{
    bool gdt = in->mnem == ZYDIS_MNEMONIC_LGDT;

    if (!cpl0(x) || !xl_region(x, in, 6, XL_READ))
        return false;
    x->m.disp += 2;
    emit_load(x, R13, 4);
    if (in->opsize == 2) {
        emit_mov_ri(x, R11, 0xffffff);
        emit_pext(x, R13, R13, R11);
    }
    x->m.disp -= 2;
    emit_load_word(x);
    emit_movzx_rm16(x, R10, R15, gdt ? VCPU_GDTR_LIMIT : VCPU_IDTR_LIMIT);
    slow_unless_r10(x, R9);
    emit_mov_rm(x, R10, R15, gdt ? VCPU_GDTR_BASE : VCPU_IDTR_BASE);
    slow_unless_r10(x, R13);
    return true;
}

/* ---- Control registers ---- */

/* Nothing is cached. */
bool xl_wbinvd(struct xl *x, const struct insn *in)
{
    return cpl0(x);
}

/* Out of line if a bit of the register at a place in the vcpu is set. */
static void slow_if_set(struct xl *x, i32 at, u32 bit)
{
    emit_mov_rm(x, R9, R15, at);
    emit_and(x, R9, bit);
    xl_slow_unless_zero(x, R9, R10);
}

/* Reads, and writes of addresses; C does the others, and raises what DR7.GD asks for. Code runs
 * here only while no breakpoint is armed. */
bool xl_mov_dr(struct xl *x, const struct insn *in)
{
    bool write = in->op[0].kind == OP_DR;
    u8 n = in->op[!write].reg, reg = hreg_of(in->op[write].reg);

    if (!cpl0(x) || n > 7 || (write && n > 3))
        return false;
    slow_if_set(x, VCPU_DR + 4 * 7, DR7_GD);
    if (n == 4 || n == 5) {
        slow_if_set(x, VCPU_CR4, CR4_DE);
        n += 2;
    }
    if (write)
        emit_mov_mr(x, R15, VCPU_DR + 4 * n, reg);
    else
        emit_mov_rm(x, reg, R15, VCPU_DR + 4 * n);
    return true;
}

/* Reads, the write to CR2, and those to CR0 and CR4 that change nothing; others are callouts.
 */
bool xl_mov_cr(struct xl *x, const struct insn *in)
{
    static const i32 at[] = {VCPU_CR0, 0, VCPU_CR2, VCPU_CR3, VCPU_CR4};
    bool write = in->op[0].kind == OP_CR;
    u8 n = in->op[!write].reg, reg = hreg_of(in->op[write].reg);

    if (!cpl0(x) || n == 1 || n > 4 || (n == 4 && !cpu_has_cr4(x->bt->cpu)) ||
        (write && n == 3))
        return false;
    if (write && n == 2) {
        emit_mov_mr(x, R15, VCPU_CR2, reg);
        return true;
    }
    if (!write) {
        emit_mov_rm(x, reg, R15, at[n]);
        if (n == 3)
            emit_count(x, RUNS_CR3_READS, 1);
        return true;
    }
    emit_mov_rr(x, R9, reg);
    emit_mov_rm(x, R10, R15, at[n]);
    slow_unless_r10(x, R9);
    return true;
}

bool xl_clts(struct xl *x, const struct insn *in)
{
    if (!cpl0(x))
        return false;
    emit_mov_rm(x, R9, R15, VCPU_CR0);
    emit_and(x, R9, ~(u32)CR0_TS);
    emit_mov_mr(x, R15, VCPU_CR0, R9);
    emit_count(x, RUNS_CLTS, 1);
    return true;
}

/* The shadow follows the guest's tables write by write; but for one page nothing is stale
 * (mmu/shadow.c).
 * mov r9d, [stale_code];  out of line unless r9 = 0 */
bool xl_invlpg(struct xl *x, const struct insn *in)
{
    if (!cpl0(x) || in->op[0].kind != OP_MEM)
        return false;
    emit_mov_rm(x, R9, R15, VCPU_STALE_CODE);
    xl_slow_unless_zero(x, R9, R10);
    emit_count(x, RUNS_INVLPG, 1);
    return true;
}

/* ---- Other levels, and looks at descriptors: memo.S ---- */

/* VERW, VERR, LAR, LSL. */
bool xl_look(struct xl *x, const struct insn *in)
{
    bool answers = in->op[1].kind != OP_NONE;
    const struct operand *from = &in->op[answers];
    u32 key = x->context->key;

    if (!(key & KEY_PROT))
        return false;
    if (from->kind == OP_REG) {
        emit_movzx_rr16(x, R9, hreg_of(from->reg));
    } else {
        if (!xl_operand(x, in, 2, XL_READ))
            return false;
        emit_load_word(x);
    }
    emit_lea_rm(x, R9, R9,
                (i32)(memo_segment_key(0, ES, context_cpl(key), SEG_FLAT, false) |
                      SEG_KEY_LOOK | memo_look(in) << LOOK_SHIFT));
    emit_call_vcpu(x, TC_LOOK);
    xl_slow_unless_zero(x, R10, R11);
    if (answers)
        emit_cmove(x, hreg_of(in->op[0].reg), R13, in->opsize);
    return true;
}

/* Stores also what is as it was: memory that may only be read is C's. */
bool xl_arpl(struct xl *x, const struct insn *in)
{
    bool mem = in->op[0].kind == OP_MEM;

    if (!(x->context->key & KEY_PROT) || (mem && !xl_operand(x, in, 2, XL_WRITE)))
        return false;
    if (mem)
        emit_load(x, R11, 2);
    else
        emit_mov_rr(x, R11, hreg_of(in->op[0].reg));
    emit_mov_rr(x, R13, hreg_of(in->op[1].reg));
    emit_call_vcpu(x, mem ? TC_ARPL : TC_ARPL_REGISTER);
    if (mem)
        emit_store(x, R11, 2);
    else
        emit_mov_part(x, hreg_of(in->op[0].reg), R11, 2);
    return true;
}

/* Into `to`, a context that is known now: r9 the callout, r11d its number. */
static bool enter_context(struct xl *x, const struct context *to, i32 routine)
{
    u32 n = context_number(x->bt, to);

    if (!n)
        return false;
    xl_callout_record(x, x->site, false);
    emit_mov_ri(x, R11, n);
    emit_jmp_vcpu(x, routine);
    x->ended = true;
    return true;
}

/* The context behind SYSENTER or SYSEXIT: the manual fixes CS and SS as flat. */
static struct context flat_context(const struct xl *x, u32 cpl)
{
    struct context to = { x->context->key, 0, ~0u };

    to.key &=
        ~(3u << KEY_CPL_SHIFT | KEY_IOPL_OK | KEY_AC | KEY_FPU_LIVE | KEY_SSE | KEY_MAP |
          KEY_MAP_STORES | 7u << (KEY_SEG_SHIFT + 3 * CS) | 7u << (KEY_SEG_SHIFT + 3 * SS));
    to.key |= KEY_CODE32 | KEY_STACK32 | cpl << KEY_CPL_SHIFT | (cpl ? 0 : KEY_IOPL_OK);
    static_assert(SEG_FLAT == 0, "CS and SS in a key");
    context_set_pic(x->bt, &to);
    return to;
}

static bool may_switch(const struct xl *x)
{
    bool live_here = x->context->key & KEY_FPU_LIVE && cpl0(x);

    return x->context->key & KEY_PROT && !live_here && !x->bt->config.no_chaining;
}

bool xl_sysenter(struct xl *x, const struct insn *in)
{
    struct context to = flat_context(x, 0);

    return may_switch(x) && enter_context(x, &to, TC_SYSENTER);
}

bool xl_sysexit(struct xl *x, const struct insn *in)
{
    struct context to = flat_context(x, 3), live = to;
    u32 n;

    live.key |= KEY_FPU_LIVE | KEY_SSE;
    n = context_number(x->bt, &live);
    if (!n || !may_switch(x) || !cpl0(x))
        return false;
    emit_mov_ri(x, R10, n);
    return enter_context(x, &to, TC_SYSEXIT);
}

bool xl_iret(struct xl *x, const struct insn *in)
{
    u32 key = x->context->key;

    if (!(key & KEY_PROT) || !cpl0(x) || in->opsize != 4 || !x->stack32 ||
        context_seg(key, SS) != SEG_FLAT)
        return xl_iret_same(x, in);
    if (x->bt->config.no_chaining)
        return false;
    xl_callout_record(x, x->site, false);
    emit_jmp_vcpu(x, TC_IRET);
    x->ended = true;
    return true;
}

/* vcpu.eip := the next one;  mov r11d, vector */
bool xl_int(struct xl *x, const struct insn *in)
{
    u32 key = x->context->key;

    if (!(key & KEY_PROT))
        return xl_int_real(x, in);
    if (x->bt->config.no_chaining || !x->stack32)
        return false;
    xl_callout_record(x, x->site, false);
    emit_set_eip(x, x->next_eip);
    emit_mov_ri(x, R11, in->imm & 0xff);
    emit_jmp_vcpu(x, TC_INT_N);
    x->ended = true;
    return true;
}

bool xl_cpuid(struct xl *x, const struct insn *in)
{
    emit_call_vcpu(x, TC_CPUID);
    xl_slow_unless_zero(x, R10, R11);
    emit_count(x, RUNS_CPUID, 1);
    return true;
}
