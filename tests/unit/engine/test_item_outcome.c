/* What rules say about reading, naming and retrying a message, and what is kept of it. */
#include "scene.h"

#include "check.h"

#include <stdio.h>
#include <string.h>

#define HEAD "local herald = require 'herald'\n"
#define HITS "create table hits (what text, attempt integer);"
#define NOTE                                                                                       \
    "herald.on('*', '*', function(msg, tx)\n"                                                      \
    "  tx:exec('insert into hits values (?, ?)', msg.type .. '/' .. (msg.business_key1 or '-')"    \
    " .. '/' .. (msg.id or '-'), msg.attempt)\n"                                                   \
    "  if msg.type == 'bad' then error('as told') end\n"                                           \
    "  if msg.type == 'hog' then local t = {} while true do t[#t + 1] = {} end end\n"              \
    "end)\n"
#define WHAT "select group_concat(what, ' ') from (select what from hits order by rowid)"

#define RETRIED                                                                                    \
    HEAD "herald.subscribe { queue = 'q', from = herald.fanout 'x', retry = { attempts = 2,\n"     \
         "  delay = '1s', factor = 1, jitter = 0 } }\n"

/* "type;key;id;text" for services that speak no JSON */
#define SEMICOLONS                                                                                 \
    HEAD "herald.subscribe { queue = 'q', from = herald.fanout 'x',\n"                             \
         "  retry = { attempts = 2, delay = '1s', factor = 1, jitter = 0 },\n"                     \
         "  envelope = function(raw, properties)\n"                                                \
         "    herald.log.info('reading')\n"                                                        \
         "    local kind, key, id = raw:match('^(%a+);(%w*);(%w*)')\n"                             \
         "    if not kind then error('no semicolons') end\n"                                       \
         "    if kind == 'glutton' then local t = {} while true do t[#t + 1] = {} end end\n"       \
         "    return { type = kind, business_key1 = key, id = id ~= '' and id or nil,\n"           \
         "      body = { text = raw } }\n"                                                         \
         "  end,\n"                                                                                \
         "  identity = function(msg) return msg.business_key1 .. msg.type end }\n"

static void a_function_reads_what_is_no_json(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, SEMICOLONS NOTE, HITS);
    scene_deliver(&s, NULL, NULL, "paid;16;a");
    scene_deliver(&s, NULL, NULL, "paid;16;a"); /* the id that was found is the identity */
    scene_deliver(&s, NULL, NULL, "paid;17;b");
    scene_run(&s);
    assert_sql(&s, WHAT, "paid/16/a paid/17/b");
    assert_int_equal(turn_counters(s.turn)->duplicates, 1);
    scene_end(&s);
}

/* Whatever a function made of the body, on a retry too. */
static void raw_is_what_came_on_the_wire(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s,
                SEMICOLONS
                "herald.on('paid', '*', function(msg, tx)\n"
                "  if msg.attempt == 1 then herald.retry('1s') end\n"
                "  tx:exec('insert into hits values (?, 1)', msg.raw .. '/' .. msg.body.text)\n"
                "end)\n",
                HITS);
    scene_deliver(&s, NULL, NULL, "paid;16;a");
    scene_run(&s);
    s.now_ms += 2000;
    scene_run(&s);
    assert_sql(&s, WHAT, "paid;16;a/paid;16;a");
    scene_end(&s);
}

/* Both functions are asked about one message: what the first said must still hold. */
static void a_function_names_what_another_has_read(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, SEMICOLONS NOTE, HITS);
    scene_deliver(&s, NULL, NULL, "paid;16;");
    scene_deliver(&s, NULL, NULL, "paid;16;");
    scene_deliver(&s, NULL, NULL, "paid;17;");
    scene_run(&s);
    assert_sql(&s, WHAT, "paid/16/- paid/17/-");
    assert_sql(&s, "select group_concat(message_id) from herald_inbox", "16paid,17paid");
    scene_end(&s);
}

static void what_the_function_cannot_read_is_tried_again(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, SEMICOLONS NOTE, HITS);
    scene_deliver(&s, "a", NULL, "no such thing");
    scene_deliver(&s, "b", NULL, "paid;16;");
    scene_run(&s);
    assert_sql(&s, WHAT, "paid/16/b");
    assert_int_equal(scene_acked(&s), 2);
    assert_sql(&s, "select message_id || attempts || ifnull(identity, '-') from herald_retry",
               "a1-");
    s.now_ms += 1000;
    scene_run(&s);
    assert_sql_contains(&s, "select error from herald_dead", "rules/rules.lua:7: no semicolons");
    assert_sql(&s, "select message_id || body || attempts || generation from herald_dead",
               "ano such thing21");
    assert_sql(&s, "select count(*) from herald_retry", "0");
    scene_end(&s);
}

/* A retry reads it anew, and a dead letter can be read again: both keep what came. */
static void what_was_received_is_what_is_kept(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, SEMICOLONS NOTE, HITS);
    scene_deliver(&s, "m", NULL, "bad;16;");
    scene_run(&s);
    assert_sql(&s, "select body || ifnull(type, '-') || generation from herald_retry", "bad;16;-1");
    s.now_ms += 1000;
    scene_run(&s);
    assert_sql(&s,
               "select body || ' ' || type || ' ' || business_key1 || ' ' || message_id || ' ' || "
               "attempts from herald_dead",
               "bad;16; bad 16 m 2");
    scene_end(&s);
}

static void lines_of_the_rules_name_message_and_generation(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, SEMICOLONS NOTE, HITS);
    scene_swap(&s, scene_load(&s, SEMICOLONS NOTE "-- more\n"), 7);
    scene_deliver(&s, "m", NULL, "bad;16;");
    scene_run(&s);
    assert_non_null(strstr(scene_log(&s), "script.log message_id=m generation=7 hash="));
    assert_non_null(strstr(scene_log(&s), "message.retry message_id=m queue=q type=bad"));
    assert_non_null(strstr(scene_log(&s), "attempt=1 generation=7 hash="));
    assert_sql(&s, "select generation from herald_retry", "7");
    s.now_ms += 1000;
    scene_run(&s);
    assert_sql(&s, "select generation from herald_dead", "7");
    scene_end(&s);
}

static void memory_eaten_while_reading_is_an_attempt(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, SEMICOLONS NOTE, HITS);
    scene_deliver(&s, "a", NULL, "paid;1;");
    scene_deliver(&s, "b", NULL, "glutton;2;");
    scene_deliver(&s, "c", NULL, "paid;3;");
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 3);
    assert_sql(&s, WHAT, "paid/1/a paid/3/c");
    assert_sql_contains(&s, "select message_id || error from herald_retry", "handler_memory");
    scene_end(&s);
}

/* The same in the handler is an attempt, which is tried again. */
static void memory_eaten_by_the_handler_is_an_attempt(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, SEMICOLONS NOTE, HITS);
    scene_deliver(&s, "a", NULL, "hog;1;");
    scene_deliver(&s, "b", NULL, "paid;2;");
    scene_run(&s);
    assert_sql(&s, WHAT, "paid/2/b");
    assert_sql(&s, "select message_id || attempts from herald_retry", "a1");
    assert_sql(&s, "select count(*) from herald_dead", "0");
    s.now_ms += 1000;
    scene_run(&s);
    assert_sql(&s, "select message_id || attempts from herald_dead", "a2");
    scene_end(&s);
}

#define RAW                                                                                        \
    HEAD "herald.subscribe { queue = 'q', from = herald.fanout 'x', envelope = 'raw',\n"           \
         "  retry = { attempts = 3, delay = '1s', factor = 1, jitter = 0 } }\n"

static void raw_bodies_are_any_bytes(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, RAW NOTE, HITS);
    scene_deliver(&s, "a", "t", "\xff{ no json");
    scene_deliver(&s, "b", NULL, "{\"messageType\":\"in body\",\"businessKey1\":\"16\"}");
    s.deliveries[1].delivery.routing_key = slice_of("by.key");
    scene_deliver(&s, "c", NULL, "neither");
    scene_run(&s);
    assert_sql(&s, WHAT, "t/-/a by.key/-/b");
    assert_sql_contains(&s, "select message_id || error from herald_dead", "c");
    assert_sql_contains(&s, "select error from herald_dead", "routing key");
    scene_end(&s);
}

static void raw_bodies_are_tried_again_as_they_are(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, RAW NOTE, HITS);
    scene_deliver(&s, "a", "bad", "\xff{ no json");
    for (int i = 0; i < 3; i++) {
        scene_run(&s);
        s.now_ms += 1000;
    }
    assert_sql(&s, "select attempts || hex(body) from herald_dead", "3FF7B206E6F206A736F6E");
    assert_sql_contains(&s, "select error from herald_dead", "as told");
    scene_end(&s);
}

static void a_handler_has_its_own_retries_and_limit(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s,
                HEAD "herald.subscribe { queue = 'q', from = herald.fanout 'x',\n"
                     "  retry = { attempts = 9, delay = '1s' } }\n"
                     "herald.on('own', '*', function() error('no') end,\n"
                     "  { retry = { attempts = 2, delay = '5s', factor = 1, jitter = 0 } })\n"
                     "herald.on('sub', '*', function() error('no') end)\n",
                HITS);
    scene_deliver(&s, "a", "own", "{}");
    scene_deliver(&s, "b", "sub", "{}");
    scene_run(&s);
    assert_sql(&s,
               "select group_concat(message_id || (due_at - 1700000000000)) from herald_retry "
               "where message_id = 'a'",
               "a5000");
    s.now_ms += 5000;
    scene_run(&s);
    assert_sql(&s, "select group_concat(message_id || attempts) from herald_dead", "a2");
    assert_sql(&s, "select message_id || attempts from herald_retry", "b2");
    scene_end(&s);
}

/* The next delivery comes from the queue's dead-letter queue. */
static void give_up(struct scene *s, const char *id, const char *body)
{
    scene_deliver(s, id, "paid", body);
    s->deliveries[s->n_deliveries - 1].delivery.given_up = "the broker gave up on it: as told";
}

/* docs/faults.md#f21 */
static void what_the_broker_gave_up_on_is_a_dead_letter_unless_it_is_known(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, RETRIED NOTE, HITS);
    scene_deliver(&s, "done", "paid", "{}");
    scene_deliver(&s, "waits", "bad", "{}");
    scene_run(&s);
    give_up(&s, "done", "{}");
    give_up(&s, "new", "{\"businessKey1\":\"16\"}");
    give_up(&s, "new", "{\"businessKey1\":\"16\"}"); /* such a queue may bring it twice */
    scene_deliver(&s, "waits", "bad", "{}");
    s.deliveries[s.n_deliveries - 1].delivery.given_up = "the broker gave up on it: as told";
    give_up(&s, "spoilt", "{");
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 7);
    assert_sql(&s, WHAT, "paid/-/done"); /* no handler ran */
    assert_sql(&s,
               "select group_concat(message_id || ' ' || type || ' ' || business_key1) "
               "from herald_dead where error = 'the broker gave up on it: as told'",
               "new paid 16");
    assert_sql(&s, "select queue from herald_dead where message_id = 'new'", "q");
    assert_sql(&s, "select count(*) from herald_dead", "2");
    assert_sql_contains(&s, "select error from herald_dead where message_id = 'spoilt'", "JSON");
    assert_sql(&s, "select message_id from herald_retry", "waits");
    assert_int_equal(turn_counters(s.turn)->dead, 2);
    assert_int_equal(turn_counters(s.turn)->duplicates, 3);
    assert_non_null(strstr(scene_log(&s), "reason=\"the broker gave up on it: as told\""));
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_function_reads_what_is_no_json),
        cmocka_unit_test(raw_is_what_came_on_the_wire),
        cmocka_unit_test(a_function_names_what_another_has_read),
        cmocka_unit_test(what_the_function_cannot_read_is_tried_again),
        cmocka_unit_test(what_was_received_is_what_is_kept),
        cmocka_unit_test(lines_of_the_rules_name_message_and_generation),
        cmocka_unit_test(memory_eaten_while_reading_is_an_attempt),
        cmocka_unit_test(memory_eaten_by_the_handler_is_an_attempt),
        cmocka_unit_test(raw_bodies_are_any_bytes),
        cmocka_unit_test(raw_bodies_are_tried_again_as_they_are),
        cmocka_unit_test(a_handler_has_its_own_retries_and_limit),
        cmocka_unit_test(what_the_broker_gave_up_on_is_a_dead_letter_unless_it_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
