/*
 * A small program of real mode, under a translator of its own, up to its HLT.
 */
#ifndef TESTS_BT_TO_HLT_H
#define TESTS_BT_TO_HLT_H

#include "bt/translator.h"
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

#endif
