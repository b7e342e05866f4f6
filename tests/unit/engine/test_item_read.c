/* What identifies a message, and for how long it is known. */
#include "check.h"
#include "scene.h"

#include "store/inbox.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#define HEAD "local herald = require 'herald'\n"
#define SUBSCRIBE(more)                                                                            \
    HEAD "herald.subscribe { queue = 'q', from = herald.fanout 'x',\n"                             \
         "  retry = { attempts = 3, delay = '1s', factor = 1, jitter = 0 }" more " }\n"
#define HANDLER                                                                                    \
    "herald.on('*', '*', function(msg, tx)\n"                                                      \
    "  tx:exec('insert into did values (?, ?)', msg.id, msg.type) end)\n"
#define DID "create table did (id text, type text)"
#define COUNT "select count(*) from did"
#define DEAD "select count(*) from herald_dead"
#define SEND HEAD "herald.route { type = 't', to = herald.fanout 'y' }\n"

static void deliver(struct scene *s, const char *id, const char *type, const char *body)
{
    scene_deliver(s, id, type, body);
    scene_run(s);
}

TEST_WITH(scene, two_events_about_one_entity_are_two)
{
    scene_begin(f, SUBSCRIBE("") HANDLER, DID);
    deliver(f, NULL, "cart.touched", "{\"id\":7}");
    deliver(f, NULL, "cart.touched", "{\"id\":7}");
    assert_sql(f, COUNT, "2");
    assert_int_equal(turn_counters(f->turn)->unidentified, 2);
    assert_non_null(strstr(scene_log(f), "message.body_id"));
}

TEST_WITH(scene, beside_message_type_the_body_names_it)
{
    scene_begin(f, SUBSCRIBE("") HANDLER, DID);
    deliver(f, NULL, NULL, "{\"id\":7,\"messageType\":\"paid\"}");
    deliver(f, NULL, NULL, "{\"id\":7,\"messageType\":\"paid\"}");
    assert_sql(f, COUNT, "1");
}

TEST_WITH(scene, rules_may_say_that_any_body_does_or_none)
{
    scene_begin(f, SUBSCRIBE(", identity = 'body.id'") HANDLER, DID);
    deliver(f, NULL, "t", "{\"id\":7}");
    deliver(f, NULL, "t", "{\"id\":7}");
    assert_sql(f, COUNT, "1");

    scene_teardown(f);
    scene_setup(f);
    scene_begin(f, SUBSCRIBE(", identity = function() return nil end") HANDLER, DID);
    deliver(f, NULL, NULL, "{\"id\":7,\"messageType\":\"paid\"}");
    deliver(f, NULL, NULL, "{\"id\":7,\"messageType\":\"paid\"}");
    assert_sql(f, COUNT, "2");
}

#define SHAPED(type)                                                                               \
    SUBSCRIBE(", envelope = function(raw) return { type = '" type "' } end") HANDLER

TEST_WITH(scene, other_rules_do_not_make_another_message_of_it)
{
    scene_begin(f, SHAPED("one"), DID);
    deliver(f, "m", NULL, "raw");
    scene_swap(f, scene_load(f, SHAPED("two")), 2);
    deliver(f, "m", NULL, "raw");
    assert_sql(f, COUNT, "1");
    assert_sql(f, DEAD, "0"); /* "id used twice" */
    deliver(f, "m", NULL, "another");
    assert_sql_contains(f, "select error from herald_dead", "id used twice");
    deliver(f, "m", NULL, "another"); /* its ack was lost: the letter is there */
    assert_int_equal(turn_counters(f->turn)->dead, 1);
}

#define BROKEN SUBSCRIBE(", envelope = function() error('no') end, pause_after = 5") HANDLER
#define MENDED                                                                                     \
    SUBSCRIBE(", envelope = function() return { type = 't' } end, pause_after = 5") HANDLER

TEST_WITH(scene, a_function_that_fails_pauses_like_a_handler)
{
    char id[16];

    scene_begin(f, BROKEN, DID);
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof id, "m%d", i);
        scene_deliver(f, id, NULL, "raw");
    }
    scene_run(f);
    assert_int_equal(scene_acked(f), 5); /* the broker keeps the others */
    assert_sql(f, DEAD, "0");
    assert_sql(f, "select count(*) from herald_inbox", "0"); /* nobody knows their names */
    assert_non_null(turn_paused(f->turn, 0));
    scene_swap(f, scene_load(f, MENDED), 2);
    f->now_ms += 3600000;
    scene_run(f);
    assert_sql(f, COUNT, "40");
    assert_sql(f, "select count(*) from herald_inbox where state = 0", "40");
}

TEST_WITH(scene, one_that_gets_its_name_late_may_be_a_duplicate)
{
    scene_begin(f, BROKEN, DID);
    deliver(f, "m", NULL, "raw");
    assert_sql(f, "select count(*) from herald_retry", "1");
    scene_swap(f, scene_load(f, MENDED), 2);
    deliver(f, "m", NULL, "raw"); /* its ack was lost */
    assert_sql(f, COUNT, "1");
    f->now_ms += 3600000;
    scene_run(f);
    assert_sql(f, COUNT, "1");
    assert_sql(f, "select count(*) from herald_retry", "0");
}

#define LATE                                                                                       \
    SUBSCRIBE(", envelope = function(raw) return { type = 't', due_at = 1700007200000 } end,"      \
              " pause_after = 5")                                                                  \
    HANDLER

TEST_WITH(scene, one_that_could_not_be_read_at_first_waits_until_its_sender_wants_it)
{
    scene_begin(f, BROKEN, DID);
    deliver(f, "m", NULL, "raw");
    scene_swap(f, scene_load(f, LATE), 2);
    f->now_ms += 3600000;
    scene_run(f);
    assert_sql(f, COUNT, "0");
    assert_sql(f, "select due_at || ' ' || attempts || ' ' || error from herald_retry",
               "1700007200000 1 postponed: its sender wants it handled no earlier");
    f->now_ms += 3600000;
    scene_run(f);
    assert_sql(f, COUNT, "1");
    assert_sql(f, "select count(*) from herald_retry", "0");
    deliver(f, "m", NULL, "raw");
    assert_sql(f, COUNT, "1");
}

static void assert_times(struct scene *s, const char *want)
{
    assert_string_equal(s->times, want);
    s->times[0] = '\0';
}

#define ADD "insert into herald_outbox (type, created_at, due_at) values ('t', 1700000000000, "

static void add(struct scene *s, const char *due_at)
{
    char sql[160];
    sqlite3 *db = scene_lock(s);

    snprintf(sql, sizeof sql, ADD "%s)", due_at);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "commit", NULL, NULL, NULL), SQLITE_OK);
    scene_unlock(db);
}

/* docs/faults.md#f55: the timestamp says since when the broker may have it. */
TEST_WITH(scene, a_delayed_message_is_not_old)
{
    scene_begin(f, SEND, DID);
    f->now_ms = INT64_C(1700000000000);
    add(f, "0");
    add(f, "1700003600000");
    scene_run(f);
    assert_times(f, "1@1700000000 ");
    f->now_ms += 3600000;
    scene_run(f);
    assert_times(f, "2@1700003600 ");
    f->now_ms += 600000;
    scene_answer(f, 2, PUBLISH_NACKED, "full"); /* some queue may have taken it */
    scene_answer(f, 1, PUBLISH_UNKNOWN, "the channel went away");
    scene_run(f);
    f->now_ms += 600000;
    scene_run(f);
    assert_non_null(strstr(f->times, "2@1700003600 "));
    assert_non_null(strstr(f->times, "1@1700000000 "));
}

TEST_WITH(scene, what_was_in_flight_at_a_crash_keeps_its_time)
{
    scene_begin(f, SEND, DID);
    f->now_ms = INT64_C(1700000000000);
    add(f, "0");
    scene_run(f);
    add(f, "0"); /* never sent before the crash */
    assert_times(f, "1@1700000000 ");
    scene_stop(f);
    f->now_ms += 3600000;
    scene_start(f);
    scene_run(f);
    assert_times(f, "1@1700000000 2@1700003600 ");
    scene_restart(f); /* and once more: both were sent by now */
    f->now_ms += 3600000;
    scene_run(f);
    assert_times(f, "1@1700000000 2@1700003600 ");
}
