/*
 * Exceptions and interrupts: how they are recorded, classified and delivered (SDM vol. 3, chapter
 * 6; in virtual-8086 mode chapter 20).
 *
 *   cpu_fault()            a handler found a fault: remember it, return false
 *   cpu_deliver_pending()  the engine delivers it, with EIP at the instruction
 *   cpu_serve_requests()           at an instruction boundary: traps, NMI, INTR, in table 6-2's order
 *   cpu_deliver()          all of them end here: IVT or IDT, nested faults, shutdown
 */
#include "cpu/deliver.h"
#include "cpu/cpuid.h"
#include "cpu/debug.h"
#include "cpu/far.h"
#include "cpu/reset.h"
#include "cpu/task.h"
#include "runtime/base/debuglog.h"

#include <string.h>
#include <x86intrin.h>

/* ---- Recording ---- */

/* Vectors that push an error code (table 6-1). */
static bool has_error_code(u32 vector)
{
    u32 with = 1 << EXC_DF | 1 << EXC_TS | 1 << EXC_NP | 1 << EXC_SS | 1 << EXC_GP | 1 << EXC_PF |
               1 << EXC_AC;

    return vector < 32 && with >> vector & 1;
}

bool cpu_fault(struct vcpu *cpu, enum exception vector, u32 error)
{
    cpu->exc_vector = (u8)vector;
    cpu->exc_has_error = has_error_code(vector);
    cpu->exc_error = error;
    if (vector >= EXC_TS && vector <= EXC_GP)
        cpu->exc_error |= cpu->ext;
    return false;
}

void cpu_set_eflags(struct vcpu *cpu, u32 val, u32 mask)
{
    if (!cpu_has(cpu, FEAT_CPUID))
        mask &= ~(u32)FLAG_ID;
    cpu->eflags = (((cpu->eflags & ~mask) | (val & mask)) & ~(u32)FLAG_IF) | FLAG_1;
    if (!(mask & FLAG_IF))
        return;
    cpu->int_flag = !!(val & FLAG_IF);
    if (cpu->int_flag && cpu->intr)
        request_set(cpu, REQ_INTR);
}

/* ---- The pushed image ---- */

/* What is to be delivered. */
struct event {
    u32 vector, error, eip;
    enum delivery how;
    bool has_error; /* pushed; of a #DB, error is DR6_BD for general detect */
};

static bool is_double_fault(const struct event *e)
{
    return e->how == DELIVER_EXCEPTION && e->vector == EXC_DF;
}

static bool is_fault(const struct event *e)
{
    if (e->how != DELIVER_EXCEPTION || is_double_fault(e) || e->vector == EXC_MC)
        return false;
    return e->vector != EXC_DB || e->error == DR6_BD;
}

/* EFLAGS as pushed: RF is set for faults, and inside a repeated string instruction, so that an
 * instruction breakpoint does not hit again on return (vol. 3, 17.3.1.1). Nothing returns from a
 * double fault, and what it saves is undefined (vol. 3, 6.15): here RF is clear. */
static u32 pushed_eflags(const struct vcpu *cpu, const struct event *e)
{
    u32 flags = cpu_eflags(cpu);

    if (cpu->mid_rep || is_fault(e))
        return flags | FLAG_RF;
    return is_double_fault(e) ? flags & ~(u32)FLAG_RF : flags;
}

/* ---- Real mode: the IVT ---- */

static bool enter_real(struct vcpu *cpu, const struct event *e)
{
    struct stack s;
    u64 target;

    if (e->vector * 4 + 3 > cpu->idtr.limit)
        return cpu_fault(cpu, EXC_GP, e->vector * 8 + 2);
    if (!mmu_load(&cpu->paging, cpu->idtr.base + e->vector * 4, 4, MMU_READ | MMU_SYSTEM, &target))
        return false;
    stack_current(cpu, &s);
    if (!stack_push(cpu, &s, 2, pushed_eflags(cpu, e)) ||
        !stack_push(cpu, &s, 2, cpu->seg[CS].selector) || !stack_push(cpu, &s, 2, e->eip))
        return false;
    stack_commit(cpu, &s);
    cpu_set_eflags(cpu, 0, FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF);
    cpu_load_segment_real(cpu, CS, (u16)(target >> 16));
    cpu->eip = target & 0xffff;
    return true;
}

/* ---- Protected mode: gates of the IDT ---- */

/* A checked interrupt or trap gate, on its way. */
struct entry {
    const struct event *event;
    u32 gate[2], code[2];
    u32 size;      /* of what is pushed: 2 or 4 */
    u32 slots;     /* and how many */
    u32 cpl;       /* of the handler */
    bool inner, v86;
    struct stack stack;
};

/* The handler's code segment and level. */
static bool check_handler(struct vcpu *cpu, struct entry *en)
{
    u16 selector = gate_selector(en->gate);
    bool conforming;

    if (selector_null(selector))
        return cpu_fault(cpu, EXC_GP, 0);
    if (!cpu_read_descriptor(cpu, selector, EXC_GP, en->code))
        return false;
    conforming = desc_is_conforming(en->code);
    if (!desc_is_code(en->code) || desc_dpl(en->code) > cpu->cpl)
        return cpu_fault(cpu, EXC_GP, selector_error(selector));
    if (!desc_present(en->code))
        return cpu_fault(cpu, EXC_NP, selector_error(selector));
    en->v86 = cpu_v86(cpu);
    if (en->v86 && (conforming || desc_dpl(en->code) != 0))
        return cpu_fault(cpu, EXC_GP, selector_error(selector));
    en->cpl = conforming ? cpu->cpl : desc_dpl(en->code);
    en->inner = en->cpl < cpu->cpl;
    return true;
}

static bool choose_stack(struct vcpu *cpu, struct entry *en)
{
    en->slots = 3 + en->event->has_error + (en->inner ? 2 : 0) + (en->v86 ? 4 : 0);
    if (!en->inner)
        stack_current(cpu, &en->stack);
    else if (!stack_from_tss(cpu, en->cpl, &en->stack))
        return false;
    return stack_span(cpu, &en->stack, en->slots * en->size, en->size) ||
           stack_reserve(cpu, &en->stack, en->slots, en->size);
}

/* frame[0] first: it ends up highest. */
static bool push_slots(struct vcpu *cpu, struct entry *en, const u32 *frame)
{
    u32 bytes = en->slots * en->size;
    u8 *to = stack_span(cpu, &en->stack, bytes, en->size);

    if (!to) {
        for (u32 i = 0; i < en->slots; i++)
            if (!stack_push(cpu, &en->stack, en->size, frame[i]))
                return false;
        return true;
    }
    en->stack.esp -= bytes; /* inside the mask, or there would be no span */
    for (u32 i = en->slots; i--; to += en->size)
        if (en->size == 4)
            memcpy(to, &frame[i], 4);
        else
            memcpy(to, &frame[i], 2);
    return true;
}

static bool push_frame(struct vcpu *cpu, struct entry *en)
{
    static const u8 v86_segments[] = { GS, FS, DS, ES };
    const struct event *e = en->event;
    u32 frame[10], n = 0;

    for (u32 i = 0; en->v86 && i < ARRAY_SIZE(v86_segments); i++)
        frame[n++] = cpu->seg[v86_segments[i]].selector;
    if (en->inner) {
        frame[n++] = cpu->seg[SS].selector;
        frame[n++] = cpu->gpr[ESP];
    }
    frame[n++] = pushed_eflags(cpu, e);
    frame[n++] = cpu->seg[CS].selector;
    frame[n++] = e->eip;
    if (e->has_error)
        frame[n++] = e->error;
    return push_slots(cpu, en, frame);
}

static void commit_entry(struct vcpu *cpu, struct entry *en)
{
    static const u8 data[] = { ES, DS, FS, GS };
    bool interrupt = !(desc_type(en->gate) & 1);

    stack_commit(cpu, &en->stack);
    for (u32 i = 0; en->v86 && i < ARRAY_SIZE(data); i++)
        segment_make_null(&cpu->seg[data[i]], 0);
    cpu_set_eflags(cpu, 0,
                   FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM | (interrupt ? FLAG_IF : 0));
    cpu_commit_code(cpu, gate_selector(en->gate), en->code, en->cpl, gate_offset(en->gate));
}

static bool enter_gate(struct vcpu *cpu, const struct event *e, const u32 gate[2])
{
    struct entry en = { .event = e, .gate = { gate[0], gate[1] }, .code = { 0 } };

    en.size = desc_type(gate) & 8 ? 4 : 2;
    if (!check_handler(cpu, &en) || !choose_stack(cpu, &en))
        return false;
    if (gate_offset(gate) > desc_limit(en.code))
        return cpu_fault(cpu, EXC_GP, 0);
    if (!segment_set_accessed(cpu, gate_selector(gate), en.code) || !push_frame(cpu, &en))
        return false;
    commit_entry(cpu, &en);
    return true;
}

static bool enter_protected(struct vcpu *cpu, const struct event *e)
{
    u32 error = e->vector * 8 + 2, gate[2], type;
    u64 raw;

    if (e->vector * 8 + 7 > cpu->idtr.limit)
        return cpu_fault(cpu, EXC_GP, error);
    if (!mmu_load(&cpu->paging, cpu->idtr.base + e->vector * 8, 8, MMU_READ | MMU_SYSTEM, &raw))
        return false;
    gate[0] = (u32)raw;
    gate[1] = (u32)(raw >> 32);
    type = desc_type(gate);
    if (type != TYPE_TASK && (type & ~9u) != TYPE_INT16) /* 6, 7, 14, 15 */
        return cpu_fault(cpu, EXC_GP, error);
    if (e->how == DELIVER_INT && desc_dpl(gate) < cpu->cpl)
        return cpu_fault(cpu, EXC_GP, error);
    if (!desc_present(gate))
        return cpu_fault(cpu, EXC_NP, error);
    if (type == TYPE_TASK)
        return task_switch_to(cpu, gate_selector(gate), TASK_INT, e->eip, pushed_eflags(cpu, e),
                              e->has_error, e->error);
    return enter_gate(cpu, e, gate);
}

/* ---- INT n in virtual-8086 mode (vol. 3, 20.3, table 20-2) ---- */

/* The interrupt redirection bitmap, 32 bytes below the I/O bitmap: a set bit means the IDT. */
static bool redirected(struct vcpu *cpu, u32 vector, bool *to_program)
{
    const struct segment *tr = &cpu->seg[TR];
    u64 base, byte;

    *to_program = false;
    if (!(tr->attr & 8) || tr->limit < 103)
        return cpu_fault(cpu, EXC_GP, 0);
    if (!mmu_load(&cpu->paging, tr->base + 102, 2, MMU_READ | MMU_SYSTEM, &base))
        return false;
    base = base - 32 + vector / 8;
    if (base > tr->limit)
        return cpu_fault(cpu, EXC_GP, 0);
    if (!mmu_load(&cpu->paging, tr->base + (u32)base, 1, MMU_READ | MMU_SYSTEM, &byte))
        return false;
    *to_program = !(byte >> (vector & 7) & 1);
    return true;
}

/* FLAGS as the program believes them: VIF in IF's place and IOPL 3, if IOPL is really below. */
u32 v86_virtual_flags(const struct vcpu *cpu)
{
    u32 flags = cpu_eflags(cpu);

    if (cpu_iopl(cpu) == 3)
        return flags;
    flags = (flags & ~(u32)FLAG_IF) | FLAG_IOPL;
    return flags & FLAG_VIF ? flags | FLAG_IF : flags;
}

/* As real mode does it, through the table at linear 0. */
static bool enter_v86_program(struct vcpu *cpu, u32 vector, u32 eip)
{
    struct stack s;
    u64 target;

    if (!mmu_load(&cpu->paging, vector * 4, 4, MMU_READ | MMU_SYSTEM, &target))
        return false;
    stack_current(cpu, &s);
    if (!stack_reserve(cpu, &s, 3, 2) || !stack_push(cpu, &s, 2, v86_virtual_flags(cpu)) ||
        !stack_push(cpu, &s, 2, cpu->seg[CS].selector) || !stack_push(cpu, &s, 2, eip))
        return false;
    stack_commit(cpu, &s);
    cpu_set_eflags(cpu, 0,
                   FLAG_TF | FLAG_RF | FLAG_NT | (cpu_iopl(cpu) == 3 ? FLAG_IF : FLAG_VIF));
    cpu_load_segment_real(cpu, CS, (u16)(target >> 16));
    cpu->eip = target & 0xffff;
    return true;
}

bool cpu_int_n(struct vcpu *cpu, u8 vector, u32 next_eip)
{
    bool to_program;

    if (vector == INT_DOS_IDLE && (!cpu_protected(cpu) || cpu_v86(cpu)) && cpu->pins.dos_idle)
        cpu->pins.dos_idle(cpu);
    if (cpu_v86(cpu)) {
        if (cpu->cr4 & CR4_VME) {
            if (!redirected(cpu, vector, &to_program))
                return false;
            if (to_program)
                return enter_v86_program(cpu, vector, next_eip);
        }
        if (cpu_iopl(cpu) < 3)
            return cpu_fault(cpu, EXC_GP, 0);
    }
    return cpu_deliver(cpu, vector, DELIVER_INT, 0, false, next_eip);
}

/* ---- Delivery with nested faults (tables 6-4 and 6-5) ---- */

enum exception_class { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT };
enum { NESTED_MAX = 16 };

static enum exception_class exception_class_of(u32 vector, enum delivery how)
{
    u32 contributory = 1 << EXC_DE | 1 << EXC_TS | 1 << EXC_NP | 1 << EXC_SS | 1 << EXC_GP;

    if (how != DELIVER_EXCEPTION || vector >= 32)
        return BENIGN;
    if (vector == EXC_PF)
        return PAGE_FAULT;
    if (vector == EXC_DF)
        return DOUBLE_FAULT;
    return contributory >> vector & 1 ? CONTRIBUTORY : BENIGN;
}

/* Triple fault: the processor shuts down, and the board resets it. */
static void shut_down(struct vcpu *cpu)
{
    char text[4096];

    if (trace_on(TRACE_CPU)) {
        cpu_print(cpu, text, sizeof(text));
        trace(TRACE_CPU, "triple fault\n%s", text);
    }
    cpu->exc_vector = EXC_NONE;
    request_set(cpu, REQ_HALT);
    if (cpu->pins.shutdown)
        cpu->pins.shutdown(cpu);
}

/* Turns *e into what a fault during its delivery makes of it. False: shutdown. */
static bool fault_in_delivery(struct vcpu *cpu, struct event *e)
{
    enum exception_class first = exception_class_of(e->vector, e->how);
    enum exception_class second = exception_class_of(cpu->exc_vector, DELIVER_EXCEPTION);

    if (first == DOUBLE_FAULT && second != BENIGN)
        return false;
    if ((first == CONTRIBUTORY && second == CONTRIBUTORY) ||
        (first == PAGE_FAULT && second != BENIGN))
        *e = (struct event){ .vector = EXC_DF, .has_error = true };
    else
        *e = (struct event){ .vector = cpu->exc_vector,
                             .error = cpu->exc_error,
                             .has_error = cpu->exc_has_error };
    e->how = DELIVER_EXCEPTION;
    e->eip = cpu->eip;
    cpu->exc_vector = EXC_NONE;
    return true;
}

/* As QEMU does: in protected mode alone, numbered from 0. */
static void log_event(const struct vcpu *cpu, const struct event *e)
{
    static _Thread_local u32 count;
    char text[8192];
    u32 pc = cpu->seg[CS].base + cpu->eip;

    if (!(cpu->cr0 & CR0_PE))
        return;
    cpu_print(cpu, text, sizeof(text));
    debuglog_print(
        "%6u: v=%02x e=%04x i=%d cpl=%u IP=%04x:%08x pc=%08x SP=%04x:%08x %s=%08x\n%s", count++,
        e->vector, e->error, e->how == DELIVER_INT, cpu->cpl, cpu->seg[CS].selector, cpu->eip,
        pc, cpu->seg[SS].selector, cpu->gpr[ESP],
        e->vector == EXC_PF ? "CR2" : "env->regs[R_EAX]",
        e->vector == EXC_PF ? cpu->cr2 : cpu->gpr[EAX], text);
}

static bool enter_handler(struct vcpu *cpu, const struct event *e)
{
    bool done;

    if (debuglog_on(DEBUGLOG_INT))
        log_event(cpu, e);

    trace(TRACE_CPU, "%s %02x error %x from %04x:%08x cpl %u eflags %08x%s",
          e->how == DELIVER_EXCEPTION ? "exception" :
          e->how == DELIVER_HARDWARE  ? "interrupt" :
                                        "int",
          e->vector, e->error, cpu->seg[CS].selector, e->eip, cpu->cpl, cpu_eflags(cpu),
          cpu_v86(cpu) ? " v86" : "");
    cpu->ext = e->how != DELIVER_INT;
    if (e->vector == EXC_DB)
        cpu->dr[7] &= ~(1u << 13); /* GD: the handler may use the debug registers */
    done = cpu->cr0 & CR0_PE ? enter_protected(cpu, e) : enter_real(cpu, e);
    cpu->ext = 0;
    return done;
}

/* What the interrupted instruction leaves behind no longer counts. */
static void forget_instruction(struct vcpu *cpu)
{
    cpu->mid_rep = 0;
    cpu->ss_shadow = 0;
    request_clear(cpu, REQ_SHADOW | REQ_HALT);
}

bool cpu_deliver(struct vcpu *cpu, u8 vector, enum delivery how, u32 error, bool has_error, u32 eip)
{
    struct event e = { vector, error, eip, how, has_error };
    u32 nested = 0;

    if (how == DELIVER_EXCEPTION) {
        cpu->stats.exceptions++;
        cpu->db_pending = 0; /* the instruction restarts, and with it its traps */
    } else if (how == DELIVER_HARDWARE) {
        cpu->stats.interrupts++;
    }
    while (!enter_handler(cpu, &e)) {
        if (e.how == DELIVER_INT)
            return false;
        /* Benign faults may nest for ever (#AC in delivering #AC): hardware hangs there. */
        if (++nested > NESTED_MAX || !fault_in_delivery(cpu, &e)) {
            shut_down(cpu);
            return true;
        }
    }
    forget_instruction(cpu);
    if (cpu->debugctl)
        cpu_debug_interrupted(cpu, e.vector, e.eip);
    return true;
}

void cpu_deliver_pending(struct vcpu *cpu)
{
    u8 vector = cpu->exc_vector;

    cpu->exc_vector = EXC_NONE;
    cpu_deliver(cpu, vector, DELIVER_EXCEPTION, cpu->exc_error, cpu->exc_has_error, cpu->eip);
}

/* ---- Requests ---- */

void cpu_set_intr(struct vcpu *cpu, bool level)
{
    cpu->stats.windows += level && !cpu->intr && !cpu->int_flag;
    cpu->intr = level;
    if (level && cpu->int_flag)
        request_set(cpu, REQ_INTR);
    else
        request_clear(cpu, REQ_INTR);
}

enum { NMI_BLOCKED = 1, NMI_PENDING = 2 }; /* vcpu.nmi_blocked: one more may wait for IRET */

void cpu_raise_nmi(struct vcpu *cpu)
{
    request_set(cpu, REQ_NMI);
}

void cpu_unblock_nmi(struct vcpu *cpu)
{
    if (cpu->nmi_blocked & NMI_PENDING)
        request_set(cpu, REQ_NMI);
    cpu->nmi_blocked = 0;
}

bool cpu_can_wake(const struct vcpu *cpu)
{
    u32 att = cpu->requests;

    return (cpu->intr && cpu->int_flag) || ((att & REQ_NMI) && !cpu->nmi_blocked) ||
           cpu->db_pending;
}

/* The #DB trap of the instruction before. A load of SS discards a single step and keeps the rest
 * (vol. 3, 6.8.3). True: delivered. */
static bool serve_trap(struct vcpu *cpu)
{
    u32 bits = cpu->db_pending;

    if (cpu->ss_shadow) {
        cpu->db_pending = bits & ~(u32)DR6_BS;
        if (!cpu->db_pending)
            request_clear(cpu, REQ_TRAP);
        return false;
    }
    request_clear(cpu, REQ_TRAP);
    if (!bits)
        return false;
    cpu->dr[6] |= bits;
    cpu->db_pending = 0;
    cpu_deliver(cpu, EXC_DB, DELIVER_EXCEPTION, 0, false, cpu->eip);
    return true;
}

static bool serve_nmi(struct vcpu *cpu)
{
    request_clear(cpu, REQ_NMI);
    if (cpu->nmi_blocked) {
        cpu->nmi_blocked |= NMI_PENDING;
        return false;
    }
    cpu->nmi_blocked = NMI_BLOCKED;
    cpu_deliver(cpu, EXC_NMI, DELIVER_HARDWARE, 0, false, cpu->eip);
    return true;
}

static bool serve_intr(struct vcpu *cpu)
{
    int vector;

    if (!cpu->int_flag || !cpu->intr) {
        request_clear(cpu, REQ_INTR);
        return false;
    }
    vector = cpu->pins.intr_ack ? cpu->pins.intr_ack(cpu) : -1;
    if (vector < 0)
        return false;
    cpu_deliver(cpu, (u8)vector, DELIVER_HARDWARE, 0, false, cpu->eip);
    return true;
}

void cpu_set_deadline(struct vcpu *cpu, u64 tsc)
{
    bool nearer = tsc < cpu->deadline;
    u64 now;

    cpu->deadline = tsc;
    if (!nearer)
        return;
    now = __rdtsc();
    cpu->hurry |= tsc - now < CPU_HURRY;
    if (tsc <= now)
        request_set(cpu, REQ_TIMER);
}

void cpu_look_at_clock(struct vcpu *cpu)
{
    cpu->patience = CPU_PATIENCE;
    if (__rdtsc() >= cpu->deadline)
        request_set(cpu, REQ_TIMER);
}

bool cpu_serve_requests(struct vcpu *cpu)
{
    u32 att = __atomic_load_n(&cpu->requests, __ATOMIC_SEQ_CST);

    if (att & (REQ_TIMER | REQ_EVENT))
        return false;
    if (att & REQ_HALT) {
        if (!cpu_can_wake(cpu))
            return false;
        request_clear(cpu, REQ_HALT);
    }
    if (att & REQ_TRAP && serve_trap(cpu))
        return true;
    if (att & REQ_SHADOW) {
        request_clear(cpu, REQ_SHADOW);
        cpu->ss_shadow = 0;
        return true;
    }
    if (att & REQ_NMI && serve_nmi(cpu))
        return true;
    if (att & REQ_INTR)
        serve_intr(cpu);
    return true;
}
