/*
 * The screen as a file: PPM (P6) or PNG, as QMP's screendump asks. Written next to the target
 * and renamed over it, so that a reader sees a whole picture or the old one.
 */
#include "runtime/control/screenshot.h"
#include "devices/vga.h"
#include "runtime/machine/machine.h"

#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void line_bytes(const u32 *pixels, u32 n, u8 *rgb)
{
    for (u32 i = 0; i < n; i++, rgb += 3) {
        rgb[0] = pixels[i] >> 16;
        rgb[1] = pixels[i] >> 8;
        rgb[2] = pixels[i];
    }
}

static bool write_ppm(FILE *file, const struct frame *f, u8 *rgb)
{
    fprintf(file, "P6\n%u %u\n255\n", f->width, f->height);
    for (u32 y = 0; y < f->height; y++) {
        line_bytes(f->pixels + (size_t)y * f->width, f->width, rgb);
        fwrite(rgb, 3, f->width, file);
    }
    return true;
}

static void png_quiet(png_structp png, png_const_charp message)
{
    trace(TRACE_QMP, "png: %s", message);
}

static _Noreturn void png_failed(png_structp png, png_const_charp message)
{
    png_quiet(png, message);
    png_longjmp(png, 1);
}

static bool write_png(FILE *file, const struct frame *f, u8 *rgb)
{
    png_structp png =
        png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, png_failed, png_quiet);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    volatile bool ok = false;

    if (info && !setjmp(png_jmpbuf(png))) {
        png_init_io(png, file);
        png_set_IHDR(png, info, f->width, f->height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                     PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
        png_set_compression_level(png, 3);
        png_write_info(png, info);
        for (u32 y = 0; y < f->height; y++) {
            line_bytes(f->pixels + (size_t)y * f->width, f->width, rgb);
            png_write_row(png, rgb);
        }
        png_write_end(png, NULL);
        ok = true;
    }
    png_destroy_write_struct(&png, &info);
    return ok;
}

/* False with errno set; the file is closed and left behind. */
static bool write_file(int fd, const struct frame *f, bool png)
{
    FILE *file = fdopen(fd, "wb");
    u8 *rgb = malloc((size_t)f->width * 3);
    bool ok = (png ? write_png : write_ppm)(file, f, rgb) && !ferror(file);

    free(rgb);
    return !fclose(file) && ok;
}

static const char *failure(const char *what, const char *path)
{
    static _Thread_local char message[512];

    snprintf(message, sizeof(message), "%s '%s': %s", what, path, strerror(errno));
    return message;
}

/* A new file next to `path`, with the permissions a plain open() would give. */
static int open_beside(char *name)
{
    mode_t mask = umask(0);
    int fd = mkstemp(name);

    umask(mask);
    if (fd >= 0)
        fchmod(fd, 0666 & ~mask);
    return fd;
}

/* Devices and pipes (/dev/stdout) are written to, not replaced. */
static bool is_special(const char *path)
{
    struct stat st;

    return !stat(path, &st) && !S_ISREG(st.st_mode);
}

static const char *dump_special(const struct frame *f, const char *path, bool png)
{
    FILE *file = fopen(path, "wb");
    int fd = file ? dup(fileno(file)) : -1;

    if (file)
        fclose(file);
    return fd >= 0 && write_file(fd, f, png) ? NULL : failure("cannot write", path);
}

const char *screen_dump(struct machine *m, const char *path, bool png)
{
    char name[4096];
    const char *error = NULL;
    struct frame f;
    int fd;

    if (!m->vga)
        return "there is no display";
    vga_draw(m->vga, &f);
    if (is_special(path))
        return dump_special(&f, path, png);
    if ((size_t)snprintf(name, sizeof(name), "%s.XXXXXX", path) >= sizeof(name))
        return "the file name is too long";
    fd = open_beside(name);
    if (fd < 0)
        return failure("cannot create", path);
    if (!write_file(fd, &f, png) || rename(name, path))
        error = failure("cannot write", path);
    if (error)
        unlink(name);
    return error;
}
