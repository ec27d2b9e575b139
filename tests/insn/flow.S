/* Jumps, calls, returns, loops: counts, sizes, and targets cut to 16 bits by the operand
 * size. */
#include "insn.h"

test loop_counts_ecx
        mov     $5, %ecx
        xor     %eax, %eax
1:      inc     %eax
        loop    1b
        want    %eax, 5
        want    %ecx, 0
end

test loop_of_cx_keeps_the_upper_half
        mov     $0x70003, %ecx
        xor     %eax, %eax
1:      inc     %eax
        .byte   0x67
        loop    1b
        want    %eax, 3
        want    %ecx, 0x70000
end

test loope_and_loopne
        mov     $10, %ecx
        xor     %eax, %eax
1:      inc     %eax
        cmp     $4, %eax
        loopne  1b
        want    %eax, 4
        want    %ecx, 6
        mov     $3, %ecx
        cmp     %eax, %eax
1:      loope   1b
        want    %ecx, 0
end

test jecxz_and_jcxz
        mov     $0x10000, %ecx
        jecxz   1f
        jcxz    2f
1:      mov     $1, %eax
        jmp     3f
2:      mov     $2, %eax
3:      want    %eax, 2
end

test conditions
        xor     %ebx, %ebx
        mov     $-1, %eax
        cmp     $1, %eax                /* -1 < 1 signed, above unsigned */
        setl    %bl
        seta    %bh
        want    %ebx, 0x0101
        xor     %ebx, %ebx
        cmp     %eax, %eax
        setle   %bl
        setbe   %bh
        want    %ebx, 0x0101
        mov     $0x80, %al
        mov     $7, %ecx
        mov     $9, %edx
        sub     $1, %al                 /* OF, no SF */
        cmovl   %edx, %ecx
        want    %ecx, 9
        cmovge  %ebx, %ecx
        want    %ecx, 9
end

test cmov_reads_its_source_anyway
        cmp     %eax, %eax
        faults  PGF
        cmovne  PAGE, %eax
        faulted
end

test call_pushes_the_next_address
        call    1f
1:      pop     %eax
        want    %eax, 1b
        mov     $2f, %eax
        call    *%eax
2:      want    (%esp), 2b
        movl    $3f, target
        call    *target
3:      want    (%esp), 3b
end

test call_through_the_stack_pointer
        push    $1f
        call    *(%esp)                 /* read before the push */
1:      want    (%esp), 1b
end

test ret_releases_parameters
        push    $0x11
        push    $0x22
        push    $1f
        ret     $4
1:      want    (%esp), 0x11
        want    %esp, stack_top - 4
end

test short_operand_size_cuts_the_target
        mov     $0x12340004, %eax
        movl    $1f, fault_resume
        jmp     *%ax                    /* to 0004 */
1:      want    fault_trap, PGF
        want    fault_eip, 4
        want    fault_cr2, 4
        mov     $stack_top, %esp
        movl    $1f, fault_resume
        pushw   $8
        retw
1:      want    fault_eip, 8
        want    fault_esp, stack_top
end

test near_call_of_16_bits
        movl    $1f, fault_resume
        mov     $0x7770010, %eax
        call    *%ax
1:      want    fault_eip, 0x10
        want    fault_esp, stack_top - 2
end

test repeat_prefixes_mean_nothing_here
        .byte   0xf3, 0xe8, 0, 0, 0, 0
1:      want    (%esp), 1b
        .byte   0xf2, 0xeb, 0
        .byte   0xf3, 0x90
        .byte   0xf3, 0x0f, 0x1f, 0x00
end

test jump_far_in_the_same_segment
        mov     %cs, %eax
        movl    $1f, target
        mov     %ax, target + 4
        ljmp    *target
        ud2
1:      movl    $2f, target
        lcall   *target
        ud2
2:      want    %esp, stack_top - 8
        pop     %eax
        push    $3f
        lret
        ud2
3:      want    %esp, stack_top
        pushf
        push    %cs
        push    $4f
        iret
        ud2
4:      want    %esp, stack_top
end

        .data
target: .long   0, 0
