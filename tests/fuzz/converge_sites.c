/*
 * The slots of converge: up to three sites that share an address out of the row, and which of
 * their bytes an event may write.
 */
#include "tests/fuzz/converge.h"
#include <string.h>

enum { BX = 3, BP = 5, GS_PREFIX = 0x65 };

/* An instruction with a memory operand. */
struct site_kind {
    u8 op[4], length; /* prefixes and opcode */
    i8 reg;           /* of ModRM; REG: any, BYTE: any of 8 bits */
    u8 imm;           /* bytes; WORD: as the operand */
    bool word;        /* its operand has 2 or 4 bytes */
};
enum { REG = -1, BYTE = -2, WORD = 0xff };

/* clang-format off */
static const struct site_kind kinds[] = {
    /* moves */
    { { 0x8a }, 1, BYTE, 0 }, { { 0x8b }, 1, REG, 0, true }, { { 0x8b }, 1, REG, 0, true },
    { { 0x88 }, 1, BYTE, 0 }, { { 0x89 }, 1, REG, 0, true }, { { 0x89 }, 1, REG, 0, true },
    { { 0xc6 }, 1, 0, 1 }, { { 0xc7 }, 1, 0, WORD, true },
    /* of two operands */
    { { 0x01 }, 1, REG, 0, true }, { { 0x03 }, 1, REG, 0, true }, { { 0x29 }, 1, REG, 0, true },
    { { 0x31 }, 1, REG, 0, true }, { { 0x3b }, 1, REG, 0, true }, { { 0x39 }, 1, REG, 0, true },
    { { 0x10 }, 1, BYTE, 0 }, { { 0x85 }, 1, REG, 0, true }, { { 0x87 }, 1, REG, 0, true },
    { { 0x80 }, 1, 0, 1 }, { { 0x81 }, 1, 5, WORD, true }, { { 0x83 }, 1, 7, 1, true },
    /* of one operand; PUSH, POP, shifts */
    { { 0x83 }, 1, 2, 1, true }, { { 0xf7 }, 1, 0, WORD, true }, { { 0xf7 }, 1, 2, 0, true },
    { { 0xf7 }, 1, 3, 0, true }, { { 0xf7 }, 1, 4, 0, true }, { { 0xf7 }, 1, 6, 0, true },
    { { 0xf6 }, 1, 6, 0 }, { { 0xf7 }, 1, 7, 0, true }, { { 0xff }, 1, 0, 0, true },
    { { 0xff }, 1, 6, 0, true }, { { 0x8f }, 1, 0, 0, true }, { { 0xd1 }, 1, 4, 0, true },
    { { 0xc1 }, 1, 0, 1, true }, { { 0xd3 }, 1, 7, 0, true }, { { 0x8c }, 1, 3, 0 },
    /* two bytes of opcode */
    { { 0x0f, 0xb6 }, 2, REG, 0 }, { { 0x0f, 0xb7 }, 2, REG, 0 },
    { { 0x0f, 0xbf }, 2, REG, 0 }, { { 0x0f, 0xaf }, 2, REG, 0, true },
    { { 0x0f, 0xba }, 2, 5, 1, true }, { { 0x0f, 0xba }, 2, 4, 1, true },
    { { 0x0f, 0xb1 }, 2, REG, 0, true }, { { 0x0f, 0xc1 }, 2, REG, 0, true },
    { { 0x0f, 0xc7 }, 2, 1, 0 }, { { 0x0f, 0x94 }, 2, 0, 0 },
    { { 0x0f, 0x44 }, 2, REG, 0, true },
    { { 0x0f, 0xa4 }, 2, REG, 1, true }, { { 0x0f, 0xbc }, 2, REG, 0, true },
    /* BOUND, SMSW, SIDT */
    { { 0x62 }, 1, REG, 0, true }, { { 0x0f, 0x01 }, 2, 4, 0 }, { { 0x0f, 0x01 }, 2, 1, 0 },
    /* x87 */
    { { 0xd9 }, 1, 0, 0 }, { { 0xdd }, 1, 0, 0 }, { { 0xdb }, 1, 5, 0 },
    { { 0xd9 }, 1, 3, 0 }, { { 0xdd }, 1, 3, 0 }, { { 0xdd }, 1, 2, 0 },
    { { 0xdb }, 1, 7, 0 }, { { 0xdb }, 1, 0, 0 }, { { 0xdf }, 1, 5, 0 },
    { { 0xdb }, 1, 3, 0 }, { { 0xdf }, 1, 7, 0 }, { { 0xd8 }, 1, 0, 0 },
    { { 0xdc }, 1, 1, 0 }, { { 0xd9 }, 1, 7, 0 }, { { 0xdd }, 1, 7, 0 },
    { { 0xdf }, 1, 4, 0 },
    /* MMX, SSE */
    { { 0x0f, 0x6f }, 2, REG, 0 }, { { 0x0f, 0x7f }, 2, REG, 0 },
    { { 0x0f, 0x10 }, 2, REG, 0 }, { { 0x0f, 0x11 }, 2, REG, 0 },
    { { 0x0f, 0x28 }, 2, REG, 0 }, { { 0x0f, 0x29 }, 2, REG, 0 },
    { { 0xf3, 0x0f, 0x10 }, 3, REG, 0 }, { { 0xf3, 0x0f, 0x11 }, 3, REG, 0 },
    { { 0x0f, 0x13 }, 2, REG, 0 }, { { 0x0f, 0x58 }, 2, REG, 0 },
    { { 0xf3, 0x0f, 0x58 }, 3, REG, 0 }, { { 0x0f, 0xae }, 2, 3, 0 },
    { { 0xf3, 0x0f, 0x6f }, 3, REG, 0 }, { { 0x66, 0x0f, 0x7f }, 3, REG, 0 },
};
/* clang-format on */

static void add_point(struct cv_program *p, u32 at, u32 size, u32 and, u32 add)
{
    if (p->points < CV_MAX_POINTS)
        p->point[p->points++] = (struct cv_point){at, size, and, add};
}

/* Without a register: half of them are misaligned, half in no direct map. */
static u32 fixed_address(const struct cv_program *p)
{
    static const u32 pages[] = {CV_DATA, CV_DATA,   CV_DATA + PAGE_SIZE,
                                CV_FLIP, CV_DEVICE, CV_ROM};
    u32 page = cv_paged(p) && !cv_pick(6) ? CV_ALIAS + CV_DATA : CV_ONE_OF(pages);

    return page + cv_pick(0x100) * 16 + (cv_pick(2) ? 0 : 1 + cv_pick(3));
}

/* [ebx], [ebx+disp8], [ebx+disp], [ebp+disp8], [address]; displacements are points. */
static void operand(struct cv_gen *g, u8 reg)
{
    bool code32 = cv_code32(g->p);
    u32 way = cv_pick(6), word = code32 ? 4 : 2, fixed = fixed_address(g->p);
    u8 rm = way == 3 ? (code32 ? BP : 6) : code32 ? BX : 7;

    if (way == 0) {
        CV(g, (u8)(reg << 3 | rm));
    } else if (way == 1 || way == 3) {
        CV(g, (u8)(0x40 | reg << 3 | rm));
        add_point(g->p, g->at, 1, cv_pick(2) ? 0x1f : 0x1c, 0);
        CV(g, (u8)(cv_pick(8) * 4));
    } else if (way == 2) {
        CV(g, (u8)(0x80 | reg << 3 | rm));
        add_point(g->p, g->at, 1, cv_pick(2) ? 0x1f : 0x1c, 0);
        cv_imm(g, cv_pick(8) * 4, word);
    } else {
        CV(g, (u8)(reg << 3 | (code32 ? 5 : 6)));
        add_point(g->p, g->at, 2, cv_pick(2) ? 0xff0 : 0xfff, fixed & 0xf000);
        cv_address(g, fixed);
    }
}

/* One that leaves EBX, EBP and ESP alone. */
static u8 random_reg(i8 reg)
{
    static const u8 words[] = {0, 1, 2, 7}, bytes[] = {0, 1, 2, 4, 5, 6};

    return reg == REG ? CV_ONE_OF(words) : reg == BYTE ? CV_ONE_OF(bytes) : (u8)reg;
}

static void memory_site(struct cv_gen *g)
{
    const struct site_kind *k = &CV_ONE_OF(kinds);
    bool wide = cv_pick(3) ? cv_code32(g->p) : !cv_code32(g->p);
    u32 word = wide ? 4 : 2, imm = k->imm == WORD ? word : k->imm;

    if (!cv_pick(8))
        CV(g, GS_PREFIX);
    if (k->word && wide != cv_code32(g->p))
        CV(g, 0x66);
    if (k->length == 1 && k->op[0] < 0x40) /* ADD to CMP: the operation may be another */
        add_point(g->p, g->at, 1, 0x38, k->op[0] & 7);
    cv_bytes(g, k->op, k->length);
    operand(g, random_reg(k->reg));
    if (imm)
        add_point(g->p, g->at, cv_pick(2) ? 1 : imm, ~0u, 0);
    cv_imm(g, cv_rnd(), imm);
}

/* mov esi, ebx;  mov edi, ebx or data;  maybe mov ecx, n;  rep;  one of MOVS to SCAS */
static void string_site(struct cv_gen *g)
{
    static const u8 ops[] = {0xa4, 0xa5, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf};
    bool rep = cv_pick(2), both = cv_pick(2);

    CV(g, 0x8b, 0xf3, 0x8b, 0xfb);
    if (both && cv_pick(2)) {
        CV(g, 0xbe);
        cv_address(g, CV_DATA + 0x800);
    } else if (both) {
        CV(g, 0xbf);
        cv_address(g, CV_DATA + 0x800);
    }
    if (rep) {
        CV(g, 0xb9);
        add_point(g->p, g->at, 1, 0x0f, 1);
        cv_imm(g, 1 + cv_pick(16), cv_code32(g->p) ? 4 : 2);
        CV(g, (u8)(0xf2 + !!cv_pick(4)));
    }
    if (!cv_pick(3))
        CV(g, 0x66);
    CV(g, CV_ONE_OF(ops));
}

/* mov esp, ebx;  some use of the stack */
static void stack_site(struct cv_gen *g, u32 slot)
{
    u32 kind = cv_pick(cv_code32(g->p) ? 9 : 8);

    CV(g, 0x8b, 0xe3);
    switch (kind) {
    case 0:
        CV(g, 0x50, 0x59);
        break;
    case 1:
        CV(g, 0x68);
        add_point(g->p, g->at, 1, ~0u, 0);
        cv_imm(g, cv_rnd(), cv_code32(g->p) ? 4 : 2);
        CV(g, 0x5a);
        break;
    case 2:
        CV(g, 0x9c);
        break;
    case 3:
        CV(g, 0x60);
        break;
    case 4: /* pop eax;  pop ecx */
        CV(g, 0x58, 0x59);
        break;
    case 5: /* enter 8, 0;  leave */
        CV(g, 0xc8, 8, 0, 0, 0xc9);
        break;
    case 6: /* call f;  jmp over;  f: ret */
        CV(g, 0xe8);
        cv_imm(g, 2, cv_code32(g->p) ? 4 : 2);
        CV(g, 0xeb, 1, 0xc3);
        break;
    case 7: /* push es;  pop es */
        CV(g, 0x06, 0x07);
        break;
    default: /* push over;  ret;  over: */
        CV(g, 0x68);
        cv_address(g, g->at + 5);
        CV(g, 0xc3);
    }
    g->p->on_stack[slot] = true;
}

/* Instructions without memory operand that the guest may patch. */
static void patched_site(struct cv_gen *g)
{
    static const u8 alu[] = {0x05, 0x2d, 0x35, 0x3d};
    u32 word = cv_code32(g->p) ? 4 : 2;

    switch (cv_pick(6)) {
    case 0: /* mov eax, n */
        CV(g, 0xb8);
        add_point(g->p, g->at, cv_pick(2) ? 1 : word, ~0u, 0);
        cv_imm(g, cv_rnd(), word);
        break;
    case 1: /* add eax, n */
        add_point(g->p, g->at, 1, 0x38, 5);
        CV(g, CV_ONE_OF(alu));
        add_point(g->p, g->at, 1, ~0u, 0);
        cv_imm(g, cv_rnd(), word);
        break;
    case 2: /* jmp or jz over nop;  nop */
        CV(g, (u8)(cv_pick(2) ? 0xeb : 0x74));
        add_point(g->p, g->at, 1, 1, 1);
        CV(g, 1, 0x90, 0x90);
        break;
    case 3: /* call f or g;  jmp over;  f: nop;  g: ret */
        CV(g, 0xe8);
        add_point(g->p, g->at, 1, 1, 2);
        cv_imm(g, 2, word);
        CV(g, 0xeb, 2, 0x90, 0xc3);
        break;
    default: /* int n */
        CV(g, 0xcd);
        add_point(g->p, g->at, 1, 7, 0x60);
        CV(g, (u8)(0x60 + cv_pick(8)));
    }
}

/* mov esp, stack;  mov esi, [row];  mov ebx, [esi+its address's place];  mov ebp, ebx */
static void prologue(struct cv_gen *g, u32 slot)
{
    CV(g, 0xbc);
    cv_address(g, CV_USER_STACK);
    CV(g, 0x8b, (u8)(cv_code32(g->p) ? 0x35 : 0x36));
    cv_address(g, CV_ROW_AT);
    if (cv_code32(g->p))
        CV(g, 0x8b, 0x5e, (u8)(16 + slot * 4));
    else
        CV(g, 0x64, 0x8b, 0x5c, (u8)(8 + slot * 2));
    CV(g, 0x8b, 0xeb);
}

static bool one_site(struct cv_gen *g, u32 slot)
{
    u32 kind = cv_pick(16);

    if (kind < 9)
        memory_site(g);
    else if (kind < 12)
        patched_site(g);
    else if (kind < 14)
        string_site(g);
    else
        stack_site(g, slot);
    return kind < 12;
}

void cv_make_slot(struct cv_program *p, u32 slot)
{
    struct cv_gen g = {p, CV_SITES + slot * CV_SLOT_SIZE};
    u32 end = g.at + CV_SLOT_SIZE;

    p->on_stack[slot] = false;
    prologue(&g, slot);
    for (u32 i = 1 + cv_pick(3); i-- && one_site(&g, slot);)
        ;
    CV(&g, 0xeb, (u8)(end - g.at - 2));
    check(g.at <= end, "a slot too long");
}
