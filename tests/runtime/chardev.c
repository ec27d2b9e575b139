/*
 * Character back ends: input reaches its receiver whole and in order, as fast as it says, also
 * one whose room shrinks by more than it was given; Ctrl+A is seen behind text that nobody
 * takes.
 */
#include "runtime/control/chardev.h"
#include "devices/device.h"
#include "runtime/machine/loop.h"
#include "runtime/machine/machine.h"
#include "tests/harness/image.h"
#include "tests/harness/test.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MOST = 1 << 16 };

/* A receiver that takes nothing after a piece until it is opened again, and its client. */
struct end {
    struct device dev;
    struct rig *r;
    struct chardev *c;
    int client;
    u32 room, pieces, count;
    u8 data[MOST];
};

static u32 end_room(struct device *dev)
{
    return container_of(dev, struct end, dev)->room;
}

static void end_receive(struct device *dev, const u8 *data, u32 n)
{
    struct end *e = container_of(dev, struct end, dev);

    check(n && n <= e->room && e->count + n <= MOST, "%u bytes where %u have room", n, e->room);
    memcpy(e->data + e->count, data, n);
    e->count += n;
    e->pieces++;
    e->room = 0;
}

static void turn(struct end *e)
{
    loop_poll(e->r->m, MSEC(1));
    rig_advance(e->r, MSEC(2));
}

/* "mon:", or nothing, before a Unix socket. */
static struct end *end_new(const char *before)
{
    struct rig *r = rig_new(NULL, NULL);
    struct end *e = machine_alloc(r->m, sizeof(*e));
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char target[256];

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", image_file(0));
    unlink(a.sun_path);
    snprintf(target, sizeof(target), "%sunix:%s,server=on,wait=off", before, a.sun_path);
    e->r = r;
    e->dev.machine = r->m;
    e->c = chardev_new(r->m, target);
    e->c->dev = &e->dev;
    e->c->can_receive = end_room;
    e->c->receive = end_receive;
    e->client = socket(AF_UNIX, SOCK_STREAM, 0);
    check(!connect(e->client, (struct sockaddr *)&a, sizeof(a)), "no connection");
    turn(e);
    return e;
}

static void say(struct end *e, const void *data, u32 n)
{
    check(write(e->client, data, n) == (ssize_t)n, "the client's socket is full");
}

static void open_for(struct end *e, u32 room)
{
    e->room = room;
    e->c->accept_input(e->c);
    turn(e);
    turn(e);
}

TEST(chardev, a_receiver_s_room_is_for_one_piece)
{
    struct end *e = end_new("");
    u8 sent[10000];

    for (u32 i = 0; i < sizeof(sent); i++)
        sent[i] = (u8)(i * 7 >> 3);
    say(e, sent, sizeof(sent));
    turn(e);
    CHECK_EQ(e->count, 0);
    for (u32 i = 1; i <= 10 && !test_failed(); i++) {
        open_for(e, 1000);
        CHECK_EQ(e->pieces, i);
        CHECK_EQ(e->count, 1000 * i);
    }
    CHECK(!memcmp(e->data, sent, sizeof(sent)));
    open_for(e, 1000);
    CHECK_EQ(e->pieces, 10);
    close(e->client);
}

TEST(chardev, the_monitor_answers_behind_text_that_nobody_takes)
{
    struct end *e = end_new("mon:");
    char said[4096] = "";
    u8 text[5000];
    ssize_t n;

    memset(text, 'x', sizeof(text));
    say(e, text, sizeof(text));
    turn(e);
    CHECK_EQ(e->count, 0);
    say(e, "\1cinfo name\r\1cy", 15);
    for (u32 i = 0; i < 5; i++)
        turn(e);
    n = recv(e->client, said, sizeof(said) - 1, MSG_DONTWAIT);
    CHECK(n > 0 && strstr(said, "(ring3) "));
    CHECK_EQ(e->count, 0);
    while (e->count <= sizeof(text) && !test_failed()) {
        u32 before = e->count;

        open_for(e, 999);
        CHECK(e->count > before);
    }
    CHECK_EQ(e->count, sizeof(text) + 1);
    CHECK_EQ(e->data[sizeof(text) - 1], 'x');
    CHECK_EQ(e->data[sizeof(text)], 'y');
    close(e->client);
}
