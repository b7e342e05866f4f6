/*
 * handle - a message, a savepoint, a handler, an outcome (the first half of a turn)
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
#include "engine/turn_int.h"

#include "store/dead.h"
#include "store/inbox.h"
#include "store/retry.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ORPHAN_WAIT_MS = 60000, IDENTITY_MAX = 96 };

/* The message at hand, wherever it came from. */
struct item {
    struct message received; /* as it arrived: what a retry row keeps */
    struct message message;  /* resolved */
    struct slice queue;
    struct slice exchange;
    struct slice routing_key;
    struct slice identity;            /* the inbox key's id; absent: none */
    char identity_text[IDENTITY_MAX]; /* holds `identity` where it was made */
    uint64_t fingerprint;
    int attempt;      /* this try; the first is 1 */
    int64_t first_at; /* wall clock of the first try */
    int64_t retry_id; /* 0: a delivery */
    bool redelivered;
    const struct subscription *subscription; /* NULL: a retry of a queue nobody subscribes to */
};

static struct db *db_of(const struct turn *t)
{
    return t->settings.db;
}

/* Without an AMQP message id the body's id names the message, together with the
 * fingerprint, since the services that send such bodies number per table. */
static void identify(struct item *i, const struct envelope *e)
{
    i->fingerprint = message_fingerprint(&i->message);
    i->identity = i->message.id;
    if (i->identity.data == NULL && e->id.data != NULL && e->id.len <= 64) {
        int n = snprintf(i->identity_text, sizeof i->identity_text, "%.*s#%016" PRIx64,
                         (int)e->id.len, e->id.data, i->fingerprint);

        i->identity = (struct slice){i->identity_text, (size_t)n};
    }
}

static int set_inbox(struct turn *t, const struct item *i, enum inbox_state state, struct err *err)
{
    if (i->identity.data == NULL)
        return OK;
    return inbox_set(db_of(t), i->queue, i->identity, i->fingerprint, state, t->now_ms, err);
}

static void log_outcome(struct turn *t, enum log_level level, const char *event,
                        const struct item *i, const char *reason)
{
    log_event(t->settings.log, level, event,
              LOG_FIELDS(log_bytes("message_id", i->identity.data, i->identity.len),
                         log_bytes("queue", i->queue.data, i->queue.len),
                         log_bytes("type", i->message.type.data, i->message.type.len),
                         log_bytes("order_type", i->message.key[1].data, i->message.key[1].len),
                         log_int("attempt", i->attempt), log_text("reason", reason)));
}

static int add_dead(struct turn *t, const struct item *i, int attempts, const char *error,
                    const char *traceback, int64_t generation, struct err *err)
{
    const struct dead_letter letter = {
        .side = DEAD_INBOX,
        .queue = i->queue,
        .identity = i->identity,
        .message = i->message,
        .exchange = i->exchange,
        .routing_key = i->routing_key,
        .fingerprint = i->fingerprint,
        .attempts = attempts,
        .error = error,
        .traceback = traceback != NULL && traceback[0] != '\0' ? traceback : NULL,
        .generation = generation,
        .at = t->now_ms,
    };
    int64_t id;

    t->delta.dead++;
    log_outcome(t, LOG_WARN, "message.dead", i, error);
    return dead_add(db_of(t), &letter, &id, err);
}

/* The message leaves the way of retries and becomes a dead letter. */
static int bury(struct turn *t, const struct item *i, const char *error, const char *traceback,
                int64_t generation, struct err *err)
{
    int rc = add_dead(t, i, i->attempt, error, traceback, generation, err);

    if (rc == OK)
        rc = set_inbox(t, i, INBOX_DEAD, err);
    if (rc == OK && i->retry_id != 0)
        rc = retry_remove(db_of(t), i->retry_id, err);
    return rc;
}

static int wait_for_retry(struct turn *t, const struct item *i, int64_t delay_ms, const char *error,
                          struct err *err)
{
    const struct retry_row row = {
        .queue = i->queue,
        .identity = i->identity,
        .message = i->received,
        .exchange = i->exchange,
        .routing_key = i->routing_key,
        .fingerprint = i->fingerprint,
        .attempts = i->attempt,
        .first_at = i->first_at,
        .due_at = t->now_ms + delay_ms,
        .error = error,
    };

    log_outcome(t, LOG_INFO, "message.retry", i, error);
    if (i->retry_id != 0)
        return retry_again(db_of(t), i->retry_id, i->attempt, row.due_at, error, err);
    if (retry_add(db_of(t), &row, err) != OK)
        return err->code;
    return set_inbox(t, i, INBOX_WAITING, err);
}

/* The handler did not return: its writes are undone, the outcome is written. */
static int not_done(struct turn *t, const struct item *i, const struct script_outcome *o,
                    struct err *err)
{
    const struct retry_policy *policy = &i->subscription->retry;
    int64_t delay = o->delay_ms;

    t->delta.failed++;
    if (o->verdict == SCRIPT_REJECT)
        return bury(t, i, o->error, o->traceback, t->generation, err);
    if (o->verdict == SCRIPT_FAILED || delay < 0)
        delay = policy_delay(policy, i->attempt, t->now_ms - i->first_at, chance_draw(&t->chance));
    else if (policy_delay(policy, i->attempt, t->now_ms - i->first_at, 0) == POLICY_GIVE_UP)
        delay = POLICY_GIVE_UP; /* a handler chooses the delay, not the number of tries */
    if (delay == POLICY_GIVE_UP)
        return bury(t, i, o->error, o->traceback, t->generation, err);
    return wait_for_retry(t, i, delay, o->error, err);
}

static int done(struct turn *t, const struct item *i, struct err *err)
{
    int rc = OK;

    t->delta.handled++;
    if (i->retry_id != 0) {
        rc = retry_remove(db_of(t), i->retry_id, err);
        if (rc == OK)
            rc = set_inbox(t, i, INBOX_DONE, err);
    }
    return rc;
}

/* Calls the handler, or takes the verdict of a culprit that failed alone. */
static void call(struct turn *t, const struct item *i, const struct handler *h)
{
    const struct script_message m = {
        .message = &i->message,
        .queue = i->queue,
        .exchange = i->exchange,
        .routing_key = i->routing_key,
        .attempt = i->attempt,
        .redelivered = i->redelivered,
    };

    if (t->caution.condemned) {
        t->outcome = t->caution.verdict;
        return;
    }
    t->bridge.message_id = i->identity;
    sql_enter(t->bridge.sql, clock_mono(&t->settings.clock) + t->settings.handler_ms);
    script_call(*t->script, h, &m, &t->outcome);
    sql_leave(t->bridge.sql);
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

/* Runs the handler inside the open savepoint and leaves none open. */
static int run_handler(struct turn *t, const struct item *i, const struct handler *h,
                       struct err *err)
{
    int rc;

    call(t, i, h);
    rc = turn_ender(t, err);
    if (rc != OK)
        return rc;
    if (t->outcome.verdict == SCRIPT_DONE)
        rc = release(t, err);
    if (rc != OK)
        return rc;
    if (t->outcome.verdict == SCRIPT_DONE)
        return done(t, i, err);
    rc = db_rollback_to(db_of(t), err);
    if (rc == OK)
        rc = db_release(db_of(t), err);
    return rc == OK ? not_done(t, i, &t->outcome, err) : rc;
}

static int unhandled(struct turn *t, const struct item *i, struct err *err)
{
    char why[512];

    if (i->retry_id == 0 && !i->subscription->unhandled_dead) {
        t->delta.unhandled++;
        log_outcome(t, LOG_DEBUG, "message.unhandled", i, "no handler for this type");
        return OK;
    }
    snprintf(why, sizeof why,
             "no handler for type \"%.*s\", order type \"%.*s\": add herald.on(...) to rules/",
             (int)i->message.type.len, i->message.type.data, (int)i->message.key[1].len,
             i->message.key[1].data ? i->message.key[1].data : "");
    return bury(t, i, why, NULL, t->generation, err);
}

static const struct handler *handler_of(const struct turn *t, const struct item *i)
{
    return rules_handler(script_rules(*t->script), i->queue, i->message.type, i->message.key[1]);
}

/* One id, two messages: the second is not the first, and must not vanish as if it were. */
static int id_used_twice(struct turn *t, struct item *i, struct err *err)
{
    char why[256];

    snprintf(why, sizeof why,
             "id used twice: a message with this id but another type, key or body was taken from "
             "this queue before");
    return add_dead(t, i, i->attempt, why, NULL, 0, err);
}

/* Enters the message into the inbox; *go_on is false when that settled it. */
static int enter(struct turn *t, struct item *i, bool *go_on, struct err *err)
{
    struct inbox_seen seen = {.known = false};
    int rc = OK;

    *go_on = true;
    if (i->identity.data == NULL) {
        t->delta.unidentified++;
        return OK;
    }
    rc = inbox_enter(db_of(t), i->queue, i->identity, i->fingerprint, t->now_ms, &seen, err);
    if (rc != OK || !seen.known)
        return rc;
    *go_on = false;
    if (seen.fingerprint != i->fingerprint)
        return id_used_twice(t, i, err);
    t->delta.duplicates++;
    log_outcome(t, LOG_INFO, "message.duplicate", i,
                seen.state == INBOX_DONE      ? "handled before"
                : seen.state == INBOX_WAITING ? "its retry waits"
                                              : "it is a dead letter");
    return OK;
}

/* Unreadable messages are dead letters before any Lua runs. */
static int bury_unreadable(struct turn *t, struct item *i, const char *why, struct err *err)
{
    bool go_on;
    int rc;

    i->fingerprint = message_fingerprint(&i->message);
    i->identity = i->message.id;
    rc = enter(t, i, &go_on, err);
    return rc == OK && go_on ? bury(t, i, why, NULL, 0, err) : rc;
}

static int handle_delivery(struct turn *t, struct delivery *d, struct err *err)
{
    struct item i = {
        .received = d->message,
        .message = d->message,
        .queue = slice_of(d->subscription->queue),
        .exchange = d->exchange,
        .routing_key = d->routing_key,
        .attempt = 1,
        .first_at = t->now_ms,
        .redelivered = d->redelivered,
        .subscription = d->subscription,
    };
    const struct handler *h;
    struct err why = {0};
    bool go_on;
    int rc;

    t->delta.delivered++;
    if (d->defect != NULL)
        return bury_unreadable(t, &i, d->defect, err);
    rc = message_resolve(&i.message, &t->envelope, &why);
    if (rc == ERR_INPUT)
        return bury_unreadable(t, &i, why.text, err);
    if (rc != OK)
        return err_set(err, rc, "%s", why.text);
    identify(&i, &t->envelope);
    rc = db_savepoint(db_of(t), err);
    if (rc == OK)
        rc = enter(t, &i, &go_on, err);
    if (rc != OK)
        return rc;
    h = go_on ? handler_of(t, &i) : NULL;
    if (h != NULL)
        return run_handler(t, &i, h, err);
    rc = db_release(db_of(t), err);
    return rc == OK && go_on ? unhandled(t, &i, err) : rc;
}

static const struct subscription *subscription_of(const struct turn *t, struct slice queue)
{
    const struct topology *all = rules_topology(script_rules(*t->script));

    for (size_t n = 0; n < all->n_subscriptions; n++)
        if (slice_is(queue, all->subscriptions[n].queue))
            return &all->subscriptions[n];
    return NULL;
}

static int handle_retry(struct turn *t, const struct retry_row *row, struct err *err)
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
        .first_at = row->first_at,
        .retry_id = row->id,
        .subscription = subscription_of(t, row->queue),
    };
    const struct handler *h;
    struct err why = {0};
    int rc;

    if (i.subscription == NULL) /* it waits, in plain sight, for a subscription to return */
        return retry_again(db_of(t), row->id, row->attempts, t->now_ms + ORPHAN_WAIT_MS,
                           "orphaned: no subscription for this queue in rules/", err);
    t->delta.retried++;
    rc = message_resolve(&i.message, &t->envelope, &why);
    if (rc == ERR_INPUT)
        return bury(t, &i, why.text, NULL, 0, err);
    if (rc != OK)
        return err_set(err, rc, "%s", why.text);
    h = handler_of(t, &i);
    if (h == NULL)
        return unhandled(t, &i, err);
    rc = db_savepoint(db_of(t), err);
    return rc == OK ? run_handler(t, &i, h, err) : rc;
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
    copy.error = NULL;
    if (!message_keep(a, &copy.message) || !arena_keep(a, &copy.queue) ||
        !arena_keep(a, &copy.identity) || !arena_keep(a, &copy.exchange) ||
        !arena_keep(a, &copy.routing_key))
        return false; /* the rest waits for the next turn */
    c->turn->retries[c->n++] = copy;
    return true;
}

static int handle_retries(struct turn *t, size_t limit, struct err *err)
{
    struct collector c = {.turn = t, .limit = limit};
    int rc = retry_due(db_of(t), t->now_ms, limit, collect, &c, err);

    for (size_t n = 0; n < c.n && rc == OK; n++) {
        if (turn_is_old(t) && n > 0) {
            t->more = true;
            break;
        }
        rc = handle_retry(t, &t->retries[n], err);
        if (rc == OK)
            t->handled++;
    }
    if (c.n == limit)
        t->more = true;
    return rc;
}

static int handle_deliveries(struct turn *t, size_t limit, struct err *err)
{
    struct broker *b = t->settings.broker;
    size_t n = 0, taken;
    int rc = b->ops->take(b, t->deliveries, limit, &n, err);

    for (taken = 0; taken < n && rc == OK; taken++) {
        if (taken > 0 && turn_is_old(t))
            break;
        rc = handle_delivery(t, t->deliveries[taken], err);
        if (rc == OK)
            rc = b->ops->accept(b, t->deliveries[taken], err);
        if (rc == OK)
            t->handled++;
    }
    if (n == limit || taken < n)
        t->more = true;
    return rc;
}

int handle_messages(struct turn *t, struct err *err)
{
    size_t careful = t->caution.limit;
    size_t limit = careful ? careful : t->settings.messages_max;
    /* A crowd of due retries leaves half of a turn to what is new. */
    int rc = handle_retries(t, careful ? careful : (limit + 1) / 2, err);

    if (rc == OK && t->handled < limit && turn_is_old(t))
        t->more = true;
    else if (rc == OK && t->handled < limit)
        rc = handle_deliveries(t, limit - t->handled, err);
    return rc;
}
