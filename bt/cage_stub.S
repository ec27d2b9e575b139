/*
 * The program of a cage (cage_process.c), as the file that the host executes: an ELF header and
 * 70 bytes of code that runs the host's calls that ring3 has written down for it, on a page that
 * it can only read. It has no stack, no data, and no library.
 *
 *   CAGE_STUB              this, to read and execute
 *   CAGE_STUB + 64 KiB     the calls: how many; from 64 on, 64 bytes each: number, six arguments
 *
 * Or it loads its flags from there. It stops by INT3: with 0 in rax, or with a call's error and in r12 how many were left.
 */
#include "bt/cage_stub.h"

        .section .rodata
        .balign 4096
        .globl  cage_elf, cage_elf_end
cage_elf:
        .byte   0x7f, 'E', 'L', 'F', 2, 1, 1, 0
        .fill   8, 1, 0
        .short  2, 62                   /* ET_EXEC, EM_X86_64 */
        .long   1
        .quad   CAGE_STUB + (cage_begin - cage_elf)
        .quad   64, 0                   /* where the program headers are; no sections */
        .long   0
        .short  64, 56, 2, 64, 0, 0
        .long   1, 5                    /* PT_LOAD, to read and execute */
        .quad   0, CAGE_STUB, CAGE_STUB
        .quad   cage_elf_end - cage_elf, cage_elf_end - cage_elf
        .quad   4096
        .long   0x6474e551, 6           /* PT_GNU_STACK, not to execute: nor is what is readable */
        .quad   0, 0, 0, 0, 0, 16
/* Maps the calls. */
cage_begin:
        mov     $9, %eax                /* mmap */
        movabs  $CAGE_CALLS, %rdi
        mov     $CAGE_CALLS_SIZE, %esi
        mov     $1, %edx                /* PROT_READ */
        mov     $0x11, %r10d            /* MAP_SHARED | MAP_FIXED */
        mov     $CAGE_CALLS_FD, %r8d
        xor     %r9d, %r9d
        syscall
        cmp     $-4095, %rax
        jae     cage_stop
        xor     %eax, %eax
        jmp     cage_stop
        .globl  cage_calls
cage_calls:
        movabs  $CAGE_CALLS, %rbx
        mov     (%rbx), %r12
1:      add     $64, %rbx
        xor     %eax, %eax
        sub     $1, %r12
        jb      cage_stop
        mov     (%rbx), %rax
        mov     8(%rbx), %rdi
        mov     16(%rbx), %rsi
        mov     24(%rbx), %rdx
        mov     32(%rbx), %r10
        mov     40(%rbx), %r8
        mov     48(%rbx), %r9
        syscall
        cmp     $-4095, %rax
        jb      1b
cage_stop:
        int3
        jmp     cage_stop
/* rsp leads to flags among the calls: those that no debugger may set. */
        .globl  cage_flags
cage_flags:
        popfq
        xor     %eax, %eax
        jmp     cage_stop
cage_elf_end:

        .section .note.GNU-stack, "", @progbits
