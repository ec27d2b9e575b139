"""A client of GDB's remote serial protocol, as far as the tests need one: the same for ring3 and QEMU."""
import re
import socket
import struct
import time

from vm import Failed

# Registers in the order of the i386 target, with their bytes.
REGISTERS = ([(n, 4) for n in "eax ecx edx ebx esp ebp esi edi eip eflags cs ss ds es fs gs fs_base gs_base k_gs_base "
              "cr0 cr2 cr3 cr4 cr8 efer".split()] + [("st%d" % i, 10) for i in range(8)] +
             [(n, 4) for n in "fctrl fstat ftag fiseg fioff foseg fooff fop".split()] +
             [("xmm%d" % i, 16) for i in range(8)] + [("mxcsr", 4)])
NUMBER = {name: i for i, (name, _) in enumerate(REGISTERS)}


def framed(data):
    if isinstance(data, str):
        data = data.encode("latin1")
    return b"$%s#%02x" % (data, sum(data) & 255)


class Rsp:
    def __init__(self, where, patience=20):
        """where: (host, port), or a Unix socket's path."""
        end = time.time() + patience
        while True:
            self.sock = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET)
            try:
                self.sock.connect(where)
                break
            except OSError:
                self.sock.close()
                if time.time() > end:
                    raise Failed("nobody listens at %s" % (where,))
                time.sleep(0.05)
        if not isinstance(where, str):
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.held = b""
        # QEMU answers some questions only to who has read this.
        self.description = self.read_description()

    def close(self):
        self.sock.close()

    def receive(self, patience=60):
        """The next packet's content; acknowledged."""
        self.sock.settimeout(patience)
        while True:
            m = re.search(rb"\$([^#]*)#(..)", self.held, re.S)
            if m:
                self.held = self.held[m.end():]
                if sum(m[1]) & 255 != int(m[2], 16):
                    raise Failed("a damaged packet: %r" % m[0])
                try:
                    self.sock.sendall(b"+")
                except OSError:
                    pass  # W00 is the last word
                return re.sub(rb"\}(.)", lambda e: bytes([e[1][0] ^ 0x20]), m[1], flags=re.S).decode("latin1")
            try:
                more = self.sock.recv(65536)
            except socket.timeout:
                raise Failed("no answer within %d s" % patience)
            if not more:
                raise Failed("the debugger's server hung up")
            self.held += more

    def read_description(self):
        text = ""
        while True:
            piece = self.ask("qXfer:features:read:target.xml:%x,ffb" % len(text))
            text += piece[1:]
            if piece[:1] != "m":
                return text

    def send(self, data):
        self.sock.sendall(framed(data))

    def ask(self, data, patience=60):
        self.send(data)
        return self.receive(patience)

    def must(self, data, want="OK"):
        got = self.ask(data)
        if got != want:
            raise Failed("%s: %s, want %s" % (data, got, want))

    # ---- Registers and memory ----

    def registers(self):
        raw, at, values = bytes.fromhex(self.ask("g")), 0, {}
        for name, size in REGISTERS:
            values[name] = int.from_bytes(raw[at:at + size], "little")
            at += size
        return values

    def register(self, name):
        return int.from_bytes(bytes.fromhex(self.ask("p%x" % NUMBER[name])), "little")

    def set(self, name, value):
        self.must("P%x=%s" % (NUMBER[name], value.to_bytes(REGISTERS[NUMBER[name]][1], "little").hex()))

    def pc(self):
        return self.register("eip")

    def memory(self, address, n):
        return bytes.fromhex(self.ask("m%x,%x" % (address, n)))

    def word(self, address):
        return struct.unpack("<I", self.memory(address, 4))[0]

    # ---- Running ----

    def insert(self, address, kind=0, n=1):
        self.must("Z%d,%x,%x" % (kind, address, n))

    def remove(self, address, kind=0, n=1):
        self.must("z%d,%x,%x" % (kind, address, n))

    def step(self):
        return self.ask("vCont;s:1")

    def go(self, patience=60):
        return self.ask("vCont;c", patience)

    def run_to(self, address, patience=60):
        self.insert(address)
        stop = self.go(patience)
        self.remove(address)
        if not stop.startswith("T05"):
            raise Failed("stopped by %s on the way to %x" % (stop, address))
        return stop

    def interrupt(self):
        self.sock.sendall(b"\x03")
        return self.receive()

    def monitor(self, line):
        self.send("qRcmd,%s" % line.encode().hex())
        text = ""
        while True:
            got = self.receive()
            if got == "OK":
                return text
            if got[:1] != "O":
                raise Failed("monitor %s: %s" % (line, got))
            text += bytes.fromhex(got[1:]).decode("latin1")
