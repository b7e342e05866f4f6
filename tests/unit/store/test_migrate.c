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

static void files_are_applied_in_order_of_name_and_once(void **state)
{
    struct store *s = *state;

    store_open(s);
    file(s, "0002_more.sql", "insert into log values ('two');");
    file(s, "0001_first.sql",
         "-- the table\ncreate table log(x);\n\ninsert into log values ('one')");
    file(s, "0010_last.sql", "insert into log values ('ten');;\n/* done */\n");
    file(s, "README.md", "not SQL");
    file(s, ".0003.sql", "not looked at");
    applied(s, 3);
    applied(s, 0);
    file(s, "0011_new.sql", "insert into log values ('eleven')");
    applied(s, 1);
    assert_string_equal(other_rows(s, "select x from log"), "one, two, ten, eleven");
    assert_string_equal(other_rows(s, "select name from herald_migration where namespace = ''"),
                        "0001_first.sql, 0002_more.sql, 0010_last.sql, 0011_new.sql");
}

static void no_folder_is_no_migration(void **state)
{
    struct store *s = *state;

    store_open(s);
    applied(s, 0);
}

static void namespaces_keep_folders_apart(void **state)
{
    struct store *s = *state;
    int n;

    store_open(s);
    file(s, "1.sql", "create table if not exists t(x); insert into t values (1)");
    assert_ok(s, migrate(s, "orders", &n));
    assert_ok(s, migrate(s, "learning", &n));
    assert_ok(s, migrate(s, "orders", &n));
    assert_int_equal(n, 0);
    assert_int_equal(other_int(s, "select count(*) from t"), 2);
}

static void an_error_names_file_and_line_and_undoes_the_file(void **state)
{
    struct store *s = *state;
    int n;

    store_open(s);
    file(s, "1.sql", "create table a(x);");
    file(s, "2.sql", "create table b(x);\n-- a comment\n\ninsert into b\n  values (1, 2);\n");
    file(s, "3.sql", "create table c(x);");
    assert_refused(s, migrate(s, "", &n), ERR_CONFIG, "migrations/2.sql:4: table b has 1 columns");
    assert_int_equal(n, 1);
    assert_string_equal(
        other_rows(s, "select name from sqlite_schema where name in ('a', 'b', 'c')"), "a");
    file(s, "2.sql", "create table b(x);\n");
    applied(s, 2);
}

static void errors_point_at_their_line(void **state)
{
    struct store *s = *state;

    store_open(s);
    refused(s, "1.sql", "create table a(\n  x,\n  y z z,,\n);", "1.sql:3: near \",\"");
    refused(s, "1.sql",
            "create table a(x unique);\ninsert into a values (1);\n"
            "/* here\n */ insert into a\n values (1);",
            "1.sql:4: UNIQUE constraint failed: a.x");
    refused(s, "1.sql", "select 1;\ncreate table", "1.sql:2: incomplete input");
}

static void a_file_that_changed_after_it_was_applied_is_an_error(void **state)
{
    struct store *s = *state;
    int n;

    store_open(s);
    file(s, "1.sql", "create table a(x);");
    applied(s, 1);
    file(s, "1.sql", "create table a(x, y);");
    assert_refused(s, migrate(s, "", &n), ERR_CONFIG, "has changed since");
    assert_contains(s->err.text, "migrations/1.sql was applied at 1970-01-01T00:16:4");
}

static void heralds_tables_and_transactions_are_out_of_reach(void **state)
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
    struct store *s = *state;

    store_open(s);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refused(s, "1.sql", cases[i][0], cases[i][1]);
    assert_int_equal(other_int(s, "select count(*) from herald_migration"), 0);
}

static void triggers_may_send(void **state)
{
    struct store *s = *state;

    store_open(s);
    file(s, "1.sql",
         "create table orders(id integer primary key autoincrement, status);\n"
         "create trigger paid after update on orders when new.status = 'paid'\nbegin\n"
         "  insert into herald_outbox(type, business_key1) values ('paid', new.id);\nend;\n"
         "insert into orders(status) values ('new');\n"
         "update orders set status = 'paid';\n");
    applied(s, 1);
    assert_string_equal(other_rows(s, "select type, business_key1 from herald_outbox"), "paid|1");
}

static void tables_may_be_rebuilt_and_dropped(void **state)
{
    struct store *s = *state;

    store_open(s);
    file(s, "1.sql",
         "create table p(id integer primary key autoincrement);\n"
         "create table c(p references p(id) on delete cascade);\n"
         "insert into p values (1); insert into c values (1);\n");
    file(s, "2.sql",
         "create table p_new(id integer primary key autoincrement, name text);\n"
         "insert into p_new(id) select id from p;\ndrop table p;\n"
         "alter table p_new rename to p;\nalter table c add column note;\n"
         "create virtual table words using fts5(word); drop table words; analyze p; reindex p;");
    applied(s, 2);
    assert_string_equal(other_rows(s, "select p, note from c"), "1|-"); /* not cascaded */
    assert_string_equal(other_rows(s, "select id, name from p"), "1|-");
}

static void a_broken_foreign_key_is_found_before_the_commit(void **state)
{
    struct store *s = *state;

    store_open(s);
    refused(s, "1.sql",
            "create table p(id primary key); create table c(p references p(id));\n"
            "insert into c values (7);",
            "leaves row 1 of c without its row of p");
    assert_ok(s, db_exec(s->db, s->db->work,
                         "create table q(id primary key);"
                         "create table d(q references q(id))",
                         "test", &s->err));
    assert_int_equal(db_exec(s->db, s->db->work, "insert into d values (1)", "test", &s->err),
                     ERR_FAILED); /* enforced again */
}

static void heralds_statements_work_on_afterwards(void **state)
{
    struct store *s = *state;

    store_open(s);
    file(s, "1.sql", "create table a(x)");
    applied(s, 1);
    assert_ok(s, db_begin(s->db, &s->err));
    assert_ok(s, db_commit(s->db, &s->err));
    db_checkpoint(s->db, true);
    assert_int_equal(db_wal_bytes(s->db), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_are_applied_in_order_of_name_and_once),
        TEST(no_folder_is_no_migration),
        TEST(namespaces_keep_folders_apart),
        TEST(an_error_names_file_and_line_and_undoes_the_file),
        TEST(errors_point_at_their_line),
        TEST(a_file_that_changed_after_it_was_applied_is_an_error),
        TEST(heralds_tables_and_transactions_are_out_of_reach),
        TEST(triggers_may_send),
        TEST(tables_may_be_rebuilt_and_dropped),
        TEST(a_broken_foreign_key_is_found_before_the_commit),
        TEST(heralds_statements_work_on_afterwards),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
