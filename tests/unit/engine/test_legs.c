/* One outbox row, several destinations; and routes that are functions. */
#include "scene.h"

#include "check.h"

#include <stdio.h>
#include <string.h>

#define HEAD "local herald = require 'herald'\n"
#define TWO                                                                                        \
    HEAD "herald.route { type = 'out', to = { herald.fanout 'y', herald.topic('z', 'a.b') } }\n"
#define ADD "insert into herald_outbox(type, business_key1) values ('out', '16')"
#define LEGS                                                                                       \
    "select group_concat(id || leg_kind || ':' || leg_exchange || ':' || leg_routing_key, ' ') "   \
    "from herald_outbox"

static void two_legs(struct scene *s)
{
    scene_setup(s);
    scene_begin(s, TWO, "select 1;");
}

TEST_FROM(scene, two_legs, each_destination_gets_the_same_message)
{
    char id[64], twice[140];

    scene_sql(f, ADD);
    snprintf(id, sizeof id, "%s",
             scene_sql(f, "select store_id || ':1' from herald_epoch order by above desc"));
    scene_run(f);
    assert_string_equal(f->published, "2>y 3>z ");
    snprintf(twice, sizeof twice, "%s %s ", id, id);
    assert_string_equal(f->ids, twice);
    assert_sql(f, LEGS, "2fanout:y: 3topic:z:a.b");
    assert_sql(f, "select group_concat(distinct cast(body as text)) from herald_outbox",
               "{\"businessKey1\":\"16\",\"id\":1,\"messageType\":\"out\"}");
    assert_int_equal(turn_counters(f->turn)->published, 2);
}

TEST_FROM(scene, two_legs, a_leg_keeps_its_time_and_headers)
{
    scene_sql(f, "insert into herald_outbox(type, business_key2, body, headers, message_id, key, "
                 "created_at) values ('out', '7', 'b', '{\"h\":1}', 'own', 'name', 1234)");
    scene_run(f);
    assert_string_equal(f->ids, "own own ");
    assert_sql(f,
               "select group_concat(type || business_key2 || body || headers || message_id || "
               "created_at || due_at || attempts, ' ') from herald_outbox",
               "out7b{\"h\":1}own123400 out7b{\"h\":1}own123400");
}

/* docs/design.md#several-destinations */
TEST_FROM(scene, two_legs, each_leg_has_a_state_of_its_own)
{
    scene_sql(f, ADD);
    scene_run(f);
    scene_answer(f, 2, PUBLISH_CONFIRMED, NULL);
    scene_answer(f, 3, PUBLISH_NACKED, NULL);
    scene_run(f);
    assert_sql(f, "select group_concat(id || attempts || leg_exchange) from herald_outbox", "31z");
    f->now_ms += 1000;
    scene_run(f);
    assert_string_equal(f->published, "2>y 3>z 3>z ");
    scene_answer(f, 3, PUBLISH_CONFIRMED, NULL);
    scene_run(f);
    assert_sql(f, "select count(*) from herald_outbox", "0");
}

TEST_WITH(scene, what_no_queue_took_is_judged_leg_by_leg)
{
    scene_begin(f,
                HEAD "herald.route { type = 'out', unroutable = 'park',\n"
                     "  to = { herald.direct('y', 'a'), herald.direct('y', 'b') } }\n",
                "select 1;");
    scene_sql(f, ADD);
    scene_run(f);
    scene_answer(f, 2, PUBLISH_RETURNED, "no queue took it");
    scene_answer(f, 3, PUBLISH_RETURNED, "no queue took it");
    scene_run(f);
    /* both are there, each with where it was to go, under one message id */
    assert_sql(f, "select group_concat(exchange || routing_key, ' ') from herald_dead", "ya yb");
    assert_sql(f, "select count(distinct message_id) || count(distinct identity) from herald_dead",
               "11");
    assert_sql(f, "select count(*) from herald_outbox", "0");
}

/* docs/design.md#several-destinations: a leg once routed does not change by a reload. */
TEST_FROM(scene, two_legs, a_leg_goes_where_it_went_whatever_the_rules_say_now)
{
    scene_sql(f, ADD);
    scene_run(f);
    scene_swap(f, scene_load(f, HEAD "herald.route { type = 'out', to = herald.fanout 'other' }\n"),
               2);
    scene_answer(f, 2, PUBLISH_UNKNOWN, "the connection was lost");
    scene_answer(f, 3, PUBLISH_UNKNOWN, "the connection was lost");
    scene_run(f);
    scene_run(f);
    assert_string_equal(f->published, "2>y 3>z 2>y 3>z ");
    scene_sql(f, ADD);
    scene_run(f);
    assert_non_null(strstr(f->published, "4>other "));
}

TEST_FROM(scene, two_legs, a_restart_sends_the_legs_that_are_left)
{
    scene_sql(f, ADD);
    scene_run(f);
    scene_answer(f, 3, PUBLISH_CONFIRMED, NULL);
    scene_run(f);
    scene_restart(f);
    scene_run(f);
    assert_string_equal(f->published, "2>y ");
}

TEST_FROM(scene, two_legs, a_row_that_is_due_later_is_split_when_it_is_due)
{
    scene_sql(f, "insert into herald_outbox(type, due_at) values ('out', 1700000005000)");
    scene_run(f);
    assert_sql(f, "select group_concat(id) from herald_outbox", "1");
    f->now_ms += 5000;
    scene_run(f);
    assert_string_equal(f->published, "2>y 3>z ");
}

TEST_FROM(scene, two_legs, many_rows_are_split_over_several_turns)
{
    struct err err = {0};

    f->room = 1000;
    scene_sql(f, "insert into herald_outbox(type) with recursive n(i) as (values (1) union all "
                 "select i + 1 from n where i < 450) select 'out' from n");
    assert_int_equal(scene_turn(f, &err), TURN_MORE);
    assert_sql(f,
               "select sum(leg_kind is null) || ' ' || sum(leg_kind is not null) "
               "from herald_outbox",
               "250 400");
    assert_string_equal(f->published, "");
    f->published[0] = '\0';
    assert_int_equal(scene_turn(f, &err), TURN_MORE);
    assert_int_equal(scene_turn(f, &err), TURN_MORE);
    assert_sql(f, "select count(*) from herald_outbox where leg_kind is null", "0");
}

/* 9 MB of key fit into a row, but not with the body that is made of it. */
TEST_FROM(scene, two_legs, a_row_that_fits_into_no_leg_is_parked)
{
    scene_sql(f, "insert into herald_outbox(type, business_key1) values "
                 "('out', printf('%.*c', 9000000, 'k'))");
    scene_sql(f, ADD);
    scene_run(f);
    assert_string_equal(f->published, "3>y 4>z ");
    assert_sql_contains(f, "select error from herald_dead", "CHECK constraint");
}

#define CHOOSE                                                                                     \
    HEAD "herald.route { type = 'out', to = function(msg)\n"                                       \
         "  if msg.business_key1 == 'none' then return {} end\n"                                   \
         "  if msg.business_key1 == 'bad' then error('as told') end\n"                             \
         "  if msg.business_key1 == 'hog' then local t = {} "                                      \
         "while true do t[#t + 1] = {} end end\n"                                                  \
         "  if msg.business_key1 == 'two' then "                                                   \
         "return { herald.fanout 'y', herald.queue 'q' } end\n"                                    \
         "  herald.log.info('asked')\n"                                                            \
         "  return herald.fanout(msg.business_key1)\n"                                             \
         "end }\n"

static void add_key(struct scene *s, const char *key)
{
    char sql[200];

    snprintf(sql, sizeof sql, "insert into herald_outbox(type, business_key1) values ('out', '%s')",
             key);
    scene_sql(s, sql);
}

TEST_WITH(scene, a_function_chooses_row_by_row)
{
    scene_begin(f, CHOOSE, "select 1;");
    add_key(f, "a");
    add_key(f, "two");
    add_key(f, "b");
    scene_run(f);
    assert_string_equal(f->published, "1>a 3>b 4>y 5>q ");
    assert_sql(f,
               "select leg_kind || leg_exchange || leg_routing_key from herald_outbox "
               "where id = 5",
               "queueq");
    assert_non_null(strstr(scene_log(f), ":1 generation=1 hash="));
}

TEST_WITH(scene, a_function_that_fails_costs_time_until_it_is_mended)
{
    scene_begin(f, CHOOSE, "select 1;");
    add_key(f, "bad");
    add_key(f, "none");
    add_key(f, "a");
    scene_run(f);
    assert_string_equal(f->published, "3>a ");
    assert_sql_contains(f, "select reason from herald_outbox where id = 1",
                        "rules/rules.lua:4: as told");
    assert_sql_contains(f, "select reason from herald_outbox where id = 2", "empty list");
    f->now_ms += 1000;
    scene_run(f);
    assert_sql(f, "select group_concat(attempts) from herald_outbox where id < 3", "2,2");
    scene_swap(f, scene_load(f, TWO), 2);
    f->now_ms += 4000;
    scene_run(f);
    assert_string_equal(f->published, "3>a 4>y 5>z 6>y 7>z ");
    assert_sql(f, "select count(*) from herald_dead", "0");
}

TEST_WITH(scene, a_function_that_eats_all_memory_holds_up_nobody_for_long)
{
    scene_begin(f, CHOOSE, "select 1;");
    add_key(f, "hog");
    add_key(f, "a");
    scene_run(f);
    assert_sql_contains(f, "select reason from herald_outbox where id = 1", "handler_memory");
    f->now_ms += 999;
    scene_run(f);
    f->now_ms += 1;
    scene_run(f);
    f->now_ms += 1000;
    scene_run(f);
    assert_string_equal(f->published, "2>a ");
}

/* It is asked again when the row is split, and may change its mind. */
TEST_WITH(scene, a_function_that_wavers_loses_nothing)
{
    scene_begin(f,
                HEAD "local n = 0\n"
                     "herald.route { type = 'out', to = function(msg)\n"
                     "  n = n + 1\n"
                     "  if n == 3 then error('wavers') end\n"
                     "  return { herald.fanout 'y', herald.fanout 'z' }\n"
                     "end }\n",
                "select 1;");
    scene_sql(f, ADD);
    scene_sql(f, ADD);
    scene_run(f);
    assert_string_equal(f->published, "3>y 4>z ");
    assert_sql_contains(f, "select attempts || reason from herald_outbox where id = 1",
                        "1rules/rules.lua:5: wavers");
    f->now_ms += 1000;
    scene_run(f);
    assert_string_equal(f->published, "3>y 4>z 5>y 6>z ");
}
