/* probe - see probe.h. A scrape reads memory; the store is looked at every LOOK_MS, whoever asks.
 */
#include "face/probe.h"

#include "face/metrics.h"
#include "http/http_server.h"

#include <stdlib.h>
#include <string.h>

enum { LOOK_MS = 5000, TEXT_MAX = 2 * 1024 * 1024, QUEUES_TEXT_MAX = 1024 * 1024 };

struct probe {
    struct probe_settings settings;
    struct http_server *server;
    struct engine *engine; /* lent; NULL: not yet, or no more */
    uv_timer_t look;
    struct buf store; /* metrics of the last look */
};

/* Metrics of queues, family by family, while the store is read once. */
struct looking {
    struct probe *probe;
    int64_t now_ms;
    struct buf families[METRICS_QUEUES];
};

/* A waiting_queue_fn. Only queues that rules name: the store may remember others. */
static void note_queue(void *arg, const struct waiting_queue *q)
{
    struct looking *l = arg;

    if (engine_subscribes(l->probe->engine, q->queue))
        for (int i = 0; i < METRICS_QUEUES; i++)
            metrics_of_queue(&l->families[i], (enum metrics_queue)i, q, l->now_ms);
}

/* What cannot be read is missing until it can be: the log has the reason by then. */
static void look(struct probe *p)
{
    struct clock clock = clock_real();
    struct looking l = {.probe = p, .now_ms = clock_wall(&clock)};
    struct engine_backlog backlog = {.pending = 0};
    struct err err = {0};

    for (int i = 0; i < METRICS_QUEUES; i++) {
        buf_init(&l.families[i], QUEUES_TEXT_MAX);
        metrics_begin_queues(&l.families[i], (enum metrics_queue)i);
    }
    buf_clear(&p->store);
    if (engine_look(p->engine, &backlog, note_queue, &l, &err) == OK) {
        metrics_of_store(&p->store, &backlog, l.now_ms);
        for (int i = 0; i < METRICS_QUEUES; i++)
            (void)buf_append(&p->store, l.families[i].data, l.families[i].len);
    }
    for (int i = 0; i < METRICS_QUEUES; i++)
        buf_free(&l.families[i]);
}

static void on_look(uv_timer_t *timer)
{
    struct probe *p = timer->data;

    if (p->engine != NULL)
        look(p);
}

static void answer_metrics(struct probe *p, struct http_answer *a)
{
    struct engine_status s;
    size_t paused = 0;

    a->type = "text/plain; version=0.0.4; charset=utf-8";
    engine_status(p->engine, &s);
    while (engine_paused(p->engine, paused) != NULL)
        paused++;
    metrics_of_engine(&a->body, &s, paused, log_dropped(p->settings.log));
    metrics_of_process(&a->body, p->settings.store);
    (void)buf_append(&a->body, p->store.data, p->store.len);
}

/* Errors of handlers are not told: they may have words of a message. */
static void answer_ready(struct probe *p, struct http_answer *a)
{
    struct engine_status s;

    engine_status(p->engine, &s);
    if (s.outage_why[0] != '\0')
        buf_printf(&a->body, "%s: %s\n", s.state, s.outage_why);
    else if (strcmp(s.state, "running") != 0)
        buf_printf(&a->body, "%s\n", s.state);
    if (s.stopped_for[0] != '\0')
        buf_printf(&a->body, "nothing is consumed: %s\n", s.stopped_for);
    if (!s.broker.ready)
        buf_printf(&a->body, "broker %s: %s\n", s.broker.word,
                   s.broker.error[0] != '\0' ? s.broker.error : "not ready yet");
    a->status = a->body.len > 0 ? 503 : 200;
    if (a->body.len == 0)
        buf_text(&a->body, "ready\n");
}

static void answer_one(struct probe *p, const char *path, struct http_answer *a)
{
    if (strcmp(path, "/live") == 0) {
        buf_text(&a->body, "alive\n");
    } else if (p->engine == NULL) {
        a->status = 503;
        buf_text(&a->body, "starting: the store is made ready\n");
    } else if (strcmp(path, "/startup") == 0) {
        buf_text(&a->body, "started\n");
    } else if (strcmp(path, "/ready") == 0) {
        answer_ready(p, a);
    } else {
        answer_metrics(p, a);
    }
}

/* An http_answer_fn. */
static bool answer(void *arg, const char *path, struct http_answer *a)
{
    static const char *const paths[] = {"/live", "/startup", "/ready", "/metrics"};

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (strcmp(path, paths[i]) == 0) {
            answer_one(arg, path, a);
            return true;
        }
    }
    return false;
}

static void on_closed(uv_handle_t *handle)
{
    struct probe *p = handle->data;

    buf_free(&p->store);
    free(p);
}

int probe_start(struct probe **out, const struct probe_settings *s, struct err *err)
{
    struct probe *p = calloc(1, sizeof *p);
    int rc;

    *out = p;
    if (p == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    p->settings = *s;
    buf_init(&p->store, TEXT_MAX);
    (void)uv_timer_init(s->loop, &p->look); /* never fails */
    p->look.data = p;
    rc = http_server_start(&p->server, s->loop, s->address, answer, p, err);
    if (rc == OK)
        rc = uv_timer_start(&p->look, on_look, 0, LOOK_MS) == 0
                 ? OK
                 : err_set(err, ERR_FAILED, "no timer for the probe");
    if (rc == OK)
        log_event(s->log, LOG_INFO, "probe.listening",
                  LOG_FIELDS(log_text("address", s->address),
                             log_int("port", (int64_t)http_server_port(p->server))));
    else
        (void)err_prefix(err, "probe");
    return rc;
}

void probe_watch(struct probe *p, struct engine *engine)
{
    if (p != NULL)
        p->engine = engine;
}

void probe_stop(struct probe **out)
{
    struct probe *p = *out;

    *out = NULL;
    if (p == NULL)
        return;
    p->engine = NULL;
    http_server_stop(&p->server);
    uv_close((uv_handle_t *)&p->look, on_closed);
}
