/* Descriptors unpacked into hidden parts, and real-mode loads (cpu/segment.c). */
#include "cpu/segment.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>

static struct segment unpack(u32 low, u32 high)
{
    u32 desc[2] = { low, high };
    struct segment s;

    cpu_unpack_descriptor(&s, 0x2b, desc);
    return s;
}

TEST(segment, unpack_base_and_limit)
{
    struct segment s = unpack(0x5678ffff, 0x12cf9a34);

    CHECK_EQ(s.base, 0x12345678);
    CHECK_EQ(s.limit, 0xffffffff);
    CHECK_EQ(s.attr, 0xc09a);
    CHECK_EQ(s.selector, 0x2b);
    s = unpack(0x0000ffff, 0x00059200);
    CHECK_EQ(s.limit, 0x5ffff); /* bytes: no G */
    CHECK_EQ(s.attr, 0x0092);
    s = unpack(0x00000000, 0x00809200);
    CHECK_EQ(s.limit, 0xfff); /* one page */
}

TEST(segment, gates)
{
    u32 gate32[2] = { 0x00085678, 0x1234ee05 }, gate16[2] = { 0x00085678, 0x1234e605 };

    CHECK_EQ(gate_selector(gate32), 8);
    CHECK_EQ(gate_offset(gate32), 0x12345678);
    CHECK_EQ(gate_offset(gate16), 0x5678);
    CHECK_EQ(desc_type(gate32), TYPE_INT32);
    CHECK_EQ(desc_dpl(gate32), 3);
    CHECK(desc_present(gate32));
}

TEST(segment, kinds)
{
    u32 data[2] = { 0, 0x9200 }, code[2] = { 0, 0x9800 }, conforming[2] = { 0, 0x9c00 };
    u32 read_only[2] = { 0, 0x9000 }, tss[2] = { 0, 0x8900 };

    CHECK(desc_is_writable(data) && !desc_is_code(data));
    CHECK(desc_is_code(code) && !desc_is_writable(code) && !desc_is_conforming(code));
    CHECK(desc_is_conforming(conforming));
    CHECK(!desc_is_writable(read_only));
    CHECK(!desc_is_code(tss) && !desc_is_writable(tss));
}

TEST(segment, beyond_the_table)
{
    struct vcpu *cpu = rig_new(NULL, NULL)->m->cpu;
    gla_t gla;
    u32 desc[2];

    cpu->gdtr = (struct table_register){ 0x1000, 0x17 };
    CHECK(segment_descriptor_gla(cpu, 0x13, &gla));
    CHECK_EQ(gla, 0x1010);
    CHECK(!segment_descriptor_gla(cpu, 0x18, &gla));
    cpu->gdtr.limit = 0x16;
    CHECK(!segment_descriptor_gla(cpu, 0x10, &gla));
    CHECK(!cpu_read_descriptor(cpu, 0x13, EXC_TS, desc));
    CHECK_EQ(cpu->exc_vector, EXC_TS);
    CHECK_EQ(cpu->exc_error, 0x10);
    segment_make_null(&cpu->seg[LDTR], 0);
    CHECK(!segment_descriptor_gla(cpu, 4, &gla));
}

TEST(segment, real_mode_load_keeps_limit)
{
    struct vcpu *cpu = rig_new(NULL, NULL)->m->cpu;

    cpu->seg[DS].limit = 0xffffffff; /* "unreal" */
    CHECK(cpu_load_segment(cpu, DS, 0x1234));
    CHECK_EQ(cpu->seg[DS].base, 0x12340);
    CHECK_EQ(cpu->seg[DS].limit, 0xffffffff);
    cpu->eflags |= FLAG_VM;
    CHECK(cpu_load_segment(cpu, DS, 0x4321));
    CHECK_EQ(cpu->seg[DS].limit, 0xffff);
    CHECK_EQ(cpu->seg[DS].attr, 0xf3);
}

TEST(segment, stack_limits)
{
    struct vcpu *cpu = rig_new(NULL, NULL)->m->cpu;
    struct stack s;

    stack_current(cpu, &s);
    s.esp = 4;
    CHECK(stack_reserve(cpu, &s, 2, 2));
    s.ss.limit = 0xff;
    s.esp = 0x101;
    CHECK(!stack_push(cpu, &s, 2, 0));
    CHECK_EQ(cpu->exc_vector, EXC_SS);
    s.esp = 0x100;
    CHECK(stack_push(cpu, &s, 2, 0xbeef));
    CHECK_EQ(s.esp, 0xfe);
    CHECK_EQ(*(u16 *)(mmu_ram(machine_of(cpu)->mmu) + 0xfe), 0xbeef);
    s.esp = 0x12340002; /* the upper half of ESP stays */
    CHECK(stack_push(cpu, &s, 2, 1));
    CHECK_EQ(s.esp, 0x12340000);
}
