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
    for failure in failures:
        print("FAIL " + failure)
    print("%d passed, %d failed" % (passed, len(failures)))
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
