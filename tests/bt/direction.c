/*
 * CLD and STD go on in the cache (bt/xl_system.c), and callouts while the FPU is live keep its state
 * (bt/enter.S).
 */
#include "bt/memo.h"
#include "bt/tu.h"
#include "cpu/reset.h"
#include "cpu/segment.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>

enum { CODE = 0x10000, DATA = 0x20000 };

static struct bt *start(const char *program, u32 size)
{
    struct machine *m = rig_new(NULL, NULL)->m;
    struct bt_config config = { 0 };
    const char *why = NULL;

    cpu_reset(m->cpu);
    CHECK(bt_new(m->cpu, &config, &why) != NULL);
    memcpy(mmu_ram(m->mmu) + CODE, program, size);
    cpu_load_segment_real(m->cpu, CS, CODE >> 4);
    cpu_load_segment_real(m->cpu, DS, DATA >> 4);
    cpu_load_segment_real(m->cpu, ES, DATA >> 4);
    return m->cpu->bt;
}

static void run(struct bt *bt)
{
    struct vcpu *cpu = bt->cpu;

    cpu->requests = 0;
    cpu->eip = 0;
    for (u32 i = 0; i < 1000 && !(cpu->requests & REQ_HALT); i++)
        bt_run(cpu);
    CHECK(cpu->requests & REQ_HALT);
}

TEST(bt_direction, cld_and_std_stay_in_the_cache)
{
    /* 1: std;  lodsb;  cld;  lodsb;  lodsb;  loop 1b;  hlt */
    struct bt *bt = start("\xfd\xac\xfc\xac\xac\xe2\xf9\xf4", 8);
    struct vcpu *cpu = bt->cpu;
    u64 callouts;

    for (u32 i = 0; i < 3; i++) {
        cpu->gpr[ESI] = 100;
        cpu->gpr[ECX] = 1000;
        callouts = bt->stats.callouts;
        run(bt);
        CHECK_EQ(cpu->gpr[ESI], 1100);
        CHECK(!(cpu->eflags & FLAG_DF));
        CHECK(!i || bt->stats.callouts - callouts == 1); /* HLT */
    }
}

/* LMSW is a callout that needs no FPU; the x87's and SSE's registers come through it, and a store of
 * them behind it is what was loaded. */
TEST(bt_direction, a_callout_keeps_the_fpu)
{
    /* fninit;  fld1;  movups xmm3, [0];  1: lmsw [64];  loop 1b;  fstp dword [32];
     * movups [16], xmm3;  hlt */
    struct bt *bt = start("\xdb\xe3\xd9\xe8\x0f\x10\x1e\x00\x00\x0f\x01\x36\x40\x00\xe2\xf9"
                          "\xd9\x1e\x20\x00\x0f\x11\x1e\x10\x00\xf4",
                          26);
    struct vcpu *cpu = bt->cpu;
    u8 *data = mmu_ram(cpu->mmu) + DATA;
    u32 one;

    cpu->cr0 &= ~(u32)(CR0_EM | CR0_TS);
    cpu->cr4 |= CR4_OSFXSR;
    for (u32 i = 0; i < 3; i++) {
        for (u32 k = 0; k < 16; k++)
            data[k] = (u8)(k * 7 + i + 1);
        memset(data + 16, 0, 64);
        cpu->gpr[EAX] = 57;
        cpu->gpr[ECX] = 100;
        run(bt);
        memcpy(&one, data + 32, 4);
        CHECK_EQ(one, 0x3f800000);
        CHECK(!memcmp(data, data + 16, 16));
        CHECK(!memcmp(cpu->fpu.xmm[3], data, 16));
        CHECK_EQ(cpu->fpu.ftw, 0);
    }
    CHECK(bt->stats.callout_by[ZYDIS_MNEMONIC_LMSW] >= 300);
    CHECK(bt->stats.fpu_starts >= 1);
}
