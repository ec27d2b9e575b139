/*
 * Image formats: a row each in formats.c. What is refused with advice instead is in
 * recognise.c.
 */
#ifndef RING3_FORMATS_H
#define RING3_FORMATS_H

#include "runtime/storage/disk.h"
#include "runtime/storage/image.h"

/* What a drive wants of an image. The strings need not outlive the call. */
struct image_request {
    const char *path;   /* of a file, or "fat:[12:|16:|32:][floppy:][rw:]FOLDER" */
    const char *format; /* a name of image_formats; NULL: by what the file is */
    enum disk_kind kind;
    bool write;    /* else it is opened read-only */
    bool unlocked; /* file.locking=off: whoever else has it open */
};
struct image_format {
    const char *name; /* of -drive format= */
    /* Opened read/write where wanted and possible, else read-only (and said by warn()); locked.
     * NULL: *error says what and what to do, by disk_sentence(). */
    struct image *(*open)(const struct image_format *format, const struct image_request *want,
                          const char **error);
};

extern const struct image_format *const image_formats[];         /* ends with NULL */
const struct image_format *image_format_named(const char *name); /* NULL: none */
/* Which format but raw begins with this sector: its name, or NULL. A fixed VHD has nothing at
 * its start that says so; format=vpc does. */
const char *image_format_magic(const u8 sector[IMAGE_SECTOR]);
/* "fat:…" */
bool image_is_folder(const char *path);
/* format NULL: by what the file is. Else as struct image_format's open(). */
struct image *image_format_open(const struct image_request *want, const char **error);

#endif
