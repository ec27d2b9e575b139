/*
 * The command line: walks argv along the rows of options.def. Long and short options take one
 * or two dashes, as QEMU's do. What is unknown ends the program with one line and status 1.
 */
#include "runtime/options/command_line.h"
#include "bt/bt.h"
#include "runtime/base/keyval.h"
#include "runtime/options/option_absent.h"
#include "runtime/options/option_audio.h"
#include "runtime/options/option_devices.h"
#include "runtime/options/option_drives.h"
#include "runtime/options/option_network.h"
#include "runtime/options/option_old.h"
#include "runtime/options/option_values.h"

#include <stdlib.h>
#include <string.h>

enum how { HOW_FLAG, HOW_TEXT, HOW_CALL, HOW_ONLY, HOW_IGNORE, HOW_GROUP };

struct option_row {
    const char *name; /* first: refuse_name() reads it; "" for a heading */
    const char *arg;  /* NULL: takes none */
    enum how how;
    size_t offset;    /* HOW_FLAG, HOW_TEXT: of the member of struct options */
    void (*call)(struct options *o, const char *option, const char *arg);
    const char *values; /* HOW_ONLY */
    const char *help;   /* NULL: not listed */
};

static SETTER(print_help);
static SETTER(print_version);

#define FLAG(member) HOW_FLAG, offsetof(struct options, member), NULL, NULL
#define TEXT(member) HOW_TEXT, offsetof(struct options, member), NULL, NULL
#define CALL(fn)     HOW_CALL, 0, fn, NULL
#define ONLY(values) HOW_ONLY, 0, NULL, values
#define IGNORE       HOW_IGNORE, 0, NULL, NULL

static const struct option_row options[] = {
#define GROUP(title) { "", NULL, HOW_GROUP, 0, NULL, NULL, title },
#define OPTION(name, arg, how, help) { name, arg, how, help },
#include "runtime/options/options.def"
#undef GROUP
#undef OPTION
};

enum { HELP_COLUMN = 22 };

static void print_row(const struct option_row *row)
{
    char left[80];

    if (row->how == HOW_GROUP) {
        printf("%s:\n", row->help);
        return;
    }
    snprintf(left, sizeof(left), "  -%s %s", row->name, row->arg ? row->arg : "");
    /* "…" is three bytes and one column */
    printf("%-*s ", HELP_COLUMN + (strstr(left, "…") ? 2 : 0), left);
    for (const char *p = row->help; *p; p++) {
        putchar(*p);
        if (*p == '\n')
            printf("%*s", HELP_COLUMN + 1, "");
    }
    putchar('\n');
}

static SETTER(print_help)
{
    printf("ring3 %s: runs a PC in an ordinary process.\n"
           "usage: ring3 [options] [IMAGE]    IMAGE: floppy, disk, CD, bzImage, multiboot\n",
           RING3_VERSION);
    for (u32 i = 0; i < ARRAY_SIZE(options); i++)
        if (options[i].help)
            print_row(&options[i]);
    exit(0);
}

static SETTER(print_version)
{
    printf("ring3 %s\n", RING3_VERSION);
    exit(0);
}

static const char *option_name(const char *word)
{
    return word + 1 + (word[1] == '-');
}

/* NULL: no row has that name. */
static const struct option_row *find_option(const char *word)
{
    const char *name = option_name(word);

    for (u32 i = 0; i < ARRAY_SIZE(options); i++)
        if (options[i].how != HOW_GROUP && !strcmp(options[i].name, name))
            return &options[i];
    return NULL;
}

static void apply_option(struct options *o, const struct option_row *row, const char *word,
                  const char *arg)
{
    char *member = (char *)o + row->offset;

    switch (row->how) {
    case HOW_FLAG:
        *(bool *)member = true;
        break;
    case HOW_TEXT:
        *(const char **)member = arg;
        break;
    case HOW_CALL:
        row->call(o, word, arg);
        break;
    case HOW_ONLY:
        if (!in_choices(arg, row->values))
            refuse_choice(word, arg, row->values);
        break;
    case HOW_IGNORE:
    case HOW_GROUP:
        break;
    }
}

static const struct options defaults = {
    .ram = MIB(128),
    .rtc_base = "utc",
    .append = "",
    .engine = &bt_engine,
};

/* -global holds for devices before it as well. */
static bool comes_first(const struct option_row *row)
{
    return row->how == HOW_CALL && row->call == set_global;
}

static void walk(struct options *o, int argc, char **argv, bool first)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *arg = NULL;
        const struct option_row *row;
        bool takes_arg;

        if (word[0] != '-' || !word[1]) {
            if (!first)
                set_image(o, "image", word);
            continue;
        }
        row = find_option(word);
        takes_arg = row && row->arg;
        if (!row && !absent_option(o, option_name(word), &takes_arg)) {
            if (first)
                return; /* what comes before it may be wrong, too */
            refuse_name("option", word, options, sizeof(options[0]), ARRAY_SIZE(options));
        }
        if (takes_arg) {
            if (++i == argc)
                die("%s wants an argument: %s %s", word, word, row ? row->arg : "VALUE");
            arg = argv[i];
        }
        if (row && first == comes_first(row))
            apply_option(o, row, word, arg);
    }
}

void options_parse(struct options *o, int argc, char **argv)
{
    *o = defaults;
    walk(o, argc, argv, true);
    walk(o, argc, argv, false);
    options_finish(o);
}
