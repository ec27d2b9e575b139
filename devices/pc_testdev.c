/*
 * pc-testdev, as QEMU has it and kvm-unit-tests use it (hw/misc/pc-testdev.c's interface):
 *
 *   ports E0-E3      a register of 32 bits, accessed in any size; E8-EB the same one
 *   ports E4-E7      a write names a page whose translation is to be dropped: nothing to do,
 *                    ours are never stale
 *   ports 2000-2017  a write raises (not 0) or lowers interrupt line 0 to 23; from 16 on only
 *                    the I/O APIC has pins, which are not wired here
 *   FF000000         64 KiB of device memory that keeps what is written
 */
#include "devices/pc_testdev.h"
#include "devices/user_device.h"

#include <string.h>

enum {
    WORD = 0xe0, FLUSH = 0xe4, BYTES = 0xe8, LINES = 0x2000, LINE_COUNT = 24, ISA_LINES = 16,
    MEMORY_SIZE = 0x10000,
};
#define MEMORY 0xff000000

struct pc_testdev {
    struct device dev;
    u32 word;
    u8 memory[MEMORY_SIZE];
};

/* ---- Ports ---- */

static u32 word_read(struct device *dev, u32 off, enum io_size size)
{
    return ((struct pc_testdev *)dev)->word >> 8 * off;
}

static void word_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    memcpy((u8 *)&((struct pc_testdev *)dev)->word + off, &val, size);
}

static u32 nothing_read(struct device *dev, u32 off, enum io_size size)
{
    return 0;
}

static void nothing_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
}

static void line_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    if (off < ISA_LINES)
        irq_set(irq_isa(dev->machine, off), val);
    else
        device_nyi(dev, "interrupt lines 16 to 23");
}

/* ---- Memory ---- */

static u32 memory_read(struct device *dev, u32 off, enum io_size size)
{
    u32 val = 0;

    memcpy(&val, ((struct pc_testdev *)dev)->memory + off, size);
    return val;
}

static void memory_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    memcpy(((struct pc_testdev *)dev)->memory + off, &val, size);
}

/* ---- Life ---- */

static bool pc_testdev_attach(struct device *dev)
{
    static const struct io_ops word = {word_read, word_write, IO_8 | IO_16 | IO_32};
    static const struct io_ops flush = { nothing_read, nothing_write, IO_8 | IO_16 | IO_32 };
    static const struct io_ops lines = { nothing_read, line_write, IO_8 | IO_16 | IO_32 };
    static const struct io_ops memory = { memory_read, memory_write, IO_8 | IO_16 | IO_32 };

    return bus_claim_ports(dev, WORD, 4, &word) && bus_claim_ports(dev, FLUSH, 4, &flush) &&
           bus_claim_ports(dev, BYTES, 4, &word) &&
           bus_claim_ports(dev, LINES, LINE_COUNT, &lines) &&
           bus_claim_memory(dev, MEMORY, MEMORY_SIZE, &memory);
}

static void pc_testdev_reset(struct device *dev)
{
    struct pc_testdev *t = (struct pc_testdev *)dev;

    t->word = 0;
    memset(t->memory, 0, sizeof(t->memory));
}

static const struct field pc_testdev_fields[] = {
    FIELD(struct pc_testdev, word), FIELD_ARRAY(struct pc_testdev, memory), FIELD_END
};

const struct device_class pc_testdev_class = {
    .name = "pc-testdev",
    .size = sizeof(struct pc_testdev),
    .attach = pc_testdev_attach,
    .reset = pc_testdev_reset,
    .fields = pc_testdev_fields,
};

static const struct key_row no_keys[] = { { NULL } };

const struct user_device pc_testdev_user_device = {
    .name = "pc-testdev",
    .help = "QEMU's test device: ports E0 and 2000, memory at FF000000",
    .category = MISC_DEVICE,
    .bus = BUS_ISA,
    .class = &pc_testdev_class,
    .config_size = 1,
    .properties = no_keys,
};
