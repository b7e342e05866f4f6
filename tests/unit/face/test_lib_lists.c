/* Rows of a store as Lua has them. */
#include "state.h"
#include "store.h"

#include <lauxlib.h>
#include <stdio.h>
#include <unistd.h>

/* A router has the store meanwhile. */
struct lists {
    struct store store;
    struct state state;
};

static void lists_setup(struct lists *f)
{
    store_setup(&f->store);
    store_open(&f->store);
    state_setup(&f->state);
    lua_pushstring(f->state.L, f->store.path);
    lua_setglobal(f->state.L, "path");
}

static void lists_teardown(struct lists *f)
{
    state_teardown(&f->state);
    store_teardown(&f->store);
}

static const char retry[] =
    "insert into herald_retry(id, due_at, queue, fingerprint, attempts, first_at, error, type, "
    "body,"
    " timestamp_s, generation, lane, tries) values (4, 9223372036854775807, 'q', 0, 2, 100, 'no',"
    " 't', x'ff00', 1764000000, 3, 'l', '{\"at\":5,\"attempt\":1,\"generation\":2,\"error\":\"a\"}'"
    " || char(10) || '{\"at\":6,\"attempt\":2,\"generation\":3,\"error\":\"b\","
    "\"traceback\":\"rules/a.lua:3\"}'), (5, 7, 'q', 0, 1, 100, 'orphaned: q', null, null, 0, 1,"
    " null, null)";

TEST_WITH(lists, a_row_becomes_a_table)
{
    other_exec(&f->store, retry);
    (void)state_run(&f->state, "rows = core.retries_list(path, {}) row, other = rows[1], rows[2]");
    assert_gives(&f->state,
                 "return #rows, row.id, row.queue, row.lane, row.due_at == math.maxinteger",
                 "2, 4, q, l, true");
    assert_gives(&f->state,
                 "return math.type(row.first_at), type(row.error), other.key1, other.lane",
                 "integer, string, nil, nil");
    assert_gives(&f->state, "return row.behind, row.orphaned, other.behind, other.orphaned",
                 "true, false, false, true");
    assert_gives(&f->state, "return row['behind?'], row['tries[]']", "nil, nil");
}

TEST_WITH(lists, rows_within_a_row_are_a_list)
{
    other_exec(&f->store, retry);
    (void)state_run(&f->state, "rows = core.retries_list(path, {}) tries = rows[1].tries");
    assert_gives(&f->state, "return #tries, tries[1].error, tries[1].traceback, tries[2].at",
                 "2, a, nil, 6");
    assert_gives(&f->state, "return tries[2].traceback, #rows[2].tries", "rules/a.lua:3, 0");
}

TEST_WITH(lists, one_row_is_whole)
{
    other_exec(&f->store, retry);
    assert_gives(&f->state, "return core.retries_list(path, {})[1].body", "nil");
    assert_gives(&f->state,
                 "local r = core.retries_get(path, 4) return #r.body, r.body:byte(1), r.timestamp",
                 "2, 255, 1764000000");
    assert_gives(&f->state, "return core.retries_get(path, 6)",
                 "nil, missing, no retry 6: `herald retries list` shows those there are");
    assert_gives(
        &f->state, "return core.history_get(path, 1)",
        "nil, missing, no message 1 in the history: `herald history list` shows those there are");
}

TEST_WITH(lists, a_page_is_what_is_asked_for)
{
    other_exec(&f->store,
               "with n(i) as (select 1 union all select i + 1 from n where i < 150) "
               "insert into herald_outbox(type, due_at) select iif(i % 2, 'odd', 'even'), "
               "iif(i = 7, 9223372036854775805, 0) from n");
    assert_gives(&f->state, "return #core.outbox_list(path, {})", "100");
    assert_gives(&f->state, "local l = core.outbox_list(path, { after = 100 }) return #l, l[1].id",
                 "50, 101");
    assert_gives(&f->state,
                 "local l = core.outbox_list(path, { type = 'even', limit = 3 }) "
                 "return #l, l[1].id, l[3].id",
                 "3, 2, 6");
    assert_gives(&f->state,
                 "local l = core.outbox_list(path, { ids = { 9, 3, 999 } }) "
                 "return #l, l[1].id, l[2].id",
                 "2, 3, 9");
    assert_gives(&f->state, "local l = core.outbox_list(path, { later = true }) return #l, l[1].id",
                 "1, 7");
    assert_gives(&f->state, "return #core.outbox_list(path, { limit = 0 })", "0");
}

TEST_WITH(lists, groups_and_lanes_take_a_limit_alone)
{
    other_exec(&f->store,
               "insert into herald_dead(side, queue, fingerprint, attempts, error, generation, at,"
               " timestamp_s, error_group) values ('inbox', 'q', 0, 1, 'a', 1, 5, 0, 1),"
               " ('inbox', 'q', 0, 1, 'b', 1, 6, 0, 2), ('inbox', 'q', 0, 1, 'b', 1, 7, 0, 2)");
    assert_gives(
        &f->state,
        "local l = core.dead_groups(path, 10) return #l, l[1].group, l[1].count, l[2].error",
        "2, 00000002, 2, a");
    assert_gives(&f->state, "return #core.dead_groups(path, 1), #core.lanes_list(path, 1)", "1, 0");
}

TEST_WITH(lists, a_store_that_is_none_or_another_versions_is_told)
{
    assert_gives(
        &f->state, "return core.dead_list('nowhere.db', {})",
        "nil, missing, no store at nowhere.db: `herald run` and `herald emit` make it; give the "
        "router's folder with -C DIR, or the store with --store");
    assert_gives(&f->state, "return core.kind 'nowhere.db'", "");
    other_exec(&f->store, "update herald_meta set value = 1000 where key = 'schema_version'");
    assert_gives(&f->state,
                 "local none, kind, why = core.dead_list(path, {}) "
                 "return none, kind, why:match 'schema version %d+'",
                 "nil, config, schema version 1000");
    assert_gives(&f->state, "return (select(2, core.dead_get(path, 1)))", "config");
}

TEST_WITH(lists, a_wrong_pick_is_an_error_of_the_caller)
{
    static const char *const picks[] = {
        "nil",
        "'all'",
        "{ ids = 5 }",
        "{ ids = { 'x' } }",
        "{ type = {} }",
        "{ limit = {} }",
        "{ group = 'x' }",
        "{ older_ms = true }",
        "{ after = 1.5 }",
    };
    char lua[128];

    for (size_t i = 0; i < sizeof picks / sizeof picks[0]; i++) {
        snprintf(lua, sizeof lua, "return (pcall(core.dead_list, path, %s))", picks[i]);
        assert_gives(&f->state, lua, "false");
    }
    assert_gives(&f->state,
                 "local ids = {} for i = 1, 10001 do ids[i] = i end "
                 "return select(2, pcall(core.dead_list, path, { ids = ids }))",
                 "bad argument #2 to 'herald.core.dead_list' (too many ids)");
}

/* Lua may have no memory at any moment of it. The store goes then, with all that it holds. */
TEST_WITH(lists, a_listing_for_which_memory_ends_lets_go_of_the_store)
{
    struct state *s = &f->state;
    int before, after, failed = 0, rc = LUA_ERRMEM;

    other_exec(&f->store, retry);
    assert_gives(s, "return #core.retries_list(path, {})", "2"); /* SQLite keeps a descriptor */
    before = dup(s->home);
    close(before);
    assert_int_equal(luaL_loadstring(s->L, "return #core.retries_list(path, {})"), LUA_OK);
    for (size_t room = 0; rc != LUA_OK; room += 64) {
        lua_settop(s->L, 1);
        lua_gc(s->L, LUA_GCCOLLECT);
        lua_pushvalue(s->L, 1);
        s->most = s->bytes + room;
        rc = lua_pcall(s->L, 0, 1, 0);
        s->most = 0;
        failed += rc == LUA_ERRMEM;
    }
    assert_int_equal(lua_tointeger(s->L, -1), 2);
    assert_true(failed > 10);
    lua_settop(s->L, 0);
    lua_gc(s->L, LUA_GCCOLLECT);
    after = dup(s->home);
    close(after);
    assert_int_equal(after, before);
}
