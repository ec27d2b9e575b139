"""What the suites that start ring3 from outside share: a folder for its files, its guests of a sector, its refusals."""
import argparse
import os
import re
import subprocess
import tempfile

from cases import expect, run_case, run_cases

LOOP = b"\xeb\xfe"
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Context:
    def __init__(self, ring3):
        self.ring3 = ring3
        self.folder = tempfile.TemporaryDirectory(prefix="ring3-cli")

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def file(self, name, data=b"", size=None):
        with open(self.path(name), "wb") as f:
            f.write(data)
            if size:
                f.truncate(size)
        return self.path(name)

    def floppy(self, code, name="boot.img"):
        """A 1.44 MB floppy with the code in its boot sector."""
        return self.file(name, code.ljust(510, b"\0") + b"\x55\xaa", 1440 * 1024)

    def run(self, *options, timeout=30, **more):
        return subprocess.run([self.ring3, *map(str, options)], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=timeout, text=True, errors="replace", **more)

    def refused(self, want, *options):
        """One line on stderr that holds `want`, nothing on stdout, status 1."""
        r = self.run("-display", "none", *options)
        line = r.stderr.strip()
        expect(r.returncode == 1, "%s: status %d, said %r" % (options, r.returncode, line[-200:]))
        expect(line.count("\n") == 0 and line.startswith("ring3: "), "%s: not one line: %r" % (options, line))
        expect(re.search(want, line), "%s: %r does not say /%s/" % (options, line, want))


def main(doc):
    """A suite whose cases each take a Context, by its command line. Its exit status."""
    a = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--ring3", default=os.path.join(TOP, "build", "ring3"))
    a.add_argument("names", nargs="*")
    o = a.parse_args()

    def run(function):
        c = Context(o.ring3)
        try:
            return run_case(function, c)
        finally:
            c.folder.cleanup()

    return run_cases(o.names, run)
