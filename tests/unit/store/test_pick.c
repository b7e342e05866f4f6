/* Which rows are meant, and at what cost. */
#include "store.h"

#include "store/pick.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The plan as "SEARCH ...; ..." */
static void plan_of(struct store *s, enum pick_table table, const struct pick *p, char *out,
                    size_t size)
{
    char sql[4096], explain[4200];
    sqlite3_stmt *stmt;

    assert_int_equal(pick_sql(table, p, sql, sizeof sql), OK);
    snprintf(explain, sizeof explain, "explain query plan %s", sql);
    (void)other_int(s, "select 1");
    assert_int_equal(sqlite3_prepare_v2(s->other, explain, -1, &stmt, NULL), SQLITE_OK);
    out[0] = '\0';
    while (sqlite3_step(stmt) == SQLITE_ROW)
        snprintf(out + strlen(out), size - strlen(out), "%s; ",
                 (const char *)sqlite3_column_text(stmt, 3));
    assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
}

/* A page of millions costs a page: by row id, or by the group or the due time where those
 * are the condition; never a sort. */
TEST_OPENED(no_page_scans_or_sorts)
{
    const int64_t ids[] = {1, 2};
    const struct {
        enum pick_table table;
        struct pick pick;
        const char *by;
    } cases[] = {
        {PICK_LETTERS, {.group = -1}, "INTEGER PRIMARY KEY (rowid>?)"},
        {PICK_RETRY, {.group = -1}, "INTEGER PRIMARY KEY (rowid>?)"},
        {PICK_OUTBOX, {.group = -1}, "INTEGER PRIMARY KEY (rowid>?)"},
        {PICK_LETTERS, {.group = -1, .ids = ids, .n_ids = 2}, "INTEGER PRIMARY KEY (rowid=?)"},
        {PICK_LETTERS, {.group = 5}, "herald_dead_by_group (error_group=? AND rowid>?)"},
        {PICK_LETTERS,
         {.group = -1,
          .type = {"t", 1},
          .order_type = {"o", 1},
          .queue = {"q", 1},
          .side = {"inbox", 5},
          .error = {"e", 1},
          .since_ms = 1,
          .before_ms = 2},
         "INTEGER PRIMARY KEY (rowid>?)"},
        {PICK_OUTBOX, {.group = -1, .lane = {"l", 1}}, "INTEGER PRIMARY KEY (rowid>?)"},
        {PICK_RETRY, {.group = -1, .later_ms = 5}, "herald_retry_due (due_at>"},
        {PICK_OUTBOX,
         {.group = -1, .later_ms = 5, .failed = true},
         "herald_outbox_due (due_at>? AND due_at<?)"},
        {PICK_HISTORY, {.group = -1}, "herald_history_at (at>? AND at<?)"},
        {PICK_HISTORY,
         {.group = -1,
          .type = {"t", 1},
          .order_type = {"o", 1},
          .queue = {"q", 1},
          .side = {"inbox", 5},
          .since_ms = 1,
          .before_ms = 2},
         "herald_history_at (at>? AND at<?)"},
    };
    char plan[1024];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        plan_of(f, cases[i].table, &cases[i].pick, plan, sizeof plan);
        assert_contains(plan, cases[i].by);
        assert_null(strstr(plan, "TEMP B-TREE"));
        assert_null(strstr(plan, "SCAN"));
    }
}

/* Few rows have one key or id: those may be sorted. */
TEST_OPENED(what_is_asked_for_by_name_is_found_by_an_index)
{
    const struct {
        enum pick_table table;
        struct pick pick;
        const char *by;
    } cases[] = {
        {PICK_LETTERS, {.group = -1, .key1 = {"16", 2}}, "herald_dead_key1 (business_key1=?"},
        {PICK_LETTERS, {.group = -1, .message_id = {"m", 1}}, "herald_dead_message (message_id=?"},
        {PICK_LETTERS, {.group = -1, .message_id = {"m", 1}}, "herald_dead_identity (identity=?"},
        {PICK_HISTORY, {.group = -1, .key1 = {"16", 2}}, "herald_history_key1 (business_key1=?"},
        {PICK_HISTORY,
         {.group = -1, .message_id = {"m", 1}},
         "herald_history_message (message_id=?"},
    };
    char plan[1024];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        plan_of(f, cases[i].table, &cases[i].pick, plan, sizeof plan);
        assert_contains(plan, cases[i].by);
        assert_null(strstr(plan, "SCAN"));
    }
}

/* Ids of the rows that have that name, as "1 3". */
static const char *named(struct store *s, enum pick_table table, const char *id, const char *key1)
{
    const struct pick p = {.group = -1, .message_id = slice_of(id), .key1 = slice_of(key1)};
    int64_t *ids;
    size_t n, used = 0;

    assert_ok(s, pick_ids(s->db, table, &p, 0, 100, &ids, &n, &s->err));
    s->text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        used += (size_t)snprintf(s->text + used, sizeof s->text - used, "%s%lld", i > 0 ? " " : "",
                                 (long long)ids[i]);
    free(ids);
    return s->text;
}

TEST_OPENED(a_row_is_found_by_the_id_that_it_goes_out_with)
{
    char id[64];

    other_exec(f, "insert into herald_outbox(type, message_id, business_key1) values "
                  "('a', null, '16'), ('b', 'own', '16'), ('c', null, '7')");
    snprintf(id, sizeof id, "%s:1", db_store_id(f->db, 1));
    assert_string_equal(named(f, PICK_OUTBOX, id, NULL), "1");
    assert_string_equal(named(f, PICK_OUTBOX, "own", NULL), "2");
    snprintf(id, sizeof id, "%s:2", db_store_id(f->db, 2)); /* it has another one */
    assert_string_equal(named(f, PICK_OUTBOX, id, NULL), "");
    snprintf(id, sizeof id, "%s:03", db_store_id(f->db, 3));
    assert_string_equal(named(f, PICK_OUTBOX, id, NULL), "");
    assert_string_equal(named(f, PICK_OUTBOX, "other:3", NULL), "");
    assert_string_equal(named(f, PICK_OUTBOX, "3", NULL), "");
    assert_string_equal(named(f, PICK_OUTBOX, NULL, "16"), "1 2");
}

TEST_OPENED(a_letter_is_found_by_its_id_or_what_it_is_known_by)
{
    other_exec(f, "insert into herald_dead(side, queue, identity, fingerprint, attempts, error, "
                  "generation, at, message_id, business_key1, timestamp_s) values "
                  "('inbox', 'q', 'm1', 1, 1, '', 1, 1, 'm1', '16', 0), "
                  "('inbox', 'q', 'k#1', 1, 1, '', 1, 1, null, '16', 0), "
                  "('outbox', '', null, 1, 1, '', 1, 1, 'm1', null, 0)");
    assert_string_equal(named(f, PICK_LETTERS, "m1", NULL), "1 3");
    assert_string_equal(named(f, PICK_LETTERS, "k#1", NULL), "2");
    assert_string_equal(named(f, PICK_LETTERS, "m1", "16"), "1");
}

static int refuse(struct db *db, int64_t id, int64_t now_ms, struct picked *done, struct err *err)
{
    (void)db;
    (void)now_ms;
    done->changed++;
    return id == 3 ? err_set(err, ERR_FAILED, "not 3") : OK;
}

TEST_OPENED(a_page_begins_behind_the_last_one)
{
    const struct pick p = {.group = -1};
    int64_t *ids;
    size_t n;

    other_exec(f, "insert into herald_outbox(type) values ('a'), ('b'), ('c'), ('d')");
    assert_ok(f, pick_ids(f->db, PICK_OUTBOX, &p, 1, 2, &ids, &n, &f->err));
    assert_int_equal(n, 2);
    assert_int_equal(ids[0], 2);
    assert_int_equal(ids[1], 3);
    free(ids);
    assert_ok(f, pick_ids(f->db, PICK_OUTBOX, &p, 4, 2, &ids, &n, &f->err));
    assert_int_equal(n, 0);
    free(ids);
}

TEST_OPENED(a_failure_ends_the_batch_and_its_transaction)
{
    const int64_t ids[] = {1, 2, 3};
    struct picked done;
    size_t passed;

    assert_ok(f, pick_batch(f->db, ids, 2, refuse, &passed, &done, &f->err));
    assert_int_equal(passed, 2);
    assert_int_equal(done.changed, 2);
    assert_refused(f, pick_batch(f->db, ids, 3, refuse, &passed, &done, &f->err), ERR_FAILED,
                   "not 3");
    assert_int_equal(passed, 0);
    assert_int_equal(done.changed, 0);
    assert_false(db_in_transaction(f->db));
}

TEST_WITH(store, as_many_ids_as_are_allowed_fit)
{
    static int64_t ids[PICK_IDS_MAX];
    const struct pick p = {.ids = ids, .n_ids = PICK_IDS_MAX, .group = -1};
    int64_t *found;
    size_t n;

    for (int i = 0; i < PICK_IDS_MAX; i++)
        ids[i] = INT64_MAX - i;
    ids[7] = 1;
    store_open(f);
    other_exec(f, "insert into herald_outbox(type) values ('a'), ('b')");
    assert_ok(f, pick_ids(f->db, PICK_OUTBOX, &p, 0, 4, &found, &n, &f->err));
    assert_int_equal(n, 1);
    assert_int_equal(found[0], 1);
    free(found);
}
