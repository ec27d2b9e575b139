/*
 * -kernel: starts a kernel without a disk. The file's own format is for linux.c or multiboot.c
 * business; here their plan becomes items in fw_cfg and an option ROM (bootrom.S) whose table
 * says which item goes where. SeaBIOS sets up the machine and then boots from that ROM first,
 * so that the kernel finds what it would find after any boot loader. It works again after each
 * RESET.
 */
#include "runtime/boot/kernel.h"
#include "devices/fw_cfg.h"
#include "runtime/boot/firmware.h"
#include "runtime/boot/linux.h"
#include "runtime/boot/multiboot.h"
#include "runtime/machine/machine.h"

#include <string.h>

#define ROM_NAME "ring3-kernel.bin"

enum {
    FIRST_KEY = 0x8010, /* arch-local keys nobody else uses: one a load */
    ROM_UNIT = 512, DMA_READ_SELECT = 2 | 8,
    FIRMWARE_ROOM = 1 << 20, /* SeaBIOS's tables at the top of RAM: 256 KiB and some */
};

extern const u8 bootrom_start[], bootrom_params[], bootrom_end[];

/* What follows the code in the ROM; the same fields, in the same order, as in bootrom.S. */
struct bootrom_params {
    u32 entry, info, map;
    u16 real_segment, real_sp;
    u16 loads;
    u8 protected_mode, unused;
    struct { /* fw_cfg DMA requests: big-endian */
        u32 control, length;
        u64 address;
    } __attribute__((packed)) table[BOOT_LOADS];
};
static_assert(offsetof(struct bootrom_params, table) == 20, "bootrom.S: table");

void boot_plan_load(struct boot_plan *plan, u32 gpa, u32 size, const void *data, u32 data_size)
{
    check(plan->loads < BOOT_LOADS, "more than %d parts of a kernel", BOOT_LOADS);
    plan->load[plan->loads++] = (struct boot_load){data, data_size, gpa, size};
}

u64 boot_top(struct machine *m)
{
    u64 ram = mmu_ram_size(m->mmu);

    return ram > 2 * FIRMWARE_ROOM ? ram - FIRMWARE_ROOM : ram / 2;
}

static void kernel_params(struct machine *m, const struct boot_plan *plan,
                          struct bootrom_params *p)
{
    *p = (struct bootrom_params){
        .entry = plan->entry,
        .info = BOOT_INFO,
        .map = BOOT_MAP,
        .real_segment = plan->real_segment,
        .real_sp = plan->real_sp,
        .loads = plan->loads,
        .protected_mode = plan->protected_mode,
    };
    for (u32 i = 0; i < plan->loads; i++) {
        const struct boot_load *l = &plan->load[i];

        fw_cfg_add(m->fw_cfg, FIRST_KEY + i, l->data, l->data_size);
        p->table[i].control = __builtin_bswap32((FIRST_KEY + i) << 16 | DMA_READ_SELECT);
        p->table[i].length = __builtin_bswap32(l->size);
        p->table[i].address = __builtin_bswap64(l->gpa);
    }
}

static void kernel_rom(struct machine *m, const struct boot_plan *plan)
{
    u32 code = bootrom_params - bootrom_start;
    u32 size = (code + sizeof(struct bootrom_params) + ROM_UNIT) / ROM_UNIT * ROM_UNIT;
    u8 *rom = machine_alloc(m, size), sum = 0;
    struct bootrom_params params;

    kernel_params(m, plan, &params);
    memcpy(rom, bootrom_start, code);
    memcpy(rom + code, &params, sizeof(params));
    rom[2] = size / ROM_UNIT;
    for (u32 i = 0; i < size; i++)
        sum += rom[i];
    rom[size - 1] = -sum;
    fw_cfg_add_file(m->fw_cfg, "genroms/" ROM_NAME, rom, size);
    fw_cfg_add_file(m->fw_cfg, "bootorder", "/rom@genroms/" ROM_NAME,
                    sizeof("/rom@genroms/" ROM_NAME));
}

void kernel_load(struct machine *m)
{
    const struct options *o = m->options;
    struct boot_files files = {.kernel_path = o->kernel, .initrd_path = o->initrd};
    struct boot_plan plan = {0};
    const char *error;

    bool append = o->append && *o->append;

    if (!o->kernel && (o->initrd || append))
        die("%s needs -kernel", o->initrd ? "-initrd" : "-append");
    if (!o->kernel)
        return;
    files.command_line = o->append ? o->append : "";
    files.kernel = boot_read_file(m, o->kernel, BOOT_FILE_MAX, &files.kernel_size, &error);
    if (!files.kernel)
        die("-kernel %s", error);
    if (!linux_load(m, &files, &plan) && !multiboot_load(m, &files, &plan))
        die("-kernel %s: not a Linux kernel (bzImage), and no multiboot header in it",
            o->kernel);
    kernel_rom(m, &plan);
}
