/*
 * A guest that flushes its disks without pause. A round writes a few sectors to one disk or
 * both, flushes, reads back and compares, and works (work.c) while the flush is under way. What
 * a round writes where follows from the seed and its number alone (choose()), so
 * tests/suites/flush.py knows what must be on the image.
 *
 * Prints to port E9: "round N" when all rounds up to N are flushed, "FAIL …", at the end
 * numbers and "passed" or "failed". Words of the command line:
 *   seconds=N   how long (10);  rounds=N   or how often
 *   every=N     prints each Nth round (1000)
 *   seed=N      another sequence
 *   through=1   always with the disks' caches off, so that a write flushes by itself; how=N  always writes so: enum how
 */
#include "tests/guests/flush/flush.h"

enum { MULTIBOOT = 0x2badb002, SECTORS = 2048, HEAD = 6 }; /* SECTORS: used of each disk */
enum { MAGIC = 0x48534c46 }; /* "FLSH" */

/* What is chosen: for both disks, then for each, + FOR_DISK * index. */
enum choice {
    WHICH, READ_ALIGN, WRITE_ALIGN,
    LBA, COUNT, HOW, STYLE, FLUSH, CACHE, RESET, READ_HOW, READ_STYLE, OTHER,
    FOR_DISK = 32
};

static u32 seed, always_through, always_how; /* options */
static u32 flushes, resets;
static u32 latest[2][SECTORS]; /* the round that wrote it; 0: none */
static u8 to_write[2][MOST * SECTOR + 64] __attribute__((aligned(64)));
static u8 was_read[MOST * SECTOR + 64] __attribute__((aligned(PAGE)));

static u32 choose(u32 round, enum choice what, const struct disk *d)
{
    return mix(mix(seed + round * 0x9e3779b9) + what + (d ? FOR_DISK * d->index : 0));
}

/* ---- The command line ---- */

/* The number behind "name" at the beginning of a word, or `otherwise`. */
static u32 option(const char *line, const char *name, u32 otherwise)
{
    const char *a, *b;
    u32 v = 0;

    for (const char *s = line; *s; s++) {
        for (a = s, b = name; *b && *a == *b; a++, b++)
            ;
        if (*b || (s != line && s[-1] != ' '))
            continue;
        while (*a >= '0' && *a <= '9')
            v = v * 10 + (u32)(*a++ - '0');
        return v;
    }
    return otherwise;
}

/* ---- Sectors ---- */

/* Magic, round, sector, disk, "mov eax, round ^ sector; ret", and noise. */
static void sector_make(u32 *to, u32 round, u32 lba, const struct disk *d)
{
    u32 code = round ^ lba, x = mix(mix(seed + round) ^ lba << 8 ^ d->index);

    to[0] = MAGIC;
    to[1] = round;
    to[2] = lba;
    to[3] = d->index;
    to[4] = 0xb8 | code << 8;
    to[5] = code >> 24 | 0xc300;
    for (u32 i = HEAD; i < SECTOR / 4; i++)
        to[i] = x = x * 1664525 + 1013904223;
}

/* Is it what its round wrote? Runs the code in it, too: that page was code before, as like as
 * not. */
static void sector_check(const u32 *got, u32 lba, const struct disk *d)
{
    u32 want[SECTOR / 4], round = latest[d->index][lba];

    sector_make(want, round, lba, d);
    for (u32 i = 0; i < SECTOR / 4; i++) {
        if (got[i] == want[i])
            continue;
        fail("sector", lba * SECTOR + i * 4, got[i], want[i]);
        return;
    }
    u32 said = ((u32 (*)(void))(got + 4))();
    if (said != (round ^ lba))
        fail("code in sector", lba, said, round ^ lba);
}

static u32 choose_lba(u32 round, const struct disk *d)
{
    return choose(round, LBA, d) % (SECTORS - MOST + 1);
}

/* Few sectors, as a rule: then most of the time is a flush's. */
static u32 choose_count(u32 round, const struct disk *d)
{
    u32 r = choose(round, COUNT, d);

    return 1 + (r >> 8) % (r % 4 ? 2 : MOST);
}

/* ---- A round ---- */

static void round_write(struct disk *d, u32 round)
{
    u32 lba = choose_lba(round, d), n = choose_count(round, d);
    u8 *from = to_write[d->index] + choose(round, WRITE_ALIGN, 0) % 32 * 2;

    for (u32 i = 0; i < n; i++) {
        sector_make((u32 *)(from + i * SECTOR), round, lba + i, d);
        latest[d->index][lba + i] = round;
    }
    d->style = choose(round, STYLE, d) % STYLES;
    disk_write(d, always_how < HOWS ? always_how : choose(round, HOW, d) % HOWS, lba, n, from);
}

static u8 flush_command(u32 round, const struct disk *d)
{
    return choose(round, FLUSH, d) % 2 ? 0xe7 : 0xea;
}

/* Now and then a flush is given up in the middle, by a reset, and asked for again. */
static void round_flush_begin(struct disk *d, u32 round)
{
    u8 command = flush_command(round, d);

    disk_flush_begin(d, command);
    if (choose(round, RESET, d) % 64)
        return;
    work(round);
    disk_reset(d);
    resets++;
    disk_flush_begin(d, command);
}

static void round_flush(u32 disk_set, u32 round)
{
    for (u32 i = 0; i < 2; i++)
        if (disk_set >> i & 1)
            round_flush_begin(&disks[i], round);
    work(round);
    for (u32 i = 0; i < 2; i++) {
        if (!(disk_set >> i & 1))
            continue;
        disk_flush_end(&disks[i]);
        flushes++;
    }
}

/* With its cache off the disk flushes by itself, as part of the write. */
static int wants_through(u32 round, const struct disk *d)
{
    return always_through || choose(round, CACHE, d) % 16 == 0;
}

static void round_write_through(struct disk *d, u32 round)
{
    if (!always_through)
        disk_cache(d, 0);
    round_write(d, round);
    if (!always_through)
        disk_cache(d, 1);
    flushes++;
}

static void check(struct disk *d, enum how how, u32 lba, u32 n, u32 align)
{
    u8 *to = was_read + align % 32 * 2;

    disk_read(d, how, lba, n, to);
    for (u32 i = 0; i < n; i++)
        if (latest[d->index][lba + i])
            sector_check((const u32 *)(to + i * SECTOR), lba + i, d);
}

/* What this round wrote, and other sectors of the disk. */
static void round_check(struct disk *d, u32 round)
{
    u32 align = choose(round, READ_ALIGN, 0), how = choose(round, READ_HOW, d);

    d->style = choose(round, READ_STYLE, d) % STYLES;
    check(d, how % HOWS, choose_lba(round, d), choose_count(round, d), align);
    check(d, how / 16 % HOWS, choose(round, OTHER, d) % (SECTORS - 2), 2, align / 32);
}

static u32 disk_set_of(u32 round)
{
    u32 which = choose(round, WHICH, 0) % 4;

    return !disks[1].sectors ? 1 : which == 3 ? 3 : which == 2 ? 2 : 1;
}

static void round_run(u32 round)
{
    u32 set = disk_set_of(round), through = 0;

    patch_shuffle(round);
    for (u32 i = 0; i < 2; i++) {
        if (!(set >> i & 1))
            continue;
        if (wants_through(round, &disks[i])) {
            round_write_through(&disks[i], round);
            through |= 1u << i;
        } else {
            round_write(&disks[i], round);
        }
    }
    round_flush(set & ~through, round);
    for (u32 i = 0; i < 2; i++)
        if (set >> i & 1)
            round_check(&disks[i], round);
}

/* ---- All ---- */

static void say_count(const char *what, u32 n)
{
    text(" ");
    text(what);
    text(" ");
    number(n);
}

static void check_all(void)
{
    for (u32 i = 0; i < 2; i++)
        for (u32 lba = 0; disks[i].sectors && lba < SECTORS; lba += MOST)
            check(&disks[i], DMA, lba, MOST, 0);
}

static void end(u32 rounds)
{
    check_all();
    if (work_wrong)
        fail(work_what, work_at, work_got, work_want);
    text("end:");
    say_count("rounds", rounds);
    say_count("flushes", flushes);
    say_count("resets", resets);
    say_count("works", work_count);
    say_count("ms", ticks);
    text("\n");
    leave();
}

static void say_round(u32 round)
{
    text("round ");
    number(round);
    text("\n");
}

static void disks_check(void)
{
    disks_init();
    for (u32 i = 0; i < 2; i++) {
        struct disk *d = &disks[i];

        if (d->sectors < SECTORS && (d->sectors || i == 0)) { /* there may be one disk only */
            fail("sectors of disk", i, d->sectors, SECTORS);
            leave();
        }
        if (always_through && d->sectors)
            disk_cache(d, 0);
    }
}

static u32 run(u32 last, u32 time, u32 every)
{
    u32 round = 0, start = ticks;

    while (!failures && !work_wrong && (last ? round < last : ticks - start < time)) {
        round_run(++round);
        if (every && round % every == 0)
            say_round(round);
    }
    return round;
}

void flush_main(u32 magic, const u32 *info)
{
    const char *line = magic == MULTIBOOT && info[0] & 4 ? (const char *)info[4] : "";
    u32 rounds;

    seed = option(line, "seed=", 1);
    always_through = option(line, "through=", 0);
    always_how = option(line, "how=", HOWS);
    board_init();
    work_init();
    __asm__ volatile("sti");
    disks_check();
    text("flushing\n");
    rounds = run(option(line, "rounds=", 0), option(line, "seconds=", 10) * 1000,
                 option(line, "every=", 1000));
    say_round(rounds);
    end(rounds);
}
