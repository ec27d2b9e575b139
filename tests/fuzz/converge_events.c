/*
 * The events of converge, and the table of rows that says when they come and what addresses the
 * slots see.
 */
#include "tests/fuzz/converge.h"
#include "mmu/pte.h"
#include <string.h>

/* ---- When: a schedule over the rows ---- */

struct schedule {
    enum { ALWAYS, EVERY, RANDOM, PHASES, ONCE } kind;
    u32 n;
};

static struct schedule random_schedule(void)
{
    static const u32 every[] = {2, 3, 5, 33, 65, 100, 129, 257, 258, 300};
    static const u32 phases[] = {4, 50, 150, 270, 500};
    struct schedule s = {.kind = cv_pick(8) ? EVERY + cv_pick(4) : ALWAYS};

    s.n = s.kind == EVERY    ? CV_ONE_OF(every)
          : s.kind == PHASES ? CV_ONE_OF(phases)
          : s.kind == RANDOM ? 1u << cv_pick(9)
                             : 0;
    return s;
}

static bool is_on(const struct schedule *s, u32 row)
{
    switch (s->kind) {
    case ALWAYS:
        return true;
    case EVERY:
        return row % s->n == 0;
    case RANDOM:
        return !cv_pick(s->n + 1);
    case PHASES:
        return row / s->n % 2;
    default:
        return row == 0;
    }
}

/* ---- What: routines of 64 bytes at most, with the row's argument in EAX; ESI stays ---- */

/* and eax, mask;  add eax, base;  mov [at], al, ax or eax */
static void patch(struct cv_gen *g)
{
    const struct cv_point *t = &g->p->point[cv_pick(g->p->points)];
    u32 word = cv_code32(g->p) ? 4 : 2;

    CV(g, 0x25);
    cv_imm(g, t->and, word);
    CV(g, 0x05);
    cv_imm(g, t->add, word);
    if ((t->size == 2) == cv_code32(g->p) && t->size > 1)
        CV(g, 0x66);
    CV(g, (u8)(t->size > 1 ? 0xa3 : 0xa2));
    cv_address(g, t->at);
}

/* A copy of a slot with other bytes at its points. */
static u32 make_template(struct cv_program *p, u32 slot)
{
    u32 at = CV_SITES + slot * CV_SLOT_SIZE,
        to = CV_TEMPLATES + cv_pick(PAGE_SIZE / CV_SLOT_SIZE) * CV_SLOT_SIZE;

    memcpy(p->image + to, p->image + at, CV_SLOT_SIZE);
    for (u32 i = 0; i < p->points; i++) {
        const struct cv_point *t = &p->point[i];
        u32 val = (cv_rnd() & t->and) + t->add;

        if (t->at >= at && t->at < at + CV_SLOT_SIZE)
            memcpy(p->image + to + (t->at - at), &val, t->size);
    }
    return to;
}

/* Of several instructions, maybe:
 * push esi;  mov esi, from;  mov edi, to;  mov ecx, n;  cld;  rep movsb;  pop esi */
static void copy_code(struct cv_gen *g, u32 n)
{
    u32 slot = cv_pick(g->p->slots), off = cv_pick(CV_SLOT_SIZE - n),
        from = make_template(g->p, slot);

    CV(g, 0x56, 0xbe);
    cv_address(g, from + off);
    CV(g, 0xbf);
    cv_address(g, CV_SITES + slot * CV_SLOT_SIZE + off);
    CV(g, 0xb9);
    cv_imm(g, n, cv_code32(g->p) ? 4 : 2);
    CV(g, 0xfc, 0xf3, 0xa4, 0x5e);
}

/* movq mm0, [from];  movq [to], mm0;  or movups, 16 bytes */
static void copy_wide(struct cv_gen *g, bool sse)
{
    u32 slot = cv_pick(g->p->slots), off = cv_pick(CV_SLOT_SIZE - 16),
        from = make_template(g->p, slot);
    u8 rm = cv_code32(g->p) ? 5 : 6;

    CV(g, 0x0f, (u8)(sse ? 0x10 : 0x6f), rm);
    cv_address(g, from + off);
    CV(g, 0x0f, (u8)(sse ? 0x11 : 0x7f), rm);
    cv_address(g, CV_SITES + slot * CV_SLOT_SIZE + off);
}

/* mov [in the page of sites or events, where no code is], eax */
static void neighbour(struct cv_gen *g)
{
    CV(g, 0xa3);
    cv_address(g, (cv_pick(2) ? CV_BESIDE_EVENTS : CV_SITES + 0xc00) + cv_pick(0x80) * 4);
}

/* xor dword [flags], bits */
static void change_flags(struct cv_gen *g)
{
    CV(g, 0x81, (u8)(cv_code32(g->p) ? 0x35 : 0x36));
    cv_address(g, CV_FLAGS);
    cv_imm(g, cv_pick(2) || !cv_code32(g->p) ? FLAG_DF : FLAG_AC, cv_code32(g->p) ? 4 : 2);
}

/* mov dx, selector;  mov gs, dx */
static void change_gs(struct cv_gen *g)
{
    static const u16 flat[] = {CV_USER_DS, CV_ODD_DS, CV_LIMITED_DS, CV_ODD_DS},
                     prot16[] = {CV_KERNEL_DS, CV_ODD_DS, CV_LIMITED_DS},
                     real[] = {0x1000, 0x1001, 0x0f80};
    u32 selector = cv_code32(g->p)         ? CV_ONE_OF(flat)
                   : g->p->mode == CV_REAL ? CV_ONE_OF(real)
                                           : CV_ONE_OF(prot16);

    if (cv_code32(g->p))
        CV(g, 0x66);
    CV(g, 0xba);
    cv_imm(g, selector, 2);
    CV(g, 0x8e, 0xea);
}

/* mov eax, crN;  xor eax, bit;  mov crN, eax */
static void change_control(struct cv_gen *g, u8 cr, u32 bit)
{
    CV(g, 0x0f, 0x20, (u8)(0xc0 | cr << 3));
    if (!cv_code32(g->p))
        CV(g, 0x66);
    CV(g, 0x35);
    cv_imm(g, bit, 4);
    CV(g, 0x0f, 0x22, (u8)(0xc0 | cr << 3));
}

/* ---- Of paging ---- */

static u32 table_of(u32 space)
{
    return CV_DIRECTORY + space * 0x2000 + PAGE_SIZE;
}

static void store32(struct cv_gen *g, u32 at, u32 val)
{
    CV(g, 0xc7, 0x05);
    cv_imm(g, at, 4);
    cv_imm(g, val, 4);
}

/* invlpg [page], or mov edx, cr3;  mov cr3, edx */
static void flush_page(struct cv_gen *g, u32 page)
{
    if (cv_pick(3)) {
        CV(g, 0x0f, 0x01, 0x3d);
        cv_imm(g, page << 12, 4);
    } else {
        CV(g, 0x0f, 0x20, 0xda, 0x0f, 0x22, 0xda);
    }
}

/* Absent, write-protected, the supervisor's, other memory, a device, or what it was. */
static u32 random_entry(u32 page)
{
    u32 frame = page >= CV_ALIAS >> 12 ? page - (CV_ALIAS >> 12) : page,
        all = PTE_P | PTE_W | PTE_U;

    switch (cv_pick(8)) {
    case 0:
        return frame << 12 | PTE_W | PTE_U;
    case 1:
        return frame << 12 | PTE_P | PTE_U;
    case 2:
        return frame << 12 | PTE_P | PTE_W;
    case 3:
        return CV_DEVICE | all;
    case 4:
        return (frame + 0x51) << 12 | all;
    default:
        return frame << 12 | all | (cv_pick(2) ? PTE_A | PTE_D : 0);
    }
}

static void change_entry(struct cv_gen *g)
{
    u32 page = cv_pick(2) ? CV_FLIP >> 12 : (CV_ALIAS + (cv_pick(2) ? CV_DATA : CV_FLIP)) >> 12,
        at = table_of(!cv_pick(4)) + page * 4;

    if (cv_pick(3)) {
        store32(g, at, random_entry(page));
    } else { /* xor dword [at], PTE_P or _W */
        CV(g, 0x83, 0x35);
        cv_imm(g, at, 4);
        CV(g, (u8)(cv_pick(2) ? PTE_P : PTE_W));
    }
    flush_page(g, page);
}

/* The sites by the one or the other copy: xor dword [entry], 1000 */
static void change_code_page(struct cv_gen *g)
{
    for (u32 space = 0; space < 2; space++) {
        CV(g, 0x81, 0x35);
        cv_imm(g, table_of(space) + (CV_SITES >> 12) * 4, 4);
        cv_imm(g, PAGE_SIZE, 4);
    }
    flush_page(g, CV_SITES >> 12);
}

/* mov edx, directory;  mov cr3, edx */
static void change_space(struct cv_gen *g)
{
    CV(g, 0xba);
    cv_imm(g, CV_DIRECTORY + cv_pick(2) * 0x2000, 4);
    CV(g, 0x0f, 0x22, 0xda);
}

static void paging_event(struct cv_gen *g)
{
    switch (cv_pick(10)) {
    case 0:
    case 1:
        change_space(g);
        break;
    case 2:
        change_control(g, 0, CR0_PG);
        break;
    case 3:
        change_control(g, 4, CR4_PGE);
        break;
    case 4:
        change_control(g, 0, CR0_WP);
        break;
    case 5:
        change_code_page(g);
        break;
    case 6:
        flush_page(g, (CV_DATA >> 12) + cv_pick(4));
        break;
    default:
        change_entry(g);
    }
}

static void make_event(struct cv_gen *g)
{
    u32 kind = cv_pick(cv_paged(g->p) ? 20 : 12);

    if (kind < 5 && g->p->points)
        patch(g);
    else if (kind == 5)
        copy_code(g, 1 + cv_pick(32));
    else if (kind == 6)
        copy_wide(g, cv_pick(2));
    else if (kind == 7)
        neighbour(g);
    else if (kind == 8)
        change_gs(g);
    else if (kind == 9)
        change_control(g, 0, cv_pick(4) ? CR0_AM : CR0_TS);
    else if (kind < 12)
        change_flags(g);
    else
        paging_event(g);
}

/* The first does nothing. */
void cv_make_events(struct cv_program *p)
{
    p->events = 2 + cv_pick(7);
    for (u32 i = 0; i < p->events; i++) {
        struct cv_gen g = {p, CV_EVENTS + i * CV_EVENT_SIZE};

        if (i)
            make_event(&g);
        CV(&g, 0xc3);
        check(g.at <= CV_EVENTS + (i + 1) * CV_EVENT_SIZE, "an event too long");
    }
    p->image[CV_EVENTS + p->events * CV_EVENT_SIZE] = 0xc3;
}

/* ---- Addresses ---- */

enum place {
    ALIGNED,
    ODD,
    CROSSES,
    DEVICE,
    ODD_DEVICE,
    CODE_PAGE,
    TABLES,
    FLIP,
    ALIAS,
    ROM,
    NOBODY,
    PLACES
};

static u32 odd(u32 at)
{
    return at + 1 + cv_pick(3);
}

static u32 random_crossing(const struct cv_program *p)
{
    static const u32 ends[] = {CV_DATA + 0x1000, CV_DATA + 0x2000, CV_FLIP + 0x1000, CV_DEVICE,
                               CV_ROM};

    return (p->seed & 1 ? CV_ONE_OF(ends) : ends[0]) - 1 - cv_pick(3);
}

static u32 address_in(const struct cv_program *p, enum place place)
{
    u32 off = cv_pick(0x40) * 16 + 0x100;

    switch (place) {
    case ODD:
        return odd(CV_DATA + off);
    case CROSSES:
        return random_crossing(p);
    case DEVICE:
        return CV_DEVICE + off;
    case ODD_DEVICE:
        return odd(CV_DEVICE + off);
    case CODE_PAGE:
        return CV_BESIDE_EVENTS + (off & 0x1ff) + cv_pick(2);
    case TABLES: /* entries of pages nobody uses */
        return cv_paged(p) ? table_of(0) + 0xe00 + (off & 0xff) : CV_DEVICE + off;
    case FLIP:
        return CV_FLIP + off;
    case ALIAS:
        return cv_paged(p) ? CV_ALIAS + (cv_pick(2) ? CV_DATA : CV_FLIP) + off : CV_DATA + off;
    case ROM:
        return CV_ROM + off;
    case NOBODY:
        return cv_code32(p) ? CV_NOBODY + off : CV_ROM + off;
    default:
        return CV_DATA + off;
    }
}

/* Exceptions are pushed to the stack, and what is pushed is popped. */
static bool fits(bool on_stack, enum place place)
{
    return !on_stack || place <= CODE_PAGE;
}

static enum place random_place(bool on_stack)
{
    enum place place = (enum place)cv_pick(PLACES);

    return fits(on_stack, place) ? place : ODD;
}

/* What a slot sees: usually one place, and others by their schedules. */
struct course {
    enum place usual, other[2];
    struct schedule when[2];
    bool moves; /* another address each time */
};

static struct course random_course(bool on_stack)
{
    struct course c = {.usual = cv_pick(2) ? ALIGNED : random_place(on_stack),
                       .moves = cv_pick(2)};

    for (u32 i = 0; i < 2; i++) {
        c.other[i] = random_place(on_stack);
        c.when[i] = random_schedule();
    }
    return c;
}

static void fill_addresses(struct cv_program *p, u32 slot)
{
    struct course c = random_course(p->on_stack[slot]);
    u32 fixed[PLACES], word = cv_code32(p) ? 4 : 2;

    for (u32 i = 0; i < PLACES; i++)
        fixed[i] = address_in(p, (enum place)i);
    for (u32 row = 0; row < p->rows; row++) {
        enum place place = is_on(&c.when[1], row)   ? c.other[1]
                           : is_on(&c.when[0], row) ? c.other[0]
                                                    : c.usual;
        u32 at = c.moves ? address_in(p, place) : fixed[place];

        if (place == CROSSES && p->on_stack[slot] && at >= CV_FLIP)
            at = CV_DATA + PAGE_SIZE - 2;
        if (!cv_code32(p))
            at -= CV_REGION;
        memcpy(p->image + CV_ROWS + row * 16 * word + (4 + slot) * word, &at, word);
    }
}

/* ---- Rows ---- */

static void put_field(struct cv_program *p, u32 row, u32 field, u32 val)
{
    u32 word = cv_code32(p) ? 4 : 2;

    memcpy(p->image + CV_ROWS + (row * 16 + field) * word, &val, word);
}

/* By which code segment the slots run. */
static u32 random_code_segment(const struct cv_program *p)
{
    static const u32 real[] = {0x1000, 0x1000, 0x0ffc, 0x0f80},
                     flat[] = {CV_KERNEL_CS, CV_KERNEL_CS, CV_LIMITED_CS},
                     user[] = {CV_USER_CS, CV_KERNEL_CS, CV_LIMITED_USER_CS, CV_USER_CS};

    return p->mode == CV_REAL   ? CV_ONE_OF(real)
           : p->mode == CV_USER ? CV_ONE_OF(user)
                                : CV_ONE_OF(flat);
}

static u32 event_address(const struct cv_program *p, u32 event)
{
    return CV_EVENTS + event * CV_EVENT_SIZE - (cv_code32(p) ? 0 : CV_REGION);
}

void cv_make_rows(struct cv_program *p)
{
    struct schedule when[CV_MAX_EVENTS], turn = random_schedule();
    u32 first = random_code_segment(p), second = random_code_segment(p);

    for (u32 i = 0; i < p->slots; i++)
        fill_addresses(p, i);
    for (u32 i = 1; i < p->events; i++)
        when[i] = random_schedule();
    for (u32 row = 0; row < p->rows; row++) {
        u32 due[2] = {0, 0}, start = cv_pick(p->events);

        for (u32 i = 0; i < p->events; i++) {
            u32 event = (start + i) % p->events;

            if (event && is_on(&when[event], row))
                due[due[0] ? 1 : 0] = event;
        }
        put_field(p, row, 0, event_address(p, due[0]));
        put_field(p, row, 1, event_address(p, due[1]));
        put_field(p, row, 2, is_on(&turn, row) ? second : first);
        put_field(p, row, 3, cv_rnd());
    }
}
