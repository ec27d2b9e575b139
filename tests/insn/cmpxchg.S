/* CMPXCHG, CMPXCHG8B, XADD, XCHG: which side is loaded, the flags, and what a failed compare
 * writes. */
#include "insn.h"

test cmpxchg_differs
        mov     $0x075bcd15, %eax
        mov     $1, %ebx
        mov     $2, %edx
        cmpxchg %ebx, %edx
        want_flags 0, ZF
        want    %eax, 2
        want    %edx, 2
end

test cmpxchg_equal
        mov     $7, %eax
        mov     $1, %ebx
        movl    $7, cell
        lock cmpxchg %ebx, cell
        want_flags ZF, ARITH & ~PF
        want    %eax, 7
        want    cell, 1
end

test cmpxchg_byte_keeps_the_rest_of_eax
        mov     $0x12345678, %eax
        movl    $0xaabbccdd, cell
        mov     $1, %bl
        cmpxchg %bl, cell
        want    %eax, 0x123456dd
        want    cell, 0xaabbccdd
        want_flags CF, CF | ZF
end

test cmpxchg_needs_write_access_even_if_it_differs
        map     PAGE, 4096
        movl    $5, PAGE
        protect PAGE, 4096, 1
        mov     $4, %eax
        faults  PGF
        cmpxchg %ebx, PAGE
        faulted
        want    fault_error, 7
        want    fault_cr2, PAGE
        want    %eax, 4
        unmap   PAGE, 4096
end

test cmpxchg8b_differs
        movl    $0x11111111, cell
        movl    $0x22222222, cell + 4
        mov     $0x11111111, %eax
        mov     $0, %edx
        mov     $3, %ebx
        mov     $4, %ecx
        stc
        cmpxchg8b cell
        want_flags CF, CF | ZF
        want    %eax, 0x11111111
        want    %edx, 0x22222222
        want    cell, 0x11111111
end

test cmpxchg8b_equal
        movl    $1, cell
        movl    $2, cell + 4
        mov     $1, %eax
        mov     $2, %edx
        mov     $3, %ebx
        mov     $4, %ecx
        lock cmpxchg8b cell
        want_flags ZF, ZF
        want    cell, 3
        want    cell+4, 4
        want    %eax, 1
end

test cmpxchg8b_register_is_invalid
        faults  UD
        .byte   0x0f, 0xc7, 0xc8
        faulted
end

test xadd_with_itself_doubles
        mov     $0x40000001, %eax
        xadd    %eax, %eax
        want    %eax, 0x80000002
        want_flags OF|SF, OF | SF | CF | ZF
end

test xadd_memory
        movl    $5, cell
        mov     $-5, %ecx
        lock xadd %ecx, cell
        want_flags ZF|CF, ZF | CF | OF
        want    %ecx, 5
        want    cell, 0
end

test xchg_high_and_low_byte
        mov     $0x11223344, %eax
        xchg    %al, %ah
        want    %eax, 0x11224433
end

test xchg_faults_without_a_change
        map     PAGE, 4096
        movl    $0, PAGE
        protect PAGE, 4096, 1
        mov     $9, %ecx
        faults  PGF
        xchg    %ecx, PAGE + 8
        faulted
        want    %ecx, 9
        want    fault_error, 7
        unmap   PAGE, 4096
end

        .data
        .balign 8
cell:   .long   0, 0
