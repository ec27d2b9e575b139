/*
 * What the files of the IDE controller share: ata.c (ports, interrupts, reset), ata_command.c
 * (the command table), ata_pio.c and ata_dma.c (data), ata_identify.c, ata_geometry.c, and
 * atapi*.c (the CD behind it). Nothing else includes this.
 *
 * A command is a chain of steps. A handler decodes the registers and says which step comes next
 * and when (ata_after); the drive is BSY until then. A step either ends the command
 * (ata_finish), or offers a block at the data port (ata_offer) and names the step that follows
 * once the guest has moved its last word. Steps are numbers, so that a drive can be saved
 * between any two of them.
 *
 * Registers and commands: ATA/ATAPI-6 (T13/1410D); bus master: Intel 82371SB, 2.4.
 */
#ifndef RING3_ATA_PRIVATE_H
#define RING3_ATA_PRIVATE_H

#include "devices/ata.h"

enum { SECTOR = 512, CD_SECTOR = 2048, CD_RAW = 2352 };
/* The largest block: one DRQ block of a packet command, or a slice of a DMA transfer, with room
 * for the part of a CD sector that is left over from the block before. */
enum { ATA_SLICE = 65536, ATA_BUFFER = ATA_SLICE + CD_RAW, ATA_MULTIPLE = 16 };

enum { /* status register */
    SR_ERR = 0x01,
    SR_DRQ = 0x08,
    SR_DSC = 0x10,
    SR_DF = 0x20,
    SR_DRDY = 0x40,
    SR_BSY = 0x80,
};
enum { ER_ABRT = 0x04, ER_IDNF = 0x10, ER_UNC = 0x40, ER_ICRC = 0x80 }; /* error register */
enum { DEV_HEAD = 0x0f, DEV_UNIT = 0x10, DEV_LBA = 0x40 };              /* device register */
enum { CTL_NIEN = 0x02, CTL_SRST = 0x04, CTL_HOB = 0x80 };              /* device control */
enum { IR_COD = 0x01, IR_IO = 0x02 }; /* interrupt reason: the count register of a CD */
enum { BM_START = 0x01, BM_TO_MEMORY = 0x08 };        /* bus master command */
enum { BM_ACTIVE = 0x01, BM_ERROR = 0x02, BM_INT = 0x04 }; /* bus master status */

/* Time from a command to its first effect, and from one block to the next. */
#define ATA_COMMAND_TIME USEC(15)
#define ATA_BLOCK_TIME USEC(3)
#define ATA_FLUSH_TIME USEC(100) /* between looks at a flush under way */

enum ata_step {
    STEP_NONE,
    STEP_FINISH,   /* end the command with what is in the error register */
    STEP_IDENTIFY, /* offer the 256 words */
    STEP_READ,     /* PIO: fetch and offer the next block */
    STEP_WRITE,    /* PIO: store the block just taken */
    STEP_BUFFER,   /* offer the sector buffer */
    STEP_DMA,      /* move a slice */
    STEP_FLUSH,
    STEP_FLUSHING, /* is it on the host's disk? */
    STEP_PACKET,      /* run the 12 bytes just taken */
    STEP_PACKET_DATA, /* offer or move the next part of the reply */
    STEPS
};

/* Flags are bytes, not bools: a saved state may hold any value. */
struct ata_drive {
    struct ata_channel *channel;
    struct disk *disk; /* NULL: nothing on this cable end */
    u8 unit;

    /* Registers. [1] holds the value before the last: LBA48's high bytes. */
    u8 feature[2], count[2], low[2], mid[2], high[2];
    u8 device, status, error, command;
    u8 intrq; /* interrupt pending; reaches the wire when this drive is selected */

    u32 cylinders, heads, sectors; /* current translation */
    u8 multiple;                   /* sectors a block of READ/WRITE MULTIPLE; 0: off */
    u8 mode;                       /* transfer mode as SET FEATURES 03 spells it */
    u8 write_cache;
    u8 power; /* as CHECK POWER MODE reports */
    u8 asleep;

    /* The command under way. */
    u8 step; /* what the timer brings */
    u64 due;
    u8 polls; /* reads of the status since */
    struct timer timer;
    u8 then;       /* what follows the block at the data port */
    u8 taking;   /* its direction: from the guest */
    u32 pos, end;  /* the block: buffer[pos, end) is still to move */
    u64 lba;       /* next sector to fetch or store */
    u32 left;      /* sectors still to fetch or store */
    u32 block;     /* sectors a PIO block */
    u8 storing;  /* DMA: from memory to disk */
    u8 dma_wait; /* DMA: ready, the bus master is not started */

    /* CD: the reply is `total` bytes more, of which buffer[pos or end, fill) is there. */
    u32 limit, total, fill;
    u32 form; /* bytes of a sector the reply streams: CD_SECTOR, CD_RAW; 0: all in the buffer */
    u8 packet_dma;
    u8 packet[12];
    u8 sense_key, asc, ascq;
    u8 requests;  /* a unit attention is pending */
    u8 tray_open;
    u8 media_event;  /* GET EVENT STATUS NOTIFICATION: 0 none, 1 eject, 2 new, 3 removed */
    u8 buffer[ATA_BUFFER];
};

struct ata_channel {
    struct ata *ata;
    u8 index;
    u8 selected, control;
    struct irq *irq;
    u8 wire; /* INTRQ as last driven */
    struct ata_drive drive[2];

    /* Bus master. */
    u8 bm_command, bm_status;
    u32 bm_table;               /* DTPR */
    u32 prd_at;                 /* the next descriptor */
    u32 prd_address, prd_left;  /* the current one */
    u8 prd_last;              /* it had EOT */
};

struct ata {
    struct device dev;
    struct ata_channel channel[2];
};

static inline bool ata_is_cd(const struct ata_drive *d)
{
    return d->disk->cdrom;
}

/* ---- ata.c ---- */
void ata_after(struct ata_drive *d, enum ata_step step, u64 ns); /* BSY until then */
/* Takes the step that is due: a guest that polls need not wait for the host's timer. */
void ata_catch_up(struct ata_drive *d);
void ata_finish(struct ata_drive *d, u8 error);       /* end of command, interrupt */
void ata_finish_later(struct ata_drive *d, u8 error); /* the same after ATA_COMMAND_TIME */
/* Puts buffer[pos, end) at the data port; `then` follows its last word. */
void ata_offer(struct ata_drive *d, u32 pos, u32 end, bool taking, enum ata_step then);
void ata_interrupt(struct ata_drive *d);
void ata_signature(struct ata_drive *d);
void ata_drive_reset(struct ata_drive *d); /* software reset: stops the command, signature */

/* ---- ata_command.c ---- */
void ata_command(struct ata_drive *d, u8 command);
u64 ata_sectors(const struct ata_drive *d);
void ata_set_address(struct ata_drive *d, u64 lba);

/* ---- the steps ---- */
void ata_step_read(struct ata_drive *d);
void ata_step_write(struct ata_drive *d);
void ata_step_flush(struct ata_drive *d);
void ata_step_flushing(struct ata_drive *d);
void ata_step_dma(struct ata_drive *d);
void ata_step_identify(struct ata_drive *d);
void atapi_step_packet(struct ata_drive *d);
void atapi_step_data(struct ata_drive *d);

/* ---- ata_pio.c ---- */
u32 ata_data_read(struct ata_drive *d, u32 size);
void ata_data_write(struct ata_drive *d, u32 size, u32 val);
u32 ata_data_read_string(struct ata_drive *d, u32 size, void *buf, u32 n);
u32 ata_data_write_string(struct ata_drive *d, u32 size, const void *buf, u32 n);
void ata_pio_start(struct ata_drive *d, bool storing, u32 block);

/* ---- ata_dma.c ---- */
void ata_dma_start(struct ata_drive *d, bool storing);
/* Waits for the bus master where it is not started yet, else takes `step`'s turn after ns. */
void ata_dma_after(struct ata_drive *d, u64 ns);
/* Moves n bytes by the descriptors; fewer: the table ended. */
u32 ata_dma_move(struct ata_channel *c, u8 *buf, u32 n, bool to_memory);
void ata_dma_reset(struct ata_channel *c);

/* ---- atapi.c ---- */
void atapi_start(struct ata_drive *d); /* PACKET */
void atapi_reset(struct ata_drive *d);

#endif
