/* Whatever has work gets its part of the turns, whatever the others do. Handlers last a time:
 * each herald.now() of theirs moves the scene's clock by 20 ms, a turn's age is 40. */
#include "scene.h"

#include "check.h"

#include <stdio.h>
#include <string.h>

enum { SLOW_MS = 20, AGE_MS = 40 };

#define RULES                                                                                      \
    "local herald = require 'herald'\n"                                                            \
    "herald.subscribe { queue = 'q', from = herald.fanout 'x',\n"                                  \
    "  retry = { attempts = 1000, delay = '1s', factor = 1, jitter = 0 } }\n"                      \
    "herald.subscribe { queue = 'r', from = herald.fanout 'x' }\n"                                 \
    "herald.route { type = 'out', to = herald.fanout 'y' }\n"                                      \
    "herald.on('*', '*', function(msg, tx)\n"                                                      \
    "  if msg.type ~= 'quick' then herald.now() end\n"                                             \
    "  tx:exec('insert into hits(id) values (?)', msg.id)\n"                                       \
    "  if msg.type == 'poll' then herald.retry('1s', 'not yet') end\n"                             \
    "  if msg.type == 'very slow' then for _ = 1, 10 do herald.now() end end\n"                    \
    "end)\n"

static void begin(struct scene *s)
{
    scene_setup(s);
    scene_begin(s, RULES, "create table hits (n integer primary key, id text);");
    s->age_ms = AGE_MS;
    scene_restart(s);
    s->now_takes_ms = SLOW_MS;
}

static void deliver_many(struct scene *s, const char *queue, const char *type, int n)
{
    char id[32];

    for (int i = 0; i < n; i++) {
        snprintf(id, sizeof id, "%s%d", queue, i);
        scene_deliver_to(s, queue, id, type);
    }
}

static void turns(struct scene *s, int n)
{
    struct err err = {0};

    for (int i = 0; i < n; i++)
        if (scene_turn(s, &err) == TURN_OUTAGE)
            fail_msg("turn: %s", err.text);
}

static void add_rows(struct scene *s, int n)
{
    char sql[200];

    snprintf(sql, sizeof sql,
             "with recursive n(i) as (select 1 union all select i + 1 from n where i < %d) "
             "insert into herald_outbox(type) select 'out' from n",
             n);
    (void)scene_sql(s, sql);
}

TEST_FROM(scene, begin, fresh_rows_go_out_beside_deliveries_that_use_up_every_turn)
{
    deliver_many(f, "q", "slow", 40);
    turns(f, 2);
    add_rows(f, 3);
    turns(f, 2);
    assert_true(scene_acked(f) < 40);
    assert_string_equal(f->published, "1>y 2>y 3>y ");
}

TEST_FROM(scene, begin, due_rows_go_out_beside_deliveries_that_use_up_every_turn)
{
    add_rows(f, 2);
    turns(f, 1);
    scene_answer(f, 1, PUBLISH_NACKED, NULL);
    scene_answer(f, 2, PUBLISH_NACKED, NULL);
    turns(f, 1);
    deliver_many(f, "q", "slow", 40);
    f->published[0] = '\0';
    f->now_ms += 60000;
    turns(f, 2);
    assert_true(scene_acked(f) < 40);
    assert_non_null(strstr(f->published, "1>y "));
    assert_non_null(strstr(f->published, "2>y "));
}

TEST_FROM(scene, begin, fresh_rows_go_out_beside_a_crowd_of_due_ones)
{
    add_rows(f, 40);
    turns(f, 4);
    for (int64_t row = 1; row <= 40; row++)
        scene_answer(f, row, PUBLISH_NACKED, NULL);
    turns(f, 1);
    f->now_ms += 60000;
    add_rows(f, 1);
    f->published[0] = '\0';
    turns(f, 2);
    assert_non_null(strstr(f->published, "41>y "));
}

TEST_FROM(scene, begin, deliveries_are_handled_beside_a_crowd_of_due_retries)
{
    size_t acked;

    f->now_takes_ms = 0;
    deliver_many(f, "q", "poll", 50);
    scene_run(f);
    f->now_takes_ms = SLOW_MS;
    assert_sql(f, "select count(*) from herald_retry", "50");
    f->now_ms += 60000;
    acked = scene_acked(f);
    deliver_many(f, "r", "slow", 4);
    turns(f, 4);
    assert_in_range(scene_acked(f) - acked, 2, 4);
}

TEST_FROM(scene, begin, due_retries_are_tried_beside_deliveries_that_use_up_every_turn)
{
    scene_deliver_to(f, "q", "again", "poll");
    scene_run(f);
    deliver_many(f, "r", "very slow", 20);
    turns(f, 6); /* of 200 ms each: a second has passed */
    assert_true(scene_acked(f) < 21);
    assert_sql(f, "select attempts from herald_retry", "2");
}

TEST_FROM(scene, begin, one_handler_that_outlasts_the_turn_leaves_the_next_one_to_the_others)
{
    f->now_takes_ms = 0;
    deliver_many(f, "q", "poll", 20);
    scene_run(f);
    f->now_ms += 60000;
    f->now_takes_ms = 400;
    deliver_many(f, "r", "slow", 4);
    turns(f, 4);
    assert_int_equal(scene_acked(f) - 20, 2);
}

TEST_FROM(scene, begin, a_queue_with_slow_handlers_leaves_another_one_its_time)
{
    deliver_many(f, "q", "slow", 20);
    deliver_many(f, "r", "quick", 30);
    turns(f, 2);
    assert_sql(f, "select count(*) from hits where id like 'r%'", "30");
    assert_true(scene_acked(f) < 40);
}

TEST_FROM(scene, begin, queues_with_slow_handlers_take_turns)
{
    deliver_many(f, "q", "very slow", 20);
    deliver_many(f, "r", "slow", 20);
    turns(f, 7); /* those of q last for eleven times as long */
    assert_sql(f, "select count(*) from hits where id like 'q%'", "2");
    assert_sql(f, "select count(*) from hits where id like 'r%'", "11");
}

TEST_FROM(scene, begin, due_retries_of_one_queue_leave_another_one_its_time)
{
    f->now_takes_ms = 0;
    deliver_many(f, "q", "poll", 40);
    scene_run(f);
    scene_deliver_to(f, "r", "last", "poll");
    f->now_ms += 100;
    scene_run(f);
    f->now_ms += 60000;
    f->now_takes_ms = SLOW_MS;
    turns(f, 2);
    assert_sql(f, "select attempts from herald_retry where queue = 'r'", "2");
    assert_sql(f, "select count(*) > 30 from herald_retry where attempts = 1", "1");
}

TEST_FROM(scene, begin, confirms_are_taken_beside_deliveries_that_use_up_every_turn)
{
    add_rows(f, 2);
    turns(f, 1);
    deliver_many(f, "q", "slow", 40);
    scene_answer(f, 1, PUBLISH_CONFIRMED, NULL);
    scene_answer(f, 2, PUBLISH_CONFIRMED, NULL);
    turns(f, 2);
    assert_true(scene_acked(f) < 40);
    assert_sql(f, "select count(*) from herald_outbox", "0");
}
