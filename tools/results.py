"""Files of bench/results, each as rows of numbers by machine: {row: {machine: number}}, in one unit."""


def best(value):
    """[best, median], or one number, or the runs of a program."""
    if isinstance(value, list):
        value = min((v["cpu"] if isinstance(v, dict) else v for v in value), default=None) if value and isinstance(
            value[0], dict) else value[0] if value else None
    return value


def turned(by_machine, scale=1.0):
    rows = {}
    for machine, values in by_machine.items():
        for row, value in values.items():
            number = best(value)
            if isinstance(number, (int, float)):
                rows.setdefault(row, {})[machine] = number * scale
    return rows


def cycles(data):
    return turned(data["tsc_cycles"], data["core_per_tsc"])


def boot(data):
    return {what: {m: run[key] for m, run in data["best"].items() if run}
            for what, key in (("CPU seconds", "cpu"), ("user", "user"), ("system", "system"), ("wall clock", "wall"))}


def systems(data):
    return {name: {m: run["cpu"] for m, run in machines.items() if run} for name, machines in data["best"].items()}


def programs(data):
    return {row: {m: best(runs) for m, runs in machines.items() if runs} for row, machines in data["rows"].items()}


def stress(data):
    return {row: {m: run["ops"] for m, run in machines.items() if run and run.get("ops")}
            for row, machines in data["rows"].items()}


def ideas(data):
    return {engine: {"boot, CPU seconds": r["boot"], "fork+wait, us": r["fork_wait"] * 1e6,
                     **({"build, CPU seconds": r["build"]} if r.get("build") else {})}
            for engine, r in data["result"].items()}


def timer(data):
    return {row: {m: run["us"] for m, run in machines.items() if run} for row, machines in data["rows"].items()}


def facts(data, names):
    """Rows of several facts each: {row: {machine: {fact: number}}}."""
    return {"%s: %s" % (row, title): {m: run[fact] for m, run in machines.items()}
            for row, machines in data.items() for fact, title in names}


def idle(data):
    return facts(data["idle"], (("percent", "CPU, %"), ("wakes", "wake-ups a second"), ("mib", "MiB beyond RAM")))


def serial(data):
    return facts(data["serial"], (("cpu_per_mb", "CPU seconds a MB"),))


def stat_rows(data):
    """Is it a table of rows, machines, and facts of each?"""
    rows = data.get("rows")
    return [fact for machines in rows.values() if isinstance(machines, dict) for fact in machines.values()
            if isinstance(fact, dict)] if isinstance(rows, dict) else []


class Kind:
    def __init__(self, title, unit, rows, more_is_better=False, not_rated=()):
        self.title, self.unit, self.rows, self.more_is_better, self.not_rated = title, unit, rows, more_is_better, not_rated


KINDS = {
    # A bare store to a page table is free under QEMU, which does not look at it: the rows with INVLPG are compared.
    "nano": Kind("Single operations of a kernel", "core cycles", cycles,
                 not_rated=("pte-same", "pte-clear", "pte-set", "pte-set-touch")),
    "boot": Kind("A scripted Linux boot", "seconds", boot),
    "systems": Kind("Systems, until they wait for a key", "CPU seconds", systems),
    "ideas": Kind("What each idea of the translator is worth", "an engine a row", ideas),
    "kernel": Kind("Compiled loops in a guest's kernel mode, by native speed", "1: as fast", lambda data: data["speed"], True),
    "timer": Kind("What a timer's tick takes from a busy guest", "microseconds", timer),
    "idle": Kind("Guests that do nothing", "by row", idle),
    "serial": Kind("The serial port", "by row", serial),
    "user": Kind("User code and kernel services", "ns", lambda data: turned(data["rows"])),
    "programs": Kind("Programs in a Debian guest", "CPU seconds", programs),
    "stress": Kind("stress-ng in a Debian guest", "operations a CPU second", stress, True),
    "real": Kind("Single operations of real mode", "core cycles", cycles),
    "video": Kind("Accesses to video memory and light ports", "core cycles", cycles),
}


def kind_of(data):
    """By what is in the file, since it may have any name; None: none that is shown."""
    if "targets_core_cycles" in data:
        return "nano"
    for kind in "idle", "serial":
        if kind in data:
            return kind
    if "best" in data:
        return "boot" if "memory" in data else "systems"
    if "means" in data:
        return "user"
    if "memory_mib" in data:
        return "programs"
    if "tsc_cycles" in data and isinstance(data["tsc_cycles"].get("bt"), dict):
        return "video" if "text-store-b" in data["tsc_cycles"]["bt"] else "real"
    if "forks" in data and "result" in data:
        return "ideas"
    if "speed" in data:
        return "kernel"
    facts = stat_rows(data)
    return "stress" if any("ops" in f for f in facts) else "timer" if any("ticks" in f for f in facts) else None


def host_key(host):
    """As -stats names it."""
    return host.get("vendor", "?"), "/".join(str(host.get(k, "?")) for k in ("family", "model", "stepping"))


def host_text(host):
    words = ["%s %s" % (host.get("vendor", "?"), host.get("cpu", "?")),
             "family %s model %s stepping %s" % (host.get("family", "?"), host.get("model", "?"), host.get("stepping", "?"))]
    if host.get("hypervisor"):
        words.append("hypervisor " + host["hypervisor"])
    if host.get("linux"):
        words.append("Linux " + host["linux"])
    return ", ".join(words)
