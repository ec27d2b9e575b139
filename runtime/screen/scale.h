/*
 * Pictures made larger or smaller. Sharply: each pixel of the result is the average of the area
 * of the source that it covers. Enlarged by a whole factor that is plain repetition; by another
 * factor only pixels on an edge between two source pixels are blended. Or by other ways: enum scale_how.
 */
#ifndef RING3_SCALE_H
#define RING3_SCALE_H

#include "runtime/base/base.h"

/* One direction: result pixel i is the sum of weight[i * taps + k] / 256 * source[first[i] +
 * k]. */
struct scale_axis {
    u32 from, to; /* source and result sizes */
    u32 taps;     /* at most, a result pixel */
    u32 *first;
    u16 *count;
    u16 *weight;
};
/* How: by area; the nearest source pixel; between the two nearest (by area where it gets smaller). */
enum scale_how { SCALE_SHARP, SCALE_NEAREST, SCALE_LINEAR, SCALE_HOWS };
struct scaler {
    enum scale_how how, is; /* as wanted from the next scaler_set() on; as prepared */
    struct scale_axis x, y;
    u32 *rows;         /* y.taps source lines, scaled in x: line n is in slot n % taps */
    u32 *row_line;     /* which line a slot holds; ~0: none */
    const u32 **mixed; /* y.taps of them: the lines being added up */
};

/* Prepares for these sizes, all from 1 to 16384; does nothing when they are as before. */
void scaler_set(struct scaler *s, u32 from_w, u32 from_h, u32 to_w, u32 to_h);
/* Result lines that source lines top to bottom - 1 reach: *first to *last - 1. */
void scaler_reach(const struct scaler *s, u32 top, u32 bottom, u32 *first, u32 *last);
/* Draws result lines first to last - 1. `to` is the result's upper left corner; pitch in
 * pixels. */
void scaler_draw(struct scaler *s, const u32 *from, u32 *to, u32 pitch, u32 first, u32 last);
void scaler_free(struct scaler *s);

#endif
