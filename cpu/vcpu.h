/*
 * The guest's processor: a P6-class CPU (SDM vol. 1 to 3), as it is: its registers by the names of the
 * manual, its pins, and what every file here asks of its modes.
 *
 * Failing, the guest's way: a function that may raise an exception returns bool. It calls
 * `return cpu_fault(cpu, EXC_GP, 0);` which records the exception and yields false; callers pass
 * false up untouched until cpu_step() delivers it. Until then no guest-visible state has changed:
 * an instruction commits registers, flags and EIP after its last access that can fault.
 */
#ifndef RING3_VCPU_H
#define RING3_VCPU_H

#include "mmu/paging.h"

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
    /* MOVS and STOS in device memory: n elements upwards inside a page. False: nothing done, make
     * single accesses. All or none. */
    bool (*read_run)(struct vcpu *cpu, gpa_t gpa, u32 size, u8 *buf, u32 n);
    bool (*write_run)(struct vcpu *cpu, gpa_t gpa, u32 size, const u8 *buf, u32 n);
    bool (*fill_run)(struct vcpu *cpu, gpa_t gpa, u32 size, u32 val, u32 n);
    bool (*copy_run)(struct vcpu *cpu, gpa_t to, gpa_t from, u32 size, u32 n);
    /* MSR 1B of the local APIC; without one both are NULL. false: #GP. */
    u64 (*apic_base_read)(const struct vcpu *cpu);
    bool (*apic_base_write)(struct vcpu *cpu, u64 val);
    void (*shutdown)(struct vcpu *cpu); /* a triple fault */
    /* A batch of PAUSEs has been run: how many make the next one. INT 28h: DOS waits for a key. */
    u32 (*paused)(struct vcpu *cpu);
    void (*dos_idle)(struct vcpu *cpu);
    /* True: the clock is turned by hand, and shows *now nanoseconds. False: the TSC is the host's. */
    bool (*clock_by_hand)(const struct vcpu *cpu, u64 *now);
    /* Else the host's TSC, after tsc_offset has been made right for it. NULL: it stays as it is. */
    u64 (*host_tsc)(struct vcpu *cpu);
};

/* What is counted: stats.def. */
struct cpu_stats {
#define COUNTER(id, help) u64 id;
#include "cpu/stats.def"
#undef COUNTER
};

/*
 * A processor: its architectural state, which is what the guest can observe, and under the line its wiring.
 * What an engine keeps for itself lies behind it in memory (bt/tc.h), so what an engine's code reaches most
 * often comes last.
 */
enum { CPU_ENGINE_ROOM = 8192 }; /* bytes behind a struct vcpu, zero at first */
struct vcpu {
    struct fxsave fpu;        /* exact whenever C runs */
    u8 ymm_high[8][16];       /* bits 128 to 255 of YMM0 to YMM7, as exact */
    u32 xcr0;                 /* XCR0_* of fpu.h; its upper half is zero */
    struct segment seg[SEGS];
    struct table_register gdtr, idtr;
    u32 sysenter_cs, sysenter_esp, sysenter_eip; /* MSRs 174 to 176 */
    u32 dr[8];
    u32 debugctl;   /* MSR 1D9: DEBUGCTL_* of debug.h */
    u32 last_branch[2], last_int[2]; /* from, to: MSRs 1DB to 1DE */
    u64 tsc_offset; /* guest TSC = host TSC + this */
    /* RDTSC asks C 65536 ticks of the host's TSC after ~tsc_unseen, 0: each time. It notes ~(the
     * host's) in tsc_noted: tsc_unseen, or tsc_seen if C is to be asked however often it is read. */
    u64 tsc_unseen, tsc_seen, *tsc_noted;
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
    u64 features; /* bit n: enum cpu_feature n, see cpuid.h */
    struct cpu_pins pins;
    struct cpu_stats stats;
    struct hostexec *hostexec; /* owned by cpu/hostexec.c */
    void *fetch;  /* decoded instructions; owned by cpu/fetch.c */
    const struct engine *engine; /* which runs it; see engine.h */
    void *bt;     /* the translator; owned by bt/ */
    u64 insns; /* instructions run by the interpreter since reset */
    struct debugger *debugger; /* outside the guest; NULL: there has been none. See debugger.h: */
    u8 watch_code; /* it has breakpoints */
    u8 watch_all;  /* WATCH_*: it looks at every instruction */
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

/* ---- Modes ---- */

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

/* ---- Requests ---- */

static inline void request_set(struct vcpu *cpu, u32 bits)
{
    __atomic_fetch_or(&cpu->requests, bits, __ATOMIC_SEQ_CST);
}
static inline void request_clear(struct vcpu *cpu, u32 bits)
{
    __atomic_fetch_and(&cpu->requests, ~bits, __ATOMIC_SEQ_CST);
}

#endif
