#!/usr/bin/env python3
"""DOS does TCP: tests/guests/dos has a packet driver for the NE2000 and a program that fetches a text by it, run by FreeDOS and
MS-DOS 4, plain and in V86 mode under EMM386.

  dosnet.py [--vmm COMMAND] [--slow FACTOR] [--list] [NAME…]

The server is this program's own, on the loopback interface: the guest reaches it as 10.0.2.2. What DOS has written to its floppy is
read by mtools and compared with what was sent.
"""
import os
import shutil
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import boot  # noqa: E402
from boot import CASES, Case  # noqa: E402
from images import SYSTEMS, TOP, Shared, Skip  # noqa: E402
from vm import Failed  # noqa: E402

CASES.clear()  # boot.py's own
PROGRAMS = os.path.join(TOP, "build", "tests", "guests")
TEXT = b"".join(b"line %05d: the quick brown fox jumps over the lazy dog\r\n" % n for n in range(700))
REQUEST = b"the text, please\r\n"


class Server:
    """Answers each request with the text, and ends the connection."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.asked = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                with self.socket.accept()[0] as s:
                    s.settimeout(60)
                    self.asked.append(s.makefile("rb").readline())
                    s.sendall(TEXT)
            except TimeoutError:
                continue
            except OSError:  # closed
                return


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def mtools(*command):
    if not shutil.which("mcopy"):
        raise Skip("mcopy is not there: apt-get install mtools")
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Failed("%s: %s" % (command[0], done.stderr.strip()))


def dos(c, system, prompt, *options):
    """The machine at its prompt, with our programs on its floppy, and the floppy's image."""
    image = c.image(SYSTEMS[system].options[3].image.path.rsplit("/", 1)[1])
    for name in ("ne2000.com", "fetch.com"):
        mtools("mcopy", "-o", "-i", image, os.path.join(PROGRAMS, name), "::/" + name.upper())
    vm = c.start("-m", 16, "-drive", "file=%s,if=floppy,format=raw" % image, "-boot", "a", *options)
    SYSTEMS[system].wait(vm)
    if system == "msdos4":
        vm.type("\n")
        vm.wait("Enter new time", 30)
        vm.type("\n")
    vm.wait(prompt, 60)
    vm.type("cls\n")
    return vm, image


CARD = ["-netdev", "user,id=n", "-device", "ne2k_isa,iobase=0x300,irq=10,netdev=n"]


def network(c, system, prompt):
    """Nothing without the driver; a text to a file, twice; a closed port; and the text is whole."""
    server = Server()
    try:
        vm, image = dos(c, system, prompt, *CARD)
        vm.type("fetch 1\n")
        vm.wait("failed: no packet driver", 30)
        vm.type("ne2000\n")
        vm.wait("packet driver at INT 60h", 30)
        vm.type("cls\nne2000\n")
        vm.wait("is at INT 60h already", 30)
        for name in "one", "two":
            vm.type("cls\nfetch %d >%s.txt\n" % (server.port, name))
            vm.wait("fetched %d bytes" % len(TEXT), 120)
            vm.wait(prompt, 60)
        vm.type("cls\nfetch %d\n" % closed_port())
        vm.wait("failed: the port is closed", 60)
        if server.asked != [REQUEST] * 2:
            raise Failed("the server was asked %s" % server.asked)
        vm.type("cls\nfetch %d\n" % server.port)  # to the screen
        vm.wait("line 00699.*fetched %d bytes" % len(TEXT), 120)
        vm.close()
        for name in "one.txt", "two.txt":
            mtools("mcopy", "-o", "-i", image, "::/" + name, c.path(name))
            with open(c.path(name), "rb") as f:
                if f.read() != TEXT:
                    raise Failed("%s is damaged" % name)
    finally:
        server.socket.close()


def no_card(c, system, prompt):
    """The driver finds that there is no card, and stays away."""
    vm, _ = dos(c, system, prompt)
    vm.type("ne2000\n")
    vm.wait("No NE2000 at 300h", 30)


PROMPT = r"^A(:\\)?>\s*\Z"
for name in "freedos", "freedos-emm386", "msdos4", "msdos4-emm386":
    CASES.append(Case("network-" + name, lambda c, name=name: network(c, name, PROMPT)))
CASES.append(Case("no-card", lambda c: no_card(c, "freedos", PROMPT)))

if __name__ == "__main__":
    boot.__doc__ = __doc__
    sys.exit(boot.main())
