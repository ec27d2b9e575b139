/*
 * The price list's guest: entry, the ways into a row and back, traps. A row is run by struct
 * job (layout.h), at DATA32 or in segment DATA16. A fault adds job.skip to EIP: its price is
 * that of the fault and of this handler.
 */
#include "bench/prices/layout.h"
        .equ    JOB, DATA32 + OFF_JOB
        .equ    JOB16, OFF_JOB

        .section .multiboot, "a"
        .balign 4
        .long   0x1badb002, 3, -(0x1badb002 + 3)
        .globl  start
        .text
start:  movl    $boot_stack_end, %esp
        pushl   $0
        popfl
        cld
        pushl   %ebx
        pushl   %eax
        call    prices_main
1:      hlt
        jmp     1b

/* void load_tables(void): GDT at its place, IDT, TSS. */
        .globl  load_tables
load_tables:
        lgdt    gdt_pointer
        lidt    idt_pointer
        ljmp    $SEL_CODE, $1f
1:      call    flat_data
        movl    $SEL_TSS, %eax
        ltr     %ax
        ret

flat_data:
        movl    $SEL_DATA, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    %eax, %fs
        movl    %eax, %gs
        ret

/* ---- Into a row ---- */

/* x87 as fpu.c says, or MMX; XMM; then the row's registers and its code. */
.macro stub job, sixteen
        fninit
        movups  \job + J_LANES, %xmm0
        movaps  %xmm0, %xmm1
        movaps  %xmm0, %xmm2
        movaps  %xmm0, %xmm3
        movaps  %xmm0, %xmm4
        movaps  %xmm0, %xmm5
        movaps  %xmm0, %xmm6
        movaps  %xmm0, %xmm7
        cmpb    $PRICE_MMX, \job + J_UNIT
        je      1f
        flds    \job + J_FIFTH
        fld     %st(0)
        fld1
        fldz
        fld1
        jmp     2f
1:      movq    \job + J_LANES, %mm0
        movq    %mm0, %mm1
        movq    %mm0, %mm2
        movq    %mm0, %mm3
        movq    %mm0, %mm4
        movq    %mm0, %mm5
        movq    %mm0, %mm6
        movq    %mm0, %mm7
2:      movl    %esp, \job + J_STUB_ESP
        cmpb    $0, \job + J_DF
        je      3f
        std
3:      rdtsc
        movl    %eax, \job + J_START
        movl    %edx, \job + J_START + 4
        movl    \job + J_REGS, %eax
        movl    \job + J_REGS + 4, %ecx
        movl    \job + J_REGS + 8, %edx
        movl    \job + J_REGS + 12, %ebx
        movl    \job + J_REGS + 16, %esp
        movl    \job + J_REGS + 20, %ebp
        movl    \job + J_REGS + 24, %esi
        movl    \job + J_REGS + 28, %edi
        .if     \sixteen
        lcall   *\job + J_CODE
        .else
        call    *\job + J_CODE
        .endif
        rdtsc
        movl    %eax, \job + J_END
        movl    %edx, \job + J_END + 4
        movl    \job + J_STUB_ESP, %esp
.endm

/* u32 *run_flat(void), run_ring3, run_real, run_v86: the job's row, all registers kept. */
        .globl  run_flat, run_ring3, run_real, run_v86, trap_leave
run_flat:
        pushal
        movl    %esp, JOB + J_SAVED
        call    row32
trap_leave:                             /* from ring 3 or V86 */
back:   movl    %ss:JOB + J_SAVED, %esp
        call    flat_data
        popal
        cld
        ret

run_ring3:
        pushal
        movl    %esp, JOB + J_SAVED
        pushl   $SEL_USER_DATA
        pushl   $(DATA32 + OFF_STUB_STACK)
        pushl   $2
        pushl   $SEL_USER_CODE
        pushl   $row_user
        movl    $SEL_USER_DATA, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %fs
        movl    %eax, %gs
        iret

run_v86:
        pushal
        movl    %esp, JOB + J_SAVED
        movl    $(DATA16 >> 4), %eax
        pushl   %eax                    /* GS FS DS ES SS ESP EFLAGS CS EIP */
        pushl   %eax
        pushl   %eax
        pushl   %eax
        pushl   %eax
        pushl   $OFF_STUB_STACK
        pushl   $0x20002
        pushl   $(STUB16 >> 4)
        pushl   $(row16 - stub16_begin)
        iret

run_real:
        pushal
        movl    %esp, JOB + J_SAVED
        ljmp    $SEL_CODE16, $(to_real - stub16_begin)
from_real:
        movl    $SEL_DATA, %eax
        movl    %eax, %ss
        lidt    %ss:idt_pointer
        jmp     back

        .section .user, "ax"
row_user:
        call    row32
        int     $0x81
row32:  stub    JOB, 0
        ret

/* ---- Traps ---- */

        .text
        .globl  traps, trap_int, trap_sysenter
trap_int:
        iret
trap_sysenter:                          /* the caller left EIP in EDX and ESP in ECX */
        cmpl    $0, user_mode
        je      1f
        sysexit
1:      movl    %ecx, %esp
        jmp     *%edx

        .pushsection .data.traps, "aw"
traps:
        .popsection
        .set    vector, 0
        .rept   32
1:      .if     vector == 8 || (vector >= 10 && vector <= 14) || vector == 17
        addl    $4, %esp
        .endif
        .if     vector == 13
        cmpl    $(STUB16 >> 4), 4(%esp) /* V86's HLT: the row is done */
        je      trap_leave
        .endif
        movl    $vector, %ss:JOB + J_TRAP
        pushl   %eax
        movl    %ss:JOB + J_SKIP, %eax
        addl    %eax, 4(%esp)
        popl    %eax
        iret
        .pushsection .data.traps, "aw"
        .long   1b
        .popsection
        .set    vector, vector + 1
        .endr

/* ---- 16-bit code, copied to STUB16 ---- */

        .section .stub16, "ax"
        .code16
        .globl  stub16_begin, stub16_end, row16, trap16, trap16_int
stub16_begin:
to_real:
        movw    $SEL_DATA16, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    %ax, %fs
        movw    %ax, %gs
        lidtl   %cs:real_idt - stub16_begin
        movl    %cr0, %eax
        andb    $0xfe, %al
        movl    %eax, %cr0
        ljmp    $(STUB16 >> 4), $(1f - stub16_begin)
1:      movw    $(DATA16 >> 4), %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    %ax, %fs
        movw    %ax, %gs
        movl    $OFF_STUB_STACK, %esp
row16:  stub    JOB16, 1
        cmpb    $0, JOB16 + J_V86
        je      1f
        hlt
1:      cli
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        ljmpl   $SEL_CODE, $from_real
real_idt:
        .word   0x3ff
        .long   0

/* Real mode's traps: vector n at trap16 + 32 * n. */
        .balign 32
        .set    vector, 0
trap16:
        .rept   32
        pushw   %ds
        pushw   %bp
        pushl   %eax
        movw    $(DATA16 >> 4), %ax
        movw    %ax, %ds
        movb    $vector, JOB16 + J_TRAP
        movw    %sp, %bp
        movw    JOB16 + J_SKIP, %ax
        addw    %ax, 8(%bp)
        popl    %eax
        popw    %bp
        popw    %ds
        iret
        .balign 32
        .set    vector, vector + 1
        .endr
trap16_int:
        iret
stub16_end:

        .code32
        .data
        .globl  idt, gdt_pointer, user_mode
user_mode:
        .long   0
gdt_pointer:
        .word   63
        .long   DATA32 + OFF_GDT
idt_pointer:
        .word   256 * 8 - 1
        .long   idt

        .section .rows, "a"
        .globl  rows, rows_end
        .balign 16
rows:   .incbin PRICE_ROWS
rows_end:
        .section .code, "ax"
        .globl  code, code_end
code:   .incbin PRICE_CODE
code_end:

        .bss
        .balign 4096
idt:    .skip   256 * 8
        .skip   8192
boot_stack_end:
        .section .note.GNU-stack, "", @progbits
