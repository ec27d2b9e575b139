/*
 * Libraries that are loaded when they are needed: libraries.S.
 */
#include "runtime/base/libraries.h"

#include <dlfcn.h>
#include <stdlib.h>

struct library_function {
    const char *name;
    void *slot;
};

/* As libraries.S lays it out. */
struct library {
    const char *soname;
    struct library_function functions[];
};

const char *library_missing(struct library *l)
{
    static _Thread_local char why[256];
    void *handle = dlopen(l->soname, RTLD_NOW | RTLD_LOCAL), *at;

    if (!handle) {
        snprintf(why, sizeof(why), "this needs %s, which cannot be loaded: %s", l->soname,
                 dlerror());
        return why;
    }
    for (struct library_function *f = l->functions; f->name; f++) {
        at = dlsym(handle, f->name);
        if (!at) {
            snprintf(why, sizeof(why), "this needs a newer %s, which has %s", l->soname, f->name);
            return why;
        }
        f->slot = at;
    }
    return NULL;
}

void library_load(struct library *l)
{
    const char *why = library_missing(l);

    if (!why)
        return;
    fprintf(stderr, "ring3: %s\n", why);
    exit(1);
}
