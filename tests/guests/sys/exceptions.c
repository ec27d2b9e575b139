/*
 * Exceptions as the handler finds them: vector, error code, restart address, saved flags; from
 * ring 0 and from ring 3, where the stack is switched (SDM vol. 3, 6.13 and 6.15).
 */
#include "kernel.h"

SNIPPET(divide, "xor %ecx, %ecx\n divide_at: div %ecx\n" EXIT);
LABEL(divide_at);
TEST(divide_error_ring0)
{
    ring(0, divide);
    in.eflags = 2 | CF | IOPL3;
    run();
    EQ(trap.vector, DE);
    EQ(trap.frame[0], (u32)divide_at);
    EQ(trap.frame[1], KCODE);
    EQ(trap.frame[2] & RF, RF); /* a fault saves RF */
    EQ(trap.frame[2] & ~0x8d5u, 2 | IOPL3 | RF);
    EQ(trap.esp, (u32)stack0 + 4096 - 128 - 12);
}

TEST(divide_error_ring3)
{
    EQ(run_ring(3, divide), DE);
    EQ(trap.frame[0], (u32)divide_at);
    EQ(trap.frame[1], UCODE);
    EQ(trap.frame[3], (u32)stack3 + 4096 - 128);
    EQ(trap.frame[4], UDATA);
    EQ(trap.esp, tss_main.esp0 - 20);
    EQ(trap.ss, KDATA);
    EQ(trap.cs, KCODE);
}

SNIPPET(breakpoint, "nop\n int3\n breakpoint_after: " EXIT);
LABEL(breakpoint_after);
TEST(breakpoint_is_a_trap)
{
    EQ(run_ring(3, breakpoint), BP);
    EQ(trap.frame[0], (u32)breakpoint_after);
    EQ(trap.frame[2] & RF, 0);
}

SNIPPET(overflow, "mov $0x7fffffff, %eax\n add $1, %eax\n into\n overflow_after: " EXIT);
LABEL(overflow_after);
TEST(into_with_overflow)
{
    EQ(run_ring(3, overflow), OF);
    EQ(trap.frame[0], (u32)overflow_after);
}

SNIPPET(no_overflow, "xor %eax, %eax\n into\n" EXIT);
TEST(into_without_overflow)
{
    EQ(run_ring(3, no_overflow), EXIT_VECTOR);
}

SNIPPET(bound, "mov $5, %eax\n bound %eax, bound_limits\n mov $6, %eax\n"
               "bound_at: bound %eax, bound_limits\n" EXIT "\n bound_limits: .long -1, 5");
LABEL(bound_at);
TEST(bound_range)
{
    EQ(run_ring(3, bound), BR);
    EQ(trap.frame[0], (u32)bound_at);
}

SNIPPET(invalid, "ud2\n" EXIT);
TEST(invalid_opcode)
{
    EQ(run_ring(3, invalid), UD);
    EQ(trap.frame[0], (u32)invalid);
    EQ(trap.frame[2] & RF, RF);
}

SNIPPET(locked, ".byte 0xf0\n nop\n" EXIT);
TEST(lock_without_memory)
{
    EQ(run_ring(0, locked), UD);
}

SNIPPET(too_long, ".fill 15, 1, 0x26\n nop\n" EXIT);
TEST(over_fifteen_bytes)
{
    run_ring(0, too_long);
    FAULT(GP, 0, too_long);
}

SNIPPET(fpu, "fnop\n" EXIT);
TEST(device_not_available)
{
    write_cr0(read_cr0() | CR0_TS);
    EQ(run_ring(3, fpu), NM);
    EQ(trap.frame[0], (u32)fpu);
    write_cr0(read_cr0() & ~CR0_TS);
    EQ(run_ring(3, fpu), EXIT_VECTOR);
    write_cr0(read_cr0() | CR0_EM);
    EQ(run_ring(3, fpu), NM);
    write_cr0(read_cr0() & ~CR0_EM);
}

/* ---- What ring 3 may not ---- */

SNIPPET(p_hlt, "hlt\n" EXIT);
SNIPPET(p_cli, "cli\n" EXIT);
SNIPPET(p_sti, "sti\n" EXIT);
SNIPPET(p_lgdt, "lgdt 0\n" EXIT);
SNIPPET(p_lidt, "lidt 0\n" EXIT);
SNIPPET(p_lldt, "lldt %ax\n" EXIT);
SNIPPET(p_ltr, "ltr %ax\n" EXIT);
SNIPPET(p_lmsw, "lmsw %ax\n" EXIT);
SNIPPET(p_clts, "clts\n" EXIT);
SNIPPET(p_cr0, "mov %cr0, %eax\n" EXIT);
SNIPPET(p_cr3, "mov %eax, %cr3\n" EXIT);
SNIPPET(p_dr0, "mov %dr0, %eax\n" EXIT);
SNIPPET(p_invlpg, "invlpg 0\n" EXIT);
SNIPPET(p_wbinvd, "wbinvd\n" EXIT);
SNIPPET(p_rdmsr, "rdmsr\n" EXIT);
SNIPPET(p_wrmsr, "wrmsr\n" EXIT);
SNIPPET(p_in, "in $0x80, %al\n" EXIT);
SNIPPET(p_out, "out %al, $0x80\n" EXIT);
SNIPPET(p_insb, "insb\n" EXIT);
SNIPPET(p_outsb, "outsb\n" EXIT);
TEST(privileged_instructions_in_ring3)
{
    static const u8 *const all[] = { p_hlt, p_cli, p_sti, p_lgdt, p_lidt, p_lldt, p_ltr, p_lmsw,
                                     p_clts, p_cr0, p_cr3, p_dr0, p_invlpg, p_wbinvd, p_rdmsr,
                                     p_wrmsr, p_in, p_out, p_insb, p_outsb };

    for (u32 i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        run_ring(3, all[i]);
        FAULT(GP, 0, all[i]);
    }
}

SNIPPET(p_popf, "push $0x7202\n popf\n pushf\n pop %eax\n" EXIT);
TEST(popf_keeps_if_and_iopl_in_ring3)
{
    EQ(run_ring(3, p_popf), EXIT_VECTOR);
    EQ(trap.eax & (IF | IOPL3 | NT), NT);
}

TEST(popf_in_ring0)
{
    EQ(run_ring(0, p_popf), EXIT_VECTOR);
    EQ(trap.eax & (IF | IOPL3 | NT), IF | IOPL3 | NT);
}

SNIPPET(iopl_cli, "sti\n pushf\n pop %eax\n cli\n pushf\n pop %ebx\n" EXIT);
TEST(cli_sti_with_iopl3)
{
    ring(3, iopl_cli);
    in.eflags |= IOPL3;
    EQ(run(), EXIT_VECTOR);
    EQ(trap.eax & IF, IF);
    EQ(trap.ebx & IF, 0);
}

SNIPPET(pvi_code, "sti\n pushf\n pop %eax\n cli\n pushf\n pop %ebx\n" EXIT);
TEST(protected_mode_virtual_interrupts)
{
    u32 a, b, c, d;

    cpuid(1, &a, &b, &c, &d);
    TRUE(d & 2);
    write_cr4(CR4_PVI);
    EQ(run_ring(3, pvi_code), EXIT_VECTOR);
    EQ(trap.eax & (VIF | IF), VIF);
    EQ(trap.ebx & (VIF | IF), 0);
    ring(3, pvi_code);
    in.eflags |= VIP;
    run();
    FAULT(GP, 0, pvi_code);
    write_cr4(0);
}

/* ---- Control registers ---- */

SNIPPET(set_cr0, "set_cr0_at: mov %eax, %cr0\n" EXIT);
SNIPPET(set_cr4, "set_cr4_at: mov %eax, %cr4\n" EXIT);
TEST(invalid_control_bits)
{
    ring(0, set_cr0);
    in.eax = CR0_PG;
    run();
    FAULT(GP, 0, set_cr0);
    ring(0, set_cr0);
    in.eax = 0x20000001; /* NW without CD */
    run();
    FAULT(GP, 0, set_cr0);
    ring(0, set_cr4);
    in.eax = 0x80000000;
    run();
    FAULT(GP, 0, set_cr4);
}

SNIPPET(smsw_lmsw, "mov $0xf, %eax\n lmsw %ax\n smsw %eax\n mov $0, %ebx\n lmsw %bx\n"
                   "smsw %ebx\n" EXIT);
TEST(lmsw_cannot_clear_pe)
{
    u32 cr0 = read_cr0();

    EQ(run_ring(0, smsw_lmsw), EXIT_VECTOR);
    EQ(trap.eax, (cr0 & ~0xfu) | 0xf);
    EQ(trap.ebx, (cr0 & ~0xfu) | 1);
    write_cr0(cr0);
}

SNIPPET(rdtsc_code, "rdtsc\n" EXIT);
TEST(rdtsc_and_tsd)
{
    EQ(run_ring(3, rdtsc_code), EXIT_VECTOR);
    write_cr4(CR4_TSD);
    run_ring(3, rdtsc_code);
    FAULT(GP, 0, rdtsc_code);
    EQ(run_ring(0, rdtsc_code), EXIT_VECTOR);
    write_cr4(0);
}

SNIPPET(bad_msr, "mov $0x12345678, %ecx\n bad_msr_at: rdmsr\n" EXIT);
LABEL(bad_msr_at);
TEST(unknown_msr)
{
    run_ring(0, bad_msr);
    FAULT(GP, 0, bad_msr_at);
}

/* ---- Alignment ---- */

SNIPPET(unaligned, "mov $unaligned_data + 1, %eax\n unaligned_at: mov (%eax), %ebx\n" EXIT
                   "\n .balign 4\n unaligned_data: .long 1, 2");
LABEL(unaligned_at);
TEST(alignment_check)
{
    write_cr0(read_cr0() | CR0_AM);
    EQ(run_ring(3, unaligned), EXIT_VECTOR);
    ring(3, unaligned);
    in.eflags |= AC_;
    run();
    FAULT(AC, 0, unaligned_at);
    ring(0, unaligned);
    in.eflags |= AC_;
    EQ(run(), EXIT_VECTOR); /* rings 0 to 2 are not checked */
    write_cr0(read_cr0() & ~CR0_AM);
}

/* ---- IDT entries that are wrong ---- */

SNIPPET(int60, "int60_at: int $0x60\n int60_after: " EXIT);
LABEL(int60_after);
TEST(int_through_gate_with_low_dpl)
{
    run_ring(3, int60);
    FAULT(GP, 0x60 * 8 + 2, int60);
    EQ(run_ring(0, int60), 0x60);
    EQ(trap.frame[0], (u32)int60_after);
}

TEST(int_through_missing_gate)
{
    idt[0x60] = 0;
    run_ring(0, int60);
    FAULT(GP, 0x60 * 8 + 2, int60);
    vector_gate(0x60, KCODE, DPL3 | T_INT32);
    run_ring(3, int60);
    FAULT(NP, 0x60 * 8 + 2, int60);
    vector_gate(0x60, KCODE, P | DPL3 | T_CALL32);
    run_ring(3, int60);
    FAULT(GP, 0x60 * 8 + 2, int60);
}

TEST(int_through_gate_with_bad_segment)
{
    vector_gate(0x60, 0, P | DPL3 | T_INT32);
    run_ring(0, int60);
    FAULT(GP, 0, int60);
    vector_gate(0x60, GDT_BYTES, P | DPL3 | T_INT32);
    run_ring(0, int60);
    FAULT(GP, GDT_BYTES, int60);
    vector_gate(0x60, KDATA, P | DPL3 | T_INT32);
    run_ring(0, int60);
    FAULT(GP, KDATA, int60);
    seg(0, 0, 0xfffff, CODE | G | D32); /* not present */
    vector_gate(0x60, SEL(0), P | DPL3 | T_INT32);
    run_ring(0, int60);
    FAULT(NP, SEL(0), int60);
    vector_gate(0x60, UCODE, P | DPL3 | T_INT32); /* outwards */
    run_ring(0, int60);
    FAULT(GP, UCODE & ~3, int60);
    seg(1, 0, 0x10, P | CODE | D32); /* the stub is beyond the limit */
    vector_gate(0x60, SEL(1), P | DPL3 | T_INT32);
    run_ring(0, int60);
    FAULT(GP, 0, int60);
}

/* An exception (not INT) sets EXT. */
TEST(exception_through_missing_gate)
{
    idt[UD] = 0;
    run_ring(3, invalid);
    FAULT(GP, UD * 8 + 2 + 1, invalid);
    seg(0, 0, 0xfffff, CODE | G | D32);
    set_gate(&idt[UD], SEL(0), STUB(UD), P | T_INT32, 0);
    run_ring(3, invalid);
    FAULT(NP, SEL(0) + 1, invalid);
}

TEST(double_fault)
{
    idt[GP] = 0;
    run_ring(3, p_hlt); /* #GP, whose gate gives #GP */
    EQ(trap.vector, DF);
    EQ(trap.frame[0], 0);
    EQ(trap.frame[1], (u32)p_hlt);
    idt[NP] = 0;
    set_gate(&idt[GP], KCODE, STUB(GP), T_INT32, 0); /* #GP gives #NP gives… */
    run_ring(3, p_hlt);
    EQ(trap.vector, DF);
}

/* A benign exception whose delivery faults is no double fault: the second one is delivered. */
TEST(benign_then_contributory)
{
    set_gate(&idt[UD], KCODE, STUB(UD), T_INT32, 0);
    run_ring(3, invalid);
    FAULT(NP, UD * 8 + 2 + 1, invalid);
}
