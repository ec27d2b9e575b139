/* The test kernel's C half: descriptor tables, the start of each test, the report. */
#include "kernel.h"

u64 gdt[GDT_BYTES / 8] __attribute__((aligned(16))) = {
    [KCODE / 8] = 0x00cf9b000000ffff, [KDATA / 8] = 0x00cf93000000ffff,
    [UCODE / 8] = 0x00cffb000000ffff, [UDATA / 8] = 0x00cff3000000ffff,
};
u64 idt[256] __attribute__((aligned(16)));
u64 ldt[16] __attribute__((aligned(16)));
struct tss32 tss_main;
u8 stack0[4096], stack1[4096], stack2[4096], stack3[4096];
static u8 fault_stack[4096];

extern const struct test tests_begin[], tests_end[];
static const struct test *current;
static u32 failures, failed_tests, passed_tests;

/* ---- Small library ---- */

void *copy(void *to, const void *from, u32 n)
{
    u8 *d = to;
    const u8 *s = from;

    while (n--)
        *d++ = *s++;
    return to;
}

void *fill(void *to, u32 byte, u32 n)
{
    volatile u8 *d = to;

    while (n--)
        *d++ = (u8)byte;
    return to;
}

/* GCC may call these. */
void *memcpy(void *to, const void *from, u32 n)
{
    return copy(to, from, n);
}

void *memset(void *to, int byte, u32 n)
{
    return fill(to, (u32)byte, n);
}

static void put(char c)
{
    outb(0xe9, (u8)c);
    for (u32 i = 0; i < 10000 && !(inb(0x3fd) & 0x20); i++)
        ;
    outb(0x3f8, (u8)c);
}
#include "tests/guests/say.h"

void check_eq(u32 got, u32 want, const char *what, u32 line)
{
    if (got == want)
        return;
    failures++;
    say("FAIL ");
    say(current->name);
    say(": line ");
    say_number(line);
    say(": ");
    say(what);
    say(" is ");
    say_hex(got);
    say(", want ");
    say_hex(want);
    say("\n");
}

/* ---- Tables ---- */

void set_descriptor(u64 *d, u32 base, u32 limit, u32 attr)
{
    u32 low = (base & 0xffff) << 16 | (limit & 0xffff);
    u32 high = (base & 0xff000000) | (limit & 0xf0000) | (base >> 16 & 0xff) | attr << 8;

    *d = (u64)high << 32 | low;
}

void set_gate(u64 *d, u32 selector, u32 offset, u32 attr, u32 params)
{
    u32 low = selector << 16 | (offset & 0xffff);
    u32 high = (offset & 0xffff0000) | attr << 8 | params;

    *d = (u64)high << 32 | low;
}

void seg(u32 n, u32 base, u32 limit, u32 attr)
{
    set_descriptor(&gdt[SEL(n) / 8], base, limit, attr);
}

void gate(u32 n, u32 selector, u32 offset, u32 attr, u32 params)
{
    set_gate(&gdt[SEL(n) / 8], selector, offset, attr, params);
}

void vector_gate(u32 vector, u32 selector, u32 attr)
{
    set_gate(&idt[vector], selector, STUB(vector), attr, 0);
}

static void load_table(const void *base, u32 limit, bool interrupts)
{
    struct {
        u16 limit;
        u32 base;
    } __attribute__((packed)) r = { (u16)limit, (u32)base };

    if (interrupts)
        __asm__ volatile("lidt %0" : : "m"(r));
    else
        __asm__ volatile("lgdt %0" : : "m"(r));
}

/* Everything as a test expects to find it. */
static void fresh(void)
{
    extern u8 resume[];

    for (u32 i = SEL(0) / 8; i < GDT_BYTES / 8; i++)
        gdt[i] = 0;
    fill(ldt, 0, sizeof(ldt));
    for (u32 i = 0; i < 256; i++)
        set_gate(&idt[i], KCODE, STUB(i), P | DPL0 | T_INT32, 0);
    set_gate(&idt[3], KCODE, STUB(3), P | DPL3 | T_INT32, 0);
    set_gate(&idt[4], KCODE, STUB(4), P | DPL3 | T_INT32, 0);
    set_gate(&idt[EXIT_VECTOR], KCODE, STUB(EXIT_VECTOR), P | DPL3 | T_INT32, 0);
    set_gate(&idt[RESUME_VECTOR], KCODE, (u32)resume, P | DPL3 | T_INT32, 0);
    fill(&tss_main, 0, sizeof(tss_main));
    tss_main.esp0 = (u32)fault_stack + sizeof(fault_stack) - 64;
    tss_main.ss0 = KDATA;
    tss_main.iomap = 104 + 32;
    fill(tss_main.io, 0xff, sizeof(tss_main.io));
    set_descriptor(&gdt[TSS_MAIN / 8], (u32)&tss_main, sizeof(tss_main) - 1, P | T_TSS32);
    load_table(gdt, GDT_BYTES - 1, false);
    load_table(idt, sizeof(idt) - 1, true);
    __asm__ volatile("lldt %w0" : : "r"(0));
    __asm__ volatile("ltr %w0" : : "r"(TSS_MAIN));
    write_dr7(0x400);
    write_dr6(0xffff0ff0);
    write_cr0(CR0_PE | 0x10);
    write_cr4(0);
    fill(&in, 0, sizeof(in));
    fill(&trap, 0, sizeof(trap));
}

void ring(u32 n, const void *eip)
{
    u8 *const stacks[] = { stack0, stack1, stack2, stack3 };
    u32 data = n == 0 ? KDATA : UDATA, code = n == 0 ? KCODE : UCODE;

    fill(&in, 0, sizeof(in));
    if (n == 1 || n == 2) { /* flat segments of rings 1 and 2: the last two pairs of the GDT */
        u32 at = GDT_BYTES - 16 * n;

        set_descriptor(&gdt[at / 8], 0, 0xfffff, P | n << 5 | CODE | ACC | G | D32);
        set_descriptor(&gdt[at / 8 + 1], 0, 0xfffff, P | n << 5 | DATA | ACC | G | D32);
        code = at | n;
        data = (at + 8) | n;
    }
    in.eip = (u32)eip;
    in.cs = code;
    in.ss = in.ds = in.es = in.fs = in.gs = data;
    in.esp = (u32)stacks[n] + 4096 - 128;
    in.eflags = 2;
}

void v86(const void *code, const void *end, u32 iopl)
{
    copy((void *)V86_CODE, code, (u32)end - (u32)code);
    fill(&in, 0, sizeof(in));
    in.cs = V86_CODE >> 4;
    in.ss = V86_STACK >> 4;
    in.esp = 0x800;
    in.ds = in.es = 0xa00;
    in.eflags = 2 | VM | iopl << 12;
}

u32 run(void)
{
    enter();
    return trap.vector;
}

u32 run_ring(u32 n, const void *eip)
{
    ring(n, eip);
    return run();
}

/* ---- Main ---- */

static void run_test(const struct test *t)
{
    u32 before = failures;

    current = t;
    fresh();
    t->run();
    write_dr7(0x400);
    if (failures == before) {
        passed_tests++;
        say("ok ");
        say(t->name);
        say("\n");
    } else {
        failed_tests++;
    }
}

void kernel_main(void)
{
    outb(0x21, 0xff); /* no interrupts from chips */
    outb(0xa1, 0xff);
    for (const struct test *t = tests_begin; t < tests_end; t++)
        run_test(t);
    say_number(passed_tests);
    say(" passed, ");
    say_number(failed_tests);
    say(" failed\n");
    outb(0xf4, failed_tests ? 1 : 0); /* isa-debug-exit: status 1 or 3 */
    for (const char *s = "Shutdown"; *s; s++)
        outb(0x8900, (u8)*s); /* Bochs */
}
