/* A sine without a library: sine(t) of a circle of 512, up to 32000 either way, by four
 * parabolas and their square. */
#ifndef GUESTS_SINE_H
#define GUESTS_SINE_H

static inline int sine(unsigned t)
{
    int x = (int)(t & 255) - 128; /* -128 to 128: half a wave */
    int y = 16384 - x * x;        /* a parabola, 0 to 16384 */
    int fine = (int)((long long)y * (12714 + (3670 * (y >> 4) >> 10)) >>
                     14); /* mended by its square: 0.775, 0.224 */

    fine = fine * 125 / 64;
    return t & 256 ? -fine : fine;
}

#endif
