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
        row     "texture-span-32", "call texture_span"
        /* What reaches memory above 1 MiB without an extender, and what extenders do. */
        row     "unreal-load", "movl %fs:(%esi), %eax", unreal
        row     "unreal-store", "movl %eax, %fs:(%esi)", unreal
        row     "unreal-fetch-256", "call unreal_fetch", unreal
        row     "pe-on-off", "call pe_on_off"
        row     "mode-switch", "call mode_switch"
        row     "a20-port-92h", "in $0x92, %al; xor $2, %al; out %al, $0x92"
        row     "a20-8042-off-on", "call a20_off_on"

near_leaf:
        ret
far_leaf:
        lret
handler:
        iret

/* 32 texels by steps that are written into the loop first, as texture mappers do. */
texture_span:
        incw    step_u + 2
        incb    step_v + 2
        mov     $buffer, %di
        mov     $32, %si
1:      mov     (%bx), %al
step_u: add     $0x1234, %dx
step_v: adc     $1, %bl
        stosb
        dec     %si
        jnz     1b
        ret

/* A setup: FS has a limit of 4 GiB, ESI is 2 MiB. */
unreal: cli
        lgdt    gdtr
        mov     %cr0, %eax
        or      $1, %al
        mov     %eax, %cr0
        jmp     1f
1:      mov     $(gdt_flat - gdt), %bx
        mov     %bx, %fs
        and     $0xfe, %al
        mov     %eax, %cr0
        xor     %bx, %bx
        mov     %bx, %fs
        sti
        in      $0x92, %al
        or      $2, %al
        out     %al, $0x92
        mov     $0x200000, %esi
        ret

/* 256 bytes from there. */
unreal_fetch:
        mov     %cx, %dx
        mov     $0x200000, %esi
        mov     $buffer, %edi
        mov     $64, %ecx
        rep movsl %fs:(%esi), %es:(%edi)
        mov     %dx, %cx
        ret

pe_on_off:
        cli
        mov     %cr0, %eax
        or      $1, %al
        mov     %eax, %cr0
        jmp     1f
1:      and     $0xfe, %al
        mov     %eax, %cr0
        sti
        ret

/* To 16-bit protected mode and back, with all segments that are in use. */
mode_switch:
        cli
        lgdt    gdtr
        mov     %cr0, %eax
        or      $1, %al
        mov     %eax, %cr0
        ljmp    $(gdt_code - gdt), $1f
1:      mov     $(gdt_data - gdt), %dx
        mov     %dx, %ds
        mov     %dx, %es
        mov     %dx, %ss
        and     $0xfe, %al
        mov     %eax, %cr0
        ljmp    $SEGMENT, $1f
1:      mov     %cs, %dx
        mov     %dx, %ds
        mov     %dx, %es
        mov     %dx, %ss
        sti
        ret

/* A20 by the keyboard controller's output port. */
a20_off_on:
        mov     $0xdd, %ah
        call    1f
        mov     $0xdf, %ah
1:      mov     $0xd1, %al
        out     %al, $0x64
        call    2f
        mov     %ah, %al
        out     %al, $0x60
2:      in      $0x64, %al              /* until it has taken the byte */
        test    $2, %al
        jnz     2b
        ret

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
        .balign 8
gdt:            .quad 0
gdt_flat:       .quad 0x00cf92000000ffff
gdt_code:       .quad 0x00009a000000ffff | SEGMENT << 20 /* base: SEGMENT * 16 */
gdt_data:       .quad 0x000092000000ffff | SEGMENT << 20
gdtr:           .word gdtr - gdt - 1
                .long gdt + SEGMENT * 16
        .equ    buffer, 0x9000
