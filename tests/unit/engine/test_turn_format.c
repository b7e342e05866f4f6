/* Rows whose route has a format: what they send is fixed before their first send. */
#include "scene.h"

#include "check.h"

#include <stdio.h>
#include <string.h>

#define HEAD "local herald = require 'herald'\n"
#define ROUTE(format) HEAD "herald.route { type = 'out', to = herald.fanout 'y'" format " }\n"
#define PLAIN ROUTE("")
#define NESTJS ROUTE(", format = 'nestjs'")
#define CAP ROUTE(", format = 'cap'")
#define ADD "insert into herald_outbox(type, body) values ('out', '[1]')"
#define STATE "select coalesce(format, '?') || ' ' || cast(body as text) from herald_outbox"

static void begin(struct scene *s, const char *rules)
{
    scene_setup(s);
    scene_begin(s, rules, "select 1;");
    scene_sql(s, ADD);
}

static void nestjs(struct scene *s)
{
    begin(s, NESTJS);
}

static void plain(struct scene *s)
{
    begin(s, PLAIN);
}

static void unheard(struct scene *s)
{
    scene_answer(s, 1, PUBLISH_UNKNOWN, "the connection is gone");
    scene_run(s);
}

TEST_FROM(scene, nestjs, a_row_is_brought_into_its_format_and_sent)
{
    scene_run(f);
    assert_string_equal(f->published, "1>y ");
    assert_sql(f, STATE, "nestjs {\"pattern\":\"out\",\"data\":[1]}");
    assert_sql(f, "select properties from herald_outbox",
               "{\"content_type\":\"application/json\"}");
    assert_sql(f, "select due_at from herald_outbox", "0");
    scene_answer(f, 1, PUBLISH_CONFIRMED, NULL);
    scene_run(f);
    assert_sql(f, "select count(*) from herald_outbox", "0");
}

TEST_FROM(scene, nestjs, what_was_sent_in_a_format_stays_in_it)
{
    scene_run(f);
    scene_swap(f, scene_load(f, CAP), 2);
    unheard(f);
    assert_string_equal(f->published, "1>y 1>y ");
    assert_sql(f, STATE, "nestjs {\"pattern\":\"out\",\"data\":[1]}");
    scene_swap(f, scene_load(f, PLAIN), 3);
    scene_restart(f);
    scene_run(f);
    assert_string_equal(f->published, "1>y ");
    assert_sql(f, STATE, "nestjs {\"pattern\":\"out\",\"data\":[1]}");
}

TEST_FROM(scene, plain, what_was_sent_without_a_format_stays_without)
{
    scene_run(f);
    assert_sql(f, STATE, "? [1]");
    scene_swap(f, scene_load(f, NESTJS), 2);
    unheard(f);
    assert_string_equal(f->published, "1>y 1>y ");
    assert_sql(f, STATE, " [1]");
}

TEST_FROM(scene, plain, what_was_in_flight_at_a_crash_stays_without)
{
    scene_run(f);
    f->full[0] = 'y'; /* so it is set aside, and its time is due later */
    scene_stop(f);
    scene_start(f);
    scene_swap(f, scene_load(f, NESTJS), 2);
    scene_run(f);
    f->full[0] = '\0';
    f->now_ms += 60000;
    scene_run(f);
    assert_string_equal(f->published, "1>y ");
    assert_sql(f, STATE, " [1]");
}

/* Everything that takes its time away: as of then it looked like a row that never was sent. */
TEST_FROM(scene, plain, what_was_in_flight_at_a_crash_stays_without_whatever_comes_first)
{
    scene_run(f);
    snprintf(f->full, sizeof f->full, "y");
    scene_sql(f, "insert into herald_outbox(type) values ('other')");
    scene_stop(f);
    scene_start(f);
    scene_swap(f, scene_load(f, PLAIN "herald.route { type = 'other', to = herald.fanout 'z' }\n"),
               2);
    scene_run(f);
    f->now_ms += 1000; /* another outlet has rows: it is set aside */
    scene_run(f);
    assert_sql(f, "select outlet from herald_outbox where id = 1", "exchange y");
    scene_swap(f, scene_load(f, NESTJS), 3);
    f->full[0] = '\0';
    f->now_ms += 60000;
    scene_run(f);
    assert_non_null(strstr(f->published, "1>y "));
    assert_sql(f, STATE " where id = 1", " [1]");
    assert_sql(f, "select dated_at = created_at from herald_outbox where id = 1", "1");
}

TEST_FROM(scene, plain, what_was_in_flight_at_a_crash_stays_without_in_a_lane)
{
    scene_sql(f, "update herald_outbox set business_key1 = 'k'");
    scene_run(f);
    scene_stop(f);
    scene_start(f);
    scene_swap(f, scene_load(f, ROUTE(", order_by = 'business_key1'")), 2);
    f->room = 0;
    scene_run(f);
    scene_swap(f, scene_load(f, ROUTE(", order_by = 'business_key1', format = 'nestjs'")), 3);
    f->room = 10;
    scene_run(f);
    assert_string_equal(f->published, "1>y ");
    assert_sql(f, STATE, " [1]");
}

TEST_FROM(scene, plain, what_was_in_flight_at_a_crash_stays_without_when_it_is_put_off)
{
    scene_run(f);
    scene_stop(f);
    scene_start(f);
    f->publish_code = ERR_FAILED; /* "no link" */
    scene_run(f);
    assert_sql(f, "select due_at > 0 from herald_outbox", "1");
    f->publish_code = OK;
    scene_swap(f, scene_load(f, NESTJS), 2);
    f->now_ms += 60000;
    scene_run(f);
    assert_string_equal(f->published, "1>y ");
    assert_sql(f, STATE, " [1]");
}

TEST_FROM(scene, plain, what_was_never_sent_is_for_the_rules_of_the_day)
{
    f->room = 0;
    scene_run(f);
    scene_swap(f, scene_load(f, NESTJS), 2);
    f->room = 10;
    scene_run(f);
    assert_sql(f, STATE, "nestjs {\"pattern\":\"out\",\"data\":[1]}");
}

TEST_FROM(scene, nestjs, legs_have_the_format_of_their_row)
{
    scene_swap(f,
               scene_load(f, HEAD "herald.route { type = 'out', format = 'nestjs',\n"
                                  "to = { herald.fanout 'y', herald.fanout 'z' } }\n"),
               2);
    scene_run(f);
    assert_string_equal(f->published, "2>y 3>z ");
    assert_sql(f, "select group_concat(format || cast(body as text), ' ') from herald_outbox",
               "nestjs{\"pattern\":\"out\",\"data\":[1]} nestjs{\"pattern\":\"out\",\"data\":[1]}");
}

TEST_FROM(scene, nestjs, a_row_in_a_lane_has_one_too)
{
    scene_swap(f, scene_load(f, ROUTE(", format = 'cap', order_by = 'business_key1'")), 2);
    scene_sql(f, "update herald_outbox set business_key1 = 'k'");
    scene_sql(f, "insert into herald_outbox(type, business_key1) values ('out', 'k')");
    scene_run(f);
    scene_answer(f, 1, PUBLISH_CONFIRMED, NULL);
    scene_run(f);
    assert_string_equal(f->published, "1>y 2>y ");
    assert_sql_contains(f, "select headers from herald_outbox", "\"cap-msg-name\":\"out\"");
}

TEST_FROM(scene, nestjs, what_cannot_have_its_format_is_parked_as_it_is)
{
    scene_sql(f, "update herald_outbox set body = 'no'");
    scene_run(f);
    assert_sql(f, "select error || cast(body as text) from herald_dead",
               "the body is no JSON, which format = \"nestjs\" needsno");
    assert_sql(f, "select format from herald_dead", "");
    assert_string_equal(f->published, "");
}
