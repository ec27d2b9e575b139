/*
 * Images for tests: temporary files filled so that every sector says its number, opened as
 * drives. Files live until the program ends, however it ends.
 */
#ifndef RING3_TEST_IMAGE_H
#define RING3_TEST_IMAGE_H

#include "devices/disk.h"
#include "runtime/storage/disk.h"

/* A file of `size` bytes whose 512-byte sector n holds image_word(n, i) at 32-bit word i. The
 * path is good until the program ends. */
const char *image_file(u64 size);
/* The same with contents of one's own; the rest up to `size` is zero. */
const char *image_file_with(u64 size, u64 offset, const void *bytes, u32 n);
u32 image_word(u64 sector, u32 i);
/* Opens `path` as a drive; fails the test and returns NULL where that fails. */
struct disk *image_open(const char *path, enum disk_kind kind, bool snapshot);

#endif
