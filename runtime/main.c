/*
 * ring3: options, machine, front ends, loop, exit status.
 */
#include "runtime/control.h"
#include "runtime/display.h"
#include "runtime/frontend.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What the engines and the memory map stand on; missing it is the user's to mend. */
static void check_host(void)
{
    int fd;

    if (!__builtin_cpu_supports("bmi2") || !__builtin_cpu_supports("avx2"))
        die("this processor lacks BMI2 or AVX2, which Intel's have since 2013 and AMD's since 2015");
    fd = memfd_create("ring3", MFD_CLOEXEC);
    if (fd < 0)
        die("memfd_create: %s; ring3 keeps the guest's memory in one", strerror(errno));
    close(fd);
}

int main(int argc, char **argv)
{
    static struct options o;
    struct viewer *viewer;
    struct machine *m;
    int status;

    options_parse(&o, argc, argv);
    check_host();
    m = machine_new(&o);
    signals_watch(m);
    if (o.qmp)
        qmp_new(m, o.qmp, o.qmp_wait);
    viewer = display_open(m);
    progress_watch(m);
    status = machine_run(m);
    display_close(viewer);
    stats_write(m);
    qmp_free(m);
    machine_free(m);
    return status;
}
