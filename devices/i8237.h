/*
 * The pair of 8237A DMA controllers with the page registers: see i8237.c.
 */
#ifndef RING3_I8237_H
#define RING3_I8237_H

#include "devices/device.h"

extern const struct device_class i8237_class; /* 00-0F, C0-DF, page registers 80-8F */

/* Moves up to n bytes between buf and memory on a channel: to_memory true for a device→memory
 * transfer. Returns the bytes moved (0 if masked); *terminal is set when the count ran out. */
u32 i8237_transfer(struct device *dev, u32 channel, void *buf, u32 n, bool to_memory,
                   bool *terminal);
/* Before the guest reads where the channel is, catch_up() is called: a chip that moves data in
 * pieces comes up to now then. One chip a channel: the last. */
void i8237_follow(struct device *dev, u32 channel, void (*catch_up)(struct device *follower),
                  struct device *follower);

#endif
