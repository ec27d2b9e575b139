/*
 * Configuration mechanism #1, base address registers, interrupt pins, and the memory map that
 * the host bridge makes of PAM and SMRAM.
 */
#include "devices/i440fx.h"
#include "devices/piix3.h"
#include "devices/ne2000.h"
#include "tests/devices/nic_rig.h"
#include "tests/devices/pci_rig.h"
#include <string.h>

static struct pci_rig *chips; /* of the rig made last */

static struct rig *board(void)
{
    struct rig *r = rig_new(NULL, NULL);

    chips = pci_rig_add(r);
    return r;
}

static void address(struct rig *r, u32 devfn, u32 reg)
{
    rig_out32(r, 0xcf8, 0x80000000u | devfn << 8 | (reg & 0xfc));
}

static u32 config_read(struct rig *r, u32 devfn, u32 reg)
{
    address(r, devfn, reg);
    return rig_in32(r, 0xcfc);
}

static void config_write(struct rig *r, u32 devfn, u32 reg, u32 val)
{
    address(r, devfn, reg);
    rig_out32(r, 0xcfc, val);
}

static void config_write8(struct rig *r, u32 devfn, u32 reg, u8 val)
{
    address(r, devfn, reg);
    rig_out8(r, 0xcfc + (reg & 3), val);
}

TEST(pci, identifies_the_boards_functions)
{
    struct rig *r = board();

    CHECK_EQ(config_read(r, 0x00, 0), 0x12378086);
    CHECK_EQ(config_read(r, 0x08, 0), 0x70008086);
    CHECK_EQ(config_read(r, 0x09, 0), 0x70108086);
    CHECK_EQ(config_read(r, 0x0b, 0), 0x71138086);
    CHECK_EQ(config_read(r, 0x00, 0x2c), 0x11001af4);
    CHECK_EQ(config_read(r, 0x08, 8) >> 8, 0x060100);
    CHECK_EQ(config_read(r, 0x09, 8) >> 8, 0x010180);
    CHECK_EQ(config_read(r, 0x08, 0x0c) >> 16 & 0xff, 0x80);
}

TEST(pci, nobody_reads_as_all_ones)
{
    struct rig *r = board();

    CHECK_EQ(config_read(r, 0xf8, 0), 0xffffffff);
    CHECK_EQ(config_read(r, 0x0a, 0), 0xffffffff);
    rig_out32(r, 0xcf8, 0x80010000); /* bus 1 */
    CHECK_EQ(rig_in32(r, 0xcfc), 0xffffffff);
    rig_out32(r, 0xcf8, 0x00000000); /* not enabled */
    CHECK_EQ(rig_in32(r, 0xcfc), 0xffffffff);
    CHECK_EQ(rig_in16(r, 0xcf8), 0xffff);
}

TEST(pci, address_register_takes_only_32_bits)
{
    struct rig *r = board();

    rig_out32(r, 0xcf8, 0xffffffff);
    CHECK_EQ(rig_in32(r, 0xcf8), 0x80fffffc);
    rig_out8(r, 0xcf8, 0);
    rig_out16(r, 0xcfa, 0);
    CHECK_EQ(rig_in32(r, 0xcf8), 0x80fffffc);
}

TEST(pci, accesses_of_parts)
{
    struct rig *r = board();

    address(r, 0, 0);
    CHECK_EQ(rig_in16(r, 0xcfe), 0x1237);
    CHECK_EQ(rig_in8(r, 0xcfd), 0x80);
    CHECK_EQ(rig_in32(r, 0xcfe) & 0xffff, 0x1237);
    address(r, 0, 0xfc);
    rig_in32(r, 0xcfe);
    rig_out32(r, 0xcfe, 0x12345678);
}

TEST(pci, ids_are_read_only)
{
    struct rig *r = board();

    for (u32 reg = 0; reg < 256; reg += 4)
        config_write(r, 0, reg, 0xffffffff);
    CHECK_EQ(config_read(r, 0, 0), 0x12378086);
    CHECK_EQ(config_read(r, 0, 8), 0x06000002);
    CHECK_EQ(config_read(r, 0, 0x10), 0);
}

TEST(pci, bar_tells_its_size_and_moves)
{
    struct rig *r = board();

    config_write(r, 0x09, 0x20, 0xffffffff);
    CHECK_EQ(config_read(r, 0x09, 0x20), 0xfffffff1);
    config_write(r, 0x09, 0x20, 0xc000);
    CHECK_EQ(config_read(r, 0x09, 0x20), 0xc001);
    config_write(r, 0x09, 0x04, 7);
    CHECK_EQ(config_read(r, 0x09, 0x04) & 0xffff, 5); /* no memory to enable */
}

/* A function that pulls a pin. */
struct puller {
    struct device dev;
    struct pci_function pci;
};

static bool puller_attach(struct device *dev)
{
    struct puller *p = (struct puller *)dev;

    pci_init(&p->pci, dev, 0x1234, 0x5678, 0xff0000, 0, 7);
    pci_init_bar(&p->pci, 0, 0x1000, false, false);
    pci_add(chips->slot.bus, *(const u32 *)dev->config, &p->pci);
    return true;
}

static const struct device_class puller_class = {
    .name = "puller", .size = sizeof(struct puller), .attach = puller_attach
};

TEST(pci, pins_reach_isa_interrupts_by_pirqrc)
{
    static const u32 slot2 = 0x10;
    struct rig *r = board();

    rig_add(r, &puller_class, &slot2);
    pci_set_irq(chips->slot.bus, slot2, 0, true); /* slot 2 pin A is PIRQ B */
    CHECK(!rig_irq(r, 10));
    config_write8(r, 0x08, 0x61, 10);
    CHECK(rig_irq(r, 10));
    config_write8(r, 0x08, 0x61, 11);
    CHECK(!rig_irq(r, 10));
    CHECK(rig_irq(r, 11));
    config_write8(r, 0x08, 0x61, 0x8b);
    CHECK(!rig_irq(r, 11));
    config_write8(r, 0x08, 0x61, 8); /* the RTC's: not for PIRQs */
    CHECK(!rig_irq(r, 8));
    config_write8(r, 0x08, 0x61, 5);
    CHECK_EQ(config_read(r, slot2, 4) >> 16 & 8, 8);
    pci_set_irq(chips->slot.bus, slot2, 0, false);
    CHECK(!rig_irq(r, 5));
    CHECK_EQ(config_read(r, slot2, 4) >> 16 & 8, 0);
}

TEST(pci, a_shared_interrupt_falls_with_the_last)
{
    static const u32 slot2 = 0x10, slot6 = 0x30;
    struct rig *r = board();

    rig_add(r, &puller_class, &slot2);
    rig_add(r, &puller_class, &slot6);
    config_write8(r, 0x08, 0x61, 11);
    config_write8(r, 0x08, 0x62, 11);
    pci_set_irq(chips->slot.bus, slot2, 0, true);
    pci_set_irq(chips->slot.bus, slot6, 0, true);
    pci_set_irq(chips->slot.bus, slot2, 1, true); /* PIRQ C, also 11 */
    pci_set_irq(chips->slot.bus, slot2, 0, false);
    pci_set_irq(chips->slot.bus, slot6, 0, false);
    CHECK(rig_irq(r, 11));
    CHECK_EQ(rig_irq_rises(r, 11), 1);
    pci_set_irq(chips->slot.bus, slot2, 1, false);
    CHECK(!rig_irq(r, 11));
}

TEST(pci, command_can_hold_the_pins_back)
{
    static const u32 slot2 = 0x10;
    struct rig *r = board();

    rig_add(r, &puller_class, &slot2);
    config_write8(r, 0x08, 0x61, 11);
    config_write(r, slot2, 4, 0x400);
    pci_set_irq(chips->slot.bus, slot2, 0, true);
    CHECK(!rig_irq(r, 11));
    config_write(r, slot2, 4, 0);
    CHECK(rig_irq(r, 11));
}

TEST(pci, bar_decodes_when_enabled_and_placed)
{
    static const u32 slot2 = 0x10;
    struct rig *r = board();
    struct puller *p = (struct puller *)rig_add(r, &puller_class, &slot2);
    u32 base;

    config_write(r, slot2, 0x10, 0xf0001234);
    CHECK(!pci_bar(&p->pci, 0, &base));
    config_write(r, slot2, 4, PCI_COMMAND_MEMORY);
    CHECK(pci_bar(&p->pci, 0, &base));
    CHECK_EQ(base, 0xf0001000);
    config_write(r, slot2, 0x10, 0xffffffff);
    CHECK(!pci_bar(&p->pci, 0, &base));
    pci_reset(&p->pci);
    CHECK_EQ(config_read(r, slot2, 0x10), 0);
    CHECK_EQ(config_read(r, slot2, 4), 0);
}

/* ---- 82441FX ---- */

static u8 peek(struct rig *r, gpa_t gpa)
{
    u8 v;

    phys_read(r->m, gpa, &v, 1);
    return v;
}

static void poke(struct rig *r, gpa_t gpa, u8 v)
{
    phys_write(r->m, gpa, &v, 1);
}

static struct rig *board_with_rom(void)
{
    struct rig *r = board();
    u8 *rom = mmu_alloc(r->m->mmu, 0x20000);

    memset(rom, 0xb1, 0x20000);
    i440fx_set_rom(chips->i440fx, rom);
    return r;
}

TEST(i440fx, rom_shows_until_pam_says_ram)
{
    struct rig *r = board_with_rom();

    CHECK_EQ(peek(r, 0xf0000), 0xb1);
    poke(r, 0xf0000, 1);
    CHECK_EQ(peek(r, 0xf0000), 0xb1);
    config_write8(r, 0, 0x59, 0x20); /* writes to RAM, reads from ROM */
    poke(r, 0xf0000, 0x5a);
    CHECK_EQ(peek(r, 0xf0000), 0xb1);
    config_write8(r, 0, 0x59, 0x30);
    CHECK_EQ(peek(r, 0xf0000), 0x5a);
    config_write8(r, 0, 0x59, 0x10); /* reads from RAM, writes nowhere */
    poke(r, 0xf0000, 0x77);
    CHECK_EQ(peek(r, 0xf0000), 0x5a);
    CHECK_EQ(peek(r, 0xeffff), 0xb1);
}

TEST(i440fx, pam_has_a_nibble_for_each_segment)
{
    for (u32 n = 1; n < 13; n++) {
        struct rig *r = board();
        u32 base = 0xc0000 + (n - 1) * 0x4000;

        config_write8(r, 0, 0x59 + (n + 1) / 2, n % 2 ? 0x03 : 0x30);
        poke(r, base, 0x11);
        poke(r, base + 0x3fff, 0x22);
        CHECK_EQ(peek(r, base), 0x11);
        CHECK_EQ(peek(r, base + 0x3fff), 0x22);
        poke(r, base - 1, 0x33);
        poke(r, base + 0x4000, 0x33);
        CHECK(n == 1 || peek(r, base - 1) == 0xff);
        CHECK_EQ(peek(r, base + 0x4000), 0xff);
    }
}

TEST(i440fx, reset_shows_the_rom_again)
{
    struct rig *r = board_with_rom();

    config_write8(r, 0, 0x59, 0x30);
    poke(r, 0xf0000, 0x5a);
    i440fx_class.reset(chips->i440fx);
    CHECK_EQ(peek(r, 0xf0000), 0xb1);
    config_write8(r, 0, 0x59, 0x30);
    CHECK_EQ(peek(r, 0xf0000), 0x5a); /* RAM keeps */
}

/* A chip with memory at A0000, as the VGA has. */
static u32 window_read(struct device *dev, u32 off, enum io_size size)
{
    return 0x76;
}

static void window_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
}

static bool window_attach(struct device *dev)
{
    static const struct io_ops ops = {window_read, window_write, IO_8};

    return bus_claim_memory(dev, 0xa0000, 0x20000, &ops);
}

static const struct device_class window_class = {
    .name = "window", .size = sizeof(struct device), .attach = window_attach
};

TEST(i440fx, smram_opens_over_video_memory_and_locks)
{
    struct rig *r = board();

    rig_add(r, &window_class, NULL);
    poke(r, 0xa0000, 0x42);
    CHECK_EQ(peek(r, 0xa0000), 0x76);
    config_write8(r, 0, 0x72, 0x4a);
    poke(r, 0xa0000, 0x42);
    CHECK_EQ(peek(r, 0xa0000), 0x42);
    config_write8(r, 0, 0x72, 0x1a); /* locked: D_OPEN is gone for good */
    CHECK_EQ(peek(r, 0xa0000), 0x76);
    config_write8(r, 0, 0x72, 0x4a);
    CHECK_EQ(peek(r, 0xa0000), 0x76);
    CHECK_EQ(config_read(r, 0, 0x70) >> 16 & 0x50, 0x10);
}

TEST(i440fx, row_boundaries_tell_the_ram)
{
    struct rig *r = board(); /* 16 MiB */

    CHECK_EQ(config_read(r, 0, 0x60), 0x02020202);
    CHECK_EQ(config_read(r, 0, 0x64), 0x02020202);
}

/* ---- PIIX3 ---- */

TEST(piix3, cf9_resets_on_rcpu)
{
    struct rig *r = board();

    rig_out8(r, 0xcf9, 2);
    CHECK_EQ(rig_in8(r, 0xcf9), 2);
    CHECK_EQ(r->m->events & MACHINE_RESET, 0);
    rig_out8(r, 0xcf9, 6);
    CHECK_EQ(r->m->events & MACHINE_RESET, MACHINE_RESET);
}

TEST(piix3, reset_values)
{
    struct rig *r = board();

    CHECK_EQ(config_read(r, 0x08, 0x60), 0x80808080);
    config_write(r, 0x08, 0x60, 0x0b0b0a0a);
    CHECK_EQ(config_read(r, 0x08, 0x60), 0x0b0b0a0a);
    piix3_class.reset(chips->piix3);
    CHECK_EQ(config_read(r, 0x08, 0x60), 0x80808080);
    CHECK_EQ(config_read(r, 0x08, 0x4c) & 0xff, 0x4d);
    CHECK_EQ(config_read(r, 0x08, 0x04) & 0xffff, 7);
}

/* ---- Expansion ROMs ---- */

TEST(pci, a_card_s_rom_names_it_and_shows_where_the_guest_puts_it)
{
    static u8 image[5000] = {0x55, 0xaa, 10,  [0x18] = 0x1c, [0x1c] = 'P',
                             'C',  'I',  'R', [4999] = 7};
    static struct nic_rig wire;
    struct rig *r = rig_new(NULL, NULL);
    u8 rom[5120], sum = 0;

    for (u32 i = 0; i < sizeof(image); i++)
        image[6] -= i == 6 ? 0 : image[i];
    nic_rig_init(&wire);
    wire.config.slot.bus = pci_rig_add(r)->slot.bus;
    wire.config.slot.rom = image;
    wire.config.slot.rom_size = sizeof(image);
    rig_add(r, &ne2k_pci_class, &wire.config);
    nic_rig_config_write(r, 0x30, ~0u);
    CHECK_EQ(nic_rig_config_read(r, 0x30), 0xffffe001);
    nic_rig_config_write(r, 0x30, 0xe1000000);
    nic_rig_config_write(r, 0x04, PCI_COMMAND_MEMORY);
    CHECK_EQ(bus_mmio_read(r->m, 0xe1000000, 2), 0xffff); /* not enabled */
    nic_rig_config_write(r, 0x30, 0xe1000001);
    phys_read(r->m, 0xe1000000, rom, sizeof(rom));
    CHECK_EQ(rom[0x20] | rom[0x21] << 8, 0x10ec);
    CHECK_EQ(rom[0x22] | rom[0x23] << 8, 0x8029);
    CHECK_EQ(rom[4999], 7);
    for (u32 i = 0; i < sizeof(rom); i++)
        sum += rom[i];
    CHECK_EQ(sum, 0);
    phys_write(r->m, 0xe1000000, "xx", 2);
    phys_read(r->m, 0xe1000000, rom, 1);
    CHECK_EQ(rom[0], 0x55);
    nic_rig_config_write(r, 0x04, 0);
    CHECK_EQ(bus_mmio_read(r->m, 0xe1000000, 2), 0xffff);
}
