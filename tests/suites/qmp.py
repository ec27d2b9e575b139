#!/usr/bin/env python3
"""QMP as its clients need it: questions, events and their order, snapshots, media by nodes, input, the ways to connect.

  qmp.py [--ring3 PATH] [NAME…]
"""
import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from cases import case, expect  # noqa: E402
from context import LOOP, main  # noqa: E402
from sectors import BYTES, MARK, MOUSE, SECTOR, START, bios, flat, packets, qemu_img, source  # noqa: E402
from vm import VM  # noqa: E402

@contextlib.contextmanager
def machine(c, code, *options, reboot=False):
    vm = VM(c.ring3, ["-m", "8", "-fda", c.floppy(code), "-boot", "a", *options], reboot=reboot)
    try:
        yield vm
        expect(vm.quit() == 0, "it did not end well")
    finally:
        vm.close()


def answer(vm, command, **arguments):
    reply = vm.qmp.run(command, **arguments)
    expect("return" in reply, "%s: %s" % (command, reply))
    return reply["return"]


def refused(vm, want, command, **arguments):
    reply = vm.qmp.run(command, **arguments)
    expect("error" in reply and want in reply["error"]["desc"], "%s: %s" % (command, reply))


@case
def questions(c):
    disk = source(c)
    with machine(c, LOOP, "-drive", "format=raw,file=" + disk, "-name", "it", "-cdrom", c.file("cd.iso", b"x", 4096)) as vm:
        blocks = {b["device"]: b for b in answer(vm, "query-block")}
        expect(blocks["ide0-hd0"]["inserted"]["file"] == disk, str(blocks["ide0-hd0"]))
        expect(blocks["ide0-hd0"]["inserted"]["image"]["virtual-size"] == 4 << 20, "virtual-size")
        expect(blocks["ide0-hd0"]["inserted"]["drv"] == "raw" and not blocks["ide0-hd0"]["removable"], "ide0-hd0")
        expect(blocks["ide1-cd0"]["inserted"]["ro"] and blocks["ide1-cd0"]["removable"], str(blocks["ide1-cd0"]))
        expect(not blocks["ide1-cd0"]["tray_open"], "tray_open")
        vm.wait_for("the boot", lambda: answer(vm, "query-blockstats")[0]["stats"]["rd_operations"], 20)
        stats = {b["device"]: b["stats"] for b in answer(vm, "query-blockstats")}
        expect(stats["floppy0"]["rd_bytes"] >= 512 and stats["floppy0"]["rd_operations"] >= 1, str(stats["floppy0"]))
        expect(stats["ide0-hd0"]["wr_bytes"] == 0, str(stats["ide0-hd0"]))
        chardevs = {d["label"]: d["filename"] for d in answer(vm, "query-chardev")}
        expect(chardevs["serial0"].startswith("file:"), str(chardevs))
        cpus = answer(vm, "query-cpus-fast")
        expect([p["cpu-index"] for p in cpus] == [0] and os.path.exists("/proc/%d" % cpus[0]["thread-id"]), str(cpus))
        pci = {(d["slot"], d["function"]): d for d in answer(vm, "query-pci")[0]["devices"]}
        expect(pci[0, 0]["id"]["vendor"] == 0x8086 and pci[0, 0]["class_info"]["desc"] == "Host bridge", str(pci[0, 0]))
        vga = [d for d in pci.values() if d["class_info"]["class"] == 0x300]
        expect(len(vga) == 1 and vga[0]["regions"][0]["type"] == "memory" and vga[0]["regions"][0]["size"] >= 1 << 20, str(vga))
        expect(not answer(vm, "query-mice")[0]["absolute"], "query-mice")
        expect(answer(vm, "query-name") == {"name": "it"} and answer(vm, "query-target") == {"arch": "i386"}, "name, target")
        expect(answer(vm, "query-kvm") == {"enabled": False, "present": False}, "query-kvm")
        expect(answer(vm, "query-memory-size-summary") == {"base-memory": 8 << 20}, "memory")
        expect(answer(vm, "query-block-jobs") == [] and "RESET" in str(answer(vm, "query-events")), "none, events")
        expect(answer(vm, "query-vnc") == {"enabled": False} and answer(vm, "query-vnc-servers") == [], "vnc")


@case
def schema(c):
    """Each command is in it, each type that is named is explained, each member has its type."""
    with machine(c, LOOP) as vm:
        rows = answer(vm, "query-qmp-schema")
        names = [r["name"] for r in rows]
        expect(len(names) == len(set(names)), "names are not unique")
        commands = {r["name"] for r in rows if r["meta-type"] == "command"}
        expect(commands == {r["name"] for r in answer(vm, "query-commands")}, "commands differ")
        used = [r[k] for r in rows for k in ("arg-type", "ret-type", "element-type") if k in r]
        used += [m["type"] for r in rows for m in r.get("members", [])]
        expect(set(used) <= set(names), "not explained: %s" % (set(used) - set(names)))
        change = next(r for r in rows if r["name"] == "blockdev-change-medium-arg")
        members = {m["name"]: m for m in change["members"]}
        expect(members["filename"]["type"] == "str" and "default" not in members["filename"], str(members))
        expect("default" in members["format"], str(members))


def read_until(sock, seconds):
    """All messages that come in that time."""
    end, data = time.time() + seconds, b""
    while time.time() < end:
        sock.settimeout(max(0.01, end - time.time()))
        with contextlib.suppress(socket.timeout):
            more = sock.recv(1 << 20)
            expect(more, "the client was cut off")
            data += more
    return [json.loads(line) for line in data.decode().split("\r\n") if line]


@case
def resets_do_not_flood(c):
    """A guest in a loop of triple faults: few events, none lost at the end, and a slow client stays."""
    with machine(c, LOOP, "-bios", c.file("bios", TRIPLE_BIOS), reboot=True) as vm:
        time.sleep(1.5)  # nobody reads
        messages = read_until(vm.qmp.sock, 1.0)
        resets = [m for m in messages if m.get("event") == "RESET"]
        when = [m["timestamp"]["seconds"] + m["timestamp"]["microseconds"] / 1e6 for m in resets]
        expect(len(resets) >= 5, "%d RESET events" % len(resets))
        expect(len(resets) <= 10 * (when[-1] - when[0]) + 5, "%d RESET events in %.1f s" % (len(resets), when[-1] - when[0]))
        expect(all(m["data"] == {"guest": True, "reason": "guest-reset"} for m in resets), str(resets[0]))
        vm.qmp.run("stop")


# A BIOS of 64 KiB whose reset vector makes a triple fault: lidt of a limit of 0 that lies at F000:0, then int3.
TRIPLE_BIOS = bytes(0x10000 - 16) + bytes.fromhex("2e0f011e0000 cc") + bytes(9)


# A BIOS of 64 KiB that knows nothing of ACPI's tables: it gives the PIIX4 its ports and writes SLP_EN with S3's type to them.
SLEEP = bytes.fromhex("baf80c 66b8400b0080 66ef bafc0c 66b801060000 66ef"  # PMBA: 600
                      "baf80c 66b8800b0080 66ef bafc0c b001 ee"  # PMREGMISC: they answer
                      "ba0406 b80024 ef f4 ebfd")
SLEEP_BIOS = SLEEP.ljust(0xfff0, b"\0") + bytes.fromhex("e90d00").ljust(16, b"\0")


@case
def suspended_machines(c):
    """S3 by a guest that wakes only to sleep again: stopped, continued, woken, reset meanwhile."""
    def status(vm, wanted):
        vm.wait_for(wanted, lambda: answer(vm, "query-status")["status"] == wanted, 5)

    with machine(c, LOOP) as vm:
        expect("not in suspended state" in vm.qmp.run("system_wakeup")["error"]["desc"], "system_wakeup")
        expect("not in suspended state" in vm.qmp.human("system_wakeup"), "the monitor's")
        expect(answer(vm, "query-current-machine")["wakeup-suspend-support"], "query-current-machine")
    with machine(c, LOOP, "-bios", c.file("bios", SLEEP_BIOS), reboot=True) as vm:
        status(vm, "suspended")
        answer(vm, "stop")
        status(vm, "paused")
        answer(vm, "cont")
        status(vm, "suspended")
        del vm.qmp.events[:]
        for act in ["system_wakeup"] * 3 + ["system_reset"]:
            n = vm.qmp.events.count("SUSPEND")
            vm.qmp.human(act)
            vm.wait_for("sleep", lambda: answer(vm, "query-status") and vm.qmp.events.count("SUSPEND") > n, 5)
        status(vm, "suspended")
        expect([e for e in vm.qmp.events if e != "RESET"] == ["WAKEUP", "SUSPEND"] * 3 + ["SUSPEND"], str(vm.qmp.events))


@case
def events_keep_their_order(c):
    with machine(c, LOOP, reboot=True) as vm:
        for _ in range(5):
            answer(vm, "system_reset")
        for _ in range(3):
            answer(vm, "stop")
            answer(vm, "cont")
        vm.wait_for("a RESET", lambda: answer(vm, "query-status") and "RESET" in vm.qmp.events, 5)
        answer(vm, "system_reset")
        time.sleep(0.02)
        answer(vm, "system_reset")
        time.sleep(0.3)
        answer(vm, "stop")
        events = vm.qmp.events
        expect([e for e in events if e != "RESET"] == ["STOP", "RESUME"] * 3 + ["STOP"], str(events))
        expect(events[-2:] == ["RESET", "STOP"], str(events))
    with machine(c, LOOP) as vm:
        vm.qmp.file.write('{"execute": "system_reset"}\n')
        vm.qmp.file.flush()
        said = vm.qmp.answers.read()
        expect('"reason": "host-qmp-system-reset"' in said and "SHUTDOWN" in said, said)
        vm.quit = lambda: vm.wait_end()


def copied(c, vm, said):
    vm.wait_for("the copy", lambda: open(said, "rb").read().endswith(b"0"), 20)


@case
def snapshots(c):
    """After blockdev-snapshot-sync the guest writes to the new image, and the old one stands still."""
    qemu_img("--version")
    # wait for a key, copy sector 1 to 2, say '0'; again
    code = START + bytes.fromhex("b400 cd16") + bios(2, 1) + bios(3, 2) + bytes.fromhex("0f92c0 0430 e6e9") + LOOP
    for form in "raw", "qcow2":
        disk, new, said = c.path("disk"), c.path("new-" + form), c.path("said")
        qemu_img("convert", "-O", form, source(c), disk)
        with open(disk, "rb") as f:
            before = f.read()
        with machine(c, code, "-drive", "format=%s,file=%s" % (form, disk), "-debugcon", "file:" + said) as vm:
            refused(vm, "Cannot find device", "blockdev-snapshot-sync", device="ide9", snapshot_file=new)
            refused(vm, "there already", "blockdev-snapshot-sync", device="ide0-hd0", snapshot_file=disk)
            refused(vm, "No such file", "blockdev-snapshot-sync", device="ide0-hd0", snapshot_file="/no/such/folder/x")
            answer(vm, "blockdev-snapshot-sync", device="ide0-hd0", snapshot_file=new, format="qcow2")
            inserted = [b["inserted"] for b in answer(vm, "query-block") if b["device"] == "ide0-hd0"][0]
            expect(inserted["file"] == new and inserted["drv"] == "qcow2", str(inserted))
            time.sleep(1)
            vm.press("x")
            copied(c, vm, said)
        with open(disk, "rb") as f:
            expect(f.read() == before, "the old image was written")
        expect(flat(c, new, "qcow2")[2 * SECTOR:].startswith(MARK), "the write is not in the new one")
        os.remove(disk)


@case
def media_by_nodes(c):
    """What libvirt does: open the tray, take the medium out, name a node, put it in, close."""
    one, two = c.file("one.iso", b"1", 4096), c.file("two.iso", b"2", 4096)

    def holds(vm):
        block = [b for b in answer(vm, "query-block") if b["device"] == "ide1-cd0"][0]
        return block["tray_open"], block.get("inserted", {}).get("file")
    with machine(c, LOOP, "-cdrom", one) as vm:
        refused(vm, "not open", "blockdev-remove-medium", id="ide1-cd0")
        answer(vm, "blockdev-open-tray", id="ide1-cd0")
        expect(holds(vm) == (True, None), str(holds(vm)))
        answer(vm, "blockdev-close-tray", id="ide1-cd0")
        expect(holds(vm) == (False, one), str(holds(vm)))
        answer(vm, "blockdev-open-tray", id="ide1-cd0")
        answer(vm, "blockdev-add", driver="raw", node_name="n", file={"driver": "file", "filename": two})
        refused(vm, "already is a medium", "blockdev-insert-medium", id="ide1-cd0", node_name="n")
        answer(vm, "blockdev-remove-medium", id="ide1-cd0")
        refused(vm, "not found", "blockdev-insert-medium", id="ide1-cd0", node_name="m")
        refused(vm, "Duplicate", "blockdev-add", driver="raw", node_name="n", filename=two)
        answer(vm, "blockdev-insert-medium", id="ide1-cd0", node_name="n")
        answer(vm, "blockdev-close-tray", id="ide1-cd0")
        expect(holds(vm) == (False, two), str(holds(vm)))
        answer(vm, "blockdev-del", node_name="n")
        refused(vm, "Failed to find node", "blockdev-del", node_name="n")
        expect(vm.qmp.events == ["DEVICE_TRAY_MOVED"] * 4, str(vm.qmp.events))


@case
def devices_come_and_go(c):
    """device_add and device_del: media in drives that are there; no bus takes more than that."""
    one, two = c.file("one.iso", b"1", 4096), c.file("two.img", b"2", 1440 << 10)

    def holds(vm, drive):
        return [b.get("inserted", {}).get("file") for b in answer(vm, "query-block") if b["device"] == drive][0]
    with machine(c, LOOP, "-drive", "if=none,id=d,media=cdrom", "-device", "ide-cd,drive=d,id=tray", "-device", "floppy,unit=1",
                 "-drive", "if=none,id=spare,format=raw,file=" + two, "-device", "pci-testdev,id=card") as vm:
        for want, keys in (("pci.0", {"driver": "e1000", "id": "n"}), ("isa.0", {"driver": "sb16", "iobase": 544}),
                           ("ide.0", {"driver": "ide-hd", "drive": "spare"}), ("ide.1", {"driver": "ide-cd", "drive": "spare", "bus": "ide.1"})):
            refused(vm, "Bus '%s' does not support hotplugging" % want, "device_add", **keys)
        refused(vm, "'usb-tablet' is not a valid device model name", "device_add", driver="usb-tablet")
        refused(vm, "Parameter 'driver' is missing", "device_add", id="x")
        refused(vm, "Bus 'ide.7' not found", "device_add", driver="ide-cd", drive="spare", bus="ide.7")
        refused(vm, "can't find value 'none'", "device_add", driver="ide-cd", drive="none")
        answer(vm, "blockdev-add", driver="raw", node_name="n", filename=one)
        answer(vm, "device_add", driver="ide-cd", id="disc", drive="n", bus="ide.0", unit=0)
        expect(holds(vm, "ide0-cd0") == one, "the disc")
        refused(vm, "Duplicate device ID 'disc'", "device_add", driver="floppy", id="disc", drive="spare")
        refused(vm, "Bus 'ide.0' does not support hotplugging", "device_add", driver="ide-cd", drive="n")
        expect(vm.qmp.human("device_add floppy,id=f,drive=spare") == "", "device_add by the monitor")
        expect(holds(vm, "floppy1") == two, "the floppy")
        expect("not found" in vm.qmp.human("device_del nothing"), "device_del nothing")
        reply = vm.qmp.run("device_del", id="nothing")
        expect(reply["error"]["class"] == "DeviceNotFound", str(reply))
        refused(vm, "Bus 'pci.0' does not support hotplugging", "device_del", id="card")
        refused(vm, "Bus 'ide.0' does not support hotplugging", "device_del", id="tray")
        answer(vm, "device_del", id="disc")
        expect(vm.qmp.human("device_del f") == "" and holds(vm, "floppy1") is None, "device_del by the monitor")
        reply = vm.qmp.run("device_del", id="disc")
        expect("error" in reply, str(reply))
        expect(vm.qmp.events == ["DEVICE_TRAY_MOVED"] * 2 + ["DEVICE_TRAY_MOVED", "DEVICE_DELETED"] * 2, str(vm.qmp.events))


@case
def input_events(c):
    def key(code, down):
        return {"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": code}}}

    def said(name):
        with open(c.path(name), "rb") as f:
            return f.read().rpartition(b"!")[2]
    with machine(c, BYTES, "-debugcon", "file:" + c.path("keys")) as vm:
        vm.wait_for("the guest", lambda: b"!" in open(c.path("keys"), "rb").read(), 20)
        answer(vm, "input-send-event", events=[key("ctrl", True), key("c", True), key("c", False), key("ctrl", False)])
        vm.wait_for("keys", lambda: said("keys") == b"\x1d\x2e\xae\x9d", 5)
        refused(vm, "Invalid event data", "input-send-event", events=[key("a", True), key("nokey", True)])
        refused(vm, "abs", "input-send-event", events=[{"type": "abs", "data": {"axis": "x", "value": 1}}])
        refused(vm, "Invalid event type", "input-send-event", events=[{"type": "mtt", "data": {}}])
        refused(vm, "more than", "input-send-event", events=[key("a", True)] * 65)
        expect(said("keys") == b"\x1d\x2e\xae\x9d", "a refused event went to the guest")
    with machine(c, MOUSE, "-debugcon", "file:" + c.path("mouse")) as vm:
        vm.wait_for("the mouse", lambda: said("mouse") == b"\xfa", 20)
        answer(vm, "input-send-event", events=[
            {"type": "rel", "data": {"axis": "x", "value": 5}}, {"type": "rel", "data": {"axis": "y", "value": -7}},
            {"type": "btn", "data": {"button": "right", "down": True}}])
        vm.wait_for("motion", lambda: packets(said("mouse")) == (5, -7, 2), 5)
        answer(vm, "input-send-event", events=[{"type": "btn", "data": {"button": "right", "down": False}}])
        vm.wait_for("the button", lambda: packets(said("mouse")) == (5, -7, 0), 5)


@case
def monitor_commands(c):
    """Ports, numbers, the mouse, and what there is to be asked for."""
    def said():
        with open(c.path("mouse"), "rb") as f:
            return f.read().rpartition(b"!")[2]
    with machine(c, MOUSE, "-debugcon", "file:" + c.path("mouse")) as vm:
        vm.wait_for("the mouse", lambda: said() == b"\xfa", 20)
        for line, want in (("print 0x10+6", "0x16"), ("p $eip", "0x"), ("i/b 0x61", "portb[0x0061] = 0x"),
                           ("info chardev", "serial0: filename=file:"), ("info qtree", "dev: i8254"), ("info vnc", "None"),
                           ("info mice", "PS/2"), ("i", "usage"), ("mouse_move a b", "is no number")):
            expect(want in vm.qmp.human(line), "%s: %r" % (line, vm.qmp.human(line)))
        expect(vm.qmp.human("o/b 0x80 0x5a") == "", "o")
        expect(vm.qmp.human("i/b 0x80").strip().endswith("0x5a"), vm.qmp.human("i/b 0x80"))
        vm.qmp.human("mouse_button 4")
        vm.qmp.human("mouse_move 3 -2")
        vm.wait_for("motion", lambda: packets(said()) == (3, -2, 2), 5)


def talk(write, read):
    """Greets, asks, and ends the machine; what was said."""
    greeting = json.loads(read())
    expect("QMP" in greeting, str(greeting))
    for command in "qmp_capabilities", "query-status", "quit":
        write('{"execute": "%s"}\n' % command)
    return [json.loads(read()) for _ in range(3)]


@case
def by_tcp_and_stdio(c):
    port = random.randrange(20000, 40000)
    base = [c.ring3, "-display", "none", "-m", "4", "-fda", c.floppy(LOOP)]
    for options in (["-qmp", "tcp:127.0.0.1:%d,server=on,wait=off" % port],
                    ["-chardev", "socket,id=m,path=%s,server=on,wait=off" % c.path("s"), "-mon", "chardev=m,mode=control"]):
        process = subprocess.Popen([*base, *options], stdin=subprocess.DEVNULL)
        end = time.time() + 10
        while True:
            try:
                sock = socket.socket(socket.AF_INET if "tcp" in options[1] else socket.AF_UNIX)
                sock.connect(("127.0.0.1", port) if "tcp" in options[1] else c.path("s"))
                break
            except OSError:
                expect(time.time() < end, "%s: nobody listens" % options)
                time.sleep(0.05)
        file = sock.makefile("rw")

        def write(text):
            file.write(text)
            file.flush()
        expect(talk(write, file.readline)[1]["return"]["running"], "it does not run")
        expect(process.wait(10) == 0, "status")
    process = subprocess.Popen([*base, "-qmp", "stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    expect(talk(process.stdin.write, process.stdout.readline)[1]["return"]["running"], "it does not run")
    expect(process.wait(10) == 0, "status")
    c.refused("only unix:PATH", "-qmp", "pty")
    c.refused("the terminal can serve one", "-qmp", "stdio", "-serial", "stdio")
    c.refused("no -chardev has id=x", "-mon", "chardev=x,mode=control")


if __name__ == "__main__":
    sys.exit(main(__doc__))
