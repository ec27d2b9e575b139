/*
 * `-dump-tc`: what is in the translation cache, as lines of JSON: one on the whole, then one
 * for each TU, dead ones too, in the order they were made. Names and units are in
 * docs/statistics.md.
 *
 * Nothing here runs while the guest does, and nothing is kept for it but executions, with
 * -tc-count.
 */
#include "bt/context.h"
#include "bt/dump.h"
#include <stdlib.h>
#include <string.h>

enum { TCDUMP_SCHEMA = 1 };

struct tcdump {
    const struct bt *bt;
    FILE *out;
    u32 *places; /* the gpa of every TU, sorted */
    csh host, guest16, guest32;
};

/* ---- Pieces of JSON ---- */

static const char *bool_text(bool val)
{
    return val ? "true" : "false";
}

/* A list's separator: nothing before its first item. */
static const char *comma(bool *first)
{
    const char *text = *first ? "" : ",";

    *first = false;
    return text;
}

/* ---- Places that were translated more than once ---- */

static int compare_places(const void *a, const void *b)
{
    u32 x = *(const u32 *)a, y = *(const u32 *)b;

    return x < y ? -1 : x > y;
}

static u32 *sorted_places(const struct bt *bt)
{
    u32 *places = malloc(bt->tu_count * sizeof(*places));

    check(places, "out of memory");
    for (u32 i = 1; i < bt->tu_count; i++)
        places[i - 1] = bt->tus[i].gpa;
    qsort(places, bt->tu_count - 1, sizeof(*places), compare_places);
    return places;
}

/* How many of them are below gpa. */
static u32 places_below(const struct tcdump *d, u64 gpa)
{
    u32 low = 0, high = d->bt->tu_count - 1;

    while (low < high) {
        u32 mid = (low + high) / 2;

        if (d->places[mid] < gpa)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static u32 same_place(const struct tcdump *d, u32 gpa)
{
    return places_below(d, (u64)gpa + 1) - places_below(d, gpa);
}

/* ---- A TU's context ---- */

static const char *mode_name(u32 key)
{
    return key & KEY_V86 ? "v86" : key & KEY_PROT ? "protected" : "real";
}

static const char *map_name(u32 key)
{
    return !(key & KEY_MAP) ? "none" : context_user_map(key) ? "user" : "direct";
}

static void put_context(const struct tcdump *d, const struct tu *tu)
{
    static const char *const classes[] = {"flat", "base", "64k", "limit", "other", "any"};
    const struct context *c = &d->bt->contexts[tu->context];
    bool first = true;

    fprintf(d->out,
            ",\"context\":%u,\"mode\":\"%s\",\"bits\":%u,\"stack_bits\":%u,\"cpl\":%u,\"map\":"
            "\"%s\","
            "\"pic\":%s,\"df\":%s,\"iopl_ok\":%s,\"fpu_live\":%s,\"ac\":%s,\"segments\":[",
            tu->context, mode_name(c->key), c->key & KEY_CODE32 ? 32 : 16,
            c->key & KEY_STACK32 ? 32 : 16, context_cpl(c->key), map_name(c->key),
            bool_text(c->key & KEY_PIC), bool_text(c->key & KEY_DF),
            bool_text(c->key & KEY_IOPL_OK), bool_text(c->key & KEY_FPU_LIVE),
            bool_text(c->key & KEY_AC));
    for (u32 seg = ES; seg <= DS; seg++)
        fprintf(d->out, "%s\"%s\"", comma(&first), classes[context_seg(c->key, seg)]);
    fprintf(d->out, "]");
}

/* ---- Its instructions ---- */

/* How many sites have a form that they learnt, or are callouts. */
static void put_forms(const struct tcdump *d, const struct tu *tu)
{
    bool first = true;

    fprintf(d->out, ",\"forms\":{");
    for (u32 form = FORM_CHECKED; form < FORMS; form++) {
        u32 n = 0;

        for (u32 i = 0; i < tu->count; i++)
            n += tu_sites(tu)[i].form == form;
        if (n)
            fprintf(d->out, "%s\"%s\":%u", comma(&first), form_name(form), n);
    }
    fprintf(d->out, "}");
}

static void put_facts(const struct tcdump *d, const struct tu *tu)
{
    bool first = true;

    fprintf(d->out, ",\"facts\":{");
    for (u32 fact = 0; fact < FACTS; fact++) {
        u32 n = 0;

        for (u32 i = 0; i < tu->count; i++)
            n += site_facts(d->bt, tu->gpa + tu_sites(tu)[i].eip_off) >> fact & 1;
        if (n)
            fprintf(d->out, "%s\"%s\":%u", comma(&first), fact_name(fact), n);
    }
    fprintf(d->out, "}");
}

static void put_exits(const struct tcdump *d, const struct tu *tu)
{
    bool first = true;

    fprintf(d->out, ",\"exits\":[");
    for (u32 i = 0; i < tu->exit_count; i++) {
        const struct exit *e = &tu->exits[i];

        if (e->jump)
            fprintf(d->out, "%s{\"eip\":%u,\"chained\":%u,\"check\":%s,\"indirect\":%s}",
                    comma(&first), e->target, e->to, bool_text(e->check), bool_text(e->guess));
    }
    fprintf(d->out, "]");
}

/* ---- Listings ---- */

/* Its bytes, where they were when it was made: a device is never asked. */
static void read_code(const struct bt *bt, const struct tu *tu, u8 *bytes)
{
    gla_t gla = bt->contexts[tu->context].cs_base + tu->eip,
          next = gla + PAGE_SIZE - (gla & PAGE_MASK);
    u32 here = tu->crossing ? next - gla : tu->guest_size;

    memcpy(bytes, tu_code(bt, tu, gla), here);
    if (tu->crossing)
        memcpy(bytes + here, (const u8 *)(tu->crossing->place + (tu_pic(bt, tu) ? 0 : next)),
               tu->guest_size - here);
}

/* What a branch of its code leads to, an offset in its CCF. */
static void jump_label(const struct tcdump *d, const struct tu *tu, u64 to, char *text,
                       size_t size)
{
    const struct tu *other;

    for (u32 i = 0; i < tu->exit_count; i++) {
        const struct exit *e = &tu->exits[i];

        if (e->jump && (e->stub == to || (e->check && e->check == to))) {
            snprintf(text, size, "%s %08x", e->stub == to ? "exit to" : "link check of",
                     e->target);
            return;
        }
    }
    if (to >= (u64)-POLL_END_SIZE) {
        snprintf(text, size, "before the head");
        return;
    }
    other = tu_by_host((struct bt *)d->bt, tu_host(d->bt, tu) + to);
    if (!other || other == tu)
        snprintf(text, size, "%llx", (unsigned long long)to);
    else
        snprintf(text, size, "TU %u at %08x", tu_number(d->bt, other), other->eip);
}

/* The host code [from, to) as [[offset, text]…]. */
static void put_host(const struct tcdump *d, const struct tu *tu, u64 from, u64 to)
{
    const u8 *p = tu_host(d->bt, tu) + from;
    size_t n = to - from;
    cs_insn *i = cs_malloc(d->host);
    char text[DUMP_TEXT], label[64];
    bool first = true;
    u64 target;

    fprintf(d->out, "[");
    while (i && n) {
        u64 at = from;

        if (cs_disasm_iter(d->host, &p, &n, &from, i)) {
            bool jump = dump_host_jump(i, &target);

            if (jump)
                jump_label(d, tu, target, label, sizeof(label));
            dump_host_text(i, jump ? label : NULL, text, sizeof(text));
        } else {
            snprintf(text, sizeof(text), ".byte 0x%02x", *p);
            p++, n--, from++;
        }
        fprintf(d->out, "%s[%llu,\"%s\"]", comma(&first), (unsigned long long)at, text);
    }
    fprintf(d->out, "]");
    if (i)
        cs_free(i, 1);
}

static void put_site_facts(const struct tcdump *d, u8 facts)
{
    bool first = true;

    fprintf(d->out, "\"facts\":[");
    for (u32 fact = 0; fact < FACTS; fact++)
        if (facts >> fact & 1)
            fprintf(d->out, "%s\"%s\"", comma(&first), fact_name(fact));
    fprintf(d->out, "]");
}

/* Instruction n, whose bytes are here. */
static void put_insn(const struct tcdump *d, const struct tu *tu, u32 n, const u8 *bytes)
{
    const struct site *s = &tu_sites(tu)[n], *next = n + 1u < tu->count ? s + 1 : NULL;
    u32 len = (next ? next->eip_off : tu->guest_size) - s->eip_off;
    bool code32 = d->bt->contexts[tu->context].key & KEY_CODE32;
    char text[DUMP_TEXT];

    dump_guest_text(code32 ? d->guest32 : d->guest16, bytes, len, tu->eip + s->eip_off, "?",
                    text, sizeof(text));
    fprintf(d->out, "{\"eip\":%u,\"text\":\"%s\",\"bytes\":\"", tu->eip + s->eip_off, text);
    for (u32 i = 0; i < len; i++)
        fprintf(d->out, "%02x", bytes[i]);
    fprintf(d->out, "\",\"ident\":%s,\"form\":\"%s\",", bool_text(tu->ident >> n & 1),
            form_name(s->form));
    put_site_facts(d, site_facts(d->bt, tu->gpa + s->eip_off));
    fprintf(d->out, ",\"host\":");
    put_host(d, tu, s->host_off, next ? next->host_off : tu->body_size);
    fprintf(d->out, "}");
}

static void put_listing(const struct tcdump *d, const struct tu *tu)
{
    u8 bytes[MAX_TU_BYTES];
    bool first = true;

    read_code(d->bt, tu, bytes);
    fprintf(d->out, ",\"head\":");
    put_host(d, tu, 0, tu->count ? tu_sites(tu)[0].host_off : tu->body_size);
    fprintf(d->out, ",\"code\":[");
    for (u32 i = 0; i < tu->count; i++) {
        fputs(comma(&first), d->out);
        put_insn(d, tu, i, bytes + tu_sites(tu)[i].eip_off);
    }
    fprintf(d->out, "],\"stubs\":");
    put_host(d, tu, tu->body_size, tu->host_size);
}

/* ---- Lines ---- */

static void put_tu(const struct tcdump *d, const struct tu *tu, bool listing)
{
    const struct bt *bt = d->bt;
    u32 number = tu_number(bt, tu);

    fprintf(d->out, "{\"tu\":%u,\"eip\":%u,\"gla\":", number, tu->eip);
    if (tu_pic(bt, tu))
        fprintf(d->out, "null");
    else
        fprintf(d->out, "%u", bt->contexts[tu->context].cs_base + tu->eip);
    fprintf(d->out, ",\"gpa\":%u,\"gpa2\":", tu->gpa);
    if (tu->crossing)
        fprintf(d->out, "%u", tu->crossing->gpa);
    else
        fprintf(d->out, "null");
    fprintf(d->out,
            ",\"insns\":%u,\"ident\":%u,\"guest_bytes\":%u,\"host_bytes\":%u,\"body_bytes\":%u,"
            "\"host\":%u,\"same_place\":%u,\"patched\":%s,\"dead\":%s",
            tu->count, (u32)__builtin_popcount(tu->ident), tu->guest_size, tu->host_size,
            tu->body_size, tu->host, same_place(d, tu->gpa), bool_text(tu->patched),
            bool_text(tu->dead));
    if (bt->tu_runs)
        fprintf(d->out, ",\"runs\":%llu", (unsigned long long)bt->tu_runs[number]);
    put_context(d, tu);
    put_forms(d, tu);
    put_facts(d, tu);
    put_exits(d, tu);
    if (listing && !tu->dead)
        put_listing(d, tu);
    fprintf(d->out, "}\n");
}

static void put_header(const struct tcdump *d, bool listing)
{
    const struct bt *bt = d->bt;

    fprintf(
        d->out,
        "{\"schema\":%u,\"tus\":%u,\"code_bytes\":%llu,\"record_bytes\":%llu,\"flushes\":%llu,"
        "\"counted\":%s,\"listing\":%s}\n",
        TCDUMP_SCHEMA, bt->tu_count - 1, (unsigned long long)bt->used,
        (unsigned long long)cache_records_size(bt), (unsigned long long)bt->stats.flushes,
        bool_text(bt->tu_runs), bool_text(listing));
}

/* Those that were opened: the disassembler is loaded when it is needed first. */
static void close_handle(csh *cs)
{
    if (*cs)
        cs_close(cs);
}

void bt_dump(const struct vcpu *cpu, FILE *out, bool listing)
{
    struct tcdump d = {.bt = cpu->bt, .out = out};

    if (!cpu->bt)
        return;
    d.places = sorted_places(d.bt);
    listing = listing && !cs_open(CS_ARCH_X86, CS_MODE_64, &d.host) &&
              !cs_open(CS_ARCH_X86, CS_MODE_32, &d.guest32) &&
              !cs_open(CS_ARCH_X86, CS_MODE_16, &d.guest16);
    put_header(&d, listing);
    for (u32 i = 1; i < d.bt->tu_count; i++)
        put_tu(&d, &d.bt->tus[i], listing);
    close_handle(&d.host);
    close_handle(&d.guest32);
    close_handle(&d.guest16);
    free(d.places);
}
