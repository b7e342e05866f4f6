/* What each try came to is kept, whatever becomes of the message. */
#include "scene.h"

#include "check.h"

#include <stdio.h>

#define HEAD "local herald = require 'herald'\n"
#define SUBSCRIBE                                                                                  \
    "herald.subscribe { queue = 'q', from = herald.fanout 'x',\n"                                  \
    "  retry = { attempts = 3, delay = '1s', factor = 1, jitter = 0 } }\n"
#define RULES                                                                                      \
    HEAD SUBSCRIBE "herald.on('t', '*', function(msg)\n"                                           \
                   "  if msg.business_key1 == 'reject' then herald.reject('never') end\n"          \
                   "  local function inner() error('try ' .. msg.attempt .. '') end\n"             \
                   "  inner()\n"                                                                   \
                   "end)\n"

/* A member of each try, "," between them. */
#define EACH(table, member)                                                                        \
    "select group_concat(ifnull(json_extract(value, '$." member "'), '-')) from json_each("        \
    "(select '[' || replace(rtrim(tries, char(10)), char(10), ',') || ']' from " table "))"

static void pass(struct scene *s, int64_t ms)
{
    s->now_ms += ms;
    scene_run(s);
}

TEST_WITH(scene, every_error_of_every_attempt_is_kept)
{
    char at[80];
    long long began;

    scene_begin(f, RULES, "select 1;");
    began = (long long)f->now_ms;
    scene_deliver(f, "m", "t", "{}");
    scene_run(f);
    assert_sql(f, EACH("herald_retry", "attempt"), "1");
    scene_restart(f);
    scene_swap(f, scene_load(f, RULES "-- more\n"), 7);
    pass(f, 1000);
    assert_sql(f, EACH("herald_retry", "generation"), "1,7");
    pass(f, 1000);
    assert_sql(f, EACH("herald_dead", "attempt"), "1,2,3");
    assert_sql(f, EACH("herald_dead", "generation"), "1,7,7");
    snprintf(at, sizeof at, "%lld,%lld,%lld", began, began + 1000, began + 2000);
    assert_sql(f, EACH("herald_dead", "at"), at);
    assert_sql_contains(f, EACH("herald_dead", "error"), "rules/rules.lua:6: try 2,");
    assert_sql_contains(f, EACH("herald_dead", "traceback"), "rules/rules.lua:7");
    assert_sql(f, "select count(*) from herald_retry", "0");
}

TEST_WITH(scene, how_long_a_try_took_is_told_from_a_millisecond_on)
{
    scene_begin(f, RULES, "select 1;");
    scene_deliver(f, "m", "t", "{}");
    scene_run(f);
    assert_sql(f, "select tries like '%took_ms%' from herald_retry", "0");
    f->tick_ms = 5;
    pass(f, 1000);
    assert_sql(
        f, "select tries like '%\"attempt\":2,\"generation\":1,\"took_ms\":%' from herald_retry",
        "1");
}

TEST_WITH(scene, a_letter_of_the_first_attempt_has_one)
{
    scene_begin(f, RULES, "select 1;");
    scene_deliver(f, "m", "t", "{\"businessKey1\":\"reject\"}");
    scene_deliver(f, "n", "t", "{");
    scene_run(f);
    assert_sql(f, EACH("herald_dead where message_id = 'm'", "attempt"), "1");
    assert_sql_contains(f, EACH("herald_dead where message_id = 'm'", "error"), "never");
    assert_sql(f, EACH("herald_dead where message_id = 'n'", "generation"), "0");
}

/* Nobody tried it, so nothing is added. */
TEST_WITH(scene, waiting_for_a_subscription_is_no_try)
{
    scene_begin(f, RULES, "select 1;");
    scene_deliver(f, "m", "t", "{}");
    scene_run(f);
    scene_swap(f, scene_load(f, HEAD), 2);
    pass(f, 1000);
    assert_sql_contains(f, "select error from herald_retry", "orphaned");
    assert_sql(f, EACH("herald_retry", "attempt"), "1");
    scene_swap(f, scene_load(f, RULES), 3);
    pass(f, 60000);
    assert_sql(f, EACH("herald_retry", "attempt"), "1,2");
}

TEST_WITH(scene, a_retry_that_nobody_wants_any_more_keeps_them)
{
    scene_begin(f, RULES, "select 1;");
    scene_deliver(f, "m", "t", "{}");
    scene_run(f);
    scene_swap(f, scene_load(f, HEAD SUBSCRIBE), 2);
    pass(f, 1000);
    assert_sql(f, EACH("herald_dead", "generation"), "1,2");
    assert_sql_contains(f, EACH("herald_dead", "error"), "no handler for type");
}

TEST_WITH(scene, a_parked_row_has_one)
{
    scene_begin(f,
                HEAD SUBSCRIBE "herald.on('t', '*', function(msg, tx)\n"
                               "  tx:emit { type = 'nowhere' }\n"
                               "end)\n",
                "select 1;");
    scene_deliver(f, "m", "t", "{}");
    scene_run(f);
    assert_sql_contains(f, EACH("herald_dead", "error"), "no route for type");
    assert_sql(f, EACH("herald_dead", "attempt"), "0");
}
