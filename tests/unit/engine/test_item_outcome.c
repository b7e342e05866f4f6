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

static void semicolons(struct scene *s)
{
    scene_setup(s);
    scene_begin(s, SEMICOLONS NOTE, HITS);
}

TEST_FROM(scene, semicolons, a_function_reads_what_is_no_json)
{
    scene_deliver(f, NULL, NULL, "paid;16;a");
    scene_deliver(f, NULL, NULL, "paid;16;a"); /* the id that was found is the identity */
    scene_deliver(f, NULL, NULL, "paid;17;b");
    scene_run(f);
    assert_sql(f, WHAT, "paid/16/a paid/17/b");
    assert_int_equal(turn_counters(f->turn)->duplicates, 1);
}

/* For people: the row itself is as it was received. */
TEST_FROM(scene, semicolons, a_retry_says_what_its_function_has_read)
{
    scene_deliver(f, "m", NULL, "bad;17;a");
    scene_deliver(f, "n", NULL, "unreadable");
    scene_run(f);
    assert_sql(f,
               "select group_concat(coalesce(type, '-') || ' ' || coalesce(read_type, '-') || ' ' "
               "|| coalesce(read_key1, '-'), ', ') from herald_retry",
               "- bad 17, - - -");
}

/* Whatever a function made of the body, on a retry too. */
TEST_WITH(scene, raw_is_what_came_on_the_wire)
{
    scene_begin(f,
                SEMICOLONS
                "herald.on('paid', '*', function(msg, tx)\n"
                "  if msg.attempt == 1 then herald.retry('1s') end\n"
                "  tx:exec('insert into hits values (?, 1)', msg.raw .. '/' .. msg.body.text)\n"
                "end)\n",
                HITS);
    scene_deliver(f, NULL, NULL, "paid;16;a");
    scene_run(f);
    f->now_ms += 2000;
    scene_run(f);
    assert_sql(f, WHAT, "paid;16;a/paid;16;a");
}

/* Both functions are asked about one message: what the first said must still hold. */
TEST_FROM(scene, semicolons, a_function_names_what_another_has_read)
{
    scene_deliver(f, NULL, NULL, "paid;16;");
    scene_deliver(f, NULL, NULL, "paid;16;");
    scene_deliver(f, NULL, NULL, "paid;17;");
    scene_run(f);
    assert_sql(f, WHAT, "paid/16/- paid/17/-");
    assert_sql(f, "select group_concat(message_id) from herald_inbox", "16paid,17paid");
}

TEST_FROM(scene, semicolons, what_the_function_cannot_read_is_tried_again)
{
    scene_deliver(f, "a", NULL, "no such thing");
    scene_deliver(f, "b", NULL, "paid;16;");
    scene_run(f);
    assert_sql(f, WHAT, "paid/16/b");
    assert_int_equal(scene_acked(f), 2);
    assert_sql(f, "select message_id || attempts || ifnull(identity, '-') from herald_retry",
               "a1-");
    f->now_ms += 1000;
    scene_run(f);
    assert_sql_contains(f, "select error from herald_dead", "rules/rules.lua:7: no semicolons");
    assert_sql(f, "select message_id || body || attempts || generation from herald_dead",
               "ano such thing21");
    assert_sql(f, "select count(*) from herald_retry", "0");
}

/* A retry reads it anew, and a dead letter can be read again: both keep what came. */
TEST_FROM(scene, semicolons, what_was_received_is_what_is_kept)
{
    scene_deliver(f, "m", NULL, "bad;16;");
    scene_run(f);
    assert_sql(f, "select body || ifnull(type, '-') || generation from herald_retry", "bad;16;-1");
    f->now_ms += 1000;
    scene_run(f);
    assert_sql(f,
               "select body || ' ' || type || ' ' || business_key1 || ' ' || message_id || ' ' || "
               "attempts from herald_dead",
               "bad;16; bad 16 m 2");
}

TEST_FROM(scene, semicolons, backlogs_of_the_rules_name_message_and_generation)
{
    scene_swap(f, scene_load(f, SEMICOLONS NOTE "-- more\n"), 7);
    scene_deliver(f, "m", NULL, "bad;16;");
    scene_run(f);
    assert_non_null(strstr(scene_log(f), "script.log message_id=m generation=7 hash="));
    assert_non_null(strstr(scene_log(f), "message.retry message_id=m queue=q type=bad"));
    assert_non_null(strstr(scene_log(f), "attempt=1 generation=7 hash="));
    assert_sql(f, "select generation from herald_retry", "7");
    f->now_ms += 1000;
    scene_run(f);
    assert_sql(f, "select generation from herald_dead", "7");
}

TEST_FROM(scene, semicolons, memory_eaten_while_reading_is_an_attempt)
{
    scene_deliver(f, "a", NULL, "paid;1;");
    scene_deliver(f, "b", NULL, "glutton;2;");
    scene_deliver(f, "c", NULL, "paid;3;");
    scene_run(f);
    assert_int_equal(scene_acked(f), 3);
    assert_sql(f, WHAT, "paid/1/a paid/3/c");
    assert_sql_contains(f, "select message_id || error from herald_retry", "handler_memory");
}

/* The same in the handler is an attempt, which is tried again. */
TEST_FROM(scene, semicolons, memory_eaten_by_the_handler_is_an_attempt)
{
    scene_deliver(f, "a", NULL, "hog;1;");
    scene_deliver(f, "b", NULL, "paid;2;");
    scene_run(f);
    assert_sql(f, WHAT, "paid/2/b");
    assert_sql(f, "select message_id || attempts from herald_retry", "a1");
    assert_sql(f, "select count(*) from herald_dead", "0");
    f->now_ms += 1000;
    scene_run(f);
    assert_sql(f, "select message_id || attempts from herald_dead", "a2");
}

#define RAW                                                                                        \
    HEAD "herald.subscribe { queue = 'q', from = herald.fanout 'x', envelope = 'raw',\n"           \
         "  retry = { attempts = 3, delay = '1s', factor = 1, jitter = 0 } }\n"

TEST_WITH(scene, raw_bodies_are_any_bytes)
{
    scene_begin(f, RAW NOTE, HITS);
    scene_deliver(f, "a", "t", "\xff{ no json");
    scene_deliver(f, "b", NULL, "{\"messageType\":\"in body\",\"businessKey1\":\"16\"}");
    f->deliveries[1].delivery.routing_key = slice_of("by.key");
    scene_deliver(f, "c", NULL, "by its exchange");
    scene_deliver(f, "d", NULL, "by nothing");
    f->deliveries[3].delivery.exchange = slice_of("");
    scene_run(f);
    assert_sql(f, WHAT, "t/-/a by.key/-/b x/-/c");
    assert_sql_contains(f, "select message_id || error from herald_dead", "d");
    assert_sql_contains(f, "select error from herald_dead", "routing key");
}

TEST_WITH(scene, raw_bodies_are_tried_again_as_they_are)
{
    scene_begin(f, RAW NOTE, HITS);
    scene_deliver(f, "a", "bad", "\xff{ no json");
    for (int i = 0; i < 3; i++) {
        scene_run(f);
        f->now_ms += 1000;
    }
    assert_sql(f, "select attempts || hex(body) from herald_dead", "3FF7B206E6F206A736F6E");
    assert_sql_contains(f, "select error from herald_dead", "as told");
}

TEST_WITH(scene, a_handler_has_its_own_retries_and_limit)
{
    scene_begin(f,
                HEAD "herald.subscribe { queue = 'q', from = herald.fanout 'x',\n"
                     "  retry = { attempts = 9, delay = '1s' } }\n"
                     "herald.on('own', '*', function() error('no') end,\n"
                     "  { retry = { attempts = 2, delay = '5s', factor = 1, jitter = 0 } })\n"
                     "herald.on('sub', '*', function() error('no') end)\n",
                HITS);
    scene_deliver(f, "a", "own", "{}");
    scene_deliver(f, "b", "sub", "{}");
    scene_run(f);
    assert_sql(f,
               "select group_concat(message_id || (due_at - 1700000000000)) from herald_retry "
               "where message_id = 'a'",
               "a5000");
    f->now_ms += 5000;
    scene_run(f);
    assert_sql(f, "select group_concat(message_id || attempts) from herald_dead", "a2");
    assert_sql(f, "select message_id || attempts from herald_retry", "b2");
}

/* The next delivery comes from the queue's dead-letter queue. */
static void give_up(struct scene *s, const char *id, const char *body)
{
    scene_deliver(s, id, "paid", body);
    s->deliveries[s->n_deliveries - 1].delivery.dead_lettered = "the broker gave up on it: as told";
}

/* docs/faults.md#f21 */
TEST_WITH(scene, what_the_broker_gave_up_on_is_a_dead_letter_unless_it_is_known)
{
    scene_begin(f, RETRIED NOTE, HITS);
    scene_deliver(f, "done", "paid", "{}");
    scene_deliver(f, "waits", "bad", "{}");
    scene_run(f);
    give_up(f, "done", "{}");
    give_up(f, "new", "{\"businessKey1\":\"16\"}");
    give_up(f, "new", "{\"businessKey1\":\"16\"}"); /* such a queue may bring it twice */
    scene_deliver(f, "waits", "bad", "{}");
    f->deliveries[f->n_deliveries - 1].delivery.dead_lettered = "the broker gave up on it: as told";
    give_up(f, "spoilt", "{");
    scene_run(f);
    assert_int_equal(scene_acked(f), 7);
    assert_sql(f, WHAT, "paid/-/done"); /* no handler ran */
    assert_sql(f,
               "select group_concat(message_id || ' ' || type || ' ' || business_key1) "
               "from herald_dead where error = 'the broker gave up on it: as told'",
               "new paid 16");
    assert_sql(f, "select queue from herald_dead where message_id = 'new'", "q");
    assert_sql(f, "select count(*) from herald_dead", "2");
    assert_sql_contains(f, "select error from herald_dead where message_id = 'spoilt'", "JSON");
    assert_sql(f, "select message_id from herald_retry", "waits");
    assert_int_equal(turn_counters(f->turn)->dead, 2);
    assert_int_equal(turn_counters(f->turn)->duplicates, 3);
    assert_non_null(strstr(scene_log(f), "reason=\"the broker gave up on it: as told\""));
}
