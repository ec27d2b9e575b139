/*
 * The run loop: serve what is due, then run the guest until something is due again.
 *
 *   events (reset, power off, exit)  →  timers  →  host descriptors  →  the engine, or sleep
 *
 * A halted guest, a suspended and a stopped machine sleep in loop_poll() until a deadline or a
 * descriptor. Suspended (ACPI's S3) the processor stands and time passes; waking is a RESET after
 * which the firmware jumps to where the guest said.
 */
#include "runtime/machine/run.h"
#include "cpu/deliver.h"
#include "cpu/fpu.h"
#include "cpu/msr.h"
#include "cpu/reset.h"
#include "devices/piix4.h"
#include "runtime/machine/clock.h"
#include "runtime/machine/execlog.h"
#include "runtime/machine/loop.h"
#include "runtime/machine/machine.h"
#include "runtime/machine/sampler.h"
#include "runtime/machine/series.h"
#include "runtime/machine/spin.h"
#include <sys/prctl.h>

bool machine_time_passes(const struct machine *m)
{
    return m->state == RUN_RUNNING || m->state == RUN_SUSPENDED;
}

static void reset_chips(struct machine *m, bool woken)
{
    for (struct device *d = m->devices; d; d = d->next)
        if (woken && d->class->woken)
            d->class->woken(d);
        else if (d->class->reset)
            d->class->reset(d);
}

static void restart(struct machine *m, bool woken)
{
    trace(TRACE_CPU, "machine %s", woken ? "wakes" : "reset");
    reset_chips(m, woken);
    if (m->state == RUN_SUSPENDED)
        m->state = RUN_RUNNING;
    cpu_reset(m->cpu);
    if (!m->options->bios) /* a PC's POST does; SeaBIOS leaves it out */
        fpu_init(m->cpu);
    mmu_set_a20(m->mmu, true);
}

void machine_reset(struct machine *m)
{
    restart(m, false);
}

void machine_wake(struct machine *m)
{
    restart(m, true);
}

void machine_stop(struct machine *m)
{
    if (!machine_time_passes(m))
        return;
    m->state = RUN_PAUSED;
    clock_stop(m);
    cpu_tsc_stop(m->cpu);
    __atomic_fetch_or(&m->cpu->requests, REQ_EVENT, __ATOMIC_RELAXED);
}

void machine_cont(struct machine *m)
{
    if (m->state != RUN_PAUSED)
        return;
    m->state = m->piix4 && piix4_asleep(m->piix4) ? RUN_SUSPENDED : RUN_RUNNING;
    clock_start(m);
    cpu_tsc_start(m->cpu);
    clock_arm(m);
}

void machine_notify(struct machine *m, const char *event, const char *reason)
{
    trace(TRACE_QMP, "event %s (%s)", event, reason ? reason : "");
    if (m->notify)
        m->notify(m, event, reason);
}

static void serve_reset(struct machine *m)
{
    const char *reason = m->reset_by_host ? "host-qmp-system-reset" : "guest-reset";

    m->reset_by_host = false;
    if (m->options->no_reboot) {
        machine_notify(m, "SHUTDOWN", reason);
        m->quit = true;
        return;
    }
    machine_reset(m);
    if (m->after_reset)
        m->after_reset(m);
    machine_notify(m, "RESET", reason);
}

static void serve_power_off(struct machine *m)
{
    machine_notify(m, "SHUTDOWN", "guest-shutdown");
    if (m->options->no_shutdown)
        machine_stop(m);
    else
        m->quit = true;
}

/* S3 and back; the machine may stand meanwhile, and is asleep, or awake, when it goes on. */
static void serve_sleep(struct machine *m, u32 events)
{
    bool asleep = m->piix4 && piix4_asleep(m->piix4);

    if (events & MACHINE_SUSPEND && asleep) {
        if (m->state == RUN_RUNNING)
            m->state = RUN_SUSPENDED;
        machine_notify(m, "SUSPEND", NULL);
    }
    if (events & MACHINE_WAKE && asleep) {
        machine_wake(m);
        machine_notify(m, "WAKEUP", NULL);
    }
}

static void serve_events(struct machine *m)
{
    u32 events = m->events;

    m->events = 0;
    __atomic_fetch_and(&m->cpu->requests, ~(u32)REQ_EVENT, __ATOMIC_RELAXED);
    if (events & MACHINE_EXIT)
        m->quit = true;
    if (events & MACHINE_HIBERNATE)
        machine_notify(m, "SUSPEND_DISK", NULL);
    if (events & (MACHINE_POWER_OFF | MACHINE_HIBERNATE))
        serve_power_off(m);
    if (events & (MACHINE_SUSPEND | MACHINE_WAKE))
        serve_sleep(m, events);
    if (events & MACHINE_RESET && !m->quit)
        serve_reset(m);
    if (m->debug && !m->quit)
        m->debug(m);
}

static bool halted(struct machine *m)
{
    return m->cpu->requests & REQ_HALT && !cpu_can_wake(m->cpu);
}

/* Sleeps until the next deadline or descriptor; the halted CPU may then have a reason to wake. */
static void idle_until(struct machine *m, u64 next)
{
    if (m->cpu->requests & REQ_EVENT)
        return;
    if (machine_time_passes(m) && clock_skip(m, next))
        next = 0;
    m->stats.halts++;
    sampler_idle(m, true);
    loop_poll(m, machine_time_passes(m) ? next : ~0ull);
    sampler_idle(m, false);
}

int machine_run(struct machine *m)
{
    u64 next;

    prctl(PR_SET_TIMERSLACK, 1000ul, 0, 0, 0); /* sleeps of microseconds */
    if (m->options->stats)
        sampler_start(m);
    series_start(m);
    if (m->state == RUN_RUNNING)
        clock_start(m);
    while (!m->quit) {
        serve_events(m);
        if (m->quit)
            break;
        __atomic_fetch_and(&m->cpu->requests, ~(u32)REQ_TIMER, __ATOMIC_RELAXED);
        next = machine_time_passes(m) ? timers_run(m) : ~0ull;
        if (m->state == RUN_RUNNING && halted(m) && timers_hurry(m))
            continue;
        if (m->state != RUN_RUNNING || halted(m)) {
            idle_until(m, next);
            continue;
        }
        if (m->spin.sleep) {
            machine_spin_sleep(m, next);
            continue;
        }
        if (clock_now(m) >= m->poll_due) {
            loop_poll(m, 0);
            continue; /* a descriptor's callback may have stopped us or made a timer due */
        }
        if (speed_stand(m, next))
            continue;
        clock_arm(m);
        speed_before(m);
        if (debuglog_items && execlog_drives(m->cpu))
            execlog_run(m->cpu);
        else
            m->cpu->engine->run(m->cpu);
        speed_after(m);
        m->stats.deadlines += m->cpu->requests & REQ_TIMER ? 1 : 0;
        if (m->cpu->requests & REQ_TIMER)
            clock_turn(m);
    }
    return m->exit_status;
}
