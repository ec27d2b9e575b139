"""What each of the translator's ideas is worth: a Linux boot, fork+wait behind it, and six C files made by gcc in a Debian guest,
with one taken away at a time; beside trap-and-emulate and QEMU's TCG, in turns.

Answers: what would be lost without it, on this host? fork+wait is two boots subtracted, of which one has FORKS of them,
or FEW. What boots DEAR times as long as bt is built with once, not twice: without chaining that takes a quarter of an
hour, and more than the usual --patience.
"""
import os

import boot
import machines
import programs
import rig
from rows import ROWS

IDEAS = [
    ("adapt=off", "operands that are unusual fault each time"),
    ("chain=off", "each exit of a TU looks the next one up"),
    ("returns=off", "RET by the jump cache, not predicted by the host"),
    ("inline=off", "what is sensitive is a callout"),
    ("memo=off", "system calls, interrupts, segment loads are callouts"),
    ("fast-callouts=off", "ports and device memory by whole callouts"),
    ("user-maps=off", "user code's operands by shadow entries"),
    ("pic=off", "user code is translated anew at each address"),
    ("thunks=off", "a call that only asks where it is, is a call and a return"),
    ("spaces=1", "the shadow of one address space is kept"),
    ("form=callout", "memory operands are callouts"),
    ("tu=1", "TUs of one instruction"),
    ("tu=4", "TUs of at most four"),
]
FORKS, FEW = 10000, 300  # few: of what boots at a third of the speed
BUILD = "make, 6 files"  # of programs/rows.py
DEAR = 4
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
echo BENCH-UP
i=0; while [ $i -lt %d ]; do i=$((i+1)); ( : ); done; echo BENCH-FORKS $i
poweroff -f
"""


def initrd(forks):
    path = os.path.join(rig.BUILD, "bench", "ideas-%d.gz" % forks)
    if not os.path.exists(path):
        boot.pack({"bin/busybox": (boot.busybox(), 0o755), "init": ((INIT % forks).encode(), 0o755)}, path)
    return path


def once(engine, forks, o):
    """CPU seconds of a boot with so many fork+wait; None: it did not do them."""
    options = ["-m", "256", "-kernel", boot.KERNEL, "-initrd", initrd(forks), "-append", "console=ttyS0"]
    run = rig.Run(engine, options, o.patience, binary=o.ring3)
    if run.cost.status != 0 or "BENCH-FORKS %d" % forks not in run.serial:
        print("FAIL " + run.why())
        return None
    return run.cost.cpu


def measured(engine, base, o):
    """{"boot": CPU seconds, "fork_wait": of one}, of one boot each; None."""
    boot_only = once(engine, 0, o)
    forks = FEW if boot_only and base and boot_only > 3 * base["boot"] else FORKS
    with_forks = boot_only and once(engine, forks, o)
    return with_forks and {"boot": boot_only, "fork_wait": max(0, with_forks - boot_only) / forks}


def build(engine, times, o):
    """CPU seconds of the build, the best of two, since the first one translates, or of one; None."""
    row, guest = next(r for r in ROWS if r.name == BUILD), None
    try:
        guest = machines.Guest(engine, rig.command_of(engine, o), o.patience)
        runs = [programs.run(guest, row) for _ in range(times)]
        return min(r["cpu"] for r in runs) if all(r["status"] == 0 for r in runs) else None
    except (machines.Failed, OSError, EOFError, ValueError) as e:
        print("FAIL %s: %s: %s" % (BUILD, engine, e))
        return None
    finally:
        if guest:
            guest.close()


def builds(best, o):
    """Adds "build" to what it can be had of."""
    machines.fetch()
    if not machines.make("i386"):
        return
    for e, figures in best.items():
        dear = "bt" in best and figures["boot"] > DEAR * best["bt"]["boot"]
        figures["build"] = build(e, 1 if dear else 2, o)
        rig.progress(e, figures)


def ideas(o):
    boot.fetch()
    what = {"qemu": "QEMU's TCG", "bt": "all of them", "trap": "trap-and-emulate", **{"bt:" + i: w for i, w in IDEAS}}
    engines = [e for e in ["bt", *("bt:" + i for i, _ in IDEAS), "trap", "qemu"] if e == "bt" or rig.wanted(e, o)]
    best, gone = {}, set()
    for _ in range(o.repeat):
        for e in (e for e in engines if e not in gone):
            done = measured(e, best.get("bt"), o)
            if not done:
                gone.add(e)
                continue
            best[e] = {k: min(v, best.get(e, done)[k]) for k, v in done.items()}
            rig.progress(e, best[e])
    builds(best, o)
    base, rows = best.get("bt"), []
    for e in (e for e in engines if e in best):
        rows.append([e, "%.2f" % best[e]["boot"], rig.ratio(best[e]["boot"], base and base["boot"]),
                     "%.0f" % (best[e]["fork_wait"] * 1e6),
                     rig.ratio(best[e]["fork_wait"], base and base["fork_wait"]),
                     rig.number(best[e].get("build")), rig.ratio(best[e].get("build"), base and base.get("build")), what[e]])
    print("What each idea is worth: Linux 6.1 686, 256 MB, busybox")
    rig.table(["", "boot, CPU s", "/bt", "fork+wait, us", "/bt", "build, CPU s", "/bt", ""], rows)
    rig.save("ideas", {"forks": FORKS, "few": FEW, "result": best})
