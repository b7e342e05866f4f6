/* One row per (queue, message id), for ever or until it is pruned. */
#include "store.h"

#include "store/inbox.h"

#include <stdio.h>
#include <string.h>

/* Enters a message of queue "q" and says what the inbox knew: "new", "done 7",
 * "waiting 7", "dead 7" (7 being the fingerprint). */
static const char *enter(struct store *s, const char *queue, const char *id, uint64_t fingerprint)
{
    static const char *const words[] = {"done", "waiting", "dead"};
    static char text[64];
    struct inbox_seen seen;

    assert_ok(s, inbox_enter(s->db, slice_of(queue), slice_of(id),
                             (struct fingerprint){fingerprint, 2}, s->now_ms, &seen, &s->err));
    if (seen.known)
        snprintf(text, sizeof text, "%s %llu", words[seen.state],
                 (unsigned long long)seen.fingerprint.bits);
    else
        snprintf(text, sizeof text, "new");
    return text;
}

static void set(struct store *s, const char *id, enum inbox_state state, int64_t at)
{
    assert_ok(s, inbox_set(s->db, slice_of("q"), slice_of(id), (struct fingerprint){7, 2}, state,
                           at, &s->err));
}

static bool prune(struct store *s, int64_t before_ms, size_t limit)
{
    bool more;

    assert_ok(s, inbox_prune(s->db, before_ms, limit, &more, &s->err));
    return more;
}

static const char *ids(struct store *s)
{
    return other_rows(s, "select message_id from herald_inbox order by seq");
}

static void a_message_is_new_once_per_queue(void **state)
{
    struct store *s = *state;

    store_open(s);
    assert_string_equal(enter(s, "q", "a:1", 7), "new");
    assert_string_equal(enter(s, "q", "a:1", 8), "done 7");
    assert_string_equal(enter(s, "r", "a:1", 8), "new");
    assert_string_equal(enter(s, "q", "a:2", UINT64_MAX), "new");
    assert_string_equal(enter(s, "q", "a:2", 1), "done 18446744073709551615");
}

static void a_handler_that_fails_takes_its_entry_back(void **state)
{
    struct store *s = *state;

    store_open(s);
    assert_ok(s, db_begin(s->db, &s->err));
    assert_ok(s, db_savepoint(s->db, &s->err));
    assert_string_equal(enter(s, "q", "a", 7), "new");
    assert_ok(s, db_rollback_to(s->db, &s->err));
    assert_ok(s, db_release(s->db, &s->err));
    set(s, "a", INBOX_WAITING, 1);
    assert_ok(s, db_commit(s->db, &s->err));
    assert_string_equal(enter(s, "q", "a", 9), "waiting 7");
}

static void a_state_is_written_over(void **state)
{
    struct store *s = *state;

    store_open(s);
    set(s, "a", INBOX_WAITING, 1);
    set(s, "a", INBOX_DEAD, 2);
    assert_string_equal(enter(s, "q", "a", 9), "dead 7");
    set(s, "a", INBOX_DONE, 3);
    assert_string_equal(enter(s, "q", "a", 9), "done 7");
    assert_string_equal(other_rows(s, "select seq, message_id, at from herald_inbox"), "3|a|3");
}

static void old_rows_are_pruned_a_few_at_a_time(void **state)
{
    struct store *s = *state;

    store_open(s);
    for (int i = 1; i <= 7; i++) {
        char id[2] = {(char)('a' + i - 1), '\0'};

        set(s, id, INBOX_DONE, 100 * i);
    }
    assert_true(prune(s, 601, 3));
    assert_string_equal(ids(s), "d, e, f, g");
    assert_true(prune(s, 601, 3)); /* as far as anybody can tell */
    assert_string_equal(ids(s), "g");
    assert_false(prune(s, 601, 3));
    assert_string_equal(ids(s), "g");
}

static void rows_that_wait_or_are_dead_are_spared_and_passed_once(void **state)
{
    struct store *s = *state;

    store_open(s);
    set(s, "a", INBOX_DONE, 100);
    set(s, "b", INBOX_DEAD, 200);
    set(s, "c", INBOX_WAITING, 300);
    set(s, "d", INBOX_DONE, 400);
    set(s, "e", INBOX_DONE, 9000);
    assert_false(prune(s, 1000, 100));
    assert_string_equal(ids(s), "b, c, e");
    assert_int_equal(other_int(s, "select value from herald_meta where key = 'inbox_pruned'"), 4);
    set(s, "b", INBOX_DONE, 9100); /* replayed: at the young end again */
    assert_string_equal(ids(s), "c, e, b");
    set(s, "f", INBOX_DONE, 9200);
    assert_false(prune(s, 9150, 100));
    assert_string_equal(ids(s), "c, f");
}

static void the_youngest_row_keeps_the_numbers_going(void **state)
{
    struct store *s = *state;

    store_open(s);
    set(s, "a", INBOX_DONE, 100);
    set(s, "b", INBOX_DONE, 200);
    assert_false(prune(s, 10000, 100));
    assert_string_equal(ids(s), "b");
    set(s, "c", INBOX_DONE, 300);
    assert_false(prune(s, 10000, 100));
    assert_string_equal(ids(s), "c");
    assert_int_equal(other_int(s, "select seq from herald_inbox"), 3);
}

static void a_table_emptied_by_hand_is_pruned_all_the_same(void **state)
{
    struct store *s = *state;

    store_open(s);
    for (int i = 0; i < 10; i++) {
        char id[2] = {(char)('a' + i), '\0'};

        set(s, id, INBOX_DONE, 100);
    }
    assert_false(prune(s, 1000, 100));
    other_exec(s, "delete from herald_inbox");
    set(s, "x", INBOX_DONE, 100);
    set(s, "y", INBOX_DONE, 100);
    assert_false(prune(s, 1000, 100));
    assert_string_equal(ids(s), "y");
}

static void a_rolled_back_prune_leaves_no_row_behind_the_cursor(void **state)
{
    struct store *s = *state;

    store_open(s);
    set(s, "a", INBOX_DONE, 100);
    set(s, "b", INBOX_DONE, 100);
    assert_ok(s, db_begin(s->db, &s->err));
    assert_false(prune(s, 1000, 100));
    db_rollback(s->db);
    assert_string_equal(ids(s), "a, b");
    assert_false(prune(s, 1000, 100));
    assert_string_equal(ids(s), "b");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_is_new_once_per_queue),
        TEST(a_handler_that_fails_takes_its_entry_back),
        TEST(a_state_is_written_over),
        TEST(old_rows_are_pruned_a_few_at_a_time),
        TEST(rows_that_wait_or_are_dead_are_spared_and_passed_once),
        TEST(the_youngest_row_keeps_the_numbers_going),
        TEST(a_table_emptied_by_hand_is_pruned_all_the_same),
        TEST(a_rolled_back_prune_leaves_no_row_behind_the_cursor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
