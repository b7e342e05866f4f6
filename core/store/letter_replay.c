/* letter_replay - see letter_replay.h. */
#include "store/letter_replay.h"

#include "store/inbox.h"
#include "store/lane.h"
#include "store/outbox.h"
#include "store/retry.h"
#include "store/sqlite/db_int.h"

#include <stdio.h>

/* What is done with the letter that letter_get lends. */
struct work {
    struct db *db;
    int64_t now_ms;
    int64_t row;  /* the retry that it becomes; 0: a new one */
    size_t bytes; /* copied */
    bool too_large;
    int rc;
    struct err *err;
};

/* False: the inbox row under the letter's id is another message's ("id used twice"), and
 * stays as it is. *seen says what was there. */
static bool owns_inbox_row(struct work *w, const struct letter *l, struct inbox_seen *seen)
{
    *seen = (struct inbox_seen){.known = false};
    if (l->identity.data == NULL)
        return false;
    w->rc = inbox_enter(w->db, l->queue, l->identity, l->fingerprint, w->now_ms, seen, w->err);
    return w->rc == OK && (!seen->known || seen->fingerprint.bits == l->fingerprint.bits);
}

static void set_inbox_row(struct work *w, const struct letter *l, enum inbox_state state)
{
    w->rc = inbox_set(w->db, l->queue, l->identity, l->fingerprint, state, w->now_ms, w->err);
}

/* A letter that holds its lane is the first of it again; one that let it go is the last. */
static void join_lane(struct work *w, const struct letter *l, struct retry_row *row)
{
    bool busy;

    if (l->lane.data == NULL)
        return;
    w->rc = lane_is_busy(w->db, row->queue, l->lane, l->holds ? l->id : INT64_MAX, &busy, w->err);
    if (w->rc == OK && busy)
        row->due_at = LANE_BEHIND;
}

static void to_retry(struct work *w, const struct letter *l)
{
    struct retry_row row = {
        .id = w->row != 0 ? w->row
              : l->holds  ? l->place
                          : 0,
        .queue = l->queue.data ? l->queue : slice_of(""),
        .message = l->message,
        .exchange = l->exchange,
        .routing_key = l->routing_key,
        .fingerprint = l->fingerprint,
        .unidentified = l->identity.data == NULL,
        .attempts = 0,
        .first_at = w->now_ms,
        .due_at = w->now_ms,
        .error = l->error,
        .generation = l->generation,
        .lane = l->lane,
        .tries = l->tries,
    };
    struct inbox_seen seen;

    join_lane(w, l, &row);
    if (w->rc == OK && owns_inbox_row(w, l, &seen)) {
        row.identity = l->identity;
        set_inbox_row(w, l, INBOX_WAITING);
    }
    if (w->rc == OK)
        w->rc = retry_add(w->db, &row, w->err);
}

/* A leg goes where it was to go, and not to all destinations of its route again. */
static void to_leg(struct work *w, const struct letter *l, int64_t sent_at)
{
    const struct outbox_row row = {.message = l->message,
                                   .format = l->format,
                                   .reply_until = l->reply_until,
                                   .created_at = sent_at > 0 ? sent_at : w->now_ms,
                                   .dated_at = sent_at};
    char exchange[256], key[256];
    const struct destination to = {
        .kind = exchange_kind_of(l->leg_kind), .exchange = exchange, .routing_key = key};

    snprintf(exchange, sizeof exchange, "%.*s", (int)l->exchange.len,
             l->exchange.data ? l->exchange.data : "");
    snprintf(key, sizeof key, "%.*s", (int)l->routing_key.len,
             l->routing_key.data ? l->routing_key.data : "");
    w->rc = outbox_add_leg(w->db, &row, &to, l->lane, w->err);
}

static void to_row(struct work *w, const struct letter *l, int64_t sent_at)
{
    int64_t id;

    w->rc = outbox_add(w->db, &l->message, 0, &id, w->err);
    if (w->rc == OK && sent_at > 0)
        w->rc = outbox_age(w->db, id, sent_at, w->err);
    if (w->rc == OK && l->format != NULL)
        w->rc = outbox_keep_format(w->db, id, l->format, w->err);
}

/* Consumers that forgot the id judge by the time whether they may have seen the message, so
 * one that may have been sent keeps its time. */
static void to_outbox(struct work *w, const struct letter *l)
{
    bool sent = l->attempts > 0 && l->message.timestamp_s > 0;
    int64_t sent_at = sent ? l->message.timestamp_s * 1000 : 0;

    if (l->leg_kind != NULL)
        to_leg(w, l, sent_at);
    else
        to_row(w, l, sent_at);
}

static bool replay(void *arg, const struct letter *l)
{
    struct work *w = arg;

    w->too_large = l->message.body.len > MESSAGE_BODY_MAX; /* no handler is given it */
    if (w->too_large)
        return false;
    if (l->side == LETTER_INBOX)
        to_retry(w, l);
    else
        to_outbox(w, l);
    w->bytes = l->message.body.len;
    return false;
}

/* DONE rather than DEAD: only what is done is pruned one day. */
static bool drop(void *arg, const struct letter *l)
{
    struct work *w = arg;
    struct inbox_seen seen;

    if (l->side == LETTER_INBOX && owns_inbox_row(w, l, &seen) && seen.known &&
        seen.state == INBOX_DEAD)
        set_inbox_row(w, l, INBOX_DONE);
    return false;
}

/* The letter goes after the query that lends it has ended. One that is gone was replayed
 * or dropped by somebody else. */
static int take_away(struct work *w, int64_t id, letter_fn *fn, struct picked *done)
{
    struct err *err = w->err;
    struct query q;
    int rc = letter_get(w->db, id, fn, w, err);

    if (rc == ERR_NOT_FOUND) {
        *err = (struct err){.code = OK};
        return OK;
    }
    if (rc == OK)
        rc = w->rc;
    if (rc != OK)
        return err_prefix(err, "dead letter %lld", (long long)id);
    if (w->too_large) {
        done->too_large++;
        return OK;
    }
    q = query_start(w->db, STATEMENT_LETTER_REMOVE);
    query_int(&q, id);
    done->bytes += w->bytes;
    done->changed++;
    return query_run(&q, err);
}

int letter_replay(struct db *db, int64_t id, int64_t now_ms, struct picked *done, struct err *err)
{
    return letter_recall(db, id, 0, now_ms, done, err);
}

int letter_recall(struct db *db, int64_t id, int64_t row, int64_t now_ms, struct picked *done,
                  struct err *err)
{
    struct work w = {.db = db, .now_ms = now_ms, .row = row, .rc = OK, .err = err};

    return take_away(&w, id, replay, done);
}

int letter_drop(struct db *db, int64_t id, int64_t now_ms, struct picked *done, struct err *err)
{
    struct work w = {.db = db, .now_ms = now_ms, .rc = OK, .err = err};

    return take_away(&w, id, drop, done);
}
