"""Does a program pick the faster instructions that -cpu max offers, does it then compute the same, and what does that save?

OpenSSL, FFmpeg with x264 and other codecs, and numpy of Debian 12 i386 in two guests, one with the default p6, one with -cpu max, beside the
host's own (amd64): once with the instructions that the guest has, where the program can be told, and once with all. Unlike a
timing, a wrong result or a feature that is not found fails the run.
"""
import json

import machines
import rig
from machines import Failed

KIND = "features"
P6, MAX, LIMITED, NATIVE = "p6", "max", "native as max", "native"
AES_GOAL = 1.2  # of native
PART = 16  # of each amount of CRYPTO, which every machine does

# ---- Rows: MiB; what each prints is compared ----

CRYPTO = {
    "aes-256-cbc": 512, "aes-256-cbc-decrypt": 2048, "aes-256-ctr": 2048, "aes-256-gcm": 1024, "ghash": 1024, "chacha20-poly1305": 512,
    "sha1": 512, "sha256": 512, "sha512": 256,
}
FFMPEG = "ffmpeg -nostdin -v error -y -threads 1 "
SIZE = "640x360"
CLIP = "-f rawvideo -pix_fmt yuv420p -video_size %s -framerate 25 -i clip.yuv " % SIZE
MAKE_CLIP = "[ -e clip.yuv ] || " + FFMPEG + "-f lavfi -i testsrc2=size=%s:rate=25:duration=4 -pix_fmt yuv420p -f rawvideo clip.yuv" % SIZE
X264 = "-c:v libx264 -preset medium -qp 24 -x264-params cpu-independent=1 -threads 1 -f h264 "
AS_MD5 = "-f md5 out"
SLOW = {("FFmpeg", P6): {"sse2"}}  # left out on a Pentium M, which p6 is by its signature


class Media:
    """A command of FFmpeg's; portable: its integers are the same on any processor and architecture, others round in x87 on i386."""

    def __init__(self, name, command, prepare="true", portable=True):
        self.name, self.portable = name, portable
        self.prepare, self.command = MAKE_CLIP + "; " + prepare, FFMPEG + "-bitexact " + command


def decoder(name, file, encoder, **more):
    """A row that decodes what another encodes, to one digest of all frames."""
    return Media(name, "-i %s -f rawvideo -fps_mode passthrough -f md5 out" % file,
                 "[ -e %s ] || %s" % (file, FFMPEG + "-bitexact " + CLIP + encoder + file), **more)


# Not MPEG-4: FFmpeg rounds otherwise by SSE2 than by C, there as on any machine.
MEDIA = [
    Media("x264", CLIP + X264 + "out"),
    decoder("h264 decoded", "kept.264", X264),
    Media("vp9", CLIP + "-frames:v 20 -c:v libvpx-vp9 -deadline good -cpu-used 4 -b:v 0 -crf 32 -threads 1 -f ivf out", portable=False),
    Media("x265", CLIP + "-frames:v 6 -c:v libx265 -preset fast -x265-params log-level=none:pools=none:frame-threads=1:qp=28 -f hevc out",
          portable=False),
    Media("scaled", CLIP + "-vf scale=1280x720:flags=bicubic+accurate_rnd+bitexact " + AS_MD5),
    Media("to RGB", CLIP + "-sws_flags bitexact+accurate_rnd -pix_fmt rgb24 " + AS_MD5),
    Media("filters", CLIP + "-vf yadif,hflip,boxblur=2,hqdn3d,unsharp " + AS_MD5, portable=False),
    Media("flac", "-f s16le -ar 44100 -ac 2 -i clip.yuv -c:a flac -f flac out"),
    Media("resampled", "-f s16le -ar 44100 -ac 2 -t 60 -i clip.yuv -ar 48000 " + AS_MD5),
    Media("aac", "-f s16le -ar 44100 -ac 2 -t 30 -i clip.yuv -c:a aac -f adts out", portable=False),
]
ARRAYS = "python3 /bench/arrays.py %d"


# ---- Machines ----

class Place:
    """A machine, and what its commands begin with."""

    def __init__(self, machine, slow=False):
        self.machine, self.slow, self.before = machine, slow, "unset OPENSSL_ia32cap; "

    def do(self, command):
        done = self.machine.do(self.before + command)
        if done["status"]:
            raise Failed("%s: status %d: %s" % (command, done["status"], done["said"].strip()[-200:]))
        return done

    def output(self, command):
        """The command's CPU seconds, and the digest of the file it makes."""
        self.do("rm -f out")
        return self.do(command)["cpu"], self.do("md5sum <out")["said"].split()[0]


def started(engine, o):
    """{column: place}; the host's columns only where it can change its root."""
    command, places = rig.command_of(engine, o), {}
    try:
        for model in P6, MAX:
            places[model] = Place(machines.Guest(engine, command + " -cpu " + model, o.patience, KIND), model == P6)
        if machines.make("amd64", KIND):
            for name in LIMITED, NATIVE:
                places[name] = Place(machines.Host("amd64", KIND))
    except (Failed, OSError) as e:
        print("FAIL features: a machine does not start: %s" % e)
        close(places)
        raise SystemExit(1)
    return places


def close(places):
    for place in places.values():
        place.machine.close()


# ---- What is found ----

def ask(place):
    return json.loads(place.do("python3 /bench/found.py")["said"])


def limit(place, guest, host, capabilities):
    """Has the host's programs use what the guest's found and no more, as far as they can be told."""
    beyond = {"avx512f": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"}
    disabled = " ".join(beyond.get(f, f.upper()) for f in host["numpy"]["found"] if f not in guest["numpy"]["found"])
    place.before = "export OPENSSL_ia32cap=%s NPY_DISABLE_CPU_FEATURES='%s'; " % (capabilities, disabled)


def find(places, failures):
    """What each program found; each has to find what its guest's Linux tells of and it asks for."""
    found = {name: ask(place) for name, place in places.items() if name != LIMITED}
    if LIMITED in places:
        said = places[MAX].do("openssl version -c")["said"]
        limit(places[LIMITED], found[MAX], found[NATIVE], said.split("OPENSSL_ia32cap=")[1].split()[0])
        found[LIMITED] = ask(places[LIMITED])
    for name, of in found.items():
        for program in [p for p in of if p != "Linux"]:
            missing = set(of["Linux"]) & set(of[program]["asks"]) - set(of[program]["found"]) - SLOW.get((program, name), set())
            if missing and name != LIMITED:
                failures.append("%s under %s does not find %s" % (program, name, ", ".join(sorted(missing))))
    for program in [p for p in found[MAX] if p != "Linux"]:
        print("%s finds in p6: %s" % (program, " ".join(found[P6][program]["found"])))
        more = [f for f in found[MAX][program]["found"] if f not in found[P6][program]["found"]]
        print("  and in max: %s" % " ".join(more))
        if NATIVE in found:
            print("  and in the host: %s" % (" ".join(f for f in found[NATIVE][program]["found"] if f not in found[MAX][program]["found"]) or "no more"))
        if not more:
            failures.append("%s finds no more in max than in p6" % program)
    return found


# ---- What is computed ----

def crypto(place, row):
    """(CPU seconds of the work alone, what a part of it printed); the slow p6 does that part only."""
    command = "python3 /bench/crypto.py %s %d"
    nothing = place.do(command % (row, 0))["cpu"]
    part = place.do(command % (row, CRYPTO[row] // PART))
    if place.slow:
        return (part["cpu"] - nothing) * PART, part["said"].strip()
    whole = place.do(command % (row, CRYPTO[row]))
    return max(whole["cpu"] - nothing, 0.001), part["said"].strip()


def media(place, row):
    place.do(row.prepare)
    return place.output(row.command)


def arrays(place, _):
    nothing = place.do(ARRAYS % 0)["cpu"]
    done = place.do(ARRAYS % 1)
    return done["cpu"] - nothing, done["said"]


def in_turns(places, run, row, name, o):
    """{column: (least CPU seconds, outputs)}; all runs of a place must say the same. The slow p6 runs once."""
    runs = {column: [] for column in places}
    for turn in range(o.repeat):
        for column, place in places.items():
            if turn == 0 or column != P6:
                runs[column].append(run(place, row))
    rig.progress(name, {column: min(r[0] for r in of) for column, of in runs.items()})
    return {column: (min(r[0] for r in of), {r[1] for r in of}) for column, of in runs.items()}


def same(name, results, portable, failures):
    """In words; a difference that must not be is a failure."""
    outputs = {column: of[1] for column, of in results.items()}
    if any(len(o) > 1 for o in outputs.values()):
        failures.append("%s: differs from run to run: %s" % (name, outputs))
    if outputs[MAX] != outputs[P6]:
        failures.append("%s: p6 makes %s, max %s" % (name, outputs[P6], outputs[MAX]))
        return "differs"
    if NATIVE not in outputs:
        return "equal"
    if outputs[MAX] == outputs[NATIVE]:
        return "equal, native too"
    if portable:
        failures.append("%s: the host makes %s, max %s" % (name, outputs[NATIVE], outputs[MAX]))
    return "equal; native differs"


def lines_alike(results):
    """(all, those of p6 that max has too, those of the host as limited, of it as it is)"""
    said = {column: dict(line.split() for line in min(of[1]).strip().split("\n")) for column, of in results.items()}
    return said, {column: [k for k in said[MAX] if of.get(k) == said[MAX][k]] for column, of in said.items()}


def show_arrays(results, failures):
    """Each computation has to have p6's bits, which x87 and libm make, or the host's, where numpy has a loop by newer instructions."""
    said, alike = lines_alike(results)
    native = alike.get(LIMITED, [])
    if wrong := [k for k in said[MAX] if k not in alike[P6] and k not in native]:
        failures.append("numpy: max has neither p6's nor the host's bits in %s" % ", ".join(wrong))
    print("numpy: of %d computations max has the bits of p6 in %d, of the host with the same instructions in %d" % (
        len(said[MAX]), len(alike[P6]), len(native)))
    if not native:
        return
    print("  not p6's: " + " ".join(k for k in said[MAX] if k not in alike[P6]))
    print("  not the host's: " + " ".join(k for k in said[MAX] if k not in native))
    if exact := [k for k in said[MAX] if "int" in k.split(":")[0] and k not in native]:
        failures.append("numpy: integers differ from the host's in %s" % ", ".join(exact))


def seconds(results, columns):
    of = {column: results[column][0] for column in columns if column in results}
    return [rig.number(of.get(c)) for c in columns] + [rig.ratio(of[MAX], of[P6]), rig.ratio(of[MAX], of.get(LIMITED)), rig.ratio(of[MAX], of.get(NATIVE))]


def measure(places, o, failures):
    """{row: {column: (seconds, outputs)}}, and the rows of the table."""
    results, table = {}, []
    rows = [(name, crypto, name, places, True) for name in CRYPTO]
    rows += [(row.name, media, row, {c: p for c, p in places.items() if c != LIMITED}, row.portable) for row in MEDIA]
    rows += [("numpy", arrays, None, places, None)]
    for name, run, row, where, portable in rows:
        if not rig.wanted(name, o):
            continue
        try:
            results[name] = in_turns(where, run, row, name, o)
        except Failed as e:
            failures.append("%s: %s" % (name, e))
            continue
        told = same(name, results[name], portable, failures) if portable is not None else "below"
        table.append([name] + seconds(results[name], list(places)) + [told])
    return results, table


def goal(results):
    """AES-256 beside the host's own with the same instructions."""
    of = {row: results[row][MAX][0] / results[row][LIMITED][0] for row in results if row.startswith("aes-256") and LIMITED in results[row]}
    for row, quotient in of.items():
        print("%s: %.0f MiB a CPU second with p6, %.0f with max, %.2f of native's time (goal %.1f)" % (
            row, *(CRYPTO[row] / results[row][c][0] for c in (P6, MAX)), quotient, AES_GOAL))


def features(o):
    machines.fetch()
    if not machines.make("i386", KIND):
        raise SystemExit("bench/run features: no root file system")
    failures, places = [], started(o.engines[0], o)
    try:
        found = find(places, failures)
        print()
        results, table = measure(places, o, failures)
    finally:
        close(places)
    print("Programs of Debian 12 i386 under -cpu p6 and max, CPU seconds, the cheapest of %d runs in turns" % o.repeat)
    rig.table([""] + list(places) + ["max/p6", "max/as max", "max/native", "output"], table)
    if "numpy" in results:
        show_arrays(results["numpy"], failures)
    goal(results)
    rig.save("features", {"found": found, "rows": {row: {c: {"cpu": of[0], "output": sorted(of[1])} for c, of in r.items()} for row, r in results.items()}})
    for failure in failures:
        print("FAIL " + failure)
    if failures:
        raise SystemExit("bench/run features: %d wrong" % len(failures))
