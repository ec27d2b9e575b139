/*
 * Registers for a debugger: one row each, in the order of QEMU's i386 target, from which the
 * description (target.xml; GDB's manual, appendix "Target Descriptions"), reading and writing
 * are made.
 */
#include "runtime/control/gdb_registers.h"
#include "cpu/control.h"
#include "cpu/deliver.h"
#include "cpu/fpu.h"
#include "cpu/segment.h"

#include <stdlib.h>
#include <string.h>

enum kind { GPR, EIP, FLAGS, SEGMENT, BASE, NONE, CR, EFER, ST, X87, XMM, MXCSR };
enum x87 { X87_CTRL, X87_STAT, X87_TAG, X87_ISEG, X87_IOFF, X87_OSEG, X87_OOFF, X87_OP };

static const struct row {
    const char *name, *type;
    enum kind kind;
    u32 index; /* in its kind */
} rows[] = {
    {"eax", "int32", GPR, EAX},      {"ecx", "int32", GPR, ECX},
    {"edx", "int32", GPR, EDX},      {"ebx", "int32", GPR, EBX},
    {"esp", "data_ptr", GPR, ESP},   {"ebp", "data_ptr", GPR, EBP},
    {"esi", "int32", GPR, ESI},      {"edi", "int32", GPR, EDI},
    {"eip", "code_ptr", EIP, 0},     {"eflags", "eflags", FLAGS, 0},
    {"cs", "int32", SEGMENT, CS},    {"ss", "int32", SEGMENT, SS},
    {"ds", "int32", SEGMENT, DS},    {"es", "int32", SEGMENT, ES},
    {"fs", "int32", SEGMENT, FS},    {"gs", "int32", SEGMENT, GS},
    {"fs_base", "int32", BASE, FS},  {"gs_base", "int32", BASE, GS},
    {"k_gs_base", "int32", NONE, 0}, /* of 64-bit processors, as CR8 */
    {"cr0", "cr0", CR, 0},           {"cr2", "int32", CR, 2},
    {"cr3", "int32", CR, 3},         {"cr4", "cr4", CR, 4},
    {"cr8", "int32", NONE, 0},       {"efer", "int32", EFER, 0},
    {"st0", "i387_ext", ST, 0},      {"st1", "i387_ext", ST, 1},
    {"st2", "i387_ext", ST, 2},      {"st3", "i387_ext", ST, 3},
    {"st4", "i387_ext", ST, 4},      {"st5", "i387_ext", ST, 5},
    {"st6", "i387_ext", ST, 6},      {"st7", "i387_ext", ST, 7},
    {"fctrl", "int", X87, X87_CTRL}, {"fstat", "int", X87, X87_STAT},
    {"ftag", "int", X87, X87_TAG},   {"fiseg", "int", X87, X87_ISEG},
    {"fioff", "int", X87, X87_IOFF}, {"foseg", "int", X87, X87_OSEG},
    {"fooff", "int", X87, X87_OOFF}, {"fop", "int", X87, X87_OP},
    {"xmm0", "vec128", XMM, 0},      {"xmm1", "vec128", XMM, 1},
    {"xmm2", "vec128", XMM, 2},      {"xmm3", "vec128", XMM, 3},
    {"xmm4", "vec128", XMM, 4},      {"xmm5", "vec128", XMM, 5},
    {"xmm6", "vec128", XMM, 6},      {"xmm7", "vec128", XMM, 7},
    {"mxcsr", "mxcsr", MXCSR, 0},
};

u32 gdb_register_count(void)
{
    return ARRAY_SIZE(rows);
}

u32 gdb_register_size(u32 n)
{
    return rows[n].kind == ST ? 10 : rows[n].kind == XMM ? 16 : 4;
}

/* ---- Reading ---- */

static u32 control_register(const struct vcpu *cpu, u32 n)
{
    return n == 0 ? cpu->cr0 : n == 2 ? cpu->cr2 : n == 3 ? cpu->cr3 : cpu->cr4;
}

static u32 x87_register(const struct fxsave *fx, enum x87 n)
{
    switch (n) {
    case X87_CTRL:
        return fx->fcw;
    case X87_STAT:
        return fx->fsw;
    case X87_TAG:
        return fpu_full_tags(fx);
    case X87_ISEG:
        return fx->fcs;
    case X87_IOFF:
        return fx->fip;
    case X87_OSEG:
        return fx->fds;
    case X87_OOFF:
        return fx->fdp;
    default:
        return fx->fop;
    }
}

static u32 read_word(const struct vcpu *cpu, const struct row *r)
{
    switch (r->kind) {
    case GPR:
        return cpu->gpr[r->index];
    case EIP:
        return cpu->eip;
    case FLAGS:
        return cpu_eflags(cpu);
    case SEGMENT:
        return cpu->seg[r->index].selector;
    case BASE:
        return cpu->seg[r->index].base;
    case CR:
        return control_register(cpu, r->index);
    case EFER:
        return cpu->efer;
    case X87:
        return x87_register(&cpu->fpu, (enum x87)r->index);
    case MXCSR:
        return cpu->fpu.mxcsr;
    default:
        return 0;
    }
}

void gdb_register_read(const struct vcpu *cpu, u32 n, u8 *buf)
{
    const struct row *r = &rows[n];
    u32 word;

    if (r->kind == ST) {
        memcpy(buf, cpu->fpu.st[r->index], 10);
    } else if (r->kind == XMM) {
        memcpy(buf, cpu->fpu.xmm[r->index], 16);
    } else {
        word = read_word(cpu, r);
        memcpy(buf, &word, 4);
    }
}

/* ---- Writing ---- */

/* The descriptor of a selector, with no effect on the guest. */
static bool read_descriptor(struct vcpu *cpu, u16 selector, u32 desc[2])
{
    gla_t gla;
    gpa_t gpa;

    if (!segment_descriptor_gla(cpu, selector, &gla) || (gla & PAGE_MASK) > PAGE_SIZE - 8 ||
        !mmu_translate(&cpu->paging, gla, &gpa) || !mmu_phys_is_memory(cpu->mmu, gpa, false))
        return false;
    mmu_phys_read(cpu->mmu, gpa, desc, 8);
    return desc_present(desc);
}

/* May the segment register have it, while the CPL stays? */
static bool descriptor_fits(const struct vcpu *cpu, enum seg seg, u16 selector,
                            const u32 desc[2])
{
    bool inner = desc_dpl(desc) < cpu->cpl;

    if (seg == CS)
        return desc_is_code(desc) && (selector & 3) == cpu->cpl &&
               (desc_is_conforming(desc) ? desc_dpl(desc) <= cpu->cpl
                                         : desc_dpl(desc) == cpu->cpl);
    if (seg == SS)
        return desc_is_writable(desc) && desc_dpl(desc) == cpu->cpl &&
               (selector & 3) == cpu->cpl;
    if (!(desc_type(desc) & SEG_S) || (desc_is_code(desc) && !(desc_type(desc) & SEG_R)))
        return false;
    return desc_is_conforming(desc) || !inner;
}

static bool write_segment(struct vcpu *cpu, enum seg seg, u32 selector)
{
    u32 desc[2];

    if (selector > 0xffff)
        return false;
    if (!cpu_protected(cpu)) {
        cpu_load_segment_real(cpu, seg, (u16)selector);
        return true;
    }
    if (selector_null((u16)selector) && seg != CS && seg != SS) {
        segment_make_null(&cpu->seg[seg], (u16)selector);
        return true;
    }
    if (!read_descriptor(cpu, (u16)selector, desc) ||
        !descriptor_fits(cpu, seg, (u16)selector, desc))
        return false;
    cpu_unpack_descriptor(&cpu->seg[seg], (u16)selector, desc);
    return true;
}

static bool write_flags(struct vcpu *cpu, u32 val)
{
    const u32 mask = FLAGS_ARITH | FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_RF |
                     FLAG_AC | FLAG_VIF | FLAG_VIP | FLAG_ID;

    if ((val ^ cpu->eflags) & FLAG_VM)
        return false; /* that is another mode, with other segments */
    cpu_set_eflags(cpu, val, mask);
    return true;
}

/* As MOV to it; CR0.PE stays, with which segments change their meaning. */
static bool write_control(struct vcpu *cpu, u32 n, u32 val)
{
    bool done = n == 0   ? !((val ^ cpu->cr0) & CR0_PE) && cpu_set_cr0(cpu, val)
                : n == 3 ? cpu_set_cr3(cpu, val)
                : n == 4 ? cpu_set_cr4(cpu, val)
                         : true;

    if (n == 2)
        cpu->cr2 = val;
    cpu->exc_vector = EXC_NONE; /* a refusal is ours to tell, and no #GP */
    return done;
}

static bool write_x87(struct vcpu *cpu, enum x87 n, u32 val)
{
    struct fxsave *fx = &cpu->fpu;

    switch (n) {
    case X87_CTRL:
        fx->fcw = fpu_fcw(val);
        break;
    case X87_STAT:
        fx->fsw = (u16)val; /* ST0 to ST7 keep their values, whatever TOP says */
        break;
    case X87_TAG:
        fx->ftw = fpu_short_tags((u16)val);
        break;
    case X87_ISEG:
        fx->fcs = (u16)val;
        break;
    case X87_IOFF:
        fx->fip = val;
        break;
    case X87_OSEG:
        fx->fds = (u16)val;
        break;
    case X87_OOFF:
        fx->fdp = val;
        break;
    case X87_OP:
        fx->fop = val & 0x7ff;
        break;
    }
    fpu_summarize(cpu);
    return true;
}

static bool write_mxcsr(struct vcpu *cpu, u32 val)
{
    if (val & ~fpu_mxcsr_mask(cpu))
        return false;
    cpu->fpu.mxcsr = val;
    return true;
}

static bool write_word(struct vcpu *cpu, const struct row *r, u32 val)
{
    switch (r->kind) {
    case GPR:
        cpu->gpr[r->index] = val;
        return true;
    case EIP:
        cpu->eip = val;
        cpu->mid_rep = 0;
        return true;
    case FLAGS:
        return write_flags(cpu, val);
    case SEGMENT:
        return write_segment(cpu, (enum seg)r->index, val);
    case CR:
        return write_control(cpu, r->index, val);
    case X87:
        return write_x87(cpu, (enum x87)r->index, val);
    case MXCSR:
        return write_mxcsr(cpu, val);
    default:
        return false; /* bases follow their selectors */
    }
}

bool gdb_register_write(struct vcpu *cpu, u32 n, const u8 *buf)
{
    const struct row *r = &rows[n];
    u8 now[GDB_REGISTER_BYTES];
    u32 word;

    gdb_register_read(cpu, n, now);
    if (!memcmp(now, buf, gdb_register_size(n)))
        return true;
    if (r->kind == ST) {
        memcpy(cpu->fpu.st[r->index], buf, 10);
        return true;
    }
    if (r->kind == XMM) {
        memcpy(cpu->fpu.xmm[r->index], buf, 16);
        return true;
    }
    memcpy(&word, buf, 4);
    return write_word(cpu, r, word);
}

/* ---- The description ---- */

/* Types of flags: a name for each bit, as the manual prints them. */
static const struct flags {
    const char *type;
    struct {
        const char *name;
        u8 first, last;
    } bits[18]; /* until there is no name */
} flag_types[] = {
    {"eflags",
     {{"CF", 0, 0},
      {"PF", 2, 2},
      {"AF", 4, 4},
      {"ZF", 6, 6},
      {"SF", 7, 7},
      {"TF", 8, 8},
      {"IF", 9, 9},
      {"DF", 10, 10},
      {"OF", 11, 11},
      {"IOPL", 12, 13},
      {"NT", 14, 14},
      {"RF", 16, 16},
      {"VM", 17, 17},
      {"AC", 18, 18},
      {"VIF", 19, 19},
      {"VIP", 20, 20},
      {"ID", 21, 21}}},
    {"cr0",
     {{"PE", 0, 0},
      {"MP", 1, 1},
      {"EM", 2, 2},
      {"TS", 3, 3},
      {"ET", 4, 4},
      {"NE", 5, 5},
      {"WP", 16, 16},
      {"AM", 18, 18},
      {"NW", 29, 29},
      {"CD", 30, 30},
      {"PG", 31, 31}}},
    {"cr4",
     {{"VME", 0, 0},
      {"PVI", 1, 1},
      {"TSD", 2, 2},
      {"DE", 3, 3},
      {"PSE", 4, 4},
      {"PAE", 5, 5},
      {"MCE", 6, 6},
      {"PGE", 7, 7},
      {"PCE", 8, 8},
      {"OSFXSR", 9, 9},
      {"OSXMMEXCPT", 10, 10}}},
    {"mxcsr",
     {{"IE", 0, 0},
      {"DE", 1, 1},
      {"ZE", 2, 2},
      {"OE", 3, 3},
      {"UE", 4, 4},
      {"PE", 5, 5},
      {"DAZ", 6, 6},
      {"IM", 7, 7},
      {"DM", 8, 8},
      {"ZM", 9, 9},
      {"OM", 10, 10},
      {"UM", 11, 11},
      {"PM", 12, 12},
      {"RC", 13, 14},
      {"FZ", 15, 15}}},
};

static void put_flags(FILE *f, const struct flags *t)
{
    fprintf(f, "<flags id=\"%s\" size=\"4\">", t->type);
    for (u32 i = 0; i < ARRAY_SIZE(t->bits) && t->bits[i].name; i++)
        fprintf(f, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>", t->bits[i].name,
                t->bits[i].first, t->bits[i].last);
    fprintf(f, "</flags>\n");
}

/* An XMM register by its elements. */
static const char vector_types[] =
    "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>\n"
    "<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>\n"
    "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>\n"
    "<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>\n"
    "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>\n"
    "<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>\n"
    "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" "
    "type=\"v2d\"/>"
    "<field name=\"v16_int8\" type=\"v16i8\"/><field name=\"v8_int16\" type=\"v8i16\"/>"
    "<field name=\"v4_int32\" type=\"v4i32\"/><field name=\"v2_int64\" type=\"v2i64\"/>"
    "<field name=\"uint128\" type=\"uint128\"/></union>\n";

static void put_feature(FILE *f, const char *name, bool sse)
{
    fprintf(f, "<feature name=\"%s\">\n", name);
    for (u32 i = 0; i < ARRAY_SIZE(flag_types); i++)
        if (!strcmp(flag_types[i].type, "mxcsr") == sse)
            put_flags(f, &flag_types[i]);
    if (sse)
        fputs(vector_types, f);
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
        if ((rows[i].kind == XMM || rows[i].kind == MXCSR) == sse)
            fprintf(f, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"%s/>\n",
                    rows[i].name, 8 * gdb_register_size(i), rows[i].type, i,
                    rows[i].kind == X87     ? " group=\"float\""
                    : rows[i].kind == MXCSR ? " group=\"vector\""
                                            : "");
    fputs("</feature>\n", f);
}

char *gdb_register_xml(void)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    check(f, "out of memory");
    fputs("<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
          "<target version=\"1.0\">\n<architecture>i386</architecture>\n",
          f);
    put_feature(f, "org.gnu.gdb.i386.core", false);
    put_feature(f, "org.gnu.gdb.i386.sse", true);
    fputs("</target>\n", f);
    fclose(f);
    return text;
}
