/*
 * ES1370: what its files share.
 */
#ifndef RING3_ES1370_PRIVATE_H
#define RING3_ES1370_PRIVATE_H

#include "devices/es1370.h"

enum es1370_id { DAC1, DAC2, ADC, CHANNELS };

struct es1370;

struct es1370_channel {
    struct es1370 *chip;
    struct voice voice; /* the ADC's has no audio: it keeps its time */
    struct timer timer;
    u16 count;      /* frames of a block, less one */
    u32 left;       /* of the current one, 0 to 65536 */
    u8 part;        /* bytes done of the current longword, 0 to 3 */
    u8 ended;       /* in stop mode: the block is over and its interrupt not acknowledged */
    u8 held;        /* a block's end waits for the guest */
    u64 idle_since; /* machine time */
};
enum { AK4531_REGISTERS = 0x1a, PAGES = 16 };
struct es1370 {
    struct device dev;
    struct pci_function pci;
    u32 claim; /* where BAR 0 is claimed */
    struct es1370_channel channel[CHANNELS];
    u32 control, status, serial;
    u8 page;            /* of memory */
    u8 uart, uart_test; /* its control register; test mode */
    u64 uart_ready_at;  /* clock time at which its transmitter is ready */
    struct timer uart_timer;
    u32 memory[PAGES * 4]; /* the chip's own, as it shows at 30-3F */
    u8 codec[AK4531_REGISTERS];
};

/* ---- es1370_uart.c ---- */

bool es1370_uart_interrupts(const struct es1370 *s);
/* The longword at 08; of a written one, the bytes of `mask`. */
u32 es1370_uart_read(const struct es1370 *s);
void es1370_uart_write(struct es1370 *s, u32 val, u32 mask);
void es1370_uart_stop(struct es1370 *s); /* what is being sent is not */
void es1370_uart_loaded(struct es1370 *s);

/* ---- ak4531.c ---- */

void ak4531_reset(struct es1370 *s);
void ak4531_write(struct es1370 *s, u8 reg, u8 val);
void ak4531_hear(struct es1370 *s); /* what the registers say of both voices' gains */

#endif
