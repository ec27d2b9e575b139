"""A Debian desktop from its disk: GRUB's graphical menu, Linux 6.1 686-pae, systemd, Xorg, icewm with two windows; beside QEMU's TCG, in
turns.

Answers: how long does a user wait for a modern system's screen, and what does it cost the host? The screen is looked at, a line is
typed into the terminal there, and the machine sleeps in S3 and wakes, before a run counts.
"""
import os
import subprocess
import sys
import time

import rig

sys.path.append(os.path.join(rig.TOP, "tests", "suites"))
from vm import VM, Failed  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(rig.BUILD, "bench", "desktop")
DISK = os.path.join(FOLDER, "disk.img")
MEMORY = 512  # MiB
SIZE = 1024, 768
SCREEN = ["-vga", "none", "-device", "VGA,xres=%d,yres=%d" % SIZE]  # of QEMU, whose monitor prefers another
SOURCES = [os.path.join(HERE, name) for name in ("make-desktop", "init", "session", "xserver", "grub.cfg")]
STEELBLUE = bytes([70, 130, 180])  # the root window, as `session` paints it


def made():
    return os.path.exists(DISK) and all(os.path.getmtime(f) < os.path.getmtime(DISK) for f in SOURCES)


def make():
    """The disk; False, with a line why, where it cannot be had."""
    if made():
        return True
    print("Making a disk with a Debian desktop, from packages.", flush=True)
    done = subprocess.run([SOURCES[0]], capture_output=True, text=True)
    if done.returncode:
        print("bench/desktop/make-desktop failed: %s" % done.stderr.strip().split("\n")[-1])
    return done.returncode == 0


def wait_serial(vm, text, patience):
    """The serial port alone: to look at the screen costs the machine something."""
    vm.wait_for(text, lambda: text in vm.serial(), patience)


def check_units(vm):
    wait_serial(vm, "failed:", 60)
    time.sleep(0.5)  # the rest of the line
    failed = vm.serial().split("failed:")[1].strip()
    if failed:
        raise Failed("systemd's units that failed: " + failed)


def check_picture(vm):
    """The root window in its colour, and windows on it."""
    width, height, data = vm.pixels()
    sample = [data[i:i + 3] for i in range(0, len(data) - 2, 3 * 31)]
    root, white = (sum(p == c for p in sample) / len(sample) for c in (STEELBLUE, b"\xff" * 3))
    if (width, height) != SIZE:
        raise Failed("the screen has %dx%d" % (width, height))
    if not 0.5 < root < 0.95 or not 0.02 < white < 0.5:
        raise Failed("%.0f %% of the screen is the root window's, %.0f %% white" % (100 * root, 100 * white))


def use(vm, word):
    """A line in the terminal, whose answer comes over the serial port."""
    vm.type("echo %s $((6*7)) >/dev/ttyS0\n" % word)
    wait_serial(vm, word + " 42", 60)
    check_picture(vm)


def suspended(vm):
    return vm.qmp.run("query-status")["return"]["status"] == "suspended"


def sleep_and_wake(vm):
    vm.type("echo mem >/sys/power/state; echo woken >/dev/ttyS0\n")
    vm.wait_for("sleep", lambda: suspended(vm), 60)
    vm.qmp.run("system_wakeup")
    wait_serial(vm, "woken", 60)
    time.sleep(1)  # until the keyboard is back, too
    use(vm, "awake")


def run(engine, o):
    """One boot up to the desktop: wall and CPU seconds; None where it failed."""
    vm = VM(rig.command_of(engine, o), ["-m", str(MEMORY), "-drive", "file=%s,if=ide,format=raw,snapshot=on" % DISK]
            + (SCREEN if rig.is_qemu(engine) else []) + rig.named_memory(engine, MEMORY))
    memory = rig.Memory(every=0)
    try:
        wait_serial(vm, "DESKTOP-UP", o.patience)
        done = {"wall": time.time() - vm.start, "cpu": vm.cpu_seconds()}
        memory(vm.process.pid)
        done["memory_mib"] = memory.peak["total"] / 1024
        check_units(vm)
        time.sleep(1)  # until the shell has its prompt
        use(vm, "typed")
        sleep_and_wake(vm)
        vm.screendump(os.path.join(FOLDER, engine.replace(":", "-") + ".png"))
        rig.progress(engine, done)
        return done
    except (Failed, OSError, EOFError, ValueError) as e:
        print("FAIL desktop: %s: %s" % (engine, e))
        vm.record(os.path.join(FOLDER, "failed"))
        return None
    finally:
        vm.close()


def desktop(o):
    if not make():
        return
    engines = rig.peers() + o.engines
    best = rig.cheapest(o, engines, lambda e: run(e, o), "cpu")
    base = best.get("qemu")
    print("A Debian 12 desktop, from power-on to icewm with two windows, %d MiB, the cheapest of %d runs" % (MEMORY, o.repeat))
    rig.table(["", "seconds", "CPU s", "seconds/QEMU", "CPU/QEMU", "MiB beyond RAM"], [
        [e, rig.number(b["wall"]), rig.number(b["cpu"])] + [rig.ratio(b[k], base and base[k]) for k in ("wall", "cpu")]
        + [rig.number(b["memory_mib"])]
        for e, b in best.items()])
    rig.save("desktop", {"memory": MEMORY, "best": best})
