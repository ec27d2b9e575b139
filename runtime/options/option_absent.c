/*
 * What QEMU's users say and this board lacks. A machine that runs without it goes on, and one
 * line says what is there instead; what would lack what it was started for (a saved state, a
 * second kind of disk) is refused with the reason. What only concerns QEMU's own insides is
 * passed over in silence.
 */
#include "runtime/options/option_absent.h"
#include "devices/gd5446.h"
#include "devices/vga.h"
#include "runtime/base/keyval.h"

#include <string.h>

void note_once(struct options *o, const char *text)
{
    for (u32 i = 0; i < o->notes; i++)
        if (!strcmp(o->note[i], text))
            return;
    if (o->notes < MAX_USER_NOTES)
        o->note[o->notes++] = text;
    warn("%s", text);
}

/* ---- Options ---- */

#define NO_USB    "no USB on this board: keyboard and mouse are PS/2's, the pointer VMware's"
#define NO_STATES "no states of machines are kept here; -snapshot forgets what a guest writes"

static const struct absent_option {
    const char *name;
    bool takes_arg, refused;
    const char *said; /* NULL: it changes nothing that the guest or its user could see */
} absent_options[] = {
    {"usb", false, false, NO_USB},
    {"usbdevice", true, false, NO_USB},
    {"icount", true, false,
     "-icount: time is not counted in instructions; -deterministic makes runs alike"},
    {"watchdog", true, false, "-watchdog: there is none"},
    {"watchdog-action", true, false, NULL},
    {"balloon", true, false, NULL},
    {"numa", true, false, "-numa: one node has all memory"},
    {"spice", true, true,
     "-spice: no SPICE server here; -vnc HOST:N shows the screen to others"},
    {"incoming", true, true, NO_STATES},
    {"loadvm", true, true, NO_STATES},
    {"virtfs", true, true, "-virtfs: no folders are shared so; fat:FOLDER makes a disk of one"},
    {"fsdev", true, true, "-fsdev: no folders are shared so; fat:FOLDER makes a disk of one"},
    {"smb", true, true, "-smb: no SMB server here; -netdev user,tftp=FOLDER serves files"},
    {"acpitable", true, true, "-acpitable: no tables can be added"},
    {"readconfig", true, true, "-readconfig: options come from the command line alone"},
    {"writeconfig", true, true, "-writeconfig: options come from the command line alone"},
    {"mtdblock", true, true, "-mtdblock: no such bus on this board"},
    {"sd", true, true, "-sd: no SD slot on this board"},
    {"preconfig", false, true, "-preconfig: -S stands before the first instruction"},
    {"add-fd", true, true, "-add-fd: no descriptors are taken over"},
    {"set", true, true, "-set: say it with -device or -global"},
    {"runas", true, true, "-runas: start ring3 as that user; it needs no rights of root's"},
    {"chroot", true, true, "-chroot: not done here: start ring3 in it"},
    {"run-with", true, true, "-run-with: start ring3 as that user, or in that folder"},
    {"plugin", true, true, "-plugin: QEMU's plugins are not loaded"},
    {"seed", true, false, "-seed: -deterministic makes runs alike"},
    {"dtb", true, false, NULL}, /* of other architectures */
    {"dfilter", true, false, "-dfilter: -d logs all addresses"},
    {"win2k-hack", false, false,
     NULL}, /* a disk's interrupt comes later than its command here anyway */
    {"rtc-td-hack", false, false, NULL},
    {"tdf", false, false, NULL},
    {"no-kvm", false, false, NULL},
    {"no-kvm-irqchip", false, false, NULL},
    {"no-kvm-pit", false, false, NULL},
    {"no-kvm-pit-reinjection", false, false, NULL},
    {"no-kqemu", false, false, NULL},
    {"kernel-kqemu", false, false, NULL},
    {"enable-kqemu", false, false, NULL},
    {"alt-grab", false, false, NULL},
    {"ctrl-grab", false, false, NULL},
    {"no-quit", false, false, NULL},
    {"no-frame", false, false, NULL},
    {"show-cursor", false, false, NULL},
    {"portrait", false, false, NULL},
    {"rotate", true, false, NULL},
    {"g", true, false, NULL}, /* of other architectures' firmware */
    {"nodefconfig", false, false, NULL},
    {"overcommit", true, false, NULL},
    {"mem-prealloc", false, false, NULL},
    {"mem-path", true, false, NULL},
    {"msg", true, false, NULL},
    {"sandbox", true, false, NULL},
    {"semihosting", false, false, NULL},
    {"only-migratable", false, false, NULL},
    {"enable-fips", false, false, NULL},
    {"realtime", true, false, NULL},
    {"tb-size", true, false, NULL},
    {"compat", true, false, NULL},
    {"old-param", false, false, NULL},
};

bool absent_option(struct options *o, const char *name, bool *takes_arg)
{
    for (u32 i = 0; i < ARRAY_SIZE(absent_options); i++) {
        const struct absent_option *a = &absent_options[i];

        if (strcmp(a->name, name))
            continue;
        if (a->refused)
            die("%s", a->said);
        if (a->said)
            note_once(o, a->said);
        *takes_arg = a->takes_arg;
        return true;
    }
    return false;
}

/* ---- Devices ---- */

#define ON_IDE        "no such disks on this board: they are IDE's"
#define NO_CONTROLLER "no such controller on this board: disks are IDE's"
#define E1000         "no such card: an e1000 is there instead"
#define NO_SOUND      "no such sound card: AC97, ES1370, sb16 and adlib are there"
#define ONE_VGA       "no such display adapter: VGA is there instead"
#define NO_SECOND     "no second display adapter on this board"
#define NOT_THERE     "no such device on this board: the guest goes without"

static const struct absent_device {
    const char *names;   /* "a|b" */
    const char *instead; /* NULL: nothing */
    const char *said;    /* NULL: another name for the same */
} absent_devices[] = {
    {"ac97", "AC97", NULL},
    {"es1370", "ES1370", NULL},
    {"e1000-82540em", "e1000", NULL},
    {"isa-fdc|i8042|vmmouse|vmport|isa-pcspk|port92|mc146818rtc|isa-pit|isa-pic", NULL, NULL},
    {"usb-tablet|usb-mouse|usb-kbd|usb-wacom-tablet|usb-hub|usb-host|usb-serial|usb-braille|"
     "usb-ccid|usb-mtp|usb-net|usb-redir",
     NULL, NO_USB},
    {"piix3-usb-uhci|piix4-usb-uhci|usb-ehci|ich9-usb-ehci1|ich9-usb-uhci1|ich9-usb-uhci2",
     NULL, NO_USB},
    {"ich9-usb-uhci3|ich9-usb-uhci4|ich9-usb-uhci5|ich9-usb-uhci6|ich9-usb-ehci2|vt82c686b-usb-"
     "uhci",
     NULL, NO_USB},
    {"pci-ohci|nec-usb-xhci|qemu-xhci", NULL, NO_USB},
    {"usb-storage|usb-bot|usb-uas|virtio-blk-pci|virtio-blk|scsi-hd|scsi-disk|nvme|ide-drive",
     "ide-hd", ON_IDE},
    {"scsi-cd", "ide-cd", ON_IDE},
    {"ahci|ich9-ahci|piix3-ide|piix4-ide|lsi|lsi53c895a|lsi53c810|am53c974|dc390|megasas|"
     "mptsas1068",
     NULL, NO_CONTROLLER},
    {"pvscsi|virtio-scsi-pci|virtio-scsi", NULL, NO_CONTROLLER},
    {"virtio-net-pci|virtio-net|virtio|vmxnet3|e1000e|e1000-82544gc|e1000-82545em|tulip",
     "e1000", E1000},
    {"i82550|i82551|i82557a|i82557b|i82557c|i82558a|i82558b|i82559a|i82559b|i82559c|i82559er|"
     "i82562|i82801",
     "e1000", E1000},
    {"intel-hda|ich9-intel-hda|hda|hda-duplex|hda-output|hda-micro|gus|cs4231a|usb-audio", NULL,
     NO_SOUND},
    {"vmware-svga|qxl-vga|virtio-vga", "VGA", ONE_VGA},
    {"secondary-vga|bochs-display|qxl|virtio-gpu-pci|virtio-gpu|virtio-gpu-gl-pci|ramfb|ati-"
     "vga",
     NULL, NO_SECOND},
    {"virtio-rng-pci|virtio-rng|virtio-balloon-pci|virtio-balloon|virtio-serial-pci|virtio-"
     "serial|virtconsole",
     NULL, NOT_THERE},
    {"virtserialport|virtio-keyboard-pci|virtio-mouse-pci|virtio-tablet-pci|i6300esb|ib700|"
     "pvpanic|pvpanic-pci|vmcoreinfo|vmgenid|edu|sga|ivshmem-plain|ivshmem-doorbell|tpm-tis|"
     "tpm-crb|virtio-9p-pci|virtio-crypto-pci|vhost-vsock-pci|ipmi-bmc-sim|isa-ipmi-kcs|"
     "isa-ipmi-bt|isa-applesmc|amd-iommu|intel-iommu|sdhci-pci|sd-card|pci-serial|"
     "pci-serial-2x|pci-serial-4x|virtio-input-host-pci|virtio-iommu-pci|virtio-mem-pci|"
     "vhost-user-fs-pci|igb|x3130-upstream",
     NULL, NOT_THERE},
    {"pci-bridge|i82801b11-bridge|ioh3420|pcie-root-port|pcie-pci-bridge|pxb", NULL, NOT_THERE},
};

/* A controller's name may be what a disk's bus= says. */
static void keep_bus(struct options *o, const char *id)
{
    if (id && o->absent_buses < MAX_ABSENT_BUSES)
        o->absent_bus[o->absent_buses++] = id;
}

/* A disk's own keys: where on its bus it was says nothing of ours. */
static const char *only_keys(const char *list, const char *const *names, u32 n)
{
    const char *kept = "", *value;

    for (u32 i = 0; i < n; i++) {
        keyval_take(list, names[i], &value);
        if (value)
            kept =
                keep_format("%s%s%s=%s", kept, *kept ? "," : "", names[i], keyval_value(value));
    }
    return kept;
}

const char *absent_device(struct options *o, const char *option, const char *name,
                          const char **keys)
{
    static const char *const common[] = {"id",  "drive",    "netdev",
                                         "mac", "audiodev", "bootindex"};
    const char *id;

    if (in_choices(name, "loader|guest-loader"))
        die("%s %s: nothing is put into memory before the start; -kernel and -bios load files",
            option, name);
    for (u32 i = 0; i < ARRAY_SIZE(absent_devices); i++) {
        const struct absent_device *a = &absent_devices[i];

        if (!in_choices(name, a->names))
            continue;
        if (a->said)
            note_once(o, !strcmp(a->said, NO_USB)
                             ? NO_USB
                             : keep_format("%s %s: %s", option, name, a->said));
        keyval_take(*keys, "id", &id);
        if (!a->instead)
            keep_bus(o, id);
        else if (a->said)
            *keys = only_keys(*keys, common, ARRAY_SIZE(common));
        return a->instead;
    }
    return name;
}

void refuse_absent_limits(const char *option, const char *list)
{
    for (const char *item = list; *item; item += *item == ',') {
        size_t n = strcspn(item, ",");

        if (!strncmp(item, "throttling.", 11) || !strncmp(item, "iops", 4) ||
            !strncmp(item, "bps", 3))
            die("%s %.*s: a drive's speed is not limited here", option,
                (int)strcspn(item, "=,"), item);
        item += n;
    }
}

const char *absent_bus(const struct options *o, const char *keys)
{
    const char *bus, *place, *rest = keyval_take(keys, "bus", &bus);

    for (u32 i = 0; bus && i < o->absent_buses; i++)
        if (!strncmp(bus, o->absent_bus[i], strlen(o->absent_bus[i])))
            return keyval_take(keyval_take(rest, "unit", &place), "addr", &place);
    return keys;
}

const char *absent_video_memory(struct options *o, const struct user_device *row,
                                const char *keys)
{
    const char *text, *rest = keyval_take(keys, "vgamem_mb", &text);
    u32 megabytes, has = row->category == DISPLAY_DEVICE
                             ? ((const struct vga_config *)row->defaults)->megabytes
                             : 0;

    if (!text || !has || !parse_u32(text, &megabytes) || !megabytes || megabytes > 512 ||
        megabytes == has)
        return keys;
    note_once(o, keep_format("%s vgamem_mb=%u: the chip has %u", row->name, megabytes, has));
    return rest;
}

/* ---- Display, processor, log ---- */

const char *absent_vga(struct options *o, const char *name)
{
    if (!in_choices(name, "vmware|qxl|virtio|xenfb"))
        return NULL;
    note_once(o, keep_format("-vga %s: no such display adapter: std is there instead", name));
    return "std";
}

/* Whole names, or beginnings that end with "*". */
static const struct {
    const char *name, *instead;
} absent_cpus[] = {
    {"qemu64", "qemu32"},         {"kvm64", "qemu32"},
    {"kvm32", "qemu32"},          {"athlon", "pentium3"},
    {"phenom", "coreduo"},        {"Opteron*", "coreduo"},
    {"EPYC*", "Broadwell"},       {"Dhyana*", "Broadwell"},
    {"Skylake*", "Broadwell"},    {"Cascade*", "Broadwell"},
    {"Cooperlake*", "Broadwell"}, {"Icelake*", "Broadwell"},
    {"Sapphire*", "Broadwell"},   {"Snowridge*", "Westmere"},
    {"Denverton*", "Westmere"},   {"Conroe*", "Conroe"},
    {"Penryn*", "Penryn"},        {"Nehalem*", "Nehalem"},
    {"Westmere*", "Westmere"},    {"SandyBridge*", "SandyBridge"},
    {"IvyBridge*", "IvyBridge"},  {"Haswell*", "Haswell"},
    {"Broadwell*", "Broadwell"},
};

const char *absent_cpu(struct options *o, const char *name)
{
    for (u32 i = 0; i < ARRAY_SIZE(absent_cpus); i++) {
        size_t n = strcspn(absent_cpus[i].name, "*");

        if (absent_cpus[i].name[n] ? strncmp(name, absent_cpus[i].name, n)
                                   : strcmp(name, absent_cpus[i].name))
            continue;
        note_once(
            o, keep_format("-cpu %s: not there: %s is instead", name, absent_cpus[i].instead));
        return absent_cpus[i].instead;
    }
    return NULL;
}

/* QEMU's features that no model here has: to take one away is what it is already. */
#define ABSENT_FEATURES                                                                        \
    "x2apic|monitor|ds|acpi|ss|ht|tm|pbe|dtes64|ds_cpl|vmx|smx|est|tm2|cid|cx16|xtpr|"         \
    "pdcm|pcid|dca|"                                                                           \
    "tsc-deadline|tsc_deadline|hypervisor|syscall|lm|lahf_lm|svm|3dnow|3dnowext|mmxext|"       \
    "sse4a|rdtscp|pdpe1gb|"                                                                    \
    "fsgsbase|smep|smap|erms|invpcid|rtm|hle|mpx|rdseed|adx|umip|pku|arat|xsaveopt|xsavec|"    \
    "xgetbv1|xsaves|abm|"                                                                      \
    "3dnowprefetch|clflushopt|clwb|pmu|spec-ctrl|ssbd|md-clear|stibp|la57|rdpid|"              \
    "gfni|pse36"
#define SILENT_WORDS                                                                           \
    "check|enforce|kvm|migratable|host-phys-bits|phys-bits|l3-cache|host-cache-info|tcg-"      \
    "cpuid|legacy-cache|"                                                                      \
    "min-level|min-xlevel|pmu|vmware-cpuid-freq|hv-relaxed|hv-vapic|hv-time|hv-spinlocks|hv-"  \
    "passthrough|"                                                                             \
    "hv_relaxed|hv_vapic|hv_time|hv_spinlocks|apic-id|kvmclock|kvm_pv_unhalt|kvm_pv_eoi|kvm-"  \
    "pv-eoi"
#define IDENTITY_WORDS                                                                         \
    "level|xlevel|vendor|family|model|stepping|model_id|model-id|tsc-frequency"

bool absent_cpu_word(struct options *o, const char *word)
{
    bool sign = *word == '+' || *word == '-';
    size_t n = strcspn(word + sign, "=");
    const char *name = keep_format("%.*s", (int)n, word + sign), *value = word + sign + n;

    if (in_choices(name, SILENT_WORDS))
        return true;
    if (in_choices(name, IDENTITY_WORDS) && *value) {
        note_once(o, keep_format("-cpu %s=: the model's own is what the guest sees", name));
        return true;
    }
    if (!in_choices(name, ABSENT_FEATURES) || !(sign || in_choices(value, "=on|=off|")))
        return false;
    if (*word == '+' || (!sign && strcmp(value, "=off")))
        note_once(o, keep_format("-cpu %s: no model here has it", name));
    return true;
}

bool absent_log_item(struct options *o, const char *item, size_t length)
{
    const char *name = keep_format("%.*s", (int)length, item);

    if (!strncmp(name, "trace:", 6)) {
        note_once(o, "-d trace: QEMU's events are not here; --trace has ring3's");
        return true;
    }
    if (!in_choices(name, "op|op_opt|op_ind|out_asm|mmu|pcall|page|unimp|nochain|plugin|strace|"
                          "vpu|tid|trace"))
        return false;
    if (in_choices(name, "out_asm"))
        note_once(
            o, "-d out_asm: not logged so: -dump-tc FILE,listing=on has the translated code");
    else if (in_choices(name, "mmu|pcall"))
        note_once(o, keep_format("-d %s: not logged so: --trace %s is", name,
                                 *name == 'm' ? "mmu" : "cpu"));
    return true;
}
