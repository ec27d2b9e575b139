"""What a VMM on VT-x or SVM would have left the guest for in a run of ring3, and its price: bench/vmexits.json."""
import json

SCHEMA = 1


class Line:
    """An event of the table in a run: how often, at what price (None: this VMM does not leave the guest for it)."""

    def __init__(self, event, number, complete, price):
        self.name, self.note, self.number, self.complete, self.price = event["name"], event["note"], number, complete, price

    @property
    def cycles(self):
        return self.number * (self.price or 0)


def read_prices(path):
    with open(path) as file:
        table = json.load(file)
    if table.get("schema") != SCHEMA:
        raise ValueError("%s: schema %s; this program reads %d" % (path, table.get("schema"), SCHEMA))
    return table


def number(stats, path):
    """A counter by its name with dots; tables' indices may have blanks. 0 where it is left out."""
    for part in path.split("."):
        stats = stats.get(part, {})
    return stats or 0


def counted_in_code(stats):
    return bool(stats.get("tc", {}).get("runs"))


class Walks:
    """Misses of a TLB, and what their page walks refer to: at least, and by an estimate (the table's `walks`)."""

    def __init__(self, stats, table):
        least = sum(number(stats, path) for path in table["misses"])
        flushes = sum(number(stats, path) for path in table["flushes"])
        self.misses = least, least + flushes * table["pages_a_flush"]
        m = table["nested_levels"]
        self.rows = [(name, n, (n + 1) * (m + 1) - 1) for name, n in table["guest_levels"].items()]


def lines(stats, events, price):
    """One a row of the table. Where translated code counts nothing (no -tc-count), what it runs itself is missing."""
    for event in events:
        inside = event.get("in_code", [])
        total = sum(number(stats, path) for path in event["of"] + inside)
        complete = not inside or counted_in_code(stats) or stats.get("engine") in ("interp", "trap")
        pays = price["vmm"] in event["vmms"]
        yield Line(event, total, complete, price["cycles"].get(event["id"], price["default"]) if pays else None)
