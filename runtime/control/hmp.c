/*
 * The human monitor's commands (monitor.h), as QEMU's HMP spells them: one row each. Words are
 * separated by blanks; "quotes" hold blanks together, \" and \\ inside them.
 */
#include "runtime/control/hmp.h"
#include "cpu/deliver.h"
#include "cpu/reset.h"
#include "devices/disk.h"
#include "devices/lapic.h"
#include "runtime/base/debuglog.h"
#include "runtime/control/chardev.h"
#include "runtime/control/control.h"
#include "runtime/control/gdb.h"
#include "runtime/control/hmp_info.h"
#include "runtime/control/hotplug.h"
#include "runtime/control/keyqueue.h"
#include "runtime/control/keys.h"
#include "runtime/control/screenshot.h"
#include "runtime/control/vnc_control.h"
#include "runtime/machine/input.h"
#include "runtime/machine/machine.h"
#include "runtime/machine/sampler.h"
#include "runtime/machine/stats.h"
#include "runtime/machine/tcdump.h"
#include "runtime/network/network.h"
#include "runtime/sound/sound.h"
#include "runtime/storage/disk.h"

#include <capstone/capstone.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_WORDS = 16, MAX_LINE = 4096 };

struct hmp {
    struct machine *machine;
    FILE *out; /* what the command says */
    char *words[MAX_WORDS];
    u32 n;     /* words, the command's name included */
    char line[MAX_LINE];
};

static void say(struct hmp *h, const char *fmt, ...) PRINTF(2, 3);
static void say(struct hmp *h, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(h->out, fmt, ap);
    va_end(ap);
}

/* error: NULL, or one line of what went wrong. */
static void report_outcome(struct hmp *h, const char *error)
{
    if (error)
        say(h, "Error: %s\n", error);
}

/* ---- Words and numbers ---- */

/* Takes a word off *p, unquoting it in place; NULL at the end of the line. */
static char *next_word(char **p)
{
    char *in = *p + strspn(*p, " \t"), *out, *word;
    bool quoted = *in == '"';

    if (!*in)
        return NULL;
    in += quoted;
    word = out = in;
    while (*in && (quoted ? *in != '"' : *in != ' ' && *in != '\t')) {
        if (quoted && *in == '\\' && in[1])
            in++;
        *out++ = *in++;
    }
    *p = in + (*in != '\0');
    *out = '\0';
    return word;
}

static void split(struct hmp *h, const char *line)
{
    char *p = h->line, *word;

    snprintf(h->line, sizeof(h->line), "%s", line);
    while (h->n < MAX_WORDS && (word = next_word(&p)))
        h->words[h->n++] = word;
}

/* $eax… $eip, as in QEMU's expressions. */
static bool register_value(const struct vcpu *cpu, const char *name, u64 *val)
{
    static const char *const names[] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi" };

    for (u32 i = 0; i < ARRAY_SIZE(names); i++)
        if (!strcmp(name, names[i])) {
            *val = cpu->gpr[i];
            return true;
        }
    if (!strcmp(name, "pc") || !strcmp(name, "eip")) {
        *val = (u32)(cpu->seg[CS].base + cpu->eip);
        return true;
    }
    return false;
}

/* A number or register, and sums of them: $esp+0x10. */
static bool number(struct hmp *h, const char *text, u64 *val)
{
    int sign = 1;

    for (*val = 0;; text++) {
        char word[32];
        size_t n = strcspn(text, "+-");
        u64 term;
        char *end;

        if (!n || n >= sizeof(word))
            return false;
        memcpy(word, text, n);
        word[n] = '\0';
        if (word[0] == '$') {
            if (!register_value(h->machine->cpu, word + 1, &term))
                return false;
        } else {
            errno = 0;
            term = strtoull(word, &end, 0);
            if (*end || errno)
                return false;
        }
        *val += sign > 0 ? term : 0 - term;
        text += n;
        if (!*text)
            return true;
        sign = *text == '+' ? 1 : -1;
    }
}

static bool want_number(struct hmp *h, u32 i, u64 *val)
{
    if (i < h->n && number(h, h->words[i], val))
        return true;
    say(h, "%s: '%s' is no number\n", h->words[0], i < h->n ? h->words[i] : "");
    return false;
}

/* ---- info ---- */

static void info_registers(struct hmp *h)
{
    char text[8192];

    cpu_print(h->machine->cpu, text, sizeof(text));
    say(h, "%s", text);
}

static void info_status(struct hmp *h)
{
    const char *status = control_status(h->machine);

    if (h->machine->state == RUN_RUNNING || !strcmp(status, "paused"))
        say(h, "VM status: %s\n", status);
    else
        say(h, "VM status: paused (%s)\n", status);
}

static void info_version(struct hmp *h)
{
    say(h, "ring3 %s\n", RING3_VERSION);
}

static void info_name(struct hmp *h)
{
    say(h, "%s\n", h->machine->options->name ? h->machine->options->name : "");
}

static void say_counter(void *h, const char *name, const char *help, u64 val)
{
    say(h, "%-20s %12llu  %s\n", name, (unsigned long long)val, help);
}

static void info_stats(struct hmp *h)
{
    stats_each(h->machine, say_counter, h);
}

static void say_shadow(void *h, const char *name, const char *help, u64 val)
{
    say(h, "  %-15s %11llu\n", name, (unsigned long long)val);
}

static void say_seconds(void *arg, const char *name, double seconds)
{
    say(arg, "  %-15s %11.3f\n", name, seconds);
}

static void info_cages(struct hmp *h)
{
    const struct vcpu *cpu = h->machine->cpu;

    if (cpu->engine->cages_print)
        cpu->engine->cages_print(cpu, h->out);
    else
        say(h, "%s runs all code\n", cpu->engine->help);
}

static void info_tc(struct hmp *h)
{
    struct machine *m = h->machine;

    if (!m->cpu->engine->stats_print) {
        say(h, "the interpreter runs the guest\n");
        return;
    }
    say(h, "Host: %s\n", mmu_host_model(m->mmu));
    m->cpu->engine->stats_print(m->cpu, h->out);
    say(h, "Shadow page tables\n");
    stats_each_of_mmu(m, say_shadow, h);
    if (m->sampler.on)
        say(h, "Seconds\n");
    else
        say(h, "Seconds by activity: counted from now on (from the start with --stats)\n");
    sampler_each(m, say_seconds, h);
    sampler_start(m);
}

static void info_block(struct hmp *h)
{
    struct drive_name drives[DRIVES];

    control_drives(h->machine, drives);
    for (u32 i = 0; i < DRIVES; i++) {
        const struct disk *d = drives[i].disk;
        const char *path = d ? disk_path(d) : NULL;

        if (d)
            say(h, path ? "%s: %s (%s%s)%s\n" : "%s: %s%.0s%.0s%s\n", drives[i].name,
                path ? path : "[not inserted]", path ? disk_format(d) : "",
                d->read_only ? ", read-only" : "", d->locked ? ", locked by the guest" : "");
    }
}

static void info_capture(struct hmp *h)
{
    sound_capture_tell(h->machine, h->out);
}

static void info_audio(struct hmp *h)
{
    sound_tell(h->machine, h->out);
}

static void info_network(struct hmp *h)
{
    network_info(h->machine, h->out);
}

static void say_chardev(void *h, const char *label, const char *target, bool open)
{
    say(h, "%s: filename=%s\n", label, target);
}

static void info_chardev(struct hmp *h)
{
    chardev_each(h->machine, say_chardev, h);
}

static void say_mouse(void *h, const char *name, u32 index, bool current)
{
    say(h, "%c Mouse #%u: %s\n", current ? '*' : ' ', index, name);
}

static void info_mice(struct hmp *h)
{
    control_mice(h->machine, say_mouse, h);
}

static void info_vnc(struct hmp *h)
{
    struct vnc_control *vnc = h->machine->vnc;
    struct vnc_viewer viewers[16];
    u32 n;

    if (!vnc) {
        say(h, "None\n");
        return;
    }
    say(h, "default:\n  Server: %s\n    Auth: %s\n", vnc->where,
        vnc->authenticates ? "vnc" : "none");
    n = vnc->viewers(vnc, viewers, ARRAY_SIZE(viewers));
    for (u32 i = 0; i < n; i++)
        say(h, "  Client: %s%s\n", viewers[i].address, viewers[i].in ? "" : " (not let in)");
}

/* The chips, in the order in which they were put on the board. */
static void info_qtree(struct hmp *h)
{
    for (const struct device *d = h->machine->devices; d; d = d->next)
        say(h, "dev: %s\n", d->class->name);
}

static void info_speed(struct hmp *h)
{
    speed_tell(h->machine, h->out);
}

static void info_mem(struct hmp *h)
{
    hmp_info_mem(h->machine, h->out);
}

static void info_tlb(struct hmp *h)
{
    hmp_info_tlb(h->machine, h->out);
}

static void info_pic(struct hmp *h)
{
    hmp_info_pic(h->machine, h->out);
}

static void info_lapic(struct hmp *h)
{
    if (h->machine->lapic)
        lapic_tell(h->machine->lapic, h->out);
    else
        say(h, "no local APIC on this board\n");
}

static void info_irq(struct hmp *h)
{
    hmp_info_irq(h->machine, h->out);
}

static void info_mtree(struct hmp *h)
{
    hmp_info_mtree(h->machine, h->out);
}

static void info_pci(struct hmp *h)
{
    hmp_info_pci(h->machine, h->out);
}

static void info_cpus(struct hmp *h)
{
    say(h, "* CPU #0: thread_id=%d\n", gettid());
}

static void info_uuid(struct hmp *h)
{
    say(h, "%s\n", control_uuid(h->machine));
}

static void info_kvm(struct hmp *h)
{
    say(h, "kvm support: disabled\n");
}

static void info_usb(struct hmp *h)
{
    say(h, "USB support not enabled\n");
}

static void no_states(struct hmp *h)
{
    say(h,
        "Error: no states of machines are kept here; -snapshot forgets what a guest writes\n");
}

static const struct {
    const char *name, *help;
    void (*run)(struct hmp *h);
} infos[] = {
    {"speed", "the limit, and what has been reached since the last look", info_speed},
    {"mem", "runs of pages with the same rights", info_mem},
    {"tlb", "every page that is mapped", info_tlb},
    {"pic", "the interrupt controllers", info_pic},
    {"lapic", "the local APIC", info_lapic},
    {"irq", "how often each interrupt was raised", info_irq},
    {"mtree", "who answers at which address and port", info_mtree},
    {"chardev", "where serial ports and such lead", info_chardev},
    {"mice", "the mouse", info_mice},
    {"qtree", "the chips", info_qtree},
    {"vnc", "the VNC server and its viewers", info_vnc},
    {"registers", "the CPU's registers", info_registers},
    {"status", "running or not", info_status},
    {"version", "of ring3", info_version},
    {"name", "-name", info_name},
    {"stats", "counters", info_stats},
    {"tc", "the translator's counters", info_tc},
    {"cages", "user code that runs directly", info_cages},
    {"block", "drives and what is in them", info_block},
    {"audio", "what hears the guest, and how late", info_audio},
    {"capture", "files that hear it, too: wavcapture's", info_capture},
    {"network", "cards and where they lead", info_network},
    {"pci", "PCI's functions and their BARs", info_pci},
    {"cpus", "the CPU's thread", info_cpus},
    {"uuid", "-uuid", info_uuid},
    {"kvm", "there is none", info_kvm},
    {"usb", "there is none", info_usb},
    {"snapshots", "there are none", no_states},
};

static void run_info(struct hmp *h)
{
    for (u32 i = 0; h->n > 1 && i < ARRAY_SIZE(infos); i++)
        if (!strcmp(infos[i].name, h->words[1])) {
            infos[i].run(h);
            return;
        }
    for (u32 i = 0; i < ARRAY_SIZE(infos); i++)
        say(h, "info %-10s %s\n", infos[i].name, infos[i].help);
}

/* ---- Keys ---- */

/* "ctrl-alt-delete" → three codes; a lone "-" inside is the key minus. 0: *bad is no key. */
static u32 parse_combo(char *combo, u16 *codes, u32 max, const char **bad)
{
    u32 n = 0;
    char *next;

    for (char *name = combo; name; name = next) {
        next = *name ? strchr(name + 1, '-') : NULL;
        if (next)
            *next++ = '\0';
        codes[n] = key_from_name(!strcmp(name, "-") ? "minus" : name);
        if (codes[n++] == KEY_NONE || (next && n == max)) {
            *bad = name;
            return 0;
        }
    }
    return n;
}

static void run_sendkey(struct hmp *h)
{
    const char *bad = "";
    u16 codes[16];
    u64 hold = 0;
    u32 n;

    if (h->n > 2 && !want_number(h, 2, &hold))
        return;
    n = parse_combo(h->words[1], codes, ARRAY_SIZE(codes), &bad);
    if (n)
        report_outcome(h, control_send_keys(h->machine, codes, n, key_hold((i64)hold)));
    else
        say(h, "invalid parameter: %s\n", bad);
}

/* ---- Memory ---- */

static void run_memory_save(struct hmp *h)
{
    bool physical = h->words[0][0] == 'p';
    u64 address, size;

    if (!want_number(h, 1, &address) || !want_number(h, 2, &size))
        return;
    if (!physical && address > UINT32_MAX)
        say(h, "Error: Invalid addr %#llx specified\n", (unsigned long long)address);
    else if (physical)
        report_outcome(h, control_pmemsave(h->machine, address, size, h->words[3]));
    else
        report_outcome(h, control_memsave(h->machine, (gla_t)address, size, h->words[3]));
}

static void run_dump_tc(struct hmp *h)
{
    bool listing = h->n > 2 && !strcmp(h->words[2], "listing");

    if (h->n > 2 && !listing)
        say(h, "dump_tc: wants a file, and perhaps listing\n");
    else
        report_outcome(h, tcdump_write(h->machine, h->words[1], listing));
}

/* /FORMAT of x and xp: count, format letter, unit size. */
struct dump {
    u32 count, size;
    char format;
    bool physical;
    u64 address;
};

static bool parse_format(const char *text, struct dump *d)
{
    char *rest = (char *)text;

    if (*rest >= '0' && *rest <= '9')
        d->count = (u32)strtoul(rest, &rest, 10);
    for (; *rest; rest++) {
        const char *sizes = "bhw", *size = strchr(sizes, *rest);

        if (size)
            d->size = 1u << (size - sizes);
        else if (strchr("xduoci", *rest))
            d->format = *rest;
        else
            return false;
    }
    return d->count <= 65536;
}

static bool read_memory(struct hmp *h, const struct dump *d, u64 address, void *buf, u32 n)
{
    for (u32 i = 0; i < n; i++) {
        gpa_t gpa = address + i;

        if (!d->physical && !mmu_translate(&h->machine->cpu->paging, (gla_t)(address + i), &gpa)) {
            say(h, " Cannot access memory\n");
            return false;
        }
        phys_read(h->machine, gpa, (u8 *)buf + i, 1);
    }
    return true;
}

static void say_value(struct hmp *h, const struct dump *d, u32 val)
{
    i32 sign = d->size == 1 ? (i8)val : d->size == 2 ? (i16)val : (i32)val;

    switch (d->format) {
    case 'd':
        say(h, " %*d", 3 * (int)d->size, sign);
        break;
    case 'u':
        say(h, " %*u", 3 * (int)d->size, val);
        break;
    case 'o':
        say(h, " %#0*o", 3 * (int)d->size, val);
        break;
    case 'c':
        if (val >= ' ' && val < 0x7f)
            say(h, " '%c'", (int)val);
        else
            say(h, " '\\x%02x'", val);
        break;
    default:
        say(h, " 0x%0*x", 2 * (int)d->size, val);
    }
}

static void dump_data(struct hmp *h, const struct dump *d)
{
    u32 per_line = d->format == 'c' ? 8 : 16 / d->size;

    for (u32 i = 0; i < d->count; i++) {
        u64 address = d->address + (u64)i * d->size;
        u32 val = 0;

        if (i % per_line == 0)
            say(h, "%s%0*llx:", i ? "\n" : "", d->physical ? 16 : 8,
                (unsigned long long)(d->physical ? address : (gla_t)address));
        if (!read_memory(h, d, address, &val, d->size))
            return;
        say_value(h, d, val);
    }
    say(h, "\n");
}

static void dump_code(struct hmp *h, const struct dump *d)
{
    u64 address = d->address;
    cs_insn *in;
    csh cs;

    if (cs_open(CS_ARCH_X86, cpu_code32(h->machine->cpu) ? CS_MODE_32 : CS_MODE_16, &cs))
        return;
    for (u32 i = 0; i < d->count; i++) {
        u8 bytes[16];

        if (!read_memory(h, d, address, bytes, sizeof(bytes)))
            break;
        if (!cs_disasm(cs, bytes, 15, address, 1, &in)) {
            say(h, "0x%08llx:  (bad)\n", (unsigned long long)address++);
            continue;
        }
        say(h, "0x%08llx:  %s %s\n", (unsigned long long)address, in->mnemonic, in->op_str);
        address += in->size;
        cs_free(in, 1);
    }
    cs_close(&cs);
}

/* x /FMT ADDRESS, linear; xp the same, physical. */
static void run_dump(struct hmp *h)
{
    struct dump d = { .count = 1, .size = 4, .format = 'x', .physical = h->words[0][1] == 'p' };
    u32 at = 1;

    if (h->words[1][0] == '/') {
        if (!parse_format(h->words[1] + 1, &d)) {
            say(h, "%s: '%s': a count, one of x d u o c i, one of b h w\n", h->words[0],
                h->words[1]);
            return;
        }
        at = 2;
    }
    if (!want_number(h, at, &d.address))
        return;
    if (d.format == 'c')
        d.size = 1;
    if (d.format == 'i')
        dump_code(h, &d);
    else
        dump_data(h, &d);
}

/* ---- Ports, numbers, the mouse ---- */

static void run_print(struct hmp *h)
{
    u64 val;

    if (want_number(h, h->n - 1, &val))
        say(h, "%#llx\n", (unsigned long long)val);
}

/* i [/b|/h|/w] PORT */
static void run_port_in(struct hmp *h)
{
    struct dump d = { .size = 1 };
    bool formatted = h->words[1][0] == '/';
    u64 port;

    if (formatted && !parse_format(h->words[1] + 1, &d))
        say(h, "i: '%s': one of b h w\n", h->words[1]);
    else if (want_number(h, formatted ? 2 : 1, &port))
        say(h, "port%c[0x%04x] = 0x%0*x\n", d.size == 1 ? 'b' : d.size == 2 ? 'w' : 'l',
            (u32)(port & 0xffff), (int)d.size * 2,
            bus_in(h->machine, (u16)port, (enum io_size)d.size));
}

static void run_port_out(struct hmp *h)
{
    struct dump d = { .size = 1 };
    bool formatted = h->words[1][0] == '/';
    u64 port, val;

    if (formatted && !parse_format(h->words[1] + 1, &d))
        say(h, "o: '%s': one of b h w\n", h->words[1]);
    else if (want_number(h, formatted ? 2 : 1, &port) && want_number(h, formatted ? 3 : 2, &val))
        bus_out(h->machine, (u16)port, (enum io_size)d.size, (u32)val);
}

static bool want_motion(struct hmp *h, u32 i, int *motion)
{
    char *end;
    long val = i < h->n ? strtol(h->words[i], &end, 0) : 0;

    *motion = (int)val;
    if (i >= h->n || !*end)
        return val >= -0x7fff && val <= 0x7fff;
    say(h, "%s: '%s' is no number\n", h->words[0], h->words[i]);
    return false;
}

/* Buttons that are held stay so: those of input-send-event, too. */
static void run_mouse_move(struct hmp *h)
{
    struct input_event e = { INPUT_POINTER, .buttons = h->machine->qmp_buttons };

    if (want_motion(h, 1, &e.dx) && want_motion(h, 2, &e.dy) && want_motion(h, 3, &e.wheel))
        machine_input(h->machine, &e);
}

/* QEMU's bits: 1 left, 2 middle, 4 right. */
static void run_mouse_button(struct hmp *h)
{
    u64 held;

    if (!want_number(h, 1, &held))
        return;
    h->machine->qmp_buttons = (u8)((held & 1) | (held & 4) >> 1 | (held & 2) << 1);
    machine_input(h->machine,
                  &(struct input_event){ INPUT_POINTER, .buttons = h->machine->qmp_buttons });
}

/* ---- The rest ---- */

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);

    return n >= k && !strcasecmp(text + n - k, end);
}

/* screendump FILE [-f png]; a name that ends in .png says it too. */
static void run_screendump(struct hmp *h)
{
    bool flagged = h->n > 3 && !strcmp(h->words[2], "-f");

    report_outcome(h, screen_dump(h->machine, h->words[1],
                        flagged ? !strcmp(h->words[3], "png") : ends_in(h->words[1], ".png")));
}

static void run_stop(struct hmp *h)
{
    control_stop(h->machine);
}
static void run_cont(struct hmp *h)
{
    control_cont(h->machine);
}
static void run_reset(struct hmp *h)
{
    control_reset(h->machine);
}
static void run_powerdown(struct hmp *h)
{
    control_powerdown(h->machine);
}
static void run_wakeup(struct hmp *h)
{
    report_outcome(h, control_wakeup(h->machine));
}
static void run_quit(struct hmp *h)
{
    control_quit(h->machine, "host-qmp-quit");
}

static void run_eject(struct hmp *h)
{
    bool force = !strcmp(h->words[1], "-f");

    if (force && h->n < 3)
        say(h, "eject: wants a drive\n");
    else
        report_outcome(h, control_eject(h->machine, h->words[1 + force], force));
}

static void run_change(struct hmp *h)
{
    bool force = !strcmp(h->words[1], "-f");

    if (h->n < 3u + force)
        say(h, "change: wants a drive and a file\n");
    else
        report_outcome(h, control_change(h->machine, h->words[1 + force], h->words[2 + force], NULL, force));
}

static void run_set_link(struct hmp *h)
{
    bool on = !strcmp(h->words[2], "on");

    if (!on && strcmp(h->words[2], "off"))
        say(h, "set_link: wants on or off\n");
    else
        report_outcome(h, control_set_link(h->machine, h->words[1], on));
}

/* "DRIVER,KEY=VALUE,…" */
static void run_device_add(struct hmp *h)
{
    char *rest, *word = strtok_r(h->words[1], ",", &rest);
    struct hotplug_request r = { .driver = word ? word : "" };
    const struct {
        const char *key, **val;
    } places[] = { { "driver=", &r.driver }, { "id=", &r.id }, { "bus=", &r.bus }, { "drive=", &r.drive }, { "unit=", &r.unit } };

    for (; word; word = strtok_r(NULL, ",", &rest))
        for (u32 i = 0; i < ARRAY_SIZE(places); i++)
            if (!strncmp(word, places[i].key, strlen(places[i].key)))
                *places[i].val = word + strlen(places[i].key);
    report_outcome(h, hotplug_add(h->machine, &r));
}

static void run_device_del(struct hmp *h)
{
    if (hotplug_known(h->machine, h->words[1]))
        report_outcome(h, hotplug_del(h->machine, h->words[1]));
    else
        say(h, "Error: Device '%s' not found\n", h->words[1]);
}

static void run_nmi(struct hmp *h)
{
    cpu_raise_nmi(h->machine->cpu);
}

/* There is one. */
static void run_cpu(struct hmp *h)
{
    u64 n;

    if (want_number(h, 1, &n) && n)
        say(h, "invalid CPU index\n");
}

static void run_gdbserver(struct hmp *h)
{
    const char *where = h->n > 1 ? h->words[1] : "tcp::1234", *error = gdb_change(h->machine, where);

    if (error)
        say(h, "Could not open gdbserver on device '%s': %s\n", where, error);
    else if (!strcmp(where, "none"))
        say(h, "Disabled gdbserver\n");
    else
        say(h, "Waiting for gdb connection on device '%s'\n", where);
}

/* As BSD's sum, of physical memory. */
static void run_sum(struct hmp *h)
{
    u64 at, size;
    u16 sum = 0;
    u8 byte;

    if (!want_number(h, 1, &at) || !want_number(h, 2, &size))
        return;
    if (size > phys_ram_size(h->machine)) {
        say(h, "sum: more than there is of memory\n");
        return;
    }
    for (u64 i = 0; i < size; i++) {
        phys_read(h->machine, at + i, &byte, 1);
        sum = (u16)((u16)(sum >> 1 | sum << 15) + byte);
    }
    say(h, "%05u\n", sum);
}

static void run_gva2gpa(struct hmp *h)
{
    u64 gla;
    gpa_t gpa;

    if (!want_number(h, 1, &gla))
        return;
    if (mmu_translate(&h->machine->cpu->paging, (gla_t)gla, &gpa))
        say(h, "gpa: 0x%llx\n", (unsigned long long)gpa);
    else
        say(h, "Unmapped\n");
}

static void run_boot_set(struct hmp *h)
{
    char *wrong = h->machine->set_boot_order(h->machine, h->words[1]);

    if (wrong)
        say(h, "%s\n", wrong);
    else
        say(h, "boot device list now set to %s\n", h->words[1]);
    free(wrong);
}

static void run_ringbuf_write(struct hmp *h)
{
    const char *data = h->words[2];

    report_outcome(
        h, chardev_ring_write(h->machine, h->words[1], (const u8 *)data, (u32)strlen(data)));
}

/* Up to a zero; what would move the terminal's cursor is spelled out. */
static void run_ringbuf_read(struct hmp *h)
{
    const char *error;
    u8 *data;
    u32 n;
    u64 most;

    if (!want_number(h, 2, &most))
        return;
    error = chardev_ring_read(h->machine, h->words[1], most, &data, &n);
    report_outcome(h, error);
    if (error)
        return;
    for (u32 i = 0; i < n && data[i]; i++) {
        if (data[i] == '\\')
            say(h, "\\\\");
        else if ((data[i] < ' ' && data[i] != '\n' && data[i] != '\t') || data[i] == 0x7f)
            say(h, "\\u%04X", data[i]);
        else
            say(h, "%c", data[i]);
    }
    say(h, "\n");
    free(data);
}

/* [NETDEV] RULE */
static void run_hostfwd(struct hmp *h)
{
    bool named = h->n > 2;

    network_forward(h->machine, named ? h->words[1] : NULL, h->words[1 + named],
                    !strcmp(h->words[0], "hostfwd_add"), h->out);
}

static void say_log_items(struct hmp *h)
{
    say(h, "Log items (comma separated):\n%-12s nothing more\n", "none");
    debuglog_list(h->out);
}

/* As -d, whose items it replaces. */
static void run_log(struct hmp *h)
{
    if (debuglog_set(h->words[1]))
        say_log_items(h);
}

/* ---- Sound ---- */

/* The word, where it is given: from least to most. */
static bool take_setting(struct hmp *h, u32 word, const char *name, u64 least, u64 most,
                         u64 *val)
{
    if (h->n > word && !want_number(h, word, val))
        return false;
    if (*val >= least && *val <= most)
        return true;
    say(h, "incorrect %s %llu, must be from %llu to %llu\n", name, (unsigned long long)*val,
        (unsigned long long)least, (unsigned long long)most);
    return false;
}

static void run_wavcapture(struct hmp *h)
{
    u64 rate = 44100, bits = 16, channels = 2;

    if (!take_setting(h, 3, "frequency", 8000, 96000, &rate) ||
        !take_setting(h, 4, "bit count", 8, 16, &bits) ||
        !take_setting(h, 5, "channel count", 1, 2, &channels))
        return;
    if (bits != 8 && bits != 16)
        say(h, "incorrect bit count %llu, must be 8 or 16\n", (unsigned long long)bits);
    else
        report_outcome(h, sound_capture_start(h->machine, h->words[1], h->words[2], (u32)rate,
                                              (u32)bits, (u32)channels));
}

static void run_stopcapture(struct hmp *h)
{
    u64 n;

    if (want_number(h, 1, &n) && (n > UINT32_MAX || !sound_capture_stop(h->machine, (u32)n)))
        say(h, "Error: there is no capture %llu\n", (unsigned long long)n);
}

static void run_help(struct hmp *h);

/* ---- The table ---- */

/* clang-format off */
static const struct {
    const char *name;
    u32 min; /* arguments */
    void (*run)(struct hmp *h);
    const char *usage;
} commands[] = {
    { "help",             0, run_help,        "[COMMAND] -- this" },
    { "?",                0, run_help,        "[COMMAND] -- the same" },
    { "info",             0, run_info,        "[WHAT] -- look at the machine" },
    { "sendkey",          1, run_sendkey,     "KEYS [MS] -- e.g. ctrl-alt-delete; held 100 ms" },
    { "screendump",       1, run_screendump,  "FILE [-f png] -- the screen as PPM or PNG" },
    { "x",                1, run_dump,        "[/FMT] ADDRESS -- linear memory: /8xw, /16cb, /5i" },
    { "xp",               1, run_dump,        "[/FMT] ADDRESS -- physical memory" },
    { "print",            1, run_print,       "EXPRESSION -- a number, or a sum with registers" },
    { "p",                1, run_print,       "EXPRESSION -- the same" },
    { "i",                1, run_port_in,     "[/b|h|w] PORT -- read a port" },
    { "o",                2, run_port_out,    "[/b|h|w] PORT VALUE -- write a port" },
    { "mouse_move",       2, run_mouse_move,  "DX DY [DZ] -- move the mouse" },
    { "mouse_button",     1, run_mouse_button, "BITS -- hold 1 left, 2 middle, 4 right" },
    { "memsave",          3, run_memory_save, "ADDRESS SIZE FILE -- linear memory to a file" },
    { "pmemsave",         3, run_memory_save, "ADDRESS SIZE FILE -- physical memory to a file" },
    { "sum",              2, run_sum,         "ADDRESS SIZE -- BSD's checksum of physical memory" },
    { "gva2gpa",          1, run_gva2gpa,     "ADDRESS -- the physical address of a linear one" },
    { "savevm",           0, no_states,       "-- no states are kept" },
    { "loadvm",           0, no_states,       "-- the same" },
    { "delvm",            0, no_states,       "-- the same" },
    { "dump_tc",          1, run_dump_tc,     "FILE [listing] -- translated code, as -dump-tc" },
    { "stop",             0, run_stop,        "-- let the machine stand" },
    { "s",                0, run_stop,        "-- the same" },
    { "cont",             0, run_cont,        "-- let it run" },
    { "c",                0, run_cont,        "-- the same" },
    { "system_reset",     0, run_reset,       "-- press reset" },
    { "system_powerdown", 0, run_powerdown,   "-- press the power button" },
    { "system_wakeup",    0, run_wakeup,      "-- out of suspend (S3)" },
    { "eject",            1, run_eject,       "[-f] DRIVE -- take the medium out" },
    { "change",           2, run_change,      "[-f] DRIVE FILE -- put a medium in" },
    { "device_add",       1, run_device_add,  "ide-cd|floppy,drive=ID[,id=][,bus=][,unit=] -- a medium" },
    { "device_del",       1, run_device_del,  "ID -- take it out" },
    { "set_link",         2, run_set_link,    "ID on|off -- plug or pull a network card's cable" },
    { "nmi",              0, run_nmi,         "-- pull the CPU's NMI" },
    { "cpu",              1, run_cpu,         "N -- look at that CPU from now on: 0 is there" },
    { "boot_set",         1, run_boot_set,    "ORDER -- of a, c, d, n, from the next reset on" },
    { "log",              1, run_log,         "ITEMS -- as -d, instead of what was logged; none" },
    { "ringbuf_write",    2, run_ringbuf_write, "CHARDEV DATA -- put text into a -chardev ringbuf" },
    { "ringbuf_read",     2, run_ringbuf_read, "CHARDEV SIZE -- take the oldest bytes out of it" },
    { "hostfwd_add",      1, run_hostfwd,     "[NETDEV] tcp|udp:[HOST]:PORT-[GUEST]:PORT -- a way in" },
    { "hostfwd_remove",   1, run_hostfwd,     "[NETDEV] tcp|udp:[HOST]:PORT -- close it" },
    { "wavcapture",       2, run_wavcapture,  "FILE AUDIODEV [HZ [BITS [CHANNELS]]] -- sound into a WAV file" },
    { "stopcapture",      1, run_stopcapture, "N -- end it: info capture counts" },
    { "gdbserver",        0, run_gdbserver,   "[tcp:HOST:PORT|none] -- for a debugger (tcp::1234)" },
    { "quit",             0, run_quit,        "-- end ring3" },
    { "q",                0, run_quit,        "-- the same" },
};
/* clang-format on */

static void run_help(struct hmp *h)
{
    bool all = h->n < 2;

    for (u32 i = 0; i < ARRAY_SIZE(commands); i++)
        if (all || !strcmp(commands[i].name, h->words[1]))
            say(h, "%s %s\n", commands[i].name, commands[i].usage);
    if (!all && !strcmp(h->words[1], "info")) {
        h->n = 1;
        run_info(h);
    }
    if (!all && !strcmp(h->words[1], "log"))
        say_log_items(h);
}

/* QEMU takes "x/8xb 0x7c00": the format becomes a word of its own. Returns it, to be freed. */
static char *part_format(struct hmp *h)
{
    char *slash = h->n ? strchr(h->words[0], '/') : NULL, *format;

    if (!slash || slash == h->words[0] || h->n == MAX_WORDS)
        return NULL;
    format = strdup(slash);
    *slash = '\0';
    memmove(&h->words[2], &h->words[1], (h->n - 1) * sizeof(h->words[0]));
    h->words[1] = format;
    h->n++;
    return format;
}

static void run_command(struct hmp *h)
{
    for (u32 i = 0; i < ARRAY_SIZE(commands); i++) {
        if (strcmp(commands[i].name, h->words[0]))
            continue;
        if (h->n <= commands[i].min)
            say(h, "usage: %s %s\n", commands[i].name, commands[i].usage);
        else
            commands[i].run(h);
        return;
    }
    say(h, "unknown command: '%s'\n", h->words[0]);
}

char *hmp_run(struct machine *m, const char *line)
{
    struct hmp h = { .machine = m };
    char *text = NULL, *format;
    size_t size;

    h.out = open_memstream(&text, &size);
    check(h.out, "out of memory");
    split(&h, line);
    format = part_format(&h);
    if (h.n)
        run_command(&h);
    free(format);
    fclose(h.out);
    return text;
}
