#!/usr/bin/env python3
"""Boots unmodified operating systems and uses them: typed keys, expected screens, files read back.

  boot.py [--vmm COMMAND] [--slow FACTOR] [--quick | --rest | --images] [--list] [NAME…]
          [--engines bt,interp,trap] [--host-models auto,plain]

--quick: those that take seconds; --rest: the others; --images: those whose system is in ../shared/images.
--engines, --host-models: ring3's; each case runs with each, and a table of CPU seconds is the end.

Systems come from ../shared/images (beside the repository) and from Debian's packages. What is not there is skipped
by name. The last screen of each is left in build/check/boot/. Runs $JOBS machines at a time.
"""
import argparse
import concurrent.futures
import hashlib
import itertools
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import images  # noqa: E402
from rfb import Viewer  # noqa: E402
from images import IMAGES, SYSTEMS, Skip, TOP, guest  # noqa: E402
from vm import VM, Failed  # noqa: E402

CASES = []


class Context:
    """What a case works with: a folder of its own, and machines that end with it."""

    def __init__(self, name, o, way=()):
        self.name, self.o = "-".join([name, *way]), o
        self.vmm = " ".join([o.vmm] + ["--%s %s" % pair for pair in zip(("engine", "host-model"), way)])
        self.folder = tempfile.mkdtemp(prefix="ring3-boot")
        self.machines = []
        self.out = os.path.join(TOP, "build", "check", "boot")
        os.makedirs(self.out, exist_ok=True)

    def start(self, *options, **more):
        vm = VM(self.vmm, [str(x) for x in options], self.o.slow, **more)
        self.machines.append(vm)
        return vm

    def path(self, name):
        return os.path.join(self.folder, name)

    def boot(self, name, *more, **how):
        """A row of images.py, started and waited for."""
        vm = self.start(*images.options(SYSTEMS[name], self.place), *more, **how)
        SYSTEMS[name].wait(vm)
        return vm

    def place(self, file):
        """Where a file is; of a shared image, a writable copy, unpacked."""
        source = file.found()
        if not isinstance(file, images.Shared):
            return source
        target = self.path(os.path.basename(source).removesuffix(".xz"))
        if source.endswith(".xz"):
            with open(target, "wb") as f:
                subprocess.run(["xz", "-dc", source], stdout=f, check=True)
        else:
            shutil.copyfile(source, target)
        return target

    def image(self, name):
        return self.place(images.Shared(name))

    def close(self):
        for i, vm in enumerate(self.machines):
            vm.record(os.path.join(self.out, self.name + ("-%d" % i if i else "")))
            vm.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Case:
    def __init__(self, name, function, quick=False, image=False):
        self.name, self.function, self.quick, self.image = name, function, quick, image

    def wanted(self, o):
        if o.names or o.images:
            return self.name in o.names or o.images and self.image
        return self.quick if o.quick else not self.quick if o.rest else True


def case(quick=False, image=False):
    """quick: takes seconds. image: its system is in ../shared/images."""
    def add(function):
        CASES.append(Case(function.__name__.replace("_", "-"), function, quick, image))
        return function
    return add


def guest_file(name):
    return guest(name).found()


# ---- The shared images: the expected screen, and then they are used ----

DATED = re.compile(r"\d\d-\d\d-\d{2,4}|\d\d:\d\d|20\d\d|QEMU|SeaBIOS|Memory size|bytes")


def check_expected(vm, name, patience=20):
    """Nine of ten lines of the recorded screen are there; lines with dates and sizes do not count."""
    with open(os.path.join(IMAGES, "expected", name + ".txt"), encoding="utf-8") as f:
        lines = [line.strip() for line in f.read().split("\n")]
    wanted = [line for line in lines if line and not DATED.search(line)]

    def there():
        screen = vm.screen()
        return sum(line in screen for line in wanted) >= 0.9 * len(wanted)
    vm.wait_for("the screen expected/%s.txt" % name, there, patience)


@case(quick=True, image=True)
def bootos(c):
    vm = c.boot("bootos")
    check_expected(vm, "bootos-360")
    vm.type("dir\n")
    vm.wait(r"^\$dir.*^\$", 30)


@case(quick=True, image=True)
def freedos(c):
    vm = c.boot("freedos")
    check_expected(vm, "freedos-1440")
    vm.type("ver\n")
    vm.wait(r"FreeCom version", 30)


@case(image=True)
def freedos_emm386(c):
    """FreeDOS in V86 under EMM386: memory managers, file tools, a DOS extender."""
    vm = c.boot("freedos-emm386")
    check_expected(vm, "freedos1-emm386")
    vm.type("path a:\\freedos\\bin\n")
    vm.type("mem\n")
    vm.wait(r"Expanded \(EMS\)|expanded memory", 60)
    vm.type("cls\nxmstest\n")
    vm.wait(r"^A:\\>$.*", 60)
    vm.type("cls\nfind /c \"DEVICE\" config.sys\n")
    vm.wait(r"-- CONFIG\.SYS\s+[1-9]", 60)
    vm.type("cls\ntree a:\\freedos\n")
    vm.wait(r"NLS.*A:\\>", 60)
    vm.type("cls\nzip t.zip config.sys autoexec.bat\n")
    vm.wait(r"adding: autoexec\.bat.*A:\\>|adding: AUTOEXEC\.BAT.*A:\\>", 90)
    vm.type("cls\nunzip -t t.zip\n")
    vm.wait(r"No errors detected", 90)


@case(image=True)
def msdos4(c):
    """MS-DOS 4 formats a floppy and copies files onto it; mtools reads them back."""
    blank = c.path("blank.img")
    with open(blank, "wb") as f:
        f.truncate(1440 * 1024)
    vm = c.boot("msdos4", "-drive", "file=%s,if=floppy,format=raw,index=1" % blank)
    check_expected(vm, "msdos4")
    vm.type("\n")
    vm.wait(r"Enter new time", 30)
    vm.type("\n")
    vm.wait(r"^A>", 30)
    vm.type("format b:\n")
    vm.wait(r"press ENTER", 60)
    vm.type("\n")
    vm.wait(r"Volume label", 240)
    vm.type("RING3\n")
    vm.wait(r"Format another", 60)
    vm.type("n\n")
    vm.wait(r"another \(Y/N\)\?n.*^A>", 30)
    vm.type("cls\ncopy *.com b:\n")
    vm.wait(r"File\(s\) copied", 240)
    vm.type("cls\nchkdsk b:\n")
    vm.wait(r"bytes free", 60)
    vm.quit()
    read_back(c.path("msdos4.img"), blank)


def answer_date(vm):
    SYSTEMS["msdos4"].wait(vm)
    vm.type("\n")
    vm.wait(r"Enter new time", 30)
    vm.type("\n")


@case(image=True)
def msdos4_hard_disk(c):
    """MS-DOS 4 partitions a hard disk, formats it, copies itself there and starts from it."""
    blank = c.path("hard.img")
    with open(blank, "wb") as f:
        f.truncate(30 << 20)
    vm = c.boot("msdos4", "-hda", blank, reboot=True)
    answer_date(vm)
    vm.wait(r"^A>", 30)
    vm.type("fdisk\n")
    vm.wait(r"FDISK Options.*Press Esc to exit", 60)  # what is typed while it draws it throws away
    time.sleep(0.3)
    vm.type("1\n")
    vm.wait(r"1\. Create Primary.*Press Esc", 30)
    time.sleep(0.3)
    vm.type("1\n")
    vm.wait(r"maximum available size", 30)
    vm.type("y\n")
    vm.wait(r"System will now restart", 60)
    vm.type("\n")
    answer_date(vm)
    vm.wait(r"^A>", 30)
    vm.type("format c: /s\n")
    vm.wait(r"Format \(Y/N\)\?", 60)
    vm.type("y\n")
    vm.wait(r"System transferred.*Volume label", 300)
    vm.type("RING3\n")
    vm.wait(r"Serial Number is.*^A>", 60)
    vm.type("copy *.exe c:\n")
    vm.wait(r"File\(s\) copied", 240)
    vm.quit()
    vm = c.start("-m", 16, "-hda", blank, "-boot", "c")
    answer_date(vm)
    vm.wait(r"^C>", 30)
    vm.type("dir\n")
    vm.wait(r"19 File\(s\)", 60)
    vm.quit()
    read_back(c.path("msdos4.img"), blank + "@@%d" % (63 * 512))


def read_back(system, blank):
    listing = subprocess.run(["mdir", "-b", "-i", blank, "::"], capture_output=True, text=True)
    names = [line.removeprefix("::/") for line in listing.stdout.split()]
    if len(names) < 15:
        raise Failed("mtools finds %d files on the formatted floppy: %s" % (len(names), listing.stderr.strip()))
    for name in names:
        ours, theirs = (subprocess.run(["mtype", "-i", i, "::/" + name], capture_output=True).stdout
                        for i in (blank, system))
        if ours != theirs:
            raise Failed("%s came out different" % name)


@case(image=True)
def msdos4_emm386(c):
    vm = c.boot("msdos4-emm386")
    check_expected(vm, "msdos4-emm386")
    vm.type("mem\n")
    vm.wait(r"DOS4READY.*bytes total EMS memory", 60)


@case(image=True)
def pcmos(c):
    vm = c.boot("pcmos")
    check_expected(vm, "pcmos386-502-install")
    vm.type("y\n")
    vm.wait_for("another screen", lambda: "Is this the first time" not in vm.screen(), 30)


@case(image=True)
def pcmos_9user(c):
    """Its monitor rewrites the page table entry of the page that it runs in, and goes on by the TLB."""
    vm = c.boot("pcmos-9user")
    for task in range(1, 9):
        vm.type("addtask 128\n")
        vm.wait(r"Starting task number +%d" % task, 30)
    vm.type("mos map\n")
    vm.wait(r" 8 +[0-9A-F]+ +128K.*WAIT", 30)
    vm.press("alt-kp_3")
    vm.wait_for("the third task's screen", lambda: "addtask" not in vm.screen(), 30)
    vm.type("copy verify.exe copied.exe\n")
    vm.wait(r"Files Copied: +1", 30)
    vm.press("alt-kp_0")
    vm.wait(r"USER TASK STATISTICS", 30)
    vm.type("dir copied.exe\n")
    vm.wait(r"COPIED +\.EXE +9,370", 30)


def use_mikeos(vm, name):
    check_expected(vm, name)
    vm.press("right", "ret")
    vm.wait(r"^> |command line|Commands:|^>$", 30)
    vm.type("ver\n")
    vm.wait(r"MikeOS 4\.5", 30)


@case(quick=True, image=True)
def mikeos_floppy(c):
    use_mikeos(c.boot("mikeos-floppy"), "mikeos-4.5.flp")


@case(image=True)
def mikeos_cd(c):
    use_mikeos(c.boot("mikeos-cd"), "mikeos-4.5.iso")


PROGRAM = """#include <stdio.h>
int f(n) int n; { return n < 2 ? n : f(n-1) + f(n-2); }
int main() { printf("fib %d\\n", f(20)); return 0; }
"""


@case(image=True)
def minix(c):
    """MINIX 2 logs in as root, compiles a C program with its own cc and runs it."""
    vm = c.boot("minix")
    check_expected(vm, "minix-2.0.4-hd64")
    vm.type("root\n")
    vm.wait(r"^# ?$", 30)
    vm.type("cat >t.c\n" + PROGRAM)
    vm.press("ctrl-d")
    vm.type("cc -o t t.c && ./t\n")
    vm.wait(r"^fib 6765", 180)
    vm.type("sync; shutdown -h now\n")
    vm.wait(r"MINIX has been halted|halted|System Halted|boot>|Hit any key", 60)


# ---- From Debian's packages ----

def use_linux(vm, ends=True):
    """ends: by ACPI; else it only stops."""
    vm.type("echo a$((6*7))b; uname -m; cat /proc/cpuinfo\n")
    vm.wait(r"^a42b", 60)
    vm.wait(r"^i686", 10)
    vm.type("poweroff -f\n")
    vm.wait_end(120) if ends else vm.wait("System halted|Power down", 60)


@case()
def linux_686(c):
    use_linux(c.boot("linux-686"))


@case()
def isapc(c):
    """FreeDOS, MS-DOS and Linux on the board without PCI."""
    vm = c.boot("freedos", "-machine", "isapc")
    check_expected(vm, "freedos-1440")
    c.boot("msdos4", "-machine", "isapc")
    use_linux(c.boot("linux-686", "-machine", "isapc", "-cpu", "p6"), ends=False)


# What a feature of -cpu is called in /proc/cpuinfo: those that Linux of i386 shows of both host and guest.
CPUINFO = {"pni", "ssse3", "sse4_1", "sse4_2", "aes", "pclmulqdq", "sha_ni", "movbe", "popcnt", "bmi1", "bmi2", "avx",
           "avx2", "fma", "f16c", "vaes", "vpclmulqdq"}


@case()
def linux_cpu_max(c):
    """Linux finds the features of the host's that -cpu max has, turns AVX on, and none with -avx that builds on it."""
    with open("/proc/cpuinfo") as f:
        host = set(re.search(r"^flags\s*:(.*)", f.read(), re.M)[1].split()) & CPUINFO
    without = {"avx", "avx2", "fma", "f16c", "vaes", "vpclmulqdq"}
    for cpu, want in (("max", host), ("max,-avx", host - without)):
        vm = c.boot("linux-686", "-cpu", cpu)
        vm.type("for f in %s; do grep -qw $f /proc/cpuinfo && echo has-$f; done; echo all-$((6*7))\n" %
                " ".join(sorted(CPUINFO)))
        vm.wait(r"^all-42", 60)
        has = set(re.findall(r"^has-(\w+)", vm.seen(), re.M))
        if has != want:
            raise Failed("%s: more %s, less %s" % (cpu, sorted(has - want), sorted(want - has)))


@case()
def linux_686_pae(c):
    use_linux(c.boot("linux-686-pae"))


@case()
def linux_cd(c):
    """The same kernel from a CD, by isolinux."""
    use_linux(c.boot("linux-cd"))


def md5(path, size=None):
    with open(path, "rb") as f:
        return hashlib.md5(f.read(size)).hexdigest()


def linux_disks(c, append, mode):
    """Linux's own drivers read a disk and a CD whole and write; the host compares."""
    path, iso = c.path("disk.img"), guest_file("linux.iso")
    with open(path, "wb") as f:
        f.write(os.urandom(16 << 20))
    before = md5(path)
    vm = c.start("-m", 128, "-kernel", guest_file("vmlinuz-686"), "-initrd", guest_file("initrd-disks.gz"),
                 "-append", "console=ttyS0 panic=-1 " + append, "-hda", path, "-cdrom", iso)
    vm.wait(r"DISKS-DONE", 600)
    said = vm.serial()
    vm.quit()

    def expect(what, value):
        found = re.search(r"^%s (\S+)" % what, said, re.M)
        if not found or found[1] != value:
            raise Failed("%s: the guest says %s, want %s" % (what, found and found[1], value))
    expect("disk", before)
    expect("again", re.search(r"^wrote (\S+)", said, re.M)[1])
    expect("again", md5(path))
    with open(path, "rb") as f:
        content = f.read()
    if content[64 << 16:96 << 16] != content[:32 << 16]:
        raise Failed("the copy on the disk differs")
    expect("cd", md5(iso))
    expect("file", md5(guest_file("vmlinuz-686")))
    expect("mode", mode)
    problems = re.findall(r"ata\d.*(?:error|failed|timeout).*|.*I/O error.*", said)
    if problems:
        raise Failed("Linux complains: " + problems[0])


@case()
def linux_disks_dma(c):
    linux_disks(c, "", "XFER_MW_DMA_2")


@case()
def linux_disks_pio(c):
    linux_disks(c, "libata.dma=0", "XFER_PIO_4")


@case()
def linux_killed(c):
    """kill -9 while Linux writes: every block it was told is on the disk is in the image."""
    path = c.path("disk.img")
    with open(path, "wb") as f:
        f.truncate(64 << 20)
    vm = c.start("-m", 128, "-kernel", guest_file("vmlinuz-686"), "-initrd", guest_file("initrd-disks.gz"),
                 "-append", "console=ttyS0 panic=-1 writes", "-hda", path, "-cdrom", guest_file("linux.iso"))
    vm.wait(r"^flushed 20\b", 600)
    time.sleep(random.random())
    vm.process.kill()
    vm.process.wait()
    told = [int(n) for n in re.findall(r"^flushed (\d+)\r?$", vm.serial(), re.M)]
    with open(path, "rb") as f:
        for n in told:
            if f.read(4096) != (b"block %d\n" % n * 600)[:4096]:
                raise Failed("block %d of %d was flushed and is lost" % (n, len(told)))


def asleep(vm):
    return vm.qmp.run("query-status")["return"]["status"] == "suspended"


def linux_own_warning(said):
    """Without a warning of Linux 6.1 at itself: where it resumes, an allocation may ask for random numbers as their seed is due, and
    that asks for the time, which has not resumed (irqrouter_resume to crng_make_state to ktime_get_seconds). The console may leave
    out lines; those that it shows must be that call's, and no other complaint among them."""
    def unless_own(found):
        warning, trace = found[0].split("Call Trace:", 1)
        other = re.search("WARNING|BUG|Oops|[Ee]rror|fail|timeout", warning.split("\n", 1)[1] + trace)
        return found[0] if other or ("+0x" in trace and "crng_make_state" not in trace) else ""

    return re.sub(r"^\[ *[\d.]+\] WARNING: .* ktime_get_seconds.*\n(?:\[.*\n){0,60}?\[.* Call Trace:.*\n(?:\[ *[\d.]+\]  .*\n)*", unless_own,
                  said, flags=re.M)


@case()
def linux_suspend(c):
    """Linux sleeps in S3 four times, is woken in four ways, and has its memory, disk, network and clock again."""
    wake = {"wakeup": lambda: vm.qmp.run("system_wakeup"), "rtc": None, "key": lambda: vm.press("shift"),
            "button": lambda: vm.qmp.run("system_powerdown")}
    path = c.path("disk.img")
    with open(path, "wb") as f:
        f.truncate(16 << 20)
    vm = c.start("-m", 128, "-kernel", guest_file("vmlinuz-686"), "-initrd", guest_file("initrd-sleep.gz"), "-append",
                 "console=ttyS0 panic=-1 no_console_suspend ways=" + ",".join(wake), "-hda", path, "-nic", "user,model=e1000")
    for way, rouse in wake.items():
        vm.wait("^SLEEP " + way, 300)
        if way != "rtc":  # which may come at once
            vm.wait_for("sleep", lambda: asleep(vm), 120)
            time.sleep(1.2)  # the clock has to go on
            rouse()
        vm.wait("^USED " + way, 120)
    vm.wait_end(120)
    events = [e for e in vm.qmp.events if e in ("SUSPEND", "WAKEUP")]
    if events != ["SUSPEND", "WAKEUP"] * len(wake):
        raise Failed("events: %s" % events)
    said = vm.serial()
    for what in "memory", "disk", "network", "clock":
        if len(re.findall("^%s ok" % what, said, re.M)) != len(wake):
            raise Failed("%s: %s" % (what, re.findall("^%s .*" % what, said, re.M)))
    lines = re.findall(r"^\[ *[\d.]+\] .*", linux_own_warning(said[said.index("SLEEP"):]), re.M)
    for i, line in enumerate(lines):
        if re.search(r"ata\d.*(?:error|fail|timeout)|I/O error|Call Trace|WARNING|unstable|rror.*resum|resum.*rror", line):
            raise Failed("Linux complains: " + "\n    ".join(lines[i:i + 40]))


@case()
def linux_pointer(c):
    """Linux, which takes a VMware for one by its serial number, finds the mouse, and gets the places where a viewer's pointer is, and its buttons."""
    path = c.path("vnc")
    vm = c.start("-m", 64, "-kernel", guest_file("vmlinuz-686"), "-initrd", guest_file("initrd-pointer.gz"), "-append",
                 "console=ttyS0 quiet panic=-1", "-vnc", "unix:" + path, "-smbios", "type=1,serial=VMware-1")
    vm.wait("POINTER-READY", 120)
    viewer = Viewer(path)
    width, height = viewer.size

    def told(kind, code, value):
        vm.wait("%04x %04x %04x %04x" % (kind, code, value & 0xffff, value >> 16 & 0xffff), 20)

    viewer.pointer(width - 1, height // 2)
    told(3, 0, 0xffff)
    told(3, 1, 0xffff * (height // 2) // (height - 1))
    viewer.pointer(0, height - 1)
    told(3, 0, 0)
    told(3, 1, 0xffff)
    viewer.pointer(0, height - 1, 1)
    told(1, 0x110, 1)
    viewer.pointer(0, height - 1, 0)
    told(1, 0x110, 0)


@case()
def linux_cd_change(c):
    """The CD is taken out and exchanged over QMP; Linux notices and reads the new one."""
    first, second = guest_file("linux.iso"), c.path("second.iso")
    disk = c.path("disk.img")
    with open(second, "wb") as f:
        f.write(os.urandom(100 * 2048))
    with open(disk, "wb") as f:
        f.truncate(1 << 20)
    vm = c.start("-m", 128, "-kernel", guest_file("vmlinuz-686"), "-initrd", guest_file("initrd-disks.gz"),
                 "-append", "console=ttyS0 panic=-1 watch-cd", "-hda", disk, "-cdrom", first)
    vm.wait("sum %s sectors %d" % (md5(first, 30 * 2048), os.path.getsize(first) // 512), 600)
    vm.qmp.run("eject", device="ide1-cd0")
    vm.wait("sum %s" % hashlib.md5(b"").hexdigest(), 60)
    vm.qmp.run("blockdev-change-medium", device="ide1-cd0", filename=second)
    vm.wait("sum %s sectors 400" % md5(second, 30 * 2048), 60)


@case()
def debian_installer(c):
    """To its first menu, on screen."""
    c.boot("debian-installer")


@case()
def memtest86(c):
    c.boot("memtest86").wait(r"Time: +0:00:0[2-9]|0:00:[1-5]\d", 120)


@case()
def memtest86_cd(c):
    c.boot("memtest86-cd")


def grub_boots_a_disk(vm):
    """GRUB's prompt, and from there the boot sector of another drive."""
    while "grub>" not in vm.screen():
        vm.press("c")
        time.sleep(0.5)
    vm.type("\n")  # a "c" too many may be on the line
    vm.type("ls\n")
    vm.wait(r"\(hd0\)", 60)
    vm.type("set root=(hd0)\nchainloader +1\nboot\n")
    vm.wait(r"login:", 180)


@case()
def grub_cd(c):
    grub_boots_a_disk(c.boot("grub-cd"))


@case()
def grub_floppy(c):
    grub_boots_a_disk(c.boot("grub-floppy"))


@case()
def ipxe_cd(c):
    c.boot("ipxe-cd").wait(r"iPXE>|No more network devices|No bootable|press Ctrl-B", 120)


@case()
def ipxe_kernel(c):
    c.boot("ipxe-kernel")


# ---- Running them ----

def run(name, function, o, way=()):
    """The verdict, and CPU seconds."""
    start, c = time.time(), Context(name, o, way)
    try:
        function(c)
        verdict, why = "ok", ""
    except Skip as skip:
        verdict, why = "SKIP", str(skip)
    except Failed as failure:
        verdict, why = "FAIL", str(failure)
    except Exception as problem:  # a broken test must not hide the others
        verdict, why = "FAIL", repr(problem)
    cpu = sum(vm.cpu_seconds() for vm in c.machines)
    c.close()
    took = "" if verdict == "SKIP" else "(%.1f s, %.1f s CPU)" % (time.time() - start, cpu)
    print("%s %s: %s%s\n" % (verdict, c.name, why + " " if why and took else why, took), end="", flush=True)
    return verdict, cpu


def table(cases, ways, results):
    heads = [" ".join(way) for way in ways]
    print("%-18s" % "CPU seconds" + "".join("%14s" % head for head in heads))
    for i, c in enumerate(cases):
        row = results[i * len(ways):(i + 1) * len(ways)]
        print("%-18s" % c.name + "".join("%14s" % ("%.1f" % cpu if verdict == "ok" else verdict) for verdict, cpu in row))


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--vmm", default=os.path.join(TOP, "build", "ring3"))
    a.add_argument("--slow", type=float, default=float(os.environ.get("SLOW", "1")))
    a.add_argument("--quick", action="store_true")
    a.add_argument("--rest", action="store_true")
    a.add_argument("--images", action="store_true")
    a.add_argument("--list", action="store_true")
    a.add_argument("--engines")
    a.add_argument("--host-models")
    a.add_argument("names", nargs="*")
    o = a.parse_args()
    cases = [c for c in CASES if c.wanted(o)]
    if o.list:
        print("\n".join(c.name for c in cases))
        return 0
    ways = [()]
    if o.engines or o.host_models:
        ways = list(itertools.product((o.engines or "bt").split(","), (o.host_models or "auto").split(",")))
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        results = list(pool.map(lambda job: run(job[0].name, job[0].function, o, job[1]), itertools.product(cases, ways)))
    if len(ways) > 1:
        table(cases, ways, results)
    passed, failed, skipped = ([v for v, _ in results].count(v) for v in ("ok", "FAIL", "SKIP"))
    print("%d passed, %d failed" % (passed, failed) + (", %d skipped" % skipped if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
