/*
 * The oracle: a process whose CPU is the host's. It runs the cases it finds in the shared
 * memory of descriptor 3 each time a byte arrives on descriptor 0, and answers with a byte.
 *
 * All happens in one signal handler: the exception that ends a case enters it, it stores the
 * registers the kernel saved, puts those of the next case in their place, and returns into
 * that.
 *
 * Built twice: as a 32-bit program, and as one for hosts that run none, where the cases that
 * judged.c allows run in 64-bit mode, behind the prefix 67. It stands before the instruction,
 * so that what follows lies where it should.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tests/insn/case.h"
#include <asm/ldt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { BREAKPOINT = 3 }; /* its EIP is behind an INT3: never the start of the case */

static struct case_page *page;
static ucontext_t outside; /* where the batch was started */

#ifdef __x86_64__
enum { PREFIX = 1, IP = REG_RIP };
static const int order[8] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX,
                              REG_RSP, REG_RBP, REG_RSI, REG_RDI };

static void clear_ac(void)
{
    __asm__ volatile("pushfq; andl $~0x40000, (%%rsp); popfq" : : : "cc", "memory");
}

static bool make_ldt(void)
{
    return false;
}

static uint32_t fault_address(const ucontext_t *uc)
{
    return (uint32_t)uc->uc_mcontext.gregs[REG_CR2];
}

static void load_segments(ucontext_t *uc, const struct insn_case *c) {}

/* Those of 64-bit mode are not the case's, and no case here changes one. */
static void store_segments(const ucontext_t *uc, struct insn_case *c)
{
    memcpy(c->after.selector, c->before.selector, sizeof(c->after.selector));
}
#else
enum { PREFIX = 0, IP = REG_EIP };
static const int order[8] = { REG_EAX, REG_ECX, REG_EDX, REG_EBX,
                              REG_ESP, REG_EBP, REG_ESI, REG_EDI };
/* GS is the C library's */
static const int segments[5] = { REG_ES, REG_CS, REG_SS, REG_DS, REG_FS };

static void clear_ac(void)
{
    __asm__ volatile("pushfl; andl $~0x40000, (%%esp); popfl" : : : "cc", "memory");
}

static bool make_ldt(void)
{
    for (unsigned i = 0; i < CASE_LDT_SIZE; i++) {
        const struct case_segment *s = &case_ldt[i];
        struct user_desc d = { .entry_number = i, .base_addr = s->base, .limit = s->limit,
                               .seg_32bit = s->big, .contents = s->contents,
                               .read_exec_only = s->read_only, .limit_in_pages = s->pages,
                               .seg_not_present = s->absent, .useable = 1 };

        if (s->base && syscall(SYS_modify_ldt, 1, &d, sizeof(d)))
            return false;
    }
    return true;
}

static uint32_t fault_address(const ucontext_t *uc)
{
    return (uint32_t)uc->uc_mcontext.cr2;
}

static void load_segments(ucontext_t *uc, const struct insn_case *c)
{
    for (int i = 0; i < 5; i++)
        uc->uc_mcontext.gregs[segments[i]] = c->before.selector[i];
}

static void store_segments(const ucontext_t *uc, struct insn_case *c)
{
    for (int i = 0; i < 5; i++)
        c->after.selector[i] = (uint16_t)uc->uc_mcontext.gregs[segments[i]];
}
#endif

static void load(ucontext_t *uc, const struct insn_case *c)
{
    uint8_t *code = (uint8_t *)(uintptr_t)c->code_at;
    greg_t *g = uc->uc_mcontext.gregs;

    memcpy((void *)CASE_DATA, page->data, CASE_PAGES);
    memcpy((uint8_t *)CASE_DATA + c->poke_at, c->poke, sizeof(c->poke));
    memset(code - PREFIX, 0x67, PREFIX);
    memcpy(code, c->code, c->len);
    for (int i = 0; i < 8; i++)
        g[order[i]] = (greg_t)c->before.gpr[i];
    g[IP] = (greg_t)c->before.eip - PREFIX;
    g[REG_EFL] = (greg_t)c->before.eflags;
    load_segments(uc, c);
}

static void store(const ucontext_t *uc, struct insn_case *c)
{
    const greg_t *g = uc->uc_mcontext.gregs;

    for (int i = 0; i < 8; i++)
        c->after.gpr[i] = (uint32_t)g[order[i]];
    c->after.eip = (uint32_t)g[IP];
    if (c->after.eip == c->before.eip - PREFIX && g[REG_TRAPNO] != BREAKPOINT)
        c->after.eip = c->before.eip;
    c->after.eflags = (uint32_t)g[REG_EFL];
    store_segments(uc, c);
    c->after.trap = (uint32_t)g[REG_TRAPNO];
    c->after.error = (uint32_t)g[REG_ERR];
    c->after.cr2 = fault_address(uc);
    memcpy(c->data, (void *)CASE_DATA, CASE_PAGES);
    memset((uint8_t *)(uintptr_t)c->code_at - PREFIX, 0xcc, PREFIX + c->len);
}

static void handler(int sig, siginfo_t *info, void *arg)
{
    ucontext_t *uc = arg;

    (void)sig;
    (void)info;
    clear_ac();
    if (page->current == 0)
        memcpy(&outside, uc, sizeof(outside));
    else
        store(uc, &page->cases[page->current - 1]);
    if (page->current < page->count)
        load(uc, &page->cases[page->current++]);
    else
        memcpy(&uc->uc_mcontext, &outside.uc_mcontext, sizeof(uc->uc_mcontext));
}

static void map(uint32_t at, int fill)
{
    void *p = mmap((void *)(uintptr_t)at, CASE_PAGES, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

    if (p == MAP_FAILED)
        exit(2);
    memset(p, fill, CASE_PAGES);
}

int main(int argc, char **argv)
{
    static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
    static uint8_t stack[65536];
    stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
    struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    char byte;

    sigaltstack(&alt, NULL);
    for (unsigned i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        sigaction(signals[i], &sa, NULL);
    page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0);
    if (page == MAP_FAILED)
        return 2;
    if (argc > 1 && !make_ldt()) /* "ldt" */
        return 3;
    map(CASE_CODE, 0xcc);
    map(CASE_DATA, 0);
    while (read(0, &byte, 1) == 1) {
        alarm(60); /* for a case that does not end */
        page->current = 0;
        __asm__ volatile("int3" : : : "memory");
        alarm(0);
        if (write(1, &byte, 1) != 1)
            return 2;
    }
    return 0;
}
