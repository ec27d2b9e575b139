/*
 * The machine: what parts.c wires from the options, and what the wings of runtime/ work on.
 * Everything the guest can see hangs off it; two machines can live in one process, each on its
 * own thread.
 */
#ifndef RING3_MACHINE_H
#define RING3_MACHINE_H

#include "cpu/engine.h"
#include "devices/bus.h"
#include "devices/device.h"
#include "mmu/mmu.h"
#include "runtime/base/activity.h"
#include "runtime/machine/hostclock.h"
#include "runtime/machine/options.h"
#include "runtime/machine/stats.h"
#include "runtime/machine/speed.h"
#include "runtime/machine/stolen.h"

struct allocation;
struct disk;
struct series;
struct vnc_control;
struct block_nodes;
struct hotplug;

/* Suspended: in ACPI's S3; the processor stands, time passes. */
enum run_state { RUN_RUNNING, RUN_PAUSED, RUN_SUSPENDED, RUN_SHUTDOWN };

struct machine {
    struct options *options; /* owned by main */
    struct vcpu *cpu;
    struct mmu *mmu;
    struct bus *bus;
    struct stats stats;

    struct device *devices; /* in order of attachment */
    struct irq isa[16];
    u64 isa_raised[16]; /* how often each wire went up */
    /* Those that the frame itself drives: NULL on a bare machine. */
    struct device *i8259, *lapic, *ioapic, *ferr; /* for the CPU; isapc has no APICs */
    struct device *i8042, *vga, *piix4, *vmport;  /* input, screen, power button, backdoor */
    struct device *i8237;                         /* for cards */
    struct device *hpet;                          /* NULL: there is none; timer interrupts' way */
    struct device *fw_cfg;                        /* while the machine is made */
    struct disk *floppy[2], *ide[2][2], *flash[2];

    /* Time: see clock.c. */
    struct host_clock host_clock;
    i64 clock_offset;    /* machine time = the host's clock + offset, while running */
    u64 clock_stopped;   /* machine time while stopped */
    struct stolen stolen;
    bool clock_running, clock_manual; /* manual: tests turn it, or what runs */
    i64 wall_base;        /* RTC time at machine time 0, seconds since 1970 */
    u32 wall_base_ns;
    struct timer *timers; /* armed, earliest first */
    u64 poll_due;         /* machine time when descriptors are to be looked at */

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
    struct series *series; /* NULL: none is written */
    struct { /* a guest that waits: see spin.c */
        u64 began, last, sleep; /* sleep: nanoseconds that are due */
        u64 accesses;           /* to devices, by then */
        u32 batch;
    } spin;
    struct speed speed; /* a limit: see speed.c */
    struct loop *loop;
    struct char_backend *ports; /* serial ports' and debug consoles' host side: chardev.c */
    struct sound_capture *captures; /* of the monitor's wavcapture: runtime/sound/sound.c */
    struct sound_device *sounds; /* audio back ends that are open: runtime/sound/sound.c */
    struct net_backend *networks; /* the cards' host side: runtime/network */
    bool spoken;        /* a byte has gone to the terminal */
    struct allocation *allocations;
    struct qmp *qmp;           /* the control socket's server, or NULL */
    u8 qmp_buttons;            /* that input-send-event holds: as struct input_event's */
    struct block_nodes *block_nodes; /* of blockdev-add; made when first needed */
    struct hotplug *hotplug;         /* what device_add has added; made when first needed */
    void (*after_reset)(struct machine *m); /* what a reset undoes of the start; or NULL */
    /* Another boot order for the firmware, from the next reset on: letters of a, c, d and n,
     * three at most. NULL, or what is wrong with them, in QEMU's words, to be freed. The
     * function is NULL on a bare machine. */
    char *(*set_boot_order)(struct machine *m, const char *order);
    bool reset_by_host;        /* the reset that is asked for: by QMP, not by the guest */
    /* Hears of events, by QMP's names; NULL: nobody does. See machine_notify(). */
    void (*notify)(struct machine *m, const char *event, const char *reason);
    /* A debugger outside the guest: asked once a turn of the run loop, before the guest goes on; or NULL. */
    void (*debug)(struct machine *m);
    struct vnc_control *vnc;   /* what QMP does to the VNC server, or NULL: there is none */
    struct gdb *gdb;           /* its server, or NULL */
    struct keyqueue *keyqueue; /* keys typed by programs; made when first needed */
};

/* Whose CPU it is. */
static inline struct machine *machine_of(const struct vcpu *cpu)
{
    return cpu->pins.board;
}

#endif
