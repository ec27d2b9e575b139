/*
 * Two whole machines in one process, each on a thread of its own, at once: own clock, own host
 * timer, own memory, own translated code, own log channels. Each runs a BIOS of ours that
 * computes for a while, with a timer that interrupts a thousand times a second, then sleeps by
 * HLT until enough ticks have come, and ends by isa-debug-exit.
 */
#include "runtime/machine/engines.h"
#include "runtime/machine/run.h"
#include "runtime/options/option_devices.h"
#include "runtime/parts.h"
#include "tests/harness/test.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROM_SIZE = 64 << 10, RESULT = 0x600, TICKS_AT = 0x604, STEPS = 20000000, TICKS = 100, STATUS = 0x15 };

/* For F000:0, where the reset vector jumps. 5EED is patched. */
__asm__(".pushsection .rodata\n"
        ".code16\n"
        "two_guest:\n"
        "    cli\n"
        "    xor %ax, %ax\n"
        "    mov %ax, %ds\n"
        "    mov %ax, %ss\n"
        "    mov $0x7000, %sp\n"
        "    movw $(two_tick - two_guest), 0x20\n" /* vector 8: IRQ 0 */
        "    movw $0xf000, 0x22\n"
        "    movl $0, 0x604\n"
        "    mov $0x11, %al\n" /* the first 8259: vectors from 8 on, IRQ 0 only */
        "    out %al, $0x20\n"
        "    mov $0x08, %al\n"
        "    out %al, $0x21\n"
        "    mov $0x04, %al\n"
        "    out %al, $0x21\n"
        "    mov $0x01, %al\n"
        "    out %al, $0x21\n"
        "    mov $0xfe, %al\n"
        "    out %al, $0x21\n"
        "    mov $0x34, %al\n" /* the timer: mode 2, 1193 ticks: 1 ms */
        "    out %al, $0x43\n"
        "    mov $0xa9, %al\n"
        "    out %al, $0x40\n"
        "    mov $0x04, %al\n"
        "    out %al, $0x40\n"
        "    sti\n"
        "two_seed:\n"
        "    mov $0x11115eed, %eax\n"
        "    mov $20000000, %ecx\n"
        "1:  imul $1664525, %eax, %eax\n"
        "    add $1013904223, %eax\n"
        "    dec %ecx\n"
        "    jnz 1b\n"
        "    mov %eax, 0x600\n"
        "2:  hlt\n"
        "    cmpl $100, 0x604\n"
        "    jb 2b\n"
        "    mov $0x0a, %eax\n"
        "    mov $0xf4, %dx\n"
        "    outl %eax, %dx\n"
        "3:  hlt\n"
        "    jmp 3b\n"
        "two_tick:\n"
        "    push %ax\n"
        "    incl 0x604\n"
        "    mov $0x20, %al\n"
        "    out %al, $0x20\n"
        "    pop %ax\n"
        "    iret\n"
        "two_guest_end:\n"
        ".code64\n"
        ".popsection\n");
extern const u8 two_guest[], two_seed[], two_guest_end[];

struct side {
    struct options options;
    char path[32]; /* of its BIOS */
    u32 seed;
    const char *trace; /* a channel in which nothing happens */
    pthread_barrier_t *start;
    /* What came of it: */
    int status;
    u32 result, ticks;
    u64 time, deadlines;
    u32 trace_mask;
};

static void write_bios(struct side *s)
{
    static const u8 jump[] = { 0xea, 0x00, 0x00, 0x00, 0xf0 }; /* jmp F000:0 */
    u8 *rom = calloc(1, ROM_SIZE);
    int fd;

    memcpy(rom, two_guest, (size_t)(two_guest_end - two_guest));
    /* behind the prefix and the opcode */
    memcpy(rom + (two_seed - two_guest) + 2, &s->seed, 4);
    memcpy(rom + 0xfff0, jump, sizeof(jump));
    strcpy(s->path, "/tmp/ring3-two-XXXXXX");
    fd = mkstemp(s->path);
    check(fd >= 0 && write(fd, rom, ROM_SIZE) == ROM_SIZE, "no room for a BIOS in /tmp");
    close(fd);
    free(rom);
}

static void *run_side(void *arg)
{
    struct side *s = arg;
    struct machine *m = machine_new(&s->options);

    CHECK(!trace_enable(s->trace));
    pthread_barrier_wait(s->start);
    s->status = machine_run(m);
    phys_read(m, RESULT, &s->result, 4);
    phys_read(m, TICKS_AT, &s->ticks, 4);
    s->time = clock_now(m);
    s->deadlines = m->stats.deadlines;
    s->trace_mask = trace_mask;
    machine_free(m);
    return NULL;
}

static void prepare(struct side *s, u32 seed, pthread_barrier_t *start)
{
    s->seed = seed;
    s->start = start;
    write_bios(s);
    s->options = (struct options){ .ram = MIB(8), .bios = s->path, .engine = engines[0] };
    set_device(&s->options, "-device", "isa-debug-exit,iobase=0xf4,iosize=4");
}

static u32 want(u32 x)
{
    for (u32 i = 0; i < STEPS; i++)
        x = x * 1664525 + 1013904223;
    return x;
}

static void check_side(const struct side *s)
{
    CHECK_EQ(s->status, STATUS);
    CHECK_EQ(s->result, want(s->seed));
    CHECK(s->ticks >= TICKS);
    CHECK(s->time >= MSEC(TICKS - 1));
    CHECK(s->deadlines > 0);
}

TEST(machine, two_at_once_on_two_threads)
{
    struct side sides[2] = { 0 };
    pthread_t threads[2];
    pthread_barrier_t start;

    pthread_barrier_init(&start, NULL, 2);
    for (u32 i = 0; i < 2; i++)
        prepare(&sides[i], 0x1234567 * (i + 1), &start);
    sides[0].trace = "qmp";
    sides[1].trace = "disk";
    for (u32 i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, run_side, &sides[i]);
    for (u32 i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(sides[0].trace_mask, 1u << TRACE_QMP);
    CHECK_EQ(sides[1].trace_mask, 1u << TRACE_DISK);
    for (u32 i = 0; i < 2; i++) {
        check_side(&sides[i]);
        unlink(sides[i].path);
    }
    pthread_barrier_destroy(&start);
}
