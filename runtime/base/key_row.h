/*
 * "key=value" as a row: what a key of an option or of a user's device sets in a struct.
 * runtime/base/keyval.c reads them.
 */
#ifndef RING3_KEY_ROW_H
#define RING3_KEY_ROW_H

#include "runtime/base/base.h"

enum key_kind {
    KEY_TEXT,   /* const char *, lives as long as the process */
    KEY_CHOICE, /* the same, one of `choices` */
    KEY_BOOL,   /* bool: on, off, true, false, yes, no; the bare key means on */
    KEY_U8,     /* a number of that size: decimal, 0x hexadecimal */
    KEY_U16,
    KEY_U32,
    KEY_MAC,    /* u8[6]: six bytes in hexadecimal, with ":" or "-" between them */
    KEY_DEVFN,  /* u8: SLOT or SLOT.FUNCTION of PCI, hexadecimal; slot << 3 | function */
    KEY_LIST,   /* struct key_list: the key may be given several times */
    KEY_IGNORE, /* accepted and without effect */
    /* Only of a user's device: the id of a back end. The member is a pointer to that, filled in
     * when the device is made; NULL: not given. */
    KEY_CHARDEV,  /* struct chardev * */
    KEY_NETDEV,   /* struct netdev * */
    KEY_AUDIODEV, /* struct audiodev * */
    KEY_DRIVE,    /* struct disk * */
};

enum { KEY_LIST_MAX = 16 };
struct key_list {
    const char *item[KEY_LIST_MAX];
    u32 count;
};

/* One row per key. */
struct key_row {
    const char *name;
    enum key_kind kind;
    size_t offset;       /* of the member it sets */
    const char *choices; /* KEY_CHOICE: "ide|floppy" */
    u32 max;             /* of a number; 0: what the member holds */
    bool required;       /* of a back end's id */
    const char *help;    /* for -device NAME,help; may be NULL */
};
/* clang-format off */
#define KEY(type, member, kind) { #member, kind, offsetof(type, member), NULL }
/* clang-format on */

#endif
