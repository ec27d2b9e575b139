/*
 * Host signals out of translated code. The state is that before the instruction at the fault,
 * by construction: nothing is committed before an instruction's last access. So a fault is:
 * note where, learn from it, leave the code, and let the interpreter run that one instruction,
 * which fills the shadow, reaches the device, or raises the guest's exception.
 *
 *   map       an access by gs:[address] to what is not in the direct or user map
 *   spte 0    a hidden or true page fault
 *   write-protected   code, page table or device memory
 *   align     a misaligned access in form table, which might cross a page: no canonical address
 *             (xl_mem.c)
 *   divide    #DE
 *   trap      a sensitive instruction, where the engine is trap
 *   fpu       #MF, #XM: an unmasked exception
 *   stack     the stack of return addresses is full
 */
#include "bt/tu.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { TRAP_DE = 0, TRAP_SS = 12, TRAP_GP = 13, TRAP_PF = 14, TRAP_MF = 16, TRAP_XM = 19 };
enum { ALT_STACK = 256 << 10, STACK_KEPT = 512 };

static _Thread_local struct vcpu *current;

static void save_guest(struct vcpu *cpu, const greg_t *g)
{
    static const u8 from[8] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX,
                                REG_R8,  REG_RBP, REG_RSI, REG_RDI };

    for (u32 i = 0; i < 8; i++)
        cpu->gpr[i] = (u32)g[from[i]];
    tc_of(cpu)->host_flags = (u32)((g[REG_EFL] & 0xff) << 8 | (g[REG_EFL] >> 11 & 1));
}

/* Resumes behind bt_enter(). */
static void leave_code(greg_t *g)
{
    g[REG_RIP] = (greg_t)bt_leave_saved;
    g[REG_R9] = 0;
    g[REG_EFL] = FLAG_1 | FLAG_IF;
}

static void learn_memory(struct bt *bt, struct tu *tu, const struct site *site, u64 spte)
{
    gpa_t gpa = tu->gpa + site->eip_off;
    bool write_protected = (i64)spte < 0;

    bt->stats.signals_protected += write_protected;
    bt->stats.signals_miss += !write_protected;
    if (bt->config.no_adapt ||
        site_trap(bt, gpa) < (write_protected ? TRAPS_BEFORE_CHANGE : MISSES_BEFORE_CHECK))
        return;
    site_learn(bt, gpa, FACT_UNUSUAL);
    tu_drop(bt, tu);
}

/* Whether it will find it next time is looked at when the instruction has been run: run.c. */
static void note_map_miss(struct bt *bt, const struct tu *tu, const struct site *site, u64 off,
                          bool write)
{
    bt->map_miss.set = true;
    bt->map_miss.write = write;
    bt->map_miss.user = context_user_map(bt->contexts[tu->context].key);
    bt->map_miss.gla = (gla_t)off;
    bt->map_miss.tu = (u32)(tu - bt->tus);
    bt->map_miss.gpa = tu->gpa + site->eip_off;
    bt->stats.signals_user_map += bt->map_miss.user;
    bt->stats.signals_direct_map += !bt->map_miss.user;
}

/* Its low bits were put on top of the address; or the reach of FS or GS does not allow it. */
static bool misaligned_fault(const greg_t *g)
{
    return (g[REG_TRAPNO] == TRAP_GP || g[REG_TRAPNO] == TRAP_SS) && (u64)g[REG_R9] >> 56;
}

static void learn_from_fault(struct bt *bt, struct tu *tu, const struct site *site,
                             const greg_t *g, u64 at)
{
    site_count_signal(bt, tu->gpa + site->eip_off);
    if (site->form == FORM_TRAP) {
        bt->stats.signals_trap++;
        return;
    }
    if (g[REG_TRAPNO] == TRAP_PF && at - bt->cpu->direct_map <= GIB(4)) {
        note_map_miss(bt, tu, site, at - bt->cpu->direct_map, g[REG_ERR] & PF_W);
    } else if (g[REG_TRAPNO] == TRAP_DE) {
        bt->stats.signals_divide++;
        if (!bt->config.no_adapt &&
            site_trap(bt, tu->gpa + site->eip_off) >= TRAPS_BEFORE_CHANGE) {
            site_learn(bt, tu->gpa + site->eip_off, FACT_FAULTS);
            tu_drop(bt, tu);
        }
    } else if (g[REG_TRAPNO] == TRAP_MF || g[REG_TRAPNO] == TRAP_XM) {
        bt->stats.signals_fpu++;
    } else if (misaligned_fault(g)) {
        bt->stats.signals_align++;
        site_learn(bt, tu->gpa + site->eip_off, FACT_MISALIGNED);
        tu_drop(bt, tu);
    } else {
        learn_memory(bt, tu, site, (u64)g[REG_R10]);
    }
}

static bool pc_in_tc(const struct bt *bt, u64 pc)
{
    return pc - (u64)bt->exec < bt->used;
}

static bool in_stack_guard(const struct bt *bt, const siginfo_t *info)
{
    return (u64)bt->stack - (u64)info->si_addr - 1 < PAGE_SIZE;
}

/* The last few return addresses move to the top, the rest is forgotten; the push is tried
 * again. Of KEY_PIC each has a page above it, which it keeps. */
static void restart_stack(struct bt *bt, greg_t *g)
{
    u64 bottom = (u64)g[REG_RSP],
        kept = STACK_KEPT + (*(u64 *)bottom < GIB(4) ? sizeof(u64) : 0),
        top = tc_of(bt->cpu)->stack_top - kept;

    bt->stats.signals_stack++;
    memcpy((void *)top, (void *)bottom, kept);
    g[REG_RSP] = (greg_t)top;
}

/* What is out of line looks first: a fault there is no site's, and none may be blamed for
 * it. */
static bool pc_in_body(const struct bt *bt, const struct tu *tu, u64 pc)
{
    return pc - (u64)tu_host(bt, tu) < tu->body_size;
}

static _Noreturn void nobodys_fault(const struct bt *bt, const struct tu *tu, const greg_t *g)
{
    fprintf(stderr, "r9 %llx  r10 %llx  r11 %llx  r13 %llx  rcx %llx\n", g[REG_R9], g[REG_R10],
            g[REG_R11], g[REG_R13], g[REG_RCX]);
    dump_host(bt, tu, (const u8 *)g[REG_RIP]);
    check(false, "host trap %lld behind the code of the TU at %08x, where nothing may fault",
          g[REG_TRAPNO], tu->eip);
    abort();
}

static void fault_in_code(struct bt *bt, greg_t *g, u64 at)
{
    struct vcpu *cpu = bt->cpu;
    struct tu *tu = tu_by_host(bt, (const u8 *)g[REG_RIP]);
    const struct site *site;

    check(tu, "fault at %#llx in no TU", (unsigned long long)g[REG_RIP]);
    if (!pc_in_body(bt, tu, (u64)g[REG_RIP]))
        nobodys_fault(bt, tu, g);
    site = tu_site(bt, tu, (const u8 *)g[REG_RIP]);
    check(site, "a fault at a TU's head, %#llx", (unsigned long long)g[REG_RIP]);
    bt->stats.exits_fault++;
    save_guest(cpu, g);
    cpu->eip = (u32)tc_of(cpu)->page + tu->eip + site->eip_off;
    bt->interpret = true;
    learn_from_fault(bt, tu, site, g, at);
    leave_code(g);
}

static void bt_signal(int sig, siginfo_t *info, void *context)
{
    greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
    struct bt *bt = current ? current->bt : NULL;

    if (bt && sig == SIGSEGV && in_stack_guard(bt, info)) {
        restart_stack(bt, g);
    } else if (bt && pc_in_tc(bt, (u64)g[REG_RIP])) {
        fault_in_code(bt, g, (u64)info->si_addr);
    } else { /* our own crash: as if there were no handler */
        signal(sig, SIG_DFL);
    }
}

/* The host's signals arrive on a stack of their own: rsp is the guest's return addresses. */
static void give_signal_stack(void)
{
    static _Thread_local bool given;
    stack_t st = { .ss_size = ALT_STACK };

    if (given)
        return;
    st.ss_sp =
        mmap(NULL, ALT_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(st.ss_sp != MAP_FAILED && !sigaltstack(&st, NULL), "no signal stack");
    given = true;
}

void bt_fault_bind(struct vcpu *cpu)
{
    give_signal_stack();
    current = cpu;
}

void bt_signals_init(void)
{
    struct sigaction sa = { .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

    sa.sa_sigaction = bt_signal;
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
    sigaction(SIGFPE, &sa, NULL);
}
