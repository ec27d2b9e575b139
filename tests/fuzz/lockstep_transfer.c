/*
 * Transfers of control that change CS: interrupts, IRET, far branches, SYSENTER and SYSEXIT;
 * and what a handler does that its IRET has to notice.
 */
#include "tests/fuzz/lockstep_gen.h"

/* pushf;  or byte [esp+1], NT;  popf */
static void set_nt(struct gen *g)
{
    GEN(g, 0x9c, 0x80, 0x4c, 0x24, 0x01, FLAG_NT >> 8, 0x9d);
}

/* xor byte [esp], CF or ZF;  or [esp+1], IF, OF, DF, a bit of IOPL, NT */
static void flip_pushed_flag(struct gen *g)
{
    static const u8 low[] = {FLAG_CF, FLAG_ZF},
                    high[] = {FLAG_IF >> 8, FLAG_IF >> 8, FLAG_OF >> 8, FLAG_DF >> 8,
                              0x10,         0x20,         FLAG_NT >> 8};
    u8 at = pick(4) != 0;

    if (!g->code32)
        GEN(g, 0x67);
    GEN(g, 0x80, 0x74, 0x24, at, at ? ONE_OF(high) : ONE_OF(low));
}

/* pushf;  push cs;  push next;  iret, a few in a row, for the later ones may go the way of the
 * first: but not with NT set, or with other flags. */
static void iret_to_next(struct gen *g)
{
    for (u32 i = 0, n = 1 + pick(4); i < n; i++) {
        if (g->code32 && !pick(6))
            set_nt(g);
        GEN(g, 0x9c);
        if (!pick(3))
            flip_pushed_flag(g);
        GEN(g, 0x0e);
        gen_push(g, g->at + 2 + gen_word(g));
        GEN(g, 0xcf);
    }
}

/* push ss;  push esp;  pushf;  push cs;  push next;  iret: to CPL 3 (from there, to the
 * same) */
static void iret_to_user(struct gen *g)
{
    if (!pick(4)) /* a segment register that may not keep its selector */
        gen_load_segment(g, pick(2) ? FS : GS, KERNEL_DS);
    gen_push(g, USER_DS);
    gen_push(g, STACK + pick(STACK_BYTES / 4) * 4);
    GEN(g, 0x9c);
    gen_push(g, USER_CS);
    gen_push(g, g->at + 2 + gen_word(g));
    GEN(g, 0xcf);
}

/* The nine words of a frame of virtual-8086 mode. */
static void iret_to_v86(struct gen *g)
{
    for (u32 i = 0; i < 4; i++)
        gen_push(g, DATA >> 4);
    gen_push(g, DATA >> 4);
    gen_push(g, 0xf000);
    gen_push(g, FLAG_VM | FLAG_1 | (pick(3) ? FLAG_IOPL : 0));
    gen_push(g, CODE >> 4);
    gen_push(g, pick(CODE_SIZE / BLOCK) * BLOCK);
    GEN(g, 0xcf);
}

/* mov edx, next;  mov ecx, stack;  sysexit, or sysenter, which comes back by it */
static void fast_call(struct gen *g)
{
    gen_mov(g, EDX, g->at + 12);
    gen_mov(g, ECX, STACK + pick(STACK_BYTES / 4) * 4);
    GEN(g, 0x0f, (u8)(pick(3) ? 0x34 : 0x35));
}

/* CS:EIP for a far transfer: mostly the code's own, sometimes 16-bit code, a gate, a TSS,
 * anything. */
static void far_target(struct gen *g, u32 *off, u16 *selector)
{
    static const u16 others[] = { CODE_16, CODE_16_USER, 0x18, 0x1b, GATE | 3, GATE2 | 3, 0x38,
                                  CODE_XO, TASK2 | 3, TASK2 | 3 };

    *off = random_block(g->mode);
    *selector = gen_good_code(g);
    if (!gen_real_like(g) && !pick(4)) {
        *selector = ONE_OF(others);
        if (*selector == CODE_16 || *selector == CODE_16_USER)
            *off -= code_origin(g->mode);
    }
}

static void far_transfer(struct gen *g)
{
    u32 at = random_pointer(g->mode), off;
    u16 selector;

    far_target(g, &off, &selector);
    switch (pick(4)) {
    case 0: /* jmp or call off:selector */
        GEN(g, (u8)(pick(2) ? 0xea : 0x9a));
        gen_imm(g, off, gen_word(g));
        gen_imm(g, selector, 2);
        break;
    case 1: /* by memory */
        gen_store(g, at, off, gen_word(g));
        gen_store(g, at + gen_word(g), selector, 2);
        GEN(g, 0xff);
        gen_memory_op(g, pick(2) ? 5 : 3, at);
        break;
    case 2: /* push selector;  push off;  retf */
        gen_push(g, selector);
        gen_push(g, off);
        GEN(g, 0xcb);
        break;
    default: /* push cs;  call next;  next: add esp, word;  push next2;  retf */
        GEN(g, 0x0e, 0xe8);
        gen_imm(g, 0, gen_word(g));
        GEN(g, 0x83, 0xc4, (u8)gen_word(g));
        gen_push(g, g->at + 2 + gen_word(g));
        GEN(g, 0xcb);
    }
}

static void interrupt(struct gen *g)
{
    u32 vector = pick(8) ? 0x60 + pick(8) : rnd();

    switch (pick(8)) {
    case 0:
        GEN(g, 0xcc);
        break;
    case 1:
        GEN(g, 0xce);
        break;
    case 2: /* mov ecx, n;  again: int vector;  loop again */
    case 3:
        gen_mov(g, ECX, 2 + pick(5));
        GEN(g, 0xcd, (u8)vector, 0xe2, 0xfc);
        break;
    default:
        GEN(g, 0xcd, (u8)vector);
    }
}

/* What a transfer finds: a gate's handler, ESP0 of the TSS. */
static void change_way(struct gen *g)
{
    if (pick(3))
        gen_store(g, IDT + (0x60 + pick(8)) * 8, handler_of(0x60 + pick(8)), 2);
    else
        gen_store(g, TSS + 4, KERNEL_STACK - pick(64) * 4, 4);
}

void gen_transfer(struct gen *g)
{
    u32 kind = pick(g->code32 ? 15 : 5);

    if (kind < 2 || kind == 14)
        interrupt(g);
    else if (kind == 2)
        iret_to_next(g);
    else if (kind < 6)
        far_transfer(g);
    else if (kind < 8)
        iret_to_user(g);
    else if (kind == 8)
        iret_to_v86(g);
    else if (kind < 12)
        fast_call(g);
    else
        change_way(g);
}

/* ---- Returns from handlers ---- */

/* Over the next bytes every other time.
 * inc byte ss:[counter];  test byte ss:[counter], 1;  jz over */
static void every_other_time(struct gen *g, u32 bytes)
{
    GEN(g, 0x36, 0xfe, 0x05);
    gen_imm(g, RETURNS, 4);
    GEN(g, 0x36, 0xf6, 0x05);
    gen_imm(g, RETURNS, 4);
    GEN(g, 1, 0x74, (u8)bytes);
}

/* The frame's flags: bits that the way back depends on, or that it must not change. */
static void change_flags(struct gen *g)
{
    static const u32 bits[] = { 1u << FLAG_IOPL_SHIFT, FLAG_IOPL, FLAG_IOPL, FLAG_DF, FLAG_AC, FLAG_ID,
                                FLAG_NT, FLAG_IF, FLAG_ZF };

    GEN(g, 0x81, 0x74, 0x24, 0x08); /* xor dword [esp+8], a bit */
    gen_imm(g, ONE_OF(bits), 4);
}

/* Another selector of the same privilege in the frame, if it is the user's.
 * test byte [esp+4], 3;  jz over;  xor byte [esp+4 or 16], the difference */
static void change_selector(struct gen *g)
{
    bool code = pick(4);

    GEN(g, 0xf6, 0x44, 0x24, 0x04, 3, 0x74, 5, 0x80, 0x74, 0x24, (u8)(code ? 4 : 16),
        (u8)(code ? USER_CS ^ CODE_XO : USER_DS ^ 0x23));
}

/* One change of at most 12 bytes. */
static void change(struct gen *g)
{
    static const u8 pops[] = { 0x07, 0x1f, 0xa1, 0xa9, 0xa1, 0xa9 };
    static const u8 selectors[] = {
        KERNEL_DS, KERNEL_DS, KERNEL_DS, KERNEL_DS, USER_DS, 0x18, 0
    };
    static const u8 both[] = { FLAG_NT >> 8, FLAG_NT >> 8, FLAG_IOPL >> 8, FLAG_IOPL >> 8,
                               FLAG_DF >> 8 };
    u8 pop = ONE_OF(pops), bits = ONE_OF(both);

    switch (pick(g->mode == V86 ? 4 : 7)) {
    case 0:
        change_flags(g);
        break;
    case 1: /* of the frame and of the handler: xor byte [esp+9], a bit;  pushf;  the same;  popf */
        GEN(g, 0x80, 0x74, 0x24, 0x09, bits, 0x9c, 0x80, 0x74, 0x24, 0x01, bits, 0x9d);
        break;
    case 2:
    case 3: /* push selector;  pop es, ds, fs or gs: the user may not keep all of them */
        GEN(g, 0x6a, ONE_OF(selectors));
        if (pop > 0x80)
            GEN(g, 0x0f);
        GEN(g, pop);
        break;
    case 4: /* mov byte [esp+4], the kernel's code: on with the stack it has now */
        GEN(g, 0xc6, 0x44, 0x24, 0x04, KERNEL_CS);
        break;
    default:
        change_selector(g);
    }
}

void gen_change_return(struct gen *g)
{
    u8 piece[16];
    struct gen try = { piece, 0, g->mode, true };

    change(&try);
    every_other_time(g, try.at);
    gen_put(g, piece, try.at);
}
