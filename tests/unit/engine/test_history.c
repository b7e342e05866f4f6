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
    scene_begin(s, RULES, "select 1;");
    turn_use_history(s->turn, HOUR);
}

static void messages_that_are_done_or_not_wanted_are_kept(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    scene_deliver(&s, "a", "t", "{\"businessKey1\":\"16\"}");
    scene_deliver(&s, "b", "t", "{\"businessKey1\":\"once\"}");
    scene_deliver(&s, "c", "t", "{\"businessKey1\":\"never\"}");
    scene_deliver(&s, "d", "unwanted", "{}");
    scene_run(&s);
    assert_sql(&s, ALL, "inbox:done:q:1:a inbox:unhandled:q:1:d");
    s.now_ms += 1000;
    scene_deliver(&s, "a", "t", "{\"businessKey1\":\"16\"}"); /* known */
    scene_run(&s);
    assert_sql(&s, ALL, "inbox:done:q:1:a inbox:unhandled:q:1:d inbox:done:q:2:b");
    assert_sql(&s,
               "select generation || type || business_key1 || body || exchange from "
               "herald_history where message_id = 'a'",
               "1t16{\"businessKey1\":\"16\"}x");
    scene_end(&s);
}

/* The rows of one turn: a later one that can be copied does not hide that an earlier one could
 * not. */
static void a_copy_that_cannot_be_written_ends_the_turn(void **state)
{
    struct scene s;
    struct err err = {0};

    (void)state;
    begin(&s);
    scene_sql(&s, "insert into herald_outbox(type, business_key1) values ('out', 'full'), "
                  "('out', 'e')");
    scene_run(&s);
    scene_sql(&s, "create trigger full before insert on herald_history when "
                  "new.business_key1 = 'full' begin select raise(abort, 'as told'); end");
    scene_answer(&s, 1, PUBLISH_CONFIRMED, NULL);
    scene_answer(&s, 2, PUBLISH_CONFIRMED, NULL);
    assert_int_equal(scene_turn(&s, &err), TURN_PAUSED);
    scene_sql(&s, "drop trigger full");
    scene_run(&s);
    assert_sql(&s, "select group_concat(business_key1, ' ') from herald_history", "full e");
    assert_sql(&s, "select count(*) from herald_outbox", "0");
    scene_end(&s);
}

/* With the id and the body that were sent, whoever made them. */
static void rows_that_were_confirmed_are_kept(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    scene_deliver(&s, "a", "t", "{\"businessKey2\":\"out\"}");
    scene_run(&s);
    assert_sql(&s, ALL, "inbox:done:q:1:a");
    scene_answer(&s, 1, PUBLISH_CONFIRMED, NULL);
    scene_answer(&s, 1, PUBLISH_CONFIRMED, NULL); /* a second word about it */
    scene_run(&s);
    assert_sql(&s, "select count(*) from herald_history where side = 'outbox'", "1");
    assert_sql(&s, "select message_id like '%_:1' from herald_history where side = 'outbox'", "1");
    assert_sql(&s, "select trim(message_id || ' ') from herald_history where side = 'outbox'",
               strtok(s.ids, " "));
    assert_sql(&s,
               "select outcome || attempts || business_key1 || body || timestamp_s from "
               "herald_history where side = 'outbox'",
               "confirmed1e{\"businessKey1\":\"e\",\"id\":1,\"messageType\":\"out\"}1700000000");
    assert_sql(&s, "select count(*) from herald_outbox", "0");
    scene_end(&s);
}

static void what_is_tried_again_is_not_settled(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    scene_deliver(&s, "a", "t", "{\"businessKey2\":\"out\"}");
    scene_run(&s);
    scene_answer(&s, 1, PUBLISH_NACKED, NULL);
    scene_run(&s);
    assert_sql(&s, "select count(*) from herald_history where side = 'outbox'", "0");
    s.now_ms += HOUR / 2;
    scene_run(&s);
    scene_answer(&s, 1, PUBLISH_CONFIRMED, NULL);
    scene_run(&s);
    assert_sql(&s, "select outcome || attempts from herald_history where side = 'outbox'",
               "confirmed2");
    scene_end(&s);
}

static void a_dropped_row_and_each_leg_are_kept(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    scene_deliver(&s, "a", "t", "{\"businessKey2\":\"gone\"}");
    scene_deliver(&s, "b", "t", "{\"businessKey2\":\"both\"}");
    scene_run(&s);
    scene_answer(&s, 1, PUBLISH_RETURNED, "nobody is bound");
    scene_answer(&s, 3, PUBLISH_CONFIRMED, NULL);
    scene_answer(&s, 4, PUBLISH_CONFIRMED, NULL);
    scene_run(&s);
    assert_sql(&s,
               "select group_concat(outcome || ifnull(exchange, '-') || ifnull(routing_key, '-'), "
               "' ') from (select * from herald_history where side = 'outbox' order by id)",
               "dropped-- confirmedy confirmedzk");
    assert_sql(&s,
               "select count(distinct message_id) from herald_history where outcome = 'confirmed'",
               "1");
    scene_end(&s);
}

static void nothing_is_kept_while_it_is_off(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, RULES, "select 1;");
    scene_run(&s); /* old copies are looked for: not again for a while */
    scene_deliver(&s, "a", "t", "{\"businessKey2\":\"out\"}");
    scene_deliver(&s, "d", "unwanted", "{}");
    scene_run(&s);
    scene_answer(&s, 1, PUBLISH_CONFIRMED, NULL);
    scene_run(&s);
    assert_sql(&s, "select count(*) from herald_history", "0");
    scene_end(&s);
}

/* The copy is part of the turn's transaction. */
static void a_turn_that_is_undone_leaves_no_copy(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s,
                HEAD "herald.subscribe { queue = 'q', from = herald.fanout 'x' }\n"
                     "herald.on('t', '*', function(msg, tx)\n"
                     "  if msg.business_key1 == 'hog' then local t = {} while true do t[#t + 1] = "
                     "{} end end\n"
                     "end)\n",
                "select 1;");
    turn_use_history(s.turn, HOUR);
    scene_deliver(&s, "a", "t", "{}");
    scene_deliver(&s, "b", "t", "{\"businessKey1\":\"hog\"}");
    scene_deliver(&s, "c", "t", "{}");
    scene_run(&s); /* the turn of the hog is run again without it */
    assert_true(s.forgotten > 0);
    assert_sql(&s, ALL, "inbox:done:q:1:a inbox:done:q:1:c");
    scene_end(&s);
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

static void old_ones_go_also_when_it_is_turned_off(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    deliver_many(&s, "a", 20);
    s.now_ms += HOUR - 1000;
    deliver_many(&s, "b", 5);
    assert_sql(&s, "select count(*) from herald_history", "25");
    s.now_ms += 2000;
    scene_run(&s); /* looked a moment ago */
    s.now_ms += 10000;
    scene_run(&s);
    assert_sql(&s, "select count(*) from herald_history where message_id like 'b%'", "5");
    assert_sql(&s, "select count(*) from herald_history", "5");
    turn_use_history(s.turn, 0);
    scene_run(&s);
    assert_sql(&s, "select count(*) from herald_history", "0");
    scene_end(&s);
}

static void a_restart_without_it_empties_it(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    deliver_many(&s, "a", 3);
    scene_restart(&s);
    scene_run(&s);
    assert_sql(&s, "select count(*) from herald_history", "0");
    scene_end(&s);
}

/* A crowd of old ones goes in many turns, none of which takes all. */
static void pruning_does_not_stall_a_turn(void **state)
{
    struct scene s;
    struct err err = {0};
    int turns = 0;

    (void)state;
    begin(&s);
    scene_run(&s);
    (void)scene_sql(&s,
                    "insert into herald_history(at, side, outcome, attempts, generation, "
                    "timestamp_s) with recursive n(i) as (select 1 union all select i + 1 from n "
                    "where i < 1000) select i, 'inbox', 'done', 1, 1, 0 from n");
    s.now_ms += 2 * HOUR;
    while (scene_turn(&s, &err) == TURN_MORE)
        turns++;
    assert_in_range(turns, 4, 6);
    assert_sql(&s, "select count(*) from herald_history", "0");
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_that_are_done_or_not_wanted_are_kept),
        cmocka_unit_test(rows_that_were_confirmed_are_kept),
        cmocka_unit_test(a_copy_that_cannot_be_written_ends_the_turn),
        cmocka_unit_test(what_is_tried_again_is_not_settled),
        cmocka_unit_test(a_dropped_row_and_each_leg_are_kept),
        cmocka_unit_test(nothing_is_kept_while_it_is_off),
        cmocka_unit_test(a_turn_that_is_undone_leaves_no_copy),
        cmocka_unit_test(old_ones_go_also_when_it_is_turned_off),
        cmocka_unit_test(a_restart_without_it_empties_it),
        cmocka_unit_test(pruning_does_not_stall_a_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
