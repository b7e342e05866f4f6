/* What is done to rows of a store, as Lua asks for it. */
#include "state.h"
#include "store.h"

struct changes {
    struct store store;
    struct state state;
};

static void changes_setup(struct changes *f)
{
    store_setup(&f->store);
    store_open(&f->store);
    other_exec(&f->store, "with n(i) as (select 1 union all select i + 1 from n where i < 1001) "
                          "insert into herald_outbox(type) select 't' from n");
    state_setup(&f->state);
    lua_pushstring(f->state.L, f->store.path);
    lua_setglobal(f->state.L, "path");
}

static void changes_teardown(struct changes *f)
{
    state_teardown(&f->state);
    store_teardown(&f->store);
}

static int64_t rows(struct changes *f)
{
    return other_int(&f->store, "select count(*) from herald_outbox");
}

TEST_WITH(changes, progress_is_told_between_batches)
{
    assert_gives(&f->state,
                 "local said = {} "
                 "local n = core.outbox_drop(path, {}, function(done) said[#said + 1] = done end) "
                 "return n, table.unpack(said)",
                 "1001, 500, 1000");
    assert_int_equal(rows(f), 0);
}

/* What was committed stays done, and the store is let go. */
TEST_WITH(changes, whoever_watches_may_raise)
{
    assert_gives(&f->state,
                 "return pcall(core.outbox_drop, path, {}, function(n) error('at ' .. n, 0) end)",
                 "false, at 500");
    assert_int_equal(rows(f), 501);
    assert_gives(&f->state, "collectgarbage() return core.outbox_drop(path, {})", "501, 0");
}

TEST_WITH(changes, a_limit_and_a_dry_run_are_obeyed)
{
    assert_gives(&f->state, "return core.outbox_drop(path, { dry_run = true })", "1001, 0");
    assert_int_equal(rows(f), 1001);
    assert_gives(&f->state, "return core.outbox_drop(path, { limit = 7 })", "7, 0");
    assert_int_equal(rows(f), 994);
    assert_gives(&f->state, "return core.outbox_drop(path, { ids = { 1, 8, 9, 9999 } })", "2, 0");
}

TEST_WITH(changes, a_failure_says_how_far_it_came)
{
    other_exec(&f->store, "create trigger t before delete on herald_outbox when old.id = 700 begin "
                          "select raise(abort, 'no space'); end");
    assert_gives(&f->state,
                 "local none, kind, why = core.outbox_drop(path, {}) "
                 "return none, kind, why:match '^stopped after 500: ', why:match 'no space$'",
                 "nil, failed, stopped after 500: , no space");
    assert_int_equal(rows(f), 501);
}

TEST_WITH(changes, headers_of_a_letter_come_and_go)
{
    other_exec(
        &f->store,
        "insert into herald_dead(id, side, queue, fingerprint, attempts, error, generation,"
        " at, timestamp_s, type, body, headers) values (3, 'inbox', 'q', 0, 1, 'no', 1, 5, 0,"
        " 't', x'7b7d', '{\"a\":1,\"b\":2}')");
    assert_gives(&f->state,
                 "return core.dead_edit(path, 3, { headers = { { name = 'a', value = '5' }, "
                 "{ name = 'b' }, { name = 'c', value = '' } } })",
                 "true");
    assert_string_equal(other_rows(&f->store, "select headers from herald_dead"),
                        "{\"a\":\"5\",\"c\":\"\"}");
    assert_gives(&f->state, "return core.dead_edit(path, 4, { type = 't' })",
                 "nil, missing, no dead letter 4: `herald dead list` shows those there are");
    assert_gives(&f->state, "return (pcall(core.dead_edit, path, 3, { headers = { 'a' } }))",
                 "false");
}
