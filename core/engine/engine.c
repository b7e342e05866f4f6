/* engine - the loop around the turns (engine.h has the states). */
#include "engine/engine_int.h"
#include "engine/standstill.h"

#include "base/failpoint.h"
#include "script/folder_above.h"
#include "store/outbox.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    HOUSE_EVERY_MS = 100,
    OVERDUE_MS = 20, /* for what is due, but could not be done in the last turn */
    SLEEP_MAX_MS = 3600000,
    WATCH_POLL_MS = 250, /* for commits that inotify did not tell */
    BUSY_MIN_MS = 1,
    BUSY_MAX_MS = 4, /* producers that hammer leave gaps of microseconds: knock often */
    OUTAGE_MIN_MS = 250,
    OUTAGE_MAX_MS = 5000,
    IDLE_QUIET_MS = 500,  /* until_idle: nothing happened for so long */
    IDLE_SOON_MS = 60000, /* until_idle: what is due within this is waited for */
};

static int64_t mono(const struct engine *e)
{
    return clock_mono(&e->host.clock);
}

static void stay_awake(uv_idle_t *handle)
{
    (void)handle;
}

static void on_due(uv_timer_t *timer);

static void wake_in(struct engine *e, int64_t ms)
{
    uv_update_time(e->host.loop);
    uv_timer_start(&e->due, on_due, (uint64_t)(ms > 0 ? ms : 0), 0);
}

/* For how long the store must still be left free for other processes. */
static int64_t gap_left(const struct engine *e)
{
    return e->free_until_ms - mono(e);
}

/* No wake shortens that time. */
void engine_wake(void *arg)
{
    struct engine *e = arg;
    int64_t left = gap_left(e);

    if (e->state != ENGINE_RUNNING && e->state != ENGINE_DRAINING)
        return;
    e->woken = true;
    if (left > 0)
        wake_in(e, left);
    else
        uv_idle_start(&e->spin, stay_awake);
}

static void on_due(uv_timer_t *timer)
{
    struct engine *e = timer->data;

    if (e->state == ENGINE_OUTAGE)
        e->state = ENGINE_RUNNING;
    engine_wake(e);
}

static void sleep_until_woken(struct engine *e)
{
    e->woken = false;
    uv_idle_stop(&e->spin);
}

/* Nothing is left to do now: sleep until the next retry or postponed row. */
static void sleep_until_due(struct engine *e)
{
    struct err err = {0};
    int64_t wait;

    sleep_until_woken(e);
    if (turn_next_due(e->turn, &e->due_at, &err) != OK) {
        wake_in(e, OUTAGE_MIN_MS);
        return;
    }
    wait = e->due_at == INT64_MAX ? INT64_MAX : e->due_at - clock_wall(&e->host.clock);
    if (wait <= 0) {
        wait = OVERDUE_MS;
        e->due_at = INT64_MAX;
    }
    wake_in(e, wait < SLEEP_MAX_MS ? wait : SLEEP_MAX_MS);
}

/* The timer counts the machine's own time: it knows nothing of a wall clock that was set, nor of
 * the time for which the machine slept. */
static void look_at_wall_clock(struct engine *e)
{
    if (e->due_at > clock_wall(&e->host.clock))
        return;
    e->due_at = INT64_MAX;
    engine_wake(e);
}

static void stop_consuming(struct engine *e, const struct err *why)
{
    snprintf(e->stopped_for, sizeof e->stopped_for, "%s", why->text);
    log_event(e->host.log, LOG_ERROR, "engine.consuming_stopped",
              LOG_FIELDS(log_text("reason", why->text),
                         log_text("what_now", "the broker keeps what is not handled; consuming "
                                              "goes on when the store can be written again")));
    e->broker->ops->pace(e->broker, NULL, PACE_STOP);
}

static void go_on_consuming(struct engine *e)
{
    log_event(e->host.log, LOG_INFO, "engine.consuming_again",
              LOG_FIELDS(log_text("after", e->stopped_for)));
    e->stopped_for[0] = '\0';
    e->broker->ops->pace(e->broker, NULL, PACE_FLOW);
}

/* A turn could not be run. Returns how long to wait, at least `ms`. */
static int64_t outlasting(struct engine *e, int64_t ms, const struct err *why)
{
    if (e->state == ENGINE_DRAINING || !outage_trouble(&e->outage, mono(e)))
        return ms;
    stop_consuming(e, why);
    return e->outage.wait_ms > ms ? e->outage.wait_ms : ms;
}

static void begin_outage(struct engine *e, const struct err *why)
{
    int64_t wait = outlasting(e, e->outage_ms, why);

    sleep_until_woken(e);
    if (e->outage_why[0] == '\0' || strcmp(e->outage_why, why->text) != 0)
        log_event(e->host.log, LOG_ERROR, "engine.paused",
                  LOG_FIELDS(log_text("kind", err_word(why->code)), log_text("reason", why->text)));
    snprintf(e->outage_why, sizeof e->outage_why, "%s", why->text);
    if (e->state == ENGINE_RUNNING)
        e->state = ENGINE_OUTAGE;
    wake_in(e, wait);
    e->outage_ms = e->outage_ms * 2 < OUTAGE_MAX_MS ? e->outage_ms * 2 : OUTAGE_MAX_MS;
}

static void resumed(struct engine *e, bool handled)
{
    if (outage_over(&e->outage, handled))
        go_on_consuming(e);
    e->busy_ms = BUSY_MIN_MS;
    e->outage_ms = OUTAGE_MIN_MS;
    if (e->outage_why[0] == '\0')
        return;
    log_event(e->host.log, LOG_INFO, "engine.resumed",
              LOG_FIELDS(log_text("after", e->outage_why)));
    e->outage_why[0] = '\0';
}

static void go_on(struct engine *e)
{
    sleep_until_woken(e);
    engine_wake(e);
}

static _Noreturn void die(struct engine *e, const struct err *why, const char *what_now)
{
    log_event(e->host.log, LOG_ERROR, "engine.fatal",
              LOG_FIELDS(log_text("reason", why->text), log_text("what_now", what_now)));
    log_flush(e->host.log);
    _exit(1);
}

/* When the store's file was moved or deleted, nobody would find what is written into it now. */
static void check_store(struct engine *e)
{
    struct err err = {0};

    if (db_check_identity(e->db, &err) != OK)
        die(e, &err,
            "the process ends, so that no more is written where it may be lost, and nothing more "
            "is acked");
}

static int64_t movement(const struct counters *c)
{
    return c->delivered + c->handled + c->failed + c->published + c->confirmed;
}

static void run_turn(struct engine *e)
{
    struct err err = {0};
    enum turn_result result;
    int64_t before = turn_counters(e->turn)->turns;
    const struct counters *c = turn_counters(e->turn);
    int64_t handled = c->delivered + c->retried;
    int64_t moved = movement(c);

    if (e->outage.stopped)
        turn_prove(e->turn);
    e->in_turn = true;
    result = turn_run(e->turn, e->state == ENGINE_RUNNING, &err);
    e->in_turn = false;
    e->free_until_ms = mono(e) + turn_gap_ms(e->turn);
    switch (result) {
    case TURN_IDLE:
        sleep_until_due(e);
        break;
    case TURN_MORE:
        go_on(e);
        break;
    case TURN_BUSY:
        sleep_until_woken(e);
        wake_in(e, outlasting(e, e->busy_ms, &err));
        e->busy_ms = e->busy_ms * 2 < BUSY_MAX_MS ? e->busy_ms * 2 : BUSY_MAX_MS;
        return;
    case TURN_OUTAGE:
        begin_outage(e, &err);
        return;
    case TURN_FATAL:
        die(e, &err,
            "the process ends because it cannot know what is on disk; start it again, nothing is "
            "lost");
    }
    if (c->turns > before)
        resumed(e, c->delivered + c->retried > handled);
    if (movement(c) > moved)
        e->active_ms = mono(e);
}

static void on_check(uv_check_t *check)
{
    struct engine *e = check->data;

    if (e->woken && gap_left(e) <= 0)
        run_turn(e);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct engine *e = handle->data;

    if (--e->open_handles > 0)
        return;
    e->state = ENGINE_CLOSED;
    if (e->host.closed != NULL)
        e->host.closed(e->host.arg);
}

static void on_broker_stopped(void *arg)
{
    struct engine *e = arg;

    rules_watch_stop(&e->rules_watch);
    commit_notice_stop(&e->commits);
    uv_close((uv_handle_t *)&e->check, on_handle_closed);
    uv_close((uv_handle_t *)&e->spin, on_handle_closed);
    uv_close((uv_handle_t *)&e->due, on_handle_closed);
    uv_close((uv_handle_t *)&e->house, on_handle_closed);
}

static void finish_drain(struct engine *e, const struct broker_state *state)
{
    if (state->in_flight > 0)
        log_event(e->host.log, LOG_WARN, "engine.unconfirmed",
                  LOG_FIELDS(log_int("rows", (int64_t)state->in_flight),
                             log_text("what_now", "they stay in the outbox and go out again at "
                                                  "the next start, with the same ids")));
    uv_timer_stop(&e->house);
    sleep_until_woken(e);
    failpoint("shutdown");
    e->state = ENGINE_CLOSING;
    e->broker->ops->stop(e->broker, on_broker_stopped, e);
}

/* until_idle: true when nothing is under way and nothing is due soon. */
static bool is_idle(struct engine *e, const struct broker_state *state)
{
    struct outbox_counts counts = {0};
    struct err err = {0};
    int64_t due_at = INT64_MAX;

    bool halted = turn_is_halted(e->turn); /* then no row goes out */

    if (e->woken || state->in_flight > 0 || e->broker->ops->pending(e->broker) ||
        (turn_has_backlog(e->turn) && !halted))
        return false;
    if (!state->ready || mono(e) - e->active_ms < IDLE_QUIET_MS)
        return false;
    if (outbox_count(e->db, &counts, &err) != OK || turn_next_due(e->turn, &due_at, &err) != OK)
        return false;
    if (due_at != INT64_MAX && due_at - clock_wall(&e->host.clock) < IDLE_SOON_MS)
        return false;
    return counts.pending == 0 || due_at != INT64_MAX || halted;
}

static void on_house(uv_timer_t *timer)
{
    struct engine *e = timer->data;
    struct broker_state state = {0};

    log_tell(e->host.log);
    span_export_tell(e->host.spans, e->host.log);
    check_store(e);
    e->broker->ops->state(e->broker, &state);
    if (state.ready && !e->was_ready) {
        e->was_ready = true;
        if (e->host.ready != NULL)
            e->host.ready(e->host.arg);
    }
    if (e->state == ENGINE_RUNNING) {
        look_at_wall_clock(e);
        reach_look(e);
    }
    if (e->state == ENGINE_RUNNING || e->state == ENGINE_OUTAGE) {
        standstill_look(e);
        events_look(e);
    }
    if (e->state == ENGINE_DRAINING &&
        ((state.in_flight == 0 && !e->woken) || mono(e) >= e->drain_until_ms)) {
        finish_drain(e, &state);
        return;
    }
    if (!e->woken && mono(e) - e->active_ms >= 1000)
        db_checkpoint(e->db, true);
    if (e->host.until_idle && e->state == ENGINE_RUNNING && is_idle(e, &state))
        engine_stop(e);
}

static void init_handles(struct engine *e)
{
    uv_loop_t *loop = e->host.loop;

    /* None of these can fail: they only link a struct into the loop. */
    uv_check_init(loop, &e->check);
    uv_idle_init(loop, &e->spin);
    uv_timer_init(loop, &e->due);
    uv_timer_init(loop, &e->house);
    e->check.data = e->spin.data = e->due.data = e->house.data = e;
    e->open_handles = 4;
    uv_check_start(&e->check, on_check);
    uv_timer_start(&e->house, on_house, HOUSE_EVERY_MS, HOUSE_EVERY_MS);
}

static void on_edited(void *arg)
{
    struct engine *e = arg;

    if (e->state == ENGINE_RUNNING || e->state == ENGINE_OUTAGE)
        e->host.edited(e->host.arg);
}

/* The folders of the rules, and the one above them, which has what they share. A change of any
 * other file there costs one look. */
static int watch_rules(struct engine *e, struct err *err)
{
    const struct engine_host *h = &e->host;
    const char **paths = calloc(h->n_folders + 1, sizeof *paths);
    char above[PATH_MAX];
    size_t n = 0;
    int rc;

    if (paths == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    while (n < h->n_folders) {
        paths[n] = h->folders[n].path;
        n++;
    }
    /* One settings file names all includes: they have one folder above them. */
    if (folder_above_is_next(h->folders, h->n_folders, 0, above, sizeof above))
        paths[n++] = above;
    rc = rules_watch_start(&e->rules_watch, h->loop, h->log, paths, n, on_edited, e, err);
    free(paths);
    return rc;
}

int engine_start(struct engine *e, struct err *err)
{
    int rc;

    REQUIRE(e->state == ENGINE_BUILT);
    rc = commit_notice_start(&e->commits, e->db, e->host.loop, WATCH_POLL_MS, engine_wake, e, err);
    if (rc == OK && e->host.edited != NULL)
        rc = watch_rules(e, err);
    if (rc == OK)
        rc = e->broker->ops->start(e->broker, rules_topology(script_rules(e->script)), err);
    if (rc != OK) {
        rules_watch_stop(&e->rules_watch);
        commit_notice_stop(&e->commits);
        return rc;
    }
    init_handles(e);
    e->state = ENGINE_RUNNING;
    e->busy_ms = BUSY_MIN_MS;
    e->outage_ms = OUTAGE_MIN_MS;
    e->active_ms = mono(e);
    e->due_at = INT64_MAX;
    reach_begin(e);
    engine_wake(e);
    return OK;
}

void engine_stop(struct engine *e)
{
    if (e->state != ENGINE_RUNNING && e->state != ENGINE_OUTAGE)
        return;
    log_event(e->host.log, LOG_INFO, "engine.draining", LOG_NO_FIELDS);
    e->state = ENGINE_DRAINING;
    e->drain_until_ms = mono(e) + e->settings.stop_timeout_ms;
    e->broker->ops->drain(e->broker);
    engine_wake(e);
}

/* A turn that tries again in an outage has not resumed yet. */
static const char *state_word(const struct engine *e)
{
    switch (e->state) {
    case ENGINE_BUILT:
        return "built";
    case ENGINE_RUNNING:
        return e->outage_why[0] == '\0' ? "running" : "paused";
    case ENGINE_OUTAGE:
        return "paused";
    case ENGINE_DRAINING:
        return "draining";
    case ENGINE_CLOSING:
    case ENGINE_CLOSED:
        break;
    }
    return "closed";
}

bool engine_trouble(const struct engine *e, size_t n, struct broker_trouble *out)
{
    const struct broker_ops *ops = e->broker->ops;

    return ops->trouble != NULL && ops->trouble(e->broker, n, out);
}

const struct settings *engine_settings(const struct engine *e)
{
    return &e->settings;
}

const struct pause *engine_paused(const struct engine *e, size_t n)
{
    return turn_paused(e->turn, n);
}

void engine_look_at_halts(struct engine *e)
{
    turn_look_at_halts(e->turn);
    engine_wake(e);
}

bool engine_has_route(const struct engine *e, const char *type, const char *order_type)
{
    return rules_route(script_rules(e->script), slice_of(type), slice_of(order_type)) != NULL;
}

bool engine_subscribes(const struct engine *e, struct slice queue)
{
    return slice_is(queue, EVENTS_QUEUE) ||
           rules_subscription(script_rules(e->script), queue) != NULL;
}

void engine_status(struct engine *e, struct engine_status *out)
{
    const struct topology *t = rules_topology(script_rules(e->script));

    *out = (struct engine_status){
        .state = state_word(e),
        .outage_why = e->outage_why,
        .stopped_for = e->stopped_for,
        .store_trouble = db_trouble(e->db),
        .counters = turn_counters(e->turn),
        .cursor = turn_cursor(e->turn),
        .generation = e->generation,
        .rules_hash = script_hash(e->script),
        .rules_error = e->rules_error,
        .rules_wait = e->still->why,
        .reloads = e->reloads,
        .reloads_refused = e->reloads_refused,
        .routes = t->n_routes,
        .subscriptions = t->n_subscriptions,
        .handlers = rules_count(script_rules(e->script), RULE_HANDLER),
        .script_memory = script_memory(e->script),
        .spans_sent = span_export_sent(e->host.spans),
        .spans_dropped = span_export_dropped(e->host.spans),
    };
    e->broker->ops->state(e->broker, &out->broker);
}
