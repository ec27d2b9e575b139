/*
 * The 82093AA I/O APIC: 24 pins, each with a redirection entry that says which interrupt
 * message its assertion sends to the local APIC.
 *
 * Edge: one message per rising edge; edges on a masked pin are lost (datasheet 3.2.4,
 * "Interrupt Mask"). Level: one message, then Remote IRR until the EOI message for its vector
 * comes back; the pin still being asserted then sends the next.
 *
 * Our wires carry "asserted", whatever the voltage: an entry's polarity bit is kept, and taken
 * to be the one that fits the wire.
 */
#include "devices/ioapic.h"

enum {
    PINS = 24, REGSEL = 0x00, WINDOW = 0x10,
    REG_ID = 0, REG_VERSION = 1, REG_ARBITRATION = 2, REG_REDIRECTION = 0x10,
    VERSION = 0x11 | (PINS - 1) << 16, ID_BITS = 0x0f000000,
};
enum { /* low half of a redirection entry */
    RTE_VECTOR = 0xff, RTE_DELIVERY = 0x700, RTE_DELIVERY_SHIFT = 8, RTE_LOGICAL = 1 << 11,
    RTE_REMOTE_IRR = 1 << 14, RTE_LEVEL = 1 << 15, RTE_MASKED = 1 << 16,
    RTE_LOW_WRITABLE = 0x1afff, RTE_HIGH_WRITABLE = 0xff000000,
    FIXED = 0, LOWEST = 1, NMI = 4, SMI = 2, INIT = 5, EXTINT = 7,
};

struct ioapic {
    struct device dev;
    u32 id;
    u8 regsel;
    u8 level[PINS];
    u32 low[PINS], high[PINS]; /* the redirection table */
};

static const struct ioapic_config *wires(const struct ioapic *io)
{
    static const struct ioapic_config none;

    return io->dev.config ? io->dev.config : &none;
}

/* SMI, NMI, INIT and ExtINT are edges whatever the entry says (datasheet 3.2.4, "Delivery
 * Mode"). */
static bool level_triggered(u32 low)
{
    u32 delivery = (low & RTE_DELIVERY) >> RTE_DELIVERY_SHIFT;

    return low & RTE_LEVEL && (delivery == FIXED || delivery == LOWEST);
}

static bool send_pin(struct ioapic *io, u32 pin)
{
    u32 low = io->low[pin];

    trace(TRACE_IRQ, "ioapic pin %u sends %08x to %02x", pin, low, io->high[pin] >> 24);
    return wires(io)->send &&
           wires(io)->send(io->dev.machine, low & RTE_VECTOR,
                           (low & RTE_DELIVERY) >> RTE_DELIVERY_SHIFT,
                           (u8)(io->high[pin] >> 24), low & RTE_LOGICAL, level_triggered(low));
}

/* A level pin asks while it is asserted, unmasked and not already being served. */
static void sample_level(struct ioapic *io, u32 pin)
{
    u32 *low = &io->low[pin];

    if (!io->level[pin] || !level_triggered(*low) || *low & (RTE_MASKED | RTE_REMOTE_IRR))
        return;
    *low |= RTE_REMOTE_IRR;
    if (!send_pin(io, pin))
        *low &= ~RTE_REMOTE_IRR;
}

void ioapic_set(struct device *dev, u32 pin, bool level)
{
    struct ioapic *io = (struct ioapic *)dev;
    bool rising;

    if (pin >= PINS)
        return;
    rising = level && !io->level[pin];
    io->level[pin] = level;
    if (level_triggered(io->low[pin]))
        sample_level(io, pin);
    else if (rising && !(io->low[pin] & RTE_MASKED))
        send_pin(io, pin);
}

void ioapic_eoi(struct device *dev, u8 vector)
{
    struct ioapic *io = (struct ioapic *)dev;

    for (u32 pin = 0; pin < PINS; pin++) {
        u32 *low = &io->low[pin];

        if (!(*low & RTE_REMOTE_IRR) || (*low & RTE_VECTOR) != vector)
            continue;
        *low &= ~RTE_REMOTE_IRR;
        sample_level(io, pin);
    }
}

bool ioapic_busy(struct device *dev, u32 pin)
{
    struct ioapic *io = (struct ioapic *)dev;
    u32 low = pin < PINS ? io->low[pin] : RTE_MASKED;
    u32 delivery = (low & RTE_DELIVERY) >> RTE_DELIVERY_SHIFT;

    if (low & RTE_MASKED || delivery > LOWEST)
        return false;
    return wires(io)->busy && wires(io)->busy(dev->machine, low & RTE_VECTOR);
}

/* ---- Registers ---- */

static u32 read_register(struct ioapic *io)
{
    u32 pin = (u32)(io->regsel - REG_REDIRECTION) / 2;

    if (io->regsel == REG_ID || io->regsel == REG_ARBITRATION)
        return io->id;
    if (io->regsel == REG_VERSION)
        return VERSION;
    if (io->regsel < REG_REDIRECTION || pin >= PINS)
        return 0;
    return io->regsel & 1 ? io->high[pin] : io->low[pin];
}

/* Making an entry edge-triggered forgets Remote IRR: how software ends a level without EOI. */
static void write_low(struct ioapic *io, u32 pin, u32 val)
{
    u32 remote = io->low[pin] & RTE_REMOTE_IRR;

    val &= RTE_LOW_WRITABLE;
    io->low[pin] = val | (val & RTE_LEVEL ? remote : 0);
    sample_level(io, pin);
}

static void write_register(struct ioapic *io, u32 val)
{
    u32 pin = (u32)(io->regsel - REG_REDIRECTION) / 2;

    if (io->regsel == REG_ID)
        io->id = val & ID_BITS;
    if (io->regsel < REG_REDIRECTION || pin >= PINS)
        return;
    if (io->regsel & 1)
        io->high[pin] = val & RTE_HIGH_WRITABLE;
    else
        write_low(io, pin, val);
}

static u32 ioapic_read(struct device *dev, u32 off, enum io_size size)
{
    struct ioapic *io = (struct ioapic *)dev;

    if ((off & ~3u) == REGSEL)
        return io->regsel >> (off & 3) * 8;
    return (off & ~3u) == WINDOW ? read_register(io) >> (off & 3) * 8 : 0;
}

/* REGSEL takes any width, the window whole dwords only (datasheet 3.1.2). */
static void ioapic_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct ioapic *io = (struct ioapic *)dev;

    if (off == REGSEL)
        io->regsel = (u8)val;
    else if (off == WINDOW && size == IO_32)
        write_register(io, val);
}

/* ---- The chip ---- */

static void tell_pins(FILE *out, const char *title, u32 pins)
{
    fprintf(out, "  %s", title);
    for (u32 i = 0; i < PINS; i++)
        if (pins >> i & 1)
            fprintf(out, " %u", i);
    fprintf(out, "%s\n", pins ? "" : " (none)");
}

void ioapic_tell(const struct device *dev, FILE *out)
{
    static const char *const deliveries[8] = { "fixed", "lowest", "SMI",  "...",
                                               "NMI",   "INIT",   "...", "extINT" };
    const struct ioapic *io = (const struct ioapic *)dev;
    u32 asserted = 0, served = 0;

    fprintf(out, "ioapic0: ver=0x%02x id=0x%02x sel=0x%02x\n", VERSION & 0xff, io->id >> 24, io->regsel);
    for (u32 i = 0; i < PINS; i++) {
        u32 low = io->low[i];

        asserted |= (u32)!!io->level[i] << i;
        served |= (u32)!!(low & RTE_REMOTE_IRR) << i;
        fprintf(out, "  pin %-2u 0x%08x%08x dest=%x vec=%-3u active-%s %-5s %-6s %-6s %s\n", i,
                io->high[i], low, io->high[i] >> 24, low & RTE_VECTOR, low & 1 << 13 ? "lo" : "hi",
                low & RTE_LEVEL ? "level" : "edge", low & RTE_MASKED ? "masked" : "",
                deliveries[(low & RTE_DELIVERY) >> RTE_DELIVERY_SHIFT],
                low & RTE_LOGICAL ? "logical" : "physical");
    }
    tell_pins(out, "IRR     ", asserted);
    tell_pins(out, "Remote IRR", served);
}

static bool ioapic_attach(struct device *dev)
{
    static const struct io_ops ops = { ioapic_read, ioapic_write, IO_8 | IO_16 | IO_32 };

    return bus_claim_memory(dev, 0xfec00000, PAGE_SIZE, &ops);
}

static void ioapic_reset(struct device *dev)
{
    struct ioapic *io = (struct ioapic *)dev;

    io->id = 0;
    io->regsel = 0;
    for (u32 pin = 0; pin < PINS; pin++) {
        io->low[pin] = RTE_MASKED;
        io->high[pin] = 0;
    }
}

static const struct field ioapic_fields[] = {
    FIELD(struct ioapic, id), FIELD(struct ioapic, regsel), FIELD_ARRAY(struct ioapic, level),
    FIELD_ARRAY(struct ioapic, low), FIELD_ARRAY(struct ioapic, high), FIELD_END,
};

const struct device_class ioapic_class = {
    .name = "ioapic",
    .size = sizeof(struct ioapic),
    .attach = ioapic_attach,
    .reset = ioapic_reset,
    .fields = ioapic_fields,
};
