/*
 * A guest that waits by PAUSE need not burn a core: after some dozen microseconds of nothing but PAUSE
 * the machine sleeps, a quarter of the time that has been waited so far, and looks again. So a delay
 * is at most a quarter too long, and a long one costs a tenth of itself. A device access begins another
 * wait. What wakes a halted guest ends the sleep as well.
 */
#include "runtime/machine.h"

enum { BATCH = 512, BATCH_ASLEEP = 32, DENSE = 1000 /* ns per PAUSE, at most */ };
#define LEAST_SLEEP USEC(10)
#define MOST_SLEEP USEC(200)

u32 machine_paused(struct machine *m)
{
    u64 accesses = m->stats.port_accesses + m->stats.mmio_accesses, now, sleep;

    if (m->clock_manual || !m->clock_running)
        return BATCH;
    now = clock_now(m);
    if (now - m->spin.last > (u64)m->spin.batch * DENSE || m->spin.accesses != accesses)
        m->spin.began = now;
    m->spin.accesses = accesses;
    m->spin.last = now;
    m->spin.batch = BATCH;
    sleep = (now - m->spin.began) / 4;
    if (sleep >= LEAST_SLEEP) {
        m->spin.sleep = sleep < MOST_SLEEP ? sleep : MOST_SLEEP;
        m->spin.batch = BATCH_ASLEEP;
        __atomic_fetch_or(&m->cpu->attention, ATT_TIMER, __ATOMIC_RELAXED);
    }
    return m->spin.batch;
}

void machine_spin_sleep(struct machine *m, u64 next)
{
    u64 sleep = m->spin.sleep < next ? m->spin.sleep : next;

    m->spin.sleep = 0;
    m->stats.spin_sleeps++;
    sampler_idle(m, true);
    loop_poll(m, sleep);
    sampler_idle(m, false);
    m->spin.last = clock_now(m);
}
