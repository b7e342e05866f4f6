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

static void two_events_about_one_entity_are_two(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, SUBSCRIBE("") HANDLER, DID);
    deliver(&s, NULL, "cart.touched", "{\"id\":7}");
    deliver(&s, NULL, "cart.touched", "{\"id\":7}");
    assert_sql(&s, COUNT, "2");
    assert_int_equal(turn_counters(s.turn)->unidentified, 2);
    assert_non_null(strstr(scene_log(&s), "message.body_id"));
    scene_end(&s);
}

static void beside_message_type_the_body_names_it(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, SUBSCRIBE("") HANDLER, DID);
    deliver(&s, NULL, NULL, "{\"id\":7,\"messageType\":\"paid\"}");
    deliver(&s, NULL, NULL, "{\"id\":7,\"messageType\":\"paid\"}");
    assert_sql(&s, COUNT, "1");
    scene_end(&s);
}

static void rules_may_say_that_any_body_does_or_none(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, SUBSCRIBE(", identity = 'body.id'") HANDLER, DID);
    deliver(&s, NULL, "t", "{\"id\":7}");
    deliver(&s, NULL, "t", "{\"id\":7}");
    assert_sql(&s, COUNT, "1");
    scene_end(&s);

    scene_begin(&s, SUBSCRIBE(", identity = function() return nil end") HANDLER, DID);
    deliver(&s, NULL, NULL, "{\"id\":7,\"messageType\":\"paid\"}");
    deliver(&s, NULL, NULL, "{\"id\":7,\"messageType\":\"paid\"}");
    assert_sql(&s, COUNT, "2");
    scene_end(&s);
}

#define SHAPED(type)                                                                               \
    SUBSCRIBE(", envelope = function(raw) return { type = '" type "' } end") HANDLER

static void other_rules_do_not_make_another_message_of_it(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, SHAPED("one"), DID);
    deliver(&s, "m", NULL, "raw");
    scene_swap(&s, scene_load(&s, SHAPED("two")), 2);
    deliver(&s, "m", NULL, "raw");
    assert_sql(&s, COUNT, "1");
    assert_sql(&s, DEAD, "0"); /* "id used twice" */
    deliver(&s, "m", NULL, "another");
    assert_sql_contains(&s, "select error from herald_dead", "id used twice");
    deliver(&s, "m", NULL, "another"); /* its ack was lost: the letter is there */
    assert_int_equal(turn_counters(s.turn)->dead, 1);
    scene_end(&s);
}

#define BROKEN SUBSCRIBE(", envelope = function() error('no') end, pause_after = 5") HANDLER
#define MENDED                                                                                     \
    SUBSCRIBE(", envelope = function() return { type = 't' } end, pause_after = 5") HANDLER

static void a_function_that_fails_pauses_like_a_handler(void **state)
{
    struct scene s;
    char id[16];

    (void)state;
    scene_begin(&s, BROKEN, DID);
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof id, "m%d", i);
        scene_deliver(&s, id, NULL, "raw");
    }
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 5); /* the broker keeps the others */
    assert_sql(&s, DEAD, "0");
    assert_sql(&s, "select count(*) from herald_inbox", "0"); /* nobody knows their names */
    assert_non_null(turn_paused(s.turn, 0));
    scene_swap(&s, scene_load(&s, MENDED), 2);
    s.now_ms += 3600000;
    scene_run(&s);
    assert_sql(&s, COUNT, "40");
    assert_sql(&s, "select count(*) from herald_inbox where state = 0", "40");
    scene_end(&s);
}

static void one_that_gets_its_name_late_may_be_a_duplicate(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, BROKEN, DID);
    deliver(&s, "m", NULL, "raw");
    assert_sql(&s, "select count(*) from herald_retry", "1");
    scene_swap(&s, scene_load(&s, MENDED), 2);
    deliver(&s, "m", NULL, "raw"); /* its ack was lost */
    assert_sql(&s, COUNT, "1");
    s.now_ms += 3600000;
    scene_run(&s);
    assert_sql(&s, COUNT, "1");
    assert_sql(&s, "select count(*) from herald_retry", "0");
    scene_end(&s);
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
static void a_delayed_message_is_not_old(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, SEND, DID);
    s.now_ms = INT64_C(1700000000000);
    add(&s, "0");
    add(&s, "1700003600000");
    scene_run(&s);
    assert_times(&s, "1@1700000000 ");
    s.now_ms += 3600000;
    scene_run(&s);
    assert_times(&s, "2@1700003600 ");
    s.now_ms += 600000;
    scene_answer(&s, 2, PUBLISH_NACKED, "full"); /* some queue may have taken it */
    scene_answer(&s, 1, PUBLISH_UNKNOWN, "the channel went away");
    scene_run(&s);
    s.now_ms += 600000;
    scene_run(&s);
    assert_non_null(strstr(s.times, "2@1700003600 "));
    assert_non_null(strstr(s.times, "1@1700000000 "));
    scene_end(&s);
}

static void what_was_in_flight_at_a_crash_keeps_its_time(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, SEND, DID);
    s.now_ms = INT64_C(1700000000000);
    add(&s, "0");
    scene_run(&s);
    add(&s, "0"); /* never sent before the crash */
    assert_times(&s, "1@1700000000 ");
    scene_stop(&s);
    s.now_ms += 3600000;
    scene_start(&s);
    scene_run(&s);
    assert_times(&s, "1@1700000000 2@1700003600 ");
    scene_restart(&s); /* and once more: both were sent by now */
    s.now_ms += 3600000;
    scene_run(&s);
    assert_times(&s, "1@1700000000 2@1700003600 ");
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_events_about_one_entity_are_two),
        cmocka_unit_test(beside_message_type_the_body_names_it),
        cmocka_unit_test(rules_may_say_that_any_body_does_or_none),
        cmocka_unit_test(other_rules_do_not_make_another_message_of_it),
        cmocka_unit_test(a_function_that_fails_pauses_like_a_handler),
        cmocka_unit_test(one_that_gets_its_name_late_may_be_a_duplicate),
        cmocka_unit_test(a_delayed_message_is_not_old),
        cmocka_unit_test(what_was_in_flight_at_a_crash_keeps_its_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
