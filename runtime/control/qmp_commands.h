/*
 * Inside QMP: the server (qmp.c) gives a command its arguments, a row of qmp_commands.c
 * answers.
 */
#ifndef RING3_QMP_COMMANDS_H
#define RING3_QMP_COMMANDS_H

#include "runtime/base/base.h"

#include <json-c/json.h>

struct qmp_call {
    struct machine *machine;
    struct json_object *args; /* the command's arguments, or NULL; checked against the row */
    struct json_object *result; /* what the row answers; NULL: {} */
    const char *class;        /* of an error, when error[0] */
    char error[512];
};

/* One command. args: "name:type", "?" behind an optional one, separated by blanks; types are s
 * string, i integer, b boolean, a array. */
struct qmp_command {
    const char *name, *args;
    void (*run)(struct qmp_call *call);
};
extern const struct qmp_command qmp_commands[]; /* ends with name NULL */

/* Looks the command up, checks its arguments and runs it. */
void qmp_run(struct qmp_call *call, const char *name);

#endif
