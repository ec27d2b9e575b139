/*
 * What -device knows: a row each, in the order of -device help. See user_device.h.
 */
#include "devices/user_device.h"
#include "devices/ac97.h"
#include "devices/adlib.h"
#include "devices/am79c970.h"
#include "devices/debugcon.h"
#include "devices/debugexit.h"
#include "devices/e1000.h"
#include "devices/es1370.h"
#include "devices/gd5446.h"
#include "devices/lpt.h"
#include "devices/ne2000.h"
#include "devices/ns16550.h"
#include "devices/pc_testdev.h"
#include "devices/pci_testdev.h"
#include "devices/rtl8139.h"
#include "devices/sb16.h"
#include "devices/user_drives.h"
#include "devices/vga.h"

const struct user_device *const user_devices[] = {
    &floppy_user_device,
    &ide_cd_user_device,
    &ide_hd_user_device,
    &e1000_user_device,
    &ne2k_isa_user_device,
    &ne2k_pci_user_device,
    &am79c970_user_device,
    &rtl8139_user_device,
    &lpt_user_device,
    &isa_serial_user_device,
    &vga_user_device,
    &isa_vga_user_device,
    &gd5446_user_device,
    &isa_gd5446_user_device,
    &ac97_user_device,
    &adlib_user_device,
    &es1370_user_device,
    &sb16_user_device,
    &debugcon_user_device,
    &debugexit_user_device,
    &pc_testdev_user_device,
    &pci_testdev_user_device,
    NULL,
};
