/*
 * The table of image formats, and which one a file is.
 *
 * Who decides by a file's first bytes lets the guest decide: it may write there what makes the
 * next start take its raw disk for a qcow2 image, over any file of the host's. So where a file
 * is raw only because nothing else was recognised, raw.c refuses the guest such a first sector,
 * as QEMU does. With format=raw it may write what it likes.
 *
 * Magic numbers: QEMU's docs/interop/qcow2.txt, qed_spec.txt and parallels.txt; VMware's
 * "Virtual Disk Format 5.0"; VirtualBox's VDICore.h; Microsoft's "Virtual Hard Disk Image
 * Format" and [MS-VHDX] 2.2.1.
 */
#include "runtime/storage/formats.h"
#include "runtime/storage/file.h"
#include "runtime/storage/nbd.h"
#include "runtime/storage/raw.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const struct image_format qcow2 = {"qcow2", nbd_open}, qed = {"qed", nbd_open},
                                 vmdk = {"vmdk", nbd_open}, vdi = {"vdi", nbd_open},
                                 vpc = {"vpc", nbd_open}, vhdx = {"vhdx", nbd_open},
                                 parallels = {"parallels", nbd_open};
/* A folder of the host's as a disk with a FAT: not recognised, but named "fat:…". */
static const struct image_format vvfat = {"vvfat", nbd_open};

const struct image_format *const image_formats[] = {
    &raw_format, &qcow2, &qed, &vmdk, &vdi, &vpc, &parallels, &vhdx, &vvfat, NULL};

static const struct magic {
    const struct image_format *format;
    u32 offset;
    const char *bytes;
    u32 length;
} magics[] = {
    {&qcow2, 0, "QFI\xfb", 4},
    {&qed, 0, "QED\0", 4},
    {&vmdk, 0, "KDMV", 4},
    {&vmdk, 0, "COWD", 4},
    {&vmdk, 0, "# Disk DescriptorFile", 21},
    {&vdi, 0x40, "\x7f\x10\xda\xbe", 4},
    {&vpc, 0, "conectix", 8},
    {&vhdx, 0, "vhdxfile", 8},
    {&parallels, 0, "WithoutFreeSpace", 16},
    {&parallels, 0, "WithouFreSpacExt", 16},
};

const struct image_format *image_format_named(const char *name)
{
    for (u32 i = 0; image_formats[i]; i++)
        if (!strcmp(image_formats[i]->name, name))
            return image_formats[i];
    return NULL;
}

const char *image_format_magic(const u8 sector[IMAGE_SECTOR])
{
    for (u32 i = 0; i < ARRAY_SIZE(magics); i++)
        if (!memcmp(sector + magics[i].offset, magics[i].bytes, magics[i].length))
            return magics[i].format->name;
    return NULL;
}

bool image_is_folder(const char *path)
{
    return !strncmp(path, "fat:", 4);
}

/* A file that cannot be read is raw's to complain of. */
static const struct image_format *format_of(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    u8 sector[IMAGE_SECTOR] = {0};
    const char *name = NULL;

    if (fd >= 0 && lseek(fd, 0, SEEK_END) > 0) {
        file_read(fd, 0, sector, sizeof(sector)); /* a short one is padded by zeros */
        name = image_format_magic(sector);
    }
    if (fd >= 0)
        close(fd);
    return name ? image_format_named(name) : &raw_format;
}

struct image *image_format_open(const struct image_request *want, const char **error)
{
    const struct image_format *f;

    if (image_is_folder(want->path)) /* QEMU's users say format=raw */
        return vvfat.open(&vvfat, want, error);
    f = want->format ? image_format_named(want->format) : format_of(want->path);
    if (f == &vvfat)
        *error = disk_sentence("%s: format=vvfat is for file=fat:FOLDER", want->path);
    else if (!f)
        *error = disk_sentence("format '%s' is not known", want->format);
    else
        return f->open(f, want, error);
    return NULL;
}
