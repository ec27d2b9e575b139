/*
 * Raw images, and CDs: a file or block device, byte for byte.
 */
#ifndef RING3_RAW_H
#define RING3_RAW_H

#include "runtime/storage/disk.h"
#include "runtime/storage/image.h"

/* Opened read/write where wanted and possible, else read-only (and said by warn()); locked. NULL: *error says what
 * and what to do, by disk_sentence(). */
struct image *raw_open(const char *path, enum disk_kind kind, bool want_write, const char **error);

#endif
