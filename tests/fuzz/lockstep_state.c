/*
 * The random state a round starts in: registers, segments, descriptor tables.
 */
#include "tests/fuzz/lockstep_gen.h"
#include "cpu/cpuid.h"
#include "cpu/fpu.h"
#include "cpu/reset.h"
#include "tests/insn/fpu_random.h"
#include <string.h>

u64 lockstep_rng;

void rnd_seed(u64 seed)
{
    lockstep_rng = seed * 0x9e3779b97f4a7c15ull + 0x1234567;
    for (u32 i = 0; i < 8; i++)
        rnd();
    fpu_seed(seed);
}

u32 random_register(void)
{
    switch (pick(7)) {
    case 0:
        return rnd();
    case 1:
        return pick(3) - 1;
    case 2:
        return DATA + pick(0x8000);
    case 3:
        return DATA + pick(0x2000) * 4;
    case 4:
        return pick(0x10000);
    case 5:
        return pick(4) ? DATA + pick(0x800) * 16 : TABLES + pick(0x1000) * 4;
    default:
        return CODE + pick(CODE_SIZE);
    }
}

/* ---- Segments and tables ---- */

static void flat(struct segment *s, u16 selector, u32 base, u32 limit, u16 attr)
{
    *s = (struct segment){ base, limit, selector, attr };
}

static void descriptor(u8 *at, u32 base, u32 limit, u32 attr)
{
    u32 d[2] = { base << 16 | (limit & 0xffff),
                 (base & 0xff000000) | (base >> 16 & 0xff) | attr << 8 | (limit & 0xf0000) };

    memcpy(at, d, 8);
}

/*
 * Null, code, data, conforming code, user data, an expand-down one, one absent; TSS, user code and
 * data, the LDT, a call gate; for CPL 3: 64 KiB at DATA, read-only, with an odd limit, with a base,
 * execute-only, 16-bit code (for CPL 0, too), expand-down above DATA; a call gate of two words; the
 * second task's TSS.
 */
static void make_gdt(u8 *gdt, enum mode mode)
{
    u32 size = mode == PROT16 ? 0 : 0xc000, limit = mode == PROT16 ? 0xffff : 0xfffff;
    u32 code = mode == PROT16 ? CODE : 0, handler = handler_of(0x60);

    descriptor(gdt + KERNEL_CS, code, limit, 0x9b | size);
    descriptor(gdt + KERNEL_DS, mode == PROT16 ? DATA : 0, limit, 0x93 | size);
    descriptor(gdt + 0x18, code, limit, 0x9e | size);
    descriptor(gdt + 0x20, 0, limit, 0xf2 | size);
    descriptor(gdt + 0x28, DATA, 0x1000, 0x96);
    descriptor(gdt + 0x30, 0, limit, 0x12 | size);
    descriptor(gdt + TSS_SELECTOR, TSS, 0x68 + 0x2000, 0x8b);
    descriptor(gdt + (USER_CS & ~7), 0, limit, 0xfa | size);
    descriptor(gdt + (USER_DS & ~7), 0, limit, 0xf2 | size);
    descriptor(gdt + LDT_SELECTOR, LDT, LDT_SIZE - 1, 0x82);
    memcpy(gdt + GATE, (const u32[]){ KERNEL_CS << 16 | handler, 0xec00 }, 8);
    descriptor(gdt + (DATA_64K & ~7), DATA, 0xffff, 0xf3 | (size & 0x4000));
    descriptor(gdt + (DATA_RO & ~7), 0, limit, 0xf1 | size);
    descriptor(gdt + (DATA_LIMIT & ~7), DATA, 0x7ff7, 0xf2 | (size & 0x4000));
    descriptor(gdt + (DATA_BASE & ~7), 0x21000, limit, 0xf2 | size);
    descriptor(gdt + (CODE_XO & ~7), code, limit, 0xf8 | size);
    descriptor(gdt + CODE_16, CODE, 0xffff, 0x9a);
    descriptor(gdt + (CODE_16_USER & ~7), CODE, 0xffff, 0xfa);
    descriptor(gdt + (DATA_DOWN & ~7), 0, 0x1ffff >> (size ? 12 : 0), 0xf6 | size);
    memcpy(gdt + GATE2, (const u32[]){ KERNEL_CS << 16 | handler, 0xec02 }, 8);
}

/* A second task: where IRET with NT set goes back to, or a far branch goes on. */
static void make_task(u8 *ram, enum mode mode)
{
    bool user = mode == USER || (mode == PAE && pick(2)), nested = pick(2);
    u32 data = user ? USER_DS : KERNEL_DS, *regs = (u32 *)(ram + TSS2);

    descriptor(ram + GDT + TASK2, TSS2, 0x67, nested ? 0x8b : 0xe9);
    *(u16 *)(ram + TSS) = pick(2) ? TASK2 : 0;
    regs[1] = KERNEL_STACK;
    regs[2] = KERNEL_DS;
    regs[7] = mode_paged(mode) ? space_root(mode, pick(SPACES)) : 0;
    regs[8] = random_block(mode);
    regs[9] = FLAG_1 | (pick(2) ? FLAG_IF : 0) | (pick(8) ? 0 : FLAG_NT) | pick(4) << FLAG_IOPL_SHIFT;
    for (u32 i = 0; i < 8; i++)
        regs[10 + i] = i == ESP ? STACK + pick(STACK_BYTES / 4) * 4 : random_pointer(mode);
    for (u32 s = ES; s <= GS; s++)
        regs[18 + s] = s == CS ? (user ? USER_CS : KERNEL_CS) : data;
    regs[24] = LDT_SELECTOR;
    regs[25] = 0x68 << 16;
}

static void make_ldt(u8 *ldt)
{
    descriptor(ldt, DATA, 0xffff, 0x40f3);
    descriptor(ldt + 8, 0, 0xfffff, 0xc0f0); /* read-only */
}

/* Real mode's vectors and 16-bit protected mode's gates lead to 16-bit handlers, the others to 32-bit
 * ones; a few into the code. Gates 60 to 67 are open to CPL 3. */
static void make_idt(u8 *ram, enum mode mode)
{
    u32 *vectors = (u32 *)ram, type = mode == PROT16 ? 0x8600 : 0x8e00;

    for (u32 v = 0; v < 256; v++) {
        u32 to = pick(16) ? handler16_of(v) : pick(CODE_SIZE / 2), *gate = (u32 *)(ram + IDT + v * 8);
        bool straight = !pick(v >> 3 == 0x60 >> 3 ? 3 : 16); /* into the code */
        u32 offset = mode == PROT16 ? to : straight ? random_block(PROT32) : handler_of(v);

        if (v == EXC_PF && mode_paged(mode) && pick(4))
            offset = PAGE_FAULT;
        vectors[v] = (CODE >> 4) << 16 | to;
        if (mode == REAL)
            continue;
        gate[0] = KERNEL_CS << 16 | (offset & 0xffff);
        gate[1] = (offset & 0xffff0000) | type | (v >> 3 == 0x60 >> 3 ? 0x6000 : 0) |
                  (pick(8) ? 0 : 0x100);
    }
}

/* Data, of which the end is the stack: there, return addresses lead to code. */
static void make_data(u8 *ram, enum mode mode)
{
    memset(ram + KERNEL_STACK, 0xcc, TABLES - KERNEL_STACK); /* a way back to the code */
    for (u32 i = DATA; i < STACK; i += 4)
        *(u32 *)(ram + i) = random_register();
    for (u32 i = STACK; i < DATA + DATA_SIZE; i += 4) {
        u32 block = code_origin(mode) + pick(CODE_SIZE / BLOCK) * BLOCK;

        *(u32 *)(ram + i) = mode_flat(mode) ? block : block << 16 | block;
    }
    *(u32 *)(ram + MXCSR) = 0x1f80;
}

void make_memory(u8 *ram, enum mode mode)
{
    make_data(ram, mode);
    make_idt(ram, mode);
    make_gdt(ram + GDT, mode);
    make_ldt(ram + LDT);
    *(u32 *)(ram + TSS + 4) = KERNEL_STACK;
    *(u32 *)(ram + TSS + 8) = KERNEL_DS;
    *(u32 *)(ram + TSS + 100) = 0x68 << 16;
    if (mode_flat(mode))
        make_task(ram, mode);
    random_code(ram, mode);
    if (mode_paged(mode))
        make_spaces(ram, mode);
    if (hostile)
        hostile_memory(ram, mode);
}

/* ---- The CPU ---- */

static void set_segments(struct vcpu *c, enum mode mode)
{
    bool user = mode == USER || (mode == PAE && pick(2));
    u16 code = mode == PROT16 ? 0x9b : user ? 0xc0fb : 0xc09b;
    u16 data = mode == PROT16 ? 0x93 : user ? 0xc0f3 : 0xc093;

    for (u32 s = ES; s <= GS; s++) {
        if (mode == REAL || mode == V86)
            flat(&c->seg[s], pick(8) ? DATA >> 4 : CODE >> 4, 0, 0xffff,
                 mode == V86 ? 0xf3 : 0x93);
        else if (mode == PROT16)
            flat(&c->seg[s], KERNEL_DS, pick(8) ? 0x20000 : 0x18004,
                 pick(3) ? 0xffff : 0xc000 + pick(0x4000), data);
        else
            flat(&c->seg[s], user ? USER_DS : KERNEL_DS, s >= FS && pick(2) ? 0x21000 : 0, ~0u,
                 data);
        if (mode == REAL || mode == V86)
            c->seg[s].base = (u32)c->seg[s].selector << 4;
    }
    if (mode == REAL || mode == V86)
        flat(&c->seg[CS], CODE >> 4, CODE, 0xffff, mode == V86 ? 0xf3 : 0x93);
    else
        flat(&c->seg[CS], user ? USER_CS : KERNEL_CS, mode == PROT16 ? CODE : 0,
             mode == PROT16 ? 0xffff : ~0u, code);
    if (mode != REAL) {
        flat(&c->seg[TR], TSS_SELECTOR, TSS, 0x68 + 0x2000, 0x8b);
        flat(&c->seg[LDTR], LDT_SELECTOR, LDT, LDT_SIZE - 1, 0x82);
    }
    c->cpl = mode == V86 || user ? 3 : 0;
}

static void set_control(struct vcpu *c, enum mode mode)
{
    c->cr0 |= (pick(8) ? CR0_NE : 0) | (pick(8) ? CR0_MP : 0) | (pick(8) ? 0 : CR0_TS) |
              (pick(4) ? 0 : CR0_AM);
    c->cr4 = (pick(8) ? CR4_OSFXSR : 0) | (pick(4) ? CR4_OSXMMEXCPT : 0) | (pick(8) ? 0 : CR4_VME) |
             (pick(8) ? 0 : CR4_PVI);
    if (mode != REAL)
        c->cr0 |= CR0_PE;
    if (!mode_paged(mode))
        return;
    c->cr0 |= CR0_PG | (pick(2) ? CR0_WP : 0);
    c->cr4 |= (pick(4) ? CR4_PSE : 0) | (pick(2) ? CR4_PGE : 0) | (mode == PAE ? CR4_PAE : 0);
    c->efer = mode == PAE && pick(4) ? EFER_NXE : 0;
    c->cr3 = space_root(mode, 0);
}

void random_state(struct vcpu *c, enum mode mode)
{
    cpu_reset(c);
    for (u32 i = 0; i < 8; i++)
        c->gpr[i] = i == EBX || i >= EBP ? random_pointer(mode) : random_register();
    c->gpr[ESP] = (mode_flat(mode) ? STACK : STACK - DATA) + pick(STACK_BYTES / 4) * 4;
    if (!pick(4))
        c->gpr[pick(8)] = random_register();
    c->eflags = FLAG_1 | (rnd() & FLAGS_ARITH) | (pick(6) ? 0 : FLAG_DF);
    if (mode == V86)
        c->eflags |= FLAG_VM | (pick(4) ? FLAG_IOPL : 0);
    else
        c->eflags |= pick(4) << FLAG_IOPL_SHIFT;
    if (mode != REAL && !pick(16))
        c->eflags |= FLAG_NT;
    c->int_flag = (u8)pick(2);
    c->eip = random_block(mode);
    set_control(c, mode);
    set_segments(c, mode);
    fpu_random_state(&c->fpu);
    if (cpu_has(c, FEAT_XSAVE)) {
        c->cr4 |= pick(8) ? CR4_OSXSAVE : 0;
        c->xcr0 = pick(8) ? cpu_xcr0_supported(c) : pick(2) ? XCR0_X87 | XCR0_SSE : XCR0_X87;
        for (u32 i = 0; i < 8; i++)
            fpu_random_operand(c->ymm_high[i], 16);
    }
    if (pick(4)) /* most code runs with exceptions masked */
        c->fpu.fcw |= 0x3f, c->fpu.mxcsr |= 0x1f80, c->fpu.fsw &= 0x7f00;
    if (mode != REAL) {
        c->idtr = (struct table_register){ IDT, 0x7ff };
        c->gdtr = (struct table_register){ GDT, GDT_SIZE - 1 };
    }
    c->sysenter_cs = pick(8) ? KERNEL_CS : 0;
    c->sysenter_esp = KERNEL_STACK;
    c->sysenter_eip = pick(4) ? SYSENTER : handler_of(0x61);
}
