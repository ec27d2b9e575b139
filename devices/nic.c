/*
 * What network chips share: the wire to the back end, and Ethernet's checksum.
 */
#include "devices/nic.h"

#include <string.h>

const struct nic_config *nic_config(const struct device *dev)
{
    return dev->config;
}

static struct netdev *netdev_of(const struct device *dev)
{
    return nic_config(dev)->netdev;
}

void nic_attach(struct device *dev, bool (*can_receive)(struct device *dev),
                void (*receive)(struct device *dev, const u8 *frame, u32 size),
                void (*link_changed)(struct device *dev))
{
    struct netdev *n = netdev_of(dev);

    if (!n)
        return;
    check(!n->dev, "two cards on one cable's end");
    n->can_receive = can_receive;
    n->receive = receive;
    n->link_changed = link_changed;
    n->dev = dev;
}

void nic_send(const struct device *dev, const u8 *frame, u32 size)
{
    struct netdev *n = netdev_of(dev);

    if (n && n->link)
        n->send(n, frame, size);
}

void nic_accept_input(const struct device *dev)
{
    struct netdev *n = netdev_of(dev);

    if (n)
        n->accept_input(n);
}

bool nic_link(const struct device *dev)
{
    return netdev_of(dev) && netdev_of(dev)->link;
}

static u32 count_cards(struct machine *m)
{
    u32 n = 0;

    for (u32 i = 0; user_devices[i]; i++)
        if (user_devices[i]->category == NETWORK_DEVICE)
            n += device_count(m, user_devices[i]->class);
    return n;
}

/* An address of QEMU's: 52:54:00:12:34:56 and on. */
const char *nic_complete(struct machine *m, void *config)
{
    struct nic_config *c = config;

    if (!memcmp(c->mac, "\0\0\0\0\0", 6))
        memcpy(c->mac, (u8[6]){ 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 + count_cards(m) }, 6);
    return ether_multicast(c->mac) ? "mac= is a multicast address" : NULL;
}

bool ether_broadcast(const u8 *address)
{
    return !memcmp(address, "\xff\xff\xff\xff\xff\xff", 6);
}

/*
 * x^32 + x^26 + x^23 + … + 1, bits mirrored; eight bytes at a time. table[n][b] is what byte b
 * makes of the register when n zero bytes follow it.
 */
static u32 crc_table[8][256];

__attribute__((constructor)) static void make_crc_table(void)
{
    for (u32 b = 0; b < 256; b++) {
        u32 crc = b;

        for (u32 i = 0; i < 8; i++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
        crc_table[0][b] = crc;
    }
    for (u32 n = 1; n < 8; n++)
        for (u32 b = 0; b < 256; b++)
            crc_table[n][b] =
                crc_table[n - 1][b] >> 8 ^ crc_table[0][crc_table[n - 1][b] & 0xff];
}

static u32 crc_mirrored(const u8 *data, u32 size)
{
    u32 crc = ~0u, i = 0;
    u64 word;

    for (; i + 8 <= size; i += 8) {
        memcpy(&word, data + i, 8);
        word ^= crc;
        crc = 0;
        for (u32 n = 0; n < 8; n++)
            crc ^= crc_table[7 - n][word >> 8 * n & 0xff];
    }
    for (; i < size; i++)
        crc = crc >> 8 ^ crc_table[0][(crc ^ data[i]) & 0xff];
    return crc;
}

u32 ether_fcs(const u8 *data, u32 size)
{
    return ~crc_mirrored(data, size);
}

u32 ether_crc(const u8 *data, u32 size)
{
    u32 mirrored = crc_mirrored(data, size), crc = 0;

    for (u32 i = 0; i < 32; i++)
        crc |= (mirrored >> i & 1) << (31 - i);
    return crc;
}
