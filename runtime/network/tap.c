/*
 * -netdev tap: an Ethernet interface of the host's kernel (Linux,
 * Documentation/networking/tuntap.rst). Who may open /dev/net/tun, or was given an interface by
 * `ip tuntap add mode tap user NAME`, can use it. No scripts are run: the interface is the
 * user's to set up.
 */
#include "runtime/network/backend.h"
#include "runtime/base/keyval.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BURST = 64 }; /* frames a turn */

struct tap {
    int fd;
    char name[IFNAMSIZ];
};
struct tap_keys {
    const char *ifname, *script;
};

static void tap_ready(void *arg, u32 events)
{
    struct net_backend *b = arg;
    struct tap *t = b->impl;
    u8 frame[FRAME_MAX + 1];

    for (u32 i = 0; i < BURST; i++) {
        ssize_t n = read(t->fd, frame, sizeof(frame));

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) { /* the interface is gone */
            loop_remove(b->m, t->fd);
            return;
        }
        net_deliver(b, frame, (u32)n);
    }
}

static void tap_open(struct net_backend *b, const char *where, const char *list)
{
    static const struct key_row rows[] = {
        KEY(struct tap_keys, ifname, KEY_TEXT),
        { "script", KEY_CHOICE, offsetof(struct tap_keys, script), "no" },
        { "downscript", KEY_CHOICE, offsetof(struct tap_keys, script), "no" },
    };
    struct tap *t = calloc(1, sizeof(*t));
    struct tap_keys k = { "" };
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };

    check(t, "out of memory");
    keyval_read(where, list, NULL, rows, ARRAY_SIZE(rows), &k);
    if (strlen(k.ifname) >= IFNAMSIZ)
        die("%s: ifname=%s: at most %d letters", where, k.ifname, IFNAMSIZ - 1);
    strcpy(request.ifr_name, k.ifname);
    t->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (t->fd < 0)
        die("%s: /dev/net/tun: %s", where, strerror(errno));
    if (ioctl(t->fd, TUNSETIFF, &request))
        die("%s: interface '%s' cannot be had: %s", where, k.ifname, strerror(errno));
    strcpy(t->name, request.ifr_name);
    b->impl = t;
    loop_add(b->m, t->fd, LOOP_READ, tap_ready, b);
}

/* A full queue of the kernel's drops the frame. */
static void tap_send(struct net_backend *b, const u8 *frame, u32 size)
{
    if (write(((struct tap *)b->impl)->fd, frame, size) < 0)
        b->dropped++;
}

static void tap_info(const struct net_backend *b, FILE *out)
{
    fprintf(out, ",ifname=%s", ((const struct tap *)b->impl)->name);
}

static void tap_close(struct net_backend *b)
{
    struct tap *t = b->impl;

    loop_remove(b->m, t->fd);
    close(t->fd);
    free(t);
}

const struct net_kind net_tap = {
    "tap", "an interface of the host's: ifname=", tap_open, tap_send, tap_info, tap_close,
};
