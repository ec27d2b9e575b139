/*
 * String instructions: MOVS, CMPS, SCAS, LODS, STOS, plain and repeated. SDM vol. 2, "REP".
 *
 * A repeated instruction commits (E)CX, (E)SI and (E)DI after each iteration, or after a span of
 * iterations that cannot fault; a fault therefore leaves the counts of what was done and EIP at the
 * instruction, which restarts. It gives way when requests is set or TF traps each iteration:
 * cpu->mid_rep is set then, and the interpreter leaves EIP where it is.
 *
 * On plain memory they run a page at a time, in both directions.
 */
#include "cpu/debug.h"
#include "cpu/debugger.h"
#include "cpu/deliver.h"
#include "cpu/hostop.h"
#include "cpu/operand.h"
#include "mmu/mmu.h"
#include "mmu/spte.h"

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
    return !(cpu->eflags & (FLAG_TF | FLAG_AC)) && !cpu_debug_armed(cpu) &&
           !__atomic_load_n(&cpu->requests, __ATOMIC_RELAXED);
}

static inline bool runs_down(const struct vcpu *cpu)
{
    return cpu->eflags & FLAG_DF;
}

/* From one element to the next, in bytes. */
static inline i64 stride(const struct vcpu *cpu, u32 size)
{
    return runs_down(cpu) ? -(i64)size : size;
}

/*
 * Elements from seg:off on, in the direction of DF, that lie in one page, in the segment, and before
 * the offset wraps: at most `count`; 0: the first does not.
 */
static u32 elements_within(const struct vcpu *cpu, const struct insn *in, enum seg seg, u32 off,
                           u32 size, u32 count)
{
    const struct segment *s = &cpu->seg[seg];
    u32 usual = ATTR_P | ATTR_S | SEG_W;
    u32 last = s->limit < addr_mask(in) ? s->limit : addr_mask(in);
    u32 in_page = (s->base + off) & PAGE_MASK;
    u64 up = PAGE_SIZE - in_page, n;

    if (up > (u64)last - off + 1)
        up = (u64)last - off + 1;
    if ((s->attr & (usual | SEG_CODE | SEG_E)) != usual || off > last || up < size)
        return 0;
    n = !runs_down(cpu) ? up / size : (in_page < off ? in_page : off) / size + 1;
    return n < count ? (u32)n : count;
}

/*
 * Host memory of the element at seg:off; *count is lowered to the elements that may be used in one go.
 * NULL: iterate instead (which finds faults).
 */
static u8 *span(struct vcpu *cpu, const struct insn *in, enum seg seg, u32 off,
                enum mmu_access access, u32 size, u32 *count)
{
    u32 n = elements_within(cpu, in, seg, off, size, *count), below;
    gla_t gla = cpu->seg[seg].base + off;
    bool fault;
    u8 *host;

    if (!n)
        return NULL;
    *count = n;
    below = runs_down(cpu) ? (n - 1) * size : 0;
    host = access == MMU_WRITE
               ? mmu_host_overwrite(&cpu->paging, gla - below, n * size, &fault)
               : mmu_host(&cpu->paging, gla - below, access, &fault);
    return host ? host + below : NULL;
}

static u8 *source_span(struct vcpu *cpu, const struct insn *in, u32 size, u32 *count)
{
    return span(cpu, in, in->seg, cpu->gpr[ESI] & addr_mask(in), MMU_READ, size, count);
}

static u8 *target_span(struct vcpu *cpu, const struct insn *in, enum mmu_access access, u32 size,
                       u32 *count)
{
    return span(cpu, in, ES, target_offset(cpu, in), access, size, count);
}

/*
 * A target less than the whole length behind its source, `ahead` bytes in the direction of the copy:
 * what is read was written just before, so the first `ahead` bytes repeat. In whole elements, what is
 * there is copied at once, and so doubles each time.
 */
static void copy_pattern(u8 *dst, const u8 *src, u32 bytes, u32 size, u32 ahead, bool down)
{
    u32 done = 0, most = ahead / size * size, n;

    while (done < bytes) {
        n = most ? most : size;
        if (most == ahead)
            n += done;
        if (n > bytes - done)
            n = bytes - done;
        if (most == ahead) /* from the beginning: `done` is a multiple of the pattern */
            memmove(down ? dst - done - n : dst + done, down ? src - n : src, n);
        else
            memmove(down ? dst - done - n : dst + done, down ? src - done - n : src + done, n);
        done += n;
    }
}

/* n elements from src to dst, one by one in effect. */
static void copy_elements(u8 *dst, const u8 *src, u32 n, u32 size, bool down)
{
    u64 ahead = down ? (u64)(src - dst) : (u64)(dst - src), bytes = (u64)n * size;
    u64 below = down ? bytes - size : 0, end = down ? size : 0;

    if (ahead - 1 >= bytes - 1) /* the same place, apart, or the target in front */
        memmove(dst - below, src - below, bytes);
    else
        copy_pattern(dst + end, src + end, (u32)bytes, size, (u32)ahead, down);
}

/* `bytes` is a multiple of size; little-endian, as the guest. */
static void fill(u8 *dst, u32 val, u64 bytes, u32 size)
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

static inline u32 element(const u8 *p, u32 size)
{
    u32 val = 0;

    memcpy(&val, p, size);
    return val;
}

/*
 * How many elements a comparison takes: up to the first pair that ends the repetition, that one
 * included. The second of each pair stands still for SCAS.
 */
static inline u32 pairs_taken(const u8 *a, const u8 *b, i64 step_a, i64 step_b, u32 n, u32 size,
                              bool until_equal)
{
    u32 i = 0;

    while (i < n && (element(a, size) == element(b, size)) != until_equal)
        i++, a += step_a, b += step_b;
    return i < n ? i + 1 : n;
}

static u32 pairs_until(const u8 *a, const u8 *b, i64 step_a, i64 step_b, u32 n, u32 size,
                       bool until_equal)
{
    if (size == 1)
        return pairs_taken(a, b, step_a, step_b, n, 1, until_equal);
    if (size == 2)
        return pairs_taken(a, b, step_a, step_b, n, 2, until_equal);
    return pairs_taken(a, b, step_a, step_b, n, 4, until_equal);
}

/* Elements at the beginning that are alike, in whole groups of eight bytes: REPE CMPS upwards. */
static u32 elements_alike(const u8 *a, const u8 *b, u32 n, u32 size)
{
    u64 x, y;
    u32 at = 0;

    for (; at + 8 <= n * size; at += 8) {
        memcpy(&x, a + at, 8);
        memcpy(&y, b + at, 8);
        if (x != y)
            break;
    }
    return at / size;
}

/* ---- The same in device memory, video memory first of all ---- */

/* The element at seg:off lies in device memory, at *gpa; *count is lowered as span() does. */
static bool device_span(const struct vcpu *cpu, const struct insn *in, enum seg seg, u32 off,
                        enum mmu_access access, u32 size, u32 *count, gpa_t *gpa)
{
    u32 n = elements_within(cpu, in, seg, off, size, *count);
    gla_t gla = cpu->seg[seg].base + off;
    u64 spte = cpu->shadow[(access == MMU_WRITE ? SHADOW_WRITE : 0) + (gla >> PAGE_SHIFT)];

    if (!n || !spte_device(spte) || !cpu->pins.copy_run)
        return false;
    *count = n;
    *gpa = spte_gpa(spte, gla);
    return true;
}

static bool device_source(const struct vcpu *cpu, const struct insn *in, u32 size, u32 *count,
                          gpa_t *gpa)
{
    return device_span(cpu, in, in->seg, cpu->gpr[ESI] & addr_mask(in), MMU_READ, size, count,
                       gpa);
}

static bool device_target(const struct vcpu *cpu, const struct insn *in, u32 size, u32 *count,
                          gpa_t *gpa)
{
    return device_span(cpu, in, ES, target_offset(cpu, in), MMU_WRITE, size, count, gpa);
}

/* A side that is host memory is given by src or dst, else by its address. The bus takes runs
 * upwards; downwards they are of one element. What the first of a page says holds for all. */
static bool device_movs(struct vcpu *cpu, u32 size, const u8 *src, gpa_t from, u8 *dst, gpa_t to,
                        u32 n)
{
    u32 run = runs_down(cpu) ? 1 : n;
    bool done = true;

    for (u32 i = 0; i < n && done; i += run) {
        i64 off = i * stride(cpu, size);

        done = src   ? cpu->pins.write_run(cpu, to + off, size, src + off, run)
               : dst ? cpu->pins.read_run(cpu, from + off, size, dst + off, run)
                     : cpu->pins.copy_run(cpu, to + off, from + off, size, run);
    }
    return done;
}

static bool device_stos(struct vcpu *cpu, u32 size, u32 val, gpa_t to, u32 n)
{
    gpa_t lowest = runs_down(cpu) ? to - (n - 1) * size : to;

    return cpu->pins.fill_run(cpu, lowest, size, val, n);
}

/* ---- Each returns the iterations it has done and committed but for the count; 0: iterate ---- */

static u32 span_movs(struct vcpu *cpu, const struct insn *in, u32 size, u32 count)
{
    gpa_t from = 0, to = 0;
    u8 *src = source_span(cpu, in, size, &count), *dst;

    if (!src && !device_source(cpu, in, size, &count, &from))
        return 0;
    dst = target_span(cpu, in, MMU_WRITE, size, &count);
    if (!dst && !device_target(cpu, in, size, &count, &to))
        return 0;
    if (src && dst)
        copy_elements(dst, src, count, size, runs_down(cpu));
    else if (!device_movs(cpu, size, src, from, dst, to, count))
        return 0;
    string_advance(cpu, in, ESI, count * size);
    string_advance(cpu, in, EDI, count * size);
    return count;
}

static u32 span_stos(struct vcpu *cpu, const struct insn *in, u32 size, u32 count)
{
    u8 *dst = target_span(cpu, in, MMU_WRITE, size, &count);
    u32 val = reg_read(cpu, EAX, size);
    gpa_t to;

    if (dst)
        fill(runs_down(cpu) ? dst - (count - 1) * size : dst, val, (u64)count * size, size);
    else if (!device_target(cpu, in, size, &count, &to) ||
             !device_stos(cpu, size, val, to, count))
        return 0;
    string_advance(cpu, in, EDI, count * size);
    return count;
}

static u32 span_lods(struct vcpu *cpu, const struct insn *in, u32 size, u32 count)
{
    u8 *src = source_span(cpu, in, size, &count);

    if (!src)
        return 0;
    reg_write(cpu, EAX, size, element(src + (i64)(count - 1) * stride(cpu, size), size));
    string_advance(cpu, in, ESI, count * size);
    return count;
}

static u32 span_cmps(struct vcpu *cpu, const struct insn *in, u32 size, u32 count)
{
    u8 *b = target_span(cpu, in, MMU_READ, size, &count);
    u8 *a = b ? source_span(cpu, in, size, &count) : NULL;
    i64 step = stride(cpu, size), last;
    bool until_equal = in->prefixes & PFX_REPNE;
    u32 n = 0;

    if (!a)
        return 0;
    if (!until_equal && step > 0)
        n = elements_alike(a, b, count - 1, size); /* the last one gives the flags */
    n += pairs_until(a + n * size, b + n * size, step, step, count - n, size, until_equal);
    last = (i64)(n - 1) * step;
    flags_of_compare(cpu, size, element(a + last, size), element(b + last, size));
    string_advance(cpu, in, ESI, n * size);
    string_advance(cpu, in, EDI, n * size);
    return n;
}

static u32 span_scas(struct vcpu *cpu, const struct insn *in, u32 size, u32 count)
{
    u8 *a = target_span(cpu, in, MMU_READ, size, &count);
    u32 val = reg_read(cpu, EAX, size), n;
    bool until_equal = in->prefixes & PFX_REPNE;
    i64 step = stride(cpu, size);
    u8 *found;

    if (!a)
        return 0;
    if (until_equal && step == 1) { /* strlen() and memchr() of old compilers */
        found = memchr(a, (int)val, count);
        n = found ? (u32)(found - a) + 1 : count;
    } else {
        n = pairs_until(a, (u8 *)&val, step, 0, count, size, until_equal);
    }
    flags_of_compare(cpu, size, val, element(a + (i64)(n - 1) * step, size));
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
    return cpu_asked(cpu, done) || (cpu->eflags & FLAG_TF) || cpu_debugger_stepping(cpu);
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
    return repeat_string(cpu, in, step_lods, span_lods, UNTIL_COUNT);
}

bool ex_cmps(struct vcpu *cpu, const struct insn *in)
{
    return repeat_string(cpu, in, step_cmps, span_cmps, UNTIL_ZF);
}

bool ex_scas(struct vcpu *cpu, const struct insn *in)
{
    return repeat_string(cpu, in, step_scas, span_scas, UNTIL_ZF);
}
