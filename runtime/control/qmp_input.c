/*
 * input-send-event: keys, buttons and motion, one by one. All of them are looked at before the
 * first goes to the guest.
 */
#include "runtime/control/keys.h"
#include "runtime/control/qmp_commands.h"
#include "runtime/machine/input.h"
#include "runtime/machine/machine.h"

#include <string.h>

enum { MAX_EVENTS = 64 };

static const char *member(struct json_object *o, const char *name)
{
    struct json_object *val;

    return json_object_object_get_ex(o, name, &val) &&
                   json_object_is_type(val, json_type_string)
               ? json_object_get_string(val)
               : "";
}

static bool flag(struct json_object *o, const char *name)
{
    struct json_object *val;

    return json_object_object_get_ex(o, name, &val) && json_object_get_boolean(val);
}

u16 qmp_key_value(struct json_object *key)
{
    struct json_object *data;
    char raw[16];

    if (!json_object_object_get_ex(key, "data", &data) || !data)
        return KEY_NONE;
    if (!strcmp(member(key, "type"), "qcode"))
        return key_from_name(json_object_get_string(data));
    if (strcmp(member(key, "type"), "number"))
        return KEY_NONE;
    snprintf(raw, sizeof(raw), "0x%x", (u32)json_object_get_int(data) & 0xff);
    return key_from_name(raw);
}

static bool read_key(struct json_object *data, struct input_event *e)
{
    struct json_object *key;

    e->kind = INPUT_KEY;
    e->down = flag(data, "down");
    if (!json_object_object_get_ex(data, "key", &key))
        return false;
    e->key = qmp_key_value(key);
    return e->key != KEY_NONE;
}

/* The wheel turns where its button goes down. */
static bool read_button(struct json_object *data, struct input_event *e, u8 *held)
{
    static const char *const names[] = {"left", "right", "middle"};
    const char *name = member(data, "button");
    bool down = flag(data, "down");

    for (u32 i = 0; i < ARRAY_SIZE(names); i++)
        if (!strcmp(name, names[i])) {
            *held = (u8)(down ? *held | 1u << i : *held & ~(1u << i));
            return true;
        }
    if (strcmp(name, "wheel-up") && strcmp(name, "wheel-down"))
        return false;
    e->wheel = !down ? 0 : !strcmp(name, "wheel-up") ? -1 : 1;
    return true;
}

static bool read_motion(struct json_object *data, struct input_event *e)
{
    struct json_object *val;
    const char *axis = member(data, "axis");
    i64 n;

    if (!json_object_object_get_ex(data, "value", &val) ||
        (strcmp(axis, "x") && strcmp(axis, "y")))
        return false;
    n = json_object_get_int64(val);
    if (n < -0x7fff || n > 0x7fff)
        return false;
    *(axis[0] == 'x' ? &e->dx : &e->dy) = (int)n;
    return true;
}

/* NULL, or what is wrong with it. */
static const char *read_event(struct json_object *o, struct input_event *e, u8 *held)
{
    const char *type = member(o, "type");
    struct json_object *data;
    bool known = true, good = false;

    *e = (struct input_event){INPUT_POINTER};
    if (!json_object_object_get_ex(o, "data", &data))
        return "Parameter 'data' is missing";
    if (!strcmp(type, "key"))
        good = read_key(data, e);
    else if (!strcmp(type, "btn"))
        good = read_button(data, e, held);
    else if (!strcmp(type, "rel"))
        good = read_motion(data, e);
    else if (!strcmp(type, "abs"))
        return "Input handler not found for event type abs: the mouse is a PS/2 one";
    else
        known = false;
    e->buttons = *held;
    return !known ? "Invalid event type" : good ? NULL : "Invalid event data";
}

void qmp_input_send_event(struct qmp_call *call)
{
    struct input_event events[MAX_EVENTS];
    struct json_object *list;
    u8 held = call->machine->qmp_buttons;
    u32 n;

    json_object_object_get_ex(call->args, "events", &list);
    n = (u32)json_object_array_length(list);
    if (n > MAX_EVENTS) {
        qmp_reply_error(call, "GenericError", "Parameter 'events' has more than %u of them",
                        MAX_EVENTS);
        return;
    }
    for (u32 i = 0; i < n; i++) {
        const char *error = read_event(json_object_array_get_idx(list, i), &events[i], &held);

        if (error) {
            qmp_reply_error(call, "GenericError", "%s", error);
            return;
        }
    }
    for (u32 i = 0; i < n; i++)
        machine_input(call->machine, &events[i]);
    call->machine->qmp_buttons = held;
}
