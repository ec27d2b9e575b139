"""The programs of bench/run programs, a line each: shell commands that run in /tmp/work of the guest's or the host's Debian root.

Sizes are such that a row takes some tenths of a second natively, and QEMU less than ten seconds. What a row makes goes into
the file `out`, whose digest must be the same on every machine.
"""


class Row:
    """prepare: before, not timed. check: makes `out` afterwards, not timed, where the command itself does not."""

    def __init__(self, name, command, prepare="", check=""):
        self.name, self.command, self.prepare, self.check = name, command, prepare, check


KEY = "-K %s -iv %s" % ("603deb1015ca71be2b73aef0857d7781" * 2, "000102030405060708090a0b0c0d0e0f")
REPEATED = "[ -e big ] || cat /bench/text /bench/text /bench/text /bench/text >big"
PACKED = "[ -e text.%s ] || %s </bench/text >text.%s"
TREE = "/usr/include /usr/share/perl"
TAR = "tar -c --sort=name --owner=0 --group=0 --mtime=@0 -f %s -C / usr/include usr/share/perl"
EXECS = "i=0; while [ $i -lt 500 ]; do /bin/true; i=$((i+1)); done; echo $i >out"
# The disk is read, not what is left in memory of it: a guest's is a device, the host's a file.
DROP = ("if [ -b /tmp/disk ]; then echo 3 >/proc/sys/vm/drop_caches; "
        "else dd if=/tmp/disk iflag=nocache count=0 2>/dev/null; fi")


def times(n, command):
    """A command n times, whose output counts once."""
    return "for i in %s; do %s >/dev/null; done; %s >out" % (" ".join("x" * (n - 1)), command, command)


ROWS = [
    Row("gzip -9", "head -c 3M /bench/text | gzip -9 >out"),
    Row("bzip2", "head -c 4M /bench/text | bzip2 >out"),
    Row("xz -1", "head -c 4M /bench/text | xz -1 >out"),
    Row("zstd -3", times(4, "zstd -3 --single-thread -c /bench/text")),
    Row("gunzip", times(5, "gunzip <text.gz"), prepare=PACKED % ("gz", "gzip", "gz")),
    Row("bunzip2", "bunzip2 <text.bz2 >out", prepare=PACKED % ("bz2", "bzip2 -1", "bz2")),
    Row("unxz", times(2, "unxz <text.xz"), prepare=PACKED % ("xz", "xz -0", "xz")),
    Row("unzstd", times(10, "unzstd -c <text.zst"), prepare=PACKED % ("zst", "zstd -3", "zst")),
    Row("AES-256-CBC", "openssl enc -aes-256-cbc %s -in big -out out" % KEY, prepare=REPEATED),
    Row("sha256", "openssl dgst -sha256 big >out", prepare=REPEATED),
    Row("python objects", "python3 /bench/objects.py >out"),
    Row("python algorithm", "python3 /bench/algorithm.py >out"),
    Row("LuaJIT", "luajit /bench/compiled.lua >out"),
    Row("Node.js", "node /bench/compiled.js >out"),
    Row("SBCL", "sbcl --script /bench/compiled.lisp >out"),
    Row("perl words", "perl /bench/words.pl >out"),
    Row("sqlite insert", "sqlite3 new.db </bench/insert.sql >out", prepare="rm -f new.db"),
    Row("sqlite query", "sqlite3 kept.db </bench/query.sql >out",
        prepare="[ -e kept.db ] || sqlite3 kept.db </bench/insert.sql"),
    Row("500 fork+exec", EXECS),
    Row("same, norandmaps", "setarch -R sh -c '%s'" % EXECS),
    Row("sh loop", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); case $i in *7) x=${i%?}$x; x=${x%?????} ;; esac; done; echo $i $x >out"),
    Row("find+grep", "find %s -type f | sort | xargs grep -n 'return.*[0-9]x[0-9a-f]*' | cat >out" % TREE),
    Row("tar", TAR % "out"),
    Row("untar", "mkdir tree; tar -x -f kept.tar -C tree", prepare="rm -rf tree; [ -e kept.tar ] || " + TAR % "kept.tar",
        check="find tree -type f | sort | xargs md5sum >out; rm -r tree"),
    Row("gcc -O1, 2,600 lines", "gcc -O1 -w -x c -DSTB_IMAGE_RESIZE_IMPLEMENTATION -c -o out /usr/include/stb/stb_image_resize.h"),
    Row("make, 6 files", "make -s -f /bench/Makefile", prepare="rm -f *.o", check="cat *.o >out"),
    Row("disk, sequential", "dd if=/tmp/disk of=/dev/null bs=1M count=256", prepare=DROP,
        check="dd if=/tmp/disk bs=1M count=256 | md5sum >out"),
    Row("disk, 4K random", "compute random-read /tmp/disk >out"),
    Row("matrix, SSE2", "compute matrix >out"),
    Row("matrix, x87", "compute matrix-x87 >out"),
    Row("long double", "compute long-double >out"),
    Row("memcpy", "compute memcpy >out"),
    Row("byte code", "compute bytecode >out"),
    Row("recursion", "compute recursion >out"),
    Row("indirect calls", "compute indirect >out"),
]
