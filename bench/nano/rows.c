/*
 * The operations. ROW makes a function that runs BODY n times, eight to a turn of the loop,
 * after SETUP; ECX counts, EAX EBX EDX ESI EDI are the body's. User rows run the loops of
 * start.S.
 */
#include "bench/nano/nano.h"
#include "bench/user/compute.h"

#define ROW(id, setup, body)                                                                   \
    static u64 run_##id(u32 n)                                                                 \
    {                                                                                          \
        u32 turns = n / 8;                                                                     \
        u64 start = rdtsc();                                                                   \
                                                                                               \
        __asm__ volatile(setup "\n1:\t.rept 8\n\t" body "\n\t.endr\n\tdecl %0\n\tjnz 1b"       \
                         : "+c"(turns)                                                         \
                         : "i"(NOT_PRESENT), "i"(WINDOW), "m"(page_directory)                  \
                         : "eax", "ebx", "edx", "esi", "edi", "memory", "cc");                 \
        return rdtsc() - start;                                                                \
    }

#define USER(id)                                                                               \
    static u64 run_##id(u32 n)                                                                 \
    {                                                                                          \
        u64 start = rdtsc();                                                                   \
                                                                                               \
        run_user(id, n / 8);                                                                   \
        return rdtsc() - start;                                                                \
    }

/* ---- Into the kernel and back ---- */

USER(user_nop)
USER(user_int)
USER(user_sysenter)
USER(user_divide)
USER(user_fault)
USER(user_rdtsc)
ROW(int_kernel, "", "int $0x80")
ROW(iret, "", "pushfl; push %%cs; push $2f; iret; 2:")
/* CPUID would clobber the counter: it is kept on the stack, which costs two instructions
 * more. */
ROW(cpuid, "", "push %%ecx; xor %%eax, %%eax; cpuid; pop %%ecx")
ROW(rdtsc, "", "rdtsc")
ROW(divide_kernel, "xor %%esi, %%esi", "divl %%esi")
ROW(fault_kernel, "mov %1, %%ebx", "movl (%%ebx), %%eax")

/* ---- Privileged instructions ---- */

ROW(cli_sti, "", "cli; sti")
ROW(pushf_popf, "", "pushfl; popfl")
ROW(pushf_cli_popf, "", "pushfl; cli; popfl")
ROW(read_cr0, "", "mov %%cr0, %%eax")
ROW(write_cr0, "mov %%cr0, %%eax", "mov %%eax, %%cr0")
ROW(clts, "", "clts")
ROW(write_cr4, "mov %%cr4, %%eax", "mov %%eax, %%cr4")
ROW(read_cr3, "", "mov %%cr3, %%eax")
ROW(write_cr3, "mov %%cr3, %%eax", "mov %%eax, %%cr3")
ROW(invlpg, "mov %2, %%ebx; mov (%%ebx), %%eax", "invlpg (%%ebx)")
ROW(load_segment, "mov $16, %%eax", "mov %%eax, %%es")

/* ---- Memory: aligned, misaligned within a page, over the end of a page ---- */

ROW(load, "mov %2, %%ebx; movl (%%ebx), %%eax; movl 4096(%%ebx), %%eax",
    "movl 16(%%ebx), %%eax")
ROW(load_misaligned, "mov %2, %%ebx", "movl 17(%%ebx), %%eax")
ROW(store_misaligned, "mov %2, %%ebx", "movl %%eax, 17(%%ebx)")
ROW(add_misaligned, "mov %2, %%ebx", "addl %%eax, 17(%%ebx)")
ROW(load_crossing, "mov %2, %%ebx", "movl 4094(%%ebx), %%eax")
ROW(rep_movs_short, "mov %2, %%ebx",
    "push %%ecx; lea 3(%%ebx), %%esi; lea 260(%%ebx), %%edi; mov $5, %%ecx; rep movsl; pop "
    "%%ecx")

/* ---- Devices ---- */

ROW(in_post, "", "in $0x80, %%al")
ROW(out_post, "", "out %%al, $0x80")
ROW(in_pic, "", "in $0x21, %%al")
ROW(in_pit, "", "in $0x40, %%al")
ROW(vga_read, "", "movb 0xb8000, %%al")
ROW(vga_write, "mov $0x20, %%eax", "movb %%al, 0xb8000")
ROW(apic_read, "", "movl 0xfee00030, %%eax")
ROW(apic_write, "xor %%eax, %%eax", "movl %%eax, 0xfee00080")

/* ---- Calls ---- */

ROW(call_ret, "", "call call_leaf")
ROW(call_pointer, "mov $call_leaf, %%ebx", "call *%%ebx")

/* `what` makes 1024 calls; the time is that of n of them. */
static u64 run_many(const char *what, u32 n)
{
    u64 start = rdtsc(), val;
    u32 calls = 0;

    for (; calls < n; calls += 1024)
        __asm__ volatile("call *%0" ::"r"(what) : "memory");
    val = (rdtsc() - start) * n;
    divide(&val, calls);
    return val;
}

extern char call_deep[], call_sites[];
static u64 run_call_deep(u32 n) { return run_many(call_deep, n); }
static u64 run_call_sites(u32 n) { return run_many(call_sites, n); }

/* ---- Code that is written ---- */

/* The store changes the instruction behind it; and: it changes data in a page with code. */
ROW(smc_next, "xor %%eax, %%eax", "inc %%eax; movl %%eax, 2f + 1; 2: movl $0, %%ebx")
ROW(smc_page, "xor %%eax, %%eax", "movl %%eax, 3f; jmp 2f; 3: .long 0; 2:")

/* ---- Page tables. A block of pages is brought to its state, then timed ---- */

#define PTE(i) ((volatile u32 *)window_table[0])[i]

static u32 entry_of(u32 i)
{
    return (WINDOW_RAM + i * PAGE) | PTE_P | PTE_W | PTE_U | 0x60;
}

static void touch(u32 i)
{
    *(volatile u32 *)(WINDOW + i * PAGE) = i;
}

static void prepare(u32 count, bool present)
{
    for (u32 i = 0; i < count; i++) {
        PTE(i) = entry_of(i);
        invlpg(WINDOW + i * PAGE);
        touch(i);
        if (!present) {
            PTE(i) = 0;
            invlpg(WINDOW + i * PAGE);
        }
    }
}

/* A row that does STEP to each page i, which is present or not before. */
#define PTE_ROW(id, present, step)                                                             \
    static u64 run_##id(u32 n)                                                                 \
    {                                                                                          \
        u64 total = 0, start;                                                                  \
        u32 some, i;                                                                           \
                                                                                               \
        for (; n; n -= some) {                                                                 \
            some = n < WINDOW_PAGES ? n : WINDOW_PAGES;                                        \
            prepare(some, present);                                                            \
            start = rdtsc();                                                                   \
            for (i = 0; i < some; i++) {                                                       \
                step;                                                                          \
            }                                                                                  \
            total += rdtsc() - start;                                                          \
        }                                                                                      \
        return total;                                                                          \
    }

PTE_ROW(pte_same, 1, PTE(i) = entry_of(i))
PTE_ROW(pte_same_invlpg, 1, PTE(i) = entry_of(i); invlpg(WINDOW + i * PAGE))
PTE_ROW(pte_clear, 1, PTE(i) = 0)
PTE_ROW(pte_clear_invlpg, 1, PTE(i) = 0; invlpg(WINDOW + i * PAGE))
PTE_ROW(pte_set, 0, PTE(i) = entry_of(i))
PTE_ROW(pte_set_invlpg, 0, PTE(i) = entry_of(i); invlpg(WINDOW + i * PAGE))
PTE_ROW(pte_set_touch, 0, PTE(i) = entry_of(i); touch(i))
/* The page is there, its translation is not: of the guest's, no fault at all. */
PTE_ROW(hidden_fault, 1, invlpg(WINDOW + i * PAGE); touch(i))
PTE_ROW(pte_protect_invlpg, 1, PTE(i) = entry_of(i) & ~PTE_W; invlpg(WINDOW + i * PAGE))

/* ---- Address spaces ---- */

/* To the other space and back, eight pages touched in each: two switches, of which one is
 * counted. */
static u64 run_switch(u32 n)
{
    u64 start = rdtsc();

    for (u32 i = 0; i < n; i++) {
        set_cr3((u32)page_directory[i & 1]);
        for (u32 page = 0; page < 8; page++)
            touch(page * 5);
    }
    set_cr3((u32)page_directory[0]);
    return rdtsc() - start;
}

/* The same with so many pages. */
static u64 switch_pages(u32 n, u32 pages)
{
    u64 start;

    for (u32 i = 0; i < 2 * pages; i++) {
        set_cr3((u32)page_directory[i & 1]);
        touch(i / 2);
    }
    start = rdtsc();
    for (u32 i = 0; i < n; i++) {
        set_cr3((u32)page_directory[i & 1]);
        for (u32 page = 0; page < pages; page++)
            touch(page);
    }
    start = rdtsc() - start;
    set_cr3((u32)page_directory[0]);
    return start;
}

static u64 run_switch_1(u32 n)
{
    return switch_pages(n, 1);
}
static u64 run_switch_16(u32 n)
{
    return switch_pages(n, 16);
}
static u64 run_switch_256(u32 n)
{
    return switch_pages(n, 256);
}

/* To the other task and back: two switches, each counted. */
static u64 run_task_switch(u32 n)
{
    u64 start;

    tasks_init();
    start = rdtsc();
    for (u32 i = 0; i < n; i += 2)
        to_other_task();
    return rdtsc() - start;
}

/* An interrupt for ourselves waits; STI, HLT let it in; its handler ends it. */
static u64 run_hlt_interrupt(u32 n)
{
    u32 old = apic_read(APIC_SVR);
    u64 start;

    apic_write(APIC_SVR, old | APIC_ENABLED);
    start = rdtsc();
    for (u32 i = 0; i < n; i++) {
        apic_write(APIC_ICR, APIC_TO_SELF | INTERRUPT);
        __asm__ volatile("sti; hlt; cli" ::: "memory");
    }
    start = rdtsc() - start;
    apic_write(APIC_SVR, old);
    return start;
}

/* ---- The table: what VMware's papers name first, then what a kernel does besides ---- */

const struct row rows[] = {
    {"syscall-int", run_user_int},
    {"syscall-sysenter", run_user_sysenter, CPUID_SEP},
    {"in", run_in_post},
    {"out", run_out_post},
    {"in-pic", run_in_pic},
    {"in-pit", run_in_pit},
    {"cli-sti", run_cli_sti},
    {"pushf-popf", run_pushf_popf},
    {"pushf-cli-popf", run_pushf_cli_popf},
    {"read-cr0", run_read_cr0},
    {"write-cr0", run_write_cr0},
    {"clts", run_clts},
    {"write-cr4", run_write_cr4},
    {"read-cr3", run_read_cr3},
    {"write-cr3", run_write_cr3},
    {"invlpg", run_invlpg},
    {"load-segment", run_load_segment},
    {"call-ret", run_call_ret},
    {"call-ret-pointer", run_call_pointer},
    {"call-ret-sites", run_call_sites},
    {"call-ret-deep", run_call_deep},
    {"page-fault-user", run_user_fault},
    {"page-fault-kernel", run_fault_kernel},
    {"divide-error-user", run_user_divide},
    {"divide-error-kernel", run_divide_kernel},
    {"pte-same", run_pte_same},
    {"pte-same-invlpg", run_pte_same_invlpg},
    {"pte-clear", run_pte_clear},
    {"pte-clear-invlpg", run_pte_clear_invlpg},
    {"pte-set", run_pte_set},
    {"pte-set-invlpg", run_pte_set_invlpg},
    {"pte-set-touch", run_pte_set_touch},
    {"pte-protect-invlpg", run_pte_protect_invlpg},
    {"hidden-fault", run_hidden_fault},
    {"load", run_load},
    {"load-misaligned", run_load_misaligned},
    {"store-misaligned", run_store_misaligned},
    {"add-misaligned", run_add_misaligned},
    {"load-crossing", run_load_crossing},
    {"rep-movs-short", run_rep_movs_short},
    {"iret", run_iret},
    {"int-kernel", run_int_kernel},
    {"cpuid", run_cpuid},
    {"rdtsc", run_rdtsc},
    {"rdtsc-user", run_user_rdtsc},
    {"vga-read", run_vga_read},
    {"vga-write", run_vga_write},
    {"apic-read", run_apic_read, CPUID_APIC},
    {"apic-write", run_apic_write, CPUID_APIC}, /* TPR */
    {"hlt-interrupt", run_hlt_interrupt, CPUID_APIC, 1},
    {"smc-store", run_smc_next},
    {"store-code-page", run_smc_page},
    {"context-switch", run_switch},
    {"context-switch-1", run_switch_1},
    {"context-switch-16", run_switch_16},
    {"context-switch-256", run_switch_256},
    {"task-switch", run_task_switch},
    {"kernel-loop", run_mixed},
    {"kernel-integer", run_integer},
    {"kernel-copy-4k", run_copy},
    {"kernel-indirect", run_indirect},
    {"kernel-recursion", run_recursion},
    {"user-nop", run_user_nop},
};
const u32 row_count = sizeof rows / sizeof *rows;
