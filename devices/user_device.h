/*
 * What the user may add to the board: -device NAME,KEY=VALUE,… A chip that can be added so has
 * a struct user_device in its file, and that a row in user_devices.c. runtime/ reads the
 * properties into a config, lets complete() finish it, and makes the chip after the board's
 * own.
 */
#ifndef RING3_USER_DEVICE_H
#define RING3_USER_DEVICE_H

#include "devices/device.h"
#include "runtime/base/key_row.h"

enum user_bus { BUS_ISA, BUS_PCI, BUS_IDE, BUS_FLOPPY };
/* As -device help groups them. */
enum user_category { STORAGE_DEVICE, NETWORK_DEVICE, INPUT_DEVICE, DISPLAY_DEVICE, SOUND_DEVICE, MISC_DEVICE };

struct user_device {
    const char *name, *help; /* help: one line, without a full stop */
    enum user_category category;
    /* Gives it the keys bus= and, on PCI, addr=. A PCI device's config begins with struct
     * pci_slot. */
    enum user_bus bus;
    const struct device_class *class; /* NULL: no chip, but a drive's place (user_drives.h) */
    size_t config_size;
    const void *defaults;             /* the config before the user's properties; NULL: zeros */
    const struct key_row *properties; /* into the config; ends with a name NULL */
    /* Fills in what the user left open; NULL, or what is wrong with the rest. May be NULL. */
    const char *(*complete)(struct machine *m, void *config);
    /* A network card on PCI, config struct nic_config: the file with its boot ROM. NULL: none. */
    const char *boot_rom;
};

extern const struct user_device *const user_devices[]; /* ends with NULL */

#endif
