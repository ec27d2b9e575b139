/*
 * A guest that only waits need not burn a core. Two things say that it does.
 *
 *   PAUSE after PAUSE: for a while, or for another. After some dozen microseconds the machine
 *   sleeps, a
 *   quarter of the time that has been waited so far, and looks again. So a delay is at most a
 *   quarter too
 *   long, and a long one costs a tenth of itself.
 *   INT 28h, again and again: DOS calls it while it waits for a key. A key's interrupt, or the
 *   clock's,
 *   ends the sleep; so it may be as long as what has been waited.
 *
 * A device access begins another wait, and so does other work in between.
 */
#include "runtime/machine/spin.h"
#include "runtime/machine/loop.h"
#include "runtime/machine/machine.h"
#include "runtime/machine/sampler.h"

enum { BATCH = 512, BATCH_ASLEEP = 32, DENSE = 1000 /* ns per PAUSE, at most */, SHARE = 4 };
#define LEAST_SLEEP USEC(10)
#define MOST_SLEEP USEC(200)
#define IDLE_DENSE USEC(100) /* per INT 28h, at most */
#define IDLE_MOST_SLEEP MSEC(10)

static bool time_runs(const struct machine *m)
{
    return !m->clock_manual && m->clock_running;
}

/* The guest waits, and if it did nothing else for `gap` it has since before. Asks for a sleep
 * if it is due. */
static bool wait_on(struct machine *m, u64 gap, u32 share, u64 most)
{
    u64 accesses = bus_stats(m->bus)->port_accesses + bus_stats(m->bus)->mmio_accesses,
        now = clock_now(m), sleep;

    if (now - m->spin.last > gap || m->spin.accesses != accesses)
        m->spin.began = now;
    m->spin.accesses = accesses;
    m->spin.last = now;
    sleep = (now - m->spin.began) / share;
    if (sleep < LEAST_SLEEP)
        return false;
    m->spin.sleep = sleep < most ? sleep : most;
    __atomic_fetch_or(&m->cpu->requests, REQ_TIMER, __ATOMIC_RELAXED);
    return true;
}

u32 machine_paused(struct machine *m)
{
    if (!time_runs(m))
        return BATCH;
    m->spin.batch =
        wait_on(m, (u64)m->spin.batch * DENSE, SHARE, MOST_SLEEP) ? BATCH_ASLEEP : BATCH;
    return m->spin.batch;
}

void machine_dos_idle(struct machine *m)
{
    if (time_runs(m))
        wait_on(m, IDLE_DENSE, 1, IDLE_MOST_SLEEP);
}

void machine_spin_sleep(struct machine *m, u64 next)
{
    u64 sleep = m->spin.sleep < next ? m->spin.sleep : next;

    m->spin.sleep = 0;
    if (m->cpu->intr || m->cpu->requests & (REQ_NMI | REQ_EVENT))
        return; /* came meanwhile; INT has closed IF, so it may still wait */
    m->stats.spin_sleeps++;
    sampler_idle(m, true);
    loop_poll(m, sleep);
    sampler_idle(m, false);
    m->spin.last = clock_now(m);
}
