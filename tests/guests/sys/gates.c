/*
 * Transfers between segments and rings: far JMP, CALL and RET, conforming code, call gates with
 * parameters, interrupt and trap gates, IRET (SDM vol. 3, 5.8 and 6.12; vol. 2 by mnemonic).
 */
#include "kernel.h"

/* ---- Direct far transfers ---- */

SNIPPET(far_jump, "far_jump_at: ljmp *(%eax)\n far_jump_to: " EXIT);
LABEL(far_jump_to);
static u32 pointer[2]; /* offset, selector: the operand of the far forms in memory */

static void jump_to(u32 from_ring, u32 selector, const void *off)
{
    pointer[0] = (u32)off;
    pointer[1] = selector;
    ring(from_ring, far_jump);
    in.eax = (u32)pointer;
    run();
}

TEST(far_jump_same_ring)
{
    seg(0, 0, 0xfffff, P | CODE | G | D32);
    jump_to(0, SEL(0), far_jump_to);
    DONE();
    EQ(trap.frame[1], SEL(0));
    TRUE(gdt[SEL(0) / 8] >> 40 & ACC); /* accessed was set */
    seg(0, 0, 0xfffff, P | DPL3 | CODE | G | D32);
    jump_to(3, SEL(0), far_jump_to);
    DONE();
    EQ(trap.frame[1], SEL(0) | 3); /* CS.RPL is the CPL, whatever the selector's */
}

TEST(far_jump_faults)
{
    jump_to(0, 0, far_jump_to);
    FAULT(GP, 0, far_jump);
    jump_to(0, GDT_BYTES, far_jump_to);
    FAULT(GP, GDT_BYTES, far_jump);
    jump_to(0, SEL(0) | 4, far_jump_to); /* no LDT */
    FAULT(GP, SEL(0) | 4, far_jump);
    jump_to(0, KDATA, far_jump_to);
    FAULT(GP, KDATA, far_jump);
    jump_to(3, KCODE, far_jump_to);
    FAULT(GP, KCODE, far_jump);
    jump_to(0, UCODE & ~3, far_jump_to);
    FAULT(GP, UCODE & ~3, far_jump);
    jump_to(0, KCODE | 3, far_jump_to); /* RPL above CPL */
    FAULT(GP, KCODE, far_jump);
    seg(0, 0, 0xfffff, CODE | G | D32);
    jump_to(0, SEL(0), far_jump_to);
    FAULT(NP, SEL(0), far_jump);
    seg(0, 0, 0xfff, P | CODE | D32);
    jump_to(0, SEL(0), (void *)0x1000);
    FAULT(GP, 0, far_jump);
}

TEST(far_jump_conforming)
{
    seg(0, 0, 0xfffff, P | DPL0 | CONF | G | D32);
    jump_to(3, SEL(0), far_jump_to);
    DONE();
    EQ(trap.frame[1], SEL(0) | 3);
    jump_to(0, SEL(0) | 3, far_jump_to); /* RPL does not matter */
    DONE();
    EQ(trap.frame[1], SEL(0));
    seg(0, 0, 0xfffff, P | DPL3 | CONF | G | D32);
    jump_to(0, SEL(0), far_jump_to); /* outwards: never */
    FAULT(GP, SEL(0), far_jump);
}

SNIPPET(far_call, "far_call_at: lcall *(%eax)\n far_call_after: " EXIT);
LABEL(far_call_after);

static void call_to(u32 from_ring, u32 selector, const void *off)
{
    pointer[0] = (u32)off;
    pointer[1] = selector;
    ring(from_ring, far_call);
    in.eax = (u32)pointer;
    run();
}

TEST(far_call_pushes_cs_and_eip)
{
    seg(0, 0, 0xfffff, P | DPL3 | CODE | G | D32);
    call_to(3, SEL(0), far_jump_to);
    DONE();
    EQ(trap.frame[1], SEL(0) | 3);
    EQ(trap.frame[3], (u32)stack3 + 4096 - 128 - 8);
    EQ(*(u32 *)(stack3 + 4096 - 128 - 8), (u32)far_call_after);
    EQ(*(u32 *)(stack3 + 4096 - 128 - 4), UCODE);
}

SNIPPET(far_return, "lret\n");
SNIPPET(far_return8, "lret $8\n");
TEST(far_call_and_return)
{
    call_to(3, UCODE, far_return);
    DONE();
    EQ(trap.frame[0], (u32)far_call_after + 2);
    EQ(trap.frame[3], (u32)stack3 + 4096 - 128);
    call_to(0, KCODE, far_return8);
    DONE();
    EQ(trap.esp + 12, (u32)stack0 + 4096 - 128 + 8);
}

/* 16-bit operand size: 4 bytes on the stack, offsets of 16 bits. */
SNIPPET(far_call16, "data16 lcall *(%eax)\n" EXIT);
SNIPPET16(in_segment16, "mov %sp, %bx\n int $0x30\n");
TEST(far_call_16_bit)
{
    seg(0, (u32)in_segment16, 0xff, P | CODE);
    pointer[0] = SEL(0) << 16;
    ring(0, far_call16);
    in.eax = (u32)pointer;
    run();
    DONE();
    EQ(trap.frame[1], SEL(0));
    EQ(trap.frame[0], (u32)in_segment16_end - (u32)in_segment16);
    EQ(*(u16 *)(stack0 + 4096 - 128 - 2), KCODE);
}

/* ---- Call gates ---- */

SNIPPET(gate_target, EXIT);

TEST(call_gate_same_ring)
{
    gate(0, KCODE, (u32)gate_target, P | DPL0 | T_CALL32, 3);
    call_to(0, SEL(0), (void *)0x12345678); /* the offset is ignored */
    DONE();
    EQ(trap.frame[1], KCODE);
    EQ(trap.esp + 12, (u32)stack0 + 4096 - 128 - 8); /* no parameters copied */
    jump_to(0, SEL(0), 0);
    DONE();
    EQ(trap.frame[0], (u32)gate_target + 2);
}

SNIPPET(push_and_call, "push $0x33\n push $0x22\n push $0x11\n lcall *(%eax)\n"
                       "push_and_call_after: " EXIT);
LABEL(push_and_call_after);
TEST(call_gate_to_inner_ring)
{
    u32 *top = (u32 *)tss_main.esp0;

    gate(0, KCODE, (u32)gate_target, P | DPL3 | T_CALL32, 3);
    pointer[1] = SEL(0) | 3;
    ring(3, push_and_call);
    in.eax = (u32)pointer;
    run();
    DONE();
    EQ(trap.frame[1], KCODE);
    EQ(trap.ss, KDATA);
    EQ(trap.esp + 12, (u32)(top - 7));
    EQ(top[-1], UDATA);
    EQ(top[-2], (u32)stack3 + 4096 - 128 - 12);
    EQ(top[-3], 0x33);
    EQ(top[-4], 0x22);
    EQ(top[-5], 0x11);
    EQ(top[-6], UCODE);
    EQ(top[-7], (u32)push_and_call_after);
}

TEST(call_gate_16_bit_to_inner_ring)
{
    u16 *top = (u16 *)tss_main.esp0;

    seg(1, (u32)gate_target & ~15u, 0xff, P | CODE | D32);
    gate(0, SEL(1), (u32)gate_target & 15, P | DPL3 | T_CALL16, 2);
    pointer[1] = SEL(0) | 3;
    ring(3, push_and_call);
    in.eax = (u32)pointer;
    run();
    DONE();
    EQ(trap.esp + 12, (u32)(top - 6));
    EQ(top[-1], UDATA);
    EQ(top[-2], ((u32)stack3 + 4096 - 128 - 12) & 0xffff);
    EQ(top[-3], 0); /* upper half of the last dword pushed */
    EQ(top[-4], 0x11);
    EQ(top[-5], UCODE);
    EQ(top[-6], (u32)push_and_call_after & 0xffff);
}

SNIPPET(gate_returns, "lret $12\n");
TEST(call_gate_and_return_outwards)
{
    gate(0, KCODE, (u32)gate_returns, P | DPL3 | T_CALL32, 3);
    pointer[1] = SEL(0) | 3;
    ring(3, push_and_call);
    in.eax = (u32)pointer;
    in.fs = KDATA & 0; /* null stays null */
    run();
    DONE();
    EQ(trap.frame[0], (u32)push_and_call_after + 2);
    EQ(trap.frame[1], UCODE);
    EQ(trap.frame[3], (u32)stack3 + 4096 - 128); /* parameters released on both stacks */
}

/* Inner data segments are forgotten on the way out, conforming code and outer ones are not. */
SNIPPET(gate_loads, "mov $0x10, %eax\n mov %eax, %ds\n mov %eax, %es\n mov $0x50, %eax\n"
                    "mov %eax, %fs\n lret\n");
TEST(return_outwards_drops_inner_segments)
{
    gate(0, KCODE, (u32)gate_loads, P | DPL3 | T_CALL32, 0);
    seg(2, 0, 0xfffff, P | DPL0 | CONF | G | D32);
    call_to(3, SEL(0) | 3, 0);
    DONE();
    EQ(trap.ds & 0xffff, 0);
    EQ(trap.es & 0xffff, 0);
    EQ(trap.fs & 0xffff, SEL(2));
    EQ(trap.gs & 0xffff, UDATA);
}

TEST(call_gate_faults)
{
    gate(0, KCODE, (u32)gate_target, P | DPL0 | T_CALL32, 0);
    call_to(3, SEL(0), 0); /* DPL < CPL */
    FAULT(GP, SEL(0), far_call);
    gate(0, KCODE, (u32)gate_target, P | DPL2 | T_CALL32, 0);
    call_to(0, SEL(0) | 3, 0); /* DPL < RPL */
    FAULT(GP, SEL(0), far_call);
    gate(0, KCODE, (u32)gate_target, DPL3 | T_CALL32, 0);
    call_to(3, SEL(0), 0);
    FAULT(NP, SEL(0), far_call);
    gate(0, 0, (u32)gate_target, P | DPL3 | T_CALL32, 0);
    call_to(3, SEL(0), 0);
    FAULT(GP, 0, far_call);
    gate(0, KDATA, (u32)gate_target, P | DPL3 | T_CALL32, 0);
    call_to(3, SEL(0), 0);
    FAULT(GP, KDATA, far_call);
    seg(1, 0, 0xfffff, CODE | G | D32);
    gate(0, SEL(1), (u32)gate_target, P | DPL3 | T_CALL32, 0);
    call_to(3, SEL(0), 0);
    FAULT(NP, SEL(1), far_call);
    gate(0, KCODE, (u32)gate_target, P | DPL3 | T_CALL32, 0);
    jump_to(3, SEL(0), 0); /* JMP does not raise privilege */
    FAULT(GP, KCODE, far_jump);
}

TEST(call_gate_stack_faults)
{
    gate(0, KCODE, (u32)gate_target, P | DPL3 | T_CALL32, 0);
    /* The handlers of #TS and #SS need a stack of their own: ring 1 code, ring 1 stack. */
    ring(1, far_call);
    tss_main.ss1 = in.ss;
    tss_main.esp1 = in.esp;
    vector_gate(TS, in.cs & ~3u, P | T_INT32);
    vector_gate(SS_, in.cs & ~3u, P | T_INT32);
    vector_gate(GP, in.cs & ~3u, P | T_INT32);

    tss_main.ss0 = UDATA;
    call_to(3, SEL(0), 0);
    EQ(trap.vector, TS);
    EQ(trap.frame[0], UDATA & ~3u);
    EQ(trap.frame[1], (u32)far_call);
    tss_main.ss0 = GDT_BYTES;
    call_to(3, SEL(0), 0);
    EQ(trap.vector, TS);
    EQ(trap.frame[0], GDT_BYTES);
    seg(3, 0, 0xfffff, P | DATA_RO | G | D32);
    tss_main.ss0 = SEL(3);
    call_to(3, SEL(0), 0);
    EQ(trap.vector, TS);
    EQ(trap.frame[0], SEL(3));
    seg(3, 0, 0xfffff, DATA | G | D32);
    tss_main.ss0 = SEL(3); /* the handler's way back has repaired it */
    call_to(3, SEL(0), 0);
    EQ(trap.vector, SS_);
    EQ(trap.frame[0], SEL(3));
    seg(3, 0, 0xfff, P | DATA | D32); /* too small for what has to be pushed */
    tss_main.ss0 = SEL(3);
    tss_main.esp0 = 0x2000;
    call_to(3, SEL(0), 0);
    EQ(trap.vector, SS_);
    EQ(trap.frame[0], SEL(3));
    tss_main.ss0 = KDATA;
    tss_main.esp0 = (u32)stack0 + 4096;
}

/* ---- Far returns that must not work ---- */

SNIPPET(lret_code, "lret_at: lret\n" EXIT);
static void lret_with(u32 from_ring, u32 cs, const void *eip, u32 ss)
{
    u32 *sp;

    ring(from_ring, lret_code);
    sp = (u32 *)in.esp;
    sp[0] = (u32)eip;
    sp[1] = cs;
    sp[2] = (u32)stack3 + 2048;
    sp[3] = ss;
    run();
}

TEST(far_return_faults)
{
    lret_with(0, 0, far_jump_to, 0);
    FAULT(GP, 0, lret_code);
    lret_with(3, KCODE, far_jump_to, 0); /* inwards */
    FAULT(GP, KCODE, lret_code);
    lret_with(0, KDATA, far_jump_to, 0);
    FAULT(GP, KDATA, lret_code);
    seg(0, 0, 0xfffff, CODE | G | D32);
    lret_with(0, SEL(0), far_jump_to, 0);
    FAULT(NP, SEL(0), lret_code);
    lret_with(0, UCODE, far_jump_to, 0);
    FAULT(GP, 0, lret_code);
    lret_with(0, UCODE, far_jump_to, KDATA);
    FAULT(GP, KDATA, lret_code);
    seg(0, 0, 0xfffff, DPL3 | DATA | G | D32);
    lret_with(0, UCODE, far_jump_to, SEL(0) | 3);
    FAULT(SS_, SEL(0), lret_code);
    lret_with(0, UCODE, far_jump_to, UDATA);
    DONE();
    EQ(trap.frame[1], UCODE);
    EQ(trap.frame[3], (u32)stack3 + 2048);
}

/* ---- Interrupt and trap gates ---- */

SNIPPET(int61, "int $0x61\n int61_after: " EXIT);
LABEL(int61_after);

TEST(interrupt_gate_clears_if_trap_gate_does_not)
{
    vector_gate(0x61, KCODE, P | DPL3 | T_INT32);
    ring(3, int61);
    in.eflags = 2 | IF;
    EQ(run(), 0x61);
    EQ(trap.frame[2], 2 | IF);
    EQ(trap.eflags & IF, 0);
    vector_gate(0x61, KCODE, P | DPL3 | T_TRAP32);
    ring(3, int61);
    in.eflags = 2 | IF;
    EQ(run(), 0x61);
    EQ(trap.eflags & IF, IF);
}

TEST(gate_clears_nt_and_tf)
{
    vector_gate(0x61, KCODE, P | DPL3 | T_TRAP32);
    ring(3, int61);
    in.eflags = 2;
    run();
    EQ(trap.eflags & (NT | TF | RF | VM), 0);
}

TEST(gate_to_ring1)
{
    ring(1, 0);
    tss_main.ss1 = in.ss;
    tss_main.esp1 = in.esp;
    vector_gate(0x61, in.cs & ~3u, P | DPL3 | T_INT32);
    EQ(run_ring(3, int61), 0x61);
    EQ(trap.cs & 3, 1);
    EQ(trap.ss & 0xffff, tss_main.ss1);
    EQ(trap.esp, tss_main.esp1 - 20);
    EQ(trap.frame[4], UDATA);
}

TEST(gate_to_conforming_code_stays_in_ring)
{
    seg(0, 0, 0xfffff, P | DPL0 | CONF | G | D32);
    vector_gate(0x61, SEL(0), P | DPL3 | T_INT32);
    EQ(run_ring(3, int61), 0x61);
    EQ(trap.cs, SEL(0) | 3);
    EQ(trap.ss & 0xffff, UDATA);
    EQ(trap.esp, (u32)stack3 + 4096 - 128 - 12);
}

/* A 16-bit gate pushes words. The stub runs in a segment that starts where it does. */
TEST(interrupt_gate_16_bit)
{
    u16 *sp;

    seg(0, (u32)STUB(0x61), 0xfffff, P | CODE | G | D32);
    set_gate(&idt[0x61], SEL(0), 0, P | DPL3 | T_INT16, 0);
    ring(3, int61);
    in.eflags = 2 | CF;
    EQ(run(), 0x61);
    sp = (u16 *)trap.frame;
    EQ(trap.esp, tss_main.esp0 - 10);
    EQ(sp[0], (u32)int61_after & 0xffff);
    EQ(sp[1], UCODE);
    EQ(sp[2], 2 | CF);
    EQ(sp[3], ((u32)stack3 + 4096 - 128) & 0xffff);
    EQ(sp[4], UDATA);
}

/* ---- IRET ---- */

SNIPPET(iret_code, "iret_at: iret\n iret_to: " EXIT);
LABEL(iret_to);
static u32 *iret_frame(u32 from_ring, u32 cs, u32 flags)
{
    u32 *sp;

    ring(from_ring, iret_code);
    sp = (u32 *)in.esp;
    sp[0] = (u32)iret_to;
    sp[1] = cs;
    sp[2] = flags;
    sp[3] = (u32)stack3 + 2048;
    sp[4] = UDATA;
    return sp;
}

TEST(iret_same_ring)
{
    iret_frame(0, KCODE, 2 | IF | IOPL3 | CF | ID);
    run();
    DONE();
    EQ(trap.frame[2], 2 | IF | IOPL3 | CF | ID);
    iret_frame(3, UCODE, 2 | IF | IOPL3 | CF | AC_ | VIF | VIP);
    run();
    DONE();
    EQ(trap.frame[2], 2 | CF | AC_);
}

TEST(iret_to_outer_ring)
{
    iret_frame(0, UCODE, 2 | IF);
    run();
    DONE();
    EQ(trap.frame[1], UCODE);
    EQ(trap.frame[2], 2 | IF);
    EQ(trap.frame[3], (u32)stack3 + 2048);
    EQ(trap.frame[4], UDATA);
    EQ(trap.ds & 0xffff, 0); /* KDATA was not for ring 3 */
}

TEST(iret_faults)
{
    u32 *sp;

    iret_frame(0, 0, 2);
    run();
    FAULT(GP, 0, iret_code);
    iret_frame(3, KCODE, 2);
    run();
    FAULT(GP, KCODE, iret_code);
    sp = iret_frame(0, UCODE, 2);
    sp[4] = 0;
    run();
    FAULT(GP, 0, iret_code);
    sp = iret_frame(0, UCODE, 2);
    sp[4] = KDATA;
    run();
    FAULT(GP, KDATA, iret_code);
    seg(0, 0, 0xf, P | CODE | D32);
    iret_frame(0, SEL(0), 2);
    run();
    FAULT(GP, 0, iret_code);
}

SNIPPET(iret16, "data16 iret\n");
TEST(iret_16_bit_keeps_upper_flags)
{
    u16 *sp;

    seg(0, (u32)iret_to, 0xff, P | CODE | D32);
    ring(0, iret16);
    in.eflags = 2 | ID | AC_;
    sp = (u16 *)in.esp;
    sp[0] = 0;
    sp[1] = SEL(0);
    sp[2] = 2 | CF;
    run();
    DONE();
    EQ(trap.frame[2], 2 | CF | ID | AC_);
}

/* ---- SYSENTER, SYSEXIT ---- */

SNIPPET(sysenter_code, "sysenter\n");
SNIPPET(sysenter_target, EXIT);
SNIPPET(sysexit_code, "sysexit\n");

static void set_sysenter(u32 cs, u32 esp, u32 eip)
{
    wrmsr(0x174, cs);
    wrmsr(0x175, esp);
    wrmsr(0x176, eip);
}

TEST(sysenter_and_sysexit)
{
    set_sysenter(0, 0, 0);
    run_ring(3, sysenter_code);
    FAULT(GP, 0, sysenter_code);
    seg(0, 0, 0xfffff, P | CODE | G | D32);
    seg(1, 0, 0xfffff, P | DATA | G | D32);
    seg(2, 0, 0xfffff, P | DPL3 | CODE | G | D32);
    seg(3, 0, 0xfffff, P | DPL3 | DATA | G | D32);
    set_sysenter(SEL(0), (u32)stack0 + 2048, (u32)sysenter_target);
    ring(3, sysenter_code);
    in.eflags = 2 | IF;
    run();
    DONE();
    EQ(trap.frame[0], (u32)sysenter_target + 2);
    EQ(trap.frame[1], SEL(0));
    EQ(trap.frame[2], 2);
    EQ(trap.ss & 0xffff, SEL(1));
    EQ(trap.esp + 12, (u32)stack0 + 2048);
    run_ring(3, sysexit_code);
    FAULT(GP, 0, sysexit_code);
    ring(0, sysexit_code);
    in.edx = (u32)sysenter_target;
    in.ecx = (u32)stack3 + 1024;
    run();
    DONE();
    EQ(trap.frame[0], (u32)sysenter_target + 2);
    EQ(trap.frame[1], SEL(2) | 3);
    EQ(trap.frame[3], (u32)stack3 + 1024);
    EQ(trap.frame[4], SEL(3) | 3);
    set_sysenter(0, 0, 0);
}
