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

struct watchdog {
    pthread_t thread;
    pthread_mutex_t mutex; /* for `stopping` */
    pthread_cond_t wake;
    bool stopping;
    int64_t limit_ms;
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

static void look(const struct watchdog *w)
{
    int64_t since = atomic_load(&w->since_ms);
    int64_t now = now_ms();

    if (since != 0 && now - since > w->limit_ms)
        bite(w, now - since);
}

static void *run(void *arg)
{
    struct watchdog *w = arg;
    int64_t pause = w->limit_ms / 4 > 0 ? w->limit_ms / 4 : 1;

    pthread_mutex_lock(&w->mutex);
    while (!w->stopping) {
        int64_t until = now_ms() + pause;
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

int watchdog_start(struct watchdog **out, int64_t limit_ms, struct err *err)
{
    struct watchdog *w = calloc(1, sizeof *w);
    int rc;

    *out = NULL;
    if (w == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    w->limit_ms = limit_ms;
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
