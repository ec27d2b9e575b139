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


def order(row):
    """Worst first: by the ratio of what both cost beyond two cycles."""
    _, mine, qemu, _ = row[:4]
    return -(mine + 2) / (qemu + 2)


def cells(name, got, engines, host):
    qemu = got["qemu"].get(name)
    mine = [got[e].get(name) for e in engines]
    return [name] + [rig.number(x[0]) if x else "-" for x in mine + [qemu]] + [
        rig.number(host) if host is not None else "-", rig.ratio(mine[0][0], qemu[0]) if mine[0] and qemu else "-"]


def write_sorted(path, mode, head, rows):
    with open(path, "a") as f:
        f.write("\n== %s: %d rows, worst first\n" % (mode, len(rows)))
        rig.table(head, rows, lambda line: f.write(line + "\n"))


def judge(mode, got, host, o):
    """Tells the rows that are too dear; returns figures for the summary."""
    first, table, bad, far, unlike = o.engines[0], reasons(), {}, [], []
    head = ["", *o.engines, "qemu", "host", first + "/qemu", ""]
    both = [n for n in got[first] if n in got["qemu"]]
    both.sort(key=lambda n: order((n, got[first][n][0], got["qemu"][n][0], 0)))
    lines = {}
    for n in both:
        mine, qemu, native = got[first][n], got["qemu"][n], host.get(n, (None,))[0]
        why = why_so(mode, n, mine[0], native, table)
        note = trap_text(mine[1], qemu[1])
        lines[n] = cells(n, got, o.engines, native) + ["; ".join(x for x in (note, why) if x)]
        if mine[1] != qemu[1]:
            unlike.append(n)
        elif dearer(mine[0], qemu[0]):
            bad[n] = why
        if native is not None and mine[0] > 2 * native and mine[0] > 30 and mine[1] == NO_TRAP:
            far.append(n)
    told = sorted(bad, key=lambda n: bad[n] != "")
    print("%s: %d rows; dearer than QEMU by 15 %% and 2 cycles: %d, without a reason: %d"
          % (mode, len(both), len(bad), list(bad.values()).count("")))
    if bad:
        rig.table(head, [lines[n] for n in told])
    print("\n%s: above twice the host and 30 cycles: %d" % (mode, len(far)))
    if far:
        rig.table(head, [lines[n] for n in far if n not in bad])
    if unlike:
        print("\n%s: faults that differ from QEMU's: %d" % (mode, len(unlike)))
        rig.table(head, [lines[n] for n in unlike])
    if o.sorted:
        write_sorted(o.sorted, mode, head, [lines[n] for n in both])
    means = {e: rig.geometric_mean([(got[e][n][0] + 1) / (got["qemu"][n][0] + 1) for n in both if n in got[e]]) for e in o.engines}
    to_host = [(got[first][n][0] + 1) / (host[n][0] + 1) for n in both if n in host]
    mean_host = rig.geometric_mean(to_host)
    print("\n%s: geometric mean of (cycles + 1): %s%s\n" % (
        mode, ", ".join("%s/QEMU %s" % (e, rig.number(m)) for e, m in means.items()),
        ", %s/host %s of %d rows" % (first, rig.number(mean_host), len(to_host)) if to_host else ""))
    return {"rows": len(both), "dearer": bad, "far_above_host": far,
            "mean_to_qemu": means, "mean_to_host": mean_host}


def prices(o):
    khz, core = rig.clocks()
    rows, machines = rows_of(), ["qemu"] + o.engines
    modes = o.modes.split(",") if o.modes else MODES
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
        summary = judge(mode, each, native, o)
        names = [r.name for r in rows[mode] if r.base >= 0]
        result[mode] = {**summary, "core_cycles": {
            n: [round(each[m][n][0], 1) if n in each[m] else None for m in machines] for n in names}}
    rig.save("prices", {"tsc_khz": khz, "core_per_tsc": core, "machines": machines,
                        "host_core_cycles": {n: round(p[0], 1) for n, p in native.items()}, "modes": result})
