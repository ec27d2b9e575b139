/*
 * Debug registers and single steps, as the interpreter calls them (cpu/debug.c; SDM vol. 3,
 * chapter 17). Traps are collected as DR6 bits in vcpu.db_pending with REQ_TRAP set; cpu_serve_requests()
 * delivers them as one #DB at the next instruction boundary.
 */
#ifndef RING3_DEBUG_H
#define RING3_DEBUG_H

#include "cpu/vcpu.h"

struct insn;

enum { DR7_GD = 1 << 13 }; /* MOV to and from debug registers faults */
enum { DR6_B0 = 1, DR6_BD = 1 << 13, DR6_BS = 1 << 14, DR6_BT = 1 << 15 };

enum { DEBUGCTL_LBR = 1, DEBUGCTL_BTF = 2, DEBUGCTL_BITS = 0x7f }; /* vol. 3, 17.13 */

/* Any breakpoint enabled, locally or globally, or branches watched? Or does a debugger outside the guest look
 * at everything? */
static inline bool cpu_debug_armed(const struct vcpu *cpu)
{
    return (cpu->dr[7] & 0xff) | (cpu->debugctl & (DEBUGCTL_LBR | DEBUGCTL_BTF)) | cpu->watch_all;
}
/* Instruction breakpoint at gla (asked before the instruction runs, only when armed and RF is
 * clear). False: #DB recorded as a fault, DR6 set. */
bool cpu_debug_fetch(struct vcpu *cpu, gla_t gla);
/* A data access of the current instruction succeeded (asked only when armed): pending trap if a
 * breakpoint covers one of its bytes. */
void cpu_debug_access(struct vcpu *cpu, gla_t gla, u32 size, bool write);
/* The same for an I/O breakpoint (CR4.DE). */
void cpu_debug_io(struct vcpu *cpu, u16 port, u32 size);
/* A branch was taken from `from` to EIP: last-branch record. */
void cpu_debug_branch(struct vcpu *cpu, u32 from);
/* The same for the entry into a handler; #DB turns the watching of branches off. */
void cpu_debug_interrupted(struct vcpu *cpu, u32 vector, u32 from);
/* The instruction that just completed had started with TF set. */
static inline void cpu_debug_step(struct vcpu *cpu)
{
    cpu->db_pending |= DR6_BS;
    __atomic_fetch_or(&cpu->requests, REQ_TRAP, __ATOMIC_RELAXED);
}
bool ex_mov_dr(struct vcpu *cpu, const struct insn *in); /* 0F 21, 0F 23 */

#endif
