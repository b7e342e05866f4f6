/* Rows with a time and a key: replaced and cancelled within a turn and while in flight, sent by
 * triggers, and waiting while the clock jumps (docs/faults.md#f34). */
#include "check.h"
#include "scene.h"

#include <string.h>

/* The key of a message says what is done with the row "k". */
static const char rules[] =
    "local herald = require 'herald'\n"
    "herald.subscribe { queue = 'q', from = herald.fanout 'x',\n"
    "  retry = { attempts = 3, delay = '1s', factor = 1, jitter = 0 } }\n"
    "herald.route { type = 'out', to = herald.fanout 'y' }\n"
    "local function emit(msg, tx, delay)\n"
    "  tx:emit { type = 'out', key = 'k', delay = delay, business_key1 = msg.id }\n"
    "end\n"
    "herald.on('now', '*', function(msg, tx) emit(msg, tx) end)\n"
    "herald.on('hour', '*', function(msg, tx) emit(msg, tx, '1h') end)\n"
    "herald.on('cancel', '*', function(msg, tx)\n"
    "  tx:exec('insert into said values (?, ?)', msg.id, tostring(tx:cancel 'k'))\n"
    "end)\n"
    "herald.on('broken', '*', function(msg, tx) tx:cancel 'k' emit(msg, tx) error 'as told' end)\n"
    "herald.on('business', '*', function(msg, tx)\n"
    "  tx:exec('insert into orders values (?)', msg.id)\n"
    "end)\n";

static const char tables[] = "create table said (id text, answer text);"
                             "create table orders (id text);"
                             "create trigger orders_close after insert on orders begin"
                             "  insert into herald_outbox(type, business_key1, key, due_at)"
                             "    values ('out', new.id, 'k', 1700003600000); end;";

#define DAY INT64_C(86400000)
#define HOUR INT64_C(3600000)
#define WAITING "select group_concat(business_key1 || ' ' || due_at) from herald_outbox"

static void begin(struct scene *s)
{
    scene_begin(s, rules, tables);
}

static void handle(struct scene *s, const char *id, const char *type)
{
    scene_deliver(s, id, type, "{}");
    scene_run(s);
}

static void confirm(struct scene *s, int64_t row)
{
    scene_answer(s, row, PUBLISH_CONFIRMED, NULL);
    scene_run(s);
}

static void one_turn_replaces_and_cancels(void **state)
{
    struct scene s;
    struct err err = {0};

    (void)state;
    begin(&s);
    scene_deliver(&s, "a", "now", "{}");
    scene_deliver(&s, "b", "hour", "{}");
    scene_deliver(&s, "c", "cancel", "{}");
    scene_deliver(&s, "d", "cancel", "{}");
    scene_deliver(&s, "e", "now", "{}");
    scene_deliver(&s, "f", "cancel", "{}");
    scene_deliver(&s, "g", "hour", "{}");
    (void)scene_turn(&s, &err);
    assert_int_equal(scene_acked(&s), 7);
    assert_sql(&s, "select group_concat(id || ' ' || answer) from said", "c true,d nil,f true");
    assert_sql(&s, WAITING, "g 1700003600000");
    scene_run(&s);
    assert_string_equal(s.published, "");
    s.now_ms += HOUR;
    scene_run(&s);
    assert_string_equal(s.published, "4>y ");
    scene_end(&s);
}

static void a_failed_handler_neither_cancels_nor_replaces(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    handle(&s, "a", "hour");
    handle(&s, "b", "broken");
    assert_sql(&s, WAITING, "a 1700003600000");
    assert_sql(&s, "select count(*) from herald_retry", "1");
    scene_end(&s);
}

/* docs/design.md#keys-of-rows: settling goes by row id. */
static void a_row_in_flight_is_replaced_and_its_confirm_finds_nothing(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    handle(&s, "a", "now");
    assert_string_equal(s.published, "1>y ");
    handle(&s, "b", "hour");
    confirm(&s, 1);
    assert_sql(&s, WAITING, "b 1700003600000");
    s.now_ms += HOUR;
    scene_run(&s);
    assert_string_equal(s.published, "1>y 2>y ");
    handle(&s, "c", "now"); /* and the next one, while the second is in flight */
    scene_answer(&s, 2, PUBLISH_NACKED, "full");
    scene_run(&s);
    assert_sql(&s, WAITING, "c 0");
    confirm(&s, 3);
    assert_sql(&s, "select count(*) from herald_outbox", "0");
    assert_sql(&s, "select count(*) from herald_dead", "0");
    scene_end(&s);
}

static void a_cancel_of_a_row_in_flight_says_that_it_was_sent(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    handle(&s, "a", "now");
    handle(&s, "b", "cancel");
    assert_sql(&s, "select answer from said", "false");
    confirm(&s, 1);
    assert_sql(&s, "select count(*) from herald_outbox", "0");
    assert_sql(&s, "select count(*) from herald_dead", "0");
    scene_end(&s);
}

static void a_cancel_after_an_unknown_outcome_says_that_it_may_have_been_sent(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    handle(&s, "a", "now");
    s.publish_code = ERR_BUSY;
    scene_answer(&s, 1, PUBLISH_TIMED_OUT, NULL);
    scene_run(&s);
    assert_sql(&s, "select due_at > 0 from herald_outbox", "1");
    handle(&s, "b", "cancel");
    assert_sql(&s, "select answer from said", "false");
    scene_end(&s);
}

/* The copy that was in flight may be on the broker, though it refused the next one. */
static void a_refusal_after_a_crash_is_no_proof(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    handle(&s, "a", "now");
    scene_restart(&s);
    scene_run(&s);
    s.publish_code = ERR_BUSY;
    scene_answer(&s, 1, PUBLISH_NACKED, NULL);
    scene_run(&s);
    handle(&s, "b", "cancel");
    assert_sql(&s, "select answer from said", "false");
    scene_end(&s);
}

/* What was in flight when the process died is in flight nowhere now, and was sent all the same. */
static void a_cancel_after_a_crash_says_that_it_may_have_been_sent(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    handle(&s, "a", "now");
    assert_string_equal(s.published, "1>y ");
    scene_restart(&s);
    handle(&s, "b", "cancel"); /* in the first turn */
    assert_sql(&s, "select answer from said", "false");
    scene_end(&s);
}

static void a_trigger_of_a_business_table_replaces_by_key(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    handle(&s, "a", "now");
    handle(&s, "b", "business");
    assert_sql(&s, WAITING, "b 1700003600000");
    scene_deliver(&s, "c", "business", "{}");
    handle(&s, "d", "business");
    assert_sql(&s, WAITING, "d 1700003600000");
    assert_sql(&s, "select count(*) from orders", "3");
    assert_sql(&s, "select value from herald_meta where key = 'outbox_removed'", "3");
    handle(&s, "e", "cancel");
    assert_sql(&s, "select answer from said", "true");
    assert_sql(&s, "select count(*) from herald_retry", "0");
    scene_end(&s);
}

static void jump(struct scene *s, int64_t ahead_ms)
{
    s->wall_ahead_ms = ahead_ms;
    scene_run(s);
    scene_run(s);
}

static void a_clock_that_jumps_ahead_and_back_sends_once(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    handle(&s, "a", "hour");
    jump(&s, DAY); /* by its word the hour is over */
    assert_string_equal(s.published, "1>y ");
    jump(&s, 0);
    jump(&s, DAY);
    jump(&s, -DAY);
    assert_string_equal(s.published, "1>y ");
    scene_restart(&s); /* in flight is nowhere written: sent again, with the same id */
    scene_run(&s);
    assert_string_equal(s.published, "1>y ");
    s.published[0] = '\0';
    confirm(&s, 1);
    jump(&s, 0);
    s.now_ms += 2 * DAY;
    scene_run(&s);
    assert_string_equal(s.published, "");
    assert_sql(&s, "select count(*) from herald_outbox", "0");
    scene_end(&s);
}

static void a_clock_that_jumps_back_loses_no_row(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    handle(&s, "a", "hour");
    jump(&s, -DAY);
    s.now_ms += HOUR;
    scene_run(&s);
    assert_string_equal(s.published, ""); /* by its word it is yesterday */
    s.wall_ahead_ms = 0;                  /* somebody mends it */
    scene_run(&s);
    assert_string_equal(s.published, "1>y ");
    scene_answer(&s, 1, PUBLISH_NACKED, "full");
    jump(&s, -DAY); /* its next try is of that day, and comes */
    s.now_ms += HOUR;
    scene_run(&s);
    assert_string_equal(s.published, "1>y 1>y ");
    confirm(&s, 1);
    jump(&s, DAY);
    assert_string_equal(s.published, "1>y 1>y ");
    assert_sql(&s, "select count(*) from herald_outbox", "0");
    scene_end(&s);
}

static void rows_of_a_clock_that_was_ahead_wait_for_their_time(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    s.wall_ahead_ms = DAY;
    handle(&s, "a", "hour");
    jump(&s, 0);
    s.now_ms += DAY;
    scene_run(&s);
    assert_string_equal(s.published, "");
    s.now_ms += HOUR;
    scene_run(&s);
    assert_string_equal(s.published, "1>y ");
    confirm(&s, 1);
    assert_sql(&s, "select count(*) from herald_outbox", "0");
    scene_end(&s);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_turn_replaces_and_cancels),
        TEST(a_failed_handler_neither_cancels_nor_replaces),
        TEST(a_row_in_flight_is_replaced_and_its_confirm_finds_nothing),
        TEST(a_cancel_of_a_row_in_flight_says_that_it_was_sent),
        TEST(a_cancel_after_an_unknown_outcome_says_that_it_may_have_been_sent),
        TEST(a_cancel_after_a_crash_says_that_it_may_have_been_sent),
        TEST(a_refusal_after_a_crash_is_no_proof),
        TEST(a_trigger_of_a_business_table_replaces_by_key),
        TEST(a_clock_that_jumps_ahead_and_back_sends_once),
        TEST(a_clock_that_jumps_back_loses_no_row),
        TEST(rows_of_a_clock_that_was_ahead_wait_for_their_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
