/*
 * boot_setup(): hands the firmware what it asks for. Here are the small fw_cfg items;
 * firmware.c, cmos.c, kernel.c and devices/acpi.c bring the rest. Everything is placed in chips
 * and ROM, so that a RESET finds it again.
 */
#include "runtime/boot/boot.h"
#include "cpu/cpuid.h"
#include "devices/fw_cfg.h"
#include "devices/ns16550.h"
#include "runtime/boot/cmos.h"
#include "runtime/boot/firmware.h"
#include "runtime/boot/items.h"
#include "runtime/boot/kernel.h"
#include "runtime/boot/order.h"
#include "runtime/machine/machine.h"

#include "devices/acpi.h"

#include <string.h>

enum { E820_RAM = 1 };

struct e820_entry {
    u64 base, size;
    u32 type;
} __attribute__((packed));
static_assert(sizeof(struct e820_entry) == 20, "INT 15, E820");

/* Memory as the firmware shall report it; the areas below 1 MiB and its own it adds itself. */
static void boot_e820(struct machine *m)
{
    struct e820_entry *e = machine_alloc(m, sizeof(*e));

    *e = (struct e820_entry){0, mmu_ram_size(m->mmu), E820_RAM};
    fw_cfg_add_file(m->fw_cfg, "etc/e820", e, sizeof(*e));
}

static void boot_items(struct machine *m)
{
    static const u8 wait_forever[4] = {0xff, 0xff, 0xff, 0xff};
    const struct options *o = m->options;

    fw_cfg_add_number(m->fw_cfg, FW_CFG_RAM_SIZE, mmu_ram_size(m->mmu), 8);
    fw_cfg_add_number(m->fw_cfg, FW_CFG_NOGRAPHIC, o->nographic, 2);
    fw_cfg_add_number(m->fw_cfg, FW_CFG_NB_CPUS, 1, 2);
    fw_cfg_add_number(m->fw_cfg, FW_CFG_MAX_CPUS, 1, 2);
    fw_cfg_add_number(m->fw_cfg, FW_CFG_BOOT_DEVICE, o->boot[0] ? (u8)o->boot[0] : 'c', 2);
    fw_cfg_add_number(m->fw_cfg, FW_CFG_BOOT_MENU, o->boot_menu, 2);
    fw_cfg_add_number(m->fw_cfg, FW_CFG_IRQ0_OVERRIDE, 1, 1); /* IRQ 0 is at I/O APIC pin 2 */
    /* With nothing to boot, stay at the message instead of trying again each minute. */
    fw_cfg_add_file(m->fw_cfg, "etc/boot-fail-wait", wait_forever, sizeof(wait_forever));
}

static bool has_com2(const struct machine *m)
{
    const struct device *d = m->devices;

    while (d && !(d->class == &ns16550_class &&
                  ((const struct ns16550_config *)d->config)->port == 0x2f8))
        d = d->next;
    return d;
}

static void boot_acpi(struct machine *m)
{
    const struct acpi_config config = {
        .ram = mmu_ram_size(m->mmu),
        .apic = cpu_has(m->cpu, FEAT_APIC),
        .com2 = has_com2(m),
        .hpet = m->hpet != NULL,
    };

    acpi_build(m->fw_cfg, &config);
}

void boot_setup(struct machine *m, const struct boot_chips *chips)
{
    boot_items(m);
    boot_e820(m);
    if (!m->options->no_acpi)
        boot_acpi(m);
    items_of_user(m);
    boot_order(m);
    cmos_fill(m, chips->mc146818);
    firmware_load(m, chips);
    kernel_load(m);
}
