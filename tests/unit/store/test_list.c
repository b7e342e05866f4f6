/* What people see of a store, view by view. */
#include "store.h"

#include "store/retry.h"

#include <stdio.h>
#include <string.h>

static const struct list_of outbox = {.view = LIST_OUTBOX, .pick = {.group = -1}, .limit = 10};

/* Groups are sorted by their size, and of each kind of lane there are as many as fit a page. */
static bool may_sort(enum list_view view, const char *detail)
{
    return view == LIST_LETTER_GROUPS || (view == LIST_TRIES && strcmp(detail, "SCAN line") == 0) ||
           (view == LIST_INBOX && strcmp(detail, "SCAN queues") == 0) ||
           strstr(detail, "(subquery") != NULL || strstr(detail, "CONSTANT ROW") != NULL;
}

TEST_OPENED(no_view_scans_or_sorts)
{
    char sql[4096];
    sqlite3_stmt *stmt;

    (void)other_int(f, "select 1");
    for (int view = 0; view < LIST_VIEWS; view++) {
        snprintf(sql, sizeof sql, "explain query plan %s", list_sql((enum list_view)view));
        assert_int_equal(sqlite3_prepare_v2(f->other, sql, -1, &stmt, NULL), SQLITE_OK);
        while (sqlite3_step(stmt) == SQLITE_ROW) {
            const char *detail = (const char *)sqlite3_column_text(stmt, 3);

            if ((strstr(detail, "TEMP B-TREE") != NULL || strncmp(detail, "SCAN", 4) == 0) &&
                !may_sort((enum list_view)view, detail))
                fail_msg("%s: %s", list_sql((enum list_view)view), detail);
        }
        assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
    }
}

/* What a person does meanwhile, or the router. */
TEST_OPENED(what_goes_meanwhile_is_passed_over)
{
    struct list *l;

    other_exec(f, "insert into herald_outbox(type) values ('a'), ('b'), ('c')");
    assert_ok(f, list_open(&l, f->db, &outbox, &f->err));
    assert_int_equal(list_next(l, &f->err), 1);
    assert_int_equal(list_value(l, 0)->integer, 1);
    other_exec(f, "delete from herald_outbox where id = 2;"
                  "insert into herald_outbox(type) values ('d')");
    assert_int_equal(list_next(l, &f->err), 1);
    assert_int_equal(list_value(l, 0)->integer, 3);
    assert_int_equal(list_next(l, &f->err), 0);
    assert_int_equal(list_next(l, &f->err), 0);
    list_close(&l);
}

TEST_OPENED(an_outbox_row_is_shown_as_it_will_be_sent)
{
    struct list_of one = {.view = LIST_OUTBOX, .id = 1};
    char id[64];

    other_exec(f, "insert into herald_outbox(type, business_key2, created_at) "
                  "values ('t\"q', 16, 'noon');"
                  "insert into herald_outbox(type, body, headers, message_id, created_at, "
                  "dated_at, properties, format)"
                  " values ('t', '[]', '{}', 'mine', 4000, 5000, '{\"priority\":5}', 'cap')");
    snprintf(id, sizeof id, "%s:1", db_store_id(f->db, 1));
    assert_string_equal(store_listed(f, &one, "message_id"), id);
    assert_string_equal(
        store_listed(f, &one, "type key2 body headers timestamp created_at"),
        "t\"q|16|{\"businessKey2\":\"16\",\"id\":1,\"messageType\":\"t\\\"q\"}|-|0|0");
    one.id = 2;
    assert_string_equal(
        store_listed(f, &one, "message_id body headers timestamp created_at properties format"),
        "mine|[]|{}|5|4000|{\"priority\":5}|cap");
    assert_string_equal(store_listed(f, &outbox, "id body headers timestamp"), "1|-|-|-, 2|-|-|-");
}

/* On a page only dead letters have their bodies. */
TEST_OPENED(one_row_is_shown_whole)
{
    const char *columns =
        "key1 body headers content_type timestamp properties exchange routing_key";
    const struct retry_row row = {
        .queue = {"q", 1},
        .message = {.body = slice_of("{\"messageType\":\"t\",\"businessKey1\":16}"),
                    .headers = slice_of("{}"),
                    .content_type = slice_of("text/plain"),
                    .properties = slice_of("{\"priority\":3}"),
                    .timestamp_s = 1764000000},
        .exchange = slice_of("x"),
        .routing_key = slice_of("k"),
        .due_at = INT64_MAX,
    };
    struct list_of of = {.view = LIST_RETRIES, .pick = {.group = -1}, .limit = 1};

    assert_ok(f, retry_add(f->db, &row, &f->err));
    assert_string_equal(store_listed(f, &of, columns), "16|-|-|-|-|-|-|-");
    of.id = 1;
    assert_string_equal(store_listed(f, &of, columns),
                        "16|{\"messageType\":\"t\",\"businessKey1\":16}|{}|text/plain|1764000000|"
                        "{\"priority\":3}|x|k");
    assert_string_equal(store_listed(f, &of, "behind? orphaned?"), "1|0");
    of.id = 2;
    assert_string_equal(store_listed(f, &of, "id"), "");
}

TEST_OPENED(a_retry_is_listed_as_rules_have_read_it)
{
    const struct message read = {.type = slice_of("paid"), .key = {{NULL, 0}, slice_of("60201")}};
    const struct retry_row row = {
        .queue = slice_of("q"),
        .message = {.type = slice_of("t"),
                    .body = slice_of("{\"messageType\":\"no\"}"),
                    .key = {slice_of("own")}},
        .read = &read,
    };
    struct list_of of = {.view = LIST_RETRIES, .pick = {.group = -1}, .limit = 9};

    assert_ok(f, retry_add(f->db, &row, &f->err));
    assert_string_equal(store_listed(f, &of, "type key1 key2 key3"), "paid|-|60201|-");
    of.pick.type = slice_of("no");
    assert_string_equal(store_listed(f, &of, "id"), "");
    of.pick.type = slice_of("paid");
    of.pick.order_type = slice_of("60201");
    assert_string_equal(store_listed(f, &of, "id"), "1");
    assert_ok(f, retry_set_read(f->db, 1, &row.message, &f->err));
    of.pick = (struct pick){.group = -1};
    assert_string_equal(store_listed(f, &of, "type key1 key2"), "t|own|-");
}

/* Other routers of this system write milliseconds. */
TEST_OPENED(times_of_messages_are_seconds)
{
    const struct list_of page = {.view = LIST_HISTORY, .pick = {.group = -1}, .limit = 9};

    other_exec(f, "insert into herald_history(at, side, outcome, attempts, generation, timestamp_s)"
                  " values (4, 'inbox', 'done', 1, 1, 0), (3, 'inbox', 'done', 1, 1, 99999999999),"
                  " (2, 'inbox', 'done', 1, 1, 100000000000)");
    assert_string_equal(store_listed(f, &page, "at timestamp"), "4|-, 3|99999999999, 2|100000000");
}

TEST_OPENED(the_inbox_tells_which_queues_know_a_message)
{
    const struct list_of of = {.view = LIST_INBOX, .pick = {.message_id = {"m1", 2}}, .limit = 10};

    assert_string_equal(store_listed(f, &of, "queue state at"), "");
    other_exec(f, "insert into herald_inbox(queue, message_id, state, fingerprint, at) values "
                  "('a', 'm1', 0, 1, 100), ('a', 'm2', 0, 1, 100), ('b', 'm2', 0, 1, 100), "
                  "('c', 'm1', 1, 1, 300), ('d', 'm1', 2, 1, 400)");
    assert_string_equal(store_listed(f, &of, "queue state at"),
                        "a|done|100, c|waiting|300, d|dead|400");
}
