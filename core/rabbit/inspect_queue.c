/* inspect_queue - see inspect_queue.h. */
#include "rabbit/inspect_queue.h"

#include "rabbit/channel.h"
#include "rabbit/explain.h"
#include "rabbit/inspect_arguments.h"

#include <stdio.h>
#include <string.h>

enum { FINDINGS = 6, TEXT_MAX = 900 };

static void unguarded(const char *queue, int64_t limit, char *out, size_t size)
{
    char of[48] = "delivery limit, 20 from RabbitMQ 4.0";

    if (limit >= 0)
        snprintf(of, sizeof of, "delivery limit, %lld", (long long)limit);
    snprintf(
        out, size,
        "queue \"%s\" is there without herald's dead-letter queue: what the broker gives up on "
        "(%s) is lost unless a policy keeps it, see docs/wire.md",
        queue, of);
}

static bool is_stream(const struct queue_probe *p, enum inspect_severity *severity, char *out,
                      size_t size)
{
    if (strcmp(p->type, "stream") != 0)
        return false;
    *severity = INSPECT_ERROR;
    snprintf(out, size,
             "queue \"%s\" is a stream: herald takes messages from classic and quorum queues, and "
             "would be refused; name a queue in herald.subscribe",
             p->queue);
    return true;
}

static bool is_transient(const struct queue_probe *p, enum inspect_severity *severity, char *out,
                         size_t size)
{
    *severity = INSPECT_WARNING;
    snprintf(out, size,
             "queue \"%s\" is not durable: it is gone, with all that waits in it, when its broker "
             "stops; declare it durable",
             p->queue);
    return p->transient;
}

static bool is_auto_delete(const struct queue_probe *p, enum inspect_severity *severity, char *out,
                           size_t size)
{
    *severity = INSPECT_WARNING;
    snprintf(
        out, size,
        "queue \"%s\" is auto-delete: whenever the router stops or loses its connection, it is "
        "gone with all that waits in it; declare it without",
        p->queue);
    return p->auto_delete;
}

static bool expires(const struct queue_probe *p, enum inspect_severity *severity, char *out,
                    size_t size)
{
    const struct queue_probe_argument *a = queue_probe_find(p, "x-expires");

    if (a == NULL)
        return false;
    *severity = INSPECT_WARNING;
    snprintf(
        out, size,
        "queue \"%s\" expires (x-expires = %lld ms): when the router is away for longer, it is "
        "gone with all that waits in it; declare it without",
        p->queue, (long long)a->number);
    return true;
}

static bool has_low_limit(const struct queue_probe *p, enum inspect_severity *severity, char *out,
                          size_t size)
{
    if (p->limit != 0 && p->limit != 1)
        return false;
    *severity = INSPECT_WARNING;
    snprintf(out, size,
             "queue \"%s\" has x-delivery-limit = %lld: what is unacked when a router dies %s; %s",
             p->queue, (long long)p->limit,
             p->limit == 0 ? "is given up at once" : "twice is given up",
             p->limit == 0 ? "raise the limit" : "set rescue_after = 1, or raise the limit");
    return true;
}

static bool is_unguarded(const struct queue_probe *p, enum inspect_severity *severity, char *out,
                         size_t size)
{
    if (strcmp(p->type, "quorum") != 0 || queue_probe_find(p, "x-dead-letter-exchange") != NULL)
        return false;
    *severity = INSPECT_NOTE;
    unguarded(p->queue, p->limit, out, size);
    return true;
}

static void tell(const struct inspection *in, enum inspect_severity severity, const char *text)
{
    in->finding(in->arg, severity, in->questions[in->at].origin, text);
}

void inspect_tell_unguarded(const struct inspection *in)
{
    char text[TEXT_MAX];

    unguarded(in->questions[in->at].name, -1, text, sizeof text);
    tell(in, INSPECT_NOTE, text);
}

bool inspect_is_probed(const struct inspection *in)
{
    const struct question *q = &in->questions[in->at];

    return q->kind == ASK_QUEUE && (q->queue_type == QUEUE_ANY || q->rule->arguments.n > 0);
}

int inspect_ask_queue(struct inspection *in, struct err *err)
{
    const struct question *q = &in->questions[in->at];

    if (in->found.queue == NULL) {
        queue_probe_begin(&in->found, q->name);
        queue_probe_state(&in->found, &q->rule->arguments);
    }
    return queue_probe_ask(&in->found, in->link, CHANNEL_DECLARE, err);
}

/* What a router refuses, whatever else it is. */
static bool tell_other_type(const struct inspection *in)
{
    const struct question *q = &in->questions[in->at];
    const char *stated = explain_queue_type(q->queue_type);
    char text[TEXT_MAX];

    if (stated[0] == '\0' || in->found.type[0] == '\0' || strcmp(in->found.type, stated) == 0)
        return false;
    snprintf(text, sizeof text,
             "queue \"%s\" exists with type = %s, but queue_type = \"%s\" asks for another; leave "
             "queue_type out of the subscription, or delete the queue so that it is made anew",
             q->name, in->found.type, stated);
    tell(in, INSPECT_ERROR, text);
    return true;
}

void inspect_tell_queue(const struct inspection *in)
{
    bool (*const finds[FINDINGS])(const struct queue_probe *p, enum inspect_severity *severity,
                                  char *out, size_t size) = {
        is_stream, is_transient, is_auto_delete, expires, has_low_limit, is_unguarded};
    enum inspect_severity severity;
    char text[TEXT_MAX];

    if (tell_other_type(in))
        return;
    inspect_tell_differences(in);
    inspect_tell_exclusive(in, strcmp(in->found.type, "quorum") == 0);
    for (size_t i = 0; i < FINDINGS; i++)
        if (finds[i](&in->found, &severity, text, sizeof text))
            tell(in, severity, text);
}
