"""Every system that the tests know (tests/suites/images.py), from power-on to its prompt: CPU and wall seconds, and memory
beyond the guest's RAM.

Answers: is anything that boots dearer than under QEMU? The clock stops when the screen or the serial port shows the system's
last line; it is looked at every 50 ms. Then memory is measured, once.
"""
import os
import subprocess
import sys
import tempfile
import time

import rig

sys.path.append(os.path.join(rig.TOP, "tests", "suites"))
import images  # noqa: E402
from vm import VM, Failed  # noqa: E402

VM.look_every = 0.05


def unpacked(file, folder):
    """The file's path; of a packed image, a copy in the folder. Nothing is written to it: see -snapshot."""
    path = file.found()
    if not path.endswith(".xz"):
        return path
    target = os.path.join(folder, os.path.basename(path).removesuffix(".xz"))
    if not os.path.exists(target):
        with open(target, "wb") as f:
            subprocess.run(["xz", "-dc", path], stdout=f, check=True)
    return target


def boot(engine, o, system, folder):
    """One run: CPU and wall seconds, MiB; None where it does not come up."""
    options = images.options(system, lambda file: unpacked(file, folder))
    ram = int(options[options.index("-m") + 1])
    snapshot = [] if "-snapshot" in options else ["-snapshot"]
    vm = None
    try:
        vm = VM(rig.command_of(engine, o), options + snapshot + rig.named_memory(engine, ram))
        system.wait(vm)
        run, memory = {"cpu": vm.cpu_seconds(), "wall": time.time() - vm.start}, rig.Memory(every=0)
        memory(vm.process.pid)
        return {**run, "memory": memory.peak["total"] / 1024}
    except (Failed, EOFError, OSError, ValueError) as e:
        print("%s does not come up: %s" % (engine, e))
        return None
    finally:
        if vm:
            vm.close()


def measure(o, engines, system, folder):
    """{engine: the cheapest of its runs}."""
    return rig.cheapest(o, engines, lambda e: boot(e, o, system, folder), "cpu")


def systems(o):
    engines, rows, results = ["qemu"] + o.engines, [], {}
    with tempfile.TemporaryDirectory() as folder:
        for name, system in images.SYSTEMS.items():
            if not rig.wanted(name, o):
                continue
            try:
                best = results[name] = measure(o, engines, system, folder)
            except images.Skip as skip:
                print("SKIP %s: %s" % (name, skip))
                continue
            rig.progress(name, {e: run["cpu"] for e, run in best.items()})
            base, row = best.get("qemu", {}).get("cpu"), [name]
            for e in engines:
                row += ["%.2f" % best[e]["cpu"], "%.2f" % best[e]["wall"], "%.0f" % best[e]["memory"]] if e in best \
                    else ["not up", "-", "-"]
            rows.append(row + [rig.ratio(best[e]["cpu"], base) if e in best else "-" for e in o.engines])
    show(o, engines, rows, results)
    rig.save("systems", {"best": results})


def show(o, engines, rows, results):
    print("Systems to their prompt: CPU and wall seconds, MiB beyond RAM (goal: none above QEMU, 0.35 on average)")
    rig.table([""] + [x for e in engines for x in (e + " CPU s", "wall", "MiB")] + [e + "/QEMU" for e in o.engines], rows)
    for e in o.engines:
        both = [b[e]["cpu"] / b["qemu"]["cpu"] for b in results.values() if e in b and "qemu" in b]
        if both:
            print("%s/QEMU: geometric mean %.2f, worst %.2f of %d" % (
                e, rig.geometric_mean(both), max(both), len(both)))
