"""What it costs to be watched: the scripted Linux boot with statistics, a series of them, and executions counted, each beside the
same boot without, in turns; and whether two deterministic boots count the same.

Answers: does who measures change what is measured?
"""
import os
import statistics
import tempfile

import boot
import rig

WAYS = [  # a name, and options, FOLDER for where files go
    ("statistics at the end", ["-stats", "FOLDER/stats"]),
    ("a line a second", ["-stats", "FOLDER/stats", "-stats-interval", "1"]),
    ("ten lines a second", ["-stats", "FOLDER/stats", "-stats-interval", "0.1"]),
    ("executions of each TU", ["-stats", "FOLDER/stats", "-tc-count"]),
]
SECONDS = "seconds"  # what the host's clock says is told, and never the same twice


def once(options, o, stats=False):
    """The run of one boot; None: it did not come up."""
    with tempfile.TemporaryDirectory(prefix="ring3-counting") as folder:
        extra = [x.replace("FOLDER", folder) for x in options]
        run = rig.Run("bt", boot.options("bt", False) + extra, o.patience, binary=o.ring3, stats=stats)
    if run.cost.status != 0 or any(e not in run.serial for e in boot.EXPECT):
        print("FAIL " + run.why())
        return None
    return run


def percent(x):
    return "%+.1f %%" % (100 * (x - 1))


def costs(o):
    """{way: [CPU seconds with, divided by those of the boot before it without]}"""
    found = {way: [] for way, _ in WAYS}
    least = {}
    for _ in range(o.repeat):
        for way, options in WAYS:
            runs = [once(extra, o) for extra in ([], options)]
            if not all(runs):
                continue
            without, with_it = (r.cost.cpu for r in runs)
            found[way].append(with_it / without)
            least[""] = min(least.get("", without), without)
            least[way] = min(least.get(way, with_it), with_it)
            rig.progress(way, {"without": without, "with": with_it})
    return found, least


def counted(stats):
    """What was counted, but for times."""
    flat = {}

    def walk(at, value):
        if isinstance(value, dict):
            for key, below in value.items():
                walk(at + "." + key, below)
        elif isinstance(value, (int, list)) and not isinstance(value, bool):
            flat[at] = value

    walk("tc", {k: v for k, v in stats.get("tc", {}).items() if k != SECONDS})
    return {k: v for k, v in flat.items() if "tsc" not in k}


def alike(o):
    """(counters of two deterministic boots, those that differ); None."""
    runs = [once(["-deterministic"], o, stats=True) for _ in range(2)]
    if not all(runs):
        return None
    first, second = (counted(r.stats) for r in runs)
    return first, sorted(k for k in first if first[k] != second.get(k))


def counting(o):
    boot.make()
    found, least = costs(o)
    print("What it costs to count: the Linux boot of `boot`, CPU time beside the same without, in turns; %d pairs each" % o.repeat)
    rig.table(["", "cheapest", "median of the pairs"],
              [[way, percent(least[way] / least[""]), percent(statistics.median(found[way]))] for way, _ in WAYS if found[way]])
    same = alike(o)
    if same:
        print("Two boots with -deterministic: %d counters of the translator, %d of them differ%s; %s TUs made" %
              (len(same[0]), len(same[1]), same[1] and ": " + ", ".join(same[1][:8]) or "",
               next((v for k, v in same[0].items() if k.endswith(".tus")), "?")))
    rig.save("counting", {"pairs": found, "least": least, "deterministic": same and {"counters": same[0], "differ": same[1]}})
