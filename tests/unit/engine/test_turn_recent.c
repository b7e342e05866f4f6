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

TEST_WITH(scene, the_last_of_a_turn_are_kept)
{
    f->settings.recent_max = 3;
    scene_begin(f, RULES, "select 1;");
    deliver(f, 1, 7);
    scene_run(f);
    assert_sql(f, KEPT, "5,6,7");
    deliver(f, 8, 1);
    scene_run(f);
    assert_sql(f, KEPT, "6,7,8");
    scene_restart(f);
    deliver(f, 9, 2);
    scene_run(f);
    assert_sql(f, KEPT, "8,9,10");
}

TEST_WITH(scene, they_are_kept_as_they_were_received)
{
    f->settings.recent_max = 3;
    scene_begin(f, RULES, "select 1;");
    scene_deliver(f, "a", NULL, "{\"messageType\":\"t\",\"businessKey1\":\"16\"}");
    scene_run(f);
    assert_sql(f,
               "select message_id || queue || exchange || ifnull(type, '-') || "
               "ifnull(business_key1, '-') || body from herald_recent",
               "aqx--{\"messageType\":\"t\",\"businessKey1\":\"16\"}");
}

TEST_WITH(scene, only_what_was_handled_is_kept)
{
    f->settings.recent_max = 10;
    scene_begin(f, RULES, "select 1;");
    scene_deliver(f, "once", "t", "{\"businessKey1\":\"once\"}");
    scene_deliver(f, "never", "t", "{\"businessKey1\":\"never\"}");
    scene_deliver(f, "other", "unhandled", "{}");
    scene_deliver(f, "good", "t", "{}");
    scene_run(f);
    assert_sql(f, KEPT, "good");
    f->now_ms += 1000;
    scene_run(f);
    assert_sql(f, KEPT, "good,once");
    scene_deliver(f, "good", "t", "{}"); /* known: not handled again */
    scene_run(f);
    assert_sql(f, KEPT, "good,once");
}

TEST_WITH(scene, none_are_kept_when_that_is_off)
{
    f->settings.recent_max = 0;
    scene_begin(f, RULES, "select 1;");
    deliver(f, 1, 3);
    scene_run(f);
    assert_sql(f, "select count(*) from herald_recent", "0");
}

TEST_WITH(scene, large_bodies_are_not_kept)
{
    static char large[70 * 1024];

    memset(large, ' ', sizeof large);
    memcpy(large, "{}", 2);
    f->settings.recent_max = 3;
    scene_begin(f, RULES, "select 1;");
    deliver(f, 1, 1);
    scene_deliver(f, "large", "t", "{}");
    f->deliveries[1].delivery.message.body = (struct slice){large, sizeof large};
    scene_run(f);
    assert_int_equal(turn_counters(f->turn)->handled, 2);
    assert_sql(f, KEPT, "1");
}
