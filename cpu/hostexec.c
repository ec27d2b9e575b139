/*
 * Thunks of single instructions and the cache that holds them.
 *
 * Code memory is one memfd mapped twice, once writable and once executable, never both. A slot
 * is 16 bytes: the instruction (7 at most) and RET; a second table says which instruction it
 * holds. Slots are direct-mapped by a hash of the bytes: a collision overwrites, so the memory
 * is bounded whatever the guest runs.
 *
 * An instruction needs no REX prefix on the host: x87, MMX and XMM registers have the numbers
 * 0-7, the general register is renamed to EAX and the memory operand to [RDI], which 64-bit
 * code encodes as 32-bit code does.
 */
#include "cpu/hostexec.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SLOTS = 4096, SLOT_SIZE = 16, MODRM_RDI = 7, OPCODE_RET = 0xc3 };

struct hostexec {
    struct hostexec_frame frame;
    u8 *write;       /* the thunks, as we write them */
    const u8 *exec;  /* the same memory, as the CPU runs them */
    u64 key[SLOTS];  /* the instruction's bytes, little-endian; 0: empty */
};

static_assert(offsetof(struct hostexec_frame, mem) == 512, "hostexec_enter.S");
static_assert(offsetof(struct hostexec_frame, eax) == 544, "hostexec_enter.S");
static_assert(offsetof(struct hostexec_frame, ecx) == 552, "hostexec_enter.S");
static_assert(offsetof(struct hostexec_frame, edx) == 560, "hostexec_enter.S");
static_assert(offsetof(struct hostexec_frame, flags) == 568, "hostexec_enter.S");
static_assert(offsetof(struct hostexec_frame, ymm_high) == 576, "hostexec_enter.S");

void hostexec_enter(const void *thunk, struct hostexec_frame *frame);
void hostexec_enter_vex(const void *thunk, struct hostexec_frame *frame);

/* ---- The machine code ---- */

u8 hostexec_prefix(const struct insn *in)
{
    static const u8 by_pp[] = { 0, 0x66, 0xf3, 0xf2 };
    u8 prefix = 0;

    if (in->vex)
        return by_pp[insn_vex_last(in) & 3];
    if (in->map == 0)
        return 0;
    for (u32 i = 0; i < in->len && in->raw[i] != 0x0f; i++) {
        if (in->raw[i] == 0xf2 || in->raw[i] == 0xf3)
            prefix = in->raw[i];
        else if (in->raw[i] == 0x66 && !prefix)
            prefix = 0x66;
    }
    return prefix;
}

/* Does ModRM.reg name a general register (else, if anything does, ModRM.rm)? */
static bool reg_is_general(const struct insn *in)
{
    if (in->map != 1)
        return false;
    switch (in->opcode) {
    case 0x2c: case 0x2d: /* CVT(T)SS2SI, CVT(T)SD2SI */
    case 0x50:            /* MOVMSKPS, MOVMSKPD */
    case 0xc3:            /* MOVNTI */
    case 0xc5:            /* PEXTRW */
    case 0xd7:            /* PMOVMSKB */
        return true;
    }
    return false;
}

static bool has_general(const struct insn *in)
{
    for (u32 i = 0; i < in->nops; i++)
        if (in->op[i].kind == OP_REG)
            return true;
    return false;
}

/* Memory becomes [RDI], the general register EAX (number 0). */
static u8 host_modrm(const struct insn *in)
{
    u8 mod = in->modrm >> 6, reg = in->modrm >> 3 & 7, rm = in->modrm & 7;

    if (mod != 3)
        mod = 0, rm = MODRM_RDI;
    if (in->map && has_general(in)) {
        if (reg_is_general(in))
            reg = 0;
        else if (mod == 3)
            rm = 0;
    }
    return (u8)(mod << 6 | reg << 3 | rm);
}

static bool has_immediate(const struct insn *in)
{
    for (u32 i = 0; i < in->nops; i++)
        if (in->op[i].kind == OP_IMM)
            return true;
    return false;
}

/* Memory of 32 or 64 bits, by W, in place of a general register's. */
static bool loads_general(const struct insn *in)
{
    switch (in->mnem) {
    case ZYDIS_MNEMONIC_VMOVD: case ZYDIS_MNEMONIC_VPINSRD: case ZYDIS_MNEMONIC_VPEXTRD:
    case ZYDIS_MNEMONIC_VCVTSI2SS: case ZYDIS_MNEMONIC_VCVTSI2SD:
        return true;
    default:
        return in->gpr_fields;
    }
}

/* C4, R X B inverted and map, W vvvv inverted L pp (SDM vol. 2, 2.3.5) */
void hostexec_vex(const struct insn *in, u8 rex, u8 vvvv, u8 vex[3])
{
    u8 w = insn_vex_w(in) && !loads_general(in) ? 0x80 : 0;

    vex[0] = 0xc4;
    vex[1] = (u8)((~rex & 7) << 5 | in->map);
    vex[2] = (u8)(w | (~vvvv & 15) << 3 | (insn_vex_last(in) & 7));
}

u8 hostexec_vex_imm(const struct insn *in)
{
    u8 imm = in->raw[in->len - 1];

    switch (in->mnem) {
    case ZYDIS_MNEMONIC_VBLENDVPS: case ZYDIS_MNEMONIC_VBLENDVPD:
    case ZYDIS_MNEMONIC_VPBLENDVB:
        return imm & 0x7f;
    default:
        return imm;
    }
}

static u64 host_encode_vex(const struct insn *in, u32 *len)
{
    u8 bytes[8] = { 0 };
    u32 n = 3;
    u64 key;

    hostexec_vex(in, 0, hostexec_vvvv(in), bytes);
    bytes[n++] = in->opcode;
    if (in->has_modrm)
        bytes[n++] = host_modrm(in);
    if (in->imm_size)
        bytes[n++] = hostexec_vex_imm(in);
    *len = n;
    memcpy(&key, bytes, sizeof(key));
    return key;
}

/* The instruction for the host, at most 7 bytes, as a number; *len is how many. */
static u64 host_encode(const struct insn *in, u32 *len)
{
    u8 bytes[8] = { 0 }, prefix = hostexec_prefix(in);
    u32 n = 0;
    u64 key;

    if (in->vex)
        return host_encode_vex(in, len);
    if (prefix)
        bytes[n++] = prefix;
    if (in->map)
        bytes[n++] = 0x0f;
    if (in->map > 1)
        bytes[n++] = in->map == 2 ? 0x38 : 0x3a;
    bytes[n++] = in->opcode;
    if (in->has_modrm)
        bytes[n++] = host_modrm(in);
    if (has_immediate(in))
        bytes[n++] = (u8)in->imm;
    *len = n;
    memcpy(&key, bytes, sizeof(key));
    return key;
}

/* ---- Slots ---- */

/* After code was written through the other mapping (SDM vol. 3, 8.1.3). */
static void serialize(void)
{
    u32 a = 0, b, c = 0, d;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d) : : "memory");
}

static const u8 *find_thunk(struct hostexec *h, const struct insn *in)
{
    u32 len;
    u64 key = host_encode(in, &len);
    u32 slot = (u32)(key * 0x9e3779b97f4a7c15u >> 52) % SLOTS;
    u8 *code = h->write + slot * SLOT_SIZE;

    if (h->key[slot] != key) {
        memcpy(code, &key, len);
        code[len] = OPCODE_RET;
        h->key[slot] = key;
        serialize();
    }
    return h->exec + slot * SLOT_SIZE;
}

/* ---- Life ---- */

static struct hostexec *hostexec_new(void)
{
    struct hostexec *h = aligned_alloc(64, (sizeof(*h) + 63) / 64 * 64);
    int fd = memfd_create("ring3 fpu", MFD_CLOEXEC);
    void *write, *exec;

    check(h && fd >= 0 && ftruncate(fd, SLOTS * SLOT_SIZE) == 0, "no memory for FPU thunks");
    memset(h, 0, sizeof(*h));
    write = mmap(NULL, SLOTS * SLOT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    exec = mmap(NULL, SLOTS * SLOT_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    check(write != MAP_FAILED && exec != MAP_FAILED, "no mapping for FPU thunks");
    close(fd);
    h->write = write;
    h->exec = exec;
    return h;
}

void cpu_hostexec_free(struct vcpu *cpu)
{
    struct hostexec *h = cpu->hostexec;

    if (!h)
        return;
    munmap(h->write, SLOTS * SLOT_SIZE);
    munmap((void *)h->exec, SLOTS * SLOT_SIZE);
    free(h);
    cpu->hostexec = NULL;
}

u32 hostexec_mxcsr_mask(void)
{
    static u32 mask;

    if (!mask) {
        struct fxsave fx = { 0 };

        __asm__ volatile("fxsave %0" : "+m"(fx));
        mask = (fx.mxcsr_mask ? fx.mxcsr_mask : 0xffbf) & MXCSR_ALL;
    }
    return mask;
}

/* ---- Running ---- */

struct hostexec_frame *hostexec_load(struct vcpu *cpu)
{
    if (!cpu->hostexec)
        cpu->hostexec = hostexec_new();
    memcpy(&cpu->hostexec->frame.fx, &cpu->fpu, offsetof(struct fxsave, xmm) + 8 * 16);
    memcpy(cpu->hostexec->frame.ymm_high, cpu->ymm_high, sizeof(cpu->ymm_high));
    return &cpu->hostexec->frame;
}

void hostexec_run(struct vcpu *cpu, const struct insn *in)
{
    struct hostexec *h = cpu->hostexec;
    struct fxsave *fx = &h->frame.fx;
    u16 pending = fx->fsw & ~fx->fcw & FPU_EXCEPTIONS;

    fx->fsw &= ~(pending | FSW_ES | FSW_B);
    fx->mxcsr = (fx->mxcsr & hostexec_mxcsr_mask()) | MXCSR_MASKS;
    h->frame.flags &= FLAGS_ARITH;
    (in->vex ? hostexec_enter_vex : hostexec_enter)(find_thunk(h, in), &h->frame);
    h->frame.flags &= FLAGS_ARITH;
    fx->fsw |= pending;
    if (pending)
        fx->fsw |= FSW_ES | FSW_B;
}
