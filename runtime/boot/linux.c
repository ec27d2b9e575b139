/*
 * A Linux kernel by its boot protocol (Documentation/x86/boot.rst): what a boot loader does in
 * real mode. The first sectors are real-mode code and the header; the rest goes to 1 MiB (or,
 * for a zImage, to 64 KiB). Also how memtest86+ and iPXE start.
 *
 * Everything read from the file goes through field(), which knows where the file ends.
 */
#include "runtime/boot/linux.h"
#include "runtime/boot/firmware.h"
#include "runtime/boot/kernel.h"

#include <stdlib.h>
#include <string.h>

enum { /* offsets in the file, "The Real-Mode Kernel Header" */
    SETUP_SECTS = 0x1f1, SYSSIZE = 0x1f4, VID_MODE = 0x1fa, BOOT_FLAG = 0x1fe, HEADER = 0x202, VERSION = 0x206,
    TYPE_OF_LOADER = 0x210, LOADFLAGS = 0x211, RAMDISK_IMAGE = 0x218, RAMDISK_SIZE = 0x21c,
    HEAP_END_PTR = 0x224, CMD_LINE_PTR = 0x228, INITRD_ADDR_MAX = 0x22c, CMDLINE_SIZE = 0x238,
    HEADER_END = 0x23c, OLD_CL_MAGIC = 0x20, OLD_CL_OFFSET = 0x22,
    LOADED_HIGH = 0x01, CAN_USE_HEAP = 0x80, LOADER_UNDEFINED = 0xff, OLD_MAGIC = 0xa33f,
    SECTOR = 512, SETUP_MAX = 0x8000, DEFAULT_SETUP_SECTS = 4,
    REAL_HIGH = 0x10000, CMDLINE_HIGH = 0x20000, REAL_LOW = 0x90000, CMDLINE_LOW = 0x99800,
    CMDLINE_DEFAULT = 255, CMDLINE_ROOM = 0x800, CMDLINE_ROOM_HIGH = 0x10000,
    KERNEL_LOW = 0x10000, KERNEL_HIGH = 0x100000, INITRD_DEFAULT_MAX = 0x37ffffff,
};
#define HDRS 0x53726448u /* "HdrS" */

struct linux_image {
    const struct boot_files *files;
    u32 version, setup_size;
    bool high;
    u32 real, cmdline, kernel; /* gpa of setup code, command line, protected-mode code */
    u8 *setup;                 /* our copy, with the loader's fields filled in */
};

/* Little-endian, 1 to 4 bytes; 0 beyond the end of the file. */
static u32 field(const struct boot_files *f, u32 off, u32 size)
{
    u32 val = 0;

    if (off + size <= f->kernel_size)
        memcpy(&val, f->kernel + off, size);
    return val;
}

static void set_field(struct linux_image *l, u32 off, u32 size, u32 val)
{
    memcpy(l->setup + off, &val, size);
}

/* ---- Where things go ---- */

static void linux_place(struct linux_image *l)
{
    const struct boot_files *f = l->files;
    u32 sectors = field(f, SETUP_SECTS, 1);

    l->version = field(f, VERSION, 2);
    l->setup_size = ((sectors ? sectors : DEFAULT_SETUP_SECTS) + 1) * SECTOR;
    l->high = field(f, LOADFLAGS, 1) & LOADED_HIGH;
    l->kernel = l->high ? KERNEL_HIGH : KERNEL_LOW;
    bool low_setup = !l->high || l->version < 0x202;
    l->real = low_setup ? REAL_LOW : REAL_HIGH;
    l->cmdline = low_setup ? CMDLINE_LOW : CMDLINE_HIGH;
}

static void linux_check(struct machine *m, const struct linux_image *l)
{
    const struct boot_files *f = l->files;
    u64 limit = l->high ? boot_top(m) : REAL_LOW;

    if (l->version < 0x200)
        die("-kernel %s: boot protocol %u.%02u is too old", f->kernel_path, l->version >> 8,
            l->version & 0xff);
    if (l->setup_size > SETUP_MAX || l->setup_size < HEADER_END)
        die("-kernel %s: its header claims %u bytes of setup code", f->kernel_path,
            l->setup_size);
    /* From 2.04 on SYSSIZE is exact, in units of 16 bytes, of which the last may be part. */
    if (l->setup_size >= f->kernel_size ||
        (l->version >= 0x204 && field(f, SYSSIZE, 4) > (f->kernel_size - l->setup_size + 15) / 16))
        die("-kernel %s: the file is cut short", f->kernel_path);
    if (l->kernel + (u64)(f->kernel_size - l->setup_size) > limit)
        die("-kernel %s does not fit into memory: give the guest more with -m", f->kernel_path);
}

/* ---- Command line ---- */

/* "vga=" is the loader's to act upon: a number, or ask, ext, normal. */
static void linux_video_mode(struct linux_image *l)
{
    const char *at = strstr(l->files->command_line, "vga=");
    u32 mode;

    if (!at || (at > l->files->command_line && at[-1] != ' '))
        return;
    at += 4;
    if (!strncmp(at, "normal", 6))
        mode = 0xffff;
    else if (!strncmp(at, "ext", 3))
        mode = 0xfffe;
    else if (!strncmp(at, "ask", 3))
        mode = 0xfffd;
    else
        mode = strtoul(at, NULL, 0);
    set_field(l, VID_MODE, 2, mode);
}

static void linux_command_line(struct linux_image *l, struct boot_plan *plan)
{
    const struct boot_files *f = l->files;
    u32 length = strlen(f->command_line), room = l->high ? CMDLINE_ROOM_HIGH : CMDLINE_ROOM;
    u32 limit = l->version >= 0x206 ? field(f, CMDLINE_SIZE, 4) : CMDLINE_DEFAULT;

    limit = limit < room ? limit : room - 1;
    if (length > limit)
        die("-append: %u characters, but %s takes %u at most", length, f->kernel_path, limit);
    boot_plan_load(plan, l->cmdline, length + 1, f->command_line, length + 1);
    if (l->version >= 0x202) {
        set_field(l, CMD_LINE_PTR, 4, l->cmdline);
    } else {
        set_field(l, OLD_CL_MAGIC, 2, OLD_MAGIC);
        set_field(l, OLD_CL_OFFSET, 2, l->cmdline - l->real);
    }
    linux_video_mode(l);
}

/* ---- Initial RAM disk: as high as the kernel allows ---- */

static void linux_initrd(struct machine *m, struct linux_image *l, struct boot_plan *plan)
{
    const struct boot_files *f = l->files;
    u64 max = l->version >= 0x203 ? field(f, INITRD_ADDR_MAX, 4) : INITRD_DEFAULT_MAX;
    u64 top = boot_top(m), low = KERNEL_HIGH;
    const char *error;
    u32 size;

    if (!f->initrd_path)
        return;
    const u8 *data = boot_read_file(m, f->initrd_path, BOOT_FILE_MAX, &size, &error);
    if (!data)
        die("-initrd %s", error);
    if (l->high)
        low += f->kernel_size - l->setup_size;
    top = top < max + 1 ? top : max + 1;
    if (size > top || ((top - size) & ~(u64)PAGE_MASK) < low)
        die("-initrd %s does not fit into memory: give the guest more with -m", f->initrd_path);
    u32 gpa = (top - size) & ~(u64)PAGE_MASK;
    boot_plan_load(plan, gpa, size, data, size);
    set_field(l, RAMDISK_IMAGE, 4, gpa);
    set_field(l, RAMDISK_SIZE, 4, size);
}

bool linux_load(struct machine *m, const struct boot_files *files, struct boot_plan *plan)
{
    struct linux_image l = {.files = files};

    if (field(files, BOOT_FLAG, 2) != 0xaa55 || field(files, HEADER, 4) != HDRS)
        return false;
    linux_place(&l);
    linux_check(m, &l);
    l.setup = machine_alloc(m, l.setup_size);
    memcpy(l.setup, files->kernel, l.setup_size);
    linux_command_line(&l, plan);
    linux_initrd(m, &l, plan);
    set_field(&l, TYPE_OF_LOADER, 1, LOADER_UNDEFINED);
    if (l.version >= 0x201) {
        set_field(&l, HEAP_END_PTR, 2, l.cmdline - l.real - 0x200);
        set_field(&l, LOADFLAGS, 1, field(files, LOADFLAGS, 1) | CAN_USE_HEAP);
    }
    boot_plan_load(plan, l.real, l.setup_size, l.setup, l.setup_size);
    boot_plan_load(plan, l.kernel, files->kernel_size - l.setup_size,
                   files->kernel + l.setup_size, files->kernel_size - l.setup_size);
    plan->real_segment = l.real >> 4;
    plan->real_sp = l.cmdline - l.real - 16;
    plan->entry = (u32)(plan->real_segment + 0x20) << 16;
    return true;
}
