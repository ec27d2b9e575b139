"""`arrays.py TIMES`: numpy's loops for every kind of number, a line each: name, digest of the result's bytes. Inputs are integers of a generator that rounds
nothing, so that they are the same on every machine."""
import hashlib
import sys

import numpy as np

REPEAT = int(sys.argv[1])  # 0: only what comes before
COUNT = 40007  # neither a multiple of a vector nor below numpy's blocks
INTEGERS = "int8 uint8 int16 uint16 int32 uint32 int64 uint64".split()
FLOATS = "float16 float32 float64".split()
random = np.random.RandomState(20061021)
WORDS = random.randint(0, 1 << 32, size=8 * COUNT, dtype=np.uint32)


def numbers(dtype, turn):
    """Of an integer type, all its values; of a floating-point one, quarters between -8192 and 8191, but no zero."""
    words = WORDS[turn * 2 * COUNT:(turn + 1) * 2 * COUNT]
    if dtype in INTEGERS:
        return words.view(dtype)[:COUNT].copy()
    return (((words[:COUNT] >> 16).astype(np.int32) - 32768) | 1).astype("float64").__truediv__(4).astype(dtype)


def of_integers(dtype):
    a, b = numbers(dtype, 0), numbers(dtype, 1)
    divisor = np.where(b == 0, b.dtype.type(3), b)
    shift = (b & 7).astype(dtype)
    yield "arithmetic", lambda: (a + b, a - b, a * b, -a, np.square(a), np.absolute(a))
    yield "divide", lambda: (a // divisor, a % divisor, a // b.dtype.type(7), np.gcd(a[:2000], b[:2000]))
    yield "bits", lambda: (a & b, a | b, a ^ b, ~a, a << shift, a >> shift)
    yield "compare", lambda: (a < b, a <= b, a == b, a != b, np.maximum(a, b), np.minimum(a, b), np.clip(a, a.dtype.type(3), a.dtype.type(90)))
    yield "sort", lambda: (np.sort(a), np.sort(a, kind="stable"), np.argsort(a, kind="stable").astype("int64"), np.partition(a, 999)[999], np.unique(a))
    yield "search", lambda: [np.int64(x) for x in (a.argmax(), a.argmin(), np.searchsorted(np.sort(b), a).sum(), np.count_nonzero(a & 1))]
    yield "sum", lambda: (a.sum(dtype="int64"), a.cumsum(dtype="uint64"), np.dot(a[:999], b[:999]), np.convolve(a[:500], b[:99]))
    yield "move", lambda: (a[::-1], a[::3], a[(a & 1).astype(bool)], np.where(a < b, a, b), np.roll(a, 77), np.take(a, (b.view("u1")[:COUNT]).astype("int32")),
                           a.astype("float64"), a.astype("float32"), a.byteswap(), np.packbits(a < b))


def of_floats(dtype):
    a, b = numbers(dtype, 0), numbers(dtype, 1)
    positive = np.absolute(a)
    yield "arithmetic", lambda: (a + b, a - b, a * b, a / b, -a, np.square(a), np.absolute(a))
    yield "round", lambda: (np.floor(a), np.ceil(a), np.trunc(a), np.rint(a), np.sqrt(positive), np.reciprocal(a))
    yield "compare", lambda: (a < b, a <= b, a == b, a != b, np.maximum(a, b), np.fmin(a, b), np.isnan(a), np.isfinite(a), np.signbit(a), np.copysign(a, b))
    yield "sort", lambda: (np.sort(a), np.argsort(a, kind="stable").astype("int64"), np.int64(a.argmax()), np.int64(a.argmin()), a.max(), a.min())
    yield "convert", lambda: (a.astype("float16"), a.astype("float32"), a.astype("float64"), a.astype("int32"), a.astype("int64"), a.astype("int8"))
    yield "parts", lambda: (np.modf(a), np.frexp(a)[0], np.ldexp(a, np.int32(3)), np.nextafter(a, b), np.fmod(a, b), np.floor_divide(a, b), np.spacing(a))
    yield "sum", lambda: (a.sum(), a.mean(), a.cumsum(), (a / b).sum(), np.prod(a[:5]))


def of_library(dtype):
    """What libm, or numpy's own loops by FMA, rounds in its own way."""
    a = numbers(dtype, 0) / np.array(16384, dtype)
    b = np.absolute(a)
    for name in "exp exp2 expm1 sin cos tan arctan arcsin sinh cosh tanh cbrt arcsinh".split():
        yield name, lambda f=getattr(np, name): f(a)
    for name in "log log2 log10 log1p".split():
        yield name, lambda f=getattr(np, name): f(b)
    yield "power", lambda: np.power(b, a)
    yield "arctan2", lambda: np.arctan2(a, b)
    yield "hypot", lambda: np.hypot(a, b)
    yield "logaddexp", lambda: np.logaddexp(a, b)


def of_matrices(dtype):
    a, b = (numbers(dtype, turn)[:10000].reshape(100, 100) for turn in (0, 1))
    yield "product", lambda: a @ b  # exact: quarters times quarters
    yield "einsum", lambda: np.einsum("ij,jk->ik", a[:30, :30], b[:30, :30])
    yield "fft", lambda: np.fft.fft(a)
    yield "solve", lambda: np.linalg.solve(a, b)
    yield "singular values", lambda: np.linalg.svd(a, compute_uv=False)


def of_complex(dtype):
    a, b = (numbers("float64", turn).astype("float32").astype(dtype) + 1j * numbers("float64", turn)[::-1] for turn in (0, 1))
    a, b = a.astype(dtype), b.astype(dtype)
    yield "arithmetic", lambda: (a + b, a - b, a * b, a.conj(), np.square(a), np.absolute(a), a / b)


def digest(result):
    md5 = hashlib.md5()
    for part in result if isinstance(result, (tuple, list)) else [result]:
        for array in part if isinstance(part, tuple) else [part]:
            md5.update(np.ascontiguousarray(array).tobytes())
    return md5.hexdigest()[:16]


def computations():
    for kind, dtypes in ((of_integers, INTEGERS), (of_floats, FLOATS), (of_library, FLOATS[1:]), (of_matrices, FLOATS[1:]),
                         (of_complex, ["complex64", "complex128"])):
        for dtype in dtypes:
            for name, run in kind(dtype):
                yield "%s:%s" % (dtype, name.replace(" ", "-")), run


np.seterr(all="ignore")
for name, run in computations() if REPEAT else ():
    for _ in range(REPEAT):
        result = run()
    print(name, digest(result))
