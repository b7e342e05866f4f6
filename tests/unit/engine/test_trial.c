/* What the next generation would do differently, and that a trial leaves nothing behind. */
#include "scene.h"

#include "check.h"
#include "engine/trial.h"

#include <stdio.h>
#include <string.h>

#define HEAD                                                                                       \
    "local herald = require 'herald'\n"                                                            \
    "herald.subscribe { queue = 'q', from = herald.fanout 'x',\n"                                  \
    "  retry = { attempts = 1 } }\n"                                                               \
    "herald.route { type = 'out', to = herald.fanout 'y' }\n"
#define ON(body) "herald.on('t', '*', function(msg, tx)\n" body "\nend)\n"
#define WRITE "  tx:exec('insert into hits values (?)', msg.business_key1)\n"
#define TABLES                                                                                     \
    "create table hits (what text);"                                                               \
    "create table one (id integer primary key); insert into one values (1);"                       \
    "create table parent (id integer primary key); insert into parent values (1);"                 \
    "create table child (p integer references parent(id) deferrable initially deferred);"

/* Pieces of an answer. */
#define SUM(run, differing, left)                                                                  \
    "{\"trial\":{\"run\":" #run ",\"differing\":" #differing ",\"left_out\":" #left "}}\n"
#define DIFFERS(id)                                                                                \
    "{\"differs\":{\"message_id\":\"" id "\",\"queue\":\"q\",\"type\":\"t\",\"order_type\":\"\","
#define NOTHING "\"out\",\"\",\"\",\"\",\"\",\"\""
#define DID(what, detail) "{\"what\":\"" what "\",\"detail\":[" detail "]}"

/* What the last answer says, and the code. */
static struct {
    struct buf text;
    int code;
    struct err err;
} a;

static void try(struct scene *s, const char *next_rules, size_t n)
{
    struct script *next = scene_load(s, next_rules);

    a.err = (struct err){0};
    buf_free(&a.text);
    buf_init(&a.text, 1024 * 1024);
    a.code = trial_run(s->turn, &s->script, &next, n, &a.text, &a.err);
    assert_int_equal(buf_append(&a.text, "", 1), OK); /* ends the string */
    script_free(&next);
}

static void assert_has(const char *piece)
{
    if (strstr(a.text.data, piece) == NULL)
        fail_msg("no \"%s\" in: %s%s", piece, a.text.data, a.err.text);
}

static void assert_answer(const char *want)
{
    if (strcmp(a.text.data, want) != 0)
        fail_msg("wanted: %s\ngot: %s%s", want, a.text.data, a.err.text);
}

static void deliver(struct scene *s, const char *id, const char *key)
{
    char body[100];

    snprintf(body, sizeof body, "{\"businessKey1\":\"%s\"}", key);
    scene_deliver(s, id, "t", body);
}

/* Two handled messages and a dead letter. */
static void begin_with(struct scene *s, const char *rules)
{
    s->settings.recent_max = 10;
    scene_begin(s, rules, TABLES);
    deliver(s, "a", "1");
    deliver(s, "b", "2");
    deliver(s, "c", "bad");
    scene_run(s);
    assert_int_equal(scene_acked(s), 3);
}

#define BAD "  if msg.business_key1 == 'bad' then error('as told') end\n"

static void begin(struct scene *s)
{
    scene_setup(s);
    begin_with(s, HEAD ON(BAD WRITE));
}

static void end(struct scene *s)
{
    buf_free(&a.text);
    scene_teardown(s);
}

TEST_ON(struct scene, begin, end, the_same_rules_differ_in_nothing)
{
    /* a line more: places of errors move, which is no difference */
    try(f, "\n" HEAD "\n" ON(BAD WRITE), 10);
    assert_int_equal(a.code, OK);
    assert_answer(SUM(3, 0, 0));
}

TEST_ON(struct scene, begin, end, outcomes_statements_and_emits_are_compared)
{
    try(f,
        HEAD ON("  if msg.business_key1 == '1' then herald.reject('no\\tmore\\n1') end\n" WRITE
                "  tx:exec('update hits set what = 9 where what = ?', 'nobody')\n"
                "  tx:emit { type = 'out', business_key1 = 'k', body = { n = 1 } }"),
        10);
    assert_has(SUM(3, 3, 0));
    assert_has(DIFFERS("a") "\"now\":[" DID("outcome", "\"done\",\"\"") "," DID(
        "statement",
        "\"1\",\"insert into hits values ('1')\"") "],"
                                                   "\"next\":[" DID(
                                                       "outcome", "\"reject\",\"rules/rules.lua:6: "
                                                                  "no\\tmore\\n1\""));
    assert_has("\"next\":[" DID("outcome", "\"done\",\"\"") "," DID(
        "statement",
        "\"1\",\"insert into hits values ('bad')\"") "," DID("emit",
                                                             "\"out\",\"k\",\"\",\"\",\"{"
                                                             "\\\"n\\\":1}\",\"\"") "]}}\n");
    assert_has(DIFFERS("c") "\"now\":[" DID(
        "outcome", "\"failed\",\"rules/rules.lua:6: as told\"") "],\"next\":");
    assert_null(strstr(a.text.data, "nobody")); /* changed nothing */
}

TEST_ON(struct scene, scene_setup, end, times_keys_and_cancels_are_compared)
{
    f->settings.recent_max = 10;
    scene_begin(f, HEAD ON("  tx:emit { type = 'out', delay = '15m', key = 'k' }"), TABLES);
    deliver(f, "a", "1");
    scene_run(f);
    try(f, HEAD ON("  tx:emit { type = 'out', delay = '15m', key = 'k' }"), 10);
    assert_answer(SUM(1, 0, 0));
    try(f, HEAD ON("  tx:emit { type = 'out', delay = '16m', key = 'k' }"), 10);
    assert_has(DID("emit", NOTHING ",\"due_at=1700000900000\",\"key\",\"k\""));
    assert_has(DID("emit", NOTHING ",\"due_at=1700000960000\",\"key\",\"k\""));
    try(f, HEAD ON("  tx:emit { type = 'out', at = 1700000900000, key = 'K' }"), 10);
    assert_has(DID("emit", NOTHING ",\"due_at=1700000900000\",\"key\",\"K\""));
    try(f, HEAD ON("  tx:emit { type = 'out', delay = '15m', key = 'k' } tx:cancel('k')"), 10);
    assert_has(DID("cancel", "\"k\"") "]}}\n");
    assert_sql(f, "select group_concat(key || due_at) from herald_outbox", "k1700000900000");
}

TEST_ON(struct scene, scene_setup, end, nothing_of_it_stays)
{
    struct counters before;
    char rows[200];

    begin_with(f, HEAD ON(BAD WRITE "  herald.log.warn('said')"));
    before = *turn_counters(f->turn);
    snprintf(rows, sizeof rows, "%s", scene_log(f));
    try(f, HEAD ON(WRITE WRITE "  herald.log.warn('leaked')\n  tx:emit { type = 'out' }"), 10);
    assert_has(SUM(3, 3, 0));
    assert_null(strstr(scene_log(f), "leaked"));
    assert_memory_equal(turn_counters(f->turn), &before, sizeof before);
    assert_sql(f, "select group_concat(what) from hits", "1,2");
    assert_sql(f,
               "select (select count(*) from herald_outbox) || (select count(*) from herald_dead) "
               "|| (select count(*) from herald_retry) || (select count(*) from herald_recent)",
               "0102");
    deliver(f, "d", "4");
    scene_run(f);
    assert_sql(f, "select group_concat(what) from hits", "1,2,4");
    assert_string_equal(f->published, "");
    before.delivered++, before.handled++, before.turns = turn_counters(f->turn)->turns;
    assert_memory_equal(turn_counters(f->turn), &before, sizeof before);
}

/* What the present rules keep in Lua's memory is of messages that were handled. */
TEST_ON(struct scene, scene_setup, end, what_rules_remember_is_not_of_a_trial)
{
    f->settings.recent_max = 10;
    scene_begin(f,
                HEAD "local seen = 0\n" ON("  seen = seen + 1\n"
                                           "  tx:exec('insert into hits values (?)', seen)"),
                TABLES);
    deliver(f, "a", "1");
    scene_run(f);
    try(f, HEAD ON(""), 10);
    deliver(f, "b", "1");
    scene_run(f);
    assert_sql(f, "select group_concat(what) from hits", "1,1"); /* rebuilt, not 1,3 */
}

TEST_ON(struct scene, scene_setup, end, the_newest_come_first_and_no_more_than_asked_for)
{
    f->settings.recent_max = 3;
    scene_begin(f, HEAD ON(BAD WRITE), TABLES);
    for (int i = 0; i < 5; i++) {
        char id[16];

        snprintf(id, sizeof id, "m%d", i);
        deliver(f, id, i == 3 ? "bad" : "1");
        scene_run(f);
        f->now_ms += 1000;
    }
    try(f, HEAD ON(WRITE WRITE), 2);
    assert_has(SUM(2, 2, 0) DIFFERS("m4"));
    assert_has("\n" DIFFERS("m3"));
    try(f, HEAD ON(WRITE WRITE), 50);
    assert_has(SUM(4, 4, 0)); /* three in the ring, one letter */
    assert_null(strstr(a.text.data, "\"m0\""));
}

TEST_ON(struct scene, begin, end, what_ends_the_transaction_is_one_messages_outcome)
{
    try(f,
        HEAD ON("  if msg.business_key1 == '1' then\n"
                "    tx:exec('insert or rollback into one values (1)')\n"
                "  end\n" BAD WRITE),
        10);
    assert_int_equal(a.code, OK);
    assert_has(SUM(3, 1, 0) DIFFERS("a"));
    assert_has("\"next\":[{\"what\":\"outcome\",\"detail\":[\"failed\",");
    deliver(f, "d", "4");
    scene_run(f);
    assert_sql(f, "select group_concat(what) from hits", "1,2,4");
}

TEST_ON(struct scene, begin, end, memory_eaten_is_one_messages_outcome)
{
    try(f,
        HEAD
        "local kept = {}\n" ON(BAD WRITE "  while msg.business_key1 == '1' do kept[#kept + 1] = "
                                         "{ #kept } end"),
        10);
    assert_int_equal(a.code, OK);
    assert_has(SUM(3, 1, 0) DIFFERS("a"));
    assert_has("handler_memory");
    assert_sql(f, "select group_concat(what) from hits", "1,2");
}

TEST_ON(struct scene, begin, end, a_deferred_foreign_key_shows)
{
    try(f, HEAD ON(BAD WRITE "  tx:exec('insert into child values (99)')"), 10);
    assert_has(SUM(3, 2, 0));
    assert_has("\"next\":[{\"what\":\"outcome\",\"detail\":[\"failed\",\"a deferred foreign key");
    deliver(f, "d", "4"); /* and breaks no later commit */
    scene_run(f);
}

TEST_ON(struct scene, begin, end, rows_are_counted_for_the_statement_that_changed_them)
{
    try(f,
        HEAD ON("  for row in tx:query('select id from one') do\n"
                "    tx:exec('insert into hits values (7), (8)')\n"
                "  end\n"
                "  tx:value('insert into hits values (9) returning what')"),
        1);
    assert_has("\"next\":[" DID("outcome", "\"done\",\"\"") "," DID(
        "statement",
        "\"2\",\"insert into hits values (7), (8)\"") "," DID("statement",
                                                              "\"1\",\"insert into hits values "
                                                              "(9) returning what\"") "]");
    assert_null(strstr(a.text.data, "select id from one"));
}

TEST_ON(struct scene, begin, end, who_is_not_wanted_any_more_shows)
{
    try(f, HEAD "herald.on('other', '*', function() end)\n", 1);
    assert_has("\"next\":[" DID("outcome", "\"unhandled\",\"no handler wants it\"") "]");
    try(f,
        "local herald = require 'herald'\n"
        "herald.subscribe { queue = 'another', from = herald.fanout 'x' }\n",
        1);
    assert_has("\"next\":[" DID("outcome", "\"unhandled\",\"no subscription for this queue\"") "]");
}

TEST_ON(struct scene, scene_setup, end, long_texts_are_compared_to_their_end)
{
    begin_with(f, HEAD ON("  tx:emit { type = 'out', body = ('x'):rep(5000) .. '1' }"));
    try(f, HEAD ON("  tx:emit { type = 'out', body = ('x'):rep(5000) .. '2' }"), 1);
    assert_has(SUM(1, 1, 0));
    assert_has("... (5001 bytes, ");
}

static void twenty(struct scene *s)
{
    scene_setup(s);
    s->settings.recent_max = 20;
    scene_begin(s, HEAD ON(""), TABLES);
    for (int i = 0; i < 20; i++) {
        char id[16];

        snprintf(id, sizeof id, "m%d", i);
        deliver(s, id, "1");
    }
    scene_run(s);
}

TEST_ON(struct scene, twenty, end, the_answer_is_cut_between_messages)
{
    try(f, HEAD ON("  for i = 1, 200 do tx:emit { type = 'out', body = ('x'):rep(1999) } end"), 20);
    assert_int_equal(a.code, OK);
    assert_has(SUM(4, 4, 16));
    assert_has("{\"what\":\"cut\",\"detail\":[");
    assert_false(a.text.failed);
    assert_int_equal(a.text.data[a.text.len - 2], '\n');
}

/* The router does nothing else meanwhile. */
TEST_ON(struct scene, twenty, end, a_long_trial_ends_early)
{
    unsigned run, differing, left_out;

    f->tick_ms = 250;
    try(f, HEAD ON("  tx:exec('insert into hits values (1)')"), 20);
    f->tick_ms = 0;
    assert_int_equal(a.code, OK);
    assert_int_equal(sscanf(a.text.data, "{\"trial\":{\"run\":%u,\"differing\":%u,\"left_out\":%u",
                            &run, &differing, &left_out),
                     3);
    assert_in_range(run, 1, 19);
    assert_int_equal(differing, run);
    assert_int_equal(run + left_out, 20);
}

TEST_ON(struct scene, begin, end, a_busy_store_is_said)
{
    struct sqlite3 *other;

    other = scene_lock(f);
    try(f, HEAD ON(WRITE), 10);
    assert_int_equal(a.code, ERR_BUSY);
    assert_true(a.err.text[0] != '\0');
    scene_unlock(other);
}

/* Envelopes and identities are the rules' too. */
TEST_ON(struct scene, begin, end, other_ways_of_reading_are_tried)
{
    try(f,
        "local herald = require 'herald'\n"
        "herald.subscribe { queue = 'q', from = herald.fanout 'x',\n"
        "  envelope = function(raw, properties)\n"
        "    if raw:find('bad', 1, true) then error('unreadable') end\n"
        "    return { type = 't', business_key1 = 'read ' .. properties.message_id }\n"
        "  end }\n" ON(WRITE),
        10);
    assert_has(DID("statement", "\"1\",\"insert into hits values ('read b')\""));
    assert_has(DID("outcome", "\"failed\",\"rules/rules.lua:4: unreadable\""));
}
