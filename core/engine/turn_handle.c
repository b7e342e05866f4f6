/*
 * turn_handle - a message, a savepoint, a handler, an outcome (turn_messages.c says which one)
 *
 *   delivery or retry --> readable? known? wanted? --> handler --> DONE
 *                           |        |       |            |
 *                           v        v       v            v
 *                         dead    nothing  ack or     WAITING (retry row)
 *                         letter           dead       or DEAD (dead letter)
 *
 * Every path writes its outcome into the turn's transaction, so every delivery of a
 * committed turn can be acked. What is the machine's or the store's trouble is no
 * outcome: it ends the turn.
 */
#include "engine/item.h"

#include "base/failpoint.h"
#include "store/inbox.h"
#include "store/retry.h"

#include <stdio.h>

static struct db *db_of(const struct turn *t)
{
    return t->parts.db;
}

static void note_at_hand(struct turn *t, struct slice queue, const struct message *m)
{
    uint64_t hash = TEXT_HASH_START;

    if (t->caution.limit != 1)
        return;
    hash = text_hash(hash, queue.data, queue.len);
    t->at_hand = text_hash(hash, m->body.data, m->body.len);
}

/* The message at hand may be another one: a message of another queue may have come first. */
bool handle_condemns(const struct turn *t)
{
    return t->caution.condemned && t->at_hand == t->caution.whom;
}

/* Calls the handler, or takes the verdict of a culprit that failed alone. */
static void call(struct turn *t, const struct item *i, const struct handler *h)
{
    const struct script_message m = item_as_seen(i);
    int64_t limit = h->timeout_ms > 0 ? h->timeout_ms : t->settings->handler_ms;

    if (handle_condemns(t)) {
        t->outcome = t->caution.verdict;
        return;
    }
    if (i->condemned) {
        t->outcome = (struct script_outcome){.verdict = SCRIPT_REJECT};
        item_strike_words(t->outcome.error, sizeof t->outcome.error);
        return;
    }
    item_begin_call(t, i);
    sql_enter(t->bridge.sql, clock_mono(&t->parts.clock) + limit);
    script_call(*t->script, h, &m, &t->outcome);
    sql_leave(t->bridge.sql);
    item_end_call(t, true);
    /* A handler may have caught the error of the statement that ended it all. */
    if (!db_in_transaction(db_of(t)) && t->outcome.verdict != SCRIPT_TX_LOST) {
        t->outcome.verdict = SCRIPT_TX_LOST;
        t->outcome.code = ERR_TX_LOST;
    }
}

/* What ends the turn is not this message's outcome. */
static int turn_ender(const struct turn *t, struct err *err)
{
    const struct script_outcome *o = &t->outcome;

    switch (o->verdict) {
    case SCRIPT_TX_LOST:
        return err_set(err, ERR_TX_LOST, "%s", o->error[0] ? o->error : "transaction ended");
    case SCRIPT_NOMEM:
        return err_set(err, ERR_NOMEM, "%s", o->error);
    case SCRIPT_ENVIRONMENT:
        return err_set(err, o->code, "%s", o->error);
    case SCRIPT_DONE:
    case SCRIPT_FAILED:
    case SCRIPT_RETRY:
    case SCRIPT_REJECT:
        break;
    }
    return OK;
}

/* A deferred foreign key that the handler broke shows at release: it is this
 * handler's error, and must not fail the commit of all. */
static int release(struct turn *t, struct err *err)
{
    int rc = db_release(db_of(t), err);

    if (rc != ERR_SCRIPT)
        return rc;
    t->outcome.verdict = SCRIPT_FAILED;
    snprintf(t->outcome.error, sizeof t->outcome.error, "%s", err->text);
    t->outcome.traceback[0] = '\0';
    return OK;
}

/* Looks whether the process died in this message's handler (strike.h). After too many deaths it is
 * not run any more. A rescued one is judged again when it is tried. */
static void judge(struct turn *t, struct item *i)
{
    int strikes = item_strikes(t, i->queue, &i->received);

    i->condemned = strikes >= STRIKES_MAX;
    if (strikes == 0 || t->rescuing)
        return;
    t->alone = t->more = true;
    if (i->condemned)
        t->condemned = item_strike_key(i);
    item_log(t, LOG_WARN, i->condemned ? "message.condemned" : "message.suspected", i,
             "it was in its handler when the router died: it is handled alone");
}

/* What came before it is committed first. */
bool handle_must_wait(const struct turn *t, struct slice queue, const struct message *m)
{
    return t->handled > 0 && item_strikes(t, queue, m) > 0;
}

/* Runs the handler inside the open savepoint and leaves none open; what it did stays when
 * the verdict is SCRIPT_DONE. */
static int run_inside(struct turn *t, const struct item *i, const struct handler *h,
                      struct err *err)
{
    int rc;

    call(t, i, h);
    rc = turn_ender(t, err);
    if (rc == OK && t->outcome.verdict == SCRIPT_DONE)
        rc = release(t, err);
    if (rc == OK)
        failpoint("released");
    if (rc != OK || t->outcome.verdict == SCRIPT_DONE)
        return rc;
    rc = db_rollback_to(db_of(t), err);
    return rc == OK ? db_release(db_of(t), err) : rc;
}

static struct span span_of(const struct item *i)
{
    return (struct span){.context = &i->trace,
                         .root = i->trace_made,
                         .id = i->span,
                         .exchange = i->exchange,
                         .routing_key = i->routing_key,
                         .queue = i->queue,
                         .message_id = i->received.id,
                         .type = i->message.type};
}

static void tell_try(struct turn *t, const struct item *i, int64_t start_us)
{
    struct span span = span_of(i);

    span.body = i->received.body.len;
    span.attempt = i->attempt;
    span.generation = t->generation;
    span.start_us = start_us;
    turn_spans_tried(t->parts.spans, &span,
                     t->outcome.verdict == SCRIPT_DONE ? "" : t->outcome.error);
}

static int run_handler(struct turn *t, struct item *i, const struct handler *h, struct err *err)
{
    int64_t start_us = turn_spans_now(t->parts.spans), began_ms = clock_mono(&t->parts.clock);
    int rc;

    i->handler = h;
    rc = run_inside(t, i, h, err);
    i->took_ms = clock_mono(&t->parts.clock) - began_ms;
    if (rc != OK)
        return rc;
    tell_try(t, i, start_us);
    return t->outcome.verdict == SCRIPT_DONE ? item_done(t, i, err)
                                             : item_failed(t, i, &t->outcome, err);
}

static const struct handler *handler_of(const struct turn *t, const struct item *i)
{
    return rules_handler(script_rules(*t->script), i->queue, i->message.type, i->message.key[1]);
}

int item_try(struct turn *t, struct item *i, bool *wanted_out, struct err *err)
{
    const struct handler *h;
    int rc;

    *wanted_out = true;
    t->outcome = (struct script_outcome){.verdict = SCRIPT_DONE, .delay_ms = -1};
    rc = item_read(t, i, err);
    if (rc == OK)
        rc = item_identify(t, i, err);
    if (rc == ERR_INPUT || rc == ERR_SCRIPT) {
        t->outcome.verdict = rc == ERR_INPUT ? SCRIPT_REJECT : SCRIPT_FAILED;
        snprintf(t->outcome.error, sizeof t->outcome.error, "%s", err->text);
        return OK;
    }
    h = rc == OK ? handler_of(t, i) : NULL;
    *wanted_out = h != NULL;
    if (h == NULL)
        return rc;
    rc = db_savepoint(db_of(t), err);
    if (rc != OK)
        return rc;
    rc = run_inside(t, i, h, err);
    if (rc != OK && db_in_transaction(db_of(t)) && db_rollback_to(db_of(t), NULL) == OK)
        (void)db_release(db_of(t), NULL); /* rc is what counts, and it ends the caller's too */
    return rc;
}

/* Unreadable messages are dead letters before any handler runs. */
static int dead_letter_unreadable(struct turn *t, struct item *i, const char *why, struct err *err)
{
    bool go_on;
    int rc;

    if (i->condemned)
        t->condemned = item_strike_key(i);
    i->identity = i->message.id;
    rc = item_enter(t, i, &go_on, err);
    return rc == OK && go_on ? item_dead_letter(t, i, why, NULL, item_reader(t, i), err) : rc;
}

/* A function of the rules failed before the message had an identity: it is tried again like one
 * whose handler failed, and enters the inbox when it has one. */
static int fail_unidentified(struct turn *t, struct item *i, const char *why, struct err *err)
{
    t->outcome = (struct script_outcome){.verdict = SCRIPT_FAILED, .delay_ms = -1};
    snprintf(t->outcome.error, sizeof t->outcome.error, "%s", why);
    i->message = i->received;
    i->read = false;
    return item_failed(t, i, &t->outcome, err);
}

/* What is to be said of a message that item_read or item_identify could not make out. */
static int unread(struct turn *t, struct item *i, bool dead_lettered, const struct err *why,
                  struct err *err)
{
    if (why->code == ERR_INPUT || (why->code == ERR_SCRIPT && dead_lettered))
        return dead_letter_unreadable(t, i, why->text, err);
    if (why->code != ERR_SCRIPT)
        return err_set(err, why->code, "%s", why->text);
    i->unidentified = true;
    i->identity = (struct slice){NULL, 0};
    return fail_unidentified(t, i, why->text, err);
}

/* Runs the handler inside the open savepoint, or lets the message wait: until it is due, behind
 * its lane, or because no handler may run in this turn. */
static int run_in_order(struct turn *t, struct item *i, const struct handler *h, struct err *err)
{
    bool early = i->due_at > t->now_ms, busy = false;
    int rc = OK;

    if (i->lane.data != NULL && !t->rescuing && !early)
        rc = lane_is_busy(db_of(t), i->queue, i->lane, INT64_MAX, &busy, err);
    if (rc == OK && !busy && !t->rescuing && !early)
        return run_handler(t, i, h, err);
    if (rc == OK)
        rc = early         ? item_postpone(t, i, err)
             : t->rescuing ? item_rescue(t, i, err)
                           : item_behind(t, i, err);
    return rc == OK ? db_release(db_of(t), err) : rc;
}

static int handle_it(struct turn *t, struct delivery *d, struct item *i, struct err *err)
{
    const struct handler *h;
    struct err why = {0};
    int64_t floor = 0;
    bool go_on;
    int rc;

    failpoint("delivery_read");
    trace_item(t, i);
    note_at_hand(t, i->queue, &i->received);
    t->delta.delivered++;
    judge(t, i);
    if (d->defect != NULL)
        return dead_letter_unreadable(t, i, d->defect, err);
    rc = item_read(t, i, &why);
    if (rc == OK)
        rc = item_identify(t, i, &why);
    if (rc != OK)
        return unread(t, i, d->dead_lettered != NULL, &why, err);
    i->lane = lane_of(i->lane_text, i->subscription->order_by, &i->message);
    rc = db_savepoint(db_of(t), err);
    if (rc == OK)
        rc = item_enter(t, i, &go_on, err);
    if (rc == OK && go_on)
        rc = item_floor(t, i, &floor, err);
    if (rc != OK)
        return rc;
    h = go_on && floor == 0 && d->dead_lettered == NULL ? handler_of(t, i) : NULL;
    if (h != NULL)
        return run_in_order(t, i, h, err);
    rc = db_release(db_of(t), err);
    if (rc == OK && floor != 0)
        return item_dead_letter_old(t, i, floor, err);
    if (rc == OK && go_on && d->dead_lettered != NULL)
        return item_dead_letter(t, i, d->dead_lettered, NULL, 0, err);
    return rc == OK && go_on ? item_unhandled(t, i, err) : rc;
}

int handle_delivery(struct turn *t, struct delivery *d, struct err *err)
{
    struct item i = {
        .received = d->message,
        .message = d->message,
        .fingerprint = message_fingerprint(&d->message),
        .queue = slice_of(d->subscription->queue),
        .exchange = d->exchange,
        .routing_key = d->routing_key,
        .attempt = 1,
        .first_at = t->now_ms,
        .redelivered = d->redelivered,
        .subscription = d->subscription,
    };
    int rc = handle_it(t, d, &i, err);
    struct span span = span_of(&i);

    if (rc == OK)
        turn_spans_accepted(t->parts.spans, &span);
    return rc;
}

/* Runs the handler of a retry. One that has its identity only now may have been handled under it,
 * and may be early: it enters the inbox when it is due, since it would not know its own entry
 * again. */
static int try_again(struct turn *t, struct item *i, struct err *err)
{
    const struct handler *h = handler_of(t, i);
    bool go_on = true;
    int rc;

    if (i->unidentified && h != NULL && i->due_at > t->now_ms)
        return item_postpone(t, i, err);
    rc = db_savepoint(db_of(t), err);
    if (rc == OK && i->unidentified)
        rc = item_enter(t, i, &go_on, err);
    if (rc == OK && go_on && h != NULL)
        return run_handler(t, i, h, err);
    if (rc == OK)
        rc = db_release(db_of(t), err);
    if (rc != OK)
        return rc;
    return go_on ? item_unhandled(t, i, err) : item_leave_retries(t, i, err);
}

int handle_retry(struct turn *t, const struct retry_row *row, struct err *err)
{
    struct item i = {
        .received = row->message,
        .message = row->message,
        .queue = row->queue,
        .exchange = row->exchange,
        .routing_key = row->routing_key,
        .identity = row->identity,
        .fingerprint = row->fingerprint,
        .attempt = row->attempts + 1,
        .first_at = row->attempts > 0 ? row->first_at : t->now_ms,
        .unidentified = row->unidentified,
        .retry_id = row->id,
        .lane = row->lane,
        .waited = row->error != NULL,
        .subscription = subscription_of(t, row->queue),
    };
    struct err why = {0};
    int rc;

    if (i.subscription == NULL) /* it waits, in plain sight, for a subscription to return */
        return retry_again(db_of(t), row->id, row->attempts, t->now_ms + ORPHAN_WAIT_MS,
                           "orphaned: no subscription for this queue in rules/", row->generation,
                           (struct slice){NULL, 0}, err);
    trace_item(t, &i);
    note_at_hand(t, i.queue, &i.received);
    t->delta.retried += row->attempts > 0;
    judge(t, &i);
    rc = item_read(t, &i, &why);
    if (rc == OK && i.unidentified)
        rc = item_identify(t, &i, &why);
    if (rc == ERR_INPUT)
        return item_dead_letter(t, &i, why.text, NULL, item_reader(t, &i), err);
    if (rc == ERR_SCRIPT)
        return fail_unidentified(t, &i, why.text, err);
    if (rc != OK)
        return err_set(err, rc, "%s", why.text);
    return try_again(t, &i, err);
}
