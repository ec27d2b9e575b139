/*
 * -netdev user: a private network of the guest's with a router, DHCP, DNS and TFTP, whose
 * connections become ordinary sockets of this process. libslirp does all of it.
 *
 * libslirp asks for a poll of its sockets before each wait of the loop. Its clock is the
 * machine's.
 */
#include "runtime/network/backend.h"
#include "devices/chardev.h"
#include "runtime/base/keyval.h"
#include "runtime/network/forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct user_keys {
    bool ipv4, ipv6, restricted;
    const char *net, *host, *dns, *dhcpstart;
    const char *hostname, *domainname, *tftp, *tftp_name, *bootfile, *smb;
    struct key_list hostfwd, guestfwd, dnssearch;
};

#define USER_KEY(name, member, kind) { name, kind, offsetof(struct user_keys, member), NULL }
static const struct key_row user_keys[] = {
    USER_KEY("ipv4", ipv4, KEY_BOOL),
    USER_KEY("ipv6", ipv6, KEY_BOOL),
    USER_KEY("net", net, KEY_TEXT),
    USER_KEY("host", host, KEY_TEXT),
    USER_KEY("restrict", restricted, KEY_BOOL),
    USER_KEY("hostname", hostname, KEY_TEXT),
    USER_KEY("dhcpstart", dhcpstart, KEY_TEXT),
    USER_KEY("dns", dns, KEY_TEXT),
    USER_KEY("dnssearch", dnssearch, KEY_LIST),
    USER_KEY("domainname", domainname, KEY_TEXT),
    USER_KEY("tftp", tftp, KEY_TEXT),
    USER_KEY("tftp-server-name", tftp_name, KEY_TEXT),
    USER_KEY("bootfile", bootfile, KEY_TEXT),
    USER_KEY("smb", smb, KEY_TEXT),
    USER_KEY("smbserver", smb, KEY_TEXT),
    USER_KEY("hostfwd", hostfwd, KEY_LIST),
    USER_KEY("guestfwd", guestfwd, KEY_LIST),
};

/* ---- Addresses, in host order ---- */

struct network {
    u32 net, mask, host, dns, dhcpstart;
};

static u32 parse_address(const char *where, const char *key, const char *text)
{
    struct in_addr a;

    if (!inet_aton(text, &a))
        die("%s: %s=%s is no IPv4 address", where, key, text);
    return ntohl(a.s_addr);
}

/* "10.0.2.0/24", "10.0.2.0/255.255.255.0", or without a mask, which the address's class then
 * gives. */
static void read_net(struct network *n, const char *where, const char *text)
{
    char *part = keep_format("%s", text), *slash = strchr(part, '/');
    u32 bits;

    if (slash)
        *slash = '\0';
    n->net = parse_address(where, "net", part);
    n->mask = n->net >> 31 == 0 ? 0xff000000 : n->net >> 30 == 2 ? 0xffff0000 : 0xffffff00;
    if (slash && parse_u32(slash + 1, &bits) && bits >= 4 && bits <= 29)
        n->mask = ~0u << (32 - bits);
    else if (slash)
        n->mask = parse_address(where, "net", slash + 1);
    if (!n->mask || ~n->mask & (~n->mask + 1) || ~n->mask < 7)
        die("%s: net=%s: no mask of 4 to 29 bits", where, text);
    n->net &= n->mask;
}

/* A wrong address inside the network would only show as silence. */
static void check_inside(const struct network *n, const char *where, const char *key, u32 a)
{
    if ((a & n->mask) != n->net)
        die("%s: %s=%s is outside of the network", where, key,
            inet_ntoa((struct in_addr){ htonl(a) }));
}

static struct network read_addresses(const struct user_keys *k, const char *where)
{
    struct network n = { 0 };

    read_net(&n, where, k->net ? k->net : "10.0.2.0/24");
    n.host = k->host ? parse_address(where, "host", k->host) : n.net | 2;
    n.dns = k->dns ? parse_address(where, "dns", k->dns) : n.net | 3;
    n.dhcpstart = k->dhcpstart ? parse_address(where, "dhcpstart", k->dhcpstart)
                               : n.net | (~n.mask > 31 ? 15 : 4);
    check_inside(&n, where, "host", n.host);
    check_inside(&n, where, "dns", n.dns);
    check_inside(&n, where, "dhcpstart", n.dhcpstart);
    if (n.host == n.dns || n.dhcpstart == n.host || n.dhcpstart == n.dns)
        die("%s: host=, dns= and dhcpstart= must differ", where);
    return n;
}

#ifdef HAVE_SLIRP
#include <slirp/libslirp.h>

enum {
    /* The guest opens no further connections beyond this many descriptors, so that some are
     * left for the rest of the process. */
    MAX_SOCKETS = 512,
    ETHERTYPE_IPV4 = 0x0800, ETHERTYPE_IPV6 = 0x86dd, IP_TCP = 6, TCP_SYN = 2, TCP_ACK = 16,
    IP_FRAGMENT = 0x3fff, /* more fragments, and the offset */
};

struct user {
    struct net_backend *b;
    Slirp *slirp;
    struct loop_source source;
    struct in_addr dhcpstart;     /* the guest's first address */
    struct guest_server *servers; /* of guestfwd=, but for commands */
    u32 sockets; /* polled at the last wait, and perhaps opened since */
};
struct slirp_timer {
    struct timer t;
    SlirpTimerCb cb;
    void *arg;
};

/* ---- What libslirp asks of us ---- */

static ssize_t to_guest(const void *frame, size_t size, void *opaque)
{
    net_deliver(opaque, frame, (u32)size);
    return (ssize_t)size;
}

static void guest_error(const char *message, void *opaque)
{
    trace(TRACE_NET, "user: %s", message);
}

static int64_t slirp_clock(void *opaque)
{
    return (int64_t)clock_now(((struct net_backend *)opaque)->m);
}

static void slirp_timer_fire(void *owner)
{
    struct slirp_timer *t = owner;

    t->cb(t->arg);
}

static void *slirp_timer_new(SlirpTimerCb cb, void *arg, void *opaque)
{
    struct slirp_timer *t = calloc(1, sizeof(*t));

    check(t, "out of memory");
    t->cb = cb;
    t->arg = arg;
    timer_init(&t->t, ((struct net_backend *)opaque)->m, slirp_timer_fire, t);
    return t;
}

static void slirp_timer_free(void *timer, void *opaque)
{
    struct slirp_timer *t = timer;

    timer_cancel(&t->t);
    free(t);
}

static void slirp_timer_mod(void *timer, int64_t ms, void *opaque)
{
    timer_set(&((struct slirp_timer *)timer)->t, MSEC((u64)ms));
}

/* Descriptors are named at each wait. */
static void poll_fd_unused(int fd, void *opaque)
{
}

static void notify_unused(void *opaque)
{
}

static const SlirpCb callbacks = {
    .send_packet = to_guest,
    .guest_error = guest_error,
    .clock_get_ns = slirp_clock,
    .timer_new = slirp_timer_new,
    .timer_free = slirp_timer_free,
    .timer_mod = slirp_timer_mod,
    .register_poll_fd = poll_fd_unused,
    .unregister_poll_fd = poll_fd_unused,
    .notify = notify_unused,
};

/* ---- The loop ---- */

static int want_socket(int fd, int events, void *opaque)
{
    struct user *u = opaque;
    short e = (short)((events & SLIRP_POLL_IN ? POLLIN : 0) |
                      (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
                      (events & SLIRP_POLL_PRI ? POLLPRI : 0));

    u->sockets++;
    return loop_want(&u->source, fd, e);
}

static int socket_events(int place, void *opaque)
{
    short e = loop_got(&((struct user *)opaque)->source, place);

    return (e & POLLIN ? SLIRP_POLL_IN : 0) | (e & POLLOUT ? SLIRP_POLL_OUT : 0) |
           (e & POLLPRI ? SLIRP_POLL_PRI : 0) | (e & POLLERR ? SLIRP_POLL_ERR : 0) |
           (e & POLLHUP ? SLIRP_POLL_HUP : 0);
}

static u64 user_prepare(struct loop_source *s)
{
    struct user *u = container_of(s, struct user, source);
    uint32_t ms = UINT32_MAX;

    u->sockets = 0;
    slirp_pollfds_fill(u->slirp, &ms, want_socket, u);
    return ms == UINT32_MAX ? ~0ull : MSEC((u64)ms);
}

static void offer_answers(struct user *u);

static void user_serve(struct loop_source *s)
{
    struct user *u = container_of(s, struct user, source);

    slirp_pollfds_poll(u->slirp, 0, socket_events, u);
    offer_answers(u);
}

/* ---- Frames ---- */

/* May libslirp open a socket for it? The first segment of a connection, and anything but
 * TCP. */
static bool may_open(const u8 *frame, u32 size)
{
    u32 type = frame[12] << 8 | frame[13], header = ETHER_HEADER;
    u8 protocol = 0;

    if (type == ETHERTYPE_IPV4 && size >= ETHER_HEADER + 20) {
        header += (frame[14] & 15) * 4;
        protocol = frame[23];
    } else if (type == ETHERTYPE_IPV6 && size >= ETHER_HEADER + 40) {
        header += 40;
        protocol = frame[20];
    } else {
        return false;
    }
    if (protocol != IP_TCP || size < header + 20)
        return true;
    return (frame[header + 13] & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/*
 * libslirp's reassembly of IPv4 fragments can be led to write where it must not (4.7.0: frames
 * of tests/runtime/network.c end the process), so it never sees one. Nor a header that does not
 * fit its frame.
 */
static bool is_sound(const u8 *frame, u32 size)
{
    u32 type = frame[12] << 8 | frame[13], length, header;
    const u8 *ip = frame + ETHER_HEADER;

    if (type != ETHERTYPE_IPV4)
        return type != ETHERTYPE_IPV6 || size >= ETHER_HEADER + 40;
    if (size < ETHER_HEADER + 20)
        return false;
    header = (ip[0] & 15) * 4;
    length = ip[2] << 8 | ip[3];
    return ip[0] >> 4 == 4 && header >= 20 && length >= header &&
           length <= size - ETHER_HEADER && !((ip[6] << 8 | ip[7]) & IP_FRAGMENT);
}

static void user_send(struct net_backend *b, const u8 *frame, u32 size)
{
    struct user *u = b->impl;

    if (!is_sound(frame, size)) {
        b->dropped++;
        return;
    }
    if (may_open(frame, size)) {
        if (u->sockets >= MAX_SOCKETS) {
            b->dropped++;
            return;
        }
        u->sockets++;
    }
    slirp_input(u->slirp, frame, (int)size);
    offer_answers(u);
}

/* ---- Ways in: hostfwd ---- */

static bool add_forward(struct user *u, const struct forward *f)
{
    struct in_addr inside = f->guest.s_addr ? f->guest : u->dhcpstart;

    return !slirp_add_hostfwd(u->slirp, f->udp, f->host, (int)f->host_port, inside,
                              (int)f->guest_port);
}

static void open_forward(struct user *u, const char *where, const char *rule)
{
    struct forward f;

    if (!forward_parse(rule, &f))
        die("%s: hostfwd=%s: want tcp:[ADDRESS]:PORT-[ADDRESS]:PORT, or udp:", where, rule);
    if (!add_forward(u, &f))
        die("%s: hostfwd=%s: port %u of the host cannot be had: %s", where, rule, f.host_port,
            strerror(errno));
}

static void user_forward(struct net_backend *b, const char *rule, bool add, FILE *out)
{
    struct user *u = b->impl;
    struct forward f;

    if (!add && !forward_parse_host(rule, &f))
        fprintf(out, "invalid format\n");
    else if (!add)
        fprintf(out, "host forwarding rule for %s %s\n", rule,
                slirp_remove_hostfwd(u->slirp, f.udp, f.host, (int)f.host_port) ? "not found"
                                                                                : "removed");
    else if (!forward_parse(rule, &f))
        fprintf(out,
                "Invalid host forwarding rule '%s' (wants tcp:[ADDRESS]:PORT-[ADDRESS]:PORT)\n",
                rule);
    else if (!add_forward(u, &f))
        fprintf(out, "Could not set up host forwarding rule '%s'\n", rule);
}

/* ---- Servers that the guest finds: guestfwd ---- */

/* A server at a character back end; libslirp knows it by its address. */
struct guest_server {
    struct device dev; /* what the chardev has for a receiver: none of the board */
    struct user *user;
    struct chardev *chardev;
    struct in_addr address;
    u32 port;
    struct guest_server *next;
};

static u32 server_room(struct device *dev)
{
    struct guest_server *s = (struct guest_server *)dev;
    size_t room = slirp_socket_can_recv(s->user->slirp, s->address, (int)s->port);

    return room < UINT32_MAX ? (u32)room : UINT32_MAX;
}

static void server_answers(struct device *dev, const u8 *data, u32 n)
{
    struct guest_server *s = (struct guest_server *)dev;

    slirp_socket_recv(s->user->slirp, s->address, (int)s->port, data, (int)n);
}

static ssize_t guest_asks(const void *data, size_t n, void *opaque)
{
    struct guest_server *s = opaque;

    s->chardev->write(s->chardev, data, (u32)n);
    return (ssize_t)n;
}

/* The guest has taken something, or connected. */
static void offer_answers(struct user *u)
{
    for (struct guest_server *s = u->servers; s; s = s->next)
        if (s->chardev->accept_input)
            s->chardev->accept_input(s->chardev);
}

static bool serve_chardev(struct user *u, struct forward *f, const char *target)
{
    struct guest_server *s = machine_alloc(u->b->m, sizeof(*s));

    if (slirp_add_guestfwd(u->slirp, guest_asks, s, &f->host, (int)f->host_port))
        return false;
    s->user = u;
    s->address = f->host;
    s->port = f->host_port;
    s->chardev = u->b->char_end(u->b->m, target);
    s->chardev->dev = &s->dev;
    s->chardev->can_receive = server_room;
    s->chardev->receive = server_answers;
    s->next = u->servers;
    u->servers = s;
    return true;
}

static void open_server(struct user *u, const char *where, const char *rule)
{
    const char *target;
    struct forward f;
    bool command, good;

    if (!forward_parse_server(rule, &f, &target))
        die("%s: guestfwd=%s: want tcp:SERVER:PORT-cmd:COMMAND, or -TARGET as of -serial",
            where, rule);
    command = !strncmp(target, "cmd:", 4);
    good = command ? !slirp_add_exec(u->slirp, target + 4, &f.host, (int)f.host_port)
                   : u->b->char_end && serve_chardev(u, &f, target);
    if (!good)
        die("%s: guestfwd=%s: that place is taken, or outside of the network", where, rule);
}

/* ---- Life ---- */

static SlirpConfig slirp_configuration(const struct user_keys *k, const struct network *n,
                                       const char **search)
{
    SlirpConfig c = {
        .version = 4,
        .restricted = k->restricted,
        .in_enabled = k->ipv4,
        .vnetwork.s_addr = htonl(n->net),
        .vnetmask.s_addr = htonl(n->mask),
        .vhost.s_addr = htonl(n->host),
        .vdhcp_start.s_addr = htonl(n->dhcpstart),
        .vnameserver.s_addr = htonl(n->dns),
        .in6_enabled = k->ipv6,
        .vprefix_len = 64,
        .vhostname = k->hostname,
        .tftp_server_name = k->tftp_name,
        .tftp_path = k->tftp,
        .bootfile = k->bootfile,
        .vdnssearch = k->dnssearch.count ? search : NULL,
        .vdomainname = k->domainname,
    };

    inet_pton(AF_INET6, "fec0::", &c.vprefix_addr6);
    inet_pton(AF_INET6, "fec0::2", &c.vhost6);
    inet_pton(AF_INET6, "fec0::3", &c.vnameserver6);
    return c;
}

static void slirp_start(struct net_backend *b, const struct user_keys *k, const char *where)
{
    struct network n = read_addresses(k, where);
    const char *search[KEY_LIST_MAX + 1] = { NULL };
    struct user *u = calloc(1, sizeof(*u));
    SlirpConfig c;

    check(u, "out of memory");
    memcpy(search, k->dnssearch.item, k->dnssearch.count * sizeof(search[0]));
    c = slirp_configuration(k, &n, search);
    u->b = b;
    b->impl = u;
    u->slirp = slirp_new(&c, &callbacks, b);
    if (!u->slirp)
        die("%s: libslirp refuses these settings", where);
    u->source.prepare = user_prepare;
    u->source.serve = user_serve;
    loop_add_source(b->m, &u->source);
    u->dhcpstart.s_addr = htonl(n.dhcpstart);
    for (u32 i = 0; i < k->hostfwd.count; i++)
        open_forward(u, where, k->hostfwd.item[i]);
    for (u32 i = 0; i < k->guestfwd.count; i++)
        open_server(u, where, k->guestfwd.item[i]);
}

static void user_info(const struct net_backend *b, FILE *out)
{
    const struct user *u = b->impl;
    char *text = slirp_connection_info(u->slirp);

    fprintf(out, "\n%s", text);
    free(text);
}

static void user_close(struct net_backend *b)
{
    struct user *u = b->impl;

    loop_remove_source(&u->source);
    slirp_cleanup(u->slirp);
    free(u);
}

#else /* no libslirp */

static void slirp_start(struct net_backend *b, const struct user_keys *k, const char *where)
{
    die("%s: this ring3 was built without libslirp; install libslirp-dev and build again",
        where);
}

static void user_send(struct net_backend *b, const u8 *frame, u32 size)
{
}

static void user_info(const struct net_backend *b, FILE *out)
{
}

static void user_close(struct net_backend *b)
{
}

static void user_forward(struct net_backend *b, const char *rule, bool add, FILE *out)
{
}

#endif

static void user_open(struct net_backend *b, const char *where, const char *list)
{
    struct user_keys k = { .ipv4 = true, .ipv6 = true };
    struct stat st;

    keyval_read(where, list, NULL, user_keys, ARRAY_SIZE(user_keys), &k);
    if (k.smb)
        die("%s: smb=: no SMB server here; tftp=FOLDER serves files, fat:FOLDER is a disk of "
            "them",
            where);
    if (k.tftp && (stat(k.tftp, &st) || !S_ISDIR(st.st_mode)))
        die("%s: tftp=%s is no folder", where, k.tftp);
    slirp_start(b, &k, where);
}

const struct net_kind net_user = {
    "user",       "a private network by libslirp, through the host's sockets",
    user_open,    user_send,
    user_info,    user_close,
    user_forward,
};
