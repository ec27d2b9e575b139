/*
 * The address spaces of a round: their tables, and code that changes them and goes from one to
 * another.
 *
 * Spaces 0 and 1 share all but some pages of code and data; 2 and 3 have the same tables for
 * these as 0 and 1. Each also shows the first 4 MiB once more at 400000 by a large page, so
 * that code and tables can be written behind the back of their own mapping. From KERNEL_HALF
 * on, CPL 0 has RAM several times more, a region for each entry of the directory: there the
 * spaces agree, but for some entries. So they make a shared shadow (mmu/shared.c), and quarrel
 * in it.
 */
#include "tests/fuzz/lockstep_gen.h"
#include <string.h>

/* Of spaces 0 and 1 a directory and, behind it, a table of the first MiBs; PAE: directory
 * pointers of all. What all have of the kernel: two tables; with PAE, each its directory above
 * them. */
enum {
    SPACE_SIZE = 0x2000,
    POINTERS = TABLES + 2 * SPACE_SIZE,
    KERNEL_TABLE = POINTERS + PAGE_SIZE,
    KERNEL_DIRECTORY = KERNEL_TABLE + PAGE_SIZE, /* spaces 0 and 1 */
    KERNEL_TABLE2 = KERNEL_DIRECTORY + 2 * PAGE_SIZE,
    MORE_DIRECTORIES = KERNEL_TABLE2 + PAGE_SIZE, /* spaces 2 and 3: whole; PAE: the kernel's */
    KERNEL_REGIONS = 8,
};
static_assert(MORE_DIRECTORIES + 2 * PAGE_SIZE <= WILD_TABLES, "tables meet a hostile guest's");

static u32 directory_of(u32 space)
{
    return space < 2 ? TABLES + space * SPACE_SIZE : MORE_DIRECTORIES + (space - 2) * PAGE_SIZE;
}

u32 space_root(enum mode mode, u32 n)
{
    return mode == PAE ? POINTERS + n * 32 : directory_of(n);
}

static u32 kernel_directory(enum mode mode, u32 space)
{
    return mode == PAE && space < 2 ? KERNEL_DIRECTORY + space * PAGE_SIZE
                                    : directory_of(space);
}

/* Where a space's directory entry for a region of the kernel lies. */
static u32 kernel_entry(enum mode mode, u32 space, u32 region)
{
    u32 first = mode == PAE ? 0 : (u32)KERNEL_HALF >> 22;

    return kernel_directory(mode, space) + (first + region) * (mode == PAE ? 8 : 4);
}

u32 random_kernel_region(enum mode mode)
{
    return (u32)KERNEL_HALF + pick(KERNEL_REGIONS) * (mode == PAE ? 0x200000u : 0x400000u);
}

/* ---- Tables ---- */

/* Present, writable, user; kernel pages mostly without the last. */
static u32 page_rights(enum mode mode, u32 page)
{
    if (page < 16 || page >= TABLES_PAGE) /* the system's; its tables are everybody's */
        return mode == PAGED || page >= TABLES_PAGE ? 7 : 3;
    if (page >= CODE >> 12 && page < (CODE + CODE_SIZE) >> 12)
        return pick(8) ? 7 : 5;
    return pick(6) ? 7 : pick(8);
}

/* Data pages in an odd order; the second space has other code and data in some. */
static u32 page_frame(u32 space, u32 page)
{
    bool code = page >= CODE >> 12 && page < (CODE + CODE_SIZE) >> 12;

    if (page < 16 || page >= TABLES_PAGE)
        return page;
    if (code)
        return space && pick(2) ? page + ((CODE2 - CODE) >> 12) : page;
    if (page >= CODE2 >> 12 && page < (CODE2 + CODE_SIZE) >> 12)
        return page;
    return (page & ~3u) | (3 - ((page + (space && pick(2))) & 3));
}

static void entry(u8 *ram, u32 at, u32 index, u64 val, bool pae)
{
    memcpy(ram + at + index * (pae ? 8 : 4), &val, pae ? 8 : 4);
}

/* The table of the first MiBs, of spaces n and n + 2. */
static void make_table(u8 *ram, enum mode mode, u32 n)
{
    u32 table = directory_of(n) + PAGE_SIZE;
    bool pae = mode == PAE;

    for (u32 i = 0; i < 512; i++) {
        u64 nx = pae && i >= DATA >> 12 && i < TABLES_PAGE && pick(2) ? 1ull << 63 : 0;

        entry(ram, table, i, page_frame(n, i) << 12 | page_rights(mode, i) | nx, pae);
    }
}

static void make_space(u8 *ram, enum mode mode, u32 n)
{
    u32 directory = directory_of(mode == PAE ? n & 1 : n);
    bool pae = mode == PAE;

    entry(ram, directory, 0, (directory_of(n & 1) + PAGE_SIZE) | 7, pae);
    entry(ram, directory, pae ? 2 : 1, 0x80 | 7 | (pick(2) ? 0x100 : 0), pae);
    if (pae) {
        entry(ram, POINTERS + n * 32, 0, directory | 1, true);
        entry(ram, POINTERS + n * 32, 3, kernel_directory(mode, n) | 1, true);
    }
}

/* What a directory may have for a region of the kernel; mostly one of its tables. */
static u32 kernel_value(void)
{
    static const u32 values[] = {
        KERNEL_TABLE | 3, KERNEL_TABLE2 | 3, KERNEL_TABLE | 0x63, KERNEL_TABLE2 | 1,
        KERNEL_TABLE | 3, KERNEL_TABLE2 | 3, KERNEL_TABLE2 | 7, (TABLES + PAGE_SIZE) | 3,
        (TABLES + SPACE_SIZE + PAGE_SIZE) | 3, 0x83, 0,
    };

    return ONE_OF(values);
}

/* Of the second of the kernel's tables. */
static u32 other_frame(u32 page)
{
    if (page >= TABLES_PAGE)
        return page;
    return page >= CODE >> 12 && page < (CODE + CODE_SIZE) >> 12 ? page + ((CODE2 - CODE) >> 12)
                                                                  : page ^ 1;
}

/* The regions show one table or the other, and in some spaces one region something else. */
static void make_kernel_half(u8 *ram, enum mode mode)
{
    bool pae = mode == PAE;

    for (u32 i = 0; i < RAM >> 12; i++) {
        u32 rights = (pick(16) ? 3 : pick(8)) | (pick(2) ? 0x100 : 0);

        entry(ram, KERNEL_TABLE, i, i << 12 | rights, pae);
        entry(ram, KERNEL_TABLE2, i, other_frame(i) << 12 | rights, pae);
    }
    for (u32 r = 0; r < KERNEL_REGIONS; r++)
        for (u32 n = 0; n < SPACES; n++)
            entry(ram, kernel_entry(mode, n, r), 0, (r & 1 ? KERNEL_TABLE2 : KERNEL_TABLE) | 3,
                  pae);
    for (u32 n = 0; n < SPACES; n++)
        if (pick(2))
            entry(ram, kernel_entry(mode, n, pick(KERNEL_REGIONS)), 0, kernel_value(), pae);
}

void make_spaces(u8 *ram, enum mode mode)
{
    for (u32 n = 0; n < 2; n++)
        make_table(ram, mode, n);
    for (u32 n = 0; n < SPACES; n++)
        make_space(ram, mode, n);
    make_kernel_half(ram, mode);
}

/* ---- Code ---- */

/* mov eax, root;  mov cr3, eax;  or the same root again */
void gen_switch_space(struct gen *g)
{
    if (pick(3))
        gen_mov(g, EAX, space_root(g->mode, pick(SPACES)));
    else
        GEN(g, 0x0f, 0x20, 0xd8);
    GEN(g, 0x0f, 0x22, 0xd8);
}

/* The linear address of an entry for a page of code or data, by the tables' own mapping or by
 * the large page that shows them again; sometimes of a directory, for the first pages or the
 * kernel's. */
static u32 table_entry(const struct gen *g, u32 page)
{
    bool pae = g->mode == PAE;
    u32 at = TABLES + 0x1000 * (1 + 2 * pick(3)) + page * (pae ? 8 : 4);

    if (!pick(12))
        at = pick(3) ? kernel_entry(g->mode, pick(SPACES), pick(KERNEL_REGIONS))
                     : directory_of(pick(2)) + (pae && !pick(3) ? 4 : 0);
    return at + (pick(8) ? 0 : 0x400000);
}

/* op [at], and an immediate of 4 or 1 bytes */
static void table_op(struct gen *g, u8 opcode, u8 reg, u32 at, u32 imm, u32 size)
{
    GEN(g, opcode, (u8)(reg << 3 | 5));
    gen_imm(g, at, 4);
    gen_imm(g, imm, size);
}

void gen_write_table(struct gen *g)
{
    static const u32 bits[] = { 1, 2,    4,      0x20,   0x40, 1, 2,    4,
                                3, 0x60, 0x1000, 0x2000, 0x67, 8, 0x100 };
    static const u8 numbers[] = { 0, 1, 2, 5, 6, 12, 13, 8 };
    u32 page = (pick(2) ? CODE : DATA) / PAGE_SIZE + pick(8), at = table_entry(g, page);

    switch (pick(8)) {
    case 0: /* mov */
        table_op(g, 0xc7, 0, at, page << 12 | 7, 4);
        break;
    case 1: /* or */
        table_op(g, 0x81, 1, at, 7, 4);
        break;
    case 2: /* and */
        table_op(g, 0x81, 4, at, ~ONE_OF(bits), 4);
        break;
    case 3: /* xor byte */
        table_op(g, 0x80, 6, at, 1u << pick(7), 1);
        break;
    case 4: /* lock bts, btr, btc */
        if (pick(2))
            GEN(g, 0xf0);
        GEN(g, 0x0f);
        table_op(g, 0xba, (u8)(5 + pick(3)), at, ONE_OF(numbers), 1);
        break;
    case 5: /* mov eax, [another];  mov or xchg [at], eax */
        GEN(g, 0xa1);
        gen_imm(g, table_entry(g, DATA / PAGE_SIZE + pick(8)), 4);
        GEN(g, (u8)(pick(2) ? 0x89 : 0x87), 0x05);
        gen_imm(g, at, 4);
        break;
    default: /* xor */
        table_op(g, 0x81, 6, at, ONE_OF(bits), 4);
    }
}

/* mov al or eax, [at], or the other way */
static void kernel_access(struct gen *g, u32 at)
{
    GEN(g, (u8)(0xa0 + pick(4)));
    gen_imm(g, at, 4);
}

/* A region of the kernel in one space after the other, after a directory's entry for it has
 * changed, or not; at last sometimes: mov eax, code there;  jmp eax */
static void kernel_half(struct gen *g)
{
    u32 region = pick(KERNEL_REGIONS);
    u32 base = (u32)KERNEL_HALF + region * (g->mode == PAE ? 0x200000u : 0x400000u);
    u32 at = base + DATA + (rnd() & 0xfffc);

    if (!pick(3))
        table_op(g, 0xc7, 0, kernel_entry(g->mode, pick(SPACES), region), kernel_value(), 4);
    for (u32 i = 0; i < 3; i++) {
        if (i)
            gen_switch_space(g);
        kernel_access(g, pick(3) ? at : base + DATA + (rnd() & 0xfffc));
    }
    if (!pick(4)) {
        gen_mov(g, EAX, base + random_block(g->mode));
        GEN(g, 0xff, 0xe0);
    }
}

/* invlpg [a page that is used] */
static void invalidate(struct gen *g)
{
    GEN(g, 0x0f, 0x01, 0x3d);
    gen_imm(g, (pick(2) ? CODE : DATA) + pick(8) * PAGE_SIZE, 4);
}

void gen_paging(struct gen *g)
{
    static void (*const any[])(struct gen *g) = {
        gen_switch_space, gen_write_table, gen_write_table,
        gen_write_table,  invalidate,      kernel_half,
    };

    ONE_OF(any)(g);
}
