/*
 * A Linux program of many processes, for what a monitor keeps of each: all at once, then one after
 * another (tests/suites/direct.py).
 *
 *   forks ALIVE FORKS    ALIVE processes that compute, wait for each other and compute again; then
 *                        FORKS of them, each of which computes and ends before the next
 *   forks 0 0            computes for ever, in four processes
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned char mine[16 << 12]; /* a child writes to some: the kernel copies them */

static unsigned mixed(unsigned x, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        x = x * 1103515245 + 12345;
        mine[x >> 16 & 0xffff] ^= (unsigned char)x;
    }
    return x ^ mine[x & 0xffff];
}

static int child(void)
{
    int pid = fork();

    if (pid < 0)
        exit(1);
    return !pid;
}

static unsigned waited(void)
{
    unsigned sum = 0;
    int status;

    while (wait(&status) > 0)
        sum += WIFEXITED(status) ? (unsigned)WEXITSTATUS(status) : 1000;
    return sum;
}

static void at_once(unsigned n)
{
    int ready[2], go[2];
    char byte = 0;

    if (pipe(ready) || pipe(go))
        exit(1);
    for (unsigned i = 0; i < n; i++) {
        if (!child())
            continue;
        byte = (char)mixed(i, 400000);
        close(go[1]);
        if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1))
            _exit(200);
        _exit((int)(mixed(i, 400000) & 127));
    }
    for (unsigned i = 0; i < n; i++)
        if (read(ready[0], &byte, 1) != 1)
            exit(1);
    close(go[1]); /* all read its end */
    printf("%u at once: %u\n", n, waited());
}

static void one_after_another(unsigned n)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < n; i++) {
        if (child())
            _exit((int)(mixed(i, 5000) & 127));
        sum += waited();
    }
    printf("%u one after another: %u\n", n, sum);
}

int main(int argc, char **argv)
{
    unsigned alive = argc == 3 ? (unsigned)atoi(argv[1]) : 0, forks = argc == 3 ? (unsigned)atoi(argv[2]) : 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!alive && !forks) {
        fork();
        fork();
        for (unsigned x = 0;;)
            x = mixed(x, 100000);
    }
    at_once(alive);
    one_after_another(forks);
    printf("DONE\n");
    return 0;
}
