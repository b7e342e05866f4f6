/* docs/faults.md#f9, #f43, #f44: a turn with a real store and real rules on the whole rabbit
 * driver, and a broker in the process that behaves as badly as a broker may. Counted in the end:
 * every row of the outbox is gone and took effect exactly once per queue, whatever happened.
 * (Invariants I1 to I4) */
#include "beside.h"
#include "check.h"
#include "engine/turn.h"
#include "folder.h"
#include "rabbit/rabbit.h"
#include "store/sqlite/db.h"
#include "usual.h"
#include "wire/fake_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000, HURRY_MS = 400 };

static const char rules[] =
    "local herald = require 'herald'\n"
    "herald.route { type = 'note', to = herald.fanout 'x' }\n"
    "for _, queue in ipairs { 'q', 'p' } do\n"
    "  herald.subscribe { queue = queue, from = herald.fanout 'x',\n"
    "    retry = { attempts = 9, delay = '100ms', factor = 1 } }\n"
    "end\n"
    "herald.on('note', '*', function(msg, tx)\n"
    "  tx:exec('insert into effect (queue, id) values (?, ?)', msg.queue, msg.id)\n"
    "  if msg.attempt == 1 and msg.business_key1 == 'flaky' then error 'not yet' end\n"
    "end)\n";

static const char migration[] = "create table effect (queue text, id text);";

struct whole {
    char folder[64];
    char path[128]; /* of the store */
    uv_loop_t loop;
    struct log *log;
    struct fake_broker *fake;
    struct fake_queue *queues;
    struct broker *broker;
    struct db *db;
    struct turn *turn;
    struct script *script;
    int64_t ahead_ms; /* the turn's clocks hurry when there is nothing to do */
    bool woken;
    bool stopped;
};

static struct whole w;

static int64_t hurrying(void *arg)
{
    struct clock real = clock_real();

    (void)arg;
    return clock_wall(&real) + w.ahead_ms;
}

static int64_t hurrying_mono(void *arg)
{
    struct clock real = clock_real();

    (void)arg;
    return clock_mono(&real) + w.ahead_ms;
}

static void open_store(struct clock clock)
{
    char migrations[128];
    struct db_settings settings = {
        .path = w.path, .create = true, .exclusive = true, .log = w.log, .clock = clock};
    struct err err = {0};
    int applied;

    snprintf(w.path, sizeof w.path, "%s/herald.db", w.folder);
    require_ok(db_open(&w.db, &settings, &err), &err);
    snprintf(migrations, sizeof migrations, "%s/migrations", w.folder);
    require_ok(db_migrate(w.db, migrations, "", &applied, &err), &err);
}

static void on_wake(void *arg)
{
    (void)arg;
    w.woken = true;
}

static void make_broker(uint64_t seed)
{
    static const char *const names[] = {"q", "p", NULL};
    struct rabbit_settings settings = {
        .loop = &w.loop,
        .log = w.log,
        .clock = clock_real(),
        .url = "amqp://guest:guest@fake",
        .name = "test",
        .window = 20,
        .confirm_timeout_ms = 60000,
        .backoff_min_ms = 1,
        .backoff_max_ms = 4,
        .wake = on_wake,
    };
    struct err err = {0};

    w.fake = fake_broker_new(&w.loop);
    w.queues = fake_queue_new(w.fake, "x", names, seed);
    settings.streams = fake_broker_streams(w.fake);
    require_ok(rabbit_new(&w.broker, &settings, &err), &err);
}

static void make_turn(struct clock clock)
{
    static struct settings settings;
    const struct turn_parts parts = {
        .db = w.db,
        .broker = w.broker,
        .log = w.log,
        .clock = clock,
        .messages_max = 50,
        .age_ms = 1000,
        .age_shared_ms = 1000,
        .seed = 1,
    };
    const struct script_folder folder = {w.folder, ""};
    struct script_settings script = {.folders = &folder,
                                     .n_folders = 1,
                                     .memory_max = 16 * 1024 * 1024,
                                     .handler_ms = 2000,
                                     .load_ms = 10000};
    struct err err = {0};

    settings = usual_settings();
    script.retry = settings.retry;
    require_ok(turn_new(&w.turn, &parts, &settings, &err), &err);
    script.host = turn_host(w.turn);
    require_ok(script_load(&w.script, &script, &err), &err);
    turn_use_script(w.turn, &w.script, 1);
    require_ok(w.broker->ops->start(w.broker, rules_topology(script_rules(w.script)), &err), &err);
}

static void begin(uint64_t seed)
{
    struct clock clock = {.wall_ms = hurrying, .mono_ms = hurrying_mono};

    memset(&w, 0, sizeof w);
    folder_make(w.folder);
    folder_write(w.folder, "rules/rules.lua", rules);
    folder_write(w.folder, "migrations/001.sql", migration);
    assert_int_equal(uv_loop_init(&w.loop), 0);
    w.log = log_new(STDERR_FILENO, LOG_ERROR, LOG_LOGFMT, clock_real());
    assert_non_null(w.log);
    open_store(clock);
    make_broker(seed);
    make_turn(clock);
}

static void on_stopped(void *arg)
{
    (void)arg;
    w.stopped = true;
}

static bool is_stopped(void *arg)
{
    (void)arg;
    return w.stopped;
}

static void end(void)
{
    if (w.broker == NULL)
        return;
    w.broker->ops->stop(w.broker, on_stopped, NULL);
    assert_true(fake_until(w.fake, is_stopped, NULL, PATIENCE_MS));
    turn_free(&w.turn);
    w.broker->ops->free(&w.broker);
    script_free(&w.script);
    db_close(&w.db);
    fake_queue_free(&w.queues);
    fake_broker_free(&w.fake);
    log_free(&w.log);
    assert_int_equal(uv_loop_close(&w.loop), 0);
    folder_remove(w.folder);
}

static int ask(const char *sql)
{
    return atoi(beside_sql(w.folder, sql));
}

static void insert(int n, const char *key)
{
    char sql[300];

    snprintf(sql, sizeof sql,
             "insert into herald_outbox (type, business_key1) "
             "with recursive c(n) as (select 1 union all select n + 1 from c where n < %d) "
             "select 'note', '%s' from c",
             n, key);
    ask(sql);
    w.woken = true;
}

static void run_turns(void)
{
    struct err err = {0};
    enum turn_result result = TURN_MORE;

    for (int i = 0; i < 20 && result == TURN_MORE; i++) {
        w.woken = false;
        result = turn_run(w.turn, true, &err);
        if (result != TURN_MORE && result != TURN_IDLE)
            fail_msg("turn: %s", err.text);
    }
    w.woken = result == TURN_MORE;
}

/* What the next seconds would bring comes at once. */
static bool is_over(void *arg)
{
    struct broker_state state;

    (void)arg;
    fake_queue_confess(w.queues);
    if (w.woken)
        run_turns();
    w.broker->ops->state(w.broker, &state);
    if (w.woken || state.in_flight > 0 || !state.ready)
        return false;
    if (ask("select count(*) from herald_outbox") + ask("select count(*) from herald_retry") > 0 ||
        fake_queue_left(w.queues) > 0) {
        w.ahead_ms += HURRY_MS;
        w.woken = true;
        return false;
    }
    return true;
}

/* Runs until all is over; then every row has had one effect in each queue. */
static void check(int rows)
{
    if (!fake_until(w.fake, is_over, NULL, PATIENCE_MS))
        fail_msg("not over: %d rows, %d retries, %zu messages",
                 ask("select count(*) from herald_outbox"),
                 ask("select count(*) from herald_retry"), fake_queue_left(w.queues));
    assert_int_equal(ask("select count(*) from effect"), 2 * rows);
    assert_int_equal(ask("select count(*) from (select distinct queue, id from effect)"), 2 * rows);
    assert_int_equal(ask("select count(distinct id) from effect"), rows);
    assert_int_equal(ask("select count(*) from herald_dead"), 0);
}

static void behave_badly(void)
{
    w.queues->hold = 60;
    w.queues->refuse = 10;
    w.queues->give_back = 10;
    w.queues->twice = 20;
    w.queues->shuffle = true;
}

TEST_BETWEEN(check_nothing, end, faults_43_confirms_of_all_kinds)
{
    begin(11);
    w.queues->hold = 80;
    w.queues->refuse = 25;
    w.queues->give_back = 25;
    insert(200, "x");
    check(200);
    assert_true(turn_counters(w.turn)->nacked > 0 && turn_counters(w.turn)->returned > 0);
}

TEST_BETWEEN(check_nothing, end, faults_44_duplicates_and_another_order)
{
    begin(12);
    w.queues->twice = 50;
    w.queues->shuffle = true;
    insert(100, "x");
    insert(50, "flaky"); /* duplicates come while its retry waits, too */
    check(150);
    assert_true(turn_counters(w.turn)->duplicates > 50);
    assert_int_equal(turn_counters(w.turn)->failed, 2 * 50);
}

static bool some_turns(void *arg)
{
    if (w.woken)
        run_turns();
    return --*(int *)arg <= 0;
}

/* Cuts, cancels and closes at any moment, while rows keep coming. */
static void run_seed(uint64_t seed)
{
    uint64_t dice = seed;
    int rows = 0;

    begin(seed);
    behave_badly();
    for (int step = 0; step < 25; step++) {
        int patience = (int)fake_dice(&dice, 12);
        struct fake_conn *c;

        insert(8, step % 5 == 0 ? "flaky" : "x");
        rows += 8;
        fake_until(w.fake, some_turns, &patience, 50);
        c = fake_conn(w.fake, fake_dice(&dice, 2) ? "publish" : "consume");
        switch (fake_dice(&dice, 5)) {
        case 0:
            fake_queue_cancel(w.queues, fake_dice(&dice, 2));
            break;
        case 1:
            fake_queue_close(w.queues, fake_dice(&dice, 2));
            break;
        case 2:
            if (c != NULL)
                fake_cut(c);
            break;
        default:
            break;
        }
    }
    check(rows);
    end();
}

TEST_BETWEEN(check_nothing, end, faults_44_anything_at_any_time)
{
    for (uint64_t seed = 1; seed <= 4; seed++)
        run_seed(seed);
}

static void cut(const char *name)
{
    struct fake_conn *c = fake_conn(w.fake, name);

    if (c != NULL)
        fake_cut(c);
}

/* Both links start over, and are cut again and again at this byte of what we say or hear. */
static void cut_at(size_t heard, size_t given)
{
    fake_plan(w.fake)->cut_heard = heard;
    fake_plan(w.fake)->cut_after = given;
    cut("publish");
    cut("consume");
    insert(3, "x");
    for (int i = 0; i < 4; i++) {
        int patience = 3;

        fake_until(w.fake, some_turns, &patience, 20);
    }
    fake_plan(w.fake)->cut_heard = fake_plan(w.fake)->cut_after = 0;
}

TEST_BETWEEN(check_nothing, end, faults_9_cut_all_over_the_conversation)
{
    int rows = 0;

    begin(13);
    for (size_t at = 1; at < 1100; at += 83) {
        cut_at(at, 0);
        cut_at(0, at);
        rows += 6;
        check(rows);
    }
}
