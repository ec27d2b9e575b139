/*
 * Cirrus Logic CL-GD5446, a VGA with linear modes, a hardware cursor and a blitter: see
 * gd5446.c. What devices/vga.h asks of a display adapter (vga_draw(), vga_text()) it does, too;
 * its monitor prefers nothing.
 */
#ifndef RING3_GD5446_H
#define RING3_GD5446_H

#include "devices/vga.h"

/* 3B0-3DF, A0000-BFFFF, PCI 1013:00B8: BAR 0 the frame buffer (32 MiB), BAR 1 the registers
 * (4 KiB). Its config is a struct vga_config, with 4 MiB. */
extern const struct device_class gd5446_class;
extern const struct user_device gd5446_user_device, isa_gd5446_user_device;

#endif
