/*
 * When interrupts are taken (cpu/deliver.c): IF, the shadows of STI and of a load of SS, HLT, NMI,
 * repeated instructions; nested faults up to shutdown. Real-mode code on a bare machine.
 */
#include "cpu/control.h"
#include "cpu/debug.h"
#include "cpu/deliver.h"
#include "cpu/far.h"
#include "cpu/interp.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>

enum { CODE_AT = 0x1000, HANDLER = 0x2000, STACK = 0x8000, VECTOR = 0x20 };

static int ack(struct vcpu *cpu)
{
    cpu_set_intr(cpu, false);
    return VECTOR;
}

/* Real mode at 0:1000, all vectors at 0:2000, where a NOP and an IRET wait. */
static struct vcpu *start(const void *code, u32 n)
{
    struct vcpu *cpu = rig_new(NULL, NULL)->m->cpu;
    u8 *ram = mmu_ram(cpu->mmu);

    for (u32 v = 0; v < 256; v++)
        memcpy(ram + 4 * v, &(u32){ HANDLER }, 4);
    memcpy(ram + CODE_AT, code, n);
    memcpy(ram + HANDLER, "\x90\xcf", 2);
    cpu_load_segment_real(cpu, CS, 0);
    cpu->gpr[ESP] = STACK;
    cpu->eip = CODE_AT;
    cpu->pins.intr_ack = ack;
    return cpu;
}
#define START(code) start(code, sizeof(code) - 1)

static void steps(struct vcpu *cpu, u32 n)
{
    while (n--)
        cpu_step(cpu);
}

/* Where the handler will return to. */
static u32 pushed_ip(struct vcpu *cpu)
{
    return *(u16 *)(mmu_ram(cpu->mmu) + (cpu->gpr[ESP] & 0xffff));
}

static u32 pushed_flags(struct vcpu *cpu)
{
    return *(u16 *)(mmu_ram(cpu->mmu) + (cpu->gpr[ESP] & 0xffff) + 4);
}

TEST(deliver, if_holds_interrupts_back)
{
    struct vcpu *cpu = START("\x90\x90\xfb\x90\x90"); /* nop nop sti nop nop */

    cpu_set_intr(cpu, true);
    steps(cpu, 2);
    CHECK_EQ(cpu->eip, CODE_AT + 2);
    steps(cpu, 2); /* sti, and one more: its shadow */
    CHECK_EQ(cpu->eip, CODE_AT + 4);
    steps(cpu, 1);
    CHECK_EQ(cpu->eip, HANDLER + 1);
    CHECK_EQ(pushed_ip(cpu), CODE_AT + 4);
    CHECK_EQ(pushed_flags(cpu) & FLAG_IF, FLAG_IF);
    CHECK_EQ(cpu->int_flag, 0);
    steps(cpu, 1); /* iret */
    CHECK_EQ(cpu->eip, CODE_AT + 4);
    CHECK_EQ(cpu->int_flag, 1);
}

TEST(deliver, sti_hlt_cannot_lose_an_interrupt)
{
    struct vcpu *cpu = START("\xfb\xf4\x90"); /* sti hlt nop */

    cpu_set_intr(cpu, true);
    steps(cpu, 2);
    CHECK_EQ(cpu->eip, CODE_AT + 2);
    CHECK(cpu->requests & REQ_HALT);
    CHECK(cpu_can_wake(cpu));
    steps(cpu, 1);
    CHECK_EQ(pushed_ip(cpu), CODE_AT + 2);
    CHECK(!(cpu->requests & REQ_HALT));
}

TEST(deliver, timers_do_not_end_the_shadow)
{
    struct vcpu *cpu = START("\xfb\xf4\x90");

    cpu_set_intr(cpu, true);
    steps(cpu, 1);
    request_set(cpu, REQ_TIMER);
    CHECK(!cpu_serve_requests(cpu)); /* the run loop serves it and comes back */
    request_clear(cpu, REQ_TIMER);
    steps(cpu, 1);
    CHECK_EQ(cpu->eip, CODE_AT + 2); /* HLT ran, no interrupt before it */
}

TEST(deliver, hlt_sleeps_until_an_interrupt)
{
    struct vcpu *cpu = START("\xfb\xf4\x90");

    steps(cpu, 5);
    CHECK_EQ(cpu->eip, CODE_AT + 2);
    CHECK(!cpu_can_wake(cpu));
    cpu_set_intr(cpu, true);
    CHECK(cpu_can_wake(cpu));
    steps(cpu, 1);
    CHECK_EQ(cpu->eip, HANDLER + 1);
}

TEST(deliver, hlt_with_if_clear_wakes_by_nmi_only)
{
    struct vcpu *cpu = START("\xf4\x90");

    steps(cpu, 1);
    cpu_set_intr(cpu, true);
    CHECK(!cpu_can_wake(cpu));
    cpu_raise_nmi(cpu);
    CHECK(cpu_can_wake(cpu));
    steps(cpu, 1);
    CHECK_EQ(pushed_ip(cpu), CODE_AT + 1);
}

TEST(deliver, ss_load_holds_interrupts_back)
{
    struct vcpu *cpu = START("\x8e\xd0\xbc\x00\x70\x90"); /* mov ss,ax; mov sp,7000; nop */

    cpu->int_flag = 1;
    steps(cpu, 1);
    cpu_set_intr(cpu, true);
    steps(cpu, 1);
    CHECK_EQ(cpu->gpr[ESP] & 0xffff, 0x7000);
    steps(cpu, 1);
    CHECK_EQ(pushed_ip(cpu), CODE_AT + 5);
}

TEST(deliver, nmi_blocks_nmi_until_iret)
{
    struct vcpu *cpu = START("\x90\x90\x90");

    cpu_raise_nmi(cpu);
    steps(cpu, 1); /* handler's nop */
    CHECK_EQ(cpu->eip, HANDLER + 1);
    cpu_raise_nmi(cpu);
    cpu_raise_nmi(cpu); /* one is remembered */
    steps(cpu, 1);      /* iret */
    CHECK_EQ(cpu->eip, CODE_AT);
    steps(cpu, 1);
    CHECK_EQ(cpu->eip, HANDLER + 1);
    steps(cpu, 1);
    CHECK_EQ(cpu->eip, CODE_AT);
    steps(cpu, 1);
    CHECK_EQ(cpu->eip, CODE_AT + 1);
}

TEST(deliver, repeated_instruction_gives_way_and_resumes)
{
    struct vcpu *cpu = START("\xf3\xac\x90"); /* rep lodsb */

    cpu->int_flag = 1;
    cpu->gpr[ECX] = 1000;
    cpu_set_intr(cpu, true);
    steps(cpu, 1); /* the interrupt comes first */
    CHECK_EQ(pushed_ip(cpu), CODE_AT);
    steps(cpu, 1); /* iret */
    steps(cpu, 1);
    CHECK_EQ(cpu->gpr[ECX], 0);
    CHECK_EQ(cpu->eip, CODE_AT + 2);
}

TEST(deliver, spurious_interrupt_is_none)
{
    struct vcpu *cpu = START("\x90\x90");

    cpu->int_flag = 1;
    cpu_set_intr(cpu, true);
    cpu_set_intr(cpu, false);
    steps(cpu, 1);
    CHECK_EQ(cpu->eip, CODE_AT + 1);
}

TEST(deliver, single_step_and_interrupt)
{
    struct vcpu *cpu = START("\x90\x90");

    cpu->int_flag = 1;
    cpu->eflags |= FLAG_TF;
    steps(cpu, 1); /* nop */
    cpu_set_intr(cpu, true);
    steps(cpu, 1); /* #DB first (table 6-2); it clears IF */
    CHECK_EQ(cpu->eip, HANDLER + 1);
    CHECK_EQ(cpu->dr[6] & DR6_BS, DR6_BS);
    CHECK_EQ(pushed_ip(cpu), CODE_AT + 1);
    CHECK(cpu->intr);
}

TEST(deliver, divide_error_pushes_the_instruction)
{
    struct vcpu *cpu = START("\x31\xc9\xf7\xf1"); /* xor cx,cx; div cx */

    steps(cpu, 2);
    CHECK_EQ(cpu->eip, HANDLER); /* the next step runs the handler */
    CHECK_EQ(pushed_ip(cpu), CODE_AT + 2);
}

TEST(deliver, small_ivt_becomes_double_fault)
{
    struct vcpu *cpu = START("\xcd\x80"); /* int 80h */
    u8 *ram = mmu_ram(cpu->mmu);

    cpu->idtr.limit = 9 * 4 - 1; /* up to vector 8: #GP cannot be delivered */
    memcpy(ram + 8 * 4, &(u32){ 0x3000 }, 4);
    steps(cpu, 1);
    CHECK_EQ(cpu->eip, 0x3000);
    CHECK_EQ(pushed_ip(cpu), CODE_AT);
}

/* Flat protected mode, RF set; runs one instruction. Gates: #UD and #DF to 2000. EFLAGS as pushed
 * beneath `error_bytes` of error code. */
static u32 flags_of_frame(const void *code, u32 n, u32 error_bytes)
{
    struct vcpu *cpu = start(code, n);
    u64 *ram = (u64 *)mmu_ram(cpu->mmu);

    for (u32 i = ES; i <= GS; i++)
        cpu->seg[i] = (struct segment){ 0, ~0u, i == CS ? 0x8 : 0x10,
                                        (u16)(i == CS ? 0xc09b : 0xc093) };
    ram[0x100 + 1] = 0x00cf9b000000ffff;
    cpu->gdtr = (struct table_register){ 0x800, 0xf };
    memset(ram + 0x600, 0, 0x100);
    ram[0x600 + EXC_UD] = ram[0x600 + EXC_DF] = 0x00008e0000082000;
    cpu->idtr = (struct table_register){ 0x3000, 0xff };
    CHECK(cpu_set_cr0(cpu, CR0_PE | CR0_ET));
    cpu_set_eflags(cpu, FLAG_RF, FLAG_RF);
    steps(cpu, 1);
    CHECK_EQ(cpu->eip, HANDLER);
    CHECK_EQ(*(u32 *)((u8 *)ram + cpu->gpr[ESP] + error_bytes), CODE_AT);
    return *(u32 *)((u8 *)ram + cpu->gpr[ESP] + error_bytes + 8);
}

/* Code in the cache lets RF fall at IRET (bt/memo.S), so nothing pushed may depend on it. */
TEST(deliver, rf_as_pushed_is_not_rf_before)
{
    CHECK_EQ(flags_of_frame("\x0f\x0b", 2, 0) & FLAG_RF, FLAG_RF); /* ud2 */
    CHECK_EQ(flags_of_frame("\xcd\x80", 2, 4) & FLAG_RF, 0);       /* int 80h: #GP, #GP, #DF */
}

TEST(deliver, triple_fault_asks_for_reset)
{
    struct vcpu *cpu = START("\xcd\x80");

    cpu->idtr.limit = 0;
    steps(cpu, 1);
    CHECK(machine_of(cpu)->events & MACHINE_RESET);
    CHECK(cpu->requests & REQ_EVENT);
    CHECK(!cpu_serve_requests(cpu)); /* nothing runs until the reset */
}

/* #AC whose ring-3 handler has a misaligned stack: #AC again, and so on. */
TEST(deliver, endless_alignment_checks_end)
{
    struct vcpu *cpu = START("\x8b\x03"); /* mov eax, [ebx] */
    u64 *ram = (u64 *)mmu_ram(cpu->mmu);

    for (u32 i = ES; i <= GS; i++)
        cpu->seg[i] = (struct segment){ 0, ~0u, i == CS ? 0xb : 0x13,
                                        (u16)(i == CS ? 0xc0fb : 0xc0f3) };
    ram[0x100 + 1] = 0x00cffb000000ffff;
    cpu->gdtr = (struct table_register){ 0x800, 0xf };
    ram[0x200 + EXC_AC] = 0x0000ee00000b2000; /* to 0B:2000, DPL 3 */
    cpu->idtr = (struct table_register){ 0x1000, 0xff };
    memcpy((u8 *)ram + 0x3000, "\x8b\x03", 2);
    cpu->eip = 0x3000;
    CHECK(cpu_set_cr0(cpu, CR0_PE | CR0_ET | CR0_AM));
    cpu_set_cpl(cpu, 3);
    cpu_set_eflags(cpu, FLAG_AC, FLAG_AC);
    cpu->gpr[EBX] = 0x5001;
    cpu->gpr[ESP] = 0x7001;
    steps(cpu, 1);
    CHECK(machine_of(cpu)->events & MACHINE_RESET);
}

TEST(deliver, error_code_and_ext)
{
    struct vcpu *cpu = START("\x90");

    CHECK(!cpu_fault(cpu, EXC_GP, 0x18));
    CHECK_EQ(cpu->exc_error, 0x18);
    CHECK(cpu->exc_has_error);
    cpu->ext = 1;
    cpu_fault(cpu, EXC_NP, 0x18);
    CHECK_EQ(cpu->exc_error, 0x19);
    cpu_fault(cpu, EXC_PF, 2);
    CHECK_EQ(cpu->exc_error, 2); /* bit 0 is P there */
    cpu_fault(cpu, EXC_UD, 0);
    CHECK(!cpu->exc_has_error);
    cpu->ext = 0;
}

TEST(deliver, flags_are_masked)
{
    struct vcpu *cpu = START("\x90");

    cpu_set_eflags(cpu, 0xffffffff, FLAG_CF | FLAG_IF);
    CHECK_EQ(cpu_eflags(cpu), FLAG_1 | FLAG_CF | FLAG_IF);
    CHECK_EQ(cpu->eflags & FLAG_IF, 0); /* kept in int_flag */
    cpu->intr = 1;
    cpu->requests = 0;
    cpu_set_eflags(cpu, 0, FLAG_IF);
    CHECK_EQ(cpu->requests, 0);
    cpu_set_eflags(cpu, FLAG_IF, FLAG_IF);
    CHECK_EQ(cpu->requests, REQ_INTR);
}

TEST(deliver, breakpoint_behind_a_load_of_ss_does_not_come_before_the_trap_that_waits)
{
    struct vcpu *cpu = START("\x8e\x16\x00\x70\x90\x90"); /* mov ss,[7000]; nop; nop */

    cpu->dr[0] = 0x7000;
    cpu->dr[1] = CODE_AT + 4;
    cpu->dr[7] = 0x000f0005; /* an access of four bytes; an instruction */
    steps(cpu, 1);
    CHECK_EQ(cpu->eip, CODE_AT + 4);
    steps(cpu, 1);
    CHECK_EQ(cpu->eip, CODE_AT + 5);
    steps(cpu, 1);
    CHECK_EQ(pushed_ip(cpu), CODE_AT + 5);
    CHECK_EQ(cpu->dr[6] & 3, 1);
}
