/* span_export - see span_export.h. */
#include "base/span_export.h"

#include "base/buf.h"
#include "base/span.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    LINGER_MS = 200, /* so that many turns are one request */
    PAUSE_MS = 1000, /* after the first try in vain; it doubles */
    JOIN_S = 1,
    REQUEST_MAX = SPAN_EXPORT_MAX + 4096,
};

struct span_export {
    struct span_sink sink;
    const char *service;
    pthread_t thread;
    pthread_mutex_t mutex; /* for all below */
    pthread_cond_t work;   /* spans wait, or it is to stop */
    pthread_cond_t idle;   /* all is sent */
    struct buf waiting;    /* spans that the thread has not taken */
    int64_t n_waiting;
    bool sending; /* spans that it has taken */
    bool stopping;
    int64_t sent;
    int64_t dropped;
    bool failing;     /* the last try was in vain */
    struct err error; /* why */
    atomic_bool hurry;
    /* The thread's own. */
    struct buf taken;
    struct buf request;
    /* The teller's own. */
    bool told_failing;
};

static struct timespec in(int64_t ms)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

/* With the mutex held; a stop ends it. */
static void rest(struct span_export *e, int64_t ms)
{
    const struct timespec until = in(ms);

    while (!e->stopping && pthread_cond_timedwait(&e->work, &e->mutex, &until) == 0)
        ;
}

static void note_outcome(struct span_export *e, int64_t n, int rc, const struct err *err)
{
    e->failing = rc != OK;
    if (rc == OK)
        e->sent += n;
    else
        e->error = *err;
}

/* With the mutex held; gives it up while it sends. Once it is to stop, one try must do. */
static void send_request(struct span_export *e, int64_t n)
{
    int64_t pause = PAUSE_MS;
    int rc = ERR_IO;

    for (int tries = 0; tries < SPAN_TRIES && rc != OK && rc != ERR_INPUT; tries++) {
        struct err err = {0};

        if (tries > 0) {
            rest(e, pause);
            pause *= 2;
        }
        if (tries > 0 && e->stopping)
            break;
        pthread_mutex_unlock(&e->mutex);
        rc = e->sink.send(e->sink.arg, e->request.data, e->request.len, &e->hurry, &err);
        pthread_mutex_lock(&e->mutex);
        note_outcome(e, n, rc, &err);
    }
    if (rc != OK)
        e->dropped += n;
}

static void send_waiting(struct span_export *e)
{
    const struct buf empty = e->taken;
    int64_t n = e->n_waiting;

    e->taken = e->waiting;
    e->waiting = empty;
    e->n_waiting = 0;
    e->sending = true;
    buf_clear(&e->request);
    span_open_request(&e->request, e->service);
    buf_append(&e->request, e->taken.data, e->taken.len);
    span_close_request(&e->request);
    buf_clear(&e->taken);
    if (e->request.failed)
        e->dropped += n;
    else
        send_request(e, n);
    e->sending = false;
}

static void *run(void *arg)
{
    struct span_export *e = arg;

    pthread_mutex_lock(&e->mutex);
    for (;;) {
        while (e->waiting.len == 0 && !e->stopping)
            pthread_cond_wait(&e->work, &e->mutex);
        if (e->waiting.len == 0)
            break;
        rest(e, LINGER_MS);
        send_waiting(e);
        if (e->waiting.len == 0)
            pthread_cond_broadcast(&e->idle);
    }
    pthread_mutex_unlock(&e->mutex);
    return NULL;
}

static int start_thread(struct span_export *e)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&e->thread, NULL, run, e);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static void release(struct span_export *e)
{
    e->sink.close(e->sink.arg);
    buf_free(&e->waiting);
    buf_free(&e->taken);
    buf_free(&e->request);
    pthread_cond_destroy(&e->work);
    pthread_cond_destroy(&e->idle);
    pthread_mutex_destroy(&e->mutex);
    free(e);
}

struct span_export *span_export_start(const struct span_sink *sink, const char *service)
{
    struct span_export *e = calloc(1, sizeof *e);

    if (e == NULL) {
        sink->close(sink->arg);
        return NULL;
    }
    e->sink = *sink;
    e->service = service;
    buf_init(&e->waiting, SPAN_EXPORT_MAX);
    buf_init(&e->taken, SPAN_EXPORT_MAX);
    buf_init(&e->request, REQUEST_MAX);
    /* None of these fails on Linux: they only fill structs. */
    pthread_mutex_init(&e->mutex, NULL);
    pthread_cond_init(&e->work, NULL);
    pthread_cond_init(&e->idle, NULL);
    if (start_thread(e) == 0)
        return e;
    release(e);
    return NULL;
}

/* With the mutex held. */
static bool take(struct span_export *e, const char *spans, size_t len)
{
    size_t before = e->waiting.len;

    if (before > 0)
        buf_text(&e->waiting, ",");
    buf_append(&e->waiting, spans, len);
    if (!e->waiting.failed)
        return true;
    e->waiting.failed = false;
    e->waiting.len = before;
    return false;
}

void span_export_put(struct span_export *e, const char *spans, size_t len, int64_t n)
{
    bool first;

    pthread_mutex_lock(&e->mutex);
    first = e->waiting.len == 0;
    if (take(e, spans, len))
        e->n_waiting += n;
    else
        e->dropped += n;
    if (first) /* else it knows, or rests */
        pthread_cond_signal(&e->work);
    pthread_mutex_unlock(&e->mutex);
}

void span_export_drop(struct span_export *e, int64_t n)
{
    pthread_mutex_lock(&e->mutex);
    e->dropped += n;
    pthread_mutex_unlock(&e->mutex);
}

static int64_t read_number(struct span_export *e, const int64_t *number)
{
    int64_t value;

    pthread_mutex_lock(&e->mutex);
    value = *number;
    pthread_mutex_unlock(&e->mutex);
    return value;
}

int64_t span_export_sent(struct span_export *e)
{
    return e != NULL ? read_number(e, &e->sent) : 0;
}

int64_t span_export_dropped(struct span_export *e)
{
    return e != NULL ? read_number(e, &e->dropped) : 0;
}

void span_export_tell(struct span_export *e, struct log *log)
{
    struct err error;
    int64_t dropped;
    bool failing;

    if (e == NULL)
        return;
    pthread_mutex_lock(&e->mutex);
    failing = e->failing;
    error = e->error;
    dropped = e->dropped;
    pthread_mutex_unlock(&e->mutex);
    if (failing == e->told_failing)
        return;
    e->told_failing = failing;
    if (failing)
        log_event(log, LOG_WARN, "spans.failing",
                  LOG_FIELDS(log_text("reason", error.text),
                             log_text("what_now", "messages go on; spans wait for a while and are "
                                                  "dropped then")));
    else
        log_event(log, LOG_INFO, "spans.again", LOG_FIELDS(log_int("dropped", dropped)));
}

void span_export_stop(struct span_export **e_in, int64_t ms)
{
    struct span_export *e = *e_in;
    struct timespec until = in(ms);

    if (e == NULL)
        return;
    *e_in = NULL;
    pthread_mutex_lock(&e->mutex);
    e->stopping = true;
    pthread_cond_signal(&e->work);
    while ((e->waiting.len > 0 || e->sending) &&
           pthread_cond_timedwait(&e->idle, &e->mutex, &until) == 0)
        ;
    atomic_store(&e->hurry, true);
    pthread_mutex_unlock(&e->mutex);
    until = in(JOIN_S * 1000);
    /* A resolver or a disk may hold it: the process ends all the same. */
    if (pthread_timedjoin_np(e->thread, NULL, &until) == 0)
        release(e);
}
