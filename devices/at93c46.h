/*
 * The serial EEPROM of a network card, 64 words: see at93c46.c. A part of its card, which owns
 * the words.
 */
#ifndef RING3_AT93C46_H
#define RING3_AT93C46_H

#include "devices/device.h"

enum { AT93C46_WORDS = 64 };

struct at93c46 {
    u16 words[AT93C46_WORDS];
    bool clock;  /* SK, as it was */
    u16 in;      /* a command's bits from the start bit on; then the address */
    u16 out;     /* the word that is read, highest bit first */
    u8 out_left; /* bits of it to come, and a zero before the first word's */
};
#define AT93C46_FIELDS(type, member)                                                           \
    FIELD(type, member.clock), FIELD(type, member.in), FIELD(type, member.out),                \
        FIELD(type, member.out_left)

/* The pins CS, SK and DI as the card's register sets them. */
void at93c46_set(struct at93c46 *e, struct device *card, bool cs, bool sk, bool di);
/* The pin DO. */
bool at93c46_get(const struct at93c46 *e);
void at93c46_loaded(struct at93c46 *e);

#endif
