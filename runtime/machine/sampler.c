/*
 * Where the machine's thread spends its time: a timer on its CPU clock, and at each of its
 * signals the time since the last one is booked on what the thread was doing then. That is
 * translated code, by the program counter, or what m->activity says. Sleeping takes no CPU
 * time, so nothing is sampled then; that is timed by itself.
 *
 * Without a sampler (no --stats, no `info tc` yet) all of this costs the stores to m->activity.
 * The kernel looks at CPU clocks at its ticks, so a sample is worth 1 to 10 ms.
 */
#include "runtime/machine/sampler.h"
#include "runtime/base/clock_ns.h"
#include "runtime/machine/machine.h"

#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static _Thread_local struct machine *sampled;
static _Thread_local timer_t timer; /* while sampled is set */

static const char *const names[ACTIVITIES] = {
    [ACT_MONITOR] = "monitor",
    [ACT_CODE] = "translated_code",
    [ACT_TRANSLATOR] = "translator",
    [ACT_DEVICES] = "devices",
};

/* Books the CPU time since the last sample. */
static void book_time(struct machine *m, enum activity what)
{
    u64 now = clock_ns(CLOCK_THREAD_CPUTIME_ID);

    m->sampler.spent[what] += now - m->sampler.last;
    m->sampler.last = now;
}

static bool in_code(const struct vcpu *cpu, u64 pc)
{
    return cpu->engine->in_code && cpu->engine->in_code(cpu, pc);
}

static void on_sample(int sig, siginfo_t *info, void *context)
{
    const greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
    struct machine *m = sampled;

    if (m)
        book_time(m, in_code(m->cpu, (u64)g[REG_RIP]) ? ACT_CODE : m->activity);
}

void sampler_start(struct machine *m)
{
    struct sigaction sa = { .sa_sigaction = on_sample,
                            .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };
    struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF };
    struct itimerspec its = { { 0, 1000003 }, { 0, 1000003 } };

    if (m->sampler.on)
        return;
    m->sampler.last = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    m->sampler.started = clock_ns(CLOCK_MONOTONIC);
    m->sampler.cpu_started = m->sampler.last;
    sigaction(SIGPROF, &sa, NULL);
    ev._sigev_un._tid = (int)syscall(SYS_gettid);
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &ev, &timer) ||
        timer_settime(timer, 0, &its, NULL))
        return;
    m->sampler.on = true;
    sampled = m;
}

void sampler_stop(struct machine *m)
{
    if (sampled != m)
        return;
    timer_delete(timer);
    sampled = NULL; /* a signal may still be on its way */
}

void sampler_idle(struct machine *m, bool asleep)
{
    if (!m->sampler.on)
        return;
    if (asleep)
        m->sampler.idle_since = clock_ns(CLOCK_MONOTONIC);
    else if (m->sampler.idle_since)
        m->sampler.idle += clock_ns(CLOCK_MONOTONIC) - m->sampler.idle_since;
}

void sampler_each(struct machine *m, void (*fn)(void *arg, const char *name, double seconds),
                  void *arg)
{
    u64 wall = clock_ns(CLOCK_MONOTONIC) - m->sampler.started;
    u64 cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - m->sampler.cpu_started;

    if (!m->sampler.on)
        return;
    for (u32 i = 0; i < ACTIVITIES; i++)
        fn(arg, names[i], (double)m->sampler.spent[i] / 1e9);
    fn(arg, "idle", (double)m->sampler.idle / 1e9);
    cpu += m->sampler.idle;
    fn(arg, "waiting", wall > cpu ? (double)(wall - cpu) / 1e9 : 0);
}
