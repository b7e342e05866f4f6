/*
 * turn_settle - what became of published rows, and of those that cannot be published
 *
 *   confirmed            deleted
 *   nacked               an attempt: postponed as publish_retry says, parked when it gives up
 *   returned             as the route says: an attempt, parked or dropped; an answer is unwanted
 *   refused              parked: the broker will never take it
 *   unknown              no attempt: postponed for a moment, at once the first time; since when
 *                        the broker may have it is written down
 *   timed out            the same, but for as long as it has been silent by then, which doubles
 *   unsent               no attempt: postponed for a moment
 *
 * A dead broker refuses nothing, so it parks nothing, however long it is dead.
 */
#include "engine/turn_int.h"

#include "base/failpoint.h"
#include "store/outbox.h"

#include <stdio.h>

enum {
    MOMENT_MS = 2000,
    SILENCE_MIN_MS = 1000,
    SILENCE_MAX_MS = 300000,
    SETTLE_CHUNK = 100, /* TURN_ROWS_MAX is a multiple of it */
};

static int postpone(struct turn *t, int64_t row, enum outbox_trouble trouble, int64_t delay,
                    const char *reason, struct err *err)
{
    struct trace_context room;

    log_event(t->parts.log, LOG_INFO, "outbox.postponed",
              LOG_FIELDS(log_int("id", row), log_int("delay_ms", delay), log_text("reason", reason),
                         trace_field_of_row(t, row, &room)));
    return outbox_postpone(t->parts.db, row, trouble, reason, t->now_ms + delay, err);
}

int settle_put_off(struct turn *t, int64_t row, const char *reason, struct err *err)
{
    return postpone(t, row, OUTBOX_BACKLOG, MOMENT_MS, reason, err);
}

int settle_park(struct turn *t, int64_t row, const char *reason, struct err *err)
{
    struct trace_context room;
    struct log_field trace = trace_field_of_row(t, row, &room);
    bool parked;
    int rc = outbox_park(t->parts.db, row, reason, t->now_ms, &parked, err);

    if (rc != OK || !parked)
        return rc;
    t->delta.parked++;
    t->more = true; /* the next one of its lane may be due */
    log_event(t->parts.log, LOG_WARN, "outbox.parked",
              LOG_FIELDS(log_int("id", row), log_text("reason", reason), trace));
    return OK;
}

int settle_unwanted(struct turn *t, int64_t row, const char *reason, struct err *err)
{
    struct trace_context room;
    struct log_field trace = trace_field_of_row(t, row, &room);
    int rc = turn_history_rows(t, &row, 1, "unwanted", err);

    if (rc == OK)
        rc = outbox_confirm(t->parts.db, &row, 1, err);
    if (rc != OK)
        return rc;
    t->delta.unwanted++;
    log_event(t->parts.log, LOG_INFO, "outbox.unwanted",
              LOG_FIELDS(log_int("id", row), log_text("reason", reason), trace));
    return OK;
}

/* The last attempt is written first, so that the letter counts it. */
static int park_tried(struct turn *t, int64_t row, const char *reason, struct err *err)
{
    int rc = outbox_postpone(t->parts.db, row, OUTBOX_REFUSED, reason, t->now_ms, err);

    return rc == OK ? settle_park(t, row, reason, err) : rc;
}

static int give_up(struct turn *t, int64_t row, const struct outbox_record *r, const char *reason,
                   struct err *err)
{
    char since[40], why[1500];

    clock_iso8601(r->refused_at > 0 ? r->refused_at : t->now_ms, since, sizeof since);
    snprintf(why, sizeof why,
             "%s (refused %d times since %s, which is all that publish_retry allows)", reason,
             r->attempts + 1, since);
    return park_tried(t, row, why, err);
}

/* What was there at the start may have been in flight when the process before this one died: the
 * broker may have that copy, whatever it says of this one. */
static int note_inherited(struct turn *t, int64_t row, const struct outbox_record *r,
                          const char *reason, struct err *err)
{
    if (row > t->bridge.inherited || r->first_sent_at > 0)
        return OK;
    return outbox_postpone(t->parts.db, row, OUTBOX_UNHEARD, reason, t->now_ms, err);
}

int settle_refusal(struct turn *t, int64_t row, enum outbox_trouble trouble, const char *reason,
                   struct err *err)
{
    struct outbox_record r;
    int64_t age, delay;
    int rc = outbox_record(t->parts.db, row, &r, err);

    if (rc == OK)
        rc = note_inherited(t, row, &r, reason, err);
    if (rc != OK)
        return rc == ERR_NOT_FOUND ? OK : rc; /* somebody deleted it meanwhile */
    age = r.refused_at > 0 ? t->now_ms - r.refused_at : 0;
    delay = policy_delay(&t->settings->publish_retry, r.attempts + 1, age, chance_draw(&t->chance));
    if (delay == POLICY_GIVE_UP)
        return give_up(t, row, &r, reason, err);
    return postpone(t, row, trouble, delay, reason, err);
}

/* At once the first time: most channels that went away are back in a moment. */
static int settle_unheard(struct turn *t, int64_t row, const char *reason, struct err *err)
{
    struct outbox_record r;
    int rc = outbox_record(t->parts.db, row, &r, err);

    if (rc != OK)
        return rc == ERR_NOT_FOUND ? OK : rc;
    return postpone(t, row, OUTBOX_UNHEARD, r.first_sent_at > 0 ? MOMENT_MS : 0, reason, err);
}

/* Its outlet takes nothing for now. The time since it was first sent doubles with each wait. */
static int settle_silence(struct turn *t, int64_t row, struct err *err)
{
    struct outbox_record r;
    int64_t delay;
    int rc = outbox_record(t->parts.db, row, &r, err);

    if (rc != OK)
        return rc == ERR_NOT_FOUND ? OK : rc;
    delay = r.first_sent_at > 0 ? t->now_ms - r.first_sent_at : 0;
    delay = delay < SILENCE_MIN_MS ? SILENCE_MIN_MS : delay;
    delay = delay > SILENCE_MAX_MS ? SILENCE_MAX_MS : delay;
    return postpone(t, row, OUTBOX_UNHEARD, delay, "no confirm in time", err);
}

/* A returned row is rare, so its route is looked up anew. */
struct returned {
    struct turn *turn;
    enum unroutable unroutable;
    bool answer; /* whose asker is gone */
};

static bool look_up_returned(void *arg, const struct outbox_row *row)
{
    struct returned *r = arg;
    const struct message *m = &row->message; /* a leg is its route's, too */
    const struct route *route = rules_route(script_rules(*r->turn->script), m->type, m->key[1]);

    r->unroutable = route ? route->unroutable : UNROUTABLE_PARK;
    r->answer = row->reply_until > 0;
    return false;
}

static int settle_returned(struct turn *t, const struct settlement *s, struct err *err)
{
    struct returned r = {.turn = t};
    int64_t row = s->row;
    int rc = outbox_look(t->parts.db, row, look_up_returned, &r, err);

    if (rc != OK)
        return rc == ERR_NOT_FOUND ? OK : rc;
    t->delta.returned++;
    if (r.answer)
        return settle_unwanted(t, row, s->why, err);
    switch (r.unroutable) {
    case UNROUTABLE_DROP:
        t->delta.dropped++;
        rc = turn_history_rows(t, &row, 1, "dropped", err);
        return rc == OK ? outbox_confirm(t->parts.db, &row, 1, err) : rc;
    case UNROUTABLE_PARK:
        return settle_park(t, row, s->why, err);
    case UNROUTABLE_RETRY:
        break;
    }
    return settle_refusal(t, row, OUTBOX_REFUSED, s->why, err);
}

static int settle_one(struct turn *t, const struct settlement *s, struct err *err)
{
    switch (s->outcome) {
    case PUBLISH_RETURNED:
        return settle_returned(t, s, err);
    case PUBLISH_NACKED:
        t->delta.nacked++;
        return settle_refusal(
            t, s->row, OUTBOX_REFUSED,
            s->why ? s->why : "the broker refused it (basic.nack): its queue may be full", err);
    case PUBLISH_REFUSED:
        t->delta.nacked++;
        return park_tried(t, s->row, s->why, err);
    case PUBLISH_TIMED_OUT:
        t->delta.timed_out++;
        return settle_silence(t, s->row, err);
    case PUBLISH_UNKNOWN:
        t->delta.interrupted++;
        return settle_unheard(t, s->row, s->why, err);
    case PUBLISH_UNSENT:
        return settle_put_off(t, s->row, s->why, err);
    case PUBLISH_CONFIRMED:
        break;
    }
    return OK;
}

/* A row that left may have been the first of its lane: then the next one is due. */
static int look_for_woken(struct turn *t, struct err *err)
{
    int64_t due_at = INT64_MAX;
    int rc = outbox_next_due(t->parts.db, &due_at, err);

    t->more = t->more || due_at <= t->now_ms;
    return rc;
}

/* Notes those that are confirmed, which go all at once in the end. */
static int settle_some(struct turn *t, size_t n, size_t *confirmed, struct err *err)
{
    int rc = OK;

    for (size_t i = 0; i < n && rc == OK; i++) {
        turn_spans_settled(t->parts.spans, &t->settlements[i]);
        if (t->settlements[i].outcome == PUBLISH_CONFIRMED)
            t->confirmed[(*confirmed)++] = t->settlements[i].row;
        else
            rc = settle_one(t, &t->settlements[i], err);
    }
    return rc;
}

static int delete_confirmed(struct turn *t, size_t n, struct err *err)
{
    int rc;

    failpoint("confirm_read");
    rc = turn_history_rows(t, t->confirmed, n, "confirmed", err);
    if (rc == OK)
        rc = outbox_confirm(t->parts.db, t->confirmed, n, err);
    failpoint("confirm_deleted");
    t->delta.confirmed += (int64_t)n;
    return rc;
}

/* Some at a time, as long as the share lasts: what the broker refused costs far more than what
 * it confirmed. */
int settle_rows(struct turn *t, struct err *err)
{
    struct broker *b = t->parts.broker;
    size_t n = 0, all = 0, confirmed = 0;
    bool left = true;
    int rc = OK;

    while (rc == OK && left && all < TURN_ROWS_MAX && !turn_share_is_used(t)) {
        n = b->ops->settled(b, t->settlements, SETTLE_CHUNK);
        left = n == SETTLE_CHUNK;
        all += n;
        rc = settle_some(t, n, &confirmed, err);
    }
    if (rc == OK && confirmed > 0)
        rc = delete_confirmed(t, confirmed, err);
    t->more = t->more || left;
    return rc == OK && all > 0 ? look_for_woken(t, err) : rc;
}
