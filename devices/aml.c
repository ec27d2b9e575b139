/*
 * AML encoding: see aml.h. Grammar in ACPI 1.0b 16.2, resource descriptors in 6.4.
 */
#include "devices/aml.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_SEGMENT = 4, LENGTH_ROOM = 3 };

void aml_bytes(struct aml *a, const void *data, u32 n)
{
    if (a->size + n > a->room) {
        a->room = (a->size + n) * 2;
        a->data = realloc(a->data, a->room);
        check(a->data, "no memory for ACPI tables");
    }
    memcpy(a->data + a->size, data, n);
    a->size += n;
}

void aml_u8(struct aml *a, u32 v)
{
    aml_bytes(a, &(u8){v}, 1);
}

void aml_u16(struct aml *a, u32 v)
{
    aml_bytes(a, &(u16){v}, 2);
}

void aml_u32(struct aml *a, u32 v)
{
    aml_bytes(a, &v, 4);
}

void aml_op(struct aml *a, u32 op)
{
    if (op > 0xff)
        aml_u8(a, op >> 8);
    aml_u8(a, op & 0xff);
}

/* ---- Names and constants ---- */

static const char *aml_segment(struct aml *a, const char *s)
{
    u32 n = 0;

    for (; *s && *s != '.'; s++, n++)
        aml_u8(a, (u8)*s);
    for (; n < NAME_SEGMENT; n++)
        aml_u8(a, '_');
    return *s ? s + 1 : s;
}

void aml_path(struct aml *a, const char *path)
{
    u32 segments = 1;

    if (*path == '\\')
        aml_u8(a, (u8)*path++);
    for (const char *s = path; *s; s++)
        segments += *s == '.';
    if (segments == 2) {
        aml_u8(a, 0x2e); /* DualNamePrefix */
    } else if (segments > 2) {
        aml_u8(a, 0x2f); /* MultiNamePrefix */
        aml_u8(a, segments);
    }
    while (*path)
        path = aml_segment(a, path);
}

void aml_int(struct aml *a, u32 v)
{
    if (v <= 1) {
        aml_u8(a, v);
    } else if (v <= 0xff) {
        aml_u8(a, 0x0a);
        aml_u8(a, v);
    } else if (v <= 0xffff) {
        aml_u8(a, 0x0b);
        aml_u16(a, v);
    } else {
        aml_u8(a, 0x0c);
        aml_u32(a, v);
    }
}

static void aml_buffer(struct aml *a, const struct aml *contents)
{
    u32 at = aml_open(a, AML_BUFFER);

    aml_int(a, contents->size);
    aml_bytes(a, contents->data, contents->size);
    aml_close(a, at);
}

/* ---- Packages: PkgLength counts itself; 1 to 3 bytes, the shortest form ---- */

u32 aml_open(struct aml *a, u32 op)
{
    aml_op(a, op);
    aml_bytes(a, "\0\0\0", LENGTH_ROOM);
    return a->size - LENGTH_ROOM;
}

void aml_close(struct aml *a, u32 at)
{
    u32 body = a->size - at - LENGTH_ROOM;
    u32 bytes = body + 1 < 0x40 ? 1 : body + 2 < 0x1000 ? 2 : 3, length = body + bytes;
    u8 *p = a->data + at;

    memmove(p + bytes, p + LENGTH_ROOM, body);
    a->size -= LENGTH_ROOM - bytes;
    p[0] = bytes == 1 ? length : (bytes - 1) << 6 | (length & 15);
    for (u32 i = 1; i < bytes; i++)
        p[i] = length >> (8 * i - 4);
}

u32 aml_open_named(struct aml *a, u32 op, const char *path)
{
    u32 at = aml_open(a, op);

    aml_path(a, path);
    return at;
}

u32 aml_open_method(struct aml *a, const char *path, u32 args, bool serialized)
{
    u32 at = aml_open_named(a, AML_METHOD, path);

    aml_u8(a, args | (serialized ? 8 : 0));
    return at;
}

u32 aml_open_package(struct aml *a, u32 elements)
{
    u32 at = aml_open(a, AML_PACKAGE);

    aml_u8(a, elements);
    return at;
}

void aml_name_int(struct aml *a, const char *path, u32 v)
{
    aml_op(a, AML_NAME);
    aml_path(a, path);
    aml_int(a, v);
}

/* Three letters of 5 bits, four hexadecimal digits; stored with the bytes swapped. */
void aml_name_eisaid(struct aml *a, const char *path, const char *id)
{
    u32 letters = (id[0] - 0x40) << 10 | (id[1] - 0x40) << 5 | (id[2] - 0x40);
    u32 value = letters << 16 | (u32)strtoul(id + 3, NULL, 16);

    aml_name_int(a, path, __builtin_bswap32(value));
}

/* ---- Resources ---- */

void aml_res_irq(struct aml *r, u32 irq)
{
    aml_u8(r, 0x22); /* edge, active high, exclusive */
    aml_u16(r, 1u << irq);
}

void aml_res_dma(struct aml *r, u32 channel)
{
    aml_u8(r, 0x2a);
    aml_u8(r, 1u << channel);
    aml_u8(r, 0); /* compatibility timing, 8 bits */
}

void aml_res_io(struct aml *r, u32 base, u32 count)
{
    aml_u8(r, 0x47);
    aml_u8(r, 1); /* decodes 16 bits */
    aml_u16(r, base);
    aml_u16(r, base);
    aml_u8(r, 1);
    aml_u8(r, count);
}

void aml_res_word(struct aml *r, u32 type, u32 flags, u32 min, u32 max)
{
    aml_u8(r, 0x88);
    aml_u16(r, 13);
    aml_u8(r, type); /* 0 memory, 1 I/O, 2 bus numbers */
    aml_u8(r, 0x0c); /* produced; minimum and maximum are fixed */
    aml_u8(r, flags);
    aml_u16(r, 0);
    aml_u16(r, min);
    aml_u16(r, max);
    aml_u16(r, 0);
    aml_u16(r, max - min + 1);
}

void aml_res_dword(struct aml *r, u32 flags, u32 min, u32 max)
{
    aml_u8(r, 0x87);
    aml_u16(r, 23);
    aml_u8(r, 0); /* memory */
    aml_u8(r, 0x0c);
    aml_u8(r, flags);
    aml_u32(r, 0);
    aml_u32(r, min);
    aml_u32(r, max);
    aml_u32(r, 0);
    aml_u32(r, max - min + 1);
}

void aml_res_memory(struct aml *r, u32 base, u32 size)
{
    aml_u8(r, 0x86);
    aml_u16(r, 9);
    aml_u8(r, 0); /* read only */
    aml_u32(r, base);
    aml_u32(r, size);
}

void aml_res_interrupts(struct aml *r, const u8 *irqs, u32 n)
{
    aml_u8(r, 0x89);
    aml_u16(r, 2 + 4 * n);
    aml_u8(r, 0x09); /* consumed, level, active high, shared */
    aml_u8(r, n);
    for (u32 i = 0; i < n; i++)
        aml_u32(r, irqs[i]);
}

void aml_resources(struct aml *a, const char *path, struct aml *r)
{
    aml_u8(r, 0x79); /* end tag; checksum 0: not checked */
    aml_u8(r, 0);
    aml_op(a, AML_NAME);
    aml_path(a, path);
    aml_buffer(a, r);
    free(r->data);
    *r = (struct aml){0};
}
