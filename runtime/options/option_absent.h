/*
 * What QEMU's users say and this board lacks: see option_absent.c.
 */
#ifndef RING3_OPTION_ABSENT_H
#define RING3_OPTION_ABSENT_H

#include "runtime/machine/options.h"

/* Says one line on standard error, once for all who say the same. `text` lives as long as the
 * process. */
void note_once(struct options *o, const char *text);

/* An option of QEMU's that is not in options.def, without its dashes. False: no such one. True:
 * what it means here has been said, or the program has ended; *takes_arg: a word follows. */
bool absent_option(struct options *o, const char *name, bool *takes_arg);

/* What -device `name` stands for here. The same: it is none of these. NULL: nothing is added to
 * the board, as was said. Else the device that takes its place, and *keys are those it knows.
 */
const char *absent_device(struct options *o, const char *option, const char *name,
                          const char **keys);
/* Ends the program where a -drive's keys limit its speed. */
void refuse_absent_limits(const char *option, const char *list);
/* Without bus=, unit= and addr= where they lead to a controller or bridge that absent_device() has
 * left out. */
const char *absent_bus(const struct options *o, const char *keys);

/* Without vgamem_mb= where it is another amount than the display adapter has. */
const char *absent_video_memory(struct options *o, const struct user_device *row,
                                const char *keys);

/* The display adapter and the processor that are there instead; NULL: `name` is none of QEMU's.
 */
const char *absent_vga(struct options *o, const char *name);
const char *absent_cpu(struct options *o, const char *name);
/* A word behind -cpu's model that changes nothing here, as was said where it would matter. */
bool absent_cpu_word(struct options *o, const char *word);
/* An item of -d that nobody logs here. */
bool absent_log_item(struct options *o, const char *item, size_t length);

#endif
