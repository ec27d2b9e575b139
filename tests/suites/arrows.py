#!/usr/bin/env python3
"""Every #include "..." of the source folders against the plan of docs/arrows.txt: who may use whom.

  arrows.py [TREE]

Prints the exceptions that are left, as "TODO FILE uses HEADER"; one that no file needs any more is a failure, too.
"""
import os
import re
import sys

TREE = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SOURCES = (".c", ".h", ".S", ".def")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.M)


def read_plan(path):
    """The folders' rows as {folder: set of folders}, the exceptions as a set of (file, header)."""
    rows, todo = {}, set()
    for number, line in enumerate(open(path), 1):
        left, colon, right = line.split("#")[0].partition(":")
        if not left.strip():
            continue
        if not colon:
            raise SystemExit(f"{path}:{number}: no ':'")
        words = left.split()
        if words[0] == "TODO":
            todo |= {(words[1], header) for header in right.split()}
        else:
            rows[words[0]] = set(right.split())
    return rows, todo


def sources(rows):
    """Every source file of the folders in the plan, by its path from the tree's top."""
    for folder in rows:
        for name in sorted(os.listdir(os.path.join(TREE, folder))):
            if name.endswith(SOURCES):
                yield folder, f"{folder}/{name}"


def includes(path):
    with open(os.path.join(TREE, path)) as file:
        return INCLUDE.findall(file.read())


def unknown_folders(rows):
    """Folders with C in them that the plan does not name."""
    for top in ("bt", "cpu", "mmu", "devices", "runtime"):
        for path, _, names in os.walk(os.path.join(TREE, top)):
            folder = os.path.relpath(path, TREE)
            if folder not in rows and any(name.endswith(SOURCES) for name in names):
                yield folder


def main():
    rows, todo = read_plan(os.path.join(TREE, "docs", "arrows.txt"))
    failures, passed, met = [], 0, set()

    for folder in unknown_folders(rows):
        failures.append(f"{folder}: docs/arrows.txt has no row for it")
    for folder, path in sources(rows):
        for header in includes(path):
            target = os.path.dirname(header)
            if target == folder or target in rows[folder]:
                passed += 1
            elif (path, header) in todo:
                met.add((path, header))
            else:
                failures.append(f'{path}: includes "{header}", and {folder} may not use {target or "that"}')
    for path, header in sorted(met):
        print(f"TODO {path} uses {header}")
    for path, header in sorted(todo - met):
        failures.append(f"{path}: does not include {header} any more: strike the TODO off in docs/arrows.txt")
    for failure in failures:
        print("FAIL " + failure)
    print(f"{passed} passed, {len(failures)} failed")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
