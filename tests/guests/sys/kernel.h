/*
 * A small kernel that asks the processor system-level questions: each TEST sets up descriptors,
 * runs a few instructions at some privilege, and compares what the resulting exception or
 * interrupt left on the stack and in the registers with what the manual says.
 *
 * It runs by multiboot under any loader, or from a floppy by boot.S; it reports on port E9 and
 * COM1 and ends through isa-debug-exit (port F4), else by halting.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include "layout.h"
#include "tests/guests/io.h"
#include <stdbool.h>

enum { DE, DB, NMI, BP, OF, BR, UD, NM, DF, TS = 10, NP, SS_, GP, PF, MF = 16, AC };
enum { CF = 1, ZF = 0x40, TF = 0x100, IF = 0x200, DF_ = 0x400, OF_ = 0x800, IOPL3 = 0x3000, NT = 0x4000,
       RF = 0x10000, VM = 0x20000, AC_ = 0x40000, VIF = 0x80000, VIP = 0x100000, ID = 0x200000 };
enum { CR0_PE = 1, CR0_EM = 4, CR0_TS = 8, CR0_WP = 0x10000, CR0_AM = 0x40000 };
static const u32 CR0_PG = 0x80000000;
enum { CR4_VME = 1, CR4_PVI = 2, CR4_TSD = 4, CR4_DE = 8, CR4_PSE = 16, CR4_PAE = 32, CR4_PGE = 128 };

/* Descriptor attributes, as bits 8-23 of the second dword. */
enum { P = 0x80, DPL0 = 0, DPL1 = 0x20, DPL2 = 0x40, DPL3 = 0x60, G = 0x8000, D32 = 0x4000,
       CODE = 0x1a, CODE_X = 0x18, CONF = 0x1e, CONF_X = 0x1c, DATA = 0x12, DATA_RO = 0x10,
       DOWN = 0x16, ACC = 1, T_TSS16 = 1, T_LDT = 2, T_TSS16B = 3, T_CALL16 = 4, T_TASK = 5,
       T_INT16 = 6, T_TRAP16 = 7,
       T_TSS32 = 9, T_TSS32B = 11, T_CALL32 = 12, T_INT32 = 14, T_TRAP32 = 15 };

struct in {
    u32 eip, cs, eflags, esp, ss, es, ds, fs, gs;
    u32 eax, ecx, edx, ebx, ebp, esi, edi;
};
struct trap {
    u32 vector, frame[16]; /* what was pushed, lowest address first */
    u32 eax, ecx, edx, ebx, ebp, esi, edi, es, ds, fs, gs, ss, cs;
    u32 esp, eflags, tr;   /* in the handler, before it pushed anything */
};
extern struct in in;
extern struct trap trap;
void enter(void);

struct tss32 {
    u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
    u32 eax, ecx, edx, ebx, esp, ebp, esi, edi, es, cs, ss, ds, fs, gs, ldt;
    u16 trap, iomap;
    u8 redirect[32];      /* of interrupts in V86 mode, below the I/O map */
    u8 io[130];           /* ports 0 to 0x3ff and the closing byte */
} __attribute__((packed));
struct tss16 {
    u16 link, sp0, ss0, sp1, ss1, sp2, ss2, ip, flags, ax, cx, dx, bx, sp, bp, si, di, es, cs,
        ss, ds, ldt;
} __attribute__((packed));

extern u64 gdt[], idt[256], ldt[16];
extern struct tss32 tss_main;
/* one for each ring's tests */
extern u8 stack0[4096], stack1[4096], stack2[4096], stack3[4096];

/* ---- Setting up (kernel.c) ---- */

void set_descriptor(u64 *d, u32 base, u32 limit, u32 attr);
void set_gate(u64 *d, u32 selector, u32 offset, u32 attr, u32 params);
/* A descriptor or gate of the GDT that belongs to the test: SEL(n). */
void seg(u32 n, u32 base, u32 limit, u32 attr);
void gate(u32 n, u32 selector, u32 offset, u32 attr, u32 params);
/* Vector → its stub, with a gate of these attributes and this code segment. */
void vector_gate(u32 vector, u32 selector, u32 attr);
extern u8 stub_table[];
#define STUB(vector) ((u32)stub_table + 16 * (vector))

/* `in` for code at `eip`: flat segments of the ring, the ring's stack, interrupts off. */
void ring(u32 n, const void *eip);
/* `in` for 16-bit code copied to linear 8000 (segment 800); V86 with this IOPL. */
void v86(const void *code, const void *end, u32 iopl);
enum { V86_CODE = 0x8000, V86_STACK = 0x9000 };
/* Runs it. Returns the vector that ended it. */
u32 run(void);
/* run() of ring n at eip. */
u32 run_ring(u32 n, const void *eip);

/* ---- Saying (kernel.c) ---- */

struct test {
    const char *name;
    void (*run)(void);
};
#define TEST(name_)                                                                            \
    static void test_##name_(void);                                                            \
    static const struct test entry_##name_                                                     \
        __attribute__((section(".tests"), used, aligned(4))) = { #name_, test_##name_ };       \
    static void test_##name_(void)

void check_eq(u32 got, u32 want, const char *what, u32 line);
#define EQ(got, want) check_eq(got, want, #got, __LINE__)
#define TRUE(cond) check_eq(!!(cond), 1, #cond, __LINE__)
/* The trap came with these: vector, error code on top, and the EIP of a label. */
#define FAULT(vector_, error_, label)                                                          \
    do {                                                                                       \
        EQ(trap.vector, vector_);                                                              \
        EQ(trap.frame[0], error_);                                                             \
        EQ(trap.frame[1], (u32)(label));                                                       \
    } while (0)
#define DONE() EQ(trap.vector, EXIT_VECTOR)

/* Instructions under test, with labels. 32-bit code; 16-bit with CODE16. */
#define SNIPPET(name, text)                                                                    \
    extern const u8 name[], name##_end[];                                                      \
    __asm__(".text\n.balign 16\n" #name ":\n" text "\n" #name "_end:\n")
#define SNIPPET16(name, text)                                                                  \
    extern const u8 name[], name##_end[];                                                      \
    __asm__(".text\n.balign 16\n.code16\n" #name ":\n" text "\n" #name "_end:\n.code32\n")
#define LABEL(name) extern const u8 name[]
#define EXIT "int $0x30\n"

/* read_cr0(), write_cr0(val), … */
#define SYSTEM_REGISTER(name)                                                                  \
    static inline u32 read_##name(void)                                                        \
    {                                                                                          \
        u32 v;                                                                                 \
        __asm__ volatile("mov %%" #name ", %0" : "=r"(v));                                     \
        return v;                                                                              \
    }                                                                                          \
    static inline void write_##name(u32 v)                                                     \
    {                                                                                          \
        __asm__ volatile("mov %0, %%" #name : : "r"(v) : "memory");                            \
    }
SYSTEM_REGISTER(cr0)
SYSTEM_REGISTER(cr2)
SYSTEM_REGISTER(cr3)
SYSTEM_REGISTER(cr4)
SYSTEM_REGISTER(dr0)
SYSTEM_REGISTER(dr1)
SYSTEM_REGISTER(dr6)
SYSTEM_REGISTER(dr7)
static inline void wrmsr(u32 index, u64 val)
{
    __asm__ volatile("wrmsr" : : "c"(index), "A"(val));
}
static inline u64 rdmsr(u32 index)
{
    u64 val;
    __asm__ volatile("rdmsr" : "=A"(val) : "c"(index));
    return val;
}
static inline void cpuid(u32 leaf, u32 *a, u32 *b, u32 *c, u32 *d)
{
    __asm__ volatile("cpuid" : "=a"(*a), "=b"(*b), "=c"(*c), "=d"(*d) : "a"(leaf), "c"(0));
}
void *copy(void *to, const void *from, u32 n);
void *fill(void *to, u32 byte, u32 n);

#endif
