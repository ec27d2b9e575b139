"""Single operations of real mode, timed by a floppy of ours: real.S tells how.

Answers: what do DOS and its programs pay for far calls, interrupts, segments, odd addresses, patched code? Figures are
core cycles of the host, of the best sample.
"""
import os
import re

import rig


def timed(engine, floppy, o):
    """{row: TSC cycles of an operation}"""
    image = os.path.join(rig.BUILD, "bench", floppy + ".img")
    drives = [x for kind in ("floppy", "ide") for x in ("-drive", "file=%s,if=%s,format=raw,snapshot=on" % (image, kind))]
    run = rig.Run(engine, ["-m", "16", "-boot", "a", *drives, "-device", "isa-debug-exit,iobase=0xf4,iosize=4"],
                  min(o.patience, 120), binary=o.ring3)
    rows = {}
    for name, count, tsc in re.findall(r"^row (\S+) ([0-9a-f]{8}) ([0-9a-f]{8})$", run.e9, re.M):
        elements = int((re.search(r"-rep-[a-z]+-(\d+)$", name) or (0, 1))[1])  # of a string instruction
        rows[name] = min(rows.get(name, 1e99), int(tsc, 16) / int(count, 16) / elements)
    if "bench done" not in run.e9:
        print("FAIL after %d rows: %s" % (len(rows), run.why()))
    return rows


def real(o):
    compare(o, "real", "Operations of real mode")


def compare(o, floppy, title):
    khz, core = rig.clocks()
    machines = ["qemu"] + o.engines
    got = {m: {} for m in machines}
    for _ in range(o.repeat):
        for m in machines:
            for name, cycles in timed(m, floppy, o).items():
                got[m][name] = min(got[m].get(name, 1e99), cycles)
    print("%s, core cycles (%.2f a TSC cycle at %.3f GHz); goal: at least as fast as QEMU" % (title, core, khz / 1e6))
    table = []
    for n in (n for n in got[o.engines[0]] if o.only in n):
        row = [n] + [rig.number(got[m][n] * core) if n in got[m] else "-" for m in machines]
        for e in o.engines:
            both = n in got["qemu"] and n in got[e]
            row += [rig.ratio(got[e][n], got["qemu"][n]) if both else "-",
                    "QEMU" if both and got[e][n] > 1.05 * got["qemu"][n] else ""]
        table.append(row)
    rig.table([""] + machines + [x for e in o.engines for x in (e + "/QEMU", "missed")], table)
    rig.save(floppy, {"tsc_khz": khz, "core_per_tsc": core, "tsc_cycles": got})
