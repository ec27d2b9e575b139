/*
 * Kernel loading: where a Linux image and a multiboot kernel go, and that no file, however
 * broken, does more than end the program with one line. What die()s runs in a child.
 */
#include "devices/disk.h"
#include "devices/fw_cfg.h"
#include "devices/mc146818.h"
#include "runtime/boot/cmos.h"
#include "runtime/boot/kernel.h"
#include "runtime/boot/linux.h"
#include "runtime/boot/multiboot.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILE_SIZE = 0x4000 };
enum { LOADED = 1, REFUSED, OTHER };

static struct rig *board(void)
{
    struct rig *r = rig_new(&fw_cfg_class, NULL);

    return r;
}

static void set(u8 *p, u32 size, u32 val)
{
    memcpy(p, &val, size);
}

static u32 get(const void *p, u32 off)
{
    u32 v;

    memcpy(&v, (const u8 *)p + off, 4);
    return v;
}

typedef bool loader(struct machine *m, const struct boot_files *files, struct boot_plan *plan);

/* In a child, as it may die(): LOADED, OTHER (not of this kind) or REFUSED (exit status 1, with
 * a line on stderr). A crash is none of them. The copy ends where its memory ends. */
static int outcome(loader *load, const u8 *kernel, u32 size, const char *append)
{
    struct rig *r = board();
    int pipes[2], status;
    char line[256] = "";
    size_t n = 0;

    CHECK(!pipe(pipes));
    pid_t pid = test_fork();
    if (!pid) {
        struct boot_files files = {"KERNEL", NULL, NULL, size, append};
        struct boot_plan plan = {0};
        u8 *copy = malloc(size ? size : 1);

        memcpy(copy, kernel, size);
        files.kernel = copy;
        dup2(pipes[1], 2);
        _exit(load(r->m, &files, &plan) ? 10 + LOADED : 10 + OTHER);
    }
    close(pipes[1]);
    for (ssize_t k; (k = read(pipes[0], line + n, sizeof(line) - 1 - n)) > 0;)
        n += k;
    close(pipes[0]);
    waitpid(pid, &status, 0);
    if (!WIFEXITED(status))
        return -WTERMSIG(status);
    if (WEXITSTATUS(status) == 1)
        return n > 0 && strstr(line, "KERNEL") && strchr(line, '\n') == line + n - 1 ? REFUSED
                                                                                     : -1;
    return WEXITSTATUS(status) - 10;
}

/* ---- Linux ---- */

static void linux_image(u8 *k)
{
    memset(k, 0, FILE_SIZE);
    k[0x1f1] = 3; /* setup sectors besides the first */
    set(k + 0x1fe, 2, 0xaa55);
    memcpy(k + 0x202, "HdrS", 4);
    set(k + 0x206, 2, 0x20f);
    k[0x211] = 1;
    set(k + 0x22c, 4, 0x7fffffff);
    set(k + 0x238, 4, 2047);
    memset(k + 0x800, 0xc3, FILE_SIZE - 0x800);
}

static bool load_linux(struct rig *r, const u8 *k, const char *append, struct boot_plan *plan)
{
    struct boot_files files = {"KERNEL", NULL, k, FILE_SIZE, append};

    memset(plan, 0, sizeof(*plan));
    return linux_load(r->m, &files, plan);
}

static const struct boot_load *load_at(const struct boot_plan *plan, u32 gpa)
{
    for (u32 i = 0; i < plan->loads; i++)
        if (plan->load[i].gpa == gpa)
            return &plan->load[i];
    return NULL;
}

TEST(linux, places_a_bzimage)
{
    u8 k[FILE_SIZE];
    struct boot_plan plan;

    linux_image(k);
    CHECK(load_linux(board(), k, "root=/dev/hda1", &plan));
    const struct boot_load *setup = load_at(&plan, 0x10000), *text = load_at(&plan, 0x20000),
                           *code = load_at(&plan, 0x100000);
    CHECK(setup && text && code);
    if (!setup || !text || !code)
        return;
    CHECK_EQ(setup->size, 0x800);
    CHECK_EQ(code->size, FILE_SIZE - 0x800);
    CHECK_EQ(*(const u8 *)code->data, 0xc3);
    CHECK(!strcmp(text->data, "root=/dev/hda1"));
    CHECK_EQ(get(setup->data, 0x228), 0x20000);
    CHECK_EQ(get(setup->data, 0x224) & 0xffff, 0xfe00);
    CHECK_EQ(get(setup->data, 0x210) & 0xffff, 0x81ff); /* loader, and the heap may be used */
    CHECK_EQ(plan.entry, 0x10200000);
    CHECK_EQ(plan.real_segment, 0x1000);
    CHECK(!plan.protected_mode);
}

TEST(linux, places_an_old_zimage)
{
    u8 k[FILE_SIZE];
    struct boot_plan plan;

    linux_image(k);
    set(k + 0x206, 2, 0x200);
    k[0x211] = 0;
    CHECK(load_linux(board(), k, "quiet", &plan));
    CHECK(load_at(&plan, 0x90000));
    CHECK(load_at(&plan, 0x10000));
    CHECK_EQ(get(load_at(&plan, 0x90000)->data, 0x20), 0x9800a33f);
    CHECK_EQ(plan.entry, 0x90200000);
}

TEST(linux, hands_on_the_video_mode)
{
    static const struct {
        const char *append;
        u32 mode;
    } rows[] = {{"vga=0x317", 0x317}, {"quiet vga=ask", 0xfffd}, {"vga=normal x", 0xffff},
                {"vga=ext", 0xfffe}, {"novga=5", 0}};
    u8 k[FILE_SIZE];
    struct boot_plan plan;

    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        linux_image(k);
        CHECK(load_linux(board(), k, rows[i].append, &plan));
        CHECK_EQ(get(load_at(&plan, 0x10000)->data, 0x1fa) & 0xffff, rows[i].mode);
    }
}

TEST(linux, refuses_what_is_broken)
{
    u8 k[FILE_SIZE];
    char line[4096];

    linux_image(k);
    CHECK_EQ(outcome(linux_load, k, FILE_SIZE, ""), LOADED);
    CHECK_EQ(outcome(linux_load, k, 0x800, ""), REFUSED);
    CHECK_EQ(outcome(linux_load, k, 0x206, ""), REFUSED);
    CHECK_EQ(outcome(linux_load, k, 0x205, ""), OTHER);
    CHECK_EQ(outcome(linux_load, k, 0, ""), OTHER);
    memset(line, 'x', sizeof(line));
    line[2048] = 0;
    CHECK_EQ(outcome(linux_load, k, FILE_SIZE, line), REFUSED);
    line[2047] = 0;
    CHECK_EQ(outcome(linux_load, k, FILE_SIZE, line), LOADED);
    k[0x1f1] = 0xff;
    CHECK_EQ(outcome(linux_load, k, FILE_SIZE, ""), REFUSED);
    linux_image(k);
    set(k + 0x206, 2, 0x100);
    CHECK_EQ(outcome(linux_load, k, FILE_SIZE, ""), REFUSED);
}

/* ---- Multiboot ---- */

enum { ELF_ENTRY = 0x100010 };

static void multiboot_header(u8 *p, u32 flags)
{
    set(p, 4, 0x1badb002);
    set(p + 4, 4, flags);
    set(p + 8, 4, -(0x1badb002 + flags));
}

static void multiboot_image(u8 *k)
{
    Elf32_Ehdr e = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC, .e_machine = EM_386, .e_version = EV_CURRENT, .e_entry = ELF_ENTRY,
        .e_phoff = sizeof(e), .e_ehsize = sizeof(e), .e_phentsize = sizeof(Elf32_Phdr),
        .e_phnum = 2,
    };
    Elf32_Phdr p[2] = {
        {.p_type = PT_LOAD, .p_offset = 0x1000, .p_vaddr = 0xc0100000, .p_paddr = 0x100000,
         .p_filesz = 0x1800, .p_memsz = 0x3000},
        {.p_type = PT_NOTE, .p_offset = 0xffffffff, .p_filesz = 0xffffffff},
    };

    memset(k, 0, FILE_SIZE);
    memcpy(k, &e, sizeof(e));
    memcpy(k + e.e_phoff, p, sizeof(p));
    multiboot_header(k + 0x1000, 3);
}

static bool load_multiboot(struct rig *r, const u8 *k, struct boot_plan *plan)
{
    struct boot_files files = {"KERNEL", NULL, k, FILE_SIZE, "one two"};

    memset(plan, 0, sizeof(*plan));
    return multiboot_load(r->m, &files, plan);
}

TEST(multiboot, places_an_elf)
{
    u8 k[FILE_SIZE];
    struct boot_plan plan;

    multiboot_image(k);
    CHECK(load_multiboot(board(), k, &plan));
    CHECK(plan.protected_mode);
    CHECK_EQ(plan.entry, ELF_ENTRY);
    const struct boot_load *code = load_at(&plan, 0x100000), *info = load_at(&plan, BOOT_INFO);
    CHECK(code && info);
    if (!code || !info)
        return;
    CHECK_EQ(code->size, 0x3000);
    CHECK_EQ(code->data_size, 0x1800);
    CHECK_EQ(get(info->data, 0), 0x24d);
    CHECK(
        !strcmp((const char *)info->data + get(info->data, 16) - BOOT_INFO, "KERNEL one two"));
    CHECK(!strcmp((const char *)info->data + get(info->data, 64) - BOOT_INFO, "ring3"));
    CHECK_EQ(get(info->data, 48), BOOT_MAP);
}

TEST(multiboot, a_virtual_entry_becomes_physical)
{
    u8 k[FILE_SIZE];
    struct boot_plan plan;

    multiboot_image(k);
    set(k + offsetof(Elf32_Ehdr, e_entry), 4, 0xc0100010);
    CHECK(load_multiboot(board(), k, &plan));
    CHECK_EQ(plan.entry, ELF_ENTRY);
}

static void addresses_image(u8 *k, u32 load, u32 load_end, u32 bss_end)
{
    memset(k, 0, FILE_SIZE);
    multiboot_header(k + 0x40, 0x10003);
    set(k + 0x4c, 4, 0x200040);
    set(k + 0x50, 4, load);
    set(k + 0x54, 4, load_end);
    set(k + 0x58, 4, bss_end);
    set(k + 0x5c, 4, 0x200060);
}

TEST(multiboot, obeys_the_headers_addresses)
{
    u8 k[FILE_SIZE];
    struct boot_plan plan;

    addresses_image(k, 0x200000, 0x201000, 0x208000);
    CHECK(load_multiboot(board(), k, &plan));
    CHECK_EQ(load_at(&plan, 0x200000)->data_size, 0x1000);
    CHECK_EQ(load_at(&plan, 0x200000)->size, 0x8000);
    CHECK_EQ(plan.entry, 0x200060);
    addresses_image(k, 0x200040, 0, 0); /* from the header on, to the end of the file */
    CHECK(load_multiboot(board(), k, &plan));
    CHECK_EQ(load_at(&plan, 0x200040)->size, FILE_SIZE - 0x40);
}

TEST(multiboot, refuses_addresses_that_make_no_sense)
{
    static const u32 rows[][3] = {
        {0x200041, 0, 0},                   /* header before the load address */
        {0x1fff00, 0, 0},                   /* starts before the file */
        {0, 0, 0},
        {0x200000, 0x1fffff, 0},            /* ends before it starts */
        {0x200000, 0x204001, 0},            /* beyond the file */
        {0x200000, 0xffffffff, 0},
        {0x200000, 0x202000, 0x201000},     /* zeros end before the data */
        {0x200000, 0x202000, 0xffffffff},   /* beyond memory */
    };
    u8 k[FILE_SIZE];

    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        addresses_image(k, rows[i][0], rows[i][1], rows[i][2]);
        CHECK_EQ(outcome(multiboot_load, k, FILE_SIZE, ""), REFUSED);
    }
    addresses_image(k, 0x200000, 0, 0);
    CHECK_EQ(outcome(multiboot_load, k, 0x5f, ""), REFUSED); /* cut inside the header */
}

TEST(multiboot, refuses_elf_headers_that_lie)
{
    static const struct {
        u32 off, size, val;
    } rows[] = {
        {offsetof(Elf32_Ehdr, e_ident) + EI_CLASS, 1, ELFCLASS64},
        {offsetof(Elf32_Ehdr, e_ident) + EI_DATA, 1, ELFDATA2MSB},
        {offsetof(Elf32_Ehdr, e_ident), 1, 0},
        {offsetof(Elf32_Ehdr, e_machine), 2, EM_ARM},
        {offsetof(Elf32_Ehdr, e_phoff), 4, 0xfffffff0},
        {offsetof(Elf32_Ehdr, e_phoff), 4, FILE_SIZE - 8},
        {offsetof(Elf32_Ehdr, e_phnum), 2, 0xffff},
        {offsetof(Elf32_Ehdr, e_phnum), 2, 0},
        {offsetof(Elf32_Ehdr, e_phentsize), 2, 8},
        {52 + offsetof(Elf32_Phdr, p_offset), 4, 0xfffffff0},
        {52 + offsetof(Elf32_Phdr, p_offset), 4, FILE_SIZE},
        {52 + offsetof(Elf32_Phdr, p_filesz), 4, 0xffffffff},
        {52 + offsetof(Elf32_Phdr, p_filesz), 4, 0x3001}, /* more than p_memsz */
        {52 + offsetof(Elf32_Phdr, p_memsz), 4, 0xffffffff},
        {52 + offsetof(Elf32_Phdr, p_memsz), 4, 0x1000000}, /* more than there is RAM */
        {52 + offsetof(Elf32_Phdr, p_paddr), 4, 0xfffff000},
        {52 + offsetof(Elf32_Phdr, p_paddr), 4, 0xf0000}, /* the BIOS's */
        {52 + offsetof(Elf32_Phdr, p_paddr), 4, 0x9000},  /* ours */
        /* checksum no longer fits: no header */
        {0x1004, 4, 0x80000003},
    };
    u8 k[FILE_SIZE];

    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        multiboot_image(k);
        set(k + rows[i].off, rows[i].size, rows[i].val);
        CHECK_EQ(outcome(multiboot_load, k, FILE_SIZE, ""),
                 i == ARRAY_SIZE(rows) - 1 ? OTHER : REFUSED);
    }
    multiboot_image(k);
    multiboot_header(k + 0x1000, 8); /* a feature nobody knows */
    CHECK_EQ(outcome(multiboot_load, k, FILE_SIZE, ""), REFUSED);
}

/* Any length and any four bytes: a verdict, never a crash. */
TEST(boot, survives_noise_and_truncation)
{
    u8 k[FILE_SIZE], *part;
    u32 seed = 12345;

    for (u32 i = 0; i < 150; i++) {
        u32 size, at;
        int how;

        if (i % 2)
            linux_image(k);
        else if (i % 3)
            multiboot_image(k);
        else
            addresses_image(k, 0x200000, 0x201000, 0x208000);
        for (u32 n = 0; n < 4; n++) {
            seed = seed * 1664525 + 1013904223;
            at = i % 2 ? 0x1f0 + seed % 0x50 : seed % 0x60;
            k[at] = seed >> 24;
        }
        size = i % 5 ? FILE_SIZE : seed % FILE_SIZE;
        part = k;
        how = outcome(i % 2 ? linux_load : multiboot_load, part, size, "a b");
        CHECK(how == LOADED || how == REFUSED || how == OTHER);
    }
}

/* ---- CMOS ---- */

static u8 cmos(struct rig *r, u8 index)
{
    return mc146818_cmos_get(r->dev, index);
}

static struct rig *cmos_rig(const char *order, u64 floppy_size)
{
    static struct disk floppy;
    struct rig *r = rig_new(NULL, NULL);

    r->dev = rig_add(r, &mc146818_class, NULL);
    snprintf(r->m->options->boot, sizeof(r->m->options->boot), "%s", order);
    floppy = (struct disk){.size = floppy_size};
    r->m->floppy[0] = &floppy;
    cmos_fill(r->m, r->dev);
    r->m->floppy[0] = NULL;
    return r;
}

TEST(cmos, tells_memory)
{
    struct rig *r = cmos_rig("", 0); /* 16 MiB */

    CHECK_EQ(cmos(r, 0x15) | cmos(r, 0x16) << 8, 640);
    CHECK_EQ(cmos(r, 0x17) | cmos(r, 0x18) << 8, 15360);
    CHECK_EQ(cmos(r, 0x30) | cmos(r, 0x31) << 8, 15360);
    CHECK_EQ(cmos(r, 0x34) | cmos(r, 0x35) << 8, 0);
}

TEST(cmos, tells_boot_order)
{
    CHECK_EQ(cmos(cmos_rig("", 0), 0x3d), 0x12); /* disk, floppy, CD */
    CHECK_EQ(cmos(cmos_rig("", 0), 0x38), 0x30);
    CHECK_EQ(cmos(cmos_rig("d", 0), 0x3d), 0x03);
    CHECK_EQ(cmos(cmos_rig("ac", 0), 0x3d), 0x21);
    CHECK_EQ(cmos(cmos_rig("ac", 0), 0x38), 0x00);
}

TEST(cmos, tells_floppy_drives)
{
    CHECK_EQ(cmos(cmos_rig("", 0), 0x10), 0x40);
    CHECK_EQ(cmos(cmos_rig("", 1474560), 0x10), 0x40);
    CHECK_EQ(cmos(cmos_rig("", 737280), 0x10), 0x40);
    CHECK_EQ(cmos(cmos_rig("", 368640), 0x10), 0x20);
    CHECK_EQ(cmos(cmos_rig("", 1228800), 0x10), 0x20);
    CHECK_EQ(cmos(cmos_rig("", 2949120), 0x10), 0x50);
    /* 21 sectors: past a 1.44 MB drive of SeaBIOS */
    CHECK_EQ(cmos(cmos_rig("", 1720320), 0x10), 0x50);
    CHECK_EQ(cmos(cmos_rig("", 0), 0x14) & 0xc1, 0x01);
}
