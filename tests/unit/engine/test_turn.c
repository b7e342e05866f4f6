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

static void begin(struct scene *s)
{
    scene_setup(s);
    scene_begin(s, COUNT_HITS, HITS);
}

TEST_FROM(scene, begin, a_delivery_takes_effect_once)
{
    scene_deliver(f, "a", "t", "{}");
    scene_deliver(f, "b", "t", "{}");
    scene_run(f);
    scene_deliver(f, "a", "t", "{}"); /* again, as after a lost ack */
    scene_run(f);
    assert_int_equal(scene_acked(f), 3);
    assert_sql(f, "select group_concat(id) from hits", "a,b");
    assert_int_equal(turn_counters(f->turn)->duplicates, 1);
}

TEST_FROM(scene, begin, emits_are_published_after_the_commit)
{
    scene_deliver(f, "a", "emit", "{}");
    scene_run(f);
    assert_string_equal(f->published, "1>y ");
    assert_sql(f, "select type || business_key1 from herald_outbox", "outa");
    scene_answer(f, 1, PUBLISH_CONFIRMED, NULL);
    scene_run(f);
    assert_sql(f, "select count(*) from herald_outbox", "0");
}

/* docs/design.md#the-turn: crash after committing a failed attempt. */
TEST_FROM(scene, begin, a_failed_attempt_waits_in_the_store_and_its_writes_are_undone)
{
    scene_deliver(f, "a", "once", "{}");
    scene_run(f);
    assert_int_equal(scene_acked(f), 1);
    assert_sql(f, "select count(*) from hits", "0");
    assert_sql(f, "select attempts || ' ' || (due_at - 1700000000000) from herald_retry", "1 1000");
    scene_deliver(f, "a", "once", "{}"); /* a redelivery after that commit changes nothing */
    scene_run(f);
    assert_sql(f, "select count(*) from herald_retry", "1");
    f->now_ms += 999;
    scene_run(f);
    assert_sql(f, "select count(*) from hits", "0");
    f->now_ms += 1;
    scene_run(f);
    assert_sql(f, "select id || attempt from hits", "a2");
    assert_sql(f, "select count(*) from herald_retry", "0");
    scene_deliver(f, "a", "once", "{}");
    scene_run(f);
    assert_sql(f, "select count(*) from hits", "1");
}

TEST_FROM(scene, begin, the_last_failure_is_a_dead_letter_with_its_error)
{
    scene_deliver(f, "a", "bad", "{\"n\":1}");
    for (int i = 0; i < 4; i++) {
        scene_run(f);
        f->now_ms += 1000;
    }
    assert_sql(f, "select count(*) from herald_retry", "0");
    assert_sql(f, "select attempts from herald_dead", "3");
    assert_sql_contains(f, "select error from herald_dead", "rules/rules.lua:8: as told");
    assert_sql(f, "select body from herald_dead", "{\"n\":1}");
    scene_deliver(f, "a", "bad", "{\"n\":1}");
    scene_run(f);
    assert_sql(f, "select count(*) from herald_dead", "1");
    assert_int_equal(scene_acked(f), 2);
}

TEST_FROM(scene, begin, handlers_decide_retry_and_reject_themselves)
{
    scene_deliver(f, "a", "reject", "{}");
    scene_deliver(f, "b", "later", "{}");
    scene_run(f);
    assert_sql_contains(f, "select message_id || error from herald_dead", "not wanted");
    assert_sql(f, "select message_id || (due_at - 1700000000000) from herald_retry", "b5000");
}

TEST_FROM(scene, begin, what_cannot_be_read_never_reaches_lua)
{
    scene_deliver(f, "a", "t", "{no json");
    scene_deliver(f, "b", NULL, "{}");
    scene_deliver(f, "c", "t", "[\"\xff\"]");
    scene_deliver(f, NULL, NULL, "{}");
    scene_deliver(f, "d", "t", "{}");
    scene_run(f);
    assert_int_equal(scene_acked(f), 5);
    assert_sql(f, "select group_concat(id) from hits", "d");
    assert_sql(f, "select count(*) from herald_dead", "4");
    assert_sql_contains(f, "select error from herald_dead where message_id = 'a'", "bad JSON");
    assert_sql_contains(f, "select error from herald_dead where message_id = 'b'",
                        "no message type");
    assert_sql_contains(f, "select error from herald_dead where message_id = 'c'", "bad UTF-8");
}

TEST_FROM(scene, begin, without_a_message_id_the_envelope_names_the_message)
{
    scene_deliver(f, NULL, NULL, "{\"messageType\":\"t\",\"id\":1,\"businessKey1\":\"16\"}");
    scene_deliver(f, NULL, NULL, "{\"messageType\":\"t\",\"id\":1,\"businessKey1\":\"16\"}");
    scene_deliver(f, NULL, NULL, "{\"messageType\":\"t\",\"id\":1,\"businessKey1\":\"17\"}");
    scene_deliver(f, NULL, "t", "{}"); /* no id at all: at least once, and counted */
    scene_deliver(f, NULL, "t", "{}");
    scene_run(f);
    assert_sql(f, "select count(*) from hits", "4");
    assert_int_equal(turn_counters(f->turn)->duplicates, 1);
    assert_int_equal(turn_counters(f->turn)->unidentified, 2);
}

TEST_FROM(scene, begin, one_id_for_two_messages_is_a_dead_letter)
{
    scene_deliver(f, "a", "t", "{\"n\":1}");
    scene_deliver(f, "a", "t", "{\"n\":2}");
    scene_deliver(f, "a", "t", "{\"n\":2}");
    scene_run(f);
    assert_sql(f, "select count(*) from hits", "1");
    assert_sql(f, "select count(*) || body from herald_dead", "1{\"n\":2}");
    assert_sql_contains(f, "select error from herald_dead", "id used twice");
}

TEST_WITH(scene, what_no_handler_wants_is_acked_and_counted)
{
    scene_begin(f, SUBSCRIBE "herald.on('t', '60201', function() end)", "select 1;");
    scene_deliver(f, "a", "t", "{\"businessKey2\":\"60202\"}");
    scene_deliver(f, "b", "u", "{\"businessKey2\":\"60201\"}");
    scene_deliver(f, "c", "t", "{\"businessKey2\":60201}");
    scene_run(f);
    assert_int_equal(scene_acked(f), 3);
    assert_int_equal(turn_counters(f->turn)->unhandled, 2);
    assert_int_equal(turn_counters(f->turn)->handled, 1);
}

/* docs/design.md#what-handlers-may-write: deferred foreign key broken by a handler. */
TEST_WITH(scene, a_deferred_foreign_key_is_its_handlers_error)
{
    scene_begin(
        f,
        SUBSCRIBE "herald.on('*', '*', function(msg, tx)\n"
                  "  tx:exec('insert into child values (?)', msg.type == 'bad' and 99 or 1)\n"
                  "end)\n",
        "create table parent (id integer primary key); insert into parent values (1);"
        "create table child (p integer references parent(id) deferrable initially deferred);");
    scene_deliver(f, "a", "t", "{}");
    scene_deliver(f, "b", "bad", "{}");
    scene_deliver(f, "c", "t", "{}");
    scene_run(f);
    assert_int_equal(scene_acked(f), 3);
    assert_sql(f, "select group_concat(p) from child", "1,1");
    assert_sql_contains(f, "select message_id || error from herald_retry", "foreign key");
    assert_int_equal(f->forgotten, 0);
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
TEST_WITH(scene, a_handler_that_ends_the_transaction_takes_nobody_with_it)
{
    scene_begin(f, DESTROYER,
                HITS "create table one (id integer primary key); insert into one values (1);");
    scene_deliver(f, "a", "t", "{}");
    scene_deliver(f, "b", "destroy", "{}");
    scene_deliver(f, "c", "t", "{}");
    scene_run(f);
    assert_int_equal(scene_acked(f), 3);
    assert_sql(f, "select group_concat(id) from (select id from hits order by id)", "a,c");
    assert_sql(f, "select message_id || attempts from herald_retry", "b1");
    assert_true(turn_counters(f->turn)->reruns >= 1);
    for (int i = 0; i < 3; i++) {
        f->now_ms += 1000;
        scene_run(f);
    }
    assert_sql(f, "select message_id || attempts from herald_dead", "b3");
    assert_sql(f, "select count(*) from hits", "2");
}

/* docs/design.md#trouble-of-the-store: out of memory in Lua: tried alone before it counts. */
TEST_WITH(scene, a_handler_that_eats_all_memory_fails_alone)
{
    scene_begin(f,
                SUBSCRIBE "local kept = {}\n"
                          "herald.on('*', '*', function(msg, tx)\n"
                          "  tx:exec('insert into hits(id, attempt) values (?, 0)', msg.id)\n"
                          "  while msg.type == 'hog' do kept[#kept + 1] = { #kept } end\n"
                          "end)\n",
                HITS);
    scene_deliver(f, "a", "t", "{}");
    scene_deliver(f, "b", "hog", "{}");
    scene_deliver(f, "c", "t", "{}");
    scene_run(f);
    assert_int_equal(scene_acked(f), 3);
    assert_sql(f, "select group_concat(id) from (select id from hits order by id)", "a,c");
    assert_sql(f, "select message_id || attempts from herald_retry", "b1");
    assert_in_range(script_memory(f->script), 0, 4 * 1024 * 1024);
}

/* docs/design.md#trouble-of-the-store: FULL, IOERR, NOMEM, BUSY never count as an attempt. */
TEST_FROM(scene, begin, a_locked_store_is_nobodys_attempt)
{
    struct err err = {0};
    struct sqlite3 *other;

    scene_deliver(f, "a", "t", "{}");
    other = scene_lock(f);
    assert_int_equal(scene_turn(f, &err), TURN_BUSY);
    assert_int_equal(scene_acked(f), 0);
    scene_unlock(other);
    scene_run(f);
    assert_sql(f, "select group_concat(id) from hits", "a");
}

TEST_FROM(scene, begin, a_row_without_route_is_parked_with_the_reason)
{
    scene_sql(f, "insert into herald_outbox(type) values ('out')");
    scene_sql(f, "insert into herald_outbox(type) values ('nowhere')");
    scene_sql(f, "insert into herald_outbox(type) values ('out')");
    scene_run(f);
    assert_string_equal(f->published, "1>y 3>y ");
    assert_sql_contains(f, "select error from herald_dead where side = 'outbox' or side = 1",
                        "no route for type \"nowhere\"");
    assert_sql(f, "select group_concat(id) from herald_outbox", "1,3");
}

TEST_FROM(scene, begin, rows_that_failed_wait_and_go_out_again)
{
    scene_sql(f, "insert into herald_outbox(type) values ('out')");
    scene_run(f);
    scene_answer(f, 1, PUBLISH_NACKED, NULL);
    scene_run(f);
    assert_string_equal(f->published, "1>y ");
    assert_sql(f, "select attempts from herald_outbox where due_at > 1700000000000", "1");
    f->now_ms += 1000;
    scene_run(f);
    assert_string_equal(f->published, "1>y 1>y ");
    scene_answer(f, 1, PUBLISH_RETURNED, "no queue");
    scene_run(f);
    assert_sql(f, "select attempts || reason from herald_outbox", "2no queue");
    f->now_ms += 2000;
    scene_run(f);
    scene_answer(f, 1, PUBLISH_CONFIRMED, NULL);
    scene_run(f);
    assert_sql(f, "select count(*) from herald_outbox", "0");
}

TEST_FROM(scene, begin, a_lost_connection_sends_its_rows_again_at_once)
{
    scene_sql(f, "insert into herald_outbox(type) values ('out')");
    scene_run(f);
    scene_answer(f, 1, PUBLISH_UNKNOWN, "the connection was lost");
    scene_run(f);
    scene_run(f);
    assert_string_equal(f->published, "1>y 1>y ");
}

TEST_FROM(scene, begin, no_room_and_refusals_lose_no_row)
{
    scene_sql(f, "insert into herald_outbox(type) values ('out')");
    scene_sql(f, "insert into herald_outbox(type) values ('out')");
    f->publish_code = ERR_BUSY;
    scene_run(f);
    assert_sql(f, "select count(*) from herald_outbox where due_at = 0", "2");
    f->publish_code = ERR_BROKER;
    scene_run(f);
    assert_sql(f, "select count(*) || reason from herald_outbox where due_at > 0",
               "2the fake broker says no");
    f->publish_code = ERR_INPUT;
    f->now_ms += 1000;
    scene_run(f);
    assert_sql(f, "select count(*) from herald_outbox", "0");
    assert_sql(f, "select count(*) || error from herald_dead", "2the fake broker says no");
}

TEST_FROM(scene, begin, a_delayed_row_waits_for_its_time)
{
    scene_sql(f, "insert into herald_outbox(type, due_at) values ('out', 1700000005000)");
    scene_sql(f, "insert into herald_outbox(type) values ('out')");
    scene_run(f);
    assert_string_equal(f->published, "2>y ");
    f->now_ms += 5000;
    scene_run(f);
    assert_string_equal(f->published, "2>y 1>y ");
}
