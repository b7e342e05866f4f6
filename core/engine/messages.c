/*
 * messages - which of those that wait a turn handles (the first half of a turn)
 *
 * Due retries and deliveries have a share of its time each. Where the first of the two used up
 * the whole turn, by one long handler, the other one comes first in the next.
 */
#include "engine/item.h"

#include "base/failpoint.h"
#include "store/retry.h"

#include <string.h>

static struct db *db_of(const struct turn *t)
{
    return t->settings.db;
}

/* Due rows are copied before any handler runs: handlers write to the same tables. */
struct collector {
    struct turn *turn;
    size_t n;
    size_t limit;
};

static bool collect(void *arg, const struct retry_row *row)
{
    struct collector *c = arg;
    struct retry_row copy = *row;
    struct arena *a = &c->turn->arena;

    if (c->n == c->limit)
        return false;
    /* The one that counts is kept: whether it only waits for its handler. */
    copy.error = row->error && strcmp(row->error, RETRY_UNHANDLED) == 0 ? RETRY_UNHANDLED : NULL;
    if (!message_keep(a, &copy.message) || !arena_keep(a, &copy.queue) ||
        !arena_keep(a, &copy.identity) || !arena_keep(a, &copy.lane) ||
        !arena_keep(a, &copy.exchange) || !arena_keep(a, &copy.routing_key))
        return false; /* the rest waits for the next turn */
    c->turn->retries[c->n++] = copy;
    return true;
}

/* One walk over what is due; *limit is what is left of it. *left_out: not all of it was tried. */
static int handle_due(struct turn *t, size_t *limit, bool *left_out, struct err *err)
{
    struct collector c = {.turn = t, .limit = *limit};
    int rc = retry_due(db_of(t), t->now_ms, *limit, collect, &c, err);

    for (size_t n = 0; n < c.n && rc == OK && !t->alone; n++) {
        const struct retry_row *row = &t->retries[n];
        int64_t later = pause_defers(pauses_find(&t->pauses, row->queue), t->now_ms);

        if (later != 0) {
            rc = retry_defer(db_of(t), row->id, later, err);
            continue;
        }
        *left_out = turn_share_is_used(t) || handle_must_wait(t, row->queue, &row->message);
        if (*left_out)
            break;
        rc = handle_retry(t, row, err);
        if (rc == OK)
            t->handled++;
    }
    *limit -= c.n;
    return rc;
}

/* A lane whose first message is settled goes on at once: its next one came due with that. */
static int handle_retries(struct turn *t, size_t limit, struct err *err)
{
    bool left = false;
    int rc;

    do {
        t->lane_moved = false;
        rc = handle_due(t, &limit, &left, err);
    } while (rc == OK && t->lane_moved && limit > 0 && !left && !t->alone);
    left = left || limit == 0 || t->lane_moved;
    t->more = t->more || left;
    if (rc == OK && !left && !t->alone)
        pausing_ask(t);
    return rc;
}

/* True when a delivery may be handled now. What the broker gave up on is none of its queue's
 * flow, and comes at its own pace: a pause does not stop it, and it is no probe. */
static bool is_wanted(const struct turn *t, const struct delivery *d)
{
    return d->given_up != NULL ||
           pause_takes(pauses_find(&t->pauses, slice_of(d->subscription->queue)));
}

static void note_taken(struct turn *t, const struct delivery *d)
{
    if (d->given_up == NULL)
        pause_took(pauses_find(&t->pauses, slice_of(d->subscription->queue)));
    t->handled++;
}

static int handle_deliveries(struct turn *t, size_t limit, struct err *err)
{
    struct broker *b = t->settings.broker;
    size_t n = 0, taken;
    int rc = b->ops->take(b, t->deliveries, limit, &n, err);

    if (n > 0)
        failpoint("begun");
    for (taken = 0; taken < n && rc == OK && !t->alone; taken++) {
        struct delivery *d = t->deliveries[taken];

        if (!is_wanted(t, d))
            continue; /* the broker keeps it */
        if (turn_share_is_used(t))
            break;
        t->suspect_waits = handle_must_wait(t, slice_of(d->subscription->queue), &d->message);
        if (t->suspect_waits)
            break;
        rc = handle_delivery(t, d, err);
        if (rc == OK)
            rc = b->ops->accept(b, d, err);
        if (rc != OK)
            break;
        note_taken(t, d);
    }
    if (n == limit || taken < n)
        t->more = true;
    return rc;
}

static int handle_phase(struct turn *t, enum share_phase phase, size_t limit, struct err *err)
{
    int rc;

    turn_enter(t, phase);
    rc = phase == SHARE_RETRIES ? handle_retries(t, limit, err) : handle_deliveries(t, limit, err);
    turn_leave(t);
    return rc;
}

/* A crowd of due retries leaves half of the messages of a turn to what is new. A delivery that
 * is the suspect of a death (strike.h) must not wait for them either. */
static int handle_both(struct turn *t, struct err *err)
{
    size_t careful = t->caution.limit;
    size_t limit = careful ? careful : t->settings.messages_max;
    bool news_first = t->news_first || t->suspect_waits;
    int rc;

    t->suspect_waits = false;
    rc = news_first ? handle_phase(t, SHARE_DELIVERIES, limit, err)
                    : handle_phase(t, SHARE_RETRIES, careful ? careful : (limit + 1) / 2, err);
    if (rc != OK || t->alone)
        return rc;
    if (t->handled >= limit || turn_is_old(t)) {
        t->news_next = !news_first;
        t->more = true;
        return OK;
    }
    return handle_phase(t, news_first ? SHARE_RETRIES : SHARE_DELIVERIES, limit - t->handled, err);
}

int handle_messages(struct turn *t, struct err *err)
{
    int rc = OK;

    if (t->adopting)
        rc = retry_adopt(db_of(t), t->now_ms, t->now_ms + ORPHAN_WAIT_MS, err);
    if (rc == OK && t->hurrying)
        rc = pausing_hurry(t, err);
    return rc == OK ? handle_both(t, err) : rc;
}
