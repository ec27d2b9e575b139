/*
 * The frame of an instruction test: a file of tests that is a 32-bit Linux program and,
 * unchanged, user code on our bare machine (run.c). Natively first: the host is the oracle.
 *
 *      test NAME               registers are undefined, DF clear, a stack of 16 KiB
 *              …
 *              want %eax, 5            a register or memory dword equals; flags and registers kept
 *              want_flags CF, CF | ZF  flags under the mask equal; kept
 *              faults UD               the next instruction raises this exception…
 *              ud2
 *              faulted                 …here it is checked, EIP too; fault_error, fault_cr2 and
 *                                      fault_esp are set, and ESP is a fresh one
 *      end
 *
 * System calls (int $0x80): exit, write, mmap2 and mprotect at fixed addresses, munmap.
 */
CF = 0x001; PF = 0x004; AF = 0x010; ZF = 0x040; SF = 0x080; TF = 0x100; DF = 0x400; OF = 0x800
AC = 0x40000
ARITH = 0x8d5
DE = 0; DB = 1; BP = 3; OV = 4; BR = 5; UD = 6; GP = 13; PGF = 14; ALIGN = 17

/* The page that tests map and unmap as they like, with nothing around it. */
PAGE = 0x20000000
PAGE_END = 0x20001000

        .section .bss
        .balign 16
        .skip   16384
stack_top:
        .skip   16384
signal_stack_top:

        .section .data
        .balign 4
/* What run.c fills in our machine, and signal_handler natively: same layout. */
fault_block:
fault_resume:   .long 0         /* where an exception goes on; 0: it is unexpected */
fault_unexpected: .long unexpected
fault_trap:     .long 0
fault_error:    .long 0
fault_cr2:      .long 0
fault_eip:      .long 0
fault_esp:      .long 0
fault_eflags:   .long 0
fault_stack:    .long stack_top - 2048 /* ESP afterwards */
step_log:       .long 0         /* #DB traps store EIP here and go on, while not 0 */
current_test:   .long 0
checks:         .long 0
failures:       .long 0
passes:         .long 0
test_failed:    .long 0
saved:          .long 0, 0, 0

        .section .text
        .globl  _start
_start: mov     $stack_top, %esp
        mov     $0x1000, %eax           /* run.c: here is the block; natively no such call */
        mov     $fault_block, %ebx
        int     $0x80
        call    install_handlers
        mov     $__start_tests, %eax
        mov     %eax, current_test
next_test:
        mov     current_test, %eax
        cmp     $__stop_tests, %eax
        jae     all_done
        movl    $0, checks
        movl    $0, test_failed
        movl    $0, fault_resume
        movl    $0, step_log
        mov     $stack_top, %esp
        cld
        jmp     *4(%eax)
test_end:
        pushf
        andl    $~(TF | AC), (%esp)
        popf
        cmpl    $0, test_failed
        jne     1f
        incl    passes
        jmp     2f
1:      incl    failures
2:      addl    $8, current_test
        jmp     next_test
all_done:
        mov     passes, %eax
        call    print_decimal
        mov     $text_passed, %eax
        call    print
        mov     failures, %eax
        call    print_decimal
        mov     $text_failed, %eax
        call    print
        mov     $1, %eax
        xor     %ebx, %ebx
        cmpl    $0, failures
        setne   %bl
        int     $0x80

text_passed:    .asciz " passed, "
text_failed:    .asciz " failed\n"
text_fail:      .asciz "FAIL "
text_check:     .asciz ": check "
text_got:       .asciz ": got "
text_want:      .asciz ", want "
text_newline:   .asciz "\n"
text_unexpected: .asciz ": unexpected exception "
text_at:        .asciz " at "

/* EAX: text. All registers kept, flags not. */
print:  pusha
        mov     %eax, %ecx
        xor     %edx, %edx
1:      cmpb    $0, (%ecx,%edx)
        je      2f
        inc     %edx
        jmp     1b
2:      mov     $4, %eax
        mov     $1, %ebx
        int     $0x80
        popa
        ret
print_hex:
        pusha
        mov     $hex_end, %edi
        mov     $8, %ecx
1:      mov     %eax, %edx
        and     $15, %edx
        mov     hex_digits(%edx), %dl
        dec     %edi
        mov     %dl, (%edi)
        shr     $4, %eax
        loop    1b
        mov     %edi, %eax
        call    print
        popa
        ret
print_decimal:
        pusha
        mov     $hex_end, %edi
        mov     $10, %ecx
1:      xor     %edx, %edx
        div     %ecx
        add     $'0', %dl
        dec     %edi
        mov     %dl, (%edi)
        test    %eax, %eax
        jnz     1b
        mov     %edi, %eax
        call    print
        popa
        ret
print_test:
        push    %eax
        mov     $text_fail, %eax
        call    print
        mov     current_test, %eax
        mov     (%eax), %eax
        call    print
        pop     %eax
        ret
hex_digits: .ascii "0123456789abcdef"
        .section .data
        .skip   12
hex_end: .byte  0
        .section .text

/* Stack: want, got, return address; pops the two. Registers and flags kept. */
check_value:
        pushf
        push    %eax
        incl    checks
        mov     12(%esp), %eax          /* got */
        cmp     16(%esp), %eax
        je      1f
        incl    test_failed
        call    print_test
        mov     $text_check, %eax
        call    print
        mov     checks, %eax
        call    print_decimal
        mov     $text_got, %eax
        call    print
        mov     12(%esp), %eax
        call    print_hex
        mov     $text_want, %eax
        call    print
        mov     16(%esp), %eax
        call    print_hex
        mov     $text_newline, %eax
        call    print
1:      pop     %eax
        popf
        ret     $8

unexpected:
        mov     $stack_top, %esp
        pushf
        andl    $~(TF | AC | DF), (%esp)
        popf
        incl    test_failed
        call    print_test
        mov     $text_unexpected, %eax
        call    print
        mov     fault_trap, %eax
        call    print_decimal
        mov     $text_at, %eax
        call    print
        mov     fault_eip, %eax
        call    print_hex
        mov     $text_newline, %eax
        call    print
        jmp     test_end

/* ---- Natively: signals ---- */
install_handlers:
        mov     $186, %eax              /* sigaltstack */
        mov     $alternate_stack, %ebx
        xor     %ecx, %ecx
        int     $0x80
        mov     $signals, %edi
1:      movzbl  (%edi), %ebx
        test    %ebx, %ebx
        jz      2f
        mov     $174, %eax              /* rt_sigaction */
        mov     $action, %ecx
        xor     %edx, %edx
        mov     $8, %esi
        int     $0x80
        inc     %edi
        jmp     1b
2:      ret
signals: .byte  4, 5, 7, 8, 11, 0       /* ILL TRAP BUS FPE SEGV */
        .balign 4
alternate_stack: .long signal_stack_top - 16384, 0, 16384
action: .long   signal_handler, 0x0c000004, signal_return, 0, 0 /* SIGINFO ONSTACK RESTORER */
signal_return:
        mov     $173, %eax
        int     $0x80

/* (sig, info, ucontext); offsets into ucontext's sigcontext at 20. */
signal_handler:
        pushf
        andl    $~AC, (%esp)
        popf
        mov     12(%esp), %ecx
        mov     68(%ecx), %eax
        cmp     $DB, %eax
        jne     1f
        mov     step_log, %edx
        test    %edx, %edx
        jz      1f
        mov     76(%ecx), %eax          /* a step: note where, go on */
        mov     %eax, (%edx)
        addl    $4, step_log
        ret
1:      mov     %eax, fault_trap
        mov     72(%ecx), %eax
        mov     %eax, fault_error
        mov     104(%ecx), %eax
        mov     %eax, fault_cr2
        mov     76(%ecx), %eax
        mov     %eax, fault_eip
        mov     48(%ecx), %eax
        mov     %eax, fault_esp
        mov     84(%ecx), %eax
        mov     %eax, fault_eflags
        mov     fault_resume, %eax
        movl    $0, fault_resume
        mov     fault_stack, %edx
        mov     %edx, 48(%ecx)
        test    %eax, %eax
        jnz     2f
        mov     fault_unexpected, %eax
2:      mov     %eax, 76(%ecx)
        ret

/* ---- Macros ---- */

        .macro  test name
        .section .rodata
800:    .asciz  "\name"
        .section tests, "a"
        .long   800b, 801f
        .section .text
801:
        .endm

        .macro  end
        jmp     test_end
        .endm

        .macro  want got, value:vararg  /* got: without blanks */
        movl    %eax, saved
        mov     \got, %eax
        mov     %eax, saved + 4
        movl    saved, %eax
        pushl   $\value
        pushl   saved + 4
        call    check_value
        .endm

        .macro  want_flags value, mask:vararg   /* value: without blanks */
        pushf
        pushf
        pushl   %eax
        mov     4(%esp), %eax
        mov     %eax, saved + 4
        popl    %eax
        andl    $(\mask), saved + 4     /* flags are on the stack */
        add     $4, %esp
        pushl   $(\value)
        pushl   saved + 4
        call    check_value
        popf
        .endm

        .macro  faults trap
        expected = \trap
        movl    $803f, fault_resume
802:
        .endm

        .macro  faulted
        movl    $-1, fault_trap         /* no exception came */
        movl    $802b, fault_eip
803:    want    fault_trap, expected
        want    fault_eip, 802b
        .endm

        .macro  syscall number, a=0, b=0, c=0, d=0
        mov     $\number, %eax
        mov     $\a, %ebx
        mov     $\b, %ecx
        mov     $\c, %edx
        mov     $\d, %esi
        mov     $-1, %edi
        xor     %ebp, %ebp
        int     $0x80
        .endm
        .macro  map address, size       /* fresh zeroes, all access */
        syscall 192, \address, \size, 7, 0x32 /* PRIVATE FIXED ANONYMOUS */
        .endm
        .macro  protect address, size, access /* 0 none, 1 read, 7 all */
        syscall 125, \address, \size, \access
        .endm
        .macro  unmap address, size
        syscall 91, \address, \size
        .endm
