/*
 * VMware's backdoor at port 5658, with its mouse: see vmport.c.
 */
#ifndef RING3_VMPORT_H
#define RING3_VMPORT_H

#include "devices/device.h"

extern const struct device_class
    vmport_class; /* ports 5658 to 565B; config: struct vmport_config */

struct vmport_config {
    /* The processor's general registers while it executes IN: EAX, ECX, EDX, EBX in this order.
     */
    u32 *(*registers)(struct machine *m);
    struct device *i8042; /* whose mouse tells the guest that there is something to read */
};

/* Has the guest asked for places rather than motion? Then pointers need no grab. */
bool vmport_wants_places(const struct device *dev);
/* x and y: 0 to 65535, of the picture's width and height; wheel: positive towards the user;
 * buttons: bit 0 left, 1 right, 2 middle. Only while it wants places. */
void vmport_place(struct device *dev, u16 x, u16 y, int wheel, u8 buttons);
/* Motion, for a guest that has taken the mouse over and does not want places. False: it has
 * not. */
bool vmport_move(struct device *dev, int dx, int dy, int wheel, u8 buttons);

#endif
