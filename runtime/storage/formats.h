/*
 * Image formats: a file each, a row each in formats.c. What is refused with advice instead is
 * in recognise.c.
 */
#ifndef RING3_FORMATS_H
#define RING3_FORMATS_H

#include "runtime/storage/disk.h"
#include "runtime/storage/image.h"

struct image_format {
    const char *name;       /* of -drive format= */
    bool (*probe)(int fd);  /* Is it one? By the file's first bytes or size. */
    /* Opened read/write where wanted and possible, else read-only (and said by warn()); locked.
     * NULL: *error says what and what to do, by disk_sentence(). */
    struct image *(*open)(const char *path, enum disk_kind kind, bool want_write,
                          const char **error);
};

extern const struct image_format *const image_formats[]; /* ends with NULL */
const struct image_format *image_format_named(const char *name); /* NULL: none */
/* format NULL: by what the file is. Else as struct image_format's open(). */
struct image *image_format_open(const char *path, const char *format, enum disk_kind kind,
                                bool want_write, const char **error);

#endif
