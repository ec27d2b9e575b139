/*
 * A bare protected-mode machine for instruction tests: user code in flat segments, paging with
 * only the pages a test asks for, and a kernel that is a table of one-instruction handlers.
 * What a test sees is what a 32-bit Linux process sees: the same selectors, EIP, exceptions and
 * error codes.
 */
#ifndef RING3_BARE_H
#define RING3_BARE_H

#include "bt/bt.h"
#include "mmu/mmu.h"
#include "runtime/machine/options.h"

struct bare {
    struct machine *m;
    struct vcpu *cpu;
    u8 *ram;        /* linear = physical for what bare_map() maps */
    u32 next_table; /* where the next page table goes */
};

/* What ended a run of user code: the frame the exception pushed, taken off again. */
struct bare_event {
    u32 vector, error; /* error 0 if the vector has none */
    bool has_error;
    u32 eip, eflags, esp;
    u16 selector[6]; /* by enum seg: CS and SS; from virtual-8086 mode all */
};

/* Which engine runs the tests, and how, as the options of the test programs say. */
struct bare_engine {
    const struct engine *engine;
    struct bt_config config;
};
#define BARE_ENGINE_OPTIONS                                                                    \
    "[--engine interp|bt] [--tu 1-12] [--chaining on|off] [--form N] [--cache BYTES]"
/* Takes one option and its value. False: it is none of these. */
bool bare_engine_option(struct bare_engine *e, const char *option, const char *value);
/* Gives the machine its translator, if that is the engine. */
void bare_use(struct bare *b, const struct bare_engine *e);

/* `ram` bytes, 2 MiB to 1 GiB. The kernel owns 110000 to 200000. */
struct bare *bare_new(u64 ram);
void bare_free(struct bare *b);
/* Maps [gla, gla+size) to itself for the user, read-write; multiples of a page. */
void bare_map(struct bare *b, gla_t gla, u32 size);
/* One page, to anywhere, with less access. */
enum bare_access { BARE_NONE, BARE_READ, BARE_ALL };
void bare_map_page(struct bare *b, gla_t gla, gpa_t gpa, enum bare_access access);
/* Registers as a process starts: user segments, CPL 3; general registers and EIP are the
 * caller's. */
void bare_enter_user(struct bare *b, u32 eip, u32 eflags);
/* The same with these segments, by enum seg, of the GDT or of the LDT of case.h; not
 * checked. */
void bare_enter_segments(struct bare *b, const u16 selector[6], u32 eip, u32 eflags);
/* The same into virtual-8086 mode with IOPL 3. */
void bare_enter_v86(struct bare *b, const u16 selector[6], u32 eip, u32 eflags);
/* From now on user code may INT n to every gate and use every port. */
void bare_open_gates(struct bare *b);
/* Runs until an exception or interrupt enters the kernel. False: `limit` steps of the
 * interpreter were not enough, or the machine shut down. */
bool bare_run(struct bare *b, const struct engine *engine, u64 limit, struct bare_event *event);

#endif
