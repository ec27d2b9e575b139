#!/usr/bin/env python3
"""Runs a guest that flushes two disks without pause (tests/guests/flush) and looks at what is left on the images.

  flush.py [--seconds N] [--kills N] [--seed N] [--format FORMAT] [--ring3 COMMAND]

First for N seconds to its end: the guest finds everything as it wrote it, and so do we on the images. Then it is killed
at some moment, again and again: every sector must be as the last flushed round left it, or a later one; on the image,
and on the copy that tests/suites/stable.c makes of what each fdatasync() of ring3's found.

FORMAT (raw) may be what qemu-nbd reads, qcow2 first of all. Then every second kill takes qemu-nbd as well, at the same
moment, and qemu-img check must find no corruption (clusters that nobody uses are none, where the server was killed).

COMMAND may hold options ("build/ring3 --engine interp") or be another PC emulator, or a sanitizer's build.
"""
import argparse
import os
import random
import re
import shlex
import signal
import struct
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KERNEL = os.path.join(TOP, "build", "tests", "guests", "flush.elf")
STABLE = os.path.join(TOP, "build", "tests", "suites", "stable.so")
SECTOR, SECTORS, DISKS, MOST = 512, 2048, 2, 16
PASSED = 5  # the guest's exit status
MASK = 0xffffffff


class Failed(Exception):
    """An expectation was not met; the text says which."""


# ---- What the guest does: as in flush.c ----

WHICH, LBA, COUNT, FOR_DISK = 0, 3, 4, 32


def mix(x):
    x = (x ^ x >> 16) * 0x7feb352d & MASK
    x = (x ^ x >> 15) * 0x846ca68b & MASK
    return x ^ x >> 16


def sector_of(seed, number, lba, disk):
    """What round `number` writes to that sector."""
    code, x = number ^ lba, mix(mix(seed + number & MASK) ^ lba << 8 ^ disk)
    words = [0x48534c46, number, lba, disk, (0xb8 | code << 8) & MASK, code >> 24 | 0xc300]
    while len(words) < SECTOR // 4:
        x = x * 1664525 + 1013904223 & MASK
        words.append(x)
    return struct.pack("<128I", *words)


def written_by(seed, number, disk):
    """The sectors a round writes to a disk."""
    def choose(what):
        return mix(mix(seed + number * 0x9e3779b9 & MASK) + what & MASK)
    which = choose(WHICH) % 4
    if which != 3 and disk != (which == 2):
        return range(0)
    lba = choose(LBA + FOR_DISK * disk) % (SECTORS - MOST + 1)
    r = choose(COUNT + FOR_DISK * disk)
    return range(lba, lba + 1 + (r >> 8) % (2 if r % 4 else MOST))


def last_writers(seed, last, disk):
    """For each sector the last round up to `last` that wrote it, 0 for none."""
    writer, left = [0] * SECTORS, SECTORS
    for number in range(last, 0, -1):
        for lba in written_by(seed, number, disk):
            if not writer[lba]:
                writer[lba] = number
                left -= 1
        if not left:
            break
    return writer


# ---- What is on an image ----

def blank(path, size):
    """On the host's disk at once, so that the guest's first flush is none of it."""
    with open(path, "wb") as f:
        f.write(bytes(size))
        f.flush()
        os.fsync(f.fileno())


def stable_part(data):
    """The copy that counts: see stable.c."""
    size, which = SECTOR * SECTORS, data[-1]
    return data[which * size:(which + 1) * size]


def contents(image, form):
    if form == "raw":
        with open(image, "rb") as f:
            return f.read()
    flat = image + ".flat"
    subprocess.run(["qemu-img", "convert", "-f", form, "-O", "raw", image, flat], check=True)
    return contents(flat, "raw")


def check_image(image, form, server_killed):
    """0: sound; 3: sound but for clusters that nobody uses; 63: the format has no check."""
    r = subprocess.run(["qemu-img", "check", "-f", form, image], capture_output=True, text=True)
    if r.returncode not in ((0, 3, 63) if server_killed else (0, 63)):
        raise Failed("qemu-img check: status %d: %s" % (r.returncode, (r.stdout + r.stderr)[-300:]))


def look(image, seed, last, disk, later=False, form="raw"):
    """Each sector is from the round that last wrote it; or, with `later`, one after `last` that was under way."""
    data = contents(image, form)
    if image.endswith(".stable"):
        data = stable_part(data)
    for lba, number in enumerate(last_writers(seed, last, disk)):
        got = data[lba * SECTOR:(lba + 1) * SECTOR]
        found = struct.unpack_from("<2I", got)[1]
        if later and found > last and lba in written_by(seed, found, disk):
            number = found
        want = sector_of(seed, number, lba, disk) if number else bytes(SECTOR)
        if got != want:
            raise Failed("%s: %d rounds were flushed; sector %d should be of round %d and holds %s, round %d" % (
                os.path.basename(image), last, lba, number, got[:16].hex(), found))


def running(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# ---- A machine ----

class Guest:
    def __init__(self, o, folder, name, words, preload=None):
        self.images = [os.path.join(folder, "%s%d.img" % (name, i)) for i in range(DISKS)]
        for image in self.images:
            if o.format == "raw":
                blank(image, SECTOR * SECTORS)
            else:
                subprocess.run(["qemu-img", "create", "-q", "-f", o.format, image, str(SECTOR * SECTORS)], check=True)
            if preload:
                blank(image + ".stable", 2 * SECTOR * SECTORS + 1)
        self.log, self.errors = os.path.join(folder, name + ".log"), os.path.join(folder, name + ".err")
        command = shlex.split(o.ring3) + [
            "-m", "32", "-display", "none", "-serial", "null", "-no-reboot", "-kernel", KERNEL, "-append", words,
            "-debugcon", "file:" + self.log, "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
        for i, image in enumerate(self.images):
            command += ["-drive", "file=%s,format=%s,if=ide,index=%d" % (image, o.format, 2 * i)]
        environment = dict(os.environ)
        if preload:
            environment["LD_PRELOAD"] = preload
            more = environment.get("ASAN_OPTIONS", "")
            environment["ASAN_OPTIONS"] = more + ":verify_asan_link_order=0"
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                                            env=environment)

    def text(self):
        try:
            with open(self.log, errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def said(self):
        """Its last line, and what the emulator said, for a failure."""
        with open(self.errors, errors="replace") as f:
            errors = f.read()
        return "; ".join(self.text().splitlines()[-1:] + errors.strip().splitlines()[:40])

    def rounds(self):
        """How many it has flushed."""
        found = re.findall(r"^round (\d+)\n", self.text(), re.M)
        return int(found[-1]) if found else 0

    def wait(self, patience):
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed("no end after %d s: %s" % (patience, self.said()))

    def servers(self):
        """The processes it started."""
        path = "/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)
        try:
            with open(path) as f:
                return list(map(int, f.read().split()))
        except OSError:
            return []

    def kill(self, with_servers=False):
        servers = self.servers()
        for pid in servers if with_servers else []:
            os.kill(pid, signal.SIGKILL)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        end = time.time() + 20
        while any(map(running, servers)):
            if time.time() > end:
                raise Failed("qemu-nbd is still there 20 s after ring3 was killed")
            time.sleep(0.02)


# ---- The tests ----

def to_its_end(o, folder):
    guest = Guest(o, folder, "end", "seconds=%d seed=%d" % (o.seconds, o.seed))
    status = guest.wait(2 * o.seconds + 60)
    text = guest.text()
    for line in text.splitlines():
        if line.startswith("FAIL "):
            print(line)
    end = re.search(r"^end: rounds (\d+) flushes (\d+) resets (\d+) works (\d+) ms (\d+)$", text, re.M)
    if status != PASSED or not end or not text.endswith("\npassed\n"):
        raise Failed("exit status %d: %s" % (status, guest.said()))
    rounds, flushes, resets, works, ms = map(int, end.groups())
    print("%.1f s: %d rounds, %d flushes (%.0f a second), %d given up by a reset, %d pieces of work" % (
        ms / 1000, rounds, flushes, flushes / ms * 1000, resets, works))
    for disk, image in enumerate(guest.images):
        look(image, o.seed, rounds, disk, form=o.format)
        if o.format != "raw":
            check_image(image, o.format, False)


# The guest's words for a kill: some let no FLUSH CACHE hide that a write has to flush, by DMA (3) or PIO (0).
KILLS = ["", "", "through=1 how=3", "", "", "through=1 how=0"]


def killed(o, folder, n, pause):
    preload, seed = STABLE if os.path.exists(STABLE) and o.format == "raw" else None, o.seed + n
    guest = Guest(o, folder, "kill", "seconds=1000 every=1 seed=%d %s" % (seed, KILLS[n % len(KILLS)]), preload)
    try:
        end = time.time() + 60
        while not guest.rounds():
            if guest.process.poll() is not None or time.time() > end:
                raise Failed("it flushed nothing: " + guest.said())
            time.sleep(0.02)
        time.sleep(pause)
        if guest.process.poll() is not None:
            raise Failed("it ended before it was killed: " + guest.said())
    finally:
        guest.kill(with_servers=n % 2)
    rounds = guest.rounds()
    print("killed after %d rounds and %.2f s" % (rounds, pause))
    for disk, image in enumerate(guest.images):
        if o.format != "raw":
            check_image(image, o.format, n % 2)
        look(image, seed, rounds, disk, later=True, form=o.format)
        if preload:
            look(image + ".stable", seed, rounds, disk, later=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--seconds", type=int, default=10)
    p.add_argument("--kills", type=int, help="without it, 6 or one for each 20 seconds")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--format", default="raw")
    p.add_argument("--ring3", default=os.path.join(TOP, "build", "ring3"))
    o = p.parse_args()
    kills = max(6, o.seconds // 20) if o.kills is None else o.kills
    chance, failed = random.Random(o.seed), 0
    tests = [("to its end", lambda f: to_its_end(o, f))]
    for i in range(kills):
        tests.append(("kill %d" % (i + 1), lambda f, i=i: killed(o, f, i, chance.uniform(0, 1.5))))
    for name, test in tests:
        with tempfile.TemporaryDirectory(prefix="ring3-flush") as folder:
            try:
                test(folder)
            except Failed as why:
                failed += 1
                print("FAIL %s: %s" % (name, why))
        sys.stdout.flush()
    print("%d passed, %d failed" % (len(tests) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
