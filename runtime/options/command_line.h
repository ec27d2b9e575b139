/*
 * The command line: QEMU's spelling, one row per option in options.def.
 */
#ifndef RING3_COMMAND_LINE_H
#define RING3_COMMAND_LINE_H

#include "runtime/machine/options.h"

/* Parses argv; die()s on mistakes; prints and exits 0 for --help and --version. */
void options_parse(struct options *o, int argc, char **argv);

#endif
