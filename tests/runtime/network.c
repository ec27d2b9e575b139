/*
 * Network back ends: the queue towards a card, two machines by sockets, libslirp's DHCP, TFTP
 * and TCP with a server on the host, forwarded ports, records of frames, and peers that lie.
 */
#include "runtime/network/network.h"
#include "devices/ne2000.h"
#include "runtime/machine/loop.h"
#include "runtime/machine/machine.h"
#include "tests/devices/nic_rig.h"
#include "tests/harness/image.h"
#include "tests/harness/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A card that keeps what it gets. */
struct end {
    struct rig *r;
    struct device dev;
    struct netdev *n;
    struct nic_config config;
    bool full;
    u8 frame[64][FRAME_MAX];
    u32 size[64], count;
};

static bool end_can_receive(struct device *dev)
{
    return !container_of(dev, struct end, dev)->full;
}

static void end_receive(struct device *dev, const u8 *frame, u32 size)
{
    struct end *e = container_of(dev, struct end, dev);

    memcpy(e->frame[e->count % 64], frame, size);
    e->size[e->count++ % 64] = size;
}

/* A machine with one back end, "n", and that card. The kind and its list must outlive it. */
static struct end *end_new(const char *kind, const char *list)
{
    static const struct device_class class = { .name = "end" };
    struct rig *r = rig_new(NULL, NULL);
    struct end *e = machine_alloc(r->m, sizeof(*e));

    r->m->options->netdev[0] = (struct netdev_options){ "-netdev", kind, "n", list };
    r->m->options->netdevs = 1;
    network_make_all(r->m, NULL);
    e->r = r;
    e->dev.class = &class;
    e->dev.machine = r->m;
    e->n = network_find(r->m, "n");
    e->config.netdev = e->n;
    e->dev.config = &e->config;
    nic_attach(&e->dev, end_can_receive, end_receive, NULL);
    return e;
}

/* Lets a moment pass on the host, and the guest's clock with it. */
static void turn(struct end *e)
{
    loop_poll(e->r->m, MSEC(1));
    rig_advance(e->r, MSEC(1));
}

static bool wait_frames(struct end *e, u32 n)
{
    for (u32 i = 0; i < 3000 && e->count < n; i++)
        turn(e);
    return e->count >= n;
}

static u16 free_port(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    check(!bind(fd, (struct sockaddr *)&a, size) &&
              !getsockname(fd, (struct sockaddr *)&a, &size),
          "no port");
    close(fd);
    return ntohs(a.sin_port);
}

static void send_frame(struct end *e, const u8 *to, u32 size, u8 seed)
{
    u8 frame[2 * FRAME_MAX];

    nic_rig_frame(frame, to, size, seed);
    nic_send(&e->dev, frame, size);
}

/* ---- Two machines ---- */

static void ping_pong(struct end *a, struct end *b)
{
    for (u32 i = 0; i < 20 && !test_failed(); i++) {
        send_frame(a, nic_rig_mac, 60 + 70 * i, i);
        CHECK(wait_frames(b, i + 1));
        CHECK_EQ(b->size[i], 60 + 70 * i);
        CHECK_EQ(b->frame[i][59], 59 + i);
        send_frame(b, nic_rig_other, 1514, 100 + i);
        CHECK(wait_frames(a, i + 1));
        CHECK_EQ(a->size[i], 1514);
        CHECK_EQ(a->frame[i][1513], (u8)(1513 + 100 + i));
    }
}

TEST(network, two_machines_talk_by_tcp)
{
    char listens[64], connects[64];
    u16 port = free_port();
    struct end *a, *b;

    snprintf(listens, sizeof(listens), "listen=127.0.0.1:%u", port);
    snprintf(connects, sizeof(connects), "connect=127.0.0.1:%u", port);
    a = end_new("socket", listens);
    b = end_new("socket", connects);
    turn(a); /* takes the peer */
    ping_pong(a, b);
}

TEST(network, two_machines_talk_by_udp)
{
    char one[96], two[96];
    u16 p = free_port(), q = free_port();
    struct end *a, *b;

    snprintf(one, sizeof(one), "udp=127.0.0.1:%u,localaddr=127.0.0.1:%u", q, p);
    snprintf(two, sizeof(two), "udp=127.0.0.1:%u,localaddr=127.0.0.1:%u", p, q);
    a = end_new("socket", one);
    b = end_new("socket", two);
    ping_pong(a, b);
}

TEST(network, three_machines_talk_by_multicast)
{
    char list[96];
    struct end *a, *b, *c;

    snprintf(list, sizeof(list), "mcast=230.0.0.1:%u,localaddr=127.0.0.1", free_port());
    a = end_new("socket", list);
    b = end_new("socket", list);
    c = end_new("socket", list);
    send_frame(a, nic_rig_broadcast, 100, 1);
    CHECK(wait_frames(b, 1));
    CHECK(wait_frames(c, 1));
    for (u32 i = 0; i < 20; i++)
        turn(a);
    CHECK_EQ(a->count, 0); /* one's own frame does not come back */
    CHECK_EQ(c->size[0], 100);
}

/* ---- The queue and the cable ---- */

/* a sends to b by TCP. */
static void pair(struct end **a, struct end **b)
{
    static char listens[64], connects[64];
    u16 port = free_port();

    snprintf(listens, sizeof(listens), "listen=127.0.0.1:%u", port);
    snprintf(connects, sizeof(connects), "connect=127.0.0.1:%u", port);
    *b = end_new("socket", listens);
    *a = end_new("socket", connects);
    turn(*b);
}

TEST(network, frames_wait_for_the_card_up_to_a_bound)
{
    struct end *a, *b;

    pair(&a, &b);
    b->full = true;
    for (u32 i = 0; i < 400; i++) {
        send_frame(a, nic_rig_mac, 60, i);
        if (i % 32 == 31)
            turn(b);
    }
    for (u32 i = 0; i < 50; i++)
        turn(b);
    CHECK_EQ(b->count, 0);
    b->full = false;
    b->n->accept_input(b->n);
    rig_advance(b->r, 0);
    CHECK_EQ(b->count, 256);
}

TEST(network, a_card_that_never_has_room_gets_a_frame_to_lose)
{
    struct end *a, *b;

    pair(&a, &b);
    b->full = true;
    send_frame(a, nic_rig_mac, 60, 0);
    send_frame(a, nic_rig_mac, 60, 0);
    for (u32 i = 0; i < 20; i++)
        turn(b);
    CHECK_EQ(b->count, 0);
    rig_advance(b->r, MSEC(200));
    CHECK_EQ(b->count, 1);
    rig_advance(b->r, MSEC(200));
    CHECK_EQ(b->count, 2);
}

TEST(network, a_card_is_given_nothing_while_it_speaks)
{
    struct end *a, *b;

    pair(&a, &b);
    send_frame(a, nic_rig_mac, 60, 0);
    for (u32 i = 0; i < 200; i++)
        loop_poll(b->r->m, MSEC(1));
    CHECK_EQ(b->count, 0); /* its machine's clock stands */
    rig_advance(b->r, 0);
    CHECK_EQ(b->count, 1);
}

TEST(network, short_frames_are_padded_and_wrong_ones_dropped)
{
    struct end *a, *b;

    pair(&a, &b);
    send_frame(a, nic_rig_mac, 42, 0);
    CHECK(wait_frames(b, 1));
    CHECK_EQ(b->size[0], 60);
    CHECK_EQ(b->frame[0][41], 41);
    CHECK_EQ(b->frame[0][42], 0);
    send_frame(a, nic_rig_mac, 13, 0);
    send_frame(a, nic_rig_mac, FRAME_MAX + 1, 0);
    send_frame(a, nic_rig_mac, 77, 0);
    CHECK(wait_frames(b, 2));
    CHECK_EQ(b->size[1], 77);
}

TEST(network, a_pulled_cable_carries_nothing)
{
    struct end *a, *b;

    pair(&a, &b);
    CHECK(network_set_link(b->r->m, "n", false));
    CHECK(!network_set_link(b->r->m, "nobody", false));
    send_frame(a, nic_rig_mac, 60, 0);
    for (u32 i = 0; i < 20; i++)
        turn(b);
    CHECK_EQ(b->count, 0);
    CHECK(!nic_link(&b->dev));
    network_set_link(b->r->m, "n", true);
    send_frame(a, nic_rig_mac, 61, 0);
    CHECK(wait_frames(b, 1));
    CHECK_EQ(b->size[0], 61);
}

/* ---- Peers that lie ---- */

static int connect_to(u16 port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(port) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    check(!connect(fd, (struct sockaddr *)&a, sizeof(a)), "no connection: %s", strerror(errno));
    return fd;
}

static void say(struct end *e, int fd, const void *data, u32 size)
{
    CHECK_EQ(send(fd, data, size, MSG_NOSIGNAL), size);
    for (u32 i = 0; i < 20; i++)
        turn(e);
}

static bool hung_up(struct end *e, int fd)
{
    u8 byte;

    for (u32 i = 0; i < 50; i++)
        turn(e);
    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET;
}

TEST(network, a_peer_s_lengths_are_not_believed)
{
    static u8 bytes[4 + 70000];
    char list[64];
    u16 port = free_port();
    struct end *e;
    int fd;

    snprintf(list, sizeof(list), "listen=127.0.0.1:%u", port);
    e = end_new("socket", list);
    fd = connect_to(port);
    turn(e);
    memcpy(bytes, "\x00\x01\x11\x70", 4); /* 70,000: passed over */
    say(e, fd, bytes, sizeof(bytes));
    say(e, fd, "\0\0\0\0\0\0\0\3abc", 11); /* nothing, and too short */
    memset(bytes, 0x5a, sizeof(bytes));
    memcpy(bytes, "\0\0\0\x50", 4);
    say(e, fd, bytes, 10); /* in pieces */
    say(e, fd, bytes + 10, 74);
    CHECK_EQ(e->count, 1);
    CHECK_EQ(e->size[0], 80);
    CHECK_EQ(e->frame[0][79], 0x5a);
    say(e, fd, "\xff\xff\xff\xff", 4); /* no peer of ours */
    CHECK(hung_up(e, fd));
    close(fd);
    fd = connect_to(port); /* and the next one is welcome */
    turn(e);
    say(e, fd, bytes, 84);
    CHECK_EQ(e->count, 2);
    close(fd);
    for (u32 i = 0; i < 20; i++)
        turn(e);
    send_frame(e, nic_rig_mac, 60, 0); /* nobody hears it */
}

TEST(network, a_peer_that_does_not_read_loses_whole_frames)
{
    char list[64];
    u16 port = free_port();
    struct end *e;
    u8 head[4], frame[FRAME_MAX];
    u32 whole = 0;
    int fd;

    snprintf(list, sizeof(list), "listen=127.0.0.1:%u", port);
    e = end_new("socket", list);
    fd = connect_to(port);
    turn(e);
    for (u32 i = 0; i < 20000; i++)
        send_frame(e, nic_rig_mac, 1000, 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (u32 idle = 0; idle < 100;) {
        if (recv(fd, head, 4, MSG_PEEK) == 4 && recv(fd, head, 4, 0) == 4) {
            CHECK_EQ(head[2] << 8 | head[3], 1000);
            for (u32 got = 0; got < 1000;) {
                ssize_t n = recv(fd, frame, 1000 - got, 0);

                got += n > 0 ? (u32)n : 0;
                if (n < 0)
                    turn(e);
            }
            whole++;
            idle = 0;
        } else {
            idle++;
            turn(e);
        }
        if (test_failed())
            break;
    }
    CHECK(whole > 200 && whole < 20000);
    close(fd);
}

/* ---- Records ---- */

TEST(network, a_record_holds_both_directions)
{
    static char path[] = "/tmp/ring3-test-pcap";
    struct end *a, *b;
    u8 file[400];
    ssize_t size;
    int fd;

    pair(&a, &b);
    b->r->m->options->netdevs = 0;
    b->r->m->options->dumps = 1;
    b->r->m->options->dump[0].netdev = "n";
    b->r->m->options->dump[0].file = path;
    b->r->m->options->dump[0].max = 64;
    network_make_all(b->r->m, NULL);
    send_frame(b, nic_rig_other, 60, 1);
    send_frame(a, nic_rig_mac, 100, 2);
    CHECK(wait_frames(b, 1));
    fd = open(path, O_RDONLY);
    size = read(fd, file, sizeof(file));
    close(fd);
    unlink(path);
    CHECK_EQ(size, 24 + 16 + 60 + 16 + 64);
    CHECK(!memcmp(file, "\xd4\xc3\xb2\xa1\2\0\4\0", 8));
    CHECK_EQ(file[20], 1);
    CHECK_EQ(file[24 + 8], 60);
    CHECK(!memcmp(file + 24 + 16, nic_rig_other, 6));
    CHECK_EQ(file[24 + 16 + 60 + 8], 64);   /* kept */
    CHECK_EQ(file[24 + 16 + 60 + 12], 100); /* of */
}

/* ---- libslirp ---- */

#ifdef HAVE_SLIRP

enum { GUEST_IP = 0x0a00020f, HOST_IP = 0x0a000202 };

static void put16(u8 *p, u32 val)
{
    p[0] = val >> 8;
    p[1] = val;
}

static void put32(u8 *p, u32 val)
{
    put16(p, val >> 16);
    put16(p + 2, val);
}

static u32 get16(const u8 *p)
{
    return p[0] << 8 | p[1];
}

static u32 get32(const u8 *p)
{
    return get16(p) << 16 | get16(p + 2);
}

static u32 sum(const u8 *p, u32 size, u32 start)
{
    for (u32 i = 0; i + 1 < size; i += 2)
        start += get16(p + i);
    if (size & 1)
        start += p[size - 1] << 8;
    while (start >> 16)
        start = (start & 0xffff) + (start >> 16);
    return start;
}

enum { IP = 14, L4 = IP + 20 };

/* Ethernet and IPv4 around what lies at L4; sends it. */
static void send_ip(struct end *e, u8 *frame, u8 protocol, u32 from, u32 to, u32 size)
{
    memcpy(frame, to == 0xffffffff ? "\xff\xff\xff\xff\xff\xff" : "\x52\x55\x0a\x00\x02\x02",
           6);
    memcpy(frame + 6, nic_rig_mac, 6);
    put16(frame + 12, 0x0800);
    memset(frame + IP, 0, 20);
    frame[IP] = 0x45;
    put16(frame + IP + 2, 20 + size);
    frame[IP + 8] = 64;
    frame[IP + 9] = protocol;
    put32(frame + IP + 12, from);
    put32(frame + IP + 16, to);
    put16(frame + IP + 10, ~sum(frame + IP, 20, 0));
    nic_send(&e->dev, frame, IP + 20 + size);
}

static void send_udp(struct end *e, u8 *frame, u32 from, u32 to, u16 source, u16 dest, u32 size)
{
    put16(frame + L4, source);
    put16(frame + L4 + 2, dest);
    put16(frame + L4 + 4, 8 + size);
    put16(frame + L4 + 6, 0);
    send_ip(e, frame, 17, from, to, 8 + size);
}

static void send_tcp(struct end *e, u16 source, u16 dest, u32 seq, u32 ack, u8 flags,
                     const char *text)
{
    u8 frame[FRAME_MAX] = { 0 }, *tcp = frame + L4;
    u32 size = (u32)strlen(text);

    put16(tcp, source);
    put16(tcp + 2, dest);
    put32(tcp + 4, seq);
    put32(tcp + 8, ack);
    tcp[12] = 5 << 4;
    tcp[13] = flags;
    put16(tcp + 14, 8192);
    memcpy(tcp + 20, text, size);
    put16(tcp + 16,
          ~sum(tcp, 20 + size, sum((u8[]){ 10, 0, 2, 15, 10, 0, 2, 2, 0, 6 }, 10, 20 + size)));
    send_ip(e, frame, 6, GUEST_IP, HOST_IP, 20 + size);
}

/* The next frame to the guest with that IP protocol; the answer to ARP on the way. */
static const u8 *next_ip(struct end *e, u32 *seen, u8 protocol)
{
    for (u32 i = 0; i < 3000; i++) {
        while (*seen < e->count) {
            const u8 *f = e->frame[(*seen)++ % 64];

            if (get16(f + 12) == 0x0806 && f[21] == 1) { /* who has us? */
                u8 reply[42];

                memcpy(reply, f, sizeof(reply));
                memcpy(reply, f + 6, 6);
                memcpy(reply + 6, nic_rig_mac, 6);
                reply[21] = 2;
                memcpy(reply + 22, nic_rig_mac, 6);
                memcpy(reply + 28, f + 38, 4);
                memcpy(reply + 32, f + 22, 10);
                nic_send(&e->dev, reply, sizeof(reply));
            } else if (get16(f + 12) == 0x0800 && f[IP + 9] == protocol) {
                return f;
            }
        }
        turn(e);
    }
    test_fail(__FILE__, __LINE__, "no answer of protocol %u", protocol);
    return NULL;
}

/* An ARP request makes the router know us. */
static void introduce(struct end *e)
{
    u8 arp[42] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

    memcpy(arp + 6, nic_rig_mac, 6);
    memcpy(arp + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01", 10);
    memcpy(arp + 22, nic_rig_mac, 6);
    put32(arp + 28, GUEST_IP);
    put32(arp + 38, HOST_IP);
    nic_send(&e->dev, arp, sizeof(arp));
}

TEST(network, user_gives_an_address_by_dhcp)
{
    struct end *e = end_new("user", "hostname=box,bootfile=boot.txt");
    u8 frame[FRAME_MAX] = { 0 }, *dhcp = frame + L4 + 8;
    const u8 *f;
    u32 seen = 0;

    dhcp[0] = dhcp[1] = 1;
    dhcp[2] = 6;
    memcpy(dhcp + 4, "ring", 4);
    memcpy(dhcp + 28, nic_rig_mac, 6);
    memcpy(dhcp + 236, "\x63\x82\x53\x63\x35\x01\x01\xff", 8); /* DISCOVER */
    send_udp(e, frame, 0, 0xffffffff, 68, 67, 300);
    f = next_ip(e, &seen, 17);
    if (!f)
        return;
    CHECK_EQ(get16(f + L4), 67);
    CHECK(!memcmp(f + L4 + 8 + 4, "ring", 4));
    CHECK_EQ(get32(f + L4 + 8 + 16), GUEST_IP);
    CHECK(!memcmp(f + L4 + 8 + 108, "boot.txt", 9));
}

TEST(network, user_serves_files_by_tftp)
{
    char folder[] = "/tmp/ring3-test-tftp-XXXXXX", list[64], path[64];
    struct end *e;
    u8 frame[FRAME_MAX] = { 0 };
    const u8 *f;
    u32 seen = 0;
    int fd;

    check(mkdtemp(folder), "no folder");
    snprintf(path, sizeof(path), "%s/hello", folder);
    fd = open(path, O_CREAT | O_WRONLY, 0644);
    CHECK_EQ(write(fd, "what the file says", 18), 18);
    close(fd);
    snprintf(list, sizeof(list), "tftp=%s", folder);
    e = end_new("user", list);
    introduce(e);
    memcpy(frame + L4 + 8, "\0\1hello\0octet", 14);
    send_udp(e, frame, GUEST_IP, HOST_IP, 5000, 69, 14);
    f = next_ip(e, &seen, 17);
    if (f) {
        CHECK_EQ(get16(f + L4 + 8), 3);
        CHECK_EQ(get16(f + L4 + 10), 1);
        CHECK(!memcmp(f + L4 + 12, "what the file says", 18));
    }
    unlink(path);
    rmdir(folder);
}

static int listening(u16 *port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    check(!bind(fd, (struct sockaddr *)&a, size) && !listen(fd, 1), "no listener");
    getsockname(fd, (struct sockaddr *)&a, &size);
    *port = ntohs(a.sin_port);
    return fd;
}

static int accept_within(struct end *e, int listener)
{
    int fd = -1;

    for (u32 i = 0; i < 3000 && fd < 0; i++) {
        fd = accept(listener, NULL, NULL);
        turn(e);
    }
    return fd;
}

/* 10.0.2.2 is the host. */
TEST(network, user_connects_to_a_server_on_the_host)
{
    struct end *e = end_new("user", "");
    u32 seen = 0, theirs;
    char got[16] = "";
    const u8 *f;
    u16 port;
    int listener = listening(&port), fd;

    introduce(e);
    send_tcp(e, 4000, port, 1000, 0, 2, "");
    f = next_ip(e, &seen, 6);
    if (!f)
        return;
    CHECK_EQ(f[L4 + 13], 0x12); /* SYN, ACK */
    CHECK_EQ(get32(f + L4 + 8), 1001);
    theirs = get32(f + L4 + 4) + 1;
    send_tcp(e, 4000, port, 1001, theirs, 0x18, "ping");
    fd = accept_within(e, listener);
    CHECK(fd >= 0);
    for (u32 i = 0; i < 1000 && recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT) < 0; i++)
        turn(e);
    CHECK(!strcmp(got, "ping"));
    CHECK_EQ(send(fd, "pong", 4, 0), 4);
    do
        f = next_ip(e, &seen, 6);
    while (f && get16(f + IP + 2) == 40); /* acknowledgements */
    if (f)
        CHECK(!memcmp(f + L4 + 20, "pong", 4));
    close(fd);
    close(listener);
}

TEST(network, restrict_keeps_the_guest_inside)
{
    struct end *e = end_new("user", "restrict=on");
    u32 seen = 0;
    const u8 *f;
    u16 port;
    int listener = listening(&port);

    introduce(e);
    send_tcp(e, 4000, port, 1000, 0, 2, "");
    for (u32 i = 0; i < 100; i++)
        turn(e);
    CHECK(accept(listener, NULL, NULL) < 0);
    while (seen < e->count) {
        f = e->frame[seen++];
        /* at most a reset */
        CHECK(get16(f + 12) != 0x0800 || f[IP + 9] != 6 || f[L4 + 13] & 4);
    }
    close(listener);
}

TEST(network, hostfwd_leads_to_the_guest)
{
    char list[64];
    u16 port = free_port();
    struct end *e;
    u32 seen = 0;
    const u8 *f;
    int fd;

    snprintf(list, sizeof(list), "hostfwd=tcp:127.0.0.1:%u-:22", port);
    e = end_new("user", list);
    introduce(e);
    fd = connect_to(port);
    f = next_ip(e, &seen, 6);
    if (f) {
        CHECK_EQ(get16(f + L4 + 2), 22);
        CHECK_EQ(f[L4 + 13], 2); /* SYN */
        CHECK_EQ(get32(f + IP + 16), GUEST_IP);
    }
    close(fd);
}

static u32 open_descriptors(void)
{
    u32 n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* A guest that opens sockets without end leaves some for the rest of the process. */
TEST(network, a_guest_does_not_take_all_descriptors)
{
    struct end *e = end_new("user", "");
    u8 frame[FRAME_MAX] = { 0 };

    introduce(e);
    for (u32 i = 0; i < 2000; i++) {
        send_udp(e, frame, GUEST_IP, HOST_IP, 2000 + i, 9, 4);
        if (i % 100 == 0)
            turn(e);
    }
    CHECK(open_descriptors() > 300);
    CHECK(open_descriptors() < 700);
}

static u32 noise(u32 *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

TEST(network, user_takes_any_frame)
{
    struct end *e = end_new("user", "");
    u8 frame[FRAME_MAX];
    u32 state = 1, sent = 0;

    introduce(e);
    for (u32 i = 0; i < 20000; i++, sent++) {
        u32 size = ETHER_HEADER + 26 + noise(&state) % 180 +
                   (noise(&state) % 8 ? 0 : noise(&state) % 1280);

        for (u32 k = 0; k < size; k++)
            frame[k] = noise(&state);
        memcpy(frame + 12,
               noise(&state) % 4   ? "\x08\x00"
               : noise(&state) % 2 ? "\x08\x06"
                                   : "\x86\xdd",
               2);
        frame[14] = noise(&state) % 8 ? 0x45 : noise(&state);
        frame[IP + 9] = noise(&state) % 2 ? 17 : 6;
        put32(frame + IP + 16, HOST_IP + noise(&state) % 3);
        put16(frame + IP + 10, 0);
        put16(frame + IP + 2, noise(&state) % 8 ? size - IP : noise(&state));
        put16(frame + IP + 10, ~sum(frame + IP, 20, 0));
        nic_send(&e->dev, frame, size);
        if (i % 500 == 0)
            turn(e);
    }
    CHECK_EQ(sent, 20000);
    introduce(e);
    if (!wait_frames(e, e->count + 1))
        test_fail(__FILE__, __LINE__, "it does not answer any more");
}

#endif
