/* Multiboot header and entry: a stack, then board_main(magic, information). */
        .section .multiboot, "a"
        .balign 4
        .long   0x1badb002, 3, -(0x1badb002 + 3)

        .text
        .globl  start
start:  movl    $stack_end, %esp
        pushl   $0
        popfl
        pushl   %ebx
        pushl   %eax
        call    board_main
1:      hlt
        jmp     1b

        .bss
        .balign 16
        .skip   16384
stack_end:
        .section .note.GNU-stack, "", @progbits
