/*
 * Work for the translator while the disk flushes: accesses that are misaligned or cross into a
 * page that is no neighbour in memory, a stack that does, string instructions both ways, x87,
 * SSE, code patched next to data. Each piece either knows byte by byte what must come out, or
 * goes into a digest that is compared with the first one of the same seed. No ports, no
 * privilege: ring 3 does it as well.
 */
#include "tests/guests/flush/flush.h"

enum { SEEDS = 48, CROSSINGS = 12, CPUID_SSE2 = 1 << 26 };

u32 work_count, work_wrong;
const char *work_what;
u32 work_at, work_got, work_want;

static u32 wanted[SEEDS];
static int known[SEEDS], has_sse2;
/* B8 imm32 C3: "mov eax, imm32; ret", and a counter in the same line of the cache. */
static u8 snippet[64] __attribute__((aligned(64))) = { 0xb8, 0, 0, 0, 0, 0xc3 };

struct loose_word {
    u16 v;
} __attribute__((packed, may_alias));
struct loose_dword {
    u32 v;
} __attribute__((packed, may_alias));
struct loose_double {
    double v;
} __attribute__((packed, may_alias));
struct loose_long_double {
    long double v;
} __attribute__((packed, may_alias));

#define WORD(at) (((volatile struct loose_word *)(at))->v)
#define DWORD(at) (((volatile struct loose_dword *)(at))->v)
#define DOUBLE(at) (((volatile struct loose_double *)(at))->v)
#define LONG_DOUBLE(at) (((volatile struct loose_long_double *)(at))->v)

static void expect(const char *what, u32 at, u32 got, u32 want)
{
    if (got == want)
        return;
    if (!work_wrong++) {
        work_what = what;
        work_at = at;
        work_got = got;
        work_want = want;
    }
}

static u32 next(u32 *x)
{
    *x = *x * 1664525 + 1013904223;
    return *x >> 3;
}

static u32 by_bytes(u32 at, u32 n)
{
    const volatile u8 *p = (const volatile u8 *)at;
    u32 v = 0;

    while (n--)
        v = v << 8 | p[n];
    return v;
}

/* Some bytes before the beginning of a page, but for the first one's, up to `most`. */
static u32 before_page(u32 r, u32 most)
{
    return PATCH + PAGE * (1 + r % (PATCH_PAGES - 1)) - (r >> 8) % (most + 1);
}

static void fill(u32 v)
{
    void *to = (void *)PATCH;
    u32 n = PATCH_PAGES * PAGE / 4;

    __asm__ volatile("rep stosl" : "+D"(to), "+c"(n) : "a"(v) : "memory");
}

/* ---- Loads and stores ---- */

static void stores(u32 at, u32 r)
{
    DWORD(at) = r;
    expect("dword store", at, by_bytes(at, 4), r);
    WORD(at + 1) = (u16)(r >> 7);
    expect("word store", at + 1, by_bytes(at + 1, 2), r >> 7 & 0xffff);
    expect("dword load", at, DWORD(at), by_bytes(at, 4));
    expect("word load", at + 1, WORD(at + 1), by_bytes(at + 1, 2));
}

static void updates(u32 at, u32 r)
{
    struct loose_dword *p = (struct loose_dword *)at;
    u32 was = DWORD(at), old = r;

    __asm__ volatile("addl %1, %0" : "+m"(*p) : "r"(r));
    expect("add to memory", at, by_bytes(at, 4), was + r);
    __asm__ volatile("lock xaddl %0, %1" : "+r"(old), "+m"(*p));
    expect("xadd", at, old, was + r);
    expect("xadd's sum", at, by_bytes(at, 4), was + 2 * r);
    __asm__ volatile("rcll $5, %0; notl %0" : "+m"(*p));
    old = DWORD(at);
    __asm__ volatile("lock cmpxchgl %2, %1" : "+a"(old), "+m"(*p) : "r"(r));
    expect("cmpxchg", at, by_bytes(at, 4), r);
}

static u32 crossings(u32 seed)
{
    u32 x = seed, sum = 0;

    for (u32 i = 0; i < CROSSINGS; i++) {
        u32 r = next(&x), at = before_page(r, 8);

        stores(at, next(&x));
        updates(at, next(&x));
        sum = mix(sum ^ DWORD(at - 2));
    }
    return sum;
}

/* ---- A stack across two pages, misaligned. In ring 0 interrupts push there, too. ---- */

static u32 stack(u32 r)
{
    u32 top = PATCH + (PATCH_END - 1) * PAGE + 1 + r % 40, a, b;

    __asm__ volatile("movl %%esp, %%esi\n\t"
                     "movl %2, %%esp\n\t"
                     "pushl %3\n\t"
                     "pushal\n\t"
                     "call 1f\n\t"
                     "jmp 2f\n"
                     "1: pushfl\n\t"
                     "pushl $0x12345678\n\t"
                     "popl %0\n\t"
                     "popfl\n\t"
                     "ret\n"
                     "2: xorl $0x5a5a, 24(%%esp)\n\t" /* PUSHAL's ECX */
                     "movl 24(%%esp), %1\n\t"
                     "addl $32, %%esp\n\t"
                     "popl %%edi\n\t"
                     "movl %%esi, %%esp"
                     : "=&a"(a), "=&d"(b) : "b"(top), "c"(r) : "esi", "edi", "memory", "cc");
    expect("popped", top, a, 0x12345678);
    expect("pushed ECX", top, b, r ^ 0x5a5a);
    return a + b;
}

/* ---- Strings ---- */

static u32 digest(u32 at, u32 bytes)
{
    u32 sum = 0;

    for (u32 i = 0; i < bytes; i += 4)
        sum = (sum << 5 | sum >> 27) + DWORD(at + i);
    return sum;
}

static u32 strings(u32 r)
{
    u32 from = PATCH + 100 + r % 61, to = PATCH + 4 * PAGE + 7 + r % 97,
        bytes = PAGE + r % PAGE;
    u32 s = from, d = to, n = bytes, same;

    for (u32 i = 0; i < 64; i++)
        DWORD(from + 97 * i) = mix(r + i);
    __asm__ volatile("rep movsb" : "+S"(s), "+D"(d), "+c"(n) : : "memory");
    s = from, d = to, n = bytes / 4;
    __asm__ volatile("repe cmpsl; sete %b3"
                     : "+S"(s), "+D"(d), "+c"(n), "=q"(same)
                     :
                     : "memory", "cc");
    expect("movsb copied", s, same & 0xff, 1);
    /* Three bytes up, over itself, from the end. */
    s = to + bytes - 4, d = s + 3, n = bytes / 4;
    __asm__ volatile("std; rep movsl; cld" : "+S"(s), "+D"(d), "+c"(n) : : "memory");
    expect("movsl went down", s, s, to + bytes - 4 - bytes / 4 * 4);
    s = from, d = from - 5, n = bytes / 2;
    __asm__ volatile("rep movsw" : "+S"(s), "+D"(d), "+c"(n) : : "memory");
    return digest(from - 5, bytes) ^ digest(to, bytes);
}

/* ---- x87 and SSE ---- */

static u32 x87(u32 r)
{
    u32 at = before_page(r, 9);
    double v = (int)(r & 0xffff) + 1;

    for (u32 i = 0; i < 8; i++) {
        DOUBLE(at) = v;
        v = DOUBLE(at) * 1.0625 + i;
        __asm__("fsqrt" : "+t"(v));
        LONG_DOUBLE(at + 11) = v;
        v += LONG_DOUBLE(at + 11) / 3;
    }
    DOUBLE(at) = v;
    return by_bytes(at, 4) ^ by_bytes(at + 4, 4) ^ by_bytes(at + 17, 4);
}

static u32 sse(u32 r)
{
    u32 at = before_page(r, 15), n = 8;

    if (!has_sse2)
        return 0;
    for (u32 i = 0; i < 12; i++)
        DWORD(at + 4 * i) = 0x3f800000 + (mix(r + i) & 0x7fffff);
    __asm__ volatile("1: movups (%0), %%xmm0\n\t"
                     "movups 16(%0), %%xmm7\n\t"
                     "mulps %%xmm7, %%xmm0\n\t"
                     "sqrtps %%xmm0, %%xmm1\n\t"
                     "addps %%xmm7, %%xmm1\n\t"
                     "movups %%xmm1, (%0)\n\t"
                     "movdqu 32(%0), %%xmm2\n\t"
                     "paddd %%xmm1, %%xmm2\n\t"
                     "movdqu %%xmm2, 32(%0)\n\t"
                     "movsd %%xmm2, 17(%0)\n\t"
                     "decl %1\n\t"
                     "jnz 1b"
                     : "+r"(at), "+r"(n) : : "memory", "cc");
    return digest(at, 48);
}

/* ---- Code that is written ---- */

static u32 patched(u32 r)
{
    u32 (*code)(void) = (u32 (*)(void))snippet;

    for (u32 i = 0; i < 2; i++) {
        DWORD(snippet + 1) = r + i;
        DWORD(snippet + 32) += 1;
        expect("patched code", (u32)snippet, code(), r + i);
    }
    return r;
}

/* ---- All of it ---- */

static u32 (*const pieces[])(u32) = { crossings, stack, strings, x87, sse, patched };
enum { PIECES = sizeof(pieces) / sizeof(pieces[0]) };

u32 work(u32 seed)
{
    u32 s = seed % SEEDS, sum;

    fill(s);
    sum = pieces[s % PIECES](mix(s));
    if (!known[s]) {
        known[s] = 1;
        wanted[s] = sum;
    }
    expect("digest of work", s, sum, wanted[s]);
    work_count++;
    return sum;
}

void work_init(void)
{
    u32 a = 1, b, c, d;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
    has_sse2 = (d & CPUID_SSE2) != 0;
    for (u32 s = 0; s < SEEDS; s++)
        work(s);
}
