/* A router for specs: turns, time, crashes, and nothing left behind. */
#include "check.h"
#include "folder.h"
#include "spec/spec_router.h"
#include "usual_retry.h"

#include <stdio.h>
#include <string.h>

static const char rules[] =
    "local herald = require 'herald'\n"
    "herald.subscribe { queue = 'q', from = herald.fanout 'x',\n"
    "  retry = { attempts = 3, delay = '10s', factor = 1, jitter = 0 } }\n"
    "herald.route { type = 'echo', to = herald.fanout 'x' }\n"
    "herald.on('note', '*', function(msg, tx)\n"
    "  tx:exec(\"insert into effect values (?, datetime('now'))\", msg.business_key1)\n"
    "  if msg.business_key1 == 'bad' then error 'no' end\n"
    "end)\n"
    "herald.on('echo', '*', function(msg, tx)\n"
    "  tx:emit { type = msg.business_key1 == 'ever' and 'echo' or 'note', business_key1 = 'ever' "
    "}\n"
    "end)\n";

static const char table[] = "create table effect (key text, at text);";

struct play {
    char folder[64];
    struct script_folder folders[1];
    struct spec_router_settings settings;
    struct spec_router *r;
    struct err err;
};

static void play_setup(struct play *p)
{
    folder_make(p->folder);
    folder_write(p->folder, "rules/a.lua", rules);
    folder_write(p->folder, "migrations/001.sql", table);
    p->folders[0] = (struct script_folder){p->folder, ""};
    p->settings = (struct spec_router_settings){.folders = p->folders,
                                                .n_folders = 1,
                                                .router = {.handler_ms = 2000,
                                                           .handler_memory = 16 * 1024 * 1024,
                                                           .retry = usual_retry,
                                                           .message_max = MESSAGE_BODY_MAX,
                                                           .inbox_window_ms = 7 * 86400000},
                                                .now_ms = INT64_C(1767225600000),
                                                .loopback = true};
}

static void play_teardown(struct play *p)
{
    spec_router_free(&p->r);
    folder_remove(p->folder);
}

#define assert_done(p, call)                                                                       \
    do {                                                                                           \
        if ((call) != OK)                                                                          \
            fail_msg("%s: %s", #call, (p)->err.text);                                              \
    } while (0)

static void start(struct play *p)
{
    assert_done(p, spec_router_new(&p->r, &p->settings, &p->err));
}

static void started(struct play *p)
{
    play_setup(p);
    start(p);
}

static void deliver(struct play *p, const char *id, const char *type, const char *key)
{
    const struct destination to = {EXCHANGE_DEFAULT, "", "q"};
    const struct message m = {
        .id = slice_of(id), .type = slice_of(type), .key = {slice_of(key)}, .body = slice_of("{}")};

    assert_done(p, spec_router_deliver(p->r, &to, &m, &p->err));
}

/* The first column of all rows: "a, b". */
static void assert_sql(struct play *p, const char *sql, const char *want)
{
    struct spec_sql *g;
    char got[512] = "";
    int rc;

    assert_done(p, spec_router_sql(p->r, &g, &p->err));
    spec_sql_begin(g, slice_of(sql));
    assert_int_equal(spec_sql_next(g, &p->err), 1);
    while ((rc = spec_sql_step(g, &p->err)) == 1) {
        struct value v;
        size_t len = strlen(got);

        spec_sql_column(g, 0, &v);
        if (v.kind == VALUE_INT)
            snprintf(got + len, sizeof got - len, "%s%lld", len > 0 ? ", " : "",
                     (long long)v.integer);
        else
            snprintf(got + len, sizeof got - len, "%s%.*s", len > 0 ? ", " : "", (int)v.bytes.len,
                     v.bytes.data);
    }
    assert_done(p, spec_sql_end(g, &p->err));
    assert_string_equal(got, want);
}

TEST_FROM(play, started, nothing_happens_before_it_is_run)
{
    deliver(f, "1", "note", "k");
    assert_sql(f, "select count(*) from effect", "0");
    assert_done(f, spec_router_run(f->r, &f->err));
    assert_sql(f, "select key || ' ' || at from effect", "k 2026-01-01 00:00:00");
}

TEST_FROM(play, started, time_stops_where_something_is_due)
{
    deliver(f, "1", "note", "bad");
    assert_done(f, spec_router_advance(f->r, 15000, &f->err));
    assert_sql(f, "select attempts from herald_retry", "2");
    assert_sql(f, "select (due_at - 1767225600000) / 1000 from herald_retry", "20");
    assert_int_equal(spec_router_now_ms(f->r), INT64_C(1767225615000));
    assert_done(f, spec_router_advance(f->r, 60000, &f->err));
    assert_sql(f, "select attempts from herald_dead", "3");
    assert_sql(f, "select (at - 1767225600000) / 1000 from herald_dead", "20");
    assert_sql(f, "select count(*) from effect", "0");
}

TEST_FROM(play, started, a_crash_before_the_commit_undoes_and_repeats)
{
    deliver(f, "1", "note", "k");
    spec_router_crash(f->r, true);
    assert_done(f, spec_router_run(f->r, &f->err));
    assert_sql(f, "select key from effect", "k");
    assert_int_equal(spec_router_counters(f->r)->handled, 1);
    assert_int_equal(spec_router_counters(f->r)->duplicates, 0);
}

TEST_FROM(play, started, a_crash_after_the_commit_brings_it_again)
{
    deliver(f, "1", "note", "k");
    spec_router_crash(f->r, false);
    assert_done(f, spec_router_run(f->r, &f->err));
    assert_sql(f, "select key from effect", "k");
    assert_int_equal(spec_router_counters(f->r)->handled, 0); /* of the second life */
    assert_int_equal(spec_router_counters(f->r)->duplicates, 1);
    assert_sql(f, "select count(*) from herald_queue_item", "0");
}

/* docs/design.md#the-embedded-broker: publish and ack are part of the transaction. */
TEST_FROM(play, started, what_was_published_outlives_a_crash)
{
    const struct message m = {.type = slice_of("echo"), .key = {slice_of("once")}};
    int64_t id;

    assert_done(f, spec_router_emit(f->r, &m, &id, &f->err));
    assert_done(f, spec_router_run(f->r, &f->err));
    assert_sql(f, "select side || ' ' || type from herald_dead", "outbox note"); /* no route */
    deliver(f, "2", "note", "k");
    spec_router_crash(f->r, false);
    assert_done(f, spec_router_run(f->r, &f->err));
    assert_sql(f, "select key from effect", "k");
    assert_true(slice_is(spec_broker_published(spec_router_broker(f->r), 0)->message.type, "echo"));
    assert_null(spec_broker_published(spec_router_broker(f->r), 1));
}

TEST_WITH(play, rules_that_feed_themselves_end)
{
    f->settings.loopback = true;
    start(f);
    deliver(f, "1", "echo", "ever");
    assert_int_equal(spec_router_run(f->r, &f->err), ERR_LIMIT);
    assert_non_null(strstr(f->err.text, "feed themselves"));
}

TEST_WITH(play, rules_that_do_not_load_leave_nothing)
{
    const struct slice extra[] = {slice_of("local x = 1"), slice_of("error 'no'")};

    f->settings.rules = extra;
    f->settings.n_rules = 2;
    assert_int_equal(spec_router_new(&f->r, &f->settings, &f->err), ERR_CONFIG);
    assert_null(f->r);
    assert_non_null(strstr(f->err.text, "spec/rules/extra2.lua:1:"));
}

TEST_FROM(play, started, lines_are_json)
{
    struct buf lines;

    deliver(f, "1", "note", "bad");
    assert_done(f, spec_router_run(f->r, &f->err));
    buf_init(&lines, 1024 * 1024);
    assert_done(f, spec_router_log(f->r, &lines, &f->err));
    assert_done(f, buf_append(&lines, "", 1));
    assert_non_null(strstr(lines.data, "{\"at\":\"2026-01-01T00:00:00.000Z\""));
    assert_non_null(strstr(lines.data, "a.lua:7: no"));
    buf_free(&lines);
}

TEST_FROM(play, started, a_queue_that_nobody_has_is_refused)
{
    struct destination to = {EXCHANGE_DEFAULT, "", "none"};
    const struct message m = {.type = slice_of("t"), .body = slice_of("{}")};

    assert_int_equal(spec_router_deliver(f->r, &to, &m, &f->err), ERR_NOT_FOUND);
    to = (struct destination){EXCHANGE_FANOUT, "x", ""};
    assert_done(f, spec_router_deliver(f->r, &to, &m, &f->err));
    assert_sql(f, "select queue || exchange from herald_queue_item", "qx");
}

TEST_FROM(play, started, a_spec_may_fail_as_often_as_it_likes)
{
    char id[16];

    for (int i = 0; i < 60; i++) {
        snprintf(id, sizeof id, "m%d", i);
        deliver(f, id, "note", "bad");
    }
    assert_done(f, spec_router_run(f->r, &f->err));
    assert_sql(f, "select count(*) from herald_retry", "60");
    assert_done(f, spec_router_advance(f->r, 60000, &f->err));
    assert_sql(f, "select count(*) from herald_dead", "60");
    assert_int_equal(spec_router_counters(f->r)->failed, 180);
    assert_int_equal(spec_router_counters(f->r)->pauses, 0);
}
