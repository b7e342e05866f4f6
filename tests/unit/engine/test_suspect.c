/* docs/faults.md#f36, #f39: the message in whose handler the process died is handled alone, and
 * after STRIKES_MAX deaths in a row not at all. Deaths are played; real ones are in the integration
 * tests. */
#include "scene.h"

#include "check.h"

#include <string.h>

#define RULES                                                                                      \
    "local herald = require 'herald'\n"                                                            \
    "herald.subscribe { queue = 'q', from = herald.fanout 'x',\n"                                  \
    "  retry = { attempts = 9, delay = '1s', factor = 1, jitter = 0 } }\n"                         \
    "herald.on('*', '*', function(msg, tx)\n"                                                      \
    "  tx:exec('insert into hits(id, attempt) values (?, ?)', msg.id, msg.attempt)\n"              \
    "  if msg.type == 'once' and msg.attempt == 1 then error('first') end\n"                       \
    "end)\n"
#define ENVELOPE                                                                                   \
    "local herald = require 'herald'\n"                                                            \
    "herald.subscribe { queue = 'q', from = herald.fanout 'x',\n"                                  \
    "  envelope = function(msg) return { type = 'of ' .. msg.id } end }\n"                         \
    "herald.on('*', '*', function(msg, tx)\n"                                                      \
    "  tx:exec('insert into hits(id, attempt) values (?, 1)', msg.type)\n"                         \
    "end)\n"
#define HITS "create table hits (id text, attempt integer);"
#define ALL_HITS "select group_concat(id, ' ') from (select id from hits order by rowid)"

static void begin(struct scene *s, const char *rules)
{
    scene_begin(s, rules, HITS);
    scene_remember_deaths(s);
}

static void deliver(struct scene *s, const char *const *ids)
{
    for (; *ids != NULL; ids++)
        scene_deliver(s, *ids, "t", "{}");
}

static size_t turn(struct scene *s)
{
    size_t before = scene_acked(s);
    struct err err = {0};
    enum turn_result result = scene_turn(s, &err);

    assert_true(result == TURN_MORE || result == TURN_IDLE);
    return scene_acked(s) - before;
}

/* docs/design.md#strikes: the first crash only earns a lone turn. */
TEST_WITH(scene, the_suspect_is_handled_alone)
{
    begin(f, RULES);
    scene_die_in(f, "c");
    deliver(f, (const char *[]){"a", "b", "c", "d", "e", NULL});
    assert_int_equal(turn(f), 2);
    assert_int_equal(turn(f), 1);
    assert_int_equal(turn(f), 2);
    assert_sql(f, ALL_HITS, "a b c d e");
    assert_sql(f, "select count(*) from herald_dead", "0");
}

/* docs/design.md#strikes: only consecutive crashes count as strikes. */
TEST_WITH(scene, one_that_returned_is_a_suspect_no_more)
{
    begin(f, RULES);
    for (int n = 1; n < STRIKES_MAX; n++)
        scene_die_in(f, "a");
    deliver(f, (const char *[]){"a", NULL});
    assert_int_equal(turn(f), 1);
    scene_die_in(f, "b"); /* a's deaths are not b's */
    deliver(f, (const char *[]){"b", NULL});
    assert_int_equal(turn(f), 1);
    assert_sql(f, ALL_HITS, "a b");
}

TEST_WITH(scene, too_many_deaths_make_a_dead_letter)
{
    begin(f, RULES);
    for (int n = 0; n < STRIKES_MAX; n++)
        scene_die_in(f, "b");
    deliver(f, (const char *[]){"a", "b", "c", NULL});
    scene_run(f);
    assert_int_equal(scene_acked(f), 3);
    assert_sql(f, ALL_HITS, "a c");
    assert_sql(f, "select message_id from herald_dead", "b");
    assert_sql_contains(f, "select error from herald_dead",
                        "crashed the router 3 times in a row in its handler");
    assert_false(strike_any(f->strike));
    deliver(f, (const char *[]){"b", NULL}); /* again: known, and nothing more */
    scene_run(f);
    assert_sql(f, "select count(*) from herald_dead", "1");
}

TEST_WITH(scene, a_retry_is_judged_as_a_delivery_is)
{
    begin(f, RULES);
    scene_deliver(f, "a", "once", "{}");
    scene_deliver(f, "b", "once", "{}");
    scene_run(f);
    assert_sql(f, "select count(*) from herald_retry", "2");
    for (int n = 0; n < STRIKES_MAX; n++)
        scene_die_in(f, "b");
    f->now_ms += 1000;
    deliver(f, (const char *[]){"c", NULL});
    scene_run(f);
    assert_sql(f, ALL_HITS, "a c");
    assert_sql(f, "select count(*) from herald_retry", "0");
    assert_sql(f, "select message_id from herald_dead", "b");
}

/* The function that reads it returns each time; its handler does not. */
TEST_WITH(scene, an_envelope_that_returns_clears_nobody)
{
    begin(f, ENVELOPE);
    for (int n = 0; n < STRIKES_MAX; n++) {
        strike_enter(f->strike, slice_of("q"), slice_of("a"), 0);
        strike_exit(f->strike);
        scene_die_in(f, "a");
    }
    scene_deliver(f, "a", NULL, "{}");
    assert_int_equal(turn(f), 1);
    assert_sql(f, "select count(*) from hits", "0");
    assert_sql_contains(f, "select error from herald_dead", "crashed the router");
}

TEST_WITH(scene, an_undone_turn_keeps_the_strikes)
{
    struct err err = {0};
    struct sqlite3 *foreign;

    begin(f, RULES);
    for (int n = 0; n < STRIKES_MAX; n++)
        scene_die_in(f, "a");
    deliver(f, (const char *[]){"a", NULL});
    foreign = scene_lock(f);
    assert_int_equal(scene_turn(f, &err), TURN_BUSY);
    scene_unlock(foreign);
    assert_int_equal(strike_count(f->strike, slice_of("q"), slice_of("a"), 0), STRIKES_MAX);
    scene_run(f);
    assert_sql(f, "select count(*) from hits", "0");
}
