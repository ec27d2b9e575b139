/*
 * What the kinds of network back ends share: a kind is one file here and one row of the table
 * in network.c.
 */
#ifndef RING3_NETWORK_BACKEND_H
#define RING3_NETWORK_BACKEND_H

#include "runtime/machine/loop.h"
#include "runtime/machine/machine.h"
#include "runtime/network/network.h"

struct net_backend;

struct net_kind {
    const char *name; /* as -netdev names it */
    const char *help;
    /* Reads the rest of the -netdev list and begins; die()s. `where` names the option in
     * messages. */
    void (*open)(struct net_backend *b, const char *where, const char *list);
    /* ETHER_HEADER to FRAME_MAX bytes */
    void (*send)(struct net_backend *b, const u8 *frame, u32 size);
    /* after the name; may be NULL */
    void (*info)(const struct net_backend *b, FILE *out);
    void (*close)(struct net_backend *b);
    /* Adds or removes a rule of hostfwd=; says in QEMU's words how that went. NULL: it has
     * none. */
    void (*forward)(struct net_backend *b, const char *rule, bool add, FILE *out);
};
extern const struct net_kind net_user, net_socket, net_tap;

enum { QUEUE = 256 }; /* frames that wait for the card */

struct net_backend {
    struct netdev n;
    struct machine *m;
    const struct net_kind *kind;
    const char *id;
    network_char_end *char_end; /* NULL: nothing leads to a character back end */
    void *impl; /* the kind's */
    struct net_dump *dumps;
    struct {
        u8 *data; /* owned */
        u32 size;
    } queue[QUEUE];
    u32 head, count;
    u64 since; /* machine time from which the first of them waits */
    u64 dropped, frames; /* frames: both ways */
    struct timer deliver;
    struct net_backend *next;
};

/* A frame for the guest, from any place on the machine's thread; short ones are padded, wrong
 * ones dropped. The card gets it after what runs now. */
void net_deliver(struct net_backend *b, const u8 *frame, u32 size);

/* Records of frames (dump.c). */
void net_dump_add(struct net_backend *b, const char *file, u32 max);
void net_dump_frame(struct net_backend *b, const u8 *frame, u32 size);
void net_dump_free(struct net_backend *b);

#endif
