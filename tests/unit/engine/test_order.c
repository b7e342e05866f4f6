/* order_by on routes: a row is not overtaken by later ones of its key, whatever becomes of it,
 * and nobody else waits for it. */
#include "scene.h"

#include "check.h"
#include "store/lane.h"
#include "store/letters.h"
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

/* Rows 1 and 2 of one lane, 3 of another, 4 without key, 5 without order. */
static void begin(struct scene *s)
{
    scene_begin(s, ORDERED, "select 1;");
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

static void one_of_a_lane_is_on_its_way_at_a_time(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_string_equal(s.published, "4>y 5>y 1>y 3>y ");
    assert_sql(&s, LANES,
               "1:business_key1=16, 2:business_key1=16 behind, 3:business_key1=17, 4:-, 5:-");
    answer(&s, 1, PUBLISH_CONFIRMED);
    assert_string_equal(s.published, "4>y 5>y 1>y 3>y 2>y ");
    add(&s, "out", "'16'"); /* 6, while 2 is in flight */
    scene_run(&s);
    assert_string_equal(s.published, "4>y 5>y 1>y 3>y 2>y ");
    answer(&s, 2, PUBLISH_CONFIRMED);
    assert_string_equal(s.published, "4>y 5>y 1>y 3>y 2>y 6>y ");
    answer(&s, 6, PUBLISH_CONFIRMED);
    add(&s, "out", "'16'"); /* 7: the lane is empty again */
    scene_run(&s);
    assert_string_equal(s.published, "4>y 5>y 1>y 3>y 2>y 6>y 7>y ");
    scene_end(&s);
}

static void a_nacked_row_is_not_overtaken(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    answer(&s, 1, PUBLISH_NACKED);
    answer(&s, 3, PUBLISH_CONFIRMED);
    add(&s, "out", "'17'"); /* 6: its lane flows */
    add(&s, "out", "'16'"); /* 7 */
    scene_run(&s);
    assert_string_equal(s.published, "4>y 5>y 1>y 3>y 6>y ");
    s.now_ms += 1000;
    scene_run(&s);
    assert_string_equal(s.published, "4>y 5>y 1>y 3>y 6>y 1>y ");
    answer(&s, 1, PUBLISH_UNKNOWN);
    answer(&s, 1, PUBLISH_CONFIRMED);
    answer(&s, 2, PUBLISH_CONFIRMED);
    assert_string_equal(s.published, "4>y 5>y 1>y 3>y 6>y 1>y 1>y 2>y 7>y ");
    scene_end(&s);
}

static void two_types_of_one_key_keep_their_order(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, ORDERED, "select 1;");
    add(&s, "out", "'16'");
    add(&s, "also", "'16'");
    add(&s, "out", "'16'");
    scene_run(&s);
    answer(&s, 1, PUBLISH_CONFIRMED);
    answer(&s, 2, PUBLISH_CONFIRMED);
    assert_string_equal(s.published, "1>y 2>z 3>y ");
    scene_end(&s);
}

static void a_crash_with_the_first_in_flight_keeps_the_order(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    scene_restart(&s);
    scene_run(&s);
    assert_string_equal(s.published, "1>y 3>y 4>y 5>y ");
    answer(&s, 1, PUBLISH_NACKED);
    scene_restart(&s); /* and while it is postponed */
    scene_run(&s);
    assert_string_equal(s.published, "3>y 4>y 5>y ");
    s.now_ms += 1000;
    scene_run(&s);
    answer(&s, 1, PUBLISH_CONFIRMED);
    assert_string_equal(s.published, "3>y 4>y 5>y 1>y 2>y ");
    scene_end(&s);
}

static void a_parked_first_row_releases_its_lane(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    answer(&s, 1, PUBLISH_REFUSED);
    assert_sql(&s, "select count(*) from herald_dead", "1");
    assert_string_equal(s.published, "4>y 5>y 1>y 3>y 2>y ");
    scene_end(&s);
}

/* Parked by the walk itself, without a word of the broker. */
static void a_first_row_that_is_no_good_releases_its_lane(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, ORDERED, "select 1;");
    s.publish_code = ERR_INPUT;
    add(&s, "out", "'16'");
    add(&s, "out", "'16'");
    scene_run(&s);
    assert_sql(&s, "select count(*) from herald_dead", "2");
    assert_sql(&s, "select count(*) from herald_outbox", "0");
    scene_end(&s);
}

static void whoever_deletes_the_first_row_wakes_the_next(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    answer(&s, 1, PUBLISH_NACKED);
    scene_sql(&s, "delete from herald_outbox where id = 1");
    scene_run(&s);
    assert_string_equal(s.published, "4>y 5>y 1>y 3>y 2>y ");
    scene_end(&s);
}

static void a_row_that_is_replaced_wakes_the_next(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, ORDERED, "select 1;");
    scene_sql(&s, "insert into herald_outbox(type, business_key1, key) values ('out', '16', 'k')");
    add(&s, "out", "'16'");
    scene_run(&s);
    answer(&s, 1, PUBLISH_NACKED);
    scene_sql(&s, "insert into herald_outbox(type, business_key1, key) values ('out', '16', 'k')");
    scene_run(&s);
    assert_string_equal(s.published, "1>y 2>y ");
    assert_sql(&s, LANES, "2:business_key1=16, 3:business_key1=16 behind");
    answer(&s, 2, PUBLISH_CONFIRMED);
    assert_string_equal(s.published, "1>y 2>y 3>y ");
    scene_end(&s);
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

static void a_person_may_hurry_the_first_and_nobody_behind_it(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    answer(&s, 1, PUBLISH_NACKED);
    do_to(&s, outbox_now, 2, 0);
    assert_string_equal(s.published, "4>y 5>y 1>y 3>y ");
    do_to(&s, outbox_now, 1, 1);
    assert_string_equal(s.published, "4>y 5>y 1>y 3>y 1>y ");
    scene_end(&s);
}

static void a_row_that_is_released_goes_its_own_way(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    do_to(&s, lane_release_row, 1, 1); /* in flight */
    assert_string_equal(s.published, "4>y 5>y 1>y 3>y 2>y ");
    scene_restart(&s);
    scene_run(&s);
    assert_string_equal(s.published, "1>y 2>y 3>y 4>y 5>y "); /* not put back behind 2 */
    assert_sql(&s, LANES, "1:-, 2:business_key1=16, 3:business_key1=17, 4:-, 5:-");
    scene_end(&s);
}

/* --- legs --- */

#define BOTH                                                                                       \
    HEAD "herald.route { type = 'out', order_by = 'business_key1',\n"                              \
         "  to = { herald.fanout 'y', herald.fanout 'z' } }\n"                                     \
         "herald.route { type = 'one', to = herald.fanout 'y', order_by = 'business_key1' }\n"

static void each_leg_has_a_lane_of_its_own(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, BOTH, "select 1;");
    add(&s, "out", "'16'"); /* legs 3, 4 */
    add(&s, "out", "'16'"); /* legs 5, 6 */
    scene_run(&s);
    assert_string_equal(s.published, "3>y 4>z ");
    assert_sql(&s, LANES,
               "3:business_key1=16 > y:, 4:business_key1=16 > z:, 5:business_key1=16 > y: behind, "
               "6:business_key1=16 > z: behind");
    answer(&s, 3, PUBLISH_NACKED);
    answer(&s, 4, PUBLISH_CONFIRMED);
    assert_string_equal(s.published, "3>y 4>z 6>z "); /* z does not wait for y */
    s.now_ms += 1000;
    scene_run(&s);
    answer(&s, 3, PUBLISH_CONFIRMED);
    assert_string_equal(s.published, "3>y 4>z 6>z 3>y 5>y ");
    scene_end(&s);
}

static void a_row_with_one_destination_follows_the_legs_to_it(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, BOTH, "select 1;");
    add(&s, "out", "'16'"); /* legs 3, 4 */
    add(&s, "one", "'16'"); /* leg 5 */
    scene_run(&s);
    answer(&s, 3, PUBLISH_NACKED);
    assert_string_equal(s.published, "3>y 4>z ");
    s.now_ms += 1000;
    scene_run(&s);
    answer(&s, 3, PUBLISH_CONFIRMED);
    assert_string_equal(s.published, "3>y 4>z 3>y 5>y ");
    scene_end(&s);
}

static void a_function_that_fails_keeps_its_lane_waiting(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s,
                HEAD "herald.route { type = 'out', order_by = 'business_key1', to = function(msg)\n"
                     "  if msg.body == 'bad' then error('no') end\n"
                     "  return herald.fanout 'y' end }\n",
                "select 1;");
    scene_sql(&s, "insert into herald_outbox(type, business_key1, body) values "
                  "('out', '16', '\"bad\"'), ('out', '16', '\"good\"'), ('out', '17', '1')");
    scene_run(&s);
    assert_string_equal(s.published, "3>y ");
    scene_swap(&s, scene_load(&s, ORDERED), 2);
    s.now_ms += 1000;
    scene_run(&s);
    answer(&s, 1, PUBLISH_CONFIRMED);
    assert_string_equal(s.published, "3>y 1>y 2>y ");
    scene_end(&s);
}

/* --- the rules change while rows wait --- */

static void a_lane_outlives_rules_without_order(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    answer(&s, 1, PUBLISH_NACKED);
    scene_swap(&s, scene_load(&s, HEAD "herald.route { type = 'out', to = herald.fanout 'y' }\n"),
               2);
    add(&s, "out", "'16'"); /* 6, in no lane */
    scene_run(&s);
    assert_string_equal(s.published, "4>y 5>y 1>y 3>y 6>y ");
    s.now_ms += 1000;
    scene_run(&s);
    answer(&s, 1, PUBLISH_CONFIRMED);
    assert_string_equal(s.published, "4>y 5>y 1>y 3>y 6>y 1>y 2>y ");
    scene_end(&s);
}

static void rows_from_before_the_order_are_in_no_lane(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, HEAD "herald.route { type = 'out', to = herald.fanout 'y' }\n", "select 1;");
    add(&s, "out", "'16'");
    scene_run(&s);
    answer(&s, 1, PUBLISH_NACKED);
    scene_swap(&s, scene_load(&s, ORDERED), 2);
    add(&s, "out", "'16'");
    s.now_ms += 1000;
    scene_run(&s);
    assert_string_equal(s.published, "1>y 1>y 2>y ");
    assert_sql(&s, LANES, "1:-, 2:business_key1=16");
    scene_end(&s);
}

static void another_field_makes_other_lanes(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    answer(&s, 1, PUBLISH_NACKED);
    scene_swap(&s,
               scene_load(&s, HEAD "herald.route { type = 'out', to = herald.fanout 'y',\n"
                                   "  order_by = 'business_key2' }\n"),
               2);
    scene_sql(&s, "insert into herald_outbox(type, business_key1, business_key2) values "
                  "('out', '16', 'a')");
    scene_run(&s);
    assert_string_equal(s.published, "4>y 5>y 1>y 3>y 6>y ");
    assert_sql_contains(&s, LANES, "2:business_key1=16 behind");
    assert_sql_contains(&s, LANES, "6:business_key2=a");
    scene_end(&s);
}

/* A key may hold anything. */
/* Its column is herald's own, but who can write rows can write it, too. */
static void a_lane_that_somebody_else_wrote_does_no_harm(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s,
                HEAD
                "herald.route { type = 'out', to = herald.fanout 'y' }\n"
                "herald.route { type = 'both', to = { herald.fanout 'y', herald.fanout 'z' } }\n",
                "select 1;");
    scene_sql(&s, "insert into herald_outbox(type, lane) values ('out', hex(zeroblob(4000)))");
    scene_sql(&s, "insert into herald_outbox(type, lane) values ('both', hex(zeroblob(5000)))");
    scene_run(&s);
    assert_string_equal(s.published, "1>y 3>y 4>z ");
    scene_end(&s);
}

static void a_key_with_a_nul_is_a_lane_too(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, ORDERED, "select 1;");
    add(&s, "out", "'a' || char(0) || 'b'");
    add(&s, "out", "'a' || char(0) || 'c'");
    add(&s, "out", "'a' || char(0) || 'b'");
    scene_run(&s);
    assert_string_equal(s.published, "1>y 2>y ");
    answer(&s, 1, PUBLISH_CONFIRMED);
    assert_string_equal(s.published, "1>y 2>y 3>y ");
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_of_a_lane_is_on_its_way_at_a_time),
        cmocka_unit_test(a_nacked_row_is_not_overtaken),
        cmocka_unit_test(two_types_of_one_key_keep_their_order),
        cmocka_unit_test(a_crash_with_the_first_in_flight_keeps_the_order),
        cmocka_unit_test(a_parked_first_row_releases_its_lane),
        cmocka_unit_test(a_first_row_that_is_no_good_releases_its_lane),
        cmocka_unit_test(whoever_deletes_the_first_row_wakes_the_next),
        cmocka_unit_test(a_row_that_is_replaced_wakes_the_next),
        cmocka_unit_test(a_person_may_hurry_the_first_and_nobody_behind_it),
        cmocka_unit_test(a_row_that_is_released_goes_its_own_way),
        cmocka_unit_test(each_leg_has_a_lane_of_its_own),
        cmocka_unit_test(a_row_with_one_destination_follows_the_legs_to_it),
        cmocka_unit_test(a_function_that_fails_keeps_its_lane_waiting),
        cmocka_unit_test(a_lane_outlives_rules_without_order),
        cmocka_unit_test(rows_from_before_the_order_are_in_no_lane),
        cmocka_unit_test(another_field_makes_other_lanes),
        cmocka_unit_test(a_key_with_a_nul_is_a_lane_too),
        cmocka_unit_test(a_lane_that_somebody_else_wrote_does_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
