/*
 * Hardware task switches (SDM vol. 3, chapter 7): 32- and 16-bit TSSs by JMP, CALL, IRET,
 * interrupt and through task gates; what is saved where, busy bits, NT, the back link, and the
 * faults before and after the switch.
 */
#include "kernel.h"

/* descriptors: the second task, in both formats; a task gate */
enum { B = 6, B16 = 7, GATE = 8 };
static struct tss32 tss_b;
static struct tss16 tss_b16;
static u8 stack_b[1024];

SNIPPET(task_code,
        "task_code_at: int $0x30\n task_code_next: iret\n task_code_after: int $0x30\n");
LABEL(task_code_next);
LABEL(task_code_after);

static u32 type_of(u32 selector)
{
    return gdt[selector / 8] >> 40 & 0x1f;
}

static void prepare(const void *eip)
{
    fill(&tss_b, 0, sizeof(tss_b));
    fill(&tss_b16, 0, sizeof(tss_b16));
    tss_b.eip = (u32)eip;
    tss_b.eflags = 2 | CF;
    tss_b.eax = 0xa1a1a1a1;
    tss_b.edi = 0xd1d1d1d1;
    tss_b.esp = (u32)stack_b + 512;
    tss_b.cs = KCODE;
    tss_b.ss = tss_b.ds = tss_b.es = KDATA;
    tss_b.fs = UDATA;
    tss_b.iomap = sizeof(tss_b);
    seg(B, (u32)&tss_b, 103, P | DPL3 | T_TSS32);
    /* The 16-bit task runs in a code segment that starts at its code, 32-bit nevertheless. */
    seg(9, (u32)eip, 0xfffff, P | CODE | D32 | G);
    tss_b16.flags = 2 | CF;
    tss_b16.ax = 0xa1a1;
    tss_b16.di = 0xd1d1;
    seg(10, (u32)stack_b, 0xffff, P | DATA);
    tss_b16.sp = 512;
    tss_b16.cs = SEL(9);
    tss_b16.ss = SEL(10);
    tss_b16.ds = tss_b16.es = KDATA;
    seg(B16, (u32)&tss_b16, 43, P | DPL3 | T_TSS16);
    gate(GATE, SEL(B), 0, P | DPL3 | T_TASK, 0);
}

/* Back to the kernel's own task, whatever TR says now. */
static void home(void)
{
    u64 *d = &gdt[TSS_MAIN / 8];

    *d &= ~((u64)2 << 40);
    __asm__ volatile("ltr %w0" : : "r"(TSS_MAIN));
    write_cr0(read_cr0() & ~CR0_TS);
}

SNIPPET(task_jump, "task_jump_at: ljmp *(%eax)\n task_jump_after: " EXIT);
SNIPPET(task_call, "task_call_at: lcall *(%eax)\n task_call_after: " EXIT);
SNIPPET(task_int, "task_int_at: int $0x62\n task_int_after: " EXIT);
LABEL(task_jump_after);
LABEL(task_call_after);
LABEL(task_int_after);
static u32 pointer[2];

static void go(const u8 *code, u32 n, u32 selector)
{
    pointer[1] = selector;
    ring(n, code);
    in.eflags |= ZF;
    in.eax = (u32)pointer;
    in.ebx = 0xb0b0b0b0;
    in.gs = 0;
    run();
}

static void check_b(u32 flags)
{
    DONE();
    EQ(trap.tr & 0xffff, SEL(B));
    EQ(trap.frame[0], (u32)task_code_next);
    EQ(trap.frame[2], flags);
    EQ(trap.eax, 0xa1a1a1a1);
    EQ(trap.edi, 0xd1d1d1d1);
    EQ(trap.fs & 0xffff, UDATA);
    EQ(trap.esp, (u32)stack_b + 512 - 12);
    TRUE(read_cr0() & CR0_TS);
}

static void check_main_saved(const u8 *eip)
{
    EQ(tss_main.eip, (u32)eip);
    EQ(tss_main.ebx, 0xb0b0b0b0);
    EQ(tss_main.cs, KCODE);
    EQ(tss_main.ds, KDATA);
    EQ(tss_main.gs, 0);
    EQ(tss_main.esp, (u32)stack0 + 4096 - 128);
    EQ(tss_main.eflags, 2 | ZF);
}

TEST(task_jump_to_tss)
{
    prepare(task_code);
    write_dr7(0x455); /* local breakpoints are per task */
    go(task_jump, 0, SEL(B));
    check_b(2 | CF);
    check_main_saved(task_jump_after);
    EQ(type_of(TSS_MAIN), T_TSS32);
    EQ(type_of(SEL(B)), T_TSS32B);
    EQ(tss_b.link, 0);
    EQ(read_dr7(), 0x400);
    home();
}

TEST(task_call_to_tss)
{
    prepare(task_code);
    go(task_call, 0, SEL(B));
    check_b(2 | CF | NT);
    check_main_saved(task_call_after);
    EQ(type_of(TSS_MAIN), T_TSS32B);
    EQ(type_of(SEL(B)), T_TSS32B);
    EQ(tss_b.link & 0xffff, TSS_MAIN);
    home();
}

TEST(task_through_gates)
{
    prepare(task_code);
    go(task_call, 0, SEL(GATE));
    check_b(2 | CF | NT);
    home();
    prepare(task_code);
    go(task_jump, 3, SEL(GATE) | 3);
    DONE();
    EQ(trap.tr & 0xffff, SEL(B));
    EQ(tss_main.cs, UCODE);
    EQ(tss_main.ss, UDATA);
    home();
    prepare(task_code);
    set_gate(&idt[0x62], SEL(B), 0, P | DPL3 | T_TASK, 0);
    go(task_int, 0, 0);
    check_b(2 | CF | NT);
    check_main_saved(task_int_after);
    EQ(tss_b.link & 0xffff, TSS_MAIN);
    home();
}

TEST(task_call_and_iret)
{
    prepare(task_code_next);
    go(task_call, 0, SEL(B));
    DONE();
    EQ(trap.tr & 0xffff, TSS_MAIN);
    EQ(trap.frame[0], (u32)task_call_after + 2);
    EQ(trap.ebx, 0xb0b0b0b0);
    EQ(trap.frame[2], 2 | ZF);
    EQ(tss_b.eip, (u32)task_code_after); /* where a second call would go on */
    EQ(tss_b.eflags, 2 | CF);            /* NT cleared */
    EQ(type_of(SEL(B)), T_TSS32);
    EQ(type_of(TSS_MAIN), T_TSS32B);
    home();
}

TEST(task_16_bit_jump)
{
    prepare(task_code);
    go(task_jump, 0, SEL(B16));
    DONE();
    EQ(trap.tr & 0xffff, SEL(B16));
    EQ(trap.frame[0], (u32)task_code_next - (u32)task_code);
    EQ(trap.frame[1], SEL(9));
    EQ(trap.eax & 0xffff, 0xa1a1);
    EQ(trap.edi & 0xffff, 0xd1d1);
    EQ(trap.fs & 0xffff, 0);
    EQ(trap.esp & 0xffff, 512 - 12);
    check_main_saved(task_jump_after);
    EQ(type_of(SEL(B16)), T_TSS16B);
    home();
}

TEST(task_16_bit_call_and_iret)
{
    prepare(task_code_next);
    go(task_call, 0, SEL(B16));
    DONE();
    EQ(trap.tr & 0xffff, TSS_MAIN);
    EQ(trap.frame[0], (u32)task_call_after + 2);
    EQ(trap.ebx, 0xb0b0b0b0);
    EQ(tss_b16.ip, (u32)task_code_after - (u32)task_code_next);
    EQ(tss_b16.link, TSS_MAIN);
    EQ(tss_b16.ds, KDATA);
    EQ(tss_b16.flags, 2 | CF);
    home();
}

SNIPPET(hlt_ring3, "hlt\n");
TEST(task_gate_for_exception_with_error_code)
{
    prepare(task_code);
    set_gate(&idt[GP], SEL(B), 0, P | T_TASK, 0);
    idt[0x62] = 0;
    go(task_int, 3, 0); /* #GP(62*8+2) */
    DONE();
    EQ(trap.tr & 0xffff, SEL(B));
    EQ(trap.esp, (u32)stack_b + 512 - 4 - 12);
    EQ(*(u32 *)(stack_b + 512 - 4), 0x62 * 8 + 2);
    EQ(tss_main.eip, (u32)task_int);
    EQ(tss_main.eflags & RF, RF);
    home();
}

TEST(task_gate_for_double_fault)
{
    prepare(task_code);
    set_gate(&idt[DF], SEL(B), 0, P | T_TASK, 0);
    idt[GP] = 0;
    go(hlt_ring3, 3, 0);
    DONE();
    EQ(trap.tr & 0xffff, SEL(B));
    EQ(*(u32 *)(stack_b + 512 - 4), 0);
    EQ(tss_main.eip, (u32)hlt_ring3);
    home();
}

TEST(task_switch_faults_before)
{
    prepare(task_code);
    go(task_jump, 0, TSS_MAIN); /* busy */
    FAULT(GP, TSS_MAIN, task_jump);
    seg(B, (u32)&tss_b, 103, DPL3 | T_TSS32);
    go(task_jump, 0, SEL(B));
    FAULT(NP, SEL(B), task_jump);
    seg(B, (u32)&tss_b, 102, P | DPL3 | T_TSS32);
    go(task_jump, 0, SEL(B));
    FAULT(TS, SEL(B), task_jump);
    seg(B16, (u32)&tss_b16, 42, P | DPL3 | T_TSS16);
    go(task_call, 0, SEL(B16));
    FAULT(TS, SEL(B16), task_call);
    seg(B, (u32)&tss_b, 103, P | DPL0 | T_TSS32);
    go(task_jump, 3, SEL(B));
    FAULT(GP, SEL(B), task_jump);
    gate(GATE, SEL(B) | 4, 0, P | DPL3 | T_TASK, 0);
    go(task_jump, 0, SEL(GATE));
    FAULT(GP, SEL(B) | 4, task_jump);
    gate(GATE, KCODE, 0, P | DPL3 | T_TASK, 0);
    go(task_call, 0, SEL(GATE));
    FAULT(GP, KCODE, task_call);
    gate(GATE, SEL(B), 0, DPL3 | T_TASK, 0);
    go(task_call, 0, SEL(GATE));
    FAULT(NP, SEL(GATE), task_call);
    EQ(type_of(TSS_MAIN), T_TSS32B);
}

SNIPPET(iret_nt, "iret_nt_at: iret\n" EXIT);
TEST(task_iret_faults)
{
    prepare(task_code);
    ring(0, iret_nt);
    in.eflags |= NT;
    tss_main.link = SEL(B); /* not busy */
    run();
    /* enter() itself uses IRET to load NT: the instruction at iret_nt then sees it. */
    FAULT(TS, SEL(B), iret_nt);
    ring(0, iret_nt);
    in.eflags |= NT;
    tss_main.link = SEL(B) | 4;
    run();
    FAULT(TS, SEL(B) | 4, iret_nt);
    seg(B, (u32)&tss_b, 103, P | DPL3 | T_TSS32B);
    tss_main.link = SEL(B);
    ring(0, iret_nt);
    in.eflags |= NT;
    run();
    DONE();
    EQ(trap.tr & 0xffff, SEL(B));
    EQ(type_of(TSS_MAIN), T_TSS32);
    EQ(tss_main.eflags & NT, 0);
    home();
}

/* After the switch faults are the new task's: its EIP is pushed, TR is the new one. */
static void bad_task(u32 vector, u32 error)
{
    go(task_jump, 0, SEL(B));
    EQ(trap.vector, vector);
    EQ(trap.frame[0], error);
    EQ(trap.frame[1], (u32)task_code);
    EQ(trap.tr & 0xffff, SEL(B));
    EQ(trap.eax, 0xa1a1a1a1);
    home();
}

TEST(task_switch_faults_after)
{
    seg(0, 0, 0xfffff, DATA | G | D32); /* not present */

    prepare(task_code);
    tss_b.ds = SEL(0);
    bad_task(NP, SEL(0));
    prepare(task_code);
    tss_b.es = GDT_BYTES;
    bad_task(TS, GDT_BYTES);
    prepare(task_code);
    tss_b.gs = TSS_MAIN;
    bad_task(TS, TSS_MAIN);
}

/* With a bad SS or CS the handler needs another task. */
static struct tss32 tss_handler;
static void bad_task_by_gate(u32 vector, u32 error)
{
    fill(&tss_handler, 0, sizeof(tss_handler));
    tss_handler.eip = (u32)task_code;
    tss_handler.eflags = 2;
    tss_handler.cs = KCODE;
    tss_handler.ss = tss_handler.ds = tss_handler.es = KDATA;
    tss_handler.esp = (u32)stack_b + 1024;
    seg(11, (u32)&tss_handler, 103, P | T_TSS32);
    set_gate(&idt[vector], SEL(11), 0, P | T_TASK, 0);
    go(task_jump, 0, SEL(B));
    DONE();
    EQ(trap.tr & 0xffff, SEL(11));
    EQ(tss_handler.link & 0xffff, SEL(B));
    EQ(*(u32 *)(stack_b + 1024 - 4), error);
    EQ(tss_b.eax, 0xa1a1a1a1);
    home();
    vector_gate(vector, KCODE, P | T_INT32);
}

TEST(task_switch_bad_stack_and_code)
{
    seg(0, 0, 0xfffff, DATA | G | D32);
    seg(1, 0, 0xfffff, CODE | G | D32);
    prepare(task_code);
    tss_b.ldt = KDATA; /* LDTR comes before CS and SS */
    bad_task_by_gate(TS, KDATA);
    prepare(task_code);
    tss_b.ss = SEL(0);
    bad_task_by_gate(SS_, SEL(0));
    prepare(task_code);
    tss_b.ss = 0;
    bad_task_by_gate(TS, 0);
    prepare(task_code);
    tss_b.cs = SEL(1);
    bad_task_by_gate(NP, SEL(1));
    prepare(task_code);
    tss_b.cs = KDATA;
    bad_task_by_gate(TS, KDATA);
    prepare(task_code);
    tss_b.cs = KCODE | 3; /* RPL and DPL differ; the others fit */
    tss_b.ss = tss_b.ds = tss_b.es = UDATA;
    bad_task_by_gate(TS, KCODE);
}

TEST(task_debug_trap_bit)
{
    prepare(task_code);
    tss_b.trap = 1;
    go(task_jump, 0, SEL(B));
    EQ(trap.vector, DB);
    EQ(trap.frame[0], (u32)task_code);
    EQ(read_dr6() & 0xf00f, 0x8000);
    EQ(trap.tr & 0xffff, SEL(B));
    home();
}

TEST(task_with_ldt)
{
    static u32 word = 0x600df00d;

    prepare(task_code);
    set_descriptor(&ldt[2], (u32)&word, 3, P | DATA);
    seg(0, (u32)ldt, sizeof(ldt) - 1, P | T_LDT);
    tss_b.ldt = SEL(0);
    tss_b.gs = 16 | 4;
    go(task_jump, 0, SEL(B));
    check_b(2 | CF);
    EQ(trap.gs & 0xffff, 16 | 4);
    home();
}

TEST(task_in_ring3)
{
    prepare(task_code);
    tss_b.cs = UCODE;
    tss_b.ss = tss_b.ds = tss_b.es = UDATA;
    tss_b.esp0 = (u32)stack0 + 2048;
    tss_b.ss0 = KDATA;
    go(task_jump, 0, SEL(B));
    DONE();
    EQ(trap.frame[1], UCODE);
    EQ(trap.frame[3], (u32)stack_b + 512);
    EQ(trap.esp, (u32)stack0 + 2048 - 20); /* the new task's inner stack */
    home();
}

SNIPPET16(task_v86, "mov %cs, %ax\n int $0x30\n");
TEST(task_in_v86_mode)
{
    prepare(0);
    copy((void *)V86_CODE, task_v86, (u32)task_v86_end - (u32)task_v86);
    tss_b.eip = 0;
    tss_b.eflags = 2 | VM | IOPL3;
    tss_b.cs = V86_CODE >> 4;
    tss_b.ss = V86_STACK >> 4;
    tss_b.esp = 0x100;
    tss_b.ds = 0x1234;
    tss_b.esp0 = (u32)stack0 + 2048;
    tss_b.ss0 = KDATA;
    go(task_jump, 0, SEL(B));
    DONE();
    EQ(trap.eax & 0xffff, V86_CODE >> 4);
    EQ(trap.frame[1], V86_CODE >> 4);
    EQ(trap.frame[2] & (VM | IOPL3), VM | IOPL3);
    EQ(trap.frame[6], 0x1234);
    home();
}
