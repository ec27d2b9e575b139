/*
 * Random images: floppies of several sizes, disks with and without partition tables, CDs,
 * BIOSes. Drives are opened with snapshots, so the files stay as they were made.
 */
#include "devices/disk.h"
#include "tests/fuzz/fuzz.h"

#include "runtime/storage/disk.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const u32 floppy_kib[] = { 160, 360, 720, 1200, 1440, 1680, 2880 };
static const u32 disk_kib[] = { 64, 1000, 8064, 20000 };
static const u32 cd_kib[] = { 2, 700, 4096 };
static const u32 bios_kib[] = { 64, 128, 256 };
#define FLOPPIES ARRAY_SIZE(floppy_kib)
#define DISKS ARRAY_SIZE(disk_kib)
#define CDS ARRAY_SIZE(cd_kib)
#define BIOSES ARRAY_SIZE(bios_kib)

static char folder[64];
static pid_t owner;
static char floppies[FLOPPIES][96], disks[DISKS][96], cds[CDS][96], bioses[BIOSES][96];

static void remove_all(void)
{
    char (*all[])[96] = { floppies, disks, cds, bioses };
    const u32 n[] = { FLOPPIES, DISKS, CDS, BIOSES };

    if (getpid() != owner)
        return;
    for (u32 k = 0; k < 4; k++)
        for (u32 i = 0; i < n[k]; i++)
            unlink(all[k][i]);
    rmdir(folder);
}

/* Runs of noise and of zeros; a partition table and a signature in the first sector. */
static void make(struct fuzz *f, char *path, const char *kind, u32 kib)
{
    u8 buf[1024];
    int fd;

    snprintf(path, 96, "%s/%s%u", folder, kind, kib);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    check(fd >= 0, "no %s", path);
    for (u32 i = 0; i < kib; i++) {
        memset(buf, 0, sizeof(buf));
        if (i < 4 || i == 32 || fuzz_chance(f, 30))
            fuzz_bytes(f, buf, sizeof(buf));
        if (i == 0 && fuzz_chance(f, 70))
            memcpy(buf + 510, "\x55\xaa", 2);
        check(write(fd, buf, sizeof(buf)) == (ssize_t)sizeof(buf), "%s not written", path);
    }
    close(fd);
}

void media_make(u64 seed)
{
    struct fuzz f = { .random = seed * 2 + 1 };

    strcpy(folder, "/tmp/ring3-fuzz-XXXXXX");
    check(mkdtemp(folder), "no folder for images");
    owner = getpid();
    atexit(remove_all);
    for (u32 i = 0; i < FLOPPIES; i++)
        make(&f, floppies[i], "floppy", floppy_kib[i]);
    for (u32 i = 0; i < DISKS; i++)
        make(&f, disks[i], "disk", disk_kib[i]);
    for (u32 i = 0; i < CDS; i++)
        make(&f, cds[i], "cd", cd_kib[i]);
    for (u32 i = 0; i < BIOSES; i++)
        make(&f, bioses[i], "bios", bios_kib[i]);
}

static void choose_drive(struct fuzz *f, struct drive_options *d, char (*paths)[96], u32 n)
{
    d->present = true;
    d->snapshot = true;
    d->read_only = fuzz_chance(f, 10);
    d->file = paths[fuzz_below(f, n)];
}

void media_choose(struct fuzz *f, struct options *o)
{
    for (u32 i = 0; i < 2; i++) {
        choose_drive(f, &o->floppy[i], floppies, FLOPPIES);
        if (fuzz_chance(f, 20))
            o->floppy[i].file = NULL;
    }
    for (u32 i = 0; i < 4; i++) {
        struct drive_options *d = &o->ide[i / 2][i % 2];
        if (fuzz_chance(f, 15))
            continue;
        d->cdrom = i != 0 && fuzz_chance(f, 50);
        if (d->cdrom)
            choose_drive(f, d, cds, CDS);
        else
            choose_drive(f, d, disks, DISKS);
        if (d->cdrom && fuzz_chance(f, 20))
            d->file = NULL;
        if (!d->cdrom && fuzz_chance(f, 20)) {
            d->cylinders = 1 + fuzz_below(f, 1023);
            d->heads = 1 + fuzz_below(f, 16);
            d->sectors = 1 + fuzz_below(f, 63);
        }
    }
    o->bios = bioses[fuzz_below(f, BIOSES)];
}

void media_change(struct fuzz *f)
{
    u32 n = fuzz_below(f, 6);
    struct disk *d = n < 2 ? f->m->floppy[n] : f->m->ide[(n - 2) / 2][n & 1];
    const char *path = n < 2 ? floppies[fuzz_below(f, FLOPPIES)] : cds[fuzz_below(f, CDS)];

    if (d && (n < 2 || d->cdrom))
        disk_change(d, fuzz_chance(f, 30) ? NULL : path, NULL, fuzz_chance(f, 50));
}
