/*
 * -speed's words, and the change of a limit while the machine runs.
 */
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>

static u64 rate_of(const char *text, u32 family)
{
    u32 permille;
    u64 rate;

    return speed_parse(text, family, &permille, &rate) && !permille ? rate : 0;
}

TEST(speed, shares)
{
    u32 permille;
    u64 rate;

    CHECK(speed_parse("50%", 6, &permille, &rate) && permille == 500 && !rate);
    CHECK(speed_parse("0.5%", 6, &permille, &rate) && permille == 5);
    CHECK(!speed_parse("0%", 6, &permille, &rate));
    CHECK(!speed_parse("101%", 6, &permille, &rate));
    CHECK(!speed_parse("nan%", 6, &permille, &rate));
}

TEST(speed, machines)
{
    CHECK_EQ(rate_of("486DX2-66", 6), 54000000);
    CHECK_EQ(rate_of("i486dx2/66", 6), 54000000);
    CHECK_EQ(rate_of("Pentium 133", 6), 218900000);
    CHECK_EQ(rate_of("pentium-133", 6), 218900000);
    CHECK_EQ(rate_of("8088-4.77", 6), 330000);
    CHECK_EQ(rate_of("Pentium", 6), 0);
    CHECK_EQ(rate_of("", 6), 0);
}

TEST(speed, megahertz_are_of_the_family)
{
    CHECK_EQ(rate_of("66MHz", 4), 54120000);
    CHECK_EQ(rate_of("133 mhz", 5), 219450000);
    CHECK_EQ(rate_of("66", 4), 0);
    CHECK_EQ(rate_of("0MHz", 4), 0);
}

TEST(speed, changes_by_steps)
{
    struct rig *r = rig_new(NULL, NULL);
    char said[32];

    speed_change(r->m, -1, said, sizeof(said));
    CHECK(!strcmp(said, "80.0%"));
    speed_change(r->m, 1, said, sizeof(said));
    CHECK(!strcmp(said, "full"));
    r->m->speed.rate = 54000000;
    speed_change(r->m, 1, said, sizeof(said));
    CHECK(!strcmp(said, "67.5 MIPS"));
    for (u32 i = 0; i < 100; i++)
        speed_change(r->m, -1, said, sizeof(said));
    CHECK(!strcmp(said, "0.1 MIPS"));
    speed_change(r->m, 0, said, sizeof(said));
    CHECK(!strcmp(said, "full"));
}
