/*
 * NE2000.COM: a packet driver (Packet Driver Specification 1.09, basic functions) for an NE2000 of the ISA bus at 300h,
 * IRQ 10, at INT 60h. The programs of DOS that want a network ask for one, and there is none among Debian's packages.
 *
 * Functions run with interrupts off, and so does the card's interrupt up to the receiver's calls: at any time one of them
 * has the card's remote DMA. Outside this file's routines the card shows register page 0 and is started.
 * The card is described in National Semiconductor's DP8390D data sheet.
 */
        .code16
        .globl  _start

        .set    VECTOR, 0x60
        .set    IRQ_VECTOR, 0x72        /* IRQ 10, bit 2 of the second 8259A */
        .set    BASE, 0x300
        .set    CARD_TYPE, 54           /* NE2000, as the specification numbers them */

        /* Registers; page 1 has PAR0 at 1 and CURR at 7. */
        .set    CR, BASE
        .set    PSTART, BASE + 1
        .set    PSTOP, BASE + 2
        .set    BNRY, BASE + 3
        .set    TPSR, BASE + 4
        .set    TBCR0, BASE + 5
        .set    ISR, BASE + 7
        .set    CURR, BASE + 7
        .set    RSAR0, BASE + 8
        .set    RBCR0, BASE + 10
        .set    RCR, BASE + 12
        .set    TCR, BASE + 13
        .set    DCR, BASE + 14
        .set    IMR, BASE + 15
        .set    DATA, BASE + 0x10
        .set    RESET, BASE + 0x1f

        .set    ISR_PRX, 0x01
        .set    ISR_OVW, 0x10
        .set    ISR_RDC, 0x40
        .set    ISR_RST, 0x80

        /* Pages of 256 bytes: what is sent, then the ring of what has come. */
        .set    TX_PAGE, 0x40
        .set    RING, 0x46
        .set    RING_END, 0x80

        .set    SHORTEST, 60
        .set    LONGEST, 1514

        .set    BAD_HANDLE, 1
        .set    NO_CLASS, 2
        .set    NO_TYPE, 3
        .set    NO_NUMBER, 4
        .set    BAD_TYPE, 5
        .set    CANT_TERMINATE, 7
        .set    NO_SPACE, 9
        .set    TYPE_INUSE, 10
        .set    BAD_COMMAND, 11
        .set    CANT_SEND, 12

        /* A handle's entry; its number is its place, from 1. */
        .set    H_USED, 0
        .set    H_LENGTH, 1
        .set    H_TYPE, 2
        .set    TYPE_MAX, 8
        .set    H_RECEIVER, 10
        .set    H_SIZE, 14
        .set    HANDLES, 4

        /* The caller's registers, on its stack. */
        .set    F_ES, 0
        .set    F_DS, 2
        .set    F_DI, 4
        .set    F_SI, 6
        .set    F_BX, 12
        .set    F_DX, 14
        .set    F_CX, 16
        .set    F_AX, 18
        .set    F_FLAGS, 24

        .macro  outr reg, value
        mov     $\reg, %dx
        mov     $\value, %al
        out     %al, %dx
        .endm
        .macro  inr reg
        mov     $\reg, %dx
        in      %dx, %al
        .endm

_start: jmp     install

        .balign 2
handles: .space HANDLES * H_SIZE
        /* The frame the receivers are asked about. */
page:   .byte   0
next:   .byte   0                       /* these four: what the card writes before a frame */
header: .word   0
length: .word   0
type:   .space  TYPE_MAX
taker:  .word   0
        .balign 2
address: .space 6
stack_of: .word 0, 0
name:   .asciz  "NE2000"

/* ---- The interface ---- */

handler:
        .byte   0xe9                    /* three bytes, then the signature */
        .word   function - (. + 2)
        .asciz  "PKT DRVR"

function:
        cli                             /* some call it without INT */
        pusha
        push    %ds
        push    %es
        mov     %sp, %bp
        cld
        push    %cs
        pop     %ds
        andb    $~1, F_FLAGS(%bp)
        mov     $BAD_COMMAND, %dh
        movzbw  %ah, %bx
        dec     %bx
        cmp     $7, %bx
        jae     1f
        shl     $1, %bx
        call    *functions(%bx)
        jnc     2f
1:      orb     $1, F_FLAGS(%bp)
        mov     %dh, F_DX + 1(%bp)
2:      pop     %es
        pop     %ds
        popa
        iret

functions:
        .word   driver_info, access_type, release_type, send_pkt, terminate, get_address, reset_interface

/* Each of them: the caller's registers at BP; CF with the error in DH. */

driver_info:
        movw    $1, F_BX(%bp)           /* this driver's version */
        movw    $0x0100, F_CX(%bp)      /* Ethernet, the first one */
        movw    $CARD_TYPE, F_DX(%bp)
        mov     %cs, F_DS(%bp)
        movw    $name, F_SI(%bp)
        movb    $1, F_AX(%bp)           /* basic functions */
        clc
        ret

access_type:
        mov     $NO_CLASS, %dh
        cmpb    $1, F_AX(%bp)
        jne     fail
        mov     $NO_TYPE, %dh
        mov     F_BX(%bp), %ax
        cmp     $0xffff, %ax            /* any */
        je      1f
        cmp     $CARD_TYPE, %ax
        jne     fail
1:      mov     $NO_NUMBER, %dh
        cmpb    $0, F_DX(%bp)
        jne     fail
        mov     $BAD_TYPE, %dh
        mov     F_CX(%bp), %cx
        cmp     $TYPE_MAX, %cx
        ja      fail
        mov     F_DS(%bp), %es
        call    taken
        mov     $TYPE_INUSE, %dh
        jc      fail
        mov     $NO_SPACE, %dh
        mov     $handles, %bx
        mov     $1, %ax
2:      cmpb    $0, H_USED(%bx)
        je      3f
        add     $H_SIZE, %bx
        inc     %ax
        cmp     $HANDLES, %ax
        jbe     2b
        jmp     fail
3:      mov     %ax, F_AX(%bp)
        mov     F_CX(%bp), %cx
        mov     %cl, H_LENGTH(%bx)
        mov     F_DI(%bp), %ax
        mov     %ax, H_RECEIVER(%bx)
        mov     F_ES(%bp), %ax
        mov     %ax, H_RECEIVER + 2(%bx)
        mov     F_SI(%bp), %si
        lea     H_TYPE(%bx), %di
        push    %ds
        pop     %es
        mov     F_DS(%bp), %ds
        rep movsb
        push    %cs
        pop     %ds
        movb    $1, H_USED(%bx)
        clc
        ret
fail:   stc
        ret

/* CF: some handle has this type, or the beginning of it, or one it is the beginning of. ES = the caller's DS. */
taken:  mov     $handles, %bx
1:      cmpb    $0, H_USED(%bx)
        je      2f
        movzbw  H_LENGTH(%bx), %cx
        cmp     F_CX(%bp), %cx
        jbe     3f
        mov     F_CX(%bp), %cx
3:      mov     F_SI(%bp), %di
        lea     H_TYPE(%bx), %si
        cmp     %cx, %cx                /* equal where there is nothing to compare */
        repe cmpsb
        je      fail
2:      add     $H_SIZE, %bx
        cmp     $handles + HANDLES * H_SIZE, %bx
        jb      1b
        clc
        ret

/* BX := the entry of the caller's handle */
handle: mov     F_BX(%bp), %ax
        dec     %ax
        cmp     $HANDLES, %ax
        jae     1f
        imul    $H_SIZE, %ax, %bx
        add     $handles, %bx
        cmpb    $1, H_USED(%bx)
        jne     1f
        clc
        ret
1:      mov     $BAD_HANDLE, %dh
        stc
        ret

release_type:
        call    handle
        jc      1f
        movb    $0, H_USED(%bx)
1:      ret

terminate:
        call    handle
        jc      1f
        mov     $CANT_TERMINATE, %dh
        stc
1:      ret

get_address:
        call    handle
        jc      1f
        mov     $NO_SPACE, %dh
        cmpw    $6, F_CX(%bp)
        jb      fail
        movw    $6, F_CX(%bp)
        mov     $6, %cx
        mov     $address, %si
        mov     F_ES(%bp), %es
        mov     F_DI(%bp), %di
        rep movsb
        clc
1:      ret

reset_interface:
        call    handle
        jc      1f
        call    start
        clc
1:      ret

send_pkt:
        mov     F_CX(%bp), %cx
        cmp     $14, %cx
        jb      8f
        cmp     $LONGEST, %cx
        ja      8f
        push    %cx
        xor     %cx, %cx
1:      inr     CR                      /* until the frame before is gone */
        test    $4, %al
        loopnz  1b
        pop     %cx
        jnz     8f
        mov     %cx, %si
        cmp     $SHORTEST, %cx
        jae     2f
        mov     $SHORTEST, %cx
2:      push    %cx                     /* what is sent */
        mov     $TX_PAGE << 8, %bx
        mov     $0x12, %al
        call    remote                  /* CX := rounded up */
        mov     %cx, %bx
        shr     $1, %bx
        mov     %si, %cx
        mov     F_SI(%bp), %si
        mov     F_DS(%bp), %ds
        mov     $DATA, %dx
        shr     $1, %cx
        sub     %cx, %bx
        testb   $1, F_CX(%bp)
        rep outsw
        jz      3f
        lodsb
        xor     %ah, %ah
        out     %ax, %dx
        dec     %bx
3:      xor     %ax, %ax
4:      dec     %bx
        js      5f
        out     %ax, %dx
        jmp     4b
5:      push    %cs
        pop     %ds
        call    remote_end
        pop     %cx
        outr    TPSR, TX_PAGE
        mov     $TBCR0, %dx
        mov     %cl, %al
        out     %al, %dx
        inc     %dx
        mov     %ch, %al
        out     %al, %dx
        outr    CR, 0x26
        clc
        ret
8:      mov     $CANT_SEND, %dh
        stc
        ret

/* ---- The card ---- */

/* Starts remote DMA at card address BX, of CX bytes, which are rounded up to words; AL: 0A reads, 12 writes. */
remote: push    %ax
        inc     %cx
        and     $~1, %cx
        mov     $RBCR0, %dx
        mov     %cl, %al
        out     %al, %dx
        inc     %dx
        mov     %ch, %al
        out     %al, %dx
        mov     $RSAR0, %dx
        mov     %bl, %al
        out     %al, %dx
        inc     %dx
        mov     %bh, %al
        out     %al, %dx
        mov     $CR, %dx
        pop     %ax
        out     %al, %dx
        ret

remote_end:
        xor     %cx, %cx
1:      inr     ISR
        test    $ISR_RDC, %al
        loopz   1b
        outr    ISR, ISR_RDC
        ret

/* CX bytes from card address BX to ES:DI. The card goes from the ring's end to its start by itself. */
read_card:
        push    %cx
        mov     $0x0a, %al
        call    remote
        pop     %cx
        mov     $DATA, %dx
        shr     $1, %cx
        rep insw
        jnc     1f                      /* SHR's; nothing since has changed it */
        in      %dx, %ax
        stosb
1:      jmp     remote_end

/* The card from stopped or not to receiving frames for `address` and broadcasts. */
start:  outr    CR, 0x21
        outr    DCR, 0x49               /* words, FIFO of 8 bytes, no loopback */
        outr    RBCR0, 0
        outr    RBCR0 + 1, 0
        outr    RCR, 0x20
        outr    TCR, 0x02
        outr    PSTART, RING
        outr    PSTOP, RING_END
        outr    BNRY, RING
        outr    ISR, 0xff
        outr    IMR, ISR_PRX | ISR_OVW
        outr    CR, 0x61
        mov     $BASE + 1, %dx
        mov     $address, %si
        mov     $6, %cx
1:      lodsb
        out     %al, %dx
        inc     %dx
        loop    1b
        outr    CURR, RING + 1
        outr    CR, 0x22
        outr    TCR, 0
        outr    RCR, 0x04
        ret

interrupt:
        pusha
        push    %ds
        push    %es
        push    %cs
        pop     %ds
        cld
        mov     %sp, stack_of
        mov     %ss, stack_of + 2
        mov     %cs, %ax
        mov     %ax, %ss
        mov     $stack, %sp
1:      inr     ISR
        and     $0x3f, %al
        jz      3f
        mov     %al, %ah
        out     %al, %dx
        test    $ISR_OVW, %ah
        jz      2f
        outr    CR, 0x21                /* a full ring stops the card: data sheet, "Overwrite warning" */
        xor     %cx, %cx
4:      inr     ISR
        test    $ISR_RST, %al
        loopz   4b
        outr    RBCR0, 0
        outr    RBCR0 + 1, 0
        outr    TCR, 0x02
        outr    CR, 0x22
        call    drain
        outr    ISR, ISR_OVW
        outr    TCR, 0
2:      call    drain
        jmp     1b
3:      mov     stack_of + 2, %ss
        mov     stack_of, %sp
        mov     $0x20, %al
        out     %al, $0xa0
        out     %al, $0x20
        pop     %es
        pop     %ds
        popa
        iret

/* Hands over what is in the ring. Receivers may change any register. */
drain:  inr     BNRY
        inc     %al
        cmp     $RING_END, %al
        jb      1f
        mov     $RING, %al
1:      mov     %al, page
        outr    CR, 0x62
        inr     CURR
        mov     %al, %ah
        outr    CR, 0x22
        cmp     %ah, page
        je      9f
        push    %cs
        pop     %es
        mov     page, %bh
        xor     %bl, %bl
        mov     $header, %di
        mov     $4, %cx
        call    read_card
        mov     header + 1, %al
        mov     %al, next
        cmp     $RING, %al
        jb      start
        cmp     $RING_END, %al
        jae     start
        mov     length, %ax
        sub     $4, %ax                 /* the CRC */
        mov     %ax, length
        cmp     $14, %ax
        jb      start
        cmp     $LONGEST, %ax
        ja      start
        mov     page, %bh
        mov     $4 + 12, %bl
        mov     $type, %di
        mov     $TYPE_MAX, %cx
        call    read_card
        call    who
        jc      7f
        mov     %bx, taker
        xor     %ax, %ax
        call    upcall
        mov     %es, %ax
        or      %di, %ax
        jz      7f
        push    %es
        push    %di
        mov     page, %bh
        mov     $4, %bl
        mov     length, %cx
        call    read_card
        pop     %si
        pop     %es
        mov     $1, %ax
        call    upcall
7:      mov     next, %al               /* BNRY stays one page behind */
        cmp     $RING, %al
        ja      8f
        mov     $RING_END, %al
8:      dec     %al
        mov     $BNRY, %dx
        out     %al, %dx
        jmp     drain
9:      ret

/* AX: 0 asks for a buffer, 1 says that it is filled, ES:SI, which the receiver gets as DS:SI. */
upcall: mov     taker, %di
        lea     -handles(%di), %bx
        xchg    %ax, %bx
        mov     $H_SIZE, %cl
        div     %cl
        inc     %al
        xor     %ah, %ah
        xchg    %ax, %bx
        mov     length, %cx
        push    %es
        pop     %ds
        lcallw  *%cs:H_RECEIVER(%di)
        push    %cs
        pop     %ds
        cld
        ret

/* BX := the handle's entry that wants `type`; CF: none does. ES = DS. */
who:    mov     $handles, %bx
1:      cmpb    $0, H_USED(%bx)
        je      2f
        movzbw  H_LENGTH(%bx), %cx
        lea     H_TYPE(%bx), %si
        mov     $type, %di
        cmp     %cx, %cx
        repe cmpsb
        je      3f
2:      add     $H_SIZE, %bx
        cmp     $handles + HANDLES * H_SIZE, %bx
        jb      1b
        stc
3:      ret                             /* equal: CF is clear */

        .balign 2
        .space  1024
stack:

/* ---- Not resident ---- */

install:
        push    %cs
        pop     %ds
        cld
        mov     $0x3500 + VECTOR, %ax
        int     $0x21
        lea     3(%bx), %di
        mov     $handler + 3, %si
        mov     $9, %cx
        repe cmpsb
        mov     $there, %dx
        je      refuse

        mov     $RESET, %dx             /* a read and a write of the reset port */
        in      %dx, %al
        out     %al, %dx
        xor     %cx, %cx
1:      inr     ISR
        test    $ISR_RST, %al
        loopz   1b
        outr    CR, 0x21
        inr     CR
        cmp     $0x21, %al              /* a bus with nothing there reads FF */
        mov     $absent, %dx
        jne     refuse
        outr    DCR, 0x49
        outr    CR, 0x22
        push    %cs
        pop     %es
        xor     %bx, %bx
        mov     $prom, %di
        mov     $32, %cx
        call    read_card
        mov     $absent, %dx
        cmpb    $0x57, prom + 28        /* the marks of cards of 16 bits */
        jne     refuse
        cmpb    $0x57, prom + 30
        jne     refuse
        mov     $prom, %si              /* each byte is there twice */
        mov     $address, %di
        mov     $6, %cx
2:      lodsw
        stosb
        loop    2b

        mov     $0x2500 + VECTOR, %ax
        mov     $handler, %dx
        int     $0x21
        mov     $0x2500 + IRQ_VECTOR, %ax
        mov     $interrupt, %dx
        int     $0x21
        call    start
        cli
        in      $0xa1, %al
        and     $~4, %al
        out     %al, $0xa1
        in      $0x21, %al
        and     $~4, %al
        out     %al, $0x21
        sti
        mov     $ready, %dx
        mov     $9, %ah
        int     $0x21
        mov     0x2c, %es               /* the environment */
        mov     $0x49, %ah
        int     $0x21
        mov     $install + 15, %dx
        shr     $4, %dx
        mov     $0x3100, %ax
        int     $0x21

refuse: mov     $9, %ah
        int     $0x21
        mov     $0x4c01, %ax
        int     $0x21

ready:  .ascii  "NE2000 at 300h, IRQ 10: packet driver at INT 60h\r\n$"
there:  .ascii  "A packet driver is at INT 60h already\r\n$"
absent: .ascii  "No NE2000 at 300h\r\n$"
        .balign 2
prom:   .space  32
