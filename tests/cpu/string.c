/*
 * Repeated string instructions run a page at a time where nobody watches (cpu/string.c). An
 * armed breakpoint makes them run element by element; both must leave the same registers, flags
 * and memory.
 */
#include "cpu/interp.h"
#include "cpu/segment.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <stdlib.h>
#include <string.h>

enum { CODE_AT = 0x1000, AREA = 0x10000, AREA_BYTES = 0x10000, CASES = 3000, MOST = 2500 };

struct outcome {
    u32 eax, ecx, esi, edi, eip, flags;
    u8 area[AREA_BYTES];
};

/* MOVS, CMPS, STOS, LODS, SCAS of a size, with a prefix that repeats, and with 32-bit addresses
 * or not. */
static u32 random_code(u8 code[5], u32 *seed)
{
    static const u8 opcodes[] = { 0xa4, 0xa6, 0xaa, 0xac, 0xae };
    u32 n = 0, size = (u32)rand_r(seed) % 3;

    code[n++] = rand_r(seed) & 1 ? 0xf2 : 0xf3;
    if (rand_r(seed) & 1)
        code[n++] = 0x67;
    if (size == 2)
        code[n++] = 0x66;
    code[n++] = opcodes[(u32)rand_r(seed) % sizeof(opcodes)] | (size > 0);
    return n;
}

/* The area is nearly all one byte, so that comparisons run for a while; or, around the source,
 * all sorts, so that copies show their order. */
static void area_fill(u8 *area, u32 source, u32 *seed)
{
    bool varied = rand_r(seed) & 1;

    memset(area, 0x41, AREA_BYTES);
    for (u32 i = (u32)rand_r(seed) % 40; i; i--)
        area[(u32)rand_r(seed) % AREA_BYTES] = (u8)rand_r(seed);
    for (u32 i = 0; varied && i < 128; i++)
        area[(source + i - 64) % AREA_BYTES] = (u8)rand_r(seed);
}

/* Runs the instruction that stands at CODE_AT to its end. */
static void run(struct vcpu *cpu, const u32 gpr[8], u32 flags, bool armed, struct outcome *o)
{
    memcpy(cpu->gpr, gpr, sizeof(cpu->gpr));
    cpu->eflags = flags;
    cpu->eip = CODE_AT;
    cpu->dr[7] = armed ? 1 : 0;
    for (u32 i = 0; i < 2 * MOST && cpu->eip == CODE_AT; i++)
        cpu_step(cpu);
    *o = (struct outcome){ cpu->gpr[EAX], cpu->gpr[ECX], cpu->gpr[ESI],
                           cpu->gpr[EDI], cpu->eip,      cpu->eflags };
    memcpy(o->area, mmu_ram(cpu->mmu) + AREA, AREA_BYTES);
}

/* Targets often lie just above or below their source. */
static void random_registers(u32 gpr[8], u32 *seed)
{
    u32 near = (u32)rand_r(seed) % 32 - 16;

    memset(gpr, 0, 8 * sizeof(*gpr));
    gpr[EAX] = rand_r(seed) & 1 ? 0x41414141 : (u32)rand_r(seed);
    gpr[ECX] = (u32)rand_r(seed) % (rand_r(seed) & 1 ? 40 : MOST);
    gpr[ESI] = (u32)rand_r(seed) & 0xffff;
    gpr[EDI] = (rand_r(seed) & 1 ? gpr[ESI] + near : (u32)rand_r(seed)) & 0xffff;
    gpr[ESP] = 0x800;
}

TEST(string, a_page_at_a_time_is_the_same_as_element_by_element)
{
    static struct outcome fast, slow;
    struct vcpu *cpu = rig_new(NULL, NULL)->m->cpu;
    u8 *ram = mmu_ram(cpu->mmu), code[5];
    u32 seed = 1, gpr[8], flags;

    cpu_load_segment_real(cpu, CS, 0);
    cpu_load_segment_real(cpu, SS, 0);
    cpu_load_segment_real(cpu, DS, AREA >> 4);
    cpu_load_segment_real(cpu, ES, AREA >> 4);
    cpu->dr[0] = 0xffff0000; /* never reached */
    for (u32 i = 0; i < CASES && !test_failed(); i++) {
        static u8 area[AREA_BYTES];
        u32 n = random_code(code, &seed);

        random_registers(gpr, &seed);
        area_fill(area, gpr[ESI], &seed);
        flags = 2 | (rand_r(&seed) & 1 ? FLAG_DF : 0) | ((u32)rand_r(&seed) & FLAGS_ARITH);
        memcpy(ram + CODE_AT, code, n);
        memcpy(ram + AREA, area, AREA_BYTES);
        run(cpu, gpr, flags, false, &fast);
        memcpy(ram + AREA, area, AREA_BYTES);
        run(cpu, gpr, flags, true, &slow);
        CHECK_EQ(fast.eax, slow.eax);
        CHECK_EQ(fast.ecx, slow.ecx);
        CHECK_EQ(fast.esi, slow.esi);
        CHECK_EQ(fast.edi, slow.edi);
        CHECK_EQ(fast.eip, slow.eip);
        CHECK_EQ(fast.flags, slow.flags);
        CHECK(!memcmp(fast.area, slow.area, AREA_BYTES));
    }
}
