/*
 * From -device's options to chips: the config gets its back ends and its slot, the row
 * completes it, and the chip is made. Which devices there are: devices/user_devices.c.
 */
#include "runtime/user_devices.h"
#include "devices/nic.h"
#include "devices/pci.h"
#include "runtime/boot/firmware.h"
#include "runtime/control/chardev.h"
#include "runtime/network/network.h"
#include "runtime/sound/sound.h"
#include <string.h>

/* ---- Back ends: a row each ---- */

static void *char_end(struct machine *m, const char *target)
{
    return chardev_new(m, target);
}

static void *audio_end(struct machine *m, const char *id)
{
    return sound_audio(m, id);
}

static void *network_end(struct machine *m, const char *id)
{
    return network_find(m, id);
}

static const struct {
    enum key_kind kind;
    bool unnamed; /* there is one for a device that names none */
    void *(*find)(struct machine *m, const char *id); /* die()s where there is none */
} back_ends[] = {
    { KEY_CHARDEV, false, char_end },
    { KEY_AUDIODEV, true, audio_end },
    { KEY_NETDEV, false, network_end },
};

static void *back_end(struct machine *m, enum key_kind kind, const char *id)
{
    for (u32 i = 0; i < ARRAY_SIZE(back_ends); i++)
        if (back_ends[i].kind == kind && (id || back_ends[i].unnamed))
            return back_ends[i].find(m, id);
    return NULL;
}

/* The config's pointers to back ends, from the ids in the options. */
static void connect(struct machine *m, const struct device_options *d, u8 *config)
{
    u32 n = 0;

    for (const struct key_row *k = d->row->properties; k->name; k++) {
        void *end;

        if (k->kind < KEY_CHARDEV || k->kind > KEY_DRIVE)
            continue;
        end = back_end(m, k->kind, d->reference[n]);
        memcpy(config + k->offset, &end, sizeof(end));
        n++;
    }
}

/* ---- Boot ROMs of network cards ---- */

/* Where nothing else could be booted, the network is, as QEMU does it. */
static bool nothing_to_boot(const struct options *o)
{
    bool some = o->kernel || o->floppy[0].present || o->floppy[1].present;

    for (u32 i = 0; i < 4; i++)
        some |= o->ide[i / 2][i % 2].present;
    return !some && !o->boot[0];
}

static void add_boot_rom(struct machine *m, const struct device_options *d,
                         struct nic_config *c)
{
    const struct options *o = m->options;
    bool asked = c->romfile || c->bootindex || strchr(o->boot, 'n');
    const char *name = c->romfile ? c->romfile : d->row->boot_rom;

    if (!*name || (!asked && !nothing_to_boot(o)))
        return;
    c->slot.rom = firmware_boot_rom(m, name, &c->slot.rom_size);
    if (!c->slot.rom && c->romfile)
        die("%s %s: romfile=%s: no such file", d->option, d->row->name, name);
    if (!c->slot.rom && asked)
        die("-boot n: no boot ROM for %s: install %s (apt install ipxe-qemu), or name one with "
            "romfile=",
            d->row->name, name);
}

/* ---- Devices ---- */

static void plug_in(const struct device_options *d, struct pci_slot *slot, struct device *pci)
{
    u8 wanted = slot->devfn;

    if (!pci)
        die("%s %s: no PCI bus on this board (-machine isapc)", d->option, d->row->name);
    slot->bus = pci;
    if (!pci_find_slot(pci, &slot->devfn))
        die("%s %s: %s", d->option, d->row->name,
            wanted ? "addr=: that PCI slot is taken" : "no PCI slot is free");
}

static void make_device(struct machine *m, const struct device_options *d, struct device *pci)
{
    const struct user_device *row = d->row;
    u8 *config = machine_alloc(m, row->config_size);
    const char *wrong;

    memcpy(config, d->config, row->config_size);
    connect(m, d, config);
    if (row->bus == BUS_PCI)
        plug_in(d, (struct pci_slot *)config, pci);
    if (row->boot_rom)
        add_boot_rom(m, d, (struct nic_config *)config);
    wrong = row->complete ? row->complete(m, config) : NULL;
    if (!wrong && !device_new(m, row->class, config))
        wrong = "it could not be set up";
    if (wrong)
        die("%s %s: %s", d->option, row->name, wrong);
}

/* -debugcon comes behind every -device, as in QEMU: pc-testdev's ports lie around E9. */
void user_devices_make(struct machine *m, struct device *pci)
{
    for (int debugcon = 0; debugcon < 2; debugcon++)
        for (const struct device_options *d = m->options->devices; d; d = d->next)
            if (d->row->class && debugcon == !strcmp(d->option, "-debugcon"))
                make_device(m, d, pci);
}
