/*
 * -blockdev: QEMU's graph of block nodes as far as it is a file and its format, which here are
 * one drive that a -device names. The list may be JSON, as libvirt writes it: the same with
 * "a.b" for b in a.
 */
#include "runtime/base/keyval.h"
#include "runtime/options/option_drives.h"
#include "runtime/storage/formats.h"

#include <json-c/json.h>
#include <string.h>

struct node_keys {
    const char *driver, *name, *file, *filename, *inner, *locking;
    bool read_only;
};
static const struct key_row node_keys[] = {
    {"driver", KEY_TEXT, offsetof(struct node_keys, driver), NULL},
    {"node-name", KEY_TEXT, offsetof(struct node_keys, name), NULL},
    {"file", KEY_TEXT, offsetof(struct node_keys, file), NULL},
    {"filename", KEY_TEXT, offsetof(struct node_keys, filename), NULL},
    {"file.filename", KEY_TEXT, offsetof(struct node_keys, filename), NULL},
    {"file.driver", KEY_CHOICE, offsetof(struct node_keys, inner), "file"},
    {"locking", KEY_CHOICE, offsetof(struct node_keys, locking), "auto|on|off"},
    {"file.locking", KEY_CHOICE, offsetof(struct node_keys, locking), "auto|on|off"},
    {"read-only", KEY_BOOL, offsetof(struct node_keys, read_only), NULL},
    {"file.read-only", KEY_IGNORE},
    {"file.node-name", KEY_IGNORE},
    {"file.aio", KEY_IGNORE},
    {"file.discard", KEY_IGNORE},
    {"file.cache.direct", KEY_IGNORE},
    {"file.cache.no-flush", KEY_IGNORE},
    {"file.auto-read-only", KEY_IGNORE},
    {"auto-read-only", KEY_IGNORE},
    {"discard", KEY_IGNORE},
    {"detect-zeroes", KEY_IGNORE},
    {"aio", KEY_IGNORE},
    {"cache.direct", KEY_IGNORE},
    {"cache.no-flush", KEY_IGNORE},
};

/* ",a.b=value" for each leaf. */
static const char *flatten(const char *list, const char *prefix, struct json_object *object)
{
    json_object_object_foreach(object, key, value)
    {
        const char *text = json_object_get_string(value);

        if (json_object_is_type(value, json_type_object)) {
            list = flatten(list, keep_format("%s%s.", prefix, key), value);
            continue;
        }
        list = keep_format("%s%s%s%s=%s", list, *list ? "," : "", prefix, key,
                           keyval_value(text ? text : ""));
    }
    return list;
}

static const char *from_json(const char *option, const char *text)
{
    struct json_object *object = json_tokener_parse(text);
    const char *list;

    if (!json_object_is_type(object, json_type_object))
        die("%s: '%s': is no JSON", option, text);
    list = flatten("", "", object);
    json_object_put(object);
    return list;
}

/* NULL: there is none. A node that another stands on is nobody's drive. */
static struct drive_options *find_node(struct options *o, const char *name)
{
    for (u32 i = 0; name && i < MAX_DRIVES && o->drives[i].id; i++)
        if (!strcmp(o->drives[i].id, name))
            return &o->drives[i].drive;
    return NULL;
}

SETTER(set_blockdev)
{
    struct node_keys k = {NULL};
    struct drive_options *below;
    bool protocol;
    u32 n = 0;

    keyval_read(option, *arg == '{' ? from_json(option, arg) : arg, NULL, node_keys,
                ARRAY_SIZE(node_keys), &k);
    if (!k.driver || !k.name)
        die("%s: wants driver=FORMAT,node-name=NAME and file=NODE or file.filename=PATH",
            option);
    protocol = in_choices(k.driver, "file|host_device|host_cdrom");
    if (!protocol && !image_format_named(k.driver))
        refuse_choice(option, k.driver, "file|host_device|raw|qcow2|vmdk|vdi|vpc");
    if (find_node(o, k.name))
        die("%s: node-name=%s: used twice", option, k.name);
    below = find_node(o, k.file);
    if (k.file && !below)
        die("%s: file=%s: no such node", option, k.file);
    if (!below && !k.filename)
        die("%s: %s: wants a file name", option, k.name);
    while (n < MAX_DRIVES && o->drives[n].id)
        n++;
    if (n == MAX_DRIVES)
        die("%s: more than %d nodes", option, MAX_DRIVES);
    o->drives[n].id = k.name;
    o->drives[n].drive = (struct drive_options){
        .file = below ? below->file : k.filename,
        .format = protocol ? "raw" : k.driver,
        .read_only = k.read_only || (below && below->read_only),
        .unlocked = (k.locking && !strcmp(k.locking, "off")) || (below && below->unlocked),
    };
}
