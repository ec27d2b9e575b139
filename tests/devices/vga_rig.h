/*
 * For the tests of the VGA: standard modes by their register values (IBM's "BIOS mode tables"),
 * memory through the bus, and pixels of the drawn frame.
 */
#ifndef RING3_TEST_VGA_RIG_H
#define RING3_TEST_VGA_RIG_H

#include "devices/frame.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

struct vga_mode {
    u8 misc, sr[5], cr[25], gr[9], ar[21];
};
extern const struct vga_mode vga_mode_03, vga_mode_04, vga_mode_06, vga_mode_0d, vga_mode_12,
    vga_mode_13, vga_mode_x; /* 320x240, unchained */

struct rig *vga_rig(const struct vga_mode *mode); /* NULL: as RESET leaves it */
void vga_set_mode(struct rig *r, const struct vga_mode *mode);
void vga_seq(struct rig *r, u8 index, u8 val);
void vga_gc(struct rig *r, u8 index, u8 val);
void vga_crtc(struct rig *r, u8 index, u8 val);
void vga_attr(struct rig *r, u8 index, u8 val);
void vga_dac(struct rig *r, u8 index, u8 red, u8 green, u8 blue);
void vga_dispi(struct rig *r, u16 index, u16 val);
void vga_set_linear(struct rig *r, u16 width, u16 height, u16 bpp);
void vga_poke(struct rig *r, u32 gpa, u8 val);
u8 vga_peek(struct rig *r, u32 gpa);
/* Of the screen as it is now. */
struct frame vga_frame(struct rig *r);
u32 vga_pixel(struct rig *r, u32 x, u32 y);
u32 vga_hash(struct rig *r); /* FNV-1a of width, height and all pixels */

#endif
