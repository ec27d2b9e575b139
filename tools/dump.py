"""The file of -dump-tc (docs/statistics.md), read and summed: what ring3-tc and ring3-report show of it."""
import json

SCHEMA = 1
FORMAT = "its first line is none of -dump-tc's"


class Refused(Exception):
    """The file is none that we read; the text says why, in a line."""


def read(path):
    """(first line, generator of TUs)"""
    file = open(path)
    try:
        head = json.loads(file.readline())
    except ValueError:
        raise Refused("%s: %s" % (path, FORMAT)) from None
    if not isinstance(head, dict) or "tus" not in head:
        raise Refused("%s: %s" % (path, FORMAT))
    if head.get("schema") != SCHEMA:
        raise Refused("%s: schema %s; this program reads %d" % (path, head.get("schema"), SCHEMA))
    return head, (json.loads(line) for line in file)


def host_insns(tu):
    """How many host instructions its code has, stubs left out; None without a listing."""
    if "code" not in tu:
        return None
    return len(tu["head"]) + sum(len(i["host"]) for i in tu["code"])


class Summary:
    """Sums over the TUs of a dump, and those that ran most. Lines of Adams and Agesen's table of a boot."""

    def __init__(self, path, keep=0):
        self.head, tus = read(path)
        self.tus = self.dead = self.insns = self.ident = self.guest = self.host = self.body = 0
        self.listed = self.listed_insns = self.again = 0
        self.kinds, self.places, runs = {}, set(), []
        best = []
        for tu in tus:
            self.tus += 1
            self.dead += tu["dead"]
            self.insns += tu["insns"]
            self.ident += tu["ident"]
            self.guest += tu["guest_bytes"]
            self.host += tu["host_bytes"]
            self.body += tu["body_bytes"]
            self.places.add(tu["gpa"])
            kind = "%s, %d bits, CPL %d" % (tu["mode"], tu["bits"], tu["cpl"])
            self.kinds[kind] = self.kinds.get(kind, 0) + 1
            n = host_insns(tu)
            if n is not None:
                self.listed += n
                self.listed_insns += tu["insns"]
            if self.head["counted"]:
                runs.append((tu["runs"], tu["host_bytes"]))
            best.append((tu.get("runs", 0), tu["tu"], tu))
            if len(best) > 4 * keep + 64:
                best = top(best, keep)
        self.again = self.tus - len(self.places)
        self.best = [tu for _, _, tu in top(best, keep)]
        self.runs = sorted(runs, reverse=True)
        self.executions = sum(n for n, _ in self.runs)

    def working_set(self, share):
        """(TUs, bytes of host code) that make up this share of all executions."""
        total = tus = size = 0
        for n, code in self.runs:
            if total >= share * self.executions:
                break
            total, tus, size = total + n, tus + 1, size + code
        return tus, size

    def lines(self):
        """(what, number as text, note)"""
        yield "TUs", count(self.tus), count(self.dead) + " of them dropped since"
        for kind, n in sorted(self.kinds.items(), key=lambda kv: -kv[1]):
            yield "TUs: " + kind, count(n), ""
        yield "guest instructions", count(self.insns), "%.2f a TU" % ratio(self.insns, self.tus)
        yield "IDENT", "%.1f %%" % (100 * ratio(self.ident, self.insns)), "the same on the host, but for registers and operand"
        yield "guest bytes", count(self.guest), ""
        yield "host bytes", count(self.host), "%.2f a guest byte; without stubs %.2f" % (
            ratio(self.host, self.guest), ratio(self.body, self.guest))
        if self.listed:
            yield ("host instructions a guest's", "%.2f" % ratio(self.listed, self.listed_insns),
                   "stubs left out; of the TUs not dropped")
        yield "places translated again", count(self.again), "another context, or after a drop"
        if self.runs:
            once = sum(n <= 1 for n, _ in self.runs)
            yield "executions", count(self.executions), "%.0f a TU; %.1f %% ran at most once" % (
                ratio(self.executions, self.tus), 100 * ratio(once, self.tus))
            for share in 0.5, 0.9, 0.99:
                tus, size = self.working_set(share)
                yield "working set of %d %%" % (100 * share), count(tus) + " TUs", count(size) + " bytes of host code"


def count(n):
    return "{:,}".format(n)


def ratio(a, b):
    return a / b if b else 0.0


def top(best, n):
    return sorted(best, key=lambda b: (-b[0], b[1]))[:n]
