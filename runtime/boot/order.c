/*
 * bootindex=: SeaBIOS takes a file "bootorder", a line for each device in Open Firmware's
 * terms, the first to be booted first (src/boot.c). What is not in it comes later, in the order
 * of -boot.
 */
#include "runtime/boot/order.h"
#include "devices/fw_cfg.h"
#include "devices/nic.h"
#include "runtime/base/keyval.h"

#include <stdlib.h>
#include <string.h>

struct boot_place {
    u32 index;
    char path[60];
};

enum { MAX_PLACES = 16 };

struct boot_list {
    struct boot_place place[MAX_PLACES];
    u32 n;
};

static void add_place(struct boot_list *list, const char *index, const char *path)
{
    struct boot_place *p = &list->place[list->n];

    if (!index || list->n == MAX_PLACES)
        return;
    if (!parse_u32(index, &p->index))
        die("bootindex=%s: is no number", index);
    for (u32 i = 0; i < list->n; i++)
        if (list->place[i].index == p->index)
            die("bootindex=%s: two devices have it", index);
    snprintf(p->path, sizeof(p->path), "/pci@i0cf8/%s", path);
    list->n++;
}

/* The PIIX3 is slot 1: function 0 the ISA bridge, 1 the disks. */
static void add_drives(struct boot_list *list, const struct options *o)
{
    for (u32 i = 0; i < 4; i++)
        add_place(list, o->ide[i / 2][i % 2].bootindex,
                  keep_format("ide@1,1/drive@%u/disk@%u", i / 2, i % 2));
    for (u32 i = 0; i < 2; i++)
        add_place(list, o->floppy[i].bootindex, keep_format("isa@1/fdc@03f0/floppy@%u", i));
}

static bool is_pci_card(const struct device *d)
{
    for (u32 i = 0; user_devices[i]; i++)
        if (user_devices[i]->class == d->class && user_devices[i]->category == NETWORK_DEVICE &&
            user_devices[i]->bus == BUS_PCI)
            return ((const struct nic_config *)d->config)->slot.bus;
    return false;
}

static void add_cards(struct boot_list *list, struct machine *m)
{
    for (struct device *d = m->devices; d; d = d->next) {
        const struct nic_config *c = d->config;
        u32 function;

        if (!is_pci_card(d))
            continue;
        function = c->slot.devfn & 7;
        add_place(list, c->bootindex,
                  keep_format(function ? "ethernet@%x,%x" : "ethernet@%x", c->slot.devfn >> 3,
                              function));
    }
}

static int by_index(const void *a, const void *b)
{
    u32 left = ((const struct boot_place *)a)->index,
        right = ((const struct boot_place *)b)->index;

    return left < right ? -1 : left > right;
}

void boot_order(struct machine *m)
{
    struct boot_list list = {.n = 0};
    char *text;

    add_drives(&list, m->options);
    add_cards(&list, m);
    if (!list.n || m->options->kernel)
        return;
    qsort(list.place, list.n, sizeof(list.place[0]), by_index);
    text = machine_alloc(m, list.n * (sizeof(list.place[0].path) + 1));
    for (u32 i = 0; i < list.n; i++)
        sprintf(text + strlen(text), "%s%s", i ? "\n" : "", list.place[i].path);
    fw_cfg_add_file(m->fw_cfg, "bootorder", text, (u32)strlen(text) + 1);
}
