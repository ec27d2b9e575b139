/*
 * The BIOS below 1 MiB of a board without a host bridge, -machine isapc. There are no PAM
 * registers by which firmware could put RAM in its place, and SeaBIOS keeps variables there and
 * option ROMs below: so C0000 to FFFFF is RAM, and RESET copies the BIOS to E0000, as QEMU
 * does.
 */
#include "devices/isa_bios.h"

enum { BASE = 0xe0000 };

struct isa_bios {
    struct device dev;
    const u8 *rom; /* NULL: none yet */
};

void isa_bios_set(struct device *dev, const u8 *rom)
{
    ((struct isa_bios *)dev)->rom = rom;
}

static void isa_bios_reset(struct device *dev)
{
    struct isa_bios *b = (struct isa_bios *)dev;

    if (b->rom)
        phys_write(dev->machine, BASE, b->rom, ISA_BIOS_SIZE);
}

static bool isa_bios_attach(struct device *dev)
{
    return true;
}

static const struct field isa_bios_fields[] = { FIELD_END };

const struct device_class isa_bios_class = {
    .name = "isa-bios",
    .size = sizeof(struct isa_bios),
    .attach = isa_bios_attach,
    .reset = isa_bios_reset,
    .fields = isa_bios_fields,
};
