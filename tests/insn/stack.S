/* PUSH, POP, PUSHA, POPA, ENTER, LEAVE: order, sizes, ESP as operand, and faults that change
 * nothing. */
#include "insn.h"

test push_esp_pushes_the_old_value
        mov     %esp, %ebx
        push    %esp
        cmp     %ebx, (%esp)
        want_flags ZF, ZF
end

test pop_esp_keeps_the_value
        push    $stack_top - 64
        pop     %esp
        want    %esp, stack_top - 64
end

test pop_memory_addressed_by_esp
        push    $0
        push    $0
        push    $0x1234
        pop     4(%esp)                 /* address made with ESP after the pop */
        want    4(%esp), 0x1234
        want    (%esp), 0
end

test push_memory_addressed_by_esp
        push    $0x55
        pushl   (%esp)
        want    (%esp), 0x55
        want    4(%esp), 0x55
end

test push_immediate_byte_is_sign_extended
        push    $-2
        want    (%esp), -2
        want    %esp, stack_top - 4
end

test push_word_moves_esp_by_two
        push    $0x11111111
        pushw   $-2
        want    %esp, stack_top - 6
        pop     %eax
        want    %eax, 0x1111fffe
end

test push_segment_writes_sixteen_bits
        push    $0x77777777
        pop     %eax
        push    %ds
        pop     %eax
        and     $0xffff0000, %eax
        want    %eax, 0x77770000
end

test pusha_order
        mov     $0xa, %eax
        mov     $0xc, %ecx
        mov     $0xd, %edx
        mov     $0xb, %ebx
        mov     $0xbb, %ebp
        mov     $0x51, %esi
        mov     $0xd1, %edi
        pusha
        want    %esp, stack_top - 32
        want    (%esp), 0xd1
        want    4(%esp), 0x51
        want    8(%esp), 0xbb
        want    12(%esp), stack_top
        want    16(%esp), 0xb
        want    20(%esp), 0xd
        want    24(%esp), 0xc
        want    28(%esp), 0xa
end

test popa_skips_esp
        pusha
        movl    $0x99, 12(%esp)
        popa
        want    %esp, stack_top
end

test popa_word_keeps_upper_halves
        mov     $0x11110000, %eax
        mov     $0x22220000, %edi
        pushw   $1                      /* AX */
        pushw   $2
        pushw   $3
        pushw   $4
        pushw   $5
        pushw   $6
        pushw   $7
        pushw   $8                      /* DI */
        popaw
        want    %eax, 0x11110001
        want    %edi, 0x22220008
        want    %esp, stack_top
end

test push_fault_keeps_esp
        map     PAGE, 4096
        mov     $PAGE, %esp
        faults  PGF
        push    %eax
        faulted
        want    fault_esp, PAGE
        want    fault_cr2, PAGE - 4
        want    fault_error, 6
        mov     $stack_top, %esp
        unmap   PAGE, 4096
end

test push_across_the_edge_names_the_faulting_page
        map     PAGE, 4096
        mov     $PAGE + 2, %esp
        faults  PGF
        push    %eax
        faulted
        want    fault_cr2, PAGE - 2
        want    PAGE, 0
        mov     $stack_top, %esp
        unmap   PAGE, 4096
end

test pop_memory_fault_keeps_esp
        push    $1
        mov     %esp, %ebx
        faults  PGF
        popl    PAGE
        faulted
        mov     fault_esp, %eax
        cmp     %ebx, %eax
        want_flags ZF, ZF
        want    fault_error, 6
end

test enter_level_0
        mov     $0x1234, %ebp
        enter   $16, $0
        want    %ebp, stack_top - 4
        want    %esp, stack_top - 20
        want    (%ebp), 0x1234
        leave
        want    %ebp, 0x1234
        want    %esp, stack_top
end

test enter_level_1
        mov     $0x1234, %ebp
        enter   $8, $1
        want    %esp, stack_top - 16
        want    -4(%ebp), stack_top - 4
end

test enter_level_3_copies_two_frames
        mov     $frames + 12, %ebp
        enter   $0, $3
        want    %esp, stack_top - 16
        want    -4(%ebp), 0x22
        want    -8(%ebp), 0x11
        want    -12(%ebp), stack_top - 4
end

test enter_level_is_modulo_32
        mov     $0x1234, %ebp
        enter   $0, $32
        want    %esp, stack_top - 4
end

test enter_probes_the_new_stack_top
        map     PAGE, 4096
        mov     $PAGE + 64, %esp
        mov     $7, %ebp
        faults  PGF
        enter   $128, $0
        faulted
        want    fault_esp, PAGE + 64
        want    fault_cr2, PAGE + 64 - 4 - 128
        want    %ebp, 7
        mov     $stack_top, %esp
        unmap   PAGE, 4096
end

test leave_fault_keeps_esp
        mov     $PAGE, %ebp
        faults  PGF
        leave
        faulted
        want    fault_esp, stack_top
        want    %ebp, PAGE
end

test pushf_popf_change_what_user_code_may
        pushf
        pop     %eax
        mov     %eax, %ebx
        or      $0x203000, %eax         /* ID, and IOPL which stays 0 */
        and     $~0x200, %eax           /* IF stays 1 */
        push    %eax
        popf
        pushf
        pop     %eax
        push    %ebx
        popf
        and     $0x203200, %eax
        want    %eax, 0x200200
end

        .data
        .long   0x11, 0x22              /* at EBP - 8 and EBP - 4 */
frames = . - 12
        .long   0
