/*
 * QMP's questions about the machine. What this machine has not is said as its absence: no KVM,
 * no block jobs.
 */
#include "devices/pci.h"
#include "runtime/control/chardev.h"
#include "runtime/control/control.h"
#include "runtime/control/qmp_commands.h"
#include "runtime/machine/machine.h"

#include <string.h>
#include <unistd.h>

static struct json_object *new_row(struct qmp_call *call)
{
    struct json_object *row = json_object_new_object();

    if (!call->result)
        call->result = json_object_new_array();
    json_object_array_add(call->result, row);
    return row;
}

void qmp_query_none(struct qmp_call *call)
{
    call->result = json_object_new_array();
}

void qmp_query_name(struct qmp_call *call)
{
    const char *name = call->machine->options->name;

    call->result = json_object_new_object();
    if (name)
        qmp_put_string(call->result, "name", name);
}

void qmp_query_kvm(struct qmp_call *call)
{
    call->result = json_object_new_object();
    qmp_put_bool(call->result, "enabled", false);
    qmp_put_bool(call->result, "present", false);
}

void qmp_query_current_machine(struct qmp_call *call)
{
    call->result = json_object_new_object();
    qmp_put_bool(call->result, "wakeup-suspend-support", call->machine->piix4);
}

void qmp_query_target(struct qmp_call *call)
{
    call->result = json_object_new_object();
    qmp_put_string(call->result, "arch", "i386");
}

void qmp_query_memory(struct qmp_call *call)
{
    call->result = json_object_new_object();
    qmp_put_int(call->result, "base-memory", (i64)call->machine->options->ram);
}

void qmp_query_uuid(struct qmp_call *call)
{
    call->result = json_object_new_object();
    qmp_put_string(call->result, "UUID", control_uuid(call->machine));
}

void qmp_query_events(struct qmp_call *call)
{
    for (u32 i = 0; qmp_events[i]; i++)
        qmp_put_string(new_row(call), "name", qmp_events[i]);
}

void qmp_query_cpus_fast(struct qmp_call *call)
{
    struct json_object *cpu = new_row(call), *props = json_object_new_object();

    qmp_put_int(cpu, "cpu-index", 0);
    qmp_put_string(cpu, "qom-path", "/machine/unattached/device[0]");
    qmp_put_int(cpu, "thread-id", gettid());
    qmp_put_int(props, "socket-id", 0);
    qmp_put_int(props, "core-id", 0);
    qmp_put_int(props, "thread-id", 0);
    json_object_object_add(cpu, "props", props);
    qmp_put_string(cpu, "target", "i386");
}

static void tell_mouse(void *call, const char *name, u32 index, bool current)
{
    struct json_object *mouse = new_row(call);

    qmp_put_string(mouse, "name", name);
    qmp_put_int(mouse, "index", index);
    qmp_put_bool(mouse, "current", current);
    qmp_put_bool(mouse, "absolute", false);
}

void qmp_query_mice(struct qmp_call *call)
{
    control_mice(call->machine, tell_mouse, call);
}

/* ---- Character back ends ---- */

static void tell_chardev(void *arg, const char *label, const char *target, bool open)
{
    struct json_object *row = new_row(arg);

    qmp_put_string(row, "label", label);
    qmp_put_string(row, "filename", target);
    qmp_put_bool(row, "frontend-open", open);
}

void qmp_query_chardev(struct qmp_call *call)
{
    qmp_query_none(call);
    chardev_each(call->machine, tell_chardev, call);
}

/* ---- PCI ---- */

static u32 config(const struct pci_function *f, u32 offset, u32 size)
{
    u32 val = 0;

    for (u32 i = 0; i < size; i++)
        val |= (u32)f->config[offset + i] << 8 * i;
    return val;
}

/* The BARs that are there: size is what does not stick of all ones, which the mask tells. */
static struct json_object *regions(const struct pci_function *f)
{
    struct json_object *list = json_object_new_array();

    for (u32 i = 0; i < 6; i++) {
        u32 at = 0x10 + 4 * i, low = config(f, at, 4), mask = 0;
        struct json_object *r;

        for (u32 b = 0; b < 4; b++)
            mask |= (u32)f->writable[at + b] << 8 * b;
        if (!mask)
            continue;
        r = json_object_new_object();
        qmp_put_int(r, "bar", i);
        qmp_put_string(r, "type", low & 1 ? "io" : "memory");
        qmp_put_int(r, "address", low & mask);
        qmp_put_int(r, "size", (i64)(mask & -mask));
        if (!(low & 1)) {
            qmp_put_bool(r, "prefetch", low & 8);
            qmp_put_bool(r, "mem_type_64", false);
        }
        json_object_array_add(list, r);
    }
    return list;
}

static struct json_object *describe(const struct pci_function *f, u32 devfn)
{
    struct json_object *o = json_object_new_object(), *class = json_object_new_object(),
                       *id = json_object_new_object();
    u32 pin = config(f, 0x3d, 1);

    qmp_put_int(o, "bus", 0);
    qmp_put_int(o, "slot", devfn >> 3);
    qmp_put_int(o, "function", devfn & 7);
    qmp_put_int(class, "class", config(f, 0x0a, 2));
    qmp_put_string(class, "desc", pci_class_name((u16)config(f, 0x0a, 2)));
    json_object_object_add(o, "class_info", class);
    qmp_put_int(id, "vendor", config(f, 0, 2));
    qmp_put_int(id, "device", config(f, 2, 2));
    qmp_put_int(id, "subsystem-vendor", config(f, 0x2c, 2));
    qmp_put_int(id, "subsystem", config(f, 0x2e, 2));
    json_object_object_add(o, "id", id);
    if (pin)
        qmp_put_int(o, "irq", config(f, 0x3c, 1));
    qmp_put_int(o, "irq_pin", pin);
    qmp_put_string(o, "qdev_id", "");
    json_object_object_add(o, "regions", regions(f));
    return o;
}

void qmp_query_pci(struct qmp_call *call)
{
    const struct device *pci = device_find(call->machine, &pci_class, 0);
    struct json_object *bus, *devices;

    qmp_query_none(call);
    if (!pci)
        return;
    devices = json_object_new_array();
    for (u32 devfn = 0; devfn < 256; devfn++) {
        const struct pci_function *f = pci_function_at(pci, (u8)devfn);

        if (f)
            json_object_array_add(devices, describe(f, devfn));
    }
    bus = new_row(call);
    qmp_put_int(bus, "bus", 0);
    json_object_object_add(bus, "devices", devices);
}
