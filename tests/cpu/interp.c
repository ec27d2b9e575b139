/*
 * What instruction tests on the host cannot show of the interpreter (cpu/interp.c, access.c): real
 * mode's limits, 16-bit stacks that wrap, and code where memory ends or is not memory.
 */
#include "cpu/interp.h"
#include "cpu/segment.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>

enum { CODE_AT = 0x1000, HANDLERS = 0x2000, STACK = 0x8000 };

/* Real mode at 0:1000; vector n leads to 0:2000 + n, all HLT. */
static struct vcpu *start(const void *code, u32 n)
{
    struct vcpu *cpu = rig_new(NULL, NULL)->m->cpu;
    u8 *ram = mmu_ram(cpu->mmu);

    for (u32 v = 0; v < 256; v++)
        memcpy(ram + 4 * v, &(u32){ HANDLERS + v }, 4);
    memset(ram + HANDLERS, 0xf4, 256);
    memcpy(ram + CODE_AT, code, n);
    cpu_load_segment_real(cpu, CS, 0);
    cpu->gpr[ESP] = STACK;
    cpu->eip = CODE_AT;
    return cpu;
}
#define START(code) start(code, sizeof(code) - 1)

/* The vector whose handler was entered; 0x100: none. */
static u32 vector_of(const struct vcpu *cpu)
{
    return cpu->eip - HANDLERS < 256 ? cpu->eip - HANDLERS : 0x100;
}

static u16 word(const struct vcpu *cpu, u32 gpa)
{
    u16 val;

    memcpy(&val, mmu_ram(cpu->mmu) + gpa, 2);
    return val;
}

TEST(interp, running_past_ffff_is_a_protection_fault)
{
    struct vcpu *cpu = START("");

    mmu_ram(cpu->mmu)[0xffff] = 0x90;
    cpu->eip = 0xffff;
    cpu_step(cpu);
    CHECK_EQ(cpu->eip, 0x10000);
    cpu_step(cpu);
    CHECK_EQ(vector_of(cpu), EXC_GP);
    CHECK_EQ(word(cpu, STACK - 6), 0); /* IP has 16 bits */
}

TEST(interp, instruction_that_wraps_at_ffff_is_a_protection_fault)
{
    struct vcpu *cpu = START("");

    mmu_ram(cpu->mmu)[0xffff] = 0xb0; /* mov al, imm8: no second byte */
    cpu->eip = 0xffff;
    cpu_step(cpu);
    CHECK_EQ(vector_of(cpu), EXC_GP);
    CHECK_EQ(word(cpu, STACK - 6), 0xffff);
}

TEST(interp, word_at_ffff_faults_by_its_segment)
{
    struct vcpu *cpu = START("\xa1\xff\xff"); /* mov ax, [ffff] */

    cpu_step(cpu);
    CHECK_EQ(vector_of(cpu), EXC_GP);
    cpu = START("\x36\xa1\xff\xff"); /* mov ax, ss:[ffff] */
    cpu_step(cpu);
    CHECK_EQ(vector_of(cpu), EXC_SS);
}

TEST(interp, stack_wraps_between_pushes_not_inside_one)
{
    struct vcpu *cpu = START("\x50\x66\x50"); /* push ax; push eax */

    cpu->gpr[ESP] = 0xabcd0000;
    cpu->gpr[EAX] = 0x1234;
    cpu_step(cpu);
    CHECK_EQ(cpu->gpr[ESP], 0xabcdfffe);
    CHECK_EQ(word(cpu, 0xfffe), 0x1234);
    cpu->gpr[ESP] = 0xabcd0002; /* the dword would lie at FFFE to 10001 */
    cpu_step(cpu);
    CHECK_EQ(vector_of(cpu), EXC_SS);
}

TEST(interp, enter_on_a_16_bit_stack_keeps_the_upper_half)
{
    struct vcpu *cpu = START("\x66\xc8\x10\x00\x00"); /* enter 16, 0 with EBP */

    cpu->gpr[EBP] = 0x11112222;
    cpu->gpr[ESP] = 0x00050004;
    cpu_step(cpu);
    CHECK_EQ(cpu->gpr[EBP], 0x00050000);
    CHECK_EQ(cpu->gpr[ESP], 0x0005fff0);
    CHECK_EQ(word(cpu, 2), 0x1111);
}

TEST(interp, code_at_the_end_of_ram)
{
    struct vcpu *cpu = START("");
    u64 end = mmu_ram_size(cpu->mmu);

    memset(mmu_ram(cpu->mmu) + end - 3, 0x90, 3);
    cpu->seg[CS].base = (u32)end - 3;
    cpu->eip = 0;
    for (u32 i = 0; i < 3; i++)
        cpu_step(cpu);
    CHECK_EQ(cpu->eip, 3);
    cpu_step(cpu); /* nobody there: FF FF…, which is undefined */
    CHECK_EQ(vector_of(cpu), EXC_UD);
}

TEST(interp, changed_bytes_are_seen_at_once)
{
    struct vcpu *cpu = START("\x40\x40"); /* inc ax; inc ax */

    cpu_step(cpu);
    phys_write(machine_of(cpu), CODE_AT, "\x48", 1); /* dec ax, by DMA */
    cpu->eip = CODE_AT;
    cpu_step(cpu);
    CHECK_EQ((u16)cpu->gpr[EAX], 0);
    mmu_ram(cpu->mmu)[CODE_AT] = 0x40; /* behind everybody's back */
    cpu->eip = CODE_AT;
    cpu_step(cpu);
    CHECK_EQ((u16)cpu->gpr[EAX], 1);
}

TEST(interp, same_bytes_in_another_size_of_code)
{
    struct vcpu *cpu = START("\xb8\x11\x22\x33\x44"); /* mov ax, 2211 or mov eax, 44332211 */

    cpu_step(cpu);
    CHECK_EQ(cpu->gpr[EAX], 0x2211);
    CHECK_EQ(cpu->eip, CODE_AT + 3);
    cpu->seg[CS].attr |= ATTR_DB;
    cpu->eip = CODE_AT;
    cpu_step(cpu);
    CHECK_EQ(cpu->gpr[EAX], 0x44332211);
    CHECK_EQ(cpu->eip, CODE_AT + 5);
}

TEST(interp, privilege_comes_after_the_opcode)
{
    struct vcpu *cpu = START("\xf0\x0f\x01\x16\x00\x00"); /* lock lgdt: #UD, not its effect */

    cpu_step(cpu);
    CHECK_EQ(vector_of(cpu), EXC_UD);
    cpu = START("\x0f\x00\xd0"); /* lldt ax in real mode */
    cpu_step(cpu);
    CHECK_EQ(vector_of(cpu), EXC_UD);
}
