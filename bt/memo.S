/*
 * Memoised transfers: segment loads, looks at descriptors, SYSENTER, SYSEXIT, IRET, INT n, CPUID,
 * and changes of PE, applied as C found them the last time. What each relied on is compared first
 * (bt/memo.c); a difference, or anything unusual, is a callout. See regs.h for the registers.
 */
#include "bt/macros.h"

/* Hidden parts: selector in the low half, attributes above. */
#define FLAT_CODE 0xc09b0000
#define FLAT_DATA 0xc0930000
#define DPL3 0x00600000

        .text

/* What tc.beyond is for a segment of that reach: \read becomes it. Changes both, and the flags. */
        .macro  beyond read, write
        inc     \read
        inc     \write
        and     \write, \read          /* 1 << 32, if both reach all */
        shl     $BEYOND_BIT - 32, \read
        not     \read
        shr     $BEYOND_BIT, \read
        and     $1, \read
        shl     $BEYOND_BIT, \read
        .endm

/* r9d: the key of a load (memo_segment_key()); r11d: the register's number. r10 := 0 if it is
 * done, else nothing has changed. */
        .globl  bt_load_segment
        .type   bt_load_segment, @function
bt_load_segment:
        flags_save %r13d
        find_segment 2f
        jne     1f
3:      count   MEMO_SEGMENT
        lea     (%r11,%r11,2), %r9
        lea     VCPU_SEG(%r15,%r9,4), %r9
        mov     %r11d, TC_SCRATCH+8(%r15)
        mov     SEGMENT_MEMO_SEG(%r10), %r11d
        mov     %r11d, (%r9)
        mov     SEGMENT_MEMO_SEG+4(%r10), %r11d
        mov     %r11d, 4(%r9)
        mov     SEGMENT_MEMO_SEG+8(%r10), %r11d
        mov     %r11d, 8(%r9)
        mov     TC_SCRATCH+8(%r15), %r11d
        mov     SEGMENT_MEMO_REACH(%r10), %r9
        mov     SEGMENT_MEMO_REACH+8(%r10), %r10
        lea     (%r11,%r11), %r11d
        mov     %r9, TC_REACH(%r15,%r11,8)
        mov     %r10, TC_REACH+8(%r15,%r11,8)
        beyond  %r9, %r10
        mov     %r9, TC_BEYOND(%r15,%r11,4)
        flags_restore %r13d
        mov     $0, %r10d
        ret
1:      flags_restore %r13d
        mov     $1, %r10d
        ret
/* Another base in the descriptor, as threads have for FS or GS each, is noted; other changes are C's. */
2:      cmp     $4, %r11d
        jb      1b
        sub     SEGMENT_MEMO_MINUS_DESC(%r10), %r9
        mov     %r11d, TC_SCRATCH+8(%r15)
        mov     SEGMENT_MEMO_MINUS_DESC(%r10), %r11
        neg     %r11
        xor     %r9, %r11
        test    $0xffff, %r11d          /* the limit */
        jnz     1b
        shr     $40, %r11
        test    $0xffff, %r11d          /* rights, and its upper part */
        jnz     1b
        mov     %r9, %r11
        neg     %r11
        mov     %r11, SEGMENT_MEMO_MINUS_DESC(%r10)
        mov     %r9, %r11
        shr     $16, %r11
        and     $0xffffff, %r11d
        shr     $56, %r9
        shl     $24, %r9d
        or      %r9d, %r11d
        mov     %r11d, SEGMENT_MEMO_SEG(%r10)
        mov     TC_SCRATCH+8(%r15), %r11d
        jmp     3b

/* r9d: the key of a VERW, VERR, LAR or LSL. r10 := 0 if its answer is known: in ZF, and r13d. */
        .globl  bt_look
        .type   bt_look, @function
bt_look:
        flags_save %r13d
        mov     %r9d, %r10d             /* memo_segment_place() */
        shr     $(LOOK_SHIFT - 3), %r10d
        xor     %r9d, %r10d
        xor     $0x40, %r10d
        and     $0x78, %r10d
        compare_segment
        jne     1f
        count   MEMO_LOOK
        and     $0xbf, %ah              /* ZF */
        or      SEGMENT_MEMO_SEG(%r10), %eax
        flags_restore %r13d
        mov     SEGMENT_MEMO_SEG+SEGMENT_LIMIT(%r10), %r13d
        mov     $0, %r10d
        ret
1:      flags_restore %r13d
        mov     $1, %r10d
        ret

/* ARPL: r11w := the selector in it, with the RPL of the one in r13w if its own is lower; ZF says
 * so. Changes r13. */
.macro arpl keep, temp
        flags_save \keep
        and     $0xbf, %ah              /* ZF */
        mov     %r11d, \temp
        and     $3, \temp
        and     $3, %r13d
        sub     \temp, %r13d
        jbe     1f
        add     %r13d, %r11d
        or      $0x40, %ah
1:
.endm

        .globl  bt_arpl
        .type   bt_arpl, @function
bt_arpl:
        mov     %ecx, TC_SCRATCH+8(%r15)
        arpl    TC_SCRATCH(%r15), %ecx
        mov     TC_SCRATCH+8(%r15), %ecx
        flags_restore TC_SCRATCH(%r15)
        ret

/* Of a register: changes r9 and r10, too. */
        .globl  bt_arpl_register
        .type   bt_arpl_register, @function
bt_arpl_register:
        arpl    %r10d, %r9d
        flags_restore %r10d
        ret

/* rcx := the host's address of a frame of `size` bytes at esp, ZF set; ZF clear: it is not
 * aligned, in two pages, or not plain memory that may be written through `shadow`. */
.macro int_frame esp shadow size
        mov     \esp, %ecx
        and     $3, %ecx
        jnz     8f
        mov     \esp, %ecx
        and     $0xfff, %ecx
        sub     $(0x1000 - \size), %ecx
        ja      8f
        mov     \esp, %ecx
        shr     $12, %ecx
        mov     SHADOW_WRITE*8(\shadow,%rcx,8), %rcx
        test    %rcx, %rcx
        jle     7f
        lea     (%rcx,%rbx), %rcx
        xor     %r9d, %r9d              /* ZF */
        jmp     8f
7:      or      $1, %ecx                /* no ZF */
8:
.endm

/* CS of selector r10w, SS eight above, both flat whatever their descriptors (SDM vol. 2,
 * "SYSENTER"). */
.macro flat_segments rpl_dpl
        lea     8(%r10), %r9d
        movzwl  %r9w, %r9d
        or      $(FLAT_DATA + \rpl_dpl), %r9d
        mov     %r9d, VCPU_SS+SEGMENT_SELECTOR(%r15)
        or      $(FLAT_CODE + \rpl_dpl), %r10d
        mov     %r10d, VCPU_CS+SEGMENT_SELECTOR(%r15)
        movl    $0, VCPU_CS(%r15)
        movl    $-1, VCPU_CS+SEGMENT_LIMIT(%r15)
        movl    $0, VCPU_SS(%r15)
        movl    $-1, VCPU_SS+SEGMENT_LIMIT(%r15)
.endm

/* r9: struct callout *, for the unusual; r11d: the context to be in. */
        .globl  bt_sysenter
        .type   bt_sysenter, @function
bt_sysenter:
        flags_save %r13d
        cmpl    $0, TC_FPU_CPL(%r15)
        je      unusual
        mov     VCPU_SYSENTER_CS(%r15), %r10d
        and     $0xfffc, %r10d
        jz      unusual
        count   MEMO_SYSENTER
        flat_segments 0
        movb    $0, VCPU_INT_FLAG(%r15)
        movb    $0, VCPU_CPL(%r15)
        mov     VCPU_SHADOW_SYSTEM(%r15), %r14
        mov     %r14, VCPU_SHADOW(%r15)
        add     $SHADOW_BIAS, %r14
        mov     VCPU_SYSENTER_ESP(%r15), %r8d
        mov     VCPU_SYSENTER_EIP(%r15), %r9d
        enter_context
        flags_restore %r13d
        jmp     bt_indirect
unusual:
        mov     %r13d, VCPU_EAX(%r15)
unusual_in_ax:
        flags_restore VCPU_EAX(%r15)
        call    bt_callout              /* does not come back */
        ud2

/* The same; r11d is for an IOPL below 3 and no AC, r10d the one if the FPU is live for CPL 3, and
 * CR4.OSFXSR set. */
        .globl  bt_sysexit
        .type   bt_sysexit, @function
bt_sysexit:
        flags_save %r13d
        cmpb    $0, VCPU_USER_MAP_STALE(%r15)
        jne     unusual
        cmpl    $3, TC_FPU_CPL(%r15)
        jne     1f
        mov     %r10d, %r11d
        testl   $OSFXSR, VCPU_CR4(%r15)
        jz      unusual
1:      mov     VCPU_EFLAGS(%r15), %r10d
        test    $FLAG_AC, %r10d
        jnz     unusual
        not     %r10d
        test    $FLAG_IOPL, %r10d
        jz      unusual
        mov     VCPU_SYSENTER_CS(%r15), %r10d
        and     $0xfffc, %r10d
        jz      unusual
        add     $16, %r10d
        movzwl  %r10w, %r10d
        count   MEMO_SYSEXIT
        flat_segments (DPL3 + 3)
        movb    $3, VCPU_CPL(%r15)
        mov     VCPU_SHADOW_SYSTEM(%r15), %r14
        add     $(SHADOW_USER * 8), %r14
        mov     %r14, VCPU_SHADOW(%r15)
        add     $SHADOW_BIAS, %r14
        mov     %ecx, %r8d
        mov     %edx, %r9d
        or      VCPU_USER_MAP(%r15), %r11d
        enter_context
        flags_restore %r13d
        jmp     bt_indirect

/*
 * IRET of 32 bits from CPL 0 with flat 32-bit stacks. r9: struct callout *. A frame in one
 * page, EFLAGS that change only arithmetic flags and IF, and selectors met before in this
 * context. RF falls: code runs here only while there is no breakpoint to be shielded from, and
 * what the next instruction could push of RF is set (faults) or clear (INT n, a double fault)
 * whatever it was.
 */
        .globl  bt_iret
        .type   bt_iret, @function
bt_iret:
        registers_save
        mov     VCPU_EFLAGS(%r15), %eax
        mov     VCPU_INT_FLAG(%r15), %ecx
        and     $0xff00ff00, %ecx       /* CPL, NMI blocked */
        jnz     kept_unusual
        test    $FLAG_NT, %eax
        jnz     kept_unusual
        mov     %r8d, %ecx
        and     $0xfff, %ecx
        cmp     $(0x1000 - 12), %ecx
        ja      kept_unusual
        test    $3, %cl
        jnz     kept_unusual
        mov     %r8d, %ecx
        shr     $12, %ecx
        mov     -SHADOW_BIAS(%r14,%rcx,8), %rbx
        test    %rbx, %rbx
        jle     kept_unusual
        add     %r8, %rbx               /* EIP, CS, EFLAGS, ESP, SS */
        mov     8(%rbx), %edx
        mov     %edx, %ecx
        shr     $9, %ecx
        test    VCPU_INTR(%r15), %cl    /* IF lets an interrupt in that waits */
        jnz     kept_unusual
        mov     %edx, %ecx
        xor     %eax, %ecx
        test    $FLAGS_HELD, %ecx
        jnz     kept_unusual
        movzwl  4(%rbx), %ecx
        mov     %ecx, %esi
        and     $3, %esi
        mov     %esi, %r9d
        cmp     %esi, TC_FPU_CPL(%r15)
        jne     1f
        add     $4, %esi
1:      shl     $4, %esi
        lea     TC_IRETS(%r15,%rsi), %rsi
        mov     TC_CONTEXT(%r15), %r11d
        cmp     %r11d, IRET_FROM(%rsi)
        jne     kept_unusual
        cmp     %cx, IRET_CS(%rsi)
        jne     kept_unusual
        and     $(FLAG_IOPL | FLAG_AC), %eax
        cmp     %eax, IRET_IOPL(%rsi)
        jne     kept_unusual
        shl     $16, %r9d
        lea     (%r9,%rcx), %r9d
        or      $(SEG_KEY_VALID | SEG_KEY_CODE), %r9d
        find_segment
        jne     kept_unusual
        mov     IRET_TO(%rsi), %r11d
        test    $3, %cl
        jnz     iret_outer
        add     $12, %r8d
        copy_segment VCPU_CS(%r15)
        jmp     iret_commit

iret_outer:
        cmpb    $0, VCPU_USER_MAP_STALE(%r15)
        jne     kept_unusual
        mov     %r10, TC_SCRATCH+16(%r15)
        mov     %r8d, %eax
        and     $0xfff, %eax
        cmp     $(0x1000 - 20), %eax
        ja      kept_unusual
        movzwl  16(%rbx), %eax
        cmp     %ax, IRET_SS(%rsi)
        jne     kept_unusual
        and     $3, %ecx
        shl     $16, %ecx
        lea     (%rcx,%rax), %r9d
        or      $(SEG_KEY_VALID | SEG_KEY_SS | SEG_KEY_STACK32), %r9d
        find_segment
        jne     kept_unusual
        /* A callout if a data segment has to be cleared: present, and DPL below 3. */
        .irp    seg, 0, 3, 4, 5
        movzwl  VCPU_SEG+12*\seg+SEGMENT_ATTR(%r15), %eax
        not     %eax
        test    $0x60, %al
        jz      2f
        test    $0x80, %al
        jz      kept_unusual
2:
        .endr
        copy_segment VCPU_SS(%r15)
        mov     TC_SCRATCH+16(%r15), %r10
        copy_segment VCPU_CS(%r15)
        mov     12(%rbx), %r8d
        shr     $16, %ecx
        mov     %cl, VCPU_CPL(%r15)
        cmp     $3, %ecx
        jne     3f
        or      VCPU_USER_MAP(%r15), %r11d
        mov     VCPU_SHADOW_SYSTEM(%r15), %r14
        add     $(SHADOW_USER * 8), %r14
        mov     %r14, VCPU_SHADOW(%r15)
        add     $SHADOW_BIAS, %r14
3:
iret_commit:
        count   MEMO_IRET
        mov     (%rbx), %r9d
        mov     %edx, %ecx
        shr     $9, %ecx
        and     $1, %ecx
        mov     %cl, VCPU_INT_FLAG(%r15)
        cmp     %r11d, TC_CONTEXT(%r15)
        je      4f
        enter_context
4:      mov     %edx, %eax
        shr     $11, %eax
        and     $1, %eax
        mov     %dl, %ah
        add     $0x7f, %al
        sahf
        mov     VCPU_EAX(%r15), %eax
        registers_restore
        jmp     bt_indirect

        .globl  bt_kept_unusual
bt_kept_unusual:
kept_unusual:
        registers_restore
        mov     TC_SCRATCH+8(%r15), %r9
        mov     TC_SCRATCH(%r15), %eax
        jmp     unusual_in_ax

/* CPUID, answered before. r10 := 0 if it is done; else nothing is. Flags stay. */
        .globl  bt_cpuid
        .type   bt_cpuid, @function
bt_cpuid:
        mov     %rcx, %r13
        mov     $CPUID_BITS, %ecx
        pext    %ecx, %eax, %r10d
        lea     (,%r10,8), %r10
        lea     TC_CPUIDS(%r15,%r10,4), %r10
        mov     CPUID_LEAF(%r10), %rcx
        lea     1(%rcx,%rax), %rcx
        jrcxz   1f
        mov     %r13, %rcx
        mov     $1, %r10d
        ret
1:      mov     CPUID_OUT(%r10), %eax
        mov     CPUID_OUT+4(%r10), %ebx
        mov     CPUID_OUT+8(%r10), %ecx
        mov     CPUID_OUT+12(%r10), %edx
        mov     $0, %r10d
        ret

/*
 * MOV to CR0, which would change it to r13d. r9: struct callout *; a host call's return address is on the
 * stack, for a callout. Of PE alone, without paging, from where it was changed before, and with segments
 * like then's.
 */
        .globl  bt_mov_cr0
        .type   bt_mov_cr0, @function
bt_mov_cr0:
        registers_save
        mov     VCPU_CR0(%r15), %ecx
        test    %ecx, %ecx
        js      1f                      /* PG */
        xor     %r13d, %ecx
        cmp     $1, %ecx
        jne     1f
        mov     %r13d, %esi
        and     $1, %esi
        lea     (%rsi,%rsi,4), %esi
        shl     $4, %esi
        lea     TC_PES(%r15,%rsi), %rsi
        mov     TC_CONTEXT(%r15), %ecx
        cmp     %ecx, PE_FROM(%rsi)
        jne     1f
        .irp    seg, 0, 1, 2, 3, 4, 5
        mov     VCPU_SEG+12*\seg+SEGMENT_LIMIT(%r15), %ecx
        cmp     %ecx, PE_LIMIT+4*\seg(%rsi)
        jne     1f
        movzwl  VCPU_SEG+12*\seg+SEGMENT_ATTR(%r15), %ecx
        cmp     %cx, PE_ATTR+2*\seg(%rsi)
        jne     1f
        .endr
        count   MEMO_PE
        incq    VCPU_CR0_WRITES(%r15)
        mov     %r13d, VCPU_CR0(%r15)
        .irp    at, 0, 8, 16, 24
        mov     PE_REACH+\at(%rsi), %rcx
        mov     %rcx, TC_REACH+16*4+\at(%r15)
        .endr
        .irp    seg, 4, 5
        mov     TC_REACH+16*\seg(%r15), %rcx
        mov     TC_REACH+16*\seg+8(%r15), %r11
        beyond  %rcx, %r11
        mov     %rcx, TC_BEYOND+8*\seg(%r15)
        .endr
        movzbl  CALLOUT_LENGTH(%r9), %ecx
        add     CALLOUT_EIP(%r9), %ecx
        add     TC_PAGE(%r15), %ecx
        mov     %ecx, %r9d
        mov     PE_TO(%rsi), %r11d
        enter_context
        registers_restore
        flags_restore VCPU_EAX(%r15)
        jmp     bt_indirect
1:      registers_restore
        flags_restore VCPU_EAX(%r15)
        jmp     bt_callout

/*
 * INT n to CPL 0, in a context and through a gate it went through before. r9: struct callout *;
 * r11d: the vector; vcpu.eip: of the next instruction. The frame lies in one page.
 */
        .globl  bt_int
        .type   bt_int, @function
bt_int:
        registers_save
        mov     VCPU_EFLAGS(%r15), %edx
        test    $FLAG_NT, %edx
        jnz     kept_unusual
        mov     %r11d, %esi
        and     $7, %esi
        shl     $6, %esi
        lea     TC_INTS(%r15,%rsi), %rsi
        mov     TC_CONTEXT(%r15), %ecx
        or      $CONTEXT_MAP, %ecx
        cmp     %ecx, INT_FROM(%rsi)
        jne     kept_unusual
        cmp     %r11d, INT_VECTOR(%rsi)
        jne     kept_unusual
        mov     INT_PAGE(%rsi), %ecx
        shl     $3, %rcx
        add     VCPU_SHADOW_SYSTEM(%r15), %rcx
        mov     (%rcx), %rcx
        add     INT_MINUS_SPTE(%rsi), %rcx
        jne     kept_unusual
        mov     INT_GATE(%rsi), %rcx
        mov     (%rcx), %rcx
        add     INT_MINUS_GATE(%rsi), %rcx
        jne     kept_unusual
        movzbl  %ah, %ecx
        or      %ecx, %edx
        flags_as_pushed %al, %edx
        movzwl  INT_CS(%rsi), %r9d
        or      $(SEG_KEY_VALID | SEG_KEY_CODE), %r9d
        find_segment
        jne     kept_unusual
        cmpb    $0, VCPU_CPL(%r15)
        je      int_same
        mov     %r10, TC_SCRATCH+16(%r15)
        cmpl    $0, TC_FPU_CPL(%r15)
        je      kept_unusual
        mov     VCPU_TR(%r15), %ebx      /* SS0:ESP0 */
        add     $4, %ebx
        test    $3, %bl
        jnz     kept_unusual
        mov     %ebx, %ecx
        and     $0xfff, %ecx
        cmp     $0xff8, %ecx
        ja      kept_unusual
        mov     %ebx, %ecx
        shr     $12, %ecx
        shl     $3, %rcx
        add     VCPU_SHADOW_SYSTEM(%r15), %rcx
        mov     (%rcx), %rcx
        test    %rcx, %rcx
        jle     kept_unusual
        add     %rbx, %rcx
        mov     (%rcx), %ebx
        movzwl  4(%rcx), %r9d
        cmp     %r9w, INT_SS(%rsi)
        jne     kept_unusual
        or      $(SEG_KEY_VALID | SEG_KEY_SS | SEG_KEY_STACK32), %r9d
        find_segment
        jne     kept_unusual
        mov     VCPU_SHADOW_SYSTEM(%r15), %r11
        sub     $20, %ebx
        int_frame %ebx, %r11, 20
        jne     kept_unusual
        mov     %r8d, 12(%rcx)
        movzwl  VCPU_SS+SEGMENT_SELECTOR(%r15), %r9d
        mov     %r9d, 16(%rcx)
        copy_segment VCPU_SS(%r15)
        movb    $0, VCPU_CPL(%r15)
        mov     %r11, VCPU_SHADOW(%r15)
        lea     SHADOW_BIAS(%r11), %r14
        mov     TC_SCRATCH+16(%r15), %r10
        jmp     int_commit

int_same:
        lea     -12(%r8), %ebx
        lea     -SHADOW_BIAS(%r14), %r11
        int_frame %ebx, %r11, 12
        jne     kept_unusual
int_commit:
        count   MEMO_INT
        mov     %ebx, %r8d
        mov     VCPU_EIP(%r15), %r9d
        mov     %r9d, (%rcx)
        movzwl  VCPU_CS+SEGMENT_SELECTOR(%r15), %r9d
        mov     %r9d, 4(%rcx)
        mov     %edx, 8(%rcx)
        copy_segment VCPU_CS(%r15)
        cmpl    $0, INT_TRAP(%rsi)
        jne     1f
        movb    $0, VCPU_INT_FLAG(%r15)
1:      mov     INT_EIP(%rsi), %r9d
        mov     INT_TO(%rsi), %r11d
        cmp     %r11d, TC_CONTEXT(%r15)
        je      2f
        enter_context
2:      mov     TC_SCRATCH(%r15), %eax
        registers_restore
        flags_restore VCPU_EAX(%r15)
        jmp     bt_indirect

        .globl  bt_memo_end
bt_memo_end:

        .section .note.GNU-stack, "", @progbits
