/*
 * VMware's backdoor: an IN from port 5658 with a magic number in EAX and a command in CX
 * (VMware, "VMware Backdoor I/O Port", and open-vm-tools' backdoor_def.h). Here are the
 * commands by which a guest finds it, and the mouse: words in a queue, four an event, of which
 * the PS/2 mouse tells by a packet (xf86-input-vmmouse, vmmouse_proto.h and vmmouse_client.c).
 *
 * What is not known answers as a PC without a backdoor: EAX all ones, the others as they were.
 */
#include "devices/vmport.h"
#include "devices/i8042.h"

enum {
    PORT = 0x5658, MAGIC = 0x564d5868, VERSION = 6, PRODUCT_SERVER = 2, GET_VERSION = 10,
    GET_RAM_SIZE = 20, POINTER_DATA = 39, POINTER_STATUS = 40, POINTER_COMMAND = 41,
    RAM_SIZE_ANSWER = 0x1177, ENABLE = 0x45414552, DISABLE = 0x000000f5,
    WANT_MOTION = 0x4c455252, WANT_PLACES = 0x53424152, MOUSE_VERSION = 0x3442554a,
    STATUS_OFF = 0xffff0000, MOTION = 0x00010000, LEFT = 0x20, RIGHT = 0x10, MIDDLE = 0x08,
    WORDS = 4, QUEUE = 64 * WORDS,
};
enum { EAX, ECX, EDX, EBX };

struct vmport {
    struct device dev;
    u8 on, places;
    u32 queue[QUEUE];
    u16 count; /* words, oldest first */
    u8 buttons;
};

static const struct vmport_config *config(const struct vmport *s)
{
    return s->dev.config;
}

/* ---- The mouse ---- */

static void mouse_off(struct vmport *s)
{
    s->on = s->places = 0;
    s->count = 0;
}

/* Motion that nobody has fetched is one event; places are only worth the last. */
static void queue_event(struct vmport *s, u32 flags, u32 x, u32 y, int wheel, u8 buttons)
{
    u32 pressed =
        (buttons & 1 ? LEFT : 0) | (buttons & 2 ? RIGHT : 0) | (buttons & 4 ? MIDDLE : 0);
    u32 *last = s->count >= WORDS ? &s->queue[s->count - WORDS] : NULL;
    bool same =
        last && !(s->count % WORDS) && last[0] == (flags | pressed) && !last[3] && !wheel;

    if (same && flags) {
        last[1] += x;
        last[2] += y;
    } else if (same) {
        last[1] = x;
        last[2] = y;
    } else if (s->count + WORDS <= QUEUE) {
        s->queue[s->count++] = flags | pressed;
        s->queue[s->count++] = x;
        s->queue[s->count++] = y;
        s->queue[s->count++] = (u32)wheel;
    }
    s->buttons = buttons;
    i8042_mouse_nudge(config(s)->i8042);
}

bool vmport_wants_places(const struct device *dev)
{
    const struct vmport *s = (const struct vmport *)dev;

    return s->on && s->places;
}

void vmport_place(struct device *dev, u16 x, u16 y, int wheel, u8 buttons)
{
    queue_event((struct vmport *)dev, 0, x, y, wheel, buttons);
}

bool vmport_move(struct device *dev, int dx, int dy, int wheel, u8 buttons)
{
    struct vmport *s = (struct vmport *)dev;

    if (!s->on)
        return false;
    queue_event(s, MOTION, (u32)dx, (u32)-dy, wheel, buttons);
    return true;
}

static void pointer_command(struct vmport *s, u32 command)
{
    switch (command) {
    case ENABLE:
        s->on = 1;
        s->count = 0;
        s->queue[s->count++] = MOUSE_VERSION;
        break;
    case DISABLE:
        mouse_off(s);
        break;
    case WANT_MOTION:
    case WANT_PLACES:
        s->places = command == WANT_PLACES;
        break;
    default:
        device_nyi(&s->dev, "a pointer command of the backdoor");
    }
}

/* EBX says how many words; who asks for more than there are has lost step, and finds it off. */
static void pointer_data(struct vmport *s, u32 *r)
{
    u32 n = r[EBX];
    u32 *const to[WORDS] = { &r[EAX], &r[EBX], &r[ECX], &r[EDX] };

    if (!n || n > WORDS || n > s->count) {
        mouse_off(s);
        r[EAX] = STATUS_OFF;
        return;
    }
    for (u32 i = 0; i < n; i++)
        *to[i] = s->queue[i];
    s->count -= (u16)n;
    for (u32 i = 0; i < s->count; i++)
        s->queue[i] = s->queue[i + n];
}

/* ---- The port ---- */

static void command(struct vmport *s, u32 *r)
{
    switch (r[ECX] & 0xffff) {
    case GET_VERSION:
        r[EBX] = MAGIC;
        r[ECX] = PRODUCT_SERVER;
        r[EAX] = VERSION;
        break;
    case GET_RAM_SIZE:
        r[EBX] = RAM_SIZE_ANSWER;
        r[EAX] = (u32)phys_ram_size(s->dev.machine);
        break;
    case POINTER_DATA:
        pointer_data(s, r);
        break;
    case POINTER_STATUS:
        r[EAX] = s->on ? s->count : STATUS_OFF;
        break;
    case POINTER_COMMAND:
        pointer_command(s, r[EBX]);
        break;
    default:
        r[EAX] = ~0u;
    }
}

static u32 vmport_read(struct device *dev, u32 off, enum io_size size)
{
    struct vmport *s = (struct vmport *)dev;
    u32 *r = config(s)->registers(dev->machine);

    if (off || size != IO_32 || r[EAX] != MAGIC)
        return ~0u;
    command(s, r);
    return r[EAX];
}

static void vmport_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
}

static bool vmport_attach(struct device *dev)
{
    static const struct io_ops ops = { vmport_read, vmport_write, IO_32 };

    return bus_claim_ports(dev, PORT, 4, &ops);
}

static void vmport_reset(struct device *dev)
{
    mouse_off((struct vmport *)dev);
}

static void vmport_loaded(struct device *dev)
{
    struct vmport *s = (struct vmport *)dev;

    s->count = s->count <= QUEUE ? s->count : 0;
}

static const struct field vmport_fields[] = {
    FIELD(struct vmport, on),          FIELD(struct vmport, places),
    FIELD_ARRAY(struct vmport, queue), FIELD(struct vmport, count),
    FIELD(struct vmport, buttons),     FIELD_END,
};

const struct device_class vmport_class = {
    .name = "vmport",
    .size = sizeof(struct vmport),
    .attach = vmport_attach,
    .reset = vmport_reset,
    .loaded = vmport_loaded,
    .fields = vmport_fields,
};
