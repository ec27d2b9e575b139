/*
 * bootindex=: what the firmware tries first.
 */
#ifndef RING3_ORDER_H
#define RING3_ORDER_H

#include "runtime/machine/machine.h"

/* Hands the firmware its list, where a -device says bootindex= and no -kernel comes first.
 * die()s on a number that is none, or that two devices have. */
void boot_order(struct machine *m);

#endif
