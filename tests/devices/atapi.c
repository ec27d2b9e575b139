/*
 * The CD drive: detection, packets by PIO and DMA, byte counts, sense, tables, medium changes.
 */
#include <string.h>

#include "devices/atapi.h"
#include "tests/devices/ata_rig.h"

enum { SECTORS = 100 };

static struct disk *small_cd(void)
{
    return image_open(image_file(SECTORS * CD_SECTOR), DISK_CD, false);
}

/* Sends the packet; returns the status after it. */
static u8 packet(struct rig *r, const u8 *bytes, u32 limit, u8 features)
{
    rig_out8(r, P_DEVICE, 0xa0);
    rig_out8(r, P_ERROR, features);
    rig_out8(r, P_MID, (u8)limit);
    rig_out8(r, P_HIGH, (u8)(limit >> 8));
    rig_out8(r, P_STATUS, 0xa0);
    CHECK_EQ(ata_wait(r), READY | SR_DRQ);
    CHECK_EQ(rig_in8(r, P_COUNT), IR_COD);
    ata_give(r, bytes, 12);
    return ata_wait(r);
}

/* The whole reply of a PIO packet, block by block. Returns its bytes; *blocks counts them. */
static u32 reply(struct rig *r, u8 *buf, u32 room, u32 *blocks)
{
    u32 n = 0;

    *blocks = 0;
    while (ata_wait(r) & SR_DRQ) {
        u32 block = rig_in8(r, P_MID) | rig_in8(r, P_HIGH) << 8;

        CHECK_EQ(rig_in8(r, P_COUNT), IR_IO);
        CHECK_EQ(rig_irq_rises(r, 14), 1);
        rig_in8(r, P_STATUS);
        if (!block || n + block > room)
            break;
        ata_take(r, buf + n, block);
        n += block;
        ++*blocks;
    }
    CHECK_EQ(rig_in8(r, P_COUNT), IR_COD | IR_IO);
    rig_in8(r, P_STATUS);
    rig_irq_rises(r, 14);
    return n;
}

/* Sends a packet of up to ten leading bytes and takes the reply. */
#define ASK(r, buf, ...)                                                                       \
    ask(r, buf, sizeof(buf), (const u8[12]){ __VA_ARGS__ })

static u32 ask(struct rig *r, u8 *buf, u32 room, const u8 *bytes)
{
    u32 blocks;

    memset(buf, 0xcc, room);
    rig_irq_rises(r, 14);
    packet(r, bytes, 0xfffe, 0);
    return reply(r, buf, room, &blocks);
}

static u32 sense(struct rig *r)
{
    u8 buf[64];

    CHECK_EQ(ASK(r, buf, 0x03, [4] = 18), 18);
    return (u32)buf[2] << 16 | (u32)buf[12] << 8 | buf[13];
}

static bool cd_sector_is(const u8 *buf, u32 lba)
{
    u32 words[512];

    memcpy(words, buf, sizeof(words));
    for (u32 i = 0; i < 512; i++)
        if (words[i] != image_word(lba * 4 + i / 128, i % 128))
            return false;
    return true;
}

TEST(atapi, detection)
{
    struct disk *d = small_cd();
    struct rig *r = ata_rig(d, NULL);
    u16 id[256];

    CHECK_EQ(rig_in8(r, P_STATUS), 0); /* not ready until spoken to */
    CHECK_EQ(rig_in8(r, P_MID), 0x14);
    CHECK_EQ(rig_in8(r, P_HIGH), 0xeb);
    rig_out8(r, P_MID, 0);
    ata_issue(r, 0xec, 0, 0, 0xa0);
    CHECK_EQ(ata_wait(r), READY | SR_ERR);
    CHECK_EQ(rig_in8(r, P_MID), 0x14);
    CHECK_EQ(rig_in8(r, P_HIGH), 0xeb);
    ata_issue(r, 0xa1, 0, 0, 0xa0);
    CHECK_EQ(ata_wait(r), READY | SR_DRQ);
    ata_take(r, id, sizeof(id));
    CHECK_EQ(id[0], 0x85c0);
    CHECK_EQ(id[27], 'R' << 8 | 'I');
    rig_out8(r, P_MID, 1);
    rig_out8(r, P_STATUS, 0x08); /* DEVICE RESET */
    CHECK_EQ(ata_wait(r), 0);
    CHECK_EQ(rig_in8(r, P_MID), 0x14);
    disk_close(d);
}

TEST(atapi, reads_in_blocks_of_the_byte_count)
{
    struct disk *d = small_cd();
    struct rig *r = ata_rig(d, NULL);
    static u8 buf[SECTORS * CD_SECTOR];
    static const u32 limits[] = { 2048, 0xfffe, 0, 512, 3000, 8192, 2049 };
    u32 blocks;

    for (u32 i = 0; i < ARRAY_SIZE(limits); i++) {
        u32 limit = limits[i] ? limits[i] & ~1u : 0xfffe;

        rig_irq_rises(r, 14);
        packet(r, (const u8[12]){ 0x28, [5] = 10, [8] = 40 }, limits[i], 0);
        CHECK_EQ(reply(r, buf, sizeof(buf), &blocks), 40 * CD_SECTOR);
        CHECK_EQ(blocks, (40 * CD_SECTOR + limit - 1) / limit);
        for (u32 s = 0; s < 40; s++)
            CHECK(cd_sector_is(buf + s * CD_SECTOR, 10 + s));
    }
    CHECK_EQ(ASK(r, buf, 0xa8, [5] = 99, [9] = 1), CD_SECTOR);
    CHECK(cd_sector_is(buf, 99));
    CHECK_EQ(sense(r), 0);
    disk_close(d);
}

TEST(atapi, reads_by_dma)
{
    struct disk *d = small_cd();
    struct rig *r = ata_rig(d, NULL);
    const u32 prd[4] = { 0x100000, 0 /* 64 KiB */, 0x120000, 0x8000 | 1u << 31 };
    u8 buf[CD_SECTOR];

    phys_write(r->m, 0x1000, prd, sizeof(prd));
    ata_busmaster_write(r->dev, 4, IO_32, 0x1000);
    ata_busmaster_write(r->dev, 0, IO_8, BM_TO_MEMORY);
    packet(r, (const u8[12]){ 0x28, [5] = 3, [8] = 48 }, 0, 1);
    CHECK(rig_in8(r, P_CONTROL) & SR_BSY);
    ata_busmaster_write(r->dev, 0, IO_8, BM_TO_MEMORY | BM_START);
    CHECK_EQ(ata_wait(r), READY);
    CHECK_EQ(ata_busmaster_read(r->dev, 2, IO_8), BM_INT);
    CHECK_EQ(rig_in8(r, P_COUNT), IR_COD | IR_IO);
    phys_read(r->m, 0x100000 + 31 * CD_SECTOR, buf, sizeof(buf));
    CHECK(cd_sector_is(buf, 3 + 31));
    phys_read(r->m, 0x120000 + 15 * CD_SECTOR, buf, sizeof(buf));
    CHECK(cd_sector_is(buf, 3 + 47));
    disk_close(d);
}

TEST(atapi, failures_leave_sense)
{
    struct disk *d = small_cd();
    struct rig *r = ata_rig(d, NULL);
    u8 buf[64];

    CHECK_EQ(packet(r, (const u8[12]){ 0x28, [5] = 99, [8] = 2 }, 0, 0), READY | SR_ERR);
    CHECK_EQ(rig_in8(r, P_ERROR) >> 4, ILLEGAL_REQUEST);
    CHECK_EQ(sense(r), ILLEGAL_REQUEST << 16 | ASC_LBA_OUT_OF_RANGE);
    CHECK_EQ(sense(r), 0); /* reported once */
    CHECK_EQ(packet(r, (const u8[12]){ 0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff }, 0, 0),
             READY | SR_ERR);
    CHECK_EQ(packet(r, (const u8[12]){ 0xee }, 0, 0), READY | SR_ERR);
    CHECK_EQ(sense(r), ILLEGAL_REQUEST << 16 | ASC_INVALID_OPCODE);
    CHECK_EQ(packet(r, (const u8[12]){ 0x5a, [2] = 0xea, [8] = 8 }, 0, 0), READY | SR_ERR);
    CHECK_EQ(sense(r), ILLEGAL_REQUEST << 16 | ASC_SAVING_UNSUPPORTED);
    CHECK_EQ(ASK(r, buf, 0x12, [4] = 0), 0); /* no room is no error */
    disk_close(d);
}

TEST(atapi, tables)
{
    struct disk *d = small_cd();
    struct rig *r = ata_rig(d, NULL);
    u8 buf[256];

    CHECK_EQ(ASK(r, buf, 0x12, [4] = 96), 36);
    CHECK(buf[0] == 5 && buf[1] == 0x80 && !memcmp(buf + 8, "RING3   CD-ROM", 14));
    CHECK_EQ(ASK(r, buf, 0x12, [4] = 5), 5); /* cut to the room there is */
    CHECK_EQ(ASK(r, buf, 0x25), 8);
    CHECK(be32(buf) == SECTORS - 1 && be32(buf + 4) == CD_SECTOR);
    CHECK_EQ(ASK(r, buf, 0x43, [8] = 100), 20);
    CHECK(buf[1] == 18 && buf[6] == 1 && buf[14] == 0xaa && be32(buf + 16) == SECTORS);
    CHECK_EQ(ASK(r, buf, 0x43, 2, [6] = 0xaa, [8] = 100), 12);
    CHECK(buf[9] == 0 && buf[10] == 3 && buf[11] == (SECTORS + 150) % 75);
    CHECK_EQ(ASK(r, buf, 0x43, 0, 1, [8] = 100), 12);
    CHECK_EQ(ASK(r, buf, 0x43, 0, 2, [8] = 100), 4 + 4 * 11);
    CHECK_EQ(ASK(r, buf, 0x5a, [2] = 0x2a, [8] = 200), 8 + 20);
    CHECK(be16(buf) == 26 && buf[2] == 1 && buf[8] == 0x2a);
    CHECK_EQ(ASK(r, buf, 0x1a, [2] = 0x3f, [4] = 200), 4 + 8 + 16 + 20);
    CHECK_EQ(ASK(r, buf, 0x46, [8] = 200), 8 + 12 + 12 + 8 + 12 + 8);
    CHECK(be32(buf) == 56 && be16(buf + 6) == 8);
    CHECK_EQ(ASK(r, buf, 0x46, 2, [3] = 3, [8] = 200), 16); /* one feature */
    CHECK_EQ(ASK(r, buf, 0x51, [8] = 200), 34);
    CHECK_EQ(ASK(r, buf, 0x42, 0, 0x40, 1, [8] = 200), 16);
    CHECK_EQ(ASK(r, buf, 0xbd, [9] = 200), 8);
    disk_close(d);
}

TEST(atapi, raw_sectors)
{
    struct disk *d = small_cd();
    struct rig *r = ata_rig(d, NULL);
    static u8 buf[4 * CD_RAW];

    CHECK_EQ(ASK(r, buf, 0xbe, [5] = 20, [8] = 3, [9] = 0xf8), 3 * CD_RAW);
    CHECK(buf[CD_RAW] == 0 && buf[CD_RAW + 1] == 0xff && buf[CD_RAW + 15] == 1);
    CHECK(buf[CD_RAW + 13] == 2 && buf[CD_RAW + 14] == 0x21); /* 171 frames: 2 s 21, in BCD */
    CHECK(cd_sector_is(buf + CD_RAW + 16, 21));
    CHECK_EQ(ASK(r, buf, 0xbe, [5] = 20, [8] = 2, [9] = 0x10), 2 * CD_SECTOR);
    CHECK_EQ(ASK(r, buf, 0xbe, [5] = 20, [8] = 2, [9] = 0), 0);
    CHECK_EQ(ASK(r, buf, 0xb9, [4] = 2, [5] = 20, [7] = 2, [8] = 21, [9] = 0x10), CD_SECTOR);
    CHECK(cd_sector_is(buf, 20));
    disk_close(d);
}

TEST(atapi, medium_changes)
{
    struct disk *d = small_cd();
    struct rig *r = ata_rig(d, NULL);
    const u8 ready[12] = { 0 };
    u8 buf[64];

    CHECK_EQ(packet(r, ready, 0, 0), READY);
    CHECK(!disk_change(d, NULL, NULL, false));
    CHECK_EQ(packet(r, ready, 0, 0), READY | SR_ERR);
    CHECK_EQ(sense(r), NOT_READY << 16 | ASC_NO_MEDIUM);
    CHECK_EQ(ASK(r, buf, 0x4a, 1, [4] = 0x10, [8] = 8), 8);
    CHECK(buf[4] == 3 && buf[5] == 0);
    CHECK(!disk_change(d, image_file(50 * CD_SECTOR), NULL, false));
    CHECK_EQ(packet(r, ready, 0, 0), READY | SR_ERR);
    CHECK_EQ(sense(r), UNIT_ATTENTION << 16 | ASC_MEDIUM_CHANGED);
    CHECK_EQ(packet(r, ready, 0, 0), READY);
    CHECK_EQ(ASK(r, buf, 0x25), 8);
    CHECK_EQ(be32(buf), 49);
    disk_close(d);
}

TEST(atapi, tray_and_lock)
{
    struct disk *d = small_cd();
    struct rig *r = ata_rig(d, NULL);
    const u8 ready[12] = { 0 }, eject[12] = { 0x1b, [4] = 2 }, load[12] = { 0x1b, [4] = 3 };

    CHECK_EQ(packet(r, (const u8[12]){ 0x1e, [4] = 1 }, 0, 0), READY);
    CHECK(d->locked);
    CHECK_EQ(packet(r, eject, 0, 0), READY | SR_ERR);
    CHECK_EQ(sense(r), ILLEGAL_REQUEST << 16 | ASC_REMOVAL_PREVENTED);
    CHECK_EQ(packet(r, (const u8[12]){ 0x1e, [4] = 0 }, 0, 0), READY);
    CHECK_EQ(packet(r, eject, 0, 0), READY);
    CHECK_EQ(packet(r, ready, 0, 0), READY | SR_ERR);
    CHECK_EQ(sense(r), NOT_READY << 16 | ASC_TRAY_OPEN);
    CHECK_EQ(packet(r, load, 0, 0), READY);
    CHECK_EQ(packet(r, ready, 0, 0), READY | SR_ERR); /* unit attention once */
    CHECK_EQ(packet(r, ready, 0, 0), READY);
    disk_close(d);
}

TEST(atapi, medium_taken_in_the_middle_of_a_read)
{
    struct disk *d = small_cd();
    struct rig *r = ata_rig(d, NULL);
    u8 buf[CD_SECTOR];

    CHECK_EQ(packet(r, (const u8[12]){ 0x28, [8] = 4 }, 2048, 0), READY | SR_DRQ);
    ata_take(r, buf, sizeof(buf));
    CHECK(!disk_change(d, NULL, NULL, true));
    CHECK_EQ(ata_wait(r), READY | SR_ERR);
    CHECK_EQ(sense(r), NOT_READY << 16 | ASC_NO_MEDIUM);
    disk_close(d);
}
