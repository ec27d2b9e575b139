/*
 * The processor's registers as a debugger numbers them (gdb_registers.c).
 */
#ifndef RING3_GDB_REGISTERS_H
#define RING3_GDB_REGISTERS_H

#include "cpu/vcpu.h"

enum { GDB_REGISTER_BYTES = 16 }; /* of the widest one */

u32 gdb_register_count(void);
/* Size in bytes, of a number below the count. */
u32 gdb_register_size(u32 n);
/* Its value, lowest byte first. */
void gdb_register_read(const struct vcpu *cpu, u32 n, u8 *buf);
/* The value it has already is always taken. False: the register cannot have this value, or not
 * now. Changes nothing but the register and what the manual says follows it. */
bool gdb_register_write(struct vcpu *cpu, u32 n, const u8 *buf);
/* target.xml. To be freed by the caller. */
char *gdb_register_xml(void);

#endif
