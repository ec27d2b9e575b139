/*
 * A flash chip, one byte wide, with Intel's command set 0001 and its description (Intel 28F640
 * data sheet; JEDEC JESD68.01, "Common Flash Interface"): what QEMU gives a PC for its firmware
 * and the firmware's variables.
 *
 * It reads as memory until a command is written to any of its addresses; then as status,
 * identifiers or description, until command FF. Bits are programmed to 0 only, and erased to 1
 * in blocks of 4 KiB; both are over at once, and in the file before the next command. While it
 * reads as memory it is mapped, so that code runs from it as from a ROM; what it holds changes
 * only while it is not.
 */
#include "devices/cfi_flash.h"

#include <string.h>

enum {
    PROGRAM = 0x10,
    ERASE = 0x20,
    PROGRAM2 = 0x40,
    CLEAR_STATUS = 0x50,
    LOCK = 0x60,
    READ_STATUS = 0x70,
    READ_ID = 0x90,
    QUERY = 0x98,
    CONFIRM = 0xd0,
    WRITE_BUFFER = 0xe8,
    READ_ARRAY = 0xff,
    READY = 0x80,
    ERASE_ERROR = 0x20,
    PROGRAM_ERROR = 0x10,
    SEQUENCE_ERROR = 0x30,
    BUFFER = 256,
    BUFFER_BITS = 8,
};

enum flash_reads { READS_ARRAY, READS_STATUS, READS_ID, READS_QUERY };
/* What the next write is. */
enum flash_writes {
    WRITES_COMMAND,
    WRITES_PROGRAM,
    WRITES_ERASE,
    WRITES_LOCK,
    WRITES_COUNT,
    WRITES_DATA,
    WRITES_CONFIRM
};

struct cfi_flash {
    struct device dev;
    u8 *memory;
    u32 size;
    bool mapped;
    u8 reads, writes, status;
    u32 left;          /* bytes to come for the buffer */
    u32 at;            /* where the buffer goes, a multiple of BUFFER */
    u8 buffer[BUFFER]; /* ones where nothing is programmed */
};

const u8 *cfi_flash_memory(const struct device *dev)
{
    return ((const struct cfi_flash *)dev)->memory;
}

static const struct flash_config *config(const struct cfi_flash *f)
{
    return f->dev.config;
}

/* ---- What reads answer ---- */

static void show(struct cfi_flash *f)
{
    bool mapped = f->reads == READS_ARRAY;

    if (mapped != f->mapped)
        phys_map(f->dev.machine, config(f)->base, f->size, mapped ? f->memory : NULL, NULL);
    f->mapped = mapped;
}

/* JESD68.01, 3; Intel's own table is at 31. */
static u8 query(const struct cfi_flash *f, u32 at)
{
    u32 blocks = f->size / FLASH_BLOCK - 1, bits = 31 - (u32)__builtin_clz(f->size);
    /* clang-format off */
    const u8 table[] = {
        'Q', 'R', 'Y', 1, 0, 0x31, 0, 0, 0, 0, 0, /* 10: command set, its table, no other */
        0x45, 0x55, 0, 0,                         /* 1B: 4.5 to 5.5 volts */
        7, 7, 10, 0, 4, 4, 4, 0,                  /* 1F: times, in powers of two */
        (u8)bits, 2, 0, BUFFER_BITS, 0, 1,        /* 27: size, 8 and 16 bits, buffer, regions */
        (u8)blocks, (u8)(blocks >> 8), FLASH_BLOCK >> 8 & 0xff, FLASH_BLOCK >> 16,
        'P', 'R', 'I', '1', '0',                  /* 31: no more than it has to have */
    };
    /* clang-format on */

    return at - 0x10 < sizeof(table) ? table[at - 0x10] : 0;
}

static u8 read8(const struct cfi_flash *f, u32 off)
{
    switch (f->reads) {
    case READS_STATUS:
        return f->status;
    case READS_ID:
        return 0; /* as QEMU's, which names no maker */
    case READS_QUERY:
        return query(f, off & 0xff);
    default:
        return f->memory[off];
    }
}

static u32 flash_read(struct device *dev, u32 off, enum io_size size)
{
    u32 val = 0;

    for (u32 i = 0; i < (u32)size; i++)
        val |= (u32)read8((struct cfi_flash *)dev, off + i) << 8 * i;
    return val;
}

/* ---- Programming and erasing ---- */

/* To the file what is in memory. */
static void keep(struct cfi_flash *f, u32 off, u32 n, u8 error)
{
    if (!disk_write(config(f)->disk, off, f->memory + off, n))
        f->status |= error;
}

static void program(struct cfi_flash *f, u32 off, const u8 *bytes, u32 n)
{
    if (config(f)->disk->read_only) {
        f->status |= PROGRAM_ERROR;
        return;
    }
    for (u32 i = 0; i < n; i++)
        f->memory[off + i] &= bytes[i];
    keep(f, off, n, PROGRAM_ERROR);
}

static void erase(struct cfi_flash *f, u32 off)
{
    off &= ~(FLASH_BLOCK - 1u);
    if (config(f)->disk->read_only) {
        f->status |= ERASE_ERROR;
        return;
    }
    memset(f->memory + off, 0xff, FLASH_BLOCK);
    keep(f, off, FLASH_BLOCK, ERASE_ERROR);
}

/* ---- Commands ---- */

static void command(struct cfi_flash *f, u8 val)
{
    static const struct {
        u8 command, reads, writes;
    } rows[] = {
        {PROGRAM, READS_STATUS, WRITES_PROGRAM},     {PROGRAM2, READS_STATUS, WRITES_PROGRAM},
        {ERASE, READS_STATUS, WRITES_ERASE},         {LOCK, READS_STATUS, WRITES_LOCK},
        {READ_STATUS, READS_STATUS, WRITES_COMMAND}, {READ_ID, READS_ID, WRITES_COMMAND},
        {QUERY, READS_QUERY, WRITES_COMMAND},        {WRITE_BUFFER, READS_STATUS, WRITES_COUNT},
    };

    f->reads = READS_ARRAY;
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].command == val) {
            f->reads = rows[i].reads;
            f->writes = rows[i].writes;
        }
    if (val == CLEAR_STATUS)
        f->status = READY;
}

static void buffer_begin(struct cfi_flash *f, u8 count)
{
    f->left = count + 1u;
    f->at = f->size; /* the first byte says */
    memset(f->buffer, 0xff, BUFFER);
    f->writes = WRITES_DATA;
}

/* All of it lies in one piece of the buffer's size. */
static void buffer_data(struct cfi_flash *f, u32 off, u8 val)
{
    if (f->at == f->size)
        f->at = off & ~(BUFFER - 1u);
    if ((off & ~(BUFFER - 1u)) == f->at)
        f->buffer[off % BUFFER] = val;
    else
        f->status |= SEQUENCE_ERROR;
    if (!--f->left)
        f->writes = WRITES_CONFIRM;
}

/* False: it was something else, which undoes the command. */
static bool confirmed(struct cfi_flash *f, u8 val)
{
    f->writes = WRITES_COMMAND;
    if (val == READ_ARRAY)
        f->reads = READS_ARRAY;
    else if (val != CONFIRM)
        f->status |= SEQUENCE_ERROR;
    return val == CONFIRM;
}

/* The bytes of an access that is part of a command; others are the command's low byte. */
static void flash_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct cfi_flash *f = (struct cfi_flash *)dev;
    const u8 bytes[4] = {(u8)val, (u8)(val >> 8), (u8)(val >> 16), (u8)(val >> 24)};

    switch (f->writes) {
    case WRITES_COMMAND:
        command(f, bytes[0]);
        break;
    case WRITES_PROGRAM:
        program(f, off, bytes, size);
        f->writes = WRITES_COMMAND;
        break;
    case WRITES_ERASE:
        if (confirmed(f, bytes[0]))
            erase(f, off);
        break;
    case WRITES_LOCK:
        f->writes = WRITES_COMMAND;
        break; /* nothing is locked */
    case WRITES_COUNT:
        buffer_begin(f, bytes[0]);
        break;
    case WRITES_DATA:
        for (u32 i = 0; i < (u32)size && f->writes == WRITES_DATA; i++)
            buffer_data(f, off + i, bytes[i]);
        break;
    case WRITES_CONFIRM:
        if (confirmed(f, bytes[0]) && !(f->status & SEQUENCE_ERROR))
            program(f, f->at, f->buffer, BUFFER);
        break;
    }
    show(f);
}

/* ---- Life ---- */

static void flash_reset(struct device *dev)
{
    struct cfi_flash *f = (struct cfi_flash *)dev;

    f->reads = READS_ARRAY;
    f->writes = WRITES_COMMAND;
    f->status = READY;
    show(f);
}

static bool flash_attach(struct device *dev)
{
    static const struct io_ops ops = {flash_read, flash_write, IO_8 | IO_16 | IO_32};
    struct cfi_flash *f = (struct cfi_flash *)dev;

    f->size = (u32)config(f)->disk->size;
    f->memory = bus_alloc_memory(dev->machine, f->size);
    return f->memory && disk_read(config(f)->disk, 0, f->memory, f->size) &&
           bus_claim_memory(dev, config(f)->base, f->size, &ops);
}

static void flash_loaded(struct device *dev)
{
    struct cfi_flash *f = (struct cfi_flash *)dev;

    f->left = f->left > BUFFER ? BUFFER : f->left;
    if (f->writes > WRITES_CONFIRM || (f->writes == WRITES_DATA && !f->left) ||
        (f->writes == WRITES_CONFIRM && f->at >= f->size))
        f->writes = WRITES_COMMAND;
    f->at = f->at < f->size ? f->at & ~(BUFFER - 1u) : f->size;
    show(f);
}

#define F(member) FIELD(struct cfi_flash, member)
static const struct field flash_fields[] = {
    F(reads),  F(writes), F(status), F(left), F(at), FIELD_ARRAY(struct cfi_flash, buffer),
    FIELD_END,
};

const struct device_class cfi_flash_class = {
    .name = "cfi-flash",
    .size = sizeof(struct cfi_flash),
    .attach = flash_attach,
    .reset = flash_reset,
    .loaded = flash_loaded,
    .fields = flash_fields,
};
