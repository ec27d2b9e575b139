"""`crypto.py ROW MIB`: one of libcrypto's algorithms over so many MiB, without a file or pipe; prints what came out, as hexadecimal.

A cipher's output is its next input, so the last bytes depend on all that was done.
"""
import array
import ctypes
import sys

SIZE = 1 << 20
DATA = array.array("I", range(SIZE // 4)).tobytes()
KEY, IV = bytes(range(0x60, 0x80)), bytes(range(16))
GET_TAG = 0x10  # EVP_CTRL_AEAD_GET_TAG
lib = ctypes.CDLL("libcrypto.so.3")
for name in "EVP_CIPHER_fetch", "EVP_CIPHER_CTX_new", "EVP_MD_fetch", "EVP_MD_CTX_new":
    getattr(lib, name).restype = ctypes.c_void_p


def sure(done, what):
    if not done:
        sys.exit("libcrypto refuses: " + what)
    return done


def cipher_begin(name, encrypt):
    cipher = sure(lib.EVP_CIPHER_fetch(None, name.encode(), None), name)
    ctx = ctypes.c_void_p(lib.EVP_CIPHER_CTX_new())
    sure(lib.EVP_CipherInit_ex(ctx, ctypes.c_void_p(cipher), None, KEY, IV, encrypt), "a key")
    lib.EVP_CIPHER_CTX_set_padding(ctx, 0)
    return ctx


def update(ctx, out, data):
    sure(lib.EVP_CipherUpdate(ctx, out, ctypes.byref(ctypes.c_int()), data, SIZE), "data")


def cipher(name, encrypt=1):
    def run(mib):
        ctx, data = cipher_begin(name, encrypt), ctypes.create_string_buffer(DATA, SIZE + 64)
        for _ in range(mib):
            update(ctx, data, data)
        return data.raw[SIZE - 32:SIZE]
    return run


def authenticated(name, additional=False):
    """additional: data that is not encrypted, which GCM's GHASH alone reads."""
    def run(mib):
        ctx, data = cipher_begin(name, 1), ctypes.create_string_buffer(DATA, SIZE + 64)
        for _ in range(mib):
            update(ctx, None if additional else data, data)
        tag = ctypes.create_string_buffer(16)
        sure(lib.EVP_CipherFinal_ex(ctx, data, ctypes.byref(ctypes.c_int())), "the end")
        sure(lib.EVP_CIPHER_CTX_ctrl(ctx, GET_TAG, 16, tag), "the tag")
        return tag.raw
    return run


def digest(name):
    def run(mib):
        ctx = ctypes.c_void_p(lib.EVP_MD_CTX_new())
        sure(lib.EVP_DigestInit_ex(ctx, ctypes.c_void_p(sure(lib.EVP_MD_fetch(None, name.encode(), None), name)), None), name)
        out = ctypes.create_string_buffer(64)
        for _ in range(mib):
            sure(lib.EVP_DigestUpdate(ctx, DATA, SIZE), "data")
        length = ctypes.c_uint()
        sure(lib.EVP_DigestFinal_ex(ctx, out, ctypes.byref(length)), "the end")
        return out.raw[:length.value]
    return run


ROWS = {
    "aes-256-cbc": cipher("AES-256-CBC"), "aes-256-cbc-decrypt": cipher("AES-256-CBC", 0), "aes-256-ctr": cipher("AES-256-CTR"),
    "aes-256-gcm": authenticated("AES-256-GCM"), "ghash": authenticated("AES-256-GCM", True),
    "chacha20-poly1305": authenticated("ChaCha20-Poly1305"),
    "sha1": digest("SHA1"), "sha256": digest("SHA256"), "sha512": digest("SHA512"),
}
print(ROWS[sys.argv[1]](int(sys.argv[2])).hex())
