"""A VNC viewer for tests (RFC 6143): one connection, raw encoding, and QEMU's Extended Key Event where it is asked for."""
import ctypes
import ctypes.util
import socket
import struct

from vm import Failed

NEW_SIZE, EXT_KEY, POINTER_CHANGE = -223, -258, -257
FORMAT = struct.pack(">BBBBHHHBBBxxx", 32, 24, 1, 1, 255, 255, 255, 16, 8, 0)


def encrypted(challenge, password):
    """DES by each half of the challenge; RFB's key has its bits the other way round. None: no libcrypto."""
    name = ctypes.util.find_library("crypto")
    if not name:
        return None
    crypto = ctypes.CDLL(name)
    key = bytes(int("{:08b}".format(b)[::-1], 2) for b in password.encode()[:8].ljust(8, b"\0"))
    schedule = ctypes.create_string_buffer(128)
    crypto.DES_set_key_unchecked(ctypes.create_string_buffer(key, 8), schedule)
    out = b""
    for half in challenge[:8], challenge[8:]:
        result = ctypes.create_string_buffer(8)
        crypto.DES_ecb_encrypt(ctypes.create_string_buffer(half, 8), result, schedule, 1)
        out += result.raw
    return out


class Refused(Exception):
    """The server does not let this viewer in."""


class Viewer:
    def __init__(self, where, password=None, encodings=(0, NEW_SIZE), timeout=20):
        """where: a port of this host, or a Unix socket's path."""
        if isinstance(where, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(where)
        else:
            self.sock = socket.create_connection(("127.0.0.1", where))
        self.sock.settimeout(timeout)
        self.size, self.pixels, self.known = (0, 0), bytearray(), set()
        if self.read(12) != b"RFB 003.008\n":
            raise Failed("no RFB 3.8")
        self.sock.sendall(b"RFB 003.008\n")
        self.authenticate(password)
        self.sock.sendall(b"\1")
        width, height = struct.unpack(">HH", self.read(4))
        self.read(16)
        self.name = self.read(struct.unpack(">I", self.read(4))[0])
        self.resize(width, height)
        self.sock.sendall(b"\0\0\0\0" + FORMAT)
        self.sock.sendall(struct.pack(">BxH%di" % len(encodings), 2, len(encodings), *encodings))

    def authenticate(self, password):
        types = self.read(self.read(1)[0])
        want = 2 if password is not None else 1
        if want not in types:
            raise Refused("it offers %s" % list(types))
        self.sock.sendall(bytes([want]))
        if want == 2:
            self.sock.sendall(encrypted(self.read(16), password))
        if struct.unpack(">I", self.read(4))[0]:
            raise Refused("wrong password")

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def resize(self, width, height):
        self.size, self.pixels = (width, height), bytearray(4 * width * height)

    # ---- The picture ----

    def rectangle(self):
        x, y, w, h, encoding = struct.unpack(">HHHHi", self.read(12))
        if encoding == NEW_SIZE:
            self.resize(w, h)
        elif encoding in (EXT_KEY, POINTER_CHANGE):
            self.known.add(encoding)
        elif encoding:
            raise Failed("encoding %d, which was not asked for" % encoding)
        else:
            for line in range(y, y + h):
                at = 4 * (line * self.size[0] + x)
                self.pixels[at:at + 4 * w] = self.read(4 * w)

    def message(self):
        kind = self.read(1)[0]
        if kind == 0:
            for _ in range(struct.unpack(">xH", self.read(3))[0]):
                self.rectangle()
        elif kind == 3:
            self.read(struct.unpack(">xxxI", self.read(7))[0])
        elif kind != 2:
            raise Failed("message %d" % kind)
        return kind

    def ask(self, incremental=False):
        """Asks for the picture, and takes messages until one has it."""
        self.sock.sendall(struct.pack(">BBHHHH", 3, incremental, 0, 0, 0xffff, 0xffff))
        while self.message():
            pass

    def rgb(self):
        """Bytes of red, green and blue."""
        out = bytearray(3 * self.size[0] * self.size[1])
        out[0::3], out[1::3], out[2::3] = self.pixels[1::4], self.pixels[2::4], self.pixels[3::4]
        return bytes(out)

    # ---- Keys and pointer ----

    def key(self, keysym, down):
        self.sock.sendall(struct.pack(">BBxxI", 4, down, keysym))

    def tap(self, keysym):
        self.key(keysym, 1)
        self.key(keysym, 0)

    def place(self, code, down, keysym=0):
        self.sock.sendall(struct.pack(">BBHII", 255, 0, down, keysym, code))

    def pointer(self, x, y, buttons=0):
        self.sock.sendall(struct.pack(">BBHH", 5, buttons, x, y))

    def close(self):
        self.sock.close()
