/* item_outcome - what became of a message, written into the turn's transaction (item.h). */
#include "engine/item.h"

#include "base/failpoint.h"
#include "store/inbox.h"
#include "store/letter.h"
#include "store/retry.h"
#include "store/tries.h"

#include <stdio.h>
#include <string.h>

static struct db *db_of(const struct turn *t)
{
    return t->parts.db;
}

static int set_inbox(struct turn *t, const struct item *i, enum inbox_state state, struct err *err)
{
    if (i->identity.data == NULL)
        return OK;
    return inbox_set(db_of(t), i->queue, i->identity, i->fingerprint, state, t->now_ms, err);
}

void item_log(struct turn *t, enum log_level level, const char *event, const struct item *i,
              const char *reason)
{
    log_event(t->parts.log, level, event,
              LOG_FIELDS(log_bytes("message_id", i->identity.data, i->identity.len),
                         log_bytes("queue", i->queue.data, i->queue.len),
                         log_bytes("type", i->message.type.data, i->message.type.len),
                         log_bytes("order_type", i->message.key[1].data, i->message.key[1].len),
                         log_int("attempt", i->attempt), log_int("generation", t->generation),
                         log_text("hash", script_hash(*t->script)), log_text("reason", reason),
                         trace_field(&i->trace)));
}

struct message item_as_kept(const struct item *i)
{
    struct message m = i->message;

    m.id = i->received.id;
    m.body = i->received.body;
    m.content_type = i->received.content_type;
    return m;
}

static int add_dead(struct turn *t, const struct item *i, int attempts, const char *error,
                    const char *traceback, int64_t generation, struct err *err)
{
    struct letter letter = {
        .side = LETTER_INBOX,
        .queue = i->queue,
        .identity = i->identity,
        .message = item_as_kept(i),
        .exchange = i->exchange,
        .routing_key = i->routing_key,
        .fingerprint = i->fingerprint,
        .attempts = attempts,
        .error = error,
        .traceback = traceback != NULL && traceback[0] != '\0' ? traceback : NULL,
        .generation = generation,
        .at = t->now_ms,
        .lane = i->lane,
        .holds = i->lane.data != NULL && i->subscription != NULL && i->subscription->hold,
    };
    struct buf tries;
    bool added = false;
    int rc = retry_tries(db_of(t), i->retry_id, &tries, err);

    item_log(t, LOG_WARN, "message.dead", i, error);
    letter.tries = (struct slice){tries.data, tries.len};
    if (rc == OK && letter.holds)
        rc = retry_place(db_of(t), i->retry_id, &letter.place, err);
    if (rc == OK)
        rc = letter_add(db_of(t), &letter, &t->last_letter, &added, err);
    t->delta.dead += added;
    buf_free(&tries);
    return rc;
}

/* A trigger wakes the next message of its lane. */
int item_leave_retries(struct turn *t, const struct item *i, struct err *err)
{
    if (i->retry_id == 0)
        return OK;
    t->lane_moved = t->lane_moved || i->lane.data != NULL;
    return retry_remove(db_of(t), i->retry_id, err);
}

/* The message leaves the way of retries and becomes a dead letter. */
int item_dead_letter(struct turn *t, const struct item *i, const char *error, const char *traceback,
                     int64_t generation, struct err *err)
{
    int rc = add_dead(t, i, i->attempt, error, traceback, generation, err);

    if (rc == OK)
        rc = set_inbox(t, i, INBOX_DEAD, err);
    return rc == OK ? item_leave_retries(t, i, err) : rc;
}

/* What the tries came to, with the one that just failed. */
static int note_try(struct turn *t, const struct item *i, const struct script_outcome *o,
                    struct buf *tries, struct err *err)
{
    const struct tried one = {.at = t->now_ms,
                              .attempt = i->attempt,
                              .generation = t->generation,
                              .took_ms = i->took_ms,
                              .error = slice_of(o->error),
                              .traceback = slice_of(o->traceback)};
    int rc = retry_tries(db_of(t), i->retry_id, tries, err);

    return rc == OK ? tries_add(tries, &one, err) : rc;
}

/* What retry_resolve says of it is known. */
static bool is_read_otherwise(const struct item *i)
{
    const struct subscription *s = i->subscription;

    return i->read && s != NULL &&
           (s->envelope != ENVELOPE_AUTO || s->key_path[0] || s->key_path[1] || s->key_path[2]);
}

/* `attempts` that count so far; tries absent: it was not tried. */
static int write_retry(struct turn *t, const struct item *i, int attempts, int64_t due_at,
                       const char *error, struct slice tries, struct err *err)
{
    const struct retry_row row = {
        .queue = i->queue,
        .identity = i->identity,
        .message = i->received,
        .exchange = i->exchange,
        .routing_key = i->routing_key,
        .fingerprint = i->fingerprint,
        .unidentified = i->unidentified,
        .attempts = attempts,
        .first_at = i->first_at,
        .due_at = due_at,
        .error = error,
        .generation = t->generation,
        .lane = i->lane,
        .tries = tries,
        .read = is_read_otherwise(i) ? &i->message : NULL,
    };
    int rc = OK;

    if (i->retry_id != 0 && i->unidentified && row.read != NULL)
        rc = retry_set_read(db_of(t), i->retry_id, row.read, err);
    if (rc == OK && i->retry_id != 0)
        return retry_again(db_of(t), i->retry_id, attempts, due_at, error, t->generation, tries,
                           err);
    if (rc == OK)
        rc = retry_add(db_of(t), &row, err);
    if (rc != OK)
        return rc;
    failpoint("retry_written");
    return set_inbox(t, i, INBOX_WAITING, err);
}

int item_behind(struct turn *t, const struct item *i, struct err *err)
{
    static const char why[] = "behind: an earlier message of its lane waits";
    const struct slice untried = {NULL, 0};

    t->delta.behind++;
    item_log(t, LOG_DEBUG, "message.behind", i, why);
    return write_retry(t, i, 0, LANE_BEHIND, why, untried, err);
}

static int wait_for_retry(struct turn *t, const struct item *i, int64_t delay_ms,
                          const struct script_outcome *o, struct err *err)
{
    struct buf tries;
    int rc = note_try(t, i, o, &tries, err);

    /* A rule that asks for another time has not failed. */
    item_log(t, o->verdict == SCRIPT_RETRY ? LOG_INFO : LOG_WARN, "message.retry", i, o->error);
    if (rc == OK)
        rc = write_retry(t, i, i->attempt, t->now_ms + delay_ms, o->error,
                         (struct slice){tries.data, tries.len}, err);
    buf_free(&tries);
    return rc;
}

/* Its queue is paused, or it is rescued: what is written says that it was not tried. Dead
 * letters of its lane may have become retries again, and those come before it. A dead letter
 * that holds the lane does not keep back a message that has its retry row already: that row was
 * the lane's first. */
static int put_off(struct turn *t, const struct item *i, int64_t due_at, const char *error,
                   struct err *err)
{
    bool behind = false;
    int rc = OK;

    if (i->retry_id != 0 && i->lane.data != NULL)
        rc = retry_defer(db_of(t), i->retry_id, LANE_BEHIND, err); /* not to wait for itself */
    if (rc == OK && i->lane.data != NULL)
        rc = lane_is_busy(db_of(t), i->queue, i->lane, i->retry_id != 0 ? 0 : INT64_MAX, &behind,
                          err);
    if (rc == OK && i->retry_id != 0)
        return retry_defer(db_of(t), i->retry_id, behind ? LANE_BEHIND : due_at, err);
    return rc == OK ? write_retry(t, i, i->attempt - 1, behind ? LANE_BEHIND : due_at, error,
                                  (struct slice){NULL, 0}, err)
                    : rc;
}

int item_postpone(struct turn *t, const struct item *i, struct err *err)
{
    static const char why[] = "postponed: its sender wants it handled no earlier";

    item_log(t, LOG_DEBUG, "message.postponed", i, why);
    if (i->retry_id != 0) /* it could not be read before; it keeps its place */
        return write_retry(t, i, i->attempt - 1, i->due_at, why, (struct slice){NULL, 0}, err);
    return put_off(t, i, i->due_at, why, err);
}

int item_rescue(struct turn *t, const struct item *i, struct err *err)
{
    t->delta.rescued++;
    item_log(t, LOG_DEBUG, "message.rescued", i, RESCUED);
    return put_off(t, i, t->now_ms, RESCUED, err);
}

static int give_up(struct turn *t, const struct item *i, const struct script_outcome *o,
                   struct err *err)
{
    int rc = item_dead_letter(t, i, o->error, o->traceback, t->generation, err);

    if (rc == OK && o->verdict == SCRIPT_FAILED)
        pausing_dead_lettered(t, i, o->error, t->last_letter);
    return rc;
}

/* Tells the streak of its queue. A message that was condemned by its strikes did not run, so it
 * says nothing about its queue. */
static int judge_queue(struct turn *t, const struct item *i, const struct script_outcome *o,
                       int64_t *due_at_out, struct err *err)
{
    *due_at_out = 0;
    if (o->verdict == SCRIPT_FAILED)
        return pausing_failed(t, i, o->error, due_at_out, err);
    if (!i->condemned)
        pausing_passed(t, i, o->error);
    return OK;
}

int item_failed(struct turn *t, const struct item *i, const struct script_outcome *o,
                struct err *err)
{
    const struct retry_policy *own = i->handler ? i->handler->retry : NULL;
    const struct retry_policy *policy = own ? own : &i->subscription->retry;
    int64_t delay = o->delay_ms, due_at;
    int rc = judge_queue(t, i, o, &due_at, err);

    if (rc != OK || due_at != 0)
        return rc != OK ? rc : put_off(t, i, due_at, o->error, err);
    t->delta.failed++;
    if (o->verdict == SCRIPT_REJECT)
        return item_dead_letter(t, i, o->error, o->traceback, t->generation, err);
    if (o->verdict == SCRIPT_FAILED || delay < 0)
        delay = policy_delay(policy, i->attempt, t->now_ms - i->first_at, chance_draw(&t->chance));
    else if (policy_delay(policy, i->attempt, t->now_ms - i->first_at, 0) == POLICY_GIVE_UP)
        delay = POLICY_GIVE_UP; /* a handler chooses the delay, not the number of tries */
    if (delay == POLICY_GIVE_UP)
        return give_up(t, i, o, err);
    return wait_for_retry(t, i, delay, o, err);
}

int item_done(struct turn *t, const struct item *i, struct err *err)
{
    int rc = turn_history_item(t, i, "done", err);

    t->delta.handled++;
    pausing_passed(t, i, "a message was handled");
    turn_recent_note(t, i);
    if (rc == OK && i->retry_id != 0) {
        rc = item_leave_retries(t, i, err);
        if (rc == OK)
            rc = set_inbox(t, i, INBOX_DONE, err);
    }
    return rc;
}

/* Logs the first message of a type that has no handler since these rules are in force; the next
 * one, too, when the line was lost with a turn that was undone. */
static enum log_level unhandled_level(struct turn *t, const struct item *i, const char *event)
{
    const struct slice name[LOOKUP_PARTS] = {i->message.type, slice_of(event), {NULL, 0}};
    const int64_t *told = nameset_find(&t->unhandled, name);

    if (told != NULL && (*told == t->serial || *told <= t->committed))
        return LOG_DEBUG;
    return nameset_put(&t->unhandled, name, t->serial) ? LOG_WARN : LOG_DEBUG;
}

/* A retry that was never tried is one that waited for a handler to return. */
static int let_go(struct turn *t, const struct item *i, struct err *err)
{
    int rc = turn_history_item(t, i, "unhandled", err);

    t->delta.unhandled++;
    item_log(t, unhandled_level(t, i, "message.unhandled"), "message.unhandled", i,
             "no handler for this type; the next ones of it are only counted");
    if (rc == OK && i->retry_id != 0)
        rc = set_inbox(t, i, INBOX_DONE, err);
    return rc == OK ? item_leave_retries(t, i, err) : rc;
}

static int64_t wait_for_handler(const struct turn *t, const struct item *i)
{
    return t->past == NULL
               ? 0
               : past_rules_wait_for_handler(t->past, i->queue, i->message.type, i->message.key[1],
                                             clock_mono(&t->parts.clock));
}

int item_unhandled(struct turn *t, const struct item *i, struct err *err)
{
    int64_t wait_ms = wait_for_handler(t, i);
    char why[512];

    if (wait_ms > 0) {
        item_log(t, unhandled_level(t, i, "message.waits"), "message.waits", i, RETRY_UNHANDLED);
        return put_off(t, i, t->now_ms + wait_ms, RETRY_UNHANDLED, err);
    }
    if ((i->retry_id == 0 || i->waited) && !i->subscription->unhandled_dead)
        return let_go(t, i, err);
    snprintf(why, sizeof why,
             "no handler for type \"%.*s\", order type \"%.*s\": add herald.on(...) to rules/",
             (int)i->message.type.len, i->message.type.data, (int)i->message.key[1].len,
             i->message.key[1].data ? i->message.key[1].data : "");
    return item_dead_letter(t, i, why, NULL, t->generation, err);
}

/* One id, two messages: the second is not the first, and must not vanish as if it were. Nobody
 * waits for it. */
int item_id_used_twice(struct turn *t, struct item *i, struct err *err)
{
    char why[256];

    snprintf(why, sizeof why,
             "id used twice: a message with this id but another type, key or body was taken from "
             "this queue before");
    i->lane = (struct slice){NULL, 0};
    return add_dead(t, i, i->attempt, why, NULL, 0, err);
}
