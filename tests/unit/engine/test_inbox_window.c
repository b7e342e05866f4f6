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

static void keys_go_a_window_later_and_the_floor_says_so(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, rules, tables);
    fill(&s, "a", 7);
    assert_int_equal(floor_of(&s), 0);
    assert_sql(&s, "select count(*) from herald_inbox", "7");
    fill(&s, "b", 5);
    assert_true(floor_of(&s) > 0);
    assert_true(floor_of(&s) <= wall(&s) - 7 * DAY);
    assert_true(floor_of(&s) > wall(&s) - 9 * DAY);
    assert_sql(&s, "select count(*) from herald_inbox where message_id = 'a0'", "0");
    assert_sql(&s, "select count(*) from herald_inbox where message_id = 'b0'", "1");
    scene_end(&s);
}

/* docs/design.md#the-inbox-window */
static void what_was_sent_before_the_floor_is_too_old_to_tell(void **state)
{
    struct scene s;
    int64_t sent;

    (void)state;
    scene_begin(&s, rules, tables);
    sent = wall(&s);
    fill(&s, "a", 12);
    assert_sql(&s, "select count(*) from did where id = 'a0'", "1");
    deliver(&s, "a0", sent);
    assert_sql(&s, "select count(*) from did where id = 'a0'", "1");
    assert_sql_contains(&s, "select error from herald_dead", "too old to tell: sent at 20");
    assert_sql_contains(&s, "select error from herald_dead", "replay it if not");
    deliver(&s, "a0", sent); /* once more: the letter is there already */
    assert_sql(&s, "select count(*) from herald_dead", "1");
    deliver(&s, "late, without a time", 0);
    deliver(&s, "late, but not too late", floor_of(&s) + 1000);
    assert_sql(&s, "select count(*) from did where id like 'late%'", "2");
    assert_sql(&s, "select count(*) from herald_dead", "1");
    deliver(&s, "a11", sent); /* known: a repeat, whatever its time says */
    assert_sql(&s, "select count(*) from herald_dead", "1");
    scene_end(&s);
}

/* docs/design.md#the-inbox-window */
static void a_clock_that_jumps_ahead_does_not_empty_the_inbox(void **state)
{
    static const int64_t jumps[] = {DAY, YEAR, 10 * YEAR};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct scene s;
        int64_t floor;

        scene_begin(&s, rules, tables);
        fill(&s, "a", 7);
        s.wall_ahead_ms = jumps[i];
        scene_run(&s);
        s.now_ms += 60000;
        scene_run(&s);
        floor = floor_of(&s);
        assert_true(floor <= s.now_ms - 6 * DAY); /* one bucket at most, of the oldest */
        assert_true(strcmp(scene_sql(&s, "select count(*) from herald_inbox"), "6") >= 0);
        pass(&s, DAY / 2);
        s.wall_ahead_ms = 0; /* somebody mends the clock */
        for (int n = 1; n < 7; n++) {
            char id[16];

            snprintf(id, sizeof id, "a%d", n);
            deliver(&s, id, s.now_ms - (7 - n) * DAY - DAY / 2);
        }
        assert_sql(&s, "select count(*) from did", "7");
        assert_sql(&s, "select count(*) from herald_dead", "0"); /* they were known */
        assert_int_equal(floor_of(&s), floor);
        scene_end(&s);
    }
}

static void a_clock_that_goes_back_loses_no_key(void **state)
{
    static const int64_t jumps[] = {-DAY, -YEAR, -20 * YEAR};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct scene s;

        scene_begin(&s, rules, tables);
        fill(&s, "a", 12);
        s.wall_ahead_ms = jumps[i];
        deliver(&s, "back", s.now_ms);
        pass(&s, DAY / 2);
        deliver(&s, "back", s.now_ms - DAY / 2);
        s.wall_ahead_ms = 0;
        scene_run(&s);
        deliver(&s, "back", s.now_ms - DAY / 2);
        assert_sql(&s, "select count(*) from did where id = 'back'", "1");
        scene_end(&s);
    }
}

/* Nothing older stands in front of them, so only the time they were given keeps them. */
static void a_clock_that_goes_back_in_an_idle_router_loses_no_key(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, rules, tables);
    deliver(&s, "a0", s.now_ms); /* of one bucket, so that the floor is above both */
    deliver(&s, "a1", s.now_ms);
    pass(&s, 20 * DAY);
    assert_sql(&s, "select count(*) from herald_inbox", "1");
    s.wall_ahead_ms = -YEAR;
    deliver(&s, "back1", s.now_ms);
    deliver(&s, "back2", s.now_ms);
    pass(&s, DAY / 24);
    deliver(&s, "back1", s.now_ms);
    s.wall_ahead_ms = 0;
    scene_run(&s);
    assert_sql(&s, "select count(*) from did where id = 'back1'", "1");
    scene_end(&s);
}

/* docs/design.md#the-inbox-window */
static void a_router_that_was_down_for_weeks_takes_what_waited(void **state)
{
    struct scene s;
    int64_t stopped, floor;

    (void)state;
    scene_begin(&s, rules, tables);
    fill(&s, "a", 9);
    stopped = wall(&s);
    floor = floor_of(&s);
    s.now_ms += 60 * DAY;
    scene_restart(&s);
    scene_run(&s);
    assert_int_equal(floor_of(&s), floor);
    deliver(&s, "waited", stopped + DAY);
    deliver(&s, "a8", stopped - DAY);
    assert_sql(&s, "select count(*) from did where id in ('waited', 'a8')", "2");
    assert_sql(&s, "select count(*) from herald_dead", "0");
    scene_end(&s);
}

/* A start every few hours, and still what is old goes. */
static void restarts_do_not_keep_the_inbox_from_shrinking(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, rules, tables);
    fill(&s, "a", 7);
    for (int i = 0; i < 5 * 24 / 4; i++) {
        pass(&s, DAY / 6);
        scene_restart(&s);
    }
    assert_true(floor_of(&s) > wall(&s) - 10 * DAY);
    assert_true(floor_of(&s) <= wall(&s) - 7 * DAY);
    scene_end(&s);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_go_a_window_later_and_the_floor_says_so),
        TEST(what_was_sent_before_the_floor_is_too_old_to_tell),
        TEST(a_clock_that_jumps_ahead_does_not_empty_the_inbox),
        TEST(a_clock_that_goes_back_loses_no_key),
        TEST(a_clock_that_goes_back_in_an_idle_router_loses_no_key),
        TEST(a_router_that_was_down_for_weeks_takes_what_waited),
        TEST(restarts_do_not_keep_the_inbox_from_shrinking),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
