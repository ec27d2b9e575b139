/*
 * The user's keys and pointer go to the keyboard controller.
 */
#include "runtime/machine/input.h"
#include "devices/i8042.h"
#include "runtime/machine/machine.h"

void machine_input(struct machine *m, const struct input_event *e)
{
    if (!m->i8042)
        return;
    if (e->kind == INPUT_KEY)
        i8042_key(m->i8042, e->key, e->down);
    else
        i8042_mouse(m->i8042, e->dx, e->dy, e->wheel, e->buttons);
}
