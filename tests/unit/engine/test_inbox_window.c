/* For how long a repeat is recognized, and what no clock can do to that (docs/faults.md#f34). */
#include "check.h"
#include "scene.h"

#include "store/inbox.h"

#include <stdio.h>
#include <string.h>

static const char rules[] = "local herald = require 'herald'\n"
                            "herald.subscribe { queue = 'q', from = herald.fanout 'x' }\n"
                            "herald.on('*', '*', function(msg, tx)\n"
                            "  tx:exec('insert into did (id) values (?)', msg.id)\n"
                            "end)\n";

static const char tables[] = "create table did (id text)";

#define DAY INT64_C(86400000)
#define YEAR (365 * DAY)

static int64_t wall(const struct scene *s)
{
    return s->now_ms + s->wall_ahead_ms;
}

/* A delivery that the broker says was sent at that time; 0: it does not say. */
static void deliver(struct scene *s, const char *id, int64_t sent_ms)
{
    if (s->n_deliveries == SCENE_MAX)
        s->n_deliveries = 0;
    scene_deliver(s, id, "T", "{}");
    s->deliveries[s->n_deliveries - 1].acked = false;
    s->deliveries[s->n_deliveries - 1].delivery.message.timestamp_s = sent_ms / 1000;
    scene_run(s);
}

/* Both clocks go on, with a turn every hour. */
static void pass(struct scene *s, int64_t ms)
{
    for (int64_t end = s->now_ms + ms; s->now_ms < end;) {
        s->now_ms += 3600000;
        scene_run(s);
    }
}

/* One new message a day for so many days, the first at once: "a0", "a1", ... */
static void fill(struct scene *s, const char *name, int days)
{
    for (int i = 0; i < days; i++) {
        char id[16];

        snprintf(id, sizeof id, "%s%d", name, i);
        deliver(s, id, wall(s));
        pass(s, DAY);
    }
}

static int64_t floor_of(struct scene *s)
{
    struct err err = {0};
    int64_t floor = -1;

    assert_int_equal(inbox_floor(s->db, &floor, &err), OK);
    return floor;
}

static void begin(struct scene *s)
{
    scene_setup(s);
    scene_begin(s, rules, tables);
}

TEST_FROM(scene, begin, keys_go_a_window_later_and_the_floor_says_so)
{
    fill(f, "a", 7);
    assert_int_equal(floor_of(f), 0);
    assert_sql(f, "select count(*) from herald_inbox", "7");
    fill(f, "b", 5);
    assert_true(floor_of(f) > 0);
    assert_true(floor_of(f) <= wall(f) - 7 * DAY);
    assert_true(floor_of(f) > wall(f) - 9 * DAY);
    assert_sql(f, "select count(*) from herald_inbox where message_id = 'a0'", "0");
    assert_sql(f, "select count(*) from herald_inbox where message_id = 'b0'", "1");
}

/* docs/design.md#the-inbox-window */
TEST_FROM(scene, begin, what_was_sent_before_the_floor_is_too_old_to_tell)
{
    int64_t sent;

    sent = wall(f);
    fill(f, "a", 12);
    assert_sql(f, "select count(*) from did where id = 'a0'", "1");
    deliver(f, "a0", sent);
    assert_sql(f, "select count(*) from did where id = 'a0'", "1");
    assert_sql_contains(f, "select error from herald_dead", "too old to tell: sent at 20");
    assert_sql_contains(f, "select error from herald_dead", "replay it if not");
    deliver(f, "a0", sent); /* once more: the letter is there already */
    assert_sql(f, "select count(*) from herald_dead", "1");
    deliver(f, "late, without a time", 0);
    deliver(f, "late, but not too late", floor_of(f) + 1000);
    assert_sql(f, "select count(*) from did where id like 'late%'", "2");
    assert_sql(f, "select count(*) from herald_dead", "1");
    deliver(f, "a11", sent); /* known: a repeat, whatever its time says */
    assert_sql(f, "select count(*) from herald_dead", "1");
}

/* docs/design.md#the-inbox-window */
TEST_FROM(scene, begin, a_clock_that_jumps_ahead_does_not_empty_the_inbox)
{
    static const int64_t jumps[] = {DAY, YEAR, 10 * YEAR};

    for (size_t i = 0; i < 3; i++) {
        int64_t floor;

        scene_teardown(f);
        begin(f);
        fill(f, "a", 7);
        f->wall_ahead_ms = jumps[i];
        scene_run(f);
        f->now_ms += 60000;
        scene_run(f);
        floor = floor_of(f);
        assert_true(floor <= f->now_ms - 6 * DAY); /* one bucket at most, of the oldest */
        assert_true(strcmp(scene_sql(f, "select count(*) from herald_inbox"), "6") >= 0);
        pass(f, DAY / 2);
        f->wall_ahead_ms = 0; /* somebody mends the clock */
        for (int n = 1; n < 7; n++) {
            char id[16];

            snprintf(id, sizeof id, "a%d", n);
            deliver(f, id, f->now_ms - (7 - n) * DAY - DAY / 2);
        }
        assert_sql(f, "select count(*) from did", "7");
        assert_sql(f, "select count(*) from herald_dead", "0"); /* they were known */
        assert_int_equal(floor_of(f), floor);
    }
}

TEST_FROM(scene, begin, a_clock_that_goes_back_loses_no_key)
{
    static const int64_t jumps[] = {-DAY, -YEAR, -20 * YEAR};

    for (size_t i = 0; i < 3; i++) {
        scene_teardown(f);
        begin(f);
        fill(f, "a", 12);
        f->wall_ahead_ms = jumps[i];
        deliver(f, "back", f->now_ms);
        pass(f, DAY / 2);
        deliver(f, "back", f->now_ms - DAY / 2);
        f->wall_ahead_ms = 0;
        scene_run(f);
        deliver(f, "back", f->now_ms - DAY / 2);
        assert_sql(f, "select count(*) from did where id = 'back'", "1");
    }
}

/* Nothing older stands in front of them, so only the time they were given keeps them. */
TEST_FROM(scene, begin, a_clock_that_goes_back_in_an_idle_router_loses_no_key)
{
    deliver(f, "a0", f->now_ms); /* of one bucket, so that the floor is above both */
    deliver(f, "a1", f->now_ms);
    pass(f, 20 * DAY);
    assert_sql(f, "select count(*) from herald_inbox", "1");
    f->wall_ahead_ms = -YEAR;
    deliver(f, "back1", f->now_ms);
    deliver(f, "back2", f->now_ms);
    pass(f, DAY / 24);
    deliver(f, "back1", f->now_ms);
    f->wall_ahead_ms = 0;
    scene_run(f);
    assert_sql(f, "select count(*) from did where id = 'back1'", "1");
}

/* docs/design.md#the-inbox-window */
TEST_FROM(scene, begin, a_router_that_was_down_for_weeks_takes_what_waited)
{
    int64_t stopped, floor;

    fill(f, "a", 9);
    stopped = wall(f);
    floor = floor_of(f);
    f->now_ms += 60 * DAY;
    scene_restart(f);
    scene_run(f);
    assert_int_equal(floor_of(f), floor);
    deliver(f, "waited", stopped + DAY);
    deliver(f, "a8", stopped - DAY);
    assert_sql(f, "select count(*) from did where id in ('waited', 'a8')", "2");
    assert_sql(f, "select count(*) from herald_dead", "0");
}

/* A start every few hours, and still what is old goes. */
TEST_FROM(scene, begin, restarts_do_not_keep_the_inbox_from_shrinking)
{
    fill(f, "a", 7);
    for (int i = 0; i < 5 * 24 / 4; i++) {
        pass(f, DAY / 6);
        scene_restart(f);
    }
    assert_true(floor_of(f) > wall(f) - 10 * DAY);
    assert_true(floor_of(f) <= wall(f) - 7 * DAY);
}
