/*
 * A boot sector that asks the firmware: for each row of `table` it loads AX, BX, CX, DX, calls the
 * interrupt, and prints "name AX BX CX DX CF" on port E9; tests/suites/old.py compares them. DS:SI is a
 * buffer of 30 bytes, ES:DI 0. The second sector on is part of it.
 */
        .code16
        .globl  _start
        .set    BUFFER, 0x600
_start: xor     %cx, %cx
        mov     %cx, %ds
        mov     %cx, %es
        mov     %cx, %ss
        mov     $0x7c00, %sp
        cld
        ljmp    $0, $1f
1:      mov     $0x0204, %ax            /* four more sectors */
        mov     $0x7e00, %bx
        mov     $0x0002, %cx
        xor     %dx, %dx
        int     $0x13
        jc      done
        mov     $table, %bp
row:    cmpb    $0, (%bp)
        je      done
        movb    10(%bp), %al            /* INT n */
        movb    %al, number
        movw    $30, BUFFER
        mov     $BUFFER, %si
        xor     %di, %di
        mov     %di, %es
        mov     (%bp), %ax
        mov     2(%bp), %ax
        mov     4(%bp), %bx
        mov     6(%bp), %cx
        mov     8(%bp), %dx
        push    %bp
        sti
        jmp     2f                      /* the number was just written */
2:      .byte   0xcd
number: .byte   0
        pop     %bp
        pushf
        push    %dx
        push    %cx
        push    %bx
        push    %ax
        xor     %ax, %ax
        mov     %ax, %ds
        lea     11(%bp), %si
        call    text
        mov     $4, %di
3:      pop     %ax
        call    hex
        dec     %di
        jnz     3b
        pop     %ax
        and     $1, %ax
        call    hex
        mov     $'\n', %al
        out     %al, $0xe9
        mov     %si, %bp
        jmp     row
done:   xor     %al, %al
        out     %al, $0xf4
        cli
        hlt

hex:    mov     $4, %cl
4:      rol     $4, %ax
        push    %ax
        and     $15, %al
        cmp     $10, %al
        sbb     $0x69, %al
        das
        out     %al, $0xe9
        pop     %ax
        dec     %cl
        jnz     4b
        mov     $' ', %al
        out     %al, $0xe9
        ret
text:   lodsb
        test    %al, %al
        jz      5f
        out     %al, $0xe9
        jmp     text
5:      mov     $' ', %al
        out     %al, $0xe9
        ret

        .org    510
        .word   0xaa55
        .macro  ask name number ax bx=0 cx=0 dx=0
        .word   1, \ax, \bx, \cx, \dx
        .byte   \number
        .asciz  "\name"
        .endm
table:
        ask equipment      0x11 0
        ask memory         0x12 0
        ask extended       0x15 0x8800
        ask e801           0x15 0xe801
        ask a20-support    0x15 0x2403
        ask a20-off        0x15 0x2400
        ask a20-is-off     0x15 0x2402
        ask a20-on         0x15 0x2401
        ask a20-is-on      0x15 0x2402
        ask wait-1-ms      0x15 0x8600 0 0 1000
        ask unknown        0x15 0xee00
        ask apm            0x15 0x5300 0
        ask apm-connect    0x15 0x5301 0
        ask apm-idle       0x15 0x5305 0
        ask apm-disconnect 0x15 0x5304 0
        ask floppy-type    0x13 0x1500 0 0 0
        ask floppy-chs     0x13 0x0800 0 0 0
        ask floppy-change  0x13 0x1600 0 0 0
        ask disk-type      0x13 0x1500 0 0 0x80
        ask disk-chs       0x13 0x0800 0 0 0x80
        ask disk-ready     0x13 0x1000 0 0 0x80
        ask disk-recal     0x13 0x1100 0 0 0x80
        ask edd            0x13 0x4100 0x55aa 0 0x80
        ask edd-wrong      0x13 0x4100 0x55ab 0 0x80
        ask edd-parameters 0x13 0x4800 0 0 0x80
        ask no-disk        0x13 0x0800 0 0 0x81
        ask vga            0x10 0x1a00
        ask ega            0x10 0x1200 0x10
        ask mode           0x10 0x0f00
        ask joystick       0x15 0x8400 0 0 1
        ask serial         0x14 0x0300
        ask printer        0x17 0x0200
        .word   0
        .org    2560
