/*
 * Keyboard layouts: characters from libxkbcommon, keys without one from a table.
 */
#include "runtime/control/layout.h"
#include "runtime/base/keyval.h"
#include "runtime/base/libraries.h"
#include "runtime/control/keys.h"

#include <stdlib.h>
#include <string.h>
#include <xkbcommon/xkbcommon-keysyms.h>
#include <xkbcommon/xkbcommon.h>

/* Places with characters: evdev's codes up to here are those of scan code set 1; xkb adds 8. */
enum { LAST_PLACE = 0x58, EVDEV = 8, LEVELS = 4, MAX_ENTRIES = LAST_PLACE * LEVELS };

extern struct library library_xkbcommon;

struct entry {
    u32 keysym, unicode; /* unicode 0: a dead key */
    u8 code, level;      /* bit 0: with Shift, bit 1: with AltGr */
};
struct layout {
    u32 count; /* 0: en-us, which needs no library */
    struct entry entries[MAX_ENTRIES];
};

/* QEMU's names, and xkb's. */
static const struct row {
    const char *name, *layout, *variant;
} rows[] = {
    {"en-us", NULL, NULL}, {"ar", "ara", NULL},   {"bepo", "fr", "bepo"}, {"cz", "cz", NULL},
    {"da", "dk", NULL},    {"de", "de", NULL},    {"de-ch", "ch", NULL},  {"en-gb", "gb", NULL},
    {"es", "es", NULL},    {"et", "ee", NULL},    {"fi", "fi", NULL},     {"fo", "fo", NULL},
    {"fr", "fr", NULL},    {"fr-be", "be", NULL}, {"fr-ca", "ca", NULL},  {"fr-ch", "ch", "fr"},
    {"hr", "hr", NULL},    {"hu", "hu", NULL},    {"is", "is", NULL},     {"it", "it", NULL},
    {"ja", "jp", NULL},    {"lt", "lt", NULL},    {"lv", "lv", NULL},     {"mk", "mk", NULL},
    {"nl", "nl", NULL},    {"no", "no", NULL},    {"pl", "pl", NULL},     {"pt", "pt", NULL},
    {"pt-br", "br", NULL}, {"ru", "ru", NULL},    {"sl", "si", NULL},     {"sv", "se", NULL},
    {"th", "th", NULL},    {"tr", "tr", NULL},
};

static const struct row *row_named(const char *name)
{
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
        if (!strcmp(rows[i].name, name ? name : "en-us"))
            return &rows[i];
    return NULL;
}

void layout_check(const char *option, const char *name)
{
    if (!row_named(name))
        refuse_name(option, name, rows, sizeof(rows[0]), ARRAY_SIZE(rows));
}

/* ---- Characters ---- */

static void add_key(struct layout *l, struct xkb_keymap *map, u32 code)
{
    for (u32 level = 0; level < LEVELS; level++) {
        const xkb_keysym_t *syms;

        if (xkb_keymap_key_get_syms_by_level(map, code + EVDEV, 0, level, &syms) == 1)
            l->entries[l->count++] =
                (struct entry){syms[0], xkb_keysym_to_utf32(syms[0]), (u8)code, (u8)level};
    }
}

static const char *read_layout(struct layout *l, const struct row *row)
{
    struct xkb_rule_names names = {.layout = row->layout, .variant = row->variant};
    struct xkb_context *context;
    struct xkb_keymap *map;
    const char *missing = library_missing(&library_xkbcommon);

    if (missing)
        return missing;
    context = xkb_context_new(XKB_CONTEXT_NO_FLAGS);
    map = context ? xkb_keymap_new_from_names(context, &names, XKB_KEYMAP_COMPILE_NO_FLAGS)
                  : NULL;
    for (u32 code = 2; map && code <= LAST_PLACE; code++)
        add_key(l, map, code);
    if (map)
        xkb_keymap_unref(map);
    if (context)
        xkb_context_unref(context);
    return map ? NULL : "the host does not describe this layout (apt-get install xkb-data)";
}

struct layout *layout_new(const char *name, const char **error)
{
    const struct row *row = row_named(name);
    struct layout *l = calloc(1, sizeof(*l));

    check(l, "no memory for a keyboard layout");
    *error = !row ? "no such layout" : row->layout ? read_layout(l, row) : NULL;
    if (!*error)
        return l;
    free(l);
    return NULL;
}

void layout_free(struct layout *l)
{
    free(l);
}

/* Level by level: what can be typed without Shift is. */
static const struct entry *entry_of(const struct layout *l, u32 keysym)
{
    u32 unicode = xkb_keysym_to_utf32(keysym);

    for (u32 level = 0; level < LEVELS; level++)
        for (u32 i = 0; i < l->count; i++) {
            const struct entry *e = &l->entries[i];

            if (e->level == level &&
                (e->keysym == keysym || (unicode && e->unicode == unicode)))
                return e;
        }
    return NULL;
}

/* ---- Keys without a character ---- */

static const struct named {
    u32 keysym;
    const char *name; /* of keys.def */
} nameds[] = {
    {XKB_KEY_BackSpace, "backspace"},
    {XKB_KEY_Tab, "tab"},
    {XKB_KEY_ISO_Left_Tab, "tab"},
    {XKB_KEY_Return, "ret"},
    {XKB_KEY_Escape, "esc"},
    {XKB_KEY_Pause, "pause"},
    {XKB_KEY_Break, "pause"},
    {XKB_KEY_Scroll_Lock, "scroll_lock"},
    {XKB_KEY_Print, "print"},
    {XKB_KEY_Sys_Req, "sysrq"},
    {XKB_KEY_Delete, "delete"},
    {XKB_KEY_Home, "home"},
    {XKB_KEY_Left, "left"},
    {XKB_KEY_Up, "up"},
    {XKB_KEY_Right, "right"},
    {XKB_KEY_Down, "down"},
    {XKB_KEY_Page_Up, "pgup"},
    {XKB_KEY_Page_Down, "pgdn"},
    {XKB_KEY_End, "end"},
    {XKB_KEY_Insert, "insert"},
    {XKB_KEY_Num_Lock, "num_lock"},
    {XKB_KEY_Menu, "menu"},
    {XKB_KEY_F1, "f1"},
    {XKB_KEY_F2, "f2"},
    {XKB_KEY_F3, "f3"},
    {XKB_KEY_F4, "f4"},
    {XKB_KEY_F5, "f5"},
    {XKB_KEY_F6, "f6"},
    {XKB_KEY_F7, "f7"},
    {XKB_KEY_F8, "f8"},
    {XKB_KEY_F9, "f9"},
    {XKB_KEY_F10, "f10"},
    {XKB_KEY_F11, "f11"},
    {XKB_KEY_F12, "f12"},
    {XKB_KEY_Shift_L, "shift"},
    {XKB_KEY_Shift_R, "shift_r"},
    {XKB_KEY_Control_L, "ctrl"},
    {XKB_KEY_Control_R, "ctrl_r"},
    {XKB_KEY_Caps_Lock, "caps_lock"},
    {XKB_KEY_Alt_L, "alt"},
    {XKB_KEY_Meta_L, "alt"},
    {XKB_KEY_Alt_R, "alt_r"},
    {XKB_KEY_Meta_R, "alt_r"},
    {XKB_KEY_ISO_Level3_Shift, "alt_r"},
    {XKB_KEY_Mode_switch, "alt_r"},
    {XKB_KEY_Super_L, "meta_l"},
    {XKB_KEY_Super_R, "meta_r"},
    {XKB_KEY_KP_Enter, "kp_enter"},
    {XKB_KEY_KP_Multiply, "kp_multiply"},
    {XKB_KEY_KP_Add, "kp_add"},
    {XKB_KEY_KP_Subtract, "kp_subtract"},
    {XKB_KEY_KP_Decimal, "kp_decimal"},
    {XKB_KEY_KP_Separator, "kp_decimal"},
    {XKB_KEY_KP_Divide, "kp_divide"},
    {XKB_KEY_KP_0, "kp_0"},
    {XKB_KEY_KP_1, "kp_1"},
    {XKB_KEY_KP_2, "kp_2"},
    {XKB_KEY_KP_3, "kp_3"},
    {XKB_KEY_KP_4, "kp_4"},
    {XKB_KEY_KP_5, "kp_5"},
    {XKB_KEY_KP_6, "kp_6"},
    {XKB_KEY_KP_7, "kp_7"},
    {XKB_KEY_KP_8, "kp_8"},
    {XKB_KEY_KP_9, "kp_9"},
    {XKB_KEY_KP_Insert, "kp_0"},
    {XKB_KEY_KP_End, "kp_1"},
    {XKB_KEY_KP_Down, "kp_2"},
    {XKB_KEY_KP_Page_Down, "kp_3"},
    {XKB_KEY_KP_Left, "kp_4"},
    {XKB_KEY_KP_Begin, "kp_5"},
    {XKB_KEY_KP_Right, "kp_6"},
    {XKB_KEY_KP_Home, "kp_7"},
    {XKB_KEY_KP_Up, "kp_8"},
    {XKB_KEY_KP_Page_Up, "kp_9"},
    {XKB_KEY_KP_Delete, "kp_decimal"},
};

struct layout_key layout_find(const struct layout *l, u32 keysym)
{
    struct layout_key k = {KEY_NONE};
    const struct entry *e;

    for (u32 i = 0; i < ARRAY_SIZE(nameds); i++)
        if (nameds[i].keysym == keysym)
            return (struct layout_key){.code = key_from_name(nameds[i].name)};
    k.character = true;
    if (!l->count) {
        k.code =
            keysym >= 0x20 && keysym < 0x7f ? key_from_ascii((int)keysym, &k.shift) : KEY_NONE;
        return k;
    }
    e = entry_of(l, keysym);
    if (e)
        k = (struct layout_key){e->code, e->level & 1, e->level >> 1, true};
    return k;
}
