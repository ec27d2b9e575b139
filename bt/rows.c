/*
 * The row of every mnemonic that has in-line code. Guest and host speak the same language, so
 * most say COPY. A mnemonic without a row is a callout to the interpreter's handler.
 *
 *   COPY   changes a memory destination      TEST   only reads it
 */
#include "bt/emit.h"

#define COPY(m) [ZYDIS_MNEMONIC_##m] = { xl_copy, XL_WRITE }
#define TEST(m) [ZYDIS_MNEMONIC_##m] = { xl_copy, XL_READ }
#define EMITS(m, fn) [ZYDIS_MNEMONIC_##m] = { fn, XL_WRITE }

/* clang-format off */
const struct xl_row xl_rows[INSN_MNEMONICS] = {
    /* Same bytes on the host, registers renamed, memory operands moved. */
    COPY(ADD), COPY(ADC), COPY(SUB), COPY(SBB), COPY(AND), COPY(OR), COPY(XOR), COPY(NOT),
    COPY(NEG), COPY(INC), COPY(DEC), COPY(XADD), EMITS(XCHG, xl_xchg), COPY(CMPXCHG),
    COPY(ROL), COPY(ROR), COPY(RCL), COPY(RCR), COPY(SHL), COPY(SHR), COPY(SAR), COPY(SHLD),
    COPY(SHRD), COPY(BTS), COPY(BTR), COPY(BTC), COPY(MOVZX), COPY(MOVSX), COPY(BSWAP),
    COPY(CWD), COPY(CDQ), COPY(CBW), COPY(CWDE), COPY(LAHF), COPY(SAHF), COPY(CLC), COPY(STC),
    COPY(CMC), COPY(MOVBE), TEST(CRC32), COPY(RDRAND), TEST(POPCNT), TEST(LZCNT), TEST(TZCNT),
    TEST(ANDN), TEST(BEXTR), TEST(BLSI), TEST(BLSMSK), TEST(BLSR), TEST(BZHI), TEST(MULX),
    TEST(PDEP), TEST(PEXT), TEST(RORX), TEST(SARX), TEST(SHLX), TEST(SHRX),
    TEST(CMP), TEST(TEST), TEST(BT), TEST(BSF), TEST(BSR), TEST(MUL), TEST(IMUL), TEST(DIV),
    TEST(IDIV),
#define CMOV(cc) COPY(CMOV##cc),
#define SET(cc) COPY(SET##cc),
    CONDITIONS(CMOV)
    CONDITIONS(SET)
    /* The same in another encoding. */
    EMITS(MOV, xl_mov), EMITS(LEA, xl_lea), EMITS(NOP, xl_nop), EMITS(PAUSE, xl_pause),
    EMITS(PUSH, xl_push), EMITS(POP, xl_pop), EMITS(LEAVE, xl_leave),
    EMITS(PUSHA, xl_pusha), EMITS(PUSHAD, xl_pusha),
    EMITS(POPA, xl_popa), EMITS(POPAD, xl_popa),
    EMITS(XLAT, xl_xlat), EMITS(ENTER, xl_enter), EMITS(SALC, xl_salc),
    EMITS(DAA, xl_decimal), EMITS(DAS, xl_decimal), EMITS(AAA, xl_decimal),
    EMITS(AAS, xl_decimal), EMITS(AAM, xl_aam), EMITS(AAD, xl_aad),
    EMITS(MOVSB, xl_movs), EMITS(MOVSW, xl_movs), EMITS(MOVSD, xl_movs),
    EMITS(STOSB, xl_stos), EMITS(STOSW, xl_stos), EMITS(STOSD, xl_stos),
    EMITS(LODSB, xl_lods), EMITS(LODSW, xl_lods), EMITS(LODSD, xl_lods),
    EMITS(SCASB, xl_scas), EMITS(SCASW, xl_scas), EMITS(SCASD, xl_scas),
    EMITS(CMPSB, xl_cmps), EMITS(CMPSW, xl_cmps), EMITS(CMPSD, xl_cmps),
    EMITS(INSB, xl_port_string), EMITS(INSW, xl_port_string), EMITS(INSD, xl_port_string),
    EMITS(OUTSB, xl_port_string), EMITS(OUTSW, xl_port_string), EMITS(OUTSD, xl_port_string),
    COPY(LFENCE), COPY(MFENCE), COPY(SFENCE), COPY(CMPXCHG8B), EMITS(MOVNTI, xl_movnti),
    EMITS(PREFETCHNTA, xl_nop), EMITS(PREFETCHT0, xl_nop), EMITS(PREFETCHT1, xl_nop),
    EMITS(PREFETCHT2, xl_nop), EMITS(PREFETCH, xl_nop), EMITS(PREFETCHW, xl_nop),
    EMITS(PREFETCHWT1, xl_nop), EMITS(CLFLUSH, xl_clflush), EMITS(FNINIT, xl_fninit),
    EMITS(FENI8087_NOP, xl_x87_nop), EMITS(FDISI8087_NOP, xl_x87_nop),
    EMITS(FSETPM287_NOP, xl_x87_nop), EMITS(LDMXCSR, xl_ldmxcsr),
    EMITS(MASKMOVQ, xl_maskmov), EMITS(MASKMOVDQU, xl_maskmov),
    /* Sensitive: updates of the vcpu. */
    EMITS(LDS, xl_lds), EMITS(LES, xl_les), EMITS(LSS, xl_lss), EMITS(LFS, xl_lfs),
    EMITS(LGS, xl_lgs), EMITS(VERW, xl_look), EMITS(VERR, xl_look), EMITS(LAR, xl_look), EMITS(LSL, xl_look), EMITS(ARPL, xl_arpl), EMITS(SYSENTER, xl_sysenter),
    EMITS(SYSEXIT, xl_sysexit), EMITS(IRETD, xl_iret), EMITS(IRET, xl_iret), EMITS(INT, xl_int),
    EMITS(CPUID, xl_cpuid), EMITS(CLTS, xl_clts), EMITS(INVLPG, xl_invlpg),
    EMITS(STI, xl_sti), EMITS(PUSHF, xl_pushf), EMITS(PUSHFD, xl_pushf), EMITS(POPF, xl_popf),
    EMITS(POPFD, xl_popf), EMITS(RDTSC, xl_rdtsc),
    EMITS(SMSW, xl_smsw), EMITS(SLDT, xl_selector), EMITS(STR, xl_selector),
    EMITS(SGDT, xl_store_table), EMITS(SIDT, xl_store_table), EMITS(WBINVD, xl_wbinvd),
    EMITS(LGDT, xl_load_table), EMITS(LIDT, xl_load_table),
    EMITS(INVD, xl_wbinvd), EMITS(CLI, xl_cli), EMITS(CLD, xl_cld), EMITS(STD, xl_std),
    /* Closes the TU. */
    EMITS(JMP, xl_jmp), EMITS(CALL, xl_call), EMITS(RET, xl_ret), EMITS(LOOP, xl_loop),
    EMITS(INTO, xl_into), EMITS(BOUND, xl_bound),
    EMITS(LOOPE, xl_loop_flags), EMITS(LOOPNE, xl_loop_flags),
    EMITS(JCXZ, xl_jcxz), EMITS(JECXZ, xl_jcxz),
#define JCC(cc) EMITS(J##cc, xl_jcc),
    CONDITIONS(JCC)
};
/* clang-format on */
