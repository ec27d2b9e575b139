#!/usr/bin/env python3
"""Runs the board guest (tests/guests/board) from -kernel with two modules and counts what it says on port E9.

  board.py [--vmm COMMAND] [--timeout SEC]

The guest restarts the machine in four ways and ends by powering it off. --vmm qemu-system-i386 runs it under the peer.
"""
import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KERNEL = os.path.join(TOP, "build", "tests", "guests", "board.elf")


def run(vmm, timeout, folder):
    """Exit status (None: did not end) and what the guest printed."""
    module, log = os.path.join(folder, "module"), os.path.join(folder, "log")
    with open(module, "w") as f:
        f.write("module contents\n")
    command = shlex.split(vmm) + [
        "-m", "64", "-display", "none", "-serial", "null", "-kernel", KERNEL,
        "-initrd", f"{module} one,{module} two", "-append", "alpha beta=2",
        "-debugcon", "file:" + log, "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        "-device", "pc-testdev", "-device", "pci-testdev"]
    try:
        status = subprocess.run(command, timeout=timeout).returncode
    except subprocess.TimeoutExpired:
        status = None
    with open(log, errors="replace") as f:
        return status, f.read()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--vmm", default=os.path.join(TOP, "build", "ring3"))
    p.add_argument("--timeout", type=float, default=100)
    o = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="ring3-board") as folder:
        status, text = run(o.vmm, o.timeout, folder)
    passed = len(re.findall(r"^ok ", text, re.M))
    failed = 0
    for line in text.splitlines():
        if line.startswith("FAIL "):
            failed += 1
            print(line)
    if not re.search(r"^\d+ passed, \d+ failed$", text, re.M):
        failed += 1
        print("FAIL the guest did not come to its end; its last line:", text.splitlines()[-1:] or "none")
    if status != 0:
        failed += 1
        print("FAIL power-off ends the machine: exit status", status)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
