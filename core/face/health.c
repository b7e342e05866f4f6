/* health - see health.h. */
#include "face/health.h"

#include "face/metrics.h"

#include <stdlib.h>
#include <string.h>

enum { LOOK_MS = 5000, TEXT_MAX = 2 * 1024 * 1024, QUEUES_TEXT_MAX = 1024 * 1024 };

struct health {
    struct health_settings settings;
    struct engine *engine; /* lent; NULL: not yet, or no more */
    uv_timer_t look;
    struct buf store; /* metrics of the last look */
};

/* Metrics of queues, family by family, while the store is read once. */
struct looking {
    struct health *health;
    int64_t now_ms;
    struct buf families[METRICS_QUEUES];
};

/* A waiting_queue_fn. Only queues that rules name: the store may remember others. */
static void note_queue(void *arg, const struct waiting_queue *q)
{
    struct looking *l = arg;

    if (engine_subscribes(l->health->engine, q->queue))
        for (int i = 0; i < METRICS_QUEUES; i++)
            metrics_of_queue(&l->families[i], (enum metrics_queue)i, q, l->now_ms);
}

/* What cannot be read is missing until it can be: the log has the reason by then. */
static void look(struct health *h)
{
    struct clock clock = clock_real();
    struct looking l = {.health = h, .now_ms = clock_wall(&clock)};
    struct engine_backlog backlog = {.pending = 0};
    struct err err = {0};

    for (int i = 0; i < METRICS_QUEUES; i++) {
        buf_init(&l.families[i], QUEUES_TEXT_MAX);
        metrics_begin_queues(&l.families[i], (enum metrics_queue)i);
    }
    buf_clear(&h->store);
    if (engine_look(h->engine, &backlog, note_queue, &l, &err) == OK) {
        metrics_of_store(&h->store, &backlog, l.now_ms);
        for (int i = 0; i < METRICS_QUEUES; i++)
            (void)buf_append(&h->store, l.families[i].data, l.families[i].len);
    }
    for (int i = 0; i < METRICS_QUEUES; i++)
        buf_free(&l.families[i]);
}

static void on_look(uv_timer_t *timer)
{
    struct health *h = timer->data;

    if (h->engine != NULL)
        look(h);
}

static void answer_metrics(struct health *h, struct http_answer *a)
{
    struct engine_status s;
    size_t paused = 0;

    a->type = "text/plain; version=0.0.4; charset=utf-8";
    engine_status(h->engine, &s);
    while (engine_paused(h->engine, paused) != NULL)
        paused++;
    metrics_of_engine(&a->body, &s, paused, log_dropped(h->settings.log));
    metrics_of_process(&a->body, h->settings.store);
    (void)buf_append(&a->body, h->store.data, h->store.len);
}

/* Errors of handlers are not told: they may have words of a message. */
static void answer_ready(struct health *h, struct http_answer *a)
{
    struct engine_status s;

    engine_status(h->engine, &s);
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

static void write_answer(struct health *h, const char *path, struct http_answer *a)
{
    if (strcmp(path, "/live") == 0) {
        buf_text(&a->body, "alive\n");
    } else if (h->engine == NULL) {
        a->status = 503;
        buf_text(&a->body, "starting: the store is made ready\n");
    } else if (strcmp(path, "/startup") == 0) {
        buf_text(&a->body, "started\n");
    } else if (strcmp(path, "/ready") == 0) {
        answer_ready(h, a);
    } else {
        answer_metrics(h, a);
    }
}

bool health_answers(const char *path)
{
    static const char *const paths[] = {"/live", "/startup", "/ready", "/metrics"};

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (strcmp(path, paths[i]) == 0)
            return true;
    return false;
}

void health_answer(struct health *h, struct http_request *r)
{
    struct http_answer a;

    http_answer_init(&a);
    write_answer(h, r->path, &a);
    http_request_answer(r, &a);
}

static void on_closed(uv_handle_t *handle)
{
    struct health *h = handle->data;

    buf_free(&h->store);
    free(h);
}

int health_new(struct health **out, const struct health_settings *s, struct err *err)
{
    struct health *h = calloc(1, sizeof *h);

    *out = h;
    if (h == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    h->settings = *s;
    buf_init(&h->store, TEXT_MAX);
    (void)uv_timer_init(s->loop, &h->look); /* neither fails */
    h->look.data = h;
    (void)uv_timer_start(&h->look, on_look, 0, LOOK_MS);
    return OK;
}

void health_watch(struct health *h, struct engine *engine)
{
    if (h != NULL)
        h->engine = engine;
}

void health_stop(struct health **out)
{
    struct health *h = *out;

    *out = NULL;
    if (h == NULL)
        return;
    h->engine = NULL;
    uv_close((uv_handle_t *)&h->look, on_closed);
}
