/* explain - see explain.h. A text that words.c does not know is passed on as it is. */
#include "rabbit/explain.h"

#include "base/text.h"
#include "rabbit/words.h"

#include <stdio.h>
#include <string.h>

const char *explain_queue_type(enum queue_type type)
{
    return type == QUEUE_QUORUM ? "quorum" : type == QUEUE_CLASSIC ? "classic" : "";
}

static bool is_of_dead_letters(struct slice argument)
{
    static const char dead[] = "x-dead-letter-";

    return slice_is(argument, "x-overflow") ||
           (argument.len >= sizeof dead - 1 && memcmp(argument.data, dead, sizeof dead - 1) == 0);
}

/* The setting that makes the rule agree with what is there. */
static const char *remedy(enum queue_type stated, struct slice argument, struct slice there)
{
    /* The broker compares the type last. */
    if (stated == QUEUE_CLASSIC && is_of_dead_letters(argument))
        return "if herald made it, it is a quorum queue: leave queue_type out of the subscription "
               "or set queue_type = \"quorum\"";
    if (!slice_is(argument, "x-queue-type"))
        return "leave queue_type out of the subscription to take the queue as it is";
    if (slice_is(there, "quorum"))
        return "leave queue_type out of the subscription or set queue_type = \"quorum\"";
    if (slice_is(there, "classic"))
        return "leave queue_type out of the subscription or set queue_type = \"classic\"";
    return "leave queue_type out of the subscription to take the queue as it is";
}

static void explain_mismatch(const struct refusal *r, const struct words_difference *d, char *out,
                             size_t size)
{
    struct slice argument = d->argument, there = d->there;
    bool type = slice_is(argument, "x-queue-type");

    /* A queue that was declared without a type is a classic one. */
    if (type && slice_is(there, "none"))
        there = slice_of("classic");
    snprintf(out, size,
             "%s \"%s\" exists with %.*s = %.*s, but queue_type = \"%s\"%s%s asks for another; "
             "%s, or delete the queue so that it is made anew (broker: %s)",
             r->what, r->name, type ? 4 : (int)argument.len, type ? "type" : argument.data,
             (int)there.len, there.data, explain_queue_type(r->queue_type), r->origin ? " at " : "",
             r->origin ? r->origin : "", remedy(r->queue_type, argument, there), r->text);
}

static const char *hint(uint16_t code, const char *text)
{
    if (code == 405)
        return "; it belongs to another connection (exclusive): use another name";
    switch (words_of(text)) {
    case WORDS_NO_RIGHT:
    case WORDS_NO_EXCHANGE:
        return "; give the broker's user permission to it";
    case WORDS_ABSENT:
        return "; it was deleted meanwhile and will be declared again";
    case WORDS_NODE_DOWN:
        return "; it exists on a node that is down: start that node";
    default:
        return "";
    }
}

const char *explain_refusal(const struct refusal *r, char *out, size_t size)
{
    struct words_difference d;

    if (r->queue_type != QUEUE_ANY && words_difference(r->text, &d))
        explain_mismatch(r, &d, out, size);
    else
        snprintf(out, size, "%s \"%s\"%s%s was refused%s (broker: %s)", r->what, r->name,
                 r->origin ? " of " : "", r->origin ? r->origin : "", hint(r->code, r->text),
                 r->text);
    return out;
}

bool explain_is_of_dead_letters(const char *text)
{
    struct words_difference d;

    /* No right to the exchange that leads there. */
    return words_of(text) == WORDS_NO_EXCHANGE ||
           (words_difference(text, &d) && is_of_dead_letters(d.argument));
}

const char *explain_exchange(const char *name, const char *text, char *out, size_t size)
{
    struct words_difference d;

    if (!words_difference(text, &d))
        snprintf(out, size, "exchange \"%s\" exists, but not as it would be made; %s (broker: %s)",
                 name, "it is taken as it is", text);
    else
        snprintf(out, size,
                 "exchange \"%s\" exists with %.*s = %.*s, not %.*s; it is taken as it is%s "
                 "(broker: %s)",
                 name, (int)d.argument.len, d.argument.data, (int)d.there.len, d.there.data,
                 (int)d.asked.len, d.asked.data,
                 slice_is(d.argument, "type")
                     ? ", and a queue bound to it may get other messages than expected"
                     : "",
                 text);
    return out;
}
