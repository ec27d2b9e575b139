"""What a guest costs that does nothing: Debian's Linux asleep behind its boot, FreeDOS at its prompt.

Answers: how many percent of a processor does the host pay for an idle machine, how often does it wake, and how much memory
does it hold beyond the guest's RAM?
"""
import os
import re
import sys
import tempfile
import time

import boot
import rig
import systems

sys.path.append(os.path.join(rig.TOP, "tests", "suites"))
import images  # noqa: E402
from vm import VM, Failed  # noqa: E402

INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
echo IDLE-UP
exec sleep 1000000
"""
SETTLE, SECONDS = 3, 10  # until the boot's last work is done; of a sample
MEMORY = 256  # MiB of Linux


def linux(folder):
    """(options, what shows that it is up)"""
    boot.fetch()
    initrd = os.path.join(folder, "idle.gz")
    boot.pack({"bin/busybox": (boot.busybox(), 0o755), "init": (INIT.encode(), 0o755)}, initrd)
    return ["-m", str(MEMORY), "-kernel", boot.KERNEL, "-initrd", initrd, "-append", "console=ttyS0 quiet"], \
        lambda vm: vm.wait("IDLE-UP", 120)


def dos(folder):
    system = images.SYSTEMS["freedos"]
    return images.options(system, lambda file: systems.unpacked(file, folder)) + ["-snapshot"], system.wait


GUESTS = {"Linux, asleep": linux, "FreeDOS at its prompt": dos}


def wakes(pid):
    """How often the process' threads have gone to sleep of themselves."""
    total = 0
    for task in os.listdir("/proc/%d/task" % pid):
        found = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", rig.read("/proc/%d/task/%s/status" % (pid, task)), re.M)
        total += int(found[1]) if found else 0
    return total


def sample(engine, options, up, o):
    """{"percent", "wakes", "mib"} of one machine; None where it does not come up."""
    vm = None
    try:
        ram = int(options[options.index("-m") + 1])
        vm = VM(rig.command_of(engine, o), options + rig.named_memory(engine, ram))
        up(vm)
        time.sleep(SETTLE)
        cpu, woke, start = vm.cpu_seconds(), wakes(vm.process.pid), time.time()
        time.sleep(SECONDS)
        wall = time.time() - start
        run = {"percent": 100 * (vm.cpu_seconds() - cpu) / wall, "wakes": (wakes(vm.process.pid) - woke) / wall}
        memory = rig.Memory(every=0)
        memory(vm.process.pid)
        return {**run, "mib": memory.peak["total"] / 1024}
    except (Failed, EOFError, OSError, ValueError) as e:
        print("%s does not come up: %s" % (engine, e))
        return None
    finally:
        if vm:
            vm.close()


def measure(o, engines, options, up):
    """{engine: the cheapest of its samples}."""
    return rig.cheapest(o, engines, lambda e: sample(e, options, up, o), "percent")


def idle(o):
    engines, results, rows = rig.peers() + o.engines, {}, []
    with tempfile.TemporaryDirectory() as folder:
        for name, guest in GUESTS.items():
            if not rig.wanted(name, o):
                continue
            try:
                options, up = guest(folder)
            except images.Skip as skip:
                print("SKIP %s: %s" % (name, skip))
                continue
            results[name] = best = measure(o, engines, options, up)
            for e in (e for e in engines if e in best):
                rows.append([name, e, "%.2f" % best[e]["percent"], "%.0f" % best[e]["wakes"], "%.0f" % best[e]["mib"],
                             rig.ratio(best[e]["percent"], best.get("qemu", {}).get("percent"))])
    print("Idle guests, %d s each: percent of a processor (goal: below QEMU)" % SECONDS)
    rig.table(["", "", "CPU %", "wake-ups/s", "MiB beyond RAM", "/QEMU"], rows)
    rig.save("idle", {"idle": results})
