"""A scripted boot of Debian's Linux: kernel start, shell arithmetic, md5sum of 4 MB, 100 fork+exec, power-off.

Answers: how much CPU time does a whole system cost under ring3, as a ratio to QEMU's TCG in the same run, and how
much memory does the monitor take beyond the guest's RAM?
"""
import os
import subprocess
import tempfile

import rig

KERNEL = os.path.join(rig.GUESTS, "vmlinuz-686")
INITRD = os.path.join(rig.BUILD, "bench", "boot-initrd.gz")
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
echo BENCH-UP
i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; echo BENCH-ARITH $i
dd if=/dev/zero bs=1024 count=4096 2>/dev/null | md5sum
i=0; while [ $i -lt 100 ]; do /bin/true; i=$((i+1)); done; echo BENCH-EXEC $i
poweroff -f
"""
EXPECT = ["BENCH-UP", "BENCH-ARITH 2000", "b5cfa9d6c8febd618f91ac2843d50a1c", "BENCH-EXEC 100"]


def pack(files, target):
    """An initramfs: {path: (content, mode)}."""
    with tempfile.TemporaryDirectory() as tree:
        for folder in "bin", "dev", "proc", "sys":
            os.mkdir(os.path.join(tree, folder))
        for name, (content, mode) in files.items():
            path = os.path.join(tree, name)
            with open(path, "wb") as f:
                f.write(content)
            os.chmod(path, mode)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        subprocess.run("find . | cpio -o -H newc -R 0:0 --quiet | gzip -9 >'%s'" % target, shell=True, cwd=tree,
                       check=True)


def busybox():
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "ring3", "busybox.deb")
    with tempfile.TemporaryDirectory() as tree:
        subprocess.run(["dpkg-deb", "-x", cache, tree], check=True)
        with open(os.path.join(tree, "bin", "busybox"), "rb") as f:
            return f.read()


def fetch():
    if not os.path.exists(KERNEL):
        subprocess.run([os.path.join(rig.TOP, "tests", "suites", "fetch-guests")], check=True)


def make():
    fetch()
    if not os.path.exists(INITRD):
        pack({"bin/busybox": (busybox(), 0o755), "init": (INIT.encode(), 0o755)}, INITRD)


def options(engine, memory):
    o = ["-m", "256", "-kernel", KERNEL, "-initrd", INITRD, "-append", "console=ttyS0"]
    return o + (rig.named_memory(engine, 256) if memory else [])


def boot(engine, o, memory=False):
    watch = rig.Memory() if memory else None
    run = rig.Run(engine, options(engine, memory), o.patience, stats=True, watch=watch, binary=o.ring3)
    if run.cost.status != 0 or any(e not in run.serial for e in EXPECT):
        print("FAIL " + run.why())
        return None
    return {"cpu": run.cost.cpu, "user": run.cost.user, "system": run.cost.system, "wall": run.cost.wall,
            "rss_kib": run.cost.rss_kib, "stats": run.stats, "memory": watch and watch.peak}


def linux(o):
    make()
    engines = rig.peers() + o.engines
    runs = {e: [] for e in engines}
    for _ in range(o.repeat):
        for e in engines:
            run = boot(e, o)
            if run:
                runs[e].append(run)
    memory = {} if o.no_memory else {e: boot(e, o, memory=True) for e in engines if runs[e]}
    best = {e: min(runs[e], key=lambda r: r["cpu"]) for e in engines if runs[e]}
    base = best.get("qemu", {}).get("cpu")
    rows = []
    for e in best:
        b, m = best[e], (memory.get(e) or {}).get("memory")
        rows.append([e, "%.2f" % b["cpu"], "%.2f" % b["user"], "%.2f" % b["system"], "%.2f" % b["wall"],
                     rig.ratio(b["cpu"], base), " ".join("%.2f" % r["cpu"] for r in runs[e]),
                     "%.1f" % (m["total"] / 1024) if m else "-", "%.1f" % (m["tables"] / 1024) if m else "-"])
    print("Linux 6.1 686 boot with busybox, 256 MB (goal: 0.6 of QEMU's CPU time, then 0.4; memory 64 MiB)")
    rig.table(["", "CPU s", "user", "system", "wall", "/QEMU", "all runs", "MiB beyond RAM", "of it tables"], rows)
    translation(best.get("bt"))
    rig.save("boot", {"best": best, "cpu": {e: [r["cpu"] for r in runs[e]] for e in runs},
                      "memory": {e: m and m["memory"] for e, m in memory.items()}})


def translation(run):
    """What the translator itself cost in the cheapest boot: timed by the host's TSC, other load included, and
    by the sampler, which looks at the CPU time only."""
    units = run and run["stats"].get("tc", {}).get("units")
    if not units or not units.get("insns"):
        return
    khz, core = rig.clocks()
    cycles = core / units["insns"]
    sampled = run["stats"]["tc"].get("seconds", {}).get("translator", 0)
    print("translation: %d instructions in %d TUs, core cycles each: %.0f by the TSC, %.0f by the sampler "
          "(goal 1000)" % (units["insns"], sum(units["tus"].values()), units["translate_tsc"] * cycles,
                           sampled * khz * 1e3 * cycles))
