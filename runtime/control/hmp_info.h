/*
 * The monitor's looks at page tables, interrupts and the map, in QEMU's formats.
 */
#ifndef RING3_HMP_INFO_H
#define RING3_HMP_INFO_H

#include "runtime/base/base.h"

void hmp_info_mem(struct machine *m, FILE *out);   /* runs of pages with the same rights */
void hmp_info_tlb(struct machine *m, FILE *out);   /* every page that is mapped */
void hmp_info_pic(struct machine *m, FILE *out);   /* I/O APIC and 8259s */
void hmp_info_irq(struct machine *m, FILE *out);   /* how often each interrupt was raised */
void hmp_info_mtree(struct machine *m, FILE *out); /* who answers at which address and port */
void hmp_info_pci(struct machine *m, FILE *out);   /* PCI's functions and their BARs */

#endif
