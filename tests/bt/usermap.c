/*
 * User code by a user map (mmu/usermap.c): a kernel of a few instructions gives the user's page
 * another frame before each IRET, which the user's next load has to find; and what happens
 * where the page is not there, or may not be written.
 */
#include "bt/tu.h"
#include "cpu/reset.h"
#include "mmu/shadow.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"
#include "tests/harness/user_guest.h"

#include <string.h>

enum {
    TABLE = UG_TABLE,
    KERNEL = UG_KERNEL,
    HANDLER = KERNEL + 0x100,
    FAULT = KERNEL + 0x200,
    USER = UG_USER,
    DATA = UG_DATA,
    FRAME_0 = 0x300000,
    FRAME_1 = 0x301000,
    ENTRY = UG_ENTRY,
};

/* xor dword [entry], FRAME_0 ^ FRAME_1;  dec esi;  jz +1;  iretd;  hlt */
static const u8 handler[] = {0x81, 0x35, 0x40, 0x18, 0x10, 0,    0x00, 0x10,
                             0,    0,    0x4e, 0x74, 0x01, 0xcf, 0xf4};
/* mov ecx, [DATA];  add ebx, ecx;  add dword [DATA+4], 1;  int 40h;  jmp USER */
static const u8 user[] = {0x8b, 0x0d, 0,    0, 0x21, 0,    0x01, 0xcb, 0x83, 0x05,
                          4,    0,    0x21, 0, 1,    0xcd, 0x40, 0xeb, 0xed};
/* inc edi;  or dword [entry], 1;  add esp, 4;  iretd */
static const u8 fault[] = {0x47, 0x83, 0x0d, 0x40, 0x18, 0x10, 0, 1, 0x83, 0xc4, 4, 0xcf};

static u8 *ram(const struct bt *bt)
{
    return mmu_ram(bt->cpu->mmu);
}

static void set_page(const struct bt *bt, u32 gla, u32 entry)
{
    user_guest_set_page(bt->cpu, gla, entry);
}

static struct bt *start(void)
{
    struct vcpu *cpu = rig_new(NULL, NULL)->m->cpu;
    struct bt_config config = {0};
    const char *why = NULL;
    struct bt *bt;

    cpu_reset(cpu);
    bt = bt_new(cpu, &config, &why);
    CHECK(bt != NULL);
    CHECK_EQ(TABLE + 4 * (DATA >> PAGE_SHIFT), 0x101840);
    user_guest_begin(cpu);
    set_page(bt, DATA, FRAME_0 | ENTRY);
    user_guest_set_gate(cpu, 0x40, HANDLER);
    user_guest_set_gate(cpu, EXC_PF, FAULT);
    memcpy(ram(bt) + HANDLER, handler, sizeof(handler));
    memcpy(ram(bt) + FAULT, fault, sizeof(fault));
    memcpy(ram(bt) + USER, user, sizeof(user));
    ram(bt)[FRAME_0] = 1;
    ram(bt)[FRAME_1] = 16;
    mmu_user_maps_at_any_price(cpu->mmu, 0);
    return bt;
}

/* The user's program, for so many system calls. */
static void run(struct bt *bt, u32 calls)
{
    struct vcpu *cpu = bt->cpu;

    user_guest_enter(cpu, USER);
    cpu->gpr[EBX] = cpu->gpr[EDI] = 0;
    cpu->gpr[ESI] = calls;
    bt_user_map_sample(cpu, 0);
    cpu->mmu->space->user_time += 1ull << 40;
    for (u32 i = 0; i < 10000 && !(cpu->requests & REQ_HALT); i++)
        bt_run(cpu);
    CHECK(cpu->requests & REQ_HALT);
    CHECK_EQ(cpu->user_map, !cpu->mmu->no_user_maps);
}

TEST(bt_user_map, the_tables_hold_behind_iret)
{
    struct bt *bt = start();
    u64 hits;

    run(bt, 100);
    CHECK_EQ(bt->cpu->gpr[EBX], 50 * 17);
    hits = tc_of(bt->cpu)->memo_hits[MEMO_INT];
    run(bt, 100);
    CHECK_EQ(bt->cpu->gpr[EBX], 50 * 17);
    CHECK(tc_of(bt->cpu)->memo_hits[MEMO_INT] - hits > 90);
    CHECK_EQ(*(u32 *)(ram(bt) + FRAME_0 + 4), 100);
    CHECK_EQ(*(u32 *)(ram(bt) + FRAME_1 + 4), 100);
    CHECK(bt->stats.signals_user_map < 10);
}

/* mov [10h], ax;  add bx, [10h];  inc byte cs:[40h];  dec si;  jnz;  hlt */
static const u8 real[] = {0xa3, 0x10, 0, 0x03, 0x1e, 0x10, 0,    0x2e, 0xfe,
                          0x06, 0x40, 0, 0x4e, 0x75, 0xf1, 0xf4};

static void run_real(struct bt *bt, u32 turns)
{
    struct vcpu *cpu = bt->cpu;

    for (u32 s = ES; s <= DS; s++)
        cpu->seg[s] = (struct segment){s == CS ? KERNEL : FRAME_0, 0xffff, 0, s == CS ? 0x9b : 0x93};
    cpu->requests = 0;
    cpu->eip = 0;
    cpu->gpr[EAX] = 3;
    cpu->gpr[EBX] = 0;
    cpu->gpr[ESI] = turns;
    for (u32 i = 0; i < 10000 && !(cpu->requests & REQ_HALT); i++)
        bt_run(cpu);
    CHECK(cpu->requests & REQ_HALT);
    CHECK_EQ(cpu->gpr[EBX] & 0xffff, 3 * turns);
}

/* Without paging all code goes by it: data in its own page do not, and cost no host signal. */
TEST(bt_user_map, real_mode_goes_by_one)
{
    struct bt *bt = start();
    struct vcpu *cpu = bt->cpu;

    cpu->cr0 &= ~(u32)(CR0_PE | CR0_PG);
    mmu_mode_changed(&cpu->paging, false);
    memset(ram(bt) + KERNEL, 0, PAGE_SIZE);
    memcpy(ram(bt) + KERNEL, real, sizeof(real));
    run_real(bt, 100);
    bt_user_map_sample(cpu, 0);
    cpu->mmu->space->user_time += 1ull << 40;
    bt_user_map_sample(cpu, 1);
    CHECK(cpu->user_map);
    run_real(bt, 100);
    CHECK(bt->contexts[tc_of(cpu)->context].key & KEY_MAP_STORES);
    CHECK_EQ(ram(bt)[KERNEL + 0x40], 200);
    CHECK(mmu_user_map_has(&cpu->paging, FRAME_0, true));
    CHECK(!mmu_user_map_has(&cpu->paging, KERNEL, true));
    CHECK_EQ(bt->stats.signals_protected, 0);
    CHECK(bt->stats.signals_user_map < 3);
    /* the frame is another: as A20 does it */
    shadow_drop_sptes(cpu->mmu, cpu->mmu->space);
    run_real(bt, 100);
    CHECK_EQ(ram(bt)[KERNEL + 0x40], (u8)300);
}

/* As long as nobody changes the entry, IRET, too, needs no C. */
TEST(bt_user_map, the_way_back_is_remembered)
{
    struct bt *bt = start();
    u64 hits;

    memset(ram(bt) + HANDLER, 0x90, 10);
    run(bt, 100);
    hits = tc_of(bt->cpu)->memo_hits[MEMO_IRET];
    run(bt, 100);
    CHECK_EQ(bt->cpu->gpr[EBX], 100);
    CHECK(tc_of(bt->cpu)->memo_hits[MEMO_IRET] - hits > 90);
}

/* Without the map, with it, and without: one memory of where INT leads to. */
TEST(bt_user_map, a_map_comes_and_goes)
{
    struct bt *bt = start();
    u64 hits;

    memset(ram(bt) + HANDLER, 0x90, 10);
    run(bt, 10);
    for (u32 i = 0; i < 6; i++) {
        hits = tc_of(bt->cpu)->memo_hits[MEMO_INT];
        if (bt->cpu->user_map) {
            bt->cpu->mmu->space->user_map->spent = ~0ull;
            mmu_user_map_sync(&bt->cpu->paging);
        }
        bt->cpu->mmu->space->user_map_due = 0;
        bt->cpu->mmu->no_user_maps = !(i & 1);
        run(bt, 10);
        CHECK_EQ(bt->cpu->gpr[EBX], 10);
        CHECK(i < 2 || tc_of(bt->cpu)->memo_hits[MEMO_INT] - hits >= 10);
    }
}

/* The guest's kernel sees each fault; and there is no host signal for each. */
TEST(bt_user_map, a_page_that_is_not_there_is_the_guests)
{
    struct bt *bt = start();

    memcpy(ram(bt) + HANDLER, "\x83\x25\x40\x18\x10\x00\xfe\x90\x90\x90",
           10); /* and [entry], ~1 */
    run(bt, 1000);
    CHECK_EQ(bt->cpu->gpr[EBX], 1000);
    CHECK_EQ(bt->cpu->gpr[EDI], 999);
    CHECK(bt->stats.signals_user_map + bt->stats.signals_miss < 20);
}

/* The user's data lies in the page of its code: read-only there, but the stores arrive. */
TEST(bt_user_map, stores_to_a_page_with_code)
{
    struct bt *bt = start();

    set_page(bt, DATA, USER | ENTRY);
    memset(ram(bt) + HANDLER, 0x90, 10);
    memcpy(ram(bt) + USER + 2, &(u32){DATA + 0x800}, 4);
    memcpy(ram(bt) + USER + 10, &(u32){DATA + 0x804}, 4);
    ram(bt)[USER + 0x800] = 3;
    run(bt, 1000);
    CHECK_EQ(bt->cpu->gpr[EBX], 3000);
    CHECK_EQ(*(u32 *)(ram(bt) + USER + 0x804), 1000);
    CHECK(bt->stats.signals_user_map + bt->stats.signals_protected < 20);
    memcpy(ram(bt) + USER + 10, &(u32){DATA + 0x14}, 4); /* the jump itself */
    bt_flush(bt);
    run(bt, 1);
    CHECK_EQ(ram(bt)[USER + 0x14], 1);
}
