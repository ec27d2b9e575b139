/*
 * The local APIC's timer: counts the bus clock (1 GHz) divided by 1 to 128, once or
 * periodically. SDM vol. 3, 10.5.4.
 *
 * Invariant: timer_count was the current count at timer_epoch, which is the last start or
 * reload not later than now that settle() has seen. Nothing runs while the timer is masked:
 * time is worked out when somebody looks.
 *
 * Lost ticks: a deadline served late stands for several periods, and a tick may find the one
 * before still waiting for the core. Both are owed to the guest (timer_backlog) and follow
 * (ticks.h).
 */
#include "devices/lapic_private.h"
#include "devices/ticks.h"

enum {
    /* ticks; a guest that does not take them for so long does not care */
    BACKLOG_LIMIT = 1000,
    SHORTEST_WAIT =
        20 * 1000 /* ns between two looks at a periodic timer: bounds the host's work */
};

/* Nanoseconds per count: the divide configuration register's bits 0, 1 and 3. */
static u64 tick_ns(const struct lapic *l)
{
    u32 code = (l->timer_divide & 3) | (l->timer_divide >> 1 & 4);

    return code == 7 ? 1 : 2ull << code;
}

static bool periodic(const struct lapic *l)
{
    return l->lvt[LVT_TIMER] & LVT_PERIODIC;
}

/* Brings count and epoch up to now; returns how often the count has reached 0 since. */
static u64 settle_ticks(struct lapic *l)
{
    u64 elapsed = (clock_now(l->dev.machine) - l->timer_epoch) / tick_ns(l), expired;

    if (!l->timer_count || elapsed < l->timer_count)
        return 0;
    if (!periodic(l) || !l->timer_initial) {
        l->timer_count = 0;
        return 1;
    }
    expired = (elapsed - l->timer_count) / l->timer_initial;
    l->timer_epoch += (l->timer_count + expired * l->timer_initial) * tick_ns(l);
    l->timer_count = l->timer_initial;
    return expired + 1;
}

static u64 period_ns(const struct lapic *l)
{
    return l->timer_initial * tick_ns(l);
}

/* When a tick that is owed may come, or is looked at again. */
static u64 owed_due(struct lapic *l, u64 now)
{
    u64 due = l->timer_given + ticks_spacing(period_ns(l), l->timer_backlog);

    if (lapic_busy(&l->dev, l->lvt[LVT_TIMER] & LVT_VECTOR))
        return now + ticks_look(period_ns(l));
    return due > now ? due : now;
}

void lapic_timer_arm(struct lapic *l)
{
    u64 deadline = l->timer_epoch + l->timer_count * tick_ns(l);
    u64 now = clock_now(l->dev.machine);

    if (!l->timer_count || l->lvt[LVT_TIMER] & LVT_MASKED) {
        timer_cancel(&l->timer);
        return;
    }
    if (l->timer_backlog && owed_due(l, now) < deadline)
        deadline = owed_due(l, now);
    if (periodic(l) && period_ns(l) < SHORTEST_WAIT && deadline < now + SHORTEST_WAIT)
        deadline = now + SHORTEST_WAIT;
    timer_set(&l->timer, deadline);
}

/* One tick now if the core can take it, and the last one is long enough ago; the rest is
 * owed. */
static void give_ticks(struct lapic *l, u64 ticks)
{
    u64 now = clock_now(l->dev.machine);
    bool soon = periodic(l) && l->timer_given &&
                now < l->timer_given + ticks_spacing(period_ns(l), ticks);

    if (ticks && lapic_busy(&l->dev, l->lvt[LVT_TIMER] & LVT_VECTOR)) {
        l->timer_given = now;
    } else if (ticks && !soon) {
        lapic_local(l, LVT_TIMER);
        l->timer_given = now;
        ticks--;
    }
    l->timer_backlog = ticks > BACKLOG_LIMIT ? BACKLOG_LIMIT : (u32)ticks;
}

/* What has come due under the registers as they are: before they change, too. */
static void catch_up(struct lapic *l)
{
    u64 expired = settle_ticks(l);

    if (!(l->lvt[LVT_TIMER] & LVT_MASKED))
        give_ticks(l, l->timer_backlog + expired);
}

static void timer_fire(void *owner)
{
    struct lapic *l = owner;

    catch_up(l);
    lapic_timer_arm(l);
}

/* ---- Registers ---- */

u32 lapic_timer_current(struct lapic *l)
{
    u64 elapsed = (clock_now(l->dev.machine) - l->timer_epoch) / tick_ns(l);

    if (elapsed < l->timer_count)
        return l->timer_count - (u32)elapsed;
    if (!l->timer_count || !periodic(l) || !l->timer_initial)
        return 0;
    return l->timer_initial - (u32)((elapsed - l->timer_count) % l->timer_initial);
}

/* Writing the initial count starts the timer; 0 stops it. */
void lapic_timer_write_initial(struct lapic *l, u32 val)
{
    catch_up(l);
    l->timer_initial = l->timer_count = val;
    l->timer_epoch = clock_now(l->dev.machine);
    l->timer_backlog = 0;
    l->timer_given = 0;
    lapic_timer_arm(l);
}

/* The count goes on from where it is. */
void lapic_timer_write_divide(struct lapic *l, u32 val)
{
    u32 current;

    catch_up(l);
    current = lapic_timer_current(l);
    l->timer_divide = val & 0xb;
    l->timer_count = current;
    l->timer_epoch = clock_now(l->dev.machine);
    lapic_timer_arm(l);
}

/* Nothing is owed for what the guest masks, or counted otherwise. */
void lapic_timer_write_lvt(struct lapic *l, u32 val)
{
    catch_up(l);
    if (val & LVT_MASKED || (val ^ l->lvt[LVT_TIMER]) & (LVT_PERIODIC | LVT_VECTOR))
        l->timer_backlog = 0;
    l->lvt[LVT_TIMER] = val;
    lapic_timer_arm(l);
}

void lapic_timer_reset(struct lapic *l)
{
    timer_cancel(&l->timer);
    l->timer_initial = l->timer_count = l->timer_divide = l->timer_backlog = 0;
    l->timer_epoch = clock_now(l->dev.machine);
}

void lapic_timer_attach(struct lapic *l)
{
    timer_init(&l->timer, l->dev.machine, timer_fire, l);
}
