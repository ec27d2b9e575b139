/*
 * Paging as programs and kernels see it (SDM vol. 3, chapter 4): accessed and dirty bits, error
 * codes, CR0.WP, user and supervisor, 4 MB pages, PAE, NX, faults inside system accesses,
 * restart of what faulted half-way.
 *
 * The first 32 MB are mapped one to one. Tests play with the page at PLAY, inside the first 4
 * MB.
 */
#include "kernel.h"

enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_A = 0x20, PTE_D = 0x40, PTE_PS = 0x80, PTE_G = 0x100 };
enum { E_P = 1, E_W = 2, E_U = 4, E_RSVD = 8, E_I = 16 };
enum { PLAY = 0x300000, NEXT = PLAY + 4096 };

static u32 directory[1024] __attribute__((aligned(4096)));
static u32 table[1024] __attribute__((aligned(4096)));
static u64 pdpt[4] __attribute__((aligned(32)));
static u64 pae_directory[512] __attribute__((aligned(4096)));
static u64 pae_table[2][512] __attribute__((aligned(4096)));

static u32 *play_pte(void)
{
    return &table[PLAY >> 12];
}

static void map(u32 gla, u32 flags)
{
    table[gla >> 12 & 1023] = (gla & ~4095u) | flags;
    __asm__ volatile("invlpg (%0)" : : "r"(gla) : "memory");
}

static void paging_on(void)
{
    for (u32 i = 0; i < 1024; i++) {
        table[i] = i << 12 | PTE_P | PTE_W | PTE_U;
        directory[i] = 0;
    }
    directory[0] = (u32)table | PTE_P | PTE_W | PTE_U;
    for (u32 i = 1; i < 8; i++)
        directory[i] = i << 22 | PTE_P | PTE_W | PTE_U | PTE_PS;
    write_cr4(CR4_PSE);
    write_cr3((u32)directory);
    write_cr0(read_cr0() | CR0_PG);
}

static void paging_off(void)
{
    write_cr0(read_cr0() & ~(CR0_PG | CR0_WP));
    write_cr4(0);
}

SNIPPET(p_read, "mov (%eax), %ebx\n" EXIT);
SNIPPET(p_write, "mov %ebx, (%eax)\n" EXIT);
SNIPPET(p_add, "add %ebx, (%eax)\n" EXIT);

static u32 touch(const u8 *code, u32 n, u32 gla)
{
    ring(n, code);
    in.eax = gla;
    in.ebx = 0x11;
    return run();
}
#define PAGE_FAULT(code_, error_, gla_)                                                        \
    do {                                                                                       \
        FAULT(PF, error_, code_);                                                              \
        EQ(read_cr2(), gla_);                                                                  \
    } while (0)

TEST(paging_accessed_and_dirty)
{
    paging_on();
    map(PLAY, PTE_P | PTE_W | PTE_U);
    directory[0] &= ~(u32)PTE_A;
    write_cr3((u32)directory);
    EQ(touch(p_read, 3, PLAY), EXIT_VECTOR);
    EQ(*play_pte() & (PTE_A | PTE_D), PTE_A);
    EQ(directory[0] & (PTE_A | PTE_D), PTE_A);
    EQ(touch(p_write, 3, PLAY), EXIT_VECTOR);
    EQ(*play_pte() & (PTE_A | PTE_D), PTE_A | PTE_D);
    map(PLAY, PTE_P | PTE_W | PTE_U);
    EQ(touch(p_write, 0, PLAY), EXIT_VECTOR);
    EQ(*play_pte() & (PTE_A | PTE_D), PTE_A | PTE_D);
    map(PLAY, PTE_P | PTE_U); /* a fault sets nothing */
    touch(p_write, 3, PLAY);
    EQ(*play_pte() & PTE_D, 0);
    paging_off();
}

TEST(paging_dirty_after_clean)
{
    paging_on();
    map(PLAY, PTE_P | PTE_W | PTE_U);
    touch(p_write, 3, PLAY);
    /* D cleared, INVLPG: the next write sets it again */
    map(PLAY, PTE_P | PTE_W | PTE_U | PTE_A);
    touch(p_read, 3, PLAY);
    EQ(*play_pte() & PTE_D, 0);
    touch(p_write, 3, PLAY);
    EQ(*play_pte() & PTE_D, PTE_D);
    paging_off();
}

TEST(paging_error_codes)
{
    paging_on();
    map(PLAY, 0);
    touch(p_read, 3, PLAY + 8);
    PAGE_FAULT(p_read, E_U, PLAY + 8);
    touch(p_write, 3, PLAY);
    PAGE_FAULT(p_write, E_U | E_W, PLAY);
    touch(p_read, 0, PLAY);
    PAGE_FAULT(p_read, 0, PLAY);
    touch(p_add, 0, PLAY); /* a read that will write */
    PAGE_FAULT(p_add, E_W, PLAY);
    map(PLAY, PTE_P | PTE_W);
    touch(p_read, 3, PLAY);
    PAGE_FAULT(p_read, E_P | E_U, PLAY);
    touch(p_write, 3, PLAY);
    PAGE_FAULT(p_write, E_P | E_U | E_W, PLAY);
    EQ(touch(p_write, 0, PLAY), EXIT_VECTOR);
    map(PLAY, PTE_P | PTE_U);
    EQ(touch(p_read, 3, PLAY), EXIT_VECTOR);
    touch(p_write, 3, PLAY);
    PAGE_FAULT(p_write, E_P | E_U | E_W, PLAY);
    paging_off();
}

TEST(paging_write_protect)
{
    paging_on();
    map(PLAY, PTE_P | PTE_U);
    EQ(touch(p_write, 0, PLAY), EXIT_VECTOR);
    EQ(*play_pte() & PTE_D, PTE_D);
    write_cr0(read_cr0() | CR0_WP);
    map(PLAY, PTE_P | PTE_U);
    touch(p_write, 0, PLAY);
    PAGE_FAULT(p_write, E_P | E_W, PLAY);
    map(PLAY, PTE_P);
    touch(p_write, 0, PLAY);
    PAGE_FAULT(p_write, E_P | E_W, PLAY);
    EQ(touch(p_read, 0, PLAY), EXIT_VECTOR);
    write_cr0(read_cr0() & ~CR0_WP);
    EQ(touch(p_write, 0, PLAY), EXIT_VECTOR);
    paging_off();
}

/* Rights of directory and table are ANDed. */
TEST(paging_directory_rights)
{
    const u32 gla = 0x2000000 + PLAY; /* the same table through a second directory entry */

    paging_on();
    map(PLAY, PTE_P | PTE_W | PTE_U);
    directory[8] = (u32)table | PTE_P | PTE_U;
    EQ(touch(p_read, 3, gla), EXIT_VECTOR);
    touch(p_write, 3, gla);
    PAGE_FAULT(p_write, E_P | E_U | E_W, gla);
    directory[8] = (u32)table | PTE_P | PTE_W;
    write_cr3((u32)directory);
    touch(p_read, 3, gla);
    PAGE_FAULT(p_read, E_P | E_U, gla);
    directory[8] = 0;
    write_cr3((u32)directory);
    touch(p_read, 3, gla);
    PAGE_FAULT(p_read, E_U, gla);
    paging_off();
}

TEST(paging_remap_after_invlpg)
{
    paging_on();
    map(PLAY, PTE_P | PTE_W | PTE_U);
    *(volatile u32 *)PLAY = 0x1111;
    *(volatile u32 *)NEXT = 0x2222;
    touch(p_read, 3, PLAY);
    EQ(trap.ebx, 0x1111);
    *play_pte() = NEXT | PTE_P | PTE_W | PTE_U;
    __asm__ volatile("invlpg (%0)" : : "r"(PLAY) : "memory");
    touch(p_read, 3, PLAY);
    EQ(trap.ebx, 0x2222);
    *play_pte() = PLAY | PTE_P | PTE_W | PTE_U;
    write_cr3((u32)directory);
    touch(p_read, 3, PLAY);
    EQ(trap.ebx, 0x1111);
    paging_off();
}

TEST(paging_page_crossing)
{
    paging_on();
    map(PLAY, PTE_P | PTE_W | PTE_U);
    map(NEXT, 0);
    *(volatile u32 *)(PLAY + 4092) = 0x44332211;
    touch(p_write, 3, PLAY + 4094);
    PAGE_FAULT(p_write, E_U | E_W, NEXT);
    EQ(*(volatile u32 *)(PLAY + 4092), 0x44332211); /* nothing was written */
    map(NEXT, PTE_P | PTE_W | PTE_U);
    *(volatile u16 *)NEXT = 0x6655;
    touch(p_read, 3, PLAY + 4094);
    EQ(trap.ebx, 0x66554433);
    paging_off();
}

TEST(paging_4mb_pages)
{
    const u32 gla = 0x800000 + 0x1234;

    paging_on();
    *(volatile u32 *)gla = 0xabcd1234;
    directory[9] = 0x800000 | PTE_P | PTE_W | PTE_U | PTE_PS;
    touch(p_read, 3, 0x2400000 + 0x1234);
    DONE();
    EQ(trap.ebx, 0xabcd1234);
    EQ(directory[9] & (PTE_A | PTE_D), PTE_A);
    touch(p_write, 3, 0x2400000 + 0x1234);
    EQ(directory[9] & (PTE_A | PTE_D), PTE_A | PTE_D);
    directory[9] = 0x800000 | PTE_P | PTE_PS | 1 << 21; /* a reserved bit */
    write_cr3((u32)directory);
    touch(p_read, 3, 0x2400000);
    PAGE_FAULT(p_read, E_P | E_U | E_RSVD, 0x2400000);
    paging_off();
}

/* Without PSE the bit is ignored: the entry points to a table. */
TEST(paging_without_pse)
{
    paging_on();
    directory[10] = (u32)table | PTE_P | PTE_W | PTE_U | PTE_PS;
    for (u32 i = 1; i < 8; i++) /* all that runs now lies in the first 4 MB */
        directory[i] = 0;
    write_cr4(0);
    write_cr3((u32)directory);
    *(volatile u32 *)PLAY = 0x77;
    touch(p_read, 3, 0x2800000 + PLAY);
    DONE();
    EQ(trap.ebx, 0x77);
    paging_off();
}

/* System accesses are the supervisor's, whoever caused them. */
SNIPPET(p_load, "mov %eax, %fs\n" EXIT);
TEST(paging_of_descriptor_tables)
{
    u64 *moved = (u64 *)PLAY;
    struct {
        u16 limit;
        u32 base;
    } __attribute__((packed)) gdtr = { 0x1fff, PLAY };

    paging_on();
    map(PLAY, PTE_P | PTE_W);
    map(NEXT, PTE_P | PTE_W);
    copy(moved, gdt, GDT_BYTES);
    moved[0x1000 / 8] = moved[UDATA / 8] & ~((u64)ACC << 40);
    __asm__ volatile("lgdt %0" : : "m"(gdtr));
    touch(p_load, 3, 0x1000 | 3);
    DONE(); /* a supervisor page serves ring 3's load */
    TRUE(moved[0x1000 / 8] >> 40 & ACC);
    EQ(table[NEXT >> 12] & PTE_D, PTE_D);
    map(NEXT, 0);
    touch(p_load, 3, 0x1000 | 3);
    PAGE_FAULT(p_load, 0, NEXT); /* no U bit */
    paging_off();
}

SNIPPET(p_int, "int $0x60\n" EXIT);
TEST(paging_fault_in_delivery)
{
    static struct tss32 task;

    paging_on();
    map(PLAY, 0);
    /* The inner stack is not there: #PF while delivering INT 60h, handled by a task. */
    fill(&task, 0, sizeof(task));
    task.cr3 = (u32)directory;
    task.eip = (u32)p_read;
    task.eflags = 2;
    task.esp = (u32)stack1 + 4096;
    task.cs = KCODE;
    task.ss = task.ds = task.es = KDATA;
    task.eax = (u32)&task;
    seg(3, (u32)&task, 103, P | T_TSS32);
    set_gate(&idt[PF], SEL(3), 0, P | T_TASK, 0);
    vector_gate(0x60, KCODE, P | DPL3 | T_INT32);
    tss_main.esp0 = PLAY + 2048;
    run_ring(3, p_int);
    DONE();
    EQ(trap.tr & 0xffff, SEL(3));
    EQ(*(u32 *)(stack1 + 4096 - 4), E_W);
    EQ(read_cr2() & ~4095u, PLAY);
    EQ(tss_main.eip, (u32)p_int);
    EQ(tss_main.cs, UCODE);
    gdt[TSS_MAIN / 8] &= ~((u64)2 << 40);
    __asm__ volatile("ltr %w0" : : "r"(TSS_MAIN));
    write_cr0(read_cr0() & ~CR0_TS);
    paging_off();
}

SNIPPET(p_jump_task, "ljmp *(%eax)\n" EXIT);
/* A task switch loads CR3. */
TEST(paging_task_switch_loads_cr3)
{
    static u32 other[1024] __attribute__((aligned(4096)));
    static u32 other_table[1024] __attribute__((aligned(4096)));
    static struct tss32 task;
    static u32 pointer[2];

    paging_on();
    copy(other, directory, 4096);
    copy(other_table, table, 4096);
    other[0] = (u32)other_table | PTE_P | PTE_W | PTE_U;
    other_table[PLAY >> 12] = NEXT | PTE_P | PTE_W | PTE_U;
    *(volatile u32 *)PLAY = 0x1111;
    *(volatile u32 *)NEXT = 0x2222;
    fill(&task, 0, sizeof(task));
    task.cr3 = (u32)other;
    task.eip = (u32)p_read;
    task.eflags = 2;
    task.esp = (u32)stack1 + 4096;
    task.cs = KCODE;
    task.ss = task.ds = task.es = KDATA;
    task.eax = PLAY;
    seg(3, (u32)&task, 103, P | T_TSS32);
    pointer[1] = SEL(3);
    ring(0, p_jump_task);
    in.eax = (u32)pointer;
    run();
    DONE();
    EQ(trap.ebx, 0x2222);
    gdt[TSS_MAIN / 8] &= ~((u64)2 << 40);
    __asm__ volatile("ltr %w0" : : "r"(TSS_MAIN));
    write_cr0(read_cr0() & ~CR0_TS);
    paging_off();
}

/* ---- Restart ---- */

SNIPPET(p_pusha, "pusha\n" EXIT);
SNIPPET(p_popmem, "pop (%eax)\n" EXIT);
SNIPPET(p_movs, "rep movsl\n" EXIT);
SNIPPET(p_callfar, "call *(%eax)\n" EXIT);
TEST(paging_restart)
{
    paging_on();
    map(PLAY, 0);
    map(NEXT, PTE_P | PTE_W | PTE_U);
    ring(3, p_pusha);
    in.esp = NEXT + 16; /* half of PUSHA fits */
    run();
    EQ(trap.vector, PF);
    EQ(trap.frame[0], E_U | E_W);
    EQ(trap.frame[1], (u32)p_pusha);
    EQ(trap.frame[4], NEXT + 16); /* ESP as before */

    ring(3, p_popmem);
    in.eax = PLAY;
    in.esp = NEXT + 64;
    run();
    PAGE_FAULT(p_popmem, E_U | E_W, PLAY);
    EQ(trap.frame[4], NEXT + 64);

    ring(3, p_movs);
    in.esi = (u32)stack1;
    in.edi = PLAY - 8; /* two dwords, then the fault */
    in.ecx = 5;
    run();
    PAGE_FAULT(p_movs, E_U | E_W, PLAY);
    EQ(trap.ecx, 3);
    EQ(trap.edi, PLAY);
    EQ(trap.esi, (u32)stack1 + 8);

    ring(3, p_callfar);
    *(u32 *)NEXT = (u32)p_read;
    in.eax = NEXT;
    in.esp = PLAY + 4;
    run();
    PAGE_FAULT(p_callfar, E_U | E_W, PLAY);
    EQ(trap.frame[4], PLAY + 4);
    paging_off();
}

SNIPPET(p_code, "jmp *%eax\n");
TEST(paging_instruction_fetch)
{
    paging_on();
    map(PLAY, PTE_P | PTE_W | PTE_U);
    map(NEXT, 0);
    fill((void *)(PLAY + 4094), 0x90, 1);
    fill((void *)(PLAY + 4095), 0xb8, 1); /* mov $…, %eax: its operand is in the next page */
    touch(p_code, 3, PLAY + 4094);
    EQ(trap.vector, PF);
    EQ(trap.frame[0], E_U);
    EQ(trap.frame[1], PLAY + 4095);
    EQ(read_cr2(), NEXT);
    map(PLAY, PTE_P | PTE_W);
    touch(p_code, 3, PLAY);
    EQ(trap.vector, PF);
    EQ(trap.frame[0], E_U | E_P);
    EQ(trap.frame[1], PLAY);
    paging_off();
}

/* ---- PAE and NX ---- */

static void pae_on(void)
{
    for (u32 i = 0; i < 512; i++) {
        pae_table[0][i] = i << 12 | PTE_P | PTE_W | PTE_U;
        pae_table[1][i] = (512 + i) << 12 | PTE_P | PTE_W | PTE_U;
        pae_directory[i] = 0;
    }
    for (u32 i = 0; i < 16; i++)
        pae_directory[i] = i << 21 | PTE_P | PTE_W | PTE_U | PTE_PS;
    pae_directory[0] = (u32)pae_table[0] | PTE_P | PTE_W | PTE_U;
    pae_directory[1] = (u32)pae_table[1] | PTE_P | PTE_W | PTE_U;
    pdpt[0] = (u32)pae_directory | PTE_P;
    pdpt[1] = pdpt[2] = pdpt[3] = 0;
    write_cr4(CR4_PAE);
    write_cr3((u32)pdpt);
    write_cr0(read_cr0() | CR0_PG);
}

static u64 *pae_pte(u32 gla)
{
    return &pae_table[gla >> 21 & 1][gla >> 12 & 511];
}

static void pae_map(u32 gla, u64 entry)
{
    *pae_pte(gla) = entry;
    __asm__ volatile("invlpg (%0)" : : "r"(gla) : "memory");
}

TEST(pae_accessed_dirty_and_codes)
{
    pae_on();
    pae_map(PLAY, PLAY | PTE_P | PTE_W | PTE_U);
    EQ(touch(p_read, 3, PLAY), EXIT_VECTOR);
    EQ((u32)*pae_pte(PLAY) & (PTE_A | PTE_D), PTE_A);
    EQ(touch(p_write, 3, PLAY), EXIT_VECTOR);
    EQ((u32)*pae_pte(PLAY) & (PTE_A | PTE_D), PTE_A | PTE_D);
    pae_map(PLAY, 0);
    touch(p_write, 3, PLAY);
    PAGE_FAULT(p_write, E_U | E_W, PLAY);
    pae_map(PLAY, PLAY | PTE_P | PTE_U | (u64)1 << 50); /* reserved */
    touch(p_read, 3, PLAY);
    PAGE_FAULT(p_read, E_U | E_P | E_RSVD, PLAY);
    pae_directory[20] = 0x800000 | PTE_P | PTE_W | PTE_U | PTE_PS; /* 2 MB */
    *(volatile u32 *)0x812344 = 0x5678;
    touch(p_read, 3, 20 * 0x200000 + 0x12344);
    DONE();
    EQ(trap.ebx, 0x5678);
    EQ((u32)pae_directory[20] & (PTE_A | PTE_D), PTE_A);
    touch(p_read, 3, 0x40000000); /* PDPTE 1 is not present */
    PAGE_FAULT(p_read, E_U, 0x40000000);
    paging_off();
}

SNIPPET(p_cr3, "mov %eax, %cr3\n" EXIT);
TEST(pae_reserved_pdpte_bits)
{
    static u64 bad[4] __attribute__((aligned(32)));

    pae_on();
    copy(bad, pdpt, sizeof(bad));
    bad[2] = PTE_P | PTE_W; /* bits 1 and 2 are reserved */
    ring(0, p_cr3);
    in.eax = (u32)bad;
    run();
    FAULT(GP, 0, p_cr3);
    bad[2] = PTE_W; /* not present: not looked at */
    ring(0, p_cr3);
    in.eax = (u32)bad;
    EQ(run(), EXIT_VECTOR);
    paging_off();
}

TEST(pae_no_execute)
{
    u32 a, b, c, d;
    const u64 nx = (u64)1 << 63;

    cpuid(0x80000001, &a, &b, &c, &d);
    if (!(d & 1 << 20))
        return;
    pae_on();
    pae_map(PLAY, PLAY | PTE_P | PTE_W | PTE_U | nx); /* NXE off: a reserved bit */
    touch(p_read, 3, PLAY);
    PAGE_FAULT(p_read, E_U | E_P | E_RSVD, PLAY);
    wrmsr(0xc0000080, 0x800);
    *(volatile u8 *)PLAY = 0x90;
    EQ(touch(p_read, 3, PLAY), EXIT_VECTOR);
    touch(p_code, 3, PLAY);
    EQ(trap.vector, PF);
    EQ(trap.frame[0], E_U | E_P | E_I);
    EQ(trap.frame[1], PLAY);
    pae_map(PLAY, 0);
    touch(p_code, 3, PLAY);
    EQ(trap.frame[0], E_U | E_I);
    pae_directory[1] |= nx; /* of the directory counts too */
    write_cr3((u32)pdpt);
    pae_map(PLAY, PLAY | PTE_P | PTE_W | PTE_U);
    touch(p_code, 0, PLAY);
    EQ(trap.frame[0], E_P | E_I);
    paging_off();
    wrmsr(0xc0000080, 0);
}

/* Kept for a global page until its entry is dropped by INVLPG or CR4.PGE. */
TEST(paging_global_pages)
{
    paging_on();
    write_cr4(read_cr4() | CR4_PGE);
    map(PLAY, PTE_P | PTE_W | PTE_U | PTE_G);
    *(volatile u32 *)PLAY = 0x1111;
    *(volatile u32 *)NEXT = 0x2222;
    touch(p_read, 3, PLAY);
    EQ(trap.ebx, 0x1111);
    *play_pte() = NEXT | PTE_P | PTE_W | PTE_U | PTE_G;
    write_cr4(read_cr4() & ~CR4_PGE);
    touch(p_read, 3, PLAY);
    EQ(trap.ebx, 0x2222);
    paging_off();
}

/* A table that maps itself, changed through that mapping (Windows and others do). */
TEST(paging_self_map)
{
    paging_on();
    directory[1023] = (u32)directory | PTE_P | PTE_W;
    *(volatile u32 *)PLAY = 0x1111;
    *(volatile u32 *)NEXT = 0x2222;
    touch(p_read, 3, PLAY);
    EQ(trap.ebx, 0x1111);
    *(volatile u32 *)(0xffc00000 + (PLAY >> 10)) = NEXT | PTE_P | PTE_W | PTE_U;
    __asm__ volatile("invlpg (%0)" : : "r"(PLAY) : "memory");
    touch(p_read, 3, PLAY);
    EQ(trap.ebx, 0x2222);
    EQ(*play_pte() & ~4095u, NEXT);
    paging_off();
}
