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

static void all_of_a_turn_commits_together(void **state)
{
    struct store *s = *state;

    store_open(s);
    assert_ok(s, db_begin(s->db, &s->err));
    assert_true(db_in_transaction(s->db));
    add(s, "a");
    add(s, "b");
    assert_string_equal(types(s), "");
    assert_ok(s, db_commit(s->db, &s->err));
    assert_false(db_in_transaction(s->db));
    assert_string_equal(types(s), "a, b");
}

static void a_message_that_fails_leaves_the_others_alone(void **state)
{
    struct store *s = *state;

    store_open(s);
    assert_ok(s, db_begin(s->db, &s->err));
    for (int i = 0; i < 3; i++) {
        assert_ok(s, db_savepoint(s->db, &s->err));
        add(s, i == 0 ? "a" : i == 1 ? "b" : "c");
        if (i == 1)
            assert_ok(s, db_rollback_to(s->db, &s->err));
        assert_ok(s, db_release(s->db, &s->err));
    }
    assert_ok(s, db_commit(s->db, &s->err));
    assert_string_equal(types(s), "a, c");
}

static void a_rolled_back_turn_never_was(void **state)
{
    struct store *s = *state;

    store_open(s);
    assert_ok(s, db_begin(s->db, &s->err));
    add(s, "a");
    db_rollback(s->db);
    db_rollback(s->db); /* twice does no harm */
    assert_string_equal(types(s), "");
}

static void the_router_never_waits_for_a_writer(void **state)
{
    struct store *s = *state;

    store_open(s);
    other_exec(s, "begin immediate");
    assert_refused(s, db_begin(s->db, &s->err), ERR_BUSY, s->path);
    assert_false(db_in_transaction(s->db));
    other_exec(s, "commit");
    assert_ok(s, db_begin(s->db, &s->err));
    db_rollback(s->db);
}

static void make_family(struct store *s)
{
    store_open(s);
    work(s, "create table parent(id primary key);"
            "create table child(parent references parent(id) deferrable initially deferred)");
}

static void a_deferred_foreign_key_shows_at_release(void **state)
{
    struct store *s = *state;

    make_family(s);
    assert_ok(s, db_begin(s->db, &s->err));
    assert_ok(s, db_savepoint(s->db, &s->err));
    work(s, "insert into child values (1)");
    assert_refused(s, db_release(s->db, &s->err), ERR_SCRIPT, "foreign key");
    assert_ok(s, db_rollback_to(s->db, &s->err));
    assert_ok(s, db_release(s->db, &s->err));
    assert_ok(s, db_savepoint(s->db, &s->err));
    work(s, "insert into child values (2); insert into parent values (2)");
    assert_ok(s, db_release(s->db, &s->err));
    assert_ok(s, db_commit(s->db, &s->err));
    assert_string_equal(other_rows(s, "select parent from child"), "2");
}

static void a_foreign_key_that_breaks_the_commit_rolls_back(void **state)
{
    struct store *s = *state;

    make_family(s);
    assert_ok(s, db_begin(s->db, &s->err));
    work(s, "insert into child values (1)");
    assert_int_equal(db_commit(s->db, &s->err), ERR_SCRIPT);
    assert_ok(s, db_begin(s->db, &s->err));
    assert_ok(s, db_commit(s->db, &s->err));
    assert_string_equal(other_rows(s, "select parent from child"), "");
}

static void a_full_store_undoes_the_turn_and_goes_on(void **state)
{
    struct store *s = *state;
    const struct message big = {.type = slice_of("big"), .body = {s->text, sizeof s->text}};
    char sql[64];
    int rc = OK;

    store_open(s);
    snprintf(sql, sizeof sql, "pragma max_page_count = %lld",
             (long long)other_int(s, "pragma page_count") + 3);
    memset(s->text, 'x', sizeof s->text);
    work(s, sql);
    assert_ok(s, db_begin(s->db, &s->err));
    for (int i = 0; i < 50 && rc == OK; i++)
        rc = outbox_add(s->db, &big, 0, NULL, &s->err);
    assert_int_equal(rc, ERR_FULL);
    assert_contains(s->err.text, "free some space");
    db_rollback(s->db);
    assert_ok(s, db_begin(s->db, &s->err));
    add(s, "small");
    assert_ok(s, db_commit(s->db, &s->err));
    assert_string_equal(types(s), "small");
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
static void room_that_is_taken_is_given_back(void **state)
{
    struct store *s = *state;
    const char *kept = "select length(value) from herald_meta where key = 'room'";

    store_open(s);
    assert_ok(s, db_begin(s->db, &s->err));
    assert_ok(s, db_take_room(s->db, 100000, &s->err));
    assert_ok(s, db_commit(s->db, &s->err));
    assert_int_equal(other_int(s, kept), 100000);
    assert_ok(s, db_begin(s->db, &s->err));
    assert_ok(s, db_take_room(s->db, 0, &s->err));
    assert_ok(s, db_commit(s->db, &s->err));
    assert_int_equal(other_int(s, kept), 0);
    work(s, "pragma max_page_count = 1"); /* as large as it is */
    assert_ok(s, db_begin(s->db, &s->err));
    assert_int_equal(db_take_room(s->db, 1000000, &s->err), ERR_FULL);
    db_rollback(s->db);
}

/* docs/faults.md#f25 */
static void a_file_limit_at_commit_undoes_the_turn_and_goes_on(void **state)
{
    struct store *s = *state;
    int rc;

    store_open(s);
    assert_ok(s, db_begin(s->db, &s->err));
    add(s, "a");
    limit_files((rlim_t)db_wal_bytes(s->db));
    rc = db_commit(s->db, &s->err);
    limit_files(RLIM_INFINITY);
    assert_int_equal(rc, ERR_FULL);
    assert_int_equal(s->err.code, ERR_FULL);
    assert_contains(s->err.text, "ulimit -f");
    assert_false(db_in_transaction(s->db));
    assert_string_equal(types(s), "");
    assert_ok(s, db_begin(s->db, &s->err));
    add(s, "b");
    assert_ok(s, db_commit(s->db, &s->err));
    assert_string_equal(types(s), "b");
}

/* docs/faults.md#f25: pages that leave the cache before the commit. */
static void a_file_limit_inside_the_turn_undoes_it(void **state)
{
    struct store *s = *state;
    const struct message big = {.type = slice_of("big"), .body = {s->text, sizeof s->text}};
    int rc = OK;

    store_open(s);
    memset(s->text, 'x', sizeof s->text);
    work(s, "pragma cache_size = 5; pragma cache_spill = 5");
    assert_ok(s, db_begin(s->db, &s->err));
    limit_files((rlim_t)db_wal_bytes(s->db) + 20000);
    for (int i = 0; i < 50 && rc == OK; i++)
        rc = outbox_add(s->db, &big, 0, NULL, &s->err);
    limit_files(RLIM_INFINITY);
    assert_int_equal(rc, ERR_FULL);
    assert_contains(s->err.text, "ulimit -f");
    db_rollback(s->db);
    assert_string_equal(types(s), "");
    assert_ok(s, db_begin(s->db, &s->err));
    add(s, "small");
    assert_ok(s, db_commit(s->db, &s->err));
    assert_string_equal(other_rows(s, "pragma integrity_check"), "ok");
}

static void commits_of_others_are_seen_and_own_ones_are_not(void **state)
{
    struct store *s = *state;

    store_open(s);
    assert_true(db_foreign_commits(s->db)); /* what may have been there before */
    assert_int_equal(db_foreign_seen_ms(s->db), -1);
    assert_false(db_foreign_commits(s->db));
    assert_ok(s, db_begin(s->db, &s->err));
    add(s, "mine");
    assert_ok(s, db_commit(s->db, &s->err));
    assert_false(db_foreign_commits(s->db));
    other_exec(s, "insert into herald_outbox(type) values ('theirs')");
    assert_true(db_foreign_commits(s->db));
    assert_true(db_foreign_seen_ms(s->db) >= 1000000);
    assert_false(db_foreign_commits(s->db));
    other_exec(s, "begin immediate; insert into herald_outbox(type) values ('no'); rollback");
    assert_false(db_foreign_commits(s->db));
}

static void the_command_line_waits_for_a_turn_to_end(void **state)
{
    struct store *s = *state;
    struct db *beside;

    store_open(s);
    assert_ok(s, store_try(s, s->path, false, false, &beside));
    assert_ok(s, db_begin(s->db, &s->err));
    sqlite3_busy_timeout(beside->work, 30); /* five seconds are too long for a test */
    assert_int_equal(db_begin(beside, &s->err), ERR_BUSY);
    assert_ok(s, db_commit(s->db, &s->err));
    assert_ok(s, db_begin(beside, &s->err));
    assert_ok(s, db_commit(beside, &s->err));
    db_close(&beside);
}

static void closing_rolls_an_open_turn_back(void **state)
{
    struct store *s = *state;

    store_open(s);
    assert_ok(s, db_begin(s->db, &s->err));
    add(s, "a");
    store_close(s);
    assert_string_equal(types(s), "");
}

static void every_sqlite_result_has_its_code(void **state)
{
    (void)state;
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_of_a_turn_commits_together),
        TEST(a_message_that_fails_leaves_the_others_alone),
        TEST(a_rolled_back_turn_never_was),
        TEST(the_router_never_waits_for_a_writer),
        TEST(a_deferred_foreign_key_shows_at_release),
        TEST(a_foreign_key_that_breaks_the_commit_rolls_back),
        TEST(a_full_store_undoes_the_turn_and_goes_on),
        TEST(room_that_is_taken_is_given_back),
        TEST(a_file_limit_at_commit_undoes_the_turn_and_goes_on),
        TEST(a_file_limit_inside_the_turn_undoes_it),
        TEST(commits_of_others_are_seen_and_own_ones_are_not),
        TEST(the_command_line_waits_for_a_turn_to_end),
        TEST(closing_rolls_an_open_turn_back),
        cmocka_unit_test(every_sqlite_result_has_its_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
