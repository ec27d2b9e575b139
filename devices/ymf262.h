/*
 * The YMF262 (OPL3), FM synthesizer of the AdLib and Sound Blaster cards: see ymf262.c.
 */
#ifndef RING3_YMF262_H
#define RING3_YMF262_H

#include "devices/audio.h"

struct ymf262_timer {
    u8 running, masked;
    u64 since; /* machine time from which its period counts */
};

/* Embedded in a card. */
struct ymf262 {
    struct voice voice;
    struct _opl3_chip *synthesizer; /* NULL: nobody hears */
    u16 index;                      /* bank << 8 | register */
    u8 registers[512];
    struct ymf262_timer timer[2];
    u32 silent; /* frames in a row */
};
#define YMF262_FIELDS(type, member)                                                            \
    FIELD(type, member.index), FIELD_ARRAY(type, member.registers),                            \
        FIELD(type, member.timer[0].running), FIELD(type, member.timer[0].masked),             \
        FIELD(type, member.timer[0].since), FIELD(type, member.timer[1].running),              \
        FIELD(type, member.timer[1].masked), FIELD(type, member.timer[1].since)

/* In the card's attach: claims iobase to iobase + 3, + 8, + 9, and 388 to 38B with the card's
 * ops and render, which call these. Without the synthesizer built in, nothing answers; one line
 * says so. */
bool ymf262_attach(struct ymf262 *f, struct device *card, struct audiodev *audio, u16 iobase,
                   const struct io_ops *ops, void (*render)(struct device *card));
void ymf262_reset(struct ymf262 *f);
void ymf262_loaded(struct ymf262 *f);
/* off: 0 status and address, 1 data; 2, 3 the second bank's. */
u8 ymf262_read(struct ymf262 *f, u32 off);
void ymf262_write(struct ymf262 *f, u32 off, u8 val);
void ymf262_render(struct ymf262 *f);

#endif
