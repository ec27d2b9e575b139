/*
 * What a chip sees of the machine: classes, ports and memory claims, interrupt lines, timers, time,
 * guest memory for DMA, and the fields that make up its guest-visible state.
 *
 * A chip is one file, named by its part number. Its header declares its class, its config and what others may
 * ask of it; where a chip has several files, NAME_private.h is what they share. It includes this header, its
 * bus's and its peers', and nothing else of ours. Peers it knows by wires in its config; the machine is an
 * opaque pointer here.
 *
 * All of it runs on one thread, the machine's; handlers never block.
 */
#ifndef RING3_DEVICE_H
#define RING3_DEVICE_H

#include "runtime/base/base.h"

struct device;
struct field;

/* ---- Chips ---- */

/* What a chip model is: constant, one per file, named by its part number. */
struct device_class {
    const char *name;                   /* "i8254": trace name, save section */
    size_t size;                        /* of the chip's struct; a struct device leads it */
    bool (*attach)(struct device *dev); /* claim ports, memory, irq lines, timers; false: message said */
    void (*reset)(struct device *dev);  /* the state the RESET pin leaves */
    void (*woken)(struct device *dev);  /* the state that waking from S3 leaves; NULL: as reset */
    void (*loaded)(struct device *dev); /* after a restore: re-derive irqs and timers; may be NULL */
    const struct field *fields;         /* guest-visible state: what save and restore walk */
};

/* The head of every chip's struct. Owned by the machine, freed with it. */
struct device {
    const struct device_class *class;
    struct machine *machine;
    struct device *next; /* in order of device_new() */
    const void *config;  /* what parts.c passed to device_new(): read in attach */
};

/* Creates the chip, zeroed, and attaches it. `config` must outlive it; wires to chips that come later
 * may be put into it afterwards. NULL if attach failed. (runtime/machine/services.c) */
struct device *device_new(struct machine *m, const struct device_class *class, const void *config);
/* How many chips of that class there are. */
u32 device_count(struct machine *m, const struct device_class *class);
/* The n-th of them, from 0 on; NULL: there are fewer. */
struct device *device_find(struct machine *m, const struct device_class *class, u32 n);
/* Zeroed memory, freed with the machine. */
void *machine_alloc(struct machine *m, size_t size);
/* The guest asked for something the chip does not do: counted, and told by --trace nyi. */
void device_nyi(struct device *dev, const char *what);

/* Guest-visible state, walked by save and restore: little-endian elements of 1, 2, 4 or 8 bytes. */
struct field {
    const char *name;
    u32 offset, size, count; /* of the element in the chip's struct; how many */
};
#define FIELD(type, member)                                                                    \
    { #member, offsetof(type, member), sizeof(((type *)0)->member), 1 }
#define FIELD_ARRAY(type, member)                                                              \
    {                                                                                          \
        #member, offsetof(type, member), sizeof(((type *)0)->member[0]),                       \
            ARRAY_SIZE(((type *)0)->member)                                                    \
    }
#define FIELD_END                                                                              \
    { NULL, 0, 0, 0 }

/* ---- The bus: who answers which port or address (devices/bus.c) ---- */

enum io_size { IO_8 = 1, IO_16 = 2, IO_32 = 4 };

/*
 * Handlers get an offset inside their claim and a size the claim accepts; the bus splits the rest
 * (a 16-bit access to an 8-bit chip becomes two 8-bit ones, ascending). Values are zero-extended.
 */
struct io_ops {
    u32 (*read)(struct device *dev, u32 off, enum io_size size);
    void (*write)(struct device *dev, u32 off, enum io_size size, u32 val);
    u8 sizes; /* IO_8 | IO_16 | IO_32 */
    /* Optional, for data ports: up to n accesses of one size at once, with the effect of as many
     * single ones. Return how many were made; 0: make single ones. Both or none. */
    u32 (*read_string)(struct device *dev, u32 off, enum io_size size, void *buf, u32 n);
    u32 (*write_string)(struct device *dev, u32 off, enum io_size size, const void *buf, u32 n);
    /* Optional, for memory: n bytes upwards inside one page, as if one by one. Both or none. */
    void (*read_run)(struct device *dev, u32 off, u8 *buf, u32 n);
    void (*write_run)(struct device *dev, u32 off, const u8 *buf, u32 n);
};

/* A claim moves with a BAR: release it, then claim again. The latest claim of a port or page wins. */
bool bus_claim_ports(struct device *dev, u16 base, u16 count, const struct io_ops *ops);
void bus_release_ports(struct device *dev, u16 base, u16 count);
/* Device memory, with handlers; base and size are multiples of 4 KiB. */
bool bus_claim_memory(struct device *dev, gpa_t base, u64 size, const struct io_ops *ops);
void bus_release_memory(struct device *dev, gpa_t base, u64 size);
/*
 * Memory of the chip's own that the guest reads and writes without a handler (a linear frame
 * buffer, a ROM). `hva` is page-aligned and must come from bus_alloc_memory() where writable.
 * Wins over RAM below it until released with bus_release_memory().
 */
bool bus_map_memory(struct device *dev, gpa_t base, u64 size, u8 *hva, bool writable);
/* Zeroed memory that can be mapped into the guest; freed with the machine. */
u8 *bus_alloc_memory(struct machine *m, u64 size);

u32 bus_in(struct machine *m, u16 port, enum io_size size);
void bus_out(struct machine *m, u16 port, enum io_size size, u32 val);
/* Up to n accesses to one port, for INS and OUTS: how many were made. Only where there is a chip
 * that takes strings, else 0. */
bool bus_has_strings(struct machine *m, u16 port, enum io_size size);
u32 bus_in_string(struct machine *m, u16 port, enum io_size size, void *buf, u32 n);
u32 bus_out_string(struct machine *m, u16 port, enum io_size size, const void *buf, u32 n);
/* Device memory only, 1 to 4 bytes, inside one page; nobody there: all ones. */
u32 bus_mmio_read(struct machine *m, gpa_t gpa, u32 size);
void bus_mmio_write(struct machine *m, gpa_t gpa, u32 size, u32 val);
/* n elements of one size, upwards inside one page, for string instructions: the same as single
 * accesses. False: nothing has been done, since the chip takes no runs, or nobody is there. */
bool bus_mmio_read_run(struct machine *m, gpa_t gpa, u32 size, u8 *buf, u32 n);
bool bus_mmio_write_run(struct machine *m, gpa_t gpa, u32 size, const u8 *buf, u32 n);
bool bus_mmio_fill(struct machine *m, gpa_t gpa, u32 size, u32 val, u32 n);
bool bus_mmio_copy(struct machine *m, gpa_t to, gpa_t from, u32 size, u32 n);

/* The machine's bus. */
struct bus *machine_bus(struct machine *m);

/* ---- Guest memory by physical address ---- */

/* RAM, ROM and device memory alike; keeps translations and shadow pages coherent. Never fails:
 * nobody there reads as all ones. */
void phys_read(struct machine *m, gpa_t gpa, void *buf, u64 size);
void phys_write(struct machine *m, gpa_t gpa, const void *buf, u64 size);
/* Where that memory is the host's, for transfers of blocks without a copy in between: of `size`
 * bytes *n lie there in a row, at least one. Good until the next instruction; `write`: they are
 * about to change. NULL: nobody's memory is there, or a ROM to be written. */
u8 *phys_run(struct machine *m, gpa_t gpa, u32 size, bool write, u32 *n);
/* RAM as it lies on the board, whatever is mapped there. */
u8 *phys_ram(struct machine *m);
u64 phys_ram_size(struct machine *m);
/* What answers the guest's reads and writes there from now on; NULL: the bus. For who decodes memory:
 * the bus and the host bridge. */
void phys_map(struct machine *m, gpa_t base, u64 size, u8 *read, u8 *write);

/* ---- Interrupt lines (devices/irq.c) ---- */

/* A wire: set() calls the handler of whoever is at the other end when the level changes. */
struct irq {
    void (*handler)(void *owner, u32 pin, bool level);
    void *owner;
    u32 pin;
    bool level;
};

void irq_init(struct irq *line, void (*handler)(void *owner, u32 pin, bool level), void *owner,
              u32 pin);
void irq_set(struct irq *line, bool level);
/* ISA interrupt `n` of the board, 0 to 15: it reaches the 8259s and the I/O APIC (0 at its pin 2).
 * Valid from the moment the machine exists; several chips may hold the same wire (they are ORed
 * only for PCI, by piix3). */
struct irq *irq_isa(struct machine *m, u32 n);

/* The board's DMA controllers (i8237.h); NULL on a bare machine. */
struct device *isa_dma(struct machine *m);

/* ---- Time (runtime/machine/clock.c) ---- */

/* The machine's clock: nanoseconds since power-on; it stands while the machine is stopped. Tests
 * turn it by hand. */
u64 clock_now(struct machine *m);
/* Wall-clock time of the guest's RTC: seconds since 1970, local or UTC as -rtc says, plus the
 * nanoseconds of the current second. Advances with clock_now(). */
i64 clock_wall(struct machine *m, u32 *nanoseconds);

/* A deadline. Embedded in the chip's struct; at most one deadline each. */
struct timer {
    struct machine *machine;
    void (*fire)(void *owner); /* on the machine's thread, at or after the deadline */
    void *owner;
    u64 deadline; /* clock_now() time; valid while armed */
    bool armed;
    bool eager; /* see timer_set_eager() */
    struct timer *next; /* sorted list of armed timers */
};

void timer_init(struct timer *t, struct machine *m, void (*fire)(void *owner), void *owner);
/* Arms or re-arms. A deadline in the past fires at the next opportunity. */
void timer_set(struct timer *t, u64 deadline);
/* The same for work of the chip's own that takes no time here: it fires sooner if the guest has
 * nothing to do but wait for it (it halts), within half a millisecond; or if the chip sees it
 * poll, and calls timer_hurry(). */
void timer_set_eager(struct timer *t, u64 deadline);
void timer_hurry(struct timer *t); /* fires, if it is armed eagerly */
enum { PATIENT_POLLS = 3 };        /* reads of a status: from then on the guest polls */
void timer_cancel(struct timer *t);

/* ---- The machine's own buttons (runtime/machine/services.c; served in run.c) ---- */

enum machine_event {
    MACHINE_RESET = 1,     /* keyboard controller, port 92, CF9, triple fault, QMP */
    MACHINE_POWER_OFF = 2, /* ACPI S5 */
    MACHINE_EXIT = 4,      /* isa-debug-exit: see machine_exit() */
    MACHINE_SUSPEND = 8,   /* ACPI S3: RAM is kept, the rest stands until MACHINE_WAKE */
    MACHINE_WAKE = 16,
    MACHINE_HIBERNATE = 32, /* ACPI S4: power off; the guest has put its memory on a disk */
};
/* Takes effect after the current instruction. */
void machine_request(struct machine *m, enum machine_event event);
/* Requests MACHINE_EXIT; ring3 ends with that status. */
void machine_exit(struct machine *m, int status);
void machine_set_a20(struct machine *m, bool enabled);

#endif
