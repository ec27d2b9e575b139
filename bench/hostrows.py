"""The host's own mechanisms: host.c tells. The experiment between the forms of memory operands is its last rows."""
import os
import re
import subprocess

import rig


def host(o):
    khz, _ = rig.clocks()
    rows, core = {}, 0
    for _ in range(o.repeat):
        out = subprocess.run([os.path.join(rig.BUILD, "bench", "hostcost")], capture_output=True, text=True,
                             timeout=o.patience)
        if out.returncode:
            print("FAIL hostcost: status %d" % out.returncode)
        core = max(core, float(re.search(r"core ([0-9.]+)", out.stdout)[1]))
        for name, best, median in re.findall(r"^row (\S+) (\d+) (\d+)$", out.stdout, re.M):
            new = int(best) / 100, int(median) / 100
            rows[name] = tuple(map(min, zip(rows.get(name, new), new)))
    print("The host's mechanisms (%.2f core cycles a TSC cycle of %.3f GHz)" % (core, khz / 1e6))
    table = [[n, rig.number(b * core), rig.number(b), rig.number(b / khz * 1e6), rig.number(m / khz * 1e6)]
             for n, (b, m) in rows.items()]
    table += [[n, "-", "-", "-", "-"] for n in re.findall(r"^none (\S+)$", out.stdout, re.M)]
    rig.table(["", "core cycles", "TSC cycles", "ns", "ns median"], table)
    rig.save("host", {"tsc_khz": khz, "core_per_tsc": core, "tsc_cycles": rows})
