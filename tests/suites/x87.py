#!/usr/bin/env python3
"""C leaves x87 and MMX alone: while a callout runs, the guest's state is in the host's registers (bt/enter.S).

  x87.py [PROGRAM]      build/ring3 by default

Each function of the program that has such an instruction must be one that knows what it does.
"""
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ALLOWED = {
    "bt_enter": "loads the guest's state",
    "bt_leave_saved": "stores it",
    "bt_fpu_unpark": "stores it",
    "bt_fpu_look": "stores it, and changes nothing",
    "bt_fpu_changed": "makes it what the guest's FNSAVE, FNSTENV or FLDENV makes it",
    "after": "behind a callout: it may be in the vcpu by then",
    "bt_fast_callout": "the same",
    "hostexec_enter": "runs an instruction of the guest's, whose state is the vcpu's then (OP_FPU and the like)",
    "hostexec_enter_vex": "the same, with VEX",
    "x87_inexact": "the same",
    "hostexec_mxcsr_mask": "stores it, and changes nothing",
}
X87 = re.compile(r"^(f(?!s\b|s:)[a-z0-9]+|emms|wait)\b|%mm[0-7]")


def functions(program):
    """(name, its first instruction of that kind) of each that has one."""
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", program], capture_output=True, text=True, check=True).stdout
    name, found = None, {}
    for line in listing.splitlines():
        start = re.match(r"^[0-9a-f]+ <(.+)>:$", line)
        if start:
            name = start[1]
            continue
        fields = line.split("\t")
        if len(fields) > 1 and X87.search(fields[1].strip()):
            found.setdefault(name, " ".join(fields[1].split()))
    return found


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else os.path.join(TOP, "build", "ring3")
    found, failed = functions(program), 0
    for name, insn in sorted(found.items()):
        if name not in ALLOWED:
            failed += 1
            print("FAIL %s has `%s`: a callout may run it while the guest's x87 is live" % (name, insn))
    for name in ALLOWED:
        if name not in found:
            failed += 1
            print("FAIL %s has none any more: take it off the list" % name)
    print("%d passed, %d failed" % (len(set(found) & set(ALLOWED)), failed))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
