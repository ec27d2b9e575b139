/*
 * QMP's commands for the VNC server, whoever it is: vnc_control.h.
 */
#include "runtime/control/qmp_commands.h"
#include "runtime/control/vnc_control.h"
#include "runtime/machine/machine.h"

#include <string.h>

static void set_vnc_password(struct qmp_call *call, const char *password, bool disconnect)
{
    struct vnc_control *vnc = call->machine->vnc;

    qmp_reply_outcome(call, vnc ? vnc->set_password(vnc, password, disconnect)
                                : "No VNC display is present");
}

void qmp_change_vnc_password(struct qmp_call *call)
{
    set_vnc_password(call, qmp_arg_string(call, "password"), false);
}

void qmp_set_password(struct qmp_call *call)
{
    const char *protocol = qmp_arg_string(call, "protocol"),
               *connected = qmp_arg_string(call, "connected");

    if (strcmp(protocol, "vnc"))
        qmp_reply_error(call, "GenericError", "Parameter 'protocol' does not accept value '%s'",
                        protocol);
    else if (connected && strcmp(connected, "keep") && strcmp(connected, "disconnect"))
        qmp_reply_error(call, "GenericError",
                        "Parameter 'connected' does not accept value '%s'", connected);
    else
        set_vnc_password(call, qmp_arg_string(call, "password"),
                         connected && !strcmp(connected, "disconnect"));
}

/* "HOST:PORT", parted. */
static void put_address(struct json_object *o, const struct vnc_control *vnc)
{
    const char *colon = strrchr(vnc->where, ':');
    char host[128];

    if (vnc->local) {
        qmp_put_string(o, "host", vnc->where);
        qmp_put_string(o, "service", "");
        qmp_put_string(o, "family", "unix");
        return;
    }
    snprintf(host, sizeof(host), "%.*s", (int)(colon - vnc->where), vnc->where);
    qmp_put_string(o, "host", host[0] ? host : "127.0.0.1");
    qmp_put_string(o, "service", colon + 1);
    qmp_put_string(o, "family", strchr(host, ':') ? "ipv6" : "ipv4");
}

void qmp_query_vnc(struct qmp_call *call)
{
    struct vnc_control *vnc = call->machine->vnc;
    struct json_object *clients;
    struct vnc_viewer viewers[16];
    u32 n;

    call->result = json_object_new_object();
    qmp_put_bool(call->result, "enabled", vnc);
    if (!vnc)
        return;
    put_address(call->result, vnc);
    qmp_put_string(call->result, "auth", vnc->authenticates ? "vnc" : "none");
    clients = json_object_new_array();
    n = vnc->viewers(vnc, viewers, ARRAY_SIZE(viewers));
    for (u32 i = 0; i < n; i++) {
        struct json_object *client = json_object_new_object();

        qmp_put_string(client, "host", viewers[i].address);
        qmp_put_string(client, "service", "");
        qmp_put_string(client, "family",
                       vnc->local                        ? "unix"
                       : strchr(viewers[i].address, ':') ? "ipv6"
                                                         : "ipv4");
        qmp_put_bool(client, "websocket", false);
        if (viewers[i].in)
            json_object_array_add(clients, client);
        else
            json_object_put(client);
    }
    json_object_object_add(call->result, "clients", clients);
}

/* One server, where there is one. */
void qmp_query_vnc_servers(struct qmp_call *call)
{
    struct vnc_control *vnc = call->machine->vnc;
    struct json_object *list = json_object_new_array(), *o;

    call->result = list;
    if (!vnc)
        return;
    o = json_object_new_object();
    qmp_put_string(o, "id", "default");
    qmp_put_string(o, "auth", vnc->authenticates ? "vnc" : "none");
    json_object_array_add(list, o);
}
