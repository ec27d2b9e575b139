/*
 * Stores to pages with code (bt/codepage.S): those that change a TU's bytes drop it, by
 * whatever byte; those that hit no code go on in the cache. Real mode.
 */
#include "bt/memo.h"
#include "bt/tu.h"
#include "cpu/interp.h"
#include "cpu/reset.h"
#include "cpu/segment.h"
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
            memset(bt->records, 0, sizeof(bt->records)); /* that it is overwritten so often */
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

static u64 callouts_but_hlt(const struct bt_stats *s)
{
    return s->callouts - s->callout_by[ZYDIS_MNEMONIC_HLT];
}

/* Each ends with HLT, and stores at DI or below SP. */
static const struct {
    const char *what, *code;
    u32 size;
} stores[] = {
    {"add [di], al", "\x00\x05\xf4", 3},
    {"xchg [di], eax", "\x66\x87\x05\xf4", 4},
    {"stosb", "\xaa\xf4", 2},
    {"rep stosb, one", "\xb9\x01\x00\xf3\xaa\xf4", 6},
    {"push ax", "\x50\xf4", 2},
    {"pusha", "\x60\xf4", 2},
    {"call", "\xe8\x00\x00\xf4", 4},
    {"fninit; fld1; fstp dword [di]", "\xdb\xe3\xd9\xe8\xd9\x1d\xf4", 7},
    {"fninit; fld1; fstp qword [di]", "\xdb\xe3\xd9\xe8\xdd\x1d\xf4", 7},
    {"fninit; fld1; fistp word [di]", "\xdb\xe3\xd9\xe8\xdf\x1d\xf4", 7},
    {"movups [di], xmm0", "\x0f\x11\x05\xf4", 4},
    {"movq [di], mm0; emms", "\x0f\x7f\x05\x0f\x77\xf4", 6},
};

TEST(bt_code_page_store, whatever_stores)
{
    enum { BESIDE = VICTIM + 0x80, AT = STORE + 0x100 };
    u32 lost = 0, unseen = 0; /* a bit for each of them */

    for (u32 i = 0; i < sizeof(stores) / sizeof(stores[0]); i++) {
        struct bt *bt = start(FORM_CHECKED);
        struct vcpu *cpu = bt->cpu;
        u8 *code = mmu_ram(cpu->mmu) + CODE;
        u64 before = 0, callouts = 0;
        u32 page = CODE >> PAGE_SHIFT, tus = 0;

        cpu->cr0 &= ~(u32)(CR0_EM | CR0_TS);
        cpu->cr4 |= CR4_OSFXSR;
        memcpy(code + VICTIM, victim, sizeof(victim));
        memcpy(code + AT, stores[i].code, stores[i].size);
        run(cpu, VICTIM);
        for (u32 turn = 0; turn < 4; turn++) {
            tus = bt->page_tus[page];
            before = tc_of(cpu)->memo_hits[MEMO_CODE_PAGE];
            callouts = callouts_but_hlt(&bt->stats);
            memset(code + BESIDE - 64, 0xaa, 128);
            cpu->gpr[EAX] = 0x1234;
            cpu->gpr[EDI] = BESIDE;
            cpu->gpr[ESP] = BESIDE + 2;
            run(cpu, AT);
        }
        if (tc_of(cpu)->memo_hits[MEMO_CODE_PAGE] <= before || code[BESIDE] == 0xaa ||
            callouts_but_hlt(&bt->stats) != callouts || bt->page_tus[page] != tus)
            lost |= 1u << i;
        /* The same over the victim. */
        cpu->gpr[EDI] = VICTIM;
        cpu->gpr[ESP] = VICTIM + 2;
        run(cpu, AT);
        if (bt->page_tus[page] != tus - 1)
            unseen |= 1u << i;
    }
    CHECK_EQ(lost, 0);
    CHECK_EQ(unseen, 0);
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

/* Code at VICTIM, patched at byte `at` turn by turn: with the turn's number, a word, or with
 * one of two opcodes. It does what it says, and costs no translation after the first few. */
static void patched(const char *code, u32 size, u32 at, const u32 *values,
                    void (*look)(const struct vcpu *cpu, u32 turn))
{
    struct bt *bt = start(FORM_CHECKED);
    u64 made;
    bool in_cache;

    memcpy(mmu_ram(bt->cpu->mmu) + CODE + VICTIM, code, size);
    for (u32 i = 1; i < 20; i++) {
        run(bt->cpu, VICTIM);
        made = bt->stats.insns;
        bt->cpu->gpr[EAX] = values ? values[i & 1] : i;
        drops_by_store(bt, VICTIM + at, values ? 1 : 2, &in_cache);
        bt->cpu->gpr[EBX] = 0;
        run(bt->cpu, VICTIM);
        look(bt->cpu, i);
        CHECK(i < 8 || (bt->stats.insns == made && in_cache));
    }
}

static void operand_is_turn(const struct vcpu *cpu, u32 turn)
{
    CHECK_EQ(cpu->gpr[EAX] & 0xffff, turn);
    CHECK_EQ(cpu->gpr[EBX], 5);
}

TEST(bt_code_page_store, a_patched_operand_is_no_code)
{
    /* inc bx, three times;  mov ax, i;  inc bx, twice;  hlt */
    patched("\x43\x43\x43\xb8\x00\x00\x43\x43\xf4", 9, 4, NULL, operand_is_turn);
}

static void opcode_is_turn(const struct vcpu *cpu, u32 turn)
{
    static const u8 results[2] = {1, 2}; /* after inc bx: nop; or inc bx */

    CHECK_EQ(cpu->gpr[EBX] & 0xffff, results[turn & 1]);
}

TEST(bt_code_page_store, a_patched_opcode_is_no_code)
{
    /* inc bx;  nop, or inc bx;  hlt */
    static const u32 opcodes[2] = {0x90, 0x43};

    patched("\x43\x90\xf4", 3, 1, opcodes, opcode_is_turn);
}

/* One of `count` opcodes of one byte each turn, which count in BX: what they come to, and what it
 * cost since. */
static void patch_with(struct bt *bt, u32 count, u32 turns, struct bt_stats *since)
{
    static const u8 opcodes[] = {0x43, 0x4b, 0x90, 0xf5, 0xf8, 0xf9, 0x98, 0x9b, 0x40, 0x48, 0x9e, 0x9f};
    bool in_cache;

    for (u32 i = 0; i < turns; i++) {
        u32 was = bt->cpu->gpr[EBX] & 0xffff, now = i % count;

        bt->cpu->gpr[EAX] = opcodes[now];
        drops_by_store(bt, VICTIM + 1, 1, &in_cache);
        bt->cpu->gpr[EBX] = was;
        run(bt->cpu, VICTIM);
        CHECK_EQ((bt->cpu->gpr[EBX] & 0xffff) - was, now == 0 ? 2 : now == 1 ? 0 : 1);
        if (i == turns / 2)
            *since = bt->stats;
    }
}

TEST(bt_variants, a_few_opcodes_in_turn_are_host_code)
{
    struct bt *bt = start(FORM_CHECKED);
    struct bt_stats since;

    memcpy(mmu_ram(bt->cpu->mmu) + CODE + VICTIM, "\x43\x90\xf4", 3); /* inc bx;  …;  hlt */
    patch_with(bt, 4, 100, &since);
    CHECK_EQ(bt->stats.variants, 4);
    CHECK_EQ(bt->stats.insns, since.insns);
    CHECK_EQ(callouts_but_hlt(&bt->stats), callouts_but_hlt(&since));
}

TEST(bt_variants, of_many_a_bounded_number_is_translated)
{
    struct bt *bt = start(FORM_CHECKED);
    struct bt_stats since;

    memcpy(mmu_ram(bt->cpu->mmu) + CODE + VICTIM, "\x43\x90\xf4", 3);
    patch_with(bt, 12, 200, &since);
    CHECK_EQ(bt->stats.variants, 8);
    CHECK_EQ(bt->stats.insns, since.insns);
    CHECK(callouts_but_hlt(&bt->stats) > callouts_but_hlt(&since));
}

TEST(bt_variants, a_flush_forgets_them)
{
    struct bt *bt = start(FORM_CHECKED);
    struct bt_stats since;

    memcpy(mmu_ram(bt->cpu->mmu) + CODE + VICTIM, "\x43\x90\xf4", 3);
    patch_with(bt, 3, 40, &since);
    bt_flush(bt);
    patch_with(bt, 3, 40, &since);
    CHECK_EQ(bt->stats.variants, 6);
}

/* Operands of many kinds, each patched turn by turn in one field, at the size given: read where
 * they stand, they are what the interpreter makes of them, and no callout. */
static const struct {
    const char *code;
    u8 size, at, n;
} fields[] = {
    {"\x05\x00\x00\xf4", 4, 1, 2},                          /* add ax, n */
    {"\x2c\x00\xf4", 3, 1, 1},                              /* sub al, n */
    {"\x83\xd3\x00\xf4", 4, 2, 1},                          /* adc bx, n, sign-extended */
    {"\x66\x81\xf1\x00\x00\x00\x00\xf4", 8, 3, 2},          /* xor ecx, n */
    {"\x66\x81\xfc\x00\x00\x00\x00\xf4", 8, 5, 2},          /* cmp esp, n, its upper half */
    {"\xa8\x00\xf4", 3, 1, 1},                              /* test al, n */
    {"\xb4\x00\xf4", 3, 1, 1},                              /* mov ah, n */
    {"\xb1\x00\xf4", 3, 1, 1},                              /* mov cl, n */
    {"\x66\xbd\x00\x00\x00\x00\xf4", 7, 2, 2},              /* mov ebp, n */
    {"\xc7\x06\x00\x60\x00\x00\xf4", 7, 4, 2},              /* mov word [6000], n */
    {"\x80\x2e\x00\x60\x00\xf4", 6, 4, 1},                  /* sub byte [6000], n */
    {"\xc1\xe0\x00\xf4", 4, 2, 1},                          /* shl ax, n */
    {"\xc1\xe9\x00\xf4", 4, 2, 1},                          /* shr cx, n */
    {"\xc0\xc9\x00\xf4", 4, 2, 1},                          /* ror cl, n */
    {"\x66\xd1\xc2\x66\xc1\xda\x00\xf4", 8, 6, 1},          /* rol edx, 1;  rcr edx, n */
    {"\x68\x00\x00\x5a\xf4", 5, 1, 2},                      /* push n;  pop dx */
    {"\x6a\x00\x5a\xf4", 4, 1, 1},                          /* push n, sign-extended;  pop dx */
    {"\xa1\x00\x00\xf4", 4, 1, 1},                          /* mov ax, [n] */
    {"\x8b\x56\x00\xf4", 4, 2, 1},                          /* mov dx, [bp+n] */
    {"\x8b\x90\x00\x00\xf4", 5, 2, 1},                      /* mov dx, [bx+si+n] */
    {"\x8d\xb4\x00\x00\xf4", 5, 2, 2},                      /* lea si, [si+n] */
    {"\x66\x67\x8d\x9c\x8b\x00\x00\x00\x00\xf4", 10, 5, 2}, /* lea ebx, [ebx+ecx*4+n] */
    {"\x66\x67\x8d\x1c\x25\x00\x00\x00\x00\xf4", 10, 5, 2}, /* lea ebx, [n] */
    {"\x87\x96\x00\x00\xf4", 5, 2, 1},                      /* xchg dx, [bp+n] */
    {"\xc7\x86\x00\x60\x34\x12\xf4", 7, 2, 1},              /* mov word [bp+n], 1234 */
    {"\xc6\x84\x00\x01\x77\xf4", 6, 2, 1}, /* mov byte [si+100+n], 77: beside code */
};

static void give_registers(struct vcpu *cpu, u32 turn)
{
    for (u32 i = 0; i < 8; i++)
        cpu->gpr[i] = turn * 0x9e3779b1u * (i + 1);
    cpu->gpr[EBX] &= 0xfff;
    cpu->gpr[ESI] &= 0xfff;
    cpu->gpr[ESP] = 0x7f00;
    cpu->gpr[EBP] = 0x6100;
    cpu->eip = VICTIM;
}

/* By the interpreter, up to HLT. */
static void interpret(struct vcpu *cpu)
{
    cpu->requests = 0;
    while (!(cpu->requests & REQ_HALT))
        cpu_run_one(cpu);
}

static void patch_turn_by_turn(u32 row)
{
    struct bt *bt = start(FORM_ADAPT);
    struct vcpu *cpu = bt->cpu, *other = start(FORM_ADAPT)->cpu;
    u8 *ram = mmu_ram(cpu->mmu) + CODE, *other_ram = mmu_ram(other->mmu) + CODE;
    u64 made = 0, callouts = 0;
    bool in_cache;

    memcpy(ram + VICTIM, fields[row].code, fields[row].size);
    memcpy(other_ram + VICTIM, fields[row].code, fields[row].size);
    for (u32 i = 1, n; i < 60; i++) {
        n = i * 0x4d5b;
        cpu->gpr[EAX] = n;
        drops_by_store(bt, VICTIM + fields[row].at, fields[row].n, &in_cache);
        memcpy(other_ram + VICTIM + fields[row].at, &n, fields[row].n);
        CHECK(i < 16 || in_cache);
        give_registers(cpu, i);
        give_registers(other, i);
        other->eflags = cpu->eflags;
        run(cpu, VICTIM);
        interpret(other);
        made = i == 16 ? bt->stats.insns : made;
        callouts =
            i == 16 ? bt->stats.callouts - bt->stats.callout_by[ZYDIS_MNEMONIC_HLT] : callouts;
        if (memcmp(cpu->gpr, other->gpr, sizeof(cpu->gpr)) ||
            cpu_eflags(cpu) != cpu_eflags(other) || memcmp(ram, other_ram, 0x8000))
            test_fail(__FILE__, __LINE__, "row %u, turn %u", row, i);
    }
    CHECK_EQ(bt->stats.insns, made);
    CHECK_EQ(bt->stats.callouts - bt->stats.callout_by[ZYDIS_MNEMONIC_HLT], callouts);
}

/* mov word [bp+n], m: both fields, turn by turn. */
TEST(bt_code_page_store, both_fields_of_an_instruction_may_be_patched)
{
    struct bt *bt = start(FORM_ADAPT);
    u8 *ram = mmu_ram(bt->cpu->mmu) + CODE;
    u64 made = 0;
    bool in_cache;

    memcpy(ram + VICTIM, "\xc7\x86\x00\x60\x34\x12\xf4", 7);
    for (u32 i = 1; i < 60; i++) {
        bt->cpu->gpr[EAX] = i;
        drops_by_store(bt, VICTIM + (i & 1 ? 2 : 4), 1, &in_cache);
        CHECK(i < 24 || in_cache);
        give_registers(bt->cpu, i);
        run(bt->cpu, VICTIM);
        CHECK_EQ(ram[0x6100 + 0x6000 + ram[VICTIM + 2]], ram[VICTIM + 4]);
        made = i == 24 ? bt->stats.insns : made;
    }
    CHECK_EQ(bt->stats.insns, made);
}

TEST(bt_code_page_store, patched_fields_of_all_kinds_are_read_where_they_stand)
{
    for (u32 row = 0; row < sizeof(fields) / sizeof(*fields); row++)
        patch_turn_by_turn(row);
}

TEST(bt_code_page_store, a_patched_instruction_that_stays_is_code_again)
{
    struct bt *bt = start(FORM_CHECKED);
    u64 callouts;
    bool in_cache;

    memcpy(mmu_ram(bt->cpu->mmu) + CODE + VICTIM, "\x90\xf4", 2); /* nop;  hlt */
    bt->cpu->gpr[EAX] = 0x90;
    for (u32 i = 0; i < 8; i++) {
        run(bt->cpu, VICTIM);
        drops_by_store(bt, VICTIM, 1, &in_cache);
    }
    CHECK(in_cache);
    for (u32 i = 0; i < 300; i++)
        run(bt->cpu, VICTIM);
    CHECK_EQ(bt->stats.forgotten, 1);
    callouts = bt->stats.callout_by[ZYDIS_MNEMONIC_NOP];
    for (u32 i = 0; i < 10; i++)
        run(bt->cpu, VICTIM);
    CHECK_EQ(bt->stats.callout_by[ZYDIS_MNEMONIC_NOP], callouts);
    CHECK_EQ(drops_by_store(bt, VICTIM, 1, &in_cache), 1);
}
