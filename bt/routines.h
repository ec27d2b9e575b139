/*
 * The assembly that translated code calls, jumps to, and is entered by: enter.S, memo.S,
 * memo_far.S, strings.S, codepage.S, variants.S. Registers: regs.h. Private to bt/.
 */
#ifndef RING3_BT_ROUTINES_H
#define RING3_BT_ROUTINES_H

#include "bt/tc.h"

struct exit;
struct callout;

const u8 *bt_enter(struct vcpu *cpu, const void *host);
void bt_exit(void);
void bt_leave_saved(void);
void bt_poll(void);
void bt_callout(void);
void bt_fast_callout(void);
void bt_indirect(void), bt_indirect_miss(void);
void bt_stack_empty(void);
void bt_reuse(void);
void bt_load_segment(void);
void bt_look(void);
void bt_arpl(void), bt_arpl_register(void);
void bt_sysenter(void);
void bt_sysexit(void);
void bt_iret(void);
void bt_rep_movs(void);
void bt_rep_stos(void);
/* Short repeated string instructions, by what, how operands are found, and DF. */
enum bt_rep {
    REP_MOVS,
    REP_STOS,
    REP_LODS,
    REP_CMPS_E,
    REP_CMPS_NE,
    REP_SCAS_E,
    REP_SCAS_NE,
    REP_KINDS
};
enum bt_rep_place { REP_FLAT, REP_BASE, REP_WORD, REP_PLACES };
extern void (*const bt_rep_short[REP_KINDS][REP_PLACES][2])(void);
void bt_int(void);
void bt_cpuid(void);
void bt_mov_cr0(void);
void bt_code_page_store(void);
void bt_patched(void);
void bt_far_call(void), bt_far_ret(void), bt_far_jmp(void), bt_far_call_wide(void),
    bt_far_ret_wide(void);
void bt_far_call_prot(void), bt_far_ret_prot(void), bt_far_jmp_prot(void);
void bt_far_call_prot_wide(void), bt_far_ret_prot_wide(void), bt_int_real(void);
void bt_iret_real(void), bt_iret_real_wide(void), bt_iret_prot(void), bt_iret_prot_wide(void);
/* Behind the last routine of each file. */
void bt_enter_end(void), bt_memo_end(void), bt_memo_far_end(void), bt_strings_end(void),
    bt_code_page_store_end(void), bt_patched_end(void);

/* ---- What they call: callout.c ---- */
int bt_callout_c(struct vcpu *cpu, struct callout *co); /* AFTER_* */
/* Of what a callout parked: FPU_STORED from now on; else nothing. */
void bt_fpu_unpark(struct vcpu *cpu);
int bt_after_c(struct vcpu *cpu, struct callout *co);   /* AFTER_* */
int bt_fast_callout_c(struct vcpu *cpu, struct callout *co);   /* FAST_* */
void bt_reuse_c(struct vcpu *cpu, u32 number); /* reuse.c; touches no XMM, x87, MMX */

#endif
