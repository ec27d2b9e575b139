/*
 * A temporary copy of what the guest wrote: the other half of -snapshot. See overlay.c.
 */
#ifndef RING3_OVERLAY_H
#define RING3_OVERLAY_H

#include "runtime/base/base.h"

struct overlay;

/* For a medium of `size` bytes. NULL: no temporary file could be made, errno says why. */
struct overlay *overlay_new(u64 size);
void overlay_free(struct overlay *o);
/*
 * How many bytes at `offset`, at most n, come from one source; *written tells which: the overlay
 * or the image below. At least 1 for n > 0.
 */
u32 overlay_run(const struct overlay *o, u64 offset, u32 n, bool *written);
bool overlay_read(struct overlay *o, u64 offset, void *buf, u32 n);
/* Whole sectors only: offset and n are multiples of OVERLAY_SECTOR. */
bool overlay_write(struct overlay *o, u64 offset, const void *buf, u32 n);
#define OVERLAY_SECTOR 512u

/* pread and pwrite of all n bytes, over signals and short counts. false: errno, 0 at end of file. */
bool file_read(int fd, u64 offset, void *buf, u64 n);
bool file_write(int fd, u64 offset, const void *buf, u64 n);

#endif
