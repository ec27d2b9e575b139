/*
 * -display curses: the guest's text modes in a terminal, in colour, with its cursor; the
 * keyboard as far as a terminal passes it on. Graphics modes are named, not shown.
 *
 * The last line of the terminal shows the keys where there is room below the guest's screen; in
 * a lower terminal the rows around the cursor are shown, and the keys for the first seconds.
 * Ctrl+] is ours: then q quits, p pauses or continues, r resets, d is Ctrl+Alt+Delete, l draws
 * the screen again, ] types Ctrl+]. There is one terminal a process; its state is ncurses' own.
 */
#include <curses.h> /* first: it declares a trace(), which is a macro of ours */

#include "runtime/screen/curses.h"
#include "devices/vga.h"
#include "runtime/control/control.h"
#include "runtime/control/keyqueue.h"
#include "runtime/machine/loop.h"
#include "runtime/machine/machine.h"
#include "runtime/screen/cp437.h"
#include "runtime/screen/curses_keys.h"

#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PREFIX = 29 /* Ctrl+] */, ESCAPE = 27, REFRESH = 30, HINT_SECONDS = 5 };
#define KEY_STEP MSEC(4) /* between the movements of a typed key */

struct terminal {
    struct display display;
    struct machine *machine;
    struct ticker ticker;
    bool prefixed;     /* Ctrl+] came: the next key is ours */
    bool redraw;
    u64 hint_until;    /* host time: the status line covers the guest's last row */
    u64 generation;    /* of the frame shown */
    char status[256];  /* shown */
    int attr_pair[256]; /* colour pair of a VGA attribute's two colours */
};

/* ---- Colours ---- */

/* VGA counts blue, green, red; terminals red, green, blue. */
static short terminal_color(u32 vga)
{
    return (vga & 8) | (vga & 1) << 2 | (vga & 2) | (vga & 4) >> 2;
}

static void make_pairs(struct terminal *t)
{
    u32 inks = COLORS >= 16 ? 16 : 8;

    if (!has_colors())
        return;
    start_color();
    for (u32 attr = 0; attr < 256; attr++) {
        u32 ink = attr % inks, paper = attr / 16 % inks, pair = 1 + paper * inks + ink;

        if ((int)pair >= COLOR_PAIRS)
            continue;
        init_pair(pair, terminal_color(ink), terminal_color(paper));
        t->attr_pair[attr] = pair;
    }
}

static attr_t cell_attr(u8 attr, bool blink)
{
    attr_t a = blink ? A_BLINK : 0;

    if (COLORS < 16 && attr & 0x08)
        a |= A_BOLD;
    if (!has_colors() && attr & 0x70 && !(attr & 0x07))
        a |= A_REVERSE;
    return a;
}

/* ---- Drawing ---- */

static void draw_cell(struct terminal *t, int y, int x, u16 cell, bool bit7_blinks)
{
    wchar_t text[2] = { cp437[cell & 255], 0 };
    bool blink = bit7_blinks && cell & 0x8000;
    u8 attr = cell >> 8 & (bit7_blinks ? 0x7f : 0xff);
    cchar_t c;

    setcchar(&c, text, cell_attr(attr, blink), t->attr_pair[attr], NULL);
    mvadd_wch(y, x, &c);
}

/* First guest row shown: all of them from 0, or those around the cursor. */
static int first_row(const struct text_screen *s, int room)
{
    int first = s->cursor_y < room ? 0 : s->cursor_y - room + 1;

    return (int)s->rows <= room ? 0 : first;
}

static void draw_text(struct terminal *t, const struct text_screen *s)
{
    int first = first_row(s, LINES);

    for (int y = 0; y < LINES && first + y < (int)s->rows; y++)
        for (int x = 0; x < COLS && x < (int)s->columns; x++)
            draw_cell(t, y, x, s->cells[(first + y) * s->columns + x], s->blink);
    curs_set(s->cursor_x >= 0);
    if (s->cursor_x >= 0 && s->cursor_x < COLS)
        move(s->cursor_y - first, s->cursor_x);
}

static void draw_graphics(const struct frame *f)
{
    char text[80];
    int length = snprintf(text, sizeof(text), "graphics mode %ux%u: no text to show", f->width,
                          f->height);

    curs_set(0);
    mvaddnstr(LINES / 2, COLS > length ? (COLS - length) / 2 : 0, text, COLS);
}

static void status_text(struct terminal *t, char *buf, size_t size)
{
    char title[160];

    display_title(t->machine, title, sizeof(title));
    snprintf(buf, size, "%s - %s", title,
             t->prefixed
                 ? "q quit  p pause/continue  r reset  d Ctrl+Alt+Del  l redraw  ] Ctrl+]"
                 : "Ctrl+] q quits, Ctrl+] shows more keys");
}

/* Is there a line below the guest's screen, or a reason to cover its last? */
static bool status_shown(struct terminal *t, u32 rows)
{
    return (int)rows < LINES || t->prefixed || host_monotonic() < t->hint_until ||
           t->machine->state != RUN_RUNNING;
}

static void draw_status(struct terminal *t, const char *status)
{
    int y, x;

    getyx(stdscr, y, x);
    attron(A_REVERSE);
    mvhline(LINES - 1, 0, ' ', COLS);
    mvaddnstr(LINES - 1, 0, status, COLS);
    attroff(A_REVERSE);
    move(y, x);
}

/* Draws what changed: ncurses sends only the difference. */
static void draw(struct terminal *t)
{
    struct frame f;
    struct text_screen s = { 0 };
    char status[256] = "";
    bool text;

    vga_draw(t->machine->vga, &f);
    text = vga_text(t->machine->vga, &s);
    if (status_shown(t, text ? s.rows : 0))
        status_text(t, status, sizeof(status));
    if (f.generation == t->generation && !t->redraw && !strcmp(status, t->status))
        return;
    t->generation = f.generation;
    t->redraw = false;
    memcpy(t->status, status, sizeof(status));
    erase();
    if (text)
        draw_text(t, &s);
    else
        draw_graphics(&f);
    if (*status)
        draw_status(t, status);
    refresh();
}

/* ---- Input ---- */

static void type_keys(struct terminal *t, struct key_combo k)
{
    if (k.count)
        control_send_keys(t->machine, k.keys, k.count, KEY_STEP);
}

static void pause_or_continue(struct machine *m)
{
    if (m->state == RUN_RUNNING)
        control_stop(m);
    else
        control_cont(m);
}

/* The key after Ctrl+]. */
static void own_key(struct terminal *t, int c)
{
    static const struct key_combo ctrl_alt_del = { { 0x1d, 0x38, 0xe053 }, 3 };

    t->prefixed = false;
    switch (c) {
    case 'q': control_quit(t->machine, "host-ui"); break;
    case 'p': pause_or_continue(t->machine); break;
    case 'r': control_reset(t->machine); break;
    case 'd': type_keys(t, ctrl_alt_del); break;
    case 'l': clearok(stdscr, TRUE); break;
    case ']': type_keys(t, key_combo_from_curses(PREFIX, false)); break;
    }
    t->redraw = true;
}

static void on_key(struct terminal *t, int c)
{
    int next;

    if (c == KEY_RESIZE) {
        clearok(stdscr, TRUE);
        t->redraw = true;
    } else if (t->prefixed) {
        own_key(t, c);
    } else if (c == PREFIX) {
        t->prefixed = true;
    } else if (c == ESCAPE && (next = getch()) != ERR) { /* Alt, as terminals send it */
        type_keys(t, key_combo_from_curses(next, true));
    } else {
        type_keys(t, key_combo_from_curses(c, false));
    }
}

static void on_input(void *arg, u32 events)
{
    struct terminal *t = arg;
    int c;

    while (!t->machine->quit && (c = getch()) != ERR)
        on_key(t, c);
    draw(t);
}

static void on_tick(void *owner)
{
    draw(owner);
}

/* ---- Opening and closing ---- */

static void leave_terminal(void)
{
    if (!isendwin())
        endwin();
}

static void on_abort(int sig)
{
    leave_terminal();
    signal(sig, SIG_DFL);
    raise(sig);
}

static void curses_close(struct display *d)
{
    struct terminal *t = (struct terminal *)d;

    ticker_stop(&t->ticker, t->machine);
    loop_remove(t->machine, STDIN_FILENO);
    leave_terminal();
}

static bool enter_terminal(void)
{
    setlocale(LC_CTYPE, "");
    set_escdelay(25);
    if (!newterm(NULL, stdout, stdin))
        return false;
    raw();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    atexit(leave_terminal);
    signal(SIGABRT, on_abort);
    return true;
}

static struct display *curses_open(struct machine *m, const char **error)
{
    struct terminal *t = machine_alloc(m, sizeof(*t));

    t->machine = m;
    t->redraw = true;
    t->hint_until = host_monotonic() + SEC(HINT_SECONDS);
    *error = "the board has no video";
    if (!m->vga)
        return NULL;
    *error = "standard input and output are no terminal";
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return NULL;
    *error = "this terminal (TERM) is not known to ncurses";
    if (!enter_terminal())
        return NULL;
    make_pairs(t);
    loop_add(m, STDIN_FILENO, LOOP_READ, on_input, t);
    *error = "no timer";
    return ticker_start(&t->ticker, m, REFRESH, on_tick, t) ? &t->display : NULL;
}

static bool curses_suits(void)
{
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

const struct display_backend curses_backend = {
    .name = "curses",
    .terminal = true,
    .suits = curses_suits,
    .failed = "-display curses",
    .instead = "",
    .open = curses_open,
    .close = curses_close,
};
