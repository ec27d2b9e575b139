/*
 * Runs instruction tests (insn.h): each program first natively, as the 32-bit Linux process it is,
 * then as user code on the bare machine, where this file plays the kernel: the few system calls of
 * insn.h, and exceptions noted in the program's fault block. A test that fails natively is wrong;
 * where the host runs no 32-bit programs, each native run is skipped by name, and ours is not.
 *
 *      insn-run [the engine's options: bare.h] PROGRAM…
 */
#include "cpu/interp.h"
#include "mmu/mmu.h"
#include "tests/insn/bare.h"
#include "tests/insn/host.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RAM = 64, STEPS = 100000000 };
enum { SYS_EXIT = 1, SYS_WRITE = 4, SYS_MUNMAP = 91, SYS_MPROTECT = 125, SYS_MMAP2 = 192,
       SYS_FAULT_BLOCK = 0x1000 };

/* fault_block of insn.h */
struct fault_block {
    u32 resume, unexpected, trap, error, cr2, eip, esp, eflags, stack, step_log;
};
struct program {
    struct bare *b;
    struct bare_engine engine;
    gla_t block;
    bool ended;
    int status;
    char last[128]; /* its last line */
};

/* PAGE of insn.h and what is above lies in RAM's second half: it maps elsewhere. */
static gpa_t physical(gla_t gla)
{
    return gla >= 0x20000000 ? MIB(RAM / 2) + gla - 0x20000000 : gla;
}

static void map_range(struct program *p, gla_t gla, u32 size, u32 access)
{
    for (u32 i = 0; i < size; i += PAGE_SIZE)
        bare_map_page(p->b, gla + i, physical(gla + i), access);
}

static bool in_ram(gla_t gla, u32 size)
{
    return physical(gla) + size <= MIB(RAM) && gla + size >= gla;
}

static bool load_elf(struct program *p, const char *path)
{
    static u8 file[1 << 20];
    FILE *in = fopen(path, "rb");
    size_t size = in ? fread(file, 1, sizeof(file), in) : 0;
    Elf32_Ehdr *e = (void *)file;

    if (in)
        fclose(in);
    if (size < sizeof(*e) || memcmp(e->e_ident, ELFMAG, SELFMAG) || e->e_machine != EM_386)
        return false;
    for (u32 i = 0; i < e->e_phnum; i++) {
        Elf32_Phdr *h = (void *)(file + e->e_phoff + i * e->e_phentsize);
        u32 page = h->p_vaddr & ~PAGE_MASK;

        if (h->p_type != PT_LOAD || !h->p_memsz)
            continue;
        if (!in_ram(h->p_vaddr, h->p_memsz) || h->p_offset + h->p_filesz > size)
            return false;
        map_range(p, page, h->p_vaddr + h->p_memsz - page, BARE_ALL);
        memcpy(p->b->ram + h->p_vaddr, file + h->p_offset, h->p_filesz);
    }
    p->b->cpu->eip = e->e_entry;
    return true;
}

static void write_out(struct program *p, gla_t at, u32 size)
{
    if (!in_ram(at, size))
        return;
    fwrite(p->b->ram + physical(at), 1, size, stdout);
    if (strlen(p->last) + size < sizeof(p->last))
        strncat(p->last, (char *)p->b->ram + physical(at), size);
    if (size && p->b->ram[physical(at) + size - 1] == '\n' && !strstr(p->last, "passed"))
        p->last[0] = 0;
}

static u32 system_call(struct program *p)
{
    u32 *r = p->b->cpu->gpr, at = r[EBX], size = r[ECX], access = r[EDX];

    switch (r[EAX]) {
    case SYS_EXIT:
        p->ended = true;
        p->status = (int)r[EBX];
        return 0;
    case SYS_WRITE:
        write_out(p, r[ECX], r[EDX]);
        return r[EDX];
    case SYS_MMAP2:
        if (in_ram(at, size))
            memset(p->b->ram + physical(at), 0, size);
        map_range(p, at, size, BARE_ALL);
        return at;
    case SYS_MUNMAP:
        map_range(p, at, size, BARE_NONE);
        return 0;
    case SYS_MPROTECT:
        map_range(p, at, size, access & 2 ? BARE_ALL : access ? BARE_READ : BARE_NONE);
        return 0;
    case SYS_FAULT_BLOCK:
        p->block = r[EBX];
        return 0;
    default:
        return 0; /* signals */
    }
}

/* What signal_handler of insn.h does natively. */
static u32 exception(struct program *p, const struct bare_event *e)
{
    struct fault_block *f = (void *)(p->b->ram + p->block);
    u32 to;

    if (e->vector == EXC_DB && f->step_log) {
        memcpy(p->b->ram + f->step_log, &e->eip, 4);
        f->step_log += 4;
        return e->eip;
    }
    f->trap = e->vector;
    f->error = e->error;
    f->cr2 = p->b->cpu->cr2;
    f->eip = e->eip;
    f->esp = e->esp;
    f->eflags = e->eflags;
    p->b->cpu->gpr[ESP] = f->stack;
    to = f->resume ? f->resume : f->unexpected;
    f->resume = 0;
    return to;
}

static void run_program(struct program *p)
{
    u32 eip = p->b->cpu->eip, eflags = FLAG_1 | FLAG_IF;
    struct bare_event e;

    while (!p->ended) {
        bare_enter_user(p->b, eip, eflags);
        if (!bare_run(p->b, p->engine.engine, STEPS, &e)) {
            printf("FAIL: does not end, or shut the processor down\n");
            p->status = 1;
            return;
        }
        eip = e.eip;
        eflags = e.eflags & ~(u32)FLAG_RF;
        p->b->cpu->gpr[ESP] = e.esp;
        if (e.vector == 0x80)
            p->b->cpu->gpr[EAX] = system_call(p);
        else
            eip = exception(p, &e);
    }
}

static bool run_natively(const char *path)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        alarm(10);
        execl(path, path, (char *)NULL);
        _exit(127);
    }
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

struct counts {
    u32 passed, failed, skipped;
};

/* False: it has failed. */
static bool check_natively(const char *path, const char *name, bool native, struct counts *n)
{
    if (!native) {
        printf("SKIP %s natively: " HOST_NO_32 "\n", name);
        n->skipped++;
        return true;
    }
    printf("%s natively: ", name);
    fflush(stdout);
    if (run_natively(path))
        return true;
    printf("FAIL %s: the test is wrong: it fails on the host\n", name);
    n->failed++;
    return false;
}

/* Counts of the program's last line. */
static void run_file(const char *path, const struct bare_engine *engine, bool native, struct counts *n)
{
    struct program p = { .b = bare_new(MIB(RAM)), .engine = *engine };
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    u32 ok = 0, bad = 0;

    if (!check_natively(path, name, native, n))
        return;
    printf("%s: ", name);
    if (!load_elf(&p, path)) {
        printf("FAIL %s: no program\n", name);
        n->failed++;
        return;
    }
    bare_use(p.b, engine);
    run_program(&p);
    if (sscanf(p.last, "%u passed, %u failed", &ok, &bad) != 2 || p.status != (bad != 0))
        bad++;
    n->passed += ok;
    n->failed += bad;
    bare_free(p.b);
}

int main(int argc, char **argv)
{
    struct bare_engine engine = { .engine = &interp_engine };
    struct counts n = { 0 };
    bool native;
    int i = 1;

    while (i + 1 < argc && bare_engine_option(&engine, argv[i], argv[i + 1]))
        i += 2;
    if (i == argc || argv[i][0] == '-')
        die("insn-run " BARE_ENGINE_OPTIONS " PROGRAM...");
    for (native = host_runs_32(argv[i]); i < argc; i++)
        run_file(argv[i], &engine, native, &n);
    printf("%u passed, %u failed", n.passed, n.failed);
    if (n.skipped)
        printf(", %u skipped", n.skipped);
    printf("\n");
    return n.failed != 0;
}
