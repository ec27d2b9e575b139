/*
 * String instructions: MOVS, CMPS, SCAS, LODS, STOS, plain and repeated. SDM vol. 2, "REP".
 *
 * A repeated instruction commits (E)CX, (E)SI and (E)DI after each iteration, or after a span of
 * iterations that cannot fault; a fault therefore leaves the counts of what was done and EIP at the
 * instruction, which restarts. It gives way when requests is set or TF traps each iteration:
 * cpu->mid_rep is set then, and the interpreter leaves EIP where it is.
 *
 * MOVS and STOS upwards on plain memory run a page at a time.
 */
#include "cpu/debug.h"
#include "cpu/hostop.h"
#include "cpu/operand.h"
#include "mmu/mmu.h"

#include <string.h>

HOST_BINARY(cmp, "cmp")

/* One iteration, registers moved on at its end. False: fault, nothing committed. */
typedef bool string_step(struct vcpu *cpu, const struct insn *in, u32 size);

static inline u32 string_size(const struct insn *in)
{
    return in->opcode & 1 ? in->opsize : 1;
}

static inline void string_advance(struct vcpu *cpu, const struct insn *in, enum gpr reg, u32 bytes)
{
    u32 val = cpu->gpr[reg];

    reg_write_masked(cpu, reg, addr_mask(in), cpu->eflags & FLAG_DF ? val - bytes : val + bytes);
}

static bool source_read(struct vcpu *cpu, const struct insn *in, u32 size, u64 *val)
{
    return cpu_read(cpu, in->seg, cpu->gpr[ESI] & addr_mask(in), size, val);
}

/* ES:EDI; its segment cannot be overridden. */
static inline u32 target_offset(const struct vcpu *cpu, const struct insn *in)
{
    return cpu->gpr[EDI] & addr_mask(in);
}

static bool step_movs(struct vcpu *cpu, const struct insn *in, u32 size)
{
    u64 val;

    if (!source_read(cpu, in, size, &val) || !cpu_write(cpu, ES, target_offset(cpu, in), size, val))
        return false;
    string_advance(cpu, in, ESI, size);
    string_advance(cpu, in, EDI, size);
    return true;
}

static bool step_stos(struct vcpu *cpu, const struct insn *in, u32 size)
{
    if (!cpu_write(cpu, ES, target_offset(cpu, in), size, reg_read(cpu, EAX, size)))
        return false;
    string_advance(cpu, in, EDI, size);
    return true;
}

static bool step_lods(struct vcpu *cpu, const struct insn *in, u32 size)
{
    u64 val;

    if (!source_read(cpu, in, size, &val))
        return false;
    reg_write(cpu, EAX, size, (u32)val);
    string_advance(cpu, in, ESI, size);
    return true;
}

static void flags_of_compare(struct vcpu *cpu, u32 size, u32 a, u32 b)
{
    u32 ax = flags_to_ax(cpu->eflags);

    host_cmp(size, a, b, &ax);
    flags_commit(cpu, ax);
}

static bool step_cmps(struct vcpu *cpu, const struct insn *in, u32 size)
{
    u64 a, b;

    /* ES:EDI first: if both fault, hosts report that one */
    if (!cpu_read(cpu, ES, target_offset(cpu, in), size, &b) || !source_read(cpu, in, size, &a))
        return false;
    flags_of_compare(cpu, size, (u32)a, (u32)b);
    string_advance(cpu, in, ESI, size);
    string_advance(cpu, in, EDI, size);
    return true;
}

static bool step_scas(struct vcpu *cpu, const struct insn *in, u32 size)
{
    u64 val;

    if (!cpu_read(cpu, ES, target_offset(cpu, in), size, &val))
        return false;
    flags_of_compare(cpu, size, reg_read(cpu, EAX, size), (u32)val);
    string_advance(cpu, in, EDI, size);
    return true;
}

/* ---- Spans: several iterations at once, where none can fault or be watched ---- */

/* Nobody wants to see single iterations, or waits for the next? */
static bool spans_allowed(const struct vcpu *cpu)
{
    return !(cpu->eflags & (FLAG_DF | FLAG_TF | FLAG_AC)) && !cpu_debug_armed(cpu) &&
           !__atomic_load_n(&cpu->requests, __ATOMIC_RELAXED);
}

/*
 * Host memory at seg:off, and in *bytes how much of it may be used in one go: to the end of the
 * page, of the segment, of the offset's 16 or 32 bits. NULL: iterate instead (which finds faults).
 */
static u8 *host_span(struct vcpu *cpu, const struct insn *in, enum seg seg, u32 off,
                enum mmu_access access, u64 *bytes)
{
    const struct segment *s = &cpu->seg[seg];
    u32 usual = ATTR_P | ATTR_S | SEG_W;
    u32 last = s->limit < addr_mask(in) ? s->limit : addr_mask(in);
    gla_t gla = s->base + off;
    bool fault;

    if ((s->attr & (usual | SEG_CODE | SEG_E)) != usual || off > last)
        return NULL;
    if (*bytes > (u64)last - off + 1)
        *bytes = (u64)last - off + 1;
    if (*bytes > PAGE_SIZE - (gla & PAGE_MASK))
        *bytes = PAGE_SIZE - (gla & PAGE_MASK);
    return access == MMU_WRITE ? mmu_host_overwrite(&cpu->paging, gla, (u32)*bytes, &fault)
                               : mmu_host(&cpu->paging, gla, access, &fault);
}

/* Forward, element by element in effect: a target just above its source repeats a pattern. */
static void copy_up(u8 *dst, const u8 *src, u64 bytes, u32 size)
{
    if (dst <= src || dst >= src + bytes) {
        memmove(dst, src, bytes);
        return;
    }
    for (u64 i = 0; i < bytes; i += size)
        memmove(dst + i, src + i, size);
}

/* `bytes` is a multiple of size; little-endian, as the guest. */
static void fill_elements(u8 *dst, u32 val, u64 bytes, u32 size)
{
    u32 pattern = size == 1   ? (val & 0xff) * 0x01010101u
                  : size == 2 ? (val & 0xffff) * 0x10001u
                              : val;
    u64 i = 0;

    if (pattern == (pattern & 0xff) * 0x01010101u) {
        memset(dst, (int)(pattern & 0xff), bytes);
        return;
    }
    for (; i + 4 <= bytes; i += 4)
        memcpy(dst + i, &pattern, 4);
    if (i < bytes)
        memcpy(dst + i, &pattern, 2);
}

/* Each returns the iterations it has done and committed but for the count; 0: iterate. */
static u32 span_movs(struct vcpu *cpu, const struct insn *in, u32 size, u32 count)
{
    u64 bytes = (u64)count * size;
    u8 *src = host_span(cpu, in, in->seg, cpu->gpr[ESI] & addr_mask(in), MMU_READ, &bytes);
    u8 *dst = src ? host_span(cpu, in, ES, target_offset(cpu, in), MMU_WRITE, &bytes) : NULL;
    u32 n = (u32)(bytes / size);

    if (!dst || !n)
        return 0;
    copy_up(dst, src, (u64)n * size, size);
    string_advance(cpu, in, ESI, n * size);
    string_advance(cpu, in, EDI, n * size);
    return n;
}

static u32 span_stos(struct vcpu *cpu, const struct insn *in, u32 size, u32 count)
{
    u64 bytes = (u64)count * size;
    u8 *dst = host_span(cpu, in, ES, target_offset(cpu, in), MMU_WRITE, &bytes);
    u32 n = (u32)(bytes / size);

    if (!dst || !n)
        return 0;
    fill_elements(dst, cpu->gpr[EAX], (u64)n * size, size);
    string_advance(cpu, in, EDI, n * size);
    return n;
}

/* ---- REP ---- */

typedef u32 string_span(struct vcpu *cpu, const struct insn *in, u32 size, u32 count);

/* What ends the repetition of CMPS and SCAS besides the count. */
enum until { UNTIL_COUNT, UNTIL_ZF };

static inline bool until_met(const struct vcpu *cpu, const struct insn *in, enum until until)
{
    bool zf = cpu->eflags & FLAG_ZF;

    return until == UNTIL_ZF && zf == !!(in->prefixes & PFX_REPNE);
}

/* Somebody wants the CPU between two iterations. */
static inline bool must_pause(struct vcpu *cpu, u32 done)
{
    return cpu_asked(cpu, done) || (cpu->eflags & FLAG_TF);
}

/* CMPS and SCAS that stop half-way show the flags they began with (vol. 2, "CMPS"). */
static inline bool stop_early(struct vcpu *cpu, u32 flags, bool result)
{
    cpu->eflags = (cpu->eflags & ~FLAGS_ARITH) | (flags & FLAGS_ARITH);
    return result;
}

static inline bool repeat_string(struct vcpu *cpu, const struct insn *in, string_step *step,
                          string_span *spans, enum until until)
{
    u32 mask = addr_mask(in), size = string_size(in), flags = cpu->eflags, count, done;

    cpu->mid_rep = 0;
    if (!(in->prefixes & (PFX_REP | PFX_REPNE)))
        return step(cpu, in, size);
    while ((count = cpu->gpr[ECX] & mask)) {
        done = spans && count > 1 && spans_allowed(cpu) ? spans(cpu, in, size, count) : 0;
        if (!done) {
            if (!step(cpu, in, size))
                return stop_early(cpu, flags, false);
            done = 1;
        }
        reg_write_masked(cpu, ECX, mask, count - done);
        if (until_met(cpu, in, until))
            return true;
        if (must_pause(cpu, done < CPU_PATIENCE ? done : CPU_PATIENCE) && count != done) {
            cpu->mid_rep = 1;
            return stop_early(cpu, flags, true);
        }
    }
    return true;
}

bool ex_movs(struct vcpu *cpu, const struct insn *in)
{
    return repeat_string(cpu, in, step_movs, span_movs, UNTIL_COUNT);
}

bool ex_stos(struct vcpu *cpu, const struct insn *in)
{
    return repeat_string(cpu, in, step_stos, span_stos, UNTIL_COUNT);
}

bool ex_lods(struct vcpu *cpu, const struct insn *in)
{
    return repeat_string(cpu, in, step_lods, NULL, UNTIL_COUNT);
}

bool ex_cmps(struct vcpu *cpu, const struct insn *in)
{
    return repeat_string(cpu, in, step_cmps, NULL, UNTIL_ZF);
}

bool ex_scas(struct vcpu *cpu, const struct insn *in)
{
    return repeat_string(cpu, in, step_scas, NULL, UNTIL_ZF);
}
