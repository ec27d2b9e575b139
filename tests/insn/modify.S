/* Self-modifying code is exact down to the next instruction (SDM vol. 3, 8.1.3, on P6 and
 * later). */
#include "insn.h"

test next_instruction
        mov     $0, %eax
        movb    $2, 1f + 1
1:      mov     $1, %al
        want    %eax, 2
        movb    $1, 1b + 1
end

test instruction_in_a_loop
        xor     %eax, %eax
        mov     $10, %ecx
1:      add     $1, %eax
        incb    1b + 2
        loop    1b
        want    %eax, 55
        movb    $1, 1b + 2
end

test opcode_becomes_another
        mov     $10, %eax
        movb    $0x48, 1f               /* dec %eax */
1:      inc     %eax
        want    %eax, 9
        movb    $0x40, 1b
end

test by_a_string_instruction_ahead
        xor     %ebx, %ebx
        mov     $0x43, %al              /* inc %ebx */
        mov     $1f, %edi
        mov     $4, %ecx
        rep stosb
1:      nop
        nop
        nop
        nop
        want    %ebx, 4
        movl    $0x90909090, 1b
end

test crossing_a_page
        map     PAGE, 0x2000
        movl    $0x000000b8, PAGE_END - 2       /* mov $imm32, %eax … */
        movl    $0, PAGE_END - 1
        movb    $0xc3, PAGE_END + 3             /* ret */
        movl    $0x11223344, PAGE_END - 1
        mov     $PAGE_END - 2, %ebx
        call    *%ebx
        want    %eax, 0x11223344
        movb    $0x55, PAGE_END + 1             /* in the second page */
        call    *%ebx
        want    %eax, 0x11553344
        movb    $0x66, PAGE_END - 1             /* in the first */
        call    *%ebx
        want    %eax, 0x11553366
        unmap   PAGE, 0x2000
end

test same_bytes_elsewhere
        map     PAGE, 4096
        movl    $0xc340c031, PAGE       /* xor %eax, %eax; inc %eax; ret */
        mov     $PAGE, %ebx
        call    *%ebx
        want    %eax, 1
        unmap   PAGE, 4096
        map     PAGE, 4096
        movl    $0xc348c031, PAGE       /* dec */
        mov     $PAGE, %ebx
        call    *%ebx
        want    %eax, -1
        unmap   PAGE, 4096
end

test length_changes
        mov     $0, %eax
        movl    $0x90904048, 1f         /* dec, inc, nop, nop */
1:      .byte   0x83, 0xc0, 0x05, 0x90  /* add $5, %eax; nop */
        want    %eax, 0
        movl    $0x9005c083, 1b
end
