#!/usr/bin/env python3
"""The command line from outside: messages for mistakes, exit statuses, serial targets, the terminal, QMP's odd corners.

  cli.py [--ring3 PATH] [NAME…]

Guests are boot sectors of a few bytes, written here as machine code.
"""
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import time
import wave

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from cases import case, expect  # noqa: E402
from context import LOOP, main  # noqa: E402
from vm import VM  # noqa: E402

TOP = os.path.dirname(os.path.dirname(HERE))
HALT = b"\xfa\xf4\xeb\xfd"  # cli; hlt; jmp back
# Says what arrives at COM1, forever: poll LSR, in, out.
ECHO = bytes.fromhex("ba fd03 ec a801 74fb ba f803 ec ee ebf1".replace(" ", ""))
# The same after "up".
ECHO_HELLO = bytes.fromhex("ba f803 b075 ee b070 ee".replace(" ", "")) + ECHO


@case
def help_fits_two_screens(c):
    text = c.run("--help").stdout
    lines = text.split("\n")
    expect(20 < len(lines) <= 49, "%d lines" % len(lines))
    expect(all(len(line) <= 80 for line in lines), "a line is longer than 80: " + max(lines, key=len))
    for option in "-m -hda -fda -cdrom -drive -boot -kernel -append -cpu -serial -qmp -engine -trace -stats".split():
        expect(option + " " in text, option + " is not in --help")
    expect(re.match(r"ring3 \d+\.\d+", c.run("--version").stdout), "--version")
    expect("p6" in c.run("-cpu", "help").stdout, "-cpu help")
    expect("nyi" in c.run("--trace", "help").stdout, "--trace help")


@case
def mistakes_get_one_line(c):
    c.refused("'-frob'.*nearest", "-frob")
    c.refused("a number from 1", "-smp", "0")
    c.refused("vmwary.*not known", "-vga", "vmwary")
    c.refused("scale.*linear", "-display", "sdl,scale=liner")
    c.refused("vgamem_mb", "-device", "cirrus-vga,vgamem_mb=x")
    c.refused("no/such/file.*No such file", "-hda", "/no/such/file")
    c.refused("no/such/file.*No such file", "/no/such/file")
    c.refused(r"empty\.img.*empty", "-hda", c.file("empty.img"))
    c.refused("folder|directory", "-hda", c.folder.name)
    c.refused("", "-fda", c.file("odd.img", b"x" * 777))
    c.refused("", c.file("text.txt", b"hello, this is no image at all\n" * 40))
    c.refused("kernel|bzImage", "-kernel", c.file("nokernel", b"\x7fELF" + b"\0" * 4096))
    c.refused("kernel|bzImage", "-kernel", c.file("nokernel2", b"junk" * 4096))
    c.refused("No such file", "-kernel", "/no/such/kernel")
    c.refused("firmware|bios", "-bios", "/no/such/bios")
    c.refused("memory|M: ", "-m", "64G")
    c.refused("No such file|directory", "-serial", "file:/no/such/folder/x")
    c.refused("directory", "-qmp", "unix:/no/such/folder/q,server=on,wait=off")
    c.refused("one QMP server", "-qmp", "stdio", "-qmp", "stdio")
    c.refused("nearest is 'wav'", "-audiodev", "wave,id=a")
    c.refused("ID", "-audiodev", "sdl")
    c.refused("No such file", "-audiodev", "wav,id=a,path=/no/such/folder/x.wav", "-machine", "pcspk-audiodev=a")
    c.refused("no regular file", "-audiodev", "wav,id=a,path=/dev/null")
    c.refused("no -audiodev has id=b", "-audiodev", "none,id=a", "-machine", "pcspk-audiodev=b")
    c.refused("used twice", "-audiodev", "none,id=a", "-audiodev", "none,id=a")
    c.refused("from 8000 to 96000", "-audiodev", "wav,id=a,out.frequency=5")
    c.refused("nearest is 'pcspk'", "-soundhw", "pcspeaker")
    c.refused("no -audiodev has id=b", "-device", "sb16,audiodev=b")
    c.refused("iobase is 0x220", "-device", "sb16,iobase=0x230")
    c.refused("irq is 2", "-device", "sb16,irq=3")
    if os.getuid():
        os.chmod(c.file("secret.img", b"x", 1440 * 1024), 0)
        c.refused("Permission", "-fda", c.path("secret.img"))


@case
def network_mistakes_get_one_line(c):
    def user(keys):
        return "-netdev", "user,id=u," + keys
    c.refused("'usr' is not known; nearest is 'user'", "-nic", "usr")
    c.refused("'hostfw' is not known; nearest is 'hostfwd'", *user("hostfw=1"))
    c.refused("hostfwd=tcp:22-22: want", *user("hostfwd=tcp:22-22"))
    c.refused("hostfwd=tcp::99999-:22: want", *user("hostfwd=tcp::99999-:22"))
    c.refused("no/such.*is no folder", *user("tftp=/no/such"))
    c.refused("net=10.0.2.0/31: no mask", *user("net=10.0.2.0/31"))
    c.refused("host=10.0.3.1 is outside", *user("host=10.0.3.1"))
    c.refused("must differ", *user("dns=10.0.2.2"))
    c.refused("dns=x is no IPv4 address", *user("dns=x"))
    c.refused("nearest is .on.", *user("restrict=perhaps"))
    c.refused("no hubs here", "-netdev", "hubport,id=h,hubid=0")
    c.refused("wants one of listen=", "-nic", "socket")
    c.refused("want ADDRESS:PORT", "-nic", "socket,connect=:1234")
    c.refused("Connection refused", "-nic", "socket,connect=127.0.0.1:1")
    c.refused("no multicast address", "-nic", "socket,mcast=10.0.0.1:1234")
    c.refused("script", "-nic", "tap,script=/etc/qemu-ifup")
    c.refused("iobase", "-device", "ne2k_isa,iobase=0xfff0")
    c.refused("multicast", "-device", "ne2k_pci,mac=01:00:00:00:00:00")
    c.refused("slot is taken", "-device", "ne2k_pci,addr=5", "-device", "ne2k_isa", "-device", "ne2k_pci,addr=5")
    c.refused("No such file", "-nic", "user,id=a", "-object", "filter-dump,id=d,netdev=a,file=/no/such/folder/f")
    c.refused("no -netdev has that id", "-object", "filter-dump,id=d,netdev=a,file=" + c.path("f"))
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        c.refused("cannot be had: Address already in use",
                  *user("hostfwd=tcp:127.0.0.1:%d-:22" % busy.getsockname()[1]))
        c.refused("Address already in use", "-nic", "socket,listen=127.0.0.1:%d" % busy.getsockname()[1])


@case
def the_cable_can_be_pulled(c):
    vm = VM(c.ring3, ["-fda", c.floppy(HALT), "-nic", "user,id=u"])
    try:
        expect("u: type=user,link=up,card=" in vm.qmp.human("info network"), vm.qmp.human("info network"))
        expect(vm.qmp.run("set_link", name="u", up=False) == {"return": {}}, "set_link")
        expect("link=down" in vm.qmp.human("info network"), "the cable is still in")
        expect("not found" in vm.qmp.run("set_link", name="v", up=True)["error"]["desc"], "set_link of nothing")
        expect(vm.qmp.human("set_link u on") == "" and "link=up" in vm.qmp.human("info network"), "HMP's set_link")
        expect("wants on or off" in vm.qmp.human("set_link u maybe"), "set_link maybe")
    finally:
        vm.close()


@case
def one_writer_per_image(c):
    image = c.floppy(HALT)
    vm = VM(c.ring3, ["-fda", image])
    try:
        c.refused("boot.img", "-fda", image)
    finally:
        vm.close()
    again = VM(c.ring3, ["-fda", image])  # a killed owner leaves no lock
    again.close()


@case
def debug_exit_gives_the_status(c):
    code = bytes.fromhex("b015 baf400 ee".replace(" ", "")) + LOOP  # out 0xf4, 0x15
    r = c.run("-display", "none", "-fda", c.floppy(code), "-device", "isa-debug-exit,iobase=0xf4,iosize=4")
    expect(r.returncode == (0x15 << 1 | 1), "status %d" % r.returncode)


@case
def debug_console_goes_to_a_file(c):
    code = b"".join(bytes([0xb0, ch, 0xe6, 0xe9]) for ch in b"ring3!\n") + bytes.fromhex("b000baf400ee") + LOOP
    log = c.path("debug.log")
    c.run("-display", "none", "-fda", c.floppy(code), "-debugcon", "file:" + log, "-device",
          "isa-debug-exit,iobase=0xf4,iosize=1")
    expect(open(log).read() == "ring3!\n", "the file holds %r" % open(log).read())
    c.run("-display", "none", "-fda", c.path("boot.img"), "-chardev", "file,id=x,path=" + c.path("second.log"),
          "-device", "isa-debugcon,iobase=0xe9,chardev=x", "-device", "isa-debug-exit,iobase=0xf4,iosize=1")
    expect(open(c.path("second.log")).read() == "ring3!\n", "isa-debugcon's file")


@case
def devices_come_from_a_table(c):
    text = c.run("-device", "help").stdout
    expect('Storage devices:\nname "floppy"' in text and 'name "isa-debug-exit", bus ISA, desc "' in text, text)
    for name in re.findall(r'^name "(.*?)"', text, re.M):
        r = c.run("-device", name + ",help")
        expect(r.returncode == 0 and r.stdout.startswith(name + " options:\n  id=<str>"), name + ": " + r.stdout)
    keys = c.run("-device", "isa-debug-exit,?").stdout
    expect(re.search(r"^  iobase=<uint16> .*\(default: 0x501\)$", keys, re.M), keys)
    c.refused("'isa-seral'.*nearest is 'isa-serial'", "-device", "isa-seral")
    c.refused("iobase up to", "-device", "isa-debug-exit,iobase=0xffff,iosize=4")
    c.refused("key 'iobse'.*nearest is 'iobase'", "-device", "isa-debug-exit,iobse=4")
    c.refused("'4q' is no number", "-device", "isa-debug-exit,iobase=4q")
    c.refused("no room for 8 ports", "-chardev", "null,id=n", "-device", "isa-serial,chardev=n,iobase=0xffff")
    c.refused("4 serial ports", "-chardev", "null,id=n", *["-device", "isa-serial,chardev=n"] * 5)


@case
def display_adapters(c):
    """Which one is on the bus: -vga, or -device instead; none is none."""
    for options, device in (((), 0x1111), (("-vga", "cirrus"), 0xb8), (("-device", "cirrus-vga,addr=5"), 0xb8),
                            (("-vga", "none", "-device", "VGA"), 0x1111), (("-vga", "none"), None)):
        vm = VM(c.ring3, [*options, "-S"])
        try:
            devices = vm.qmp.run("query-pci")["return"][0]["devices"]
            found = [d["id"]["device"] for d in devices if d["class_info"]["class"] == 0x300]
            expect(found == ([device] if device else []), "%s: %s" % (options, found))
        finally:
            vm.close()


@case
def serial_ports_by_device(c):
    # OUT to 3F8, 2F8, 3E8 and 1230, then the debug exit.
    out = "".join("ba%s b0%02x ee " % (port, ch) for port, ch in zip(("f803", "f802", "e803", "3012"), b"1234"))
    code = bytes.fromhex((out + "b003 baf400 ee").replace(" ", "")) + LOOP
    files = [c.path("com%d" % i) for i in range(4)]
    chars = sum((["-chardev", "file,id=f%d,path=%s" % (i, files[i])] for i in range(4)), [])
    exit_port = ["-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
    r = c.run("-display", "none", "-fda", c.floppy(code), *chars, "-serial", "chardev:f0", "-device", "isa-serial,chardev=f1",
              "-device", "isa-serial,chardev=f3,iobase=0x1230,irq=5", "-device", "isa-serial,chardev=f2,index=2", *exit_port)
    expect(r.returncode == 7, "status %d: %s" % (r.returncode, r.stderr))
    expect([open(f).read() for f in files] == list("1234"), "the files hold %s" % [open(f).read() for f in files])


@case
def four_serial_ports(c):
    """-serial four times: COM1 to COM4; one is a port of the host's, here a pseudo-terminal, both ways."""
    out = "".join("ba%s b0%02x ee " % (port, ch) for port, ch in zip(("f803", "f802", "e803"), b"123"))
    # A byte from COM4; the next one goes out there, and ends it.
    code = bytes.fromhex((out + "baed02 ec a801 74fb bae802 ec fec0 ee b003 baf400 ee").replace(" ", "")) + LOOP
    files = [c.path("com%d" % i) for i in range(3)]
    master, slave = pty.openpty()
    exit_port = ["-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
    for last in (["-serial", os.ttyname(slave)], ["-chardev", "serial,id=t,path=" + os.ttyname(slave), "-serial", "chardev:t"],
                 ["-chardev", "tty,id=t,path=" + os.ttyname(slave), "-serial", "chardev:t"]):
        os.write(master, b"4")
        r = c.run("-display", "none", "-fda", c.floppy(code), *sum((["-serial", "file:" + f] for f in files), []), *last, *exit_port)
        expect(r.returncode == 7, "status %d: %s" % (r.returncode, r.stderr))
        expect([open(f).read() for f in files] == list("123"), "the files hold %s" % [open(f).read() for f in files])
        read_until(master, b"5")
    os.close(master)
    os.close(slave)


@case
def drives_by_device(c):
    """-drive if=none with -device: the guest boots from the disk, and finds the CD and the second floppy."""
    image = c.file("disk.img", HALT.ljust(510, b"\0") + b"\x55\xaa", 4 << 20)
    floppy = c.floppy(HALT, "b.img")
    vm = VM(c.ring3, ["-drive", "if=none,id=hd,format=raw,file=" + image, "-device", "ide-hd,drive=hd,bus=ide.1,unit=0",
                      "-device", "ide-cd,bus=ide.0,unit=1", "-drive", "file=%s,if=none,id=fd" % floppy,
                      "-device", "floppy,drive=fd,unit=1"])
    try:
        blocks = vm.qmp.human("info block")
        for want in (r"ide1-hd0.*disk\.img", r"ide0-cd1.*not inserted", r"floppy1.*b\.img"):
            expect(re.search(want, blocks), want + " is not in " + blocks)
        vm.wait_for("the guest's HLT", lambda: re.search(r"EIP=00007c0[0-9a-f]", vm.registers()), 20)
    finally:
        vm.close()
    c.refused("no -drive if=none has id=nobody", "-device", "ide-hd,drive=nobody")
    c.refused("/no/such.*No such file", "-drive", "if=none,id=x,file=/no/such", "-device", "ide-hd,drive=x")


TRIPLE = bytes.fromhex("fa 0f011e 1a7c 0fff".replace(" ", "")).ljust(26, b"\xf4") + b"\0" * 6


@case
def triple_fault_ends_with_no_reboot(c):
    r = c.run("-display", "none", "-fda", c.floppy(TRIPLE), "-no-reboot", "--trace", "cpu")
    expect(r.returncode == 0, "status %d" % r.returncode)
    expect("riple" in r.stderr, "the trace does not tell: " + r.stderr[-300:])
    expect("EIP=" in r.stderr, "no registers in the trace")


@case
def trace_tc_shows_guest_and_host_code(c):
    r = c.run("-display", "none", "-fda", c.floppy(TRIPLE), "-no-reboot", "--engine", "bt", "--trace", "tc")
    expect("(interrupt poll)" in r.stderr and "exit to " in r.stderr, "no listing: " + r.stderr[-300:])
    expect("ljmp 0xf000:0xe05b" in r.stderr, "the first instruction is not there")


# sti; 40 times 65536 turns of LOOP; RDTSC to port E9; HLT until the BIOS has counted 18 ticks; RDTSC and the RTC's
# seconds to port E9; exit
CLOCKS = bytes.fromhex(
    "fbba280031c9e2fe4a75f90f31e82600b840008ed88b1e6c0083c312f4391e6c0075f90f31e80e00b000e670e471e805"
    "00e6f4f4ebfdb90400e6e966c1e808e2f8c3")


def clocks_of(c, *options):
    """(What the guest says of clocks, the statistics without those of the host's.)"""
    e9, stats = c.path("e9"), c.path("stats.json")
    r = c.run("-display", "none", "-fda", c.floppy(CLOCKS), "-debugcon", "file:" + e9, "-stats", stats,
              "-device", "isa-debug-exit,iobase=0xf4,iosize=1", *options)
    expect(r.returncode & 1, "status %d: %s" % (r.returncode, r.stderr[-200:]))
    with open(stats) as f:
        said = re.sub(r'"(host|seconds)": *\{[^}]*\}|"translate_tsc": *\d+', "", f.read())
    with open(e9, "rb") as f:
        return f.read(), said


@case
def deterministic_runs_are_alike(c):
    for engine in "bt", "interp", "trap":
        runs = [clocks_of(c, "--engine", engine, "-deterministic") for _ in range(2)]
        expect(len(runs[0][0]) == 12, "the guest said %r" % runs[0][0])
        expect(runs[0][0] == runs[1][0], "%s: clocks differ: %r" % (engine, [r[0] for r in runs]))
        expect(runs[0][1] == runs[1][1], "%s: statistics differ" % engine)
        begun, ended = (int.from_bytes(runs[0][0][i:i + 4], "little") for i in (0, 4))
        expect(0.85e9 < ended - begun < 1.05e9, "%s: 18 ticks took %d ns" % (engine, ended - begun))


# Rounds of four instructions in 18 ticks of the PIT, in hexadecimal to port E9, again and again.
COUNT_ROUNDS = bytes.fromhex((
    "fb 31c0 8ed8"                  # sti; ds = 0
    "a16c04 39066c04 74fa"          # wait for a tick
    "a16c04 83c012 6631c9"          # 18 more; ecx = 0
    "6641 6689cb 39066c04 75f5"     # inc ecx; mov ebx, ecx; cmp [46c], ax; jne
    "be0800 66c1c104 88c8 240f 0430 3c3a 7202 0407 e6e9 4e 75eb b00a e6e9 e9c4ff").replace(" ", ""))


@case
def speed_is_that_of_the_machine_named(c):
    c.refused("help lists them", "-speed", "7x")
    c.refused("does not count", "-speed", "66MHz", "-engine", "interp")
    c.refused("not with -deterministic", "-speed", "50%", "-deterministic")
    out = c.path("rounds")
    p = subprocess.Popen([c.ring3, "-display", "none", "-speed", "486DX2-66", "-debugcon", "file:" + out, "-fda",
                          c.floppy(COUNT_ROUNDS)], stdin=subprocess.DEVNULL)
    try:
        end, rounds = time.time() + 40, []
        while len(rounds) < 3 and time.time() < end:
            time.sleep(0.2)
            text = open(out).read() if os.path.exists(out) else ""
            rounds = [int(line, 16) for line in text.split("\n")[:-1] if re.fullmatch("[0-9A-F]{8}", line)]
        mips = [n * 4 / (18 / 18.2065) / 1e6 for n in rounds[1:]]
        expect(mips and all(54 * 0.85 < n < 54 * 1.15 for n in mips), "%s MIPS, 54 are wanted" % mips)
    finally:
        p.kill()
        p.wait()


@case
def triple_fault_resets(c):
    vm = VM(c.ring3, ["-fda", c.floppy(TRIPLE)], reboot=True)
    try:
        vm.wait_for("a RESET event", lambda: vm.qmp.run("query-status") and "RESET" in vm.qmp.events, 20)
    finally:
        vm.close()


@case
def signals_end_it_in_order(c):
    for sig in signal.SIGTERM, signal.SIGINT, signal.SIGHUP:
        stats, q = c.path("stats.json"), c.path("q")
        p = subprocess.Popen([c.ring3, "-display", "none", "-fda", c.floppy(LOOP), "--stats", stats, "-qmp",
                              "unix:%s,server=on,wait=off" % q], stdin=subprocess.DEVNULL)
        time.sleep(1)
        p.send_signal(sig)
        expect(p.wait(10) == 0, "%s: status %d" % (sig, p.returncode))
        written = json.load(open(stats))
        counters = written["counters"]
        expect(counters["insns_interpreted"] > 1000, "the statistics count %s instructions" % counters)
        expect("seconds" in written["tc"], "the statistics lack where time went")
        expect(not os.path.exists(q), "the QMP socket stays behind")
        os.remove(stats)


def terminal(c, *options):
    """ring3 on a pseudo-terminal: (process, master, settings before)."""
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    p = subprocess.Popen([c.ring3, *options], stdin=slave, stdout=slave, stderr=subprocess.PIPE)
    return p, master, slave, before


def read_until(fd, want, patience=20):
    said, end = b"", time.time() + patience
    while want not in said and time.time() < end:
        if select.select([fd], [], [], 0.1)[0]:
            said += os.read(fd, 4096)
    expect(want in said, "no %r, but %r" % (want, said[-300:]))
    return said


def check_restored(slave, before):
    expect(termios.tcgetattr(slave) == before, "the terminal is not as it was")


@case
def terminal_is_raw_and_comes_back(c):
    # Not -nographic: with that, SeaBIOS itself takes what comes over the serial port.
    p, master, slave, before = terminal(c, "-display", "none", "-serial", "mon:stdio", "-fda", c.floppy(ECHO_HELLO))
    read_until(master, b"up")
    os.write(master, b"Zq\x03~")
    read_until(master, b"Zq\x03~")  # Ctrl+C is the guest's; no echo of our own before it
    expect(not termios.tcgetattr(slave)[3] & termios.ICANON, "the terminal is not raw")
    os.write(master, b"\x01h")
    read_until(master, b"Ctrl+A")
    os.write(master, b"\x01c")
    read_until(master, b"(ring3) ")
    os.write(master, b"info statsx\b\rinfo status\r")
    read_until(master, b"VM status: running")
    os.write(master, b"\x01c\x01x")
    read_until(master, b"terminated")
    expect(p.wait(10) == 0, "status %d" % p.returncode)
    check_restored(slave, before)


@case
def terminal_comes_back_after_signals(c):
    for sig in signal.SIGTERM, signal.SIGABRT:
        p, master, slave, before = terminal(c, "-nographic", "-fda", c.floppy(LOOP))
        read_until(master, b"Booting from Floppy")
        p.send_signal(sig)
        p.wait(10)
        check_restored(slave, before)


@case
def stdio_serial_lets_control_c_interrupt(c):
    p, master, slave, before = terminal(c, "-display", "none", "-serial", "stdio", "-fda", c.floppy(LOOP))
    time.sleep(1)
    expect(termios.tcgetattr(slave)[3] & termios.ISIG, "Ctrl+C would not interrupt")
    p.send_signal(signal.SIGINT)
    p.wait(10)
    check_restored(slave, before)


@case
def serial_on_a_socket(c):
    path = c.path("com1")
    p = subprocess.Popen([c.ring3, "-display", "none", "-fda", c.floppy(ECHO), "-serial",
                          "unix:%s,server=on,wait=off" % path], stdin=subprocess.DEVNULL)
    try:
        for _ in range(2):  # a client leaves, the next one comes
            s = socket.socket(socket.AF_UNIX)
            for _ in range(100):
                try:
                    s.connect(path)
                    break
                except OSError:
                    time.sleep(0.05)
            s.settimeout(20)
            said, end = b"", time.time() + 20
            while b"hello" not in said and time.time() < end:
                s.send(b"hello")
                time.sleep(0.3)
                if select.select([s], [], [], 0)[0]:
                    said += s.recv(4096)
            expect(b"hello" in said, "the socket echoes %r" % said[:80])
            s.close()
    finally:
        p.terminate()
        p.wait(10)
    expect(not os.path.exists(path), "the socket stays behind")


@case
def serial_on_a_pty(c):
    p = subprocess.Popen([c.ring3, "-display", "none", "-fda", c.floppy(ECHO_HELLO), "-serial", "pty"],
                         stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        name = re.search(r"/dev/pts/\d+", p.stderr.readline())[0]
        fd = os.open(name, os.O_RDWR | os.O_NOCTTY)
        read_until(fd, b"up")
        os.write(fd, b"over a pty")
        read_until(fd, b"over a pty")
        os.close(fd)
    finally:
        p.terminate()
        p.wait(10)
        p.stderr.close()


@case
def a_silent_reader_does_not_stop_the_guest(c):
    """Nobody reads stdout: the guest floods the debug port and still reaches its end."""
    # 2 MiB of bytes to port E9, then the debug exit.
    code = bytes.fromhex("66b900002000 bae900 b055 ee 6649 75fb b003 baf400 ee".replace(" ", "")) + LOOP
    p = subprocess.Popen([c.ring3, "-display", "none", "-debugcon", "stdio", "-fda", c.floppy(code), "-device",
                          "isa-debug-exit,iobase=0xf4,iosize=1"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        expect(p.wait(60) == 7, "status %s" % p.returncode)
    finally:
        p.stdout.close()


@case
def a_stopped_machine_stands_still(c):
    # inc word [0x7e00]; loop
    vm = VM(c.ring3, ["-S", "-fda", c.floppy(bytes.fromhex("ff06007e") + b"\xeb\xfa")])

    def word():
        return re.search(r"0x[0-9a-f]+$", vm.qmp.human("xp /1xh 0x7e00").strip())[0]
    try:
        expect(vm.qmp.run("query-status")["return"]["status"] == "prelaunch", "-S")
        expect("EIP=0000fff0" in vm.registers(), "ran before cont: " + vm.registers()[:200])
        vm.qmp.run("cont")
        vm.wait_for("the guest's counter", lambda: word() != "0x0000", 20)
        vm.qmp.run("stop")
        first = word()
        time.sleep(0.3)
        expect(word() == first, "a stopped guest counts on")
        vm.qmp.run("cont")
        vm.wait_for("the counter to move", lambda: word() != first, 10)
        expect(vm.qmp.events[:3] == ["RESUME", "STOP", "RESUME"], "events %s" % vm.qmp.events)
        expect(vm.quit() == 0, "status")
    finally:
        vm.close()


@case
def info_audio_tells_who_hears(c):
    wav = c.path("x.wav")
    vm = VM(c.ring3, ["-fda", c.floppy(HALT), "-audiodev", "none,id=no", "-audiodev", "wav,id=w,path=" + wav,
                      "-machine", "pcspk-audiodev=w"])
    try:
        text = vm.qmp.human("info audio")
        expect(re.search(r"w: wav to .*x\.wav, 0\.0 s\s+48000 Hz.*pcspk \(off\)", text), text)
        expect(vm.quit() == 0, "status")
    finally:
        vm.close()
    with open(wav, "rb") as f:
        expect(f.read()[:4] == b"RIFF", "no WAV file")


@case
def media_change_over_qmp(c):
    first, second = c.floppy(HALT, "first.img"), c.floppy(LOOP, "second.img")
    vm = VM(c.ring3, ["-fda", first, "-drive", "if=ide,media=cdrom"])
    try:
        expect("first.img" in vm.qmp.human("info block"), vm.qmp.human("info block"))
        answer = vm.qmp.run("blockdev-change-medium", device="floppy0", filename=second)
        expect("return" in answer, str(answer))
        expect("second.img" in vm.qmp.human("info block"), "the medium is still the old one")
        expect("return" in vm.qmp.run("eject", device="floppy0"), "eject")
        expect("[not inserted]" in vm.qmp.human("info block"), "eject left it in")
        answer = vm.qmp.run("blockdev-change-medium", device="floppy0", filename="/no/such")
        expect(answer["error"]["class"] == "GenericError", str(answer))
        expect(vm.qmp.run("eject", device="ide1-cd0", force=True).get("return") == {}, "an empty drive")
        vm.qmp.run("query-status")
        expect(vm.qmp.events.count("DEVICE_TRAY_MOVED") >= 3, str(vm.qmp.events))
    finally:
        vm.close()


@case
def halted_guest_sleeps_the_host(c):
    """sti; hlt; jmp: woken 18 times a second, below 3 % of a core."""
    vm = VM(c.ring3, ["-fda", c.floppy(b"\xfb\xf4\xeb\xfc")])
    try:
        vm.wait(r"Booting from Floppy", 30)
        time.sleep(1)
        before = vm.cpu_seconds()
        time.sleep(5)
        used = (vm.cpu_seconds() - before) / 5
        expect(used < 0.03, "%.1f %% of a core" % (100 * used))
    finally:
        vm.close()


def waiting(c, code):
    """A boot sector's share of a core, and how often the host slept, in 2 s of a loop with INT 28h as DOS leaves it."""
    set_vector = bytes.fromhex("31c0 8ed8 c706a000407c a3a200".replace(" ", ""))  # 0000:7c40
    sector = (set_vector + code).ljust(0x40, b"\x90") + b"\xcf"
    vm = VM(c.ring3, ["-fda", c.floppy(sector)])
    try:
        vm.wait(r"Booting from Floppy", 30)
        time.sleep(1)
        before, start = vm.cpu_seconds(), time.monotonic()
        time.sleep(2)
        sleeps = int(re.search(r"spin_sleeps +(\d+)", vm.qmp.human("info stats")).group(1))
        return (vm.cpu_seconds() - before) / (time.monotonic() - start), sleeps
    finally:
        vm.close()


@case
def guest_that_waits_lets_the_host_sleep(c):
    """A loop of PAUSE, and one of DOS's idle interrupt; neither where something else goes on between."""
    for name, loop in (("pause", "f390 ebfc"), ("int 28h", "cd28 ebfc")):
        used, sleeps = waiting(c, bytes.fromhex(loop.replace(" ", "")))
        expect(sleeps > 100 and used < 0.3, "%s: %.1f %% of a core, %d sleeps" % (name, 100 * used, sleeps))
    # A million turns of dec cx; jnz, then int 28h. in al, 61h; int 28h.
    for name, loop in (("work", "ba1000 b9ffff 49 75fd 4a 75f7 cd28 ebf0"), ("device", "e461 cd28 ebfa")):
        used, sleeps = waiting(c, bytes.fromhex(loop.replace(" ", "")))
        expect(sleeps == 0, "%s between: %.1f %% of a core, %d sleeps" % (name, 100 * used, sleeps))


def talk(sock, text, want):
    """Sends, and reads until `want` has come."""
    sock.sendall(text)
    sock.settimeout(20)
    got = b""
    while want not in got:
        more = sock.recv(4096)
        expect(more, "%r: hung up after %r" % (text, got))
        got += more
    return got


@case
def monitors(c):
    """A monitor of its own on a socket, by telnet, on the terminal; its clients come and go."""
    path = c.path("monitor")
    vm = VM(c.ring3, ["-monitor", "unix:%s,server=on,wait=off" % path, "-fda", c.floppy(LOOP)])
    try:
        for _ in range(2):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(path)
                talk(s, b"", b"(ring3) ")
                text = talk(s, b"info nAme\b\b\b\bname\r\ninfo status\n", b"running")
                expect(b"(ring3) (ring3)" not in text and b"VM status: running" in text, "%r" % text)
    finally:
        vm.close()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    vm = VM(c.ring3, ["-monitor", "telnet:127.0.0.1:%d,server,nowait" % port, "-fda", c.floppy(LOOP)])
    try:
        with socket.create_connection(("127.0.0.1", port)) as s:
            text = talk(s, b"\xff\xfd\x01\xff\xfa\x18\0x\xff\xff\xff\xf0info\xff\xfb\x1f status\r\0", b"running\r\n")
            expect(text.startswith(b"\xff\xfb\x01\xff\xfb\x03"), "%r" % text)
            s.sendall(b"quit\r\0")
            expect(vm.wait_end(20) == 0, "quit")
    finally:
        vm.close()
    p = subprocess.run([c.ring3, "-display", "none", "-S", "-monitor", "stdio"], input="info status\nquit\n", capture_output=True,
                       text=True, timeout=20)
    expect(p.returncode == 0 and "VM status: paused (prelaunch)" in p.stdout, p.stdout + p.stderr)
    c.refused("cannot connect: Connection refused", "-monitor", "tcp:127.0.0.1:1")
    c.refused("a port from 1 to 65535", "-monitor", "tcp:127.0.0.1:x,server=on")
    c.refused("the terminal can serve one", "-monitor", "stdio", "-serial", "stdio")
    c.refused("nobody could type there", "-monitor", "mon:stdio")
    c.refused("'stdi'.*nearest is 'stdio'", "-monitor", "stdi")


@case
def sound_is_captured(c):
    """The monitor's wavcapture: the speaker's tone is in the file, of the settings asked for."""
    beep = bytes.fromhex("b0b6 e643 b0a9 e642 b004 e642 e461 0c03 e661 ebfe".replace(" ", ""))  # 1000 Hz
    vm = VM(c.ring3, ["-fda", c.floppy(beep), "-audiodev", "wav,id=a,path=" + c.path("all.wav"), "-machine", "pcspk-audiodev=a",
                      "-audiodev", "none,id=n"])
    try:
        def said(line, want):
            text = vm.qmp.human(line)
            expect(want in text if want else text == "", "%s: %r" % (line, text))
        said("wavcapture", "usage: wavcapture FILE AUDIODEV")
        said("wavcapture %s b" % c.path("x"), "no sound device plays to an audiodev of that name")
        said("wavcapture %s a" % c.path("no/x"), "No such file")
        said("wavcapture %s a 44100 12" % c.path("x"), "must be 8 or 16")
        said("wavcapture %s a 44100 16 3" % c.path("x"), "must be from 1 to 2")
        said("wavcapture %s a 1" % c.path("x"), "must be from 8000 to 96000")
        said("info capture", "")
        said("wavcapture %s a" % c.path("one.wav"), "")
        said('wavcapture "%s" a 22050 8 1' % c.path("two.wav"), "")
        said("info capture", "[1]: Capturing audio(22050,8,1) to %s: " % c.path("two.wav"))
        vm.wait_for("a second of sound", lambda: os.path.getsize(c.path("one.wav")) > 3 * 44100 * 4, 60)
        said("stopcapture 2", "there is no capture 2")
        said("stopcapture 0", "")
        said("stopcapture 0", "")
        said("stopcapture 0", "there is no capture 0")
    finally:
        vm.close()
    for name, rate, width, channels in ("one.wav", 44100, 2, 2), ("two.wav", 22050, 1, 1):
        with wave.open(c.path(name)) as w:
            expect((w.getframerate(), w.getsampwidth(), w.getnchannels()) == (rate, width, channels), name)
            data = w.readframes(w.getnframes())
        high = [b > 140 for b in data] if width == 1 else [128 > b > 8 for b in data[1::4]]
        last = high[-rate:]
        rises = sum(not a and b for a, b in zip(last, last[1:]))
        expect(980 <= rises <= 1020, "%s: %d periods in its last second" % (name, rises))


@case
def a_chardev_that_nobody_has(c):
    """Each -chardev is opened, whether a device has it or not; what cannot be is refused."""
    vm = VM(c.ring3, ["-fda", c.floppy(HALT), "-chardev", "socket,id=s,path=%s,server=on,wait=off" % c.path("s"), "-chardev",
                      "file,id=f,path=" + c.path("f"), "-chardev", "ringbuf,id=r", "-chardev", "msmouse,id=m", "-chardev", "vc,id=v"])
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(c.path("s"))
            s.sendall(b"x" * 100000)  # goes nowhere
        expect(os.path.exists(c.path("f")), "no file")
        expect(vm.qmp.human("ringbuf_write r hello") == "" and vm.qmp.human("ringbuf_read r 9") == "hello\r\n", "ringbuf")
        names = {d["label"] for d in vm.qmp.run("query-chardev")["return"]}
        expect({"s", "f", "r", "m", "v", "serial0"} <= names, "%s" % names)
        vm.quit()
    finally:
        vm.close()
    c.refused("No such file", "-chardev", "file,id=f,path=/no/such/folder/f")
    c.refused("another program|directory|No such", "-chardev", "socket,id=s,path=/no/such/folder/s,server=on,wait=off")
    c.refused("power of two", "-chardev", "ringbuf,id=r,size=100")
    c.refused("cannot connect: No such file", "-chardev", "socket,id=s,path=" + c.path("t"))
    c.refused("the terminal can serve one", "-chardev", "stdio,id=a", "-serial", "stdio")


@case
def sockets_of_other_programs(c):
    """Without server=on ring3 is the client: serial ports, a monitor, QMP; reconnect= tries again."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        port = tcp.getsockname()[1]
        unix.bind(c.path("listener"))
        unix.listen()
        for options in (["-serial", "tcp:127.0.0.1:%d" % port], ["-serial", "tcp::%d,nodelay" % port],
                        ["-chardev", "socket,id=s,host=localhost,port=%d" % port, "-serial", "chardev:s"],
                        ["-serial", "unix:" + c.path("listener")],
                        ["-chardev", "socket,id=s,path=" + c.path("listener"), "-serial", "chardev:s"]):
            server = unix if c.path("listener") in " ".join(options) else tcp
            vm = VM(c.ring3, ["-fda", c.floppy(ECHO_HELLO), *options])
            try:
                with server.accept()[0] as s:
                    talk(s, b"", b"up")
                    talk(s, b"Zq", b"Zq")
                expect(vm.qmp.run("query-status")["return"]["running"], "it runs on without")
            finally:
                vm.close()
        # A server that goes and comes back.
        vm = VM(c.ring3, ["-fda", c.floppy(LOOP), "-chardev", "socket,id=m,host=127.0.0.1,port=%d,reconnect=1" % port, "-mon",
                          "chardev=m", "-S"])
        try:
            for _ in range(3):
                tcp.settimeout(20)
                with tcp.accept()[0] as s:
                    talk(s, b"info status\r", b"VM status: paused")
        finally:
            vm.close()
        for options in (["-qmp", "unix:" + c.path("listener")],
                        ["-chardev", "socket,id=q,path=" + c.path("listener"), "-mon", "chardev=q,mode=control"]):
            p = subprocess.Popen([c.ring3, "-display", "none", "-fda", c.floppy(LOOP), *options])
            unix.settimeout(20)
            with unix.accept()[0] as s:
                talk(s, b"", b"QMP")
                talk(s, b'{"execute":"qmp_capabilities"}', b"return")
                s.sendall(b'{"execute":"quit"}')
                expect(p.wait(20) == 0, "quit")
    # One that is not there yet.
    vm = VM(c.ring3, ["-fda", c.floppy(ECHO_HELLO), "-chardev", "socket,id=s,path=%s,reconnect=1" % c.path("late"), "-serial",
                      "chardev:s"])
    try:
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind(c.path("late"))
            unix.listen()
            unix.settimeout(20)
            with unix.accept()[0] as s:
                talk(s, b"Z", b"Z")
    finally:
        vm.close()
    c.refused("cannot connect: Connection refused", "-serial", "tcp:127.0.0.1:%d" % port)
    c.refused("cannot connect: Connection refused", "-qmp", "tcp:127.0.0.1:%d" % port)
    c.refused("nearest is 'server'", "-serial", "tcp:127.0.0.1:%d,sever=on" % port)
    c.refused("not with server=on", "-serial", "tcp:127.0.0.1:%d,server=on,reconnect=1" % port)
    c.refused("too long a path", "-serial", "unix:/" + "x" * 200)


@case
def qemus_name_gives_qemus_prompts(c):
    """By a link called qemu-system-i386: banner, prompt and the last line are those that scripts wait for."""
    link = c.path("qemu-system-i386")
    os.symlink(c.ring3, link)
    p = subprocess.Popen([link, "-display", "none", "-monitor", "stdio", "-fda", c.floppy(HALT),
                          "-uuid", "12345678-0000-4000-8000-123456789abc"], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)

    def until(end):
        text = b""
        while end not in text:
            got = os.read(p.stdout.fileno(), 4096)
            expect(got, "ended after %r" % text)
            text += got
        return text.decode()
    try:
        expect(until(b"(qemu) ").startswith("QEMU "), "the banner")
        for command, want in (("info mem", "PG disabled"), ("info pic", "pic0: irr=.. imr=.. isr=.. hprio=. irq_base="),
                              ("info irq", "IRQ statistics for isa-i8259:"), ("info mtree", r"prio 1, i/o\): vga"),
                              ("cpu 1", "invalid CPU index"), ("gdbserver none", "Disabled gdbserver"),
                              ("gdbserver tcp:no.such:1", "Could not open"), ("nmi", ""),
                              ("info pci", r"0, device   1, function 1:\r?\n    IDE controller: PCI device 8086:7010"),
                              ("info pci", r"BAR0: 32 bit prefetchable memory at 0x\w{8} \[0x\w{6}ff\]\."),
                              ("info cpus", r"\* CPU #0: thread_id=\d+"), ("info uuid", "12345678-0000-4000-8000-123456789abc"),
                              ("info kvm", "kvm support: disabled"), ("info usb", "not enabled"), ("info snapshots", "no states"),
                              ("savevm x", "no states"), ("sum 0xffff0 2", "00208"), ("gva2gpa 0x7c00", "gpa: 0x7c00"),
                              ("info lapic", r"LVT1\t 0x00008400 active-hi level  +NMI +\r?\n[^!]*"
                                             r"APR 0x00 TPR 0x00 DFR 0x0f LDR 0x00 PPR 0x00"),
                              ("boot_set dn", "boot device list now set to dn"), ("o 0x70 0x3d", ""), ("i 0x71", "= 0x43"),
                              ("boot_set xc", "Invalid boot device 'x'"), ("boot_set cc", "'c' was given twice"),
                              ("boot_set acdn", "Too many boot devices"), ("boot_set cb", "for PC: 'b'"), ("i 0x71", "= 0x43"),
                              ("log foo", "Log items .*\r?\nnone "), ("log none", ""),
                              ("help sum", "sum ADDRESS SIZE"), ("? info", "info pci"), ("s", ""), ("info status", "paused")):
            p.stdin.write(command.encode() + b"\n")
            text = until(b"(qemu) ")
            expect(re.search(want, text), "%s: %r" % (command, text))
        p.terminate()
        expect(re.match(r"qemu-system-i386: terminating on signal 15 from pid %d " % os.getpid(),
                        p.communicate(timeout=10)[1].decode()), "the end")
    finally:
        p.kill()
        p.wait()
    r = subprocess.run([link, "-frob"], capture_output=True, text=True)
    expect(r.stderr.startswith("qemu-system-i386: ") and r.returncode == 1, r.stderr)


# A BIOS: MOV CX, 5; 3: INC AX; LOOP 3; MOV AL, 0; OUT F4, AL; JMP $. The reset vector is behind it.
LOOP_ROM = (bytes.fromhex("b90500 40 e2fd b000 e6f4 ebfe").ljust(0xfff0, b"\xf4") + bytes.fromhex("ea000000f0")).ljust(1 << 16, b"\0")


@case
def the_log_of_what_runs(c):
    """-d exec and cpu, in QEMU's format: every unit that runs, with the registers it finds."""
    path, rom = c.path("log"), c.path("bios")
    with open(rom, "wb") as f:
        f.write(LOOP_ROM)
    turns, ends = [0xf0003, 0xf0004] * 5, [0xf0006, 0xf0008]
    for engine, want in (("bt", [0xf0003] * 4 + [0xf0006]), ("trap", None), ("bt,tu=1", turns + ends), ("interp", turns + ends)):
        done = subprocess.run([c.ring3, "-engine", engine, "-display", "none", "-bios", rom, "-d", "exec,cpu", "-D", path,
                               "-device", "isa-debug-exit,iobase=0xf4,iosize=4"], capture_output=True, text=True, timeout=30)
        expect(done.returncode == 1 and not done.stderr, "%s: status %d: %s" % (engine, done.returncode, done.stderr))
        with open(path) as f:
            text = f.read()
        lines = [t for t in re.split(r"^(?=Trace)", text, flags=re.M)[1:] if "Stopped execution of TB chain before 0x0 [" not in t]
        pieces = [re.fullmatch(r"Trace 0: 0x0 \[(\w{8})/(\w{8})/00000040/00000000\] \nEAX=(\w{8}) EBX=.* ECX=(\w{8}) EDX=.*\n"
                               r"ESI=.*\nEIP=(\w{8}) EFL=(?:.*\n){14}EFER=0{16}\n", t) for t in lines]
        expect(all(pieces), "%s: lines in another form: %s" % (engine, text[:1500]))
        pieces = [p.groups() for p in pieces]
        pieces = [tuple(int(n, 16) for n in p) for p in pieces]
        expect(all(base + eip == pc for base, pc, _, _, eip in pieces), engine + ": addresses")
        expect([p[1] for p in pieces[:2]] == [0xfffffff0, 0xf0000], engine + ": the start")
        expect(not want or [p[1] for p in pieces[2:len(want) + 2]] == want, "%s: %x" % (engine, pieces[2][1]))
        found = [(eax, ecx) for _, pc, eax, ecx, _ in pieces if pc == 0xf0003]
        expect(found == [(n, 5 - n) for n in range(5)][-len(found):], "%s: registers %s" % (engine, found))


# A BIOS: XOR AX, AX; MOV SS, AX; MOV SP, 7C00; MOV CX, 7; A: INC AX; PUSH AX; POP BX; LOOP A; CALL 13; NOP; 13: POP DX;
# MOV AL, 0; OUT F4, AL; JMP $.
STEPS_ROM = (bytes.fromhex("31c0 8ed0 bc007c b90700 40 50 5b e2fb e80100 90 5a b000 e6f4 ebfe").ljust(0xfff0, b"\xf4") +
             bytes.fromhex("ea000000f0")).ljust(1 << 16, b"\0")
STEPS = [0xfffffff0] + [0xf0000 + at for at in (0, 2, 4, 7, *(0xa, 0xb, 0xc, 0xd) * 7, 0xf, 0x13, 0x14, 0x16)]


@case
def single_steps(c):
    """-singlestep, by its three names: -d exec has each instruction that runs, -d in_asm each by itself."""
    path, rom = c.path("log"), c.file("bios", STEPS_ROM)
    for options, single in (["-singlestep"], True), (["-one-insn-per-tb"], True), (["-accel", "tcg,one-insn-per-tb=on"], True), \
            (["-singlestep", "-engine", "trap"], True), (["-accel", "tcg,one-insn-per-tb=off"], False):
        r = c.run("-display", "none", "-bios", rom, "-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-d", "exec,in_asm", "-D", path,
                  *options)
        expect(r.returncode == 1 and not r.stderr, "%s: %d, %s" % (options, r.returncode, r.stderr))
        with open(path) as f:
            text = re.sub(r"^Trace .*\n((?:(?!Trace|Stopped).*\n)*)Stopped execution .*\n", r"\1", f.read(), flags=re.M)
        ran = [int(pc, 16) for pc in re.findall(r"^Trace 0: 0x0 \[\w{8}/(\w{8})/", text, re.M)][:len(STEPS)]
        units = [re.findall(r"^0x(\w{8}):", unit, re.M) for unit in re.findall(r"^IN: \n((?:0x\w{8}:.*\n)+)", text, re.M)]
        longest, shown = max(map(len, units)), {int(unit[0], 16) for unit in units}
        if single:
            expect(ran == STEPS, "%s: %s" % (options, [hex(pc) for pc in ran]))
            # what follows MOV SS is interpreted
            expect(longest == 1 and set(STEPS) - shown == {0xf0004}, "%s: units %s" % (options, units))
        else:
            expect(len(ran) < len(STEPS) and longest > 1, "%s: %d lines, units %s" % (options, len(ran), units))
    vm = VM(c.ring3, ["-singlestep", "-bios", rom])
    try:
        expect(vm.qmp.run("query-status")["return"]["singlestep"] is True, "query-status")
    finally:
        vm.close()


@case
def the_log_of_d(c):
    """Its items, by QEMU's names and formats; of translated system calls, too."""
    path = c.path("log")

    def in_log(what):
        with open(path) as f:
            return re.search(what, f.read(), re.M)

    boot_sector = r"^0x00007c00:  eb fe +jmp +0x7c00$"
    vm = VM(c.ring3, ["-d", "int,in_asm,cpu_reset,guest_errors", "-D", path, "-fda", c.floppy(LOOP)], reboot=True)
    try:
        vm.wait_for("code of the boot sector", lambda: in_log(boot_sector), 60)
        vm.qmp.human("system_reset")
        vm.wait_for("a second reset", lambda: in_log(r"(?s)^CPU Reset .*^CPU Reset "), 60)
    finally:
        vm.close()
    with open(path) as f:
        text = f.read()
    expect(len(re.findall(r"^CPU Reset \(CPU 0\)\nEAX=\w{8} EBX=", text, re.M)) >= 2, "resets: " + text[:200])
    expect(re.search(r"^-{16}\nIN: \n0xfffffff0:  ea 5b e0 00 f0 +jmp", text, re.M | re.I) or
           re.search(r"^IN: \n0x000fe05b:", text, re.M), "no code of the BIOS: " + text[:2000])
    expect(re.search(boot_sector, text, re.M), "no code of the boot sector")
    kernel = os.path.join(TOP, "build", "tests", "guests", "sys.elf")
    subprocess.run([c.ring3, "-display", "none", "-kernel", kernel, "-debugcon", "null", "-device",
                    "isa-debug-exit,iobase=0xf4,iosize=4", "-d", "int", "-D", path],
                   capture_output=True, timeout=30)
    with open(path) as f:
        lines = re.findall(r"^ *(\d+): v=(..) e=(.{4}) i=([01]) cpl=[0-3] IP=.{4}:.{8} pc=.{8} SP=.{4}:.{8} (.*)=.{8}\nEAX=",
                           f.read(), re.M)
    expect([int(n) for n, *_ in lines] == list(range(len(lines))), "numbers")
    seen = {(v, i) for _, v, _, i, _ in lines}
    expect({("0d", "0"), ("0e", "0"), ("30", "1"), ("08", "0")} <= seen, "exceptions and INTs: %s" % sorted(seen))
    expect({r for _, v, _, _, r in lines if v == "0e"} == {"CR2"}, "#PF without CR2")
    c.refused("'inn'.*nearest is 'int'", "-d", "inn")
    c.refused("No such file or directory", "-d", "int", "-D", "/nonexistent/log")


@case
def what_runs_instead_is_said(c):
    for words, text in ((["-enable-kvm"], "ring3: warning: no KVM is used: the translator runs the guest\n"),
                        (["-accel", "kvm:tcg", "--engine", "interp"],
                         "ring3: warning: no KVM is used: the reference interpreter runs the guest\n")):
        r = c.run(*words, "-display", "none", "-bios", "/nonexistent")
        expect(r.stderr.startswith(text) and r.stderr.count("\n") == 2, r.stderr)


@case
def pidfile(c):
    path = c.path("pid")
    vm = VM(c.ring3, ["-pidfile", path, "-fda", c.floppy(LOOP)])
    try:
        with open(path) as f:
            expect(int(f.read()) == vm.process.pid, "another number")
        c.refused("pid: a running process holds it", "-pidfile", path)
        expect(vm.quit() == 0 and not os.path.exists(path), "the file is left behind")
    finally:
        vm.close()
    with open(path, "w") as f:
        f.write("1234567\n")
    vm = VM(c.ring3, ["-pidfile", path, "-fda", c.floppy(LOOP)])
    try:
        with open(path) as f:
            expect(f.read() == "%d\n" % vm.process.pid, "an old file is not written over")
    finally:
        vm.close()
    c.refused("No such file or directory", "-pidfile", "/nonexistent/pid")


@case
def without_firmware_it_says_so(c):
    c.refused("nonexistent", "-bios", "/nonexistent")


if __name__ == "__main__":
    sys.exit(main(__doc__))
