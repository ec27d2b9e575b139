#!/usr/bin/env python3
"""PC-MOS/386 in use: nine tasks, each with a screen of its own, work side by side for some minutes.

  pcmos.py [--minutes N] [--seed N] [--vmm COMMAND] [--slow FACTOR]

Tasks 1 to 3 run batch files: copies on the hard disk, copies on the second floppy, sorting. The others, and task 0, are
switched to by turns and typed into. Checked are

* each screen: it answers, and is as it was left;
* the clock: each task's prompt tells it, and it is compared with the host's;
* memory: after the first round the VMM grows by no more than the translation cache, which is dropped when it is full;
* the files: the guest compares them, VERIFY finds both file systems sound, and the host compares again.

Screens are left in build/check/pcmos/. The system is ../shared/images/pcmos-9user-386.img; without it, or without mtools,
the suite is skipped.
"""
import argparse
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import images  # noqa: E402
from cases import Skipped, case, expect, run_case, run_cases  # noqa: E402
from vm import VM, Failed  # noqa: E402

OUT = os.path.join(images.TOP, "build", "check", "pcmos")
TASKS, TASK_KB = 9, 128
BATCHES = {1: "hard", 2: "floppy", 3: "sort"}
TYPED = [task for task in range(TASKS) if task not in BATCHES]
PARTITION = 63 * 512
DAY = 24 * 3600
CACHE_MB = 32        # the translation cache grows to this, and is then dropped and given back (bt/cache.c)
GROWTH_MOST_MB = 8   # beyond the cache
BEHIND_MOST = 60     # seconds that the host may have taken without the guest's noticing (runtime/machine/stolen.c)
CLOCK_NOISE = 0.25   # seconds: four ticks of PC-MOS's clock, 18.2 a second

# %1: the task. A file C:STOP ends it. The waits leave the processor to the others.
BATCH = """echo off
:top
%s
echo TASK %%1 WENT ROUND >>c:%%1.log
echo TASK %%1 WENT ROUND
mos wait 4
if not exist c:stop goto top
echo TASK %%1 IS DONE
"""
COPIES = """copy c:r.bin %s:%1.tmp
compfile c:r.bin %s:%1.tmp >>c:%1.log
erase %s:%1.tmp
copy c:r.bin %s:%1.bin"""
WORK = {"hard": COPIES.replace("%s", "c"), "floppy": COPIES.replace("%s", "b"),
        "sort": "msort /a <c:words.txt >c:sorted.txt"}


def run(*command):
    r = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL)
    expect(r.returncode == 0, "%s: %s" % (command, r.stderr.decode(errors="replace").strip()))
    return r.stdout


# ---- Its disks ----

class Disks:
    def __init__(self, folder, rng):
        self.system = os.path.join(folder, "system.img")
        self.floppy, hard = os.path.join(folder, "floppy.img"), os.path.join(folder, "hard.img")
        self.hard = "%s@@%d" % (hard, PARTITION)
        self.hard_image = hard
        shutil.copyfile(images.Shared("pcmos-9user-386.img").found(), self.system)
        self.bytes = rng.randbytes(60000 + rng.randrange(1000))
        words = sorted({"".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 9))) for _ in range(800)})
        self.sorted = words
        self.make_floppy()
        self.make_hard(hard)
        self.put("r.bin", self.bytes)
        self.put("words.txt", lines(rng.sample(words, len(words))))
        for name, work in WORK.items():
            self.put(name + ".bat", lines((BATCH % work).split("\n")))

    def make_floppy(self):
        with open(self.floppy, "wb") as f:
            f.truncate(1440 * 1024)
        run("mformat", "-i", self.floppy, "-f", "1440", "::")

    def make_hard(self, path, cylinders=40, heads=16, sectors=63):
        """One partition of FAT16, which begins at the second track."""
        total = cylinders * heads * sectors - sectors
        end = bytes([heads - 1, sectors | (cylinders - 1) >> 8 << 6, cylinders - 1 & 0xff])
        with open(path, "wb") as f:
            f.write(bytes(446) + struct.pack("<B3sB3sII", 0x80, b"\1\1\0", 4, end, sectors, total) + bytes(48) + b"\x55\xaa")
            f.truncate(cylinders * heads * sectors * 512)
        run("mformat", "-i", self.hard, "-T", str(total), "-h", str(heads), "-s", str(sectors), "-H", str(sectors), "::")

    def put(self, name, data):
        with tempfile.NamedTemporaryFile() as f:
            f.write(data)
            f.flush()
            run("mcopy", "-i", self.hard, f.name, "::" + name)

    def options(self):
        return ["-m", "16", "-boot", "a", "-hda", self.hard_image] + [
            x for i, path in enumerate((self.system, self.floppy))
            for x in ("-drive", "file=%s,if=floppy,format=raw,index=%d" % (path, i))]


def lines(texts):
    return "".join(text + "\r\n" for text in texts).encode()


def read(drive, name):
    return run("mtype", "-i", drive, "::" + name)


# ---- Its screens ----

class Console:
    """Of PC-MOS: one task's screen is shown, and has the keyboard."""

    def __init__(self, vm):
        self.vm, self.task = vm, 0
        self.left = {}      # task: its screen when it was left
        self.switches = self.keys = self.again = 0

    def screen(self):
        return "\n".join(self.vm.screen().split("\n")[:25]).rstrip()

    def prompt(self, task):
        return r"(\d+):(\d\d):(\d\d\.\d\d) T%d>" % task

    def wait(self, pattern, patience=60):
        search = re.compile(pattern, re.S)
        try:
            return self.vm.wait_for("/%s/" % pattern, lambda: search.search(self.screen()), patience)
        except Failed as failure:
            raise Failed("task %d: %s; its screen: %s" % (self.task, failure, self.screen().split("\n")[-12:]))

    def press(self, key):
        """A key that changes the screen. By QEMU, too, and on a busy host, PC-MOS now and then loses one."""
        before = self.screen()
        for _ in range(5):
            self.vm.press(key)
            self.keys += 1
            end = time.monotonic() + 5 * self.vm.slow
            while time.monotonic() < end:
                if self.screen() != before:
                    return
                time.sleep(self.vm.look_every)
            self.again += 1
        raise Failed("task %d does not take %s; its screen: %s" % (self.task, key, before.split("\n")[-12:]))

    def enter(self, text):
        self.vm.type(text)
        self.wait(re.escape(text) + "$")
        self.press("ret")

    def name(self, task):
        """Gives the task's prompt its number and the time."""
        self.enter("prompt $t T%d$g" % task)
        self.wait(self.prompt(task) + "$")

    def add(self, task):
        self.run("addtask %d,%d" % (TASK_KB, task), r"Starting task number +%d" % task)
        self.left.pop(task, None)

    def switch(self, task):
        """The task's screen, which has to be as it was left."""
        if task == self.task:
            return
        self.left[self.task] = self.screen()
        self.press("alt-kp_%d" % task)
        self.task = task
        self.switches += 1
        if task not in self.left:
            self.wait(r"\[A:\\\]$")
            self.name(task)
        elif task in BATCHES:
            self.wait("TASK %d" % task)
        else:
            self.vm.wait_for("the screen of task %d as it was left" % task, lambda: self.screen() == self.left[task], 20)

    def clear(self):
        self.enter("cls")
        self.wait(r"^(?:\s*%s)+$" % self.prompt(self.task))

    def run(self, command, pattern, patience=90):
        """Types a command on a clear screen; what it says and the next prompt have to come."""
        self.clear()
        self.enter(command)
        return self.wait(pattern + r".*" + self.prompt(self.task) + "$", patience)

    def press_until(self, key, pattern):
        for _ in range(20):
            self.vm.press(key)
            try:
                return self.wait(pattern, 2)
            except Failed:
                pass
        return self.wait(pattern, 2)

    def clock(self):
        """(seconds since midnight by the guest, host's time before, host's time after)"""
        self.clear()
        before = time.monotonic()
        self.vm.press("ret")
        h, m, s = self.wait("\n *" + self.prompt(self.task) + "$").groups()
        return int(h) * 3600 + int(m) * 60 + float(s), before, time.monotonic()


class Clock:
    """The guest's against the host's. What the host takes for others the guest does not see at once: so much it may be
    behind, and so much of what was taken before the first look it may have made up."""

    def __init__(self, console):
        self.console = console
        self.first, before, self.after = console.clock()
        self.slack = self.after - before
        self.cpu = console.vm.cpu_seconds()
        self.taken_before = hidden(time.time() - console.vm.start - self.cpu)
        self.guest = self.host = self.behind = 0.0

    def check(self):
        now, before, after = self.console.clock()
        self.guest, self.host = (now - self.first) % DAY, after - self.after
        noise = CLOCK_NOISE + self.slack + after - before
        taken = hidden(self.host - (self.console.vm.cpu_seconds() - self.cpu))
        self.behind = self.host - self.guest
        expect(-noise - self.taken_before < self.behind < noise + taken,
               "%.2f s went by, the guest counts %.2f, the host took %.2f" % (self.host, self.guest, taken))


def hidden(seconds):
    return max(0, min(seconds, BEHIND_MOST))


def memory_mb(pid):
    """What the process has of the host, and no pressure on the host takes away: anonymous memory, its memory files, its
    host page tables."""
    with open("/proc/%d/smaps_rollup" % pid) as f, open("/proc/%d/status" % pid) as g:
        kib = sum(int(n) for n in re.findall(r"^(?:Pss_Anon|SwapPss|VmPTE):\s+(\d+)", f.read() + g.read(), re.M))
    for fd in os.scandir("/proc/%d/fd" % pid):
        if os.readlink(fd.path).startswith("/memfd:"):
            kib += os.stat(fd.path).st_blocks / 2
    return kib / 1024


def check_memory(sizes):
    """sizes: after each round. Never above the first by more than the cache."""
    expect(sizes[-1] - sizes[0] < CACHE_MB + GROWTH_MOST_MB, "memory grew from %.1f to %.1f MB" % (sizes[0], sizes[-1]))


def check_least(sizes):
    """Over many rounds, which fill the cache again and again, what is left when it has been dropped is not more each time."""
    third = len(sizes) // 3
    if third >= 12:
        early, late = min(sizes[:third]), min(sizes[-third:])
        expect(late - early < CACHE_MB / 2, "memory grew: its least was %.1f MB at first, and is %.1f" % (early, late))


# ---- What is done there ----

def copy(c):
    """A file onto the hard disk; the guest compares it."""
    c.run("copy c:r.bin c:t%d.bin" % c.task, r"Files Copied: +1")
    c.run("compfile c:r.bin c:t%d.bin" % c.task, r"The files compared OK")
    return {"t%d.bin" % c.task}


def search(c):
    """A text of the system's floppy, shown to its end, and searched."""
    c.run("type config.sys", r"MEMDEV=\$386\.SYS.*SMPSIZE=128K")
    c.run('search /c "ADDTASK" help.txt', r"\d")


def list_files(c):
    c.run("dir *.exe", r"ACU +\.EXE +119,846.*VERIFY +\.EXE +9,370.*11 FILES")
    c.run("dir c:r.bin", r"R +\.BIN +\d+,\d\d\d")


def tasks(c):
    c.run("mos map", "".join(r"\n +%d\*? +[0-9A-F]+ .*" % n for n in range(TASKS)))


def help_screen(c):
    """A program that draws, and is left by Escape."""
    c.clear()
    c.enter("help")
    c.wait(r"PC-MOS HELP UTILITY.*press <ENTER>")
    c.press_until("ret", r"Form:\s+8087=yes")  # HELP throws away what was typed while it drew
    c.press_until("esc", c.prompt(c.task) + "$")


def renew_task(c):
    """Ends the last task and starts another in its place; only task 0 does."""
    if c.task:
        return tasks(c)
    c.run("remtask %d" % (TASKS - 1), "")
    c.run("mos map", r"\n +%d +[0-9A-F]+ [^\n]+\n\n" % (TASKS - 2))
    c.add(TASKS - 1)


ACTIONS = [copy, search, list_files, tasks, help_screen, renew_task]


def start(vm):
    images.SYSTEMS["pcmos-9user"].wait(vm)
    c = Console(vm)
    c.name(0)
    for task in range(1, TASKS):
        c.add(task)
    tasks(c)
    for task, batch in BATCHES.items():
        c.switch(task)
        c.enter("c:%s %d" % (batch, task))
        c.wait("TASK %d WENT ROUND" % task, 90)
    for task in TYPED:
        c.switch(task)
    return c


def use(c, o, rng):
    """Until the time is over: by turns to each task, one action there, a look at a batch's screen, a pause. The names of what
    was copied, memory after each round."""
    clock, copied, sizes, end = None, set(), [], time.time() + 60 * o.minutes
    while True:
        for task in rng.sample(TYPED, len(TYPED)):
            c.switch(task)
            clock = clock or Clock(c)
            copied |= rng.choice(ACTIONS)(c) or set()
            clock.check()
            time.sleep(o.pause)
            if sizes and time.time() > end:
                return copied, sizes
            if rng.random() < 0.3:
                c.switch(rng.choice(list(BATCHES)))
                time.sleep(o.pause)
        sizes.append(memory_mb(c.vm.process.pid))
        print("   round %d: %.1f MB, guest's clock %.2f s behind after %.0f s, %.1f CPU seconds" % (
            len(sizes), sizes[-1], clock.behind, clock.host, c.vm.cpu_seconds()), flush=True)
        check_memory(sizes)
        if time.time() > end:
            return copied, sizes


def finish(c):
    """The batches end, both file systems are sound, the tasks are removed."""
    c.switch(0)
    c.run("copy c:words.txt c:stop", r"Files Copied: +1")
    for task in BATCHES:
        c.switch(task)
        c.wait("TASK %d IS DONE.*%s$" % (task, c.prompt(task)), 120)
        c.vm.screendump(os.path.join(OUT, "task%d.png" % task))
    c.switch(0)
    for drive in "bc":
        c.run("verify %s:" % drive, r"Volume ID of %s: .*Total capacity" % drive.upper())
        said = c.screen()
        expect(not re.search("lost|cross|error", said, re.I), "VERIFY of %s: says: %s" % (drive, said.split("\n")))
    c.vm.screendump(os.path.join(OUT, "task0.png"))
    c.clear()
    c.enter("remtask all")
    c.wait(c.prompt(0) + "$")
    time.sleep(3)  # nothing is written any more


def compare(disks, copied):
    """What is on the disks, read by mtools."""
    for name in sorted(copied) + ["1.bin"]:
        expect(read(disks.hard, name) == disks.bytes, "C:%s came out different" % name)
    expect(read(disks.floppy, "2.bin") == disks.bytes, "B:2.BIN came out different")
    expect(read(disks.hard, "sorted.txt") == lines(disks.sorted), "C:SORTED.TXT is not sorted as the host does")
    for task in BATCHES:
        log = read(disks.hard, "%d.log" % task).decode("cp437")
        rounds, good = log.count("WENT ROUND"), log.count("compared OK")
        print("   task %d went round %d times" % (task, rounds))
        expect(rounds, "task %d did nothing" % task)
        expect(BATCHES[task] == "sort" or good == rounds, "task %d: %d of %d copies compared equal" % (task, good, rounds))


@case
def nine_tasks(o):
    rng = random.Random(o.seed)
    if not shutil.which("mformat"):
        raise Skipped("mtools is not installed")
    os.makedirs(OUT, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ring3-pcmos") as folder:
        try:
            disks = Disks(folder, rng)
        except images.Skip as skip:
            raise Skipped(str(skip))
        vm = VM(o.vmm, disks.options(), o.slow)
        try:
            c = start(vm)
            copied, sizes = use(c, o, rng)
            tasks(c)
            vm.screendump(os.path.join(OUT, "used.png"))
            finish(c)
            print("   %d switches, %d keys waited for, %d of them again, %.1f s, %.1f CPU seconds" % (
                c.switches, c.keys, c.again, time.time() - vm.start, vm.cpu_seconds()))
            expect(c.again <= 1 + c.keys // 100, "%d of %d keys were lost" % (c.again, c.keys))
            vm.record(os.path.join(OUT, "last"))
            vm.quit()
            compare(disks, copied)
            check_least(sizes)
        except Exception:
            vm.record(os.path.join(OUT, "last"))
            raise
        finally:
            vm.close()


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--minutes", type=float, default=3)
    a.add_argument("--pause", type=float, default=0.5, help="seconds after each action")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--vmm", default=os.path.join(images.TOP, "build", "ring3"))
    a.add_argument("--slow", type=float, default=float(os.environ.get("SLOW", "1")))
    o = a.parse_args()
    return run_cases([], lambda function: run_case(function, o))


if __name__ == "__main__":
    sys.exit(main())
