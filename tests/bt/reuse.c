/*
 * Reuse distances of TUs (bt/reuse.c): small loops in real mode, whose distances are known.
 */
#include "bt/bt.h"
#include "bt/tu.h"
#include "cpu/reset.h"
#include "cpu/segment.h"
#include "runtime/machine/machine.h"
#include "tests/bt/to_hlt.h"
#include "tests/harness/test.h"

#include <string.h>

static struct bt *run(const u8 *code, u32 size, u32 one_in)
{
    const struct bt_config config = {.cache_size = 1 << 20, .reuse_one_in = one_in};

    return run_to_hlt(code, size, &config)->bt;
}

static u64 sum(const u64 *table)
{
    u64 total = 0;

    for (u32 i = 0; i <= REUSE_BITS; i++)
        total += table[i];
    return total;
}

/* mov cx, 100;  1: inc ax;  jmp 2f;  nop;  2: loop 1b;  hlt */
static const u8 two[] = {0xb9, 100, 0, 0x40, 0xeb, 1, 0x90, 0xe2, 0xfa, 0xf4};

/* mov cx, 100;  1: inc ax;  loop 1b;  hlt */
static const u8 itself[] = {0xb9, 100, 0, 0x40, 0xe2, 0xfd, 0xf4};

TEST(bt_reuse, of_a_tu_that_leads_to_itself_is_0)
{
    struct bt *bt = run(itself, sizeof(itself), 1);

    CHECK_EQ(bt->stats.distance[0], 98); /* the first turn is a TU with MOV, the second new */
    CHECK_EQ(sum(bt->stats.distance), 98);
    CHECK_EQ(bt->stats.bytes[0], 98);
}

TEST(bt_reuse, of_two_in_turns_is_1)
{
    struct bt *bt = run(two, sizeof(two), 1);
    u32 last = bt->tu_count - 1;
    u64 size = bt->tus[last].host_size; /* some 100 */

    CHECK_EQ(bt->stats.distance[1], 99 + 98); /* LOOP 100 times, INC with JMP 99 */
    CHECK_EQ(sum(bt->stats.distance), 99 + 98);
    CHECK_EQ(sum(bt->stats.bytes), 99 + 98);
    CHECK(size > 16 && bt->stats.bytes[0] == 0 && bt->stats.bytes[4] == 0);
    CHECK_EQ(bt->stats.one_in, 1);
}

/* Registers, flags and memory are what they are without. */
TEST(bt_reuse, the_guest_does_not_notice)
{
    /* mov cx, 200;  xor ax, ax;  stc;  1: adc ax, cx;  pushf;  xchg bx, dx;  popf;  adc bx, ax;
     * jno 2f;  inc si;  2: lea di, [di + bx];  loop 1b;  hlt */
    static const u8 mix[] = {0xb9, 200,  0,    0x31, 0xc0, 0xf9, 0x11, 0xc8, 0x9c, 0x87, 0xd3,
                             0x9d, 0x11, 0xc3, 0x71, 1,    0x46, 0x8d, 0x39, 0xe2, 0xf1, 0xf4};
    struct bt *with = run(mix, sizeof(mix), 1), *without = run(mix, sizeof(mix), 0);

    CHECK(!memcmp(with->cpu->gpr, without->cpu->gpr, sizeof(with->cpu->gpr)));
    CHECK_EQ(with->cpu->eflags, without->cpu->eflags);
    CHECK(sum(with->stats.distance) > 200);
    CHECK_EQ(sum(without->stats.distance), 0);
}

TEST(bt_reuse, one_in_n_tells_and_distances_are_n_times_as_far)
{
    struct bt *bt = run(two, sizeof(two), 64);
    u32 told = 0;

    for (u32 n = 1; n <= 64000; n++)
        told += reuse_looks_at(bt, n);
    CHECK(told > 900 && told < 1100);
    /* At most one of the few TUs is told of here: nothing lies between. */
    CHECK_EQ(bt->stats.distance[1], 0);
    CHECK_EQ(bt->stats.one_in, 64);
}

TEST(bt_reuse, a_flush_forgets_who_ran)
{
    struct bt *bt = run(two, sizeof(two), 1);
    u64 first = bt->stats.first;

    CHECK(first >= 3);
    bt_flush(bt);
    for (u32 n = 1; n < 10; n++)
        CHECK(reuse_looks_at(bt, n));
    bt->cpu->requests = 0;
    bt->cpu->eip = 0;
    for (u32 i = 0; i < 100 && !(bt->cpu->requests & REQ_HALT); i++)
        bt_run(bt->cpu);
    CHECK_EQ(bt->stats.first, 2 * first);
    CHECK_EQ(bt->stats.distance[1], 2 * (99 + 98));
}
