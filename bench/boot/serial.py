"""The serial port's throughput: what a Linux guest writes to and reads from ttyS0, a socket of the host's at its other end.

Answers: how many bytes a second go either way, and what does a megabyte cost the host's processor?
"""
import os
import socket
import sys
import tempfile
import time

import boot
import rig

sys.path.append(os.path.join(rig.TOP, "tests", "suites"))
from vm import VM, Failed  # noqa: E402

OUT, IN = 512 << 10, 128 << 10  # bytes: to the host, and from it
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
exec </dev/ttyS0 >/dev/ttyS0 2>&1
stty raw -echo
echo SERIAL-READY
read line
dd if=/dev/zero bs=4096 count=%d 2>/dev/null
echo OUT-DONE
head -c %d >/dev/null
echo IN-DONE
poweroff -f
""" % (OUT >> 12, IN)


class Line:
    """The other end of the guest's port."""

    def __init__(self, path, patience):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(patience)
        self.sock.connect(path)

    def until(self, mark):
        """How many bytes came before that."""
        count, tail = 0, b""
        while mark not in tail:
            data = self.sock.recv(65536)
            if not data:
                raise Failed("the guest went away before %s" % mark.decode())
            count += len(data)
            tail = (tail + data)[-4096:]
        return count


def timed(vm, work):
    cpu, start = vm.cpu_seconds(), time.time()
    work()
    return vm.cpu_seconds() - cpu, time.time() - start


def direction(cost, size):
    cpu, wall = cost
    return {"kb_per_second": size / 1024 / wall, "cpu_per_mb": cpu / size * (1 << 20)}


def once(engine, initrd, folder, o):
    """{"out": .., "in": ..} of one machine; None."""
    vm, path = None, os.path.join(folder, engine.replace(":", "-") + str(time.time()))
    try:
        vm = VM(rig.command_of(engine, o), ["-m", "256", "-kernel", boot.KERNEL, "-initrd", initrd, "-append", "console=ttyS0 quiet",
                                            "-serial", "unix:%s,server=on,wait=off" % path])
        line = Line(path, o.patience)
        line.until(b"SERIAL-READY")
        got = []

        def receive():
            line.sock.sendall(b"go\n")
            got.append(line.until(b"OUT-DONE"))

        def send():
            line.sock.sendall(b"x" * IN)
            line.until(b"IN-DONE")
        out, into = timed(vm, receive), timed(vm, send)
        if got[0] < OUT:
            raise Failed("%d bytes of %d came" % (got[0], OUT))
        return {"out": direction(out, OUT), "in": direction(into, IN)}
    except (Failed, EOFError, OSError, ValueError) as e:
        print("FAIL %s: %s" % (engine, e))
        return None
    finally:
        if vm:
            vm.close()


def serial(o):
    boot.fetch()
    engines, results = rig.peers() + o.engines, {}
    with tempfile.TemporaryDirectory() as folder:
        initrd = os.path.join(folder, "serial.gz")
        boot.pack({"bin/busybox": (boot.busybox(), 0o755), "init": (INIT.encode(), 0o755)}, initrd)
        runs = {e: [] for e in engines}
        for _ in range(o.repeat):
            for e in engines:
                runs[e].append(once(e, initrd, folder, o))
    rows = []
    for way, what in ("out", "guest to host"), ("in", "host to guest"):
        results[what] = {e: min((r[way] for r in rs if r), key=lambda r: r["cpu_per_mb"]) for e, rs in runs.items() if any(rs)}
        base = results[what].get("qemu", {}).get("cpu_per_mb")
        for e, r in results[what].items():
            rows.append([what, e, "%.0f" % r["kb_per_second"], "%.2f" % r["cpu_per_mb"], rig.ratio(r["cpu_per_mb"], base)])
    print("Serial port of a Linux guest (goal: a megabyte cheaper than QEMU's)")
    rig.table(["", "", "KB/s", "CPU s/MB", "/QEMU"], rows)
    rig.save("serial", {"serial": results})
