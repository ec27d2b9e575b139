/*
 * What a file is, by its size and contents. Errors are disk_sentence()s.
 */
#ifndef RING3_RECOGNISE_H
#define RING3_RECOGNISE_H

#include "runtime/base/base.h"

enum image_kind {
    IMAGE_UNREADABLE, /* missing, no permission, a directory, empty, packed */
    IMAGE_UNKNOWN,    /* readable, but nothing that boots */
    IMAGE_FLOPPY,
    IMAGE_DISK,
    IMAGE_CD,
    IMAGE_BZIMAGE,
    IMAGE_MULTIBOOT,
    IMAGE_ELF, /* no multiboot header in it */
};
/* What a bare IMAGE argument is, by size and contents. *error is set for the first two
 * kinds. */
enum image_kind image_recognise(const char *path, const char **error);
/* 160, 180, 320, 360, 720, 1200, 1440, 1680 (DMF), 1720 or 2880 KiB. */
bool image_floppy_size(u64 size);
/* NULL, or one line about what has to be unpacked ("… is compressed by xz: unpack it first: unxz
 * …"). */
const char *image_foreign(const char *path, int fd);

#endif
