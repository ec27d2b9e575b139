/*
 * Where frames go on the host: the makers of the `struct netdev` that network cards are wired
 * to (devices/nic.h).
 *
 * Nothing here blocks. Frames for the guest wait in a bounded queue until the card takes them;
 * when it is full they are dropped, as a switch would. A back end that loses its peer goes on
 * without.
 */
#ifndef RING3_NETWORK_H
#define RING3_NETWORK_H

#include "devices/nic.h"
#include "runtime/machine/options.h"

/* Makes a character back end of a target as -serial spells it; die()s on the user's mistakes.
 */
struct chardev;
typedef struct chardev *network_char_end(struct machine *m, const char *target);

/* Makes all back ends and dumps of the options; die()s with one line on the user's mistakes.
 * Freed by network_free_all(). */
void network_make_all(struct machine *m, network_char_end *char_end);
/* The user network's hostfwd=, while it runs: of that id, or of the first. Says in QEMU's words
 * how it went; of a success of adding, nothing. */
void network_forward(struct machine *m, const char *id, const char *rule, bool add, FILE *out);
/* NULL: none has that id. */
struct netdev *network_find(struct machine *m, const char *id);
/* Plugs or pulls the cable. False: none has that id. */
bool network_set_link(struct machine *m, const char *id, bool up);
/* Frames both ways since the start, of all. False: there is no network. */
bool network_frames(struct machine *m, u64 *frames);
/* A line for each, as `info network` prints them. */
void network_info(struct machine *m, FILE *out);
void network_free_all(struct machine *m);

#endif
