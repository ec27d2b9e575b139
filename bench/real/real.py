"""Single operations of real mode, timed by a floppy of ours: real.S tells how.

Answers: what do DOS and its programs pay for far calls, interrupts, segments, odd addresses, patched code,
mode switches? Figures are core cycles of the host, of the best sample.
"""
import os
import re
import statistics

import outside
import rig

DOSBOX_GOAL = 1.5  # of its time


def elements(name):
    """Of the string instruction that a row is about."""
    return int((re.search(r"-rep-[a-z]+-(\d+)$", name) or (0, 1))[1])


def image(floppy):
    return os.path.join(rig.BUILD, "bench", floppy + ".img")


def timed(engine, floppy, o):
    """{row: TSC cycles of an operation}"""
    options = ["-m", "16", "-boot", "a", *outside.drives(image(floppy)),
               "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    run = rig.Run(engine, options, min(o.patience, 120), binary=o.ring3)
    rows = {}
    for name, count, tsc in re.findall(r"^row (\S+) ([0-9a-f]{8}) ([0-9a-f]{8})$", run.e9, re.M):
        rows[name] = min(rows.get(name, 1e99), int(tsc, 16) / int(count, 16) / elements(name))
    if "bench done" not in run.e9:
        print("FAIL after %d rows: %s" % (len(rows), run.why()))
    return rows


def timed_outside(engine, floppy, khz, o):
    """The same by the host's clock."""
    return {name: seconds * khz * 1000 / elements(name)
            for name, seconds in outside.timed(engine, image(floppy), o).items()}


def merge(best, rows):
    for name, cycles in rows.items():
        best[name] = min(best.get(name, 1e99), cycles)


def real(o):
    compare(o, "real", "Operations of real mode")


def compare(o, floppy, title):
    """Each engine beside QEMU, by the guest's TSC, and beside DOSBox, both from outside."""
    khz, core = rig.clocks()
    apart = ["dosbox"] + o.engines if o.dosbox and outside.dosbox_found() else []
    inside, outer = {m: {} for m in ["qemu"] + o.engines}, {m: {} for m in apart}
    for _ in range(o.repeat):
        for m in inside:
            merge(inside[m], timed(m, floppy, o))
        for m in outer:
            merge(outer[m], timed_outside(m, floppy, khz, o))
    print("%s, core cycles (%.2f a TSC cycle at %.3f GHz); goal: at least as fast as QEMU%s" %
          (title, core, khz / 1e6, ", %.1f of DOSBox's time" % DOSBOX_GOAL if apart else ""))
    columns = {**inside, **{m if m == "dosbox" else m + " outside": outer[m] for m in outer}}
    rivals = [("QEMU", inside, 1.05)] + [("DOSBox", outer, DOSBOX_GOAL)] * bool(apart)
    table = []
    for n in (n for n in inside[o.engines[0]] if o.only in n):
        row = [n] + [rig.number(column[n] * core) if n in column else "-" for column in columns.values()]
        for e in o.engines:
            ratios = {who: got[e][n] / got[who.lower()][n] if n in got[e] and n in got[who.lower()] else 0
                      for who, got, _ in rivals}
            row += ["%.2f" % r if r else "-" for r in ratios.values()]
            row.append(" ".join(who for who, _, goal in rivals if ratios[who] > goal))
        table.append(row)
    heads = [x for e in o.engines for x in ["%s/%s" % (e, who) for who, _, _ in rivals] + ["missed"]]
    rig.table(["", *columns, *heads], table)
    for e in o.engines if apart else []:
        tell_clocks(e, inside[e], outer[e])
    rig.save(floppy, {"tsc_khz": khz, "core_per_tsc": core, "tsc_cycles": inside,
                      "tsc_cycles_outside": outer})


def tell_clocks(engine, inside, outer):
    """Do the two ways to time agree?"""
    ratios = sorted(outer[n] / inside[n] for n in outer if n in inside)
    if ratios:
        tail = len(ratios) // 20
        print("%s from outside / by its TSC: median %.2f, nine in ten from %.2f to %.2f" %
              (engine, statistics.median(ratios), ratios[tail], ratios[-1 - tail]))
