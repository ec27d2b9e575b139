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

/* ---- Arguments and answers (qmp_values.c) ---- */

const char *qmp_arg_string(struct qmp_call *call, const char *name); /* NULL: not there */
i64 qmp_arg_int(struct qmp_call *call, const char *name, i64 otherwise);
bool qmp_arg_bool(struct qmp_call *call, const char *name); /* not there: false */
void qmp_reply_error(struct qmp_call *call, const char *class, const char *fmt, ...)
    PRINTF(3, 4);
/* error: NULL, or what a control_ function says went wrong. */
void qmp_reply_outcome(struct qmp_call *call, const char *error);
void qmp_put_string(struct json_object *o, const char *key, const char *val);
void qmp_put_int(struct json_object *o, const char *key, i64 val);
void qmp_put_bool(struct json_object *o, const char *key, bool val);
/* device= or id=; NULL with the error set where there is no such drive. */
const char *qmp_drive_arg(struct qmp_call *call);

/* A node of blockdev-add (qmp_block.c); false: there is none of that name. */
bool qmp_block_node(struct machine *m, const char *name, const char **file, const char **format);

/* ---- Commands ---- */

/* One command. args: "name:type", "?" behind an optional one, separated by blanks; types are s
 * string, i integer, b boolean, a array, o object; " *" at the end: and any others. */
struct qmp_command {
    const char *name, *args;
    void (*run)(struct qmp_call *call);
};
extern const struct qmp_command qmp_commands[]; /* ends with name NULL */

/* Takes the next "name:type?" off a row's args; false at their end. */
struct qmp_spec {
    char name[32];
    char type;
    bool optional;
};
bool qmp_next_spec(const char **list, struct qmp_spec *spec);

/* The events that are ever sent; ends with NULL (qmp.c). */
extern const char *const qmp_events[];

/* Rows that live in files of their own. */
#define QMP_RUN(name) void name(struct qmp_call *call)
QMP_RUN(qmp_query_vnc); /* qmp_vnc.c */
QMP_RUN(qmp_query_vnc_servers);
QMP_RUN(qmp_change_vnc_password);
QMP_RUN(qmp_set_password);
QMP_RUN(qmp_query_block); /* qmp_block.c */
QMP_RUN(qmp_query_blockstats);
QMP_RUN(qmp_snapshot_sync);
QMP_RUN(qmp_blockdev_add);
QMP_RUN(qmp_blockdev_del);
QMP_RUN(qmp_insert_medium);
QMP_RUN(qmp_remove_medium);
QMP_RUN(qmp_open_tray);
QMP_RUN(qmp_close_tray);
QMP_RUN(qmp_query_chardev); /* qmp_queries.c */
QMP_RUN(qmp_ringbuf_write); /* qmp_ringbuf.c */
QMP_RUN(qmp_ringbuf_read);
QMP_RUN(qmp_query_cpus_fast); /* qmp_queries.c */
QMP_RUN(qmp_query_pci);
QMP_RUN(qmp_query_mice);
QMP_RUN(qmp_query_name);
QMP_RUN(qmp_query_kvm);
QMP_RUN(qmp_query_current_machine);
QMP_RUN(qmp_query_target);
QMP_RUN(qmp_query_memory);
QMP_RUN(qmp_query_uuid);
QMP_RUN(qmp_query_events);
QMP_RUN(qmp_query_none);
QMP_RUN(qmp_query_schema); /* qmp_schema.c */
QMP_RUN(qmp_input_send_event); /* qmp_input.c */
u16 qmp_key_value(struct json_object *key); /* a KeyValue; KEY_NONE: none we have */

/* Looks the command up, checks its arguments and runs it. */
void qmp_run(struct qmp_call *call, const char *name);

#endif
