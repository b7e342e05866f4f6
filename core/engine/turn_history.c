/* turn_history - copies of what was finished in a turn, for the history (store/history.h). Written
 * into the turn's transaction when the setting is on; when it is off nothing is looked at
 * but, now and then, whether old copies are left. */
#include "engine/item.h"

#include "store/history.h"
#include "store/outbox.h"

enum {
    PRUNE_EVERY_MS = 10000,
    PRUNE_ROWS = 200,
    PRUNE_BYTES = 4 * 1024 * 1024,
};

static int add(struct turn *t, const struct history_row *row, struct err *err)
{
    t->history_rows++;
    t->history_bytes += row->message.body.len;
    return history_add(t->parts.db, row, err);
}

int turn_history_item(struct turn *t, const struct item *i, const char *outcome, struct err *err)
{
    struct history_row row = {
        .at = t->now_ms,
        .side = slice_of("inbox"),
        .outcome = slice_of(outcome),
        .queue = i->queue,
        .attempts = i->attempt,
        .generation = t->generation,
        .message = item_as_kept(i),
        .exchange = i->exchange,
        .routing_key = i->routing_key,
    };

    if (t->settings->history_ms == 0)
        return OK;
    if (row.message.id.data == NULL) /* the properties have none: what it is known by */
        row.message.id = i->identity;
    return add(t, &row, err);
}

/* Rows on their way into the history. */
struct rows {
    struct turn *turn;
    const char *outcome;
    int rc;
    struct err *err;
};

static bool add_row(void *arg, const struct outbox_row *row)
{
    struct rows *r = arg;
    const struct history_row copy = {
        .at = r->turn->now_ms,
        .side = slice_of("outbox"),
        .outcome = slice_of(r->outcome),
        .attempts = row->attempts + 1,
        .generation = r->turn->generation,
        .message = row->message,
        .exchange = slice_of(row->leg_exchange),
        .routing_key = slice_of(row->leg_routing_key),
    };

    if (r->rc == OK) /* the rows after one that failed are given, too */
        r->rc = add(r->turn, &copy, r->err);
    return r->rc == OK;
}

int turn_history_rows(struct turn *t, int64_t *ids, size_t n, const char *outcome, struct err *err)
{
    struct rows r = {.turn = t, .outcome = outcome, .rc = OK, .err = err};
    int rc = OK;

    if (t->settings->history_ms > 0)
        rc = outbox_each(t->parts.db, ids, n, add_row, &r, err);
    return rc == OK ? r.rc : rc;
}

/* As many go as came in this turn and more, so the history stops growing under any load. */
int turn_history_prune(struct turn *t, struct err *err)
{
    const struct history_care care = {.keep_ms = t->settings->history_ms,
                                      .now_ms = t->now_ms,
                                      .rows = PRUNE_ROWS + 2 * t->history_rows,
                                      .bytes = PRUNE_BYTES + 2 * t->history_bytes};
    int rc;

    if (!t->history_left && t->began_ms < t->history_look_ms)
        return OK;
    t->history_look_ms = t->began_ms + PRUNE_EVERY_MS;
    rc = history_prune(t->parts.db, &care, &t->history_left, err);
    t->more = t->more || t->history_left;
    return rc;
}
