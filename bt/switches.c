/*
 * The translator's ideas, taken away one at a time: -engine bt,KEY=VALUE.
 */
#include "bt/adapt.h"
#include "bt/bt.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_INSNS = 12, MOST_SPACES = 128 };

static const struct {
    const char *key;
    size_t offset; /* of a bool in struct engine_switches, which "off" sets */
} ideas[] = {
    {"adapt", offsetof(struct engine_switches, no_adapt)},
    {"chain", offsetof(struct engine_switches, no_chain)},
    {"returns", offsetof(struct engine_switches, no_returns)},
    {"inline", offsetof(struct engine_switches, no_inline)},
    {"memo", offsetof(struct engine_switches, no_memo)},
    {"fast-callouts", offsetof(struct engine_switches, no_fast)},
    {"user-maps", offsetof(struct engine_switches, no_user_maps)},
    {"pic", offsetof(struct engine_switches, no_pic)},
    {"thunks", offsetof(struct engine_switches, no_thunks)},
};

static bool number(const char *value, u32 most, u32 *to)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    *to = (u32)n;
    return end != value && !*end && n >= 1 && n <= most;
}

/* Forms that any operand may take. */
static bool form(const char *value, u8 *to)
{
    for (u32 i = FORM_MAPPED; i < FORM_TRAP; i++)
        if (!strcmp(value, form_name(i))) {
            *to = (u8)i;
            return true;
        }
    return false;
}

const char *bt_switch(struct engine_switches *s, const char *key, const char *value)
{
    for (u32 i = 0; i < ARRAY_SIZE(ideas); i++)
        if (!strcmp(key, ideas[i].key)) {
            *((bool *)s + ideas[i].offset) = !strcmp(value, "off");
            return strcmp(value, "on") && strcmp(value, "off") ? "on or off" : NULL;
        }
    if (!strcmp(key, "tu"))
        return number(value, MOST_INSNS, &s->max_insns) ? NULL
                                                        : "a number of instructions, 1 to 12";
    if (!strcmp(key, "spaces"))
        return number(value, MOST_SPACES, &s->spaces) ? NULL
                                                      : "a number of address spaces, 1 to 128";
    if (!strcmp(key, "form"))
        return form(value, &s->form) ? NULL
                                     : "mapped, table, checked, mapped-unaligned, unaligned, "
                                       "checked-unaligned or callout";
    return "adapt, chain, returns, inline, memo, fast-callouts, user-maps, pic, thunks, tu, "
           "spaces or form";
}

void bt_take_switches(struct bt_config *c, const struct engine_switches *s)
{
    c->max_insns = s->max_insns ? s->max_insns : c->max_insns;
    c->force_form = s->form ? s->form : c->force_form;
    c->pic = s->no_pic ? PIC_NONE : c->pic;
    c->no_chaining |= s->no_chain;
    c->no_adapt |= s->no_adapt;
    c->no_returns |= s->no_returns;
    c->no_inline |= s->no_inline;
    c->no_memo |= s->no_memo;
    c->no_fast |= s->no_fast;
    c->no_thunks |= s->no_thunks;
}

void bt_take_trap(struct bt_config *c)
{
    c->trap = c->no_adapt = c->no_memo = c->no_fast = true;
}
