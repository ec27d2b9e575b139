"""Integers and lists: primes, queens on a board, a long product, floating point."""


def primes(limit):
    sieve = bytearray([1]) * limit
    for i in range(2, int(limit ** 0.5) + 1):
        if sieve[i]:
            sieve[i * i::i] = bytes(len(range(i * i, limit, i)))
    return [i for i in range(2, limit) if sieve[i]]


def queens(n, row=0, columns=0, left=0, right=0):
    if row == n:
        return 1
    found, free = 0, ~(columns | left | right) & ((1 << n) - 1)
    while free:
        bit = free & -free
        free -= bit
        found += queens(n, row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1)
    return found


def wave(steps):
    x, v = 1.0, 0.0
    for _ in range(steps):
        v -= x * 0.001
        x += v * 0.001
    return x


def main():
    product = 1
    for p in primes(1000000)[:3000]:
        product *= p
    print(product.bit_length(), len(str(product % 10 ** 3000)), queens(9), "%.12f" % wave(1000000))


main()
