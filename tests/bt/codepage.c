/*
 * Stores to pages with code (bt/codepage.S): those that change a TU's bytes drop it, by
 * whatever byte; those that hit no code go on in the cache. Real mode.
 */
#include "bt/memo.h"
#include "bt/tu.h"
#include "cpu/system.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>

enum { CODE = 0x10000, VICTIM = 0x100, STORE = 0x3000, SECOND = PAGE_SIZE };

static void run(struct vcpu *cpu, u32 offset)
{
    cpu->requests = 0;
    cpu->eip = offset;
    for (u32 i = 0; i < 10000 && !(cpu->requests & REQ_HALT); i++)
        bt_run(cpu);
    CHECK(cpu->requests & REQ_HALT);
}

/* At STORE: mov [di], al;  hlt. 20 further: ax, 40: eax. */
static struct bt *start(enum form form)
{
    struct machine *m = rig_new(NULL, NULL)->m;
    struct bt_config config = { .force_form = form };
    const char *why = NULL;
    struct bt *bt;
    u8 *code;

    cpu_reset(m->cpu);
    bt = bt_new(m->cpu, &config, &why);
    CHECK(bt != NULL);
    code = mmu_ram(m->mmu) + CODE;
    memcpy(code + STORE, "\x88\x05\xf4", 3);
    memcpy(code + STORE + 0x20, "\x89\x05\xf4", 3);
    memcpy(code + STORE + 0x40, "\x66\x89\x05\xf4", 4);
    for (u32 s = ES; s <= DS; s++)
        cpu_load_segment_real(m->cpu, (enum seg)s, CODE >> 4);
    return bt;
}

/* TUs of its page that are dropped by a store of `size` bytes; *in_cache: it stayed in the
 * cache. */
static u32 drops_by_store(struct bt *bt, u32 offset, u32 size, bool *in_cache)
{
    u32 page = (CODE + offset) >> PAGE_SHIFT, tus = bt->page_tus[page];
    u64 code_page_store = tc_of(bt->cpu)->memo_hits[MEMO_CODE_PAGE];

    bt->cpu->gpr[EDI] = offset;
    run(bt->cpu, STORE + (size == 1 ? 0 : 0x10 * size));
    *in_cache = tc_of(bt->cpu)->memo_hits[MEMO_CODE_PAGE] > code_page_store;
    return tus - bt->page_tus[page];
}

/* The victim, [first, first+n), is translated again before each store. What the store changes,
 * it changes to what it was. */
static void stores_around(struct bt *bt, u32 first, u32 n, bool misaligned)
{
    const u8 *code = mmu_ram(bt->cpu->mmu) + CODE;
    bool in_cache;

    for (u32 size = 1; size <= 4; size *= 2)
        for (u32 at = ((first - 8) & ~7u) + misaligned; at < first + n + 8; at += size) {
            bool hits = at < first + n && first < at + size;

            run(bt->cpu, first);
            memcpy(&bt->cpu->gpr[EAX], code + at, 4);
            CHECK_EQ(drops_by_store(bt, at, size, &in_cache), hits);
            CHECK_EQ(in_cache, !hits);
        }
}

static const u8 victim[] = { 0xb8, 1, 0, 0x40, 0xf4 }; /* mov ax, 1;  inc ax;  hlt */

TEST(bt_code_page_store, each_byte_of_code_counts)
{
    struct bt *bt = start(FORM_CHECKED);

    memcpy(mmu_ram(bt->cpu->mmu) + CODE + VICTIM + 3, victim, sizeof(victim));
    stores_around(bt, VICTIM + 3, sizeof(victim), false);
}

/* As one over the end of a word of the map. The stores come to be looked at before. */
TEST(bt_code_page_store, each_byte_of_a_misaligned_store_counts)
{
    struct bt *bt = start(FORM_ADAPT);
    bool in_cache;

    for (u32 size = 1; size <= 4; size *= 2)
        for (u32 i = 0; i < 12; i++)
            drops_by_store(bt, STORE + 0x801, size, &in_cache);
    memcpy(mmu_ram(bt->cpu->mmu) + CODE + VICTIM + 64, victim, sizeof(victim));
    stores_around(bt, VICTIM + 64, sizeof(victim), true);
}

TEST(bt_code_page_store, so_does_what_crosses_into_the_page)
{
    struct bt *bt = start(FORM_CHECKED);
    bool in_cache;

    /* mov ax, 1 | hlt */
    memcpy(mmu_ram(bt->cpu->mmu) + CODE + SECOND - 1, "\xb8\x01\x00\xf4", 4);
    for (u32 at = SECOND; at < SECOND + 2; at++) {
        run(bt->cpu, SECOND - 1);
        run(bt->cpu, SECOND - 1);
        bt->cpu->gpr[EAX] = at == SECOND;
        CHECK_EQ(drops_by_store(bt, at, 1, &in_cache), 1);
        CHECK(!in_cache);
    }
    run(bt->cpu, SECOND - 1);
    CHECK_EQ(drops_by_store(bt, SECOND + 3, 1, &in_cache), 0);
    CHECK(in_cache);
}

TEST(bt_code_page_store, a_page_table_with_code_is_told)
{
    struct bt *bt = start(FORM_CHECKED);
    struct mmu *mmu = bt->cpu->mmu;
    bool in_cache;

    memcpy(mmu_ram(mmu) + CODE + VICTIM, "\xf4", 1);
    run(bt->cpu, VICTIM);
    drops_by_store(bt, VICTIM + 0x80, 2, &in_cache);
    CHECK(in_cache);
    mmu->page_flags[CODE >> PAGE_SHIFT] |= PG_TABLE; /* as if one were traced there */
    drops_by_store(bt, VICTIM + 0x80, 2, &in_cache);
    CHECK(!in_cache);
    mmu->page_flags[CODE >> PAGE_SHIFT] &= (u8)~PG_TABLE;
}

/* The operand of a MOV is patched again and again: it comes to stand alone, and does what it
 * says. */
TEST(bt_code_page_store, a_patched_operand_stands_alone)
{
    struct bt *bt = start(FORM_CHECKED);
    u64 made;
    bool in_cache;

    memcpy(mmu_ram(bt->cpu->mmu) + CODE + VICTIM, "\x43\x43\x43\xb8\x00\x00\x43\x43\xf4", 9);
    for (u32 i = 1; i < 10; i++) { /* inc bx, three times;  mov ax, i;  inc bx, twice;  hlt */
        run(bt->cpu, VICTIM);
        bt->cpu->gpr[EAX] = i;
        CHECK_EQ(drops_by_store(bt, VICTIM + 4, 2, &in_cache), 1);
        bt->cpu->gpr[EBX] = 0;
        made = bt->stats.insns;
        run(bt->cpu, VICTIM);
        CHECK_EQ(bt->cpu->gpr[EAX] & 0xffff, i);
        CHECK_EQ(bt->cpu->gpr[EBX], 5);
        CHECK(i <= 5 || bt->stats.insns - made == 1);
    }
}
