/*
 * The screen as a display adapter gives it to displays and screendump.
 */
#ifndef RING3_FRAME_H
#define RING3_FRAME_H

#include "runtime/base/base.h"

/* A picture of the screen, as the window and screendump want it. */
struct frame {
    u32 width, height;   /* pixels of `pixels`; 0: blank */
    /* width*height, 0x00RRGGBB, owned by the adapter, valid until the next call */
    u32 *pixels;
    u32 aspect_x, aspect_y; /* shape of the whole picture, 4:3 mostly */
    bool text;           /* a text mode: see vga_text() */
    bool changed;        /* differs from the previous call's */
    u64 generation;      /* counts changes: for callers that are not the only one */
    u32 top, bottom;     /* lines top to bottom - 1 hold what the latest change altered */
};

/* Text modes: cells as character | attribute << 8. */
struct text_screen {
    u32 columns, rows;
    const u16 *cells; /* rows*columns, owned by the adapter */
    int cursor_x, cursor_y; /* -1: hidden */
    bool blink; /* attribute bit 7 blinks; else it is a bright background */
};

#endif
