/* watchdog - see watchdog.h. */
#include "engine/watchdog.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    MORE_TIME_MS = 60000,       /* what is asked for at a time */
    MORE_TIME_EVERY_MS = 15000, /* a loaded machine may be late */
};

struct watchdog {
    pthread_t thread;
    pthread_mutex_t mutex; /* for `stopping` */
    pthread_cond_t wake;
    bool stopping;
    int64_t limit_ms;
    int64_t pause_ms;              /* between two looks */
    const struct notify *notify;   /* lent; NULL: nobody is told */
    int64_t asked_ms;              /* when more time was asked for; 0: not yet */
    atomic_bool preparing;         /* the store is made ready */
    atomic_int_least64_t since_ms; /* monotonic; 0: nobody is inside */
    _Atomic(const char *) what;
};

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* No malloc, no lock, no stdio buffer: the other thread may hold any of them. */
static _Noreturn void bite(const struct watchdog *w, int64_t ms)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT}; /* a full pipe would hold us */
    char line[256];
    int n = snprintf(line, sizeof line,
                     "herald: %s has been running for %lld ms and cannot be stopped; the process "
                     "ends, the message is tried alone at the next start\n",
                     atomic_load(&w->what), (long long)ms);

    if (n > 0 && poll(&room, 1, 0) == 1 && write(STDERR_FILENO, line, (size_t)n) < 0)
        _exit(134); /* nobody reads it: end all the same */
    abort();
}

/* What gets lost on its way is said again at the next look. */
static void tell(struct watchdog *w, int64_t now)
{
    char more[64];

    if (notify_watchdog_ms(w->notify) > 0)
        (void)notify_send(w->notify, "WATCHDOG=1");
    if (!atomic_load(&w->preparing) || (w->asked_ms != 0 && now - w->asked_ms < MORE_TIME_EVERY_MS))
        return;
    (void)snprintf(more, sizeof more, "EXTEND_TIMEOUT_USEC=%lld", MORE_TIME_MS * 1000LL);
    if (notify_send(w->notify, more))
        w->asked_ms = now;
}

static void look(struct watchdog *w)
{
    int64_t since = atomic_load(&w->since_ms);
    int64_t now = now_ms();

    if (since != 0 && now - since > w->limit_ms)
        bite(w, now - since);
    tell(w, now);
}

static void *run(void *arg)
{
    struct watchdog *w = arg;

    pthread_mutex_lock(&w->mutex);
    while (!w->stopping) {
        int64_t until = now_ms() + w->pause_ms;
        struct timespec t = {until / 1000, until % 1000 * 1000000};

        pthread_cond_timedwait(&w->wake, &w->mutex, &t);
        look(w);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

static void init_wake(struct watchdog *w)
{
    pthread_condattr_t attr;

    /* None of these fails on Linux: they only fill structs. */
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&w->mutex, NULL);
}

/* A quarter of what either allows, and often enough to ask for time. */
static int64_t pause_of(int64_t limit_ms, const struct notify *notify)
{
    int64_t pause = limit_ms / 4, told = notify_watchdog_ms(notify) / 4;

    if (notify != NULL && pause > MORE_TIME_EVERY_MS)
        pause = MORE_TIME_EVERY_MS;
    if (notify_watchdog_ms(notify) > 0 && pause > told)
        pause = told;
    return pause > 0 ? pause : 1;
}

int watchdog_start(struct watchdog **out, int64_t limit_ms, const struct notify *notify,
                   struct err *err)
{
    struct watchdog *w = calloc(1, sizeof *w);
    int rc;

    *out = NULL;
    if (w == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    w->limit_ms = limit_ms;
    w->pause_ms = pause_of(limit_ms, notify);
    w->notify = notify;
    init_wake(w);
    rc = pthread_create(&w->thread, NULL, run, w);
    if (rc != 0) {
        free(w);
        return err_set(err, ERR_FAILED, "no thread for the watchdog: %s", strerror(rc));
    }
    *out = w;
    return OK;
}

void watchdog_stop(struct watchdog **w)
{
    if (*w == NULL)
        return;
    pthread_mutex_lock(&(*w)->mutex);
    (*w)->stopping = true;
    pthread_cond_signal(&(*w)->wake);
    pthread_mutex_unlock(&(*w)->mutex);
    pthread_join((*w)->thread, NULL);
    pthread_cond_destroy(&(*w)->wake);
    pthread_mutex_destroy(&(*w)->mutex);
    free(*w);
    *w = NULL;
}

void watchdog_enter(struct watchdog *w, const char *what)
{
    if (w == NULL)
        return;
    atomic_store(&w->what, what);
    atomic_store(&w->since_ms, now_ms());
}

void watchdog_leave(struct watchdog *w)
{
    if (w != NULL)
        atomic_store(&w->since_ms, 0);
}

void watchdog_preparing(struct watchdog *w, bool preparing)
{
    if (w != NULL)
        atomic_store(&w->preparing, preparing);
}
