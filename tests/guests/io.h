/* What our guests without a library share: number types, and the port instructions. 32-bit
 * code. */
#ifndef GUESTS_IO_H
#define GUESTS_IO_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define PORT_INSTRUCTIONS(suffix, type)                                                        \
    static inline void out##suffix(u16 port, type v)                                           \
    {                                                                                          \
        __asm__ volatile("out" #suffix " %0, %1" : : "a"(v), "Nd"(port));                      \
    }                                                                                          \
    static inline type in##suffix(u16 port)                                                    \
    {                                                                                          \
        type v;                                                                                \
        __asm__ volatile("in" #suffix " %1, %0" : "=a"(v) : "Nd"(port));                       \
        return v;                                                                              \
    }
PORT_INSTRUCTIONS(b, u8)
PORT_INSTRUCTIONS(w, u16)
PORT_INSTRUCTIONS(l, u32)
#undef PORT_INSTRUCTIONS

#endif
