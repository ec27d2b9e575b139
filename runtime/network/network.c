/*
 * Network back ends: the table of kinds, and what all have: a queue towards the card, a cable,
 * records.
 *
 * A frame for the guest never reaches the card from inside the card's own code: it is queued,
 * and a timer that is due at once hands over as many as the card takes. So a chip need not be
 * re-entrant, and a stopped machine's card does not change.
 */
#include "runtime/network/backend.h"
#include "runtime/base/keyval.h"

#include <stdlib.h>
#include <string.h>

static const struct net_kind *const kinds[] = { &net_user, &net_socket, &net_tap };

/* ---- Frames ---- */

/* A driver that waits for an interrupt with a full ring learns from a lost frame. */
#define PATIENCE MSEC(200)

static void deliver_fire(void *owner)
{
    struct net_backend *b = owner;
    struct netdev *n = &b->n;
    u64 now = clock_now(b->m);

    while (b->count && (n->can_receive(n->dev) || now - b->since >= PATIENCE)) {
        u8 *frame = b->queue[b->head].data;
        u32 size = b->queue[b->head].size;

        b->head = (b->head + 1) % QUEUE;
        b->count--;
        b->since = now;
        n->receive(n->dev, frame, size);
        free(frame);
    }
    if (b->count)
        timer_set(&b->deliver, b->since + PATIENCE);
}

static void deliver_soon(struct net_backend *b)
{
    if (b->count)
        timer_set(&b->deliver, clock_now(b->m));
}

void net_deliver(struct net_backend *b, const u8 *frame, u32 size)
{
    u32 padded = size < FRAME_MIN ? FRAME_MIN : size;
    u8 *copy;

    if (size < ETHER_HEADER || size > FRAME_MAX || !b->n.link || !b->n.dev ||
        b->count == QUEUE) {
        b->dropped++;
        return;
    }
    b->frames++;
    trace(TRACE_NET, "%s: %u bytes for the guest", b->id, size);
    net_dump_frame(b, frame, size);
    copy = calloc(1, padded);
    check(copy, "out of memory");
    memcpy(copy, frame, size);
    b->queue[(b->head + b->count) % QUEUE].data = copy;
    b->queue[(b->head + b->count++) % QUEUE].size = padded;
    if (b->count == 1)
        b->since = clock_now(b->m);
    loop_hurry(b->m);
    deliver_soon(b);
}

static void backend_send(struct netdev *n, const u8 *frame, u32 size)
{
    struct net_backend *b = container_of(n, struct net_backend, n);

    if (size < ETHER_HEADER || size > FRAME_MAX) {
        b->dropped++;
        return;
    }
    b->frames++;
    trace(TRACE_NET, "%s: %u bytes from the guest", b->id, size);
    net_dump_frame(b, frame, size);
    loop_hurry(b->m);
    b->kind->send(b, frame, size);
}

static void backend_accept_input(struct netdev *n)
{
    deliver_soon(container_of(n, struct net_backend, n));
}

/* ---- Back ends ---- */

static _Noreturn void list_kinds(void)
{
    for (u32 i = 0; i < ARRAY_SIZE(kinds); i++)
        printf("%-8s %s\n", kinds[i]->name, kinds[i]->help);
    exit(0);
}

static const struct net_kind *find_kind(const struct netdev_options *o)
{
    if (!strcmp(o->kind, "help"))
        list_kinds();
    for (u32 i = 0; i < ARRAY_SIZE(kinds); i++)
        if (!strcmp(kinds[i]->name, o->kind))
            return kinds[i];
    if (!strcmp(o->kind, "hubport"))
        die("%s hubport: no hubs here: socket,mcast= joins more than two", o->option);
    if (!strcmp(o->kind, "bridge"))
        die("%s bridge: nobody with root's rights helps: tap,ifname=NAME,script=no takes a tap "
            "that is there",
            o->option);
    if (in_choices(o->kind, "vde|l2tpv3|vhost-user|vhost-vdpa|netmap|stream|dgram|passt"))
        die("%s %s: not here: user, tap and socket are", o->option, o->kind);
    refuse_choice(o->option, o->kind, "user|socket|tap|none");
}

static void backend_new(struct machine *m, const struct netdev_options *o,
                        network_char_end *char_end)
{
    struct net_backend *b = calloc(1, sizeof(*b)), **end = &m->networks;

    check(b, "out of memory");
    while (*end)
        end = &(*end)->next;
    b->m = m;
    b->kind = find_kind(o);
    b->id = o->id;
    b->char_end = char_end;
    b->n.send = backend_send;
    b->n.accept_input = backend_accept_input;
    b->n.link = true;
    timer_init(&b->deliver, m, deliver_fire, b);
    b->kind->open(b, keep_format("%s %s", o->option, o->kind), o->list);
    *end = b;
}

static struct net_backend *find_backend(struct machine *m, const char *id)
{
    struct net_backend *b = m->networks;

    while (b && strcmp(b->id, id))
        b = b->next;
    return b;
}

struct netdev *network_find(struct machine *m, const char *id)
{
    struct net_backend *b = find_backend(m, id);

    return b ? &b->n : NULL;
}

void network_make_all(struct machine *m, network_char_end *char_end)
{
    struct options *o = m->options;

    for (u32 i = 0; i < o->netdevs; i++)
        backend_new(m, &o->netdev[i], char_end);
    for (u32 i = 0; i < o->dumps; i++) {
        struct net_backend *b = find_backend(m, o->dump[i].netdev);

        if (!b)
            die("-object filter-dump: netdev=%s: no -netdev has that id", o->dump[i].netdev);
        net_dump_add(b, o->dump[i].file, o->dump[i].max);
    }
}

bool network_set_link(struct machine *m, const char *id, bool up)
{
    struct net_backend *b = find_backend(m, id);

    if (b && b->n.link != up) {
        b->n.link = up;
        if (b->n.link_changed)
            b->n.link_changed(b->n.dev);
    }
    return b;
}

void network_forward(struct machine *m, const char *id, const char *rule, bool add, FILE *out)
{
    struct net_backend *b = m->networks;

    while (b && (id ? strcmp(b->id, id) : !b->kind->forward))
        b = b->next;
    if (!b && id)
        fprintf(out, "unrecognized netdev id '%s'\n", id);
    else if (!b || !b->kind->forward)
        fprintf(out, "user mode network stack not in use\n");
    else
        b->kind->forward(b, rule, add, out);
}

bool network_frames(struct machine *m, u64 *frames)
{
    *frames = 0;
    for (struct net_backend *b = m->networks; b; b = b->next)
        *frames += b->frames;
    return m->networks;
}

void network_info(struct machine *m, FILE *out)
{
    for (struct net_backend *b = m->networks; b; b = b->next) {
        fprintf(out, "%s: type=%s,link=%s,card=%s,waiting=%u,dropped=%llu", b->id,
                b->kind->name, b->n.link ? "up" : "down",
                b->n.dev ? b->n.dev->class->name : "none", b->count,
                (unsigned long long)b->dropped);
        if (b->kind->info)
            b->kind->info(b, out);
        fputc('\n', out);
    }
}

void network_free_all(struct machine *m)
{
    struct net_backend *b;

    while ((b = m->networks)) {
        m->networks = b->next;
        timer_cancel(&b->deliver);
        b->kind->close(b);
        net_dump_free(b);
        while (b->count--) {
            free(b->queue[b->head].data);
            b->head = (b->head + 1) % QUEUE;
        }
        free(b);
    }
}
