"""Single operations of a kernel, timed by a small multiboot guest: nano.c tells how.

Answers: what does each privileged instruction, trap and page-table write cost, next to QEMU and the targets of the
design; and how many host signals does each take once warm? Figures are core cycles of the host.
"""
import os
import re
import signal
import subprocess
import tempfile
import time

import rig
import user

KERNEL = os.path.join(rig.BUILD, "bench", "nano.elf")
FLOPPY = os.path.join(rig.BUILD, "bench", "nano.img")
# Core cycles; docs/design.md, Goals.
TARGETS = {
    "syscall-int": 300, "syscall-sysenter": 300, "in": 60, "out": 60, "cli-sti": 10, "pushf-popf": 10, "call-ret": 8,
    "page-fault-user": 1500, "page-fault-kernel": 1500, "divide-error-user": 1500, "divide-error-kernel": 1500,
    "pte-same": 150, "pte-clear": 300, "pte-set": 600,
}
# A store to a page table without INVLPG is free under QEMU, which does not look at it.
NOT_COMPARED = {"pte-same", "pte-clear", "pte-set", "pte-set-touch"}
STEADY = 40000  # operations between the two runs whose signals are compared
LINUX_OPERATIONS = {"getppid": 200000, "read-zero-4k": 100000, "page-fault": 50000, "pipe-one-way": 10000,
                    "fork-wait": 500, "fork-exec": 200}
SLOW = {"context-switch", "smc-store", "store-code-page", "kernel-copy-4k"}


def guest(engine, append, o, stats=False):
    return rig.Run(engine, ["-m", "32", "-kernel", KERNEL, "-append", append,
                            "-device", "isa-debug-exit,iobase=0xf4,iosize=4"], min(o.patience, 120), stats=stats,
                   binary=o.ring3)


def names():
    """The rows of the guest, in its order."""
    with open(os.path.join(rig.TOP, "bench", "nano", "rows.c")) as f:
        return re.findall(r'^    \{ ?"([a-z0-9-]+)", run_', f.read(), re.M)


def timed(engine, khz, o):
    """{row: (best, median)} in TSC cycles."""
    run = guest(engine, "khz=%d" % khz, o)
    rows = {m[1]: (int(m[2]) / 100, int(m[3]) / 100)
            for m in re.finditer(r"^row (\S+) (\d+) (\d+) \d+$", run.e9, re.M)}
    if "bench done" not in run.e9:
        print("FAIL after %d rows: %s" % (len(rows), run.why()))
    return rows


BOCHSRC = """display_library: nogui
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
cpu: model=bx_generic, ips=50000000, reset_on_triple_fault=0
cpuid: level=6, simd=sse2, x86_64=0, sep=1, apic=legacy, mmx=1
megs: 32
floppya: 1_44=%s, status=inserted
boot: floppy
port_e9_hack: enabled=1
log: /dev/null
panic: action=fatal
"""


def bochs(khz, o):
    """The same rows under Bochs, timed from outside: its TSC counts instructions, not time."""
    rows, begun = {}, None
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "bochsrc")
        with open(path, "w") as f:
            f.write((BOCHSRC % FLOPPY).replace("nogui", "x"))
        child = subprocess.Popen(["xvfb-run", "-a", "bochs", "-q", "-f", path], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
        child.stdin.write(b"c\n")
        child.stdin.flush()
        end = time.time() + min(o.patience, 120)
        for line in child.stdout:
            now = time.perf_counter()
            words = line.decode("latin1").split()
            if words[:1] == ["begin"]:
                begun = now, int(words[2])
            elif words[:1] == ["end"] and begun:
                cycles = (now - begun[0]) * khz * 1000 / begun[1]
                rows[words[1]] = cycles, cycles
            if line.startswith(b"bench done") or time.time() > end:
                break
        os.killpg(child.pid, signal.SIGTERM)
        child.wait()
    return rows


# ---- By the host's clock ----

OUTSIDE_SECONDS = 0.2  # of a row, by the guest's TSC
UNTIMED = {"pte-same", "pte-same-invlpg", "pte-clear", "pte-clear-invlpg", "pte-set", "pte-set-invlpg", "pte-set-touch",
           "pte-protect-invlpg", "hidden-fault"}  # prepare pages between their samples
FAR = 1.5  # from outside by the TSC: beyond that a row is named


def spent(engine, row, n, o):
    """CPU seconds of a whole run that does n operations of a row; None."""
    run = guest(engine, "khz=1000000 row=%s n=%d" % (row, n), o)
    if "bench done" in run.e9:
        return run.cost.cpu
    print("FAIL %s, by the host's clock: %s" % (row, run.why()))
    return None


def outside(engine, inside, khz, o):
    """The rows by the CPU time that the host accounts to the machine: {row: TSC cycles of the host}. A VMM may give its guest
    a TSC of its own; what it takes it cannot hide. A run with as many operations as should take OUTSIDE_SECONDS, less one
    with none to speak of."""
    names = [n for n in inside if n not in UNTIMED and o.only in n]
    none = [c for c in (spent(engine, n, 8, o) for n in names[:3]) if c]
    rows = {}
    for n in names if none else []:
        count = max(64, int(OUTSIDE_SECONDS * khz * 1000 / max(inside[n][0], 0.1)))
        cpu = spent(engine, n, min(count, 1 << 30), o)
        if cpu:
            rows[n] = max(0.0, cpu - min(none)) * khz * 1000 / min(count, 1 << 30)
    return rows


def show_outside(got, outer):
    """How far the guest's TSC agrees with the host's clock, machine by machine."""
    for m, rows in outer.items():
        ratios = sorted((cycles / got[m][n][0], n) for n, cycles in rows.items() if got[m].get(n, (0,))[0])
        if not ratios:
            continue
        print("%s by the host's CPU time: %.2f of what its TSC says, the median of %d rows%s" % (
            m, ratios[len(ratios) // 2][0], len(ratios), "".join(
                "; %s %.2f" % (n, r) for r, n in ratios if not 1 / FAR < r < FAR)))


def merge(old, new):
    return {k: tuple(map(min, zip(old.get(k, new[k]), new[k]))) if k in new else old[k] for k in {**old, **new}}


def nano(o):
    khz, core = rig.clocks()
    machines = rig.peers() + o.engines + (["bochs"] if o.bochs else [])
    got = {m: {} for m in machines}
    for _ in range(o.repeat):
        for m in machines:
            got[m] = merge(got[m], bochs(khz, o) if m == "bochs" else timed(m, khz, o))
    outer = {m: outside(m, got[m], khz, o) for m in machines if m == "kvm" or (o.outside and m != "bochs")}
    print("Single operations, core cycles (%.2f a TSC cycle at %.3f GHz); goal: at least as fast as QEMU, and the "
          "target" % (core, khz / 1e6))
    table = []
    for n in (n for n in names() if o.only in n):
        row = [n, TARGETS.get(n, "")] + [rig.number(got[m][n][0] * core) if n in got[m] else "-" for m in machines]
        for e in o.engines:
            mine, qemu = got[e].get(n), got["qemu"].get(n)
            compared = mine and qemu and n not in NOT_COMPARED
            missed = [w for w, bad in (("QEMU", compared and mine[0] > 1.05 * qemu[0]),
                                       ("target", mine and n in TARGETS and mine[0] * core > TARGETS[n])) if bad]
            row += [rig.number(mine[0] / khz * 1e6) if mine else "-",
                    rig.ratio(mine[0], qemu[0]) if compared else "-", " ".join(missed)]
        table.append(row)
    rig.table(["", "target"] + machines + [x for e in o.engines for x in ("ns", e + "/QEMU", "missed")], table)
    show_outside(got, outer)
    rig.save("nano", {"tsc_khz": khz, "core_per_tsc": core, "tsc_cycles": got, "outside_tsc_cycles": outer,
                      "targets_core_cycles": TARGETS})


# ---- Host signals once warm ----

TIMERS = {"deadlines", "interrupts"}  # these come by time, not by operation
FIRMWARE = {"insns_interpreted", "port_accesses", "smc_events", "halts"}  # differ from start to start by thousands


def counters_of(row, n, o):
    run = guest("bt", "khz=1000000 row=%s n=%d" % (row, n), o, stats=True)
    if "bench done" not in run.e9:
        print("FAIL %s: %s" % (row, run.why()))
        return None
    groups = run.stats.get("tc", {})
    return {**run.stats.get("counters", {}), **groups.get("signals", {}),
            "callouts": groups.get("sites", {}).get("callouts", 0)}


def linux_counters(row, o):
    """The same by Linux for rows of bench/user. Booting is not alike from run to run, so that there are many
    operations and the lowest of three is shown."""
    user.make()
    best, more = None, LINUX_OPERATIONS[row]
    for _ in range(3):
        runs = [user.guest("bt", "khz=1000000 only=%s count=%d" % (row, n), o) for n in (50, 50 + more)]
        if any("bench done" not in run.serial for run in runs):
            print("FAIL %s: %s" % (row, runs[1].why()))
            return None
        sums = []
        for run in runs:
            groups = run.stats.get("tc", {})
            signals_taken = sum(v for k, v in groups.get("signals", {}).items() if k not in TIMERS)
            sums.append({"signals": signals_taken, **groups.get("shadow", {}),
                         "callouts": groups.get("sites", {}).get("callouts", 0)})
        each = {k: max(0, sums[1][k] - sums[0][k]) / more for k in sums[0]}
        best = each if not best or each["signals"] < best["signals"] else best
    return best


def signals(o):
    """Two runs that differ by STEADY operations; what is counted more in the longer one is the steady state's."""
    table, result = [], {}
    for n in (n for n in names() if o.only in n):
        steady = STEADY // 10 if n in SLOW else STEADY
        few, many = counters_of(n, 2048, o), counters_of(n, 2048 + steady, o)
        if not few or not many:
            continue
        each = result[n] = {k: (many[k] - few.get(k, 0)) / steady for k in many}
        floor = {k: 0.2 if k in FIRMWARE else 0.02 for k in each}
        told = ["%s %.2f" % (k, v) for k, v in each.items()
                if v > floor[k] and k not in TIMERS and not k.startswith("signals")]
        count = sum(v for k, v in each.items() if k.startswith("signals") and k not in TIMERS)
        table.append([n, "%.4f" % max(0, count), ", ".join(told)])
    for n in (n for n in user.KERNEL_ROWS if o.only in n):
        result[n] = each = linux_counters(n, o)
        if each:
            told = ["%s %.1f" % (k, v) for k, v in each.items() if v > 0.5 and not k.startswith("signals")]
            table.append([n, "%.4f" % each["signals"], ", ".join(told)])
    print("Host signals per operation once warm, but for the clock's (goal: none; 10 per fork-wait), and other "
          "counters that moved")
    rig.table(["", "signals", "per operation"], table)
    rig.save("signals", {"per_operation": result})


# ---- Kernel mode next to native ----

SAME_CODE = {"kernel-loop": "kernel-loop", "kernel-integer": "integer", "kernel-copy-4k": "copy-4k",
             "kernel-indirect": "indirect-call", "kernel-recursion": "recursion"}


def kernel(o):
    """The same source natively in user mode and in the guest's kernel mode: nothing is left but the translation."""
    khz, _ = rig.clocks()
    native, got = {}, {m: {} for m in ["qemu"] + o.engines}
    for _ in range(o.repeat):
        native = user.merge(native, user.on_host(khz, ""))
        for m in got:
            got[m] = merge(got[m], timed(m, khz, o))
    table, speeds = [], {}
    for mine, theirs in SAME_CODE.items():
        ns = {m: got[m][mine][0] / khz * 1e6 for m in got if mine in got[m]}
        best = native.get(theirs, (None,))[0]
        speeds[mine] = {m: best / v for m, v in ns.items() if best}
        table.append([mine, rig.number(best)] + [rig.number(ns.get(m)) for m in got] +
                     [rig.ratio(best, ns.get(m)) for m in got])
    print("Code in kernel mode, ns per operation, and speed by native speed (goal: kernel-loop at 0.8)")
    rig.table(["", "native"] + list(got) + [m + " speed" for m in got], table)
    rig.save("kernel", {"native": native, "guest_tsc_cycles": got, "tsc_khz": khz, "speed": speeds})
