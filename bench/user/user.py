"""One static 32-bit program on the host, in a Linux guest under QEMU and under ring3.

Answers: what does user code, and what do the kernel's services cost in a guest, in nanoseconds per operation?
The program is the guest's init, so that nothing else runs there; its clock is the TSC, the host's in both machines.
"""
import os
import re
import subprocess

import boot
import rig

PROGRAM = os.path.join(rig.BUILD, "bench", "user")
INITRD = os.path.join(rig.BUILD, "bench", "user-initrd.gz")
KERNEL_ROWS = ["getppid", "read-zero-4k", "page-fault", "pipe-one-way", "fork-wait", "fork-exec"]
EXTRA = ["kernel-loop"]  # bench/nano's loop, for comparison; not one of the rows


def make():
    boot.fetch()
    with open(PROGRAM, "rb") as f:
        boot.pack({"init": (f.read(), 0o755)}, INITRD)


def parse(text):
    """{row: (best ns, median ns)}"""
    return {m[1]: (int(m[2]) / 1000, int(m[3]) / 1000) for m in re.finditer(r"^row (\S+) (\d+) (\d+)$", text, re.M)}


def on_host(khz, only):
    """Empty where the host runs no such programs."""
    if not rig.runs_32(PROGRAM):
        return {}
    out = subprocess.run([PROGRAM, "khz=%d" % khz, "only=" + only], capture_output=True, text=True)
    return parse(out.stdout)


def guest(engine, arguments, o):
    """The program as init, with these arguments."""
    return rig.Run(engine, ["-m", "256", "-kernel", boot.KERNEL, "-initrd", INITRD,
                            "-append", "console=ttyS0 quiet " + arguments], o.patience, stats=True, binary=o.ring3)


def in_guest(engine, khz, o):
    run = guest(engine, "khz=%d only=%s" % (khz, o.only), o)
    rows = parse(run.serial)
    if "bench done" not in run.serial:
        print("FAIL after %d rows: %s" % (len(rows), run.why()))
    return rows


def merge(old, new):
    """The lower of two best figures, the lower of two medians."""
    return {k: tuple(map(min, zip(old.get(k, new[k]), new[k]))) if k in new else old[k] for k in {**old, **new}}


def user(o):
    make()
    khz, _ = rig.clocks()
    machines = ["host", "qemu"] + o.engines
    got = {m: {} for m in machines}
    for _ in range(o.repeat):
        for m in machines:
            got[m] = merge(got[m], on_host(khz, o.only) if m == "host" else in_guest(m, khz, o))
    names = list(dict.fromkeys(n for m in machines for n in got[m]))
    print("User code and kernel services, ns per operation, best sample (median sample behind it)")
    head = [""] + [x for m in machines for x in (m, "median")] + [e + "/QEMU" for e in o.engines] + \
        [e + "/host" for e in o.engines]
    table = []
    for n in names:
        row = [n]
        for m in machines:
            row += [rig.number(x) for x in got[m].get(n, (None, None))]
        for base in "qemu", "host":
            row += [rig.ratio(got[e].get(n, (0,))[0], got[base].get(n, (0,))[0]) for e in o.engines]
        table.append(row)
    rig.table(head, table)
    means = {}
    for e in o.engines:
        for title, rows in ("all rows", [n for n in names if n not in EXTRA]), ("the six kernel rows", KERNEL_ROWS):
            both = [n for n in rows if n in got[e] and n in got["qemu"]]
            mean = rig.geometric_mean([got[e][n][0] / got["qemu"][n][0] for n in both])
            means[e + " " + title] = mean
            print("%s / QEMU, geometric mean over %s (%d of %d): %s (goal %s)" % (
                e, title, len(both), len(rows), rig.number(mean), "0.25" if title == "all rows" else "0.5"))
    rig.save("user", {"tsc_khz": khz, "rows": got, "means": means})
