/*
 * What a file is, by its size and first bytes: what has to be unpacked first (with the command
 * that does it), and what a bare IMAGE argument on the command line means.
 *
 * Sources: ECMA-119 8.1 (CD001 in sector 16), Linux's Documentation/x86/boot.rst (HdrS),
 * Multiboot 0.6.96 3.1.1 (header in the first 8 KiB, checksummed), the MBR's partition table.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/storage/recognise.h"
#include "runtime/storage/disk.h"
#include "runtime/storage/file.h"
#include "runtime/storage/formats.h"

enum { HEAD = 8192 }; /* bytes looked at, from the start */

struct probe {
    u8 head[HEAD]; /* zeros past the file's end */
    u64 size;
    int fd;
};

/* Reads what there is; short files are padded with zeros. */
static void probe_read(struct probe *p, int fd)
{
    off_t end = lseek(fd, 0, SEEK_END);

    memset(p, 0, sizeof(*p));
    p->fd = fd;
    p->size = end > 0 ? (u64)end : 0;
    if (!file_read(fd, 0, p->head, p->size < HEAD ? p->size : HEAD))
        memset(p->head, 0, HEAD);
}

static u32 probe_u32(const struct probe *p, u32 offset)
{
    const u8 *b = p->head + offset;

    return b[0] | b[1] << 8 | b[2] << 16 | (u32)b[3] << 24;
}

/* ---- Packed images ---- */

static const struct foreign {
    u32 offset;
    const char *magic;
    u32 length;
    const char *name, *remedy; /* %s in the remedy: the path */
} foreigns[] = {
    { 0, "\xfd" "7zXZ", 6, "compressed by xz", "unpack it first: unxz -k '%s'" },
    { 0, "\x1f\x8b\x08", 3, "compressed by gzip", "unpack it first: gunzip -k '%s'" },
    { 0, "BZh", 3, "compressed by bzip2", "unpack it first: bunzip2 -k '%s'" },
    { 0, "\x28\xb5\x2f\xfd", 4, "compressed by zstd", "unpack it first: unzstd '%s'" },
    { 0, "PK\3\4", 4, "a zip archive", "unpack it first: unzip '%s'" },
    { 0, "7z\xbc\xaf\x27\x1c", 6, "a 7-Zip archive", "unpack it first: 7z x '%s'" },
};

const char *image_foreign(const char *path, int fd)
{
    struct probe p;

    probe_read(&p, fd);
    for (u32 i = 0; i < ARRAY_SIZE(foreigns); i++) {
        const struct foreign *f = &foreigns[i];
        char remedy[512];

        if (memcmp(p.head + f->offset, f->magic, f->length))
            continue;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(remedy, sizeof(remedy), f->remedy, path);
#pragma GCC diagnostic pop
        return disk_sentence("%s: is %s: %s", path, f->name, remedy);
    }
    return NULL;
}

/* ---- What can be booted ---- */

bool image_floppy_size(u64 size)
{
    static const u16 kib[] = { 160, 180, 320, 360, 720, 1200, 1440, 1680, 1720, 2880 };

    for (u32 i = 0; i < ARRAY_SIZE(kib); i++)
        if (size == KIB(kib[i]))
            return true;
    return false;
}

static bool is_cd(const struct probe *p)
{
    u8 id[5];

    return file_read(p->fd, 0x8001, id, sizeof(id)) &&
           (!memcmp(id, "CD001", 5) || !memcmp(id, "BEA01", 5));
}

static bool has_boot_signature(const struct probe *p)
{
    return p->head[510] == 0x55 && p->head[511] == 0xaa;
}

static bool is_bzimage(const struct probe *p)
{
    return has_boot_signature(p) && !memcmp(p->head + 0x202, "HdrS", 4);
}

static bool is_elf(const struct probe *p)
{
    return !memcmp(p->head, "\x7f" "ELF", 4);
}

/* Magic, flags and checksum add up to zero, 4-byte aligned. */
static bool has_multiboot_header(const struct probe *p)
{
    for (u32 at = 0; at + 12 <= HEAD; at += 4)
        if (probe_u32(p, at) == 0x1badb002 &&
            probe_u32(p, at) + probe_u32(p, at + 4) + probe_u32(p, at + 8) == 0)
            return true;
    return false;
}

/* At least one partition, and none that contradicts a partition table. */
static bool has_partitions(const struct probe *p)
{
    u32 used = 0;

    for (u32 at = 446; at < 510; at += 16) {
        u8 active = p->head[at], type = p->head[at + 4];

        if (active & 0x7f || (!type && active))
            return false;
        if (type && (!probe_u32(p, at + 12) || (u64)probe_u32(p, at + 8) * 512 >= p->size))
            return false;
        used += type != 0;
    }
    return used > 0;
}

/* As qemu-img makes a raw one: for a guest to be installed on. */
static bool is_blank_disk(const struct probe *p)
{
    static const u8 zeros[HEAD];

    return p->size >= MIB(1) && p->size % 512 == 0 && !memcmp(p->head, zeros, HEAD);
}

static enum image_kind image_kind(const struct probe *p)
{
    if (image_format_magic(p->head))
        return IMAGE_DISK;
    if (is_cd(p))
        return IMAGE_CD;
    if (is_bzimage(p))
        return IMAGE_BZIMAGE;
    if (is_elf(p))
        return has_multiboot_header(p) ? IMAGE_MULTIBOOT : IMAGE_ELF;
    if (image_floppy_size(p->size))
        return IMAGE_FLOPPY;
    if (has_boot_signature(p))
        return p->size < KIB(2880) && !has_partitions(p) ? IMAGE_FLOPPY : IMAGE_DISK;
    if (is_blank_disk(p))
        return IMAGE_DISK;
    return has_multiboot_header(p) ? IMAGE_MULTIBOOT : IMAGE_UNKNOWN;
}

static const char *image_unreadable(const char *path, int fd)
{
    struct stat st;

    if (fd < 0 || fstat(fd, &st))
        return disk_sentence("%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return disk_sentence("%s: is a folder, not an image", path);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return disk_sentence("%s: is neither a file nor a block device", path);
    if (lseek(fd, 0, SEEK_END) == 0)
        return disk_sentence("%s: is empty", path);
    return image_foreign(path, fd);
}

/* Words that come before an image's name in qemu-img's commands. */
static bool is_other_programs_command(const char *word)
{
    static const char *const words[] = { "create", "convert", "resize", "info", "check", "snapshot" };

    for (u32 i = 0; i < ARRAY_SIZE(words); i++)
        if (!strcmp(word, words[i]))
            return access(word, F_OK) != 0;
    return false;
}

enum image_kind image_recognise(const char *path, const char **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    enum image_kind kind = IMAGE_UNREADABLE;
    struct probe p;

    *error = NULL;
    if (fd < 0 && image_is_folder(path))
        return IMAGE_DISK;
    if (fd < 0 && is_other_programs_command(path))
        *error = disk_sentence("%s: making and converting images is qemu-img's: qemu-img %s …",
                               path, path);
    if (!*error)
        *error = image_unreadable(path, fd);
    if (!*error) {
        probe_read(&p, fd);
        kind = image_kind(&p);
    }
    if (kind == IMAGE_UNKNOWN)
        *error = disk_sentence("%s: no boot disk, CD or kernel is recognised in it", path);
    if (fd >= 0)
        close(fd);
    return kind;
}
