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
static void the_suspect_is_handled_alone(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, RULES);
    scene_die_in(&s, "c");
    deliver(&s, (const char *[]){"a", "b", "c", "d", "e", NULL});
    assert_int_equal(turn(&s), 2);
    assert_int_equal(turn(&s), 1);
    assert_int_equal(turn(&s), 2);
    assert_sql(&s, ALL_HITS, "a b c d e");
    assert_sql(&s, "select count(*) from herald_dead", "0");
    scene_end(&s);
}

/* docs/design.md#strikes: only consecutive crashes count as strikes. */
static void one_that_returned_is_a_suspect_no_more(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, RULES);
    for (int n = 1; n < STRIKES_MAX; n++)
        scene_die_in(&s, "a");
    deliver(&s, (const char *[]){"a", NULL});
    assert_int_equal(turn(&s), 1);
    scene_die_in(&s, "b"); /* a's deaths are not b's */
    deliver(&s, (const char *[]){"b", NULL});
    assert_int_equal(turn(&s), 1);
    assert_sql(&s, ALL_HITS, "a b");
    scene_end(&s);
}

static void too_many_deaths_make_a_dead_letter(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, RULES);
    for (int n = 0; n < STRIKES_MAX; n++)
        scene_die_in(&s, "b");
    deliver(&s, (const char *[]){"a", "b", "c", NULL});
    scene_run(&s);
    assert_int_equal(scene_acked(&s), 3);
    assert_sql(&s, ALL_HITS, "a c");
    assert_sql(&s, "select message_id from herald_dead", "b");
    assert_sql_contains(&s, "select error from herald_dead",
                        "crashed the router 3 times in a row in its handler");
    assert_false(strike_any(s.strike));
    deliver(&s, (const char *[]){"b", NULL}); /* again: known, and nothing more */
    scene_run(&s);
    assert_sql(&s, "select count(*) from herald_dead", "1");
    scene_end(&s);
}

static void a_retry_is_judged_as_a_delivery_is(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, RULES);
    scene_deliver(&s, "a", "once", "{}");
    scene_deliver(&s, "b", "once", "{}");
    scene_run(&s);
    assert_sql(&s, "select count(*) from herald_retry", "2");
    for (int n = 0; n < STRIKES_MAX; n++)
        scene_die_in(&s, "b");
    s.now_ms += 1000;
    deliver(&s, (const char *[]){"c", NULL});
    scene_run(&s);
    assert_sql(&s, ALL_HITS, "a c");
    assert_sql(&s, "select count(*) from herald_retry", "0");
    assert_sql(&s, "select message_id from herald_dead", "b");
    scene_end(&s);
}

/* The function that reads it returns each time; its handler does not. */
static void an_envelope_that_returns_clears_nobody(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, ENVELOPE);
    for (int n = 0; n < STRIKES_MAX; n++) {
        strike_enter(s.strike, slice_of("q"), slice_of("a"), 0);
        strike_pause(s.strike);
        scene_die_in(&s, "a");
    }
    scene_deliver(&s, "a", NULL, "{}");
    assert_int_equal(turn(&s), 1);
    assert_sql(&s, "select count(*) from hits", "0");
    assert_sql_contains(&s, "select error from herald_dead", "crashed the router");
    scene_end(&s);
}

static void an_undone_turn_keeps_the_strikes(void **state)
{
    struct scene s;
    struct err err = {0};
    struct sqlite3 *foreign;

    (void)state;
    begin(&s, RULES);
    for (int n = 0; n < STRIKES_MAX; n++)
        scene_die_in(&s, "a");
    deliver(&s, (const char *[]){"a", NULL});
    foreign = scene_lock(&s);
    assert_int_equal(scene_turn(&s, &err), TURN_BUSY);
    scene_unlock(foreign);
    assert_int_equal(strike_count(s.strike, slice_of("q"), slice_of("a"), 0), STRIKES_MAX);
    scene_run(&s);
    assert_sql(&s, "select count(*) from hits", "0");
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_suspect_is_handled_alone),
        cmocka_unit_test(one_that_returned_is_a_suspect_no_more),
        cmocka_unit_test(too_many_deaths_make_a_dead_letter),
        cmocka_unit_test(a_retry_is_judged_as_a_delivery_is),
        cmocka_unit_test(an_envelope_that_returns_clears_nobody),
        cmocka_unit_test(an_undone_turn_keeps_the_strikes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
