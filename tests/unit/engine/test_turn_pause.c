/* A subscription on which every message fails alike: what a turn makes of it. */
#include "scene.h"

#include "check.h"
#include "engine/streak.h"

#include <stdio.h>
#include <string.h>

#define HEAD "local herald = require 'herald'\n"
#define SUBSCRIBED(more)                                                                           \
    HEAD "herald.subscribe { queue = 'q', from = herald.fanout 'x', " more " }\n"
#define ONCE SUBSCRIBED("pause_after = 5, retry = { attempts = 1 }")
#define THRICE                                                                                     \
    SUBSCRIBED("pause_after = 5, retry = { attempts = 3, delay = '1h', factor = 1, jitter = 0 }")
#define WRITE "tx:exec('insert into hits values (?)', msg.id)\n"
#define TRY "herald.on('*', '*', function(msg, tx)\n"
#define MISSING TRY "tx:exec('update hits set missing = ?', msg.id) end)\n"
#define FINE TRY WRITE "end)\n"
#define HITS "create table hits (id text unique);"
#define ADD_COLUMN "alter table hits add column missing"
#define ROWS "select count(*) from herald_retry"
#define DEAD "select count(*) from herald_dead"
#define HANDLED "select count(*) from hits"

static void deliver(struct scene *s, int n)
{
    char id[16];

    for (int i = 0; i < n; i++) {
        snprintf(id, sizeof id, "m%zu", s->n_deliveries);
        scene_deliver(s, id, "note", "{}");
    }
}

/* To the next time at which something is due. */
static void move_on(struct scene *s)
{
    struct err err = {0};
    int64_t due_at;

    assert_int_equal(turn_next_due(s->turn, &due_at, &err), OK);
    assert_true(due_at != INT64_MAX);
    if (due_at > s->now_ms)
        s->now_ms = due_at;
    scene_run(s);
}

static void assert_paces(struct scene *s, const char *want)
{
    assert_string_equal(s->paces, want);
    s->paces[0] = '\0';
}

static void begin(struct scene *s)
{
    scene_setup(s);
    scene_begin(s, ONCE MISSING, HITS);
}

TEST_FROM(scene, begin, every_message_fails_alike_and_none_is_lost)
{
    deliver(f, 50);
    scene_run(f);
    assert_int_equal(scene_acked(f), 5); /* the broker keeps the others */
    assert_paces(f, "q:stop ");
    assert_sql(f, DEAD, "0"); /* the letters of the first four were taken back */
    assert_sql(f, ROWS, "5");
    assert_sql(f, "select sum(attempts) from herald_retry", "0");
    assert_sql(f, "select count(*) from herald_inbox where state = 1", "5");
    assert_int_equal(turn_counters(f->turn)->failed, 4);
    assert_int_equal(turn_counters(f->turn)->recalled, 4);
    assert_int_equal(turn_counters(f->turn)->pauses, 1);
    assert_non_null(strstr(scene_log(f), "subscription.paused queue=q failures=5 recalled=4"));
    assert_non_null(turn_paused(f->turn, 0));
    assert_null(turn_paused(f->turn, 1));
    assert_non_null(strstr(turn_paused(f->turn, 0)->now.error, "no such column"));

    for (int i = 0; i < 8; i++)
        move_on(f);
    assert_sql(f, DEAD, "0");
    assert_sql(f, "select sum(attempts) from herald_retry", "0");
    assert_int_equal(turn_counters(f->turn)->failed, 4); /* probes are no attempts */

    scene_sql(f, ADD_COLUMN);
    while (turn_paused(f->turn, 0) != NULL)
        move_on(f);
    scene_run(f);
    assert_int_equal(scene_acked(f), 50);
    assert_sql(f, ROWS, "0");
    assert_int_equal(turn_counters(f->turn)->handled, 50);
    assert_non_null(strstr(scene_log(f), "subscription.resumed queue=q"));
}

TEST_FROM(scene, begin, a_probe_is_one_row_and_then_one_delivery)
{
    deliver(f, 20);
    scene_run(f);
    assert_paces(f, "q:stop ");
    move_on(f); /* the letters that were taken back are due: they are put off */
    assert_int_equal(turn_counters(f->turn)->probes, 0);
    move_on(f);
    assert_paces(f, "q:one q:stop ");
    assert_int_equal(turn_counters(f->turn)->probes, 2);
    assert_int_equal(scene_acked(f), 6);
    scene_run(f);
    assert_int_equal(turn_counters(f->turn)->probes, 2);
    move_on(f);
    assert_int_equal(turn_counters(f->turn)->probes, 4);
}

/* The rows that wait may be those that always fail. */
TEST_WITH(scene, a_good_delivery_ends_a_pause_that_bad_ones_made)
{
    scene_begin(f, ONCE TRY WRITE "if tonumber(msg.id:sub(2)) < 5 then error('bad') end\nend)\n",
                HITS);
    deliver(f, 10);
    scene_run(f);
    assert_int_equal(scene_acked(f), 5);
    while (turn_paused(f->turn, 0) != NULL)
        move_on(f);
    scene_run(f);
    assert_int_equal(scene_acked(f), 10);
    assert_sql(f, HANDLED, "5");
    assert_int_equal(f->pace, PACE_FLOW);
}

TEST_WITH(scene, one_that_succeeds_now_and_then_never_pauses)
{
    scene_begin(
        f, ONCE TRY WRITE "if tonumber(msg.id:sub(2)) % 5 > 0 then error('bad') end\nend)\n", HITS);
    deliver(f, 40);
    scene_run(f);
    assert_int_equal(scene_acked(f), 40);
    assert_sql(f, DEAD, "32");
    assert_int_equal(turn_counters(f->turn)->pauses, 0);
    assert_paces(f, "");
}

TEST_WITH(scene, a_poison_message_never_pauses)
{
    scene_begin(f,
                SUBSCRIBED("pause_after = 2, retry = { attempts = 30, delay = '1s', factor = 1 }")
                    MISSING,
                HITS);
    deliver(f, 1);
    scene_run(f);
    while (strcmp(scene_sql(f, DEAD), "0") == 0)
        move_on(f);
    assert_int_equal(turn_counters(f->turn)->failed, 30);
    assert_int_equal(turn_counters(f->turn)->pauses, 0);
}

TEST_WITH(scene, what_handlers_decide_themselves_never_pauses)
{
    scene_begin(f,
                THRICE TRY "if tonumber(msg.id:sub(2)) % 2 == 0 then herald.reject('no') end\n"
                           "herald.retry('1h', 'later')\nend)\n",
                HITS);
    deliver(f, 40);
    scene_run(f);
    assert_int_equal(scene_acked(f), 40);
    assert_sql(f, DEAD, "20");
    assert_sql(f, ROWS, "20");
}

TEST_WITH(scene, rows_keep_attempts_and_error_while_they_wait)
{
    scene_begin(f, THRICE MISSING, HITS);
    deliver(f, 20);
    scene_run(f);
    assert_sql(f, "select group_concat(attempts, '') from herald_retry", "11110");
    f->now_ms += 3600 * 1000; /* all of them are due */
    scene_run(f);
    assert_sql(f, "select group_concat(attempts, '') from herald_retry",
               "111100"); /* and a probe */
    assert_sql_contains(f, "select error from herald_retry order by id desc", "no such column");
    assert_sql(f, "select count(distinct due_at) from herald_retry", "1");
}

TEST_WITH(scene, an_undone_turn_leaves_no_trace)
{
    struct err err = {0};

    scene_begin(f, ONCE MISSING "herald.route { type = 'out', to = herald.fanout 'x' }\n", HITS);
    scene_sql(f, "insert into herald_outbox(type) values ('out')");
    scene_sql(f, "create trigger no before update on herald_outbox begin "
                 "select raise(abort, 'no'); end;");
    f->publish_code = ERR_BROKER;
    deliver(f, 8);
    assert_int_equal(scene_turn(f, &err), TURN_OUTAGE); /* after the fifth */
    assert_int_equal(f->forgotten, 1);
    assert_null(turn_paused(f->turn, 0));
    assert_paces(f, "");
    assert_sql(f, ROWS, "0");
    scene_sql(f, "drop trigger no");
    scene_sql(f, ADD_COLUMN);
    scene_run(f);
    assert_int_equal(turn_counters(f->turn)->handled, 8);
    assert_int_equal(turn_counters(f->turn)->pauses, 0);
}

TEST_FROM(scene, begin, other_rules_are_tried_at_once)
{
    deliver(f, 30);
    scene_run(f);
    assert_int_equal(scene_acked(f), 5);
    f->paces[0] = '\0';
    scene_swap(f, scene_load(f, ONCE FINE), 2);
    for (size_t i = 0; i < f->n_deliveries; i++)
        f->deliveries[i].delivery.subscription =
            &rules_topology(script_rules(f->script))->subscriptions[0];
    assert_paces(f, "q:flow ");
    assert_null(turn_paused(f->turn, 0));
    scene_run(f);
    assert_int_equal(scene_acked(f), 30);
    move_on(f); /* the one that completed the streak */
    assert_sql(f, HANDLED, "30");
    assert_sql(f, ROWS, "0");
}

TEST_WITH(scene, a_probe_that_fails_otherwise_counts)
{
    scene_begin(f, THRICE MISSING, HITS);
    deliver(f, 5);
    scene_run(f);
    scene_sql(f, ADD_COLUMN);
    scene_sql(f, "create trigger t before update on hits begin select raise(abort, 'other'); end;");
    scene_sql(f, "insert into hits(id) values ('x')");
    move_on(f);
    assert_null(turn_paused(f->turn, 0));
    assert_sql(f, "select max(attempts) from herald_retry where error like '%other%'", "1");
    assert_non_null(strstr(scene_log(f), "subscription.resumed"));
}

TEST_FROM(scene, begin, a_person_may_take_the_rows_away)
{
    deliver(f, 8);
    scene_run(f);
    scene_sql(f, "delete from herald_retry");
    f->paces[0] = '\0';
    move_on(f);
    assert_paces(f, "q:one q:stop ");
    assert_int_equal(scene_acked(f), 6);
    scene_sql(f, "delete from herald_retry");
    scene_sql(f, ADD_COLUMN);
    while (turn_paused(f->turn, 0) != NULL)
        move_on(f);
    scene_run(f);
    assert_int_equal(scene_acked(f), 8);
}

TEST_FROM(scene, begin, a_hurried_probe_finds_what_was_mended)
{
    deliver(f, 10);
    scene_run(f);
    scene_sql(f, ADD_COLUMN);
    scene_run(f);
    assert_non_null(turn_paused(f->turn, 0));
    assert_int_equal(turn_counters(f->turn)->probes, 0);
    turn_probe(f->turn);
    scene_run(f);
    assert_null(turn_paused(f->turn, 0));
    assert_int_equal(scene_acked(f), 10);
    assert_sql(f, ROWS, "0");
}

TEST_WITH(scene, it_can_be_turned_off)
{
    scene_begin(f, SUBSCRIBED("pause_after = false, retry = { attempts = 1 }") MISSING, HITS);
    deliver(f, 50);
    scene_run(f);
    assert_sql(f, DEAD, "50");
    assert_int_equal(scene_acked(f), 50);
}

/* The column is there now: all are handled, in this order. */
static void assert_mended(struct scene *f, const char *order)
{
    scene_sql(f, ADD_COLUMN);
    while (turn_paused(f->turn, 0) != NULL)
        move_on(f);
    scene_run(f);
    assert_sql(f, "select group_concat(id, ' ') from (select id from hits order by rowid)", order);
    assert_sql(f, ROWS, "0");
}

/* One lane: the letters that are taken back come first, in their order. */
TEST_WITH(scene, lanes_keep_their_order_through_a_pause)
{
    char id[16];

    scene_begin(f,
                SUBSCRIBED("pause_after = 4, retry = { attempts = 1 }, order_by = 'business_key1'")
                    TRY "tx:exec('insert into hits(id, missing) values (?, 1)', msg.id) end)\n",
                HITS);
    for (int i = 0; i < 9; i++) {
        snprintf(id, sizeof id, "m%d", i);
        scene_deliver(f, id, "note", "{\"businessKey1\":\"k\"}");
    }
    scene_run(f);
    assert_int_equal(scene_acked(f), 4);
    assert_sql(f, "select count(*) from herald_retry where due_at < 9223372036854775807", "1");
    while (turn_counters(f->turn)->probes == 0)
        move_on(f);
    assert_int_equal(scene_acked(f), 5); /* the one that was asked for waits behind its lane */
    assert_mended(f, "m0 m1 m2 m3 m4 m5 m6 m7 m8");
}

/* It comes from another queue of the broker, which flows: left there, it would keep turns busy. */
TEST_FROM(scene, begin, what_the_broker_gave_up_on_is_taken_during_a_pause)
{
    deliver(f, 8);
    scene_run(f);
    assert_paces(f, "q:stop ");
    scene_deliver(f, "lost", "note", "{}");
    f->deliveries[f->n_deliveries - 1].delivery.dead_lettered = "the broker gave up on it";
    scene_run(f);
    assert_sql(f, "select message_id from herald_dead", "lost");
    assert_int_equal(scene_acked(f), 6);
    assert_non_null(turn_paused(f->turn, 0));
    assert_paces(f, "");
}

/* A wall clock that was ahead when the probe was put off. */
TEST_FROM(scene, begin, a_clock_that_jumps_back_does_not_prolong_a_pause)
{
    f->wall_ahead_ms = 86400000;
    deliver(f, 10);
    scene_run(f);
    assert_int_equal(scene_acked(f), 5);
    f->wall_ahead_ms = 0;
    scene_sql(f, ADD_COLUMN);
    f->now_ms += PAUSE_PROBE_MAX_MS;
    scene_run(f);
    assert_null(turn_paused(f->turn, 0));
    assert_int_equal(scene_acked(f), 10);
}

/* The first two of the lane are letters by then, which are taken back; the third one, that waited
 * behind them, completes the streak. */
TEST_WITH(scene, letters_that_are_taken_back_come_before_the_row_of_their_lane)
{
    scene_begin(f,
                SUBSCRIBED("pause_after = 3, order_by = 'business_key1',"
                           "retry = { attempts = 2, delay = '1s', factor = 1, jitter = 0 }") TRY
                "tx:exec('insert into hits(id, missing) values (?, 1)', msg.id) end)\n",
                HITS);
    scene_deliver(f, "m0", "note", "{\"businessKey1\":\"k\"}");
    scene_deliver(f, "m1", "note", "{\"businessKey1\":\"k\"}");
    scene_deliver(f, "m2", "note", "{\"businessKey1\":\"k\"}");
    scene_deliver(f, "m3", "note", "{\"businessKey1\":\"k\"}");
    scene_run(f);
    assert_int_equal(scene_acked(f), 4);
    while (turn_paused(f->turn, 0) == NULL)
        move_on(f);
    assert_sql(f, DEAD, "0");
    assert_sql(f, "select count(*) from herald_retry where due_at < 9223372036854775807", "1");
    assert_mended(f, "m0 m1 m2 m3");
}

TEST_FROM(scene, begin, after_a_restart_it_finds_out_again)
{
    deliver(f, 40);
    scene_run(f);
    scene_restart(f);
    for (size_t i = 0; i < f->n_deliveries; i++)
        f->deliveries[i].delivery.subscription =
            &rules_topology(script_rules(f->script))->subscriptions[0];
    assert_null(turn_paused(f->turn, 0));
    scene_run(f);
    assert_non_null(turn_paused(f->turn, 0));
    assert_sql(f, DEAD, "0");
    assert_true(scene_acked(f) <= 10);
}
