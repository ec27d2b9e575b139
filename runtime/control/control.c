/*
 * The machine's buttons, doors and probes: stop and continue, reset, power, media, memory to
 * files.
 */
#include "runtime/control/control.h"
#include "devices/msmouse.h"
#include "devices/piix4.h"
#include "runtime/control/qmp.h"
#include "runtime/machine/machine.h"
#include "runtime/machine/run.h"
#include "runtime/network/network.h"
#include "runtime/storage/disk.h"
#include "runtime/storage/recognise.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local char error_line[512];

static const char *failed(const char *fmt, ...) PRINTF(1, 2);
static const char *failed(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(error_line, sizeof(error_line), fmt, ap);
    va_end(ap);
    return error_line;
}

/* ---- Running and standing ---- */

const char *control_status(struct machine *m)
{
    if (m->state == RUN_RUNNING)
        return "running";
    if (m->state == RUN_SUSPENDED)
        return "suspended";
    if (m->state == RUN_SHUTDOWN)
        return "shutdown";
    return m->options->paused ? "prelaunch" : "paused";
}

void control_stop(struct machine *m)
{
    if (!machine_time_passes(m))
        return;
    machine_stop(m);
    machine_notify(m, "STOP", NULL);
}

void control_cont(struct machine *m)
{
    if (m->state != RUN_PAUSED)
        return;
    m->options->paused = false;
    machine_cont(m);
    machine_notify(m, "RESUME", NULL);
}

void control_reset(struct machine *m)
{
    m->reset_by_host = true;
    machine_request(m, MACHINE_RESET);
}

void control_powerdown(struct machine *m)
{
    if (m->piix4)
        piix4_power_button(m->piix4);
    machine_notify(m, "POWERDOWN", NULL);
}

const char *control_wakeup(struct machine *m)
{
    if (!m->piix4)
        return "wake-up from suspend is not supported by this guest";
    if (m->state != RUN_SUSPENDED)
        return "Unable to wake up: guest is not in suspended state";
    piix4_wake(m->piix4);
    return NULL;
}

void control_quit(struct machine *m, const char *reason)
{
    machine_notify(m, "SHUTDOWN", reason);
    m->quit = true;
    if (m->cpu)
        __atomic_fetch_or(&m->cpu->requests, REQ_EVENT, __ATOMIC_RELAXED);
}

/* ---- Memory to files ---- */

static bool read_linear(struct machine *m, gla_t gla, void *buf, u32 n)
{
    gpa_t gpa;

    if (!mmu_translate(&m->cpu->paging, gla, &gpa))
        return false;
    phys_read(m, gpa, buf, n);
    return true;
}

/* Page by page; linear: gla and not gpa. Returns NULL, or what went wrong. */
static const char *save_pages(struct machine *m, u64 address, u64 size, bool linear, FILE *f)
{
    u8 page[PAGE_SIZE];

    while (size) {
        u64 n = PAGE_SIZE - (address & PAGE_MASK);

        if (n > size)
            n = size;
        if (!linear)
            phys_read(m, address, page, n);
        else if (address > UINT32_MAX || !read_linear(m, (gla_t)address, page, (u32)n))
            return failed("Invalid addr 0x%016llx/size %llu specified",
                          (unsigned long long)address, (unsigned long long)size);
        if (fwrite(page, 1, n, f) != n)
            return failed("%s", strerror(errno));
        address += n;
        size -= n;
    }
    return NULL;
}

/* Nothing lies beyond the 36 bits of a physical address, and a file full of it helps nobody. */
static const char *save(struct machine *m, u64 address, u64 size, bool linear, const char *path)
{
    const char *error;
    FILE *f;

    if (size > GIB(64))
        return failed("size %llu: more than there is", (unsigned long long)size);
    f = fopen(path, "wb");
    if (!f)
        return failed("could not open '%s': %s", path, strerror(errno));
    error = save_pages(m, address, size, linear, f);
    if (fclose(f) && !error)
        error = failed("'%s': %s", path, strerror(errno));
    return error;
}

const char *control_pmemsave(struct machine *m, gpa_t gpa, u64 size, const char *path)
{
    return save(m, gpa, size, false, path);
}

const char *control_memsave(struct machine *m, gla_t gla, u64 size, const char *path)
{
    return save(m, gla, size, true, path);
}

/* ---- Media ---- */

void control_drives(struct machine *m, struct drive_name drives[DRIVES])
{
    for (u32 i = 0; i < 2; i++) {
        snprintf(drives[i].name, sizeof(drives[i].name), "floppy%u", i & 1);
        drives[i].disk = m->floppy[i];
    }
    for (u32 i = 0; i < 4; i++) {
        struct disk *d = m->ide[i / 2][i % 2];

        snprintf(drives[FIRST_IDE + i].name, sizeof(drives[0].name), "ide%u-%s%u", i / 2 & 1,
                 d && d->cdrom ? "cd" : "hd", i % 2);
        drives[FIRST_IDE + i].disk = d;
    }
    for (u32 i = 0; i < 2; i++) {
        snprintf(drives[FIRST_FLASH + i].name, sizeof(drives[0].name), "pflash%u", i & 1);
        drives[FIRST_FLASH + i].disk = m->flash[i];
    }
}

struct disk *control_drive(struct machine *m, const char *name)
{
    struct drive_name drives[DRIVES];

    control_drives(m, drives);
    for (u32 i = 0; i < DRIVES; i++)
        if (!strcmp(drives[i].name, name))
            return drives[i].disk;
    return NULL;
}

static bool removable(struct machine *m, const struct disk *d)
{
    return d->cdrom || d == m->floppy[0] || d == m->floppy[1];
}

const char *control_change(struct machine *m, const char *name, const char *path,
                           const char *format, bool force)
{
    struct disk *d = control_drive(m, name);
    bool was_in;
    const char *error;

    if (!d)
        return failed("Device '%s' not found", name);
    if (!removable(m, d))
        return failed("Device '%s' is not removable", name);
    was_in = disk_path(d);
    error = disk_change(d, path, format, force);
    if (error)
        return error;
    if (was_in)
        qmp_tray_moved(m, name, true);
    if (path)
        qmp_tray_moved(m, name, false);
    return NULL;
}

const char *control_eject(struct machine *m, const char *name, bool force)
{
    return control_change(m, name, NULL, NULL, force);
}

const char *control_insert(struct machine *m, const char *path, const char **drive)
{
    static _Thread_local char name[sizeof(((struct drive_name *)0)->name)];
    struct drive_name drives[DRIVES];
    const char *error = NULL;
    enum image_kind kind = image_recognise(path, &error);
    bool floppy = kind == IMAGE_FLOPPY;

    if (kind == IMAGE_UNREADABLE)
        return error;
    control_drives(m, drives);
    for (u32 i = floppy ? 0 : FIRST_IDE; i < (u32)(floppy ? FIRST_IDE : FIRST_FLASH); i++) {
        if (!drives[i].disk || (!floppy && !drives[i].disk->cdrom))
            continue;
        snprintf(name, sizeof(name), "%s", drives[i].name);
        *drive = name;
        return control_change(m, name, path, NULL, true);
    }
    return failed("%s: no CD drive is there: start with -cdrom", path);
}

static void add_activity(struct machine_activity *a, const char *name, u64 accesses)
{
    snprintf(a->part[a->count].name, sizeof(a->part[0].name), "%s", name);
    a->part[a->count++].accesses = accesses;
}

void control_activity(struct machine *m, struct machine_activity *a)
{
    static const char *const names[DRIVES] = {"A:",  "B:",  "hda",   "hdb",
                                              "hdc", "hdd", "flash", "flash 1"};
    struct drive_name drives[DRIVES];
    u64 frames;

    *a = (struct machine_activity){ 0 };
    control_drives(m, drives);
    for (u32 i = 0; i < DRIVES; i++) {
        struct disk *d = drives[i].disk;
        struct disk_counts n;

        if (!d || !disk_path(d))
            continue;
        n = disk_counts(d);
        add_activity(a, d->cdrom ? "cd" : names[i], n.reads + n.writes);
    }
    if (network_frames(m, &frames))
        add_activity(a, "net", frames);
}

const char *control_set_link(struct machine *m, const char *id, bool up)
{
    static _Thread_local char error[128];

    if (network_set_link(m, id, up))
        return NULL;
    snprintf(error, sizeof(error), "Device '%s' not found", id);
    return error;
}

const char *control_uuid(const struct machine *m)
{
    const struct options *o = m->options;

    for (u32 i = 0; i < o->smbios_texts; i++)
        if (o->smbios[i].type == 1 && o->smbios[i].offset == 8)
            return o->smbios[i].text;
    return "00000000-0000-0000-0000-000000000000";
}

void control_mice(struct machine *m,
                  void (*tell)(void *arg, const char *name, u32 index, bool current), void *arg)
{
    struct device *mouse;
    bool serial = false;

    for (u32 i = 0; (mouse = device_find(m, &msmouse_class, i)); i++)
        serial |= msmouse_powered(mouse);
    tell(arg, "QEMU PS/2 Mouse", 2, !serial);
    for (u32 i = 0; (mouse = device_find(m, &msmouse_class, i)); i++)
        tell(arg, "QEMU Microsoft Mouse", 3 + i, msmouse_powered(mouse));
}
