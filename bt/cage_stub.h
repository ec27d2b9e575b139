/*
 * Where things lie in a cage (cage_stub.S), for C and assembly.
 */
#ifndef RING3_BT_CAGE_STUB_H
#define RING3_BT_CAGE_STUB_H

#define CAGE_STUB       0x7e0000000000
#define CAGE_CALLS      0x7e0000010000
#define CAGE_CALLS_SIZE 0x10000
#define CAGE_RAM_FD     3
#define CAGE_CALLS_FD   4
#define CAGE_ELF_FD     5

#endif
