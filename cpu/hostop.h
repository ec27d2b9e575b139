/*
 * Arithmetic by the host CPU itself: each wrapper loads the guest's arithmetic flags, runs the
 * guest's instruction on register operands, and stores the flags. So every flag is the host's,
 * those the manual leaves undefined included, and interpreter and translator agree bit for bit.
 *
 * Flags go in and out through AX as LAHF sees them: AH is SF ZF 0 AF 0 PF 1 CF, AL is OF. To load,
 * `addb $127, %al` overflows exactly when AL is 1, and SAHF sets the other five:
 *
 *      addb $127, %al ; sahf ; <instruction> ; lahf ; seto %al
 *
 * No push: the wrappers are safe in leaf functions that use the red zone. Nothing between the first
 * and the last line may be another instruction that writes flags; MOV does not.
 */
#ifndef RING3_HOSTOP_H
#define RING3_HOSTOP_H

#include "cpu/vcpu.h"

#define LOAD_FLAGS "addb $127, %%al\n\tsahf\n\t"
#define SAVE_FLAGS "\n\tlahf\n\tseto %%al"
#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE u32 flags_to_ax(u32 eflags)
{
    return (eflags & 0xff) << 8 | (eflags >> 11 & 1);
}

ALWAYS_INLINE u32 flags_from_ax(u32 ax)
{
    return (ax >> 8 & (FLAGS_ARITH & 0xff)) | (ax & 1) << 11;
}

ALWAYS_INLINE void flags_commit(struct vcpu *cpu, u32 ax)
{
    cpu->eflags = (cpu->eflags & ~FLAGS_ARITH) | flags_from_ax(ax);
}

/* u32 host_add(size, a, b, &ax): a op b, flags in and out through ax. */
#define HOST_BINARY(name, op)                                                                  \
    ALWAYS_INLINE u32 host_##name(u32 size, u32 a, u32 b, u32 *ax)                             \
    {                                                                                          \
        if (size == 4)                                                                         \
            __asm__(LOAD_FLAGS op "l %2, %1" SAVE_FLAGS : "+&a"(*ax), "+r"(a) : "r"(b) : "cc"); \
        else if (size == 2)                                                                    \
            __asm__(LOAD_FLAGS op "w %w2, %w1" SAVE_FLAGS                                      \
                    : "+&a"(*ax), "+r"(a) : "r"(b) : "cc");                                     \
        else                                                                                   \
            __asm__(LOAD_FLAGS op "b %b2, %b1" SAVE_FLAGS                                      \
                    : "+&a"(*ax), "+q"(a) : "q"(b) : "cc");                                     \
        return a;                                                                              \
    }

/* u32 host_inc(size, a, 0, &ax): the same shape, so that callers need one. */
#define HOST_UNARY(name, op)                                                                   \
    ALWAYS_INLINE u32 host_##name(u32 size, u32 a, u32 unused, u32 *ax)                        \
    {                                                                                          \
        if (size == 4)                                                                         \
            __asm__(LOAD_FLAGS op "l %1" SAVE_FLAGS : "+&a"(*ax), "+r"(a) : : "cc");            \
        else if (size == 2)                                                                    \
            __asm__(LOAD_FLAGS op "w %w1" SAVE_FLAGS : "+&a"(*ax), "+r"(a) : : "cc");           \
        else                                                                                   \
            __asm__(LOAD_FLAGS op "b %b1" SAVE_FLAGS : "+&a"(*ax), "+q"(a) : : "cc");           \
        return a;                                                                              \
    }

/* u32 host_shl(size, a, count, &ax): the count in CL, masked by the host as by the guest. */
#define HOST_SHIFT(name, op)                                                                   \
    ALWAYS_INLINE u32 host_##name(u32 size, u32 a, u32 count, u32 *ax)                         \
    {                                                                                          \
        if (size == 4)                                                                         \
            __asm__(LOAD_FLAGS op "l %%cl, %1" SAVE_FLAGS                                      \
                    : "+&a"(*ax), "+r"(a) : "c"(count) : "cc");                                 \
        else if (size == 2)                                                                    \
            __asm__(LOAD_FLAGS op "w %%cl, %w1" SAVE_FLAGS                                     \
                    : "+&a"(*ax), "+r"(a) : "c"(count) : "cc");                                 \
        else                                                                                   \
            __asm__(LOAD_FLAGS op "b %%cl, %b1" SAVE_FLAGS                                     \
                    : "+&a"(*ax), "+q"(a) : "c"(count) : "cc");                                 \
        return a;                                                                              \
    }

/* u32 host_bsf(size, dst, src, &ax): 16 and 32 bits only; dst is read (BSF of 0 keeps it). */
#define HOST_WORD(name, op)                                                                    \
    ALWAYS_INLINE u32 host_##name(u32 size, u32 a, u32 b, u32 *ax)                             \
    {                                                                                          \
        if (size == 4)                                                                         \
            __asm__(LOAD_FLAGS op "l %2, %1" SAVE_FLAGS : "+&a"(*ax), "+r"(a) : "r"(b) : "cc"); \
        else                                                                                   \
            __asm__(LOAD_FLAGS op "w %w2, %w1" SAVE_FLAGS                                      \
                    : "+&a"(*ax), "+r"(a) : "r"(b) : "cc");                                     \
        return a;                                                                              \
    }

#endif
