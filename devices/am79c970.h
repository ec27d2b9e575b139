/*
 * AMD's PCnet-PCI II network card (Am79C970A): see am79c970.c.
 */
#ifndef RING3_AM79C970_H
#define RING3_AM79C970_H

#include "devices/nic.h"

extern const struct device_class am79c970_class; /* config: struct nic_config */
extern const struct user_device am79c970_user_device;

#endif
