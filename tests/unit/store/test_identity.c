/* docs/faults.md#f32: the files of an open store are deleted, replaced or made read-only. */
#include "store.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TEST_OPENED(nothing_has_happened)
{
    assert_ok(f, db_check_identity(f->db, &f->err));
    other_exec(f, "insert into herald_outbox(type) values ('a')");
    f->now_ms += 20000;
    db_checkpoint(f->db, true);
    assert_int_equal(db_wal_bytes(f->db), 0);
    assert_ok(f, db_check_identity(f->db, &f->err));
    other_close(f);
    assert_ok(f, db_check_identity(f->db, &f->err));
}

TEST_OPENED(the_database_is_deleted)
{
    assert_int_equal(unlink(f->path), 0);
    assert_refused(f, db_check_identity(f->db, &f->err), ERR_IO, "store.db was deleted or moved");
    assert_contains(f->err.text, "restore a backup");
}

TEST_OPENED(the_database_is_moved_and_put_back)
{
    assert_int_equal(rename(f->path, store_file(f, "elsewhere")), 0);
    assert_refused(f, db_check_identity(f->db, &f->err), ERR_IO, "store.db was deleted or moved");
    assert_int_equal(rename(store_file(f, "elsewhere"), f->path), 0);
    assert_ok(f, db_check_identity(f->db, &f->err));
}

TEST_OPENED(the_database_is_replaced)
{
    store_copy(f->path, store_file(f, "copy"));
    assert_int_equal(rename(store_file(f, "copy"), f->path), 0);
    assert_refused(f, db_check_identity(f->db, &f->err), ERR_IO, "store.db was replaced");
}

TEST_OPENED(the_wal_is_deleted)
{
    assert_int_equal(unlink(store_file(f, "store.db-wal")), 0);
    assert_refused(f, db_check_identity(f->db, &f->err), ERR_IO, "store.db-wal was deleted");
    store_write(f, "store.db-wal", "");
    assert_refused(f, db_check_identity(f->db, &f->err), ERR_IO, "store.db-wal was replaced");
}

TEST_OPENED(the_database_is_made_read_only)
{
    assert_int_equal(chmod(f->path, 0444), 0);
    assert_refused(f, db_check_identity(f->db, &f->err), ERR_IO, "made read-only");
    assert_int_equal(chmod(f->path, 0644), 0);
    assert_ok(f, db_check_identity(f->db, &f->err));
}
