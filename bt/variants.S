/*
 * Which of its variants is a patched instruction now?
 */
#include "bt/macros.h"

        .text

/*
 * r9: struct variants *. Goes to the variant whose bytes stand there, or to the callout, also when
 * one variant has run for its trial. Changes r10, r11 and r13.
 */
        .globl  bt_patched
        .type   bt_patched, @function
bt_patched:
        mov     %rcx, %r11
        mov     VARIANTS_CODE(%r9), %r10
        mov     (%r10), %r10
        .irp n, 0, 1, 2, 3
        mov     VARIANTS_OF+VARIANT_SIZE*\n+VARIANT_SHIFT(%r9), %r13
        shlx    %r13, %r10, %rcx
        mov     VARIANTS_OF+VARIANT_SIZE*\n+VARIANT_MINUS_BYTES(%r9), %r13
        lea     (%rcx,%r13), %rcx
        lea     VARIANTS_OF+VARIANT_SIZE*\n(%r9), %r13
        jrcxz   1f
        .endr
2:      mov     %r11, %rcx
        jmp     *VARIANTS_MISS(%r9)
1:      mov     VARIANTS_NOT_LAST(%r9), %rcx
        lea     1(%rcx,%r13), %rcx
        jrcxz   3f
        not     %r13
        mov     %r13, VARIANTS_NOT_LAST(%r9)
        not     %r13
        mov     VARIANTS_TRIAL(%r9), %ecx
        mov     %ecx, VARIANTS_LEFT(%r9)
        mov     %r11, %rcx
        jmp     *VARIANT_HOST(%r13)
3:      mov     VARIANTS_LEFT(%r9), %ecx
        lea     -1(%rcx), %ecx
        mov     %ecx, VARIANTS_LEFT(%r9)
        jrcxz   2b
        mov     %r11, %rcx
        jmp     *VARIANT_HOST(%r13)

        .globl  bt_patched_end
bt_patched_end:

        .section .note.GNU-stack, "", @progbits
