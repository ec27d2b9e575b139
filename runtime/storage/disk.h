/*
 * Disk images: what parts.c opens from the options, what the front ends change while the guest
 * runs. Chips see `struct disk` (devices/disk.h) only.
 *
 * Errors are one line without "ring3:" and without newline, in a static buffer that is good
 * until the next call: the caller die()s, warn()s or answers QMP with it.
 */
#ifndef RING3_DISK_H
#define RING3_DISK_H

#include "devices/disk.h"
#include "runtime/machine/options.h"

enum disk_kind { DISK_FLOPPY, DISK_HARD, DISK_CD };

/*
 * A drive with the image `o->file` in it, or an empty one when that is NULL (floppy and CD
 * only). The file is opened read/write and locked; what may only be read is opened so (and said
 * by warn(), unless the options or the kind ask for it). `o->snapshot`: writes go to a
 * temporary overlay that vanishes with the drive. NULL: *error says what and what to do.
 */
struct disk *disk_open(const struct drive_options *o, enum disk_kind kind, const char **error);
void disk_close(struct disk *d); /* NULL is fine */

/*
 * Takes the medium out (path NULL) or exchanges it (format NULL: by what the file is); the
 * drive keeps its kind and snapshot setting. Returns NULL, or what went wrong: then the old
 * medium is still in. `force` ignores the guest's lock.
 */
const char *disk_change(struct disk *d, const char *path, const char *format, bool force);
const char *disk_path(const struct disk *d); /* of the medium; NULL: empty. For `info block` */
/*
 * The image becomes the backing file of a new qcow2 image at path, which takes the writes from
 * now on; `existing`: of one that is there. NULL, or what went wrong: then all is as before.
 * Waits for qemu-img.
 */
const char *disk_snapshot(struct disk *d, const char *path, bool existing);
/* Since the start; of a drive, whatever was in it. */
struct disk_counts {
    u64 reads, writes, flushes, bytes_read, bytes_written, failed_reads, failed_writes;
};
struct disk_counts disk_counts(const struct disk *d);
const char *disk_format(const struct disk *d); /* a name of image_formats; NULL: empty */

/* Formats the sentence into the static buffer and returns it. */
const char *disk_sentence(const char *fmt, ...) PRINTF(1, 2);

#endif
