/*
 * The guest of nanobenchmarks: 32-bit, ring 0, paging on, interrupts masked at the controller.
 * Identity map of the first 16 MB and of the local APIC's page, and a window of 4 MB whose page
 * tables the rows play with, in two address spaces.
 */
#ifndef BENCH_NANO_H
#define BENCH_NANO_H

#include "bench/guest.h"

enum { PAGE = 4096, PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_G = 0x100 };
enum { WINDOW = 0x40000000, WINDOW_PAGES = 512, NOT_PRESENT = WINDOW + 1000 * PAGE };
enum { WINDOW_RAM = 0x800000 }; /* what the window shows: the 4 MB there */
enum { LAPIC = 0xfee00000, APIC_SVR = 0xf0, APIC_ICR = 0x300 }; /* SDM vol. 3, 11.4 */
enum { APIC_ENABLED = 0x100, APIC_TO_SELF = 1 << 18 | 1 << 14, INTERRUPT = 0x40 };
enum { CPUID_SEP = 1 << 11, CPUID_APIC = 1 << 9, CPUID_PGE = 1 << 13, CPUID_TSC = 1 << 4 };

struct row {
    const char *name;
    run_fn *run;       /* n is a multiple of 8 */
    u32 needs;         /* CPUID.1:EDX bits */
    u8 not_marked;     /* left out where marks are asked for: Bochs 2.7 does not come back */
};
extern const struct row rows[];
extern const u32 row_count;

extern u32 page_directory[2][1024], window_table[2][1024];

/* map.c */
void map_init(u32 features);
void traps_init(u32 features);
/* every page present and writable in both spaces, nothing in the TLB */
void window_reset(void);

/* the other task's TSS */
void tasks_init(void);

/* start.S */
void to_other_task(void); /* and back */
extern volatile u32 interrupts_taken;
void load_tables(void);
void run_user(void *code, u32 n);
extern char user_nop[], user_int[], user_divide[], user_fault[], user_rdtsc[], user_sysenter[];
extern u32 user_fault_address;

static inline void set_cr3(u32 val)
{
    __asm__ volatile("mov %0, %%cr3" ::"r"(val) : "memory");
}

static inline void invlpg(u32 gla)
{
    __asm__ volatile("invlpg (%0)" ::"r"(gla) : "memory");
}

static inline u32 apic_read(u32 reg)
{
    return *(volatile u32 *)(LAPIC + reg);
}

static inline void apic_write(u32 reg, u32 val)
{
    *(volatile u32 *)(LAPIC + reg) = val;
}

#endif
