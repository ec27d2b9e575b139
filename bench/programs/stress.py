"""Single stressors of Debian's stress-ng in the guest of bench/run programs: bogo operations per CPU second of the virtual
machine, beside QEMU's, in turns.

Answers: is there anything a program can do that is slower here than under QEMU?
"""
import re

import counters
import machines
import programs
import rig
from machines import Failed

METHODS = """ackermann apery bitops callfunc cdouble cfloat clongdouble collatz correlate crc16 decimal32 decimal64 decimal128 dither
    div8 div16 div32 div64 double euler explog factorial fibonacci fft fletcher16 float float32 float64 float80 float128
    floatconversion gamma gcd gray hamming hanoi hyperbolic idct int64 int32 int16 int8 int64float int64double int64longdouble
    int32float int32double int32longdouble intconversion ipv4checksum jmp lfsr32 ln2 logmap longdouble loop matrixprod nsqrt
    omega parity phi pi prime psi queens rand rand48 rgb sieve stats sqrt trig union zeta""".split()
STRESSORS = """atomic bad-altstack branch bsearch cache cacheline clock context crypt dekker dup env epoll eventfd exec far-branch
    fault fifo fork fp fp-error funccall funcret futex get getrandom goto hash heapsort hrtimers hsearch icache judy kill
    l1cache list lockbus longjmp lsearch malloc matrix matrix-3d mcontend membarrier memcpy memfd memrate memthrash mergesort
    mincore misaligned mmap mmapfork mprotect mremap msg msync munmap mutex nanosleep nop null open peterson pipe poll prctl
    prefetch pthread ptrace qsort radixsort randlist regs remap rlimit rmap seccomp sem sem-sysv session set shellsort shm sigabrt
    sigchld sigfd sigfpe sigpending sigpipe sigq sigrt sigsegv sigsuspend sigtrap skiplist sockpair sparsematrix splice stack str
    stream switch sysinfo timer timerfd tree tsc tsearch urandom vdso vecfp vecmath vecshuf vecwide vfork vm vm-addr vm-rw vm-segv
    vm-splice wcs x86cpuid x86syscall yield zero zlib""".split()
# Left out: itimer, whose operations are the guest's clock ticks while it computes: 250 a CPU second on any machine.
ROWS = [("cpu " + m, "--cpu 1 --cpu-method " + m) for m in METHODS] + [(s, "--%s 1" % s) for s in STRESSORS]
SECONDS = (1, 4)  # by the guest's clock; the second where the first gave it less than ENOUGH, on a busy host
ENOUGH = 0.5  # CPU seconds
# Its server ends at the first epoll_pwait2 that finds a large number behind the timespec: it gives one of 32 bits, and the kernel reads
# 64. The client then sleeps to the end. Only a run that had ENOUGH says anything.
MORTAL = {"epoll": (2,) * 16}
COMMAND = "stress-ng --metrics-brief --temp-path /tmp/work %s"
METRIC = re.compile(r"metrc: \[\d+\] \S+ +(\d+) +[\d.]+ +[\d.]+ +[\d.]+ ")


def run(machine, options, seconds, startup):
    """(operations per CPU second, counters, CPU seconds) of one run, or None where it does not run there or count."""
    before = machine.counters()
    done = machine.do(COMMAND % options + " --timeout %d" % seconds)
    found = METRIC.search(done["said"])
    cpu = done["cpu"] - startup
    if done["status"] or not found or not int(found[1]) or cpu <= 0.02:
        return None
    return int(found[1]) / cpu, counters.difference(before, machine.counters()), cpu


def operations(machine, row, options, startup):
    """As run(), of the first run that was long enough, or the longest."""
    for seconds in MORTAL.get(row, SECONDS):
        done = run(machine, options, seconds, startup)
        if done and done[2] >= ENOUGH or not done and row not in MORTAL:
            return done
    return None if row in MORTAL else done


def startup(machine):
    """What stress-ng itself costs, beside the stressor: the least of three short runs."""
    return min(machine.do(COMMAND % "--cpu 1 --cpu-method gcd --cpu-ops 1")["cpu"] for _ in range(3))


def measure(up, o):
    """{row: {machine: the best of its runs}}"""
    base = {name: startup(machine) for name, machine in up.items()}
    results = {}
    for row, options in [r for r in ROWS if rig.wanted(r[0], o)]:
        results[row] = {}
        for _ in range(min(o.repeat, 2)):
            for name, machine in up.items():
                done = operations(machine, row, options, base[name])
                if done and done[0] > results[row].get(name, (0,))[0]:
                    results[row][name] = done
        rig.progress(row, {name: best[0] for name, best in results[row].items()})
    return results


def show(results, engine):
    quotients = {row: r[engine][0] / r["qemu"][0] for row, r in results.items() if engine in r and "qemu" in r}
    slower = sorted((q, row) for row, q in quotients.items() if q < 1)
    order = sorted(quotients.items(), key=lambda kv: kv[1])
    rig.table(["", engine + " ops", "QEMU ops", engine + "/QEMU"],
              [[row, rig.number(results[row][engine][0]), rig.number(results[row]["qemu"][0]), "%.2f" % q] for row, q in order])
    print("%d compared, geometric mean %s, %d slower than QEMU" % (
        len(quotients), rig.number(rig.geometric_mean(list(quotients.values()))), len(slower)))
    if missing := [row for row in results if row not in quotients]:
        print("Not compared, since they do not run in both or count nothing: " + ", ".join(missing))
    for row, quotient in order[:max(10, len(slower))]:
        print("%5.2f  %s: %s" % (quotient, row, counters.told(results[row][engine][1], results[row][engine][2])))


def stress(o):
    machines.fetch()
    if not machines.make("i386"):
        return
    up = programs.started(["qemu"] + o.engines, o)
    try:
        results = measure(up, o)
    except (Failed, OSError, EOFError, ValueError) as e:
        print("FAIL stress: %s" % e)
        return
    finally:
        for machine in up.values():
            machine.close()
    print("stress-ng's stressors in a guest, bogo operations per CPU second of the virtual machine (goal: none slower than QEMU)")
    for engine in o.engines:
        if engine in up and "qemu" in up:
            show(results, engine)
    rig.save("stress", {"rows": {row: {n: {"ops": r[0], "counters": r[1]} for n, r in of.items()} for row, of in results.items()}})
