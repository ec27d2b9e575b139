/*
 * -device NAME,KEY=VALUE,…: by the table of devices/user_devices.c.
 */
#ifndef RING3_OPTION_DEVICES_H
#define RING3_OPTION_DEVICES_H

#include "runtime/options/option_values.h"

SETTER(set_device);
SETTER(set_global); /* -global DEVICE.KEY=VALUE, of each such device that follows */
/* Adds the board's own display adapter as a device where a -global is about it, and floppy
 * drives that -global isa-fdc names. */
void finish_global_devices(struct options *o);
/* The device of that row, with its defaults, at the end of o->devices. */
struct device_options *add_device(struct options *o, const char *option,
                                  const struct user_device *row);
struct device_options *last_device(struct options *o); /* NULL: none */
/* The place for the id of the device's first back end of that kind (for a chardev: a target as
 * -serial takes it, "chardev:ID" for an id); NULL: it takes none. */
const char **device_reference(struct device_options *d, enum key_kind kind);
/* Is there a chip of that class among the user's devices? */
bool wants_device(const struct options *o, const struct device_class *class);

#endif
