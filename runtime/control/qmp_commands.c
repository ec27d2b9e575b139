/*
 * QMP's commands, one row each: its arguments, checked before it runs, and what it answers.
 */
#include "runtime/control/qmp_commands.h"
#include "runtime/control/control.h"
#include "runtime/control/hmp.h"
#include "runtime/control/keyqueue.h"
#include "runtime/control/keys.h"
#include "runtime/control/screenshot.h"
#include "runtime/control/vnc_control.h"
#include "runtime/machine/machine.h"
#include "runtime/machine/tcdump.h"
#include "runtime/storage/formats.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- Arguments and answers ---- */

static const char *arg_string(struct qmp_call *call, const char *name)
{
    struct json_object *val;

    return json_object_object_get_ex(call->args, name, &val) ? json_object_get_string(val)
                                                             : NULL;
}

static i64 arg_int(struct qmp_call *call, const char *name, i64 otherwise)
{
    struct json_object *val;

    return json_object_object_get_ex(call->args, name, &val) ? json_object_get_int64(val)
                                                             : otherwise;
}

static bool arg_bool(struct qmp_call *call, const char *name)
{
    struct json_object *val;

    return json_object_object_get_ex(call->args, name, &val) && json_object_get_boolean(val);
}

static void reply_error(struct qmp_call *call, const char *class, const char *fmt, ...)
    PRINTF(3, 4);
static void reply_error(struct qmp_call *call, const char *class, const char *fmt, ...)
{
    va_list ap;

    call->class = class;
    va_start(ap, fmt);
    vsnprintf(call->error, sizeof(call->error), fmt, ap);
    va_end(ap);
}

/* error: NULL, or what a control_ function says went wrong. */
static void reply_outcome(struct qmp_call *call, const char *error)
{
    if (error)
        reply_error(call, "GenericError", "%s", error);
}

static void put_string(struct json_object *o, const char *key, const char *val)
{
    json_object_object_add(o, key, json_object_new_string(val));
}

static void put_int(struct json_object *o, const char *key, i64 val)
{
    json_object_object_add(o, key, json_object_new_int64(val));
}

static void put_bool(struct json_object *o, const char *key, bool val)
{
    json_object_object_add(o, key, json_object_new_boolean(val));
}

/* ---- Asking ---- */

static void query_status(struct qmp_call *call)
{
    call->result = json_object_new_object();
    put_string(call->result, "status", control_status(call->machine));
    put_bool(call->result, "singlestep", false);
    put_bool(call->result, "running", call->machine->state == RUN_RUNNING);
}

/* The member is called "qemu" in the protocol; the figures are ours. */
static void query_version(struct qmp_call *call)
{
    struct json_object *version = json_object_new_object();
    int major = 0, minor = 0;

    sscanf(RING3_VERSION, "%d.%d", &major, &minor);
    put_int(version, "micro", 0);
    put_int(version, "minor", minor);
    put_int(version, "major", major);
    call->result = json_object_new_object();
    json_object_object_add(call->result, "qemu", version);
    put_string(call->result, "package", "ring3");
}

static void query_commands(struct qmp_call *call)
{
    call->result = json_object_new_array();
    for (const struct qmp_command *c = qmp_commands; c->name; c++) {
        struct json_object *row = json_object_new_object();

        put_string(row, "name", c->name);
        json_object_array_add(call->result, row);
    }
}

/* As -stats has it. */
static void ask_stats(struct qmp_call *call)
{
    call->result = stats_tree(call->machine);
}

static void run_dump_tc(struct qmp_call *call)
{
    reply_outcome(call, tcdump_write(call->machine, arg_string(call, "filename"),
                                     arg_bool(call, "listing")));
}

/* ---- Running and standing ---- */

static void run_stop(struct qmp_call *call)
{
    control_stop(call->machine);
}

static void run_cont(struct qmp_call *call)
{
    control_cont(call->machine);
}

static void run_reset(struct qmp_call *call)
{
    control_reset(call->machine);
}

static void run_powerdown(struct qmp_call *call)
{
    control_powerdown(call->machine);
}

static void run_quit(struct qmp_call *call)
{
    control_quit(call->machine, "host-qmp-quit");
}

/* ---- Keys ---- */

static u16 key_value(struct json_object *key)
{
    struct json_object *type, *data;

    if (!json_object_object_get_ex(key, "type", &type) || !type ||
        !json_object_object_get_ex(key, "data", &data) || !data)
        return KEY_NONE;
    if (!strcmp(json_object_get_string(type), "qcode"))
        return key_from_name(json_object_get_string(data));
    if (!strcmp(json_object_get_string(type), "number")) {
        char raw[16];

        snprintf(raw, sizeof(raw), "0x%x", json_object_get_int(data) & 0xff);
        return key_from_name(raw);
    }
    return KEY_NONE;
}

static void run_send_key(struct qmp_call *call)
{
    i64 hold = arg_int(call, "hold-time", 0);
    struct json_object *list;
    u16 codes[16];
    u32 n;

    json_object_object_get_ex(call->args, "keys", &list);
    n = (u32)json_object_array_length(list);
    if (n > ARRAY_SIZE(codes)) {
        reply_error(call, "GenericError", "Parameter 'keys' has more than %zu keys",
                    ARRAY_SIZE(codes));
        return;
    }
    for (u32 i = 0; i < n; i++) {
        struct json_object *key = json_object_array_get_idx(list, i);

        codes[i] = key_value(key);
        if (codes[i] == KEY_NONE) {
            reply_error(call, "GenericError", "Invalid parameter '%s'",
                        json_object_to_json_string(key));
            return;
        }
    }
    reply_outcome(call, control_send_keys(call->machine, codes, n, key_hold(hold)));
}

/* ---- Looking in ---- */

static void run_screendump(struct qmp_call *call)
{
    const char *format = arg_string(call, "format");

    if (format && strcmp(format, "ppm") && strcmp(format, "png")) {
        reply_error(call, "GenericError", "Parameter 'format' does not accept value '%s'",
                    format);
        return;
    }
    reply_outcome(call, screen_dump(call->machine, arg_string(call, "filename"),
                           format && !strcmp(format, "png")));
}

static void run_pmemsave(struct qmp_call *call)
{
    reply_outcome(call, control_pmemsave(call->machine, (u64)arg_int(call, "val", 0),
                                (u64)arg_int(call, "size", 0), arg_string(call, "filename")));
}

static void run_memsave(struct qmp_call *call)
{
    u64 address = (u64)arg_int(call, "val", 0);

    if (arg_int(call, "cpu-index", 0)) {
        reply_error(call, "GenericError",
                    "Parameter 'cpu-index' expects a CPU number: there is only 0");
        return;
    }
    if (address > UINT32_MAX) {
        reply_error(call, "GenericError", "Invalid addr %#llx specified",
                    (unsigned long long)address);
        return;
    }
    reply_outcome(call,
                  control_memsave(call->machine, (gla_t)address, (u64)arg_int(call, "size", 0),
                                  arg_string(call, "filename")));
}

static void run_hmp(struct qmp_call *call)
{
    char *said = hmp_run(call->machine, arg_string(call, "command-line"));
    struct json_object *text;
    char *crlf = malloc(2 * strlen(said) + 1), *out = crlf;

    check(crlf, "out of memory");
    for (const char *p = said; *p; p++) {
        if (*p == '\n')
            *out++ = '\r';
        *out++ = *p;
    }
    text = json_object_new_string_len(crlf, (int)(out - crlf));
    free(crlf);
    free(said);
    call->result = text;
}

/* ---- Media ---- */

/* device= or id=; NULL with the error set where there is no such drive. */
static const char *drive_arg(struct qmp_call *call)
{
    const char *name = arg_string(call, "device");

    if (!name)
        name = arg_string(call, "id");
    if (!name) {
        reply_error(call, "GenericError", "Need exactly one of 'device' and 'id'");
        return NULL;
    }
    if (!control_drive(call->machine, name)) {
        reply_error(call, "DeviceNotFound", "Device '%s' not found", name);
        return NULL;
    }
    return name;
}

static void run_eject(struct qmp_call *call)
{
    const char *name = drive_arg(call);

    if (name)
        reply_outcome(call, control_eject(call->machine, name, arg_bool(call, "force")));
}

static void run_change(struct qmp_call *call)
{
    const char *name = drive_arg(call), *format = arg_string(call, "format");

    if (name && format && !image_format_named(format))
        reply_error(call, "GenericError", "Unknown driver '%s'", format);
    else if (name)
        reply_outcome(call, control_change(call->machine, name, arg_string(call, "filename"),
                                           format, arg_bool(call, "force")));
}

static void run_set_link(struct qmp_call *call)
{
    reply_outcome(
        call, control_set_link(call->machine, arg_string(call, "name"), arg_bool(call, "up")));
}

/* ---- VNC ---- */

static void set_vnc_password(struct qmp_call *call, const char *password, bool disconnect)
{
    struct vnc_control *vnc = call->machine->vnc;

    reply_outcome(call, vnc ? vnc->set_password(vnc, password, disconnect) :
                              "No VNC display is present");
}

static void run_change_vnc_password(struct qmp_call *call)
{
    set_vnc_password(call, arg_string(call, "password"), false);
}

static void run_set_password(struct qmp_call *call)
{
    const char *protocol = arg_string(call, "protocol"),
               *connected = arg_string(call, "connected");

    if (strcmp(protocol, "vnc"))
        reply_error(call, "GenericError", "Parameter 'protocol' does not accept value '%s'",
                    protocol);
    else if (connected && strcmp(connected, "keep") && strcmp(connected, "disconnect"))
        reply_error(call, "GenericError", "Parameter 'connected' does not accept value '%s'",
                    connected);
    else
        set_vnc_password(call, arg_string(call, "password"),
                         connected && !strcmp(connected, "disconnect"));
}

/* "HOST:PORT", parted. */
static void put_address(struct json_object *o, const struct vnc_control *vnc)
{
    const char *colon = strrchr(vnc->where, ':');
    char host[128];

    if (vnc->local) {
        put_string(o, "host", vnc->where);
        put_string(o, "service", "");
        put_string(o, "family", "unix");
        return;
    }
    snprintf(host, sizeof(host), "%.*s", (int)(colon - vnc->where), vnc->where);
    put_string(o, "host", host[0] ? host : "127.0.0.1");
    put_string(o, "service", colon + 1);
    put_string(o, "family", strchr(host, ':') ? "ipv6" : "ipv4");
}

static void query_vnc(struct qmp_call *call)
{
    struct vnc_control *vnc = call->machine->vnc;
    struct json_object *clients;
    struct vnc_viewer viewers[16];
    u32 n;

    call->result = json_object_new_object();
    put_bool(call->result, "enabled", vnc);
    if (!vnc)
        return;
    put_address(call->result, vnc);
    put_string(call->result, "auth", vnc->authenticates ? "vnc" : "none");
    clients = json_object_new_array();
    n = vnc->viewers(vnc, viewers, ARRAY_SIZE(viewers));
    for (u32 i = 0; i < n; i++) {
        struct json_object *client = json_object_new_object();

        put_string(client, "host", viewers[i].address);
        put_string(client, "service", "");
        put_string(client, "family", vnc->local                         ? "unix" :
                                     strchr(viewers[i].address, ':') ? "ipv6" : "ipv4");
        put_bool(client, "websocket", false);
        if (viewers[i].in)
            json_object_array_add(clients, client);
        else
            json_object_put(client);
    }
    json_object_object_add(call->result, "clients", clients);
}

/* qmp_capabilities is the server's own (qmp.c): it never gets here. */
static void run_nothing(struct qmp_call *call)
{
}

/* ---- The table ---- */

/* clang-format off */
const struct qmp_command qmp_commands[] = {
    { "qmp_capabilities",        "enable:a?",                                   run_nothing },
    { "query-status",            "",                                            query_status },
    { "query-version",           "",                                            query_version },
    { "query-commands",          "",                                            query_commands },
    { "stop",                    "",                                            run_stop },
    { "cont",                    "",                                            run_cont },
    { "system_reset",            "",                                            run_reset },
    { "system_powerdown",        "",                                            run_powerdown },
    { "quit",                    "",                                            run_quit },
    { "send-key",                "keys:a hold-time:i?",                         run_send_key },
    { "screendump",              "filename:s device:s? head:i? format:s?",      run_screendump },
    { "pmemsave",                "val:i size:i filename:s",                     run_pmemsave },
    { "memsave",                 "val:i size:i filename:s cpu-index:i?",        run_memsave },
    { "eject",                   "device:s? id:s? force:b?",                    run_eject },
    { "blockdev-change-medium",  "filename:s device:s? id:s? format:s? force:b? read-only-mode:s?",
                                                                                run_change },
    { "set_link",                "name:s up:b",                                 run_set_link },
    { "query-vnc",               "",                                            query_vnc },
    { "change-vnc-password",     "password:s",                                  run_change_vnc_password },
    { "set_password",            "protocol:s password:s connected:s? display:s?", run_set_password },
    { "human-monitor-command",   "command-line:s cpu-index:i?",                 run_hmp },
    { "x-ring3-stats",           "",                                            ask_stats },
    { "x-ring3-dump-tc",         "filename:s listing:b?",                       run_dump_tc },
    { NULL, NULL, NULL },
};
/* clang-format on */

struct arg_spec {
    char name[32];
    char type;
    bool optional;
};

/* Takes the next "name:type?" off the list; false at its end. */
static bool next_spec(const char **list, struct arg_spec *spec)
{
    int n = 0;

    if (sscanf(*list, " %31[^:]:%c%n", spec->name, &spec->type, &n) != 2)
        return false;
    *list += n;
    spec->optional = **list == '?';
    *list += spec->optional;
    return true;
}

static const struct {
    char letter;
    enum json_type type;
    const char *name;
} types[] = {
    { 's', json_type_string, "string" }, { 'i', json_type_int, "integer" },
    { 'b', json_type_boolean, "boolean" }, { 'a', json_type_array, "array" },
};

static void check_type(struct qmp_call *call, const struct arg_spec *spec,
                       struct json_object *val)
{
    for (u32 i = 0; i < ARRAY_SIZE(types); i++)
        if (types[i].letter == spec->type && !json_object_is_type(val, types[i].type))
            reply_error(call, "GenericError", "Invalid parameter type for '%s', expected: %s",
                        spec->name, types[i].name);
}

static bool in_list(const char *list, const char *name)
{
    struct arg_spec spec;

    while (next_spec(&list, &spec))
        if (!strcmp(spec.name, name))
            return true;
    return false;
}

static void check_unexpected(struct qmp_call *call, const char *list)
{
    json_object_object_foreach(call->args, key, unused)
    {
        (void)unused;
        if (!in_list(list, key))
            reply_error(call, "GenericError", "Parameter '%s' is unexpected", key);
    }
}

static bool check_args(struct qmp_call *call, const char *list)
{
    struct json_object *val;
    struct arg_spec spec;
    const char *rest = list;

    while (next_spec(&rest, &spec) && !call->error[0]) {
        if (json_object_object_get_ex(call->args, spec.name, &val))
            check_type(call, &spec, val);
        else if (!spec.optional)
            reply_error(call, "GenericError", "Parameter '%s' is missing", spec.name);
    }
    if (call->args && !call->error[0])
        check_unexpected(call, list);
    return !call->error[0];
}

void qmp_run(struct qmp_call *call, const char *name)
{
    for (const struct qmp_command *c = qmp_commands; c->name; c++)
        if (!strcmp(c->name, name)) {
            if (check_args(call, c->args))
                c->run(call);
            return;
        }
    reply_error(call, "CommandNotFound", "The command %s has not been found", name);
}
