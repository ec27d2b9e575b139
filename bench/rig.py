"""What every benchmark uses: the machines compared, what a run of one cost, and how results are shown.

Cost is what the host accounts to the child: user and system CPU seconds (getrusage), which other load on the
machine disturbs less than wall time does.
"""
import errno
import fcntl
import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(TOP, "build")
GUESTS = os.path.join(BUILD, "guests")
RESULTS = os.path.join(TOP, "bench", "results")
RING3 = os.path.join(BUILD, "ring3")


class Engines(dict):
    """By name, how a machine is started. `bt:KEY=VALUE:...` is bt without some of its ideas."""

    def __missing__(self, name):
        return RING3 + " --engine " + name.replace(":", ",")

    def __contains__(self, name):
        return super().__contains__(name) or name.startswith("bt:")


ENGINES = Engines(
    qemu="qemu-system-i386 -accel tcg",
    kvm="qemu-system-i386 -accel kvm",
    bt=RING3 + " --engine bt -user bt",
    auto=RING3 + " --engine bt -user auto",
    direct=RING3 + " --engine bt -user direct",
    trap=RING3 + " --engine trap",
    interp=RING3 + " --engine interp",
)


def is_qemu(engine):
    return engine in ("qemu", "kvm")


KVM_GET_API_VERSION = 0xae00  # <linux/kvm.h>; 12 since 2007


def kvm_lacks(device="/dev/kvm"):
    """Why QEMU could not use KVM here, in a few words; None: it can."""
    try:
        with open(device, "rb+", buffering=0) as kvm:
            version = fcntl.ioctl(kvm, KVM_GET_API_VERSION)
    except OSError as e:
        return "%s: %s" % (device, e.strerror)
    return None if version == 12 else "%s: version %d of its interface, not 12" % (device, version)


@functools.cache
def peers():
    """The machines that ring3 stands beside: QEMU's TCG and, where the host has it, KVM."""
    why = kvm_lacks()
    if why:
        print("KVM's column is left out: this host gives none (%s)." % why)
    return ["qemu"] if why else ["qemu", "kvm"]


def command_of(engine, o):
    """How an engine is started; --ring3 names another build."""
    command = ENGINES[engine]
    return command.replace(RING3, o.ring3) if o.ring3 else command


def named_memory(engine, mib):
    """Options that give the guest's RAM a name in QEMU's smaps, for Memory; ring3's has one."""
    return [] if not is_qemu(engine) else ["-object", "memory-backend-memfd,id=ram,size=%dM" % mib, "-machine",
                                        "memory-backend=ram"]


class Cost:
    """A finished child: its status, CPU seconds, wall seconds, largest resident set in KiB."""

    def __init__(self, status, usage, wall):
        self.status, self.wall, self.rss_kib = status, wall, usage.ru_maxrss
        self.user, self.system = usage.ru_utime, usage.ru_stime
        self.cpu = self.user + self.system


def run_child(command, patience, stdout=subprocess.DEVNULL, watch=None):
    """Runs a command to its end, or kills it after `patience` seconds (status None). watch(pid) is called
    every 20 ms or so."""
    start, late = time.time(), False
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.STDOUT)
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            return Cost(None if late else child.returncode, usage, time.time() - start)
        if not late and time.time() - start > patience:
            child.kill()
            late = True
        if watch:
            watch(child.pid)
        time.sleep(0.02)


class Run:
    """One run of a machine: its cost, what came over the serial port and port E9, and ring3's --stats."""

    def __init__(self, engine, options, patience=300, stats=False, watch=None, binary=None):
        command = shlex.split(ENGINES[engine])
        if binary and not is_qemu(engine):
            command[0] = binary
        folder = tempfile.mkdtemp(prefix="ring3-bench")
        path = {name: os.path.join(folder, name) for name in ("serial", "e9", "said", "stats")}
        command += ["-display", "none", "-no-reboot", "-serial", "file:" + path["serial"],
                    "-debugcon", "file:" + path["e9"]]
        if is_qemu(engine):
            command += ["-global", "isa-debugcon.iobase=0xe9"]
        elif stats:
            command += ["--stats", path["stats"]]
        try:
            with open(path["said"], "wb") as said:
                self.cost = run_child(command + [str(x) for x in options], patience, said, watch)
            self.engine, self.options = engine, options
            self.serial, self.e9, self.said = (read(path[name]) for name in ("serial", "e9", "said"))
            self.stats = json.loads(read(path["stats"]) or "{}")
        finally:
            shutil.rmtree(folder)

    def why(self):
        """One line on how it ended, for a run that did not do what it should."""
        how = "stopped after %d s" % self.cost.wall if self.cost.status is None else "status %d" % self.cost.status
        last = (self.said or self.serial or self.e9).strip().split("\n")[-1][-160:]
        return "%s: %s: %s" % (self.engine, how, last)


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read().decode("latin1").replace("\r", "")
    except OSError:
        return ""


# ---- Memory beyond the guest's ----

class Memory:
    """Samples a machine's memory: its proportional set beyond the guest's RAM, and the host's page tables
    for it. Proportional, since code memory and guest memory are mapped more than once."""

    GUEST = re.compile(r"guest memory|memory-backend-memfd")

    def __init__(self, every=0.25):
        self.every, self.next, self.peak = every, 0, {"total": 0}

    def __call__(self, pid):
        if time.time() < self.next:
            return
        self.next = time.time() + self.every
        try:
            with open("/proc/%d/smaps" % pid) as f:
                smaps = f.read()
            with open("/proc/%d/status" % pid) as f:
                tables = int(re.search(r"VmPTE:\s+(\d+)", f.read())[1])
        except (OSError, TypeError):
            return
        kinds = {}
        name = ""
        for line in smaps.split("\n"):
            if line.startswith("Pss:"):
                kib = int(line.split()[1])
                kinds[name] = kinds.get(name, 0) + kib
            elif re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                name = self.kind(line)
        guest = kinds.pop("guest", 0)
        total = sum(kinds.values()) + tables
        if total > self.peak["total"]:
            big = {k: v for k, v in sorted(kinds.items(), key=lambda x: -x[1])[:12]}
            self.peak = {"total": total, "tables": tables, "guest": guest, "biggest": big}

    def kind(self, line):
        """What a line of smaps maps: "guest", a file, or the size of an anonymous area."""
        if self.GUEST.search(line):
            return "guest"
        fields = line.split(None, 5)
        first, last = (int(x, 16) for x in fields[0].split("-"))
        return os.path.basename(fields[5].strip()) if len(fields) > 5 else "anonymous of %d KiB" % ((last - first) >> 10)


# ---- Telling ----

@functools.cache
def processor():
    """What the host is: without it no figure says anything."""
    cpuinfo, (khz, core) = read("/proc/cpuinfo"), clocks()
    facts = {}
    for key, name in ("vendor", "vendor_id"), ("cpu", "model name"), ("family", "cpu family"), ("model", "model"), \
            ("stepping", "stepping"):
        found = re.search(r"^%s\s*: (.*)$" % name, cpuinfo, re.M)
        facts[key] = found[1] if found else "?"
    hypervisor = re.search(r"^hypervisor (.*)$", hostcost("tsc"), re.M)
    return {**facts, "hypervisor": hypervisor and hypervisor[1].strip(), "linux": os.uname().release,
            "tsc_khz": khz, "core_per_tsc": core}


def host_line():
    p = processor()
    return ("Host: %(vendor)s %(cpu)s, family %(family)s model %(model)s stepping %(stepping)s, %%s, Linux %(linux)s, "
            "TSC %%.3f GHz, %(core_per_tsc).2f core cycles a TSC cycle" % p) % (
                "hypervisor " + p["hypervisor"] if p["hypervisor"] else "no hypervisor", p["tsc_khz"] / 1e6)


def host_facts():
    qemu = shutil.which("qemu-system-i386") and subprocess.run(
        ["qemu-system-i386", "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    commit = subprocess.run(["git", "-C", TOP, "rev-parse", "--short", "HEAD"], capture_output=True,
                            text=True).stdout.strip()
    return {**processor(), "cpus": os.cpu_count(), "load": os.getloadavg()[0], "qemu": qemu, "commit": commit,
            "when": time.strftime("%Y-%m-%d %H:%M")}


@functools.cache
def runs_32(program):
    """Does this host run 32-bit programs? Tried with this one, which ends at once. A kernel may refuse them; then
    the figures of the host itself are missing, which is said once."""
    try:
        subprocess.run([program], capture_output=True)
        return True
    except OSError as e:
        if e.errno != errno.ENOEXEC:
            raise
        print("The host's own column is empty: this host runs no 32-bit programs.")
        return False


def table(head, rows, out=print):
    """Columns as wide as their content; the first is left-aligned, the others right."""
    cells = [[str(c) for c in row] for row in [head] + rows]
    width = [max(len(row[i]) for row in cells if i < len(row)) for i in range(len(head))]
    for row in cells:
        out("  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(row, width))).rstrip())


def number(x, digits=3):
    """Three significant digits, no exponent."""
    if x is None:
        return "-"
    if x == 0:
        return "0"
    before = len(str(int(abs(x))))
    return ("%." + str(max(0, digits - before)) + "f") % x


def cheapest(o, engines, run, key):
    """{engine: that of its runs with the least `key`}: run(engine) is called in turns and says None where it failed."""
    runs = {e: [] for e in engines}
    for _ in range(o.repeat):
        for e in engines:
            done = run(e)
            if done:
                runs[e].append(done)
    return {e: min(done, key=lambda r: r[key]) for e, done in runs.items() if done}


def wanted(row, o):
    """Does --only name it? Parts of names, with commas between."""
    return any(word in row for word in o.only.split(","))


def progress(row, figures):
    """What a row of a long run came to, on standard error, for who waits."""
    print("  %s: %s" % (row, ", ".join("%s %s" % (name, number(x)) for name, x in figures.items())), file=sys.stderr, flush=True)


def ratio(x, base):
    return "-" if not x or not base else "%.2f" % (x / base)


def geometric_mean(values):
    values = [v for v in values if v]
    product = 1.0
    for v in values:
        product *= v ** (1.0 / len(values))
    return product if values else None


saved = []  # files of this run, for the page


def save(name, data):
    os.makedirs(RESULTS, exist_ok=True)
    path = os.path.join(RESULTS, name + ".json")
    with open(path, "w") as f:
        json.dump({"host": host_facts(), **data}, f, indent=1)
        f.write("\n")
    saved.append(path)
    print("-> " + os.path.relpath(path, TOP))


def report():
    """A page of what this run has saved; what it does not show is left out of it."""
    page = os.path.join(RESULTS, "report.html")
    done = saved and subprocess.run([os.path.join(TOP, "tools", "ring3-report"), "-o", page, *saved], capture_output=True, text=True)
    if done and done.returncode == 0:
        print("-> " + os.path.relpath(page, TOP))


def hostcost(*arguments):
    return subprocess.run([os.path.join(BUILD, "bench", "hostcost"), *arguments], capture_output=True, text=True).stdout


def clocks():
    """(the TSC's kHz, core cycles per TSC cycle) of this host, by build/bench/hostcost."""
    out = hostcost("tsc")
    return int(re.search(r"tsc (\d+)", out)[1]), float(re.search(r"core ([0-9.]+)", out)[1])
