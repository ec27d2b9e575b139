/*
 * Between modes and sizes: protected to real mode and back (SDM vol. 3, 9.9), "unreal" limits,
 * 16-bit frames, conforming targets, 16-bit TSS stacks, and instructions whose segment load
 * fails after other work.
 */
#include "kernel.h"

/* ---- Real mode and back ---- */

/*
 * Copied to linear 8000h. Enters at 0 in a 16-bit code segment of base 8000h; in real mode it
 * is segment 800h. The kernel's way back is a far jump to `return32`, with its stack in EDX.
 */
SNIPPET16(real_trip,
          "mov %cr0, %eax\n and $~1, %al\n mov %eax, %cr0\n ljmp $0x800, $real_1 - real_trip\n"
          "real_1: xor %ax, %ax\n mov %ax, %ss\n mov $0x7000, %sp\n mov %ax, %ds\n"
          "lidtl %cs:real_idt - real_trip\n"
          "mov %cs, %bx\n"                     /* EBX: CS in real mode */
          "int $0x60\n"                        /* ECX: from the handler */
          "mov $0x1234, %ax\n mov %ax, %es\n"
          "mov $0x100000, %esi\n addr32 movb %fs:(%esi), %al\n" /* FS kept its 4 GB limit */
          "mov %cr0, %edi\n or $1, %edi\n mov %edi, %cr0\n"
          "ljmpl $0x08, $return32\n"
          "real_handler: mov %sp, %bp\n mov 4(%bp), %cx\n iret\n"
          "real_idt: .word 0x3ff\n .long 0\n");
LABEL(real_handler);
__asm__(".text\n.globl return32\nreturn32: mov $0x10, %ecx\n mov %ecx, %ss\n mov %ecx, %ds\n"
        "mov %edx, %esp\n movzwl %bx, %ebx\n lidt idtr_kernel\n" EXIT
        ".data\nidtr_kernel: .word 0x7ff\n .long idt\n.text\n");

TEST(real_mode_and_back)
{
    volatile u32 *vector = (volatile u32 *)(0x60 * 4);
    u32 saved = *vector;

    copy((void *)0x8000, real_trip, (u32)real_trip_end - (u32)real_trip);
    *vector = 0x8000000 + (u32)real_handler - (u32)real_trip;
    seg(0, 0x8000, 0xffff, P | CODE);
    seg(1, 0, 0xffff, P | DATA);
    ring(0, 0);
    in.cs = SEL(0);
    in.eflags = 2 | CF;
    in.edx = in.esp;
    in.fs = KDATA;
    run();
    DONE();
    EQ(trap.ebx, 0x800);
    EQ(trap.es & 0xffff, 0x1234);
    EQ(trap.eax & 0xff, *(volatile u8 *)0x100000);
    EQ(trap.frame[1], KCODE);
    TRUE(read_cr0() & CR0_PE);
    *vector = saved;
}

/* ---- 16-bit frames ---- */

SNIPPET(lret16, "data16 lret\n");
SNIPPET(iret16_outer, "data16 iret\n");

TEST(outer_returns_16_bit)
{
    u16 *sp;

    seg(1, (u32)stack3, 0xfff, P | DPL3 | DATA);
    seg(2, 0x8000, 0xff, P | DPL3 | CODE | D32);
    copy((void *)0x8000, "\xcd\x30", 2); /* int $0x30 */
    for (u32 i = 0; i < 2; i++) {
        ring(0, i ? iret16_outer : lret16);
        in.esp -= 32;
        sp = (u16 *)in.esp;
        *sp++ = 0;
        *sp++ = SEL(2) | 3;
        if (i)
            *sp++ = 2 | CF;
        *sp++ = 0x800;
        *sp++ = SEL(1) | 3;
        run();
        DONE();
        EQ(trap.frame[0], 2);
        EQ(trap.frame[1], SEL(2) | 3);
        EQ(trap.frame[3] & 0xffff, 0x800);
        EQ(trap.frame[4], SEL(1) | 3);
        if (i)
            EQ(trap.frame[2] & CF, CF);
    }
}

SNIPPET16(v_int61, "int $0x61\n");
TEST(v86_through_16_bit_gate)
{
    u16 *sp;

    seg(0, (u32)STUB(0x61), 0xfffff, P | CODE | G | D32);
    set_gate(&idt[0x61], SEL(0), 0, P | DPL3 | T_INT16, 0);
    v86(v_int61, v_int61_end, 3);
    EQ(run(), 0x61);
    sp = (u16 *)trap.frame;
    EQ(trap.esp, tss_main.esp0 - 18);
    EQ(sp[0], 2);
    EQ(sp[1], V86_CODE >> 4);
    EQ(sp[2], 2 | IOPL3);
    EQ(sp[3], 0x800);
    EQ(sp[4], V86_STACK >> 4);
    EQ(sp[5], 0xa00);
}

/* ---- Gates and conforming code, 16-bit TSS ---- */

static u32 pointer[2];
SNIPPET(m_call, "lcall *(%eax)\n" EXIT);
SNIPPET(m_target, EXIT);

TEST(call_gate_to_conforming_code)
{
    seg(1, 0, 0xfffff, P | DPL0 | CONF | G | D32);
    gate(0, SEL(1), (u32)m_target, P | DPL3 | T_CALL32, 5);
    pointer[1] = SEL(0) | 3;
    ring(3, m_call);
    in.eax = (u32)pointer;
    run();
    DONE();
    EQ(trap.frame[1], SEL(1) | 3); /* no stack switch, no parameters */
    EQ(trap.frame[3], (u32)stack3 + 4096 - 128 - 8);
}

SNIPPET(m_int, "int $0x61\n" EXIT);
TEST(inner_stack_of_16_bit_tss)
{
    static struct tss16 tss;

    fill(&tss, 0, sizeof(tss));
    seg(2, (u32)stack0, 0xffff, P | DATA);
    tss.sp0 = 0x800;
    tss.ss0 = SEL(2);
    seg(0, (u32)&tss, 43, P | T_TSS16);
    __asm__ volatile("ltr %w0" : : "r"(SEL(0)));
    EQ(gdt[SEL(0) / 8] >> 40 & 0x1f, T_TSS16B);
    vector_gate(0x61, KCODE, P | DPL3 | T_INT32);
    EQ(run_ring(3, m_int), 0x61);
    EQ(trap.ss & 0xffff, SEL(2));
    EQ(trap.esp, 0x800 - 20);
    EQ(trap.frame[1], UCODE);
    gdt[TSS_MAIN / 8] &= ~((u64)2 << 40);
    __asm__ volatile("ltr %w0" : : "r"(TSS_MAIN));
}

SNIPPET(m_in, "in $0x80, %al\n" EXIT);
TEST(io_needs_32_bit_tss)
{
    static struct tss16 tss;

    fill(&tss, 0, sizeof(tss));
    seg(0, (u32)&tss, 0xfff, P | T_TSS16);
    tss.ss0 = KDATA; /* 16 bits of stack pointer: below 64 KB */
    tss.sp0 = 0x7000;
    __asm__ volatile("ltr %w0" : : "r"(SEL(0)));
    run_ring(3, m_in);
    FAULT(GP, 0, m_in);
    gdt[TSS_MAIN / 8] &= ~((u64)2 << 40);
    __asm__ volatile("ltr %w0" : : "r"(TSS_MAIN));
}

/* ---- What fails late leaves no trace ---- */

SNIPPET(m_lds, "lds (%eax), %ebx\n" EXIT);
SNIPPET(m_pop_ds, "pop %ds\n" EXIT);
SNIPPET(m_pop_ss, "pop %ss\n" EXIT);
TEST(failing_segment_loads_change_nothing)
{
    pointer[0] = 0x1234;
    pointer[1] = KDATA;
    ring(3, m_lds);
    in.eax = (u32)pointer;
    in.ebx = 0x5555;
    run();
    FAULT(GP, KDATA, m_lds);
    EQ(trap.ebx, 0x5555);
    EQ(trap.ds & 0xffff, UDATA);
    ring(3, m_pop_ds);
    *(u32 *)in.esp = KDATA;
    run();
    FAULT(GP, KDATA, m_pop_ds);
    EQ(trap.frame[4], in.esp);
    ring(3, m_pop_ss);
    *(u32 *)in.esp = KDATA;
    run();
    FAULT(GP, KDATA, m_pop_ss);
    EQ(trap.frame[4], in.esp);
}

SNIPPET(m_insb, "rep insb\n" EXIT);
SNIPPET(m_outsb, "rep outsb\n" EXIT);
TEST(repeated_port_io_stops_at_the_limit)
{
    seg(0, (u32)stack1, 2, P | DPL3 | DATA | D32);
    ring(3, m_insb);
    in.eflags |= IOPL3;
    in.es = SEL(0) | 3;
    in.edx = 0x80;
    in.ecx = 5;
    run();
    FAULT(GP, 0, m_insb);
    EQ(trap.ecx, 2);
    EQ(trap.edi, 3);
    ring(3, m_outsb);
    in.eflags |= IOPL3;
    in.ds = SEL(0) | 3;
    in.edx = 0x80;
    in.ecx = 5;
    run();
    FAULT(GP, 0, m_outsb);
    EQ(trap.ecx, 2);
    EQ(trap.esi, 3);
    ring(3, m_insb); /* a port that is not allowed: before the memory is looked at */
    in.es = 0;
    in.edx = 0x80;
    in.ecx = 5;
    run();
    FAULT(GP, 0, m_insb);
    EQ(trap.ecx, 5);
    ring(3, m_insb); /* no iterations: memory is not looked at */
    in.eflags |= IOPL3;
    in.es = 0;
    in.edx = 0x80;
    EQ(run(), EXIT_VECTOR);
}

SNIPPET(m_sgdt, "sgdt (%eax)\n sidt 8(%eax)\n sldt %ebx\n str %ecx\n smsw %edx\n" EXIT);
TEST(store_table_registers_in_ring3)
{
    static struct {
        u16 limit;
        u32 base;
        u16 pad;
    } __attribute__((packed)) image[2];

    ring(3, m_sgdt);
    in.eax = (u32)image;
    run();
    DONE();
    EQ(image[0].limit, GDT_BYTES - 1);
    EQ(image[0].base, (u32)gdt);
    EQ(image[1].limit, 0x7ff);
    EQ(image[1].base, (u32)idt);
    EQ(trap.ebx & 0xffff, 0);
    EQ(trap.ecx & 0xffff, TSS_MAIN);
    EQ(trap.edx & 0xffff, read_cr0() & 0xffff);
}
