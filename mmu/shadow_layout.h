/*
 * Where the sptes of each kind lie in a space's linear shadow table (spte.h), for C and
 * assembly.
 */
#ifndef RING3_SHADOW_LAYOUT_H
#define RING3_SHADOW_LAYOUT_H

#define SHADOW_SPTES 0x100000
#define SHADOW_WRITE SHADOW_SPTES      /* from read to write sptes */
#define SHADOW_EXEC (2 * SHADOW_SPTES) /* from read to execute sptes */
#define SHADOW_USER (3 * SHADOW_SPTES) /* from supervisor to user sptes */

/* Translated code's pointer to the table is so much above it: its low six bits are a count for
 * SHLX, by which the two low bits of an address go to the top (bt/xl_mem.c). */
#define SHADOW_BIAS 62

/* What a physical page holds that a write to it must be told about. */
#define PG_CODE 1
#define PG_TABLE 2
#define PG_CAGED 4 /* code that runs directly: bt/cage.c */

#endif
