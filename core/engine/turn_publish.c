/*
 * turn_publish - outbox rows out (the second half of a turn; turn_settle.c has what became of them)
 *
 *   fresh or due row -- too old? -- route? -- exchange usable? --> handed to the broker, in flight
 *                          |        |  |  |          |
 *                   parked <--------'  |  |          v
 *                          postponed <-'  |      postponed, or in the backlog when it has no room
 *                                         '-> several destinations: a leg for each, a fresh row
 *
 * Rows come from three sources: the backlogs (turn_backlog.c), what is due, and what is fresh. None
 * of them takes all the room of a turn while another has rows.
 *
 * Rows are looked at while a statement walks over the outbox, so what must be
 * written about them is noted as a decision and carried out afterwards.
 */
#include "engine/turn_int.h"

#include "base/failpoint.h"
#include "store/lane.h"
#include "store/outbox.h"
#include "store/outbox_backlog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SPLITS_MAX = 200, /* of a turn: each writes several rows */
    SOURCES = 3,
    LATE_MS = 60000, /* what is sent later than that after its creation is dated anew */
};

struct decision {
    int64_t row;
    enum decision_kind kind;
    char reason[1024]; /* ORDER: the lane; BACKLOG: whose */
    size_t len;        /* of lane or backlog, whose names may have any byte */
};

int publish_init(struct turn *t, struct err *err)
{
    t->settlements = calloc(TURN_ROWS_MAX, sizeof *t->settlements);
    t->confirmed = calloc(TURN_ROWS_MAX, sizeof *t->confirmed);
    t->decisions = calloc(TURN_ROWS_MAX, sizeof *t->decisions);
    t->dated = calloc(TURN_ROWS_MAX, sizeof *t->dated);
    t->plain = calloc(TURN_ROWS_MAX, sizeof *t->plain);
    t->traced = calloc(TURN_ROWS_MAX, sizeof *t->traced);
    if (t->settlements == NULL || t->confirmed == NULL || t->decisions == NULL ||
        t->dated == NULL || t->plain == NULL || t->traced == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    return OK;
}

void publish_free(struct turn *t)
{
    free(t->settlements);
    free(t->confirmed);
    free(t->decisions);
    free(t->dated);
    free(t->plain);
    free(t->traced);
    buf_free(&t->trace_headers);
}

void publish_decide(struct turn *t, const struct outbox_row *row, enum decision_kind kind,
                    const char *reason)
{
    struct decision *d = &t->decisions[t->n_decisions++];

    d->row = row->id;
    d->kind = kind;
    t->n_splits += kind == DECIDE_SPLIT;
    snprintf(d->reason, sizeof d->reason, "%s", reason);
}

/* ORDER, BACKLOG. */
static void decide_place(struct turn *t, const struct outbox_row *row, enum decision_kind kind,
                         struct slice place)
{
    struct decision *d = &t->decisions[t->n_decisions];

    publish_decide(t, row, kind, "");
    memcpy(d->reason, place.data, place.len);
    d->len = place.len;
}

void publish_to_backlog(struct turn *t, const struct outbox_row *row, struct slice name)
{
    decide_place(t, row, DECIDE_BACKLOG, name);
}

/* Consumers remember an id for so long as we do, as far as we know: one that may have it could
 * take it a second time (docs/design.md#the-inbox-window). */
static bool is_too_old(struct turn *t, const struct outbox_row *row)
{
    int64_t age = t->now_ms - row->first_sent_at;
    char since[40], why[600];

    if (row->first_sent_at == 0 || age <= t->settings->inbox_window_ms)
        return false;
    clock_iso8601(row->first_sent_at, since, sizeof since);
    snprintf(why, sizeof why,
             "too old to send again: it was sent, and up to %s no word of the broker came back. "
             "That is longer ago than inbox_window, so whoever took it then may have forgotten "
             "its id and would take it twice: find out whether it arrived, then replay this "
             "letter, which sends it, or drop it",
             since);
    publish_decide(t, row, DECIDE_PARK, why);
    return true;
}

/* Whoever asked has given up by then. */
static bool is_late_answer(struct turn *t, const struct outbox_row *row)
{
    if (row->reply_until == 0 || t->now_ms <= row->reply_until)
        return false;
    publish_decide(t, row, DECIDE_UNWANTED, "the request has expired");
    return true;
}

/* A row that was never tried takes its place before anything is asked about it, so that what
 * fails then keeps the ones behind it waiting. */
static bool is_for_a_lane(struct turn *t, const struct outbox_row *row, const struct route *route)
{
    char room[LANE_MAX];
    struct slice lane;

    if (route == NULL || route->order_by == 0 || row->lane.data != NULL || row->reason != NULL)
        return false;
    lane = lane_of(room, route->order_by, &row->message);
    if (lane.data == NULL)
        return false;
    decide_place(t, row, DECIDE_ORDER, lane);
    return true;
}

/* One destination needs no leg, unless legs of earlier rows are still on their way to it: then
 * it follows them. Should that not be known, a leg is right, too. */
static bool needs_legs(struct turn *t, const struct outbox_row *row, const struct target *target)
{
    char room[LANE_LEG_MAX];
    bool follows = true;

    if (row->leg_kind != NULL || target->n > 1 || row->lane.data == NULL)
        return target->n > 1;
    if (lane_has_rows(t->parts.db, lane_of_leg(room, row->lane, target->to), &follows, NULL) != OK)
        return true;
    return follows;
}

/* False: this outlet takes no row now, or others of it wait. The first of its line is not asked
 * whether it must wait. *go_on: the walk goes on to what is behind. */
static bool may_go(struct turn *t, const struct outbox_row *row, const struct destination *to,
                   bool has_room, bool *go_on)
{
    char room[BACKLOG_NAME_MAX];
    struct slice name = {NULL, 0};
    enum backlog_answer answer;

    if (t->backlogs.any || !has_room)
        name = backlogs_name(room, row, to);
    if (t->backlogs.served.data != NULL && slice_equal(t->backlogs.served, name)) {
        *go_on = has_room;
        return has_room;
    }
    answer = backlogs_ask(t, name, has_room);
    *go_on = answer != BACKLOG_STOP;
    if (answer == BACKLOG_WAIT)
        decide_place(t, row, DECIDE_BACKLOG, name);
    return answer == BACKLOG_GO;
}

/* Since when the broker may have the row, as far as it is ours to say: consumers take what was
 * sent before their memory begins for a repeat. What is sent late, because it was delayed or the
 * broker was away, is not old, unless a send before this one carried its time of creation. What
 * the process before this one had in flight is fresh, and among the ids that the outside saw. */
static int64_t time_of(struct turn *t, const struct outbox_row *row)
{
    bool sent =
        row->first_sent_at > 0 || (row->due_at == 0 && row->id <= db_sent_before(t->parts.db));

    if (row->dated_at > 0)
        return row->dated_at;
    return sent || t->now_ms - row->created_at <= LATE_MS ? row->created_at : t->now_ms;
}

/* What was handed to the broker is written down where its time is not the usual one. */
static void note_published(struct turn *t, const struct outbox_row *row, int64_t dated_at)
{
    t->delta.published++;
    t->highest_row = row->id > t->highest_row ? row->id : t->highest_row;
    if (row->dated_at == 0 && dated_at != row->created_at)
        t->dated[t->n_dated++] = row->id;
}

static bool hand_over(struct turn *t, const struct outbox_row *row, const struct destination *to)
{
    struct broker *b = t->parts.broker;
    struct message m = row->message;
    struct err err = {0};
    int64_t dated_at = time_of(t, row);
    bool go_on = true, traced;

    m.timestamp_s = dated_at / 1000;
    if (!may_go(t, row, to, true, &go_on))
        return go_on;
    traced = trace_row(t, row, &m);
    switch (b->ops->publish(b, row->id, to, &m, &err)) {
    case OK:
        t->budget--;
        note_published(t, row, dated_at);
        if (traced) {
            trace_note(t, row->id, m.headers);
            turn_spans_made(t->parts.spans, row, &m);
        }
        turn_spans_sent(t->parts.spans, row, &m, to);
        return true;
    case ERR_BUSY:
        if (b->ops->room(b) > 0) /* else nobody has */
            (void)may_go(t, row, to, false, &go_on);
        return b->ops->room(b) > 0 && go_on;
    case ERR_INPUT:
        publish_decide(t, row, DECIDE_PARK, err.text);
        return true;
    case ERR_BROKER:
        publish_decide(t, row, DECIDE_REFUSE, err.text);
        return true;
    default:
        publish_decide(t, row, DECIDE_PUT_OFF, err.text);
        return true;
    }
}

/* An outbox_row_fn: false stops the walk, and the row is looked at again later. */
bool publish_row(void *arg, const struct outbox_row *row)
{
    struct turn *t = arg;
    const struct route *route;
    struct target target;

    failpoint("outbox_read");
    if (t->budget == 0)
        return false;
    if (t->n_decisions == TURN_ROWS_MAX || t->n_plain == TURN_ROWS_MAX ||
        t->n_traced == TURN_ROWS_MAX || t->n_splits == SPLITS_MAX || turn_share_is_used(t)) {
        t->more = true;
        return false;
    }
    format_note_inherited(t, row);
    route = publish_route(t, row);
    if (is_late_answer(t, row) || is_for_a_lane(t, row, route) || is_too_old(t, row) ||
        format_is_due(t, row, route) || !target_find(t, row, route, &target))
        return true;
    if (needs_legs(t, row, &target)) {
        publish_decide(t, row, DECIDE_SPLIT, "");
        return true;
    }
    return hand_over(t, row, target.to);
}

/* One row becomes a leg for each destination, which go out on their own from then on. */
struct split {
    struct turn *turn;
    bool known; /* where it goes; else the first decision says why not */
    int rc;
    struct err *err;
};

static bool add_legs(void *arg, const struct outbox_row *row)
{
    struct split *s = arg;
    struct target target = {.n = 0};
    struct outbox_row whole = *row;
    char room[LANE_LEG_MAX];

    s->known = target_find(s->turn, row, publish_route(s->turn, row), &target);
    if (trace_row(s->turn, row, &whole.message)) /* all legs are of one trace */
        turn_spans_made(s->turn->parts.spans, row, &whole.message);
    for (size_t i = 0; s->known && i < target.n && s->rc == OK; i++)
        s->rc = outbox_add_leg(s->turn->parts.db, &whole, &target.to[i],
                               lane_of_leg(room, row->lane, &target.to[i]), s->err);
    return false;
}

static int decided(struct turn *t, const struct decision *d, struct err *err);

/* A function is asked once more, since what it answers is lent; then it may answer
 * something else. A row that does not fit into a leg never will. */
static int split(struct turn *t, const struct decision *d, struct err *err)
{
    struct split s = {.turn = t, .rc = OK, .err = err};
    int64_t id = d->row;
    int rc = outbox_look(t->parts.db, d->row, add_legs, &s, err);

    if (rc == OK)
        rc = s.rc;
    if (rc == ERR_FAILED)
        return settle_park(t, d->row, err->text, err);
    if (rc != OK)
        return rc;
    if (!s.known) {
        const struct decision instead = t->decisions[--t->n_decisions];

        return decided(t, &instead, err);
    }
    t->more = true;
    return outbox_confirm(t->parts.db, &id, 1, err);
}

static int decided(struct turn *t, const struct decision *d, struct err *err)
{
    switch (d->kind) {
    case DECIDE_PARK:
        return settle_park(t, d->row, d->reason, err);
    case DECIDE_REFUSE:
        return settle_refusal(t, d->row, OUTBOX_DENIED, d->reason, err);
    case DECIDE_SPLIT:
        return split(t, d, err);
    case DECIDE_ORDER:
        t->more = true; /* the first of a lane goes out in the next turn */
        return lane_join(t->parts.db, d->row, (struct slice){d->reason, d->len}, err);
    case DECIDE_BACKLOG:
        return backlog_set(t->parts.db, d->row, (struct slice){d->reason, d->len}, err);
    case DECIDE_FORMAT:
        return format_row(t, d->row, d->reason, err);
    case DECIDE_UNWANTED:
        return settle_unwanted(t, d->row, d->reason, err);
    case DECIDE_PUT_OFF:
        break;
    }
    return settle_put_off(t, d->row, d->reason, err);
}

static int carry_out(struct turn *t, struct err *err)
{
    size_t n = t->n_decisions;
    int rc = outbox_date(t->parts.db, t->dated, t->n_dated, t->now_ms, err);

    if (rc == OK)
        rc = outbox_set_no_format(t->parts.db, t->plain, t->n_plain, err);
    if (rc == OK)
        rc = trace_write(t, err);
    t->n_dated = t->n_plain = 0;
    t->n_splits = 0;
    t->n_decisions = 0; /* a split may make one more, and take it back */
    for (size_t i = 0; i < n && rc == OK; i++) {
        const struct decision d = t->decisions[i];

        rc = decided(t, &d, err);
    }
    return rc;
}

static size_t room(const struct turn *t)
{
    size_t n = t->parts.broker->ops->room(t->parts.broker);

    return n < TURN_ROWS_MAX ? n : TURN_ROWS_MAX;
}

static int walk_due(struct turn *t, struct err *err)
{
    return outbox_claim_due(t->parts.db, t->cursor, t->now_ms, TURN_ROWS_MAX, publish_row, t, err);
}

static int walk_fresh(struct turn *t, struct err *err)
{
    int rc =
        outbox_claim(t->parts.db, t->cursor, TURN_ROWS_MAX, publish_row, t, &t->next_cursor, err);

    t->more = t->more || t->next_cursor - t->cursor >= TURN_ROWS_MAX;
    return rc;
}

/* At most `most` rows go out; *left says how many more may. */
static int walk(struct turn *t, int source, bool has_rows, size_t most, size_t *left,
                struct err *err)
{
    static const struct {
        int (*walk)(struct turn *t, struct err *err);
        enum share_phase phase;
    } sources[SOURCES] = {
        {backlogs_serve, SHARE_BACKLOGS}, {walk_due, SHARE_DUE}, {walk_fresh, SHARE_FRESH}};
    int rc = OK;

    t->budget = most;
    turn_enter(t, sources[source].phase);
    if (has_rows)
        rc = sources[source].walk(t, err);
    if (rc == OK)
        rc = carry_out(t, err);
    turn_leave(t);
    t->more = t->more || t->budget == 0;
    *left -= most - t->budget;
    return rc;
}

/* Which sources have rows, or may have. */
static int look_for_rows(struct turn *t, bool has[SOURCES], struct err *err)
{
    int64_t due_at = INT64_MAX, last = 0;
    int rc = backlogs_begin(t, err);

    if (rc == OK)
        rc = outbox_next_due(t->parts.db, &due_at, err);
    if (rc == OK)
        rc = outbox_last(t->parts.db, &last, err);
    has[0] = t->backlogs.any;
    has[1] = due_at <= t->now_ms;
    has[2] = last > t->cursor;
    return rc;
}

/* Each leaves half of the room to those behind it; where that is none, others are first in turn. */
int publish_rows(struct turn *t, struct err *err)
{
    size_t left = room(t);
    int first = left < SOURCES ? (int)(t->total.turns % SOURCES) : 0, more = 0;
    bool has[SOURCES];
    int rc = OK;

    t->route = NULL; /* other rules may be in force since the turn before */
    if (left > 0)
        rc = look_for_rows(t, has, err);
    if (left == 0 || rc != OK)
        return rc;
    for (int i = 0; i < SOURCES; i++)
        more += has[i];
    for (int i = first; i < first + SOURCES && rc == OK && left > 0; i++) {
        bool rows = has[i % SOURCES];

        more -= rows;
        rc = walk(t, i % SOURCES, rows, more > 0 ? (left + 1) / 2 : left, &left, err);
    }
    backlogs_end(t);
    return rc;
}
