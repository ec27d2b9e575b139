/*
 * QMP's commands for drives and media.
 *
 * QEMU's graph of block nodes is not here: a drive holds one medium. So blockdev-add keeps what
 * was said of a node until blockdev-insert-medium opens it, and a tray that opens lets the
 * medium out; it comes back if the tray closes and nothing else was put in.
 */
#include "runtime/control/control.h"
#include "runtime/control/qmp.h"
#include "runtime/control/qmp_commands.h"
#include "runtime/storage/disk.h"
#include "runtime/storage/formats.h"

#include <stdlib.h>
#include <string.h>

enum { NODES = 16 };

struct block_node {
    char *name, *file, *format; /* name NULL: the row is free */
};
struct block_nodes {
    struct block_node node[NODES];
    struct block_node shelf[DRIVES]; /* what an open tray let out; file NULL: nothing */
};

static struct block_nodes *nodes_of(struct machine *m)
{
    if (!m->block_nodes)
        m->block_nodes = machine_alloc(m, sizeof(*m->block_nodes));
    return m->block_nodes;
}

/* ---- Questions ---- */

static struct json_object *describe_image(const struct disk *d)
{
    struct json_object *o = json_object_new_object(), *image = json_object_new_object();

    qmp_put_string(o, "file", disk_path(d));
    qmp_put_string(o, "drv", disk_format(d));
    qmp_put_bool(o, "ro", d->read_only);
    qmp_put_bool(o, "encrypted", false);
    qmp_put_int(o, "backing_file_depth", 0);
    qmp_put_string(image, "filename", disk_path(d));
    qmp_put_string(image, "format", disk_format(d));
    qmp_put_int(image, "virtual-size", (i64)d->size);
    json_object_object_add(o, "image", image);
    return o;
}

void qmp_query_block(struct qmp_call *call)
{
    struct machine *m = call->machine;
    struct drive_name drives[DRIVES];

    call->result = json_object_new_array();
    control_drives(m, drives);
    for (u32 i = 0; i < DRIVES; i++) {
        const struct disk *d = drives[i].disk;
        struct json_object *o;
        bool removable;

        if (!d)
            continue;
        o = json_object_new_object();
        removable = i < 2 || d->cdrom;
        qmp_put_string(o, "device", drives[i].name);
        qmp_put_string(o, "qdev", drives[i].name);
        qmp_put_string(o, "type", "unknown");
        qmp_put_bool(o, "removable", removable);
        qmp_put_bool(o, "locked", d->locked);
        if (removable)
            qmp_put_bool(o, "tray_open", m->block_nodes && m->block_nodes->shelf[i].name);
        if (disk_path(d))
            json_object_object_add(o, "inserted", describe_image(d));
        json_object_array_add(call->result, o);
    }
}

void qmp_query_blockstats(struct qmp_call *call)
{
    struct drive_name drives[DRIVES];

    call->result = json_object_new_array();
    control_drives(call->machine, drives);
    for (u32 i = 0; i < DRIVES; i++) {
        struct json_object *o, *stats;
        struct disk_counts n;

        if (!drives[i].disk)
            continue;
        n = disk_counts(drives[i].disk);
        o = json_object_new_object();
        stats = json_object_new_object();
        qmp_put_string(o, "device", drives[i].name);
        qmp_put_int(stats, "rd_bytes", (i64)n.bytes_read);
        qmp_put_int(stats, "wr_bytes", (i64)n.bytes_written);
        qmp_put_int(stats, "rd_operations", (i64)n.reads);
        qmp_put_int(stats, "wr_operations", (i64)n.writes);
        qmp_put_int(stats, "flush_operations", (i64)n.flushes);
        qmp_put_int(stats, "failed_rd_operations", (i64)n.failed_reads);
        qmp_put_int(stats, "failed_wr_operations", (i64)n.failed_writes);
        json_object_object_add(o, "stats", stats);
        json_object_array_add(call->result, o);
    }
}

/* ---- Snapshots ---- */

void qmp_snapshot_sync(struct qmp_call *call)
{
    const char *name = qmp_arg_string(call, "device"), *mode = qmp_arg_string(call, "mode"),
               *format = qmp_arg_string(call, "format");
    struct disk *d;

    if (!name)
        name = qmp_arg_string(call, "node-name");
    d = name ? control_drive(call->machine, name) : NULL;
    if (!d)
        qmp_reply_error(call, "GenericError", "Cannot find device='%s' nor node-name='%s'",
                        name ? name : "", name ? name : "");
    else if (format && strcmp(format, "qcow2"))
        qmp_reply_error(call, "GenericError", "Parameter 'format' expects 'qcow2'");
    else if (mode && strcmp(mode, "absolute-paths") && strcmp(mode, "existing"))
        qmp_reply_error(call, "GenericError", "Parameter 'mode' does not accept value '%s'",
                        mode);
    else
        qmp_reply_outcome(call, disk_snapshot(d, qmp_arg_string(call, "snapshot-file"),
                                              mode && !strcmp(mode, "existing")));
}

/* ---- Nodes and trays ---- */

static void node_clear(struct block_node *n)
{
    free(n->name);
    free(n->file);
    free(n->format);
    *n = (struct block_node){NULL};
}

static void node_set(struct block_node *n, const char *name, const char *file,
                     const char *format)
{
    node_clear(n);
    *n = (struct block_node){strdup(name), file ? strdup(file) : NULL,
                             format ? strdup(format) : NULL};
}

static struct block_node *node_named(struct machine *m, const char *name)
{
    struct block_nodes *nodes = nodes_of(m);

    for (u32 i = 0; i < NODES; i++)
        if (nodes->node[i].name && !strcmp(nodes->node[i].name, name))
            return &nodes->node[i];
    return NULL;
}

bool qmp_block_node(struct machine *m, const char *name, const char **file, const char **format)
{
    const struct block_node *n = node_named(m, name);

    if (!n)
        return false;
    *file = n->file;
    *format = n->format;
    return true;
}

/* { "driver": "qcow2", "file": { "driver": "file", "filename": … } }, or the file alone. */
void qmp_blockdev_add(struct qmp_call *call)
{
    const char *driver = qmp_arg_string(call, "driver"),
               *name = qmp_arg_string(call, "node-name"),
               *filename = qmp_arg_string(call, "filename");
    struct block_nodes *nodes = nodes_of(call->machine);
    struct json_object *file, *inner;

    if (!filename && json_object_object_get_ex(call->args, "file", &file) &&
        json_object_object_get_ex(file, "filename", &inner))
        filename = json_object_get_string(inner);
    if (!strcmp(driver, "file") || !strcmp(driver, "host_device"))
        driver = "raw";
    if (!name || !filename || !image_format_named(driver)) {
        qmp_reply_error(call, "GenericError",
                        "a node here is node-name, an image format as driver, and a filename");
        return;
    }
    if (node_named(call->machine, name)) {
        qmp_reply_error(call, "GenericError", "Duplicate nodes with node-name='%s'", name);
        return;
    }
    for (u32 i = 0; i < NODES; i++)
        if (!nodes->node[i].name) {
            node_set(&nodes->node[i], name, filename, driver);
            return;
        }
    qmp_reply_error(call, "GenericError", "there are %u nodes already", NODES);
}

void qmp_blockdev_del(struct qmp_call *call)
{
    const char *name = qmp_arg_string(call, "node-name");
    struct block_node *n = node_named(call->machine, name);

    if (n)
        node_clear(n);
    else
        qmp_reply_error(call, "GenericError", "Failed to find node with node-name='%s'", name);
}

/* Its place on the shelf, or NULL with the error set. */
static struct block_node *shelf_of(struct qmp_call *call, const char **drive,
                                   struct disk **disk)
{
    struct drive_name drives[DRIVES];

    *drive = qmp_drive_arg(call);
    control_drives(call->machine, drives);
    for (u32 i = 0; *drive && i < DRIVES; i++)
        if (!strcmp(drives[i].name, *drive)) {
            *disk = drives[i].disk;
            return &nodes_of(call->machine)->shelf[i];
        }
    return NULL;
}

void qmp_open_tray(struct qmp_call *call)
{
    struct block_node *shelf;
    const char *drive, *error, *path;
    struct disk *d;

    shelf = shelf_of(call, &drive, &d);
    if (!shelf || shelf->name)
        return;
    path = disk_path(d);
    node_set(shelf, "", path, disk_format(d));
    error = control_eject(call->machine, drive, qmp_arg_bool(call, "force"));
    if (error) {
        node_clear(shelf);
        qmp_reply_error(call, "GenericError", "%s", error);
    } else if (!path) { /* else the eject told of it */
        qmp_tray_moved(call->machine, drive, true);
    }
}

void qmp_close_tray(struct qmp_call *call)
{
    struct block_node *shelf;
    const char *drive, *error = NULL;
    struct disk *d;

    shelf = shelf_of(call, &drive, &d);
    if (!shelf || !shelf->name)
        return;
    if (shelf->file)
        error = control_change(call->machine, drive, shelf->file, shelf->format, true);
    else
        qmp_tray_moved(call->machine, drive, false);
    qmp_reply_outcome(call, error);
    node_clear(shelf);
}

void qmp_remove_medium(struct qmp_call *call)
{
    struct block_node *shelf;
    const char *drive;
    struct disk *d;

    shelf = shelf_of(call, &drive, &d);
    if (!shelf)
        return;
    if (!shelf->name && disk_path(d)) {
        qmp_reply_error(call, "GenericError", "Tray of device '%s' is not open", drive);
        return;
    }
    free(shelf->file);
    shelf->file = NULL;
}

void qmp_insert_medium(struct qmp_call *call)
{
    const char *name = qmp_arg_string(call, "node-name"), *drive;
    struct block_node *node = node_named(call->machine, name), *shelf;
    struct disk *d;

    shelf = shelf_of(call, &drive, &d);
    if (!shelf)
        return;
    if (!node)
        qmp_reply_error(call, "GenericError", "Node '%s' not found", name);
    else if (!shelf->name)
        qmp_reply_error(call, "GenericError", "Tray of device '%s' is not open", drive);
    else if (shelf->file)
        qmp_reply_error(call, "GenericError", "There already is a medium in device '%s'",
                        drive);
    else
        node_set(shelf, "", node->file, node->format); /* goes in as the tray closes */
}
