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

TEST_OPENED(a_wal_over_its_limit_is_emptied)
{
    db_checkpoint(f->db, true); /* the schema */
    f->db->wal_limit = 100000;
    own_commit(f);
    db_checkpoint(f->db, false);
    assert_true(db_wal_bytes(f->db) > 0);
    while (db_wal_bytes(f->db) <= 100000)
        own_commit(f);
    db_checkpoint(f->db, false);
    assert_int_equal(db_wal_bytes(f->db), 0);
    assert_true(f->db->pinned);
}

TEST_OPENED(an_idle_store_empties_it_once_a_second)
{
    own_commit(f);
    db_checkpoint(f->db, true);
    assert_int_equal(db_wal_bytes(f->db), 0);
    own_commit(f);
    db_checkpoint(f->db, true);
    assert_true(db_wal_bytes(f->db) > 0);
    later(f);
    db_checkpoint(f->db, true);
    assert_int_equal(db_wal_bytes(f->db), 0);
}

TEST_OPENED(a_turn_is_never_checkpointed_away)
{
    own_commit(f);
    assert_ok(f, db_begin(f->db, &f->err));
    db_checkpoint(f->db, true);
    assert_true(db_wal_bytes(f->db) > 0);
    db_rollback(f->db);
}

TEST_OPENED(the_command_line_never_checkpoints)
{
    struct db *beside;

    own_commit(f);
    assert_ok(f, store_try(f, f->path, false, false, &beside));
    db_checkpoint(beside, true);
    assert_true(db_wal_bytes(f->db) > 0);
    db_close(&beside);
    assert_true(db_wal_bytes(f->db) > 0);
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

TEST_OPENED(no_foreign_writer_restarts_the_wal_of_a_new_store)
{
    foreign_commits(f, 1);
    restarts_nothing(f);
}

TEST_OPENED(nor_behind_heralds_commit)
{
    own_commit(f);
    restarts_nothing(f);
}

TEST_OPENED(nor_behind_heralds_checkpoint)
{
    own_commit(f);
    db_checkpoint(f->db, true);
    assert_int_equal(db_wal_bytes(f->db), 0);
    foreign_commits(f, 1);
    restarts_nothing(f);
    later(f);
    db_checkpoint(f->db, true); /* herald itself can */
    assert_int_equal(db_wal_bytes(f->db), 0);
    own_commit(f);
    restarts_nothing(f);
}

TEST_OPENED(without_the_guard_they_would)
{
    uint64_t before;

    own_commit(f);
    (void)sqlite3_reset(f->db->pin_read);
    f->db->pinned = false;
    before = salts(f);
    other_exec(f, "pragma wal_autocheckpoint = 1");
    foreign_commits(f, 3);
    assert_true(salts(f) != before);
}

TEST_OPENED(a_reader_that_stays_delays_it_a_little_only)
{
    own_commit(f);
    other_exec(f, "begin; select * from herald_outbox");
    own_commit(f);
    db_checkpoint(f->db, true);
    assert_int_equal(f->db->naps_left, 0); /* it waited for as long as it may */
    assert_true(db_wal_bytes(f->db) > 0);
    assert_true(f->db->pinned); /* taken back after the failure */
    other_exec(f, "commit");
    db_checkpoint(f->db, true);
    assert_true(db_wal_bytes(f->db) > 0); /* it pauses */
    later(f);
    db_checkpoint(f->db, true);
    assert_int_equal(db_wal_bytes(f->db), 0);
}

TEST_OPENED(a_reader_that_stays_for_long_is_told_of)
{
    own_commit(f);
    other_exec(f, "begin; select * from herald_outbox");
    own_commit(f);
    for (int i = 0; i < 10; i++) {
        later(f);
        db_checkpoint(f->db, true);
        assert_true(i > 0 || db_trouble(f->db)[0] == '\0'); /* a hindrance is no trouble */
    }
    assert_contains(db_trouble(f->db), "does not let go");
    other_exec(f, "commit");
    later(f);
    db_checkpoint(f->db, true);
    assert_string_equal(db_trouble(f->db), "");
}

TEST_OPENED(a_writer_that_stays_keeps_the_guard_where_it_is)
{
    uint64_t before;

    own_commit(f);
    before = salts(f);
    other_exec(f, "begin immediate");
    f->db->looked_under_lock = false;
    db_checkpoint(f->db, true);
    assert_false(f->db->looked_under_lock); /* the pin was never let go */
    assert_true(f->db->pinned);
    other_exec(f, "insert into herald_outbox(type) values ('t'); commit");
    assert_true(salts(f) == before);
}

TEST_OPENED(a_checkpoint_that_cannot_lock_copies_nothing)
{
    FILE *file;
    char before[8192], after[8192];

    later(f);
    db_checkpoint(f->db, true);
    own_commit(f);
    file = fopen(f->path, "r");
    assert_non_null(file);
    setvbuf(file, NULL, _IONBF, 0);
    assert_int_equal(fread(before, 1, sizeof before, file), sizeof before);
    later(f);
    other_exec(f, "begin immediate");
    db_checkpoint(f->db, true); /* would go on as a PASSIVE one */
    other_exec(f, "commit");
    rewind(file);
    assert_int_equal(fread(after, 1, sizeof after, file), sizeof after);
    assert_memory_equal(before, after, sizeof before);
    store_close(f);
    fclose(file); /* only now: closing drops the process's locks on the file */
}

TEST_OPENED(own_checkpoints_are_no_foreign_commits)
{
    (void)db_foreign_commits(f->db);
    for (int i = 0; i < 5; i++) {
        own_commit(f);
        later(f);
        db_checkpoint(f->db, true);
        assert_int_equal(db_wal_bytes(f->db), 0);
        assert_false(db_foreign_commits(f->db));
    }
    assert_int_equal(db_foreign_seen_ms(f->db), -1);
    foreign_commits(f, 1); /* just before the next one */
    later(f);
    db_checkpoint(f->db, true);
    assert_true(db_foreign_commits(f->db));
    assert_false(db_foreign_commits(f->db));
    foreign_commits(f, 1); /* just behind it */
    assert_true(db_foreign_commits(f->db));
}

static void produce(const char *path, int n)
{
    sqlite3 *db;

    if (sqlite3_open(path, &db) != SQLITE_OK)
        _exit(1);
    /* SQLite's waiters stand in no line: among five that write without a pause, one of them may
     * wait for long, which is no loss. */
    sqlite3_busy_timeout(db, 120000);
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
TEST_OPENED(producers_of_any_kind_lose_nothing)
{
    enum { PRODUCERS = 4, EACH = 400, EACH_LONG = 100000 };
    const int each = getenv("HERALD_LONG") != NULL ? EACH_LONG : EACH;
    int64_t largest = 0;
    int left = PRODUCERS, own = 0, status;

    store_close(f); /* no connection may be open across a fork */
    for (int i = 0; i < PRODUCERS; i++)
        if (fork() == 0)
            produce(f->path, each);
    store_open(f);
    f->db->wal_limit = 200000;
    while (left > 0) {
        if (db_begin(f->db, &f->err) == OK) {
            const struct message m = {.type = slice_of("mine")};

            assert_ok(f, outbox_add(f->db, &m, 0, NULL, &f->err));
            assert_ok(f, db_commit(f->db, &f->err));
            own++;
        }
        later(f);
        db_checkpoint(f->db, own % 7 == 0);
        if (db_wal_bytes(f->db) > largest)
            largest = db_wal_bytes(f->db);
        usleep(200); /* the others' turn */
        while (left > 0 && waitpid(-1, &status, WNOHANG) > 0) {
            assert_int_equal(status, 0);
            left--;
        }
    }
    assert_true(largest < 20 * 200000);
    assert_int_equal(other_int(f, "select count(*) from herald_outbox"), PRODUCERS * each + own);
    assert_string_equal(other_rows(f, "pragma integrity_check"), "ok");
}

TEST_OPENED(an_affected_library_is_told_once)
{
    const char *first;

    first = strstr(store_logged(f), "store.sqlite_version");
    if (sqlite3_libversion_number() >= 3051003) {
        assert_null(first);
        return;
    }
    assert_non_null(first);
    assert_contains(first, "wal_autocheckpoint=0");
    assert_null(strstr(first + 1, "store.sqlite_version"));
}
