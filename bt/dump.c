/*
 * `--trace tc`: each new TU, the guest's instructions to the left and the host's to the right,
 * with names for what the code jumps to and for what it reads of the vcpu. And `--trace perf`:
 * a line in /tmp/perf-PID.map for each, so that Linux's perf names translated code.
 *
 * Host addresses are printed as offsets in the CCF, so that listings can be compared.
 */
#include "bt/dump.h"
#include "bt/emit.h"
#include "runtime/base/debuglog.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LEFT = 44, MAX_LABELS = MAX_SLOW + 2 * MAX_EXITS };

struct dump {
    const struct xl *x;
    csh guest, host;
    struct label {
        u64 at; /* offset in the CCF */
        char text[40];
    } labels[MAX_LABELS];
    u32 label_count;
};

static const struct {
    i32 offset;
    const char *name;
} vcpu_names[] = {
    {VCPU_EIP, "eip"},
    {VCPU_EFLAGS, "eflags"},
    {VCPU_INT_FLAG, "int_flag"},
    {VCPU_INTR, "intr"},
    {VCPU_REQUESTS, "requests"},
    {TC_POLL, "poll"},
    {TC_PAGE, "page"},
    {TC_CALLOUT, "callout"},
    {TC_EXIT, "exit"},
    {TC_INDIRECT, "indirect"},
    {TC_INDIRECT_MISS, "indirect_miss"},
};

/* ---- Names of places ---- */

static void label_add(struct dump *d, u64 at, const char *fmt, ...) PRINTF(3, 4);
static void label_add(struct dump *d, u64 at, const char *fmt, ...)
{
    struct label *l = &d->labels[d->label_count];
    va_list ap;

    for (u32 i = 0; i < d->label_count; i++)
        if (d->labels[i].at == at)
            return;
    if (d->label_count == MAX_LABELS)
        return;
    d->label_count++;
    l->at = at;
    va_start(ap, fmt);
    vsnprintf(l->text, sizeof(l->text), fmt, ap);
    va_end(ap);
}

static const char *label_at(const struct dump *d, u64 at)
{
    for (u32 i = 0; i < d->label_count; i++)
        if (d->labels[i].at == at)
            return d->labels[i].text;
    return NULL;
}

static void label_all(struct dump *d)
{
    const struct xl *x = d->x;

    for (u32 i = 0; i < x->tu->exit_count; i++) {
        const struct exit *e = &x->tu->exits[i];

        label_add(d, e->stub, "exit to %08x", x->page + e->target);
        if (e->check)
            label_add(d, e->check, "link check of %08x", x->page + e->target);
    }
    for (u32 i = 0; i < x->slow_count; i++) {
        i32 rel;

        memcpy(&rel, x->start + x->slow[i].jump, 4);
        label_add(d, (u64)(x->slow[i].jump + 4 + rel), "slow path of %08x",
                  x->page + x->tu->eip + x->sites[x->slow[i].site].eip_off);
    }
}

/* ---- Lines ---- */

/* What a host instruction touches: a field of the vcpu, a table of the shadow. */
static const char *operand_remark(const char *operands)
{
    const char *p = strstr(operands, "[r15"), *spte = strstr(operands, "[r14 + r");
    i32 offset = p && p[4] == ' ' ? (i32)strtol(p + 7, NULL, 0) * (p[5] == '-' ? -1 : 1) : 0;

    if (spte && (p = strstr(spte, "*8 + ")))
        return strtol(p + 5, NULL, 0) == SHADOW_EXEC * 8 - SHADOW_BIAS ? "  ; execute spte"
                                                                       : "  ; write spte";
    if (spte)
        return "  ; read spte";
    if (strstr(operands, "gs:["))
        return "  ; direct map";
    if (strstr(operands, "[r14"))
        return "  ; execute spte";
    for (u32 i = 0; p && i < ARRAY_SIZE(vcpu_names); i++)
        if (vcpu_names[i].offset == offset) {
            static char text[24];

            snprintf(text, sizeof(text), "  ; vcpu.%s", vcpu_names[i].name);
            return text;
        }
    return "";
}

/* "dword ptr [eax]" → "dword [eax]" */
static void shorten_operands(char *text)
{
    for (char *p; (p = strstr(text, " ptr "));)
        memmove(p, p + 4, strlen(p + 4) + 1);
}

bool dump_host_jump(const cs_insn *i, u64 *to)
{
    if (i->op_str[0] != '0' || (i->mnemonic[0] != 'j' && i->mnemonic[0] != 'c'))
        return false;
    *to = strtoull(i->op_str, NULL, 16);
    return true;
}

void dump_host_text(const cs_insn *i, const char *label, char *text, size_t size)
{
    if (label)
        snprintf(text, size, "%-6s -> %s", i->mnemonic, label);
    else
        snprintf(text, size, "%-6s %s%s", i->mnemonic, i->op_str, operand_remark(i->op_str));
    shorten_operands(text);
}

static void host_text(const struct dump *d, const cs_insn *i, char *text, size_t size)
{
    const char *label = NULL;
    u64 to;

    if (dump_host_jump(i, &to))
        label = to == i->address + i->size ? "its target, once chained" : label_at(d, to);
    dump_host_text(i, label, text, size);
}

/* The host code [from, to), beside the text `left` in the first line. */
static void host_lines(const struct dump *d, u64 from, u64 to, const char *left)
{
    const u8 *p = d->x->start + from;
    size_t n = to - from;
    cs_insn *i = cs_malloc(d->host);
    char text[256];

    if (!n)
        trace_print(TRACE_TC, "%s", left);
    while (i && n) {
        const char *label = label_at(d, from);
        u64 at = from;

        if (label)
            trace_print(TRACE_TC, "%*s %s:", LEFT, "", label);
        if (cs_disasm_iter(d->host, &p, &n, &from, i)) {
            host_text(d, i, text, sizeof(text));
        } else {
            snprintf(text, sizeof(text), ".byte 0x%02x", *p);
            p++, n--, from++;
        }
        trace_print(TRACE_TC, "%-*s %4llx  %s", LEFT, left, (unsigned long long)at, text);
        left = "";
    }
    if (i)
        cs_free(i, 1);
}

void dump_guest_text(csh cs, const u8 *bytes, size_t n, u32 eip, const char *otherwise,
                     char *text, size_t size)
{
    u64 at = eip;
    cs_insn *i = cs_malloc(cs);

    if (i && cs_disasm_iter(cs, &bytes, &n, &at, i))
        snprintf(text, size, "%s %s", i->mnemonic, i->op_str);
    else
        snprintf(text, size, "%s", otherwise);
    shorten_operands(text);
    if (i)
        cs_free(i, 1);
}

static void guest_text(const struct dump *d, u32 number, char *text, size_t size)
{
    const struct insn *in = &d->x->insns[number];
    const struct site *s = &tu_sites(d->x->tu)[number];
    u32 eip = d->x->page + d->x->tu->eip + s->eip_off;
    const char *form = s->form >= FORM_CHECKED ? form_name(s->form) : "";
    char insn[DUMP_TEXT - 32];

    dump_guest_text(d->guest, in->raw, in->len, eip, insn_name(in->mnem), insn, sizeof(insn));
    snprintf(text, size, "%08x  %s%s%s", eip, insn, *form ? "  ; " : "", form);
}

static void trace_title(const struct xl *x)
{
    const struct tu *tu = x->tu;
    u32 key = x->context->key;

    trace_print(TRACE_TC,
                "TU at %08x: gla %08x, gpa %x, %u-bit, CPL %u%s%s; %u instructions, "
                "%u bytes, to %u bytes at %p",
                x->page + tu->eip, x->context->cs_base + x->page + tu->eip, tu->gpa,
                x->code32 ? 32 : 16, context_cpl(key), key & KEY_V86 ? ", V86" : "",
                key & KEY_DF ? ", DF" : "", tu->count, tu->guest_size, tu->host_size,
                (const void *)tu_host(x->bt, tu));
}

void dump_tu(const struct xl *x)
{
    const struct tu *tu = x->tu;
    struct dump d = { .x = x };
    char left[256];

    if (cs_open(CS_ARCH_X86, x->code32 ? CS_MODE_32 : CS_MODE_16, &d.guest) ||
        cs_open(CS_ARCH_X86, CS_MODE_64, &d.host))
        return;
    label_all(&d);
    trace_title(x);
    host_lines(&d, 0, tu->count ? tu_sites(tu)[0].host_off : tu->host_size,
               "          (interrupt poll)");
    for (u32 i = 0; i < tu->count; i++) {
        u64 end = i + 1 < tu->count ? tu_sites(tu)[i + 1].host_off : tu->host_size;

        guest_text(&d, i, left, sizeof(left));
        host_lines(&d, tu_sites(tu)[i].host_off, end, left);
    }
    cs_close(&d.guest);
    cs_close(&d.host);
}

void dump_guest_code(const struct xl *x)
{
    csh cs;

    if (cs_open(CS_ARCH_X86, x->code32 ? CS_MODE_32 : CS_MODE_16, &cs))
        return;
    debuglog_print("----------------\nIN: \n");
    for (u32 i = 0; i < x->tu->count; i++) {
        const struct insn *in = &x->insns[i];
        u32 eip = x->page + x->tu->eip + tu_sites(x->tu)[i].eip_off;
        char text[DUMP_TEXT], bytes[48];

        for (u32 b = 0; b < in->len; b++)
            snprintf(bytes + 3 * b, 4, "%02x ", in->raw[b]);
        dump_guest_text(cs, in->raw, in->len, eip, insn_name(in->mnem), text, sizeof(text));
        debuglog_print("0x%08x:  %-24s %s\n", x->context->cs_base + eip, bytes, text);
    }
    debuglog_print("\n");
    cs_close(&cs);
}

void dump_host(const struct bt *bt, const struct tu *tu, const u8 *pc)
{
    const u8 *p = tu_host(bt, tu);
    size_t n = tu->host_size;
    u64 at = 0;
    cs_insn *i;
    csh cs;

    if (cs_open(CS_ARCH_X86, CS_MODE_64, &cs) != CS_ERR_OK)
        return;
    i = cs_malloc(cs);
    while (i && cs_disasm_iter(cs, &p, &n, &at, i))
        fprintf(stderr, "%s %4llx  %-6s %s\n",
                i->address == (u64)(pc - tu_host(bt, tu)) ? "->" : "  ",
                (unsigned long long)i->address, i->mnemonic, i->op_str);
    if (i)
        cs_free(i, 1);
    cs_close(&cs);
}

/* Linux's perf looks names up by address. It knows no lines that go: after a flush the map has
 * several names for one place, and perf takes the last. */
void dump_perf(const struct bt *bt, const struct tu *tu)
{
    static FILE *map;
    u32 key = bt->contexts[tu->context].key;
    char path[40];

    if (!map) {
        snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
        map = fopen(path, "we");
    }
    if (!map) {
        trace_mask &= ~(1u << TRACE_PERF);
        return;
    }
    fprintf(map, "%llx %x guest_%s_%08x\n", (unsigned long long)(u64)tu_host(bt, tu),
            tu->host_size,
            key & KEY_V86       ? "v86"
            : !(key & KEY_PROT) ? "real"
            : context_cpl(key)  ? "user"
                                : "kernel",
            bt->cpu->eip);
}
