/*
 * What DOS and its programs do, in real mode: a floppy whose boot sector loads the rest
 * (floppy.inc).
 */
        .equ    COUNT, 8000
        .equ    SAMPLES, 12
        .equ    FAR_SEGMENT, 0x1000     /* a copy of it, for far calls */
        .include "bench/real/floppy.inc"

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
        jmp     run_rows

        .data
        .balign 4
word_data:      .word 0
far_pointer:    .word far_leaf, FAR_SEGMENT
data_pointer:   .word word_data, SEGMENT
                .byte 0
odd_data:       .word 0
        .equ    buffer, 0x9000
