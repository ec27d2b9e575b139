/*
 * DAA DAS AAA AAS AAM AAD over all of AX and both of AF and CF: a checksum of results and
 * defined flags, as 32-bit hosts compute it.
 */
#include "insn.h"

        .macro  checksum name, mask, sum, insn:vararg
test \name
        xor     %edi, %edi              /* the sum */
        xor     %esi, %esi              /* AX, and in bits 16-17 AF and CF */
1:      mov     %esi, %ecx
        shr     $16, %ecx
        mov     %ecx, %edx
        and     $1, %ecx                /* CF */
        shr     $1, %edx
        shl     $4, %edx
        or      %edx, %ecx
        push    %ecx
        popf
        mov     %esi, %eax
        \insn
        pushf
        pop     %ecx
        and     $\mask, %ecx
        movzwl  %ax, %eax
        imul    $31, %edi
        add     %eax, %edi
        imul    $31, %edi
        add     %ecx, %edi
        inc     %esi
        cmp     $0x40000, %esi
        jne     1b
        want    %edi, \sum
end
        .endm

checksum daa, SF | ZF | AF | PF | CF, 0x8a6e0c00, daa
checksum das, SF | ZF | AF | PF | CF, 0xca7b9200, das
checksum aaa, AF | CF, 0x77804000, aaa
checksum aas, AF | CF, 0xd9bd4000, aas
checksum aam, SF | ZF | PF, 0xd7283000, aam
checksum aam_16, SF | ZF | PF, 0xa1ba0000, aam $16
checksum aad, SF | ZF | PF, 0x87cb0000, aad
checksum aad_7, SF | ZF | PF, 0x122b0000, aad $7
