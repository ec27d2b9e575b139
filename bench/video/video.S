/*
 * What programs of DOS do to the screen and to disks, in real mode: a floppy like that of
 * bench/real. `rep` rows are for an element each, of a byte or a word as it says.
 */
        .equ    COUNT, 4000
        .equ    SAMPLES, 6
        .include "bench/real/floppy.inc"

/* Setups: AX is the mode, which is set if it is another one; ES becomes DX's segment. */
        .macro mode name:req, number:req, segment:req, more
\name:  mov     $\number, %ax
        mov     $\segment, %dx
        call    set_mode
        \more
        ret
        .endm

        .macro seq_out index, value
        mov     $0x3c4, %dx
        mov     $(\value << 8 | \index), %ax
        out     %ax, %dx
        .endm
        .macro gfx_out index, value
        mov     $0x3ce, %dx
        mov     $(\value << 8 | \index), %ax
        out     %ax, %dx
        .endm

        mode    text, 0x03, 0xb800
        mode    cga4, 0x04, 0xb800
        mode    cga2, 0x06, 0xb800
        mode    linear, 0x13, 0xa000
        mode    x_one, 0x113, 0xa000, "seq_out 2, 1; gfx_out 5, 0x40"
        mode    x_all, 0x113, 0xa000, "seq_out 2, 15; gfx_out 5, 0x40"
        mode    x_latch, 0x113, 0xa000, "seq_out 2, 15; gfx_out 5, 0x41"
        mode    write0, 0x12, 0xa000, "seq_out 2, 15; gfx_out 5, 0; gfx_out 1, 0; gfx_out 8, 0xff"
        mode    write0_one, 0x12, 0xa000, "seq_out 2, 4; gfx_out 5, 0; gfx_out 1, 0; gfx_out 8, 0xff"
        mode    write0_set, 0x12, 0xa000, "seq_out 2, 15; gfx_out 5, 0; gfx_out 0, 5; gfx_out 1, 15; gfx_out 8, 0x18"
        mode    write1, 0x12, 0xa000, "seq_out 2, 15; gfx_out 5, 1; gfx_out 1, 0; gfx_out 8, 0xff"
        mode    write2, 0x12, 0xa000, "seq_out 2, 15; gfx_out 5, 2; gfx_out 1, 0; gfx_out 8, 0xff"
        mode    write3, 0x12, 0xa000, "seq_out 2, 15; gfx_out 5, 3; gfx_out 0, 5; gfx_out 1, 0; gfx_out 8, 0xff"
        mode    read1, 0x12, 0xa000, "seq_out 2, 15; gfx_out 5, 8; gfx_out 2, 5; gfx_out 7, 15"

/* Mode AX: bit 8, unchained as by mode X. */
set_mode:
        mov     %dx, extra
        cmp     %ax, mode_now
        je      1f
        mov     %ax, mode_now
        push    %ax
        xor     %ah, %ah
        int     $0x10
        pop     %ax
        test    %ah, %ah
        jz      1f
        seq_out 4, 6
1:      ret

/* A string instruction of n elements, with CX kept in DX. */
        .macro  rep_of n, text:vararg
        mov     %cx, %dx
        xor     %di, %di
        mov     $\n, %cx
        \text
        mov     %dx, %cx
        .endm
        .macro  rep_both n, text:vararg
        mov     %cx, %dx
        push    %ds
        mov     %es, %ax
        mov     %ax, %ds
        xor     %di, %di
        mov     $8000, %si
        mov     $\n, %cx
        \text
        pop     %ds
        mov     %dx, %cx
        .endm

        .macro  rep_away n /* bytes of video memory to plain memory */
        mov     %cx, %dx
        mov     %es, %bx
        mov     %bx, %ds
        mov     $0x2000, %di
        mov     %di, %es
        xor     %si, %si
        xor     %di, %di
        mov     $\n, %cx
        rep movsb
        mov     %bx, %es
        push    %cs
        pop     %ds
        mov     %dx, %cx
        .endm

        row     "ram-store-w", "movw %ax, (0x8800)"
        row     "ram-rep-stosw-80", "rep_of 80, rep stosw", ram
        row     "text-store-b", "movb %al, %es:(320)", text
        row     "text-store-w", "movw %ax, %es:(320)", text
        row     "text-load-w", "movw %es:(320), %ax", text
        row     "text-stosw", "mov $320, %di; stosw", text
        row     "text-lodsw", "mov $320, %si; lodsw %es:(%si)", text
        row     "text-xor-b", "xorb $0x70, %es:(321)", text
        row     "text-rep-stosw-80", "rep_of 80, rep stosw", text
        row     "text-rep-movsw-80", "rep_both 80, rep movsw", text
        row     "cga-store-b", "movb %al, %es:(320)", cga4
        row     "cga-load-b", "movb %es:(320), %al", cga4
        row     "cga-xor-b", "xorb $0x70, %es:(321)", cga4
        row     "cga-rep-stosw-40", "rep_of 40, rep stosw", cga4
        row     "cga-2-store-b", "movb %al, %es:(320)", cga2
        row     "13h-store-b", "movb %al, %es:(320)", linear
        row     "13h-load-b", "movb %es:(320), %al", linear
        row     "13h-rep-stosw-160", "rep_of 160, rep stosw", linear
        row     "13h-rep-movsw-160", "rep_both 160, rep movsw", linear
        row     "x-one-store-b", "movb %al, %es:(320)", x_one
        row     "x-all-store-b", "movb %al, %es:(320)", x_all
        row     "x-load-b", "movb %es:(320), %al", x_one
        row     "x-plane-store-b", "mov $0x3c4, %dx; mov $0x0402, %ax; out %ax, %dx; movb %al, %es:(320)", x_one
        row     "x-one-rep-stosb-80", "rep_of 80, rep stosb", x_one
        row     "x-all-rep-stosb-80", "rep_of 80, rep stosb", x_all
        row     "x-latch-rep-movsb-80", "rep_both 80, rep movsb", x_latch
        row     "x-latch-copy-b", "movb %es:(320), %al; movb %al, %es:(8000)", x_latch
        row     "16-write0-store-b", "movb %al, %es:(320)", write0
        row     "16-write0-store-w", "movw %ax, %es:(320)", write0
        row     "16-write0-plane-b", "movb %al, %es:(320)", write0_one
        row     "16-write0-rep-stosw-40", "rep_of 40, rep stosw", write0
        row     "16-set-reset-mask-b", "movb %al, %es:(320)", write0_set
        row     "16-set-reset-xchg-b", "xchgb %al, %es:(320)", write0_set
        row     "16-set-reset-or-b", "orb %al, %es:(320)", write0_set
        row     "16-write1-movsb", "rep_both 1, movsb", write1
        row     "16-write1-rep-movsb-80", "rep_both 80, rep movsb", write1
        row     "16-write2-store-b", "movb %al, %es:(320)", write2
        row     "16-write3-store-b", "movb %al, %es:(320)", write3
        row     "16-write3-and-b", "andb %al, %es:(320)", write3
        row     "16-read0-load-b", "movb %es:(320), %al", write0
        row     "16-read0-lodsb", "mov $320, %si; lodsb %es:(%si)", write0
        row     "16-read0-rep-movsb-80", "rep_away 80", write0
        row     "16-write1-down-rep-movsb-80", "std; rep_both 80, rep movsb; cld", write1
        row     "16-read1-load-b", "movb %es:(320), %al", read1
        row     "16-read1-lodsb", "mov $320, %si; lodsb %es:(%si)", read1
        row     "16-bit-mask-port", "mov $0x3ce, %dx; mov $0x8008, %ax; out %ax, %dx", write0
        row     "16-pixel", "mov $0x3ce, %dx; mov $0x8008, %ax; out %ax, %dx; xchgb %al, %es:(320)", write0_set
        row     "status-port", "mov $0x3da, %dx; in %dx, %al", text
        row     "palette-write", "mov $0x3c9, %dx; out %al, %dx", text
        row     "pit-latch-read", "xor %al, %al; out %al, $0x43; in $0x40, %al; in $0x40, %al"
        row     "pit-2-load", "mov $0xb6, %al; out %al, $0x43; out %al, $0x42; out %al, $0x42"
        row     "port-61-read", "in $0x61, %al"
        row     "pic-read", "in $0x21, %al"
        row     "pic-eoi", "mov $0x20, %al; out %al, $0xa0"
        row     "keyboard-status", "in $0x64, %al"
        row     "serial-status", "mov $0x3fd, %dx; in %dx, %al"
        row     "cmos-read", "mov $0x32, %al; out %al, $0x70; in $0x71, %al"
        row     "nobody-read", "mov $0x300, %dx; in %dx, %al"
        row     "int16-poll", "mov $1, %ah; int $0x16"
        row     "disk-read-16", "mov %cx, %di; mov $0x0210, %ax; mov $1, %cx; mov $0x80, %dx; mov $0x9000, %bx; int $0x13; jc .; mov %di, %cx", ram, 8
        row     "floppy-read-9", "mov %cx, %di; mov $0x0209, %ax; mov $0x201, %cx; xor %dx, %dx; mov $0x9000, %bx; int $0x13; jc .; mov %di, %cx", ram, 8

/* Plain memory, in the place of the screen. */
ram:    movw    $0x2000, extra
        ret

main:   jmp     run_rows

        .data
mode_now:       .word 0
