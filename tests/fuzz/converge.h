/*
 * What the parts of converge share: a seed's program, and where things lie in the guest's
 * memory.
 *
 *   10000 main loop, handlers     16000 page that comes and goes     20000 page tables
 *   11000 events; half of it data 17000 data                         24000 GDT, IDT, TSS
 *   12000 sites, and a copy       18000 device, 19000 ROM            40000 rows
 *   14000 data, two pages         1a000 templates, 1c000 stacks      80000 end of RAM
 *
 * In 16-bit code all but the rows is one segment.
 */
#ifndef RING3_CONVERGE_H
#define RING3_CONVERGE_H

#include "runtime/machine/machine.h"
#include "tests/fuzz/xorshift.h"

enum {
    CV_REGION = 0x10000,
    CV_MAIN = 0x10000,
    CV_HANDLERS = 0x10800,
    CV_EVENTS = 0x11000,
    CV_EVENT_SIZE = 64,
    CV_BESIDE_EVENTS = 0x11c00,
    CV_SITES = 0x12000,
    CV_SLOT_SIZE = 64,
    CV_SITES_COPY = 0x13000,
    CV_DATA = 0x14000,
    CV_FLIP = 0x16000,
    CV_DEVICE = 0x18000,
    CV_ROM = 0x19000,
    CV_TEMPLATES = 0x1a000,
    CV_USER_STACK = 0x1c800,
    CV_STACK = 0x1d000,
    CV_VARIABLES = 0x1e000,
    CV_DIRECTORY = 0x20000,
    CV_GDT = 0x24000,
    CV_IDT = 0x25000,
    CV_TSS = 0x26000,
    CV_ROWS = 0x40000,
    CV_RAM = 0x80000,
    CV_NOBODY = 0x90000,
    CV_ALIAS = 0x200000, /* paged: all of it again */
};
enum { CV_ROW_AT = CV_VARIABLES, CV_TURNS = CV_VARIABLES + 4, CV_FLAGS = CV_VARIABLES + 8 };
enum { CV_SLOTS = 12, CV_MAX_EVENTS = 24, CV_MAX_POINTS = 64 };

enum {
    CV_KERNEL_CS = 0x08,
    CV_KERNEL_DS = 0x10,
    CV_USER_CS = 0x1b,
    CV_USER_DS = 0x23,
    CV_TR = 0x28,
    CV_LIMITED_CS = 0x30,
    CV_LIMITED_USER_CS = 0x3b,
    CV_ODD_DS = 0x43,
    CV_LIMITED_DS = 0x4b,
    CV_ROWS_DS = 0x50,
    CV_GDT_SIZE = 0x58,
};

/* Flat at CPL 0; the same with paging; by turns at CPL 3 and 0; 16-bit, of two kinds. */
enum cv_mode { CV_FLAT, CV_PAGED, CV_USER, CV_REAL, CV_PROT16, CV_MODES };

/* Bytes of a site that an event may write: (row's argument & and) + add */
struct cv_point {
    u32 at, size, and, add;
};

/* A seed's program as it is generated into `image`. */
struct cv_program {
    u64 seed;
    enum cv_mode mode;
    bool known; /* with what is known not to converge: see converge.c */
    u32 slots, rows, turns, events, points;
    bool on_stack[CV_SLOTS]; /* the operand is the stack: no exception may come there */
    struct cv_point point[CV_MAX_POINTS];
    u8 image[CV_RAM];
};

static inline bool cv_code32(const struct cv_program *p)
{
    return p->mode < CV_REAL;
}
static inline bool cv_paged(const struct cv_program *p)
{
    return p->mode == CV_PAGED || p->mode == CV_USER;
}

/* ---- Random numbers: the same for the same seed ---- */
extern u64 cv_random;
static inline u32 cv_rnd(void)
{
    return xorshift(&cv_random);
}
static inline u32 cv_pick(u32 n) /* 0 to n-1 */
{
    return (u32)((u64)cv_rnd() * n >> 32);
}
#define CV_ONE_OF(a) ((a)[cv_pick(ARRAY_SIZE(a))])

/* ---- Writing code ---- */
struct cv_gen {
    struct cv_program *p;
    u32 at; /* linear */
};
void cv_bytes(struct cv_gen *g, const u8 *bytes, u32 n);
#define CV(g, ...) cv_bytes(g, (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))
void cv_imm(struct cv_gen *g, u32 val, u32 n);
/* An address of the region: 4 bytes linear, or 2 in the segment. */
void cv_address(struct cv_gen *g, u32 at);

/* ---- converge_sites.c ---- */
void cv_make_slot(struct cv_program *p, u32 slot);

/* ---- converge_events.c ---- */
void cv_make_events(struct cv_program *p);
void cv_make_rows(struct cv_program *p);

/* ---- converge_guest.c ---- */
void cv_make(struct cv_program *p, u64 seed);
struct machine *cv_machine(struct options *o);
void cv_start(struct machine *m, const struct cv_program *p);

#endif
