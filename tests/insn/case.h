/*
 * One instruction on trial, as the random tester (random.c, 64-bit, with the emulator) and the
 * oracle (oracle.c, a 32-bit process) share it in memory: the state before, and what the host's
 * CPU made of it. Both sides run it as user code in flat segments at the same addresses:
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

struct case_state {
    uint32_t gpr[8]; /* EAX ECX EDX EBX ESP EBP ESI EDI */
    uint32_t eip, eflags;
    uint32_t trap, error, cr2; /* after: the exception that ended the case */
};
struct insn_case {
    uint8_t code[15], len;
    uint32_t poke_at, poke; /* a dword of the data set before: CASE_DATA + … */
    struct case_state before, after;
    uint8_t data[CASE_PAGES]; /* after */
};
struct case_page {
    uint32_t count;
    uint8_t data[CASE_PAGES]; /* before, for all */
    struct insn_case cases[CASE_BATCH];
};

#endif
