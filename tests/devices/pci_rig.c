/*
 * The PCI chips' surroundings for tests.
 */
#include "tests/devices/pci_rig.h"
#include "devices/i440fx.h"
#include "devices/piix3.h"
#include "devices/piix4.h"

struct pci_rig *pci_rig_add(struct rig *r)
{
    struct pci_rig *p = machine_alloc(r->m, sizeof(*p));
    struct pci_config *bus = machine_alloc(r->m, sizeof(*bus));
    struct piix3_config *piix3 = machine_alloc(r->m, sizeof(*piix3));

    p->slot.bus = rig_add(r, &pci_class, bus);
    p->i440fx = rig_add(r, &i440fx_class, &p->slot);
    piix3->slot = p->slot;
    p->piix3 = rig_add(r, &piix3_class, piix3);
    *bus = (struct pci_config){ piix3_set_pirq, piix3_rcr_read, piix3_rcr_write, p->piix3 };
    p->piix4 = rig_add(r, &piix4_class, &p->slot);
    return p;
}
