/* BT and its kin beyond their operand, BSF and BSR of zero, shifts and rotates at their
 * edges. */
#include "insn.h"

test bt_reaches_backwards
        movl    $0x80000000, words
        mov     $-1, %eax
        bt      %eax, words + 4
        want_flags CF, CF
        mov     $-32, %eax
        bts     %eax, words + 4
        want    words, 0x80000001
        want_flags 0, CF
end

test bt_word_offset_is_signed_16
        movl    $0, words
        movl    $0, words + 4
        mov     $0x1234fff0, %eax       /* -16 */
        btsw    %ax, words + 4
        want    words, 0x00010000
end

test bt_immediate_is_modulo_the_size
        movl    $0, words
        movl    $0, words + 4
        btsl    $35, words
        want    words, 8
        want    words+4, 0
        btsw    $17, words
        want    words, 10
end

test btc_btr_on_registers
        mov     $0xff, %eax
        mov     $32 + 4, %ecx
        btc     %ecx, %eax
        want    %eax, 0xef
        want_flags CF, CF
        btr     %ecx, %eax
        want_flags 0, CF
end

test bit_tests_keep_zf
        xor     %eax, %eax
        bts     $3, %eax
        want_flags ZF, ZF
end

test scan_of_zero_keeps_the_target
        mov     $0x1234, %eax
        xor     %ecx, %ecx
        bsf     %ecx, %eax
        want_flags ZF, ZF
        want    %eax, 0x1234
        bsr     %ecx, %eax
        want    %eax, 0x1234
end

test scans
        mov     $0x00012300, %ecx
        bsf     %ecx, %eax
        want    %eax, 8
        bsr     %ecx, %eax
        want    %eax, 16
        mov     $-1, %edx
        bsf     %cx, %dx
        want    %edx, 0xffff0008
end

test tzcnt_is_bsf_with_a_prefix_for_us_both
        mov     $0x10, %ecx
        .byte   0xf3, 0x0f, 0xbc, 0xc1  /* same result where the source is not 0 */
        want    %eax, 4
end

test shift_by_32_does_nothing
        mov     $0x12345678, %eax
        mov     $32, %cl
        stc
        shl     %cl, %eax
        want    %eax, 0x12345678
        want_flags CF, CF
end

test shift_bytes_beyond_their_size
        mov     $0xff, %eax
        mov     $9, %cl
        shl     %cl, %al
        want    %eax, 0
        mov     $0x80, %eax
        sar     %cl, %al
        want    %eax, 0xff
        want_flags CF|SF, CF | SF | ZF
end

test rotate_through_carry
        mov     $1, %eax
        stc
        rcr     $1, %eax
        want    %eax, 0x80000000
        want_flags CF|OF, CF | OF
        mov     $0x81, %al
        mov     $9, %cl                 /* 9 is once round for a byte */
        clc
        rcl     %cl, %al
        want    %eax, 0x80000081
        want_flags 0, CF
end

test rotate_by_the_size_sets_carry
        mov     $0x81, %eax
        mov     $8, %cl
        rol     %cl, %al
        want    %eax, 0x81
        want_flags CF, CF
end

test double_shifts
        mov     $0x12345678, %eax
        mov     $0x9abcdef0, %edx
        shld    $8, %edx, %eax
        want    %eax, 0x3456789a
        mov     $4, %cl
        shrd    %cl, %edx, %eax
        want    %eax, 0x03456789
        shld    $0, %edx, %eax
        want    %eax, 0x03456789
end

test bswap
        mov     $0x12345678, %eax
        bswap   %eax
        want    %eax, 0x78563412
end

        .data
        .balign 4
words:  .long   0, 0
