/*
 * National PC16550D UART with FIFOs (TL/C/8652), 8 ports. Of ports that share an interrupt,
 * only that of one whose MCR.OUT2 is set reaches the bus, as PCs wire it. A port that has it
 * alone needs no OUT2: some systems never set it, as QEMU does not look at it.
 *
 * Characters leave for the chardev at once; the time they would take is only told: THRE and
 * TEMT follow `sent_at`, the moment the shift register runs empty, at a fast 5 us a character
 * whatever the divisor. Received ones wait in the chardev until the FIFO has room, so overruns
 * do not happen outside of loopback.
 */
#include "devices/ns16550.h"

enum { RBR_THR_DLL, IER_DLM, IIR_FCR, LCR, MCR, LSR, MSR, SCR };
enum {
    IER_RX = 0x01, IER_TX = 0x02, IER_LINE = 0x04, IER_MODEM = 0x08,
    IIR_NONE = 0x01, IIR_LINE = 0x06, IIR_RX = 0x04, IIR_TIMEOUT = 0x0c, IIR_TX = 0x02,
    IIR_MODEM = 0x00, IIR_FIFOS = 0xc0,
    FCR_ENABLE = 0x01, FCR_CLEAR_RX = 0x02, FCR_CLEAR_TX = 0x04, FCR_DMA = 0x08,
    LCR_BREAK = 0x40, LCR_DLAB = 0x80,
    MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT1 = 0x04, MCR_OUT2 = 0x08, MCR_LOOP = 0x10,
    LSR_DR = 0x01, LSR_OE = 0x02, LSR_BI = 0x10, LSR_ERRORS = 0x1e, LSR_THRE = 0x20,
    LSR_TEMT = 0x40,
    MSR_DCTS = 0x01, MSR_DDSR = 0x02, MSR_TERI = 0x04, MSR_DDCD = 0x08, MSR_CTS = 0x10,
    MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80,
    FIFO = 16,
};
#define CHAR_NS USEC(5)

struct ns16550 {
    struct device dev;
    u8 ier, fcr, lcr, mcr, lsr, msr, scr;
    u8 dll, dlm;
    u8 fifo[FIFO];
    u32 head, count;
    u8 thre_pending; /* THRE interrupt raised and not yet seen */
    u8 timed_out;    /* the FIFO rests below its trigger level */
    u64 sent_at;     /* clock time at which everything written has left */
    struct irq *irq;
    bool shared; /* with another port: OUT2 gates the interrupt */
    struct timer tx, timeout;
};

static struct chardev *chardev_of(struct ns16550 *s)
{
    return ((const struct ns16550_config *)s->dev.config)->chardev;
}

static bool fifos(const struct ns16550 *s)
{
    return s->fcr & FCR_ENABLE;
}

static u32 capacity(const struct ns16550 *s)
{
    return fifos(s) ? FIFO : 1;
}

static u32 trigger(const struct ns16550 *s)
{
    static const u8 level[] = { 1, 4, 8, 14 };

    return fifos(s) ? level[s->fcr >> 6] : 1;
}

/* ---- Interrupts (TL/C/8652, table IV: highest first) ---- */

static u8 iir(const struct ns16550 *s)
{
    if ((s->ier & IER_LINE) && (s->lsr & LSR_ERRORS))
        return IIR_LINE;
    if ((s->ier & IER_RX) && s->count >= trigger(s))
        return IIR_RX;
    if ((s->ier & IER_RX) && s->timed_out && s->count)
        return IIR_TIMEOUT;
    if ((s->ier & IER_TX) && s->thre_pending)
        return IIR_TX;
    if ((s->ier & IER_MODEM) && (s->msr & 0x0f))
        return IIR_MODEM;
    return IIR_NONE;
}

static void update_irq(struct ns16550 *s)
{
    irq_set(s->irq, iir(s) != IIR_NONE && (s->mcr & MCR_OUT2 || !s->shared));
}

/* ---- Receiver ---- */

static void plan_timeout(struct ns16550 *s)
{
    s->timed_out = 0;
    if (fifos(s) && s->count && s->count < trigger(s))
        timer_set(&s->timeout, clock_now(s->dev.machine) + 4 * CHAR_NS);
    else
        timer_cancel(&s->timeout);
}

static void timeout_fire(void *owner)
{
    struct ns16550 *s = owner;

    s->timed_out = 1;
    update_irq(s);
}

static void receive_byte(struct ns16550 *s, u8 val)
{
    if (s->count == capacity(s)) {
        s->lsr |= LSR_OE;
        if (!fifos(s))
            s->fifo[s->head] = val; /* the new character replaces the old */
        return;
    }
    s->fifo[(s->head + s->count++) % FIFO] = val;
    s->lsr |= LSR_DR;
}

static u32 ns16550_can_receive(struct device *dev)
{
    struct ns16550 *s = (struct ns16550 *)dev;

    return s->mcr & MCR_LOOP ? 0 : capacity(s) - s->count;
}

static void ns16550_receive(struct device *dev, const u8 *data, u32 n)
{
    struct ns16550 *s = (struct ns16550 *)dev;

    for (u32 i = 0; i < n; i++)
        receive_byte(s, data[i]);
    plan_timeout(s);
    update_irq(s);
}

static void ask_for_more(struct ns16550 *s)
{
    struct chardev *c = chardev_of(s);

    if (c && c->accept_input && ns16550_can_receive(&s->dev))
        c->accept_input(c);
}

static void clear_receiver(struct ns16550 *s)
{
    s->head = s->count = 0;
    s->lsr &= ~LSR_DR;
    plan_timeout(s);
}

static u8 read_rbr(struct ns16550 *s)
{
    u8 val = s->fifo[s->head];

    if (!s->count)
        return val;
    s->count--;
    if (fifos(s))
        s->head = (s->head + 1) % FIFO;
    if (!s->count)
        s->lsr &= ~LSR_DR;
    plan_timeout(s);
    update_irq(s);
    ask_for_more(s);
    return val;
}

/* ---- Transmitter ---- */

/* LSR's transmitter bits now: THRE once the last character is in the shift register. */
static u8 tx_status(struct ns16550 *s)
{
    u64 now = clock_now(s->dev.machine);

    if (now >= s->sent_at)
        return LSR_THRE | LSR_TEMT;
    return now + CHAR_NS >= s->sent_at ? LSR_THRE : 0;
}

/* Only a guest that waits for the interrupt needs to be told when THRE rises; who polls LSR
 * sees it. */
static void plan_thre(struct ns16550 *s)
{
    if (s->ier & IER_TX)
        timer_set(&s->tx, s->sent_at - CHAR_NS);
    else
        timer_cancel(&s->tx);
}

static void tx_fire(void *owner)
{
    struct ns16550 *s = owner;

    s->thre_pending = 1;
    update_irq(s);
}

static void write_thr(struct ns16550 *s, u8 val)
{
    u64 now = clock_now(s->dev.machine), latest = now + (fifos(s) ? FIFO + 1 : 2) * CHAR_NS;
    struct chardev *c = chardev_of(s);

    s->thre_pending = 0;
    s->sent_at = (s->sent_at > now ? s->sent_at : now) + CHAR_NS;
    if (s->sent_at > latest)
        s->sent_at = latest; /* written without looking at THRE: nothing is lost here */
    if (s->mcr & MCR_LOOP) {
        receive_byte(s, val);
        plan_timeout(s);
    } else if (c) {
        c->write(c, &val, 1);
    }
    plan_thre(s);
    update_irq(s);
}

/* ---- Modem lines ---- */

/* What the other end sees: nothing is raised in loopback (TL/C/8652, 8.7). */
static void drive_lines(struct ns16550 *s)
{
    struct chardev *c = chardev_of(s);
    u8 mcr = s->mcr & MCR_LOOP ? 0 : s->mcr;

    if (c && c->lines)
        c->lines(c, mcr & MCR_DTR, mcr & MCR_RTS);
}

/* What the pins say: in loopback the outputs, else a cable with all signals on, or no cable. */
static u8 modem_lines(struct ns16550 *s)
{
    if (!(s->mcr & MCR_LOOP))
        return chardev_of(s) ? MSR_CTS | MSR_DSR | MSR_DCD : 0;
    return (s->mcr & MCR_RTS ? MSR_CTS : 0) | (s->mcr & MCR_DTR ? MSR_DSR : 0) |
           (s->mcr & MCR_OUT1 ? MSR_RI : 0) | (s->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void update_modem(struct ns16550 *s)
{
    u8 lines = modem_lines(s), changed = (lines ^ s->msr) & 0xf0, delta = changed >> 4;

    if ((changed & MSR_RI) && (lines & MSR_RI))
        delta &= ~MSR_TERI; /* only the trailing edge counts */
    s->msr = lines | (s->msr & 0x0f) | delta;
}

/* ---- Registers ---- */

static void write_fcr(struct ns16550 *s, u8 val)
{
    if ((val ^ s->fcr) & FCR_ENABLE)
        val |= FCR_CLEAR_RX | FCR_CLEAR_TX;
    s->fcr = val & FCR_ENABLE ? val & ~(FCR_CLEAR_RX | FCR_CLEAR_TX) : 0;
    if (val & FCR_CLEAR_RX)
        clear_receiver(s);
    if (val & FCR_CLEAR_TX) {
        s->sent_at = clock_now(s->dev.machine);
        s->thre_pending = 1;
    }
    plan_timeout(s);
    update_irq(s);
    ask_for_more(s);
}

static void write_ier(struct ns16550 *s, u8 val)
{
    bool rising = (val & ~s->ier) & IER_TX;

    s->ier = val & 0x0f;
    if (rising && (tx_status(s) & LSR_THRE))
        s->thre_pending = 1;
    else if (rising)
        plan_thre(s);
    update_irq(s);
}

/* A break sent in loopback arrives as a null character with BI. */
static void write_lcr(struct ns16550 *s, u8 val)
{
    bool sends = (val & ~s->lcr) & LCR_BREAK;

    s->lcr = val;
    if (sends && (s->mcr & MCR_LOOP)) {
        receive_byte(s, 0);
        s->lsr |= LSR_BI;
        plan_timeout(s);
        update_irq(s);
    }
}

static void write_mcr(struct ns16550 *s, u8 val)
{
    s->mcr = val & 0x1f;
    update_modem(s);
    drive_lines(s);
    update_irq(s);
    ask_for_more(s);
}

static void ns16550_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct ns16550 *s = (struct ns16550 *)dev;
    bool dlab = s->lcr & LCR_DLAB;

    switch (off) {
    case RBR_THR_DLL:
        if (dlab)
            s->dll = (u8)val;
        else
            write_thr(s, (u8)val);
        break;
    case IER_DLM:
        if (dlab)
            s->dlm = (u8)val;
        else
            write_ier(s, (u8)val);
        break;
    case IIR_FCR:
        write_fcr(s, (u8)val);
        break;
    case LCR:
        write_lcr(s, (u8)val);
        break;
    case MCR:
        write_mcr(s, (u8)val);
        break;
    case SCR:
        s->scr = (u8)val;
        break;
    }
}

/* Reading IIR acknowledges the THRE interrupt when that is what it shows. */
static u8 read_iir(struct ns16550 *s)
{
    u8 val = iir(s);

    if (val == IIR_TX) {
        s->thre_pending = 0;
        update_irq(s);
    }
    return val | (fifos(s) ? IIR_FIFOS : 0);
}

static u8 read_lsr(struct ns16550 *s)
{
    u8 val = s->lsr | tx_status(s);

    s->lsr &= ~LSR_ERRORS;
    update_irq(s);
    return val;
}

static u8 read_msr(struct ns16550 *s)
{
    u8 val = s->msr;

    s->msr &= 0xf0;
    update_irq(s);
    return val;
}

static u32 ns16550_read(struct device *dev, u32 off, enum io_size size)
{
    struct ns16550 *s = (struct ns16550 *)dev;
    bool dlab = s->lcr & LCR_DLAB;

    switch (off) {
    case RBR_THR_DLL:
        return dlab ? s->dll : read_rbr(s);
    case IER_DLM:
        return dlab ? s->dlm : s->ier;
    case IIR_FCR:
        return read_iir(s);
    case LCR:
        return s->lcr;
    case MCR:
        return s->mcr;
    case LSR:
        return read_lsr(s);
    case MSR:
        return read_msr(s);
    default:
        return s->scr;
    }
}

/* Master reset (TL/C/8652, table III). */
/* Another port with the same interrupt? */
static bool shares_irq(struct ns16550 *s)
{
    struct device *d;

    for (u32 i = 0; (d = device_find(s->dev.machine, &ns16550_class, i)); i++)
        if (d != &s->dev && ((struct ns16550 *)d)->irq == s->irq)
            return true;
    return false;
}

static void ns16550_reset(struct device *dev)
{
    struct ns16550 *s = (struct ns16550 *)dev;

    s->shared = shares_irq(s);
    s->ier = s->fcr = s->lcr = s->mcr = s->lsr = 0;
    s->dll = 12; /* undefined on the part: 9600 */
    s->dlm = 0;
    s->thre_pending = 0;
    s->sent_at = 0;
    timer_cancel(&s->tx);
    clear_receiver(s);
    s->msr = modem_lines(s);
    drive_lines(s);
    update_irq(s);
}

static bool ns16550_attach(struct device *dev)
{
    static const struct io_ops ops = { ns16550_read, ns16550_write, IO_8 };
    const struct ns16550_config *config = dev->config;
    struct ns16550 *s = (struct ns16550 *)dev;

    s->irq = irq_isa(dev->machine, config->irq & 15);
    timer_init(&s->tx, dev->machine, tx_fire, s);
    timer_init(&s->timeout, dev->machine, timeout_fire, s);
    if (config->chardev) {
        config->chardev->dev = dev;
        config->chardev->can_receive = ns16550_can_receive;
        config->chardev->receive = ns16550_receive;
    }
    return bus_claim_ports(dev, config->port, 8, &ops);
}

static void ns16550_loaded(struct device *dev)
{
    struct ns16550 *s = (struct ns16550 *)dev;
    u64 latest = clock_now(dev->machine) + (FIFO + 1) * CHAR_NS;

    s->head %= FIFO;
    if (s->count > capacity(s))
        s->count = capacity(s);
    if (s->sent_at > latest)
        s->sent_at = latest;
    if (!s->thre_pending && s->sent_at >= CHAR_NS && !(tx_status(s) & LSR_THRE))
        plan_thre(s);
    plan_timeout(s);
    update_irq(s);
}

static const struct field ns16550_fields[] = {
    FIELD(struct ns16550, ier), FIELD(struct ns16550, fcr), FIELD(struct ns16550, lcr),
    FIELD(struct ns16550, mcr), FIELD(struct ns16550, lsr), FIELD(struct ns16550, msr),
    FIELD(struct ns16550, scr), FIELD(struct ns16550, dll), FIELD(struct ns16550, dlm),
    FIELD_ARRAY(struct ns16550, fifo), FIELD(struct ns16550, head),
    FIELD(struct ns16550, count), FIELD(struct ns16550, thre_pending),
    FIELD(struct ns16550, sent_at), FIELD_END,
};

const struct device_class ns16550_class = {
    .name = "ns16550",
    .size = sizeof(struct ns16550),
    .attach = ns16550_attach,
    .reset = ns16550_reset,
    .loaded = ns16550_loaded,
    .fields = ns16550_fields,
};

/* ---- Which COM it is ---- */

bool ns16550_place(struct ns16550_config *config, u32 index)
{
    static const u16 port[] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
    static const u8 irq[] = { 4, 3, 4, 3 };

    if (index >= ARRAY_SIZE(port))
        return false;
    if (!config->port)
        config->port = port[index];
    if (!config->irq)
        config->irq = irq[index];
    return true;
}

enum { NEXT_COM = 0xff };

static const char *isa_serial_complete(struct machine *m, void *config)
{
    struct ns16550_config *c = config;
    bool placed =
        ns16550_place(c, c->index == NEXT_COM ? device_count(m, &ns16550_class) : c->index);

    if (!placed && !(c->port && c->irq))
        return "there are 4 serial ports; more want iobase= and irq=";
    return c->port > 0xfff8 ? "iobase= leaves no room for 8 ports" : NULL;
}

static const struct ns16550_config isa_serial_defaults = { .index = NEXT_COM };
static const struct key_row isa_serial_keys[] = {
    { "chardev", KEY_CHARDEV, offsetof(struct ns16550_config, chardev), .required = true },
    { "index", KEY_U8, offsetof(struct ns16550_config, index), .max = 3,
      .help = "0: COM1; the next" },
    { "iobase", KEY_U16, offsetof(struct ns16550_config, port), .help = "by index" },
    { "irq", KEY_U8, offsetof(struct ns16550_config, irq), .max = 15, .help = "by index" },
    { NULL },
};

const struct user_device isa_serial_user_device = {
    .name = "isa-serial",
    .help = "serial port",
    .category = INPUT_DEVICE,
    .bus = BUS_ISA,
    .class = &ns16550_class,
    .config_size = sizeof(struct ns16550_config),
    .defaults = &isa_serial_defaults,
    .properties = isa_serial_keys,
    .complete = isa_serial_complete,
};
