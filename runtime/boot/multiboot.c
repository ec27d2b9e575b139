/*
 * Multiboot kernels, version 0.6.96 of the specification: a header in the first 8 KiB, an ELF32
 * (or a file that says itself where it wants to be), entered in flat 32-bit mode with EBX at a
 * table of information. The memory map in it is written by the option ROM, from what the
 * firmware says.
 *
 * The file is untrusted: sums are made in 64 bits, and each range is compared with the file's
 * or the memory's before it is used.
 */
#include "runtime/boot/multiboot.h"
#include "runtime/boot/firmware.h"
#include "runtime/boot/kernel.h"

#include <elf.h>
#include <string.h>

enum { /* 3.1.1: header */
    MAGIC_ALIGN = 4, SEARCH = 8192, HEADER_SIZE = 12, ADDRESSES_SIZE = 32,
    NEED_PAGE_ALIGN = 1, NEED_MEMORY = 2, NEED_VIDEO = 4, NEED_UNKNOWN = 0xfff8,
    HAS_ADDRESSES = 0x10000,
};
#define HEADER_MAGIC 0x1badb002u

enum { /* 3.3: information; flags */
    INFO_MEMORY = 1, INFO_CMDLINE = 4, INFO_MODS = 8, INFO_MMAP = 0x40, INFO_LOADER = 0x200,
    INFO_LIMIT = 0x60000, /* bytes from BOOT_INFO up */
    MODULES = 16, SEGMENTS = 20,
    LOW_END = 0x9f000, HIGH = 0x100000,
};
struct multiboot_info {
    u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
    u32 mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name;
};
static_assert(offsetof(struct multiboot_info, mmap_length) == 44, "bootrom.S: mmap_length");
struct multiboot_module {
    u32 start, end, string, reserved;
};
static_assert(MODULES + SEGMENTS + 1 <= BOOT_LOADS, "all parts fit into a plan");

struct multiboot {
    struct machine *m;
    const struct boot_files *files;
    struct boot_plan *plan;
    u32 header; /* its offset in the file */
    u32 flags;
    u32 segments;
    u64 end;      /* of what is loaded above 1 MiB */
    u8 *info;     /* goes to BOOT_INFO */
    u32 info_size;
    struct multiboot_module module[MODULES];
    u32 modules;
};

static u32 header_word(const struct multiboot *b, u64 off)
{
    u32 val = 0;

    if (off + 4 <= b->files->kernel_size)
        memcpy(&val, b->files->kernel + off, 4);
    return val;
}

static bool multiboot_find(struct multiboot *b)
{
    for (u32 off = 0; off <= SEARCH - HEADER_SIZE; off += MAGIC_ALIGN) {
        if (header_word(b, off) != HEADER_MAGIC)
            continue;
        b->header = off;
        b->flags = header_word(b, off + 4);
        if (HEADER_MAGIC + b->flags + header_word(b, off + 8) == 0)
            return true;
    }
    return false;
}

/* ---- The kernel's parts ---- */

/* [gpa, gpa+size) is free for the kernel: low memory above our tables, or RAM above 1 MiB. */
static bool multiboot_fits(const struct multiboot *b, u64 gpa, u64 size)
{
    if (gpa >= HIGH)
        return gpa + size <= boot_top(b->m);
    return gpa >= BOOT_INFO + INFO_LIMIT && gpa + size <= LOW_END;
}

static void multiboot_segment(struct multiboot *b, u64 gpa, u64 size, u64 off, u64 data_size)
{
    const struct boot_files *f = b->files;

    if (data_size > size || off > f->kernel_size || data_size > f->kernel_size - off)
        die("-kernel %s: a segment lies outside the file", f->kernel_path);
    if (!multiboot_fits(b, gpa, size))
        die("-kernel %s: %llu bytes at %#llx do not fit into memory", f->kernel_path,
            (unsigned long long)size, (unsigned long long)gpa);
    if (b->segments++ == SEGMENTS)
        die("-kernel %s: more than %d segments", f->kernel_path, SEGMENTS);
    boot_plan_load(b->plan, gpa, size, f->kernel + off, data_size);
    if (gpa + size > b->end)
        b->end = gpa + size;
}

/* 3.1.3: the header's own addresses. */
static void multiboot_addresses(struct multiboot *b)
{
    u32 header = header_word(b, b->header + 12), load = header_word(b, b->header + 16);
    u32 load_end = header_word(b, b->header + 20), bss_end = header_word(b, b->header + 24);
    u64 off = (u64)b->header - (header - load);
    const char *path = b->files->kernel_path;

    if (b->header + ADDRESSES_SIZE > b->files->kernel_size || header < load ||
        header - load > b->header || (load_end && load_end < load))
        die("-kernel %s: the addresses in its multiboot header make no sense", path);
    u64 data = load_end ? load_end - load : b->files->kernel_size - off;
    u64 size = bss_end ? (u64)bss_end - load : data;
    if (bss_end && bss_end < load + data)
        die("-kernel %s: the addresses in its multiboot header make no sense", path);
    multiboot_segment(b, load, size, off, data);
    b->plan->entry = header_word(b, b->header + 28);
}

/* An entry that is only a virtual address in a segment means the segment's physical one. */
static u32 multiboot_entry(const struct multiboot *b, const Elf32_Ehdr *e)
{
    for (u32 i = 0; i < e->e_phnum; i++) {
        Elf32_Phdr p;

        memcpy(&p, b->files->kernel + e->e_phoff + i * sizeof(p), sizeof(p));
        if (p.p_type == PT_LOAD && e->e_entry - p.p_paddr < p.p_memsz)
            return e->e_entry;
    }
    for (u32 i = 0; i < e->e_phnum; i++) {
        Elf32_Phdr p;

        memcpy(&p, b->files->kernel + e->e_phoff + i * sizeof(p), sizeof(p));
        if (p.p_type == PT_LOAD && e->e_entry - p.p_vaddr < p.p_memsz)
            return e->e_entry - p.p_vaddr + p.p_paddr;
    }
    return e->e_entry;
}

static void multiboot_check_elf(const struct multiboot *b, const Elf32_Ehdr *e)
{
    const struct boot_files *f = b->files;

    if (f->kernel_size < sizeof(*e) || memcmp(e->e_ident, ELFMAG, SELFMAG))
        die("-kernel %s: a multiboot kernel must be an ELF file or give its addresses",
            f->kernel_path);
    if (e->e_ident[EI_CLASS] == ELFCLASS64)
        die("-kernel %s is a 64-bit kernel; the guest's CPU has 32 bits", f->kernel_path);
    if (e->e_ident[EI_CLASS] != ELFCLASS32 || e->e_ident[EI_DATA] != ELFDATA2LSB ||
        e->e_machine != EM_386)
        die("-kernel %s is not for the 386", f->kernel_path);
    if (e->e_phentsize != sizeof(Elf32_Phdr) || e->e_phoff > f->kernel_size ||
        e->e_phnum > (f->kernel_size - e->e_phoff) / sizeof(Elf32_Phdr))
        die("-kernel %s: the ELF program headers lie outside the file", f->kernel_path);
}

static void multiboot_elf(struct multiboot *b)
{
    const struct boot_files *f = b->files;
    Elf32_Ehdr e = {0};

    memcpy(&e, f->kernel, f->kernel_size < sizeof(e) ? f->kernel_size : sizeof(e));
    multiboot_check_elf(b, &e);
    for (u32 i = 0; i < e.e_phnum; i++) {
        Elf32_Phdr p;

        memcpy(&p, f->kernel + e.e_phoff + i * sizeof(p), sizeof(p));
        if (p.p_type == PT_LOAD && p.p_memsz)
            multiboot_segment(b, p.p_paddr, p.p_memsz, p.p_offset, p.p_filesz);
    }
    if (!b->segments)
        die("-kernel %s: nothing in it is to be loaded", f->kernel_path);
    b->plan->entry = multiboot_entry(b, &e);
}

/* ---- Information for the kernel ---- */

/* Room in the block at BOOT_INFO; returns its gpa. */
static u32 multiboot_put(struct multiboot *b, const void *data, u32 size)
{
    u32 at = (b->info_size + 3) & ~3u;

    if (size > INFO_LIMIT - at)
        die("-append and -initrd: more text than fits before the kernel");
    memcpy(b->info + at, data, size);
    b->info_size = at + size;
    return BOOT_INFO + at;
}

static u32 multiboot_string(struct multiboot *b, const char *a, const char *rest)
{
    char text[INFO_LIMIT / 4];
    int n = snprintf(text, sizeof(text), "%s%s%s", a, *rest ? " " : "", rest);

    if (n < 0 || (size_t)n >= sizeof(text))
        die("-append: longer than %zu characters", sizeof(text) - 1);
    return multiboot_put(b, text, n + 1);
}

/* One "file arguments" of -initrd: into memory after what is there, at a page. */
static void multiboot_module(struct multiboot *b, const char *text)
{
    u64 at = (b->end + PAGE_MASK) & ~(u64)PAGE_MASK;
    struct multiboot_module *mod = &b->module[b->modules];
    char path[4096];
    const char *error;
    u32 size;

    if (b->modules++ == MODULES)
        die("-initrd: more than %d modules", MODULES);
    snprintf(path, sizeof(path), "%.*s", (int)strcspn(text, " "), text);
    const u8 *data = boot_read_file(b->m, path, BOOT_FILE_MAX, &size, &error);
    if (!data)
        die("-initrd %s", error);
    if (at + size > boot_top(b->m))
        die("-initrd %s does not fit into memory: give the guest more with -m", path);
    boot_plan_load(b->plan, at, size, data, size);
    b->end = at + size;
    *mod = (struct multiboot_module){at, at + size, multiboot_string(b, text, ""), 0};
}

/* "file args,file args"; ",," stands for a comma. */
static void multiboot_modules(struct multiboot *b)
{
    const char *s = b->files->initrd_path;
    char text[8192];

    while (s && *s) {
        u32 n = 0;

        for (; *s && (*s != ',' || s[1] == ','); s++) {
            s += *s == ',';
            if (n < sizeof(text) - 1)
                text[n++] = *s;
        }
        s += *s == ',';
        text[n] = 0;
        if (n)
            multiboot_module(b, text);
    }
}

static void multiboot_information(struct multiboot *b)
{
    struct multiboot_info info = {
        .flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODS | INFO_MMAP | INFO_LOADER,
        .mmap_addr = BOOT_MAP, /* mem_lower, mem_upper and mmap_length come from the ROM */
    };

    b->info = machine_alloc(b->m, INFO_LIMIT);
    b->info_size = sizeof(info);
    multiboot_modules(b);
    info.mods_count = b->modules;
    info.mods_addr = multiboot_put(b, b->module, b->modules * sizeof(b->module[0]));
    info.cmdline = multiboot_string(b, b->files->kernel_path, b->files->command_line);
    info.boot_loader_name = multiboot_string(b, "ring3", "");
    memcpy(b->info, &info, sizeof(info));
    boot_plan_load(b->plan, BOOT_INFO, b->info_size, b->info, b->info_size);
}

bool multiboot_load(struct machine *m, const struct boot_files *files, struct boot_plan *plan)
{
    struct multiboot b = {.m = m, .files = files, .plan = plan, .end = HIGH};

    if (!multiboot_find(&b))
        return false;
    if (b.flags & NEED_UNKNOWN)
        die("-kernel %s wants multiboot features %#x that nobody has", files->kernel_path,
            b.flags & NEED_UNKNOWN);
    if (b.flags & HAS_ADDRESSES)
        multiboot_addresses(&b);
    else
        multiboot_elf(&b);
    multiboot_information(&b);
    plan->protected_mode = true;
    return true;
}
