/*
 * The monitor's `info mem` and `info tlb` over tables made here: two levels, large pages, PAE,
 * and tables that lie where no RAM is.
 */
#include "runtime/control/hmp.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <stdlib.h>
#include <string.h>

enum { DIRECTORY = 0x10000, TABLE = 0x11000 };

static struct rig *paged(u32 cr3, u32 cr4)
{
    struct rig *r = rig_new(NULL, NULL);

    r->m->cpu->cr0 = CR0_PE | CR0_PG;
    r->m->cpu->cr3 = cr3;
    r->m->cpu->cr4 = cr4;
    return r;
}

static void put(struct rig *r, gpa_t gpa, u64 val, u32 size)
{
    phys_write(r->m, gpa, &val, size);
}

static bool says(struct rig *r, const char *command, const char *want)
{
    char *text = hmp_run(r->m, command);
    bool same = !strcmp(text, want);

    if (!same)
        printf("%s:\n%s", command, text);
    free(text);
    return same;
}

TEST(hmp_info, without_paging)
{
    struct rig *r = rig_new(NULL, NULL);

    CHECK(says(r, "info mem", "PG disabled\n"));
    CHECK(says(r, "info tlb", "PG disabled\n"));
}

TEST(hmp_info, two_levels)
{
    struct rig *r = paged(DIRECTORY, CR4_PSE);

    put(r, DIRECTORY, TABLE | 7, 4);
    put(r, DIRECTORY + 4, 0x800000 | 0x1e3, 4); /* 4 MiB, global */
    put(r, DIRECTORY + 4 * 1023, TABLE | 5, 4); /* read only */
    put(r, TABLE + 4, 0x5067, 4);
    put(r, TABLE + 8, 0x9005, 4);
    CHECK(says(r, "info mem",
               "0000000000001000-0000000000002000 0000000000001000 urw\n"
               "0000000000002000-0000000000003000 0000000000001000 ur-\n"
               "0000000000400000-0000000000800000 0000000000400000 -rw\n"
               "00000000ffc01000-00000000ffc03000 0000000000002000 ur-\n"));
    CHECK(says(r, "info tlb",
               "0000000000001000: 0000000000005000 ---DA--UW\n"
               "0000000000002000: 0000000000009000 -------U-\n"
               "0000000000400000: 0000000000800000 -GPDA---W\n"
               "00000000ffc01000: 0000000000005000 ---DA--UW\n"
               "00000000ffc02000: 0000000000009000 -------U-\n"));
}

TEST(hmp_info, pae)
{
    struct rig *r = paged(0x12000, CR4_PAE);

    put(r, 0x12000 + 3 * 8, DIRECTORY | 1, 8);
    put(r, DIRECTORY + 511 * 8, 0x80000000002000e7, 8);
    CHECK(says(r, "info mem", "00000000ffe00000-0000000100000000 0000000000200000 urw\n"));
    CHECK(says(r, "info tlb", "00000000ffe00000: 0000000000200000 X-PDA--UW\n"));
}

TEST(hmp_info, tables_where_no_ram_is_and_everywhere)
{
    struct rig *r = paged(0xfffff000, 0);
    char *text;

    CHECK(says(r, "info mem", ""));
    r->m->cpu->cr3 =
        DIRECTORY; /* a directory that is its own table, and full: a million pages */
    for (u32 i = 0; i < 1024; i++)
        put(r, DIRECTORY + 4 * i, DIRECTORY | 7, 4);
    CHECK(says(r, "info mem", "0000000000000000-0000000100000000 0000000100000000 urw\n"));
    text = hmp_run(r->m, "info tlb");
    CHECK(strlen(text) < 8 << 20 && strstr(text, "and more"));
    free(text);
}
