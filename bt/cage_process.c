/*
 * Cages as processes of the host: made, told what to map, run and stopped, by ptrace.
 *
 *   ring3                                        cage
 *   PTRACE_SETREGS, PTRACE_SYSEMU       ──▶      the guest's user code, in compatibility mode
 *   waits for SIGCHLD or the time       ◀──      a fault, a system call; or SIGUSR1 from ring3
 *   PTRACE_SETREGS, PTRACE_CONT         ──▶      cage_calls: mmap, munmap, mprotect, modify_ldt
 *
 * Under PTRACE_SYSEMU the host makes no system call for it, by INT 80h, SYSENTER or SYSCALL, in
 * 32- or 64-bit code: it stops before, and that is all. Behind that wall stands a second one, a
 * filter of seccomp that lets through what ring3 writes down for it and nothing else. Its
 * addresses above 4 GiB hold the stub and those calls, neither of which it can write.
 *
 * It has two files: the guest's RAM and the calls. It dies with ring3.
 */
#include "bt/cage_process.h"
#include "bt/cage_stub.h"
#include "runtime/base/clock_ns.h"

#include <asm/ldt.h>
#include <asm/prctl.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#undef PAGE_MASK /* by sys/user.h it is the other part of an address */

extern const u8 cage_elf[], cage_elf_end[], cage_calls[], cage_flags[];

/* In place of a system call's number: none is to be begun again. */
#define NO_CALL (~0ull)

enum {
    CAGE_MFD_EXEC = 0x10, /* MFD_EXEC, which older headers lack */
    USER32_CS = 0x23,
    USER_DS = 0x2b,
    USER_CS = 0x33, /* the host's, in its GDT */
    MOST_CALLS = 900,
    HIGH_FD = 64, /* of the child's, while the low ones are given out */
};

struct call {
    u64 number, arg[6], unused;
};
struct cage_calls {
    u64 count, unused[7];
    struct call call[MOST_CALLS];
    u64 flags;
    struct user_desc desc[CAGE_SLOTS];
    struct sock_filter filter[16];
    struct sock_fprog program;
};
static_assert(sizeof(struct cage_calls) <= CAGE_CALLS_SIZE, "the page of calls");

/* Of EFLAGS, what PTRACE_SETREGS leaves as it is, and POPF changes. */
enum { FLAGS_KEPT = FLAG_ID | FLAG_NT };

/* Where a member of the calls lies in the cage. */
#define IN_CAGE(member) (CAGE_CALLS + offsetof(struct cage_calls, member))

/* ---- Being stopped ---- */

/* Waits for its next stop; false: it is gone. */
static bool stopped(struct cage_process *c, int *status)
{
    pid_t pid;

    do
        pid = waitpid(c->pid, status, __WALL);
    while (pid < 0 && errno == EINTR);
    if (pid == c->pid && WIFSTOPPED(*status))
        return true;
    c->pid = 0;
    return false;
}

/* Others are sent: by us, late, or by somebody. They are never delivered. */
static bool is_fault(int signal)
{
    return signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE ||
           signal == SIGSYS;
}

static bool set_regs(const struct cage_process *c, const struct user_regs_struct *r)
{
    return !ptrace(PTRACE_SETREGS, c->pid, 0, r);
}

static u64 stub_at(const u8 *label)
{
    return CAGE_STUB + (u64)(label - cage_elf);
}

/* Runs the stub from there until it says that it is done. */
static bool stub_runs(struct cage_process *c, u64 rip, u64 *rax)
{
    struct user_regs_struct r = {.rip = rip,
                                 .rsp = IN_CAGE(flags),
                                 .cs = USER_CS,
                                 .ss = USER_DS,
                                 .eflags = FLAG_1,
                                 .orig_rax = NO_CALL};
    int status;

    if (!set_regs(c, &r))
        return false;
    do
        if (ptrace(PTRACE_CONT, c->pid, 0, 0) || !stopped(c, &status))
            return false;
    while (WSTOPSIG(status) != SIGTRAP && !is_fault(WSTOPSIG(status)));
    if (WSTOPSIG(status) != SIGTRAP || ptrace(PTRACE_GETREGS, c->pid, 0, &r))
        return false;
    *rax = r.rax;
    c->flags = (u32)r.eflags & FLAGS_KEPT;
    return true;
}

/* ---- Calls of the host ---- */

static void ask(struct cage_process *c, struct call call)
{
    if (!c->pid)
        return;
    if (c->calls->count == MOST_CALLS && !cage_process_settle(c))
        return;
    c->calls->call[c->calls->count++] = call;
}

bool cage_process_settle(struct cage_process *c)
{
    u64 rax = 0, start = __rdtsc();

    if (!c->pid)
        return false;
    if (!c->calls->count)
        return true;
    c->settles++;
    if (!stub_runs(c, stub_at(cage_calls), &rax) || rax) {
        cage_process_end(c);
        return false;
    }
    c->calls->count = 0;
    c->settling += __rdtsc() - start;
    return true;
}

/* What would lie below the first address that the host gives is left out. */
static bool above_first(gla_t *gla, u64 *size, u64 *offset)
{
    u64 below = *gla < CAGE_FIRST ? CAGE_FIRST - *gla : 0;

    if (*size <= below)
        return false;
    *gla += (gla_t)below;
    *size -= below;
    *offset += below;
    return true;
}

void cage_process_map(struct cage_process *c, gla_t gla, u64 size, u64 offset, bool writable)
{
    if (above_first(&gla, &size, &offset))
        ask(c, (struct call){SYS_mmap,
                             {gla, size, PROT_READ | (writable ? PROT_WRITE : 0),
                              MAP_SHARED | MAP_FIXED | MAP_NORESERVE | MAP_POPULATE,
                              CAGE_RAM_FD, offset}});
}

void cage_process_unmap(struct cage_process *c, gla_t gla, u64 size)
{
    u64 offset = 0;

    if (above_first(&gla, &size, &offset))
        ask(c, (struct call){SYS_munmap, {gla, size}});
}

void cage_process_executable(struct cage_process *c, gla_t gla, bool on)
{
    ask(c, (struct call){SYS_mprotect, {gla, PAGE_SIZE, PROT_READ | (on ? PROT_EXEC : 0)}});
}

/* ---- Segments ---- */

static bool same_segment(const struct segment *a, const struct segment *b)
{
    const u16 mask = (ATTR_TYPE & ~SEG_A) | ATTR_S | ATTR_P | ATTR_DB;

    return a->base == b->base && a->limit == b->limit && !((a->attr ^ b->attr) & mask);
}

static struct user_desc descriptor(const struct segment *s, u32 slot)
{
    struct user_desc d = {.entry_number = slot,
                          .base_addr = s->base,
                          .limit = s->limit,
                          .seg_32bit = s->attr & ATTR_DB ? 1 : 0};
    bool code = s->attr & SEG_CODE;

    if (s->limit > 0xfffff) {
        d.limit >>= 12;
        d.limit_in_pages = 1;
    }
    d.contents = code ? 2 : s->attr & SEG_E ? 1 : 0;
    d.read_exec_only = !(s->attr & (code ? SEG_R : SEG_W));
    return d;
}

u16 cage_process_selector(struct cage_process *c, const struct segment *s)
{
    bool flat = !s->base && s->limit == ~0u && s->attr & ATTR_DB && !(s->attr & SEG_E);
    u32 slot;

    if (!c->pid || !(s->attr & ATTR_P) || !(s->selector & ~3))
        return 0;
    if (flat && s->attr & SEG_CODE && s->attr & SEG_R)
        return USER32_CS;
    if (flat && !(s->attr & SEG_CODE) && s->attr & SEG_W)
        return USER_DS;
    for (slot = 0; slot < CAGE_SLOTS; slot++)
        if (same_segment(&c->slots[slot], s))
            return (u16)(slot << 3 | 7);
    slot = c->next_slot++ % CAGE_SLOTS;
    if (c->slots[slot].attr & ATTR_P) /* a call that waits may be for what is there */
        cage_process_settle(c);
    c->slots[slot] = *s;
    c->calls->desc[slot] = descriptor(s, slot);
    ask(c,
        (struct call){SYS_modify_ldt, {0x11, IN_CAGE(desc[slot]), sizeof(struct user_desc)}});
    return (u16)(slot << 3 | 7);
}

/* ---- Making one ---- */

/* What the stub may ask of the host. Of the rest, vsyscalls among it, none is made: it dies. */
static void write_filter(struct cage_calls *calls)
{
    static const u16 allowed[] = {SYS_mmap, SYS_munmap, SYS_mprotect, SYS_modify_ldt};
    struct sock_filter *f = calls->filter;
    u8 n = ARRAY_SIZE(allowed);

    *f++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                        offsetof(struct seccomp_data, arch));
    *f++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0,
                                        (u8)(n + 1));
    *f++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                        offsetof(struct seccomp_data, nr));
    for (u8 i = 0; i < n; i++)
        *f++ =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], (u8)(n - i), 0);
    *f++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    *f++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    calls->program =
        (struct sock_fprog){(u16)(f - calls->filter), (struct sock_filter *)IN_CAGE(filter)};
}

/* A file of memory with those bytes. -1: refused. */
static int memory_file(const char *name, const void *bytes, u64 size)
{
    int fd = memfd_create(name, MFD_CLOEXEC | CAGE_MFD_EXEC);

    if (fd < 0 && errno == EINVAL) /* a kernel before 6.3 */
        fd = memfd_create(name, MFD_CLOEXEC);

    if (fd >= 0 && bytes && write(fd, bytes, size) == (ssize_t)size)
        return fd;
    if (fd >= 0 && !bytes && !ftruncate(fd, (off_t)size))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Between vfork() and the new program: calls of the host alone. */
static void become_stub(int elf_fd, int calls_fd, int ram_fd)
{
    char *argv[] = {"ring3-cage", NULL}, *envp[] = {NULL};
    int elf = fcntl(elf_fd, F_DUPFD_CLOEXEC, HIGH_FD),
        calls = fcntl(calls_fd, F_DUPFD_CLOEXEC, HIGH_FD),
        ram = fcntl(ram_fd, F_DUPFD_CLOEXEC, HIGH_FD);
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (elf < 0 || calls < 0 || ram < 0 || dup2(ram, CAGE_RAM_FD) < 0 ||
        dup2(calls, CAGE_CALLS_FD) < 0 || dup3(elf, CAGE_ELF_FD, O_CLOEXEC) < 0)
        return;
    for (int fd = 0; fd < CAGE_RAM_FD; fd++)
        close(fd);
    if (syscall(SYS_close_range, CAGE_ELF_FD + 1, ~0u, 0))
        for (int fd = CAGE_ELF_FD + 1; fd < (int)sysconf(_SC_OPEN_MAX); fd++)
            close(fd);
    setpgid(0, 0); /* what a terminal sends is not for it */
    if (!ptrace(PTRACE_TRACEME, 0, 0, 0))
        syscall(SYS_execveat, CAGE_ELF_FD, "", argv, envp, AT_EMPTY_PATH);
}

static bool begin(struct cage_process *c, int ram_fd, int elf_fd, int calls_fd,
                  const char **why)
{
    u64 rax;
    int status;

    c->pid = vfork();
    if (!c->pid) {
        become_stub(elf_fd, calls_fd, ram_fd);
        _exit(1);
    }
    *why = "the host makes no process that is traced";
    if (c->pid < 0 || clock_getcpuclockid(c->pid, &c->clock) || !stopped(c, &status)) {
        c->pid = 0;
        return false;
    }
    return WSTOPSIG(status) == SIGTRAP &&
           !ptrace(PTRACE_SETOPTIONS, c->pid, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD) &&
           stub_runs(c, CAGE_STUB + ((const Elf64_Ehdr *)cage_elf)->e_entry - CAGE_STUB,
                     &rax) &&
           !rax;
}

/* All that the host has put there goes, and what it may do besides. */
static bool strip(struct cage_process *c, const char **why)
{
    u64 end = 0x7ffffffff000;

    write_filter(c->calls);
    ask(c, (struct call){SYS_munmap, {CAGE_FIRST, CAGE_STUB - CAGE_FIRST}});
    ask(c, (struct call){SYS_munmap,
                         {CAGE_CALLS + CAGE_CALLS_SIZE, end - CAGE_CALLS - CAGE_CALLS_SIZE}});
    ask(c, (struct call){SYS_prctl, {PR_SET_TSC, PR_TSC_SIGSEGV}});
    *why = "the host does not let a cage's addresses be empty, or RDTSC trap";
    if (!cage_process_settle(c))
        return false;
    ask(c, (struct call){SYS_prctl, {PR_SET_NO_NEW_PRIVS, 1}});
    ask(c, (struct call){SYS_seccomp, {SECCOMP_SET_MODE_FILTER, 0, IN_CAGE(program)}});
    *why = "the host has no seccomp";
    return cage_process_settle(c);
}

bool cage_process_start(struct cage_process *c, int ram_fd, const char **why)
{
    int elf_fd = memory_file("ring3-cage", cage_elf, (u64)(cage_elf_end - cage_elf)),
        calls_fd = memory_file("ring3-calls", NULL, CAGE_CALLS_SIZE);
    sigset_t child;
    bool ok;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &child, NULL);
    *c = (struct cage_process){0};
    *why = "the host has no files of memory";
    c->calls = calls_fd < 0 ? MAP_FAILED
                            : mmap(NULL, CAGE_CALLS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
                                   calls_fd, 0);
    ok = elf_fd >= 0 && c->calls != MAP_FAILED && begin(c, ram_fd, elf_fd, calls_fd, why) &&
         strip(c, why);
    if (elf_fd >= 0)
        close(elf_fd);
    if (calls_fd >= 0)
        close(calls_fd);
    if (!ok)
        cage_process_end(c);
    return ok;
}

void cage_process_end(struct cage_process *c)
{
    int status;

    if (c->pid) {
        kill(c->pid, SIGKILL);
        while (stopped(c, &status))
            ;
    }
    if (c->calls && c->calls != MAP_FAILED)
        munmap(c->calls, CAGE_CALLS_SIZE);
    *c = (struct cage_process){0};
}

/* ---- Running ---- */

/* The host's clock in nanoseconds for so many ticks of the TSC, by what it has shown so far. */
static u64 nanoseconds(u64 ticks)
{
    static _Thread_local u64 tsc, ns;
    u64 now;

    if (!tsc) {
        tsc = __rdtsc();
        ns = clock_ns(CLOCK_MONOTONIC);
        return ticks / 8;
    }
    now = clock_ns(CLOCK_MONOTONIC) - ns;
    return (u64)((unsigned __int128)ticks * now / (__rdtsc() - tsc + 1));
}

/* Has it stopped? Waits for that no longer than to `until`. */
static bool stops_by(struct cage_process *c, u64 until, int *status)
{
    sigset_t child;
    pid_t pid;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    for (;;) {
        u64 now = __rdtsc(), left = until > now ? nanoseconds(until - now) : 0;
        struct timespec ts = {(time_t)(left / SEC(1)), (long)(left % SEC(1))};

        pid = waitpid(c->pid, status, __WALL | WNOHANG);
        if (pid == c->pid)
            return true;
        if (pid < 0 && errno != EINTR)
            return true; /* *status as it was: that of a process that ended */
        if (!left)
            return false;
        sigtimedwait(&child, NULL, &ts);
    }
}

static bool flags_there(struct cage_process *c, u32 wanted)
{
    u64 rax;

    if (likely(c->flags == wanted))
        return true;
    c->calls->flags = FLAG_1 | wanted;
    return stub_runs(c, stub_at(cage_flags), &rax) && c->flags == wanted;
}

static bool regs_there(struct cage_process *c, const struct cage_state *s)
{
    const u64 *r = s->gpr;
    struct user_regs_struct u = {
        .rax = r[EAX],
        .rcx = r[ECX],
        .rdx = r[EDX],
        .rbx = r[EBX],
        .rsp = r[ESP],
        .rbp = r[EBP],
        .rsi = r[ESI],
        .rdi = r[EDI],
        .rip = s->ip,
        .eflags = s->flags,
        .orig_rax = NO_CALL,
        .es = s->seg[ES],
        .cs = s->seg[CS],
        .ss = s->seg[SS],
        .ds = s->seg[DS],
        .fs = s->seg[FS],
        .gs = s->seg[GS],
        .fs_base = s->fs_base,
        .gs_base = s->gs_base,
    };

    return flags_there(c, (u32)s->flags & FLAGS_KEPT) && set_regs(c, &u);
}

static bool regs_back(struct cage_process *c, struct cage_state *s)
{
    struct user_regs_struct u;

    if (ptrace(PTRACE_GETREGS, c->pid, 0, &u))
        return false;
    memcpy(s->gpr, (u64[8]){u.rax, u.rcx, u.rdx, u.rbx, u.rsp, u.rbp, u.rsi, u.rdi},
           sizeof(s->gpr));
    s->ip = u.rip;
    s->flags = u.eflags;
    s->called = u.orig_rax;
    s->seg[CS] = (u16)u.cs;
    c->flags = (u32)u.eflags & FLAGS_KEPT;
    return true;
}

/* The FPU's registers; with AVX's the host wants, and gives, all that it has. */
static bool fpu_there(const struct cage_process *c, struct cage_state *s, enum cage_fpu fpu)
{
    struct iovec area = {s->xsave, s->xsave_size};

    if (fpu == CAGE_FPU_AVX)
        return !ptrace(PTRACE_SETREGSET, c->pid, NT_X86_XSTATE, &area);
    return fpu == CAGE_FPU_NONE || !ptrace(PTRACE_SETFPREGS, c->pid, 0, s->xsave);
}

static bool fpu_back(const struct cage_process *c, struct cage_state *s, enum cage_fpu fpu)
{
    struct iovec area = {s->xsave, sizeof(s->xsave)};

    if (fpu == CAGE_FPU_AVX) {
        if (ptrace(PTRACE_GETREGSET, c->pid, NT_X86_XSTATE, &area))
            return false;
        s->xsave_size = area.iov_len;
        return true;
    }
    return fpu == CAGE_FPU_NONE || !ptrace(PTRACE_GETFPREGS, c->pid, 0, s->xsave);
}

bool cage_process_fpu(const struct cage_process *c, struct cage_state *s)
{
    return fpu_back(c, s, CAGE_FPU_AVX);
}

static enum cage_stop why_stopped(struct cage_process *c, int status, struct cage_state *s)
{
    siginfo_t info = {0};

    s->signal = WSTOPSIG(status);
    if (s->signal == (SIGTRAP | 0x80))
        return CAGE_SYSCALL;
    if (s->signal != SIGTRAP && !is_fault(s->signal))
        return CAGE_TIME;
    if (ptrace(PTRACE_GETSIGINFO, c->pid, 0, &info))
        return CAGE_KILLED;
    s->code = info.si_code;
    s->address = (u64)info.si_addr;
    return CAGE_SIGNAL;
}

enum cage_stop cage_process_run(struct cage_process *c, struct cage_state *s, enum cage_fpu fpu,
                                u64 until)
{
    int status = 0;

    if (!regs_there(c, s) || !fpu_there(c, s, fpu) || ptrace(PTRACE_SYSEMU, c->pid, 0, 0))
        return CAGE_GONE;
    if (!stops_by(c, until, &status)) {
        kill(c->pid, SIGUSR1);
        if (!stopped(c, &status))
            return CAGE_KILLED;
    }
    if (!WIFSTOPPED(status)) {
        c->pid = 0;
        return CAGE_KILLED;
    }
    if (!regs_back(c, s) || !fpu_back(c, s, fpu))
        return CAGE_KILLED;
    c->cpu = clock_ns(c->clock);
    return why_stopped(c, status, s);
}

/* ---- Probing ---- */

static const u8 probe_code[] = {
    0x65, 0xa1, 0x10, 0x00, 0x00, 0x00, /* mov eax, gs:[10h] */
    0x89, 0xc3,                         /* mov ebx, eax */
    0x48,                               /* dec eax: not a prefix, here */
    0xcd, 0x80,                         /* int 80h */
};
enum { PROBE_AT = 0x10000, PROBE_DATA = 0x100, PROBE_VALUE = 0x12345678 };

/* Code, a segment of the LDT, and a system call that is none. */
static bool probe_runs(struct cage_process *c, const char **why)
{
    struct cage_state s = {.ip = PROBE_AT,
                           .flags = FLAG_1,
                           .seg = {[CS] = USER32_CS, [SS] = USER_DS, [DS] = USER_DS}};
    struct segment data = {PROBE_AT + PROBE_DATA, 0xfff, 4, ATTR_P | ATTR_S | ATTR_DB | SEG_W};
    enum cage_stop stop;

    cage_process_map(c, PROBE_AT, PAGE_SIZE, 0, false);
    s.seg[GS] = cage_process_selector(c, &data);
    s.gs_base = data.base;
    *why = "the host's kernel has no modify_ldt";
    if (!cage_process_settle(c))
        return false;
    *why = "the host runs no 32-bit code";
    stop = cage_process_run(c, &s, CAGE_FPU_NONE, __rdtsc() + 1000000000);
    if (stop != CAGE_SIGNAL || s.signal != SIGSEGV || s.address != PROBE_AT)
        return false; /* not executable yet */
    cage_process_executable(c, PROBE_AT, true);
    if (!cage_process_settle(c))
        return false;
    stop = cage_process_run(c, &s, CAGE_FPU_NONE, __rdtsc() + 1000000000);
    return stop == CAGE_SYSCALL && s.ip == PROBE_AT + sizeof(probe_code) &&
           (u32)s.called == PROBE_VALUE - 1 && s.gpr[EBX] == PROBE_VALUE;
}

bool cage_process_probe(const char **why)
{
    u8 page[PAGE_SIZE] = {0};
    u32 value = PROBE_VALUE;
    struct cage_process c;
    bool ok = false;
    int fd;

    memcpy(page, probe_code, sizeof(probe_code));
    memcpy(page + PROBE_DATA + 0x10, &value, sizeof(value));
    fd = memory_file("ring3-probe", page, sizeof(page));
    *why = "the host has no files of memory";
    if (fd < 0)
        return false;
    if (cage_process_start(&c, fd, why)) {
        ok = probe_runs(&c, why);
        cage_process_end(&c);
    }
    close(fd);
    return ok;
}
