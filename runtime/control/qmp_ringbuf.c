/*
 * QMP's way into a -chardev ringbuf: as text, or in base64 (RFC 4648, 4).
 */
#include "runtime/control/chardev.h"
#include "runtime/control/qmp_commands.h"

#include <stdlib.h>
#include <string.h>

static const char letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* ---- Base64 ---- */

/* To be freed. */
static char *encode(const u8 *data, u32 n)
{
    char *text = malloc((n + 2) / 3 * 4 + 1), *to = text;

    check(text, "out of memory");
    for (u32 i = 0; i < n; i += 3) {
        u32 left = n - i, bits = (u32)data[i] << 16;

        bits |= left > 1 ? (u32)data[i + 1] << 8 : 0;
        bits |= left > 2 ? data[i + 2] : 0;
        *to++ = letters[bits >> 18];
        *to++ = letters[bits >> 12 & 63];
        *to++ = left > 1 ? letters[bits >> 6 & 63] : '=';
        *to++ = left > 2 ? letters[bits & 63] : '=';
    }
    *to = '\0';
    return text;
}

/* In place. False: it is none. */
static bool decode(char *text, u32 *n)
{
    u32 size = (u32)strlen(text), bits = 0, pads = 0;

    while (pads < 2 && pads < size && text[size - 1 - pads] == '=')
        pads++;
    *n = 0;
    for (u32 i = 0; i < size - pads; i++) {
        const char *at = strchr(letters, text[i]);

        if (!at)
            return false;
        bits = bits << 6 | (u32)(at - letters);
        if (i % 4)
            text[(*n)++] = (char)(bits >> (6 - 2 * (i % 4)));
    }
    return size % 4 == 0;
}

/* ---- Text ---- */

/* Bytes of the UTF-8 character there (RFC 3629, 4); 0: it is none. */
static u32 character(const u8 *p, u32 left)
{
    u32 n = *p < 0x80                 ? 1
            : *p >= 0xc2 && *p < 0xe0 ? 2
            : *p >= 0xe0 && *p < 0xf0 ? 3
            : *p >= 0xf0 && *p < 0xf5 ? 4
                                      : 0;

    if (n > left || (*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) ||
        (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))
        return 0;
    for (u32 i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

/* JSON has only Unicode: what is no character becomes the one that stands for such. */
static struct json_object *text_of(const u8 *data, u32 n)
{
    static const char bad[] = "\xef\xbf\xbd";
    char *text = malloc(3 * (size_t)n + 1), *to = text;
    struct json_object *o;

    check(text, "out of memory");
    for (u32 i = 0; i < n;) {
        u32 size = character(data + i, n - i);

        memcpy(to, size ? (const char *)data + i : bad, size ? size : 3);
        to += size ? size : 3;
        i += size ? size : 1;
    }
    o = json_object_new_string_len(text, (int)(to - text));
    free(text);
    return o;
}

/* ---- The commands ---- */

static bool wants_base64(struct qmp_call *call, bool *base64)
{
    const char *format = qmp_arg_string(call, "format");

    *base64 = format && !strcmp(format, "base64");
    if (!format || *base64 || !strcmp(format, "utf8"))
        return true;
    qmp_reply_error(call, "GenericError", "Parameter 'format' does not accept value '%s'",
                    format);
    return false;
}

void qmp_ringbuf_write(struct qmp_call *call)
{
    char *data = strdup(qmp_arg_string(call, "data"));
    u32 n = (u32)strlen(data);
    bool base64;

    if (!wants_base64(call, &base64))
        ;
    else if (base64 && !decode(data, &n))
        qmp_reply_error(call, "GenericError", "Base64 data is not valid");
    else
        qmp_reply_outcome(call,
                          chardev_ring_write(call->machine, qmp_arg_string(call, "device"),
                                             (const u8 *)data, n));
    free(data);
}

void qmp_ringbuf_read(struct qmp_call *call)
{
    i64 size = qmp_arg_int(call, "size", 0);
    const char *error;
    char *text;
    bool base64;
    u8 *data;
    u32 n;

    if (!wants_base64(call, &base64))
        return;
    if (size <= 0) {
        qmp_reply_error(call, "GenericError", "size must be greater than zero");
        return;
    }
    error =
        chardev_ring_read(call->machine, qmp_arg_string(call, "device"), (u64)size, &data, &n);
    qmp_reply_outcome(call, error);
    if (error)
        return;
    text = base64 ? encode(data, n) : NULL;
    call->result = base64 ? json_object_new_string(text) : text_of(data, n);
    free(text);
    free(data);
}
