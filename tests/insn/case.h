/*
 * One instruction on trial, as the random tester (random.c, 64-bit, with the emulator) and the
 * oracle (oracle.c, a process of its own) share it in memory: the state before, and what the
 * host's CPU made of it. Both sides run it as user code at the same addresses, in flat segments
 * or in those of the local descriptor table below:
 *
 *      CASE_CODE   two pages, all INT3 but for the instruction
 *      CASE_DATA   two pages of the run's random bytes; nothing is mapped around them
 *
 * Every case ends in an exception: #BP behind the instruction if all went well.
 */
#ifndef RING3_CASE_H
#define RING3_CASE_H

#include <stdint.h>

#define CASE_CODE 0x00200000u
#define CASE_DATA 0x00300000u
#define CASE_PAGES 0x2000u /* bytes of each */
#define CASE_BATCH 256

enum { CASE_USER_CS = 0x23, CASE_USER_DS = 0x2b }; /* as Linux has them for 32-bit processes */

/* The LDT of both sides; selector: index * 8 + 7. `contents` as modify_ldt(2) has it. */
enum { CASE_RW, CASE_DOWN, CASE_CODE_SEGMENT };
struct case_segment {
    uint32_t base, limit;
    uint8_t contents, big, read_only /* or execute-only */, pages, absent;
};
static const struct case_segment case_ldt[] = {
    { 0 }, /* not there */
    { CASE_CODE, 0x1fff, CASE_CODE_SEGMENT, 0, 0, 0, 0 },
    { CASE_CODE, 0x1fff, CASE_CODE_SEGMENT, 1, 0, 0, 0 },
    { CASE_CODE + 0x100, 0x1eff, CASE_CODE_SEGMENT, 0, 1, 0, 0 }, /* execute-only */
    { CASE_CODE, 1, CASE_CODE_SEGMENT, 0, 0, 1, 0 }, /* two pages */
    { CASE_CODE, 0x1fff, CASE_CODE_SEGMENT, 0, 0, 0, 1 }, /* not present */
    { CASE_DATA, 0x1fff, CASE_RW, 0, 0, 0, 0 },
    { CASE_DATA, 0x1ff3, CASE_RW, 1, 0, 0, 0 },
    { CASE_DATA + 0x10, 0xffff, CASE_RW, 0, 0, 0, 0 }, /* ends beyond the pages */
    { CASE_DATA, 0x0fff, CASE_DOWN, 0, 0, 0, 0 },
    { CASE_DATA, 0x0fff, CASE_DOWN, 1, 0, 0, 0 },
    { CASE_DATA, 0x1fff, CASE_RW, 0, 1, 0, 0 }, /* read-only */
    { CASE_DATA, 0x1fff, CASE_RW, 0, 0, 0, 1 }, /* not present */
    { CASE_DATA, 1, CASE_RW, 1, 0, 1, 0 }, /* two pages */
};
enum { CASE_LDT_SIZE = sizeof(case_ldt) / sizeof(case_ldt[0]) };

struct case_state {
    uint32_t gpr[8]; /* EAX ECX EDX EBX ESP EBP ESI EDI */
    uint32_t eip, eflags;
    uint16_t selector[6];      /* ES CS SS DS FS GS; GS is not compared */
    uint32_t trap, error, cr2; /* after: the exception that ended the case */
};
struct insn_case {
    uint8_t code[15], len;
    uint32_t code_at;         /* linear */
    uint32_t poke_at, poke[3]; /* bytes of the data set before: at CASE_DATA + … */
    struct case_state before, after;
    uint8_t data[CASE_PAGES]; /* after */
};
struct case_page {
    uint32_t count, current; /* current: cases begun by the oracle */
    uint8_t data[CASE_PAGES]; /* before, for all */
    struct insn_case cases[CASE_BATCH];
};

#endif
