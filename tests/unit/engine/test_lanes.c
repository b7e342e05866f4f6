/* Order per key: who waits behind whom, what sets a lane going again, and what does not stop. */
#include "scene.h"

#include "check.h"
#include "store/lane.h"
#include "store/letters.h"
#include "store/rows.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#define HEAD "local herald = require 'herald'\n"
#define QUEUE                                                                                      \
    "herald.subscribe { queue = 'q', from = herald.fanout 'x',\n"                                  \
    "  retry = { attempts = 2, delay = '1s', factor = 1, jitter = 0, max_age = '1h' }"
#define NOTE                                                                                       \
    "herald.on('t', '*', function(msg, tx)\n"                                                      \
    "  if tx:value('select 1 from broken where id = ?', msg.id) then error('as told') end\n"       \
    "  tx:exec('insert into hits values (?)', msg.id)\n"                                           \
    "end)\n"
#define ORDERED HEAD QUEUE ", order_by = 'business_key1' }\n" NOTE
#define HOLDING HEAD QUEUE ", order_by = 'business_key1', on_dead = 'hold' }\n" NOTE
#define PLAIN HEAD QUEUE "}\n" NOTE
#define TABLES "create table hits (id text); create table broken (id text primary key);"
#define HITS "select group_concat(id, ' ') from (select id from hits order by rowid)"
#define WAITING "select count(*) from herald_retry where due_at = 9223372036854775807"

static void deliver(struct scene *s, const char *id, const char *key)
{
    char body[64];

    snprintf(body, sizeof body, key ? "{\"businessKey1\":\"%s\"}" : "{}", key);
    scene_deliver(s, id, "t", body);
}

/* What an operator's program does, in one transaction. */
static void other(struct scene *s, const char *sql)
{
    struct sqlite3 *db = scene_lock(s);

    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "commit; begin", NULL, NULL, NULL), SQLITE_OK);
    scene_unlock(db);
}

static void pass(struct scene *s, int64_t ms)
{
    s->now_ms += ms;
    scene_run(s);
}

/* a fails and b, of its key, comes behind it. */
static void begin(struct scene *s, const char *rules)
{
    scene_begin(s, rules, TABLES);
    other(s, "insert into broken values ('a')");
    deliver(s, "a", "16");
    deliver(s, "b", "16");
    scene_run(s);
    assert_sql(s, HITS, "");
    assert_int_equal(scene_acked(s), 2);
}

static void try_to(struct scene *s, pick_fn *fn, int64_t id, size_t want)
{
    struct picked done;
    struct err err = {0};
    size_t passed;

    assert_int_equal(pick_batch(s->db, &id, 1, fn, &passed, &done, &err), OK);
    assert_int_equal(done.changed, want);
    scene_run(s);
}

static void do_to(struct scene *s, pick_fn *fn, int64_t id)
{
    try_to(s, fn, id, 1);
}

/* docs/design.md#order-per-key */
static void a_later_one_of_the_key_waits_and_nobody_else_does(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, ORDERED);
    deliver(&s, "c", "17");
    deliver(&s, "d", NULL);
    deliver(&s, "e", NULL);
    deliver(&s, "f", "16");
    scene_run(&s);
    assert_sql(&s, HITS, "c d e");
    assert_sql(&s, WAITING, "2");
    assert_sql(&s, "select attempts || ' ' || lane from herald_retry where message_id = 'f'",
               "0 business_key1=16");
    assert_int_equal(turn_counters(s.turn)->behind, 2);
    other(&s, "delete from broken");
    pass(&s, 1000);
    assert_sql(&s, HITS, "c d e a b f");
    assert_sql(&s, "select count(*) from herald_retry", "0");
    assert_sql(&s, "select group_concat(state, '') from herald_inbox", "000000");
    scene_end(&s);
}

static void messages_without_the_key_are_in_no_order(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, ORDERED, TABLES "insert into broken values ('a');");
    deliver(&s, "a", NULL);
    deliver(&s, "b", NULL);
    scene_run(&s);
    assert_sql(&s, HITS, "b");
    scene_end(&s);
}

static void a_redelivery_of_one_that_waits_changes_nothing(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, ORDERED);
    deliver(&s, "b", "16");
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 3);
    assert_int_equal(turn_counters(s.turn)->duplicates, 1);
    assert_sql(&s, WAITING, "1");
    scene_end(&s);
}

static void a_restart_changes_nothing(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, ORDERED);
    scene_restart(&s);
    deliver(&s, "c", "16");
    scene_run(&s);
    assert_sql(&s, WAITING, "2");
    other(&s, "delete from broken");
    pass(&s, 1000);
    assert_sql(&s, HITS, "a b c");
    scene_end(&s);
}

/* Each of them has its own attempts: nobody pays for the one before. */
static void a_follower_that_fails_is_the_next_to_be_waited_for(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, ORDERED);
    deliver(&s, "c", "16");
    scene_run(&s);
    other(&s, "delete from broken; insert into broken values ('b')");
    pass(&s, 1000);
    assert_sql(&s, HITS, "a");
    assert_sql(&s, "select attempts from herald_retry where message_id = 'b'", "1");
    other(&s, "delete from broken");
    pass(&s, 1000);
    assert_sql(&s, HITS, "a b c");
    scene_end(&s);
}

static void a_dead_one_lets_the_next_go(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, ORDERED);
    pass(&s, 1000);
    assert_sql(&s, HITS, "b");
    assert_sql(&s, "select message_id || lane || holds from herald_dead", "abusiness_key1=160");
    scene_end(&s);
}

static void a_dead_one_can_hold_its_lane_until_it_is_replayed(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, HOLDING);
    pass(&s, 1000);
    deliver(&s, "c", "16");
    deliver(&s, "d", "17");
    pass(&s, 100000);
    assert_sql(&s, HITS, "d");
    assert_sql(&s, WAITING, "2");
    do_to(&s, letter_replay, 1); /* it fails again, and is the first still */
    assert_sql(&s, HITS, "d");
    pass(&s, 1000);
    assert_sql(&s, "select count(*) from herald_dead where holds", "1");
    other(&s, "delete from broken");
    do_to(&s, letter_replay, 2);
    assert_sql(&s, HITS, "d a b c");
    assert_sql(&s, "select count(*) from herald_retry", "0");
    scene_end(&s);
}

static void a_dropped_letter_lets_its_lane_go(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, HOLDING);
    pass(&s, 1000);
    assert_sql(&s, HITS, "");
    do_to(&s, letter_drop, 1);
    assert_sql(&s, HITS, "b");
    scene_end(&s);
}

/* Its place is gone: it comes behind what waits by now. */
static void a_letter_of_a_lane_that_went_on_is_the_last_of_it(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, ORDERED);
    other(&s, "insert into broken values ('b')");
    deliver(&s, "c", "16");
    pass(&s, 1000); /* a is dead, b fails, c is behind it */
    other(&s, "delete from broken");
    do_to(&s, letter_replay, 1);
    assert_sql(&s, HITS, "");
    pass(&s, 1000);
    assert_sql(&s, HITS, "b c a");
    scene_end(&s);
}

/* A rejected delivery was never a retry, and holds its lane as well. */
static void a_message_rejected_at_once_holds_its_lane(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s,
                HEAD QUEUE ", order_by = 'business_key1', on_dead = 'hold' }\n"
                           "herald.on('t', '*', function(msg, tx)\n"
                           "  if msg.id == 'a' then herald.reject('no') end\n"
                           "  tx:exec('insert into hits values (?)', msg.id)\n"
                           "end)\n",
                TABLES);
    deliver(&s, "a", "16");
    deliver(&s, "b", "16");
    scene_run(&s);
    assert_sql(&s, HITS, "");
    do_to(&s, letter_drop, 1);
    assert_sql(&s, HITS, "b");
    scene_end(&s);
}

static void a_person_releases_a_lane(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, ORDERED);
    try_to(&s, lane_release_retry, 2, 0); /* b heads nothing */
    do_to(&s, lane_release_retry, 1);
    assert_sql(&s, HITS, "b");
    deliver(&s, "c", "16");
    scene_run(&s);
    assert_sql(&s, HITS, "b c");
    other(&s, "delete from broken");
    pass(&s, 1000);
    assert_sql(&s, HITS, "b c a");
    scene_end(&s);
}

static void a_person_releases_what_a_letter_holds(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, HOLDING);
    pass(&s, 1000);
    do_to(&s, lane_release_letter, 1);
    assert_sql(&s, HITS, "b");
    assert_sql(&s, "select count(*) from herald_dead", "1");
    try_to(&s, lane_release_letter, 1, 0);
    scene_end(&s);
}

static void whoever_takes_the_first_away_wakes_the_next(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, ORDERED);
    deliver(&s, "c", "16");
    scene_run(&s);
    do_to(&s, retry_drop, 1);
    assert_sql(&s, HITS, "b c");
    scene_end(&s);

    begin(&s, ORDERED);
    deliver(&s, "c", "16");
    scene_run(&s);
    do_to(&s, retry_drop, 2); /* not the first: nobody is woken */
    assert_sql(&s, HITS, "");
    other(&s, "delete from herald_retry where message_id = 'a'");
    scene_run(&s);
    assert_sql(&s, HITS, "c");
    scene_end(&s);
}

static void one_that_waits_cannot_be_hurried(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, ORDERED);
    try_to(&s, retry_now, 2, 0);
    assert_sql(&s, WAITING, "1");
    scene_end(&s);
}

static void lanes_outlive_rules_that_ask_for_no_order(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, ORDERED);
    scene_swap(&s, scene_load(&s, PLAIN), 2);
    deliver(&s, "c", "16"); /* in no order now */
    scene_run(&s);
    assert_sql(&s, HITS, "c");
    other(&s, "delete from broken");
    pass(&s, 1000);
    assert_sql(&s, HITS, "c a b");
    scene_end(&s);
}

static void lanes_of_another_key_are_other_lanes(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, ORDERED);
    scene_swap(&s, scene_load(&s, HEAD QUEUE ", order_by = 'business_key2' }\n" NOTE), 2);
    scene_deliver(&s, "c", "t", "{\"businessKey2\":\"16\"}");
    scene_run(&s);
    assert_sql(&s, HITS, "c");
    assert_sql(&s, WAITING, "1");
    scene_end(&s);
}

/* The time in the lane is not the message's own. */
static void the_age_of_one_that_waited_counts_from_its_first_try(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, HOLDING);
    pass(&s, 1000);
    s.now_ms += 7200000; /* max_age is 1h */
    other(&s, "delete from broken; insert into broken values ('b')");
    do_to(&s, letter_drop, 1);
    assert_sql(&s, "select attempts from herald_retry where message_id = 'b'", "1");
    other(&s, "delete from broken");
    pass(&s, 1000);
    assert_sql(&s, HITS, "b");
    scene_end(&s);
}

static void a_long_lane_drains_in_few_turns(void **state)
{
    struct scene s;
    int64_t turns;
    char id[8];

    (void)state;
    begin(&s, ORDERED);
    for (int i = 0; i < 50; i++) {
        snprintf(id, sizeof id, "c%02d", i);
        deliver(&s, id, "16");
    }
    scene_run(&s);
    assert_sql(&s, WAITING, "51");
    other(&s, "delete from broken");
    turns = turn_counters(s.turn)->turns;
    pass(&s, 1000);
    assert_sql(&s, "select count(*) from hits", "52");
    assert_sql(&s,
               "select count(*) from (select id, lag(id) over (order by rowid) p from hits) "
               "where id < p",
               "0");
    assert_true(turn_counters(s.turn)->turns - turns < 10);
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_later_one_of_the_key_waits_and_nobody_else_does),
        cmocka_unit_test(messages_without_the_key_are_in_no_order),
        cmocka_unit_test(a_redelivery_of_one_that_waits_changes_nothing),
        cmocka_unit_test(a_restart_changes_nothing),
        cmocka_unit_test(a_follower_that_fails_is_the_next_to_be_waited_for),
        cmocka_unit_test(a_dead_one_lets_the_next_go),
        cmocka_unit_test(a_dead_one_can_hold_its_lane_until_it_is_replayed),
        cmocka_unit_test(a_dropped_letter_lets_its_lane_go),
        cmocka_unit_test(a_letter_of_a_lane_that_went_on_is_the_last_of_it),
        cmocka_unit_test(a_message_rejected_at_once_holds_its_lane),
        cmocka_unit_test(a_person_releases_a_lane),
        cmocka_unit_test(a_person_releases_what_a_letter_holds),
        cmocka_unit_test(whoever_takes_the_first_away_wakes_the_next),
        cmocka_unit_test(one_that_waits_cannot_be_hurried),
        cmocka_unit_test(lanes_outlive_rules_that_ask_for_no_order),
        cmocka_unit_test(lanes_of_another_key_are_other_lanes),
        cmocka_unit_test(the_age_of_one_that_waited_counts_from_its_first_try),
        cmocka_unit_test(a_long_lane_drains_in_few_turns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
