/* Selectors and vectors that the assembler and the C half share. */
#ifndef LAYOUT_H
#define LAYOUT_H

#define KCODE 0x08
#define KDATA 0x10
#define UCODE 0x1b
#define UDATA 0x23
#define TSS_MAIN 0x28 /* the kernel's own task */
#define SEL(n) (0x40 + 8 * (n)) /* descriptors that tests fill */
#define GDT_BYTES 0x200
#define EXIT_VECTOR 0x30   /* INT from any ring: the test's code is done */
#define RESUME_VECTOR 0x31 /* from a handler outside ring 0 */

#endif
