/*
 * AC'97: what its two files share.
 */
#ifndef RING3_AC97_PRIVATE_H
#define RING3_AC97_PRIVATE_H

#include "devices/ac97.h"

/* The controller's bus masters, in the order of their registers. */
enum ac97_box_id { BOX_PCM_IN, BOX_PCM_OUT, BOX_MIC, BOXES };

struct ac97;

/* A bus master: goes through a ring of 32 descriptors. */
struct ac97_box {
    struct ac97 *chip;
    struct voice voice; /* the inputs' has no audio: it keeps their time */
    struct timer timer;
    u32 bdbar;            /* where the ring is */
    u8 civ, lvi, piv, cr; /* current, last valid and prefetched descriptor; control */
    u16 sr, picb;         /* status; samples left of the current buffer */
    u32 at, control;      /* where the next sample is; the current descriptor's second half */
    u64 idle_since;
};
struct ac97 {
    struct device dev;
    struct pci_function pci;
    u32 mixer_claim, master_claim; /* where BAR 0 and 1 are claimed */
    struct ac97_box box[BOXES];
    u32 global_control;
    u8 semaphore;  /* CAS */
    u16 codec[64]; /* by register / 2 */
};

/* ---- ac97_codec.c ---- */
void ac97_codec_reset(struct ac97 *s);
void ac97_codec_loaded(struct ac97 *s);
u16 ac97_codec_read(struct ac97 *s, u32 reg);
void ac97_codec_write(struct ac97 *s, u32 reg, u16 val);
u32 ac97_codec_rate(const struct ac97 *s, enum ac97_box_id id); /* Hz */

/* ---- ac97.c ---- */
void ac97_render(struct device *dev);
void ac97_rates_changed(struct ac97 *s);

#endif
