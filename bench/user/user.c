/*
 * One static 32-bit program, without a libc, that times user code and kernel services: the same
 * file runs on the host and as init of a Linux guest. Prints a line per row: "row NAME BEST
 * MEDIAN", in picoseconds per operation, over short samples, so that BEST is free of what else
 * the machine does.
 *
 * Time is the TSC, whose rate comes as khz=N among the arguments or the environment (a kernel
 * gives init what it does not know of its command line): a guest's own clock is not trusted.
 * System calls go through the vDSO's entry as a libc's do. only=NAME: that row; count=N: N
 * operations of it.
 */
#include "bench/user/compute.h"
#include "bench/user/sample.h"

enum {
    SYS_EXIT = 1, SYS_FORK = 2, SYS_READ = 3, SYS_WRITE = 4, SYS_OPEN = 5, SYS_WAITPID = 7,
    SYS_EXECVE = 11, SYS_GETPID = 20, SYS_MOUNT = 21, SYS_PIPE = 42, SYS_DUP2 = 63,
    SYS_GETPPID = 64, SYS_REBOOT = 88,
    SYS_MUNMAP = 91, SYS_MKDIR = 39, SYS_MADVISE = 219, SYS_MMAP2 = 192
};
enum { AT_NULL = 0, AT_SYSINFO = 32, MADV_NOHUGEPAGE = 15 };
enum { PAGE = 4096, SAMPLE_US = 500, ROW_US = 120000 };

static void *entry; /* the vDSO's __kernel_vsyscall, or our own int 80h */
static char **arguments, **environment;
static u32 khz;

/* ---- System calls ---- */

__asm__("slow_entry: int $0x80; ret");
extern char slow_entry[];

static long sys5(long nr, long a, long b, long c, long d, long e)
{
    long ret;

    __asm__ volatile("call *%1"
                     : "=a"(ret)
                     : "m"(entry), "0"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
                     : "memory");
    return ret;
}

#define sys0(nr) sys5(nr, 0, 0, 0, 0, 0)
#define sys1(nr, a) sys5(nr, (long)(a), 0, 0, 0, 0)
#define sys2(nr, a, b) sys5(nr, (long)(a), (long)(b), 0, 0, 0)
#define sys3(nr, a, b, c) sys5(nr, (long)(a), (long)(b), (long)(c), 0, 0)

/* mmap2's sixth argument is in EBP. */
static char *map_pages(u32 pages)
{
    long ret;

    __asm__ volatile("push %%ebp; xor %%ebp, %%ebp; int $0x80; pop %%ebp"
                     : "=a"(ret)
                     : "0"(SYS_MMAP2), "b"(0), "c"(pages * PAGE), "d"(3), "S"(0x22), "D"(-1)
                     : "memory");
    return (char *)ret;
}

/* ---- Rows: each runs n operations and tells how many TSC cycles they took ---- */

static u64 run_getppid(u32 n)
{
    u64 start = rdtsc();

    while (n--)
        sys0(SYS_GETPPID);
    return rdtsc() - start;
}

static u64 run_read(u32 n)
{
    static char buffer[PAGE] __attribute__((aligned(PAGE)));
    static int zero = -1;
    u64 start;

    if (zero < 0)
        zero = sys2(SYS_OPEN, "/dev/zero", 0);
    start = rdtsc();
    while (n--)
        sys3(SYS_READ, zero, buffer, PAGE);
    return rdtsc() - start;
}

/* First touches of anonymous pages; mapping and unmapping is outside the time. */
static u64 run_fault(u32 n)
{
    u64 start, total = 0;
    char *pages;
    u32 i, some;

    for (; n; n -= some) {
        some = n < 256 ? n : 256;
        pages = map_pages(some);
        sys3(SYS_MADVISE, pages, some * PAGE, MADV_NOHUGEPAGE);
        start = rdtsc();
        for (i = 0; i < some; i++)
            *(volatile char *)(pages + i * PAGE) = 1;
        total += rdtsc() - start;
        sys2(SYS_MUNMAP, pages, some * PAGE);
    }
    return total;
}

static void echo(int from, int to)
{
    char byte;

    while (sys3(SYS_READ, from, &byte, 1) == 1)
        sys3(SYS_WRITE, to, &byte, 1);
    sys1(SYS_EXIT, 0);
}

/* One way of a byte between two processes over two pipes: half a round. */
static u64 run_pipe(u32 n)
{
    static int there[2], back[2];
    char byte = 0;
    u64 start;

    if (!there[1]) {
        sys1(SYS_PIPE, there);
        sys1(SYS_PIPE, back);
        if (!sys0(SYS_FORK)) {
            sys2(SYS_DUP2, there[0], 0);
            sys2(SYS_DUP2, back[1], 3);
            for (int fd = 4; fd < 16; fd++)
                sys1(6 /* close */, fd);
            echo(0, 3);
        }
    }
    start = rdtsc();
    for (u32 i = 0; i < n; i++) {
        sys3(SYS_WRITE, there[1], &byte, 1);
        sys3(SYS_READ, back[0], &byte, 1);
    }
    return (rdtsc() - start) / 2;
}

static u64 run_fork(u32 n)
{
    u64 start = rdtsc();
    long child;

    while (n--) {
        child = sys0(SYS_FORK);
        if (!child)
            sys1(SYS_EXIT, 0);
        sys3(SYS_WAITPID, child, 0, 0);
    }
    return rdtsc() - start;
}

static u64 run_exec(u32 n)
{
    static char word[] = "leave";
    char *argv[] = { arguments[0], word, 0 }, *envp[] = { 0 };
    u64 start = rdtsc();
    long child;

    while (n--) {
        child = sys0(SYS_FORK);
        if (!child) {
            sys3(SYS_EXECVE, arguments[0], argv, envp);
            sys1(SYS_EXIT, 1);
        }
        sys3(SYS_WAITPID, child, 0, 0);
    }
    return rdtsc() - start;
}

static const struct row {
    const char *name;
    run_fn *run;
} rows[] = {
    { "integer", run_integer },        { "pointer-chase", run_chase },
    { "copy-4k", run_copy },           { "floating-point", run_float },
    { "indirect-call", run_indirect }, { "recursion", run_recursion },
    { "kernel-loop", run_mixed },      { "getppid", run_getppid },
    { "read-zero-4k", run_read },      { "page-fault", run_fault },
    { "pipe-one-way", run_pipe },      { "fork-wait", run_fork },
    { "fork-exec", run_exec },
};

/* ---- Printing ---- */

static char text[256];
static u32 used;

static void put(const char *s)
{
    while (*s && used < sizeof text)
        text[used++] = *s++;
}

static void put_number(u64 val)
{
    char digits[MAX_DIGITS];

    put(number_text(val, digits));
}

static void flush(void)
{
    put("\n");
    sys3(SYS_WRITE, 1, text, used);
    used = 0;
}

/* ---- Sampling ---- */

static u64 picoseconds(u64 cycles, u32 n)
{
    u64 val = cycles * 1000;

    divide(&val, n);
    val *= 1000000;
    divide(&val, khz);
    return val;
}

/* count=N: that many operations, untimed, for counting what they cost the monitor. */
static void run_counted(const struct row *row, u32 n)
{
    row->run(n);
    put("ran ");
    put(row->name);
    flush();
}

static void measure(const struct row *row)
{
    u32 n = sample_size(row->run, khz / 1000 * SAMPLE_US, 1, 1 << 24);
    u64 best, median;

    sample(row->run, n, khz / 1000 * ROW_US, MAX_SAMPLES, &best, &median);
    put("row ");
    put(row->name);
    put(" ");
    put_number(picoseconds(best, n));
    put(" ");
    put_number(picoseconds(median, n));
    flush();
}

/* ---- Start ---- */

static const char *after(const char *s, const char *prefix)
{
    while (*prefix)
        if (*s++ != *prefix++)
            return 0;
    return s;
}

static bool named(const char *only, const char *name)
{
    const char *rest = after(name, only);

    return !*only || (rest && !*rest);
}

static u32 number(const char *s)
{
    u32 val = 0;

    while (*s >= '0' && *s <= '9')
        val = val * 10 + *s++ - '0';
    return val;
}

static const char *option(const char *name)
{
    const char *val;

    for (char **p = arguments; *p; p++)
        if ((val = after(*p, name)))
            return val;
    for (char **p = environment; *p; p++)
        if ((val = after(*p, name)))
            return val;
    return 0;
}

static void become_init(void)
{
    int fd;

    sys2(SYS_MKDIR, "/dev", 0755);
    sys5(SYS_MOUNT, (long)"dev", (long)"/dev", (long)"devtmpfs", 0, 0);
    fd = sys2(SYS_OPEN, "/dev/ttyS0", 2);
    sys2(SYS_DUP2, fd, 0);
    sys2(SYS_DUP2, fd, 1);
    put("bench init");
    flush();
}

static void find_entry(char **envp)
{
    u32 *aux;

    while (*envp)
        envp++;
    entry = slow_entry;
    for (aux = (u32 *)(envp + 1); aux[0] != AT_NULL; aux += 2)
        if (aux[0] == AT_SYSINFO)
            entry = (void *)aux[1];
}

__attribute__((used)) static void start(char **stack)
{
    int argc = *(int *)stack;
    const char *rate, *only;
    bool init;

    arguments = stack + 1;
    environment = arguments + argc + 1;
    find_entry(environment);
    if (argc > 1 && after(arguments[1], "leave"))
        sys1(SYS_EXIT, 0);
    rate = option("khz=");
    only = option("only=");
    khz = rate ? number(rate) : 0;
    init = sys0(SYS_GETPID) == 1;
    if (init)
        become_init();
    for (u32 i = 0; khz && i < sizeof rows / sizeof *rows; i++)
        if (named(only ? only : "", rows[i].name))
            option("count=") ? run_counted(&rows[i], number(option("count=")))
                             : measure(&rows[i]);
    put(khz ? "bench done" : "user: say khz=N, the rate of the TSC");
    flush();
    if (init)
        sys5(SYS_REBOOT, 0xfee1dead, 672274793, 0x4321fedc, 0, 0);
    sys1(SYS_EXIT, !khz);
}

__asm__(".globl _start\n_start: mov %esp, %eax; and $-16, %esp; sub $12, %esp; push %eax; call "
        "start");
