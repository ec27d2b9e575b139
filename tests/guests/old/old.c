/*
 * Probes and loops by which kernels and DOS drivers of the nineties find out what PC they are
 * on, beside what unit tests of the chips ask: docs/old-kernels.md has the list. Runs after
 * SeaBIOS, in protected mode, with a disk as the first drive of the first cable and a CD drive
 * without a disc alone as the second one of the other.
 *
 * Prints to port E9 "ok NAME" or "FAIL NAME: got, want", and "N passed, N failed" at the end.
 */
#include "tests/guests/io.h"

static void put(char c)
{
    outb(0xe9, (u8)c);
}
#include "tests/guests/say.h"

static u32 passed, failed;

static void expect(const char *name, u32 got, u32 want)
{
    if (got == want)
        passed++;
    else
        failed++;
    say_result(name, got, want);
}

/* Whether a port's masked value comes up within so many reads. */
static int comes(u16 port, u8 mask, u8 want, u32 reads)
{
    while (reads--)
        if ((inb(port) & mask) == want)
            return 1;
    return 0;
}

/* ---- Timers, in tight loops ---- */

static u32 pit_latched(u16 channel)
{
    u32 low;

    outb(0x43, (u8)(channel << 6));
    low = inb((u16)(0x40 + channel));
    return low | (u32)inb((u16)(0x40 + channel)) << 8;
}

static void test_pit(void)
{
    u32 last, now, backwards = 0, stood = 0;

    outb(0x61, (inb(0x61) & ~2) | 1);
    outb(0x43, 0xb0); /* channel 2, mode 0 */
    outb(0x42, 0xff);
    outb(0x42, 0xff);
    last = pit_latched(2);
    for (u32 i = 0; i < 2000; i++) {
        now = pit_latched(2);
        if (!now || now > 0xfff0) /* its end */
            break;
        backwards += now > last;
        stood += now == last;
        last = now;
    }
    expect("the PIT counts down in a loop of latched reads", backwards, 0);
    expect("and does not stand", stood < 1900, 1);
    outb(0x61, inb(0x61) & ~1); /* the gate stops it */
    last = pit_latched(2);
    for (u32 i = 0; i < 100; i++)
        inb(0x80);
    expect("its gate holds it", pit_latched(2), last);
}

static u32 pm_timer(void)
{
    return inl(0x608) & 0xffffff;
}

static int uip(void)
{
    outb(0x70, 0x0a);
    return inb(0x71) >> 7;
}

static int wait_uip(int level)
{
    u32 start = pm_timer();

    while (uip() != level)
        if (((pm_timer() - start) & 0xffffff) > 3579545 * 3 / 2)
            return 0;
    return 1;
}

/* The host may delay any reading a little: one of a few seconds will do. */
static void test_rtc(void)
{
    u32 begun, length = 0, second = 0;

    expect("the RTC's update begins", wait_uip(0) && wait_uip(1), 1);
    begun = pm_timer();
    expect("and ends", wait_uip(0), 1);
    for (u32 i = 0; i < 5; i++) {
        length = (pm_timer() - begun) & 0xffffff;
        wait_uip(1);
        second = (pm_timer() - begun) & 0xffffff;
        begun = pm_timer();
        wait_uip(0);
        if (length > 800 && length < 10800 && second > 3579545 - 1800 &&
            second < 3579545 + 1800)
            break;
    }
    expect("after 244 us to 3 ms", length > 800 && length < 10800, 1);
    expect("a second of the RTC is one of the PM timer",
           second > 3579545 - 1800 && second < 3579545 + 1800, 1);
}

/* ---- Keyboard controller and A20 ---- */

static void kbc(u8 command)
{
    comes(0x64, 2, 0, 100000);
    outb(0x64, command);
}

static void test_keyboard_controller(void)
{
    kbc(0xaa);
    expect("the keyboard controller answers its test within 10,000 reads",
           comes(0x64, 1, 1, 10000), 1);
    expect("by 55", inb(0x60), 0x55);
    expect("and the answer is gone once read", inb(0x64) & 1, 0);
    kbc(0xd0);
    comes(0x64, 1, 1, 10000);
    expect("its output port has A20 and no reset", inb(0x60) & 3, 3);
    kbc(0x20);
    comes(0x64, 1, 1, 10000);
    expect("its command byte translates", inb(0x60) & 0x40, 0x40);
}

/*
 * A20 off and on by a route, from low memory, without a stack: CL is what (ESI), 1 MiB above
 * (EBX), shows while it is off, DL what it shows after. ESI may be mapped there by paging.
 */
__asm__(
    ".text\n"
    ".macro settled\n"
    "991: in $0x64, %al\n test $2, %al\n jnz 991b\n"
    ".endm\n"
    ".macro begin name\n"
    "\\name: movb $1, (%ebx)\n movb $2, (%esi)\n"
    ".endm\n"
    "begin by_port92\n"
    "in $0x92, %al\n and $0xfc, %al\n out %al, $0x92\n movb (%esi), %cl\n"
    "or $2, %al\n out %al, $0x92\n movb (%esi), %dl\n ret\n"
    "by_port92_end:\n"
    "begin by_kbc\n"
    "settled\n mov $0xd1, %al\n out %al, $0x64\n settled\n mov $0xdd, %al\n out %al, $0x60\n "
    "settled\n"
    "movb (%esi), %cl\n"
    "mov $0xd1, %al\n out %al, $0x64\n settled\n mov $0xdf, %al\n out %al, $0x60\n settled\n"
    "movb (%esi), %dl\n ret\n"
    "by_kbc_end:\n"
    "begin by_dd\n"
    "settled\n mov $0xdd, %al\n out %al, $0x64\n settled\n movb (%esi), %cl\n"
    "mov $0xdf, %al\n out %al, $0x64\n settled\n movb (%esi), %dl\n ret\n"
    "by_dd_end:\n");
extern const u8 by_port92[], by_port92_end[], by_kbc[], by_kbc_end[], by_dd[], by_dd_end[];

static u32 a20(const u8 *code, const u8 *end, u32 linear)
{
    u8 *low = (u8 *)0x70000;
    u32 a, c = 0, d = 0;

    for (u32 i = 0; code + i < end; i++)
        low[i] = code[i];
    __asm__ volatile("call *%%edi"
                     : "=a"(a), "+c"(c), "+d"(d)
                     : "D"(low), "S"(linear), "b"(0x80000)
                     : "memory", "cc");
    return (c & 0xff) << 4 | (d & 0xff);
}

static void test_a20(void)
{
    u32 *directory = (u32 *)0x71000, cr0;

    expect("A20 by port 92", a20(by_port92, by_port92_end, 0x180000), 0x12);
    expect("A20 by the keyboard controller's output port", a20(by_kbc, by_kbc_end, 0x180000),
           0x12);
    expect("A20 by its commands DD and DF", a20(by_dd, by_dd_end, 0x180000), 0x12);
    for (u32 i = 0; i < 1024; i++)
        directory[i] = i < 16 ? i << 22 | 0x83 : 0;
    directory[256] = 0x83;
    __asm__ volatile("mov %%cr4, %%eax\n or $0x10, %%eax\n mov %%eax, %%cr4\n mov %1, %%cr3\n "
                     "mov %%cr0, %0\n"
                     "mov %0, %%eax\n or $0x80000000, %%eax\n mov %%eax, %%cr0\n jmp 1f\n 1:"
                     : "=&r"(cr0)
                     : "r"(directory)
                     : "eax", "memory");
    expect("A20 by port 92, of what paging maps", a20(by_port92, by_port92_end, 0x40180000),
           0x12);
    expect("A20 by the output port, of what paging maps", a20(by_kbc, by_kbc_end, 0x40180000),
           0x12);
    __asm__ volatile("mov %0, %%cr0" : : "r"(cr0) : "memory");
}

/* ---- IDE as drivers of the eighties and nineties look for it ---- */

static void test_ide(void)
{
    outb(0x1f6, 0xa0);
    outb(0x1f2, 0x55);
    outb(0x1f3, 0xaa);
    outb(0x1f2, 0xaa);
    outb(0x1f3, 0x55);
    outb(0x1f2, 0x55);
    outb(0x1f3, 0xaa);
    expect("a drive keeps its registers", inb(0x1f2) << 8 | inb(0x1f3), 0x55aa);
    expect("it is ready", inb(0x1f7) & 0xc9, 0x40);
    outb(0x1f6, 0xb0);
    expect("one that is not there is silent", inb(0x1f7), 0);
    outb(0x1f6, 0xa0);
    outb(0x1f7, 0x90);
    expect("diagnostic ends", comes(0x1f7, 0x80, 0, 100000), 1);
    expect("without an error", inb(0x1f1), 1);
    outb(0x1f6, 0xa0);
    outb(0x1f7, 0x10); /* RECALIBRATE, by any of its 16 codes on the first ATs */
    expect("RECALIBRATE ends", comes(0x1f7, 0x81, 0, 100000), 1);
    outb(0x1f7, 0x91); /* INITIALIZE DEVICE PARAMETERS: 17 sectors, 4 heads */
    outb(0x1f6, 0xa3);
    outb(0x1f2, 17);
    outb(0x1f7, 0x91);
    expect("another geometry is taken", comes(0x1f7, 0x81, 0, 100000), 1);
}

static void packet(const u8 *command)
{
    comes(0x177, 0x80, 0, 100000); /* the one before is over */
    outb(0x171, 0);
    outb(0x174, 18); /* bytes a turn */
    outb(0x175, 0);
    outb(0x177, 0xa0);
    comes(0x177, 0x88, 8, 100000);
    for (u32 i = 0; i < 12; i += 2)
        outw(0x170, (u16)(command[i] | command[i + 1] << 8));
}

static void test_atapi_alone(void)
{
    static const u8 ready[12];
    static const u8 sense[12] = {0x03, 0, 0, 0, 18};
    u8 data[18] = {0};

    outb(0x176, 0xa0);
    expect("a cable's first drive that is not there is silent", inb(0x177), 0);
    outb(0x376, 6); /* soft reset */
    outb(0x376, 2);
    outb(0x176, 0xb0);
    comes(0x177, 0x80, 0, 100000);
    expect("a CD drive alone as second leaves its signature", inb(0x174) | inb(0x175) << 8,
           0xeb14);
    outb(0x177, 0xec);
    comes(0x177, 0x80, 0, 100000);
    expect("it aborts IDENTIFY", (inb(0x177) & 1) << 8 | (inb(0x171) & 4), 0x104);
    expect("and shows the signature again", inb(0x174) | inb(0x175) << 8, 0xeb14);
    outb(0x177, 0xa1);
    expect("IDENTIFY PACKET DEVICE has data", comes(0x177, 0x88, 8, 100000), 1);
    expect("of a removable CD drive", inw(0x170) >> 8 & 0x9f, 0x85);
    for (u32 i = 1; i < 256; i++)
        inw(0x170);
    for (u32 turn = 0; turn < 3; turn++) { /* the first may tell of the reset */
        packet(ready);
        comes(0x177, 0x80, 0, 100000);
        packet(sense);
        comes(0x177, 0x88, 8, 100000);
        for (u32 i = 0; i < 9; i++) {
            u16 w = inw(0x170);

            data[2 * i] = (u8)w;
            data[2 * i + 1] = w >> 8;
        }
    }
    expect("without a disc it is not ready: medium not present",
           (u32)(data[2] & 15) << 8 | data[12], 0x23a);
}

/* ---- Floppy, VGA ---- */

static void test_floppy(void)
{
    outb(0x3f2, 0x1c); /* drive A, its motor */
    expect("an empty floppy drive's change line is active", inb(0x3f7) & 0x80, 0x80);
    outb(0x3f2, 0x0c);
}

static void test_vga(void)
{
    volatile u16 *mono = (volatile u16 *)0xb0000, *colour = (volatile u16 *)0xb8000;
    u16 was = colour[0x700];

    colour[0x700] = 0xa55a;
    mono[0x700] = 0x5aa5;
    expect("colour text memory keeps what is written", colour[0x700], 0xa55a);
    expect("there is none for monochrome", mono[0x700] != 0x5aa5, 1);
    colour[0x700] = was;
    outb(0x3d4, 0x0f);
    outb(0x3d5, 0x66);
    expect("the CRTC keeps the cursor", inb(0x3d5), 0x66);
    outb(0x3b4, 0x0f);
    expect("and is not at 3B4", inb(0x3b5), 0xff);
    outb(0x3c2, inb(0x3cc) & ~1);
    outb(0x3b4, 0x0f);
    expect("but where the miscellaneous register says", inb(0x3b5), 0x66);
    outb(0x3c2, inb(0x3cc) | 1);
    expect("retrace begins", comes(0x3da, 8, 8, 1000000) && comes(0x3da, 8, 0, 1000000), 1);
}

/* ---- A descriptor table in ROM ---- */

struct table {
    u16 limit;
    u32 base;
} __attribute__((packed));

/* Eight bytes of the BIOS that are a data segment, present, writable, of ring 0 and not
 * accessed. */
static const u8 *rom_descriptor(void)
{
    for (const u8 *p = (const u8 *)0xf0000; p < (const u8 *)0xffff0; p++)
        if ((p[5] & 0xff) == 0x92)
            return p;
    return 0;
}

static void test_rom_descriptor(void)
{
    const volatile u8 *rom = rom_descriptor();
    struct table old, ours;

    expect("the BIOS holds something like a descriptor", rom != 0, 1);
    if (!rom)
        return;
    __asm__ volatile("sgdt %0" : "=m"(old));
    ours = (struct table){15, (u32)rom - 8};
    __asm__ volatile("lgdt %0\n mov %1, %%fs\n lgdt %2\n mov %3, %%fs"
                     :
                     : "m"(ours), "r"(8), "m"(old), "r"(0)
                     : "memory");
    expect("its segment is loaded, and the accessed bit is not written", rom[5], 0x92);
}

/* ---- IRQ 13 ---- */

static struct {
    u16 low, selector, attributes, high;
} idt[256];
static volatile u32 fpu_interrupts;

__asm__(".text\n"
        "irq13: push %eax\n mov $0, %al\n out %al, $0xf0\n fninit\n incl fpu_interrupts\n"
        "mov $0x20, %al\n out %al, $0xa0\n out %al, $0x20\n pop %eax\n iretl\n"
        "irq_other: push %eax\n mov $0x20, %al\n out %al, $0xa0\n out %al, $0x20\n pop %eax\n "
        "iretl\n");
extern const u8 irq13[], irq_other[];

static void test_irq13(void)
{
    static const u16 control = 0x037b; /* division by zero is not masked */
    struct table t = {sizeof(idt) - 1, (u32)idt};
    u16 cs, status;
    u8 mask1 = inb(0x21), mask2 = inb(0xa1);

    __asm__("mov %%cs, %0" : "=r"(cs));
    for (u32 i = 0x20; i < 256; i++) {
        u32 to = (u32)(i == 0x75 ? irq13 : irq_other);

        idt[i].low = (u16)to;
        idt[i].selector = cs;
        idt[i].attributes = 0x8e00;
        idt[i].high = to >> 16;
    }
    __asm__ volatile("lidt %0" : : "m"(t));
    outb(0x21, 0xfb); /* only the second 8259, which has 70 to 77 by SeaBIOS */
    outb(0xa1, 0xdf); /* and its IRQ 13 */
    __asm__ volatile(
        "mov %%cr0, %%eax\n and $~0x2c, %%eax\n mov %%eax, %%cr0\n" /* NE, TS, EM clear */
        "fninit\n fldcw %1\n sti\n fld1\n fldz\n fdivrp\n fnstsw %0\n fwait\n nop\n cli"
        : "=m"(status)
        : "m"(control)
        : "eax", "memory");
    expect("FDIV by 0 is kept until the next waiting instruction", status & 0x84, 0x84);
    expect("which raises IRQ 13 once", fpu_interrupts, 1);
    __asm__ volatile("fnstsw %0" : "=m"(status));
    expect("and goes on after port F0 and FNINIT", status, 0);
    outb(0x21, mask1);
    outb(0xa1, mask2);
}

void board_main(u32 magic, const u32 *info)
{
    (void)info;
    expect("entered", magic, 0x2badb002);
    test_pit();
    test_rtc();
    test_keyboard_controller();
    test_a20();
    test_ide();
    test_atapi_alone();
    test_floppy();
    test_vga();
    test_rom_descriptor();
    test_irq13();
    say_number(passed);
    say(" passed, ");
    say_number(failed);
    say(" failed\n");
    outb(0xf4, failed != 0);
}
