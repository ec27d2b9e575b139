"""The translator's counters over a part of a run: `info tc` read before and after, subtracted, and told in a line."""
import re

LINE = re.compile(r"^( +)(\S.*?) +(\d+)(?:  |$)")


def read(text):
    """{"tus": n, "callout_by": {"mov": n}, ...} of info tc: a table is a row whose lines stand deeper below it."""
    counters, tables, last = {}, {}, None
    for line in text.replace("\r", "").split("\n"):
        found = LINE.match(line)
        if not found:
            last = None  # a heading: what stands deeper below it is no row's table
            continue
        depth, name, number = len(found[1]), found[2], int(found[3])
        if depth == 2:
            counters[name], last = number, name
        elif last:
            tables.setdefault(last, {})[name] = number
    return {**counters, **tables, **{name + " in all": counters[name] for name in tables}}


def difference(before, after):
    if isinstance(after, dict):
        before = before if isinstance(before, dict) else {}
        return {k: difference(before.get(k, 0), v) for k, v in after.items()}
    return after - (0 if isinstance(before, dict) else before)


def short(n):
    for unit, size in ("M", 1e6), ("k", 1e3):
        if n >= size:
            return "%.3g %s" % (n / size, unit)
    return "%d" % n


def top(table, least, count=4):
    best = sorted(table.items(), key=lambda kv: -kv[1])[:count]
    return ", ".join("%s %s" % (name, short(n)) for name, n in best if n >= least)


def told(c, cpu):
    """What may have cost the time: of each kind that is more than a trifle per CPU second, how many there were."""
    by = c.get("callout_by", {})
    signals = {k[8:]: v for k, v in c.items() if k.startswith("signals_")}
    parts = ["%s callouts (%s)" % (short(sum(by.values())), top(by, 2000 * cpu))] if by else []
    for key, what in ("tus in all", "TUs made"), ("flushes", "flushes"), ("drops", "dropped"), ("smc_events", "stores to code"), \
            ("shadow_hidden", "hidden page faults"):
        if c.get(key, 0) > (0 if key == "flushes" else 1000 * cpu):
            parts.append("%s %s" % (short(c[key]), what))
    if sum(signals.values()) > 200 * cpu:
        parts.append("%s signals (%s)" % (short(sum(signals.values())), top(signals, 50 * cpu)))
    return "; ".join(parts)
