/*
 * Direct execution: user code runs on the host's processor as it is, in a cage for each address
 * space that computes (cage.c). Private to bt/.
 */
#ifndef RING3_BT_CAGE_H
#define RING3_BT_CAGE_H

#include "bt/bt.h"

struct bt;

enum cage_exit { /* why a cage came back: statistics */
                 EXIT_TIME,
                 EXIT_SYSCALL,
                 EXIT_FETCH,
                 EXIT_MEMORY,
                 EXIT_FAULT,
                 EXIT_TRAP,
                 EXIT_ESCAPE,
                 EXIT_GONE,
                 CAGE_EXITS,
};
const char *cage_exit_name(u32 exit);

/* For bt_new() and bt_free(). Where the host lets no cages be, user code is translated. */
void cages_init(struct bt *bt);
void cages_free(struct bt *bt);
void cages_print(const struct vcpu *cpu, FILE *out); /* for people */
/* A poll has left user code, or other code, at that TSC: is it time to run directly? */
bool cages_due(struct bt *bt, u64 tsc);
/* Runs user code from EIP in its cage if it can, until something needs the translator. */
void cages_run(struct bt *bt);

#endif
