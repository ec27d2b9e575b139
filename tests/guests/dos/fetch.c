/*
 * FETCH.COM PORT: what a TCP server on the host sends, to the standard output; by the packet
 * driver that it finds between INT 60h and 80h. It asks for the text with one line, and ends
 * with 0 when all has come, else with 1 and a line why.
 *
 * No more than that needs: one connection from 10.0.2.15 to 10.0.2.2, the user network's host;
 * ARP for it; TCP (RFC 9293) that takes segments in their order alone, drops and asks again for
 * others, and has one segment of its own under way.
 */
#include "tests/guests/io.h"

#define SLOTS     8 /* frames that have come; a power of two */
#define SLOT_SIZE 1536
#define MSS       1460
#define WINDOW    (4 * MSS)
#define TRIES     8
#define SECOND    18 /* ticks */

#define ETHERTYPE_IP  0x0800
#define ETHERTYPE_ARP 0x0806
#define ETH           14
#define IP            20
#define TCP           20

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

/* A call's registers. */
struct call {
    u16 ax, bx, cx, dx, si, di;
    u16 carry;
};

asm(".code16gcc\n"
    ".section .start, \"ax\"\n"
    ".globl _start\n"
    "_start:\n"
    "    movzwl %sp, %esp\n"
    "    cld\n"
    "    movl $__bss_start, %edi\n"
    "    movl $_end, %ecx\n"
    "    subl %edi, %ecx\n"
    "    xorl %eax, %eax\n"
    "    rep stosb\n"
    "    calll main\n"
    "    movb $0x4c, %ah\n"
    "    int $0x21\n"
    /* int n with the registers of a struct call; segments are ours. */
    ".globl int_dos, int_packet\n"
    "int_dos:\n"
    "    pushal\n"
    "    movl 36(%esp), %ebp\n"
    "    movw (%ebp), %ax\n"
    "    movw 2(%ebp), %bx\n"
    "    movw 4(%ebp), %cx\n"
    "    movw 6(%ebp), %dx\n"
    "    int $0x21\n"
    "    jmp 1f\n"
    "int_packet:\n"
    "    pushal\n"
    "    movl 36(%esp), %ebp\n"
    "    movw (%ebp), %ax\n"
    "    movw 2(%ebp), %bx\n"
    "    movw 4(%ebp), %cx\n"
    "    movw 6(%ebp), %dx\n"
    "    movw 8(%ebp), %si\n"
    "    movw 10(%ebp), %di\n"
    "    pushw %ds\n"
    "    pushw %es\n"
    "    pushfw\n"
    "    cli\n"
    "    lcallw *%cs:packet_entry\n"
    "    popw %es\n"
    "    popw %ds\n"
    "1:  movw %ax, (%ebp)\n"
    "    movw %bx, 2(%ebp)\n"
    "    movw %dx, 6(%ebp)\n"
    "    sbbw %ax, %ax\n"
    "    movw %ax, 12(%ebp)\n"
    "    popal\n"
    "    retl\n"
    /* What the driver calls for a frame: AX 0 wants ES:DI, 1 says that DS:SI has it. No 32-bit
       register is ours here. */
    ".globl receiver\n"
    "receiver:\n"
    "    pushl %eax\n"
    "    pushl %ebx\n"
    "    movzbl %cs:slot_in, %ebx\n"
    "    testw %ax, %ax\n"
    "    jnz 2f\n"
    "    xorw %di, %di\n"
    "    movw %di, %es\n"
    "    movb %bl, %al\n"
    "    subb %cs:slot_out, %al\n"
    "    cmpb $8, %al\n" /* SLOTS */
    "    jae 3f\n"
    "    cmpw $1536, %cx\n" /* SLOT_SIZE */
    "    ja 3f\n"
    "    andl $7, %ebx\n"
    "    imull $1536, %ebx, %edi\n"
    "    addl $slots, %edi\n"
    "    pushw %cs\n"
    "    popw %es\n"
    "    jmp 3f\n"
    "2:  andl $7, %ebx\n"
    "    movw %cx, %cs:slot_length(,%ebx,2)\n"
    "    incb %cs:slot_in\n"
    "3:  popl %ebx\n"
    "    popl %eax\n"
    "    lretw\n"
    ".globl ignore\n"
    "ignore:\n"
    "    iretw\n"
    ".previous\n");

void int_dos(struct call *c);
void int_packet(struct call *c);
void receiver(void);
void ignore(void);

volatile u8 slot_in, slot_out;
u16 slot_length[SLOTS];
u8 slots[SLOTS][SLOT_SIZE];
u32 packet_entry;

_Static_assert(SLOTS == 8 && SLOT_SIZE == 1536, "as receiver has them");

static u8 frame[ETH + IP + TCP + 64]; /* what is sent */
static u8 my_mac[6], host_mac[6];
static const u8 my_ip[4] = {10, 0, 2, 15}, host_ip[4] = {10, 0, 2, 2};
static u16 my_port, host_port;
static u32 send_next, received_next; /* sequence numbers */
static u32 total;
static const char *why;

/* ---- DOS ---- */

static u16 near(const void *p)
{
    return (u16)(u32)p;
}

static int write(u16 handle, const void *data, u16 size)
{
    struct call c = {.ax = 0x4000, .bx = handle, .cx = size, .dx = near(data)};

    int_dos(&c);
    return !c.carry && c.ax == size;
}

static void say(const char *text)
{
    u16 size = 0;

    while (text[size])
        size++;
    write(2, text, size);
}

static void say_number(u32 n)
{
    char digits[11], *p = digits + 10;

    *p = 0;
    do
        *--p = (char)('0' + n % 10);
    while (n /= 10);
    say(p);
}

static u16 far_u16(u16 segment, u16 offset)
{
    u16 value;

    asm volatile("movw %1, %%fs\n\tmovw %%fs:(%2), %0"
                 : "=r"(value)
                 : "r"(segment), "b"((u32)offset));
    return value;
}

static u16 ticks(void)
{
    return far_u16(0x40, 0x6c);
}

/* At midnight the count starts again, which ends a wait early: what is sent then is sent once
 * more. */
static int later(u16 since, u16 by)
{
    return (u16)(ticks() - since) >= by;
}

/* ---- The packet driver ---- */

static int find_driver(void)
{
    static const char mark[] = "PKT DRVR";

    for (u16 n = 0x60; n <= 0x80; n++) {
        u16 offset = far_u16(0, (u16)(4 * n)), segment = far_u16(0, (u16)(4 * n + 2)), i;

        for (i = 0; i < 8; i += 2)
            if (far_u16(segment, (u16)(offset + 3 + i)) != (u8)mark[i] + ((u8)mark[i + 1] << 8))
                break;
        if (i == 8) {
            packet_entry = offset | (u32)segment << 16;
            return 1;
        }
    }
    return 0;
}

/* The handle for a type of frames, 0 where the driver refuses. */
static u16 access_type(u16 type)
{
    u8 bytes[2] = {(u8)(type >> 8), (u8)type};
    struct call c = {
        .ax = 0x0201, .bx = 0xffff, .cx = 2, .si = near(bytes), .di = near(receiver)};

    int_packet(&c);
    return c.carry ? 0 : c.ax;
}

static void release_type(u16 handle)
{
    struct call c = {.ax = 0x0300, .bx = handle};

    int_packet(&c);
}

static void transmit(u16 size)
{
    struct call c = {.ax = 0x0400, .cx = size, .si = near(frame)};

    int_packet(&c); /* what it cannot send is sent again when no answer comes */
}

/* ---- Frames ---- */

static void put16(u8 *p, u16 value)
{
    p[0] = (u8)(value >> 8);
    p[1] = (u8)value;
}

static void put32(u8 *p, u32 value)
{
    put16(p, (u16)(value >> 16));
    put16(p + 2, (u16)value);
}

static u16 get16(const u8 *p)
{
    return (u16)(p[0] << 8 | p[1]);
}

static u32 get32(const u8 *p)
{
    return (u32)get16(p) << 16 | get16(p + 2);
}

static void copy(u8 *to, const u8 *from, u16 size)
{
    while (size--)
        *to++ = *from++;
}

static int same(const u8 *a, const u8 *b, u16 size)
{
    while (size--)
        if (*a++ != *b++)
            return 0;
    return 1;
}

/* The Internet checksum's sum (RFC 1071), of `size` bytes more. */
static u32 sum(u32 start, const u8 *p, u16 size)
{
    for (; size > 1; size -= 2, p += 2)
        start += get16(p);
    return size ? start + (u32)(p[0] << 8) : start;
}

static u16 fold(u32 n)
{
    while (n >> 16)
        n = (n & 0xffff) + (n >> 16);
    return (u16)~n;
}

static u16 tcp_sum(const u8 *ip, u16 size)
{
    return fold(sum(sum(6 + size, ip + 12, 8), ip + IP, size));
}

static void ethernet(const u8 *to, u16 type)
{
    copy(frame, to, 6);
    copy(frame + 6, my_mac, 6);
    put16(frame + 12, type);
}

/* operation: 1 asks, 2 answers. */
static void send_arp(u16 operation, const u8 *to)
{
    static const u8 head[] = {0, 1, 8, 0, 6, 4, 0};
    u8 *arp = frame + ETH;

    ethernet(to, ETHERTYPE_ARP);
    copy(arp, head, 7);
    arp[7] = (u8)operation;
    copy(arp + 8, my_mac, 6);
    copy(arp + 14, my_ip, 4);
    copy(arp + 18, host_mac, 6);
    copy(arp + 24, host_ip, 4);
    transmit(ETH + 28);
}

static void send_tcp(u8 flags, u32 sequence, const char *data, u16 size)
{
    u8 *ip = frame + ETH, *tcp = ip + IP;
    u16 head = TCP;

    ethernet(host_mac, ETHERTYPE_IP);
    put16(tcp, my_port);
    put16(tcp + 2, host_port);
    put32(tcp + 4, sequence);
    put32(tcp + 8, flags & ACK ? received_next : 0);
    put16(tcp + 14, WINDOW);
    put32(tcp + 16, 0); /* checksum, urgent pointer */
    if (flags & SYN) {
        put32(tcp + TCP, 0x02040000 | MSS);
        head += 4;
    }
    tcp[12] = (u8)(head << 2);
    tcp[13] = flags;
    copy(tcp + head, (const u8 *)data, size);
    size += head;

    put32(ip, 0x45000000 | (IP + size));
    put32(ip + 4, 0x00004000); /* not to be fragmented */
    put32(ip + 8, 0x40060000);
    copy(ip + 12, my_ip, 4);
    copy(ip + 16, host_ip, 4);
    put16(ip + 10, fold(sum(0, ip, IP)));
    put16(tcp + 16, tcp_sum(ip, size));
    transmit(ETH + IP + size);
}

/* ---- What comes ---- */

static enum { ASKING, OPENING, OPEN, CLOSED } state;

static void take_arp(const u8 *arp, u16 size)
{
    if (size < 28 || !same(arp + 14, host_ip, 4) || !same(arp + 24, my_ip, 4))
        return;
    copy(host_mac, arp + 8, 6);
    if (get16(arp + 6) == 1)
        send_arp(2, host_mac);
    if (state == ASKING)
        state = OPENING;
}

/* What of ours has been sent and not yet acknowledged: one segment at most. */
static struct {
    u32 sequence, end;
    const char *data;
    u16 size, since;
    u8 flags, tries;
} way;

static void way_send(void)
{
    way.since = ticks();
    way.tries++;
    send_tcp(way.flags, way.sequence, way.data, way.size);
}

static void way_start(u8 flags, const char *data, u16 size)
{
    way.flags = flags;
    way.data = data;
    way.size = size;
    way.sequence = send_next;
    way.end = send_next += size + !!(flags & (SYN | FIN));
    way.tries = 0;
    way_send();
}

static int way_is_free(void)
{
    return !way.tries;
}

static void take_tcp(const u8 *ip, u16 size)
{
    const u8 *tcp = ip + IP;
    u16 head = (tcp[12] >> 4) * 4, count;
    u8 flags = tcp[13];
    u32 sequence = get32(tcp + 4);

    if (size < TCP || head < TCP || head > size || tcp_sum(ip, size) ||
        get16(tcp) != host_port || get16(tcp + 2) != my_port)
        return;
    if (flags & ACK && way.tries && get32(tcp + 8) == way.end)
        way.tries = 0;
    if (flags & RST) {
        why =
            state == OPENING ? "the port is closed" : "the other side broke the connection off";
        return;
    }
    if (state == OPENING) {
        if ((flags & (SYN | ACK)) == (SYN | ACK) && way_is_free()) {
            received_next = sequence + 1;
            state = OPEN;
        }
        return;
    }
    count = size - head;
    if (state == OPEN && sequence == received_next) {
        if (count && !write(1, tcp + head, count)) {
            why = "the disk is full";
            return;
        }
        total += count;
        received_next += count + (flags & FIN);
        if (flags & FIN)
            state = CLOSED;
    }
    if (count || flags & (FIN | SYN))
        send_tcp(ACK, send_next, 0, 0);
}

static void take_frames(void)
{
    while (slot_in != slot_out) {
        u8 *f = slots[slot_out % SLOTS], *ip = f + ETH;
        u16 size = slot_length[slot_out % SLOTS], length = get16(ip + 2);

        if (size >= ETH + 28 && get16(f + 12) == ETHERTYPE_ARP)
            take_arp(ip, size - ETH);
        else if (state > ASKING && size >= ETH + IP + TCP && get16(f + 12) == ETHERTYPE_IP &&
                 ip[0] == 0x45 && ip[9] == 6 && length >= IP + TCP && length <= size - ETH &&
                 !(get16(ip + 6) & 0x3fff) && same(ip + 12, host_ip, 4) &&
                 same(ip + 16, my_ip, 4) && !fold(sum(0, ip, IP)))
            take_tcp(ip, length - IP);
        slot_out++;
        if (why)
            return;
    }
}

/* ---- The connection ---- */

/* Until the state has been reached and all of ours has arrived. */
static int wait_for(int wanted, const char *silent)
{
    u16 since = ticks();
    u32 before = received_next;

    while (((int)state < wanted || !way_is_free()) && !why) {
        asm volatile("hlt");
        take_frames();
        if (before != received_next) {
            before = received_next;
            since = ticks();
        }
        if (way.tries && later(way.since, SECOND)) {
            if (way.tries < TRIES)
                way_send();
            else
                why = silent;
        }
        if (later(since, 30 * SECOND))
            why = silent;
    }
    return !why;
}

static int find_host(void)
{
    static const u8 all[6] = {255, 255, 255, 255, 255, 255};

    for (int n = 0; n < TRIES && state == ASKING; n++) {
        u16 since = ticks();

        send_arp(1, all);
        while (state == ASKING && !later(since, SECOND)) {
            asm volatile("hlt");
            take_frames();
        }
    }
    if (state == ASKING)
        why = "no answer to ARP";
    return !why;
}

static int fetch(void)
{
    static const char request[] = "the text, please\r\n";

    my_port = 1024 + ticks() % 30000;
    send_next = (u32)ticks() << 16;
    if (!find_host())
        return 0;
    way_start(SYN, 0, 0);
    if (!wait_for(OPEN, "no answer"))
        return 0;
    way_start(ACK | PSH, request, sizeof request - 1);
    if (!wait_for(CLOSED, "the other side has gone silent"))
        return 0;
    way_start(ACK | FIN, 0, 0);
    return wait_for(CLOSED, "no answer to the end");
}

static int with_driver(void)
{
    u16 ip = access_type(ETHERTYPE_IP), arp = access_type(ETHERTYPE_ARP);
    struct call c = {.ax = 0x0600, .bx = ip, .cx = 6, .di = near(my_mac)};
    int ok = 0;

    int_packet(&c);
    if (!ip || !arp || c.carry)
        why = "the packet driver refuses";
    else
        ok = fetch();
    if (ip)
        release_type(ip);
    if (arp)
        release_type(arp);
    return ok;
}

/* The number in the command's tail (in the PSP, with its length before it); 0: none. */
static u16 port_given(void)
{
    const volatile u8 *tail = (const volatile u8 *)0x80;
    u32 n = 0;

    asm("" : "+r"(tail)); /* no object of C's */
    for (u8 i = 1; i <= tail[0]; i++)
        if (tail[i] >= '0' && tail[i] <= '9' && n < 65536)
            n = 10 * n + tail[i] - '0';
        else if (tail[i] != ' ' && tail[i] != '\r')
            return 0;
    return n < 65536 ? (u16)n : 0;
}

int main(void)
{
    struct call c = {
        .ax = 0x2523,
        .dx = near(ignore)}; /* Ctrl-C would leave the driver calling what is no more */

    int_dos(&c);
    host_port = port_given();
    if (!host_port)
        why = "fetch PORT";
    else if (!find_driver())
        why = "no packet driver";
    else if (with_driver()) {
        say("fetched ");
        say_number(total);
        say(" bytes\r\n");
        return 0;
    }
    say("failed: ");
    say(why);
    say("\r\n");
    return 1;
}
