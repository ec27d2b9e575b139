#!/usr/bin/env python3
"""Statistics, listings of the translation cache, and the programs of tools/ that show them.

  tools.py [--ring3 PATH] [NAME…]

Guests are boot sectors of a few bytes, behind SeaBIOS.
"""
import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from cases import case, expect, run_case, run_cases  # noqa: E402
from context import Context, LOOP  # noqa: E402
from vm import VM  # noqa: E402

TOP = os.path.dirname(os.path.dirname(HERE))
DOCUMENT = os.path.join(TOP, "docs", "statistics.md")


def read(path):
    with open(path) as file:
        return file.read()


def run_for(c, seconds, *options):
    """A guest that loops, ended by a signal after so long."""
    p = subprocess.Popen([c.ring3, "-display", "none", "-fda", c.floppy(LOOP), *options], stdin=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True)
    time.sleep(seconds)
    p.send_signal(signal.SIGTERM)
    said = p.communicate(timeout=20)[1]
    expect(p.returncode == 0, "status %d: %s" % (p.returncode, said[-300:]))


# ---- Names ----

def documented():
    return re.findall(r"^\| `([\w.*]+)` \|", read(DOCUMENT), re.M)


def names(tree, before=""):
    """Of every number in the tree, with dots."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from names(value, before + name + ".")
        else:
            yield before + name


def matches(name, known):
    return name in known or name.rsplit(".", 1)[0] + ".*" in known


def tables():
    """tc.GROUP.NAME.* of stats.def: what a run without such an event leaves out."""
    group = None
    for kind, name in re.findall(r"^(GROUP|TABLE)\((\w+),", read(os.path.join(TOP, "bt", "stats.def")), re.M):
        if kind == "GROUP":
            group = name
        else:
            yield "tc.%s.%s.*" % (group, name)


@case
def every_name_is_documented_and_every_documented_name_is_there(c):
    file, known = c.path("s.json"), documented()
    run_for(c, 1, "-stats", file, "-tc-count")
    there = list(names(json.loads(read(file))))
    expect(len(known) > 90 and len(set(known)) == len(known), "the page has %d names, some twice?" % len(known))
    missing = [n for n in there if not matches(n, known) and not n.startswith("tc.shadow.")]
    expect(not missing, "not in docs/statistics.md: %s" % missing)
    found = set(there) | {n.rsplit(".", 1)[0] + ".*" for n in there} | set(tables()) | {"wall_seconds"}
    expect(set(known) <= found, "only in docs/statistics.md: %s" % sorted(set(known) - found))
    expect("tc.runs.runs.*" in found and json.loads(read(file))["tc"]["runs"]["runs"]["TUs"] > 1000, "-tc-count counts nothing")


@case
def the_interpreter_has_the_same_names_but_for_the_translators(c):
    file, known = c.path("s.json"), documented()
    run_for(c, 1, "-stats", file, "--engine", "interp")
    tree = json.loads(read(file))
    expect(tree["engine"] == "interp" and tree["schema"] == 1, "not schema 1 of interp: %s" % list(tree.items())[:3])
    expect(all(matches(n, known) or n.startswith("tc.shadow.") for n in names(tree)), "a name is not documented")
    expect("units" not in tree["tc"], "the interpreter counts TUs")


# ---- The series ----

STATES = re.compile(r"schema$|tc\.cache\.|host\.(guest_seconds|tsc_mhz|peak_kib|ram_kib)$")
LEFT_OUT = re.compile(r"version$|engine$|host\.processor$|tc\.(shadow|dearest)\.")


def at(tree, name):
    for part in name.split("."):
        tree = tree.get(part, {})
    return tree if tree != {} else 0


@case
def a_series_adds_up_to_the_file(c):
    file = c.path("s.json")
    run_for(c, 1.5, "-stats", file, "-stats-interval", "0.125")
    whole, lines = json.loads(read(file)), [json.loads(line) for line in read(file + ".series").splitlines()]
    expect(6 <= len(lines) <= 14, "%d lines of 0.125 s" % len(lines))
    for name in names(whole):
        if STATES.match(name) or LEFT_OUT.match(name):
            continue
        total, want = sum(at(line, name) for line in lines), at(whole, name)
        slack = 1e-6 * len(lines) if isinstance(want, float) else 0
        expect(abs(total - want) <= slack, "%s: the lines have %s, the file %s" % (name, total, want))
    times = [line["host"]["guest_seconds"] for line in lines]
    expect(times == sorted(times) and times[0] >= 0.125, "the times are %s" % times)
    expect(all(n in set(names(whole)) | {"wall_seconds"} for line in lines for n in names(line)), "a name that the file lacks")


@case
def qmp_answers_with_the_same_names(c):
    vm = VM(c.ring3, ["-fda", c.floppy(LOOP)])
    try:
        first, second = (vm.qmp.run("x-ring3-stats")["return"] for _ in range(2))
    finally:
        vm.close()
    expect(all(matches(n, documented()) or n.startswith("tc.shadow.") for n in names(first)), "a name is not documented")
    expect(first["schema"] == 1 and second["host"]["guest_seconds"] > first["host"]["guest_seconds"], "time stands")


@case
def mistakes_in_options_get_one_line(c):
    c.refused("only with -stats", "-stats-interval", "1")
    c.refused("0.01 to 86400", "-stats", c.path("s"), "-stats-interval", "0")
    c.refused("0.01 to 86400", "-stats", c.path("s"), "-stats-interval", "1s")
    c.refused("No such file", "-stats", "/no/such/folder/s", "-stats-interval", "1")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--ring3", default=os.path.join(TOP, "build", "ring3"))
    a.add_argument("names", nargs="*")
    o = a.parse_args()

    def run(function):
        c = Context(o.ring3)
        try:
            return run_case(function, c)
        finally:
            c.folder.cleanup()

    return run_cases(o.names, run)


if __name__ == "__main__":
    sys.exit(main())
