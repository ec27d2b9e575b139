/*
 * `--trace jit` (-gdb-jit): GDB learns the names of translated code while it runs, by its
 * interface for programs that make code (GDB manual, "JIT Compilation Interface"): a list of
 * object files in our memory, and a function in which GDB has a breakpoint.
 *
 * An object file holds many TUs' names, since GDB takes long for each: it is made when BATCH
 * have come, or when the code has been left by a poll and the last one is PATIENCE old. A flush
 * takes all back. The list is the process', as GDB wants it: machines on several threads share
 * it.
 */
#include "bt/tu.h"

#include <elf.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

enum { BATCH = 512, NAME = 24 /* bytes: guest_kernel_c10d01d5 and its end */ };
static const u64 PATIENCE = 500000000; /* TSC ticks */

/* ---- GDB's interface: its names, its layout ---- */

enum { JIT_NOACTION, JIT_REGISTER, JIT_UNREGISTER };
struct jit_code_entry {
    struct jit_code_entry *next, *prev;
    const void *symfile_addr;
    u64 symfile_size;
};
struct jit_descriptor {
    u32 version, action;
    struct jit_code_entry *relevant, *first;
};
extern struct jit_descriptor __jit_debug_descriptor;
void __jit_debug_register_code(void);

struct jit_descriptor __jit_debug_descriptor = {.version = 1};

__attribute__((noinline, used)) void __jit_debug_register_code(void)
{
    __asm__ volatile("" ::: "memory"); /* GDB's breakpoint */
}

/* ---- An object file ---- */

enum { SEC_NULL, SEC_TEXT, SEC_SYMBOLS, SEC_NAMES, SECTIONS };
static const char section_names[] = "\0.text\0.symtab\0.strtab"; /* at the start of the names */
enum { NAME_TEXT = 1, NAME_SYMBOLS = 7, NAME_NAMES = 15 };

struct object {
    struct jit_code_entry entry;
    const struct bt *owner;
    Elf64_Ehdr head;
    Elf64_Shdr sections[SECTIONS];
    Elf64_Sym symbols[BATCH + 1]; /* the first is none */
    char names[sizeof(section_names) + BATCH * NAME];
};

/* The one that is being filled; NULL: none. */
static struct object *filling;
static u32 filled;
static u64 begun; /* TSC */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void tell(u32 action, struct object *o)
{
    __jit_debug_descriptor.action = action;
    __jit_debug_descriptor.relevant = &o->entry;
    __jit_debug_register_code();
    __jit_debug_descriptor.action = JIT_NOACTION;
}

static Elf64_Shdr section(u32 name, u32 type, const struct object *o, const void *at, u64 size)
{
    return (Elf64_Shdr){.sh_name = name,
                        .sh_type = type,
                        .sh_offset = (u64)((const u8 *)at - (const u8 *)&o->head),
                        .sh_size = size,
                        .sh_addralign = 8};
}

static void finish(struct object *o, u32 count)
{
    const Elf64_Sym *first = &o->symbols[1], *last = &o->symbols[count];
    Elf64_Shdr *text = &o->sections[SEC_TEXT], *symbols = &o->sections[SEC_SYMBOLS];

    o->head = (Elf64_Ehdr){
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_shoff = offsetof(struct object, sections) - offsetof(struct object, head),
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = SECTIONS,
        .e_shstrndx = SEC_NAMES};
    *text = section(NAME_TEXT, SHT_NOBITS, o, o->names, 0);
    text->sh_flags = SHF_ALLOC | SHF_EXECINSTR;
    text->sh_addr = first->st_value; /* TUs come by ascending addresses */
    text->sh_size = last->st_value + last->st_size - first->st_value;
    *symbols = section(NAME_SYMBOLS, SHT_SYMTAB, o, o->symbols, (count + 1) * sizeof(*first));
    symbols->sh_link = SEC_NAMES;
    symbols->sh_info = 1;
    symbols->sh_entsize = sizeof(*first);
    o->sections[SEC_NAMES] = section(NAME_NAMES, SHT_STRTAB, o, o->names, sizeof(o->names));
}

static void register_filling(void)
{
    struct object *o = filling;

    finish(o, filled);
    o->entry.symfile_addr = &o->head;
    o->entry.symfile_size = sizeof(*o) - offsetof(struct object, head);
    o->entry.next = __jit_debug_descriptor.first;
    if (o->entry.next)
        o->entry.next->prev = &o->entry;
    __jit_debug_descriptor.first = &o->entry;
    filling = NULL;
    tell(JIT_REGISTER, o);
}

static void take_back(struct object *o)
{
    if (o->entry.next)
        o->entry.next->prev = o->entry.prev;
    if (o->entry.prev)
        o->entry.prev->next = o->entry.next;
    else
        __jit_debug_descriptor.first = o->entry.next;
    tell(JIT_UNREGISTER, o);
    free(o);
}

/* ---- What the translator tells ---- */

static const char *kind(u32 key)
{
    return key & KEY_V86       ? "v86"
           : !(key & KEY_PROT) ? "real"
           : context_cpl(key)  ? "user"
                               : "kernel";
}

void jit_name(const struct bt *bt, const struct tu *tu)
{
    struct object *o;
    char *name;

    pthread_mutex_lock(&lock);
    if (filling && filling->owner != bt)
        register_filling();
    if (!filling) {
        filling = calloc(1, sizeof(*filling));
        check(filling, "out of memory");
        memcpy(filling->names, section_names, sizeof(section_names));
        filling->owner = bt;
        filled = 0;
        begun = __rdtsc();
    }
    o = filling;
    name = o->names + sizeof(section_names) + filled * NAME;
    snprintf(name, NAME, "guest_%s_%08x", kind(bt->contexts[tu->context].key), bt->cpu->eip);
    o->symbols[++filled] = (Elf64_Sym){.st_name = (u32)(name - o->names),
                                       .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                                       .st_shndx = SEC_TEXT,
                                       .st_value = (u64)tu_host(bt, tu),
                                       .st_size = tu->host_size};
    if (filled == BATCH)
        register_filling();
    pthread_mutex_unlock(&lock);
}

void jit_poll(const struct bt *bt)
{
    pthread_mutex_lock(&lock);
    if (filling && filling->owner == bt && __rdtsc() - begun > PATIENCE)
        register_filling();
    pthread_mutex_unlock(&lock);
}

void jit_forget(const struct bt *bt)
{
    struct jit_code_entry *e, *next;

    pthread_mutex_lock(&lock);
    if (filling && filling->owner == bt) {
        free(filling);
        filling = NULL;
    }
    for (e = __jit_debug_descriptor.first; e; e = next) {
        struct object *o = (struct object *)e;

        next = e->next;
        if (o->owner == bt)
            take_back(o);
    }
    pthread_mutex_unlock(&lock);
}
