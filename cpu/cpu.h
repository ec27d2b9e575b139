/*
 * The guest's processor: a P6-class CPU (SDM vol. 1 to 3). Its state, and what every engine (the
 * interpreter, the translator) shares: segments, exceptions, control registers, time-stamp.
 *
 * Failing, the guest's way: a function that may raise an exception returns bool. It calls
 * `return cpu_fault(cpu, EXC_GP, 0);` which records the exception and yields false; callers pass
 * false up untouched until cpu_step() delivers it. Until then no guest-visible state has changed:
 * an instruction commits registers, flags and EIP after its last access that can fault.
 */
#ifndef RING3_CPU_H
#define RING3_CPU_H

#include "mmu/paging.h"
#include "runtime/base/base.h"

/* ---- Names as the manual prints them ---- */

enum gpr { EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI };
enum seg { ES, CS, SS, DS, FS, GS, LDTR, TR, SEGS };

enum { /* EFLAGS, SDM vol. 1, 3.4.3 */
    FLAG_CF = 1u << 0, FLAG_1 = 1u << 1, FLAG_PF = 1u << 2, FLAG_AF = 1u << 4,
    FLAG_ZF = 1u << 6, FLAG_SF = 1u << 7, FLAG_TF = 1u << 8, FLAG_IF = 1u << 9,
    FLAG_DF = 1u << 10, FLAG_OF = 1u << 11, FLAG_IOPL = 3u << 12, FLAG_NT = 1u << 14,
    FLAG_RF = 1u << 16, FLAG_VM = 1u << 17, FLAG_AC = 1u << 18, FLAG_VIF = 1u << 19,
    FLAG_VIP = 1u << 20, FLAG_ID = 1u << 21,
    FLAGS_ARITH = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF,
    FLAG_IOPL_SHIFT = 12,
};
enum exception { /* SDM vol. 3, table 6-1 */
    EXC_DE = 0, EXC_DB = 1, EXC_NMI = 2, EXC_BP = 3, EXC_OF = 4, EXC_BR = 5, EXC_UD = 6,
    EXC_NM = 7, EXC_DF = 8, EXC_TS = 10, EXC_NP = 11, EXC_SS = 12, EXC_GP = 13, EXC_PF = 14,
    EXC_MF = 16, EXC_AC = 17, EXC_MC = 18, EXC_XM = 19,
    EXC_NONE = 0xff,
};
enum { /* descriptor types (vol. 3, 3.4.5.1 and 3.5), S bit and type */
    SEG_A = 1, SEG_W = 2, SEG_R = 2, SEG_E = 4, SEG_C = 4, SEG_CODE = 8, SEG_S = 16,
    TYPE_TSS16 = 1, TYPE_LDT = 2, TYPE_TSS16_BUSY = 3, TYPE_CALL16 = 4, TYPE_TASK = 5,
    TYPE_INT16 = 6, TYPE_TRAP16 = 7, TYPE_TSS32 = 9, TYPE_TSS32_BUSY = 11, TYPE_CALL32 = 12,
    TYPE_INT32 = 14, TYPE_TRAP32 = 15,
};

/* ---- State ---- */

/*
 * A segment register with its hidden part (vol. 3, 3.4.3). attr is bits 8-23 of the descriptor's
 * second dword, shifted down by 8: type in 0-3, S 4, DPL 5-6, P 7, AVL 12, D/B 14, G 15.
 * limit is in bytes, the last valid offset, G applied. A null or unusable register has P = 0.
 * In real mode and V86: base = selector << 4, limit 0xffff (unless "unreal"), writable data.
 */
struct segment {
    u32 base;
    u32 limit;
    u16 selector;
    u16 attr;
};
enum {
    ATTR_TYPE = 0x0f, ATTR_S = 0x10, ATTR_DPL = 0x60, ATTR_P = 0x80, ATTR_AVL = 0x1000,
    ATTR_DB = 0x4000, ATTR_G = 0x8000, ATTR_DPL_SHIFT = 5,
};

struct table_register { /* GDTR, IDTR */
    u32 base;
    u16 limit;
};

/* Reasons to look up from the guest's code, in vcpu.requests. Set by devices and signal handlers
 * with __atomic_fetch_or; read before every interpreted instruction, and by polls in translated code. */
enum {
    REQ_INTR = 1,   /* the interrupt controller asserts INTR, and IF is worth testing */
    REQ_NMI = 2,
    REQ_TIMER = 4,  /* a deadline has passed, or a host descriptor is ready */
    REQ_EVENT = 8,  /* machine_request(): reset, power off, exit, stop */
    REQ_SHADOW = 16, /* STI or a load of SS inhibits interrupts for one instruction */
    REQ_TRAP = 32,  /* TF, or a debug register matched: #DB due after this instruction */
    REQ_HALT = 64,  /* HLT ran: wait for an interrupt */
};

/* FXSAVE image, SDM vol. 1, 10.5: the FPU, MMX and SSE state while no engine holds it live. */
struct fxsave {
    u16 fcw, fsw;
    u8 ftw, reserved;
    u16 fop;
    u32 fip;
    u16 fcs, reserved2;
    u32 fdp;
    u16 fds, reserved3;
    u32 mxcsr, mxcsr_mask;
    u8 st[8][16];
    u8 xmm[16][16]; /* the guest has 8; the host's FXSAVE writes 16 */
    u8 unused[96];
} __attribute__((aligned(16)));
static_assert(sizeof(struct fxsave) == 512, "FXSAVE image");

struct vcpu;

/*
 * What a processor's pins lead to: the board, which hands them over when the CPU is made. Ports are answered in 1, 2
 * or 4 bytes. A NULL function is a pin that is not connected; only `in` and `out` must be.
 */
struct cpu_pins {
    void *board; /* whose functions these are */
    int (*intr_ack)(struct vcpu *cpu); /* INTA: the vector, or -1: none after all */
    void (*ferr)(struct vcpu *cpu, bool level); /* FERR# changed */
    u32 (*in)(struct vcpu *cpu, u16 port, u32 size);
    void (*out)(struct vcpu *cpu, u16 port, u32 size, u32 val);
    /* For INS and OUTS, up to n accesses to one port at once: how many were made; 0: make single ones. */
    bool (*has_strings)(struct vcpu *cpu, u16 port, u32 size);
    u32 (*in_string)(struct vcpu *cpu, u16 port, u32 size, void *buf, u32 n);
    u32 (*out_string)(struct vcpu *cpu, u16 port, u32 size, const void *buf, u32 n);
    /* MSR 1B of the local APIC; without one both are NULL. false: #GP. */
    u64 (*apic_base_read)(const struct vcpu *cpu);
    bool (*apic_base_write)(struct vcpu *cpu, u64 val);
    void (*shutdown)(struct vcpu *cpu); /* a triple fault */
    /* A batch of PAUSEs has been run: how many make the next one. INT 28h: DOS waits for a key. */
    u32 (*paused)(struct vcpu *cpu);
    void (*dos_idle)(struct vcpu *cpu);
    /* True: the clock is turned by hand, and shows *now nanoseconds. False: the TSC is the host's. */
    bool (*clock_by_hand)(const struct vcpu *cpu, u64 *now);
};

/* What is counted: stats.def. */
struct cpu_stats {
#define COUNTER(id, help) u64 id;
#include "cpu/stats.def"
#undef COUNTER
};

/*
 * A processor: its architectural state, which is what the guest can observe, and under the line its wiring.
 * What an engine keeps beside it lies behind it in memory (bt/tc.h), so what an engine's code reaches most
 * often comes last.
 */
enum { CPU_ENGINE_ROOM = 8192 }; /* bytes behind a struct vcpu, zero at first */
struct vcpu {
    struct fxsave fpu;        /* exact whenever C runs */
    struct segment seg[SEGS];
    struct table_register gdtr, idtr;
    u32 sysenter_cs, sysenter_esp, sysenter_eip; /* MSRs 174 to 176 */
    u32 dr[8];
    u32 debugctl;   /* MSR 1D9: DEBUGCTL_* of debug.h */
    u32 last_branch[2], last_int[2]; /* from, to: MSRs 1DB to 1DE */
    u64 tsc_offset; /* guest TSC = host TSC + this */
    u64 tsc_stopped; /* the guest's, while the machine is stopped */
    u64 pat, mtrr_def_type, mtrr_fix[11], mtrr_var[16], mcg_status, misc_enable;
    u64 mc_ctl[5], mc_status[5], mc_addr[5]; /* machine-check banks */
    u64 perf_select[2], perf_base[2];        /* P6 event counters: see msr.c */

    u32 db_pending; /* DR6 bits of the #DB trap that REQ_TRAP announces */
    u8 ext;         /* 1 while delivering an exception or interrupt: the EXT bit of error codes */
    u8 ss_shadow;   /* REQ_SHADOW comes from a load of SS: #DB traps wait, too */
    u8 mid_rep;     /* the string instruction at EIP has done some of its iterations */
    bool ferr;  /* FERR# output: an unmasked x87 error met a waiting instruction with CR0.NE clear */
    bool ignne; /* IGNNE# input: run on despite the error (port F0) */

    /* The exception a handler recorded with cpu_fault(); vector EXC_NONE: none. */
    u8 exc_vector;
    bool exc_has_error;
    u32 exc_error;

    /* ---- Not the guest's ---- */

    const struct cpu_model *model;
    struct cpu_pins pins;
    struct cpu_stats stats;
    struct hostexec *hostexec; /* owned by cpu/hostexec.c */
    void *fetch;  /* decoded instructions; owned by cpu/fetch.c */
    const struct engine *engine; /* which runs it; see engine.h */
    void *bt;     /* the translator; owned by bt/ */
    u64 insns; /* instructions run by the interpreter since reset */
    u32 cpuid_version; /* another whenever an answer of CPUID may have changed */
    u32 pauses; /* PAUSEs until machine_paused() is asked */
    i32 patience; /* steps until C looks whether the deadline is there: cpu_asked() */
    u8 hurry;     /* the deadline has come near: look at once */
    u64 deadline; /* the host's TSC at which REQ_TIMER is due; ~0: never. Who runs code looks, within microseconds */

    /* ---- The guest's again, and the MMU's: what translated code reaches, by offsets of one byte ---- */

    union { /* one and the same: what the MMU is handed, and its members as the vcpu's */
        struct paging paging;
        struct paging;
    };
    u32 gpr[8];      /* by enum gpr */
    u32 eip;         /* of the instruction about to run, or that faulted */
    u32 eflags;      /* all but IF, which is kept in int_flag; bit 1 is always set */
    u8 int_flag;     /* EFLAGS.IF: 0 or 1 */
    u8 cpl;          /* 0 to 3; 3 in V86, 0 in real mode */
    u8 intr;         /* level of the INTR input */
    u8 nmi_blocked;  /* until IRET */
    u32 requests;   /* REQ_*: see above */
} __attribute__((aligned(64)));
static_assert(sizeof(struct vcpu) - offsetof(struct vcpu, shadow) <= 128, "translated code uses short offsets");

/* `-cpu`: what CPUID says and which instructions exist (cpu/cpuid.c). */
enum cpu_feature {
    FEAT_ALWAYS, FEAT_CPUID, FEAT_FPU, FEAT_VME, FEAT_DE, FEAT_PSE, FEAT_TSC, FEAT_MSR, FEAT_PAE,
    FEAT_CX8, FEAT_APIC, FEAT_SEP, FEAT_MTRR, FEAT_PGE, FEAT_CMOV, FEAT_PAT, FEAT_MMX, FEAT_FXSR,
    FEAT_SSE, FEAT_SSE2, FEAT_NX, FEAT_NOPL, FEAT_486,
};
struct cpu_model {
    const char *name, *help;
    u64 features; /* bit n: enum cpu_feature n */
    u32 signature; /* CPUID 1 EAX: family, model, stepping; EDX at reset */
};
extern const struct cpu_model cpu_models[]; /* ends with name NULL; the first is the default, p6 */
static inline bool cpu_has(const struct vcpu *cpu, enum cpu_feature f)
{
    return cpu->model->features >> f & 1;
}

/* ---- Life ---- */

struct vcpu *cpu_new(struct mmu *mmu, const struct cpu_model *model, const struct cpu_pins *pins);
/* Is the TSC not the host's, but that of a clock turned by hand? */
bool cpu_clock_by_hand(const struct vcpu *cpu);
void cpu_free(struct vcpu *cpu);
void cpu_fetch_free(struct vcpu *cpu); /* by cpu_free() */
/* The state after RESET (vol. 3, table 9-1): real mode, CS:EIP = F000:FFF0, base FFFF0000. */
void cpu_reset(struct vcpu *cpu);

/* ---- Modes ---- */

enum {
    CPU_PATIENCE = 64, /* interpreted instructions, some microseconds */
    CPU_HURRY = 65536, /* the TSC's ticks: what looks that are rarer could miss */
};
enum { INT_DOS_IDLE = 0x28 }; /* DOS, and programs under it, call it while they wait for input */

static inline bool cpu_protected(const struct vcpu *cpu) /* protected, and not V86 */
{
    return (cpu->cr0 & CR0_PE) && !(cpu->eflags & FLAG_VM);
}
static inline bool cpu_v86(const struct vcpu *cpu)
{
    return cpu->eflags & FLAG_VM;
}
static inline u32 cpu_iopl(const struct vcpu *cpu)
{
    return cpu->eflags >> FLAG_IOPL_SHIFT & 3;
}
static inline bool cpu_code32(const struct vcpu *cpu) /* CS.D: default operand and address size */
{
    return cpu->seg[CS].attr & ATTR_DB;
}
static inline u32 segment_stack_mask(const struct segment *ss) /* SS.B: ESP or SP */
{
    return ss->attr & ATTR_DB ? 0xffffffffu : 0xffffu;
}
static inline u32 cpu_stack_mask(const struct vcpu *cpu)
{
    return segment_stack_mask(&cpu->seg[SS]);
}
/* EFLAGS as the guest sees it, IF included. */
static inline u32 cpu_eflags(const struct vcpu *cpu)
{
    return cpu->eflags | (cpu->int_flag ? FLAG_IF : 0);
}
/* Replaces the bits of `mask` by those of `val`; a change of IF or TF updates requests. */
void cpu_set_eflags(struct vcpu *cpu, u32 val, u32 mask);

/* ---- Exceptions and interrupts (cpu/deliver.c) ---- */

/* Records an exception and returns false. The error code is pushed for the vectors that have one. */
bool cpu_fault(struct vcpu *cpu, enum exception vector, u32 error);

enum delivery { DELIVER_EXCEPTION, DELIVER_INT /* INT n, INT3, INTO */, DELIVER_HARDWARE };
/*
 * Enters the handler of `vector` through the IVT or IDT (vol. 3, chapter 6; V86: chapter 20).
 * `eip` is what is pushed. Exceptions on the way become double and triple faults here, except for
 * DELIVER_INT, where they are the INT instruction's own: then false is returned with the exception
 * recorded. A triple fault requests a machine reset.
 */
bool cpu_deliver(struct vcpu *cpu, u8 vector, enum delivery how, u32 error, bool has_error, u32 eip);
/* Delivers what cpu_fault() recorded, with cpu->eip as the restart address. */
void cpu_deliver_pending(struct vcpu *cpu);
/*
 * Called when requests is not 0, at an instruction boundary: takes an NMI or interrupt if one is
 * due and allowed, delivers the #DB trap of the instruction before, drops the interrupt shadow.
 * Returns false when the engine must return to the run loop (timer, event, halt).
 */
bool cpu_serve_requests(struct vcpu *cpu);
/* REQ_TIMER is due when the host's TSC is there. */
void cpu_set_deadline(struct vcpu *cpu, u64 tsc);
/* Sets REQ_TIMER if the deadline has passed. */
void cpu_look_at_clock(struct vcpu *cpu);
/* The requests there are, the deadline's among them; `steps` have been taken since the last question. */
static inline u32 cpu_asked(struct vcpu *cpu, u32 steps)
{
    if (unlikely((cpu->patience -= (i32)steps) <= 0))
        cpu_look_at_clock(cpu);
    return __atomic_load_n(&cpu->requests, __ATOMIC_RELAXED);
}
/* INTR input; callable by any device. */
void cpu_set_intr(struct vcpu *cpu, bool level);
void cpu_raise_nmi(struct vcpu *cpu);
/* True when a halted CPU has a reason to wake. */
bool cpu_can_wake(const struct vcpu *cpu);

/* ---- The interpreter (cpu/interp.c) ---- */

/* One instruction, or the delivery of what it raised. EIP is exact before and after. REP string
 * instructions may return after some iterations, EIP unmoved, to let interrupts in. */
void cpu_step(struct vcpu *cpu);
/* The same without a look at requests: for engines that have attended already. */
void cpu_run_one(struct vcpu *cpu);

/* ---- Memory through segments (cpu/access.c) ---- */

/*
 * size is 1, 2, 4 or 8 bytes. Checks presence, type and limit (#GP, or #SS for SS; error 0), then
 * translates with the CPL's privilege. cpu_check_* test an access without making it, so that
 * instructions with several accesses can fault before the first one. `off` is the offset, already
 * truncated to the address size.
 */
bool cpu_read(struct vcpu *cpu, enum seg seg, u32 off, u32 size, u64 *val);
bool cpu_write(struct vcpu *cpu, enum seg seg, u32 off, u32 size, u64 val);
/* Reads what will be written back: faults as a write does. */
bool cpu_read_rmw(struct vcpu *cpu, enum seg seg, u32 off, u32 size, u64 *val);
bool cpu_check_read(struct vcpu *cpu, enum seg seg, u32 off, u32 size);
bool cpu_check_write(struct vcpu *cpu, enum seg seg, u32 off, u32 size);
/* Any size up to 512 (FXSAVE, environments, SSE); all or nothing. */
bool cpu_read_bytes(struct vcpu *cpu, enum seg seg, u32 off, void *buf, u32 n);
bool cpu_write_bytes(struct vcpu *cpu, enum seg seg, u32 off, const void *buf, u32 n);
/* Segment checks only: *gla is where the access would go. */
bool cpu_linear(struct vcpu *cpu, enum seg seg, u32 off, u32 size, bool write, gla_t *gla);

/* Pushes and pops of the operand size (2 or 4), ESP or SP by SS.B. Pops leave ESP to the caller's
 * commit: `cpu_pop` reads at ESP + *skip and adds size to *skip; cpu_pop_commit adds it to ESP. */
bool cpu_push(struct vcpu *cpu, u32 size, u32 val);
bool cpu_pop(struct vcpu *cpu, u32 size, u32 *skip, u32 *val);
void cpu_pop_commit(struct vcpu *cpu, u32 skip);

/* ---- Segments and far transfers (cpu/segment.c, flow across segments in far.c, task.c) ---- */

/* Loads a segment register as MOV, POP, LDS… do (vol. 2, "MOV"); ES, SS, DS, FS, GS. */
bool cpu_load_segment(struct vcpu *cpu, enum seg seg, u16 selector);
/* Real-mode/V86 load: base = selector << 4; real mode keeps limit and attributes, V86 sets them. */
void cpu_load_segment_real(struct vcpu *cpu, enum seg seg, u16 selector);
/* Reads the 8-byte descriptor of a selector from GDT or LDT as the system; #exc(selector) beyond
 * the limit. */
bool cpu_read_descriptor(struct vcpu *cpu, u16 selector, enum exception exc, u32 desc[2]);
/* Unpacks a descriptor into a hidden part. */
void cpu_unpack_descriptor(struct segment *seg, u16 selector, const u32 desc[2]);

bool cpu_far_jump(struct vcpu *cpu, u16 selector, u32 off, u32 opsize, u32 next_eip);
bool cpu_far_call(struct vcpu *cpu, u16 selector, u32 off, u32 opsize, u32 next_eip);
bool cpu_far_ret(struct vcpu *cpu, u32 opsize, u32 pop_bytes);
enum task_switch { TASK_JMP, TASK_CALL, TASK_IRET, TASK_INT };
/* Hardware task switch (vol. 3, 7.3). next_eip is saved in the old TSS. */
bool cpu_switch_task(struct vcpu *cpu, u16 selector, enum task_switch how, u32 next_eip,
                     bool has_error, u32 error);

/* ---- Control (cpu/control.c, msr.c, cpuid.c, debug.c) ---- */

bool cpu_set_cr0(struct vcpu *cpu, u32 val);
bool cpu_set_cr3(struct vcpu *cpu, u32 val);
bool cpu_set_cr4(struct vcpu *cpu, u32 val);
bool cpu_rdmsr(struct vcpu *cpu, u32 index, u64 *val);
bool cpu_wrmsr(struct vcpu *cpu, u32 index, u64 val);
void cpu_cpuid(struct vcpu *cpu, u32 leaf, u32 subleaf, u32 out[4]); /* eax ebx ecx edx */
u64 cpu_tsc(struct vcpu *cpu);
/* The machine stops or goes on: the TSC stands meanwhile, as the machine's clock does. */
void cpu_tsc_stop(struct vcpu *cpu);
void cpu_tsc_start(struct vcpu *cpu);

/* ---- x87, MMX, SSE (cpu/fpu.c, hostexec.c) ---- */

/* The FPU part of RESET (SDM vol. 3, table 9-1). */
void cpu_fpu_reset(struct vcpu *cpu);
void cpu_hostexec_free(struct vcpu *cpu);

/* ---- For people ---- */

/* QEMU's `info registers` layout. Returns bytes written, NUL not counted. */
size_t cpu_print(const struct vcpu *cpu, char *buf, size_t size);

#endif
