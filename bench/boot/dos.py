"""DOS and other small systems, to the milestone at which they wait for a key: CPU and wall seconds.

Answers: is 16-bit code, real, V86 and protected, as fast as under QEMU? The clock stops when the screen shows
the system's last line; it is looked at every 50 ms.
"""
import os
import re
import subprocess
import sys
import tempfile
import time

import rig

sys.path.insert(0, os.path.join(rig.TOP, "tests", "suites"))
from vm import VM, Failed  # noqa: E402

IMAGES = os.path.join(rig.TOP, "..", "shared", "images")
FLOPPY = ["-m", "16", "-boot", "a"]
SYSTEMS = [  # name, image, options, milestone
    ("bootos", "bootos-360.img", FLOPPY, r"^\$"),
    ("mikeos", "mikeos-4.5.flp", FLOPPY, r"Thanks for trying out MikeOS"),
    ("freedos", "freedos-1440.img", FLOPPY, r"A:\\>"),
    ("freedos-emm386", "freedos1-emm386.img", FLOPPY, r"FDREADY"),
    ("msdos4", "msdos4.img", FLOPPY, r"Enter new date"),
    ("msdos4-emm386", "msdos4-emm386.img", FLOPPY, r"DOS4READY"),
    ("pcmos", "pcmos386-502-install.img", FLOPPY, r"Is this the first time"),
    ("minix", "minix-2.0.4-hd64.img.xz", ["-m", "16"], r"login:"),
]


def unpacked(name, folder):
    """The image's path; a compressed one unpacked beside."""
    path = os.path.join(IMAGES, name)
    if not name.endswith(".xz") or not os.path.exists(path):
        return path
    target = os.path.join(folder, name.removesuffix(".xz"))
    if not os.path.exists(target):
        with open(target, "wb") as f:
            subprocess.run(["xz", "-dc", path], stdout=f, check=True)
    return target


def vmm_of(engine, o):
    command = rig.ENGINES[engine]
    return command.replace(rig.RING3, o.ring3) if o.ring3 else command


def boot(engine, o, image, options, milestone):
    kind = "floppy" if "-boot" in options else "ide"
    drive = ["-drive", "file=%s,if=%s,format=raw,snapshot=on" % (image, kind)]
    vm = VM(vmm_of(engine, o), options + drive)
    try:
        while time.time() - vm.start < o.patience and vm.process.poll() is None:
            if re.search(milestone, vm.screen(), re.M):
                return {"cpu": vm.cpu_seconds(), "wall": time.time() - vm.start}
            time.sleep(0.05)
        return None
    except (Failed, EOFError, OSError, ValueError):
        return None
    finally:
        vm.close()


def measure(o, engines, system, folder):
    name, image, options, milestone = system
    runs = {e: [] for e in engines}
    for _ in range(o.repeat):
        for e in engines:
            run = boot(e, o, unpacked(image, folder), options, milestone)
            if run:
                runs[e].append(run)
    return {e: min(r, key=lambda x: x["cpu"]) for e, r in runs.items() if r}


def dos(o):
    engines, rows, results = ["qemu"] + o.engines, [], {}
    with tempfile.TemporaryDirectory() as folder:
        for system in SYSTEMS:
            if not os.path.exists(os.path.join(IMAGES, system[1])):
                print("SKIP %s: %s is not beside the repository" % (system[0], system[1]))
                continue
            best = results[system[0]] = measure(o, engines, system, folder)
            base = best.get("qemu", {}).get("cpu")
            row = [system[0]]
            for e in engines:
                row += ["%.2f" % best[e]["cpu"], "%.2f" % best[e]["wall"]] if e in best else ["not up", "-"]
            rows.append(row + [rig.ratio(best[e]["cpu"], base) if e in best else "-" for e in o.engines])
    print("Small systems to their milestone, CPU and wall seconds (goal: no slower than QEMU)")
    rig.table([""] + [x for e in engines for x in (e + " CPU s", "wall")] + [e + "/QEMU" for e in o.engines], rows)
    rig.save("dos", {"best": results})
