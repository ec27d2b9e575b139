/*
 * What ring3 stands on at its host, looked at before anything is built: what is missing there
 * is the user's to mend, and gets one line. Later, the same would be a crash, or a slow
 * machine.
 */
#include "runtime/machine/host.h"
#include "bt/bt.h"
#include "runtime/machine/options.h"

#include <asm/hwcap2.h>
#include <asm/prctl.h>
#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- The processor ---- */

static bool has_lahf(void)
{
    u32 a, b, c, d;

    return __get_cpuid(0x80000001, &a, &b, &c, &d) && c & bit_LAHF_LM;
}

/* Of translated code and its routines: RORX, SHLX, PEXT, BZHI and their kin; ANDN; the flags by
 * LAHF and SAHF. */
static void check_processor(void)
{
    const char *missing = !__builtin_cpu_supports("bmi2") ? "BMI2"
                          : !__builtin_cpu_supports("bmi") ? "BMI1"
                          : !has_lahf()                    ? "LAHF in 64-bit mode"
                                                           : NULL;

    if (missing)
        die("this processor lacks %s, which Intel's Core have since 2013 and AMD's since 2015; "
            "a virtual machine may hide it",
            missing);
}

/* The value of "NAME\t: VALUE" in a line of /proc/cpuinfo; NULL: it is another line. */
static const char *cpuinfo_value(char *line, const char *name)
{
    size_t n = strlen(name);

    if (strncmp(line, name, n) || (line[n] != '\t' && line[n] != ':'))
        return NULL;
    line[strcspn(line, "\n")] = '\0';
    line = strchr(line, ':');
    return line && line[1] ? line + 2 : NULL;
}

/* As the kernel has it: a hypervisor may answer CPUID otherwise. */
void host_processor(char *text, size_t size)
{
    static const char *const names[] = {"vendor_id", "cpu family", "model", "stepping",
                                        "model name"};
    char values[ARRAY_SIZE(names)][64] = {"?", "?", "?", "?", "?"}, line[256];
    FILE *info = fopen("/proc/cpuinfo", "re");

    while (info && fgets(line, sizeof(line), info) && line[0] != '\n')
        for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
            const char *val = cpuinfo_value(line, names[i]);

            if (val)
                snprintf(values[i], sizeof(values[i]), "%s", val);
        }
    if (info)
        fclose(info);
    snprintf(text, size, "%s %s/%s/%s %s", values[0], values[1], values[2], values[3],
             values[4]);
}

/* ---- Limits, as set by ulimit ---- */

struct limit {
    int which;
    const char *name;
    char option; /* of ulimit */
    u64 least, unit;
};

static void check_limit(const struct limit *l)
{
    struct rlimit now;

    if (!getrlimit(l->which, &now) && now.rlim_cur < l->least)
        die("the limit of %s (ulimit -%c) is %llu%s; ring3 needs %llu", l->name, l->option,
            (unsigned long long)(now.rlim_cur / l->unit), l->unit == 1 ? "" : " MiB",
            (unsigned long long)(l->least / l->unit));
}

static u64 tc_size(const struct options *o)
{
    return o->tc_size ? o->tc_size : MIB(256);
}

/* Direct maps take 36 GiB of addresses, shadow tables 6, the map of code 0.5; little of that is
 * ever memory. The translation cache lies there three times, and RAM once outside the direct
 * maps. What is mapped twice or shared is a file to the host. */
static void check_limits(const struct options *o)
{
    const struct limit limits[] = {
        { RLIMIT_AS, "address space", 'v', GIB(44) + o->ram + 3 * tc_size(o), MIB(1) },
        { RLIMIT_DATA, "data", 'd', GIB(8) + tc_size(o), MIB(1) },
        { RLIMIT_FSIZE, "file size", 'f', MIB(256) + o->ram + tc_size(o), MIB(1) },
        { RLIMIT_NOFILE, "open files", 'n', 64, 1 },
    };

    for (u32 i = 0; i < ARRAY_SIZE(limits); i++)
        check_limit(&limits[i]);
}

/* ---- The kernel ---- */

static void check_memory(void)
{
    int fd = memfd_create("ring3", MFD_CLOEXEC);
    void *p;

    if (fd < 0)
        die("memfd_create: %s; ring3 keeps the guest's memory in one", strerror(errno));
    if (ftruncate(fd, PAGE_SIZE))
        die("ftruncate of a memfd: %s; ring3 keeps the guest's memory in one", strerror(errno));
    p = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        die("mmap of a memfd as executable: %s; ring3 runs there the code it makes",
            strerror(errno));
    munmap(p, PAGE_SIZE);
    close(fd);
}

/* What only translated code needs: to know that nothing lies where guest addresses must fault
 * (bt/cache.c), and a base of GS (mmu/directmap.c). */
static void check_for_translator(void)
{
    if (access("/proc/self/maps", R_OK))
        die("/proc/self/maps: %s; the translator needs /proc, --engine interp does not",
            strerror(errno));
    if (!(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE) && syscall(SYS_arch_prctl, ARCH_SET_GS, 0ul))
        die("arch_prctl(ARCH_SET_GS): %s; the translator needs it", strerror(errno));
}

void host_check(const struct options *o)
{
    check_processor();
    check_limits(o);
    check_memory();
    if (o->engine == &bt_engine)
        check_for_translator();
}
