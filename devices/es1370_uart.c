/*
 * The ES1370's UART for MIDI (names as in Linux's driver), 31250 baud, 10 bits a byte. Nothing
 * is plugged into the port: what is sent is gone, and nothing ever comes in.
 *
 *   08 data
 *   09 read: status    bit 7 RXINT, 2 TXINT, 1 TXRDY, 0 RXRDY
 *      written: control  bit 7 RXINTEN, 6-5 TXINTEN (01: on), 1-0 CNTRL (11: software reset)
 *   0A reserved        bit 0 test mode: the bus's clock drives the UART
 *
 * The transmitter holds one byte, and is ready again when that has left. TXINT is a level:
 * ready and TXINTEN is 01. It reaches the chip's status while control's UART_EN is set; without
 * that, a written byte does not leave for anywhere, and takes no time.
 */
#include "devices/es1370_private.h"

enum {
    TXINT = 0x04,
    TXRDY = 0x02,
    TXINTEN = 0x60,
    TXINTEN_ON = 0x20,
    CNTRL = 0x03,
    CNTRL_RESET = 0x03,
    TEST_MODE = 0x01,
    CONTROL_UART_EN = 0x08, /* of the chip's control */
    BYTE = 320000,          /* ns: 10 bits at 31250 baud */
    TEST_BYTE = 4800,       /* 16 clocks of 33.3 MHz a bit */
};

static bool ready(const struct es1370 *s)
{
    return clock_now(s->dev.machine) >= s->uart_ready_at;
}

bool es1370_uart_interrupts(const struct es1370 *s)
{
    return s->control & CONTROL_UART_EN && (s->uart & TXINTEN) == TXINTEN_ON && ready(s);
}

u32 es1370_uart_read(const struct es1370 *s)
{
    u32 val = (ready(s) ? TXRDY : 0) | (es1370_uart_interrupts(s) ? TXINT : 0);

    return val << 8 | (u32)s->uart_test << 16;
}

static void send(struct es1370 *s)
{
    if (!(s->control & CONTROL_UART_EN) || !ready(s))
        return;
    s->uart_ready_at = clock_now(s->dev.machine) + (s->uart_test ? TEST_BYTE : BYTE);
    timer_set(&s->uart_timer, s->uart_ready_at);
}

void es1370_uart_write(struct es1370 *s, u32 val, u32 mask)
{
    if (mask & 0xff)
        send(s);
    if (mask & 0xff00)
        s->uart = (u8)(val >> 8);
    if (mask & 0xff0000)
        s->uart_test = val >> 16 & TEST_MODE;
    if ((s->uart & CNTRL) == CNTRL_RESET)
        es1370_uart_stop(s);
}

void es1370_uart_stop(struct es1370 *s)
{
    s->uart_ready_at = 0;
    timer_cancel(&s->uart_timer);
}

void es1370_uart_loaded(struct es1370 *s)
{
    u64 last = clock_now(s->dev.machine) + BYTE;

    s->uart_test &= TEST_MODE;
    if (s->uart_ready_at > last)
        s->uart_ready_at = last;
    timer_cancel(&s->uart_timer);
    if (!ready(s))
        timer_set(&s->uart_timer, s->uart_ready_at);
}
