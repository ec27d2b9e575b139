/*
 * Writes host code. An emitter's comment is the assembly it writes. All leave RFLAGS alone
 * unless the name says otherwise: guest flags live there.
 */
#ifndef RING3_BT_EMIT_H
#define RING3_BT_EMIT_H

#include "bt/offsets.h"
#include "bt/tu.h"

/* Host register numbers. Guest registers are 0 to 7 as encoded, but for ESP, which is r8. */
enum hreg { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };
static inline u8 hreg_of(u8 gpr)
{
    return gpr == ESP ? R8 : gpr;
}

/* Where the vcpu has the selector of a segment register. */
static inline i32 selector_at(u8 seg)
{
    return VCPU_SEG + (i32)(seg * sizeof(struct segment) + offsetof(struct segment, selector));
}

/* A branch's condition, as the low four bits of jcc and setcc have it; or none. */
enum branch {
    CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A, CC_S, CC_NS, CC_P, CC_NP, CC_L, CC_GE,
    CC_LE, CC_G,
    JMP, CALL,
};

/*
 * What one instruction may take: jumps out of line, bytes in its place, bytes of each way out
 * of line. One that would take more is a callout. So each TU has room in MAX_CCF, whatever the
 * guest's code is.
 */
enum {
    INSN_SLOW = 8,
    INSN_ROOM = 700,
    PATH_ROOM = 64,
    EXITS_ROOM = 256,
    SLACK = 2048,
    MAX_SLOW = (MAX_INSNS + 2) * INSN_SLOW,
};
static_assert(MAX_INSNS * (INSN_ROOM + (INSN_SLOW + 1) * PATH_ROOM) + EXITS_ROOM + SLACK <=
                  MAX_CCF,
              "room for a TU");

/* A translation in progress. */
struct xl {
    struct bt *bt;
    struct tu *tu;
    const struct context *context;
    u8 *start, *p;      /* write addresses */
    u32 next_eip;       /* of the instruction after the present one */
    struct site *site;  /* of the present one */
    const struct insn *insns; /* of all sites */
    const u8 *code;           /* the TU's bytes in host memory; NULL: they are not together */
    u8 patched; /* of the present instruction: FACT_PATCHED_IMM, FACT_PATCHED_DISP */
    u8 patched_sites[MAX_INSNS]; /* of each site */
    struct hole holes[MAX_HOLES];
    struct site sites[MAX_INSNS]; /* the TU's, until it is finished; */
    struct exit exits[MAX_EXITS]; /* so are these */
    struct callout *callouts[MAX_INSNS]; /* made so far, by site */
    bool code32, stack32, ended;
    bool pic;       /* EIPs are relative to the page (KEY_PIC); */
    u32 page;       /* where that is now, else 0: for listings */
    bool fpu_noted; /* tc.fpu_page is this page */
    bool callout;   /* an instruction with a memory operand is a callout; or: */
    bool user_map;  /* context_user_map() */
    bool direct_map; /* the operand goes by the map: a load, or any in a user map */
    bool checked;   /* sptes are looked at first */
    bool unaligned; /* misaligned operands are in order */
    struct xl_place {
        bool direct_map, wraps; /* gs:[...]; its sum wraps at 4 GiB */
        u8 base, index, scale; /* host registers, or NO_REG */
        i32 disp;
    } m; /* where the memory operand is */
    /* The low two bits of guest registers, as far as they are known (align.c); and those of the
     * address that is being made, with the register that an access there tells of. */
    struct low_bits {
        u8 mask, value;
    } low[8];
    struct xl_at {
        struct low_bits low;
        u8 base; /* guest register; NO_REG: none */
        i32 disp;
    } at;
    /* looked at for a page crossing over so many bytes; 0: for alignment, if not unaligned */
    u8 span;
    bool reg_r11; /* emit_copy(): the register in ModRM.reg is r11 */
    bool ident;   /* it is the same on the host, but for registers and memory operand */
    bool last; /* the present instruction is the TU's last */
    /* Jumps out of line, to be filled in at the end: to a site's callout; where a store was
     * looked at, by the question whether its page is write-protected for code that is not here
     * (codepage.S). */
    struct {
        u16 jump;   /* rel32 */
        u16 resume; /* where the next instruction starts */
        u16 stored; /* where the store goes on that may; 0: no such question */
        u8 size;    /* its bytes */
        u8 site;
    } slow[MAX_SLOW]; /* places are offsets in the CCF */
    u32 slow_count;
};

/* Did the code from start on, with what is in slow[] from there, take no more than one may? */
static inline bool xl_fits(const struct xl *x, const u8 *start, u32 slow)
{
    return x->p - start <= INSN_ROOM && x->slow_count - slow <= INSN_SLOW;
}

/* The offset in the CCF of what is emitted next. */
static inline u16 ccf_here(const struct xl *x)
{
    return (u16)(x->p - x->start);
}

/*
 * ---- emit.c ----
 *
 * Shapes: r, m, i as in the mnemonic's operands; 8, 16, 64: their bits, where they are not 32.
 * Of a memory operand the base and the displacement are given; disp32: it takes four bytes even
 * if it would fit in one.
 */

/* mov r32, r32 */
void emit_mov_rr(struct xl *x, enum hreg dst, enum hreg src);
/* mov r32, r32 or mov r16, r16: size bytes, what is above them is kept if they are 2 */
void emit_mov_part(struct xl *x, enum hreg dst, enum hreg src, u32 size);
/* mov r64, r64 */
void emit_mov_rr64(struct xl *x, enum hreg dst, enum hreg src);
/* mov r32, imm32 */
void emit_mov_ri(struct xl *x, enum hreg dst, u32 imm);
/* mov r64, imm64 */
void emit_mov_ri64(struct xl *x, enum hreg dst, u64 imm);
/* mov r8, [base+disp], where r8 is r8b to r15b */
void emit_mov_rm8(struct xl *x, enum hreg dst, enum hreg base, i32 disp);
/* mov r16, [base+disp] */
void emit_mov_rm16(struct xl *x, enum hreg dst, enum hreg base, i32 disp);
/* mov r32, [base+disp] */
void emit_mov_rm(struct xl *x, enum hreg dst, enum hreg base, i32 disp);
/* mov r64, [base+disp] */
void emit_mov_rm64(struct xl *x, enum hreg dst, enum hreg base, i32 disp);
/* mov r64, [base+disp32] */
void emit_mov_rm64_disp32(struct xl *x, enum hreg dst, enum hreg base, i32 disp);
/* mov r64, [base+index*8+disp32] */
void emit_mov_rm64_index8(struct xl *x, enum hreg dst, enum hreg base, enum hreg index,
                          i32 disp);
/* mov [base+disp], r8, where r8 is r8b to r15b */
void emit_mov_mr8(struct xl *x, enum hreg base, i32 disp, enum hreg src);
/* mov [base+disp], r16 */
void emit_mov_mr16(struct xl *x, enum hreg base, i32 disp, enum hreg src);
/* mov [base+disp], r32 */
void emit_mov_mr(struct xl *x, enum hreg base, i32 disp, enum hreg src);
/* mov [base+disp], r64 */
void emit_mov_mr64(struct xl *x, enum hreg base, i32 disp, enum hreg src);
/* mov byte [base+disp], imm8 */
void emit_mov_mi8(struct xl *x, enum hreg base, i32 disp, u8 imm);
/* mov dword [base+disp], imm32 */
void emit_mov_mi32(struct xl *x, enum hreg base, i32 disp, u32 imm);
/* mov dword [base+disp32], imm32 */
void emit_mov_mi32_disp32(struct xl *x, enum hreg base, i32 disp, u32 imm);
/* movzx r32, r8, where r8 is al to bl or r8b to r15b */
void emit_movzx_rr8(struct xl *x, enum hreg dst, enum hreg src);
/* movzx eax, ah */
void emit_movzx_eax_ah(struct xl *x);
/* movzx r32, r16 */
void emit_movzx_rr16(struct xl *x, enum hreg dst, enum hreg src);
/* movzx r32, byte [base+disp] */
void emit_movzx_rm8(struct xl *x, enum hreg dst, enum hreg base, i32 disp);
/* movzx r32, word [base+disp] */
void emit_movzx_rm16(struct xl *x, enum hreg dst, enum hreg base, i32 disp);
/* mov r32, [base+index*4] */
void emit_mov_rm_index4(struct xl *x, enum hreg dst, enum hreg base, enum hreg index);
/* movsx r32, r16 */
void emit_movsx_rr16(struct xl *x, enum hreg dst, enum hreg src);
/* movsx r32, byte or word [base+disp] */
void emit_movsx_rm8(struct xl *x, enum hreg dst, enum hreg base, i32 disp);
void emit_movsx_rm16(struct xl *x, enum hreg dst, enum hreg base, i32 disp);
/* xchg r64, r64 */
void emit_xchg_rr64(struct xl *x, enum hreg a, enum hreg b);
/* lea r32, [base+disp] */
void emit_lea_rm(struct xl *x, enum hreg dst, enum hreg base, i32 disp);
/* lea r64, [base+disp] */
void emit_lea_rm64(struct xl *x, enum hreg dst, enum hreg base, i32 disp);
/* lea r32 (r64 if w), [base+disp32]; returns the place of the displacement */
u8 *emit_lea_rm_disp32(struct xl *x, enum hreg dst, enum hreg base, i32 disp, bool w);
/* lea r32 (r64 if w), [base+index*scale+disp]; base or index may be NO_REG */
void emit_lea_sib(struct xl *x, enum hreg dst, u8 base, u8 index, u8 scale, i32 disp, bool w);
/* not r32 */
void emit_not(struct xl *x, enum hreg reg);
/* not r64 */
void emit_not64(struct xl *x, enum hreg reg);

/* rorx r32, r32, by */
void emit_rorx(struct xl *x, enum hreg dst, enum hreg src, u8 by);
/* rorx r64, r64, by */
void emit_rorx64(struct xl *x, enum hreg dst, enum hreg src, u8 by);
/* shrx r32, r32, r32 */
void emit_shrx(struct xl *x, enum hreg dst, enum hreg src, enum hreg count);
void emit_shrx64(struct xl *x, enum hreg dst, enum hreg src, enum hreg count);
/* sarx r32, r32, r32 */
void emit_sarx(struct xl *x, enum hreg dst, enum hreg src, enum hreg count);
/* shlx r64, r64, r64 */
void emit_shlx64(struct xl *x, enum hreg dst, enum hreg src, enum hreg count);
/* pext r32, r32, r32 */
void emit_pext(struct xl *x, enum hreg dst, enum hreg src, enum hreg mask);
/* pdep r32, r32, r32 */
void emit_pdep(struct xl *x, enum hreg dst, enum hreg src, enum hreg mask);

/* lahf */
void emit_lahf(struct xl *x);
/* seto r8, where r8 is al to bl or r8b to r15b */
void emit_seto_r8(struct xl *x, enum hreg reg);
/* setcc r8, where r8 is al to bl or r8b to r15b */
/* Of 2 or 4 bytes; the flags stay. */
void emit_cmove(struct xl *x, enum hreg dst, enum hreg src, u32 size);
void emit_setcc_r8(struct xl *x, enum branch condition, enum hreg reg);
/* rdtsc */
void emit_rdtsc(struct xl *x);
/* ldmxcsr [base+disp] */
void emit_ldmxcsr(struct xl *x, enum hreg base, i32 disp);

/* These write flags: the guest's, or those that are dead. */
/* op r8, r8 (or of more bits, as the opcode says), for the guest's opcode of the one-byte
 * map */
void emit_op_rr(struct xl *x, u8 opcode, enum hreg reg, enum hreg rm);
/* mov eax, reg;  test reg, reg;  sahf: the flags in bits 8 to 15 of reg, and OF clear */
void emit_sahf_from(struct xl *x, enum hreg reg);
/* imul r32, r32, imm32 */
void emit_imul_rri(struct xl *x, enum hreg dst, enum hreg src, u32 imm);
/* div r8, where r8 is r8b to r15b */
void emit_div_r8(struct xl *x, enum hreg reg);
/* xchg al, ah */
void emit_xchg_al_ah(struct xl *x);
/* add al, imm8 */
void emit_add_al(struct xl *x, u8 imm);
/* cmp a, b of 1, 2 or 4 bytes, where a byte is of al to bl or r8b to r15b */
void emit_cmp_rr(struct xl *x, enum hreg a, enum hreg b, u32 size);
/* adc r8, imm8, where r8 is al to bl or r8b to r15b */
void emit_adc_ri8(struct xl *x, enum hreg reg, u8 imm);
/* and r32, imm8 */
void emit_and_ri(struct xl *x, enum hreg reg, i8 imm);
/* shr r32, by */
void emit_shr_ri(struct xl *x, enum hreg reg, u8 by);
/* bt r32, bit */
void emit_bt_ri(struct xl *x, enum hreg reg, u8 bit);
/* test r32, imm32 */
void emit_test_ri(struct xl *x, enum hreg reg, u32 imm);
/* test [base+disp], r8, where r8 is r8b to r15b */
void emit_test_mr8(struct xl *x, enum hreg base, i32 disp, enum hreg reg);
/* xor r32, [base+disp] */
void emit_xor_rm(struct xl *x, enum hreg dst, enum hreg base, i32 disp);
/* sahf */
void emit_sahf(struct xl *x);

/* jmp [r15+disp] */
void emit_jmp_vcpu(struct xl *x, i32 off);
/* call [r15+disp] */
void emit_call_vcpu(struct xl *x, i32 off);
/* fninit */
void emit_fninit(struct xl *x);
/* fwait */
void emit_fwait(struct xl *x);
/* maskmovq mm, mm;  or maskmovdqu xmm, xmm */
void emit_maskmov(struct xl *x, bool wide, u8 data, u8 mask);
/* call r64 */
void emit_call(struct xl *x, enum hreg reg);
/* push qword [r15+disp] */
void emit_push_vcpu(struct xl *x, i32 off);
/* pop r64 */
void emit_pop(struct xl *x, enum hreg reg);
/* ret */
void emit_ret(struct xl *x);
/* jcc, jmp or call rel32: returns the rel32, which is 0 as yet */
u8 *emit_branch(struct xl *x, enum branch branch);
/* jmp rel8 and jrcxz rel8: return the rel8, which is 0 as yet */
u8 *emit_jmp_rel8(struct xl *x);
u8 *emit_jrcxz(struct xl *x);
/*
 * A branch that leaves flags alone: on behind `skip` bytes of code if reg is 0. By moves, since
 * an exchange would make RCX wait for reg.
 *      mov save, rcx;  mov rcx, reg;  jrcxz 1f;  mov rcx, save;  (skip bytes)  1: mov rcx, save
 * emit_test_zero ends before the skipped code: the caller writes it, and the last move.
 * emit_unless_zero skips a jump and returns its rel32.
 */
void emit_test_zero(struct xl *x, enum hreg reg, enum hreg save, u8 skip);
u8 *emit_unless_zero(struct xl *x, enum hreg reg, enum hreg save);
/* The same of what was computed in RCX, whose own value is in `save`. */
void emit_test_zero_rcx(struct xl *x, enum hreg save, u8 skip);
u8 *emit_unless_zero_rcx(struct xl *x, enum hreg save);
/* A branch's distance. Both are write addresses of one CCF. */
void emit_patch8(u8 *rel8, const u8 *to);
void emit_patch32(u8 *rel32, const u8 *to);

/* dst := an EIP as the TU knows it, of KEY_PIC relative to the page; vcpu.eip := it, by r10 */
void emit_eip(struct xl *x, enum hreg dst, u32 eip);
void emit_set_eip(struct xl *x, u32 eip);

/* If the translator is to count: mov r10, [r15+runs+8*which];  lea r10, [r10+by];  and back.
 * Returns the place of `by`; NULL: it is not. */
u8 *emit_count(struct xl *x, u32 which, u32 by);
/* If so, one more run of the TU: mov r9, &runs;  mov r10, [r9];  lea r10, [r10+1];  mov [r9],
 * r10 */
void emit_count_tu(struct xl *x);
/* If it is one whose reuse distances are told: mov r9d, number;  call [r15+reuse] */
void emit_reuse(struct xl *x);

/* ---- emit_copy.c ---- */

/*
 * The guest's instruction once more, its registers renamed; a memory operand becomes x->m.
 * False (nothing written): it can't be encoded (AH to BH with an extended register).
 */
bool emit_copy(struct xl *x, const struct insn *in);
/* mov reg, m and mov m, reg, where m is x->m, of 1, 2 or 4 bytes (2: the upper half is kept) */
void emit_load(struct xl *x, u8 reg, u32 size);
void emit_store(struct xl *x, u8 reg, u32 size);
/* movzx r9d, word m */
void emit_load_word(struct xl *x);
void emit_store_imm(struct xl *x, u32 imm, u32 size);
/* r11d waits in memory, if the look at an address of this segment needs the register. */
void emit_hold(struct xl *x, u8 seg);
void emit_unhold(struct xl *x, u8 seg);

/* ---- xl_patched.c ---- */

/* Where the field lies in the instruction that FACT_PATCHED_IMM or FACT_PATCHED_DISP is about;
 * n is 0: it has none, or none that can be read where it stands. */
struct hole xl_field(const struct insn *in, enum fact fact);
/* r9d := offset of the memory operand, whose displacement is read; but for the cut to 16 bits.
 */
void xl_patched_offset(struct xl *x, const struct insn *in);
/* The instruction, whose immediate is read. */
bool xl_with_patched_imm(struct xl *x, const struct insn *in);

/* ---- xl_trap.c ---- */

/* Does it depend on privilege, and could it not run as it is in the host's ring 3? */
bool xl_sensitive(const struct xl *x, const struct insn *in);
/* The TU ends by what traps on the host. */
void xl_trap(struct xl *x, const struct insn *in);

/* ---- align.c ---- */

/* The next access is at base + index*scale + disp, of guest registers (or NO_REG); or at what
 * nothing is known of. */
void align_address(struct xl *x, u8 base, u8 index, u8 scale, i32 disp);
void align_nowhere(struct xl *x);
/* Is it aligned for certain, of 2 or 4 bytes? */
bool align_known(const struct xl *x, u32 size);
/* It is: the host would have faulted. */
void align_learn(struct xl *x, u32 size);
/* What an instruction done in place makes of the registers; one done in C, or that is unlike
 * others: forget. */
void align_follow(struct xl *x, const struct insn *in);
void align_forget(struct xl *x);

/* ---- xl_mem.c ---- */

enum xl_access { XL_READ, XL_WRITE };
/*
 * Makes x->m the place of the site's memory operand (xl_operand), or of the bytes at the offset
 * in r9d of a segment (xl_bytes). Uses r13, and r11 where emit_hold() says so. False: C has to
 * do it.
 */
bool xl_operand(struct xl *x, const struct insn *in, u32 size, enum xl_access access);
/* May an operand there be used as it is, by gs: and the guest's address? */
bool xl_mapped_flat(const struct xl *x, u8 seg, enum xl_access access);
/* xl_operand() for a guest register of 32 bits as the offset; or for the offset in r9d if it is
 * such a register plus disp. */
bool xl_at(struct xl *x, u8 seg, u8 gpr, u32 size, enum xl_access access);
bool xl_near(struct xl *x, u8 seg, u8 gpr, i32 disp, u8 addrsize, u32 size,
             enum xl_access access);
bool xl_bytes(struct xl *x, u8 seg, u8 addrsize, u32 size, enum xl_access access);
/* The same for the site's operand, of which `size` bytes are accessed piece by piece: they lie
 * in one page, or in two that are neighbours in the host's memory, too. Of the stack: from `by`
 * bytes above its top on. */
bool xl_region_starts(struct xl *x, u8 size); /* for these two; false: a callout */
bool xl_region(struct xl *x, const struct insn *in, u8 size, enum xl_access access);
bool xl_stack_region(struct xl *x, i32 by, u8 size, enum xl_access access);
/* May it be accessed so? CS is not writable in protected mode, where its class is flat or
 * other. */
bool xl_allowed(const struct xl *x, u8 seg, enum xl_access access);
/* Out of line to the site's callout, and on behind the instruction: unless reg is 0; if a host
 * condition holds. `save` is a free register. */
void xl_slow_unless_zero(struct xl *x, enum hreg reg, enum hreg save);
void xl_slow_jcc(struct xl *x, enum branch condition);
/* reg := 0 if reg's upper 16 bits are 0. rorx reg, reg, 48;  movzx reg, reg16 */
void emit_top16(struct xl *x, enum hreg reg);
/* dst := offset of the memory operand. */
void xl_offset(struct xl *x, const struct insn *in, enum hreg dst);

/* ---- xl_stack.c ---- */
bool xl_push_imm(struct xl *x, u32 imm, u32 size);
bool xl_push_eip(struct xl *x, u32 eip, u32 size); /* as emit_eip(); leaves r11 */
bool xl_push_reg(struct xl *x, u8 reg, u32 size); /* reg may be r11 */
bool xl_pop_reg(struct xl *x, u8 reg, u32 size);  /* loads; the stack does not move yet */
void xl_stack_move(struct xl *x, i32 by);         /* uses r9 */
bool xl_stack_top(struct xl *x, u32 size);        /* [r10+r9] := the top of the stack */
void xl_load_selector(struct xl *x, u8 dst, u8 seg); /* zero-extended */
/* To the first operand: memory and r16 take two bytes, r32 has zeros above. */
bool xl_store_selector(struct xl *x, const struct insn *in, u8 seg);
bool xl_pop_target(struct xl *x, u32 size, u32 drop);
/* r13 := a branch's target of that size; beyond the end of CS it is the callout's. Uses r10,
 * r11. False: C has to do it. */
bool xl_target_fits(struct xl *x, u32 size);

/* ---- xl_segment.c ---- */
bool xl_mov_to_segment(struct xl *x, const struct insn *in);
bool xl_pop_segment(struct xl *x, const struct insn *in);
/* MOV to and from control registers (xl_system.c) */
bool xl_mov_cr(struct xl *x, const struct insn *in);
bool xl_mov_dr(struct xl *x, const struct insn *in);

/* ---- xl_*.c: one instruction; false: nothing of it stays, it is a callout ---- */
typedef bool xl_handler(struct xl *x, const struct insn *in);
/* Does it read its memory operand and access no other memory? */
bool xl_only_loads(const struct insn *in);
/* Does it store, so that it has a slow path for code pages? */
bool xl_stores(const struct insn *in);

xl_handler xl_copy, xl_mov, xl_lea, xl_push, xl_pop, xl_leave, xl_nop, xl_cli, xl_cld, xl_std,
    xl_jmp, xl_jcc, xl_jcxz, xl_loop, xl_call, xl_ret, xl_pushf, xl_xlat, xl_movs, xl_stos,
    xl_lods, xl_fpu, xl_scas, xl_cmps, xl_sti, xl_popf, xl_rdtsc, xl_lds, xl_les, xl_lss,
    xl_lfs, xl_lgs, xl_look, xl_arpl, xl_sysenter, xl_sysexit, xl_iret, xl_clts, xl_invlpg,
    xl_pause, xl_int, xl_cpuid, xl_far, xl_far_ret, xl_int_real, xl_iret_same, xl_pusha,
    xl_popa, xl_loop_flags, xl_ldmxcsr, xl_movnti, xl_port_string, xl_xchg, xl_decimal, xl_aam,
    xl_aad, xl_salc, xl_enter, xl_into, xl_bound, xl_smsw, xl_selector, xl_store_table,
    xl_load_table, xl_wbinvd, xl_clflush, xl_x87_nop, xl_fninit, xl_maskmov;

/* x87, MMX or SSE that the host can run in place (xl_fpu.c). */
bool xl_fpu_native(const struct insn *in);

struct xl_row {
    xl_handler *translate; /* NULL: callout */
    u8 access;             /* of a memory destination: XL_READ (CMP) or XL_WRITE */
};
extern const struct xl_row xl_rows[INSN_MNEMONICS];

/* ---- xl_data.c ---- */
/* AH to BH, by the register's number, := r11b. */
void emit_high_from_r11(struct xl *x, u8 reg);

/* ---- xl_flow.c ---- */
/* Ends the TU by an indirect branch to r13d. */
bool xl_jump_r13(struct xl *x, const struct insn *in);
/* Leaves the TU for `target`. */
void xl_exit(struct xl *x, u32 number, enum branch branch, u32 target);
void xl_stubs(struct xl *x); /* after the last instruction: exit stubs, slow paths */
/* Another way in, for who has not looked at the page that the TU crosses into: on if that still
 * is `place`. Returns its offset in the CCF. */
u16 xl_second_check(struct xl *x, u64 place);

/* ---- translate.c ---- */
/* The instruction by its row, or by the host's FPU; false: as a callout. */
bool xl_by_row(struct xl *x, const struct insn *in);
/* A call of C for a site's instruction; fpu: it first tries to make the FPU live. */
void xl_callout(struct xl *x, const struct site *site, bool fpu);
/* mov r9, callout */
void xl_callout_record(struct xl *x, const struct site *site, bool fpu);

/* ---- dump.c ---- */
void dump_guest_code(const struct xl *x); /* of a finished TU, for -d in_asm */
void dump_tu(const struct xl *x); /* a finished one, for --trace tc */
void dump_perf(const struct bt *bt, const struct tu *tu); /* for --trace perf */

#endif
