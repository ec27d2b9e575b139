/*
 * Stores to code pages that hit no code: a page with TUs is write-protected, but what guests
 * write there is, as a rule, data or a stack that shares it. Such a store goes on if what it
 * writes are no TU's bytes.
 */
#include "bt/macros.h"

        .text

/*
 * r9d: the address; r10: its write spte; r11d: how many bytes. A write-protected spte becomes a
 * direct one if the page is write-protected for code alone and these bytes, all in it, are no
 * code. Else this returns behind the jump that follows the call. Changes r10, r11 and r13.
 */
        .globl  bt_code_page_store
        .type   bt_code_page_store, @function
bt_code_page_store:
        flags_save %r13d
        mov     %ecx, VCPU_ECX(%r15)
        mov     %edx, VCPU_EDX(%r15)
        mov     %ebx, VCPU_EBX(%r15)
        look_at_code_map %r9d, %r10, %r11, %rbx, 2f
1:      mov     VCPU_EBX(%r15), %ebx
        mov     VCPU_EDX(%r15), %edx
        mov     VCPU_ECX(%r15), %ecx
        flags_restore %r13d
        ret
2:      addq    $JMP_SIZE, (%rsp)
        jmp     1b

        .globl  bt_code_page_store_end
bt_code_page_store_end:

        .section .note.GNU-stack, "", @progbits
