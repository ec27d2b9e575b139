/*
 * Instructions as text, for listings. Private to bt/.
 */
#ifndef RING3_DUMP_H
#define RING3_DUMP_H

#include "bt/tu.h"

#include <capstone/capstone.h>

enum { DUMP_TEXT = 256 }; /* room for an instruction's text */

/* One of translated code; label: where it jumps to, or NULL: as the number says. */
void dump_host_text(const cs_insn *i, const char *label, char *text, size_t size);
/* Does it branch to an address? The address. */
bool dump_host_jump(const cs_insn *i, u64 *to);
/* The guest's, whose n bytes are at EIP; `otherwise`, if the disassembler does not know it. */
void dump_guest_text(csh cs, const u8 *bytes, size_t n, u32 eip, const char *otherwise,
                     char *text, size_t size);

#endif
