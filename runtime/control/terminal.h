/*
 * The user's terminal.
 */
#ifndef RING3_TERMINAL_H
#define RING3_TERMINAL_H

#include "runtime/base/base.h"

/* Bytes as typed, no echo. signals: Ctrl+C still interrupts. The state before comes back at
 * every exit, by signal too. No effect where fd is no terminal. */
void terminal_raw(int fd, bool signals);
void terminal_restore(void);

#endif
