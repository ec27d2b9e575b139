"""The price of every instruction: each row of the instruction tables in each operand form, by a guest of ours.

Answers: which instructions are dearer than under QEMU, which are far above the host's, and why do they stay? Figures
are core cycles of the host, of the best sample, less the loop around the instruction.

  bench/run prices [--modes flat,paged,ring3,real,v86] [--only TEXT] [--sorted FILE]
"""
import fnmatch
import os
import re
import subprocess

import rig

FOLDER = os.path.join(rig.BUILD, "bench")
REASONS = os.path.join(rig.TOP, "bench", "prices", "reasons")
MODES = ["flat", "paged", "ring3", "real", "v86"]
GUESTS = {"paged": "flat"}
NO_TRAP = 255


class Row:
    def __init__(self, name, copies, base):
        self.name, self.copies, self.base = name, int(copies), int(base)


def rows_of():
    """{mode: rows in the guest's order}, by the generator's list."""
    rows = {}
    with open(os.path.join(FOLDER, "prices.list")) as f:
        for line in f:
            fields = line.rstrip("\n").split("\t")
            if fields[0] == "row":
                rows.setdefault(fields[1], []).append(Row(*fields[2:]))
    for mode, same in GUESTS.items():
        rows[mode] = rows[same]
    return rows


def parse(text):
    """{row's number: (best TSC cycles of a turn, vector of a fault)}"""
    return {int(m[1]): (int(m[2]) / 100, int(m[3]))
            for m in re.finditer(r"^row (\d+) \d+ (\d+) \d+ (\d+)$", text, re.M)}


def wanted(rows, o):
    """Numbers of the rows to run, and of their loops; None: all."""
    if not o.only:
        return None
    numbers = {i for i, r in enumerate(rows) if o.only in r.name and r.base >= 0}
    return sorted(numbers | {rows[i].base for i in numbers})


def run_guest(machine, mode, rows, khz, o):
    numbers = wanted(rows, o)
    if numbers == []:
        return {}
    append = "khz=%d mode=%s" % (khz, mode) + (" rows=" + ",".join(map(str, numbers)) if numbers else "")
    kernel = os.path.join(FOLDER, "prices-%s.elf" % GUESTS.get(mode, mode))
    options = ["-m", "32", "-kernel", kernel, "-append", append, "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    if machine == "qemu":
        options += ["-cpu", "qemu32,+clflush"]  # as ring3's model
    run = rig.Run(machine, options, o.patience, binary=o.ring3)
    got = parse(run.e9)
    if "bench done" not in run.e9:
        print("FAIL %s after %d rows: %s" % (mode, len(got), run.why()))
    return got


def run_host(rows):
    done = subprocess.run([os.path.join(FOLDER, "prices"), "host"], capture_output=True, text=True)
    if done.returncode:
        print("FAIL: prices host: status %d" % done.returncode)
    return parse(done.stdout)


def merge(old, new):
    for n, (best, trap) in new.items():
        old[n] = min(best, old[n][0]) if n in old else best, trap
    return old


def priced(rows, got, core):
    """{name: (core cycles, trap)}: of one instruction, without its loop."""
    prices = {}
    for n, (best, trap) in got.items():
        row = rows[n]
        if row.base >= 0 and row.base in got:
            prices[row.name] = max(0, best - got[row.base][0]) / row.copies * core, trap
    return prices


# ---- Judging ----

def reasons():
    """[(mode pattern, row pattern, reason)]"""
    found = []
    with open(REASONS) as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                found.append(tuple(x.strip() for x in line.split("|", 2)))
    return found


def reason(mode, name, table):
    for modes, rows, why in table:
        if fnmatch.fnmatchcase(mode, modes) and fnmatch.fnmatchcase(name, rows):
            return why
    return ""


def dearer(mine, qemu):
    return mine > qemu * 1.15 and mine > qemu + 2


HOSTS_OWN = "the host's own price"


def why_so(mode, name, mine, native, table):
    """The reason for a price: the table's, or that the host pays the same."""
    return reason(mode, name, table) or (HOSTS_OWN if native is not None and mine <= native * 1.15 + 2 else "")


def trap_text(mine, theirs):
    if mine == theirs:
        return "" if mine == NO_TRAP else "fault %d" % mine
    return "faults differ: %s, QEMU %s" % tuple("none" if t == NO_TRAP else t for t in (mine, theirs))


def cells(name, got, engines, host):
    qemu = got["qemu"].get(name)
    mine = [got[e].get(name) for e in engines]
    return [name] + [rig.number(x[0]) if x else "-" for x in mine + [qemu]] + [
        rig.number(host) if host is not None else "-", rig.ratio(mine[0][0], qemu[0]) if mine[0] and qemu else "-"]


class Judgement:
    """The rows of a mode that both have, worst first; which are dearer than QEMU's, far above the host, unlike."""

    def __init__(self, mode, got, host, o):
        self.mode, self.got, self.host, self.engines = mode, got, host, o.engines
        self.mine, self.qemu, self.table = got[o.engines[0]], got["qemu"], reasons()
        self.rows = sorted((n for n in self.mine if n in self.qemu),
                           key=lambda n: -(self.mine[n][0] + 2) / (self.qemu[n][0] + 2))
        self.lines, self.dearer, self.far, self.unlike = {}, {}, [], []
        for n in self.rows:
            self.take(n)

    def take(self, n):
        (mine, trap), (qemu, qemu_trap) = self.mine[n], self.qemu[n]
        native = self.host.get(n, (None,))[0]
        why = why_so(self.mode, n, mine, native, self.table)
        notes = [x for x in (trap_text(trap, qemu_trap), why) if x]
        self.lines[n] = cells(n, self.got, self.engines, native) + ["; ".join(notes)]
        if trap != qemu_trap:
            self.unlike.append(n)
        elif dearer(mine, qemu):
            self.dearer[n] = why
        if native is not None and mine > 2 * native and mine > 30 and trap == NO_TRAP:
            self.far.append(n)

    def head(self):
        return ["", *self.engines, "qemu", "host", self.engines[0] + "/qemu", ""]

    def part(self, title, names):
        print("%s: %s: %d" % (self.mode, title, len(names)))
        if names:
            rig.table(self.head(), [self.lines[n] for n in names])
        print()

    def tell(self):
        without = [n for n, why in self.dearer.items() if not why]
        print("%s: %d rows, %d dearer than QEMU's by 15 %% and 2 cycles\n" % (
            self.mode, len(self.rows), len(self.dearer)))
        self.part("dearer than QEMU's, without a reason", without)
        self.part("dearer than QEMU's, with one", [n for n in self.dearer if n not in without])
        self.part("besides, above twice the host and 30 cycles", [n for n in self.far if n not in self.dearer])
        self.part("faults that differ from QEMU's", self.unlike)

    def write(self, path):
        with open(path, "a") as f:
            f.write("\n== %s: %d rows, worst first\n" % (self.mode, len(self.rows)))
            rig.table(self.head(), [self.lines[n] for n in self.rows], lambda line: f.write(line + "\n"))

    def mean(self, engine, base, names):
        """Of (cycles + 1), geometric."""
        return rig.geometric_mean([(self.got[engine][n][0] + 1) / (base[n][0] + 1) for n in names
                                   if n in self.got[engine] and n in base])

    def summary(self):
        to_qemu = {e: self.mean(e, self.qemu, self.rows) for e in self.engines}
        to_host = self.mean(self.engines[0], self.host, self.rows)
        print("%s: geometric mean of (cycles + 1): %s, %s/host %s\n" % (
            self.mode, ", ".join("%s/QEMU %s" % (e, rig.number(m)) for e, m in to_qemu.items()), self.engines[0],
            rig.number(to_host)))
        return {"rows": len(self.rows), "dearer": self.dearer, "far_above_host": self.far, "unlike": self.unlike,
                "mean_to_qemu": to_qemu, "mean_to_host": to_host}


def prices(o):
    khz, core = rig.clocks()
    rows, machines = rows_of(), ["qemu"] + o.engines
    modes = o.modes.split(",") if o.modes else MODES
    if unknown := [m for m in modes if m not in MODES]:
        raise SystemExit("bench/run: --modes %s: not one of %s" % (unknown[0], ", ".join(MODES)))
    got = {mode: {m: {} for m in machines} for mode in modes}
    host = {}
    for _ in range(o.repeat):
        merge(host, run_host(rows["host"]))
        for mode in modes:
            for m in machines:
                merge(got[mode][m], run_guest(m, mode, rows[mode], khz, o))
    if o.sorted and os.path.exists(o.sorted):
        os.remove(o.sorted)
    print("Prices of instructions, core cycles (%.2f a TSC cycle at %.3f GHz)\n" % (core, khz / 1e6))
    native = priced(rows["host"], host, core)
    result = {}
    for mode in modes:
        each = {m: priced(rows[mode], got[mode][m], core) for m in machines}
        judged = Judgement(mode, each, native, o)
        judged.tell()
        if o.sorted:
            judged.write(o.sorted)
        names = [r.name for r in rows[mode] if r.base >= 0]
        result[mode] = {**judged.summary(), "core_cycles": {
            n: [round(each[m][n][0], 1) if n in each[m] else None for m in machines] for n in names}}
    rig.save("prices", {"tsc_khz": khz, "core_per_tsc": core, "machines": machines,
                        "host_core_cycles": {n: round(p[0], 1) for n, p in native.items()}, "modes": result})
