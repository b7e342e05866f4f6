/* engine_reload on a running engine with the embedded broker. */
#include "check.h"
#include "running.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Messages of type "note" go round: route, exchange, queue, handler. */
#define HEAD                                                                                       \
    "local herald = require 'herald'\n"                                                            \
    "herald.route { type = 'note', to = herald.fanout 'x' }\n"
#define Q1 "herald.subscribe { queue = 'q1', from = herald.fanout 'x' }\n"
#define Q2 "herald.subscribe { queue = 'q2', from = herald.fanout 'x' }\n"
#define HANDLER(mark)                                                                              \
    "herald.on('note', '*', function(msg, tx)\n"                                                   \
    "  tx:exec(\"insert into t values (?, '" mark "')\", msg.id)\n"                                \
    "end)\n"
#define EMIT "insert into herald_outbox (type) values ('note')"
#define MARKS "select group_concat(mark, ' ') from (select mark from t order by rowid)"

static struct running scene;

static void begin(const char *rules)
{
    running_begin(&scene, rules);
}

static void begin_one(void)
{
    begin(HEAD Q1 HANDLER("one"));
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

static void emit_until(const char *marks)
{
    (void)running_sql(&scene, EMIT);
    running_until(&scene, MARKS, marks);
}

TEST_BETWEEN(begin_one, end, changed_handler_takes_effect)
{
    emit_until("one");
    running_write(&scene, "rules/rules.lua", HEAD Q1 HANDLER("two"));
    const char *answer = running_reload(&scene, OK);
    assert_has(answer, OUTCOME("reloaded", 2));
    assert_has(answer, CHANGED("changed", "file", "rules/rules.lua", "rules/rules.lua"));
    assert_has(answer, CHANGED("changed", "handler", "note *", "rules/rules.lua:4"));
    assert_no(answer, "subscription");
    emit_until("one two");
    assert_int_equal(status().generation, 2);
    assert_int_equal(status().reloads, 1);
    assert_has(running_log(&scene), "rules.loaded generation=2 hash=");
    assert_has(running_log(&scene), "routes=1 subscriptions=1 handlers=1");
}

TEST_BETWEEN(begin_one, end, same_files_are_unchanged)
{
    running_write(&scene, "rules/rules.lua", HEAD Q1 HANDLER("one"));
    assert_has(running_reload(&scene, OK), OUTCOME("unchanged", 1));
    assert_int_equal(status().generation, 1);
    assert_int_equal(status().reloads, 0);
    emit_until("one");
}

static void refused(const char *rules, const char *why)
{
    char hash[32];

    snprintf(hash, sizeof hash, "%s", status().rules_hash);
    running_write(&scene, "rules/rules.lua", rules);
    assert_has(running_reload(&scene, ERR_CONFIG), why);
    assert_has(status().rules_error, why);
    assert_string_equal(status().rules_hash, hash);
    assert_int_equal(status().generation, 1);
    assert_int_equal(status().reloads_refused, 1);
    assert_has(running_log(&scene), "error rules.refused generation=1 hash=");
    assert_has(running_log(&scene), why);
    emit_until("one");
    running_write(&scene, "rules/rules.lua", HEAD Q1 HANDLER("one"));
    assert_has(running_reload(&scene, OK), OUTCOME("unchanged", 1));
    assert_string_equal(status().rules_error, "");
}

TEST_BETWEEN(begin_one, end, bad_syntax_is_refused)
{
    refused(HEAD Q1 "local x = = 2\n", "rules/rules.lua:4: unexpected symbol");
}

TEST_BETWEEN(begin_one, end, error_of_a_file_is_refused)
{
    refused(HEAD Q1 "error 'not today'\n", "rules/rules.lua:4: not today");
}

TEST_BETWEEN(begin_one, end, bad_sql_is_refused)
{
    refused(HEAD Q1 "herald.on('note', '*', function(msg, tx)\n"
                    "  tx:row 'select nix from t'\n"
                    "end)\n",
            "rules/rules.lua:5:10: no such column: nix");
}

TEST_BETWEEN(check_nothing, end, bad_sql_at_the_start_is_a_warning)
{
    begin(HEAD Q1 "herald.on('note', '*', function(msg, tx) tx:row 'select nix from t' end)\n");
    assert_has(running_log(&scene), "warn  rules.suspect reason=\"rules/rules.lua:4:");
}

TEST_BETWEEN(begin_one, end, new_migration_is_hinted_at)
{
    const char *rules =
        HEAD Q1 "herald.on('note', '*', function(msg, tx) tx:exec 'delete from fresh' end)\n";

    running_write(&scene, "rules/rules.lua", rules);
    assert_no(running_reload(&scene, ERR_CONFIG), "migrations/");
    running_write(&scene, "migrations/002.sql", "create table fresh (id);");
    assert_has(running_reload(&scene, ERR_CONFIG),
               "there is a new file in migrations/: it is applied when the router starts");
}

TEST_BETWEEN(begin_one, end, dry_run_changes_nothing)
{
    scene.request.dry_run = true;
    running_write(&scene, "rules/rules.lua", HEAD Q1 Q2 HANDLER("two"));
    const char *answer = running_reload(&scene, OK);
    assert_has(answer, OUTCOME("would reload", 2));
    assert_has(answer,
               "{\"changed\":{\"change\":\"added\",\"what\":\"subscription\",\"name\":\"q2\",");
    assert_int_equal(status().generation, 1);
    assert_int_equal(status().subscriptions, 1);
    emit_until("one");
    running_write(&scene, "rules/rules.lua", "oops");
    assert_has(running_reload(&scene, ERR_CONFIG), "rules/rules.lua:1:");
    assert_string_equal(status().rules_error, "");
    assert_int_equal(status().reloads_refused, 0);
}

TEST_BETWEEN(check_nothing, end, live_settings_take_effect)
{
    begin(HEAD Q1 "herald.on('note', '*', function() while true do end end)\n");
    scene.settings.handler_ms = 30;
    scene.settings.retry = (struct retry_policy){
        .attempts = 1, .n_delays = 1, .delay_ms = {1}, .factor = 1, .delay_max_ms = 1};
    scene.settings.history_ms = 3600000;
    const char *answer = running_reload(&scene, OK);
    assert_has(answer, OUTCOME("reloaded", 2));
    assert_has(answer, CHANGED("changed", "setting", "handler_timeout", "herald.lua"));
    assert_has(answer, CHANGED("changed", "setting", "retry", "herald.lua"));
    assert_has(answer, CHANGED("changed", "setting", "history", "herald.lua"));
    assert_no(answer, "handler_memory");
    (void)running_sql(&scene, EMIT); /* by default it would have 2 seconds, and more tries */
    running_until(&scene, "select attempts from herald_dead where error like '%30 ms%'", "1");
    assert_has(running_reload(&scene, OK), OUTCOME("unchanged", 2));
}

TEST_BETWEEN(check_nothing, end, publish_retry_takes_effect)
{
    begin(
        HEAD Q1 HANDLER("one") "herald.route { type = 'lost', to = function() error('no') end }\n");
    scene.settings.publish_retry = (struct retry_policy){
        .attempts = 2, .n_delays = 1, .delay_ms = {1}, .factor = 1, .delay_max_ms = 1};
    assert_has(running_reload(&scene, OK),
               CHANGED("changed", "setting", "publish_retry", "herald.lua"));
    running_sql(&scene, "insert into herald_outbox(type) values ('lost')");
    running_until(&scene, "select count(*) from herald_dead where error like '%(refused 2 times%'",
                  "1");
}

TEST_BETWEEN(check_nothing, end, smaller_memory_that_does_not_suffice_is_refused)
{
    begin(HEAD Q1 "local big = ('x'):rep(4 * 1024 * 1024)\n" HANDLER("one"));
    scene.settings.handler_memory = 2 * 1024 * 1024;
    assert_has(running_reload(&scene, ERR_CONFIG), "handler_memory");
    emit_until("one");
}

TEST_BETWEEN(begin_one, end, subscription_comes_and_goes)
{
    emit_until("one");
    running_write(&scene, "rules/rules.lua", HEAD Q1 Q2 HANDLER("two"));
    assert_has(running_reload(&scene, OK),
               CHANGED("added", "subscription", "q2", "rules/rules.lua:4"));
    emit_until("one two two");
    running_write(&scene, "rules/rules.lua", HEAD Q2 HANDLER("three"));
    assert_has(running_reload(&scene, OK),
               CHANGED("removed", "subscription", "q1", "rules/rules.lua:3"));
    emit_until("one two two three");
    running_for(&scene, 50);
    assert_string_equal(running_sql(&scene, MARKS), "one two two three");
    /* what came meanwhile is there when it returns */
    running_write(&scene, "rules/rules.lua", HEAD Q1 Q2 HANDLER("four"));
    running_reload(&scene, OK);
    running_until(&scene, MARKS, "one two two three four");
}

/* docs/design.md#reload: a subscription goes. */
TEST_BETWEEN(check_nothing, end, retry_waits_for_its_subscription)
{
    begin(HEAD Q1 "herald.on('note', '*', function() herald.retry('300ms', 'later') end)\n");
    (void)running_sql(&scene, EMIT);
    running_until(&scene, "select count(*) from herald_retry", "1");
    running_write(&scene, "rules/rules.lua", HEAD Q2 HANDLER("two"));
    running_reload(&scene, OK);
    running_until(&scene, "select count(*) from herald_retry where error like 'orphaned:%'", "1");
    running_write(&scene, "rules/rules.lua", HEAD Q1 HANDLER("three"));
    running_reload(&scene, OK);
    running_until(&scene, MARKS, "three"); /* long before the orphan would have been looked at */
}

TEST_BETWEEN(begin_one, end, files_come_and_go)
{
    running_write(&scene, "lib/words.lua", "return { mark = 'lib' }\n");
    running_write(
        &scene, "rules/more.lua",
        "local herald = require 'herald'\nlocal words = require 'lib.words'\n"
        "herald.on('other', '*', function(msg, tx) tx:value('select ?', words.mark) end)\n");
    const char *answer = running_reload(&scene, OK);
    assert_has(answer,
               "{\"changed\":{\"change\":\"added\",\"what\":\"file\",\"name\":\"rules/more.lua\",");
    assert_has(answer,
               "{\"changed\":{\"change\":\"added\",\"what\":\"file\",\"name\":\"lib/words.lua\",");
    assert_has(answer, CHANGED("added", "handler", "other *", "rules/more.lua:3"));
    running_remove(&scene, "rules/more.lua");
    running_remove(&scene, "lib/words.lua");
    answer = running_reload(&scene, OK);
    assert_has(answer, OUTCOME("reloaded", 3));
    assert_has(
        answer,
        "{\"changed\":{\"change\":\"removed\",\"what\":\"file\",\"name\":\"rules/more.lua\",");
    assert_has(answer, CHANGED("removed", "handler", "other *", "rules/more.lua:3"));
}

TEST_BETWEEN(begin_one, end, trial_says_what_would_differ)
{
    emit_until("one");
    running_write(&scene, "rules/rules.lua", HEAD Q1 HANDLER("two"));
    scene.request.trial = 5;
    scene.request.dry_run = true;
    const char *answer = running_reload(&scene, OK);
    assert_has(answer, "\n{\"trial\":{\"run\":1,\"differing\":1,\"left_out\":0}}\n");
    assert_has(answer, "\n{\"differs\":{");
    assert_string_equal(running_sql(&scene, MARKS), "one");
}

TEST_BETWEEN(begin_one, end, change_is_noticed)
{
    running_for(&scene, 300);
    assert_int_equal(scene.edited, 0);
    for (int i = 0; i < 10; i++) {
        running_write(&scene, "rules/rules.lua", HEAD Q1 HANDLER("two"));
        running_for(&scene, 20);
    }
    running_for(&scene, 400);
    assert_int_equal(scene.edited, 1);
}

TEST_BETWEEN(begin_one, end, stopping_engine_refuses)
{
    engine_stop(scene.engine);
    assert_has(running_reload(&scene, ERR_CLOSED), "stopping");
}

/* A sanitizer has an allocator of its own, which mallinfo2 does not see: there, it is the
 * leak check at the end that counts. */
TEST_BETWEEN(begin_one, end, memory_stays_flat)
{
    static const char *const rules[] = {
        HEAD Q1 HANDLER("one"), HEAD Q1 Q2 HANDLER("two"), HEAD Q1 "local x = = 2\n",
        HEAD Q1 "herald.on('note', '*', function(msg, tx) tx:row 'select nix from t' end)\n"};
    size_t settled = 0;

    for (int i = 0; i < 200; i++) {
        int wanted = i % 4 < 2 ? OK : ERR_CONFIG;

        running_write(&scene, "rules/rules.lua", rules[i % 4]);
        (void)running_reload(&scene, wanted);
        running_for(&scene, 1);
        if (i == 99)
            settled = mallinfo2().uordblks;
    }
    assert_int_equal(status().generation, 100); /* the first one had not changed anything */
    assert_in_range(mallinfo2().uordblks, 0, settled + 256 * 1024);
}
