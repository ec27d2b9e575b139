"""The floppies of `real` and `video` timed from outside, for DOSBox, whose TSC counts instructions.

The guest runs a row as often as it is told over COM1, and says when it has (floppy.inc). The time is the CPU
time that the host accounts to the process meanwhile. The two messages are in it, 1 ms with DOSBox, several
with ring3: hence long samples. It can only be too long, so that the least of several is the best.
"""
import contextlib
import functools
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import tty

import rig

SECONDS = {"dosbox": 0.05}  # of a sample
OTHERS = 0.3
SAMPLES = 2
MOST = 26  # 2^25 turns; `Z`
# Ports take DOSBox's own time. With cycles=max it would sleep through much of it, which costs CPU time, too.
DOSBOX = """[sdl]
output=surface
[dosbox]
memsize=16
[cpu]
core=dynamic
cputype=pentium_slow
cycles=fixed 1000000
[mixer]
nosound=true
[serial]
serial1=directserial realport:%s
"""


@functools.cache
def dosbox_found():
    """Is there one? If not, that is said."""
    if not shutil.which("dosbox"):
        print("DOSBox's column is left out: dosbox is not installed.")
        return False
    return True


def command_of(engine, image, line, folder, o):
    """How a machine is started that has the image in its drives, and `line`, a terminal, at COM1."""
    if engine == "dosbox":
        path = os.path.join(folder, "conf")
        with open(path, "w") as f:
            f.write(DOSBOX % os.path.relpath(line, "/dev"))
        shutil.copy(image, folder)  # it writes to images
        image = os.path.join(folder, os.path.basename(image))
        return ["dosbox", "-conf", path, "-c", "imgmount 2 %s -t hdd -fs none -size 512,18,2,80" % image,
                "-c", "boot " + image]
    return [*shlex.split(rig.command_of(engine, o)), "-m", "16", "-boot", "a", *drives(image),
            "-display", "none", "-no-reboot", "-serial", "stdio"]


def drives(image):
    return [x for kind in ("floppy", "ide")
            for x in ("-drive", "file=%s,if=%s,format=raw,snapshot=on" % (image, kind))]


@contextlib.contextmanager
def started(engine, image, o):
    """(its process id, the other end of its COM1)"""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    with tempfile.TemporaryDirectory() as folder:
        stdio = theirs if engine != "dosbox" else subprocess.DEVNULL
        child = subprocess.Popen(command_of(engine, image, os.ttyname(theirs), folder, o), stdin=stdio,
                                 stdout=stdio, stderr=subprocess.DEVNULL, start_new_session=True,
                                 env={**os.environ, "SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"})
        try:
            yield child.pid, ours
        finally:
            child.kill()
            child.wait()
            os.close(ours)
            os.close(theirs)


class Silent(Exception):
    """The guest does not say what it should."""


def said(line, what, patience):
    """Reads from the guest until `what` has come, a pattern; its match."""
    text, end = "", time.monotonic() + patience
    while not (found := re.search(what, text)):
        if not select.select([line], [], [], max(0, end - time.monotonic()))[0]:
            raise Silent("nothing for %d s but %r" % (patience, text))
        text += os.read(line, 4096).decode("latin1")
    return found


def cpu_seconds(pid):
    """Of a child, which is stopped meanwhile: the host counts what runs when it stops, or every few ms."""
    os.kill(pid, signal.SIGSTOP)
    os.waitpid(pid, os.WUNTRACED)
    now = time.clock_gettime(~pid << 3 | 2)  # CPUCLOCK_SCHED of a process: what clock_getcpuclockid() makes
    os.kill(pid, signal.SIGCONT)
    return now


def sample(pid, line, doublings, patience):
    """CPU seconds of 2^doublings turns of the row."""
    begun = cpu_seconds(pid)
    os.write(line, b"%c" % (ord("A") + doublings))
    said(line, r"\.", patience)
    return cpu_seconds(pid) - begun


def measured(pid, line, long, patience):
    """CPU seconds of a turn of the row: the best of samples that are long enough."""
    doublings = 0
    while (took := sample(pid, line, doublings, patience)) < long and doublings < MOST - 1:
        doublings += 1
    return min([took] + [sample(pid, line, doublings, patience) for _ in range(SAMPLES - 1)]) / 2 ** doublings


def timed(engine, image, o):
    """{row: CPU seconds of an operation}"""
    rows, patience = {}, min(o.patience, 60)
    with started(engine, image, o) as (pid, line):
        try:
            while (row := said(line, r"row (\S+) ([0-9a-f]{8})\s|bench done", patience))[1]:
                if o.only in row[1]:
                    long = SECONDS.get(engine, OTHERS)
                    rows[row[1]] = measured(pid, line, long, patience) / int(row[2], 16)
                os.write(line, b"@")
        except Silent as e:
            print("FAIL: %s, from outside, after %d rows: %s" % (engine, len(rows), e))
    return rows
