/*
 * Entry, trap handlers as short as a kernel could have them, the way to ring 3 and back, and
 * the code measured there. User code counts in ESI and ends with INT 81h.
 */
        .section .multiboot, "a"
        .balign 4
        .long   0x1badb002, 3, -(0x1badb002 + 3)
        .globl  start
start:  jmp     1f                      /* at 10000Ch, where a boot sector expects it */

        .text
1:      movl    $boot_stack_end, %esp
        pushl   $0
        popfl
        cld
        movl    %eax, %esi
        movl    $bss_begin, %edi
        movl    $bss_end, %ecx
        subl    %edi, %ecx
        xorl    %eax, %eax
        rep stosb
        pushl   %ebx
        pushl   %esi
        call    nano_main
2:      hlt
        jmp     2b

        .globl  load_tables
load_tables:
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

/* ---- Traps ---- */

        .globl  trap_divide, trap_page, trap_int, trap_leave, trap_sysenter, trap_interrupt, trap_other
trap_divide:                            /* over the two bytes of DIV ECX */
        addl    $2, (%esp)
        iret
trap_page:                              /* over the two bytes of MOV EAX, [EBX] */
        addl    $4, %esp
        addl    $2, (%esp)
        iret
trap_int:
        iret
trap_sysenter:                          /* the caller left EIP in EDX and ESP in ECX */
        sysexit
trap_interrupt:
        movl    $0, 0xfee000b0          /* EOI */
        iret
trap_other:
        movl    %esp, %eax
        pushl   %eax
        call    nano_trap

/* void run_user(void *code, u32 n): to ring 3 with ESI = n, back by INT 81h */
        .globl  run_user
run_user:
        movl    4(%esp), %eax
        movl    8(%esp), %edx
        pushl   %ebx
        pushl   %esi
        pushl   %edi
        pushl   %ebp
        movl    %esp, kernel_esp
        movl    %edx, %esi
        movl    user_fault_address, %ebx
        xorl    %ecx, %ecx
        pushl   $0x23
        pushl   $user_stack_end
        pushl   $2
        pushl   $0x1b
        pushl   %eax
        movl    $0x23, %eax
        movl    %eax, %ds
        movl    %eax, %es
        iret
trap_leave:
        movl    kernel_esp, %esp
        movl    $0x10, %eax
        movl    %eax, %ds
        movl    %eax, %es
        popl    %ebp
        popl    %edi
        popl    %esi
        popl    %ebx
        ret

/* ---- What runs in ring 3 ---- */

        .section .user, "awx"
.macro user_loop name, text:vararg
        .globl  \name
\name:
1:      .rept   8
        \text
        .endr
        decl    %esi
        jnz     1b
        int     $0x81
.endm
.macro sysenter_once
        movl    $2f, %edx
        movl    %esp, %ecx
        sysenter
2:
.endm
        user_loop user_nop, nop
        user_loop user_int, int $0x80
        user_loop user_divide, divl %ecx
        user_loop user_fault, movl (%ebx), %eax
        user_loop user_rdtsc, rdtsc
        user_loop user_sysenter, sysenter_once
        .globl  user_fault_address
user_fault_address:
        .long   0
        .skip   1024
user_stack_end:

/* ---- Tasks: the boot's has selector 28h, the other 30h ---- */

        .text
        .globl  to_other_task, other_task, other_task_stack
to_other_task:
        ljmp    $0x30, $0
        ret
other_task:
        ljmp    $0x28, $0
        jmp     other_task
        .bss
        .skip   256
other_task_stack:

/* ---- Calls ---- */

        .text
        .globl  call_leaf, call_deep, call_sites
        .balign 16
call_leaf:
        ret
        .balign 16
call_deep:                              /* 1024 calls, each from its own place, then all return */
        .rept   1024
        call    1f
        ret
1:
        .endr
        ret
        .balign 16
call_sites:                             /* 1024 calls of one function, each from its own place */
        .rept   1024
        call    call_leaf
        .endr
        ret

        .data
        .balign 8
        .globl  gdt, idt, idt_pointer
gdt:    .quad   0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff, 0, 0
gdt_pointer:
        .word   55
        .long   gdt
idt_pointer:
        .word   256 * 8 - 1
        .long   idt

        .bss
        .balign 4096
idt:    .skip   256 * 8
kernel_esp:
        .skip   4
        .balign 16
        .skip   8192
boot_stack_end:
        .section .note.GNU-stack, "", @progbits
