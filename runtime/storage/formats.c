/*
 * The table of image formats, and which one a file is.
 */
#include "runtime/storage/formats.h"
#include "runtime/storage/raw.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Probed in this order: raw takes what nobody else knows. */
const struct image_format *const image_formats[] = { &raw_format, NULL };

const struct image_format *image_format_named(const char *name)
{
    for (u32 i = 0; image_formats[i]; i++)
        if (!strcmp(image_formats[i]->name, name))
            return image_formats[i];
    return NULL;
}

/* A file that cannot be read is raw's to complain of. */
static const struct image_format *format_of(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    u32 i = 0;

    if (fd < 0)
        return &raw_format;
    while (!image_formats[i]->probe(fd))
        i++;
    close(fd);
    return image_formats[i];
}

struct image *image_format_open(const char *path, const char *format, enum disk_kind kind,
                                bool want_write, const char **error)
{
    const struct image_format *f = format ? image_format_named(format) : format_of(path);

    if (f)
        return f->open(path, kind, want_write, error);
    *error = disk_sentence("format '%s' is not known", format);
    return NULL;
}
