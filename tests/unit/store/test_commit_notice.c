/* Commits of other programs are noticed soon, own ones not at all. */
#include "store.h"

#include "store/outbox.h"
#include "store/sqlite/commit_notice.h"
#include "store/sqlite/db_int.h"

#include <stdlib.h>
#include <string.h>

struct seen {
    uv_loop_t loop;
    uv_timer_t timer; /* ends a run */
    struct commit_notice *watch;
    int commits;         /* reported so far */
    bool stop_at_commit; /* the callback ends the watch */
};

static void on_commit(void *arg)
{
    struct seen *seen = arg;

    seen->commits++;
    if (seen->stop_at_commit)
        commit_notice_stop(&seen->watch);
    uv_stop(&seen->loop);
}

static void on_timer(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* Runs the loop until a commit is reported or the time is over. */
static void run(struct seen *seen, uint64_t ms)
{
    assert_int_equal(uv_timer_start(&seen->timer, on_timer, ms, 0), 0);
    (void)uv_run(&seen->loop, UV_RUN_DEFAULT);
    (void)uv_timer_stop(&seen->timer);
}

static void begin(struct store *s, struct seen *seen, int64_t poll_ms)
{
    *seen = (struct seen){.commits = 0};
    assert_int_equal(uv_loop_init(&seen->loop), 0);
    assert_int_equal(uv_timer_init(&seen->loop, &seen->timer), 0);
    store_open(s);
    assert_ok(s, commit_notice_start(&seen->watch, s->db, &seen->loop, poll_ms, on_commit, seen,
                                     &s->err));
}

/* Nothing may be left in the loop. */
static void end(struct seen *seen)
{
    commit_notice_stop(&seen->watch);
    commit_notice_stop(&seen->watch); /* NULL is fine */
    uv_close((uv_handle_t *)&seen->timer, NULL);
    assert_int_equal(uv_run(&seen->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&seen->loop), 0);
}

TEST_WITH(store, a_foreign_commit_wakes_the_loop)
{
    struct seen seen;

    begin(f, &seen, 60000);
    (void)db_foreign_commits(f->db);
    run(&seen, 50);
    assert_int_equal(seen.commits, 0);
    for (int i = 1; i <= 3; i++) {
        other_exec(f, "insert into herald_outbox(type) values ('t')");
        run(&seen, 5000);
        assert_int_equal(seen.commits, i);
    }
    end(&seen);
}

TEST_WITH(store, own_commits_do_not)
{
    const struct message m = {.type = slice_of("mine")};
    struct seen seen;

    begin(f, &seen, 5);
    (void)db_foreign_commits(f->db);
    for (int i = 0; i < 5; i++) {
        assert_ok(f, db_begin(f->db, &f->err));
        assert_ok(f, outbox_add(f->db, &m, 0, NULL, &f->err));
        assert_ok(f, db_commit(f->db, &f->err));
        f->now_ms += 60000;
        db_checkpoint(f->db, true);
        run(&seen, 20);
    }
    assert_int_equal(seen.commits, 0);
    end(&seen);
}

TEST_WITH(store, the_poll_finds_what_no_hint_told)
{
    struct seen seen;

    begin(f, &seen, 20);
    (void)db_foreign_commits(f->db);
    free(f->db->wal_path); /* as if inotify were not there */
    f->db->wal_path = strdup("/nowhere/at/all");
    commit_notice_stop(&seen.watch);
    assert_ok(f,
              commit_notice_start(&seen.watch, f->db, &seen.loop, 20, on_commit, &seen, &f->err));
    assert_contains(store_logged(f), "polling instead");
    other_exec(f, "insert into herald_outbox(type) values ('t')");
    run(&seen, 5000);
    assert_int_equal(seen.commits, 1);
    end(&seen);
}

TEST_WITH(store, the_callback_may_end_the_watch)
{
    struct seen seen;

    begin(f, &seen, 60000);
    seen.stop_at_commit = true;
    other_exec(f, "insert into herald_outbox(type) values ('t')");
    run(&seen, 5000);
    assert_int_equal(seen.commits, 1);
    assert_null(seen.watch);
    other_exec(f, "insert into herald_outbox(type) values ('t')");
    run(&seen, 50);
    assert_int_equal(seen.commits, 1);
    end(&seen);
}
