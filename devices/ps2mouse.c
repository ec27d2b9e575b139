/*
 * A PS/2 mouse with the IntelliMouse extensions: three bytes a packet, four after the guest set
 * the sample rates 200, 100, 80 (wheel, id 3) or 200, 200, 80 (five buttons, id 4). Facts: IBM
 * PS/2 Hardware Interface Technical Reference, "Mouse"; Microsoft "Intellimouse" notes.
 *
 * Motion adds up while the guest does not read; only a change of the buttons queues a packet
 * behind others, so that no click is lost.
 */
#include "devices/mouse.h"
#include "devices/ps2.h"

enum {
    CMD_SCALING_1 = 0xe6, CMD_SCALING_2 = 0xe7, CMD_RESOLUTION = 0xe8, CMD_STATUS = 0xe9,
    CMD_STREAM = 0xea, CMD_READ_DATA = 0xeb, CMD_RESET_WRAP = 0xec, CMD_WRAP = 0xee,
    CMD_REMOTE = 0xf0, CMD_IDENTIFY = 0xf2, CMD_RATE = 0xf3, CMD_ENABLE = 0xf4,
    CMD_DISABLE = 0xf5, CMD_DEFAULT = 0xf6, CMD_RESEND = 0xfe, CMD_RESET = 0xff,
    MAX_PACKETS = 8,
};

/* ---- Packets ---- */

static i32 scaled(const struct ps2mouse *s, i32 n)
{
    static const u8 small[] = { 0, 1, 1, 3, 6, 9 };
    i32 size = n < 0 ? -n : n;

    if (!s->scaling || s->remote)
        return n;
    size = size < 6 ? small[size] : size * 2;
    return n < 0 ? -size : size;
}

/* Takes as much of the motion as a packet holds. Returns its length. */
static u32 make_packet(struct ps2mouse *s, u8 out[4])
{
    i32 dx = clamp(s->dx, -127, 127), dy = clamp(s->dy, -127, 127);
    i32 dz = s->id == 4 ? clamp(s->dz, -8, 7) : clamp(s->dz, -127, 127);
    i32 x = scaled(s, dx), y = scaled(s, dy);

    s->dx -= dx;
    s->dy -= dy;
    s->dz -= dz;
    s->reported = s->buttons;
    out[0] = 0x08 | (s->buttons & 7) | (x < 0 ? 0x10 : 0) | (y < 0 ? 0x20 : 0);
    out[1] = (u8)x;
    out[2] = (u8)y;
    out[3] = s->id == 4 ? (dz & 15) | (s->buttons & 0x18) << 1 : (u8)dz;
    return s->id ? 4 : 3;
}

static void queue_packet(struct ps2mouse *s)
{
    u8 packet[4];
    u32 n = make_packet(s, packet);

    ps2_put(&s->port.event, packet, n);
    s->port.ready(s->port.owner);
    timer_set(&s->sample, clock_now(s->port.machine) + SEC(1) / s->sample_rate);
}

static bool streaming(const struct ps2mouse *s)
{
    return s->reporting && !s->remote && !s->wrap;
}

static bool moved(const struct ps2mouse *s)
{
    return s->dx || s->dy || (s->id && s->dz) || s->buttons != s->reported;
}

static void sample_fire(void *owner)
{
    struct ps2mouse *s = owner;

    if (!streaming(s) || !moved(s))
        return;
    if (s->port.event.count)
        timer_set(&s->sample, clock_now(s->port.machine) + SEC(1) / s->sample_rate);
    else
        queue_packet(s);
}

void ps2mouse_move(struct ps2mouse *s, int dx, int dy, int dz, u8 buttons)
{
    if (!s->reporting && !s->remote) {
        s->buttons = buttons;
        return;
    }
    s->dx = clamp(s->dx + clamp(dx, -MAX_TRAVEL, MAX_TRAVEL), -MAX_TRAVEL, MAX_TRAVEL);
    s->dy = clamp(s->dy - clamp(dy, -MAX_TRAVEL, MAX_TRAVEL), -MAX_TRAVEL, MAX_TRAVEL);
    s->dz = clamp(s->dz + clamp(dz, -MAX_TRAVEL, MAX_TRAVEL), -MAX_TRAVEL, MAX_TRAVEL);
    s->buttons = buttons;
    if (!streaming(s) || !moved(s))
        return;
    if (s->buttons != s->reported && s->port.event.count <= (MAX_PACKETS - 1) * 4)
        queue_packet(s);
    else if (!s->sample.armed)
        sample_fire(s);
}

void ps2mouse_nudge(struct ps2mouse *s)
{
    if (streaming(s) && !s->port.event.count)
        queue_packet(s);
}

/* ---- Commands ---- */

static void drop_motion(struct ps2mouse *s)
{
    s->dx = s->dy = s->dz = 0;
    s->port.event.head = s->port.event.count = 0;
    timer_cancel(&s->sample);
}

static void set_defaults(struct ps2mouse *s)
{
    s->reporting = s->remote = s->wrap = s->scaling = 0;
    s->resolution = 2;
    s->sample_rate = 100;
    drop_motion(s);
}

void ps2mouse_reset(struct ps2mouse *s)
{
    set_defaults(s);
    s->id = 0;
    s->rates[0] = s->rates[1] = 0;
    s->port.expects = 0;
    s->port.reply.head = s->port.reply.count = 0;
}

static void set_rate(struct ps2mouse *s, u8 rate)
{
    if (s->rates[0] == 200 && s->rates[1] == 100 && rate == 80)
        s->id = 3;
    else if (s->rates[0] == 200 && s->rates[1] == 200 && rate == 80)
        s->id = 4;
    s->rates[0] = s->rates[1];
    s->rates[1] = rate;
    s->sample_rate = (u8)clamp(rate, 10, 200);
}

static void reply_status(struct ps2mouse *s)
{
    u8 buttons = (s->buttons & 1) << 2 | (s->buttons & 2) >> 1 | (s->buttons & 4) >> 1;

    ps2_reply(&s->port, (s->remote ? 0x40 : 0) | (s->reporting ? 0x20 : 0) |
                            (s->scaling ? 0x10 : 0) | buttons);
    ps2_reply(&s->port, s->resolution);
    ps2_reply(&s->port, s->sample_rate);
}

static void reply_data(struct ps2mouse *s)
{
    u8 packet[4];
    u32 n = make_packet(s, packet);

    for (u32 i = 0; i < n; i++)
        ps2_reply(&s->port, packet[i]);
}

static void parameter(struct ps2mouse *s, u8 command, u8 val)
{
    ps2_reply(&s->port, PS2_ACK);
    if (command == CMD_RATE)
        set_rate(s, val);
    else
        s->resolution = val & 3;
}

static void run_reset(struct ps2mouse *s)
{
    ps2mouse_reset(s);
    ps2_reply(&s->port, PS2_ACK);
    ps2_reply(&s->port, PS2_BAT_OK);
    ps2_reply(&s->port, 0);
}

static void run_command(struct ps2mouse *s, u8 val)
{
    s->port.event.head = s->port.event.count = 0; /* a command interrupts a packet */
    ps2_reply(&s->port, PS2_ACK);
    switch (val) {
    case CMD_SCALING_1:
    case CMD_SCALING_2:
        s->scaling = val == CMD_SCALING_2;
        break;
    case CMD_RESOLUTION:
    case CMD_RATE:
        s->port.expects = val;
        break;
    case CMD_STATUS:
        reply_status(s);
        break;
    case CMD_STREAM:
    case CMD_REMOTE:
        s->remote = val == CMD_REMOTE;
        drop_motion(s);
        break;
    case CMD_READ_DATA:
        reply_data(s);
        break;
    case CMD_RESET_WRAP:
    case CMD_WRAP:
        s->wrap = val == CMD_WRAP;
        break;
    case CMD_IDENTIFY:
        ps2_reply(&s->port, s->id);
        break;
    case CMD_ENABLE:
    case CMD_DISABLE:
        s->reporting = val == CMD_ENABLE;
        drop_motion(s);
        break;
    case CMD_DEFAULT:
        set_defaults(s);
        break;
    }
}

static bool known(u8 val)
{
    return (val >= CMD_SCALING_1 && val <= CMD_RESET_WRAP) || val == CMD_WRAP ||
           val == CMD_REMOTE || (val >= CMD_IDENTIFY && val <= CMD_DEFAULT);
}

void ps2mouse_command(struct ps2mouse *s, u8 val)
{
    u8 waiting = s->port.expects;

    s->port.expects = 0;
    if (s->wrap && val != CMD_RESET && val != CMD_RESET_WRAP)
        ps2_reply(&s->port, val);
    else if (waiting)
        parameter(s, waiting, val);
    else if (val == CMD_RESET)
        run_reset(s);
    else if (val == CMD_RESEND)
        ps2_reply(&s->port, s->port.last);
    else if (known(val))
        run_command(s, val);
    else
        ps2_reply(&s->port, PS2_RESEND);
}

void ps2mouse_init(struct ps2mouse *s, struct machine *m, void (*ready)(void *owner),
                   void *owner)
{
    ps2_port_init(&s->port, m, ready, owner);
    timer_init(&s->sample, m, sample_fire, s);
    ps2mouse_reset(s);
}

void ps2mouse_loaded(struct ps2mouse *s)
{
    ps2_port_loaded(&s->port);
    s->sample_rate = (u8)clamp(s->sample_rate, 10, 200);
    s->dx = clamp(s->dx, -MAX_TRAVEL, MAX_TRAVEL);
    s->dy = clamp(s->dy, -MAX_TRAVEL, MAX_TRAVEL);
    s->dz = clamp(s->dz, -MAX_TRAVEL, MAX_TRAVEL);
    timer_set(&s->sample, clock_now(s->port.machine));
}
