/*
 * Recorded single-instruction tests in the MOO format (version 1), read from a gzip file. A
 * file is a run of chunks: 4-byte tag, u32 length, payload; see the README beside the
 * recordings.
 */
#ifndef RING3_MOO_H
#define RING3_MOO_H

#include "runtime/base/base.h"

/* The order of a register set's bits. */
enum moo_reg {
    MOO_AX, MOO_BX, MOO_CX, MOO_DX, MOO_CS, MOO_SS, MOO_DS, MOO_ES, MOO_SP, MOO_BP, MOO_SI,
    MOO_DI,
    MOO_IP, MOO_FLAGS, MOO_REGS
};
enum { MOO_MAX_RAM = 1 << 17, MOO_HASH = 20 };

struct moo_byte {
    u32 gpa;
    u8 val;
};
struct moo_state {
    u16 set; /* bit n: reg[n] was recorded */
    u16 reg[MOO_REGS];
    u32 ram_count;
    struct moo_byte *ram;
};
struct moo_test {
    u32 index;
    char name[128];
    u8 bytes[32];
    u32 length;
    struct moo_state init, final; /* final: what changed */
    bool has_exception;
    u8 exception;
    u8 hash[MOO_HASH];
};
struct moo_file;

/* NULL: cannot be read, or is no MOO file; *why says which. */
struct moo_file *moo_open(const char *path, const char **why);
void moo_close(struct moo_file *f);
/* Flags defined after this opcode. */
u16 moo_flags_mask(const struct moo_file *f);
/* The next test, valid until the next call; NULL at the end. */
const struct moo_test *moo_next(struct moo_file *f);

#endif
