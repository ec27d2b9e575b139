/*
 * The command line: what each spelling leaves in struct options, and the one line a mistake
 * gets. Mistakes end the process, so those cases run in a child.
 */
#include "cpu/cpuid.h"
#include "devices/debugcon.h"
#include "devices/debugexit.h"
#include "devices/nic.h"
#include "devices/ns16550.h"
#include "devices/user_drives.h"
#include "runtime/options/command_line.h"
#include "runtime/base/keyval.h"
#include "runtime/options/option_devices.h"
#include "tests/harness/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_WORDS = 24 };

static int split(const char *line, char **argv)
{
    static char words[1024];
    int n = 0;

    snprintf(words, sizeof(words), "ring3 %s", line);
    for (char *w = strtok(words, " "); w && n < MAX_WORDS; w = strtok(NULL, " "))
        argv[n++] = w;
    return n;
}

static struct options parse(const char *line)
{
    char *argv[MAX_WORDS];
    int argc = split(line, argv);
    struct options o;

    options_parse(&o, argc, argv);
    return o;
}

/* Runs the command line in a child; its standard error and exit status. */
static int refused(const char *line, char *said, size_t size)
{
    int ends[2], status = -1;
    ssize_t n = 0, got;
    pid_t child;

    if (pipe(ends))
        return -1;
    child = test_fork();
    if (!child) {
        dup2(ends[1], STDERR_FILENO);
        parse(line);
        _exit(0);
    }
    close(ends[1]);
    while ((got = read(ends[0], said + n, size - 1 - (size_t)n)) > 0)
        n += got;
    said[n] = '\0';
    close(ends[0]);
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* One line on stderr that holds `want`, exit status 1. */
static void check_refused(const char *line, const char *want)
{
    char said[1024];

    CHECK_EQ(refused(line, said, sizeof(said)), 1);
    if (!strstr(said, want))
        test_fail(__FILE__, __LINE__, "'%s' says '%s', want '%s'", line, said, want);
    if (!strchr(said, '\n') || strchr(said, '\n')[1])
        test_fail(__FILE__, __LINE__, "'%s' says not one line: '%s'", line, said);
}

static bool same(const char *got, const char *want)
{
    return got && !strcmp(got, want);
}

TEST(options, defaults)
{
    struct options o = parse("-display none");

    CHECK_EQ(o.ram, MIB(128));
    CHECK(same(o.cpu, "p6"));
    CHECK(same(o.rtc_base, "utc"));
    CHECK(!o.serial[0]);
    CHECK(!o.kernel && !o.floppy[0].present && !o.ide[0][0].present);
}

TEST(options, memory_takes_mib_and_suffixes)
{
    CHECK_EQ(parse("-m 16").ram, MIB(16));
    CHECK_EQ(parse("-m 1G").ram, GIB(1));
    CHECK_EQ(parse("-m 2048K").ram, MIB(2));
    CHECK_EQ(parse("-m 1.5G").ram, MIB(1536));
    CHECK_EQ(parse("-m size=64M").ram, MIB(64));
    check_refused("-m lots", "'lots' is no size");
    check_refused("-m 64G", "from 1M to 3584M of memory");
    check_refused("-m 0", "from 1M to 3584M of memory");
    check_refused("-m", "wants an argument");
}

TEST(options, one_or_two_dashes)
{
    struct options o = parse("--no-reboot --display none -snapshot --m 32");

    CHECK(o.no_reboot);
    CHECK(o.snapshot);
    CHECK(!o.display);
    CHECK_EQ(o.ram, MIB(32));
}

TEST(options, drives_by_letter)
{
    struct options o = parse("-hda a -hdd b -fdb c -cdrom d");

    CHECK(same(o.ide[0][0].file, "a"));
    CHECK(same(o.ide[1][1].file, "b"));
    CHECK(same(o.floppy[1].file, "c"));
    CHECK(same(o.ide[1][0].file, "d") && o.ide[1][0].cdrom && o.ide[1][0].read_only);
    CHECK(!o.floppy[0].present);
    check_refused("-hdc a -cdrom b", "taken already");
}

TEST(options, drive_keys)
{
    struct options o =
        parse("-drive file=a,,b.img,if=floppy,format=raw,snapshot=on "
              "-drive file=c,index=2,media=disk,readonly=on,cyls=8,heads=4,secs=17 "
              "-drive file=d -drive if=ide,media=cdrom");

    CHECK(same(o.floppy[0].file, "a,b.img") && o.floppy[0].snapshot);
    CHECK(same(o.ide[1][0].file, "c") && o.ide[1][0].read_only && !o.ide[1][0].cdrom);
    CHECK_EQ(o.ide[1][0].cylinders, 8);
    CHECK_EQ(o.ide[1][0].heads, 4);
    CHECK_EQ(o.ide[1][0].sectors, 17);
    CHECK(same(o.ide[0][0].file, "d"));
    CHECK(o.ide[0][1].present && o.ide[0][1].cdrom && !o.ide[0][1].file);
    check_refused("-drive file=a,fi=ide", "'fi'");
    check_refused("-drive file=a,if=virtual", "nearest is");
    check_refused("-drive file=a,format=qcow", "nearest is 'qcow2'");
    check_refused("-drive file=a,index=4", "there are 4 IDE drives");
    check_refused("-drive if=ide", "file= is missing");
    check_refused("-drive file=a,snapshot=maybe", "'maybe'");
    check_refused("-drive file=a,index=two", "no number");
}

TEST(options, what_scripts_carry_is_accepted)
{
    struct options o = parse("-nodefaults -net none -nic none -machine pc,accel=tcg -accel tcg "
                             "-smp 1 -vga std -display none -monitor none");

    CHECK(!o.nographic);
    check_refused("-smp 0", "a number from 1");
    check_refused("-smp two", "is no number");
    check_refused("-machine microvm", "microvm is not there");
    check_refused("-accel kvn", "nearest is 'kvm'");
    CHECK(!o.kvm_asked);
    o = parse("-accel kvm:tcg -cpu n270");
    CHECK(o.kvm_asked && same(o.cpu, "n270"));
    o = parse("-machine pc,accel=kvm -cpu pentium2");
    CHECK(o.kvm_asked && same(o.cpu, "pentium2"));
    o = parse("-enable-kvm");
    CHECK(o.kvm_asked);
    check_refused("-cpu pentium4", "nearest is 'pentium3'");
}

TEST(options, cpu_features_are_had_and_left_out_singly)
{
    struct options o = parse("-cpu p6,+sse3,-nx,popcnt=on,mmx=off,-popcnt,+mmx");

    CHECK(same(o.cpu, "p6"));
    CHECK_EQ(o.cpu_on, FEATURE_BIT(FEAT_SSE3) | FEATURE_BIT(FEAT_MMX));
    CHECK_EQ(o.cpu_off, FEATURE_BIT(FEAT_NX) | FEATURE_BIT(FEAT_POPCNT));
    o = parse("-cpu max,+pni,+sse4_1 -cpu host,-abm");
    CHECK(same(o.cpu, "host") && !o.cpu_on && o.cpu_off == FEATURE_BIT(FEAT_LZCNT));
    check_refused("-cpu max,+sse5", "nearest is 'sse");
    check_refused("-cpu max,sse3", "neither +FEATURE, -FEATURE, FEATURE=on nor FEATURE=off");
    check_refused("-cpu max,sse3=maybe", "neither +FEATURE");
    check_refused("-cpu ,+sse3", "nearest is");
    check_refused("-cpu p6,+ssse3", "ssse3 builds on sse3, which is not there");
    check_refused("-cpu 486,+sse", "sse builds on fxsr");
    check_refused("-cpu max,+fma4", "nearest is 'fma'");
    check_refused("-cpu max,-avx,+f16c", "f16c builds on avx");
    check_refused("-cpu max,-xsave,+avx", "avx builds on xsave");
    check_refused("-deterministic -cpu max,+rdrand", "rdrand");
}

static const char *netdev_of(const struct device_options *d)
{
    return *device_reference((struct device_options *)d, KEY_NETDEV);
}

TEST(options, nic_is_a_card_and_a_back_end)
{
    struct options o =
        parse("-nic user,model=ne2k_isa,mac=52:54:00:00:00:09,hostfwd=tcp::22-:22,id=u "
              "-nic socket,model=ne2k_pci,listen=:1,addr=7");
    const struct nic_config *isa = (const void *)o.devices->config;
    const struct nic_config *pci = (const void *)o.devices->next->config;

    CHECK_EQ(o.netdevs, 2);
    CHECK(same(o.netdev[0].kind, "user") && same(o.netdev[0].id, "u"));
    CHECK(same(o.netdev[0].list, "hostfwd=tcp::22-:22"));
    CHECK(same(o.netdev[1].list, "listen=:1"));
    CHECK(same(netdev_of(o.devices), "u"));
    CHECK(same(netdev_of(o.devices->next), o.netdev[1].id));
    CHECK_EQ(isa->iobase, 0x300);
    CHECK_EQ(isa->irq, 9);
    CHECK_EQ(isa->mac[5], 9);
    CHECK_EQ(pci->slot.devfn, 7 << 3);
}

TEST(options, net_is_the_old_spelling)
{
    struct options o =
        parse("-net nic,model=ne2k_isa,macaddr=52-54-00-00-00-0a,irq=5 -net user,restrict=on");
    const struct nic_config *c = (const void *)o.devices->config;

    CHECK_EQ(c->irq, 5);
    CHECK_EQ(c->mac[5], 10);
    CHECK_EQ(o.netdevs, 1);
    CHECK(same(netdev_of(o.devices), o.netdev[0].id));
    CHECK(same(o.netdev[0].list, "restrict=on"));
    o = parse("-net nic");
    CHECK(!netdev_of(o.devices));
    o = parse("-net none -nic none");
    CHECK(!o.devices && !o.netdevs);
}

TEST(options, netdev_s_mistakes)
{
    struct options o = parse("-netdev user,id=a,hostname=x -device ne2k_pci,netdev=a "
                             "-object filter-dump,id=d,netdev=a,file=p,maxlen=96");

    CHECK_EQ(o.dumps, 1);
    CHECK_EQ(o.dump[0].max, 96);
    CHECK(same(o.netdev[0].list, "hostname=x"));
    check_refused("-netdev user", "id= is missing");
    check_refused("-netdev user,id=a -netdev user,id=a", "taken already");
    check_refused("-device ne2k_pci,netdev=b", "no -netdev has that id");
    check_refused("-netdev user,id=a -device ne2k_pci,netdev=a -device ne2k_isa,netdev=a",
                  "has a card already");
    check_refused("-nic user,model=ne2k_pcy", "nearest is 'ne2k_pci'");
    check_refused("-nic user,model=isa-serial", "model= 'isa-serial' is not known");
    check_refused("-nic user,mac=12:34", "no MAC address");
    check_refused("-net nic,foo=1", "'foo' is not known");
    check_refused("-object filter-dump,id=d,file=p", "wants filter-dump");
    check_refused("-object rng-rondom,id=d", "'rng-rondom'");
}

TEST(options, a_key_is_taken_off_a_list)
{
    const char *val, *left = keyval_take("user,id=a,,b,net=10.0.0.0/8,idx=3", "id", &val);

    CHECK(same(val, "a,b"));
    CHECK(same(left, "user,net=10.0.0.0/8,idx=3"));
    left = keyval_take("id=x", "id", &val);
    CHECK(same(left, "") && same(val, "x"));
    left = keyval_take("a=1,,2,b", "id", &val);
    CHECK(!val && same(left, "a=1,,2,b"));
}

TEST(options, unknown_names_get_the_nearest)
{
    check_refused("-hdq x", "nearest is '-hd");
    check_refused("-snapshoot", "nearest is '-snapshot'");
    check_refused("--kernal x", "nearest is '-kernel'");
    check_refused("--trace cpu,mmmu", "nearest is 'mmu'");
    check_refused("-display cruses", "nearest is 'curses'");
    check_refused("-cpu pentuim", "nearest is 'pentium'");
    check_refused("-device isa-debugexit", "nearest is 'isa-debug-exit'");
    check_refused("-serial sdtio", "nearest is 'stdio'");
    check_refused("-serial file:", "nearest is 'file:PATH'");
    check_refused("-chardev fiel,id=x", "nearest is 'file'");
    check_refused("-chardev socket,id=x,host=y", "socket: wants path= or port=");
    check_refused("-chardev file,id=x", "path= is missing");
    check_refused("-drive file=x,format=rwa", "nearest is 'raw'");
    check_refused("-display non", "nearest is 'none'");
    CHECK(parse("-display sdl").windowed);
    CHECK(!parse("-display curses").windowed);
    CHECK(!parse("-display sdl -display none").display);
    check_refused("/no/such/image", "/no/such/image");
}

static struct device_options *nth_device(const struct options *o, u32 n)
{
    struct device_options *d = o->devices;

    while (d && n--)
        d = d->next;
    return d;
}

TEST(options, serial_and_debug_targets)
{
    const struct debugcon_config *console;
    const struct debugexit_config *exit_port;

    struct options o =
        parse("-chardev file,id=log,path=/tmp/x -device isa-debugcon,iobase=0x402,"
              "chardev=log -debugcon stdio -serial null -serial file:y "
              "-device isa-debug-exit,iobase=0xf4,iosize=4");

    console = (const struct debugcon_config *)nth_device(&o, 0)->config;
    CHECK_EQ(console->port, 0x402);
    CHECK(same(nth_device(&o, 0)->reference[0], "file:/tmp/x"));
    console = (const struct debugcon_config *)nth_device(&o, 1)->config;
    CHECK_EQ(console->port, 0xe9);
    CHECK(same(nth_device(&o, 1)->reference[0], "stdio"));
    CHECK(same(o.serial[0], "null"));
    CHECK(same(o.serial[1], "file:y"));
    CHECK(nth_device(&o, 2)->row == &debugexit_user_device);
    exit_port = (const struct debugexit_config *)nth_device(&o, 2)->config;
    CHECK_EQ(exit_port->port, 0xf4);
    CHECK_EQ(exit_port->size, 4);
    CHECK(!nth_device(&o, 3));
    check_refused("-device isa-debugcon,chardev=nobody", "no -chardev has id=nobody");
    check_refused("-serial null -serial null -serial null -serial null -serial null",
                  "4 serial ports");
    check_refused("-serial stdio -serial mon:stdio", "terminal");
    check_refused("-chardev stdio,id=t -serial stdio -device isa-serial,chardev=t", "terminal");
}

TEST(options, properties_of_devices)
{
    struct options o =
        parse("-chardev null,id=n -device isa-serial,id=com4,chardev=n,index=3,bus=isa.0,irq=7 "
              "-nographic");
    const struct ns16550_config *c = (const struct ns16550_config *)o.devices->config;

    CHECK(same(o.devices->id, "com4"));
    CHECK(same(o.devices->reference[0], "null"));
    CHECK_EQ(c->index, 3);
    CHECK_EQ(c->irq, 7);
    CHECK(!o.serial[0]); /* the user's port takes the place of the one -nographic makes */
    check_refused("-device isa-serial", "chardev= is missing");
    check_refused("-device isa-serial,chardv=x", "nearest is 'chardev'");
    check_refused("-device isa-serial,chardev=x,irq=16", "irq: '16': at most 15");
    check_refused("-device isa-serial,chardev=x,iobase=0x10000", "at most 0xffff");
    check_refused("-device isa-serial,chardev=x,bus=pci.0", "nearest is 'isa.0'");
    check_refused("-device isa-debug-exit,iosize=5", "iosize: '5': at most 4");
    check_refused("-device iobase=5", "name of a device");
}

TEST(options, drives_that_devices_place)
{
    struct options o =
        parse("-drive if=none,id=a,file=A,snapshot=on -drive file=B,if=none,id=b,media=cdrom "
              "-drive if=none,id=f,file=F -device ide-cd,drive=b,bus=ide.0,unit=1 "
              "-device ide-hd,drive=a,cyls=10,heads=2,secs=3 -device floppy,drive=f,unit=1 "
              "-device ide-cd,bus=ide.1 -device floppy");

    CHECK(same(o.ide[0][1].file, "B"));
    CHECK(o.ide[0][1].cdrom && o.ide[0][1].read_only);
    CHECK(same(o.ide[0][0].file, "A"));
    CHECK(o.ide[0][0].snapshot && !o.ide[0][0].cdrom && !o.ide[0][0].read_only);
    CHECK_EQ(o.ide[0][0].cylinders, 10);
    CHECK_EQ(o.ide[0][0].heads, 2);
    CHECK_EQ(o.ide[0][0].sectors, 3);
    CHECK(same(o.floppy[1].file, "F"));
    CHECK(o.floppy[0].present && !o.floppy[0].file);
    CHECK(o.ide[1][0].present && o.ide[1][0].cdrom && !o.ide[1][0].file);
    CHECK(!o.ide[1][1].present);
    check_refused("-device ide-hd,drive=x", "no -drive if=none has id=x");
    check_refused("-device ide-hd", "drive= is missing");
    check_refused("-drive if=none,file=x", "id= is missing");
    check_refused("-drive if=none,id=x,file=x -drive if=none,id=x,file=y", "id=x: used twice");
    check_refused("-drive if=none,id=x,file=x -device ide-hd,drive=x -device ide-hd,drive=x",
                  "another device has it");
    check_refused("-hda y -drive if=none,id=x,file=x -device ide-hd,drive=x,bus=ide.0,unit=0",
                  "taken already");
    check_refused("-drive if=none,id=x -device ide-hd,drive=x", "has no file=");
    check_refused("-drive if=none,id=x,media=cdrom -device ide-hd,drive=x",
                  "media=cdrom is for an ide-cd");
    check_refused("-drive if=none,id=x,file=x -device ide-hd,drive=x,bus=ide.2",
                  "nearest is 'ide.0'");
    check_refused("-device floppy -device floppy -device floppy", "all such drives are taken");
}

TEST(options, nographic_puts_the_serial_port_on_the_terminal)
{
    struct options o = parse("-nographic");

    CHECK(same(o.serial[0], "mon:stdio"));
    CHECK(!o.display);
    CHECK(same(parse("-nographic -serial null").serial[0], "null"));
}

TEST(options, qmp_socket)
{
    struct options o = parse("-qmp unix:/tmp/q,,1,server=on,wait=off");

    CHECK(same(o.qmp, "unix:/tmp/q,1"));
    CHECK(!o.qmp_wait);
    CHECK(parse("-qmp unix:/tmp/q,server").qmp_wait);
    CHECK(!parse("-qmp unix:/tmp/q,server,nowait").qmp_wait);
    CHECK(parse("-qmp unix:/tmp/q,server").qmp_server);
    CHECK(!parse("-qmp tcp:localhost:1").qmp_server);
    check_refused("-qmp udp:localhost:1", "tcp:HOST:PORT");
}

TEST(options, boot_and_rtc)
{
    CHECK(same(parse("-boot d").boot, "d"));
    CHECK(same(parse("-boot order=ca,menu=on").boot, "ca"));
    CHECK(parse("-boot menu=on").boot_menu);
    CHECK(same(parse("-rtc base=localtime,clock=vm").rtc_base, "localtime"));
    CHECK(same(parse("-rtc base=2020-02-29").rtc_base, "2020-02-29"));
    CHECK(same(parse("-rtc base=2020-02-29T12:00:00").rtc_base, "2020-02-29T12:00:00"));
    CHECK(same(parse("-boot nc").boot, "nc"));
    check_refused("-boot p", "letters of a");
    CHECK(same(parse("-smbios type=1,serial=VMware-1,product=x").smbios[1].text, "VMware-1"));
    check_refused("-smbios type=5,serial=x", "wants type=0");
    check_refused("-smbios type=1,colour=x", "has no 'colour=x'");
    check_refused("-boot aa", "letters of a");
    check_refused("-rtc base=yesterday", "yesterday");
    check_refused("-append x", "-kernel");
}

TEST(keyval, edit_distance_counts_letters)
{
    CHECK_EQ(edit_distance("", ""), 0);
    CHECK_EQ(edit_distance("abc", "abc"), 0);
    CHECK_EQ(edit_distance("abc", ""), 3);
    CHECK_EQ(edit_distance("kitten", "sitting"), 3);
    CHECK_EQ(edit_distance("ABC", "abc"), 0);
    CHECK_EQ(edit_distance("sdtio", "stdio"), 1); /* neighbours swapped */
}

TEST(keyval, sizes)
{
    u64 size = 0;

    CHECK(parse_size("4k", 1, &size) && size == 4096);
    CHECK(parse_size("7", MIB(1), &size) && size == MIB(7));
    CHECK(parse_size("3B", MIB(1), &size) && size == 3);
    CHECK(!parse_size("", 1, &size));
    CHECK(!parse_size("-1", 1, &size));
    CHECK(!parse_size("1X", 1, &size));
    CHECK(!parse_size("1MB", 1, &size));
    CHECK(!parse_size("99999999999T", 1, &size));
}
