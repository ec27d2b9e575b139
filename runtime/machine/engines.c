/*
 * The engines there are, the default first.
 */
#include "runtime/machine/engines.h"
#include "bt/bt.h"
#include "cpu/interp.h"
#include "runtime/machine/machine.h"

#include <string.h>

const struct engine *const engines[] = {&bt_engine, &trap_engine, &interp_engine, NULL};

const struct engine *engine_named(const char *name)
{
    for (u32 i = 0; engines[i]; i++)
        if (!strcmp(engines[i]->name, name))
            return engines[i];
    return NULL;
}

static void book_translator(void *m, bool on)
{
    ((struct machine *)m)->activity = on ? ACT_TRANSLATOR : ACT_MONITOR;
}

/* NULL: the default. Where the host lacks what an engine needs, the interpreter, said once. */
void engine_attach(struct machine *m, const struct engine *engine)
{
    struct engine_config config = {.cache_size = m->options->tc_size,
                                   .count_runs = m->options->tc_count,
                                   .reuse_one_in = m->options->tc_reuse,
                                   .switches = m->options->switches,
                                   .user = m->options->user,
                                   .deterministic = m->options->deterministic,
                                   .translating = book_translator,
                                   .owner = m};
    const char *why = "the host gives not enough memory";

    if (!engine)
        engine = engines[0];
    if (!engine->attach(m->cpu, &config, &why)) {
        warn("%s: interpreting instead, slowly", why);
        engine = &interp_engine;
    }
    m->cpu->engine = engine;
}
