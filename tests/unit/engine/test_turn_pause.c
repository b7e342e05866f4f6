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

static void every_message_fails_alike_and_none_is_lost(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, ONCE MISSING, HITS);
    deliver(&s, 50);
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 5); /* the broker keeps the others */
    assert_paces(&s, "q:stop ");
    assert_sql(&s, DEAD, "0"); /* the letters of the first four were taken back */
    assert_sql(&s, ROWS, "5");
    assert_sql(&s, "select sum(attempts) from herald_retry", "0");
    assert_sql(&s, "select count(*) from herald_inbox where state = 1", "5");
    assert_int_equal(turn_counters(s.turn)->failed, 4);
    assert_int_equal(turn_counters(s.turn)->recalled, 4);
    assert_int_equal(turn_counters(s.turn)->pauses, 1);
    assert_non_null(strstr(scene_log(&s), "subscription.paused queue=q failures=5 recalled=4"));
    assert_non_null(turn_paused(s.turn, 0));
    assert_null(turn_paused(s.turn, 1));
    assert_non_null(strstr(turn_paused(s.turn, 0)->now.error, "no such column"));

    for (int i = 0; i < 8; i++)
        move_on(&s);
    assert_sql(&s, DEAD, "0");
    assert_sql(&s, "select sum(attempts) from herald_retry", "0");
    assert_int_equal(turn_counters(s.turn)->failed, 4); /* probes are no attempts */

    scene_sql(&s, ADD_COLUMN);
    while (turn_paused(s.turn, 0) != NULL)
        move_on(&s);
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 50);
    assert_sql(&s, ROWS, "0");
    assert_int_equal(turn_counters(s.turn)->handled, 50);
    assert_non_null(strstr(scene_log(&s), "subscription.resumed queue=q"));
    scene_end(&s);
}

static void a_probe_is_one_row_and_then_one_delivery(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, ONCE MISSING, HITS);
    deliver(&s, 20);
    scene_run(&s);
    assert_paces(&s, "q:stop ");
    move_on(&s); /* the letters that were taken back are due: they are put off */
    assert_int_equal(turn_counters(s.turn)->probes, 0);
    move_on(&s);
    assert_paces(&s, "q:one q:stop ");
    assert_int_equal(turn_counters(s.turn)->probes, 2);
    assert_int_equal(scene_acked(&s), 6);
    scene_run(&s);
    assert_int_equal(turn_counters(s.turn)->probes, 2);
    move_on(&s);
    assert_int_equal(turn_counters(s.turn)->probes, 4);
    scene_end(&s);
}

/* The rows that wait may be those that always fail. */
static void a_good_delivery_ends_a_pause_that_bad_ones_made(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, ONCE TRY WRITE "if tonumber(msg.id:sub(2)) < 5 then error('bad') end\nend)\n",
                HITS);
    deliver(&s, 10);
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 5);
    while (turn_paused(s.turn, 0) != NULL)
        move_on(&s);
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 10);
    assert_sql(&s, HANDLED, "5");
    assert_int_equal(s.pace, PACE_FLOW);
    scene_end(&s);
}

static void one_that_succeeds_now_and_then_never_pauses(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s,
                ONCE TRY WRITE "if tonumber(msg.id:sub(2)) % 5 > 0 then error('bad') end\nend)\n",
                HITS);
    deliver(&s, 40);
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 40);
    assert_sql(&s, DEAD, "32");
    assert_int_equal(turn_counters(s.turn)->pauses, 0);
    assert_paces(&s, "");
    scene_end(&s);
}

static void a_poison_message_never_pauses(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s,
                SUBSCRIBED("pause_after = 2, retry = { attempts = 30, delay = '1s', factor = 1 }")
                    MISSING,
                HITS);
    deliver(&s, 1);
    scene_run(&s);
    while (strcmp(scene_sql(&s, DEAD), "0") == 0)
        move_on(&s);
    assert_int_equal(turn_counters(s.turn)->failed, 30);
    assert_int_equal(turn_counters(s.turn)->pauses, 0);
    scene_end(&s);
}

static void what_handlers_decide_themselves_never_pauses(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s,
                THRICE TRY "if tonumber(msg.id:sub(2)) % 2 == 0 then herald.reject('no') end\n"
                           "herald.retry('1h', 'later')\nend)\n",
                HITS);
    deliver(&s, 40);
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 40);
    assert_sql(&s, DEAD, "20");
    assert_sql(&s, ROWS, "20");
    scene_end(&s);
}

static void rows_keep_attempts_and_error_while_they_wait(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, THRICE MISSING, HITS);
    deliver(&s, 20);
    scene_run(&s);
    assert_sql(&s, "select group_concat(attempts, '') from herald_retry", "11110");
    s.now_ms += 3600 * 1000; /* all of them are due */
    scene_run(&s);
    assert_sql(&s, "select group_concat(attempts, '') from herald_retry",
               "111100"); /* and a probe */
    assert_sql_contains(&s, "select error from herald_retry order by id desc", "no such column");
    assert_sql(&s, "select count(distinct due_at) from herald_retry", "1");
    scene_end(&s);
}

static void an_undone_turn_leaves_no_trace(void **state)
{
    struct scene s;
    struct err err = {0};

    (void)state;
    scene_begin(&s, ONCE MISSING "herald.route { type = 'out', to = herald.fanout 'x' }\n", HITS);
    scene_sql(&s, "insert into herald_outbox(type) values ('out')");
    scene_sql(&s, "create trigger no before update on herald_outbox begin "
                  "select raise(abort, 'no'); end;");
    s.publish_code = ERR_BROKER;
    deliver(&s, 8);
    assert_int_equal(scene_turn(&s, &err), TURN_PAUSED); /* after the fifth */
    assert_int_equal(s.forgotten, 1);
    assert_null(turn_paused(s.turn, 0));
    assert_paces(&s, "");
    assert_sql(&s, ROWS, "0");
    scene_sql(&s, "drop trigger no");
    scene_sql(&s, ADD_COLUMN);
    scene_run(&s);
    assert_int_equal(turn_counters(s.turn)->handled, 8);
    assert_int_equal(turn_counters(s.turn)->pauses, 0);
    scene_end(&s);
}

static void other_rules_are_tried_at_once(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, ONCE MISSING, HITS);
    deliver(&s, 30);
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 5);
    s.paces[0] = '\0';
    scene_swap(&s, scene_load(&s, ONCE FINE), 2);
    for (size_t i = 0; i < s.n_deliveries; i++)
        s.deliveries[i].delivery.subscription =
            &rules_topology(script_rules(s.script))->subscriptions[0];
    assert_paces(&s, "q:flow ");
    assert_null(turn_paused(s.turn, 0));
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 30);
    move_on(&s); /* the one that completed the streak */
    assert_sql(&s, HANDLED, "30");
    assert_sql(&s, ROWS, "0");
    scene_end(&s);
}

static void a_probe_that_fails_otherwise_counts(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, THRICE MISSING, HITS);
    deliver(&s, 5);
    scene_run(&s);
    scene_sql(&s, ADD_COLUMN);
    scene_sql(&s,
              "create trigger t before update on hits begin select raise(abort, 'other'); end;");
    scene_sql(&s, "insert into hits(id) values ('x')");
    move_on(&s);
    assert_null(turn_paused(s.turn, 0));
    assert_sql(&s, "select max(attempts) from herald_retry where error like '%other%'", "1");
    assert_non_null(strstr(scene_log(&s), "subscription.resumed"));
    scene_end(&s);
}

static void a_person_may_take_the_rows_away(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, ONCE MISSING, HITS);
    deliver(&s, 8);
    scene_run(&s);
    scene_sql(&s, "delete from herald_retry");
    s.paces[0] = '\0';
    move_on(&s);
    assert_paces(&s, "q:one q:stop ");
    assert_int_equal(scene_acked(&s), 6);
    scene_sql(&s, "delete from herald_retry");
    scene_sql(&s, ADD_COLUMN);
    while (turn_paused(s.turn, 0) != NULL)
        move_on(&s);
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 8);
    scene_end(&s);
}

static void a_hurried_probe_finds_what_was_mended(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, ONCE MISSING, HITS);
    deliver(&s, 10);
    scene_run(&s);
    scene_sql(&s, ADD_COLUMN);
    scene_run(&s);
    assert_non_null(turn_paused(s.turn, 0));
    assert_int_equal(turn_counters(s.turn)->probes, 0);
    turn_probe(s.turn);
    scene_run(&s);
    assert_null(turn_paused(s.turn, 0));
    assert_int_equal(scene_acked(&s), 10);
    assert_sql(&s, ROWS, "0");
    scene_end(&s);
}

static void it_can_be_turned_off(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, SUBSCRIBED("pause_after = false, retry = { attempts = 1 }") MISSING, HITS);
    deliver(&s, 50);
    scene_run(&s);
    assert_sql(&s, DEAD, "50");
    assert_int_equal(scene_acked(&s), 50);
    scene_end(&s);
}

/* One lane: the letters that are taken back come first, in their order. */
static void lanes_keep_their_order_through_a_pause(void **state)
{
    struct scene s;
    char id[16];

    (void)state;
    scene_begin(&s,
                SUBSCRIBED("pause_after = 4, retry = { attempts = 1 }, order_by = 'business_key1'")
                    TRY "tx:exec('insert into hits(id, missing) values (?, 1)', msg.id) end)\n",
                HITS);
    for (int i = 0; i < 9; i++) {
        snprintf(id, sizeof id, "m%d", i);
        scene_deliver(&s, id, "note", "{\"businessKey1\":\"k\"}");
    }
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 4);
    assert_sql(&s, "select count(*) from herald_retry where due_at < 9223372036854775807", "1");
    while (turn_counters(s.turn)->probes == 0)
        move_on(&s);
    assert_int_equal(scene_acked(&s), 5); /* the one that was asked for waits behind its lane */
    scene_sql(&s, ADD_COLUMN);
    while (turn_paused(s.turn, 0) != NULL)
        move_on(&s);
    scene_run(&s);
    assert_sql(&s, "select group_concat(id, ' ') from (select id from hits order by rowid)",
               "m0 m1 m2 m3 m4 m5 m6 m7 m8");
    assert_sql(&s, ROWS, "0");
    scene_end(&s);
}

/* It comes from another queue of the broker, which flows: left there, it would keep turns busy. */
static void what_the_broker_gave_up_on_is_taken_during_a_pause(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, ONCE MISSING, HITS);
    deliver(&s, 8);
    scene_run(&s);
    assert_paces(&s, "q:stop ");
    scene_deliver(&s, "lost", "note", "{}");
    s.deliveries[s.n_deliveries - 1].delivery.given_up = "the broker gave up on it";
    scene_run(&s);
    assert_sql(&s, "select message_id from herald_dead", "lost");
    assert_int_equal(scene_acked(&s), 6);
    assert_non_null(turn_paused(s.turn, 0));
    assert_paces(&s, "");
    scene_end(&s);
}

/* A wall clock that was ahead when the probe was put off. */
static void a_clock_that_jumps_back_does_not_prolong_a_pause(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, ONCE MISSING, HITS);
    s.wall_ahead_ms = 86400000;
    deliver(&s, 10);
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 5);
    s.wall_ahead_ms = 0;
    scene_sql(&s, ADD_COLUMN);
    s.now_ms += PAUSE_PROBE_MAX_MS;
    scene_run(&s);
    assert_null(turn_paused(s.turn, 0));
    assert_int_equal(scene_acked(&s), 10);
    scene_end(&s);
}

/* The first two of the lane are letters by then, which are taken back; the third one, that waited
 * behind them, completes the streak. */
static void letters_that_are_taken_back_come_before_the_row_of_their_lane(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s,
                SUBSCRIBED("pause_after = 3, order_by = 'business_key1',"
                           "retry = { attempts = 2, delay = '1s', factor = 1, jitter = 0 }") TRY
                "tx:exec('insert into hits(id, missing) values (?, 1)', msg.id) end)\n",
                HITS);
    scene_deliver(&s, "m0", "note", "{\"businessKey1\":\"k\"}");
    scene_deliver(&s, "m1", "note", "{\"businessKey1\":\"k\"}");
    scene_deliver(&s, "m2", "note", "{\"businessKey1\":\"k\"}");
    scene_deliver(&s, "m3", "note", "{\"businessKey1\":\"k\"}");
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 4);
    while (turn_paused(s.turn, 0) == NULL)
        move_on(&s);
    assert_sql(&s, DEAD, "0");
    assert_sql(&s, "select count(*) from herald_retry where due_at < 9223372036854775807", "1");
    scene_sql(&s, ADD_COLUMN);
    while (turn_paused(s.turn, 0) != NULL)
        move_on(&s);
    scene_run(&s);
    assert_sql(&s, "select group_concat(id, ' ') from (select id from hits order by rowid)",
               "m0 m1 m2 m3");
    assert_sql(&s, ROWS, "0");
    scene_end(&s);
}

static void after_a_restart_it_finds_out_again(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, ONCE MISSING, HITS);
    deliver(&s, 40);
    scene_run(&s);
    scene_restart(&s);
    for (size_t i = 0; i < s.n_deliveries; i++)
        s.deliveries[i].delivery.subscription =
            &rules_topology(script_rules(s.script))->subscriptions[0];
    assert_null(turn_paused(s.turn, 0));
    scene_run(&s);
    assert_non_null(turn_paused(s.turn, 0));
    assert_sql(&s, DEAD, "0");
    assert_true(scene_acked(&s) <= 10);
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_fails_alike_and_none_is_lost),
        cmocka_unit_test(a_probe_is_one_row_and_then_one_delivery),
        cmocka_unit_test(a_good_delivery_ends_a_pause_that_bad_ones_made),
        cmocka_unit_test(one_that_succeeds_now_and_then_never_pauses),
        cmocka_unit_test(a_poison_message_never_pauses),
        cmocka_unit_test(what_handlers_decide_themselves_never_pauses),
        cmocka_unit_test(rows_keep_attempts_and_error_while_they_wait),
        cmocka_unit_test(an_undone_turn_leaves_no_trace),
        cmocka_unit_test(other_rules_are_tried_at_once),
        cmocka_unit_test(a_probe_that_fails_otherwise_counts),
        cmocka_unit_test(a_person_may_take_the_rows_away),
        cmocka_unit_test(a_hurried_probe_finds_what_was_mended),
        cmocka_unit_test(it_can_be_turned_off),
        cmocka_unit_test(lanes_keep_their_order_through_a_pause),
        cmocka_unit_test(what_the_broker_gave_up_on_is_taken_during_a_pause),
        cmocka_unit_test(a_clock_that_jumps_back_does_not_prolong_a_pause),
        cmocka_unit_test(letters_that_are_taken_back_come_before_the_row_of_their_lane),
        cmocka_unit_test(after_a_restart_it_finds_out_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
