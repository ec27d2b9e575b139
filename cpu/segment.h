/*
 * Segment registers, descriptors and stacks (segment.c; SDM vol. 3, 3.4 and 5).
 *
 * The rule of all that is declared here: test everything that can fault, in the manual's order,
 * then commit.
 */
#ifndef RING3_SEGMENT_H
#define RING3_SEGMENT_H

#include "cpu/vcpu.h"
#include "mmu/mmu.h"

/* ---- Segment registers ---- */

/* Loads a segment register as MOV, POP, LDS… do (vol. 2, "MOV"); ES, SS, DS, FS, GS. */
bool cpu_load_segment(struct vcpu *cpu, enum seg seg, u16 selector);
/* Real-mode/V86 load: base = selector << 4; real mode keeps limit and attributes, V86 sets them. */
void cpu_load_segment_real(struct vcpu *cpu, enum seg seg, u16 selector);
/* Reads the 8-byte descriptor of a selector from GDT or LDT as the system; #exc(selector) beyond
 * the limit. */
bool cpu_read_descriptor(struct vcpu *cpu, u16 selector, enum exception exc, u32 desc[2]);
/* Unpacks a descriptor into a hidden part. */
void cpu_unpack_descriptor(struct segment *seg, u16 selector, const u32 desc[2]);

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
/* The memory of the n bytes below ESP, if pushes of `size` bytes could only store there: for
 * use at once. NULL: push. */
u8 *stack_span(struct vcpu *cpu, const struct stack *s, u32 n, u32 size);
/* Makes it the current one: SS as loaded, ESP or SP. */
void stack_commit(struct vcpu *cpu, const struct stack *s);

#endif
