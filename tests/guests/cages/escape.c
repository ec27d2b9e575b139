/*
 * User code of a Linux guest that tries to get out of where it runs. What must not run directly
 * hides in the immediates of other instructions, so that whoever reads its page from
 * instruction to instruction does not find it. Each must end as it does in a plain guest
 * (tests/suites/direct.py compares); names with a '?' are those that may read what is the
 * host's, and say what to the standard error (bt/README.md, "Direct execution").
 */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static sigjmp_buf back;

static void on_signal(int signal)
{
    siglongjmp(back, signal);
}

static unsigned spin(unsigned n)
{
    volatile unsigned sum = 1;

    for (unsigned i = 0; i < n; i++)
        sum = sum * 33 + i;
    return sum;
}

/* ---- Writing code ---- */

/* In the page: mov ecx, 2000000;  dec ecx;  jnz;  jmp eax, so that it runs directly when it gets there; the code; and what a
 * far transfer leads to. */
enum { WAIT = 2, AT = 16, FAR = 0x80 };
static unsigned char *page, *p;

static unsigned address(const void *to)
{
    return (unsigned)(size_t)to;
}

static void byte(int b)
{
    *p++ = (unsigned char)b;
}

static void word(unsigned w)
{
    memcpy(p, &w, 4);
    p += 4;
}

static void bytes(const char *s, int n)
{
    memcpy(p, s, (size_t)n);
    p += n;
}
#define SEEN(s) bytes(s, sizeof(s) - 1)

/* mov eax, imm32, whose immediate is an instruction of two bytes and a jump over the next B8 */
static void hidden(int a, int b)
{
    byte(0xb8), byte(a), byte(b), byte(0xeb), byte(1);
}

/* JMP 33h:page + FAR, the host's 64-bit code; the code goes on there */
static void to_64_bits(void)
{
    byte(0xb8), byte(0xea), word(address(page + FAR)), byte(0x33), byte(0), byte(0xc0);
    p = page + FAR;
}

static void begin(void)
{
    static unsigned next = 0x20000000;

    page = mmap((void *)(size_t)next, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    next += 0x10000;
    memset(page, 0x90, 4096);
    *page = 0xc3;
    memcpy(page + WAIT, "\xb9\x80\x84\x1e\0\x49\x75\xfd\xff\xe0", 10);
    p = page + AT;
}

typedef unsigned code(void);

/* First the page's RET alone, until it runs directly. */
static void run(const char *name, int entry)
{
    unsigned result;
    int got;

    byte(0xb8), word(0xc3c3c3c3);
    for (int i = 0; i < 3; i++) {
        spin(300000);
        ((code *)page)();
    }
    got = sigsetjmp(back, 1);
    if (got) {
        printf("%s: signal %d\n", name, got);
        return;
    }
    __asm__ volatile("call *%1" : "=a"(result) : "r"(page + WAIT), "0"(page + AT + entry) : "ebx", "ecx", "edx", "memory", "cc");
    printf("%s: returned\n", name);
    if (strchr(name, '?'))
        fprintf(stderr, "%s %x\n", name, result);
}
#define CODE(name, entry, ...)                                                                 \
    do {                                                                                       \
        begin();                                                                               \
        __VA_ARGS__;                                                                           \
        run(name, entry);                                                                      \
    } while (0)

int main(void)
{
    static const int signals[] = {SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGBUS, SIGSYS};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_NODEFER | SA_ONSTACK};
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};

    sigaltstack(&stack, NULL);
    for (unsigned i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        sigaction(signals[i], &action, NULL);
    setvbuf(stdout, 0, _IONBF, 0);
    printf("spin %u\n", spin(3000000));
    CODE("plain return", 0, byte(0xc3));
    CODE("hidden return", 1, hidden(0x90, 0xc3));
    CODE("64-bit code: exit by SYSCALL", 1, to_64_bits(); SEEN("\x31\xff"); SEEN("\xb0\x3c");
         SEEN("\xeb\x01"); hidden(0x0f, 0x05));
    CODE("64-bit code: kill by SYSCALL", 1, to_64_bits();
         SEEN("\xb0\x3e\x31\xff\xff\xcf\xb0\x09\x90"); SEEN("\xeb\x01"); hidden(0x0f, 0x05));
    CODE("64-bit code: INT 80h", 1, to_64_bits(); SEEN("\xb0\x01\x31\xdb\xeb\x01");
         hidden(0xcd, 0x80));
    CODE("64-bit code: endless", 1, to_64_bits(); SEEN("\xeb\xfe"));
    CODE("64-bit code: UD2", 1, to_64_bits(); SEEN("\x0f\x0b"));
    CODE("64-bit code: store to the stub", 1, to_64_bits();
         SEEN("\x48\xb8\0\0\0\0\0\x7e\0\0\xc6\x00\xcc\xeb\xfe"));
    CODE("64-bit code: store to the calls", 1, to_64_bits();
         SEEN("\x48\xb8\0\0\1\0\0\x7e\0\0\xc6\x00\x01\xeb\xfe"));
    CODE("64-bit code: into the stub", 1, to_64_bits(); SEEN("\x48\xb8\xb0\0\0\0\0\x7e\0\0");
         SEEN("\xeb\x01"); hidden(0xff, 0xe0));
    CODE("64-bit code: into the stub's calls", 1, to_64_bits();
         SEEN("\x48\xb8\xe8\0\0\0\0\x7e\0\0"); SEEN("\xeb\x01"); hidden(0xff, 0xe0));
    CODE("64-bit code: vsyscall", 1, to_64_bits(); SEEN("\x48\xc7\xc0\0\0\x60\xff");
         SEEN("\xeb\x01"); hidden(0xff, 0xe0));
    CODE("64-bit code: far back?", 1, to_64_bits(); SEEN("\x6a\x23\x68"); word(address(page));
         SEEN("\xeb\x01"); hidden(0x48, 0xcb));
    CODE("SYSCALL?", 1, hidden(0xb0, 1); hidden(0x0f, 0x05));
    CODE("SYSENTER?", 0, SEEN("\x51\x52\x55\xeb\x01"); hidden(0xb0, 20); hidden(0x89, 0xe5);
         hidden(0x0f, 0x34));
    CODE("far return to 33h", 0, SEEN("\x6a\x33\x68"); word(address(page + FAR));
         SEEN("\xeb\x01"); hidden(0xcb, 0x90); p = page + FAR; SEEN("\xeb\xfe"));
    CODE("far return to 4h", 0, SEEN("\x6a\x04\x68"); word(address(page + FAR));
         SEEN("\xeb\x01"); hidden(0xcb, 0x90); p = page + FAR; SEEN("\xeb\xfe"));
    CODE("IRET to 33h", 0, SEEN("\x9c\x6a\x33\x68"); word(address(page + FAR));
         SEEN("\xeb\x01"); hidden(0xcf, 0x90); p = page + FAR; SEEN("\xeb\xfe"));
    CODE("IRET with IOPL 3", 0, SEEN("\x68\x02\x32\0\0\x6a\x33\x68"); word(address(page + FAR));
         SEEN("\xeb\x01"); hidden(0xcf, 0x90); p = page + FAR; SEEN("\xeb\xfe"));
    CODE("IN", 0, SEEN("\xec\xc3"));
    CODE("CLI", 0, SEEN("\xfa\xc3"));
    CODE("HLT", 0, SEEN("\xf4\xc3"));
    CODE("WRMSR", 0, SEEN("\x0f\x30\xc3"));
    CODE("RDPMC", 0, SEEN("\x0f\x33\xc3"));
    CODE("MOV from CR3", 0, SEEN("\x0f\x20\xd8\xc3"));
    CODE("LGDT", 0, SEEN("\x0f\x01\x15\0\0\0\0\xc3"));
    CODE("INVLPG", 0, SEEN("\x0f\x01\x3d\0\0\0\0\xc3"));
    CODE("trap flag", 0, SEEN("\x9c\x81\x0c\x24\0\1\0\0\x9d\x90\x90\xc3"));
    CODE("INT3", 0, SEEN("\xcc\xc3"));
    CODE("INT 3", 0, SEEN("\xcd\x03\xc3"));
    CODE("INT 40h", 0, SEEN("\xcd\x40\xc3"));
    CODE("INT1", 1, hidden(0xf1, 0x90));
    CODE("INTO?", 1, SEEN("\xb8\xb0\x7f\xeb\x01\xb8\x04\x01\xeb\x01"); hidden(0xce, 0x90));
    CODE("BOUND", 0, SEEN("\xb9\x05\0\0\0\x62\x0d"); word(address(page + 0x200)); byte(0xc3);
         *(int *)(page + 0x200) = 6, *(int *)(page + 0x204) = 9);
    CODE("MOV GS of 33h", 1, SEEN("\xb8\x6a\x33\xeb\x01\xb8\x90\x58\xeb\x01");
         hidden(0x8e, 0xe8); p = page + 0x40; SEEN("\xc3"));
    CODE("MOV DS of 2Bh?", 1, SEEN("\xb8\x6a\x2b\xeb\x01\xb8\x90\x58\xeb\x01");
         hidden(0x8e, 0xd8));
    CODE("CPUID?", 1, SEEN("\xb8\x90\x53\xeb\x01\xb8\x31\xc0\xeb\x01"); hidden(0x0f, 0xa2);
         hidden(0x5b, 0xc3));
    CODE("CS?", 1, hidden(0x8c, 0xc8); hidden(0x90, 0xc3));
    CODE("LSL?", 1, SEEN("\xb8\x6a\x2b\xeb\x01\xb8\x90\x58\xeb\x01");
         SEEN("\xb8\x0f\x03\xc0\xc3"));
    CODE("SIDT?", 1, SEEN("\xb8\x83\xec\x08\x90"); SEEN("\xb8\x0f\x01\x0c\x24\x58\x5a\xc3"));
    CODE("address FFFFFFFF", 0, SEEN("\xa1\xff\xff\xff\xff\xc3"));
    CODE("address C0000000", 0, SEEN("\xa1\0\0\0\xc0\xc3"));
    CODE("address 0", 0, SEEN("\xa1\0\0\0\0\xc3"));
    CODE("jump to C0000000", 0, SEEN("\xb8\0\0\0\xc0\xff\xe0"));
    CODE("stack at 0", 0, SEEN("\x89\xe2\x31\xe4\x50\x89\xd4\xc3"));
    CODE("unknown MXCSR bits, which QEMU loads?", 0, SEEN("\x68\xff\xff\xff\xff\x0f\xae\x14\x24\x58\xc3"));
    CODE("x87 error", 0,
         SEEN("\x9b\xdb\xe3\x68\x40\x03\0\0\xd9\x2c\x24\x58\xd9\xee\xd9\xe8\xd8\xf1\x9b\xc3"));
    CODE("plain return again", 0, byte(0xc3));
    printf("spin %u\nDONE\n", spin(3000000));
    return 0;
}
