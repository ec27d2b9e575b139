/*
 * A local APIC, and an I/O APIC wired to it, with the core's side watched.
 */
#ifndef RING3_APIC_RIG_H
#define RING3_APIC_RIG_H

#include "devices/device.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

enum { LAPIC = 0xfee00000, IOAPIC = 0xfec00000 };
enum { /* local APIC registers */
    A_ID = 0x20, A_VERSION = 0x30, A_TPR = 0x80, A_PPR = 0xa0, A_EOI = 0xb0, A_LDR = 0xd0,
    A_DFR = 0xe0, A_SVR = 0xf0, A_ISR = 0x100, A_TMR = 0x180, A_IRR = 0x200, A_ESR = 0x280,
    A_ICR = 0x300, A_ICR2 = 0x310, A_TIMER = 0x320, A_LINT0 = 0x350, A_LINT1 = 0x360,
    A_ERROR = 0x370, A_INITIAL = 0x380, A_CURRENT = 0x390, A_DIVIDE = 0x3e0,
    A_MASKED = 0x10000, A_PERIODIC = 0x20000, A_ENABLED = 0x1ff,
};

/* What the core saw. */
struct apic_core {
    bool intr;
    u32 nmis, inits;
    u8 pic_vector; /* what the 8259s answer an INTA with */
};
extern struct apic_core apic_core;

struct rig *apic_rig(void); /* as after RESET */
u32 apic_read(struct rig *r, u32 reg);
void apic_write(struct rig *r, u32 reg, u32 val);
u32 ioapic_read_reg(struct rig *r, u8 reg);
void ioapic_write_reg(struct rig *r, u8 reg, u32 val);
void ioapic_redirect(struct rig *r, u32 pin, u32 low, u32 high);

#endif
