/*
 * The byte queues of a PS/2 device: replies to commands overtake what the user did, and a
 * sequence enters as a whole or not at all, so that the guest never sees half a scan code.
 */
#include "devices/ps2.h"

bool ps2_put(struct ps2_queue *q, const u8 *data, u32 n)
{
    if (q->count + n > PS2_QUEUE)
        return false;
    for (u32 i = 0; i < n; i++)
        q->data[(q->head + q->count++) % PS2_QUEUE] = data[i];
    return true;
}

/* The oldest byte; only when count is not 0. */
static u8 ps2_get(struct ps2_queue *q)
{
    u8 val = q->data[q->head];

    q->head = (q->head + 1) % PS2_QUEUE;
    q->count--;
    return val;
}

static void queue_sane(struct ps2_queue *q)
{
    q->head %= PS2_QUEUE;
    if (q->count > PS2_QUEUE)
        q->count = PS2_QUEUE;
}

void ps2_port_init(struct ps2_port *p, struct machine *m, void (*ready)(void *owner),
                   void *owner)
{
    p->machine = m;
    p->ready = ready;
    p->owner = owner;
}

void ps2_port_loaded(struct ps2_port *p)
{
    queue_sane(&p->reply);
    queue_sane(&p->event);
}

/* Replies nobody fetches are dropped: the guest asked too much. */
void ps2_reply(struct ps2_port *p, u8 val)
{
    ps2_put(&p->reply, &val, 1);
    p->ready(p->owner);
}

u8 ps2_next(struct ps2_port *p)
{
    p->last = ps2_get(p->reply.count ? &p->reply : &p->event);
    return p->last;
}
