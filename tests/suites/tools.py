#!/usr/bin/env python3
"""Statistics, listings of the translation cache, and the programs of tools/ that show them.

  tools.py [--ring3 PATH] [NAME…]

The guest is a boot sector of six bytes, behind SeaBIOS.
"""
import html
import html.parser
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from cases import Skipped, case, expect  # noqa: E402
from context import LOOP, main  # noqa: E402
from vm import VM  # noqa: E402

TOP = os.path.dirname(os.path.dirname(HERE))
TC = os.path.join(TOP, "tools", "ring3-tc")
TOP_PROGRAM = os.path.join(TOP, "tools", "ring3-top")
REPORT = os.path.join(TOP, "tools", "ring3-report")
DOCUMENT = os.path.join(TOP, "docs", "statistics.md")


def read(path):
    with open(path) as file:
        return file.read()


# Says X at port E9, and loops at 7C04.
GUEST = b"\xb0X\xe6\xe9" + LOOP


def start(c, *options):
    """The guest, once it loops."""
    said = c.path("e9")
    p = subprocess.Popen([c.ring3, "-display", "none", "-fda", c.floppy(GUEST), "-debugcon", "file:" + said, *options],
                         stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    end = time.time() + 60
    while p.poll() is None and time.time() < end and not (os.path.exists(said) and "X" in read(said)):
        time.sleep(0.05)
    expect(p.poll() is None and "X" in read(said), "the guest does not start: status %s" % p.poll())
    return p


def run_for(c, seconds, *options):
    """A guest that loops for so long, ended by a signal."""
    p = start(c, *options)
    time.sleep(seconds)
    p.send_signal(signal.SIGTERM)
    said = p.communicate(timeout=20)[1]
    expect(p.returncode == 0, "status %d: %s" % (p.returncode, said[-300:]))
    return p


# ---- Names ----

def documented(dump=False):
    """The names of the page: of the statistics, or of the dump."""
    before, after = read(DOCUMENT).split("\n## The dump\n")
    return re.findall(r"^\| `([\w.*]+)` \|", after if dump else before, re.M)


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
    run_for(c, 0.3, "-stats", file, "-tc-count", "-tc-reuse", "1")
    there = list(names(json.loads(read(file))))
    expect(len(known) > 90 and len(set(known)) == len(known), "the page has %d names, some twice?" % len(known))
    missing = [n for n in there if not matches(n, known) and not n.startswith("tc.shadow.")]
    expect(not missing, "not in docs/statistics.md: %s" % missing)
    found = set(there) | {n.rsplit(".", 1)[0] + ".*" for n in there} | set(tables()) | {"wall_seconds"}
    expect(set(known) <= found, "only in docs/statistics.md: %s" % sorted(set(known) - found))
    expect("tc.runs.runs.*" in found and json.loads(read(file))["tc"]["runs"]["runs"]["TUs"] > 1000, "-tc-count counts nothing")


@case
def a_loop_of_one_tu_is_reused_at_no_distance(c):
    file = c.path("s.json")
    run_for(c, 0.5, "-stats", file, "-tc-count", "-tc-reuse", "1")
    tc = json.loads(read(file))["tc"]
    reuse, runs = tc["reuse"], tc["runs"]["runs"]["TUs"]
    expect(reuse["one_in"] == 1 and reuse["first"] + sum(reuse["distance"].values()) == runs, "not every run is told: %s of %d" % (reuse, runs))
    expect(sum(reuse["bytes"].values()) == sum(reuse["distance"].values()), "distances differ: %s" % reuse)
    expect(reuse["distance"]["0"] > 0.5 * runs, "the loop is not the most of it: %s" % reuse)
    run_for(c, 0.2, "-stats", file)
    expect(json.loads(read(file))["tc"]["reuse"] == {"one_in": 0, "first": 0}, "told without being asked")


@case
def the_interpreter_has_the_same_names_but_for_the_translators(c):
    file, known = c.path("s.json"), documented()
    run_for(c, 0.3, "-stats", file, "--engine", "interp")
    tree = json.loads(read(file))
    expect(tree["engine"] == "interp" and tree["schema"] == 1, "not schema 1 of interp: %s" % list(tree.items())[:3])
    expect(all(matches(n, known) or n.startswith("tc.shadow.") for n in names(tree)), "a name is not documented")
    expect("units" not in tree["tc"], "the interpreter counts TUs")


# ---- The series ----

STATES = re.compile(r"schema$|version$|engine$|tc\.cache\.|host\.(processor|guest_seconds|tsc_mhz|peak_kib|ram_kib)$")
LEFT_OUT = re.compile(r"tc\.(shadow|dearest)\.")


def at(tree, name):
    for part in name.split("."):
        tree = tree.get(part, {})
    return tree if tree != {} else 0


@case
def a_series_adds_up_to_the_file(c):
    """The guest's clock may run behind the host's where that is busy."""
    file = c.path("s.json")
    p, end = start(c, "-stats", file, "-stats-interval", "0.125"), time.time() + 30
    while time.time() < end and len(read(file + ".series").splitlines()) < 7:
        time.sleep(0.1)
    p.send_signal(signal.SIGTERM)
    expect(p.wait(20) == 0, "status %s" % p.returncode)
    p.stderr.close()
    whole, lines = json.loads(read(file)), [json.loads(line) for line in read(file + ".series").splitlines()]
    expect(len(lines) >= 6, "%d lines of 0.125 s" % len(lines))
    for name in names(whole):
        if STATES.match(name) or LEFT_OUT.match(name):
            continue
        total, want = sum(at(line, name) for line in lines), at(whole, name)
        slack = 1e-6 * len(lines) if isinstance(want, float) else 0
        expect(abs(total - want) <= slack, "%s: the lines have %s, the file %s" % (name, total, want))
    times = [line["host"]["guest_seconds"] for line in lines]
    expect(times == sorted(times) and times[0] >= 0.125, "the times are %s" % times)
    expect(all(at(line, n) == at(whole, n) for line in lines for n in ("schema", "version", "engine", "host.processor")), "the host")
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


# ---- The dump ----

def dump_names(value, before=""):
    """As names(), through lists of objects too; a list of anything else is one value."""
    for name, v in value.items():
        if isinstance(v, dict):
            yield from dump_names(v, before + name + ".")
        elif isinstance(v, list) and v and isinstance(v[0], dict):
            for item in v:
                yield from dump_names(item, before + name + ".")
        else:
            yield before + name


def dumped(path):
    lines = [json.loads(line) for line in read(path).splitlines()]
    return lines[0], lines[1:]


@case
def the_dump_adds_up_and_its_names_are_documented(c):
    file, known = c.path("tc"), documented(dump=True)
    run_for(c, 0.3, "-dump-tc", file + ",listing=on", "-tc-count", "-stats", c.path("s.json"))
    (head, tus), stats = dumped(file), json.loads(read(c.path("s.json")))["tc"]
    units = stats["units"]
    for name, want in ("insns", units["insns"]), ("ident", units["ident"]), ("guest_bytes", units["guest_bytes"]), \
            ("host_bytes", units["host_bytes"]), ("runs", stats["runs"]["runs"]["TUs"]):
        total = sum(tu[name] for tu in tus)
        expect(total == want, "%s: the TUs have %d, the statistics %d" % (name, total, want))
    expect(head["tus"] == len(tus) == sum(units["tus"].values()), "%d TUs of %s" % (len(tus), head))
    expect(sum(tu["dead"] for tu in tus) == stats["cache"]["dead_tus"], "the dead ones are others")
    there = {n for line in [head, *tus] for n in dump_names(line)}
    missing = [n for n in there if not matches(n, known) and n not in ("exits", "code")]
    expect(not missing, "not in docs/statistics.md: %s" % missing)
    found = there | {n.rsplit(".", 1)[0] + ".*" for n in there}
    expect(set(known) <= found, "only in docs/statistics.md: %s" % sorted(set(known) - found))


@case
def the_hottest_tu_is_the_loop(c):
    file = c.path("tc")
    run_for(c, 0.3, "-dump-tc", file + ",listing=on", "-tc-count")
    r = subprocess.run([TC, "-n", "1", file], capture_output=True, text=True, timeout=60)
    expect(r.returncode == 0 and "TU " in r.stdout, "ring3-tc: %s %s" % (r.stdout[-200:], r.stderr))
    hottest = r.stdout[r.stdout.index("\nTU "):]
    expect("at 00007c04, gpa 7c04; real, 16 bits" in hottest, "the hottest is %s" % hottest[:120])
    expect("jmp 0x7c04" in hottest and "lea    r12, [r12 - 0x40]" in hottest, "no listing: %s" % hottest)
    expect("working set of 90 %" in r.stdout and "IDENT" in r.stdout, "no sums")
    at = subprocess.run([TC, "--at", "7c04", file], capture_output=True, text=True, timeout=60).stdout
    expect(at.count("TU ") >= 1 and "gpa 7c04" in at, "--at 7c04 finds %s" % at[:200])


@case
def the_dump_comes_by_qmp_and_monitor_too(c):
    vm = VM(c.ring3, ["-fda", c.floppy(GUEST), "-debugcon", "file:" + c.path("e9")])
    try:
        vm.wait_for("the guest", lambda: "X" in read(c.path("e9")), 60)
        vm.qmp.run("x-ring3-dump-tc", filename=c.path("plain"))
        vm.qmp.human("dump_tc %s listing" % c.path("listed"))
        refused = vm.qmp.run("x-ring3-dump-tc", filename="/no/such/folder/x")
        said = vm.qmp.human("dump_tc %s all" % c.path("x"))
    finally:
        vm.close()
    plain, listed = dumped(c.path("plain")), dumped(c.path("listed"))
    expect(len(plain[1]) > 20 and "runs" not in plain[1][0] and "code" not in plain[1][-1], "the plain dump: %s" % plain[0])
    expect(listed[0]["listing"] and any("code" in tu for tu in listed[1]), "the listed dump: %s" % listed[0])
    expect("No such file" in refused["error"]["desc"] and "listing" in said, "mistakes: %s, %s" % (refused, said))


@case
def a_file_that_is_no_dump_gets_one_line(c):
    for text in "", "{}\n", "no json\n", '{"schema":99,"tus":1}\n':
        path = c.file("x", text.encode())
        r = subprocess.run([TC, path], capture_output=True, text=True, timeout=60)
        expect(r.returncode == 1 and r.stderr.startswith("ring3-tc: ") and r.stderr.count("\n") == 1, r.stderr)


@case
def perf_learns_names(c):
    p = run_for(c, 0.2, "-perf-map")
    path = "/tmp/perf-%d.map" % p.pid
    lines = read(path).splitlines()
    os.remove(path)
    expect(all(re.match(r"[0-9a-f]+ [0-9a-f]+ guest_(real|kernel|user|v86)_[0-9a-f]{8}$", line) for line in lines), "odd lines")
    expect(any(line.endswith("guest_real_00007c00") for line in lines), "the boot sector has no name")


@case
def gdb_learns_names(c):
    if not shutil.which("gdb"):
        raise Skipped("gdb is not installed")
    p = start(c, "-gdb-jit")
    try:
        time.sleep(2)
        said = subprocess.run(["gdb", "-batch", "-nx", "-p", str(p.pid), "-ex", "info functions guest_real_00007c04",
                               "-ex", "x/3i guest_real_00007c04"], capture_output=True, text=True, timeout=90)
    finally:
        p.send_signal(signal.SIGTERM)
        p.communicate(timeout=20)
    if "Operation not permitted" in said.stderr or "ptrace:" in said.stderr:
        raise Skipped("gdb may not attach here")
    expect(re.search(r"0x[0-9a-f]+ +guest_real_00007c04", said.stdout) and "<guest_real_00007c04>:" in said.stdout,
           "gdb says %s %s" % (said.stdout[-300:], said.stderr[-200:]))


# ---- Live ----

def terminal_says(master, want, patience=20):
    said, end = b"", time.time() + patience
    while want not in said and time.time() < end:
        if select.select([master], [], [], 0.1)[0]:
            said += os.read(master, 4096)
    expect(want in said, "no %r, but %r" % (want, said[-300:]))


@case
def top_shows_a_running_machine(c):
    q = c.path("q")
    p = start(c, "-tc-count", "-stats", c.path("s"), "-qmp", "unix:%s,server=on,wait=off" % q)
    try:
        r = subprocess.run([TOP_PROGRAM, "--text", "2", "-d", "0.5", q], capture_output=True, text=True, timeout=30)
        expect(r.returncode == 0 and r.stdout.count("guest clock") == 2, "ring3-top: %s %s" % (r.stdout[-300:], r.stderr))
        for want in "engine bt", "translation cache: ", "TUs ", "thread: ", "deadlines":
            expect(want in r.stdout, "no %r in %s" % (want, r.stdout))
        master, slave = pty.openpty()
        top = subprocess.Popen([TOP_PROGRAM, "-d", "0.2", q], stdin=slave, stdout=slave, stderr=subprocess.PIPE,
                               env={**os.environ, "TERM": "xterm", "LINES": "40", "COLUMNS": "100"})
        terminal_says(master, b"guest clock")
        os.write(master, b"q")
        while top.poll() is None and select.select([master], [], [], 10)[0]:
            os.read(master, 4096)
        expect(top.wait(10) == 0, "ring3-top on a terminal: %s" % top.stderr.read()[-300:])
        top.stderr.close()
    finally:
        p.kill()
        p.communicate()


@case
def top_without_a_machine_says_so(c):
    r = subprocess.run([TOP_PROGRAM, c.path("nobody")], capture_output=True, text=True, timeout=30)
    expect(r.returncode == 1 and r.stderr.startswith("ring3-top: ") and r.stderr.count("\n") == 1, repr(r.stderr))


# ---- The page ----

class Page(html.parser.HTMLParser):
    """Tags that do not match, what would be fetched, and the text of every cell by row."""

    VOID = {"meta", "br", "path", "polyline", "polygon"}

    def __init__(self, text):
        super().__init__()
        self.open, self.wrong, self.rows, self.tags, self.fetched = [], [], [], {}, []
        self.cell = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.fetched += [v for k, v in attributes if k in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.cell = ""

    def handle_endtag(self, tag):
        if tag in self.VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)
        if tag in ("td", "th"):
            self.rows[-1].append(self.cell)
            self.cell = None

    def handle_data(self, text):
        if self.cell is not None:
            self.cell += text

    def row(self, name):
        return next((r for r in self.rows if r and r[0] == name), None)


HOST = {"vendor": "TestVendor", "cpu": "Test <CPU> & co", "family": "1", "model": "2", "stepping": "3", "hypervisor": None, "linux": "6"}
NANO = {"host": HOST, "tsc_khz": 1000000, "core_per_tsc": 2.0, "targets_core_cycles": {"in": 60},
        "tsc_cycles": {"qemu": {"in": [100, 101], "pte-same": [3, 3]}, "bt": {"in": [25, 26], "pte-same": [40, 41]}}}


def report(c, *files, more=()):
    out = c.path("page.html")
    r = subprocess.run([REPORT, "-o", out, *more, *files], capture_output=True, text=True, timeout=60)
    expect(r.returncode == 0, "ring3-report: %s" % r.stderr[-400:])
    return read(out)


def measured_run(c):
    file = c.path("run.json")
    run_for(c, 1.5, "-stats", file, "-stats-interval", "0.1", "-tc-count", "-dump-tc", c.path("tc") + ",listing=on")
    return file, json.loads(read(file))


@case
def a_page_of_a_run_shows_its_numbers(c):
    file, stats = measured_run(c)
    text = report(c, file, c.path("tc"))
    page = Page(text)
    expect(not page.wrong and not page.open, "tags do not match: %s %s" % (page.wrong[:5], page.open[:5]))
    expect(not page.fetched and "http:" not in text and "<script" not in text, "it wants more than itself: %s" % page.fetched)
    first = text[text.index("<body>"):].split("</p>")[0]
    expect(html.escape(stats["host"]["processor"], quote=False) in first, "the first line is %s" % first)
    units = stats["tc"]["units"]
    expect(page.row("guest instructions translated")[1] == "{:,}".format(units["insns"]), "instructions translated")
    expect(page.row("TUs of 16-bit code")[1] == "{:,}".format(units["tus"]["16"]), "TUs")
    expect(page.row("port accesses")[1] == "{:,}".format(stats["counters"]["port_accesses"]), "counters")
    expect(page.tags.get("svg", 0) >= 6 and page.tags.get("polyline", 0) >= 5, "plots: %s" % page.tags)
    expect(page.row("00007c04") and "jmp 0x7c04" in text, "the loop is not among the hottest TUs")


@case
def a_series_alone_makes_a_page(c):
    """As after a crash: the same numbers, by adding the lines."""
    file, stats = measured_run(c)
    os.remove(file)
    page = Page(report(c, file + ".series"))
    expect(page.row("guest instructions translated")[1] == "{:,}".format(stats["tc"]["units"]["insns"]), "instructions translated")
    expect(page.row("port I/O")[1] == "{:,}".format(stats["counters"]["port_accesses"]), "port I/O")
    expect(page.tags.get("polyline", 0) >= 5, "plots: %s" % page.tags)


@case
def the_bill_is_events_times_prices(c):
    file, stats = measured_run(c)
    table = json.loads(read(os.path.join(TOP, "bench", "vmexits.json")))
    page = Page(report(c, file))
    for at, price in enumerate(table["prices"]):
        cycles = 0
        for event in table["events"]:
            times = sum(at_path(stats, path) for path in event["of"] + event.get("in_code", []))
            if price["vmm"] in event["vmms"]:
                cycles += times * price["cycles"].get(event["id"], price["default"])
        shown = float(page.row("all")[3 + 2 * at].replace(",", ""))
        expect(abs(shown - cycles / 1e6) <= 0.005 * cycles / 1e6 + 0.01, "%s: %s, not %s" % (price["name"], shown, cycles / 1e6))
    ports = page.row("port I/O")
    expect(ports[1] == "{:,}".format(stats["counters"]["port_accesses"]), "port I/O: %s" % ports)
    # Another table is taken as it is.
    mine = {"schema": 1, "vmms": {"shadow": "m"}, "events": table["events"][:1], "not_counted": "much",
            "prices": [{"name": "Mine", "vmm": "shadow", "ghz": 1, "source": "here", "default": 7, "cycles": {}}]}
    page = Page(report(c, file, more=["--prices", c.file("mine.json", json.dumps(mine).encode())]))
    expect(page.row("port I/O")[2] == "7", "--prices: %s" % page.row("port I/O"))


@case
def every_price_names_its_source(c):
    table = json.loads(read(os.path.join(TOP, "bench", "vmexits.json")))
    for price in table["prices"]:
        wanted = {"ghz", "default", *price["cycles"]}
        expect(price["source"] and set(price["sources"]) == wanted, "%s: sources for %s" % (price["name"], sorted(price["sources"])))
        expect(set(price["cycles"]) <= {e["id"] for e in table["events"]}, "%s prices what is no event" % price["name"])
    expect({"pages_a_flush", "cycles_a_reference", "nested_levels"} <= set(table["walks"]["sources"]), "page walks")


@case
def page_walks_are_counted_in_two_dimensions(c):
    file, stats = c.path("run.json"), None
    run_for(c, 0.3, "-stats", file)
    stats = json.loads(read(file))
    stats["counters"].update(shadow_hidden=900, shadow_true=100, cr3_writes=10)
    page = Page(report(c, c.file("mine.json", json.dumps(stats).encode())))
    # 14 and 19 references: (2+1)(4+1)-1 and (3+1)(4+1)-1; 64 pages again behind each of 10 writes to CR3.
    expect(page.row("guest tables of 2 levels")[1:] == ["2", "14", "2,000", "14,000", "3,280", "22,960"], "%s" % page.row("guest tables of 2 levels"))
    expect(page.row("guest tables of 3 levels (PAE)")[1:4] == ["3", "19", "3,000"], "PAE: %s" % page.row("guest tables of 3 levels (PAE)"))


@case
def reuse_distances_are_a_table_of_misses(c):
    file = c.path("run.json")
    run_for(c, 0.3, "-stats", file, "-tc-reuse", "1")
    stats = json.loads(read(file))
    stats["tc"]["reuse"] = {"one_in": 4, "first": 10, "distance": {"0": 60, "4": 30}, "bytes": {"0": 60, "1024": 20, "4096": 10}}
    page = Page(report(c, c.file("mine.json", json.dumps(stats).encode())))
    expect(page.row("1,024")[1] == "40.0000" and page.row("4,096")[1] == "20.0000", "%s, %s" % (page.row("1,024"), page.row("4,096")))


@case
def the_papers_figures_have_counterparts(c):
    file = c.path("run.json")
    run_for(c, 0.3, "-stats", file, "-tc-count")
    vendor, ids, *_ = json.loads(read(file))["host"]["processor"].split()
    host = {**HOST, "vendor": vendor, **dict(zip(("family", "model", "stepping"), ids.split("/")))}
    programs = {"host": host, "memory_mib": {}, "rows": {
        "gzip -9": {"native amd64": [{"cpu": 1}], "qemu": [{"cpu": 8}], "bt": [{"cpu": 2}]},
        "make, 6 files": {"native amd64": [{"cpu": 1}], "qemu": [{"cpu": 10}], "bt": [{"cpu": 4}]}}}
    text = report(c, file, *(c.file(name, json.dumps(data).encode()) for name, data in (
        ("nano.json", {**NANO, "host": host}), ("programs.json", programs))))
    for figure in "Figure 2: programs", "Figure 3: programs", "Figure 4: single", "Figure 5: where run paid":
        expect(figure in text, "no %s" % figure)
    expect(">50</text>" in text and ">25</text>" in text, "ring3 at 50 and 25 per cent of native")
    expect(not Page(text).wrong, "tags do not match")


# ---- bench/ ----

@case
def kvm_is_a_machine_of_the_bench_only_where_it_works(c):
    """There is none here: what is looked at is a file that is none."""
    sys.path.append(os.path.join(TOP, "bench"))
    import rig
    missing, plain = rig.kvm_lacks(c.path("nothing")), rig.kvm_lacks(c.file("kvm", b"x"))
    expect("No such file" in missing and "ioctl" in plain, "%s; %s" % (missing, plain))
    real = rig.kvm_lacks()
    expect(rig.peers() == (["qemu"] if real else ["qemu", "kvm"]), "%s, but %s" % (real, rig.peers()))
    expect("-accel kvm" in rig.ENGINES["kvm"] and rig.is_qemu("kvm") and not rig.is_qemu("bt"), "how it is started")
    expect(rig.named_memory("kvm", 32) == rig.named_memory("qemu", 32) != [], "its memory has no name")


def at_path(tree, path):
    for part in path.split("."):
        tree = tree.get(part, {})
    return tree or 0


@case
def what_translated_code_does_not_count_is_said(c):
    file = c.path("run.json")
    run_for(c, 0.3, "-stats", file)
    row = Page(report(c, file)).row("INVLPG")
    expect(row and row[1].startswith("≥"), "INVLPG, without -tc-count: %s" % row)


@case
def benchmarks_stand_beside_the_paper(c):
    text = report(c, c.file("nano.json", json.dumps(NANO).encode()))
    page = Page(text)
    expect(page.row("in") == ["in", "3,209", "216", "15,826", "60", "200", "50.0", "0.25"], "in: %s" % page.row("in"))
    expect(page.row("pte-same")[-1] == "", "pte-same is compared: %s" % page.row("pte-same"))
    expect("TestVendor Test &lt;CPU&gt; &amp; co, family 1 model 2 stepping 3" in text, "the host is not named")


@case
def every_kind_of_result_is_shown(c):
    """Each as its part of bench/run saves it."""
    several = {
        "user": {"tsc_khz": 1, "rows": {"host": {}, "qemu": {"getppid": [600.5, 700]}, "bt": {"getppid": [100.5, 101]}}, "means": {}},
        "systems": {"best": {"dos": {"qemu": {"cpu": 3, "wall": 3, "memory": 1}, "bt": {"cpu": 1.5, "wall": 3, "memory": 1}}}},
        "programs": {"memory_mib": {}, "rows": {"gzip": {"qemu": [{"cpu": 8}, {"cpu": 6}], "bt": [{"cpu": 3}]}}},
        "stress": {"rows": {"cpu": {"qemu": {"ops": 10, "counters": {}}, "bt": {"ops": 40, "counters": {}}}}},
        "real": {"core_per_tsc": 2, "tsc_cycles": {"qemu": {"nop": 2}, "bt": {"nop": 1}}},
        "video": {"core_per_tsc": 2, "tsc_cycles": {"qemu": {"text-store-b": 20}, "bt": {"text-store-b": 10}}},
        "ideas": {"forks": 9, "result": {"bt": {"boot": 2, "fork_wait": 0.0005, "build": 5}, "bt:memo=off": {"boot": 3, "fork_wait": 0.001}}},
        "idle": {"idle": {"dos": {"qemu": {"percent": 50, "wakes": 5, "mib": 40}, "bt": {"percent": 2, "wakes": 200, "mib": 10}}}},
        "serial": {"serial": {"out": {"qemu": {"kb_per_second": 9, "cpu_per_mb": 6}, "bt": {"kb_per_second": 90, "cpu_per_mb": 1.5}}}},
        "kernel": {"native": {}, "speed": {"kernel-loop": {"qemu": 0.25, "bt": 0.75}}},
        "timer": {"rows": {"pit": {"qemu": {"us": 12, "ticks": 1}, "bt": {"us": 6, "ticks": 1}}}},
    }
    files = [c.file(name + ".json", json.dumps({"host": HOST, **data}).encode()) for name, data in several.items()]
    page = Page(report(c, *files))
    for row in ["getppid", "600", "100", "0.17"], ["dos", "3", "1.50", "0.50"], ["gzip", "6", "3", "0.50"], ["cpu", "10", "40", "4.00"], \
            ["nop", "4", "2", "0.50"], ["text-store-b", "40", "20", "0.50"], ["bt:memo=off", "3", "", "1,000", ""], \
            ["dos: CPU, %", "50", "2", "0.04"], ["out: CPU seconds a MB", "6", "1.50", "0.25"], \
            ["kernel-loop", "0.250", "0.750", "3.00"], ["pit", "12", "6", "0.50"]:
        expect(page.row(row[0]) == row, "%s: %s" % (row, page.row(row[0])))


@case
def a_boots_result_brings_its_statistics(c):
    file, stats = c.path("run.json"), None
    run_for(c, 0.3, "-stats", file)
    stats = json.loads(read(file))
    boot = {"host": HOST, "cpu": {}, "memory": {}, "best": {
        "qemu": {"cpu": 4, "user": 3, "system": 1, "wall": 5, "stats": {}},
        "bt": {"cpu": 1, "user": 0.75, "system": 0.25, "wall": 2, "stats": stats}}}
    page = Page(report(c, c.file("boot.json", json.dumps(boot).encode())))
    expect(page.row("CPU seconds") == ["CPU seconds", "4", "1", "0.25"], "the boot: %s" % page.row("CPU seconds"))
    expect(page.row("guest instructions translated")[1] == "{:,}".format(stats["tc"]["units"]["insns"]), "its statistics")


@case
def other_hosts_are_said_and_two_runs_stand_side_by_side(c):
    other = json.loads(json.dumps(NANO))
    other["host"]["family"], other["tsc_cycles"]["bt"]["in"] = "9", [50, 50]
    os.mkdir(c.path("a")), os.mkdir(c.path("b"))
    a, b = c.file("a/nano.json", json.dumps(NANO).encode()), c.file("b/nano.json", json.dumps(other).encode())
    text = report(c, a, b)
    rows = [r for r in Page(text).rows if r and r[0] == "in"]
    expect("compare no figures" in text, "no warning")
    expect(rows[-1][1:] == ["200", "50.0", "200", "100", "0.25", "0.50"], "side by side: %s" % rows[-1])


@case
def what_is_no_run_gets_one_line(c):
    for text in b"", b"{}", b"[1]", b'{"schema":9,"counters":{},"tc":{},"host":{}}', b"\xff\xfe":
        r = subprocess.run([REPORT, "-o", c.path("p"), c.file("x", text)], capture_output=True, text=True, timeout=60)
        expect(r.returncode == 1 and r.stderr.startswith("ring3-report: ") and r.stderr.count("\n") == 1, repr(r.stderr[-300:]))


@case
def a_browser_draws_the_page(c):
    browser = shutil.which("chromium")
    if not browser:
        raise Skipped("the package chromium is not installed")
    file, _ = measured_run(c)
    report(c, file)
    picture = c.path("page.png")
    subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=" + c.path("profile"),
                    "--window-size=1000,800", "--screenshot=" + picture, "file://" + c.path("page.html")],
                   capture_output=True, timeout=90)
    with open(picture, "rb") as f:
        data = f.read()
    expect(data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) > 20000, "the picture has %d bytes" % len(data))


@case
def mistakes_in_options_get_one_line(c):
    c.refused("only with -stats", "-stats-interval", "1")
    c.refused("0.01 to 86400", "-stats", c.path("s"), "-stats-interval", "0")
    c.refused("0.01 to 86400", "-stats", c.path("s"), "-stats-interval", "1s")
    c.refused("FILE,listing=on", "-dump-tc", "")
    c.refused("listing", "-dump-tc", "f,listing=perhaps")
    for wrong in "0", "65537", "x", "":
        c.refused("1 to 65536", "-tc-reuse", wrong)
    c.refused("No such file", "-stats", "/no/such/folder/s", "-stats-interval", "1")


if __name__ == "__main__":
    sys.exit(main(__doc__))
