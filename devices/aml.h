/*
 * A builder of ACPI machine language (ACPI 1.0b, chapter 16): bytes are appended to a growing
 * buffer; what has a package length is opened and closed around its contents. acpi.c reads like
 * the ASL it stands for.
 */
#ifndef RING3_AML_H
#define RING3_AML_H

#include "runtime/base/base.h"

struct aml {
    u8 *data; /* malloc()ed; the owner frees it */
    u32 size, room;
};

enum { /* opcodes, 16.2.3; two-byte ones carry their 5B */
    AML_ZERO = 0x00, AML_ONE = 0x01, AML_NAME = 0x08, AML_SCOPE = 0x10, AML_BUFFER = 0x11,
    AML_PACKAGE = 0x12, AML_METHOD = 0x14, AML_ARG0 = 0x68, AML_LOCAL0 = 0x60, AML_STORE = 0x70,
    AML_AND = 0x7b, AML_OR = 0x7d, AML_CREATE_DWORD_FIELD = 0x8a, AML_LGREATER = 0x94,
    AML_LLESS = 0x95, AML_IF = 0xa0, AML_ELSE = 0xa1, AML_RETURN = 0xa4,
    AML_OP_REGION = 0x5b80, AML_FIELD = 0x5b81, AML_DEVICE = 0x5b82, AML_PROCESSOR = 0x5b83,
};

void aml_bytes(struct aml *a, const void *data, u32 n);
void aml_u8(struct aml *a, u32 v);
void aml_u16(struct aml *a, u32 v);
void aml_u32(struct aml *a, u32 v);
void aml_op(struct aml *a, u32 op);
/* A name: "\\_SB", "_HID", "PCI0.ISA"; short segments are padded with _. */
void aml_path(struct aml *a, const char *path);
/* A constant in its shortest form. */
void aml_int(struct aml *a, u32 v);

/* `op`, then a package length that aml_close() fills in; returns what to give it. */
u32 aml_open(struct aml *a, u32 op);
void aml_close(struct aml *a, u32 at);
u32 aml_open_named(struct aml *a, u32 op, const char *path); /* Scope, Device */
u32 aml_open_method(struct aml *a, const char *path, u32 args, bool serialized);
u32 aml_open_package(struct aml *a, u32 elements);

/* Name (path, value) */
void aml_name_int(struct aml *a, const char *path, u32 v);
void aml_name_eisaid(struct aml *a, const char *path, const char *id); /* "PNP0A03" */

/* Resource descriptors (6.4); finish with aml_resources(): Name (path, ResourceTemplate { …
 * }). */
void aml_res_irq(struct aml *r, u32 irq);
void aml_res_dma(struct aml *r, u32 channel);
void aml_res_io(struct aml *r, u32 base, u32 count);
void aml_res_word(struct aml *r, u32 type, u32 flags, u32 min, u32 max);
void aml_res_dword(struct aml *r, u32 flags, u32 min, u32 max);
void aml_res_memory(struct aml *r, u32 base, u32 size); /* Memory32Fixed, read only */
void aml_res_interrupts(struct aml *r, const u8 *irqs, u32 n); /* level, active high, shared */
void aml_resources(struct aml *a, const char *path, struct aml *r);

#endif
