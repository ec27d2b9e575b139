/*
 * The user's keys and pointer go to the keyboard controller; the pointer to a serial mouse that
 * the guest has switched on; its place to the backdoor's mouse, where the guest has taken that.
 * A key or a button wakes a suspended machine.
 */
#include "runtime/machine/input.h"
#include "devices/i8042.h"
#include "devices/msmouse.h"
#include "devices/piix4.h"
#include "devices/vmport.h"
#include "runtime/machine/machine.h"

bool machine_follows_places(const struct machine *m)
{
    return m->vmport && vmport_wants_places(m->vmport);
}

u16 input_place(int at, u32 size)
{
    if (at <= 0 || size < 2)
        return 0;
    return (u32)at >= size ? 0xffff : (u16)((u64)at * 0xffff / (size - 1));
}

/* A serial mouse that the guest has switched on has the motion to itself. */
static bool serial_mouse(struct machine *m, const struct input_event *e)
{
    struct device *mouse;
    bool taken = false;

    for (u32 i = 0; (mouse = device_find(m, &msmouse_class, i)); i++)
        taken |= msmouse_move(mouse, e->dx, e->dy, e->buttons);
    return taken;
}

static void pointer(struct machine *m, const struct input_event *e)
{
    if (serial_mouse(m, e))
        return;
    if (e->placed && machine_follows_places(m))
        vmport_place(m->vmport, e->x, e->y, e->wheel, e->buttons);
    else if (!m->vmport || !vmport_move(m->vmport, e->dx, e->dy, e->wheel, e->buttons))
        i8042_mouse(m->i8042, e->dx, e->dy, e->wheel, e->buttons);
}

void machine_input(struct machine *m, const struct input_event *e)
{
    if (!m->i8042)
        return;
    if (m->piix4 && (e->kind == INPUT_KEY ? e->down : e->buttons))
        piix4_wake(m->piix4);
    if (e->kind == INPUT_KEY)
        i8042_key(m->i8042, e->key, e->down);
    else
        pointer(m, e);
}
