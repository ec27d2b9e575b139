/*
 * Rules that lead through the user network, as QEMU spells them.
 */
#ifndef RING3_FORWARD_H
#define RING3_FORWARD_H

#include "runtime/base/base.h"

#include <netinet/in.h>

struct forward {
    bool udp;
    struct in_addr host; /* where who connects finds it, in network order; 0: anywhere */
    u32 host_port;
    struct in_addr guest; /* the guest's end; 0: its first address */
    u32 guest_port;
};

/* All return false where the rule is none of that form. */
/* [tcp|udp]:[ADDRESS]:PORT-[ADDRESS]:PORT */
bool forward_parse(const char *rule, struct forward *f);
/* [tcp|udp]:[ADDRESS]:PORT: only host and host_port are set */
bool forward_parse_host(const char *rule, struct forward *f);
/* [tcp]:[SERVER]:PORT-TARGET, where the guest connects: host and host_port. *target: in the
 * rule */
bool forward_parse_server(const char *rule, struct forward *f, const char **target);

#endif
