/*
 * publish - outbox rows out, and what became of them (the second half of a turn)
 *
 *   fresh or due row -- route? -- exchange usable? --> handed to the broker, in flight
 *                         |              |
 *                         v              v
 *                       parked       postponed
 *
 *   confirmed -> deleted         nacked, timed out -> postponed
 *   returned  -> as the route says: postponed, parked or dropped
 *   unknown   -> postponed, at once the first time: its channel went away
 *
 * Rows are looked at while a statement walks over the outbox, so what must be
 * written about them is noted as a decision and carried out afterwards.
 */
#include "engine/turn_int.h"

#include "store/outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum decision_kind { DECIDE_PARK, DECIDE_POSTPONE };

struct decision {
    int64_t row;
    int attempts; /* failed publishes before this one */
    enum decision_kind kind;
    char reason[1024];
};

int publish_init(struct turn *t, struct err *err)
{
    t->settlements = calloc(TURN_ROWS_MAX, sizeof *t->settlements);
    t->confirmed = calloc(TURN_ROWS_MAX, sizeof *t->confirmed);
    t->decisions = calloc(TURN_ROWS_MAX, sizeof *t->decisions);
    if (t->settlements == NULL || t->confirmed == NULL || t->decisions == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    return OK;
}

void publish_free(struct turn *t)
{
    free(t->settlements);
    free(t->confirmed);
    free(t->decisions);
}

static void decide(struct turn *t, const struct outbox_row *row, enum decision_kind kind,
                   const char *reason)
{
    struct decision *d = &t->decisions[t->n_decisions++];

    d->row = row->id;
    d->attempts = row->attempts;
    d->kind = kind;
    snprintf(d->reason, sizeof d->reason, "%s", reason);
}

static const struct route *route_of(const struct turn *t, const struct message *m)
{
    return rules_route(script_rules(*t->script), m->type, m->key[1]);
}

static void park_unrouted(struct turn *t, const struct outbox_row *row)
{
    char why[300];

    snprintf(why, sizeof why, "no route for type \"%.*s\": add herald.route{...} to rules/",
             (int)row->message.type.len, row->message.type.data);
    decide(t, row, DECIDE_PARK, why);
}

/* An outbox_row_fn: false stops the walk, and the row is looked at again later. */
static bool publish_row(void *arg, const struct outbox_row *row)
{
    struct turn *t = arg;
    struct broker *b = t->settings.broker;
    struct message m = row->message;
    const struct route *route;
    struct err err = {0};

    m.timestamp_s = row->created_at / 1000;
    if (t->n_decisions == TURN_ROWS_MAX || turn_is_old(t)) {
        t->more = true;
        return false;
    }
    route = route_of(t, &row->message);
    if (route == NULL) {
        park_unrouted(t, row);
        return true;
    }
    switch (b->ops->publish(b, row->id, &route->to[0], &m, &err)) {
    case OK:
        t->delta.published++;
        db_saw_id(t->settings.db, row->id);
        return true;
    case ERR_BUSY:
        return false;
    case ERR_INPUT:
        decide(t, row, DECIDE_PARK, err.text);
        return true;
    default:
        decide(t, row, DECIDE_POSTPONE, err.text);
        return true;
    }
}

static int postpone(struct turn *t, int64_t row, int attempts, const char *reason, struct err *err)
{
    int64_t delay = policy_delay(&policy_publish, attempts + 1, 0, chance_draw(&t->chance));

    log_event(t->settings.log, LOG_INFO, "outbox.postponed",
              LOG_FIELDS(log_int("id", row), log_int("attempts", attempts + 1),
                         log_int("delay_ms", delay), log_text("reason", reason)));
    return outbox_postpone(t->settings.db, row, reason, t->now_ms + delay, err);
}

static int park(struct turn *t, int64_t row, const char *reason, struct err *err)
{
    t->delta.parked++;
    log_event(t->settings.log, LOG_WARN, "outbox.parked",
              LOG_FIELDS(log_int("id", row), log_text("reason", reason)));
    return outbox_park(t->settings.db, row, reason, t->now_ms, err);
}

static int carry_out(struct turn *t, struct err *err)
{
    int rc = OK;

    for (size_t i = 0; i < t->n_decisions && rc == OK; i++) {
        const struct decision *d = &t->decisions[i];

        rc = d->kind == DECIDE_PARK ? park(t, d->row, d->reason, err)
                                    : postpone(t, d->row, d->attempts, d->reason, err);
    }
    t->n_decisions = 0;
    return rc;
}

static size_t room(const struct turn *t)
{
    size_t n = t->settings.broker->ops->room(t->settings.broker);

    return n < TURN_ROWS_MAX ? n : TURN_ROWS_MAX;
}

int publish_rows(struct turn *t, struct err *err)
{
    size_t n = room(t);
    int64_t before = t->delta.published;
    int rc;

    if (n == 0)
        return OK;
    rc = outbox_claim_due(t->settings.db, t->cursor, t->now_ms, n, publish_row, t, err);
    n -= (size_t)(t->delta.published - before) < n ? (size_t)(t->delta.published - before) : n;
    if (rc == OK && n > 0)
        rc = outbox_claim(t->settings.db, t->cursor, n, publish_row, t, &t->next_cursor, err);
    if (t->next_cursor - t->cursor >= (int64_t)n)
        t->more = true;
    return rc == OK ? carry_out(t, err) : rc;
}

/* A returned row is rare, so its route is looked up anew. */
struct returned {
    struct turn *turn;
    int64_t row;
    bool found;
    int attempts;
    enum unroutable unroutable;
};

static bool look_up_returned(void *arg, const struct outbox_row *row)
{
    struct returned *r = arg;
    const struct route *route;

    if (row->id != r->row)
        return false;
    route = route_of(r->turn, &row->message);
    r->found = true;
    r->attempts = row->attempts;
    r->unroutable = route ? route->unroutable : UNROUTABLE_PARK;
    return false;
}

static int settle_returned(struct turn *t, const struct settlement *s, struct err *err)
{
    struct returned r = {.turn = t, .row = s->row};
    int64_t last;
    int rc = outbox_claim(t->settings.db, s->row - 1, 1, look_up_returned, &r, &last, err);

    if (rc != OK || !r.found)
        return rc;
    t->delta.returned++;
    switch (r.unroutable) {
    case UNROUTABLE_DROP:
        t->delta.dropped++;
        return outbox_confirm(t->settings.db, &r.row, 1, err);
    case UNROUTABLE_PARK:
        return park(t, s->row, s->why, err);
    case UNROUTABLE_RETRY:
        break;
    }
    return postpone(t, s->row, r.attempts, s->why, err);
}

static int settle_failed(struct turn *t, const struct settlement *s, const char *reason,
                         struct err *err)
{
    int attempts = 0;
    int rc = outbox_attempts(t->settings.db, s->row, &attempts, err);

    if (rc == ERR_NOT_FOUND) /* somebody deleted it meanwhile */
        return OK;
    if (rc == OK && s->outcome == PUBLISH_UNKNOWN && attempts == 0)
        return outbox_postpone(t->settings.db, s->row, reason, t->now_ms, err);
    return rc == OK ? postpone(t, s->row, attempts, reason, err) : rc;
}

static int settle_one(struct turn *t, const struct settlement *s, struct err *err)
{
    switch (s->outcome) {
    case PUBLISH_RETURNED:
        return settle_returned(t, s, err);
    case PUBLISH_NACKED:
        t->delta.nacked++;
        return settle_failed(
            t, s, s->why ? s->why : "the broker refused it (basic.nack): its queue may be full",
            err);
    case PUBLISH_TIMED_OUT:
        t->delta.timed_out++;
        return settle_failed(t, s, "no confirm in time", err);
    case PUBLISH_UNKNOWN:
        t->delta.interrupted++;
        return settle_failed(t, s, s->why ? s->why : "the connection was lost", err);
    case PUBLISH_CONFIRMED:
        break;
    }
    return OK;
}

int settle_rows(struct turn *t, struct err *err)
{
    struct broker *b = t->settings.broker;
    size_t n = b->ops->settled(b, t->settlements, TURN_ROWS_MAX), confirmed = 0;
    int rc = OK;

    for (size_t i = 0; i < n && rc == OK; i++) {
        if (t->settlements[i].outcome == PUBLISH_CONFIRMED)
            t->confirmed[confirmed++] = t->settlements[i].row;
        else
            rc = settle_one(t, &t->settlements[i], err);
    }
    if (rc == OK && confirmed > 0)
        rc = outbox_confirm(t->settings.db, t->confirmed, confirmed, err);
    t->delta.confirmed += (int64_t)confirmed;
    if (n == TURN_ROWS_MAX)
        t->more = true;
    return rc;
}
