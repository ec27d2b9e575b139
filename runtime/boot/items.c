/*
 * -fw_cfg and -smbios: items of fw_cfg that the user names.
 */
#include "runtime/boot/items.h"
#include "devices/fw_cfg.h"
#include "runtime/boot/firmware.h"
#include "runtime/machine/machine.h"

#include <string.h>

enum { FILE_MAX = 16 << 20, UUID_OFFSET = 8 /* in structure 1 */ };

/* The first three fields are little-endian (SMBIOS 3.x, 7.2.1). */
static bool parse_uuid(const char *text, u8 uuid[16])
{
    static const u8 order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    u32 at = 0;

    for (u32 i = 0; i < 16; i++) {
        unsigned byte;
        int n = 0;

        if ((at == 8 || at == 13 || at == 18 || at == 23) && text[at++] != '-')
            return false;
        if (sscanf(text + at, "%2x%n", &byte, &n) != 1 || n != 2)
            return false;
        uuid[order[i]] = (u8)byte;
        at += 2;
    }
    return !text[at];
}

/* SeaBIOS makes the tables; it takes single fields of theirs as files (src/fw/paravirt.c). */
static void add_smbios(struct machine *m)
{
    const struct options *o = m->options;

    for (u32 i = 0; i < o->smbios_texts; i++) {
        const struct smbios_text *t = &o->smbios[i];
        bool uuid = t->type == 1 && t->offset == UUID_OFFSET;
        char *name = machine_alloc(m, 32);
        u8 *bytes = machine_alloc(m, 16);

        if (uuid && !parse_uuid(t->text, bytes))
            die("-smbios uuid=%s: is no UUID", t->text);
        snprintf(name, 32, "smbios/field%u-%u", t->type, t->offset);
        fw_cfg_add_file(m->fw_cfg, name, uuid ? (const void *)bytes : t->text,
                        uuid ? 16 : (u32)strlen(t->text) + 1);
    }
}

void items_of_user(struct machine *m)
{
    const struct options *o = m->options;

    for (u32 i = 0; i < o->fw_cfgs; i++) {
        const void *data = o->fw_cfg[i].text;
        u32 size = data ? (u32)strlen(data) : 0;
        const char *error;

        if (o->fw_cfg[i].file) {
            data = boot_read_file(m, o->fw_cfg[i].file, FILE_MAX, &size, &error);
            if (!data)
                die("-fw_cfg %s", error);
        }
        fw_cfg_add_file(m->fw_cfg, o->fw_cfg[i].name, data, size);
    }
    add_smbios(m);
}
