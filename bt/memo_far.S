/*
 * Memoised far transfers: CALL, RET and JMP to another code segment, and INT n and IRET of real
 * mode, applied as the last time from this context to this selector. What can't be, or anything
 * unusual, is a callout, after which memo_learn_far() notes where it led. See regs.h for the
 * registers.
 */
#include "bt/macros.h"

#define FLAGS_HELD_16 0x7500 /* what IRET of 16 bits does not change here: TF DF IOPL NT */

        .text

/* To selector esi, edx in it. rcx := the entry of fars; r10 := the segment, in protected mode.
 * Changes rax, r9. */
.macro find_far prot
        mov     TC_CONTEXT(%r15), %eax
        mov     %eax, %ecx
        shl     $15, %ecx
        or      %esi, %ecx
        imul    $FAR_HASH, %ecx, %ecx
        shr     $FAR_HASH_SHIFT, %ecx
        shl     $4, %ecx
        lea     TC_FARS(%r15,%rcx), %rcx
        cmp     %eax, FAR_FROM(%rcx)
        jne     bt_kept_unusual
        lea     FAR_VALID(%rsi), %rax
        cmp     %eax, FAR_SELECTOR(%rcx)
        jne     bt_kept_unusual
        .if     \prot
        movzbl  VCPU_CPL(%r15), %r9d
        shl     $16, %r9d
        lea     (%r9,%rsi), %r9d
        or      $(SEG_KEY_VALID | SEG_KEY_CODE), %r9d
        find_segment
        jne     bt_kept_unusual
        cmp     %edx, SEGMENT_MEMO_SEG+4(%r10)
        .else
        cmp     %edx, VCPU_CS+SEGMENT_LIMIT(%r15)
        .endif
        jb      bt_kept_unusual
.endm

/* All is known: there. The flags are in the scratch. */
.macro go_far prot
        count   MEMO_FAR
        .if     \prot
        copy_segment VCPU_CS(%r15)
        .else
        mov     %si, VCPU_CS+SEGMENT_SELECTOR(%r15)
        shl     $4, %esi
        mov     %esi, VCPU_CS(%r15)
        .endif
        mov     FAR_TO(%rcx), %r11d
        mov     %edx, %r9d
        cmp     %r11d, TC_CONTEXT(%r15)
        je      5f
        enter_context
5:      mov     TC_SCRATCH(%r15), %eax
        registers_restore
        flags_restore VCPU_EAX(%r15)
        jmp     bt_indirect
.endm

/* rbx: an offset in SS; it becomes the host's address of n bytes there: in one page, plain
 * memory, inside the segment, aligned if #AC is possible. r11d: the stack's mask. Changes rax; if they are to be
 * written, rcx, rdx, r9 and r10, too: a code page's bytes that are no code are plain enough. */
.macro frame n, align, table
        mov     %ebx, %eax
        add     $(\n - 1), %eax
        jc      bt_kept_unusual
        cmp     %eax, %r11d
        jb      bt_kept_unusual
        cmp     %eax, VCPU_SS+SEGMENT_LIMIT(%r15)
        jb      bt_kept_unusual
        add     VCPU_SS(%r15), %ebx
        test    $(\align - 1), %bl
        jz      5f
        testl   $FLAG_AC, VCPU_EFLAGS(%r15)
        jnz     bt_kept_unusual
5:      mov     %ebx, %eax
        and     $0xfff, %eax
        cmp     $(0x1000 - \n), %eax
        ja      bt_kept_unusual
        mov     %ebx, %eax
        shr     $12, %eax
        mov     \table*8-SHADOW_BIAS(%r14,%rax,8), %rax
        test    %rax, %rax
        .if     \table == SHADOW_WRITE
        jg      6f
        mov     $\n, %r9d
        look_at_code_map %ebx, %rax, %r9, %r10, bt_kept_unusual
6:
        .else
        jle     bt_kept_unusual
        .endif
        add     %rax, %rbx
.endm

/* SP or ESP := the offset in `reg`. */
.macro set_stack reg
        andn    %r8d, %r11d, %r8d
        or      \reg, %r8d
.endm

/*
 * r9: struct callout *; r11d: the stack's mask. CALL: vcpu.eip is the return address,
 * vcpu.far_eip and far_selector the target; JMP: so they are; RET: vcpu.far_drop is how many
 * bytes go.
 */
.macro far_call n, prot, name
        .globl  \name
        .type   \name, @function
\name:
        registers_save
        lea     -2*\n(%r8), %ebx
        and     %r11d, %ebx
        mov     %ebx, %r13d
        frame   2*\n, \n, SHADOW_WRITE
        mov     TC_FAR_EIP(%r15), %edx
        movzwl  TC_FAR_SELECTOR(%r15), %esi
        find_far \prot
        mov     VCPU_EIP(%r15), %r9d
        movzwl  VCPU_CS+SEGMENT_SELECTOR(%r15), %eax
        .if     \n == 2
        mov     %r9w, (%rbx)
        mov     %ax, 2(%rbx)
        .else
        mov     %r9d, (%rbx)
        mov     %eax, 4(%rbx)
        .endif
        set_stack %r13d
        go_far  \prot
.endm

.macro far_ret n, prot, name
        .globl  \name
        .type   \name, @function
\name:
        registers_save
        mov     %r8d, %ebx
        and     %r11d, %ebx
        frame   2*\n, \n, 0
        .if     \n == 2
        movzwl  (%rbx), %edx
        movzwl  2(%rbx), %esi
        .else
        mov     (%rbx), %edx
        movzwl  4(%rbx), %esi
        .endif
        find_far \prot
        mov     TC_FAR_DROP(%r15), %ebx
        add     %r8d, %ebx
        and     %r11d, %ebx
        set_stack %ebx
        go_far  \prot
.endm

.macro far_jmp prot, name
        .globl  \name
        .type   \name, @function
\name:
        registers_save
        mov     TC_FAR_EIP(%r15), %edx
        movzwl  TC_FAR_SELECTOR(%r15), %esi
        find_far \prot
        go_far  \prot
.endm

        far_call 2, 0, bt_far_call
        far_ret  2, 0, bt_far_ret
        far_jmp  0, bt_far_jmp
        far_call 4, 0, bt_far_call_wide
        far_ret  4, 0, bt_far_ret_wide
        far_call 2, 1, bt_far_call_prot
        far_ret  2, 1, bt_far_ret_prot
        far_jmp  1, bt_far_jmp_prot
        far_call 4, 1, bt_far_call_prot_wide
        far_ret  4, 1, bt_far_ret_prot_wide

/* INT n of real mode. r9: struct callout *; r11d: the vector; vcpu.eip: of the next
 * instruction. */
        .globl  bt_int_real
        .type   bt_int_real, @function
bt_int_real:
        registers_save
        testl   $FLAG_AC, VCPU_EFLAGS(%r15)
        jnz     bt_kept_unusual
        mov     %r11d, %esi
        mov     $0xffff, %r11d
        lea     -6(%r8), %ebx
        and     %r11d, %ebx
        mov     %ebx, %r13d
        frame   6, 2, SHADOW_WRITE
        lea     3(,%rsi,4), %ecx
        movzwl  VCPU_IDTR_LIMIT(%r15), %eax
        cmp     %eax, %ecx
        ja      bt_kept_unusual
        mov     VCPU_IDTR_BASE(%r15), %ecx
        test    $3, %cl
        jnz     bt_kept_unusual
        lea     (%rcx,%rsi,4), %ecx
        mov     %ecx, %eax
        shr     $12, %eax
        mov     -SHADOW_BIAS(%r14,%rax,8), %rax
        test    %rax, %rax
        jle     bt_kept_unusual
        movzwl  (%rax,%rcx), %edx
        movzwl  2(%rax,%rcx), %esi
        movzbl  TC_SCRATCH+1(%r15), %r9d
        flags_as_pushed TC_SCRATCH(%r15), %r9d
        or      VCPU_EFLAGS(%r15), %r9d
        find_far 0
        mov     %r9w, 4(%rbx)
        movzwl  VCPU_CS+SEGMENT_SELECTOR(%r15), %eax
        mov     %ax, 2(%rbx)
        mov     VCPU_EIP(%r15), %eax
        mov     %ax, (%rbx)
        movb    $0, VCPU_INT_FLAG(%r15)
        set_stack %r13d
        go_far  0

/* IRET to the level it is at, of operands of n bytes: of real mode, of V86 at an IOPL of 3 (16 bits), of
 * protected mode. r9: struct callout *; r11d: the stack's mask. */
.macro iret_same n, prot, held, name
        .globl  \name
        .type   \name, @function
\name:
        registers_save
        mov     VCPU_INT_FLAG(%r15), %ecx
        and     $0xff000000, %ecx       /* NMI blocked */
        jnz     bt_kept_unusual
        .if     \prot
        testl   $FLAG_NT, VCPU_EFLAGS(%r15)
        jnz     bt_kept_unusual
        .endif
        mov     %r8d, %ebx
        and     %r11d, %ebx
        frame   3*\n, \n, 0
        .if     \n == 2
        movzwl  (%rbx), %edx
        movzwl  2(%rbx), %esi
        movzwl  4(%rbx), %r13d
        .else
        mov     (%rbx), %edx
        movzwl  4(%rbx), %esi
        mov     8(%rbx), %r13d
        .endif
        mov     VCPU_EFLAGS(%r15), %eax
        xor     %r13d, %eax
        test    $\held, %eax
        jnz     bt_kept_unusual
        .if     \prot
        movzbl  VCPU_CPL(%r15), %eax
        shl     $12, %eax
        mov     VCPU_EFLAGS(%r15), %ecx
        and     $FLAG_IOPL, %ecx
        cmp     %ecx, %eax
        jbe     4f
        movzbl  VCPU_INT_FLAG(%r15), %eax /* IF stays */
        shl     $9, %eax
        and     $~0x200, %r13d
        or      %eax, %r13d
4:
        .endif
        mov     %r13d, %eax
        shr     $9, %eax
        test    VCPU_INTR(%r15), %al    /* IF lets an interrupt in that waits */
        jnz     bt_kept_unusual
        find_far \prot
        mov     %r13d, %eax
        shr     $9, %eax
        and     $1, %eax
        mov     %al, VCPU_INT_FLAG(%r15)
        mov     %r13d, %eax
        shr     $11, %eax
        and     $1, %eax
        movzbl  %r13b, %ebx
        shl     $8, %ebx
        or      %ebx, %eax
        mov     %eax, TC_SCRATCH(%r15)
        lea     3*\n(%r8), %ebx
        and     %r11d, %ebx
        set_stack %ebx
        go_far  \prot
.endm

        iret_same 2, 0, FLAGS_HELD_16, bt_iret_real
        iret_same 4, 0, FLAGS_HELD, bt_iret_real_wide
        iret_same 2, 1, FLAGS_HELD_16, bt_iret_prot
        iret_same 4, 1, FLAGS_HELD, bt_iret_prot_wide

        .globl  bt_memo_far_end
bt_memo_far_end:

        .section .note.GNU-stack, "", @progbits
