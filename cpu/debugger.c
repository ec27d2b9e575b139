/*
 * Points of a debugger outside the guest, and its single step.
 *
 * Two bytes of the vcpu say what is watched: watch_code that there are breakpoints, watch_all
 * that data is watched or an instruction stepped. Under watch_all the translator hands
 * everything to the interpreter, as for DR7 and TF; of breakpoints it needs to know the pages
 * only, whose code it leaves to the interpreter. While both are 0 nothing here is asked.
 */
#include "cpu/debugger.h"
#include "cpu/deliver.h"
#include "cpu/interp.h"

#include <stdlib.h>
#include <string.h>

struct point {
    enum debug_point_kind kind;
    gla_t gla;
    u32 len;
};

/* A bit for each linear page. */
enum { PAGE_WORDS = (1 << 20) / 64 };

struct debugger {
    struct point points[MAX_DEBUG_POINTS];
    u32 count;
    u64 pages[PAGE_WORDS];      /* with a breakpoint, */
    u64 told_pages[PAGE_WORDS]; /* and those the engine knows of */
    bool changed;               /* the points, since then */
    bool hit_set, pass_set;
    struct debug_hit hit;
    gla_t pass; /* an instruction that runs despite its breakpoint */
};

/* ---- Points come and go ---- */

static void arm(struct vcpu *cpu)
{
    struct debugger *d = cpu->debugger;
    u8 code = 0, data = 0;

    memset(d->pages, 0, sizeof(d->pages));
    for (u32 i = 0; i < d->count; i++) {
        const struct point *p = &d->points[i];

        if (p->kind != POINT_EXEC) {
            data = WATCH_DATA;
            continue;
        }
        code = 1;
        d->pages[p->gla >> PAGE_SHIFT >> 6] |= 1ull << (p->gla >> PAGE_SHIFT & 63);
    }
    cpu->watch_code = code;
    cpu->watch_all = data;
    d->changed = true;
}

void cpu_debugger_attach(struct vcpu *cpu)
{
    if (!cpu->debugger)
        cpu->debugger = calloc(1, sizeof(*cpu->debugger));
    check(cpu->debugger, "out of memory");
}

void cpu_debugger_detach(struct vcpu *cpu)
{
    struct debugger *d = cpu->debugger;

    if (!d)
        return;
    d->count = 0;
    d->hit_set = d->pass_set = false;
    arm(cpu);
}

static struct point *find_point(struct debugger *d, const struct point *want)
{
    for (u32 i = 0; i < d->count; i++) {
        struct point *p = &d->points[i];

        if (p->kind == want->kind && p->gla == want->gla && p->len == want->len)
            return p;
    }
    return NULL;
}

bool cpu_debugger_insert(struct vcpu *cpu, enum debug_point_kind kind, gla_t gla, u32 len)
{
    struct debugger *d = cpu->debugger;
    struct point p = {kind, gla, kind == POINT_EXEC ? 1 : len};

    if (find_point(d, &p))
        return true;
    if (d->count == MAX_DEBUG_POINTS)
        return false;
    d->points[d->count++] = p;
    arm(cpu);
    return true;
}

bool cpu_debugger_remove(struct vcpu *cpu, enum debug_point_kind kind, gla_t gla, u32 len)
{
    struct debugger *d = cpu->debugger;
    struct point want = {kind, gla, kind == POINT_EXEC ? 1 : len}, *p = find_point(d, &want);

    if (!p)
        return false;
    *p = d->points[--d->count];
    arm(cpu);
    return true;
}

bool cpu_debugger_page(const struct vcpu *cpu, gla_t gla)
{
    return cpu->debugger->pages[gla >> PAGE_SHIFT >> 6] >> (gla >> PAGE_SHIFT & 63) & 1;
}

bool cpu_debugger_pages_changed(struct vcpu *cpu)
{
    struct debugger *d = cpu->debugger;

    if (!d || !d->changed)
        return false;
    d->changed = false;
    if (!memcmp(d->pages, d->told_pages, sizeof(d->pages)))
        return false;
    memcpy(d->told_pages, d->pages, sizeof(d->pages));
    return true;
}

/* ---- Hits ---- */

static void note_hit(struct vcpu *cpu, const struct point *p)
{
    struct debugger *d = cpu->debugger;

    if (!d->hit_set)
        d->hit = (struct debug_hit){p->kind, p->gla};
    d->hit_set = true;
    request_set(cpu, REQ_EVENT);
}

bool cpu_debugger_hit(struct vcpu *cpu, struct debug_hit *hit)
{
    struct debugger *d = cpu->debugger;

    if (!d->hit_set)
        return false;
    *hit = d->hit;
    d->hit_set = false;
    return true;
}

void cpu_debugger_pass(struct vcpu *cpu)
{
    cpu->debugger->pass_set = true;
    cpu->debugger->pass = cpu->seg[CS].base + cpu->eip;
}

bool cpu_debugger_fetch(struct vcpu *cpu, gla_t gla)
{
    struct debugger *d = cpu->debugger;
    bool pass = d->pass_set && d->pass == gla;

    d->pass_set = false;
    if (pass || !cpu_debugger_page(cpu, gla))
        return false;
    for (u32 i = 0; i < d->count; i++)
        if (d->points[i].kind == POINT_EXEC && d->points[i].gla == gla) {
            note_hit(cpu, &d->points[i]);
            return true;
        }
    return false;
}

static bool point_wants(const struct point *p, bool write)
{
    return p->kind == POINT_ACCESS || p->kind == (write ? POINT_WRITE : POINT_READ);
}

void cpu_debugger_access(struct vcpu *cpu, gla_t gla, u32 size, bool write)
{
    struct debugger *d = cpu->debugger;

    for (u32 i = 0; i < d->count; i++) {
        const struct point *p = &d->points[i];

        if (point_wants(p, write) && (gla - p->gla < p->len || p->gla - gla < size))
            note_hit(cpu, p);
    }
}

/* ---- One instruction ---- */

/* The boundary before it: the guest's own #DB, and the shadow of STI ends. True: delivered. */
static bool deliver_trap(struct vcpu *cpu)
{
    bool due = cpu->requests & REQ_TRAP && cpu->db_pending && !cpu->ss_shadow;

    if (cpu->requests)
        cpu_serve_requests(cpu);
    return due;
}

void cpu_debugger_step(struct vcpu *cpu)
{
    u32 late = __atomic_load_n(&cpu->requests, __ATOMIC_SEQ_CST) &
               (REQ_INTR | REQ_NMI | REQ_TIMER | REQ_EVENT);

    request_clear(cpu, late | REQ_HALT);
    if (!deliver_trap(cpu)) {
        cpu_debugger_pass(cpu);
        cpu->watch_all |= WATCH_STEP;
        cpu_run_one(cpu);
        cpu->watch_all &= (u8)~WATCH_STEP;
        cpu->debugger->pass_set = false;
    }
    request_set(cpu, late);
}
