/*
 * Segment loads and accesses: presence, type, privilege, limits (expand-down, granularity,
 * wraps), and the instructions that look at descriptors (SDM vol. 3, 5.3 to 5.6; vol. 2, "MOV",
 * "LAR"…).
 */
#include "kernel.h"

SNIPPET(load_ds, "mov %eax, %ds\n" EXIT);
SNIPPET(load_ss, "mov %eax, %ss\n" EXIT);

static void load(const u8 *code, u32 n, u32 selector)
{
    ring(n, code);
    in.eax = selector;
    run();
}

TEST(data_segment_loads)
{
    load(load_ds, 3, 0); /* null loads */
    DONE();
    load(load_ds, 3, 3);
    DONE();
    load(load_ds, 3, KDATA); /* DPL < CPL */
    FAULT(GP, KDATA, load_ds);
    load(load_ds, 0, UDATA); /* RPL 3, DPL 3 */
    DONE();
    load(load_ds, 0, KDATA | 3); /* RPL > DPL */
    FAULT(GP, KDATA, load_ds);
    load(load_ds, 0, GDT_BYTES | 3);
    FAULT(GP, GDT_BYTES, load_ds);
    load(load_ds, 0, KCODE); /* readable code */
    DONE();
    seg(0, 0, 0xfffff, P | CODE_X | G | D32);
    load(load_ds, 0, SEL(0));
    FAULT(GP, SEL(0), load_ds);
    seg(0, 0, 0xfffff, P | DPL0 | CONF | G | D32); /* conforming, readable: from any ring */
    load(load_ds, 3, SEL(0) | 3);
    DONE();
    seg(0, 0, 0xfffff, DATA | G | D32);
    load(load_ds, 0, SEL(0));
    FAULT(NP, SEL(0), load_ds);
    load(load_ds, 0, TSS_MAIN);
    FAULT(GP, TSS_MAIN, load_ds);
}

TEST(loading_sets_accessed)
{
    seg(0, 0, 0xfffff, P | DATA | G | D32);
    load(load_ds, 0, SEL(0));
    DONE();
    TRUE(gdt[SEL(0) / 8] >> 40 & ACC);
    seg(0, 0, 0xfffff, DATA | G | D32);
    load(load_ds, 0, SEL(0));
    TRUE(!(gdt[SEL(0) / 8] >> 40 & ACC)); /* not when it faults */
}

TEST(stack_segment_loads)
{
    load(load_ss, 0, 0);
    FAULT(GP, 0, load_ss);
    load(load_ss, 3, KDATA);
    FAULT(GP, KDATA, load_ss);
    load(load_ss, 0, UDATA);
    FAULT(GP, UDATA & ~3u, load_ss);
    load(load_ss, 0, KCODE);
    FAULT(GP, KCODE, load_ss);
    seg(0, 0, 0xfffff, P | DATA_RO | G | D32);
    load(load_ss, 0, SEL(0));
    FAULT(GP, SEL(0), load_ss);
    seg(0, 0, 0xfffff, DATA | G | D32);
    load(load_ss, 0, SEL(0));
    FAULT(SS_, SEL(0), load_ss);
    seg(0, 0, 0xfffff, P | DATA | G | D32);
    load(load_ss, 0, SEL(0));
    DONE();
    EQ(trap.ss & 0xffff, SEL(0));
}

SNIPPET(load_cs, ".byte 0x8e, 0xc8\n" EXIT); /* mov %eax, %cs */
TEST(mov_to_cs_is_invalid)
{
    load(load_cs, 0, KCODE);
    EQ(trap.vector, UD);
}

SNIPPET(use_local, "mov %eax, %ds\n mov (0), %ebx\n" EXIT);
TEST(local_descriptors)
{
    static u32 word = 0x1234abcd;

    set_descriptor(&ldt[1], (u32)&word, 3, P | DPL3 | DATA);
    seg(0, (u32)ldt, sizeof(ldt) - 1, P | T_LDT);
    __asm__ volatile("lldt %w0" : : "r"(SEL(0)));
    load(use_local, 3, 8 | 4 | 3);
    DONE();
    EQ(trap.ebx, 0x1234abcd);
    load(use_local, 3, 0x80 | 4 | 3); /* beyond its limit */
    FAULT(GP, 0x84, use_local);
}

SNIPPET(lldt_code, "lldt %ax\n" EXIT);
SNIPPET(ltr_code, "ltr %ax\n" EXIT);
TEST(lldt_and_ltr_faults)
{
    load(lldt_code, 0, KDATA);
    FAULT(GP, KDATA, lldt_code);
    seg(0, (u32)ldt, sizeof(ldt) - 1, T_LDT);
    load(lldt_code, 0, SEL(0));
    FAULT(NP, SEL(0), lldt_code);
    load(lldt_code, 0, SEL(0) | 4);
    FAULT(GP, SEL(0) | 4, lldt_code);
    load(ltr_code, 0, 0);
    FAULT(GP, 0, ltr_code);
    load(ltr_code, 0, TSS_MAIN); /* busy */
    FAULT(GP, TSS_MAIN, ltr_code);
    seg(0, (u32)&tss_main, 103, T_TSS32);
    load(ltr_code, 0, SEL(0));
    FAULT(NP, SEL(0), ltr_code);
    EQ(gdt[TSS_MAIN / 8] >> 40 & 0xf, T_TSS32B);
}

/* ---- Limits ---- */

SNIPPET(read4, "mov %eax, %ds\n read4_at: mov (%ebx), %ecx\n" EXIT);
SNIPPET(write1, "mov %eax, %ds\n write1_at: movb $1, (%ebx)\n" EXIT);
LABEL(read4_at);
LABEL(write1_at);
static u8 area[8192] __attribute__((aligned(4096)));

static u32 access(const u8 *code, u32 selector, u32 off)
{
    ring(0, code);
    in.eax = selector;
    in.ebx = off;
    return run();
}

TEST(limits_are_exact)
{
    seg(0, (u32)area, 0x10, P | DATA | D32);
    EQ(access(read4, SEL(0), 0xd), EXIT_VECTOR);
    access(read4, SEL(0), 0xe);
    FAULT(GP, 0, read4_at);
    EQ(access(write1, SEL(0), 0x10), EXIT_VECTOR);
    access(write1, SEL(0), 0x11);
    FAULT(GP, 0, write1_at);
    access(read4, SEL(0), 0xfffffffe); /* wraps */
    FAULT(GP, 0, read4_at);
    seg(0, (u32)area, 0, P | DATA | D32 | G); /* one page */
    EQ(access(read4, SEL(0), 0xffc), EXIT_VECTOR);
    access(read4, SEL(0), 0xffd);
    FAULT(GP, 0, read4_at);
}

TEST(expand_down_limits)
{
    seg(0, (u32)area, 0x10, P | DOWN | D32);
    access(write1, SEL(0), 0x10);
    FAULT(GP, 0, write1_at);
    EQ(access(write1, SEL(0), 0x11), EXIT_VECTOR);
    EQ(access(write1, SEL(0), 0x1fff), EXIT_VECTOR);
    seg(0, (u32)area, 0, P | DOWN | D32 | G);
    access(write1, SEL(0), 0xfff);
    FAULT(GP, 0, write1_at);
    EQ(access(write1, SEL(0), 0x1000), EXIT_VECTOR);
    seg(0, (u32)area - 0xf000, 0xefff, P | DOWN); /* B = 0: up to ffff */
    EQ(access(read4, SEL(0), 0xfffc), EXIT_VECTOR);
    access(read4, SEL(0), 0xfffd);
    FAULT(GP, 0, read4_at);
}

TEST(access_rights)
{
    seg(0, (u32)area, 0xfff, P | DATA_RO | D32);
    EQ(access(read4, SEL(0), 0), EXIT_VECTOR);
    access(write1, SEL(0), 0);
    FAULT(GP, 0, write1_at);
    access(write1, KCODE, (u32)area);
    FAULT(GP, 0, write1_at);
    access(read4, 0, (u32)area); /* null */
    FAULT(GP, 0, read4_at);
}

SNIPPET(exec_only, "mov %cs:(%ebx), %eax\n" EXIT);
TEST(execute_only_code)
{
    seg(0, 0, 0xfffff, P | CODE_X | G | D32);
    ring(0, exec_only);
    in.cs = SEL(0);
    in.ebx = (u32)area;
    run();
    FAULT(GP, 0, exec_only);
}

SNIPPET(stack_read, "mov (%ebp), %eax\n" EXIT);
TEST(stack_limit_is_stack_fault)
{
    seg(0, 0, 0x1ff, P | DATA | D32 | G); /* 2 MB */
    ring(0, stack_read);
    in.ss = SEL(0);
    in.ebp = 0x200000;
    run();
    FAULT(SS_, 0, stack_read);
}

SNIPPET(run_off, "nop\n nop\n nop\n nop\n");
TEST(code_limit)
{
    seg(0, (u32)run_off, 2, P | CODE | D32);
    ring(0, 0);
    in.cs = SEL(0);
    run();
    FAULT(GP, 0, 3);
    EQ(trap.frame[2], SEL(0));
}

SNIPPET(pushes16, "push %eax\n push %ebx\n" EXIT);
TEST(stack_pointer_wraps_at_16_bits)
{
    const u32 base = 0x400000; /* of free memory */

    seg(0, base, 0xffff, P | DPL3 | DATA);
    ring(3, pushes16);
    in.ss = SEL(0) | 3;
    in.esp = 0x12340004;
    in.eax = 0x11111111;
    in.ebx = 0x22222222;
    run();
    DONE();
    EQ(trap.frame[3] & 0xffff, 0xfffc);
    EQ(*(u32 *)base, 0x11111111);
    EQ(*(u32 *)(base + 0xfffc), 0x22222222);
    in.esp = 0x6; /* the second push would be half below 0, half below 64 KB */
    run();
    EQ(trap.vector, SS_);
    EQ(trap.frame[0], 0);
}

/* ---- LAR, LSL, VERR, VERW ---- */

SNIPPET(lar_code, "mov $0x55555555, %ecx\n lar %eax, %ecx\n pushf\n pop %edx\n" EXIT);
SNIPPET(lsl_code, "mov $0x55555555, %ecx\n lsl %eax, %ecx\n pushf\n pop %edx\n" EXIT);
SNIPPET(verr_code, "verr %ax\n pushf\n pop %edx\n" EXIT);
SNIPPET(verw_code, "verw %ax\n pushf\n pop %edx\n" EXIT);

static bool look(const u8 *code, u32 n, u32 selector)
{
    ring(n, code);
    in.eax = selector;
    run();
    DONE();
    return trap.edx & ZF;
}

TEST(lar_by_type)
{
    const u32 visible =
        1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 9 | 1 << 11 | 1 << 12 | 0xffff0000;

    for (u32 type = 0; type < 32; type++) {
        seg(0, 0x12345678, 0xabcde, P | type);
        EQ(look(lar_code, 0, SEL(0)), visible >> type & 1);
        if (visible >> type & 1)
            EQ(trap.ecx & 0xf0ff00, (P | type) << 8);
        else
            EQ(trap.ecx, 0x55555555);
    }
}

TEST(lsl_by_type)
{
    const u32 visible = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 9 | 1 << 11 | 0xffff0000;

    for (u32 type = 0; type < 32; type++) {
        seg(0, 0, 0xabcde, P | type);
        EQ(look(lsl_code, 0, SEL(0)), visible >> type & 1);
        EQ(trap.ecx, visible >> type & 1 ? 0xabcde : 0x55555555);
        seg(0, 0, 0xabcde, P | type | G);
        if (look(lsl_code, 0, SEL(0)))
            EQ(trap.ecx, 0xabcdefff);
    }
}

TEST(lar_lsl_by_privilege)
{
    for (u32 dpl = 0; dpl < 4; dpl++)
        for (u32 cpl = 0; cpl < 4; cpl += 3)
            for (u32 rpl = 0; rpl < 4; rpl++) {
                bool allowed = cpl <= dpl && rpl <= dpl;

                seg(0, 0, 0xfff, P | dpl << 5 | DATA);
                EQ(look(lar_code, cpl, SEL(0) | rpl), allowed);
                EQ(look(lsl_code, cpl, SEL(0) | rpl), allowed);
                EQ(look(verr_code, cpl, SEL(0) | rpl), allowed);
                EQ(look(verw_code, cpl, SEL(0) | rpl), allowed);
                seg(0, 0, 0xfff, P | dpl << 5 | CONF);
                EQ(look(lar_code, cpl, SEL(0) | rpl), 1);
                EQ(look(verr_code, cpl, SEL(0) | rpl), 1);
                EQ(look(verw_code, cpl, SEL(0) | rpl), 0);
            }
}

TEST(verr_verw_by_type)
{
    for (u32 type = 0; type < 32; type++) {
        bool code = (type & 0x18) == 0x18, data = (type & 0x18) == 0x10;

        seg(0, 0, 0xfff, P | type);
        EQ(look(verr_code, 0, SEL(0)), data || (code && type & 2));
        EQ(look(verw_code, 0, SEL(0)), data && type & 2);
    }
}

TEST(looking_at_null_and_beyond)
{
    TRUE(!look(lar_code, 0, 0));
    TRUE(!look(lsl_code, 0, 3));
    TRUE(!look(verr_code, 0, 0));
    TRUE(!look(verw_code, 0, GDT_BYTES));
    TRUE(!look(lar_code, 0, GDT_BYTES));
    TRUE(!look(lar_code, 0, 8 | 4));
    seg(0, 0, 0xfff, DATA); /* not present: visible to LAR and LSL */
    TRUE(look(lar_code, 0, SEL(0)));
}

SNIPPET(arpl_code, "arpl %cx, %ax\n pushf\n pop %edx\n" EXIT);
TEST(arpl_matrix)
{
    for (u32 dst = 0; dst < 4; dst++)
        for (u32 src = 0; src < 4; src++) {
            ring(3, arpl_code);
            in.eax = 0xabcd0008 | dst;
            in.ecx = 0x10 | src;
            run();
            DONE();
            EQ(trap.eax, 0xabcd0008 | (src > dst ? src : dst));
            EQ(!!(trap.edx & ZF), src > dst);
        }
}

/* ---- I/O permission ---- */

SNIPPET(io_in1, "in %dx, %al\n" EXIT);
SNIPPET(io_in2, "in %dx, %ax\n" EXIT);
SNIPPET(io_in4, "in %dx, %eax\n" EXIT);

static u32 port_in(const u8 *code, u32 port, u32 iopl)
{
    ring(3, code);
    in.edx = port;
    in.eflags |= iopl << 12;
    return run();
}

TEST(io_bitmap)
{
    EQ(port_in(io_in1, 0x80, 0), GP);
    EQ(port_in(io_in1, 0x80, 3), EXIT_VECTOR);
    tss_main.io[0x80 / 8] = 0xfc; /* 80 and 81 */
    EQ(port_in(io_in1, 0x80, 0), EXIT_VECTOR);
    EQ(port_in(io_in1, 0x81, 0), EXIT_VECTOR);
    EQ(port_in(io_in1, 0x82, 0), GP);
    EQ(trap.frame[0], 0);
    EQ(port_in(io_in2, 0x80, 0), EXIT_VECTOR);
    EQ(port_in(io_in2, 0x81, 0), GP);
    EQ(port_in(io_in4, 0x80, 0), GP);
    tss_main.io[0x3ff / 8] = 0x00;
    tss_main.io[0x400 / 8] = 0xff;
    EQ(port_in(io_in1, 0x3ff, 0), EXIT_VECTOR); /* its second byte is the closing one */
    EQ(port_in(io_in2, 0x3ff, 0), GP);
    EQ(port_in(io_in1, 0x1000, 0), GP); /* beyond the limit */
    tss_main.iomap = sizeof(tss_main);
    EQ(port_in(io_in1, 0x80, 0), GP); /* no bitmap */
}
