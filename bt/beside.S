/*
 * Stores beside code: a page with TUs is guarded, but what guests write there is, as a rule, data or a
 * stack that shares it. Such a store goes on if what it writes are no TU's bytes.
 */
#include "bt/macros.h"

        .text

/*
 * r9d: the address; r10: its write slot; r11d: how many bytes. A guarded slot becomes a direct one if the
 * page is guarded for code alone, and none is there; else 0, which is C's. Other slots stay. Changes
 * r11 and r13.
 */
        .globl  bt_beside
        .type   bt_beside, @function
bt_beside:
        flags_keep %r13d
        mov     %ecx, VCPU_ECX(%r15)
        mov     %r10, %rcx
        shr     $58, %rcx
        cmp     $0x21, %ecx
        jne     2f
        mov     %edx, VCPU_EDX(%r15)
        mov     %ebx, VCPU_EBX(%r15)
        look_beside %r9d, %r10, %r11, %rbx, 3f
1:      mov     VCPU_EBX(%r15), %ebx
        mov     VCPU_EDX(%r15), %edx
2:      mov     VCPU_ECX(%r15), %ecx
        flags_give %r13d
        ret
3:      xor     %r10d, %r10d
        jmp     1b

        .globl  bt_beside_end
bt_beside_end:

        .section .note.GNU-stack, "", @progbits
