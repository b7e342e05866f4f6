/* explain - see explain.h. The forms of the broker's text are those of RabbitMQ's
 * rabbit_misc:assert_args_equivalence (3.10 to 4.x); a text of another form is
 * passed on as it is. */
#include "broker/explain.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

bool explain_is_absent(uint16_t code, const char *text)
{
    return code == 404 && strstr(text, EXPLAIN_NODE_DOWN) == NULL;
}

/* What stands in `text` between `before` and `after`; absent where they do not. */
static struct slice between(const char *text, const char *before, const char *after)
{
    const char *start = strstr(text, before);
    const char *end;

    if (start == NULL)
        return (struct slice){NULL, 0};
    start += strlen(before);
    end = strstr(start, after);
    return end == NULL ? (struct slice){NULL, 0} : (struct slice){start, (size_t)(end - start)};
}

/* The value the thing has now: "the value 'quorum' of type 'longstr'", "'false'"
 * or "none". */
static struct slice current_value(const char *text)
{
    const char *current = strstr(text, "but current is ");
    struct slice quoted;

    if (current == NULL)
        return (struct slice){NULL, 0};
    quoted = between(current, "'", "'");
    return quoted.data != NULL ? quoted : slice_of("none");
}

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

static void explain_mismatch(const struct refusal *r, struct slice argument, struct slice there,
                             char *out, size_t size)
{
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
    switch (code) {
    case 403:
        return "; give the broker's user permission to it";
    case 404:
        if (strstr(text, EXPLAIN_NODE_DOWN) != NULL)
            return "; it exists on a node that is down: start that node";
        return "; it was deleted meanwhile and will be declared again";
    case 405:
        return "; it belongs to another connection (exclusive): use another name";
    default:
        return "";
    }
}

const char *explain_refusal(const struct refusal *r, char *out, size_t size)
{
    struct slice argument = between(r->text, "inequivalent arg '", "'");
    struct slice there = current_value(r->text);

    if (r->code == 406 && r->queue_type != QUEUE_ANY && argument.data != NULL && there.data != NULL)
        explain_mismatch(r, argument, there, out, size);
    else
        snprintf(out, size, "%s \"%s\"%s%s was refused%s (broker: %s)", r->what, r->name,
                 r->origin ? " of " : "", r->origin ? r->origin : "", hint(r->code, r->text),
                 r->text);
    return out;
}

bool explain_is_of_dead_letters(const char *text)
{
    struct slice argument = between(text, "inequivalent arg '", "'");

    if (argument.data == NULL) /* of the exchange that leads there, not of the queue */
        return strstr(text, "access to exchange '") != NULL;
    return is_of_dead_letters(argument);
}

const char *explain_exchange(const char *name, const char *text, char *out, size_t size)
{
    struct slice argument = between(text, "inequivalent arg '", "'");
    struct slice asked = between(text, "received '", "'");
    struct slice there = current_value(text);

    if (asked.data == NULL)
        asked = slice_of("none");
    if (argument.data == NULL || there.data == NULL)
        snprintf(out, size, "exchange \"%s\" exists, but not as it would be made; %s (broker: %s)",
                 name, "it is taken as it is", text);
    else
        snprintf(out, size,
                 "exchange \"%s\" exists with %.*s = %.*s, not %.*s; it is taken as it is%s "
                 "(broker: %s)",
                 name, (int)argument.len, argument.data, (int)there.len, there.data, (int)asked.len,
                 asked.data,
                 slice_is(argument, "type")
                     ? ", and a queue bound to it may get other messages than expected"
                     : "",
                 text);
    return out;
}
