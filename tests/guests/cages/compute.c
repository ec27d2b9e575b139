/*
 * A Linux program that computes in every way that the C library's programs do, and meets each
 * kind of trap meanwhile: the same lines must come out wherever it runs
 * (tests/suites/direct.py).
 */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned primes(unsigned below)
{
    char *composite = calloc(below, 1);
    unsigned count = 0;

    for (unsigned i = 2; i < below; i++) {
        if (composite[i])
            continue;
        count++;
        for (unsigned j = 2 * i; j < below; j += i)
            composite[j] = 1;
    }
    free(composite);
    return count;
}

static int compare(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;

    return x < y ? -1 : x > y;
}

static unsigned sorted(unsigned n)
{
    int *v = malloc(n * sizeof(*v));
    unsigned x = 12345, sum = 0;

    for (unsigned i = 0; i < n; i++)
        v[i] = (int)(x = x * 1103515245 + 12345);
    qsort(v, n, sizeof(*v), compare);
    for (unsigned i = 0; i < n; i++)
        sum = sum * 31 + (unsigned)v[i];
    free(v);
    return sum;
}

static double floats(unsigned n)
{
    double sum = 0;

    for (unsigned i = 1; i < n; i++)
        sum += sin(i) * sqrt(i) / exp(1.0 / i);
    return sum;
}

static sigjmp_buf back;

static void on_fault(int signal)
{
    siglongjmp(back, signal);
}

#define TRAP(name, statement)                                                                  \
    do {                                                                                       \
        int got = sigsetjmp(back, 1);                                                          \
                                                                                               \
        if (!got)                                                                              \
            statement;                                                                         \
        printf("%s: signal %d, %u primes\n", name, got, primes(30000));                        \
    } while (0)

static void traps(void)
{
    static const int signals[] = {SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGBUS};
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};

    for (unsigned i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        sigaction(signals[i], &action, NULL);
    TRAP("address 0", *(volatile int *)0 = 1);
    TRAP("division", __asm__ volatile("div %0" : : "r"(0) : "eax", "edx"));
    TRAP("ud2", __asm__ volatile("ud2"));
    TRAP("int3", __asm__ volatile("int3"));
    TRAP("hlt", __asm__ volatile("hlt"));
    TRAP("int 40h", __asm__ volatile("int $0x40"));
    TRAP("single step", __asm__ volatile("pushfl; orl $0x100, (%esp); popfl; nop"));
}

static __thread unsigned of_thread;

static void *thread(void *number)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < 1000000; i++) {
        of_thread += (unsigned)(size_t)number;
        sum = sum * 33 + of_thread;
    }
    return (void *)(size_t)sum;
}

static void threads(void)
{
    pthread_t ids[4];

    for (size_t i = 0; i < 4; i++)
        pthread_create(&ids[i], NULL, thread, (void *)(i + 1));
    for (size_t i = 0; i < 4; i++) {
        void *sum;

        pthread_join(ids[i], &sum);
        printf("thread %zu: %08zx\n", i, (size_t)sum);
    }
}

static void children(unsigned n)
{
    int status, sum = 0;

    fflush(stdout);
    for (unsigned i = 0; i < n; i++)
        if (!fork())
            _exit((int)(primes(50000) + sorted(5000 + i)) & 0x7f);
    while (wait(&status) > 0)
        sum += WEXITSTATUS(status);
    printf("children: %d\n", sum);
}

int main(void)
{
    printf("primes: %u\n", primes(1000000));
    printf("sorted: %08x\n", sorted(100000));
    printf("floats: %.10f\n", floats(100000));
    traps();
    threads();
    children(6);
    printf("DONE\n");
    return 0;
}
