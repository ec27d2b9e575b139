/*
 * The rows of bench/run programs that are no program of Debian's: each computes for some tenths
 * of a second natively and prints what came out, which must be the same on every machine.
 *
 *   compute matrix|matrix-x87|long-double|memcpy|bytecode|recursion|indirect
 *   compute random-read FILE
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint32_t seed = 2463534242;

/* Marsaglia's xorshift: the same numbers everywhere. */
static uint32_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    return seed ^= seed << 5;
}

/* ---- Floating point ---- */

enum { N = 192 };
static double a[N][N], b[N][N], c[N][N];

static void fill(void)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = (next_random() & 0xffff) / 256.0;
            b[i][j] = (next_random() & 0xffff) / 256.0;
        }
}

/* c += a * b, elements in the order a textbook has them. */
#define MULTIPLY                                                                                                       \
    for (int i = 0; i < N; i++)                                                                                        \
        for (int j = 0; j < N; j++) {                                                                                  \
            double sum = c[i][j];                                                                                      \
            for (int k = 0; k < N; k++)                                                                                \
                sum += a[i][k] * b[k][j];                                                                              \
            c[i][j] = sum;                                                                                             \
        }

static __attribute__((noinline)) void multiply(void)
{
    MULTIPLY
}

static __attribute__((noinline, target("fpmath=387"))) void multiply_x87(void)
{
    MULTIPLY
}

static void matrix_rounds(void (*product)(void))
{
    double sum = 0;

    fill();
    for (int round = 0; round < 10; round++)
        product();
    for (int i = 0; i < N; i++)
        sum += c[i][i];
    printf("%.17g %.17g\n", sum, c[7][11]);
}

static void matrix(void)
{
    matrix_rounds(multiply);
}

static void matrix_x87(void)
{
    matrix_rounds(multiply_x87);
}

/* The logistic map and a sum, in 80 bits: values are loaded and stored in full width. */
static void long_double(void)
{
    static long double v[256];
    long double sum = 0;

    for (int i = 0; i < 256; i++)
        v[i] = (i + 1) / 258.0L;
    for (int round = 0; round < 120000; round++)
        for (int i = 0; i < 256; i++)
            v[i] = 3.75L * v[i] * (1 - v[i]);
    for (int i = 0; i < 256; i++)
        sum += v[i];
    printf("%.20Lg\n", sum);
}

/* ---- Memory ---- */

/* The C library's copy, blocks of 8 MB (beyond its threshold for non-temporal stores) and of 64
 * KB. */
static void copies(void)
{
    enum { SIZE = 8 << 20 };
    char *from = malloc(SIZE), *to = malloc(SIZE);
    uint32_t sum = 0;

    for (int i = 0; i < SIZE; i++)
        from[i] = next_random();
    for (int round = 0; round < 100; round++) {
        memcpy(to, from, SIZE - round);
        sum += to[round * 4096];
        for (int at = 0; at < SIZE / 4; at += 65536)
            memcpy(from + at, to + at + round, 65536);
    }
    for (int i = 0; i < SIZE - 100; i++)
        sum = sum * 31 + to[i];
    printf("%u\n", sum);
}

/* ---- Branches ---- */

/* A machine of one accumulator: op, then an operand; it sums what Collatz' steps take. */
static void bytecode(void)
{
    enum { LOAD, STORE, ADD, MUL, ODD, HALVE, JUMP, JUMP_ZERO, JUMP_EQUAL, STOP };
    enum { NUMBER, X, STEPS, ONE, THREE, CELLS };
    static const uint8_t program[] = {
        /*  0 */ LOAD, NUMBER, STORE, X,
        /*  4 */ LOAD, X, JUMP_EQUAL, 36,
        /*  8 */ LOAD, STEPS, ADD, ONE, STORE, STEPS,
        /* 14 */ LOAD, X, ODD, 0, JUMP_ZERO, 28,
        /* 20 */ LOAD, X, MUL, THREE, ADD, ONE, JUMP, 30,
        /* 28 */ LOAD, X,
        /* 30 */ HALVE, 0, STORE, X, JUMP, 4,
        /* 36 */ STOP, 0,
    };
    int32_t cell[CELLS] = { [ONE] = 1, [THREE] = 3 };

    for (cell[NUMBER] = 1; cell[NUMBER] < 60000; cell[NUMBER]++) {
        int32_t acc = 0;

        for (const uint8_t *pc = program; *pc != STOP; pc += 2) {
            uint8_t at = pc[1];

            switch (*pc) {
            case LOAD: acc = cell[at]; break;
            case STORE: cell[at] = acc; break;
            case ADD: acc += cell[at]; break;
            case MUL: acc *= cell[at]; break;
            case ODD: acc &= 1; break;
            case HALVE: acc = (uint32_t)acc >> 1; break;
            case JUMP: pc = program + at - 2; break;
            case JUMP_ZERO: pc = acc ? pc : program + at - 2; break;
            case JUMP_EQUAL: pc = acc == 1 ? program + at - 2 : pc; break;
            }
        }
    }
    printf("%d\n", cell[STEPS]);
}

static __attribute__((noinline, optimize("O1"))) uint32_t fibonacci(uint32_t n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static void recursion(void)
{
    printf("%u\n", fibonacci(38));
}

static int ascending(const void *x, const void *y)
{
    uint32_t p = *(const uint32_t *)x, q = *(const uint32_t *)y;

    return p < q ? -1 : p > q;
}

static int by_low_bits(const void *x, const void *y)
{
    uint32_t p = *(const uint32_t *)x & 0xffff, q = *(const uint32_t *)y & 0xffff;

    return p < q ? -1 : p > q ? 1 : ascending(x, y);
}

static uint32_t plus(uint32_t x) { return x + 77; }
static uint32_t times(uint32_t x) { return x * 5; }
static uint32_t turned(uint32_t x) { return x << 7 | x >> 25; }
static uint32_t inverse(uint32_t x) { return ~x; }

/* The C library's sort, which calls a function by its pointer, and a table of functions. */
static void indirect(void)
{
    enum { COUNT = 300000 };
    static uint32_t (*volatile table[])(uint32_t) = { plus, times, turned, inverse };
    static uint32_t v[COUNT];
    uint32_t x = 1;

    for (int i = 0; i < COUNT; i++)
        v[i] = next_random();
    for (int round = 0; round < 3; round++)
        qsort(v, COUNT, sizeof(v[0]), round % 2 ? by_low_bits : ascending);
    for (int i = 0; i < 20000000; i++)
        x = table[(x ^ i) & 3](x) + i;
    printf("%u %u %u\n", v[1000], v[COUNT - 1], x);
}

/* ---- Disk ---- */

/* 4 KB at a time from all over the file or device, past the page cache where that can be
 * had. */
static void random_read(const char *path)
{
    enum { BLOCK = 4096, READS = 3000 };
    int fd = open(path, O_RDONLY | O_DIRECT);
    uint32_t *block = aligned_alloc(BLOCK, BLOCK), sum = 0;
    off_t blocks;

    if (fd < 0)
        fd = open(path, O_RDONLY);
    blocks = lseek(fd, 0, SEEK_END) / BLOCK;
    for (int i = 0; i < READS; i++) {
        if (fd < 0 ||
            pread(fd, block, BLOCK, (off_t)(next_random() % blocks) * BLOCK) != BLOCK) {
            perror(path);
            exit(1);
        }
        for (int k = 0; k < BLOCK / 4; k += 64)
            sum = sum * 31 + block[k];
    }
    printf("%u\n", sum);
}

/* ---- Rows ---- */

static const struct {
    const char *name;
    void (*run)(void);
} rows[] = {
    { "matrix", matrix },     { "matrix-x87", matrix_x87 }, { "long-double", long_double },
    { "memcpy", copies },     { "bytecode", bytecode },     { "recursion", recursion },
    { "indirect", indirect },
};

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "random-read")) {
        random_read(argv[2]);
        return 0;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (argc == 2 && !strcmp(argv[1], rows[i].name)) {
            rows[i].run();
            return 0;
        }
    fprintf(stderr, "compute: which row?\n");
    return 1;
}
