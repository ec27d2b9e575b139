/*
 * The oracle: a 32-bit process whose CPU is the host's. It runs the cases it finds in the shared
 * memory of descriptor 3 each time a byte arrives on descriptor 0, and answers with a byte.
 *
 * All happens in one signal handler: the exception that ends a case enters it, it stores the
 * registers the kernel saved, puts those of the next case in their place, and returns into that.
 */
#define _GNU_SOURCE
#include "case.h"
#include <asm/ldt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static struct case_page *page;
static ucontext_t outside; /* where the batch was started */
static const int order[8] = { REG_EAX, REG_ECX, REG_EDX, REG_EBX,
                              REG_ESP, REG_EBP, REG_ESI, REG_EDI };

static const int segments[5] = { REG_ES, REG_CS, REG_SS, REG_DS, REG_FS }; /* GS is the C library's */

static void load(ucontext_t *uc, const struct insn_case *c)
{
    greg_t *g = uc->uc_mcontext.gregs;

    memcpy((void *)CASE_DATA, page->data, CASE_PAGES);
    memcpy((uint8_t *)CASE_DATA + c->poke_at, c->poke, sizeof(c->poke));
    memcpy((void *)c->code_at, c->code, c->len);
    for (int i = 0; i < 8; i++)
        g[order[i]] = (greg_t)c->before.gpr[i];
    g[REG_EIP] = (greg_t)c->before.eip;
    g[REG_EFL] = (greg_t)c->before.eflags;
    for (int i = 0; i < 5; i++)
        g[segments[i]] = c->before.selector[i];
}

static void store(const ucontext_t *uc, struct insn_case *c)
{
    const greg_t *g = uc->uc_mcontext.gregs;

    for (int i = 0; i < 8; i++)
        c->after.gpr[i] = (uint32_t)g[order[i]];
    c->after.eip = (uint32_t)g[REG_EIP];
    c->after.eflags = (uint32_t)g[REG_EFL];
    for (int i = 0; i < 5; i++)
        c->after.selector[i] = (uint16_t)g[segments[i]];
    c->after.trap = (uint32_t)g[REG_TRAPNO];
    c->after.error = (uint32_t)g[REG_ERR];
    c->after.cr2 = (uint32_t)uc->uc_mcontext.cr2;
    memcpy(c->data, (void *)CASE_DATA, CASE_PAGES);
    memset((void *)c->code_at, 0xcc, c->len);
}

static void handler(int sig, siginfo_t *info, void *arg)
{
    ucontext_t *uc = arg;

    (void)sig;
    (void)info;
    __asm__ volatile("pushfl; andl $~0x40000, (%%esp); popfl" : : : "cc", "memory"); /* AC */
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
    void *p = mmap((void *)at, CASE_PAGES, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

    if (p == MAP_FAILED)
        exit(2);
    memset(p, fill, CASE_PAGES);
}

/* Descriptors the kernel refuses, all at once, are no oracle: exit status 3. */
static void make_ldt(void)
{
    for (unsigned i = 0; i < CASE_LDT_SIZE; i++) {
        const struct case_segment *s = &case_ldt[i];
        struct user_desc d = { .entry_number = i, .base_addr = s->base, .limit = s->limit,
                               .seg_32bit = s->big, .contents = s->contents,
                               .read_exec_only = s->read_only, .limit_in_pages = s->pages,
                               .seg_not_present = s->absent, .useable = 1 };

        if (s->base && syscall(SYS_modify_ldt, 1, &d, sizeof(d)))
            exit(3);
    }
}

int main(void)
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
    make_ldt();
    map(CASE_CODE, 0xcc);
    map(CASE_DATA, 0);
    while (read(0, &byte, 1) == 1) {
        page->current = 0;
        __asm__ volatile("int3" : : : "memory");
        if (write(1, &byte, 1) != 1)
            return 2;
    }
    return 0;
}
