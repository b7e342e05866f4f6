/* Business tables, brought forward file by file. */
#include "store.h"

#include "store/sqlite/db_int.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int migrate(struct store *s, const char *namespace_, int *applied)
{
    char folder[128];

    snprintf(folder, sizeof folder, "%s/migrations", s->folder);
    return db_migrate(s->db, folder, namespace_, applied, &s->err);
}

static void file(struct store *s, const char *name, const char *text)
{
    char path[64];

    mkdir(store_file(s, "migrations"), 0700);
    snprintf(path, sizeof path, "migrations/%s", name);
    store_write(s, path, text);
}

static void applied(struct store *s, int want)
{
    int n;

    assert_ok(s, migrate(s, "", &n));
    assert_int_equal(n, want);
}

static void refused(struct store *s, const char *name, const char *text, const char *words)
{
    int n;

    file(s, name, text);
    assert_refused(s, migrate(s, "", &n), ERR_CONFIG, words);
    assert_false(db_in_transaction(s->db));
    unlink(store_file(s, "migrations/1.sql"));
}

TEST_OPENED(files_are_applied_in_order_of_name_and_once)
{
    file(f, "0002_more.sql", "insert into log values ('two');");
    file(f, "0001_first.sql",
         "-- the table\ncreate table log(x);\n\ninsert into log values ('one')");
    file(f, "0010_last.sql", "insert into log values ('ten');;\n/* done */\n");
    file(f, "README.md", "not SQL");
    file(f, ".0003.sql", "not looked at");
    applied(f, 3);
    applied(f, 0);
    file(f, "0011_new.sql", "insert into log values ('eleven')");
    applied(f, 1);
    assert_string_equal(other_rows(f, "select x from log"), "one, two, ten, eleven");
    assert_string_equal(other_rows(f, "select name from herald_migration where namespace = ''"),
                        "0001_first.sql, 0002_more.sql, 0010_last.sql, 0011_new.sql");
}

TEST_OPENED(no_folder_is_no_migration)
{
    applied(f, 0);
}

TEST_OPENED(namespaces_keep_folders_apart)
{
    int n;

    file(f, "1.sql", "create table if not exists t(x); insert into t values (1)");
    assert_ok(f, migrate(f, "orders", &n));
    assert_ok(f, migrate(f, "learning", &n));
    assert_ok(f, migrate(f, "orders", &n));
    assert_int_equal(n, 0);
    assert_int_equal(other_int(f, "select count(*) from t"), 2);
}

TEST_OPENED(an_error_names_file_and_line_and_undoes_the_file)
{
    int n;

    file(f, "1.sql", "create table a(x);");
    file(f, "2.sql", "create table b(x);\n-- a comment\n\ninsert into b\n  values (1, 2);\n");
    file(f, "3.sql", "create table c(x);");
    assert_refused(f, migrate(f, "", &n), ERR_CONFIG, "migrations/2.sql:4: table b has 1 columns");
    assert_int_equal(n, 1);
    assert_string_equal(
        other_rows(f, "select name from sqlite_schema where name in ('a', 'b', 'c')"), "a");
    file(f, "2.sql", "create table b(x);\n");
    applied(f, 2);
}

TEST_OPENED(errors_point_at_their_line)
{
    refused(f, "1.sql", "create table a(\n  x,\n  y z z,,\n);", "1.sql:3: near \",\"");
    refused(f, "1.sql",
            "create table a(x unique);\ninsert into a values (1);\n"
            "/* here\n */ insert into a\n values (1);",
            "1.sql:4: UNIQUE constraint failed: a.x");
    refused(f, "1.sql", "select 1;\ncreate table", "1.sql:2: incomplete input");
}

TEST_OPENED(a_file_that_changed_after_it_was_applied_is_an_error)
{
    int n;

    file(f, "1.sql", "create table a(x);");
    applied(f, 1);
    file(f, "1.sql", "create table a(x, y);");
    assert_refused(f, migrate(f, "", &n), ERR_CONFIG, "has changed since");
    assert_contains(f->err.text, "migrations/1.sql was applied at 1970-01-01T00:16:4");
}

TEST_OPENED(heralds_tables_and_transactions_are_out_of_reach)
{
    static const char *const cases[][2] = {
        {"begin;", "1.sql:1: a migration may not begin or end a transaction"},
        {"select 1;\n\ncommit;", "1.sql:3: a migration may not begin or end a transaction"},
        {"rollback;", "transaction"},
        {"savepoint x;", "savepoints"},
        {"attach 'x' as y;", "attach"},
        {"pragma journal_mode = delete;", "pragma"},
        {"drop table herald_outbox;", "herald_outbox"},
        {"drop index herald_inbox_key;", "herald_inbox"},
        {"drop trigger herald_dead_added;", "herald_dead"},
        {"alter table herald_outbox add column x;", "herald_outbox"},
        {"alter table herald_dead rename to d;", "herald_dead"},
        {"create index x on herald_outbox(type);", "herald_outbox"},
        {"create table herald_mine(x);", "herald_mine"},
        {"create view HERALD_view as select 1;", "HERALD_view"},
        {"create trigger x after insert on herald_outbox begin select 1; end;", "herald_outbox"},
        {"insert into herald_outbox(type) values ('x');", "write to herald_outbox"},
        {"update herald_meta set value = 0;", "write to herald_meta"},
        {"delete from herald_migration;", "write to herald_migration"},
        {"create table a(x unique); insert into a values (1);"
         "insert or rollback into a values (1);",
         "UNIQUE"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refused(f, "1.sql", cases[i][0], cases[i][1]);
    assert_int_equal(other_int(f, "select count(*) from herald_migration"), 0);
}

TEST_OPENED(triggers_may_send)
{
    file(f, "1.sql",
         "create table orders(id integer primary key autoincrement, status);\n"
         "create trigger paid after update on orders when new.status = 'paid'\nbegin\n"
         "  insert into herald_outbox(type, business_key1) values ('paid', new.id);\nend;\n"
         "insert into orders(status) values ('new');\n"
         "update orders set status = 'paid';\n");
    applied(f, 1);
    assert_string_equal(other_rows(f, "select type, business_key1 from herald_outbox"), "paid|1");
}

TEST_OPENED(tables_may_be_rebuilt_and_dropped)
{
    file(f, "1.sql",
         "create table p(id integer primary key autoincrement);\n"
         "create table c(p references p(id) on delete cascade);\n"
         "insert into p values (1); insert into c values (1);\n");
    file(f, "2.sql",
         "create table p_new(id integer primary key autoincrement, name text);\n"
         "insert into p_new(id) select id from p;\ndrop table p;\n"
         "alter table p_new rename to p;\nalter table c add column note;\n"
         "create virtual table words using fts5(word); drop table words; analyze p; reindex p;");
    applied(f, 2);
    assert_string_equal(other_rows(f, "select p, note from c"), "1|-"); /* not cascaded */
    assert_string_equal(other_rows(f, "select id, name from p"), "1|-");
}

TEST_OPENED(a_broken_foreign_key_is_found_before_the_commit)
{
    refused(f, "1.sql",
            "create table p(id primary key); create table c(p references p(id));\n"
            "insert into c values (7);",
            "leaves row 1 of c without its row of p");
    assert_ok(f, db_exec(f->db, f->db->work,
                         "create table q(id primary key);"
                         "create table d(q references q(id))",
                         "test", &f->err));
    assert_int_equal(db_exec(f->db, f->db->work, "insert into d values (1)", "test", &f->err),
                     ERR_FAILED); /* enforced again */
}

TEST_OPENED(heralds_statements_work_on_afterwards)
{
    file(f, "1.sql", "create table a(x)");
    applied(f, 1);
    assert_ok(f, db_begin(f->db, &f->err));
    assert_ok(f, db_commit(f->db, &f->err));
    db_checkpoint(f->db, true);
    assert_int_equal(db_wal_bytes(f->db), 0);
}
