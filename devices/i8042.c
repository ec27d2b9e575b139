/*
 * The keyboard controller of a PS/2: an 8042 with an auxiliary port (IBM PS/2 Hardware
 * Interface Technical Reference, "Keyboard and Auxiliary Device Controller"). Ports 60 and 64,
 * IRQ 1 and 12; it also holds the A20 gate and pulses the processor's reset.
 *
 * One byte at a time lies in the output buffer. When the guest has taken it the next comes
 * after a while, as over the real serial lines: handlers that read port 60 twice get the same
 * byte twice. Sources in order: the controller's own answers, replies and events of the
 * keyboard, the mouse.
 */
#include "devices/a20.h"
#include "devices/i8042.h"
#include "devices/ps2.h"

enum {
    STATUS_OBF = 0x01, STATUS_SYS = 0x04, STATUS_A2 = 0x08, STATUS_UNLOCKED = 0x10,
    STATUS_AUX = 0x20,
    CTR_KBD_INT = 0x01, CTR_AUX_INT = 0x02, CTR_SYS = 0x04, CTR_KBD_OFF = 0x10,
    CTR_AUX_OFF = 0x20, CTR_XLATE = 0x40,
    OUT_RESET = 0x01, OUT_A20 = 0x02, OUT_IRQ1 = 0x10, OUT_IRQ12 = 0x20, OUT_IDLE = 0xc0,
    INPUT_PORT = 0xb0, /* not locked, no manufacturing jumper, colour display */
    CMD_READ_RAM = 0x20, CMD_WRITE_RAM = 0x60, CMD_TEST_PASSWORD = 0xa4, CMD_AUX_OFF = 0xa7,
    CMD_AUX_ON = 0xa8, CMD_TEST_AUX = 0xa9, CMD_SELF_TEST = 0xaa, CMD_TEST_KBD = 0xab,
    CMD_KBD_OFF = 0xad, CMD_KBD_ON = 0xae, CMD_READ_INPUT = 0xc0, CMD_READ_OUTPUT = 0xd0,
    CMD_WRITE_OUTPUT = 0xd1, CMD_WRITE_KBD_BUFFER = 0xd2, CMD_WRITE_AUX_BUFFER = 0xd3,
    CMD_WRITE_AUX = 0xd4, CMD_A20_OFF = 0xdd, CMD_A20_ON = 0xdf, CMD_READ_TEST = 0xe0,
    CMD_PULSE = 0xf0,
    AUX = 0x100, /* in the answer queue: appears as the mouse's */
    ANSWERS = 16,
};
#define EVENT_DELAY USEC(500) /* 11 bits at 20 kHz */
#define REPLY_DELAY USEC(100)

struct i8042 {
    struct device dev;
    u8 ram[32]; /* ram[0] is the command byte */
    u8 command; /* waits for its byte at port 60, or 0 */
    u8 a2;      /* status bit 3: the last write went to port 64 */
    u8 a20;
    u8 tested;  /* the self-test has passed */
    u8 data, full, from_aux; /* the output buffer */
    u8 breaking;             /* translation has eaten an F0 */
    u16 answer[ANSWERS];
    u32 answers;
    struct ps2kbd kbd;
    struct ps2mouse mouse;
    struct irq *irq1, *irq12;
    struct timer load;
};

/* ---- Output buffer ---- */

static void update_irqs(struct i8042 *s)
{
    irq_set(s->irq1, s->full && !s->from_aux && (s->ram[0] & CTR_KBD_INT));
    irq_set(s->irq12, s->full && s->from_aux && (s->ram[0] & CTR_AUX_INT));
}

static void put_output(struct i8042 *s, u8 val, bool aux)
{
    s->data = val;
    s->full = 1;
    s->from_aux = aux;
    update_irqs(s);
}

/* The port whose byte comes next, or NULL. */
static struct ps2_port *next_port(struct i8042 *s)
{
    bool kbd = !(s->ram[0] & CTR_KBD_OFF), aux = !(s->ram[0] & CTR_AUX_OFF);

    if (kbd && s->kbd.port.reply.count)
        return &s->kbd.port;
    if (aux && s->mouse.port.reply.count)
        return &s->mouse.port;
    if (kbd && s->kbd.port.event.count)
        return &s->kbd.port;
    return aux && s->mouse.port.event.count ? &s->mouse.port : NULL;
}

/* Starts the transfer of the next byte when the buffer is empty and none is under way. */
static void pump(void *owner)
{
    struct i8042 *s = owner;
    struct ps2_port *port;

    if (s->full)
        return;
    if (s->answers) {
        put_output(s, (u8)s->answer[0], s->answer[0] & AUX);
        s->answers--;
        for (u32 i = 0; i < s->answers; i++)
            s->answer[i] = s->answer[i + 1];
        return;
    }
    port = next_port(s);
    if (port && !s->load.armed)
        timer_set(&s->load,
                  clock_now(s->dev.machine) + (port->reply.count ? REPLY_DELAY : EVENT_DELAY));
}

/* Set 2 to set 1: F0 goes, and marks the code after it. False: nothing to show yet. */
static bool translate(struct i8042 *s, u8 *val)
{
    if (!(s->ram[0] & CTR_XLATE))
        return true;
    if (*val == 0xf0) {
        s->breaking = 1;
        return false;
    }
    *val = ps2_set2_to_set1[*val] | (s->breaking ? 0x80 : 0);
    s->breaking = 0;
    return true;
}

static void load_fire(void *owner)
{
    struct i8042 *s = owner;
    struct ps2_port *port = next_port(s);
    bool aux = port == &s->mouse.port;
    u8 val;

    if (s->full || !port)
        return;
    val = ps2_next(port);
    if (!aux && !translate(s, &val)) {
        if (!port->event.count)
            return;
        val = ps2_next(port);
        translate(s, &val);
    }
    put_output(s, val, aux);
}

static void answer_keyboard(struct i8042 *s, u16 val)
{
    if (s->answers < ANSWERS)
        s->answer[s->answers++] = val;
    pump(s);
}

static u8 read_data(struct i8042 *s)
{
    if (s->full) {
        s->full = 0;
        update_irqs(s);
        pump(s);
    }
    return s->data;
}

/* ---- Commands ---- */

static void set_a20(struct i8042 *s, bool on)
{
    s->a20 = on;
    machine_set_a20(s->dev.machine, on);
    a20_tell(&s->dev, on);
}

void i8042_a20_follow(struct device *dev, bool on)
{
    ((struct i8042 *)dev)->a20 = on;
}

static u8 output_port(const struct i8042 *s)
{
    return OUT_RESET | OUT_IDLE | (s->a20 ? OUT_A20 : 0) | (s->irq1->level ? OUT_IRQ1 : 0) |
           (s->irq12->level ? OUT_IRQ12 : 0);
}

static void write_ctr(struct i8042 *s, u8 val)
{
    s->ram[0] = val;
    update_irqs(s);
    pump(s);
}

static void change_ctr(struct i8042 *s, u8 set, u8 clear)
{
    write_ctr(s, (s->ram[0] & ~clear) | set);
}

static void self_test(struct i8042 *s)
{
    s->tested = 1;
    s->full = 0;
    s->answers = 0;
    change_ctr(s, CTR_SYS, 0);
    answer_keyboard(s, 0x55);
}

static void run_command(struct i8042 *s, u8 cmd)
{
    switch (cmd) {
    case CMD_TEST_PASSWORD:
        answer_keyboard(s, 0xf1); /* none installed */
        break;
    case CMD_AUX_OFF:
        change_ctr(s, CTR_AUX_OFF, 0);
        break;
    case CMD_AUX_ON:
        change_ctr(s, 0, CTR_AUX_OFF);
        break;
    case CMD_TEST_AUX:
    case CMD_TEST_KBD:
        answer_keyboard(s, 0);
        break;
    case CMD_SELF_TEST:
        self_test(s);
        break;
    case CMD_KBD_OFF:
        change_ctr(s, CTR_KBD_OFF, 0);
        break;
    case CMD_KBD_ON:
        change_ctr(s, 0, CTR_KBD_OFF);
        break;
    case CMD_READ_INPUT:
        answer_keyboard(s, INPUT_PORT);
        break;
    case CMD_READ_OUTPUT:
        answer_keyboard(s, output_port(s));
        break;
    case CMD_READ_TEST:
        answer_keyboard(s, s->ram[0] & CTR_KBD_OFF ? 0 : 1); /* T0: keyboard clock */
        break;
    case CMD_A20_OFF:
    case CMD_A20_ON:
        set_a20(s, cmd == CMD_A20_ON);
        break;
    default:
        trace(TRACE_NYI, "i8042: command %02x", cmd);
    }
}

static bool wants_data(u8 cmd)
{
    return (cmd & 0xe0) == CMD_WRITE_RAM || (cmd >= CMD_WRITE_OUTPUT && cmd <= CMD_WRITE_AUX);
}

static void write_command(struct i8042 *s, u8 cmd)
{
    s->command = wants_data(cmd) ? cmd : 0;
    if (s->command)
        return;
    if ((cmd & 0xe0) == CMD_READ_RAM)
        answer_keyboard(s, s->ram[cmd & 31]);
    else if (cmd >= CMD_PULSE && !(cmd & OUT_RESET))
        machine_request(s->dev.machine, MACHINE_RESET);
    else if (cmd < CMD_PULSE)
        run_command(s, cmd);
}

static void write_output_port(struct i8042 *s, u8 val)
{
    set_a20(s, val & OUT_A20);
    if (!(val & OUT_RESET))
        machine_request(s->dev.machine, MACHINE_RESET);
}

/* Bytes for a device switch its port on again. */
static void write_keyboard(struct i8042 *s, u8 val)
{
    change_ctr(s, 0, CTR_KBD_OFF);
    ps2kbd_command(&s->kbd, val);
}

static void write_mouse(struct i8042 *s, u8 val)
{
    change_ctr(s, 0, CTR_AUX_OFF);
    ps2mouse_command(&s->mouse, val);
}

static void write_data(struct i8042 *s, u8 val)
{
    u8 cmd = s->command;

    s->command = 0;
    if (cmd == CMD_WRITE_RAM)
        write_ctr(s, val);
    else if ((cmd & 0xe0) == CMD_WRITE_RAM)
        s->ram[cmd & 31] = val;
    else if (cmd == CMD_WRITE_OUTPUT)
        write_output_port(s, val);
    else if (cmd == CMD_WRITE_KBD_BUFFER)
        answer_keyboard(s, val);
    else if (cmd == CMD_WRITE_AUX_BUFFER)
        answer_keyboard(s, AUX | val);
    else if (cmd == CMD_WRITE_AUX)
        write_mouse(s, val);
    else
        write_keyboard(s, val);
}

/* ---- Input from the window ---- */

void i8042_key(struct device *dev, u16 key, bool down)
{
    ps2kbd_key(&((struct i8042 *)dev)->kbd, key, down);
}

void i8042_mouse(struct device *dev, int dx, int dy, int dz, u8 buttons)
{
    ps2mouse_move(&((struct i8042 *)dev)->mouse, dx, dy, dz, buttons);
}

void i8042_mouse_nudge(struct device *dev)
{
    ps2mouse_nudge(&((struct i8042 *)dev)->mouse);
}

/* ---- Ports 60 and 64 ---- */

static u32 data_read(struct device *dev, u32 off, enum io_size size)
{
    return read_data((struct i8042 *)dev);
}

static void data_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct i8042 *s = (struct i8042 *)dev;

    s->a2 = 0;
    write_data(s, (u8)val);
}

static u32 status_read(struct device *dev, u32 off, enum io_size size)
{
    struct i8042 *s = (struct i8042 *)dev;

    return STATUS_UNLOCKED | (s->full ? STATUS_OBF : 0) |
           (s->full && s->from_aux ? STATUS_AUX : 0) | (s->tested || s->ram[0] & CTR_SYS ? STATUS_SYS : 0) |
           (s->a2 ? STATUS_A2 : 0);
}

static void command_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct i8042 *s = (struct i8042 *)dev;

    s->a2 = 1;
    write_command(s, (u8)val);
}

/* Both ports are off until firmware switches them on. */
static void i8042_reset(struct device *dev)
{
    struct i8042 *s = (struct i8042 *)dev;

    for (u32 i = 0; i < ARRAY_SIZE(s->ram); i++)
        s->ram[i] = 0;
    s->ram[0] = CTR_KBD_OFF | CTR_AUX_OFF;
    s->command = s->a2 = s->tested = s->full = s->from_aux = s->breaking = 0;
    s->answers = 0;
    set_a20(s, true);
    timer_cancel(&s->load);
    ps2kbd_reset(&s->kbd);
    ps2mouse_reset(&s->mouse);
    update_irqs(s);
}

static bool i8042_attach(struct device *dev)
{
    static const struct io_ops data = { data_read, data_write, IO_8 };
    static const struct io_ops command = { status_read, command_write, IO_8 };
    struct i8042 *s = (struct i8042 *)dev;

    s->irq1 = irq_isa(dev->machine, 1);
    s->irq12 = irq_isa(dev->machine, 12);
    timer_init(&s->load, dev->machine, load_fire, s);
    ps2kbd_init(&s->kbd, dev->machine, pump, s);
    ps2mouse_init(&s->mouse, dev->machine, pump, s);
    return bus_claim_ports(dev, 0x60, 1, &data) && bus_claim_ports(dev, 0x64, 1, &command);
}

static void i8042_loaded(struct device *dev)
{
    struct i8042 *s = (struct i8042 *)dev;

    if (s->answers > ANSWERS)
        s->answers = 0;
    ps2kbd_loaded(&s->kbd);
    ps2mouse_loaded(&s->mouse);
    update_irqs(s);
    pump(s);
}

static const struct field i8042_fields[] = {
    FIELD_ARRAY(struct i8042, ram), FIELD(struct i8042, command), FIELD(struct i8042, a2),
    FIELD(struct i8042, a20), FIELD(struct i8042, tested), FIELD(struct i8042, data), FIELD(struct i8042, full),
    FIELD(struct i8042, from_aux), FIELD(struct i8042, breaking),
    FIELD_ARRAY(struct i8042, answer), FIELD(struct i8042, answers),
    PS2_PORT_FIELDS(struct i8042, kbd.port), FIELD(struct i8042, kbd.scanning),
    FIELD(struct i8042, kbd.set), FIELD(struct i8042, kbd.leds), FIELD(struct i8042, kbd.rate),
    FIELD_ARRAY(struct i8042, kbd.types), FIELD_ARRAY(struct i8042, kbd.down),
    PS2_PORT_FIELDS(struct i8042, mouse.port), FIELD(struct i8042, mouse.id),
    FIELD(struct i8042, mouse.reporting), FIELD(struct i8042, mouse.remote),
    FIELD(struct i8042, mouse.wrap), FIELD(struct i8042, mouse.scaling),
    FIELD(struct i8042, mouse.resolution), FIELD(struct i8042, mouse.sample_rate),
    FIELD_ARRAY(struct i8042, mouse.rates), FIELD(struct i8042, mouse.buttons),
    FIELD(struct i8042, mouse.reported), FIELD(struct i8042, mouse.dx),
    FIELD(struct i8042, mouse.dy), FIELD(struct i8042, mouse.dz), FIELD_END,
};

const struct device_class i8042_class = {
    .name = "i8042",
    .size = sizeof(struct i8042),
    .attach = i8042_attach,
    .reset = i8042_reset,
    .loaded = i8042_loaded,
    .fields = i8042_fields,
};
