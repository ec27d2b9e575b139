/*
 * A debugger's session from inside: what the conversation (gdb_session.c) and its commands
 * (gdb_commands.c) share.
 */
#ifndef RING3_GDB_PRIVATE_H
#define RING3_GDB_PRIVATE_H

#include "runtime/control/gdb_packet.h"
#include "runtime/control/gdb_session.h"

struct gdb_session {
    struct machine *m;
    void (*send)(void *arg, const char *data, u32 n);
    void *arg;
    struct gdb_reader reader;
    char answer[GDB_PACKET];
    u32 answer_size;
    char frame[GDB_FRAMED(GDB_PACKET)]; /* the last answer, as it was sent */
    u32 frame_size;
    bool no_ack;
    bool silent;  /* the command has no answer, or not yet */
    bool running; /* the client waits for a stop */
    bool stepped; /* an instruction has run, and nothing was said of it yet */
    bool asked;   /* Ctrl+C */
    bool holds;   /* the guest stands still because of the client */
    char *xml;
};

/* Adds to the answer, which takes GDB_PACKET bytes in all. */
void gdb_say(struct gdb_session *s, const char *fmt, ...) PRINTF(2, 3);
void gdb_say_bytes(struct gdb_session *s, const void *data, u32 n); /* as hexadecimal digits */
void gdb_say_why(struct gdb_session *s); /* why it stands still: T05… */
void gdb_send_answer(struct gdb_session *s);

/* Lets the guest run, or runs one instruction: the answer comes when it stops. */
void gdb_go_on(struct gdb_session *s);
void gdb_step(struct gdb_session *s);

/* Runs the command in s->reader, which answers, now or later. */
void gdb_command_run(struct gdb_session *s);

#endif
