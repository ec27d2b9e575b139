/*
 * The price list's guest in C: builds tables, fills in the job of each row, times it, prints
 *
 *   row NUMBER TURNS BEST MEDIAN TRAP
 *
 * with hundredths of TSC cycles for a turn of the row's loop, and the vector of its last fault
 * (255: none). The command line: mode=flat|paged|ring3|real|v86; khz=N, the TSC's rate;
 * rows=NUMBER,NUMBER…: only these.
 */
#include "bench/guest.h"
#include "bench/prices/layout.h"
#include "bench/prices/timing.h"

enum { SAMPLE_US = 20, ROW_US = 400, SAMPLES = 40 };
enum {
    PAGE = 4096,
    TABLES = 4,
    PRESENT_ALL = 7 /* present, writable, user */,
    CR0_MP_NE = 0x22,
    CR0_PG_WP = 0x80010000,
    CR4_SSE = 0x600
};
enum { GATE = 0x8e00, DPL3 = 0x6000, MSR_SYSENTER_CS = 0x174 };

extern void run_flat(void), run_ring3(void), run_real(void), run_v86(void);
extern void load_tables(void);
extern char trap_int[], trap_leave[], trap_sysenter[], stub16_begin[], stub16_end[], trap16[],
    trap16_int[];
extern u32 traps[32], user_mode;
extern u64 idt[256];
extern struct price_row rows[], rows_end[];
extern u8 code[], code_end[];

static u32 page_directory[1024] __attribute__((aligned(PAGE))),
    page_tables[TABLES][1024] __attribute__((aligned(PAGE)));
static u32 tss[26];
static u8 trap_stack[4096] __attribute__((aligned(16)));
static u32 data = DATA32; /* where the mode's data lies */
static void (*enter)(void);
static struct job *job;

static void copy(void *to, const void *from, u32 n)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");
}

static void fill(void *to, u8 byte, u32 n)
{
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");
}

/* ---- Tables ---- */

static void gate(u32 vector, u32 at, u32 bits)
{
    idt[vector] = (u64)(at & 0xffff0000) << 32 | (u64)(GATE | bits) << 32 | SEL_CODE << 16 |
                  (at & 0xffff);
}

/* Faults of each vector; what INT3, INTO, INT1 and INT 80h reach returns at once. */
static void gates_init(void)
{
    for (u32 i = 0; i < 32; i++)
        gate(i, traps[i], 0);
    gate(1, (u32)trap_int, DPL3);
    gate(3, (u32)trap_int, DPL3);
    gate(4, (u32)trap_int, DPL3);
    gate(0x80, (u32)trap_int, DPL3);
    gate(0x81, (u32)trap_leave, DPL3);
}

static void gdt_init(void)
{
    u64 *gdt = (u64 *)(DATA32 + OFF_GDT);
    u32 at = (u32)tss;
    static const u64 flat[5] = { 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff,
                                 0x00cff3000000ffff };

    copy(gdt, flat, sizeof(flat));
    tss[1] = (u32)trap_stack + sizeof(trap_stack);
    tss[2] = SEL_DATA;
    tss[25] = sizeof(tss) << 16;
    gdt[SEL_TSS / 8] = (u64)(at >> 24) << 56 | (u64)0x89 << 40 | (u64)(at & 0xffffff) << 16 |
                       (sizeof(tss) - 1);
    gdt[SEL_CODE16 / 8] = 0x00009b000000ffff | (u64)STUB16 << 16;
    gdt[SEL_DATA16 / 8] = 0x000093000000ffff;
}

static void wrmsr(u32 msr, u32 val)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"(val), "d"(0));
}

static void paging_on(void)
{
    for (u32 i = 0; i < TABLES * 1024; i++)
        page_tables[i / 1024][i % 1024] = i * PAGE | PRESENT_ALL;
    for (u32 i = 0; i < TABLES; i++)
        page_directory[i] = (u32)page_tables[i] | PRESENT_ALL;
    __asm__ volatile("mov %0, %%cr3" ::"r"(page_directory));
    __asm__ volatile("mov %%cr0, %%eax; or %0, %%eax; mov %%eax, %%cr0" ::"i"(CR0_PG_WP)
                     : "eax", "memory");
}

static void processor_init(void)
{
    gdt_init();
    gates_init();
    load_tables();
    __asm__ volatile("mov %%cr0, %%eax; or %0, %%eax; mov %%eax, %%cr0" ::"i"(CR0_MP_NE)
                     : "eax");
    __asm__ volatile("mov %%cr4, %%eax; or %0, %%eax; mov %%eax, %%cr4" ::"i"(CR4_SSE) : "eax");
    wrmsr(MSR_SYSENTER_CS, SEL_CODE);
    wrmsr(MSR_SYSENTER_CS + 1, (u32)trap_stack + sizeof(trap_stack));
    wrmsr(MSR_SYSENTER_CS + 2, (u32)trap_sysenter);
}

/* 16-bit code, its traps, and the rows to low memory. */
static void low_memory_init(void)
{
    u32 *ivt;

    __asm__("" : "=r"(ivt) : "0"(0)); /* address 0, which the compiler would not believe */
    data = DATA16;
    copy((void *)STUB16, stub16_begin, stub16_end - stub16_begin);
    copy((void *)CODE16, code, code_end - code);
    for (u32 i = 0; i < 32; i++)
        ivt[i] = (STUB16 >> 4) << 16 | (u32)(trap16 - stub16_begin + 32 * i);
    ivt[1] = ivt[3] = ivt[4] = ivt[0x80] =
        (STUB16 >> 4) << 16 | (u32)(trap16_int - stub16_begin);
}

/* ---- Rows ---- */

static u64 run(u32 turns)
{
    job->regs[5] = turns;
    enter();
    return job->end - job->start;
}

static void prepare(const struct price_row *row)
{
    fill((void *)data, 0, OFF_DST + AREA);
    fill((void *)(data + OFF_ONES), 0xff, AREA);
    fill((void *)(data + OFF_STACK - 0x800), 0, 0x1000);
    copy(job->regs, row->regs, sizeof(job->regs));
    copy(job->lanes, row->lanes, sizeof(job->lanes));
    copy((void *)(data + (row->place & 0xffff)), row->memory, sizeof(row->memory));
    job->code = (u32)code + row->code;
    if (data == DATA16) {
        job->code = row->entry | (CODE16 + row->code - row->entry) >> 4 << 16;
    }
    job->unit = row->unit;
    job->backward = row->backward;
    job->skip = row->skip;
    job->trap = 255;
    ((struct job *)(DATA32 + OFF_JOB))->skip = row->skip;
}

static void measure(u32 number, u32 khz)
{
    u32 turns;
    u64 best, median;

    prepare(&rows[number]);
    turns = turns_for(run, khz / 1000 * SAMPLE_US);
    sample(run, turns, khz / 1000 * ROW_US, SAMPLES, &best, &median);
    put("row");
    put_number(number);
    put_number(turns);
    put_number(hundredths(best, turns));
    put_number(hundredths(median, turns));
    put_number(job->trap);
    put("\n");
}

static bool word_is(const char *s, const char *word)
{
    while (*word && *s == *word)
        s++, word++;
    return !*word && (!*s || *s == ' ');
}

static void mode_init(const char *mode)
{
    enter = run_flat;
    if (word_is(mode, "ring3"))
        enter = run_ring3, user_mode = 1;
    if (word_is(mode, "v86") || word_is(mode, "real"))
        low_memory_init();
    if (word_is(mode, "v86"))
        enter = run_v86;
    if (word_is(mode, "real"))
        enter = run_real;
    job = (struct job *)(data + OFF_JOB);
    job->v86 = word_is(mode, "v86");
    job->fifth = 0.2f;
    if (!word_is(mode, "flat") && !word_is(mode, "real"))
        paging_on();
}

/* The next number of "N,N,N "; where it ends; NULL: no more. */
static const char *next_number(const char *s, u32 *val)
{
    if (*s < '0' || *s > '9')
        return 0;
    for (*val = 0; *s >= '0' && *s <= '9'; s++)
        *val = *val * 10 + *s - '0';
    return *s == ',' ? s + 1 : s;
}

void prices_main(u32 magic, const u32 *info)
{
    const char *only, *mode;
    u32 khz, number;

    options_init(magic, info, "");
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    khz = number_option("khz=");
    mode = option("mode=");
    processor_init();
    mode_init(mode ? mode : "flat");
    only = option("rows=");
    if (only)
        while ((only = next_number(only, &number)) && number < (u32)(rows_end - rows))
            measure(number, khz);
    else
        for (u32 i = 0; i < (u32)(rows_end - rows); i++)
            measure(i, khz);
    leave();
}
