/*
 * The test kernel's assembler half: entry by multiboot, the way into a test's code at any
 * privilege and in any mode (enter), and the way back through whatever exception or interrupt
 * ends it (stubs, common, resume).
 *
 * enter() saves the kernel's stack pointer and loads the machine with `in`, by IRET. The first
 * event that reaches a stub copies all it sees to `trap` and returns from enter().
 */
#include "layout.h"

        .section .multiboot, "ax"
        .balign 4
        .long   0x1badb002, 0x00000002, -(0x1badb002 + 0x00000002)
        jmp     start                   /* where boot.S enters */

        .text
        .global start
start:
        cli
        cld
        mov     $kernel_stack_top, %esp
        movl    $0, %ebp
        push    $0
        popf
        lgdt    boot_gdtr               /* ours, with the same flat segments; C fills the rest */
        ljmp    $KCODE, $1f
1:      mov     $KDATA, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %fs
        mov     %eax, %gs
        mov     %eax, %ss
        call    kernel_main
2:      hlt
        jmp     2b

/* void enter(void): runs `in` until an event. */
        .global enter
enter:
        push    %ebp
        push    %ebx
        push    %esi
        push    %edi
        pushf
        cli
        mov     %esp, resume_esp
        testl   $0x20000, in_eflags
        jnz     enter_v86
        testl   $3, in_cs
        jnz     enter_outer
        mov     in_ss, %ss
        mov     %cs:in_esp, %esp
        jmp     enter_common
enter_v86:
        pushl   in_gs
        pushl   in_fs
        pushl   in_ds
        pushl   in_es
enter_outer:
        pushl   in_ss
        pushl   in_esp
enter_common:
        pushl   %cs:in_eflags
        pushl   %cs:in_cs
        pushl   %cs:in_eip
        testl   $0x20000, %cs:in_eflags
        jnz     3f
        mov     %cs:in_es, %es
        mov     %cs:in_fs, %fs
        mov     %cs:in_gs, %gs
        mov     %cs:in_ds, %ds
3:      mov     %cs:in_eax, %eax
        mov     %cs:in_ecx, %ecx
        mov     %cs:in_edx, %edx
        mov     %cs:in_ebx, %ebx
        mov     %cs:in_ebp, %ebp
        mov     %cs:in_esi, %esi
        mov     %cs:in_edi, %edi
        iret

/* One stub for each vector: stub_table + 16 * vector. */
        .balign 16
        .global stub_table
stub_table:
        .set    vector, 0
        .rept   256
        .balign 16
        push    $vector
        .byte   0xe9
        .long   common - . - 4
        .set    vector, vector + 1
        .endr

/* Stack: vector, then what the processor pushed. Any ring; all segments but CS and SS
 * unknown. */
        .balign 16
common:
        push    %eax
        push    %ds
        mov     $UDATA, %eax
        mov     %eax, %ds
        pop     %eax
        mov     %eax, trap_ds
        pop     %eax
        mov     %eax, trap_eax
        mov     %ecx, trap_ecx
        mov     %edx, trap_edx
        mov     %ebx, trap_ebx
        mov     %ebp, trap_ebp
        mov     %esi, trap_esi
        mov     %edi, trap_edi
        mov     %es, trap_es
        mov     %fs, trap_fs
        mov     %gs, trap_gs
        mov     %ss, trap_ss
        mov     %cs, trap_cs
        pushf
        pop     trap_eflags
        pop     trap_vector
        mov     %ss, %eax
        lsl     %eax, %eax
        cmp     $0xffff, %eax           /* a 16-bit stack: only SP counts */
        jne     2f
        movzwl  %sp, %esp
2:      mov     %esp, trap_esp
        xor     %ecx, %ecx
1:      mov     %ss:(%esp,%ecx,4), %eax
        mov     %eax, trap_frame(,%ecx,4)
        inc     %ecx
        cmp     $16, %ecx
        jb      1b
        testl   $3, trap_cs
        jz      resume
        movl    $KDATA, tss_main + 8    /* a handler in ring 1 to 3: it may be here */
        movl    $resume_stack_top, tss_main + 4 /* because ring 0 had no stack */
        int     $RESUME_VECTOR

        .global resume
resume:
        ljmp    $KCODE, $1f             /* the gate's segment may have a base */
1:      mov     $KDATA, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %fs
        mov     %eax, %gs
        mov     %eax, %ss
        mov     resume_esp, %esp
        str     trap_tr
        cld
        popf
        pop     %edi
        pop     %esi
        pop     %ebx
        pop     %ebp
        ret

        .data
        .balign 8
boot_gdtr:
        .word   GDT_BYTES - 1
        .long   gdt
        .global in
        .balign 4
in:
in_eip:    .long 0
in_cs:     .long 0
in_eflags: .long 0
in_esp:    .long 0
in_ss:     .long 0
in_es:     .long 0
in_ds:     .long 0
in_fs:     .long 0
in_gs:     .long 0
in_eax:    .long 0
in_ecx:    .long 0
in_edx:    .long 0
in_ebx:    .long 0
in_ebp:    .long 0
in_esi:    .long 0
in_edi:    .long 0
        .global trap
trap:
trap_vector: .long 0
trap_frame: .fill 16, 4, 0
trap_eax:  .long 0
trap_ecx:  .long 0
trap_edx:  .long 0
trap_ebx:  .long 0
trap_ebp:  .long 0
trap_esi:  .long 0
trap_edi:  .long 0
trap_es:   .long 0
trap_ds:   .long 0
trap_fs:   .long 0
trap_gs:   .long 0
trap_ss:   .long 0
trap_cs:   .long 0
trap_esp:  .long 0
trap_eflags: .long 0
trap_tr:   .long 0
        .global resume_esp
resume_esp: .long 0
        .bss
        .balign 16
        .space  16384
kernel_stack_top:
        .space  256
resume_stack_top:
        .section .note.GNU-stack, "", @progbits
