/* Between host.c and host_forms.S. */
#ifndef BENCH_HOST_H
#define BENCH_HOST_H

#include <stdbool.h>
#include <stdint.h>

struct tlb_entry { /* QEMU's, of 32 bytes: the page, and what to add for the host address */
    uint64_t page, unused[2], delta;
};

struct form_state {
    uint64_t *table; /* per guest page, host address minus guest address */
    struct tlb_entry *tlb;
    uint32_t source, target; /* guest addresses of two buffers, 16 KB each */
};

/* n turns of the loop, its memory operands in one form each. */
void form_plain(const struct form_state *s, uint32_t n);
void form_mapped(const struct form_state *s, uint32_t n);
void form_table(const struct form_state *s, uint32_t n);
void form_table_ac(const struct form_state *s, uint32_t n);
void form_table_crossing(const struct form_state *s, uint32_t n);
void form_aligned(const struct form_state *s, uint32_t n);
void form_both_sptes(const struct form_state *s, uint32_t n);
void form_checked(const struct form_state *s, uint32_t n);
void form_checked_mov(const struct form_state *s, uint32_t n);
void form_masked(const struct form_state *s, uint32_t n);
void form_qemu(const struct form_state *s, uint32_t n);

/* Position-independent: (far pointer, top of a stack, n), all below 4 GB; far_target is its
 * 32-bit end. */
extern const char far_calls[], far_target[], far_calls_end[];

#endif
