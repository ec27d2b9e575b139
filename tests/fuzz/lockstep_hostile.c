/*
 * What a hostile guest adds to a round (lockstep --hostile): page tables that point to
 * themselves, to devices, to ROM and above RAM, as 4 KiB, 4 MiB and 2 MiB pages with any
 * rights; segments of every base and limit; and code that rewrites them and goes there.
 *
 *      58000 pages of random entries, used as tables and directories
 *      60000 end of RAM;  70000 a device's memory;  74000 ROM
 */
#include "tests/fuzz/lockstep_gen.h"
#include "mmu/pte.h"

enum {
    WILD_PAGES = (RAM - WILD_TABLES) / PAGE_SIZE,
    MADE_DESCRIPTORS = (GDT_SIZE - WILD_SELECTOR) / 8,
};

/* ---- Tables ---- */

static u32 wild_frame(void)
{
    switch (pick(8)) {
    case 0:
        return (SCRATCH >> 12) + pick(6); /* the device, nobody, ROM, nobody */
    case 1:
        return (TABLES >> 12) + pick((RAM - TABLES) >> 12);
    case 2:
        return pick(4) ? (RAM >> 12) + pick(0x400) : rnd() & 0xfffff;
    case 3:
        return (CODE >> 12) + pick(CODE_SIZE >> 12);
    default:
        return pick(RAM >> 12);
    }
}

static u64 wild_entry(bool pae)
{
    u64 e = (u64)wild_frame() << 12 | (pick(4) ? PTE_P | PTE_W | PTE_U : rnd() & 7);

    e |= rnd() & (PTE_A | PTE_D | PTE_G);
    if (!pick(8))
        e |= PDE_PS;
    if (!pick(16))
        e |= rnd() & (PTE_PWT | PTE_PCD);
    if (pae && !pick(4))
        e |= PTE_NX;
    if (pae && !pick(64))
        e |= (u64)rnd() << 32;
    return e;
}

static void put_entry(u8 *ram, u32 table, u32 index, u64 val, bool pae)
{
    memcpy(ram + table + index * (pae ? 8 : 4), &val, pae ? 8 : 4);
}

/* A directory's entries other than those of code and data: to wild tables, to itself, large
 * pages. */
static void spoil_directory(u8 *ram, u32 directory, bool pae)
{
    u32 count = pae ? 512 : 1024;

    for (u32 i = 0; i < 24; i++) {
        u32 index = i < 4 ? 2 + i + pae : i < 8 ? count - 8 + i : pick(count - 4) + 4;
        u32 table = WILD_TABLES + pick(WILD_PAGES) * PAGE_SIZE;
        u64 e = pick(6) ? table | 7 : wild_entry(pae);

        put_entry(ram, directory, index, e, pae);
    }
    put_entry(ram, directory, count - 1, directory | 7, pae);
    put_entry(ram, directory, count - 2, (pick(4) * 0x200000) | PDE_PS | 7, pae);
}

void hostile_memory(u8 *ram, enum mode mode)
{
    bool pae = mode == PAE;
    u32 size = pae ? 8 : 4;

    for (u32 i = 0; i < WILD_PAGES * (PAGE_SIZE / size); i++)
        put_entry(ram, WILD_TABLES, i, wild_entry(pae), pae);
    if (mode_paged(mode)) {
        for (u32 n = 0; n < 2; n++) {
            u32 directory = TABLES + n * 0x2000;

            spoil_directory(ram, directory, pae);
            for (u32 i = RAM >> 12; i < 512; i++)
                put_entry(ram, directory + PAGE_SIZE, i, wild_entry(pae), pae);
        }
        for (u32 n = 1; pae && n < 4; n++) /* the other directory pointers */
            put_entry(ram, space_root(mode, pick(2)), n,
                      (WILD_TABLES + pick(WILD_PAGES) * PAGE_SIZE) | 1, true);
    }
    for (u32 i = 0; i < MADE_DESCRIPTORS; i++) {
        static const u8 types[] = { 0x92, 0x93, 0x96, 0xf2, 0xf3, 0xf6,
                                    0xf0, 0x9a, 0xfa, 0x9e, 0xfe, 0xf7 };
        u32 base = pick(3) ? rnd() : pick(2) ? 0u - pick(0x30000) : pick(RAM);
        u32 limit = pick(3) ? rnd() & 0xfffff : pick(2) ? 0xfffff : pick(0x30);
        u32 d[2] = { base << 16 | (limit & 0xffff),
                     (base & 0xff000000) | (base >> 16 & 0xff) | (u32)ONE_OF(types) << 8 |
                         (limit & 0xf0000) | (rnd() & 0xc00000) };

        memcpy(ram + GDT + WILD_SELECTOR + i * 8, d, 8);
    }
}

/* ---- Code ---- */

static u32 wild_address(void)
{
    static const u32 regions[] = { 0x400000,   0x800000,   0xc00000,   0x1000000,
                                   0xff800000, 0xffc00000, 0x80000000, 0x40000000,
                                   0xc0000000, 0xffe00000, 0x600000 };
    u32 at;

    switch (pick(8)) {
    case 0:
        return 0u - pick(32);
    case 1:
        return SCRATCH + pick(0x6000);
    case 2:
        return TABLES + pick(RAM - TABLES);
    case 3:
        return rnd();
    default:
        at = ONE_OF(regions) + pick(0x100) * PAGE_SIZE;
        return pick(2) ? at + (rnd() & 0xffc) : (at | PAGE_MASK) - pick(16);
    }
}

/* mov pointer, a wild address;  some use of it */
static void wild_pointer(struct gen *g)
{
    static const u8 op[] = { 0x8b, 0x89, 0x8a, 0x88, 0x01, 0x29, 0x87, 0x86, 0x03, 0x3b, 0x21 };
    u8 reg = ONE_OF(gen_pointers);

    gen_mov(g, reg, wild_address());
    for (u32 i = 1 + pick(3); i--;)
        GEN(g, ONE_OF(op), (u8)(0x40 | pick(3) << 3 | reg), (u8)(pick(2) ? 0 : rnd()));
}

/* mov eax, any entry;  mov [table], eax or a part of it; or many by REP STOS */
static void wild_store(struct gen *g)
{
    u32 at = TABLES + pick(RAM - TABLES) + (pick(4) ? 0 : 0x400000);

    if (pick(4))
        at = (at & ~3u) | 0;
    gen_mov(g, EAX, (u32)wild_entry(g->mode == PAE));
    if (!pick(4)) {
        gen_mov(g, EDI, at);
        gen_mov(g, ECX, pick(40));
        GEN(g, 0xf3, 0xab);
        return;
    }
    if (!pick(4))
        GEN(g, 0x66);
    GEN(g, (u8)(0xa2 + !!pick(4)));
    gen_imm(g, at, 4);
}

static void wild_root(struct gen *g)
{
    u32 root = space_root(g->mode, pick(2));

    if (!pick(3))
        root = WILD_TABLES + pick(WILD_PAGES) * PAGE_SIZE;
    else if (!pick(8))
        root = pick(2) ? rnd() : wild_frame() << 12;
    gen_mov(g, EAX, root | (pick(8) ? 0 : rnd() & 0xfff));
    GEN(g, 0x0f, 0x22, 0xd8);
}

/* mov eax, crN;  xor eax, bits of paging;  mov crN, eax; sometimes back again */
static void wild_mode(struct gen *g)
{
    static const u32 cr0[] = { CR0_PG, CR0_PG, CR0_WP }, cr4[] = { CR4_PSE, CR4_PAE, CR4_PGE };
    bool four = pick(2);
    u32 bit = four ? ONE_OF(cr4) : ONE_OF(cr0);
    u8 reg = (u8)(four ? 0xe0 : 0xc0);

    for (u32 i = 1 + pick(2); i--;) {
        GEN(g, 0x0f, 0x20, reg, 0x35);
        gen_imm(g, bit, 4);
        GEN(g, 0x0f, 0x22, reg);
        if (i)
            gen_insn(g);
    }
}

/* A segment made by chance into a register, and accesses at its edges. */
static void wild_segment(struct gen *g)
{
    u16 selector = (u16)(WILD_SELECTOR + pick(MADE_DESCRIPTORS) * 8 + pick(2) * 3);
    bool gs = pick(2);

    gen_mov(g, EAX, selector);
    GEN(g, 0x8e, (u8)(pick(4) ? 0xe0 | gs << 3 : 0xc0));
    for (u32 i = 1 + pick(3); i--;) {
        GEN(g, (u8)(pick(4) ? 0x64 | gs : 0x26), (u8)(0x88 | pick(4)), 0x05);
        gen_imm(g, pick(2) ? wild_address() : pick(2) ? pick(64) : pick(RAM), 4);
    }
}

/* jmp far into a segment made by chance, to where code lies for it: mov [data], off:sel;
 * jmp */
static void wild_jump(struct gen *g)
{
    u16 selector = (u16)(WILD_SELECTOR + pick(MADE_DESCRIPTORS) * 8 + pick(2) * 3);

    GEN(g, (u8)(pick(2) ? 0xea : 0x9a));
    gen_imm(g, pick(2) ? random_block(g->mode) : pick(2) ? 0u - pick(64) : wild_address(), 4);
    gen_imm(g, selector, 2);
}

/* Around 4 GiB, or a page's end: jmp there */
static void wild_branch(struct gen *g)
{
    gen_mov(g, ECX, wild_address());
    GEN(g, 0xff, (u8)(pick(2) ? 0xe1 : 0xd1));
}

/* mov esp, a wild address;  push, pop, call or enter;  mov esp, the stack */
static void wild_stack(struct gen *g)
{
    static const u8 op[] = { 0x50, 0x58, 0x60, 0x61, 0x9c, 0x9d, 0x8f, 0xc9 };

    gen_mov(g, ESP, wild_address());
    GEN(g, ONE_OF(op));
    gen_mov(g, ESP, STACK + pick(STACK_BYTES / 4) * 4);
}

/* mov al, 0 or 2;  out 92, al: A20 */
static void flip_a20(struct gen *g)
{
    GEN(g, 0xb0, (u8)(pick(2) * 2), 0xe6, 0x92);
}

void gen_hostile(struct gen *g)
{
    static void (*const any[])(struct gen *g) = {
        wild_pointer, wild_pointer, wild_pointer, wild_segment, wild_segment,
        wild_jump,    wild_branch,  wild_stack,   flip_a20,
    };
    static void (*const paged[])(struct gen *g) = {
        wild_store, wild_store, wild_store, wild_root, wild_root, wild_mode, wild_pointer,
    };

    if (!g->code32)
        gen_sequence(g);
    else if (mode_paged(g->mode) && pick(2))
        ONE_OF(paged)(g);
    else
        ONE_OF(any)(g);
}
