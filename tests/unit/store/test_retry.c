/* Messages that are due again later. */
#include "store.h"

#include "store/retry.h"

#include <stdio.h>
#include <string.h>

static void add(struct store *s, const char *body, int64_t due_at)
{
    const struct retry_row row = {
        .queue = slice_of("q"),
        .identity = slice_of("id"),
        .message = {.id = slice_of("m"), .body = slice_of(body), .timestamp_s = 5},
        .exchange = slice_of("x"),
        .fingerprint = {UINT64_MAX - 1, FINGERPRINT_OF_RECEIVED},
        .attempts = 1,
        .first_at = 50,
        .due_at = due_at,
        .error = "no luck",
        .generation = 6,
    };

    assert_ok(s, retry_add(s->db, &row, &s->err));
}

/* What came, and what is done with it: "remove", "again" (to `due_at`), "stop". */
struct taken {
    struct store *store;
    const char *then;
    int64_t due_at;
    char text[512];
};

static bool take(void *arg, const struct retry_row *row)
{
    struct taken *t = arg;
    struct store *s = t->store;
    size_t used = strlen(t->text);

    if (strcmp(t->then, "remove") == 0)
        assert_ok(s, retry_remove(s->db, row->id, &s->err));
    if (strcmp(t->then, "again") == 0)
        assert_ok(s, retry_again(s->db, row->id, row->attempts + 1, t->due_at, "still no", 1,
                                 (struct slice){NULL, 0}, &s->err));
    /* the row is lent until the callback returns, whatever was done with it */
    snprintf(t->text + used, sizeof t->text - used, "%s%.*s", used ? " " : "",
             (int)row->message.body.len, row->message.body.data);
    return strcmp(t->then, "stop") != 0;
}

static void due(struct store *s, int64_t now_ms, size_t limit, const char *then, int64_t due_at,
                const char *want)
{
    struct taken t = {.store = s, .then = then, .due_at = due_at};
    struct retry_place place = {.id = 0};

    assert_ok(s, retry_due(s->db, slice_of("q"), now_ms, &place, limit, take, &t, &s->err));
    assert_string_equal(t.text, want);
}

static int64_t next_due(struct store *s)
{
    int64_t due_at;

    assert_ok(s, retry_next_due(s->db, &due_at, &s->err));
    return due_at;
}

static int64_t count(struct store *s)
{
    int64_t n;

    assert_ok(s, retry_count(s->db, &n, &s->err));
    return n;
}

static bool same(void *arg, const struct retry_row *row)
{
    (void)arg;
    assert_int_equal(row->generation, 6);
    assert_true(slice_is(row->queue, "q"));
    assert_null(row->identity.data);
    assert_true(slice_is(row->message.id, "m"));
    assert_null(row->message.type.data);
    assert_true(slice_is(row->message.key[2], ""));
    assert_int_equal(row->message.body.len, 3);
    assert_memory_equal(row->message.body.data, "a\0b", 3);
    assert_true(slice_is(row->message.content_type, "text/plain"));
    assert_int_equal(row->message.timestamp_s, 5);
    assert_true(slice_is(row->exchange, "x"));
    assert_null(row->routing_key.data);
    assert_true(row->fingerprint.bits == UINT64_MAX - 1);
    assert_int_equal(row->attempts, 3);
    assert_int_equal(row->first_at, 50);
    assert_string_equal(row->error, "no luck");
    return true;
}

TEST_OPENED(a_message_comes_back_whole)
{
    const struct retry_row row = {
        .queue = slice_of("q"),
        .message = {.id = slice_of("m"),
                    .key = {{NULL, 0}, {NULL, 0}, slice_of("")},
                    .body = {"a\0b", 3},
                    .content_type = slice_of("text/plain"),
                    .timestamp_s = 5},
        .exchange = slice_of("x"),
        .fingerprint = {UINT64_MAX - 1, FINGERPRINT_OF_RECEIVED},
        .attempts = 3,
        .first_at = 50,
        .due_at = 100,
        .error = "no luck",
        .generation = 6,
    };
    struct retry_place place = {.id = 0};

    assert_ok(f, retry_add(f->db, &row, &f->err));
    assert_ok(f, retry_due(f->db, slice_of("q"), 100, &place, 1, same, NULL, &f->err));
    assert_int_equal(place.due_at, 100);
}

TEST_OPENED(due_messages_come_earliest_first)
{
    assert_true(next_due(f) == INT64_MAX);
    add(f, "late", 300);
    add(f, "early", 100);
    add(f, "middle", 200);
    add(f, "too", 100);
    assert_int_equal(next_due(f), 100);
    due(f, 99, 10, "look", 0, "");
    due(f, 250, 10, "look", 0, "early too middle");
    due(f, 250, 2, "look", 0, "early too");
    due(f, 250, 10, "stop", 0, "early");
}

TEST_OPENED(a_message_may_be_removed_or_put_off_while_it_is_given)
{
    add(f, "a", 100);
    add(f, "b", 200);
    due(f, 250, 10, "again", 220, "a b"); /* due already, yet not given twice */
    assert_string_equal(other_rows(f, "select attempts, due_at, error from herald_retry"),
                        "2|220|still no, 2|220|still no");
    due(f, 250, 10, "again", 1000, "a b");
    assert_int_equal(next_due(f), 1000);
    due(f, 1000, 10, "remove", 0, "a b");
    assert_true(next_due(f) == INT64_MAX);
}

TEST_OPENED(what_is_orphaned_can_become_due)
{
    bool more;

    add(f, "waits", 5000);
    add(f, "orphan", 5000);
    add(f, "another", 6000);
    add(f, "far", 90000);
    other_exec(f, "update herald_retry set error = 'orphaned: by its queue' where id > 1");
    assert_ok(f, retry_adopt(f->db, 1000, 61000, 1, &more, &f->err));
    assert_true(more);
    due(f, 1000, 10, "remove", 0, "orphan");
    assert_ok(f, retry_adopt(f->db, 1000, 61000, 2, &more, &f->err));
    assert_false(more);
    due(f, 1000, 10, "remove", 0, "another");
    due(f, 5000, 10, "remove", 0, "waits");
    assert_int_equal(next_due(f), 90000);
}

TEST_OPENED(the_count_follows_the_rows)
{
    assert_int_equal(count(f), 0);
    add(f, "a", 100);
    add(f, "b", 200);
    assert_int_equal(count(f), 2);
    assert_ok(f, retry_remove(f->db, 1, &f->err));
    assert_ok(f, retry_remove(f->db, 1, &f->err));
    assert_int_equal(count(f), 1);
    other_exec(f, "delete from herald_retry");
    assert_int_equal(count(f), 0);
}

TEST_OPENED(what_is_deferred_has_not_been_tried)
{
    add(f, "a", 100);
    add(f, "b", 100);
    add(f, "c", 300);
    assert_ok(f, retry_defer(f->db, 2, 300, &f->err));
    due(f, 200, 10, "", 0, "a");
    assert_int_equal(other_int(f, "select sum(attempts) from herald_retry where error = 'no luck'"),
                     3);
    assert_ok(f, retry_defer_all(f->db, slice_of("another"), 300, 150, &f->err));
    assert_ok(f, retry_defer_all(f->db, slice_of("q"), 299, 150, &f->err));
    due(f, 200, 10, "", 0, "a");
    assert_ok(f, retry_defer_all(f->db, slice_of("q"), 300, 150, &f->err));
    due(f, 200, 10, "", 0, "a b c");
}
