/*
 * turn_messages - which of those that wait a turn handles (the first half of a turn)
 *
 * Due retries and deliveries have a share of its time each. Where the first of the two used up
 * the whole turn, by one long handler, the other one comes first in the next. In each, queues
 * take turns by time (fair.h): every queue that has work is a line, and the line that was given
 * the least is served for a part of the share.
 */
#include "engine/item.h"

#include "base/failpoint.h"
#include "store/retry.h"

#include <stdlib.h>
#include <string.h>

enum { ADOPT_CHUNK = 500 };

static struct db *db_of(const struct turn *t)
{
    return t->parts.db;
}

/* What waits of one queue. */
struct queue_line {
    struct slice queue;
    int64_t at_ms; /* where its account stands */
    bool over;     /* nothing of it is left for this turn */

    /* of deliveries */
    const struct subscription *subscription;
    struct delivery **next; /* of all lines, in order of arrival */
    size_t left;            /* of these */

    struct retry_place place; /* of retries: the last one that was tried */
};

/* One phase at work. */
struct service {
    struct turn *turn;
    struct fair *fair;
    struct queue_line *lines;
    size_t n_lines;
    size_t limit; /* messages that it may still look at */
    bool ended;   /* for this turn, with work left */
    struct err *err;
    /* Takes the next one of a line, if there is one, and handles it. */
    int (*step)(struct service *s, struct queue_line *line);
};

int messages_init(struct turn *t, struct err *err)
{
    t->deliveries = calloc(TURN_LENT_MAX, sizeof *t->deliveries);
    t->queue_lines = calloc(TURN_QUEUES_MAX, sizeof *t->queue_lines);
    return t->deliveries != NULL && t->queue_lines != NULL
               ? OK
               : err_set(err, ERR_NOMEM, "out of memory");
}

void messages_free(struct turn *t)
{
    free(t->deliveries);
    free(t->queue_lines);
}

static struct queue_line *least_served(const struct service *s)
{
    struct queue_line *least = NULL;

    for (size_t i = 0; i < s->n_lines; i++)
        if (!s->lines[i].over && (least == NULL || s->lines[i].at_ms < least->at_ms))
            least = &s->lines[i];
    return least;
}

static bool is_over(const struct service *s)
{
    return s->ended || s->limit == 0 || s->turn->alone;
}

/* For a part of the share, or until nothing is left of it. */
static int serve_line(struct service *s, struct queue_line *line)
{
    const struct clock *clock = &s->turn->parts.clock;
    int64_t part = share_length(&s->turn->share) / (int64_t)s->n_lines;
    int64_t began = clock_mono(clock), now = began;
    int rc = OK;

    while (rc == OK && !line->over && !is_over(s) && (now == began || now - began < part)) {
        rc = s->step(s, line);
        now = clock_mono(clock);
    }
    line->at_ms = fair_served(s->fair, line->queue, now - began);
    return rc;
}

static int serve(struct service *s)
{
    struct queue_line *line;
    int rc = OK;

    for (size_t i = 0; i < s->n_lines; i++)
        s->lines[i].at_ms = fair_at(s->fair, s->lines[i].queue);
    while (rc == OK && !is_over(s) && (line = least_served(s)) != NULL)
        rc = serve_line(s, line);
    return rc;
}

/* Rows are copied before the handler runs: handlers write to the same table. */
struct collector {
    struct turn *turn;
    struct retry_row row;
    bool found;
};

static bool collect(void *arg, const struct retry_row *row)
{
    struct collector *c = arg;
    struct arena *a = &c->turn->arena;

    c->row = *row;
    /* Of the errors only one matters here: that the message waits for a handler to return. */
    c->row.error = row->error && strcmp(row->error, RETRY_UNHANDLED) == 0 ? RETRY_UNHANDLED : NULL;
    c->found = message_keep(a, &c->row.message) && arena_keep(a, &c->row.queue) &&
               arena_keep(a, &c->row.identity) && arena_keep(a, &c->row.lane) &&
               arena_keep(a, &c->row.exchange) && arena_keep(a, &c->row.routing_key);
    return false;
}

static int try_again(struct service *s, const struct retry_row *row)
{
    struct turn *t = s->turn;
    int64_t later = pause_defers(pauses_find(&t->pauses, row->queue), t->now_ms);
    int rc;

    if (later != 0)
        return retry_defer(db_of(t), row->id, later, s->err);
    s->ended = turn_share_is_used(t) || handle_must_wait(t, row->queue, &row->message);
    if (s->ended)
        return OK;
    rc = handle_retry(t, row, s->err);
    t->handled += rc == OK;
    return rc;
}

static int step_retry(struct service *s, struct queue_line *line)
{
    struct retry_place before = line->place;
    struct collector c = {.turn = s->turn};
    int rc = retry_due(db_of(s->turn), line->queue, s->turn->now_ms, &line->place, 1, collect, &c,
                       s->err);

    line->over = line->place.due_at == before.due_at && line->place.id == before.id;
    if (rc != OK || line->over)
        return rc;
    s->limit--;
    s->ended = !c.found; /* no room: the rest waits for the next turn */
    return c.found ? try_again(s, &c.row) : OK;
}

/* The queues that have due rows, as lines. */
static bool add_line(void *arg, struct slice queue, int64_t due_at)
{
    struct service *s = arg;
    struct queue_line line = {.queue = queue};

    (void)due_at;
    if (halts_have(s->turn, queue))
        return true;
    if (!arena_keep(&s->turn->arena, &line.queue))
        return false;
    s->lines[s->n_lines++] = line;
    return s->n_lines < TURN_QUEUES_MAX;
}

/* One walk over what is due. */
static int handle_due(struct service *s)
{
    int rc;

    s->n_lines = 0;
    rc = retry_queues(db_of(s->turn), s->turn->now_ms, add_line, s, s->err);
    return rc == OK ? serve(s) : rc;
}

/* When the first message of a lane is finished, the next one is due at once, so the lane goes on in
 * this turn. */
static int handle_retries(struct turn *t, size_t limit, struct err *err)
{
    struct service s = {.turn = t,
                        .fair = &t->fair.retries,
                        .lines = t->queue_lines,
                        .limit = limit,
                        .err = err,
                        .step = step_retry};
    int64_t due_at;
    bool left;
    int rc = retry_next_due(db_of(t), &due_at, err); /* also of queues that are left alone */

    do {
        t->lane_moved = false;
        if (rc == OK && due_at <= t->now_ms)
            rc = handle_due(&s);
    } while (rc == OK && t->lane_moved && !is_over(&s));
    left = s.ended || s.limit == 0 || t->lane_moved;
    t->more = t->more || left;
    if (rc == OK && !left && !t->alone)
        pausing_ask(t);
    return rc;
}

/* True when a delivery may be handled now. A message from a dead-letter queue is no part of its
 * queue's flow: a pause does not stop it, and it is no probe. */
static bool is_wanted(const struct turn *t, const struct delivery *d)
{
    struct slice queue = slice_of(d->subscription->queue);

    return d->dead_lettered != NULL ||
           (!halts_have(t, queue) && pause_takes(pauses_find(&t->pauses, queue)));
}

static void note_taken(struct turn *t, const struct delivery *d)
{
    if (d->dead_lettered == NULL)
        pause_took(pauses_find(&t->pauses, slice_of(d->subscription->queue)));
    t->handled++;
}

/* The next one of the line that is wanted; the broker keeps the others. NULL: none is left. */
static struct delivery *next_of(struct service *s, struct queue_line *line)
{
    while (line->left > 0) {
        struct delivery *d = *line->next++;

        line->left--;
        if (d->subscription == line->subscription && is_wanted(s->turn, d))
            return d;
    }
    return NULL;
}

static int step_delivery(struct service *s, struct queue_line *line)
{
    struct turn *t = s->turn;
    struct delivery *d = next_of(s, line);
    struct broker *b = t->parts.broker;
    int rc;

    line->over = d == NULL;
    if (line->over)
        return OK;
    s->ended = turn_share_is_used(t);
    t->suspect_waits = !s->ended && handle_must_wait(t, line->queue, &d->message);
    s->ended = s->ended || t->suspect_waits;
    if (s->ended)
        return OK;
    rc = handle_delivery(t, d, s->err);
    if (rc == OK)
        rc = b->ops->accept(b, d, s->err);
    if (rc != OK)
        return rc;
    s->limit--;
    note_taken(t, d);
    return OK;
}

/* The queues that deliveries wait of, as lines in order of arrival. */
static void sort_deliveries(struct service *s, size_t n)
{
    struct turn *t = s->turn;
    const struct subscription *last = NULL;
    size_t known;

    for (size_t i = 0; i < n; i++) {
        const struct subscription *of = t->deliveries[i]->subscription;

        if (of == last)
            continue;
        last = of;
        for (known = 0; known < s->n_lines && s->lines[known].subscription != of; known++)
            continue;
        if (known == s->n_lines && known < TURN_QUEUES_MAX)
            s->lines[s->n_lines++] = (struct queue_line){.queue = slice_of(of->queue),
                                                         .subscription = of,
                                                         .next = &t->deliveries[i],
                                                         .left = n - i};
    }
}

/* More are taken than are handled, since one queue may have many in front of another's. */
static int handle_deliveries(struct turn *t, size_t limit, struct err *err)
{
    struct service s = {.turn = t,
                        .fair = &t->fair.deliveries,
                        .lines = t->queue_lines,
                        .limit = limit,
                        .err = err,
                        .step = step_delivery};
    size_t n = 0;
    int rc = t->parts.broker->ops->take(t->parts.broker, t->deliveries, TURN_LENT_MAX, &n, err);

    if (n > 0)
        failpoint("begun");
    if (rc == OK) {
        sort_deliveries(&s, n);
        rc = serve(&s);
    }
    t->more = t->more || n == TURN_LENT_MAX || is_over(&s);
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

/* Due retries, however many, get at most half of a turn's messages; the other half is for
 * deliveries. A delivery that is the suspect of a death (strike.h) must not wait for retries
 * either. */
static int handle_both(struct turn *t, struct err *err)
{
    size_t careful = t->caution.limit;
    size_t limit = careful ? careful : t->parts.messages_max;
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
        rc = retry_adopt(db_of(t), t->now_ms, t->now_ms + ORPHAN_WAIT_MS, ADOPT_CHUNK,
                         &t->adopting_next, err);
    if (rc == OK && t->hurrying)
        rc = pausing_hurry(t, err);
    return rc == OK ? handle_both(t, err) : rc;
}
