/*
 * The network as a card sees it: what a chip is wired to, and what a network back end
 * (runtime/network) makes. Frames are Ethernet's without preamble and CRC.
 *
 * Both ends are called on the machine's thread and never block. A frame a back end hands to a
 * chip has FRAME_MIN to FRAME_MAX bytes; what a chip sends may have any size, and is dropped
 * when it has a wrong one.
 */
#ifndef RING3_NIC_H
#define RING3_NIC_H

#include "devices/device.h"
#include "devices/pci.h"
#include "devices/user_device.h"

enum {
    ETHER_HEADER = 14, /* destination, source, type */
    FRAME_MIN = 60,
    FRAME_MAX = 1518,  /* with a VLAN tag */
};

struct netdev {
    /* The chip sends; the back end may drop. */
    void (*send)(struct netdev *n, const u8 *frame, u32 size);
    /* The chip has room again. */
    void (*accept_input)(struct netdev *n);
    /* the cable is plugged in: set by the back end's side, which then calls link_changed */
    bool link;

    /* The chip's end, set by nic_attach(). A frame that does not fit waits in the back end for
     * a while, then it is the chip's to lose; a chip that is switched off says yes and drops.
     */
    struct device *dev; /* NULL: none */
    bool (*can_receive)(struct device *dev);
    void (*receive)(struct device *dev, const u8 *frame, u32 size);
    void (*link_changed)(struct device *dev); /* NULL: the chip has no such register */
};

/* The config of a network card. */
struct nic_config {
    struct pci_slot slot;  /* PCI cards */
    u16 iobase;            /* ISA cards */
    u8 irq;
    u8 mac[6];             /* all 0: nic_complete() gives one */
    struct netdev *netdev; /* NULL: no cable */
    const char *bootindex; /* PCI: a number; NULL: not given */
    const char *romfile;   /* PCI: the image in slot.rom; NULL: the row's, if it is asked for */
};
/* Properties and complete() of a card's struct user_device. */
#define NIC_KEYS                                                                               \
    {"netdev", KEY_NETDEV, offsetof(struct nic_config, netdev), .help = "id of a -netdev"},    \
        {"mac", KEY_MAC, offsetof(struct nic_config, mac), .help = "its address"},             \
    {                                                                                          \
        "bootindex", KEY_TEXT, offsetof(struct nic_config, bootindex),                         \
            .help = "the lowest one is booted first"                                           \
    }
/* Of cards on PCI. */
#define NIC_PCI_KEYS                                                                           \
    { "romfile", KEY_TEXT, offsetof(struct nic_config, romfile),                               \
      .help = "its boot ROM's image; empty: none" }
const char *nic_complete(struct machine *m, void *config);

/* Connects the chip to its config's back end. */
void nic_attach(struct device *dev, bool (*can_receive)(struct device *dev),
                void (*receive)(struct device *dev, const u8 *frame, u32 size),
                void (*link_changed)(struct device *dev));
const struct nic_config *nic_config(const struct device *dev);
/* Without a back end: nothing, false. */
void nic_send(const struct device *dev, const u8 *frame, u32 size);
void nic_accept_input(const struct device *dev);
bool nic_link(const struct device *dev);

/* Ethernet's CRC-32 as a shift register holds it, first bit highest (IEEE 802.3, 3.2.8). */
u32 ether_crc(const u8 *data, u32 size);
/* Its complement as the four bytes that follow the frame on the wire, read little-endian. */
u32 ether_fcs(const u8 *data, u32 size);
static inline bool ether_multicast(const u8 *address)
{
    return address[0] & 1; /* broadcast too */
}
bool ether_broadcast(const u8 *address);

#endif
