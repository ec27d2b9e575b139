"""Interrupts of timers, taken by a guest that is busy: timer.c tells how.

Answers: how long does each tick keep the processor, and does it come on time? Microseconds by the host's TSC; `early`
and `late` are the ticks that came sooner than three quarters of a period after the last, or later than one and a half.
"""
import os
import re

import rig

KERNEL = os.path.join(rig.BUILD, "bench", "timer.elf")


def measured(engine, khz, o):
    """{row: (period in us, [us kept away], [us since the last])}"""
    run = rig.Run(engine, ["-m", "16", "-kernel", KERNEL, "-append", "khz=%d" % khz,
                           "-device", "isa-debug-exit,iobase=0xf4,iosize=4"], min(o.patience, 120), binary=o.ring3)
    if "bench done" not in run.e9:
        print("FAIL: %s" % run.why())
    rows = {}
    for m in re.finditer(r"^row (\S+) (\w{8}) \w{8}\n((?:\w{8} \w{8}\n)*)", run.e9, re.M):
        pairs = [[int(x, 16) / khz * 1000 for x in line.split()] for line in m[3].splitlines()]
        rows[m[1]] = int(m[2], 16) / khz * 1000, [p[0] for p in pairs], [p[1] for p in pairs]
    return rows


def median(values):
    return sorted(values)[len(values) // 2]


def timer(o):
    khz, _ = rig.clocks()
    got = {}
    for _ in range(o.repeat):
        for m in ["qemu"] + o.engines:
            for name, (period, kept, since) in measured(m, khz, o).items():
                if not since:
                    print("FAIL: %s under %s: no ticks" % (name, m))
                    continue
                old = got.setdefault(name, {}).get(m)
                row = (median(kept), median(since) / period, sum(s < 0.75 * period for s in since) / max(len(since), 1),
                       sum(s > 1.5 * period for s in since) / max(len(since), 1), period, len(since))
                got[name][m] = row if not old else min(old, row)
    print("Ticks of timers, taken by a busy guest: microseconds of each (goal: 10), and how they came; best of %d runs" %
          o.repeat)
    table = []
    for name in (n for n in got if o.only in n):
        for m in got[name]:
            us, ratio, early, late, period, ticks = got[name][m]
            table.append([name, m, rig.number(us), "%.1f" % period, "%.2f" % ratio, "%.1f %%" % (100 * early),
                          "%.1f %%" % (100 * late), str(ticks), "goal" if m != "qemu" and us > 10 else ""])
    rig.table(["", "", "us a tick", "period, us", "median apart", "early", "late", "ticks", "missed"], table)
    rig.save("timer", {"rows": {n: {m: dict(zip(("us", "apart", "early", "late", "period_us", "ticks"), r))
                                    for m, r in per.items()} for n, per in got.items()}})
