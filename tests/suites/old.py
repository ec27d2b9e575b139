#!/usr/bin/env python3
"""What old kernels and drivers probe: the guest tests/guests/old, in both engines, and the BIOS's answers to the calls
of tests/guests/bios. docs/old-kernels.md says who asks what.

  old.py [--vmm COMMAND]
"""
import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile

# What the calls of tests/guests/bios answer: AX BX CX DX CF, with 64 MiB, a 1.44 MB floppy and a disk of 64 MiB. QEMU 7.2,
# with the same SeaBIOS, differs only where a reason is given.
BIOS = """
equipment      0227 0000 0000 0000 0000
memory         027F 0000 0000 0000 0000
extended       FBFC 0000 0000 0000 0000
e801           3C00 02FF 3C00 02FF 0000
a20-support    0003 0003 0000 0000 0000
a20-off        0000 0000 0000 0000 0000
a20-is-off     0000 0000 0000 0000 0000
a20-on         0001 0000 0000 0000 0000
a20-is-on      0001 0000 0000 0000 0000
wait-1-ms      8600 0000 0000 03E8 0000
unknown        8600 0000 0000 0000 0001
apm            0102 504D 0003 0000 0000
apm-connect    5301 0000 0000 0000 0000
apm-idle       5305 0000 0000 0000 0000
apm-disconnect 5304 0000 0000 0000 0000
floppy-type    0100 0000 0000 0000 0000
floppy-chs     0000 0004 4F12 0101 0000
floppy-change  0600 0000 0000 0000 0001
disk-type      0300 0000 0001 FBF0 0000
disk-chs       0000 0000 803F 0F01 0000
disk-ready     AA00 0000 0000 0080 0001
disk-recal     0000 0000 0000 0080 0000
edd            3000 AA55 0007 0080 0000
edd-wrong      3000 AA55 0007 0080 0000
edd-parameters 0000 0000 0000 0080 0000
no-disk        0100 0000 0000 0081 0001
vga            1A1A 0008 0000 0000 0000
ega            1200 0003 0009 0000 0000
mode           5003 0000 0000 0000 0000
joystick       8600 0000 0000 0001 0001
serial         60B0 0000 0000 0000 0000
printer        0200 0000 0000 0000 0001
"""
# MiB: cylinders - 1 and sectors as in CX, heads - 1; the translation of SeaBIOS
DISKS = {5: ("083F", 15), 31: ("3C3F", 15), 62: ("7B3F", 15), 504: ("FEFF", 15), 1008: ("FEFF", 31), 2016: ("FEFF", 63),
         4032: ("FEFF", 127), 7875: ("E9FF", 254), 8192: ("FEFF", 254), 131072: ("FEFF", 254), 262144: ("FEFF", 254)}
# bytes: BX (drive type) and CX of function 8
FLOPPIES = {368640: "0002 4F0F", 737280: "0004 4F12", 1228800: "0002 4F0F", 1474560: "0004 4F12", 2949120: "0005 4F24"}
# Not asked of QEMU, which has a parallel port, another equipment word, and ACPI tables of another size.
NOT_QEMU = {"equipment", "extended", "e801", "printer"}

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GUESTS = os.path.join(TOP, "build", "tests", "guests")


def start(vmm, folder, *options):
    """What the guest wrote to port E9."""
    log = os.path.join(folder, "log")
    if os.path.exists(log):
        os.unlink(log)
    command = shlex.split(vmm) + ["-m", "64", "-display", "none", "-serial", "null", *options, "-debugcon", "file:" + log,
                                  "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    try:
        subprocess.run(command, timeout=60, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        pass
    if not os.path.exists(log):
        return ""
    with open(log, errors="replace") as f:
        return f.read()


def disk(folder, mib):
    path = os.path.join(folder, "disk%d" % mib)
    with open(path, "wb") as f:
        f.truncate(mib << 20)
    return path


def probes(vmm, folder):
    """Passed, failures."""
    text = start(vmm, folder, "-kernel", os.path.join(GUESTS, "old.elf"), "-drive",
                 "if=ide,index=0,format=raw,file=" + disk(folder, 64), "-drive", "if=ide,index=3,media=cdrom")
    failures = [line[5:] for line in text.splitlines() if line.startswith("FAIL ")]
    if not re.search(r"^\d+ passed, \d+ failed$", text, re.M):
        failures.append("%s: the guest did not come to its end: %s" % (vmm, text.splitlines()[-1:]))
    return len(re.findall(r"^ok ", text, re.M)), failures


def calls(vmm, folder, mib=64, floppy=1474560):
    """name: answer."""
    image = os.path.join(folder, "floppy")
    with open(os.path.join(GUESTS, "bios.img"), "rb") as f:
        code = f.read(4096)
    with open(image, "wb") as f:
        f.write(code)
        f.truncate(floppy)
    text = start(vmm, folder, "-drive", "if=floppy,format=raw,snapshot=on,file=" + image, "-drive",
                 "if=ide,index=0,format=raw,file=" + disk(folder, mib), "-boot", "a")
    return dict(line.strip().split(" ", 1) for line in text.splitlines() if " " in line)


def firmware(vmm, folder):
    """Passed, failures."""
    rows, ours = [], "qemu" not in vmm
    got = calls(vmm, folder)
    for line in BIOS.strip().splitlines():
        name, want = line.split(None, 1)
        if ours or name not in NOT_QEMU:
            rows.append((name, got.get(name), want))
    for mib, (cx, heads) in DISKS.items():
        answer = calls(vmm, folder, mib=mib).get("disk-chs")
        rows.append(("disk of %d MiB" % mib, answer, "0000 0000 %s %02X01 0000" % (cx, heads)))
    for size, want in FLOPPIES.items():
        rows.append(("floppy of %d" % size, calls(vmm, folder, floppy=size).get("floppy-chs"), "0000 %s 0101 0000" % want))
    return sum(got == want for _, got, want in rows), ["%s: %s, want %s" % row for row in rows if row[1] != row[2]]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--vmm", default=os.path.join(TOP, "build", "ring3"))
    o = p.parse_args()
    vmms = [o.vmm] if "qemu" in o.vmm else [o.vmm, o.vmm + " -engine interp"]
    passed, failures = 0, []
    with tempfile.TemporaryDirectory(prefix="ring3-old") as folder:
        for vmm in vmms:
            n, wrong = probes(vmm, folder)
            passed += n
            failures += wrong
        n, wrong = firmware(o.vmm, folder)
        passed += n
        failures += wrong
    for failure in failures:
        print("FAIL " + failure)
    print("%d passed, %d failed" % (passed, len(failures)))
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
