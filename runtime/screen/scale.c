/*
 * Scaling in x and y apart. See scale.h.
 *
 * A source line is scaled in x once and kept while result lines need it. Two channels of a
 * pixel are weighed in one multiplication: 00RR00BB * weight has room for 8 bits more each.
 */
#include "runtime/screen/scale.h"

#include <stdlib.h>
#include <string.h>

enum { ONE = 256 };

/* ---- Axes ---- */

static void axis_free(struct scale_axis *a)
{
    free(a->first);
    free(a->count);
    free(a->weight);
    *a = (struct scale_axis){.from = 0};
}

/* Weights of result pixel i; what rounding left goes to the heaviest, so that they add up to
 * ONE. */
static void axis_weigh(struct scale_axis *a, u32 i)
{
    u64 low = (u64)i * a->from, high = (u64)(i + 1) * a->from; /* in 1/to of a source pixel */
    u32 left = ONE, heaviest = 0;
    u16 *w = a->weight + i * a->taps;

    a->first[i] = low / a->to;
    a->count[i] = (high - 1) / a->to - a->first[i] + 1;
    for (u32 k = 0; k < a->count[i]; k++) {
        u64 begin = (u64)(a->first[i] + k) * a->to, end = begin + a->to;
        u64 covered = (end < high ? end : high) - (begin > low ? begin : low);

        w[k] = covered * ONE / a->from;
        left -= w[k];
        heaviest = w[k] > w[heaviest] ? k : heaviest;
    }
    w[heaviest] += left;
}

static void axis_nearest(struct scale_axis *a, u32 i)
{
    a->first[i] = (2 * (u64)i + 1) * a->from / (2 * a->to);
    a->count[i] = 1;
    a->weight[i * a->taps] = ONE;
}

/* Between the middles of two source pixels; beyond the outermost it is theirs. */
static void axis_linear(struct scale_axis *a, u32 i)
{
    i64 at = ((2 * (i64)i + 1) * a->from - a->to) * (ONE / 2) / a->to, last = (i64)(a->from - 1) * ONE;
    u16 *w = a->weight + i * a->taps;

    at = at < 0 ? 0 : at > last ? last : at;
    a->first[i] = (u32)(at / ONE);
    a->count[i] = at % ONE ? 2 : 1;
    w[0] = (u16)(ONE - at % ONE);
    w[1] = (u16)(at % ONE);
}

static void axis_set(struct scale_axis *a, u32 from, u32 to, enum scale_how how)
{
    axis_free(a);
    a->from = from;
    a->to = to;
    a->taps = (from + to - 1) / to + 1;
    a->first = calloc(to, sizeof(*a->first));
    a->count = calloc(to, sizeof(*a->count));
    a->weight = calloc((size_t)to * a->taps, sizeof(*a->weight));
    check(a->first && a->count && a->weight, "out of memory");
    for (u32 i = 0; i < to; i++) {
        if (how == SCALE_NEAREST)
            axis_nearest(a, i);
        else if (how == SCALE_LINEAR && to > from)
            axis_linear(a, i);
        else
            axis_weigh(a, i);
    }
}

/* ---- Lines ---- */

static u32 blend(const u32 *p, const u16 *w, u32 count)
{
    u32 rb = 0, g = 0;

    for (u32 k = 0; k < count; k++) {
        rb += (p[k] & 0xff00ff) * w[k];
        g += (p[k] & 0x00ff00) / ONE * w[k];
    }
    return (rb >> 8 & 0xff00ff) | (g & 0x00ff00);
}

static void scale_line(const struct scale_axis *a, const u32 *from, u32 *to)
{
    if (a->from == a->to) {
        memcpy(to, from, a->to * sizeof(u32));
        return;
    }
    for (u32 i = 0; i < a->to; i++) {
        const u32 *p = from + a->first[i];

        to[i] = a->count[i] == 1 ? *p : blend(p, a->weight + i * a->taps, a->count[i]);
    }
}

static const u32 *scaled_line(struct scaler *s, const u32 *from, u32 line)
{
    u32 slot = line % s->y.taps;
    u32 *row = s->rows + (size_t)slot * s->x.to;

    if (s->row_line[slot] != line)
        scale_line(&s->x, from + (size_t)line * s->x.from, row);
    s->row_line[slot] = line;
    return row;
}

/* Adds up the lines that one result line covers. */
static void mix_lines(struct scaler *s, const u32 *from, u32 y, u32 *to)
{
    u32 count = s->y.count[y], first = s->y.first[y];
    const u16 *w = s->y.weight + (size_t)y * s->y.taps;
    const u32 **line = s->mixed;

    for (u32 k = 0; k < count; k++)
        line[k] = scaled_line(s, from, first + k);
    for (u32 x = 0; x < s->x.to; x++) {
        u32 rb = 0, g = 0;

        for (u32 k = 0; k < count; k++) {
            rb += (line[k][x] & 0xff00ff) * w[k];
            g += (line[k][x] & 0x00ff00) / ONE * w[k];
        }
        to[x] = (rb >> 8 & 0xff00ff) | (g & 0x00ff00);
    }
}

void scaler_draw(struct scaler *s, const u32 *from, u32 *to, u32 pitch, u32 first, u32 last)
{
    memset(s->row_line, 0xff, s->y.taps * sizeof(*s->row_line));
    for (u32 y = first; y < last; y++) {
        u32 *line = to + (size_t)y * pitch;

        if (s->y.count[y] == 1)
            memcpy(line, scaled_line(s, from, s->y.first[y]), s->x.to * sizeof(u32));
        else
            mix_lines(s, from, y, line);
    }
}

/* ---- The rest ---- */

void scaler_set(struct scaler *s, u32 from_w, u32 from_h, u32 to_w, u32 to_h)
{
    if (s->x.from == from_w && s->x.to == to_w && s->y.from == from_h && s->y.to == to_h &&
        s->is == s->how)
        return;
    s->is = s->how;
    axis_set(&s->x, from_w, to_w, s->how);
    axis_set(&s->y, from_h, to_h, s->how);
    free(s->rows);
    free(s->row_line);
    free(s->mixed);
    s->rows = calloc((size_t)s->y.taps * to_w, sizeof(u32));
    s->row_line = calloc(s->y.taps, sizeof(u32));
    s->mixed = calloc(s->y.taps, sizeof(*s->mixed));
    check(s->rows && s->row_line && s->mixed, "out of memory");
}

void scaler_reach(const struct scaler *s, u32 top, u32 bottom, u32 *first, u32 *last)
{
    u64 to = s->y.to, from = s->y.from;

    if (s->is == SCALE_LINEAR) { /* a line reaches the middles of its neighbours */
        top -= top > 0;
        bottom += bottom < from;
    }
    *first = top * to / from;
    *last = (bottom * to + from - 1) / from;
    if (*last > s->y.to)
        *last = s->y.to;
}

void scaler_free(struct scaler *s)
{
    axis_free(&s->x);
    axis_free(&s->y);
    free(s->rows);
    free(s->row_line);
    free(s->mixed);
    *s = (struct scaler){ .how = s->how };
}
