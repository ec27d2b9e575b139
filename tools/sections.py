"""The sections of ring3-report's page: each gets what was read, and returns HTML, or "" where there is nothing to show."""
import bill
import plot
from dump import ratio
from page import Cell, escape, heading, note, number, plots, table
from results import KINDS


# ---- Runs ----

def runs(stats):
    """One row a run: what it cost."""
    if not stats:
        return ""
    rows = []
    for s in stats:
        h = s.data["host"]
        cpu = h["user_seconds"] + h["system_seconds"]
        rows.append([s.name, s.data["engine"], h["guest_seconds"], cpu, h["user_seconds"], h["system_seconds"],
                     h["ram_kib"] / 1024, h["peak_kib"] / 1024])
    head = ["run", "engine", "guest seconds", "CPU seconds", "user", "system", "guest's RAM, MiB", "largest resident set, MiB"]
    return heading("Runs") + table(head, rows) + where_time_went(stats)


def where_time_went(stats):
    kinds = ["translated_code", "translator", "devices", "monitor", "idle", "waiting"]
    rows = [[s.name] + [s.tc["seconds"].get(k) for k in kinds] for s in stats if s.tc.get("seconds")]
    if not rows:
        return ""
    return heading("Where the machine's thread spent its time, seconds", 3) + table(
        ["run", "translated code", "translator", "devices", "other C", "asleep", "waiting for the host"], rows)


# ---- The table of a boot ----

def executions_each(s):
    """A TU's, on average; None: not counted."""
    return ratio(bill.number(s.data, "tc.runs.runs.TUs"), sum(s.tc["units"]["tus"].values())) or None


def translation(stats):
    """Adams and Agesen's lines, of each run that translated."""
    stats = [s for s in stats if s.tc.get("units")]
    if not stats:
        return ""
    lines = [
        ("TUs of 16-bit code", lambda u, t: u.get("tus", {}).get("16", 0)),
        ("TUs of 32-bit code", lambda u, t: u.get("tus", {}).get("32", 0)),
        ("guest instructions translated", lambda u, t: u["insns"]),
        ("instructions a TU", lambda u, t: ratio(u["insns"], sum(u.get("tus", {}).values()))),
        ("IDENT, %", lambda u, t: 100 * ratio(u["ident"], u["insns"])),
        ("guest bytes", lambda u, t: u["guest_bytes"]),
        ("host bytes", lambda u, t: u["host_bytes"]),
        ("host bytes a guest byte", lambda u, t: ratio(u["host_bytes"], u["guest_bytes"])),
        ("host bytes a guest instruction", lambda u, t: ratio(u["host_bytes"], u["insns"])),
        ("TSC cycles of translating, a guest instruction", lambda u, t: ratio(u["translate_tsc"], u["insns"])),
        ("seconds of translating", lambda u, t: ratio(u["translate_tsc"], t["tsc_mhz"] * 1e6) if t.get("tsc_mhz") else None),
        ("TUs dropped", lambda u, t: u["drops"]),
        ("flushes of the cache", lambda u, t: u["flushes"]),
    ]
    rows = [[name] + [f(s.tc["units"], s.data["host"]) for s in stats] for name, f in lines]
    counted = [s for s in stats if bill.counted_in_code(s.data)]
    for name, key in ("TUs run", "TUs"), ("instructions run", "instructions of these"):
        if counted:
            rows.append([name] + [bill.number(s.data, "tc.runs.runs." + key) or None for s in stats])
    if counted:
        rows.append(["executions a TU"] + [executions_each(s) for s in stats])
    for name in "tus", "code_bytes", "limit_bytes":
        rows.append(["in the cache at exit: " + name.replace("_", " ")] + [s.tc["cache"][name] for s in stats])
    return heading("What was translated") + table(["", *(s.name for s in stats)], rows) + note(
        "The lines that Adams and Agesen give of a boot and halt. IDENT: the same on the host but for registers and memory "
        "operand. Executions are counted with -tc-count only, whose code is in the host bytes then.")


# ---- Reuse distances ----

def missed(s, size):
    """% of the runs looked at that a cache of so many bytes, least recently used first, would have missed."""
    reuse = s.tc["reuse"]
    beyond = reuse["first"] + sum(n for at, n in reuse["bytes"].items() if int(at) >= size)
    return 100 * ratio(beyond, reuse["first"] + sum(reuse["bytes"].values()))


def reuse_distances(stats):
    stats = [s for s in stats if s.tc.get("reuse", {}).get("bytes")]
    if not stats:
        return ""
    sizes = sorted({int(at) for s in stats for at in s.tc["reuse"]["bytes"]} - {0})
    rows = [["{:,}".format(size)] + ["%.4f" % missed(s, size) for s in stats] for size in sizes]
    return heading("Reuse distances") + table(["bytes of host code", *(s.name for s in stats)], rows) + note(
        "Per cent of the runs of TUs that a cache of so many bytes, least recently used first, would have missed. By -tc-reuse N: one "
        "TU in N was looked at (%s)." % ", ".join("%s: %d" % (s.name, s.tc["reuse"]["one_in"]) for s in stats))


# ---- Counters beside each other ----

def counters(stats):
    if not stats:
        return ""
    rows = []
    for name in stats[0].data["counters"]:
        values = [s.data["counters"].get(name, 0) for s in stats]
        if any(values):
            first = values[0]
            rows.append([name.replace("_", " ")] + values + (
                ["%.2f" % ratio(v, first) if first else "–" for v in values[1:]]))
    head = ["counter", *(s.name for s in stats), *("%s / %s" % (s.name, stats[0].name) for s in stats[1:])]
    return heading("Counters") + table(head, rows) + note(
        "What each counts is in docs/statistics.md. Counters that are 0 in every run are left out.")


# ---- Over time ----

def values(series, path, per_second=True):
    """A number of each line; of a count its rate by machine time. The last line is of a shorter time: its rates say little."""
    times, out, last = [], [], 0.0
    for line in series[:-1]:
        now = line["host"]["guest_seconds"]
        value = bill.number(line, path)
        if per_second:
            value = value / (now - last) if now > last else 0.0
        times.append(now)
        out.append(value)
        last = now
    return times, out


OVER_TIME = [
    ("CPU time, user", "CPU seconds a second", "host.user_seconds", True),
    ("CPU time, system", "CPU seconds a second", "host.system_seconds", True),
    ("Instructions translated", "a second", "tc.units.insns", True),
    ("Translation cache: host code", "bytes", "tc.cache.code_bytes", False),
    ("TUs in the cache", "", "tc.cache.tus", False),
    ("Working set: host code that ran in the interval", "bytes", "tc.cache.touched_bytes", False),
    ("Callouts", "a second", "tc.sites.callouts", True),
    ("Entries into translated code", "a second", "tc.ways.entries", True),
    ("Hidden page faults", "a second", "counters.shadow_hidden", True),
    ("True page faults", "a second", "counters.shadow_true", True),
    ("Page-table writes", "a second", "counters.pt_traces", True),
    ("Port accesses", "a second", "counters.port_accesses", True),
    ("Interrupts", "a second", "counters.interrupts", True),
]
ACTIVITIES = [("translated code", "translated_code"), ("translator", "translator"), ("devices", "devices"), ("other C", "monitor")]


def activity_plot(s):
    columns, times = [], []
    for name, key in ACTIVITIES:
        times, column = values(s.series, "tc.seconds." + key)
        columns.append((name, column))
    return plot.stacked("Where time went: " + s.name, "CPU seconds a second", times, columns)


def over_time(stats):
    stats = [s for s in stats if len(s.series) > 2]
    if not stats:
        return ""
    figures = [plot.lines(title, unit, [(s.name, *values(s.series, path, rate)) for s in stats])
               for title, unit, path, rate in OVER_TIME]
    areas = [activity_plot(s) for s in stats]
    out = heading("Over time") + note("Horizontal: seconds of the guest's clock.")
    if any(areas):
        out += plot.legend([name for name, _ in ACTIVITIES], areas=True) + plots(areas)
    return out + (plot.legend([s.name for s in stats]) if len(stats) > 1 else "") + plots(figures)


# ---- A hardware VMM's bill ----

def price_cells(line):
    return [Cell("–"), Cell("–")] if line.price is None else [line.price, line.cycles / 1e6]


def bill_row(event):
    """event: its line under each price."""
    first = event[0]
    times = number(first.number) if first.complete else "≥ " + number(first.number)
    return [first.name, Cell(times), *(c for line in event for c in price_cells(line)), Cell(first.note, "text")]


def bill_of(s, prices):
    columns = [list(bill.lines(s.data, prices["events"], p)) for p in prices["prices"]]
    rows = [bill_row(event) for event in zip(*columns) if event[0].number or not event[0].complete]
    total = ["all", ""]
    for lines in columns:
        total += ["", sum(line.cycles for line in lines) / 1e6]
    head = ["event", "times"]
    for p in prices["prices"]:
        head += [p["name"] + ": cycles each", "million cycles"]
    return heading(s.name, 3) + table(head + [Cell("", "text")], rows, total + [""]) + bill_in_seconds(s, prices, columns)


def bill_in_seconds(s, prices, columns):
    """Beside what the whole run cost ring3."""
    h, words = s.data["host"], []
    for p, lines in zip(prices["prices"], columns):
        exits = sum(line.number for line in lines if line.price is not None)
        seconds = sum(line.cycles for line in lines) / (p["ghz"] * 1e9)
        words.append("%s: %s exits, %s s at %s GHz" % (p["name"], number(exits), number(seconds), p["ghz"]))
    return note("%s; for exits alone. The whole run took ring3 %s CPU seconds on its own host, the guest's own work included." % (
        "; ".join(words), number(h["user_seconds"] + h["system_seconds"])))


def page_walks(s, table):
    """What nested paging adds to misses of the TLB, which no exit shows."""
    w = bill.Walks(s.data, table)
    if not w.misses[0]:
        return ""
    rows = []
    for name, native, nested in w.rows:
        cells = [c for misses in w.misses for c in (misses * native, misses * nested)]
        rows.append(["guest tables of " + name, native, nested, *cells])
    price, last = table.get("cycles_a_reference"), ""
    if price:
        last = " At %s cycles each, nested paging adds %s to %s million cycles." % (price, *(
            number(price * misses * (w.rows[0][2] - w.rows[0][1]) / 1e6) for misses in w.misses))
    return table_of_walks(rows, w) + note(table["note"] + last)


def table_of_walks(rows, w):
    head = ["page walks: references", "each: native, shadow", "nested", "at least: native, shadow", "nested", "estimate: native, shadow", "nested"]
    return table(head, rows) + note("Misses of the TLB: at least %s, by the estimate %s." % tuple(map(number, w.misses)))


def hardware_bill(stats, prices):
    stats = [s for s in stats if any(s.data["counters"].values())]
    if not stats:
        return ""
    out = heading("A hardware VMM's bill") + note(
        "What a VMM that uses the processor's VT-x or SVM would have left the guest for, by what ring3 counted in the same run, "
        "priced by published figures. ≥: translated code runs some of these itself and counts them only with -tc-count.")
    for s in stats:
        out += bill_of(s, prices)
        out += page_walks(s, prices["walks"]) if "walks" in prices else ""
    out += note("Not in it: " + prices["not_counted"])
    return out + "".join(note("%s, %s: %s%s" % (p["name"], prices["vmms"][p["vmm"]], p["source"], "".join(
        "; %s: %s" % kv for kv in p.get("sources", {}).items()))) for p in prices["prices"]) + "".join(
            note("Page walks, %s: %s" % kv) for kv in prices.get("walks", {}).get("sources", {}).items())


# ---- bench/run ----

def rated(name, row, kind):
    """bt against QEMU."""
    if not row.get("qemu") or not row.get("bt") or name in kind.not_rated:
        return ""
    r = row["bt"] / row["qemu"]
    better = r > 1 if kind.more_is_better else r < 1
    return Cell("%.2f" % r, "good" if better else "bad")


def machines_of(result):
    found = {m for row in result.rows.values() for m in row}
    known = ["host", "native i386", "native amd64", "kvm", "qemu", "bochs", "dosbox", "trap", "interp", "bt"]
    return [m for m in known if m in found] + sorted(found - set(known))


MACHINES = {"kvm": "QEMU with KVM", "bt": "ring3", "interp": "ring3, interpreter", "trap": "ring3, trap-and-emulate", "qemu": "QEMU", "host": "the host"}


def one_result(result, paper):
    kind, machines = KINDS[result.kind], machines_of(result)
    extra = paper["columns"] + ["goal"] if result.kind == "nano" else []
    head = ["", *extra, *(MACHINES.get(m, m) for m in machines), "ring3 / QEMU"]
    rows = []
    for name, row in result.rows.items():
        cells = []
        if extra:
            cells = paper["rows"].get(name, [None] * 3) + [result.data["targets_core_cycles"].get(name)]
        rows.append([name, *cells, *(row.get(m) for m in machines), rated(name, row, kind)])
    return table(head, rows)


def several_results(results):
    kind = KINDS[results[0].kind]
    columns = [(r, m) for r in results for m in machines_of(r) if m in ("bt", "qemu") or r.kind == "ideas"]
    names = list(dict.fromkeys(name for r in results for name in r.rows))
    rows = [[name] + [r.rows.get(name, {}).get(m) for r, m in columns] +
            [rated(name, r.rows.get(name, {}), kind) for r in results] for name in names]
    head = [""] + ["%s: %s" % (r.name, MACHINES.get(m, m)) for r, m in columns] + [
        "ring3 / QEMU: " + r.name for r in results]
    return table(head, rows)


def benches(results, paper):
    out = ""
    for key, kind in KINDS.items():
        these = [r for r in results if r.kind == key]
        if not these:
            continue
        out += heading("%s (%s)" % (kind.title, kind.unit))
        if len(these) == 1 or key == "nano":
            for r in these:
                out += (heading(r.name, 3) if len(these) > 1 else "") + one_result(r, paper)
        if len(these) > 1:
            out += heading("Beside each other", 3) + several_results(these)
        if key == "nano":
            out += note("%s. %s" % (paper["source"], "; ".join("%s: %s" % kv for kv in paper["notes"].items())))
    return out


# ---- The translation cache ----

def tu_row(tu, executions):
    where = "%08x" % tu["gla"] if tu["gla"] is not None else "+%03x of gpa %x" % (tu["eip"], tu["gpa"] & ~0xfff)
    learnt = ", ".join("%s %d" % kv for kv in [*tu["forms"].items(), *tu["facts"].items()])
    runs = tu.get("runs")
    mode = "%s, %d bits, CPL %d" % (tu["mode"], tu["bits"], tu["cpl"])
    return [where, Cell(mode, "left"), tu["insns"], tu["ident"], tu["guest_bytes"],
            tu["host_bytes"], len(tu["exits"]), sum(e["chained"] > 0 for e in tu["exits"]), tu["same_place"], runs,
            "%.1f %%" % (100 * ratio(runs, executions)) if runs else "", Cell(escape(learnt), "text")]


def listing(tu):
    lines = []
    for insn in tu.get("code", []):
        left = "%08x  %s" % (insn["eip"], insn["text"])
        for at, text in insn["host"] or [("", "")]:
            lines.append("%-44s %4s  %s" % (left, "%x" % at if at != "" else "", text))
            left = ""
    return "<pre>%s</pre>" % escape("\n".join(lines)) if lines else ""


def caches(dumps, listed=2):
    out = ""
    for d in dumps:
        out += heading("The translation cache: " + d.name) + table(
            ["", "", Cell("", "text")], [[what, value, Cell(escape(remark), "text")] for what, value, remark in d.lines()])
        out += heading("Its TUs that ran most" if d.executions else "Some of its TUs", 3) + table(
            ["at", Cell("mode", "left"), "instructions", "IDENT", "guest bytes", "host bytes", "exits", "chained",
             "TUs of this place", "runs", "", Cell("learnt: forms, facts", "text")], [tu_row(tu, d.executions) for tu in d.best])
        for tu in d.best[:listed]:
            out += listing(tu)
    return out
