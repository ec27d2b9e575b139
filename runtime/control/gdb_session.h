/*
 * A conversation with a debugger in GDB's remote serial protocol (gdb_session.c), whatever
 * carries it.
 *
 * Its beginning stops the guest. Its end lets it go on, if the debugger is what it stands for.
 */
#ifndef RING3_GDB_SESSION_H
#define RING3_GDB_SESSION_H

#include "runtime/base/base.h"

struct gdb_session;

/* send() takes bytes for the client, at any time until gdb_session_free(). */
struct gdb_session *
gdb_session_new(struct machine *m, void (*send)(void *arg, const char *data, u32 n), void *arg);
/* The client is gone; its points with it. NULL is fine. */
void gdb_session_free(struct gdb_session *s);
/* What the client has sent. */
void gdb_session_input(struct gdb_session *s, const u8 *data, u32 n);
/* Once a turn of the run loop: has the guest stopped? */
void gdb_session_turn(struct gdb_session *s);
/* The program ends. */
void gdb_session_exit(struct gdb_session *s, int status);

#endif
