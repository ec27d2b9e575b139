/*
 * What x87, MMX and SSE rows need: the register stack as it was before, and operands that stay
 * ordinary numbers however often the instruction runs. ST(0) = 1, ST(1) = 0, ST(2) = 1, ST(3) =
 * ST(4) = 0.2; three are empty.
 */
#include "bench/prices/recipe.h"

#include <stdio.h>
#include <string.h>

#define M(m) ZYDIS_MNEMONIC_##m

static bool among(u32 mnem, const u16 *list)
{
    for (; *list; list++)
        if (*list == mnem)
            return true;
    return false;
}

static const u16 pushes[] = { M(FLD),     M(FILD),   M(FBLD),    M(FLD1),  M(FLDL2E),
                              M(FLDL2T),  M(FLDLG2), M(FLDLN2),  M(FLDPI), M(FLDZ),
                              M(FXTRACT), M(FPTAN),  M(FSINCOS), 0 };
static const u16 pops[] = { M(FADDP),   M(FCOMP),   M(FDIVP), M(FDIVRP), M(FFREEP), M(FICOMP),
                            M(FMULP),   M(FSTPNCE), M(FSUBP), M(FSUBRP), M(FUCOMP), M(FCOMIP),
                            M(FUCOMIP), M(FSTP),    M(FISTP), M(FBSTP),  0 };
static const u16 pops_twice[] = { M(FCOMPP), M(FUCOMPP), 0 };
/* Of one operand, and of two: on copies, so that they compute the same each time. */
static const u16 on_copy[] = { M(F2XM1), M(FCOS),    M(FSIN),    M(FSQRT), M(FRNDINT),
                               M(FPTAN), M(FSINCOS), M(FXTRACT), 0 };
static const u16 on_copies[] = { M(FPREM), M(FPREM1),  M(FSCALE), M(FPATAN),
                                 M(FYL2X), M(FYL2XP1), 0 };
static const u16 pops_of_two[] = { M(FPATAN), M(FYL2X), M(FYL2XP1), 0 };
/* Loads of state: something to load is stored before. */
static const struct {
    u16 mnem;
    u8 n, store[3]; /* with ModRM 3: [EBX]; reg is in it */
} stores[] = {
    { M(FLDCW), 2, { 0xd9, 7 << 3 } },         { M(FLDENV), 2, { 0xd9, 6 << 3 } },
    { M(FRSTOR), 2, { 0xdd, 6 << 3 } },        { M(FXRSTOR), 3, { 0x0f, 0xae, 0 } },
    { M(LDMXCSR), 3, { 0x0f, 0xae, 3 << 3 } },
};

static void fld(struct recipe *r, u32 i)
{
    BYTES(&r->pre, 0xd9, (u8)(0xc0 + i));
}

static void fstp(struct recipe *r, u32 i)
{
    BYTES(&r->post, 0xdd, (u8)(0xd8 + i));
}

static void surround(struct recipe *r, u32 loads, u32 stores_after, const u8 *from)
{
    const char *fld_name = loads > 1 ? "fld*2; " : loads ? "fld; " : "";
    char name[ROW_NAME];

    for (u32 i = 0; i < loads; i++)
        fld(r, from[i]);
    for (u32 i = 0; i < stores_after; i++)
        fstp(r, 0);
    r->group = loads || stores_after;
    snprintf(name, sizeof(name), "%s%.70s%s", fld_name, r->name,
             stores_after > 1 ? "; fstp*2"
             : stores_after   ? "; fstp"
                              : "");
    strcpy(r->name, name);
}

static void balance(struct recipe *r)
{
    u32 m = r->form->in.mnem, push = among(m, pushes);

    if (among(m, on_copy))
        surround(r, 1, 1 + push, (const u8[]){ 3 });
    else if (among(m, on_copies))
        surround(r, 2, 2 - among(m, pops_of_two), (const u8[]){ 3, 5 });
    else if (push)
        surround(r, 0, 1, NULL);
    else if (among(m, pops_twice))
        surround(r, 2, 0, (const u8[]){ 0, 0 });
    else if (among(m, pops))
        surround(r, 1, 0, (const u8[]){ 2 });
}

static void memory_number(struct recipe *r)
{
    static const u8 one32[] = { 0, 0, 0x80, 0x3f }, one64[] = { 0, 0, 0, 0, 0, 0, 0xf0, 0x3f };
    static const u8 one80[] = { 0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f };
    const struct operand *o = insn_memory(&r->form->in);

    if (!o || r->form->name[1] == 'i' || r->form->name[1] == 'b')
        return;
    if (o->size == 4)
        memcpy(r->memory, one32, sizeof(one32));
    else if (o->size == 8)
        memcpy(r->memory, one64, sizeof(one64));
    else if (o->size == 10)
        memcpy(r->memory, one80, sizeof(one80));
}

void recipe_x87(struct recipe *r)
{
    /* Additions with ST(1) = 0, the rest with ST(2) = 1. */
    bool sum = strstr(r->form->name, "add") || strstr(r->form->name, "sub");

    for (u32 i = 0; i < ARRAY_SIZE(stores); i++)
        if (stores[i].mnem == r->form->in.mnem) {
            text_add(&r->prologue, stores[i].n, stores[i].store);
            r->prologue.b[r->prologue.n - 1] |= r->mode->code32 ? 3 : 7;
        }
    if (!(cpu_ops[r->form->in.mnem].attr & OP_FPU))
        return;
    if (r->form->in.nops && r->form->in.op[0].kind == OP_ST && !sum &&
        !among(r->form->in.mnem, pops))
        r->op.b[r->op.n - 1]++;
    memory_number(r);
    balance(r);
}

/* ---- MMX and SSE ---- */

/* Is the source of the instruction of this type: "ps" of ADDPS, CVTPS2PD? */
static bool source_is(const char *name, const char *type)
{
    u32 n = (u32)strcspn(name, " ");

    if (!strncmp(name, "cvt", 3))
        return !strncmp(name + 3 + (name[3] == 't'), type, 2);
    return n > 2 && !strncmp(name + n - 2, type, 2);
}

void recipe_lanes(struct recipe *r)
{
    const char *name = r->form->name;
    u32 one = source_is(name, "ps") || source_is(name, "ss") ? 0x3f800000 : 1;
    u64 lane = one | (u64)one << 32;

    if (source_is(name, "pd") || source_is(name, "sd"))
        lane = 0x3ff0000000000000;
    if (strstr(name, "maskmov"))
        lane = 0x8080808080808080;
    for (u32 i = 0; i < r->form->in.nops; i++) {
        r->unit |= r->form->in.op[i].kind == OP_MMX ? PRICE_MMX : 0;
        if (r->form->in.op[i].kind == OP_MMX || r->form->in.op[i].kind == OP_XMM)
            memcpy(r->memory, &lane, 8), memcpy(r->memory + 8, &lane, 8);
    }
    memcpy(r->lanes, &lane, 8);
    memcpy(r->lanes + 8, &lane, 8);
}
