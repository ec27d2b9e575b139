/*
 * Entry, tables, interrupts, and the way to ring 3 and back. An interrupt may come anywhere in
 * work.c: with DF set, on a stack that is misaligned, in ring 3.
 */
        .section .multiboot, "a"
        .balign 4
        .long   0x1badb002, 3, -(0x1badb002 + 3)

        .text
        .globl  start
start:  movl    $boot_stack_end, %esp
        pushl   $0
        popfl
        cld
        pushl   %ebx
        pushl   %eax
        call    flush_main
1:      hlt
        jmp     1b

        .globl  load_tables
load_tables:
        movl    $tss, %eax
        movw    %ax, gdt + 0x28 + 2
        shrl    $16, %eax
        movb    %al, gdt + 0x28 + 4
        movb    %ah, gdt + 0x28 + 7
        lgdt    gdt_pointer
        lidt    idt_pointer
        ljmp    $0x08, $1f
1:      movl    $0x10, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    %eax, %fs
        movl    %eax, %gs
        movl    $0x28, %eax
        ltr     %ax
        ret

/* ---- Interrupts ---- */

.macro interrupt name, handler
        .globl  \name
\name:  pushal
        cld
        call    \handler
        popal
        iret
.endm
        interrupt irq_clock, on_clock
        interrupt irq_disk0, on_disk0
        interrupt irq_disk1, on_disk1

/* Exceptions 0-31, eight bytes each: none is expected. The error code, if any, is among the
 * words shown. */
        .globl  exceptions
        .balign 8
exceptions:
        .set    vector, 0
        .rept   32
        .balign 8
        pushl   $vector
        jmp     1f
        .set    vector, vector + 1
        .endr
1:      cld
        movl    %esp, %eax
        pushl   %eax
        call    on_exception

/* ---- Ring 3 ---- */

/* u32 run_user(u32 (*function)(u32), u32 argument): calls it there; it comes back by INT
 * 80h. */
        .globl  run_user
run_user:
        movl    4(%esp), %eax
        movl    8(%esp), %edx
        pushl   %ebx
        pushl   %esi
        pushl   %edi
        pushl   %ebp
        movl    %esp, tss + 4
        movl    $0x23, %ecx
        movl    %ecx, %ds
        movl    %ecx, %es
        pushl   $0x23
        pushl   $user_stack_end
        pushl   $0x202
        pushl   $0x1b
        pushl   $1f
        iret
1:      pushl   %edx
        call    *%eax
        int     $0x80

        .globl  trap_leave
trap_leave:
        movl    tss + 4, %esp
        movl    $0x10, %ecx
        movl    %ecx, %ds
        movl    %ecx, %es
        sti
        popl    %ebp
        popl    %edi
        popl    %esi
        popl    %ebx
        ret

        .data
        .balign 8
gdt:    .quad   0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff
        .quad   0x0000890000000067
gdt_pointer:
        .word   47
        .long   gdt
idt_pointer:
        .word   256 * 8 - 1
        .long   idt
        .balign 8
tss:    .long   0, 0, 0x10
        .skip   88
        .word   0, 104                  /* no I/O map */

        .bss
        .globl  idt
        .balign 4096
idt:    .skip   256 * 8
        .balign 16
        .skip   16384
boot_stack_end:
        .skip   8192
user_stack_end:
        .section .note.GNU-stack, "", @progbits
