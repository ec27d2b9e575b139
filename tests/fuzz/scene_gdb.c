/*
 * A debugger that sends what none would, while random code runs: packets of the protocol's
 * letters with numbers that matter, and damaged ones.
 */
#include "cpu/debugger.h"
#include "runtime/control/gdb_packet.h"
#include "runtime/control/gdb_session.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void hear(void *arg, const char *data, u32 n)
{
    struct fuzz *f = arg;

    check(n && n <= GDB_FRAMED(GDB_PACKET), "%u bytes of an answer", n);
    f->last = (u8)data[n - 1];
}

/* Commands that end the machine or write files are left out. */
static u32 compose(struct fuzz *f, char *text, u32 room)
{
    static const char *const names[] = {
        "g",
        "p",
        "P",
        "G",
        "m",
        "M",
        "X",
        "Z0,",
        "Z1,",
        "Z2,",
        "Z3,",
        "Z4,",
        "z0,",
        "z1,",
        "z2,",
        "z3,",
        "z4,",
        "?",
        "s",
        "c",
        "S05",
        "C05",
        "vCont;s",
        "vCont;c",
        "vCont?",
        "vCont",
        "H",
        "T",
        "D",
        "qC",
        "qSupported:",
        "qXfer:features:read:target.xml:",
        "qXfer:features:read:",
        "qRcmd,",
        "qfThreadInfo",
        "QStartNoAckMode",
        "v",
        "q",
        "",
    };
    static const char marks[] = ",,,:;=-#$}*\x03";
    u32 n = (u32)snprintf(text, room, "%s", names[fuzz_below(f, ARRAY_SIZE(names))]);

    for (u32 parts = fuzz_below(f, 4); parts && n + 64 < room; parts--) {
        u32 val = fuzz_chance(f, 40)   ? fuzz_below(f, 64)
                  : fuzz_chance(f, 50) ? fuzz_address(f)
                                       : fuzz_value(f);

        n += (u32)snprintf(text + n, room - n, "%x", val);
        if (fuzz_chance(f, 80))
            text[n++] = marks[fuzz_below(f, sizeof(marks) - 1)];
    }
    if (fuzz_chance(f, 20) && n + 800 < room)
        for (u32 digits = fuzz_below(f, 700); digits; digits--)
            text[n++] = "0123456789abcdefg"[fuzz_below(f, fuzz_chance(f, 1) ? 17 : 16)];
    return n;
}

static void send_packet(struct fuzz *f, struct gdb_session *s)
{
    char text[1024], frame[GDB_FRAMED(1024)];
    u32 n = compose(f, text, sizeof(text));

    n = gdb_packet_frame(frame, text, n);
    while (fuzz_chance(f, 3))
        frame[fuzz_below(f, n)] = (char)fuzz_u32(f);
    gdb_session_input(s, (const u8 *)frame, n);
}

void scene_gdb(struct fuzz *f)
{
    struct gdb_session *s = gdb_session_new(f->m, hear, f);

    for (u32 i = 1 + fuzz_below(f, 40); i && !f->m->events; i--) {
        send_packet(f, s);
        if (fuzz_chance(f, 10))
            gdb_session_input(s, (const u8 *)"\x03", 1);
        if (f->m->state == RUN_RUNNING && fuzz_chance(f, 50))
            scene_cpu(f);
        request_clear(f->m->cpu, REQ_EVENT);
        gdb_session_turn(s);
    }
    gdb_session_free(s);
    check(!f->m->cpu->watch_code && !f->m->cpu->watch_all, "points are left");
}
