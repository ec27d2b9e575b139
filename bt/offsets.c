/*
 * The offsets by which assembly and emitted code name fields: compiled to assembly, of which the build
 * makes bt/offsets.h, a #define for each line with an arrow. All are from r15, which points to where struct
 * vcpu ends and struct tc begins, or from the start of the struct that is named.
 */
#include "bt/tc.h"

#define NUMBER(name, value) __asm__ volatile("\n->" #name " %0" : : "i"((long)(value)))
#define VCPU(name, member) NUMBER(name, (long)offsetof(struct vcpu, member) - (long)sizeof(struct vcpu))
#define TC(name, member) NUMBER(name, offsetof(struct tc, member))
#define FIELD_OF(name, type, member) NUMBER(name, offsetof(struct type, member))

void offsets(void);
void offsets(void)
{
    NUMBER(VCPU_SIZE, sizeof(struct vcpu));
    VCPU(VCPU_EAX, gpr[EAX]);
    VCPU(VCPU_ECX, gpr[ECX]);
    VCPU(VCPU_EDX, gpr[EDX]);
    VCPU(VCPU_EBX, gpr[EBX]);
    VCPU(VCPU_ESP, gpr[ESP]);
    VCPU(VCPU_EBP, gpr[EBP]);
    VCPU(VCPU_ESI, gpr[ESI]);
    VCPU(VCPU_EDI, gpr[EDI]);
    VCPU(VCPU_EIP, eip);
    VCPU(VCPU_EFLAGS, eflags);
    VCPU(VCPU_INT_FLAG, int_flag);
    VCPU(VCPU_CPL, cpl);
    VCPU(VCPU_INTR, intr);
    VCPU(VCPU_ATTENTION, attention);
    VCPU(VCPU_FLAT, flat);
    VCPU(VCPU_FLAT_SYSTEM, flat_system);
    VCPU(VCPU_FPU, fpu);
    VCPU(VCPU_SEG, seg);
    VCPU(VCPU_CS, seg[CS]);
    VCPU(VCPU_SS, seg[SS]);
    VCPU(VCPU_TR, seg[TR]);
    VCPU(VCPU_SYSENTER_CS, sysenter_cs);
    VCPU(VCPU_SYSENTER_ESP, sysenter_esp);
    VCPU(VCPU_SYSENTER_EIP, sysenter_eip);
    VCPU(VCPU_CR0, cr0);
    VCPU(VCPU_CR2, cr2);
    VCPU(VCPU_CR3, cr3);
    VCPU(VCPU_CR4, cr4);
    VCPU(VCPU_PAUSES, pauses);
    VCPU(VCPU_WINDOW, window);
    VCPU(VCPU_WINDOW_FRAMES, window_frames);
    VCPU(VCPU_RAM, ram);
    VCPU(VCPU_RAM_PAGES, ram_pages);
    VCPU(VCPU_PAGE_FLAGS, page_flags);
    VCPU(VCPU_IDTR_BASE, idtr.base);
    VCPU(VCPU_IDTR_LIMIT, idtr.limit);
    VCPU(VCPU_TSC_OFFSET, tsc_offset);
    VCPU(VCPU_MID_REP, mid_rep);

    TC(TC_POLL, poll);
    TC(TC_CALLOUT, callout);
    TC(TC_LEAVE, leave);
    TC(TC_INDIRECT, indirect);
    TC(TC_LIGHT, light);
    TC(TC_BESIDE, beside);
    TC(TC_LOAD_SEGMENT, load_segment);
    TC(TC_VERW, verw);
    TC(TC_SYSENTER, sysenter);
    TC(TC_SYSEXIT, sysexit);
    TC(TC_IRET, iret);
    TC(TC_REP_MOVS, rep_movs);
    TC(TC_REP_STOS, rep_stos);
    TC(TC_INT_N, int_n);
    TC(TC_CPUID, cpuid);
    TC(TC_FAR, far);
    TC(TC_FAR_EIP, far_eip);
    TC(TC_FAR_SELECTOR, far_selector);
    TC(TC_FAR_DROP, far_drop);
    TC(TC_CONTEXT_TAG, zero);
    TC(TC_CONTEXT, context);
    TC(TC_STACK_CONTEXT, stack_context);
    TC(TC_RSP, rsp);
    TC(TC_C_RSP, c_rsp);
    TC(TC_STACK_TOP, stack_top);
    TC(TC_HOST_FLAGS, host_flags);
    TC(TC_JUMP_CACHE, jump_cache);
    TC(TC_FPU_LIVE, fpu_live);
    TC(TC_FPU_STORED, fpu_stored);
    TC(TC_SCRATCH, scratch);
    TC(TC_QUICK, quick);
    TC(TC_RUNS, runs);
    TC(TC_CODE_MAP, code_map);
    TC(TC_REACH, reach);
    TC(TC_SEG_CACHE, seg_cache);
    TC(TC_CPUIDS, cpuids);
    TC(TC_IRETS, irets);
    TC(TC_INTS, ints);
    TC(TC_FARS, fars);

    FIELD_OF(SEGMENT_BASE, segment, base);
    FIELD_OF(SEGMENT_LIMIT, segment, limit);
    FIELD_OF(SEGMENT_SELECTOR, segment, selector);
    FIELD_OF(SEGMENT_ATTR, segment, attr);
    FIELD_OF(CACHED_KEY, seg_cached, minus_key);
    FIELD_OF(CACHED_SLOT, seg_cached, minus_slot);
    FIELD_OF(CACHED_DESC, seg_cached, desc);
    FIELD_OF(CACHED_MINUS_DESC, seg_cached, minus_desc);
    FIELD_OF(CACHED_REACH, seg_cached, reach);
    FIELD_OF(CACHED_SEG, seg_cached, seg);
    FIELD_OF(CACHED_PAGE, seg_cached, page);
    FIELD_OF(IRET_FROM, iret_cached, from);
    FIELD_OF(IRET_CS, iret_cached, cs);
    FIELD_OF(IRET_SS, iret_cached, ss);
    FIELD_OF(IRET_IOPL, iret_cached, iopl);
    FIELD_OF(IRET_TO, iret_cached, to);
    FIELD_OF(FAR_FROM, far_cached, from);
    FIELD_OF(FAR_SELECTOR, far_cached, selector);
    FIELD_OF(FAR_TO, far_cached, to);
    FIELD_OF(INT_MINUS_GATE, int_cached, minus_gate);
    FIELD_OF(INT_MINUS_SLOT, int_cached, minus_slot);
    FIELD_OF(INT_GATE, int_cached, gate);
    FIELD_OF(INT_PAGE, int_cached, page);
    FIELD_OF(INT_FROM, int_cached, from);
    FIELD_OF(INT_TO, int_cached, to);
    FIELD_OF(INT_VECTOR, int_cached, vector);
    FIELD_OF(INT_EIP, int_cached, eip);
    FIELD_OF(INT_CS, int_cached, cs);
    FIELD_OF(INT_SS, int_cached, ss);
    FIELD_OF(INT_TRAP, int_cached, trap);
    FIELD_OF(CPUID_LEAF, cpuid_cached, minus_leaf);
    FIELD_OF(CPUID_OUT, cpuid_cached, out);
    FIELD_OF(JUMP_TAG, jump_cached, minus_tag);
    FIELD_OF(JUMP_PAGE, jump_cached, page);
    FIELD_OF(JUMP_SLOT, jump_cached, minus_slot);
    FIELD_OF(JUMP_HOST, jump_cached, host);
}
