/*
 * The host as oracle: one x87, MMX or SSE instruction, run by the host's own CPU in a small
 * program (native.c) and by our engine, from the same state. What the two programs share: an
 * array of jobs in a memfd.
 *
 * The host runs it in 64-bit mode, which any host can: without a REX prefix these instructions
 * are the same there, and registers hold addresses below 4 GiB. Only an operand of a bare
 * disp32 is written otherwise (SDM vol. 2, 2.2.1.6); so the host has its own bytes.
 */
#ifndef RING3_NATIVE_H
#define RING3_NATIVE_H

#include <stdint.h>

enum {
    JOB_CODE = 0x400000, /* where the instruction is; flat segments */
    JOB_DATA = 0x500000, /* where `mem` is */
    JOB_MEM = 640,
    JOB_BATCH = 512,
    JOB_NO_EXCEPTION = 0xff,
};

struct job_state {
    uint32_t gpr[8]; /* EAX ECX EDX EBX ESP EBP ESI EDI; ESP is not loaded */
    uint32_t eflags; /* arithmetic flags, DF */
    uint32_t eip;    /* after: of the next instruction, or of the one that faulted */
    uint32_t reserved[2];
    uint8_t fx[512] __attribute__((aligned(16))); /* FXSAVE image */
    uint8_t ymm_high[8][16]; /* upper halves of YMM, where the host has them */
    uint8_t mem[JOB_MEM];
};
struct job {
    uint8_t code[16], host_code[16];
    uint32_t len, host_len;
    uint32_t exception; /* of the run: vector, or JOB_NO_EXCEPTION */
    uint32_t error;     /* its error code */
    struct job_state before, after;
};

#endif
