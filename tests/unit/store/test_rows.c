/* What people see of outbox and retries, and do with them. */
#include "store.h"

#include "store/inbox.h"
#include "store/outbox.h"
#include "store/retry.h"
#include "store/rows.h"
#include "store/sqlite/db_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct pick everything = {.group = -1};

static void add_retry(struct store *s, const char *id, int64_t due_at, const char *error)
{
    const struct retry_row row = {.queue = {"q", 1},
                                  .identity = slice_of(id),
                                  .message = {.id = slice_of(id), .type = {"t", 1}},
                                  .fingerprint = {7, FINGERPRINT_OF_RECEIVED},
                                  .attempts = 2,
                                  .first_at = 100,
                                  .due_at = due_at,
                                  .error = error,
                                  .generation = 3};

    assert_ok(s, retry_add(s->db, &row, &s->err));
    assert_ok(
        s, inbox_set(s->db, row.queue, row.identity, row.fingerprint, INBOX_WAITING, 1, &s->err));
}

static size_t change(struct store *s, enum pick_table table, const struct pick *p, pick_fn *fn)
{
    size_t n, passed, changed = 0;
    struct picked done;
    int64_t *ids;

    assert_ok(s, pick_ids(s->db, table, p, 0, SIZE_MAX, &ids, &n, &s->err));
    for (size_t at = 0; at < n; at += passed) {
        assert_ok(s, pick_batch(s->db, ids + at, n - at, fn, &passed, &done, &s->err));
        changed += done.changed;
    }
    free(ids);
    return changed;
}

/* Whoever is late: the ids were noted, and the rows are not as they were. */
static size_t change_one(struct store *s, int64_t id, pick_fn *fn)
{
    struct picked done;
    size_t passed;

    assert_ok(s, pick_batch(s->db, &id, 1, fn, &passed, &done, &s->err));
    assert_int_equal(s->err.code, OK);
    return done.changed;
}

TEST_OPENED(what_is_gone_or_due_is_passed_over)
{
    add_retry(f, "a", 4000, "late");
    other_exec(f, "insert into herald_outbox(type) values ('fresh')");
    f->now_ms = 4500;
    assert_int_equal(change_one(f, 1, retry_now), 0);
    assert_int_equal(change_one(f, 1, outbox_now), 0);
    assert_int_equal(change_one(f, 9, retry_now), 0);
    assert_int_equal(change_one(f, 9, retry_drop), 0);
    assert_int_equal(change_one(f, 9, outbox_now), 0);
    assert_int_equal(change_one(f, 9, outbox_drop), 0);
    assert_string_equal(other_rows(f, "select due_at, (select due_at from herald_outbox) "
                                      "from herald_retry"),
                        "4000|0");
}

TEST_OPENED(retries_are_listed_page_by_page)
{
    struct list_of page = {.view = LIST_RETRIES, .pick = everything, .limit = 2};
    const char *columns = "id message_id queue due_at attempts orphaned? error";

    add_retry(f, "a", 5000, "late");
    add_retry(f, "b", 4000, "orphaned: no subscription for this queue in rules/");
    add_retry(f, "c", 3000, "rules/a.lua:1: orphaned: no");
    assert_string_equal(store_listed(f, &page, columns),
                        "1|a|q|5000|2|0|late, 2|b|q|4000|2|1|"
                        "orphaned: no subscription for this queue in rules/");
    page.after = 2;
    assert_string_equal(store_listed(f, &page, columns),
                        "3|c|q|3000|2|0|rules/a.lua:1: orphaned: no");
}

/* Ids of what is meant, at most `limit`. */
static const char *meant(struct store *s, const char *type, const char *order_type, int64_t after,
                         size_t limit)
{
    const struct pick p = {.group = -1, .type = slice_of(type), .order_type = slice_of(order_type)};
    static char text[256];
    int64_t *ids;
    size_t n;

    text[0] = '\0';
    assert_ok(s, pick_ids(s->db, PICK_RETRY, &p, after, limit, &ids, &n, &s->err));
    for (size_t i = 0; i < n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%lld", i > 0 ? " " : "",
                 (long long)ids[i]);
    free(ids);
    return text;
}

/* A row holds its message as it was received, in older stores, too. */
TEST_OPENED(type_and_keys_in_a_body_are_seen)
{
    const struct list_of page = {.view = LIST_RETRIES, .pick = everything, .limit = 9};

    other_exec(f, "insert into herald_retry(due_at, queue, fingerprint, attempts, first_at, error, "
                  "timestamp_s, type, business_key2, body, content_type) values"
                  "(9000, 'q', 0, 1, 1, 'e', 0, null, null, '{\"messageType\":\"pay\","
                  "\"businessKey1\":16,\"businessKey2\":\"60201\"}', null),"
                  "(9000, 'q', 0, 1, 1, 'e', 0, 'pay', '60201', '{}', 'application/json'),"
                  "(9000, 'q', 0, 1, 1, 'e', 0, 'pay', '60201', '{\"messageType\":\"p\\u0061id\","
                  "\"businessKey2\":\"60202\"}', 'text/plain'),"
                  "(9000, 'q', 0, 1, 1, 'e', 0, 'pay', '60201', '{\"messageType\":\"x\"}', "
                  "'image/png'),"
                  "(9000, 'q', 0, 1, 1, 'e', 0, 'bad', '60201', '{\"messageType\":', null),"
                  "(9000, 'q', 0, 1, 1, 'e', 0, null, null, null, null)");
    assert_string_equal(store_listed(f, &page, "id type key1 key2 key3 body"),
                        "1|pay|16|60201|-|-, 2|pay|-|60201|-|-, 3|paid|-|60202|-|-, "
                        "4|pay|-|60201|-|-, 5|bad|-|60201|-|-, 6|-|-|-|-|-");
    assert_string_equal(meant(f, "pay", NULL, 0, 9), "1 2 4");
    assert_string_equal(meant(f, "pay", NULL, 0, 2), "1 2");
    assert_string_equal(meant(f, "pay", NULL, 1, 1), "2");
    assert_string_equal(meant(f, "paid", "60202", 0, 9), "3");
    assert_string_equal(meant(f, NULL, "60201", 0, 9), "1 2 4 5");
    assert_string_equal(meant(f, "x", NULL, 0, 9), "");
    assert_string_equal(other_rows(f, "select count(*) from herald_retry where type is null"), "2");
}

TEST_OPENED(retries_are_made_due_now)
{
    struct pick p = {.group = -1, .later_ms = 4500, .error = {"late", 4}};

    add_retry(f, "a", 5000, "late");
    add_retry(f, "b", 4000, "late"); /* due already */
    add_retry(f, "c", 9000, "other");
    add_retry(f, "d", 9000, "late");
    f->now_ms = 4500;
    assert_int_equal(change(f, PICK_RETRY, &p, retry_now), 2);
    assert_string_equal(other_rows(f, "select message_id, due_at < 4600, attempts from "
                                      "herald_retry order by id"),
                        "a|1|2, b|1|2, c|0|2, d|1|2");
    assert_int_equal(change(f, PICK_RETRY, &p, retry_now), 0);
}

/* More than a batch that are due at the very same moment. */
TEST_OPENED(no_retry_is_passed_over)
{
    const struct pick p = {.group = -1, .later_ms = 4500};

    other_exec(f, "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1200) "
                  "insert into herald_retry(due_at, queue, fingerprint, attempts, first_at, error, "
                  "timestamp_s) select 5000 + i % 2, 'q', 0, 1, 1, 'e', 0 from n");
    f->now_ms = 4500;
    assert_int_equal(change(f, PICK_RETRY, &p, retry_now), 1200);
    assert_int_equal(other_int(f, "select count(*) from herald_retry where due_at > 5000"), 0);
}

TEST_OPENED(a_dropped_retry_leaves_its_id_known)
{
    const struct pick p = {.group = -1, .error = {"late", 4}};

    add_retry(f, "a", 5000, "late");
    add_retry(f, "b", 5000, "other");
    assert_int_equal(change(f, PICK_RETRY, &p, retry_drop), 1);
    assert_string_equal(other_rows(f, "select message_id, state, fingerprint from herald_inbox "
                                      "order by message_id"),
                        "a|0|7, b|1|7");
    assert_string_equal(other_rows(f, "select message_id from herald_retry"), "b");
}

static void fill_outbox(struct store *s)
{
    other_exec(s, "insert into herald_outbox(type, due_at, attempts, reason, key) values "
                  "('fresh', 0, 0, null, null), ('again', 0, 1, 'nacked', null), "
                  "('postponed', 5000, 2, 'no queue', null), ('scheduled', 5000, 0, null, 'k'), "
                  "('unheard', 5000, 0, 'cut', null)");
}

static const char *outbox_listed(struct store *s, const struct pick *p)
{
    const struct list_of page = {.view = LIST_OUTBOX, .pick = *p, .limit = 10};

    return store_listed(s, &page, "id state attempts reason");
}

TEST_OPENED(outbox_rows_are_listed_with_their_state)
{
    fill_outbox(f);
    other_exec(f, "insert into herald_outbox(type, due_at, outlet, lane) "
                  "values ('aside', 9223372036854775806, 'x', 'a')");
    assert_string_equal(outbox_listed(f, &everything),
                        "1|fresh|0|-, 2|again|1|nacked, 3|postponed|2|no queue, "
                        "4|scheduled|0|-, 5|postponed|0|cut, 6|waiting|0|-");
}

/* A scheduled row is nobody's failure: its time is its producer's. */
TEST_OPENED(only_postponed_rows_are_sent_at_once)
{
    const struct pick p = {.group = -1, .later_ms = 4500, .failed = true};

    fill_outbox(f);
    f->now_ms = 4500;
    assert_int_equal(change(f, PICK_OUTBOX, &p, outbox_now), 2);
    assert_string_equal(other_rows(f, "select type, due_at between 1 and 4600, attempts from "
                                      "herald_outbox"),
                        "fresh|0|0, again|0|1, postponed|1|2, scheduled|0|0, unheard|1|0");
}

/* Not even after a failure from before it was in a lane. */
TEST_OPENED(rows_behind_another_are_listed_and_not_hurried)
{
    struct pick p = {.group = -1, .lane = {"a", 1}};

    fill_outbox(f);
    other_exec(f,
               "insert into herald_outbox(type, lane, due_at, reason) values "
               "('t', 'a', 1, null), ('t', 'a', 9223372036854775807, 'cut'), ('t', 'b', 1, null)");
    assert_string_equal(outbox_listed(f, &p), "6|scheduled|0|-, 7|behind|0|cut");
    f->now_ms = 4500;
    p.later_ms = 4500;
    p.failed = true;
    assert_int_equal(change(f, PICK_OUTBOX, &p, outbox_now), 0);
    assert_int_equal(change_one(f, 7, outbox_now), 0);
}

static bool take(void *arg, const struct outbox_row *row)
{
    *(int64_t *)arg = row->id;
    return true;
}

/* due_at 0 would be a fresh row below the engine's cursor, which nobody looks at. */
TEST_OPENED(a_row_that_was_made_due_is_claimed)
{
    const struct pick p = {.group = -1, .later_ms = 4500, .failed = true};
    int64_t taken = 0;

    fill_outbox(f);
    f->now_ms = 4500;
    assert_ok(f, outbox_claim_due(f->db, 10, 4500, 10, take, &taken, &f->err));
    assert_int_equal(taken, 0);
    assert_int_equal(change(f, PICK_OUTBOX, &p, outbox_now), 2);
    assert_ok(f, outbox_claim_due(f->db, 10, 4600, 1, take, &taken, &f->err));
    assert_int_equal(taken, 3);
}

TEST_OPENED(dropped_rows_are_no_longer_counted)
{
    struct pick p = {.group = -1, .type = {"fresh", 5}};

    fill_outbox(f);
    assert_int_equal(change(f, PICK_OUTBOX, &p, outbox_drop), 1);
    assert_int_equal(other_int(f, "select value from herald_meta where key = 'outbox_removed'"), 1);
    assert_int_equal(change(f, PICK_OUTBOX, &everything, outbox_drop), 4);
    assert_int_equal(other_int(f, "select count(*) from herald_outbox"), 0);
}
