#!/usr/bin/env python3
"""The small options, from outside: firmware's, ports', the machine's, the background.

  options.py [--ring3 PATH] [NAME…]
"""
import os
import re
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from cases import Skipped, case, expect  # noqa: E402
from context import LOOP, TOP, main  # noqa: E402
from sectors import END, START  # noqa: E402
from vm import VM, free_port  # noqa: E402

SEABIOS = "/usr/share/seabios"
EXIT = ["-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
# print DL by INT 17h
PRINT = "b400 ba0000 b0%02x cd17"


def guest(c, code, *options):
    return c.run("-display", "none", "-m", "8", "-fda", c.floppy(code), "-boot", "a", *EXIT, *options)


def read(path):
    with open(path, "rb") as f:
        return f.read()


@case
def parallel_port(c):
    """INT 17h prints to a file; without -parallel there is no port."""
    code = START + bytes.fromhex("".join(PRINT % ord(x) for x in "Hi\n")) + END
    r = guest(c, code, "-parallel", "file:" + c.path("paper"))
    expect(r.returncode == 1 and read(c.path("paper")) == b"Hi\n", "%r, %s" % (read(c.path("paper")), r.stderr))
    # in al,378; out E9,al
    look = bytes.fromhex("ba7803 ec e6e9") + END
    for options, want in ((), b"\xff"), (("-parallel", "none"), b"\xff"), (("-parallel", "null"), b"\xaa"):  # SeaBIOS looked for it
        guest(c, look, *options, "-debugcon", "file:" + c.path("said"))
        expect(read(c.path("said"))[-1:] == want, "%s: %r" % (options, read(c.path("said"))[-4:]))


@case
def fw_cfg_items(c):
    """What SeaBIOS takes by such an item is seen: a message at start."""
    text = c.file("banner", b"from a file")
    # write "name" into 510 is long: read the directory by DMA is longer; so ask SeaBIOS's log of files
    for options in ("-fw_cfg", "name=opt/a,string=x,,y"), ("-fw_cfg", "opt/b,file=" + text):
        r = guest(c, END, *options, "--trace", "fw")
        expect(r.returncode == 1, r.stderr[-200:])
    c.refused("one of file= and string=", "-fw_cfg", "name=opt/a")
    c.refused("one of file= and string=", "-fw_cfg", "name=opt/a,string=x,file=y")
    c.refused("No such file", "-fw_cfg", "name=opt/a,file=/no/such/file")
    r = guest(c, END, "-fw_cfg", "name=etc/x,string=1")
    expect("opt/" in r.stderr, r.stderr)


@case
def smbios_fields(c):
    """SeaBIOS puts them into its tables, which lie in memory."""
    uuid = "12345678-9abc-def0-1234-56789abcdef0"
    vm = VM(c.ring3, ["-m", "8", "-fda", c.floppy(LOOP), "-boot", "a", "-smbios", "type=1,manufacturer=Ringmakers,product=Three,"
                      "serial=S-7,uuid=" + uuid, "-smbios", "type=0,vendor=Firm"])
    try:
        def tables():
            vm.qmp.run("pmemsave", val=0, size=8 << 20, filename=c.path("memory"))
            memory = read(c.path("memory"))
            return all(x in memory for x in (b"Ringmakers\0Three\0", b"S-7\0", b"Firm\0")) and memory
        memory = vm.wait_for("the tables", tables, 20)
        expect(bytes.fromhex("78563412bc9af0de123456789abcdef0") in memory, "the UUID")
    finally:
        vm.quit()
        vm.close()
    c.refused("is no UUID", "-smbios", "type=1,uuid=12")
    c.refused("wants type=0", "-smbios", "type=5,serial=1")
    c.refused("has no 'produkt=x'", "-smbios", "type=1,produkt=x")


@case
def option_roms(c):
    """An option ROM runs before the disk is booted."""
    # 55 AA, 1 sector; mov al,'R'; out E9,al; retf
    rom = bytearray(bytes.fromhex("55aa01 b052 e6e9 cb").ljust(512, b"\0"))
    rom[511] = -sum(rom) & 0xff
    r = guest(c, bytes.fromhex("b042 e6e9") + END, "-option-rom", c.file("my.rom", bytes(rom)), "-debugcon",
              "file:" + c.path("said"))
    expect(r.returncode == 1 and re.search(rb"R.*B$", read(c.path("said")), re.S), "%r" % read(c.path("said"))[-40:])
    c.refused("55 AA", "-option-rom", c.file("bad.rom", bytes(512)))
    c.refused("No such file", "-option-rom", "/no/such/rom")


@case
def firmware_folders_add_up(c):
    """Several -L, the first that has it, then the usual ones."""
    os.mkdir(c.path("one"))
    os.mkdir(c.path("two"))
    r = guest(c, END, "-L", c.path("one"), "-L", c.path("two"))
    expect(r.returncode == 1, r.stderr)
    with open(c.path("two/bios-256k.bin"), "wb") as f:
        f.write(b"short")
    c.refused("two/bios-256k.bin: a BIOS is", "-L", c.path("one"), "-L", c.path("two"))
    c.refused("No such file", "-L", "/no/such/folder")


# FS reaches 4 GiB. At FFFB0000: query; a block is erased, a byte programmed, a buffer of four bytes written; E9 gets the
# query's Q, the status after each of the three, and three bytes as they then are.
FLASH = bytes.fromhex(
    "31c08ed8fa660f0116d57c0f20c00c010f22c0bb08008ee324fe0f22c066bf0000fbff6467c6079864678a4710e6e96467c6"
    "07ff6467c68734120000206467c68734120000d0e880006467c68705100000406467c687051000005ae86b006467c6870020"
    "0000e86467c68700200000036467c68710200000726467c68711200000696467c687122000006e6467c68713200000676467"
    "c68700200000d0e829006467c607ff64678a8705100000e6e964678a8704100000e6e964678a8712200000e6e9b000e6f4eb"
    "fe64678a07e6e96467c60750c30f00db7c00000000000000000000ffff00000092cf00")


@case
def flash(c):
    """Firmware in one chip, variables in another below it; what the guest programs is in the file."""
    bios = c.file("bios", read(SEABIOS + "/bios-256k.bin"))
    before = b"\x33" * 0x2000 + b"\xff" * 0xe000
    both = ["-drive", "if=pflash,format=raw,readonly=on,file=" + bios, "-drive"]

    def run(options):
        variables = c.file("variables", before)
        r = guest(c, FLASH, *both, "if=pflash,format=raw,%sfile=%s" % (options, variables), "-debugcon", "file:" + c.path("said"))
        expect(r.returncode == 1 and not r.stderr, r.stderr)
        return read(c.path("said"))[-7:], read(variables)
    said, after = run("")
    want = bytearray(before)
    want[0x1000:0x2000] = b"\xff" * 0x1000
    want[0x1005] = 0x5a
    want[0x2010:0x2014] = b"ring"
    expect(said == b"Q\x80\x80\x80\x5a\xffn", "%r" % said)
    expect(after == bytes(want), "the file")
    said, after = run("readonly=on,")
    expect(said == b"Q\xa0\x90\x90\x33\x33\xff" and after == before, "read only: %r" % said)
    said, after = run("snapshot=on,unit=1,")
    expect(said == b"Q\x80\x80\x80\x5a\xffn" and after == before, "snapshot: %r" % said)
    vm = VM(c.ring3, ["-m", "8", "-fda", c.floppy(LOOP), *both, "if=pflash,format=raw,file=" + c.path("variables")])
    try:
        shown = vm.qmp.human("info block")
        expect(re.search(r"pflash0: .*/bios \(raw, read-only\)", shown) and re.search(r"pflash1: .*/variables \(raw\)", shown), shown)
        drives = {d["device"]: d for d in vm.qmp.run("query-block")["return"]}
        expect(drives["pflash0"]["inserted"]["ro"] and not drives["pflash1"]["removable"], str(drives))
        wrong = vm.qmp.run("eject", device="pflash1")
        expect("not removable" in wrong["error"]["desc"], str(wrong))
    finally:
        vm.quit()
        vm.close()
    r = guest(c, END, "-drive", "if=pflash,format=raw,file=" + bios)
    expect(r.returncode == 1 and not r.stderr and read(bios) == read(SEABIOS + "/bios-256k.bin"), r.stderr)
    c.refused("only with a unit=0", "-drive", "if=pflash,format=raw,unit=1,file=" + bios)
    c.refused("unit=2: 0 is", "-drive", "if=pflash,format=raw,unit=2,file=" + bios)
    c.refused("taken already", *both, "if=pflash,format=raw,unit=0,file=" + bios)
    c.refused("given twice", *both[:2], "-bios", bios)
    c.refused("multiple of 4 KiB", "-drive", "if=pflash,format=raw,file=" + c.file("odd", size=5120))
    c.refused("at most 8 MiB", *both, "if=pflash,format=raw,file=" + c.file("large", size=8 << 20))


@case
def boot_once(c):
    """The first start is from the floppy, the one after a reset from the hard disk."""
    again = bytes.fromhex("b0fe e664") + LOOP
    disk = c.file("disk", (bytes.fromhex("b002 e6e9") + END).ljust(510, b"\0") + b"\x55\xaa", 1 << 20)
    floppy = c.floppy(bytes.fromhex("b001 e6e9") + again)
    r = c.run("-display", "none", "-m", "8", "-fda", floppy, "-drive", "format=raw,file=" + disk, "-boot", "once=a,order=c",
              "-debugcon", "file:" + c.path("said"), *EXIT)
    starts = re.sub(rb"[^\1\2]", b"", read(c.path("said")))
    expect(r.returncode == 1 and starts == b"\1\2", "%r" % starts)
    c.refused("without a letter", "-boot", "order=")
    c.refused("each once", "-boot", "order=cc")
    r = guest(c, END, "-boot", "menu=on,splash-time=1")
    expect(r.returncode == 1, r.stderr)


@case
def machines(c):
    for kind in "pc", "pc-i440fx-2.1", "pc-i440fx-10.0", "type=pc,acpi=off":
        expect(guest(c, END, "-machine", kind).returncode == 1, kind)
    expect("pc" in c.run("-machine", "help").stdout, "-machine help")
    for kind in "none", "microvm":
        c.refused("is not there: pc", "-machine", kind)
    c.refused("nearest is", "-machine", "pcc")
    c.refused("hpet", "-machine", "pc,hpet=maybe")
    for there, options in (True, []), (True, ["-machine", "pc,hpet=on"]), (False, ["-machine", "hpet=off"]), \
            (False, ["-no-hpet"]):
        vm = VM(c.ring3, ["-m", "8", "-fda", c.floppy(LOOP), "-boot", "a", *options])
        try:
            time.sleep(1)
            vm.qmp.run("pmemsave", val=0, size=8 << 20, filename=c.path("memory"))
            table = b"HPET\x38\0\0\0\x01" in read(c.path("memory"))
            expect(table == there, "the HPET's table with %s" % options)
        finally:
            vm.quit()
            vm.close()
    for tables, options in (True, []), (False, ["-no-acpi"]):
        vm = VM(c.ring3, ["-m", "8", "-fda", c.floppy(LOOP), "-boot", "a", *options])
        try:
            time.sleep(2)
            vm.qmp.run("pmemsave", val=0xe0000, size=0x20000, filename=c.path("bios"))
            bios = read(c.path("bios"))
            found = [m for m in re.finditer(b"RSD PTR ", bios) if sum(bios[m.start():m.start() + 20]) % 256 == 0]
            expect(bool(found) == tables, "ACPI with %s" % options)
        finally:
            vm.quit()
            vm.close()


@case
def isapc(c):
    """A board without PCI: nobody answers at CF8, cards are ISA's, IDE disks and resets work."""
    # mov eax,80000000; mov dx,CF8; out dx,eax; in eax,dx; out E9,al; shr eax,24; out E9,al; a reset by the 8042
    code = bytes.fromhex("66b800000080 baf80c 66ef 66ed e6e9 66c1e818 e6e9 b0fe e664") + LOOP
    disk = c.file("disk", (bytes.fromhex("b002 e6e9") + END).ljust(510, b"\0") + b"\x55\xaa", 1 << 20)
    for machine, want in ("isapc", b"\xff\xff\2"), ("pc", b"\0\x80\2"):
        r = c.run("-display", "none", "-machine", machine, "-m", "8", "-fda", c.floppy(code), "-drive", "format=raw,file=" + disk,
                  "-boot", "once=a,order=c", "-debugcon", "file:" + c.path("said"), *EXIT)
        said = re.sub(rb"[^\0\2\x80\xff]", b"", read(c.path("said")))
        expect(r.returncode == 1 and said == want, "%s: %r, %s" % (machine, said, r.stderr))
    r = guest(c, END, "-machine", "isapc", "-vga", "cirrus", "-nic", "user", "-device", "sb16")
    expect(r.returncode == 1 and not r.stderr, r.stderr)
    c.refused("no PCI bus on this board", "-machine", "isapc", "-device", "e1000")
    c.refused("no PCI bus on this board", "-M", "isapc", "-device", "AC97")
    vm = VM(c.ring3, ["-M", "isapc", "-m", "8", "-fda", c.floppy(LOOP), "-boot", "a", "-nic", "user", "-nic", "user"])
    try:
        chips = re.findall(r"dev: (\S+)", vm.qmp.human("info qtree"))
        expect(chips.count("ne2k_isa") == 2 and "vga" in chips, str(chips))
        wrong = {"pci", "i440fx", "piix3", "piix4", "hpet", "ioapic", "lapic"} & set(chips)
        expect(not wrong and vm.qmp.run("query-pci")["return"] == [], "it has %s" % wrong)
        map = vm.qmp.human("info mtree")
        expect("00000000e0000000-00000000e0ffffff" in map and "cf8" not in map, map)
        expect(vm.qmp.human("info network").count("card=ne2k_isa") == 2, vm.qmp.human("info network"))
        expect("ioapic" not in vm.qmp.human("info irq") + vm.qmp.human("info pic"), "an I/O APIC")
    finally:
        vm.quit()
        vm.close()


# What the board lacks, and the one line that says so; None: nothing is said, since nobody could see a difference.
GOES_ON = [
    ("-smp 2", "one processor"), ("-smp cpus=4,cores=2,threads=2,maxcpus=8", "one processor"), ("-smp 1,sockets=1", None),
    ("-usb -device usb-tablet -usbdevice mouse", "no USB"), ("-machine usb=on", "no USB"), ("-device qemu-xhci", "no USB"),
    ("-machine pc,usb=off,smm=off,kernel_irqchip=on,mem-merge=off,vmport=auto", None), ("-m size=16M,slots=2,maxmem=64M", None),
    ("-vga vmware", "std is there"), ("-device qxl-vga", "VGA is there"), ("-device VGA,vgamem_mb=64", "the chip has 16"),
    ("-net nic,model=virtio -net user", "an e1000"), ("-nic user,model=i82551", "an e1000"), ("-device tulip", "an e1000"),
    ("-device e1000-82540em", None), ("-device ac97", None), ("-device intel-hda", "no such sound card"),
    ("-device virtio-rng-pci", "goes without"), ("-object rng-random,id=r,filename=/dev/null", "nothing here uses"),
    ("-object memory-backend-ram,id=r,size=8M -machine memory-backend=r", None),
    ("-cpu Nehalem,-x2apic", None), ("-cpu Skylake-Client-v3,check", "Broadwell is"), ("-cpu qemu64", "qemu32 is"),
    ("-cpu pentium,level=1", "model's own"), ("-cpu pentium3,+x2apic", "no model here"), ("-cpu core2duo,enforce", None),
    ("-d pcall,int", "not logged so"), ("-d unimp,guest_errors", None), ("-icount shift=auto", "-deterministic"),
    ("-watchdog i6300esb -watchdog-action reset", "there is none"), ("-trace events=x", "QEMU's events"),
    ("-overcommit mem-lock=off -msg timestamp=on -sandbox on -mem-prealloc -mem-path /tmp", None),
    ("-no-kvm -win2k-hack -rtc-td-hack -alt-grab -ctrl-grab -no-quit -show-cursor -nodefconfig -g 1024x768x32", None),
    ("-global PIIX4_PM.disable_s3=1", "changes nothing"), ("-serial vc -monitor vc -parallel vc:80Cx25C", None),
    ("-chardev vc,id=v,cols=80 -serial chardev:v", None), ("-display gtk,zoom-to-fit=on -display none", None),
    ("-net nic,vlan=0,model=ne2k_isa,addr=3 -net user,vlan=0", None), ("-std-vga", None), ("-cirrusvga", None),
    ("-machine q35", "pc (Intel 440FX) is instead"), ("-machine pc-q35-7.2,smm=off,sata=off,pit=on", "pc (Intel 440FX) is instead"),
    ("-machine pc,max-ram-below-4g=2G,accel=kvm:hax:tcg", "no KVM is used"), ("-accel hax", "no hax is used"),
    ("-accel tcg,tb-size=64,split-wx=off", None), ("-cpu 486-v1", None), ("-cpu Conroe-v1,-lm", None),
    ("-smbios type=0,vendor=X -smbios type=2,serial=2", "left out"), ("-seed 5", "-deterministic"), ("-dtb x", None),
    ("-device pcnet,bus=pcie.0", None), ("-device vmgenid", "goes without"), ("-soundhw hda", "no such sound card"),
    ("-vga none -device VGA,edid=on,xres=800,yres=600,xmax=1600,ymax=1200", None),
    ("-machine pc,i8042=off", "the keyboard is there"),
    ("-d trace:*ahci*,trace:*ide*,int -D /dev/null", "QEMU's events are not here"), ("-device usb-host,hostbus=1,hostaddr=2", "no USB"),
    ("-device pci-bridge,id=b,chassis_nr=1 -device e1000,bus=b,addr=1 -device ES1370,bus=b,addr=1", "goes without"),
    ("-device sdhci-pci", "goes without"), ("-audiodev coreaudio,id=a -machine pcspk-audiodev=a", None),
    ("-chardev stdio,id=c,mux=on,signal=off -mon chardev=c,mode=readline -serial chardev:c", None),
]
REFUSED = [
    ("-spice port=1", "-vnc"), ("-loadvm x", "states"), ("-incoming tcp:0:1", "states"), ("-virtfs local", "fat:"),
    ("-readconfig f", "command line"), ("-preconfig", "-S"), ("-smp x", "no number"), ("-global x", "DEVICE.KEY=VALUE"),
    ("-global isa-debugcon.iobase=x -debugcon null", "no number"), ("-echr 200", "control character"),
    ("-hdachs 0,1,1", "CYLINDERS"), ("-redir tcp:1", "HOST-PORT"), ("-action reboot=never", "nearest is 'reset'"),
    ("-audio none,model=hda", "not known"), ("-audio wave,model=sb16", "nearest is 'wav'"), ("-uuid 12", "no UUID"),
    ("-blockdev driver=raw,node-name=a", "a file name"), ("-blockdev driver=raw,node-name=a,file=b", "no such node"),
    ("-blockdev {x", "no JSON"), ("-blockdev driver=qcow,node-name=a,file.filename=x", "nearest is 'qcow2'"),
    ("-redir tcp:5555::23 -net socket,listen=:1", "only with -nic user"), ("-cpu Nehelem", "nearest is 'Nehalem'"),
    ("-machine microvm", "is not there"), ("-accel tgc", "nearest is 'tcg'"), ("-machine accel=kvm:tgc", "nearest is 'tcg'"),
    ("-runas nobody", "as that user"), ("-chroot /tmp", "start ring3 in it"), ("-plugin x.so", "plugins"), ("-soundhw hdaa", "nearest"),
    ("-netdev bridge,id=n,br=virbr0", "tap,ifname=NAME,script=no"), ("-netdev vde,id=n", "user, tap and socket are"),
    ("-nic user,smb=/tmp", "no SMB server here"), ("-serial /dev/null", "no terminal, nor a serial port"),
    ("-cdrom https://example.org/x.iso", "no URLs"), ("-serial /dev/nosuch", "No such file"), ("-cpu 487-v1", "nearest is '486'"), ("-smbios type=5", "wants type=0"),
]


@case
def what_is_not_here(c):
    """QEMU's users' lines start the guest: one line for what it goes without, once; or the reason why it cannot."""
    for options, want in GOES_ON:
        r = guest(c, END, *options.split(), "-display", "none")
        lines = r.stderr.strip().split("\n") if r.stderr.strip() else []
        expect(r.returncode == 1 and len(lines) == (want is not None), "%s: %d, %r" % (options, r.returncode, r.stderr))
        expect(not want or want in lines[0], "%s: %s" % (options, r.stderr))
    for options, want in REFUSED:
        c.refused(want, *options.split())


@case
def disks_say_who_they_are(c):
    """serial=, model= and ver=; and words that old command lines and libvirt have."""
    # IDENTIFY by polling, its words 10 to 46 to port E9
    code = bytes.fromhex("baf601 b0a0 ee 42 b0ec ee ec 2488 3c08 75f9 baf001 b90001 bf007e fc f36d be147e b94a00 ac e6e9 e2fb") + END
    disk, said = c.file("disk", b"", 1 << 20), c.path("said")
    for options, want in (["-drive", "format=raw,file=" + disk], (b"R3-0000", b"1.0", b"RING3 HARDDISK")), \
            (["-drive", "format=raw,serial=AB-1,boot=on,trans=lba,file=" + disk], (b"AB-1", b"1.0", b"RING3 HARDDISK")), \
            (["-drive", "if=none,id=d,format=raw,l2-cache-size=1M,file=" + disk, "-device", "ide-hd,drive=d,serial=X,model=QUANTUM,ver=9,"
              "bios-chs-trans=lba,write-cache=on"], (b"X", b"9", b"QUANTUM")):
        r = guest(c, code, *options, "-debugcon", "file:" + said)
        text = read(said)[-74:]
        text = bytes(text[i ^ 1] for i in range(len(text)))
        found = text[:20].strip(), text[26:34].strip(), text[34:].strip()
        expect(r.returncode == 1 and not r.stderr and found == want, "%s: %s %s" % (options, found, r.stderr))


@case
def a_blank_image(c):
    """By itself on the command line it is a hard disk, as QEMU has it."""
    blank = c.file("new", b"", 8 << 20)
    vm = VM(c.ring3, ["-m", "8", "-fda", c.floppy(LOOP), "-boot", "a", blank])
    try:
        expect("new" in vm.qmp.human("info block"), vm.qmp.human("info block"))
    finally:
        vm.quit()
        vm.close()


@case
def lists_on_demand(c):
    for options, want in (["-soundhw", "help"], "es1370"), (["-audiodev", "help"], "wav"):
        r = c.run(*options)
        expect(r.returncode == 0 and want in r.stdout and not r.stderr, "%s: %r %r" % (options, r.stdout, r.stderr))


@case
def globals_are_defaults(c):
    """Of -device before and behind; a -device's own word is stronger. The board's own display adapter and floppy drives as well."""
    said = c.path("said")
    code = bytes.fromhex("b041 e6ea b042 e6eb") + END
    for options, want in (["-device", "isa-debugcon,chardev=d", "-global", "isa-debugcon.iobase=0xea"], b"A"), \
            (["-global", "driver=isa-debugcon,property=iobase,value=0xea", "-device", "isa-debugcon,chardev=d,iobase=0xeb"], b"B"):
        r = guest(c, code, "-chardev", "file,id=d,path=" + said, *options)
        expect(r.returncode == 1 and not r.stderr and read(said) == want, "%s: %r %s" % (options, read(said), r.stderr))
    floppy = c.floppy(END, "f.img")
    r = c.run("-display", "none", "-m", "8", "-drive", "if=none,id=f,file=" + floppy, "-global", "isa-fdc.driveA=f",
              "-global", "vga.vgamem_mb=4", "-boot", "a", *EXIT)
    expect(r.returncode == 1 and r.stderr.count("\n") == 1 and "the chip has 16" in r.stderr, r.stderr)


@case
def boot_indexes(c):
    """The lowest is booted first, whatever the order of -device; a floppy, too."""
    said = c.path("said")

    def disk(n):
        return c.file("d%d" % n, (bytes.fromhex("b0%02x e6e9" % n) + END).ljust(510, b"\0") + b"\x55\xaa", 1440 << 10 if n == 3 else 1 << 20)
    for order, want in ((1, 2, 3), 1), ((3, 1, 2), 2), ((2, None, 1), 3), ((None, 1, None), 2), ((None, None, None), 1):
        options = []
        for n, kind, index in zip((1, 2, 3), ("ide-hd,bus=ide.0", "ide-hd,bus=ide.1,unit=1", "floppy"), order):
            options += ["-drive", "if=none,format=raw,id=d%d,file=%s" % (n, disk(n)), "-device",
                        "%s,drive=d%d" % (kind, n) + (",bootindex=%d" % index if index else "")]
        r = c.run("-display", "none", "-m", "8", *options, "-debugcon", "file:" + said, *EXIT)
        expect(r.returncode == 1 and read(said)[-1] == want, "%s: %r %s" % (order, read(said)[-3:], r.stderr))
    options = ["-drive", "if=none,id=a,file=" + disk(1), "-device", "ide-hd,drive=a,bootindex=1"]
    c.refused("two devices", *options, "-drive", "if=none,id=b,file=" + disk(2), "-device", "ide-hd,drive=b,bootindex=1")
    c.refused("is no number", *options[:2], "-device", "ide-hd,drive=a,bootindex=x")


@case
def disks_of_other_kinds(c):
    """-blockdev in both spellings; virtio's, SCSI's, AHCI's and USB's disks are IDE's here, and say so."""
    path = c.file("disk", (bytes.fromhex("b007 e6e9") + END).ljust(510, b"\0") + b"\x55\xaa", 1 << 20)
    none = "-drive if=none,id=d,format=raw,file=" + path
    for options, lines in ("-blockdev driver=file,filename=%s,node-name=f -blockdev driver=raw,file=f,node-name=d -device ide-hd,drive=d" % path, 0), \
            ("-blockdev {\"driver\":\"raw\",\"node-name\":\"d\",\"read-only\":true,\"file\":{\"driver\":\"file\",\"filename\":\"%s\"}} "
             "-device ide-hd,drive=d,bus=ide.1" % path, 0), \
            (none + " -device usb-storage,drive=d", 1), (none + " -device ahci,id=ahci -device ide-hd,drive=d,bus=ahci.0", 1), \
            (none + " -device lsi53c895a,id=s -device scsi-hd,drive=d,bus=s.0", 2), \
            ("-drive if=virtio,format=raw,file=" + path, 1), ("-hda %s -hdachs 20,4,17" % path, 0):
        r = c.run("-display", "none", "-m", "8", *options.split(), "-debugcon", "file:" + c.path("said"), *EXIT)
        expect(r.returncode == 1 and read(c.path("said"))[-1:] == b"\7", "%s: %s" % (options, r.stderr))
        expect(r.stderr.count("\n") == lines and (not lines or "IDE's" in r.stderr), "%s: %s" % (options, r.stderr))


@case
def old_spellings(c):
    """Those that say what a longer line would."""
    machine = ["-m", "8", "-fda", c.floppy(LOOP), "-boot", "a"]
    tftp = c.folder.name
    for options, command, want in [
            (["-redir", "tcp:45123::23"], "info network", "user"), (["-net", "user", "-net", "nic,model=pcnet", "-net", "dump,file=" + c.path("p")], "info network", "pcnet"),
            (["-tftp", tftp, "-bootp", "/x"], "info network", "user"), (["-audio", "none,model=sb16"], "info qtree", "sb16"),
            (["-audio", "driver=none,model=es1370,id=a"], "info qtree", "ES1370"), (["-device", "isa-cirrus-vga"], "info qtree", "gd5446"),
            (["-M", "isapc", "-device", "isa-cirrus-vga"], "info qtree", "gd5446"), (["-M", "isapc"], "info registers", "EIP=")]:
        vm = VM(c.ring3, machine + options)
        try:
            text = vm.qmp.human(command)
            expect(re.search(want, text), "%s: %s" % (options, text))
        finally:
            vm.quit()
            vm.close()
    said = c.path("paper")
    code = START + bytes.fromhex("".join(PRINT % ord(x) for x in "Hi\n")) + END
    r = guest(c, code, "-chardev", "file,id=p,path=" + said, "-device", "isa-parallel,chardev=p")
    expect(r.returncode == 1 and read(said) == b"Hi\n", r.stderr)
    c.refused("one parallel port", "-parallel", "null", "-device", "isa-parallel,chardev=p", "-chardev", "null,id=p")
    reset = bytes.fromhex("b0fe e664") + LOOP
    r = c.run("-display", "none", "-m", "8", "-fda", c.floppy(reset), "-boot", "a", "-action", "reboot=shutdown,panic=none")
    expect(r.returncode == 0, "-action reboot=shutdown: %d" % r.returncode)
    bios = c.file("bios", read(SEABIOS + "/bios-256k.bin"))
    expect(guest(c, END, "-pflash", bios).returncode == 1, "-pflash")


@case
def isapc_has_a_486(c):
    """CPUID's bit in EFLAGS does not stay; -cpu pentium's does."""
    # pushfd; pop eax; xor eax,200000; push eax; popfd; pushfd; pop eax; shr eax,21; and al,1 - and what it was
    look = bytes.fromhex("669c 6658 6689c1 6635 00002000 6650 669d 669c 6658 6631c8 66c1e815 2401 e6e9")
    for options, want in ([], 0), (["-cpu", "pentium"], 1):
        r = guest(c, look + END, "-M", "isapc", "-debugcon", "file:" + c.path("said"), *options)
        expect(r.returncode == 1 and read(c.path("said"))[-1] == want, "%s: %r" % (options, read(c.path("said"))[-2:]))


@case
def clocks(c):
    for options in ("-rtc", "localtime"), ("-rtc", "utc"), ("-rtc", "base=2026-11-20T10:00:00,clock=vm"), ("-localtime",), \
            ("-startdate", "1999-12-31"), ("-rtc", "2001-02-03"):
        expect(guest(c, END, *options).returncode == 1, str(options))
    c.refused("rtc base", "-rtc", "never")


def running(pid):
    try:
        return read("/proc/%d/stat" % pid).rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


@case
def in_the_background(c):
    """The first process ends when the sockets are there; mistakes are still its own."""
    pidfile = c.path("pid")
    start = time.time()
    r = c.run("-daemonize", "-pidfile", pidfile, "-display", "none", "-m", "8", "-fda", c.floppy(LOOP), "-qmp",
              "unix:%s,server=on,wait=off" % c.path("q"))
    expect(r.returncode == 0 and time.time() - start < 15, "status %d: %s" % (r.returncode, r.stderr))
    pid = int(read(pidfile))
    try:
        expect(running(pid) and os.path.exists(c.path("q")), "it does not run")
        expect(os.getsid(pid) == pid, "it has no session of its own")
        expect(os.readlink("/proc/%d/fd/0" % pid) == "/dev/null", "it has the terminal")
    finally:
        os.kill(pid, signal.SIGTERM)
    end = time.time() + 10
    while running(pid) and time.time() < end:
        time.sleep(0.05)
    expect(not running(pid) and not os.path.exists(pidfile), "it did not end well")
    c.refused("No such file", "-daemonize", "-hda", "/no/such/disk")
    c.refused("-daemonize: not with", "-daemonize", "-serial", "stdio")


@case
def character_back_ends(c):
    """A log beside a -chardev, also of -serial; pipes."""
    # says "ok" on COM1
    code = bytes.fromhex("ba f803 b06f ee b06b ee") + END
    for options, want in ([], b"ok"), ([",logappend=on"], b"oldok"):
        c.file("log", b"old")
        r = guest(c, code, "-chardev", "null,id=c,logfile=" + c.path("log") + "".join(options), "-serial", "chardev:c")
        expect(r.returncode == 1 and read(c.path("log")).endswith(want), "%r" % read(c.path("log")))
    for end in "in", "out":
        os.mkfifo(c.path("p." + end))
    reader = os.open(c.path("p.out"), os.O_RDONLY | os.O_NONBLOCK)
    # echoes a byte of COM1
    echo = bytes.fromhex("ba fd03 ec a801 74fb ba f803 ec ee") + END
    vm = subprocess.Popen([c.ring3, "-display", "none", "-m", "8", "-fda", c.floppy(echo), "-boot", "a", *EXIT, "-serial",
                           "pipe:" + c.path("p")])
    time.sleep(3)
    with open(c.path("p.in"), "wb") as f:
        f.write(b"e")
    expect(vm.wait(20) == 1 and os.read(reader, 100).endswith(b"e"), "the pipe")
    os.close(reader)
    c.refused("mkfifo", "-serial", "pipe:" + c.path("none"))
    r = guest(c, END, "-monitor", "file:" + c.path("monitor"))
    expect(r.returncode == 1, r.stderr)


@case
def nothing_is_taken_in_silence(c):
    os.mkfifo(c.path("fifo"))
    for option in "-kernel", "-bios":
        c.refused("a pipe", option, c.path("fifo"))
    c.refused("cyls= from 1", "-drive", "file=%s,cyls=0,heads=0,secs=0" % c.file("d", size=1 << 20))
    c.refused("cyls= from 1", "-drive", "file=%s,cyls=5" % c.path("d"))
    c.refused("throttling.bps-total: a drive's speed is not limited", "-drive", "file=%s,throttling.bps-total=5" % c.path("d"))
    c.refused("iops: a drive's speed is not limited", "-drive", "file=%s,iops=5" % c.path("d"))
    c.refused("loader: nothing is put into memory", "-device", "loader,addr=1,data=2,data-len=1")
    c.refused("/no/such/folder/s: No such file", "--stats", "/no/such/folder/s")
    c.refused("Is a directory", "--stats", c.folder.name)
    r = guest(c, END, "-tc-size", "1")
    expect("emptied all the time" in r.stderr, r.stderr)
    kernel = os.path.join(TOP, "build", "guests", "vmlinuz-686")
    if not os.path.exists(kernel):
        raise Skipped("no kernel: tests/suites/fetch-guests makes it")
    whole = read(kernel)
    c.refused("cut short", "-kernel", c.file("short", whole[:len(whole) // 2]))
    c.refused("a pipe", "-kernel", kernel, "-initrd", c.path("fifo"), "-m", "128")


@case
def clearing_memory_by_fw_cfg(c):
    """A DMA request for four gigabytes of an item that has four bytes is an error, at once."""
    # at 0:8000: control = select item 0, read; length FFFFFFFF; address 1 MiB. By port 518, big-endian 8000.
    request = bytes.fromhex("0000000a ffffffff 00000000 00100000")
    code = START + b"".join(b"\xc6\x06" + (0x8000 + i).to_bytes(2, "little") + bytes([b]) for i, b in enumerate(request))
    code += bytes.fromhex("ba1805 66b800008000 66ef be0080 b90400 ac e6e9 e2fb") + END
    start = time.time()
    r = guest(c, code, "-m", "1024", "-debugcon", "file:" + c.path("said"))
    expect(r.returncode == 1 and read(c.path("said")).endswith(bytes.fromhex("00000001")), "%r" % read(c.path("said"))[-8:])
    expect(time.time() - start < 20, "it took long")


# Protected mode, 32 bits, an IDT whose vector 80 is an IRET: says U, then INT 80 for ever.
INTS = bytes.fromhex(
    "fa31c08ed80f0116327c0f011e387c0f20c00c010f22c0ea1c7c080066b810008ed88ed0bc007c0000b055e6e9cd80eb"
    "fccf1700407c000007045878000066900000000000000000ffff0000009acf00ffff00000092cf00317c0800008e0000")


@case
def log_by_the_monitor(c):
    """`log` turns items on and off while the machine runs: what runs, an instruction at a time; interrupts of a program, too."""
    said = c.path("log")
    vm = VM(c.ring3, ["-m", "8", "-fda", c.floppy(INTS), "-boot", "a", "-D", said, "-debugcon", "file:" + c.path("up")])
    try:
        vm.wait_for("the guest", lambda: read(c.path("up")).endswith(b"U"), 20)
        expect(not read(said), "logged before it was asked for")
        vm.qmp.human("log exec")
        lines = vm.wait_for("lines", lambda: len(read(said).splitlines()) > 100 and read(said).decode().splitlines(), 20)
        expect(all(x.startswith("Trace 0: ") for x in lines[:-1]), str(lines[:5]))
        expect("Log items" in vm.qmp.human("log exec,foo"), "an unknown item")
        expect(vm.qmp.human("log none") == "", "log none")
        size = len(read(said))
        time.sleep(0.3)
        expect(len(read(said)) == size, "it goes on")
        vm.qmp.human("log int")
        vm.wait_for("interrupts", lambda: read(said)[size:].count(b"v=80 ") > 10, 20)
    finally:
        vm.quit()
        vm.close()


# Says "hi" at COM1, then each byte that comes, plus one.
ANSWERS = bytes.fromhex("31c08ed8fabaf803b068eeb069eebafd03eca80174f8baf803ecfec0eeebef")


@case
def ring_buffers(c):
    """What the guest says is kept, the newest of it; the monitor and QMP take it out."""
    log = c.path("log")
    vm = VM(c.ring3, ["-chardev", "ringbuf,id=r,size=8,logfile=" + log, "-serial", "chardev:r", "-parallel", "null",
                      "-m", "8", "-fda", c.floppy(ANSWERS), "-boot", "a"])
    try:
        vm.wait_for("the guest", lambda: read(log) == b"hi", 20)
        expect("r: filename=ringbuf" in vm.qmp.human("info chardev"), vm.qmp.human("info chardev"))
        heard = [vm.qmp.human("ringbuf_read r %d" % n) for n in (1, 9)]
        expect(heard == ["h\r\n", "i\r\n"], str(heard))
        vm.qmp.human("ringbuf_write r abcdefgh")
        vm.qmp.human('ringbuf_write r "1\\\\"')
        expect(vm.qmp.human("ringbuf_read r 99") == "cdefgh1\\\\\r\n", "the newest eight, with a backslash that is told")
        vm.qmp.run("ringbuf-write", device="r", data="AP8BgA==", format="base64")
        expect(vm.qmp.run("ringbuf-read", device="r", size=3, format="base64")["return"] == "AP8B", "base64")
        expect(vm.qmp.run("ringbuf-read", device="r", size=9)["return"] == "\ufffd", "no UTF-8")
        expect("not valid" in str(vm.qmp.run("ringbuf-write", device="r", data="A=A=", format="base64")), "bad base64")
        expect("does not accept" in str(vm.qmp.run("ringbuf-read", device="r", size=1, format="x")), "format")
        expect("greater than zero" in str(vm.qmp.run("ringbuf-read", device="r", size=0)), "size")
        expect(vm.qmp.human("ringbuf_read x 1") == "Error: Device 'x' not found\r\n", "none")
        expect(vm.qmp.human("ringbuf_read serial1 1") == "Error: serial1 is not a ringbuf device\r\n", vm.qmp.human("info chardev"))
    finally:
        vm.quit()
        vm.close()
    c.refused("size=100: wants a power of two", "-chardev", "ringbuf,id=r,size=100", "-serial", "chardev:r")


@case
def datagrams(c):
    """UDP to one peer; what comes in one datagram arrives byte by byte, however slowly the guest reads."""
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        s.settimeout(20)
        port, own = s.getsockname()[1], free_port(socket.SOCK_DGRAM)
        for target in (["udp:127.0.0.1:%d@127.0.0.1:%d" % (port, own)],
                       ["chardev:u", "-chardev", "udp,id=u,host=127.0.0.1,port=%d,localaddr=127.0.0.1,localport=%d" % (port, own)]):
            vm = VM(c.ring3, ["-serial", *target, "-m", "8", "-fda", c.floppy(ANSWERS), "-boot", "a"])
            try:
                said = b""
                while not said.endswith(b"hi"):
                    said += s.recv(4096)
                s.sendto(b"", ("127.0.0.1", own))  # an empty one is no end
                text, got = bytes(65 + i % 26 for i in range(1000)), b""
                s.sendto(text, ("127.0.0.1", own))
                while len(got) < len(text):
                    got += s.recv(4096)
                expect(got == bytes(x + 1 for x in text), "%r" % got[:40])
            finally:
                vm.quit()
                vm.close()
    for bad in "udp:x", "udp::0", "udp::1@2":
        c.refused(r"wants \[HOST\]:PORT", "-serial", bad)
    c.refused("udp: port= is missing", "-chardev", "udp,id=u,host=x")


@case
def a_monitor_beside_a_port(c):
    """mon: before any target that can be typed at: Ctrl+A c is the monitor, and leads back."""
    port = free_port()
    where = "127.0.0.1:%d" % port
    for serial in (["mon:tcp:%s,server=on,wait=off" % where], ["mon:telnet:%s,server,nowait" % where],
                   ["chardev:s", "-chardev", "socket,id=s,host=127.0.0.1,port=%d,server=on,wait=off,mux=on" % port,
                    "-mon", "chardev=s"]):
        vm = VM(c.ring3, ["-serial", *serial, "-m", "8", "-fda", c.floppy(ANSWERS), "-boot", "a"])
        try:
            for _ in range(2):  # a client leaves, the next one comes
                with vm.wait_for("the socket", lambda: connected(port), 20) as s:
                    ask(s, b"A", b"B", again=True)
                    ask(s, b"\x01cinfo name\rinfo status\r", b"VM status: running")
                    ask(s, b"\x01cP", b"Q")
            with socket.create_connection(("127.0.0.1", port)) as s:
                s.sendall(b"\x01x")
                expect(vm.wait_end(20) == 0, "Ctrl+A x")
        finally:
            vm.close()
    c.refused("nobody could type there", "-serial", "mon:file:" + c.path("x"))
    c.refused("nobody could type there", "-serial", "mon:null")


def connected(port):
    try:
        return socket.create_connection(("127.0.0.1", port))
    except OSError:
        return None


def ask(sock, text, want, again=False):
    """Sends, and reads until `want` comes back. again: sends until the guest listens."""
    sock.settimeout(1)
    got, end = b"", time.time() + 60
    sock.sendall(text)
    while want not in got:
        expect(time.time() < end, "%r gave %r" % (text, got))
        try:
            got += sock.recv(4096)
        except socket.timeout:
            if again:
                sock.sendall(text)


# COM1: DTR and RTS on; what comes in goes to E9.
MOUSE_AT_COM1 = bytes.fromhex("31c08ed8fabaf903b000eebafb03b002eebafc03b003eebafd03eca80174f8baf803ece6e9ebf0")


@case
def serial_mouse(c):
    """It says who it is; then it has the motion, which the PS/2 mouse had before."""
    said = c.path("said")
    vm = VM(c.ring3, ["-serial", "msmouse", "-m", "8", "-fda", c.floppy(MOUSE_AT_COM1), "-boot", "a", "-debugcon",
                      "file:" + said])
    try:
        vm.wait_for("its identity", lambda: re.search(rb"M3\x08\x01\x24.*\x09$", read(said), re.S), 60)
        expect("serial0: filename=msmouse" in vm.qmp.human("info chardev"), vm.qmp.human("info chardev"))
        mice = vm.qmp.human("info mice")
        expect("* Mouse #3: QEMU Microsoft Mouse" in mice and "  Mouse #2: QEMU PS/2 Mouse" in mice, mice)
        size = len(read(said))
        vm.qmp.human("mouse_move 5 -2")
        vm.wait_for("the motion", lambda: read(said)[size:] == b"\x4c\x05\x3e", 5)
        vm.qmp.human("mouse_button 1")
        vm.wait_for("the button", lambda: read(said)[size:].endswith(b"\x60\0\0"), 5)
    finally:
        vm.quit()
        vm.close()
    c.refused("nobody could type there", "-serial", "mon:msmouse")


@case
def ways_into_the_network(c):
    """hostfwd_add and hostfwd_remove; guestfwd's mistakes (network.py has a guest that uses it)."""
    port = free_port()
    vm = VM(c.ring3, ["-netdev", "user,id=n", "-device", "e1000,netdev=n", "-m", "8", "-fda", c.floppy(LOOP)])
    try:
        rule = "tcp:127.0.0.1:%d" % port
        expect(vm.qmp.human("hostfwd_add n %s-:22" % rule) == "", "hostfwd_add")
        connected(port).close()
        for command, want in (("hostfwd_add n %s-:22" % rule, "Could not set up host forwarding rule '%s-:22'" % rule),
                              ("hostfwd_add bogus", "Invalid host forwarding rule 'bogus'"),
                              ("hostfwd_add q %s-:22" % rule, "unrecognized netdev id 'q'"),
                              ("hostfwd_remove n x", "invalid format"),
                              ("hostfwd_remove n " + rule, "host forwarding rule for %s removed" % rule),
                              ("hostfwd_remove " + rule, "host forwarding rule for %s not found" % rule)):
            said = vm.qmp.human(command)
            expect(want in said, "%s: %r" % (command, said))
        expect(connected(port) is None, "the port stays open")
    finally:
        vm.quit()
        vm.close()
    for rule, want in (("tcp:1", "want tcp:SERVER:PORT"), ("udp:10.0.2.9:1-cmd:x", "want tcp:SERVER:PORT"),
                       ("tcp:10.0.2.2:80-cmd:x", "taken, or outside"), ("tcp:10.9.2.50:80-null", "taken, or outside"),
                       ("tcp:10.0.2.50:80-foo", "'foo' is no target"), ("tcp:10.0.2.50:80-chardev:x", "no -chardev has id=x")):
        c.refused("guestfwd=.*%s|%s" % (want, want), "-netdev", "user,id=n,guestfwd=" + rule)



if __name__ == "__main__":
    sys.exit(main(__doc__))
