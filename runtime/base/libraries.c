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

void library_load(struct library *l)
{
    void *handle = dlopen(l->soname, RTLD_NOW | RTLD_LOCAL);
    void *at;

    if (!handle) {
        fprintf(stderr, "ring3: this needs %s, which cannot be loaded: %s\n", l->soname,
                dlerror());
        exit(1);
    }
    for (struct library_function *f = l->functions; f->name; f++) {
        at = dlsym(handle, f->name);
        if (!at) {
            fprintf(stderr, "ring3: this needs a newer %s, which has %s\n", l->soname, f->name);
            exit(1);
        }
        f->slot = at;
    }
}
