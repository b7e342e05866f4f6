/* turn_raise - what happened to the router itself, as messages (turn.h) */
#include "engine/turn_int.h"

#include "store/mark.h"

#include <stdio.h>
#include <string.h>

static const struct handler *handler_of(const struct turn *t, const char *type)
{
    const struct handler *h = rules_handler(script_rules(*t->script), slice_of(EVENTS_QUEUE),
                                            slice_of(type), (struct slice){NULL, 0});

    return h != NULL && strcmp(h->type, type) == 0 ? h : NULL;
}

static bool is_routed(const struct turn *t, const char *type)
{
    return rules_route(script_rules(*t->script), slice_of(type), (struct slice){NULL, 0}) != NULL;
}

bool turn_names(const struct turn *t, const char *type)
{
    return is_routed(t, type) || handler_of(t, type) != NULL;
}

bool turn_raise(struct turn *t, const struct raised *what)
{
    if (t->raises.n == RAISED_MAX)
        return false;
    t->raises.waiting[t->raises.n++] = *what;
    return true;
}

int turn_mark(struct turn *t, const char *mark, int64_t *value_out, struct err *err)
{
    return mark_read(t->parts.db, mark, value_out, err);
}

/* It is handled whatever became of the broker. */
static int add_retry(struct turn *t, const struct message *m, struct err *err)
{
    char id[128];
    struct retry_row row = {.queue = slice_of(EVENTS_QUEUE),
                            .message = *m,
                            .fingerprint = message_fingerprint(m),
                            .first_at = t->now_ms,
                            .due_at = t->now_ms,
                            .error = "raised: waits for its handler",
                            .generation = t->generation};

    snprintf(id, sizeof id, "%.*s@%lld", (int)m->type.len, m->type.data, (long long)t->now_ms);
    row.message.id = slice_of(id);
    row.message.timestamp_s = t->now_ms / 1000;
    return retry_add(t->parts.db, &row, err);
}

static int write_one(struct turn *t, const struct raised *what, struct err *err)
{
    const struct message m = {.type = slice_of(what->type),
                              .key = {slice_of(what->about[0] != '\0' ? what->about : NULL)},
                              .body = slice_of(what->body)};
    int64_t id;
    int rc = OK;

    if (what->type[0] != '\0' && is_routed(t, what->type))
        rc = outbox_add(t->parts.db, &m, 0, &id, err);
    else if (what->type[0] != '\0' && handler_of(t, what->type) != NULL)
        rc = add_retry(t, &m, err);
    return rc == OK && what->mark != NULL ? mark_write(t->parts.db, what->mark, what->value, err)
                                          : rc;
}

int raises_write(struct turn *t, struct err *err)
{
    int rc = OK;

    t->raises.written = 0;
    for (size_t i = 0; i < t->raises.n && rc == OK && t->script != NULL; i++) {
        rc = write_one(t, &t->raises.waiting[i], err);
        t->raises.written = i + 1;
    }
    t->more = t->more || t->raises.written > 0;
    return rc;
}

void raises_keep(struct turn *t)
{
    struct raises *r = &t->raises;

    memmove(r->waiting, r->waiting + r->written, (r->n - r->written) * sizeof r->waiting[0]);
    r->n -= r->written;
    r->written = 0;
}

/* That of the router's own events is no queue of the broker's. */
const struct subscription *subscription_of(struct turn *t, struct slice queue)
{
    const struct subscription *s = rules_subscription(script_rules(*t->script), queue);

    if (s != NULL || !slice_is(queue, EVENTS_QUEUE))
        return s;
    t->own = (struct subscription){
        .queue = EVENTS_QUEUE, .retry = t->settings->retry, .json = "", .origin = "herald"};
    return &t->own;
}
