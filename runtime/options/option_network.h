/*
 * What the options about the network do. A card by -device is option_devices.h's.
 */
#ifndef RING3_OPTION_NETWORK_H
#define RING3_OPTION_NETWORK_H

#include "runtime/options/option_values.h"

SETTER(set_netdev);
SETTER(set_nic);
SETTER(set_net);
SETTER(set_object);
/* After the last option: each card's back end is there, and is nobody else's. */
void network_finish(struct options *o);

#endif
