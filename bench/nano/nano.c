/*
 * Times single operations against the TSC, which under ring3 and QEMU is the host's, and prints
 * on port E9, a line per row: "row NAME BEST MEDIAN N", in hundredths of a TSC cycle per
 * operation; BEST of many short samples is free of what else the host does. Leaves by port F4
 * (isa-debug-exit).
 *
 * The command line (multiboot):
 *   khz=N       the host's TSC rate; without it the PIT's channel 2 tells
 *   row=NAME    only this row
 *   n=N         run each row's operation N times, once, and print nothing but its name: for
 *               counting
 *   marks       no clock of the guest's is trusted: prints "begin NAME N" and "end NAME" around
 *               a run of N operations, for the reader to time. So without multiboot, too.
 */
#include "bench/nano/nano.h"

enum { SAMPLES = 100, SAMPLE_US = 200, ROW_US = 30000, MARK_CYCLES = 3000000 };
enum { LEAST = 8, MOST = 1 << 22 }; /* operations of a sample */

static u32 khz;

void nano_trap(u32 *frame)
{
    put("trap, frame:");
    for (u32 i = 0; i < 6; i++)
        put_number(frame[i]);
    put("\n");
    leave();
}

static bool wanted(const char *name)
{
    const char *s = option("row=");

    if (!s)
        return 1;
    while (*name && *s == *name)
        s++, name++;
    return !*name && (!*s || *s == ' ');
}

/* ---- Measuring ---- */

/* TSC cycles while the PIT's channel 2 counts 10 ms, in kHz (8254 mode 0; port 61h gates and
 * reads it). */
static u32 tsc_rate(void)
{
    enum { TICKS = 11932 };
    u64 start, val;

    outb(0x61, (inb(0x61) & ~2) | 1);
    outb(0x43, 0xb0);
    outb(0x42, TICKS & 0xff);
    outb(0x42, TICKS >> 8);
    start = rdtsc();
    while (!(inb(0x61) & 0x20))
        ;
    val = rdtsc() - start;
    divide(&val, 10);
    return val;
}

static void measure(const struct row *row)
{
    u32 n = sample_size(row->run, khz / 1000 * SAMPLE_US, LEAST, MOST);
    u64 best, median;

    sample(row->run, n, khz / 1000 * ROW_US, SAMPLES, &best, &median);
    put("row ");
    put(row->name);
    put_number(hundredths(best, n));
    put_number(hundredths(median, n));
    put_number(n);
    put("\n");
}

static void mark(const struct row *row)
{
    u32 n = sample_size(row->run, MARK_CYCLES, LEAST, MOST);

    put("begin ");
    put(row->name);
    put_number(n);
    put("\n");
    row->run(n);
    put("end ");
    put(row->name);
    put("\n");
}

static void run_row(const struct row *row)
{
    u32 n = number_option("n=");

    if (n) {
        put("running ");
        put(row->name);
        put("\n");
        row->run((n + 7) & ~7);
    } else if (option("marks")) {
        if (!row->not_marked)
            mark(row);
    } else {
        measure(row);
    }
}

static u32 features(void)
{
    u32 a = 1, b, c, d;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
    /* As with Linux: a Pentium Pro says SEP and has none (SDM vol. 2, SYSENTER). */
    return (a & 0xf00) == 0x600 && (a & 0xff) < 0x33 ? d & ~CPUID_SEP : d;
}

void nano_main(u32 magic, u32 *info)
{
    u32 cpu = features();

    options_init(magic, info, "marks");
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    traps_init(cpu);
    map_init(cpu);
    khz = number_option("khz=");
    if (!khz)
        khz = tsc_rate();
    put("tsc");
    put_number(khz);
    put("\n");
    for (u32 i = 0; i < row_count; i++) {
        if ((rows[i].needs & cpu) != rows[i].needs || !wanted(rows[i].name))
            continue;
        window_reset();
        run_row(&rows[i]);
    }
    leave();
}
