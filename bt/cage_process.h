/*
 * A cage: a process of the host whose low 4 GiB hold what ring3 has mapped there and nothing
 * else, and which runs code there in compatibility mode until it traps (cage_process.c). What
 * is mapped, and who runs when, is cage.c's affair.
 *
 * All is for the thread that started it: the host lets no other one control it.
 */
#ifndef RING3_BT_CAGE_PROCESS_H
#define RING3_BT_CAGE_PROCESS_H

#include "cpu/vcpu.h"

#include <sys/types.h>
#include <time.h>

enum { CAGE_SLOTS = 32 };      /* descriptors in its LDT */
#define CAGE_FIRST (64u << 10) /* lower addresses the host gives to nobody */

struct cage_process {
    pid_t pid; /* 0: none */
    struct cage_calls *calls;
    struct segment slots[CAGE_SLOTS]; /* what is in its LDT; P clear: nothing */
    u32 next_slot;
    u32 flags;       /* of its EFLAGS: ID and NT */
    clockid_t clock; /* of its CPU time */
    u64 cpu;         /* so far, in ns */
    u64 settles, settling; /* times it had calls made; the TSC's ticks that took */
};

/* Why it stopped. */
enum cage_stop {
    CAGE_GONE,    /* it did not run: it is no more, or the host does not take the state */
    CAGE_KILLED,  /* while it ran: its state is lost */
    CAGE_TIME,    /* `until` has come */
    CAGE_SYSCALL, /* a system call of the host's, by whatever way: none was made */
    CAGE_SIGNAL,  /* signal, code and address say which */
};
enum cage_fpu { CAGE_FPU_NONE, CAGE_FPU_SSE, CAGE_FPU_AVX }; /* what is handed over of it */
struct cage_state {
    u64 gpr[8], ip, flags; /* by enum gpr; to the cage only what 32 bits hold */
    u64 called;            /* a system call's number: EAX as it was */
    u16 seg[GS + 1];       /* the host's selectors, by enum seg; */
    u32 fs_base, gs_base;  /* of two the bases as well */
    u8 xsave[16384];       /* FXSAVE64's image, and for AVX the host's whole area behind it */
    u64 xsave_size;
    int signal, code;              /* as siginfo has them */
    u64 address;
};

/* A new process with an empty address space, that can map the file ram_fd. False: the host
 * refuses; *why says what, for a message. */
bool cage_process_start(struct cage_process *c, int ram_fd, const char **why);
void cage_process_end(struct cage_process *c); /* none is fine */

/* These are done by cage_process_settle(), in order; all of them or the cage ends: false. */
void cage_process_map(struct cage_process *c, gla_t gla, u64 size, u64 offset, bool writable);
void cage_process_unmap(struct cage_process *c, gla_t gla, u64 size);
void cage_process_executable(struct cage_process *c, gla_t gla, bool on); /* a mapped page */
/* A selector for the host that loads such a segment, code or data, of ring 3. */
u16 cage_process_selector(struct cage_process *c, const struct segment *s);
bool cage_process_settle(struct cage_process *c);

/* All of its FPU, into state->xsave: before the first run with CAGE_FPU_AVX. */
bool cage_process_fpu(const struct cage_process *c, struct cage_state *state);
/* Runs it from state until it stops, or the TSC is `until`. */
enum cage_stop cage_process_run(struct cage_process *c, struct cage_state *state,
                                enum cage_fpu fpu, u64 until);

/* Does the host let cages be, and do they stop as they should? Else why not. */
bool cage_process_probe(const char **why);

#endif
