/*
 * x87, MMX and SSE against the host: each encoding the interpreter has a row for,
 * register and memory forms, from random states, run by the interpreter on a bare machine and
 * natively by insn-fpu-native. All state is compared, exceptions included.
 *
 * Not compared, because hosts of today do not keep them: FOP, FDP, FCS and FDS (CPUID 7:
 * FDP_EXCPTN_ONLY and "FPU CS/DS deprecated"). FIP is, if the host keeps it.
 *
 *      insn-fpu [-v] [-e interp|bt] [-f FORM] [-n ROUNDS] [-s SEED] [MNEMONIC]
 */
#include "cpu/interp.h"
#include "devices/device.h"
#include "tests/insn/bare.h"
#include "tests/insn/fpu_random.h"
#include "tests/insn/host.h"
#include "tests/insn/native.h"

#include "cpu/cpuid.h"
#include "cpu/insn.h"

#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_ENCODINGS = 65536 };
enum { MODRM_DISP32 = 5, MODRM_SIB = 4, SIB_DISP32 = 0x25, MODRM_EBX = 3, MODRM_ESI_DISP8 = 0x46 };

/* ---- What there is to test ---- */

struct encoding {
    u8 bytes[4], len; /* up to the opcode, without ModRM; of VEX the prefix's first */
    u8 modrm;         /* of the register form; memory form: reg field only */
    bool has_modrm, memory, immediate, gather;
    bool wide; /* VEX.W is set, and would mean a general register of 64 bits */
    bool fused; /* FMA3 */
    bool names_register; /* bits 4 to 6 of the immediate do */
    u16 mnem, size; /* of the memory operand */
};
static struct encoding encodings[MAX_ENCODINGS];
static u32 encoding_count;
static struct tally {
    u32 cases, wrong;
} tallies[INSN_MNEMONICS];

insn_handler ex_vgather;

static bool is_ours(const struct insn *in)
{
    static const u16 rows[] = {
#define OP(mnemonic, ...) ZYDIS_MNEMONIC_##mnemonic,
#include "cpu/ops_fpu.def"
#include "cpu/ops_avx.def"
#undef OP
    };

    if (cpu_ops[in->mnem].feature == FEAT_XSAVE)
        return false; /* of the host's operating system, and with more components */
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i] == in->mnem)
            return true;
    return false;
}

static bool general_in_64_bits(const struct insn *in)
{
    static const u16 mnemonics[] = {
        ZYDIS_MNEMONIC_VMOVD,     ZYDIS_MNEMONIC_VPINSRD,   ZYDIS_MNEMONIC_VPEXTRD,
        ZYDIS_MNEMONIC_VCVTSI2SS, ZYDIS_MNEMONIC_VCVTSI2SD, ZYDIS_MNEMONIC_VCVTSS2SI,
        ZYDIS_MNEMONIC_VCVTSD2SI, ZYDIS_MNEMONIC_VCVTTSS2SI, ZYDIS_MNEMONIC_VCVTTSD2SI,
    };

    for (u32 i = 0; i < ARRAY_SIZE(mnemonics); i++)
        if (mnemonics[i] == in->mnem)
            return true;
    return false;
}

static void add_encoding(const u8 *bytes, u32 len, u32 modrm)
{
    u8 code[15] = { 0 };
    struct insn in;
    struct encoding *e = &encodings[encoding_count];

    memcpy(code, bytes, len);
    code[len] = (u8)modrm;
    if (insn_decode(code, sizeof(code), true, &in) != DECODE_OK || !is_ours(&in) ||
        !cpu_host_has(cpu_ops[in.mnem].feature))
        return;
    if (!in.has_modrm && modrm)
        return;
    *e = (struct encoding){ .len = (u8)len, .modrm = (u8)modrm, .has_modrm = in.has_modrm,
                            .memory = in.has_modrm && modrm < 0xc0, .mnem = in.mnem };
    memcpy(e->bytes, bytes, len);
    for (u32 i = 0; i < in.nops; i++) {
        if (in.op[i].kind == OP_IMM)
            e->immediate = true;
        if (in.op[i].kind == OP_MEM)
            e->size = in.op[i].size;
        if (in.op[i].kind == OP_REG && in.op[i].reg == ESP)
            return; /* native.c needs its stack */
    }
    e->immediate |= in.vex && in.imm_size;
    e->wide = in.vex && insn_vex_w(&in) && general_in_64_bits(&in);
    e->names_register = in.vex && in.map == 3 && in.opcode >= 0x4a && in.opcode <= 0x4c;
    e->fused = cpu_ops[in.mnem].feature == FEAT_FMA;
    e->gather = cpu_ops[in.mnem].exec == ex_vgather;
    check(++encoding_count < MAX_ENCODINGS, "more encodings than expected");
}

/* Of VEX an eighth will do, but for the opcodes that are told apart by ModRM.reg. */
static bool left_out(const u8 *bytes, u32 reg)
{
    u8 op = bytes[3];

    return bytes[0] == 0xc4 && op != 0xae && (op < 0x71 || op > 0x73) &&
           (reg + bytes[2] / 8 + op) % 8;
}

static void add_forms(const u8 *bytes, u32 len)
{
    bool x87 = bytes[len - 1] >= 0xd8 && bytes[len - 1] <= 0xdf && len == 1;

    for (u32 reg = 0; reg < 8; reg++) {
        if (len == 4 && left_out(bytes, reg))
            continue;
        add_encoding(bytes, len, reg << 3);
        for (u32 rm = 0; rm < (x87 ? 8 : 2); rm++)
            add_encoding(bytes, len, 0xc0 | reg << 3 | (x87 ? rm : (reg + rm * 3) & 7));
    }
}

/* With C4: each map, pp, W and L; a source in VEX.vvvv and none. B, X and R are as 64-bit mode
 * has them for registers below eight. */
static void list_vex(void)
{
    for (u32 op = 0; op < 256; op++)
        for (u32 i = 0; i < 3 * 4 * 4 * 2; i++) {
            u8 map = (u8)(1 + i % 3), pp = i / 3 % 4, wl = i / 12 % 4;
            u8 vvvv = i / 48 ? 15 : (u8)(8 + (op + i) % 7);
            u8 bytes[4] = { 0xc4, 0xe0 | map, (u8)((wl & 2) << 6 | vvvv << 3 | (wl & 1) << 2 | pp),
                            (u8)op };

            add_forms(bytes, 4);
        }
}

static void list_encodings(void)
{
    static const u8 prefixes[] = { 0, 0x66, 0xf2, 0xf3 };

    add_encoding((const u8[]){ 0x9b }, 1, 0);
    for (u32 op = 0xd8; op <= 0xdf; op++)
        add_forms((const u8[]){ (u8)op }, 1);
    list_vex();
    for (u32 op = 0; op < 256; op++) {
        for (u32 p = 0; p < 4; p++) {
            u8 two[3] = { prefixes[p], 0x0f, (u8)op };
            u8 three[4] = { prefixes[p], 0x0f, 0x38, (u8)op };

            if (op != 0x38 && op != 0x3a)
                add_forms(p ? two : two + 1, p ? 3 : 2);
            add_forms(p ? three : three + 1, p ? 4 : 3);
            three[2] = 0x3a;
            add_forms(p ? three : three + 1, p ? 4 : 3);
        }
    }
}

/* ---- Jobs ---- */

/* The same for the host's 64-bit mode, where a bare disp32 takes a SIB byte: without, it is
 * RIP's. Bits that say more there are as they are meant here. */
static void make_host_code(struct job *j, const struct encoding *e)
{
    u32 modrm = e->len;

    memcpy(j->host_code, j->code, j->len);
    j->host_len = j->len;
    if (e->wide) /* VEX.W, ignored elsewhere */
        j->host_code[2] &= 0x7f;
    if (!e->memory || (j->code[modrm] & 0xc7) != MODRM_DISP32)
        return;
    j->host_code[modrm] = e->modrm | MODRM_SIB;
    j->host_code[modrm + 1] = SIB_DISP32;
    memcpy(j->host_code + modrm + 2, j->code + modrm + 1, j->len - modrm - 1);
    j->host_len++;
}

/* In every register, and memory. */
static void make_factors(struct job *j, const struct encoding *e)
{
    bool wide = e->bytes[2] & 0x80;
    struct fxsave *fx = (struct fxsave *)j->before.fx;

    for (u32 i = 0; i < 8; i++) {
        fpu_random_factors(fx->xmm[i], wide);
        fpu_random_factors(j->before.ymm_high[i], wide);
    }
    for (u32 i = 0; i < JOB_MEM; i += 16)
        fpu_random_factors(j->before.mem + i, wide);
}

static void make_operand(struct job *j, const struct encoding *e)
{
    u32 n = j->len, off = fpu_rand(8) * 16, disp = fpu_rand(128), step = fpu_rand(2) ? 16 : 1;

    if (fpu_rand(12) == 0)
        off += fpu_rand(16);
    fpu_random_operand(j->before.mem + off, e->size < 16 ? e->size : 16);
    if (e->size == 32)
        fpu_random_operand(j->before.mem + off + 16, 16);
    if (fpu_rand(32) == 0) /* to the page that is not there, and into it */
        off = PAGE_SIZE - fpu_rand(e->size + 16) / step * step;
    switch (fpu_rand(3)) {
    case 0:
        j->code[n++] = e->modrm | MODRM_DISP32;
        off += JOB_DATA;
        memcpy(j->code + n, &off, 4);
        n += 4;
        break;
    case 1:
        j->code[n++] = e->modrm | MODRM_EBX;
        j->before.gpr[EBX] = JOB_DATA + off;
        break;
    default:
        j->code[n++] = e->modrm | MODRM_ESI_DISP8;
        j->code[n++] = (u8)disp;
        j->before.gpr[ESI] = JOB_DATA + off - disp;
    }
    j->len = n;
}

/* [EBX + 1 to 8 * vector + disp8], whose elements are small, but now and then one of a masked-out
 * or a missing page. */
static void make_gather(struct job *j, const struct encoding *e)
{
    u32 index = fpu_rand(8), shift = fpu_rand(4);
    struct fxsave *fx = (struct fxsave *)j->before.fx;

    for (u32 i = 0; i < 8; i++) {
        u32 *at = (u32 *)(i < 4 ? fx->xmm[index] + 4 * i : j->before.ymm_high[index] + 4 * (i - 4));

        *at = i & 1 && fpu_rand(2) ? 0 : fpu_rand(32) ? fpu_rand(32) : fpu_rand(~0u);
    }
    j->code[j->len++] = e->modrm | 0x44;
    j->code[j->len++] = (u8)(shift << 6 | index << 3 | EBX);
    j->code[j->len++] = (u8)fpu_rand(64);
    j->before.gpr[EBX] = JOB_DATA + fpu_rand(32) + (fpu_rand(16) ? 0 : PAGE_SIZE - 100);
}

static void make_job(struct job *j, const struct encoding *e)
{
    memset(j, 0, sizeof(*j));
    for (u32 i = 0; i < 8; i++)
        j->before.gpr[i] = fpu_rand(~0u);
    j->before.gpr[EDI] = JOB_DATA + fpu_rand(64); /* MASKMOVQ */
    j->before.eflags = fpu_rand(0x1000) & FLAGS_ARITH;
    fpu_random_state((struct fxsave *)j->before.fx);
    for (u32 i = 0; i < 8; i++)
        fpu_random_operand(j->before.ymm_high[i], 16);
    for (u32 i = 0; i < JOB_MEM; i++)
        j->before.mem[i] = (u8)fpu_rand(256);
    memcpy(j->code, e->bytes, e->len);
    j->len = e->len;
    if (e->gather)
        make_gather(j, e);
    else if (e->memory)
        make_operand(j, e);
    else if (e->has_modrm)
        j->code[j->len++] = e->modrm;
    if (e->immediate)
        j->code[j->len++] = (u8)(fpu_rand(2) ? fpu_rand(8) : fpu_rand(256));
    if (e->fused && fpu_rand(2))
        make_factors(j, e);
    make_host_code(j, e);
    if (e->names_register)
        j->host_code[j->host_len - 1] &= 0x7f;
}

/* ---- The host ---- */

static struct job *jobs;
static int to_native, from_native;

static void native_start(const char *self)
{
    int down[2], up[2], fd = memfd_create("jobs", 0);
    char folder[4096], path[4200], number[16];
    size_t size = sizeof(struct job) * JOB_BATCH;

    snprintf(folder, sizeof(folder), "%s", self);
    snprintf(path, sizeof(path), "%s/insn-fpu-native", dirname(folder));
    check(fd >= 0 && !ftruncate(fd, (off_t)size) && !pipe(down) && !pipe(up), "no pipes");
    jobs = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check(jobs != MAP_FAILED, "no shared memory");
    snprintf(number, sizeof(number), "%d", fd);
    if (fork() == 0) {
        dup2(down[0], 0);
        dup2(up[1], 1);
        close(down[1]);
        close(up[0]);
        execl(path, path, number, (char *)NULL);
        die("%s does not start", path);
    }
    close(down[0]);
    close(up[1]);
    to_native = down[1];
    from_native = up[0];
}

static void native_run(u32 n)
{
    char byte;

    check(write(to_native, &n, 4) == 4 && read(from_native, &byte, 1) == 1,
          "insn-fpu-native is gone");
}

/* ---- Ours ---- */

static struct bare_engine engine = { .engine = &interp_engine };

static void our_run(struct bare *b, const struct job *j, struct job *out)
{
    struct vcpu *cpu = b->cpu;
    struct bare_event event = { 0 };
    u8 code[32];

    *out = *j;
    memset(code, 0xcc, sizeof(code));
    memcpy(code, j->code, j->len);
    phys_write(b->m, JOB_CODE, code, sizeof(code)); /* the translator hears of it */
    memset(b->ram + JOB_DATA, 0, PAGE_SIZE);
    memcpy(b->ram + JOB_DATA, j->before.mem, JOB_MEM);
    mmu_flush(&cpu->paging);
    memcpy(cpu->gpr, j->before.gpr, sizeof(cpu->gpr));
    memcpy(&cpu->fpu, j->before.fx, sizeof(cpu->fpu));
    memcpy(cpu->ymm_high, j->before.ymm_high, sizeof(cpu->ymm_high));
    bare_enter_user(b, JOB_CODE, j->before.eflags | FLAG_1);
    if (!bare_run(b, engine.engine, 4, &event))
        event.vector = 0xfe; /* it hangs */
    memcpy(out->after.gpr, cpu->gpr, sizeof(cpu->gpr));
    out->after.eflags = event.eflags & FLAGS_ARITH;
    out->after.eip = event.vector == EXC_BP ? event.eip - 1 : event.eip;
    memcpy(out->after.fx, &cpu->fpu, sizeof(cpu->fpu));
    memcpy(out->after.ymm_high, cpu->ymm_high, sizeof(cpu->ymm_high));
    memcpy(out->after.mem, b->ram + JOB_DATA, JOB_MEM);
    out->exception = event.vector == EXC_BP ? JOB_NO_EXCEPTION : event.vector;
    out->error = event.error;
}

/* ---- Comparing ---- */

static bool keeps_fip; /* the host's FXSAVE has the FIP of the last instruction */
static bool amd;

static void probe_host(void)
{
    struct job *j = &jobs[0];

    memset(j, 0, sizeof(*j));
    fpu_random_state((struct fxsave *)j->before.fx);
    memcpy(j->before.fx, &(u32){ 0x37f }, 4);
    memcpy(j->host_code, (const u8[]){ 0xd9, 0xe1 }, 2); /* FABS */
    j->host_len = 2;
    native_run(1);
    amd = host_is_amd();
    keeps_fip = !memcmp(j->after.fx + offsetof(struct fxsave, fip), &(u32){ JOB_CODE }, 4);
}

/* Blanks what hosts do not keep, in an FXSAVE image. */
static void blank_image(u8 fx[512])
{
    struct fxsave *f = (struct fxsave *)fx;

    f->fop = f->fcs = f->fds = f->reserved2 = f->reserved3 = 0;
    f->fdp = 0;
    f->mxcsr_mask = 0;
    if (!keeps_fip)
        f->fip = 0;
    for (u32 i = 0; i < 8; i++)
        memset(f->st[i] + 10, 0, 6);
    memset(f->xmm[8], 0, sizeof(*f) - offsetof(struct fxsave, xmm[8]));
}

/* The same in what FSTENV, FSAVE and FXSAVE left in memory. */
static void blank_memory(const struct job *j, u16 mnem, u8 *mem)
{
    struct vcpu cpu = { 0 };
    struct insn in;
    u8 *env;

    memcpy(cpu.gpr, j->before.gpr, sizeof(cpu.gpr));
    if (insn_decode(j->code, 15, true, &in) != DECODE_OK || in.op[0].kind != OP_MEM)
        return;
    if (insn_offset(&cpu, &in) - JOB_DATA > JOB_MEM - 512)
        return;
    env = mem + (insn_offset(&cpu, &in) - JOB_DATA);
    if (mnem == ZYDIS_MNEMONIC_FXSAVE) {
        u8 image[512];

        memcpy(image, env, 512);
        blank_image(image);
        memcpy(env, image, 512);
    } else if (mnem == ZYDIS_MNEMONIC_FNSTENV || mnem == ZYDIS_MNEMONIC_FNSAVE) {
        u32 wide = in.opsize == 4;

        if (!keeps_fip)
            memset(env + (wide ? 12 : 6), 0, wide ? 4 : 2);
        memset(env + (wide ? 16 : 8), 0, wide ? 12 : 6);
    }
}

/* Hosts enter MMX state (TOP 0) before an MMX instruction's page fault; the manual does not ask
 * for it, and we leave all as it was. */
static bool was_mmx(const struct job *j)
{
    struct insn in;

    if (insn_decode(j->code, 15, true, &in) != DECODE_OK)
        return false;
    return in.op[0].kind == OP_MMX || in.op[1].kind == OP_MMX;
}

/* SHA's memory operand has to be aligned by the manual; AMD's processors do not mind. */
static bool tolerated(const struct job *host, const struct job *ours, u16 mnem)
{
    return cpu_ops[mnem].feature == FEAT_SHA && amd && ours->exception == EXC_GP &&
           host->exception != EXC_GP;
}

static const char *difference(struct job *host, struct job *ours, u16 mnem)
{
    struct fxsave *h = (struct fxsave *)host->after.fx, *o = (struct fxsave *)ours->after.fx;

    blank_image(host->after.fx);
    blank_image(ours->after.fx);
    blank_memory(host, mnem, host->after.mem);
    blank_memory(ours, mnem, ours->after.mem);
    host->after.gpr[ESP] = ours->after.gpr[ESP] = 0;
    if (tolerated(host, ours, mnem))
        return NULL;
    if (host->exception != ours->exception)
        return "exception";
    if (host->error != ours->error)
        return "error code";
    if (host->after.eip != ours->after.eip)
        return "eip";
    if (memcmp(host->after.gpr, ours->after.gpr, sizeof(host->after.gpr)))
        return "registers";
    if (host->exception == JOB_NO_EXCEPTION &&
        (host->after.eflags ^ ours->after.eflags) & FLAGS_ARITH)
        return "flags";
    if (host->exception == EXC_PF && was_mmx(host))
        return NULL;
    if (h->fcw != o->fcw || h->fsw != o->fsw || h->ftw != o->ftw)
        return "x87 control";
    if (h->mxcsr != o->mxcsr)
        return "mxcsr";
    if (memcmp(h->st, o->st, sizeof(h->st)))
        return "st";
    if (memcmp(h->xmm, o->xmm, 8 * 16))
        return "xmm";
    if (cpu_host_has(FEAT_AVX) &&
        memcmp(host->after.ymm_high, ours->after.ymm_high, sizeof(host->after.ymm_high)))
        return "ymm";
    if (memcmp(host->after.mem, ours->after.mem, JOB_MEM))
        return "memory";
    if (h->fip != o->fip)
        return "fip";
    return NULL;
}

static void print_image(const char *who, const struct job *j, const struct job_state *s)
{
    const struct fxsave *f = (const struct fxsave *)s->fx;

    printf("  %s: exc %x fcw %04x fsw %04x ftw %02x mxcsr %04x fip %08x eax %08x fl %03x\n",
           who, j->exception, f->fcw, f->fsw, f->ftw, f->mxcsr, f->fip, s->gpr[0], s->eflags);
    for (u32 i = 0; i < 8; i++) {
        u64 m, x[2];
        u16 e;

        memcpy(&m, f->st[i], 8);
        memcpy(&e, f->st[i] + 8, 2);
        memcpy(x, f->xmm[i], 16);
        printf("    st%u %04x %016llx  xmm%u %016llx %016llx\n", i, e, (unsigned long long)m, i,
               (unsigned long long)x[1], (unsigned long long)x[0]);
    }
}

static void print_memory(const struct job *host, const struct job *ours)
{
    for (u32 i = 0; i < JOB_MEM; i += 16) {
        if (!memcmp(host->after.mem + i, ours->after.mem + i, 16) &&
            !memcmp(host->before.mem + i, host->after.mem + i, 16))
            continue;
        for (u32 k = 0; k < 3; k++) {
            const u8 *p = (k == 0   ? host->before.mem
                           : k == 1 ? host->after.mem
                                    : ours->after.mem);

            printf("    %s %03x:", k == 0 ? "before" : k == 1 ? "host  " : "ours  ", i);
            for (u32 n = 0; n < 16; n++)
                printf(" %02x", p[i + n]);
            printf("\n");
        }
    }
}

static void complain(const struct job *host, const struct job *ours, u16 mnem, const char *what)
{
    printf("%s differs in %s:", insn_name(mnem), what);
    for (u32 i = 0; i < host->len; i++)
        printf(" %02x", host->code[i]);
    printf("\n");
    print_image("before", host, &host->before);
    print_image("host  ", host, &host->after);
    print_image("ours  ", ours, &ours->after);
    print_memory(host, ours);
}

/* ---- The run ---- */

static void run_batch(struct bare *b, u32 n, const struct encoding **which, bool verbose)
{
    static struct job ours;

    native_run(n);
    for (u32 i = 0; i < n; i++) {
        struct tally *t = &tallies[which[i]->mnem];
        const char *what;

        our_run(b, &jobs[i], &ours);
        what = difference(&jobs[i], &ours, which[i]->mnem);
        t->cases++;
        if (what && t->wrong++ == 0 && verbose)
            complain(&jobs[i], &ours, which[i]->mnem, what);
    }
}

static int report(void)
{
    u32 cases = 0, wrong = 0;

    for (u32 i = 0; i < INSN_MNEMONICS; i++) {
        cases += tallies[i].cases;
        wrong += tallies[i].wrong;
        if (tallies[i].wrong)
            printf("FAIL %s: %u of %u differ\n", insn_name(i), tallies[i].wrong,
                   tallies[i].cases);
    }
    printf("%u encodings, %.4f %% of %u cases agree with the host\n", encoding_count,
           cases ? 100.0 - 100.0 * wrong / cases : 0.0, cases);
    printf("%u passed, %u failed\n", cases - wrong, wrong);
    return wrong != 0;
}

int main(int argc, char **argv)
{
    const struct encoding *which[JOB_BATCH];
    const char *only = NULL;
    u32 rounds = 40, n = 0;
    bool verbose = false;
    struct bare *b = bare_new(MIB(8));
    int c;

    fpu_seed(1);
    while ((c = getopt(argc, argv, "vn:s:e:f:")) != -1) {
        if (c == 'n')
            rounds = (u32)atoi(optarg);
        else if (c == 'e' || c == 'f')
            check(bare_engine_option(&engine, c == 'e' ? "--engine" : "--form", optarg),
                  "-%c %s is not known", c, optarg);
        else if (c == 's')
            fpu_seed(strtoull(optarg, NULL, 0));
        else
            verbose = true;
    }
    only = argv[optind];
    bare_map(b, JOB_CODE, PAGE_SIZE);
    bare_map(b, JOB_DATA, PAGE_SIZE);
    bare_use(b, &engine);
    list_encodings();
    native_start(argv[0]);
    probe_host();
    for (u32 r = 0; r < rounds; r++) {
        for (u32 i = 0; i < encoding_count; i++) {
            if (only && strcasecmp(only, insn_name(encodings[i].mnem)))
                continue;
            make_job(&jobs[n], &encodings[i]);
            which[n++] = &encodings[i];
            if (n == JOB_BATCH) {
                run_batch(b, n, which, verbose);
                n = 0;
            }
        }
    }
    run_batch(b, n, which, verbose);
    bare_free(b);
    return report();
}
