/*
 * The bus as the machine sees it: made with it, asked for what it counted. Chips and the CPU
 * use what device.h says.
 */
#ifndef RING3_BUS_H
#define RING3_BUS_H

#include "devices/device.h"

/* What is counted: stats.def. */
struct bus_stats {
#define COUNTER(id, help) u64 id;
#include "devices/stats.def"
#undef COUNTER
};

/* `activity`: see runtime/base/activity.h; a chip that answers is booked there. */
struct bus *bus_new(u8 *activity);
void bus_free(struct bus *bus);
const struct bus_stats *bus_stats(const struct bus *bus);
/* Who answers where: QEMU's `info mtree`, as far as there is something to tell. */
void bus_tell(const struct bus *bus, u64 ram, FILE *out);
/* Device memory: what bus_mmio_read() and bus_mmio_write() do. */
u32 bus_memory_read(struct bus *bus, gpa_t gpa, u32 size);
void bus_memory_write(struct bus *bus, gpa_t gpa, u32 size, u32 val);

#endif
