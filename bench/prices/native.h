/* Rows on the host itself, in this process. */
#ifndef BENCH_PRICES_NATIVE_H
#define BENCH_PRICES_NATIVE_H

#include "bench/prices/layout.h"

void native_begin(const void *code, uint32_t bytes); /* the code to CODE32, data at DATA32 */
void native_row(uint32_t index, const struct price_row *row); /* prints it as the guest does */

#endif
