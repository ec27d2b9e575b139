/*
 * -device: finds the row, reads the properties into a config of the row's, and keeps the ids of
 * back ends beside it: parts.c makes the chip, and only then there are back ends.
 */
#include "runtime/options/option_devices.h"
#include "devices/pci.h"
#include "devices/gd5446.h"
#include "devices/user_drives.h"
#include "devices/vga.h"
#include "runtime/base/keyval.h"
#include "runtime/options/option_absent.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_KEYS = 32 };

#define PLACE(member) offsetof(struct device_options, member)

static bool is_reference(enum key_kind kind)
{
    return kind >= KEY_CHARDEV && kind <= KEY_DRIVE;
}

/* ---- Help, as QEMU prints it ---- */

static const char *const bus_names[] = {
    [BUS_ISA] = "ISA", [BUS_PCI] = "PCI", [BUS_IDE] = "IDE", [BUS_FLOPPY] = "floppy-bus",
};

static _Noreturn void list_devices(void)
{
    static const char *const titles[] = {
        [STORAGE_DEVICE] = "Storage", [NETWORK_DEVICE] = "Network", [INPUT_DEVICE] = "Input",
        [DISPLAY_DEVICE] = "Display", [SOUND_DEVICE] = "Sound",     [MISC_DEVICE] = "Misc",
    };
    const char *gap = "";

    for (u32 i = 0; i < ARRAY_SIZE(titles); i++) {
        const char *title = titles[i];

        for (u32 k = 0; user_devices[k]; k++) {
            const struct user_device *d = user_devices[k];

            if (d->category != i)
                continue;
            if (title)
                printf("%s%s devices:\n", gap, title);
            printf("name \"%s\", bus %s, desc \"%s\"\n", d->name, bus_names[d->bus], d->help);
            title = NULL;
            gap = "\n";
        }
    }
    exit(0);
}

static const char *type_name(const struct key_row *key)
{
    static const char *const names[] = {
        [KEY_TEXT] = "str",          [KEY_BOOL] = "bool",       [KEY_U8] = "uint8",
        [KEY_U16] = "uint16",        [KEY_U32] = "uint32",      [KEY_MAC] = "mac",
        [KEY_DEVFN] = "slot",        [KEY_CHARDEV] = "chardev", [KEY_NETDEV] = "netdev",
        [KEY_AUDIODEV] = "audiodev", [KEY_DRIVE] = "drive",
    };

    return key->kind == KEY_CHOICE ? key->choices : names[key->kind];
}

/* A number as the row has it when the user says nothing; NULL: no number, or 0 or all ones,
 * which mean "by itself". */
static const char *default_number(const struct user_device *row, const struct key_row *key)
{
    u32 size = key->kind == KEY_U8    ? 1
               : key->kind == KEY_U16 ? 2
               : key->kind == KEY_U32 ? 4
                                      : 0,
        val = 0;

    if (!size || !row->defaults)
        return NULL;
    memcpy(&val, (const char *)row->defaults + key->offset - PLACE(config), size);
    return !val || val == ~0u >> (32 - 8 * size) ? NULL : keep_format("%#x", val);
}

static void print_key(const struct user_device *row, const struct key_row *key)
{
    const char *left = keep_format("%s=<%s>", key->name, type_name(key));
    const char *standard = default_number(row, key);

    if (key->help || standard)
        printf("  %-24s - %s%s", left, key->help ? key->help : "",
               key->help && standard ? " " : "");
    else
        printf("  %s", left);
    if (standard)
        printf("(default: %s)", standard);
    printf("\n");
}

static _Noreturn void list_keys(const struct user_device *row, const struct key_row *keys,
                                u32 n)
{
    printf("%s options:\n", row->name);
    for (u32 i = 0; i < n; i++)
        if (keys[i].kind != KEY_IGNORE)
            print_key(row, &keys[i]);
    exit(0);
}

/* ---- Keys: what every device of its bus has, then the row's own ---- */

static u32 bus_keys(const struct user_device *row, struct key_row *keys)
{
    static const struct key_row all[] = {
        { "driver", KEY_IGNORE }, /* read already */
        { "id", KEY_TEXT, PLACE(id), .help = "its name" },
    };
    static const struct key_row isa = { "bus", KEY_CHOICE, PLACE(bus), "isa.0" };
    static const struct key_row pci[] = {
        {"bus", KEY_CHOICE, PLACE(bus), "pci.0|pci|pcie.0"},
        {"addr", KEY_DEVFN, PLACE(config) + offsetof(struct pci_slot, devfn),
         .help = "slot, hexadecimal; the first free one from 3 on"},
        {"romfile", KEY_IGNORE}, /* no card has an option ROM */
        {"rombar", KEY_IGNORE},
    };
    u32 n = ARRAY_SIZE(all);

    memcpy(keys, all, sizeof(all));
    if (row->bus == BUS_ISA)
        keys[n++] = isa;
    for (u32 i = 0; row->bus == BUS_PCI && i < ARRAY_SIZE(pci); i++)
        keys[n++] = pci[i];
    return n;
}

/* All keys of a device, with offsets in struct device_options. How many. */
static u32 device_keys(const struct user_device *row, struct key_row keys[MAX_KEYS])
{
    u32 n = bus_keys(row, keys), references = 0;

    for (const struct key_row *k = row->properties; k->name; k++) {
        check(n < MAX_KEYS, "%s: more than %d keys", row->name, MAX_KEYS);
        keys[n] = *k;
        if (is_reference(k->kind))
            keys[n].offset = PLACE(reference[references++]);
        else
            keys[n].offset += PLACE(config);
        n++;
    }
    check(references <= MAX_REFERENCES, "%s: more than %d back ends", row->name,
          MAX_REFERENCES);
    return n;
}

/* ---- -global ---- */

SETTER(set_global)
{
    const char *driver, *property, *value, *dot = strchr(arg, '.'), *equals = strchr(arg, '=');

    if (o->globals == MAX_GLOBALS)
        die("%s: more than %d", option, MAX_GLOBALS);
    keyval_take(keyval_take(keyval_take(arg, "driver", &driver), "property", &property),
                "value", &value);
    if (driver && property && value) {
        dot = NULL;
        equals = property;
    } else if (!dot || !equals || equals < dot) {
        die("%s: '%s': wants DEVICE.KEY=VALUE", option, arg);
    }
    o->global[o->globals].driver = dot ? keep_format("%.*s", (int)(dot - arg), arg) : driver;
    o->global[o->globals++].item = dot ? dot + 1 : keep_format("%s=%s", property, value);
}

static bool has_key(const struct key_row *keys, u32 n, const char *item)
{
    size_t length = strcspn(item, "=");

    for (u32 i = 0; i < n; i++)
        if (strlen(keys[i].name) == length && !memcmp(keys[i].name, item, length))
            return true;
    return false;
}

/* The old names of the display adapter's row. */
static bool is_of(const char *driver, const struct user_device *row)
{
    return !strcmp(driver, row->name) || (row->category == DISPLAY_DEVICE &&
                                          !strcmp(driver, "vga") && row->class == &vga_class);
}

static void read_globals(struct options *o, struct device_options *d)
{
    struct key_row keys[MAX_KEYS];
    u32 n = device_keys(d->row, keys);

    for (u32 i = 0; i < o->globals; i++) {
        if (!is_of(o->global[i].driver, d->row) || !has_key(keys, n, o->global[i].item))
            continue;
        o->global[i].used = true;
        keyval_read(keep_format("-global %s", o->global[i].driver),
                    absent_video_memory(o, d->row, o->global[i].item), NULL, keys, n, d);
    }
}

/* "driveA=ID" of the floppy controller. */
static void global_floppy(struct options *o, const char *item)
{
    struct device_options *d = add_device(o, "-global", &floppy_user_device);

    *device_reference(d, KEY_DRIVE) = item + strlen("driveA=");
    ((struct drive_place *)d->config)->unit = item[5] - 'A';
}

void finish_global_devices(struct options *o)
{
    const struct user_device *own = o->vga && !strcmp(o->vga, "cirrus") ? &gd5446_user_device
                                    : o->isapc                          ? &isa_vga_user_device
                                                                        : &vga_user_device;
    bool there = wants_device(o, &vga_class) || wants_device(o, &gd5446_class) ||
                 (o->vga && !strcmp(o->vga, "none"));

    for (u32 i = 0; i < o->globals; i++) {
        const char *driver = o->global[i].driver, *item = o->global[i].item;

        if (!strcmp(driver, "isa-fdc") &&
            (!strncmp(item, "driveA=", 7) || !strncmp(item, "driveB=", 7))) {
            o->global[i].used = true;
            global_floppy(o, item);
        } else if (!there && is_of(driver, own)) {
            add_device(o, "-vga", own);
            there = true;
        }
    }
}

/* ---- The option ---- */

struct device_options *add_device(struct options *o, const char *option,
                                  const struct user_device *row)
{
    struct device_options *d = keep_zeroed(sizeof(*d) + row->config_size), **end = &o->devices;

    d->option = option;
    d->row = row;
    if (row->defaults)
        memcpy(d->config, row->defaults, row->config_size);
    read_globals(o, d);
    while (*end)
        end = &(*end)->next;
    *end = d;
    return d;
}

struct device_options *last_device(struct options *o)
{
    struct device_options *d = o->devices;

    while (d && d->next)
        d = d->next;
    return d;
}

const char **device_reference(struct device_options *d, enum key_kind kind)
{
    u32 n = 0;

    for (const struct key_row *k = d->row->properties; k->name; k++) {
        if (k->kind == kind)
            return &d->reference[n];
        n += is_reference(k->kind);
    }
    return NULL;
}

bool wants_device(const struct options *o, const struct device_class *class)
{
    for (const struct device_options *d = o->devices; d; d = d->next)
        if (d->row->class == class)
            return true;
    return false;
}

static const struct user_device *find_device(const char *option, const char *name)
{
    const char *names[MAX_KEYS];
    u32 n = 0;

    for (; user_devices[n]; n++) {
        if (!strcmp(user_devices[n]->name, name))
            return user_devices[n];
        check(n < ARRAY_SIZE(names), "more than %zu devices", ARRAY_SIZE(names));
        names[n] = user_devices[n]->name;
    }
    refuse_name(option, name, names, sizeof(names[0]), n);
}

static void check_required(const struct device_options *d, const struct key_row *keys, u32 n)
{
    for (u32 i = 0; i < n; i++)
        if (keys[i].required && !*(const char *const *)((const char *)d + keys[i].offset))
            die("%s %s: %s= is missing", d->option, d->row->name, keys[i].name);
}

/* Is "help" or "?" one of the list's items? */
static bool asks_help(const char *list)
{
    while (*list) {
        size_t n = strcspn(list, ",");

        if (in_choices(keep_format("%.*s", (int)n, list), "help|?"))
            return true;
        list += n + (list[n] == ',');
    }
    return false;
}

SETTER(set_device)
{
    size_t prefix = strncmp(arg, "driver=", 7) ? 0 : 7, length = strcspn(arg + prefix, ",");
    const char *typed = keep_format("%.*s", (int)length, arg + prefix), *name = typed;
    const char *rest = arg + prefix + length + (arg[prefix + length] == ',');
    const struct user_device *row;
    struct key_row keys[MAX_KEYS];
    struct device_options *d;
    const char **where;
    u32 n;

    if (in_choices(name, "help|?"))
        list_devices();
    if (!*name || strchr(name, '='))
        die("%s: wants the name of a device first; -device help lists them", option);
    name = absent_device(o, option, typed, &rest);
    if (!name)
        return;
    row = find_device(option, name);
    if (row->bus == BUS_IDE || row->bus == BUS_PCI)
        rest = absent_bus(o, rest);
    rest = absent_video_memory(o, row, rest);
    n = device_keys(row, keys);
    if (asks_help(rest))
        list_keys(row, keys, n);
    d = add_device(o, option, row);
    keyval_read(keep_format("%s %s", option, name), rest, NULL, keys, n, d);
    check_required(d, keys, n);
    where = device_reference(d, KEY_CHARDEV);
    if (where && *where)
        *where = keep_format("chardev:%s", *where);
}
