/*
 * A guest that is busy and is interrupted: what does each tick of a timer cost it, and does it
 * come on time? 32-bit, ring 0, no paging. The loop reads the TSC and looks whether a tick has
 * come; so it sees how long each kept it away. For each row, on port E9:
 *
 *   row NAME PERIOD-IN-TSC-CYCLES TICKS
 *   KEPT-AWAY SINCE-THE-LAST-TICK in hexadecimal, a line a tick
 *   bench done
 *
 * The command line has khz=N, the TSC's rate.
 */
#include "tests/guests/io.h"

enum { MOST = 2000 };
enum { PIT_VECTOR = 0x20, RTC_VECTOR = 0x28, APIC_VECTOR = 0x40 };
enum { LAPIC = 0xfee00000, LAPIC_EOI = 0xb0, LAPIC_SPURIOUS = 0xf0, LAPIC_LVT_TIMER = 0x320, LAPIC_INITIAL = 0x380,
       LAPIC_DIVIDE = 0x3e0 };

static struct {
    u32 kept, since;
} samples[MOST];
static u64 idt[256];
static volatile u32 ticks;
static u32 khz;

static inline u32 tsc(void)
{
    u32 low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return low;
}

/* ---- Interrupts ---- */

void tick_pit(void);
void tick_rtc(void);
void tick_apic(void);
__asm__(".section .multiboot, \"a\"\n"
        "    .balign 4\n"
        "    .long 0x1badb002, 3, -(0x1badb002 + 3)\n"
        "    .globl start\n"
        "start:\n"
        "    mov $stack_end, %esp\n"
        "    cld\n"
        "    push %ebx\n"
        "    lgdt gdt_pointer\n"
        "    ljmp $8, $1f\n"
        "1:  mov $16, %eax\n"
        "    mov %eax, %ds\n"
        "    mov %eax, %es\n"
        "    mov %eax, %ss\n"
        "    call timer_main\n"
        "2:  hlt\n"
        "    jmp 2b\n"
        "tick_pit:\n"
        "    incl ticks\n"
        "    push %eax\n"
        "    mov $0x20, %al\n"
        "    out %al, $0x20\n"
        "    pop %eax\n"
        "    iret\n"
        "tick_rtc:\n"
        "    incl ticks\n"
        "    push %eax\n"
        "    mov $0x0c, %al\n"
        "    out %al, $0x70\n"
        "    in $0x71, %al\n"
        "    mov $0x20, %al\n"
        "    out %al, $0xa0\n"
        "    out %al, $0x20\n"
        "    pop %eax\n"
        "    iret\n"
        "tick_apic:\n"
        "    incl ticks\n"
        "    movl $0, 0xfee000b0\n"
        "    iret\n"
        "    .data\n"
        "    .balign 8\n"
        "gdt: .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff\n"
        "gdt_pointer: .word 23\n"
        "    .long gdt\n"
        "    .bss\n"
        "    .skip 16384\n"
        "stack_end:\n"
        "    .text\n");

static void gate(u32 vector, void (*handler)(void))
{
    u32 at = (u32)handler;

    idt[vector] = (u64)((at & 0xffff0000) | 0x8e00) << 32 | 8 << 16 | (at & 0xffff);
}

static void tables(void)
{
    struct {
        u16 limit;
        u32 base;
    } __attribute__((packed)) pointer = { sizeof(idt) - 1, (u32)idt };

    gate(PIT_VECTOR, tick_pit);
    gate(RTC_VECTOR, tick_rtc);
    gate(APIC_VECTOR, tick_apic);
    __asm__ volatile("lidt %0" ::"m"(pointer));
    outb(0x20, 0x11), outb(0x21, PIT_VECTOR), outb(0x21, 4), outb(0x21, 1);
    outb(0xa0, 0x11), outb(0xa1, RTC_VECTOR), outb(0xa1, 2), outb(0xa1, 1);
    outb(0x21, 0xff), outb(0xa1, 0xff);
}

/* ---- Sources: each starts, and returns its period in cycles of the TSC; arg 0 stops it ---- */

static u32 cycles(u32 count, u32 hz) /* of `count` periods of a clock of hz */
{
    u64 n = (u64)count * khz * 1000;
    u32 low = (u32)n, high = (u32)(n >> 32);

    __asm__("divl %2" : "+a"(low), "+d"(high) : "r"(hz) : "cc");
    return low;
}

static u32 pit(u32 divisor)
{
    outb(0x21, divisor ? 0xfe : 0xff);
    outb(0x43, 0x34);
    outb(0x40, (u8)divisor);
    outb(0x40, (u8)(divisor >> 8));
    return cycles(divisor, 1193182);
}

static u32 rtc(u32 rate) /* as in register A: 32768 Hz >> (rate - 1) */
{
    outb(0x70, 0x0a), outb(0x71, (u8)(0x20 | rate));
    outb(0x70, 0x0b), outb(0x71, rate ? 0x42 : 0x02);
    outb(0x70, 0x0c), inb(0x71);
    outb(0x21, rate ? 0xfb : 0xff), outb(0xa1, rate ? 0xfe : 0xff);
    return rate ? cycles(1u << (rate - 1), 32768) : 0;
}

static u32 apic_khz; /* how fast its timer counts, divided by 1 */

static void lapic(u32 reg, u32 val)
{
    *(volatile u32 *)(LAPIC + reg) = val;
}

static u32 apic(u32 hz)
{
    lapic(LAPIC_SPURIOUS, 0x1ff);
    lapic(LAPIC_DIVIDE, 0xb);
    lapic(LAPIC_LVT_TIMER, hz ? 0x20000 | APIC_VECTOR : 0x10000);
    lapic(LAPIC_INITIAL, hz ? apic_khz * 1000 / hz : 0);
    return hz ? khz * 1000 / hz : 0;
}

/* The timer's rate by the TSC's: over a hundredth of a second. */
static void apic_measure(void)
{
    u32 begun;

    apic(0);
    lapic(LAPIC_INITIAL, ~0u);
    begun = tsc();
    while (tsc() - begun < khz * 10)
        ;
    apic_khz = (~0u - *(volatile u32 *)(LAPIC + 0x390)) / 10;
}

/* ---- A row ---- */

static void say(const char *s)
{
    while (*s)
        outb(0xe9, (u8)*s++);
}

static void say_hex(u32 n)
{
    for (u32 i = 0; i < 8; i++, n <<= 4)
        outb(0xe9, (u8)"0123456789abcdef"[n >> 28]);
}

static void row(const char *name, u32 (*source)(u32), u32 arg, u32 most)
{
    u32 seen = 0, n = 0, last = 0, warm = most / 20, period, now, prev, began, before, after;

    ticks = 0;
    period = source(arg);
    __asm__ volatile("sti");
    for (began = prev = tsc(); n < most + warm && prev - began < khz * 1000; prev = now) {
        now = tsc();
        if (ticks == seen)
            continue;
        seen = ticks;
        /* It came before `now`, or between that and the look at `ticks`. */
        before = now - prev, after = tsc() - now;
        if (n >= warm) {
            samples[n - warm].kept = before > after ? before : after;
            samples[n - warm].since = prev - last;
        }
        n++;
        last = prev;
    }
    __asm__ volatile("cli");
    source(0);
    n = n > warm ? n - warm : 0;
    say("row "), say(name), say(" "), say_hex(period), say(" "), say_hex(n), say("\n");
    for (u32 i = 0; i < n; i++)
        say_hex(samples[i].kept), say(" "), say_hex(samples[i].since), say("\n");
}

static u32 number(const char *s, char first) /* behind "khz=" */
{
    u32 n = 0;

    while (*s && !(*s == first && s[3] == '='))
        s++;
    for (s += *s ? 4 : 0; *s >= '0' && *s <= '9'; s++)
        n = n * 10 + (u32)(*s - '0');
    return n;
}

void timer_main(u32 *multiboot);
void timer_main(u32 *multiboot)
{
    khz = number((const char *)multiboot[4], 'k');
    tables();
    apic_measure();
    row("pit-100", pit, 11932, 60);
    row("pit-1000", pit, 1193, MOST / 4);
    row("pit-8000", pit, 149, MOST);
    row("pit-16000", pit, 75, MOST);
    row("pit-44100", pit, 27, MOST);
    row("rtc-1024", rtc, 6, MOST / 4);
    row("rtc-8192", rtc, 3, MOST);
    row("apic-1000", apic, 1000, MOST / 4);
    row("apic-8000", apic, 8000, MOST);
    say("bench done\n");
    outb(0xf4, 0x10);
    for (;;)
        __asm__ volatile("hlt");
}
