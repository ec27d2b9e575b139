/*
 * Checksums and segmentation for network chips: see nic_offload.h.
 */
#include "devices/nic_offload.h"

#include <string.h>

enum {
    TYPE_AT = 12, TYPE_IPV4 = 0x0800, TYPE_VLAN = 0x8100, VLAN_TAG = 4, IP_HEADER = 20,
    IP_LENGTH = 2, IP_ID = 4, IP_OFFSET = 6, IP_PROTOCOL = 9, IP_ADDRESSES = 12,
    IPV6_LENGTH = 4, IPV6_HEADER = 40, FRAGMENT = 0x3fff, /* more fragments, and the offset */
    PROTOCOL_TCP = 6, PROTOCOL_UDP = 17, TCP_HEADER = 20, TCP_SEQUENCE = 4, TCP_FLAGS = 13,
    TCP_FIN_PSH = 0x09, UDP_HEADER = 8, UDP_LENGTH = 4, UDP_SUM = 6,
};

/* ---- Sums ---- */

static u32 fold(u64 sum)
{
    sum = (sum >> 32) + (sum & 0xffffffff);
    sum = (sum >> 32) + (sum & 0xffffffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    return (u32)((sum >> 16) + (sum & 0xffff));
}

/* Words are added as the host has them, and the bytes swapped at the end (RFC 1071, 2B). */
u16 inet_sum(u16 sum, const u8 *data, u32 n)
{
    u64 total = 0;
    u32 i = 0, word;
    u16 half;

    for (; i + 4 <= n; i += 4) {
        memcpy(&word, data + i, 4);
        total += word;
    }
    if (i + 2 <= n) {
        memcpy(&half, data + i, 2);
        total += half;
        i += 2;
    }
    if (i < n)
        total += data[i];
    half = (u16)fold(total);
    return (u16)fold((u64)sum + (u16)(half << 8 | half >> 8));
}

static void insert_sum(u8 *frame, u32 size, const struct nic_checksum *c)
{
    u32 end = c->end && c->end < size ? c->end + 1u : size;

    if (!c->on || c->start >= end || c->at + 2u > size)
        return;
    put_be16(frame + c->at, (u16)~inet_sum(0, frame + c->start, end - c->start));
}

/* ---- Segmentation ---- */

static void add16(u8 *frame, u32 size, u32 at, u32 n)
{
    if (at + 2 <= size)
        put_be16(frame + at, fold((u64)get_be16(frame + at) + n));
}

/* The frame's headers, which are the packet's: what differs from frame to frame. `offset` of
 * its payload in the packet's. */
static void adjust_headers(u8 *frame, u32 size, const struct nic_offload *o, u32 number,
                           u32 offset, bool last)
{
    u8 *ip = frame + o->ip.start, *l4 = frame + o->l4.start;
    u32 sequence;

    if (o->ip.start + (o->ipv4 ? IP_HEADER : IPV6_HEADER) <= o->header && o->ipv4) {
        put_be16(ip + IP_LENGTH, size - o->ip.start);
        put_be16(ip + IP_ID, get_be16(ip + IP_ID) + number);
    } else if (o->ip.start + IPV6_HEADER <= o->header) {
        put_be16(ip + IPV6_LENGTH, size - o->ip.start - IPV6_HEADER);
    }
    if (o->tcp && o->l4.start + TCP_HEADER <= o->header) {
        sequence = (u32)get_be16(l4 + TCP_SEQUENCE) << 16 | get_be16(l4 + TCP_SEQUENCE + 2);
        sequence += offset;
        put_be16(l4 + TCP_SEQUENCE, sequence >> 16);
        put_be16(l4 + TCP_SEQUENCE + 2, sequence);
        l4[TCP_FLAGS] &= last ? 0xff : (u8)~TCP_FIN_PSH;
    } else if (!o->tcp && o->l4.start + UDP_HEADER <= o->header) {
        put_be16(l4 + UDP_LENGTH, size - o->l4.start);
    }
    add16(frame, size, o->l4.at, size - o->l4.start);
}

static void send_one(struct device *dev, u8 *frame, u32 size, const struct nic_offload *o,
                     void (*send)(struct device *dev, const u8 *frame, u32 size))
{
    insert_sum(frame, size, &o->l4);
    insert_sum(frame, size, &o->ip);
    send(dev, frame, size);
}

void nic_offload_send(struct device *dev, u8 *packet, u32 size, const struct nic_offload *o,
                      void (*send)(struct device *dev, const u8 *frame, u32 size))
{
    u8 frame[FRAME_MAX];
    u32 number = 0, offset = 0;

    if (!o->mss) {
        if (size <= FRAME_MAX)
            send_one(dev, packet, size, o, send);
        return;
    }
    if (o->header + o->mss > FRAME_MAX || size <= o->header || o->l4.start > o->header ||
        o->ip.start > o->header)
        return;
    for (; offset < size - o->header; number++) {
        u32 left = size - o->header - offset, part = left < o->mss ? left : o->mss;

        memcpy(frame, packet, o->header);
        memcpy(frame + o->header, packet + o->header + offset, part);
        adjust_headers(frame, o->header + part, o, number, offset, part == left);
        send_one(dev, frame, o->header + part, o, send);
        offset += part;
    }
}

/* ---- Received frames ---- */

void nic_parse(struct nic_headers *h, const u8 *frame, u32 size)
{
    u32 at = TYPE_AT, length, header;

    *h = (struct nic_headers){ 0 };
    if (size >= at + 2 + VLAN_TAG && get_be16(frame + at) == TYPE_VLAN)
        at += VLAN_TAG;
    if (size < at + 2 + IP_HEADER || get_be16(frame + at) != TYPE_IPV4)
        return;
    h->ip = (u16)(at + 2);
    header = (frame[h->ip] & 15) * 4;
    length = get_be16(frame + h->ip + IP_LENGTH);
    if (frame[h->ip] >> 4 != 4 || header < IP_HEADER || length < header ||
        h->ip + length > size)
        return;
    h->ipv4 = true;
    h->fragment = get_be16(frame + h->ip + IP_OFFSET) & FRAGMENT;
    h->protocol = frame[h->ip + IP_PROTOCOL];
    h->l4 = (u16)(h->ip + header);
    h->l4_size = (u16)(length - header);
}

bool nic_ip_sum_good(const struct nic_headers *h, const u8 *frame)
{
    return inet_sum(0, frame + h->ip, h->l4 - h->ip) == 0xffff;
}

u16 nic_pseudo_sum(const struct nic_headers *h, const u8 *frame, u16 l4_size)
{
    return inet_sum((u16)fold((u64)h->protocol + l4_size), frame + h->ip + IP_ADDRESSES, 8);
}

bool nic_l4_has_sum(const struct nic_headers *h, const u8 *frame)
{
    if (!h->ipv4 || h->fragment)
        return false;
    if (h->protocol == PROTOCOL_TCP)
        return h->l4_size >= TCP_HEADER;
    return h->protocol == PROTOCOL_UDP && h->l4_size >= UDP_HEADER &&
           get_be16(frame + h->l4 + UDP_SUM);
}

bool nic_l4_sum_good(const struct nic_headers *h, const u8 *frame)
{
    return inet_sum(nic_pseudo_sum(h, frame, h->l4_size), frame + h->l4, h->l4_size) == 0xffff;
}
