/* Commits of other programs are noticed soon, own ones not at all. */
#include "store.h"

#include "store/outbox.h"
#include "store/sqlite/db_int.h"
#include "store/sqlite/watch.h"

#include <stdlib.h>
#include <string.h>

struct seen {
    uv_loop_t loop;
    uv_timer_t timer; /* ends a run */
    struct watch *watch;
    int commits;         /* reported so far */
    bool stop_at_commit; /* the callback ends the watch */
};

static void on_commit(void *arg)
{
    struct seen *seen = arg;

    seen->commits++;
    if (seen->stop_at_commit)
        watch_stop(&seen->watch);
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
    assert_ok(s, watch_start(&seen->watch, s->db, &seen->loop, poll_ms, on_commit, seen, &s->err));
}

/* Nothing may be left in the loop. */
static void end(struct seen *seen)
{
    watch_stop(&seen->watch);
    watch_stop(&seen->watch); /* NULL is fine */
    uv_close((uv_handle_t *)&seen->timer, NULL);
    assert_int_equal(uv_run(&seen->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&seen->loop), 0);
}

static void a_foreign_commit_wakes_the_loop(void **state)
{
    struct store *s = *state;
    struct seen seen;

    begin(s, &seen, 60000);
    (void)db_foreign_commits(s->db);
    run(&seen, 50);
    assert_int_equal(seen.commits, 0);
    for (int i = 1; i <= 3; i++) {
        other_exec(s, "insert into herald_outbox(type) values ('t')");
        run(&seen, 5000);
        assert_int_equal(seen.commits, i);
    }
    end(&seen);
}

static void own_commits_do_not(void **state)
{
    const struct message m = {.type = slice_of("mine")};
    struct store *s = *state;
    struct seen seen;

    begin(s, &seen, 5);
    (void)db_foreign_commits(s->db);
    for (int i = 0; i < 5; i++) {
        assert_ok(s, db_begin(s->db, &s->err));
        assert_ok(s, outbox_add(s->db, &m, 0, NULL, &s->err));
        assert_ok(s, db_commit(s->db, &s->err));
        s->now_ms += 60000;
        db_checkpoint(s->db, true);
        run(&seen, 20);
    }
    assert_int_equal(seen.commits, 0);
    end(&seen);
}

static void the_poll_finds_what_no_hint_told(void **state)
{
    struct store *s = *state;
    struct seen seen;

    begin(s, &seen, 20);
    (void)db_foreign_commits(s->db);
    free(s->db->wal_path); /* as if inotify were not there */
    s->db->wal_path = strdup("/nowhere/at/all");
    watch_stop(&seen.watch);
    assert_ok(s, watch_start(&seen.watch, s->db, &seen.loop, 20, on_commit, &seen, &s->err));
    assert_contains(store_logged(s), "polling instead");
    other_exec(s, "insert into herald_outbox(type) values ('t')");
    run(&seen, 5000);
    assert_int_equal(seen.commits, 1);
    end(&seen);
}

static void the_callback_may_end_the_watch(void **state)
{
    struct store *s = *state;
    struct seen seen;

    begin(s, &seen, 60000);
    seen.stop_at_commit = true;
    other_exec(s, "insert into herald_outbox(type) values ('t')");
    run(&seen, 5000);
    assert_int_equal(seen.commits, 1);
    assert_null(seen.watch);
    other_exec(s, "insert into herald_outbox(type) values ('t')");
    run(&seen, 50);
    assert_int_equal(seen.commits, 1);
    end(&seen);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_foreign_commit_wakes_the_loop),
        TEST(own_commits_do_not),
        TEST(the_poll_finds_what_no_hint_told),
        TEST(the_callback_may_end_the_watch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
