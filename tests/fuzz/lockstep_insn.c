/*
 * One random instruction, from a table of forms: an opcode, what follows it, and which operand
 * it writes, so that the pointers live on. SDM vol. 2, appendix A.
 */
#include "tests/fuzz/lockstep_gen.h"

enum {
    RM = 1 << 0,   /* a ModRM byte */
    MEM = 1 << 1,  /* its r/m is memory, */
    REG = 1 << 2,  /* or is a register */
    W_RM = 1 << 3, /* writes r/m */
    W_REG = 1 << 4, /* writes reg */
    BYTES = 1 << 5, /* general registers are AL to BH */
    VEC = 1 << 6,  /* reg, and r/m if a register, are no general ones */
    I8 = 1 << 7, I16 = 1 << 8, IZ = 1 << 9, /* immediates; IZ: of the operand size */
    MOFFS = 1 << 10, /* an address */
    LOCK = 1 << 11, /* may have the prefix */
    INT = 1 << 12, /* may have 66 */
    REP = 1 << 13, /* may be repeated */
    VECR = 1 << 14, /* reg is no general one, r/m is */
    GREG = 1 << 15, /* reg is a general one, r/m is not */
    X87 = 1 << 16, /* r/m: as it comes */
    CC = 1 << 17,  /* sixteen opcodes, by condition */
    MAP2 = 1 << 18, MAP3 = 1 << 19, /* 0F 38, 0F 3A */
    VEX = 1 << 20, /* of the 3-byte kind; prefix stands for pp, escape is the map */
    NO_VVVV = 1 << 21,
    ANY_VEX = 1 << 22, /* vvvv names a vector register, or none; L is any */
};

struct form {
    u8 prefix, escape, opcode; /* 0: none; escape 0f */
    u8 group;                  /* bit n: reg may be n; 0: reg is a register */
    u32 how;
};

#define ALU(op)                                                                                \
    { 0, 0, op, 0, RM | BYTES | W_RM | LOCK }, { 0, 0, op + 1, 0, RM | W_RM | LOCK | INT },    \
        { 0, 0, op + 2, 0, RM | BYTES | W_REG }, { 0, 0, op + 3, 0, RM | W_REG | INT },        \
        { 0, 0, op + 4, 0, I8 }, { 0, 0, op + 5, 0, IZ | INT }
/* clang-format off */
static const struct form integer[] = {
    ALU(0x00), ALU(0x08), ALU(0x10), ALU(0x18), ALU(0x20), ALU(0x28), ALU(0x30),
    { 0, 0, 0x38, 0, RM | BYTES }, { 0, 0, 0x39, 0, RM | INT }, { 0, 0, 0x3a, 0, RM | BYTES },
    { 0, 0, 0x3b, 0, RM | INT }, { 0, 0, 0x3c, 0, I8 }, { 0, 0, 0x3d, 0, IZ | INT },
    { 0, 0, 0x27, 0, 0 }, { 0, 0, 0x2f, 0, 0 }, { 0, 0, 0x37, 0, 0 }, { 0, 0, 0x3f, 0, 0 },
    { 0, 0, 0x40, 0, INT }, { 0, 0, 0x41, 0, INT }, { 0, 0, 0x42, 0, INT }, { 0, 0, 0x48, 0, INT },
    { 0, 0, 0x49, 0, INT }, { 0, 0, 0x4a, 0, INT }, { 0, 0, 0x46, 0, INT }, { 0, 0, 0x4f, 0, INT },
    { 0, 0, 0x69, 0, RM | W_REG | IZ | INT }, { 0, 0, 0x6b, 0, RM | W_REG | I8 | INT },
    { 0, 0, 0x80, 0x7f, RM | BYTES | W_RM | I8 | LOCK }, { 0, 0, 0x80, 0x80, RM | BYTES | I8 },
    { 0, 0, 0x81, 0x7f, RM | W_RM | IZ | LOCK | INT }, { 0, 0, 0x81, 0x80, RM | IZ | INT },
    { 0, 0, 0x83, 0x7f, RM | W_RM | I8 | LOCK | INT }, { 0, 0, 0x83, 0x80, RM | I8 | INT },
    { 0, 0, 0x84, 0, RM | BYTES }, { 0, 0, 0x85, 0, RM | INT },
    { 0, 0, 0x86, 0, RM | BYTES | W_RM | W_REG | LOCK }, { 0, 0, 0x87, 0, RM | W_RM | W_REG | LOCK | INT },
    { 0, 0, 0x88, 0, RM | BYTES | W_RM }, { 0, 0, 0x89, 0, RM | W_RM | INT },
    { 0, 0, 0x8a, 0, RM | BYTES | W_REG }, { 0, 0, 0x8b, 0, RM | W_REG | INT },
    { 0, 0, 0x8b, 0, RM | MEM | W_REG | INT }, { 0, 0, 0x89, 0, RM | MEM | W_RM | INT },
    { 0, 0, 0x8a, 0, RM | MEM | BYTES | W_REG }, { 0, 0, 0x88, 0, RM | MEM | BYTES | W_RM },
    { 0, 0, 0x8d, 0, RM | MEM | W_REG | INT }, { 0, 0, 0x90, 0, REP }, { 0, 0, 0x91, 0, INT },
    { 0, 0, 0x92, 0, INT }, { 0, 0, 0x98, 0, INT }, { 0, 0, 0x99, 0, INT }, { 0, 0, 0x9e, 0, 0 },
    { 0, 0, 0x9f, 0, 0 }, { 0, 0, 0xa0, 0, MOFFS }, { 0, 0, 0xa1, 0, MOFFS | INT },
    { 0, 0, 0xa2, 0, MOFFS }, { 0, 0, 0xa3, 0, MOFFS | INT }, { 0, 0, 0xa8, 0, I8 },
    { 0, 0, 0xa9, 0, IZ | INT }, { 0, 0, 0xb0, 0, I8 }, { 0, 0, 0xb1, 0, I8 }, { 0, 0, 0xb2, 0, I8 },
    { 0, 0, 0xb4, 0, I8 }, { 0, 0, 0xb5, 0, I8 }, { 0, 0, 0xb6, 0, I8 }, { 0, 0, 0xb8, 0, IZ | INT },
    { 0, 0, 0xb9, 0, IZ | INT }, { 0, 0, 0xba, 0, IZ | INT },
    { 0, 0, 0xc0, 0xff, RM | BYTES | W_RM | I8 }, { 0, 0, 0xc1, 0xff, RM | W_RM | I8 | INT },
    { 0, 0, 0xd0, 0xff, RM | BYTES | W_RM }, { 0, 0, 0xd1, 0xff, RM | W_RM | INT },
    { 0, 0, 0xd2, 0xff, RM | BYTES | W_RM }, { 0, 0, 0xd3, 0xff, RM | W_RM | INT },
    { 0, 0, 0xc6, 0x01, RM | BYTES | W_RM | I8 }, { 0, 0, 0xc7, 0x01, RM | W_RM | IZ | INT },
    { 0, 0, 0xd4, 0, I8 }, { 0, 0, 0xd5, 0, I8 }, { 0, 0, 0xd6, 0, 0 },
    { 0, 0, 0xf5, 0, 0 }, { 0, 0, 0xf8, 0, 0 }, { 0, 0, 0xf9, 0, 0 },
    { 0, 0, 0xf6, 0x03, RM | BYTES | I8 }, { 0, 0, 0xf7, 0x03, RM | IZ | INT },
    { 0, 0, 0xf6, 0x0c, RM | BYTES | W_RM | LOCK }, { 0, 0, 0xf7, 0x0c, RM | W_RM | LOCK | INT },
    { 0, 0, 0xf6, 0x30, RM | BYTES }, { 0, 0, 0xf7, 0x30, RM | INT },
    { 0, 0, 0xf6, 0xc0, RM | BYTES }, { 0, 0, 0xf7, 0xc0, RM | INT },
    { 0, 0, 0xfe, 0x03, RM | BYTES | W_RM | LOCK }, { 0, 0, 0xff, 0x03, RM | W_RM | LOCK | INT },
};
static const struct form extended[] = {
    { 0, 0x0f, 0x40, 0, RM | W_REG | INT | CC }, { 0, 0x0f, 0x40, 0, RM | W_REG | INT | CC },
    { 0, 0x0f, 0x40, 0, RM | W_REG | INT | CC }, { 0, 0x0f, 0x40, 0, RM | W_REG | INT | CC },
    { 0, 0x0f, 0x90, 0x01, RM | BYTES | W_RM | CC }, { 0, 0x0f, 0x90, 0x01, RM | BYTES | W_RM | CC },
    { 0, 0x0f, 0x90, 0x01, RM | BYTES | W_RM | CC }, { 0, 0x0f, 0x90, 0x01, RM | BYTES | W_RM | CC },
    { 0, 0x0f, 0xa3, 0, RM | INT }, { 0, 0x0f, 0xab, 0, RM | W_RM | LOCK | INT },
    { 0, 0x0f, 0xb3, 0, RM | W_RM | LOCK | INT }, { 0, 0x0f, 0xbb, 0, RM | W_RM | LOCK | INT },
    { 0, 0x0f, 0xba, 0x10, RM | I8 | INT }, { 0, 0x0f, 0xba, 0xe0, RM | W_RM | I8 | LOCK | INT },
    { 0, 0x0f, 0xa4, 0, RM | W_RM | I8 | INT }, { 0, 0x0f, 0xa5, 0, RM | W_RM | INT },
    { 0, 0x0f, 0xac, 0, RM | W_RM | I8 | INT }, { 0, 0x0f, 0xad, 0, RM | W_RM | INT },
    { 0, 0x0f, 0xaf, 0, RM | W_REG | INT }, { 0, 0x0f, 0xb0, 0, RM | BYTES | W_RM | LOCK },
    { 0, 0x0f, 0xb1, 0, RM | W_RM | LOCK | INT }, { 0, 0x0f, 0xb6, 0, RM | BYTES | W_REG | INT },
    { 0, 0x0f, 0xb7, 0, RM | W_REG | INT }, { 0, 0x0f, 0xbe, 0, RM | BYTES | W_REG | INT },
    { 0, 0x0f, 0xbf, 0, RM | W_REG | INT }, { 0, 0x0f, 0xbc, 0, RM | W_REG | INT },
    { 0, 0x0f, 0xbd, 0, RM | W_REG | INT }, { 0, 0x0f, 0xc0, 0, RM | BYTES | W_RM | W_REG | LOCK },
    { 0, 0x0f, 0xc1, 0, RM | W_RM | W_REG | LOCK | INT }, { 0, 0x0f, 0xc7, 0x02, RM | MEM | W_RM | LOCK },
    { 0, 0x0f, 0xc8, 0, 0 }, { 0, 0x0f, 0xc9, 0, 0 }, { 0, 0x0f, 0xca, 0, 0 },
    { 0xf3, 0x0f, 0xb8, 0, RM | W_REG | INT }, { 0xf3, 0x0f, 0xbc, 0, RM | W_REG | INT },
    { 0xf3, 0x0f, 0xbd, 0, RM | W_REG | INT }, { 0, 0x0f, 0xf0, 0, RM | MEM | W_REG | INT | MAP2 },
    { 0, 0x0f, 0xf1, 0, RM | MEM | W_RM | INT | MAP2 },
    { 0xf2, 0x0f, 0xf0, 0, RM | BYTES | W_REG | INT | MAP2 }, { 0xf2, 0x0f, 0xf1, 0, RM | W_REG | INT | MAP2 },
    { 0, 0x0f, 0x1f, 0x01, RM | INT }, { 0, 0x0f, 0x01, 0x10, RM | W_RM },
    { 0, 0x0f, 0x01, 0x03, RM | MEM | W_RM }, { 0, 0x0f, 0x18, 0x0f, RM | MEM },
};
/* BMI1, BMI2. Of group 17 VEX.vvvv is the destination: like reg elsewhere. */
static const struct form bmi[] = {
    { 0, 2, 0xf2, 0, RM | W_REG | VEX }, { 0, 2, 0xf3, 0x0e, RM | VEX }, { 0, 2, 0xf5, 0, RM | W_REG | VEX },
    { 0xf3, 2, 0xf5, 0, RM | W_REG | VEX }, { 0xf2, 2, 0xf5, 0, RM | W_REG | VEX },
    { 0xf2, 2, 0xf6, 0, RM | W_REG | VEX }, { 0, 2, 0xf7, 0, RM | W_REG | VEX },
    { 0x66, 2, 0xf7, 0, RM | W_REG | VEX }, { 0xf3, 2, 0xf7, 0, RM | W_REG | VEX },
    { 0xf2, 2, 0xf7, 0, RM | W_REG | VEX }, { 0xf2, 3, 0xf0, 0, RM | W_REG | I8 | VEX | NO_VVVV },
};
static const struct form strings[] = {
    { 0, 0, 0xa4, 0, REP }, { 0, 0, 0xa5, 0, REP | INT }, { 0, 0, 0xa6, 0, REP }, { 0, 0, 0xa7, 0, REP | INT },
    { 0, 0, 0xaa, 0, REP }, { 0, 0, 0xab, 0, REP | INT }, { 0, 0, 0xac, 0, REP }, { 0, 0, 0xad, 0, REP | INT },
    { 0, 0, 0xae, 0, REP }, { 0, 0, 0xaf, 0, REP | INT }, { 0, 0, 0xfc, 0, 0 }, { 0, 0, 0xd7, 0, 0 },
};
static const struct form stack[] = {
    { 0, 0, 0x50, 0, INT }, { 0, 0, 0x51, 0, INT }, { 0, 0, 0x53, 0, INT }, { 0, 0, 0x54, 0, INT },
    { 0, 0, 0x57, 0, INT }, { 0, 0, 0x58, 0, INT }, { 0, 0, 0x59, 0, INT }, { 0, 0, 0x5a, 0, INT },
    { 0, 0, 0x5b, 0, INT }, { 0, 0, 0x5f, 0, INT },
    { 0, 0, 0x68, 0, IZ | INT }, { 0, 0, 0x6a, 0, I8 | INT }, { 0, 0, 0x8f, 0x01, RM | W_RM | INT },
    { 0, 0, 0xff, 0x40, RM | INT }, { 0, 0, 0x9c, 0, INT }, { 0, 0, 0x9d, 0, INT }, { 0, 0, 0x60, 0, INT },
    { 0, 0, 0x61, 0, INT }, { 0, 0, 0x06, 0, 0 }, { 0, 0, 0x0e, 0, 0 }, { 0, 0, 0x16, 0, 0 }, { 0, 0, 0x1e, 0, 0 },
    { 0, 0x0f, 0xa0, 0, 0 }, { 0, 0x0f, 0xa8, 0, 0 }, { 0, 0x0f, 0xa1, 0, 0 }, { 0, 0, 0x8c, 0x3f, RM | W_RM | INT },
};
/* Not in real mode: ARPL, LAR, LSL, SLDT and STR, VERR and VERW. */
static const struct form protected[] = {
    { 0, 0, 0x63, 0, RM | W_RM }, { 0, 0x0f, 0x02, 0, RM | W_REG }, { 0, 0x0f, 0x03, 0, RM | W_REG },
    { 0, 0x0f, 0x00, 0x30, RM }, { 0, 0x0f, 0x00, 0x03, RM | W_RM },
};
static const struct form x87[] = {
    { 0, 0, 0xd8, 0, X87 }, { 0, 0, 0xd9, 0, X87 }, { 0, 0, 0xda, 0, X87 }, { 0, 0, 0xdb, 0, X87 },
    { 0, 0, 0xdc, 0, X87 }, { 0, 0, 0xdd, 0, X87 }, { 0, 0, 0xde, 0, X87 }, { 0, 0, 0xdf, 0, X87 },
    { 0, 0, 0xd8, 0xff, RM | MEM }, { 0, 0, 0xd9, 0x2d, RM | MEM }, { 0, 0, 0xda, 0xff, RM | MEM },
    { 0, 0, 0xdb, 0xaf, RM | MEM }, { 0, 0, 0xdc, 0xff, RM | MEM }, { 0, 0, 0xdd, 0x0d, RM | MEM },
    { 0, 0, 0xde, 0xff, RM | MEM }, { 0, 0, 0xdf, 0xff, RM | MEM }, { 0, 0, 0x9b, 0, 0 },
    { 0, 0, 0xdb, 0, X87 | REG }, { 0, 0, 0xd9, 0x80, RM | MEM }, { 0, 0, 0xdd, 0x80, RM | MEM },
};
/* MMX, SSE, SSE2: the opcode, and below which prefixes exist. */
static const struct form packed[] = {
    { 0, 0x0f, 0x6e, 0, RM | VECR }, { 0x66, 0x0f, 0x6e, 0, RM | VECR }, { 0, 0x0f, 0x7e, 0, RM | VECR | W_RM },
    { 0x66, 0x0f, 0x7e, 0, RM | VECR | W_RM }, { 0, 0x0f, 0xc4, 0, RM | VECR | I8 },
    { 0x66, 0x0f, 0xc4, 0, RM | VECR | I8 }, { 0, 0x0f, 0xc5, 0, RM | REG | GREG | W_REG | I8 },
    { 0x66, 0x0f, 0xc5, 0, RM | REG | GREG | W_REG | I8 }, { 0, 0x0f, 0xd7, 0, RM | REG | GREG | W_REG },
    { 0x66, 0x0f, 0xd7, 0, RM | REG | GREG | W_REG }, { 0, 0x0f, 0x50, 0, RM | REG | GREG | W_REG },
    { 0xf3, 0x0f, 0x2a, 0, RM | VECR }, { 0xf2, 0x0f, 0x2a, 0, RM | VECR }, { 0xf3, 0x0f, 0x2c, 0, RM | GREG | W_REG },
    { 0xf2, 0x0f, 0x2d, 0, RM | GREG | W_REG }, { 0, 0x0f, 0x70, 0, RM | VEC | I8 },
    { 0x66, 0x0f, 0x70, 0, RM | VEC | I8 }, { 0xf2, 0x0f, 0x70, 0, RM | VEC | I8 }, { 0xf3, 0x0f, 0x70, 0, RM | VEC | I8 },
    { 0, 0x0f, 0xc6, 0, RM | VEC | I8 }, { 0x66, 0x0f, 0xc6, 0, RM | VEC | I8 }, { 0, 0x0f, 0xc2, 0, RM | VEC | I8 },
    { 0xf2, 0x0f, 0xc2, 0, RM | VEC | I8 }, { 0, 0x0f, 0x71, 0x54, RM | REG | VEC | I8 },
    { 0x66, 0x0f, 0x73, 0xcc, RM | REG | VEC | I8 }, { 0, 0x0f, 0x72, 0x54, RM | REG | VEC | I8 },
    { 0, 0x0f, 0x12, 0, RM | VEC }, { 0, 0x0f, 0x13, 0, RM | VEC | MEM }, { 0, 0x0f, 0x16, 0, RM | VEC },
    { 0x66, 0x0f, 0x12, 0, RM | VEC | MEM }, { 0x66, 0x0f, 0x17, 0, RM | VEC | MEM },
    { 0, 0x0f, 0xe7, 0, RM | VEC | MEM }, { 0x66, 0x0f, 0xe7, 0, RM | VEC | MEM }, { 0, 0x0f, 0x2b, 0, RM | VEC | MEM },
    { 0, 0x0f, 0xc3, 0, RM | MEM | W_RM }, { 0x66, 0x0f, 0xd6, 0, RM | VEC }, { 0xf3, 0x0f, 0x7e, 0, RM | VEC },
    { 0xf3, 0x0f, 0x6f, 0, RM | VEC }, { 0xf3, 0x0f, 0x7f, 0, RM | VEC }, { 0, 0x0f, 0xf7, 0, RM | REG | VEC },
    { 0, 0x0f, 0x77, 0, 0 }, { 0, 0x0f, 0xae, 0x0c, RM | MEM }, { 0, 0x0f, 0xae, 0xe0, RM | REG },
    { 0, 0x0f, 0xae, 0x01, RM | MEM }, { 0x66, 0x0f, 0x5b, 0, RM | VEC }, { 0xf3, 0x0f, 0x5b, 0, RM | VEC },
    { 0, 0x0f, 0x2e, 0, RM | VEC }, { 0x66, 0x0f, 0x2f, 0, RM | VEC },
    { 0xf2, 0x0f, 0x12, 0, RM | VEC }, { 0xf3, 0x0f, 0x12, 0, RM | VEC }, { 0xf3, 0x0f, 0x16, 0, RM | VEC },
    { 0xf2, 0x0f, 0xf0, 0, RM | VEC | MEM }, { 0x66, 0x0f, 0x7c, 0, RM | VEC }, { 0xf2, 0x0f, 0x7c, 0, RM | VEC },
    { 0x66, 0x0f, 0x7d, 0, RM | VEC }, { 0xf2, 0x0f, 0x7d, 0, RM | VEC }, { 0x66, 0x0f, 0xd0, 0, RM | VEC },
    { 0xf2, 0x0f, 0xd0, 0, RM | VEC },
};
/* SSE4.1 and later, of 0F 3A, with prefix 66; AESKEYGENASSIST, PCLMULQDQ, PCMPxSTRx. */
static const struct form packed3[] = {
    { 0x66, 0x0f, 0x14, 0, RM | VECR | W_RM | I8 | MAP3 }, { 0x66, 0x0f, 0x15, 0, RM | VECR | W_RM | I8 | MAP3 },
    { 0x66, 0x0f, 0x16, 0, RM | VECR | W_RM | I8 | MAP3 }, { 0x66, 0x0f, 0x17, 0, RM | VECR | W_RM | I8 | MAP3 },
    { 0x66, 0x0f, 0x20, 0, RM | VECR | I8 | MAP3 }, { 0x66, 0x0f, 0x22, 0, RM | VECR | I8 | MAP3 },
    { 0x66, 0x0f, 0x60, 0, RM | VEC | I8 | MAP3 }, { 0x66, 0x0f, 0x61, 0, RM | VEC | I8 | MAP3 },
    { 0x66, 0x0f, 0x62, 0, RM | VEC | I8 | MAP3 }, { 0x66, 0x0f, 0x63, 0, RM | VEC | I8 | MAP3 },
    { 0, 0x0f, 0x0f, 0, RM | VEC | I8 | MAP3 }, { 0, 0x0f, 0xcc, 0, RM | VEC | I8 | MAP3 },
};
/* clang-format on */
static const u8 plain[] = {
    /* no prefix or 66 */
    0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6f, 0x74,
    0x75, 0x76, 0x7f, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd,
    0xde, 0xdf, 0xe0, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed,
    0xee, 0xef, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd,
    0xfe, 0x14, 0x15, 0x28, 0x29, 0x54, 0x55, 0x56, 0x57, 0x10, 0x11,
};
/* Of 0F 38: with or without 66; with it; SHA's, without. Of 0F 3A with it and an immediate. */
static const u8 plain38[] = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
                              0x08, 0x09, 0x0a, 0x0b, 0x1c, 0x1d, 0x1e };
static const u8 wide38[] = {
    0x10, 0x14, 0x15, 0x17, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x28, 0x29, 0x2a, 0x2b,
    0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x37, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e,
    0x3f, 0x40, 0x41, 0xdb, 0xdc, 0xdd, 0xde, 0xdf,
};
static const u8 sha38[] = { 0xc8, 0xc9, 0xca, 0xcb, 0xcc, 0xcd };
static const u8 wide3a[] = { 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f,
                             0x21, 0x40, 0x41, 0x42, 0x44, 0xdf };
static const u8 scalar[] = { /* any of four prefixes */
    0x10, 0x11, 0x51, 0x58, 0x59, 0x5a, 0x5c, 0x5d, 0x5e, 0x5f,
};

u32 random_pointer(enum mode mode)
{
    u32 off = pick(DATA_SIZE - STACK_BYTES);

    if (pick(16))
        off &= pick(4) ? ~15u : ~3u;
    if (!pick(12)) /* near a page's end */
        off = (off | PAGE_MASK) - pick(20);
    if (mode == PAGED || (mode == PAE && !pick(3)))
        off += pick(4) ? 0 : random_kernel_region(mode);
    return mode_flat(mode) ? DATA + off : off;
}

void gen_mov(struct gen *g, enum gpr reg, u32 val)
{
    GEN(g, (u8)(0xb8 + reg));
    gen_imm(g, val, gen_word(g));
}

/* ---- Operands ---- */

static u8 any_register(void)
{
    u8 reg = (u8)pick(8);

    return reg == ESP && pick(8) ? EAX : reg;
}

/* One that may be overwritten. */
static u8 free_register(bool bytes)
{
    static const u8 words[] = { EAX, ECX, EDX }, parts[] = { 0, 1, 2, 4, 5, 6 };

    if (!pick(24))
        return any_register();
    return bytes ? ONE_OF(parts) : ONE_OF(words);
}

static u8 small_displacement(void)
{
    return (u8)(pick(4) ? rnd() & 0x70 : rnd());
}

static void address16(struct gen *g, u8 reg)
{
    u8 mod = (u8)pick(3), rm = (u8)pick(8);

    GEN(g, (u8)(mod << 6 | reg << 3 | rm));
    if (mod == 1)
        GEN(g, small_displacement());
    else if (mod == 2 || rm == 6)
        gen_imm(g, random_pointer(REAL), 2);
}

static void address32(struct gen *g, u8 reg)
{
    u8 base = ONE_OF(gen_pointers), r = (u8)(reg << 3);

    switch (pick(16)) {
    case 0: /* [pointer + 32 bits] */
    case 1:
        GEN(g, (u8)(0x80 | r | base));
        gen_imm(g, pick(0x1000) - 0x800u, 4);
        break;
    case 2: /* [32 bits] */
    case 3:
    case 4:
        GEN(g, (u8)(r | 5));
        gen_imm(g, random_pointer(PROT32), 4);
        break;
    case 5: /* [esp + 8 bits] */
        GEN(g, (u8)(0x44 | r), 0x24, (u8)(pick(16) * 4));
        break;
    case 6: /* [pointer + any * scale + 8 bits] */
        GEN(g, (u8)(0x44 | r), (u8)((rnd() & 0xf8) | base), small_displacement());
        break;
    case 7: /* [pointer] */
        base = base == EBP ? EBX : base;
        GEN(g, (u8)(r | base));
        break;
    default: /* [pointer + 8 bits] */
        GEN(g, (u8)(0x40 | r | base), small_displacement());
    }
}

/* ModRM and what belongs to it. */
static void operands(struct gen *g, const struct form *f, bool memory, bool addr32)
{
    bool vec_reg = f->how & (VEC | VECR), vec_rm = f->how & (VEC | GREG);
    u8 reg;

    if (f->group)
        do
            reg = (u8)pick(8);
        while (!(f->group >> reg & 1));
    else if (vec_reg)
        reg = (u8)pick(8);
    else
        reg = f->how & W_REG ? free_register(f->how & BYTES && f->escape == 0) : any_register();
    if (memory && addr32)
        address32(g, reg);
    else if (memory)
        address16(g, reg);
    else
        GEN(g, (u8)(0xc0 | reg << 3 |
                    (vec_rm             ? pick(8)
                     : f->how & W_RM ? free_register(f->how & BYTES)
                                     : any_register())));
}

static void immediates(struct gen *g, u32 how, u32 opsize, bool addr32)
{
    if (how & I8)
        GEN(g, (u8)(pick(2) ? pick(16) : rnd()));
    if (how & I16)
        gen_imm(g, rnd(), 2);
    if (how & IZ)
        gen_imm(g, random_register(), opsize);
    if (how & MOFFS)
        gen_imm(g, random_pointer(g->mode), addr32 ? 4 : 2);
}

/* C4, the map, W vvvv L pp. */
static void emit_vex(struct gen *g, const struct form *f)
{
    u8 pp = f->prefix == 0x66 ? 1 : f->prefix == 0xf3 ? 2 : f->prefix == 0xf2 ? 3 : 0;
    u8 vvvv = f->how & NO_VVVV ? 0 : free_register(false), l = !pick(32), w = !pick(8);

    if (f->how & ANY_VEX) {
        vvvv = f->how & NO_VVVV || !pick(3) ? 0 : (u8)pick(8);
        l = (u8)pick(2);
        w = !pick(3);
    }

    GEN(g, 0xc4, (u8)((pick(8) ? 0xe0 : 0xc0) | f->escape),
        (u8)(w << 7 | (~(u32)vvvv & (pick(8) ? 15 : 7)) << 3 | l << 2 | pp), f->opcode);
}

static void emit(struct gen *g, const struct form *f)
{
    static const u8 overrides[] = { 0x26, 0x36, 0x3e, 0x64, 0x65, 0x64, 0x65, 0x2e };
    bool memory = f->how & MEM || (f->how & RM && !(f->how & REG) && pick(8) < 5);
    bool op66 = f->how & INT && !pick(6), ad67 = !pick(24);
    bool addr32 = g->code32 != ad67;

    if (memory || f->how & (MOFFS | REP))
        if (!pick(8))
            GEN(g, ONE_OF(overrides));
    if (f->how & REP && !pick(3))
        GEN(g, (u8)(0xf2 | pick(2)));
    if (f->how & LOCK && memory && !pick(8))
        GEN(g, 0xf0);
    if (op66)
        GEN(g, 0x66);
    if (ad67)
        GEN(g, 0x67);
    if (f->how & VEX) {
        emit_vex(g, f);
    } else {
        if (f->prefix)
            GEN(g, f->prefix);
        if (f->escape)
            GEN(g, f->escape);
        if (f->how & (MAP2 | MAP3))
            GEN(g, f->how & MAP2 ? 0x38 : 0x3a);
        GEN(g, (u8)(f->opcode + (f->how & CC ? pick(16) : 0)));
    }
    if (f->how & X87)
        GEN(g, (u8)(0xc0 | rnd()));
    if (f->how & RM)
        operands(g, f, memory, addr32);
    immediates(g, f->how, g->code32 != op66 ? 4 : 2, addr32);
}

/* SSSE3 and later. */
static void emit_packed_newer(struct gen *g)
{
    struct form f = { 0x66, 0x0f, 0, 0, RM | VEC | MAP2 };

    switch (pick(5)) {
    case 0:
        emit(g, &ONE_OF(packed3));
        return;
    case 1:
        f.opcode = ONE_OF(plain38);
        f.prefix = pick(2) ? 0x66 : 0;
        break;
    case 2:
        f.opcode = ONE_OF(wide38);
        break;
    case 3:
        f.opcode = ONE_OF(sha38);
        f.prefix = 0;
        break;
    default:
        f.opcode = ONE_OF(wide3a);
        f.how = RM | VEC | I8 | MAP3;
    }
    emit(g, &f);
}

/* FMA3: three orders of the operands, ten operations; F16C. */
static void emit_fused(struct gen *g)
{
    struct form f = { 0x66, 2, (u8)(0x96 + 16 * pick(3) + pick(10)), 0,
                      RM | VEC | VEX | ANY_VEX };

    if (!pick(4)) {
        f.opcode = 0x13;
        f.how |= NO_VVVV;
    } else if (!pick(3)) {
        f = (struct form){ 0x66, 3, 0x1d, 0, RM | VEC | VEX | ANY_VEX | NO_VVVV | I8 };
    }
    emit(g, &f);
}

/* AVX: an opcode of SSE's, with VEX; or one of AVX's own. */
static void emit_avx(struct gen *g)
{
    static const u8 own38[] = { 0x0c, 0x0d, 0x0e, 0x0f, 0x16, 0x18, 0x19, 0x1a, 0x2c, 0x2d, 0x2e,
                                0x2f, 0x36, 0x45, 0x46, 0x47, 0x58, 0x59, 0x5a, 0x78, 0x79, 0x8c,
                                0x8e, 0x90, 0x91, 0x92, 0x93 };
    static const u8 own3a[] = { 0x00, 0x01, 0x02, 0x04, 0x05, 0x06, 0x18, 0x19,
                                0x38, 0x39, 0x46, 0x4a, 0x4b, 0x4c };
    static const u8 prefixes[] = { 0, 0x66, 0xf3, 0xf2 };
    struct form f = { 0x66, 1, 0, 0, RM | VEC | VEX | ANY_VEX };

    switch (pick(8)) {
    case 0:
        f.escape = 2;
        f.opcode = ONE_OF(own38);
        break;
    case 1:
        f.escape = 3;
        f.opcode = ONE_OF(own3a);
        f.how |= I8;
        break;
    case 2:
        f.escape = 2;
        f.opcode = pick(2) ? ONE_OF(plain38) : ONE_OF(wide38);
        break;
    case 3:
        f.escape = 3;
        f.opcode = ONE_OF(wide3a);
        f.how |= I8;
        break;
    case 4:
        f.opcode = ONE_OF(scalar);
        f.prefix = ONE_OF(prefixes);
        break;
    case 5:
        f = ONE_OF(packed);
        f.escape = 1;
        f.how |= VEX | ANY_VEX;
        break;
    case 6:
        f = ONE_OF(packed3);
        f.escape = 3;
        f.how |= VEX | ANY_VEX;
        break;
    default:
        f.opcode = ONE_OF(plain);
        f.prefix = pick(8) ? 0x66 : 0;
    }
    emit(g, &f);
}

/* XGETBV, XSETBV, XSAVE, XRSTOR, VZEROUPPER, VZEROALL. */
static void emit_xsave(struct gen *g)
{
    static const struct form forms[] = {
        { 0, 0x0f, 0xae, 1 << 4, RM | MEM }, { 0, 0x0f, 0xae, 1 << 5, RM | MEM },
    };

    switch (pick(8)) {
    case 0:
        gen_mov(g, ECX, !pick(8));
        GEN(g, 0x0f, 0x01, 0xd0);
        break;
    case 1:
        gen_mov(g, EAX, pick(8));
        gen_mov(g, ECX, 0);
        gen_mov(g, EDX, 0);
        GEN(g, 0x0f, 0x01, 0xd1);
        break;
    case 2:
        GEN(g, 0xc5, (u8)(0xf8 | (pick(2) << 2)), 0x77);
        break;
    default:
        if (pick(4)) /* aligned, with all components */
            gen_mov(g, ONE_OF(gen_pointers), random_pointer(g->mode) & ~63u);
        if (pick(2))
            gen_mov(g, EAX, rnd() | pick(8));
        emit(g, &ONE_OF(forms));
    }
}

static void emit_packed(struct gen *g)
{
    static const u8 prefixes[] = { 0, 0x66, 0xf2, 0xf3 };
    struct form f = { 0, 0x0f, 0, 0, RM | VEC };

    switch (pick(8)) {
    case 0:
        emit(g, &ONE_OF(packed));
        return;
    case 4:
    case 5:
        emit_avx(g);
        return;
    case 6:
        if (!pick(4))
            emit_xsave(g);
        else
            emit_avx(g);
        return;
    case 3:
        emit_packed_newer(g);
        return;
    case 7:
        emit_fused(g);
        return;
    case 1:
        f.opcode = ONE_OF(plain);
        f.prefix = prefixes[pick(2)];
        break;
    default:
        f.opcode = ONE_OF(scalar);
        f.prefix = ONE_OF(prefixes);
    }
    emit(g, &f);
}

void gen_chaos(struct gen *g)
{
    u8 bytes[8];

    for (u32 i = 0; i < sizeof(bytes); i++)
        bytes[i] = (u8)rnd();
    gen_put(g, bytes, 1 + pick(6));
}

/* mov pointer, imm */
static void refresh(struct gen *g)
{
    gen_mov(g, ONE_OF(gen_pointers), random_pointer(g->mode));
}

void gen_insn(struct gen *g)
{
    u32 kind = pick(100);

    if (kind < 51)
        emit(g, &ONE_OF(integer));
    else if (kind < 52)
        emit(g, g->mode == REAL || g->mode == V86 ? &ONE_OF(integer) : &ONE_OF(protected));
    else if (kind < 64)
        emit(g, pick(6) ? &ONE_OF(extended) : &ONE_OF(bmi));
    else if (kind < 68)
        emit(g, &ONE_OF(strings));
    else if (kind < 76)
        emit(g, &ONE_OF(stack));
    else if (kind < 82)
        emit(g, &ONE_OF(x87));
    else if (kind < 90)
        emit_packed(g);
    else if (kind < 93)
        GEN(g, 0xe6, STOP_PORT); /* where chained runs are compared */
    else if (kind < 97)
        refresh(g);
    else
        gen_chaos(g);
}
