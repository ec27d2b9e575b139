/*
 * A small program of real mode, under a translator of its own, up to its HLT.
 */
#ifndef TESTS_BT_TO_HLT_H
#define TESTS_BT_TO_HLT_H

#include "bt/tu.h"
#include "cpu/reset.h"
#include "cpu/segment.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>

/* `code` lies at 1000:0000, with the stack's top at 8000 of SS 0. */
static inline struct vcpu *run_to_hlt(const u8 *code, u32 size, const struct bt_config *config)
{
    struct machine *m = rig_new(NULL, NULL)->m;
    const char *why = NULL;

    cpu_reset(m->cpu);
    CHECK(bt_new(m->cpu, config, &why) != NULL);
    memcpy(mmu_ram(m->mmu) + 0x10000, code, size);
    cpu_load_segment_real(m->cpu, CS, 0x1000);
    m->cpu->eip = 0;
    m->cpu->gpr[ESP] = 0x8000;
    for (u32 i = 0; i < 100 && !(m->cpu->requests & REQ_HALT); i++)
        bt_run(m->cpu);
    CHECK(m->cpu->requests & REQ_HALT);
    return m->cpu;
}

enum { PROGRAM_SEGMENT = 0x1000, PROGRAM_AT = PROGRAM_SEGMENT << 4, PROGRAM_START = 0x100 };

/* The same for many runs: it lies at 1000:0100, and all segments are there. */
static inline struct bt *bt_for(const u8 *program, u32 size)
{
    struct machine *m = rig_new(NULL, NULL)->m;
    struct bt_config config = { 0 };
    const char *why = NULL;
    struct bt *bt;

    cpu_reset(m->cpu);
    bt = bt_new(m->cpu, &config, &why);
    CHECK(bt != NULL);
    memcpy(mmu_ram(m->mmu) + PROGRAM_AT + PROGRAM_START, program, size);
    for (u32 s = ES; s <= GS; s++)
        cpu_load_segment_real(m->cpu, (enum seg)s, PROGRAM_SEGMENT);
    return bt;
}

/* From its start; returns how many times it did without C what MEMO_* names. */
static inline u64 bt_memo_hits(struct bt *bt, u32 memo)
{
    struct vcpu *cpu = bt->cpu;
    u64 before = tc_of(cpu)->memo_hits[memo];

    cpu->requests = 0;
    cpu->eip = PROGRAM_START;
    for (u32 i = 0; i < 10000 && !(cpu->requests & REQ_HALT); i++)
        bt_run(cpu);
    CHECK(cpu->requests & REQ_HALT);
    return tc_of(cpu)->memo_hits[memo] - before;
}

#endif
