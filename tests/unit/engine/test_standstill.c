/* What files lack for a moment is not taken away: on a running engine, whose clock is moved. */
#include "beside.h"
#include "check.h"
#include "running.h"

#include "engine/past_rules.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#define HERALD "local herald = require 'herald'\n"
#define WAY                                                                                        \
    HERALD "herald.route { type = 'note', to = herald.fanout 'x' }\n"                              \
           "herald.subscribe { queue = 'q', from = herald.fanout 'x' }\n"
#define HANDLER(mark)                                                                              \
    HERALD "herald.on('note', '*', function(msg, tx)\n"                                            \
           "  tx:exec(\"insert into t values (?, '" mark "')\", msg.id)\n"                         \
           "end)\n"
#define EMIT "insert into herald_outbox (type) values ('note')"
#define MARKS "select group_concat(mark, ' ') from (select mark from t order by rowid)"
#define WAITING "select count(*) from herald_retry where attempts = 0"

static struct running scene;

static void begin(void)
{
    running_begin(&scene, WAY);
    running_write(&scene, "rules/handler.lua", HANDLER("one"));
    assert_non_null(strstr(running_reload(&scene, OK), OUTCOME("reloaded", 2)));
    scene.follows = true;
    scene.request.automatic = scene.request.again = true;
}

static void end(void)
{
    running_teardown(&scene);
}

static struct engine_status status(void)
{
    struct engine_status s;

    engine_status(scene.engine, &s);
    return s;
}

/* The watch tells of it after a moment; here, at once. */
static void changed(const char *name, const char *text)
{
    if (text != NULL)
        running_write(&scene, name, text);
    else
        running_remove(&scene, name);
    (void)running_reload(&scene, OK);
}

static void pass(int64_t ms)
{
    scene.passed_ms += ms;
    running_for(&scene, 250); /* the engine looks ten times a second */
}

TEST_BETWEEN(begin, end, a_file_that_is_away_for_a_moment_takes_nothing_away)
{
    changed("rules/handler.lua", NULL);
    assert_int_equal(status().generation, 2);
    assert_string_equal(status().rules_wait,
                        "the files lack file \"rules/handler.lua\", the handler of \"note\" *");
    assert_has(running_log(&scene), "warn  rules.waiting generation=2 lacking=");
    (void)running_sql(&scene, EMIT);
    running_until(&scene, MARKS, "one");
    pass(PAST_STILL_MS - 2000);
    assert_int_equal(status().generation, 2);
    changed("rules/handler.lua", HANDLER("one"));
    assert_int_equal(status().generation, 2);
    assert_string_equal(status().rules_wait, "");
    pass(PAST_STILL_MS);
    assert_int_equal(status().generation, 2);
    assert_int_equal(status().handlers, 1);
}

TEST_BETWEEN(begin, end, a_handler_that_moves_by_two_saves_is_never_away)
{
    changed("rules/handler.lua", HERALD);
    assert_string_equal(status().rules_wait, "the files lack the handler of \"note\" *");
    (void)running_sql(&scene, EMIT);
    running_until(&scene, MARKS, "one");
    changed("rules/other.lua", HANDLER("two"));
    assert_int_equal(status().generation, 3);
    assert_string_equal(status().rules_wait, "");
    (void)running_sql(&scene, EMIT);
    running_until(&scene, MARKS, "one two");
    assert_int_equal(status().counters->unhandled, 0);
}

/* Half a file is there again: what lacks is not known, and nothing is taken by standing still. */
TEST_BETWEEN(begin, end, half_a_file_is_not_told_as_one_that_is_away)
{
    struct err why = {.code = ERR_CONFIG, .text = "rules/handler.lua:1: unexpected symbol"};

    changed("rules/handler.lua", NULL);
    assert_has(status().rules_wait, "the files lack file");
    running_write(&scene, "rules/handler.lua", "herald.on(");
    engine_refuse(scene.engine, &why);
    assert_string_equal(status().rules_wait,
                        "the files cannot be loaded: what they lack is known once they can");
    pass(2 * PAST_STILL_MS);
    assert_int_equal(status().generation, 2);
    changed("rules/handler.lua", HANDLER("one"));
    assert_string_equal(status().rules_wait, "");
}

TEST_BETWEEN(begin, end, files_that_stand_still_are_taken)
{
    changed("rules/handler.lua", NULL);
    pass(PAST_STILL_MS - 2000);
    assert_int_equal(status().generation, 2);
    changed("rules/rules.lua", WAY "-- another change begins the wait anew\n");
    pass(PAST_STILL_MS - 2000);
    assert_int_equal(status().generation, 2);
    pass(2000);
    assert_int_equal(status().generation, 3);
    assert_int_equal(status().handlers, 0);
    assert_string_equal(status().rules_wait, "");
    assert_has(running_log(&scene), "warn  rules.removed generation=2 lacking=");
}

TEST_BETWEEN(begin, end, a_subscription_waits_too_and_a_route_only_with_rows)
{
    running_write(&scene, "rules/free.lua",
                  HERALD "herald.route { type = 'free', to = herald.fanout 'x' }\n"
                         "herald.subscribe { queue = 'q2' }\n");
    (void)running_reload(&scene, OK);
    changed("rules/free.lua", HERALD "herald.route { type = 'free', to = herald.fanout 'x' }\n");
    assert_string_equal(status().rules_wait, "the files lack subscription \"q2\"");
    changed("rules/free.lua", HERALD "herald.subscribe { queue = 'q2' }\n");
    assert_int_equal(status().generation, 4); /* nothing waits for that route */
    running_write(&scene, "rules/free.lua",
                  HERALD "herald.route { type = 'free', to = herald.fanout 'x' }\n"
                         "herald.subscribe { queue = 'q2' }\n");
    (void)running_reload(&scene, OK);
    (void)running_sql(&scene, "insert into herald_outbox (type, due_at) values "
                              "('free', 4000000000000)");
    changed("rules/free.lua", HERALD "herald.subscribe { queue = 'q2' }\n");
    assert_string_equal(status().rules_wait,
                        "the files lack with rows that wait, the route of \"free\"");
}

TEST_BETWEEN(begin, end, who_asks_is_told_and_what_had_a_handler_waits)
{
    running_remove(&scene, "rules/handler.lua");
    scene.request.automatic = false;
    const char *answer = running_reload(&scene, OK);
    assert_has(answer, OUTCOME("reloaded", 3));
    assert_has(answer, "{\"takes_away\":{\"what\":\"file\",\"name\":\"rules/handler.lua\"}}\n");
    assert_has(answer, "{\"takes_away\":{\"what\":\"the handler of\",\"name\":\"note *\"}}\n");
    (void)running_sql(&scene, EMIT);
    running_until(&scene, WAITING, "1");
    assert_int_equal(status().counters->unhandled, 0);
    running_write(&scene, "rules/handler.lua", HANDLER("again"));
    (void)running_reload(&scene, OK);
    running_until(&scene, MARKS, "again");
}

TEST_BETWEEN(begin, end, what_waited_for_a_handler_follows_unhandled_in_the_end)
{
    running_remove(&scene, "rules/handler.lua");
    scene.request.automatic = false;
    (void)running_reload(&scene, OK);
    (void)running_sql(&scene, EMIT);
    running_until(&scene, WAITING, "1");
    scene.passed_ms += PAST_STILL_MS;
    running_until(&scene, WAITING, "0");
    assert_int_equal(status().counters->unhandled, 1);
    assert_string_equal(running_sql(&scene, "select count(*) from herald_dead"), "0");
    (void)running_sql(&scene, EMIT);
    (void)running_sql(&scene, EMIT);
    running_until(&scene, "select count(*) from herald_outbox", "0");
    running_for(&scene, 100);
    assert_int_equal(status().counters->unhandled, 3);
    assert_has(running_log(&scene), "warn  message.unhandled message_id=");
    /* one line for its type since the reload */
    assert_null(strstr(strstr(running_log(&scene), "message.unhandled") + 1, "message.unhandled"));
}

TEST_BETWEEN(begin, end, the_setting_wants_to_be_asked)
{
    scene.settings.removed_rules = REMOVED_REFUSE;
    running_remove(&scene, "rules/handler.lua");
    assert_has(running_reload(&scene, ERR_CONFIG), "the files lack file \"rules/handler.lua\"");
    scene.follows = false;
    pass(PAST_STILL_MS);
    assert_int_equal(status().generation, 2);
    assert_has(status().rules_error, "setting removed_rules");
    scene.request.automatic = false;
    assert_has(running_reload(&scene, OK), OUTCOME("reloaded", 3));
}

TEST_BETWEEN(begin, end, a_start_in_the_middle_of_a_deploy_waits_too)
{
    running_for(&scene, 50); /* the set is written down */
    running_stop(&scene);
    running_remove(&scene, "rules/rules.lua");
    running_remove(&scene, "rules/handler.lua");
    running_start(&scene);
    assert_has(status().rules_wait, "the files lack file \"rules/handler.lua\"");
    (void)running_sql(&scene, EMIT);
    running_until(&scene, "select count(*) from herald_outbox where reason like 'waits for%'", "1");
    changed("rules/rules.lua", WAY);
    assert_has(status().rules_wait, "the files lack file \"rules/handler.lua\"");
    changed("rules/handler.lua", HANDLER("late"));
    assert_string_equal(status().rules_wait, "");
    pass(1000);
    running_until(&scene, MARKS, "late");
    assert_string_equal(running_sql(&scene, "select count(*) from herald_dead"), "0");
    assert_int_equal(status().counters->parked, 0);
}

TEST_BETWEEN(begin, end, a_start_without_them_for_long_takes_what_there_is)
{
    running_for(&scene, 50);
    running_stop(&scene);
    running_write(&scene, "rules/rules.lua", HERALD);
    running_start(&scene);
    assert_has(status().rules_wait, "subscription \"q\"");
    (void)running_sql(&scene, EMIT);
    running_until(&scene, "select count(*) from herald_outbox where due_at > 0", "1");
    pass(PAST_STILL_MS);
    assert_string_equal(status().rules_wait, "");
    assert_int_equal(status().generation, 1);
    scene.passed_ms += 1000;
    running_until(&scene, "select count(*) from herald_dead where error like 'no route%'", "1");
}

TEST_BETWEEN(begin, end, what_passes_is_tried_again_without_being_told)
{
    sqlite3 *other = beside_open(scene.folder);

    assert_int_equal(sqlite3_exec(other, "begin immediate", NULL, NULL, NULL), SQLITE_OK);
    running_write(&scene, "rules/more.lua", HERALD "herald.subscribe { queue = 'q2' }\n");
    assert_has(running_reload(&scene, ERR_BUSY), "locked");
    assert_has(status().rules_wait, "they could not be taken: ");
    assert_string_equal(status().rules_error, "");
    pass(1000);
    assert_int_equal(status().generation, 2);
    assert_int_equal(sqlite3_exec(other, "rollback", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    pass(6000);
    assert_int_equal(status().generation, 3);
    assert_string_equal(status().rules_wait, "");
    assert_no(running_log(&scene), "rules.refused");
}
