"""The files that ring3-report takes, each read and told apart by what is in it."""
import json
import os

import dump
import results

SCHEMA = 1
GIB = 1 << 30


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


def read_one(name, path, hottest):
    """A Stats, Result or dump.Summary; None: a result with nothing to show."""
    try:
        if is_dump(path):
            summary = dump.Summary(path, hottest)
            summary.name = name
            return summary
        with open(path) as file:
            data = json.load(file)
        if isinstance(data, dict) and "counters" in data and "tc" in data:
            return read_stats(name, path, data)
        if isinstance(data, dict) and "host" in data:
            kind = results.kind_of(data)
            return Result(name, data, kind) if kind else None
    except (ValueError, KeyError, TypeError, UnicodeDecodeError):
        pass
    except dump.Refused as why:
        raise Refused(str(why)) from None
    raise Refused("%s: neither of -stats nor of -dump-tc nor of bench/run" % path)
