/*
 * ring3: options, machine, front ends, loop, exit status.
 */
#include "runtime/control/chardev.h"
#include "runtime/control/daemon.h"
#include "runtime/control/gdb.h"
#include "runtime/control/pidfile.h"
#include "runtime/control/progress.h"
#include "runtime/control/qmp.h"
#include "runtime/control/signals.h"
#include "runtime/machine/host.h"
#include "runtime/machine/run.h"
#include "runtime/machine/stats.h"
#include "runtime/machine/tcdump.h"
#include "runtime/options/command_line.h"
#include "runtime/parts.h"
#include "runtime/screen/display.h"

#include <string.h>

int main(int argc, char **argv)
{
    static struct options o;
    struct display *display;
    struct machine *m;
    int status;

    program_set_name(argc ? argv[0] : "ring3");
    options_parse(&o, argc, argv);
    if (o.daemonize)
        daemon_begin();
    host_check(&o);
    if (o.pidfile)
        pidfile_write(o.pidfile);
    m = machine_new(&o);
    signals_watch(m);
    if (o.qmp && !o.qmp_server && strcmp(o.qmp, "stdio"))
        qmp_connect(m, o.qmp);
    else if (o.qmp)
        qmp_new(m, o.qmp, o.qmp_wait);
    if (o.gdb)
        gdb_new(m, o.gdb, o.gdb_wait);
    if (o.monitor)
        chardev_monitor(m, o.monitor);
    chardev_open_rest(m);
    display = display_open(m);
    if (o.daemonize)
        daemon_ready();
    progress_watch(m);
    status = machine_run(m);
    display_close(display);
    stats_write(m);
    tcdump_at_exit(m);
    gdb_free(m, status);
    qmp_free(m);
    machine_free(m);
    return status;
}
