/* Commits of other programs are noticed soon, own ones not at all. */
#include "store.h"

#include "store/outbox.h"
#include "store/sqlite/commit_notice.h"
#include "store/sqlite/db_int.h"

#include <stdlib.h>
#include <string.h>

static struct {
    uv_loop_t loop;
    uv_timer_t timer; /* ends a run */
    struct commit_notice *watch;
    int commits;         /* reported so far */
    bool stop_at_commit; /* the callback ends the watch */
} seen;

static void on_commit(void *arg)
{
    (void)arg;
    seen.commits++;
    if (seen.stop_at_commit)
        commit_notice_stop(&seen.watch);
    uv_stop(&seen.loop);
}

static void on_timer(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* Runs the loop until a commit is reported or the time is over. */
static void run(uint64_t ms)
{
    assert_int_equal(uv_timer_start(&seen.timer, on_timer, ms, 0), 0);
    (void)uv_run(&seen.loop, UV_RUN_DEFAULT);
    (void)uv_timer_stop(&seen.timer);
}

static void begin(struct store *s)
{
    memset(&seen, 0, sizeof seen);
    assert_int_equal(uv_loop_init(&seen.loop), 0);
    assert_int_equal(uv_timer_init(&seen.loop, &seen.timer), 0);
    store_setup_open(s);
}

static void watch(struct store *s, int64_t poll_ms)
{
    assert_ok(
        s, commit_notice_start(&seen.watch, s->db, &seen.loop, poll_ms, on_commit, NULL, &s->err));
}

/* Nothing may be left in the loop. */
static void end(struct store *s)
{
    commit_notice_stop(&seen.watch);
    commit_notice_stop(&seen.watch); /* NULL is fine */
    uv_close((uv_handle_t *)&seen.timer, NULL);
    assert_int_equal(uv_run(&seen.loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&seen.loop), 0);
    store_teardown(s);
}

TEST_ON(struct store, begin, end, a_foreign_commit_wakes_the_loop)
{
    watch(f, 60000);
    (void)db_foreign_commits(f->db);
    run(50);
    assert_int_equal(seen.commits, 0);
    for (int i = 1; i <= 3; i++) {
        other_exec(f, "insert into herald_outbox(type) values ('t')");
        run(5000);
        assert_int_equal(seen.commits, i);
    }
}

TEST_ON(struct store, begin, end, own_commits_do_not)
{
    const struct message m = {.type = slice_of("mine")};
    watch(f, 5);
    (void)db_foreign_commits(f->db);
    for (int i = 0; i < 5; i++) {
        assert_ok(f, db_begin(f->db, &f->err));
        assert_ok(f, outbox_add(f->db, &m, 0, NULL, &f->err));
        assert_ok(f, db_commit(f->db, &f->err));
        f->now_ms += 60000;
        db_checkpoint(f->db, true);
        run(20);
    }
    assert_int_equal(seen.commits, 0);
}

TEST_ON(struct store, begin, end, the_poll_finds_what_no_hint_told)
{
    watch(f, 20);
    (void)db_foreign_commits(f->db);
    free(f->db->wal_path); /* as if inotify were not there */
    f->db->wal_path = strdup("/nowhere/at/all");
    commit_notice_stop(&seen.watch);
    watch(f, 20);
    assert_contains(store_logged(f), "polling instead");
    other_exec(f, "insert into herald_outbox(type) values ('t')");
    run(5000);
    assert_int_equal(seen.commits, 1);
}

TEST_ON(struct store, begin, end, the_callback_may_end_the_watch)
{
    watch(f, 60000);
    seen.stop_at_commit = true;
    other_exec(f, "insert into herald_outbox(type) values ('t')");
    run(5000);
    assert_int_equal(seen.commits, 1);
    assert_null(seen.watch);
    other_exec(f, "insert into herald_outbox(type) values ('t')");
    run(50);
    assert_int_equal(seen.commits, 1);
}
