/*
 * Which TUs a store drops (bt/tu.c): those whose bytes it changes, on both sides of a page
 * boundary, and no others; where an indirect branch goes (bt/xl_flow.c); and that code and
 * records stay within the cache's size (bt/cache.c).
 */
#include "bt/tu.h"
#include "cpu/reset.h"
#include "cpu/segment.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>

enum { CODE = 0x10000, SECOND = CODE + PAGE_SIZE };

/* Runs from CODE + offset, in real mode, to a HLT. */
static void run(struct vcpu *cpu, u32 offset)
{
    cpu->requests = 0;
    cpu->eip = offset;
    for (u32 i = 0; i < 10000 && !(cpu->requests & REQ_HALT); i++)
        bt_run(cpu);
    CHECK(cpu->requests & REQ_HALT);
}

static struct bt *start_sized(const u8 *program, u32 n, u32 offset, u64 cache_size)
{
    struct machine *m = rig_new(NULL, NULL)->m;
    struct bt_config config = { .cache_size = cache_size };
    const char *why = NULL;
    struct bt *bt;

    cpu_reset(m->cpu);
    bt = bt_new(m->cpu, &config, &why);
    CHECK(bt != NULL);
    memcpy(mmu_ram(m->mmu) + CODE + offset, program, n);
    cpu_load_segment_real(m->cpu, CS, CODE >> 4);
    run(m->cpu, offset); /* interprets what crosses into a page not met yet */
    run(m->cpu, offset);
    return bt;
}

static struct bt *start(const u8 *program, u32 n, u32 offset)
{
    return start_sized(program, n, offset, 0);
}

/* What the store of n bytes drops. */
static u64 dropped_by(struct bt *bt, gpa_t gpa, u32 n)
{
    u64 before = bt->stats.drops;

    bt_code_written(bt, gpa, n);
    return bt->stats.drops - before;
}

static bool write_protected(const struct bt *bt, gpa_t gpa)
{
    return bt->cpu->mmu->page_flags[gpa >> PAGE_SHIFT] & PG_CODE;
}

TEST(bt_tu, a_store_next_to_code_drops_nothing)
{
    /* mov ax, 1;  jmp;  inc ax;  hlt */
    static const u8 program[] = { 0xb8, 1, 0, 0xeb, 0, 0x40, 0xf4 };
    struct bt *bt = start(program, sizeof(program), 0x100);

    CHECK_EQ(dropped_by(bt, CODE + 0xff, 1), 0);
    CHECK_EQ(dropped_by(bt, CODE + 0x107, 0x800), 0);
    CHECK_EQ(dropped_by(bt, CODE + 0x105, 1), 1); /* inc ax;  hlt */
    CHECK(write_protected(bt, CODE));
    CHECK_EQ(dropped_by(bt, CODE, PAGE_SIZE), 1); /* mov;  jmp */
    CHECK(!write_protected(bt, CODE));
    run(bt->cpu, 0x100);
    CHECK_EQ(bt->cpu->gpr[EAX], 2);
}

TEST(bt_tu, the_last_byte_of_a_long_unit_counts)
{
    u8 program[12 * 11];
    struct bt *bt;

    memset(program, 0x66, sizeof(program)); /* prefixes without effect on NOP */
    for (u32 i = 11; i < sizeof(program); i += 12)
        program[i] = 0x90;
    program[sizeof(program) - 1] = 0xf4;
    bt = start(program, sizeof(program), 0x35);
    CHECK_EQ(bt->stats.tus[0], 1);
    CHECK_EQ(dropped_by(bt, CODE + 0x35 + sizeof(program), 1), 0);
    CHECK_EQ(dropped_by(bt, CODE + 0x35 + sizeof(program) - 1, 1), 1);
}

TEST(bt_tu, an_instruction_across_pages_is_dropped_from_either)
{
    static const u8 program[] = { 0xb8, 1, 0, 0xf4 }; /* mov ax, 1;  hlt */
    struct bt *bt = start(program, sizeof(program), PAGE_SIZE - 2);

    CHECK(write_protected(bt, CODE) && write_protected(bt, SECOND));
    CHECK_EQ(dropped_by(bt, SECOND, 1), 1);
    CHECK(!write_protected(bt, CODE) && write_protected(bt, SECOND));
    CHECK_EQ(dropped_by(bt, SECOND + 1, 1), 1); /* hlt */
    CHECK(!write_protected(bt, SECOND));
    run(bt->cpu, PAGE_SIZE - 2);
    CHECK_EQ(dropped_by(bt, CODE + PAGE_SIZE - 1, 1), 1);
    CHECK_EQ(bt->cpu->gpr[EAX], 1);
}

TEST(bt_tu, a_flush_forgets_all)
{
    static const u8 program[] = { 0xb8, 1, 0, 0xf4 };
    struct bt *bt = start(program, sizeof(program), PAGE_SIZE - 2);

    bt_flush(bt);
    CHECK(!write_protected(bt, CODE) && !write_protected(bt, SECOND));
    CHECK_EQ(dropped_by(bt, CODE, PAGE_SIZE) + dropped_by(bt, SECOND, PAGE_SIZE), 0);
    run(bt->cpu, PAGE_SIZE - 2);
    CHECK(write_protected(bt, CODE) && write_protected(bt, SECOND));
    CHECK_EQ(dropped_by(bt, CODE, PAGE_SIZE) + dropped_by(bt, SECOND, PAGE_SIZE), 2);
}

/* Each INC and JMP is a unit: some 250 bytes of code and records for each. */
TEST(bt_tu, code_and_records_share_the_cache)
{
    enum { UNITS = 5000, CACHE = 1 << 16 };
    u8 program[3 * UNITS + 1];
    struct bt *bt;

    for (u32 i = 0; i < UNITS; i++)
        memcpy(program + 3 * i, "\x40\xeb", 3); /* inc ax;  jmp $+2 */
    program[3 * UNITS] = 0xf4;
    bt = start_sized(program, sizeof(program), 0, CACHE);
    CHECK_EQ(bt->size, CACHE);
    CHECK_EQ(bt->cpu->gpr[EAX] & 0xffff, 2 * UNITS);
    CHECK(bt->stats.flushes >= 10 && bt->stats.flushes < 200);
    CHECK(bt->used + bt->tu_count * sizeof(struct tu) +
          (u64)((u8 *)bt->tus + bt->size - bt->notes) <= bt->size);
}

static u64 lookups_of_jump_to(struct bt *bt, u32 offset, u32 expected)
{
    u64 before = bt->stats.lookups;

    bt->cpu->gpr[EBX] = offset;
    run(bt->cpu, 0x10);
    CHECK_EQ(bt->cpu->gpr[EAX], expected);
    return bt->stats.lookups - before;
}

/* jmp bx: to where it went first by its inline cache, elsewhere by the table. The first look-up
 * is the JMP's. */
TEST(bt_tu, an_indirect_branch_guesses)
{
    enum { NEAR = 0x20, FAR = PAGE_SIZE + 0x30 };
    struct bt *bt = start((const u8 *)"\xf4", 1, 0);
    u8 *ram = mmu_ram(bt->cpu->mmu) + CODE;

    memcpy(ram + 0x10, "\xff\xe3", 2);
    memcpy(ram + NEAR, "\xb8\x01\x00\xf4", 4); /* mov ax, 1;  hlt */
    memcpy(ram + FAR, "\xb8\x02\x00\xf4", 4);
    for (u32 i = 0; i < 2; i++) {
        lookups_of_jump_to(bt, FAR, 2);
        lookups_of_jump_to(bt, NEAR, 1);
    }
    CHECK_EQ(lookups_of_jump_to(bt, FAR, 2), 1);
    CHECK_EQ(lookups_of_jump_to(bt, NEAR, 1), 1);
    CHECK_EQ(dropped_by(bt, CODE + FAR, 4), 1); /* the guess is void, */
    memcpy(ram + FAR, "\xb8\x03\x00\xf4", 4);
    CHECK(lookups_of_jump_to(bt, NEAR, 1) > 1); /* another is made, */
    CHECK(lookups_of_jump_to(bt, FAR, 3) > 1);  /* and the table learns */
    CHECK_EQ(lookups_of_jump_to(bt, NEAR, 1), 1);
    CHECK_EQ(lookups_of_jump_to(bt, FAR, 3), 1);
    CHECK_EQ(dropped_by(bt, CODE + NEAR, 4), 1);
    memcpy(ram + NEAR, "\xb8\x04\x00\xf4", 4);
    CHECK(lookups_of_jump_to(bt, NEAR, 4) > 1);
    CHECK_EQ(lookups_of_jump_to(bt, FAR, 3), 1);
}

/* 200 TUs of a jump each, the next time there is no room. */
static void fill(struct bt *bt, u32 offset)
{
    u8 *code = mmu_ram(bt->cpu->mmu) + CODE + offset;

    for (u32 i = 0; i < 200; i++)
        memcpy(code + 2 * i, "\xeb\x00", 2);
    code[400] = 0xf4;
    bt->limit = bt->used;
    run(bt->cpu, offset);
}

TEST(bt_cache, grows_where_most_is_alive_and_was_dear)
{
    struct bt *bt = start((const u8 *)"\xf4", 1, 0x100);
    u64 flushes = bt->stats.flushes;

    bt->stats.translate_tsc += 1ull << 50;
    fill(bt, 0x1000);
    CHECK_EQ(bt->stats.flushes, flushes);
    CHECK(bt->stats.grown > 0);
}

TEST(bt_cache, is_flushed_where_most_is_dead_or_it_was_cheap)
{
    struct bt *bt = start((const u8 *)"\xf4", 1, 0x100);
    u64 flushes = bt->stats.flushes;

    bt->spent = bt->stats.translate_tsc;
    fill(bt, 0x1000);
    CHECK(bt->stats.flushes > flushes);
    flushes = bt->stats.flushes;
    bt->limit = bt->size;
    run(bt->cpu, 0x1000);
    CHECK(dropped_by(bt, CODE + 0x1000, 400) > bt->tu_count / 2);
    bt->stats.translate_tsc += 1ull << 50;
    fill(bt, 0x3000);
    CHECK(bt->stats.flushes > flushes);
}
