/*
 * What the window does with a file that is dropped on it: the drive for its kind gets it, and a
 * file that fits nowhere leaves all as it was.
 */
#include "runtime/control/control.h"
#include "runtime/storage/disk.h"
#include "tests/harness/image.h"
#include "tests/harness/test.h"

#include <string.h>

static struct disk *empty_drive(enum disk_kind kind)
{
    struct drive_options o = {.present = true, .cdrom = kind == DISK_CD};
    const char *error;

    return disk_open(&o, kind, &error);
}

/* The machine closes them: floppy drives A and B, a hard disk, and a CD drive as the second
 * channel's first. */
static struct rig *drives(void)
{
    struct rig *r = rig_new(NULL, NULL);

    r->m->floppy[0] = empty_drive(DISK_FLOPPY);
    r->m->floppy[1] = empty_drive(DISK_FLOPPY);
    r->m->ide[0][0] = image_open(image_file(MIB(4)), DISK_HARD, false);
    r->m->ide[1][0] = empty_drive(DISK_CD);
    return r;
}

/* ISO 9660's volume descriptor (ECMA-119, 8.1). */
static const char *cd_file(void)
{
    return image_file_with(MIB(1), 16 * 2048, "\1CD001\1", 7);
}

static bool holds(const struct disk *d, const char *path)
{
    return path ? disk_path(d) && !strcmp(disk_path(d), path) : !disk_path(d);
}

TEST(control, a_dropped_floppy_goes_into_a)
{
    struct rig *r = drives();
    const char *path = image_file(KIB(1440)), *other = image_file(KIB(720)), *drive = NULL;

    CHECK(!control_insert(r->m, path, &drive));
    CHECK(!strcmp(drive, "floppy0"));
    CHECK(holds(r->m->floppy[0], path) && holds(r->m->floppy[1], NULL));
    CHECK(holds(r->m->ide[1][0], NULL));
    CHECK(!control_insert(r->m, other, &drive)); /* takes the first one's place */
    CHECK(holds(r->m->floppy[0], other) && holds(r->m->floppy[1], NULL));
    CHECK(r->m->floppy[0]->changed);
}

TEST(control, a_dropped_cd_goes_into_the_cd_drive)
{
    struct rig *r = drives();
    const char *path = cd_file(), *drive = NULL;

    r->m->ide[1][0]->locked = true; /* who drops a file, wants it in */
    CHECK(!control_insert(r->m, path, &drive));
    CHECK(!strcmp(drive, "ide1-cd0"));
    CHECK(holds(r->m->ide[1][0], path) && holds(r->m->floppy[0], NULL));
}

TEST(control, a_file_that_fits_nowhere)
{
    struct rig *r = drives();
    const char *path = cd_file(), *drive = NULL, *error;
    struct disk *cd = r->m->ide[1][0];

    error = control_insert(r->m, "/no/such/file", &drive);
    CHECK(error && strstr(error, "No such file"));
    error = control_insert(r->m, "/", &drive);
    CHECK(error && !strchr(error, '\n'));
    CHECK(!control_insert(r->m, path, &drive));
    r->m->ide[1][0] = NULL;
    error = control_insert(r->m, path, &drive);
    CHECK(error && strstr(error, "no CD drive is there"));
    r->m->ide[1][0] = cd;
    CHECK(holds(cd, path) && holds(r->m->floppy[0], NULL)); /* as it was */
}
