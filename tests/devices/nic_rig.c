/*
 * The other end of a network card's cable.
 */
#include "tests/devices/nic_rig.h"

#include <string.h>

const u8 nic_rig_mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
const u8 nic_rig_broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
const u8 nic_rig_group[6] = { 0x01, 0x00, 0x5e, 0x00, 0x00, 0x01 };
const u8 nic_rig_other[6] = { 0x52, 0x54, 0x00, 0xaa, 0xbb, 0xcc };

static void take(struct netdev *n, const u8 *frame, u32 size)
{
    struct nic_rig *w = container_of(n, struct nic_rig, n);

    if (w->sent < ARRAY_SIZE(w->size) && size <= FRAME_MAX) {
        memcpy(w->frame[w->sent], frame, size);
        w->size[w->sent] = size;
    }
    w->sent++;
}

static void asked(struct netdev *n)
{
    container_of(n, struct nic_rig, n)->asked++;
}

void nic_rig_init(struct nic_rig *w)
{
    memset(w, 0, sizeof(*w));
    w->n.send = take;
    w->n.accept_input = asked;
    w->n.link = true;
    w->config.netdev = &w->n;
    w->config.slot.devfn = NIC_RIG_DEVFN;
    w->config.iobase = 0x300;
    w->config.irq = 9;
    memcpy(w->config.mac, nic_rig_mac, 6);
}

u32 nic_rig_config_read(struct rig *r, u32 reg)
{
    rig_out32(r, 0xcf8, 0x80000000u | NIC_RIG_DEVFN << 8 | (reg & 0xfc));
    return rig_in32(r, 0xcfc);
}

void nic_rig_config_write(struct rig *r, u32 reg, u32 val)
{
    rig_out32(r, 0xcf8, 0x80000000u | NIC_RIG_DEVFN << 8 | (reg & 0xfc));
    rig_out32(r, 0xcfc, val);
}

void nic_rig_place(struct rig *r, u32 bar, u32 base)
{
    nic_rig_config_write(r, 0x10 + 4 * bar, base);
    nic_rig_config_write(r, 0x04, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

void nic_rig_frame(u8 *frame, const u8 *to, u32 size, u8 seed)
{
    for (u32 i = 0; i < size; i++)
        frame[i] = seed + i;
    memcpy(frame, to, 6);
    memcpy(frame + 6, nic_rig_other, 6);
}

bool nic_rig_give(struct nic_rig *w, const u8 *to, u32 size, u8 seed)
{
    u8 frame[FRAME_MAX];

    nic_rig_frame(frame, to, size, seed);
    if (!w->n.can_receive(w->n.dev))
        return false;
    w->n.receive(w->n.dev, frame, size);
    return true;
}
