/*
 * The display adapter: see vga.c.
 */
#ifndef RING3_VGA_H
#define RING3_VGA_H

#include "devices/frame.h"
#include "devices/pci.h"
#include "devices/user_device.h"

struct vga_config {
    struct pci_slot slot; /* NULL bus: none; the board's adapter is 00:02.0 */
    u32 megabytes;        /* of video memory: 16 */
    u32 linear;           /* of an ISA card: where video memory lies; 0: nowhere */
    u32 width, height;    /* what the monitor prefers, in points; 0: 1024 by 768 */
};
/* 3B0-3DF, A0000-BFFFF, 1CE-1D0, PCI with the frame buffer at BAR 0. */
extern const struct device_class vga_class;
extern const struct user_device vga_user_device;     /* "VGA" */
extern const struct user_device isa_vga_user_device; /* "isa-vga" */

/* The monitor prefers a mode of that size, in points: what the guest finds when it asks the
 * next time. Clamped to what the adapter has; 1024 by 768 until it is called. */
void vga_prefer(struct device *dev, u32 width, u32 height);
void vga_draw(struct device *dev, struct frame *frame);
/* False in graphics modes. */
bool vga_text(struct device *dev, struct text_screen *text);

#endif
