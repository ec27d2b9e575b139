#!/usr/bin/env python3
"""The Debian desktop of bench/desktop with a Cirrus GD5446: GRUB's graphical menu, the kernel's driver and X's own.

  desktop.py [--vmm COMMAND] [--slow FACTOR] [--list] [NAME…]

bench/desktop/make-desktop makes the disk; without it the cases are skipped.
"""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import boot  # noqa: E402
from boot import CASES, case  # noqa: E402
from images import TOP, File  # noqa: E402
from vm import Failed  # noqa: E402

CASES.clear()  # boot.py's own
DISK = File(os.path.join(TOP, "build", "bench", "desktop", "disk.img"), ": bench/desktop/make-desktop makes it")
SIZE = 1024, 768
MENU = 1024, 767  # a line less: SeaBIOS's tables for the chip; QEMU shows the same
SCROLLED = 400  # lines of text


def shares(vm):
    """How much of the screen the root window is (steel blue; of 16 bits, too), and how much is white."""
    width, height, data = vm.pixels()
    if (width, height) != SIZE:
        raise Failed("the screen has %dx%d" % (width, height))
    sample = [data[i:i + 3] for i in range(0, len(data) - 2, 3 * 31)]
    blue = sum(all(abs(a - b) < 9 for a, b in zip(p, (70, 130, 180))) for p in sample)
    return blue / len(sample), sample.count(b"\xff" * 3) / len(sample)


def check_picture(vm, when):
    root, white = shares(vm)
    if not 0.5 < root < 0.95 or not 0.02 < white < 0.5:
        raise Failed("%s %.0f %% of the screen is the root window's, %.0f %% white" % (when, 100 * root, 100 * white))


def answer(vm, command, pattern, patience=60):
    """A line typed into the terminal of the desktop; what it says goes to the serial port."""
    vm.type("(%s) >/dev/ttyS0\n" % command)
    return vm.wait(pattern, patience)


def pass_menu(vm, key):
    """GRUB's menu comes and goes; the key, if any, is one that starts an entry, pressed until it does."""
    def is_gone():
        if key:
            vm.press(key)
        return vm.pixels()[:2] != MENU
    vm.wait_picture(*MENU, patience=60)
    vm.wait_for("the end of GRUB's menu", is_gone, 60)


def desktop(c, key, driver):
    """driver: by what X's log shows which one it is."""
    vm = c.start("-m", 512, "-vga", "cirrus", "-drive",
                 "file=%s,if=ide,format=raw,snapshot=on" % DISK.found())
    pass_menu(vm, key)
    vm.wait("DESKTOP-UP", 240)
    time.sleep(2)  # until the shell has its prompt
    check_picture(vm, "at first")
    answer(vm, "grep -c '%s' /var/log/Xorg.0.log; echo asked" % driver, r"^[1-9]\d*\s+asked")
    vm.type("seq %d; echo scrolled $((6*7)) >/dev/ttyS0\n" % SCROLLED)
    vm.wait("scrolled 42", 60)
    check_picture(vm, "after scrolling")
    # Another mode and back again.
    answer(vm, "xrandr -s 800x600; sleep 2; echo changed $((6*7))", "changed 42")
    vm.wait_picture(800, 600, patience=30)
    answer(vm, "xrandr -s 1024x768; sleep 2; echo back $((6*7))", "back 42")
    check_picture(vm, "in the first mode again")


@case()
def cirrus_by_the_kernel(c):
    """DRM's driver copies a shadow; X knows no more than that."""
    desktop(c, None, r"modeset(0): using drv")


@case()
def cirrus_by_x(c):
    """X's own driver programs the chip."""
    desktop(c, "x", r"CIRRUS(0): Linear framebuffer")


if __name__ == "__main__":
    boot.__doc__ = __doc__
    sys.exit(boot.main())
