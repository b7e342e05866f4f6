/* router - see router.h. */
#include "face/router.h"

#include "base/text.h"
#include "face/control.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct router {
    uv_loop_t loop;
    struct log *log;
    struct engine *engine;
    struct control *control;
    uv_signal_t on_term;
    uv_signal_t on_int;
    const struct router_settings *settings;
};

/* The second signal does not wait for anything: a crash at any point is safe. */
static void on_signal(uv_signal_t *handle, int number)
{
    struct router *r = handle->data;
    struct engine_status status;

    engine_status(r->engine, &status);
    if (strcmp(status.state, "running") != 0 && strcmp(status.state, "paused") != 0) {
        log_event(r->log, LOG_WARN, "router.killed", LOG_FIELDS(log_int("signal", number)));
        unlink(CONTROL_SOCKET);
        _exit(1);
    }
    log_event(r->log, LOG_INFO, "router.stopping", LOG_FIELDS(log_int("signal", number)));
    engine_stop(r->engine);
}

static void put(struct buf *b, const char *name, const char *value)
{
    buf_printf(b, "%s\t", name);
    for (const char *p = value; *p != '\0'; p++)
        buf_append(b, *p == '\n' || *p == '\t' ? " " : p, 1);
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

static void put_status(struct router *r, struct buf *b)
{
    struct engine_status s;

    engine_status(r->engine, &s);
    put(b, "state", s.state);
    put(b, "paused_for", s.paused_for);
    put_number(b, "generation", s.generation);
    put(b, "hash", s.rules_hash);
    put_number(b, "routes", (int64_t)s.routes);
    put_number(b, "subscriptions", (int64_t)s.subscriptions);
    put_number(b, "handlers", (int64_t)s.handlers);
    put_number(b, "script_memory", (int64_t)s.script_memory);
    put(b, "broker_state", s.broker.word);
    put(b, "broker_error", s.broker.error);
    put(b, "ready", s.broker.ready ? "true" : "false");
    put_number(b, "in_flight", (int64_t)s.broker.in_flight);
    put_number(b, "unacked", (int64_t)s.broker.unacked);
    put_counters(b, s.counters);
}

static void on_question(void *arg, const char *question, struct buf *answer)
{
    if (strcmp(question, "status") == 0)
        put_status(arg, answer);
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
}

static void watch_signals(struct router *r)
{
    uv_signal_init(&r->loop, &r->on_term);
    uv_signal_init(&r->loop, &r->on_int);
    r->on_term.data = r->on_int.data = r;
    uv_signal_start(&r->on_term, on_signal, SIGTERM);
    uv_signal_start(&r->on_int, on_signal, SIGINT);
}

static int start(struct router *r, struct err *err)
{
    int rc = control_start(&r->control, &r->loop, on_question, r, err);

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
    struct engine_settings engine = r->settings->engine;
    int rc;

    engine.loop = &r->loop;
    engine.log = r->log;
    engine.clock = clock_real();
    engine.ready = on_ready;
    engine.closed = on_closed;
    engine.arg = r;
    rc = engine_new(&r->engine, &engine, err);
    if (rc == OK)
        rc = start(r, err);
    uv_run(&r->loop, UV_RUN_DEFAULT); /* also finishes what a failed start left to close */
    engine_free(&r->engine);
    return rc;
}

int router_run(const struct router_settings *settings, struct err *err)
{
    struct router r = {.settings = settings};
    int rc;

    r.log = log_new(STDERR_FILENO, settings->log_level, settings->log_format, clock_real());
    if (r.log == NULL || uv_loop_init(&r.loop) != 0) {
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
