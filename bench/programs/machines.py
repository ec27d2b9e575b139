"""What runs a row: a guest with Debian's root file system under ring3 or QEMU, or the host in a changed root. Each has
an agent (guest/agent.py) inside that is told shell commands over a serial port or a pipe."""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

import counters
import rig

sys.path.append(os.path.join(rig.TOP, "tests", "suites"))
from vm import VM, Failed  # noqa: E402

KERNEL = os.path.join(rig.GUESTS, "vmlinuz-686")
INITRD = os.path.join(rig.GUESTS, "initrd-root.gz")
MEMORY = 512  # MiB
HERE = os.path.dirname(os.path.abspath(__file__))


def folder(kind="programs"):
    """Where make-root puts the root file systems of that kind: programs or features."""
    return os.path.join(rig.BUILD, "bench", kind)


def disk(kind):
    return os.path.join(folder(kind), "root.img")


def fetch():
    """The kernel and its initramfs."""
    if not os.path.exists(INITRD):
        subprocess.run([os.path.join(rig.TOP, "tests", "suites", "fetch-guests")], check=True)


def make(arch, kind="programs"):
    """The root file system of that architecture; False, with a line why, where it cannot be had."""
    maker, made = os.path.join(HERE, "make-root"), os.path.join(folder(kind), arch)
    guest = os.path.join(HERE, "guest")
    sources = [maker] + [os.path.join(guest, f) for f in os.listdir(guest)]
    if os.path.exists(made) and all(os.path.getmtime(f) < os.path.getmtime(made) for f in sources):
        return True
    print("Making Debian's root file system for %s, from packages." % arch, flush=True)
    done = subprocess.run([maker, arch, kind], capture_output=True, text=True)
    if done.returncode:
        print("bench/programs/make-root %s %s failed: %s" % (arch, kind, done.stderr.strip().split("\n")[-1]))
    return done.returncode == 0


class Machine:
    """Lines to and from an agent. cpu: seconds that the last command cost, seen from outside."""

    def ready(self):
        if self.answers.readline().strip() != "ready":
            raise Failed("%s: the agent does not answer" % self.name)

    def do(self, text):
        start = self.spent()
        self.send(json.dumps(text) + "\n")
        line = self.answers.readline()
        if not line:
            raise Failed("%s: went away during %s" % (self.name, text))
        answer = json.loads(line)
        answer["cpu"] = self.cost(answer, start)
        return answer


class Guest(Machine):
    """In a virtual machine, whose CPU time is what counts; what Linux inside accounts stands beside it."""

    def __init__(self, name, command, patience, kind="programs"):
        self.name, self.folder = name, tempfile.mkdtemp(prefix="ring3-programs")
        port = os.path.join(self.folder, "serial")
        self.vm = VM(command, [
            "-m", str(MEMORY), "-kernel", KERNEL, "-initrd", INITRD, "-append", "console=tty0 quiet panic=-1",
            "-drive", "file=%s,if=ide,format=raw,snapshot=on" % disk(kind), "-serial", "unix:%s,server=on,wait=off" % port]
            + rig.named_memory(name, MEMORY))
        self.port = socket.socket(socket.AF_UNIX)
        self.port.settimeout(patience)
        self.port.connect(port)
        self.answers = self.port.makefile("r")
        self.memory = rig.Memory(every=0)
        self.ready()
        # As of a machine that has been up for a while: the host has given it all of its memory, once and for all.
        self.do("cat /tmp/disk >/dev/null")

    def send(self, line):
        self.port.sendall(line.encode())

    def spent(self):
        return self.vm.cpu_seconds() + self.in_cages()

    def in_cages(self):
        """CPU seconds of the processes that run user code directly."""
        if self.name not in ("auto", "direct"):
            return 0
        found = re.search(r"([\d.]+) s of CPU in them", self.vm.qmp.human("info cages"))
        return float(found[1]) if found else 0

    def cost(self, answer, start):
        return self.spent() - start

    def sample_memory(self):
        """MiB beyond the guest's RAM, the most of all samples so far."""
        self.memory(self.vm.process.pid)
        return self.memory.peak["total"] / 1024

    def counters(self):
        """The translator's counters as a dictionary; empty for others."""
        return counters.read(self.vm.qmp.human("info tc")) if self.name != "qemu" else {}

    def close(self):
        self.vm.close()
        shutil.rmtree(self.folder)


class Host(Machine):
    """The same programs in a changed root of the host, of its own architecture or the guest's. Needs user namespaces."""

    SCRIPT = ('mount --rbind /dev "$1/dev" && mount --rbind /proc "$1/proc" && mount -t tmpfs tmp "$1/tmp" && '
              'touch "$1/tmp/disk" && mount --bind "$2" "$1/tmp/disk" && exec chroot "$1" /usr/bin/python3 /bench/agent.py')

    def __init__(self, arch, kind="programs"):
        self.name = "native " + arch
        self.process = subprocess.Popen(
            ["unshare", "-rm", "sh", "-c", self.SCRIPT, "sh", os.path.join(folder(kind), arch), disk(kind)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answers = self.process.stdout
        self.ready()

    def send(self, line):
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def spent(self):
        return 0

    def cost(self, answer, start):
        return answer["user"] + answer["system"]

    def sample_memory(self):
        return 0

    def counters(self):
        return {}

    def close(self):
        self.process.stdin.close()
        self.process.wait()
