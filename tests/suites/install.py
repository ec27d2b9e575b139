#!/usr/bin/env python3
"""Installs Debian over the network to a qcow2 disk, with nobody asked, and uses what was installed; kills the VMM while it installs.

  install.py [--vmm COMMAND] [--slow FACTOR] [--list] [--fetch] [NAME…]

The installer is tests/guests/install's, not Debian's own (why: its make-installer). This program is the mirror, on the loopback
interface, which the guest reaches as 10.0.2.2: files of Debian's archive, kept in ~/.cache/ring3/mirror. --fetch gets from the archive
what is not there yet; without it that case is skipped.
"""
import hashlib
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

os.environ["PATH"] += ":/usr/sbin:/sbin"
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import boot  # noqa: E402
from boot import CASES, case, guest_file  # noqa: E402
from images import TOP, File, Skip  # noqa: E402
from serve import Files  # noqa: E402
from vm import Failed  # noqa: E402

CASES.clear()  # boot.py's own
ARCHIVE = "http://deb.debian.org"
KEPT = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "ring3", "mirror")
INITRD = File(os.path.join(TOP, "build", "guests", "initrd-install.gz"), ": tests/guests/install/make-installer makes it")
PASSWORD = "correct horse"
ANSWERS = {"disk": "/dev/sda", "suite": "bookworm", "packages": "linux-image-686 grub-pc systemd-sysv udev", "hostname": "fresh",
           "password": PASSWORD}
CARD = "e1000"
PARTITION = 2048 * 512  # where it begins, in bytes
FETCH = "--fetch" in sys.argv
if FETCH:
    sys.argv.remove("--fetch")


class Mirror:
    """Serves the answers and what is kept of Debian's archive."""

    def __init__(self, **more):
        self.missing, self.bytes = [], 0
        self.debs = {}  # of each package that was served, by its file's name: SHA-256
        self.files = Files(self.file)
        self.port = self.files.port
        answers = dict(ANSWERS, mirror="http://10.0.2.2:%d/debian" % self.port, **more)
        self.answers = "".join('%s="%s"\n' % pair for pair in answers.items()).encode()

    def file(self, path):
        if path == "/answers":
            return self.answers
        if not re.fullmatch(r"(/[\w.+~%-]*\w[\w.+~%-]*)+", path):
            return None
        kept = os.path.join(KEPT, path[1:])
        if not os.path.exists(kept) and not (FETCH and self.fetch(path, kept)):
            self.missing.append(path)
            return None
        with open(kept, "rb") as f:
            data = f.read()
        self.bytes += len(data)
        if path.endswith(".deb"):
            self.debs[os.path.basename(path)] = hashlib.sha256(data).hexdigest()
        return data

    @staticmethod
    def fetch(path, kept):
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        try:
            with urllib.request.urlopen(ARCHIVE + path, timeout=60) as source, open(kept + ".part", "wb") as f:
                shutil.copyfileobj(source, f)
        except (OSError, urllib.error.URLError):
            return False
        os.rename(kept + ".part", kept)
        return True

    def close(self):
        self.files.close()


class Terminal:
    """The other end of a serial port: all that came, and lines sent."""

    def __init__(self, vm, path):
        self.vm, self.text = vm, ""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            try:
                data = self.socket.recv(4096)
            except OSError:
                return
            if not data:
                return
            self.text += data.decode("latin1")

    def send(self, line):
        self.socket.sendall(line.encode() + b"\n")

    def wait(self, pattern, patience):
        return self.vm.wait_for("/%s/" % pattern, lambda: re.search(pattern, self.text), patience)

    def ask(self, command, pattern, patience=60):
        start = len(self.text)
        self.send(command)
        return self.vm.wait_for("/%s/" % pattern, lambda: re.compile(pattern, re.M).search(self.text, start), patience)


def output(*command, accepted=(0,)):
    """What it says; whatever it says, Failed if its status is not one of these."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    text = done.stdout.decode("latin1")
    if done.returncode not in accepted:
        raise Failed("%s ends with %d: %s" % (" ".join(command[:3]), done.returncode, text.strip()[-300:]))
    return text


def start_installer(c, mirror, disk):
    vm = c.start("-m", 768, "-kernel", guest_file("vmlinuz-686"), "-initrd", INITRD.found(), "-append",
                 "console=ttyS0 quiet panic=-1 answers=http://10.0.2.2:%d/answers" % mirror.port, "-drive",
                 "file=%s,format=qcow2" % disk, "-nic", "user,model=" + CARD)
    vm.look_every = 1
    return vm


def wait_installer(vm, mirror, pattern, patience):
    """Waits for a line of the installer's; skips if it fails for want of files."""
    try:
        seen = vm.wait_for("/%s/" % pattern, lambda: re.search(pattern + r"|^FAILED \w+", vm.serial(), re.S | re.M), patience)
    except Failed as problem:
        raise Failed("%s; last: %s" % (problem, vm.serial()[-300:]))
    if not seen[0].startswith("FAILED"):
        return seen
    lost = [path for path in mirror.missing if path.endswith((".deb", "InRelease"))]
    if lost and not FETCH:
        raise Skip("%s is not kept here: tests/suites/install.py --fetch gets it" % lost[0])
    raise Failed("%s: %s" % (seen[0], vm.serial()[-600:]))


def install(c, mirror, disk):
    vm = start_installer(c, mirror, disk)
    wait_installer(vm, mirror, "^INSTALLED", 3600)
    print("installed in %.0f s, %.0f s of CPU; %d packages, %.0f MB from the mirror" % (
        time.time() - vm.start, vm.cpu_seconds(), len(mirror.debs), mirror.bytes / 1e6), flush=True)
    vm.wait_end(60)


class Installed:
    """A boot of what was installed, by its own GRUB and kernel, and a shell on its serial port."""

    def __init__(self, c, disk, name):
        path = c.path(name)
        self.vm = c.start("-m", 256, "-drive", "file=%s,format=qcow2" % disk, "-nic", "user,model=" + CARD, "-serial",
                          "unix:%s,server=on,wait=off" % path)
        self.terminal = t = Terminal(self.vm, path)
        self.ask = t.ask
        t.wait("fresh login: ", 600)
        t.send("root")
        t.wait("Password: ", 60)
        t.send(PASSWORD)
        t.wait(r"root@fresh:~# ", 120)
        t.ask("exec sh", r"# $")  # a shell that does not edit its lines
        # The kernel says nothing on this port then, not even that a busy host has kept it waiting.
        t.ask("stty -echo; PS1=; echo 0 >/proc/sys/kernel/printk; echo quiet", r"^quiet")

    def lines(self, command, patience=120):
        """What a command says."""
        text, status = self.ask("%s; echo status-$?" % command, r"(?s)(.*)status-(\d+)\s", patience).groups()
        if status != "0":
            raise Failed("%s ends with %s: %s" % (command, status, text[-200:]))
        return text.replace("\r", "").splitlines()

    def end(self):
        print("up and down again: %.0f s, %.0f s of CPU" % (time.time() - self.vm.start, self.vm.cpu_seconds()), flush=True)
        self.terminal.send("poweroff")
        self.vm.wait_end(120)


def check_packages(system, mirror):
    """What came over the network is what is installed, and whole."""
    names = {re.sub(r"_\d+(:|%3a)", "_", line) + ".deb" for line in
             system.lines("dpkg-query -W -f '${Package}_${Version}_${Architecture}\\n'")}
    if names != set(mirror.debs):
        raise Failed("installed, or served, but not both: %s" % sorted(names ^ set(mirror.debs)))
    differ = [line for line in system.lines("dpkg --audit; dpkg --verify; true", 300) if not line.startswith("??5?????? c ")]
    if differ:
        raise Failed("not as in the packages: %s" % differ[:5])
    sums = {line.split()[0] for line in system.lines("sha256sum /var/cache/apt/archives/*.deb", 300)}
    if sums != set(mirror.debs.values()):
        raise Failed("%d packages on the disk are not those that were served" % len(sums ^ set(mirror.debs.values())))


def first_boot(c, disk, mirror):
    system = Installed(c, disk, "first")
    check_packages(system, mirror)
    release = system.lines("uname -r")[0]
    if not any(name.startswith("linux-image-%s_" % release) for name in mirror.debs):
        raise Failed("the kernel is %s, which was not served" % release)
    system.ask("systemctl --failed --no-legend | wc -l | sed s/^/units:/", r"^units:0", 60)
    system.ask("until grep -o '10\\.0\\.2\\.15' /proc/net/fib_trie; do sleep 1; done", r"^10\.0\.2\.15", 60)
    system.ask("apt-get -qq -o Acquire::Languages=none update && echo updated", "^updated", 180)
    system.lines("seq 200000 >/root/numbers")
    system.end()


def second_boot(c, disk, mirror):
    """The file system is checked, and what the installer and the first boot have written is there."""
    system = Installed(c, disk, "second")
    log = system.lines("journalctl -b -u systemd-fsck-root -o cat")
    if not any(re.match(r"root: \d+/\d+ files .*blocks$", line) for line in log) or re.search("FIXED|UNEXPECTED", str(log)):
        raise Failed("fsck: %s" % log)
    system.ask("lsblk -n -o FSTYPE,MOUNTPOINT /dev/sda1", r"^ext4 +/\s")
    for path, content in (("/var/log/installer/answers", mirror.answers),
                          ("/root/numbers", "".join("%d\n" % i for i in range(1, 200001)).encode())):
        found = system.lines("sha256sum " + path)[0].split()[0]
        if found != hashlib.sha256(content).hexdigest():
            raise Failed("%s is not as it was written" % path)
    system.end()


def make_disk(c):
    for tool, where in (("qemu-img", "qemu-utils"), ("qemu-io", "qemu-utils"), ("e2fsck", "e2fsprogs"), ("debugfs", "e2fsprogs")):
        if not shutil.which(tool):
            raise Skip("%s is missing: apt-get install %s" % (tool, where))
    INITRD.found()
    if not FETCH and not os.path.exists(os.path.join(KEPT, "debian", "dists", "bookworm", "InRelease")):
        raise Skip("nothing of Debian's archive is kept here: tests/suites/install.py --fetch gets it")
    disk = c.path("disk.qcow2")
    output("qemu-img", "create", "-q", "-f", "qcow2", disk, "4G")
    return disk


def check_disk(c, disk):
    """The image's tables, and the file system."""
    output("qemu-img", "check", disk)
    output("e2fsck", "-fn", partition(c, disk))


def partition(c, disk):
    raw = c.path("partition")
    output("qemu-img", "convert", "-O", "raw", "--image-opts", "driver=raw,offset=%d,file.driver=qcow2,file.file.filename=%s" % (
        PARTITION, disk), raw)
    return raw


@case()
def debian_by_network(c):
    disk = make_disk(c)
    mirror = Mirror(mark="")
    try:
        install(c, mirror, disk)
        check_disk(c, disk)
        first_boot(c, disk, mirror)
        check_disk(c, disk)
        second_boot(c, disk, mirror)
        check_disk(c, disk)
    finally:
        mirror.close()


@case()
def killed_while_it_installs(c):
    """The VMM is killed. The image's tables are whole, the file system recovers by its journal, what was synced is there."""
    disk = make_disk(c)
    mirror = Mirror(mark="yes")
    try:
        vm = start_installer(c, mirror, disk)
        wait_installer(vm, mirror, r"^I: Unpacking dpkg.*^MARK \d+", 3600)
        time.sleep(random.uniform(0, 3))
        synced = int(re.findall(r"^MARK (\d+)\s", vm.serial(), re.M)[-1])
        vm.process.kill()
        vm.process.wait()
        served = dict(mirror.debs)
    finally:
        mirror.close()
    check_killed(c, disk, synced, served)


def check_killed(c, disk, synced, served):
    # qemu-nbd, which has the image open for ring3, ends soon after it.
    end = time.time() + 60 * c.o.slow
    while subprocess.run(["qemu-io", "-c", "quit", disk], capture_output=True).returncode and time.time() < end:
        time.sleep(0.1)
    output("qemu-img", "check", disk)
    raw = partition(c, disk)
    said = output("e2fsck", "-p", raw, accepted=(0, 1))
    if "recovering journal" not in said:
        raise Failed("e2fsck: " + said)
    output("e2fsck", "-fn", raw)
    for number in range(1, synced + 1):
        text = output("debugfs", "-R", "cat /marks/%d" % number, raw)
        if (text.split("\n", 1)[1]) != (b"%d\n" % number * 65536)[:65536].decode():
            raise Failed("mark %d of %d is not as it was written" % (number, synced))
    folder = c.path("archives")
    os.mkdir(folder)
    output("debugfs", "-R", "rdump /var/cache/apt/archives %s" % folder, raw)
    sums = {hashlib.sha256(open(os.path.join(path, name), "rb").read()).hexdigest()
            for path, _, names in os.walk(folder) for name in names if name.endswith(".deb")}
    if sums != set(served.values()):
        raise Failed("%d packages on the disk are not those that were served" % len(sums ^ set(served.values())))
    print("killed after mark %d; %d packages are whole" % (synced, len(sums)), flush=True)


if __name__ == "__main__":
    boot.__doc__ = __doc__
    sys.exit(boot.main())
