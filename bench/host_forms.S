/*
 * One loop of 15 instructions, 6 of them memory, by the way guest addresses become host ones.
 * The guest's registers are the host's of the same name; R8-R15 are the monitor's, as in
 * bt/regs.h: R12 = 12, R14 the table, R13 the TLB. R15 counts.
 */
        .text

/* mem FORM, OP, REG, STORE, ADDRESS: OP between REG and memory at the 32-bit ADDRESS. */
.macro mem form, op, reg, store, address:vararg
        mem_\form \op, \reg, \store, \address
.endm
.macro access op, reg, store, place:vararg
        .if     \store
        \op     \reg, \place
        .else
        \op     \place, \reg
        .endif
.endm
.macro mem_plain op, reg, store, address:vararg
        access  \op, \reg, \store, \address
.endm
.macro mem_mapped op, reg, store, address:vararg
        access  \op, \reg, \store, %gs:\address
.endm
.macro spte address:vararg
        leal    \address, %r9d
        shrx    %r12d, %r9d, %r10d
        movq    (%r14, %r10, 8), %r10
.endm
.macro mem_table op, reg, store, address:vararg
        spte    \address
        access  \op, \reg, \store, (%r10, %r9)
.endm
.macro mem_crossing op, reg, store, address:vararg
        spte    \address
        movl    %r9d, %r11d
        andl    $0xfff, %r11d
        cmpl    $0xffc, %r11d
        ja      slow
        access  \op, \reg, \store, (%r10, %r9)
.endm
/* Ours: an address that is not aligned becomes non-canonical, so AC need not be set. R8 =
 * 62. */
.macro mem_aligned op, reg, store, address:vararg
        spte    \address
        shlxq   %r8, %r9, %r11
        leaq    (%r11, %r9), %r11
        access  \op, \reg, \store, (%r10, %r11)
.endm
/* Ours for misaligned operands: the sptes of the first and the last byte are equal. */
.macro mem_both_sptes op, reg, store, address:vararg
        spte    \address
        leal    3(%r9), %r11d
        shrx    %r12d, %r11d, %r11d
        movq    (%r14, %r11, 8), %r11
        notq    %r11
        leaq    1(%r11, %r10), %r11
        movq    %rcx, %r13
        movq    %r11, %rcx
        jrcxz   9f
        movq    %r13, %rcx
        jmp     slow
9:      movq    %r13, %rcx
        access  \op, \reg, \store, (%r10, %r9)
.endm
/* Spte and alignment are tested first: no flags touched. */
.macro mem_checked op, reg, store, address:vararg
        spte    \address
        leaq    -1(%r10), %r8
        rorxq   $48, %r8, %r8
        movzwl  %r8w, %r8d
        movl    $3, %r11d
        pextl   %r11d, %r9d, %r11d
        leaq    (%r11, %r8), %r11
        xchgq   %rcx, %r11
        jrcxz   9f
        xchgq   %rcx, %r11
        jmp     slow
9:      movq    %r11, %rcx
        access  \op, \reg, \store, (%r10, %r9)
.endm
/* The same with moves around JRCXZ, which keep RCX out of the chain. */
.macro mem_checked_mov op, reg, store, address:vararg
        spte    \address
        leaq    -1(%r10), %r8
        rorxq   $48, %r8, %r8
        movzwl  %r8w, %r8d
        movl    $3, %r11d
        pextl   %r11d, %r9d, %r11d
        leaq    (%r11, %r8), %r11
        movq    %rcx, %r8
        movq    %r11, %rcx
        jrcxz   9f
        movq    %r8, %rcx
        jmp     slow
9:      movq    %r8, %rcx
        access  \op, \reg, \store, (%r10, %r9)
.endm
/* For misaligned operands: VPMASKMOVD never raises #AC; the end of a page is checked. XMM9 =
 * one dword. */
.macro mem_masked op, reg, store, address:vararg
        spte    \address
        movl    $0xffc, %r11d
        pextl   %r11d, %r9d, %r11d
        leal    1(%r11), %r11d
        rorxl   $10, %r11d, %r11d
        movzbl  %r11b, %r11d
        movq    %rcx, %r8
        movq    %r11, %rcx
        jrcxz   9f
        movq    %r8, %rcx
        jmp     slow
9:      movq    %r8, %rcx
        .if     \store
        vmovd   \reg, %xmm8
        vpmaskmovd %xmm8, %xmm9, (%r10, %r9)
        .else
        vpmaskmovd (%r10, %r9), %xmm9, %xmm8
        vmovd   %xmm8, %r11d
        \op     %r11d, \reg
        .endif
.endm
.macro mem_qemu op, reg, store, address:vararg
        leal    \address, %r9d
        movl    %r9d, %r10d
        shrl    $7, %r10d
        andl    $0x1fe0, %r10d
        addq    %r13, %r10
        leal    3(%r9), %r11d
        andl    $0xfffff000, %r11d
        cmpl    (%r10), %r11d
        jne     slow
        addq    24(%r10), %r9
        access  \op, \reg, \store, (%r9)
.endm

.macro guest_loop form, ebx, esi, edi, ecx
1:      mem     \form, movl, %eax, 0, 4(\esi, \ecx, 4)
        mem     \form, addl, %eax, 0, (\esi, \ecx, 4)
        mem     \form, movl, %edx, 0, (\edi, \ecx, 4)
        xorl    %eax, %edx
        leal    8(%esi), %ebx
        mem     \form, movl, %edx, 1, (\ebx, \ecx, 4)
        shrl    $3, %edx
        mem     \form, addl, %edx, 0, 16(\ebx, \ecx, 4)
        incl    %eax
        mem     \form, movl, %edx, 1, 4(\edi, \ecx, 4)
        incl    %ecx
        andl    $511, %ecx
        leal    (%eax, %edx), %eax
        decl    %r15d
        jnz     1b
.endm

.macro prologue
        pushq   %rbx
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        movl    %esi, %r15d
        movq    (%rdi), %r14
        movq    8(%rdi), %r13
        movl    16(%rdi), %esi
        movl    20(%rdi), %edi
        movl    $12, %r12d
        movl    $62, %r8d
        movl    $-1, %eax
        vmovd   %eax, %xmm9
        xorl    %ecx, %ecx
        xorl    %eax, %eax
.endm

.macro set_ac op, val
        pushfq
        \op     $\val, (%rsp)
        popfq
.endm

.macro function name, form, regs:vararg
        .globl  \name
        .balign 64
\name:  prologue
        guest_loop \form, \regs
        jmp     finish
.endm
        function form_plain, plain, %rbx, %rsi, %rdi, %rcx
        function form_mapped, mapped, %ebx, %esi, %edi, %ecx
        function form_table, table, %rbx, %rsi, %rdi, %rcx
        function form_table_crossing, crossing, %rbx, %rsi, %rdi, %rcx
        function form_aligned, aligned, %rbx, %rsi, %rdi, %rcx
        function form_both_sptes, both_sptes, %rbx, %rsi, %rdi, %rcx
        function form_checked, checked, %rbx, %rsi, %rdi, %rcx
        function form_qemu, qemu, %rbx, %rsi, %rdi, %rcx

        function form_checked_mov, checked_mov, %rbx, %rsi, %rdi, %rcx
        function form_masked, masked, %rbx, %rsi, %rdi, %rcx

        .globl  form_table_ac
        .balign 64
form_table_ac:
        prologue
        set_ac  orl, 0x40000
        guest_loop table, %rbx, %rsi, %rdi, %rcx
        set_ac  andl, 0xfffbffff
finish: popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        ret
slow:   ud2

/* ---- To 32-bit code and back: lcall *(rdi) n times, on the low stack ---- */

        .globl  far_calls, far_target, far_calls_end
far_calls:
        pushq   %rbx
        movq    %rsp, %rbx
        movq    %rsi, %rsp
1:      lcall   *(%rdi)
        decl    %edx
        jnz     1b
        movq    %rbx, %rsp
        popq    %rbx
        ret
far_target:
        .byte   0xcb                    /* lret, in 32-bit code */
far_calls_end:
        .section .note.GNU-stack, "", @progbits
