#!/usr/bin/env python3
"""ring3 on another host: Debian's 64-bit kernel on a processor that QEMU emulates. There 32-bit programs run and
local descriptor tables exist, which this machine's kernel may refuse, and the processor may be any that QEMU knows.

  direct.py [--cpu MODEL] [--memory SIZE] [--qemu PROGRAM] [--list] [NAME…]
  direct.py --run COMMAND [--files PATH…]

The host has one processor, no disk and no network. Its root is an archive made here of what the cases name, with the
libraries those programs need; the repository's files lie in /ring3, where commands start. The cases run one after
another in one boot. What each said is left in build/check/direct/NAME.txt.

--run: one command instead, whose output is printed.

To add a case, add a Case to CASES; libraries that its program loads by itself belong to its files.

QEMU 7.2's emulation is not exact: far CALL, RET and IRET at CPL 3 access the stack as a supervisor does (so SMAP is
off, and the stack's pages must be present), and IDIV of -2^63 by -1 ends QEMU itself.
"""
import argparse
import glob
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from vm import Failed  # noqa: E402

TOP = os.path.dirname(os.path.dirname(HERE))
KERNEL, BUSYBOX = (os.path.join(TOP, "build", "guests", name) for name in ("vmlinuz-amd64", "busybox-amd64"))
OUT = os.path.join(TOP, "build", "check", "direct")
CPU = "max,-smap,-la57"
BOOT_LIMIT = 60  # seconds
MOST_SAID = 100000  # bytes, of a case


class Case:
    """command: a line for busybox's sh in /ring3 of the host; wanted: what its output has to contain (a regular
    expression, or several), unwanted: what not; status: its own; limit: seconds, then it is killed; files: what it
    uses, shell patterns: the repository's by relative paths, others by absolute ones and in the same place there."""

    def __init__(self, name, command, wanted, files=(), unwanted=None, status=0, limit=60):
        self.name, self.command, self.files = name, command, list(files)
        self.wanted = [wanted] if isinstance(wanted, str) else list(wanted)
        self.unwanted, self.status, self.limit = unwanted, status, limit

    def missing(self):
        """Those of its files that are not on this machine."""
        return [pattern for pattern in self.files if not glob.glob(os.path.join(TOP, pattern))]

    def judge(self, said, status):
        if status != self.status:
            raise Failed("status %d: %s" % (status, end_of(said)))
        for pattern in self.wanted:
            if not re.search(pattern, said, re.M):
                raise Failed("/%s/ is not in what it says: %s" % (pattern, end_of(said)))
        found = self.unwanted and re.search(self.unwanted, said, re.M)
        if found:
            raise Failed("it says %r" % found[0])


def end_of(said):
    return repr(said.strip()[-300:])


# ---- The cases ----

RING3 = ["build/ring3", "/usr/share/seabios/*"]
LINUX = ["build/guests/vmlinuz-686", "build/guests/initrd.gz"]
# Without a check that wants ten ticks of the timer served in time, which so slow a processor may miss.
BOOT_LINUX = ("build/ring3 -display none -no-reboot -serial stdio -m 64 -kernel build/guests/vmlinuz-686 "
              "-initrd build/guests/initrd.gz -append 'console=ttyS0 quiet panic=-1 no_timer_check "
              "rdinit=/bin/busybox -- sh -c \"/bin/busybox mount -t devtmpfs dev /dev; /bin/busybox uname -sm; "
              "echo up $((6*7)); /bin/busybox poweroff -f\"'")

# A Linux program of ours in a guest whose user code runs directly. What it says has to be what it says elsewhere, but
# for lines with a '?': on the host itself; or, where it tries to leave the guest, in a file. In the statistics: how
# often code ran in a cage, and what came of it.
PROGRAM = "build/tests/guests/%s"
ESCAPES = "tests/guests/cages/escape.lines"
INITRD = """mkdir -p /tmp/files && cp build/tests/guests/%(name)s /tmp/files/program
cat build/guests/initrd.gz >/tmp/initrd
(cd /tmp/files && echo program | cpio -o -H newc 2>/dev/null | gzip) >>/tmp/initrd
"""
GUEST = """build/ring3 -display none -no-reboot -serial stdio -m %(memory)d -user direct -stats /tmp/stats \\
  -kernel build/guests/vmlinuz-686 -initrd /tmp/initrd -append 'console=ttyS0 quiet panic=-1 no_timer_check lpj=4000000 \\
  rdinit=/bin/busybox -- sh -c "/bin/busybox mount -t devtmpfs dev /dev; /program %(arguments)s 2>/dev/null; \\
  /bin/busybox poweroff -f"' """
IN_GUEST = INITRD + """%(elsewhere)s 2>/tmp/others | grep -v -F '?' >/tmp/wanted
""" + GUEST + """| tr -d '\\r' >/tmp/guest
sed '/^DONE/q' /tmp/guest | grep -v -F '?' >/tmp/guest.kept
diff /tmp/wanted /tmp/guest.kept && echo the same: $(wc -l </tmp/guest.kept) lines
cat /tmp/stats"""

# Many processes, and what ring3 has on the host meanwhile: descriptors, mappings, processes, as told each second from
# when the first line came, which is when all of a kind have been alive.
WATCHED = INITRD + """children() { grep -l "^PPid:.$id$" /proc/[0-9]*/status 2>/dev/null; }
alive() { for n in $*; do [ -e $n ] && ! grep -q '^State:.Z' $n && echo $n; done | wc -l; }
build/tests/guests/%(name)s %(arguments)s >/tmp/wanted
""" + GUEST + """>/tmp/guest 2>&1 &
id=$!
until grep -q 'at once' /tmp/guest || ! kill -0 $id; do sleep 1; done
most=0; cages=
while kill -0 $id 2>/dev/null; do
    echo $(ls /proc/$id/fd | wc -l) $(wc -l </proc/$id/maps)
    now=$(children); cages="$cages $now"; now=$(echo $now | wc -w); [ $now -le $most ] || most=$now
    sleep 1
done 2>/dev/null >/tmp/held
wait $id
tr -d '\\r' </tmp/guest | sed '/^DONE/q' | diff /tmp/wanted - && echo the same
awk 'NR == 1 { fds = $1; maps = $2 } $1 > fds + 4 || $2 > maps + 400 { more++ }
     END { print NR " times looked at, " more + 0 " with more, at first " fds " descriptors, " maps " mappings" }' /tmp/held
echo at most $most processes of cages, $(alive $cages) left
cat /tmp/stats
echo
""" + INITRD + GUEST.replace("%(arguments)s", "0 0") + """ >/tmp/guest 2>&1 &
id=$!
until cages=$(children); [ "$cages" ] || ! kill -0 $id; do sleep 1; done
kill -KILL $id; wait $id; sleep 1
echo killed with $(echo $cages | wc -w) processes of cages, $(alive $cages) left"""


def in_guest(name, elsewhere, wanted, files=()):
    return Case(name + "-direct", IN_GUEST % {"name": name, "elsewhere": elsewhere, "memory": 64, "arguments": ""}, wanted,
                RING3 + LINUX + [PROGRAM % name, *files], limit=200)


CASES = [
    Case("processor", "echo quit | build/ring3 -display none -monitor stdio -stats /tmp/stats; cat /tmp/stats; echo; "
         "grep -m 1 ^flags /proc/cpuinfo",
         [r'"processor": ?"(AuthenticAMD|GenuineIntel) \d+\\?/\d+', r"^flags.* fsgsbase .*\bbmi2\b"], RING3),
    # The programs run first on the host itself: as 32-bit ones, with descriptors of their own.
    Case("programs", "for t in bits flow modify; do build/insn-run build/tests/insn/$t.elf || exit 1; done",
         r"^flow.elf: \d+ passed, 0 failed", ["build/insn-run", "build/tests/insn/*.elf"], unwanted=r"^(SKIP|FAIL).*"),
    # A process each: huge pages make one that does it all need gigabytes.
    Case("unit", "for t in bt_host bt_adapt user_map bt_code_page bt_pic bt_far; do build/unit $t || exit 1; done",
         r"^[1-9]\d* passed, 0 failed", ["build/unit", "/usr/lib/*/libcapstone.so.4", *RING3], unwanted=r"^0 passed",
         limit=120),
    Case("cages", "build/unit bt_cage", r"^[1-9]\d* passed, 0 failed", ["build/unit", "/usr/lib/*/libcapstone.so.4", *RING3],
         unwanted=r"skipped", limit=120),
    Case("fuzz", "build/tests/fuzz/direct --defined --count 600", r"^600 passed, 0 failed", ["build/tests/fuzz/direct", *RING3]),
    in_guest("compute", PROGRAM % "compute", [r"^the same: \d\d lines", r'"cage_runs": ?[1-9]\d\d']),
    in_guest("escape", "cat " + ESCAPES, [r"^the same: \d\d lines", r'"escape": ?[1-9]'], [ESCAPES]),
    Case("processes", WATCHED % {"name": "forks", "arguments": "200 500", "memory": 128},
         [r"^the same$", r"^[1-9]\d* times looked at, 0 with more", r"^at most [1-9]\d? processes of cages, 0 left",
          r'"cages_ended": ?[1-9]', r"^killed with [1-9] processes of cages, 0 left"], RING3 + LINUX + [PROGRAM % "forks"], limit=300),
    Case("linux", BOOT_LINUX, [r"^Linux i686", r"^up 42"], RING3 + LINUX, limit=150),
]

# ---- The host's root ----

INIT = """#!/bin/sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ TMPDIR=/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /dev/pts
mount -t devpts dev /dev/pts
mount -t tmpfs tmp /tmp
mount -t tmpfs tmp /dev/shm
ip link set lo up
exec >/dev/ttyS1 2>&1
stty raw
cd /ring3
echo
echo TOKEN up
while read -r number limit; do
    timeout -s KILL $limit sh /cases/$number >/tmp/said 2>&1 </dev/null
    status=$?
    kill -KILL -1 # what it has left running; not this shell, which is the first process
    tail -c MOST /tmp/said
    echo
    echo TOKEN end $number $status
    rm -rf /tmp/*
done </cases/list
poweroff -f
"""


def libraries(program):
    """What ldd says it needs; of a static one, nothing."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return re.findall(r"(?:=> |^\s+)(/\S+) \(0x", said, re.M)


def is_program(path):
    with open(path, "rb") as f:
        return f.read(5) == b"\x7fELF\2"


class Archive:
    """A cpio archive of the kind "newc", which Linux unpacks as its first root."""

    def __init__(self, path):
        self.file, self.names = open(path, "wb"), set()

    def record(self, name, mode, data):
        head = [len(self.names) + 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        self.names.add(name)
        self.file.write(b"070701" + b"".join(b"%08x" % n for n in head) + name.encode() + b"\0")
        self.pad()
        self.file.write(data)
        self.pad()

    def pad(self):
        self.file.write(bytes(-self.file.tell() % 4))

    def folder(self, name):
        if name and name not in self.names:
            self.folder(os.path.dirname(name))
            self.record(name, 0o40755, b"")

    def add(self, name, data, mode=0o644):
        self.folder(os.path.dirname(name))
        self.record(name, 0o100000 | mode, data)

    def copy(self, path, name):
        """A file of this machine; of a program, its libraries, too."""
        if name in self.names or os.path.isdir(path):
            return
        with open(path, "rb") as f:
            self.add(name, f.read(), os.stat(path).st_mode & 0o777)
        if is_program(path):
            for library in libraries(path):
                self.copy(library, library.lstrip("/"))

    def close(self):
        self.record("TRAILER!!!", 0, b"")
        self.file.close()


def make_root(path, cases, token):
    root = Archive(path)
    for name in ("dev", "proc", "sys", "tmp", "ring3"):
        root.folder(name)
    root.copy(BUSYBOX, "bin/busybox")
    root.record("bin/sh", 0o120777, b"busybox")
    root.add("init", INIT.replace("TOKEN", token).replace("MOST", str(MOST_SAID)).encode(), 0o755)
    root.add("cases/list", "".join("%d %d\n" % (i, c.limit) for i, c in enumerate(cases)).encode())
    for i, c in enumerate(cases):
        root.add("cases/%d" % i, c.command.encode() + b"\n")
        for pattern in c.files:
            for found in glob.glob(os.path.join(TOP, pattern)):
                root.copy(found, found.lstrip("/") if pattern.startswith("/")
                          else os.path.join("ring3", os.path.relpath(found, TOP)))
    root.close()


# ---- The host ----

class Host:
    def __init__(self, o, cases):
        self.folder = tempfile.mkdtemp(prefix="ring3-direct")
        self.token = secrets.token_hex(8)  # no case can say it
        make_root(self.path("root"), cases, self.token)
        self.process = subprocess.Popen(
            [o.qemu, "-accel", "tcg,tb-size=512", "-cpu", o.cpu, "-m", o.memory, "-nodefaults", "-no-user-config",
             "-display", "none", "-no-reboot", "-kernel", KERNEL, "-initrd", self.path("root"),
             "-append", "console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable",
             "-serial", "file:" + self.path("console"), "-serial", "file:" + self.path("said")],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def path(self, name):
        return os.path.join(self.folder, name)

    def text(self, name):
        try:
            with open(self.path(name), encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def wait(self, what, patience):
        """What the host has said since the last wait, up to a line with the token; the rest of that line."""
        end, mark = time.time() + patience, "\n%s %s" % (self.token, what)
        while True:
            ended = self.process.poll() is not None
            before, found, after = self.text("said").partition(mark)
            if found and "\n" in after:
                return before.rpartition(self.token)[2].partition("\n")[2].strip("\n"), after.partition("\n")[0]
            if ended or time.time() > end:
                raise Failed("the host %s; its console: %s%s" % (
                    "has ended" if ended else "says nothing", end_of(self.text("console")), self.complaint(ended)))
            time.sleep(0.1)

    def complaint(self, ended):
        said = self.process.stdout.read().decode(errors="replace").strip() if ended else ""
        return "; QEMU: " + said[-200:] if said else ""

    def results(self, cases):
        """Of each case what it said and its status, as they come."""
        self.wait("up", BOOT_LIMIT)
        for i, c in enumerate(cases):
            said, status = self.wait("end %d " % i, c.limit + 20)
            yield said, int(status)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)


# ---- The suite ----

def keep(name, said):
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, name + ".txt"), "w", encoding="utf-8") as f:
        f.write(said + "\n")


def run(o, cases):
    """How many passed and failed."""
    passed, start = 0, time.time()
    host = Host(o, cases)
    try:
        results = host.results(cases)
        for c in cases:
            try:
                said, status = next(results)
                keep(c.name, said)
                c.judge(said, status)
                print("ok %s  %.0f s" % (c.name, time.time() - start), flush=True)
                passed += 1
            except StopIteration:
                print("FAIL %s: the host was gone before" % c.name)
            except Failed as problem:
                print("FAIL %s: %s" % (c.name, problem), flush=True)
    finally:
        host.close()
    return passed, len(cases) - passed


def run_one(o):
    host = Host(o, [Case("run", o.run, [], o.files, limit=600)])
    try:
        for said, status in host.results([Case("run", "", [], limit=600)]):
            print(said)
            return status
    finally:
        host.close()


def absent(o):
    """Why nothing can run here, or None."""
    if not shutil.which(o.qemu):
        return "%s is not installed: apt-get install qemu-system-x86" % o.qemu
    for path in KERNEL, BUSYBOX:
        if not os.path.exists(path):
            return "%s is not there: tests/suites/fetch-guests host makes it" % os.path.relpath(path, TOP)
    return None


def options():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--cpu", default=CPU)
    a.add_argument("--memory", default="2G")
    a.add_argument("--qemu", default="qemu-system-x86_64")
    a.add_argument("--list", action="store_true")
    a.add_argument("--run", metavar="COMMAND")
    a.add_argument("--files", nargs="+", default=RING3)
    a.add_argument("names", nargs="*")
    o = a.parse_args()
    unknown = set(o.names) - {c.name for c in CASES}
    if unknown:
        a.error("no case is called %s" % ", ".join(sorted(unknown)))
    return o


def main():
    o = options()
    if o.list:
        print("\n".join(c.name for c in CASES))
        return 0
    why = absent(o)
    if o.run:
        if why:
            sys.exit("direct.py: " + why)
        try:
            return run_one(o)
        except Failed as problem:
            sys.exit("direct.py: %s" % problem)
    cases, skipped = [], 0
    for c in CASES:
        if o.names and c.name not in o.names:
            continue
        missing = c.missing()
        if why or missing:
            print("SKIP %s: %s" % (c.name, why or "%s is not there" % ", ".join(missing)))
            skipped += 1
        else:
            cases.append(c)
    passed, failed = run(o, cases) if cases else (0, 0)
    print("%d passed, %d failed" % (passed, failed) + (", %d skipped" % skipped if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
