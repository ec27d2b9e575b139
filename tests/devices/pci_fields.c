/*
 * The field tables of the PCI chips are all that a restore needs: a board is stirred by random
 * writes, a second one gets the fields, and both answer alike: configuration, ports that moved,
 * the map below 1 MiB, interrupts.
 */
#include "devices/fw_cfg.h"
#include "devices/i440fx.h"
#include "tests/devices/pci_rig.h"
#include <string.h>

static const u32 functions[] = {0x00, 0x08, 0x09, 0x0b};
enum { ROM_SIZE = 0x20000 };

static u32 noise(u32 *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static struct rig *board(void)
{
    struct rig *r = rig_new(NULL, NULL);
    struct pci_rig *chips = pci_rig_add(r);

    rig_add(r, &fw_cfg_class, NULL);
    u8 *rom = mmu_alloc(r->m->mmu, ROM_SIZE);
    memset(rom, 0xb1, ROM_SIZE);
    i440fx_set_rom(chips->i440fx, rom);
    for (u32 gpa = 0xa0000; gpa < 0x100000; gpa += PAGE_SIZE)
        mmu_ram(r->m->mmu)[gpa] = gpa >> PAGE_SHIFT;
    return r;
}

static void config_write(struct rig *r, u32 devfn, u32 reg, u32 val)
{
    rig_out32(r, 0xcf8, 0x80000000u | devfn << 8 | reg);
    rig_out32(r, 0xcfc, val);
}

static void stir(struct rig *r, u32 *state)
{
    for (u32 i = 0; i < 200; i++)
        config_write(r, functions[noise(state) % 4], noise(state) & 0xfc,
                     noise(state) << 16 ^ noise(state));
    config_write(r, 0x0b, 0x40, 0x600);
    config_write(r, 0x0b, 0x80, 1);
    for (u32 i = 0; i < 60; i++) {
        rig_out8(r, 0x600 + noise(state) % 4, noise(state));
        rig_out8(r, 0xb2, noise(state) & 1 ? 0xf1 : 0xf0);
        rig_advance(r, noise(state) % MSEC(100));
    }
    rig_out16(r, 0x510, noise(state) % 4);
    rig_in8(r, 0x511);
}

static void restore(struct rig *to, const struct rig *from)
{
    const struct device *a = from->m->devices;

    for (struct device *b = to->m->devices; b; b = b->next, a = a->next) {
        for (const struct field *f = b->class->fields; f->name; f++)
            memcpy((u8 *)b + f->offset, (const u8 *)a + f->offset, (size_t)f->size * f->count);
    }
    for (struct device *b = to->m->devices; b; b = b->next)
        if (b->class->loaded)
            b->class->loaded(b);
}

static u32 config_read(struct rig *r, u32 devfn, u32 reg)
{
    rig_out32(r, 0xcf8, 0x80000000u | devfn << 8 | reg);
    return rig_in32(r, 0xcfc);
}

static void compare_memory(struct rig *a, struct rig *b)
{
    for (gpa_t gpa = 0xa0000; gpa < 0x100000; gpa += 0x4000) {
        u8 x, y;

        phys_read(a->m, gpa, &x, 1);
        phys_read(b->m, gpa, &y, 1);
        CHECK_EQ(x, y);
        phys_write(a->m, gpa, "w", 1);
        phys_write(b->m, gpa, "w", 1);
        CHECK_EQ(mmu_ram(a->m->mmu)[gpa], mmu_ram(b->m->mmu)[gpa]);
    }
}

static void compare(struct rig *a, struct rig *b)
{
    static const u16 ports[] = {0x600, 0x602, 0x604, 0x60c, 0x60e, 0xb2, 0x511};

    for (u32 i = 0; i < ARRAY_SIZE(ports); i++)
        CHECK_EQ(rig_in8(a, ports[i]), rig_in8(b, ports[i]));
    for (u32 i = 0; i < 16; i++)
        CHECK_EQ(rig_irq(a, i), rig_irq(b, i));
    for (u32 i = 0; i < ARRAY_SIZE(functions); i++)
        for (u32 reg = 0; reg < 256; reg += 4)
            CHECK_EQ(config_read(a, functions[i], reg), config_read(b, functions[i], reg));
    compare_memory(a, b);
}

TEST(pci_fields, are_all_a_restore_needs)
{
    for (u32 seed = 1; seed < 40; seed++) {
        u32 state = seed;
        struct rig *a = board(), *b = board();

        stir(a, &state);
        rig_advance(b, clock_now(a->m));
        restore(b, a);
        compare(a, b);
        rig_out16(a, 0x602, 1); /* the timer's next interrupt comes at the same time */
        rig_out16(b, 0x602, 1);
        for (u32 i = 0; i < 50; i++) {
            rig_advance(a, MSEC(100));
            rig_advance(b, MSEC(100));
            CHECK_EQ(rig_irq(a, 9), rig_irq(b, 9));
        }
    }
}

/* Whatever a broken file brings must not hurt: run it with the address sanitizer. */
TEST(pci_fields, take_garbage)
{
    for (u32 seed = 1; seed < 40; seed++) {
        u32 state = seed;
        struct rig *r = board();

        for (struct device *d = r->m->devices; d; d = d->next) {
            for (const struct field *f = d->class->fields; f->name; f++)
                for (u32 n = 0; n < f->size * f->count; n++)
                    ((u8 *)d)[f->offset + n] = noise(&state);
            if (d->class->loaded)
                d->class->loaded(d);
        }
        stir(r, &state);
        rig_advance(r, SEC(10));
        for (struct device *d = r->m->devices; d; d = d->next)
            if (d->class->reset)
                d->class->reset(d);
        CHECK_EQ(config_read(r, 0x08, 0x60), 0x80808080);
    }
}
