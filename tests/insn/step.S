/* TF: a #DB trap after each instruction that began with TF set (SDM vol. 3, 17.3.1.4). */
#include "insn.h"

        .macro  steps_on
        movl    $log, step_log
        pushf
        orl     $TF, (%esp)
        popf
        .endm
        .macro  steps_off
        pushf
        andl    $~TF, (%esp)
        popf
        movl    $0, step_log
        .endm
        .macro  logged n, where
        want    log+4*\n, \where
        .endm

test one_trap_per_instruction
        steps_on
1:      nop                             /* the POPF itself does not trap */
2:      mov     $1, %eax
3:      jmp     5f
        nop
5:      nop
6:      steps_off
        logged  0, 2b
        logged  1, 3b
        logged  2, 5b
        logged  3, 6b
end

test popf_that_clears_tf_still_traps
        steps_on
1:      pushf
2:      andl    $~TF, (%esp)
3:      popf
4:      nop
        mov     step_log, %ecx
        movl    $0, step_log
        want    %ecx, log + 12
        logged  2, 4b
end

test pushed_flags_show_tf
        steps_on
        pushf
        steps_off
        pop     %eax
        and     $TF, %eax
        want    %eax, TF
end

test each_iteration_of_rep_traps
        mov     $3, %ecx
        mov     $bytes, %edi
        steps_on
1:      rep stosb
2:      nop
3:      steps_off
        logged  0, 1b
        logged  1, 1b
        logged  2, 2b
        logged  3, 3b
        want    %ecx, 0
end

test loading_ss_delays_the_trap
        mov     %ss, %eax
        steps_on
1:      nop
2:      mov     %eax, %ss
3:      nop
4:      nop
5:      steps_off
        logged  0, 2b
        logged  1, 4b                   /* none between 2 and 3 */
        logged  2, 5b
end

test system_call_under_tf
        mov     $0x1001, %eax           /* none such */
        steps_on
1:      nop
2:      int     $0x80
3:      nop
4:      steps_off
        logged  0, 2b
        logged  1, 4b                   /* none at 3: the gate cleared TF */
end

test fault_under_tf
        steps_on
1:      nop
        faults  UD
        ud2
        faulted
        steps_off
        want    fault_trap, UD
end

        .data
bytes:  .skip   8
log:    .skip   400
