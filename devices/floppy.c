/*
 * Diskette formats. One row each, by size; the first that holds the image is taken.
 */
#include "devices/floppy.h"

/* clang-format off */
static const struct floppy_format formats[] = {
    /*  KiB  cyl heads sectors */
    {  160,  40, 1,  8, FLOPPY_DD }, /* 5 1/4 inch */
    {  180,  40, 1,  9, FLOPPY_DD },
    {  320,  40, 2,  8, FLOPPY_DD },
    {  360,  40, 2,  9, FLOPPY_DD },
    {  400,  40, 2, 10, FLOPPY_DD },
    {  410,  41, 2, 10, FLOPPY_DD },
    {  640,  80, 2,  8, FLOPPY_DD },
    {  720,  80, 2,  9, FLOPPY_DD }, /* 3 1/2 inch */
    {  800,  80, 2, 10, FLOPPY_DD },
    {  820,  82, 2, 10, FLOPPY_DD },
    { 1200,  80, 2, 15, FLOPPY_HD }, /* 5 1/4 inch */
    { 1440,  80, 2, 18, FLOPPY_HD }, /* 3 1/2 inch */
    { 1476,  82, 2, 18, FLOPPY_HD },
    { 1600,  80, 2, 20, FLOPPY_HD },
    { 1680,  80, 2, 21, FLOPPY_HD }, /* DMF */
    { 1722,  82, 2, 21, FLOPPY_HD },
    { 1743,  83, 2, 21, FLOPPY_HD },
    { 1760,  80, 2, 22, FLOPPY_HD },
    { 1840,  80, 2, 23, FLOPPY_HD },
    { 1920,  80, 2, 24, FLOPPY_HD },
    { 2880,  80, 2, 36, FLOPPY_ED },
};
/* clang-format on */

const struct floppy_format *floppy_format(const struct disk *d)
{
    u32 n = 0;

    if (!d || !d->impl)
        return NULL;
    while (n < ARRAY_SIZE(formats) - 1 && d->size > KIB(formats[n].kib))
        n++;
    return &formats[n];
}

bool floppy_rate_fits(const struct floppy_format *f, u8 rate)
{
    /* CCR: 0 500 kbit/s, 1 300 (double density in a 360/min drive), 2 250, 3 1000. */
    static const u8 density[] = { FLOPPY_HD, FLOPPY_DD, FLOPPY_DD, FLOPPY_ED };

    return density[rate & 3] == f->density;
}

bool floppy_offset(const struct floppy_format *f, u32 cylinder, u32 head, u32 sector,
                   u64 *offset)
{
    if (cylinder >= f->cylinders || head >= f->heads || sector < 1 || sector > f->sectors)
        return false;
    *offset = (((u64)cylinder * f->heads + head) * f->sectors + sector - 1) * 512;
    return true;
}
