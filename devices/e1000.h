/*
 * Intel's PRO/1000 MT desktop adapter (82540EM): see e1000.c.
 */
#ifndef RING3_E1000_H
#define RING3_E1000_H

#include "devices/nic.h"

extern const struct device_class e1000_class; /* config: struct nic_config */
extern const struct user_device e1000_user_device;

#endif
