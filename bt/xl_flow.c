/*
 * Branches, and the ways out of a TU.
 *
 * A guest CALL is a host call: its return address leads to the continuation behind it, which
 * compares where the guest's RET really went (r9d) with where it should have.
 *
 *      push the guest's return address;  call rel32 → target
 *      lea r10d, [r9-return];  unless zero → bt_indirect;  jmp rel32 → return
 *
 * In a context of KEY_PIC the page that makes the call waits on the host's stack: it may be
 * another at the return.
 */
#include "bt/memo.h"
#include "bt/emit.h"

/* Offset in the CCF. */
static u16 ccf_offset(const struct xl *x, const u8 *p)
{
    return (u16)(p - x->start);
}

void xl_exit(struct xl *x, u32 number, enum branch branch, u32 target)
{
    u8 *jump = emit_branch(x, branch);

    x->exits[number] =
        (struct exit){ .tu = x->bt->tu_count, .target = target, .jump = ccf_offset(x, jump),
                       .context = (u16)x->tu->context };
}

static u32 wrap_eip(const struct insn *in, u32 eip)
{
    return in->opsize == 2 ? eip & 0xffff : eip;
}

static u32 rel_target(const struct xl *x, const struct insn *in)
{
    return wrap_eip(in, x->next_eip + in->imm);
}

/* A target beyond the segment's limit is #GP at the branch: C raises it. It goes to one in the
 * lowest 64 KiB, too, if nothing is known of the page. */
static bool target_fits(const struct xl *x, const struct insn *in)
{
    return x->pic ? in->opsize != 2 : rel_target(x, in) <= x->context->cs_limit;
}

/* limit - target, in 64 bits, is negative beyond the end.
 * mov r10d, r13d;  not r10;  lea r10, [r10+limit+1];  out of line unless its top is 0 */
bool xl_target_fits(struct xl *x, u32 size)
{
    u32 limit = x->context->cs_limit;

    if (size == 2)
        emit_movzx_rr16(x, R13, R13);
    if (limit == ~0u || (size == 2 && limit >= 0xffff))
        return true;
    if (limit >= 0x7fffffff)
        return false;
    emit_mov_rr(x, R10, R13);
    emit_not64(x, R10);
    emit_lea_sib(x, R10, R10, NO_REG, 1, (i32)limit + 1, true);
    emit_top16(x, R10);
    xl_slow_unless_zero(x, R10, R11);
    return true;
}

/* A register or memory operand to r9d. */
static bool load_target(struct xl *x, const struct insn *in)
{
    bool fits = in->opsize == 4 && x->context->cs_limit == ~0u;
    enum hreg reg = fits ? R9 : R13;

    if (in->op[0].kind == OP_REG) {
        emit_mov_rr(x, reg, hreg_of(in->op[0].reg));
    } else {
        if (in->op[0].kind != OP_MEM || !xl_operand(x, in, in->opsize, XL_READ))
            return false;
        emit_load(x, reg, in->opsize);
    }
    if (fits)
        return true;
    if (!xl_target_fits(x, in->opsize))
        return false;
    emit_mov_rr(x, R9, R13);
    return true;
}

/*
 * An indirect branch to r9d: an inline cache of where it went first, then the table. While
 * there is no guess, both ways lead to the stub.
 *      mov r11, rcx;  lea ecx, [r9-guess];  unless zero → table;  jmp rel32 → link check
 */
static void exit_indirect(struct xl *x, u32 number)
{
    u16 guess = 1; /* all is in the link check */

    if (!x->pic) {
        emit_mov_rr64(x, R11, RCX);
        guess = ccf_offset(x, emit_lea_rm_disp32(x, RCX, R9, 0, false));
        emit_unless_zero_rcx(x, R11);
    }
    xl_exit(x, number, JMP, 0);
    x->exits[number].guess = guess;
}

bool xl_jump_r13(struct xl *x, const struct insn *in)
{
    if (!xl_target_fits(x, in->opsize))
        return false;
    emit_mov_rr(x, R9, R13);
    exit_indirect(x, 0);
    x->ended = true;
    return true;
}

bool xl_jmp(struct xl *x, const struct insn *in)
{
    if (insn_far(in))
        return xl_far(x, in);
    if (in->op[0].kind == OP_REL) {
        if (!target_fits(x, in))
            return false;
        xl_exit(x, 0, JMP, rel_target(x, in));
    } else {
        if (!load_target(x, in))
            return false;
        exit_indirect(x, 0);
    }
    x->ended = true;
    return true;
}

bool xl_jcc(struct xl *x, const struct insn *in)
{
    if (in->op[0].kind != OP_REL || !target_fits(x, in))
        return false;
    xl_exit(x, 1, (enum branch)(in->opcode & 15), rel_target(x, in));
    xl_exit(x, 0, JMP, x->next_eip);
    x->ended = true;
    return true;
}

/* Overflow is C's. */
bool xl_into(struct xl *x, const struct insn *in)
{
    emit_mov_ri(x, R9, 0);
    emit_seto_r8(x, R9);
    xl_slow_unless_zero(x, R9, R10);
    xl_exit(x, 0, JMP, x->next_eip);
    x->ended = true;
    return true;
}

/* reg := its signed value in order of the unsigned ones. */
static void unsigned_order(struct xl *x, enum hreg reg, u32 size)
{
    if (size == 2)
        emit_movsx_rr16(x, reg, reg);
    emit_lea_rm(x, reg, reg, INT32_MIN);
}

/* What is out of bounds is C's: where index - lower or upper - index is negative in 64 bits. */
bool xl_bound(struct xl *x, const struct insn *in)
{
    u32 size = in->opsize;

    if (in->op[1].kind != OP_MEM || !xl_region(x, in, (u8)(2 * size), XL_READ))
        return false;
    emit_load(x, R11, size);
    x->m.disp += (i32)size;
    emit_load(x, R13, size);
    emit_mov_rr(x, R9, hreg_of(in->op[0].reg));
    unsigned_order(x, R9, size);
    unsigned_order(x, R11, size);
    unsigned_order(x, R13, size);
    emit_not64(x, R11);
    emit_lea_sib(x, R10, R9, R11, 1, 1, true);
    emit_not64(x, R9);
    emit_lea_sib(x, R13, R13, R9, 1, 1, true);
    emit_shrx64(x, R10, R10, R14);
    emit_shrx64(x, R13, R13, R14);
    emit_lea_sib(x, R10, R10, R13, 1, 0, true);
    xl_slow_unless_zero(x, R10, R11);
    return true;
}

/* JCXZ, JECXZ, and LOOP behind its decrement: rcx is zero-extended, so JRCXZ tests ECX. */
static void branch_on_count(struct xl *x, const struct insn *in, u32 if_zero, u32 if_not)
{
    bool word = in->addrsize == 2;
    u8 *zero;

    if (word) {
        emit_movzx_rr16(x, R9, RCX);
        emit_xchg_rr64(x, R9, RCX);
    }
    zero = emit_jrcxz(x);
    if (word)
        emit_xchg_rr64(x, R9, RCX);
    xl_exit(x, 0, JMP, if_not);
    emit_patch8(zero, x->p);
    if (word)
        emit_xchg_rr64(x, R9, RCX);
    xl_exit(x, 1, JMP, if_zero);
    x->ended = true;
}

bool xl_jcxz(struct xl *x, const struct insn *in)
{
    if (!target_fits(x, in))
        return false;
    branch_on_count(x, in, rel_target(x, in), x->next_eip);
    return true;
}

bool xl_loop(struct xl *x, const struct insn *in)
{
    if (!target_fits(x, in))
        return false;
    if (in->addrsize == 4) {
        emit_lea_rm(x, RCX, RCX, -1);
    } else {
        emit_lea_rm(x, R9, RCX, -1);
        emit_mov_part(x, RCX, R9, 2);
    }
    branch_on_count(x, in, x->next_eip, rel_target(x, in));
    return true;
}

/* LOOPE, LOOPNE: on while the count is not 0 and ZF says so. */
bool xl_loop_flags(struct xl *x, const struct insn *in)
{
    enum branch again = in->mnem == ZYDIS_MNEMONIC_LOOPE ? CC_E : CC_NE;
    u8 *zero, *over;

    if (!target_fits(x, in))
        return false;
    emit_lea_rm(x, R9, RCX, -1);
    emit_mov_part(x, RCX, R9, in->addrsize);
    if (in->addrsize == 2)
        emit_movzx_rr16(x, R9, RCX);
    emit_xchg_rr64(x, R9, RCX);
    zero = emit_jrcxz(x);
    emit_xchg_rr64(x, R9, RCX);
    xl_exit(x, 1, again, rel_target(x, in));
    over = emit_jmp_rel8(x);
    emit_patch8(zero, x->p);
    emit_xchg_rr64(x, R9, RCX);
    emit_patch8(over, x->p);
    xl_exit(x, 0, JMP, x->next_eip);
    x->ended = true;
    return true;
}

static bool in_page_of(const struct xl *x, u32 target)
{
    u32 base = x->context->cs_base;

    return (base + target) >> PAGE_SHIFT == (base + x->tu->eip) >> PAGE_SHIFT;
}

/* RCX := 0 if the guest returned to where we are; tc.page is our page, in r10d, again.
 * mov [r15+page], r10d;  not r10d;  lea ecx, [r9+r10+1-return] */
static void page_set(struct xl *x)
{
    emit_mov_mr(x, R15, TC_PAGE, R10);
    emit_not(x, R10);
    emit_lea_sib(x, RCX, R9, R10, 1, 1 - (i32)x->next_eip, false);
}

/* The same with our page on the host's stack, and RCX's own in r11. */
static void page_returns(struct xl *x)
{
    emit_pop(x, R10);
    emit_mov_rr64(x, R11, RCX);
    page_set(x);
}

/* As page_returns(), if tc.page is our page still: no store, for which the next call would
 * wait. pop r11;  mov r10d, [r15+page];  not r10d;  lea r13d, [r11+r10+1]; lea r10d,
 * [r9+r10+1-return];  rorx r13, r13, 32;  mov r11, rcx;  lea rcx, [r10+r13] */
static void page_stayed(struct xl *x)
{
    emit_pop(x, R11);
    emit_mov_rm(x, R10, R15, TC_PAGE);
    emit_not(x, R10);
    emit_lea_sib(x, R13, R11, R10, 1, 1, false);
    emit_lea_sib(x, R10, R9, R10, 1, 1 - (i32)x->next_eip, false);
    emit_rorx64(x, R13, R13, 32);
    emit_mov_rr64(x, R11, RCX);
    emit_lea_sib(x, RCX, R10, R13, 1, 0, true);
}

/* The page was another: a callee that begins in ours and ends in the next. What page_stayed()
 * took from the stack still stands below it. Zero → on; else bt_indirect */
static void page_left(struct xl *x, const u8 *on)
{
    emit_mov_rm(x, R10, RSP, -8);
    page_set(x);
    emit_patch8(emit_jrcxz(x), on);
    emit_mov_rr64(x, RCX, R11);
    emit_jmp_vcpu(x, TC_INDIRECT);
}

/* Behind a host call: on, if the guest returned to where we are. `tail`: where a jump there
 * stands already, or NULL. */
static void continuation(struct xl *x, bool in_page, const u8 *tail)
{
    u8 *left = NULL, *on;

    if (!x->pic) {
        emit_mov_rr64(x, R11, RCX);
        emit_lea_rm(x, RCX, R9, -(i32)x->next_eip);
    } else if (in_page) {
        page_stayed(x);
    } else {
        page_returns(x);
    }
    if (x->pic && in_page) {
        emit_test_zero_rcx(x, R11, 2);
        left = emit_jmp_rel8(x);
    } else {
        emit_test_zero_rcx(x, R11, 4);
        emit_jmp_vcpu(x, TC_INDIRECT);
    }
    on = x->p;
    emit_mov_rr64(x, RCX, R11);
    emit_count(x, RUNS_PREDICTED, 1);
    if (tail)
        emit_patch8(emit_jmp_rel8(x), tail);
    else
        xl_exit(x, 0, JMP, x->next_eip);
    if (left) {
        emit_patch8(left, x->p);
        page_left(x, on);
    }
    x->ended = true;
}

/*
 * RCX := 0 if the execute spte of the page of `target`, a linear address, leads it to where
 * -minus is in host memory; RCX's own in `save`. Changes r11 and `free`. Returns the place of
 * `minus`.
 *
 *      shrx r11d, target, r12d;  mov r11, [r14+r11*8+execute];  mov free, minus;
 *      lea r11, [r11+target];  mov save, rcx;  lea rcx, [r11+free]
 */
static u8 *compare_place(struct xl *x, enum hreg target, enum hreg free, enum hreg save,
                         u64 minus)
{
    u8 *place;

    emit_shrx(x, R11, target, R12);
    emit_mov_rm64_index8(x, R11, R14, R11, SHADOW_EXEC * 8 - SHADOW_BIAS);
    emit_mov_ri64(x, free, minus);
    place = x->p - 8;
    emit_lea_sib(x, R11, R11, target, 1, 0, true);
    emit_mov_rr64(x, save, RCX);
    emit_lea_sib(x, RCX, R11, free, 1, 0, true);
    return place;
}

/*
 * RCX := 0 if the execute spte of the page of that number is -minus; its own in r13.
 *      mov r10, [r14+page];  mov r11, minus;  mov r13, rcx;  lea rcx, [r10+r11]
 */
static void compare_spte(struct xl *x, u32 page, u64 minus)
{
    emit_mov_rm64_disp32(x, R10, R14,
                         (i32)((SHADOW_EXEC + (page & (SHADOW_SPTES - 1))) * 8 - SHADOW_BIAS));
    emit_mov_ri64(x, R11, minus);
    emit_mov_rr64(x, R13, RCX);
    emit_lea_sib(x, RCX, R10, R11, 1, 0, true);
}

/* ---- Get-PC thunks ---- */

/* mov reg, [esp];  ret: by such position-independent code learns where it is. reg + 1; 0: no */
static u8 thunk_at(const u8 *code)
{
    u8 reg = code[1] >> 3 & 7;

    return code[0] == 0x8b && (code[1] & 0xc7) == 4 && code[2] == 0x24 && code[3] == 0xc3 &&
                   reg != ESP
               ? reg + 1
               : 0;
}

u8 tu_is_thunk(const struct bt *bt, const struct tu *tu)
{
    return tu_pic(bt, tu) && tu->count == 2 && tu->guest_size == 4 && !tu->crossing &&
                   !tu->patched
               ? thunk_at(tu_code(bt, tu, tu->eip))
               : 0;
}

/* What follows such a call: add reg, imm32 */
static u8 thunk_expected(const struct xl *x)
{
    u32 at = x->next_eip - x->tu->eip;
    const u8 *code = x->code + at;

    if (!x->code || x->next_eip + 2 > PAGE_SIZE)
        return 0;
    if (code[0] == 0x81 && code[1] >> 3 == 0xc0 >> 3 && code[1] != (0xc0 | ESP))
        return (code[1] & 7) + 1;
    return code[0] == 5 ? EAX + 1 : 0;
}

/* Does this call look like one? By what stands there, or else, by what follows. */
static u8 thunk_called(const struct xl *x, const struct insn *in)
{
    const struct bt_config *config = &x->bt->config;
    gla_t gla = x->page + rel_target(x, in);
    u64 spte = x->bt->cpu->shadow[SHADOW_EXEC + (gla >> PAGE_SHIFT)];

    if (!x->pic || x->checked || !x->stack32 || in->opsize != 4 || config->count_runs ||
        config->reuse_one_in || config->no_thunks)
        return 0;
    return !spte_direct(spte)                   ? thunk_expected(x)
           : (gla & PAGE_MASK) <= PAGE_SIZE - 4 ? thunk_at(spte_hva(spte, gla))
                                                : 0;
}

/*
 * A call that led to a thunk for this register, with the return address in r13d. If there is
 * still that thunk (tu.c fills in where it lies in host memory, while its TU is there), the
 * call and the thunk are these few instructions; else a call as any other, behind them.
 *
 *      lea r10d, [r13+target-return];  (compare the place);  unless zero → call;
 *      mov reg, r13d;  lea r8d, [r8+4];  jmp rel32 → return
 */
static void call_thunk(struct xl *x, const struct insn *in, u8 thunk)
{
    u32 target = rel_target(x, in);
    u8 *place, *call, *done;

    emit_lea_rm_disp32(x, R10, R13, (i32)(target - x->next_eip), false);
    place = compare_place(x, R10, R9, R10, NO_THUNK);
    emit_test_zero_rcx(x, R10, 2);
    call = emit_jmp_rel8(x);
    emit_mov_rr64(x, RCX, R10);
    emit_mov_rr(x, hreg_of((u8)(thunk - 1)), R13);
    xl_stack_move(x, 4);
    done = x->p;
    xl_exit(x, 0, JMP, x->next_eip);
    emit_patch8(call, x->p);
    emit_push_vcpu(x, TC_PAGE);
    xl_exit(x, 1, CALL, target);
    x->exits[1].thunk = thunk;
    check(x->start + x->exits[1].jump - place == THUNK_PLACE, "a thunk's place %d bytes off",
          (int)(x->start + x->exits[1].jump - place));
    continuation(x, in_page_of(x, target), done);
}

bool xl_call(struct xl *x, const struct insn *in)
{
    u8 *call, thunk;

    if (insn_far(in))
        return xl_far(x, in);
    if (in->op[0].kind == OP_REL) {
        if (!target_fits(x, in) || !xl_push_eip(x, x->next_eip, in->opsize))
            return false;
        thunk = thunk_called(x, in);
        if (thunk) {
            call_thunk(x, in, thunk);
            return true;
        }
        if (x->pic)
            emit_push_vcpu(x, TC_PAGE);
        xl_exit(x, 1, CALL, rel_target(x, in));
        continuation(x, in_page_of(x, rel_target(x, in)), NULL);
        return true;
    }
    if (!load_target(x, in))
        return false;
    emit_mov_rr(x, R11, R9);
    emit_hold(x, SS);
    if (!xl_push_eip(x, x->next_eip, in->opsize))
        return false;
    emit_unhold(x, SS);
    emit_mov_rr(x, R9, R11);
    if (x->pic)
        emit_push_vcpu(x, TC_PAGE);
    call = emit_branch(x, CALL); /* behind the continuation */
    continuation(x, false, NULL);
    emit_patch32(call, x->p);
    exit_indirect(x, 1);
    return true;
}

bool xl_ret(struct xl *x, const struct insn *in)
{
    u32 drop = in->opsize + (in->op[0].kind == OP_IMM ? in->imm & 0xffff : 0);

    if (insn_far(in))
        return xl_far_ret(x, in);
    if (!xl_pop_target(x, in->opsize, drop))
        return false;
    emit_count(x, RUNS_RETURNS, 1);
    if (x->bt->config.no_returns)
        emit_jmp_vcpu(x, TC_INDIRECT);
    else
        emit_ret(x);
    x->ended = true;
    return true;
}

/* ---- Stubs, behind the code ---- */

/* The place it is called from says which exit: call [r15+exit] */
static void exit_stub(struct xl *x, struct exit *e)
{
    e->stub = ccf_here(x);
    emit_patch32(x->start + e->jump, x->p);
    if (e->guess && !x->pic)
        emit_patch32(x->start + e->guess + GUESS_MISS, x->p);
    emit_call_vcpu(x, TC_EXIT);
    check(ccf_here(x) - e->stub == EXIT_STUB_SIZE, "an exit stub of %u bytes",
          ccf_here(x) - e->stub);
}

/* The chain's way to another page: on if the page's execute spte is still the one noted.
 * (compare the spte);  unless zero → exit stub;  jmp target */
static void link_check(struct xl *x, struct exit *e)
{
    u32 page = ((x->context->cs_base + e->target) >> PAGE_SHIFT) + e->second;
    u8 *jump;

    e->check = ccf_here(x);
    compare_spte(x, page, 0);
    jump = emit_unless_zero_rcx(x, R13);
    emit_patch32(jump, x->start + e->stub);
    emit_branch(x, JMP);
    check(ccf_here(x) - e->check == CHECK_SIZE, "a link check of %u bytes",
          ccf_here(x) - e->check);
}

/*
 * The same of KEY_PIC: does the target's page map the physical page of the TU? If so, tc.page
 * is where. Instead of a guess's compare, too. With the target in r10d, or of a guess in r9d:
 *      (compare the place);  unless zero → exit stub, or bt_indirect;
 *      lea r10d, [target-offset];  mov [r15+page], r10d;  jmp target
 */
static void link_check_pic(struct xl *x, struct exit *e)
{
    enum hreg target = e->guess ? R9 : R10, save = e->guess ? R10 : R9;
    u8 *jump;

    if (!e->guess)
        emit_eip(x, R10, e->second ? PAGE_SIZE : e->target);
    e->check = ccf_here(x);
    compare_place(x, target, R13, save, 0);
    jump = emit_unless_zero_rcx(x, save);
    emit_lea_rm_disp32(x, R10, target, 0, false);
    emit_mov_mr(x, R15, TC_PAGE, R10);
    emit_branch(x, JMP);
    check(ccf_here(x) - e->check == PIC_SIZE, "a link check of %u bytes",
          ccf_here(x) - e->check);
    emit_patch32(jump, e->guess ? x->p : x->start + e->stub);
}

/* As a link check, of the TU's second page. To the head, or: mov r9d, eip;  bt_indirect_miss */
u16 xl_second_check(struct xl *x, u64 place)
{
    u32 page = (x->context->cs_base + x->tu->eip + PAGE_SIZE) >> PAGE_SHIFT;
    u16 at = ccf_here(x);
    u8 *same;

    if (x->pic) {
        emit_eip(x, R10, PAGE_SIZE);
        compare_place(x, R10, R9, R13, -place);
    } else {
        compare_spte(x, page, -place);
    }
    same = emit_jrcxz(x);
    emit_mov_rr64(x, RCX, R13);
    emit_eip(x, R9, x->tu->eip);
    emit_jmp_vcpu(x, TC_INDIRECT_MISS);
    emit_patch8(same, x->p);
    emit_mov_rr64(x, RCX, R13);
    emit_patch32(emit_branch(x, JMP), x->start);
    return at;
}

static void jump_back(struct xl *x, u16 resume)
{
    emit_patch32(emit_branch(x, JMP), x->start + resume);
}

/* mov r11d, size;  call;  jmp back;  here it returns where the store may not be done. */
static void ask_for_code(struct xl *x, u8 size, u16 stored)
{
    emit_mov_ri(x, R11, size);
    emit_call_vcpu(x, TC_CODE_PAGE_STORE);
    jump_back(x, stored);
}

/* One callout for a site, however many jumps lead there. */
static void slow_paths(struct xl *x)
{
    u16 callouts[MAX_INSNS] = {0};

    for (u32 i = 0; i < x->slow_count; i++) {
        u16 *callout = &callouts[x->slow[i].site];
        u8 *from = x->p;

        if (x->slow[i].stored)
            ask_for_code(x, x->slow[i].size, x->slow[i].stored);
        if (*callout && from != x->p) {
            jump_back(x, *callout);
        } else if (!*callout) {
            *callout = ccf_here(x);
            xl_callout(x, &x->sites[x->slow[i].site], false);
            jump_back(x, x->slow[i].resume);
        }
        emit_patch32(x->start + x->slow[i].jump,
                     x->slow[i].stored ? from : x->start + *callout);
    }
}

static bool at_page_end(const struct xl *x, u32 target)
{
    return ((x->context->cs_base + target) & PAGE_MASK) > PAGE_SIZE - 15;
}

void xl_stubs(struct xl *x)
{
    slow_paths(x);
    for (u32 i = 0; i < x->tu->exit_count; i++) {
        struct exit *e = &x->tu->exits[i];

        exit_stub(x, e);
        e->second = !e->guess && in_page_of(x, e->target) && at_page_end(x, e->target);
        if (e->guess || e->second || !in_page_of(x, e->target))
            (x->pic ? link_check_pic : link_check)(x, e);
        if (e->guess) /* right behind the check: another target */
            emit_jmp_vcpu(x, TC_INDIRECT);
    }
}
