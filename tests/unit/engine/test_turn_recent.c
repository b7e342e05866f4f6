/* The last handled messages are kept, and no more of them than asked for. */
#include "scene.h"

#include "check.h"

#include <stdio.h>
#include <string.h>

#define RULES                                                                                      \
    "local herald = require 'herald'\n"                                                            \
    "herald.subscribe { queue = 'q', from = herald.fanout 'x',\n"                                  \
    "  retry = { attempts = 3, delay = '1s', factor = 1, jitter = 0 } }\n"                         \
    "herald.on('t', '*', function(msg)\n"                                                          \
    "  if msg.attempt == 1 and msg.business_key1 == 'once' then error('first') end\n"              \
    "  if msg.business_key1 == 'never' then error('never') end\n"                                  \
    "end)\n"
#define KEPT "select group_concat(message_id) from (select * from herald_recent order by seq)"

static void deliver(struct scene *s, int first, int n)
{
    for (int i = first; i < first + n; i++) {
        char id[16];

        snprintf(id, sizeof id, "%d", i);
        scene_deliver(s, id, "t", "{\"businessKey1\":\"k\"}");
    }
}

static void the_last_of_a_turn_are_kept(void **state)
{
    struct scene s;

    (void)state;
    scene_begin_keeping(&s, 3, RULES, "select 1;");
    deliver(&s, 1, 7);
    scene_run(&s);
    assert_sql(&s, KEPT, "5,6,7");
    deliver(&s, 8, 1);
    scene_run(&s);
    assert_sql(&s, KEPT, "6,7,8");
    scene_restart(&s);
    deliver(&s, 9, 2);
    scene_run(&s);
    assert_sql(&s, KEPT, "8,9,10");
    scene_end(&s);
}

static void they_are_kept_as_they_were_received(void **state)
{
    struct scene s;

    (void)state;
    scene_begin_keeping(&s, 3, RULES, "select 1;");
    scene_deliver(&s, "a", NULL, "{\"messageType\":\"t\",\"businessKey1\":\"16\"}");
    scene_run(&s);
    assert_sql(&s,
               "select message_id || queue || exchange || ifnull(type, '-') || "
               "ifnull(business_key1, '-') || body from herald_recent",
               "aqx--{\"messageType\":\"t\",\"businessKey1\":\"16\"}");
    scene_end(&s);
}

static void only_what_was_handled_is_kept(void **state)
{
    struct scene s;

    (void)state;
    scene_begin_keeping(&s, 10, RULES, "select 1;");
    scene_deliver(&s, "once", "t", "{\"businessKey1\":\"once\"}");
    scene_deliver(&s, "never", "t", "{\"businessKey1\":\"never\"}");
    scene_deliver(&s, "other", "unhandled", "{}");
    scene_deliver(&s, "good", "t", "{}");
    scene_run(&s);
    assert_sql(&s, KEPT, "good");
    s.now_ms += 1000;
    scene_run(&s);
    assert_sql(&s, KEPT, "good,once");
    scene_deliver(&s, "good", "t", "{}"); /* known: not handled again */
    scene_run(&s);
    assert_sql(&s, KEPT, "good,once");
    scene_end(&s);
}

static void none_are_kept_when_that_is_off(void **state)
{
    struct scene s;

    (void)state;
    scene_begin_keeping(&s, 0, RULES, "select 1;");
    deliver(&s, 1, 3);
    scene_run(&s);
    assert_sql(&s, "select count(*) from herald_recent", "0");
    scene_end(&s);
}

static void large_bodies_are_not_kept(void **state)
{
    static char large[70 * 1024];
    struct scene s;

    (void)state;
    memset(large, ' ', sizeof large);
    memcpy(large, "{}", 2);
    scene_begin_keeping(&s, 3, RULES, "select 1;");
    deliver(&s, 1, 1);
    scene_deliver(&s, "large", "t", "{}");
    s.deliveries[1].delivery.message.body = (struct slice){large, sizeof large};
    scene_run(&s);
    assert_int_equal(turn_counters(s.turn)->handled, 2);
    assert_sql(&s, KEPT, "1");
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_of_a_turn_are_kept),
        cmocka_unit_test(they_are_kept_as_they_were_received),
        cmocka_unit_test(only_what_was_handled_is_kept),
        cmocka_unit_test(none_are_kept_when_that_is_off),
        cmocka_unit_test(large_bodies_are_not_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
