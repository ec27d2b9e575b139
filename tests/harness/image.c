/*
 * Temporary images for tests. The folder is removed when the program exits.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>

#include "tests/harness/image.h"
#include "runtime/storage/disk.h"
#include "runtime/storage/file.h"
#include "tests/harness/test.h"

static char folder[64];
static char *paths[1024];
static u32 files;
static pid_t owner;

static void remove_all(void)
{
    if (getpid() != owner)
        return; /* a forked child: its parent cleans up */
    for (u32 i = 0; i < files; i++) {
        unlink(paths[i]);
        free(paths[i]);
    }
    rmdir(folder);
}

static const char *new_path(int *fd)
{
    char path[96];

    if (!folder[0]) {
        strcpy(folder, "/tmp/ring3-test-XXXXXX");
        check(mkdtemp(folder), "no folder for test images");
        owner = getpid();
        atexit(remove_all);
    }
    check(files < ARRAY_SIZE(paths), "too many test images");
    snprintf(path, sizeof(path), "%s/%u.img", folder, files);
    *fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    check(*fd >= 0, "no test image");
    return paths[files++] = strdup(path);
}

u32 image_word(u64 sector, u32 i)
{
    return (u32)sector * 0x9e3779b1u + i * 0x01000193u;
}

const char *image_file(u64 size)
{
    int fd;
    const char *path = new_path(&fd);
    u32 words[128];

    for (u64 at = 0; at < size; at += sizeof(words)) {
        u64 n = size - at < sizeof(words) ? size - at : sizeof(words);

        for (u32 i = 0; i < 128; i++)
            words[i] = image_word(at / 512, i);
        check(file_write(fd, at, words, n), "test image not written");
    }
    close(fd);
    return path;
}

const char *image_file_with(u64 size, u64 offset, const void *bytes, u32 n)
{
    int fd;
    const char *path = new_path(&fd);

    check(!ftruncate(fd, (off_t)size) && file_write(fd, offset, bytes, n), "test image");
    close(fd);
    return path;
}

struct disk *image_open(const char *path, enum disk_kind kind, bool snapshot)
{
    struct drive_options o = { .file = path, .present = true, .snapshot = snapshot };
    const char *error = NULL;
    struct disk *d = disk_open(&o, kind, &error);

    if (!d)
        test_fail(__FILE__, __LINE__, "%s does not open: %s", path, error);
    return d;
}
