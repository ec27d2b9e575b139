/*
 * The two PS/2 devices behind the 8042: keyboard (ps2kbd.c) and mouse (ps2mouse.c). Each has
 * bytes for the controller in two queues, replies before events; it calls `ready` when it has
 * new ones, and the controller fetches them with ps2_next(). Owned by i8042.c, which embeds
 * both.
 */
#ifndef RING3_PS2_H
#define RING3_PS2_H

#include "devices/device.h"

enum { PS2_ACK = 0xfa, PS2_RESEND = 0xfe, PS2_BAT_OK = 0xaa, PS2_ECHO = 0xee };
enum { PS2_QUEUE = 256 };

struct ps2_queue {
    u8 data[PS2_QUEUE];
    u16 head, count; /* oldest byte, bytes */
};
/* Appends all n bytes or, without room, none. */
bool ps2_put(struct ps2_queue *q, const u8 *data, u32 n);

/* What both devices have in common. */
struct ps2_port {
    struct ps2_queue reply, event;
    u8 expects; /* the command that waits for its parameter, or 0 */
    u8 last;    /* last byte sent, for Resend */
    void (*ready)(void *owner);
    void *owner;
    struct machine *machine;
};
void ps2_port_init(struct ps2_port *p, struct machine *m, void (*ready)(void *owner),
                   void *owner);
/* After a restore: indices that cannot hurt. */
void ps2_port_loaded(struct ps2_port *p);
void ps2_reply(struct ps2_port *p, u8 val);
u8 ps2_next(struct ps2_port *p);

#define PS2_PORT_FIELDS(type, port)                                                            \
    FIELD_ARRAY(type, port.reply.data), FIELD(type, port.reply.head),                          \
        FIELD(type, port.reply.count), FIELD_ARRAY(type, port.event.data),                     \
        FIELD(type, port.event.head), FIELD(type, port.event.count),                           \
        FIELD(type, port.expects), FIELD(type, port.last)

enum { PS2_KEYS = 256, PS2_SET3_KEYS = 0x90 };

struct ps2kbd {
    struct ps2_port port;
    u8 scanning; /* keys are reported */
    u8 set;      /* scan code set, 1 to 3 */
    u8 leds;     /* bit 0 scroll, 1 num, 2 caps */
    u8 rate;     /* typematic: bits 5-6 delay, 0-4 rate */
    u8 types[PS2_SET3_KEYS]; /* set 3: enum key_type of each code */
    u8 down[PS2_KEYS];       /* by key_index() */
    u16 repeating;           /* key held last, or 0 */
    struct timer repeat;
};
void ps2kbd_init(struct ps2kbd *k, struct machine *m, void (*ready)(void *owner), void *owner);
void ps2kbd_reset(struct ps2kbd *k);
void ps2kbd_command(struct ps2kbd *k, u8 val);
void ps2kbd_key(struct ps2kbd *k, u16 key, bool down);
void ps2kbd_loaded(struct ps2kbd *k);
/* What an 8042 that translates makes of a byte of set 2. Its inverse gives set 2 from set 1. */
extern const u8 ps2_set2_to_set1[256];

struct ps2mouse {
    struct ps2_port port;
    u8 id;          /* 0 plain, 3 with wheel, 4 with wheel and five buttons */
    u8 reporting, remote, wrap;
    u8 scaling, resolution, sample_rate;
    u8 rates[2];    /* sample rates set before the last: the wheel's password */
    u8 buttons;     /* now, and as last reported */
    u8 reported;
    i32 dx, dy, dz; /* not yet reported; dy upwards */
    struct timer sample;
};
void ps2mouse_init(struct ps2mouse *s, struct machine *m, void (*ready)(void *owner),
                   void *owner);
void ps2mouse_reset(struct ps2mouse *s);
void ps2mouse_command(struct ps2mouse *s, u8 val);
void ps2mouse_move(struct ps2mouse *s, int dx, int dy, int dz, u8 buttons);
/* A packet, although nothing has moved, where the guest listens and none waits. */
void ps2mouse_nudge(struct ps2mouse *s);
void ps2mouse_loaded(struct ps2mouse *s);

#endif
