/*
 * Runs a multiboot kernel on a bare machine: RAM, CPU, a debug console, an exit port and no
 * firmware. What it writes to port E9 goes to standard output; the exit status is the kernel's.
 *
 *   sysguest KERNEL.elf [TRACE-CHANNELS]
 */
#include "cpu/control.h"
#include "devices/chardev.h"
#include "devices/debugcon.h"
#include "devices/debugexit.h"
#include "runtime/machine/run.h"
#include "runtime/parts.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static u8 *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    u8 *data;

    if (!f)
        die("%s: cannot open", path);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    data = malloc(*size + 1);
    if (!data || fread(data, 1, *size, f) != *size)
        die("%s: cannot read", path);
    fclose(f);
    return data;
}

/* Copies the segments to guest memory; returns the entry point. */
static u32 load_elf(struct machine *m, const char *path)
{
    size_t size;
    u8 *data = read_file(path, &size);
    Elf32_Ehdr eh;
    u32 entry;

    if (size < sizeof(eh) || memcmp(data, ELFMAG, SELFMAG))
        die("%s: no ELF file", path);
    memcpy(&eh, data, sizeof(eh));
    for (u32 i = 0; i < eh.e_phnum; i++) {
        size_t at = eh.e_phoff + (size_t)i * sizeof(Elf32_Phdr);
        Elf32_Phdr ph;

        if (at + sizeof(ph) > size)
            die("%s: cut short", path);
        memcpy(&ph, data + at, sizeof(ph));
        if (ph.p_type != PT_LOAD)
            continue;
        if ((u64)ph.p_offset + ph.p_filesz > size ||
            (u64)ph.p_paddr + ph.p_memsz > mmu_ram_size(m->mmu))
            die("%s: does not fit", path);
        memcpy(mmu_ram(m->mmu) + ph.p_paddr, data + ph.p_offset, ph.p_filesz);
    }
    entry = eh.e_entry;
    free(data);
    return entry;
}

/* The state a multiboot loader leaves. */
static void enter_kernel(struct vcpu *cpu, u32 entry)
{
    u16 common = ATTR_P | ATTR_S | SEG_A | ATTR_DB | ATTR_G;

    for (u32 i = ES; i <= GS; i++)
        cpu->seg[i] = (struct segment){ 0, 0xffffffff, i == CS ? 8 : 16,
                                        (u16)(common | (i == CS ? SEG_CODE | SEG_R : SEG_W)) };
    cpu->gpr[EAX] = 0x2badb002;
    cpu->eip = entry;
    if (!cpu_set_cr0(cpu, CR0_PE | CR0_ET))
        die("protected mode refused");
}

static void write_stdout(struct chardev *c, const u8 *data, u32 n)
{
    if (write(1, data, n) < 0)
        exit(1);
}

int main(int argc, char **argv)
{
    static struct options options = { .ram = MIB(32), .no_reboot = true };
    static struct chardev out = { .write = write_stdout };
    static struct debugcon_config console = { 0xe9, &out };
    static struct debugexit_config quit = { 0xf4, 4 };
    struct machine *m;
    int status;

    if (argc < 2)
        die("usage: sysguest KERNEL.elf [TRACE-CHANNELS]");
    if (argc > 2 && trace_enable(argv[2]))
        die("%s: no such trace channel", trace_enable(argv[2]));
    m = machine_bare(&options);
    device_new(m, &debugcon_class, &console);
    device_new(m, &debugexit_class, &quit);
    machine_reset(m);
    enter_kernel(m->cpu, load_elf(m, argv[1]));
    m->state = RUN_RUNNING;
    status = machine_run(m) >> 1;
    machine_free(m);
    return status;
}
