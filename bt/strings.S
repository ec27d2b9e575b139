/*
 * Repeated string instructions on plain memory, done without C: long MOVS and STOS upwards in flat
 * segments, and all that are short.
 */
#include "bt/macros.h"

        .text

/*
 * REP MOVS and REP STOS upwards in flat segments, a page at a time, by the host's own. r9d:
 * log2 of the element's size. r10 := 0 if ECX has come to 0; else C goes on from where ESI, EDI
 * and ECX are: what is not plain memory, an element in two pages, a target just above its
 * source, somebody waits; and one page of memory at two addresses, of which the host's REP
 * MOVSB does not know.
 */

/* Flags and EDX wait in the vcpu: see rep_end. */
.macro string_begin
        flags_save VCPU_EAX(%r15)
        mov     %eax, TC_SCRATCH(%r15)
        mov     %edx, VCPU_EDX(%r15)
.endm

/* On to the next page, unless that was all; the deadline may have come. Changes rax and rdx. */
.macro string_next
        test    %ecx, %ecx
        jz      1b
        rdtsc
        shl     $32, %rdx
        or      %rdx, %rax
        cmp     VCPU_DEADLINE(%r15), %rax
        jb      1b
        lock orl $REQUEST_TIMER, VCPU_REQUESTS(%r15)
        jmp     1b
.endm

/* eax := elements from `reg` to its page's end, at most those in `most`. */
.macro elements_left reg most
        mov     $0x1000, %eax
        mov     \reg, %r10d
        and     $0xfff, %r10d
        sub     %r10d, %eax
        shrx    %r9d, %eax, %eax
        cmp     \most, %eax
        cmova   \most, %eax
.endm

        .globl  bt_rep_movs
        .type   bt_rep_movs, @function
bt_rep_movs:
        string_begin
1:      test    %ecx, %ecx
        jz      rep_done
        cmpl    $0, VCPU_REQUESTS(%r15)
        jne     rep_stop
        elements_left %esi, %ecx
        mov     %eax, %edx
        elements_left %edi, %edx
        test    %eax, %eax
        jz      rep_stop
        mov     %esi, %r10d
        shr     $12, %r10d
        mov     -SHADOW_BIAS(%r14,%r10,8), %r10
        mov     %edi, %r11d
        shr     $12, %r11d
        mov     SHADOW_WRITE*8-SHADOW_BIAS(%r14,%r11,8), %r11
        test    %r10, %r10
        jle     rep_stop
        test    %r11, %r11
        jle     rep_stop
        add     %rsi, %r10
        add     %rdi, %r11
        shlx    %r9d, %eax, %r13d       /* bytes */
        mov     %edi, %edx
        xor     %esi, %edx
        shr     $12, %edx
        jnz     2f
        mov     %edi, %edx              /* in one page: just above? */
        sub     %esi, %edx
        cmp     %r13d, %edx
        jb      rep_stop
        jmp     3f
2:      mov     %eax, VCPU_ESP(%r15)          /* one page of memory at two addresses? */
        mov     %r10, %rdx
        memory_page %rax
        mov     %edx, VCPU_EBP(%r15)
        mov     %r11, %rdx
        memory_page %rax
        mov     VCPU_ESP(%r15), %eax
        cmp     VCPU_EBP(%r15), %edx
        je      rep_stop
3:      sub     %eax, %ecx
        count   MEMO_MOVS
        mov     %ecx, VCPU_ECX(%r15)
        lea     (%rsi,%r13), %eax
        mov     %eax, VCPU_ESI(%r15)
        lea     (%rdi,%r13), %eax
        mov     %eax, VCPU_EDI(%r15)
        mov     %r10, %rsi
        mov     %r11, %rdi
        mov     %r13d, %ecx
        rep movsb
        mov     VCPU_ECX(%r15), %ecx
        mov     VCPU_ESI(%r15), %esi
        mov     VCPU_EDI(%r15), %edi
        string_next

rep_done:
        mov     $0, %r10d
        jmp     rep_end
rep_stop:
        mov     $1, %r10d
rep_end:
        mov     TC_SCRATCH(%r15), %eax
        mov     VCPU_EDX(%r15), %edx
        flags_restore VCPU_EAX(%r15)
        ret

        .globl  bt_rep_stos
        .type   bt_rep_stos, @function
bt_rep_stos:
        string_begin
1:      test    %ecx, %ecx
        jz      rep_done
        cmpl    $0, VCPU_REQUESTS(%r15)
        jne     rep_stop
        elements_left %edi, %ecx
        test    %eax, %eax
        jz      rep_stop
        mov     %edi, %r11d
        shr     $12, %r11d
        mov     SHADOW_WRITE*8-SHADOW_BIAS(%r14,%r11,8), %r11
        test    %r11, %r11
        jle     rep_stop
        add     %rdi, %r11
        sub     %eax, %ecx
        count   MEMO_STOS
        mov     %ecx, VCPU_ECX(%r15)
        shlx    %r9d, %eax, %r13d
        lea     (%rdi,%r13), %r10d
        mov     %r10d, VCPU_EDI(%r15)
        mov     %eax, %ecx
        mov     %r11, %rdi
        mov     VCPU_EAX(%r15), %eax            /* the guest's */
        cmp     $1, %r9d
        je      3f
        ja      4f
        rep stosb
        jmp     5f
3:      rep stosw
        jmp     5f
4:      rep stosl
5:      mov     VCPU_ECX(%r15), %ecx
        mov     VCPU_EDI(%r15), %edi
        string_next

/*
 * Short ones: at most REP_SHORT elements, which lie in one page, or two that are neighbours in
 * the host's memory, too, in plain memory, and in their segments; one element after the other.
 * r9d: log2 of the element's size, kept; r11d: how far from the vcpu's segments the source's is;
 * ECX is not 0. r10 := 0 if it is done, else nothing has changed.
 *
 * kind: movs, stos, lods, cmps, scas; until: e (REPE), ne (REPNE), or none; place: flat, base (32-bit
 * offsets in segments with base and limit), word (16-bit offsets, the same); down: DF is set.
 */

/* `host` := the host's address of the lowest of eax elements, which take r13d bytes, from `reg` on.
 * Changes edx. */
.macro short_place reg, reg16, table, host, place, down, segment
        .ifc    \place, word
        movzwl  \reg16, \host\()d
        .else
        mov     \reg, \host\()d
        .endif
        .if     \down
        lea     -1(%rax), %edx
        shlx    %r9d, %edx, %edx
        sub     %edx, \host\()d
        .ifnc   \place, flat
        jb      8f
        .endif
        .endif
        .ifnc   \place, flat
        mov     \host\()d, %edx
        lea     -1(%r13), %ebp
        add     %ebp, %edx
        jc      8f
        .ifc    \place, word
        cmp     $0xffff, %edx
        ja      8f
        .endif
        cmp     VCPU_SEG+SEGMENT_LIMIT\segment, %edx
        ja      8f
        add     VCPU_SEG\segment, \host\()d
        .endif
        mov     \host\()d, %edx
        shr     $12, %edx
        mov     \table*8-SHADOW_BIAS(%r14,%rdx,8), %rdx
        test    %rdx, %rdx
        jle     8f
        mov     \host\()d, %ebp
        and     $0xfff, %ebp
        add     %r13d, %ebp
        cmp     $0x1000, %ebp
        jbe     2f
        lea     -1(\host,%r13), %ebp
        shr     $12, %ebp
        cmp     \table*8-SHADOW_BIAS(%r14,%rbp,8), %rdx
        jne     8f
2:      add     %rdx, \host
.endm

/* The loops: rdx goes through the bytes' offsets. */
.macro short_next size, down, again
        .if     \down
        sub     $\size, %edx
        jns     \again
        .else
        add     $\size, %edx
        cmp     %r13d, %edx
        jb      \again
        .endif
.endm

.macro short_first size, down
        .if     \down
        lea     -\size(%r13), %edx
        .else
        xor     %edx, %edx
        .endif
.endm

/* One element; a is al, ax or eax. Of a comparison: the flags. */
.macro short_one kind, a
        .ifc    \kind, movs
        mov     (%r10,%rdx), \a
        mov     \a, (%r11,%rdx)
        .endif
        .ifc    \kind, stos
        mov     \a, (%r11,%rdx)
        .endif
        .ifc    \kind, cmps
        mov     (%r10,%rdx), \a
        cmp     (%r11,%rdx), \a
        .endif
        .ifc    \kind, scas
        cmp     (%r11,%rdx), \a
        .endif
.endm

.macro short_loop kind, until, size, down, a
        short_first \size, \down
        .ifc    \until, none
3:      short_one \kind, \a
        short_next \size, \down, 3b
        .else
3:      short_one \kind, \a
        .ifc    \until, e
        jne     4f
        .else
        je      4f
        .endif
        short_next \size, \down, 3b
        .if     \down
        add     $\size, %edx
        .else
        sub     $\size, %edx
        .endif
4:      short_one \kind, \a            /* the last one's flags */
        lahf
        seto    %al
        mov     %eax, TC_SCRATCH(%r15)
        .if     \down
        sub     %edx, %r13d             /* bytes that were compared */
        .else
        lea     \size(%rdx), %r13d
        .endif
        .endif
.endm

.macro short_add reg, reg16, place, down
        .ifc    \place, word
        mov     \reg, %edx
        .if     \down
        sub     %r13d, %edx
        .else
        add     %r13d, %edx
        .endif
        mov     %dx, \reg16
        .elseif \down
        sub     %r13d, \reg
        .else
        add     %r13d, \reg
        .endif
.endm

.macro rep_short kind, until, place, down, large=0
rep_\kind\()_\until\()_\place\()_\down:
        flags_save VCPU_EAX(%r15)
        mov     %eax, TC_SCRATCH(%r15)
        .ifc    \place, word
        movzwl  %cx, %eax
        .else
        mov     %ecx, %eax
        .endif
        cmp     $REP_SHORT, %eax
        ja      9f
        mov     %edx, VCPU_EDX(%r15)
        mov     %ebp, VCPU_EBP(%r15)
        shlx    %r9d, %eax, %r13d
        .ifnc   \kind, stos
        .ifnc   \kind, scas
        short_place %esi, %si, 0, %r10, \place, \down, "(%r15,%r11)"
        .endif
        .endif
        .ifc    \kind, movs
        short_place %edi, %di, SHADOW_WRITE, %r11, \place, \down, "(%r15)"
        .endif
        .ifc    \kind, stos
        short_place %edi, %di, SHADOW_WRITE, %r11, \place, \down, "(%r15)"
        .endif
        .ifc    \kind, cmps
        short_place %edi, %di, 0, %r11, \place, \down, "(%r15)"
        .endif
        .ifc    \kind, scas
        short_place %edi, %di, 0, %r11, \place, \down, "(%r15)"
        .endif
        count   MEMO_SHORT
        mov     VCPU_EAX(%r15), %eax
        .ifc    \kind, lods
        xor     %edx, %edx              /* only the last one stays */
        .if     !\down
        mov     $-1, %edx
        shlx    %r9d, %edx, %edx
        add     %r13d, %edx
        .endif
        cmp     $1, %r9d
        je      5f
        ja      6f
        mov     (%r10,%rdx), %al
        jmp     7f
5:      mov     (%r10,%rdx), %ax
        jmp     7f
6:      mov     (%r10,%rdx), %eax
7:      mov     %eax, VCPU_EAX(%r15)
        .else
        cmp     $1, %r9d
        je      5f
        ja      6f
        short_loop \kind, \until, 1, \down, %al
        jmp     7f
5:      short_loop \kind, \until, 2, \down, %ax
        jmp     7f
6:      short_loop \kind, \until, 4, \down, %eax
7:
        .endif
        .ifc    \until, none
        xor     %eax, %eax
        .else
        shrx    %r9d, %r13d, %edx
        mov     %ecx, %eax
        sub     %edx, %eax
        .endif
        .ifc    \place, word
        mov     %ax, %cx
        .else
        mov     %eax, %ecx
        .endif
        .ifnc   \kind, stos
        .ifnc   \kind, scas
        short_add %esi, %si, \place, \down
        .endif
        .endif
        .ifnc   \kind, lods
        short_add %edi, %di, \place, \down
        .endif
        mov     $0, %r10d
        jmp     rep_short_end
8:      mov     VCPU_EDX(%r15), %edx
        mov     VCPU_EBP(%r15), %ebp
9:      mov     TC_SCRATCH(%r15), %eax
        flags_restore VCPU_EAX(%r15)
        .if     \large
        jmp     bt_rep_\kind
        .else
        mov     $1, %r10d
        ret
        .endif
.endm

rep_short_end:
        mov     TC_SCRATCH(%r15), %eax
        mov     VCPU_EDX(%r15), %edx
        mov     VCPU_EBP(%r15), %ebp
        flags_restore VCPU_EAX(%r15)
        ret

.macro rep_short_places kind, until
        .ifc    \until, none
        rep_short \kind, \until, flat, 0, (REP_LARGE_\kind)
        .else
        rep_short \kind, \until, flat, 0
        .endif
        rep_short \kind, \until, flat, 1
        .irpc   down, 01
        rep_short \kind, \until, base, \down
        rep_short \kind, \until, word, \down
        .endr
.endm

        .set    REP_LARGE_movs, 1
        .set    REP_LARGE_stos, 1
        .set    REP_LARGE_lods, 0
        .irp    kind, movs, stos, lods
        rep_short_places \kind, none
        .endr
        .irp    kind, cmps, scas
        rep_short_places \kind, e
        rep_short_places \kind, ne
        .endr

        .globl  bt_strings_end
bt_strings_end:

/* By enum bt_rep, place, direction. */
.macro rep_pair kind, until, place
        .quad   rep_\kind\()_\until\()_\place\()_0, rep_\kind\()_\until\()_\place\()_1
.endm

.macro rep_row kind, until
        rep_pair \kind, \until, flat
        rep_pair \kind, \until, base
        rep_pair \kind, \until, word
.endm

        .section .data.rel.ro, "aw", @progbits
        .globl  bt_rep_short
        .type   bt_rep_short, @object
bt_rep_short:
        rep_row movs, none
        rep_row stos, none
        rep_row lods, none
        rep_row cmps, e
        rep_row cmps, ne
        rep_row scas, e
        rep_row scas, ne

        .section .note.GNU-stack, "", @progbits
