/*
 * Atmel's AT93C46 serial EEPROM as 64 words of 16 bits (data sheet 0172). A rising clock takes
 * a bit of the command: start bit, two of opcode, six of address; READ then brings a zero and
 * the word, and the next words after it.
 *
 * The words cannot be written: it tells so (device_nyi), and reports that it is ready.
 */
#include "devices/at93c46.h"

enum { COMMAND_BITS = 9, ADDRESS_BITS = 6, READ = 2, WORD_BITS = 16 };

static void read_word(struct at93c46 *e, u16 address, u8 bits)
{
    e->in = address % AT93C46_WORDS;
    e->out = e->words[e->in];
    e->out_left = bits;
}

static void clock_rises(struct at93c46 *e, struct device *card, bool di)
{
    if (e->out_left > 1) {
        e->out_left--;
        return;
    }
    if (e->out_left == 1) {
        read_word(e, e->in + 1, WORD_BITS);
        return;
    }
    e->in = (u16)(e->in << 1 | di); /* zeros before the start bit leave no trace */
    if (!(e->in >> (COMMAND_BITS - 1)))
        return;
    if ((e->in >> ADDRESS_BITS & 3) == READ) {
        read_word(e, e->in, WORD_BITS + 1);
        return;
    }
    device_nyi(card, "EEPROM commands other than READ");
    e->in = 0;
}

void at93c46_set(struct at93c46 *e, struct device *card, bool cs, bool sk, bool di)
{
    bool rises = sk && !e->clock;

    e->clock = sk;
    if (!cs)
        e->in = e->out_left = 0;
    else if (rises)
        clock_rises(e, card, di);
}

bool at93c46_get(const struct at93c46 *e)
{
    return !e->out_left || (e->out_left <= WORD_BITS && e->out >> (e->out_left - 1) & 1);
}

void at93c46_loaded(struct at93c46 *e)
{
    e->out_left = e->out_left > WORD_BITS + 1 ? 0 : e->out_left;
    e->in &= (1 << COMMAND_BITS) - 1;
}
