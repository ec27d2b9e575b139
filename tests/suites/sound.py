#!/usr/bin/env python3
"""Runs the sound guest (tests/guests/sound) into WAV files, and compares what is in them: frequencies, lengths, gaps.

  sound.py [--vmm COMMAND] [NAME…]

Without names, all but those in Linux.
"""
import argparse
import array
import math
import os
import re
import shlex
import subprocess
import sys
import tempfile
import wave

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from cases import CASES, Skipped, case, expect, name_of, run_case, run_cases  # noqa: E402
from vm import Failed  # noqa: E402

TOP = os.path.dirname(os.path.dirname(HERE))
KERNEL = os.path.join(TOP, "build", "tests", "guests", "sound.elf")
PIT_HZ = 1193182


def near(got, want, by, what):
    expect(abs(got - want) <= by, "%s: %.2f, want %.2f ± %.2f" % (what, got, want, by))


class Sound:
    """One channel of a WAV file."""

    def __init__(self, path, channel=0):
        with wave.open(path) as w:
            expect(w.getnchannels() == 2 and w.getsampwidth() == 2, "not 16-bit stereo")
            self.rate = w.getframerate()
            data = array.array("h", w.readframes(w.getnframes()))
        self.samples = data[channel::2]

    def stretches(self, least=500, apart=0.05):
        """Where it is loud: (first, last) frames, with at least `apart` seconds of quiet between."""
        found = []
        for i, v in enumerate(self.samples):
            if abs(v) < least:
                continue
            if found and i - found[-1][1] < apart * self.rate:
                found[-1][1] = i
            else:
                found.append([i, i])
        return found

    def rises(self, first, last, slack=400):
        """Times, in frames, of rises through zero."""
        found, low = [], False
        for i in range(first, last):
            v = self.samples[i]
            if v < -slack:
                low = True
            elif low and v >= 0:
                before = self.samples[i - 1]
                found.append(i - v / (v - before) if v != before else i)
                low = False
        return found

    def smooth(self, width):
        """The mean of `width` neighbours."""
        total, out = 0, array.array("h", bytes(2 * len(self.samples)))
        for i, v in enumerate(self.samples):
            total += v - (self.samples[i - width] if i >= width else 0)
            out[i] = total // width
        self.samples = out

    def seconds(self, stretch):
        return (stretch[1] - stretch[0]) / self.rate

    def frequency(self, stretch):
        r = self.rises(*stretch)
        expect(len(r) > 2, "no tone")
        return self.rate * (len(r) - 1) / (r[-1] - r[0])

    def worst_period(self, stretch, hz):
        """The period that differs most from that of hz, in periods."""
        r = self.rises(*stretch)
        return max(abs((b - a) * hz / self.rate - 1) for a, b in zip(r, r[1:]))


class Load:
    """Programs that compute, two for each processor: the guest gets a part of the host."""

    def __init__(self, n):
        self.n = n

    def __enter__(self):
        self.busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(self.n)]

    def __exit__(self, *_):
        for p in self.busy:
            p.kill()
            p.wait()


def play(vmm, words, path, options=()):
    """What the guest said."""
    log = path + ".log"
    command = shlex.split(vmm) + [
        "-m", "16", "-display", "none", "-serial", "null", "-kernel", KERNEL, "-append", words,
        "-audiodev", "wav,id=w,path=" + path, "-machine", "pc,pcspk-audiodev=w",
        "-debugcon", "file:" + log, "-device", "isa-debug-exit,iobase=0xf4,iosize=4", *options]
    done = subprocess.run(command, timeout=60, capture_output=True, text=True)
    expect(done.returncode == 1, "exit status %d: %s" % (done.returncode, done.stderr.strip()[-300:]))
    with open(log) as f:
        return f.read()


def check_beep(s, said):
    """Two tones, each as long as the guest says, with nothing missing."""
    tones, lengths = s.stretches(), re.findall(r"tone (\d+) (\d+)", said)
    expect(len(tones) == 2 and len(lengths) == 2, "%d tones" % len(tones))
    for tone, (least, most), hz in zip(tones, lengths, (PIT_HZ / 1193, PIT_HZ / 2712)):
        near(s.frequency(tone), hz, hz / 500, "frequency")
        near(s.worst_period((tone[0] + 200, tone[1] - 2400), hz), 0, 0.01, "worst period")
        expect(int(least) / PIT_HZ - 0.01 <= s.seconds(tone) <= int(most) / PIT_HZ + 0.04,
               "%.3f s, want %s to %s ticks" % (s.seconds(tone), least, most))


@case
def beep(vmm, path):
    """Two tones of the speaker and the silence between them."""
    said = play(vmm, "beep", path)
    check_beep(Sound(path), said)


@case
def beep_under_load(vmm, path):
    """The same while the host has twice the work it can do: the tones themselves have no gap."""
    with Load(2 * os.cpu_count()):
        said = play(vmm, "beep", path)
    check_beep(Sound(path), said)


CARD = ("-device", "sb16,audiodev=w")


def check_tone(path, said, channel, hz, seconds, period=0.02, apart=0.05, least=0):
    """A sine of that length without a gap: no period differs, nor does a step from a frame to the next. What is shorter
    than `least` seconds, `apart` from it, does not count."""
    expect("no " not in said, said)
    s = Sound(path, channel)
    tones = [t for t in s.stretches(apart=apart) if s.seconds(t) >= least]
    expect(len(tones) == 1, "%d tones" % len(tones))
    first, last = tones[0]
    near(s.frequency(tones[0]), hz, hz / 500, "frequency")
    near(s.seconds(tones[0]), seconds, 0.02, "length")
    near(s.worst_period((first + 100, last - 100), hz), 0, period, "worst period")
    top = max(s.samples)
    steps = [abs(a - b) for a, b in zip(s.samples[first + 100:last - 100], s.samples[first + 101:last - 99])]
    near(max(steps), top * 2 * math.pi * hz / s.rate, top / 20, "worst step")


def play_card(vmm, words, path, options, most, check):
    """check(said); where it fails and the host stopped the guest for more than `most` ms at a time, again."""
    for _ in range(5):
        said = play(vmm, words, path, options)
        worst = re.search(r"worst (\d+) ms", said)
        expect(worst, "the guest did not come to its end")
        try:
            return check(said)
        except Failed:
            if int(worst.group(1)) < most:
                raise
    raise Skipped("the host is too busy: nothing ran for %s ms" % worst.group(1))


def check_stereo(path, said, **more):
    check_tone(path, said, 0, 441, 0.5, **more)
    check_tone(path, said, 1, 1000, 0.5, **more)


@case
def sb_8_bits(vmm, path):
    """Single blocks, each begun after the interrupt of the one before, join to one tone."""
    play_card(vmm, "sb8", path, CARD, 18, lambda said: check_tone(path, said, 0, 11111 * 441 / 11025, 0.4959, 0.05))


@case
def sb_16_bits(vmm, path):
    play_card(vmm, "sb16", path, CARD, 240, lambda said: check_stereo(path, said))


@case
def ac97(vmm, path):
    play_card(vmm, "ac97", path, ("-device", "AC97,audiodev=w"), 90, lambda said: check_stereo(path, said))


def check_es1370(path, said):
    check_stereo(path, said)
    tops = [max(Sound(path, channel).samples) for channel in (0, 1)]
    expect(0.95 < tops[0] / tops[1] < 1.05 and 14000 < tops[0] < 18000, "volumes %s" % tops)


@case
def es1370(vmm, path):
    """What is heard by the mixer's registers and the DMA of DAC2."""
    play_card(vmm, "es1370", path, ("-device", "ES1370,audiodev=w"), 90, lambda said: check_es1370(path, said))


@case
def es1370_under_load(vmm, path):
    with Load(2 * os.cpu_count()):
        play_card(vmm, "es1370", path, ("-soundhw", "es1370"), 90, lambda said: check_stereo(path, said))


@case
def fm_note(vmm, path):
    """The note lasts as long as the guest was there to end it."""
    said = play(vmm, "fm", path, ("-device", "adlib,audiodev=w"))
    if "no OPL3" in said:
        raise Skipped("built without libadplug")
    s = Sound(path)
    tone = max(s.stretches(), key=s.seconds)
    near(s.frequency((tone[0] + 500, tone[1] - 500)), 580 * 16 * 49716 / 2 ** 20, 1, "frequency")
    expect(s.seconds(tone) > 0.48, "%.3f s" % s.seconds(tone))


@case
def sb_under_load(vmm, path):
    """At twice the work the host can do."""
    with Load(2 * os.cpu_count()):
        play_card(vmm, "sb16", path, ("-soundhw", "sb16"), 240, lambda said: check_stereo(path, said))


GUESTS = os.path.join(TOP, "build", "guests")


def boot_linux(vmm, path, device, words, check, initrd=os.path.join(GUESTS, "initrd-sound.gz")):
    """Debian's driver of the card, by its own mixer, periods and interrupts. It ends with the silence that fills the last
    period, and stops the card a moment later, which plays old frames until then."""
    if not os.path.exists(os.path.join(GUESTS, "initrd-sound.gz")):
        raise Skipped("no guest: tests/suites/fetch-guests makes it")
    log = path + ".log"
    for attempt in range(3):
        done = subprocess.run(shlex.split(vmm) + [
            "-m", "128", "-display", "none", "-no-reboot", "-kernel", GUESTS + "/vmlinuz-686", "-initrd", initrd,
            "-append", "console=ttyS0 quiet panic=-1 " + words, "-serial", "file:" + log, "-audiodev", "wav,id=w,path=" + path,
            "-device", device + ",audiodev=w"], timeout=300, capture_output=True, text=True)
        with open(log, encoding="latin1") as f:
            said = f.read()
        expect(done.returncode == 0 and "played" in said and "SOUND-DONE" in said, said[-300:] + done.stderr)
        try:
            return check(said.partition("[")[2])
        except Failed:
            if attempt == 2:
                raise


def linux(vmm, path, device):
    boot_linux(vmm, path, device, "", lambda said: check_stereo(path, said, apart=0.005, least=0.01))


@case
def linux_es1370(vmm, path):
    linux(vmm, path, "ES1370")


@case
def linux_ac97(vmm, path):
    linux(vmm, path, "AC97")


SECONDS = 3


def tone_archive(path, rate, left, right):
    """initrd-sound.gz, and behind it an archive with /tone.wav: two sines, 16 bits, quiet enough for a card that
    amplifies by 12 dB."""
    with tempfile.TemporaryDirectory() as folder:
        with wave.open(os.path.join(folder, "tone.wav"), "wb") as w:
            w.setparams((2, 2, rate, 0, "NONE", ""))
            w.writeframes(array.array("h", [round(2000 * math.sin(2 * math.pi * hz * i / rate))
                                            for i in range(SECONDS * rate) for hz in (left, right)]).tobytes())
        packed = subprocess.run("echo tone.wav | cpio -o -H newc --quiet | gzip -1", shell=True, cwd=folder, check=True,
                                capture_output=True).stdout
    with open(os.path.join(GUESTS, "initrd-sound.gz"), "rb") as f, open(path, "wb") as out:
        out.write(f.read() + packed)


def aplay(vmm, path, device, rate, words="", least=0.01):
    """A file by Debian's aplay: both tones as long as they are in it, with no 2 ms of silence in them, and no sample lost
    or played twice. `least`: what is heard until the driver stops the card, at the end of a silent period, is shorter."""
    tones = (441, 1000)

    def check(said):
        expect("underrun" not in said, said)
        for channel, hz in enumerate(tones):
            check_tone(path, said, channel, hz, SECONDS, apart=0.002, least=least)

    if os.path.exists(os.path.join(GUESTS, "initrd-sound.gz")):
        tone_archive(path + ".gz", rate, *tones)
    boot_linux(vmm, path, device, words, check, path + ".gz")


@case
def linux_aplay_sb16(vmm, path):
    aplay(vmm, path, "sb16", 44100)


@case
def linux_aplay_ac97(vmm, path):
    aplay(vmm, path, "AC97", 48000)


@case
def linux_aplay_sb16_busy(vmm, path):
    """A process in the guest computes beside, and the host has twice the work it can do."""
    with Load(2 * os.cpu_count()):
        aplay(vmm, path, "sb16", 22050, "busy", least=0.05)


@case
def linux_aplay_ac97_busy(vmm, path):
    with Load(2 * os.cpu_count()):
        aplay(vmm, path, "AC97", 44100, "busy", least=0.05)


def check_speech(path):
    s = Sound(path)
    s.smooth(8 * s.rate // 8000)  # eight pulses, half a period: a late pulse is an eighth of it
    tone = max(s.stretches(least=300), key=s.seconds)
    near(s.seconds(tone), 0.5, 0.1, "length")
    first, last = tone[0] + 3000, tone[1] - 1000
    r = s.rises(first, last, slack=max(s.samples[first:last]) // 2)
    expect(len(r) > 2, "no tone")
    near(s.rate * (len(r) - 1) / (r[-1] - r[0]), 500, 10, "frequency")


@case
def speech(vmm, path):
    """A sine by pulse width, 8000 pulses a second: on a host that leaves the guest time for it."""
    for _ in range(5):
        said = re.search(r"late (\d+)", play(vmm, "speech", path))
        expect(said, "the guest did not come to its end")
        late = int(said.group(1))
        try:
            if late < 40:
                return check_speech(path)
        except Failed:
            if not late:
                raise
    raise Skipped("the host is too busy: %d of 4000 pulses late" % late)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--vmm", default=os.path.join(TOP, "build", "ring3"))
    p.add_argument("names", nargs="*")
    o = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="ring3-sound") as folder:
        names = o.names or [n for n in map(name_of, CASES) if not n.startswith("linux")]
        return run_cases(names,
                         lambda f: run_case(f, o.vmm, os.path.join(folder, f.__name__ + ".wav")))


if __name__ == "__main__":
    sys.exit(main())
