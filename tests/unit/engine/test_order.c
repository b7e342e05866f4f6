/* order_by on routes: a row is not overtaken by later ones of its key, whatever becomes of it,
 * and nobody else waits for it. */
#include "scene.h"

#include "check.h"
#include "store/lane.h"
#include "store/letter_replay.h"
#include "store/rows.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#define HEAD "local herald = require 'herald'\n"
#define ORDERED                                                                                    \
    HEAD "herald.route { type = 'out', to = herald.fanout 'y', order_by = 'business_key1' }\n"     \
         "herald.route { type = 'also', to = herald.fanout 'z', order_by = 'business_key1' }\n"    \
         "herald.route { type = 'free', to = herald.fanout 'y' }\n"
#define LANES                                                                                      \
    "select group_concat(id || ':' || coalesce(lane, '-') || iif(due_at = 9223372036854775807, "   \
    "' behind', ''), ', ') from herald_outbox"

static void add(struct scene *s, const char *type, const char *key)
{
    char sql[200];

    snprintf(sql, sizeof sql, "insert into herald_outbox(type, business_key1) values ('%s', %s)",
             type, key);
    scene_sql(s, sql);
}

static void ordered(struct scene *s)
{
    scene_setup(s);
    scene_begin(s, ORDERED, "select 1;");
}

/* Rows 1 and 2 of one lane, 3 of another, 4 without key, 5 without order. */
static void begin(struct scene *s)
{
    ordered(s);
    add(s, "out", "'16'");
    add(s, "out", "'16'");
    add(s, "out", "'17'");
    add(s, "out", "null");
    add(s, "free", "'16'");
    scene_run(s);
}

static void answer(struct scene *s, int64_t row, enum publish_outcome outcome)
{
    scene_answer(s, row, outcome, outcome == PUBLISH_CONFIRMED ? NULL : "as told");
    scene_run(s);
}

TEST_FROM(scene, begin, one_of_a_lane_is_on_its_way_at_a_time)
{
    assert_string_equal(f->published, "4>y 5>y 1>y 3>y ");
    assert_sql(f, LANES,
               "1:business_key1=16, 2:business_key1=16 behind, 3:business_key1=17, 4:-, 5:-");
    answer(f, 1, PUBLISH_CONFIRMED);
    assert_string_equal(f->published, "4>y 5>y 1>y 3>y 2>y ");
    add(f, "out", "'16'"); /* 6, while 2 is in flight */
    scene_run(f);
    assert_string_equal(f->published, "4>y 5>y 1>y 3>y 2>y ");
    answer(f, 2, PUBLISH_CONFIRMED);
    assert_string_equal(f->published, "4>y 5>y 1>y 3>y 2>y 6>y ");
    answer(f, 6, PUBLISH_CONFIRMED);
    add(f, "out", "'16'"); /* 7: the lane is empty again */
    scene_run(f);
    assert_string_equal(f->published, "4>y 5>y 1>y 3>y 2>y 6>y 7>y ");
}

TEST_FROM(scene, begin, a_nacked_row_is_not_overtaken)
{
    answer(f, 1, PUBLISH_NACKED);
    answer(f, 3, PUBLISH_CONFIRMED);
    add(f, "out", "'17'"); /* 6: its lane flows */
    add(f, "out", "'16'"); /* 7 */
    scene_run(f);
    assert_string_equal(f->published, "4>y 5>y 1>y 3>y 6>y ");
    f->now_ms += 1000;
    scene_run(f);
    assert_string_equal(f->published, "4>y 5>y 1>y 3>y 6>y 1>y ");
    answer(f, 1, PUBLISH_UNKNOWN);
    answer(f, 1, PUBLISH_CONFIRMED);
    answer(f, 2, PUBLISH_CONFIRMED);
    assert_string_equal(f->published, "4>y 5>y 1>y 3>y 6>y 1>y 1>y 2>y 7>y ");
}

TEST_FROM(scene, ordered, two_types_of_one_key_keep_their_order)
{
    add(f, "out", "'16'");
    add(f, "also", "'16'");
    add(f, "out", "'16'");
    scene_run(f);
    answer(f, 1, PUBLISH_CONFIRMED);
    answer(f, 2, PUBLISH_CONFIRMED);
    assert_string_equal(f->published, "1>y 2>z 3>y ");
}

TEST_FROM(scene, begin, a_crash_with_the_first_in_flight_keeps_the_order)
{
    scene_restart(f);
    scene_run(f);
    assert_string_equal(f->published, "1>y 3>y 4>y 5>y ");
    answer(f, 1, PUBLISH_NACKED);
    scene_restart(f); /* and while it is postponed */
    scene_run(f);
    assert_string_equal(f->published, "3>y 4>y 5>y ");
    f->now_ms += 1000;
    scene_run(f);
    answer(f, 1, PUBLISH_CONFIRMED);
    assert_string_equal(f->published, "3>y 4>y 5>y 1>y 2>y ");
}

TEST_FROM(scene, begin, a_parked_first_row_releases_its_lane)
{
    answer(f, 1, PUBLISH_REFUSED);
    assert_sql(f, "select count(*) from herald_dead", "1");
    assert_string_equal(f->published, "4>y 5>y 1>y 3>y 2>y ");
}

/* Parked by the walk itself, without a word of the broker. */
TEST_FROM(scene, ordered, a_first_row_that_is_no_good_releases_its_lane)
{
    f->publish_code = ERR_INPUT;
    add(f, "out", "'16'");
    add(f, "out", "'16'");
    scene_run(f);
    assert_sql(f, "select count(*) from herald_dead", "2");
    assert_sql(f, "select count(*) from herald_outbox", "0");
}

TEST_FROM(scene, begin, whoever_deletes_the_first_row_wakes_the_next)
{
    answer(f, 1, PUBLISH_NACKED);
    scene_sql(f, "delete from herald_outbox where id = 1");
    scene_run(f);
    assert_string_equal(f->published, "4>y 5>y 1>y 3>y 2>y ");
}

TEST_FROM(scene, ordered, a_row_that_is_replaced_wakes_the_next)
{
    scene_sql(f, "insert into herald_outbox(type, business_key1, key) values ('out', '16', 'k')");
    add(f, "out", "'16'");
    scene_run(f);
    answer(f, 1, PUBLISH_NACKED);
    scene_sql(f, "insert into herald_outbox(type, business_key1, key) values ('out', '16', 'k')");
    scene_run(f);
    assert_string_equal(f->published, "1>y 2>y ");
    assert_sql(f, LANES, "2:business_key1=16, 3:business_key1=16 behind");
    answer(f, 2, PUBLISH_CONFIRMED);
    assert_string_equal(f->published, "1>y 2>y 3>y ");
}

static void do_to(struct scene *s, pick_fn *fn, int64_t id, size_t want)
{
    struct picked done;
    struct err err = {0};
    size_t passed;

    assert_int_equal(pick_batch(s->db, &id, 1, fn, &passed, &done, &err), OK);
    assert_int_equal(done.changed, want);
    scene_run(s);
}

TEST_FROM(scene, begin, a_person_may_hurry_the_first_and_nobody_behind_it)
{
    answer(f, 1, PUBLISH_NACKED);
    do_to(f, outbox_now, 2, 0);
    assert_string_equal(f->published, "4>y 5>y 1>y 3>y ");
    do_to(f, outbox_now, 1, 1);
    assert_string_equal(f->published, "4>y 5>y 1>y 3>y 1>y ");
}

TEST_FROM(scene, begin, a_row_that_is_released_goes_its_own_way)
{
    do_to(f, lane_release_row, 1, 1); /* in flight */
    assert_string_equal(f->published, "4>y 5>y 1>y 3>y 2>y ");
    scene_restart(f);
    scene_run(f);
    assert_string_equal(f->published, "1>y 2>y 3>y 4>y 5>y "); /* not put back behind 2 */
    assert_sql(f, LANES, "1:-, 2:business_key1=16, 3:business_key1=17, 4:-, 5:-");
}

/* --- legs --- */

#define BOTH                                                                                       \
    HEAD "herald.route { type = 'out', order_by = 'business_key1',\n"                              \
         "  to = { herald.fanout 'y', herald.fanout 'z' } }\n"                                     \
         "herald.route { type = 'one', to = herald.fanout 'y', order_by = 'business_key1' }\n"

TEST_WITH(scene, each_leg_has_a_lane_of_its_own)
{
    scene_begin(f, BOTH, "select 1;");
    add(f, "out", "'16'"); /* legs 3, 4 */
    add(f, "out", "'16'"); /* legs 5, 6 */
    scene_run(f);
    assert_string_equal(f->published, "3>y 4>z ");
    assert_sql(f, LANES,
               "3:business_key1=16 > y:, 4:business_key1=16 > z:, 5:business_key1=16 > y: behind, "
               "6:business_key1=16 > z: behind");
    answer(f, 3, PUBLISH_NACKED);
    answer(f, 4, PUBLISH_CONFIRMED);
    assert_string_equal(f->published, "3>y 4>z 6>z "); /* z does not wait for y */
    f->now_ms += 1000;
    scene_run(f);
    answer(f, 3, PUBLISH_CONFIRMED);
    assert_string_equal(f->published, "3>y 4>z 6>z 3>y 5>y ");
}

TEST_WITH(scene, a_row_with_one_destination_follows_the_legs_to_it)
{
    scene_begin(f, BOTH, "select 1;");
    add(f, "out", "'16'"); /* legs 3, 4 */
    add(f, "one", "'16'"); /* leg 5 */
    scene_run(f);
    answer(f, 3, PUBLISH_NACKED);
    assert_string_equal(f->published, "3>y 4>z ");
    f->now_ms += 1000;
    scene_run(f);
    answer(f, 3, PUBLISH_CONFIRMED);
    assert_string_equal(f->published, "3>y 4>z 3>y 5>y ");
}

TEST_WITH(scene, a_function_that_fails_keeps_its_lane_waiting)
{
    scene_begin(f,
                HEAD "herald.route { type = 'out', order_by = 'business_key1', to = function(msg)\n"
                     "  if msg.body == 'bad' then error('no') end\n"
                     "  return herald.fanout 'y' end }\n",
                "select 1;");
    scene_sql(f, "insert into herald_outbox(type, business_key1, body) values "
                 "('out', '16', '\"bad\"'), ('out', '16', '\"good\"'), ('out', '17', '1')");
    scene_run(f);
    assert_string_equal(f->published, "3>y ");
    scene_swap(f, scene_load(f, ORDERED), 2);
    f->now_ms += 1000;
    scene_run(f);
    answer(f, 1, PUBLISH_CONFIRMED);
    assert_string_equal(f->published, "3>y 1>y 2>y ");
}

/* --- the rules change while rows wait --- */

TEST_FROM(scene, begin, a_lane_outlives_rules_without_order)
{
    answer(f, 1, PUBLISH_NACKED);
    scene_swap(f, scene_load(f, HEAD "herald.route { type = 'out', to = herald.fanout 'y' }\n"), 2);
    add(f, "out", "'16'"); /* 6, in no lane */
    scene_run(f);
    assert_string_equal(f->published, "4>y 5>y 1>y 3>y 6>y ");
    f->now_ms += 1000;
    scene_run(f);
    answer(f, 1, PUBLISH_CONFIRMED);
    assert_string_equal(f->published, "4>y 5>y 1>y 3>y 6>y 1>y 2>y ");
}

TEST_WITH(scene, rows_from_before_the_order_are_in_no_lane)
{
    scene_begin(f, HEAD "herald.route { type = 'out', to = herald.fanout 'y' }\n", "select 1;");
    add(f, "out", "'16'");
    scene_run(f);
    answer(f, 1, PUBLISH_NACKED);
    scene_swap(f, scene_load(f, ORDERED), 2);
    add(f, "out", "'16'");
    f->now_ms += 1000;
    scene_run(f);
    assert_string_equal(f->published, "1>y 1>y 2>y ");
    assert_sql(f, LANES, "1:-, 2:business_key1=16");
}

TEST_FROM(scene, begin, another_field_makes_other_lanes)
{
    answer(f, 1, PUBLISH_NACKED);
    scene_swap(f,
               scene_load(f, HEAD "herald.route { type = 'out', to = herald.fanout 'y',\n"
                                  "  order_by = 'business_key2' }\n"),
               2);
    scene_sql(f, "insert into herald_outbox(type, business_key1, business_key2) values "
                 "('out', '16', 'a')");
    scene_run(f);
    assert_string_equal(f->published, "4>y 5>y 1>y 3>y 6>y ");
    assert_sql_contains(f, LANES, "2:business_key1=16 behind");
    assert_sql_contains(f, LANES, "6:business_key2=a");
}

/* A key may hold anything. */
/* Its column is herald's own, but who can write rows can write it, too. */
TEST_WITH(scene, a_lane_that_somebody_else_wrote_does_no_harm)
{
    scene_begin(f,
                HEAD
                "herald.route { type = 'out', to = herald.fanout 'y' }\n"
                "herald.route { type = 'both', to = { herald.fanout 'y', herald.fanout 'z' } }\n",
                "select 1;");
    scene_sql(f, "insert into herald_outbox(type, lane) values ('out', hex(zeroblob(4000)))");
    scene_sql(f, "insert into herald_outbox(type, lane) values ('both', hex(zeroblob(5000)))");
    scene_run(f);
    assert_string_equal(f->published, "1>y 3>y 4>z ");
}

TEST_FROM(scene, ordered, a_key_with_a_nul_is_a_lane_too)
{
    add(f, "out", "'a' || char(0) || 'b'");
    add(f, "out", "'a' || char(0) || 'c'");
    add(f, "out", "'a' || char(0) || 'b'");
    scene_run(f);
    assert_string_equal(f->published, "1>y 2>y ");
    answer(f, 1, PUBLISH_CONFIRMED);
    assert_string_equal(f->published, "1>y 2>y 3>y ");
}
