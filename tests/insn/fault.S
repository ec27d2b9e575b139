/* Exceptions: which, where EIP points, the error code, CR2, and that nothing else has
 * changed. */
#include "insn.h"

        .macro  divides op, size, high, low, by
        mov     $\high, %edx
        mov     $\low, %eax
        mov     $\by, %ecx
        faults  DE
        \op     \size
        faulted
        want    %edx, \high
        want    %eax, \low
        .endm

test div_by_zero
        divides div, %ecx, 0, 5, 0
end
test div_overflow
        divides div, %ecx, 5, 0, 5
end
test div_byte_overflow
        divides div, %cl, 0, 0x500, 5
end
test idiv_overflow
        divides idiv, %ecx, 0, 0x80000000, 1
end
test idiv_min_by_minus_one
        divides idiv, %ecx, -1, 0x80000000, -1
end
test idiv_word_min_by_minus_one
        divides idiv, %cx, 0xffff, 0x8000, 0xffff
end
test idiv_largest_dividend
        divides idiv, %ecx, 0x80000000, 0, -1
end

test idiv_most_negative_quotient_is_fine
        mov     $-1, %edx
        mov     $0x80000000, %eax
        mov     $1, %ecx
        idiv    %ecx
        want    %eax, 0x80000000
        want    %edx, 0
end

test aam_0
        mov     $0x1234, %eax
        faults  DE
        aam     $0
        faulted
        want    %eax, 0x1234
end

test bound_inside_and_outside
        mov     $5, %eax
        bound   %eax, limits
        mov     $-3, %eax
        bound   %eax, limits
        mov     $10, %eax
        bound   %eax, limits
        mov     $11, %eax
        faults  BR
        bound   %eax, limits
        faulted
        mov     $-4, %eax
        faults  BR
        bound   %eax, limits
        faulted
end

test int3_is_a_trap
        movl    $1f, fault_resume
        int3
1:      want    fault_trap, BP
        want    fault_eip, 1b
        movl    $2f, fault_resume
        .byte   0xcd, 3
2:      want    fault_eip, 2b
end

test into
        xor     %eax, %eax
        into                            /* OF clear: nothing */
        mov     $0x7f, %al
        inc     %al
        movl    $1f, fault_resume
        into
1:      want    fault_trap, OV
        want    fault_eip, 1b
end

test int_without_a_gate_for_us
        faults  GP
        int     $0x21
        faulted
        want    fault_error, 0x21 * 8 + 2
        faults  GP
        int     $13
        faulted
        want    fault_error, 13 * 8 + 2
end

        .macro  privileged insn:vararg
        faults  GP
        \insn
        faulted
        want    fault_error, 0
        .endm

test privileged_instructions
        privileged hlt
        privileged cli
        privileged sti
        privileged clts
        privileged invd
        privileged wbinvd
        privileged mov %cr0, %eax
        privileged mov %eax, %cr3
        privileged mov %eax, %dr7
        privileged lgdt limits
        privileged lidt limits
        privileged lmsw %ax
        privileged lldt %ax
        privileged ltr %ax
        privileged invlpg limits
        privileged rdmsr
        privileged wrmsr
        privileged in $0x60, %al
        privileged in %dx, %eax
        privileged out %al, %dx
        privileged insb
        privileged rep outsb
end

test undefined_opcodes
        faults  UD
        ud2
        faulted
        faults  UD
        .byte   0x0f, 0xff, 0xc0
        faulted
        faults  UD
        .byte   0x8d, 0xc0              /* LEA of a register */
        faulted
        faults  UD
        .byte   0x8e, 0xc8              /* MOV to CS */
        faulted
        faults  UD
        .byte   0x0f, 0x20, 0xc8        /* MOV from CR1 */
        faulted
        faults  UD
        .byte   0xfe, 0xd0
        faulted
end

        .macro  unlockable bytes:vararg
        faults  UD
        .byte   0xf0, \bytes
        faulted
        .endm

test lock_where_it_may_not_be
        unlockable 0x90
        unlockable 0x01, 0xc0           /* add: register */
        unlockable 0x03, 0x05, 0, 0, 0, 0 /* add: memory is the source */
        unlockable 0x89, 0x05, 0, 0, 0, 0 /* mov */
        unlockable 0x39, 0x05, 0, 0, 0, 0 /* cmp */
        unlockable 0x0f, 0xa3, 0x05, 0, 0, 0, 0 /* bt */
        unlockable 0x87, 0xc0           /* xchg of registers */
        unlockable 0xa4
        unlockable 0xe8, 0, 0, 0, 0
end

test lock_where_it_may_be
        mov     $2, %eax
        movl    $1, cell
        lock addl %eax, cell
        lock incl cell
        lock btsl $8, cell
        lock xchg %eax, cell
        want    %eax, 0x104
        want    cell, 2
end

test read_of_nothing
        faults  PGF
        mov     PAGE + 8, %eax
        faulted
        want    fault_error, 4
        want    fault_cr2, PAGE + 8
end

test write_to_read_only
        map     PAGE, 4096
        movl    $0, PAGE
        protect PAGE, 4096, 1
        xor     %eax, %eax
        stc
        faults  PGF
        adcl    $5, PAGE + 4
        faulted
        want_flags CF, CF
        want    fault_error, 7
        want    fault_cr2, PAGE + 4
        want    PAGE+4, 0
        unmap   PAGE, 4096
end

test access_across_two_pages
        map     PAGE, 4096
        movl    $-1, PAGE_END - 4
        faults  PGF
        movl    $0, PAGE_END - 2        /* nothing is written */
        faulted
        want    fault_cr2, PAGE_END
        want    PAGE_END-4, -1
        faults  PGF
        mov     PAGE - 2, %eax
        faulted
        want    fault_cr2, PAGE - 2
        unmap   PAGE, 4096
end

test fetch_across_the_end_of_memory
        map     PAGE, 4096
        movb    $0xb8, PAGE_END - 3     /* mov $imm32, %eax: two bytes missing */
        mov     $PAGE_END - 3, %ebx
        movl    $1f, fault_resume
        jmp     *%ebx
1:      want    fault_trap, PGF
        want    fault_eip, PAGE_END - 3
        want    fault_cr2, PAGE_END
        mov     $stack_top, %esp
        unmap   PAGE, 4096
end

test fetch_ends_exactly_at_the_end_of_memory
        map     PAGE, 4096
        movb    $0x40, PAGE_END - 1     /* inc %eax */
        mov     $PAGE_END - 1, %ebx
        mov     $5, %eax
        movl    $1f, fault_resume
        jmp     *%ebx
1:      want    fault_eip, PAGE_END
        want    fault_cr2, PAGE_END
        want    %eax, 6
        unmap   PAGE, 4096
end

test fifteen_bytes_are_fine_sixteen_are_not
        mov     $1, %eax
        .byte   0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x40
        want    %eax, 2
        faults  GP
        .byte   0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x40
        faulted
        want    fault_error, 0
end

test alignment_check
        pushf
        orl     $AC, (%esp)
        popf
        mov     cell + 1, %al
        mov     cell + 4, %eax
        faults  ALIGN
        mov     cell + 1, %eax
        faulted
        want    fault_error, 0
        pushf
        orl     $AC, (%esp)
        popf
        faults  ALIGN
        movw    $0, cell + 3
        faulted
        pushf
        andl    $~AC, (%esp)
        popf
        mov     cell + 1, %eax
end

test write_to_the_code_segment
        faults  GP
        movl    $0, %cs:cell
        faulted
        want    fault_error, 0
        movl    $77, cell
        mov     %cs:cell, %eax
        want    %eax, 77
end

test null_segment
        mov     %es, %ebx
        xor     %eax, %eax
        mov     %eax, %es
        faults  GP
        mov     %es:cell, %eax
        faulted
        want    fault_error, 0
        mov     %ebx, %es
end

test bad_selectors
        mov     $0xfff8, %eax
        faults  GP
        mov     %eax, %es
        faulted
        want    fault_error, 0xfff8
        xor     %eax, %eax
        faults  GP
        mov     %eax, %ss
        faulted
        want    fault_error, 0
end

        .data
        .balign 8
limits: .long   -3, 10
cell:   .long   0, 0, 0
