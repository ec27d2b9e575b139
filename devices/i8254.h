/*
 * The 8254 timer: see i8254.c.
 */
#ifndef RING3_I8254_H
#define RING3_I8254_H

#include "devices/device.h"

extern const struct device_class i8254_class; /* ports 40-43; out 0 → irq 0 */

/* Where channel 0's interrupt goes: the timer asks whether the last one was taken. NULL: not
 * there. */
struct i8254_config {
    struct device *i8259, *ioapic;
    /* Hears of each change of channel 2's programming, before it is made. */
    void (*changing)(struct device *speaker);
    struct device *speaker;
};

bool i8254_out(struct device *dev, u32 channel);           /* OUT pin, now */
bool i8254_out_at(struct device *dev, u32 channel, u64 ns); /* the same, when clock_now() is known */
void i8254_gate(struct device *dev, u32 channel, bool on); /* GATE pin */

/* Times of 1/256 tick since power-on, for the speaker. */
u64 i8254_fine_ticks(u64 ns);
/* For how much of from to to, such times, OUT is high as the channel is programmed now. */
u64 i8254_high(struct device *dev, u32 channel, u64 from, u64 to);

#endif
