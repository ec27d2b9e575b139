/*
 * Keys typed by a program (QMP's send-key, the monitor's sendkey): a queue of key movements,
 * each a while after the one before, on the machine's clock. Bounded: what does not fit is
 * refused.
 */
#include "runtime/control/keyqueue.h"
#include "runtime/machine/input.h"
#include "runtime/machine/machine.h"

#include <stdlib.h>

enum { QUEUE = 1024, MAX_COMBO = 16 };

struct movement {
    u64 wait; /* after this one, before the next */
    u16 code;
    bool down;
};
struct keyqueue {
    struct machine *machine;
    struct timer timer;
    struct movement queue[QUEUE];
    u32 head, held;
};

static void play_next(void *owner)
{
    struct keyqueue *q = owner;
    struct movement *k;

    if (!q->held)
        return;
    k = &q->queue[q->head];
    q->head = (q->head + 1) % QUEUE;
    q->held--;
    machine_input(q->machine,
                  &(struct input_event){ INPUT_KEY, .key = k->code, .down = k->down });
    /* Also after the last: the next key to be sent keeps its distance. */
    timer_set(&q->timer, clock_now(q->machine) + k->wait);
}

static struct keyqueue *keyqueue(struct machine *m)
{
    struct keyqueue *q = m->keyqueue;

    if (!q) {
        q = calloc(1, sizeof(*q));
        check(q, "out of memory");
        q->machine = m;
        timer_init(&q->timer, m, play_next, q);
        m->keyqueue = q;
    }
    return q;
}

static void queue_movement(struct keyqueue *q, u16 code, bool down, u64 wait)
{
    q->queue[(q->head + q->held++) % QUEUE] = (struct movement){ wait, code, down };
}

u64 key_hold(i64 ms)
{
    return MSEC(ms >= 1 && ms <= 60000 ? (u64)ms : 100);
}

const char *control_send_keys(struct machine *m, const u16 *codes, u32 n, u64 hold)
{
    struct keyqueue *q = keyqueue(m);

    if (n > MAX_COMBO)
        return "too many keys";
    if (q->held + 2 * n > QUEUE)
        return "too many keys are waiting";
    for (u32 i = 0; i < n; i++)
        queue_movement(q, codes[i], true, hold);
    for (u32 i = n; i-- > 0;)
        queue_movement(q, codes[i], false, hold);
    if (!q->timer.armed)
        play_next(q);
    return NULL;
}
