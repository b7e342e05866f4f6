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
        if (scene_turn(s, &err) == TURN_PAUSED)
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

static void fresh_rows_go_out_beside_deliveries_that_use_up_every_turn(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    deliver_many(&s, "q", "slow", 40);
    turns(&s, 2);
    add_rows(&s, 3);
    turns(&s, 2);
    assert_true(scene_acked(&s) < 40);
    assert_string_equal(s.published, "1>y 2>y 3>y ");
    scene_end(&s);
}

static void due_rows_go_out_beside_deliveries_that_use_up_every_turn(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    add_rows(&s, 2);
    turns(&s, 1);
    scene_answer(&s, 1, PUBLISH_NACKED, NULL);
    scene_answer(&s, 2, PUBLISH_NACKED, NULL);
    turns(&s, 1);
    deliver_many(&s, "q", "slow", 40);
    s.published[0] = '\0';
    s.now_ms += 60000;
    turns(&s, 2);
    assert_true(scene_acked(&s) < 40);
    assert_non_null(strstr(s.published, "1>y "));
    assert_non_null(strstr(s.published, "2>y "));
    scene_end(&s);
}

static void fresh_rows_go_out_beside_a_crowd_of_due_ones(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    add_rows(&s, 40);
    turns(&s, 4);
    for (int64_t row = 1; row <= 40; row++)
        scene_answer(&s, row, PUBLISH_NACKED, NULL);
    turns(&s, 1);
    s.now_ms += 60000;
    add_rows(&s, 1);
    s.published[0] = '\0';
    turns(&s, 2);
    assert_non_null(strstr(s.published, "41>y "));
    scene_end(&s);
}

static void deliveries_are_handled_beside_a_crowd_of_due_retries(void **state)
{
    struct scene s;
    size_t acked;

    (void)state;
    begin(&s);
    s.now_takes_ms = 0;
    deliver_many(&s, "q", "poll", 50);
    scene_run(&s);
    s.now_takes_ms = SLOW_MS;
    assert_sql(&s, "select count(*) from herald_retry", "50");
    s.now_ms += 60000;
    acked = scene_acked(&s);
    deliver_many(&s, "r", "slow", 4);
    turns(&s, 4);
    assert_in_range(scene_acked(&s) - acked, 2, 4);
    scene_end(&s);
}

static void due_retries_are_tried_beside_deliveries_that_use_up_every_turn(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    scene_deliver_to(&s, "q", "again", "poll");
    scene_run(&s);
    deliver_many(&s, "r", "very slow", 20);
    turns(&s, 6); /* of 200 ms each: a second has passed */
    assert_true(scene_acked(&s) < 21);
    assert_sql(&s, "select attempts from herald_retry", "2");
    scene_end(&s);
}

static void one_handler_that_outlasts_the_turn_leaves_the_next_one_to_the_others(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    s.now_takes_ms = 0;
    deliver_many(&s, "q", "poll", 20);
    scene_run(&s);
    s.now_ms += 60000;
    s.now_takes_ms = 400;
    deliver_many(&s, "r", "slow", 4);
    turns(&s, 4);
    assert_int_equal(scene_acked(&s) - 20, 2);
    scene_end(&s);
}

static void a_queue_with_slow_handlers_leaves_another_one_its_time(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    deliver_many(&s, "q", "slow", 20);
    deliver_many(&s, "r", "quick", 30);
    turns(&s, 2);
    assert_sql(&s, "select count(*) from hits where id like 'r%'", "30");
    assert_true(scene_acked(&s) < 40);
    scene_end(&s);
}

static void queues_with_slow_handlers_take_turns(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    deliver_many(&s, "q", "very slow", 20);
    deliver_many(&s, "r", "slow", 20);
    turns(&s, 7); /* those of q last for eleven times as long */
    assert_sql(&s, "select count(*) from hits where id like 'q%'", "2");
    assert_sql(&s, "select count(*) from hits where id like 'r%'", "11");
    scene_end(&s);
}

static void due_retries_of_one_queue_leave_another_one_its_time(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    s.now_takes_ms = 0;
    deliver_many(&s, "q", "poll", 40);
    scene_run(&s);
    scene_deliver_to(&s, "r", "last", "poll");
    s.now_ms += 100;
    scene_run(&s);
    s.now_ms += 60000;
    s.now_takes_ms = SLOW_MS;
    turns(&s, 2);
    assert_sql(&s, "select attempts from herald_retry where queue = 'r'", "2");
    assert_sql(&s, "select count(*) > 30 from herald_retry where attempts = 1", "1");
    scene_end(&s);
}

static void confirms_are_taken_beside_deliveries_that_use_up_every_turn(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    add_rows(&s, 2);
    turns(&s, 1);
    deliver_many(&s, "q", "slow", 40);
    scene_answer(&s, 1, PUBLISH_CONFIRMED, NULL);
    scene_answer(&s, 2, PUBLISH_CONFIRMED, NULL);
    turns(&s, 2);
    assert_true(scene_acked(&s) < 40);
    assert_sql(&s, "select count(*) from herald_outbox", "0");
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fresh_rows_go_out_beside_deliveries_that_use_up_every_turn),
        cmocka_unit_test(due_rows_go_out_beside_deliveries_that_use_up_every_turn),
        cmocka_unit_test(fresh_rows_go_out_beside_a_crowd_of_due_ones),
        cmocka_unit_test(deliveries_are_handled_beside_a_crowd_of_due_retries),
        cmocka_unit_test(due_retries_are_tried_beside_deliveries_that_use_up_every_turn),
        cmocka_unit_test(one_handler_that_outlasts_the_turn_leaves_the_next_one_to_the_others),
        cmocka_unit_test(a_queue_with_slow_handlers_leaves_another_one_its_time),
        cmocka_unit_test(queues_with_slow_handlers_take_turns),
        cmocka_unit_test(due_retries_of_one_queue_leave_another_one_its_time),
        cmocka_unit_test(confirms_are_taken_beside_deliveries_that_use_up_every_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
