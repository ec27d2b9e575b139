/*
 * Exceptions and interrupts: raising, delivering, and the requests that lead to them (deliver.c).
 */
#ifndef RING3_DELIVER_H
#define RING3_DELIVER_H

#include "cpu/vcpu.h"

/* Records an exception and returns false. The error code is pushed for the vectors that have one. */
bool cpu_fault(struct vcpu *cpu, enum exception vector, u32 error);

enum delivery { DELIVER_EXCEPTION, DELIVER_INT /* INT n, INT3, INTO */, DELIVER_HARDWARE };
/*
 * Enters the handler of `vector` through the IVT or IDT (vol. 3, chapter 6; V86: chapter 20).
 * `eip` is what is pushed. Exceptions on the way become double and triple faults here, except for
 * DELIVER_INT, where they are the INT instruction's own: then false is returned with the exception
 * recorded. A triple fault requests a machine reset.
 */
bool cpu_deliver(struct vcpu *cpu, u8 vector, enum delivery how, u32 error, bool has_error, u32 eip);
/* Delivers what cpu_fault() recorded, with cpu->eip as the restart address. */
void cpu_deliver_pending(struct vcpu *cpu);
/*
 * Called when requests is not 0, at an instruction boundary: takes an NMI or interrupt if one is
 * due and allowed, delivers the #DB trap of the instruction before, drops the interrupt shadow.
 * Returns false when the engine must return to the run loop (timer, event, halt).
 */
bool cpu_serve_requests(struct vcpu *cpu);
enum {
    CPU_PATIENCE = 64, /* interpreted instructions, some microseconds */
    CPU_HURRY = 65536, /* the TSC's ticks: what looks that are rarer could miss */
};
/* REQ_TIMER is due when the host's TSC is there. */
void cpu_set_deadline(struct vcpu *cpu, u64 tsc);
/* Sets REQ_TIMER if the deadline has passed. */
void cpu_look_at_clock(struct vcpu *cpu);
/* The requests there are, the deadline's among them; `steps` have been taken since the last question. */
static inline u32 cpu_asked(struct vcpu *cpu, u32 steps)
{
    if (unlikely((cpu->patience -= (i32)steps) <= 0))
        cpu_look_at_clock(cpu);
    return __atomic_load_n(&cpu->requests, __ATOMIC_RELAXED);
}
/* INTR input; callable by any device. */
void cpu_set_intr(struct vcpu *cpu, bool level);
void cpu_raise_nmi(struct vcpu *cpu);
/* True when a halted CPU has a reason to wake. */
bool cpu_can_wake(const struct vcpu *cpu);

/* INT n (CD): in virtual-8086 mode by IOPL and the redirection bitmap; else as
 * cpu_deliver(). */
bool cpu_int_n(struct vcpu *cpu, u8 vector, u32 next_eip);
/* FLAGS as a virtual-8086 program believes them: VIF in IF's place and IOPL 3, if IOPL is
 * below. */
u32 v86_virtual_flags(const struct vcpu *cpu);
/* IRET's effect on NMI. */
void cpu_unblock_nmi(struct vcpu *cpu);

/* Replaces the bits of `mask` by those of `val`; a change of IF or TF updates requests. */
void cpu_set_eflags(struct vcpu *cpu, u32 val, u32 mask);

enum { INT_DOS_IDLE = 0x28 }; /* DOS, and programs under it, call it while they wait for input */

#endif
