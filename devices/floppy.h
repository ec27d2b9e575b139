/*
 * A diskette as a drive's head sees it: formats by image size, and where a sector lies in the
 * image (sectors in order of cylinder, head, sector). Used by i82077.c.
 */
#ifndef RING3_FLOPPY_H
#define RING3_FLOPPY_H

#include "devices/disk.h"

enum floppy_density { FLOPPY_DD, FLOPPY_HD, FLOPPY_ED };

struct floppy_format {
    u16 kib;
    u8 cylinders, heads, sectors, density; /* of 512 bytes */
};
/* The format of the medium in a drive; NULL: no medium. Sizes between the known ones get the
 * next larger one: sectors past the image's end read as errors. */
const struct floppy_format *floppy_format(const struct disk *d);
/* Can a controller set to this data rate (the CCR's code) read that density? */
bool floppy_rate_fits(const struct floppy_format *f, u8 rate);
/* Byte offset of a sector (numbered from 1); false: there is no such sector. */
bool floppy_offset(const struct floppy_format *f, u32 cylinder, u32 head, u32 sector,
                   u64 *offset);

#endif
