/* router - see router.h. */
#include "face/router.h"

#include "base/json.h"
#include "base/text.h"
#include "engine/streak.h"
#include "face/admin.h"
#include "face/control.h"
#include "face/health.h"
#include "face/probe.h"
#include "face/service.h"
#include "face/settings_told.h"
#include "http/http_post.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    RELOAD_ANSWER_MAX = 1024 * 1024,
    TROUBLES_MOST = 100,
    SPANS_MS = 1000,
    CLOSING_MS = 10000, /* behind the drain: links are closed, the store is checkpointed */
};

struct router {
    uv_loop_t loop;
    struct log *log;
    struct engine *engine;
    struct control *control;
    struct span_export *spans; /* NULL: they are off */
    struct health *health;     /* NULL: neither of the next is there */
    struct probe *probe;       /* NULL: nobody asked for one */
    struct admin *admin;       /* NULL: the same */
    struct notify *notify;     /* NULL: no service manager */
    struct service *service;   /* NULL: the same, or it has ended */
    uv_signal_t on_term;
    uv_signal_t on_int;
    uv_signal_t on_hup;
    const struct router_start *start;
};

/* The second signal does not wait for anything: a crash at any point is safe. */
static void on_signal(uv_signal_t *handle, int number)
{
    struct router *r = handle->data;
    struct engine_status status;

    engine_status(r->engine, &status);
    if (strcmp(status.state, "running") != 0 && strcmp(status.state, "paused") != 0) {
        log_event(r->log, LOG_WARN, "router.killed", LOG_FIELDS(log_int("signal", number)));
        unlink(r->start->settings.socket);
        log_flush(r->log);
        _exit(1);
    }
    log_event(r->log, LOG_INFO, "router.stopping", LOG_FIELDS(log_int("signal", number)));
    service_stopping(r->service, r->start->settings.stop_timeout_ms + CLOSING_MS);
    engine_stop(r->engine);
}

/* Pairs, since they have an order. */
static void add_counter(struct buf *b, const char *name, int64_t value)
{
    json_add_array(b, NULL);
    json_add_string(b, NULL, name);
    json_add_int(b, NULL, value);
    json_end(b, "]");
}

static void add_counters(struct router *r, const struct engine_status *s, struct buf *b)
{
    json_add_array(b, "counters");
#define X(name, meaning) add_counter(b, #name, s->counters->name);
    COUNTER_MAP(X)
#undef X
    add_counter(b, "log_lines_dropped", log_dropped(r->log));
    if (r->spans != NULL) {
        add_counter(b, "spans", s->spans_sent);
        add_counter(b, "spans_dropped", s->spans_dropped);
    }
    add_counter(b, "reloads", s->reloads);
    add_counter(b, "reloads_refused", s->reloads_refused);
    json_end(b, "]");
}

/* Times in milliseconds since 1970. */
static void add_paused(struct router *r, struct buf *b)
{
    const struct pause *p;

    json_add_array(b, "paused");
    for (size_t n = 0; (p = engine_paused(r->engine, n)) != NULL; n++) {
        json_add_object(b, NULL);
        json_add_string(b, "queue", p->queue);
        json_add_int(b, "since", p->now.since_ms);
        json_add_int(b, "next_probe", p->now.probe_at);
        json_add_int(b, "failures", p->now.failures);
        json_add_string(b, "error", p->now.error);
        json_end(b, "}");
    }
    json_end(b, "]");
}

/* One that has all of them would be long. */
static void add_troubles(struct router *r, struct buf *b)
{
    struct broker_trouble t;

    json_add_array(b, "troubles");
    for (size_t n = 0; n < TROUBLES_MOST && engine_trouble(r->engine, n, &t); n++) {
        json_add_object(b, NULL);
        json_add_string(b, "what", t.what);
        json_add_string(b, "name", t.name);
        json_add_string(b, "why", t.why);
        if (t.standby)
            json_add_bool(b, "standby", true);
        json_end(b, "}");
    }
    json_end(b, "]");
}

static void add_broker(const struct broker_state *s, struct buf *b)
{
    json_add_string(b, "broker_state", s->word);
    json_add_string(b, "broker_error", s->error);
    json_add_bool(b, "ready", s->ready);
    json_add_int(b, "in_flight", (int64_t)s->in_flight);
    json_add_int(b, "unacked", (int64_t)s->unacked);
    json_add_int(b, "unacked_bytes", (int64_t)s->unacked_bytes);
    if (s->tls == NULL || s->tls[0] == '\0')
        return;
    json_add_string(b, "tls", s->tls);
    json_add_int(b, "certificate_ends", s->certificate_ends);
    json_add_int(b, "peer_certificate_ends", s->peer_certificate_ends);
}

/* A line of one fact. */
static void put_fact(struct buf *b, const char *name, const char *text)
{
    size_t from = b->len;

    json_add_object(b, NULL);
    json_add_string(b, name, text);
    json_end_line(b, from, "}");
}

static void put_truth(struct buf *b, const char *name, bool value)
{
    size_t from = b->len;

    json_add_object(b, NULL);
    json_add_bool(b, name, value);
    json_end_line(b, from, "}");
}

static void refuse(struct buf *b, const char *why)
{
    put_fact(b, "error", why);
}

static void put_status(struct router *r, struct buf *b)
{
    struct engine_status s;

    engine_status(r->engine, &s);
    json_add_object(b, NULL);
    json_add_string(b, "state", s.state);
    json_add_string(b, "paused_for", s.outage_why);
    json_add_string(b, "stopped_for", s.stopped_for);
    add_paused(r, b);
    add_troubles(r, b);
    json_add_string(b, "store", r->start->settings.store);
    json_add_string(b, "store_trouble", s.store_trouble);
    json_add_int(b, "cursor", s.cursor);
    json_add_int(b, "generation", s.generation);
    json_add_string(b, "hash", s.rules_hash);
    json_add_string(b, "rules_error", s.rules_error);
    json_add_string(b, "rules_wait", s.rules_wait);
    json_add_int(b, "routes", (int64_t)s.routes);
    json_add_int(b, "subscriptions", (int64_t)s.subscriptions);
    json_add_int(b, "handlers", (int64_t)s.handlers);
    json_add_int(b, "script_memory", (int64_t)s.script_memory);
    add_broker(&s.broker, b);
    add_counters(r, &s, b);
    json_end_line(b, 0, "}");
}

static void put_told(struct router *r, struct buf *b)
{
    size_t from = b->len;

    settings_told(b, engine_settings(r->engine));
    json_end_line(b, from, "");
}

/* Only who asks for it has connections made anew. */
static int renew(struct router *r, const struct engine_reload *request, struct err *err)
{
    return request->dry_run || request->automatic ? OK : engine_renew(r->engine, err);
}

/* The settings first: a broken herald.lua refuses the reload as broken rules do. */
static int take_anew(struct router *r, struct engine_reload *request, struct buf *answer,
                     struct err *err)
{
    char restart[ROUTER_RESTART_MAX];
    struct settings settings = {.store = NULL};
    struct err unusable = {.code = OK};
    int rc = r->start->reread(r->start->reread_arg, &settings, restart, err);

    if (rc != OK) {
        if (!request->dry_run)
            engine_refuse(r->engine, err);
        return rc;
    }
    request->settings = &settings;
    (void)renew(r, request, &unusable); /* the log has it, and the answer */
    rc = engine_reload(r->engine, request, answer, err);
    if (rc == OK && unusable.code != OK)
        put_fact(answer, "unusable", unusable.text);
    if (rc != OK || restart[0] == '\0')
        return rc;
    put_fact(answer, "restart", restart);
    if (!request->dry_run)
        log_event(r->log, LOG_WARN, "router.needs_restart",
                  LOG_FIELDS(log_text("settings", restart)));
    return OK;
}

static int reload(struct router *r, struct engine_reload *request, struct buf *answer,
                  struct err *err)
{
    int rc;

    if (request->dry_run)
        return take_anew(r, request, answer, err);
    service_reloading(r->service);
    rc = take_anew(r, request, answer, err);
    service_ready(r->service);
    return rc;
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

static void answer_reload(struct router *r, const struct json *question, struct buf *answer)
{
    const struct json_token *dry = json_member(question, question->tape, "dry_run");
    struct engine_reload request = {.dry_run = dry != NULL && dry->kind == JSON_TRUE};
    struct err err = {0};
    int64_t trial = 0;

    if (dry != NULL && dry->kind != JSON_TRUE && dry->kind != JSON_FALSE) {
        refuse(answer, "\"dry_run\" is true or false");
        return;
    }
    if (!json_member_int(question, "trial", &trial) || trial < 0) {
        refuse(answer, "\"trial\" is a number of messages");
        return;
    }
    request.trial = (size_t)trial;
    if (reload(r, &request, answer, &err) != OK) {
        buf_clear(answer);
        refuse(answer, err.text);
    }
}

static void answer_routed(struct router *r, const struct json *question, struct buf *answer)
{
    struct slice type = json_member_text(question, "type");
    struct slice order_type = json_member_text(question, "order_type");
    char words[2][CONTROL_QUESTION_MAX]; /* a question has no more */

    if (type.data == NULL || order_type.data == NULL) {
        refuse(answer, "\"routed\" takes two strings, \"type\" and \"order_type\"");
        return;
    }
    (void)snprintf(words[0], sizeof words[0], "%.*s", (int)type.len, type.data);
    (void)snprintf(words[1], sizeof words[1], "%.*s", (int)order_type.len, order_type.data);
    put_truth(answer, "routed", engine_has_route(r->engine, words[0], words[1]));
}

/* Somebody has written what is paused by hand, or no more. */
static void answer_halts(struct router *r, struct buf *answer)
{
    engine_look_at_halts(r->engine);
    put_truth(answer, "looked", true);
}

static void answer_ask(struct router *r, const struct json *question, struct buf *answer)
{
    struct slice ask = json_member_text(question, "ask");

    if (ask.data == NULL)
        refuse(answer, "a request is a JSON object with a member \"ask\": {\"ask\":\"status\"}");
    else if (slice_is(ask, "status"))
        put_status(r, answer);
    else if (slice_is(ask, "reload"))
        answer_reload(r, question, answer);
    else if (slice_is(ask, "routed"))
        answer_routed(r, question, answer);
    else if (slice_is(ask, "nowhere"))
        put_truth(answer, "asked", engine_unreached(r->engine, answer));
    else if (slice_is(ask, "halts"))
        answer_halts(r, answer);
    else if (slice_is(ask, "settings"))
        put_told(r, answer);
    else
        refuse(answer, "unknown request: \"ask\" is status, reload, routed, nowhere, halts or "
                       "settings");
}

/* A control_answer_fn. */
static void on_question(void *arg, const char *question, struct buf *answer)
{
    struct err err = {0};
    struct json j;
    struct buf tape;

    buf_init(&tape, 8 * CONTROL_QUESTION_MAX);
    if (json_parse(&j, &tape, question, strlen(question), &err) == OK) {
        answer_ask(arg, &j, answer);
    } else {
        (void)err_prefix(&err, "a request is a line of JSON such as {\"ask\":\"status\"}");
        refuse(answer, err.text);
    }
    buf_free(&tape);
}

/* One line for people and for scripts that wait for it. */
static void on_ready(void *arg)
{
    struct router *r = arg;
    struct engine_status s;
    char broker[256], folder[1024];

    engine_status(r->engine, &s);
    text_redact_url(r->start->settings.broker, broker, sizeof broker);
    printf("herald %s ready: folder %s, store %s, broker %s, rules generation %lld (%s): "
           "%zu routes, %zu subscriptions, %zu handlers\n",
           HERALD_VERSION, getcwd(folder, sizeof folder) ? folder : ".", r->start->settings.store,
           broker, (long long)s.generation, s.rules_hash, s.routes, s.subscriptions, s.handlers);
    fflush(stdout);
}

/* What holds it up comes first: who reads it sees no more than a line. */
static void write_line(void *arg, char out[SERVICE_LINE_MAX])
{
    struct router *r = arg;
    struct engine_status s;
    const char *why;

    if (r->engine == NULL) {
        (void)snprintf(out, SERVICE_LINE_MAX, "starting: the store is made ready");
        return;
    }
    engine_status(r->engine, &s);
    why = s.outage_why[0] != '\0' ? s.outage_why : s.stopped_for;
    (void)snprintf(out, SERVICE_LINE_MAX,
                   "%s%s%.150s; broker %s; %zu in flight, %zu unacked; handled %lld, confirmed "
                   "%lld, failed %lld, dead %lld; rules generation %lld%s",
                   s.state, why[0] != '\0' ? ": " : "", why, s.broker.word, s.broker.in_flight,
                   s.broker.unacked, (long long)s.counters->handled,
                   (long long)s.counters->confirmed, (long long)s.counters->failed,
                   (long long)s.counters->dead, (long long)s.generation,
                   s.rules_error[0] != '\0' ? ", the files on disk are refused" : "");
}

static void close_doors(struct router *r)
{
    admin_stop(&r->admin);
    probe_stop(&r->probe);
    health_stop(&r->health);
}

static void on_closed(void *arg)
{
    struct router *r = arg;

    service_stop(&r->service);
    control_stop(&r->control);
    close_doors(r);
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
    const struct engine_host host = {
        .loop = &r->loop,
        .log = r->log,
        .clock = clock_real(),
        .folders = r->start->folders,
        .n_folders = r->start->n_folders,
        .until_idle = r->start->until_idle,
        .ready = on_ready,
        .closed = on_closed,
        .edited = on_edited,
        .arg = r,
        .notify = r->notify,
        .spans = r->spans,
    };

    return engine_new(&r->engine, &host, &r->start->settings, err);
}

/* A router without is better than none. */
static void open_spans(struct router *r)
{
    const char *to = r->start->settings.spans;
    struct span_sink sink;
    struct err err = {0};
    int rc;

    if (to == NULL)
        return;
    rc = strstr(to, "://") != NULL ? http_post_open(&sink, to, &err)
                                   : span_file_open(&sink, to, &err);
    if (rc == OK)
        r->spans = span_export_start(&sink, r->start->settings.name);
    if (r->spans == NULL)
        log_event(r->log, LOG_ERROR, "spans.unusable",
                  LOG_FIELDS(log_text("reason", rc != OK ? err.text : "out of memory"),
                             log_text("what_now", "the router works without spans")));
}

static int open_doors(struct router *r, struct err *err)
{
    const struct settings *s = &r->start->settings;
    const struct health_settings health = {.loop = &r->loop, .store = s->store, .log = r->log};
    int rc = OK;

    if (s->probe != NULL || s->admin.listen != NULL)
        rc = health_new(&r->health, &health, err);
    if (rc == OK && s->probe != NULL) {
        const struct probe_settings probe = {
            .loop = &r->loop, .address = s->probe, .health = r->health, .log = r->log};

        rc = probe_start(&r->probe, &probe, err);
    }
    if (rc == OK && s->admin.listen != NULL) {
        const struct admin_door door = {
            .loop = &r->loop, .settings = s, .health = r->health, .log = r->log};

        rc = admin_start(&r->admin, &door, err);
    }
    return rc;
}

/* The socket comes first: a store is upgraded only by a router that can be reached. */
static int open_router(struct router *r, struct err *err)
{
    int rc = control_start(&r->control, &r->loop, r->start->settings.socket, on_question, r, err);

    if (rc == OK)
        rc = service_new(&r->service, &r->loop, r->notify, write_line, r, err);
    if (rc == OK)
        rc = open_doors(r, err);
    if (rc == OK)
        open_spans(r);
    if (rc == OK)
        rc = make_engine(r, err);
    if (rc == OK)
        rc = control_open(r->control, err);
    if (rc == OK)
        rc = engine_start(r->engine, err);
    if (rc == OK) {
        watch_signals(r);
        service_ready(r->service);
        health_watch(r->health, r->engine);
    } else {
        service_stop(&r->service);
        control_stop(&r->control);
        close_doors(r);
    }
    return rc;
}

static int run_loop(struct router *r, struct err *err)
{
    int rc = open_router(r, err);

    uv_run(&r->loop, UV_RUN_DEFAULT); /* also finishes what a failed start left to close */
    engine_free(&r->engine);
    span_export_stop(&r->spans, SPANS_MS);
    return rc;
}

/* Without a service manager that hears it a router works as well. */
static void warn_unheard(struct router *r, const struct err *why)
{
    if (why->code != OK)
        log_event(r->log, LOG_WARN, "router.unheard",
                  LOG_FIELDS(log_text("reason", why->text),
                             log_text("what_now", "the service manager is told nothing")));
}

int router_run(const struct router_start *start, struct err *err)
{
    const struct settings *s = &start->settings;
    struct router r = {.start = start};
    struct err unheard = {.code = OK};
    int rc;

    (void)notify_open(&r.notify, &unheard); /* before the log has a thread */

    r.log = log_new(STDERR_FILENO, (enum log_level)s->log_level, (enum log_format)s->log_format,
                    clock_real());
    if (r.log == NULL || log_serve(r.log) != 0 || uv_loop_init(&r.loop) != 0) {
        log_free(&r.log);
        notify_close(&r.notify);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    warn_unheard(&r, &unheard);
    rc = run_loop(&r, err);
    if (uv_loop_close(&r.loop) != 0)
        log_event(r.log, LOG_ERROR, "router.leftover_handles", LOG_NO_FIELDS);
    else if (rc == OK)
        log_event(r.log, LOG_INFO, "router.stopped", LOG_NO_FIELDS);
    log_free(&r.log);
    notify_close(&r.notify);
    return rc;
}
