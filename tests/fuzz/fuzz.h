/*
 * Noise for the board's chips: see fuzz.c for the whole, targets.c for what is known of each
 * chip. Everything follows from one number, the episode's seed.
 */
#ifndef RING3_FUZZ_H
#define RING3_FUZZ_H

#include "runtime/machine/machine.h"

struct fuzz {
    struct machine *m;
    u64 random; /* xorshift state, never 0 */
    const struct target *target;
    u32 last;   /* what the last read gave */
};

/* ---- Random numbers ---- */
u32 fuzz_u32(struct fuzz *f);
u32 fuzz_below(struct fuzz *f, u32 n); /* 0 to n - 1 */
bool fuzz_chance(struct fuzz *f, u32 percent);
/* numbers that tend to matter: small, powers of two, all ones … */
u32 fuzz_value(struct fuzz *f);
void fuzz_bytes(struct fuzz *f, void *buf, u32 n);

/* ---- Accesses ---- */
void fuzz_out8(struct fuzz *f, u16 port, u32 val);
void fuzz_out16(struct fuzz *f, u16 port, u32 val);
void fuzz_out32(struct fuzz *f, u16 port, u32 val);
u8 fuzz_in8(struct fuzz *f, u16 port);
void fuzz_pci_write(struct fuzz *f, u32 devfn, u32 reg, u32 val);
u32 fuzz_address(struct fuzz *f); /* somewhere in RAM, at its end, or beyond it */
void fuzz_wait(struct fuzz *f); /* a while: nanoseconds to a tenth of a second */

/* ---- What is known of a chip ---- */

struct port_range {
    u16 base, count;
};
struct memory_range {
    gpa_t base;
    u64 size;
};
struct target {
    const char *name;
    struct port_range ports[8];    /* until count 0 */
    struct memory_range memory[3]; /* until size 0 */
    /* a sequence that gets deeper than noise does; may be NULL */
    void (*scene)(struct fuzz *f);
    u32 scenes; /* not 0: that many scenes and nothing else, under the real firmware */
    const char *vga; /* -vga; NULL: std */
    const char *nic; /* the board has that network card; may be NULL */
    bool flash;      /* its firmware is in a flash chip of 64 KiB */
    bool isapc;      /* the board without PCI */
};
extern const struct target fuzz_targets[]; /* ends with name NULL */

void scene_i8254(struct fuzz *f);
void scene_sb16(struct fuzz *f);
void scene_ac97(struct fuzz *f);
void scene_es1370(struct fuzz *f);
void scene_flash(struct fuzz *f);
void scene_i8042(struct fuzz *f);
void scene_vmport(struct fuzz *f);
void scene_floppy(struct fuzz *f);
void scene_ata(struct fuzz *f);
void scene_atapi(struct fuzz *f);
void scene_busmaster(struct fuzz *f);
void scene_vga(struct fuzz *f);
void scene_gd5446(struct fuzz *f);
void scene_vbe(struct fuzz *f);
void scene_pci(struct fuzz *f);
void scene_fw_cfg(struct fuzz *f);
void scene_apic(struct fuzz *f);
void scene_ne2000(struct fuzz *f);
void scene_e1000(struct fuzz *f);
void scene_rtl8139(struct fuzz *f);
void scene_pcnet(struct fuzz *f);
void scene_testdev(struct fuzz *f);
void scene_serial(struct fuzz *f);
void scene_msmouse(struct fuzz *f);
void scene_lpt(struct fuzz *f);
void scene_isapc(struct fuzz *f); /* one of those that need no PCI */
void scene_cpu(struct fuzz *f);  /* runs random code for a while */
void scene_gdb(struct fuzz *f);  /* a debugger, and the same */
void scene_boot(struct fuzz *f); /* lets the firmware start what the images hold */

/* ---- Images and firmware ---- */
void media_make(u64 seed);   /* the files; removed when the program ends */
void media_choose(struct fuzz *f, struct options *o);
void media_change(struct fuzz *f); /* another floppy or CD, or none */

#endif
