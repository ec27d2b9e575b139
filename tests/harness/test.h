/*
 * Unit tests: TEST(suite, name) { … CHECK_EQ(got, want); … }. Tests register themselves before
 * main(); the runner (test.c) runs each in turn and ends with "N passed, N failed".
 * `unit PATTERN` runs those whose "suite.name" contains PATTERN.
 */
#ifndef RING3_TEST_H
#define RING3_TEST_H

#include "runtime/base/base.h"

struct test {
    const char *suite, *name;
    void (*run)(void);
    struct test *next;
};
void test_register(struct test *t);
/* A failed check: prints and marks the running test; the test goes on. */
void test_fail(const char *file, int line, const char *fmt, ...) PRINTF(3, 4);
bool test_failed(void); /* the running test has, by now */
/* fork(), for what may die(): the child's exit() is at once, without atexit() and so without a
 * search for leaks, which can crash in the copy of a process whose threads are not there. */
int test_fork(void);

#define TEST(suite_, name_)                                                                    \
    static void test_##suite_##_##name_(void);                                                 \
    __attribute__((constructor)) static void register_##suite_##_##name_(void)                 \
    {                                                                                          \
        static struct test t = { #suite_, #name_, test_##suite_##_##name_, NULL };             \
        test_register(&t);                                                                     \
    }                                                                                          \
    static void test_##suite_##_##name_(void)

#define CHECK(cond)                                                                            \
    do {                                                                                       \
        if (!(cond))                                                                           \
            test_fail(__FILE__, __LINE__, "%s", #cond);                                        \
    } while (0)
#define CHECK_EQ(got, want)                                                                    \
    do {                                                                                       \
        u64 got_ = (u64)(got), want_ = (u64)(want);                                            \
        if (got_ != want_)                                                                     \
            test_fail(__FILE__, __LINE__, "%s is %#llx, want %#llx", #got,                     \
                      (unsigned long long)got_, (unsigned long long)want_);                    \
    } while (0)

/*
 * A bare machine for testing chips: 16 MiB of RAM, a clock turned by hand, a bus, no firmware,
 * and a CPU that does not run. Interrupt lines 0-15 are watched instead of wired.
 */
struct rig {
    struct machine *m;
    struct device *dev; /* the chip under test */
    u32 rises[16];      /* rising edges seen on ISA lines since the last look */
};
/* Makes the rig with the chip on it (NULL: none). Freed when the test ends. */
struct device;
struct device_class;
struct rig *rig_new(const struct device_class *class, const void *config);
/* Adds another chip. */
struct device *rig_add(struct rig *r, const struct device_class *class, const void *config);
void rig_free_all(void); /* by the runner, after each test */
void rig_out8(struct rig *r, u16 port, u8 val);
void rig_out16(struct rig *r, u16 port, u16 val);
void rig_out32(struct rig *r, u16 port, u32 val);
u8 rig_in8(struct rig *r, u16 port);
u16 rig_in16(struct rig *r, u16 port);
u32 rig_in32(struct rig *r, u16 port);
void rig_advance(struct rig *r, u64 ns); /* timers fire on the way, in order */
bool rig_irq(struct rig *r, u32 n);      /* level of ISA line n */
u32 rig_irq_rises(struct rig *r, u32 n); /* rising edges since the last call */

#endif
