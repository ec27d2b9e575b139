/*
 * Sites change their form by what happens there, both ways (bt/adapt.c): a store that meets a code
 * page becomes C's, and is flat again after a term of plain ones.
 */
#include "bt/tu.h"
#include "cpu/system.h"
#include "runtime/machine.h"
#include "tests/harness/test.h"

#include <string.h>

enum { CODE = 0x10000, DATA = 0x20000, FIRST = 64, LAST = 1024 };

/* 1: mov [bx], ax;  loop 1b;  hlt */
static const u8 program[] = { 0x89, 0x07, 0xe2, 0xfc, 0xf4 };

static struct bt *start(void)
{
    struct machine *m = rig_new(NULL, NULL)->m;
    struct bt_config config = { 0 };
    const char *why = NULL;

    cpu_reset(m->cpu);
    CHECK(bt_new(m->cpu, &config, &why) != NULL);
    memcpy(mmu_ram(m->mmu) + CODE, program, sizeof(program));
    cpu_load_segment_real(m->cpu, CS, CODE >> 4);
    return m->cpu->bt;
}

/* Stores `times` words at one address. Returns how many of the stores C did. */
static u64 store(struct bt *bt, gpa_t gpa, u16 times)
{
    struct vcpu *cpu = bt->cpu;
    u64 before = bt->stats.callouts;

    cpu->attention = 0;
    cpu_load_segment_real(cpu, DS, (u16)(gpa >> 4 & 0xf000));
    cpu->gpr[EBX] = gpa & 0xffff;
    cpu->gpr[ECX] = times;
    cpu->eip = 0;
    for (u32 i = 0; i < 100 && !(cpu->attention & ATT_HALT); i++)
        bt_run(cpu);
    CHECK(cpu->attention & ATT_HALT);
    return bt->stats.callouts - before - 1; /* HLT */
}

static u64 offend(struct bt *bt)
{
    return store(bt, CODE + 0x800, 10);
}

TEST(bt_adapt, a_guilty_site_serves_its_term)
{
    struct bt *bt = start();

    CHECK_EQ(store(bt, DATA, 100), 0);
    CHECK(offend(bt) > 0);
    CHECK_EQ(bt->stats.adapted[FORM_CALLOUT], 1);
    CHECK_EQ(bt->stats.adapted[FORM_FLAT], 0);
    CHECK_EQ(store(bt, DATA, FIRST - 1), FIRST - 1);
    CHECK_EQ(bt->stats.adapted[FORM_FLAT], 0);
    CHECK_EQ(store(bt, DATA, 100), 1);
    CHECK_EQ(bt->stats.adapted[FORM_FLAT], 1);
    CHECK_EQ(store(bt, DATA, 1000), 0);
}

TEST(bt_adapt, an_offence_within_the_term_starts_it_anew)
{
    struct bt *bt = start();

    offend(bt);
    CHECK_EQ(store(bt, DATA, FIRST - 1), FIRST - 1);
    CHECK_EQ(offend(bt), 10);
    CHECK_EQ(store(bt, DATA, FIRST + 5), FIRST);
}

TEST(bt_adapt, a_misaligned_store_is_no_good_behaviour)
{
    struct bt *bt = start();

    offend(bt);
    CHECK_EQ(store(bt, DATA + 1, 5 * FIRST), 5 * FIRST);
    CHECK_EQ(bt->stats.adapted[FORM_FLAT], 0);
}

TEST(bt_adapt, each_relapse_doubles_the_term_up_to_a_limit)
{
    struct bt *bt = start();

    for (u64 term = FIRST, signals; term <= 4 * LAST; term *= 2) {
        signals = bt->stats.signals_guard;
        offend(bt);
        if (term > FIRST)
            CHECK_EQ(bt->stats.signals_guard - signals, 1); /* convicted at once */
        CHECK_EQ(store(bt, DATA, 5 * LAST), term < LAST ? term : LAST);
    }
}
