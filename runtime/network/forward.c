/*
 * See forward.h.
 */
#include "runtime/network/forward.h"
#include "runtime/base/keyval.h"

#include <arpa/inet.h>
#include <string.h>

/* Takes what is before the separator off *text. False: there is none, or it is too long. */
static bool take_word(const char **text, char separator, char word[64])
{
    const char *end = strchr(*text, separator);

    if (!end || end - *text >= 64)
        return false;
    snprintf(word, 64, "%.*s", (int)(end - *text), *text);
    *text = end + 1;
    return true;
}

/* [ADDRESS]:PORT; the port at the end of the text, or before the separator. */
static bool take_end(const char **text, char separator, u32 lowest, struct in_addr *a,
                     u32 *port)
{
    char word[64];

    if (!take_word(text, ':', word) || (*word && !inet_aton(word, a)))
        return false;
    if (separator && !take_word(text, separator, word))
        return false;
    if (!separator)
        snprintf(word, sizeof(word), "%s", *text);
    return parse_u32(word, port) && *port >= lowest && *port <= 65535;
}

static bool take_protocol(const char **text, const char *names, struct forward *f)
{
    char word[64];

    memset(f, 0, sizeof(*f));
    if (!take_word(text, ':', word) || (*word && !in_choices(word, names)))
        return false;
    f->udp = !strcmp(word, "udp");
    return true;
}

bool forward_parse(const char *rule, struct forward *f)
{
    return take_protocol(&rule, "tcp|udp", f) &&
           take_end(&rule, '-', 0, &f->host, &f->host_port) &&
           take_end(&rule, '\0', 1, &f->guest, &f->guest_port);
}

bool forward_parse_host(const char *rule, struct forward *f)
{
    return take_protocol(&rule, "tcp|udp", f) &&
           take_end(&rule, '\0', 0, &f->host, &f->host_port);
}

bool forward_parse_server(const char *rule, struct forward *f, const char **target)
{
    bool good =
        take_protocol(&rule, "tcp", f) && take_end(&rule, '-', 1, &f->host, &f->host_port);

    *target = rule;
    return good && *rule;
}
