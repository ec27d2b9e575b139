/* MOVS, CMPS, SCAS, LODS, STOS with REP: counts, direction, overlap, faults in the middle. */
#include "insn.h"

        .macro  regions                 /* source at SRC: 00 01 02 …; target at DST: zeroes */
        map     PAGE, 4096
        mov     $PAGE, %edi
        xor     %eax, %eax
1:      stosb
        inc     %eax
        cmp     $256, %eax
        jne     1b
        .endm
SRC = PAGE
DST = PAGE + 0x800

test rep_movsb
        regions
        mov     $SRC, %esi
        mov     $DST, %edi
        mov     $100, %ecx
        rep movsb
        want    %ecx, 0
        want    %esi, SRC + 100
        want    %edi, DST + 100
        want    DST+96, 0x63626160
        want    DST+100, 0
end

test rep_movsd_down
        regions
        mov     $SRC + 60, %esi
        mov     $DST + 60, %edi
        mov     $16, %ecx
        std
        rep movsl
        cld
        want    %esi, SRC - 4
        want    DST, 0x03020100
        want    DST+60, 0x3f3e3d3c
end

test rep_movsb_overlap_repeats_a_pattern
        regions
        mov     $SRC, %esi
        mov     $SRC + 1, %edi
        mov     $7, %ecx
        rep movsb
        want    SRC, 0
        want    SRC+4, 0
        want    SRC+8, 0x0b0a0908
end

test rep_movsd_overlap_by_less_than_its_size
        regions
        mov     $SRC, %esi
        mov     $SRC + 3, %edi
        mov     $3, %ecx
        rep movsl
        want    SRC, 0x00020100
        want    SRC+4, 0x01030201
        want    SRC+8, 0x02070302
        want    SRC+12, 0x0f0b0703
end

test rep_with_count_0_touches_nothing
        xor     %ecx, %ecx
        mov     $PAGE, %esi             /* not mapped */
        mov     $PAGE, %edi
        stc
        rep movsb
        rep stosl
        repe cmpsb
        repne scasb
        want    %esi, PAGE
        want_flags CF, CF
end

test rep_movsb_fault_leaves_exact_counts
        map     PAGE, 4096
        movl    $0x44332211, PAGE + 4092
        mov     $PAGE + 4090, %esi
        mov     $area, %edi
        mov     $20, %ecx
        faults  PGF
        rep movsb
        faulted
        want    %ecx, 14
        want    %esi, PAGE_END
        want    %edi, area + 6
        want    fault_cr2, PAGE_END
        want    fault_error, 4
        want    area+2, 0x44332211
        unmap   PAGE, 4096
end

test rep_stosl_fault_leaves_exact_counts
        map     PAGE, 4096
        mov     $PAGE + 4086, %edi
        mov     $0x01020304, %eax
        mov     $10, %ecx
        faults  PGF
        rep stosl
        faulted
        want    %ecx, 8
        want    %edi, PAGE_END - 2
        want    fault_cr2, PAGE_END
        want    fault_error, 6
        want    PAGE_END-6, 0x01020304
        unmap   PAGE, 4096
end

test repe_cmpsb_fault_keeps_flags
        map     PAGE, 4096
        mov     $PAGE + 4092, %esi
        mov     $zeroes, %edi
        mov     $20, %ecx
        mov     $1, %eax
        add     $0x7fffffff, %eax       /* OF SF AF PF */
        faults  PGF
        repe cmpsb
        faulted
        want_flags OF|SF|AF|PF, ARITH
        want    %ecx, 16
        want    %edi, zeroes + 4
        unmap   PAGE, 4096
end

test repe_cmpsb_stops_at_the_difference
        regions
        mov     $SRC, %esi
        mov     $DST, %edi
        mov     $16, %ecx
        repe cmpsb                      /* 00 00, then 01 00 */
        want    %ecx, 14
        want_flags 0, ZF | CF
end

test repne_scasb_finds
        regions
        mov     $SRC, %edi
        mov     $0x40, %al
        mov     $-1, %ecx
        repne scasb
        want    %edi, SRC + 0x41
        want    %ecx, -1 - 0x41
        want_flags ZF, ZF
end

test repne_on_movs_repeats_too
        regions
        mov     $SRC + 16, %esi
        mov     $DST, %edi
        mov     $4, %ecx
        .byte   0xf2, 0xa4
        want    %ecx, 0
        want    DST, 0x13121110
end

test rep_lodsw_keeps_the_last
        regions
        mov     $0x55550000, %eax
        mov     $SRC, %esi
        mov     $3, %ecx
        rep lodsw
        want    %eax, 0x55550504
        want    %esi, SRC + 6
end

test string_source_override
        mov     $area, %esi
        movl    $0x1234, area
        ss lodsl
        want    %eax, 0x1234
end

test address_size_prefix_uses_si_and_cx
        mov     $0x10000, %ecx          /* CX is 0: nothing happens */
        mov     $0x20000, %esi
        addr16 rep lodsb
        want    %ecx, 0x10000
        want    %esi, 0x20000
        mov     $0x10001, %ecx
        mov     $PAGE, %edi
        faults  PGF                     /* DI is 0 */
        addr16 rep stosb
        faulted
        want    fault_cr2, 0
        want    %edi, PAGE
end

test rep_movsb_over_many_pages
        map     PAGE, 0x20000
        mov     $PAGE, %edi
        mov     $0x4000, %ecx
        xor     %eax, %eax
1:      stosl
        add     $0x01010107, %eax
        loop    1b
        mov     $PAGE + 1, %esi
        mov     $PAGE + 0x10003, %edi
        mov     $0xfff0, %ecx
        rep movsb
        mov     $PAGE + 1, %esi
        mov     $PAGE + 0x10003, %edi
        mov     $0xfff0, %ecx
        repe cmpsb
        want_flags ZF, ZF
        want    %ecx, 0
        unmap   PAGE, 0x20000
end

        .data
zeroes: .skip   32
area:   .skip   64
