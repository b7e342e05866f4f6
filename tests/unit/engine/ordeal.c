/* ordeal - see ordeal.h. */
#include "ordeal.h"
#include "beside.h"

#include "check.h"
#include "store/sqlite/db_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TURNS_MAX = 60, HEALED_AFTER = 3, PAD = 1500 };

static const char rules[] =
    "local herald = require 'herald'\n"
    "herald.route { type = 'note', to = herald.fanout 'x' }\n"
    "herald.subscribe { queue = 'q', from = herald.fanout 'x',\n"
    "  retry = { attempts = 3, delay = '10ms' } }\n"
    "herald.on('note', '*', function(msg, tx)\n"
    "  local last = tx:row('select max(n) as n from effect')\n"
    "  tx:exec('insert into effect (id, n, pad) values (?, ?, ?)', msg.id,\n"
    "    (last.n or 0) + 1, ('x'):rep(9000))\n"
    "  tx:emit { type = 'note', business_key1 = msg.id }\n"
    "end)\n";

static const char migration[] = "create table effect (id text, n integer, pad text);"
                                "create index effect_n on effect (n);";

static void exec(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
}

static int64_t count(struct ordeal *o, const char *sql)
{
    return strtoll(beside_ask(o->reader, sql), NULL, 10);
}

static sqlite3 *connect(struct ordeal *o, const char *vfs)
{
    char path[128];
    sqlite3 *db;

    snprintf(path, sizeof path, "%s/herald.db", o->scene.folder);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, vfs), SQLITE_OK);
    exec(db, "pragma synchronous = full; pragma wal_autocheckpoint = 0");
    return db;
}

static void start(struct ordeal *o)
{
    scene_start(&o->scene);
    o->reader = connect(o, NULL);
    if (o->spills)
        exec(o->scene.db->work, "pragma cache_size = 10; pragma cache_spill = 10");
    if (o->unsafe)
        exec(o->scene.db->work, "pragma synchronous = normal");
}

/* The reader first: the last handle that closes empties the WAL. */
static void stop(struct ordeal *o)
{
    assert_int_equal(sqlite3_close(o->reader), SQLITE_OK);
    o->reader = NULL;
    scene_stop(&o->scene);
}

void ordeal_start(struct ordeal *o)
{
    stop(o);
    start(o);
}

static void heal(struct ordeal *o)
{
    disk_heal(&o->disk);
    if (o->heal != NULL)
        o->heal();
}

void ordeal_setup(struct ordeal *o)
{
    scene_setup(&o->scene);
    scene_begin(&o->scene, rules, migration);
    disk_make(&o->disk);
    o->disk.idle = true;
    o->scene.vfs = o->disk.vfs.zName;
    scene_stop(&o->scene);
    start(o);
}

/* Also after a failure, wherever that was: what is registered must not outlive this. */
void ordeal_teardown(struct ordeal *o)
{
    heal(o);
    stop(o);
    scene_teardown(&o->scene);
    disk_free(&o->disk);
}

/* A producer's transaction, on the same disk. It takes away what was counted before. */
static void produce(struct ordeal *o)
{
    sqlite3 *db = connect(o, o->scene.vfs);
    char sql[256];

    exec(db, "begin immediate; delete from effect");
    for (int i = 0; i < ORDEAL_EACH; i++) {
        snprintf(sql, sizeof sql,
                 "insert into herald_outbox (type, body) values ('note', printf('%%0%dd', 0))",
                 PAD);
        exec(db, sql);
    }
    exec(db, "commit");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void bring(struct ordeal *o)
{
    char id[32];

    produce(o);
    o->scene.n_deliveries = 0;
    memset(o->scene.deliveries, 0, sizeof o->scene.deliveries);
    o->scene.ids[0] = '\0';
    for (int i = 0; i < ORDEAL_EACH; i++) {
        snprintf(id, sizeof id, "%08x-%d", (unsigned)(o->runs * ORDEAL_EACH + i) * 2654435761U, i);
        scene_deliver(&o->scene, id, "note", "{\"messageType\":\"note\"}");
    }
}

static struct ordeal_told *find_told(struct ordeal *o, int64_t row)
{
    for (size_t i = 0; i < o->n_told; i++)
        if (o->told[i].row == row)
            return &o->told[i];
    assert_true(o->n_told < ORDEAL_TOLD);
    o->told[o->n_told] = (struct ordeal_told){.row = row};
    return &o->told[o->n_told++];
}

static int64_t rows_with(struct ordeal *o, int64_t row)
{
    char sql[96];

    snprintf(sql, sizeof sql, "select count(*) from herald_outbox where id = %lld", (long long)row);
    return count(o, sql);
}

/* What the broker was told came from a committed row. It confirms each. */
static void answer(struct ordeal *o)
{
    char *rest = o->scene.published, *word;

    while ((word = strsep(&rest, " ")) != NULL && *word != '\0') {
        struct ordeal_told *t = find_told(o, strtoll(word, NULL, 10));

        if (rows_with(o, t->row) != 1)
            fail_msg("row %lld was sent, but is not in the store", (long long)t->row);
        scene_answer(&o->scene, t->row, PUBLISH_CONFIRMED, NULL);
        t->answered = true;
    }
    o->scene.published[0] = '\0';
}

static int64_t effects_of(struct ordeal *o, const struct scene_delivery *d)
{
    char sql[128];

    snprintf(sql, sizeof sql, "select count(*) from effect where id = '%s'", d->id);
    return count(o, sql);
}

static void count_lost(struct ordeal *o)
{
    for (size_t i = 0; i < o->scene.n_deliveries; i++)
        o->lost += o->scene.deliveries[i].acked && effects_of(o, &o->scene.deliveries[i]) == 0;
    for (size_t i = 0; i < o->n_told; i++)
        o->lost += !o->told[i].answered && rows_with(o, o->told[i].row) == 0;
}

static void check_whole(struct ordeal *o)
{
    assert_string_equal(beside_ask(o->reader, "pragma integrity_check"), "ok");
    assert_int_equal(count(o, "select count(*) - count(distinct id) from effect"), 0);
    assert_int_equal(count(o, "select count(*) from herald_retry"), 0);
    assert_int_equal(count(o, "select count(*) from herald_dead"), 0);
    if (!o->unsafe) /* no crash looks like a store from a backup */
        assert_int_equal(count(o, "select count(*) from herald_epoch"), 1);
}

/* The process ends, with what it has open, and the next one is started. */
static void die(struct ordeal *o)
{
    disk_stop(&o->disk);
    stop(o);
    disk_boot(&o->disk, o->loss, o->seed++);
    start(o);
    o->starts++;
    check_whole(o);
    count_lost(o);
}

static void arm(struct ordeal *o, bool on)
{
    o->disk.idle = !on;
    if (o->arm != NULL)
        o->arm(on);
}

static bool is_done(struct ordeal *o)
{
    return scene_acked(&o->scene) == o->scene.n_deliveries &&
           count(o, "select count(*) from herald_outbox") == 0;
}

static void take_turn(struct ordeal *o)
{
    struct err err = {0};
    enum turn_result result;

    arm(o, true);
    result = scene_turn(&o->scene, &err);
    arm(o, false);
    if (result == TURN_OUTAGE) {
        assert_true(err_is_environment(err.code));
        if (++o->pauses % HEALED_AFTER == 0)
            heal(o);
    }
    if (o->disk.stopped || result == TURN_FATAL || (result == TURN_OUTAGE && o->dies_at_pause))
        die(o);
    else
        answer(o);
}

static void finish(struct ordeal *o)
{
    for (int i = 0; i < TURNS_MAX && !is_done(o); i++)
        take_turn(o);
    if (!is_done(o) && o->lost == 0)
        fail_msg("run %d is not done: %s", o->runs, scene_log(&o->scene));
}

static void checkpoint(struct ordeal *o)
{
    o->scene.now_ms += 20000; /* also after one that failed */
    arm(o, true);
    db_checkpoint(o->scene.db, true);
    arm(o, false);
    if (o->disk.stopped)
        die(o);
}

void ordeal_run(struct ordeal *o)
{
    o->pauses = o->starts = o->lost = 0;
    o->n_told = 0;
    bring(o);
    finish(o);
    checkpoint(o);
    take_turn(o); /* where the checkpoint broke the store, this one tells */
    finish(o);
    heal(o);
    o->runs++;
    check_whole(o);
    count_lost(o);
    if (o->lost > 0)
        return;
    assert_int_equal(count(o, "select count(*) from effect"), ORDEAL_EACH);
    assert_int_equal(o->n_told, 2 * ORDEAL_EACH);
}
