#!/usr/bin/env python3
"""The debugger's server: a client of our own (rsp.py), and GDB itself where it is installed.

  gdb.py [--vmm COMMAND] [--list] [NAME…]

Guests are boot sectors, assembled here, under both engines, and Debian's kernel. Where QEMU is installed, it has to say the
same at the same breakpoints.
"""
import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import images  # noqa: E402
from cases import CASES, Skipped, case, expect, name_of, run_case, run_cases  # noqa: E402
from rsp import REGISTERS, Rsp, framed  # noqa: E402
from vm import VM  # noqa: E402

RING3 = os.path.join(images.TOP, "build", "ring3")
INTERP = " --engine interp"
QEMU = "qemu-system-i386"
PENTIUM3 = ["-cpu", "pentium3"]
FLOATING = [n for n, _ in REGISTERS if n.startswith(("st", "xmm"))]
# What QEMU reports otherwise: its tag word is always 0, and its processors have other control bits at reset.
INCOMPARABLE = {"ftag"}
AF = 0x10  # undefined after AND, OR, XOR, TEST


class Context:
    def __init__(self, vmm):
        self.vmm = vmm
        self.folder = tempfile.TemporaryDirectory(prefix="ring3-gdb")
        self.open, self.sectors = [], 0

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def start(self, *options, more="", vmm=None, stopped=True, reboot=False):
        """A machine, and a client that is connected to it."""
        m = Machine(vmm or self.vmm + more, self.path("gdb%d" % len(self.open)), [str(o) for o in options], stopped,
                    reboot)
        self.open.append(m)
        return m

    def sector(self, code):
        """A floppy that starts with assembly code at 7C00; the file, and its labels."""
        source, thing, binary = self.path("s.S"), self.path("s.o"), self.path("s.bin")
        with open(source, "w") as f:
            f.write(".code16\n.globl _start\n_start:\n" + code)
        subprocess.run(["as", "--32", "-o", thing, source], check=True)
        subprocess.run(["ld", "-m", "elf_i386", "-Ttext", "0x7c00", "-o", thing + "x", thing], check=True)
        subprocess.run(["objcopy", "-O", "binary", "-j", ".text", thing + "x", binary], check=True)
        names = subprocess.run(["nm", thing + "x"], capture_output=True, text=True, check=True).stdout
        with open(binary, "rb") as f:
            data = f.read()
        self.sectors += 1
        image = self.path("floppy%d.img" % self.sectors)
        with open(image, "wb") as f:
            f.write(data.ljust(510, b"\0") + b"\x55\xaa")
            f.truncate(1440 * 1024)
        labels = {line.split()[2]: int(line.split()[0], 16) for line in names.splitlines()}
        return ["-drive", "file=%s,format=raw,if=floppy,snapshot=on" % image, "-boot", "a"], labels

    def close(self):
        for m in self.open:
            m.close()
        self.folder.cleanup()


class Machine:
    def __init__(self, vmm, sock, options, stopped, reboot):
        self.where = sock
        how = "unix:%s,server=on,wait=off" % sock
        if vmm.startswith(QEMU):
            with socket.socket() as s:
                s.bind(("127.0.0.1", 0))
                self.where = s.getsockname()
            how = "tcp:127.0.0.1:%d" % self.where[1]
        self.vm = VM(vmm, (["-S"] if stopped else []) + ["-gdb", how] + options, reboot=reboot)
        self.rsp = Rsp(self.where)

    def again(self):
        """Another client."""
        return Rsp(self.where)

    def status(self):
        return self.vm.qmp.run("query-status")["return"]["status"]

    def wait_status(self, status):
        self.vm.wait_for("status " + status, lambda: self.status() == status, 10)

    def close(self):
        self.rsp.close()
        self.vm.close()


def with_both_engines(run):
    def both(c):
        for more in "", INTERP:
            run(c, more)
    both.__name__ = run.__name__
    return case(both)


def installed(program, package):
    if not shutil.which(program):
        raise Skipped("%s is not installed: apt-get install %s" % (program, package))
    return program


def found(file):
    try:
        return file.found()
    except images.Skip as why:
        raise Skipped(str(why))


# ---- Boot sectors ----

COPY_AND_COUNT = """
        cli
        xor %ax, %ax
        mov %ax, %ds
        mov %ax, %es
        mov %ax, %ss
        mov $0x7c00, %sp
        mov $3, %cx
        mov $0x7e00, %si
        mov $0x7e10, %di
        cld
copy:   rep movsb
        ljmp $0x7c0, $(far - _start)
far:    mov $0x12345678, %eax
        mov %eax, 0x7f00
loop:   incw 0x7f10
        mov 0x7f10, %bl
        jmp loop
"""


def boot_to_sector(m):
    m.rsp.run_to(0x7c00)


@with_both_engines
def steps_of_real_mode(c, more):
    """Each instruction is one step, and each iteration of REP; EIP is an offset, points are linear addresses."""
    disk, at = c.sector(COPY_AND_COUNT)
    g = c.start(*disk, more=more).rsp
    expect(g.pc() == 0xfff0 and g.register("cs") == 0xf000, "-S does not stand at the reset vector")
    g.run_to(0x7c00)
    copy, offset = at["copy"], at["_start"]
    wanted = [0x7c01, 0x7c03, 0x7c05, 0x7c07, 0x7c09, 0x7c0c, 0x7c0f, 0x7c12, 0x7c15, copy]
    got = [g.step() and g.pc() for _ in wanted]
    expect(got == wanted, "steps to %s" % [hex(x) for x in got])
    for left in 2, 1, 0:
        g.step()
        r = g.registers()
        expect(r["ecx"] & 0xffff == left and r["edi"] & 0xffff == 0x7e13 - left, "an iteration leaves CX %x" % r["ecx"])
        expect(r["eip"] == (copy if left else copy + 2), "an iteration leads to %x" % r["eip"])
    g.step()
    expect((g.register("cs"), g.pc()) == (0x7c0, at["far"] - offset), "the far jump leads to %x" % g.pc())
    g.run_to(at["loop"])
    r = g.registers()
    expect((r["cs"], r["eip"], r["eax"]) == (0x7c0, at["loop"] - offset, 0x12345678), "stopped with %s" % r)
    expect(g.word(0x7f00) == 0x12345678, "memory has %x" % g.word(0x7f00))


@with_both_engines
def a_breakpoint_in_a_loop_is_hit_each_time(c, more):
    """Without a client that steps off it; the guest's memory shows nothing of it."""
    disk, at = c.sector(COPY_AND_COUNT)
    m = c.start(*disk, more=more)
    g = m.rsp
    boot_to_sector(m)
    before = g.memory(0x7c00, 64)
    g.insert(at["loop"])
    for n in range(5):
        expect(g.go() == "T05thread:01;", "no stop")
        expect(g.word(0x7f10) & 0xffff == n, "round %d: %x" % (n, g.word(0x7f10)))
    path = c.path("memory")
    m.vm.qmp.human('pmemsave 0x7c00 64 "%s"' % path)
    with open(path, "rb") as f:
        expect(f.read() == before == g.memory(0x7c00, 64), "a breakpoint is in the guest's memory")
    g.insert(at["loop"], kind=1)  # one of hardware at the same place: still one stop
    g.remove(at["loop"])
    g.insert(at["loop"] + 4, kind=1)  # and one behind it
    g.go()
    g.remove(at["loop"] + 4, kind=1)
    # Both kinds are one here, so that the client's removal of one is all there is to remove.
    g.send("vCont;c")
    time.sleep(0.2)
    expect(g.interrupt() == "T02thread:01;", "Ctrl+C")
    expect(g.word(0x7f10) & 0xffff > 100, "the guest has not run on")


@with_both_engines
def watchpoints(c, more):
    disk, at = c.sector(COPY_AND_COUNT)
    m = c.start(*disk, more=more)
    g = m.rsp
    boot_to_sector(m)
    loop = at["loop"] - at["_start"]
    g.insert(0x7f02, kind=2, n=2)
    expect(g.go() == "T05thread:01;watch:7f02;", "a store over the watched bytes")
    expect(g.pc() == loop, "stopped at %x, not behind the store" % g.pc())
    g.remove(0x7f02, kind=2, n=2)
    g.insert(0x7f10, kind=2, n=1)
    for _ in range(2):
        expect(g.go() == "T05thread:01;watch:7f10;" and g.pc() == loop + 4, "INC stores")
    g.remove(0x7f10, kind=2, n=1)
    g.insert(0x7f10, kind=3, n=1)
    stops = [(g.go(), g.pc()) for _ in range(4)]
    expect(stops == 2 * [("T05thread:01;rwatch:7f10;", loop + 8), ("T05thread:01;rwatch:7f10;", loop + 4)], "%s" % stops)
    g.remove(0x7f10, kind=3, n=1)
    g.insert(0x7f10, kind=4, n=1)
    stops = [(g.go(), g.pc()) for _ in range(2)]
    expect(stops == [("T05thread:01;awatch:7f10;", loop + 8), ("T05thread:01;awatch:7f10;", loop + 4)], "%s" % stops)
    expect(g.step() == "T05thread:01;awatch:7f10;", "a step that reads")
    g.remove(0x7f10, kind=4, n=1)
    g.insert(0x7f12, kind=2, n=2)  # beside it
    g.send("vCont;c")
    time.sleep(0.2)
    expect(g.interrupt() == "T02thread:01;", "a watchpoint beside the variable hit")


@with_both_engines
def registers_and_memory_are_written(c, more):
    disk, at = c.sector(COPY_AND_COUNT)
    m = c.start(*disk, more=more)
    g = m.rsp
    boot_to_sector(m)
    g.run_to(at["loop"])
    g.must("M7f10,2:3412")
    g.set("ebx", 0xaabbccdd)
    g.run_to(at["loop"] + 4)
    expect(g.word(0x7f10) & 0xffff == 0x1235, "the counter is %x" % g.word(0x7f10))
    g.step()
    expect(g.register("ebx") == 0xaabbcc35, "EBX is %x" % g.register("ebx"))
    # Code that has run is written over: NOP for INC.
    g.must(b"X%x,4:\x90\x90\x90\x90" % at["loop"])
    g.run_to(at["loop"])
    g.run_to(at["loop"] + 4)
    expect(g.word(0x7f10) & 0xffff == 0x1235, "the old code has run")
    # A jump, all registers at once, x87 and SSE.
    all_of_them = g.ask("g")
    g.set("eip", at["far"] - at["_start"])
    g.step()
    expect(g.register("eax") == 0x12345678, "the jump did not run")
    g.must("G" + all_of_them)
    expect(g.ask("g") == all_of_them, "G is not what g was")
    g.set("st0", 0x3fff8000000000000000)
    g.set("xmm7", 0x112233445566778899aabbccddeeff00)
    r = g.registers()
    expect(r["st0"] == 0x3fff8000000000000000 and r["xmm7"] == 0x112233445566778899aabbccddeeff00, "x87 and SSE")
    g.set("ds", 0x1234)
    expect(g.register("ds") == 0x1234, "DS")
    # What is refused.
    for command in ("P8=00", "P99=00000000", "p99", "M7f10,2:34", "Mfffffff0,4:00000000", "m7f10", "me0000000000,4", "Z9,0,1", "Z0,0",
                    "z0,1,1", "P9=00000200", "P19=00000000", "m%x,4" % 0xfee00000):
        expect(re.fullmatch("E..", g.ask(command)) or command == "P19=00000000", command)
    expect(g.ask("qNoSuchThing") == "" and g.ask("vMustReplyEmpty") == "", "what is not known has an answer")


DEBUGS_ITSELF = """
        cli
        xor %ax, %ax
        mov %ax, %ds
        mov %ax, %ss
        mov $0x7c00, %sp
        movw $handler, 4
        movw $0, 6
        mov $0x7f10, %eax
        mov %eax, %dr0
        mov $0x50002, %eax      # DR0: stores of two bytes
        mov %eax, %dr7
        mov $200, %cx
loop:   incw 0x7f10
        dec %cx
        jnz loop
        pushf
        orw $0x100, (%esp)
        popf
stepped: nop
        nop
        xor %ax, %ax
done:   jmp done
handler: incw 0x7f20
        iret
"""


@with_both_engines
def the_guest_debugs_itself_meanwhile(c, more):
    """Its breakpoint in DR0 and its TF are its own: nothing is lost, nothing is added."""
    disk, at = c.sector(DEBUGS_ITSELF)
    m = c.start(*disk, more=more)
    g = m.rsp
    boot_to_sector(m)
    g.insert(at["loop"])
    g.insert(0x7f10, kind=2, n=2)
    for n in range(1, 4):
        expect(g.go() == "T05thread:01;" and g.pc() == at["loop"], "at the loop")
        expect(g.go() == "T05thread:01;watch:7f10;", "at the store")
        expect(g.step() and g.pc() == at["handler"], "the guest's #DB is due: %x" % g.pc())
        g.step()
        g.step()
        expect(g.pc() == at["loop"] + 4 and g.word(0x7f20) & 0xffff == n, "back at %x" % g.pc())
    g.remove(at["loop"])
    g.remove(0x7f10, kind=2, n=2)
    g.run_to(at["stepped"])  # one by its own TF so far: none, for POPF has just set it
    expect(g.word(0x7f20) & 0xffff == 200, "%d stores, seen by the guest" % (g.word(0x7f20) & 0xffff))
    expect(g.register("eflags") & 0x100, "TF is the guest's")
    g.step()
    expect(g.step() and g.pc() == at["handler"], "its single step leads to %x" % g.pc())
    g.run_to(at["done"])
    expect(g.word(0x7f20) & 0xffff == 203, "%d single steps of its own" % ((g.word(0x7f20) & 0xffff) - 200))


HALTS = """
        cli
        xor %ax, %ax
        mov %ax, %ds
        sti
wait:   hlt
        incw 0x7f10
        jmp wait
"""


@with_both_engines
def interrupts_wait_for_the_steps_end(c, more):
    """A step enters no handler; HLT is stepped over; and on it goes with the timer."""
    disk, at = c.sector(HALTS)
    m = c.start(*disk, more=more)
    g = m.rsp
    boot_to_sector(m)
    g.run_to(at["wait"])
    for _ in range(4):
        expect([g.step() and g.pc() for _ in range(3)] == [at["wait"] + 1, at["wait"] + 5, at["wait"]], "steps")
        time.sleep(0.06)
    g.must("M7f10,2:0000")
    g.insert(at["wait"] + 1)
    for n in range(3):
        g.go(5)
        expect(g.word(0x7f10) & 0xffff == n, "woken %d times" % n)
    g.remove(at["wait"] + 1)
    expect("VM status: paused" in g.monitor("info status"), "monitor")
    expect("EIP=" in g.monitor("info registers"), "monitor")


# ---- Clients ----

@case
def clients_come_and_go(c):
    disk, at = c.sector(COPY_AND_COUNT)
    m = c.start(*disk, stopped=False)
    g = m.rsp
    expect(g.ask("?") == "T05thread:01;" and m.status() == "paused", "a client stops the guest")
    second = socket.socket(socket.AF_UNIX)
    second.connect(m.where)
    expect(second.recv(10) == b"", "a second client is not turned away")
    g.insert(0x7c00)
    g.go()
    g.close()  # without a word, while the guest stands at a breakpoint that goes with it
    m.wait_status("running")
    g = m.again()
    expect(m.status() == "paused", "the next client stops it")
    g.insert(at["loop"])
    g.go()
    g.must("D")
    m.wait_status("running")
    time.sleep(0.2)
    expect(m.status() == "running", "a breakpoint is left after D")
    g.close()
    g = m.again()
    g.send("vCont;c")
    time.sleep(0.1)
    m.vm.qmp.run("stop")
    expect(g.receive() == "T02thread:01;", "a stop by QMP")
    g.close()
    time.sleep(0.2)
    expect(m.status() == "paused", "who stopped it was not the client")
    m.vm.qmp.run("cont")
    g = m.again()
    g.sock.sendall(b"$g#00")  # damaged: asked for again
    expect(g.sock.recv(1) == b"-", "no -")
    g.must("QStartNoAckMode")
    g.sock.sendall(framed("qAttached") + framed("qfThreadInfo") + framed("qsThreadInfo") + framed("Hg0") + framed("T1"))
    expect([g.receive() for _ in range(5)] == ["1", "m01", "l", "OK", "OK"], "five questions at once")
    g.send("k")
    expect(m.vm.wait_end(10) == 0, "k ends it")


@case
def a_client_of_a_machine_that_never_ran(c):
    disk, _ = c.sector(COPY_AND_COUNT)
    m = c.start(*disk)
    m.rsp.close()
    time.sleep(0.2)
    expect(m.status() == "prelaunch", "a lost client has started it: " + m.status())
    g = m.again()
    g.send("vCont;c")
    m.wait_status("running")
    m.vm.qmp.run("quit")
    expect(g.receive() == "W00", "the end is not told")


@case
def a_reset_while_stepped(c):
    """An instruction that resets the machine is a step to the reset vector."""
    disk, at = c.sector("cli\nmov $0xfe, %al\nreset: out %al, $0x64\nhlt\n")
    for reboot, want in (True, "T05thread:01;"), (False, "W00"):
        g = c.start(*disk, reboot=reboot).rsp
        g.run_to(at["reset"])
        expect(g.step() == want, "reboot %s" % reboot)
        expect(not reboot or (g.pc(), g.register("cs")) == (0xfff0, 0xf000), "it leads elsewhere")


@case
def refusals(c):
    for words, text in [(["-gdb", "tcp:1234x"], "-gdb tcp: '1234x': wants HOST:PORT"),
                        (["-gdb", "tcp::0"], "a port from 1 to 65535"),
                        (["-gdb", "udp::1234"], "only tcp:HOST:PORT or unix:PATH"),
                        (["-gdb", "unix:/x,server=off"], "only server=on"),
                        (["-gdb", "unix:/nowhere/at/all"], "No such file or directory"),
                        (["-gdb", "tcp::1234,colour=red"], "'colour' is not known"),
                        (["-gdb"], "-gdb wants an argument")]:
        p = subprocess.run(c.vmm.split() + ["-display", "none"] + words, capture_output=True, text=True, timeout=20)
        lines = p.stderr.strip().splitlines()
        expect(p.returncode == 1 and len(lines) == 1 and text in lines[0], "%s: %d %s" % (words, p.returncode, p.stderr))


# ---- Debian's kernel ----

KERNEL = images.guest("vmlinuz-686")
INITRD = images.guest("initrd.gz")
SYMBOLS = ["start_kernel", "rest_init", "vfs_open", "__ia32_sys_getppid", "schedule", "do_sys_openat2"]
symbols = {}


def linux():
    return ["-m", 64, "-kernel", found(KERNEL), "-initrd", found(INITRD), "-append",
            "console=tty0 quiet panic=-1 nokaslr norandmaps"]


def kernel_symbols(c):
    """Where the kernel lies without KASLR, as it says itself."""
    if not symbols:
        vm = VM(c.vmm, [str(o) for o in linux()])
        try:
            vm.wait("RING3-GUEST-UP", 60)
            vm.type("grep -wE '%s' /proc/kallsyms >/dev/ttyS0; echo do''ne >/dev/ttyS0\n" % "|".join(SYMBOLS))
            vm.wait("done", 30)
            symbols.update({n: int(a, 16) for a, n in re.findall(r"(\w{8}) [tT] (\w+)", vm.serial())})
        finally:
            vm.close()
        expect(set(SYMBOLS) <= set(symbols), "kallsyms lacks some of %s" % SYMBOLS)
    return symbols


@case
def linux_by_our_client(c):
    """start_kernel, which is decompressed first; a variable it writes; steps; a system call of a shell's, into user code."""
    at = kernel_symbols(c)
    m = c.start(*linux())
    g = m.rsp
    g.run_to(at["start_kernel"], 120)
    r = g.registers()
    expect(r["eip"] == at["start_kernel"] and r["cr0"] & 0x80000001 == 0x80000001, "stopped with %s" % r)
    expect(r["cs"] == 0x60, "CS is %x" % r["cs"])
    # set_task_stack_end_magic(&init_task): the stack's last word
    end = r["esp"] & ~0x1fff
    g.insert(end, kind=2, n=4)
    expect(g.go() == "T05thread:01;watch:%x;" % end, "the stack's end is not written")
    expect(g.word(end) == 0x57ac6e9d, "it is %x" % g.word(end))
    g.remove(end, kind=2, n=4)
    g.run_to(at["rest_init"], 60)
    g.insert(at["vfs_open"])
    for _ in range(3):
        expect(g.go(60) == "T05thread:01;" and g.pc() == at["vfs_open"], "vfs_open")
    g.remove(at["vfs_open"])
    g.send("vCont;c")
    m.vm.wait("RING3-GUEST-UP", 60)
    g.interrupt()
    g.insert(at["__ia32_sys_getppid"])
    g.send("vCont;c")
    m.vm.type("sh -c 'sh -c \"echo $PPID\"'\n")  # each sh asks
    expect(g.receive(60) == "T05thread:01;" and g.pc() == at["__ia32_sys_getppid"], "getppid")
    top = (g.register("esp") & ~0x1fff) + 0x2000  # struct pt_regs ends below the stack's top, by a padding
    frames = [[g.word(top - padding - 20 + 4 * i) for i in range(4)] for padding in (0, 8, 16)]
    expect([f for f in frames if f[1] == 0x73], "no user's CS in %s" % frames)
    eip, _, _, esp = [f for f in frames if f[1] == 0x73][0]
    g.remove(at["__ia32_sys_getppid"])
    g.run_to(eip)  # back in the program
    r = g.registers()
    expect((r["eip"], r["esp"], r["cs"]) == (eip, esp, 0x73), "user code: %s" % r)
    g.step()
    # The same place in another process.
    g.insert(eip)
    g.send("vCont;c")
    space = r["cr3"]
    for _ in range(400):  # system calls of the first; then it forks
        g.receive(60)
        if g.register("cr3") != space:
            break
        g.send("vCont;c")
    expect(g.pc() == eip and g.register("cr3") != space and g.register("cs") & 3 == 3, "in another process")
    g.must("D")
    m.vm.type("echo a$((6*7))b\n")
    m.vm.wait("a42b", 60)


# ---- The same questions to QEMU ----

def comparable(registers, without=()):
    r = {k: v for k, v in registers.items() if k not in INCOMPARABLE and k not in without}
    r["eflags"] &= ~AF
    return r


def compare(ours, theirs):
    """Lists of (what, registers)."""
    for (what, a), (_, b) in zip(ours, theirs):
        different = ["%s %x, QEMU %x" % (k, a[k], b[k]) for k in a if a[k] != b[k]]
        expect(not different, "%s: %s" % (what, "; ".join(different)))
    expect(len(ours) == len(theirs) and ours, "%d stops, QEMU %d" % (len(ours), len(theirs)))


def sector_transcript(m, at):
    """Every step from the boot sector on. What the BIOS leaves in registers is its own, until it is loaded."""
    g, stops = m.rsp, []
    g.run_to(0x7c00)
    for name in "eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp":
        g.set(name, 0x1000)
    for i in range(40):
        stop = g.step()
        r = g.registers()
        stops.append(("step %d, %s at %x" % (i, stop, r["eip"]), comparable(r, ("cr0", "fctrl", "fs", "gs", "fs_base", "gs_base"))))
    return stops


@case
def qemu_agrees_in_real_mode(c):
    qemu = installed(QEMU, "qemu-system-x86")
    for code in COPY_AND_COUNT, DEBUGS_ITSELF.replace("mov %eax, %dr7", "nop\nnop\nnop").replace("0x100", "0"):
        disk, at = c.sector(code)
        theirs = sector_transcript(c.start(*disk, *PENTIUM3, vmm=qemu), at)
        for more in "", INTERP:
            compare(sector_transcript(c.start(*disk, more=more), at), theirs)


def kernel_transcript(m, at):
    g, stops = m.rsp, []
    g.run_to(at["start_kernel"], 120)
    stops.append(("start_kernel", comparable(g.registers())))
    end = g.register("esp") & ~0x1fff
    g.insert(end, kind=2, n=4)
    stop = g.go()
    stops.append(("the watchpoint, " + stop[:18], comparable(g.registers())))
    g.remove(end, kind=2, n=4)
    for i in range(300):
        g.step()
        stops.append(("step %d" % i, comparable(g.registers())))
    return stops


@case
def qemu_agrees_in_the_kernel(c):
    qemu = installed(QEMU, "qemu-system-x86")
    at = kernel_symbols(c)
    compare(kernel_transcript(c.start(*linux()), at), kernel_transcript(c.start(*linux(), *PENTIUM3, vmm=qemu), at))


# ---- GDB ----

def run_gdb(m, *commands):
    m.rsp.close()
    time.sleep(0.1)
    words = [installed("gdb", "gdb"), "-nx", "-batch", "-ex", "set confirm off", "-ex", "set architecture i386", "-ex",
             "target remote " + m.where]
    for command in commands:
        words += ["-ex", command]
    p = subprocess.run(words, capture_output=True, text=True, timeout=120)
    return p.stdout.replace("\0", "") + p.stderr


def expect_in(text, *patterns):
    for pattern in patterns:
        m = re.search(pattern, text)
        expect(m, "GDB does not print /%s/ in %s" % (pattern, text[-1500:]))
        text = text[m.end():]


@case
def gdb_in_the_kernel(c):
    installed("gdb", "gdb")
    at = kernel_symbols(c)
    m = c.start(*linux())
    text = run_gdb(m, "break *%#x" % at["start_kernel"], "continue", "info registers", "x/2i $pc", "stepi", "stepi",
                   "print/x $cr0", "print $eflags", "print $cs", "set $end = (unsigned)$esp & ~0x1fff", "watch *(int *)$end", "continue",
                   "print/x *(int *)$end", "delete", "hbreak *%#x" % at["rest_init"], "continue", "bt 1", "print $xmm0",
                   "print $st0", "monitor info status", "detach")
    expect_in(text, r"Breakpoint 1 at", r"Breakpoint 1, 0x%08x" % at["start_kernel"], r"eip +0x%x" % at["start_kernel"],
              r"cr0 .*\[.*PG.*PE.*\]|cr0 .*\[.*PE.*PG.*\]", r"=> 0x%08x" % at["start_kernel"], r"\$1 = \[?.*", r"\$2 = \[.*\]",
              r"\$3 = (96|0x60)", r"[Ww]atchpoint 2", r"New value = 1470918301", r"\$4 = 0x57ac6e9d",
              r"Breakpoint 3, 0x%08x" % at["rest_init"], r"v4_float", r"detached",
              r"VM status: paused")
    m.wait_status("running")
    m.vm.wait("RING3-GUEST-UP", 60)


@case
def gdb_in_real_mode(c):
    installed("gdb", "gdb")
    disk, at = c.sector(COPY_AND_COUNT.replace("ljmp $0x7c0, $(far - _start)", "ljmp $0, $far"))
    m = c.start(*disk)
    text = run_gdb(m, "break *0x7c00", "continue", "stepi", "stepi", "print/x $eip", "break *%#x" % at["loop"], "continue", "continue",
                   "print/x *(short *)0x7f10", "set *(short *)0x7f10 = 0x100", "continue", "print/x *(short *)0x7f10",
                   "set $eax = 0x77", "print/x $eax", "info threads", "kill")
    expect_in(text, r"Breakpoint 1, 0x00007c00", r"\$1 = 0x7c03", r"Breakpoint 2", r"\$2 = 0x1", r"\$3 = 0x101", r"\$4 = 0x77",
              r"Thread")
    expect(m.vm.wait_end(10) == 0, "kill ends it")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--vmm", default=RING3)
    a.add_argument("--list", action="store_true")
    a.add_argument("names", nargs="*")
    o = a.parse_args()
    if o.list:
        print("\n".join(map(name_of, CASES)))
        return 0

    def run(function):
        c = Context(o.vmm)
        try:
            return run_case(function, c)
        finally:
            c.close()
    return run_cases(o.names, run)


if __name__ == "__main__":
    sys.exit(main())
