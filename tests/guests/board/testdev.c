/*
 * QEMU's test devices as a kernel drives them, through its MMU and interrupt controller:
 * -device pc-testdev -device pci-testdev. QEMU's own say the same.
 */
#include "tests/guests/board/board.h"

/* ---- pc-testdev: a register in ports, device memory, interrupt lines ---- */

enum {
    WORD = 0xe0,
    FLUSH = 0xe4,
    BYTES = 0xe8,
    LINES = 0x2000,
    MEMORY = 0xff000000,
    LAST = 0xffff
};

static void test_register(void)
{
    outl(WORD, 0x12345678);
    expect("testdev: a byte of the register", inb(WORD + 1), 0x56);
    expect("testdev: half of it", inw(WORD + 2), 0x1234);
    outb(WORD + 3, 0xab);
    outw(WORD, 0xcdef);
    expect("testdev: written in parts", inl(WORD), 0xab34cdef);
    expect("testdev: the same byte by byte", inl(BYTES), 0xab34cdef);
    outl(BYTES, 0x01020304);
    expect("testdev: written byte by byte", inl(WORD), 0x01020304);
}

static u32 memory(u32 off)
{
    return *(volatile u32 *)(MEMORY + off);
}

static void store(u32 off, u32 val)
{
    *(volatile u32 *)(MEMORY + off) = val;
}

static void copy(u32 to, u32 from, u32 n)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

/* Device memory takes what an instruction does to it in any size, at any address. */
static void test_moves(void)
{
    static const char text[] = "seventeen letters";
    char back[sizeof(text)];
    u32 differ = 0;

    store(8, 0xcafe1234);
    *(volatile u8 *)(MEMORY + 9) = 0x5a;
    expect("testdev: memory by bytes", memory(8), 0xcafe5a34);
    *(volatile u16 *)(MEMORY + 11) = 0xbeef;
    expect("testdev: misaligned", memory(8), 0xeffe5a34);
    store(0xffe, 0x44332211);
    expect("testdev: across pages", memory(0x1000) & 0xffff, 0x4433);
    *(volatile u8 *)(MEMORY + LAST) = 0x77;
    expect("testdev: its last byte", memory(LAST - 3) >> 24, 0x77);
    copy(MEMORY + 0x7fd, (u32)text, sizeof(text));
    copy(MEMORY + 0x801, MEMORY + 0x7fd, sizeof(text));
    copy((u32)back, MEMORY + 0x801, sizeof(text));
    for (u32 i = 0; i < sizeof(text); i++)
        differ += back[i] != text[i & 3]; /* upwards over itself: four letters again and again */
    expect("testdev: copied over itself", differ, 0);
}

static void test_changes(void)
{
    volatile u32 *at = (u32 *)(MEMORY + 0x40);
    u32 old = 5, flags;

    *at = 0xfffffffe;
    __asm__ volatile("addl $3, %0; pushfl; popl %1" : "+m"(*at), "=r"(flags));
    expect("testdev: ADD", *at, 1);
    expect("testdev: its carry", flags & 1, 1);
    __asm__ volatile("lock xaddl %1, %0" : "+m"(*at), "+r"(old));
    expect("testdev: XADD", *at << 8 | old, 0x601);
    old = 6;
    __asm__ volatile("lock cmpxchgl %2, %0" : "+m"(*at), "+a"(old) : "r"(0x99));
    expect("testdev: CMPXCHG", *at, 0x99);
    __asm__ volatile("xchgl %1, %0; btsl $9, %0; rorl $4, %0" : "+m"(*at), "+r"(old));
    expect("testdev: XCHG, BTS, ROR", *at, 0x60000020);
    __asm__ volatile("pushl %0; popl %1; negl %1" : "+m"(*at), "=m"(at[1]));
    expect("testdev: PUSH, POP, NEG", at[1], 0x9fffffe0);
}

/* Raises a line and asks its controller by a poll command, interrupts off: the controller's
 * word, 80 and the input's number. */
static u32 polled(u32 line)
{
    u16 chip = line < 8 ? 0x20 : 0xa0;
    u8 mask = inb(chip + 1);
    u32 answer;

    outb(chip + 1, (u8) ~(1 << (line & 7)));
    outb(LINES + line, 1);
    outb(chip, 0x0c); /* OCW3: poll */
    answer = inb(chip);
    outb(LINES + line, 0);
    outb(chip, 0x60 | (line & 7)); /* specific EOI */
    outb(chip + 1, mask);
    return answer;
}

static void test_lines(void)
{
    static const u8 lines[] = {3, 5, 7, 10, 11, 15};

    for (u32 i = 0; i < sizeof(lines); i++)
        expect("testdev: an interrupt line", polled(lines[i]), 0x80 | (lines[i] & 7));
    outb(0xa1, 0xff); /* low again, it asks for nothing */
    outb(0xa0, 0x0c);
    expect("testdev: lines are low", inb(0xa0) & 0x80, 0);
}

void test_pc_testdev(void)
{
    test_register();
    outl(FLUSH, 0x00100000); /* a page of ours, and one that nobody has */
    outl(FLUSH, 0xfffff000);
    expect("testdev: a flush changes nothing", inl(WORD), 0x01020304);
    test_moves();
    test_changes();
    test_lines();
}

/* ---- pci-testdev: BARs that tell what to write, and count ---- */

enum {
    TEST = 0,
    WIDTH = 1,
    OFFSET = 4,
    DATA = 8,
    COUNT = 12,
    NAME = 16,
    WRITES = 16,
    TESTS = 3
};

static u32 base;
static int ports;

static u32 get(u32 off)
{
    return ports ? inb(base + off) : *(volatile u8 *)(base + off);
}

static u32 get_word(u32 off)
{
    return get(off) | get(off + 1) << 8 | get(off + 2) << 16 | get(off + 3) << 24;
}

static void put(u32 off, u32 val)
{
    if (ports)
        outb(base + off, (u8)val);
    else
        *(volatile u8 *)(base + off) = (u8)val;
}

/* An emulator may have heard of the second and third test's writes by other ways, and count
 * none. */
static void test_one(u32 test, u32 number)
{
    u32 off, data, count;

    put(TEST, test);
    expect("pci-testdev: the test's number", get(TEST), number);
    expect("pci-testdev: its width", get(WIDTH), 1);
    expect("pci-testdev: its name", get(NAME), ports ? 'p' : 'm');
    expect("pci-testdev: its count at first", get_word(COUNT), 0);
    off = get_word(OFFSET);
    data = get_word(DATA);
    expect("pci-testdev: its place", off, (ports ? 128 : 2048) + number);
    expect("pci-testdev: its data", data, test == 1 ? 0xce : 0xfa);
    for (u32 i = 0; i < WRITES; i++)
        put(off, data);
    count = get_word(COUNT);
    expect("pci-testdev: what it counts", test && !count ? WRITES : count, WRITES);
    put(off + 64, data);
    if (test == 0)
        put(off, data ^ 1);
    expect("pci-testdev: what it does not", get_word(COUNT), count);
}

void test_pci_testdev(void)
{
    u32 devfn = 0;

    while (devfn < 0x100 && pci(devfn, 0) != 0x00051b36)
        devfn += 8;
    expect("pci-testdev: is there", devfn < 0x100, 1);
    if (devfn >= 0x100)
        return;
    expect("pci-testdev: its class", pci(devfn, 8), 0x00ff0000);
    for (ports = 0; ports < 2; ports++) {
        base = pci(devfn, 0x10 + 4 * ports) & (ports ? ~3u : ~15u);
        for (u32 test = 0; test < TESTS; test++)
            test_one(test, ports * TESTS + test);
        put(TEST, TESTS);
        expect("pci-testdev: no such test", get(WIDTH), 0);
    }
}
