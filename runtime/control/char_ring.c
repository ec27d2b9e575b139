/*
 * ringbuf: what is written is kept, the newest of it, until the monitor or QMP takes it out.
 * Nothing comes back from there.
 */
#include "runtime/base/keyval.h"
#include "runtime/control/char_backend.h"
#include "runtime/machine/machine.h"

#include <stdlib.h>
#include <string.h>

#define MOST_BYTES MIB(64)

struct ring {
    u32 size, head, count; /* a power of two; the oldest byte; how many there are */
    u8 data[];
};

static void ring_take(struct char_backend *p, const u8 *data, u32 n)
{
    struct ring *r = p->impl;

    for (u32 i = 0; i < n; i++) {
        r->data[(r->head + r->count) % r->size] = data[i];
        if (r->count < r->size)
            r->count++;
        else
            r->head = (r->head + 1) % r->size;
    }
}

static void ring_open(struct char_backend *p, const char *arg)
{
    struct ring *r;
    u64 size;

    if (!parse_size(arg, 1, &size) || !size || size & (size - 1) || size > MOST_BYTES)
        die("-chardev ringbuf: size=%s: wants a power of two, of at most 64M", arg);
    r = calloc(1, sizeof(*r) + size);
    check(r, "out of memory");
    r->size = (u32)size;
    p->impl = r;
}

static void ring_close(struct char_backend *p)
{
    free(p->impl);
}

const struct char_kind ringbuf_kind = {
    .name = "ringbuf:",
    .argument = "SIZE",
    .chardev = "ringbuf",
    .open = ring_open,
    .close = ring_close,
    .take = ring_take,
};

/* NULL: *error says why. */
static struct ring *find_ring(struct machine *m, const char *label, const char **error)
{
    static _Thread_local char text[128];
    struct char_backend *p = chardev_named(m, label);

    *error = NULL;
    if (p && p->kind == &ringbuf_kind)
        return p->impl;
    snprintf(text, sizeof(text), p ? "%s is not a ringbuf device" : "Device '%s' not found",
             label);
    *error = text;
    return NULL;
}

const char *chardev_ring_read(struct machine *m, const char *label, u64 most, u8 **data, u32 *n)
{
    const char *error;
    struct ring *r = find_ring(m, label, &error);

    if (!r)
        return error;
    *n = most < r->count ? (u32)most : r->count;
    *data = malloc(*n + 1);
    check(*data, "out of memory");
    for (u32 i = 0; i < *n; i++)
        (*data)[i] = r->data[(r->head + i) % r->size];
    r->head = (r->head + *n) % r->size;
    r->count -= *n;
    return NULL;
}

const char *chardev_ring_write(struct machine *m, const char *label, const u8 *data, u32 n)
{
    const char *error;

    if (find_ring(m, label, &error))
        ring_take(chardev_named(m, label), data, n);
    return error;
}
