/*
 * Runs jobs on the host's CPU: `insn-fpu-native FD` maps the memfd and, for each count on
 * standard input (4 bytes), runs that many jobs and answers with one byte. It is
 * position-independent, so that what is below 4 GiB is the jobs' alone.
 *
 * A job's code is the instruction and RET, on a page of its own. An exception arrives as a
 * signal, whose frame holds the whole state at the fault.
 */
#include "tests/insn/native.h"

#include <setjmp.h>
#include <stddef.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ucontext.h>
#include <unistd.h>

enum { REGISTERS = 8, FLAGS_SAFE = 0xcd5 }; /* arithmetic and DF */

struct job *current;
struct job_state live; /* what run_live() loads and stores */
uint64_t saved_rsp, code_address = JOB_CODE;
static sigjmp_buf after_signal;
static uint8_t host_fx[512] __attribute__((aligned(16)));

/* The upper halves of YMM, in the frame of a signal too: behind FXSAVE's 512 bytes and the
 * header. */
enum { YMM_IN_FRAME = 576 };
uint32_t has_avx;
#define EACH_YMM(insn) insn(0) insn(1) insn(2) insn(3) insn(4) insn(5) insn(6) insn(7)
#define TEXT(x) #x
#define YMM_AT(n) "live+560+16*" TEXT(n) "(%rip)"
#define LOAD_YMM(n) "  vinsertf128 $1, " YMM_AT(n) ", %ymm" TEXT(n) ", %ymm" TEXT(n) "\n"
#define STORE_YMM(n) "  vextractf128 $1, %ymm" TEXT(n) ", " YMM_AT(n) "\n"
_Static_assert(offsetof(struct job_state, ymm_high) == 560, "the code below");

/* The state in `live` is loaded, the code called, the state stored. */
void run_live(void);
__asm__("run_live:\n"
        "  push %rbx\n"
        "  push %rbp\n"
        "  mov %rsp, saved_rsp(%rip)\n"
        "  mov live+32(%rip), %eax\n"
        "  push %rax\n"
        "  fxrstor live+48(%rip)\n"
        "  cmpl $0, has_avx(%rip)\n"
        "  je 1f\n"
        EACH_YMM(LOAD_YMM)
        "1:\n"
        "  popfq\n"
        "  mov live+0(%rip), %eax\n"
        "  mov live+4(%rip), %ecx\n"
        "  mov live+8(%rip), %edx\n"
        "  mov live+12(%rip), %ebx\n"
        "  mov live+20(%rip), %ebp\n"
        "  mov live+24(%rip), %esi\n"
        "  mov live+28(%rip), %edi\n"
        "  call *code_address(%rip)\n"
        "  mov %eax, live+0(%rip)\n"
        "  mov %ecx, live+4(%rip)\n"
        "  mov %edx, live+8(%rip)\n"
        "  mov %ebx, live+12(%rip)\n"
        "  mov %ebp, live+20(%rip)\n"
        "  mov %esi, live+24(%rip)\n"
        "  mov %edi, live+28(%rip)\n"
        "  mov saved_rsp(%rip), %rsp\n"
        "  pushfq\n"
        "  pop %rax\n"
        "  mov %eax, live+32(%rip)\n"
        "  cld\n"
        "  cmpl $0, has_avx(%rip)\n"
        "  je 1f\n"
        EACH_YMM(STORE_YMM)
        "  vzeroupper\n"
        "1:\n"
        "  fxsave live+48(%rip)\n"
        "  fninit\n"
        "  pop %rbp\n"
        "  pop %rbx\n"
        "  ret\n");

static void on_signal(int sig, siginfo_t *info, void *context)
{
    static const int order[REGISTERS] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX,
                                          REG_RSP, REG_RBP, REG_RSI, REG_RDI };
    ucontext_t *uc = context;
    greg_t *g = uc->uc_mcontext.gregs;

    (void)sig, (void)info;
    for (int i = 0; i < REGISTERS; i++)
        live.gpr[i] = (uint32_t)g[order[i]];
    live.eflags = (uint32_t)g[REG_EFL];
    live.eip = (uint32_t)g[REG_RIP];
    memcpy(live.fx, uc->uc_mcontext.fpregs, 512);
    if (has_avx)
        memcpy(live.ymm_high, (uint8_t *)uc->uc_mcontext.fpregs + YMM_IN_FRAME,
               sizeof(live.ymm_high));
    current->exception = (uint32_t)g[REG_TRAPNO];
    current->error = (uint32_t)g[REG_ERR];
    siglongjmp(after_signal, 1);
}

static void run_job(struct job *j)
{
    memcpy((void *)JOB_CODE, j->host_code, sizeof(j->host_code));
    ((uint8_t *)JOB_CODE)[j->host_len] = 0xc3;
    memset((void *)JOB_DATA, 0, 4096);
    memcpy((void *)JOB_DATA, j->before.mem, JOB_MEM);
    current = j;
    live = j->before;
    live.eflags = (live.eflags & FLAGS_SAFE) | 2;
    live.eip = JOB_CODE + j->len;
    j->exception = JOB_NO_EXCEPTION;
    j->error = 0;
    __asm__ volatile("fxsave %0" : "=m"(host_fx));
    if (!sigsetjmp(after_signal, 1))
        run_live();
    __asm__ volatile("fninit; fxrstor %0" : : "m"(host_fx));
    live.eflags &= FLAGS_SAFE;
    j->after = live;
    memcpy(j->after.mem, (void *)JOB_DATA, JOB_MEM);
}

int main(int argc, char **argv)
{
    static const int signals[] = { SIGFPE, SIGSEGV, SIGILL, SIGBUS, SIGTRAP };
    struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    static uint8_t alternate[65536];
    stack_t ss = { .ss_sp = alternate, .ss_size = sizeof(alternate) };
    size_t size = sizeof(struct job) * JOB_BATCH;
    struct job *jobs;
    uint32_t n;

    __builtin_cpu_init();
    has_avx = __builtin_cpu_supports("avx") != 0;
    if (argc < 2)
        return 2;
    jobs = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, atoi(argv[1]), 0);
    if (jobs == MAP_FAILED ||
        mmap((void *)JOB_CODE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ||
        mmap((void *)JOB_DATA, 4096, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        return 3;
    sigaltstack(&ss, NULL);
    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &sa, NULL);
    while (read(0, &n, 4) == 4 && n <= JOB_BATCH) {
        for (uint32_t i = 0; i < n; i++)
            run_job(&jobs[i]);
        if (write(1, "", 1) != 1)
            break;
    }
    return 0;
}
