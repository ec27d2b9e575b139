/*
 * Two Intel 8237A DMA controllers (order 231466) with the page registers of a PC/AT: channels 0
 * to 3 move bytes (ports 00-0F), 5 to 7 words (ports C0-DF, at even addresses), 4 joins the
 * two. The page registers at 81-8F give address bits 16 to 23; port 80 is post.c's.
 *
 * A chip that wants a transfer calls i8237_transfer(): demand, single and block modes differ
 * only in bus timing and are all served at once. Memory-to-memory transfers, which no PC can
 * use (its channel 0 served the refresh), are refused.
 */
#include "devices/i8237.h"

enum {
    REG_COMMAND = 8, REG_REQUEST, REG_MASK, REG_MODE, REG_CLEAR_FLIP_FLOP, REG_MASTER_CLEAR,
    REG_CLEAR_MASK, REG_ALL_MASK,
    COMMAND_MEMORY = 0x01, COMMAND_DISABLE = 0x04,
    MODE_TYPE = 0x0c, MODE_VERIFY = 0x00, MODE_WRITE = 0x04, MODE_READ = 0x08,
    MODE_AUTOINIT = 0x10, MODE_DECREMENT = 0x20, MODE_SELECT = 0xc0, MODE_CASCADE = 0xc0,
    CASCADE = 4,
};

struct dma_channel {
    u16 base_address, base_count, address, count;
    u8 mode, page;
};
struct dma {
    u8 command, status, mask, request, flip_flop, temporary; /* status: terminal counts */
};
struct i8237 {
    struct device dev;
    struct dma_channel channel[8];
    struct dma dma[2];
    struct {
        void (*catch_up)(struct device *follower);
        struct device *follower;
    } followers[8];
    u8 page[16]; /* as written, for those that belong to no channel */
};

/* ---- Transfers ---- */

/* Address and count are in units of the channel: bytes, or words from channel 4 on. */
static gpa_t channel_gpa(const struct i8237 *s, u32 n)
{
    const struct dma_channel *c = &s->channel[n];

    if (n < 4)
        return (gpa_t)c->page << 16 | c->address;
    return (gpa_t)(c->page & 0xfe) << 16 | (gpa_t)c->address << 1;
}

static void move_bytes(struct i8237 *s, u32 n, u8 *buf, u32 bytes, bool to_memory)
{
    u8 type = s->channel[n].mode & MODE_TYPE;

    if (type == MODE_WRITE && to_memory)
        phys_write(s->dev.machine, channel_gpa(s, n), buf, bytes);
    else if (type == MODE_READ && !to_memory)
        phys_read(s->dev.machine, channel_gpa(s, n), buf, bytes);
}

/* The count ran out: remember, and start over or mask. */
static void terminal_count(struct i8237 *s, u32 n)
{
    struct dma_channel *c = &s->channel[n];
    struct dma *d = &s->dma[n >> 2];
    u8 bit = 1u << (n & 3);

    d->status |= bit;
    d->request &= ~bit;
    if (c->mode & MODE_AUTOINIT) {
        c->address = c->base_address;
        c->count = c->base_count;
    } else {
        d->mask |= bit;
    }
}

/* Units that can move in one piece: up to the count, the 64 K wrap, one by one downwards. */
static u32 run_length(const struct dma_channel *c, u32 units)
{
    u32 left = c->count + 1u, to_wrap = 0x10000u - c->address;

    if (c->mode & MODE_DECREMENT)
        return 1;
    units = units < left ? units : left;
    return units < to_wrap ? units : to_wrap;
}

static bool channel_ready(const struct i8237 *s, u32 n)
{
    const struct dma *d = &s->dma[n >> 2];

    return n < 8 && n != CASCADE && !(d->command & COMMAND_DISABLE) &&
           !(d->mask >> (n & 3) & 1) && (s->channel[n].mode & MODE_SELECT) != MODE_CASCADE;
}

u32 i8237_transfer(struct device *dev, u32 n, void *buf, u32 bytes, bool to_memory,
                   bool *terminal)
{
    struct i8237 *s = (struct i8237 *)dev;
    struct dma_channel *c = &s->channel[n & 7];
    u32 shift = n >= 4, done = 0;

    *terminal = false;
    if (!channel_ready(s, n))
        return 0;
    while (!*terminal && (bytes - done) >> shift) {
        u32 units = run_length(c, (bytes - done) >> shift);
        bool last = units == c->count + 1u;
        move_bytes(s, n, (u8 *)buf + done, units << shift, to_memory);
        done += units << shift;
        c->address += c->mode & MODE_DECREMENT ? -units : units;
        c->count -= units;
        if (last) {
            terminal_count(s, n);
            *terminal = true;
        }
    }
    return done;
}

void i8237_follow(struct device *dev, u32 n, void (*catch_up)(struct device *follower),
                  struct device *follower)
{
    struct i8237 *s = (struct i8237 *)dev;

    s->followers[n & 7].catch_up = catch_up;
    s->followers[n & 7].follower = follower;
}

static void catch_up(struct i8237 *s, u32 n)
{
    if (s->followers[n].catch_up)
        s->followers[n].catch_up(s->followers[n].follower);
}

/* ---- Registers ---- */

/* Address and count are 16 bits through an 8-bit port: the flip-flop says which half. */
static u8 half_read(struct dma *d, u16 val)
{
    d->flip_flop ^= 1;
    return (u8)(d->flip_flop ? val : val >> 8);
}

static void half_write(struct dma *d, u16 *base, u16 *current, u8 val)
{
    *base = d->flip_flop ? (*base & 0x00ff) | val << 8 : (*base & 0xff00) | val;
    *current = *base;
    d->flip_flop ^= 1;
}

static void dma_clear(struct dma *d)
{
    *d = (struct dma){ .mask = 0x0f };
}

static void request_write(struct i8237 *s, struct dma *d, u8 val)
{
    u8 bit = 1u << (val & 3);

    d->request = val & 4 ? d->request | bit : d->request & ~bit;
    if ((val & 4) && (d->command & COMMAND_MEMORY))
        device_nyi(&s->dev, "memory-to-memory transfer");
}

static u8 dma_read(struct i8237 *s, u32 chip, u32 reg)
{
    struct dma *d = &s->dma[chip];
    u8 status;

    if (reg < 8) {
        const struct dma_channel *c = &s->channel[chip * 4 + reg / 2];

        if (!d->flip_flop)
            catch_up(s, chip * 4 + reg / 2);
        return half_read(d, reg & 1 ? c->count : c->address);
    }
    switch (reg) {
    case REG_COMMAND: /* status: bits 4-7 requests, 0-3 terminal counts since the last read */
        status = d->status | d->request << 4;
        d->status = 0;
        return status;
    case REG_MASTER_CLEAR:
        return d->temporary;
    case REG_ALL_MASK:
        return d->mask | 0xf0;
    default:
        return 0xff;
    }
}

static void dma_write(struct i8237 *s, u32 chip, u32 reg, u8 val)
{
    struct dma *d = &s->dma[chip];
    struct dma_channel *c = &s->channel[chip * 4 + (reg < 8 ? reg / 2 : val & 3)];
    u8 bit = 1u << (val & 3);

    if (reg < 8) {
        half_write(d, reg & 1 ? &c->base_count : &c->base_address,
                   reg & 1 ? &c->count : &c->address, val);
        return;
    }
    switch (reg) {
    case REG_COMMAND:
        d->command = val;
        break;
    case REG_REQUEST:
        request_write(s, d, val);
        break;
    case REG_MASK:
        catch_up(s, chip * 4 + (val & 3));
        d->mask = val & 4 ? d->mask | bit : d->mask & ~bit;
        break;
    case REG_MODE:
        c->mode = val;
        break;
    case REG_CLEAR_FLIP_FLOP:
        d->flip_flop = 0;
        break;
    case REG_MASTER_CLEAR:
        dma_clear(d);
        break;
    case REG_CLEAR_MASK:
        d->mask = 0;
        break;
    case REG_ALL_MASK:
        d->mask = val & 0x0f;
        break;
    }
}

/* Which channel a page register belongs to, by port - 80; 8: none (231466 leaves pages to the
 * board; IBM PC/AT Technical Reference, "DMA Page Registers"). */
static const u8 page_channel[16] = { 8, 2, 3, 1, 8, 8, 8, 0, 8, 6, 7, 5, 8, 8, 8, 4 };

/* ---- Ports ---- */

static u32 bytes_read(struct device *dev, u32 off, enum io_size size)
{
    return dma_read((struct i8237 *)dev, 0, off);
}

static void bytes_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    dma_write((struct i8237 *)dev, 0, off, (u8)val);
}

static u32 words_read(struct device *dev, u32 off, enum io_size size)
{
    return off & 1 ? 0xff : dma_read((struct i8237 *)dev, 1, off >> 1);
}

static void words_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    if (!(off & 1))
        dma_write((struct i8237 *)dev, 1, off >> 1, (u8)val);
}

static u32 page_read(struct device *dev, u32 off, enum io_size size)
{
    return ((struct i8237 *)dev)->page[off + 1];
}

static void page_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct i8237 *s = (struct i8237 *)dev;
    u32 n = page_channel[off + 1];

    s->page[off + 1] = (u8)val;
    if (n < 8)
        s->channel[n].page = (u8)val;
}

/* RESET does what Master Clear does; addresses, counts and pages are undefined: 0. */
static void i8237_reset(struct device *dev)
{
    struct i8237 *s = (struct i8237 *)dev;

    for (u32 n = 0; n < 8; n++)
        s->channel[n] = (struct dma_channel){ 0 };
    for (u32 n = 0; n < 16; n++)
        s->page[n] = 0;
    dma_clear(&s->dma[0]);
    dma_clear(&s->dma[1]);
}

static bool i8237_attach(struct device *dev)
{
    static const struct io_ops bytes = { bytes_read, bytes_write, IO_8 };
    static const struct io_ops words = { words_read, words_write, IO_8 };
    static const struct io_ops pages = { page_read, page_write, IO_8 };

    return bus_claim_ports(dev, 0x00, 16, &bytes) && bus_claim_ports(dev, 0xc0, 32, &words) &&
           bus_claim_ports(dev, 0x81, 15, &pages);
}

#define CHANNEL_FIELDS(n)                                                                      \
    FIELD(struct i8237, channel[n].base_address), FIELD(struct i8237, channel[n].base_count),  \
        FIELD(struct i8237, channel[n].address), FIELD(struct i8237, channel[n].count),        \
        FIELD(struct i8237, channel[n].mode), FIELD(struct i8237, channel[n].page)
#define DMA_FIELDS(n)                                                                          \
    FIELD(struct i8237, dma[n].command), FIELD(struct i8237, dma[n].status),                   \
        FIELD(struct i8237, dma[n].mask), FIELD(struct i8237, dma[n].request),                 \
        FIELD(struct i8237, dma[n].flip_flop), FIELD(struct i8237, dma[n].temporary)

static const struct field i8237_fields[] = {
    CHANNEL_FIELDS(0), CHANNEL_FIELDS(1), CHANNEL_FIELDS(2),         CHANNEL_FIELDS(3),
    CHANNEL_FIELDS(4), CHANNEL_FIELDS(5), CHANNEL_FIELDS(6),         CHANNEL_FIELDS(7),
    DMA_FIELDS(0),     DMA_FIELDS(1),     FIELD_ARRAY(struct i8237, page), FIELD_END,
};

const struct device_class i8237_class = {
    .name = "i8237",
    .size = sizeof(struct i8237),
    .attach = i8237_attach,
    .reset = i8237_reset,
    .fields = i8237_fields,
};
