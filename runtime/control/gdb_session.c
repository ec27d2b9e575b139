/*
 * GDB's remote serial protocol for one processor: packets in, answers out. GDB's manual,
 * appendix "GDB Remote Serial Protocol".
 *
 * Commands that let the guest run are answered when it stands again, by gdb_session_turn():
 *
 *   stopped ── c ──▶ running ── a point, Ctrl+C, somebody's stop ──▶ stopped
 *      └── s: one instruction, at once; told in the turn that serves its events
 */
#include "cpu/debugger.h"
#include "runtime/control/control.h"
#include "runtime/control/gdb_private.h"
#include "runtime/machine/run.h"

#include <stdarg.h>
#include <stdlib.h>

enum { SIGNAL_INT = 2, SIGNAL_QUIT = 3, SIGNAL_TRAP = 5 }; /* as GDB numbers them */

/* ---- Answers ---- */

void gdb_say(struct gdb_session *s, const char *fmt, ...)
{
    u32 room = sizeof(s->answer) - s->answer_size;
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(s->answer + s->answer_size, room, fmt, args);
    va_end(args);
    check(n >= 0 && (u32)n < room, "an answer of %d bytes to a debugger", n);
    s->answer_size += (u32)n;
}

void gdb_say_bytes(struct gdb_session *s, const void *data, u32 n)
{
    check(2 * n < sizeof(s->answer) - s->answer_size, "%u bytes for a debugger", n);
    gdb_hex(s->answer + s->answer_size, data, n);
    s->answer_size += 2 * n;
}

void gdb_send_answer(struct gdb_session *s)
{
    trace(TRACE_GDB, "< %.*s", (int)s->answer_size, s->answer);
    s->frame_size = gdb_packet_frame(s->frame, s->answer, s->answer_size);
    s->answer_size = 0;
    s->send(s->arg, s->frame, s->frame_size);
}

/* ---- Stopping and going on ---- */

static void say_stop(struct gdb_session *s, u32 signal, const struct debug_hit *hit)
{
    static const char *const kinds[] = {
        [POINT_WRITE] = "watch",
        [POINT_READ] = "rwatch",
        [POINT_ACCESS] = "awatch",
    };

    gdb_say(s, "T%02xthread:01;", signal);
    if (hit && hit->kind != POINT_EXEC)
        gdb_say(s, "%s:%x;", kinds[hit->kind], hit->gla);
}

void gdb_say_why(struct gdb_session *s)
{
    say_stop(s, SIGNAL_TRAP, NULL);
}

static void tell_stop(struct gdb_session *s, u32 signal, const struct debug_hit *hit)
{
    s->running = s->stepped = s->asked = false;
    say_stop(s, signal, hit);
    gdb_send_answer(s);
}

void gdb_session_turn(struct gdb_session *s)
{
    struct debug_hit hit;
    bool was_hit = cpu_debugger_hit(s->m->cpu, &hit);

    if (was_hit || s->asked) {
        control_stop(s->m);
        s->holds = true;
    }
    if (s->stepped)
        tell_stop(s, SIGNAL_TRAP, was_hit ? &hit : NULL);
    else if (s->running && s->m->state == RUN_SHUTDOWN)
        tell_stop(s, SIGNAL_QUIT, NULL);
    else if (s->running && !machine_time_passes(s->m))
        tell_stop(s, was_hit ? SIGNAL_TRAP : SIGNAL_INT, was_hit ? &hit : NULL);
    s->asked = false;
}

void gdb_go_on(struct gdb_session *s)
{
    struct debug_hit hit;

    s->silent = s->running = true;
    if (s->m->state != RUN_PAUSED)
        return;
    cpu_debugger_hit(s->m->cpu, &hit); /* old news */
    cpu_debugger_pass(s->m->cpu);
    s->holds = false;
    control_cont(s->m);
}

void gdb_step(struct gdb_session *s)
{
    struct debug_hit hit;

    s->silent = true;
    if (s->m->state == RUN_PAUSED) {
        cpu_debugger_hit(s->m->cpu, &hit);
        cpu_debugger_step(s->m->cpu);
        s->holds = true;
    }
    s->stepped = true;
}

/* ---- Its life ---- */

static void take_byte(struct gdb_session *s, u8 byte)
{
    switch (gdb_packet_byte(&s->reader, byte)) {
    case GDB_COMMAND:
        if (!s->no_ack)
            s->send(s->arg, "+", 1);
        gdb_command_run(s);
        break;
    case GDB_DAMAGED:
        if (!s->no_ack)
            s->send(s->arg, "-", 1);
        break;
    case GDB_AGAIN:
        if (!s->no_ack && s->frame_size)
            s->send(s->arg, s->frame, s->frame_size);
        break;
    case GDB_INTERRUPT:
        trace(TRACE_GDB, "> Ctrl+C");
        s->asked = s->running;
        break;
    case GDB_NOTHING:
        break;
    }
}

void gdb_session_input(struct gdb_session *s, const u8 *data, u32 n)
{
    for (u32 i = 0; i < n; i++)
        take_byte(s, data[i]);
}

struct gdb_session *gdb_session_new(struct machine *m,
                                    void (*send)(void *arg, const char *data, u32 n), void *arg)
{
    struct gdb_session *s = calloc(1, sizeof(*s));

    check(s, "out of memory");
    s->m = m;
    s->send = send;
    s->arg = arg;
    s->holds = machine_time_passes(m);
    cpu_debugger_attach(m->cpu);
    control_stop(m);
    return s;
}

void gdb_session_free(struct gdb_session *s)
{
    if (!s)
        return;
    cpu_debugger_detach(s->m->cpu);
    if (s->holds && !s->m->quit)
        control_cont(s->m);
    free(s->xml);
    free(s);
}

void gdb_session_exit(struct gdb_session *s, int status)
{
    gdb_say(s, "W%02x", status & 0xff);
    gdb_send_answer(s);
}
