/*
 * The command line, parsed: what a machine is made from. runtime/options/ fills it, from one
 * row per option; a test fills in what it needs. Strings live as long as the process.
 */
#ifndef RING3_OPTIONS_H
#define RING3_OPTIONS_H

#include "cpu/engine.h"
#include "devices/user_device.h"

#define RING3_VERSION "0.1"

enum {
    MAX_SERIAL = 4,
    MAX_CHARDEVS = 16,
    MAX_AUDIODEVS = 4,
    MAX_DRIVES = 16,
    MAX_REFERENCES = 2
};
enum {
    MAX_PATHS = 8,
    MAX_FW_CFGS = 8,
    MAX_USER_NOTES = 32,
    MAX_ABSENT_BUSES = 8,
    MAX_GLOBALS = 16
};
enum { MAX_NETDEVS = 8, MAX_DUMPS = 8 };

struct drive_options {
    const char *file;   /* NULL: none (a CD drive may be empty) */
    const char *format; /* of image_formats; NULL: by what the file is */
    bool present, cdrom, snapshot, read_only;
    bool unlocked; /* file.locking=off */
    u32 cylinders, heads, sectors; /* 0: guess */
    const char *bootindex;         /* a number; NULL: not given */
    const char *serial, *model, *version; /* what an IDE drive says of itself; NULL: its own */
};
/* A -device: its row's config, set as the properties say, but for back ends: of those the
 * ids. */
struct device_options {
    struct device_options *next;
    const char *option;            /* as typed, for messages */
    const struct user_device *row;
    const char *id, *bus;          /* NULL: not given */
    bool assumed;                  /* a network card of the board's usual model: none was named */
    /* in the order of such properties; NULL: not given */
    const char *reference[MAX_REFERENCES];
    _Alignas(8) u8 config[];               /* row->config_size bytes */
};
struct audiodev_options {
    const char *id, *backend; /* a name of runtime/sound/sound.c's table */
    const char *path;         /* wav: NULL: ring3.wav */
    u32 rate;                 /* frames a second; 0: the mixer's */
};
/* A network back end: its kind reads the list (runtime/network). */
struct netdev_options {
    const char *option; /* -netdev or -nic, for messages */
    const char *kind, *id, *list;
};
/* A text of the SMBIOS tables that the user names: of a structure's type, at an offset
 * (SMBIOS 2.8, 7.1 and 7.2). */
struct smbios_text {
    u8 type, offset;
    const char *text;
};
enum { MAX_SMBIOS_TEXTS = 16 };

struct options {
    u64 ram;           /* bytes */
    struct drive_options floppy[2], ide[2][2];
    struct drive_options flash[2]; /* -drive if=pflash: the firmware, its variables */
    bool snapshot;     /* all drives */
    char boot[5];      /* "a", "c", "d", "n" in order; empty: by what there is */
    char boot_once[5]; /* the same until the first reset; empty: as ever */
    bool boot_menu;
    struct smbios_text smbios[MAX_SMBIOS_TEXTS];
    u32 smbios_texts;
    const char *kernel, *initrd, *append, *bios;
    const char *firmware_path[MAX_PATHS], *option_rom[MAX_PATHS]; /* -L, -option-rom */
    u32 firmware_paths, option_roms;
    const char *cpu;   /* name of a cpu_model */
    u64 cpu_on, cpu_off; /* FEATURE_BITs of cpu/cpuid.h: beyond the model's, and without */
    const char *rtc_base; /* "utc", "localtime", or a date */
    const char *serial[MAX_SERIAL];
    const char *parallel; /* target of LPT1; NULL: the board has none */
    bool isapc;           /* the board has no PCI, and nothing that needs it */
    bool no_acpi;         /* the guest is given no ACPI tables */
    bool no_hpet;         /* the board is one of before 2002 */
    bool daemonize;
    struct {
        const char *name, *file, *text; /* one of file and text */
    } fw_cfg[MAX_FW_CFGS];
    u32 fw_cfgs;
    const struct engine *engine;
    struct engine_switches switches; /* of it */
    bool one_insn;   /* a translation unit has one instruction, whatever the switches say */
    enum engine_user user;           /* how user code runs */
    bool plain_host; /* as if the host had nothing that is only quicker */
    const struct display_backend *display; /* NULL: none */
    const char *speed;  /* -speed, as it was written; NULL: none */
    u32 speed_permille; /* -speed: see struct speed */
    u64 speed_rate;
    u8 scaling;       /* enum scale_how, of a window's picture */
    bool display_set; /* by the user; else it is chosen after the last option */
    bool windowed;    /* the display is a window on the host's desktop */
    const char *vnc; /* "[HOST]:DISPLAY", "unix:PATH"; NULL: none */
    u32 vnc_to;      /* the last of further displays to try; 0: none */
    const char *vnc_websocket; /* "on", "PORT", "HOST:PORT"; NULL: no port of their own */
    bool vnc_password; /* viewers are asked for one, which QMP sets */
    const char *vga;             /* -vga: "std", "cirrus" or "none"; NULL: std */
    const char *keyboard_layout; /* -k; NULL: en-us */
    u32 escape; /* the control character before ring3's own keys in a terminal; 0: Ctrl+A */
    bool nographic, no_reboot, no_shutdown, paused, full_screen;
    const char *name;
    const char *qmp;   /* "unix:PATH", "tcp:HOST:PORT", "stdio"; NULL: none */
    bool qmp_server, qmp_wait; /* without server: the client of a socket that is there */
    bool kvm_asked;          /* -enable-kvm, -accel kvm */
    const char *accelerator; /* another that was asked for, by its name; NULL: none */
    const char *pidfile;
    const char *monitor; /* target of a human monitor of its own, NULL: none */
    const char *gdb;   /* "tcp:HOST:PORT" or "unix:PATH", NULL: none */
    bool gdb_wait;
    struct {
        const char *id, *target;
        const char *log; /* what goes out goes there, too; NULL: nowhere */
        bool log_append;
        bool qmp;            /* has it */
    } chardev[MAX_CHARDEVS]; /* names for targets: -chardev */
    struct audiodev_options audiodev[MAX_AUDIODEVS]; /* in the order of -audiodev */
    const char *pcspk_audiodev; /* an id; NULL: the first, or the window's */
    struct {
        const char *id;
        struct drive_options drive;
        bool placed; /* a device has it */
    } drives[MAX_DRIVES]; /* -drive if=none: for -device ide-hd and such */
    struct device_options *devices; /* -device, in order */
    struct netdev_options netdev[MAX_NETDEVS];
    struct {
        const char *netdev, *file;
        u32 max; /* bytes kept of a frame */
    } dump[MAX_DUMPS]; /* -object filter-dump */
    u32 netdevs, dumps;
    const char
        *user_network; /* keys for the user network from options of their own; NULL: none */
    struct {
        const char *driver, *item; /* "property=value" */
        bool used;
    } global[MAX_GLOBALS]; /* -global: before what -device says */
    u32 globals;
    const char *note[MAX_USER_NOTES];         /* lines that the user was told */
    const char *absent_bus[MAX_ABSENT_BUSES]; /* ids of controllers that are not there */
    u32 notes, absent_buses;
    const char *trace, *stats;
    const char *dump_tc; /* file; NULL: none */
    bool dump_tc_listing;
    u64 stats_interval; /* nanoseconds of machine time between lines of the series; 0: none */
    u64 tc_size;       /* bytes of the translation cache, code and records */
    bool tc_count;     /* translated code counts what it runs */
    u32 tc_reuse;      /* of so many TUs one tells its reuse distances; 0: none */
    bool deterministic; /* machine time is what has run: see clock.c */
};

#endif
