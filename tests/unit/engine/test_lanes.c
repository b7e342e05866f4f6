/* Order per key: who waits behind whom, what sets a lane going again, and what does not stop. */
#include "scene.h"

#include "check.h"
#include "store/lane.h"
#include "store/letter_replay.h"
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
    scene_setup(s);
    scene_begin(s, rules, TABLES);
    other(s, "insert into broken values ('a')");
    deliver(s, "a", "16");
    deliver(s, "b", "16");
    scene_run(s);
    assert_sql(s, HITS, "");
    assert_int_equal(scene_acked(s), 2);
}

static void ordered(struct scene *s)
{
    begin(s, ORDERED);
}

static void holding(struct scene *s)
{
    begin(s, HOLDING);
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
TEST_FROM(scene, ordered, a_later_one_of_the_key_waits_and_nobody_else_does)
{
    deliver(f, "c", "17");
    deliver(f, "d", NULL);
    deliver(f, "e", NULL);
    deliver(f, "f", "16");
    scene_run(f);
    assert_sql(f, HITS, "c d e");
    assert_sql(f, WAITING, "2");
    assert_sql(f, "select attempts || ' ' || lane from herald_retry where message_id = 'f'",
               "0 business_key1=16");
    assert_int_equal(turn_counters(f->turn)->behind, 2);
    other(f, "delete from broken");
    pass(f, 1000);
    assert_sql(f, HITS, "c d e a b f");
    assert_sql(f, "select count(*) from herald_retry", "0");
    assert_sql(f, "select group_concat(state, '') from herald_inbox", "000000");
}

TEST_WITH(scene, messages_without_the_key_are_in_no_order)
{
    scene_begin(f, ORDERED, TABLES "insert into broken values ('a');");
    deliver(f, "a", NULL);
    deliver(f, "b", NULL);
    scene_run(f);
    assert_sql(f, HITS, "b");
}

TEST_FROM(scene, ordered, a_redelivery_of_one_that_waits_changes_nothing)
{
    deliver(f, "b", "16");
    scene_run(f);
    assert_int_equal(scene_acked(f), 3);
    assert_int_equal(turn_counters(f->turn)->duplicates, 1);
    assert_sql(f, WAITING, "1");
}

TEST_FROM(scene, ordered, a_restart_changes_nothing)
{
    scene_restart(f);
    deliver(f, "c", "16");
    scene_run(f);
    assert_sql(f, WAITING, "2");
    other(f, "delete from broken");
    pass(f, 1000);
    assert_sql(f, HITS, "a b c");
}

/* Each of them has its own attempts: nobody pays for the one before. */
TEST_FROM(scene, ordered, a_follower_that_fails_is_the_next_to_be_waited_for)
{
    deliver(f, "c", "16");
    scene_run(f);
    other(f, "delete from broken; insert into broken values ('b')");
    pass(f, 1000);
    assert_sql(f, HITS, "a");
    assert_sql(f, "select attempts from herald_retry where message_id = 'b'", "1");
    other(f, "delete from broken");
    pass(f, 1000);
    assert_sql(f, HITS, "a b c");
}

TEST_FROM(scene, ordered, a_dead_one_lets_the_next_go)
{
    pass(f, 1000);
    assert_sql(f, HITS, "b");
    assert_sql(f, "select message_id || lane || holds from herald_dead", "abusiness_key1=160");
}

TEST_FROM(scene, holding, a_dead_one_can_hold_its_lane_until_it_is_replayed)
{
    pass(f, 1000);
    deliver(f, "c", "16");
    deliver(f, "d", "17");
    pass(f, 100000);
    assert_sql(f, HITS, "d");
    assert_sql(f, WAITING, "2");
    do_to(f, letter_replay, 1); /* it fails again, and is the first still */
    assert_sql(f, HITS, "d");
    pass(f, 1000);
    assert_sql(f, "select count(*) from herald_dead where holds", "1");
    other(f, "delete from broken");
    do_to(f, letter_replay, 2);
    assert_sql(f, HITS, "d a b c");
    assert_sql(f, "select count(*) from herald_retry", "0");
}

TEST_FROM(scene, holding, a_dropped_letter_lets_its_lane_go)
{
    pass(f, 1000);
    assert_sql(f, HITS, "");
    do_to(f, letter_drop, 1);
    assert_sql(f, HITS, "b");
}

/* Its place is gone: it comes behind what waits by now. */
TEST_FROM(scene, ordered, a_letter_of_a_lane_that_went_on_is_the_last_of_it)
{
    other(f, "insert into broken values ('b')");
    deliver(f, "c", "16");
    pass(f, 1000); /* a is dead, b fails, c is behind it */
    other(f, "delete from broken");
    do_to(f, letter_replay, 1);
    assert_sql(f, HITS, "");
    pass(f, 1000);
    assert_sql(f, HITS, "b c a");
}

/* A rejected delivery was never a retry, and holds its lane as well. */
TEST_WITH(scene, a_message_rejected_at_once_holds_its_lane)
{
    scene_begin(f,
                HEAD QUEUE ", order_by = 'business_key1', on_dead = 'hold' }\n"
                           "herald.on('t', '*', function(msg, tx)\n"
                           "  if msg.id == 'a' then herald.reject('no') end\n"
                           "  tx:exec('insert into hits values (?)', msg.id)\n"
                           "end)\n",
                TABLES);
    deliver(f, "a", "16");
    deliver(f, "b", "16");
    scene_run(f);
    assert_sql(f, HITS, "");
    do_to(f, letter_drop, 1);
    assert_sql(f, HITS, "b");
}

TEST_FROM(scene, ordered, a_person_releases_a_lane)
{
    try_to(f, lane_release_retry, 2, 0); /* b heads nothing */
    do_to(f, lane_release_retry, 1);
    assert_sql(f, HITS, "b");
    deliver(f, "c", "16");
    scene_run(f);
    assert_sql(f, HITS, "b c");
    other(f, "delete from broken");
    pass(f, 1000);
    assert_sql(f, HITS, "b c a");
}

TEST_FROM(scene, holding, a_person_releases_what_a_letter_holds)
{
    pass(f, 1000);
    do_to(f, lane_release_letter, 1);
    assert_sql(f, HITS, "b");
    assert_sql(f, "select count(*) from herald_dead", "1");
    try_to(f, lane_release_letter, 1, 0);
}

TEST_FROM(scene, ordered, whoever_takes_the_first_away_wakes_the_next)
{
    deliver(f, "c", "16");
    scene_run(f);
    do_to(f, retry_drop, 1);
    assert_sql(f, HITS, "b c");

    scene_teardown(f);
    ordered(f);
    deliver(f, "c", "16");
    scene_run(f);
    do_to(f, retry_drop, 2); /* not the first: nobody is woken */
    assert_sql(f, HITS, "");
    other(f, "delete from herald_retry where message_id = 'a'");
    scene_run(f);
    assert_sql(f, HITS, "c");
}

TEST_FROM(scene, ordered, one_that_waits_cannot_be_hurried)
{
    try_to(f, retry_now, 2, 0);
    assert_sql(f, WAITING, "1");
}

TEST_FROM(scene, ordered, lanes_outlive_rules_that_ask_for_no_order)
{
    scene_swap(f, scene_load(f, PLAIN), 2);
    deliver(f, "c", "16"); /* in no order now */
    scene_run(f);
    assert_sql(f, HITS, "c");
    other(f, "delete from broken");
    pass(f, 1000);
    assert_sql(f, HITS, "c a b");
}

TEST_FROM(scene, ordered, lanes_of_another_key_are_other_lanes)
{
    scene_swap(f, scene_load(f, HEAD QUEUE ", order_by = 'business_key2' }\n" NOTE), 2);
    scene_deliver(f, "c", "t", "{\"businessKey2\":\"16\"}");
    scene_run(f);
    assert_sql(f, HITS, "c");
    assert_sql(f, WAITING, "1");
}

/* The time in the lane is not the message's own. */
TEST_FROM(scene, holding, the_age_of_one_that_waited_counts_from_its_first_try)
{
    pass(f, 1000);
    f->now_ms += 7200000; /* max_age is 1h */
    other(f, "delete from broken; insert into broken values ('b')");
    do_to(f, letter_drop, 1);
    assert_sql(f, "select attempts from herald_retry where message_id = 'b'", "1");
    other(f, "delete from broken");
    pass(f, 1000);
    assert_sql(f, HITS, "b");
}

TEST_FROM(scene, ordered, a_long_lane_drains_in_few_turns)
{
    int64_t turns;
    char id[16];

    for (int i = 0; i < 50; i++) {
        snprintf(id, sizeof id, "c%02d", i);
        deliver(f, id, "16");
    }
    scene_run(f);
    assert_sql(f, WAITING, "51");
    other(f, "delete from broken");
    turns = turn_counters(f->turn)->turns;
    pass(f, 1000);
    assert_sql(f, "select count(*) from hits", "52");
    assert_sql(f,
               "select count(*) from (select id, lag(id) over (order by rowid) p from hits) "
               "where id < p",
               "0");
    assert_true(turn_counters(f->turn)->turns - turns < 10);
}
