/*
 * What the system side of the CPU shares among its files and with the interpreter's handlers
 * for mnemonics that have both sides (MOV, PUSH, POP, CALL, JMP, RET). Not for other folders.
 *
 * The rule of all that is declared here: test everything that can fault, in the manual's order,
 * then commit.
 */
#ifndef RING3_CPU_SYSTEM_H
#define RING3_CPU_SYSTEM_H

#include "cpu/insn.h"
#include "mmu/mmu.h"

/* ---- Handlers that rows of other tables call (control.c, debug.c) ---- */

bool ex_mov_from_seg(struct vcpu *cpu, const struct insn *in); /* 8C */
bool ex_mov_to_seg(struct vcpu *cpu, const struct insn *in);   /* 8E */
bool ex_mov_cr(struct vcpu *cpu, const struct insn *in);       /* 0F 20, 0F 22 */
bool ex_mov_dr(struct vcpu *cpu, const struct insn *in);       /* 0F 21, 0F 23 */
bool ex_push_seg(struct vcpu *cpu, const struct insn *in);
bool ex_pop_seg(struct vcpu *cpu, const struct insn *in);

/* ---- Descriptors ---- */

/* Type with the S bit: a TYPE_* for system descriptors, SEG_S | … for segments. */
static inline u32 desc_type(const u32 desc[2])
{
    return desc[1] >> 8 & 0x1f;
}
static inline u32 desc_dpl(const u32 desc[2])
{
    return desc[1] >> 13 & 3;
}
static inline bool desc_present(const u32 desc[2])
{
    return desc[1] & 1u << 15;
}
static inline bool desc_is_code(const u32 desc[2])
{
    return (desc_type(desc) & (SEG_S | SEG_CODE)) == (SEG_S | SEG_CODE);
}
static inline bool desc_is_conforming(const u32 desc[2])
{
    return (desc_type(desc) & (SEG_S | SEG_CODE | SEG_C)) == (SEG_S | SEG_CODE | SEG_C);
}
static inline bool desc_is_writable(const u32 desc[2]) /* a data segment that can be a stack */
{
    return (desc_type(desc) & (SEG_S | SEG_CODE | SEG_W)) == (SEG_S | SEG_W);
}
/* Limit in bytes, granularity applied. */
static inline u32 desc_limit(const u32 desc[2])
{
    u32 limit = (desc[1] & 0xf0000) | (desc[0] & 0xffff);

    return desc[1] & 1u << 23 ? limit << 12 | 0xfff : limit;
}
static inline u16 gate_selector(const u32 desc[2])
{
    return (u16)(desc[0] >> 16);
}
static inline u32 gate_offset(const u32 desc[2]) /* 16-bit gates have 16 bits */
{
    u32 off = desc[0] & 0xffff;

    return desc_type(desc) & 8 ? off | (desc[1] & 0xffff0000) : off;
}
static inline bool selector_null(u16 selector)
{
    return !(selector & ~3);
}
/* As an error code: the RPL bits are EXT and IDT there. */
static inline u32 selector_error(u16 selector)
{
    return selector & ~3u;
}

/* Linear address of a descriptor; false: beyond its table. */
bool segment_descriptor_gla(const struct vcpu *cpu, u16 selector, gla_t *gla);
/*
 * The descriptor of a stack for privilege `level`, checked and marked as accessed; *ss is
 * written when nothing faults. #SS if it is not present, else `exc`, #GP or #TS.
 */
bool segment_read_stack(struct vcpu *cpu, u16 selector, u32 level, enum exception exc,
                        struct segment *ss);
/* Sets the accessed bit of a code or data descriptor just read, in memory and in desc. */
bool segment_set_accessed(struct vcpu *cpu, u16 selector, u32 desc[2]);
/* Sets or clears the busy bit of a TSS descriptor. */
bool segment_set_busy(struct vcpu *cpu, u16 selector, bool busy);
/* An unusable register with this selector (null, or forbidden after a change of privilege). */
void segment_make_null(struct segment *seg, u16 selector);
/* A segment register as virtual-8086 mode has it. */
void segment_make_v86(struct segment *seg, u16 selector);
/* After a return to an outer level: forgets data segments that the new CPL may not use. */
void segment_drop_inner(struct vcpu *cpu);

/* ---- The only places that change the privilege and the code segment ---- */

void cpu_set_cpl(struct vcpu *cpu, u32 cpl);
/* Loads CS and EIP from a checked descriptor, with `rpl` the new CPL. */
void cpu_commit_code(struct vcpu *cpu, u16 selector, const u32 desc[2], u32 rpl, u32 eip);

/* ---- A stack that is not, or not yet, the current one ---- */

struct stack {
    struct segment ss;
    u32 esp;               /* moves with pushes */
    u32 mask;              /* by SS.B */
    enum mmu_access access; /* privilege of the pushes */
    /* error code of #SS: the selector of a new stack, 0 for the old one */
    u32 error;
};
/* The current SS:ESP. */
void stack_current(struct vcpu *cpu, struct stack *s);
/* SS:ESP for privilege `dpl` from the TSS, with all checks (#TS, #SS). */
bool stack_from_tss(struct vcpu *cpu, u32 dpl, struct stack *s);
/* Room for `slots` pushes of `size` bytes? #SS(error) if not, #PF, of the first push that
 * would. */
bool stack_reserve(struct vcpu *cpu, const struct stack *s, u32 slots, u32 size);
bool stack_push(struct vcpu *cpu, struct stack *s, u32 size, u32 val);
/* Makes it the current one: SS as loaded, ESP or SP. */
void stack_commit(struct vcpu *cpu, const struct stack *s);

/* ---- Returns, by RET and IRET (far.c) ---- */

/* May CS be returned to? A checked descriptor whose RPL is the new CPL; #GP, #NP. */
bool far_check_return_code(struct vcpu *cpu, u16 selector, const u32 desc[2]);
/* Pops the stack of a return to the outer level `rpl`, for stack_commit(). #GP, #SS, #PF. */
bool far_pop_outer_stack(struct vcpu *cpu, u32 opsize, u32 *skip, u32 rpl, struct stack *s);

/* ---- Interrupts (deliver.c) ---- */

/* INT n (CD): in virtual-8086 mode by IOPL and the redirection bitmap; else as
 * cpu_deliver(). */
bool cpu_int_n(struct vcpu *cpu, u8 vector, u32 next_eip);
/* FLAGS as a virtual-8086 program believes them: VIF in IF's place and IOPL 3, if IOPL is
 * below. */
u32 v86_virtual_flags(const struct vcpu *cpu);
/* IRET's effect on NMI. */
void cpu_unblock_nmi(struct vcpu *cpu);

/* ---- Tasks (task.c) ---- */

/* cpu_switch_task() with the EFLAGS to save: faults through task gates save RF set. */
bool task_switch_to(struct vcpu *cpu, u16 selector, enum task_switch how, u32 next_eip,
                    u32 flags, bool has_error, u32 error);

/* ---- Requests ---- */

static inline void request_set(struct vcpu *cpu, u32 bits)
{
    __atomic_fetch_or(&cpu->requests, bits, __ATOMIC_SEQ_CST);
}
static inline void request_clear(struct vcpu *cpu, u32 bits)
{
    __atomic_fetch_and(&cpu->requests, ~bits, __ATOMIC_SEQ_CST);
}

/* ---- Operands ---- */

/* A general register by number and size; 4-7 of size 1 are AH, CH, DH, BH. */
static inline u32 gpr_get(const struct vcpu *cpu, u32 reg, u32 size)
{
    if (size == 4)
        return cpu->gpr[reg];
    if (size == 2)
        return cpu->gpr[reg] & 0xffff;
    return cpu->gpr[reg & 3] >> (reg & 4 ? 8 : 0) & 0xff;
}
static inline void gpr_set(struct vcpu *cpu, u32 reg, u32 size, u32 val)
{
    u32 shift = size == 1 && (reg & 4) ? 8 : 0;
    u32 mask = (size == 4 ? 0xffffffffu : size == 2 ? 0xffffu : 0xffu) << shift;
    u32 *r = &cpu->gpr[size == 1 ? reg & 3 : reg];

    *r = (*r & ~mask) | (val << shift & mask);
}

#endif
