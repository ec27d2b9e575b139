/*
 * An IBM enhanced keyboard (101/102 keys) on the PS/2 port: scan code sets 1, 2 and 3, the
 * commands ED to FF, typematic repeat. Facts: IBM PS/2 Hardware Interface Technical Reference,
 * "Keyboards (101/102-key)"; Microsoft "Keyboard Scan Code Specification" 1.3a, appendix C.
 *
 * Keys come from the window as set 1 codes (runtime/control/keys.def). A key that is down
 * already is not pressed again: repeating is the keyboard's, at the rate the guest asked for.
 */
#include "devices/ps2.h"

enum {
    CMD_LEDS = 0xed, CMD_ECHO = 0xee, CMD_SCAN_SET = 0xf0, CMD_IDENTIFY = 0xf2, CMD_RATE = 0xf3,
    CMD_ENABLE = 0xf4, CMD_DISABLE = 0xf5, CMD_DEFAULT = 0xf6, CMD_ALL_FIRST = 0xf7,
    CMD_ALL_LAST = 0xfa, CMD_KEY_FIRST = 0xfb, CMD_KEY_LAST = 0xfd, CMD_RESEND = 0xfe,
    CMD_RESET = 0xff,
    KEY_PAUSE = 0xe11d, KEY_PRINT = 0xe037,
    RATE_DEFAULT = 0x2b, /* 500 ms, then 10.9 a second */
};
enum key_type { TYPE_MAKE = 0, TYPE_REPEAT = 1, TYPE_BREAK = 2 };

/* clang-format off */
const u8 ps2_set2_to_set1[256] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
    0x80, 0x81, 0x82, 0x41, 0x54, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f,
    0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f,
    0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf,
    0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf,
    0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf,
    0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf,
    0xe0, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee, 0xef,
    0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff,
};

/* Set 3 by the code of set 1; the second half are the keys with an E0 prefix. */
static const u8 set3[256] = {
    [0x01] = 0x08, 0x16, 0x1e, 0x26, 0x25, 0x2e, 0x36, 0x3d, 0x3e, 0x46, 0x45, 0x4e, 0x55, 0x66, 0x0d,
    [0x10] = 0x15, 0x1d, 0x24, 0x2d, 0x2c, 0x35, 0x3c, 0x43, 0x44, 0x4d, 0x54, 0x5b, 0x5a, 0x11, 0x1c, 0x1b,
    [0x20] = 0x23, 0x2b, 0x34, 0x33, 0x3b, 0x42, 0x4b, 0x4c, 0x52, 0x0e, 0x12, 0x5c, 0x1a, 0x22, 0x21, 0x2a,
    [0x30] = 0x32, 0x31, 0x3a, 0x41, 0x49, 0x4a, 0x59, 0x7e, 0x19, 0x29, 0x14, 0x07, 0x0f, 0x17, 0x1f, 0x27,
    [0x40] = 0x2f, 0x37, 0x3f, 0x47, 0x4f, 0x76, 0x5f, 0x6c, 0x75, 0x7d, 0x84, 0x6b, 0x73, 0x74, 0x7c, 0x69,
    [0x50] = 0x72, 0x7a, 0x70, 0x71, 0x57, 0x00, 0x13, 0x56, 0x5e,
    [0x9c] = 0x79, 0x58, /* keypad Enter, right Ctrl */
    [0xb5] = 0x77, [0xb7] = 0x57, 0x39, /* keypad /, Print, right Alt */
    [0xc7] = 0x6e, 0x63, 0x6f, [0xcb] = 0x61, [0xcd] = 0x6a, [0xcf] = 0x65,
    [0xd0] = 0x60, 0x6d, 0x67, 0x64, [0xdb] = 0x8b, 0x8c, 0x8d,
};
#define SET3_PAUSE 0x62

/* Keys of set 3 that do not repeat by default; the others are typematic. */
static const u8 set3_make_break[] = { 0x11, 0x12, 0x14, 0x19, 0x59 };
static const u8 set3_make_only[] = {
    0x07, 0x08, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x39, 0x3f, 0x47, 0x4f, 0x56, 0x57, 0x58, 0x5e,
    0x5f, 0x62, 0x65, 0x67, 0x69, 0x6c, 0x6d, 0x6e, 0x6f, 0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76,
    0x77, 0x79, 0x7a, 0x7d, 0x7e, 0x84, 0x8b, 0x8c, 0x8d,
};
/* clang-format on */

static u8 key_index(u16 key)
{
    if (key == KEY_PAUSE)
        return 0x80;
    return (key & 0x7f) | (key >> 8 == 0xe0 ? 0x80 : 0);
}

static bool is_down(const struct ps2kbd *k, u8 code)
{
    return k->down[code] || k->down[code | 0x80];
}

#define HELD_CTRL(k) is_down(k, 0x1d)
#define HELD_ALT(k) is_down(k, 0x38)
#define HELD_SHIFT(k) (is_down(k, 0x2a) || is_down(k, 0x36))

/* ---- Codes ---- */

/* A sequence in set 1; set 2 says the same with its own codes and F0 before a break. */
static void send_set12(struct ps2kbd *k, const u8 *set1, u32 n)
{
    u8 out[16];
    u32 length = 0;

    for (u32 i = 0; i < n; i++) {
        u8 code = set1[i] & 0x7f, two = 0;
        if (k->set == 1 || set1[i] == 0xe0 || set1[i] == 0xe1) {
            out[length++] = set1[i];
            continue;
        }
        for (u32 c = 0; c < 0x85; c++)
            if (ps2_set2_to_set1[c] == code)
                two = (u8)c;
        if (set1[i] & 0x80)
            out[length++] = 0xf0;
        out[length++] = two;
    }
    if (!ps2_put(&k->port.event, out, length))
        trace(TRACE_NYI, "keyboard: buffer overrun, key lost");
    k->port.ready(k->port.owner);
}

#define SEND(k, ...)                                                                           \
    send_set12(k, (const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

static void send_pause(struct ps2kbd *k, bool down)
{
    if (!down)
        return; /* the make code says it all */
    if (HELD_CTRL(k))
        SEND(k, 0xe0, 0x46, 0xe0, 0xc6); /* Break */
    else
        SEND(k, 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5);
}

/* Print comes with a shift of its own, unless one is held; with Alt it is SysRq. */
static void send_print(struct ps2kbd *k, bool down)
{
    if (HELD_ALT(k))
        SEND(k, down ? 0x54 : 0xd4);
    else if (HELD_CTRL(k) || HELD_SHIFT(k))
        SEND(k, 0xe0, down ? 0x37 : 0xb7);
    else if (down)
        SEND(k, 0xe0, 0x2a, 0xe0, 0x37);
    else
        SEND(k, 0xe0, 0xb7, 0xe0, 0xaa);
}

static void send_set3(struct ps2kbd *k, u16 key, bool down, bool repeat)
{
    u8 code = key == KEY_PAUSE ? SET3_PAUSE : set3[key_index(key)];
    u8 out[2] = { 0xf0, code }, type = k->types[code % PS2_SET3_KEYS];

    if (!code || (!down && !(type & TYPE_BREAK)) || (repeat && !(type & TYPE_REPEAT)))
        return;
    ps2_put(&k->port.event, down ? out + 1 : out, down ? 1 : 2);
    k->port.ready(k->port.owner);
}

static void send_key(struct ps2kbd *k, u16 key, bool down, bool repeat)
{
    u8 code = (key & 0x7f) | (down ? 0 : 0x80);

    if (k->set == 3)
        send_set3(k, key, down, repeat);
    else if (key == KEY_PAUSE)
        send_pause(k, down);
    else if (key == KEY_PRINT)
        send_print(k, down);
    else if (key >> 8 == 0xe0)
        SEND(k, 0xe0, code);
    else
        SEND(k, code);
}

/* ---- Keys and repeating ---- */

static u64 repeat_delay(const struct ps2kbd *k)
{
    return MSEC(250) * ((k->rate >> 5 & 3) + 1);
}

static u64 repeat_period(const struct ps2kbd *k)
{
    return USEC(4170) * ((8 + (k->rate & 7)) << (k->rate >> 3 & 3));
}

/* A guest that does not read gets no further repeats. */
static void repeat_fire(void *owner)
{
    struct ps2kbd *k = owner;

    if (!k->repeating || !k->scanning)
        return;
    if (!k->port.event.count)
        send_key(k, k->repeating, true, true);
    timer_set(&k->repeat, clock_now(k->port.machine) + repeat_period(k));
}

void ps2kbd_key(struct ps2kbd *k, u16 key, bool down)
{
    u8 *was = &k->down[key_index(key)];

    if (*was == down)
        return;
    *was = down;
    if (down && key != KEY_PAUSE) {
        k->repeating = key;
        timer_set(&k->repeat, clock_now(k->port.machine) + repeat_delay(k));
    } else if (key == k->repeating) {
        k->repeating = 0;
        timer_cancel(&k->repeat);
    }
    if (k->scanning)
        send_key(k, key, down, false);
}

/* ---- Commands ---- */

static void set_types(struct ps2kbd *k, const u8 *codes, u32 n, u8 type)
{
    for (u32 i = 0; i < n; i++)
        k->types[codes[i]] = type;
}

static void set_defaults(struct ps2kbd *k)
{
    k->rate = RATE_DEFAULT;
    k->set = 2;
    for (u32 i = 0; i < PS2_SET3_KEYS; i++)
        k->types[i] = TYPE_REPEAT;
    set_types(k, set3_make_break, ARRAY_SIZE(set3_make_break), TYPE_BREAK);
    set_types(k, set3_make_only, ARRAY_SIZE(set3_make_only), TYPE_MAKE);
}

static void drop_events(struct ps2kbd *k)
{
    k->port.event.head = k->port.event.count = 0;
}

/* Keys held stay known as down, so that their release is reported. */
void ps2kbd_reset(struct ps2kbd *k)
{
    set_defaults(k);
    k->scanning = 1;
    k->leds = 0;
    k->port.expects = 0;
    k->port.reply.head = k->port.reply.count = 0;
    k->repeating = 0;
    timer_cancel(&k->repeat);
    drop_events(k);
}

/* The byte after ED, F0, F3, or one of a list after FB to FD. */
static void parameter(struct ps2kbd *k, u8 command, u8 val)
{
    static const u8 types[] = { TYPE_REPEAT, TYPE_BREAK, TYPE_MAKE };

    ps2_reply(&k->port, PS2_ACK);
    if (command == CMD_LEDS)
        k->leds = val & 7;
    else if (command == CMD_RATE)
        k->rate = val & 0x7f;
    else if (command == CMD_SCAN_SET && val == 0)
        ps2_reply(&k->port, k->set);
    else if (command == CMD_SCAN_SET && val <= 3)
        k->set = val;
    else if (command >= CMD_KEY_FIRST && val < PS2_SET3_KEYS)
        k->types[val] = types[command - CMD_KEY_FIRST];
    k->port.expects = command >= CMD_KEY_FIRST ? command : 0;
}

static void all_keys(struct ps2kbd *k, u8 command)
{
    static const u8 types[] = { TYPE_REPEAT, TYPE_BREAK, TYPE_MAKE, TYPE_REPEAT | TYPE_BREAK };

    for (u32 i = 0; i < PS2_SET3_KEYS; i++)
        k->types[i] = types[command - CMD_ALL_FIRST];
}

static void reply_id(struct ps2kbd *k)
{
    ps2_reply(&k->port, 0xab);
    ps2_reply(&k->port, 0x83);
}

static void enable_or_default(struct ps2kbd *k, u8 command)
{
    drop_events(k);
    if (command != CMD_ENABLE)
        set_defaults(k);
    k->scanning = command != CMD_DISABLE;
}

void ps2kbd_command(struct ps2kbd *k, u8 val)
{
    u8 waiting = k->port.expects;

    k->port.expects = 0;
    if (waiting && val < CMD_LEDS) {
        parameter(k, waiting, val);
        return;
    }
    if (val == CMD_ECHO || val == CMD_RESEND) {
        ps2_reply(&k->port, val == CMD_ECHO ? PS2_ECHO : k->port.last);
        return;
    }
    if (val < CMD_LEDS || val == 0xef || val == 0xf1) {
        ps2_reply(&k->port, PS2_RESEND);
        return;
    }
    if (val == CMD_RESET)
        ps2kbd_reset(k);
    ps2_reply(&k->port, PS2_ACK);
    if (val == CMD_LEDS || val == CMD_RATE || val == CMD_SCAN_SET ||
        (val >= CMD_KEY_FIRST && val <= CMD_KEY_LAST))
        k->port.expects = val;
    else if (val == CMD_IDENTIFY)
        reply_id(k);
    else if (val == CMD_RESET)
        ps2_reply(&k->port, PS2_BAT_OK);
    else if (val >= CMD_ALL_FIRST && val <= CMD_ALL_LAST)
        all_keys(k, val);
    else
        enable_or_default(k, val);
}

void ps2kbd_init(struct ps2kbd *k, struct machine *m, void (*ready)(void *owner), void *owner)
{
    ps2_port_init(&k->port, m, ready, owner);
    timer_init(&k->repeat, m, repeat_fire, k);
    ps2kbd_reset(k);
}

void ps2kbd_loaded(struct ps2kbd *k)
{
    ps2_port_loaded(&k->port);
    if (k->set < 1 || k->set > 3)
        k->set = 2;
    k->repeating = 0;
    timer_cancel(&k->repeat);
}
