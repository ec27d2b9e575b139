/*
 * A debugger's commands, a row each: a name, and a function that writes the answer. An answer
 * left empty means "not known here".
 */
#include "cpu/debugger.h"
#include "runtime/control/control.h"
#include "runtime/control/gdb_private.h"
#include "runtime/control/gdb_registers.h"
#include "runtime/control/hmp.h"

#include <stdlib.h>
#include <string.h>

enum { ERROR_FAULT = 14, ERROR_INVALID = 22, ERROR_NO_SPACE = 28 };
enum { MEMORY_MOST = GDB_PACKET / 2 - 64 };

static void ok(struct gdb_session *s)
{
    gdb_say(s, "OK");
}

static void error(struct gdb_session *s, u32 number)
{
    gdb_say(s, "E%02x", number);
}

/* ---- Running ---- */

/* c, s: [ADDRESS]; C, S: a signal, which a machine has no use for, and then ;ADDRESS. */
static void move_eip(struct gdb_session *s, const char *text)
{
    u64 address;

    if (gdb_take_number(&text, &address))
        s->m->cpu->eip = (u32)address;
}

static void run_continue(struct gdb_session *s, const char *text)
{
    move_eip(s, text);
    gdb_go_on(s);
}

static void run_step(struct gdb_session *s, const char *text)
{
    move_eip(s, text);
    gdb_step(s);
}

static const char *behind_signal(const char *text)
{
    const char *semicolon = strchr(text, ';');

    return semicolon ? semicolon + 1 : "";
}

static void run_continue_signal(struct gdb_session *s, const char *text)
{
    run_continue(s, behind_signal(text));
}

static void run_step_signal(struct gdb_session *s, const char *text)
{
    run_step(s, behind_signal(text));
}

/* vCont;ACTION[:THREAD]…: the first that fits the one thread. */
static void run_vcont(struct gdb_session *s, const char *text)
{
    if (text[0] != ';')
        error(s, ERROR_INVALID);
    else if (text[1] == 'c' || text[1] == 'C')
        gdb_go_on(s);
    else if (text[1] == 's' || text[1] == 'S')
        gdb_step(s);
    else
        error(s, ERROR_INVALID);
}

static void run_vcont_query(struct gdb_session *s, const char *text)
{
    gdb_say(s, "vCont;c;C;s;S");
}

static void run_why(struct gdb_session *s, const char *text)
{
    gdb_say_why(s);
}

static void run_detach(struct gdb_session *s, const char *text)
{
    cpu_debugger_detach(s->m->cpu);
    s->holds = false;
    control_cont(s->m);
    ok(s);
}

static void run_kill(struct gdb_session *s, const char *text)
{
    s->silent = true;
    control_quit(s->m, "host-signal");
}

static void run_vkill(struct gdb_session *s, const char *text)
{
    ok(s);
    control_quit(s->m, "host-signal");
}

/* ---- Registers ---- */

static void run_read_all(struct gdb_session *s, const char *text)
{
    u8 value[GDB_REGISTER_BYTES];

    for (u32 i = 0; i < gdb_register_count(); i++) {
        gdb_register_read(s->m->cpu, i, value);
        gdb_say_bytes(s, value, gdb_register_size(i));
    }
}

/* What cannot be written keeps its value, as bases and k_gs_base do. */
static void run_write_all(struct gdb_session *s, const char *text)
{
    u8 value[GDB_REGISTER_BYTES];

    for (u32 i = 0; i < gdb_register_count(); i++) {
        u32 size = gdb_register_size(i);

        if (!gdb_unhex(value, text, size))
            break; /* a client may know fewer */
        gdb_register_write(s->m->cpu, i, value);
        text += 2 * size;
    }
    ok(s);
}

static void run_read_one(struct gdb_session *s, const char *text)
{
    u8 value[GDB_REGISTER_BYTES];
    u64 n;

    if (!gdb_take_number(&text, &n) || n >= gdb_register_count()) {
        error(s, ERROR_INVALID);
        return;
    }
    gdb_register_read(s->m->cpu, (u32)n, value);
    gdb_say_bytes(s, value, gdb_register_size((u32)n));
}

static void run_write_one(struct gdb_session *s, const char *text)
{
    u8 value[GDB_REGISTER_BYTES];
    u64 n;

    if (!gdb_take_number(&text, &n) || n >= gdb_register_count() || *text != '=' ||
        !gdb_unhex(value, text + 1, gdb_register_size((u32)n)) ||
        !gdb_register_write(s->m->cpu, (u32)n, value))
        error(s, ERROR_INVALID);
    else
        ok(s);
}

/* ---- Memory, by linear address, as the guest's tables have it; devices are left alone ---- */

/* How many of n bytes from gla on are memory, in one page. */
static u32 memory_piece(struct gdb_session *s, gla_t gla, u32 n, bool write, gpa_t *gpa)
{
    u32 left = PAGE_SIZE - (gla & PAGE_MASK);

    if (!mmu_translate(&s->m->cpu->paging, gla, gpa) ||
        !mmu_phys_is_memory(s->m->mmu, *gpa, write))
        return 0;
    return n < left ? n : left;
}

/* ADDRESS,LENGTH and what ends it. */
static bool take_range(const char **text, u64 *gla, u64 *n, char end)
{
    if (!gdb_take_number(text, gla) || *(*text)++ != ',' || !gdb_take_number(text, n) ||
        **text != end)
        return false;
    return *gla <= UINT32_MAX && *n <= UINT32_MAX;
}

/* Fewer bytes than asked for, where the rest is no memory. */
static void run_read_memory(struct gdb_session *s, const char *text)
{
    u8 page[PAGE_SIZE];
    u64 gla, n;

    if (!take_range(&text, &gla, &n, '\0')) {
        error(s, ERROR_INVALID);
        return;
    }
    n = n < MEMORY_MOST ? n : MEMORY_MOST;
    while (n) {
        gpa_t gpa;
        u32 piece = memory_piece(s, (gla_t)gla, (u32)n, false, &gpa);

        if (!piece)
            break;
        mmu_phys_read(s->m->mmu, gpa, page, piece);
        gdb_say_bytes(s, page, piece);
        gla += piece, n -= piece;
    }
    if (n && !s->answer_size)
        error(s, ERROR_FAULT);
}

static bool writable(struct gdb_session *s, gla_t gla, u32 n)
{
    gpa_t gpa;

    for (u32 piece; n; gla += piece, n -= piece) {
        piece = memory_piece(s, gla, n, true, &gpa);
        if (!piece)
            return false;
    }
    return true;
}

/* All or nothing. */
static void write_memory(struct gdb_session *s, gla_t gla, const u8 *data, u32 n)
{
    if (!writable(s, gla, n)) {
        error(s, ERROR_FAULT);
        return;
    }
    while (n) {
        gpa_t gpa;
        u32 piece = memory_piece(s, gla, n, true, &gpa);

        if (!piece)
            break; /* it has just unmapped itself */
        mmu_phys_write(s->m->mmu, gpa, data, piece);
        gla += piece, data += piece, n -= piece;
    }
    ok(s);
}

static void run_write_memory(struct gdb_session *s, const char *text)
{
    u8 data[GDB_PACKET / 2];
    u64 gla, n;

    if (!take_range(&text, &gla, &n, ':') || strlen(text + 1) != 2 * n ||
        !gdb_unhex(data, text + 1, (u32)n))
        error(s, ERROR_INVALID);
    else
        write_memory(s, (gla_t)gla, data, (u32)n);
}

static void run_write_binary(struct gdb_session *s, const char *text)
{
    const char *begin = (const char *)s->reader.data;
    u64 gla, n;

    if (!take_range(&text, &gla, &n, ':') || s->reader.n - (u32)(text + 1 - begin) != n)
        error(s, ERROR_INVALID);
    else
        write_memory(s, (gla_t)gla, (const u8 *)text + 1, (u32)n);
}

/* ---- Points ---- */

/* TYPE,ADDRESS,KIND: software and hardware breakpoints are one thing here. */
static bool take_point(const char *text, enum debug_point_kind *kind, u64 *gla, u64 *n)
{
    static const u8 kinds[] = {POINT_EXEC, POINT_EXEC, POINT_WRITE, POINT_READ, POINT_ACCESS};
    u64 type;

    if (!gdb_take_number(&text, &type) || type >= ARRAY_SIZE(kinds) || *text++ != ',' ||
        !gdb_take_number(&text, gla) || *text++ != ',' || !gdb_take_number(&text, n))
        return false;
    *kind = (enum debug_point_kind)kinds[type];
    return (!*text || *text == ';') && *gla <= UINT32_MAX && *n <= PAGE_SIZE &&
           (*kind == POINT_EXEC || *n);
}

static void run_insert(struct gdb_session *s, const char *text)
{
    enum debug_point_kind kind;
    u64 gla, n;

    if (!take_point(text, &kind, &gla, &n))
        error(s, ERROR_INVALID);
    else if (!cpu_debugger_insert(s->m->cpu, kind, (gla_t)gla, (u32)n))
        error(s, ERROR_NO_SPACE);
    else
        ok(s);
}

static void run_remove(struct gdb_session *s, const char *text)
{
    enum debug_point_kind kind;
    u64 gla, n;

    if (!take_point(text, &kind, &gla, &n) ||
        !cpu_debugger_remove(s->m->cpu, kind, (gla_t)gla, (u32)n))
        error(s, ERROR_INVALID);
    else
        ok(s);
}

/* ---- Questions ---- */

static void run_supported(struct gdb_session *s, const char *text)
{
    gdb_say(s, "PacketSize=%x;qXfer:features:read+;QStartNoAckMode+;vContSupported+",
            GDB_PACKET);
}

static void run_no_ack(struct gdb_session *s, const char *text)
{
    s->no_ack = true;
    ok(s);
}

/* target.xml:OFFSET,LENGTH */
static void run_features(struct gdb_session *s, const char *text)
{
    static const char name[] = "target.xml:";
    u64 offset, n, left;

    if (strncmp(text, name, sizeof(name) - 1)) {
        gdb_say(s, "E00");
        return;
    }
    text += sizeof(name) - 1;
    if (!take_range(&text, &offset, &n, '\0')) {
        error(s, ERROR_INVALID);
        return;
    }
    if (!s->xml)
        s->xml = gdb_register_xml();
    left = strlen(s->xml);
    left = offset < left ? left - offset : 0;
    n = n < MEMORY_MOST ? n : MEMORY_MOST;
    gdb_say(s, "%c%.*s", n < left ? 'm' : 'l', (int)(n < left ? n : left),
            left ? s->xml + offset : "");
}

/* monitor COMMAND: the text in pieces, then OK. */
static void run_monitor(struct gdb_session *s, const char *text)
{
    char line[512];
    u32 n = (u32)strlen(text) / 2, left;
    char *said;

    if (n >= sizeof(line) || !gdb_unhex(line, text, n)) {
        error(s, ERROR_INVALID);
        return;
    }
    line[n] = '\0';
    said = hmp_run(s->m, line);
    left = (u32)strlen(said);
    for (u32 at = 0, piece; at < left; at += piece) {
        piece = left - at < MEMORY_MOST ? left - at : MEMORY_MOST;
        gdb_say(s, "O");
        gdb_say_bytes(s, said + at, piece);
        gdb_send_answer(s);
    }
    free(said);
    ok(s);
}

static void run_ok(struct gdb_session *s, const char *text)
{
    ok(s);
}
static void run_attached(struct gdb_session *s, const char *text)
{
    gdb_say(s, "1");
}
static void run_thread(struct gdb_session *s, const char *text)
{
    gdb_say(s, "QC01");
}
static void run_first_threads(struct gdb_session *s, const char *text)
{
    gdb_say(s, "m01");
}
static void run_more_threads(struct gdb_session *s, const char *text)
{
    gdb_say(s, "l");
}
static void run_thread_name(struct gdb_session *s, const char *text)
{
    const char *name = s->m->state == RUN_RUNNING ? "CPU#0 [running]" : "CPU#0 [halted ]";

    gdb_say_bytes(s, name, (u32)strlen(name));
}

/* ---- The table: the first row whose name begins the command ---- */

static const struct command {
    const char *name;
    void (*run)(struct gdb_session *s, const char *text);
    bool whole; /* nothing may follow but : ; or , */
} commands[] = {
    {"?", run_why},
    {"c", run_continue},
    {"C", run_continue_signal},
    {"s", run_step},
    {"S", run_step_signal},
    {"vCont?", run_vcont_query},
    {"vCont", run_vcont},
    {"D", run_detach},
    {"k", run_kill},
    {"vKill", run_vkill},
    {"g", run_read_all},
    {"G", run_write_all},
    {"p", run_read_one},
    {"P", run_write_one},
    {"m", run_read_memory},
    {"M", run_write_memory},
    {"X", run_write_binary},
    {"Z", run_insert},
    {"z", run_remove},
    {"H", run_ok},
    {"T", run_ok},
    {"qSupported", run_supported, true},
    {"QStartNoAckMode", run_no_ack, true},
    {"qXfer:features:read:", run_features},
    {"qRcmd,", run_monitor},
    {"qAttached", run_attached, true},
    {"qC", run_thread, true},
    {"qfThreadInfo", run_first_threads, true},
    {"qsThreadInfo", run_more_threads, true},
    {"qThreadExtraInfo", run_thread_name, true},
    {"qSymbol", run_ok, true},
};

static const struct command *find_command(const char *text)
{
    for (u32 i = 0; i < ARRAY_SIZE(commands); i++) {
        size_t n = strlen(commands[i].name);

        if (!strncmp(text, commands[i].name, n) &&
            (!commands[i].whole || !text[n] || strchr(":;,", text[n])))
            return &commands[i];
    }
    return NULL;
}

void gdb_command_run(struct gdb_session *s)
{
    const char *text = (const char *)s->reader.data;
    const struct command *c = find_command(text);

    trace(TRACE_GDB, "> %s", text);
    s->silent = false;
    if (c)
        c->run(s, text + strlen(c->name));
    if (!s->silent)
        gdb_send_answer(s);
}
