"""The files that ring3-report takes, each read and told apart by what is in it."""
import json
import os

import dump
import results

SCHEMA = 1


class Refused(Exception):
    """A file that is none of ours; the text says why, in a line."""


class Stats:
    """A file of -stats, and its series, if there is one."""

    def __init__(self, name, data, series):
        self.name, self.data, self.series = name, data, series
        self.host = data["host"].get("processor", "a host that the file does not name")
        self.host_key = tuple(self.host.split()[:2])  # vendor, family/model/stepping

    @property
    def tc(self):
        return self.data["tc"]


class Result:
    """A file of bench/results that has rows to show."""

    def __init__(self, name, data, kind):
        self.name, self.data, self.kind = name, data, kind
        self.host = results.host_text(data["host"])
        self.host_key = results.host_key(data["host"])
        self.rows = results.KINDS[kind].rows(data)


def read_lines(path):
    with open(path) as file:
        return [json.loads(line) for line in file if line.strip()]


def check_schema(path, data):
    if data.get("schema") != SCHEMA:
        raise Refused("%s: schema %s; this program reads %d" % (path, data.get("schema"), SCHEMA))


def read_series(path):
    lines = read_lines(path)
    for line in lines:
        check_schema(path, line)
    return lines


STATES = {"schema", "version", "engine", "host.processor", "host.guest_seconds", "host.tsc_mhz", "host.peak_kib", "host.ram_kib",
          "tc.cache"}  # what a line of a series has as it is


def add(total, line, before=""):
    """What a line gained, to what there was; missing names are zeros."""
    for name, value in line.items():
        if before + name in STATES:
            total[name] = value
        elif isinstance(value, dict):
            add(total.setdefault(name, {}), value, before + name + ".")
        else:
            total[name] = total.get(name, 0) + value


class Zeros(dict):
    """What stats would have been, had it been written: a name that no line has is 0."""

    def __missing__(self, name):
        return 0


def stats_of_series(name, path):
    """A file of -stats by its series alone; None: it is no series."""
    try:
        lines = read_series(path)
    except ValueError:
        return None
    if not lines or not all(isinstance(line, dict) and "wall_seconds" in line for line in lines):
        return None
    total = {}
    for line in lines:
        add(total, line)
    for group, names in ("host", total["host"]), ("counters", total.get("counters", {})):
        total[group] = Zeros(names)
    total["tc"] = {k: Zeros(v) if isinstance(v, dict) else v for k, v in total.get("tc", {}).items()}
    return Stats(name, total, lines)


def read_stats(name, path, data):
    check_schema(path, data)
    series = path + ".series"
    return Stats(name, data, read_series(series) if os.path.exists(series) else [])


def is_dump(path):
    with open(path) as file:
        first = file.readline(1 << 16)
    try:
        return "tus" in json.loads(first)
    except (ValueError, TypeError):
        return False


def short_names(paths):
    """As few of each path's last parts as tell them apart; without .json."""
    for depth in range(1, 10):
        names = [os.path.splitext("/".join(os.path.abspath(p).split("/")[-depth:]))[0] for p in paths]
        if len(set(names)) == len(names):
            break
    return names


def inside(name, data):
    """The statistics that a result of `boot` keeps of its best runs."""
    for machine, run in data["best"].items():
        stats = (run or {}).get("stats") or {}
        if stats.get("schema") == SCHEMA:
            yield Stats("%s: %s" % (name, "ring3" if machine == "bt" else machine), stats, [])


def refuse(path):
    raise Refused("%s: neither of -stats nor of -dump-tc nor of bench/run" % path)


def read_json(name, path):
    with open(path) as file:
        data = json.load(file)
    if "counters" in data and "tc" in data:
        return [read_stats(name, path, data)]
    kind = results.kind_of(data) if "host" in data else None
    if kind:
        return [Result(name, data, kind)] + (list(inside(name, data)) if kind == "boot" else [])
    if "host" in data:
        return []
    refuse(path)


def read_one(name, path, hottest):
    """A list of Stats, Results, dump.Summaries; empty: a result with nothing to show."""
    try:
        if path.endswith(".series"):
            return [stats_of_series(name, path) or refuse(path)]
        if not is_dump(path):
            return read_json(name, path)
        summary = dump.Summary(path, hottest)
        summary.name = name
        return [summary]
    except (ValueError, KeyError, TypeError, AttributeError) as why:
        raise Refused("%s: neither of -stats nor of -dump-tc nor of bench/run (%r)" % (path, why)) from None
    except dump.Refused as why:
        raise Refused(str(why)) from None
