/*
 * The CMOS memory as a PC's set-up program would leave it: memory sizes, drive types,
 * geometries, boot order. SeaBIOS on an emulated board reads its settings here; DOS and old
 * kernels read the equipment and memory bytes. (IBM AT technical reference, section 1; Ralf
 * Brown's CMOS.LST.)
 */
#include "runtime/boot/cmos.h"
#include "devices/ata.h"
#include "devices/disk.h"
#include "devices/mc146818.h"
#include "runtime/machine/machine.h"

#include <string.h>

enum {
    FLOPPY_TYPES = 0x10, DISK_TYPES = 0x12, EQUIPMENT = 0x14, BASE_MEMORY = 0x15,
    EXTENDED_MEMORY = 0x17, DISK_C_TYPE = 0x19, DISK_C = 0x1b, DISK_D = 0x24,
    EXTENDED_MEMORY2 = 0x30, MEMORY_16M = 0x34, BOOT_FLAG1 = 0x38, TRANSLATION = 0x39,
    BOOT_FLAG2 = 0x3d, MEMORY_4G = 0x5b, CPUS = 0x5f,
    FLOPPY_360K = 1, FLOPPY_1M2 = 2, FLOPPY_720K = 3, FLOPPY_1M44 = 4, FLOPPY_2M88 = 5,
    DISK_TYPE_EXTENDED = 0xf, DISK_TYPE_47 = 47,
    EQUIPMENT_FPU = 2, EQUIPMENT_MOUSE = 4,
};

static void cmos_set(struct device *rtc, u32 index, u32 size, u32 val)
{
    for (u32 i = 0; i < size; i++)
        mc146818_cmos_set(rtc, index + i, val >> 8 * i);
}

/* ---- Memory ---- */

static void cmos_memory(struct machine *m, struct device *rtc)
{
    u64 ram = mmu_ram_size(m->mmu);
    u64 extended = ram > MIB(1) ? (ram - MIB(1)) >> 10 : 0;
    u64 above16 = ram > MIB(16) ? (ram - MIB(16)) >> 16 : 0;

    cmos_set(rtc, BASE_MEMORY, 2, 640);
    cmos_set(rtc, EXTENDED_MEMORY, 2, extended < 0xffff ? extended : 0xffff);
    cmos_set(rtc, EXTENDED_MEMORY2, 2, extended < 0xffff ? extended : 0xffff);
    cmos_set(rtc, MEMORY_16M, 2, above16 < 0xffff ? above16 : 0xffff);
    cmos_set(rtc, MEMORY_4G, 3, 0);
    cmos_set(rtc, CPUS, 1, 0); /* besides the first */
}

/* ---- Floppy drives ---- */

/* The drive that takes the diskette: 5¼" ones by their odd sizes, else 3½". SeaBIOS refuses
 * sectors past its drive type's: one for 2.88 MB where a track has more than 18. */
static u32 cmos_floppy_type(const struct disk *d)
{
    static const u16 five_inch[] = {320, 360, 640, 720, 800, 820, 830, 1040, 1120, 2400};
    u64 sectors = d->size / 512;

    for (u32 i = 0; i < ARRAY_SIZE(five_inch); i++)
        if (sectors == five_inch[i])
            return FLOPPY_1M2;
    return sectors > 2880 ? FLOPPY_2M88 : FLOPPY_1M44;
}

static void cmos_floppies(struct machine *m, struct device *rtc)
{
    u32 count = 0, types = 0, equipment = EQUIPMENT_FPU | EQUIPMENT_MOUSE;

    for (u32 i = 0; i < 2; i++) {
        if (!m->floppy[i])
            continue;
        types |= cmos_floppy_type(m->floppy[i]) << (i ? 0 : 4);
        count++;
    }
    if (count)
        equipment |= 1 | (count - 1) << 6;
    cmos_set(rtc, FLOPPY_TYPES, 1, types);
    cmos_set(rtc, EQUIPMENT, 1, equipment);
}

/* ---- Hard disks ---- */

static void cmos_disk(struct device *rtc, struct disk *disk, u32 unit, u32 at)
{
    u32 cylinders, heads, sectors;

    ata_geometry(disk, &cylinders, &heads, &sectors);
    cmos_set(rtc, DISK_C_TYPE + unit, 1, DISK_TYPE_47);
    cmos_set(rtc, at, 2, cylinders);
    cmos_set(rtc, at + 2, 1, heads);
    cmos_set(rtc, at + 3, 2, 0xffff);                         /* no write precompensation */
    cmos_set(rtc, at + 5, 1, 0xc0 | (heads > 8 ? 8 : 0)); /* control byte */
    cmos_set(rtc, at + 6, 2, cylinders);                      /* landing zone */
    cmos_set(rtc, at + 8, 1, sectors);
}

static void cmos_disks(struct machine *m, struct device *rtc)
{
    u32 types = 0, translations = 0;

    for (u32 i = 0; i < 4; i++) {
        struct disk *d = m->ide[i / 2][i % 2];

        if (!d || d->cdrom || !d->size)
            continue;
        translations |= (u32)ata_translation(d) << 2 * i;
        if (i >= 2)
            continue;
        types |= DISK_TYPE_EXTENDED << (i ? 0 : 4);
        cmos_disk(rtc, d, i, i ? DISK_D : DISK_C);
    }
    cmos_set(rtc, DISK_TYPES, 1, types);
    cmos_set(rtc, TRANSLATION, 1, translations);
}

/* ---- Boot order: three nibbles; 1 floppy, 2 hard disk, 3 CD, 4 network ---- */

static void cmos_boot_order(struct device *rtc, const char *order)
{
    static const char letters[] = "-acdn";
    u32 nibbles = 0;

    for (u32 i = 0; i < 3 && order[i]; i++) {
        const char *at = strchr(letters, order[i]);

        if (at && at > letters)
            nibbles |= (u32)(at - letters) << 4 * i;
    }
    cmos_set(rtc, BOOT_FLAG2, 1, nibbles);
    cmos_set(rtc, BOOT_FLAG1, 1, nibbles >> 4 & 0xf0);
}

static const char *usual_order(const struct machine *m)
{
    return m->options->boot[0] ? m->options->boot : "cad";
}

/* -boot once=: the order is another from the first reset on. */
static void cmos_after_reset(struct machine *m)
{
    for (struct device *d = m->devices; d; d = d->next)
        if (d->class == &mc146818_class)
            cmos_boot_order(d, usual_order(m));
}

static char *wrong_order(const char *order)
{
    char text[64] = "";

    for (const char *p = order; *p && !*text; p++) {
        if (*p < 'a' || *p > 'p')
            snprintf(text, sizeof(text), "Invalid boot device '%c'", *p);
        else if (strchr(p + 1, *p))
            snprintf(text, sizeof(text), "Boot device '%c' was given twice", *p);
    }
    if (!*text && strlen(order) > 3)
        snprintf(text, sizeof(text), "Too many boot devices for PC");
    for (const char *p = order; *p && !*text; p++)
        if (!strchr("acdn", *p))
            snprintf(text, sizeof(text), "Invalid boot device for PC: '%c'", *p);
    return *text ? strdup(text) : NULL;
}

static char *set_boot_order(struct machine *m, const char *order)
{
    char *wrong = wrong_order(order);

    if (wrong)
        return wrong;
    snprintf(m->options->boot, sizeof(m->options->boot), "%s", order);
    cmos_after_reset(m);
    return NULL;
}

void cmos_fill(struct machine *m, struct device *mc146818)
{
    m->set_boot_order = set_boot_order;
    cmos_memory(m, mc146818);
    cmos_floppies(m, mc146818);
    cmos_disks(m, mc146818);
    cmos_boot_order(mc146818, m->options->boot_once[0] ? m->options->boot_once : usual_order(m));
    if (m->options->boot_once[0])
        m->after_reset = cmos_after_reset;
}
