"""The systems that tests and benchmarks start: where each one's image comes from, the machine it wants, and what its screen
or serial port shows once it is up. One table for both."""
import os

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IMAGES = os.path.join(TOP, "..", "shared", "images")
GUESTS = os.path.join(TOP, "build", "guests")
INSTALLER = "/usr/lib/debian-installer/images/12/i386/text/debian-installer/i386/"


class Skip(Exception):
    """A file is not on this machine; the text says what to install."""


class File:
    def __init__(self, path, advice):
        self.path, self.advice = path, advice

    def found(self):
        if not os.path.exists(self.path):
            raise Skip("%s is not there%s" % (os.path.relpath(self.path, TOP) if self.path.startswith(TOP) else self.path,
                                              self.advice))
        return self.path


class Shared(File):
    """One that the guest may write to: whoever starts it copies it, or adds -snapshot. It may be packed by xz."""

    def __init__(self, name):
        super().__init__(os.path.join(IMAGES, name), "")


def package(path, name):
    return File(path, ": apt-get install " + name)


def guest(name):
    return File(os.path.join(GUESTS, name), ": tests/suites/fetch-guests makes it")


class Drive:
    """-drive's argument: a raw image as a floppy."""

    def __init__(self, image):
        self.image = image


def floppy(name):
    return ["-m", "16", "-drive", Drive(Shared(name)), "-boot", "a"]


def kernel(memory, image, initrd=None, append=""):
    return (["-m", memory, "-kernel", image] + (["-initrd", initrd] if initrd else []) +
            (["-append", append] if append else []))


def cd(memory, image, *more):
    return ["-m", memory, "-cdrom", image, *more, "-boot", "d"]


def options(system, place):
    """The system's options as text; place(file) says where a File is to be taken from."""
    def text(option):
        if isinstance(option, Drive):
            return "file=%s,if=floppy,format=raw" % place(option.image)
        return place(option) if isinstance(option, File) else option
    return [text(option) for option in system.options]


class System:
    """up: a regular expression, looked for on the screen and in what came over the serial port. steps: before that, what
    to wait for and what to type then. patience: seconds, of a slow machine."""

    def __init__(self, options, up, patience=60, steps=()):
        self.options, self.up, self.patience, self.steps = options, up, patience, steps

    def wait(self, vm):
        for pattern, keys in self.steps:
            vm.wait(pattern, self.patience)
            vm.type(keys)
        vm.wait(self.up, self.patience)


LINUX = "console=ttyS0 console=tty0 quiet panic=-1"
MINIX = Shared("minix-2.0.4-hd64.img.xz")
MEMTEST = r"Memtest86\+.*Pass.*(Testing|Test):? +#?\d?"
GRUB = "/usr/lib/grub-rescue/grub-rescue-"
GRUB_UP = r"GNU GRUB|Press any key|grub>"
SYSTEMS = {
    "bootos": System(floppy("bootos-360.img"), r"^\$"),
    "freedos": System(floppy("freedos-1440.img"), r"A:\\>"),
    "freedos-emm386": System(floppy("freedos1-emm386.img"), r"FDREADY", 90),
    "msdos4": System(floppy("msdos4.img"), r"Enter new date"),
    "msdos4-emm386": System(floppy("msdos4-emm386.img"), r"DOS4READY", 120),
    "pcmos": System(floppy("pcmos386-502-install.img"), r"Is this the first time", 120),
    "pcmos-9user": System(floppy("pcmos-9user-386.img"), r"Memory Available", 120, [
        (r"New date is", "\n"), (r"New time is", "\n"), (r"\[A:\\\]", "mos map\n")]),
    "mikeos-floppy": System(floppy("mikeos-4.5.flp"), r"Thanks for trying out MikeOS"),
    "mikeos-cd": System(cd("16", Shared("mikeos-4.5.iso")), r"Thanks for trying out MikeOS"),
    "minix": System(["-m", "16", "-hda", MINIX], r"login:", 120),
    "linux-686": System(kernel("128", guest("vmlinuz-686"), guest("initrd.gz"), LINUX), r"RING3-GUEST-UP", 300),
    "linux-686-pae": System(kernel("128", guest("vmlinuz-686-pae"), guest("initrd.gz"), LINUX), r"RING3-GUEST-UP", 300),
    "linux-cd": System(cd("128", guest("linux.iso")), r"RING3-GUEST-UP", 300),
    "debian-installer": System(
        kernel("512", package(INSTALLER + "linux", "debian-installer-12-netboot-i386"),
               package(INSTALLER + "initrd.gz", "debian-installer-12-netboot-i386"), "vga=normal fb=false nomodeset"),
        r"Select a language|Choose language", 600),
    "memtest86": System(kernel("16", package("/boot/memtest86+ia32.bin", "memtest86+")), MEMTEST, 120),
    "memtest86-cd": System(cd("16", package("/usr/lib/memtest86+/memtest86+ia32.iso", "memtest86+")),
                           r"Memtest86\+.*Testing", 240),
    "grub-cd": System(cd("64", package(GRUB + "cdrom.iso", "grub-rescue-pc"), "-hda", MINIX), GRUB_UP, 120),
    "grub-floppy": System(["-m", "64", "-fda", package(GRUB + "floppy.img", "grub-rescue-pc"), "-hda", MINIX, "-boot", "a",
                           "-snapshot"], GRUB_UP, 120),
    "ipxe-cd": System(cd("32", package("/usr/lib/ipxe/ipxe.iso", "ipxe")), r"iPXE 1\.\d", 120),
    "ipxe-kernel": System(kernel("32", package("/usr/lib/ipxe/ipxe.lkrn", "ipxe")), r"iPXE 1\.\d", 120),
}
