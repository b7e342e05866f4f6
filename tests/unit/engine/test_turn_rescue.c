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

TEST_WITH(scene, the_endangered_are_acked_before_any_handler_runs)
{
    begin(f, RULES);
    deliver(f, "a", NULL, false);
    deliver(f, "b", NULL, true);
    deliver(f, "c", NULL, true);
    turn(f, 2);
    assert_sql(f, ALL_HITS, "");
    assert_sql(f, WAITING, "b 0, c 0");
    assert_int_equal(turn_counters(f->turn)->rescued, 2);
    scene_run(f);
    assert_sql(f, "select group_concat(id || attempt, ' ') from (select * from hits order by id)",
               "a1 b1 c1");
    assert_sql(f, WAITING, "");
    assert_non_null(strstr(scene_log(f), " messages.rescued queue=q messages=2 "));
}

/* A retry that is due would be a handler, too. */
TEST_WITH(scene, no_due_retry_runs_in_that_turn)
{
    begin(f, RULES);
    deliver(f, "bad", NULL, false);
    scene_run(f);
    f->now_ms += 1000;
    deliver(f, "a", NULL, true);
    turn(f, 1);
    assert_sql(f, WAITING, "bad 1, a 0");
    scene_run(f);
    assert_sql(f, ALL_HITS, "a");
    assert_sql(f, "select count(*) from herald_dead", "1");
}

TEST_WITH(scene, it_keeps_its_lane)
{
    begin(f, RULES);
    deliver(f, "a", "16", true);
    deliver(f, "b", "16", true);
    deliver(f, "c", "16", false);
    turn(f, 2);
    assert_sql(f, WAITING, "a 0, b 0 behind");
    scene_run(f);
    assert_sql(f, ALL_HITS, "a b c");
}

TEST_WITH(scene, what_was_handled_before_is_only_acked)
{
    begin(f, RULES);
    deliver(f, "a", NULL, false);
    scene_run(f);
    deliver(f, "a", NULL, true);
    scene_run(f);
    assert_int_equal(scene_acked(f), 2);
    assert_int_equal(turn_counters(f->turn)->duplicates, 1);
    assert_sql(f, ALL_HITS, "a");
}

/* The suspect of a death is no danger where no handler runs; it is one when it is tried. */
TEST_WITH(scene, a_suspect_is_rescued_with_the_others_and_keeps_its_strikes)
{
    begin(f, RULES);
    for (int n = 0; n < STRIKES_MAX; n++)
        scene_die_in(f, "a");
    deliver(f, "b", NULL, true);
    deliver(f, "a", NULL, true);
    deliver(f, "c", NULL, true);
    turn(f, 3);
    assert_sql(f, WAITING, "b 0, a 0, c 0");
    scene_run(f);
    assert_sql(f, ALL_HITS, "b c");
    assert_sql(f, "select message_id from herald_dead", "a");
    assert_int_equal(strike_count(f->strike, slice_of("q"), slice_of("a"), 0), 0);
}

/* What reads it is a function of the rules, and is not called for whom it killed. */
TEST_WITH(scene, one_that_killed_its_envelope_is_a_dead_letter)
{
    begin(f, ENVELOPE);
    for (int n = 0; n < STRIKES_MAX; n++)
        scene_die_in(f, "a");
    deliver(f, "a", NULL, true);
    deliver(f, "b", NULL, true);
    turn(f, 2);
    assert_sql(f, "select message_id from herald_dead", "a");
    assert_sql(f, "select lane from herald_retry", "business_key1=16");
    assert_int_equal(strike_count(f->strike, slice_of("q"), slice_of("a"), 0), 0);
}
