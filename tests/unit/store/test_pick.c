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
