/*
 * Instructions on the processor's own state: control registers, descriptor-table and task
 * registers, segment registers, flags with their privileges, HLT, SYSENTER and SYSEXIT.
 * SDM vol. 2, by mnemonic; vol. 3, chapter 2.
 *
 * Rows in ops_sys.def have tested the privilege where a row can; what depends on more is here.
 */
#include "cpu/control.h"
#include "cpu/cpuid.h"
#include "cpu/deliver.h"
#include "cpu/far.h"
#include "cpu/operand.h"

/* ---- Control registers ---- */

static bool paging_changed(struct vcpu *cpu, bool pdptes)
{
    return mmu_mode_changed(&cpu->paging, pdptes) || cpu_fault(cpu, EXC_GP, 0);
}

/* Does this change of paging make a PAE processor read the PDPTEs (vol. 3, 4.4.1)? */
static bool pdptes_needed(const struct vcpu *cpu, u32 cr0, u32 cr4)
{
    u32 watch0 = CR0_PG | CR0_CD | CR0_NW, watch4 = CR4_PAE | CR4_PGE | CR4_PSE;

    if (!(cr0 & CR0_PG) || !(cr4 & CR4_PAE))
        return false;
    return (cr0 ^ cpu->cr0) & watch0 || (cr4 ^ cpu->cr4) & watch4;
}

bool cpu_set_cr0(struct vcpu *cpu, u32 val)
{
    u32 valid = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW |
                CR0_CD | CR0_PG;
    u32 old = cpu->cr0;
    bool pdptes;

    if ((val & CR0_PG && !(val & CR0_PE)) || (val & CR0_NW && !(val & CR0_CD)))
        return cpu_fault(cpu, EXC_GP, 0);
    val = (val & valid) | CR0_ET;
    pdptes = pdptes_needed(cpu, val, cpu->cr4);
    cpu->cr0 = val;
    /* PE alone is nothing to paging: it changes only where PG is clear, or with it */
    if ((val ^ old) & (CR0_PG | CR0_WP | CR0_CD | CR0_NW) && !paging_changed(cpu, pdptes)) {
        cpu->cr0 = old;
        mmu_mode_changed(&cpu->paging, false);
        return false;
    }
    if ((val ^ old) & (CR0_PE | CR0_PG))
        trace(TRACE_CPU, "cr0 %08x at %04x:%08x", val, cpu->seg[CS].selector, cpu->eip);
    return true;
}

bool cpu_set_cr3(struct vcpu *cpu, u32 val)
{
    u32 old = cpu->cr3;

    cpu->cr3 = val;
    if (paging_changed(cpu, cpu->cr0 & CR0_PG && cpu->cr4 & CR4_PAE))
        return true;
    cpu->cr3 = old;
    mmu_mode_changed(&cpu->paging, false);
    return false;
}

/* The bits of CR4 that this model has; the others are reserved. */
static u32 cr4_valid(const struct vcpu *cpu)
{
    static const struct {
        u8 feature;
        u32 bits;
    } rows[] = {
        { FEAT_VME, CR4_VME | CR4_PVI }, { FEAT_TSC, CR4_TSD },
        { FEAT_DE, CR4_DE }, { FEAT_PSE, CR4_PSE },
        { FEAT_PAE, CR4_PAE }, { FEAT_MSR, CR4_MCE },
        { FEAT_PGE, CR4_PGE }, { FEAT_CMOV, CR4_PCE },
        { FEAT_FXSR, CR4_OSFXSR }, { FEAT_SSE, CR4_OSXMMEXCPT },
        { FEAT_XSAVE, CR4_OSXSAVE },
    };
    u32 valid = 0;

    for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
        if (cpu_has(cpu, rows[i].feature))
            valid |= rows[i].bits;
    return valid;
}

bool cpu_has_cr4(const struct vcpu *cpu)
{
    return cr4_valid(cpu);
}

bool cpu_set_cr4(struct vcpu *cpu, u32 val)
{
    u32 old = cpu->cr4;
    bool pdptes;

    if (val & ~cr4_valid(cpu))
        return cpu_fault(cpu, EXC_GP, 0);
    pdptes = pdptes_needed(cpu, cpu->cr0, val);
    cpu->cr4 = val;
    if ((val ^ old) & CR4_OSXSAVE)
        cpu->cpuid_version++; /* leaf 1 shows it */
    if ((val ^ old) & (CR4_PSE | CR4_PAE | CR4_PGE) && !paging_changed(cpu, pdptes)) {
        cpu->cr4 = old;
        mmu_mode_changed(&cpu->paging, false);
        return false;
    }
    return true;
}

static bool write_cr(struct vcpu *cpu, u32 n, u32 val)
{
    switch (n) {
    case 0:
        cpu->stats.cr0_writes++;
        return cpu_set_cr0(cpu, val);
    case 2:
        cpu->cr2 = val;
        return true;
    case 3:
        cpu->stats.cr3_writes++;
        return cpu_set_cr3(cpu, val);
    case 4:
        cpu->stats.cr4_writes++;
        if (cr4_valid(cpu))
            return cpu_set_cr4(cpu, val);
        break;
    }
    return cpu_fault(cpu, EXC_UD, 0);
}

static bool read_cr(struct vcpu *cpu, u32 n, u32 *val)
{
    const u32 regs[] = { cpu->cr0, 0, cpu->cr2, cpu->cr3, cpu->cr4 };

    if (n > 4 || n == 1 || (n == 4 && !cr4_valid(cpu)))
        return cpu_fault(cpu, EXC_UD, 0);
    cpu->stats.cr3_reads += n == 3;
    *val = regs[n];
    return true;
}

bool ex_mov_cr(struct vcpu *cpu, const struct insn *in)
{
    bool write = in->op[0].kind == OP_CR;
    u32 n = in->op[write ? 0 : 1].reg, val = 0;

    if (n > 4 || n == 1)
        return cpu_fault(cpu, EXC_UD, 0);
    if (cpu->cpl != 0)
        return cpu_fault(cpu, EXC_GP, 0);
    if (write)
        return write_cr(cpu, n, cpu->gpr[in->op[1].reg]);
    if (!read_cr(cpu, n, &val))
        return false;
    cpu->gpr[in->op[0].reg] = val;
    return true;
}

/* Writes an operand of 16 bits; a register of 32 bits gets `wide`. */
static bool write_word(struct vcpu *cpu, const struct insn *in, u32 wide)
{
    if (in->op[0].kind == OP_MEM)
        return cpu_write(cpu, in->seg, insn_offset(cpu, in), 2, wide & 0xffff);
    reg_write(cpu, in->op[0].reg, in->opsize, wide);
    return true;
}

/* LMSW: PE, MP, EM, TS; PE cannot be cleared. */
bool ex_lmsw(struct vcpu *cpu, const struct insn *in)
{
    u32 mask = CR0_PE | CR0_MP | CR0_EM | CR0_TS;
    u16 val;

    if (!op_read_word(cpu, in, 0, &val))
        return false;
    cpu->stats.cr0_writes++;
    return cpu_set_cr0(cpu, (cpu->cr0 & ~mask) | (val & mask) | (cpu->cr0 & CR0_PE));
}

bool ex_smsw(struct vcpu *cpu, const struct insn *in)
{
    return write_word(cpu, in, cpu->cr0);
}

bool ex_clts(struct vcpu *cpu, const struct insn *in)
{
    cpu->stats.clts++;
    cpu->cr0 &= ~(u32)CR0_TS;
    return true;
}

bool ex_invlpg(struct vcpu *cpu, const struct insn *in)
{
    cpu->stats.invlpgs++;
    mmu_invlpg(&cpu->paging, cpu->seg[in->seg].base + insn_offset(cpu, in));
    return true;
}

/* WBINVD, INVD: memory is always coherent here. */
bool ex_wbinvd(struct vcpu *cpu, const struct insn *in)
{
    return true;
}

bool ex_hlt(struct vcpu *cpu, const struct insn *in)
{
    cpu->stats.hlts++;
    request_set(cpu, REQ_HALT);
    return true;
}

/* ---- Descriptor tables, LDTR, TR ---- */

static bool load_table(struct vcpu *cpu, const struct insn *in, struct table_register *t)
{
    u32 off = insn_offset(cpu, in);
    u8 image[6];

    if (!cpu_read_bytes(cpu, in->seg, off, image, 6))
        return false;
    t->limit = (u16)(image[0] | image[1] << 8);
    t->base = image[2] | (u32)image[3] << 8 | (u32)image[4] << 16 | (u32)image[5] << 24;
    if (in->opsize == 2)
        t->base &= 0xffffff;
    return true;
}

bool ex_lgdt(struct vcpu *cpu, const struct insn *in)
{
    return load_table(cpu, in, &cpu->gdtr);
}

bool ex_lidt(struct vcpu *cpu, const struct insn *in)
{
    return load_table(cpu, in, &cpu->idtr);
}

/* All 32 bits of the base are stored, whatever the operand size, as P6 does. */
static bool store_table(struct vcpu *cpu, const struct insn *in, const struct table_register *t)
{
    u8 image[6] = { (u8)t->limit,        (u8)(t->limit >> 8), (u8)t->base,
                    (u8)(t->base >> 8), (u8)(t->base >> 16), (u8)(t->base >> 24) };

    return cpu_write_bytes(cpu, in->seg, insn_offset(cpu, in), image, 6);
}

bool ex_sgdt(struct vcpu *cpu, const struct insn *in)
{
    return store_table(cpu, in, &cpu->gdtr);
}

bool ex_sidt(struct vcpu *cpu, const struct insn *in)
{
    return store_table(cpu, in, &cpu->idtr);
}

bool ex_sldt(struct vcpu *cpu, const struct insn *in)
{
    return write_word(cpu, in, cpu->seg[LDTR].selector);
}

bool ex_str(struct vcpu *cpu, const struct insn *in)
{
    return write_word(cpu, in, cpu->seg[TR].selector);
}

/* A system descriptor in the GDT, of a type in the set `types`. */
static bool read_system(struct vcpu *cpu, u16 selector, u32 types, u32 desc[2])
{
    if (selector & 4)
        return cpu_fault(cpu, EXC_GP, selector_error(selector));
    if (!cpu_read_descriptor(cpu, selector, EXC_GP, desc))
        return false;
    if (!(types >> desc_type(desc) & 1))
        return cpu_fault(cpu, EXC_GP, selector_error(selector));
    if (!desc_present(desc))
        return cpu_fault(cpu, EXC_NP, selector_error(selector));
    return true;
}

bool ex_lldt(struct vcpu *cpu, const struct insn *in)
{
    u32 desc[2] = { 0 };
    u16 selector;

    if (!op_read_word(cpu, in, 0, &selector))
        return false;
    if (selector_null(selector)) {
        segment_make_null(&cpu->seg[LDTR], selector);
        return true;
    }
    if (!read_system(cpu, selector, 1u << TYPE_LDT, desc))
        return false;
    cpu_unpack_descriptor(&cpu->seg[LDTR], selector, desc);
    return true;
}

bool ex_ltr(struct vcpu *cpu, const struct insn *in)
{
    u32 desc[2] = { 0 };
    u16 selector;

    if (!op_read_word(cpu, in, 0, &selector))
        return false;
    if (selector_null(selector))
        return cpu_fault(cpu, EXC_GP, 0);
    if (!read_system(cpu, selector, 1u << TYPE_TSS16 | 1u << TYPE_TSS32, desc) ||
        !segment_set_busy(cpu, selector, true))
        return false;
    cpu_unpack_descriptor(&cpu->seg[TR], selector, desc);
    cpu->seg[TR].attr |= TYPE_TSS16_BUSY & ~TYPE_TSS16; /* the busy bit */
    return true;
}

/* ---- Segment registers ---- */

/* A load of SS by MOV or POP holds back interrupts and debug traps for one instruction. */
static void shadow_ss(struct vcpu *cpu, u32 seg)
{
    if (seg != SS)
        return;
    cpu->ss_shadow = 1;
    request_set(cpu, REQ_SHADOW);
}

bool ex_mov_to_seg(struct vcpu *cpu, const struct insn *in)
{
    u32 seg = in->op[0].reg;
    u16 selector;

    if (seg == CS || seg > GS)
        return cpu_fault(cpu, EXC_UD, 0);
    if (!op_read_word(cpu, in, 1, &selector) || !cpu_load_segment(cpu, seg, selector))
        return false;
    shadow_ss(cpu, seg);
    return true;
}

bool ex_mov_from_seg(struct vcpu *cpu, const struct insn *in)
{
    return write_word(cpu, in, cpu->seg[in->op[1].reg].selector);
}

/* A 32-bit push writes only the selector's 16 bits and leaves the upper half of the slot alone. */
bool ex_push_seg(struct vcpu *cpu, const struct insn *in)
{
    u32 mask = cpu_stack_mask(cpu), esp = cpu->gpr[ESP] - in->opsize;

    if (!cpu_write(cpu, SS, esp & mask, 2, cpu->seg[in->op[0].reg].selector))
        return false;
    cpu->gpr[ESP] = (cpu->gpr[ESP] & ~mask) | (esp & mask);
    return true;
}

bool ex_pop_seg(struct vcpu *cpu, const struct insn *in)
{
    u32 skip = 0, val, esp = cpu->gpr[ESP], seg = in->op[0].reg;

    if (!cpu_pop(cpu, 2, &skip, &val)) /* only the selector is read */
        return false;
    cpu_pop_commit(cpu, in->opsize); /* by the old SS's size */
    if (!cpu_load_segment(cpu, seg, (u16)val)) {
        cpu->gpr[ESP] = esp;
        return false;
    }
    shadow_ss(cpu, seg);
    return true;
}

/* LDS, LES, LSS, LFS, LGS: offset, then selector. */
static bool load_pointer(struct vcpu *cpu, const struct insn *in, enum seg seg)
{
    u32 mem = insn_offset(cpu, in), next = mem + in->opsize;
    u64 off, selector;

    if (in->addrsize == 2)
        next &= 0xffff;
    if (!cpu_read(cpu, in->seg, mem, in->opsize, &off) ||
        !cpu_read(cpu, in->seg, next, 2, &selector) ||
        !cpu_load_segment(cpu, seg, (u16)selector))
        return false;
    reg_write(cpu, in->op[0].reg, in->opsize, (u32)off);
    return true;
}

bool ex_lds(struct vcpu *cpu, const struct insn *in)
{
    return load_pointer(cpu, in, DS);
}

bool ex_les(struct vcpu *cpu, const struct insn *in)
{
    return load_pointer(cpu, in, ES);
}

bool ex_lss(struct vcpu *cpu, const struct insn *in)
{
    return load_pointer(cpu, in, SS);
}

bool ex_lfs(struct vcpu *cpu, const struct insn *in)
{
    return load_pointer(cpu, in, FS);
}

bool ex_lgs(struct vcpu *cpu, const struct insn *in)
{
    return load_pointer(cpu, in, GS);
}

/* ---- SYSENTER, SYSEXIT: flat segments by decree (vol. 2) ---- */

static void flat_segment(struct vcpu *cpu, enum seg seg, u16 selector, u32 type, u32 dpl)
{
    cpu->seg[seg] = (struct segment){
        0, 0xffffffff, selector,
        (u16)(type | SEG_S | SEG_A | ATTR_P | dpl << ATTR_DPL_SHIFT | ATTR_DB | ATTR_G)
    };
}

static void enter_flat(struct vcpu *cpu, u16 cs, u32 cpl, u32 eip, u32 esp)
{
    flat_segment(cpu, CS, (u16)(cs | cpl), SEG_CODE | SEG_R, cpl);
    flat_segment(cpu, SS, (u16)((cs + 8) | cpl), SEG_W, cpl);
    cpu->gpr[ESP] = esp;
    cpu->eip = eip;
    cpu_set_cpl(cpu, cpl);
}

bool ex_sysenter(struct vcpu *cpu, const struct insn *in)
{
    u16 cs = cpu->sysenter_cs & 0xfffc;

    if (!(cpu->cr0 & CR0_PE) || !cs)
        return cpu_fault(cpu, EXC_GP, 0);
    cpu_set_eflags(cpu, 0, FLAG_VM | FLAG_IF | FLAG_RF);
    enter_flat(cpu, cs, 0, cpu->sysenter_eip, cpu->sysenter_esp);
    return true;
}

bool ex_sysexit(struct vcpu *cpu, const struct insn *in)
{
    u16 cs = cpu->sysenter_cs & 0xfffc;

    if (!(cpu->cr0 & CR0_PE) || !cs || cpu->cpl != 0)
        return cpu_fault(cpu, EXC_GP, 0);
    enter_flat(cpu, (u16)(cs + 16), 3, cpu->gpr[EDX], cpu->gpr[ECX]);
    return true;
}
