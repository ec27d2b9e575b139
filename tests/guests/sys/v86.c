/*
 * Virtual-8086 mode (SDM vol. 3, chapter 20): entry by IRET, the frame that leaves it, IOPL,
 * what is privileged, segments, and the virtual-mode extensions.
 */
#include "kernel.h"

static u32 run_v86(const void *code, const void *end, u32 iopl)
{
    v86(code, end, iopl);
    return run();
}
#define RUN_V86(code, iopl) run_v86(code, code##_end, iopl)

SNIPPET16(v_exit, "mov $0x1111, %ax\n mov %ax, %fs\n mov $0x2222, %ax\n mov %ax, %gs\n"
                  "int $0x30\n");
TEST(v86_interrupt_frame)
{
    RUN_V86(v_exit, 3);
    DONE();
    EQ(trap.frame[0], (u32)v_exit_end - (u32)v_exit);
    EQ(trap.frame[1], V86_CODE >> 4);
    EQ(trap.frame[2], 2 | VM | IOPL3);
    EQ(trap.frame[3], 0x800);
    EQ(trap.frame[4], V86_STACK >> 4);
    EQ(trap.frame[5], 0xa00); /* ES, DS, FS, GS */
    EQ(trap.frame[6], 0xa00);
    EQ(trap.frame[7], 0x1111);
    EQ(trap.frame[8], 0x2222);
    EQ(trap.esp, tss_main.esp0 - 36);
    EQ(trap.es & 0xffff, 0);
    EQ(trap.fs & 0xffff, 0);
    EQ(trap.gs & 0xffff, 0);
    EQ(trap.eflags & (VM | IF), 0);
}

TEST(v86_int_needs_iopl3)
{
    RUN_V86(v_exit, 2);
    FAULT(GP, 0, (u32)v_exit_end - (u32)v_exit - 2);
    EQ(trap.frame[3] & VM, VM);
}

SNIPPET16(v_int3, "int3\n");
SNIPPET16(v_into, "mov $0x7f, %al\n add $1, %al\n into\n");
SNIPPET16(v_div, "xor %cx, %cx\n div %cx\n");
TEST(v86_exceptions)
{
    EQ(RUN_V86(v_int3, 0), BP); /* whatever IOPL is */
    EQ(trap.frame[0], 1);
    EQ(RUN_V86(v_into, 0), OF);
    EQ(RUN_V86(v_div, 0), DE);
    EQ(trap.frame[0], 2);
    EQ(trap.frame[1], V86_CODE >> 4);
}

TEST(v86_int3_needs_dpl3)
{
    vector_gate(BP, KCODE, P | DPL0 | T_INT32);
    RUN_V86(v_int3, 3);
    FAULT(GP, BP * 8 + 2, 0);
}

TEST(v86_handler_must_be_ring0)
{
    ring(1, 0);
    vector_gate(BP, in.cs & ~3u, P | DPL3 | T_INT32);
    {
        u32 selector = in.cs & ~3u;

        RUN_V86(v_int3, 3);
        FAULT(GP, selector, 0);
    }
    seg(0, 0, 0xfffff, P | CONF | G | D32);
    vector_gate(BP, SEL(0), P | DPL3 | T_INT32);
    RUN_V86(v_int3, 3);
    FAULT(GP, SEL(0), 0);
}

SNIPPET16(v_cli, "cli\n");
SNIPPET16(v_sti, "sti\n");
SNIPPET16(v_pushf, "pushf\n");
SNIPPET16(v_popf, "popf\n");
SNIPPET16(v_iret, "iret\n");
TEST(v86_iopl_sensitive_instructions)
{
    static const u8 *const all[] = { v_cli, v_sti, v_pushf, v_popf, v_iret };

    for (u32 i = 0; i < 5; i++) {
        run_v86(all[i], all[i] + 1, 0);
        FAULT(GP, 0, 0);
    }
}

SNIPPET16(v_flags, "sti\n pushf\n pop %ax\n cli\n pushf\n pop %bx\n push $0x7202\n popf\n"
                   "pushf\n pop %cx\n int $0x30\n");
TEST(v86_flags_with_iopl3)
{
    RUN_V86(v_flags, 3);
    DONE();
    EQ(trap.eax & 0xffff, 2 | IF | IOPL3);
    EQ(trap.ebx & 0xffff, 2 | IOPL3);
    EQ(trap.ecx & 0xffff, 2 | IF | IOPL3 | NT);
}

SNIPPET16(v_iret3, "push $0x0203\n push $0x800\n push $0x10\n iret\n .org v_iret3 + 16\n"
                   "pushf\n pop %ax\n int $0x30\n");
TEST(v86_iret_with_iopl3)
{
    RUN_V86(v_iret3, 3);
    DONE();
    EQ(trap.eax & 0xffff, 3 | IF | IOPL3);
}

SNIPPET16(v_hlt, "hlt\n");
SNIPPET16(v_lgdt, "lgdtl 0\n");
SNIPPET16(v_cr0, "mov %cr0, %eax\n");
SNIPPET16(v_clts, "clts\n");
SNIPPET16(v_lmsw, "lmsw %ax\n");
TEST(v86_privileged_instructions)
{
    static const u8 *const all[] = { v_hlt, v_lgdt, v_cr0, v_clts, v_lmsw };

    for (u32 i = 0; i < 5; i++) {
        run_v86(all[i], all[i] + 8, 3);
        FAULT(GP, 0, 0);
    }
}

SNIPPET16(v_lar, "lar %ax, %ax\n");
SNIPPET16(v_verr, "verr %ax\n");
SNIPPET16(v_arpl, "arpl %ax, %ax\n");
SNIPPET16(v_sldt, "sldt %ax\n");
SNIPPET16(v_str, "str %ax\n");
SNIPPET16(v_lldt, "lldt %ax\n");
SNIPPET16(v_ltr, "ltr %ax\n");
TEST(v86_unrecognized_instructions)
{
    static const u8 *const all[] = { v_lar, v_verr, v_arpl, v_sldt, v_str, v_lldt, v_ltr };

    for (u32 i = 0; i < 7; i++)
        EQ(run_v86(all[i], all[i] + 8, 3), UD);
}

SNIPPET16(v_in, "in $0x80, %al\n int $0x30\n");
TEST(v86_io_always_asks_the_bitmap)
{
    RUN_V86(v_in, 3);
    FAULT(GP, 0, 0);
    tss_main.io[0x80 / 8] = 0xfe;
    RUN_V86(v_in, 3);
    DONE();
    RUN_V86(v_in, 0);
    FAULT(GP, 0, 2); /* the IN worked, the INT did not */
}

SNIPPET16(v_segments, "mov $0x1000, %ax\n mov %ax, %ds\n mov 0x20, %bx\n mov $0xffff, %si\n"
                      "mov (%si), %cl\n v_segments_at: mov (%si), %cx\n int $0x30\n");
LABEL(v_segments_at);
TEST(v86_segments)
{
    *(volatile u16 *)0x10020 = 0xbeef;
    *(volatile u8 *)0x1ffff = 0x5a;
    RUN_V86(v_segments, 3);
    FAULT(GP, 0, (u32)v_segments_at - (u32)v_segments); /* a word at FFFF */
    EQ(trap.ebx & 0xffff, 0xbeef);
    EQ(trap.ecx & 0xff, 0x5a);
}

SNIPPET16(v_stack, "mov $1, %sp\n v_stack_at: push %ax\n");
LABEL(v_stack_at);
TEST(v86_stack_fault)
{
    RUN_V86(v_stack, 3);
    EQ(trap.vector, SS_);
    EQ(trap.frame[1], (u32)v_stack_at - (u32)v_stack);
}

SNIPPET16(v_high, "mov $0xffff, %ax\n mov %ax, %ds\n mov 0x20, %bx\n int $0x30\n");
TEST(v86_reaches_above_1_mb)
{
    u32 word = *(volatile u32 *)0x100010; /* FFFF:0020 */

    RUN_V86(v_high, 3);
    DONE();
    EQ(trap.ebx & 0xffff, word & 0xffff);
}

SNIPPET16(v_32bit, "movl $0x12345678, %eax\n pushl %eax\n popl %ebx\n int $0x30\n");
TEST(v86_32_bit_operands)
{
    RUN_V86(v_32bit, 3);
    DONE();
    EQ(trap.ebx, 0x12345678);
}

/* ---- IRET into it ---- */

SNIPPET(to_v86, "iret\n");
TEST(iret_to_v86_only_from_ring0)
{
    u32 *sp;

    ring(3, to_v86); /* VM is not looked at there */
    sp = (u32 *)in.esp;
    sp[0] = (u32)to_v86;
    sp[1] = KCODE;
    sp[2] = 2 | VM;
    run();
    FAULT(GP, KCODE, to_v86);
}

/* ---- Virtual-mode extensions ---- */

static bool have_vme(void)
{
    u32 a, b, c, d;

    cpuid(1, &a, &b, &c, &d);
    EQ(d >> 1 & 1, 1);
    return d >> 1 & 1;
}

SNIPPET16(v_vme_flags, "sti\n pushf\n pop %ax\n cli\n pushf\n pop %bx\n push $0x0203\n popf\n"
                       "pushf\n pop %cx\n int3\n");
TEST(vme_virtual_interrupt_flag)
{
    if (!have_vme())
        return;
    write_cr4(CR4_VME);
    EQ(RUN_V86(v_vme_flags, 0), BP);
    EQ(trap.eax & 0xffff, 2 | IF | IOPL3); /* IOPL is shown as 3 */
    EQ(trap.ebx & 0xffff, 2 | IOPL3);
    EQ(trap.ecx & 0xffff, 3 | IF | IOPL3);
    EQ(trap.frame[2] & (IF | VIF | IOPL3), VIF);
    write_cr4(0);
}

SNIPPET16(v_vme_popf, "push $0x0202\n v_vme_popf_at: popf\n");
SNIPPET16(v_vme_tf, "push $0x0102\n v_vme_tf_at: popf\n");
LABEL(v_vme_popf_at);
LABEL(v_vme_tf_at);
TEST(vme_pending_interrupt)
{
    if (!have_vme())
        return;
    write_cr4(CR4_VME);
    v86(v_sti, v_sti_end, 0);
    in.eflags |= VIP;
    run();
    FAULT(GP, 0, 0);
    v86(v_vme_popf, v_vme_popf_end, 0);
    in.eflags |= VIP;
    run();
    FAULT(GP, 0, (u32)v_vme_popf_at - (u32)v_vme_popf);
    RUN_V86(v_vme_tf, 0);
    FAULT(GP, 0, (u32)v_vme_tf_at - (u32)v_vme_tf);
    write_cr4(0);
}

/* INT 60h goes to the program's own vector, 800:40. */
SNIPPET16(v_vme_int, "sti\n int $0x60\n v_vme_int_after: nop\n .org v_vme_int + 0x40\n"
                     "pushf\n pop %ax\n pop %bx\n pop %cx\n pop %dx\n int3\n");
LABEL(v_vme_int_after);
TEST(vme_redirected_interrupt)
{
    u32 saved = *(volatile u32 *)(0x60 * 4);

    if (!have_vme())
        return;
    write_cr4(CR4_VME);
    *(volatile u32 *)(0x60 * 4) = 0x08000040;
    for (u32 iopl = 0; iopl < 4; iopl += 3) {
        EQ(RUN_V86(v_vme_int, iopl), BP);
        EQ(trap.eax & 0xffff, 2 | IOPL3); /* IF is off in the handler */
        EQ(trap.ebx & 0xffff, (u32)v_vme_int_after - (u32)v_vme_int);
        EQ(trap.ecx & 0xffff, V86_CODE >> 4);
        EQ(trap.edx & 0xffff, 2 | IF | IOPL3);
    }
    tss_main.redirect[0x60 / 8] = 1; /* 60h: to the monitor */
    vector_gate(0x60, KCODE, P | DPL3 | T_INT32);
    EQ(RUN_V86(v_vme_int, 3), 0x60);
    RUN_V86(v_vme_int, 0);
    FAULT(GP, 0, 1);
    *(volatile u32 *)(0x60 * 4) = saved;
    write_cr4(0);
}

SNIPPET16(v_vme_iret, "push $0x0203\n push $0x800\n push $0x10\n iret\n .org v_vme_iret + 16\n"
                      "pushf\n pop %ax\n int3\n");
TEST(vme_iret)
{
    if (!have_vme())
        return;
    write_cr4(CR4_VME);
    EQ(RUN_V86(v_vme_iret, 0), BP);
    EQ(trap.eax & 0xffff, 3 | IF | IOPL3);
    EQ(trap.frame[2] & (VIF | IF), VIF);
    write_cr4(0);
}
