/*
 * The guest of converge: its main loop, handlers, tables and machine.
 *
 * A turn of the loop takes a row of the table: two events are called, then the slots run, at
 * the privilege and by the code segment that the row says. After an exception the next slot
 * follows: slots are of 64 bytes each, so handlers find it.
 */
#include "tests/fuzz/converge.h"
#include "cpu/reset.h"
#include "cpu/segment.h"
#include "mmu/pte.h"
#include "mmu/state.h"
#include "runtime/parts.h"
#include <string.h>

u64 cv_random;

void cv_bytes(struct cv_gen *g, const u8 *bytes, u32 n)
{
    memcpy(g->p->image + g->at, bytes, n);
    g->at += n;
}

void cv_imm(struct cv_gen *g, u32 val, u32 n)
{
    cv_bytes(g, (const u8 *)&val, n);
}

void cv_address(struct cv_gen *g, u32 at)
{
    if (cv_code32(g->p))
        cv_imm(g, at, 4);
    else
        cv_imm(g, at - CV_REGION, 2);
}

/* ---- The main loop ---- */

/* jcc or jmp rel32 to a place before */
static void jump_back(struct cv_gen *g, u32 to)
{
    u32 size = cv_code32(g->p) ? 4 : 2;

    cv_imm(g, to - (g->at + size), size);
}

/* mov esp, stack;  mov esi, [row];  mov eax, [esi+12];  call [esi];  mov eax, [esi+12];
 * call [esi+4];  test byte [esi+8], 3;  jnz user;  push dword [flags];  popf;
 * push dword [esi+8];  push slots;  retf
 * user: push data;  push stack;  push dword [flags];  push dword [esi+8];  push slots;  iret */
static void main32(struct cv_gen *g)
{
    CV(g, 0xbc);
    cv_imm(g, CV_STACK, 4);
    CV(g, 0x8b, 0x35);
    cv_imm(g, CV_ROW_AT, 4);
    CV(g, 0x8b, 0x46, 0x0c, 0xff, 0x16, 0x8b, 0x46, 0x0c, 0xff, 0x56, 0x04);
    CV(g, 0xf6, 0x46, 0x08, 3, 0x75, 16, 0xff, 0x35);
    cv_imm(g, CV_FLAGS, 4);
    CV(g, 0x9d, 0xff, 0x76, 0x08, 0x68);
    cv_imm(g, CV_SITES, 4);
    CV(g, 0xcb, 0x6a, CV_USER_DS, 0x68);
    cv_imm(g, CV_USER_STACK, 4);
    CV(g, 0xff, 0x35);
    cv_imm(g, CV_FLAGS, 4);
    CV(g, 0xff, 0x76, 0x08, 0x68);
    cv_imm(g, CV_SITES, 4);
    CV(g, 0xcf);
}

/* mov sp, stack;  mov si, [row];  mov ax, fs:[si+6];  call fs:[si];  mov ax, fs:[si+6];
 * call fs:[si+2];  push word [flags];  popf;  push word fs:[si+4];  push slots;  retf
 * In real mode, CS and IP by which the slots are where they are:
 * mov ax, 1000;  sub ax, fs:[si+4];  shl ax, 4;  add ax, slots;  push word fs:[si+4];  push ax
 */
static void main16(struct cv_gen *g)
{
    CV(g, 0xbc);
    cv_address(g, CV_STACK);
    CV(g, 0x8b, 0x36);
    cv_address(g, CV_ROW_AT);
    CV(g, 0x64, 0x8b, 0x44, 0x06, 0x64, 0xff, 0x14, 0x64, 0x8b, 0x44, 0x06, 0x64, 0xff, 0x54,
       0x02, 0xff, 0x36);
    cv_address(g, CV_FLAGS);
    CV(g, 0x9d);
    if (g->p->mode == CV_REAL) {
        CV(g, 0xb8, 0x00, 0x10, 0x64, 0x2b, 0x44, 0x04, 0xc1, 0xe0, 4, 0x05);
        cv_address(g, CV_SITES);
        CV(g, 0x64, 0xff, 0x74, 0x04, 0x50, 0xcb);
    } else {
        CV(g, 0x64, 0xff, 0x74, 0x04, 0x68);
        cv_address(g, CV_SITES);
        CV(g, 0xcb);
    }
}

/* mov esi, [row];  add esi, 64;  cmp esi, end;  jb 1f;  mov esi, rows;  1: mov [row], esi;
 * dec dword [turns];  jnz loop;  hlt */
static void tail32(struct cv_gen *g)
{
    CV(g, 0x8b, 0x35);
    cv_imm(g, CV_ROW_AT, 4);
    CV(g, 0x83, 0xc6, 64, 0x81, 0xfe);
    cv_imm(g, CV_ROWS + g->p->rows * 64, 4);
    CV(g, 0x72, 5, 0xbe);
    cv_imm(g, CV_ROWS, 4);
    CV(g, 0x89, 0x35);
    cv_imm(g, CV_ROW_AT, 4);
    CV(g, 0xff, 0x0d);
    cv_imm(g, CV_TURNS, 4);
    CV(g, 0x0f, 0x85);
    jump_back(g, CV_MAIN);
    CV(g, 0xf4);
}

/* The same;  jz 1f;  jmp far loop;  1: hlt */
static void tail16(struct cv_gen *g)
{
    CV(g, 0x8b, 0x36);
    cv_address(g, CV_ROW_AT);
    CV(g, 0x83, 0xc6, 32, 0x81, 0xfe);
    cv_imm(g, g->p->rows * 32, 2);
    CV(g, 0x72, 3, 0xbe, 0, 0, 0x89, 0x36);
    cv_address(g, CV_ROW_AT);
    CV(g, 0x66, 0xff, 0x0e);
    cv_address(g, CV_TURNS);
    CV(g, 0x74, 5, 0xea, 0, 0);
    cv_imm(g, g->p->mode == CV_REAL ? CV_REGION >> 4 : CV_KERNEL_CS, 2);
    CV(g, 0xf4);
}

/* ---- Handlers ---- */

enum {
    HANDLER = CV_HANDLERS,
    ERROR_HANDLER = CV_HANDLERS + 0x40,
    INT_HANDLER = CV_HANDLERS + 0x80,
    TAIL = CV_HANDLERS + 0x100,
};

/* On with the next 64 bytes. */
static void make_handlers(struct cv_program *p)
{
    struct cv_gen g = {p, HANDLER};

    if (cv_code32(p)) { /* or dword [esp], 63;  inc dword [esp];  iret */
        CV(&g, 0x83, 0x0c, 0x24, 63, 0xff, 0x04, 0x24, 0xcf);
        g.at = ERROR_HANDLER;
        CV(&g, 0x83, 0xc4, 4, 0x83, 0x0c, 0x24, 63, 0xff, 0x04, 0x24, 0xcf);
    } else { /* push bp;  mov bp, sp;  or word [bp+2], 63;  inc word [bp+2];  pop bp;  iret */
        CV(&g, 0x55, 0x8b, 0xec, 0x83, 0x4e, 2, 63, 0xff, 0x46, 2, 0x5d, 0xcf);
        g.at = ERROR_HANDLER;
        CV(&g, 0x83, 0xc4, 2, 0x55, 0x8b, 0xec, 0x83, 0x4e, 2, 63, 0xff, 0x46, 2, 0x5d, 0xcf);
    }
    g.at = INT_HANDLER;
    CV(&g, 0xcf);
}

static void make_vectors(struct cv_program *p)
{
    static const u32 with_error = 1u << EXC_DF | 1u << EXC_TS | 1u << EXC_NP | 1u << EXC_SS |
                                  1u << EXC_GP | 1u << EXC_PF | 1u << EXC_AC;

    u32 base = cv_code32(p) ? 0 : CV_REGION, type = cv_code32(p) ? 0xee00 : 0xe600;

    for (u32 v = 0; v < 256; v++) {
        u32 to = v == 0x68                                   ? TAIL
                 : v >= 0x20                                 ? INT_HANDLER
                 : with_error >> v & 1 && p->mode != CV_REAL ? ERROR_HANDLER
                                                             : HANDLER;
        u32 off = to - base, vector = (CV_REGION >> 4) << 16 | off,
            gate[2] = {CV_KERNEL_CS << 16 | (off & 0xffff), (off & 0xffff0000) | type};

        if (p->mode == CV_REAL)
            memcpy(p->image + v * 4, &vector, 4);
        else
            memcpy(p->image + CV_IDT + v * 8, gate, 8);
    }
}

static void make_loop(struct cv_program *p)
{
    struct cv_gen g = {p, CV_MAIN};

    if (cv_code32(p))
        main32(&g);
    else
        main16(&g);
    g.at = TAIL;
    if (cv_code32(p))
        tail32(&g);
    else
        tail16(&g);
    g.at = CV_SITES + p->slots * CV_SLOT_SIZE;
    if (cv_code32(p)) { /* int 68 */
        CV(&g, 0xcd, 0x68);
    } else { /* jmp tail */
        CV(&g, 0xe9);
        jump_back(&g, TAIL);
    }
}

/* ---- Tables ---- */

static void descriptor(struct cv_program *p, u32 selector, u32 base, u32 limit, u32 attr)
{
    u32 d[2] = {base << 16 | (limit & 0xffff),
                (base & 0xff000000) | (base >> 16 & 0xff) | attr << 8 | (limit & 0xf0000)};

    memcpy(p->image + CV_GDT + (selector & ~7u), d, 8);
}

static void make_gdt16(struct cv_program *p)
{
    descriptor(p, CV_KERNEL_CS, CV_REGION, 0xffff, 0x9b);
    descriptor(p, CV_LIMITED_CS, CV_REGION, 0xdfff, 0x9b);
    descriptor(p, CV_KERNEL_DS, CV_REGION, 0xffff, 0x93);
    descriptor(p, CV_ODD_DS, CV_REGION + 4, 0xffff, 0xf3);
    descriptor(p, CV_LIMITED_DS, CV_REGION, 0x5fff, 0xf3);
}

static void make_gdt32(struct cv_program *p)
{
    descriptor(p, CV_KERNEL_CS, 0, 0xfffff, 0xc09b);
    descriptor(p, CV_KERNEL_DS, 0, 0xfffff, 0xc093);
    descriptor(p, CV_USER_CS, 0, 0xfffff, 0xc0fb);
    descriptor(p, CV_USER_DS, 0, 0xfffff, 0xc0f3);
    descriptor(p, CV_TR, CV_TSS, 0x67, 0x8b);
    descriptor(p, CV_LIMITED_CS, 0, 0x3ffff, 0x409b);
    descriptor(p, CV_LIMITED_USER_CS, 0, 0x3ffff, 0x40fb);
    descriptor(p, CV_ODD_DS, 4, 0xfffff, 0xc0f3);
    descriptor(p, CV_LIMITED_DS, 0, 0x15fff, 0x40f3);
    memcpy(p->image + CV_TSS + 4, &(u32){CV_STACK}, 4);
    memcpy(p->image + CV_TSS + 8, &(u32){CV_KERNEL_DS}, 4);
}

/* Two directories, of which the second has other frames for data. */
static void make_pages(struct cv_program *p)
{
    for (u32 n = 0; n < 2; n++) {
        u32 directory = CV_DIRECTORY + n * 0x2000, table = directory + PAGE_SIZE;
        u32 e = table | PTE_P | PTE_W | PTE_U;

        memcpy(p->image + directory, &e, 4);
        for (u32 page = 0; page < 1024; page++) {
            u32 frame = page >= CV_ALIAS >> 12 ? page - (CV_ALIAS >> 12) : page;

            if (n && (frame == CV_FLIP >> 12 || frame == (CV_DATA >> 12) + 1))
                frame += 0x50;
            e = frame << 12 | PTE_P | PTE_W | PTE_U;
            memcpy(p->image + table + page * 4, &e, 4);
        }
    }
}

static void make_data(struct cv_program *p)
{
    for (u32 at = CV_DATA; at < CV_USER_STACK - 0x400; at++)
        if (at < CV_DEVICE || at >= CV_TEMPLATES)
            p->image[at] = (u8)(cv_pick(3) ? cv_rnd() : 0);
    memcpy(p->image + CV_TURNS, &p->turns, 4);
    memcpy(p->image + CV_ROW_AT, &(u32){cv_code32(p) ? CV_ROWS : 0}, 4);
    memcpy(p->image + CV_FLAGS, &(u32){FLAG_1}, 4);
}

static u32 random_rows(void)
{
    static const u32 rows[] = {100, 258, 300, 600, 1030, 1100, 2047};

    return CV_ONE_OF(rows);
}

void cv_make(struct cv_program *p, u64 seed)
{
    cv_random = seed * 0x9e3779b97f4a7c15ull + 0x1234567;
    for (u32 i = 0; i < 8; i++)
        cv_rnd();
    memset(p->image, 0, sizeof(p->image));
    p->seed = seed;
    p->mode = (enum cv_mode)(seed % CV_MODES);
    p->slots = 4 + cv_pick(CV_SLOTS - 3);
    p->rows = random_rows();
    p->points = 0;
    make_data(p);
    make_handlers(p);
    make_vectors(p);
    if (cv_code32(p))
        make_gdt32(p);
    else
        make_gdt16(p);
    make_pages(p);
    make_loop(p);
    for (u32 i = 0; i < p->slots; i++)
        cv_make_slot(p, i);
    cv_make_events(p);
    cv_make_rows(p);
    memcpy(p->image + CV_SITES_COPY, p->image + CV_SITES, PAGE_SIZE);
}

/* ---- The machine ---- */

struct scratch {
    struct device dev;
    u8 bytes[PAGE_SIZE];
};

static void scratch_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    memcpy(((struct scratch *)dev)->bytes + off, &val, size);
}

static u32 scratch_read(struct device *dev, u32 off, enum io_size size)
{
    u32 val = 0;

    memcpy(&val, ((struct scratch *)dev)->bytes + off, size);
    return val;
}

static bool scratch_attach(struct device *dev)
{
    static const struct io_ops ops = {scratch_read, scratch_write, IO_8 | IO_16 | IO_32};

    return bus_claim_memory(dev, CV_DEVICE, PAGE_SIZE, &ops);
}

static const struct device_class scratch_class = {
    .name = "scratch",
    .size = sizeof(struct scratch),
    .attach = scratch_attach,
};

struct machine *cv_machine(struct options *o)
{
    struct machine *m = machine_bare(o);

    m->clock_manual = true;
    check(device_new(m, &scratch_class, NULL), "no device");
    mmu_map_phys(m->mmu, CV_ROM, PAGE_SIZE, mmu_alloc(m->mmu, PAGE_SIZE), NULL);
    return m;
}

static void start_real(struct vcpu *c)
{
    for (u32 s = ES; s <= GS; s++)
        cpu_load_segment_real(c, s, s == FS ? CV_ROWS >> 4 : CV_REGION >> 4);
    c->eip = 0;
}

static void start_segments32(struct vcpu *c)
{
    for (u32 s = ES; s <= GS; s++)
        c->seg[s] = (struct segment){0, ~0u, CV_USER_DS, 0xc0f3};
    c->seg[SS] = (struct segment){0, ~0u, CV_KERNEL_DS, 0xc093};
    c->seg[CS] = (struct segment){0, ~0u, CV_KERNEL_CS, 0xc09b};
    c->eip = CV_MAIN;
}

static void start_segments16(struct vcpu *c)
{
    for (u32 s = ES; s <= GS; s++)
        c->seg[s] = (struct segment){CV_REGION, 0xffff, CV_KERNEL_DS, 0x93};
    c->seg[FS] = (struct segment){CV_ROWS, 0xffff, CV_ROWS_DS, 0x93};
    c->seg[CS] = (struct segment){CV_REGION, 0xffff, CV_KERNEL_CS, 0x9b};
    c->eip = 0;
}

static void start_protected(struct vcpu *c, const struct cv_program *p)
{
    if (cv_code32(p))
        start_segments32(c);
    else
        start_segments16(c);
    c->seg[TR] = (struct segment){CV_TSS, 0x67, CV_TR, 0x8b};
    c->gdtr = (struct table_register){CV_GDT, CV_GDT_SIZE - 1};
    c->idtr = (struct table_register){CV_IDT, 0x7ff};
    c->cr0 |= CR0_PE | CR0_AM | CR0_WP;
    if (cv_paged(p))
        c->cr0 |= CR0_PG;
    c->cr3 = CV_DIRECTORY;
}

void cv_start(struct machine *m, const struct cv_program *p)
{
    bool unmasked = !(p->seed / CV_MODES % 16);
    struct vcpu *c = m->cpu;

    phys_write(m, 0, p->image, CV_RAM);
    cpu_reset(c);
    c->cr0 |= CR0_NE | CR0_MP;
    c->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
    c->int_flag = 0;
    c->fpu.fcw = unmasked ? 0x340 : 0x37f;
    if (unmasked && p->known) { /* errors are to be ignored, as DOS asks by port F0 */
        c->cr0 &= ~(u32)CR0_NE;
        c->ignne = true;
    }
    if (p->mode == CV_REAL)
        start_real(c);
    else
        start_protected(c, p);
    check(mmu_mode_changed(&c->paging, false), "no paging");
    mmu_cpl_changed(&c->paging, false);
    m->mmu->direct_map_run = p->seed / CV_MODES % 4 ? 3 : 32;
}
