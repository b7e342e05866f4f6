/* commit_notice - see commit_notice.h
 *
 * Writes to the WAL wake the loop; one look per round of the loop answers all of them.
 * A producer that syncs its commit writes first and commits some milliseconds later,
 * without touching the file again, so a look in vain is repeated a few times. Herald's
 * own commits wake it, too: those looks are in vain and cost microseconds. */
#include "store/sqlite/commit_notice.h"

#include "store/sqlite/db_int.h"

#include <stdlib.h>

/* 1, 4, 16, 64 ms after the last write to the WAL */
enum { AGAIN_FIRST_MS = 1, AGAIN_FACTOR = 4, AGAIN_LAST_MS = 64 };

struct commit_notice {
    struct db *db;        /* lent */
    commit_notice_fn *fn; /* the caller's */
    void *arg;            /* for fn */
    uv_fs_event_t wal;    /* the hint */
    uv_check_t round;     /* looks once per round of the loop that had a hint */
    uv_timer_t poll;      /* the fallback */
    uv_timer_t again;     /* looks again after a look in vain */
    uint64_t again_ms;    /* how long it waits */
    bool hinted;          /* the WAL was written in this round */
    bool watching;        /* `wal` is started */
    int open;             /* handles not closed yet */
};

static void look(struct commit_notice *w)
{
    if (db_foreign_commits(w->db))
        w->fn(w->arg); /* may stop the watch: its memory lives until the loop's next round */
}

static void on_wal(uv_fs_event_t *handle, const char *name, int events, int status)
{
    struct commit_notice *w = handle->data;

    (void)name;
    w->hinted = true;
    /* The file went away or inotify overflowed; the poll starts anew. */
    if (status != 0 || (events & UV_RENAME) != 0) {
        (void)uv_fs_event_stop(handle); /* always 0 */
        w->watching = false;
    }
}

/* No WAL yet, or no inotify left on this machine: the poll tries again and looks by
 * itself meanwhile. */
static void watch_wal(struct commit_notice *w)
{
    if (!w->watching)
        w->watching = uv_fs_event_start(&w->wal, on_wal, w->db->wal_path, 0) == 0;
}

static void on_again(uv_timer_t *timer)
{
    struct commit_notice *w = timer->data;

    if (w->again_ms <= AGAIN_LAST_MS)
        (void)uv_timer_start(timer, on_again, w->again_ms, 0); /* fails while closing only */
    w->again_ms *= AGAIN_FACTOR;
    look(w);
}

static void on_round(uv_check_t *check)
{
    struct commit_notice *w = check->data;

    if (!w->hinted)
        return;
    w->hinted = false;
    w->again_ms = AGAIN_FIRST_MS * AGAIN_FACTOR;
    (void)uv_timer_start(&w->again, on_again, AGAIN_FIRST_MS, 0); /* fails while closing only */
    look(w);
}

static void on_poll(uv_timer_t *timer)
{
    struct commit_notice *w = timer->data;

    watch_wal(w);
    look(w);
}

static void on_closed(uv_handle_t *handle)
{
    struct commit_notice *w = handle->data;

    if (--w->open == 0)
        free(w);
}

static void close_all(struct commit_notice *w)
{
    uv_handle_t *handles[] = {(uv_handle_t *)&w->wal, (uv_handle_t *)&w->round,
                              (uv_handle_t *)&w->poll, (uv_handle_t *)&w->again};

    for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++)
        uv_close(handles[i], on_closed);
}

/* These fail for wrong arguments only; each handle must be known to the loop before
 * close_all may close it. */
static void init_all(struct commit_notice *w, uv_loop_t *loop)
{
    REQUIRE(uv_fs_event_init(loop, &w->wal) == 0);
    REQUIRE(uv_check_init(loop, &w->round) == 0);
    REQUIRE(uv_timer_init(loop, &w->poll) == 0);
    REQUIRE(uv_timer_init(loop, &w->again) == 0);
    w->wal.data = w->round.data = w->poll.data = w->again.data = w;
    w->open = 4;
}

int commit_notice_start(struct commit_notice **out, struct db *db, uv_loop_t *loop, int64_t poll_ms,
                        commit_notice_fn *fn, void *arg, struct err *err)
{
    struct commit_notice *w = calloc(1, sizeof *w);
    uint64_t poll = poll_ms > 0 ? (uint64_t)poll_ms : 1;

    *out = NULL;
    if (w == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    w->db = db;
    w->fn = fn;
    w->arg = arg;
    init_all(w, loop);
    watch_wal(w);
    if (!w->watching)
        log_event(db->log, LOG_WARN, "store.watch",
                  LOG_FIELDS(log_text("note", "the WAL cannot be watched; polling instead"),
                             log_int("poll_ms", poll_ms)));
    REQUIRE(uv_check_start(&w->round, on_round) == 0);
    REQUIRE(uv_timer_start(&w->poll, on_poll, poll, poll) == 0);
    *out = w;
    return OK;
}

void commit_notice_stop(struct commit_notice **w)
{
    if (*w == NULL)
        return;
    close_all(*w);
    *w = NULL;
}
