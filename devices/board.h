/*
 * The chips of the board and the wires between them: what parts.c connects and what the front ends
 * (window, QMP) drive. A chip's config holds its wires to peers. Each part is documented in its own file.
 */
#ifndef RING3_BOARD_H
#define RING3_BOARD_H

#include "devices/device.h"

/* ---- Interrupt controllers: i8259.c, lapic.c, ioapic.c ---- */

extern const struct device_class i8259_class;  /* the pair; owns ports 20, 21, A0, A1, 4D0, 4D1 */
extern const struct device_class lapic_class;  /* memory FEE00000; config: struct lapic_config */
extern const struct device_class ioapic_class; /* memory FEC00000; config: struct ioapic_config */

void i8259_set(struct device *dev, u32 pin, bool level); /* ISA pin 0 to 15 */
bool i8259_intr(struct device *dev);                     /* INTR output */
u8 i8259_ack(struct device *dev);                        /* INTA cycle: the vector */
/* The INTR pin; parts.c connects it with irq_init(). */
struct irq *i8259_output(struct device *dev);
/* True while the pin's request is latched and not yet acknowledged: a further edge would be lost.
 * Timers use it to catch up on ticks. */
bool i8259_busy(struct device *dev, u32 pin);
/* True while the guest masks the pin (OCW1): it does not want these interrupts from here. */
bool i8259_masked(struct device *dev, u32 pin);

/* What the local APIC is wired to. Any may be NULL: not connected. */
struct lapic_config {
    void (*intr)(struct machine *m, bool level);       /* INTR of the core */
    void (*event)(struct machine *m, u32 delivery);    /* to the core: 2 SMI, 4 NMI, 5 INIT */
    u8 (*inta)(struct machine *m);                     /* INTA cycle at the 8259s, for an ExtINT */
    void (*eoi)(struct machine *m, u8 vector);         /* EOI message, to the I/O APIC */
};
/* LINT0 takes the 8259s' INTR (ExtINT, "virtual wire") as the MP specification 3.6.2 draws.
 * LINT1 is the NMI pin. */
void lapic_set_lint(struct device *dev, u32 pin, bool level); /* 0 or 1 */
/* A message from the I/O APIC. delivery: 0 fixed, 1 lowest, 2 SMI, 4 NMI, 5 INIT, 7 ExtINT.
 * False: not for this processor, or its APIC is disabled. */
bool lapic_message(struct device *dev, u8 vector, u32 delivery, u8 destination, bool logical,
                   bool level);
/* Called by the CPU (through parts.c): is there an interrupt for it, and which vector? An ExtINT
 * fetches its vector from the 8259s. -1: spurious, none after all. */
bool lapic_intr(struct device *dev);
int lapic_ack(struct device *dev);
/* The vector is requested and not yet taken by the core: a further edge would be lost. */
bool lapic_busy(struct device *dev, u8 vector);
void lapic_init(struct device *dev); /* INIT#: registers as after RESET, but ID and base */
u64 lapic_base_msr_read(struct device *dev); /* MSR 1B (IA32_APIC_BASE) */
bool lapic_base_msr_write(struct device *dev, u64 val); /* false: #GP */

struct ioapic_config {
    /* lapic_message(); NULL: nobody listens. */
    bool (*send)(struct machine *m, u8 vector, u32 delivery, u8 destination, bool logical,
                 bool level);
    /* lapic_busy() */
    bool (*busy)(struct machine *m, u8 vector);
};
void ioapic_set(struct device *dev, u32 pin, bool level); /* pin 0 to 23; true: asserted */
void ioapic_eoi(struct device *dev, u8 vector);           /* EOI message from a local APIC */
/* As i8259_busy(): an edge on the pin would now be lost. False if masked. */
bool ioapic_busy(struct device *dev, u32 pin);
/* FERR# of the CPU to IRQ 13, and port F0 that answers it with IGNNE#: the PC/AT's way. */
struct ferr_config {
    void (*ignne)(struct machine *m, bool level);
};
extern const struct device_class ferr_class; /* port F0; irq 13; config: struct ferr_config */
void ferr_set(struct device *dev, bool level);

/* ---- Timers and clocks: i8254.c, mc146818.c, pcspk.c ---- */

/* Where channel 0's interrupt goes: the timer asks whether the last one was taken. NULL: not there. */
struct i8254_config {
    struct device *i8259, *ioapic;
};
struct pcspk_config {
    struct device *i8254; /* gate and output of channel 2 */
};
extern const struct device_class i8254_class;    /* ports 40-43; out 0 → irq 0 */
extern const struct device_class mc146818_class; /* ports 70-71; irq 8 */
extern const struct device_class pcspk_class;    /* port 61: gate 2, speaker data, refresh toggle */

bool i8254_out(struct device *dev, u32 channel);           /* OUT pin, now */
void i8254_gate(struct device *dev, u32 channel, bool on); /* GATE pin */
void mc146818_cmos_set(struct device *dev, u8 index, u8 val); /* by parts.c before power-on */
u8 mc146818_cmos_get(struct device *dev, u8 index);
bool mc146818_nmi_masked(struct device *dev); /* port 70 bit 7 */

/* ---- Input: i8042.c (with the keyboard and mouse behind it) ---- */

extern const struct device_class i8042_class; /* ports 60, 64; irqs 1 and 12; port 92 is port92.c */
extern const struct device_class port92_class; /* A20, fast reset */

/* The A20 gate has two switches, here and in port 92: the last one written wins, and both show it.
 * Either one's config is the wire to the other (NULL: none); a20_tell() uses it. */
struct a20_config {
    void (*follow)(struct device *other, bool on); /* the other's *_a20_follow() */
    struct device *other;
};
void i8042_a20_follow(struct device *dev, bool on);
void port92_a20_follow(struct device *dev, bool on);
void a20_tell(struct device *dev, bool on);

/* `key` is a set-1 scan code, 0x80 added... see runtime/control/keys.def: 0x01-0x7f plain, 0xe000 | code
 * for extended keys, 0xe11d for Pause. */
void i8042_key(struct device *dev, u16 key, bool down);
/* Relative motion, dy positive downwards as on screen; dz wheel, positive towards the user;
 * buttons: bit 0 left, 1 right, 2 middle. */
void i8042_mouse(struct device *dev, int dx, int dy, int dz, u8 buttons);

/* ---- Serial: ns16550.c ---- */

/* Where bytes of a serial port or debug console go: runtime/control/chardev.c makes them. */
struct chardev {
    /* Takes n bytes; may drop them when nobody listens. Never blocks. */
    void (*write)(struct chardev *c, const u8 *data, u32 n);
    /* The device's end: can_receive says how many bytes it takes now; receive gives them. */
    u32 (*can_receive)(struct device *dev);
    void (*receive)(struct device *dev, const u8 *data, u32 n);
    struct device *dev; /* receiver, or NULL */
    void (*accept_input)(struct chardev *c); /* device: I have room again; may be NULL */
    void (*close)(struct chardev *c);
};
struct ns16550_config {
    u16 port;              /* 3F8, 2F8 */
    u8 irq;                /* 4, 3 */
    struct chardev *chardev; /* NULL: nothing connected */
};
extern const struct device_class ns16550_class; /* config: struct ns16550_config */

/* ---- Small ones: debugcon.c, debugexit.c, post.c ---- */

struct debugcon_config {
    u16 port; /* usually E9 or 402 */
    struct chardev *chardev;
};
extern const struct device_class debugcon_class;
struct debugexit_config {
    u16 port, size; /* QEMU's isa-debug-exit: exit status (val << 1) | 1 */
};
extern const struct device_class debugexit_class;
extern const struct device_class post_class; /* port 80: last code, trace fw */

/* ---- DMA and floppy: i8237.c, i82077.c ---- */

extern const struct device_class i8237_class; /* 00-0F, C0-DF, page registers 80-8F */
/* Moves up to n bytes between buf and memory on a channel: to_memory true for a device→memory
 * transfer. Returns the bytes moved (0 if masked); *terminal is set when the count ran out. */
u32 i8237_transfer(struct device *dev, u32 channel, void *buf, u32 n, bool to_memory,
                   bool *terminal);
extern const struct device_class i82077_class; /* 3F0-3F7, irq 6, DMA 2 */

/* ---- Disks (runtime/storage/disk.c) ---- */

/* A raw image, or a CD. Sector size is 512 (2048 for CDs is the ATAPI layer's view). */
struct disk {
    u64 size;       /* bytes; changes only with the medium */
    bool read_only;
    bool cdrom;
    u32 cylinders, heads, sectors; /* geometry wanted by the user, 0: guess */
    bool changed;   /* medium changed since the controller last looked; the controller clears it */
    bool locked;    /* the guest prevents removal */
    void *impl;     /* NULL: no medium */
};
/* Bytes; false on a host I/O error (the guest gets a medium error). Beyond the end is false. */
bool disk_read(struct disk *d, u64 offset, void *buf, u32 size);
bool disk_write(struct disk *d, u64 offset, const void *buf, u32 size);
/* To the host's disk, beside the guest: begin, then poll until it does not run any more. Covers the
 * writes before begin. */
enum disk_flush { FLUSH_DONE, FLUSH_RUNNING, FLUSH_FAILED };
void disk_flush_begin(struct disk *d);
enum disk_flush disk_flush_poll(struct disk *d);

struct ide_config {
    struct disk *drive[2][2]; /* [channel][unit]; NULL: no drive there */
};
extern const struct device_class ata_class; /* both channels: 1F0, 3F6, irq 14; 170, 376, irq 15 */
/* Bus master: piix3 forwards its BAR 4 here. off 0-15: channel 0 at 0-7, channel 1 at 8-15. */
u32 ata_busmaster_read(struct device *dev, u32 off, enum io_size size);
void ata_busmaster_write(struct device *dev, u32 off, enum io_size size, u32 val);
/* The geometry the guest sees for a hard disk (CMOS and BIOS agree with IDENTIFY). */
void ata_geometry(struct disk *d, u32 *cylinders, u32 *heads, u32 *sectors);
/* How the BIOS turns that geometry into its own, two bits as CMOS 39 has them. */
enum ata_translation { ATA_TRANSLATE_NONE, ATA_TRANSLATE_LBA, ATA_TRANSLATE_LARGE };
enum ata_translation ata_translation(struct disk *d);
struct floppy_config {
    struct disk *drive[2];
    struct device *dma; /* the 8237s; NULL: none */
};

/* ---- PCI: pci.c, i440fx.c, piix3.c, piix4.c ---- */

/* The bus's wires to the ISA bridge: PIRQ A-D (0 to 3) after the ORing; the reset control, port CF9. */
struct pci_config {
    void (*set_pirq)(struct device *bridge, u32 pirq, bool level);
    u8 (*rcr_read)(struct device *bridge);
    void (*rcr_write)(struct device *bridge, u8 val);
    struct device *bridge; /* NULL: none */
};
/* The config of a chip on the bus, or how it begins. */
struct pci_slot {
    struct device *bus;
};
struct device *pci_slot_bus(const struct device *dev); /* NULL: it has no config, or no bus */
struct piix3_config {
    struct pci_slot slot;
    struct device *ata; /* bus master: BAR 4 of the IDE function is forwarded there. NULL: none */
};
extern const struct device_class pci_class;    /* CF8, CFC; the bus itself; config: struct pci_config */
/* 00:00.0; PAM and SMRAM registers move memory; config: struct pci_slot */
extern const struct device_class i440fx_class;
/* 00:01.0 ISA bridge, 00:01.1 IDE, PIRQ routing, CF9; config: struct piix3_config */
extern const struct device_class piix3_class;
/* 00:01.3 power management: ACPI timer, S5, SMI port; config: struct pci_slot */
extern const struct device_class piix4_class;
void piix4_power_button(struct device *dev);

/* A PCI function's configuration space, embedded in its chip. */
struct pci_function {
    struct device *dev;
    u8 config[256];
    u8 writable[256]; /* mask of the bits the guest may write */
    u8 w1c[256];      /* bits cleared by writing 1 */
    /* After a write to config (bytes off..off+size-1); a BAR or command change moves claims. */
    void (*written)(struct pci_function *f, u32 off, u32 size);
};
/* Fills the header (PCI 2.1, 6.1): class_code is class << 16 | subclass << 8 | interface; subsystem
 * 1AF4:1100, which is how SeaBIOS knows that it runs on an emulated board. The guest may write the
 * interrupt line and the cache line size; `command` says which low command bits it may. */
enum { PCI_COMMAND_IO = 1, PCI_COMMAND_MEMORY = 2, PCI_COMMAND_MASTER = 4 };
void pci_init(struct pci_function *f, struct device *dev, u16 vendor, u16 device, u32 class_code,
              u8 revision, u8 command);
/* Makes BAR n (0 to 5) of `size` bytes, a power of two; memory BARs are 32-bit. */
void pci_init_bar(struct pci_function *f, u32 n, u32 size, bool io, bool prefetchable);
/* Where BAR n decodes now. False: decoding is off, or no address has been given yet. */
bool pci_bar(const struct pci_function *f, u32 n, u32 *base);
/* bus 0; devfn = device << 3 | function. The chip calls it in attach; its reset clears the BARs and
 * the command register with pci_reset(), then sets what else RESET leaves. */
void pci_add(struct device *bus, u32 devfn, struct pci_function *f);
void pci_reset(struct pci_function *f);
/* PIRQ pin 0-3 (A-D) of a slot, ORed and routed by piix3. */
void pci_set_irq(struct device *bus, u32 devfn, u32 pin, bool level);
/* For struct pci_config. */
void piix3_set_pirq(struct device *dev, u32 pirq, bool level);
u8 piix3_rcr_read(struct device *dev);
void piix3_rcr_write(struct device *dev, u8 val);
/* The BIOS as it shows below 1 MiB: 128 KiB at E0000, where PAM does not put RAM. Page-aligned. */
void i440fx_set_rom(struct device *dev, u8 *rom);

/* ---- Firmware configuration: fw_cfg.c ---- */

extern const struct device_class fw_cfg_class; /* 510, 511, DMA at 514 */
/* Keys of docs/specs/fw_cfg and of QEMU's machines, as SeaBIOS and test kernels read them. */
enum fw_cfg_key {
    FW_CFG_SIGNATURE = 0x00, FW_CFG_ID = 0x01, FW_CFG_UUID = 0x02, FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NOGRAPHIC = 0x04, FW_CFG_NB_CPUS = 0x05, FW_CFG_MACHINE_ID = 0x06,
    FW_CFG_KERNEL_ADDR = 0x07, FW_CFG_KERNEL_SIZE = 0x08, FW_CFG_KERNEL_CMDLINE = 0x09,
    FW_CFG_INITRD_ADDR = 0x0a, FW_CFG_INITRD_SIZE = 0x0b, FW_CFG_BOOT_DEVICE = 0x0c,
    FW_CFG_NUMA = 0x0d, FW_CFG_BOOT_MENU = 0x0e, FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_KERNEL_ENTRY = 0x10, FW_CFG_KERNEL_DATA = 0x11, FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_ADDR = 0x13, FW_CFG_CMDLINE_SIZE = 0x14, FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_SETUP_ADDR = 0x16, FW_CFG_SETUP_SIZE = 0x17, FW_CFG_SETUP_DATA = 0x18,
    FW_CFG_FILE_DIR = 0x19, FW_CFG_FILE_FIRST = 0x20, FW_CFG_FILES = 32,
    FW_CFG_IRQ0_OVERRIDE = 0x8002, /* arch-local keys start at 8000 */
};
/* data must live as long as the machine; a later item of the same key or name replaces it. */
void fw_cfg_add(struct device *dev, u16 key, const void *data, u32 size);
void fw_cfg_add_file(struct device *dev, const char *name, const void *data, u32 size);
/* A number of 1 to 8 bytes, little-endian, kept by the chip. */
void fw_cfg_add_number(struct device *dev, u16 key, u64 val, u32 size);

/* ---- Video: vga.c, vbe.c, vga_draw.c ---- */

/* 3B0-3DF, A0000-BFFFF, 1CE-1D0, PCI 00:02.0 with the frame buffer at BAR 0; config: struct pci_slot. */
extern const struct device_class vga_class;

/* A picture of the screen, as the window and screendump want it. */
struct frame {
    u32 width, height;   /* pixels of `pixels`; 0: blank */
    u32 *pixels;         /* width*height, 0x00RRGGBB, owned by the VGA, valid until the next call */
    u32 aspect_x, aspect_y; /* shape of the whole picture, 4:3 mostly */
    bool text;           /* a text mode: see vga_text() */
    bool changed;        /* differs from the previous call's */
    u64 generation;      /* counts changes: for callers that are not the only one */
    u32 top, bottom;     /* lines top to bottom - 1 hold what the latest change altered */
};
void vga_draw(struct device *dev, struct frame *frame);
/* Text modes: cells as character | attribute << 8. False in graphics modes. */
struct text_screen {
    u32 columns, rows;
    const u16 *cells; /* rows*columns, owned by the VGA */
    int cursor_x, cursor_y; /* -1: hidden */
    bool blink; /* attribute bit 7 blinks; else it is a bright background */
};
bool vga_text(struct device *dev, struct text_screen *text);

#endif
