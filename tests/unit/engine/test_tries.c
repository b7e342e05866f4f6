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

static void every_error_of_every_attempt_is_kept(void **state)
{
    struct scene s;
    char at[80];
    long long began;

    (void)state;
    scene_begin(&s, RULES, "select 1;");
    began = (long long)s.now_ms;
    scene_deliver(&s, "m", "t", "{}");
    scene_run(&s);
    assert_sql(&s, EACH("herald_retry", "attempt"), "1");
    scene_restart(&s);
    scene_swap(&s, scene_load(&s, RULES "-- more\n"), 7);
    pass(&s, 1000);
    assert_sql(&s, EACH("herald_retry", "generation"), "1,7");
    pass(&s, 1000);
    assert_sql(&s, EACH("herald_dead", "attempt"), "1,2,3");
    assert_sql(&s, EACH("herald_dead", "generation"), "1,7,7");
    snprintf(at, sizeof at, "%lld,%lld,%lld", began, began + 1000, began + 2000);
    assert_sql(&s, EACH("herald_dead", "at"), at);
    assert_sql_contains(&s, EACH("herald_dead", "error"), "rules/rules.lua:6: try 2,");
    assert_sql_contains(&s, EACH("herald_dead", "traceback"), "rules/rules.lua:7");
    assert_sql(&s, "select count(*) from herald_retry", "0");
    scene_end(&s);
}

static void a_letter_of_the_first_attempt_has_one(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, RULES, "select 1;");
    scene_deliver(&s, "m", "t", "{\"businessKey1\":\"reject\"}");
    scene_deliver(&s, "n", "t", "{");
    scene_run(&s);
    assert_sql(&s, EACH("herald_dead where message_id = 'm'", "attempt"), "1");
    assert_sql_contains(&s, EACH("herald_dead where message_id = 'm'", "error"), "never");
    assert_sql(&s, EACH("herald_dead where message_id = 'n'", "generation"), "0");
    scene_end(&s);
}

/* Nobody tried it, so nothing is added. */
static void waiting_for_a_subscription_is_no_try(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, RULES, "select 1;");
    scene_deliver(&s, "m", "t", "{}");
    scene_run(&s);
    scene_swap(&s, scene_load(&s, HEAD), 2);
    pass(&s, 1000);
    assert_sql_contains(&s, "select error from herald_retry", "orphaned");
    assert_sql(&s, EACH("herald_retry", "attempt"), "1");
    scene_swap(&s, scene_load(&s, RULES), 3);
    pass(&s, 60000);
    assert_sql(&s, EACH("herald_retry", "attempt"), "1,2");
    scene_end(&s);
}

static void a_retry_that_nobody_wants_any_more_keeps_them(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, RULES, "select 1;");
    scene_deliver(&s, "m", "t", "{}");
    scene_run(&s);
    scene_swap(&s, scene_load(&s, HEAD SUBSCRIBE), 2);
    pass(&s, 1000);
    assert_sql(&s, EACH("herald_dead", "generation"), "1,2");
    assert_sql_contains(&s, EACH("herald_dead", "error"), "no handler for type");
    scene_end(&s);
}

static void a_parked_row_has_one(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s,
                HEAD SUBSCRIBE "herald.on('t', '*', function(msg, tx)\n"
                               "  tx:emit { type = 'nowhere' }\n"
                               "end)\n",
                "select 1;");
    scene_deliver(&s, "m", "t", "{}");
    scene_run(&s);
    assert_sql_contains(&s, EACH("herald_dead", "error"), "no route for type");
    assert_sql(&s, EACH("herald_dead", "attempt"), "0");
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_of_every_attempt_is_kept),
        cmocka_unit_test(a_letter_of_the_first_attempt_has_one),
        cmocka_unit_test(waiting_for_a_subscription_is_no_try),
        cmocka_unit_test(a_retry_that_nobody_wants_any_more_keeps_them),
        cmocka_unit_test(a_parked_row_has_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
