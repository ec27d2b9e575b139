/*
 * Macros of the assembly that translated code calls (fast.S, strings.S).
 */
#ifndef RING3_BT_MACROS_H
#define RING3_BT_MACROS_H

#include "bt/regs.h"

/* The guest's arithmetic flags into AX; EAX waits in \keep. */
.macro flags_keep keep
        mov     %eax, \keep
        lahf
        seto    %al
.endm

.macro flags_give keep
        add     $0x7f, %al
        sahf
        mov     \keep, %eax
.endm

.macro count kind
        incq    VCPU_QUICK+8*\kind(%r15)
.endm

/*
 * rdx := number of the memory's page at host address `reg`: by the window it may be that of another
 * address. Changes `free`.
 */
.macro memory_page reg, free
        mov     \reg, %rdx
        sub     VCPU_WINDOW(%r15), %rdx
        mov     %rdx, \free
        shr     $32, \free
        jnz     8f
        shr     $12, %edx
        mov     VCPU_WINDOW_FRAMES(%r15), \free
        mov     (\free,%rdx,4), %edx
        dec     %edx
        jmp     9f
8:      mov     \reg, %rdx
        sub     VCPU_RAM(%r15), %rdx
        shr     $12, %rdx
9:
.endm

#endif
