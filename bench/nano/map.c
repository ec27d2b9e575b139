/* Page tables, descriptor tables, traps, as the head of nano.h draws them. */
#include "bench/nano/nano.h"

enum { LOW_TABLES = 4, MSR_SYSENTER_CS = 0x174, CR4_PGE = 0x80, CR0_PG_WP = 0x80010000 };

extern u64 gdt[], idt[256];
extern char user_begin[], user_end[];
extern char trap_divide[], trap_page[], trap_int[], trap_leave[], trap_sysenter[], trap_other[],
    trap_interrupt[], other_task[], other_task_stack[];

#define PAGES __attribute__((aligned(PAGE)))
u32 page_directory[2][1024] PAGES, window_table[2][1024] PAGES;
static u32 low_table[LOW_TABLES][1024] PAGES, apic_table[1024] PAGES;
static u8 trap_stack[4096] PAGES;
static u32 tss[26], other_tss[26];

void window_reset(void)
{
    for (u32 space = 0; space < 2; space++)
        for (u32 i = 0; i < WINDOW_PAGES; i++)
            window_table[space][i] = (WINDOW_RAM + i * PAGE) | PTE_P | PTE_W | PTE_U;
    set_cr3((u32)page_directory[0]);
}

static u32 low_entry(u32 gpa, u32 global)
{
    bool user = gpa >= (u32)user_begin && gpa < (u32)user_end;

    return gpa | PTE_P | PTE_W | (user ? PTE_U : 0) | global;
}

void map_init(u32 features)
{
    u32 global = features & CPUID_PGE ? PTE_G : 0, i;

    for (i = 0; i < LOW_TABLES * 1024; i++)
        low_table[i / 1024][i % 1024] = low_entry(i * PAGE, global);
    apic_table[LAPIC >> 12 & 1023] = LAPIC | PTE_P | PTE_W | 0x18;
    for (u32 space = 0; space < 2; space++) {
        for (i = 0; i < LOW_TABLES; i++)
            page_directory[space][i] = (u32)low_table[i] | PTE_P | PTE_W | PTE_U;
        page_directory[space][LAPIC >> 22] = (u32)apic_table | PTE_P | PTE_W;
        page_directory[space][WINDOW >> 22] = (u32)window_table[space] | PTE_P | PTE_W | PTE_U;
    }
    window_reset();
    if (global)
        __asm__ volatile("mov %%cr4, %%eax; or %0, %%eax; mov %%eax, %%cr4" ::"i"(CR4_PGE)
                         : "eax");
    __asm__ volatile("mov %%cr0, %%eax; or %0, %%eax; mov %%eax, %%cr0" ::"i"(CR0_PG_WP)
                     : "eax", "memory");
    user_fault_address = NOT_PRESENT;
}

static void gate(u32 vector, char *handler, u32 dpl)
{
    u32 at = (u32)handler;

    idt[vector] = (u64)(at & 0xffff0000) << 32 | (u64)(0x8e00 | dpl << 13) << 32 | 0x08 << 16 |
                  (at & 0xffff);
}

static void wrmsr(u32 msr, u32 val)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"(val), "d"(0));
}

static u64 tss_descriptor(const u32 *of)
{
    u32 at = (u32)of;

    return (u64)(at >> 24) << 56 | (u64)0x89 << 40 | (u64)(at & 0xffffff) << 16 |
           (sizeof tss - 1);
}

void tasks_init(void)
{
    enum { TSS_CR3 = 7, TSS_EIP, TSS_EFLAGS, TSS_ESP = 14, TSS_ES = 18, TSS_CS, TSS_GS = 23 };

    tss[TSS_CR3] = other_tss[TSS_CR3] = (u32)page_directory[0];
    other_tss[TSS_EIP] = (u32)other_task;
    other_tss[TSS_EFLAGS] = 2;
    other_tss[TSS_ESP] = (u32)other_task_stack;
    for (u32 i = TSS_ES; i <= TSS_GS; i++)
        other_tss[i] = i == TSS_CS ? 0x08 : 0x10;
    gdt[6] = tss_descriptor(other_tss);
}

void traps_init(u32 features)
{

    for (u32 i = 0; i < 256; i++)
        gate(i, trap_other, 0);
    gate(0, trap_divide, 0);
    gate(14, trap_page, 0);
    gate(0x80, trap_int, 3);
    gate(0x81, trap_leave, 3);
    tss[1] = (u32)trap_stack + sizeof trap_stack;
    tss[2] = 0x10;
    gate(INTERRUPT, trap_interrupt, 0);
    gdt[5] = tss_descriptor(tss);
    load_tables();
    if (features & CPUID_SEP) {
        wrmsr(MSR_SYSENTER_CS, 0x08);
        wrmsr(MSR_SYSENTER_CS + 1, (u32)trap_stack + sizeof trap_stack);
        wrmsr(MSR_SYSENTER_CS + 2, (u32)trap_sysenter);
    }
}
