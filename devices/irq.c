/*
 * Interrupt wires. A wire remembers its level and tells the other end when it changes.
 */
#include "devices/device.h"

void irq_init(struct irq *line, void (*handler)(void *owner, u32 pin, bool level), void *owner,
              u32 pin)
{
    *line = (struct irq){ handler, owner, pin, false };
}

void irq_set(struct irq *line, bool level)
{
    if (line->level == level)
        return;
    line->level = level;
    if (line->handler)
        line->handler(line->owner, line->pin, level);
}
