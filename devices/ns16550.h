/*
 * The PC16550D serial port: see ns16550.c.
 */
#ifndef RING3_NS16550_H
#define RING3_NS16550_H

#include "devices/chardev.h"
#include "devices/user_device.h"

extern const struct device_class ns16550_class; /* config: struct ns16550_config */
extern const struct user_device isa_serial_user_device;

struct ns16550_config {
    u16 port; /* 3F8, 2F8, 3E8, 2E8 */
    u8 irq;   /* 4, 3 */
    struct chardev *chardev; /* NULL: nothing connected */
    u8 index; /* for isa_serial_user_device: COM1 is 0 */
};
/* Where COM1 (index 0) to COM4 are: fills in port and irq where they are 0. False: no such
 * port. */
bool ns16550_place(struct ns16550_config *config, u32 index);

#endif
