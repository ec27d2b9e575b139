/*
 * The host's column: the rows' code runs in this process, at the addresses it has in the guest.
 * What faults has no price here: a handler leaves the row.
 */
#include "bench/prices/native.h"
#include "bench/prices/timing.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SAMPLE_CYCLES = 60000, ROW_CYCLES = 1200000, SAMPLES = 40, DATA_BYTES = 0x10000 };

void native_enter(void); /* native_enter.S: the job at DATA32 + OFF_JOB */

static struct job *const job = (struct job *)(DATA32 + OFF_JOB);
static sigjmp_buf left;

static void on_fault(int signal)
{
    siglongjmp(left, signal);
}

static u64 run(u32 turns)
{
    job->regs[5] = turns;
    native_enter();
    return job->end - job->start;
}

static void map_at(u32 at, u32 bytes, int prot)
{
    if (mmap((void *)(uintptr_t)at, bytes, prot,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED) {
        perror("prices: low memory");
        exit(1);
    }
}

void native_begin(const void *code, uint32_t bytes)
{
    static const int signals[] = { SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGTRAP };
    struct sigaction act = { .sa_handler = on_fault, .sa_flags = SA_ONSTACK | SA_NODEFER };
    stack_t stack = { .ss_sp = malloc(SIGSTKSZ * 4), .ss_size = (size_t)SIGSTKSZ * 4 };

    setvbuf(stdout, NULL, _IOLBF, 0);
    map_at(CODE32, CODE32_ROOM, PROT_READ | PROT_WRITE | PROT_EXEC);
    map_at(DATA32, DATA_BYTES, PROT_READ | PROT_WRITE);
    memcpy((void *)(uintptr_t)CODE32, code, bytes);
    sigaltstack(&stack, NULL);
    for (u32 i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        sigaction(signals[i], &act, NULL);
}

static void prepare(const struct price_row *row)
{
    u8 *data = (u8 *)(uintptr_t)DATA32;

    memset(data, 0, OFF_JOB);
    memset(data + OFF_ONES, 0xff, AREA);
    memcpy(job->regs, row->regs, sizeof(job->regs));
    memcpy(job->lanes, row->lanes, sizeof(job->lanes));
    memcpy((void *)(uintptr_t)row->place, row->memory, sizeof(row->memory));
    job->code = CODE32 + row->code;
    job->unit = row->unit;
    job->backward = row->backward;
    job->fifth = 0.2f;
}

void native_row(uint32_t index, const struct price_row *row)
{
    u64 best, median;
    u32 turns;

    if (sigsetjmp(left, 1)) {
        __asm__ volatile("cld; fninit");
        return;
    }
    prepare(row);
    turns = turns_for(run, SAMPLE_CYCLES);
    sample(run, turns, ROW_CYCLES, SAMPLES, &best, &median);
    printf("row %u %u %llu %llu 255\n", index, turns, best * 100 / turns, median * 100 / turns);
}
