/*
 * Short sequences that do something to what the translator relies on: segments, control
 * registers, flags, the code itself; with operands set up so that most of them succeed.
 * Transfers and page tables have files of their own.
 */
#include "tests/fuzz/lockstep_gen.h"

bool gen_real_like(const struct gen *g)
{
    return g->mode == REAL || g->mode == V86;
}

/* What the code's own privilege can run with; PAE's code runs at either. */
static bool at_user(const struct gen *g)
{
    return g->mode == USER || (g->mode == PAE && pick(2));
}

static u16 good_data(const struct gen *g)
{
    return gen_real_like(g) ? DATA >> 4 : at_user(g) ? USER_DS : KERNEL_DS;
}

u16 gen_good_code(const struct gen *g)
{
    return gen_real_like(g) ? CODE >> 4 : at_user(g) ? USER_CS : KERNEL_CS;
}

void gen_push(struct gen *g, u32 val)
{
    GEN(g, 0x68);
    gen_imm(g, val, gen_word(g));
}

void gen_store(struct gen *g, u32 at, u32 val, u32 size)
{
    if (size < gen_word(g))
        GEN(g, 0x66);
    if (g->code32)
        GEN(g, 0xc7, 0x05);
    else
        GEN(g, 0xc7, 0x06);
    gen_imm(g, at, gen_word(g));
    gen_imm(g, val, size);
}

void gen_memory_op(struct gen *g, u8 reg, u32 at)
{
    GEN(g, (u8)(reg << 3 | (g->code32 ? 5 : 6)));
    gen_imm(g, at, gen_word(g));
}

/* ---- Segments ---- */

static u16 some_selector(const struct gen *g)
{
    static const u16 data[] = {
        0,       KERNEL_DS,  USER_DS,    0x20,      0x23,      DATA_64K, DATA_64K,
        DATA_RO, DATA_LIMIT, DATA_LIMIT, DATA_BASE, DATA_BASE, 0x28,     0x30,
        USER_CS, CODE_XO,    DATA_DOWN,  LDT_DATA,  LDT_DATA,  0x38,     0x0c,
    };

    if (gen_real_like(g))
        return (u16)(pick(8) ? (DATA >> 4) + pick(0x400) : rnd());
    return pick(32) ? ONE_OF(data) : (u16)pick(GDT_SIZE + 16);
}

/* The last byte within reach, or the first; 0: nowhere special. */
static u32 edge_of(u16 selector)
{
    switch (selector) {
    case DATA_64K:
    case LDT_DATA:
        return 0xffff;
    case DATA_LIMIT:
        return 0x7ff7;
    case DATA_DOWN:
        return 0x20000;
    default:
        return 0;
    }
}

/* A load or store through the segment: op prefix:[pointer or address], often at its edge. */
static void use_segment(struct gen *g, enum seg seg, u32 edge)
{
    static const u8 prefix[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
    static const u8 op[] = { 0x8b, 0x89, 0x03, 0x01, 0x8a, 0x88, 0x33, 0x87, 0x39 };

    if (!pick(6))
        GEN(g, 0x66);
    GEN(g, prefix[seg], ONE_OF(op));
    if (edge && pick(2))
        gen_memory_op(g, (u8)pick(3), edge + 2 - pick(6));
    else if (!pick(3) && g->code32)
        GEN(g, (u8)(0x43 | pick(3) << 3), (u8)(rnd() & 0x7c)); /* [ebx + 8 bits] */
    else
        gen_memory_op(g, (u8)pick(3), pick(DATA_SIZE) & (pick(4) ? ~3u : ~0u));
}

/* mov, pop, or a far pointer's load */
void gen_load_segment(struct gen *g, enum seg seg, u16 selector)
{
    static const u8 pops[] = { 0x07, 0, 0x17, 0x1f },
                    pointers[] = { 0xc4, 0, 0xb2, 0xc5, 0xb4, 0xb5 };
    u32 at = random_pointer(g->mode), how = pick(4);

    if (how == 0) {
        gen_mov(g, EAX, selector);
        GEN(g, 0x8e, (u8)(0xc0 | seg << 3));
    } else if (how == 1) {
        gen_push(g, selector);
        if (seg >= FS)
            GEN(g, 0x0f, (u8)(seg == FS ? 0xa1 : 0xa9));
        else
            GEN(g, pops[seg]);
    } else if (how == 2) {
        gen_store(g, at, selector, 2);
        GEN(g, 0x8e);
        gen_memory_op(g, (u8)seg, at);
    } else {
        gen_store(g, at + gen_word(g), selector, 2);
        if (seg == SS || seg >= FS)
            GEN(g, 0x0f);
        GEN(g, pointers[seg]);
        gen_memory_op(g, (u8)pick(3), at);
    }
}

/* xor dword [a descriptor], bits of its base, limit, type or rights */
static void change_descriptor(struct gen *g, u16 selector)
{
    u32 at = (selector & 4 ? LDT : GDT) + (selector & ~7u), high = pick(4) ? 4 : 0;

    GEN(g, 0x81, 0x35);
    gen_imm(g, at + high, 4);
    gen_imm(g, high ? 1u << ONE_OF(((const u8[]){ 8, 9, 9, 10, 13, 14, 15, 16, 19, 22, 23 }))
                    : 1u << pick(32), 4);
}

static void segments(struct gen *g)
{
    static const u8 often[] = { ES, FS, GS, FS, GS, ES, FS, GS, DS, SS };
    enum seg seg = ONE_OF(often);
    u16 selector = some_selector(g);

    if (g->code32 && selector > USER_DS && !pick(4))
        change_descriptor(g, selector);
    gen_load_segment(g, seg, selector);
    for (u32 i = pick(3); i--;)
        use_segment(g, seg, edge_of(selector));
    if (seg == DS || seg == SS)
        gen_load_segment(g, seg, good_data(g));
}

/* LAR, LSL, VERR, VERW of one selector several times, its descriptor changed in between now and
 * then: mov edi, selector;  mov cx, n;  again: lar edx, di; …;  [xor a descriptor];  loop again */
static void look_at_descriptors(struct gen *g)
{
    u16 selector = some_selector(g);
    u32 again, at = random_pointer(g->mode);

    gen_mov(g, EDI, selector);
    gen_store(g, at, selector, 2);
    gen_mov(g, ECX, 2 + pick(4));
    again = g->at;
    for (u32 i = 2 + pick(3); i--;) {
        u32 how = pick(8);

        if (!pick(3))
            GEN(g, 0x66);
        GEN(g, 0x0f, (u8)(how < 3 ? 2 : how < 6 ? 3 : 0));
        if (pick(3))
            GEN(g, (u8)(how < 6 ? 0xd7 : how == 6 ? 0xe7 : 0xef)); /* edx, di; of di */
        else
            gen_memory_op(g, (u8)(how < 6 ? EDX : how == 6 ? 4 : 5), at);
    }
    if (g->code32 && !pick(3))
        change_descriptor(g, selector);
    GEN(g, 0xe2, (u8)(again - g->at - 2));
}

/* ---- Control registers, ports, flags ---- */

/* mov eax, crN;  xor eax, one bit;  mov crN, eax */
static void flip_control(struct gen *g)
{
    static const u32 cr0[] = { CR0_WP, CR0_TS, CR0_EM, CR0_MP, CR0_AM, CR0_NE, CR0_TS, 0 },
                     cr4[] = { CR4_PGE, CR4_TSD, CR4_DE, CR4_PSE, CR4_OSFXSR, CR4_OSXMMEXCPT,
                               CR4_VME, CR4_PVI };
    bool four = pick(2);
    u8 reg = (u8)(four ? 0xe0 : 0xc0);

    GEN(g, 0x0f, 0x20, reg);
    if (!g->code32)
        GEN(g, 0x66);
    GEN(g, 0x35);
    gen_imm(g, four ? ONE_OF(cr4) : ONE_OF(cr0), 4);
    GEN(g, 0x0f, 0x22, reg);
}

/* mov eax, cr0;  xor al, 1;  mov cr0, eax */
static void flip_pe(struct gen *g)
{
    GEN(g, 0x0f, 0x20, 0xc0, 0x34, 0x01, 0x0f, 0x22, 0xc0);
}

/* To the other mode and back several times, in which a segment is loaded and used: mov cx, n;
 * again: PE;  …;  PE;  loop again */
static void change_mode(struct gen *g)
{
    enum seg seg = pick(2) ? FS : GS;
    u16 selector = some_selector(g);
    u32 again;

    gen_mov(g, ECX, 2 + pick(4));
    again = g->at;
    flip_pe(g);
    if (pick(2))
        gen_load_segment(g, seg, selector);
    if (pick(2))
        use_segment(g, seg, edge_of(selector));
    flip_pe(g);
    if (!pick(3))
        gen_load_segment(g, seg, some_selector(g));
    if (g->at - again < 126)
        GEN(g, 0xe2, (u8)(again - g->at - 2));
}

/* Those of SYSENTER. */
static void msr(struct gen *g)
{
    const u32 values[3] = { pick(4) ? KERNEL_CS : 0, KERNEL_STACK - pick(64) * 4,
                            pick(3) ? SYSENTER : handler_of(0x60 + pick(8)) };
    u32 n = pick(3);

    gen_mov(g, ECX, 0x174 + n);
    if (pick(2)) {
        GEN(g, 0x0f, 0x32);
        return;
    }
    gen_mov(g, EAX, values[n]);
    GEN(g, 0x99, 0x0f, 0x30);
}

static void control(struct gen *g)
{
    if (!mode_paged(g->mode) && !pick(3)) {
        change_mode(g);
        return;
    }
    switch (pick(g->mode == REAL || g->mode == V86 ? 4 : 7)) {
    case 0:
        GEN(g, 0x0f, 0x06); /* clts */
        break;
    case 1: /* smsw ax;  xor al, bits;  lmsw ax */
        GEN(g, 0x0f, 0x01, 0xe0, 0x34, (u8)(pick(8) << 1), 0x0f, 0x01, 0xf0);
        break;
    case 2: /* mov ecx, an MSR;  rdmsr;  or mov eax, a value of it;  cdq;  wrmsr */
        msr(g);
        break;
    case 3: /* cpuid */
        gen_mov(g, EAX, pick(3));
        GEN(g, 0x0f, 0xa2);
        break;
    default:
        flip_control(g);
    }
}

/* in, out, ins, outs: the stopper, the interrupt controller, nobody */
static void port(struct gen *g)
{
    static const u16 ports[] = { STOP_PORT, STOP_PORT, 0x20, 0x21, 0xa0, 0xa1, 0xed, 0x3fc };
    static const u8 by_dx[] = { 0xec, 0xed, 0xee, 0xef, 0xec, 0xee, 0x6c, 0x6d, 0x6e, 0x6f };
    u16 number = ONE_OF(ports);

    if (pick(2) && number < 0x100) {
        GEN(g, (u8)(0xe4 + pick(4)), (u8)number);
        return;
    }
    gen_mov(g, EDX, number);
    GEN(g, ONE_OF(by_dx));
}

/* pushf;  xor the pushed flags with one bit;  popf */
void gen_flip_flag(struct gen *g)
{
    static const u32 bits[] = { FLAG_IF, FLAG_DF, 1u << 12, 2u << 12, FLAG_NT, FLAG_AC, FLAG_ID,
                                FLAG_CF, FLAG_ZF, FLAG_IF, FLAG_TF };
    u32 bit = bits[pick(ARRAY_SIZE(bits) - (pick(8) != 0))];

    if (g->code32) {
        GEN(g, 0x9c, 0x81, 0x34, 0x24);
        gen_imm(g, bit, 4);
        GEN(g, 0x9d);
    } else { /* push bp; mov bp, sp; xor word [bp+2], bit; pop bp; popf */
        GEN(g, 0x9c, 0x55, 0x89, 0xe5, 0x81, 0x76, 0x02, (u8)bit, (u8)(bit >> 8), 0x5d, 0x9d);
    }
}

/* The shadow of STI, of a load of SS, of POPF; an instruction in it. */
static void shadow(struct gen *g)
{
    switch (pick(5)) {
    case 0:
    case 1:
        GEN(g, 0xfb);
        break;
    case 2: /* push ss;  pop ss */
        GEN(g, 0x16, 0x17);
        break;
    case 3: /* mov ax, ss;  mov ss, ax */
        GEN(g, 0x8c, 0xd0, 0x8e, 0xd0);
        break;
    default:
        GEN(g, (u8)(pick(2) ? 0xfa : 0x9c), (u8)(pick(4) ? 0xfb : 0x90), 0x9d);
        return;
    }
    gen_insn(g);
}

/* ---- Data ---- */

/* A few bytes by REP, often overlapping: mov ecx;  mov esi;  mov edi;  [std]  rep;  cld */
static void short_string(struct gen *g)
{
    static const u8 op[] = { 0xa4, 0xa5, 0xaa, 0xab, 0xa4, 0xa5, 0xaa,
                             0xab, 0xa6, 0xa7, 0xae, 0xaf, 0xac };
    u32 from = random_pointer(g->mode);
    bool down = !pick(4);

    gen_mov(g, ECX, pick(pick(8) ? 24 : 2000));
    gen_mov(g, ESI, from);
    gen_mov(g, EDI, pick(3) ? from + pick(33) - 16 : random_pointer(g->mode));
    if (down)
        GEN(g, 0xfd);
    if (!pick(8))
        GEN(g, (u8)(pick(2) ? 0x66 : 0x67));
    GEN(g, (u8)(0xf2 + !!pick(3)), ONE_OF(op));
    if (down)
        GEN(g, 0xfc);
}

/* mov eax, within some KiB of bits;  bt/bts/btr/btc [pointer], eax */
static void bit_string(struct gen *g)
{
    static const u8 op[] = { 0xa3, 0xab, 0xb3, 0xbb };

    gen_mov(g, EAX, (pick(2) ? pick(0x8000) : 0u - pick(0x8000)));
    if (!pick(4))
        GEN(g, 0xf0);
    if (!pick(3))
        GEN(g, 0x66);
    GEN(g, 0x0f, ONE_OF(op));
    gen_memory_op(g, EAX, random_pointer(g->mode));
}

/* Dividends and divisors near the edge: cdq;  mov ecx, n;  div or idiv */
static void divide(struct gen *g)
{
    static const u32 divisors[] = { 0, 1, 2, ~0u, 3, 0x80000000, 0x7f, 0xff, 0x8000, 0x100 };

    if (pick(3))
        gen_mov(g, EAX, pick(2) ? rnd() : 0x80008000u);
    if (pick(4))
        GEN(g, 0x99);
    gen_mov(g, ECX, ONE_OF(divisors));
    GEN(g, (u8)(0xf6 + pick(2)), (u8)(0xf1 + pick(2) * 8 + pick(2) * 4));
}

/* A store into the code just ahead, or a little behind. */
static void modify_code(struct gen *g)
{
    static const u8 new_code[] = { 0x40, 0x41, 0x90, 0xf9, 0xf8, 0x98,
                                   0x99, 0xcc, 0x05, 0x3c, 0xeb, 0x74 };
    bool again = mode_paged(g->mode) && !pick(4);
    u32 to = g->at + 8 + pick(24) - (pick(8) ? 0 : 32) + (again ? 0x400000 : 0), size = pick(3);
    u8 bytes[4];

    if (size == 1 && g->code32)
        GEN(g, 0x66);
    if (!g->code32)
        GEN(g, (u8)(g->mode == PROT16 ? 0x36 : 0x2e));
    GEN(g, (u8)(size ? 0xc7 : 0xc6));
    gen_memory_op(g, 0, to);
    for (u32 i = 0; i < 4; i++)
        bytes[i] = ONE_OF(new_code);
    gen_put(g, bytes, size == 0 ? 1 : size == 1 || !g->code32 ? 2 : 4);
}

/*
 * Along a page's end: the next page is another one elsewhere, or none, so that what crosses it
 * shows.
 *     mov bx, short of the end;  mov cx, n;  again: op [bx + disp];  [paddb xmm1, xmm0];  add
 *     bx, step;
 *     loop again
 */
static void page_edge(struct gen *g)
{
    static const struct edge_op {
        u8 bytes[3], len, reg, sum; /* sum: it loads XMM0 */
    } ops[] = {
        { { 0x0f, 0x10 }, 2, 0, 1 }, { { 0x0f, 0x11 }, 2, 2, 0 },
        { { 0xf3, 0x0f, 0x6f }, 3, 0, 1 }, { { 0xf3, 0x0f, 0x7f }, 3, 2, 0 },
        { { 0x66, 0x0f, 0x10 }, 3, 0, 1 }, { { 0x66, 0x0f, 0x11 }, 3, 2, 0 },
        { { 0xf3, 0x0f, 0x7e }, 3, 0, 1 }, { { 0x66, 0x0f, 0xd6 }, 3, 2, 0 }, /* movq */
        { { 0x0f, 0x12 }, 2, 0, 1 }, { { 0x0f, 0x13 }, 2, 2, 0 }, /* movlps */
        { { 0xdf }, 1, 5, 0 }, { { 0xdd }, 1, 3, 0 }, { { 0xdb }, 1, 7, 0 }, /* fild, fstp */
        { { 0x03 }, 1, EDX, 0 }, { { 0x11 }, 1, EDX, 0 },
    };
    const struct edge_op *op = &ONE_OF(ops);
    u32 disp = pick(3) ? 0 : pick(16) * 4, turns = 4 + pick(13);
    u32 edge = random_pointer(g->mode) | PAGE_MASK, again;

    gen_mov(g, EBX, edge - disp - pick(24));
    gen_mov(g, ECX, turns);
    again = g->at;
    gen_put(g, op->bytes, op->len);
    GEN(g, (u8)(0x40 | op->reg << 3 | (g->code32 ? 3 : 7)), (u8)disp);
    if (op->sum)
        GEN(g, 0x66, 0x0f, 0xfc, 0xc8);
    GEN(g, 0x83, 0xc3, (u8)(pick(3) ? 1 : pick(32) - 8));
    GEN(g, 0xe2, (u8)(again - g->at - 2));
}

/*
 * An instruction that is overwritten turn by turn, with one of two to sixteen others:
 *     mov bx, pointer;  mov cx, n
 *     again: mov al, cl;  and al, mask;  xor [site], al;  site: op …;  nop;  loop again
 */
static void patched_loop(struct gen *g)
{
    static const struct {
        u8 bytes[2], len, at, mask, memory;
    } ops[] = {
        { { 0x03 }, 1, 0, 0x38, EDX + 1 }, /* add to cmp */
        { { 0x01 }, 1, 0, 0x3a, EDX + 1 }, /* and loads of the same */
        { { 0x8a }, 1, 0, 0x03, EDX + 1 },
        { { 0x0f, 0x10 }, 2, 1, 0x01, 1 }, /* movups */
        { { 0xd8 }, 1, 1, 0x38, 1 },
        { { 0x42 }, 1, 0, 0x08, 0 },       /* inc edx, dec edx */
        { { 0x70, 0x01 }, 2, 0, 0x0f, 0 }, /* jcc over the nop */
        { { 0xd1, 0xc2 }, 2, 1, 0x38, 0 }, /* shifts of edx */
        { { 0xeb, 0x00 }, 2, 1, 0x01, 0 },
        { { 0x26, 0x42 }, 2, 1, 0x48, 0 }, /* and prefixes */
    };
    u32 op = pick(ARRAY_SIZE(ops)), again, site;
    u8 prefix = g->code32 ? 0 : g->mode == PROT16 ? 0x36 : 0x2e;

    gen_mov(g, EBX, random_pointer(g->mode));
    gen_mov(g, ECX, 8 + pick(40));
    again = g->at;
    site = g->at + 2 + 2 + (prefix ? 1 : 0) + 2 + gen_word(g);
    GEN(g, 0x88, 0xc8, 0x24, ops[op].mask);
    if (prefix)
        gen_put(g, &prefix, 1);
    GEN(g, 0x30);
    gen_memory_op(g, 0, site + ops[op].at);
    gen_put(g, ops[op].bytes, ops[op].len);
    if (ops[op].memory)
        GEN(g, (u8)(0x40 | (ops[op].memory - 1) << 3 | (g->code32 ? 3 : 7)), (u8)pick(16));
    GEN(g, 0x90, 0xe2, (u8)(again - g->at - 3));
}

/* mov esp, a place in the stack */
static void new_stack(struct gen *g)
{
    u32 at = (g->code32 ? STACK : STACK - DATA) + pick(STACK_BYTES / 4) * 4;

    gen_mov(g, ESP, at + (pick(8) ? 0 : pick(4)));
}

/*
 * A get-PC thunk that is called turn by turn, sometimes by another address; sometimes it becomes
 * one for another register, or no thunk, meanwhile.
 *     mov ecx, n
 *     again: [xor byte [thunk + at], mask];  call thunk;  add reg, imm;  loop again;  jmp over
 *     thunk: mov reg, [esp];  ret;  over:
 */
static void thunk(struct gen *g)
{
    static const struct {
        u8 at, mask;
    } patches[] = {{1, 0x18}, {0, 0x01}};
    static const u8 regs[] = {EAX, EBX, EBP, ESI}; /* a mask leads from one to another */
    u32 alias = mode_paged(g->mode) && pick(2) ? 0x400000 : 0, patch = pick(6), again, at;
    u8 reg = ONE_OF(regs);

    if (pick(2))
        new_stack(g);
    gen_mov(g, ECX, 4 + pick(28));
    again = g->at;
    at = again + (patch < ARRAY_SIZE(patches) ? 7 : 0) + 5 + 6 + 2 + 2;
    if (patch < ARRAY_SIZE(patches)) {
        GEN(g, 0x80);
        gen_memory_op(g, 6, at + patches[patch].at);
        GEN(g, patches[patch].mask);
    }
    GEN(g, 0xe8);
    gen_put(g, &(u32){at + alias - g->at - 4}, 4);
    GEN(g, 0x81, (u8)(0xc0 | reg));
    gen_put(g, &(u32){pick(1 << 16)}, 4);
    GEN(g, 0xe2, (u8)(again - g->at - 2), 0xeb, 4);
    GEN(g, 0x8b, (u8)(4 | reg << 3), 0x24, 0xc3);
}

void gen_sequence(struct gen *g)
{
    static void (*const any[])(struct gen *g) = {
        gen_flip_flag, gen_transfer, gen_transfer, modify_code, segments,     segments,
        segments,      control,      port,         shadow,      short_string, short_string,
        bit_string,    divide,       new_stack,    page_edge,    patched_loop, look_at_descriptors,
    };
    if (mode_paged(g->mode) && pick(5) < 2)
        gen_paging(g);
    else if (g->mode == V86 && !pick(4)) /* much of the rest is not for it */
        short_string(g);
    else if (g->code32 && !pick(20))
        thunk(g);
    else
        ONE_OF(any)(g);
}
