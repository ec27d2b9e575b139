/*
 * QMP's values: a command's arguments, and what it answers.
 */
#include "runtime/control/qmp_commands.h"

#include <stdarg.h>

const char *qmp_arg_string(struct qmp_call *call, const char *name)
{
    struct json_object *val;

    return json_object_object_get_ex(call->args, name, &val) ? json_object_get_string(val)
                                                             : NULL;
}

i64 qmp_arg_int(struct qmp_call *call, const char *name, i64 otherwise)
{
    struct json_object *val;

    return json_object_object_get_ex(call->args, name, &val) ? json_object_get_int64(val)
                                                             : otherwise;
}

bool qmp_arg_bool(struct qmp_call *call, const char *name)
{
    struct json_object *val;

    return json_object_object_get_ex(call->args, name, &val) && json_object_get_boolean(val);
}

void qmp_reply_error(struct qmp_call *call, const char *class, const char *fmt, ...)
{
    va_list ap;

    call->class = class;
    va_start(ap, fmt);
    vsnprintf(call->error, sizeof(call->error), fmt, ap);
    va_end(ap);
}

void qmp_reply_outcome(struct qmp_call *call, const char *error)
{
    if (error)
        qmp_reply_error(call, "GenericError", "%s", error);
}

void qmp_put_string(struct json_object *o, const char *key, const char *val)
{
    json_object_object_add(o, key, json_object_new_string(val));
}

void qmp_put_int(struct json_object *o, const char *key, i64 val)
{
    json_object_object_add(o, key, json_object_new_int64(val));
}

void qmp_put_bool(struct json_object *o, const char *key, bool val)
{
    json_object_object_add(o, key, json_object_new_boolean(val));
}
