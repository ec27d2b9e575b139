/*
 * Firmware: SeaBIOS and its VGA BIOS as Debian's package `seabios` installs them, or what -bios
 * and -L name. The BIOS sits below 4 GiB, where the CPU starts, and its last 128 KiB show at
 * E0000 until PAM covers them with RAM. The VGA BIOS goes to SeaBIOS through fw_cfg as the
 * option ROM of the video card's PCI function.
 */
#include "runtime/boot/firmware.h"
#include "devices/cfi_flash.h"
#include "devices/fw_cfg.h"
#include "devices/gd5446.h"
#include "devices/i440fx.h"
#include "devices/isa_bios.h"
#include "devices/vga.h"
#include "runtime/boot/boot.h"
#include "runtime/machine/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LOW_SIZE = ISA_BIOS_SIZE,
    ROM_UNIT = 0x10000,
    ROM_MAX = 0x400000,
    BOOT_ROM_MAX = 0x1000000,
    PATH_SIZE = 4096
};

/* ---- Files ---- */

static _Thread_local char boot_error[PATH_SIZE + 128];

static const char *boot_errno(const char *path, int error)
{
    snprintf(boot_error, sizeof(boot_error), "%s: %s", path, strerror(error));
    return boot_error;
}

static u8 *boot_read_fd(struct machine *m, int fd, u32 size, const char *path,
                        const char **error)
{
    u8 *data = machine_alloc(m, size);
    u32 done = 0;

    while (done < size) {
        ssize_t n = read(fd, data + done, size - done);

        if (n <= 0) {
            *error = boot_errno(path, n < 0 ? errno : EIO);
            return NULL;
        }
        done += n;
    }
    return data;
}

u8 *boot_read_file(struct machine *m, const char *path, u32 limit, u32 *size,
                   const char **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO is no reason to wait */
    struct stat st;
    u8 *data = NULL;

    if (fd < 0 || fstat(fd, &st) < 0) {
        *error = boot_errno(path, errno);
    } else if (!S_ISREG(st.st_mode)) {
        snprintf(boot_error, sizeof(boot_error), "%s: is %s, and has to be a file", path,
                 S_ISDIR(st.st_mode) ? "a folder" : S_ISFIFO(st.st_mode) ? "a pipe" : "special");
        *error = boot_error;
    } else if (st.st_size == 0 || st.st_size > limit) {
        snprintf(boot_error, sizeof(boot_error), st.st_size ? "%s is larger than %u KiB"
                                                            : "%s is empty", path, limit >> 10);
        *error = boot_error;
    } else {
        *size = st.st_size;
        data = boot_read_fd(m, fd, *size, path, error);
    }
    if (fd >= 0)
        close(fd);
    return data;
}

/* ---- Where firmware is ---- */

static bool firmware_at(char *path, const char *directory, const char *name)
{
    int n = directory ? snprintf(path, PATH_SIZE, "%s/%s", directory, name)
                      : snprintf(path, PATH_SIZE, "%s", name);

    return n > 0 && n < PATH_SIZE && access(path, R_OK) == 0;
}

static bool firmware_find(const struct options *o, char *path, const char *name)
{
    static const char *const directories[] = {
        "/usr/share/seabios", "/usr/share/qemu", "/usr/local/share/qemu", "/usr/lib/ipxe/qemu",
    };

    for (u32 i = 0; i < o->firmware_paths; i++)
        if (firmware_at(path, o->firmware_path[i], name))
            return true;
    for (u32 i = 0; i < ARRAY_SIZE(directories); i++)
        if (firmware_at(path, directories[i], name))
            return true;
    return false;
}

static void firmware_find_bios(const struct options *o, char *path)
{
    if (o->bios) {
        if (!firmware_at(path, NULL, o->bios) && !firmware_find(o, path, o->bios))
            die("-bios %s: %s", o->bios, strerror(errno));
    } else if ((o->isapc || !firmware_find(o, path, "bios-256k.bin")) &&
               !firmware_find(o, path, "bios.bin")) { /* isapc has room for 128 KiB */
        die("no BIOS found: install SeaBIOS (apt install seabios), or name one with -bios "
            "FILE");
    }
}

/* ---- Into the machine ---- */

/* Its end shows below 1 MiB. */
static void firmware_map_low(struct machine *m, const struct boot_chips *chips, const u8 *data,
                             u32 size)
{
    u8 *low = mmu_alloc(m->mmu, LOW_SIZE);
    u32 n = size < LOW_SIZE ? size : LOW_SIZE;

    memset(low, 0xff, LOW_SIZE - n);
    memcpy(low + LOW_SIZE - n, data + size - n, n);
    if (chips->i440fx)
        i440fx_set_rom(chips->i440fx, low);
    else
        isa_bios_set(chips->isa_bios, low);
}

/* Adapters, their BIOS, and the item by which SeaBIOS knows whose it is. */
struct vga_firmware {
    const struct device_class *class;
    bool isa;
    const char *file, *item;
};

static const struct vga_firmware *vga_firmware(const struct device *vga)
{
    static const struct vga_firmware all[] = {
        { &vga_class, false, "vgabios-stdvga.bin", "pci1234,1111.rom" },
        { &vga_class, true, "vgabios-isavga.bin", "vgaroms/vgabios-isavga.bin" },
        { &gd5446_class, false, "vgabios-cirrus.bin", "pci1013,00b8.rom" },
        { &gd5446_class, true, "vgabios-cirrus.bin", "vgaroms/vgabios-cirrus.bin" },
    };
    bool isa = !pci_slot_bus(vga);
    u32 i = 0;

    while (all[i].class != vga->class || all[i].isa != isa)
        i++;
    return &all[i];
}

static void firmware_load_vga(struct machine *m)
{
    const struct vga_firmware *f = m->vga ? vga_firmware(m->vga) : NULL;
    char path[PATH_SIZE];
    const char *error;
    u32 size;

    if (!f)
        return;
    if (!firmware_find(m->options, path, f->file)) {
        warn("no VGA BIOS (%s) found: the guest's screen will stay black", f->file);
        return;
    }
    const u8 *rom = boot_read_file(m, path, ROM_UNIT, &size, &error);
    if (!rom)
        die("%s", error);
    fw_cfg_add_file(m->fw_cfg, f->item, rom, size);
}

const u8 *firmware_boot_rom(struct machine *m, const char *name, u32 *size)
{
    char path[PATH_SIZE];
    const char *error;
    const u8 *rom;

    if (!firmware_at(path, NULL, name) && !firmware_find(m->options, path, name))
        return NULL;
    rom = boot_read_file(m, path, BOOT_ROM_MAX, size, &error);
    if (!rom)
        die("%s", error);
    return rom;
}

/* -option-rom: SeaBIOS starts each of them. */
static void firmware_load_roms(struct machine *m)
{
    const struct options *o = m->options;
    char path[PATH_SIZE], name[56];
    const char *error;
    u32 size;

    for (u32 i = 0; i < o->option_roms; i++) {
        const char *rom = o->option_rom[i], *slash = strrchr(rom, '/');
        const u8 *data;

        if (!firmware_at(path, NULL, rom) && !firmware_find(o, path, rom))
            die("-option-rom %s: %s", rom, strerror(errno));
        data = boot_read_file(m, path, ROM_UNIT, &size, &error);
        if (!data)
            die("-option-rom %s", error);
        if (size < 3 || data[0] != 0x55 || data[1] != 0xaa)
            die("-option-rom %s: an option ROM begins with 55 AA", path);
        snprintf(name, sizeof(name), "genroms/%s", slash ? slash + 1 : rom);
        fw_cfg_add_file(m->fw_cfg, name, data, size);
    }
}

static void firmware_load_bios(struct machine *m, const struct boot_chips *chips)
{
    char path[PATH_SIZE];
    const char *error;
    u32 size;
    u8 *rom;

    firmware_find_bios(m->options, path);
    const u8 *data = boot_read_file(m, path, ROM_MAX, &size, &error);
    if (!data)
        die("%s", error);
    if (size % ROM_UNIT)
        die("%s: a BIOS is a multiple of 64 KiB, this has %u bytes", path, size);
    rom = mmu_alloc(m->mmu, size);
    memcpy(rom, data, size);
    mmu_map_phys(m->mmu, GIB(4) - size, size, rom, NULL);
    firmware_map_low(m, chips, data, size);
}

void firmware_load(struct machine *m, const struct boot_chips *chips)
{
    if (chips->flash)
        firmware_map_low(m, chips, cfi_flash_memory(chips->flash), (u32)m->flash[0]->size);
    else
        firmware_load_bios(m, chips);
    firmware_load_vga(m);
    firmware_load_roms(m);
}
