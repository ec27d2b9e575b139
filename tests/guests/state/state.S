/*
 * A boot sector that tells what it finds: a line "name value" each on port E9, hexadecimal. tests/suites/state.py compares
 * them. The second sector on, which it reads with the firmware's help, is part of it.
 */
        .code16
        .globl  _start
_start: cli
        xor     %cx, %cx
        mov     %cx, %ds
        mov     %cx, %es
        mov     %cx, %ss
        mov     $0x7c00, %sp
        cld
        fnstenv 0x600
        mov     %cr0, %eax
        mov     %eax, 0x620
        fxsave  0x700
        mov     %dl, 0x624
        sti
        ljmp    $0, $1f
1:      mov     $0x0203, %ax            /* three more sectors */
        mov     $0x7e00, %bx
        mov     $0x0002, %cx
        xor     %dx, %dx
        int     $0x13
        jc      9f
        jmp     rows
9:      mov     $'!', %al
        out     %al, $0xe9
        hlt

/* EAX as eight digits. */
hex:    mov     $8, %cx
1:      rol     $4, %eax
        push    %ax
        and     $15, %al
        cmp     $10, %al
        sbb     $0x69, %al
        das
        out     %al, $0xe9
        pop     %ax
        loop    1b
        ret

/* The text at SI, and a blank; SI goes behind it. */
text:   lodsb
        test    %al, %al
        jz      1f
        out     %al, $0xe9
        jmp     text
1:      mov     $' ', %al
        out     %al, $0xe9
        ret
line:   mov     $'\n', %al
        out     %al, $0xe9
        ret

        .org    510
        .word   0xaa55

/* A row is a kind, an index, an address and a name. */
        .macro  row kind index address name
        .ascii  "\kind"
        .byte   \index
        .word   \address
        .asciz  "\name"
        .endm

rows:   mov     $table, %si
next:   lodsw
        test    %al, %al
        jz      memory
        mov     %ax, %bx                /* BL kind, BH index */
        lodsw
        mov     %ax, %dx                /* address */
        push    %dx
        call    text
        pop     %dx
        mov     %dx, %di
        xor     %eax, %eax
        cmp     $'p', %bl               /* a port */
        jne     1f
        in      %dx, %al
        jmp     say
1:      cmp     $'i', %bl               /* an index and its data */
        jne     1f
        mov     %bh, %al
        out     %al, %dx
        inc     %dx
        in      %dx, %al
        jmp     say
1:      cmp     $'t', %bl               /* a timer's status */
        jne     1f
        mov     %bh, %al
        out     %al, $0x43
        in      %dx, %al
        jmp     say
1:      cmp     $'b', %bl               /* memory: a byte, a word, a doubleword */
        jne     1f
        mov     (%di), %al
        jmp     say
1:      cmp     $'w', %bl
        jne     1f
        mov     (%di), %ax
        jmp     say
1:      mov     (%di), %eax
say:    call    hex
        call    line
        jmp     next

/* INT 15, E820: entries one by one. */
memory: xor     %ebx, %ebx
1:      mov     $0xe820, %eax
        mov     $0x534d4150, %edx
        mov     $20, %ecx
        mov     $0x500, %di
        int     $0x15
        jc      done
        mov     $e820, %si
        call    text
        mov     0x500, %eax
        call    hex
        mov     $' ', %al
        out     %al, $0xe9
        mov     0x508, %eax
        call    hex
        mov     $' ', %al
        out     %al, $0xe9
        mov     0x510, %eax
        call    hex
        call    line
        test    %ebx, %ebx
        jnz     1b
done:   mov     $end, %si
        call    text
        call    line
        mov     $0, %al
        out     %al, $0xf4
1:      hlt
        jmp     1b

e820:   .asciz  "e820"
end:    .asciz  "end"
table:
        row     w 0 0x600 fcw
        row     w 0 0x602 fsw
        row     w 0 0x604 ftw
        row     d 0 0x620 cr0
        row     d 0 0x718 mxcsr
        row     b 0 0x624 drive
        row     p 0 0x21 pic1-mask
        row     p 0 0xa1 pic2-mask
        row     p 0 0x4d0 elcr1
        row     p 0 0x4d1 elcr2
        row     t 0xe2 0x40 pit0
        row     t 0xe4 0x41 pit1
        row     t 0xe8 0x42 pit2
        row     p 0 0x64 keyboard-status
        row     p 0 0x92 port92
        row     p 0 0x3f9 com1-ier
        row     p 0 0x3fb com1-lcr
        row     p 0 0x3fc com1-mcr
        row     p 0 0x3cc vga-misc
        row     p 0 0x3c6 dac-mask
        row     i 1 0x3c4 seq1
        row     i 4 0x3c4 seq4
        row     i 5 0x3ce gdc5
        row     i 6 0x3ce gdc6
        row     i 0 0x3d4 crtc0
        row     i 0x12 0x3d4 crtc12
        row     i 0x0a 0x70 cmos-a
        row     i 0x0b 0x70 cmos-b
        row     i 0x14 0x70 cmos-equipment
        row     w 0 0x400 bda-com1
        row     w 0 0x408 bda-lpt1
        row     w 0 0x40e bda-ebda
        row     w 0 0x410 bda-equipment
        row     w 0 0x413 bda-memory
        row     b 0 0x449 bda-mode
        row     w 0 0x44a bda-columns
        row     w 0 0x463 bda-crtc
        row     b 0 0x475 bda-disks
        row     b 0 0x484 bda-rows
        row     b 0 0x496 bda-keyboard
        row     w 0 0x22 ivt8
        row     w 0 0x42 ivt10
        row     w 0 0x4e ivt13
        row     w 0 0x1da ivt76
        .word   0
        .org    2048
