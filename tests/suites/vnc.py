#!/usr/bin/env python3
"""VNC: pictures, keys, the pointer, passwords, and viewers that misbehave.

  vnc.py [--ring3 PATH] [NAME…]

The viewer is suites/rfb.py. Guests are boot sectors that say on port E9 what the keyboard controller has for them.
"""
import contextlib
import os
import random
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from cases import Skipped, case, expect  # noqa: E402
from context import LOOP, main  # noqa: E402
from images import Shared, Skip  # noqa: E402
from rfb import EXT_KEY, POINTER_CHANGE, Refused, Viewer, encrypted  # noqa: E402
from sectors import BYTES, MOUSE, packets  # noqa: E402
from vm import VM, Failed  # noqa: E402

SHIFT, CTRL, CAPS, RETURN, LEFT, F1 = 0xffe1, 0xffe3, 0xffe5, 0xff0d, 0xff51, 0xffbe
# Mode 13h, when a key comes.
MODE = bytes.fromhex("31c0 cd16 b81300 cd10") + LOOP


def free_display():
    with socket.socket() as s:
        while True:
            display = random.randrange(100, 20000)
            try:
                s.bind(("127.0.0.1", 5900 + display))
                return display
            except OSError:
                continue


@contextlib.contextmanager
def machine(c, code, *options, vnc=None, more=""):
    """A VM with its VNC port; said() is what came from port E9 after the guest's '!'."""
    display = free_display()
    said = os.path.join(tempfile.mkdtemp(dir=c.folder.name), "said")
    boot = ["-fda", c.floppy(code)] if isinstance(code, bytes) else code
    vm = VM(c.ring3, ["-m", "16", "-boot", "a", *boot, "-debugcon", "file:" + said, "-vnc", vnc or ":%d%s" % (display, more),
                      *options])
    vm.port = 5900 + display

    def read():
        with open(said, "rb") as f:
            return f.read().rpartition(b"!")[2]

    def wait_said(want, patience=20):
        vm.wait_for("bytes " + want.hex(" "), lambda: read() == want or (len(read()) > len(want) and fail(want)), patience)

    def fail(want):
        raise Failed("%s came, not %s" % (read().hex(" "), want.hex(" ")))
    vm.said, vm.wait_said = read, wait_said
    if isinstance(code, bytes) and b"\xb0\x21\xe6\xe9" in code:
        vm.wait_for("the guest", lambda: b"!" in open(said, "rb").read(), 20)
    try:
        yield vm
        expect(vm.quit() == 0, "it did not end well")
    finally:
        vm.close()


def same_picture(vm, viewer):
    def same():
        viewer.ask()
        width, height, rgb = vm.pixels()
        return viewer.size == (width, height) and viewer.rgb() == rgb
    vm.wait_for("the same picture", same, 10)


@case
def two_viewers_see_what_one_types(c):
    """FreeDOS: the pictures are screendump's, pixel by pixel, before and after."""
    try:
        floppy = Shared("freedos-1440.img").found()
    except Skip as why:
        raise Skipped(str(why))
    with machine(c, ["-drive", "if=floppy,snapshot=on,file=" + floppy]) as vm:
        vm.wait(r"A:\\>")
        one, two = Viewer(vm.port), Viewer(vm.port)
        same_picture(vm, one)
        same_picture(vm, two)
        clients = vm.qmp.run("query-vnc")["return"]["clients"]
        expect(len(clients) == 2 and clients[0]["host"] == "127.0.0.1", str(clients))
        before = bytes(two.pixels)
        for letter in 'echo A"b_~|?>out':
            one.tap(ord(letter))
            time.sleep(0.05)
        vm.wait(r'echo A"b_~\|\?>out')
        one.tap(RETURN)
        same_picture(vm, two)
        expect(bytes(two.pixels) != before, "nothing changed")
        two.ask(incremental=True)
        one.close()
        vm.wait_for("one viewer", lambda: len(vm.qmp.run("query-vnc")["return"]["clients"]) == 1, 10)
        same_picture(vm, two)


@case
def a_packaged_viewer(c):
    with machine(c, LOOP) as vm:
        try:
            r = subprocess.run(["vncsnapshot", "-quiet", "-allowblank", "127.0.0.1:%d" % (vm.port - 5900), c.path("x.jpg")],
                               capture_output=True, text=True, timeout=60)
        except OSError:
            raise Skipped("no vncsnapshot: apt-get install vncsnapshot")
        expect(r.returncode == 0 and os.path.getsize(c.path("x.jpg")) > 1000, r.stderr[-300:])


@case
def unix_socket(c):
    path = c.path("vnc")
    with machine(c, LOOP, vnc="unix:" + path) as vm:
        same_picture(vm, Viewer(path))
        expect(vm.qmp.run("query-vnc")["return"]["family"] == "unix", "family")
    expect(not os.path.exists(path), "the socket is left")
    display = c.path("d")
    with machine(c, LOOP, "-display", "vnc=unix:" + display, vnc="none") as vm:
        same_picture(vm, Viewer(display))


def shift(code):
    return bytes([0x2a, code, 0xaa, code | 0x80])


@case
def characters_become_keys(c):
    """Shift is set as the character needs it on the guest's layout, whatever the viewer holds."""
    with machine(c, BYTES) as vm:
        viewer = Viewer(vm.port)
        want = b""
        for keysym, codes in (ord("a"), b"\x1e\x9e"), (ord("A"), shift(0x1e)), (ord('"'), shift(0x28)), \
                (RETURN, b"\x1c\x9c"), (LEFT, b"\xe0\x4b\xe0\xcb"), (F1, b"\x3b\xbb"):
            viewer.tap(keysym)
            want += codes
            vm.wait_said(want)
        # '/' is Shift+7 on a German keyboard: Shift is let go meanwhile
        viewer.key(SHIFT, 1)
        viewer.tap(ord("/"))
        viewer.key(SHIFT, 0)
        want += b"\x2a\xaa\x35\x2a\xb5\xaa"
        vm.wait_said(want)
        # in a chord with Ctrl nothing is set
        viewer.key(CTRL, 1)
        viewer.tap(ord("C"))
        viewer.key(CTRL, 0)
        want += b"\x1d\x2e\xae\x9d"
        vm.wait_said(want)
        # Caps Lock is the guest's: no Shift for a capital then
        viewer.tap(CAPS)
        viewer.tap(ord("A"))
        viewer.tap(CAPS)
        want += b"\x3a\xba\x1e\x9e\x3a\xba"
        vm.wait_said(want)
        # what a viewer that goes away held down is let go
        viewer.key(ord("x"), 1)
        viewer.key(CTRL, 1)
        want += b"\x2d\x1d"
        vm.wait_said(want)
        viewer.close()
        vm.wait_for("the keys let go", lambda: sorted(vm.said()[len(want):]) == [0x9d, 0xad], 10)


@case
def layouts(c):
    """The guest has a German keyboard: z and y, umlauts, and AltGr+Q for @."""
    with machine(c, BYTES, "-k", "de") as vm:
        viewer = Viewer(vm.port)
        want = b""
        for keysym, codes in (ord("z"), b"\x15\x95"), (0xe4, b"\x28\xa8"), (ord("/"), shift(0x08)), \
                (ord("@"), b"\xe0\x38\x10\xe0\xb8\x90"), (ord("<"), b"\x56\xd6"), (LEFT, b"\xe0\x4b\xe0\xcb"):
            viewer.tap(keysym)
            want += codes
            vm.wait_said(want)
    c.refused("nearest is 'de'", "-k", "dee")


@case
def places_of_keys(c):
    """QEMU's Extended Key Event: the place counts, and no layout."""
    with machine(c, BYTES, "-k", "de") as vm:
        viewer = Viewer(vm.port, encodings=(0, EXT_KEY))
        viewer.ask()
        expect(EXT_KEY in viewer.known, "it is not acknowledged")
        for code in 0x15, 0x9c, 0x1d:
            viewer.place(code, 1, ord("y"))
        for code in 0x15, 0x9c, 0x1d:
            viewer.place(code, 0, ord("y"))
        vm.wait_said(b"\x15\xe0\x1c\x1d\x95\xe0\x9c\x9d")
        viewer.place(0xc6, 1)
        vm.wait_said(b"\x15\xe0\x1c\x1d\x95\xe0\x9c\x9d\xe1\x1d\x45\xe1\x9d\xc5")


@case
def the_pointer(c):
    """Places become motion; at an edge, enough of it to reach the guest's edge. Buttons are in PS/2's order."""
    with machine(c, MOUSE) as vm:
        vm.wait_said(b"\xfa")
        viewer = Viewer(vm.port)
        width, height = viewer.size

        def moved(want):
            vm.wait_for("motion %s, not %s" % (want, packets(vm.said())), lambda: packets(vm.said()) == want, 5)
        viewer.pointer(100, 100)
        viewer.pointer(110, 95)
        moved((10, -5, 0))
        viewer.pointer(110, 95, 4)  # the right button
        moved((10, -5, 2))
        viewer.pointer(110, 95, 2)  # the middle one
        moved((10, -5, 4))
        viewer.pointer(0, 95)
        moved((10 - width, -5, 0))
        viewer.pointer(30, 95)
        moved((40 - width, -5, 0))
        viewer.close()
    with machine(c, MOUSE) as vm:
        vm.wait_said(b"\xfa")
        viewer = Viewer(vm.port, encodings=(0, POINTER_CHANGE))
        viewer.ask()
        expect(POINTER_CHANGE in viewer.known, "it is not acknowledged")
        viewer.pointer(0x7fff + 7, 0x7fff - 3)
        vm.wait_for("motion", lambda: packets(vm.said()) == (7, -3, 0), 5)


@case
def modes_change(c):
    with machine(c, MODE) as vm:
        viewer, old = Viewer(vm.port), Viewer(vm.port, encodings=(0,))
        same_picture(vm, viewer)
        viewer.tap(ord("x"))

        def small():
            viewer.ask()
            return viewer.size == (320, 200) or vm.pixels()[:2] == viewer.size != (720, 400)
        vm.wait_for("the new size", small, 10)
        same_picture(vm, viewer)
        old.close()


@case
def passwords(c):
    if not encrypted(bytes(16), "x"):
        raise Skipped("no libcrypto")

    def refused(vm, password):
        try:
            Viewer(vm.port, password)
        except (Refused, EOFError, ConnectionError):
            return
        raise Failed("%r gets in" % password)
    with machine(c, LOOP, more=",password=on") as vm:
        refused(vm, "")
        refused(vm, None)
        expect("return" in vm.qmp.run("change-vnc-password", password="letters!"), "change-vnc-password")
        viewer = Viewer(vm.port, "letters!")
        same_picture(vm, viewer)
        for wrong in "letters?", "", "Letters!":
            refused(vm, wrong)
        expect("return" in vm.qmp.run("set_password", protocol="vnc", password="other", connected="disconnect"), "set_password")
        try:
            while True:
                viewer.ask()
        except (EOFError, ConnectionError):
            pass
        refused(vm, "letters!")
        Viewer(vm.port, "other").close()
        expect(vm.qmp.run("query-vnc")["return"]["auth"] == "vnc", "auth")
        expect("error" in vm.qmp.run("set_password", protocol="spice", password="x"), "spice")
    with machine(c, LOOP) as vm:
        expect("error" in vm.qmp.run("change-vnc-password", password="x"), "a password nobody is asked for")


@case
def viewers_that_stall_hold_up_nobody(c):
    """Half a message, and a viewer that takes nothing: the machine goes on, and other viewers soon."""
    with machine(c, BYTES) as vm:
        half, deaf, good = Viewer(vm.port), Viewer(vm.port), Viewer(vm.port)
        half.sock.sendall(b"\4\1")
        for _ in range(100):
            deaf.sock.sendall(struct.pack(">BBHHHH", 3, 0, 0, 0, 0xffff, 0xffff))
        start = time.time()
        vm.qmp.run("query-status")
        expect(time.time() - start < 0.5, "QMP took %.1f s" % (time.time() - start))
        for _ in range(3):
            same_picture(vm, good)
        good.tap(ord("a"))
        vm.wait_said(b"\x1e\x9e")


@case
def hostile_viewers(c):
    """Noise at each step of the conversation, too many of them, and floods of keys."""
    noise = random.Random(1)
    with machine(c, LOOP, "-k", "fr") as vm:
        for _ in range(60):
            s = socket.create_connection(("127.0.0.1", vm.port))
            s.sendall(noise.randbytes(noise.randrange(1, 400)))
            s.close()
        many = []
        for _ in range(24):
            try:
                many.append(Viewer(vm.port, timeout=5))
            except (EOFError, ConnectionError, socket.timeout):
                pass
        expect(len(many) <= 16, "%d viewers" % len(many))
        for viewer in many:
            with contextlib.suppress(OSError):
                kinds = bytes([noise.choice([0, 2, 3, 4, 5, 6, 150, 251, 252, 255, noise.randrange(256)])])
                viewer.sock.sendall(kinds + noise.randbytes(noise.randrange(300)))
                viewer.close()
        vm.wait_for("no viewers", lambda: not vm.qmp.run("query-vnc")["return"]["clients"], 60)
        flood = Viewer(vm.port, encodings=(0, EXT_KEY))
        data = b"".join(struct.pack(">BBxxI", 4, noise.randrange(2), noise.randrange(0x10000)) +
                        struct.pack(">BBHII", 255, 0, noise.randrange(2), 0, noise.randrange(0x200)) +
                        struct.pack(">BBHH", 5, *(noise.randrange(n) for n in (256, 0x10000, 0x10000)))
                        for _ in range(20000))
        flood.sock.sendall(data)
        start = time.time()
        vm.qmp.run("query-status")
        expect(time.time() - start < 1, "QMP took %.1f s" % (time.time() - start))
        flood.close()
        same_picture(vm, Viewer(vm.port))


@case
def mistakes_get_one_line(c):
    for wrong in "5", "localhost", ":x", ":-1", ":70000":
        c.refused("DISPLAY", "-vnc", wrong)
    c.refused("directory", "-vnc", "unix:/no/such/folder/x")
    c.refused("nearest is 'password'", "-vnc", ":1,pasword=on")
    c.refused("DISPLAY", "-display", "vnc")
    with machine(c, LOOP) as vm:
        c.refused("in use", "-vnc", ":%d" % (vm.port - 5900))


@case
def a_display_that_is_free(c):
    """to=: where somebody listens already, the next one."""
    with socket.socket() as busy:
        display = free_display()
        busy.bind(("127.0.0.1", 5900 + display))
        busy.listen()
        with machine(c, LOOP, vnc=":%d,to=%d" % (display, display + 20)) as vm:
            port = int(re.search(r"Server: 127\.0\.0\.1:(\d+)|Server: :(\d+)", vm.qmp.human("info vnc")).group().rpartition(":")[2])
            expect(5900 + display < port <= 5900 + display + 20, "port %d" % port)
            with socket.create_connection(("127.0.0.1", port)) as s:
                s.settimeout(20)
                expect(s.recv(12).startswith(b"RFB 003"), "no RFB there")
        c.refused("Address already in use", "-vnc", ":%d,to=%d" % (display, display))


@case
def websockets(c):
    """websocket=: a port of their own; on, 5700 + display."""
    def upgraded(port):
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.settimeout(20)
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: http://x\r\n"
                      b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: binary\r\n"
                      b"Sec-WebSocket-Version: 13\r\n\r\n")
            got = b""
            while b"RFB 003" not in got:
                more = s.recv(4096)
                expect(more, "hung up after %r" % got)
                got += more
            # RFC 6455's own example of an answer; a binary frame
            expect(b" 101 " in got and b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in got and b"\r\n\r\n\x82" in got, "%r" % got)
    display, port = free_display(), 5900 + free_display()
    for how, where in ("on", 5700 + display), (port, port), ("127.0.0.1:%d" % port, port):
        with machine(c, LOOP, vnc=":%d,websocket=%s" % (display, how)):
            upgraded(where)
    upgraded_too = free_display()
    with machine(c, LOOP, vnc=":%d" % upgraded_too):  # as ever: the one port takes both
        upgraded(5900 + upgraded_too)
    c.refused("websocket=x: wants on, PORT", "-vnc", ":%d,websocket=x" % display)
    c.refused("websocket= is not supported with unix", "-vnc", "unix:%s,websocket=on" % c.path("v"))



if __name__ == "__main__":
    sys.exit(main(__doc__))
