/*
 * What network chips do with a frame on its way out: insert checksums, cut a long TCP segment
 * or UDP datagram into frames (RFC 1071; Intel 317453, 3.3 to 3.6; Realtek RTL8139C+, 6). And
 * the sum they make of one that comes in.
 *
 * Offsets come from the guest, and may point anywhere: what does not fit the frame is left
 * undone.
 */
#ifndef RING3_NIC_OFFLOAD_H
#define RING3_NIC_OFFLOAD_H

#include "devices/nic.h"

/* The longest packet a chip takes from memory, headers included, before it is cut into frames.
 */
enum { NIC_PACKET_MAX = 65536 + 256 };

/* A checksum to insert: over the frame's bytes `start` to `end` (0: to its last), stored at
 * `at`. What stands there counts: drivers put the sum of the pseudo header there. */
struct nic_checksum {
    bool on;
    u8 start, at; /* offsets in the frame, bytes */
    u16 end;
};
struct nic_offload {
    struct nic_checksum ip, l4;
    /* Segmentation: frames of `header` bytes, then at most `mss` of payload. mss 0: none. The
     * checksum at l4.at then gets each frame's length added; ip.start and l4.start say where
     * the headers are. */
    u16 mss;
    u8 header;
    bool ipv4, tcp; /* else IPv6; else UDP */
};

/* Calls send() for each frame; `packet` is overwritten. Frames longer than FRAME_MAX are
 * dropped, so at most 65536 calls. */
void nic_offload_send(struct device *dev, u8 *packet, u32 size, const struct nic_offload *o,
                      void (*send)(struct device *dev, const u8 *frame, u32 size));

/* The ones' complement sum of n bytes as big-endian words, folded to 16 bits, added to `sum`. A
 * good checksum makes it FFFF. */
u16 inet_sum(u16 sum, const u8 *data, u32 n);

/* What a received frame is, for checksums. */
struct nic_headers {
    bool ipv4;      /* with a whole header, and no longer than the frame says */
    bool fragment;  /* then there is no transport layer to look at */
    u8 protocol;    /* 6: TCP, 17: UDP */
    u16 ip, l4;     /* offsets of the headers */
    u16 l4_size;    /* bytes from l4 on, without padding */
};
void nic_parse(struct nic_headers *h, const u8 *frame, u32 size);
/* h->ipv4 holds: is the header's checksum good? */
bool nic_ip_sum_good(const struct nic_headers *h, const u8 *frame);
/* The sum of the pseudo header: addresses, protocol, l4_size. */
u16 nic_pseudo_sum(const struct nic_headers *h, const u8 *frame, u16 l4_size);
/* TCP, or UDP with a checksum: was there one to look at, and is it good? */
bool nic_l4_has_sum(const struct nic_headers *h, const u8 *frame);
bool nic_l4_sum_good(const struct nic_headers *h, const u8 *frame);

static inline u16 get_be16(const u8 *p)
{
    return (u16)(p[0] << 8 | p[1]);
}
static inline void put_be16(u8 *p, u32 val)
{
    p[0] = (u8)(val >> 8);
    p[1] = (u8)val;
}

#endif
