/*
 * What this host lets a process do, found out by trying. Kernels can be built or started
 * without 32-bit programs or without local descriptor tables, and a hypervisor may take both
 * from them.
 */
#ifndef RING3_TEST_HOST_H
#define RING3_TEST_HOST_H

#include "runtime/base/base.h"

/* What a test says that is left out for the first reason. */
#define HOST_NO_32 "this host runs no 32-bit programs"

/* Does it run 32-bit programs? This one is tried, its output thrown away. True, too, if the
 * file is not there: running it in earnest tells. */
bool host_runs_32(const char *program);
/* Does a descriptor given to modify_ldt(2) become one the processor knows? */
bool host_has_ldt(void);
bool host_is_amd(void);

#endif
