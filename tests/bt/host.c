/*
 * What must hold on hosts of every vendor: EFLAGS.AC is never set, since what #AC spares
 * differs, and a host fault is traced to the instruction it comes from, or stops everything.
 */
#include "bt/memo.h"
#include "bt/tu.h"
#include "cpu/reset.h"
#include "cpu/segment.h"
#include "runtime/machine/machine.h"
#include "tests/harness/test.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CODE = 0x10000, DEVICE = 0xb8000 };

/* ---- AC ---- */

static bool loads_flags(ZydisMnemonic m)
{
    switch (m) {
    case ZYDIS_MNEMONIC_POPF:
    case ZYDIS_MNEMONIC_POPFD:
    case ZYDIS_MNEMONIC_POPFQ:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
    case ZYDIS_MNEMONIC_STAC:
        return true;
    default:
        return false;
    }
}

/* How many instructions of [p, end) could set AC; *insns: of how many. */
static u32 count_loads_of_flags(const u8 *p, const u8 *end, u32 *insns)
{
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecodedInstruction in;
    ZydisDecoder decoder;
    u32 found = 0;

    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (; p < end; p += in.length, ++*insns) {
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, p, (ZyanUSize)(end - p), &in, ops)))
            return found + 1;
        found += loads_flags(in.mnemonic);
    }
    return found;
}

TEST(bt_host, no_routine_can_set_ac)
{
    static const struct {
        void (*first)(void), (*end)(void);
    } files[] = {
        { (void (*)(void))bt_enter, bt_enter_end },
        { bt_load_segment, bt_memo_end },
        { bt_far_call, bt_memo_far_end },
        { bt_rep_movs, bt_strings_end },
        { bt_code_page_store, bt_code_page_store_end },
        { bt_patched, bt_patched_end },
    };
    u32 insns = 0;

    for (u32 i = 0; i < ARRAY_SIZE(files); i++)
        CHECK_EQ(
            count_loads_of_flags((const u8 *)files[i].first, (const u8 *)files[i].end, &insns),
            0);
    CHECK(insns > 800);
}

TEST(bt_host, a_load_of_flags_would_be_found)
{
    static const u8 planted[] = { 0x90, 0x9c, 0x9d, 0xc3 }; /* nop;  pushfq;  popfq;  ret */
    u32 insns = 0;

    CHECK_EQ(count_loads_of_flags(planted, planted + sizeof(planted), &insns), 1);
    CHECK_EQ(insns, 4);
}

/* ---- Faults ---- */

static struct bt *start(const u8 *program, u32 size)
{
    struct bt_config config = { .force_form = FORM_CHECKED };
    struct machine *m = rig_new(NULL, NULL)->m;
    const char *why = NULL;

    cpu_reset(m->cpu);
    CHECK(bt_new(m->cpu, &config, &why) != NULL);
    mmu_map_phys(m->mmu, DEVICE, PAGE_SIZE, NULL, NULL);
    memcpy(mmu_ram(m->mmu) + CODE, program, size);
    cpu_load_segment_real(m->cpu, CS, CODE >> 4);
    cpu_load_segment_real(m->cpu, DS, DEVICE >> 4);
    m->cpu->eip = 0;
    return m->cpu->bt;
}

/* A load from 0 in front of the slow path of the TU made first. */
static void plant_fault(struct bt *bt)
{
    static const u8 load[] = { 0x8a, 0x04, 0x25, 0, 0, 0, 0 }; /* mov al, [0] */
    const struct tu *tu = tu_at(bt, 1);

    memcpy(bt->write + tu->host + tu->body_size, load, sizeof(load));
}

/* Runs until HLT; returns how the process ended that did. */
static int run_in_child(struct bt *bt, bool planted, char *said, size_t size)
{
    int pipes[2], status;
    size_t length = 0;
    ssize_t n;
    pid_t pid;

    CHECK(!pipe(pipes));
    bt_run_one(bt->cpu);
    bt->cpu->eip = 0;
    bt->cpu->requests = 0;
    pid = fork();
    if (!pid) {
        dup2(pipes[1], 2);
        if (planted)
            plant_fault(bt);
        bt_run_one(bt->cpu);
        _exit(0);
    }
    close(pipes[1]);
    while ((n = read(pipes[0], said + length, size - 1 - length)) > 0)
        length += (size_t)n;
    said[length] = 0;
    close(pipes[0]);
    waitpid(pid, &status, 0);
    return status;
}

TEST(bt_host, a_fault_out_of_line_is_no_neighbours)
{
    static const u8 program[] = { 0x8a, 0x07, 0xf4 }; /* mov al, [bx];  hlt */
    char said[4096];
    int status;

    CHECK_EQ(run_in_child(start(program, sizeof(program)), false, said, sizeof(said)), 0);
    status = run_in_child(start(program, sizeof(program)), true, said, sizeof(said));
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(said, "->") && strstr(said, "mov    al, byte ptr [0]"));
}
