/*
 * `-dump-tc`: the engine writes what it has made; the file is ours.
 */
#include "runtime/machine/tcdump.h"
#include "runtime/machine/machine.h"

#include <errno.h>
#include <string.h>

const char *tcdump_write(struct machine *m, const char *path, bool listing)
{
    FILE *out = fopen(path, "we");
    bool failed;

    if (!out)
        return strerror(errno);
    if (m->cpu->engine->dump)
        m->cpu->engine->dump(m->cpu, out, listing);
    failed = ferror(out);
    failed |= fclose(out) != 0;
    return failed ? "the disk is full, or the file cannot be written" : NULL;
}

void tcdump_at_exit(struct machine *m)
{
    const struct options *o = m->options;
    const char *error = o->dump_tc ? tcdump_write(m, o->dump_tc, o->dump_tc_listing) : NULL;

    if (error)
        warn("-dump-tc: %s: %s", o->dump_tc, error);
}
