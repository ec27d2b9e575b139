/* Each question is asked in a child process, whose exit status is the answer. */
#include "tests/insn/host.h"

#include <asm/ldt.h>
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { YES = 41, NO = 42 }; /* unlike a program's own status */

static bool answered(pid_t pid, int answer)
{
    int status;

    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == answer;
}

bool host_runs_32(const char *program)
{
    pid_t pid = fork();

    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);

        for (int fd = 0; fd < 3; fd++)
            dup2(null, fd);
        alarm(10);
        execl(program, program, (char *)NULL);
        _exit(errno == ENOEXEC ? NO : YES);
    }
    return !answered(pid, NO);
}

/* Not all that modify_ldt(2) takes takes effect: LAR asks the processor itself. */
bool host_has_ldt(void)
{
    struct user_desc d = { .entry_number = 1, .limit = 0xfff, .useable = 1 };
    pid_t pid = fork();

    if (pid == 0) {
        u32 access = 0, selector = 1 << 3 | 7;

        if (!syscall(SYS_modify_ldt, 1, &d, sizeof(d)))
            __asm__ volatile("lar %1, %0" : "+r"(access) : "r"(selector) : "cc");
        _exit(access ? YES : NO);
    }
    return answered(pid, YES);
}

bool host_is_amd(void)
{
    u32 eax, ebx, ecx, edx;

    return __get_cpuid(0, &eax, &ebx, &ecx, &edx) && ebx == signature_AMD_ebx;
}
