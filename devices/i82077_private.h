/*
 * Inside the floppy controller: i82077.c has the registers, phases and commands without data;
 * i82077_data.c reads, writes, verifies and formats sectors. Nobody else includes this.
 */
#ifndef RING3_I82077_PRIVATE_H
#define RING3_I82077_PRIVATE_H

#include "devices/floppy.h"
#include "devices/i82077.h"

enum { /* 82077AA datasheet (290166): register and status bits */
    DOR_SELECT = 0x03, DOR_NOT_RESET = 0x04, DOR_DMA_GATE = 0x08, DOR_MOTOR0 = 0x10,
    DSR_RESET = 0x80, DIR_CHANGED = 0x80, MSR_RQM = 0x80, MSR_DIO = 0x40, MSR_NON_DMA = 0x20,
    MSR_BUSY = 0x10, ST0_ABNORMAL = 0x40, ST0_INVALID = 0x80, ST0_READY_CHANGED = 0xc0,
    ST0_SEEK_END = 0x20, ST0_CHECK = 0x10, ST1_END = 0x80, ST1_DATA_ERROR = 0x20,
    ST1_OVERRUN = 0x10, ST1_NO_DATA = 0x04, ST1_NOT_WRITABLE = 0x02, ST1_NO_MARK = 0x01,
    ST2_CONTROL_MARK = 0x40, ST2_DATA_ERROR = 0x20, ST2_WRONG_CYLINDER = 0x10,
    ST2_SCAN_NOT = 0x04, ST3_PROTECTED = 0x40, ST3_READY = 0x20, ST3_TRACK0 = 0x10,
    ST3_TWO_SIDES = 0x08, SPECIFY_NON_DMA = 0x01, CONFIG_EIS = 0x40, CONFIG_NO_FIFO = 0x20,
    CONFIG_NO_POLL = 0x10,
    CMD_MT = 0x80, CMD_MFM = 0x40, CMD_IN = 0x40, /* relative seek towards the spindle */
    UNIT_HEAD = 0x04, UNIT_EC = 0x80,             /* verify: end count */
    SECTOR = 512, SIZE_512 = 2,
};

enum phase { PHASE_COMMAND, PHASE_EXECUTION, PHASE_RESULT };

struct floppy_drive {
    u8 cylinder; /* where the heads are */
    u8 pcn;      /* where the controller thinks they are */
    u8 changed;  /* the change line: medium moved, and no step since */
    u8 seeked;   /* positioned by SEEK since the last recalibrate */
};
struct i82077 {
    struct device dev;
    u8 dor, tdr, rate;
    u8 specify[2], config, precompensation, lock, perpendicular;
    u8 phase;             /* enum phase */
    u8 fifo[16];          /* the command, or the result */
    u8 pos, length;       /* next byte of it; length of a result */
    u8 irq_pending;
    u8 resetting;         /* the reset's interrupt comes when the timer fires */
    u8 reset_senses;      /* SENSE INTERRUPTs still owed after a reset */
    u8 seeking, seek_done; /* bits by drive */
    u8 seek_st0[4];
    struct floppy_drive drive[4];
    /* A data command: the address of the sector in hand, and how far. */
    u8 c, h, r, n, eot, st1, st2;
    u8 data[SECTOR];
    u16 at;     /* bytes of `data` moved */
    u8 loaded;  /* `data` is the sector, or may be filled for it */
    u8 ready;   /* non-DMA: the data port wants its next byte */
    u8 left;    /* format, verify: sectors to go */
    u8 next_id; /* the sector that comes under the head next */
    u16 stalls;
    u8 polls; /* reads of MSR since the step was set */
    struct irq *irq;
    struct timer exec, seek;
};

void i82077_interrupt(struct i82077 *s, bool on);
void i82077_result(struct i82077 *s, u32 length); /* of what is in fifo[] */
struct disk *i82077_disk(struct i82077 *s, u32 drive); /* NULL: no such drive */

/* A command with data starts: fifo[] holds it. */
void i82077_data_begin(struct i82077 *s);
/* Its timer fired: next step. */
void i82077_data_step(struct i82077 *s);
/* Non-DMA: the guest reads or writes the data port while `ready`. */
u8 i82077_data_get(struct i82077 *s);
void i82077_data_put(struct i82077 *s, u8 val);
bool i82077_data_writes(const struct i82077 *s); /* the guest gives the bytes */

#endif
