/*
 * ATA disks: selection, signatures, PIO, multiple sectors, LBA48, CHS, DMA, errors, interrupts.
 */
#include <string.h>
#include <unistd.h>

#include "runtime/machine/clock.h"
#include "tests/devices/ata_rig.h"

static struct disk *small_disk(void)
{
    return image_open(image_file(MIB(2)), DISK_HARD, true);
}

static bool is_sector(const void *buf, u64 sector)
{
    const u32 *words = buf;

    for (u32 i = 0; i < 128; i++)
        if (words[i] != image_word(sector, i))
            return false;
    return true;
}

TEST(ata, empty_cable_reads_as_nothing)
{
    struct rig *r = ata_rig(NULL, NULL);

    for (u16 p = P_ERROR; p <= P_STATUS; p++)
        CHECK_EQ(rig_in8(r, p), 0);
    rig_out8(r, P_STATUS, 0xec);
    rig_advance(r, MSEC(1));
    CHECK_EQ(rig_in8(r, P_STATUS), 0);
    CHECK_EQ(rig_irq_rises(r, 14), 0);
}

TEST(ata, missing_slave_is_silent)
{
    struct disk *d = small_disk();
    struct rig *r = ata_rig(d, NULL);

    rig_out8(r, P_DEVICE, 0xb0);
    CHECK_EQ(rig_in8(r, P_STATUS), 0);
    rig_out8(r, P_COUNT, 0x55);
    CHECK_EQ(rig_in8(r, P_COUNT), 0);
    rig_out8(r, P_STATUS, 0xec);
    rig_advance(r, MSEC(1));
    CHECK_EQ(rig_irq_rises(r, 14), 0);
    rig_out8(r, P_DEVICE, 0xa0);
    CHECK_EQ(rig_in8(r, P_STATUS), READY);
    disk_close(d);
}

TEST(ata, soft_reset_leaves_the_signature)
{
    struct disk *d = small_disk(), *e = small_disk();
    struct rig *r = ata_rig(d, e);

    rig_out8(r, P_DEVICE, 0xb0);
    rig_out8(r, P_CONTROL, CTL_SRST);
    CHECK_EQ(rig_in8(r, P_STATUS), SR_BSY);
    rig_out8(r, P_CONTROL, 0);
    CHECK_EQ(ata_wait(r), READY);
    CHECK_EQ(rig_in8(r, P_DEVICE) & DEV_UNIT, 0); /* the master is selected */
    CHECK_EQ(rig_in8(r, P_ERROR), 1);
    CHECK_EQ(rig_in8(r, P_COUNT), 1);
    CHECK_EQ(rig_in8(r, P_LOW), 1);
    CHECK_EQ(rig_in8(r, P_MID), 0);
    CHECK_EQ(rig_in8(r, P_HIGH), 0);
    CHECK_EQ(rig_irq_rises(r, 14), 0);
    disk_close(d);
    disk_close(e);
}

/* Of a text in IDENTIFY DEVICE: the first character of a pair is in the high byte. */
static void check_text(const u16 *words, u32 n, const char *want)
{
    for (u32 i = 0; i < 2 * n; i++)
        CHECK_EQ(words[i / 2] >> (i % 2 ? 0 : 8) & 0xff, i < strlen(want) ? (u8)want[i] : ' ');
}

TEST(ata, identify_says_what_the_user_wants)
{
    struct disk *d = small_disk();
    struct rig *r = ata_rig(d, NULL);
    u16 id[256];

    d->serial = "WD-12345";
    d->model = "A DISK, AND A NAME OF MORE THAN FORTY CHARACTERS";
    d->version = "7.2";
    ata_issue(r, 0xec, 0, 0, 0xa0);
    ata_wait(r);
    ata_take(r, id, sizeof(id));
    check_text(id + 10, 10, "WD-12345");
    check_text(id + 23, 4, "7.2");
    check_text(id + 27, 20, "A DISK, AND A NAME OF MORE THAN FORTY CHARACTERS");
    disk_close(d);
}

TEST(ata, identify)
{
    struct disk *d = small_disk();
    struct rig *r = ata_rig(d, NULL);
    u8 sum = 0, bytes[512];
    u16 id[256];

    ata_issue(r, 0xec, 0, 0, 0xa0);
    CHECK_EQ(rig_in8(r, P_CONTROL) & SR_BSY, SR_BSY); /* not yet: drivers expect some time */
    CHECK_EQ(rig_irq_rises(r, 14), 0);
    CHECK_EQ(ata_wait(r), READY | SR_DRQ);
    CHECK(rig_irq(r, 14));
    CHECK_EQ(rig_in8(r, P_STATUS), READY | SR_DRQ);
    CHECK(!rig_irq(r, 14)); /* reading the status acknowledges */
    ata_take(r, id, sizeof(id));
    CHECK_EQ(rig_in8(r, P_STATUS), READY);
    CHECK_EQ(id[27], 'R' << 8 | 'I');
    CHECK_EQ(id[60] | id[61] << 16, 4096);
    CHECK_EQ(id[100], 4096);
    CHECK_EQ(id[1] * id[3] * id[6], 4 * 16 * 63);
    CHECK(id[49] & 0x300); /* LBA and DMA */
    memcpy(bytes, id, 512);
    for (u32 i = 0; i < 512; i++)
        sum += bytes[i];
    CHECK_EQ(sum, 0);
    disk_close(d);
}

TEST(ata, pio_read_interrupts_once_a_sector)
{
    struct disk *d = small_disk();
    struct rig *r = ata_rig(d, NULL);
    u8 buf[512];

    ata_issue(r, 0x20, 3, 100, 0xe0);
    for (u32 s = 0; s < 3; s++) {
        CHECK_EQ(ata_wait(r), READY | SR_DRQ);
        CHECK_EQ(rig_irq_rises(r, 14), 1);
        CHECK_EQ(rig_in8(r, P_STATUS), READY | SR_DRQ);
        ata_take(r, buf, 512);
        CHECK(is_sector(buf, 100 + s));
    }
    CHECK_EQ(ata_wait(r), READY);
    CHECK_EQ(rig_irq_rises(r, 14), 0);
    CHECK_EQ(rig_in8(r, P_LOW), 102);
    CHECK_EQ(rig_in8(r, P_COUNT), 0);
    CHECK_EQ(rig_in16(r, P_DATA), 0); /* nothing more */
    disk_close(d);
}

/* Without time that passes. */
TEST(ata, who_polls_need_not_wait)
{
    struct disk *d = small_disk();
    struct rig *r = ata_rig(d, NULL);
    u8 sector[512];

    rig_out8(r, P_CONTROL, CTL_NIEN);
    ata_issue(r, 0x20, 2, 5, 0xe0);
    for (u32 i = 0; i < 2; i++) {
        CHECK_EQ(rig_in8(r, P_STATUS), READY | SR_DRQ);
        ata_take(r, sector, sizeof(sector));
        CHECK(is_sector(sector, 5 + i));
    }
    CHECK_EQ(rig_in8(r, P_STATUS), READY);
    CHECK_EQ(rig_irq_rises(r, 14), 0);

    rig_out8(r, P_CONTROL, 0); /* with interrupts: two looks do no harm, the third */
    ata_issue(r, 0x20, 1, 7, 0xe0);
    CHECK_EQ(rig_in8(r, P_STATUS) & SR_BSY, SR_BSY);
    CHECK_EQ(rig_in8(r, P_STATUS) & SR_BSY, SR_BSY);
    CHECK_EQ(rig_irq_rises(r, 14), 0);
    CHECK_EQ(rig_in8(r, P_STATUS) & SR_BSY, SR_BSY);
    CHECK(rig_irq(r, 14)); /* is followed by it */
    CHECK_EQ(rig_in8(r, P_STATUS), READY | SR_DRQ);
    CHECK(!rig_irq(r, 14));
    ata_take(r, sector, sizeof(sector));
    CHECK(is_sector(sector, 7));
    disk_close(d);
}

TEST(ata, who_halts_need_not_wait)
{
    struct disk *d = small_disk();
    struct rig *r = ata_rig(d, NULL);
    u64 before = clock_now(r->m);

    CHECK(!timers_hurry(r->m));
    ata_issue(r, 0x20, 1, 7, 0xe0);
    CHECK(!rig_irq(r, 14));
    CHECK(timers_hurry(r->m));
    CHECK(rig_irq(r, 14));
    CHECK(!timers_hurry(r->m));
    CHECK_EQ(clock_now(r->m), before);
    disk_close(d);
}

TEST(ata, data_port_takes_32_bits)
{
    struct disk *d = small_disk();
    struct rig *r = ata_rig(d, NULL);

    ata_issue(r, 0x20, 1, 7, 0xe0);
    ata_wait(r);
    for (u32 i = 0; i < 128; i++)
        CHECK_EQ(rig_in32(r, P_DATA), image_word(7, i));
    CHECK_EQ(ata_wait(r), READY);
    disk_close(d);
}

TEST(ata, pio_write_interrupts_after_each_sector)
{
    struct disk *d = small_disk();
    struct rig *r = ata_rig(d, NULL);
    u8 buf[512], back[512];

    ata_issue(r, 0x30, 2, 50, 0xe0);
    CHECK_EQ(ata_wait(r), READY | SR_DRQ); /* the first block is asked for without interrupt */
    CHECK_EQ(rig_irq_rises(r, 14), 0);
    for (u32 s = 0; s < 2; s++) {
        memset(buf, 0x40 + (int)s, sizeof(buf));
        ata_give(r, buf, 512);
        CHECK_EQ(ata_wait(r), s ? READY : READY | SR_DRQ);
        CHECK_EQ(rig_irq_rises(r, 14), 1);
        rig_in8(r, P_STATUS);
    }
    CHECK(disk_read(d, 51 * 512, back, 512));
    CHECK(!memcmp(buf, back, 512));
    CHECK(disk_read(d, 52 * 512, back, 512));
    CHECK(is_sector(back, 52));
    disk_close(d);
}

TEST(ata, multiple_moves_blocks)
{
    struct disk *d = small_disk();
    struct rig *r = ata_rig(d, NULL);
    u8 buf[8 * 512];

    ata_issue(r, 0xc6, 8, 0, 0xe0);
    CHECK_EQ(ata_wait(r), READY);
    ata_issue(r, 0xc4, 20, 30, 0xe0);
    rig_irq_rises(r, 14);
    for (u32 at = 0; at < 20; at += 8) {
        u32 n = at + 8 <= 20 ? 8 : 4;

        CHECK_EQ(ata_wait(r), READY | SR_DRQ);
        CHECK_EQ(rig_irq_rises(r, 14), 1);
        rig_in8(r, P_STATUS);
        ata_take(r, buf, n * 512);
        CHECK(is_sector(buf, 30 + at) && is_sector(buf + (n - 1) * 512, 30 + at + n - 1));
    }
    CHECK_EQ(ata_wait(r), READY);
    ata_issue(r, 0xc6, 3, 0, 0xe0); /* no power of two */
    CHECK_EQ(ata_wait(r), READY | SR_ERR);
    ata_issue(r, 0xc6, 0, 0, 0xe0); /* off: the commands are refused */
    CHECK_EQ(ata_wait(r), READY);
    ata_issue(r, 0xc4, 1, 0, 0xe0);
    CHECK_EQ(ata_wait(r), READY | SR_ERR);
    CHECK_EQ(rig_in8(r, P_ERROR), ER_ABRT);
    disk_close(d);
}

TEST(ata, chs_follows_the_translation_set)
{
    struct disk *d = small_disk();
    struct rig *r = ata_rig(d, NULL);
    u8 buf[512];

    ata_issue(r, 0x91, 17, 0, 0xa3); /* 4 heads, 17 sectors */
    CHECK_EQ(ata_wait(r), READY);
    rig_out8(r, P_DEVICE, 0xa2);
    rig_out8(r, P_COUNT, 1);
    rig_out8(r, P_LOW, 5);
    rig_out8(r, P_MID, 3);
    rig_out8(r, P_HIGH, 0);
    rig_out8(r, P_STATUS, 0x20);
    CHECK_EQ(ata_wait(r), READY | SR_DRQ);
    ata_take(r, buf, 512);
    CHECK(is_sector(buf, (3 * 4 + 2) * 17 + 4));
    CHECK_EQ(rig_in8(r, P_LOW), 5);
    CHECK_EQ(rig_in8(r, P_MID), 3);
    CHECK_EQ(rig_in8(r, P_DEVICE) & 15, 2);
    rig_out8(r, P_LOW, 0); /* there is no sector 0 */
    rig_out8(r, P_COUNT, 1);
    rig_out8(r, P_STATUS, 0x20);
    CHECK_EQ(ata_wait(r), READY | SR_ERR);
    CHECK_EQ(rig_in8(r, P_ERROR), ER_IDNF);
    disk_close(d);
}

static void issue_ext(struct rig *r, u8 command, u16 count, u64 lba)
{
    for (int hob = 1; hob >= 0; hob--) {
        rig_out8(r, P_COUNT, (u8)(count >> 8 * hob));
        rig_out8(r, P_LOW, (u8)(lba >> (hob ? 24 : 0)));
        rig_out8(r, P_MID, (u8)(lba >> (hob ? 32 : 8)));
        rig_out8(r, P_HIGH, (u8)(lba >> (hob ? 40 : 16)));
    }
    rig_out8(r, P_DEVICE, 0xe0);
    rig_out8(r, P_STATUS, command);
}

TEST(ata, lba48)
{
    struct disk *d = small_disk();
    struct rig *r = ata_rig(d, NULL);
    u8 buf[512];

    issue_ext(r, 0x24, 1, 4095);
    CHECK_EQ(ata_wait(r), READY | SR_DRQ);
    ata_take(r, buf, 512);
    CHECK(is_sector(buf, 4095));
    issue_ext(r, 0x24, 1, 0x100000000ull); /* the high bytes count */
    CHECK_EQ(ata_wait(r), READY | SR_ERR);
    CHECK_EQ(rig_in8(r, P_ERROR), ER_IDNF);
    issue_ext(r, 0x27, 0, 0);
    CHECK_EQ(ata_wait(r), READY);
    CHECK_EQ(rig_in8(r, P_LOW) | rig_in8(r, P_MID) << 8, 4095);
    issue_ext(r, 0x42, 0x0102, 0x010203040506ull & 0xfff);
    rig_out8(r, P_CONTROL, CTL_HOB); /* the bytes written before */
    CHECK_EQ(rig_in8(r, P_COUNT), 0x01);
    rig_out8(r, P_CONTROL, 0);
    CHECK_EQ(rig_in8(r, P_COUNT), 0x02);
    ata_wait(r);
    disk_close(d);
}

TEST(ata, errors)
{
    struct disk *d = small_disk();
    struct rig *r = ata_rig(d, NULL);

    ata_issue(r, 0x20, 2, 4095, 0xe0); /* one beyond the end */
    CHECK_EQ(ata_wait(r), READY | SR_ERR);
    CHECK_EQ(rig_in8(r, P_ERROR), ER_IDNF);
    CHECK_EQ(rig_irq_rises(r, 14), 1);
    ata_issue(r, 0xb0, 0, 0xc24f00, 0xe0); /* SMART */
    CHECK_EQ(ata_wait(r), READY | SR_ERR);
    CHECK_EQ(rig_in8(r, P_ERROR), ER_ABRT);
    ata_issue(r, 0xa0, 0, 0, 0xe0); /* PACKET to a disk */
    CHECK_EQ(ata_wait(r), READY | SR_ERR);
    ata_issue(r, 0x00, 0, 0, 0xe0);
    CHECK_EQ(ata_wait(r), READY | SR_ERR);
    ata_issue(r, 0xe5, 0, 0, 0xe0);
    CHECK_EQ(ata_wait(r), READY);
    CHECK_EQ(rig_in8(r, P_COUNT), 0xff);
    disk_close(d);
}

TEST(ata, host_errors_are_medium_errors)
{
    const char *path = image_file(MIB(2));
    struct disk *d = image_open(path, DISK_HARD, false);
    struct rig *r = ata_rig(d, NULL);
    u8 buf[512];

    CHECK(!truncate(path, 101 * 512));
    ata_issue(r, 0x20, 4, 100, 0xe0);
    CHECK_EQ(ata_wait(r), READY | SR_DRQ);
    ata_take(r, buf, 512);
    CHECK(is_sector(buf, 100));
    CHECK_EQ(ata_wait(r), READY | SR_ERR);
    CHECK_EQ(rig_in8(r, P_ERROR), ER_UNC);
    CHECK_EQ(rig_in8(r, P_LOW), 101); /* the sector that failed */
    disk_close(d);
}

TEST(ata, nien_holds_the_interrupt_back)
{
    struct disk *d = small_disk();
    struct rig *r = ata_rig(d, NULL);

    rig_out8(r, P_CONTROL, CTL_NIEN);
    ata_issue(r, 0xe7, 0, 0, 0xe0);
    CHECK_EQ(ata_wait(r), READY);
    CHECK(!rig_irq(r, 14));
    rig_out8(r, P_CONTROL, 0); /* still pending */
    CHECK(rig_irq(r, 14));
    rig_in8(r, P_STATUS);
    CHECK(!rig_irq(r, 14));
    disk_close(d);
}

TEST(ata, interrupt_belongs_to_the_selected_drive)
{
    struct disk *d = small_disk(), *e = small_disk();
    struct rig *r = ata_rig(d, e);

    ata_issue(r, 0xe7, 0, 0, 0xf0); /* to the slave */
    rig_out8(r, P_DEVICE, 0xe0);
    rig_advance(r, MSEC(1));
    CHECK(!rig_irq(r, 14));
    rig_out8(r, P_DEVICE, 0xf0);
    CHECK(rig_irq(r, 14));
    disk_close(d);
    disk_close(e);
}

TEST(ata, diagnostic_speaks_for_both)
{
    struct disk *d = small_disk(), *e = small_disk();
    struct rig *r = ata_rig(d, e);

    ata_issue(r, 0x90, 0x33, 0x123456, 0xb0);
    CHECK_EQ(ata_wait(r), READY);
    CHECK_EQ(rig_in8(r, P_ERROR), 1);
    CHECK_EQ(rig_in8(r, P_COUNT), 1);
    CHECK_EQ(rig_in8(r, P_DEVICE) & DEV_UNIT, 0);
    CHECK(rig_irq(r, 14));
    disk_close(d);
    disk_close(e);
}

/* ---- DMA ---- */

enum { TABLE = 0x1000, MEMORY = 0x100000 };

static void prd(struct rig *r, u32 n, u32 address, u32 size, bool last)
{
    u32 row[2] = { address, size | (last ? 1u << 31 : 0) };

    phys_write(r->m, TABLE + 8 * n, row, sizeof(row));
}

static void bm_start(struct rig *r, u8 direction)
{
    ata_busmaster_write(r->dev, 4, IO_32, TABLE);
    ata_busmaster_write(r->dev, 0, IO_8, direction);
    ata_busmaster_write(r->dev, 2, IO_8, BM_INT | BM_ERROR);
    ata_busmaster_write(r->dev, 0, IO_8, direction | BM_START);
}

TEST(ata, dma_read_through_scattered_memory)
{
    struct disk *d = small_disk();
    struct rig *r = ata_rig(d, NULL);
    u8 buf[512];

    prd(r, 0, MEMORY, 512 * 3, false);
    prd(r, 1, MEMORY + 0x10000, 512 * 127, false);
    prd(r, 2, MEMORY + 0x20000, 512 * 125, false);
    prd(r, 3, MEMORY + 0x40000, 512, true);
    ata_issue(r, 0xc8, 0, 1000, 0xe0); /* 256 sectors */
    bm_start(r, BM_TO_MEMORY);
    CHECK_EQ(ata_busmaster_read(r->dev, 2, IO_8), BM_ACTIVE);
    CHECK_EQ(ata_wait(r), READY);
    CHECK_EQ(ata_busmaster_read(r->dev, 2, IO_8), BM_INT);
    CHECK_EQ(rig_irq_rises(r, 14), 1);
    phys_read(r->m, MEMORY + 1024, buf, 512);
    CHECK(is_sector(buf, 1002));
    phys_read(r->m, MEMORY + 0x10000, buf, 512);
    CHECK(is_sector(buf, 1003));
    phys_read(r->m, MEMORY + 0x40000, buf, 512);
    CHECK(is_sector(buf, 1255));
    disk_close(d);
}

/* What is memory comes straight from the image, what is none by the buffer; nothing is lost
 * between. */
TEST(ata, dma_read_over_what_is_no_memory)
{
    struct disk *d = small_disk();
    struct rig *r = ata_rig(d, NULL);
    u8 buf[2048], more[512];

    prd(r, 0, MEMORY + 0x1f00, 700, false);
    prd(r, 1, 0xe0000000, 512 + 324, false);
    prd(r, 2, MEMORY + 0x5ffe, 512 * 127, false);
    prd(r, 3, MEMORY + 0x5ffe + 512 * 127, 512 * 126, true);
    ata_issue(r, 0xc8, 0, 1000, 0xe0); /* 256 sectors */
    bm_start(r, BM_TO_MEMORY);
    CHECK_EQ(ata_wait(r), READY);
    CHECK_EQ(ata_busmaster_read(r->dev, 2, IO_8), BM_INT);
    phys_read(r->m, MEMORY + 0x1f00, buf, 700);
    CHECK(is_sector(buf, 1000));
    phys_read(r->m, MEMORY + 0x5ffe, buf, 512);
    CHECK(is_sector(buf, 1003));
    phys_read(r->m, MEMORY + 0x5ffe + 512 * 252, more, 512);
    CHECK(is_sector(more, 1255));
    disk_close(d);
}

TEST(ata, dma_write)
{
    struct disk *d = small_disk();
    struct rig *r = ata_rig(d, NULL);
    u8 buf[1024], back[1024];

    memset(buf, 0x99, sizeof(buf));
    phys_write(r->m, MEMORY, buf, sizeof(buf));
    prd(r, 0, MEMORY, 1024, true);
    bm_start(r, 0); /* started before the command: as good */
    ata_issue(r, 0xca, 2, 10, 0xe0);
    CHECK_EQ(ata_wait(r), READY);
    CHECK(disk_read(d, 10 * 512, back, 1024));
    CHECK(!memcmp(buf, back, 1024));
    ata_busmaster_write(r->dev, 0, IO_8, 0);
    ata_busmaster_write(r->dev, 2, IO_8, BM_INT);
    CHECK_EQ(ata_busmaster_read(r->dev, 2, IO_8), 0);
    disk_close(d);
}

TEST(ata, dma_table_longer_or_shorter_than_the_command)
{
    struct disk *d = small_disk();
    struct rig *r = ata_rig(d, NULL);

    prd(r, 0, MEMORY, 4096, true);
    ata_issue(r, 0xc8, 2, 0, 0xe0);
    bm_start(r, BM_TO_MEMORY);
    CHECK_EQ(ata_wait(r), READY);
    CHECK_EQ(ata_busmaster_read(r->dev, 2, IO_8), BM_ACTIVE | BM_INT); /* longer */
    rig_in8(r, P_STATUS);
    rig_irq_rises(r, 14);

    ata_busmaster_write(r->dev, 0, IO_8, 0);
    prd(r, 0, MEMORY, 512, true);
    ata_issue(r, 0xc8, 2, 0, 0xe0);
    bm_start(r, BM_TO_MEMORY);
    rig_advance(r, MSEC(10));
    CHECK_EQ(ata_busmaster_read(r->dev, 2, IO_8), 0); /* shorter: no end, no interrupt */
    CHECK_EQ(rig_irq_rises(r, 14), 0);
    CHECK(rig_in8(r, P_CONTROL) & SR_BSY);
    rig_out8(r, P_CONTROL, CTL_SRST);
    rig_out8(r, P_CONTROL, 0);
    CHECK_EQ(ata_wait(r), READY); /* a reset gets the drive back */
    disk_close(d);
}

/* A table that never ends, in memory that is not there, and addresses beyond RAM. */
TEST(ata, dma_hostile_tables)
{
    struct disk *d = small_disk();
    struct rig *r = ata_rig(d, NULL);

    ata_issue(r, 0xc8, 0, 0, 0xe0);
    ata_busmaster_write(r->dev, 4, IO_32, 0xfffffffc);
    ata_busmaster_write(r->dev, 0, IO_8, BM_START | BM_TO_MEMORY);
    ata_wait(r);
    ata_busmaster_write(r->dev, 0, IO_8, 0);
    for (u32 i = 0; i < 8192; i++)
        prd(r, i, 0xfffffff0 + i, 2, false);
    rig_out8(r, P_CONTROL, CTL_SRST);
    rig_out8(r, P_CONTROL, 0);
    ata_issue(r, 0xc8, 0, 0, 0xe0);
    bm_start(r, BM_TO_MEMORY);
    CHECK_EQ(ata_wait(r), READY);
    disk_close(d);
}

/* ---- Geometry ---- */

TEST(ata, geometry_comes_from_the_partition_table)
{
    u8 mbr[512] = { [510] = 0x55, [511] = 0xaa };
    u32 c, h, s;

    mbr[446 + 4] = 6;
    mbr[446 + 5] = 3;  /* ends on head 3, sector 17 */
    mbr[446 + 6] = 17;
    mbr[446 + 12] = 100;
    struct disk *d = image_open(image_file_with(MIB(20), 0, mbr, 512), DISK_HARD, false);
    ata_geometry(d, &c, &h, &s);
    CHECK_EQ(h, 4);
    CHECK_EQ(s, 17);
    CHECK_EQ(c, MIB(20) / 512 / 68);
    CHECK_EQ(ata_translation(d), ATA_TRANSLATE_NONE);
    disk_close(d);

    mbr[446 + 5] = 254; /* a BIOS with 255 heads */
    mbr[446 + 6] = 63;
    d = image_open(image_file_with(MIB(4000), 0, mbr, 512), DISK_HARD, false);
    ata_geometry(d, &c, &h, &s);
    CHECK_EQ(c, 8126);
    CHECK_EQ(h, 16);
    CHECK_EQ(s, 63);
    CHECK_EQ(ata_translation(d), ATA_TRANSLATE_LARGE);
    disk_close(d);

    struct drive_options o = { .present = true, .heads = 8, .sectors = 26 };
    const char *error;
    o.file = image_file(MIB(2));
    d = disk_open(&o, DISK_HARD, &error);
    ata_geometry(d, &c, &h, &s);
    CHECK_EQ(h, 8);
    CHECK_EQ(s, 26);
    disk_close(d);
    d = image_open(image_file(MIB(2)), DISK_HARD, false);
    ata_geometry(d, &c, &h, &s);
    CHECK_EQ(c, 4);
    CHECK_EQ(h, 16);
    disk_close(d);
}

/* ---- Strings: what INS and OUTS may move at once ---- */

TEST(ata, strings_do_what_single_accesses_do)
{
    struct disk *d = small_disk();
    struct rig *r = ata_rig(d, NULL);
    u8 buf[1024], back[512];

    CHECK(bus_has_strings(r->m, P_DATA, IO_16));
    CHECK(!bus_has_strings(r->m, 0x80, IO_8));
    CHECK_EQ(bus_in_string(r->m, P_DATA, IO_16, buf, 256), 0); /* no data to take */
    CHECK_EQ(bus_in_string(r->m, P_COUNT, IO_8, buf, 4), 0);
    ata_issue(r, 0x20, 2, 40, 0xe0);
    ata_wait(r);
    CHECK_EQ(bus_out_string(r->m, P_DATA, IO_16, buf, 256), 0); /* the wrong direction */
    CHECK_EQ(rig_in16(r, P_DATA), image_word(40, 0) & 0xffff);
    CHECK_EQ(bus_in_string(r->m, P_DATA, IO_32, buf, 10), 10);
    CHECK_EQ(bus_in_string(r->m, P_DATA, IO_16, buf, 512), 256 - 21); /* to the block's end */
    CHECK_EQ(ata_wait(r), READY | SR_DRQ);
    CHECK_EQ(bus_in_string(r->m, P_DATA, IO_16, buf, 512), 256);
    CHECK(is_sector(buf, 41));
    CHECK_EQ(ata_wait(r), READY);

    memset(buf, 0x3c, sizeof(buf));
    ata_issue(r, 0x30, 1, 90, 0xe0);
    ata_wait(r);
    CHECK_EQ(bus_out_string(r->m, P_DATA, IO_32, buf, 200), 128);
    CHECK_EQ(ata_wait(r), READY);
    CHECK(disk_read(d, 90 * 512, back, 512));
    CHECK(!memcmp(buf, back, 512));
    disk_close(d);
}

TEST(ata, flush_ends_when_the_host_has_it)
{
    struct disk *d = image_open(image_file(MIB(2)), DISK_HARD, false);
    struct rig *r = ata_rig(d, NULL);
    u8 buf[512] = { 7 };
    u32 looks = 0;

    for (u32 i = 0; i < 5; i++) {
        CHECK(disk_write(d, i * 512, buf, 512));
        ata_issue(r, i % 2 ? 0xea : 0xe7, 0, 0, 0xe0);
        CHECK_EQ(rig_irq_rises(r, 14), 0);
        for (; rig_in8(r, P_CONTROL) & SR_BSY && looks < 100000; looks++) {
            rig_advance(r, USEC(100));
            usleep(100); /* the host's time, not the machine's */
        }
        CHECK_EQ(rig_in8(r, P_STATUS), READY);
        CHECK_EQ(rig_irq_rises(r, 14), 1);
    }
    CHECK(looks > 0);
    /* Given up in the middle, and the drive closed while the host is at it. */
    ata_issue(r, 0xe7, 0, 0, 0xe0);
    rig_advance(r, USEC(20));
    rig_out8(r, P_CONTROL, CTL_SRST);
    rig_out8(r, P_CONTROL, 0);
    ata_issue(r, 0xe7, 0, 0, 0xe0);
    rig_advance(r, USEC(20));
    disk_close(d);
}

/* SET FEATURES 82h has to flush what is in the cache, and the guest goes on meanwhile. */
TEST(ata, cache_off_flushes_beside_the_guest)
{
    struct disk *d = image_open(image_file(MIB(2)), DISK_HARD, false);
    struct rig *r = ata_rig(d, NULL);
    u8 buf[512] = { 7 };
    u32 looks = 0;

    for (u32 i = 0; i < 5; i++) {
        CHECK(disk_write(d, i * 512, buf, 512));
        rig_out8(r, P_ERROR, 0x82);
        ata_issue(r, 0xef, 0, 0, 0xe0);
        rig_advance(r, USEC(20));
        for (; rig_in8(r, P_CONTROL) & SR_BSY && looks < 100000; looks++) {
            rig_advance(r, USEC(100));
            usleep(100);
        }
        CHECK_EQ(rig_in8(r, P_STATUS), READY);
        CHECK_EQ(rig_irq_rises(r, 14), 1);
    }
    CHECK(looks > 0);
    disk_close(d);
}
