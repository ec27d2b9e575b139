#!/usr/bin/env python3
"""Starts a program under a seccomp filter, as a container engine would.

  confine.py [--allow FILE [--kill]] [--deny RULE]… [--] COMMAND…

--allow: the calls of FILE are allowed (docker-seccomp.txt says how one looks), all else is refused with EPERM, or
with --kill ends the program. --deny: refused before that, for instance 'memfd_create errno 38' (without a number:
EPERM) or 'mmap arg2&4=4 arg3&1=1': a rule of that file.

Linux takes the filter as a program of classic BPF; here each rule becomes a few instructions, and the first that fits
says what happens. Calls of the 32-bit and x32 kinds, which Docker's profile allows too, fit none.
"""
import argparse
import ctypes
import os
import re
import struct
import sys

HEADERS = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"
ARCH_X86_64 = 0xc000003e
PR_SET_SECCOMP, SECCOMP_MODE_FILTER, PR_SET_NO_NEW_PRIVS = 22, 2, 38
KILL, REFUSE, ALLOW = 0x80000000, 0x00050000, 0x7fff0000  # what the filter returns; REFUSE + errno
EPERM = 1
LOAD, AND, IF_EQUAL, RETURN = 0x20, 0x54, 0x15, 0x06  # opcodes
NUMBER, ARCH, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data


def call_numbers():
    for path in HEADERS:
        if os.path.exists(path):
            with open(path) as f:
                return {name: int(n) for name, n in re.findall(r"#define __NR_(\w+)\s+(\d+)", f.read())}
    sys.exit("confine.py: no asm/unistd_64.h: apt-get install linux-libc-dev")


def half_test(offset, mask, value, shift):
    """Instructions that load half an argument and mask it; the value it is to have."""
    mask, value = mask >> shift & 0xffffffff, value >> shift & 0xffffffff
    return [(LOAD, 0, 0, offset + shift // 8), (AND, 0, 0, mask)], value


def condition(text):
    """argN=V, argN!=V, argN&M=V on 64 bits: instructions in which the jump "no" leaves the rule."""
    found = re.fullmatch(r"arg([0-5])(?:&(\w+))?(!?=)(\w+)", text)
    if not found:
        sys.exit("confine.py: '%s' is no condition" % text)
    offset, mask, value = ARGUMENTS + 8 * int(found[1]), int(found[2] or "-1", 0), int(found[4], 0)
    low, low_value = half_test(offset, mask, value, 0)
    high, high_value = half_test(offset, mask, value, 32)
    if found[3] == "=":
        return low + [(IF_EQUAL, 0, "no", low_value)] + high + [(IF_EQUAL, 0, "no", high_value)]
    return low + [(IF_EQUAL, 0, len(high) + 1, low_value)] + high + [(IF_EQUAL, "no", 0, high_value)]


def rule(number, conditions, verdict):
    code = [(LOAD, 0, 0, NUMBER), (IF_EQUAL, 0, "no", number)]
    for text in conditions:
        code += condition(text)
    code.append((RETURN, 0, 0, verdict))
    return [(op, *(len(code) - i - 1 if jump == "no" else jump for jump in (yes, no)), k)
            for i, (op, yes, no, k) in enumerate(code)]


def rules(line, verdict, numbers):
    """A line of the file: one rule, or one for each name. Names this kernel's headers lack are left out."""
    errno = re.search(r"\berrno (\d+)$", line)
    if errno:
        line, verdict = line[:errno.start()], REFUSE | int(errno[1])
    words = line.split()
    conditions = [w for w in words if w.startswith("arg")]
    return [i for name in words if name not in conditions and name in numbers
            for i in rule(numbers[name], conditions, verdict)]


def make_filter(o):
    numbers = call_numbers()
    foreign = KILL if o.kill else REFUSE | EPERM
    code = [(LOAD, 0, 0, ARCH), (IF_EQUAL, 1, 0, ARCH_X86_64), (RETURN, 0, 0, foreign)]
    for line in o.deny:
        if line.split()[0] not in numbers:
            sys.exit("confine.py: '%s' is no system call" % line.split()[0])
        code += rules(line, REFUSE | EPERM, numbers)
    if o.allow:
        with open(o.allow) as f:
            for line in f:
                if not line.startswith("#"):
                    code += rules(line.strip(), ALLOW, numbers)
    return code + [(RETURN, 0, 0, foreign if o.allow else ALLOW)]


def install(code):
    packed = b"".join(struct.pack("=HBBI", *i) for i in code)
    memory = ctypes.create_string_buffer(packed, len(packed))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(code), ctypes.addressof(memory)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = [ctypes.c_int] + 4 * [ctypes.c_ulong]
    for arguments in (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), \
                     (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program), 0, 0):
        if prctl(*arguments):
            sys.exit("confine.py: prctl: " + os.strerror(ctypes.get_errno()))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--allow", metavar="FILE")
    p.add_argument("--kill", action="store_true")
    p.add_argument("--deny", metavar="RULE", action="append", default=[])
    p.add_argument("command", nargs=argparse.REMAINDER)
    o = p.parse_args()
    command = o.command[1:] if o.command[:1] == ["--"] else o.command
    if not command:
        p.error("a command is missing")
    install(make_filter(o))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
