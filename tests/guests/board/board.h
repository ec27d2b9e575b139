/* What the parts of the board guest share. */
#ifndef GUESTS_BOARD_H
#define GUESTS_BOARD_H

#include "tests/guests/io.h"

void expect(const char *name, u32 got, u32 want); /* says it, and counts it in CMOS */
u32 pci(u32 devfn, u32 reg);                      /* a word of configuration space of bus 0 */

void test_pc_testdev(void);
void test_pci_testdev(void);

#endif
