"""Counterparts of the figures 2 to 5 of Adams and Agesen's paper, of the runs at hand: what a figure needs and who has it.

  2, 3  programs beside the host's own: a result of `bench/run programs` with a native column
  4     single operations: a result of `bench/run nano`, beside the paper's numbers (bench/paper.json)
  5     what a run's events cost in all: a file of -stats -tc-count, and `nano` of the same host
"""
import bill
import plot
from page import heading, note, plots

# What only computes; the other programs want the guest's kernel.
COMPUTE = {"gzip -9", "bzip2", "xz -1", "zstd -3", "gunzip", "bunzip2", "unxz", "unzstd", "AES-256-CBC", "sha256", "python objects",
           "python algorithm", "perl words", "matrix, SSE2", "matrix, x87", "long double", "memcpy", "byte code", "recursion",
           "indirect calls"}
NAMES = {"bt": "ring3", "trap": "trap-and-emulate", "qemu": "QEMU", "kvm": "KVM", "interp": "interpreter", "bochs": "Bochs"}
FIGURE_4 = ["syscall-sysenter", "in", "cli-sti", "call-ret", "page-fault-user", "divide-error-user", "pte-same", "pte-clear", "pte-set"]
# Events of figure 5: what the page calls them, counters, a row of nano that is one of them.
FIGURE_5 = [
    ("system call", ["tc.sites.in_cache.sysenter", "tc.sites.in_cache.int", "tc.sites.callout_by.sysenter", "tc.sites.callout_by.int"],
     "syscall-sysenter"),
    ("IN and OUT", ["counters.port_accesses"], "in"),
    ("near return", ["tc.runs.runs.near returns"], "call-ret"),
    ("page fault", ["counters.shadow_true"], "page-fault-user"),
    ("page-table write", ["counters.pt_traces"], "pte-set"),
]


def with_legend(names, figure):
    return plot.legend(names, areas=True) + plots([figure]) if figure else ""


def machines_in(result):
    return [m for m in NAMES if any(m in row for row in result.rows.values())]


def of_native(result, rows, title):
    """How fast each machine is, the host's own speed being 100."""
    native = next((m for m in ("native i386", "native amd64") if any(m in row for row in result.rows.values())), None)
    names = [n for n, row in result.rows.items() if n in rows and row.get(native)] if native else []
    machines = machines_in(result)
    columns = [(NAMES[m], [100 * result.rows[n][native] / result.rows[n][m] if result.rows[n].get(m) else None for n in names])
               for m in machines]
    return with_legend([name for name, _ in columns], plot.bars(title, "%% of the speed of %s" % native, names, columns))


def programs(results):
    out = ""
    for r in (r for r in results if r.kind == "programs"):
        others = set(r.rows) - COMPUTE
        out += of_native(r, COMPUTE, "Figure 2: programs that compute") + of_native(r, others, "Figure 3: programs that want the kernel")
    return out


def operations(results, paper):
    out = ""
    for r in (r for r in results if r.kind == "nano"):
        names = [n for n in FIGURE_4 if n in r.rows]
        columns = [(c, [paper["rows"].get(n, [None] * 3)[i] for n in names]) for i, c in enumerate(paper["columns"])]
        columns += [(NAMES[m], [r.rows[n].get(m) for n in names]) for m in machines_in(r) if m not in ("interp", "bochs")][:3]
        out += with_legend([name for name, _ in columns], plot.bars(
            "Figure 4: single operations", "cycles, logarithmic", names, columns, log=True))
    return out


def overheads(stats, results, paper):
    """Of each run whose returns are counted: events times the cost of one, in seconds."""
    out = ""
    for r in (r for r in results if r.kind == "nano"):
        hertz = r.data["tsc_khz"] * 1e3 * r.data["core_per_tsc"]
        for s in (s for s in stats if s.host_key == r.host_key and bill.counted_in_code(s.data) and s.data["engine"] == "bt"):
            counts = [sum(bill.number(s.data, path) for path in paths) for _, paths, _ in FIGURE_5]
            columns = [(NAMES[m], [n * (r.rows.get(row, {}).get(m) or 0) / hertz for n, (_, _, row) in zip(counts, FIGURE_5)])
                       for m in ("bt", "trap") if m in machines_in(r)]
            columns.append(("VT-x 2006", [n * paper["rows"][row][2] / 3.8e9 for n, (_, _, row) in zip(counts, FIGURE_5)]))
            tsc = bill.number(s.data, "tc.units.translate_tsc") / (r.data["tsc_khz"] * 1e3)
            columns = [(name, column + [tsc if name == "ring3" else None]) for name, column in columns]
            names = ["%s: %s" % (name, plot.short(n)) for n, (name, _, _) in zip(counts, FIGURE_5)] + ["translating"]
            out += with_legend([name for name, _ in columns], plot.bars(
                "Figure 5: where %s paid" % s.name, "seconds, logarithmic: times as in the label, at the price of %s" % r.name, names, columns, log=True))
    return out


def figures(stats, results, paper):
    out = programs(results) + operations(results, paper) + overheads(stats, results, paper)
    return out and heading("The figures of 2006") + out + note(
        "Counterparts of figures 2 to 5 of the paper. Its programs are SPECint 2000 and SPECjbb 2005 (2), compilations, a web server and "
        "graphics (3); these are Debian's. Its cycles are of a Pentium 4 672. Figure 5 is of a boot of Windows XP there: VT-x 2006 is that "
        "machine's price for the events of this run.")
