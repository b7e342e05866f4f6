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
    scene_setup(s);
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

TEST_FROM(scene, begin, one_turn_replaces_and_cancels)
{
    struct err err = {0};

    scene_deliver(f, "a", "now", "{}");
    scene_deliver(f, "b", "hour", "{}");
    scene_deliver(f, "c", "cancel", "{}");
    scene_deliver(f, "d", "cancel", "{}");
    scene_deliver(f, "e", "now", "{}");
    scene_deliver(f, "f", "cancel", "{}");
    scene_deliver(f, "g", "hour", "{}");
    (void)scene_turn(f, &err);
    assert_int_equal(scene_acked(f), 7);
    assert_sql(f, "select group_concat(id || ' ' || answer) from said", "c true,d nil,f true");
    assert_sql(f, WAITING, "g 1700003600000");
    scene_run(f);
    assert_string_equal(f->published, "");
    f->now_ms += HOUR;
    scene_run(f);
    assert_string_equal(f->published, "4>y ");
}

TEST_FROM(scene, begin, a_failed_handler_neither_cancels_nor_replaces)
{
    handle(f, "a", "hour");
    handle(f, "b", "broken");
    assert_sql(f, WAITING, "a 1700003600000");
    assert_sql(f, "select count(*) from herald_retry", "1");
}

/* docs/design.md#keys-of-rows: settling goes by row id. */
TEST_FROM(scene, begin, a_row_in_flight_is_replaced_and_its_confirm_finds_nothing)
{
    handle(f, "a", "now");
    assert_string_equal(f->published, "1>y ");
    handle(f, "b", "hour");
    confirm(f, 1);
    assert_sql(f, WAITING, "b 1700003600000");
    f->now_ms += HOUR;
    scene_run(f);
    assert_string_equal(f->published, "1>y 2>y ");
    handle(f, "c", "now"); /* and the next one, while the second is in flight */
    scene_answer(f, 2, PUBLISH_NACKED, "full");
    scene_run(f);
    assert_sql(f, WAITING, "c 0");
    confirm(f, 3);
    assert_sql(f, "select count(*) from herald_outbox", "0");
    assert_sql(f, "select count(*) from herald_dead", "0");
}

TEST_FROM(scene, begin, a_cancel_of_a_row_in_flight_says_that_it_was_sent)
{
    handle(f, "a", "now");
    handle(f, "b", "cancel");
    assert_sql(f, "select answer from said", "false");
    confirm(f, 1);
    assert_sql(f, "select count(*) from herald_outbox", "0");
    assert_sql(f, "select count(*) from herald_dead", "0");
}

TEST_FROM(scene, begin, a_cancel_after_an_unknown_outcome_says_that_it_may_have_been_sent)
{
    handle(f, "a", "now");
    f->publish_code = ERR_BUSY;
    scene_answer(f, 1, PUBLISH_TIMED_OUT, NULL);
    scene_run(f);
    assert_sql(f, "select due_at > 0 from herald_outbox", "1");
    handle(f, "b", "cancel");
    assert_sql(f, "select answer from said", "false");
}

/* The copy that was in flight may be on the broker, though it refused the next one. */
TEST_FROM(scene, begin, a_refusal_after_a_crash_is_no_proof)
{
    handle(f, "a", "now");
    scene_restart(f);
    scene_run(f);
    f->publish_code = ERR_BUSY;
    scene_answer(f, 1, PUBLISH_NACKED, NULL);
    scene_run(f);
    handle(f, "b", "cancel");
    assert_sql(f, "select answer from said", "false");
}

/* What was in flight when the process died is in flight nowhere now, and was sent all the same. */
TEST_FROM(scene, begin, a_cancel_after_a_crash_says_that_it_may_have_been_sent)
{
    handle(f, "a", "now");
    assert_string_equal(f->published, "1>y ");
    scene_restart(f);
    handle(f, "b", "cancel"); /* in the first turn */
    assert_sql(f, "select answer from said", "false");
}

TEST_FROM(scene, begin, a_trigger_of_a_business_table_replaces_by_key)
{
    handle(f, "a", "now");
    handle(f, "b", "business");
    assert_sql(f, WAITING, "b 1700003600000");
    scene_deliver(f, "c", "business", "{}");
    handle(f, "d", "business");
    assert_sql(f, WAITING, "d 1700003600000");
    assert_sql(f, "select count(*) from orders", "3");
    assert_sql(f, "select value from herald_meta where key = 'outbox_removed'", "3");
    handle(f, "e", "cancel");
    assert_sql(f, "select answer from said", "true");
    assert_sql(f, "select count(*) from herald_retry", "0");
}

static void jump(struct scene *s, int64_t ahead_ms)
{
    s->wall_ahead_ms = ahead_ms;
    scene_run(s);
    scene_run(s);
}

TEST_FROM(scene, begin, a_clock_that_jumps_ahead_and_back_sends_once)
{
    handle(f, "a", "hour");
    jump(f, DAY); /* by its word the hour is over */
    assert_string_equal(f->published, "1>y ");
    jump(f, 0);
    jump(f, DAY);
    jump(f, -DAY);
    assert_string_equal(f->published, "1>y ");
    scene_restart(f); /* in flight is nowhere written: sent again, with the same id */
    scene_run(f);
    assert_string_equal(f->published, "1>y ");
    f->published[0] = '\0';
    confirm(f, 1);
    jump(f, 0);
    f->now_ms += 2 * DAY;
    scene_run(f);
    assert_string_equal(f->published, "");
    assert_sql(f, "select count(*) from herald_outbox", "0");
}

TEST_FROM(scene, begin, a_clock_that_jumps_back_loses_no_row)
{
    handle(f, "a", "hour");
    jump(f, -DAY);
    f->now_ms += HOUR;
    scene_run(f);
    assert_string_equal(f->published, ""); /* by its word it is yesterday */
    f->wall_ahead_ms = 0;                  /* somebody mends it */
    scene_run(f);
    assert_string_equal(f->published, "1>y ");
    scene_answer(f, 1, PUBLISH_NACKED, "full");
    jump(f, -DAY); /* its next try is of that day, and comes */
    f->now_ms += HOUR;
    scene_run(f);
    assert_string_equal(f->published, "1>y 1>y ");
    confirm(f, 1);
    jump(f, DAY);
    assert_string_equal(f->published, "1>y 1>y ");
    assert_sql(f, "select count(*) from herald_outbox", "0");
}

TEST_FROM(scene, begin, rows_of_a_clock_that_was_ahead_wait_for_their_time)
{
    f->wall_ahead_ms = DAY;
    handle(f, "a", "hour");
    jump(f, 0);
    f->now_ms += DAY;
    scene_run(f);
    assert_string_equal(f->published, "");
    f->now_ms += HOUR;
    scene_run(f);
    assert_string_equal(f->published, "1>y ");
    confirm(f, 1);
    assert_sql(f, "select count(*) from herald_outbox", "0");
}
