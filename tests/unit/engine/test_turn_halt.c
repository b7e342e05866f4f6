/* What an operator has paused: what a turn makes of it (store/halt.h). */
#include "scene.h"

#include "check.h"
#include "store/halt.h"

#include <string.h>

#define HEAD "local herald = require 'herald'\n"
#define RULES                                                                                      \
    HEAD "herald.subscribe { queue = 'q', from = herald.fanout 'x' }\n"                            \
         "herald.on('*', '*', function(msg, tx) tx:exec('insert into hits values (?)', msg.id) "   \
         "end)\n"
#define HITS "create table hits (id text unique);"
#define HANDLED "select count(*) from hits"

static const struct slice publishing = {NULL, 0};

static void begin(struct scene *s)
{
    scene_setup(s);
    scene_begin(s, RULES, HITS);
    scene_run(s);
}

static void halt(struct scene *s, struct slice queue, bool on)
{
    struct err err = {0};
    bool changed;

    if (on)
        assert_int_equal(halt_begin(s->db, queue, s->now_ms, &changed, &err), OK);
    else
        assert_int_equal(halt_end(s->db, queue, &changed, &err), OK);
    assert_true(changed);
    turn_look_at_halts(s->turn);
}

static int64_t next_due(struct scene *s)
{
    struct err err = {0};
    int64_t due_at;

    assert_int_equal(turn_next_due(s->turn, &due_at, &err), OK);
    return due_at;
}

TEST_FROM(scene, begin, what_was_lent_is_not_handled_and_goes_back)
{
    halt(f, slice_of("q"), true);
    scene_deliver(f, "m1", "note", "{}");
    scene_run(f);
    assert_string_equal(f->paces, "q:stop ");
    assert_sql(f, HANDLED, "0");
    halt(f, slice_of("q"), false);
    scene_run(f);
    assert_string_equal(f->paces, "q:stop q:flow ");
    assert_sql(f, HANDLED, "1");
}

/* Other rules may bring the queue back as a new one, so the broker is told again; and a resume
 * before it was told must not be lost. */
TEST_FROM(scene, begin, rules_that_come_beside_a_resume_leave_nothing_stopped)
{
    halt(f, slice_of("q"), true);
    scene_run(f);
    scene_swap(f, scene_load(f, RULES "-- other\n"), 2);
    scene_run(f);
    assert_string_equal(f->paces, "q:stop q:stop ");
    scene_swap(f, scene_load(f, RULES "-- others\n"), 3);
    halt(f, slice_of("q"), false);
    scene_deliver(f, "m1", "note", "{}");
    scene_run(f);
    assert_string_equal(f->paces, "q:stop q:stop q:flow ");
    assert_sql(f, HANDLED, "1");
}

TEST_FROM(scene, begin, a_retry_that_is_due_waits_and_wakes_nobody)
{
    scene_sql(f, "insert into herald_retry(due_at, queue, fingerprint, attempts, first_at, error, "
                 "message_id, type, timestamp_s) values (5, 'q', 0, 1, 1, 'e', 'm1', 'note', 0)");
    halt(f, slice_of("q"), true);
    scene_run(f);
    assert_sql(f, HANDLED, "0");
    assert_sql(f, "select attempts || ' ' || due_at from herald_retry", "1 5");
    assert_true(next_due(f) == INT64_MAX);
    halt(f, slice_of("other"), true);
    halt(f, slice_of("q"), false);
    scene_run(f);
    assert_sql(f, HANDLED, "1");
}

TEST_FROM(scene, begin, paused_publishing_is_so_after_a_restart)
{
    halt(f, publishing, true);
    scene_run(f);
    assert_true(turn_is_halted(f->turn));
    scene_restart(f);
    scene_run(f);
    assert_true(turn_is_halted(f->turn));
    halt(f, publishing, false);
    scene_run(f);
    assert_false(turn_is_halted(f->turn));
}
