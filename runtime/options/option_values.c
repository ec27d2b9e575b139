/*
 * What the options with structured arguments do, one function each: it reads the argument,
 * refuses in one line what we do not have, and notes the rest in struct options.
 */
#include "runtime/options/option_values.h"
#include "cpu/cpuid.h"
#include "devices/debugcon.h"
#include "devices/ns16550.h"
#include "runtime/control/chardev.h"
#include "runtime/machine/engines.h"
#include "runtime/machine/machine.h"
#include "runtime/base/debuglog.h"
#include "runtime/machine/execlog.h"
#include "runtime/base/keyval.h"
#include "runtime/options/option_absent.h"
#include "runtime/options/option_devices.h"
#include "runtime/options/option_drives.h"
#include "runtime/options/option_network.h"
#include "runtime/control/layout.h"
#include "runtime/screen/display.h"
#include "runtime/screen/scale.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- Machine ---- */

SETTER(set_memory)
{
    static const struct key_row rows[] = {
        {"size", KEY_TEXT, 0, NULL},
        {"slots", KEY_IGNORE, 0, NULL}, /* for memory that is added later */
        {"maxmem", KEY_IGNORE, 0, NULL},
    };
    const char *text = "";

    keyval_read(option, arg, "size", rows, ARRAY_SIZE(rows), &text);

    if (!parse_size(text, MIB(1), &o->ram))
        die("%s: '%s' is no size: a number of MiB, or with K, M or G", option, text);
    if (o->ram < MIB(1) || o->ram > MIB(3584))
        die("%s: %s: this board takes from 1M to 3584M of memory", option, arg);
    if (o->ram % PAGE_SIZE)
        die("%s: %s: not a multiple of 4K", option, arg);
}

static void list_cpus(void)
{
    for (const struct cpu_model *m = cpu_models; m->name; m++)
        printf("%-10s %s\n", m->name, m->help);
    printf("features, for ,+FEATURE and ,-FEATURE behind the model:\n");
    for (const struct cpu_feature_name *n = cpu_feature_names; n->name; n++)
        if (!strcmp(n->name, cpu_feature_name(n->feature)))
            printf("  %s%s\n", n->name, cpu_host_has(n->feature) ? "" : " (not on this host)");
    exit(0);
}

/* NULL: no such one. */
static const struct cpu_model *find_cpu(const char *name)
{
    for (const struct cpu_model *m = cpu_models; m->name; m++)
        if (!strcmp(m->name, name))
            return m;
    return NULL;
}

/* A feature that models here have, with or without its sign and value. */
static bool is_feature(const char *word)
{
    size_t n;

    word += *word == '+' || *word == '-';
    n = strcspn(word, "=");
    for (const struct cpu_feature_name *f = cpu_feature_names; f->name; f++)
        if (strlen(f->name) == n && !memcmp(f->name, word, n))
            return true;
    return false;
}

static u64 find_feature(const char *option, const char *name)
{
    u32 n = 0;

    for (const struct cpu_feature_name *f = cpu_feature_names; f->name; f++, n++)
        if (!strcmp(f->name, name))
            return FEATURE_BIT(f->feature);
    refuse_name(option, name, cpu_feature_names, sizeof(cpu_feature_names[0]), n);
}

/* "+sse3", "-sse3", "sse3=on" or "sse3=off" */
static void take_feature(struct options *o, const char *option, char *word)
{
    char *value = strchr(word, '=');
    bool on = *word == '+' || (value && !strcmp(value, "=on"));
    u64 bit;

    if (!on && *word != '-' && (!value || strcmp(value, "=off")))
        die("%s: '%s' is neither +FEATURE, -FEATURE, FEATURE=on nor FEATURE=off", option, word);
    if (value)
        *value = 0;
    bit = find_feature(option, word + (*word == '+' || *word == '-'));
    o->cpu_on = on ? o->cpu_on | bit : o->cpu_on & ~bit;
    o->cpu_off = on ? o->cpu_off & ~bit : o->cpu_off | bit;
}

/* What was asked for by name is there, or the user hears why not. */
static void check_features(const struct options *o, const char *option, const char *arg)
{
    u64 have = cpu_features_of(find_cpu(o->cpu), o->cpu_on, o->cpu_off);

    for (u32 f = 0; f < FEATURES; f++) {
        enum cpu_feature base = cpu_feature_base((enum cpu_feature)f);

        if (!(o->cpu_on & ~have & FEATURE_BIT(f)))
            continue;
        if (!cpu_host_has((enum cpu_feature)f))
            die("%s %s: this host's processor has no %s", option, arg,
                cpu_feature_name((enum cpu_feature)f));
        die("%s %s: %s builds on %s, which is not there", option, arg,
            cpu_feature_name((enum cpu_feature)f), cpu_feature_name(base));
    }
}

/* QEMU's models have versions, "486-v1". */
static const char *without_version(const char *name)
{
    const char *end = strstr(name, "-v");

    return end && end[2] && strspn(end + 2, "0123456789") == strlen(end + 2)
               ? keep_format("%.*s", (int)(end - name), name)
               : name;
}

static const char *cpu_name(struct options *o, const char *option, const char *name)
{
    const char *instead;
    u32 n = 0;

    if (find_cpu(name))
        return find_cpu(name)->name;
    name = without_version(name);
    if (find_cpu(name))
        return find_cpu(name)->name;
    instead = absent_cpu(o, name);
    while (!instead && cpu_models[n].name)
        n++;
    if (!instead)
        refuse_name(option, name, cpu_models, sizeof(cpu_models[0]), n);
    return instead;
}

SETTER(set_cpu)
{
    char *words = strdup(arg), *rest, *word;

    if (!strcmp(arg, "help") || !strcmp(arg, "?"))
        list_cpus();
    word = strtok_r(words, ",", &rest);
    o->cpu = cpu_name(o, option, word ? word : "");
    o->cpu_on = o->cpu_off = 0;
    while ((word = strtok_r(NULL, ",", &rest)))
        if (is_feature(word) || !absent_cpu_word(o, word))
            take_feature(o, option, word);
    check_features(o, option, arg);
    free(words);
}

/* A date as QEMU takes it: 2026-11-20, or 2026-11-20T10:00:00. */
static bool is_date(const char *text)
{
    struct tm tm = { 0 };
    const char *end = strptime(text, "%Y-%m-%d", &tm);

    if (end && *end == 'T')
        end = strptime(end, "T%H:%M:%S", &tm);
    return end && !*end;
}

struct rtc_keys {
    const char *base, *clock;
};
static const struct key_row rtc_keys[] = {
    KEY(struct rtc_keys, base, KEY_TEXT),
    { "clock", KEY_CHOICE, offsetof(struct rtc_keys, clock), "host|rt|vm" },
    { "driftfix", KEY_IGNORE, 0, NULL },
};

SETTER(set_localtime)
{
    o->rtc_base = "localtime";
}

SETTER(set_rtc)
{
    struct rtc_keys k = { .base = o->rtc_base };

    keyval_read(option, arg, "base", rtc_keys, ARRAY_SIZE(rtc_keys), &k);
    o->rtc_base = k.base;
    if (!in_choices(k.base, "utc|localtime") && !is_date(k.base))
        refuse_choice("-rtc base=", k.base, "utc|localtime|2026-11-20|2026-11-20T10:00:00");
}

struct name_keys {
    const char *guest;
};
static const struct key_row name_keys[] = {
    KEY(struct name_keys, guest, KEY_TEXT),
    { "process", KEY_IGNORE, 0, NULL },
    { "debug-threads", KEY_IGNORE, 0, NULL },
};

SETTER(set_name)
{
    struct name_keys k = { NULL };

    keyval_read(option, arg, "guest", name_keys, ARRAY_SIZE(name_keys), &k);
    o->name = k.guest;
}

/* What scripts say of the machine where there is only one answer. */
struct machine_keys {
    const char *type, *accel, *vmport, *cpus, *pcspk_audiodev;
    u32 number;
    bool on, hpet, usb, i8042;
};

#define ACCELERATORS "tcg|kvm|hax|hvf|whpx|nvmm"

/* "kvm:tcg": the first that is there. Said once, at the end, when it is known what runs
 * instead. */
static void note_accelerator(struct options *o, const char *option, const char *names)
{
    const char *first = NULL;

    while (names && *names) {
        size_t n = strcspn(names, ":");
        const char *name = keep_format("%.*s", (int)n, names);

        if (!in_choices(name, ACCELERATORS))
            refuse_choice(option, name, ACCELERATORS);
        first = first ? first : name;
        names += n + (names[n] == ':');
    }
    if (first && !strcmp(first, "kvm"))
        o->kvm_asked = true;
    else if (first && strcmp(first, "tcg"))
        o->accelerator = first;
}

static _Noreturn void list_machines(void)
{
    printf("pc                 PC of 1996: Intel 440FX, PIIX3, PIIX4 (default)\n"
           "pc-i440fx-VERSION  the same, whatever the version\n"
           "isapc              PC without PCI, ACPI, HPET and APIC; its CPU is a 486 unless -cpu says\n");
    exit(0);
}

static void check_machine(struct options *o, const char *option, const char *type)
{
    if (!type || in_choices(type, "pc|isapc") || !strncmp(type, "pc-i440fx-", 10) ||
        !strncmp(type, "pc-1.", 5) || !strncmp(type, "pc-0.", 5))
        return;
    if (in_choices(type, "microvm|none"))
        die("%s: %s is not there: pc (Intel 440FX) and isapc are", option, type);
    if (!strcmp(type, "q35") || !strncmp(type, "pc-q35-", 7)) {
        note_once(o,
                  keep_format("%s %s: not there: pc (Intel 440FX) is instead", option, type));
        return;
    }
    refuse_choice(option, type, "pc|isapc|pc-i440fx-7.2");
}

SETTER(set_no_acpi)
{
    o->no_acpi = true;
}

SETTER(set_machine)
{
    static const struct key_row rows[] = {
        KEY(struct machine_keys, type, KEY_TEXT),
        KEY(struct machine_keys, accel, KEY_TEXT),
        {"usb", KEY_BOOL, offsetof(struct machine_keys, usb), NULL},
        {"vmport", KEY_IGNORE, 0, NULL},
        {"hpet", KEY_BOOL, offsetof(struct machine_keys, hpet), NULL},
        {"acpi", KEY_BOOL, offsetof(struct machine_keys, on), NULL},
        {"graphics", KEY_IGNORE, 0, NULL},
        {"smm", KEY_IGNORE, 0, NULL}, /* SeaBIOS needs none here */
        {"i8042", KEY_BOOL, offsetof(struct machine_keys, i8042), NULL},
        {"kernel_irqchip", KEY_IGNORE, 0, NULL},
        {"kernel-irqchip", KEY_IGNORE, 0, NULL},
        {"dump-guest-core", KEY_IGNORE, 0, NULL},
        {"mem-merge", KEY_IGNORE, 0, NULL},
        {"suppress-vmdesc", KEY_IGNORE, 0, NULL},
        {"max-ram-below-4g", KEY_IGNORE, 0, NULL},
        {"default_bus_bypass_iommu", KEY_IGNORE, 0, NULL},
        {"sata", KEY_IGNORE, 0, NULL}, /* of Q35 */
        {"smbus", KEY_IGNORE, 0, NULL},
        {"pit", KEY_CHOICE, offsetof(struct machine_keys, vmport), "on"},
        {"pic", KEY_CHOICE, offsetof(struct machine_keys, vmport), "on"},
        {"memory-backend", KEY_IGNORE, 0, NULL},
        {"nvdimm", KEY_CHOICE, offsetof(struct machine_keys, vmport), "off"},
        {"pcspk-audiodev", KEY_TEXT, offsetof(struct machine_keys, pcspk_audiodev), NULL},
    };
    struct machine_keys k = {.pcspk_audiodev = o->pcspk_audiodev,
                             .i8042 = true,
                             .on = !o->no_acpi,
                             .hpet = !o->no_hpet};

    if (in_choices(arg, "help|?"))
        list_machines();
    keyval_read(option, arg, "type", rows, ARRAY_SIZE(rows), &k);
    check_machine(o, option, k.type);
    if (k.type)
        o->isapc = !strcmp(k.type, "isapc");
    o->no_acpi = !k.on;
    o->no_hpet = !k.hpet;
    o->pcspk_audiodev = k.pcspk_audiodev;
    if (!k.i8042)
        note_once(o, keep_format("%s i8042=off: the keyboard is there", option));
    if (k.usb)
        absent_option(o, "usb", &k.usb);
    note_accelerator(o, option, k.accel);
}

SETTER(set_accel)
{
    static const struct key_row rows[] = {
        KEY(struct machine_keys, accel, KEY_TEXT),
        {"thread", KEY_IGNORE, 0, NULL},
        {"tb-size", KEY_IGNORE, 0, NULL},
        {"split-wx", KEY_IGNORE, 0, NULL},
        {"one-insn-per-tb", KEY_BOOL, offsetof(struct machine_keys, on), NULL},
    };
    struct machine_keys k = {.on = o->one_insn};

    keyval_read(option, arg, "accel", rows, ARRAY_SIZE(rows), &k);
    o->one_insn = k.on;
    note_accelerator(o, option, k.accel);
}

SETTER(set_smp)
{
    struct smp_keys {
        u32 cpus, sockets, dies, clusters, cores, threads, maxcpus;
    };
    static const struct key_row rows[] = {
        KEY(struct smp_keys, cpus, KEY_U32),    KEY(struct smp_keys, sockets, KEY_U32),
        KEY(struct smp_keys, dies, KEY_U32),    KEY(struct smp_keys, clusters, KEY_U32),
        KEY(struct smp_keys, cores, KEY_U32),   KEY(struct smp_keys, threads, KEY_U32),
        KEY(struct smp_keys, maxcpus, KEY_U32),
    };
    struct smp_keys k = {1, 1, 1, 1, 1, 1, 1};

    keyval_read(option, arg, "cpus", rows, ARRAY_SIZE(rows), &k);
    if (!k.cpus || !k.sockets || !k.dies || !k.clusters || !k.cores || !k.threads)
        die("%s: '%s': a number from 1", option, arg);
    if (k.cpus > 1 || k.sockets > 1 || k.dies > 1 || k.clusters > 1 || k.cores > 1 ||
        k.threads > 1)
        note_once(o, "-smp: the guest has one processor");
}

struct boot_keys {
    const char *order, *once;
    bool menu, strict;
};
static const struct key_row boot_keys[] = {
    KEY(struct boot_keys, order, KEY_TEXT),
    KEY(struct boot_keys, once, KEY_TEXT),
    KEY(struct boot_keys, menu, KEY_BOOL),
    KEY(struct boot_keys, strict, KEY_BOOL),
    { "splash", KEY_IGNORE, 0, NULL },
    { "splash-time", KEY_IGNORE, 0, NULL },
    { "reboot-timeout", KEY_IGNORE, 0, NULL },
};

static void take_order(const char *option, const char *text, char order[5])
{
    u32 n = 0;

    memset(order, 0, 5);
    for (const char *p = text; *p; p++) {
        if (!strchr("acdn", *p) || strchr(order, *p))
            die("%s: '%s': letters of a (floppy), c (hard disk), d (CD), n (network), each once", option,
                text);
        order[n++] = *p;
    }
    if (!n)
        die("%s: an order without a letter: a (floppy), c (hard disk), d (CD), n (network)", option);
}

SETTER(set_boot)
{
    struct boot_keys k = { NULL };

    keyval_read(option, arg, "order", boot_keys, ARRAY_SIZE(boot_keys), &k);
    if (k.order)
        take_order(option, k.order, o->boot);
    if (k.once)
        take_order(option, k.once, o->boot_once);
    o->boot_menu = k.menu;
}

/* ---- SMBIOS ---- */

SETTER(set_smbios)
{
    static const struct smbios_key {
        u8 type, offset;
        const char *name;
    } keys[] = {
        { 0, 4, "vendor" },  { 0, 5, "version" }, { 0, 8, "date" },   { 1, 4, "manufacturer" },
        { 1, 5, "product" }, { 1, 6, "version" }, { 1, 7, "serial" }, { 1, 8, "uuid" },
        { 1, 25, "sku" },    { 1, 26, "family" },
    };
    const char *type, *text, *list = keyval_take(arg, "type", &type);
    u32 number;

    if (type && in_choices(type, "2|3|4|8|9|11|16|17|32|41")) {
        note_once(o, keep_format("%s type=%s: left out: only types 0 and 1 can be told", option,
                                 type));
        return;
    }
    if (!type || !parse_u32(type, &number) || number > 1)
        die("%s: wants type=0 (vendor=, version=, date=) or type=1 (manufacturer=, product=, "
            "version=, "
            "serial=, uuid=, sku=, family=)",
            option);
    for (u32 i = 0; i < ARRAY_SIZE(keys); i++) {
        if (keys[i].type != number)
            continue;
        list = keyval_take(list, keys[i].name, &text);
        if (text && o->smbios_texts == MAX_SMBIOS_TEXTS)
            die("%s: more than %d texts", option, MAX_SMBIOS_TEXTS);
        if (text)
            o->smbios[o->smbios_texts++] =
                (struct smbios_text){keys[i].type, keys[i].offset, text};
    }
    if (*list)
        die("%s: type=%u has no '%s'", option, number, list);
}

/* ---- For the firmware ---- */

static void add_path(const char *option, const char **paths, u32 *n, const char *arg)
{
    if (*n == MAX_PATHS)
        die("%s: %s: at most %u of them", option, arg, MAX_PATHS);
    paths[(*n)++] = arg;
}

SETTER(set_firmware_path)
{
    if (access(arg, X_OK))
        die("%s: firmware folder %s: %s", option, arg, strerror(errno));
    add_path(option, o->firmware_path, &o->firmware_paths, arg);
}

SETTER(set_option_rom)
{
    static const struct key_row rows[] = { { "romfile", KEY_TEXT, 0, NULL },
                                           { "bootindex", KEY_IGNORE, 0, NULL } };
    const char *path = NULL;

    keyval_read(option, arg, "romfile", rows, ARRAY_SIZE(rows), &path);
    add_path(option, o->option_rom, &o->option_roms, path ? path : "");
}

SETTER(set_fw_cfg)
{
    struct fw_cfg_keys {
        const char *name, *file, *string;
    } k = { NULL };
    static const struct key_row rows[] = { KEY(struct fw_cfg_keys, name, KEY_TEXT),
                                           KEY(struct fw_cfg_keys, file, KEY_TEXT),
                                           KEY(struct fw_cfg_keys, string, KEY_TEXT) };

    keyval_read(option, arg, "name", rows, ARRAY_SIZE(rows), &k);
    if (!k.name || !k.file == !k.string)
        die("%s: wants name=NAME and one of file= and string=", option);
    if (strlen(k.name) > 55)
        die("%s: name=%s: has more than 55 letters", option, k.name);
    if (strncmp(k.name, "opt/", 4))
        warn("%s: name=%s: names of users' items begin with opt/", option, k.name);
    if (o->fw_cfgs == MAX_FW_CFGS)
        die("%s: at most %u of them", option, MAX_FW_CFGS);
    o->fw_cfg[o->fw_cfgs].name = k.name;
    o->fw_cfg[o->fw_cfgs].file = k.file;
    o->fw_cfg[o->fw_cfgs++].text = k.string;
}

/* ---- Screen ---- */

struct vnc_keys {
    const char *where, *websocket;
    bool password;
    u32 to;
};
static const struct key_row vnc_keys[] = {
    KEY(struct vnc_keys, where, KEY_TEXT),
    KEY(struct vnc_keys, password, KEY_BOOL),
    {"to", KEY_U32, offsetof(struct vnc_keys, to), NULL, .max = 65535 - 5900},
    KEY(struct vnc_keys, websocket, KEY_TEXT),
    {"share", KEY_CHOICE, offsetof(struct vnc_keys, where), "force-shared"},
    {"lossy", KEY_IGNORE, 0, NULL},
    {"non-adaptive", KEY_IGNORE, 0, NULL},
};

/* Without -display, no window comes as well. */
SETTER(set_vnc)
{
    const struct key_row *share = &vnc_keys[4];
    struct vnc_keys k = { NULL };
    const char *rest = keyval_take(arg, share->name, &k.where);

    if (k.where && strcmp(k.where, share->choices))
        refuse_choice(keep_format("%s share:", option), k.where, share->choices);
    k.where = NULL;
    keyval_read(option, rest, "where", vnc_keys, ARRAY_SIZE(vnc_keys), &k);
    if (!k.where)
        die("%s: wants [HOST]:DISPLAY (port 5900 + DISPLAY), unix:PATH or none", option);
    o->vnc = strcmp(k.where, "none") ? k.where : NULL;
    o->vnc_password = k.password;
    o->vnc_to = k.to;
    o->vnc_websocket = k.websocket && strcmp(k.websocket, "off") ? k.websocket : NULL;
}

SETTER(set_vga)
{
    const char *instead = absent_vga(o, arg);

    if (!instead && !in_choices(arg, "std|cirrus|none"))
        refuse_choice(option, arg, "std|cirrus|none");
    o->vga = instead ? instead : arg;
}

SETTER(set_keyboard_layout)
{
    layout_check(option, arg);
    o->keyboard_layout = arg;
}

struct display_keys {
    const char *type, *scale;
    bool full_screen, ignored;
};
static const struct key_row display_keys[] = {
    KEY(struct display_keys, type, KEY_TEXT),
    {"scale", KEY_CHOICE, offsetof(struct display_keys, scale), "sharp|nearest|linear"},
    {"full-screen", KEY_BOOL, offsetof(struct display_keys, full_screen), NULL},
    {"gl", KEY_IGNORE, 0, NULL},
    {"show-cursor", KEY_IGNORE, 0, NULL},
    {"window-close", KEY_IGNORE, 0, NULL},
    {"window_close", KEY_IGNORE, 0, NULL},
    {"charset", KEY_IGNORE, 0, NULL},
    /* what takes and gives back the mouse is ring3's own: Ctrl+Alt+G */
    {"alt_grab", KEY_IGNORE, 0, NULL},
    {"ctrl_grab", KEY_IGNORE, 0, NULL},
    {"grab-mod", KEY_IGNORE, 0, NULL},
    {"grab-on-hover", KEY_IGNORE, 0, NULL},
    {"zoom-to-fit", KEY_IGNORE, 0, NULL},
    {"show-menubar", KEY_IGNORE, 0, NULL},
    {"show-tabs", KEY_IGNORE, 0, NULL},
    {"clipboard", KEY_IGNORE, 0, NULL},
};

static _Noreturn void refuse_display(const char *option, const char *name)
{
    const char *names[16];
    u32 n = 0;

    for (; displays[n] && n < ARRAY_SIZE(names) - 1; n++)
        names[n] = displays[n]->name;
    names[n++] = "none";
    refuse_name(option, name, names, sizeof(names[0]), n);
}

SETTER(set_curses)
{
    set_display(o, option, "curses");
}

SETTER(set_display)
{
    struct display_keys k = { NULL };

    if (!strncmp(arg, "vnc=", 4)) {
        set_vnc(o, option, arg + 4);
        o->display_set = true;
        o->display = NULL;
        return;
    }
    keyval_read(option, arg, "type", display_keys, ARRAY_SIZE(display_keys), &k);
    o->full_screen |= k.full_screen;
    if (k.scale)
        o->scaling = !strcmp(k.scale, "linear")    ? SCALE_LINEAR
                     : !strcmp(k.scale, "nearest") ? SCALE_NEAREST
                                                   : SCALE_SHARP;
    if (k.type &&
        in_choices(k.type, "gtk|cocoa|spice-app|default")) { /* a window, by whatever library */
        o->display_set = false;
        return;
    }
    if (k.type && in_choices(k.type, "egl-headless|dbus"))
        k.type = "none";
    o->display_set = k.type;
    o->display = k.type ? display_named(k.type) : NULL;
    if (k.type && !o->display && strcmp(k.type, "none"))
        refuse_display(option, k.type);
    if (k.type && !strcmp(k.type, "vnc"))
        die("%s: vnc: wants =[HOST]:DISPLAY or =unix:PATH", option);
}

/* ---- Serial ports, debug ports, control socket ---- */

/* "vc", "vc:80Cx25C" */
static bool is_console(const char *arg)
{
    return !strncmp(arg, "vc", 2) && (!arg[2] || arg[2] == ':');
}

/* Refuses what chardev_new() would not know. */
static const char *target(const char *option, const char *arg)
{
    const char *names[20];
    u32 n = 0;

    if (!strncmp(arg, "/dev/", 5))
        arg = keep_format("tty:%s", arg);
    if (is_console(arg)) /* a second screen of QEMU's window: nobody looks at it here */
        return "null";
    if (char_monitored(arg) && !char_kind_of(arg) && char_kind_of(arg + 4))
        die("%s: '%s': nobody could type there", option, arg);
    if (char_kind_of(arg) || (!strncmp(arg, "chardev:", 8) && arg[8]))
        return arg;
    for (; char_kinds[n] && n < ARRAY_SIZE(names) - 2; n++) {
        const struct char_kind *k = char_kinds[n];

        names[n] = keep_format("%s%s", k->name, k->argument ? k->argument : "");
    }
    names[n++] = "mon:TARGET";
    names[n++] = "chardev:ID";
    refuse_name(option, arg, names, sizeof(names[0]), n);
}

static void add_serial(struct options *o, const char *option, const char *where)
{
    u32 n = 0;

    while (n < MAX_SERIAL && o->serial[n])
        n++;
    if (n == MAX_SERIAL)
        die("%s: there are %d serial ports", option, MAX_SERIAL);
    o->serial[n] = where;
}

SETTER(set_serial)
{
    add_serial(o, option, target(option, arg));
}

SETTER(set_monitor)
{
    o->monitor = in_choices(arg, "none|null") || is_console(arg) ? NULL : target(option, arg);
    if (char_monitored(arg))
        die("%s: '%s': nobody could type there", option, arg);
}

SETTER(set_parallel)
{
    o->parallel = strcmp(arg, "none") ? target(option, arg) : NULL;
}

SETTER(set_debugcon)
{
    *device_reference(add_device(o, option, &debugcon_user_device), KEY_CHARDEV) =
        target(option, arg);
}

/* -chardev: names for targets, looked up at the end as "chardev:ID". */
struct chardev_keys {
    const char *backend, *id, *path, *logfile, *host, *port;
    const char *localaddr, *localport, *size, *reconnect;
    bool server, wait, nowait, telnet, mux, ignored, logappend;
};

static const struct key_row chardev_keys[] = {
    KEY(struct chardev_keys, backend, KEY_TEXT),
    KEY(struct chardev_keys, id, KEY_TEXT),
    KEY(struct chardev_keys, path, KEY_TEXT),
    KEY(struct chardev_keys, server, KEY_BOOL),
    KEY(struct chardev_keys, wait, KEY_BOOL),
    KEY(struct chardev_keys, nowait, KEY_BOOL),
    KEY(struct chardev_keys, host, KEY_TEXT),
    KEY(struct chardev_keys, port, KEY_TEXT),
    KEY(struct chardev_keys, telnet, KEY_BOOL),
    KEY(struct chardev_keys, reconnect, KEY_TEXT),
    KEY(struct chardev_keys, localaddr, KEY_TEXT), /* of udp */
    KEY(struct chardev_keys, localport, KEY_TEXT),
    KEY(struct chardev_keys, size, KEY_TEXT), /* of ringbuf */
    {"nodelay", KEY_IGNORE, 0, NULL},
    {"delay", KEY_IGNORE, 0, NULL},
    {"ipv4", KEY_IGNORE, 0, NULL},
    {"width", KEY_IGNORE, 0, NULL}, /* of vc */
    {"height", KEY_IGNORE, 0, NULL},
    {"cols", KEY_IGNORE, 0, NULL},
    {"rows", KEY_IGNORE, 0, NULL},
    {"mux", KEY_BOOL, offsetof(struct chardev_keys, mux), NULL},
    {"signal", KEY_BOOL, offsetof(struct chardev_keys, ignored), NULL},
    {"append", KEY_BOOL, offsetof(struct chardev_keys, ignored), NULL},
    KEY(struct chardev_keys, logfile, KEY_TEXT),
    KEY(struct chardev_keys, logappend, KEY_BOOL),
};

static const struct char_kind *chardev_kind(const char *option, const char *name)
{
    const char *names[16];
    u32 n = 0;

    for (u32 i = 0; char_kinds[i] && n < ARRAY_SIZE(names); i++) {
        if (!char_kinds[i]->chardev)
            continue;
        if (!strcmp(char_kinds[i]->chardev, name))
            return char_kinds[i];
        names[n++] = char_kinds[i]->chardev;
    }
    refuse_name(option, name, names, sizeof(names[0]), n);
}

static const char *udp_target(const struct chardev_keys *k, const char *option)
{
    if (!k->port)
        die("%s: udp: port= is missing", option);
    return keep_format("udp:%s:%s@%s:%s", k->host ? k->host : "", k->port,
                       k->localaddr ? k->localaddr : "", k->localport ? k->localport : "0");
}

static const char *socket_target(const struct chardev_keys *k, const char *option)
{
    const char *words =
        k->server      ? k->wait && !k->nowait ? ",server=on,wait=on" : ",server=on,wait=off"
        : k->reconnect ? keep_format(",reconnect=%s", k->reconnect)
                       : "";

    if (!k->port && !k->path)
        die("%s: socket: wants path= or port=", option);
    if (k->path)
        return keep_format("unix:%s%s", k->path, words);
    return keep_format("%s:%s:%s%s", k->telnet ? "telnet" : "tcp", k->host ? k->host : "",
                       k->port, words);
}

/* As -serial would spell it, but for mon:. */
static const char *chardev_plain_target(const struct chardev_keys *k, const char *option)
{
    const struct char_kind *kind;

    if (!strcmp(k->backend, "vc"))
        return "null";
    if (!strcmp(k->backend, "tty") && k->path)
        return keep_format("tty:%s", k->path);
    if (!strcmp(k->backend, "udp"))
        return udp_target(k, option);
    if (in_choices(k->backend, "ringbuf|memory"))
        return keep_format("ringbuf:%s", k->size ? k->size : "65536");
    if (!strcmp(k->backend, "socket"))
        return socket_target(k, option);
    kind = chardev_kind(option, k->backend);
    if (kind->path && !k->path)
        die("%s: path= is missing", option);
    return keep_format("%s%s", kind->name, kind->path ? k->path : "");
}

static const char *chardev_target(const struct chardev_keys *k, const char *option)
{
    const char *plain = chardev_plain_target(k, option);

    return k->mux && char_kind_of(plain)->typed ? keep_format("mon:%s", plain) : plain;
}

SETTER(set_chardev)
{
    struct chardev_keys k = { .wait = true };
    u32 n = 0;

    keyval_read(option, arg, "backend", chardev_keys, ARRAY_SIZE(chardev_keys), &k);
    if (!k.backend || !k.id)
        die("%s: wants TYPE,id=ID: file, stdio, socket, udp, pty, ringbuf, msmouse or null",
            option);
    while (n < MAX_CHARDEVS && o->chardev[n].id && strcmp(o->chardev[n].id, k.id))
        n++;
    if (n == MAX_CHARDEVS || o->chardev[n].id)
        die("%s: id=%s: %s", option, k.id, n == MAX_CHARDEVS ? "too many" : "used twice");
    o->chardev[n].id = k.id;
    o->chardev[n].target = chardev_target(&k, option);
    o->chardev[n].log = k.logfile;
    o->chardev[n].log_append = k.logappend;
}

/* The device's character back end: a target, no name of one. */
static void resolve_device(const struct options *o, struct device_options *d)
{
    const char **where = device_reference(d, KEY_CHARDEV);

    if (where)
        *where = chardev_resolve(o, *where);
}

struct qmp_keys {
    const char *address;
    bool server, wait;
};
static const struct key_row qmp_keys[] = {
    KEY(struct qmp_keys, address, KEY_TEXT), KEY(struct qmp_keys, server, KEY_BOOL),
    KEY(struct qmp_keys, wait, KEY_BOOL),    {"nowait", KEY_IGNORE, 0, NULL},
    {"nodelay", KEY_IGNORE, 0, NULL},
};

static bool is_qmp_target(const char *where)
{
    return !strcmp(where, "stdio") || (!strncmp(where, "unix:", 5) && where[5]) ||
           (!strncmp(where, "tcp:", 4) && where[4]);
}

/* QEMU would have as many as are asked for. */
static void set_qmp_place(struct options *o, const char *option, const char *where)
{
    if (o->qmp)
        die("%s: there is one QMP server, and it has been given: a second is not here", option);
    o->qmp = where;
}

SETTER(set_qmp)
{
    struct qmp_keys k = { .wait = true };

    keyval_read(option, arg, "address", qmp_keys, ARRAY_SIZE(qmp_keys), &k);
    if (!k.address || !is_qmp_target(k.address))
        die("%s: '%s': only unix:PATH,server=on,wait=off, tcp:HOST:PORT,… or stdio", option,
            arg);
    set_qmp_place(o, option, k.address);
    o->qmp_server = k.server;
    o->qmp_wait = k.wait && !strstr(arg, ",nowait");
}

/* libvirt's way: a QMP server or monitor on a -chardev, which finish_mon() looks up. */
SETTER(set_mon)
{
    struct mon_keys {
        const char *chardev, *mode, *id;
        bool pretty;
    } k = { .mode = "readline" };
    static const struct key_row rows[] = {
        KEY(struct mon_keys, chardev, KEY_TEXT),
        { "mode", KEY_CHOICE, offsetof(struct mon_keys, mode), "readline|control" },
        KEY(struct mon_keys, id, KEY_TEXT),
        { "pretty", KEY_IGNORE, 0, NULL },
    };

    keyval_read(option, arg, "chardev", rows, ARRAY_SIZE(rows), &k);
    if (!k.chardev)
        die("%s: chardev= is missing", option);
    if (!strcmp(k.mode, "control"))
        set_qmp_place(o, option, keep_format("chardev:%s", k.chardev));
    else
        o->monitor = keep_format("chardev:%s", k.chardev);
}

/* A serial port and the monitor on one -chardev with mux=on: that is mon:, whose monitor
 * is behind Ctrl+A. */
static void finish_mux(struct options *o)
{
    for (u32 i = 0; o->monitor && i < MAX_SERIAL; i++)
        if (o->serial[i] && !strncmp(o->monitor, "chardev:", 8) &&
            !strcmp(o->serial[i], o->monitor) && char_monitored(chardev_resolve(o, o->monitor)))
            o->monitor = NULL;
}

/* "unix:PATH,server=on,wait=off" of a -chardev, parted as -qmp's own is. */
static void finish_mon(struct options *o)
{
    const char *target = chardev_resolve(o, o->qmp), *options;

    if (target == o->qmp)
        return;
    for (u32 i = 0; i < MAX_CHARDEVS && o->chardev[i].id; i++)
        o->chardev[i].qmp = o->chardev[i].target == target;
    if (!is_qmp_target(target))
        die("-mon: QMP needs a -chardev socket or stdio, not %s", target);
    options = strchr(target, ',');
    o->qmp_server = options && strstr(options, "server=on");
    o->qmp_wait = options && strstr(options, "wait=on");
    if (options && strstr(options, "reconnect="))
        die("-mon: QMP connects once: no reconnect=");
    o->qmp = options ? keep_format("%.*s", (int)(options - target), target) : target;
}

/* QEMU enforces server=on,wait=off,nodelay=on of TCP, and takes the words. */
SETTER(set_gdb)
{
    static const struct key_row rows[] = {
        KEY(struct qmp_keys, address, KEY_TEXT), KEY(struct qmp_keys, server, KEY_BOOL),
        KEY(struct qmp_keys, wait, KEY_BOOL),    { "nowait", KEY_IGNORE, 0, NULL },
        { "nodelay", KEY_IGNORE, 0, NULL },
    };
    struct qmp_keys k = { .server = true };
    const char *address;

    keyval_read(option, arg, "address", rows, ARRAY_SIZE(rows), &k);
    address = k.address ? k.address : "";
    o->gdb = NULL;
    if (!strcmp(address, "none"))
        return;
    if ((strncmp(address, "tcp:", 4) || !address[4]) &&
        (strncmp(address, "unix:", 5) || !address[5]))
        die("%s: '%s': only tcp:HOST:PORT or unix:PATH", option, arg);
    if (!k.server)
        die("%s: only server=on: the debugger connects to ring3", option);
    o->gdb = address;
    o->gdb_wait = k.wait;
}

SETTER(set_gdb_port)
{
    o->gdb = "tcp::1234";
}

/* ---- ring3's own ---- */

/* The words behind an engine's name, each KEY=VALUE. */
static void read_switches(struct options *o, const char *option, char *list)
{
    for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) {
        char *value = strchr(word, '=');
        const char *wanted;

        if (!o->engine->set_switch)
            die("%s: '%s': %s has no switches", option, word, o->engine->name);
        if (value)
            *value++ = 0;
        wanted = o->engine->set_switch(&o->switches, word, value ? value : "");
        if (wanted)
            die("%s: '%s%s%s' is not known: it takes %s", option, word, value ? "=" : "",
                value ? value : "", wanted);
    }
}

SETTER(set_engine)
{
    char *name = keep_format("%s", arg), *list = strchr(name, ',');

    if (list)
        *list++ = 0;
    o->engine = engine_named(name);
    if (!o->engine)
        refuse_choice(option, name, "bt|trap|interp");
    o->switches = (struct engine_switches){0};
    if (list)
        read_switches(o, option, list);
}

SETTER(set_user)
{
    static const char *const names[] = {[USER_AUTO] = "auto", [USER_DIRECT] = "direct", [USER_BT] = "bt"};

    for (u32 i = 0; i < ARRAY_SIZE(names); i++)
        if (!strcmp(arg, names[i])) {
            o->user = i;
            return;
        }
    refuse_choice(option, arg, "auto|direct|bt");
}

SETTER(set_host_model)
{
    if (strcmp(arg, "auto") && strcmp(arg, "plain"))
        refuse_choice(option, arg, "auto|plain");
    o->plain_host = !strcmp(arg, "plain");
}

static void list_channels(void)
{
#define CHANNEL(id, name, help) printf("%-6s %s\n", name, help);
#include "runtime/base/trace.def"
#undef CHANNEL
    exit(0);
}

SETTER(set_trace)
{
    static const char *const names[] = {
#define CHANNEL(id, name, help) name,
#include "runtime/base/trace.def"
#undef CHANNEL
    };
    const char *unknown;

    if (!strcmp(arg, "help"))
        list_channels();
    if (!strncmp(arg, "events=", 7) || !strncmp(arg, "enable=", 7) ||
        !strncmp(arg, "file=", 5)) {
        note_once(o, "-trace: QEMU's events are not here; --trace help lists ring3's channels");
        return;
    }
    unknown = trace_enable(arg);
    if (unknown)
        refuse_name(option, unknown, names, sizeof(names[0]), ARRAY_SIZE(names));
    o->trace = arg;
}

SETTER(set_debuglog)
{
    if (in_choices(arg, "help|?")) {
        debuglog_list(stdout);
        exit(0);
    }
    for (const char *item = arg; *item;) {
        size_t n = strcspn(item, ",");
        const char *name = keep_format("%.*s", (int)n, item);

        if (debuglog_enable(name) && !absent_log_item(o, item, n))
            refuse_name(option, name, debuglog_names, sizeof(debuglog_names[0]),
                        DEBUGLOG_NAMES);
        item += n + (item[n] == ',');
    }
}

SETTER(set_debuglog_file)
{
    if (!debuglog_open(arg))
        die("%s: %s: %s", option, arg, strerror(errno));
}

/* Lines at less than a hundredth of a second would measure themselves. */
SETTER(set_stats_interval)
{
    char *end;
    double seconds = strtod(arg, &end);

    if (end == arg || *end || !(seconds >= 0.01 && seconds <= 86400))
        die("%s: '%s': seconds from 0.01 to 86400", option, arg);
    o->stats_interval = (u64)(seconds * 1e9);
}

SETTER(set_tc_size)
{
    if (!parse_size(arg, MIB(1), &o->tc_size) || o->tc_size < PAGE_SIZE || o->tc_size > GIB(1))
        die("%s: '%s': a size from 4K to 1G", option, arg);
    if (o->tc_size < MIB(4))
        warn("%s: '%s': a cache of %llu KiB is emptied all the time", option, arg,
             (unsigned long long)o->tc_size >> 10);
}

SETTER(set_tc_reuse)
{
    if (!parse_u32(arg, &o->tc_reuse) || !o->tc_reuse || o->tc_reuse > 65536)
        die("%s: '%s': one TU in how many, 1 to 65536", option, arg);
}

SETTER(set_dump_tc)
{
    struct dump_keys {
        const char *file;
        bool listing;
    } k = {0};
    static const struct key_row keys[] = {
        KEY(struct dump_keys, file, KEY_TEXT),
        KEY(struct dump_keys, listing, KEY_BOOL),
    };

    keyval_read(option, arg, "file", keys, ARRAY_SIZE(keys), &k);
    if (!k.file || !*k.file)
        die("%s: '%s': FILE,listing=on", option, arg);
    o->dump_tc = k.file;
    o->dump_tc_listing = k.listing;
}

/* The map is made where listings are (bt/dump.c), so it is a channel. */
SETTER(set_perf_map)
{
    trace_enable("perf");
}

SETTER(set_gdb_jit)
{
    trace_enable("jit");
}

/* ---- Defaults that depend on the rest ---- */

static bool is_terminal(const char *where)
{
    return where && char_kind_of(where)->terminal;
}

/* -chardev stdio that is none of the users below is one itself. */
static u32 spare_terminals(const struct options *o)
{
    u32 spare = 0;

    for (u32 i = 0; i < MAX_CHARDEVS && o->chardev[i].id; i++) {
        const char *target = o->chardev[i].target;
        bool used = !is_terminal(target) || o->chardev[i].qmp || target == o->monitor ||
                    target == o->parallel;

        for (u32 k = 0; k < MAX_SERIAL; k++)
            used |= target == o->serial[k];
        for (struct device_options *d = o->devices; d; d = d->next)
            used |=
                device_reference(d, KEY_CHARDEV) && target == *device_reference(d, KEY_CHARDEV);
        spare += !used;
    }
    return spare;
}

/* Two owners of one terminal would tear each line apart. */
static void check_terminal(const struct options *o)
{
    u32 users = (o->display && o->display->terminal) + spare_terminals(o);

    for (u32 i = 0; i < MAX_SERIAL; i++)
        users += is_terminal(o->serial[i]);
    users += is_terminal(o->monitor);
    users += is_terminal(o->parallel);
    users += o->qmp && !strcmp(o->qmp, "stdio");
    for (struct device_options *d = o->devices; d; d = d->next)
        users +=
            d->row == &isa_serial_user_device && is_terminal(*device_reference(d, KEY_CHARDEV));
    if (users > 1)
        die("the terminal can serve one of -display curses, -serial stdio, -monitor stdio and "
            "-qmp stdio");
}

SETTER(set_escape)
{
    if (!parse_u32(arg, &o->escape) || !o->escape || o->escape > 31)
        die("%s: '%s': a control character's number, 1 (Ctrl+A) to 31", option, arg);
}

/* Rather now than when the run is over. */
static void check_writable(const char *option, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);

    if (fd < 0)
        die("%s %s: %s", option, path, strerror(errno));
    close(fd);
}

static void check_daemon(const struct options *o)
{
    bool terminal = o->nographic || (o->display && o->display->terminal) || is_terminal(o->monitor) ||
                    (o->qmp && !strcmp(o->qmp, "stdio"));

    for (u32 i = 0; i < MAX_SERIAL; i++)
        terminal |= is_terminal(o->serial[i]);
    if (o->daemonize && terminal)
        die("-daemonize: not with what needs the terminal (-nographic, stdio, curses)");
}

/* -speed: a number of megahertz is one of the CPU that the guest sees. */
static void finish_speed(struct options *o)
{
    const struct cpu_model *m = cpu_models;

    if (!o->speed)
        return;
    if (!strcmp(o->speed, "help")) {
        speed_list(stdout);
        exit(0);
    }
    while (o->cpu && m->name && strcmp(m->name, o->cpu))
        m++;
    if (!speed_parse(o->speed, m->name ? m->signature >> 8 & 15 : 6, &o->speed_permille, &o->speed_rate))
        die("-speed %s: wants 50%%, 66MHz, or a machine like \"486DX2-66\"; -speed help lists them", o->speed);
    if (o->deterministic)
        die("-speed: not with -deterministic, whose time is what runs");
    if (o->speed_rate && !o->engine->insns)
        die("-speed %s: -engine %s does not count instructions: only a share, like 50%%", o->speed,
            o->engine->name);
    o->tc_count |= o->speed_rate != 0;
}

/* What the board cannot have, and its usual processor. */
static void finish_isapc(struct options *o)
{
    if (!o->isapc)
        return;
    o->no_acpi = o->no_hpet = true;
    if (!o->cpu)
        o->cpu = "486";
}

/* What the devices' own options have not used. */
static void finish_globals(struct options *o)
{
    finish_global_devices(o);
    for (u32 i = 0; i < o->globals; i++)
        if (!o->global[i].used)
            note_once(o,
                      keep_format(
                          "-global %s.%s: no such device or property here; it changes nothing",
                          o->global[i].driver, o->global[i].item));
}

void options_finish(struct options *o)
{
    finish_isapc(o);
    if (!o->cpu)
        o->cpu = "p6";
    finish_globals(o);
    finish_speed(o);
    if (o->deterministic && o->cpu_on & FEATURE_BIT(FEAT_RDRAND))
        die("-deterministic: no +rdrand, whose numbers are others each time");
    finish_mux(o);
    for (u32 i = 0; i < MAX_SERIAL; i++)
        o->serial[i] = chardev_resolve(o, o->serial[i]);
    for (struct device_options *d = o->devices; d; d = d->next)
        resolve_device(o, d);
    o->monitor = chardev_resolve(o, o->monitor);
    o->parallel = chardev_resolve(o, o->parallel);
    finish_mon(o);
    place_drives(o);
    if (o->nographic && !o->serial[0] && !wants_device(o, &ns16550_class))
        o->serial[0] = o->monitor ? "stdio" : "mon:stdio";
    if (!o->display_set && !o->nographic && !o->vnc)
        o->display = display_default();
    o->windowed = o->display && o->display->window;
    check_terminal(o);
    network_finish(o);
    if (debuglog_on(DEBUGLOG_INT)) /* what translated code does without C would not be logged */
        o->switches.no_memo = true;
    if (execlog_on()) /* each unit ends in C */
        o->switches.no_memo = o->switches.no_chain = o->switches.no_returns =
            o->switches.no_thunks = true;
    if (o->one_insn)
        o->switches.max_insns = 1;
    if (o->kvm_asked)
        o->accelerator = "KVM";
    if (o->accelerator)
        warn("no %s is used: %s runs the guest", o->accelerator, o->engine->help);
    check_daemon(o);
    if (o->stats)
        check_writable("-stats", o->stats);
    if (o->stats_interval && !o->stats)
        die("-stats-interval: only with -stats FILE");
    if (o->flash[1].present && !o->flash[0].present)
        die("-drive if=pflash,unit=1: only with a unit=0, which has the firmware");
    if (o->flash[0].present && o->bios)
        die("-drive if=pflash: firmware is given twice: by -bios, too");
    if (!o->kernel && (o->initrd || *o->append))
        die("%s: only with -kernel", o->initrd ? "-initrd" : "-append");
}
