/* docs/faults.md#f32: the files of an open store are deleted, replaced or made read-only. */
#include "store.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void nothing_has_happened(void **state)
{
    struct store *s = *state;

    store_open(s);
    assert_ok(s, db_check_identity(s->db, &s->err));
    other_exec(s, "insert into herald_outbox(type) values ('a')");
    s->now_ms += 20000;
    db_checkpoint(s->db, true);
    assert_int_equal(db_wal_bytes(s->db), 0);
    assert_ok(s, db_check_identity(s->db, &s->err));
    other_close(s);
    assert_ok(s, db_check_identity(s->db, &s->err));
}

static void the_database_is_deleted(void **state)
{
    struct store *s = *state;

    store_open(s);
    assert_int_equal(unlink(s->path), 0);
    assert_refused(s, db_check_identity(s->db, &s->err), ERR_IO, "store.db was deleted or moved");
    assert_contains(s->err.text, "restore a backup");
}

static void the_database_is_moved_and_put_back(void **state)
{
    struct store *s = *state;

    store_open(s);
    assert_int_equal(rename(s->path, store_file(s, "elsewhere")), 0);
    assert_refused(s, db_check_identity(s->db, &s->err), ERR_IO, "store.db was deleted or moved");
    assert_int_equal(rename(store_file(s, "elsewhere"), s->path), 0);
    assert_ok(s, db_check_identity(s->db, &s->err));
}

static void the_database_is_replaced(void **state)
{
    struct store *s = *state;

    store_open(s);
    store_copy(s->path, store_file(s, "copy"));
    assert_int_equal(rename(store_file(s, "copy"), s->path), 0);
    assert_refused(s, db_check_identity(s->db, &s->err), ERR_IO, "store.db was replaced");
}

static void the_wal_is_deleted(void **state)
{
    struct store *s = *state;

    store_open(s);
    assert_int_equal(unlink(store_file(s, "store.db-wal")), 0);
    assert_refused(s, db_check_identity(s->db, &s->err), ERR_IO, "store.db-wal was deleted");
    store_write(s, "store.db-wal", "");
    assert_refused(s, db_check_identity(s->db, &s->err), ERR_IO, "store.db-wal was replaced");
}

static void the_database_is_made_read_only(void **state)
{
    struct store *s = *state;

    store_open(s);
    assert_int_equal(chmod(s->path, 0444), 0);
    assert_refused(s, db_check_identity(s->db, &s->err), ERR_IO, "made read-only");
    assert_int_equal(chmod(s->path, 0644), 0);
    assert_ok(s, db_check_identity(s->db, &s->err));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_has_happened),
        TEST(the_database_is_deleted),
        TEST(the_database_is_moved_and_put_back),
        TEST(the_database_is_replaced),
        TEST(the_wal_is_deleted),
        TEST(the_database_is_made_read_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
