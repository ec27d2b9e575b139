/*
 * The offsets by which assembly and emitted code name fields: compiled to assembly, of which
 * the build makes bt/offsets.h, a #define for each line with an arrow. All are from r15, which
 * points to where struct vcpu ends and struct tc begins, or from the start of the struct that
 * is named.
 */
#include "bt/variants.h"

#define NUMBER(name, value) __asm__ volatile("\n->" #name " %0" : : "i"((long)(value)))
#define VCPU(name, member)                                                                     \
    NUMBER(name, (long)offsetof(struct vcpu, member) - (long)sizeof(struct vcpu))
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
    VCPU(VCPU_REQUESTS, requests);
    VCPU(VCPU_DEADLINE, deadline);
    VCPU(VCPU_HURRY, hurry);
    NUMBER(REQUEST_TIMER, REQ_TIMER);
    NUMBER(OSFXSR, CR4_OSFXSR);
    VCPU(VCPU_SHADOW, shadow);
    VCPU(VCPU_SHADOW_SYSTEM, shadow_system);
    VCPU(VCPU_FPU, fpu);
    VCPU(VCPU_YMM_HIGH, ymm_high);
    VCPU(VCPU_XCR0, xcr0);
    VCPU(VCPU_SEG, seg);
    VCPU(VCPU_CS, seg[CS]);
    VCPU(VCPU_SS, seg[SS]);
    VCPU(VCPU_TR, seg[TR]);
    VCPU(VCPU_SYSENTER_CS, sysenter_cs);
    VCPU(VCPU_SYSENTER_ESP, sysenter_esp);
    VCPU(VCPU_SYSENTER_EIP, sysenter_eip);
    VCPU(VCPU_CR0, cr0);
    VCPU(VCPU_CR0_WRITES, stats.cr0_writes);
    VCPU(VCPU_CR2, cr2);
    VCPU(VCPU_CR3, cr3);
    VCPU(VCPU_CR4, cr4);
    VCPU(VCPU_PAUSES, pauses);
    VCPU(VCPU_STALE_CODE, stale_code);
    VCPU(VCPU_DIRECT_MAP, direct_map);
    VCPU(VCPU_USER_MAP, user_map);
    VCPU(VCPU_USER_MAP_STALE, user_map_stale);
    VCPU(VCPU_DIRECT_MAP_FRAMES, direct_map_frames);
    VCPU(VCPU_RAM, ram);
    VCPU(VCPU_RAM_PAGES, ram_pages);
    VCPU(VCPU_PAGE_FLAGS, page_flags);
    VCPU(VCPU_DR, dr);
    VCPU(VCPU_GDTR_BASE, gdtr.base);
    VCPU(VCPU_GDTR_LIMIT, gdtr.limit);
    VCPU(VCPU_IDTR_BASE, idtr.base);
    VCPU(VCPU_IDTR_LIMIT, idtr.limit);
    VCPU(VCPU_TSC_OFFSET, tsc_offset);
    VCPU(VCPU_TSC_UNSEEN, tsc_unseen);
    VCPU(VCPU_TSC_NOTED, tsc_noted);
    VCPU(VCPU_MID_REP, mid_rep);

    TC(TC_POLL, poll);
    TC(TC_POLLS, polls);
    TC(TC_DIRECT_AT, direct_at);
    TC(TC_BUDGET, budget);
    TC(TC_LOOKED, looked);
    TC(TC_POLLED, polled);
    TC(TC_CALLOUT, callout);
    TC(TC_EXIT, exit);
    TC(TC_INDIRECT, indirect);
    TC(TC_INDIRECT_MISS, indirect_miss);
    TC(TC_FAST_CALLOUT, fast_callout);
    TC(TC_CODE_PAGE_STORE, code_page_store);
    TC(TC_PATCHED, patched);
    TC(TC_LOAD_SEGMENT, load_segment);
    TC(TC_LOOK, look);
    TC(TC_ARPL, arpl);
    TC(TC_ARPL_REGISTER, arpl_register);
    TC(TC_SYSENTER, sysenter);
    TC(TC_SYSEXIT, sysexit);
    TC(TC_IRET, iret);
    TC(TC_INT_N, int_n);
    TC(TC_CPUID, cpuid);
    TC(TC_MOV_CR0, mov_cr0);
    TC(TC_FAR, far);
    TC(TC_REUSE, reuse);
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
    TC(TC_PAGE, page);
    TC(TC_FPU_PAGE, fpu_page);
    TC(TC_FPU_LIVE, fpu_live);
    TC(TC_FPU_CPL, fpu_cpl);
    TC(TC_FPU_STORED, fpu_stored);
    TC(TC_SCRATCH, scratch);
    TC(TC_MEMO_HITS, memo_hits);
    TC(TC_RUNS, runs);
    TC(TC_CODE_MAP, code_map);
    TC(TC_REACH, reach);
    TC(TC_BEYOND, beyond);
    TC(TC_SEG_CACHE, seg_cache);
    TC(TC_CPUIDS, cpuids);
    TC(TC_IRETS, irets);
    TC(TC_INTS, ints);
    TC(TC_FARS, fars);
    TC(TC_PES, pes);

    FIELD_OF(SEGMENT_LIMIT, segment, limit);
    FIELD_OF(SEGMENT_SELECTOR, segment, selector);
    FIELD_OF(SEGMENT_ATTR, segment, attr);
    FIELD_OF(SEGMENT_MEMO_KEY, segment_memo, minus_key);
    FIELD_OF(SEGMENT_MEMO_SPTE, segment_memo, minus_spte);
    FIELD_OF(SEGMENT_MEMO_DESC, segment_memo, desc);
    FIELD_OF(SEGMENT_MEMO_MINUS_DESC, segment_memo, minus_desc);
    FIELD_OF(SEGMENT_MEMO_REACH, segment_memo, reach);
    FIELD_OF(SEGMENT_MEMO_SEG, segment_memo, seg);
    FIELD_OF(SEGMENT_MEMO_PAGE, segment_memo, page);
    FIELD_OF(IRET_FROM, iret_memo, from);
    FIELD_OF(IRET_CS, iret_memo, cs);
    FIELD_OF(IRET_SS, iret_memo, ss);
    FIELD_OF(IRET_IOPL, iret_memo, iopl);
    FIELD_OF(IRET_TO, iret_memo, to);
    FIELD_OF(FAR_FROM, far_memo, from);
    FIELD_OF(FAR_SELECTOR, far_memo, selector);
    FIELD_OF(FAR_TO, far_memo, to);
    FIELD_OF(PE_FROM, pe_memo, from);
    FIELD_OF(PE_TO, pe_memo, to);
    FIELD_OF(PE_LIMIT, pe_memo, limit);
    FIELD_OF(PE_ATTR, pe_memo, attr);
    FIELD_OF(PE_REACH, pe_memo, reach);
    FIELD_OF(CALLOUT_EIP, callout, eip);
    FIELD_OF(CALLOUT_LENGTH, callout, insn.len);
    FIELD_OF(INT_MINUS_GATE, int_memo, minus_gate);
    FIELD_OF(INT_MINUS_SPTE, int_memo, minus_spte);
    FIELD_OF(INT_GATE, int_memo, gate);
    FIELD_OF(INT_PAGE, int_memo, page);
    FIELD_OF(INT_FROM, int_memo, from);
    FIELD_OF(INT_TO, int_memo, to);
    FIELD_OF(INT_VECTOR, int_memo, vector);
    FIELD_OF(INT_EIP, int_memo, eip);
    FIELD_OF(INT_CS, int_memo, cs);
    FIELD_OF(INT_SS, int_memo, ss);
    FIELD_OF(INT_TRAP, int_memo, trap);
    FIELD_OF(CPUID_LEAF, cpuid_memo, minus_leaf);
    FIELD_OF(CPUID_OUT, cpuid_memo, out);
    FIELD_OF(JUMP_TAG, jump_cached, minus_tag);
    FIELD_OF(JUMP_NUMBER, jump_cached, number);
    FIELD_OF(JUMP_PAGE, jump_cached, page);
    FIELD_OF(JUMP_SPTE, jump_cached, minus_spte);
    FIELD_OF(JUMP_HOST, jump_cached, host);

    NUMBER(VARIANT_SIZE, sizeof(struct variant));
    FIELD_OF(VARIANT_MINUS_BYTES, variant, minus_bytes);
    FIELD_OF(VARIANT_SHIFT, variant, shift);
    FIELD_OF(VARIANT_HOST, variant, host);
    FIELD_OF(VARIANTS_CODE, variants, code);
    FIELD_OF(VARIANTS_MISS, variants, miss);
    FIELD_OF(VARIANTS_NOT_LAST, variants, not_last);
    FIELD_OF(VARIANTS_LEFT, variants, left);
    FIELD_OF(VARIANTS_TRIAL, variants, trial);
    FIELD_OF(VARIANTS_OF, variants, of);
}
