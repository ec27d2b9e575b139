/*
 * The largest TUs: twelve times the same instruction, whose sites have all been misaligned, in
 * segments whose limits are checked. Whatever the guest's code is, a TU has room in the cache.
 */
#include "bt/tu.h"
#include "cpu/reset.h"
#include "cpu/segment.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>

enum { CODE = 0x10000, DATA = 0x20000, TIMES = 40 };

struct sample {
    u8 bytes[12], len;
};
/* Of 16-bit code. With 66 and 67, the operands and addresses of 32-bit code. */
static const struct sample samples[] = {
    { { 0xa5 }, 1 },                               /* movsw */
    { { 0x66, 0xa5 }, 2 },                         /* movsd */
    { { 0x66, 0x67, 0xa5 }, 3 },                   /* movsd, by esi and edi */
    { { 0x26, 0x66, 0x67, 0xa5 }, 4 },             /* from es */
    { { 0x64, 0x66, 0x67, 0xa5 }, 4 },             /* from fs */
    { { 0x66, 0x67, 0xa7 }, 3 },                   /* cmpsd */
    { { 0x66, 0x67, 0xab }, 3 },                   /* stosd */
    { { 0xf3, 0x66, 0x67, 0xa5 }, 4 },             /* rep movsd */
    { { 0xf3, 0x64, 0x66, 0x67, 0xa5 }, 5 },       /* rep movsd from fs */
    { { 0xf3, 0x66, 0x67, 0xab }, 4 },             /* rep stosd */
    { { 0x66, 0x67, 0xc5, 0x06 }, 4 },             /* lds eax, [esi] */
    { { 0x64, 0x66, 0x67, 0x0f, 0xb5, 0x06 }, 6 }, /* lgs eax, fs:[esi] */
    { { 0x66, 0x67, 0xff, 0x36 }, 4 },             /* push dword [esi] */
    { { 0x64, 0x66, 0x67, 0xff, 0x36 }, 5 },
    { { 0x66, 0x67, 0x8f, 0x06 }, 4 },             /* pop dword [esi] */
    { { 0x66, 0x67, 0x87, 0x06 }, 4 },             /* xchg [esi], eax */
    { { 0x64, 0x66, 0x67, 0x0f, 0xab, 0x16 }, 6 }, /* bts fs:[esi], edx */
    { { 0x64, 0x66, 0x67, 0x0f, 0xb1, 0x16 }, 6 }, /* cmpxchg fs:[esi], edx */
    { { 0x64, 0x67, 0x0f, 0xc7, 0x0e }, 5 },       /* cmpxchg8b fs:[esi] */
    { { 0x64, 0x66, 0x67, 0x0f, 0xc1, 0x26 }, 6 }, /* xadd fs:[esi], esp */
    { { 0x64, 0x67, 0x88, 0x26 }, 4 },             /* mov fs:[esi], ah */
    { { 0x64, 0x67, 0x00, 0x66, 0x7f }, 5 },       /* add fs:[esi+7f], ah */
    { { 0x66, 0x60 }, 2 },                         /* pushad */
    { { 0x66, 0x61 }, 2 },                         /* popad */
    { { 0xc8, 0x10, 0x00, 0x03 }, 4 },             /* enter 16, 3 */
    { { 0x66, 0x9c }, 2 },                         /* pushfd */
    { { 0x66, 0x9d }, 2 },                         /* popfd */
    { { 0x64, 0x67, 0xdd, 0x06 }, 4 },             /* fld qword fs:[esi] */
    { { 0x64, 0x67, 0xdb, 0x3e }, 4 },             /* fstp tbyte fs:[esi] */
    { { 0x64, 0x67, 0x0f, 0x10, 0x06 }, 5 },       /* movups xmm0, fs:[esi] */
};

/* A loop: the instruction a dozen times;  dec bp;  jnz;  hlt */
static u32 make_loop(u8 *p, const struct sample *s)
{
    u32 n = 0;

    for (u32 i = 0; i < MAX_INSNS; i++, n += s->len)
        memcpy(p + n, s->bytes, s->len);
    p[n++] = 0x4d;
    p[n++] = 0x0f;
    p[n++] = 0x85;
    p[n] = (u8) - (n + 2);
    p[n + 1] = 0xff;
    p[n + 2] = 0xf4;
    return n + 3;
}

static struct bt *start(u8 form)
{
    struct machine *m = rig_new(NULL, NULL)->m;
    struct bt_config config = { .force_form = form, .no_chaining = true };
    const char *why = NULL;

    cpu_reset(m->cpu);
    CHECK(bt_new(m->cpu, &config, &why) != NULL);
    return m->cpu->bt;
}

static void run(struct bt *bt, const struct sample *s, u32 misaligned)
{
    static const u8 data[] = { ES, SS, DS, FS, GS };
    struct vcpu *cpu = bt->cpu;
    u8 code[MAX_INSNS * 12 + 16] = { 0 };

    phys_write(machine_of(cpu), CODE, code, sizeof(code));
    phys_write(machine_of(cpu), CODE, code, make_loop(code, s));
    memset(mmu_ram(cpu->mmu) + DATA, 0, 0x10000);
    cpu_load_segment_real(cpu, CS, CODE >> 4);
    for (u32 i = 0; i < ARRAY_SIZE(data); i++)
        cpu_load_segment_real(cpu, data[i], DATA >> 4);
    memset(cpu->gpr, 0, sizeof(cpu->gpr));
    cpu->gpr[ESI] = 0x100 + misaligned;
    cpu->gpr[EDI] = 0x800 + misaligned;
    cpu->gpr[ESP] = 0x8000 + misaligned;
    cpu->gpr[EBP] = TIMES;
    cpu->gpr[ECX] = 3;
    cpu->eflags = FLAG_1;
    cpu->requests = 0;
    cpu->eip = 0;
    for (u32 i = 0; i < 1000 && !(cpu->requests & REQ_HALT) && cpu->eip < sizeof(code); i++)
        bt_run_one(cpu);
}

static void run_all(u8 form)
{
    struct bt *bt = start(form);

    for (u32 i = 0; i < ARRAY_SIZE(samples); i++)
        for (u32 misaligned = 0; misaligned < 4; misaligned++)
            run(bt, &samples[i], misaligned);
    CHECK(bt->stats.length[MAX_INSNS] > 0);
}

TEST(bt_size, a_dozen_of_anything_has_room)
{
    run_all(0);
}

TEST(bt_size, in_each_form)
{
    for (u8 form = FORM_TABLE; form < FORMS; form++)
        run_all(form);
}
