/* Rows that are not confirmed: what counts as an attempt, when it is given up, and for how long
 * a row that may have been sent is sent again. */
#include "scene.h"

#include "check.h"
#include "store/letter_replay.h"

#include <stdio.h>
#include <string.h>

#define HEAD "local herald = require 'herald'\n"
#define ROUTE HEAD "herald.route { type = 'out', to = herald.fanout 'y' }\n"
#define ADD "insert into herald_outbox(type) values ('out')"
#define DAY INT64_C(86400000)

/* Refused three times, 1 s and 2 s after each other. */
static const struct retry_policy thrice = {
    .attempts = 3, .n_delays = 1, .delay_ms = {1000}, .factor = 2, .delay_max_ms = 300000};

static void begin_with(struct scene *s, const char *rules)
{
    scene_begin(s, rules, "select 1;");
    s->settings.publish_retry = thrice;
    scene_sql(s, ADD);
    scene_run(s);
}

static void begin(struct scene *s)
{
    scene_setup(s);
    begin_with(s, ROUTE);
}

static void answer(struct scene *s, enum publish_outcome outcome, const char *why)
{
    scene_answer(s, 1, outcome, why);
    scene_run(s);
}

TEST_FROM(scene, begin, a_row_that_is_refused_is_parked_at_the_limit)
{
    answer(f, PUBLISH_NACKED, NULL);
    assert_sql(f, "select attempts || ' ' || (due_at - 1700000000000) from herald_outbox",
               "1 1000");
    f->now_ms += 1000;
    scene_run(f);
    answer(f, PUBLISH_RETURNED, "no queue");
    assert_sql(f, "select attempts || ' ' || (due_at - 1700000001000) from herald_outbox",
               "2 2000");
    f->now_ms += 2000;
    scene_run(f);
    assert_string_equal(f->published, "1>y 1>y 1>y ");
    answer(f, PUBLISH_NACKED, "404 NOT_FOUND");
    assert_sql(f, "select count(*) from herald_outbox", "0");
    assert_sql(f, "select side || attempts || error from herald_dead",
               "outbox3404 NOT_FOUND (refused 3 times since 2023-11-14T22:13:20.000Z, which is all "
               "that publish_retry allows)");
    assert_int_equal(turn_counters(f->turn)->parked, 1);
}

TEST_FROM(scene, begin, an_exchange_that_is_refused_counts)
{
    answer(f, PUBLISH_NACKED, NULL);
    f->publish_code = ERR_BROKER;
    for (int i = 0; i < 2; i++) {
        f->now_ms += 2000;
        scene_run(f);
    }
    assert_sql_contains(f, "select error from herald_dead", "refused 3 times");
    assert_sql_contains(f, "select error from herald_dead", "the fake broker says no");
}

TEST_WITH(scene, a_broken_route_counts)
{
    begin_with(f, HEAD "herald.route { type = 'out', to = function() error('broken') end }\n");
    for (int i = 0; i < 2; i++) {
        f->now_ms += 2000;
        scene_run(f);
    }
    assert_sql(f, "select attempts from herald_dead", "3");
    assert_sql_contains(f, "select error from herald_dead", "broken (refused 3 times");
}

TEST_FROM(scene, begin, the_rows_own_fault_parks_it_at_once)
{
    answer(f, PUBLISH_REFUSED, "406 message size is larger");
    assert_sql(f, "select attempts || error from herald_dead", "1406 message size is larger");
}

/* A week with a broker that is dead, or worse: it comes and goes. */
TEST_FROM(scene, begin, a_dead_broker_parks_nothing)
{
    static const enum publish_outcome outcomes[] = {PUBLISH_UNKNOWN, PUBLISH_TIMED_OUT,
                                                    PUBLISH_UNSENT};

    for (int i = 0; i < 120; i++) {
        answer(f, outcomes[i % 3], i % 3 == 1 ? NULL : "cut");
        f->now_ms += 3600000;
        scene_run(f);
    }
    answer(f, PUBLISH_UNSENT, "cut");
    f->publish_code = ERR_CLOSED;
    for (int i = 0; i < 40; i++) {
        f->now_ms += 3600000;
        scene_run(f);
    }
    assert_sql(f, "select count(*) from herald_dead", "0");
    assert_sql(f, "select attempts || reason from herald_outbox", "0the fake broker says no");
    f->publish_code = OK;
    f->now_ms += 2000;
    scene_run(f);
    answer(f, PUBLISH_CONFIRMED, NULL);
    assert_sql(f, "select count(*) from herald_outbox", "0");
}

TEST_FROM(scene, begin, what_is_unheard_goes_out_again_at_once_and_then_in_a_moment)
{
    answer(f, PUBLISH_UNKNOWN, "cut");
    scene_run(f);
    assert_string_equal(f->published, "1>y 1>y ");
    assert_sql(f, "select first_sent_at - 1700000000000 from herald_outbox", "0");
    f->now_ms += 500;
    answer(f, PUBLISH_TIMED_OUT, NULL);
    scene_run(f);
    assert_string_equal(f->published, "1>y 1>y ");
    f->now_ms += 2000;
    scene_run(f);
    assert_string_equal(f->published, "1>y 1>y 1>y ");
    assert_sql(f, "select first_sent_at - 1700000000000 from herald_outbox", "0"); /* the first */
}

TEST_FROM(scene, begin, max_age_counts_from_the_first_refusal)
{
    struct retry_policy p = thrice;

    p.attempts = 1000;
    p.max_age_ms = 5000;
    f->settings.publish_retry = p;
    f->now_ms += 30 * DAY;           /* as long as the broker was away */
    answer(f, PUBLISH_NACKED, NULL); /* age 0 */
    assert_sql(f, "select attempts from herald_outbox", "1");
    f->now_ms += 1000;
    scene_run(f);
    answer(f, PUBLISH_NACKED, NULL); /* age 1 s, and 2 more */
    f->now_ms += 2000;
    scene_run(f);
    answer(f, PUBLISH_NACKED, NULL); /* age 3 s, and 4 more */
    assert_sql_contains(f, "select error from herald_dead", "refused 3 times since 2023-12-14T");
}

/* --- sent once, and nobody knows (docs/design.md#the-inbox-window) --- */

TEST_FROM(scene, begin, a_row_that_may_have_been_sent_is_not_sent_again_after_the_window)
{
    answer(f, PUBLISH_UNKNOWN, "cut");
    f->room = 0; /* the broker is away, for as long as consumers remember an id */
    f->now_ms += 7 * DAY;
    scene_run(f);
    f->room = 20;
    answer(f, PUBLISH_UNKNOWN, "cut");
    f->now_ms += 2000;
    scene_run(f);
    assert_sql(f, "select count(*) from herald_outbox", "0");
    assert_sql_contains(f, "select error from herald_dead",
                        "too old to send again: it was sent, and up to 2023-11-14T22:13:20.000Z no "
                        "word of the broker came back.");
    assert_sql_contains(f, "select error from herald_dead", "replay");
}

TEST_FROM(scene, begin, up_to_the_window_it_is_sent_again)
{
    f->room = 0;
    answer(f, PUBLISH_UNKNOWN, "cut");
    f->now_ms += 7 * DAY;
    f->room = 20;
    scene_run(f);
    assert_string_equal(f->published, "1>y 1>y ");
}

/* Refusals are the broker's word: it does not have the row. */
TEST_FROM(scene, begin, a_row_that_was_only_refused_is_never_too_old)
{
    answer(f, PUBLISH_NACKED, NULL);
    f->now_ms += 30 * DAY;
    scene_run(f);
    assert_string_equal(f->published, "1>y 1>y ");
}

TEST_FROM(scene, begin, a_person_may_send_it_all_the_same)
{
    struct picked done = {.changed = 0};
    struct err err = {0};

    f->room = 0;
    answer(f, PUBLISH_UNKNOWN, "cut");
    f->now_ms += 8 * DAY;
    f->room = 20;
    scene_run(f);
    assert_sql(f, "select count(*) || attempts from herald_dead", "11");
    assert_int_equal(db_begin(f->db, &err), OK);
    assert_int_equal(letter_replay(f->db, 1, f->now_ms, &done, &err), OK);
    assert_int_equal(db_commit(f->db, &err), OK);
    scene_run(f);
    assert_string_equal(f->published, "1>y 2>y ");
    scene_answer(f, 2, PUBLISH_CONFIRMED, NULL);
    scene_run(f);
    assert_sql(f, "select (select count(*) from herald_outbox) + count(*) from herald_dead", "0");
}

#define ASKED                                                                                      \
    HEAD "herald.subscribe { queue = 'q' }\n"                                                      \
         "herald.on('ask', '*', function(msg, tx) tx:reply({ ok = true }) end)\n"

static void ask(struct scene *s, const char *properties)
{
    scene_begin(s, ASKED, "select 1;");
    s->settings.publish_retry = thrice;
    s->settings.history_ms = DAY;
    scene_deliver(s, "m", "ask", "{}");
    s->deliveries[0].delivery.message.properties = slice_of(properties);
}

TEST_WITH(scene, an_answer_is_sent_to_its_queue)
{
    ask(f, "{\"reply_to\":\"answers\",\"correlation_id\":\"c\"}");
    scene_run(f);
    assert_int_equal(scene_acked(f), 1);
    assert_string_equal(f->published, "1>answers ");
    assert_sql(f,
               "select type || body || properties || leg_routing_key || leg_exchange "
               "from herald_outbox",
               "reply{\"ok\":true}{\"correlation_id\":\"c\"}answers");
    answer(f, PUBLISH_NACKED, NULL);
    f->now_ms += 1000;
    scene_run(f);
    assert_string_equal(f->published, "1>answers 1>answers "); /* by the same id */
    answer(f, PUBLISH_CONFIRMED, NULL);
    assert_sql(f, "select outcome || routing_key from herald_history where side = 'outbox'",
               "confirmedanswers");
    assert_int_equal(turn_counters(f->turn)->unwanted, 0);
}

TEST_WITH(scene, an_answer_that_no_queue_takes_is_unwanted)
{
    ask(f, "{\"reply_to\":\"answers\"}");
    scene_run(f);
    answer(f, PUBLISH_RETURNED, "no queue took it");
    assert_sql(f,
               "select (select count(*) from herald_outbox) || (select count(*) from herald_dead)",
               "00");
    assert_sql(f, "select outcome || routing_key from herald_history where side = 'outbox'",
               "unwantedanswers");
    assert_int_equal(turn_counters(f->turn)->unwanted, 1);
    assert_non_null(strstr(scene_log(f), "outbox.unwanted"));
}

TEST_WITH(scene, an_answer_that_comes_too_late_is_not_sent)
{
    ask(f, "{\"reply_to\":\"answers\",\"expiration\":\"1000\"}");
    f->room = 0; /* the broker is away */
    scene_run(f);
    f->now_ms += 1001;
    f->room = 10;
    scene_run(f);
    assert_string_equal(f->published, "");
    assert_sql(f, "select outcome from herald_history where side = 'outbox'", "unwanted");
    assert_int_equal(turn_counters(f->turn)->unwanted, 1);
}
