/* What there is to know about rules without running them. */
#include "face/look.h"
#include "state.h"
#include "usual_retry.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD "local herald = require 'herald'\n"
#define HANDLER(body) HEAD "herald.on('t', '*', function(msg, tx) " body " end)\n"

struct scene {
    struct state state; /* its folder is the router's */
    struct look look;
    struct script_folder folder;
    struct script_settings settings;
};

static void scene_setup(struct scene *s)
{
    state_setup(&s->state);
    assert_int_equal(mkdir("tmp", 0700), 0);
    assert_int_equal(setenv("TMPDIR", "tmp", 1), 0);
    state_write("rules/a.lua", HANDLER("tx:exec('delete from t where id = ?', 1)"));
    state_write("migrations/001.sql", "create table t (id integer);");
    s->folder = (struct script_folder){".", ""};
    s->settings = (struct script_settings){.folders = &s->folder,
                                           .n_folders = 1,
                                           .memory_max = (size_t)64 << 20,
                                           .handler_ms = 5000,
                                           .retry = usual_retry};
    look_init(&s->look);
}

static void scene_teardown(struct scene *s)
{
    look_close(&s->look);
    s->look = (struct look){.db = NULL}; /* what it has not freed is lost */
    assert_int_equal(unsetenv("TMPDIR"), 0);
    state_teardown(&s->state);
}

static void look(struct scene *s)
{
    look_run(&s->look, &s->settings, NULL, "herald.db");
}

static size_t count(const struct found *f)
{
    size_t n = 0;

    for (; f != NULL; f = f->next)
        n++;
    return n;
}

/* The only SQL that was found. */
static const struct found *only(const struct scene *s)
{
    assert_int_equal(count(s->look.constants.first), 1);
    assert_int_equal(s->look.constants.first->kind, CONSTANT_SQL);
    return s->look.constants.first;
}

static size_t leftovers(void)
{
    DIR *dir = opendir("tmp");
    size_t n = 0;

    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

TEST_WITH(scene, rules_that_are_good_are_loaded_and_their_sql_prepared)
{
    look(f);
    assert_int_equal(f->look.store.code, OK);
    assert_int_equal(f->look.migrations.code, OK);
    assert_int_equal(f->look.rules.code, OK);
    assert_non_null(f->look.script);
    assert_int_equal(rules_count(script_rules(f->look.script), RULE_HANDLER), 1);
    assert_string_equal(only(f)->where.data, "rules/a.lua");
    assert_int_equal(only(f)->line, 2);
    assert_null(only(f)->problem.data);
}

TEST_WITH(scene, the_store_of_a_look_goes_with_it)
{
    look(f);
    assert_int_equal(leftovers(), 1);
    look_close(&f->look);
    assert_int_equal(leftovers(), 0);
    assert_int_equal(access("herald.db", F_OK), -1); /* the router's was not made */
    look_close(&f->look);
}

TEST_WITH(scene, without_a_place_for_a_store_nothing_is_looked_at)
{
    assert_int_equal(setenv("TMPDIR", "nowhere", 1), 0);
    look(f);
    assert_int_equal(f->look.store.code, ERR_IO);
    assert_non_null(
        strstr(f->look.store.text, "nowhere: set TMPDIR to one that can be written to"));
    assert_null(f->look.script);
}

TEST_WITH(scene, sql_that_is_wrong_is_pointed_at)
{
    state_write("rules/a.lua", HANDLER("tx:row('select nam from t')"));
    look(f);
    assert_string_equal(only(f)->problem.data, "no such column: nam in: select nam from t");
    assert_int_equal(only(f)->at, strlen("select "));
}

TEST_WITH(scene, values_are_counted)
{
    state_write("rules/a.lua", HANDLER("tx:exec('delete from t where id = ?')"));
    look(f);
    assert_string_equal(only(f)->problem.data, "the statement has 1 parameter, 0 values are given");
}

TEST_WITH(scene, named_values_come_in_a_table)
{
    state_write("rules/a.lua", HANDLER("local both = { a = 1, b = 2 }\n"
                                       "tx:exec('delete from t where id in (:a, :b)', both)"));
    look(f);
    assert_null(only(f)->problem.data);
}

TEST_WITH(scene, sql_is_not_judged_without_its_tables)
{
    state_write("migrations/002.sql", "create table u (id integer); create table t (id integer);");
    state_write("rules/a.lua", HANDLER("tx:exec('delete from u')"));
    look(f);
    assert_int_equal(f->look.migrations.code, ERR_CONFIG);
    assert_non_null(strstr(f->look.migrations.text, "migrations/002.sql"));
    assert_int_equal(f->look.rules.code, OK);
    assert_null(only(f)->problem.data);
}

TEST_WITH(scene, rules_that_do_not_load_say_why)
{
    state_write("rules/b.lua", HEAD "herald.subscribe { qeue = 'q' }");
    look(f);
    assert_int_equal(f->look.store.code, OK);
    assert_int_equal(f->look.rules.code, ERR_CONFIG);
    assert_non_null(strstr(f->look.rules.text, "rules/b.lua:2: unknown key 'qeue'"));
    assert_null(f->look.script);
    assert_int_equal(count(f->look.constants.first), 0);
}

TEST_WITH(scene, the_migrations_of_the_routers_store_are_compared)
{
    const struct db_settings settings = {
        .path = "herald.db", .create = true, .clock = clock_real()};
    struct err err = {0};
    struct db *db = NULL;
    int applied = 0;

    assert_int_equal(db_open(&db, &settings, &err), OK);
    assert_int_equal(db_migrate(db, "migrations", "", &applied, &err), OK);
    db_close(&db);
    assert_int_equal(applied, 1);
    state_write("migrations/001.sql", "create table t (id integer, name text);");
    look(f);
    assert_int_equal(count(f->look.applied.first), 1);
    assert_non_null(strstr(f->look.applied.first->text.data, "has changed since"));
}

TEST_WITH(scene, a_broker_that_is_away_is_told)
{
    const struct settings live = {.broker = "amqp://127.0.0.1:1/"};

    look_run(&f->look, &f->settings, &live, "herald.db");
    assert_int_equal(f->look.store.code, OK);
    assert_true(f->look.broker.code != OK);
    assert_true(f->look.broker.text[0] != '\0');
    assert_int_equal(count(f->look.live.first), 0);
}

/* The same through herald.core. */
TEST_WITH(scene, lua_has_all_that_was_found)
{
    struct state *s = &f->state;

    state_write("rules/a.lua",
                HEAD "herald.route { type = 'out', to = herald.topic('x', 'k') }\n"
                     "herald.subscribe { queue = 'q', from = herald.fanout 'e' }\n" HANDLER(
                         "tx:emit { type = 'out', business_key2 = '7' }"));
    lua_gc(s->L, LUA_GCSTOP);
    (void)state_run(s,
                    "found = core.inspect_rules { folders = { { path = '.', namespace = '' } }, "
                    "handler_memory = 1 << 26, handler_timeout = 5000, store = 'herald.db', "
                    "retry = { attempts = 10, delays = { 1000 }, factor = 2, max_delay = 3600000, "
                    "jitter = 0.1, max_age = 0 } }");
    assert_gives(s,
                 "local r = found.routes[1] return r.type, r.unroutable, r.origin, r.to[1].kind, "
                 "r.to[1].exchange, r.to[1].routing_key",
                 "out, retry, rules/a.lua:2, topic, x, k");
    assert_gives(s,
                 "local q = found.subscriptions[1] return q.queue, q.from[1].kind, q.unhandled, "
                 "q.retry.attempts, q.envelope",
                 "q, fanout, ack, 10, auto");
    assert_gives(s, "local h = found.handlers[1] return h.type, h.order_type, h.queue, h.retry",
                 "t, *, nil, nil");
    assert_gives(s, "local c = found.constants[1] return c.kind, c.text, c.order_type, c.problem",
                 "emit, out, 7, nil");
    assert_gives(s, "return found.rules_error, found.migrations_error, found.live_error",
                 "nil, nil, nil");
    assert_int_equal(leftovers(), 0);
    assert_gives(s, "return (pcall(core.inspect_rules, { folders = {}, handler_memory = 'much' }))",
                 "false");
}
