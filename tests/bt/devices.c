/*
 * Device memory by fast callouts (bt/callout.c): what translated code does to the VGA's planes,
 * the interpreter does.
 */
#include "bt/bt.h"
#include "bt/tu.h"
#include "cpu/interp.h"
#include "cpu/reset.h"
#include "cpu/segment.h"
#include "devices/vga_private.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>

enum { CODE = 0x10000, DATA = 0x20000, WINDOW = 0xa0000, SEGMENT_BYTES = 0x10000, TURNS = 400 };

/*
 * 1: and es:[bx], al;  pushf;  pop dx;  add bp, dx;  or es:[bx+2], cx;  pushf;  pop dx;
 * add bp, dx;  xor byte es:[bx+1], 5a;  pushf;  pop dx;  add bp, dx;  xchg es:[bx+3], ah;
 * xchg es:[bx+4], dx;  add bp, dx;  lodsb es:;  stosw;  movsb;  movsb es:;  lodsw es:;  std;
 * stosb;  movsb;  cld;  movsw;  mov es:[bx+di], cl;  mov dh, es:[bx+7];  mov dx, es:[bx+6];
 * add bp, dx;  add bx, 8;  loop 1b;  hlt
 */
static const u8 program[] =
    "\x26\x20\x07\x9c\x5a\x01\xd5\x26\x09\x4f\x02\x9c\x5a\x01\xd5\x26\x80\x77\x01\x5a\x9c\x5a"
    "\x01\xd5"
    "\x26\x86\x67\x03\x26\x87\x57\x04\x01\xd5\x26\xac\xab\xa4\x26\xa4\x26\xad\xfd\xaa\xa4\xfc"
    "\xa5"
    "\x26\x88\x09\x26\x8a\x77\x07\x26\x8b\x57\x06\x01\xd5\x83\xc3\x08\xe2\xbf\xf4";

struct side {
    struct rig *rig;
    struct vcpu *cpu;
    struct vga *vga;
};

static void port(struct rig *r, u16 index, u8 reg, u8 val)
{
    rig_out16(r, index, (u16)(val << 8 | reg));
}

/* Mode 12h's planes, with something in them. */
static struct side side_new(u32 write_mode)
{
    struct rig *r = rig_new(&vga_class, NULL);
    struct side s = {r, r->m->cpu, (struct vga *)r->dev};

    rig_out8(r, 0x3c2, 0x63);
    port(r, 0x3c4, SEQ_MEMORY, MEMORY_SEQUENTIAL | 2);
    port(r, 0x3c4, SEQ_MAP_MASK, 13);
    port(r, 0x3ce, GC_MODE, (u8)write_mode);
    port(r, 0x3ce, GC_MISC, 5);
    port(r, 0x3ce, GC_SET_RESET, 6);
    port(r, 0x3ce, GC_ENABLE_SET_RESET, 4);
    port(r, 0x3ce, GC_BIT_MASK, 0x7e);
    port(r, 0x3ce, GC_READ_MAP, 2);
    for (u32 i = 0; i < 4 * VGA_PLANE; i++)
        s.vga->vram[i] = (u8)(i * 37 + (i >> 8) * 11);
    cpu_reset(s.cpu);
    memcpy(mmu_ram(s.cpu->mmu) + CODE, program, sizeof(program));
    for (u32 i = 0; i < SEGMENT_BYTES; i++)
        mmu_ram(s.cpu->mmu)[DATA + i] = (u8)(i * 29 + (i >> 8));
    cpu_load_segment_real(s.cpu, CS, CODE >> 4);
    cpu_load_segment_real(s.cpu, DS, DATA >> 4);
    cpu_load_segment_real(s.cpu, SS, DATA >> 4);
    cpu_load_segment_real(s.cpu, ES, WINDOW >> 4);
    return s;
}

static void start(struct vcpu *cpu, u32 turn)
{
    memset(cpu->gpr, 0, sizeof(cpu->gpr));
    cpu->requests = 0;
    cpu->eip = 0;
    cpu->gpr[EAX] = 0x12345678 * (turn + 1);
    cpu->gpr[ECX] = TURNS;
    cpu->gpr[EBX] = 0x100 + turn;  /* odd ones, too */
    cpu->gpr[ESI] = 0xfff1 + turn; /* wraps, between words */
    cpu->gpr[EDI] = 0x5001;
    cpu->gpr[ESP] = 0xfff0;
}

static void same(const struct side *a, const struct side *b)
{
    for (u32 i = 0; i < 8; i++)
        CHECK_EQ(a->cpu->gpr[i], b->cpu->gpr[i]);
    CHECK_EQ(a->cpu->eip, b->cpu->eip);
    CHECK_EQ(a->cpu->eflags & FLAGS_ARITH, b->cpu->eflags & FLAGS_ARITH);
    CHECK_EQ(a->vga->latch, b->vga->latch);
    CHECK(!memcmp(a->vga->vram, b->vga->vram, 4 * VGA_PLANE));
    CHECK(!memcmp(mmu_ram(a->cpu->mmu) + DATA, mmu_ram(b->cpu->mmu) + DATA, SEGMENT_BYTES));
}

TEST(bt_devices, planes_are_as_the_interpreter_leaves_them)
{
    for (u32 mode = 0; mode < 4; mode++) {
        struct side a = side_new(mode), b = side_new(mode);
        struct bt_config config = {0};
        const char *why = NULL;
        u64 interpreted = 0;

        CHECK(bt_new(a.cpu, &config, &why) != NULL);
        for (u32 turn = 0; turn < 4; turn++) {
            start(a.cpu, turn);
            start(b.cpu, turn);
            interpreted = ((struct bt *)a.cpu->bt)->stats.interpreted;
            for (u32 i = 0; i < 10000 && !(a.cpu->requests & REQ_HALT); i++)
                bt_run(a.cpu);
            while (!(b.cpu->requests & REQ_HALT))
                cpu_run_one(b.cpu);
            same(&a, &b);
        }
        CHECK(((struct bt *)a.cpu->bt)->stats.interpreted ==
              interpreted); /* no faults once warm */
    }
}
