/*
 * The firmware configuration device (QEMU, docs/specs/fw_cfg): items of bytes named by a 16-bit
 * key, or by a file name through the directory at key 19. Port 510 selects (16 bits), 511 reads
 * on; 514-51B take the address, high half first and big-endian, of a DMA request
 *   { be32 control; be32 length; be64 address }
 * that is carried out when the low half is written.
 *
 * Items are read-only to the guest. A request may name any length and address: bytes beyond the
 * item read as zero, and what lies beyond RAM is not written. So that a guest cannot have all of
 * RAM cleared at once, more than ZEROS_MAX of zeros is an error.
 */
#include "devices/fw_cfg.h"

#include <string.h>

enum {
    SELECT = 0, DATA = 1, DMA_HIGH = 0, DMA_LOW = 4, /* offsets from 510 and 514 */
    ZEROS_MAX = 128 << 20, NUMBERS = 32, KEYS = 0x20, NAME = 56,
    KEY_MASK = 0xbfff, KEY_ARCH = 0x8000, /* bit 14: write access, of old */
    ID_TRADITIONAL = 1, ID_DMA = 2,
    CTL_ERROR = 1, CTL_READ = 2, CTL_SKIP = 4, CTL_SELECT = 8, CTL_WRITE = 16,
};

struct item {
    const void *data;
    u32 size;
};
struct file_entry { /* of the directory, big-endian */
    u32 size;
    u16 select, reserved;
    char name[NAME];
};
static_assert(sizeof(struct file_entry) == 64, "as the specification draws it");

struct fw_cfg {
    struct device dev;
    struct item item[2][KEYS + FW_CFG_FILES]; /* general and arch-local keys */
    struct {
        u32 count; /* big-endian */
        struct file_entry file[FW_CFG_FILES];
    } directory;
    u32 files;
    u64 number[NUMBERS];
    u32 numbers;

    u16 key;       /* selected */
    u32 offset;    /* of the next byte in it */
    u32 dma_high;  /* of the request's address */
};

static u32 be32(u32 v)
{
    return __builtin_bswap32(v);
}

/* ---- Items ---- */

static struct item *fw_cfg_item(struct fw_cfg *f, u16 key)
{
    u32 index = key & KEY_MASK & ~KEY_ARCH;

    return index < KEYS + FW_CFG_FILES ? &f->item[key & KEY_ARCH ? 1 : 0][index] : NULL;
}

void fw_cfg_add(struct device *dev, u16 key, const void *data, u32 size)
{
    struct item *item = fw_cfg_item((struct fw_cfg *)dev, key);

    check(item, "fw_cfg has no key %#x", key);
    *item = (struct item){data, size};
}

void fw_cfg_add_number(struct device *dev, u16 key, u64 val, u32 size)
{
    struct fw_cfg *f = (struct fw_cfg *)dev;

    check(f->numbers < NUMBERS, "fw_cfg is out of room for numbers");
    f->number[f->numbers] = val;
    fw_cfg_add(dev, key, &f->number[f->numbers++], size);
}

static struct file_entry *fw_cfg_file(struct fw_cfg *f, const char *name)
{
    for (u32 i = 0; i < f->files; i++)
        if (!strcmp(f->directory.file[i].name, name))
            return &f->directory.file[i];
    check(f->files < FW_CFG_FILES, "fw_cfg is out of room for %s", name);
    struct file_entry *e = &f->directory.file[f->files];
    snprintf(e->name, sizeof(e->name), "%s", name);
    e->select = __builtin_bswap16(FW_CFG_FILE_FIRST + f->files++);
    return e;
}

void fw_cfg_add_file(struct device *dev, const char *name, const void *data, u32 size)
{
    struct fw_cfg *f = (struct fw_cfg *)dev;
    struct file_entry *e = fw_cfg_file(f, name);

    e->size = be32(size);
    f->directory.count = be32(f->files);
    fw_cfg_add(dev, __builtin_bswap16(e->select), data, size);
}

/* ---- Reading ---- */

static void fw_cfg_select(struct fw_cfg *f, u16 key)
{
    f->key = key;
    f->offset = 0;
    trace(TRACE_FW, "fw_cfg: key %x", key);
}

/* What is left of the selected item, from the offset on. */
static u32 fw_cfg_left(struct fw_cfg *f, const u8 **data)
{
    const struct item *item = fw_cfg_item(f, f->key);

    if (!item || !item->data || f->offset >= item->size)
        return 0;
    *data = (const u8 *)item->data + f->offset;
    return item->size - f->offset;
}

static void fw_cfg_advance(struct fw_cfg *f, u32 n)
{
    f->offset = f->offset + n < f->offset ? ~0u : f->offset + n;
}

static u8 fw_cfg_next(struct fw_cfg *f)
{
    const u8 *data;

    if (!fw_cfg_left(f, &data))
        return 0;
    f->offset++;
    return *data;
}

static void fw_cfg_zero(struct machine *m, gpa_t gpa, u64 n)
{
    static const u8 zero[PAGE_SIZE];
    u64 ram = phys_ram_size(m);

    if (gpa >= ram)
        return;
    n = n < ram - gpa ? n : ram - gpa;
    for (u64 done = 0; done < n; done += sizeof(zero))
        phys_write(m, gpa + done, zero, n - done < sizeof(zero) ? n - done : sizeof(zero));
}

static bool fw_cfg_dma_read(struct fw_cfg *f, gpa_t gpa, u32 length)
{
    const u8 *data;
    u32 n = fw_cfg_left(f, &data);

    n = n < length ? n : length;
    if (length - n > ZEROS_MAX)
        return false;
    if (n && gpa + n <= GIB(4))
        phys_write(f->dev.machine, gpa, data, n);
    fw_cfg_zero(f->dev.machine, gpa + n, length - n);
    return true;
}

static void fw_cfg_dma(struct fw_cfg *f, gpa_t request)
{
    struct {
        u32 control, length;
        u64 address;
    } r;
    u32 status = 0;

    if (request > GIB(4) - sizeof(r))
        return;
    phys_read(f->dev.machine, request, &r, sizeof(r));
    u32 control = be32(r.control), length = be32(r.length);
    gpa_t address = __builtin_bswap64(r.address);
    if (control & CTL_SELECT)
        fw_cfg_select(f, control >> 16);
    if (control & CTL_READ)
        status = address < GIB(4) && fw_cfg_dma_read(f, address, length) ? 0 : CTL_ERROR;
    else if (control & CTL_WRITE)
        status = CTL_ERROR; /* no item may be written */
    if (control & (CTL_READ | CTL_SKIP))
        fw_cfg_advance(f, length);
    status = be32(status);
    phys_write(f->dev.machine, request, &status, sizeof(status));
}

/* ---- Ports ---- */

static u32 fw_cfg_read(struct device *dev, u32 off, enum io_size size)
{
    return off == DATA && size == IO_8 ? fw_cfg_next((struct fw_cfg *)dev) : ~0u;
}

static void fw_cfg_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    if (off == SELECT && size == IO_16)
        fw_cfg_select((struct fw_cfg *)dev, val);
}

/* The DMA registers read as a signature. */
static u32 fw_cfg_dma_port_read(struct device *dev, u32 off, enum io_size size)
{
    static const char signature[9] = "QEMU CFG";
    u32 val = 0;

    for (u32 i = 0; i < size && off + i < 8; i++)
        val |= (u32)(u8)signature[off + i] << 8 * i;
    return val;
}

static void fw_cfg_dma_port_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct fw_cfg *f = (struct fw_cfg *)dev;

    if (size != IO_32)
        return;
    if (off == DMA_HIGH)
        f->dma_high = be32(val);
    if (off != DMA_LOW)
        return;
    gpa_t request = (u64)f->dma_high << 32 | be32(val);
    f->dma_high = 0;
    fw_cfg_dma(f, request);
}

static void fw_cfg_reset(struct device *dev)
{
    struct fw_cfg *f = (struct fw_cfg *)dev;

    f->key = f->offset = f->dma_high = 0;
}

static bool fw_cfg_attach(struct device *dev)
{
    static const struct io_ops ports = {fw_cfg_read, fw_cfg_write, IO_8 | IO_16};
    static const struct io_ops dma = {fw_cfg_dma_port_read, fw_cfg_dma_port_write,
                                      IO_8 | IO_16 | IO_32};
    struct fw_cfg *f = (struct fw_cfg *)dev;

    fw_cfg_add(dev, FW_CFG_SIGNATURE, "QEMU", 4);
    fw_cfg_add_number(dev, FW_CFG_ID, ID_TRADITIONAL | ID_DMA, 4);
    fw_cfg_add(dev, FW_CFG_FILE_DIR, &f->directory, sizeof(f->directory));
    return bus_claim_ports(dev, 0x510, 2, &ports) && bus_claim_ports(dev, 0x514, 8, &dma);
}

static const struct field fw_cfg_fields[] = {
    FIELD(struct fw_cfg, key), FIELD(struct fw_cfg, offset), FIELD(struct fw_cfg, dma_high),
    FIELD_END
};

const struct device_class fw_cfg_class = {
    .name = "fw_cfg",
    .size = sizeof(struct fw_cfg),
    .attach = fw_cfg_attach,
    .reset = fw_cfg_reset,
    .fields = fw_cfg_fields,
};
