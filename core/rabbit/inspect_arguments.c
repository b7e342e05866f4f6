/* inspect_arguments - see inspect_arguments.h. */
#include "rabbit/inspect_arguments.h"

#include "rabbit/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 900, VERSION_ANY = 0, VERSION_NONE = 1000000 };

/* Measured with RabbitMQ 3.10.8, 4.0.5 and 4.3.6; versions as 1000 * major + minor. */
static const struct refused {
    const char *argument; /* with a "*" at its end: all that begin so */
    enum queue_type type;
    int from, before; /* the versions that refuse it */
    bool ends_connection;
    int64_t only; /* this value; 0: any */
} refused[] = {
    {"x-max-priority", QUEUE_QUORUM, VERSION_ANY, VERSION_NONE, false, 0},
    {"x-queue-mode", QUEUE_QUORUM, VERSION_ANY, VERSION_NONE, false, 0},
    {"x-queue-version", QUEUE_QUORUM, VERSION_ANY, VERSION_NONE, false, 0},
    {"x-queue-master-locator", QUEUE_QUORUM, VERSION_ANY, VERSION_NONE, false, 0},
    {"x-delivery-limit", QUEUE_CLASSIC, VERSION_ANY, VERSION_NONE, false, 0},
    {"x-dead-letter-strategy", QUEUE_CLASSIC, VERSION_ANY, VERSION_NONE, false, 0},
    {"x-quorum-initial-group-size", QUEUE_CLASSIC, VERSION_ANY, VERSION_NONE, false, 0},
    {"x-max-in-memory-length", QUEUE_CLASSIC, VERSION_ANY, VERSION_NONE, false, 0},
    {"x-max-in-memory-bytes", QUEUE_CLASSIC, VERSION_ANY, VERSION_NONE, false, 0},
    {"x-queue-leader-locator", QUEUE_CLASSIC, VERSION_ANY, 3011, false, 0},
    {"x-consumer-timeout", QUEUE_CLASSIC, 4003, VERSION_NONE, false, 0},
    {"x-consumer-disconnected-timeout", QUEUE_CLASSIC, 4003, VERSION_NONE, false, 0},
    {"x-delayed-retry-*", QUEUE_CLASSIC, 4003, VERSION_NONE, false, 0},
    {"x-queue-version", QUEUE_CLASSIC, 4003, VERSION_NONE, false, 1},
    {"x-queue-master-locator", QUEUE_CLASSIC, 4003, VERSION_NONE, true, 0},
};

static void tell(const struct inspection *in, enum inspect_severity severity, const char *text)
{
    in->finding(in->arg, severity, in->questions[in->at].origin, text);
}

static void tell_difference(const struct inspection *in, const struct argument *wanted)
{
    const struct queue_probe_argument *found = queue_probe_find(&in->found, wanted->name);
    struct argument there = {.name = wanted->name, .kind = ARGUMENT_INTEGER, .text = ""};
    char text[TEXT_MAX + 2 * ARGUMENT_WORDS_MAX], asked[ARGUMENT_WORDS_MAX],
        has[ARGUMENT_WORDS_MAX];

    argument_words(wanted, asked, sizeof asked);
    snprintf(has, sizeof has, "without %s", wanted->name);
    if (found != NULL)
        there = (struct argument){wanted->name, found->kind, found->text, found->number};
    else
        there.number = in->found.limit;
    if (found != NULL || (strcmp(wanted->name, "x-delivery-limit") == 0 && there.number >= 0)) {
        memcpy(has, "with ", 5);
        argument_words(&there, has + 5, sizeof has - 5);
    }
    snprintf(
        text, sizeof text,
        "queue \"%s\" is there %s, and its rule has %s: it is taken as it is; delete it so that "
        "it is made anew, or set a policy",
        in->found.queue, has, asked);
    tell(in, INSPECT_WARNING, text);
}

void inspect_tell_differences(const struct inspection *in)
{
    const struct arguments *a = &in->questions[in->at].rule->arguments;

    for (size_t i = 0; in->found.type[0] != '\0' && i < a->n; i++)
        if (queue_probe_differs(&in->found, &a->list[i]))
            tell_difference(in, &a->list[i]);
}

/* Of "RabbitMQ 4.3.6"; VERSION_NONE where it is another product, of which nothing is known. */
static int version_of(const char *server)
{
    const char *digits = strstr(server, "RabbitMQ ");
    char *end;
    long major, minor;

    if (digits == NULL)
        return VERSION_NONE;
    major = strtol(digits + strlen("RabbitMQ "), &end, 10);
    if (*end != '.' || major < 0 || major > 100)
        return VERSION_NONE;
    minor = strtol(end + 1, NULL, 10);
    return minor >= 0 && minor < 1000 ? (int)(major * 1000 + minor) : VERSION_NONE;
}

static bool is_about(const struct refused *r, const struct argument *a)
{
    const size_t len = strlen(r->argument);

    if (r->only != 0 && r->only != a->number)
        return false;
    if (r->argument[len - 1] == '*')
        return strncmp(r->argument, a->name, len - 1) == 0;
    return strcmp(r->argument, a->name) == 0;
}

static const struct refused *find_refused(const struct argument *a, enum queue_type type,
                                          int version)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (refused[i].type == type && version >= refused[i].from && version < refused[i].before &&
            is_about(&refused[i], a))
            return &refused[i];
    return NULL;
}

void inspect_tell_refused_arguments(const struct inspection *in, enum queue_type type)
{
    const struct question *q = &in->questions[in->at];
    const char *server = link_server(in->link);
    char text[TEXT_MAX];

    for (size_t i = 0; i < q->rule->arguments.n; i++) {
        const struct argument *a = &q->rule->arguments.list[i];
        const struct refused *r = find_refused(a, type, version_of(server));
        char words[ARGUMENT_WORDS_MAX];

        if (r == NULL)
            continue;
        snprintf(text, sizeof text,
                 "queue \"%s\" cannot be made: %s refuses %s for a %s queue%s; leave it out%s",
                 q->name, server, r->only != 0 ? argument_words(a, words, sizeof words) : a->name,
                 explain_queue_type(type),
                 r->ends_connection ? ", and ends the connection over it" : "",
                 q->queue_type == QUEUE_ANY ? ", or say queue_type = \"classic\"" : "");
        tell(in, INSPECT_ERROR, text);
    }
}

void inspect_tell_exclusive(const struct inspection *in, bool quorum)
{
    const struct question *q = &in->questions[in->at];
    char text[TEXT_MAX];

    if (!q->rule->exclusive || !quorum)
        return;
    snprintf(
        text, sizeof text,
        "queue \"%s\" is a quorum queue, which keeps nobody out: exclusive = true has no effect; "
        "use x-single-active-consumer, or a classic queue",
        q->name);
    tell(in, INSPECT_WARNING, text);
}
