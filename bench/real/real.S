/*
 * What DOS and its programs do, in real mode, timed by the TSC: a floppy whose boot sector
 * loads the rest. For each row, COUNT operations SAMPLES times; on port E9:
 *
 *   row NAME TSC-OF-A-SAMPLE in hexadecimal, a line a sample
 *   bench done
 */
        .equ    COUNT, 8000
        .equ    SAMPLES, 12
        .equ    SECTORS, 7
        .equ    SEGMENT, 0x7c0          /* of this code, data and stack */
        .equ    FAR_SEGMENT, 0x1000     /* a copy of it, for far calls */
        .equ    DEBUGCON, 0xe9
        .equ    EXIT, 0xf4              /* isa-debug-exit */

        .code16
        .globl  _start
_start:
        ljmp    $SEGMENT, $1f
1:      cli
        mov     %cs, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss
        mov     $0x8000, %sp
        sti
        xor     %dh, %dh
        mov     $(0x0200 + SECTORS), %ax /* INT 13h: read sectors, behind this one */
        mov     $0x0002, %cx
        mov     $0x200, %bx
        int     $0x13
        jc      .
        jmp     main
        .org    510
        .word   0xaa55

/* Rows: `name` is the time of `body`. CX counts; AX, BX, DX, SI, DI are the body's; BP is 7. */
        .macro row name:req, body:req
        .section .names, "a"
9:      .asciz  "\name"
        .section .rows, "a"
        .word   9b, 8f
        .text
        .balign 64
8:      .rept   8
        \body
        .endr
        dec     %cx
        jnz     8b
        ret
        .endm

        row     "nop", "nop"
        row     "call-ret", "call near_leaf"
        row     "call-far", "lcall $FAR_SEGMENT, $far_leaf"
        row     "call-far-same", "lcall $SEGMENT, $far_leaf"
        row     "call-far-pointer", "lcall *far_pointer"
        row     "int-iret", "int $0x60"
        row     "push-pop", "push %ax; pop %ax"
        row     "pusha-popa", "pusha; popa"
        row     "load-cs", "mov %cs:word_data, %ax"
        row     "load-es", "mov %es:word_data, %ax"
        row     "segment-load", "mov %ds, %ax; mov %ax, %es"
        row     "les", "les data_pointer, %bx"
        row     "add-odd", "addw %ax, odd_data"
        row     "store-code-page", "movw %ax, code_page_data"
        row     "lodsb-stosb", "mov $word_data, %si; mov $word_data, %di; lodsb; stosb"
        row     "rep-movsw-32", "mov %cx, %dx; mov $buffer, %si; mov $(buffer + 256), %di; mov $32, %cx; rep movsw; mov %dx, %cx"
        row     "mul-div", "mov $1234, %ax; mul %bp; div %bp"
        row     "cli-sti", "cli; sti"
        row     "pushf-popf", "pushf; popf"
        row     "out-post", "out %al, $0x80"
        row     "video-write", "movb %al, %gs:(0)"
        /* The operand of the next instruction but one, as callers of INT n and drawing loops do
         * it. */
        row     "patch-int", "xorb $1, 1f + 1; jmp 1f; 1: int $0x60"
        row     "patch-opcode", "xorb $8, 1f; jmp 1f; 1: inc %dx"
        row     "patch-displacement", "xorb $2, 1f + 1; jmp 1f; 1: mov %ax, buffer"
        row     "patch-jump", "xorb $1, 1f + 1; jmp 1f; 1: jmp 2f; 2: nop; nop"
        row     "patch-operand", "incw 1f + 1; jmp 1f; 1: mov $0, %ax"

near_leaf:
        ret
far_leaf:
        lret
handler:
        iret

        .balign 64
code_page_data:
        .long   0
code_page_code:
        ret

/* ---- Timing and telling ---- */

main:
        mov     $FAR_SEGMENT, %ax
        mov     %ax, %es
        xor     %si, %si
        xor     %di, %di
        mov     $0x800, %cx
        cld
        rep movsw
        xor     %ax, %ax
        mov     %ax, %es
        movw    $handler, %es:(4 * 0x60)
        movw    %cs, %es:(4 * 0x60 + 2)
        movw    $handler, %es:(4 * 0x61)
        movw    %cs, %es:(4 * 0x61 + 2)
        mov     $0xb800, %ax
        mov     %ax, %gs
        call    code_page_code          /* there is code in the data's page */
        mov     $rows, %bx
1:      cmp     $rows_end, %bx
        jae     3f
        mov     $SAMPLES, %bp
2:      call    sample
        dec     %bp
        jnz     2b
        add     $4, %bx
        jmp     1b
3:      mov     $done, %si
        call    print
        mov     $EXIT, %dx
        mov     $0x10, %al
        out     %al, %dx
        hlt

/* One sample of the row at BX. */
sample:
        push    %bx
        push    %bp
        push    %bx
        mov     2(%bx), %bx
        mov     %ds, %ax
        mov     %ax, %es
        mov     %bx, row_code
        mov     $7, %bp
        mov     $(COUNT / 8), %cx
        rdtsc
        mov     %eax, begun
        call    *row_code
        rdtsc
        sub     begun, %eax
        pop     %bx
        push    %eax
        mov     $row_text, %si
        call    print
        mov     (%bx), %si
        call    print
        mov     $' ', %al
        out     %al, $DEBUGCON
        pop     %ebx
        mov     $8, %cx
1:      rol     $4, %ebx
        mov     %bl, %al
        and     $15, %al
        cmp     $10, %al
        jb      2f
        add     $('a' - '0' - 10), %al
2:      add     $'0', %al
        out     %al, $DEBUGCON
        loop    1b
        mov     $'\n', %al
        out     %al, $DEBUGCON
        pop     %bp
        pop     %bx
        ret

print:
        lodsb
        test    %al, %al
        jz      1f
        out     %al, $DEBUGCON
        jmp     print
1:      ret

        .data
        .balign 4
begun:          .long 0
row_code:       .word 0
word_data:      .word 0
far_pointer:    .word far_leaf, FAR_SEGMENT
data_pointer:   .word word_data, SEGMENT
                .byte 0
odd_data:       .word 0
row_text:       .asciz "row "
done:           .asciz "bench done\n"
        .equ    buffer, 0x9000
