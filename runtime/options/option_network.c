/*
 * Network back ends and cards: -netdev with -device, -nic (both in one), -net (the old
 * spelling), and records of frames by -object filter-dump. A back end's own keys are read by
 * its kind (runtime/network), a card's by its row (devices/user_devices.c).
 */
#include "runtime/options/option_network.h"
#include "devices/ne2000.h"
#include "runtime/base/keyval.h"
#include "runtime/options/option_absent.h"
#include "runtime/options/option_devices.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_MODEL "e1000" /* as in QEMU's PC; its isapc has ne2k_isa */

/* ---- Back ends ---- */

static void add_netdev(struct options *o, const char *option, const char *kind, const char *id,
                       const char *list)
{
    for (u32 i = 0; i < o->netdevs; i++)
        if (!strcmp(o->netdev[i].id, id))
            die("%s %s: id=%s is taken already", option, kind, id);
    if (o->netdevs == MAX_NETDEVS)
        die("%s: more than %d back ends", option, MAX_NETDEVS);
    o->netdev[o->netdevs++] = (struct netdev_options){ option, kind, id, list };
}

/* A list's first item, or type=, is what it is about; the rest is returned. */
static const char *take_first(const char *list, const char **first)
{
    size_t n = strcspn(list, ",");
    const char *rest = keyval_take(list, "type", first);

    if (*first)
        return rest;
    *first = keep_format("%.*s", (int)n, list);
    return list + n + (list[n] == ',');
}

SETTER(set_netdev)
{
    const char *kind, *id, *list = keyval_take(take_first(arg, &kind), "id", &id);

    if (!id && strcmp(kind, "help"))
        die("%s %s: id= is missing", option, kind);
    add_netdev(o, option, kind, id ? id : "", list);
}

/* ---- Cards ---- */

static _Noreturn void list_models(void)
{
    for (u32 i = 0; user_devices[i]; i++)
        if (user_devices[i]->category == NETWORK_DEVICE)
            printf("%-10s %s\n", user_devices[i]->name, user_devices[i]->help);
    exit(0);
}

static void add_card(struct options *o, const char *option, const char *model, const char *list)
{
    const char *names[32];
    bool assumed = !model;
    u32 n = 0;

    model = model ? model : DEFAULT_MODEL;
    if (in_choices(model, "help|?"))
        list_models();
    for (u32 i = 0; user_devices[i]; i++)
        if (user_devices[i]->category == NETWORK_DEVICE)
            names[n++] = user_devices[i]->name;
    model = absent_device(o, option, model, &list);
    for (u32 i = 0; i < n && model; i++)
        if (!strcmp(names[i], model)) {
            set_device(o, option, keep_format("%s,%s", model, list));
            last_device(o)->assumed = assumed;
            return;
        }
    refuse_name(keep_format("%s model=", option), model ? model : "", names, sizeof(names[0]),
                n);
}

/* Moves the card's keys from a back end's list to its own. */
static const char *take_card_keys(const char *list, const char **own)
{
    static const char *const keys[][2] = { { "mac", "mac" },
                                           { "macaddr", "mac" },
                                           { "addr", "addr" } };
    const char *val;

    for (u32 i = 0; i < ARRAY_SIZE(keys); i++) {
        list = keyval_take(list, keys[i][0], &val);
        if (val)
            *own = keep_format("%s,%s=%s", *own, keys[i][1], val);
    }
    return list;
}

SETTER(set_nic)
{
    const char *kind, *model, *id, *own, *list = take_first(arg, &kind);

    if (!strcmp(kind, "none"))
        return;
    list = keyval_take(keyval_take(list, "model", &model), "id", &id);
    id = id ? id : keep_format("nic%u", o->netdevs);
    own = keep_format("netdev=%s", id);
    list = take_card_keys(list, &own);
    add_card(o, option, model, own);
    add_netdev(o, option, kind, id, list);
}

/* The old spelling: one card and one back end, on one cable. */
#define NET_ID "net0"

SETTER(set_net)
{
    const char *kind, *model, *id, *name, *own, *list = take_first(arg, &kind);

    if (!strcmp(kind, "none"))
        return;
    list = keyval_take(keyval_take(list, "name", &name), "vlan",
                       &name); /* one cable is all there was */
    if (!strcmp(kind, "dump")) {
        set_object(o, option,
                   keep_format("filter-dump,netdev=" NET_ID ",%s",
                               *list ? list : "file=qemu-vlan0.pcap"));
        return;
    }
    if (strcmp(kind, "nic")) {
        add_netdev(o, option, kind, NET_ID, list);
        return;
    }
    list = keyval_take(keyval_take(list, "model", &model), "netdev", &id);
    list = keyval_take(list, "vectors", &name);
    own = keep_format("netdev=%s", id ? id : NET_ID);
    if (model && !strcmp(model, ne2k_isa_user_device.name))
        list = keyval_take(list, "addr", &name); /* a slot of PCI's */
    list = take_card_keys(list, &own);
    add_card(o, option, model, *list ? keep_format("%s,%s", own, list) : own);
}

/* ---- Records of frames ---- */

struct dump_keys {
    const char *type, *netdev, *file;
    u32 maxlen;
};

SETTER(set_object)
{
    static const struct key_row rows[] = {
        {"type", KEY_CHOICE, offsetof(struct dump_keys, type), "filter-dump"},
        {"id", KEY_IGNORE, 0, NULL},
        KEY(struct dump_keys, netdev, KEY_TEXT),
        KEY(struct dump_keys, file, KEY_TEXT),
        KEY(struct dump_keys, maxlen, KEY_U32),
        {"len", KEY_U32, offsetof(struct dump_keys, maxlen), NULL},
    };
    struct dump_keys k = { .maxlen = 65536 };
    const char *type = keep_format("%.*s", (int)strcspn(arg, ","), arg);

    if (!strncmp(type, "qom-type=", 9) || !strncmp(type, "type=", 5))
        type = strchr(type, '=') + 1;
    if (in_choices(type,
                   "memory-backend-ram|memory-backend-memfd|memory-backend-file|iothread"))
        return; /* where memory and threads come from is the host's business */
    if (in_choices(type, "rng-random|rng-builtin|rng-egd|can-bus|secret|tls-creds-x509")) {
        note_once(o, keep_format("%s %s: nothing here uses one", option, type));
        return;
    }

    keyval_read(option, arg, "type", rows, ARRAY_SIZE(rows), &k);
    if (!k.type || !k.netdev || !k.file)
        die("%s: wants filter-dump,id=ID,netdev=ID,file=PATH", option);
    if (o->dumps == MAX_DUMPS)
        die("%s: more than %d records", option, MAX_DUMPS);
    o->dump[o->dumps].netdev = k.netdev;
    o->dump[o->dumps].file = k.file;
    o->dump[o->dumps++].max = k.maxlen;
}

/* ---- After the last option ---- */

/* What options of their own say of the user network: the first one's. */
static void finish_user_network(struct options *o)
{
    if (!o->user_network)
        return;
    for (u32 i = 0; i < o->netdevs; i++)
        if (!strcmp(o->netdev[i].kind, "user")) {
            const char *list = o->netdev[i].list;

            o->netdev[i].list = keep_format("%s%s%s", list, *list ? "," : "", o->user_network);
            return;
        }
    if (o->netdevs)
        die("-redir, -tftp, -bootp: only with -nic user or -net user");
    /* of the time when a card was there unasked */
    set_nic(o, "-redir", keep_format("user,%s", o->user_network));
}

static bool netdev_exists(const struct options *o, const char *id)
{
    for (u32 i = 0; i < o->netdevs; i++)
        if (!strcmp(o->netdev[i].id, id))
            return true;
    return false;
}

static bool netdev_taken(struct options *o, const struct device_options *before, const char *id)
{
    for (struct device_options *d = o->devices; d != before; d = d->next) {
        const char **other = device_reference(d, KEY_NETDEV);

        if (other && *other && !strcmp(*other, id))
            return true;
    }
    return false;
}

/* The card that nobody named becomes the ISA one. Its config has the same type. */
static void make_isa(struct device_options *d)
{
    struct nic_config *c = (struct nic_config *)d->config, isa;

    memcpy(&isa, ne2k_isa_user_device.defaults, sizeof(isa));
    memcpy(isa.mac, c->mac, sizeof(isa.mac));
    *c = isa;
    d->row = &ne2k_isa_user_device;
}

void network_finish(struct options *o)
{
    finish_user_network(o);
    for (struct device_options *d = o->devices; d; d = d->next)
        if (o->isapc && d->assumed)
            make_isa(d);
    for (struct device_options *d = o->devices; d; d = d->next) {
        const char **id = device_reference(d, KEY_NETDEV);

        if (!id || !*id)
            continue;
        if (netdev_taken(o, d, *id))
            die("%s %s: netdev=%s has a card already", d->option, d->row->name, *id);
        if (netdev_exists(o, *id))
            continue;
        if (strcmp(*id, NET_ID))
            die("%s %s: netdev=%s: no -netdev has that id", d->option, d->row->name, *id);
        *id = NULL; /* -net nic alone: a card without a cable */
    }
}
