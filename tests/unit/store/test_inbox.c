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

TEST_OPENED(a_message_is_new_once_per_queue)
{
    assert_string_equal(enter(f, "q", "a:1", 7), "new");
    assert_string_equal(enter(f, "q", "a:1", 8), "done 7");
    assert_string_equal(enter(f, "r", "a:1", 8), "new");
    assert_string_equal(enter(f, "q", "a:2", UINT64_MAX), "new");
    assert_string_equal(enter(f, "q", "a:2", 1), "done 18446744073709551615");
}

TEST_OPENED(a_handler_that_fails_takes_its_entry_back)
{
    assert_ok(f, db_begin(f->db, &f->err));
    assert_ok(f, db_savepoint(f->db, &f->err));
    assert_string_equal(enter(f, "q", "a", 7), "new");
    assert_ok(f, db_rollback_to(f->db, &f->err));
    assert_ok(f, db_release(f->db, &f->err));
    set(f, "a", INBOX_WAITING, 1);
    assert_ok(f, db_commit(f->db, &f->err));
    assert_string_equal(enter(f, "q", "a", 9), "waiting 7");
}

TEST_OPENED(a_state_is_written_over)
{
    set(f, "a", INBOX_WAITING, 1);
    set(f, "a", INBOX_DEAD, 2);
    assert_string_equal(enter(f, "q", "a", 9), "dead 7");
    set(f, "a", INBOX_DONE, 3);
    assert_string_equal(enter(f, "q", "a", 9), "done 7");
    assert_string_equal(other_rows(f, "select seq, message_id, at from herald_inbox"), "3|a|3");
}

TEST_OPENED(old_rows_are_pruned_a_few_at_a_time)
{
    for (int i = 1; i <= 7; i++) {
        char id[2] = {(char)('a' + i - 1), '\0'};

        set(f, id, INBOX_DONE, 100 * i);
    }
    assert_true(prune(f, 601, 3));
    assert_string_equal(ids(f), "d, e, f, g");
    assert_true(prune(f, 601, 3)); /* as far as anybody can tell */
    assert_string_equal(ids(f), "g");
    assert_false(prune(f, 601, 3));
    assert_string_equal(ids(f), "g");
}

TEST_OPENED(rows_that_wait_or_are_dead_are_spared_and_passed_once)
{
    set(f, "a", INBOX_DONE, 100);
    set(f, "b", INBOX_DEAD, 200);
    set(f, "c", INBOX_WAITING, 300);
    set(f, "d", INBOX_DONE, 400);
    set(f, "e", INBOX_DONE, 9000);
    assert_false(prune(f, 1000, 100));
    assert_string_equal(ids(f), "b, c, e");
    assert_int_equal(other_int(f, "select value from herald_meta where key = 'inbox_pruned'"), 4);
    set(f, "b", INBOX_DONE, 9100); /* replayed: at the young end again */
    assert_string_equal(ids(f), "c, e, b");
    set(f, "f", INBOX_DONE, 9200);
    assert_false(prune(f, 9150, 100));
    assert_string_equal(ids(f), "c, f");
}

TEST_OPENED(the_youngest_row_keeps_the_numbers_going)
{
    set(f, "a", INBOX_DONE, 100);
    set(f, "b", INBOX_DONE, 200);
    assert_false(prune(f, 10000, 100));
    assert_string_equal(ids(f), "b");
    set(f, "c", INBOX_DONE, 300);
    assert_false(prune(f, 10000, 100));
    assert_string_equal(ids(f), "c");
    assert_int_equal(other_int(f, "select seq from herald_inbox"), 3);
}

TEST_OPENED(a_table_emptied_by_hand_is_pruned_all_the_same)
{
    for (int i = 0; i < 10; i++) {
        char id[2] = {(char)('a' + i), '\0'};

        set(f, id, INBOX_DONE, 100);
    }
    assert_false(prune(f, 1000, 100));
    other_exec(f, "delete from herald_inbox");
    set(f, "x", INBOX_DONE, 100);
    set(f, "y", INBOX_DONE, 100);
    assert_false(prune(f, 1000, 100));
    assert_string_equal(ids(f), "y");
}

TEST_OPENED(a_rolled_back_prune_leaves_no_row_behind_the_cursor)
{
    set(f, "a", INBOX_DONE, 100);
    set(f, "b", INBOX_DONE, 100);
    assert_ok(f, db_begin(f->db, &f->err));
    assert_false(prune(f, 1000, 100));
    db_rollback(f->db);
    assert_string_equal(ids(f), "a, b");
    assert_false(prune(f, 1000, 100));
    assert_string_equal(ids(f), "b");
}
