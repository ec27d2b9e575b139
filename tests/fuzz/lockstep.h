/*
 * What the parts of lockstep share: the random numbers of a round, the modes, and where things
 * lie in the guest's memory.
 *
 *      0000 interrupt vectors   5000 handlers, 112 bytes each    20000 data
 *      0400 IDT                 a000 top of the kernel's stack   2c000 stack, part of the data
 *      1000 GDT                 10000 code                       40000 more code, for the second
 *      2000 TSS, I/O bitmap     1e000 16-bit handlers                  address space
 *      4800 LDT                 elsewhere INT3                   4c000 page tables
 *                                                                58000 a hostile guest's
 */
#ifndef RING3_LOCKSTEP_H
#define RING3_LOCKSTEP_H

#include "runtime/machine/machine.h"
#include "runtime/machine/options.h"
#include "tests/fuzz/xorshift.h"

enum {
    IDT = 0x400, GDT = 0x1000, GDT_SIZE = 0x170, WILD_SELECTOR = 0xb0, TSS = 0x2000,
    LDT = 0x4800, LDT_SIZE = 0x10, PAGE_FAULT = 0x4a00, SYSENTER = 0x4b00, TSS2 = 0x4c00,
    COUNTER = 0x4e00, RETURNS = 0x4e04, MXCSR = 0x4f00, HANDLERS = 0x5000, HANDLER_SIZE = 112,
    HANDLER16_SIZE = 64, KERNEL_STACK = 0xa000, CODE = 0x10000, CODE_SIZE = 0x8000,
    HANDLERS16 = 0x1e000, DATA = 0x20000, DATA_SIZE = 0x10000, STACK = 0x2c000,
    STACK_BYTES = 0x3000, CODE2 = 0x40000, TABLES = 0x4c000, WILD_TABLES = 0x58000,
    RAM = 0x60000, SCRATCH = 0x70000, ROM = 0x74000, STOP_PORT = 0x80, SPACES = 4,
};
enum { TABLES_PAGE = TABLES >> 12, KERNEL_HALF = (int)0xc0000000 }; /* RAM again, for CPL 0 */
static inline u32 handler_of(u32 vector) /* interrupts from 80 on use those of 0 on */
{
    return HANDLERS + vector % 0x80 * HANDLER_SIZE;
}

static inline u32 handler16_of(u32 vector) /* offset in 16-bit code */
{
    return HANDLERS16 - CODE + vector % 0x80 * HANDLER16_SIZE;
}

enum {
    KERNEL_CS = 0x08, KERNEL_DS = 0x10, TSS_SELECTOR = 0x38, USER_CS = 0x43, USER_DS = 0x4b,
    LDT_SELECTOR = 0x50, GATE = 0x58, DATA_64K = 0x63, DATA_RO = 0x6b, DATA_LIMIT = 0x73,
    DATA_BASE = 0x7b, CODE_XO = 0x83, CODE_16 = 0x88, CODE_16_USER = 0x93, DATA_DOWN = 0x9b,
    GATE2 = 0xa0, TASK2 = 0xa8, LDT_DATA = 0x07,
};

/* Of the guest code; user and pae run at CPL 3 and 0 by turns. */
enum mode { REAL, PROT16, PROT32, V86, PAGED, USER, PAE, MODES };

static inline bool mode_paged(enum mode mode)
{
    return mode == PAGED || mode == USER || mode == PAE;
}
static inline bool mode_flat(enum mode mode) /* 32-bit code at linear addresses */
{
    return mode == PROT32 || mode_paged(mode);
}

/* ---- Random numbers: xorshift, the same for the same seed ---- */
extern u64 lockstep_rng;
void rnd_seed(u64 seed);
static inline u32 rnd(void)
{
    return xorshift(&lockstep_rng);
}
static inline u32 pick(u32 n) /* 0 to n-1 */
{
    return (u32)((u64)rnd() * n >> 32);
}

/* ---- lockstep_state.c ---- */
u32 random_register(void);
/* Tables of the CPU, code and data, into RAM bytes; then the CPU's state. */
void make_memory(u8 *ram, enum mode mode);
void random_state(struct vcpu *c, enum mode mode);

/* ---- lockstep_paging.c ---- */
void make_spaces(u8 *ram, enum mode mode);
u32 space_root(enum mode mode, u32 n);    /* CR3 of one of the SPACES */
u32 random_kernel_region(enum mode mode); /* where one starts */

/* ---- lockstep_compare.c ---- */
extern const char *const mode_names[MODES];

struct pair {
    struct options options;
    struct machine *interp, *bt;
    u8 image[RAM]; /* of the round's memory at its start */
    enum mode mode;
    u64 seed, insns;
    u32 launch;    /* of the round */
    u32 launches, given_up; /* in all */
    bool pointers; /* the guest has stored the addresses of the last FPU instruction */
    bool apart;    /* the memories may differ */
    bool ended;    /* the launch, before its time */
    bool chain, verbose, step;
    bool cold;     /* the interpreter walks the guest's tables for each instruction, */
    bool cold_spaces; /* or again in each address space it comes to: in half of the rounds */
};
/* NULL, or what differs of the CPUs, but for the addresses of the last FPU instruction. */
const char *difference(const struct vcpu *a, const struct vcpu *b);
u32 memory_difference(const struct pair *p); /* a byte of RAM that differs; RAM: none */
/* Would the next instruction store the addresses of the last FPU instruction? True too
 * often. */
bool stores_pointers(struct vcpu *c);
/* what, and which launch of which round it is. */
void tell_where(const struct pair *p, const char *what);
void describe(struct pair *p, const struct vcpu *before, const char *what);

/* ---- lockstep_run.c ---- */
/* Runs both until the launch is over. False: they differ; described. */
bool launch_run(struct pair *p);
void watch_start(const struct pair *p);

/* ---- lockstep_audit.c ---- */
void audit_start(const struct pair *p);
bool audit_pair(const struct pair *p);   /* sptes and pointers; false: told */
bool audit_memory(const struct pair *p); /* what lies beyond the guest's */
u64 audit_steps(void);                   /* host instructions looked at */

/* ---- lockstep.c ---- */
void set_stop(struct machine *m, u32 left); /* writes to STOP_PORT until it stops; 0: never */

/* ---- lockstep_hostile.c ---- */
extern bool hostile; /* lockstep --hostile; lockstep.c */
void hostile_memory(u8 *ram, enum mode mode);

/* ---- lockstep_code.c ---- */
void random_code(u8 *ram, enum mode mode);

#endif
