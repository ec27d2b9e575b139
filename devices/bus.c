/*
 * The bus: which chip answers a port or a device memory address.
 *
 * Ports: a table of 65,536 claim numbers, so that an access is one look-up. Memory: a short
 * list of claims, latest first, searched when a device memory access goes to another page than
 * the last ones (RAM and ROM never come here). Nobody there: reads give all ones, writes go
 * nowhere.
 */
#include "devices/bus.h"
#include "runtime/base/debuglog.h"
#include "runtime/base/activity.h"
#include <stdlib.h>
#include <string.h>

struct claim {
    struct device *dev;
    const struct io_ops *ops; /* NULL: free slot, or directly mapped memory */
    gpa_t base;
    u64 size;
    u8 *read, *write; /* directly mapped memory: what answers */
};

enum { MAX_CLAIMS = 250, NOBODY = 0, RECENT = 64 };

/* Who was found at a page of device memory, until claims change. */
struct recent {
    u64 page; /* gpa >> 12, plus 1; 0: nothing known */
    struct claim *claim;
};

struct bus {
    struct claim ports[MAX_CLAIMS]; /* slot 0 is nobody */
    struct claim memory[MAX_CLAIMS];
    u32 memory_count;
    struct recent recent[RECENT]; /* by the low bits of the page's number */
    struct bus_stats stats;
    u8 *activity;
    u8 port_owner[65536]; /* slot in ports */
};

struct bus *bus_new(u8 *activity)
{
    struct bus *bus = calloc(1, sizeof(*bus));

    bus->activity = activity;
    return bus;
}

void bus_free(struct bus *bus)
{
    free(bus);
}

const struct bus_stats *bus_stats(const struct bus *bus)
{
    return &bus->stats;
}

void device_nyi(struct device *dev, const char *what)
{
    machine_bus(dev->machine)->stats.chip_nyi++;
    trace(TRACE_NYI, "%s: %s", dev->class->name, what);
    if (debuglog_on(DEBUGLOG_GUEST_ERRORS))
        debuglog_print("%s: %s is not implemented\n", dev->class->name, what);
}

static u32 port_slot(struct bus *bus)
{
    for (u32 i = 1; i < MAX_CLAIMS; i++)
        if (!bus->ports[i].dev)
            return i;
    return NOBODY;
}

bool bus_claim_ports(struct device *dev, u16 base, u16 count, const struct io_ops *ops)
{
    struct bus *bus = machine_bus(dev->machine);
    u32 slot = port_slot(bus);

    check(slot != NOBODY, "more than %d port claims (%s)", MAX_CLAIMS, dev->class->name);
    if (!count || base + count > 65536)
        return false;
    bus->ports[slot] = (struct claim){ dev, ops, base, count, NULL, NULL };
    memset(&bus->port_owner[base], (int)slot, count);
    return true;
}

/* The claims a released one lay over come back: the latest remaining claim of each port
 * wins. */
void bus_release_ports(struct device *dev, u16 base, u16 count)
{
    struct bus *bus = machine_bus(dev->machine);

    for (u32 i = 1; i < MAX_CLAIMS; i++) {
        struct claim *c = &bus->ports[i];

        if (c->dev != dev || c->base != base || c->size != count)
            continue;
        c->dev = NULL;
        for (u32 p = base; p < (u32)base + count; p++) {
            if (bus->port_owner[p] != i)
                continue;
            bus->port_owner[p] = NOBODY;
            for (u32 k = 1; k < MAX_CLAIMS; k++)
                if (bus->ports[k].dev && p - bus->ports[k].base < bus->ports[k].size)
                    bus->port_owner[p] = (u8)k;
        }
        return;
    }
}

static u32 all_ones(u32 size)
{
    return size >= 4 ? 0xffffffffu : (1u << size * 8) - 1;
}

u32 bus_in(struct machine *m, u16 port, enum io_size size)
{
    struct bus *bus = machine_bus(m);
    struct claim *c = &bus->ports[bus->port_owner[port]];
    u8 activity = activity_begin(bus->activity, ACT_DEVICES);
    u32 val;

    bus->stats.port_accesses++;
    if (c->dev && (c->ops->sizes & size) && port + size <= c->base + c->size) {
        val = c->ops->read(c->dev, port - (u32)c->base, size) & all_ones(size);
    } else if (size == IO_8) {
        val = all_ones(size);
    } else { /* in halves: another chip may own the later bytes */
        u32 half = size / 2;

        val = bus_in(m, port, half) | bus_in(m, (u16)(port + half), half) << half * 8;
    }
    trace(TRACE_IO, "in  %04x.%u = %x", port, size, val);
    activity_end(bus->activity, activity);
    return val;
}

void bus_out(struct machine *m, u16 port, enum io_size size, u32 val)
{
    struct bus *bus = machine_bus(m);
    struct claim *c = &bus->ports[bus->port_owner[port]];
    u8 activity = activity_begin(bus->activity, ACT_DEVICES);

    bus->stats.port_accesses++;
    trace(TRACE_IO, "out %04x.%u = %x", port, size, val);
    if (c->dev && (c->ops->sizes & size) && port + size <= c->base + c->size) {
        c->ops->write(c->dev, port - (u32)c->base, size, val & all_ones(size));
    } else if (size != IO_8) {
        u32 half = size / 2;

        bus_out(m, port, half, val & all_ones(half));
        bus_out(m, (u16)(port + half), half, val >> half * 8);
    }
    activity_end(bus->activity, activity);
}

/* The claim that takes whole strings at the port; NULL: access by access (so also when
 * traced). */
static struct claim *string_claim(struct bus *bus, u16 port, enum io_size size)
{
    struct claim *c = &bus->ports[bus->port_owner[port]];
    bool fits = c->dev && (c->ops->sizes & size) && port + size <= c->base + c->size;

    return fits && c->ops->read_string && !trace_on(TRACE_IO) ? c : NULL;
}

bool bus_has_strings(struct machine *m, u16 port, enum io_size size)
{
    return string_claim(machine_bus(m), port, size) != NULL;
}

u32 bus_in_string(struct machine *m, u16 port, enum io_size size, void *buf, u32 n)
{
    struct bus *bus = machine_bus(m);
    struct claim *c = string_claim(bus, port, size);

    if (!c)
        return 0;
    n = c->ops->read_string(c->dev, port - (u32)c->base, size, buf, n);
    bus->stats.port_accesses += n;
    return n;
}

u32 bus_out_string(struct machine *m, u16 port, enum io_size size, const void *buf, u32 n)
{
    struct bus *bus = machine_bus(m);
    struct claim *c = string_claim(bus, port, size);

    if (!c)
        return 0;
    n = c->ops->write_string(c->dev, port - (u32)c->base, size, buf, n);
    bus->stats.port_accesses += n;
    return n;
}

static void memory_forget(struct bus *bus)
{
    memset(bus->recent, 0, sizeof(bus->recent));
}

bool bus_claim_memory(struct device *dev, gpa_t base, u64 size, const struct io_ops *ops)
{
    struct bus *bus = machine_bus(dev->machine);

    check(bus->memory_count < MAX_CLAIMS, "too many memory claims (%s)", dev->class->name);
    if (!size || base + size < base || (base | size) & PAGE_MASK)
        return false;
    memory_forget(bus);
    bus->memory[bus->memory_count++] = (struct claim){ dev, ops, base, size, NULL, NULL };
    phys_map(dev->machine, base, size, NULL, NULL);
    return true;
}

bool bus_map_memory(struct device *dev, gpa_t base, u64 size, u8 *hva, bool writable)
{
    struct bus *bus = machine_bus(dev->machine);

    check(bus->memory_count < MAX_CLAIMS, "too many memory claims (%s)", dev->class->name);
    if (!size || base + size < base || (base | size) & PAGE_MASK)
        return false;
    memory_forget(bus);
    bus->memory[bus->memory_count++] =
        (struct claim){ dev, NULL, base, size, hva, writable ? hva : NULL };
    phys_map(dev->machine, base, size, hva, writable ? hva : NULL);
    return true;
}

/* What is left answers [base, base+size) again: RAM, and over it the remaining claims in
 * order. */
static void remap(struct bus *bus, struct machine *m, gpa_t base, u64 size)
{
    u64 ram = phys_ram_size(m);

    phys_map(m, base, size, NULL, NULL);
    if (base < ram) {
        u8 *hva = phys_ram(m) + base;

        phys_map(m, base, ram - base < size ? ram - base : size, hva, hva);
    }
    for (u32 i = 0; i < bus->memory_count; i++) {
        const struct claim *c = &bus->memory[i];
        gpa_t first = c->base > base ? c->base : base;
        gpa_t end = c->base + c->size < base + size ? c->base + c->size : base + size;
        u64 off = first - c->base;

        if (first < end)
            phys_map(m, first, end - first, c->read ? c->read + off : NULL,
                         c->write ? c->write + off : NULL);
    }
}

void bus_release_memory(struct device *dev, gpa_t base, u64 size)
{
    struct bus *bus = machine_bus(dev->machine);

    for (u32 i = bus->memory_count; i-- > 0;) {
        struct claim *c = &bus->memory[i];

        if (c->dev != dev || c->base != base || c->size != size)
            continue;
        memory_forget(bus);
        memmove(c, c + 1, (--bus->memory_count - i) * sizeof(*c));
        remap(bus, dev->machine, base, size);
        return;
    }
}

static __attribute__((noinline)) struct claim *memory_search(struct bus *bus, gpa_t gpa)
{
    struct recent *r = &bus->recent[gpa >> PAGE_SHIFT & (RECENT - 1)];
    u32 i = bus->memory_count;

    while (i > 0 && gpa - bus->memory[i - 1].base >= bus->memory[i - 1].size)
        i--;
    r->page = (gpa >> PAGE_SHIFT) + 1;
    r->claim = i && bus->memory[i - 1].ops ? &bus->memory[i - 1] : NULL;
    return r->claim;
}

/* NULL: nobody, or memory. */
static inline struct claim *memory_claim(struct bus *bus, gpa_t gpa)
{
    const struct recent *r = &bus->recent[gpa >> PAGE_SHIFT & (RECENT - 1)];

    return likely(r->page == (gpa >> PAGE_SHIFT) + 1) ? r->claim : memory_search(bus, gpa);
}

static inline bool takes(const struct claim *c, u32 size)
{
    return size != 3 && c->ops->sizes & size;
}

/* In pieces that the chip takes, upwards. */
static __attribute__((noinline)) u32 read_apart(const struct claim *whose, gpa_t gpa, u32 size)
{
    struct claim c = *whose; /* the access may change claims */
    u32 piece = size == 4 && c.ops->sizes & IO_16 ? 2 : 1, val = 0;

    for (u32 i = 0; i < size; i += piece)
        val |= c.ops->read(c.dev, (u32)(gpa + i - c.base), piece) << i * 8;
    return val;
}

static __attribute__((noinline)) void write_apart(const struct claim *whose, gpa_t gpa,
                                                  u32 size, u32 val)
{
    struct claim c = *whose;
    u32 piece = size == 4 && c.ops->sizes & IO_16 ? 2 : 1;

    for (u32 i = 0; i < size; i += piece)
        c.ops->write(c.dev, (u32)(gpa + i - c.base), piece, val >> i * 8 & all_ones(piece));
}

/* Any access; most need less. */
static __attribute__((noinline)) u32 memory_read(struct bus *bus, gpa_t gpa, u32 size)
{
    struct claim *c = memory_claim(bus, gpa);
    u8 activity = activity_begin(bus->activity, ACT_DEVICES);
    u32 val;

    bus->stats.mmio_accesses++;
    if (c && takes(c, size))
        val = c->ops->read(c->dev, (u32)(gpa - c->base), size);
    else
        val = c ? read_apart(c, gpa, size) : ~0u;
    val &= all_ones(size);
    trace(TRACE_MMIO, "read  %llx.%u = %x", (unsigned long long)gpa, size, val);
    activity_end(bus->activity, activity);
    return val;
}

static __attribute__((noinline)) void memory_write(struct bus *bus, gpa_t gpa, u32 size,
                                                   u32 val)
{
    struct claim *c = memory_claim(bus, gpa);
    u8 activity = activity_begin(bus->activity, ACT_DEVICES);

    bus->stats.mmio_accesses++;
    trace(TRACE_MMIO, "write %llx.%u = %x", (unsigned long long)gpa, size,
          val & all_ones(size));
    if (c && takes(c, size))
        c->ops->write(c->dev, (u32)(gpa - c->base), size, val & all_ones(size));
    else if (c)
        write_apart(c, gpa, size, val);
    activity_end(bus->activity, activity);
}

static inline bool is_quick(const struct claim *c, u32 size)
{
    return likely(c && takes(c, size) && !trace_on(TRACE_MMIO));
}

u32 bus_memory_read(struct bus *bus, gpa_t gpa, u32 size)
{
    struct claim *c = memory_claim(bus, gpa);
    u8 activity;
    u32 val;

    if (!is_quick(c, size))
        return memory_read(bus, gpa, size);
    activity = activity_begin(bus->activity, ACT_DEVICES);
    bus->stats.mmio_accesses++;
    val = c->ops->read(c->dev, (u32)(gpa - c->base), size) & all_ones(size);
    activity_end(bus->activity, activity);
    return val;
}

void bus_memory_write(struct bus *bus, gpa_t gpa, u32 size, u32 val)
{
    struct claim *c = memory_claim(bus, gpa);
    u8 activity;

    if (!is_quick(c, size)) {
        memory_write(bus, gpa, size, val);
        return;
    }
    activity = activity_begin(bus->activity, ACT_DEVICES);
    bus->stats.mmio_accesses++;
    c->ops->write(c->dev, (u32)(gpa - c->base), size, val & all_ones(size));
    activity_end(bus->activity, activity);
}

u32 bus_mmio_read(struct machine *m, gpa_t gpa, u32 size)
{
    return bus_memory_read(machine_bus(m), gpa, size);
}

void bus_mmio_write(struct machine *m, gpa_t gpa, u32 size, u32 val)
{
    bus_memory_write(machine_bus(m), gpa, size, val);
}

/* ---- Runs ---- */

/* The claim that takes runs of bytes at gpa; NULL: access by access (so also when traced). */
static struct claim *run_claim(struct bus *bus, gpa_t gpa)
{
    struct claim *c = trace_on(TRACE_MMIO) ? NULL : memory_claim(bus, gpa);

    return c && c->ops->read_run ? c : NULL;
}

/* Into `in`, or from `out` if that is not NULL. */
static bool mmio_run(struct bus *bus, gpa_t gpa, u8 *in, const u8 *out, u32 size, u32 n)
{
    struct claim *c = run_claim(bus, gpa);
    u8 activity;

    if (!c)
        return false;
    activity = activity_begin(bus->activity, ACT_DEVICES);
    bus->stats.mmio_accesses += n;
    if (out)
        c->ops->write_run(c->dev, (u32)(gpa - c->base), out, n * size);
    else
        c->ops->read_run(c->dev, (u32)(gpa - c->base), in, n * size);
    activity_end(bus->activity, activity);
    return true;
}

bool bus_mmio_read_run(struct machine *m, gpa_t gpa, u32 size, u8 *buf, u32 n)
{
    return mmio_run(machine_bus(m), gpa, buf, NULL, size, n);
}

bool bus_mmio_write_run(struct machine *m, gpa_t gpa, u32 size, const u8 *buf, u32 n)
{
    return mmio_run(machine_bus(m), gpa, NULL, buf, size, n);
}

bool bus_mmio_fill(struct machine *m, gpa_t gpa, u32 size, u32 val, u32 n)
{
    u8 buf[PAGE_SIZE];

    if (!run_claim(machine_bus(m), gpa) || n * size > sizeof(buf))
        return false;
    for (u32 i = 0; i < n; i++)
        memcpy(buf + i * size, &val, size);
    return bus_mmio_write_run(m, gpa, size, buf, n);
}

/* Element by element: what is read may change what is written, as the VGA's latches do. */
bool bus_mmio_copy(struct machine *m, gpa_t to, gpa_t from, u32 size, u32 n)
{
    struct bus *bus = machine_bus(m);
    struct claim *to_claim = run_claim(bus, to), *from_claim = run_claim(bus, from), t, f;
    u8 activity, buf[4];

    if (!to_claim || !from_claim || size > sizeof(buf))
        return false;
    t = *to_claim; /* an access may change claims */
    f = *from_claim;
    activity = activity_begin(bus->activity, ACT_DEVICES);
    bus->stats.mmio_accesses += 2 * n;
    for (u32 i = 0; i < n * size; i += size) {
        f.ops->read_run(f.dev, (u32)(from + i - f.base), buf, size);
        t.ops->write_run(t.dev, (u32)(to + i - t.base), buf, size);
    }
    activity_end(bus->activity, activity);
    return true;
}

/* ---- Who answers where ---- */

static void tell_claim(const struct claim *c, FILE *out)
{
    fprintf(out, "    %016llx-%016llx (prio 1, %s): %s\n", (unsigned long long)c->base,
            (unsigned long long)(c->base + c->size - 1),
            c->ops ? "i/o" : c->write ? "ram" : "rom", c->dev->class->name);
}

static void tell_space(const char *title, u64 last, const char *name, FILE *out)
{
    fprintf(out, "%saddress-space: %s\n  %016llx-%016llx (prio 0, i/o): %s\n", *name == 'i' ? "\n" : "",
            title, 0ull, (unsigned long long)last, name);
}

void bus_tell(const struct bus *bus, u64 ram, FILE *out)
{
    tell_space("memory", ~0ull, "system", out);
    fprintf(out, "    %016llx-%016llx (prio 0, ram): pc.ram\n", 0ull, (unsigned long long)(ram - 1));
    for (u32 i = 0; i < bus->memory_count; i++)
        tell_claim(&bus->memory[i], out);
    tell_space("I/O", 0xffff, "io", out);
    for (u32 i = 1; i < MAX_CLAIMS; i++)
        if (bus->ports[i].dev)
            tell_claim(&bus->ports[i], out);
}
