/*
 * A Microsoft serial mouse with Logitech's third button: 1200 baud, seven bits, packets of
 * three bytes, of four while the middle button is held or has just been let go.
 *
 *   bit 6  5     4      3-2    1-0
 *       1  left  right  dy7-6  dx7-6
 *       0  dx5-0
 *       0  dy5-0
 *       0  middle, then zeros
 *
 * It lives on the current of DTR and RTS: both raised, it starts and says who it is, "M3" and
 * its Plug and Play identity (Plug and Play External COM Device Specification 1.00, 2.1, in
 * characters of six bits); one dropped, it is off. Drivers look for it so.
 *
 * Bytes leave as fast as the line carries them, 7.5 ms each. Motion adds up meanwhile; only a
 * change of the buttons queues a packet behind others, so that no click is lost.
 */
#include "devices/msmouse.h"
#include "devices/mouse.h"

enum {
    QUEUE = 64,
    PACKET = 4,
    SYNC = 0x40,
    LEFT = 0x20,
    RIGHT = 0x10,
    MIDDLE = 0x20 /* of the fourth byte */
};
#define BYTE_NS  USEC(7500) /* nine bits, of start and stop, too */
#define START_NS MSEC(14)

struct msmouse {
    struct device dev;
    struct chardev plug;
    u8 powered;
    u8 buttons, reported; /* held; as last told */
    i32 dx, dy;           /* not yet told; dy downwards */
    u8 queue[QUEUE];
    u32 head, count;
    struct timer send;
};

/* ---- The line ---- */

static void put(struct msmouse *s, u8 byte)
{
    if (s->count < QUEUE)
        s->queue[(s->head + s->count++) % QUEUE] = byte;
}

static void put_packet(struct msmouse *s)
{
    i32 dx = clamp(s->dx, -127, 127), dy = clamp(s->dy, -127, 127);
    u8 middle = s->buttons & 4;

    put(s, (u8)(SYNC | (s->buttons & 1 ? LEFT : 0) | (s->buttons & 2 ? RIGHT : 0) |
                (dy >> 4 & 0x0c) | (dx >> 6 & 3)));
    put(s, dx & 0x3f);
    put(s, dy & 0x3f);
    if (middle || s->reported & 4)
        put(s, middle ? MIDDLE : 0);
    s->dx -= dx;
    s->dy -= dy;
    s->reported = s->buttons;
}

static bool news(const struct msmouse *s)
{
    return s->dx || s->dy || s->buttons != s->reported;
}

static void send_after(struct msmouse *s, u64 ns)
{
    timer_set(&s->send, clock_now(s->dev.machine) + ns);
}

/* A byte that the port has no room for yet is kept. */
static void send_fire(void *owner)
{
    struct msmouse *s = owner;
    struct device *port = s->plug.dev;

    if (!s->powered)
        return;
    if (!s->count && news(s))
        put_packet(s);
    if (!s->count)
        return;
    send_after(s, BYTE_NS);
    if (!s->plug.receive || !s->plug.can_receive(port))
        return;
    s->head = (s->head + 1) % QUEUE;
    s->count--;
    s->plug.receive(port, &s->queue[(s->head + QUEUE - 1) % QUEUE], 1);
}

bool msmouse_move(struct device *dev, int dx, int dy, u8 buttons)
{
    struct msmouse *s = (struct msmouse *)dev;

    s->buttons = buttons & 7;
    if (!s->powered) {
        s->reported = s->buttons;
        return false;
    }
    s->dx = clamp(s->dx + clamp(dx, -MAX_TRAVEL, MAX_TRAVEL), -MAX_TRAVEL, MAX_TRAVEL);
    s->dy = clamp(s->dy + clamp(dy, -MAX_TRAVEL, MAX_TRAVEL), -MAX_TRAVEL, MAX_TRAVEL);
    if (s->buttons != s->reported && s->count <= QUEUE - PACKET)
        put_packet(s);
    if (!s->send.armed)
        send_after(s, BYTE_NS);
    return true;
}

/* ---- Power ---- */

bool msmouse_powered(const struct device *dev)
{
    return ((const struct msmouse *)dev)->powered;
}

/* "(", version 1.0, maker and model, no serial number, the class, whose driver it takes
 * (Logitech's); the sum of all but itself, in two digits of hexadecimal; ")". All less 20h, but
 * for the version. */
static void put_identity(struct msmouse *s)
{
    static const char names[] = "RNG0003\\\\MOUSE\\PNP0F08", digits[] = "0123456789ABCDEF";
    static const u8 begin[] = {'(' - 0x20, 0x01, 0x24};
    u8 sum = ')' - 0x20;

    put(s, 'M');
    put(s, '3');
    for (u32 i = 0; i < sizeof(begin); i++) {
        put(s, begin[i]);
        sum += begin[i];
    }
    for (const char *p = names; *p; p++) {
        put(s, (u8)(*p - 0x20));
        sum += (u8)(*p - 0x20);
    }
    put(s, (u8)(digits[sum >> 4] - 0x20));
    put(s, (u8)(digits[sum & 15] - 0x20));
    put(s, ')' - 0x20);
}

static void switch_off(struct msmouse *s)
{
    s->powered = s->head = s->count = 0;
    s->dx = s->dy = 0;
    s->reported = s->buttons;
    timer_cancel(&s->send);
}

static void msmouse_lines(struct chardev *c, bool dtr, bool rts)
{
    struct msmouse *s = container_of(c, struct msmouse, plug);

    if (s->powered == (dtr && rts))
        return;
    switch_off(s);
    if (!dtr || !rts)
        return;
    s->powered = 1;
    put_identity(s);
    send_after(s, START_NS);
}

/* It has no ears. */
static void msmouse_hear(struct chardev *c, const u8 *data, u32 n)
{
}

/* ---- The chip ---- */

struct chardev *msmouse_plug(struct device *dev)
{
    return &((struct msmouse *)dev)->plug;
}

static void msmouse_reset(struct device *dev)
{
    switch_off((struct msmouse *)dev);
}

static void msmouse_loaded(struct device *dev)
{
    struct msmouse *s = (struct msmouse *)dev;

    s->powered &= 1;
    s->buttons &= 7;
    s->reported &= 7;
    s->head %= QUEUE;
    if (s->count > QUEUE)
        s->count = QUEUE;
    s->dx = clamp(s->dx, -MAX_TRAVEL, MAX_TRAVEL);
    s->dy = clamp(s->dy, -MAX_TRAVEL, MAX_TRAVEL);
    if (s->powered)
        send_after(s, BYTE_NS);
}

static bool msmouse_attach(struct device *dev)
{
    struct msmouse *s = (struct msmouse *)dev;

    s->plug.write = msmouse_hear;
    s->plug.lines = msmouse_lines;
    timer_init(&s->send, dev->machine, send_fire, s);
    return true;
}

static const struct field msmouse_fields[] = {
    FIELD(struct msmouse, powered),
    FIELD(struct msmouse, buttons),
    FIELD(struct msmouse, reported),
    FIELD(struct msmouse, dx),
    FIELD(struct msmouse, dy),
    FIELD_ARRAY(struct msmouse, queue),
    FIELD(struct msmouse, head),
    FIELD(struct msmouse, count),
    FIELD_END,
};

const struct device_class msmouse_class = {
    .name = "msmouse",
    .size = sizeof(struct msmouse),
    .attach = msmouse_attach,
    .reset = msmouse_reset,
    .loaded = msmouse_loaded,
    .fields = msmouse_fields,
};
