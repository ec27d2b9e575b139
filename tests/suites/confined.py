#!/usr/bin/env python3
"""ring3 where little is allowed: as a user without any rights, under Docker's seccomp filter, in a sandbox. Linux boots
there to its power-off, without a warning; and where something ring3 needs is missing, it says so in one line.

  confined.py [--ring3 PATH] [NAME…]

As root it gives its rights away; started by an ordinary user, what needs root is skipped by name. Docker itself is not
used: docker-seccomp.txt holds its list of system calls, confine.py makes the filter, setpriv drops the capabilities.
"""
import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from cases import Skipped, case, expect, run_case, run_cases  # noqa: E402
from vm import Failed  # noqa: E402

TOP = os.path.dirname(os.path.dirname(HERE))
GUESTS = os.path.join(TOP, "build", "guests")
ROOT = os.getuid() == 0
NOBODY = ["--reuid=65534", "--regid=65534", "--clear-groups"] if ROOT else []
# Docker's default capabilities; as a number, for /proc/self/status.
CAPABILITIES = ("chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot mknod "
                "audit_write setfcap").split()
DOCKER_MASK = 0xa80425fb
GUEST = ("/bin/busybox mount -t devtmpfs dev /dev; /bin/busybox head -c 4000000 /dev/zero | /bin/busybox md5sum; "
         "for i in 1 2 3 4 5 6 7 8 9; do /bin/busybox true; done; echo up $((6*7)); /bin/busybox poweroff -f")


class Context:
    """A folder everyone can read, with all a run needs: who has no rights may not see the repository."""

    def __init__(self, ring3):
        self.folder = tempfile.mkdtemp(prefix="ring3-confined")
        os.chmod(self.folder, 0o755)
        for source in ring3, GUESTS + "/vmlinuz-686", GUESTS + "/initrd.gz", HERE + "/confine.py", \
                HERE + "/docker-seccomp.txt":
            if not os.path.exists(source):
                raise Skipped("%s is not there: tests/suites/fetch-guests makes it" % os.path.relpath(source, TOP))
            shutil.copy(source, self.path(os.path.basename(source)))
        with open(self.path("disk.img"), "wb") as f:
            f.truncate(1 << 20)
        for name in os.listdir(self.folder):
            os.chmod(self.path(name), 0o755 if name in ("ring3", "confine.py") else 0o444)
        os.mkdir(self.path("home"), 0o555)

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, command, patience=100):
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": self.path("home")}
        try:
            return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=patience, text=True,
                                  errors="replace", cwd="/", env=env)
        except subprocess.TimeoutExpired as late:
            raise Failed("no end in %d s; said %r" % (patience, (late.stderr or b"")[-300:]))

    def ring3(self, *inside):
        """Boots Linux; inside: the command line that starts a program in less than we have."""
        return self.run([*inside, self.path("ring3"), "-display", "none", "-no-reboot", "-serial", "stdio", "-m", "128",
                         "-kernel", self.path("vmlinuz-686"), "-initrd", self.path("initrd.gz"), "-append",
                         'console=ttyS0 quiet panic=-1 rdinit=/bin/busybox -- sh -c "%s"' % GUEST,
                         "-hda", self.path("disk.img"), "-snapshot"])

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


# ---- Places ----

def ordinary_user():
    return ["setpriv", *NOBODY, "--inh-caps=-all", *(["--bounding-set=-all"] if ROOT else []), "--no-new-privs"]


def under_filter(c, *options):
    return [c.path("confine.py"), *options, "--"]


def in_docker(c, *options, user=()):
    bounds = ["--bounding-set=-all," + ",".join("+" + name for name in CAPABILITIES)] if ROOT else []
    return ["setpriv", *user, "--inh-caps=-all", *bounds,
            *under_filter(c, "--allow", c.path("docker-seccomp.txt"), *options)]


def in_bubblewrap(c, *more):
    if not shutil.which("bwrap"):
        raise Skipped("bubblewrap is not installed")
    return works(c, ["bwrap", "--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534", "--cap-drop",
                     "ALL", "--die-with-parent", "--ro-bind", "/", "/", "--tmpfs", "/tmp", "--dev", "/dev", "--proc",
                     "/proc", "--ro-bind", c.folder, c.folder, *more])


def in_nspawn(c):
    """Debian's /usr in an empty system of its own; no systemd need run here."""
    if not shutil.which("systemd-nspawn"):
        raise Skipped("systemd-container is not installed")
    if not ROOT:
        raise Skipped("systemd-nspawn wants root")
    return works(c, ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--machine=ring3-confined",
                     "--directory=/", "--volatile=yes", "--private-network", "--as-pid2", "--pipe",
                     "--bind-ro=" + c.folder])


def works(c, inside):
    r = c.run([*inside, "true"])
    if r.returncode:
        raise Skipped("%s does not work here: %s" % (inside[0], (r.stderr.strip().split("\n"))[-1][-200:]))
    return inside


# ---- What is expected ----

def check_boot(r):
    """Linux came up and powered off, and ring3 warned of nothing (the place itself may)."""
    expect(r.returncode == 0, "status %d, said %r, guest %r" % (r.returncode, r.stderr[-300:], r.stdout[-200:]))
    for want in hashlib.md5(bytes(4000000)).hexdigest(), "up 42", "reboot: Power down":
        expect(want in r.stdout, "the guest says no '%s' but %r" % (want, r.stdout[-300:]))
    expect("ring3: " not in r.stderr, "said %r" % r.stderr[-300:])


def check_refusal(r, want):
    line = r.stderr.strip()
    expect(r.returncode == 1, "status %d, said %r" % (r.returncode, line[-300:]))
    expect(line.startswith("ring3: ") and "\n" not in line, "not one line: %r" % line[-300:])
    expect(re.search(want, line), "%r does not say /%s/" % (line, want))
    expect(not r.stdout, "and on stdout %r" % r.stdout[-200:])


STATE = """
import ctypes, json, os
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    return 0 if libc.syscall(*map(ctypes.c_ulong, arguments)) >= 0 else ctypes.get_errno()
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "uid": os.getuid(), "home": os.access(os.environ["HOME"], os.W_OK),
    "effective": int(status["CapEff"], 16), "bound": int(status["CapBnd"], 16), "seccomp": int(status["Seccomp"]),
    "calls": {name: call(*arguments) for name, arguments in CALLS.items()}}))
"""
# Number and arguments of calls, and what Docker's filter makes of them: errno, 0 for success.
FILTERED = {
    "unshare": ((272, 0x10000000), 1), "perf_event_open": ((298, 0, 0, 0, 0, 0), 1), "bpf": ((321, 0, 0, 0), 1),
    "userfaultfd": ((323, 0), 1), "keyctl": ((250, 0, 0), 1), "clone3": ((435, 0, 0), 38),
    "personality of no randomization": ((135, 0x40000), 1), "personality asked": ((135, 0xffffffff), 0),
    "clone of a user namespace": ((56, 0x10000000, 0, 0, 0, 0), 1), "socket of VSOCK": ((41, 40, 1, 0), 1),
    "socket of UNIX": ((41, 1, 1, 0), 0), "x32": ((0x40000000 + 39,), 1), "getpid": ((39,), 0),
}


def state(c, inside, calls=()):
    script = "CALLS = %r\n" % {name: FILTERED[name][0] for name in calls} + STATE
    r = c.run([*inside, "python3", "-c", script])
    expect(r.returncode == 0, "the place itself: " + r.stderr[-300:])
    return json.loads(r.stdout)


# ---- Where it runs ----

@case
def as_ordinary_user(c):
    """No capability, none to be had, a home that cannot be written."""
    s = state(c, ordinary_user())
    expect(s["uid"] and not s["effective"] and not s["home"] and not (ROOT and s["bound"]), "not confined: %s" % s)
    check_boot(c.ring3(*ordinary_user()))


@case
def docker_filter_is_one(c):
    """The filter of the next cases refuses what Docker's refuses."""
    s = state(c, in_docker(c), FILTERED)
    expect(s["seccomp"] == 2, "no filter: %s" % s)
    if ROOT:
        expect(not s["bound"] & ~DOCKER_MASK and s["effective"] == s["bound"], "capabilities %x" % s["effective"])
    for name, (_, want) in FILTERED.items():
        expect(s["calls"][name] == want, "%s: errno %d, want %d" % (name, s["calls"][name], want))


@case
def docker(c):
    check_boot(c.ring3(*in_docker(c)))


@case
def docker_as_user(c):
    """docker run --user nobody"""
    check_boot(c.ring3(*in_docker(c, user=NOBODY)))


@case
def docker_refuses_nothing(c):
    """A call that Docker refuses would kill: ring3 makes none (but clone3, for which libc knows another way)."""
    check_boot(c.ring3(*in_docker(c, "--kill")))


@case
def bubblewrap(c):
    check_boot(c.ring3(*in_bubblewrap(c)))


@case
def systemd_nspawn(c):
    check_boot(c.ring3(*in_nspawn(c)))


# ---- What is missing is one line ----

@case
def without_memfd(c):
    check_refusal(c.ring3(*under_filter(c, "--deny", "memfd_create")), "memfd_create: Operation not permitted")
    check_refusal(c.ring3(*under_filter(c, "--deny", "memfd_create errno 38")), "memfd_create: Function not impl")


@case
def without_executable_memory(c):
    """mmap with PROT_EXEC and MAP_SHARED."""
    check_refusal(c.ring3(*under_filter(c, "--deny", "mmap arg2&4=4 arg3&1=1")), "executable: Operation not permitted")


@case
def without_proc(c):
    check_refusal(c.ring3(*in_bubblewrap(c, "--tmpfs", "/proc")), "/proc")


@case
def without_base_of_gs(c):
    """ARCH_SET_GS is refused: with WRGSBASE, who cares?"""
    r = c.ring3(*under_filter(c, "--deny", "arch_prctl arg0=0x1001"))
    if r.returncode:
        check_refusal(r, "ARCH_SET_GS.*Operation not permitted")
    else:
        check_boot(r)


@case
def without_timer(c):
    """The guest's clock needs no timer of the host."""
    check_boot(c.ring3(*under_filter(c, "--deny", "timer_create")))
    check_boot(c.ring3("prlimit", "--sigpending=0"))


@case
def without_signalfd(c):
    check_refusal(c.ring3(*under_filter(c, "--deny", "signalfd4")), "signalfd: Operation not permitted")


@case
def with_small_limits(c):
    for gib in 1, 4, 16:
        check_refusal(c.ring3("prlimit", "--as=%d" % (gib << 30)), r"space \(ulimit -v\) is %d MiB" % (gib << 10))
    check_refusal(c.ring3("prlimit", "--data=%d" % (1 << 30)), r"data \(ulimit -d\) is 1024 MiB")
    check_refusal(c.ring3("prlimit", "--fsize=%d" % (100 << 20)), r"file size \(ulimit -f\) is 100 MiB")
    check_refusal(c.ring3("prlimit", "--nofile=16"), r"open files \(ulimit -n\) is 16;")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--ring3", default=os.path.join(TOP, "build", "ring3"))
    a.add_argument("names", nargs="*")
    o = a.parse_args()
    try:
        c = Context(o.ring3)
    except Skipped as why:
        print("SKIP confined: %s\n0 passed, 0 failed, 1 skipped" % why)
        return 0
    try:
        return run_cases(o.names, lambda function: run_case(function, c))
    finally:
        c.close()


if __name__ == "__main__":
    sys.exit(main())
