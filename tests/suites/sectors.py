"""Guests of one sector, in machine code, and disks for them."""
import subprocess

from cases import Skipped
from context import LOOP
from vm import Failed

SECTOR = 512
MARK = b"the second sector of the disk"


def bios(function, sector, disk=0x80):
    """INT 13h AH=function: one sector, counted from 0, of cylinder and head 0, at 0:8000."""
    return bytes.fromhex("b8 01%02x bb 0080 b9 %02x00 ba %02x00 cd13" % (function, sector + 1, disk))


# xor ax,ax; mov ds,ax; mov es,ax
START = bytes.fromhex("31c0 8ed8 8ec0")
# mov si,8000; mov cx,32; next: lodsb; out E9,al; loop next
SAY = bytes.fromhex("be 0080 b9 2000 ac e6e9 e2fb")
# setc al; add al,'0'; out E9,al: '1' after a BIOS call that failed
SAY_CARRY = bytes.fromhex("0f92c0 0430 e6e9")
# out F4,al: the end
END = bytes.fromhex("b000 e6f4") + LOOP
COPY = START + bios(2, 1) + SAY + bios(3, 2) + SAY_CARRY + END


def qemu_img(*arguments):
    try:
        return subprocess.run(["qemu-img", *arguments], check=True, capture_output=True, text=True).stdout
    except OSError:
        raise Skipped("no qemu-img: apt-get install qemu-utils")
    except subprocess.CalledProcessError as problem:
        raise Failed("qemu-img %s: %s" % (" ".join(arguments), problem.stderr.strip()))


def source(c, size=4 << 20):
    """A raw disk with MARK in its second sector."""
    return c.file("source.raw", bytes(SECTOR) + MARK, size)


def flat(c, image, form):
    qemu_img("convert", "-f", form, "-O", "raw", image, c.path("flat"))
    with open(c.path("flat"), "rb") as f:
        return f.read()


# cli; mov al,'!'; out E9,al; next: in al,64; test al,1; jz next; in al,60; out E9,al; jmp next
BYTES = bytes.fromhex("fa b021 e6e9 e464 a801 74fa e460 e6e9 ebf4")
# The same once the mouse reports: D4 to 64, F4 to 60; it answers FA.
MOUSE = bytes.fromhex("fa e464 a802 75fa b0d4 e664 e464 a802 75fa b0f4 e660") + BYTES[1:]


def packets(said):
    """The motion of PS/2 packets, added up, and the last one's buttons; the answer FA before them."""
    x = y = buttons = 0
    for at in range(said.find(b"\xfa") + 1, len(said) - 2, 3):
        head, dx, dy = said[at:at + 3]
        x += dx - (256 if head & 0x10 else 0)
        y -= dy - (256 if head & 0x20 else 0)
        buttons = head & 7
    return x, y, buttons
