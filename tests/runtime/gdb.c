/*
 * The debugger's protocol on a bare machine: packets in pieces, damaged and escaped; registers;
 * memory by the guest's paging; points; steps; what no client should send.
 */
#include "cpu/interp.h"
#include "runtime/control/gdb_packet.h"
#include "runtime/control/gdb_registers.h"
#include "runtime/control/gdb_session.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <stdlib.h>
#include <string.h>

/* ---- Packets ---- */

static enum gdb_event feed(struct gdb_reader *r, const char *text)
{
    enum gdb_event e = GDB_NOTHING;

    while (*text) {
        CHECK_EQ(e, GDB_NOTHING);
        e = gdb_packet_byte(r, (u8)*text++);
    }
    return e;
}

TEST(gdb, packets_are_taken_apart)
{
    static struct gdb_reader r;

    CHECK_EQ(feed(&r, "+$g#67"), GDB_COMMAND);
    CHECK(r.n == 1 && !strcmp((char *)r.data, "g"));
    CHECK_EQ(feed(&r, "$g#68"), GDB_DAMAGED);
    CHECK_EQ(feed(&r, "$g#x"), GDB_DAMAGED);
    CHECK_EQ(feed(&r, "$m10,$g#67"), GDB_COMMAND); /* cut off by the next */
    CHECK_EQ(feed(&r, "$a}\x03}]#bb"), GDB_COMMAND);
    CHECK(r.n == 3 && !memcmp(r.data, "a#}", 3));
    CHECK_EQ(feed(&r, "\x03"), GDB_INTERRUPT);
    CHECK_EQ(feed(&r, "-"), GDB_AGAIN);
    CHECK_EQ(feed(&r, "noise"), GDB_NOTHING);
}

TEST(gdb, a_packet_that_is_too_long_is_damaged)
{
    static struct gdb_reader r;
    u8 sum = 0;

    gdb_packet_byte(&r, '$');
    for (u32 i = 0; i < GDB_PACKET + 1; i++, sum += 'a')
        CHECK_EQ(gdb_packet_byte(&r, 'a'), GDB_NOTHING);
    gdb_packet_byte(&r, '#');
    gdb_packet_byte(&r, (u8) "0123456789abcdef"[sum >> 4]);
    CHECK_EQ(gdb_packet_byte(&r, (u8) "0123456789abcdef"[sum & 15]), GDB_DAMAGED);
    CHECK_EQ(feed(&r, "$g#67"), GDB_COMMAND);
}

TEST(gdb, packets_are_made_and_read_back)
{
    static struct gdb_reader r;
    char frame[GDB_FRAMED(256)];
    u8 all[256];
    u32 n;

    for (u32 i = 0; i < 256; i++)
        all[i] = (u8)i;
    n = gdb_packet_frame(frame, all, 256);
    CHECK(n <= sizeof(frame));
    for (u32 i = 0; i < n; i++)
        CHECK_EQ(gdb_packet_byte(&r, (u8)frame[i]), i + 1 < n ? GDB_NOTHING : GDB_COMMAND);
    CHECK(r.n == 256 && !memcmp(r.data, all, 256));
}

TEST(gdb, numbers)
{
    const char *text = "1fF,";
    u64 val;

    CHECK(gdb_take_number(&text, &val) && val == 0x1ff && *text == ',');
    CHECK(!gdb_take_number(&text, &val));
    text = "11112222333344445";
    CHECK(!gdb_take_number(&text, &val));
}

/* ---- A session ---- */

static struct {
    struct machine *m;
    struct gdb_session *s;
    char said[1 << 16];
    u32 n;
} talk;

static void hear(void *arg, const char *data, u32 n)
{
    check(talk.n + n < sizeof(talk.said), "too much is said");
    memcpy(talk.said + talk.n, data, n);
    talk.n += n;
    talk.said[talk.n] = '\0';
}

static void begin(void)
{
    talk.m = rig_new(NULL, NULL)->m;
    talk.m->state = RUN_PAUSED;
    talk.s = gdb_session_new(talk.m, hear, NULL);
}

static void finish(void)
{
    gdb_session_free(talk.s);
}

/* What is answered, without frame and acknowledgement. */
static const char *ask_bytes(const void *command, u32 size)
{
    static char answer[1 << 16];
    char frame[4096];
    u32 n = gdb_packet_frame(frame, command, size);

    talk.n = 0;
    gdb_session_input(talk.s, (const u8 *)frame, n);
    gdb_session_turn(talk.s);
    if (talk.n < 5 || talk.said[0] != '+' || talk.said[1] != '$' ||
        talk.said[talk.n - 3] != '#')
        return "(no answer)";
    snprintf(answer, sizeof(answer), "%.*s", (int)talk.n - 5, talk.said + 2);
    return answer;
}

static const char *ask(const char *command)
{
    return ask_bytes(command, (u32)strlen(command));
}

static void check_says(const char *command, const char *want)
{
    const char *got = ask(command);

    if (strcmp(got, want))
        test_fail(__FILE__, __LINE__, "%s: %s, want %s", command, got, want);
}

static void put(gpa_t gpa, const void *data, u32 n)
{
    memcpy(mmu_ram(talk.m->mmu) + gpa, data, n);
}

TEST(gdb, questions)
{
    begin();
    check_says("?", "T05thread:01;");
    check_says("qAttached", "1");
    check_says("qC", "QC01");
    check_says("qfThreadInfo", "m01");
    check_says("qsThreadInfo", "l");
    check_says("Hc-1", "OK");
    check_says("T1", "OK");
    check_says("vCont?", "vCont;c;C;s;S");
    check_says("vMustReplyEmpty", "");
    check_says("", "");
    check_says("qRcmd,7a7a7a", "O756e6b6e6f776e20636f6d6d616e643a20277a7a7a270a#56$OK");
    check_says("qXfer:features:read:other.xml:0,100", "E00");
    check_says("qXfer:features:read:target.xml:fffff,100", "l");
    CHECK(!strncmp(ask("qXfer:features:read:target.xml:0,10"), "m<?xml version=", 15));
    finish();
}

TEST(gdb, registers_are_read_and_written)
{
    begin();
    CHECK_EQ(strlen(ask("g")), 2 * 344);
    check_says("p8", "f0ff0000");
    check_says("P0=78563412", "OK");
    CHECK_EQ(talk.m->cpu->gpr[EAX], 0x12345678);
    check_says("p0", "78563412");
    check_says("P9=02020000", "OK"); /* IF is kept by itself */
    CHECK_EQ(talk.m->cpu->int_flag, 1);
    CHECK_EQ(talk.m->cpu->eflags & FLAG_IF, 0);
    check_says("p9", "02020000");
    check_says("P9=02000200", "E16"); /* VM */
    check_says("Pc=34120000", "OK");
    CHECK_EQ(talk.m->cpu->seg[DS].base, 0x12340);
    check_says("P10=00000100", "E16"); /* FS_BASE */
    check_says("P13=10000060", "OK");  /* CR0 as it is */
    check_says("P13=11000060", "E16"); /* PE */
    check_says("P16=ffffffff", "E16"); /* CR4 */
    CHECK_EQ(talk.m->cpu->exc_vector, EXC_NONE);
    check_says("P31=00000001", "E16"); /* MXCSR, a reserved bit */
    check_says("P22=0f000000", "OK");  /* FSTAT: unmasked exceptions set ES and B */
    CHECK_EQ(talk.m->cpu->fpu.fsw, 0x808f);
    check_says("p32", "E16");
    check_says("p", "E16");
    check_says("P0=123", "E16");
    finish();
}

TEST(gdb, all_registers_written_back_change_nothing)
{
    char command[2 * 344 + 2] = "G";
    struct vcpu before;

    begin();
    strcat(command, ask("g"));
    before = *talk.m->cpu;
    check_says(command, "OK");
    CHECK(!memcmp(&before, talk.m->cpu, sizeof(before)));
    finish();
}

/* Page directory at 10000, table at 11000: gla 400000 is gpa 20000, 401000 device memory,
 * 402000 nothing. */
static void map_pages(void)
{
    u32 pde = 0x11003, ptes[] = {0x20003, 0xfec00003, 0, 0x23001};

    put(0x10004, &pde, 4);
    put(0x11000, ptes, sizeof(ptes));
    talk.m->cpu->cr3 = 0x10000;
    talk.m->cpu->cr0 |= CR0_PE | CR0_PG;
    mmu_mode_changed(&talk.m->cpu->paging, false);
}

TEST(gdb, memory_is_the_guests_by_its_tables_and_nothing_marks_them)
{
    u32 pde, pte;

    begin();
    map_pages();
    put(0x20ffc, "abcd", 4);
    check_says("m400ffc,4", "61626364");
    check_says("m400ffc,8", "61626364"); /* the rest is a device's */
    check_says("m401000,4", "E0e");
    check_says("m402000,4", "E0e");
    check_says("m0,4", "E0e");
    check_says("M400000,4:01020304", "OK");
    CHECK(!memcmp(mmu_ram(talk.m->mmu) + 0x20000, "\1\2\3\4", 4));
    check_says("M400ffe,4:01020304", "E0e"); /* all or nothing */
    CHECK(!memcmp(mmu_ram(talk.m->mmu) + 0x20ffc, "abcd", 4));
    check_says("M403000,2:0506", "OK"); /* read-only for the guest alone */
    CHECK(!strcmp(ask_bytes("X400008,3:a\0}", 12 + 1), "OK"));
    CHECK(!memcmp(mmu_ram(talk.m->mmu) + 0x20008, "a\0}", 3));
    check_says("X400008,4:abc", "E16");
    check_says("m400000,ffffffffff", "E16");
    memcpy(&pde, mmu_ram(talk.m->mmu) + 0x10004, 4);
    memcpy(&pte, mmu_ram(talk.m->mmu) + 0x11000, 4);
    CHECK_EQ(pde, 0x11003);
    CHECK_EQ(pte, 0x20003);
    finish();
}

TEST(gdb, a_write_to_a_page_table_counts_at_once)
{
    begin();
    map_pages();
    put(0x20000, "old", 4);
    put(0x22000, "new", 4);
    check_says("m400000,3", "6f6c64");
    talk.m->cpu->eip = 0;
    check_says("M400000,1:6f", "OK");
    put(0x11000, "\x03\x20\x02", 3); /* behind the MMU's back: what is walked is memory */
    check_says("m400000,3", "6e6577");
    finish();
}

/* At 0:1000. */
static void place_code(const void *code, u32 n)
{
    static const struct segment flat = {0, 0xffff, 0, SEG_S | SEG_W | SEG_A | ATTR_P};
    struct vcpu *cpu = talk.m->cpu;

    for (u32 i = ES; i <= GS; i++)
        cpu->seg[i] = flat;
    cpu->eip = 0x1000;
    put(0x1000, code, n);
}

/* Runs until something is to be told, as the run loop would. */
static const char *go(void)
{
    static char answer[64];

    ask("c");
    talk.m->cpu->requests &= ~(u32)REQ_EVENT;
    for (u32 i = 0; i < 1000 && !(talk.m->cpu->requests & REQ_EVENT); i++)
        cpu_step(talk.m->cpu);
    talk.n = 0;
    gdb_session_turn(talk.s);
    snprintf(answer, sizeof(answer), "%.*s", talk.n > 4 ? (int)talk.n - 4 : 0, talk.said + 1);
    return answer;
}

static void check_stop(const char *got, const char *want, u32 eip)
{
    if (strcmp(got, want) || talk.m->cpu->eip != eip)
        test_fail(__FILE__, __LINE__, "%s at %x, want %s at %x", got, talk.m->cpu->eip, want,
                  eip);
}

TEST(gdb, breakpoints_stop_before_watchpoints_behind)
{
    static const u8 code[] = {0xfe, 0x06, 0x00, 0x20, /* 1000: incb 0x2000 */
                              0xeb, 0xfa};            /* 1004: jmp 1000 */

    begin();
    place_code(code, sizeof(code));
    check_says("Z0,1004,1", "OK");
    check_says("Z1,1000,1", "OK");
    check_stop(go(), "T05thread:01;", 0x1004); /* the one at EIP is passed */
    CHECK_EQ(mmu_ram(talk.m->mmu)[0x2000], 1);
    check_stop(go(), "T05thread:01;", 0x1000);
    check_stop(go(), "T05thread:01;", 0x1004);
    check_says("z0,1004,1", "OK");
    check_says("z1,1000,1", "OK");
    check_says("z1,1000,1", "E16");
    check_says("Z2,1fff,2", "OK");
    check_stop(go(), "T05thread:01;watch:1fff;", 0x1004);
    check_says("z2,1fff,2", "OK");
    check_says("Z3,2000,1", "OK");
    check_stop(go(), "T05thread:01;rwatch:2000;", 0x1004);
    check_says("s", "T05thread:01;"); /* the jump */
    check_says("s", "T05thread:01;rwatch:2000;");
    check_says("z3,2000,1", "OK");
    CHECK_EQ(talk.m->cpu->watch_all, 0);
    CHECK_EQ(talk.m->cpu->watch_code, 0);
    finish();
}

TEST(gdb, a_step_is_an_instruction_or_an_iteration)
{
    static const u8 code[] = {0xb9, 0x03, 0x00, /* 1000: mov $3, %cx */
                              0xf3, 0xaa,       /* 1003: rep stosb */
                              0xcc,             /* 1005: int3, to 0:1234 */
                              0xf4};            /* hlt */
    static const u32 eips[] = {0x1003, 0x1003, 0x1003, 0x1005, 0x1234};

    begin();
    place_code(code, sizeof(code));
    put(3 * 4, "\x34\x12\0", 4);
    talk.m->cpu->gpr[ESP] = 0x8000;
    talk.m->cpu->idtr = (struct table_register){0, 0x3ff};
    request_set(talk.m->cpu, REQ_NMI); /* interrupts wait */
    for (u32 i = 0; i < ARRAY_SIZE(eips); i++) {
        check_stop(ask("vCont;s:1"), "T05thread:01;", eips[i]);
        if (i < 4)
            CHECK_EQ(talk.m->cpu->gpr[ECX], 3 - i);
    }
    CHECK(talk.m->cpu->requests & REQ_NMI);
    check_stop(ask("s1006"), "T05thread:01;", 0x1007); /* HLT does not hold a step */
    finish();
}

TEST(gdb, there_is_an_end_to_points)
{
    char text[64];

    begin();
    for (u32 i = 0; i < 256; i++) {
        snprintf(text, sizeof(text), "Z0,%x,1", i << 12);
        check_says(text, "OK");
    }
    check_says("Z0,1,1", "E1c");
    check_says("Z0,0,1", "OK"); /* there already */
    check_says("D", "OK");
    CHECK_EQ(talk.m->cpu->watch_code, 0);
    check_says("Z0,1,1", "OK");
    check_says("Z5,0,1", "E16");
    check_says("Z2,0,0", "E16");
    check_says("Z2,0,1001", "E16");
    finish();
    CHECK_EQ(talk.m->cpu->watch_code, 0);
}

TEST(gdb, the_last_answer_again)
{
    begin();
    ask("qC");
    talk.n = 0;
    gdb_session_input(talk.s, (const u8 *)"-", 1);
    CHECK(!strcmp(talk.said, "$QC01#f5"));
    talk.n = 0;
    gdb_session_input(talk.s, (const u8 *)"$qC#00", 6);
    CHECK(!strcmp(talk.said, "-"));
    finish();
}
