/* turn - see turn.h; turn_messages.c and turn_publish.c hold the two halves. */
#include "engine/turn_int.h"

#include "base/failpoint.h"
#include "base/json.h"
#include "store/inbox.h"
#include "store/outbox.h"
#include "store/rules_taken.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ARENA_MAX = 256 * 1024 * 1024, /* due retries of one turn, each up to 16 MiB */
    PRUNE_EVERY_MS = 10000,
    PRUNE_CHUNK = 200,
    PROOF_BYTES = 1024 * 1024,
    UNHANDLED_TOLD_MAX = 1000, /* types without a handler that are told of */
};

int turn_new(struct turn **t_out, const struct turn_parts *parts, const struct settings *settings,
             struct err *err)
{
    struct turn *t = calloc(1, sizeof *t);
    int rc;

    if (t == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    t->parts = *parts;
    t->settings = settings;
    t->unhandled.max = UNHANDLED_TOLD_MAX;
    envelope_init(&t->envelope);
    buf_init(&t->unpacked, MESSAGE_BODY_MAX);
    buf_init(&t->trace_headers, 2 * TRACE_HEADERS_MAX);
    buf_init(&t->key_tapes[0], JSON_TAPE_MAX);
    buf_init(&t->key_tapes[1], JSON_TAPE_MAX);
    arena_init(&t->arena, ARENA_MAX);
    chance_seed(&t->chance, parts->seed);
    if (settings->recent_max > 0)
        t->recent = calloc((size_t)settings->recent_max, sizeof *t->recent);
    rc = t->recent || settings->recent_max == 0 ? OK : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == OK)
        rc = messages_init(t, err);
    if (rc == OK)
        rc = publish_init(t, err);
    if (rc == OK)
        rc = bridge_open(&t->bridge, parts->db, parts->log, parts->clock, &t->delta, err);
    t->bridge.cursor = &t->cursor;
    if (rc == OK)
        rc = outbox_last(parts->db, &t->bridge.inherited, err);
    if (rc != OK)
        turn_free(&t);
    *t_out = t;
    return rc;
}

void turn_free(struct turn **t)
{
    if (*t == NULL)
        return;
    bridge_close(&(*t)->bridge);
    nameset_clear(&(*t)->unhandled);
    publish_free(*t);
    pauses_clear(&(*t)->pauses);
    halts_free(*t);
    messages_free(*t);
    free((*t)->recent);
    arena_free(&(*t)->arena);
    envelope_free(&(*t)->envelope);
    buf_free(&(*t)->unpacked);
    buf_free(&(*t)->key_tapes[0]);
    buf_free(&(*t)->key_tapes[1]);
    free(*t);
    *t = NULL;
}

const struct script_host *turn_host(struct turn *t)
{
    return &t->bridge.host;
}

void turn_use_script(struct turn *t, struct script **script, int64_t generation)
{
    pausing_reset(t); /* what was mended must be tried at once */
    halts_use_rules(t);
    nameset_clear(&t->unhandled);
    t->script = script;
    t->generation = generation;
    t->history_look_ms = 0; /* it may be kept for another time now */
    backlogs_use_rules(t);
}

void turn_use_past(struct turn *t, const struct past_rules *past)
{
    t->past = past;
}

void turn_remember(struct turn *t, struct slice taken)
{
    t->taken = taken;
}

void turn_adopt(struct turn *t)
{
    t->adopting = true;
}

int turn_check_sql(struct turn *t, struct slice sql, struct err *err)
{
    struct sql_stmt *stmt = NULL;
    int rc;

    sql_enter(t->bridge.sql, INT64_MAX);
    rc = sql_prepare(t->bridge.sql, sql, &stmt, err);
    if (rc == OK)
        sql_done(&stmt);
    sql_leave(t->bridge.sql);
    return rc;
}

void turn_prove(struct turn *t)
{
    t->proof = PROOF_WRITE;
}

int64_t turn_gap_ms(const struct turn *t)
{
    return t->gap_ms;
}

const struct counters *turn_counters(const struct turn *t)
{
    return &t->total;
}

bool turn_has_backlog(const struct turn *t)
{
    return t->backlogs.any;
}

int64_t turn_cursor(const struct turn *t)
{
    return t->cursor;
}

struct next_retry {
    const struct turn *turn;
    int64_t due_at;
};

static bool look_at_queue(void *arg, struct slice queue, int64_t due_at)
{
    struct next_retry *n = arg;

    if (due_at < n->due_at && !halts_have(n->turn, queue))
        n->due_at = due_at;
    return true;
}

/* What is due in a queue that is paused by hand wakes nobody. */
static int next_retry(struct turn *t, int64_t *due_at_out, struct err *err)
{
    struct next_retry n = {.turn = t, .due_at = INT64_MAX};
    int rc;

    if (t->halts.first == NULL)
        return retry_next_due(t->parts.db, due_at_out, err);
    rc = retry_queues(t->parts.db, INT64_MAX, look_at_queue, &n, err);
    *due_at_out = n.due_at;
    return rc;
}

int turn_next_due(struct turn *t, int64_t *due_at_out, struct err *err)
{
    struct broker *b = t->parts.broker;
    int64_t retry_at = INT64_MAX, row_at = INT64_MAX, probe_at = pauses_next(&t->pauses);
    int rc = next_retry(t, &retry_at, err);

    if (rc == OK && !t->halts.publishing &&
        b->ops->room(b) > 0) { /* else the broker wakes us when there is room */
        rc = outbox_next_due(t->parts.db, &row_at, err);
        row_at = row_at < backlogs_due(t) ? row_at : backlogs_due(t);
    }
    *due_at_out = retry_at < row_at ? retry_at : row_at;
    if (probe_at < *due_at_out)
        *due_at_out = probe_at;
    return rc;
}

static int64_t age_of(const struct turn *t)
{
    return t->foreign_kind == FOREIGN_BUSY ? t->parts.age_shared_ms : t->parts.age_ms;
}

bool turn_is_old(const struct turn *t)
{
    return clock_mono(&t->parts.clock) - t->began_ms >= t->share.age_ms;
}

void turn_enter(struct turn *t, enum share_phase phase)
{
    share_enter(&t->share, phase, clock_mono(&t->parts.clock));
}

bool turn_share_is_used(struct turn *t)
{
    return share_is_used(&t->share, clock_mono(&t->parts.clock));
}

void turn_leave(struct turn *t)
{
    share_leave(&t->share, clock_mono(&t->parts.clock));
}

/* Old inbox rows go a few at a time, more when there is more traffic, so that the
 * inbox stops growing under any load and no turn is stalled. */
static int prune(struct turn *t, struct err *err)
{
    struct inbox_care care = {.window_ms = t->settings->inbox_window_ms,
                              .now_ms = t->now_ms,
                              .passed_ms = t->began_ms - t->cared_ms,
                              .starting = !t->caring};
    int rc;

    if (!t->pruning && t->caring && t->began_ms < t->prune_at_ms)
        return OK;
    if (!t->caring)
        care.passed_ms = 0;
    t->prune_at_ms = t->began_ms + PRUNE_EVERY_MS;
    rc = inbox_care(t->parts.db, &care, PRUNE_CHUNK + 2 * t->handled, &t->pruning, err);
    t->cared = rc == OK;
    t->more = t->more || t->pruning;
    return rc;
}

static int settle(struct turn *t, struct err *err)
{
    int rc;

    turn_enter(t, SHARE_SETTLE);
    rc = settle_rows(t, err);
    turn_leave(t);
    return rc;
}

static int care(struct turn *t, struct err *err)
{
    int rc;

    turn_enter(t, SHARE_CARE);
    rc = prune(t, err);
    if (rc == OK)
        rc = turn_history_prune(t, err);
    turn_leave(t);
    return rc;
}

static int run_inside(struct turn *t, bool publish, struct err *err)
{
    int rc = item_read_begin(t, err);

    if (rc == OK)
        rc = halts_read(t, err);
    if (rc == OK && t->taken.data != NULL)
        rc = rules_taken_write(t->parts.db, t->taken, err);
    if (rc == OK)
        rc = raises_write(t, err);
    if (rc == OK && t->proof != PROOF_NONE)
        rc = db_take_room(t->parts.db, t->proof == PROOF_WRITE ? PROOF_BYTES : 0, err);
    if (rc == OK)
        rc = rescue_messages(t, err);
    if (rc == OK && !t->rescuing)
        rc = handle_messages(t, err);
    if (rc == OK)
        rc = turn_recent_write(t, err);
    if (rc == OK && publish && !t->rescuing && !t->halts.publishing)
        rc = publish_rows(t, err);
    if (rc == OK)
        rc = settle(t, err);
    return rc == OK ? care(t, err) : rc;
}

static void start_over(struct turn *t)
{
    t->delta = (struct counters){0};
    t->serial++;
    t->next_cursor = t->cursor;
    t->highest_row = 0;
    t->handled = 0;
    t->n_recent = 0;
    t->history_rows = t->history_bytes = 0;
    t->more = t->news_next = t->adopting_next = false;
    t->condemned = 0;
    t->alone = t->rescuing = false;
    t->cared = false;
    t->n_decisions = t->n_splits = t->n_dated = t->n_plain = t->n_traced = 0;
    t->backlogs.found = false;
    t->fair_before = t->fair;
    t->backlogs.scouted_next = t->backlogs.scouted;
    arena_reset(&t->arena);
    log_buffer(t->parts.log);
}

/* A route's function ran out of memory. When this fails, it fails again and its rows are
 * postponed. */
static void rebuild_spoiled(struct turn *t)
{
    struct err err = {0};

    t->script_spoiled = script_rebuild(t->script, &err) != OK;
    if (t->script_spoiled)
        log_event(t->parts.log, LOG_ERROR, "rules.not_rebuilt",
                  LOG_FIELDS(log_text("reason", err.text)));
}

static void pass_committed(const struct turn *t)
{
    if (t->handled > 0)
        failpoint("handled_committed");
    if (t->delta.confirmed > 0)
        failpoint("confirm_committed");
}

/* All that the turn did is durable: only now does anybody hear of it. */
static enum turn_result finish(struct turn *t)
{
    t->delta.turns = 1;
    counters_add(&t->total, &t->delta);
    t->cursor = t->next_cursor;
    t->committed = t->serial;
    t->taken = (struct slice){NULL, 0};
    raises_keep(t);
    t->news_first = t->news_next;
    pauses_keep(&t->pauses);
    if (!t->rescuing) { /* else nobody has looked */
        t->adopting = t->adopting_next;
        t->hurrying = false;
    }
    t->more = t->more || t->adopting;
    t->backlogs.scouted = t->backlogs.scouted_next;
    t->backlogs.ready = t->backlogs.ready || t->backlogs.found;
    t->floors_inherited = t->script != NULL;
    t->more = t->more || t->proof == PROOF_WRITE;
    t->proof = t->proof == PROOF_WRITE ? PROOF_CLEAR : PROOF_NONE;
    if (t->condemned != 0)
        strike_forget(t->parts.strike, t->condemned);
    if (t->cared) {
        t->caring = true;
        t->cared_ms = t->began_ms;
    }
    t->caution = (struct caution){.limit = t->caution.lone_next ? 1 : 0,
                                  .lone = t->caution.lone_next,
                                  .rescuing = t->caution.rescuing && t->caution.lone_next};
    if (t->caution.lone)
        t->more = true;
    log_release(t->parts.log);
    pass_committed(t);
    db_saw_id(t->parts.db, t->highest_row);
    t->parts.broker->ops->tell(t->parts.broker);
    turn_spans_keep(t->parts.spans);
    pausing_tell(t);
    halts_tell(t);
    if (t->delta.published > 0)
        failpoint("sent");
    db_checkpoint(t->parts.db, false);
    if (t->script_spoiled)
        rebuild_spoiled(t);
    if (t->script != NULL && t->handled > 0)
        script_step(*t->script);
    return t->more || t->parts.broker->ops->pending(t->parts.broker) ? TURN_MORE : TURN_IDLE;
}

/* A handler ended the transaction or broke its Lua state. What it did before is
 * gone with the transaction; so is what its neighbours did. They are run again
 * without it, then it alone; when it fails alone, that counts as its attempt. */
static enum turn_result run_again(struct turn *t, struct err *err)
{
    struct caution *c = &t->caution;
    struct caution next = {.limit = 1, .lone = true};

    if (c->lone || t->handled == 0) {
        if (c->lone) {
            next.condemned = true;
            next.whom = t->at_hand;
            next.asking = c->asking;
            next.verdict = t->outcome;
            snprintf(next.verdict.error, sizeof next.verdict.error, "%s", err->text);
            next.verdict.verdict = SCRIPT_FAILED;
        }
    } else {
        next = (struct caution){.limit = t->handled, .lone_next = true};
    }
    next.rescuing = t->rescuing;
    *c = next;
    t->total.reruns++;
    log_event(t->parts.log, LOG_WARN, "turn.again",
              LOG_FIELDS(log_text("reason", err->text), log_int("kept", (int64_t)t->handled)));
    return script_rebuild(t->script, err) == OK ? TURN_MORE : TURN_OUTAGE;
}

static enum turn_result undo(struct turn *t, bool script_broken, struct err *err)
{
    db_rollback(t->parts.db);
    log_drop(t->parts.log);
    pauses_undo(&t->pauses);
    turn_spans_undo(t->parts.spans);
    t->fair = t->fair_before;
    t->parts.broker->ops->forget(t->parts.broker);
    return script_broken ? run_again(t, err) : TURN_OUTAGE;
}

/* Inside the transaction, to its end. */
static enum turn_result run_begun(struct turn *t, bool publish, struct err *err)
{
    int rc;
    bool broken;

    t->now_ms = clock_wall(&t->parts.clock);
    start_over(t);
    t->outcome.verdict = SCRIPT_DONE;
    rc = run_inside(t, publish, err);
    broken =
        rc != OK && (t->outcome.verdict == SCRIPT_TX_LOST || t->outcome.verdict == SCRIPT_NOMEM);
    if (rc == OK) {
        if (t->handled > 0)
            failpoint("handled");
        rc = db_commit(t->parts.db, err);
    }
    if (rc == ERR_UNKNOWN) {
        log_drop(t->parts.log); /* the last words must not be kept back, too */
        return TURN_FATAL;
    }
    return rc == OK ? finish(t) : undo(t, broken, err);
}

enum turn_result turn_run(struct turn *t, bool publish, struct err *err)
{
    struct db *db = t->parts.db;
    enum turn_result result;
    int rc;

    t->began_ms = clock_mono(&t->parts.clock);
    t->foreign_kind = foreign_kind(db_is_shared(db), db_foreign_seen_ms(db), t->began_ms);
    t->gap_ms = 0;
    share_begin(&t->share, t->began_ms, age_of(t));
    rc = db_begin(db, err);
    if (rc == ERR_BUSY)
        return TURN_BUSY;
    if (rc == ERR_UNKNOWN) /* a checkpoint met an fsync error */
        return TURN_FATAL;
    if (rc != OK)
        return TURN_OUTAGE;
    result = run_begun(t, publish, err);
    t->gap_ms = foreign_gap(&t->foreign, t->foreign_kind, t->began_ms, clock_mono(&t->parts.clock));
    return result;
}
