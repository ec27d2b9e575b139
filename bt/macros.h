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

#endif
