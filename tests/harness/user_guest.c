/*
 * See user_guest.h.
 */
#include "tests/harness/user_guest.h"
#include "mmu/mmu.h"
#include "mmu/pte.h"

#include <string.h>

enum {
    DIRECTORY = 0x100000,
    GDT = 0x102000,
    IDT = 0x103000,
    TSS = 0x104000,
    STACK0 = 0x120000,
    CODE0 = 8,
    DATA0 = 16,
    TASK = 40,
    SUPERVISOR = PTE_P | PTE_W | PTE_A | PTE_D,
};
static_assert(UG_ENTRY == (SUPERVISOR | PTE_U), "a user's entry");

static void put(u8 *at, u32 low, u32 high)
{
    memcpy(at, &(u32[2]){low, high}, 8);
}

void user_guest_set_page(struct vcpu *cpu, gla_t gla, u32 entry)
{
    mmu_phys_write(cpu->mmu, UG_TABLE + 4 * (gla >> PAGE_SHIFT), &entry, 4);
}

void user_guest_set_gate(struct vcpu *cpu, u32 vector, u32 to)
{
    put(mmu_ram(cpu->mmu) + IDT + 8 * vector, CODE0 << 16 | (to & 0xffff),
        (to & 0xffff0000) | 0xee00);
}

void user_guest_begin(struct vcpu *cpu)
{
    u8 *ram = mmu_ram(cpu->mmu);

    memcpy(ram + DIRECTORY, &(u32){UG_TABLE | UG_ENTRY}, 4);
    for (u32 i = 0; i < 1024; i++)
        user_guest_set_page(cpu, i << PAGE_SHIFT, i << PAGE_SHIFT | SUPERVISOR);
    for (u32 page = UG_USER; page <= UG_STACK; page += PAGE_SIZE)
        user_guest_set_page(cpu, page, page | UG_ENTRY);
    put(ram + GDT + CODE0, 0xffff, 0xcf9b00);
    put(ram + GDT + DATA0, 0xffff, 0xcf9300);
    put(ram + GDT + (UG_CODE3 & ~3), 0xffff, 0xcffb00);
    put(ram + GDT + (UG_DATA3 & ~3), 0xffff, 0xcff300);
    put(ram + TSS + 4, STACK0, DATA0);
    for (u32 v = 0; v < 256; v++) {
        user_guest_set_gate(cpu, v, UG_KERNEL + 16 * v);
        ram[UG_KERNEL + 16 * v] = 0xf4;
    }
    cpu->gdtr = (struct table_register){GDT, 0xff};
    cpu->idtr = (struct table_register){IDT, 0x7ff};
    cpu->seg[TR] = (struct segment){TSS, 0x67, TASK, 0x8b};
    cpu->cr3 = DIRECTORY;
    cpu->cr0 |= CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_AM;
    cpu->cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
    mmu_mode_changed(&cpu->paging, false);
}

void user_guest_enter(struct vcpu *cpu, u32 eip)
{
    for (u32 s = ES; s <= GS; s++)
        cpu->seg[s] =
            (struct segment){0, ~0u, s == CS ? UG_CODE3 : UG_DATA3, s == CS ? 0xc0fb : 0xc0f3};
    cpu->cpl = 3;
    cpu->int_flag = 1;
    cpu->eflags = FLAG_1;
    mmu_cpl_changed(&cpu->paging, true);
    cpu->requests = 0;
    cpu->eip = eip;
    cpu->gpr[ESP] = UG_STACK + 0x800;
}
