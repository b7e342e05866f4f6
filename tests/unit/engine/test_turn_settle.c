/* Rows that are not confirmed: what counts as an attempt, when it is given up, and for how long
 * a row that may have been sent is sent again. */
#include "scene.h"

#include "check.h"
#include "store/letters.h"

#include <stdio.h>
#include <string.h>

#define HEAD "local herald = require 'herald'\n"
#define ROUTE HEAD "herald.route { type = 'out', to = herald.fanout 'y' }\n"
#define ADD "insert into herald_outbox(type) values ('out')"
#define DAY INT64_C(86400000)

/* Refused three times, 1 s and 2 s after each other. */
static const struct retry_policy thrice = {
    .attempts = 3, .n_delays = 1, .delay_ms = {1000}, .factor = 2, .delay_max_ms = 300000};

static void begin(struct scene *s, const char *rules)
{
    scene_begin(s, rules, "select 1;");
    turn_use_publish_retry(s->turn, &thrice);
    scene_sql(s, ADD);
    scene_run(s);
}

static void answer(struct scene *s, enum publish_outcome outcome, const char *why)
{
    scene_answer(s, 1, outcome, why);
    scene_run(s);
}

static void a_row_that_is_refused_is_parked_at_the_limit(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, ROUTE);
    answer(&s, PUBLISH_NACKED, NULL);
    assert_sql(&s, "select attempts || ' ' || (due_at - 1700000000000) from herald_outbox",
               "1 1000");
    s.now_ms += 1000;
    scene_run(&s);
    answer(&s, PUBLISH_RETURNED, "no queue");
    assert_sql(&s, "select attempts || ' ' || (due_at - 1700000001000) from herald_outbox",
               "2 2000");
    s.now_ms += 2000;
    scene_run(&s);
    assert_string_equal(s.published, "1>y 1>y 1>y ");
    answer(&s, PUBLISH_NACKED, "404 NOT_FOUND");
    assert_sql(&s, "select count(*) from herald_outbox", "0");
    assert_sql(&s, "select side || attempts || error from herald_dead",
               "outbox3404 NOT_FOUND (refused 3 times since 2023-11-14T22:13:20.000Z, which is all "
               "that publish_retry allows)");
    assert_int_equal(turn_counters(s.turn)->parked, 1);
    scene_end(&s);
}

static void an_exchange_that_is_refused_counts(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, ROUTE);
    answer(&s, PUBLISH_NACKED, NULL);
    s.publish_code = ERR_BROKER;
    for (int i = 0; i < 2; i++) {
        s.now_ms += 2000;
        scene_run(&s);
    }
    assert_sql_contains(&s, "select error from herald_dead", "refused 3 times");
    assert_sql_contains(&s, "select error from herald_dead", "the fake broker says no");
    scene_end(&s);
}

static void a_broken_route_counts(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, HEAD "herald.route { type = 'out', to = function() error('broken') end }\n");
    for (int i = 0; i < 2; i++) {
        s.now_ms += 2000;
        scene_run(&s);
    }
    assert_sql(&s, "select attempts from herald_dead", "3");
    assert_sql_contains(&s, "select error from herald_dead", "broken (refused 3 times");
    scene_end(&s);
}

static void the_rows_own_fault_parks_it_at_once(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, ROUTE);
    answer(&s, PUBLISH_REFUSED, "406 message size is larger");
    assert_sql(&s, "select attempts || error from herald_dead", "1406 message size is larger");
    scene_end(&s);
}

/* A week with a broker that is dead, or worse: it comes and goes. */
static void a_dead_broker_parks_nothing(void **state)
{
    static const enum publish_outcome outcomes[] = {PUBLISH_UNKNOWN, PUBLISH_TIMED_OUT,
                                                    PUBLISH_UNSENT};
    struct scene s;

    (void)state;
    begin(&s, ROUTE);
    for (int i = 0; i < 120; i++) {
        answer(&s, outcomes[i % 3], i % 3 == 1 ? NULL : "cut");
        s.now_ms += 3600000;
        scene_run(&s);
    }
    answer(&s, PUBLISH_UNSENT, "cut");
    s.publish_code = ERR_CLOSED;
    for (int i = 0; i < 40; i++) {
        s.now_ms += 3600000;
        scene_run(&s);
    }
    assert_sql(&s, "select count(*) from herald_dead", "0");
    assert_sql(&s, "select attempts || reason from herald_outbox", "0the fake broker says no");
    s.publish_code = OK;
    s.now_ms += 2000;
    scene_run(&s);
    answer(&s, PUBLISH_CONFIRMED, NULL);
    assert_sql(&s, "select count(*) from herald_outbox", "0");
    scene_end(&s);
}

static void what_is_unheard_goes_out_again_at_once_and_then_in_a_moment(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, ROUTE);
    answer(&s, PUBLISH_UNKNOWN, "cut");
    scene_run(&s);
    assert_string_equal(s.published, "1>y 1>y ");
    assert_sql(&s, "select first_sent_at - 1700000000000 from herald_outbox", "0");
    s.now_ms += 500;
    answer(&s, PUBLISH_TIMED_OUT, NULL);
    scene_run(&s);
    assert_string_equal(s.published, "1>y 1>y ");
    s.now_ms += 2000;
    scene_run(&s);
    assert_string_equal(s.published, "1>y 1>y 1>y ");
    assert_sql(&s, "select first_sent_at - 1700000000000 from herald_outbox", "0"); /* the first */
    scene_end(&s);
}

static void max_age_counts_from_the_first_refusal(void **state)
{
    struct retry_policy p = thrice;
    struct scene s;

    (void)state;
    begin(&s, ROUTE);
    p.attempts = 1000;
    p.max_age_ms = 5000;
    turn_use_publish_retry(s.turn, &p);
    s.now_ms += 30 * DAY;             /* as long as the broker was away */
    answer(&s, PUBLISH_NACKED, NULL); /* age 0 */
    assert_sql(&s, "select attempts from herald_outbox", "1");
    s.now_ms += 1000;
    scene_run(&s);
    answer(&s, PUBLISH_NACKED, NULL); /* age 1 s, and 2 more */
    s.now_ms += 2000;
    scene_run(&s);
    answer(&s, PUBLISH_NACKED, NULL); /* age 3 s, and 4 more */
    assert_sql_contains(&s, "select error from herald_dead", "refused 3 times since 2023-12-14T");
    scene_end(&s);
}

/* --- sent once, and nobody knows (docs/design.md#the-inbox-window) --- */

static void a_row_that_may_have_been_sent_is_not_sent_again_after_the_window(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, ROUTE);
    answer(&s, PUBLISH_UNKNOWN, "cut");
    s.room = 0; /* the broker is away, for as long as consumers remember an id */
    s.now_ms += 7 * DAY;
    scene_run(&s);
    s.room = 20;
    answer(&s, PUBLISH_UNKNOWN, "cut");
    s.now_ms += 2000;
    scene_run(&s);
    assert_sql(&s, "select count(*) from herald_outbox", "0");
    assert_sql_contains(&s, "select error from herald_dead",
                        "too old to send again: it was sent, and up to 2023-11-14T22:13:20.000Z no "
                        "word of the broker came back.");
    assert_sql_contains(&s, "select error from herald_dead", "replay");
    scene_end(&s);
}

static void up_to_the_window_it_is_sent_again(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, ROUTE);
    s.room = 0;
    answer(&s, PUBLISH_UNKNOWN, "cut");
    s.now_ms += 7 * DAY;
    s.room = 20;
    scene_run(&s);
    assert_string_equal(s.published, "1>y 1>y ");
    scene_end(&s);
}

/* Refusals are the broker's word: it does not have the row. */
static void a_row_that_was_only_refused_is_never_too_old(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, ROUTE);
    answer(&s, PUBLISH_NACKED, NULL);
    s.now_ms += 30 * DAY;
    scene_run(&s);
    assert_string_equal(s.published, "1>y 1>y ");
    scene_end(&s);
}

static void a_person_may_send_it_all_the_same(void **state)
{
    struct scene s;
    struct picked done = {.changed = 0};
    struct err err = {0};

    (void)state;
    begin(&s, ROUTE);
    s.room = 0;
    answer(&s, PUBLISH_UNKNOWN, "cut");
    s.now_ms += 8 * DAY;
    s.room = 20;
    scene_run(&s);
    assert_sql(&s, "select count(*) || attempts from herald_dead", "11");
    assert_int_equal(db_begin(s.db, &err), OK);
    assert_int_equal(letter_replay(s.db, 1, s.now_ms, &done, &err), OK);
    assert_int_equal(db_commit(s.db, &err), OK);
    scene_run(&s);
    assert_string_equal(s.published, "1>y 2>y ");
    scene_answer(&s, 2, PUBLISH_CONFIRMED, NULL);
    scene_run(&s);
    assert_sql(&s, "select (select count(*) from herald_outbox) + count(*) from herald_dead", "0");
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_that_is_refused_is_parked_at_the_limit),
        cmocka_unit_test(an_exchange_that_is_refused_counts),
        cmocka_unit_test(a_broken_route_counts),
        cmocka_unit_test(the_rows_own_fault_parks_it_at_once),
        cmocka_unit_test(a_dead_broker_parks_nothing),
        cmocka_unit_test(what_is_unheard_goes_out_again_at_once_and_then_in_a_moment),
        cmocka_unit_test(max_age_counts_from_the_first_refusal),
        cmocka_unit_test(a_row_that_may_have_been_sent_is_not_sent_again_after_the_window),
        cmocka_unit_test(up_to_the_window_it_is_sent_again),
        cmocka_unit_test(a_row_that_was_only_refused_is_never_too_old),
        cmocka_unit_test(a_person_may_send_it_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
