/* router - see router.h. */
#include "face/router.h"

#include "base/text.h"
#include "engine/streak.h"
#include "face/control.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { RELOAD_ANSWER_MAX = 1024 * 1024, TROUBLES_MOST = 100 };

struct router {
    uv_loop_t loop;
    struct log *log;
    struct engine *engine;
    struct control *control;
    uv_signal_t on_term;
    uv_signal_t on_int;
    uv_signal_t on_hup;
    const struct router_settings *settings;
    enum log_level log_level; /* in force */
};

/* The second signal does not wait for anything: a crash at any point is safe. */
static void on_signal(uv_signal_t *handle, int number)
{
    struct router *r = handle->data;
    struct engine_status status;

    engine_status(r->engine, &status);
    if (strcmp(status.state, "running") != 0 && strcmp(status.state, "paused") != 0) {
        log_event(r->log, LOG_WARN, "router.killed", LOG_FIELDS(log_int("signal", number)));
        unlink(r->settings->socket);
        log_flush(r->log);
        _exit(1);
    }
    log_event(r->log, LOG_INFO, "router.stopping", LOG_FIELDS(log_int("signal", number)));
    engine_stop(r->engine);
}

static void put_text(struct buf *b, const char *value)
{
    for (const char *p = value; *p != '\0'; p++)
        buf_append(b, *p == '\n' || *p == '\t' ? " " : p, 1);
}

static void put(struct buf *b, const char *name, const char *value)
{
    buf_printf(b, "%s\t", name);
    put_text(b, value);
    buf_text(b, "\n");
}

static void put_number(struct buf *b, const char *name, int64_t value)
{
    buf_printf(b, "%s\t%lld\n", name, (long long)value);
}

static void put_counters(struct buf *b, const struct counters *c)
{
#define X(name, meaning) put_number(b, "counter." #name, c->name);
    COUNTER_MAP(X)
#undef X
}

/* "paused", failures, since and next probe in milliseconds since 1970, queue, error. */
static void put_paused(struct router *r, struct buf *b)
{
    const struct pause *p;

    for (size_t n = 0; (p = engine_paused(r->engine, n)) != NULL; n++) {
        buf_printf(b, "paused\t%lld\t%lld\t%lld\t", (long long)p->now.failures,
                   (long long)p->now.since_ms, (long long)p->now.probe_at);
        put_text(b, p->queue);
        buf_text(b, "\t");
        put_text(b, p->now.error);
        buf_text(b, "\n");
    }
}

/* "trouble", what, name, why; one that has all of them would be long. */
static void put_troubles(struct router *r, struct buf *b)
{
    struct broker_trouble t;

    for (size_t n = 0; n < TROUBLES_MOST && engine_trouble(r->engine, n, &t); n++) {
        buf_printf(b, "trouble\t%s\t", t.what);
        put_text(b, t.name);
        buf_text(b, "\t");
        put_text(b, t.why);
        buf_text(b, "\n");
    }
}

static void put_status(struct router *r, struct buf *b)
{
    struct engine_status s;

    engine_status(r->engine, &s);
    put(b, "state", s.state);
    put(b, "paused_for", s.paused_for);
    put(b, "stopped_for", s.stopped_for);
    put_paused(r, b);
    put_troubles(r, b);
    put(b, "store", r->settings->engine.store);
    put_number(b, "cursor", s.cursor);
    put_number(b, "generation", s.generation);
    put(b, "hash", s.rules_hash);
    put(b, "rules_error", s.rules_error);
    put(b, "rules_wait", s.rules_wait);
    put_number(b, "routes", (int64_t)s.routes);
    put_number(b, "subscriptions", (int64_t)s.subscriptions);
    put_number(b, "handlers", (int64_t)s.handlers);
    put_number(b, "script_memory", (int64_t)s.script_memory);
    put(b, "broker_state", s.broker.word);
    put(b, "broker_error", s.broker.error);
    put(b, "ready", s.broker.ready ? "true" : "false");
    put_number(b, "in_flight", (int64_t)s.broker.in_flight);
    put_number(b, "unacked", (int64_t)s.broker.unacked);
    put_number(b, "unacked_bytes", (int64_t)s.broker.unacked_bytes);
    put_counters(b, s.counters);
    put_number(b, "counter.log_lines_dropped", log_dropped(r->log));
    put_number(b, "counter.reloads", s.reloads);
    put_number(b, "counter.reloads_refused", s.reloads_refused);
}

/* The settings first: a broken herald.lua refuses the reload as broken rules do. */
static int reload(struct router *r, struct engine_reload *request, struct buf *answer,
                  struct err *err)
{
    struct router_live live;
    int rc = r->settings->reread(r->settings->reread_arg, &live, err);

    if (rc != OK) {
        if (!request->dry_run)
            engine_refuse(r->engine, err);
        return rc;
    }
    request->handler_ms = live.handler_ms;
    request->handler_memory = live.handler_memory;
    request->retry = live.retry;
    request->history_ms = live.history_ms;
    request->publish_retry = live.publish_retry;
    request->refuse_losses = live.refuse_losses;
    rc = engine_reload(r->engine, request, answer, err);
    if (rc != OK)
        return rc;
    if (live.log_level != r->log_level)
        buf_text(answer, "changed\tsetting\tlog_level\therald.lua\n");
    if (live.restart[0] != '\0')
        put(answer, "restart", live.restart);
    if (request->dry_run)
        return OK;
    if (live.restart[0] != '\0')
        log_event(r->log, LOG_WARN, "router.needs_restart",
                  LOG_FIELDS(log_text("settings", live.restart)));
    r->log_level = live.log_level;
    log_set_level(r->log, live.log_level);
    return OK;
}

/* Nobody waits for an answer: the log has it. */
static void reload_quietly(struct router *r, const char *cause, bool automatic)
{
    struct engine_reload request = {.automatic = automatic, .again = true};
    struct buf answer;
    struct err err = {0};

    buf_init(&answer, RELOAD_ANSWER_MAX);
    log_event(r->log, LOG_INFO, "router.reloading", LOG_FIELDS(log_text("cause", cause)));
    (void)reload(r, &request, &answer, &err); /* engine and settings log what they refuse */
    buf_free(&answer);
}

static void on_edited(void *arg)
{
    reload_quietly(arg, "files changed", true);
}

static void on_hangup(uv_signal_t *handle, int number)
{
    (void)number;
    reload_quietly(handle->data, "SIGHUP", false);
}

/* "reload 0 50": a dry run or not, and how many messages to try. */
static void answer_reload(struct router *r, const char *words, struct buf *answer)
{
    struct engine_reload request = {.trial = 0};
    unsigned dry = 0, trial = 0;
    struct err err = {0};

    if (sscanf(words, "%u %u", &dry, &trial) != 2) {
        put(answer, "error", "unknown question");
        return;
    }
    request.dry_run = dry != 0;
    request.trial = trial;
    if (reload(r, &request, answer, &err) != OK) {
        buf_clear(answer);
        put(answer, "error", err.text);
    }
}

/* "routed TYPE<TAB>ORDER TYPE" */
static void answer_routed(struct router *r, const char *words, struct buf *answer)
{
    const char *tab = strchr(words, '\t');
    char type[CONTROL_QUESTION_MAX];

    if (tab == NULL) {
        put(answer, "error", "unknown question");
        return;
    }
    snprintf(type, sizeof type, "%.*s", (int)(tab - words), words);
    put(answer, "routed", engine_has_route(r->engine, type, tab + 1) ? "true" : "false");
}

static void on_question(void *arg, const char *question, struct buf *answer)
{
    struct router *r = arg;

    if (strcmp(question, "status") == 0)
        put_status(r, answer);
    else if (strcmp(question, "nowhere") == 0)
        put(answer, engine_nowhere(r->engine, answer) ? "asked" : "asking", "");
    else if (strncmp(question, "routed ", 7) == 0)
        answer_routed(r, question + 7, answer);
    else if (strncmp(question, "reload ", 7) == 0)
        answer_reload(r, question + 7, answer);
    else
        put(answer, "error", "unknown question");
}

/* One line for people and for scripts that wait for it. */
static void on_ready(void *arg)
{
    struct router *r = arg;
    struct engine_status s;
    char broker[256], folder[1024];

    engine_status(r->engine, &s);
    text_redact_url(r->settings->engine.broker, broker, sizeof broker);
    printf("herald %s ready: folder %s, store %s, broker %s, rules generation %lld (%s): "
           "%zu routes, %zu subscriptions, %zu handlers\n",
           HERALD_VERSION, getcwd(folder, sizeof folder) ? folder : ".", r->settings->engine.store,
           broker, (long long)s.generation, s.rules_hash, s.routes, s.subscriptions, s.handlers);
    fflush(stdout);
}

static void on_closed(void *arg)
{
    struct router *r = arg;

    control_stop(&r->control);
    uv_close((uv_handle_t *)&r->on_term, NULL);
    uv_close((uv_handle_t *)&r->on_int, NULL);
    uv_close((uv_handle_t *)&r->on_hup, NULL);
}

static void watch_signals(struct router *r)
{
    uv_signal_init(&r->loop, &r->on_term);
    uv_signal_init(&r->loop, &r->on_int);
    uv_signal_init(&r->loop, &r->on_hup);
    r->on_term.data = r->on_int.data = r->on_hup.data = r;
    uv_signal_start(&r->on_term, on_signal, SIGTERM);
    uv_signal_start(&r->on_int, on_signal, SIGINT);
    uv_signal_start(&r->on_hup, on_hangup, SIGHUP);
}

static int make_engine(struct router *r, struct err *err)
{
    struct engine_settings engine = r->settings->engine;

    engine.loop = &r->loop;
    engine.log = r->log;
    engine.clock = clock_real();
    engine.ready = on_ready;
    engine.closed = on_closed;
    engine.edited = on_edited;
    engine.arg = r;
    return engine_new(&r->engine, &engine, err);
}

/* The socket comes first: a store is upgraded only by a router that can be reached. */
static int start(struct router *r, struct err *err)
{
    int rc = control_start(&r->control, &r->loop, r->settings->socket, on_question, r, err);

    if (rc == OK)
        rc = make_engine(r, err);
    if (rc == OK)
        rc = control_open(r->control, err);
    if (rc == OK)
        rc = engine_start(r->engine, err);
    if (rc == OK)
        watch_signals(r);
    else
        control_stop(&r->control);
    return rc;
}

static int run_loop(struct router *r, struct err *err)
{
    int rc = start(r, err);

    uv_run(&r->loop, UV_RUN_DEFAULT); /* also finishes what a failed start left to close */
    engine_free(&r->engine);
    return rc;
}

int router_run(const struct router_settings *settings, struct err *err)
{
    struct router r = {.settings = settings, .log_level = settings->log_level};
    int rc;

    r.log = log_new(STDERR_FILENO, settings->log_level, settings->log_format, clock_real());
    if (r.log == NULL || log_serve(r.log) != 0 || uv_loop_init(&r.loop) != 0) {
        log_free(&r.log);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    rc = run_loop(&r, err);
    if (uv_loop_close(&r.loop) != 0)
        log_event(r.log, LOG_ERROR, "router.leftover_handles", LOG_NO_FIELDS);
    else if (rc == OK)
        log_event(r.log, LOG_INFO, "router.stopped", LOG_NO_FIELDS);
    log_free(&r.log);
    return rc;
}
