/*
 * Packets of GDB's remote serial protocol:
 *
 *   $ content # sum        } and the next byte, xor 20h, stand for # $ } *
 *   + -                    taken; damaged, again please
 *   03                     Ctrl+C, between packets
 */
#include "runtime/control/gdb_packet.h"

#include <string.h>

enum state { BETWEEN, CONTENT, SUM_HIGH, SUM_LOW };

static int digit(u8 c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void begin(struct gdb_reader *r)
{
    r->state = CONTENT;
    r->n = r->sum = 0;
    r->escaped = r->too_long = false;
}

static enum gdb_event between(struct gdb_reader *r, u8 byte)
{
    switch (byte) {
    case '$':
        begin(r);
        return GDB_NOTHING;
    case 3:
        return GDB_INTERRUPT;
    case '-':
        return GDB_AGAIN;
    default:
        return GDB_NOTHING;
    }
}

static void content(struct gdb_reader *r, u8 byte)
{
    r->sum += byte;
    if (!r->escaped && byte == '}') {
        r->escaped = true;
        return;
    }
    if (r->n == GDB_PACKET) {
        r->too_long = true;
        return;
    }
    r->data[r->n++] = r->escaped ? byte ^ 0x20 : byte;
    r->escaped = false;
}

static enum gdb_event end(struct gdb_reader *r, u8 byte)
{
    int low = digit(byte);

    r->state = BETWEEN;
    r->data[r->n] = '\0';
    return low >= 0 && (r->want | low) == r->sum && !r->too_long ? GDB_COMMAND : GDB_DAMAGED;
}

enum gdb_event gdb_packet_byte(struct gdb_reader *r, u8 byte)
{
    switch (r->state) {
    case BETWEEN:
        return between(r, byte);
    case CONTENT:
        if (byte == '$') { /* the packet before was cut off */
            begin(r);
        } else if (byte == '#') {
            r->state = SUM_HIGH;
        } else {
            content(r, byte);
        }
        return GDB_NOTHING;
    case SUM_HIGH:
        if (digit(byte) < 0) {
            r->state = BETWEEN;
            return GDB_DAMAGED;
        }
        r->want = (u8)(digit(byte) << 4);
        r->state = SUM_LOW;
        return GDB_NOTHING;
    default:
        return end(r, byte);
    }
}

u32 gdb_packet_frame(char *to, const void *data, u32 n)
{
    static const char digits[] = "0123456789abcdef";
    const u8 *from = data;
    u32 at = 0;
    u8 sum = 0;

    to[at++] = '$';
    for (u32 i = 0; i < n; i++) {
        bool special = from[i] == '#' || from[i] == '$' || from[i] == '}' || from[i] == '*';

        if (special)
            to[at++] = '}';
        to[at++] = (char)(special ? from[i] ^ 0x20 : from[i]);
    }
    for (u32 i = 1; i < at; i++)
        sum += (u8)to[i];
    to[at++] = '#';
    to[at++] = digits[sum >> 4];
    to[at++] = digits[sum & 15];
    return at;
}

bool gdb_take_number(const char **text, u64 *val)
{
    const char *p = *text;

    for (*val = 0; digit((u8)*p) >= 0; p++)
        *val = *val << 4 | (u64)digit((u8)*p);
    if (p == *text || p - *text > 16)
        return false;
    *text = p;
    return true;
}

void gdb_hex(char *to, const void *from, u32 n)
{
    static const char digits[] = "0123456789abcdef";
    const u8 *p = from;

    for (u32 i = 0; i < n; i++) {
        *to++ = digits[p[i] >> 4];
        *to++ = digits[p[i] & 15];
    }
    *to = '\0';
}

bool gdb_unhex(void *to, const char *from, u32 n)
{
    u8 *p = to;

    for (u32 i = 0; i < n; i++, from += 2) {
        int high = digit((u8)from[0]), low = high < 0 ? -1 : digit((u8)from[1]);

        if (low < 0)
            return false;
        p[i] = (u8)(high << 4 | low);
    }
    return true;
}
