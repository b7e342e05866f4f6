/* What a turn makes of deliveries, and what is left of it when something goes wrong. */
#include "scene.h"

#include "check.h"

#include <stdio.h>
#include <string.h>

#define SUBSCRIBE                                                                                  \
    "local herald = require 'herald'\n"                                                            \
    "herald.subscribe { queue = 'q', from = herald.fanout 'x',\n"                                  \
    "  retry = { attempts = 3, delay = '1s', factor = 1, jitter = 0 } }\n"                         \
    "herald.route { type = 'out', to = herald.fanout 'y' }\n"

#define COUNT_HITS                                                                                 \
    SUBSCRIBE                                                                                      \
    "herald.on('*', '*', function(msg, tx)\n"                                                      \
    "  tx:exec('insert into hits(id, attempt) values (?, ?)', msg.id or '-', "                     \
    "msg.attempt)\n"                                                                               \
    "  if msg.type == 'emit' then tx:emit { type = 'out', business_key1 = msg.id } end\n"          \
    "  if msg.type == 'bad' then error('as told') end\n"                                           \
    "  if msg.type == 'reject' then herald.reject('not wanted') end\n"                             \
    "  if msg.type == 'later' then herald.retry('5s', 'not now') end\n"                            \
    "  if msg.type == 'once' and msg.attempt == 1 then error('first') end\n"                       \
    "end)\n"

#define HITS "create table hits (id text, attempt integer);"

static void a_delivery_takes_effect_once(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, COUNT_HITS, HITS);
    scene_deliver(&s, "a", "t", "{}");
    scene_deliver(&s, "b", "t", "{}");
    scene_run(&s);
    scene_deliver(&s, "a", "t", "{}"); /* again, as after a lost ack */
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 3);
    assert_sql(&s, "select group_concat(id) from hits", "a,b");
    assert_int_equal(turn_counters(s.turn)->duplicates, 1);
    scene_end(&s);
}

static void emits_are_published_after_the_commit(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, COUNT_HITS, HITS);
    scene_deliver(&s, "a", "emit", "{}");
    scene_run(&s);
    assert_string_equal(s.published, "1>y ");
    assert_sql(&s, "select type || business_key1 from herald_outbox", "outa");
    scene_answer(&s, 1, PUBLISH_CONFIRMED, NULL);
    scene_run(&s);
    assert_sql(&s, "select count(*) from herald_outbox", "0");
    scene_end(&s);
}

/* docs/design.md#the-turn: crash after committing a failed attempt. */
static void a_failed_attempt_waits_in_the_store_and_its_writes_are_undone(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, COUNT_HITS, HITS);
    scene_deliver(&s, "a", "once", "{}");
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 1);
    assert_sql(&s, "select count(*) from hits", "0");
    assert_sql(&s, "select attempts || ' ' || (due_at - 1700000000000) from herald_retry",
               "1 1000");
    scene_deliver(&s, "a", "once", "{}"); /* a redelivery after that commit changes nothing */
    scene_run(&s);
    assert_sql(&s, "select count(*) from herald_retry", "1");
    s.now_ms += 999;
    scene_run(&s);
    assert_sql(&s, "select count(*) from hits", "0");
    s.now_ms += 1;
    scene_run(&s);
    assert_sql(&s, "select id || attempt from hits", "a2");
    assert_sql(&s, "select count(*) from herald_retry", "0");
    scene_deliver(&s, "a", "once", "{}");
    scene_run(&s);
    assert_sql(&s, "select count(*) from hits", "1");
    scene_end(&s);
}

static void the_last_failure_is_a_dead_letter_with_its_error(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, COUNT_HITS, HITS);
    scene_deliver(&s, "a", "bad", "{\"n\":1}");
    for (int i = 0; i < 4; i++) {
        scene_run(&s);
        s.now_ms += 1000;
    }
    assert_sql(&s, "select count(*) from herald_retry", "0");
    assert_sql(&s, "select attempts from herald_dead", "3");
    assert_sql_contains(&s, "select error from herald_dead", "rules/rules.lua:8: as told");
    assert_sql(&s, "select body from herald_dead", "{\"n\":1}");
    scene_deliver(&s, "a", "bad", "{\"n\":1}");
    scene_run(&s);
    assert_sql(&s, "select count(*) from herald_dead", "1");
    assert_int_equal(scene_acked(&s), 2);
    scene_end(&s);
}

static void handlers_decide_retry_and_reject_themselves(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, COUNT_HITS, HITS);
    scene_deliver(&s, "a", "reject", "{}");
    scene_deliver(&s, "b", "later", "{}");
    scene_run(&s);
    assert_sql_contains(&s, "select message_id || error from herald_dead", "not wanted");
    assert_sql(&s, "select message_id || (due_at - 1700000000000) from herald_retry", "b5000");
    scene_end(&s);
}

static void what_cannot_be_read_never_reaches_lua(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, COUNT_HITS, HITS);
    scene_deliver(&s, "a", "t", "no json");
    scene_deliver(&s, "b", NULL, "{}");
    scene_deliver(&s, "c", "t", "\"\xff\"");
    scene_deliver(&s, NULL, NULL, "{}");
    scene_deliver(&s, "d", "t", "{}");
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 5);
    assert_sql(&s, "select group_concat(id) from hits", "d");
    assert_sql(&s, "select count(*) from herald_dead", "4");
    assert_sql_contains(&s, "select error from herald_dead where message_id = 'a'", "bad JSON");
    assert_sql_contains(&s, "select error from herald_dead where message_id = 'b'",
                        "no message type");
    assert_sql_contains(&s, "select error from herald_dead where message_id = 'c'", "bad UTF-8");
    scene_end(&s);
}

static void without_a_message_id_the_envelope_names_the_message(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, COUNT_HITS, HITS);
    scene_deliver(&s, NULL, NULL, "{\"messageType\":\"t\",\"id\":1,\"businessKey1\":\"16\"}");
    scene_deliver(&s, NULL, NULL, "{\"messageType\":\"t\",\"id\":1,\"businessKey1\":\"16\"}");
    scene_deliver(&s, NULL, NULL, "{\"messageType\":\"t\",\"id\":1,\"businessKey1\":\"17\"}");
    scene_deliver(&s, NULL, "t", "{}"); /* no id at all: at least once, and counted */
    scene_deliver(&s, NULL, "t", "{}");
    scene_run(&s);
    assert_sql(&s, "select count(*) from hits", "4");
    assert_int_equal(turn_counters(s.turn)->duplicates, 1);
    assert_int_equal(turn_counters(s.turn)->unidentified, 2);
    scene_end(&s);
}

static void one_id_for_two_messages_is_a_dead_letter(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, COUNT_HITS, HITS);
    scene_deliver(&s, "a", "t", "{\"n\":1}");
    scene_deliver(&s, "a", "t", "{\"n\":2}");
    scene_deliver(&s, "a", "t", "{\"n\":2}");
    scene_run(&s);
    assert_sql(&s, "select count(*) from hits", "1");
    assert_sql(&s, "select count(*) || body from herald_dead", "1{\"n\":2}");
    assert_sql_contains(&s, "select error from herald_dead", "id used twice");
    scene_end(&s);
}

static void what_no_handler_wants_is_acked_and_counted(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, SUBSCRIBE "herald.on('t', '60201', function() end)", "select 1;");
    scene_deliver(&s, "a", "t", "{\"businessKey2\":\"60202\"}");
    scene_deliver(&s, "b", "u", "{\"businessKey2\":\"60201\"}");
    scene_deliver(&s, "c", "t", "{\"businessKey2\":60201}");
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 3);
    assert_int_equal(turn_counters(s.turn)->unhandled, 2);
    assert_int_equal(turn_counters(s.turn)->handled, 1);
    scene_end(&s);
}

/* docs/design.md#what-handlers-may-write: deferred foreign key broken by a handler. */
static void a_deferred_foreign_key_is_its_handlers_error(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(
        &s,
        SUBSCRIBE "herald.on('*', '*', function(msg, tx)\n"
                  "  tx:exec('insert into child values (?)', msg.type == 'bad' and 99 or 1)\n"
                  "end)\n",
        "create table parent (id integer primary key); insert into parent values (1);"
        "create table child (p integer references parent(id) deferrable initially deferred);");
    scene_deliver(&s, "a", "t", "{}");
    scene_deliver(&s, "b", "bad", "{}");
    scene_deliver(&s, "c", "t", "{}");
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 3);
    assert_sql(&s, "select group_concat(p) from child", "1,1");
    assert_sql_contains(&s, "select message_id || error from herald_retry", "foreign key");
    assert_int_equal(s.forgotten, 0);
    scene_end(&s);
}

#define DESTROYER                                                                                  \
    SUBSCRIBE "herald.on('*', '*', function(msg, tx)\n"                                            \
              "  tx:exec('insert into hits(id, attempt) values (?, 0)', msg.id)\n"                 \
              "  if msg.type == 'destroy' then\n"                                                  \
              "    pcall(tx.exec, tx, 'insert or rollback into one values (1)')\n"                 \
              "    while true do pcall(tx.exec, tx, 'delete from hits') end\n"                     \
              "  end\n"                                                                            \
              "end)\n"

/* docs/design.md#a-turn-that-is-run-again */
static void a_handler_that_ends_the_transaction_takes_nobody_with_it(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, DESTROYER,
                HITS "create table one (id integer primary key); insert into one values (1);");
    scene_deliver(&s, "a", "t", "{}");
    scene_deliver(&s, "b", "destroy", "{}");
    scene_deliver(&s, "c", "t", "{}");
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 3);
    assert_sql(&s, "select group_concat(id) from (select id from hits order by id)", "a,c");
    assert_sql(&s, "select message_id || attempts from herald_retry", "b1");
    assert_true(turn_counters(s.turn)->reruns >= 1);
    for (int i = 0; i < 3; i++) {
        s.now_ms += 1000;
        scene_run(&s);
    }
    assert_sql(&s, "select message_id || attempts from herald_dead", "b3");
    assert_sql(&s, "select count(*) from hits", "2");
    scene_end(&s);
}

/* docs/design.md#trouble-of-the-store: out of memory in Lua: tried alone before it counts. */
static void a_handler_that_eats_all_memory_fails_alone(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s,
                SUBSCRIBE "local kept = {}\n"
                          "herald.on('*', '*', function(msg, tx)\n"
                          "  tx:exec('insert into hits(id, attempt) values (?, 0)', msg.id)\n"
                          "  while msg.type == 'hog' do kept[#kept + 1] = { #kept } end\n"
                          "end)\n",
                HITS);
    scene_deliver(&s, "a", "t", "{}");
    scene_deliver(&s, "b", "hog", "{}");
    scene_deliver(&s, "c", "t", "{}");
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 3);
    assert_sql(&s, "select group_concat(id) from (select id from hits order by id)", "a,c");
    assert_sql(&s, "select message_id || attempts from herald_retry", "b1");
    assert_in_range(script_memory(s.script), 0, 4 * 1024 * 1024);
    scene_end(&s);
}

/* docs/design.md#trouble-of-the-store: FULL, IOERR, NOMEM, BUSY never count as an attempt. */
static void a_locked_store_is_nobodys_attempt(void **state)
{
    struct scene s;
    struct err err = {0};
    struct sqlite3 *other;

    (void)state;
    scene_begin(&s, COUNT_HITS, HITS);
    scene_deliver(&s, "a", "t", "{}");
    other = scene_lock(&s);
    assert_int_equal(scene_turn(&s, &err), TURN_BUSY);
    assert_int_equal(scene_acked(&s), 0);
    scene_unlock(other);
    scene_run(&s);
    assert_sql(&s, "select group_concat(id) from hits", "a");
    scene_end(&s);
}

static void a_row_without_route_is_parked_with_the_reason(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, COUNT_HITS, HITS);
    scene_sql(&s, "insert into herald_outbox(type) values ('out')");
    scene_sql(&s, "insert into herald_outbox(type) values ('nowhere')");
    scene_sql(&s, "insert into herald_outbox(type) values ('out')");
    scene_run(&s);
    assert_string_equal(s.published, "1>y 3>y ");
    assert_sql_contains(&s, "select error from herald_dead where side = 'outbox' or side = 1",
                        "no route for type \"nowhere\"");
    assert_sql(&s, "select group_concat(id) from herald_outbox", "1,3");
    scene_end(&s);
}

static void rows_that_failed_wait_and_go_out_again(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, COUNT_HITS, HITS);
    scene_sql(&s, "insert into herald_outbox(type) values ('out')");
    scene_run(&s);
    scene_answer(&s, 1, PUBLISH_NACKED, NULL);
    scene_run(&s);
    assert_string_equal(s.published, "1>y ");
    assert_sql(&s, "select attempts from herald_outbox where due_at > 1700000000000", "1");
    s.now_ms += 1000;
    scene_run(&s);
    assert_string_equal(s.published, "1>y 1>y ");
    scene_answer(&s, 1, PUBLISH_RETURNED, "no queue");
    scene_run(&s);
    assert_sql(&s, "select attempts || reason from herald_outbox", "2no queue");
    s.now_ms += 2000;
    scene_run(&s);
    scene_answer(&s, 1, PUBLISH_CONFIRMED, NULL);
    scene_run(&s);
    assert_sql(&s, "select count(*) from herald_outbox", "0");
    scene_end(&s);
}

static void a_lost_connection_sends_its_rows_again_at_once(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, COUNT_HITS, HITS);
    scene_sql(&s, "insert into herald_outbox(type) values ('out')");
    scene_run(&s);
    scene_answer(&s, 1, PUBLISH_UNKNOWN, "the connection was lost");
    scene_run(&s);
    scene_run(&s);
    assert_string_equal(s.published, "1>y 1>y ");
    scene_end(&s);
}

static void no_room_and_refusals_lose_no_row(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, COUNT_HITS, HITS);
    scene_sql(&s, "insert into herald_outbox(type) values ('out')");
    scene_sql(&s, "insert into herald_outbox(type) values ('out')");
    s.publish_code = ERR_BUSY;
    scene_run(&s);
    assert_sql(&s, "select count(*) from herald_outbox where due_at = 0", "2");
    s.publish_code = ERR_BROKER;
    scene_run(&s);
    assert_sql(&s, "select count(*) || reason from herald_outbox where due_at > 0",
               "2the fake broker says no");
    s.publish_code = ERR_INPUT;
    s.now_ms += 1000;
    scene_run(&s);
    assert_sql(&s, "select count(*) from herald_outbox", "0");
    assert_sql(&s, "select count(*) || error from herald_dead", "2the fake broker says no");
    scene_end(&s);
}

static void a_delayed_row_waits_for_its_time(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, COUNT_HITS, HITS);
    scene_sql(&s, "insert into herald_outbox(type, due_at) values ('out', 1700000005000)");
    scene_sql(&s, "insert into herald_outbox(type) values ('out')");
    scene_run(&s);
    assert_string_equal(s.published, "2>y ");
    s.now_ms += 5000;
    scene_run(&s);
    assert_string_equal(s.published, "2>y 1>y ");
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_delivery_takes_effect_once),
        cmocka_unit_test(emits_are_published_after_the_commit),
        cmocka_unit_test(a_failed_attempt_waits_in_the_store_and_its_writes_are_undone),
        cmocka_unit_test(the_last_failure_is_a_dead_letter_with_its_error),
        cmocka_unit_test(handlers_decide_retry_and_reject_themselves),
        cmocka_unit_test(what_cannot_be_read_never_reaches_lua),
        cmocka_unit_test(without_a_message_id_the_envelope_names_the_message),
        cmocka_unit_test(one_id_for_two_messages_is_a_dead_letter),
        cmocka_unit_test(what_no_handler_wants_is_acked_and_counted),
        cmocka_unit_test(a_deferred_foreign_key_is_its_handlers_error),
        cmocka_unit_test(a_handler_that_ends_the_transaction_takes_nobody_with_it),
        cmocka_unit_test(a_handler_that_eats_all_memory_fails_alone),
        cmocka_unit_test(a_locked_store_is_nobodys_attempt),
        cmocka_unit_test(a_row_without_route_is_parked_with_the_reason),
        cmocka_unit_test(rows_that_failed_wait_and_go_out_again),
        cmocka_unit_test(a_lost_connection_sends_its_rows_again_at_once),
        cmocka_unit_test(no_room_and_refusals_lose_no_row),
        cmocka_unit_test(a_delayed_row_waits_for_its_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
