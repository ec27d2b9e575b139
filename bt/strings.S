/*
 * REP MOVS and REP STOS on plain memory, done without C.
 */
#include "bt/macros.h"

        .text

/*
 * REP MOVS and REP STOS upwards in flat segments, a page at a time, by the host's own. r9d:
 * log2 of the element's size. r10 := 0 if ECX has come to 0; else C goes on from where ESI, EDI
 * and ECX are: what is not plain memory, an element in two pages, a target just above its
 * source, somebody waits; and one page of memory at two addresses, of which the host's REP
 * MOVSB does not know.
 */

/* Flags and EDX wait in the vcpu: see rep_end. */
.macro string_begin
        flags_save VCPU_EAX(%r15)
        mov     %eax, TC_SCRATCH(%r15)
        mov     %edx, VCPU_EDX(%r15)
.endm

/* On to the next page, unless that was all; the deadline may have come. Changes rax and rdx. */
.macro string_next
        test    %ecx, %ecx
        jz      1b
        rdtsc
        shl     $32, %rdx
        or      %rdx, %rax
        cmp     VCPU_DEADLINE(%r15), %rax
        jb      1b
        lock orl $REQUEST_TIMER, VCPU_REQUESTS(%r15)
        jmp     1b
.endm

/* eax := elements from `reg` to its page's end, at most those in `most`. */
.macro elements_left reg most
        mov     $0x1000, %eax
        mov     \reg, %r10d
        and     $0xfff, %r10d
        sub     %r10d, %eax
        shrx    %r9d, %eax, %eax
        cmp     \most, %eax
        cmova   \most, %eax
.endm

        .globl  bt_rep_movs
        .type   bt_rep_movs, @function
bt_rep_movs:
        string_begin
1:      test    %ecx, %ecx
        jz      rep_done
        cmpl    $0, VCPU_REQUESTS(%r15)
        jne     rep_stop
        elements_left %esi, %ecx
        mov     %eax, %edx
        elements_left %edi, %edx
        test    %eax, %eax
        jz      rep_stop
        mov     %esi, %r10d
        shr     $12, %r10d
        mov     -SHADOW_BIAS(%r14,%r10,8), %r10
        mov     %edi, %r11d
        shr     $12, %r11d
        mov     SHADOW_WRITE*8-SHADOW_BIAS(%r14,%r11,8), %r11
        test    %r10, %r10
        jle     rep_stop
        test    %r11, %r11
        jle     rep_stop
        add     %rsi, %r10
        add     %rdi, %r11
        shlx    %r9d, %eax, %r13d       /* bytes */
        mov     %edi, %edx
        xor     %esi, %edx
        shr     $12, %edx
        jnz     2f
        mov     %edi, %edx              /* in one page: just above? */
        sub     %esi, %edx
        cmp     %r13d, %edx
        jb      rep_stop
        jmp     3f
2:      mov     %eax, VCPU_ESP(%r15)          /* one page of memory at two addresses? */
        memory_page %r10, %rax
        mov     %edx, VCPU_EBP(%r15)
        memory_page %r11, %rax
        mov     VCPU_ESP(%r15), %eax
        cmp     VCPU_EBP(%r15), %edx
        je      rep_stop
3:      sub     %eax, %ecx
        count   MEMO_MOVS
        mov     %ecx, VCPU_ECX(%r15)
        lea     (%rsi,%r13), %eax
        mov     %eax, VCPU_ESI(%r15)
        lea     (%rdi,%r13), %eax
        mov     %eax, VCPU_EDI(%r15)
        mov     %r10, %rsi
        mov     %r11, %rdi
        mov     %r13d, %ecx
        rep movsb
        mov     VCPU_ECX(%r15), %ecx
        mov     VCPU_ESI(%r15), %esi
        mov     VCPU_EDI(%r15), %edi
        string_next

rep_done:
        mov     $0, %r10d
        jmp     rep_end
rep_stop:
        mov     $1, %r10d
rep_end:
        mov     TC_SCRATCH(%r15), %eax
        mov     VCPU_EDX(%r15), %edx
        flags_restore VCPU_EAX(%r15)
        ret

        .globl  bt_rep_stos
        .type   bt_rep_stos, @function
bt_rep_stos:
        string_begin
1:      test    %ecx, %ecx
        jz      rep_done
        cmpl    $0, VCPU_REQUESTS(%r15)
        jne     rep_stop
        elements_left %edi, %ecx
        test    %eax, %eax
        jz      rep_stop
        mov     %edi, %r11d
        shr     $12, %r11d
        mov     SHADOW_WRITE*8-SHADOW_BIAS(%r14,%r11,8), %r11
        test    %r11, %r11
        jle     rep_stop
        add     %rdi, %r11
        sub     %eax, %ecx
        count   MEMO_STOS
        mov     %ecx, VCPU_ECX(%r15)
        shlx    %r9d, %eax, %r13d
        lea     (%rdi,%r13), %r10d
        mov     %r10d, VCPU_EDI(%r15)
        mov     %eax, %ecx
        mov     %r11, %rdi
        mov     VCPU_EAX(%r15), %eax            /* the guest's */
        cmp     $1, %r9d
        je      3f
        ja      4f
        rep stosb
        jmp     5f
3:      rep stosw
        jmp     5f
4:      rep stosl
5:      mov     VCPU_ECX(%r15), %ecx
        mov     VCPU_EDI(%r15), %edi
        string_next

        .globl  bt_strings_end
bt_strings_end:

        .section .note.GNU-stack, "", @progbits
