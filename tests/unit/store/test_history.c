/* Messages that were settled: kept for a time, listed the newest first. */
#include "store.h"

#include "store/history.h"
#include "store/outbox.h"
#include "store/sqlite/db_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct pick everything = {.group = -1};

static void add(struct store *s, int64_t at, const char *id)
{
    const struct history_row row = {
        .at = at,
        .side = slice_of("inbox"),
        .outcome = slice_of("done"),
        .queue = slice_of(id[0] == 'p' ? "p" : "q"),
        .attempts = 2,
        .generation = 3,
        .message = {.id = slice_of(id),
                    .type = slice_of("t"),
                    .key = {slice_of("16"), slice_of("60201"), {NULL, 0}},
                    .body = {"a\0b", 3},
                    .headers = slice_of("{\"a\":1}"),
                    .content_type = slice_of("text/plain"),
                    .timestamp_s = 5},
        .exchange = slice_of("x"),
        .routing_key = slice_of("k"),
    };

    assert_ok(s, history_add(s->db, &row, &s->err));
}

static void assert_listed(struct store *s, const struct pick *p, int64_t after, size_t limit,
                          const char *want)
{
    const struct list_of page = {.view = LIST_HISTORY, .pick = *p, .after = after, .limit = limit};

    assert_string_equal(store_listed(s, &page, "message_id"), want);
}

TEST_OPENED(a_message_is_kept_whole)
{
    const struct list_of one = {.view = LIST_HISTORY, .id = 1};
    const struct list_of none = {.view = LIST_HISTORY, .id = 2};
    const struct list_of page = {.view = LIST_HISTORY, .pick = everything, .limit = 9};

    add(f, 1000, "m");
    assert_string_equal(store_listed(f, &one,
                                     "id at side outcome queue attempts generation "
                                     "message_id type key1 key2 key3 headers "
                                     "content_type timestamp exchange routing_key"),
                        "1|1000|inbox|done|q|2|3|m|t|16|60201|-|{\"a\":1}|text/plain|5|x|k");
    assert_string_equal(other_rows(f, "select hex(body) from herald_history"), "610062");
    assert_string_equal(store_listed(f, &one, "body"), "a"); /* as a C string; it has 3 bytes */
    assert_string_equal(store_listed(f, &page, "id headers body"), "1|{\"a\":1}|-");
    assert_string_equal(store_listed(f, &none, "id"), "");
}

/* c and d share their moment; the clock went back before e. */
TEST_OPENED(the_newest_come_first_page_by_page)
{
    assert_listed(f, &everything, 0, 10, "");
    add(f, 1000, "a");
    add(f, 2000, "b");
    add(f, 3000, "c");
    add(f, 3000, "d");
    add(f, 1500, "e");
    assert_listed(f, &everything, 0, 10, "d, c, b, e, a");
    assert_listed(f, &everything, 0, 2, "d, c");
    assert_listed(f, &everything, 4, 2, "c, b");
    assert_listed(f, &everything, 3, 10, "b, e, a");
    assert_listed(f, &everything, 2, 10, "e, a");
    assert_listed(f, &everything, 5, 10, "a");
    assert_listed(f, &everything, 1, 10, "");
    other_exec(f, "delete from herald_history where id = 1"); /* as pruning would */
    assert_listed(f, &everything, 1, 10, "");
}

TEST_OPENED(filters_say_which)
{
    struct pick p = everything;

    add(f, 1000, "a");
    add(f, 2000, "p");
    add(f, 3000, "c");
    p.queue = slice_of("p");
    assert_listed(f, &p, 0, 10, "p");
    p.side = slice_of("outbox");
    assert_listed(f, &p, 0, 10, "");
    p = everything;
    p.order_type = slice_of("60201");
    p.type = slice_of("t");
    assert_listed(f, &p, 0, 10, "c, p, a");
    p.since_ms = 2000;
    assert_listed(f, &p, 0, 10, "c, p");
    p.before_ms = 3000;
    assert_listed(f, &p, 0, 10, "p");
    assert_listed(f, &p, 3, 10, "p");
    assert_listed(f, &p, 2, 10, "");
}

static bool prune(struct store *s, int64_t keep_ms, int64_t now_ms, size_t rows, size_t bytes)
{
    const struct history_care care = {
        .keep_ms = keep_ms, .now_ms = now_ms, .rows = rows, .bytes = bytes};
    bool more;

    assert_ok(s, history_prune(s->db, &care, &more, &s->err));
    return more;
}

TEST_OPENED(old_ones_go_a_few_at_a_time)
{
    assert_false(prune(f, 1000, 5000, 2, 1000));
    for (int i = 0; i < 5; i++)
        add(f, 1000 + i, "a");
    add(f, 5000, "young");
    assert_false(prune(f, 4000, 5000, 2, 1000)); /* as old as may be */
    assert_int_equal(other_int(f, "select count(*) from herald_history"), 6);
    assert_true(prune(f, 1000, 5000, 2, 1000));
    assert_int_equal(other_int(f, "select min(id) from herald_history"), 3);
    assert_true(prune(f, 1000, 5000, 2, 1000));
    assert_false(prune(f, 1000, 5000, 2, 1000));
    assert_string_equal(other_rows(f, "select message_id from herald_history"), "young");
    assert_false(prune(f, 1000, 5000, 2, 1000));
}

/* A chunk of large bodies would stall a turn. */
TEST_OPENED(large_ones_go_fewer_at_a_time)
{
    for (int i = 0; i < 4; i++)
        add(f, 1000, "a"); /* 3 bytes */
    assert_true(prune(f, 1, 5000, 100, 4));
    assert_int_equal(other_int(f, "select count(*) from herald_history"), 2);
    assert_true(prune(f, 1, 5000, 100, 0)); /* one always goes */
    assert_int_equal(other_int(f, "select count(*) from herald_history"), 1);
}

TEST_OPENED(when_it_is_off_all_go)
{
    add(f, 5000, "now");
    add(f, 5001, "ahead");
    assert_false(prune(f, 0, 5000, 2, 1000));
    assert_int_equal(other_int(f, "select count(*) from herald_history"), 0);
}

/* A clock that was far ahead for a while must not keep all that came later for ages. */
TEST_OPENED(times_of_a_wrong_clock_hold_up_nothing)
{
    add(f, 900000, "wrong");
    add(f, 5500, "a little ahead");
    assert_false(prune(f, 1000, 5000, 10, 1000));
    assert_string_equal(other_rows(f, "select message_id from herald_history"), "a little ahead");
}

static bool note_row(void *arg, const struct outbox_row *row)
{
    char *text = arg;

    snprintf(text + strlen(text), 40, "%lld ", (long long)row->id);
    return true;
}

TEST_OPENED(rows_are_given_once_and_those_that_are_gone_are_not)
{
    int64_t ids[] = {3, 9, 1, 3};
    char text[200] = "";

    other_exec(f, "insert into herald_outbox(type) values ('a'), ('b'), ('c')");
    assert_ok(f, outbox_each(f->db, ids, 4, note_row, text, &f->err));
    assert_int_equal(f->err.code, OK);
    assert_string_equal(text, "1 3 ");
}

/* Only the oldest are looked at. */
TEST_OPENED(pruning_walks_from_the_oldest)
{
    char sql[400];

    snprintf(sql, sizeof sql, "explain query plan %s", statement_sql(STATEMENT_HISTORY_OLD));
    assert_contains(other_rows(f, sql), "INTEGER PRIMARY KEY (rowid>?)");
    snprintf(sql, sizeof sql, "explain query plan %s", statement_sql(STATEMENT_HISTORY_DELETE));
    assert_contains(other_rows(f, sql), "INTEGER PRIMARY KEY (rowid<?)");
}
