/*
 * Screen dumps: PPM byte by byte, PNG read back by libpng, files replaced whole or not at all.
 */
#include "runtime/control/screenshot.h"
#include "tests/devices/vga_rig.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct rig *picture(void)
{
    struct rig *r = vga_rig(&vga_mode_13);

    r->m->vga = r->dev;
    for (u32 i = 0; i < 64000; i++)
        vga_poke(r, 0xa0000 + i, i % 61);
    return r;
}

static void name_file(char *path, const char *ending)
{
    snprintf(path, 64, "/tmp/ring3-test-%d.%s", (int)getpid(), ending);
}

TEST(screenshot, ppm)
{
    struct rig *r = picture();
    struct frame f;
    static u8 bytes[1000000];
    char path[64];
    FILE *file;

    name_file(path, "ppm");
    CHECK(!screen_dump(r->m, path, false));
    f = vga_frame(r);
    file = fopen(path, "rb");
    CHECK(file);
    if (!file)
        return;
    CHECK_EQ(fread(bytes, 1, sizeof(bytes), file), 15 + 640 * 400 * 3);
    CHECK(!memcmp(bytes, "P6\n640 400\n255\n", 15));
    for (u32 i = 0; i < 640 * 400; i += 77) {
        const u8 *p = bytes + 15 + 3 * i;

        CHECK_EQ(p[0] << 16 | p[1] << 8 | p[2], f.pixels[i]);
    }
    fclose(file);
    unlink(path);
}

TEST(screenshot, png)
{
    struct rig *r = picture();
    struct frame f;
    png_image image = { .version = PNG_IMAGE_VERSION };
    u8 *bytes;
    char path[64];
    u32 wrong = 0;

    name_file(path, "png");
    CHECK(!screen_dump(r->m, path, true));
    f = vga_frame(r);
    CHECK(png_image_begin_read_from_file(&image, path));
    CHECK(image.width == 640 && image.height == 400);
    image.format = PNG_FORMAT_RGB;
    bytes = malloc(PNG_IMAGE_SIZE(image));
    CHECK(png_image_finish_read(&image, NULL, bytes, 0, NULL));
    for (u32 i = 0; i < 640 * 400; i++)
        wrong +=
            (bytes[3 * i] << 16 | bytes[3 * i + 1] << 8 | bytes[3 * i + 2]) != (int)f.pixels[i];
    CHECK_EQ(wrong, 0);
    free(bytes);
    unlink(path);
}

TEST(screenshot, failures_have_a_reason)
{
    struct rig *r = picture();
    const char *error = screen_dump(r->m, "/nonexistent/folder/x.ppm", false);

    CHECK(error && strstr(error, "/nonexistent/folder/x.ppm") && strstr(error, "No such file"));
    r->m->vga = NULL;
    CHECK(screen_dump(r->m, "/tmp/x.ppm", false));
}

TEST(screenshot, replaces_the_file_whole)
{
    struct rig *r = picture();
    struct stat before, after;
    char path[64];

    name_file(path, "old");
    CHECK(!screen_dump(r->m, path, false));
    CHECK(!stat(path, &before));
    CHECK(!screen_dump(r->m, path, true));
    CHECK(!stat(path, &after));
    CHECK(before.st_ino != after.st_ino && after.st_size < before.st_size);
    CHECK_EQ(after.st_mode & 0777 & ~0666, 0);
    unlink(path);
}
