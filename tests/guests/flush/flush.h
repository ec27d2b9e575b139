/* What the files of the flushing guest share: flush.c (rounds), disk.c, work.c, board.c
 * (tables, clock, text). */
#ifndef GUESTS_FLUSH_H
#define GUESTS_FLUSH_H

#include "tests/guests/io.h"

enum { SECTOR = 512, MOST = 16 }; /* the largest command, in sectors */
enum { PAGE = 4096 };
/* Linear pages over frames in another order, changed with each round: neighbours here are none
 * in memory. */
enum { PATCH = 0x40000000, PATCH_PAGES = 8, PATCH_STACKS = 2, PATCH_END = PATCH_PAGES + PATCH_STACKS };

static inline u32 mix(u32 x)
{
    x = (x ^ x >> 16) * 0x7feb352d;
    x = (x ^ x >> 15) * 0x846ca68b;
    return x ^ x >> 16;
}

/* ---- board.c ---- */
extern volatile u32 ticks; /* milliseconds */
void board_init(void);
void patch_shuffle(u32 seed);
u32 pci_read(u32 devfn, u32 reg);
void pci_write(u32 devfn, u32 reg, u32 val);
void text(const char *s);
void number(u32 v);
/* Counts a failure, and prints the first few. */
void fail(const char *what, u32 at, u32 got, u32 want);
extern u32 failures;
void __attribute__((noreturn)) leave(void);
u32 run_user(u32 (*function)(u32), u32 argument);

/* ---- work.c: no ports, so that ring 3 can do it ---- */
extern u32 work_count, work_wrong;
extern const char *work_what; /* the first thing that was wrong, and how */
extern u32 work_at, work_got, work_want;
void work_init(void);
u32 work(u32 seed); /* twice the same for the same seed; compared with the first time */

/* ---- disk.c ---- */
struct disk {
    u16 port, control, master;
    u32 index, sectors;
    u32 style;              /* how await() waits: enum style */
    volatile u32 fired;     /* interrupts since the last command */
    volatile u8 status;     /* as the last of them found it */
};
enum style { BY_POLL, BY_WORK, BY_HALT, BY_USER, STYLES };
enum how { PIO, PIO_MULTIPLE, PIO_EXT, DMA, DMA_EXT, HOWS };

extern struct disk disks[2];
void disks_init(void);
void disk_write(struct disk *d, enum how how, u32 lba, u32 n, const void *from);
void disk_read(struct disk *d, enum how how, u32 lba, u32 n, void *to);
void disk_flush_begin(struct disk *d, u8 command);
void disk_flush_end(struct disk *d);
void disk_reset(struct disk *d); /* SRST, whatever it is at */
void disk_cache(struct disk *d, int on);

#endif
