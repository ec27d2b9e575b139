/*
 * User code by a user map (mmu/usermap.c): a kernel of a few instructions gives the user's page
 * another frame before each IRET, which the user's next load has to find; and what happens
 * where the page is not there, or may not be written.
 */
#include "bt/tu.h"
#include "cpu/reset.h"
#include "mmu/pte.h"
#include "mmu/shadow.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>

enum {
    DIRECTORY = 0x100000,
    TABLE = 0x101000,
    GDT = 0x102000,
    IDT = 0x103000,
    TSS = 0x104000,
    KERNEL = 0x110000,
    HANDLER = KERNEL + 0x100,
    FAULT = KERNEL + 0x200,
    STACK0 = 0x120000,
    USER = 0x200000,
    DATA = 0x210000,
    FRAME_0 = 0x300000,
    FRAME_1 = 0x301000,
    CODE0 = 8,
    DATA0 = 16,
    CODE3 = 24 + 3,
    DATA3 = 32 + 3,
    TASK = 40,
    SUPERVISOR = PTE_P | PTE_W | PTE_A | PTE_D,
    ENTRY = SUPERVISOR | PTE_U
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

static void put(const struct bt *bt, gpa_t at, u32 low, u32 high)
{
    memcpy(ram(bt) + at, &(u32[2]){low, high}, 8);
}

static void set_gate(const struct bt *bt, u32 vector, u32 to)
{
    put(bt, IDT + 8 * vector, CODE0 << 16 | (to & 0xffff), (to & 0xffff0000) | 0xee00);
}

static void set_page(const struct bt *bt, u32 gla, u32 entry)
{
    memcpy(ram(bt) + TABLE + 4 * (gla >> PAGE_SHIFT), &entry, 4);
}

/* However much the host's calls cost, and whatever else it runs meanwhile. */
static u64 no_time(void)
{
    return 0;
}

static void flat(struct segment *s, u32 selector, u16 attr)
{
    *s = (struct segment){0, ~0u, (u16)selector, attr};
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
    memcpy(ram(bt) + DIRECTORY, &(u32){TABLE | ENTRY}, 4);
    for (u32 i = 0; i < 1024; i++)
        set_page(bt, i << PAGE_SHIFT, i << PAGE_SHIFT | SUPERVISOR);
    set_page(bt, USER, USER | ENTRY);
    set_page(bt, DATA, FRAME_0 | ENTRY);
    put(bt, GDT + CODE0, 0xffff, 0xcf9b00);
    put(bt, GDT + DATA0, 0xffff, 0xcf9300);
    put(bt, GDT + (CODE3 & ~3), 0xffff, 0xcffb00);
    put(bt, GDT + (DATA3 & ~3), 0xffff, 0xcff300);
    put(bt, TSS + 4, STACK0, DATA0);
    set_gate(bt, 0x40, HANDLER);
    set_gate(bt, EXC_PF, FAULT);
    memcpy(ram(bt) + HANDLER, handler, sizeof(handler));
    memcpy(ram(bt) + FAULT, fault, sizeof(fault));
    memcpy(ram(bt) + USER, user, sizeof(user));
    ram(bt)[FRAME_0] = 1;
    ram(bt)[FRAME_1] = 16;
    cpu->gdtr = (struct table_register){GDT, 0xff};
    cpu->idtr = (struct table_register){IDT, 0x7ff};
    cpu->seg[TR] = (struct segment){TSS, 0x67, TASK, 0x8b};
    cpu->cr3 = DIRECTORY;
    cpu->cr0 |= CR0_PE | CR0_PG | CR0_WP;
    mmu_mode_changed(&cpu->paging, false);
    cpu->mmu->user_maps_after = 0;
    cpu->mmu->ticks = no_time;
    return bt;
}

/* The user's program, for so many system calls. */
static void run(struct bt *bt, u32 calls)
{
    struct vcpu *cpu = bt->cpu;

    for (u32 s = ES; s <= DS; s++)
        flat(&cpu->seg[s], s == CS ? CODE3 : DATA3, s == CS ? 0xc0fb : 0xc0f3);
    cpu->cpl = 3;
    mmu_cpl_changed(&cpu->paging, true);
    cpu->requests = 0;
    cpu->eip = USER;
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
