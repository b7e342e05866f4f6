/* What is settled leaves a copy when the setting says so, and nothing else does. */
#include "scene.h"

#include "check.h"

#include <stdio.h>
#include <string.h>

#define HEAD "local herald = require 'herald'\n"
#define RULES                                                                                      \
    HEAD "herald.subscribe { queue = 'q', from = herald.fanout 'x',\n"                             \
         "  retry = { attempts = 2, delay = '1s', factor = 1, jitter = 0 } }\n"                    \
         "herald.route { type = 'out', to = herald.fanout 'y' }\n"                                 \
         "herald.route { type = 'gone', to = herald.fanout 'y', unroutable = 'drop' }\n"           \
         "herald.route { type = 'both', to = { herald.fanout 'y', herald.direct('z', 'k') } }\n"   \
         "herald.on('t', '*', function(msg, tx)\n"                                                 \
         "  if msg.business_key1 == 'once' and msg.attempt == 1 then error('first') end\n"         \
         "  if msg.business_key1 == 'never' then error('never') end\n"                             \
         "  if msg.business_key2 then tx:emit { type = msg.business_key2, business_key1 = 'e' } "  \
         "end\n"                                                                                   \
         "end)\n"
#define ALL                                                                                        \
    "select group_concat(side || ':' || outcome || ':' || ifnull(queue, '-') || ':' || "           \
    "attempts || ':' || ifnull(message_id, '-'), ' ') from "                                       \
    "(select * from herald_history order by id)"
#define HOUR 3600000

static void begin(struct scene *s)
{
    scene_setup(s);
    scene_begin(s, RULES, "select 1;");
    s->settings.history_ms = HOUR;
}

TEST_FROM(scene, begin, messages_that_are_done_or_not_wanted_are_kept)
{
    scene_deliver(f, "a", "t", "{\"businessKey1\":\"16\"}");
    scene_deliver(f, "b", "t", "{\"businessKey1\":\"once\"}");
    scene_deliver(f, "c", "t", "{\"businessKey1\":\"never\"}");
    scene_deliver(f, "d", "unwanted", "{}");
    scene_run(f);
    assert_sql(f, ALL, "inbox:done:q:1:a inbox:unhandled:q:1:d");
    f->now_ms += 1000;
    scene_deliver(f, "a", "t", "{\"businessKey1\":\"16\"}"); /* known */
    scene_run(f);
    assert_sql(f, ALL, "inbox:done:q:1:a inbox:unhandled:q:1:d inbox:done:q:2:b");
    assert_sql(f,
               "select generation || type || business_key1 || body || exchange from "
               "herald_history where message_id = 'a'",
               "1t16{\"businessKey1\":\"16\"}x");
}

/* The rows of one turn: a later one that can be copied does not hide that an earlier one could
 * not. */
TEST_FROM(scene, begin, a_copy_that_cannot_be_written_ends_the_turn)
{
    struct err err = {0};

    scene_sql(f, "insert into herald_outbox(type, business_key1) values ('out', 'full'), "
                 "('out', 'e')");
    scene_run(f);
    scene_sql(f, "create trigger full before insert on herald_history when "
                 "new.business_key1 = 'full' begin select raise(abort, 'as told'); end");
    scene_answer(f, 1, PUBLISH_CONFIRMED, NULL);
    scene_answer(f, 2, PUBLISH_CONFIRMED, NULL);
    assert_int_equal(scene_turn(f, &err), TURN_OUTAGE);
    scene_sql(f, "drop trigger full");
    scene_run(f);
    assert_sql(f, "select group_concat(business_key1, ' ') from herald_history", "full e");
    assert_sql(f, "select count(*) from herald_outbox", "0");
}

/* With the id and the body that were sent, whoever made them. */
TEST_FROM(scene, begin, rows_that_were_confirmed_are_kept)
{
    scene_deliver(f, "a", "t", "{\"businessKey2\":\"out\"}");
    scene_run(f);
    assert_sql(f, ALL, "inbox:done:q:1:a");
    scene_answer(f, 1, PUBLISH_CONFIRMED, NULL);
    scene_answer(f, 1, PUBLISH_CONFIRMED, NULL); /* a second word about it */
    scene_run(f);
    assert_sql(f, "select count(*) from herald_history where side = 'outbox'", "1");
    assert_sql(f, "select message_id like '%_:1' from herald_history where side = 'outbox'", "1");
    assert_sql(f, "select trim(message_id || ' ') from herald_history where side = 'outbox'",
               strtok(f->ids, " "));
    assert_sql(f,
               "select outcome || attempts || business_key1 || body || timestamp_s from "
               "herald_history where side = 'outbox'",
               "confirmed1e{\"businessKey1\":\"e\",\"id\":1,\"messageType\":\"out\"}1700000000");
    assert_sql(f, "select count(*) from herald_outbox", "0");
}

TEST_FROM(scene, begin, what_is_tried_again_is_not_settled)
{
    scene_deliver(f, "a", "t", "{\"businessKey2\":\"out\"}");
    scene_run(f);
    scene_answer(f, 1, PUBLISH_NACKED, NULL);
    scene_run(f);
    assert_sql(f, "select count(*) from herald_history where side = 'outbox'", "0");
    f->now_ms += HOUR / 2;
    scene_run(f);
    scene_answer(f, 1, PUBLISH_CONFIRMED, NULL);
    scene_run(f);
    assert_sql(f, "select outcome || attempts from herald_history where side = 'outbox'",
               "confirmed2");
}

TEST_FROM(scene, begin, a_dropped_row_and_each_leg_are_kept)
{
    scene_deliver(f, "a", "t", "{\"businessKey2\":\"gone\"}");
    scene_deliver(f, "b", "t", "{\"businessKey2\":\"both\"}");
    scene_run(f);
    scene_answer(f, 1, PUBLISH_RETURNED, "nobody is bound");
    scene_answer(f, 3, PUBLISH_CONFIRMED, NULL);
    scene_answer(f, 4, PUBLISH_CONFIRMED, NULL);
    scene_run(f);
    assert_sql(f,
               "select group_concat(outcome || ifnull(exchange, '-') || ifnull(routing_key, '-'), "
               "' ') from (select * from herald_history where side = 'outbox' order by id)",
               "dropped-- confirmedy confirmedzk");
    assert_sql(f,
               "select count(distinct message_id) from herald_history where outcome = 'confirmed'",
               "1");
}

TEST_WITH(scene, nothing_is_kept_while_it_is_off)
{
    scene_begin(f, RULES, "select 1;");
    scene_run(f); /* old copies are looked for: not again for a while */
    scene_deliver(f, "a", "t", "{\"businessKey2\":\"out\"}");
    scene_deliver(f, "d", "unwanted", "{}");
    scene_run(f);
    scene_answer(f, 1, PUBLISH_CONFIRMED, NULL);
    scene_run(f);
    assert_sql(f, "select count(*) from herald_history", "0");
}

/* The copy is part of the turn's transaction. */
TEST_WITH(scene, a_turn_that_is_undone_leaves_no_copy)
{
    scene_begin(f,
                HEAD "herald.subscribe { queue = 'q', from = herald.fanout 'x' }\n"
                     "herald.on('t', '*', function(msg, tx)\n"
                     "  if msg.business_key1 == 'hog' then local t = {} while true do t[#t + 1] = "
                     "{} end end\n"
                     "end)\n",
                "select 1;");
    f->settings.history_ms = HOUR;
    scene_deliver(f, "a", "t", "{}");
    scene_deliver(f, "b", "t", "{\"businessKey1\":\"hog\"}");
    scene_deliver(f, "c", "t", "{}");
    scene_run(f); /* the turn of the hog is run again without it */
    assert_true(f->forgotten > 0);
    assert_sql(f, ALL, "inbox:done:q:1:a inbox:done:q:1:c");
}

static void deliver_many(struct scene *s, const char *prefix, int n)
{
    char id[16];

    for (int i = 0; i < n; i++) {
        snprintf(id, sizeof id, "%s%d", prefix, i);
        scene_deliver(s, id, "t", "{}");
    }
    scene_run(s);
}

TEST_FROM(scene, begin, old_ones_go_also_when_it_is_turned_off)
{
    deliver_many(f, "a", 20);
    f->now_ms += HOUR - 1000;
    deliver_many(f, "b", 5);
    assert_sql(f, "select count(*) from herald_history", "25");
    f->now_ms += 2000;
    scene_run(f); /* looked a moment ago */
    f->now_ms += 10000;
    scene_run(f);
    assert_sql(f, "select count(*) from herald_history where message_id like 'b%'", "5");
    assert_sql(f, "select count(*) from herald_history", "5");
    f->settings.history_ms = 0;
    turn_use_script(f->turn, &f->script, 2);
    scene_run(f);
    assert_sql(f, "select count(*) from herald_history", "0");
}

TEST_FROM(scene, begin, a_restart_without_it_empties_it)
{
    deliver_many(f, "a", 3);
    f->settings.history_ms = 0;
    scene_restart(f);
    scene_run(f);
    assert_sql(f, "select count(*) from herald_history", "0");
}

/* A crowd of old ones goes in many turns, none of which takes all. */
TEST_FROM(scene, begin, pruning_does_not_stall_a_turn)
{
    struct err err = {0};
    int turns = 0;

    scene_run(f);
    (void)scene_sql(f,
                    "insert into herald_history(at, side, outcome, attempts, generation, "
                    "timestamp_s) with recursive n(i) as (select 1 union all select i + 1 from n "
                    "where i < 1000) select i, 'inbox', 'done', 1, 1, 0 from n");
    f->now_ms += 2 * HOUR;
    while (scene_turn(f, &err) == TURN_MORE)
        turns++;
    assert_in_range(turns, 4, 6);
    assert_sql(f, "select count(*) from herald_history", "0");
}
