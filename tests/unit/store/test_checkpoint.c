/* The WAL stays bounded, and herald alone restarts it. */
#include "store.h"

#include "store/outbox.h"
#include "store/sqlite/db_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The salts change whenever the WAL is started anew (walformat: bytes 16 to 23). */
static uint64_t salts(struct store *s)
{
    FILE *f = fopen(store_file(s, "store.db-wal"), "r");
    uint64_t salt = 0;

    assert_non_null(f);
    assert_int_equal(fseek(f, 16, SEEK_SET), 0);
    assert_int_equal(fread(&salt, sizeof salt, 1, f), 1);
    assert_int_equal(fclose(f), 0);
    return salt;
}

static void own_commit(struct store *s)
{
    const struct message m = {.type = slice_of("mine")};

    assert_ok(s, db_begin(s->db, &s->err));
    assert_ok(s, outbox_add(s->db, &m, 0, NULL, &s->err));
    assert_ok(s, db_commit(s->db, &s->err));
}

static void foreign_commits(struct store *s, int n)
{
    for (int i = 0; i < n; i++)
        other_exec(s, "insert into herald_outbox(type, body) values ('t', zeroblob(2000))");
}

/* Time enough for anything that waits. */
static void later(struct store *s)
{
    s->now_ms += 60000;
}

static void a_wal_over_its_limit_is_emptied(void **state)
{
    struct store *s = *state;

    store_open(s);
    db_checkpoint(s->db, true); /* the schema */
    s->db->wal_limit = 100000;
    own_commit(s);
    db_checkpoint(s->db, false);
    assert_true(db_wal_bytes(s->db) > 0);
    while (db_wal_bytes(s->db) <= 100000)
        own_commit(s);
    db_checkpoint(s->db, false);
    assert_int_equal(db_wal_bytes(s->db), 0);
    assert_true(s->db->guard_held);
}

static void an_idle_store_empties_it_once_a_second(void **state)
{
    struct store *s = *state;

    store_open(s);
    own_commit(s);
    db_checkpoint(s->db, true);
    assert_int_equal(db_wal_bytes(s->db), 0);
    own_commit(s);
    db_checkpoint(s->db, true);
    assert_true(db_wal_bytes(s->db) > 0);
    later(s);
    db_checkpoint(s->db, true);
    assert_int_equal(db_wal_bytes(s->db), 0);
}

static void a_turn_is_never_checkpointed_away(void **state)
{
    struct store *s = *state;

    store_open(s);
    own_commit(s);
    assert_ok(s, db_begin(s->db, &s->err));
    db_checkpoint(s->db, true);
    assert_true(db_wal_bytes(s->db) > 0);
    db_rollback(s->db);
}

static void the_command_line_never_checkpoints(void **state)
{
    struct store *s = *state;
    struct db *beside;

    store_open(s);
    own_commit(s);
    assert_ok(s, store_try(s, s->path, false, false, &beside));
    db_checkpoint(beside, true);
    assert_true(db_wal_bytes(s->db) > 0);
    db_close(&beside);
    assert_true(db_wal_bytes(s->db) > 0);
}

/* A producer with the worst settings: every commit wants to checkpoint and restart. */
static void restarts_nothing(struct store *s)
{
    uint64_t before = salts(s);

    other_exec(s, "pragma wal_autocheckpoint = 1");
    foreign_commits(s, 300);
    assert_true(salts(s) == before);
    assert_true(db_wal_bytes(s->db) > 300 * 2000);
}

static void no_foreign_writer_restarts_the_wal_of_a_new_store(void **state)
{
    struct store *s = *state;

    store_open(s);
    foreign_commits(s, 1);
    restarts_nothing(s);
}

static void nor_behind_heralds_commit(void **state)
{
    struct store *s = *state;

    store_open(s);
    own_commit(s);
    restarts_nothing(s);
}

static void nor_behind_heralds_checkpoint(void **state)
{
    struct store *s = *state;

    store_open(s);
    own_commit(s);
    db_checkpoint(s->db, true);
    assert_int_equal(db_wal_bytes(s->db), 0);
    foreign_commits(s, 1);
    restarts_nothing(s);
    later(s);
    db_checkpoint(s->db, true); /* herald itself can */
    assert_int_equal(db_wal_bytes(s->db), 0);
    own_commit(s);
    restarts_nothing(s);
}

static void without_the_guard_they_would(void **state)
{
    struct store *s = *state;
    uint64_t before;

    store_open(s);
    own_commit(s);
    (void)sqlite3_reset(s->db->guard_read);
    s->db->guard_held = false;
    before = salts(s);
    other_exec(s, "pragma wal_autocheckpoint = 1");
    foreign_commits(s, 3);
    assert_true(salts(s) != before);
}

static void a_reader_that_stays_delays_it_a_little_only(void **state)
{
    struct store *s = *state;

    store_open(s);
    own_commit(s);
    other_exec(s, "begin; select * from herald_outbox");
    own_commit(s);
    db_checkpoint(s->db, true);
    assert_int_equal(s->db->naps_left, 0); /* it waited for as long as it may */
    assert_true(db_wal_bytes(s->db) > 0);
    assert_true(s->db->guard_held); /* taken back after the failure */
    other_exec(s, "commit");
    db_checkpoint(s->db, true);
    assert_true(db_wal_bytes(s->db) > 0); /* it pauses */
    later(s);
    db_checkpoint(s->db, true);
    assert_int_equal(db_wal_bytes(s->db), 0);
}

static void a_writer_that_stays_keeps_the_guard_where_it_is(void **state)
{
    struct store *s = *state;
    uint64_t before;

    store_open(s);
    own_commit(s);
    before = salts(s);
    other_exec(s, "begin immediate");
    s->db->looked_under_lock = false;
    db_checkpoint(s->db, true);
    assert_false(s->db->looked_under_lock); /* the guard was never let go */
    assert_true(s->db->guard_held);
    other_exec(s, "insert into herald_outbox(type) values ('t'); commit");
    assert_true(salts(s) == before);
}

static void a_checkpoint_that_cannot_lock_copies_nothing(void **state)
{
    struct store *s = *state;
    FILE *f;
    char before[8192], after[8192];

    store_open(s);
    later(s);
    db_checkpoint(s->db, true);
    own_commit(s);
    f = fopen(s->path, "r");
    assert_non_null(f);
    setvbuf(f, NULL, _IONBF, 0);
    assert_int_equal(fread(before, 1, sizeof before, f), sizeof before);
    later(s);
    other_exec(s, "begin immediate");
    db_checkpoint(s->db, true); /* would go on as a PASSIVE one */
    other_exec(s, "commit");
    rewind(f);
    assert_int_equal(fread(after, 1, sizeof after, f), sizeof after);
    assert_memory_equal(before, after, sizeof before);
    store_close(s);
    fclose(f); /* only now: closing drops the process's locks on the file */
}

static void own_checkpoints_are_no_foreign_commits(void **state)
{
    struct store *s = *state;

    store_open(s);
    (void)db_foreign_commits(s->db);
    for (int i = 0; i < 5; i++) {
        own_commit(s);
        later(s);
        db_checkpoint(s->db, true);
        assert_int_equal(db_wal_bytes(s->db), 0);
        assert_false(db_foreign_commits(s->db));
    }
    assert_int_equal(db_foreign_seen_ms(s->db), -1);
    foreign_commits(s, 1); /* just before the next one */
    later(s);
    db_checkpoint(s->db, true);
    assert_true(db_foreign_commits(s->db));
    assert_false(db_foreign_commits(s->db));
    foreign_commits(s, 1); /* just behind it */
    assert_true(db_foreign_commits(s->db));
}

static void produce(const char *path, int n)
{
    sqlite3 *db;

    if (sqlite3_open(path, &db) != SQLITE_OK)
        _exit(1);
    sqlite3_busy_timeout(db, 10000);
    sqlite3_exec(db, "pragma wal_autocheckpoint = 5; pragma synchronous = normal", NULL, NULL,
                 NULL);
    for (int i = 0; i < n; i++)
        if (sqlite3_exec(db,
                         "begin immediate; insert into herald_outbox(type) values ('t');"
                         "commit",
                         NULL, NULL, NULL) != SQLITE_OK)
            _exit(2);
    _exit(sqlite3_close(db) == SQLITE_OK ? 0 : 3);
}

/* docs/faults.md#f31: producers with autocheckpoint on, beside a router that commits and
 * checkpoints as fast as it can: nothing is lost, the file stays whole, the WAL small.
 * HERALD_LONG=1 makes it minutes. */
static void producers_of_any_kind_lose_nothing(void **state)
{
    enum { PRODUCERS = 4, EACH = 400, EACH_LONG = 100000 };
    const int each = getenv("HERALD_LONG") != NULL ? EACH_LONG : EACH;
    struct store *s = *state;
    int64_t largest = 0;
    int left = PRODUCERS, own = 0, status;

    store_open(s);
    store_close(s); /* no connection may be open across a fork */
    for (int i = 0; i < PRODUCERS; i++)
        if (fork() == 0)
            produce(s->path, each);
    store_open(s);
    s->db->wal_limit = 200000;
    while (left > 0) {
        if (db_begin(s->db, &s->err) == OK) {
            const struct message m = {.type = slice_of("mine")};

            assert_ok(s, outbox_add(s->db, &m, 0, NULL, &s->err));
            assert_ok(s, db_commit(s->db, &s->err));
            own++;
        }
        later(s);
        db_checkpoint(s->db, own % 7 == 0);
        if (db_wal_bytes(s->db) > largest)
            largest = db_wal_bytes(s->db);
        usleep(200); /* the others' turn */
        while (left > 0 && waitpid(-1, &status, WNOHANG) > 0) {
            assert_int_equal(status, 0);
            left--;
        }
    }
    assert_true(largest < 20 * 200000);
    assert_int_equal(other_int(s, "select count(*) from herald_outbox"), PRODUCERS * each + own);
    assert_string_equal(other_rows(s, "pragma integrity_check"), "ok");
}

static void an_affected_library_is_told_once(void **state)
{
    struct store *s = *state;
    const char *first;

    store_open(s);
    first = strstr(store_logged(s), "store.sqlite_version");
    if (sqlite3_libversion_number() >= 3051003) {
        assert_null(first);
        return;
    }
    assert_non_null(first);
    assert_contains(first, "wal_autocheckpoint=0");
    assert_null(strstr(first + 1, "store.sqlite_version"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_wal_over_its_limit_is_emptied),
        TEST(an_idle_store_empties_it_once_a_second),
        TEST(a_turn_is_never_checkpointed_away),
        TEST(the_command_line_never_checkpoints),
        TEST(no_foreign_writer_restarts_the_wal_of_a_new_store),
        TEST(nor_behind_heralds_commit),
        TEST(nor_behind_heralds_checkpoint),
        TEST(without_the_guard_they_would),
        TEST(a_reader_that_stays_delays_it_a_little_only),
        TEST(a_writer_that_stays_keeps_the_guard_where_it_is),
        TEST(a_checkpoint_that_cannot_lock_copies_nothing),
        TEST(own_checkpoints_are_no_foreign_commits),
        TEST(producers_of_any_kind_lose_nothing),
        TEST(an_affected_library_is_told_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
