"""What Linux, OpenSSL, FFmpeg, x264 and numpy find in this processor: JSON, {program: [names as /proc/cpuinfo has them]}. Of each
program only what its code asks for is told."""
import ctypes
import json
import re
import subprocess

# OPENSSL_ia32cap's bits: CPUID 1's EDX and ECX, then 7's EBX.
OPENSSL = {
    26: "sse2", 32: "pni", 33: "pclmulqdq", 41: "ssse3", 54: "movbe", 57: "aes", 60: "avx", 62: "rdrand", 64 + 3: "bmi1", 64 + 5: "avx2",
    64 + 8: "bmi2", 64 + 16: "avx512f", 64 + 19: "adx", 64 + 29: "sha_ni",
}
FFMPEG = {
    "mmx": "mmx", "sse": "sse", "sse2": "sse2", "sse3": "pni", "ssse3": "ssse3", "sse4.1": "sse4_1", "sse4.2": "sse4_2", "avx": "avx",
    "fma3": "fma", "avx2": "avx2", "bmi1": "bmi1", "bmi2": "bmi2", "aesni": "aes", "avx512": "avx512f",
}
X264 = {
    "MMX2": "mmx", "SSE2": "sse2", "SSE2Fast": "sse2", "SSSE3": "ssse3", "SSE4.2": "sse4_2", "AVX": "avx", "FMA3": "fma", "BMI2": "bmi2",
    "AVX2": "avx2", "AVX512": "avx512f",
}
NUMPY = {
    "SSE": "sse", "SSE2": "sse2", "SSE3": "pni", "SSSE3": "ssse3", "SSE41": "sse4_1", "POPCNT": "popcnt", "SSE42": "sse4_2", "AVX": "avx",
    "F16C": "f16c", "FMA3": "fma", "AVX2": "avx2", "AVX512F": "avx512f",
}


def linux():
    with open("/proc/cpuinfo") as f:
        return set(re.search(r"^flags\s*: (.*)$", f.read(), re.M)[1].split())


def openssl():
    said = subprocess.run(["openssl", "version", "-c"], capture_output=True, text=True).stdout
    words = re.search(r"OPENSSL_ia32cap=0x([0-9a-f]+):0x([0-9a-f]+)", said)
    bits = int(words[1], 16) | int(words[2], 16) << 64
    return {name for bit, name in OPENSSL.items() if bits >> bit & 1}


def ffmpeg():
    lib, found = ctypes.CDLL("libavutil.so.57"), set()
    have = lib.av_get_cpu_flags()
    for word, name in FFMPEG.items():
        flags = ctypes.c_uint(0)
        if lib.av_parse_cpu_caps(ctypes.byref(flags), word.encode()) == 0 and flags.value and have & flags.value == flags.value:
            found.add(name)
    return found


def x264():
    said = subprocess.run("ffmpeg -nostdin -v info -f lavfi -i testsrc2=size=64x64:duration=0.1 -c:v libx264 -f null -".split(),
                          capture_output=True, text=True).stderr
    return {X264[word] for word in re.search(r"using cpu capabilities: (.*)", said)[1].split() if word in X264}


def numpy():
    from numpy.core._multiarray_umath import __cpu_features__ as features
    return {name for word, name in NUMPY.items() if features.get(word)}


PROGRAMS = {"OpenSSL": (openssl, OPENSSL), "FFmpeg": (ffmpeg, FFMPEG), "x264": (x264, X264), "numpy": (numpy, NUMPY)}
print(json.dumps({"Linux": sorted(linux()), **{program: {"found": sorted(ask()), "asks": sorted(set(names.values()))}
                                               for program, (ask, names) in PROGRAMS.items()}}))
