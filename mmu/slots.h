/*
 * Where the slots of each kind lie in a space's flat table (shadow.h), for C and assembly.
 */
#ifndef RING3_SLOTS_H
#define RING3_SLOTS_H

#define FLAT_SLOTS 0x100000
#define FLAT_WRITE FLAT_SLOTS      /* from read to write slots */
#define FLAT_EXEC (2 * FLAT_SLOTS) /* from read to execute slots */
#define FLAT_USER (3 * FLAT_SLOTS) /* from supervisor to user slots */

/* Translated code's pointer to the table is so much above it: its low six bits are a count for SHLX, by
 * which the two low bits of an address go to the top (bt/xl_mem.c). */
#define FLAT_BIAS 62

/* What a physical page holds that a write to it must be told about. */
#define PG_CODE 1
#define PG_TABLE 2

#endif
