/*
 * GDB's remote serial protocol: the frame of packets (gdb_packet.c). GDB's manual, appendix
 * "GDB Remote Serial Protocol", section "Overview".
 */
#ifndef RING3_GDB_PACKET_H
#define RING3_GDB_PACKET_H

#include "runtime/base/base.h"

enum { GDB_PACKET = 0x4000 }; /* bytes of content that a packet to us has at most */

enum gdb_event {
    GDB_NOTHING,   /* so far */
    GDB_COMMAND,   /* data[0..n) is one; a 0 follows it */
    GDB_INTERRUPT, /* Ctrl+C */
    GDB_DAMAGED,   /* the sum is wrong, or it is too long */
    GDB_AGAIN,     /* the client wants the last answer again */
};

/* Zeroed is its beginning. */
struct gdb_reader {
    u8 data[GDB_PACKET + 1];
    u32 n;
    u8 state, sum, want;
    bool escaped, too_long;
};
/* What the next byte from the client makes of it. */
enum gdb_event gdb_packet_byte(struct gdb_reader *r, u8 byte);

/* "$…#xx" of n bytes, escaped; to needs room for GDB_FRAMED(n). Returns its size. */
#define GDB_FRAMED(n) (2 * (n) + 4)
u32 gdb_packet_frame(char *to, const void *data, u32 n);

/* Takes hexadecimal digits off *text. False: there are none, or more than 16. */
bool gdb_take_number(const char **text, u64 *val);
/* n bytes as 2n digits, and back; from needs 2n digits, or it is false. */
void gdb_hex(char *to, const void *from, u32 n);
bool gdb_unhex(void *to, const char *from, u32 n);

#endif
