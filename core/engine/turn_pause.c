/* turn_pause - what a turn does with its pauses (streak.h): writes, logs, tells (item.h) */
#include "engine/item.h"

#include "base/error_group.h"
#include "store/letter_replay.h"

static struct pause *pause_of(const struct turn *t, const struct item *i)
{
    return pauses_find(&t->pauses, i->queue);
}

/* What has no identity yet, since the function that gives it failed, has what it came with. */
static uint64_t key_of(const struct item *i)
{
    struct slice id = i->identity.data != NULL ? i->identity : i->received.id;

    return id.data != NULL ? text_hash(TEXT_HASH_START, id.data, id.len) : i->fingerprint.bits;
}

static int64_t group_of(const struct item *i, const char *error)
{
    return error_group("inbox", i->queue, slice_of(error));
}

static void log_pause(struct turn *t, enum log_level level, const char *event,
                      const struct pause *p, int64_t recalled)
{
    char next[32];

    clock_iso8601(p->now.probe_at, next, sizeof next);
    log_event(t->parts.log, level, event,
              LOG_FIELDS(log_text("queue", p->queue), log_int("failures", p->now.failures),
                         log_int("recalled", recalled), log_text("next_probe", next),
                         log_text("error", p->now.error)));
}

static void log_end(struct turn *t, const char *queue, int64_t since_ms, const char *why)
{
    log_event(t->parts.log, LOG_INFO, "subscription.resumed",
              LOG_FIELDS(log_text("queue", queue), log_int("paused_ms", t->now_ms - since_ms),
                         log_text("reason", why)));
}

/* The messages of the streak that became dead letters are no more to blame than the one that
 * completed it. */
static int recall_letters(struct turn *t, const struct pause *p, int64_t *n_out, struct err *err)
{
    struct picked done = {.changed = 0};
    int rc = OK;

    for (size_t k = 0; k < p->now.n && rc == OK; k++)
        if (p->members[k].letter != 0)
            rc = letter_recall(t->parts.db, p->members[k].letter, p->members[k].row, t->now_ms,
                               &done, err);
    *n_out = (int64_t)done.changed;
    return rc;
}

/* The row at hand steps back in its lane, behind what is recalled (item_outcome.c's put_off). */
static int begin(struct turn *t, const struct item *i, const struct pause *p, struct err *err)
{
    int64_t recalled = 0;
    int rc = OK;

    if (i->retry_id != 0 && i->lane.data != NULL)
        rc = retry_defer(t->parts.db, i->retry_id, LANE_BEHIND, err);
    if (rc == OK)
        rc = recall_letters(t, p, &recalled, err);

    t->delta.pauses++;
    t->delta.recalled += recalled;
    log_pause(t, LOG_WARN, "subscription.paused", p, recalled);
    return rc;
}

int pausing_failed(struct turn *t, const struct item *i, const char *error, int64_t *due_at_out,
                   struct err *err)
{
    const struct pause *p = pause_of(t, i);
    const struct pause_failure f = {
        .queue = i->queue,
        .after = t->parts.pausing ? i->subscription->pause_after : 0,
        .group = group_of(i, error),
        .key = key_of(i),
        .first = i->attempt == 1,
        .delivery = i->retry_id == 0,
        .now_ms = t->now_ms,
        .error = error,
    };
    int64_t since_ms = p != NULL ? p->now.since_ms : 0;
    enum pause_answer answer;
    int rc = pauses_failed(&t->pauses, &f, &answer, err);

    *due_at_out = 0;
    if (rc != OK || answer == PAUSE_COUNTS)
        return rc;
    p = pause_of(t, i);
    if (answer == PAUSE_ENDS) {
        log_end(t, p->queue, since_ms, error);
        return OK;
    }
    *due_at_out = p->now.probe_at;
    if (answer == PAUSE_BEGINS)
        return begin(t, i, p, err);
    t->delta.probes++;
    log_pause(t, LOG_INFO, "subscription.probe", p, 0);
    return OK;
}

void pausing_dead_lettered(struct turn *t, const struct item *i, const char *error, int64_t letter)
{
    struct pause *p = pause_of(t, i);

    if (p != NULL && p->now.group == group_of(i, error))
        pause_dead_lettered(p, key_of(i), i->retry_id, letter);
}

void pausing_passed(struct turn *t, const struct item *i, const char *why)
{
    struct pause *p = pause_of(t, i);
    int64_t since_ms = p != NULL ? p->now.since_ms : 0;

    if (pause_passed(p))
        log_end(t, p->queue, since_ms, why);
}

void pausing_ask(struct turn *t)
{
    for (struct pause *p = t->pauses.first; p != NULL; p = p->next)
        pause_asks(p, t->now_ms);
}

static void pace(struct turn *t, struct pause *p, enum broker_pace to)
{
    struct broker *b = t->parts.broker;

    if (p->paced == to)
        return;
    p->paced = to;
    if (!halts_have(t, slice_of(p->queue))) /* else it is told when that ends */
        b->ops->pace(b, p->queue, to);
}

void pausing_tell(struct turn *t)
{
    for (struct pause *p = t->pauses.first; p != NULL; p = p->next)
        pace(t, p, pause_pace(p));
}

void pausing_reset(struct turn *t)
{
    for (struct pause *p = t->pauses.first; p != NULL; p = p->next) {
        if (p->now.paused)
            log_end(t, p->queue, p->now.since_ms, "other rules");
        pace(t, p, PACE_FLOW);
    }
    pauses_clear(&t->pauses);
}

/* All rows that wait for the probe are due at its time. */
int pausing_hurry(struct turn *t, struct err *err)
{
    int rc = OK;

    for (struct pause *p = t->pauses.first; p != NULL && rc == OK; p = p->next) {
        if (p->now.paused)
            rc = retry_defer_all(t->parts.db, slice_of(p->queue), p->now.probe_at, t->now_ms, err);
        pause_hurries(p, t->now_ms);
    }
    return rc;
}

void turn_probe(struct turn *t)
{
    t->hurrying = true;
}

const struct pause *turn_paused(const struct turn *t, size_t n)
{
    const struct pause *p = t->pauses.first;

    while (p != NULL && (!p->now.paused || n-- > 0))
        p = p->next;
    return p;
}
