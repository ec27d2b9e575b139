/*
 * Private to the local APIC's files: its registers, its timer, what the monitor tells of it.
 */
#ifndef RING3_LAPIC_PRIVATE_H
#define RING3_LAPIC_PRIVATE_H

#include "devices/lapic.h"

enum lvt { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVTS };
enum {
    LVT_VECTOR = 0xff, LVT_DELIVERY = 0x700, LVT_STATUS = 1 << 12, LVT_POLARITY = 1 << 13,
    LVT_REMOTE_IRR = 1 << 14, LVT_LEVEL = 1 << 15, LVT_MASKED = 1 << 16, LVT_PERIODIC = 1 << 17,
    LVT_DELIVERY_SHIFT = 8,
};

struct lapic {
    struct device dev;
    u64 base;       /* IA32_APIC_BASE */
    gpa_t claimed;  /* where our page answers; 0: nowhere */
    u32 id, tpr, ldr, dfr, svr, icr[2];
    u32 esr, esr_pending; /* as read; collected since the last write */
    u32 irr[8], isr[8], tmr[8];
    u32 lvt[LVTS];
    u8 lint[2];     /* pin levels */
    u8 extint;      /* an ExtINT message came by the I/O APIC and waits for its INTA */

    /* Timer (lapic_timer.c) */
    u32 timer_initial, timer_divide; /* registers */
    u32 timer_count;                 /* current count at timer_epoch; 0: stopped */
    u64 timer_epoch;                 /* clock_now() */
    u64 timer_given;                 /* machine time when the last tick was given, or still
                                        waited; 0: none */
    u32 timer_backlog;               /* ticks due that found the one before still requested */
    struct timer timer;
};

u32 lapic_ppr(const struct lapic *l); /* processor priority: 10.8.3.1 */
/* The interrupt of an LVT entry, if unmasked. */
void lapic_local(struct lapic *l, enum lvt which);

void lapic_timer_attach(struct lapic *l);
void lapic_timer_reset(struct lapic *l);
void lapic_timer_arm(struct lapic *l); /* LVT or a register changed, or state was restored */
u32 lapic_timer_current(struct lapic *l);
void lapic_timer_write_initial(struct lapic *l, u32 val);
void lapic_timer_write_divide(struct lapic *l, u32 val);
void lapic_timer_write_lvt(struct lapic *l, u32 val);

#endif
