/*
 * Raw images, and CDs: a file or block device, byte for byte.
 */
#ifndef RING3_RAW_H
#define RING3_RAW_H

#include "runtime/storage/formats.h"

extern const struct image_format raw_format;

#endif
