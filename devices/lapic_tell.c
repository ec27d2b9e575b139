/*
 * The local APIC's state for the monitor, in the format of QEMU 7.2's `info lapic`.
 */
#include "devices/lapic_private.h"

enum {
    SVR_ENABLE = 1 << 8,
    SVR_FOCUS = 1 << 9, /* figure 10-23: focus checking is off */
    ICR_LOGICAL = 1 << 11,
    ICR_ASSERT = 1 << 14,
    ICR_SHORTHAND_SHIFT = 18,
    DELIVERY_NMI = 4,
};

/* SDM vol. 3, 10.5.1 */
static void tell_lvt(const struct lapic *l, const char *name, enum lvt which, FILE *out)
{
    static const char *const deliveries[] = {"Fixed", "LowPri", "SMI",  "...",
                                             "NMI",   "INIT",   "SIPI", "ExtINT"};
    u32 lvt = l->lvt[which], delivery = (lvt & LVT_DELIVERY) >> LVT_DELIVERY_SHIFT;
    const char *mode = which != LVT_TIMER ? "" : lvt & LVT_PERIODIC ? "periodic" : "one-shot";

    fprintf(out, "%s\t 0x%08x %s %-5s %-6s %-7s %-12s %-6s", name, lvt,
            lvt & LVT_POLARITY ? "active-lo" : "active-hi", lvt & LVT_LEVEL ? "level" : "edge",
            lvt & LVT_MASKED ? "masked" : "", lvt & LVT_STATUS ? "pending" : "", mode,
            deliveries[delivery]);
    if (delivery != DELIVERY_NMI)
        fprintf(out, " (vec %u)", lvt & LVT_VECTOR);
    fputc('\n', out);
}

/* n bits of val, the highest first. */
static void tell_mask(u32 val, u32 n, FILE *out)
{
    fprintf(out, " mask ");
    while (n--)
        fputc('0' + (char)(val >> n & 1), out);
    fprintf(out, " (APIC ID)");
}

/* SDM vol. 3, 10.6.1 and 10.6.2 */
static void tell_icr(const struct lapic *l, FILE *out)
{
    static const char *const shorthands[] = {"no-shorthand", "self", "all-self", "all"};
    u32 icr = l->icr[0], shorthand = icr >> ICR_SHORTHAND_SHIFT & 3, to = l->icr[1] >> 24;

    fprintf(out, "ICR\t 0x%08x %s %s %s %s\nICR2\t 0x%08x", icr,
            icr & ICR_LOGICAL ? "logical" : "physical", icr & LVT_LEVEL ? "level" : "edge",
            icr & ICR_ASSERT ? "assert" : "de-assert", shorthands[shorthand], l->icr[1]);
    if (!shorthand && !(icr & ICR_LOGICAL)) {
        fprintf(out, " cpu %u (APIC ID)", to);
    } else if (!shorthand && l->dfr >> 28 == 0xf) {
        tell_mask(to, 8, out);
    } else if (!shorthand) {
        fprintf(out, " cluster %u", to >> 4);
        tell_mask(to, 4, out);
    }
    fputc('\n', out);
}

static void tell_vectors(const char *name, const u32 set[8], const u32 level[8], FILE *out)
{
    bool any = false;

    fprintf(out, "%s\t ", name);
    for (u32 i = 0; i < 256; i++)
        if (set[i / 32] >> i % 32 & 1) {
            fprintf(out, "%u%s ", i, level[i / 32] >> i % 32 & 1 ? "(level)" : "");
            any = true;
        }
    fprintf(out, "%s\n", any ? "" : "(none)");
}

static void tell_timer(struct lapic *l, FILE *out)
{
    u32 divide = l->timer_divide, code = (divide & 3) | (divide >> 1 & 4);

    fprintf(out, "Timer\t DCR=0x%x (divide by %u) initial_count = %u current_count = %u\n",
            divide, code == 7 ? 1 : 2u << code, l->timer_initial, lapic_timer_current(l));
}

void lapic_tell(struct device *dev, FILE *out)
{
    struct lapic *l = (struct lapic *)dev;
    u32 ppr = lapic_ppr(l);

    fprintf(out, "dumping local APIC state for CPU 0 \n\n");
    tell_lvt(l, "LVT0", LVT_LINT0, out);
    tell_lvt(l, "LVT1", LVT_LINT1, out);
    tell_lvt(l, "LVTPC", LVT_PERF, out);
    tell_lvt(l, "LVTERR", LVT_ERROR, out);
    tell_lvt(l, "LVTTHMR", LVT_THERMAL, out);
    tell_lvt(l, "LVTT", LVT_TIMER, out);
    tell_timer(l, out);
    fprintf(out, "SPIV\t 0x%08x APIC %s, focus=%s, spurious vec %u\n", l->svr,
            l->svr & SVR_ENABLE ? "enabled" : "disabled", l->svr & SVR_FOCUS ? "on" : "off",
            l->svr & 0xff);
    tell_icr(l, out);
    fprintf(out, "ESR\t 0x%08x\n", l->esr);
    tell_vectors("ISR", l->isr, l->tmr, out);
    tell_vectors("IRR", l->irr, l->tmr, out);
    fprintf(out, "\nAPR 0x%02x TPR 0x%02x DFR 0x%02x LDR 0x%02x PPR 0x%02x\n", ppr, l->tpr,
            l->dfr >> 28, l->ldr >> 24, ppr);
}
