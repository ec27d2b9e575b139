/*
 * A look at the host, before anything is built.
 */
#ifndef RING3_HOST_H
#define RING3_HOST_H

#include "runtime/machine/options.h"

/* Ends the program, with one line, if the host lacks what a machine of these options needs. */
void host_check(const struct options *o);
/* "AuthenticAMD 26/2/1 AMD EPYC": vendor, family, model and stepping in decimal, the brand. */
void host_processor(char *text, size_t size);

#endif
