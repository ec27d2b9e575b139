#!/usr/bin/env python3
"""Image formats from outside: what qemu-img makes is read and written by a guest, and qemu-img reads it back.

  formats.py [--ring3 PATH] [NAME…]

The guest is a boot sector on a floppy that copies sector 1 of the first hard disk to sector 2 by the BIOS, and says on
port E9 what it read. What the guest's contents are must never decide what the host opens.
"""
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from cases import Skipped, case, expect  # noqa: E402
from context import LOOP, main  # noqa: E402
from images import Shared, Skip  # noqa: E402
from sectors import COPY, END, MARK, SAY_CARRY, SECTOR, START, bios, flat, qemu_img, source  # noqa: E402
from vm import VM  # noqa: E402

FORMATS = "qcow2 qed vmdk vdi vpc vhdx parallels".split()


def run_guest(c, code, *options):
    """What the guest said on port E9."""
    said = c.path("said")
    r = c.run("-display", "none", "-m", "8", "-fda", c.floppy(code), "-boot", "a", "-debugcon", "file:" + said, "-device",
              "isa-debug-exit,iobase=0xf4,iosize=1", *options)
    expect(r.returncode == 1 and os.path.exists(said), "status %d: %s" % (r.returncode, r.stderr[-300:]))
    with open(said, "rb") as f:
        # SeaBIOS speaks first
        return f.read(), r.stderr


def copies(c, image, form, *options):
    said, errors = run_guest(c, COPY, *options)
    expect(MARK in said and said.endswith(b"0"), "%s: the guest said %r" % (form, said[-80:]))
    expect(not errors, errors)
    disk = flat(c, image, form)
    expect(disk[2 * SECTOR:].startswith(MARK), "%s: the guest's write is not in the image" % form)


@case
def each_format_is_read_and_written(c):
    for form in FORMATS:
        image = c.path("disk." + form)
        qemu_img("convert", "-O", form, source(c), image)
        copies(c, image, form, "-hda", image)
        copies(c, image, form, "-drive", "file=%s,format=%s" % (image, form))


@case
def backing_files(c):
    """What is not in the image is read from the one below, which stays as it was."""
    below, image = source(c), c.path("above.qcow2")
    with open(below, "rb") as f:
        before = f.read()
    qemu_img("create", "-q", "-f", "qcow2", "-b", below, "-F", "raw", image)
    copies(c, image, "qcow2", "-hda", image)
    with open(below, "rb") as f:
        expect(f.read() == before, "the backing file was written")
    qemu_img("create", "-q", "-f", "qcow2", "-u", "-b", c.path("gone.raw"), "-F", "raw", image, "4M")
    c.refused("gone.raw.*No such file", "-hda", image)


@case
def snapshot_leaves_the_image_alone(c):
    image = c.path("disk.qcow2")
    qemu_img("convert", "-O", "qcow2", source(c), image)
    with open(image, "rb") as f:
        before = f.read()
    for options in ("-hda", image, "-snapshot"), ("-drive", "file=%s,snapshot=on" % image):
        said, _ = run_guest(c, COPY, *options)
        expect(MARK in said and said.endswith(b"0"), "the guest said %r" % said[-80:])
        with open(image, "rb") as f:
            expect(f.read() == before, "%s: the image was written" % " ".join(options))


@case
def read_only(c):
    image = c.path("disk.qcow2")
    qemu_img("convert", "-O", "qcow2", source(c), image)
    said, _ = run_guest(c, COPY, "-drive", "file=%s,readonly=on" % image)
    expect(MARK in said and said.endswith(b"1"), "the guest said %r" % said[-80:])


@case
def a_guest_cannot_make_its_raw_disk_a_qcow2(c):
    """A raw image that was recognised: the first sector may not become another format's; with format=raw it may."""
    evil = START + bytes.fromhex("c70600805146 c7060280 49fb") + bios(3, 0) + SAY_CARRY + END
    raw = source(c)
    said, errors = run_guest(c, evil, "-hda", raw)
    expect(said.endswith(b"1") and "refused" in errors, "%r %r" % (said[-8:], errors))
    with open(raw, "rb") as f:
        expect(f.read(4) == bytes(4), "the first sector was written")
    said, errors = run_guest(c, evil, "-drive", "format=raw,file=" + raw)
    expect(said.endswith(b"0") and not errors, "%r %r" % (said[-8:], errors))


@case
def mistakes_get_one_line(c):
    image = c.path("disk.qcow2")
    qemu_img("create", "-q", "-f", "qcow2", image, "4M")
    c.refused("No such file", "-drive", "format=qcow2,file=/no/such/file")
    c.refused("not in.*format|qcow2", "-drive", "format=qcow2,file=" + source(c))
    c.refused("nearest is 'qcow2'", "-drive", "format=qcow,file=" + image)
    c.refused("no floppy's size", "-fda", image)
    c.refused("No such file", "-hda", "fat:/no/such/folder")
    c.refused("is no folder", "-hda", "fat:" + image)
    c.refused("no CD", "-cdrom", "fat:" + c.folder.name)
    c.refused("qemu-img convert", "convert", "-O", "raw")
    c.refused("qemu-img create", "create")
    r = c.run("-display", "none", "-hda", image, env={"PATH": "/no/such/folder"})
    expect(r.returncode == 1 and "apt-get install qemu-utils" in r.stderr and r.stderr.count("\n") == 1, r.stderr)


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return list(map(int, f.read().split()))


def start(c, *options):
    return VM(c.ring3, ["-m", "8", "-fda", c.floppy(LOOP), "-boot", "a", *options])


@case
def locks_hold(c):
    image = c.path("disk.qcow2")
    qemu_img("create", "-q", "-f", "qcow2", image, "4M")
    vm = start(c, "-hda", image)
    try:
        c.refused("in use by another", "-hda", image)
        c.refused("in use: another", "-hda", image, "-snapshot")
        r = subprocess.run(["qemu-img", "resize", image, "8M"], capture_output=True, text=True)
        expect(r.returncode, "qemu-img wrote to it")
    finally:
        vm.quit()
        vm.close()
    vm = start(c, "-hda", image, "-snapshot")
    try:
        c.refused("in use by another", "-hda", image)
        other = start(c, "-hda", image, "-snapshot")
        other.quit()
        other.close()
    finally:
        vm.quit()
        vm.close()


@case
def a_dead_server_is_an_error_for_the_guest(c):
    """The machine goes on, QMP answers, and nothing of the server is left."""
    image = c.path("disk.qcow2")
    qemu_img("convert", "-O", "qcow2", source(c), image)
    # read the disk without end
    code = START + bios(2, 1) + SAY_CARRY + bytes.fromhex("eb") + bytes([256 - len(bios(2, 1) + SAY_CARRY) - 2])
    vm = start(c, "-hda", image)
    vm.close()
    said = c.path("said")
    vm = VM(c.ring3, ["-m", "8", "-fda", c.floppy(code), "-boot", "a", "-hda", image, "-debugcon", "file:" + said])
    try:
        def read():
            with open(said, "rb") as f:
                return f.read()
        vm.wait_for("a read", lambda: read().endswith(b"000"), 20)
        servers = children(vm.process.pid)
        expect(len(servers) == 1, "children %s" % servers)
        os.kill(servers[0], signal.SIGKILL)
        vm.wait_for("an error", lambda: read().endswith(b"1"), 40)
        expect(vm.qmp.run("query-status")["return"]["running"], "it stopped")
        expect(children(vm.process.pid) == [], "a zombie is left")
    finally:
        vm.quit()
        vm.close()


@case
def nothing_is_left_of_it(c):
    """After a good end, and after a kill: no process, no file."""
    image = c.path("disk.qcow2")
    qemu_img("create", "-q", "-f", "qcow2", image, "4M")
    os.mkdir(c.path("tmp"))
    os.environ["TMPDIR"] = c.path("tmp")
    try:
        for end in "quit", "kill":
            vm = start(c, "-hda", image)
            servers = children(vm.process.pid)
            expect(len(servers) == 1, "children %s" % servers)
            if end == "quit":
                vm.quit()
            vm.close()
            until = time.time() + 10
            while os.path.exists("/proc/%d" % servers[0]) and time.time() < until:
                time.sleep(0.05)
            expect(not os.path.exists("/proc/%d" % servers[0]), "%s: qemu-nbd is still there" % end)
            expect(os.listdir(c.path("tmp")) == [], "%s left %s" % (end, os.listdir(c.path("tmp"))))
    finally:
        del os.environ["TMPDIR"]


@case
def media_in_any_format(c):
    """A floppy as qcow2 is put in, exchanged, put in again; the tray's events come as for others."""
    image = c.path("floppy.qcow2")
    qemu_img("convert", "-O", "qcow2", c.floppy(LOOP, "raw.img"), image)
    vm = start(c)
    try:
        for _ in range(3):
            answer = vm.qmp.run("blockdev-change-medium", device="floppy0", filename=image)
            expect("return" in answer, str(answer))
            expect("qcow2" in vm.qmp.human("info block"), vm.qmp.human("info block"))
        answer = vm.qmp.run("blockdev-change-medium", device="floppy0", filename=c.file("x", b"QFI\xfb", 4096))
        expect("error" in answer, str(answer))
        expect(image in vm.qmp.human("info block"), "the old medium is gone")
        expect(len(children(vm.process.pid)) == 1, "servers are left")
    finally:
        vm.quit()
        vm.close()


@case
def a_folder_as_a_disk(c):
    """FreeDOS reads a file of the host's, and with fat:rw: writes one."""
    folder = c.path("folder")
    os.mkdir(folder)
    with open(os.path.join(folder, "HELLO.TXT"), "w") as f:
        f.write("words of the host\r\n")
    try:
        floppy = Shared("freedos-1440.img").found()
    except Skip as why:
        raise Skipped(str(why))
    for kind in "fat:", "fat:rw:":
        vm = VM(c.ring3, ["-m", "16", "-drive", "if=floppy,snapshot=on,file=" + floppy, "-boot", "a", "-drive",
                          "format=raw,file=" + kind + folder])
        try:
            vm.wait(r"A:\\>")
            vm.type("type c:\\hello.txt\n")
            vm.wait("words of the host")
            if kind == "fat:rw:":
                vm.type("copy c:\\hello.txt c:\\copy.txt\n")
                vm.wait("=> c:")
                vm.type("dir c:\n")
                vm.wait("COPY")
        finally:
            vm.quit()
            vm.close()
        wrote = os.path.join(folder, "copy.txt")
        expect(os.path.exists(wrote) == (kind == "fat:rw:"), "%s: %s" % (kind, os.listdir(folder)))
    with open(wrote) as f:
        expect("words of the host" in f.read(), "the copy differs")


if __name__ == "__main__":
    sys.exit(main(__doc__))
