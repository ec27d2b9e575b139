/*
 * The 82540EM's transceiver (Marvell's 88E1011S as Intel documents it: 317453, 13.4.3 and 8)
 * and its serial EEPROM (a 93C46 of 64 words: 5.6 and 13.4.3).
 *
 * Negotiation takes a while, in which there is no link; then its state is the cable's, at 1000
 * Mb/s, full duplex.
 */
#include "devices/e1000_private.h"

#include <string.h>

enum {
    PHY_ADDRESS = 1, PCTRL = 0, PSTATUS = 1, PHY_ID1 = 2, PHY_ID2 = 3, ANA = 4, LPA = 5,
    ANE = 6, GCON = 9, GSTATUS = 10, ESTATUS = 15, PSCON = 16, PSSTAT = 17, PINTE = 18,
    EPSCON1 = 20, PCTRL_RESET = 0x8000, PCTRL_LOOPBACK = 0x4000, PCTRL_AUTO = 0x1000,
    PCTRL_RESTART = 0x0200, PSTATUS_DONE = 0x20, PSTATUS_LINK = 0x04, LPA_ALL = 0x45e1,
    GSTATUS_OK = 0x3c00, PSSTAT_RESOLVED = 0x0800, PSSTAT_LINK = 0x0400,
    PSSTAT_SPEED = 0xa000, /* 1000 Mb/s, full duplex */
    MDIC_READY = 1 << 28, MDIC_INTERRUPT = 1 << 29, MDIC_ERROR = 1 << 30, MDIC_WRITE = 1 << 26,
    MDIC_READ = 2 << 26, MDIC_OP = 3 << 26, EECD_SK = 0x1, EECD_CS = 0x2, EECD_DI = 0x4,
    EECD_DO = 0x8, EECD_FWE = 0x30, EECD_REQ = 0x40, EECD_GNT = 0x80, EECD_PRES = 0x100,
    EERD_START = 0x1, EERD_DONE = 0x10, EEPROM_SUM = 0xbaba,
};
#define NEGOTIATION MSEC(50)

/* ---- The link ---- */

static bool negotiates(const struct e1000 *s)
{
    return s->phy[PCTRL] & PCTRL_AUTO;
}

static void set_link(struct e1000 *s, bool up)
{
    u32 *status = e1000_reg(s, STATUS);
    bool was = *status & STATUS_LU;

    *status = up ? *status | STATUS_LU : *status & ~(u32)STATUS_LU;
    s->phy[PSTATUS] &= (u16)~(PSTATUS_LINK | PSTATUS_DONE);
    s->phy[PSSTAT] = 0;
    s->phy[LPA] = s->phy[GSTATUS] = 0;
    if (up) {
        s->phy[PSTATUS] |= PSTATUS_LINK | (negotiates(s) ? PSTATUS_DONE : 0);
        s->phy[PSSTAT] = PSSTAT_SPEED | PSSTAT_RESOLVED | PSSTAT_LINK;
        s->phy[LPA] = LPA_ALL;
        s->phy[GSTATUS] = GSTATUS_OK;
    }
    if (up != was)
        e1000_cause(s, ICR_LSC);
}

void e1000_negotiated(void *owner)
{
    struct e1000 *s = owner;

    set_link(s, nic_link(&s->dev));
}

static void negotiate(struct e1000 *s)
{
    set_link(s, false);
    timer_set(&s->negotiate, clock_now(s->dev.machine) + NEGOTIATION);
}

void e1000_phy_link(struct e1000 *s)
{
    if (nic_link(&s->dev))
        negotiate(s);
    else
        set_link(s, false);
}

void e1000_phy_reset(struct e1000 *s)
{
    static const u16 defaults[PHY_REGS] = {
        [PCTRL] = 0x1140,   [PSTATUS] = 0x7949, [PHY_ID1] = 0x0141,
        [PHY_ID2] = 0x0c20, [ANA] = 0x0de1,     [GCON] = 0x0e00,
        [ESTATUS] = 0x3000, [PSCON] = 0x0360,   [EPSCON1] = 0x0d60,
    };

    memcpy(s->phy, defaults, sizeof(s->phy));
    negotiate(s);
}

bool e1000_loops(const struct e1000 *s)
{
    return s->phy[PCTRL] & PCTRL_LOOPBACK || s->reg[RCTL / 4] & RCTL_LBM;
}

static void phy_write(struct e1000 *s, u32 reg, u16 val)
{
    static const u16 writable[PHY_REGS] = {
        [ANA] = 0xffff, [GCON] = 0xff00, [PSCON] = 0xffff, [PINTE] = 0xffff, [EPSCON1] = 0xffff,
        [29] = 0xffff, [30] = 0xffff, /* page and data of the transceiver's tuning */
    };

    if (reg != PCTRL) {
        s->phy[reg] = (u16)((s->phy[reg] & ~writable[reg]) | (val & writable[reg]));
        return;
    }
    if (val & PCTRL_RESET) {
        e1000_phy_reset(s);
        return;
    }
    s->phy[PCTRL] = (u16)(val & ~PCTRL_RESTART & 0xffc0);
    if (val & PCTRL_AUTO && val & PCTRL_RESTART)
        negotiate(s);
}

void e1000_mdic_write(struct e1000 *s, u32 val)
{
    u32 reg = val >> 16 & 31, address = val >> 21 & 31,
        result = (val & ~(u32)MDIC_ERROR) | MDIC_READY;

    if (address != PHY_ADDRESS) {
        result |= MDIC_ERROR;
    } else if ((val & MDIC_OP) == MDIC_READ) {
        result = (result & 0xffff0000) | s->phy[reg];
    } else if ((val & MDIC_OP) == MDIC_WRITE) {
        phy_write(s, reg, (u16)val);
    }
    *e1000_reg(s, MDIC) = result;
    if (val & MDIC_INTERRUPT)
        e1000_cause(s, ICR_MDAC);
}

/* ---- The EEPROM ---- */

/* Words of 317453, table 5-2: address, compatibility, ids, set-up; they add up to BABA. */
void e1000_eeprom_make(struct e1000 *s)
{
    const u8 *mac = nic_config(&s->dev)->mac;
    u16 sum = 0;

    memset(s->eeprom.words, 0xff, sizeof(s->eeprom.words));
    for (u32 i = 0; i < 3; i++)
        s->eeprom.words[i] = (u16)(mac[2 * i] | mac[2 * i + 1] << 8);
    s->eeprom.words[0x03] = 0;
    s->eeprom.words[0x0a] =
        0x4408; /* initialization control 1: signature, ids of its own, full duplex */
    s->eeprom.words[0x0b] = 0x1100;
    s->eeprom.words[0x0c] = 0x1af4;
    s->eeprom.words[0x0d] = 0x100e;
    s->eeprom.words[0x0e] = 0x8086;
    s->eeprom.words[0x0f] = 0x3040;
    for (u32 i = 0; i < AT93C46_WORDS - 1; i++)
        sum += s->eeprom.words[i];
    s->eeprom.words[AT93C46_WORDS - 1] = (u16)(EEPROM_SUM - sum);
}

void e1000_eerd_write(struct e1000 *s, u32 val)
{
    u32 word = val >> 8 & 0xff;

    if (val & EERD_START)
        val = (val & 0xff00) | EERD_DONE |
              (u32)(word < AT93C46_WORDS ? s->eeprom.words[word] : 0xffff) << 16;
    *e1000_reg(s, EERD) = val;
}

void e1000_eecd_write(struct e1000 *s, u32 val)
{
    *e1000_reg(s, EECD) = val & (EECD_SK | EECD_CS | EECD_DI | EECD_FWE | EECD_REQ);
    at93c46_set(&s->eeprom, &s->dev, val & EECD_CS, val & EECD_SK, val & EECD_DI);
}

u32 e1000_eecd_read(const struct e1000 *s)
{
    u32 val = s->reg[EECD / 4] | EECD_PRES;

    if (val & EECD_REQ)
        val |= EECD_GNT;
    return at93c46_get(&s->eeprom) ? val | EECD_DO : val;
}
