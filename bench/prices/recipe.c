/*
 * How each form is run: what its operands hold, what has to stand around it. Most need nothing;
 * the table at the end lists those that do. A form that must trap in a mode runs there alone:
 * its price is the trap's.
 */
#include "bench/prices/recipe.h"

#include <stdio.h>
#include <string.h>

#define M(m) ZYDIS_MNEMONIC_##m

void text_add(struct text *t, u32 n, const u8 *bytes)
{
    check(t->n + n <= sizeof(t->b), "a row's code is too long");
    memcpy(t->b + t->n, bytes, n);
    t->n += (u8)n;
}

static u32 word_bytes(const struct mode *m)
{
    return m->code32 ? 4 : 2;
}

void text_word(struct text *t, const struct mode *m, u32 val)
{
    text_add(t, word_bytes(m), (const u8 *)&val);
}

void text_mov(struct text *t, const struct mode *m, u32 reg, u32 val)
{
    BYTES(t, (u8)(0xb8 + reg));
    text_word(t, m, val);
}

static void name_around(struct recipe *r, const char *before, const char *after)
{
    char name[ROW_NAME];

    snprintf(name, sizeof(name), "%s%.60s%s", before, r->name, after);
    strcpy(r->name, name);
    r->group = true;
}

/* ---- Flags that decide ---- */

/* Values compared, ESI with EDI: equal; below and less; overflow; above with even parity's
 * opposite. */
static const u32 compared[4][2] = { { 1, 1 }, { 1, 2 }, { 0x80000000, 1 }, { 3, 1 } };

static bool holds(const char *cc, u32 pair)
{
    static const struct {
        const char *cc;
        u8 pairs; /* bit n: holds after compared[n] */
    } table[] = { { "b", 2 },         { "be", 3 },         { "z", 1 }, { "e", 1 },
                  { "l", 2 | 4 },     { "le", 1 | 2 | 4 }, { "o", 4 }, { "p", 1 | 2 | 4 },
                  { "u", 1 | 2 | 4 }, { "s", 2 } };
    bool negated = cc[0] == 'n';

    for (u32 i = 0; i < ARRAY_SIZE(table); i++)
        if (!strcmp(table[i].cc, cc + negated))
            return (table[i].pairs >> pair & 1) != negated;
    check(false, "no condition %s", cc);
}

static void set_condition(struct recipe *r, const char *cc, bool wanted)
{
    u32 pair = 0;

    while (holds(cc, pair) != wanted)
        pair++;
    r->regs[ESI] = compared[pair][0];
    r->regs[EDI] = compared[pair][1];
    if (!r->mode->code32)
        r->regs[ESI] = r->regs[ESI] >> 16 | (r->regs[ESI] & 0xffff);
    BYTES(&r->head, 0x39, 0xfe); /* CMP ESI, EDI */
}

static void condition_rows(const struct recipe *start, const char *cc, recipe_fn *take)
{
    for (u32 taken = 0; taken < 2; taken++) {
        struct recipe r = *start;

        set_condition(&r, cc, taken);
        strcat(r.name, taken ? " true" : " false");
        take(&r);
    }
}

/* ---- Needs of single instructions ---- */

static const struct insn *in(const struct recipe *r)
{
    return &r->form->in;
}

static void zero_immediate(struct recipe *r)
{
    memset(r->op.b + r->op.n - in(r)->imm_size, 0, in(r)->imm_size);
}

static void need_adjust(struct recipe *r) /* AAM, AAD: by ten */
{
    r->op.b[1] = 10;
}

static void need_divisor(struct recipe *r)
{
    r->regs[ECX] = 0x0101;
    r->memory[1] = 0;
}

static void need_port(struct recipe *r)
{
    if (in(r)->imm_size)
        r->op.b[r->op.n - 1] = PORT_POST;
    r->regs[EDX] = PORT_POST;
}

static void need_bounds(struct recipe *r)
{
    u32 size = in(r)->op[0].size;

    memset(r->memory, 0xff, size);
    memset(r->memory + size, 0x7f, size);
}

static void need_selector(struct recipe *r)
{
    r->regs[ECX] = r->mode->data;
    memcpy(r->memory, &r->mode->data, 2);
    r->memory[2] = r->memory[3] = 0;
}

static void need_null(struct recipe *r)
{
    r->regs[ECX] = 0;
    memset(r->memory, 0, 4);
}

static void need_task(struct recipe *r) /* not busy, before each */
{
    r->regs[ECX] = SEL_TSS;
    r->memory[0] = SEL_TSS;
    BYTES(&r->pre, 0x80, 0x25);
    text_word(&r->pre, r->mode, r->mode->base + OFF_GDT + SEL_TSS + 5);
    BYTES(&r->pre, 0xfd);
}

static void need_pointer(struct recipe *r) /* LDS and its kin: offset 0, the data segment */
{
    memset(r->memory, 0, 8);
    memcpy(r->memory + in(r)->op[0].size, &r->mode->data, 2);
}

static void need_msr(struct recipe *r)
{
    r->regs[ECX] = 0x174; /* SYSENTER_CS */
    r->regs[EAX] = SEL_CODE;
}

static void need_leaf(struct recipe *r) /* CPUID: leaf 0 */
{
    BYTES(&r->pre, 0x31, 0xc0);
}

/* The value that is there: SMSW, SGDT, SIDT before. */
static void need_status(struct recipe *r)
{
    u8 memory = r->mode->code32 ? 3 : 7;

    if (in(r)->mnem == M(LMSW) && in(r)->op[0].kind == OP_REG)
        BYTES(&r->prologue, 0x0f, 0x01, 0xe1);
    else if (in(r)->mnem == M(LMSW))
        BYTES(&r->prologue, 0x0f, 0x01, 4 << 3 | memory);
    else
        BYTES(&r->prologue, 0x0f, 0x01, (u8)((in(r)->mnem == M(LIDT)) << 3 | memory));
}

static void need_mov(struct recipe *r)
{
    u8 kind = in(r)->op[0].kind;

    if (kind == OP_CR || kind == OP_DR) /* what is there, into the register it is loaded from */
        BYTES(&r->prologue, 0x0f, kind == OP_CR ? 0x20 : 0x21, in(r)->modrm);
    if (kind == OP_SEG)
        need_selector(r);
    if (!in(r)->has_modrm && insn_memory(in(r))) { /* A0-A3 */
        r->op.n -= word_bytes(r->mode);
        text_word(&r->op, r->mode, r->place);
    }
}

/* ---- The stack ---- */

static u32 pushed_bytes(const struct recipe *r)
{
    return in(r)->opsize == 2 ? 2 : r->mode->word;
}

/* ESP as the row's code found it, its return address at the top, and that many bytes below. */
static void set_stack(struct text *t, const struct recipe *r, u32 below)
{
    u32 return_address =
        r->mode->name == NATIVE ? 8 : 4; /* near in 32-bit code, far in 16-bit code */

    text_mov(t, r->mode, ESP, r->regs[ESP] - return_address - below);
}

static void need_push(struct recipe *r)
{
    if (in(r)->op[0].kind == OP_SEG)
        need_selector(r);
    set_stack(&r->tail, r, 0);
}

static void need_pop(struct recipe *r)
{
    u8 push[3] = { in(r)->raw[0], in(r)->raw[1], in(r)->raw[2] };

    if (in(r)->op[0].kind != OP_SEG) {
        set_stack(&r->head, r, r->copies * pushed_bytes(r));
        set_stack(&r->tail, r, 0);
        return;
    }
    push[in(r)->len - 1]--; /* POP of a segment register is one above its PUSH */
    text_add(&r->pre, in(r)->len, push);
    name_around(r, "push; ", "");
}

static void need_popf(struct recipe *r)
{
    if (in(r)->len > 1)
        BYTES(&r->pre, 0x66);
    BYTES(&r->pre, 0x9c);
    name_around(r, "pushf; ", "");
}

static void need_pusha_tail(struct recipe *r)
{
    set_stack(&r->tail, r, 0);
}

static void need_popa(struct recipe *r)
{
    if (in(r)->len > 1)
        BYTES(&r->pre, 0x66);
    BYTES(&r->pre, 0x60);
    name_around(r, "pusha; ", "");
}

static void need_leave(struct recipe *r)
{
    BYTES(&r->pre, 0x55, 0x89, 0xe5); /* PUSH EBP; MOV EBP, ESP */
    name_around(r, "push ebp; mov ebp,esp; ", "");
}

static void enter_rows(const struct recipe *start, recipe_fn *take)
{
    static const u8 levels[] = { 0, 1, 3 };

    for (u32 i = 0; i < ARRAY_SIZE(levels); i++) {
        struct recipe r = *start;

        r.op.n = 0;
        /* PUSH EBP; MOV EBP, ESP: nested frames are read there. */
        BYTES(&r.pre, 0x55, 0x89, 0xe5);
        BYTES(&r.op, 0xc8, 16, 0, levels[i]);
        BYTES(&r.post, 0xc9, 0x5d);
        sprintf(r.name, "push ebp; mov ebp,esp; enter 16,%u; leave; pop ebp%s", levels[i],
                strstr(start->name, " odd") ? " odd-stack" : "");
        r.group = true;
        take(&r);
    }
}

/* ---- Branches ---- */

static void need_target(struct recipe *r, enum target target)
{
    r->target = target;
    r->copies = 1;
}

static bool is_far(const struct recipe *r)
{
    u32 size = in(r)->op[0].size;

    return in(r)->op[0].kind == OP_FAR ||
           (in(r)->op[0].kind == OP_MEM && size > word_bytes(r->mode) &&
            r->mode->name != NATIVE);
}

static void need_address(struct recipe *r, enum patch patch)
{
    r->patch = patch;
    r->patch_at = (u8)(r->pre.n + 1);
    r->patch_selector = in(r)->op[0].kind == OP_FAR;
}

static void need_jmp(struct recipe *r)
{
    if (in(r)->op[0].kind == OP_REL)
        zero_immediate(r);
    else if (in(r)->op[0].kind == OP_FAR)
        need_address(r, PATCH_NEXT);
    else
        need_target(r, TARGET_NEXT);
    if (is_far(r))
        strcat(r->name, " (far)");
}

static void need_call(struct recipe *r)
{
    BYTES(&r->leaf, is_far(r) ? 0xcb : 0xc3);
    if (in(r)->op[0].kind == OP_REL)
        need_address(r, PATCH_LEAF_REL);
    else if (in(r)->op[0].kind == OP_FAR)
        need_address(r, PATCH_LEAF);
    else
        r->target = TARGET_LEAF;
    name_around(r, "", is_far(r) ? " + retf" : " + ret");
}

/* Pushes what IRET or RETF takes from the stack, and the address behind it. */
static void push_frame(struct recipe *r, bool flags, bool selector)
{
    bool wide = in(r)->opsize == 4 && !r->mode->code32;

    if (flags && wide)
        BYTES(&r->pre, 0x66);
    if (flags)
        BYTES(&r->pre, 0x9c);
    if (selector && wide)
        BYTES(&r->pre, 0x66);
    if (selector)
        BYTES(&r->pre, 0x0e);
    if (wide)
        BYTES(&r->pre, 0x66);
    BYTES(&r->pre, 0x68);
    r->patch = PATCH_NEXT;
    r->patch_at = r->pre.n;
    text_word(&r->pre, r->mode, 0);
    if (wide)
        BYTES(&r->pre, 0, 0);
}

static void need_ret(struct recipe *r)
{
    bool far = in(r)->opcode & 8;

    if (in(r)->imm_size) {
        BYTES(&r->pre, 0x50);
        r->op.b[1] = r->mode->word;
    }
    push_frame(r, false, far);
    name_around(r, far ? "push cs; push next; " : "push next; ", "");
}

static void need_iret(struct recipe *r)
{
    push_frame(r, true, true);
    name_around(r, "pushf; push cs; push next; ", "");
}

static void need_int(struct recipe *r)
{
    if (in(r)->imm_size)
        r->op.b[1] = 0x80;
    name_around(r, "", " + iret");
}

static void need_sysenter(struct recipe *r)
{
    BYTES(&r->pre, 0xba);
    r->patch = PATCH_NEXT;
    r->patch_at = r->pre.n;
    text_word(&r->pre, r->mode, 0);
    BYTES(&r->pre, 0x89, 0xe1); /* MOV ECX, ESP */
    name_around(r, "", r->mode->name == RING3 ? " + sysexit" : " + jmp");
}

static void loop_rows(const struct recipe *start, recipe_fn *take)
{
    bool plain = in(start)->mnem == M(LOOP),
         jcxz = in(start)->mnem == M(JCXZ) || in(start)->mnem == M(JECXZ);

    for (u32 taken = 0; taken < 2; taken++) {
        struct recipe r = *start;

        zero_immediate(&r);
        r.regs[ECX] = jcxz ? !taken : 0x7fffffff;
        if (plain && !taken)
            text_mov(&r.pre, r.mode, ECX, 1);
        if (!plain && !jcxz)
            set_condition(&r, in(start)->mnem == M(LOOPE) ? "z" : "nz", taken);
        strcat(r.name, taken ? " true" : " false");
        take(&r);
    }
}

/* ---- Which need what ---- */

static const struct {
    u16 mnem;
    void (*need)(struct recipe *r);
} needs[] = {
    { M(AAM), need_adjust },        { M(AAD), need_adjust },    { M(DIV), need_divisor },
    { M(IDIV), need_divisor },      { M(IN), need_port },       { M(OUT), need_port },
    { M(INSB), need_port },         { M(INSW), need_port },     { M(INSD), need_port },
    { M(OUTSB), need_port },        { M(OUTSW), need_port },    { M(OUTSD), need_port },
    { M(BOUND), need_bounds },      { M(VERR), need_selector }, { M(VERW), need_selector },
    { M(LAR), need_selector },      { M(LSL), need_selector },  { M(ARPL), need_selector },
    { M(LLDT), need_null },         { M(LTR), need_task },      { M(LDS), need_pointer },
    { M(LES), need_pointer },       { M(LSS), need_pointer },   { M(LFS), need_pointer },
    { M(LGS), need_pointer },       { M(RDMSR), need_msr },     { M(WRMSR), need_msr },
    { M(CPUID), need_leaf },        { M(LMSW), need_status },   { M(LGDT), need_status },
    { M(LIDT), need_status },       { M(MOV), need_mov },       { M(PUSH), need_push },
    { M(POP), need_pop },           { M(PUSHF), need_push },    { M(PUSHFD), need_push },
    { M(POPF), need_popf },         { M(POPFD), need_popf },    { M(PUSHA), need_pusha_tail },
    { M(PUSHAD), need_pusha_tail }, { M(POPA), need_popa },     { M(POPAD), need_popa },
    { M(LEAVE), need_leave },       { M(JMP), need_jmp },       { M(CALL), need_call },
    { M(RET), need_ret },           { M(IRET), need_iret },     { M(IRETD), need_iret },
    { M(INT), need_int },           { M(INT3), need_int },      { M(INT1), need_int },
    { M(SYSENTER), need_sysenter },
};

/* Must it trap there? */
static bool traps(const struct mode *m, const struct insn *i)
{
    static const u16 io[] = { M(CLI),  M(STI),  M(IN),    M(OUT),   M(INSB),
                              M(INSW), M(INSD), M(OUTSB), M(OUTSW), M(OUTSD) };
    static const u16 sensitive[] = { M(PUSHF), M(PUSHFD), M(POPF), M(POPFD),
                                     M(INT),   M(IRET),   M(IRETD) };
    bool user = m->name != FLAT && m->name != REAL;

    if ((cpu_ops[i->mnem].attr & OP_PROT) && !m->code32)
        return true;
    if (i->mnem == M(UD0) || i->mnem == M(UD1) || i->mnem == M(UD2) || i->mnem == M(RDPMC) ||
        i->mnem == M(SYSEXIT))
        return true;
    if (i->mnem == M(SYSENTER))
        return m->name == REAL;
    for (u32 k = 0; user && k < ARRAY_SIZE(io); k++)
        if (io[k] == i->mnem)
            return true;
    for (u32 k = 0; m->name == V86 && k < ARRAY_SIZE(sensitive); k++)
        if (sensitive[k] == i->mnem)
            return true;
    for (u32 k = 0; user && k < i->nops; k++)
        if (i->op[k].kind == OP_CR || i->op[k].kind == OP_DR)
            return true;
    return user && (cpu_ops[i->mnem].attr & OP_CPL0);
}

/* Why a form has no row in a mode; NULL: it has. */
static const char *left_out(const struct mode *m, const struct form *f)
{
    const struct insn *i = &f->in;
    bool ring0 = m->name == FLAT || m->name == REAL;

    if (i->mnem == M(HLT) && ring0)
        return "stands until an interrupt: the timer's price";
    if (i->mnem == M(SYSEXIT) && m->name == FLAT)
        return "leaves ring 0: priced with SYSENTER in ring 3";
    if (i->mnem == M(SYSENTER) && m->name == V86)
        return "leaves for ring 0: priced in ring 3";
    if (i->mnem == M(IRET) && m->code32)
        return "cuts EIP to 16 bits: priced in 16-bit code";
    if (m->name != NATIVE)
        return NULL;
    if (!f->alt_len)
        return "encoded otherwise in 64-bit code";
    if (i->mnem == M(LSS) || i->mnem == M(LFS) || i->mnem == M(LGS) || traps(m, i) ||
        (cpu_ops[i->mnem].attr & OP_INT) || i->mnem == M(SYSENTER) || i->op[0].kind == OP_SEG)
        return "the host's kernel would answer";
    return NULL;
}

static bool must_be_aligned(const struct form *f)
{
    const struct operand *o = insn_memory(&f->in);

    if (f->in.mnem == M(FXSAVE) || f->in.mnem == M(FXRSTOR))
        return true;
    return o->size == 16 && !strstr(f->name, "movu") && !strstr(f->name, "movdqu") &&
           !strstr(f->name, "bound");
}

static struct recipe recipe_start(const struct mode *m, const struct form *f)
{
    struct recipe r = {
        .mode = m, .form = f, .copies = 8, .memory = { 1 }, .place = m->base + OFF_OPERAND
    };

    strcpy(r.name, f->name);
    r.regs[ECX] = 1;
    r.regs[ESP] = m->base + OFF_STACK;
    r.regs[ESI] = m->base + OFF_SRC;
    r.regs[EDI] = m->base + OFF_DST;
    if (m->name == NATIVE)
        text_add(&r.op, f->alt_len, f->alt);
    else
        text_add(&r.op, f->in.len, f->in.raw);
    return r;
}

/* Rows of one place of the operand and one state of the stack. */
static void rows_at(struct recipe r, recipe_fn *take)
{
    const char *name = r.form->name;
    u32 m = in(&r)->mnem;

    r.regs[EBX] = r.place;
    recipe_lanes(&r);
    recipe_x87(&r);
    for (u32 i = 0; i < ARRAY_SIZE(needs); i++)
        if (needs[i].mnem == m)
            needs[i].need(&r);
    if (m == M(ENTER)) {
        enter_rows(&r, take);
    } else if (m == M(LOOP) || m == M(LOOPE) || m == M(LOOPNE) || m == M(JCXZ) ||
               m == M(JECXZ)) {
        loop_rows(&r, take);
    } else if (m == M(INTO)) {
        condition_rows(&r, "o", take);
    } else if (name[0] == 'j' && m != M(JMP)) {
        char cc[4] = { 0 };

        zero_immediate(&r);
        memcpy(cc, name + 1, strcspn(name + 1, " "));
        condition_rows(&r, cc, take);
    } else if (!strncmp(name, "set", 3) || !strncmp(name, "cmov", 4) ||
               !strncmp(name, "fcmov", 5)) {
        const char *from = name + (name[0] == 's' ? 3 : name[0] == 'c' ? 4 : 5);
        char cc[4] = { 0 };

        memcpy(cc, from, strcspn(from, " "));
        condition_rows(&r, cc, take);
    } else {
        take(&r);
    }
}

static bool locks(const struct form *f)
{
    return (cpu_ops[f->in.mnem].attr & OP_LOCK) && f->in.nops && f->in.op[0].kind == OP_MEM;
}

static void rows_of_place(const struct recipe *start, const char *suffix, u32 offset,
                          recipe_fn *take)
{
    struct recipe r = *start;

    strcat(r.name, suffix);
    r.place = r.mode->base + offset;
    rows_at(r, take);
    if (!locks(r.form) || (r.mode->name == NATIVE && offset == OFF_CROSS))
        return;
    r.op.n = 0;
    BYTES(&r.op, 0xf0);
    text_add(&r.op, start->op.n, start->op.b);
    snprintf(r.name, sizeof(r.name), "lock %.80s", start->name);
    strcat(r.name, suffix);
    rows_at(r, take);
}

void recipes_of(const struct mode *m, const struct form *f, recipe_fn *take,
                void (*leave_out)(const struct mode *m, const struct form *f, const char *why))
{
    const struct operand *o = insn_memory(&f->in);
    const char *why = left_out(m, f);
    struct recipe r;

    if (why) {
        leave_out(m, f, why);
        return;
    }
    r = recipe_start(m, f);
    if (traps(m, &f->in)) {
        r.regs[EBX] = r.place;
        take(&r);
        return;
    }
    if (cpu_ops[f->in.mnem].attr & OP_STRING) {
        need_port(&r);
        recipes_of_string(&r, take);
        return;
    }
    rows_of_place(&r, "", OFF_OPERAND, take);
    if (o && f->in.has_modrm && o->size > 1 &&
        (!must_be_aligned(f) || f->in.mnem == M(MOVAPS))) {
        rows_of_place(&r, " mis", OFF_OPERAND + 1, take);
        if (!must_be_aligned(f))
            rows_of_place(&r, " cross", OFF_CROSS - o->size / 2u, take);
    }
    if ((cpu_ops[f->in.mnem].attr & OP_STACK) || strstr(f->name, "pusha") ||
        strstr(f->name, "popa") || f->in.mnem == M(ENTER) || f->in.mnem == M(LEAVE)) {
        r.regs[ESP]++;
        rows_of_place(&r, " odd-stack", OFF_OPERAND, take);
    }
}

/* ---- More ---- */

void recipes_more(const struct mode *m, recipe_fn *take)
{
    static const struct {
        const char *name;
        bool code32, native;
        u8 n, bytes[8];
        bool absolute;
    } more[] = {
        { "mov r32,[esp]", true, true, 3, { 0x8b, 0x14, 0x24 } },
        { "mov [esp-8],r32", true, true, 4, { 0x89, 0x54, 0x24, 0xf8 } },
        { "mov r32,[ebx+disp8]", true, true, 3, { 0x8b, 0x53, 4 } },
        { "mov r32,[ebx+disp32]", true, true, 6, { 0x8b, 0x93, 4, 0, 0, 0 } },
        { "mov r32,[ebx+eax*4]", true, true, 3, { 0x8b, 0x14, 0x83 } },
        { "mov r32,[abs]", true, false, 2, { 0x8b, 0x15 }, true },
        { "mov [abs],r32", true, false, 2, { 0x89, 0x15 }, true },
        { "mov r32,cs:[ebx]", true, false, 3, { 0x2e, 0x8b, 0x13 } },
        { "mov r32,es:[ebx]", true, false, 3, { 0x26, 0x8b, 0x13 } },
        { "mov r32,ss:[ebx]", true, false, 3, { 0x36, 0x8b, 0x13 } },
        { "mov r32,fs:[ebx]", true, false, 3, { 0x64, 0x8b, 0x13 } },
        { "mov es:[ebx],r32", true, false, 3, { 0x26, 0x89, 0x13 } },
        { "mov r32,[bx] (address size 16)", true, false, 3, { 0x67, 0x8b, 0x17 } },
        { "lea r32,[ebx+eax*4+disp32]", true, true, 7, { 0x8d, 0x94, 0x83, 4, 0, 0, 0 } },
        { "std; cld", true, false, 2, { 0xfd, 0xfc } },
        { "mov r16,[bx+si]", false, false, 2, { 0x8b, 0x10 } },
        { "mov r16,[bx+disp8]", false, false, 3, { 0x8b, 0x57, 4 } },
        { "mov r16,[abs]", false, false, 2, { 0x8b, 0x16 }, true },
        { "mov [abs],r16", false, false, 2, { 0x89, 0x16 }, true },
        { "mov r16,cs:[bx]", false, false, 3, { 0x2e, 0x8b, 0x17 } },
        { "mov r16,es:[bx]", false, false, 3, { 0x26, 0x8b, 0x17 } },
        { "mov r16,ss:[bx]", false, false, 3, { 0x36, 0x8b, 0x17 } },
        { "mov es:[bx],r16", false, false, 3, { 0x26, 0x89, 0x17 } },
        { "mov r16,[ebx] (address size 32)", false, false, 3, { 0x67, 0x8b, 0x13 } },
        { "mov r32,[ebx] (both sizes 32)", false, false, 4, { 0x66, 0x67, 0x8b, 0x13 } },
        { "std; cld", false, false, 2, { 0xfd, 0xfc } },
    };
    static struct form form;

    for (u32 i = 0; i < ARRAY_SIZE(more); i++) {
        struct recipe r;

        if (more[i].code32 != m->code32 || (m->name == NATIVE && !more[i].native))
            continue;
        form = (struct form){ .in = { .mnem = M(NOP) } };
        strcpy(form.name, more[i].name);
        r = recipe_start(m, &form);
        r.op.n = 0;
        r.regs[EBX] = r.place;
        text_add(&r.op, more[i].n, more[i].bytes);
        if (more[i].absolute)
            text_word(&r.op, m, r.place);
        take(&r);
    }
}
