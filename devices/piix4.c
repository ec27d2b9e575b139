/*
 * 82371AB (PIIX4), function 3 only, at 00:01.3: ACPI power management (fixed events, control,
 * 3.579545 MHz timer, general-purpose events), the APM ports B2 and B3, and the SMBus host with
 * no device on its bus. Datasheet 82371AB, chapter 7; ACPI 1.0, 4.7.
 *
 * There is no system management mode: APMC_EN reads as set after RESET, by which firmware takes
 * the SMI handler for installed and leaves it alone, and the two commands that the ACPI tables
 * name for port B2 are carried out here. SLP_TYP 0 is S5, 1 S3 and 2 S4, as acpi.c's DSDT says.
 *
 * S3: from the write of SLP_EN on the chip is asleep, and the machine stands. A wake event asks for
 * MACHINE_WAKE, by which all chips get their state of RESET; this one then shows what woke it.
 */
#include "devices/piix4.h"

#include <string.h>

enum {
    /* configuration space */
    PMBA = 0x40, DEVACTB = 0x58, PMREGMISC = 0x80, SMBBA = 0x90, SMBHSTCFG = 0xd2,
    DEVACTB_APMC = 2, /* in byte 5B */
    PM_SIZE = 64, SMB_SIZE = 16,
    /* I/O space at PMBA */
    PMSTS = 0x00, PMEN = 0x02, PMCNTRL = 0x04, PMTMR = 0x08, GPSTS = 0x0c, GPEN = 0x0e,
    STS_TMR = 1, STS_BM = 0x10, STS_GBL = 0x20, STS_PWRBTN = 0x100, STS_RTC = 0x400,
    STS_WAK = 0x8000, STS_ALL = STS_TMR | STS_BM | STS_GBL | STS_PWRBTN | STS_RTC | STS_WAK,
    EN_ALL = STS_TMR | STS_GBL | STS_PWRBTN | STS_RTC,
    CNT_SCI = 1, CNT_SLP_TYP = 7 << 10, CNT_SLP_EN = 1 << 13, CNT_ALL = 3 | CNT_SLP_TYP,
    /* I/O space at SMBBA */
    SMBHSTSTS = 0, SMBHSTCNT = 2, SMB_DEV_ERR = 4, SMB_STS_W1C = 0x1e, SMB_START = 0x40,
    SMB_INTEREN = 1,
    SCI_IRQ = 9, SLEEP_S5 = 0, SLEEP_S3 = 1, SLEEP_S4 = 2, /* types */
    ACPI_ENABLE = 0xf1, ACPI_DISABLE = 0xf0, /* commands at B2, as FADT says */
};
#define PMTMR_HZ 3579545u
#define PMTMR_HALF 0x800000u /* bit 23 toggles: TMR_STS */

struct piix4 {
    struct device dev;
    struct pci_function pci;
    u8 pm[PM_SIZE];   /* registers but the timer, little-endian */
    u8 smb[SMB_SIZE];
    u8 apm[2];        /* B2, B3 */
    u64 toggle;       /* timer ticks at which TMR_STS is set next */
    u8 asleep;        /* in S3 */
    u16 woken_by;     /* STS_* of the event that ends it; 0: none so far */
    struct timer timer;
    u16 pm_base, smb_base; /* claimed now; 0: not */
};

static u32 get16(const u8 *p)
{
    return p[0] | p[1] << 8;
}

static void set16(u8 *p, u32 val)
{
    p[0] = val;
    p[1] = val >> 8;
}

/* ---- Time ---- */

static u64 piix4_ticks(struct piix4 *p)
{
    u64 now = clock_now(p->dev.machine);

    return now / SEC(1) * PMTMR_HZ + now % SEC(1) * PMTMR_HZ / SEC(1);
}

/* The first instant at which the counter shows `ticks`. */
static u64 piix4_time_of(u64 ticks)
{
    return ticks / PMTMR_HZ * SEC(1) + (ticks % PMTMR_HZ * SEC(1) + PMTMR_HZ - 1) / PMTMR_HZ;
}

static void piix4_next_toggle(struct piix4 *p)
{
    p->toggle = (piix4_ticks(p) / PMTMR_HALF + 1) * PMTMR_HALF;
}

/* ---- Status and SCI ---- */

static u32 piix4_status(struct piix4 *p)
{
    if (piix4_ticks(p) >= p->toggle)
        set16(p->pm + PMSTS, get16(p->pm + PMSTS) | STS_TMR);
    return get16(p->pm + PMSTS);
}

static bool piix4_smb_interrupt(const struct piix4 *p)
{
    bool to_sci = (p->pci.config[SMBHSTCFG] >> 1 & 7) == 4; /* else SMI# */

    return to_sci && (p->smb[SMBHSTCNT] & SMB_INTEREN) && (p->smb[SMBHSTSTS] & SMB_STS_W1C);
}

static void piix4_update(struct piix4 *p)
{
    u32 pending = piix4_status(p) & get16(p->pm + PMEN) & EN_ALL;
    bool sci = pending || (get16(p->pm + GPSTS) & get16(p->pm + GPEN));

    sci = sci && (p->pm[PMCNTRL] & CNT_SCI);
    irq_set(irq_isa(p->dev.machine, SCI_IRQ), sci || piix4_smb_interrupt(p));
    if ((p->pm[PMEN] & STS_TMR) && !(pending & STS_TMR))
        timer_set(&p->timer, piix4_time_of(p->toggle));
    else
        timer_cancel(&p->timer);
}

static void piix4_fire(void *owner)
{
    piix4_update(owner);
}

/* ---- S3 ---- */

bool piix4_asleep(const struct device *dev)
{
    return ((const struct piix4 *)dev)->asleep;
}

static void piix4_wake_by(struct piix4 *p, u32 status)
{
    if (!p->asleep)
        return;
    p->woken_by |= status;
    machine_request(p->dev.machine, MACHINE_WAKE);
}

/* The guest is told that it was the power button, as QEMU does: there is no bit for it. */
void piix4_wake(struct device *dev)
{
    piix4_wake_by((struct piix4 *)dev, STS_PWRBTN);
}

void piix4_rtc_alarm(struct device *dev)
{
    struct piix4 *p = (struct piix4 *)dev;

    if (get16(p->pm + PMEN) & STS_RTC)
        piix4_wake_by(p, STS_RTC);
}

void piix4_power_button(struct device *dev)
{
    struct piix4 *p = (struct piix4 *)dev;

    set16(p->pm + PMSTS, get16(p->pm + PMSTS) | STS_PWRBTN);
    piix4_update(p);
    if (get16(p->pm + PMEN) & STS_PWRBTN)
        piix4_wake_by(p, STS_PWRBTN);
}

static void piix4_suspend(struct piix4 *p)
{
    p->asleep = true;
    machine_request(p->dev.machine, MACHINE_SUSPEND);
}

static void piix4_sleep(struct piix4 *p, u32 type)
{
    if (type == SLEEP_S5)
        machine_request(p->dev.machine, MACHINE_POWER_OFF);
    else if (type == SLEEP_S3)
        piix4_suspend(p);
    else if (type == SLEEP_S4)
        machine_request(p->dev.machine, MACHINE_HIBERNATE);
    else
        trace(TRACE_NYI, "piix4: sleep type %u", type);
}

/* ---- Power management registers ---- */

static void piix4_write_status(struct piix4 *p, u32 val)
{
    u32 status = piix4_status(p) & ~(val & STS_ALL);

    if (val & STS_TMR)
        piix4_next_toggle(p);
    set16(p->pm + PMSTS, status);
}

static void piix4_write_control(struct piix4 *p, u32 val)
{
    set16(p->pm + PMCNTRL, val & CNT_ALL);
    if (val & CNT_SLP_EN)
        piix4_sleep(p, (val & CNT_SLP_TYP) >> 10);
}

static u32 piix4_pm_read(struct device *dev, u32 off, enum io_size size)
{
    struct piix4 *p = (struct piix4 *)dev;
    u8 reg[PM_SIZE + 4];
    u32 val = 0, ticks = piix4_ticks(p) & 0xffffff;

    piix4_status(p);
    memcpy(reg, p->pm, PM_SIZE);
    set16(reg + PMTMR, ticks);
    set16(reg + PMTMR + 2, ticks >> 16);
    for (u32 i = 0; i < size; i++)
        val |= (u32)(off + i < PM_SIZE ? reg[off + i] : 0xff) << 8 * i;
    return val;
}

/* Bytes [off, off+size) of val, as a 16-bit write to `reg` with the other byte as `keep`. */
static bool piix4_merge(u32 reg, u32 off, u32 size, u32 val, u32 keep, u32 *out)
{
    *out = keep;
    if (off >= reg + 2 || off + size <= reg)
        return false;
    for (u32 i = 0; i < size; i++)
        if (off + i >= reg && off + i < reg + 2)
            *out = (*out & ~(0xffu << 8 * (off + i - reg))) |
                   (val >> 8 * i & 0xff) << 8 * (off + i - reg);
    return true;
}

static void piix4_pm_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct piix4 *p = (struct piix4 *)dev;
    u32 v;

    if (piix4_merge(PMSTS, off, size, val, 0, &v))
        piix4_write_status(p, v);
    if (piix4_merge(PMEN, off, size, val, get16(p->pm + PMEN), &v))
        set16(p->pm + PMEN, v & EN_ALL);
    if (piix4_merge(PMCNTRL, off, size, val, get16(p->pm + PMCNTRL), &v))
        piix4_write_control(p, v);
    if (piix4_merge(GPSTS, off, size, val, 0, &v))
        set16(p->pm + GPSTS, get16(p->pm + GPSTS) & ~v);
    if (piix4_merge(GPEN, off, size, val, get16(p->pm + GPEN), &v))
        set16(p->pm + GPEN, v);
    for (u32 i = 0; i < size; i++) /* processor and device control: remembered */
        if (off + i >= 0x10 && off + i < PM_SIZE)
            p->pm[off + i] = val >> 8 * i;
    piix4_update(p);
}

/* ---- APM ports ---- */

static u32 piix4_apm_read(struct device *dev, u32 off, enum io_size size)
{
    return ((struct piix4 *)dev)->apm[off & 1];
}

static void piix4_apm_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct piix4 *p = (struct piix4 *)dev;

    p->apm[off & 1] = val;
    if (off != 0)
        return;
    if (val == ACPI_ENABLE)
        p->pm[PMCNTRL] |= CNT_SCI;
    else if (val == ACPI_DISABLE)
        p->pm[PMCNTRL] &= ~CNT_SCI;
    else
        trace(TRACE_NYI, "piix4: SMI command %02x", val);
    piix4_update(p);
}

/* ---- SMBus host: each transaction ends with "no such device" ---- */

static u32 piix4_smb_read(struct device *dev, u32 off, enum io_size size)
{
    return ((struct piix4 *)dev)->smb[off % SMB_SIZE];
}

static void piix4_smb_write(struct device *dev, u32 off, enum io_size size, u32 val)
{
    struct piix4 *p = (struct piix4 *)dev;

    if (off == SMBHSTSTS)
        p->smb[off] &= ~(val & SMB_STS_W1C);
    else
        p->smb[off % SMB_SIZE] = val;
    if (off == SMBHSTCNT && (val & SMB_START)) {
        p->smb[SMBHSTCNT] &= ~SMB_START;
        p->smb[SMBHSTSTS] |= SMB_DEV_ERR;
    }
    piix4_update(p);
}

/* ---- Configuration ---- */

static void piix4_move(struct piix4 *p, u16 *base, u16 to, u32 size, const struct io_ops *ops)
{
    if (*base == to)
        return;
    if (*base)
        bus_release_ports(&p->dev, *base, size);
    *base = to;
    if (to)
        bus_claim_ports(&p->dev, to, size, ops);
}

static void piix4_written(struct pci_function *f, u32 off, u32 size)
{
    static const struct io_ops pm = {piix4_pm_read, piix4_pm_write, IO_8 | IO_16 | IO_32};
    static const struct io_ops smb = {piix4_smb_read, piix4_smb_write, IO_8};
    struct piix4 *p = container_of(f, struct piix4, pci);
    const u8 *c = f->config;

    piix4_move(p, &p->pm_base, c[PMREGMISC] & 1 ? get16(c + PMBA) & 0xffc0 : 0, PM_SIZE, &pm);
    piix4_move(p, &p->smb_base, c[SMBHSTCFG] & 1 ? get16(c + SMBBA) & 0xfff0 : 0, SMB_SIZE,
               &smb);
}

static void piix4_reset(struct device *dev)
{
    struct piix4 *p = (struct piix4 *)dev;
    u8 *c = p->pci.config;

    memset(c + PMBA, 0, 0x100 - PMBA);
    c[PMBA] = c[SMBBA] = 1; /* I/O space */
    c[DEVACTB + 3] = DEVACTB_APMC;
    pci_reset(&p->pci);
    memset(p->pm, 0, sizeof(p->pm));
    memset(p->smb, 0, sizeof(p->smb));
    memset(p->apm, 0, sizeof(p->apm));
    p->asleep = false;
    p->woken_by = 0;
    piix4_next_toggle(p);
    piix4_update(p);
}

/* ACPI 1.0b, 4.7.3.1.1: WAK_STS is set, and the status of what woke it. */
static void piix4_woken(struct device *dev)
{
    struct piix4 *p = (struct piix4 *)dev;
    u16 by = p->woken_by;

    piix4_reset(dev);
    set16(p->pm + PMSTS, STS_WAK | by);
}

static void piix4_loaded(struct device *dev)
{
    struct piix4 *p = (struct piix4 *)dev;

    piix4_written(&p->pci, PMBA, 1);
    if (p->toggle > piix4_ticks(p) + PMTMR_HALF) /* only a broken file says so */
        piix4_next_toggle(p);
    p->asleep = !!p->asleep;
    p->woken_by &= STS_PWRBTN | STS_RTC;
    piix4_update(p);
    if (p->asleep)
        piix4_suspend(p);
}

static bool piix4_attach(struct device *dev)
{
    static const struct io_ops apm = {piix4_apm_read, piix4_apm_write, IO_8};
    struct piix4 *p = (struct piix4 *)dev;

    timer_init(&p->timer, dev->machine, piix4_fire, p);
    pci_init(&p->pci, dev, 0x8086, 0x7113, 0x068000, 3, PCI_COMMAND_IO);
    p->pci.config[0x06] = 0x80; /* fast back to back */
    p->pci.config[0x07] = 0x02; /* medium DEVSEL */
    p->pci.config[0x3d] = 1;    /* INTA# */
    memset(p->pci.writable + PMBA, 0xff, 0x100 - PMBA);
    p->pci.writable[PMBA] = 0xc0;
    p->pci.writable[SMBBA] = 0xf0;
    for (u32 i = 2; i < 4; i++)
        p->pci.writable[PMBA + i] = p->pci.writable[SMBBA + i] = 0;
    p->pci.written = piix4_written;
    pci_add(pci_slot_bus(dev), 0x0b, &p->pci);
    return bus_claim_ports(dev, 0xb2, 2, &apm);
}

static const struct field piix4_fields[] = {
    FIELD_ARRAY(struct piix4, pci.config), FIELD_ARRAY(struct piix4, pm),
    FIELD_ARRAY(struct piix4, smb), FIELD_ARRAY(struct piix4, apm), FIELD(struct piix4, toggle),
    FIELD(struct piix4, asleep), FIELD(struct piix4, woken_by), FIELD_END
};

const struct device_class piix4_class = {
    .name = "piix4",
    .size = sizeof(struct piix4),
    .attach = piix4_attach,
    .reset = piix4_reset,
    .woken = piix4_woken,
    .loaded = piix4_loaded,
    .fields = piix4_fields,
};
