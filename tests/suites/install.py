#!/usr/bin/env python3
"""Installs Debian over the network to a qcow2 disk, with nobody asked, and uses what was installed.

  install.py [--vmm COMMAND] [--slow FACTOR] [--list] [--fetch] [NAME…]

The installer is tests/guests/install's, not Debian's own (why: its make-installer). This program is the mirror, on the loopback
interface, which the guest reaches as 10.0.2.2: files of Debian's archive, kept in ~/.cache/ring3/mirror. --fetch gets from the archive
what is not there yet; without it that case is skipped.
"""
import http.server
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import boot  # noqa: E402
from boot import CASES, case, guest_file  # noqa: E402
from images import TOP, File, Skip  # noqa: E402
from vm import Failed  # noqa: E402

CASES.clear()  # boot.py's own
ARCHIVE = "http://deb.debian.org"
KEPT = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "ring3", "mirror")
INITRD = File(os.path.join(TOP, "build", "guests", "initrd-install.gz"), ": tests/guests/install/make-installer makes it")
PASSWORD = "correct horse"
PACKAGES = "linux-image-686 grub-pc systemd-sysv udev"
ANSWERS = """disk=/dev/sda
suite=bookworm
mirror=http://10.0.2.2:%d/debian
packages="%s"
hostname=fresh
password="%s"
"""
FETCH = "--fetch" in sys.argv
if FETCH:
    sys.argv.remove("--fetch")


class Mirror:
    """Serves ANSWERS and what is kept of Debian's archive."""

    def __init__(self, port=0):
        mirror = self
        self.missing, self.served = [], 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                data = mirror.file(self.path)
                self.send_response(404 if data is None else 200)
                self.send_header("Content-Length", str(len(data or b"")))
                self.end_headers()
                self.wfile.write(data or b"")

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def file(self, path):
        if path == "/answers":
            return (ANSWERS % (self.port, PACKAGES, PASSWORD)).encode()
        if not re.fullmatch(r"(/[\w.+~%-]*\w[\w.+~%-]*)+", path):
            return None
        kept = os.path.join(KEPT, path[1:])
        if not os.path.exists(kept) and not (FETCH and self.fetch(path, kept)):
            self.missing.append(path)
            return None
        with open(kept, "rb") as f:
            data = f.read()
        self.served += len(data)
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
        self.http.shutdown()
        self.http.server_close()


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


def wait_end(vm, patience):
    try:
        vm.process.wait(patience * vm.slow)
    except subprocess.TimeoutExpired:
        raise Failed("the machine does not go off")


def install(c, mirror, disk, card):
    vm = c.start("-m", 768, "-kernel", guest_file("vmlinuz-686"), "-initrd", INITRD.found(), "-append",
                 "console=ttyS0 quiet panic=-1 answers=http://10.0.2.2:%d/answers" % mirror.port, "-drive",
                 "file=%s,format=qcow2" % disk, "-nic", "user,model=" + card)
    vm.look_every = 1
    start = time.time()
    end = r"^(INSTALLED|FAILED \w+)"
    vm.wait(r"INSTALLER base|FAILED", 300)
    try:
        verdict = vm.wait(end, 1800)[1]
    except Failed as problem:
        raise Failed("%s; last: %s" % (problem, vm.serial()[-300:]))
    lost = [path for path in mirror.missing if path.endswith(".deb") or path.endswith("InRelease")]
    if verdict != "INSTALLED" and lost and not FETCH:
        raise Skip("%s is not kept here: tests/suites/install.py --fetch gets it" % lost[0])
    if verdict != "INSTALLED":
        raise Failed("%s: %s" % (verdict, vm.serial()[-600:]))
    wait_end(vm, 60)
    print("installed in %d s, %d MB from the mirror" % (time.time() - start, mirror.served / 1e6), flush=True)


def use(c, disk, card):
    """GRUB from the disk, a login over the serial port, what was installed is whole, the network is there."""
    path = c.path("serial")
    vm = c.start("-m", 256, "-drive", "file=%s,format=qcow2" % disk, "-nic", "user,model=" + card, "-serial",
                 "unix:%s,server=on,wait=off" % path)
    t = Terminal(vm, path)
    t.wait("fresh login: ", 300)
    t.send("root")
    t.wait("Password: ", 60)
    t.send(PASSWORD)
    t.wait(r"root@fresh:~# ", 60)
    t.ask("exec sh", r"^# ")  # a shell that does not edit its lines
    t.ask("dpkg --audit && echo audit $((6*7))", "^audit 42")
    t.ask("dpkg --verify; echo verified $((6*7))", "^verified 42", 180)
    if re.search(r"^\?\?5\?", t.text, re.M):
        raise Failed("files differ from their packages': " + t.text[-400:])
    t.ask("cat /etc/debian_version", r"^12\.")
    t.ask("systemctl --failed --no-legend | wc -l | sed s/^/units:/", r"^units:0", 60)
    t.ask("until grep -o '10\\.0\\.2\\.15' /proc/net/fib_trie; do sleep 1; done", r"^10\.0\.2\.15", 60)
    t.ask("apt-get -qq -o Acquire::Languages=none update && echo updated $((6*7))", "^updated 42", 180)
    t.ask("lsblk -n -o FSTYPE,MOUNTPOINT /dev/sda1", r"^ext4 +/\s")
    t.send("poweroff")
    wait_end(vm, 120)


@case()
def debian_by_network(c):
    INITRD.found()
    if not FETCH and not os.path.exists(os.path.join(KEPT, "debian", "dists", "bookworm", "InRelease")):
        raise Skip("nothing of Debian's archive is kept here: tests/suites/install.py --fetch gets it")
    disk = c.path("disk.qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "4G"], check=True)
    mirror = Mirror()
    try:
        install(c, mirror, disk, "e1000")
        check = subprocess.run(["qemu-img", "check", "-q", disk])
        if check.returncode:
            raise Failed("qemu-img check: %d" % check.returncode)
        use(c, disk, "e1000")
    finally:
        mirror.close()


if __name__ == "__main__":
    boot.__doc__ = __doc__
    sys.exit(boot.main())
