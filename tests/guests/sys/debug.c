/*
 * Debug exceptions (SDM vol. 3, chapter 17): single steps, instruction, data and I/O
 * breakpoints, RF, general detect, ICEBP, and what a load of SS does to them.
 */
#include "kernel.h"

enum { BS = 0x4000, BD = 0x2000 };

static u32 dr6(void)
{
    u32 v = read_dr6() & 0xe00f;

    write_dr6(0xffff0ff0);
    return v;
}

/* DR7 for breakpoint 0: kind 0 execute, 1 write, 2 I/O, 3 access; len 0, 1, 3 for 1, 2, 4
 * bytes. */
static u32 dr7(u32 kind, u32 len)
{
    return 0x402 | kind << 16 | len << 18;
}

SNIPPET(d_step, "nop\n d_step_1: inc %eax\n d_step_2: inc %eax\n" EXIT);
LABEL(d_step_1);
LABEL(d_step_2);
TEST(single_step)
{
    ring(3, d_step);
    in.eflags |= TF;
    EQ(run(), DB);
    EQ(trap.frame[0], (u32)d_step_1);
    EQ(trap.frame[2] & (TF | RF), TF);
    EQ(trap.eflags & TF, 0);
    EQ(dr6(), BS);
    in.eip = trap.frame[0];
    EQ(run(), DB);
    EQ(trap.frame[0], (u32)d_step_2);
    EQ(trap.eax, 1);
}

SNIPPET(d_popf, "push $0x102\n popf\n d_popf_1: nop\n d_popf_2: nop\n" EXIT);
LABEL(d_popf_2);
TEST(single_step_starts_after_popf)
{
    EQ(run_ring(0, d_popf), DB);
    EQ(trap.frame[0], (u32)d_popf_2);
}

SNIPPET(d_ss, "mov %eax, %ss\n d_ss_1: nop\n d_ss_2: nop\n" EXIT);
LABEL(d_ss_2);
TEST(single_step_waits_for_stack_switch)
{
    ring(0, d_ss);
    in.eax = KDATA;
    in.eflags |= TF;
    EQ(run(), DB);
    EQ(trap.frame[0], (u32)d_ss_2);
}

SNIPPET(d_int, "int $0x60\n" EXIT);
TEST(single_step_does_not_enter_handlers)
{
    vector_gate(0x60, KCODE, P | DPL3 | T_INT32);
    ring(3, d_int);
    in.eflags |= TF;
    EQ(run(), 0x60); /* not DB */
    EQ(trap.frame[2] & TF, TF);
    EQ(dr6(), 0);
}

SNIPPET(d_rep, "rep lodsb\n" EXIT);
TEST(single_step_of_repeated_instruction)
{
    ring(3, d_rep);
    in.esi = (u32)d_rep;
    in.ecx = 3;
    in.eflags |= TF;
    EQ(run(), DB);
    EQ(trap.frame[0], (u32)d_rep);
    EQ(trap.ecx, 2);
    in.ecx = 1;
    in.esi = (u32)d_rep;
    EQ(run(), DB);
    EQ(trap.frame[0], (u32)d_rep + 2);
    EQ(trap.ecx, 0);
}

SNIPPET(d_fault, "ud2\n");
TEST(single_step_of_faulting_instruction)
{
    ring(3, d_fault);
    in.eflags |= TF;
    EQ(run(), UD);
    EQ(trap.frame[2] & TF, TF);
    EQ(dr6(), 0);
}

TEST(instruction_breakpoint)
{
    write_dr0((u32)d_step_1);
    write_dr7(dr7(0, 0));
    EQ(run_ring(3, d_step), DB);
    EQ(trap.frame[0], (u32)d_step_1);
    EQ(trap.eax, 0);
    EQ(dr6(), 1);
    EQ(trap.frame[2] & RF, 0);
    in.eip = (u32)d_step_1; /* RF: over it once */
    in.eflags |= RF;
    EQ(run(), EXIT_VECTOR);
    EQ(trap.eax, 2);
    EQ(trap.frame[2] & RF, 0);
    write_dr7(0x400);
    EQ(run_ring(3, d_step), EXIT_VECTOR); /* disabled */
}

static volatile u32 watched[4];
SNIPPET(d_write, "movb $1, (%eax)\n d_write_1: nop\n" EXIT);
SNIPPET(d_read, "movb (%eax), %bl\n d_read_1: nop\n" EXIT);
SNIPPET(d_read4, "mov (%eax), %ebx\n d_read4_1: nop\n" EXIT);
LABEL(d_write_1);
LABEL(d_read_1);
LABEL(d_read4_1);

static u32 at(const u8 *code, volatile void *address)
{
    ring(3, code);
    in.eax = (u32)address;
    return run();
}

TEST(data_breakpoints)
{
    volatile u8 *w = (volatile u8 *)&watched[1];

    write_dr0((u32)w);
    write_dr7(dr7(1, 3));
    EQ(at(d_write, w), DB);
    EQ(trap.frame[0], (u32)d_write_1); /* a trap: the write has been done */
    EQ(*w, 1);
    EQ(dr6(), 1);
    EQ(at(d_write, w + 3), DB);
    EQ(at(d_write, w + 4), EXIT_VECTOR);
    EQ(at(d_write, w - 1), EXIT_VECTOR);
    dr6();
    EQ(at(d_read, w), EXIT_VECTOR); /* kind 1: writes only */
    write_dr7(dr7(3, 0));
    EQ(at(d_read, w), DB);
    EQ(trap.frame[0], (u32)d_read_1);
    EQ(at(d_read4, w - 3), DB); /* its last byte */
    EQ(trap.frame[0], (u32)d_read4_1);
    EQ(at(d_read4, w + 1), EXIT_VECTOR);
}

SNIPPET(d_push, "push %eax\n d_push_1: nop\n" EXIT);
LABEL(d_push_1);
TEST(data_breakpoint_on_stack)
{
    ring(3, d_push);
    write_dr0(in.esp - 4);
    write_dr7(dr7(1, 3));
    EQ(run(), DB);
    EQ(trap.frame[0], (u32)d_push_1);
}

SNIPPET(d_movs, "rep movsb\n d_movs_1: " EXIT);
TEST(data_breakpoint_inside_repetition)
{
    ring(3, d_movs);
    in.esi = (u32)d_movs;
    in.edi = (u32)watched;
    in.ecx = 8;
    write_dr0((u32)watched + 2);
    write_dr7(dr7(1, 0));
    EQ(run(), DB);
    EQ(trap.ecx, 5);
    EQ(trap.frame[0], (u32)d_movs);
}

SNIPPET(d_io, "in $0x80, %al\n d_io_1: nop\n" EXIT);
LABEL(d_io_1);
TEST(io_breakpoint)
{
    write_cr4(CR4_DE);
    write_dr0(0x80);
    write_dr7(dr7(2, 0));
    EQ(run_ring(0, d_io), DB);
    EQ(trap.frame[0], (u32)d_io_1);
    EQ(dr6(), 1);
    write_cr4(0);
}

SNIPPET(d_get, "mov %dr0, %eax\n" EXIT);
SNIPPET(d_dr4, "mov %db4, %eax\n mov %db5, %ebx\n" EXIT);
TEST(general_detect)
{
    write_dr7(0x400 | 1 << 13);
    EQ(run_ring(0, d_get), DB);
    EQ(trap.frame[0], (u32)d_get); /* a fault */
    EQ(dr6(), BD);
    EQ(read_dr7(), 0x400); /* cleared on entry */
}

TEST(dr4_and_dr5)
{
    EQ(run_ring(0, d_dr4), EXIT_VECTOR);
    EQ(trap.eax, 0xffff0ff0);
    EQ(trap.ebx, 0x400);
    write_cr4(CR4_DE);
    EQ(run_ring(0, d_dr4), UD);
    write_cr4(0);
}

SNIPPET(d_icebp, ".byte 0xf1\n d_icebp_1: nop\n" EXIT);
LABEL(d_icebp_1);
TEST(icebp)
{
    EQ(run_ring(3, d_icebp), DB); /* the gate's DPL does not matter */
    EQ(trap.frame[0], (u32)d_icebp_1);
    EQ(dr6(), 0);
}

TEST(debug_register_fixed_bits)
{
    write_dr6(0);
    EQ(read_dr6(), 0xffff0ff0);
    write_dr7(0xffffdfff);
    EQ(read_dr7() & ~0x800u, 0xffff07ff); /* bit 11 belongs to later processors */
    write_dr7(0x400);
}

/* ---- Branches (MSR 1D9) ---- */

SNIPPET(d_branch,
        "nop\n inc %eax\n d_branch_at: jmp d_branch_to\n nop\n d_branch_to: inc %eax\n" EXIT);
LABEL(d_branch_at);
LABEL(d_branch_to);
SNIPPET(d_probe, "mov $0x1d9, %ecx\n rdmsr\n" EXIT);

/* Bochs has no such register. */
static bool have_debugctl(u32 bits)
{
    if (run_ring(0, d_probe) != EXIT_VECTOR)
        return false;
    wrmsr(0x1d9, bits);
    return (u32)rdmsr(0x1d9) == bits;
}

TEST(single_step_on_branches)
{
    if (!have_debugctl(2))
        return;
    ring(3, d_branch);
    in.eflags |= TF;
    EQ(run(), DB);
    EQ(trap.frame[0], (u32)d_branch_to);
    EQ(trap.eax, 1);
    EQ(dr6(), BS);
    EQ((u32)rdmsr(0x1d9), 0); /* cleared on the way into the handler */
}

TEST(last_branch_record)
{
    if (!have_debugctl(1))
        return;
    write_dr0((u32)d_branch_to);
    write_dr7(dr7(0, 0));
    EQ(run_ring(3, d_branch), DB);
    EQ((u32)rdmsr(0x1d9), 0);
    EQ((u32)rdmsr(0x1dd), (u32)d_branch_at); /* before the exception */
    EQ((u32)rdmsr(0x1de), (u32)d_branch_to);
    EQ((u32)rdmsr(0x1db), (u32)d_branch_to); /* the exception itself */
    EQ((u32)rdmsr(0x1dc), STUB(DB));
}
