/*
 * The option ROM that starts a kernel given by -kernel. kernel.c copies it, appends the
 * parameters and gives it to SeaBIOS through fw_cfg; SeaBIOS, when the machine is set up, calls
 * its bootstrap entry vector in real mode. Then: ask INT 15, E820 for the memory map
 * (multiboot), let fw_cfg's DMA move each part of the kernel to its place, enter the kernel.
 *
 *   0x6000-0x7000  stack       0x7000  struct scratch below       0x8000  memory map, 24 bytes each
 *
 * The ROM may lie in write-protected memory: it writes nothing of itself. PnP BIOS
 * specification 1.0A, 3.0; multiboot specification 0.6.96, 3.2.
 */
#define STACK 0x7000
#define DMA_REQUEST 0x7000
#define GDTR 0x7010
#define MAP_BYTES 0x7018
#define MEM_LOWER 0x701c
#define MEM_UPPER 0x7020
#define MAP_LIMIT (64 * 24)

#define FW_CFG_DMA 0x514
#define DMA_ERROR_BE 0x01000000
#define SMAP 0x534d4150
#define MULTIBOOT_LOADED 0x2badb002

        .section .rodata
        .balign 16
        .globl bootrom_start, bootrom_params, bootrom_end
        .code16
bootrom_start:
rom:
        .word   0xaa55
        .byte   0                       /* length / 512: kernel.c */
        lretw                           /* initialisation: nothing to do */
        .org    0x18
        .word   0                       /* no PCI data */
        .word   pnp - rom
        .balign 4
pnp:    .ascii  "$PnP"
        .byte   1, 2                    /* revision, length / 16 */
        .word   0                       /* no next header */
        .byte   0, 0                    /* reserved, checksum (SeaBIOS looks at neither) */
        .long   0
        .word   maker - rom, product - rom
        .byte   0, 0x80, 0              /* class: other */
        .byte   0
        .word   0, 0, boot - rom        /* no BCV, no disconnect vector, BEV */
        .word   0, 0
maker:  .asciz  "ring3"
product:
        .asciz  "kernel from the command line"

boot:
        cli
        cld
        xorw    %ax, %ax
        movw    %ax, %ss
        movl    $STACK, %esp
        movw    %ax, %es
        movw    %cs, %ax
        movw    %ax, %ds
        cmpb    $0, protected - rom
        je      load
        callw   memory_map

/* Each row of the table is a DMA request, ready to be made. */
load:
        movw    $table - rom, %si
        movw    loads - rom, %cx
next_load:
        jcxz    loaded
        pushw   %cx
        movw    $DMA_REQUEST, %di
        movw    $4, %cx
        rep movsl
        movw    $FW_CFG_DMA, %dx
        xorl    %eax, %eax
        outl    %eax, %dx
        movl    $DMA_REQUEST, %eax
        bswapl  %eax
        addw    $4, %dx
        outl    %eax, %dx
1:      movl    %es:DMA_REQUEST, %eax
        testl   $DMA_ERROR_BE, %eax
        jnz     failed
        testl   %eax, %eax
        jnz     1b
        popw    %cx
        decw    %cx
        jmp     next_load

loaded:
        cmpb    $0, protected - rom
        jne     enter_protected
        movw    real_segment - rom, %ax
        movw    real_sp - rom, %bx
        movl    entry - rom, %ecx
        movw    %ax, %es
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        movzwl  %bx, %esp
        movw    %ax, %ds
        pushl   %ecx
        lretw

failed:
        movw    $failure - rom, %si
1:      lodsb
        testb   %al, %al
        jz      2f
        movb    $0x0e, %ah
        movw    $7, %bx
        int     $0x10
        jmp     1b
2:      hlt
        jmp     2b
failure:
        .asciz  "\r\nring3: the kernel could not be loaded: fw_cfg refused\r\n"

/* The firmware's memory map as multiboot entries; its first megabyte's and the next area's
 * sizes. */
memory_map:
        xorl    %eax, %eax
        movl    %eax, %es:MEM_LOWER
        movl    %eax, %es:MEM_UPPER
        xorl    %ebx, %ebx
        movw    map - rom, %di
1:      movl    $20, %es:(%di)
        addw    $4, %di
        movl    $0xe820, %eax
        movl    $SMAP, %edx
        movl    $20, %ecx
        int     $0x15
        jc      4f
        cmpl    $SMAP, %eax
        jne     4f
        cmpl    $1, %es:16(%di)         /* RAM */
        jne     3f
        movl    %es:8(%di), %eax
        shrl    $10, %eax
        movl    %es:(%di), %edx
        testl   %edx, %edx
        jnz     2f
        movl    %eax, %es:MEM_LOWER
2:      cmpl    $0x100000, %edx
        jne     3f
        movl    %eax, %es:MEM_UPPER
3:      addw    $20, %di
        movw    %di, %ax
        subw    map - rom, %ax
        cmpw    $MAP_LIMIT, %ax
        jae     5f
        testl   %ebx, %ebx
        jnz     1b
        jmp     5f
4:      subw    $4, %di
5:      movzwl  %di, %eax
        subl    map - rom, %eax
        movl    %eax, %es:MAP_BYTES
        retw

enter_protected:
        movl    info - rom, %ebx
        movl    entry - rom, %ecx
        xorl    %edx, %edx
        movw    %cs, %dx
        shll    $4, %edx                /* where the ROM is */
        movw    $gdt_end - gdt - 1, %es:GDTR
        leal    gdt - rom(%edx), %eax
        movl    %eax, %es:GDTR + 2
        lgdtl   %es:GDTR
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        pushl   $8
        leal    flat - rom(%edx), %eax
        pushl   %eax
        lretl

        .code32
flat:   movw    $0x10, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        movl    MEM_LOWER, %eax
        movl    %eax, 4(%ebx)
        movl    MEM_UPPER, %eax
        movl    %eax, 8(%ebx)
        movl    MAP_BYTES, %eax
        movl    %eax, 44(%ebx)
        movl    $MULTIBOOT_LOADED, %eax
        jmp     *%ecx

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      /* 08: code, 4 GiB; accessed, as the ROM takes no writes */
        .quad   0x00cf93000000ffff      /* 10: data */
gdt_end:

/* struct bootrom_params of kernel.c */
        .balign 4
bootrom_params:
entry:  .long   0
info:   .long   0
map:    .long   0
real_segment:
        .word   0
real_sp:
        .word   0
loads:  .word   0
protected:
        .byte   0, 0
table:
bootrom_end:
        .section .note.GNU-stack,"",@progbits
