/*
 * QMP's commands, one row each: its arguments, checked before it runs, and what it answers.
 */
#include "runtime/control/qmp_commands.h"
#include "runtime/control/control.h"
#include "runtime/control/hmp.h"
#include "runtime/control/hotplug.h"
#include "runtime/control/keyqueue.h"
#include "runtime/control/keys.h"
#include "runtime/control/screenshot.h"
#include "runtime/machine/machine.h"
#include "runtime/machine/tcdump.h"
#include "runtime/storage/formats.h"

#include <stdlib.h>
#include <string.h>

/* ---- Asking ---- */

static void query_status(struct qmp_call *call)
{
    call->result = json_object_new_object();
    qmp_put_string(call->result, "status", control_status(call->machine));
    qmp_put_bool(call->result, "singlestep", call->machine->options->one_insn);
    qmp_put_bool(call->result, "running", call->machine->state == RUN_RUNNING);
}

/* The member is called "qemu" in the protocol; the figures are ours. */
static void query_version(struct qmp_call *call)
{
    struct json_object *version = json_object_new_object();
    int major = 0, minor = 0;

    sscanf(RING3_VERSION, "%d.%d", &major, &minor);
    qmp_put_int(version, "micro", 0);
    qmp_put_int(version, "minor", minor);
    qmp_put_int(version, "major", major);
    call->result = json_object_new_object();
    json_object_object_add(call->result, "qemu", version);
    qmp_put_string(call->result, "package", "ring3");
}

static void query_commands(struct qmp_call *call)
{
    call->result = json_object_new_array();
    for (const struct qmp_command *c = qmp_commands; c->name; c++) {
        struct json_object *row = json_object_new_object();

        qmp_put_string(row, "name", c->name);
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
    qmp_reply_outcome(call, tcdump_write(call->machine, qmp_arg_string(call, "filename"),
                                     qmp_arg_bool(call, "listing")));
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

static void run_wakeup(struct qmp_call *call)
{
    qmp_reply_outcome(call, control_wakeup(call->machine));
}

static void run_quit(struct qmp_call *call)
{
    control_quit(call->machine, "host-qmp-quit");
}

/* ---- Keys ---- */

static void run_send_key(struct qmp_call *call)
{
    i64 hold = qmp_arg_int(call, "hold-time", 0);
    struct json_object *list;
    u16 codes[16];
    u32 n;

    json_object_object_get_ex(call->args, "keys", &list);
    n = (u32)json_object_array_length(list);
    if (n > ARRAY_SIZE(codes)) {
        qmp_reply_error(call, "GenericError", "Parameter 'keys' has more than %zu keys",
                    ARRAY_SIZE(codes));
        return;
    }
    for (u32 i = 0; i < n; i++) {
        struct json_object *key = json_object_array_get_idx(list, i);

        codes[i] = qmp_key_value(key);
        if (codes[i] == KEY_NONE) {
            qmp_reply_error(call, "GenericError", "Invalid parameter '%s'",
                        json_object_to_json_string(key));
            return;
        }
    }
    qmp_reply_outcome(call, control_send_keys(call->machine, codes, n, key_hold(hold)));
}

/* ---- Looking in ---- */

static void run_screendump(struct qmp_call *call)
{
    const char *format = qmp_arg_string(call, "format");

    if (format && strcmp(format, "ppm") && strcmp(format, "png")) {
        qmp_reply_error(call, "GenericError", "Parameter 'format' does not accept value '%s'",
                    format);
        return;
    }
    qmp_reply_outcome(call, screen_dump(call->machine, qmp_arg_string(call, "filename"),
                           format && !strcmp(format, "png")));
}

static void run_pmemsave(struct qmp_call *call)
{
    qmp_reply_outcome(call, control_pmemsave(call->machine, (u64)qmp_arg_int(call, "val", 0),
                                (u64)qmp_arg_int(call, "size", 0), qmp_arg_string(call, "filename")));
}

static void run_memsave(struct qmp_call *call)
{
    u64 address = (u64)qmp_arg_int(call, "val", 0);

    if (qmp_arg_int(call, "cpu-index", 0)) {
        qmp_reply_error(call, "GenericError",
                    "Parameter 'cpu-index' expects a CPU number: there is only 0");
        return;
    }
    if (address > UINT32_MAX) {
        qmp_reply_error(call, "GenericError", "Invalid addr %#llx specified",
                    (unsigned long long)address);
        return;
    }
    qmp_reply_outcome(call,
                  control_memsave(call->machine, (gla_t)address, (u64)qmp_arg_int(call, "size", 0),
                                  qmp_arg_string(call, "filename")));
}

static void run_hmp(struct qmp_call *call)
{
    char *said = hmp_run(call->machine, qmp_arg_string(call, "command-line"));
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
const char *qmp_drive_arg(struct qmp_call *call)
{
    const char *name = qmp_arg_string(call, "device");

    if (!name)
        name = qmp_arg_string(call, "id");
    if (!name) {
        qmp_reply_error(call, "GenericError", "Need exactly one of 'device' and 'id'");
        return NULL;
    }
    if (!control_drive(call->machine, name)) {
        qmp_reply_error(call, "DeviceNotFound", "Device '%s' not found", name);
        return NULL;
    }
    return name;
}

static void run_eject(struct qmp_call *call)
{
    const char *name = qmp_drive_arg(call);

    if (name)
        qmp_reply_outcome(call, control_eject(call->machine, name, qmp_arg_bool(call, "force")));
}

static void run_change(struct qmp_call *call)
{
    const char *name = qmp_drive_arg(call), *format = qmp_arg_string(call, "format");

    if (name && format && !image_format_named(format))
        qmp_reply_error(call, "GenericError", "Unknown driver '%s'", format);
    else if (name)
        qmp_reply_outcome(call, control_change(call->machine, name, qmp_arg_string(call, "filename"),
                                           format, qmp_arg_bool(call, "force")));
}

static void run_set_link(struct qmp_call *call)
{
    qmp_reply_outcome(
        call, control_set_link(call->machine, qmp_arg_string(call, "name"), qmp_arg_bool(call, "up")));
}

static void run_device_add(struct qmp_call *call)
{
    const struct hotplug_request request = {
        .driver = qmp_arg_string(call, "driver"),
        .id = qmp_arg_string(call, "id"),
        .bus = qmp_arg_string(call, "bus"),
        .drive = qmp_arg_string(call, "drive"),
        .unit = qmp_arg_string(call, "unit"),
    };

    qmp_reply_outcome(call, hotplug_add(call->machine, &request));
}

static void run_device_del(struct qmp_call *call)
{
    const char *id = qmp_arg_string(call, "id");

    if (hotplug_known(call->machine, id))
        qmp_reply_outcome(call, hotplug_del(call->machine, id));
    else
        qmp_reply_error(call, "DeviceNotFound", "Device '%s' not found", id);
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
    { "system_wakeup",           "",                                            run_wakeup },
    { "quit",                    "",                                            run_quit },
    { "send-key",                "keys:a hold-time:i?",                         run_send_key },
    { "screendump",              "filename:s device:s? head:i? format:s?",      run_screendump },
    { "pmemsave",                "val:i size:i filename:s",                     run_pmemsave },
    { "memsave",                 "val:i size:i filename:s cpu-index:i?",        run_memsave },
    { "eject",                   "device:s? id:s? force:b?",                    run_eject },
    { "blockdev-change-medium",  "filename:s device:s? id:s? format:s? force:b? read-only-mode:s?",
                                                                                run_change },
    { "set_link",                "name:s up:b",                                 run_set_link },
    { "query-vnc",               "",                                            qmp_query_vnc },
    { "change-vnc-password",     "password:s",                                  qmp_change_vnc_password },
    { "set_password",            "protocol:s password:s connected:s? display:s?", qmp_set_password },
    { "query-vnc-servers",       "",                                            qmp_query_vnc_servers },
    { "query-block",             "",                                            qmp_query_block },
    { "query-blockstats",        "query-nodes:b?",                              qmp_query_blockstats },
    { "query-chardev",           "",                                            qmp_query_chardev },
    { "ringbuf-write",           "device:s data:s format:s?",                   qmp_ringbuf_write },
    { "ringbuf-read",            "device:s size:i format:s?",                   qmp_ringbuf_read },
    { "query-current-machine",   "",                                            qmp_query_current_machine },
    { "query-cpus-fast",         "",                                            qmp_query_cpus_fast },
    { "query-pci",               "",                                            qmp_query_pci },
    { "query-mice",              "",                                            qmp_query_mice },
    { "query-name",              "",                                            qmp_query_name },
    { "query-kvm",               "",                                            qmp_query_kvm },
    { "query-target",            "",                                            qmp_query_target },
    { "query-memory-size-summary", "",                                          qmp_query_memory },
    { "query-uuid",              "",                                            qmp_query_uuid },
    { "query-events",            "",                                            qmp_query_events },
    { "query-iothreads",         "",                                            qmp_query_none },
    { "query-block-jobs",        "",                                            qmp_query_none },
    { "query-qmp-schema",        "",                                            qmp_query_schema },
    { "input-send-event",        "device:s? head:i? events:a",                  qmp_input_send_event },
    { "blockdev-snapshot-sync",  "device:s? node-name:s? snapshot-file:s snapshot-node-name:s? format:s? mode:s?",
                                                                                qmp_snapshot_sync },
    { "blockdev-add",            "driver:s node-name:s? file:o? filename:s? read-only:b?",
                                                                                qmp_blockdev_add },
    { "blockdev-del",            "node-name:s",                                 qmp_blockdev_del },
    { "blockdev-insert-medium",  "id:s node-name:s",                            qmp_insert_medium },
    { "blockdev-remove-medium",  "id:s",                                        qmp_remove_medium },
    { "blockdev-open-tray",      "device:s? id:s? force:b?",                    qmp_open_tray },
    { "blockdev-close-tray",     "device:s? id:s?",                             qmp_close_tray },
    { "device_add",              "driver:s id:s? bus:s? drive:s? *",            run_device_add },
    { "device_del",              "id:s",                                        run_device_del },
    { "human-monitor-command",   "command-line:s cpu-index:i?",                 run_hmp },
    { "x-ring3-stats",           "",                                            ask_stats },
    { "x-ring3-dump-tc",         "filename:s listing:b?",                       run_dump_tc },
    { NULL, NULL, NULL },
};
/* clang-format on */

bool qmp_next_spec(const char **list, struct qmp_spec *spec)
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
    { 'o', json_type_object, "object" },
};

static void check_type(struct qmp_call *call, const struct qmp_spec *spec,
                       struct json_object *val)
{
    for (u32 i = 0; i < ARRAY_SIZE(types); i++)
        if (types[i].letter == spec->type && !json_object_is_type(val, types[i].type))
            qmp_reply_error(call, "GenericError", "Invalid parameter type for '%s', expected: %s",
                        spec->name, types[i].name);
}

static bool in_list(const char *list, const char *name)
{
    struct qmp_spec spec;

    while (qmp_next_spec(&list, &spec))
        if (!strcmp(spec.name, name))
            return true;
    return false;
}

static void check_unexpected(struct qmp_call *call, const char *list)
{
    if (strchr(list, '*'))
        return;
    json_object_object_foreach(call->args, key, unused)
    {
        (void)unused;
        if (!in_list(list, key))
            qmp_reply_error(call, "GenericError", "Parameter '%s' is unexpected", key);
    }
}

static bool check_args(struct qmp_call *call, const char *list)
{
    struct json_object *val;
    struct qmp_spec spec;
    const char *rest = list;

    while (qmp_next_spec(&rest, &spec) && !call->error[0]) {
        if (json_object_object_get_ex(call->args, spec.name, &val))
            check_type(call, &spec, val);
        else if (!spec.optional)
            qmp_reply_error(call, "GenericError", "Parameter '%s' is missing", spec.name);
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
    qmp_reply_error(call, "CommandNotFound", "The command %s has not been found", name);
}
