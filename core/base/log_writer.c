/* log_writer - see log_writer.h. */
#include "base/log_writer.h"

#include "base/err.h"
#include "base/log_line.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 100, JOIN_S = 1 };

struct log_writer {
    int fd;
    log_missing_fn *fn;
    void *arg;
    pthread_t thread;
    pthread_mutex_t mutex; /* for all below */
    pthread_cond_t work;   /* lines wait, or it is to stop */
    pthread_cond_t idle;   /* all is written */
    struct buf waiting;    /* lines that the thread has not taken */
    bool writing;          /* lines that it has taken */
    bool stopping;
    int64_t missing; /* lines dropped that nobody was told of */
    int64_t dropped; /* all of them */
    /* The thread's own. */
    struct buf taken;
    struct buf note;
    atomic_bool hurry; /* what cannot be written at once is dropped */
};

static int64_t lines_of(const char *data, size_t len)
{
    int64_t lines = 0;

    for (size_t i = 0; i < len; i++)
        lines += data[i] == '\n';
    return lines;
}

/* A blocking write cannot be called back, so it is made only when there is room for it: poll says
 * so of a pipe with PIPE_BUF bytes left. */
static bool wait_for_room(struct log_writer *w)
{
    for (;;) {
        struct pollfd p = {.fd = w->fd, .events = POLLOUT};
        int n = poll(&p, 1, atomic_load(&w->hurry) ? 0 : POLL_MS);

        if (n > 0)
            return true;
        if (atomic_load(&w->hurry) || (n < 0 && errno != EINTR))
            return false;
    }
}

/* As many whole lines as fit into PIPE_BUF, which is how much goes out in one piece (POSIX,
 * write()); of a longer line the first part. */
static size_t piece(const char *data, size_t len)
{
    const char *end;

    if (len <= PIPE_BUF)
        return len;
    end = memrchr(data, '\n', PIPE_BUF);
    return end != NULL ? (size_t)(end - data) + 1 : PIPE_BUF;
}

/* Returns how many lines could not be written. */
static int64_t write_lines(struct log_writer *w, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = wait_for_room(w) ? write(w->fd, data, piece(data, len)) : -1;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN && !atomic_load(&w->hurry)) {
            const struct timespec rest = {0, 10 * 1000000}; /* room, but not for all of the piece */

            nanosleep(&rest, NULL);
            continue;
        }
        if (n <= 0)
            return lines_of(data, len);
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static void say_missing(struct log_writer *w, int64_t lines)
{
    w->fn(w->arg, lines, &w->note);
    if (write_lines(w, w->note.data, w->note.len) == 0)
        return;
    pthread_mutex_lock(&w->mutex);
    w->missing += lines;
    pthread_mutex_unlock(&w->mutex);
}

/* With the mutex held; gives it up while it writes. */
static void write_waiting(struct log_writer *w)
{
    const struct buf empty = w->taken;
    int64_t missing, lost;

    w->taken = w->waiting;
    w->waiting = empty;
    w->writing = true;
    missing = w->missing;
    w->missing = 0;
    pthread_mutex_unlock(&w->mutex);
    if (missing > 0)
        say_missing(w, missing);
    lost = write_lines(w, w->taken.data, w->taken.len);
    buf_clear(&w->taken);
    pthread_mutex_lock(&w->mutex);
    w->missing += lost;
    w->dropped += lost;
    w->writing = false;
}

static void *run(void *arg)
{
    struct log_writer *w = arg;

    pthread_mutex_lock(&w->mutex);
    for (;;) {
        while (w->waiting.len == 0 && !w->stopping)
            pthread_cond_wait(&w->work, &w->mutex);
        if (w->waiting.len == 0)
            break;
        write_waiting(w);
        if (w->waiting.len == 0)
            pthread_cond_broadcast(&w->idle);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

static int start_thread(struct log_writer *w)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static void release(struct log_writer *w)
{
    buf_free(&w->waiting);
    buf_free(&w->taken);
    buf_free(&w->note);
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->idle);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

struct log_writer *log_writer_start(int fd, log_missing_fn *fn, void *arg)
{
    struct log_writer *w = calloc(1, sizeof *w);

    if (w == NULL)
        return NULL;
    w->fd = fd;
    w->fn = fn;
    w->arg = arg;
    buf_init(&w->waiting, LOG_WRITER_MAX);
    buf_init(&w->taken, LOG_WRITER_MAX);
    buf_init(&w->note, LOG_LINE_MAX);
    /* None of these fails on Linux: they only fill structs. */
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->work, NULL);
    pthread_cond_init(&w->idle, NULL);
    if (start_thread(w) == 0)
        return w;
    release(w);
    return NULL;
}

void log_writer_put(struct log_writer *w, const char *lines, size_t len)
{
    pthread_mutex_lock(&w->mutex);
    if (buf_append(&w->waiting, lines, len) != OK) {
        int64_t lost = lines_of(lines, len);

        w->waiting.failed = false;
        w->missing += lost;
        w->dropped += lost;
    }
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->mutex);
}

static void wait_until_idle(struct log_writer *w, int64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while ((w->waiting.len > 0 || w->writing) &&
           pthread_cond_timedwait(&w->idle, &w->mutex, &until) == 0)
        ;
}

void log_writer_flush(struct log_writer *w, int64_t ms)
{
    pthread_mutex_lock(&w->mutex);
    wait_until_idle(w, ms);
    pthread_mutex_unlock(&w->mutex);
}

int64_t log_writer_dropped(struct log_writer *w)
{
    int64_t dropped;

    pthread_mutex_lock(&w->mutex);
    dropped = w->dropped;
    pthread_mutex_unlock(&w->mutex);
    return dropped;
}

void log_writer_stop(struct log_writer **w_in, int64_t ms)
{
    struct log_writer *w = *w_in;
    struct timespec until;

    if (w == NULL)
        return;
    *w_in = NULL;
    pthread_mutex_lock(&w->mutex);
    wait_until_idle(w, ms);
    w->stopping = true;
    atomic_store(&w->hurry, true);
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->mutex);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += JOIN_S;
    /* Somebody else may have filled the pipe after poll: the process ends all the same. */
    if (pthread_timedjoin_np(w->thread, NULL, &until) == 0)
        release(w);
}
