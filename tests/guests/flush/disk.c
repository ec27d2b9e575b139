/*
 * Two IDE disks, the first of each channel, by PIO and by the PIIX's bus master. A command is
 * waited for in one of four styles: looking at the status, working until the interrupt has come
 * (in ring 0 or in ring 3), or halted.
 */
#include "tests/guests/flush/flush.h"

enum { ERR = 0x01, DRQ = 0x08, DF = 0x20, DRDY = 0x40, BSY = 0x80 };
enum { NIEN = 2, SRST = 4 };
enum { BM_START = 1, BM_TO_MEMORY = 8, BM_FAILED = 2 };
enum { IDE = 0x09, PATIENCE = 120000 }; /* ticks: an fdatasync() of a busy host's */

struct disk disks[2] = {
    { .port = 0x1f0, .control = 0x3f6, .index = 0 },
    { .port = 0x170, .control = 0x376, .index = 1 },
};
static u32 descriptors[2][4][2] __attribute__((aligned(64)));

/* ---- Waiting ---- */

static void halt_unless(const volatile u32 *fired)
{
    __asm__ volatile("cli");
    if (!*fired)
        __asm__ volatile("sti; hlt");
    __asm__ volatile("sti");
}

static void wait_interrupt(struct disk *d)
{
    u32 start = ticks, n = start;

    while (!d->fired && ticks - start < PATIENCE) {
        if (d->style == BY_HALT)
            halt_unless(&d->fired);
        else if (d->style == BY_USER)
            run_user(work, n++);
        else
            work(n++);
    }
    if (!d->fired)
        fail("no interrupt", d->index, inb(d->control), DRDY);
    d->fired = 0;
}

/* Until none of the status bits is set. */
static void wait_clear(struct disk *d, u8 bits)
{
    u32 start = ticks;

    while (inb(d->control) & bits && ticks - start < PATIENCE)
        ;
    if (inb(d->control) & bits)
        fail("busy for ever", d->index, inb(d->control), DRDY);
}

/* The end of the command, or of a block of it; its status is as it should be. */
static void await(struct disk *d, u8 want)
{
    if (d->style == BY_POLL) {
        wait_clear(d, want & DRQ ? BSY : BSY | DRQ); /* a transfer by DMA may show DRQ */
        d->status = inb(d->port + 7);
    } else {
        wait_interrupt(d);
    }
    if ((d->status & (BSY | DRDY | DF | DRQ | ERR)) != (DRDY | want))
        fail("status", d->index, d->status, DRDY | want);
}

/* ---- Commands ---- */

static void issue(struct disk *d, u8 command, u32 lba, u32 n, int ext)
{
    wait_clear(d, BSY);
    inb(d->port + 7);
    d->fired = 0;
    outb(d->control, d->style == BY_POLL ? NIEN : 0);
    outb(d->port + 6, 0xe0 | (ext ? 0 : lba >> 24));
    if (ext) {
        outb(d->port + 2, n >> 8);
        outb(d->port + 3, lba >> 24);
        outb(d->port + 4, 0);
        outb(d->port + 5, 0);
    }
    outb(d->port + 2, n);
    outb(d->port + 3, lba);
    outb(d->port + 4, lba >> 8);
    outb(d->port + 5, lba >> 16);
    outb(d->port + 7, command);
}

static void simple(struct disk *d, u8 command, u32 count)
{
    issue(d, command, 0, count, 0);
    await(d, 0);
}

/* ---- PIO: words one by one, or a string instruction ---- */

static void take(struct disk *d, u8 *to, u32 bytes, u32 lba)
{
    u32 n = bytes / 4;

    if (lba % 4 == 0)
        for (u32 i = 0; i < bytes; i += 2)
            *(volatile u16 *)(to + i) = inw(d->port);
    else
        __asm__ volatile("rep insl" : "+D"(to), "+c"(n) : "d"(d->port) : "memory");
}

static void give(struct disk *d, const u8 *from, u32 bytes, u32 lba)
{
    u32 n = bytes / 2;

    if (lba % 4 == 0)
        for (u32 i = 0; i < bytes; i += 2)
            outw(d->port, *(const volatile u16 *)(from + i));
    else
        __asm__ volatile("rep outsw" : "+S"(from), "+c"(n) : "d"(d->port) : "memory");
}

static u32 block(enum how how, u32 left)
{
    return how == PIO_MULTIPLE && left < MOST ? left : how == PIO_MULTIPLE ? MOST : 1;
}

static void pio_read(struct disk *d, enum how how, u32 lba, u32 n, u8 *to)
{
    static const u8 command[] = { [PIO] = 0x20, [PIO_MULTIPLE] = 0xc4, [PIO_EXT] = 0x24 };

    issue(d, command[how], lba, n, how == PIO_EXT);
    while (n) {
        u32 part = block(how, n);

        await(d, DRQ);
        take(d, to, part * SECTOR, lba);
        to += part * SECTOR;
        n -= part;
    }
}

static void pio_write(struct disk *d, enum how how, u32 lba, u32 n, const u8 *from)
{
    static const u8 command[] = { [PIO] = 0x30, [PIO_MULTIPLE] = 0xc5, [PIO_EXT] = 0x34 };

    issue(d, command[how], lba, n, how == PIO_EXT);
    wait_clear(d, BSY); /* no interrupt asks for the first block */
    while (n) {
        u32 part = block(how, n);

        give(d, from, part * SECTOR, lba);
        from += part * SECTOR;
        n -= part;
        await(d, n ? DRQ : 0);
    }
}

/* ---- DMA, in up to three pieces of an even length ---- */

static void describe(struct disk *d, u32 address, u32 bytes)
{
    u32 (*entry)[2] = descriptors[d->index], first = 2 + address % 300 / 2 * 2;

    entry[0][0] = address;
    entry[0][1] = first;
    entry[1][0] = address + first;
    entry[1][1] = 2;
    entry[2][0] = address + first + 2;
    entry[2][1] = (bytes - first - 2) | 0x80000000;
}

static void dma(struct disk *d, u8 command, u32 lba, u32 n, u32 address, u8 direction)
{
    describe(d, address, n * SECTOR);
    outl(d->master + 4, (u32)descriptors[d->index]);
    outb(d->master + 2, inb(d->master + 2));
    outb(d->master, direction);
    issue(d, command, lba, n, command == 0x25 || command == 0x35);
    outb(d->master, direction | BM_START);
    await(d, 0);
    if (inb(d->master + 2) & (BM_START | BM_FAILED))
        fail("bus master status", d->index, inb(d->master + 2), 0);
    outb(d->master, 0);
}

/* ---- What flush.c asks for ---- */

void disk_write(struct disk *d, enum how how, u32 lba, u32 n, const void *from)
{
    if (how == DMA || how == DMA_EXT)
        dma(d, how == DMA ? 0xca : 0x35, lba, n, (u32)from, 0);
    else
        pio_write(d, how, lba, n, from);
}

void disk_read(struct disk *d, enum how how, u32 lba, u32 n, void *to)
{
    if (how == DMA || how == DMA_EXT)
        dma(d, how == DMA ? 0xc8 : 0x25, lba, n, (u32)to, BM_TO_MEMORY);
    else
        pio_read(d, how, lba, n, to);
}

void disk_flush_begin(struct disk *d, u8 command)
{
    issue(d, command, 0, 0, 0);
}

void disk_flush_end(struct disk *d)
{
    await(d, 0);
}

void disk_reset(struct disk *d)
{
    outb(d->control, SRST | NIEN);
    for (u32 i = 0; i < 20; i++)
        inb(0x80);
    outb(d->control, NIEN);
    for (u32 i = 0; i < 20; i++)
        inb(0x80);
    wait_clear(d, BSY);
    if (inb(d->port + 1) != 1 || inb(d->port + 4) || inb(d->port + 5))
        fail("signature", d->index, inb(d->port + 1), 1);
    simple(d, 0xc6, MOST); /* SET MULTIPLE */
}

void disk_cache(struct disk *d, int on)
{
    wait_clear(d, BSY);
    outb(d->port + 6, 0xe0);
    outb(d->port + 1, on ? 0x02 : 0x82);
    simple(d, 0xef, 0);
}

/* ---- Finding them ---- */

static void disk_identify(struct disk *d)
{
    u16 words[256];

    outb(d->port + 6, 0xe0);
    if (!(inb(d->port + 7) & DRDY))
        return;
    issue(d, 0xec, 0, 0, 0);
    await(d, DRQ);
    take(d, (u8 *)words, SECTOR, 1);
    d->sectors = words[60] | words[61] << 16;
    simple(d, 0xc6, MOST);
    outb(d->port + 1, 0x03);
    simple(d, 0xef, 0x22); /* SET FEATURES: multiword DMA 2 */
}

void disks_init(void)
{
    u32 master = pci_read(IDE, 0x20) & 0xfffc;

    pci_write(IDE, 4, (pci_read(IDE, 4) & 0xffff) | 5); /* ports, bus master */
    for (u32 i = 0; i < 2; i++) {
        disks[i].master = (u16)(master + 8 * i);
        disk_identify(&disks[i]);
    }
}
