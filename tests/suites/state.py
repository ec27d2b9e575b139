#!/usr/bin/env python3
"""What a boot sector finds (tests/guests/state): each value against what it shall be here.

  state.py [--vmm COMMAND]

With another VMM, QEMU's values are the measure; `*` there and below is a value that depends on the moment.
"""
import argparse
import os
import shlex
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IMAGE = os.path.join(TOP, "build", "tests", "guests", "state.img")

# name, here, QEMU 7.2's PC, why they differ or what a PC of the nineties leaves. Both run Debian's SeaBIOS 1.16.
STATE = """
fcw             0000037F 0000037F FNINIT's, of a PC's POST (SeaBIOS has none)
fsw             00000000 00000000
ftw             0000FFFF 0000FFFF all empty
cr0             00000010 00000010 ET; caching on
mxcsr           00001F80 00000000 QEMU's FXSAVE leaves it out while CR4.OSFXSR is clear
drive           00000000 00000000
pic1-mask       000000B8 000000B8 timer, keyboard, cascade, floppy
pic2-mask       0000008E 0000008E clock, mouse, coprocessor, disks
elcr1           00000000 00000000
elcr2           0000000C 0000000C PCI: 10 and 11
pit0            *        *        mode 2; OUT is low for one tick in 65536
pit1            00000070 00000006 nobody's here; a PC's refreshes memory (14)
pit2            00000070 00000006 mode 0 by SeaBIOS' last delay
keyboard-status 00000014 0000001C tested; QEMU's bit 3 is stuck
port92          00000002 00000002 A20 is on
com1-ier        00000000 00000000
com1-lcr        00000000 00000000
com1-mcr        00000000 00000008 a PC16550D's reset; QEMU sets OUT2
vga-misc        00000067 00000067
dac-mask        000000FF 00000000 mode 3's; QEMU does not keep it
seq1            00000000 00000000
seq4            00000002 00000002
gdc5            00000010 00000010
gdc6            0000000E 0000000E
crtc0           0000005F 0000005F
crtc12          0000008F 0000008F
cmos-a          *        *        26, or A6 in an update
cmos-b          00000002 00000002
cmos-equipment  00000007 00000007
bda-com1        000003F8 000003F8
bda-lpt1        00000000 00000378 there is no parallel port here
bda-ebda        00009FC0 00009FC0
bda-equipment   00000227 00004227
bda-memory      0000027F 0000027F
bda-mode        00000003 00000003
bda-columns     00000050 00000050
bda-crtc        000003D4 000003D4
bda-disks       00000000 00000000
bda-rows        00000018 00000018
bda-keyboard    00000010 00000010
ivt8            0000F000 0000F000
ivt10           0000C000 0000C000
ivt13           0000F000 0000F000
ivt76           0000F000 0000F000
"""
MEMORY = [  # base, size, type: 64 MiB; SeaBIOS keeps the ACPI tables at the top, here in a page, in QEMU in 128 KiB
    "00000000 0009FC00 00000001", "0009FC00 00000400 00000002", "000F0000 00010000 00000002",
    "00100000 03EFF000 00000001", "03FFF000 00001000 00000002", "FFFC0000 00040000 00000002",
]


def found(vmm, folder):
    log = os.path.join(folder, "log")
    subprocess.run(shlex.split(vmm) + ["-m", "64", "-drive", "if=floppy,format=raw,snapshot=on,file=" + IMAGE, "-display",
                                       "none", "-debugcon", "file:" + log, "-device",
                                       "isa-debug-exit,iobase=0xf4,iosize=4"], timeout=60, stdout=subprocess.DEVNULL)
    with open(log) as f:
        return f.read()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--vmm", default=os.path.join(TOP, "build", "ring3"))
    o = p.parse_args()
    ours = "qemu" not in o.vmm
    with tempfile.TemporaryDirectory(prefix="ring3-state") as folder:
        lines = found(o.vmm, folder).splitlines()
    values = dict(line.split(" ", 1) for line in lines if not line.startswith("e820") and " " in line)
    failures, passed = [], 0
    for row in STATE.strip().splitlines():
        name, here, there = row.split()[:3]
        want, got = here if ours else there, values.get(name, "nothing").strip()
        if want in ("*", got):
            passed += 1
        else:
            failures.append("%s is %s, want %s" % (name, got, want))
    memory = [line[5:].strip() for line in lines if line.startswith("e820")]
    if not ours or memory == MEMORY:
        passed += 1
    else:
        failures.append("E820 is %s" % memory)
    for failure in failures:
        print("FAIL " + failure)
    print("%d passed, %d failed" % (passed, len(failures)))
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
