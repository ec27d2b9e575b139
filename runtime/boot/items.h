/*
 * -fw_cfg and -smbios: what the user gives the firmware.
 */
#ifndef RING3_ITEMS_H
#define RING3_ITEMS_H

#include "runtime/base/base.h"

/* die()s on the user's mistakes. */
void items_of_user(struct machine *m);

#endif
