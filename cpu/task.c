/*
 * The hardware task switch (SDM vol. 3, chapter 7), with 16- and 32-bit TSSs on either side.
 *
 *   1 check    the new TSS's descriptor and limit; both TSSs reachable; the new one read
 *   2 save     the old task's registers; busy bits; the back link
 *   3 commit   TR, CR3, registers, flags, selectors: from here on faults belong to the new task
 *   4 qualify  LDTR, CS, SS, then the data segments (table 7-1)
 *
 * A fault in 1 leaves the old task as it was. A fault in 4 finds EIP and all registers of the new
 * one; segment registers not yet qualified hold their selector but cannot be used.
 */
#include "cpu/task.h"
#include "cpu/control.h"
#include "cpu/debug.h"
#include "cpu/deliver.h"
#include "cpu/far.h"

#include <string.h>

enum { TSS32_SIZE = 104, TSS16_SIZE = 44 };

/* One side's format (figures 7-2 and 7-10): where its fields lie. */
struct layout {
    u32 size;     /* of a register: 2 or 4 */
    u32 eip, flags, gprs, segs, nsegs, ldt, bytes;
};
static const struct layout layouts[2] = {
    { 2, 0x0e, 0x10, 0x12, 0x22, 4, 0x2a, TSS16_SIZE },
    { 4, 0x20, 0x24, 0x28, 0x48, 6, 0x60, TSS32_SIZE },
};

static const struct layout *layout_of(u32 attr)
{
    return &layouts[attr >> 3 & 1];
}

/* What is known of a switch before it is committed. */
struct switching {
    enum task_switch how;
    u16 selector;
    struct segment tr; /* the new one */
    const struct layout *new, *old;
    u8 image[TSS32_SIZE]; /* of the new TSS */
    u32 flags;            /* to be saved in the old TSS */
};

static u32 tss_field(const u8 *image, u32 off, u32 size)
{
    u32 val = 0;

    memcpy(&val, image + off, size);
    return val;
}

/* ---- 1: check ---- */

static bool check_descriptor(struct vcpu *cpu, struct switching *sw)
{
    bool iret = sw->how == TASK_IRET;
    enum exception bad = iret ? EXC_TS : EXC_GP;
    u32 desc[2] = { 0 }, type;

    if (sw->selector & 4)
        return cpu_fault(cpu, bad, selector_error(sw->selector));
    if (!cpu_read_descriptor(cpu, sw->selector, bad, desc))
        return false;
    type = desc_type(desc);
    if (type != (iret ? TYPE_TSS16_BUSY : TYPE_TSS16) &&
        type != (iret ? TYPE_TSS32_BUSY : TYPE_TSS32))
        return cpu_fault(cpu, bad, selector_error(sw->selector));
    if (!desc_present(desc))
        return cpu_fault(cpu, EXC_NP, selector_error(sw->selector));
    cpu_unpack_descriptor(&sw->tr, sw->selector, desc);
    sw->tr.attr |= TYPE_TSS16_BUSY & ~TYPE_TSS16;
    sw->new = layout_of(sw->tr.attr);
    if (sw->tr.limit < sw->new->bytes - 1)
        return cpu_fault(cpu, EXC_TS, selector_error(sw->selector));
    return true;
}

/* Everything that the switch will touch must be there, so that it cannot stop half-way. */
static bool check_memory(struct vcpu *cpu, struct switching *sw)
{
    const struct segment *tr = &cpu->seg[TR];
    gla_t gla;

    sw->old = layout_of(tr->attr);
    if (tr->limit < sw->old->bytes - 1)
        return cpu_fault(cpu, EXC_TS, selector_error(tr->selector));
    if (!mmu_probe(&cpu->paging, tr->base, sw->old->bytes, MMU_WRITE | MMU_SYSTEM) ||
        !mmu_load_bytes(&cpu->paging, sw->tr.base, sw->image, sw->new->bytes, MMU_READ | MMU_SYSTEM))
        return false;
    if ((sw->how == TASK_CALL || sw->how == TASK_INT) &&
        !mmu_probe(&cpu->paging, sw->tr.base, 2, MMU_WRITE | MMU_SYSTEM))
        return false;
    if (segment_descriptor_gla(cpu, tr->selector, &gla) &&
        !mmu_probe(&cpu->paging, gla + 5, 1, MMU_WRITE | MMU_SYSTEM))
        return false;
    segment_descriptor_gla(cpu, sw->selector, &gla);
    return mmu_probe(&cpu->paging, gla + 5, 1, MMU_WRITE | MMU_SYSTEM);
}

/* ---- 2: save ---- */

static bool save_field(struct vcpu *cpu, u32 off, u32 size, u32 val)
{
    return mmu_store(&cpu->paging, cpu->seg[TR].base + off, size, MMU_WRITE | MMU_SYSTEM, val);
}

static bool save_registers(struct vcpu *cpu, const struct switching *sw, u32 next_eip)
{
    const struct layout *l = sw->old;
    u32 stride = l->size;

    if (!save_field(cpu, l->eip, l->size, next_eip) ||
        !save_field(cpu, l->flags, l->size, sw->flags))
        return false;
    for (u32 i = 0; i < 8; i++)
        if (!save_field(cpu, l->gprs + i * stride, l->size, cpu->gpr[i]))
            return false;
    for (u32 i = 0; i < l->nsegs; i++)
        if (!save_field(cpu, l->segs + i * stride, 2, cpu->seg[i].selector))
            return false;
    return true;
}

/* Busy bits and the back link: JMP and IRET leave the old task, CALL and INT nest. */
static bool save_links(struct vcpu *cpu, const struct switching *sw)
{
    bool leave = sw->how == TASK_JMP || sw->how == TASK_IRET;
    u16 old = cpu->seg[TR].selector;

    if (leave && !selector_null(old) && !segment_set_busy(cpu, old, false))
        return false;
    if (!leave && !mmu_store(&cpu->paging, sw->tr.base, 2, MMU_WRITE | MMU_SYSTEM, old))
        return false;
    return sw->how == TASK_IRET || segment_set_busy(cpu, sw->selector, true);
}

/* ---- 3: commit ---- */

static bool load_cr3(struct vcpu *cpu, const struct switching *sw)
{
    if (sw->new->size == 2 || !(cpu->cr0 & CR0_PG))
        return true;
    return cpu_set_cr3(cpu, tss_field(sw->image, 0x1c, 4));
}

static void load_selectors(struct vcpu *cpu, const struct switching *sw)
{
    const struct layout *l = sw->new;

    for (u32 i = ES; i <= GS; i++) {
        u32 sel = i < l->nsegs ? tss_field(sw->image, l->segs + i * l->size, 2) : 0;

        segment_make_null(&cpu->seg[i], (u16)sel);
    }
    segment_make_null(&cpu->seg[LDTR], (u16)tss_field(sw->image, l->ldt, 2));
}

static bool commit_switch(struct vcpu *cpu, const struct switching *sw)
{
    const struct layout *l = sw->new;
    u32 flags = tss_field(sw->image, l->flags, l->size);
    u32 high = l->size == 2 ? 0xffff0000 : 0;

    if (sw->how == TASK_CALL || sw->how == TASK_INT)
        flags |= FLAG_NT;
    cpu->seg[TR] = sw->tr;
    cpu->cr0 |= CR0_TS;
    cpu->dr[7] &= ~0x155u; /* L0-L3 and LE */
    cpu->eip = tss_field(sw->image, l->eip, l->size);
    for (u32 i = 0; i < 8; i++)
        cpu->gpr[i] = tss_field(sw->image, l->gprs + i * l->size, l->size) | high;
    load_selectors(cpu, sw);
    cpu_set_eflags(cpu, flags,
                   FLAGS_ARITH | FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_RF |
                       FLAG_VM | FLAG_AC | FLAG_VIF | FLAG_VIP | FLAG_ID);
    cpu_set_cpl(cpu, cpu_v86(cpu) ? 3 : cpu->seg[CS].selector & 3);
    if (l->size == 4 && sw->image[0x64] & 1)
        cpu->db_pending |= DR6_BT;
    if (cpu->db_pending)
        request_set(cpu, REQ_TRAP);
    return load_cr3(cpu, sw);
}

/* ---- 4: qualify ---- */

/* In the new task everything invalid is #TS(selector). */
static bool invalid_in_task(struct vcpu *cpu, u16 selector)
{
    return cpu_fault(cpu, EXC_TS, selector_error(selector));
}

static bool qualify_ldt(struct vcpu *cpu)
{
    u16 selector = cpu->seg[LDTR].selector;
    u32 desc[2] = { 0 };

    if (selector_null(selector))
        return true;
    if (selector & 4)
        return invalid_in_task(cpu, selector);
    if (!cpu_read_descriptor(cpu, selector, EXC_TS, desc))
        return false;
    if (desc_type(desc) != TYPE_LDT || !desc_present(desc))
        return invalid_in_task(cpu, selector);
    cpu_unpack_descriptor(&cpu->seg[LDTR], selector, desc);
    return true;
}

static bool qualify_cs(struct vcpu *cpu)
{
    u16 selector = cpu->seg[CS].selector;
    u32 desc[2] = { 0 }, rpl = selector & 3;

    if (selector_null(selector))
        return invalid_in_task(cpu, selector);
    if (!cpu_read_descriptor(cpu, selector, EXC_TS, desc))
        return false;
    if (!desc_is_code(desc) ||
        (desc_is_conforming(desc) ? desc_dpl(desc) > rpl : desc_dpl(desc) != rpl))
        return invalid_in_task(cpu, selector);
    if (!desc_present(desc))
        return cpu_fault(cpu, EXC_NP, selector_error(selector));
    if (!segment_set_accessed(cpu, selector, desc))
        return false;
    cpu_unpack_descriptor(&cpu->seg[CS], selector, desc);
    return true;
}

/* As a load would, but what would be #GP is #TS. */
static bool qualify_data(struct vcpu *cpu, enum seg seg)
{
    u16 selector = cpu->seg[seg].selector;

    if (cpu_load_segment(cpu, seg, selector))
        return true;
    if (cpu->exc_vector == EXC_GP)
        cpu->exc_vector = EXC_TS;
    return false;
}

static bool qualify_segments(struct vcpu *cpu)
{
    static const u8 data[] = { ES, DS, FS, GS };

    for (u32 i = ES; cpu_v86(cpu) && i <= GS; i++)
        segment_make_v86(&cpu->seg[i], cpu->seg[i].selector);
    if (!qualify_ldt(cpu))
        return false;
    if (cpu_v86(cpu))
        return true;
    if (!qualify_cs(cpu) ||
        !segment_read_stack(cpu, cpu->seg[SS].selector, cpu->cpl, EXC_TS, &cpu->seg[SS]))
        return false;
    for (u32 i = 0; i < ARRAY_SIZE(data); i++)
        if (!qualify_data(cpu, data[i]))
            return false;
    return true;
}

/* The error code of the exception that came through a task gate. */
static bool push_error(struct vcpu *cpu, u32 size, u32 error)
{
    struct stack s;

    stack_current(cpu, &s);
    if (!stack_push(cpu, &s, size, error))
        return false;
    stack_commit(cpu, &s);
    return true;
}

/* ---- All four ---- */

bool task_switch_to(struct vcpu *cpu, u16 selector, enum task_switch how, u32 next_eip, u32 flags,
                    bool has_error, u32 error)
{
    struct switching sw = { .how = how, .selector = selector, .flags = flags };

    if (!check_descriptor(cpu, &sw) || !check_memory(cpu, &sw))
        return false;
    cpu->stats.task_switches++;
    trace(TRACE_CPU, "task %04x to %04x (%s) from %04x:%08x", cpu->seg[TR].selector, selector,
          how == TASK_JMP  ? "jmp" :
          how == TASK_CALL ? "call" :
          how == TASK_IRET ? "iret" :
                             "int",
          cpu->seg[CS].selector, cpu->eip);
    if (how == TASK_IRET)
        sw.flags &= ~(u32)FLAG_NT;
    if (!save_registers(cpu, &sw, next_eip) || !save_links(cpu, &sw))
        return false;
    if (!commit_switch(cpu, &sw) || !qualify_segments(cpu))
        return false;
    if (has_error && !push_error(cpu, sw.new->size, error))
        return false;
    return cpu->eip <= cpu->seg[CS].limit || cpu_fault(cpu, EXC_GP, 0);
}

bool cpu_switch_task(struct vcpu *cpu, u16 selector, enum task_switch how, u32 next_eip,
                     bool has_error, u32 error)
{
    return task_switch_to(cpu, selector, how, next_eip, cpu_eflags(cpu), has_error, error);
}
