/*
 * Keys typed by programs.
 */
#ifndef RING3_KEYQUEUE_H
#define RING3_KEYQUEUE_H

#include "runtime/base/base.h"

/*
 * Presses the keys (keys.h codes) one after the other, then lets them go in reverse, each step
 * `hold` nanoseconds of machine time after the one before; waits its turn behind earlier keys.
 */
const char *control_send_keys(struct machine *m, const u16 *codes, u32 n, u64 hold);
/* The hold of a user who asked for `ms` milliseconds, 1 to 60000; for anything else QEMU's
 * default, 100 ms. */
u64 key_hold(i64 ms);

#endif
