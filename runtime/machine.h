/*
 * The machine: what machine.c wires from the options, and what the front ends drive. Everything
 * the guest can see hangs off it; two machines can live in one process.
 */
#ifndef RING3_MACHINE_H
#define RING3_MACHINE_H

#include "cpu/engine.h"
#include "devices/board.h"
#include "devices/bus.h"
#include "mmu/mmu.h"
#include "runtime/activity.h"
#include "runtime/options.h"
#include <time.h>

struct allocation;

enum run_state { RUN_RUNNING, RUN_PAUSED, RUN_SHUTDOWN };

struct machine {
    struct options *options; /* owned by main */
    struct vcpu *cpu;
    struct mmu *mmu;
    struct bus *bus;
    struct stats stats;

    struct device *devices; /* in order of attachment */
    struct irq isa[16];
    /* Those that the frame itself drives: NULL on a bare machine. */
    struct device *i8259, *lapic, *ioapic, *ferr; /* for the CPU */
    struct device *i8042, *vga, *piix4;           /* input, screen, power button */
    struct device *fw_cfg;                        /* while the machine is made */
    struct disk *floppy[2], *ide[2][2];

    /* Time: see clock.c. */
    i64 clock_offset;    /* machine time = host monotonic + offset, while running */
    u64 clock_stopped;   /* machine time while stopped */
    bool clock_running, clock_manual; /* manual: tests turn it */
    i64 wall_base;        /* RTC time at machine time 0, seconds since 1970 */
    u32 wall_base_ns;
    struct timer *timers; /* armed, earliest first */
    timer_t host_timer;   /* of the thread that runs the machine */
    u64 host_armed;       /* its deadline in machine time, ~0: none */

    enum run_state state;
    u32 events;      /* MACHINE_* requested */
    int exit_status; /* of the process, when MACHINE_EXIT came from the guest */
    bool quit;       /* leave machine_run() */
    u8 activity; /* enum activity */
    struct {
        bool on;
        u64 last;                   /* the thread's CPU time at the last sample */
        u64 started, cpu_started;   /* wall and CPU time */
        u64 idle, idle_since;       /* wall time asleep, and when that began */
        u64 spent[ACTIVITIES];      /* nanoseconds */
    } sampler;
    struct { /* a guest that waits: see spin.c */
        u64 began, last, sleep; /* sleep: nanoseconds that are due */
        u64 accesses;           /* to devices, by then */
        u32 batch;
    } spin;
    struct loop *loop;
    struct port *ports; /* serial ports' and debug consoles' host side: chardev.c */
    bool spoken;        /* a byte has gone to the terminal */
    struct allocation *allocations;
    struct qmp *qmp;           /* the control socket's server, or NULL */
    struct keyqueue *keyqueue; /* keys typed by programs; made when first needed */
};

/* Whose CPU it is. */
static inline struct machine *machine_of(const struct vcpu *cpu)
{
    return cpu->pins.board;
}

/* ---- engines.c ---- */
extern const struct engine *const engines[]; /* ends with NULL */
const struct engine *engine_named(const char *name); /* NULL: none */
void engine_attach(struct machine *m, const struct engine *engine); /* once the CPU is made */

/* ---- pins.c ---- */
struct cpu_pins machine_pins(struct machine *m); /* but those of interrupts, which the chips add */
struct mmu_bus machine_memory_bus(struct machine *m);

/* Builds a machine from the options; die()s with one line on the user's mistakes. */
struct machine *machine_new(struct options *o);
/* RAM, a bus and a CPU without a board or firmware: what tests build on. */
struct machine *machine_bare(struct options *o);
void machine_free(struct machine *m);
void machine_free_allocations(struct machine *m); /* what machine_alloc() gave; services.c */
/* Runs until quit; returns the exit status. */
int machine_run(struct machine *m);
void machine_stop(struct machine *m); /* QMP stop: clock and CPU stand */
void machine_cont(struct machine *m);
void machine_reset(struct machine *m); /* RESET on every chip, now: between instructions only */

/* ---- clock.c ---- */
void clock_start(struct machine *m);
void clock_stop(struct machine *m);
/* Manual clocks only: moves time on, firing timers in order at their deadlines. */
void clock_advance(struct machine *m, u64 ns);
/* This thread runs the machine from now on: a timer of the host signals it. */
void clock_adopt_thread(struct machine *m);
void clock_leave_thread(struct machine *m); /* it does no longer; on the same thread */
/* Fires what is due. Returns nanoseconds to the next deadline, ~0 if none. */
u64 timers_run(struct machine *m);
/* Asks the host for an ATT_TIMER at the first deadline (see clock.c). */
void clock_arm_host(struct machine *m);

/* ---- stats.c: what the processor, the MMU, the bus and the frame count ---- */
typedef void stats_fn(void *arg, const char *name, const char *help, u64 val);
void stats_each(const struct machine *m, stats_fn *fn, void *arg);
void stats_each_of_mmu(const struct machine *m, stats_fn *fn, void *arg);

/* ---- sampler.c ---- */
/* As activity_begin() and activity_end(). */
static inline u8 activity_enter(struct machine *m, enum activity what)
{
    return activity_begin(&m->activity, what);
}
static inline void activity_leave(struct machine *m, u8 before)
{
    activity_end(&m->activity, before);
}
/* Samples the calling thread, which runs the machine, from now on. Starting twice is fine. */
void sampler_start(struct machine *m);
void sampler_stop(struct machine *m); /* what was counted stays; by machine_free() */
/* The guest sleeps from now on, or no longer. */
void sampler_idle(struct machine *m, bool asleep);
/* Seconds since sampler_start(), by activity; "idle": asleep; "waiting": what the host's other work
 * took. Nothing if it was not started. */
void sampler_each(struct machine *m, void (*fn)(void *arg, const char *name, double seconds),
                  void *arg);

/* ---- loop.c: host descriptors ---- */
enum { LOOP_READ = 1, LOOP_WRITE = 2 };
/* cb runs on the machine's thread. One registration a descriptor; events 0 mutes it. */
void loop_add(struct machine *m, int fd, u32 events, void (*cb)(void *arg, u32 events), void *arg);
void loop_modify(struct machine *m, int fd, u32 events);
void loop_remove(struct machine *m, int fd);
/* Serves ready descriptors; waits up to timeout_ns (0: polls) for one, or for a signal. */
void loop_poll(struct machine *m, u64 timeout_ns);
/* While the guest runs, descriptors are polled this often at least. */
#define LOOP_INTERVAL MSEC(5)

/* ---- spin.c ---- */
/* The CPU has run a batch of PAUSEs. Returns how many make the next one. */
u32 machine_paused(struct machine *m);
/* DOS says that it waits for a key. */
void machine_dos_idle(struct machine *m);
/* Sleeps as it asked for, until the deadline in `next` nanoseconds at most. */
void machine_spin_sleep(struct machine *m, u64 next);

/* Tells QMP clients (runtime/qmp.c): an event's name and its "reason", or NULL. */
void machine_notify(struct machine *m, const char *event, const char *reason);

/* ---- What the front ends ask ---- */
/* PPM or PNG of the current screen. NULL, or what went wrong. */
const char *screen_dump(struct machine *m, const char *path, bool png);

#endif
