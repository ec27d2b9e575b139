/*
 * Boot sector: reads the test kernel behind it from drive DL with INT 13h, one sector a call,
 * to 10000h, enters protected mode, copies it to 1 MB and starts it.
 */
        .code16
        .globl _start
_start:
        ljmp    $0, $1f
1:      cli
        xor     %ax, %ax
        mov     %ax, %ds
        mov     %ax, %ss
        mov     $0x7c00, %sp
        sti
        mov     %dl, drive
        mov     $0x1000, %bx            /* segment of the next sector */
        mov     $1, %si                 /* LBA */
2:      mov     %si, %ax
        xor     %dx, %dx
        mov     $18, %cx
        div     %cx                     /* ax: track and head, dx: sector */
        mov     %dl, %cl
        inc     %cl
        mov     %al, %dh
        and     $1, %dh
        shr     $1, %ax
        mov     %al, %ch
        mov     drive, %dl
        mov     %bx, %es
        push    %bx
        push    %si
        mov     $0x0201, %ax
        xor     %bx, %bx
        int     $0x13
        pop     %si
        pop     %bx
        jc      fail
        add     $0x20, %bx
        inc     %si
        cmp     $1 + 512, %si           /* 256 KB */
        jb      2b
        mov     $0x2401, %ax            /* A20 */
        int     $0x15
        in      $0x92, %al
        or      $2, %al
        out     %al, $0x92
        cli
        lgdt    gdtr
        mov     %cr0, %eax
        or      $1, %al
        mov     %eax, %cr0
        ljmp    $8, $protected
fail:   mov     $0x0e21, %ax
        int     $0x10
        jmp     .
        .code32
protected:
        mov     $0x10, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss
        mov     $0x10000, %esi
        mov     $0x100000, %edi
        mov     $0x10000, %ecx          /* dwords: 256 KB */
        cld
        rep movsl
        mov     $0x100000, %eax
        add     $12, %eax               /* behind the multiboot header */
        jmp     *%eax
drive:  .byte   0
        .balign 8
gdt:    .quad   0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr:   .word   23
        .long   gdt
        .org    510
        .word   0xaa55
