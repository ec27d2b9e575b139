/*
 * The other end of a network card's cable, for tests: keeps what the card sends, gives it
 * frames.
 */
#ifndef RING3_TEST_NIC_RIG_H
#define RING3_TEST_NIC_RIG_H

#include "devices/nic.h"
#include "tests/devices/pci_rig.h"

struct nic_rig {
    struct netdev n;
    struct nic_config config;
    u8 frame[64][FRAME_MAX]; /* sent by the card, oldest first */
    u32 size[64], sent;      /* sent: counts on when the store is full */
    u32 asked;               /* accept_input() calls */
};
/* Fills it with an address of 52:54:00:12:34:56 and a cable that is plugged in. */
void nic_rig_init(struct nic_rig *w);
/* The card's slot on r's PCI bus; its BAR n answers at `base` from now on. */
enum { NIC_RIG_DEVFN = 3 << 3 };
void nic_rig_place(struct rig *r, u32 bar, u32 base);
u32 nic_rig_config_read(struct rig *r, u32 reg);
void nic_rig_config_write(struct rig *r, u32 reg, u32 val);
/* A frame to `to`, of that size, whose bytes count up from `seed`. */
void nic_rig_frame(u8 *frame, const u8 *to, u32 size, u8 seed);
/* Gives the card such a frame, if it says that it has room. */
bool nic_rig_give(struct nic_rig *w, const u8 *to, u32 size, u8 seed);

extern const u8 nic_rig_mac[6], nic_rig_broadcast[6], nic_rig_group[6], nic_rig_other[6];

#endif
