/*
 * Where each chip answers, and its scene. "board" is all of them at once; "cpu" also runs
 * code, and "gdb" has a debugger look on; "boot" lets SeaBIOS start random images. "isapc" and
 * its two are the board without PCI.
 */
#include "tests/fuzz/fuzz.h"

/* clang-format off */
const struct target fuzz_targets[] = {
    { "i8259",    { { 0x20, 2 }, { 0xa0, 2 }, { 0x4d0, 2 }, { 0x40, 4 } }, { { 0 } }, NULL },
    { "i8254",    { { 0x40, 4 }, { 0x61, 1 }, { 0x20, 2 } }, { { 0 } }, scene_i8254 },
    { "mc146818", { { 0x70, 4 } }, { { 0 } }, NULL },
    { "i8042",    { { 0x60, 1 }, { 0x64, 1 }, { 0x92, 1 } }, { { 0 } }, scene_i8042 },
    { "vmport",   { { 0x5658, 4 }, { 0x60, 1 }, { 0x64, 1 } }, { { 0 } }, scene_vmport },
    { "ns16550",  { { 0x3f8, 8 }, { 0x2f8, 8 } }, { { 0 } }, scene_serial },
    { "msmouse",  { { 0x2f8, 8 } }, { { 0 } }, scene_msmouse },
    { "lpt",      { { 0x378, 3 }, { 0x20, 2 } }, { { 0 } }, scene_lpt },
    { "small",    { { 0x61, 1 }, { 0x80, 1 }, { 0x92, 1 }, { 0xf0, 2 }, { 0xe9, 1 }, { 0xf4, 4 } }, { { 0 } }, NULL },
    { "sb16",     { { 0x220, 16 }, { 0x388, 4 }, { 0x00, 16 }, { 0xc0, 32 }, { 0x81, 15 } }, { { 0 } }, scene_sb16 },
    { "ac97",     { { 0xc000, 256 }, { 0xc400, 64 }, { 0xc410, 12 } }, { { 0 } }, scene_ac97 },
    { "es1370",   { { 0xcc00, 64 }, { 0xcc20, 32 }, { 0xcc00, 8 } }, { { 0 } }, scene_es1370 },
    { "flash",    { { 0x80, 1 } }, { { 0xffff0000, 0x10000 } }, scene_flash, .flash = true },
    { "i8237",    { { 0x00, 16 }, { 0xc0, 32 }, { 0x81, 15 } }, { { 0 } }, scene_floppy },
    { "i82077",   { { 0x3f0, 6 }, { 0x3f7, 1 }, { 0x00, 16 }, { 0x81, 1 } }, { { 0 } }, scene_floppy },
    { "ata",      { { 0x1f0, 8 }, { 0x3f6, 1 }, { 0x170, 8 }, { 0x376, 1 } }, { { 0 } }, scene_ata },
    { "atapi",    { { 0x1f0, 8 }, { 0x3f6, 1 }, { 0x170, 8 }, { 0x376, 1 } }, { { 0 } }, scene_atapi },
    { "ata-dma",  { { 0x1f0, 8 }, { 0x3f6, 1 }, { 0x170, 8 }, { 0xc000, 16 }, { 0xcf8, 8 } }, { { 0 } }, scene_busmaster },
    { "vga",      { { 0x3b0, 12 }, { 0x3c0, 16 }, { 0x3d0, 16 } }, { { 0xa0000, 0x20000 } }, scene_vga },
    { "vbe",      { { 0x1ce, 3 }, { 0x3c0, 16 }, { 0xcf8, 8 } }, { { 0xa0000, 0x20000 }, { 0xe0000000, 0x1000000 } }, scene_vbe },
    { "gd5446",   { { 0x3b0, 12 }, { 0x3c0, 16 }, { 0x3d0, 16 }, { 0xcf8, 8 } }, { { 0xa0000, 0x20000 }, { 0xe0000000, 0x2000000 }, { 0xe8000000, 0x1000 } }, scene_gd5446, .vga = "cirrus" },
    { "pci",      { { 0xcf8, 8 }, { 0x600, 64 }, { 0x700, 16 }, { 0xb2, 2 } }, { { 0 } }, scene_pci },
    { "ne2k_isa", { { 0x300, 32 } }, { { 0 } }, scene_ne2000, .nic = "ne2k_isa" },
    { "ne2k_pci", { { 0xc000, 32 }, { 0xcf8, 8 } }, { { 0 } }, scene_ne2000, .nic = "ne2k_pci" },
    { "e1000",    { { 0xc000, 64 }, { 0xcf8, 8 } }, { { 0xe1000000, 0x6000 } }, scene_e1000, .nic = "e1000" },
    { "rtl8139",  { { 0xc000, 256 }, { 0xcf8, 8 } }, { { 0xe1000000, 0x1000 } }, scene_rtl8139, .nic = "rtl8139" },
    { "pcnet",    { { 0xc000, 32 }, { 0xcf8, 8 } }, { { 0xe1000000, 0x1000 } }, scene_pcnet, .nic = "pcnet" },
    { "testdev",  { { 0xe0, 12 }, { 0x2000, 24 }, { 0xc800, 256 }, { 0xcf8, 8 } }, { { 0xff000000, 0x10000 }, { 0xe2000000, 0x1000 } }, scene_testdev },
    { "fw_cfg",   { { 0x510, 2 }, { 0x514, 8 } }, { { 0 } }, scene_fw_cfg },
    { "apic",     { { 0x20, 2 }, { 0xa0, 2 }, { 0x40, 4 } }, { { 0xfee00000, 0x1000 }, { 0xfec00000, 0x1000 } }, scene_apic },
    { "hpet",     { { 0x20, 2 }, { 0xa0, 2 }, { 0x40, 4 } }, { { 0xfed00000, 0x180 }, { 0xfee00000, 0x1000 }, { 0xfec00000, 0x1000 } }, scene_apic },
    { "board",    { { 0x00, 0x100 }, { 0x170, 8 }, { 0x1ce, 3 }, { 0x1f0, 8 }, { 0x2f8, 8 }, { 0x376, 0x90 }, { 0xcf8, 8 } },
                  { { 0xa0000, 0x20000 }, { 0xfee00000, 0x1000 }, { 0xfec00000, 0x1000 } }, NULL },
    { "cpu",      { { 0x00, 0x100 }, { 0x3c0, 32 } }, { { 0xa0000, 0x20000 } }, scene_cpu },
    { "gdb",      { { 0x00, 0x100 }, { 0x3c0, 32 } }, { { 0xa0000, 0x20000 } }, scene_gdb },
    { "boot",     { { 0x80, 1 } }, { { 0 } }, scene_boot, 400 },
    /* Its card's ports first: scene_ne2000 looks there. The rest may be where PCI's chips are on the other board. */
    { "isapc",    { { 0x300, 32 }, { 0x00, 0x100 }, { 0x170, 8 }, { 0x1ce, 3 }, { 0x1f0, 8 }, { 0x220, 16 }, { 0x376, 0x90 }, { 0x4d0, 0x830 } },
                  { { 0xa0000, 0x20000 }, { 0xe0000000, 0x1000000 }, { 0xfec00000, 0x300000 } }, scene_isapc, .nic = "ne2k_isa", .isapc = true },
    { "isapc-cpu", { { 0x00, 0x100 }, { 0x3c0, 32 } }, { { 0xa0000, 0x20000 } }, scene_cpu, .vga = "cirrus", .isapc = true },
    { "isapc-boot", { { 0x80, 1 } }, { { 0 } }, scene_boot, 400, .isapc = true },
    { NULL },
};
/* clang-format on */
