/*
 * QEMU's "key=value,key=value" lists, sizes, and the polite refusal: what every option with an
 * argument is read with. A mistake of the user's ends the program with one line that names the
 * unknown word and the nearest known one.
 */
#ifndef RING3_KEYVAL_H
#define RING3_KEYVAL_H

#include "runtime/base/key_row.h"

/*
 * Reads `list` into the struct at `target`. A first item without "=" is the value of `implied`
 * (NULL: there is none). ",," is a comma inside a value. `where` names the option in messages.
 */
void keyval_read(const char *where, const char *list, const char *implied,
                 const struct key_row *rows, u32 n, void *target);

/* Zeroed memory that lives as long as the process. */
void *keep_zeroed(size_t size);
/* Takes "KEY=VALUE," off the list: what is left, and the value (NULL: the key is not there).
 * For an option whose list is read by two. */
const char *keyval_take(const char *list, const char *key, const char **value);
/* A text as one value of a list: its commas doubled. Lives as long as the process. */
const char *keyval_value(const char *text);

/* A formatted text that lives as long as the process, as KEY_TEXT does. */
char *keep_format(const char *fmt, ...) PRINTF(1, 2);

/* Dies with "ring3: WHERE 'WORD' is not known; nearest is 'NAME'". Names are found at `first`,
 * in the first member of rows of `stride` bytes; empty names are passed over, and a word with a
 * dash gets a name with one. */
_Noreturn void refuse_name(const char *where, const char *word, const void *first,
                           size_t stride, u32 n);
/* The same for a "a|b|c" list. */
_Noreturn void refuse_choice(const char *where, const char *word, const char *choices);
/* True if word is one of "a|b|c". */
bool in_choices(const char *word, const char *choices);

/* "64K", "16M", "1G", "16" in units of `unit` bytes. False: no size. */
bool parse_size(const char *text, u64 unit, u64 *size);
bool parse_u32(const char *text, u32 *val); /* decimal, 0x hexadecimal */

/* Insertions, deletions, replacements and swaps of neighbours that make b of a, case
 * ignored. */
u32 edit_distance(const char *a, const char *b);

#endif
