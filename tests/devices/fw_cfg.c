/*
 * fw_cfg as firmware uses it: keys by port, files by directory, transfers by DMA.
 */
#include "devices/device.h"
#include "devices/fw_cfg.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"
#include <string.h>

static u64 read_key(struct rig *r, u16 key, u32 n)
{
    u64 val = 0;

    rig_out16(r, 0x510, key);
    for (u32 i = 0; i < n; i++)
        val |= (u64)rig_in8(r, 0x511) << 8 * i;
    return val;
}

struct request {
    u32 control, length;
    u64 address;
};

static u32 dma(struct rig *r, u32 control, u32 length, u64 address)
{
    struct request q = {
        __builtin_bswap32(control), __builtin_bswap32(length), __builtin_bswap64(address)
    };

    phys_write(r->m, 0x8000, &q, sizeof(q));
    rig_out32(r, 0x514, 0);
    rig_out32(r, 0x518, __builtin_bswap32(0x8000));
    phys_read(r->m, 0x8000, &q, sizeof(q));
    return __builtin_bswap32(q.control);
}

TEST(fw_cfg, signature_and_features)
{
    struct rig *r = rig_new(&fw_cfg_class, NULL);

    CHECK_EQ(read_key(r, 0, 4), 0x554d4551); /* "QEMU" */
    CHECK_EQ(read_key(r, 1, 4), 3);
    CHECK_EQ(rig_in32(r, 0x514), 0x554d4551);
    CHECK_EQ(rig_in32(r, 0x518), 0x47464320); /* " CFG" */
}

TEST(fw_cfg, numbers_read_little_endian_and_end_in_zeros)
{
    struct rig *r = rig_new(&fw_cfg_class, NULL);

    fw_cfg_add_number(r->dev, FW_CFG_RAM_SIZE, 0x1122334455, 8);
    CHECK_EQ(read_key(r, FW_CFG_RAM_SIZE, 8), 0x1122334455);
    CHECK_EQ(rig_in8(r, 0x511), 0);
    CHECK_EQ(read_key(r, FW_CFG_KERNEL_SIZE, 4), 0); /* not there */
    CHECK_EQ(read_key(r, 0x3fff, 4), 0);
    CHECK_EQ(read_key(r, 0xffff, 4), 0);
}

TEST(fw_cfg, directory_lists_files)
{
    struct rig *r = rig_new(&fw_cfg_class, NULL);
    u8 entry[68];

    fw_cfg_add_file(r->dev, "etc/one", "1", 1);
    fw_cfg_add_file(r->dev, "etc/two", "22", 2);
    fw_cfg_add_file(r->dev, "etc/two", "333", 3); /* replaces */
    rig_out16(r, 0x510, FW_CFG_FILE_DIR);
    for (u32 i = 0; i < sizeof(entry); i++)
        entry[i] = rig_in8(r, 0x511);
    CHECK_EQ(entry[3], 2); /* big-endian count */
    CHECK(!strcmp((char *)entry + 12, "etc/one"));
    for (u32 i = 0; i < 64; i++)
        entry[i] = rig_in8(r, 0x511);
    CHECK_EQ(entry[3], 3);
    CHECK(!strcmp((char *)entry + 8, "etc/two"));
    CHECK_EQ(read_key(r, entry[4] << 8 | entry[5], 4), 0x333333);
}

TEST(fw_cfg, dma_reads_skips_and_fills)
{
    struct rig *r = rig_new(&fw_cfg_class, NULL);
    u8 buf[16];

    fw_cfg_add_file(r->dev, "etc/text", "abcdefgh", 8);
    memset(mmu_ram(r->m->mmu) + 0x100000, 0xee, 32);
    CHECK_EQ(dma(r, 0x20 << 16 | 8 | 2, 3, 0x100000), 0);
    CHECK_EQ(dma(r, 4, 2, 0), 0);
    CHECK_EQ(dma(r, 2, 8, 0x100003), 0);
    phys_read(r->m, 0x100000, buf, sizeof(buf));
    CHECK(!memcmp(buf, "abcfgh\0\0\0\0\0\xee", 12));
}

TEST(fw_cfg, dma_takes_no_writes)
{
    struct rig *r = rig_new(&fw_cfg_class, NULL);

    CHECK_EQ(dma(r, 16, 4, 0x100000), 1);
    CHECK_EQ(dma(r, 0, 4, 0x100000), 0);
}

/* Any request ends, and touches RAM only. */
TEST(fw_cfg, hostile_requests)
{
    static const u64 addresses[] = {0, 0xfffff, 0xffffff, 0x1000000, 0xfee00000, 0xffffffff,
                                    0x100000000, 0xffffffffffffffff};
    static const u32 lengths[] = {0, 1, 0x10000, 0x7fffffff, 0xffffffff};
    struct rig *r = rig_new(&fw_cfg_class, NULL);

    for (u32 a = 0; a < ARRAY_SIZE(addresses); a++)
        for (u32 l = 0; l < ARRAY_SIZE(lengths); l++)
            for (u32 control = 0; control < 32; control++)
                CHECK_EQ(dma(r, control, lengths[l], addresses[a]) & ~1u, 0);
    rig_out32(r, 0x514, 0xffffffff);
    rig_out32(r, 0x518, 0xffffffff);
    rig_out32(r, 0x518, 0xffffffff);
}
