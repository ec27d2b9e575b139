/*
 * The window's own keys and what is dropped on it.
 */
#ifndef RING3_WINDOW_KEYS_H
#define RING3_WINDOW_KEYS_H

#include "runtime/screen/window.h"

/* Ctrl+Alt and that scancode: true if it is one of ours, and has been obeyed. */
bool window_hot_key(struct window *w, u32 scancode);
/* A file was dropped: into the floppy or CD drive, by what it is. */
void window_drop(struct window *w, const char *path);
/* Lets go what the guest holds down; takes or releases the mouse. (window_input.c) */
void window_release_keys(struct window *w);
void window_grab(struct window *w, bool on);

#endif
