/*
 * Reading QEMU's option lists, and refusing what is not in them. The nearest name is the one
 * with the least edit distance (Damerau and Levenshtein's, neighbours swapped count one); it is
 * always given, since the user sees at once when it is far off.
 */
#include "runtime/base/keyval.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 64

static u32 min2(u32 a, u32 b)
{
    return a < b ? a : b;
}

/* One row of the distance table: row[j] is the distance of a[0..i] to b[0..j]. */
static void distance_row(const char *a, const char *b, u32 i, u32 nb, u32 (*d)[WORD_MAX + 1])
{
    d[i][0] = i;
    for (u32 j = 1; j <= nb; j++) {
        bool same = tolower((u8)a[i - 1]) == tolower((u8)b[j - 1]);
        u32 best = min2(d[i - 1][j], d[i][j - 1]) + 1;

        best = min2(best, d[i - 1][j - 1] + !same);
        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
            best = min2(best, d[i - 2][j - 2] + 1);
        d[i][j] = best;
    }
}

u32 edit_distance(const char *a, const char *b)
{
    u32 d[WORD_MAX + 1][WORD_MAX + 1];
    u32 na = (u32)strnlen(a, WORD_MAX), nb = (u32)strnlen(b, WORD_MAX);

    for (u32 j = 0; j <= nb; j++)
        d[0][j] = j;
    for (u32 i = 1; i <= na; i++)
        distance_row(a, b, i, nb, d);
    return d[na][nb];
}

_Noreturn void refuse_name(const char *where, const char *word, const void *first,
                           size_t stride, u32 n)
{
    const char *nearest = "";
    u32 least = ~0u;

    for (u32 i = 0; i < n; i++) {
        const char *name = *(const char *const *)((const char *)first + i * stride);
        u32 distance = edit_distance(word, name);

        if (*name && distance < least) {
            least = distance;
            nearest = name;
        }
    }
    die("%s '%s' is not known; nearest is '%s%s'", where, word, word[0] == '-' ? "-" : "",
        nearest);
}

/* Copies the next word of "a|b|c" and moves past it; false at the end. */
static bool next_choice(const char **choices, char word[WORD_MAX])
{
    size_t n = strcspn(*choices, "|");

    if (!n)
        return false;
    check(n < WORD_MAX, "choice of %zu letters", n);
    memcpy(word, *choices, n);
    word[n] = '\0';
    *choices += n + ((*choices)[n] == '|');
    return true;
}

bool in_choices(const char *word, const char *choices)
{
    char choice[WORD_MAX];

    while (next_choice(&choices, choice))
        if (!strcmp(word, choice))
            return true;
    return false;
}

_Noreturn void refuse_choice(const char *where, const char *word, const char *choices)
{
    char words[32][WORD_MAX];
    const char *names[32];
    u32 n = 0;

    while (n < ARRAY_SIZE(words) && next_choice(&choices, words[n])) {
        names[n] = words[n];
        n++;
    }
    refuse_name(where, word, names, sizeof(names[0]), n);
}

bool parse_u32(const char *text, u32 *val)
{
    char *end;
    unsigned long long v;

    errno = 0;
    v = strtoull(text, &end, 0);
    if (!isdigit((u8)text[0]) || *end || errno || v > UINT32_MAX)
        return false;
    *val = (u32)v;
    return true;
}

bool parse_size(const char *text, u64 unit, u64 *size)
{
    static const char suffixes[] = "BKMGT";
    char *end;
    double v = strtod(text, &end);
    const char *suffix;

    if (!isdigit((u8)text[0]) || end == text)
        return false;
    if (*end) {
        suffix = strchr(suffixes, toupper((u8)*end));
        if (!suffix || end[1])
            return false;
        unit = 1ull << 10 * (suffix - suffixes);
    }
    if (v * (double)unit >= 0x1p62)
        return false;
    *size = (u64)(v * (double)unit);
    return true;
}

/* ---- Texts that live as long as the process ---- */

static struct kept {
    struct kept *next;
    u64 unused; /* so that what follows is aligned */
    char text[];
} *kept_texts; /* from any thread */

static char *keep_bytes(size_t size)
{
    struct kept *k = malloc(sizeof(*k) + size);

    check(k, "out of memory");
    k->next = __atomic_exchange_n(&kept_texts, k, __ATOMIC_ACQ_REL);
    return k->text;
}

void *keep_zeroed(size_t size)
{
    return memset(keep_bytes(size), 0, size);
}

char *keep_format(const char *fmt, ...)
{
    va_list args;
    char *text;
    int n;

    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    check(n >= 0, "'%s' cannot be formatted", fmt);
    text = keep_bytes((size_t)n + 1);
    va_start(args, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, args);
    va_end(args);
    return text;
}

/* ---- Lists ---- */

/* The length of the list's first item as it is written. */
static size_t item_length(const char *list)
{
    const char *p = list;

    while (*p && (*p != ',' || p[1] == ','))
        p += 1 + (*p == ',');
    return (size_t)(p - list);
}

/* Takes one item off the list: "," ends it and ",," is a comma. */
static char *next_item(const char **list)
{
    const char *p = *list;
    char *item = keep_bytes(strlen(p) + 1), *out = item;

    while (*p && (*p != ',' || p[1] == ',')) {
        if (*p == ',')
            p++;
        *out++ = *p++;
    }
    *out = '\0';
    *list = *p ? p + 1 : p;
    return item;
}

static bool parse_bool(const char *val, bool *on)
{
    *on = in_choices(val, "on|yes|true|y");
    return *on || in_choices(val, "off|no|false|n");
}

static void set_number(const char *what, const struct key_row *row, const char *val,
                       char *member)
{
    u32 size = row->kind == KEY_U8 ? 1 : row->kind == KEY_U16 ? 2 : 4, number;
    u32 max = row->max ? row->max : ~0u >> (32 - 8 * size);

    if (!parse_u32(val, &number))
        die("%s '%s' is no number", what, val);
    if (number > max)
        die("%s '%s': at most %s", what, val, keep_format(max < 1024 ? "%u" : "%#x", max));
    memcpy(member, &number, size);
}

static void set_mac(const char *what, const char *val, u8 mac[6])
{
    for (u32 i = 0; i < 6; i++) {
        const char *p = val + 3 * i;

        if (!isxdigit((u8)p[0]) || !isxdigit((u8)p[1]) ||
            (i < 5 ? !strchr(":-", p[2]) || !p[2] : p[2]))
            die("%s '%s' is no MAC address: 52:54:00:12:34:56", what, val);
        mac[i] = (u8)strtoul(p, NULL, 16);
    }
}

static void set_devfn(const char *what, const char *val, u8 *devfn)
{
    char *end;
    unsigned long slot = strtoul(val, &end, 16), function = 0;

    if (isxdigit((u8)val[0]) && *end == '.' && isxdigit((u8)end[1]))
        function = strtoul(end + 1, &end, 16);
    if (!isxdigit((u8)val[0]) || *end || slot > 31 || function > 7 || !(slot | function))
        die("%s '%s' is no PCI slot: 1 to 1f, hexadecimal, or with a function: 3.0", what, val);
    *devfn = (u8)(slot << 3 | function);
}

static void add_item(const char *what, struct key_list *list, const char *val)
{
    if (list->count == KEY_LIST_MAX)
        die("%s given more than %d times", what, KEY_LIST_MAX);
    list->item[list->count++] = val;
}

static void set_key(const char *what, const struct key_row *row, const char *val, char *target)
{
    char *member = target + row->offset;

    switch (row->kind) {
    case KEY_CHOICE:
        if (!in_choices(val, row->choices))
            refuse_choice(what, val, row->choices);
        /* fall through */
    case KEY_TEXT:
    case KEY_CHARDEV:
    case KEY_NETDEV:
    case KEY_AUDIODEV:
    case KEY_DRIVE:
        *(const char **)member = val;
        break;
    case KEY_BOOL:
        if (!parse_bool(val, (bool *)member))
            refuse_choice(what, val, "on|off");
        break;
    case KEY_U8:
    case KEY_U16:
    case KEY_U32:
        set_number(what, row, val, member);
        break;
    case KEY_MAC:
        set_mac(what, val, (u8 *)member);
        break;
    case KEY_DEVFN:
        set_devfn(what, val, (u8 *)member);
        break;
    case KEY_LIST:
        add_item(what, (struct key_list *)member, val);
        break;
    case KEY_IGNORE:
        break;
    }
}

void keyval_read(const char *where, const char *list, const char *implied,
                 const struct key_row *rows, u32 n, void *target)
{
    char what[160];

    for (bool first = true; *list; first = false) {
        char *key = next_item(&list), *equals = strchr(key, '=');
        const char *val = equals ? equals + 1 : "on";
        bool bare = first && implied && !equals;
        u32 i = 0;

        if (equals)
            *equals = '\0';
        if (bare) {
            val = key;
            key = (char *)implied;
        }
        while (i < n && strcmp(rows[i].name, key))
            i++;
        snprintf(what, sizeof(what), "%s key", where);
        if (i == n)
            refuse_name(what, key, rows, sizeof(rows[0]), n);
        snprintf(what, sizeof(what), bare ? "%s" : "%s %s:", where, key);
        set_key(what, &rows[i], val, target);
    }
}

const char *keyval_take(const char *list, const char *key, const char **value)
{
    size_t n = strlen(key);
    char *left = keep_bytes(strlen(list) + 1), *out = left;

    *value = NULL;
    while (*list) {
        size_t length = item_length(list);
        const char *item = list;

        if (!strncmp(item, key, n) && item[n] == '=') {
            *value = next_item(&list) + n + 1;
            continue;
        }
        out += sprintf(out, "%s%.*s", out > left ? "," : "", (int)length, item);
        list += length + (item[length] == ',');
    }
    *out = '\0';
    return left;
}

const char *keyval_value(const char *text)
{
    char *value = keep_bytes(2 * strlen(text) + 1), *out = value;

    for (; *text; text++) {
        *out++ = *text;
        if (*text == ',')
            *out++ = ',';
    }
    *out = '\0';
    return value;
}
