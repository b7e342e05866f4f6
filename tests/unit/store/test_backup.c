/* A store copied whole, while others write to it. */
#include "store.h"

#include "store/sqlite/backup.h"
#include "store/sqlite/db_int.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Its path in the folder; lent until the next call. */
static const char *copy_of(struct store *s)
{
    return store_file(s, "copy.db");
}

static int copy(struct store *s, const char *to)
{
    struct backup_progress p = {.bytes = 0};
    struct backup *b;
    int rc = backup_open(&b, s->db, to, &s->err);

    rc = rc == OK ? 1 : rc;
    while (rc == 1)
        rc = backup_step(b, &p, &s->err);
    backup_close(&b);
    assert_null(b);
    assert_true(rc != OK || (p.bytes > 0 && p.done == p.bytes));
    return rc;
}

static int64_t count_in(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    int64_t n;

    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    n = sqlite3_column_int64(stmt, 0);
    assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return n;
}

/* What the command line has: beside a router. */
static void open_beside(struct store *s)
{
    store_close(s);
    assert_ok(s, store_try(s, s->path, false, false, &s->db));
}

TEST_OPENED(a_copy_is_whole_and_its_owners_alone)
{
    struct stat st;

    other_exec(f,
               "insert into herald_outbox(type, body) with recursive n(i) as (select 1 union all "
               "select i + 1 from n where i < 20000) select 'paid', zeroblob(1000) from n");
    open_beside(f);
    assert_ok(f, copy(f, copy_of(f)));
    assert_int_equal(stat(copy_of(f), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(st.st_size > 16 << 20);
    assert_int_equal(count_in(copy_of(f), "select count(*) from herald_outbox"), 20000);
    assert_int_not_equal(access(store_file(f, "copy.db.part"), F_OK), 0);
    assert_int_not_equal(access(store_file(f, "copy.db-wal"), F_OK), 0);
}

TEST_OPENED(it_has_one_moment_whoever_writes_meanwhile)
{
    struct backup_progress p;
    struct backup *b;
    int rc = 1;

    other_exec(f,
               "insert into herald_outbox(type, body) with recursive n(i) as (select 1 union all "
               "select i + 1 from n where i < 30000) select 'paid', zeroblob(1000) from n");
    open_beside(f);
    assert_ok(f, backup_open(&b, f->db, copy_of(f), &f->err));
    for (int steps = 0; rc == 1; steps++) {
        rc = backup_step(b, &p, &f->err);
        assert_true(steps < 20); /* it does not start over */
        other_exec(f, "insert into herald_outbox(type) values ('late'); "
                      "update herald_outbox set type = 'moved' where id % 100 = 0");
    }
    assert_int_equal(rc, 0);
    backup_close(&b);
    assert_int_equal(count_in(copy_of(f), "select count(*) from herald_outbox where type = 'paid'"),
                     30000);
    assert_int_equal(count_in(copy_of(f), "select count(*) from herald_outbox"), 30000);
}

TEST_OPENED(what_is_given_up_leaves_nothing)
{
    struct backup_progress p;
    struct backup *b;

    other_exec(f,
               "insert into herald_outbox(type, body) with recursive n(i) as (select 1 union all "
               "select i + 1 from n where i < 20000) select 'paid', zeroblob(1000) from n");
    open_beside(f);
    assert_ok(f, backup_open(&b, f->db, copy_of(f), &f->err));
    assert_int_equal(backup_step(b, &p, &f->err), 1);
    assert_true(p.done > 0 && p.done < p.bytes);
    assert_int_equal(access(store_file(f, "copy.db.part"), F_OK), 0);
    backup_close(&b);
    assert_int_not_equal(access(store_file(f, "copy.db.part"), F_OK), 0);
    assert_int_not_equal(access(copy_of(f), F_OK), 0);
    assert_ok(f, copy(f, copy_of(f))); /* the store is as it was */
}

TEST_OPENED(nothing_is_written_over)
{
    open_beside(f);
    store_write(f, "copy.db", "mine");
    assert_refused(f, copy(f, copy_of(f)), ERR_CONFIG, "is there already");
    store_write(f, "other.db.part", "left by one that was interrupted");
    assert_ok(f, copy(f, store_file(f, "other.db")));
    assert_refused(f, copy(f, store_file(f, "no/such/copy.db")), ERR_IO, "No such file");
}

TEST_OPENED(a_damaged_store_makes_no_copy)
{
    FILE *file;

    other_exec(f,
               "insert into herald_outbox(type, body) with recursive n(i) as (select 1 union all "
               "select i + 1 from n where i < 2000) select 'paid', zeroblob(1000) from n");
    other_close(f);
    store_close(f); /* all of it is in the file now */
    file = fopen(f->path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, 1000000, SEEK_SET), 0);
    for (int i = 0; i < 4096; i++)
        assert_int_not_equal(fputc(0x5a, file), EOF);
    assert_int_equal(fclose(file), 0);
    assert_ok(f, store_try(f, f->path, false, false, &f->db));
    assert_refused(f, copy(f, copy_of(f)), ERR_CORRUPT, "damaged");
    assert_int_not_equal(access(copy_of(f), F_OK), 0);
}

TEST_OPENED(a_store_of_another_version_is_copied_as_it_is)
{
    struct db_settings as_it_is = {.path = f->path, .as_it_is = true, .clock = clock_real()};

    other_exec(f, "update herald_meta set value = 4711 where key = 'schema_version'");
    other_close(f);
    store_close(f);
    assert_ok(f, db_open(&f->db, &as_it_is, &f->err));
    assert_ok(f, copy(f, copy_of(f)));
    assert_int_equal(
        count_in(copy_of(f), "select value from herald_meta where key = 'schema_version'"), 4711);
}
