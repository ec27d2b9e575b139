/* What the guests that measure share: they print on port E9, read the multiboot command line,
 * and end by port F4. */
#ifndef BENCH_GUEST_H
#define BENCH_GUEST_H

#include "bench/user/sample.h"
#include "tests/guests/io.h"

void put(const char *s);
void put_number(u64 val); /* a blank, then in decimal */
_Noreturn void leave(void);

/* The command line that start's EAX and EBX tell of; `without` if there is none. */
void options_init(u32 magic, const u32 *info, const char *without);
/* What follows "name" at the beginning of a word; NULL: not there. */
const char *option(const char *name);
u32 number_option(const char *name);

u32 hundredths(u64 cycles, u32 n); /* of a cycle, for one of n */

#endif
