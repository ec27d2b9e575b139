#!/usr/bin/env python3
"""Network cards and back ends with guests that use them: iPXE and Linux's drivers, each of our cards.

  network.py [--vmm COMMAND] [--slow FACTOR] [--list] [NAME…]

Servers are this program's own, on the loopback interface: the guest reaches them as 10.0.2.2. Nothing leaves the host.
"""
import hashlib
import os
import random
import re
import socket
import struct
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import boot  # noqa: E402
from boot import CASES, Case, case, guest_file  # noqa: E402
from images import TOP, package  # noqa: E402
from serve import Files  # noqa: E402
from vm import Failed, free_port  # noqa: E402

CASES.clear()  # boot.py's own
IPXE = package("/usr/lib/ipxe/ipxe.lkrn", "ipxe")


def cards():
    text = subprocess.run([os.path.join(TOP, "build", "ring3"), "-nic", "user,model=help"], capture_output=True,
                          text=True).stdout
    return [line.split()[0] for line in text.splitlines()]


class Server:
    """Files by HTTP; and what one connection to another port brings."""

    def __init__(self, files):
        self.seen = []
        self.files = Files(lambda path: self.seen.append(path) or files.get(path[1:]))
        self.port = self.files.port
        self.sink = socket.create_server(("127.0.0.1", 0))
        self.sink_port = self.sink.getsockname()[1]
        self.stored = None
        threading.Thread(target=self.store, daemon=True).start()

    def store(self):
        try:
            with self.sink.accept()[0] as s:
                self.stored = s.makefile("rb").read()
        except OSError:
            pass

    def close(self):
        self.sink.close()
        self.files.close()


def expect(condition, text):
    if not condition:
        raise Failed(text)


def frames(path):
    """The frames of a pcap file."""
    with open(path, "rb") as f:
        data = f.read()
    expect(data[:4] == b"\xd4\xc3\xb2\xa1", "no pcap file")
    at, found = 24, []
    while at < len(data):
        kept = struct.unpack_from("<I", data, at + 8)[0]
        found.append(data[at + 16:at + 16 + kept])
        at += 16 + kept
    return found


# ---- iPXE: its own drivers, polled ----

def ipxe(c, card):
    """DHCP, a script by TFTP, and a second one by HTTP from a server on the host."""
    server = Server({"second.ipxe": b"#!ipxe\necho second script by http\nsleep 600\n"})
    try:
        with open(c.path("first.ipxe"), "w") as f:
            f.write("#!ipxe\necho first script by tftp\nchain http://10.0.2.2:%d/second.ipxe\n" % server.port)
        vm = c.start("-m", 64, "-kernel", IPXE.found(), "-nic",
                     "user,id=n,model=%s,tftp=%s,bootfile=first.ipxe" % (card, c.folder),
                     "-object", "filter-dump,id=d,netdev=n,file=" + c.path("frames.pcap"))
        vm.wait("first script by tftp", 120)
        vm.wait("second script by http", 120)
        expect(server.seen == ["/second.ipxe"], "the server was asked for %s" % server.seen)
        wire = frames(c.path("frames.pcap"))
        expect(any(b"\x63\x82\x53\x63" in f for f in wire), "no DHCP in the record")
        expect(any(b"GET /second.ipxe" in f for f in wire), "no HTTP in the record")
    finally:
        server.close()


# ---- Linux: Debian's drivers, interrupts ----

JOB = """
echo "sum $(wget -q -O - http://10.0.2.2:%(port)d/blob | md5sum | cut -c1-32)"
dd if=/dev/urandom of=/up bs=64k count=16 2>/dev/null
echo "up $(md5sum </up | cut -c1-32)"
nc -w 5 10.0.2.2 %(sink)d </up
ping -c 3 -s 1000 10.0.2.2
echo listening
echo from the guest | nc -l -p 22
"""


def linux_options(card, words):
    return ["-m", 64, "-kernel", guest_file("vmlinuz-686"), "-initrd", guest_file("initrd-network.gz"), "-append",
            "console=ttyS0 quiet panic=-1 card=%s %s" % (card, words)]


def from_guest(port):
    with socket.create_connection(("127.0.0.1", port), 30) as s:
        s.settimeout(30)
        return s.makefile().readline()


def linux(c, card):
    """DHCP and TFTP; a download, an upload, a ping, a connection from outside; nothing damaged, no error counted."""
    blob = random.Random(1).randbytes(4 * 1024 * 1024)
    server, port = Server({"blob": blob}), free_port()
    try:
        with open(c.path("job"), "w") as f:
            f.write(JOB % {"port": server.port, "sink": server.sink_port})
        where = ",irq=10" if "isa" in card else ""  # Linux keeps 9 for ACPI alone
        vm = c.start(*linux_options(card, "job=job"), "-device", "%s,netdev=n%s" % (card, where), "-netdev",
                     "user,id=n,tftp=%s,hostfwd=tcp:127.0.0.1:%d-:22" % (c.folder, port))
        vm.wait(r"lease 10\.0\.2\.15 router 10\.0\.2\.2 dns 10\.0\.2\.3", 120)
        got = vm.wait(r"sum (\w{32})", 180)[1]
        expect(got == hashlib.md5(blob).hexdigest(), "the download is damaged")
        sent = vm.wait(r"up (\w{32})", 60)[1]
        vm.wait(r"3 packets received|3 received", 60)
        vm.wait_for("the end of the upload", lambda: server.stored is not None, 60)
        expect(hashlib.md5(server.stored).hexdigest() == sent, "the upload is damaged")
        vm.wait("listening", 30)
        vm.wait_for("a line from the guest", lambda: "from the guest" in from_guest(port), 60)
        vm.wait("NETWORK-DONE", 60)
        expect(re.search(r"errors 0 0 ", vm.serial()), "the driver counts errors: " + vm.serial()[-200:])
    finally:
        server.close()


# ---- The cards' boot ROMs: DHCP and TFTP before any system ----

def rom(c, card):
    """-boot n: SeaBIOS finds iPXE in the card's expansion ROM, which boots a script."""
    with open(c.path("first.ipxe"), "w") as f:
        f.write("#!ipxe\necho script by the boot rom\nsleep 600\n")
    vm = c.start("-m", 64, "-boot", "n", "-nic", "user,model=%s,tftp=%s,bootfile=first.ipxe" % (card, c.folder))
    vm.wait("script by the boot rom", 120)


for name in cards():
    for what in (ipxe, linux) if "isa" in name else (ipxe, linux, rom):
        CASES.append(Case("%s-%s" % (what.__name__, name.replace("_", "-")),
                          lambda c, card=name, run=what: run(c, card)))


# ---- Servers inside the private network ----

def http_answer(text):
    return ("HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text)).encode() + text


def answer(s, path, text):
    s.settimeout(120)
    asked = b""
    while b"\r\n\r\n" not in asked:
        asked += s.recv(4096)
    expect(asked.startswith(b"GET " + path), "it was asked %r" % asked)
    s.sendall(http_answer(text))


@case()
def guestfwd(c):
    """A command that is run for each connection, a -chardev, and a server of the host's are servers that the guest finds."""
    with open(c.path("answer"), "wb") as f:
        f.write(http_answer(b"#!ipxe\necho script by a command\nchain http://10.0.2.51:8080/two.ipxe\n"))
    with open(c.path("first.ipxe"), "w") as f:
        f.write("#!ipxe\nchain http://10.0.2.50/one.ipxe\n")
    tcp = socket.create_server(("127.0.0.1", 0))
    vm = c.start("-m", 64, "-kernel", IPXE.found(), "-chardev", "socket,id=s,path=%s,server=on,wait=off" % c.path("s"), "-nic",
                 "user,id=n,tftp=%s,bootfile=first.ipxe,guestfwd=tcp:10.0.2.50:80-cmd:cat %s,"
                 "guestfwd=tcp:10.0.2.51:8080-chardev:s,guestfwd=tcp:10.0.2.52:80-tcp:127.0.0.1:%d" %
                 (c.folder, c.path("answer"), tcp.getsockname()[1]))
    with socket.socket(socket.AF_UNIX) as s:
        vm.wait_for("the socket", lambda: os.path.exists(c.path("s")), 20)
        s.connect(c.path("s"))
        big = b"#!ipxe\n" + b"# filling\n" * 10000 + b"echo script by a chardev\nchain http://10.0.2.52/three.ipxe\n"
        answer(s, b"/two.ipxe", big)
        vm.wait("script by a chardev", 60)
    with tcp, tcp.accept()[0] as s:
        answer(s, b"/three.ipxe", b"#!ipxe\necho script by a client\nsleep 600\n")
        vm.wait("script by a client", 60)
    expect("script by a command" in vm.seen(), "the command")


# ---- Two machines ----

def ping_each_other(c, one, two):
    vms = [c.start(*linux_options("ne2k_pci", "address=10.9.0.%d peer=10.9.0.%d" % (i + 1, 2 - i)), "-nic",
                   "socket,model=ne2k_pci,mac=52:54:00:00:00:0%d,%s" % (i + 1, how)) for i, how in enumerate((one, two))]
    for vm in vms:
        vm.wait(r"20 packets transmitted, 20 (packets )?received", 180)


@case()
def two_machines_by_tcp(c):
    port = free_port()
    ping_each_other(c, "listen=127.0.0.1:%d" % port, "connect=127.0.0.1:%d" % port)


@case()
def two_machines_by_multicast(c):
    how = "mcast=230.1.2.3:%d,localaddr=127.0.0.1" % free_port()
    ping_each_other(c, how, how)


if __name__ == "__main__":
    boot.__doc__ = __doc__
    sys.exit(boot.main())
