/* Begin, commit and savepoints, and what may come in between. */
#include "store.h"

#include "store/outbox.h"
#include "store/sqlite/db_int.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

static void add(struct store *s, const char *type)
{
    const struct message m = {.type = slice_of(type)};

    assert_ok(s, outbox_add(s->db, &m, 0, NULL, &s->err));
}

static void work(struct store *s, const char *sql)
{
    assert_ok(s, db_exec(s->db, s->db->work, sql, "test", &s->err));
}

static const char *types(struct store *s)
{
    return other_rows(s, "select type from herald_outbox order by id");
}

TEST_OPENED(all_of_a_turn_commits_together)
{
    assert_ok(f, db_begin(f->db, &f->err));
    assert_true(db_in_transaction(f->db));
    add(f, "a");
    add(f, "b");
    assert_string_equal(types(f), "");
    assert_ok(f, db_commit(f->db, &f->err));
    assert_false(db_in_transaction(f->db));
    assert_string_equal(types(f), "a, b");
}

TEST_OPENED(a_message_that_fails_leaves_the_others_alone)
{
    assert_ok(f, db_begin(f->db, &f->err));
    for (int i = 0; i < 3; i++) {
        assert_ok(f, db_savepoint(f->db, &f->err));
        add(f, i == 0 ? "a" : i == 1 ? "b" : "c");
        if (i == 1)
            assert_ok(f, db_rollback_to(f->db, &f->err));
        assert_ok(f, db_release(f->db, &f->err));
    }
    assert_ok(f, db_commit(f->db, &f->err));
    assert_string_equal(types(f), "a, c");
}

TEST_OPENED(a_rolled_back_turn_never_was)
{
    assert_ok(f, db_begin(f->db, &f->err));
    add(f, "a");
    db_rollback(f->db);
    db_rollback(f->db); /* twice does no harm */
    assert_string_equal(types(f), "");
}

TEST_OPENED(the_router_never_waits_for_a_writer)
{
    other_exec(f, "begin immediate");
    assert_refused(f, db_begin(f->db, &f->err), ERR_BUSY, f->path);
    assert_false(db_in_transaction(f->db));
    other_exec(f, "commit");
    assert_ok(f, db_begin(f->db, &f->err));
    db_rollback(f->db);
}

static void family(struct store *s)
{
    store_setup_open(s);
    work(s, "create table parent(id primary key);"
            "create table child(parent references parent(id) deferrable initially deferred)");
}

TEST_FROM(store, family, a_deferred_foreign_key_shows_at_release)
{
    assert_ok(f, db_begin(f->db, &f->err));
    assert_ok(f, db_savepoint(f->db, &f->err));
    work(f, "insert into child values (1)");
    assert_refused(f, db_release(f->db, &f->err), ERR_SCRIPT, "foreign key");
    assert_ok(f, db_rollback_to(f->db, &f->err));
    assert_ok(f, db_release(f->db, &f->err));
    assert_ok(f, db_savepoint(f->db, &f->err));
    work(f, "insert into child values (2); insert into parent values (2)");
    assert_ok(f, db_release(f->db, &f->err));
    assert_ok(f, db_commit(f->db, &f->err));
    assert_string_equal(other_rows(f, "select parent from child"), "2");
}

TEST_FROM(store, family, a_foreign_key_that_breaks_the_commit_rolls_back)
{
    assert_ok(f, db_begin(f->db, &f->err));
    work(f, "insert into child values (1)");
    assert_int_equal(db_commit(f->db, &f->err), ERR_SCRIPT);
    assert_ok(f, db_begin(f->db, &f->err));
    assert_ok(f, db_commit(f->db, &f->err));
    assert_string_equal(other_rows(f, "select parent from child"), "");
}

TEST_OPENED(a_full_store_undoes_the_turn_and_goes_on)
{
    const struct message big = {.type = slice_of("big"), .body = {f->text, sizeof f->text}};
    char sql[64];
    int rc = OK;

    snprintf(sql, sizeof sql, "pragma max_page_count = %lld",
             (long long)other_int(f, "pragma page_count") + 3);
    memset(f->text, 'x', sizeof f->text);
    work(f, sql);
    assert_ok(f, db_begin(f->db, &f->err));
    for (int i = 0; i < 50 && rc == OK; i++)
        rc = outbox_add(f->db, &big, 0, NULL, &f->err);
    assert_int_equal(rc, ERR_FULL);
    assert_contains(f->err.text, "free some space");
    db_rollback(f->db);
    assert_ok(f, db_begin(f->db, &f->err));
    add(f, "small");
    assert_ok(f, db_commit(f->db, &f->err));
    assert_string_equal(types(f), "small");
}

/* With SIGXFSZ ignored, a file at its limit is an I/O error and not a full disk
 * (docs/field-notes.md#limits-of-files). */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A turn without messages writes next to nothing, and would prove nothing. */
TEST_OPENED(room_that_is_taken_is_given_back)
{
    const char *kept = "select length(value) from herald_meta where key = 'room'";

    assert_ok(f, db_begin(f->db, &f->err));
    assert_ok(f, db_take_room(f->db, 100000, &f->err));
    assert_ok(f, db_commit(f->db, &f->err));
    assert_int_equal(other_int(f, kept), 100000);
    assert_ok(f, db_begin(f->db, &f->err));
    assert_ok(f, db_take_room(f->db, 0, &f->err));
    assert_ok(f, db_commit(f->db, &f->err));
    assert_int_equal(other_int(f, kept), 0);
    work(f, "pragma max_page_count = 1"); /* as large as it is */
    assert_ok(f, db_begin(f->db, &f->err));
    assert_int_equal(db_take_room(f->db, 1000000, &f->err), ERR_FULL);
    db_rollback(f->db);
}

/* docs/faults.md#f25 */
TEST_OPENED(a_file_limit_at_commit_undoes_the_turn_and_goes_on)
{
    int rc;

    assert_ok(f, db_begin(f->db, &f->err));
    add(f, "a");
    limit_files((rlim_t)db_wal_bytes(f->db));
    rc = db_commit(f->db, &f->err);
    limit_files(RLIM_INFINITY);
    assert_int_equal(rc, ERR_FULL);
    assert_int_equal(f->err.code, ERR_FULL);
    assert_contains(f->err.text, "ulimit -f");
    assert_false(db_in_transaction(f->db));
    assert_string_equal(types(f), "");
    assert_ok(f, db_begin(f->db, &f->err));
    add(f, "b");
    assert_ok(f, db_commit(f->db, &f->err));
    assert_string_equal(types(f), "b");
}

/* docs/faults.md#f25: pages that leave the cache before the commit. */
TEST_OPENED(a_file_limit_inside_the_turn_undoes_it)
{
    const struct message big = {.type = slice_of("big"), .body = {f->text, sizeof f->text}};
    int rc = OK;

    memset(f->text, 'x', sizeof f->text);
    work(f, "pragma cache_size = 5; pragma cache_spill = 5");
    assert_ok(f, db_begin(f->db, &f->err));
    limit_files((rlim_t)db_wal_bytes(f->db) + 20000);
    for (int i = 0; i < 50 && rc == OK; i++)
        rc = outbox_add(f->db, &big, 0, NULL, &f->err);
    limit_files(RLIM_INFINITY);
    assert_int_equal(rc, ERR_FULL);
    assert_contains(f->err.text, "ulimit -f");
    db_rollback(f->db);
    assert_string_equal(types(f), "");
    assert_ok(f, db_begin(f->db, &f->err));
    add(f, "small");
    assert_ok(f, db_commit(f->db, &f->err));
    assert_string_equal(other_rows(f, "pragma integrity_check"), "ok");
}

TEST_OPENED(commits_of_others_are_seen_and_own_ones_are_not)
{
    assert_true(db_foreign_commits(f->db)); /* what may have been there before */
    assert_int_equal(db_foreign_seen_ms(f->db), -1);
    assert_false(db_foreign_commits(f->db));
    assert_ok(f, db_begin(f->db, &f->err));
    add(f, "mine");
    assert_ok(f, db_commit(f->db, &f->err));
    assert_false(db_foreign_commits(f->db));
    other_exec(f, "insert into herald_outbox(type) values ('theirs')");
    assert_true(db_foreign_commits(f->db));
    assert_true(db_foreign_seen_ms(f->db) >= 1000000);
    assert_false(db_foreign_commits(f->db));
    other_exec(f, "begin immediate; insert into herald_outbox(type) values ('no'); rollback");
    assert_false(db_foreign_commits(f->db));
}

TEST_OPENED(the_command_line_waits_for_a_turn_to_end)
{
    struct db *beside;

    assert_ok(f, store_try(f, f->path, false, false, &beside));
    assert_ok(f, db_begin(f->db, &f->err));
    sqlite3_busy_timeout(beside->work, 30); /* five seconds are too long for a test */
    assert_int_equal(db_begin(beside, &f->err), ERR_BUSY);
    assert_ok(f, db_commit(f->db, &f->err));
    assert_ok(f, db_begin(beside, &f->err));
    assert_ok(f, db_commit(beside, &f->err));
    db_close(&beside);
}

TEST_OPENED(closing_rolls_an_open_turn_back)
{
    assert_ok(f, db_begin(f->db, &f->err));
    add(f, "a");
    store_close(f);
    assert_string_equal(types(f), "");
}

TEST(every_sqlite_result_has_its_code)
{
    assert_int_equal(db_code(SQLITE_ROW), OK);
    assert_int_equal(db_code(SQLITE_FULL), ERR_FULL);
    assert_int_equal(db_code(SQLITE_IOERR_FSYNC), ERR_IO);
    assert_int_equal(db_code(SQLITE_CORRUPT_VTAB), ERR_CORRUPT);
    assert_int_equal(db_code(SQLITE_NOTADB), ERR_CORRUPT);
    assert_int_equal(db_code(SQLITE_BUSY_SNAPSHOT), ERR_BUSY);
    assert_int_equal(db_code(SQLITE_LOCKED), ERR_BUSY);
    assert_int_equal(db_code(SQLITE_NOMEM), ERR_NOMEM);
    assert_int_equal(db_code(SQLITE_CONSTRAINT_CHECK), ERR_FAILED);
}
