/*
 * query-qmp-schema: what commands and events there are, from their tables, in the form of
 * QEMU's docs/devel/qapi-code-gen ("Client JSON Protocol introspection"). Arguments have their
 * names and types; what commands answer is "any", which is true and little.
 */
#include "runtime/control/qmp_commands.h"

#include <string.h>

static struct json_object *entry(struct json_object *schema, const char *name,
                                 const char *meta_type)
{
    struct json_object *o = json_object_new_object();

    qmp_put_string(o, "name", name);
    qmp_put_string(o, "meta-type", meta_type);
    json_object_array_add(schema, o);
    return o;
}

static void builtins(struct json_object *schema)
{
    static const char *const types[][2] = {
        {"str", "string"}, {"int", "int"},   {"bool", "boolean"},
        {"any", "value"},  {"null", "null"},
    };

    for (u32 i = 0; i < ARRAY_SIZE(types); i++)
        qmp_put_string(entry(schema, types[i][0], "builtin"), "json-type", types[i][1]);
    qmp_put_string(entry(schema, "[any]", "array"), "element-type", "any");
    json_object_object_add(entry(schema, "q_empty", "object"), "members",
                           json_object_new_array());
}

static const char *type_name(char letter)
{
    return letter == 's'   ? "str"
           : letter == 'i' ? "int"
           : letter == 'b' ? "bool"
           : letter == 'a' ? "[any]"
                           : "any";
}

static void arguments(struct json_object *schema, const char *type, const char *list)
{
    struct json_object *members = json_object_new_array();
    struct qmp_spec spec;

    json_object_object_add(entry(schema, type, "object"), "members", members);
    while (qmp_next_spec(&list, &spec)) {
        struct json_object *member = json_object_new_object();
        const char *name = type_name(spec.type);

        qmp_put_string(member, "name", spec.name);
        qmp_put_string(member, "type", name);
        if (spec.optional)
            json_object_object_add(member, "default", NULL);
        json_object_array_add(members, member);
    }
}

static void command(struct json_object *schema, const struct qmp_command *c)
{
    struct json_object *o = entry(schema, c->name, "command");
    char type[64];

    snprintf(type, sizeof(type), "%s-arg", c->name);
    qmp_put_string(o, "arg-type", c->args[0] ? type : "q_empty");
    qmp_put_string(o, "ret-type", "any");
    if (c->args[0])
        arguments(schema, type, c->args);
}

void qmp_query_schema(struct qmp_call *call)
{
    call->result = json_object_new_array();
    builtins(call->result);
    for (const struct qmp_command *c = qmp_commands; c->name; c++)
        command(call->result, c);
    for (u32 i = 0; qmp_events[i]; i++)
        qmp_put_string(entry(call->result, qmp_events[i], "event"), "arg-type", "q_empty");
}
