/*
 * QMP over its socket, on a bare machine: greeting, negotiation, errors in QMP's form, commands
 * in pieces and several at once, and input nobody should send.
 */
#include "runtime/control/hmp.h"
#include "runtime/control/qmp.h"
#include "runtime/machine/loop.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct talk {
    struct machine *m;
    int fd;
    char path[64], where[80];
    char said[1 << 16]; /* what the last exchange brought */
};

static void serve(struct talk *t)
{
    for (int i = 0; i < 4; i++)
        loop_poll(t->m, MSEC(1));
}

static void hear(struct talk *t)
{
    ssize_t n, have = 0;

    while ((n = recv(t->fd, t->said + have, sizeof(t->said) - 1 - (size_t)have, MSG_DONTWAIT)) >
           0)
        have += n;
    t->said[have] = '\0';
}

static const char *ask(struct talk *t, const char *text)
{
    if (send(t->fd, text, strlen(text), MSG_NOSIGNAL) < 0)
        test_fail(__FILE__, __LINE__, "the server hung up");
    serve(t);
    hear(t);
    return t->said;
}

static void check_says(struct talk *t, const char *text, const char *want)
{
    if (!strstr(ask(t, text), want))
        test_fail(__FILE__, __LINE__, "%s: got %s, want %s", text, t->said, want);
}

static struct talk *talk_new(void)
{
    static struct talk t;
    struct sockaddr_un sa = { .sun_family = AF_UNIX };

    t.m = rig_new(NULL, NULL)->m;
    snprintf(t.path, sizeof(t.path), "/tmp/ring3-qmp-test-%d", (int)getpid());
    snprintf(t.where, sizeof(t.where), "unix:%s", t.path);
    qmp_new(t.m, t.where, false);
    strcpy(sa.sun_path, t.path);
    t.fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(!connect(t.fd, (struct sockaddr *)&sa, sizeof(sa)));
    serve(&t);
    hear(&t);
    CHECK(strstr(t.said, "\"QMP\""));
    return &t;
}

static void talk_free(struct talk *t)
{
    close(t->fd);
    qmp_free(t->m);
    CHECK(access(t->path, F_OK) < 0);
}

#define CAPABILITIES "{\"execute\":\"qmp_capabilities\"}"

TEST(qmp, negotiates_first)
{
    struct talk *t = talk_new();

    check_says(t, "{\"execute\":\"query-status\",\"id\":7}", "CommandNotFound");
    check_says(t, CAPABILITIES, "\"return\": { }");
    check_says(t, CAPABILITIES, "already complete");
    check_says(t, "{\"execute\":\"query-status\",\"id\":\"x\"}", "\"id\": \"x\"");
    CHECK(strstr(t->said, "\"status\": \"running\""));
    talk_free(t);
}

TEST(qmp, errors_have_their_class)
{
    struct talk *t = talk_new();

    ask(t, CAPABILITIES);
    check_says(
        t, "{\"execute\":\"frobnicate\"}",
        "\"class\": \"CommandNotFound\", \"desc\": \"The command frobnicate has not been");
    check_says(t, "{\"execute\":\"pmemsave\"}", "Parameter 'val' is missing");
    check_says(t, "{\"execute\":\"stop\",\"arguments\":{\"x\":1}}",
               "Parameter 'x' is unexpected");
    check_says(t, "{\"execute\":\"screendump\",\"arguments\":{\"filename\":1}}",
               "expected: string");
    check_says(t, "{\"execute\":\"eject\",\"arguments\":{\"device\":\"nine\"}}",
               "DeviceNotFound");
    check_says(t, "{\"execute\":\"eject\"}", "exactly one of");
    check_says(t, "[1]", "must be a JSON object");
    check_says(t, "{\"id\":1}", "lacks member 'execute'");
    check_says(t, "{\"execute\":null}", "lacks member 'execute'");
    check_says(
        t, "{\"execute\":\"send-key\",\"arguments\":{\"keys\":[{\"type\":null,\"data\":1}]}}",
        "GenericError");
    check_says(t, "{\"execute\":\"send-key\",\"arguments\":{\"keys\":[1,2,3]}}",
               "GenericError");
    talk_free(t);
}

TEST(qmp, commands_come_in_pieces_and_in_bunches)
{
    struct talk *t = talk_new();
    const char *second;

    ask(t, CAPABILITIES);
    CHECK(!ask(t, "{\"execute\":\"query-")[0]);
    check_says(t, "version\"} {\"execute\":\"query-status\"}\n{\"execute\":\"query-commands\"}",
               "major");
    second = strstr(t->said, "running");
    CHECK(second && strstr(second, "blockdev-change-medium"));
    talk_free(t);
}

TEST(qmp, survives_nonsense)
{
    struct talk *t = talk_new();
    char *deep = malloc(4096);

    ask(t, CAPABILITIES);
    check_says(t, "}}}}garbage\n", "JSON parse error");
    check_says(t, "{\"execute\":\"query-status\"}\n", "running");
    memset(deep, '[', 4095);
    deep[4094] = '\n';
    deep[4095] = '\0';
    check_says(t, deep, "JSON parse error");
    check_says(t, "{\"execute\":\"query-status\"}\n", "running");
    free(deep);
    talk_free(t);
}

TEST(qmp, a_command_without_end_is_cut_off)
{
    struct talk *t = talk_new();
    char *chunk = malloc(65536);
    u32 sent = 0;

    ask(t, CAPABILITIES);
    memset(chunk, 'a', 65536);
    ask(t, "{\"execute\":\"");
    for (; sent < 64; sent++) {
        if (send(t->fd, chunk, 65536, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break;
        for (int i = 0; i < 20; i++)
            loop_poll(t->m, 0);
    }
    CHECK(sent < 64); /* 4 MiB never arrive */
    free(chunk);
    talk_free(t);
}

TEST(qmp, stop_and_cont_tell)
{
    struct talk *t = talk_new();

    ask(t, CAPABILITIES);
    check_says(t, "{\"execute\":\"stop\"}", "\"event\": \"STOP\"");
    check_says(t, "{\"execute\":\"query-status\"}", "paused");
    check_says(t, "{\"execute\":\"cont\"}", "\"event\": \"RESUME\"");
    check_says(t, "{\"execute\":\"query-status\"}", "running");
    check_says(t, "{\"execute\":\"quit\"}", "\"event\": \"SHUTDOWN\"");
    CHECK(t->m->quit);
    talk_free(t);
}

TEST(qmp, memory_goes_to_files)
{
    struct talk *t = talk_new();
    char path[64], command[256], back[17] = "";
    FILE *f;

    ask(t, CAPABILITIES);
    phys_write(t->m, 0x12ff8, "hello, two pages", 16);
    snprintf(path, sizeof(path), "/tmp/ring3-mem-test-%d", (int)getpid());
    snprintf(command, sizeof(command),
             "{\"execute\":\"pmemsave\",\"arguments\":{\"val\":77816,\"size\":16,\"filename\":"
             "\"%s\"}}",
             path);
    check_says(t, command, "return");
    f = fopen(path, "rb");
    CHECK(f && fread(back, 1, 17, f) == 16);
    CHECK(!memcmp(back, "hello, two pages", 16));
    if (f)
        fclose(f);
    unlink(path);
    talk_free(t);
}

static void check_hmp(struct machine *m, const char *line, const char *want)
{
    char *said = hmp_run(m, line);

    if (!strstr(said, want))
        test_fail(__FILE__, __LINE__, "%s: got '%s', want '%s'", line, said, want);
    free(said);
}

TEST(hmp, looks_at_memory)
{
    struct machine *m = rig_new(NULL, NULL)->m;

    phys_write(m, 0x7c00, "\x90\xcd\x10\xf4\x41\x42\xff\xff", 8);
    check_hmp(m, "xp/8xb 0x7c00", "0000000000007c00: 0x90 0xcd 0x10 0xf4 0x41 0x42 0xff 0xff");
    check_hmp(m, "xp /2xh 0x7c00", "0xcd90 0xf410");
    check_hmp(m, "xp /1xw 0x7c00+4", "0xffff4241");
    check_hmp(m, "x /3i 0x7c00", "int 0x10");
    check_hmp(m, "xp /1db 0x7c06", "-1");
    check_hmp(m, "xp /2c 0x7c04", "'A' 'B'");
    check_hmp(m, "xp /z 0", "a count");
    check_hmp(m, "xp fish", "no number");
    check_hmp(m, "xp", "usage");
}

TEST(hmp, answers_and_refuses)
{
    struct machine *m = rig_new(NULL, NULL)->m;

    check_hmp(m, "info status", "VM status: running");
    check_hmp(m, "info version", "ring3");
    check_hmp(m, "info stats", "exceptions");
    check_hmp(m, "info nothing", "info registers");
    check_hmp(m, "frob", "unknown command: 'frob'");
    check_hmp(m, "", "");
    check_hmp(m, "sendkey ctrl-alt-nokey", "invalid parameter: nokey");
    check_hmp(m, "sendkey a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q-r-s", "invalid parameter");
    check_hmp(m, "eject nine", "not found");
    check_hmp(m, "pmemsave 0 16 /no/such/folder/x", "could not open");
    check_hmp(m, "pmemsave 0 0x100000000000 /tmp/x", "more than there is");
}
