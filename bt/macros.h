/*
 * Macros of the assembly that translated code calls: memo.S, memo_far.S, strings.S, codepage.S.
 */
#ifndef RING3_BT_MACROS_H
#define RING3_BT_MACROS_H

#include "bt/offsets.h"
#include "bt/regs.h"
#include "mmu/shadow_layout.h"

#define FLAG_AC   0x40000
#define FLAG_NT   0x4000
#define FLAG_IOPL 0x3000
/* What a memoised IRET does not change: TF DF IOPL NT VM AC VIF VIP ID */
#define FLAGS_HELD 0x3e7500

/* The guest's arithmetic flags into AX; EAX waits in \keep. */
.macro flags_save keep
        mov     %eax, \keep
        lahf
        seto    %al
.endm

.macro flags_restore keep
        add     $0x7f, %al
        sahf
        mov     \keep, %eax
.endm

/* OF and IF into `flags`, as INT n pushes them; OF is in the byte `of`, where flags_save left
 * it. Changes ecx. */
.macro flags_as_pushed of, flags
        movzbl  \of, %ecx
        shl     $11, %ecx
        or      %ecx, \flags
        movzbl  VCPU_INT_FLAG(%r15), %ecx
        shl     $9, %ecx
        or      %ecx, \flags
.endm

.macro count kind
        incq    TC_MEMO_HITS+8*\kind(%r15)
.endm

/*
 * A store to `address`, whose write spte is write-protected: `spte` becomes a direct one, if
 * the page is write-protected for code alone and the `n` (a register; CODE_PAGE_STORE_MAX at
 * most) bytes, all in it, are no TU's. Changes rcx, rdx and `free`.
 */
.macro look_at_code_map address, spte, n, free, fail
        mov     \spte, %rcx
        shr     $58, %rcx
        cmp     $0x21, %ecx             /* SPTE_PROTECTED */
        jne     \fail
        shl     $8, \spte
        shr     $8, \spte
        mov     \address, %ecx
        lea     (\spte,%rcx), %rdx
        and     $0xfff, %ecx
        lea     (%rcx,\n), \free
        cmp     $0x1000, \free
        ja      \fail
        memory_page \free
        cmp     VCPU_RAM_PAGES(%r15), %rdx
        jae     \fail
        mov     VCPU_PAGE_FLAGS(%r15), \free
        cmpb    $PG_CODE, (\free,%rdx)
        jne     \fail
        shl     $12, %rdx
        or      %rcx, %rdx
        mov     %edx, %ecx
        shr     $3, %rdx
        add     TC_CODE_MAP(%r15), %rdx
        mov     (%rdx), \free
        and     $7, %ecx
        shrx    %rcx, \free, \free
        bzhi    \n, \free, \free
        jnz     \fail
        count   MEMO_CODE_PAGE
.endm

/*
 * rdx := number of the memory's page at host address rdx: by the direct map it may be that of
 * another address. Changes `free`.
 */
.macro memory_page free
        sub     VCPU_DIRECT_MAP(%r15), %rdx
        mov     %rdx, \free
        shr     $32, \free
        jnz     8f
        shr     $12, %edx
        mov     VCPU_DIRECT_MAP_FRAMES(%r15), \free
        mov     (\free,%rdx,4), %edx
        dec     %edx
        jmp     9f
8:      add     VCPU_DIRECT_MAP(%r15), %rdx
        sub     VCPU_RAM(%r15), %rdx
        shr     $12, %rdx
9:
.endm

/* r10 := the cached load of the key in r9d, ZF set; ZF clear: there is none that still
 * holds. `changed`: where to go if only its descriptor is another, that less the old one in r9. */
.macro find_segment changed=9f
        mov     %r9d, %r10d             /* memo_segment_place() */
        shr     $17, %r10d
        and     $0x40, %r10d
        xor     %r9d, %r10d
        and     $0x78, %r10d
        compare_segment \changed
.endm

/* The same; r10d: eight times its place. */
.macro compare_segment changed=9f
        shl     $3, %r10d
        lea     TC_SEG_CACHE(%r15,%r10), %r10
        add     SEGMENT_MEMO_KEY(%r10), %r9
        jne     9f
        cmp     %r9, SEGMENT_MEMO_DESC(%r10)
        je      9f                      /* a null selector */
        mov     SEGMENT_MEMO_PAGE(%r10), %r9d
        shl     $3, %r9
        add     VCPU_SHADOW_SYSTEM(%r15), %r9
        mov     (%r9), %r9
        add     SEGMENT_MEMO_SPTE(%r10), %r9
        jne     9f
        mov     SEGMENT_MEMO_DESC(%r10), %r9
        mov     (%r9), %r9
        add     SEGMENT_MEMO_MINUS_DESC(%r10), %r9
        jne     \changed
9:
.endm

/* The hidden part of r10 to the vcpu's at `to`. */
.macro copy_segment to
        mov     SEGMENT_MEMO_SEG(%r10), %r9d
        mov     %r9d, \to
        mov     SEGMENT_MEMO_SEG+4(%r10), %r9d
        mov     %r9d, 4+\to
        mov     SEGMENT_MEMO_SEG+8(%r10), %r9d
        mov     %r9d, 8+\to
.endm

/* The flags to the scratch, r9 behind them; the registers that are needed to the vcpu, and
 * back. */
.macro registers_save
        flags_save VCPU_EAX(%r15)
        mov     %eax, TC_SCRATCH(%r15)
        mov     %r9, TC_SCRATCH+8(%r15)
        mov     %ecx, VCPU_ECX(%r15)
        mov     %edx, VCPU_EDX(%r15)
        mov     %ebx, VCPU_EBX(%r15)
        mov     %esi, VCPU_ESI(%r15)
.endm

.macro registers_restore
        mov     VCPU_ECX(%r15), %ecx
        mov     VCPU_EDX(%r15), %edx
        mov     VCPU_EBX(%r15), %ebx
        mov     VCPU_ESI(%r15), %esi
.endm

/* Into the context in r11d, whose TUs' returns are not on the stack; flags are still in AX. */
.macro enter_context
        mov     %r11d, TC_CONTEXT(%r15)
        mov     %r11d, TC_STACK_CONTEXT(%r15)
        mov     TC_STACK_TOP(%r15), %rsp
.endm

#endif
