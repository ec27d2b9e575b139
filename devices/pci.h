/*
 * The PCI bus, and what a chip on it has in common with others: see pci.c.
 */
#ifndef RING3_PCI_H
#define RING3_PCI_H

#include "devices/device.h"

/* CF8, CFC; the bus itself; config: struct pci_config */
extern const struct device_class pci_class;

/* The bus's wires to the ISA bridge: PIRQ A-D (0 to 3) after the ORing; the reset control, port
 * CF9. */
struct pci_config {
    void (*set_pirq)(struct device *bridge, u32 pirq, bool level);
    u8 (*rcr_read)(struct device *bridge);
    void (*rcr_write)(struct device *bridge, u8 val);
    struct device *bridge; /* NULL: none */
};
/* The config of a chip on the bus, or how it begins. */
struct pci_slot {
    struct device *bus;
    u8 devfn; /* for cards: where; see pci_find_slot() */
    /* For cards, an expansion ROM's image, which outlives the machine's devices; NULL: none. */
    const u8 *rom;
    u32 rom_size; /* bytes; at most PCI_ROM_MAX */
};
enum { PCI_ROM_MAX = 0x1000000 };
struct device *pci_slot_bus(const struct device *dev); /* NULL: it has no config, or no bus */

/* A PCI function's configuration space, embedded in its chip. */
struct pci_function {
    struct device *dev;
    u8 config[256];
    u8 writable[256]; /* mask of the bits the guest may write */
    u8 w1c[256];      /* bits cleared by writing 1 */
    /* After a write to config (bytes off..off+size-1); a BAR or command change moves claims. */
    void (*written)(struct pci_function *f, u32 off, u32 size);
    /* The expansion ROM (PCI 2.1, 6.2.5.2): its memory, and where it is mapped; 0: nowhere. */
    u8 *rom;
    u32 rom_size, rom_mapped;
};

/* Fills the header (PCI 2.1, 6.1): class_code is class << 16 | subclass << 8 | interface;
 * subsystem 1AF4:1100, which is how SeaBIOS knows that it runs on an emulated board. The guest
 * may write the interrupt line and the cache line size; `command` says which low command bits
 * it may. */
enum { PCI_COMMAND_IO = 1, PCI_COMMAND_MEMORY = 2, PCI_COMMAND_MASTER = 4 };
void pci_init(struct pci_function *f, struct device *dev, u16 vendor, u16 device,
              u32 class_code, u8 revision, u8 command);
/* Makes BAR n (0 to 5) of `size` bytes, a power of two; memory BARs are 32-bit. */
void pci_init_bar(struct pci_function *f, u32 n, u32 size, bool io, bool prefetchable);
/* Where BAR n decodes now. False: decoding is off, or no address has been given yet. */
bool pci_bar(const struct pci_function *f, u32 n, u32 *base);
/* bus 0; devfn = device << 3 | function. The chip calls it in attach; its reset clears the BARs
 * and the command register with pci_reset(), then sets what else RESET leaves. */
void pci_add(struct device *bus, u32 devfn, struct pci_function *f);
const struct pci_function *pci_function_at(const struct device *bus, u8 devfn); /* NULL: none */
/* What lspci and monitors call a class (class << 8 | subclass); "Unknown". */
const char *pci_class_name(u16 class);
/* A slot for a card: *devfn, or the first free one from 3 on when that is 0. False: taken, or
 * none is free. */
bool pci_find_slot(struct device *bus, u8 *devfn);
void pci_reset(struct pci_function *f);
/* pci_add() in the slot of a card's config, with interrupt pin A and its expansion ROM. */
void pci_plug(struct device *dev, struct pci_function *f);
void pci_plug_irq(struct pci_function *f, bool level);
/* Moves the claim of BAR n, ports or 4 KiB and more of memory, to where it decodes now.
 * *claimed is where it was, 0: nowhere. */
void pci_bar_claim(struct pci_function *f, u32 n, const struct io_ops *ops, u32 *claimed);
/* PIRQ pin 0-3 (A-D) of a slot, ORed and routed by piix3. */
void pci_set_irq(struct device *bus, u32 devfn, u32 pin, bool level);

#endif
