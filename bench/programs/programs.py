"""Real programs of Debian in a Debian guest: CPU seconds of the whole virtual machine for each, beside QEMU's and the host's own.

Answers: what does a user's program cost here, and which is the worst? Machines are started once and take turns at each row.
"""
import rig
import counters
import machines
from machines import Failed
from rows import ROWS

DIGEST = "md5sum <out && rm -f out"


def started(names, o):
    """{name: machine} of those that come up."""
    up = {}
    for name in names:
        try:
            up[name] = machines.Host(name.split()[1]) if name.startswith("native") else \
                machines.Guest(name, rig.command_of(name, o), o.patience)
        except (Failed, OSError) as e:
            print("%s does not start: %s" % (name, e))
    return up


def columns(o):
    """The machines of a run. The host's column is of the guest's own programs where the host runs them, else of the same
    packages for its own architecture."""
    native = "i386" if rig.runs_32(machines.folder() + "/i386/bin/true") else "amd64"
    return (["native " + native] if native == "i386" or machines.make(native) else []) + ["qemu"] + o.engines


def run(machine, row):
    """One row on one machine: cpu, what the machine itself says (user, system), the digest of its output, counters."""
    if row.prepare:
        machine.do(row.prepare)
    before = machine.counters()
    done = machine.do(row.command)
    done["counters"] = counters.difference(before, machine.counters())
    if row.check:
        machine.do(row.check)
    digest = machine.do(DIGEST)
    done["memory"] = machine.sample_memory()
    done["digest"] = digest["said"].split()[0] if digest["status"] == 0 else "no output"
    if done["status"] != 0:
        print("FAIL %s: %s: status %d: %s" % (row.name, machine.name, done["status"], done["said"].strip()[-200:]))
    return done


def measure(up, rows, o):
    """{row: {machine: its runs}}; a machine that goes away is left out from then on."""
    results = {row.name: {name: [] for name in up} for row in rows}
    for _ in range(o.repeat):
        for row in rows:
            for name in list(up):
                try:
                    results[row.name][name].append(run(up[name], row))
                except (Failed, OSError, EOFError, ValueError) as e:
                    print("FAIL %s: %s: %s" % (row.name, name, e))
                    up.pop(name).close()
            rig.progress(row.name, {name: runs[-1]["cpu"] for name, runs in results[row.name].items() if runs})
    return results


def best(runs):
    """The cheapest of those that came to their end."""
    return min((r for r in runs or [] if r["status"] == 0), key=lambda r: r["cpu"], default=None)


def same_output(name, runs):
    """Guests must agree in every run, and with the host where that runs the same programs."""
    digests = {r["digest"] for machine, rs in runs.items() if machine != "native amd64" for r in rs}
    if len(digests) > 1 or "no output" in digests:
        print("FAIL %s: output differs: %s" % (name, {m: sorted({r["digest"] for r in rs}) for m, rs in runs.items()}))
    return len(digests) == 1 and "no output" not in digests


def show(results, names, o):
    native = next((n for n in names if n.startswith("native")), None)
    head = [""] + [n + " s" for n in names] + [e + "/QEMU" for e in o.engines]
    head += [n + "/native" for n in ["qemu"] + o.engines] if native else []
    rows, ratios = [], {}
    for name, runs in results.items():
        cpu = {n: b["cpu"] for n, b in ((n, best(runs.get(n))) for n in names) if b}
        pairs = [(e, "qemu") for e in o.engines] + ([(n, native) for n in ["qemu"] + o.engines] if native else [])
        for a, b in pairs:
            ratios.setdefault((a, b), []).append(cpu[a] / cpu[b] if a in cpu and cpu.get(b) else None)
        rows.append([name] + [rig.number(cpu.get(n)) for n in names] + [rig.ratio(cpu.get(a, 0), cpu.get(b)) for a, b in pairs])
    rows.append(["geometric mean"] + [""] * len(names) + [rig.number(rig.geometric_mean(r)) for r in ratios.values()])
    rig.table(head, rows)


def causes(results, engine):
    """The rows, dearest beside QEMU first, with what the translator counted in them."""
    rows = []
    for name, runs in results.items():
        ours, qemu = best(runs.get(engine)), best(runs.get("qemu"))
        if ours:
            rows.append((ours["cpu"] / qemu["cpu"] if qemu and qemu["cpu"] else 0, name, counters.told(ours["counters"], ours["cpu"])))
    print("What %s counted, worst beside QEMU first" % engine)
    for quotient, name, text in sorted(rows, reverse=True):
        print("%5.2f  %s: %s" % (quotient, name, text))


def programs(o):
    machines.fetch()
    if not machines.make("i386"):
        return
    rows, names = [r for r in ROWS if rig.wanted(r.name, o)], columns(o)
    up = started(names, o)
    try:
        results = measure(up, rows, o)
    finally:
        for machine in up.values():
            machine.close()
    print("Programs of Debian 12 i386 in a guest, CPU seconds of the virtual machine, the cheapest of %d runs" % o.repeat)
    show(results, names, o)
    memory = {n: max((r["memory"] for runs in results.values() for r in runs.get(n, [])), default=0) for n in names}
    print("Peak memory beyond the guest's %d MiB: %s" % (machines.MEMORY, ", ".join(
        "%s %.0f MiB" % (n, m) for n, m in memory.items() if m)))
    if "bt" in names:
        causes(results, "bt")
    rig.save("programs", {"memory_mib": memory, "rows": results})
    if not all([same_output(name, runs) for name, runs in results.items()]):
        raise SystemExit("bench/run programs: some output is wrong")
