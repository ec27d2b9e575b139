/*
 * EDID 1.3 (VESA Enhanced EDID Standard, release A, rev. 1): one block of a digital monitor
 * that shows any size up to what the adapter has, and prefers one.
 */
#include "devices/edid.h"

#include <string.h>

enum {
    ID = 8, VERSION = 18, INPUT = 20, SIZE_CM = 21, GAMMA = 23, FEATURES = 24, CHROMA = 25,
    ESTABLISHED = 35, STANDARD = 38, DETAILED = 54, DESCRIPTOR = 18, SUM = 127,
    FEATURE_RGB = 0x08, FEATURE_PREFERRED = 0x02,
    DIGITAL_SYNC = 0x1e, /* separate, both positive */
    H_BLANK = 160, H_FRONT = 48, H_SYNC = 32, V_BLANK = 35, V_FRONT = 3, V_SYNC = 6, HZ = 60,
    POINTS_PER_CM = 38,
};

static void detailed_timing(u8 *d, u32 w, u32 h)
{
    u32 clock = (w + H_BLANK) * (h + V_BLANK) * HZ / 10000; /* in 10 kHz */
    u32 mm_w = w * 10 / POINTS_PER_CM, mm_h = h * 10 / POINTS_PER_CM;

    d[0] = (u8)clock;
    d[1] = (u8)(clock >> 8);
    d[2] = (u8)w;
    d[3] = H_BLANK;
    d[4] = (u8)(w >> 8 << 4);
    d[5] = (u8)h;
    d[6] = V_BLANK;
    d[7] = (u8)(h >> 8 << 4);
    d[8] = H_FRONT;
    d[9] = H_SYNC;
    d[10] = V_FRONT << 4 | V_SYNC;
    d[12] = (u8)mm_w;
    d[13] = (u8)mm_h;
    d[14] = (u8)(mm_w >> 8 << 4 | mm_h >> 8);
    d[17] = DIGITAL_SYNC;
}

static void text_descriptor(u8 *d, u8 type, const void *data, u32 size)
{
    memset(d, 0, DESCRIPTOR);
    d[3] = type;
    memset(d + 5, ' ', DESCRIPTOR - 5);
    memcpy(d + 5, data, size);
}

void edid_make(u8 edid[EDID_SIZE], u32 width, u32 height)
{
    static const u8 header[ID] = { 0, 255, 255, 255, 255, 255, 255, 0 };
    static const u8 srgb[] = { 0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54 };
    /* 1280×1024, ×720, ×800, 1440×900, 1600×1200, 1680×1050, 1920×1080, ×1200 */
    static const u8 standard[] = { 0x81, 0x80, 0x81, 0xc0, 0x81, 0x00, 0x95, 0x00,
                                   0xa9, 0x40, 0xb3, 0x00, 0xd1, 0xc0, 0xd1, 0x00 };
    /* 50 to 125 Hz, 15 to 160 kHz, up to 660 MHz; no secondary timing */
    static const u8 limits[] = { 50, 125, 15, 160, 66, 0, '\n' };
    u8 sum = 0;

    memset(edid, 0, EDID_SIZE);
    memcpy(edid, header, sizeof(header));
    edid[ID] = 0x49; /* "RNG", five bits a letter */
    edid[ID + 1] = 0xc7;
    edid[ID + 2] = 3;
    edid[VERSION - 1] = 36; /* made in 2026 */
    edid[VERSION] = 1;
    edid[VERSION + 1] = 3;
    edid[INPUT] = 0x80;
    edid[SIZE_CM] = (u8)(width / POINTS_PER_CM);
    edid[SIZE_CM + 1] = (u8)(height / POINTS_PER_CM);
    edid[GAMMA] = 120; /* 2.2 */
    edid[FEATURES] = FEATURE_RGB | FEATURE_PREFERRED;
    memcpy(edid + CHROMA, srgb, sizeof(srgb));
    edid[ESTABLISHED] = 0x21; /* 640×480 and 800×600 at 60 Hz */
    edid[ESTABLISHED + 1] = 0x08; /* 1024×768 */
    memcpy(edid + STANDARD, standard, sizeof(standard));
    detailed_timing(edid + DETAILED, width, height);
    text_descriptor(edid + DETAILED + DESCRIPTOR, 0xfd, limits, sizeof(limits));
    text_descriptor(edid + DETAILED + 2 * DESCRIPTOR, 0xfc, "ring3\n", 6);
    text_descriptor(edid + DETAILED + 3 * DESCRIPTOR, 0x10, "", 0);
    memset(edid + DETAILED + 3 * DESCRIPTOR + 5, 0, DESCRIPTOR - 5);
    for (u32 i = 0; i < SUM; i++)
        sum += edid[i];
    edid[SUM] = (u8)-sum;
}
