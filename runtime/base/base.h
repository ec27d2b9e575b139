/*
 * The words every folder speaks: integer names, the three address spaces, `check` for our own
 * mistakes and `trace` for what one wants to watch.
 *
 * Three kinds of address never mix, and a variable carries one in its name:
 *   gla  guest linear   what segmentation makes, before paging         (SDM vol. 3, 3.4)
 *   gpa  guest physical what paging makes, before our memory map       (SDM vol. 3, 4.1)
 *   hva  host virtual   a pointer of this process
 */
#ifndef RING3_BASE_H
#define RING3_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t i8;
typedef int16_t i16;
typedef int32_t i32;
typedef int64_t i64;

typedef u32 gla_t; /* guest linear: 32 bits */
typedef u64 gpa_t; /* guest physical: 36 bits under PAE */

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define KIB(n) ((u64)(n) << 10)
#define MIB(n) ((u64)(n) << 20)
#define GIB(n) ((u64)(n) << 30)
#define USEC(n) ((u64)(n)*1000) /* durations and instants are u64 nanoseconds */
#define MSEC(n) ((u64)(n)*1000000)
#define SEC(n) ((u64)(n)*1000000000)

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096u
#define PAGE_MASK 4095u /* the offset part: gla & PAGE_MASK */

struct machine;
struct vcpu;

/* Trace channels, one row each in trace.def; `--trace cpu,mmu` turns them on. */
enum trace_channel {
#define CHANNEL(id, name, help) TRACE_##id,
#include "runtime/base/trace.def"
#undef CHANNEL
    TRACE_CHANNELS
};

/* Bit n: channel n is on. Each thread has its own, so that two machines log apart; `--trace`
 * sets that of the thread that reads the options, which is the one that runs the machine. */
extern _Thread_local u32 trace_mask __attribute__((tls_model("local-exec")));

#define trace_on(channel) unlikely(trace_mask & 1u << (channel))
#define trace(channel, ...)                                                                    \
    do {                                                                                       \
        if (trace_on(channel))                                                                 \
            trace_print(channel, __VA_ARGS__);                                                 \
    } while (0)

void trace_print(enum trace_channel channel, const char *fmt, ...) PRINTF(2, 3);
/* Turns on the channels of a comma-separated list ("all" for all) in this thread. NULL, or the
 * unknown name. */
const char *trace_enable(const char *list);

/* Our own mistake: prints the sentence with file and line, registers where known, and
 * aborts. */
#define check(cond, ...)                                                                       \
    do {                                                                                       \
        if (unlikely(!(cond)))                                                                 \
            check_failed(__FILE__, __LINE__, __VA_ARGS__);                                     \
    } while (0)
_Noreturn void check_failed(const char *file, int line, const char *fmt, ...) PRINTF(3, 4);

/* Called by a name like qemu-system-i386 (a link), the program says that name, and prompts and end texts are
 * QEMU's: scripts wait for them. */
void program_set_name(const char *argv0);
bool program_is_qemu(void);
const char *program_name(void); /* "ring3", or that name */
/* The user's mistake: one line "ring3: …" on stderr, exit status 1. Only before the guest
 * runs. */
_Noreturn void die(const char *fmt, ...) PRINTF(1, 2);
/* One line "ring3: warning: …" on stderr. */
void warn(const char *fmt, ...) PRINTF(1, 2);

#endif
