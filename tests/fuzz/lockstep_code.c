/*
 * The guest code of a round: blocks of random instructions and sequences, branches between
 * them, and the handlers of interrupts and exceptions, which lead back to a block.
 */
#include "tests/fuzz/lockstep_gen.h"

/* ---- Branches ---- */

/* A block near by: up to three ahead, sometimes behind; else anywhere. */
static u32 near_block(const struct gen *g, bool far)
{
    u32 next = (g->at + BLOCK) & ~(BLOCK - 1u), from = code_origin(g->mode), to;

    if (far)
        return random_block(g->mode);
    to = next + (pick(6) ? pick(3) : 0u - pick(4)) * BLOCK;
    return to - from < CODE_SIZE ? to : next;
}

/* rel8 or rel32 (rel16) behind an opcode */
static void relative(struct gen *g, u32 target, u32 size)
{
    gen_imm(g, target - (g->at + size), size);
}

static void branch_direct(struct gen *g)
{
    u8 cc = (u8)pick(16);

    switch (pick(12)) {
    case 0: /* jcc far away */
        GEN(g, 0x0f, (u8)(0x80 + cc));
        relative(g, near_block(g, true), gen_word(g));
        break;
    case 1:
        GEN(g, 0xe9);
        relative(g, near_block(g, true), gen_word(g));
        break;
    case 2:
    case 3:
        GEN(g, 0xe8);
        relative(g, near_block(g, true), gen_word(g));
        break;
    case 4:
        GEN(g, 0xeb);
        relative(g, near_block(g, false), 1);
        break;
    case 5: /* loopne, loope, loop, jecxz */
        GEN(g, (u8)(0xe0 + pick(4)));
        relative(g, near_block(g, false), 1);
        break;
    case 6: /* into the middle */
        GEN(g, (u8)(0x70 + cc), (u8)rnd());
        break;
    default:
        GEN(g, (u8)(0x70 + cc));
        relative(g, near_block(g, false), 1);
    }
}

static void branch_indirect(struct gen *g)
{
    u32 target = random_block(g->mode), at = random_pointer(g->mode);
    u8 how = pick(2) ? 4 : 2; /* jmp or call */

    if (pick(2)) {
        gen_mov(g, EAX, target);
        GEN(g, 0xff, (u8)(0xc0 | how << 3));
        return;
    }
    if (g->code32)
        GEN(g, 0xc7, 0x05);
    else
        GEN(g, 0xc7, 0x06);
    gen_imm(g, at, gen_word(g));
    gen_imm(g, target, gen_word(g));
    GEN(g, 0xff, (u8)(how << 3 | (g->code32 ? 5 : 6)));
    gen_imm(g, at, gen_word(g));
}

static void branch(struct gen *g)
{
    u32 kind = pick(16);

    if (kind < 10) {
        branch_direct(g);
    } else if (kind < 12) {
        branch_indirect(g);
    } else if (kind < 15) {
        GEN(g, 0xc3);
    } else {
        GEN(g, 0xc2);
        gen_imm(g, pick(8) * 4, 2);
    }
}

/* ---- Blocks ---- */

static void one(struct gen *g)
{
    u32 kind = pick(100), plain = mode_paged(g->mode) ? 72 : 82;

    if (kind < plain)
        gen_insn(g);
    else if (kind < plain + 6)
        branch(g);
    else if (hostile && pick(2))
        gen_hostile(g);
    else
        gen_sequence(g);
}

/* NOPs up to the next block, unless an instruction is to lie across the page's end. */
static void pad(struct gen *g, u32 n)
{
    static const u8 nop[] = { 0x0f, 0x1f, 0x40, 0x00 };

    for (; n >= sizeof(nop); n -= sizeof(nop))
        gen_put(g, nop, sizeof(nop));
    while (n--)
        GEN(g, 0x90);
}

static void fill(u8 *ram, enum mode mode)
{
    u8 piece[MAX_SEQUENCE + 64];
    struct gen g = { ram, code_origin(mode), mode, mode_flat(mode) };
    u32 end = g.at + CODE_SIZE - MAX_SEQUENCE - BLOCK;

    while (g.at < end) {
        struct gen try = { piece, g.at, mode, g.code32 };
        u32 left = BLOCK - g.at % BLOCK, n;

        one(&try);
        n = try.at - g.at;
        check(n <= MAX_SEQUENCE, "a sequence of %u bytes", n);
        if (n > left && n <= BLOCK && ((g.at + left) % PAGE_SIZE || pick(2))) {
            pad(&g, left); /* and something else instead: it knows where it lies */
            continue;
        }
        gen_put(&g, piece, n);
    }
}

/* ---- Handlers ---- */

/* With the error code dropped: the next block after EIP, wherever it is.
 * add dword [esp], 31;  and dword [esp], the code's size, in blocks;  [or dword [esp], CODE] */
static void resume(struct gen *g)
{
    GEN(g, 0x83, 0x04, 0x24, BLOCK - 1, 0x81, 0x24, 0x24);
    gen_imm(g, (CODE_SIZE - 1) & ~(BLOCK - 1u), 4);
    if (mode_flat(g->mode)) {
        GEN(g, 0x81, 0x0c, 0x24);
        gen_imm(g, CODE, 4);
    }
}

/* Whoever ran other code than the mode's runs that again: from virtual-8086 mode to CPL 0, else
 * CS.
 * test byte [esp+10], 2;  jz over;  and byte [esp+10], ~2;  mov dword [esp+4], KERNEL_CS;
 * over:
 * test byte [esp+4], 3;  mov byte [esp+4], USER_CS;  jnz over;  mov byte [esp+4], KERNEL_CS */
static void set_code_segment(struct gen *g)
{
    GEN(g, 0xf6, 0x44, 0x24, 0x0a, 2, 0x74, 13, 0x80, 0x64, 0x24, 0x0a, 0xfd, 0xc7, 0x44, 0x24,
        0x04);
    gen_imm(g, KERNEL_CS, 4);
    GEN(g, 0xf6, 0x44, 0x24, 0x04, 3, 0xc6, 0x44, 0x24, 0x04, USER_CS, 0x75, 5, 0xc6, 0x44,
        0x24, 0x04, KERNEL_CS);
}

/* Loops by way of a handler are compared as they go, not broken off by the clock: out
 * STOP_PORT, al */
static void stop(struct gen *g)
{
    if (pick(8))
        GEN(g, 0xe6, STOP_PORT);
}

/* Takes away what the FPU complains of. False: nothing known. */
static bool cure_fpu(struct gen *g, u32 vector)
{
    if (vector == EXC_NM)
        GEN(g, 0x0f, 0x06);
    else if (vector == EXC_MF)
        GEN(g, 0xdb, 0xe2);
    else if (vector == EXC_XM && g->code32) { /* ldmxcsr */
        GEN(g, 0x0f, 0xae, 0x15);
        gen_imm(g, MXCSR, 4);
    } else
        return false;
    return pick(4);
}

static void own_business(struct gen *g)
{
    if (mode_paged(g->mode) && pick(2))
        (pick(2) ? gen_switch_space : gen_write_table)(g);
    else
        gen_flip_flag(g);
}

/* Of the protected modes with 32-bit gates: error code dropped, segments and pointers sometimes
 * put right, back to the next block; traps just return. */
static void make_handler(u8 *p, u32 vector, enum mode mode)
{
    bool error = (vector >= 10 && vector <= 14) || vector == 8 || vector == 17;
    struct gen g = { p, handler_of(vector), mode, true };
    u8 data = pick(4) ? 0x23 : USER_DS;

    stop(&g);
    if (cure_fpu(&g, vector) || vector >= 32) {
        if (!pick(4))
            own_business(&g);
        if (pick(2))
            gen_change_return(&g);
        GEN(&g, 0xcf);
        return;
    }
    if (error)
        GEN(&g, 0x83, 0xc4, 0x04);
    if (vector == EXC_DB) {
        GEN(&g, 0x81, 0x64, 0x24, 0x08); /* and dword [esp+8], ~TF */
        gen_imm(&g, pick(4) ? ~(u32)FLAG_TF : ~0u, 4);
        GEN(&g, 0xcf);
        return;
    }
    if (error || pick(2)) /* ds, es; mostly not by the user's stack selector */
        GEN(&g, 0x6a, data, 0x1f, 0x6a, data, 0x07);
    if (vector >= EXC_SS && vector <= EXC_PF && mode != V86 && pick(2)) {
        /* mov dword [esp+12], the stack: another privilege's */
        GEN(&g, 0xc7, 0x44, 0x24, 0x0c);
        gen_imm(&g, STACK + pick(STACK_BYTES / 4) * 4, 4);
    }
    if (!pick(6))
        own_business(&g);
    else if (!pick(3))
        gen_change_return(&g);
    if (mode != V86)
        set_code_segment(&g);
    if (g.p - p < HANDLER_SIZE - 49)
        for (u32 i = 1 + pick(4); i--;)
            gen_mov(&g, ONE_OF(gen_pointers), random_pointer(mode));
    resume(&g);
    if (pick(4))
        GEN(&g, 0x80, 0x64, 0x24, 0x0a, 0xfe); /* and byte [esp+10], ~RF: which faults set */
    GEN(&g, 0xcf);
    check(g.p - p <= HANDLER_SIZE, "a handler of %u bytes", (u32)(g.p - p));
}

/*
 * Demand paging: a page of the tables is made present, writable, the user's, in both tables,
 * and the instruction runs again; every eighth time, and elsewhere, it is the other handler's.
 */
static void make_page_fault(u8 *p, enum mode mode)
{
    u8 sib = mode == PAE ? 0xc5 : 0x85;
    struct gen g = { p, PAGE_FAULT, mode, true };

    GEN(&g, 0x50, 0x0f, 0x20, 0xd0, 0xc1, 0xe8, 12); /* push eax;  mov eax, cr2;  shr eax, 12 */
    GEN(&g, 0x3d, 0xff, 0x01, 0, 0, 0x77, 44);       /* cmp eax, 511;  ja out */
    GEN(&g, 0x36, 0xfe, 0x05);                       /* inc byte ss:[counter] */
    gen_imm(&g, COUNTER, 4);
    GEN(&g, 0x36, 0xf6, 0x05); /* test byte ss:[counter], 7 */
    gen_imm(&g, COUNTER, 4);
    GEN(&g, 7, 0x74, 27); /* jz out */
    for (u32 n = 0; n < 2; n++) {
        GEN(&g, 0x36, 0x83, 0x0c, sib); /* or dword ss:[eax*4+table], 7 */
        gen_imm(&g, TABLES + (2 * n + 1) * PAGE_SIZE, 4);
        GEN(&g, 7);
    }
    /* pop eax;  add esp, 4;  iret */
    GEN(&g, 0x90, 0x90, 0x90, 0x90, 0x58, 0x83, 0xc4, 0x04, 0xcf);
    GEN(&g, 0x58, 0xe9); /* out: pop eax;  jmp the other handler */
    gen_imm(&g, handler_of(EXC_PF) - (g.at + 4), 4);
}

/* What SYSENTER's sequences enter, with ECX and EDX for the way back. */
static void make_sysenter(u8 *p, enum mode mode)
{
    struct gen g = { p, SYSENTER, mode, true };

    GEN(&g, 0x50, 0x9c, 0x9d, 0x58); /* push eax;  pushf;  popf;  pop eax */
    if (pick(2))
        GEN(&g, 0xfb); /* sti */
    GEN(&g, 0x0f, 0x35);
}

/* Of real mode's vectors and of 16-bit gates. [mov ax, selector;  mov ds, ax;  mov es, ax]
 * [add sp, 2];  push bp;  mov bp, sp;  add word [bp+2], 31;  and word [bp+2], blocks;  pop bp;
 * iret */
static void make_handler16(u8 *p, u32 vector, enum mode mode)
{
    bool error =
        mode == PROT16 && ((vector >= 10 && vector <= 14) || vector == 8 || vector == 17);
    u16 mask = (CODE_SIZE - 1) & ~(BLOCK - 1), data = mode == PROT16 ? KERNEL_DS : DATA >> 4;
    struct gen g = { p, 0, mode, false };

    stop(&g);
    if (error || !pick(2))
        GEN(&g, 0xb8, (u8)data, (u8)(data >> 8), 0x8e, 0xd8, 0x8e, 0xc0);
    if (cure_fpu(&g, vector) || vector >= 32) {
        GEN(&g, 0xcf);
        return;
    }
    if (error)
        GEN(&g, 0x83, 0xc4, 0x02);
    GEN(&g, 0x55, 0x89, 0xe5);
    if (vector == EXC_DB)
        GEN(&g, 0x81, 0x66, 0x06, 0xff, (u8)(pick(4) ? 0xfe : 0xff));
    else
        GEN(&g, 0x83, 0x46, 0x02, BLOCK - 1, 0x81, 0x66, 0x02, (u8)mask, (u8)(mask >> 8));
    GEN(&g, 0x5d, 0xcf);
}

void random_code(u8 *ram, enum mode mode)
{
    fill(ram + CODE, mode);
    if (mode_paged(mode))
        fill(ram + CODE2, mode);
    make_page_fault(ram + PAGE_FAULT, mode);
    make_sysenter(ram + SYSENTER, mode);
    for (u32 v = 0; v < 0x80; v++) {
        make_handler(ram + handler_of(v), v, mode);
        make_handler16(ram + CODE + handler16_of(v), v, mode);
    }
}
