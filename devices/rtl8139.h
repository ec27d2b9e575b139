/*
 * Realtek's RTL8139C+ network card: see rtl8139.c.
 */
#ifndef RING3_RTL8139_H
#define RING3_RTL8139_H

#include "devices/nic.h"

extern const struct device_class rtl8139_class; /* config: struct nic_config */
extern const struct user_device rtl8139_user_device;

#endif
