/*
 * The machine around the disks: descriptor tables, paging, the two interrupt controllers, a
 * clock of 1000 ticks a second, and text on port E9.
 */
#include "tests/guests/flush/flush.h"

static void put(char c)
{
    outb(0xe9, (u8)c);
}
#include "tests/guests/say.h"

enum { SHOWN = 20 }; /* failures */

extern u32 idt[256][2];
extern u8 exceptions[];
void load_tables(void);
void irq_clock(void);
void irq_disk0(void);
void irq_disk1(void);
void trap_leave(void);

volatile u32 ticks;
u32 failures;

static u32 directory[1024] __attribute__((aligned(PAGE)));
static u32 low_table[1024] __attribute__((aligned(PAGE)));
static u32 patch_table[1024] __attribute__((aligned(PAGE)));
static u8 frames[PATCH_END][PAGE] __attribute__((aligned(PAGE)));

/* ---- Text ---- */

void text(const char *s)
{
    say(s);
}

void number(u32 v)
{
    say_number(v);
}

void fail(const char *what, u32 at, u32 got, u32 want)
{
    if (failures++ >= SHOWN)
        return;
    say("FAIL ");
    say(what);
    say(" at ");
    say_hex(at);
    say(": ");
    say_hex(got);
    say(", want ");
    say_hex(want);
    say("\n");
}

/* By isa-debug-exit (status 5: passed, 3: failed), or for ever. */
void leave(void)
{
    say(failures ? "failed\n" : "passed\n");
    outb(0xf4, failures ? 1 : 2);
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* The vector, then what the processor pushed. */
void on_exception(const u32 *frame)
{
    u32 address;

    __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    say("FAIL exception ");
    say_number(frame[0]);
    say(":");
    for (u32 i = 1; i < 6; i++) {
        say(" ");
        say_hex(frame[i]);
    }
    say(", CR2 ");
    say_hex(address);
    say("\n");
    failures++;
    leave();
}

/* ---- Paging ---- */

enum { P_PRESENT = 1, P_WRITE = 2, P_USER = 4, P_ALL = P_PRESENT | P_WRITE | P_USER };

/* Deals the frames out again; the stacks' stay among themselves. */
void patch_shuffle(u32 seed)
{
    for (u32 i = PATCH_PAGES - 1; i > 0; i--) {
        u32 j = mix(seed + i) % (i + 1), was = patch_table[i];

        patch_table[i] = patch_table[j];
        patch_table[j] = was;
    }
    for (u32 i = 0; i < PATCH_PAGES; i++)
        __asm__ volatile("invlpg %0" : : "m"(*(u8 *)(PATCH + i * PAGE)) : "memory");
}

static void paging_init(void)
{
    for (u32 i = 0; i < 1024; i++)
        low_table[i] = i * PAGE | P_ALL;
    for (u32 i = 0; i < PATCH_END; i++) /* from the last to the first */
        patch_table[i] = (u32)frames[PATCH_END - 1 - i] | P_ALL;
    directory[0] = (u32)low_table | P_ALL;
    directory[PATCH >> 22] = (u32)patch_table | P_ALL;
    __asm__ volatile("mov %0, %%cr3\n\t"
                     "mov %%cr0, %%eax\n\t"
                     "and $~0xc, %%eax\n\t" /* EM, TS */
                     "or $0x80010022, %%eax\n\t" /* PG, WP, NE, MP */
                     "mov %%eax, %%cr0\n\t"
                     "mov %%cr4, %%eax\n\t"
                     "or $0x600, %%eax\n\t" /* OSFXSR, OSXMMEXCPT */
                     "mov %%eax, %%cr4\n\t"
                     "fninit"
                     : : "r"(directory) : "eax", "memory");
}

/* ---- Interrupts ---- */

static void gate(u32 vector, const void *to, u32 dpl)
{
    idt[vector][0] = 0x80000 | ((u32)to & 0xffff);
    idt[vector][1] = ((u32)to & 0xffff0000) | 0x8e00 | dpl << 13;
}

void on_clock(void)
{
    ticks++;
    outb(0x20, 0x20);
}

/* Reading the status acknowledges it at the drive. */
static void on_disk(struct disk *d)
{
    outb(d->master + 2, inb(d->master + 2));
    d->status = inb(d->port + 7);
    d->fired++;
    outb(0xa0, 0x20);
    outb(0x20, 0x20);
}

void on_disk0(void)
{
    on_disk(&disks[0]);
}

void on_disk1(void)
{
    on_disk(&disks[1]);
}

static void interrupts_init(void)
{
    for (u32 i = 0; i < 32; i++)
        gate(i, exceptions + 8 * i, 0);
    gate(0x20, irq_clock, 0);
    gate(0x2e, irq_disk0, 0);
    gate(0x2f, irq_disk1, 0);
    gate(0x80, trap_leave, 3);
    load_tables();
    outb(0x20, 0x11); /* the 8259s: cascaded, vectors from 20h and 28h */
    outb(0xa0, 0x11);
    outb(0x21, 0x20);
    outb(0xa1, 0x28);
    outb(0x21, 4);
    outb(0xa1, 2);
    outb(0x21, 1);
    outb(0xa1, 1);
    outb(0x21, 0xff & ~(1 << 0 | 1 << 2));
    outb(0xa1, 0xff & ~(1 << 6 | 1 << 7));
    outb(0x43, 0x34); /* the 8254's channel 0: mode 2, 1193 of 1193182 Hz */
    outb(0x40, 1193 & 0xff);
    outb(0x40, 1193 >> 8);
}

void board_init(void)
{
    paging_init();
    interrupts_init();
}

/* ---- PCI ---- */

u32 pci_read(u32 devfn, u32 reg)
{
    outl(0xcf8, 0x80000000 | devfn << 8 | reg);
    return inl(0xcfc);
}

void pci_write(u32 devfn, u32 reg, u32 val)
{
    outl(0xcf8, 0x80000000 | devfn << 8 | reg);
    outl(0xcfc, val);
}
