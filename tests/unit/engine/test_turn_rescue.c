/* docs/faults.md#f61: what the broker may give up on at the next crash is in the store before a
 * handler runs. */
#include "scene.h"

#include "check.h"

#include <stdio.h>
#include <string.h>

#define HEAD                                                                                       \
    "local herald = require 'herald'\n"                                                            \
    "herald.subscribe { queue = 'q', from = herald.fanout 'x',\n"                                  \
    "  order_by = 'business_key1', retry = { attempts = 2, delay = '1s', jitter = 0 }"
#define HANDLER                                                                                    \
    "herald.on('t', '*', function(msg, tx)\n"                                                      \
    "  tx:exec('insert into hits values (?, ?)', msg.id, msg.attempt)\n"                           \
    "  if msg.id == 'bad' then error('as told') end\n"                                             \
    "end)\n"
#define RULES HEAD " }\n" HANDLER
#define ENVELOPE                                                                                   \
    HEAD ", envelope = function() return { type = 't', business_key1 = '16' } end }\n" HANDLER
#define HITS "create table hits (id text, attempt integer);"
#define ALL_HITS "select group_concat(id, ' ') from (select id from hits order by rowid)"
#define WAITING                                                                                    \
    "select group_concat(message_id || ' ' || attempts || iif(due_at > 1e15, ' behind', ''), ', "  \
    "')"                                                                                           \
    " from (select * from herald_retry order by id)"

static void begin(struct scene *s, const char *rules)
{
    scene_begin(s, rules, HITS);
    scene_remember_deaths(s);
}

static void deliver(struct scene *s, const char *id, const char *key, bool endangered)
{
    struct delivery *d = &s->deliveries[s->n_deliveries].delivery;
    char body[64];

    snprintf(body, sizeof body, key != NULL ? "{\"businessKey1\":\"%s\"}" : "{}", key);
    scene_deliver(s, id, "t", body);
    d->redelivered = d->endangered = endangered;
}

static void turn(struct scene *s, size_t acked)
{
    size_t before = scene_acked(s);
    struct err err = {0};

    assert_int_equal(scene_turn(s, &err), TURN_MORE);
    assert_int_equal(scene_acked(s) - before, acked);
}

static void the_endangered_are_acked_before_any_handler_runs(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, RULES);
    deliver(&s, "a", NULL, false);
    deliver(&s, "b", NULL, true);
    deliver(&s, "c", NULL, true);
    turn(&s, 2);
    assert_sql(&s, ALL_HITS, "");
    assert_sql(&s, WAITING, "b 0, c 0");
    assert_int_equal(turn_counters(s.turn)->rescued, 2);
    scene_run(&s);
    assert_sql(&s, "select group_concat(id || attempt, ' ') from (select * from hits order by id)",
               "a1 b1 c1");
    assert_sql(&s, WAITING, "");
    assert_non_null(strstr(scene_log(&s), " messages.rescued queue=q messages=2 "));
    scene_end(&s);
}

/* A retry that is due would be a handler, too. */
static void no_due_retry_runs_in_that_turn(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, RULES);
    deliver(&s, "bad", NULL, false);
    scene_run(&s);
    s.now_ms += 1000;
    deliver(&s, "a", NULL, true);
    turn(&s, 1);
    assert_sql(&s, WAITING, "bad 1, a 0");
    scene_run(&s);
    assert_sql(&s, ALL_HITS, "a");
    assert_sql(&s, "select count(*) from herald_dead", "1");
    scene_end(&s);
}

static void it_keeps_its_lane(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, RULES);
    deliver(&s, "a", "16", true);
    deliver(&s, "b", "16", true);
    deliver(&s, "c", "16", false);
    turn(&s, 2);
    assert_sql(&s, WAITING, "a 0, b 0 behind");
    scene_run(&s);
    assert_sql(&s, ALL_HITS, "a b c");
    scene_end(&s);
}

static void what_was_handled_before_is_only_acked(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, RULES);
    deliver(&s, "a", NULL, false);
    scene_run(&s);
    deliver(&s, "a", NULL, true);
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 2);
    assert_int_equal(turn_counters(s.turn)->duplicates, 1);
    assert_sql(&s, ALL_HITS, "a");
    scene_end(&s);
}

/* The suspect of a death is no danger where no handler runs; it is one when it is tried. */
static void a_suspect_is_rescued_with_the_others_and_keeps_its_strikes(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, RULES);
    for (int n = 0; n < STRIKES_MAX; n++)
        scene_die_in(&s, "a");
    deliver(&s, "b", NULL, true);
    deliver(&s, "a", NULL, true);
    deliver(&s, "c", NULL, true);
    turn(&s, 3);
    assert_sql(&s, WAITING, "b 0, a 0, c 0");
    scene_run(&s);
    assert_sql(&s, ALL_HITS, "b c");
    assert_sql(&s, "select message_id from herald_dead", "a");
    assert_int_equal(strike_count(s.strike, slice_of("q"), slice_of("a"), 0), 0);
    scene_end(&s);
}

/* What reads it is a function of the rules, and is not called for whom it killed. */
static void one_that_killed_its_envelope_is_a_dead_letter(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, ENVELOPE);
    for (int n = 0; n < STRIKES_MAX; n++)
        scene_die_in(&s, "a");
    deliver(&s, "a", NULL, true);
    deliver(&s, "b", NULL, true);
    turn(&s, 2);
    assert_sql(&s, "select message_id from herald_dead", "a");
    assert_sql(&s, "select lane from herald_retry", "business_key1=16");
    assert_int_equal(strike_count(s.strike, slice_of("q"), slice_of("a"), 0), 0);
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_endangered_are_acked_before_any_handler_runs),
        cmocka_unit_test(no_due_retry_runs_in_that_turn),
        cmocka_unit_test(it_keeps_its_lane),
        cmocka_unit_test(what_was_handled_before_is_only_acked),
        cmocka_unit_test(a_suspect_is_rescued_with_the_others_and_keeps_its_strikes),
        cmocka_unit_test(one_that_killed_its_envelope_is_a_dead_letter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
