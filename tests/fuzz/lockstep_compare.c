/*
 * All state of the two machines compared, and a difference described.
 */
#include "tests/fuzz/lockstep.h"
#include "bt/tu.h"
#include "cpu/fetch.h"
#include <string.h>

const char *const mode_names[MODES] = { "real",  "prot16", "prot32", "v86",
                                        "paged", "user",   "pae" };

/* But for the addresses of the last FPU instruction, which hosts do not keep alike. */
static bool same_fpu(const struct fxsave *a, const struct fxsave *b)
{
    for (u32 i = 0; i < 8; i++)
        if (memcmp(a->st[i], b->st[i], 10) || memcmp(a->xmm[i], b->xmm[i], 16))
            return false;
    return a->fcw == b->fcw && a->fsw == b->fsw && a->ftw == b->ftw && a->mxcsr == b->mxcsr;
}

/* RF shields from breakpoints: where none is armed, code may let it fall at IRET. */
static u32 seen_eflags(const struct vcpu *c)
{
    return cpu_eflags(c) & ~(u32)(c->dr[7] & 0xff ? 0 : FLAG_RF);
}

/* NULL, or what differs. */
const char *difference(const struct vcpu *a, const struct vcpu *b)
{
    if (a->eip != b->eip)
        return "EIP";
    if (memcmp(a->gpr, b->gpr, sizeof(a->gpr)))
        return "a register";
    if (seen_eflags(a) != seen_eflags(b))
        return "EFLAGS";
    if (memcmp(a->seg, b->seg, sizeof(a->seg)) || a->cpl != b->cpl)
        return "a segment";
    if (a->cr0 != b->cr0 || a->cr2 != b->cr2 || a->cr3 != b->cr3 || a->cr4 != b->cr4)
        return "a control register";
    if (a->gdtr.base != b->gdtr.base || a->gdtr.limit != b->gdtr.limit ||
        a->idtr.base != b->idtr.base || a->idtr.limit != b->idtr.limit)
        return "GDTR or IDTR";
    if (memcmp(a->dr, b->dr, sizeof(a->dr)) || a->efer != b->efer ||
        a->sysenter_cs != b->sysenter_cs || a->sysenter_eip != b->sysenter_eip)
        return "a debug or model-specific register";
    if (a->intr != b->intr)
        return "the interrupt that waits";
    if (a->mid_rep != b->mid_rep)
        return "inside a repeated string instruction";
    if (a->xcr0 != b->xcr0 || memcmp(a->ymm_high, b->ymm_high, sizeof(a->ymm_high)))
        return "XCR0 or the upper half of YMM";
    return same_fpu(&a->fpu, &b->fpu) ? NULL : "the FPU";
}

u32 memory_difference(const struct pair *p)
{
    const u8 *a = mmu_ram(p->interp->mmu), *b = mmu_ram(p->bt->mmu);
    static u32 last; /* where it was found: likely there again */
    u32 i = 0;

    if (a[last] != b[last])
        return last;
    if (!memcmp(a, b, RAM))
        return RAM;
    while (a[i] == b[i])
        i++;
    return last = i;
}

static void print_state(const char *name, const struct vcpu *c)
{
    printf("%-11s", name);
    for (u32 i = 0; i < 8; i++)
        printf(" %08x", c->gpr[i]);
    printf(" eip %08x flags %08x cpl %u cr0 %08x cr2 %08x cr3 %08x cr4 %x\n", c->eip,
           cpu_eflags(c), c->cpl, c->cr0, c->cr2, c->cr3, c->cr4);
    for (u32 s = ES; s <= TR; s++)
        printf("  %04x:%08x/%x/%x", c->seg[s].selector, c->seg[s].base, c->seg[s].limit,
               c->seg[s].attr);
    printf("\n  fcw %04x fsw %04x ftw %02x mxcsr %08x st0 ", c->fpu.fcw, c->fpu.fsw, c->fpu.ftw,
           c->fpu.mxcsr);
    for (u32 i = 10; i-- > 0;)
        printf("%02x", c->fpu.st[0][i]);
    printf(" requests %x events %x\n", c->requests, machine_of(c)->events);
}

void tell_where(const struct pair *p, const char *what)
{
    printf("lockstep: %s: mode %s, seed %llu, launch %u, %llu instructions\n", what,
           mode_names[p->mode], (unsigned long long)p->seed, p->launch,
           (unsigned long long)p->insns);
}

void describe(struct pair *p, const struct vcpu *before, const char *what)
{
    u32 at = before->seg[CS].base + before->eip, byte = memory_difference(p);
    gpa_t gpa;

    tell_where(p, what);
    if (byte < RAM)
        printf("memory at %06x: interpreter %02x, translator %02x\n", byte,
               mmu_ram(p->interp->mmu)[byte], mmu_ram(p->bt->mmu)[byte]);
    printf("code at %08x:", at);
    for (u32 i = 0; i < 48 && mmu_translate(&p->bt->cpu->paging, at + i, &gpa) && gpa < RAM;
         i++)
        printf(" %02x", mmu_ram(p->bt->mmu)[gpa]);
    printf("\n");
    print_state("before", before);
    print_state("interpreter", p->interp->cpu);
    print_state("translator", p->bt->cpu);
}

/* May these bytes store the addresses of the last FPU instruction: FNSTENV, FNSAVE, FXSAVE,
 * XSAVE? */
static bool store_pointers(const u8 *p, u32 n)
{
    static const char prefixes[] = "\x66\x67\x26\x2e\x36\x3e\x64\x65\xf0\xf2\xf3";

    while (n > 2 && memchr(prefixes, *p, sizeof(prefixes) - 1))
        p++, n--;
    if (n > 2 && *p == 0x0f)
        return p[1] == 0xae && (p[2] >> 3 & 3) == 0;
    return n > 1 && (*p == 0xd9 || *p == 0xdd) && (p[1] >> 3 & 7) == 6 && p[1] < 0xc0;
}

bool stores_pointers(struct vcpu *c)
{
    gla_t gla = c->seg[CS].base + c->eip;
    const struct decoded *d = fetch_quick(c);
    u8 bytes[15];
    gpa_t gpa = 0;
    u32 n = 0;

    if (d)
        return store_pointers(d->insn.raw, d->len);
    for (; n < sizeof(bytes); n++, gpa++) {
        if ((!n || !((gla + n) & PAGE_MASK)) && !mmu_translate(&c->paging, gla + n, &gpa))
            break;
        if (gpa >= RAM)
            break;
        bytes[n] = mmu_ram(c->mmu)[gpa];
    }
    return store_pointers(bytes, n);
}
