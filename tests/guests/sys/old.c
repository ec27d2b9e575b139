/*
 * What the monitors and DOS extenders of the nineties lean on, beside what v86.c and the others
 * ask: docs/old-kernels.md has the list and who.
 */
#include "kernel.h"

SNIPPET16(o_flags, "cli\n sti\n pushf\n pop %ax\n int $0x30\n");
/* Code that was run, and translated, under one IOPL runs by the present one. */
TEST(old_same_v86_code_by_another_iopl)
{
    for (u32 n = 0; n < 40; n++) {
        u32 iopl = n * 7 % 4;

        v86(o_flags, o_flags_end, iopl);
        run();
        if (iopl < 3) {
            FAULT(GP, 0, 0);
            EQ(trap.frame[3] & (VM | IOPL3), VM | iopl << 12);
        } else {
            DONE();
            EQ(trap.eax & 0xffff, 2 | IF | IOPL3);
        }
    }
}

SNIPPET16(o_int, "int $0x30\n");
SNIPPET16(o_pushf, "pushf\n");
SNIPPET16(o_popf, "popf\n");
SNIPPET16(o_iret, "iret\n");
TEST(old_iopl_1_and_2_are_as_0)
{
    static const u8 *const all[] = {o_int, o_pushf, o_popf, o_iret};

    for (u32 i = 0; i < 8; i++) {
        v86(all[i / 2], all[i / 2] + 2, 1 + i % 2);
        run();
        EQ(trap.vector, GP);
        EQ(trap.frame[1], 0);
    }
}

SNIPPET16(o_popf3,
          "push $0x0202\n popf\n pushf\n pop %ax\n pushl $0x00200202\n popfl\n pushfl\n"
          "pop %ebx\n int $0x30\n");
TEST(old_popf_in_v86_leaves_iopl)
{
    v86(o_popf3, o_popf3_end, 3);
    run();
    DONE();
    EQ(trap.eax & 0xffff, 2 | IF | IOPL3);
    EQ(trap.ebx, 2 | IF | IOPL3 | ID); /* VM and RF are not shown */
}

SNIPPET16(o_nops, "nop\n nop\n nop\n int $0x30\n");
TEST(old_iret_to_v86_with_tf)
{
    v86(o_nops, o_nops_end, 3);
    in.eflags |= TF;
    EQ(run(), DB);
    EQ(trap.frame[0], 1); /* after the first instruction */
    EQ(trap.frame[2] & (VM | TF), VM | TF);
    EQ(read_dr6() & 0x400f, 0x4000);
    write_dr6(0);
}

TEST(old_iret_to_v86_with_rf)
{
    write_dr0(V86_CODE);
    write_dr7(2 | 0x400); /* execution, global */
    v86(o_nops, o_nops_end, 3);
    EQ(run(), DB);
    EQ(trap.frame[0], 0);
    EQ(read_dr6() & 0x400f, 1);
    write_dr6(0);
    v86(o_nops, o_nops_end, 3);
    in.eflags |= RF;
    run();
    DONE();
    write_dr7(0x400);
}

SNIPPET(o_loadall_286, ".byte 0x0f, 0x05\n");
SNIPPET(o_loadall_386, ".byte 0x0f, 0x07\n");
TEST(old_loadall_is_not_there)
{
    EQ(run_ring(0, o_loadall_286), UD);
    EQ(run_ring(0, o_loadall_386), UD);
    v86(o_loadall_286, o_loadall_286_end, 3);
    EQ(run(), UD);
}

/* Windows 3.0 takes FF in the sixth byte for a 286. */
TEST(old_sgdt_of_16_bits)
{
    u8 image[6] = {0xee, 0xee, 0xee, 0xee, 0xee, 0xee};

    __asm__ volatile("sgdtw %0" : "+m"(image));
    EQ(image[5], 0);
}

/* An 8086 shows bits 12 to 15 set, a 286 clear in real mode; a 386 keeps 12 to 14, a 486 AC,
 * later ones ID. */
TEST(old_processor_by_its_flags)
{
    u32 set, clear;

    __asm__ volatile(
        "pushfl\n pushl $0x247002\n popfl\n pushfl\n pop %0\n pushl $2\n popfl\n pushfl\n"
        "pop %1\n popfl"
        : "=&r"(set), "=&r"(clear));
    EQ(set & 0xfffff000, ID | AC_ | NT | IOPL3);
    EQ(clear & 0xfffff000, 0);
    __asm__ volatile("pushfl\n pushw $0xf0d7\n popfw\n pushfw\n xor %0, %0\n popw %w0\n popfl\n"
                     : "=&r"(set));
    EQ(set & 0xf02a, NT | IOPL3 | 2); /* not 15, 5, 3 */
}

/* Says which mode, and whether there is an FPU, by SMSW and FNSTSW in V86. */
SNIPPET16(o_probe,
          "smsw %ax\n mov $0x5a5a, %bx\n mov %bx, 0x80\n fninit\n fnstsw 0x80\n mov 0x80, %bl\n"
          "fnstcw 0x82\n mov 0x82, %cx\n int $0x30\n");
TEST(old_probes_in_v86)
{
    v86(o_probe, o_probe_end, 0);
    in.eflags |= IOPL3;
    run();
    DONE();
    EQ(trap.eax & 1, 1); /* PE shows in V86 */
    EQ(trap.ebx & 0xff, 0);
    EQ(trap.ecx & 0x103f, 0x3f & 0x3f);
}

/* A monitor's HLT: IF clear or not, it is the monitor's, and EIP is at it. */
SNIPPET16(o_hlt, "cli\n hlt\n");
TEST(old_hlt_with_if_clear_in_v86)
{
    v86(o_hlt, o_hlt_end, 3);
    run();
    FAULT(GP, 0, 1);
    EQ(trap.frame[3] & (IF | VM), VM);
}
