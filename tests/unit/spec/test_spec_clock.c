/* SQL's idea of now is the clock's that was given, in that store alone. */
#include "check.h"
#include "folder.h"
#include "spec/spec_clock.h"
#include "spec/spec_sql.h"
#include "store/sqlite/db.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct world {
    char folder[64];
    char path[80];
    int64_t now_ms;
    struct spec_clock *time;
    struct db *db;
    struct spec_sql *sql;
};

static int64_t wall(void *arg)
{
    return ((const struct world *)arg)->now_ms;
}

static struct clock clock_of(struct world *w)
{
    return (struct clock){.wall_ms = wall, .mono_ms = wall, .arg = w};
}

static void open_at(struct world *w, int64_t now_ms)
{
    struct err err = {0};
    struct db_settings settings = {.create = true, .unsynced = true};

    memset(w, 0, sizeof *w);
    folder_make(w->folder);
    snprintf(w->path, sizeof w->path, "%s/x.db", w->folder);
    w->now_ms = now_ms;
    assert_int_equal(spec_clock_new(&w->time, clock_of(w), &err), OK);
    settings.path = w->path;
    settings.clock = clock_of(w);
    settings.vfs = spec_clock_name(w->time);
    if (db_open(&w->db, &settings, &err) != OK || spec_sql_open(&w->sql, w->db, &err) != OK)
        fail_msg("%s", err.text);
}

static void world_setup(struct world *w)
{
    open_at(w, 0);
}

static void world_teardown(struct world *w)
{
    spec_sql_close(&w->sql);
    db_close(&w->db);
    spec_clock_free(&w->time);
    assert_null(w->time);
    folder_remove(w->folder);
}

static const char *ask(struct world *w, const char *sql)
{
    static char out[128];
    struct err err = {0};
    struct value v;

    spec_sql_begin(w->sql, slice_of(sql));
    if (spec_sql_next(w->sql, &err) != 1 || spec_sql_step(w->sql, &err) != 1)
        fail_msg("%s", err.text);
    spec_sql_column(w->sql, 0, &v);
    if (v.kind == VALUE_INT)
        snprintf(out, sizeof out, "%lld", (long long)v.integer);
    else
        snprintf(out, sizeof out, "%.*s", (int)v.bytes.len, v.bytes.data);
    assert_int_equal(spec_sql_end(w->sql, &err), OK);
    return out;
}

TEST_WITH(world, now_is_the_clocks)
{
    f->now_ms = INT64_C(1767225600500);
    assert_string_equal(ask(f, "select datetime('now')"), "2026-01-01 00:00:00");
    assert_string_equal(ask(f, "select unixepoch()"), "1767225600");
    assert_string_equal(ask(f, "select strftime('%f', 'now')"), "00.500");
    f->now_ms += 36 * 3600 * 1000;
    assert_string_equal(ask(f, "select datetime('now')"), "2026-01-02 12:00:00");
    assert_string_equal(ask(f, "select date(julianday('now'))"), "2026-01-02");
}

TEST_WITH(world, each_store_has_its_own)
{
    struct world b;

    open_at(&b, INT64_C(86400000));
    assert_string_not_equal(spec_clock_name(f->time), spec_clock_name(b.time));
    assert_string_equal(ask(f, "select date('now')"), "1970-01-01");
    assert_string_equal(ask(&b, "select date('now')"), "1970-01-02");
    world_teardown(f);
    assert_string_equal(ask(&b, "select date('now')"), "1970-01-02");
    world_teardown(&b);
    world_setup(f);
}

/* The checkpoints of a router look into the file methods (lock_spy.c). */
TEST_WITH(world, a_routers_own_handles_work_on_it)
{
    struct err err = {0};
    struct db_settings settings = {.exclusive = true, .unsynced = true};

    spec_sql_close(&f->sql);
    db_close(&f->db);
    settings.path = f->path;
    settings.clock = clock_of(f);
    settings.vfs = spec_clock_name(f->time);
    if (db_open(&f->db, &settings, &err) != OK || spec_sql_open(&f->sql, f->db, &err) != OK)
        fail_msg("%s", err.text);
    spec_sql_begin(f->sql, slice_of("create table t (n)"));
    assert_int_equal(spec_sql_next(f->sql, &err), 1);
    assert_int_equal(spec_sql_step(f->sql, &err), 0);
    assert_int_equal(spec_sql_end(f->sql, &err), OK);
    db_checkpoint(f->db, true);
    assert_int_equal(db_wal_bytes(f->db), 0);
}
