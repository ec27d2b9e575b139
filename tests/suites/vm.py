"""A virtual machine under test: started with QEMU's options, driven over QMP, seen through its screen and serial port.

The same tests run under any VMM that takes QEMU's options and speaks QMP; ring3 is the one they are for.
"""
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import time

SHIFTED = dict(zip('~!@#$%^&*()_+{}|:"<>?', "`1234567890-=[]\\;',./"))
NAMES = {
    " ": "spc", "\n": "ret", "\t": "tab", "-": "minus", "=": "equal", "[": "bracket_left", "]": "bracket_right",
    "\\": "backslash", ";": "semicolon", "'": "apostrophe", "`": "grave_accent", ",": "comma", ".": "dot", "/": "slash",
}


class Failed(Exception):
    """A test's expectation was not met; the text says which."""


def keys_of(character):
    """The keys that type a character on a US keyboard."""
    if character in SHIFTED:
        return ["shift", NAMES.get(SHIFTED[character], SHIFTED[character])]
    if character.isupper():
        return ["shift", character.lower()]
    return [NAMES.get(character, character)]


class Qmp:
    def __init__(self, path, process, patience=20):
        end = time.time() + patience
        while True:
            try:
                self.sock = socket.socket(socket.AF_UNIX)
                self.sock.connect(path)
                break
            except OSError:
                if process.poll() is not None:
                    raise Failed("the VMM ended at once: " + process.stdout.read().decode("latin1").strip()[-300:])
                if time.time() > end:
                    raise Failed("the VMM opened no QMP socket")
                time.sleep(0.02)
        self.sock.settimeout(60)
        # Two: a text file for both forgets what it has read ahead when it is written to, and events with it.
        self.file, self.answers = self.sock.makefile("w"), self.sock.makefile("r")
        self.events = []
        self.read()
        self.run("qmp_capabilities")

    def read(self):
        while True:
            line = self.answers.readline()
            if not line:
                raise EOFError
            message = json.loads(line)
            if "event" not in message:
                return message
            self.events.append(message["event"])

    def run(self, command, **arguments):
        request = {"execute": command}
        if arguments:
            request["arguments"] = {k.replace("_", "-"): v for k, v in arguments.items()}
        self.file.write(json.dumps(request) + "\n")
        self.file.flush()
        return self.read()

    def human(self, line):
        return self.run("human-monitor-command", command_line=line).get("return", "")


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(type=kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class VM:
    """slow: multiplies every patience, for VMMs and machines that take longer."""

    look_every = 0.1  # seconds between looks at the screen

    def __init__(self, vmm, options, slow=1.0, hold_ms=25, reboot=False):
        self.folder = tempfile.mkdtemp(prefix="ring3-vm")
        self.slow, self.hold_ms = slow, hold_ms
        self.serial_path = os.path.join(self.folder, "serial")
        sock = os.path.join(self.folder, "qmp")
        command = shlex.split(vmm) + ["-display", "none", "-qmp", "unix:%s,server=on,wait=off" % sock]
        if "-serial" not in options:
            command += ["-serial", "file:" + self.serial_path]
        command += [] if reboot else ["-no-reboot"]
        self.command = command + options
        self.start, self.cpu = time.time(), 0.0
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        try:
            self.qmp = Qmp(sock, self.process)
        except Exception:
            self.close()
            raise

    # ---- What it shows ----

    def screen(self):
        """The text page of the VGA, rows of 80; empty in graphics modes of other layouts."""
        path = os.path.join(self.folder, "text")
        self.qmp.human('pmemsave 0xb8000 32768 "%s"' % path)
        try:
            with open(path, "rb") as f:
                page = f.read()[0::2].decode("cp437").replace("\0", " ")
        except OSError:
            return ""
        return "\n".join(page[i:i + 80].rstrip() for i in range(0, len(page), 80)).rstrip()

    def serial(self):
        try:
            with open(self.serial_path, "rb") as f:
                return f.read().decode("latin1")
        except OSError:
            return ""

    def seen(self):
        return self.screen() + "\n" + self.serial()

    def registers(self):
        return self.qmp.human("info registers")

    def screendump(self, path):
        png = path.endswith(".png")
        return self.qmp.run("screendump", filename=os.path.abspath(path), format="png" if png else "ppm")

    def pixels(self):
        """(width, height, bytes of RGB) of the screen."""
        path = os.path.join(self.folder, "shot.ppm")
        answer = self.screendump(path)
        if "error" in answer:
            raise Failed("screendump: " + answer["error"]["desc"])
        with open(path, "rb") as f:
            data = f.read()
        head = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", data)
        return int(head[1]), int(head[2]), data[head.end():]

    # ---- Waiting ----

    def wait_for(self, what, found, patience):
        end = time.time() + patience * self.slow
        while True:
            self.cpu_seconds()
            try:
                result = found()
            except (EOFError, OSError, ValueError):
                raise Failed("the machine went away while waiting for " + what)
            if result:
                return result
            if self.process.poll() is not None:
                raise Failed("the machine ended while waiting for " + what)
            if time.time() > end:
                raise Failed("no %s in %d s" % (what, patience * self.slow))
            time.sleep(self.look_every)

    def wait(self, pattern, patience=60):
        """Waits until the regular expression is on the screen or has come over the serial port."""
        search = re.compile(pattern, re.S | re.M)

        def found():
            try:
                return search.search(self.seen())
            except (EOFError, OSError, ValueError):  # it may have been the last that the machine said
                last = search.search(self.serial())
                if not last:
                    raise
                return last

        return self.wait_for("/%s/" % pattern, found, patience)

    def wait_picture(self, width, height, share=0.02, patience=60):
        """Waits for a graphics mode of that size, of which at least `share` is not black."""
        def drawn():
            w, h, data = self.pixels()
            sample = data[::97]
            return (w, h) == (width, height) and sum(map(bool, sample)) > share * len(sample)
        self.wait_for("picture of %dx%d" % (width, height), drawn, patience)

    # ---- Typing ----

    def press(self, *combos):
        """press("ctrl-alt-delete", "ret"): each combination in turn."""
        for combo in combos:
            self.send(combo.split("-") if combo != "-" else ["minus"])

    def send(self, keys):
        answer = self.qmp.run("send-key", keys=[{"type": "qcode", "data": k} for k in keys], hold_time=self.hold_ms)
        if "error" in answer:
            raise Failed("send-key %s: %s" % (keys, answer["error"]["desc"]))
        time.sleep(2 * len(keys) * self.hold_ms / 1000)

    def type(self, text):
        for character in text:
            self.send(keys_of(character))

    # ---- The end ----

    def cpu_seconds(self):
        """User and system time of all its threads so far: the process's CPU clock (clock_getcpuclockid(3)). Of one that has
        ended, what it was when last asked."""
        try:
            if self.process.returncode is None:  # else the number may be another's
                self.cpu = time.clock_gettime(~self.process.pid << 3 | 2)
        except OSError:
            pass
        return self.cpu

    def record(self, stem):
        """Leaves the screen, text, serial output and registers in files, for people."""
        try:
            for ending, content in ("txt", self.screen()), ("serial", self.serial()), ("regs", self.registers()):
                with open(stem + "." + ending, "w") as f:
                    f.write(content + "\n")
            self.screendump(stem + ".png")
        except (EOFError, OSError, ValueError, AttributeError):
            pass

    def quit(self):
        """Ends it in good order; its exit status."""
        self.cpu_seconds()
        try:
            self.qmp.run("quit")
        except (EOFError, OSError, ValueError):
            pass
        return self.wait_end(20)

    def wait_end(self, patience=60):
        try:
            return self.process.wait(patience * self.slow)
        except subprocess.TimeoutExpired:
            raise Failed("the VMM did not end")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)
